"""Whether an engine may be served here, found out before TensorRT sees a byte of it: file and sidecar first, then whose
they are, then the model, then the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fcn_edge.errors import ModelError, printable
from runtime.conditions import REFUSED, Condition, judged
from runtime.engine_facts import EngineFacts, Sidecar, build_command, read_sidecar, sidecar_of
from runtime.engine_fit import fit
from runtime.engine_origin import origin, require_plan


@dataclass(frozen=True)
class Preflight:
    """Every condition of one engine, in the order in which they are asked."""

    engine: Path
    facts: EngineFacts | None  # what the sidecar tells; None where none can be read
    conditions: tuple[Condition, ...]

    @property
    def error(self) -> ModelError | None:
        """The first refusal."""
        return next((condition.error for condition in self.conditions if condition.error), None)


def require_servable(engine: Path, *, onnx_sha256: str | None = None, trust: bool = False) -> EngineFacts:
    """The facts of an engine that may be deserialised here; raises ModelError (or NoGpu) that says what mends it.

    `onnx_sha256` is of the ONNX file that the engine must have been built from; None where there is none to hold it
    against. `trust` (--trust-engine) takes an engine whoever wrote it and whatever the digests say, but never without a
    sidecar, which knows the classes, and never one that was built for another machine.
    """
    with _looking_at(engine):
        require_plan(engine)
        sidecar = read_sidecar(engine)
        for condition in _conditions(engine, sidecar, onnx_sha256, trust):
            if condition.error:
                raise condition.error
    return sidecar.facts


def preflight(engine: Path, *, onnx_sha256: str | None = None, trust: bool = False) -> Preflight:
    """As `require_servable`, for people: all conditions, whichever hold. Raises ModelError where there is no file."""
    with _looking_at(engine):
        require_plan(engine)
        try:
            sidecar = read_sidecar(engine)
        except ModelError as error:
            unread = Condition("sidecar", "as it was built", "none that can be read", REFUSED, error)
            # The bundle that names its ONNX file tells its classes as well (`engine_file.servable_facts`).
            is_trusted = trust and onnx_sha256 is not None and not sidecar_of(engine).exists()
            return Preflight(engine, None, (unread.trusted() if is_trusted else unread, *fit(engine, None)))
        return Preflight(engine, sidecar.facts, tuple(_conditions(engine, sidecar, onnx_sha256, trust)))


def _conditions(engine: Path, sidecar: Sidecar, onnx_sha256: str | None, trust: bool) -> Iterator[Condition]:
    """One after the other: who wants the first refusal waits for no digest that comes after it, nor for TensorRT."""
    yield from origin(engine, sidecar, trust=trust)
    if onnx_sha256 is not None:
        yield _model(engine, sidecar.facts, onnx_sha256)
    yield from fit(engine, sidecar.facts.built_with)


def _model(engine: Path, facts: EngineFacts, onnx_sha256: str) -> Condition:
    error = ModelError(
        f"{engine}: wanted an engine built from the {facts.onnx_name} beside it, found one of another model; build it "
        f"again with `{build_command(engine)}`"
    )
    is_same = facts.onnx_sha256 == onnx_sha256
    return judged("sha256 of its ONNX", onnx_sha256, printable(facts.onnx_sha256), None if is_same else error)


@contextmanager
def _looking_at(engine: Path) -> Iterator[None]:
    """A file that may not be read, or went away meanwhile, is refused as well."""
    try:
        yield
    except OSError as error:
        raise ModelError(f"{engine}: wanted to read this engine, found: {error.strerror}; check the path") from None
