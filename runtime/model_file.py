"""What is asked of a model's file before a library opens it: that it is the one the manifest names, and one of ours."""

from __future__ import annotations

from pathlib import Path

from fcn_edge.errors import ModelError
from fcn_edge.files import sha256_of
from fcn_edge.manifest import MANIFEST, METADATA_KEY, BundleFile, ModelFacts
from runtime.onnx_outline import require_plain_onnx

REPLACED = "\ufffd"  # what an outline has in the place of bytes that are no UTF-8


ONNX_SUFFIX = ".onnx"


def other_kind(path: Path, wanted: str = "a bundle, an ONNX file or an engine") -> ModelError:
    """The refusal of a file that is there and, by its name, none of those."""
    return ModelError(f"{path}: wanted {wanted}, found a {path.suffix or 'nameless'} file; see `fcn-edge export`")


def onnx_facts(path: Path) -> ModelFacts:
    """What an ONNX file of ours says of itself; raises ModelError for any other, before a library has seen it."""
    metadata = require_plain_onnx(path).metadata
    if REPLACED in metadata.get(METADATA_KEY, ""):
        raise ModelError(
            f"{path}: wanted the metadata of an exported file, found bytes that are no text; export it again"
        )
    return ModelFacts.from_metadata(metadata, path)


def onnx_of(bundle: Path, file: BundleFile) -> Path:
    """The ONNX file of a bundle; raises ModelError unless it is there and holds what was proved."""
    path = bundle / file.name
    try:
        if sha256_of(path) == file.sha256:
            return path
        found = "another file"
    except OSError as error:
        found = "none" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
    raise ModelError(
        f"{path}: wanted the file that {MANIFEST} names by its sha256, found {found}; export the bundle again"
    )
