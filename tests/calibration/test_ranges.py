"""Histograms of activations: exact to a bin however the range grew, of every ReLU, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from calibration import ranges
from calibration.image_set import CalibrationSet, pick
from calibration.ranges import BINS, Histogram, Histograms, observe, relu_outputs
from fcn_edge.datasets import open_dataset
from fcn_edge.errors import ModelError, SourceError
from fcn_edge.images import fit_frame
from tests.calibration.graphs import chain, save
from tests.calibration.pictures import skewed
from tests.conftest import SIZE_HW

MIB = 1 << 20


def histogram_of(*parts: NDArray[np.float32]) -> Histogram:
    histogram = Histogram()
    for part in parts:
        histogram.add(part)
    return histogram


def relus(shape: tuple[int, ...], scale: float, seed: int = 0) -> NDArray[np.float32]:
    """Half zeros, half a half of a bell."""
    values = np.random.default_rng(seed).normal(0, scale, shape)
    return np.maximum(values, 0).astype(np.float32)


def assert_counts(histogram: Histogram, values: NDArray[np.float32]) -> None:
    """As numpy counts, but for values within rounding of an edge."""
    wanted = np.histogram(values, BINS, (0, histogram.high))[0]
    assert histogram.counts.sum() == values.size
    np.testing.assert_allclose(np.cumsum(histogram.counts), np.cumsum(wanted), rtol=0, atol=3)
    assert histogram.maximum == values.max()


def test_one_batch_is_counted_as_numpy_counts() -> None:
    values = relus((1, 8, 60, 70), 3.0)
    histogram = histogram_of(values)
    assert_counts(histogram, values)
    assert histogram.maximum < histogram.high < 1.01 * histogram.maximum


@pytest.mark.parametrize("scales", [(1.0, 1.5, 3.0), (1.0, 300.0), (5.0, 0.1, 0.001), (1e-20, 1e-3), (1e6, 1e7)])
def test_a_range_that_grew_counts_as_if_it_had_been_known(scales: tuple[float, ...]) -> None:
    parts = [relus((1, 4, 50, 50), scale, seed) for seed, scale in enumerate(scales)]
    histogram = histogram_of(*parts)
    assert_counts(histogram, np.concatenate([part.ravel() for part in parts]))


def test_the_range_at_most_doubles_what_is_needed() -> None:
    histogram = histogram_of(*(np.full((2, 2), value, np.float32) for value in (1, 7, 50, 49)))
    assert 50 < histogram.high <= 101
    assert histogram.maximum == 50


@pytest.mark.parametrize("first", [0.0, 2.0])
def test_a_dead_picture_counts_as_zeros(first: float) -> None:
    live, dead = relus((1, 2, 30, 30), first or 4.0), np.zeros((1, 2, 30, 30), np.float32)
    parts = [live, dead] if first else [dead, live]
    assert_counts(histogram_of(*parts), np.concatenate([part.ravel() for part in parts]))


def test_a_layer_that_is_never_active_has_its_zeros_in_the_first_bin() -> None:
    histogram = histogram_of(np.zeros((4, 5), np.float32), np.zeros((2, 5), np.float32))
    assert (histogram.maximum, histogram.counts[0], histogram.counts.sum()) == (0, 30, 30)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -0.5])
def test_what_no_relu_gives_is_refused(bad: float) -> None:
    values = relus((1, 2, 5, 5), 1.0)
    values[0, 1, 2, 3] = bad
    with pytest.raises(ModelError, match="finite"):
        histogram_of(values)


def test_a_copy_stays_as_it_was() -> None:
    histogram = histogram_of(relus((10, 10), 1.0))
    copy = histogram.copy()
    before = (copy.counts.copy(), copy.high, copy.maximum)
    histogram.add(relus((10, 10), 9.0))
    assert copy.counts.sum() == 100 != histogram.counts.sum()
    np.testing.assert_array_equal(copy.counts, before[0])
    assert (copy.high, copy.maximum) == before[1:]


# The network.


@pytest.fixture(scope="session")
def streets(street_folder: Path) -> CalibrationSet:
    return pick(open_dataset(f"folder:{street_folder}", "train"), 4)


def last(found: Iterator[Histograms]) -> Histograms:
    *_, histograms = found
    return histograms


def activations(fp32: Path, pictures: CalibrationSet) -> dict[str, list[NDArray[np.float32]]]:
    """What onnxruntime gives behind each ReLU, picture by picture, from a graph that hands all of them out."""
    model = onnx.load(fp32)
    names = {
        node.name: relu.output[0]
        for node in model.graph.node
        for relu in model.graph.node
        if node.op_type == "Conv" and relu.op_type == "Relu" and relu.input[0] == node.output[0]
    }
    for tensor in names.values():
        model.graph.output.append(onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: dict[str, list[NDArray[np.float32]]] = {layer: [] for layer in names}
    for index in pictures.indices:
        frame = fit_frame(pictures.dataset.image(index), SIZE_HW)
        for layer, values in zip(names, session.run(list(names.values()), {"frame": frame[None]}), strict=True):
            found[layer].append(values)
    return found


def test_every_relu_is_seen_as_onnxruntime_computes_it(tiny_bundle: Path, streets: CalibrationSet) -> None:
    fp32 = tiny_bundle / "model.fp32.onnx"
    wanted = activations(fp32, streets)
    seen = [
        {layer: histogram.copy() for layer, histogram in found.items()} for found in observe(fp32, streets, SIZE_HW)
    ]
    assert len(seen) == 4 and {"conv1_1", "conv5_3", "fc6", "fc7"} <= set(wanted) == set(seen[0])
    for count, histograms in enumerate(seen, start=1):
        for layer, histogram in histograms.items():
            assert_counts(histogram, np.concatenate([values.ravel() for values in wanted[layer][:count]]))
    assert any(histogram.maximum > 0 for histogram in seen[-1].values())


def test_pictures_of_another_size_are_stretched_as_the_runtime_does(tmp_path: Path) -> None:
    fp32 = save(chain([np.eye(3, dtype=np.float32)], (8, 8)), tmp_path / "m.onnx")
    pictures = CalibrationSet(skewed(300), (7, 200), 0)  # 10x10 pixels of the value 7, then 200
    (histogram,) = last(observe(fp32, pictures, (8, 8))).values()
    assert histogram.maximum == 200
    assert histogram.counts.sum() == 2 * 3 * 64
    assert np.flatnonzero(histogram.counts).tolist() == [int(v * BINS / histogram.high) for v in (7, 200)]


class Watched(onnxruntime.InferenceSession):  # type: ignore[misc]
    """A session that notes how many bytes each run hands over."""

    handed: list[int] = []  # noqa: RUF012

    def run(self, *arguments: Any) -> Any:
        outputs = super().run(*arguments)
        self.handed.append(sum(output.nbytes for output in outputs))
        return outputs


def test_runs_hand_over_so_much_at_once_and_no_result_depends_on_it(
    tiny_bundle: Path, streets: CalibrationSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fp32 = tiny_bundle / "model.fp32.onnx"
    sizes = [values[0].nbytes for values in activations(fp32, streets).values()]
    whole = last(observe(fp32, streets, SIZE_HW))
    monkeypatch.setattr(ranges.onnxruntime, "InferenceSession", Watched)
    for limit in (sum(sizes), 2 * max(sizes), max(sizes) // 2):
        monkeypatch.setattr(ranges, "BYTES_AT_ONCE", limit)
        Watched.handed.clear()
        found = last(observe(fp32, streets, SIZE_HW))
        assert sum(Watched.handed) == len(streets) * sum(sizes)
        assert max(Watched.handed) <= max(limit, max(sizes))  # one that is larger must go alone
        assert (len(Watched.handed) > len(streets)) == (limit < sum(sizes))
        assert list(found) == list(whole)
        for layer, histogram in found.items():
            assert (histogram.high, histogram.maximum) == (whole[layer].high, whole[layer].maximum)
            np.testing.assert_array_equal(histogram.counts, whole[layer].counts)


PEAK = """
import sys
from pathlib import Path
import numpy as np
from calibration import ranges
from calibration.image_set import CalibrationSet

