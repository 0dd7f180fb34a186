"""Which engines would serve a model here, as `open_session` would find out. Nothing is opened, nothing is measured.

Asked in a process of its own: to tell, libraries are imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fcn_edge.errors import FcnEdgeError, ModelError
from fcn_edge.manifest import Manifest, read_manifest


def about_model(model: str, engine: str) -> dict[str, Any]:
    """`candidates` by engine and precision, `choice` where one was made before, `refusals` of TensorRT engines.

    `damage` tells of files that are not those of the manifest, `error` why nothing would serve the model.
    """
    try:
        return {"error": "", **_about(Path(model))(Path(model), engine)}
    except FcnEdgeError as error:
        return {"error": str(error)}


def _about(model: Path) -> Callable[[Path, str], dict[str, Any]]:
    if model.is_dir():
        return _bundle
    if not model.is_file():
        raise ModelError(f"wanted a model, found nothing at {model}; check the path")
    return _engine_file if model.suffix == ".engine" else _onnx_file


def _bundle(bundle: Path, engine: str) -> dict[str, Any]:
    from runtime.candidates import Wish, field_of
    from runtime.choice_record import read_choice

    manifest = read_manifest(bundle)
    if damage := list(_damage(bundle, manifest)):
        return {"damage": damage}
    wish = Wish(bundle, manifest, engine)
    field, choice = field_of(wish), read_choice(wish)
    return {
        "candidates": [candidate.name for candidate in field.candidates],
        "choice": asdict(choice) if choice else None,
        "refusals": [str(refusal) for refusal in field.refusals],
    }


def _damage(bundle: Path, manifest: Manifest) -> Iterator[str]:
    """Each file is read: a bundle of which half was copied opens on one engine, and on another not."""
    from runtime.model_file import onnx_of

    for file in manifest.files:
        try:
            onnx_of(bundle, file)
        except ModelError as error:
            yield str(error)


def _engine_file(path: Path, engine: str) -> dict[str, Any]:
    from runtime.engine_file import require_tensorrt, servable_facts

    require_tensorrt(path, engine)
    facts = servable_facts(path)
    return {"candidates": [f"tensorrt {facts.model.precision}"], "choice": None, "refusals": []}


def _onnx_file(path: Path, engine: str) -> dict[str, Any]:
    from runtime.engine_facts import build_command
    from runtime.engines import engine_at_hand
    from runtime.model_file import onnx_facts

    if engine == "tensorrt":
        build = build_command(path.with_suffix(".engine"))
        raise ModelError(f"{path}: wanted an engine of TensorRT, found an ONNX file; build one here with `{build}`")
    taken = engine_at_hand() if engine == "auto" else engine
    return {"candidates": [f"{taken} {onnx_facts(path).precision}"], "choice": None, "refusals": []}
