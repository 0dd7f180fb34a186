"""A calibration set as a file: the names of its pictures, where they were, and a digest that tells if they changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.image_set import CHOSEN, CalibrationSet
from fcn_edge.datasets import Dataset, open_dataset
from fcn_edge.errors import SourceError
from fcn_edge.files import write_json

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Listing:
    """What stands in the file."""

    data: str  # KIND:FOLDER
    split: str
    seed: int
    chosen: str
    pictures: tuple[str, ...]
    sha256: str


def write_list(path: Path, pictures: CalibrationSet, data: str, split: str) -> None:
    """Write the set, chosen from `split` of `data`; raises OutputError."""
    chosen = {key: value for key, value in pictures.to_json().items() if key != "count"}
    write_json(path, {"schema_version": SCHEMA_VERSION, "data": data, "split": split, **chosen})


def read_list(path: Path, data: str | None = None) -> CalibrationSet:
    """The set, from where its pictures were or from `data`, where they are now.

    Raises SourceError for a file that is no list, and for pictures that are gone or have changed; UsageError for data
    of an unknown kind.
    """
    listing = read_listing(path)
    dataset = _opened(path, listing, data)
    pictures = CalibrationSet(dataset, _found(path, listing, dataset), listing.seed, listing.chosen)
    digest = pictures.digest()
    if digest != listing.sha256:
        raise SourceError(
            f"{path}: wanted pictures of sha256 {listing.sha256[:12]}, found {digest[:12]} under the same names; "
            "bring the old pictures back, or pick again"
        )
    return pictures


def read_listing(path: Path) -> Listing:
    """What the file says, its pictures not opened; raises SourceError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _require_version(content, path)
        return _listing(content)
    except OSError as error:
        raise SourceError(f"wanted a calibration list, found {path}: {error.strerror}; check the path") from None
    except KeyError as error:
        raise _no_list(path, f"no {error} in it") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise _no_list(path, str(error)) from None


def _require_version(content: Any, path: Path) -> None:
    if not isinstance(content, dict):
        raise TypeError(f"a {type(content).__name__} in place of an object")
    if content["schema_version"] != SCHEMA_VERSION:
        raise SourceError(
            f"{path}: wanted schema {SCHEMA_VERSION} of a calibration list, found {content['schema_version']!r}; "
            "pick again, or use the fcn-edge that wrote it"
        )


def _listing(content: dict[str, Any]) -> Listing:
    seed, chosen, names = content["seed"], content["chosen"], content["pictures"]
    if type(seed) is not int or chosen not in CHOSEN:
        raise ValueError(f"the seed {seed!r}, chosen by {chosen!r}")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError("no names of pictures")
    data, split, sha256 = (_text(content, key) for key in ("data", "split", "sha256"))
    return Listing(data, split, seed, chosen, tuple(names), sha256)


def _text(content: dict[str, Any], key: str) -> str:
    if not isinstance(content[key], str):
        raise TypeError(f"{key} {content[key]!r}")
    return str(content[key])


def _no_list(path: Path, found: str) -> SourceError:
    return SourceError(f"{path}: wanted a calibration list, found: {found}; write one with `fcn-edge calibration pick`")


def _opened(path: Path, listing: Listing, data: str | None) -> Dataset:
    try:
        return open_dataset(data or listing.data, listing.split)
    except SourceError as error:
        cure = "" if data else f", or name the place where the data of {path} are now"
        raise SourceError(f"{error}{cure}") from None


def _found(path: Path, listing: Listing, dataset: Dataset) -> tuple[int, ...]:
    """The number of each listed picture in the dataset."""
    numbers = {dataset.name(index): index for index in range(len(dataset))}
    missing = [name for name in listing.pictures if name not in numbers]
    if missing:
        raise SourceError(
            f"{path}: wanted the picture {missing[0]} in {listing.split}, found none of that name ({len(missing)} of "
            f"{len(listing.pictures)} are missing); bring them back, pick again, or name the place where they are now"
        )
    return tuple(numbers[name] for name in listing.pictures)