class Noise:
    def image(self, index):
        return np.random.default_rng(index).integers(0, 256, (256, 256, 3), np.uint8)

def peak():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) >> 10

ranges.BYTES_AT_ONCE = int(sys.argv[2])
before = peak()
list(ranges.observe(Path(sys.argv[1]), CalibrationSet(Noise(), (0,), 0), (256, 256)))
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to tell the peak")
def test_the_limit_bounds_the_memory_of_the_process(tmp_path: Path) -> None:
    layers = 24
    weights = [np.ones((64, 1 if number else 3), np.float32) for number in range(layers)]
    fp32 = save(chain(weights, (256, 256)), tmp_path / "wide.onnx")  # 16 MiB behind each ReLU
    command = [sys.executable, "-c", PEAK, str(fp32), str(32 * MIB)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) < 160  # MiB: the network's 32, numpy's copy, and what a layer works with; all are 384


def test_a_picture_that_cannot_be_read_is_named(tiny_bundle: Path, street_folder: Path, tmp_path: Path) -> None:
    images = tmp_path / "images" / "train"
    images.mkdir(parents=True)
    (tmp_path / "labels.json").write_bytes((street_folder / "labels.json").read_bytes())
    for name in ("000.png", "001.png"):
        (images / name).write_bytes((street_folder / "images" / "train" / name).read_bytes())
    pictures = CalibrationSet(open_dataset(f"folder:{tmp_path}", "train"), (0, 1), 0)
    (images / "001.png").write_bytes(b"no picture any more")
    found = observe(tiny_bundle / "model.fp32.onnx", pictures, SIZE_HW)
    next(found)
    with pytest.raises(SourceError, match=r"001\.png"):
        next(found)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_network_that_computes_no_numbers_is_refused(tmp_path: Path, bad: float) -> None:
    weights = np.eye(3, dtype=np.float32)
    weights[1, 1] = bad
    fp32 = save(chain([weights], (10, 10)), tmp_path / "bad.onnx")
    with pytest.raises(ModelError, match="finite"):
        last(observe(fp32, CalibrationSet(skewed(5), (3,), 0), (10, 10)))


def test_only_convolutions_with_a_relu_are_listed() -> None:
    weights = [np.eye(3, dtype=np.float32)] * 2
    assert relu_outputs(chain(weights, (8, 8)).graph) == {"layer0": "relu0", "layer1": "relu1"}
    assert relu_outputs(chain(weights, (8, 8), relu=False).graph) == {}
