"""What results are kept as: promises are for the networks that they were made for."""

from __future__ import annotations

import pytest

from benchmarks.exported import RANDOM, kind_of
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.training.checkpoint import Checkpoint
from fcn_edge.training.network import FCN


@pytest.mark.parametrize(
    ("variant", "width", "fc_dim", "kind"),
    [
        ("fcn8s", *RANDOM["edge"], "edge"),
        ("fcn4s", *RANDOM["edge"], "fcn4s-0.25"),
        ("fcn4s", 0.5, 96, "fcn4s-0.5"),
        ("fcn8s", 0.25, 8, "fcn8s-0.25"),
    ],
)
def test_a_network_is_kept_under_its_own_name(variant: str, width: float, fc_dim: int, kind: str) -> None:
    network = FCN(variant, len(STREET_LABELS), width=width, fc_dim=fc_dim)
    assert kind_of(Checkpoint(network, STREET_LABELS)) == kind
