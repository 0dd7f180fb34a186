"""Whether two runs of one comparison agree, and a planted slowdown of 10 % is found: by --compare, and by a card.

.venv/bin/python -m benchmarks.agreement BUNDLE

The model beside itself, the model beside itself with a tenth of its time waited away after each frame, both `--runs`
times; then a card of it, and as many processes that measure against it, with the slowdown and without, in turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import stdev
from time import perf_counter
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.told import facts
from fcn_edge.files import write_json
from runtime.bench.compare import compare
from runtime.bench.contestants import Contestant, contestant_of
from runtime.bench.ratios import Interval, is_different
from runtime.bench.spells import Pace
from runtime.session_protocol import Session

RESULT = Path(__file__).parent / "results" / "agreement.json"
SLOWDOWN = 1.10

# `fcn-edge` whose sessions are slowed down.
AGAINST = """
import sys
from benchmarks.agreement import Slowed
from fcn_edge.__main__ import main
from runtime.bench import again
if sys.argv.pop(1) == "slowed":
    again.Contestant = Slowed
sys.exit(main(sys.argv[1:]))
"""


class SlowedSession:
    """Each frame takes SLOWDOWN times as long."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def infer(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        started = perf_counter()
        mask = self._session.infer(frame)
        until = perf_counter() + (SLOWDOWN - 1) * (perf_counter() - started)
        while perf_counter() < until:
            pass
        return mask

    def __enter__(self) -> SlowedSession:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()


@dataclass(frozen=True)
class Slowed(Contestant):
    """Its sessions of spells are slowed."""

    def open_again(self) -> Session:
        return SlowedSession(super().open_again())


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--runs", default=10)
@click.option("--seconds", default=Pace.limit_s)
def main(bundle: Path, runs: int, seconds: float) -> None:
    """Print what was found, and keep it as JSON."""
    usual = replace(contestant_of(str(bundle), Contestant("", Path())), name="itself")
    slowed = Slowed("slowed", usual.model)
    same: list[Interval] = []
    planted: list[Interval] = []
    for seed in range(runs):
        for other, found in ((replace(usual, name="itself again"), same), (slowed, planted)):
            ratio = compare([usual, other], Pace(limit_s=seconds, seed=seed)).rows[1].ratio
            assert ratio
            found.append(ratio)
            print(f"{other.name}: {ratio.told()}", flush=True)
    told = {"beside itself": _told(same), "beside itself slowed": _told(planted)}
    told |= {f"against its card, {name}": outcomes for name, outcomes in _against(bundle, runs).items()}
    for name, row in told.items():
        print(f"{name}: {json.dumps(row)}")
    write_json(RESULT, {**facts(), "runs": runs, **told})


def _told(ratios: Sequence[Interval]) -> dict[str, Any]:
    agree = sum(one.low <= other.high and other.low <= one.high for one, other in pairwise(ratios))
    return {
        "ratios": [ratio.to_json() for ratio in ratios],
        "called different": sum(map(is_different, ratios)),
        "neighbouring runs that agree": agree,
        "widest half": max(ratio.half_width for ratio in ratios),
    }


def _against(bundle: Path, runs: int) -> dict[str, dict[str, Any]]:
    found: dict[str, list[dict[str, Any]]] = {"as it is": [], "slowed": []}
    with tempfile.TemporaryDirectory() as folder:
        card = Path(folder) / "card.json"
        _bench("as it is", bundle, "--card", card)
        for _ in range(runs):
            for name, outcomes in found.items():
                outcomes.append(json.loads(_bench(name, bundle, "--against", card, "--json", "-")))
                print(f"against its card, {name}: {outcomes[-1]['verdict']}", flush=True)
    return {name: _verdicts(outcomes) for name, outcomes in found.items()}


def _bench(name: str, *words: object) -> str:
    command = [sys.executable, "-c", AGAINST, name, "bench", *map(str, words)]
    root = Path(__file__).parent.parent
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=root).stdout


def _verdicts(outcomes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """`runs apart`: the deviation of the logarithms of the ratios, which the spells' own spread is part of."""
    ratios = [outcome["time_over_cards"]["value"] for outcome in outcomes]
    return {
        "verdicts": Counter(outcome["verdict"] for outcome in outcomes),
        "ratios": ratios,
        "runs apart": stdev(map(float, np.log(ratios))),
    }


if __name__ == "__main__":
    main()
