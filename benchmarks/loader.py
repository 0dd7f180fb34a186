"""Whether reading and augmenting pictures keeps up with the training of the default network: both measured in turns.

What training wants is taken from steps on one thread, as if every further core took its full share, which is more
than it takes: the answer errs on the hard side, and a neighbour, who stalls threads that wait for each other, spoils
it less.

.venv/bin/python -m benchmarks.loader camvid:PATH/TO/camvid
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.processors import cores, threads
from benchmarks.told import facts, spread
from fcn_edge.datasets import Dataset, open_dataset, require_masks
from fcn_edge.files import write_json
from fcn_edge.labels import VOID
from fcn_edge.training.batches import Share, TrainingCrops, training_batches
from fcn_edge.training.checkpoint import Checkpoint
from fcn_edge.training.network import FCN, channels_last
from fcn_edge.training.segmentation import TrainingConfig, quick_precision

RESULT = Path(__file__).parent / "results" / "loader.json"
CONFIG = TrainingConfig()  # what `fcn-edge train` does unless told otherwise
WORKERS = (1, 2)
ROUNDS, BATCHES = 5, 4  # of each in a round
AHEAD = 2  # batches that torch's DataLoader keeps ready per worker

Batch = tuple[Tensor, Tensor]


class Step:
    """One step of training: forward, loss, backward, update."""

    def __init__(self, dataset: Dataset) -> None:
        # The default widths of `fcn-edge train`; its loss is weighted by class, which costs nothing.
        network = FCN("fcn8s", len(dataset.labels), width=0.25, fc_dim=512, norm="batch")
        self.network = channels_last(network).train()
        self.normalise = Checkpoint(network, dataset.labels).preprocessing.normalise
        self.optimiser = torch.optim.AdamW(self.network.parameters(), CONFIG.learning_rate, fused=True)
        self.half = quick_precision(CONFIG.precision) == "bf16-mixed"

    def __call__(self, batch: Batch) -> None:
        frames, masks = batch
        with torch.autocast("cpu", torch.bfloat16) if self.half else nullcontext():
            scores = self.network(self.normalise(frames))
        loss = functional.cross_entropy(scores.contiguous().float(), masks, ignore_index=VOID)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


class Batches:
    """Batches without end from a number of workers, epoch after epoch."""

    def __init__(self, dataset: Dataset, workers: int) -> None:
        self.workers = workers
        self.loader = training_batches(dataset, CONFIG.crop_hw, Share(CONFIG.batch_size), CONFIG.seed, workers)
        self.batches = self._endless()

    def _endless(self) -> Iterator[Batch]:
        for epoch in range(1000):
            self.loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
            for [batch] in self.loader:
                yield batch

    def use_up(self) -> None:
        """Without what lies ready, the next batches take as long as they take to make."""
        for _ in range(AHEAD * self.workers):
            next(self.batches)


@click.command()
@click.argument("data")
def main(data: str) -> None:
    """Measure steps alone, then batches alone and both together, with one worker and with two."""
    dataset = require_masks(open_dataset(data, "train"), data)
    step, loaders = Step(dataset), [Batches(dataset, workers) for workers in WORKERS]
    kept = next(loaders[0].batches)
    step(kept)
    rounds = [_round(step, kept, loaders) for _ in range(ROUNDS)]
    result = {
        **facts(),
        "batch": [CONFIG.batch_size, *CONFIG.crop_hw],
        "half_precision": step.half,
        "processor_time": _processor_time(step, kept, dataset),
        "workers": {str(loader.workers): _told(rounds, loader.workers) for loader in loaders},
        "rounds": rounds,
    }
    write_json(RESULT, result)
    _print(result)


def _round(step: Step, kept: Batch, loaders: list[Batches]) -> dict[str, float]:
    """Seconds of a batch: of a step on one thread, of each loader alone, of both, and of the waiting in the last."""
    with threads(1):
        seconds = {"step": _each(lambda: step(kept))}
    for loader in loaders:
        loader.use_up()
        seconds[f"load, {loader.workers}"] = _each(lambda loader=loader: next(loader.batches))
        seconds.update(_both(step, loader))
    return seconds


def _each(do: Callable[[], Any]) -> float:
    started = perf_counter()
    for _ in range(BATCHES):
        do()
    return (perf_counter() - started) / BATCHES


def _both(step: Step, loader: Batches) -> dict[str, float]:
    loader.use_up()
    waited, started = 0.0, perf_counter()
    for _ in range(BATCHES):
        asked = perf_counter()
        batch = next(loader.batches)
        waited += perf_counter() - asked
        step(batch)
    both = perf_counter() - started
    return {f"both, {loader.workers}": both / BATCHES, f"waited, {loader.workers}": waited / BATCHES}


def _processor_time(step: Step, kept: Batch, dataset: Dataset) -> dict[str, float]:
    """Milliseconds that one thread works for a crop, made and learnt."""
    crops = TrainingCrops(dataset, CONFIG.crop_hw, CONFIG.seed)
    with threads(1):  # as DataLoader's workers are
        learnt = _worked(lambda index: step(kept), BATCHES) / CONFIG.batch_size
        made = _worked(lambda index: crops[(0, index)], 40)
    return {"crop_made_ms": 1e3 * made, "crop_learnt_ms": 1e3 * learnt, "share": made / (made + learnt)}


def _worked(do: Callable[[int], Any], times: int) -> float:
    do(0)
    started = process_time()
    for index in range(times):
        do(index)
    return (process_time() - started) / times


def _told(rounds: list[dict[str, float]], workers: int) -> dict[str, Any]:
    alone, both = ([seconds[f"{what}, {workers}"] for seconds in rounds] for what in ("load", "both"))
    steps = [seconds["step"] / cores() for seconds in rounds]
    return {
        "crops_per_s": median(CONFIG.batch_size / seconds for seconds in alone),
        "crops_per_s_wanted": median(CONFIG.batch_size / seconds for seconds in steps),
        "times_faster_than_wanted": spread(np.divide(steps, alone)),
        "share_of_time_waited": spread(np.divide([seconds[f"waited, {workers}"] for seconds in rounds], both)),
    }


def _print(result: dict[str, Any]) -> None:
    print(result["machine"])
    cost = result["processor_time"]
    print(
        f"one thread makes a crop in {cost['crop_made_ms']:.1f} ms and learns from it in "
        f"{cost['crop_learnt_ms']:.0f} ms: {100 * cost['share']:.1f} % of the work is reading and augmenting"
    )
    print("\n| workers | crops a second | wanted at most | times faster | training waited |")
    print("|---:|---:|---:|---:|---:|")
    for workers, told in result["workers"].items():
        faster, waited = told["times_faster_than_wanted"], told["share_of_time_waited"]
        print(
            f"| {workers} | {told['crops_per_s']:.0f} | {told['crops_per_s_wanted']:.0f} | {faster['median']:.1f}x "
            f"({faster['p10']:.1f} - {faster['p90']:.1f}) | {100 * waited['median']:.1f} % |"
        )


if __name__ == "__main__":
    main()
