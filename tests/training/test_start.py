"""What a training starts with: all weights that fit the network and its classes, the rest as it was made, both told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fcn_edge.errors import UsageError
from fcn_edge.labels import LabelSet
from fcn_edge.training.checkpoint import Checkpoint, Preprocessing, save_checkpoint
from fcn_edge.training.network import FCN, FINAL_NAMES, bilinear_kernel
from fcn_edge.training.segmentation import Segmentation, TrainingConfig
from fcn_edge.training.start import started_from
from fcn_edge.training.surgery import transplant
from fcn_edge.training.weights import CAFFE, TORCHVISION, read_weights
from tests.training.foreign_weights import drawn, published_fcn, saved, vgg16

SMALL = {"width": 1 / 16, "fc_dim": 16}
OWN = Preprocessing((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


def labels(count: int, first: str = "a") -> LabelSet:
    return LabelSet(tuple(chr(ord(first) + index) for index in range(count)), ((0, 0, 0),) * count)


def fresh(variant: str = "fcn8s", classes: int = 3, **network: object) -> Checkpoint:
    return Checkpoint(FCN(variant, classes, **{**SMALL, **network}), labels(classes), provenance={"data": "x"})  # type: ignore[arg-type]


def own(path: Path, variant: str = "fcn8s", classes: int = 3, first: str = "a", **network: object) -> Path:
    """A checkpoint of ours, by default with batch norm; its classes are named from `first` on."""
    made = FCN(variant, classes, **{**SMALL, "norm": "batch", **network})  # type: ignore[arg-type]
    for name, value in made.state_dict().items():
        if value.is_floating_point():
            value.copy_(drawn(name, *value.shape))
    save_checkpoint(path, Checkpoint(made, labels(classes, first), OWN, provenance={"init": {"name": "vgg16_bn"}}))
    return path


def started(path: Path, onto: Checkpoint) -> Checkpoint:
    return started_from(read_weights(str(path)), onto)


def same_weights(got: Checkpoint, wanted: dict[str, torch.Tensor]) -> list[str]:
    """The names of those that are equal."""
    state = got.network.state_dict()
    return [name for name, value in wanted.items() if torch.equal(state[name], value)]


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_vgg16_fills_all_but_the_scores(norm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = vgg16(batch_norm=norm == "batch")
    got = started(saved(state, tmp_path / "vgg16.pth"), fresh(norm=norm))
    wanted = transplant(state, norm)
    assert same_weights(got, wanted) == list(wanted)
    left = {name for name in got.network.state_dict() if name not in wanted and "num_batches" not in name}
    assert left and all(name.startswith(("score", "upscore")) for name in left)
    assert not any(value.any() for name, value in got.network.state_dict().items() if name.startswith("score"))
    assert got.preprocessing == TORCHVISION
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("starting from vgg16.pth, VGG16 of torchvision (RGB") and "scores start at zero" in told


@pytest.mark.parametrize("variant", ["fcn32s", "fcn16s", "fcn8s"])
@pytest.mark.parametrize("geometry", ["paper", "same"])
def test_a_published_fcn_loads_unchanged(variant: str, geometry: str, tmp_path: Path) -> None:
    state = published_fcn(variant, classes=3)
    got = started(saved(state, tmp_path / "fcn.pth"), fresh(variant, geometry=geometry))
    assert same_weights(got, state) == list(state) == list(got.network.state_dict())
    assert got.preprocessing == CAFFE


def assert_scores_are_new(got: Checkpoint) -> None:
    for name, value in got.network.state_dict().items():
        if name.startswith("score"):
            assert not value.any(), name
        elif name.startswith("upscore"):
            assert torch.equal(value[0, 0], bilinear_kernel(value.shape[-1])) and not value[0, 1].any(), name


def test_a_published_fcn_of_other_classes_gives_all_but_its_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = published_fcn(classes=21)
    got = started(saved(state, tmp_path / "fcn.pth"), fresh())
    base = [name for name in state if not name.startswith(("score", "upscore"))]
    assert same_weights(got, {name: state[name] for name in base}) == base
    assert_scores_are_new(got)
    assert "all but the scores, which are of 21 classes, not 3" in capsys.readouterr().err


@pytest.mark.parametrize(("classes", "first"), [(4, "a"), (3, "b")])
def test_a_checkpoint_of_other_classes_gives_all_but_its_scores(
    classes: int, first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Be it their number or their names."""
    path = own(tmp_path / "own.safetensors", classes=classes, first=first)
    got = started(path, fresh(norm="batch"))
    assert_scores_are_new(got)
    assert torch.equal(got.network.fc7.weight, read_weights(str(path)).state["fc7.weight"])
    assert "all but the scores" in capsys.readouterr().err


STAGES = [("fcn32s", "fcn16s"), ("fcn16s", "fcn8s"), ("fcn32s", "fcn8s"), ("fcn8s", "fcn4s")]


