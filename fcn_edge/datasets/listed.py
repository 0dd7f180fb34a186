"""Pictures that a text file lists, one name a line: PASCAL VOC's way, and SBD's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from fcn_edge.errors import SourceError
from fcn_edge.images import read_bytes

Pairs = dict[str, tuple[Path, Path]]  # the picture and the mask of each name, in the list's order


def list_of(split: str, folder: Path, others: tuple[str, ...] = ()) -> Path:
    """FOLDER/SPLIT.txt; raises SourceError that names the splits there are: the lists in the folder and `others`."""
    path = folder / f"{split}.txt"
    if split not in found_lists(folder):
        splits = ", ".join([*found_lists(folder), *others])
        cure = f"choose one of {splits}" if splits else "unpack the data anew"
        raise SourceError(f"wanted the split {split}, found no list {path}; {cure}")
    return path


def found_lists(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.txt") if path.is_file())


def read_list(path: Path) -> tuple[str, ...]:
    """The names in a list, whatever ends its lines; raises SourceError if there are none, or one is unusable."""
    try:
        names = [line.strip() for line in read_bytes(path).decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise SourceError(f"{path}: wanted a list of names, found bytes that are no text; write it anew") from None
    odd = next((name for name in names if len(name.split()) > 1), None)
    if odd or not names:
        raise SourceError(f"{path}: wanted one name a line, found {repr(odd) if odd else 'none'}; mend the list")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise SourceError(f"{path}: wanted every name once, found {name} {count} times; take the others out")
    return tuple(names)


def listed_pairs(path: Path, images: Path, masks: Path, suffix: str) -> Pairs:
    """images/NAME.jpg and masks/NAME.SUFFIX of every name in a list; raises SourceError that names what is missing."""
    pairs = {name: (images / f"{name}.jpg", masks / f"{name}{suffix}") for name in read_list(path)}
    missing = [(name, file) for name, pair in pairs.items() for file in pair if not file.is_file()]
    if missing:
        name, file = missing[0]
        raise SourceError(
            f"{path} lists {name}: wanted {file}, found none ({len(missing)} of {2 * len(pairs)} files are missing); "
            "unpack the data anew, or take the names out"
        )
    return pairs
