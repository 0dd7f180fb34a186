"""What it costs if onnxruntime's threads wait for work without sleeping: latency of a stream, and processor time.

.venv/bin/python -m benchmarks.spinning BUNDLE drive.mp4

A video is decoded and segmented, frame after frame and at ten frames a second, with spinning and without, in turns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from benchmarks.child import figures_of
from benchmarks.told import facts, medians
from fcn_edge.files import write_json

RESULT = Path(__file__).parent / "results" / "spinning.json"
PRECISIONS = ("fp32", "int8-cpu")
PACES_S = (0.0, 0.1)
FRAMES = 60

STREAM = f"""
import itertools, json, resource, sys, time
from pathlib import Path
from time import perf_counter
import numpy as np
from runtime import ort_session
from runtime.segmenter import Segmenter
from runtime.session import open_session
from runtime.sources.opening import open_path

def processor_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

bundle, video, precision, spinning, pace_s = sys.argv[1:]
ort_session.CONFIG["session.intra_op.allow_spinning"] = spinning
infer_ms = []
with open_session(Path(bundle), "onnxruntime", precision) as session:
    segmenter, frames = Segmenter(session), iter(open_path(Path(video)))
    for frame in itertools.islice(frames, 5):
        segmenter(frame.image)
    began, due = processor_s(), perf_counter()
    for frame in itertools.islice(frames, {FRAMES}):
        infer_ms.append(segmenter(frame.image).times_ms["infer"])
        due += float(pace_s)
        time.sleep(max(0.0, due - perf_counter()) if float(pace_s) else 0.0)
    used_s = processor_s() - began
p50, p95 = np.percentile(infer_ms, (50, 95))
print(json.dumps({{"infer_p50_ms": p50, "infer_p95_ms": p95, "processor_ms": 1e3 * used_s / len(infer_ms)}}))
"""


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.argument("video", type=click.Path(path_type=Path, exists=True))
@click.option("--rounds", default=7)
def main(bundle: Path, video: Path, rounds: int) -> None:
    """Print a table and keep it as JSON."""
    told: dict[str, Any] = {**facts(), "rounds": rounds}
    print("| ms a frame | infer p50 | p95 | of the processor |\n|---|---:|---:|---:|")
    for precision in PRECISIONS:
        for pace_s in PACES_S:
            for name, row in _in_turns(rounds, bundle, video, precision, pace_s).items():
                told[name] = row
                print(f"| {name} | {' | '.join(f'{value:.1f}' for value in row.values())} |", flush=True)
    write_json(RESULT, told)
    print(told["machine"])


def _in_turns(rounds: int, bundle: Path, video: Path, precision: str, pace_s: float) -> dict[str, dict[str, float]]:
    found: dict[str, list[dict[str, float]]] = {"1": [], "0": []}
    for _ in range(rounds):
        for spinning, rows in found.items():
            rows.append(figures_of("-c", STREAM, str(bundle), str(video), precision, spinning, str(pace_s)))
    pace = f"{1 / pace_s:.0f} fps" if pace_s else "at once"
    words = {"1": "spinning", "0": "sleeping"}
    return {f"{precision}, {pace}, {words[spinning]}": medians(rows) for spinning, rows in found.items()}


if __name__ == "__main__":
    main()
