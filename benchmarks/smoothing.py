"""What smoothing masks in time brings and costs: flicker, mean IoU, delay and milliseconds, on CamVid's video of val.

.venv/bin/python -m benchmarks.smoothing BUNDLE --data FOLDER [--picture OUT.png]

Every frame of that video (its camera drives) has its truth. Edges are neighbours of different classes: more of them
than without smoothing means ragged masks. Besides what is built in (`still`: a new class waits for
masks that agree only where the picture stands still) two plainer ways are measured: `everywhere`, which waits wherever
the class changes, and `majority` of the last masks. A second video, of a camera that hangs still, has no truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.told import facts
from fcn_edge.datasets import open_dataset
from fcn_edge.files import write_json
from fcn_edge.images import colourise, fit_frame
from fcn_edge.labels import LabelSet
from fcn_edge.metrics import ConfusionMatrix
from runtime import smoothing
from runtime.session import Session, open_session
from runtime.smoothing import Smoothing
from runtime.sources.video import VideoSource

RESULT = Path(__file__).parent / "results" / "smoothing.json"
FRAMES = 101  # of either video
BEFORE, AFTER = 3, 5  # frames that a change of the truth must stand, to be one that a mask shall follow
NEVER = 255  # no picture changes by more, so every pixel counts as still

Mask = NDArray[np.uint8]
Masks = NDArray[np.uint8]  # (frames, h, w)
Smooth = Callable[[Mask, NDArray[np.uint8]], Mask]


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--data", type=click.Path(path_type=Path, exists=True), envvar="FCN_EDGE_DATA", required=True)
@click.option("--picture", type=click.Path(path_type=Path), help="What changes from one mask to the next, as a PNG.")
def main(bundle: Path, data: Path, picture: Path | None) -> None:
    """Print a table and keep it as JSON."""
    truth, labels = _truth(data)
    with open_session(bundle) as session:
        frames, raw = _masks(session, data / "video" / "camvid_val_0016E5.mp4")
        still_frames, still_raw = _masks(session, data / "video" / "car-detection.mp4")
        told = _facts(session, truth)
    print("| | flicker % | where truth stays | fixed camera | mean IoU | edges % | delay, frames | ms |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, make in _ways().items():
        masks, ms = _smoothed(make(), raw, frames)
        row = _figures(masks, truth, labels) | {"fixed_camera": _flicker(_smoothed(make(), still_raw, still_frames)[0])}
        told[name] = {**row, "delay_frames": _delay(masks, raw, truth) - _delay(raw, raw, truth), "ms": ms}
        print(_line(name, told[name]), flush=True)
        if picture and name == "still 2":
            cv2.imwrite(str(picture), _picture(frames, raw, masks, labels))
    print(f"the truth itself flickers by {told['truth_flicker']:.2f} % of its labelled pixels\n{told['machine']}")
    write_json(RESULT, told)


def _truth(data: Path) -> tuple[Masks, LabelSet]:
    dataset = open_dataset(f"camvid:{data / 'camvid'}", "val")
    return np.stack([dataset.mask(index) for index in range(FRAMES)]), dataset.labels


def _masks(session: Session, video: Path) -> tuple[list[NDArray[np.uint8]], Masks]:
    size_hw = session.facts.size_hw
    frames = [fit_frame(frame.image, size_hw) for frame, _ in zip(VideoSource(video), range(FRAMES), strict=False)]
    return frames, np.stack([session.infer(frame) for frame in frames])


def _facts(session: Session, truth: Masks) -> dict[str, Any]:
    labelled = [(one != two)[(one != 255) & (two != 255)].mean() for one, two in pairwise(truth)]
    return {
        **facts(),
        "device": session.device,
        "precision": session.facts.precision,
        "size_hw": list(session.facts.size_hw),
        "truth_flicker": 100 * float(np.mean(labelled)),
    }


def _ways() -> dict[str, Callable[[], Smooth]]:
    ways: dict[str, Callable[[], Smooth]] = {"off": lambda: lambda mask, frame: mask}
    ways |= {f"still {n}": (lambda n=n: _Threshold(n, smoothing.CHANGED)) for n in range(2, 6)}
    ways |= {f"everywhere {n}": (lambda n=n: _Threshold(n, NEVER)) for n in range(2, 6)}
    return ways | {f"majority {n}": (lambda n=n: _Majority(n)) for n in (3, 5)}


class _Threshold:
    """What is built in, with another threshold for a change of the picture."""

    def __init__(self, agreeing: int, changed: int) -> None:
        self._smoothing, self._changed = Smoothing(agreeing), changed

    def __call__(self, mask: Mask, frame: NDArray[np.uint8]) -> Mask:
        usual, smoothing.CHANGED = smoothing.CHANGED, self._changed
        try:
            return self._smoothing(mask, frame)
        finally:
            smoothing.CHANGED = usual


class _Majority:
    """The class that most of the last masks have; of equals the newest."""

    def __init__(self, count: int) -> None:
        self._count, self._last = count, list[Mask]()

    def __call__(self, mask: Mask, frame: NDArray[np.uint8]) -> Mask:
        self._last = [mask, *self._last[: self._count - 1]]
        winner, most = mask.copy(), np.zeros_like(mask)
        for one in self._last:
            votes = np.sum([one == other for other in self._last], axis=0, dtype=np.uint8)
            better = votes > most
            winner[better], most[better] = one[better], votes[better]
        return winner


def _smoothed(smooth: Smooth, raw: Masks, frames: Sequence[NDArray[np.uint8]]) -> tuple[Masks, float]:
    """The masks, and the median milliseconds of one."""
    masks, times_ms = [], []
    for mask, frame in zip(raw, frames, strict=True):
        started = perf_counter()
        masks.append(smooth(mask, frame))
        times_ms.append(1e3 * (perf_counter() - started))
    return np.stack(masks), median(times_ms)


def _figures(masks: Masks, truth: Masks, labels: LabelSet) -> dict[str, float]:
    """Percent: pixels that change from a mask to the next, of those whose truth stays, mean IoU, edges."""
    matrix = ConfusionMatrix(labels.names)
    for real, mask in zip(truth, masks, strict=True):
        matrix.update(real, mask)
    stays = (truth[1:] == truth[:-1]) & (truth[1:] < len(labels))
    return {
        "flicker": _flicker(masks),
        "flicker_where_truth_stays": 100 * float((masks[1:] != masks[:-1])[stays].mean()),
        "mean_iou": 100 * matrix.scores().mean_iou,
        "edges": 100 * float((masks[:, 1:] != masks[:, :-1]).mean() + (masks[..., 1:] != masks[..., :-1]).mean()),
    }


def _flicker(masks: Masks) -> float:
    return 100 * float((masks[1:] != masks[:-1]).mean())


def _delay(masks: Masks, raw: Masks, truth: Masks) -> float:
    """Mean frames from a lasting change of the truth until the mask shows the new class, AFTER + 1 at most.

    Of pixels whose raw mask was right before the change.
    """
    waits = []
    for index in range(BEFORE, len(truth) - AFTER):
        old, new = truth[index - 1], truth[index]
        lasting = (old != new) & (old != 255) & (new != 255) & (raw[index - 1] == old)
        lasting &= (truth[index - BEFORE : index] == old).all(axis=0)
        lasting &= (truth[index : index + AFTER + 1] == new).all(axis=0)
        shown = masks[index : index + AFTER + 1][:, lasting] == new[lasting]
        waits.append(np.where(shown.any(axis=0), shown.argmax(axis=0), AFTER + 1))
    return float(np.concatenate(waits).mean())


def _line(name: str, row: dict[str, float]) -> str:
    keys = ("flicker", "flicker_where_truth_stays", "fixed_camera", "mean_iou", "edges", "delay_frames", "ms")
    return f"| {name} | {' | '.join(f'{row[key]:.2f}' for key in keys)} |"


def _picture(frames: Sequence[NDArray[np.uint8]], raw: Masks, masks: Masks, labels: LabelSet) -> NDArray[np.uint8]:
    """Of three moments: the frame, mask and changed pixels without smoothing, mask and changed pixels with it."""
    rows = []
    for index in (20, 50, 80):
        cells = [frames[index]]
        for told in (raw, masks):
            changed = (told[index] != told[index - 1]).astype(np.uint8) * 255
            cells += [colourise(told[index], labels), cv2.cvtColor(changed, cv2.COLOR_GRAY2BGR).astype(np.uint8)]
        rows.append(np.hstack(cells))
    return np.vstack(rows)


if __name__ == "__main__":
    main()