@pytest.mark.parametrize(("coarse", "fine"), STAGES)
def test_a_coarser_checkpoint_starts_a_finer_network(
    coarse: str, fine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = own(tmp_path / "coarse.safetensors", coarse)
    state = dict(read_weights(str(path)).state)
    got = started(path, fresh(fine, norm="batch"))
    taken = {name: value for name, value in state.items() if name in got.network.state_dict()}
    assert same_weights(got, taken) == list(taken)
    assert state.keys() - taken.keys() == {f"{FINAL_NAMES[coarse]}.weight"}
    assert got.preprocessing == OWN
    assert f"all weights of {coarse}; the skips that only {fine} has start at zero" in capsys.readouterr().err


def test_a_checkpoint_starts_its_own_variant_with_all_its_weights(tmp_path: Path) -> None:
    path = own(tmp_path / "own.safetensors")
    state = dict(read_weights(str(path)).state)
    got = started(path, fresh(norm="batch"))
    assert same_weights(got, state) == list(state)
    assert got.provenance["init"]["init"] == {"name": "vgg16_bn"} and got.provenance["data"] == "x"


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"norm": "batch"}, ("--norm none", "--norm batch")),
        ({"width": 0.25}, ("--width 0.0625", "--width 0.25")),
        ({"fc_dim": 32}, ("--fc-dim 16", "--fc-dim 32")),
        ({"width": 0.5, "fc_dim": 32}, ("--width 0.0625 --fc-dim 16", "--width 0.5 --fc-dim 32")),
    ],
)
@pytest.mark.parametrize("make", [vgg16, published_fcn])
def test_weights_that_do_not_fit_the_network_are_refused(
    make: type, network: dict[str, object], words: tuple[str, ...], tmp_path: Path
) -> None:
    path = saved(make(), tmp_path / "start.pth")
    with pytest.raises(UsageError, match=r"start\.pth do not fit.*leave these options out") as refused:
        started(path, fresh(**network))
    assert all(word in str(refused.value) for word in words)


def test_vgg16_bn_wants_batch_norm(tmp_path: Path) -> None:
    path = saved(vgg16(batch_norm=True), tmp_path / "vgg16_bn.pth")
    with pytest.raises(UsageError, match="wanted a network of --norm batch for them, found --norm none"):
        started(path, fresh(norm="none"))


@pytest.mark.parametrize("width", [0.05, 0.06])
def test_a_width_that_rounds_to_the_same_channels_fits(width: float, tmp_path: Path) -> None:
    path = saved(published_fcn(classes=3, width=width), tmp_path / "fcn.pth")
    assert same_weights(started(path, fresh(width=width)), published_fcn(classes=3, width=width))


def test_a_finer_networks_scores_do_not_fit_a_coarser_one(tmp_path: Path) -> None:
    path = own(tmp_path / "fine.safetensors", "fcn8s")
    with pytest.raises(UsageError, match=r"fcn16s or coarser, found fcn8s in fine\.safetensors; give --variant fcn8s"):
        started(path, fresh("fcn16s", norm="batch"))


@pytest.mark.parametrize(
    ("theirs", "ours", "words"), [(True, False, "add --at-once"), (False, True, "leave --at-once")]
)
def test_skips_scaled_otherwise_are_refused(theirs: bool, ours: bool, words: str, tmp_path: Path) -> None:
    path = own(tmp_path / "own.safetensors", at_once=theirs)
    with pytest.raises(UsageError, match=words):
        started(path, fresh(norm="batch", at_once=ours))


@pytest.mark.parametrize("make", [lambda path: own(path, "fcn32s"), lambda path: own(path, at_once=True)])
def test_an_at_once_network_starts_from_a_32s_and_from_its_like(make: type, tmp_path: Path) -> None:
    path = make(tmp_path / "own.safetensors")
    got = started(path, fresh(norm="batch", at_once=True))
    assert torch.equal(got.network.score_fr.weight, read_weights(str(path)).state["score_fr.weight"])


@pytest.mark.parametrize(
    ("step", "more"), [("share_of_loss", {"whole": 1.0, "corner": (0, 0)}), ("validation_step", {"batch_idx": 0})]
)
def test_a_training_sees_pictures_by_the_normalisation_of_its_weights(
    step: str, more: dict[str, object], tmp_path: Path
) -> None:
    got = started(saved(published_fcn(classes=3), tmp_path / "fcn.pth"), fresh())
    module = Segmentation(got, TrainingConfig(), np.ones(3, np.float32), steps_per_epoch=1)
    seen: list[torch.Tensor] = []
    module.network.register_forward_pre_hook(lambda _, pictures: seen.append(pictures[0]))
    frames = torch.randint(0, 256, (2, 32, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        batch = frames, torch.zeros(2, 32, 48, dtype=torch.int64)
        getattr(module, step)(*(batch if step == "share_of_loss" else [batch]), **more)
    assert torch.equal(seen[0], CAFFE.normalise(frames))
