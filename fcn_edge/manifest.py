"""What a model file must not be separated from: metadata inside each ONNX file, manifest.json in a bundle."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fcn_edge.errors import ModelError
from fcn_edge.files import write_json
from fcn_edge.labels import LabelSet

MANIFEST = "manifest.json"
SCHEMA_VERSION = 1
METADATA_KEY = "fcn_edge"  # of an ONNX file's metadata


@dataclass(frozen=True)
class ModelFacts:
    """What one needs to serve a graph: its classes, its size and the precision it computes in."""

    labels: LabelSet
    size_hw: tuple[int, int]
    precision: str
    provenance: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "classes": self.labels.to_json(),
            "size_hw": list(self.size_hw),
            "precision": self.precision,
            "provenance": self.provenance,
        }

    @classmethod
    def from_json(cls, content: Any) -> ModelFacts:
        """Back from `to_json`; raises KeyError, TypeError or ValueError."""
        labels, precision = LabelSet.from_json(content["classes"]), str(content["precision"])
        return cls(labels, _size(content), precision, dict(content["provenance"]))

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], where: Path) -> ModelFacts:
        """From an ONNX file's metadata; raises ModelError if fcn-edge did not write the file."""
        try:
            content = json.loads(metadata[METADATA_KEY])
            _require_version(content, where)
            return cls.from_json(content)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ModelError(
                f"{where}: wanted an ONNX file exported by fcn-edge, found no such metadata ({error!r})"
            ) from None


@dataclass(frozen=True)
class BundleFile:
    """One graph of a bundle."""

    name: str
    precision: str
    sha256: str
    bytes: int
    scores: dict[str, Any]
    scored_on: str = ""  # library and version
    proxy: bool = False  # scored by a stand-in for the engine that will serve it
    float_layers: tuple[str, ...] = ()  # layers kept in float32
    calibration: dict[str, Any] = field(default_factory=dict)  # of INT8: method and number of pictures
    proved_on: tuple[str, ...] = ()  # names of the engines (`runtime.session.ENGINES`) on which it held the budget


@dataclass(frozen=True)
class Manifest:
    """The bundle's own account of itself."""

    labels: LabelSet
    size_hw: tuple[int, int]
    files: tuple[BundleFile, ...]
    provenance: dict[str, Any]

    def file(self, precision: str) -> BundleFile | None:
        return next((file for file in self.files if file.precision == precision), None)

    @property
    def precisions(self) -> tuple[str, ...]:
        return tuple(file.precision for file in self.files)


def write_manifest(bundle: Path, manifest: Manifest) -> None:
    content = {
        "schema_version": SCHEMA_VERSION,
        "classes": manifest.labels.to_json(),
        "size_hw": list(manifest.size_hw),
        "files": [file.__dict__ for file in manifest.files],
        "provenance": manifest.provenance,
    }
    write_json(bundle / MANIFEST, content)


def read_manifest(bundle: Path) -> Manifest:
    """Raises ModelError if the folder is no bundle, or one of another version."""
    path = bundle / MANIFEST
    if not path.is_file():
        raise ModelError(f"wanted a bundle, found no {MANIFEST} in {bundle}; make one with `fcn-edge export`")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _require_version(content, path)
        files = tuple(
            BundleFile(**{**row, **{name: tuple(row.get(name, ())) for name in ("float_layers", "proved_on")}})
            for row in content["files"]
        )
        if not all(is_inside(file.name) for file in files):
            raise ValueError("a file outside the bundle")
        return Manifest(LabelSet.from_json(content["classes"]), _size(content), files, dict(content["provenance"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ModelError(f"{path}: wanted the manifest of a bundle, found: {error!r}; export it again") from None


def is_inside(name: str) -> bool:
    """Whether a file's name leads nowhere but into the folder it is told in."""
    return re.fullmatch(r"[\w.-]*\w", name) is not None


def _require_version(content: Any, where: Path) -> None:
    if content["schema_version"] != SCHEMA_VERSION:
        raise ModelError(
            f"{where}: wanted schema {SCHEMA_VERSION}, found {content['schema_version']}; use the fcn-edge of then"
        )


def _size(content: Any) -> tuple[int, int]:
    height, width = (int(side) for side in content["size_hw"])
    if height < 1 or width < 1:
        raise ValueError(f"a size of {height}x{width}")
    return height, width
