"""The processes of one training: which of them this is, what they sum, and what they agree on.

There is one, unless torchrun started several. How they speak and end with one voice is `together.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed

from fcn_edge.errors import UsageError

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "TORCHELASTIC_RESTART_COUNT")


@dataclass(frozen=True)
class Ranks:
    """Where this process stands among all, in torchrun's terms."""

    rank: int = 0
    world: int = 1  # processes, over all nodes
    local_rank: int = 0
    local_world: int = 1  # processes of this node
    node: int = 0
    restarts: int = 0  # after one of them was lost, by torchrun's --max-restarts

    @classmethod
    def here(cls) -> Ranks:
        """As torchrun says in the environment of each process that it starts."""
        if not distributed.is_torchelastic_launched():
            return cls()
        return cls(*(int(os.environ[name]) for name in NAMES))

    @property
    def nodes(self) -> int:
        return self.world // self.local_world


ALONE = Ranks()


def summed(values: Tensor) -> Tensor:
    """The sum over all processes, without a gradient; every process must ask for it at the same place."""
    return _reduced(values, distributed.ReduceOp.SUM)


def greatest(value: float) -> float:
    """Of what each process has."""
    return float(_reduced(torch.tensor(value, dtype=torch.float64), distributed.ReduceOp.MAX))


def _reduced(values: Tensor, how: Any) -> Tensor:
    if not distributed.is_initialized():
        return values.detach()
    there = values.detach().to(_device(), copy=True)
    distributed.all_reduce(there, how)
    return there.to(values.device)


def _device() -> torch.device:
    """Where the processes' backend computes: NCCL knows GPUs alone."""
    return torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")


def require_alike(ranks: Ranks, **told: Any) -> None:
    """Raises UsageError where the processes were not started for one training, as happens on two nodes by hand."""
    if ranks.world == 1:
        return
    told["processes of a node"] = ranks.local_world
    all_told: list[Mapping[str, Any]] = [{}] * ranks.world
    distributed.all_gather_object(all_told, told)
    for rank, other in enumerate(all_told):
        differing = [name for name, value in all_told[0].items() if other[name] != value]
        if differing:
            raise UsageError(
                f"wanted one training in all processes, found process {rank} with another "
                f"{', '.join(name.replace('_', ' ') for name in differing)} than process 0; start all alike"
            )
