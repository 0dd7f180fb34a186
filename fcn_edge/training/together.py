"""Processes that torchrun started act as one command: one of a node speaks, and all end when one does."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta

import click
import torch
from torch import distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from fcn_edge.errors import DeviceError, FcnEdgeError, UsageError, first_line
from fcn_edge.training.ranks import Ranks

INTERRUPTED = 130
BEGUN = "begun"


@contextmanager
def together() -> Iterator[None]:
    """The block works in torch's group of all processes: by gloo on CPUs, by NCCL on GPUs, one for each process."""
    ranks = Ranks.here()
    if ranks.world == 1:
        yield
        return
    ended_well = False
    try:
        with one_voice(), _missing_none(ranks):
            distributed.init_process_group(
                _backend(ranks), store=_store(ranks), rank=ranks.rank, world_size=ranks.world
            )
            yield
        ended_well = True
    finally:
        if distributed.is_initialized() and (ended_well or distributed.get_backend() == "gloo"):
            distributed.destroy_process_group()  # NCCL would wait for who is gone


@contextmanager
def one_voice() -> Iterator[None]:
    """News come from process 0 alone; of an error each node tells one line, that of its process that erred first.

    The others end with that one's exit code, and without a word.
    """
    ranks = Ranks.here()
    if ranks.world == 1:
        yield
        return
    try:
        with ExitStack() as quiet:
            if ranks.rank:
                nowhere = quiet.enter_context(open(os.devnull, "w"))
                quiet.enter_context(redirect_stdout(nowhere))
                quiet.enter_context(redirect_stderr(nowhere))
            yield
    except click.exceptions.Exit:
        raise
    except BaseException as error:
        code = _code_of(error)
        told = _told_before(ranks, code or FcnEdgeError.exit_code)
        if told and code:
            raise click.exceptions.Exit(told) from None
        raise


def _code_of(error: BaseException) -> int | None:
    """Of an error that is told in one line; our bugs keep their traceback."""
    if isinstance(error, FcnEdgeError):
        return error.exit_code
    if isinstance(error, click.ClickException):
        return UsageError.exit_code
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else None


def _told_before(ranks: Ranks, code: int) -> int | None:
    """The exit code of the process of this node that erred first, by torchrun's store; None where it is this one."""
    mine = f"{os.getpid()} {code}"
    try:
        first: str = _store(ranks).compare_set(f"told in node {ranks.node}", "", mine).decode()
    except (RuntimeError, ValueError):
        return None  # the store is gone, too
    return None if first == mine else int(first.split()[1])


def mark_begun(ranks: Ranks) -> None:
    """Tells the processes after a restart that the run in the folder is this launch's own."""
    if ranks.world > 1:
        _store_of_all().set(BEGUN, "")


def has_begun(ranks: Ranks) -> bool:
    """Whether processes before a restart, of the same launch, have begun or resumed a run."""
    return ranks.restarts > 0 and _store_of_all().check([BEGUN])


def _store(ranks: Ranks) -> Store:
    """What all processes write to and read from, apart from what those before a restart wrote."""
    return PrefixStore(f"attempt {ranks.restarts}", _store_of_all())


def _store_of_all() -> Store:
    """torchrun's, which lives as long as its launch."""
    store, *_ = next(rendezvous("env://", timeout=timedelta(minutes=5)))
    return PrefixStore("fcn-edge", store)


@contextmanager
def _missing_none(ranks: Ranks) -> Iterator[None]:
    """Raises DeviceError where another process has ended, which gloo tells by a RuntimeError."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        found = re.sub(r"^\[\S+\] ", "", first_line(error)).split(". ")[0]
        raise DeviceError(
            f"wanted all {ranks.world} processes of the training, found one gone: {found}; "
            "start them again, with --resume"
        ) from None


def _backend(ranks: Ranks) -> str:
    if not torch.cuda.is_available():
        return "gloo"
    gpus = torch.cuda.device_count()
    if gpus < ranks.local_world:
        raise UsageError(
            f"wanted a GPU for each process, found {gpus} for {ranks.local_world}; start torchrun with fewer a node"
        )
    torch.cuda.set_device(ranks.local_rank)
    return "nccl"
