"""What benchmarks work on: named by the user, or made once: a checkpoint, its bundle, pictures of a drive."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

import cv2

from fcn_edge.datasets.street import draw_street

SIZE_HW = (360, 480)
DRIVE_FRAMES, DRIVE_FPS, DRIVE_SEED = 80, 25.0, 300_000  # a street that no split of the dataset holds

# The default network, hardly trained, and as little proof as makes a bundle.
TRAIN = "--batch-size 4 --epochs 12 --validate-every 6 --max-minutes 1".split()
EXPORT = "--size 360x480 --calibration-count 16 --calibration-method minmax --no-sensitivity --allow-drop".split()

Command = list[str]


@dataclass(frozen=True)
class Material:
    """Where things are, or will be."""

    data: str  # KIND:FOLDER
    checkpoint: Path
    bundle: Path
    drive: Path  # a folder of pictures

    def missing(self, wanted: Set[str]) -> Iterator[tuple[str, Command]]:
        """What makes the wanted things that are not there, by their names; a bundle wants its checkpoint."""
        verb = [sys.executable, "-m", "fcn_edge"]
        lacks_bundle = "bundle" in wanted and not self.bundle.exists()
        if (lacks_bundle or "checkpoint" in wanted) and not self.checkpoint.exists():
            yield "checkpoint", [*verb, "train", self.data, "-o", str(self.checkpoint.parent), *TRAIN]
        if lacks_bundle:
            words = [str(self.checkpoint), "-o", str(self.bundle), "--data", self.data]
            yield "bundle", [*verb, "export", *words, *EXPORT]
        if "drive" in wanted and not self.drive.exists():
            yield "drive", [sys.executable, "-m", __name__, str(self.drive)]

    def known(self) -> dict[str, str]:
        """name -> what is there."""
        places = {"checkpoint": self.checkpoint, "bundle": self.bundle, "drive": self.drive}
        return {"data": self.data, **{name: str(place) for name, place in places.items() if place.exists()}}


def draw_drive(folder: Path) -> None:
    """JPEGs of a street, as a camera would see them that drives through it."""
    folder.mkdir(parents=True)
    for index in range(DRIVE_FRAMES):
        image, _ = draw_street(DRIVE_SEED, index / DRIVE_FPS, SIZE_HW)
        cv2.imwrite(str(folder / f"{index:04}.jpg"), image)


if __name__ == "__main__":
    draw_drive(Path(sys.argv[1]))
