"""Which files of a bundle could be served here, and on which engines. Which of them is fastest: `engine_choice`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fcn_edge.errors import ModelError, UsageError
from fcn_edge.manifest import BundleFile, Manifest
from runtime.cuda_driver import find_gpu
from runtime.engine_facts import EngineFacts, engine_path
from runtime.engine_file import servable_facts
from runtime.engines import PRECISIONS, Serving, is_installed, open_engine, open_onnx
from runtime.model_file import onnx_of
from runtime.session_protocol import Session

AS_USUAL = Serving()


@dataclass(frozen=True)
class Wish:
    """A bundle, and what the user said of how to serve it."""

    bundle: Path
    manifest: Manifest
    engine: str = "auto"
    precision: str = "auto"
    serving: Serving = AS_USUAL

    @property
    def engines(self) -> dict[Path, BundleFile]:
        """The TensorRT engines in the bundle that may be served, each with the file that it is named after."""
        files = [file for file in self.manifest.files if self.precision in ("auto", file.precision)]
        paths = {engine_path(self.bundle, file.precision): file for file in files}
        return {path: file for path, file in paths.items() if path.exists()}

    def file_for(self, engine: str) -> BundleFile | None:
        """What an engine other than tensorrt is given: the first of its files that was proved on it, else its first."""
        wanted = PRECISIONS[engine] if self.precision == "auto" else (self.precision,)
        files = [file for file in map(self.manifest.file, wanted) if file]
        return next((file for file in files if Candidate(engine, file).is_proved), files[0] if files else None)


@dataclass(frozen=True)
class Candidate:
    """A file of a bundle, and an engine that can serve it here."""

    engine: str
    file: BundleFile
    facts: EngineFacts | None = None  # of a TensorRT engine, which passed preflight

    @property
    def name(self) -> str:
        return f"{self.engine} {self.file.precision}"

    @property
    def is_proved(self) -> bool:
        """By the build or by the export: it held the budget there."""
        return bool(self.facts.scores) if self.facts else self.engine in self.file.proved_on

    def open(self, wish: Wish) -> Session:
        """Raises ModelError, or UsageError where its package is missing."""
        if self.facts:
            return open_engine(engine_path(wish.bundle, self.file.precision), self.facts, wish.serving)
        return open_onnx(onnx_of(wish.bundle, self.file), self.engine, wish.serving, self.file.sha256)


@dataclass(frozen=True)
class Field:
    """Who competes, why engines of the bundle do not, and who does not for want of proof."""

    candidates: tuple[Candidate, ...]
    refusals: tuple[ModelError, ...] = ()
    unproved: tuple[Candidate, ...] = ()


def field_of(wish: Wish) -> Field:
    """All candidates for a wish: no unproved one where there is a proved one. Raises where there is none at all."""
    if wish.precision not in ("auto", *wish.manifest.precisions):
        raise _no_file(wish, wish.precision)
    engines = _engines(wish) if wish.engine in ("auto", "tensorrt") else Field(())
    found = (*engines.candidates, *_files(wish))
    if not found:
        raise engines.refusals[0] if engines.refusals else _nothing(wish)
    proved = tuple(candidate for candidate in found if candidate.is_proved)
    unproved = tuple(candidate for candidate in found if proved and not candidate.is_proved)
    return Field(proved or found, engines.refusals, unproved)


def candidate_of(wish: Wish, engine: str, precision: str) -> Candidate | None:
    """That candidate, or None where there is no such thing; raises ModelError for an engine that fails preflight."""
    file = wish.manifest.file(precision)
    if file is None or engine not in ("tensorrt", *PRECISIONS):
        return None
    path = engine_path(wish.bundle, precision)
    facts = servable_facts(path, trust=wish.serving.trust_engine) if engine == "tensorrt" else None
    return Candidate(engine, file, facts)


def _engines(wish: Wish) -> Field:
    """Those that pass preflight. Without a GPU none does, and that is known before a digest is made."""
    if wish.engines and wish.engine == "auto":
        try:
            find_gpu()
        except ModelError as error:
            return Field((), (error,))
    candidates, refusals = [], []
    for path, file in wish.engines.items():
        try:
            candidates.append(Candidate("tensorrt", file, servable_facts(path, trust=wish.serving.trust_engine)))
        except ModelError as error:
            refusals.append(error)
    return Field(tuple(candidates), tuple(refusals))


def _files(wish: Wish) -> Iterator[Candidate]:
    for engine in _installed() if wish.engine == "auto" else [wish.engine]:
        file = wish.file_for(engine) if engine != "tensorrt" else None
        if file:
            yield Candidate(engine, file)


def _installed() -> Iterator[str]:
    """The engines other than tensorrt that are here. A GPU counts where the library itself lists it."""
    if is_installed("openvino"):
        yield "openvino"
        if _openvino_has_gpu():
            yield "openvino-gpu"
    if is_installed("onnxruntime"):
        yield "onnxruntime"
        if _onnxruntime_has_cuda():
            yield "onnxruntime-cuda"


def _openvino_has_gpu() -> bool:
    from runtime.openvino_session import openvino_devices

    with suppress(UsageError):  # a package that does not load is told of when it is opened
        return any(device.split(".")[0] == "GPU" for device in openvino_devices())
    return False


def _onnxruntime_has_cuda() -> bool:
    from runtime.ort_session import PROVIDERS, onnxruntime_library

    with suppress(UsageError, ModelError):
        return PROVIDERS["CUDA"] in onnxruntime_library().get_available_providers() and bool(find_gpu())
    return False


def _nothing(wish: Wish) -> ModelError | UsageError:
    """Why there is no candidate."""
    if wish.engine == "tensorrt":
        find_gpu()  # without one there is nothing to build
        some = "" if wish.precision == "auto" else f" --precision {wish.precision}"
        build = f"fcn-edge build {shlex.quote(str(wish.bundle))}{some}"
        return ModelError(f"{wish.bundle}: wanted an engine of TensorRT in it, found none; build one here: {build}")
    if wish.engine == "auto" and not list(_installed()):
        return UsageError(
            f"{wish.bundle}: wanted an engine to serve it, found neither onnxruntime nor openvino; install one: "
            "pip install onnxruntime"
        )
    return _no_file(wish, " or ".join(PRECISIONS.get(wish.engine, PRECISIONS["onnxruntime"])))


def _no_file(wish: Wish, wanted: str) -> UsageError:
    found = ", ".join(wish.manifest.precisions) or "none"
    return UsageError(f"{wish.bundle}: wanted precision {wanted}, found {found}; choose one of them")
