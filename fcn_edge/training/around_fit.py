"""What stands around Lightning's loop: its settings taken back, its hints unheard, and errors of others in one line."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fcn_edge.errors import DeviceError, ModelError, SourceError, UsageError, first_line

LOST_WORKER = re.compile(r"DataLoader worker \(pid[^)]*\)+ [^.]*")  # as torch tells it


@contextmanager
def determinism() -> Iterator[None]:
    """Takes back what Lightning tells torch of it, and makes one line of an operator that has no deterministic form."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    except RuntimeError as error:
        operator, found, _ = str(error).partition(" does not have a deterministic implementation")
        if not found:
            raise
        raise UsageError(
            f"wanted only operators with a deterministic form, found {operator}, which has none here; "
            "leave --deterministic out"
        ) from None
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning's hints are for its own users; ours are told what matters by `Told`."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """An error that crossed from a loader's process carries its traceback as text; its last line is the message."""
    try:
        yield
    except (SourceError, ModelError) as error:
        message = str(error).strip().splitlines()[-1]
        raise type(error)(message.removeprefix(f"{type(error).__module__}.{type(error).__name__}: ")) from None
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"wanted memory of the GPU for a batch, found: {first_line(error).split('. ')[0]}; "
            "lower --batch-size or raise --accumulate, and go on with --resume"
        ) from None
    except RuntimeError as error:
        if not (found := LOST_WORKER.search(str(error))):
            raise
        raise DeviceError(
            f"wanted the processes that read pictures to live, found: {found[0]}; the system may be out of memory: "
            "lower --workers or --batch-size, and go on with --resume"
        ) from None
