"""`fcn-edge` on every version of TensorRT that it serves: real bindings, real pycuda, stand-ins for driver and library.

This proves names, arguments, order of calls and flow. What a GPU computes, and how fast, it does not touch.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fcn_edge.datasets import open_dataset
from fcn_edge.palette_png import decode_palette_png
from runtime.engine_facts import sidecar_of
from runtime.ort_session import OrtSession
from tests.conftest import assert_refused, call_fcn_edge
from tests.gpu.contract import Built, Machine
from tests.gpu.simulation import TIMINGS

PRECISIONS = ("fp32", "fp16", "int8")

# Builder flags. A float32 file is computed in float32; 8.x permits what later versions read from the file.
WEAKLY_TYPED: dict[str, list[str]] = {"fp32": [], "fp16": ["FP16"], "int8": ["INT8"]}
STRONGLY_TYPED: dict[str, list[str]] = {"fp32": [], "fp16": [], "int8": []}

# A session enqueues twice: once plainly, once into its CUDA graph.
PER_SESSION = 2


@pytest.fixture
def spoiled(built: Built, tmp_path: Path) -> Path:
    """A copy of the fp32 engine and its sidecar that a test may spoil."""
    engine = tmp_path / "model.fp32.engine"
    shutil.copy(built.engine("fp32"), engine)
    shutil.copy(sidecar_of(built.engine("fp32")), sidecar_of(engine))
    return engine


def test_a_bundle_is_built_in_every_precision_and_proved(built: Built) -> None:
    engines = built.done.json["engines"]
    assert [engine["precision"] for engine in engines] == list(PRECISIONS)
    assert all(engine["scores"]["mean_iou"] is not None for engine in engines)
    assert engines[0]["scores"]["agreement"] == 1 and engines[0]["scores"]["mean_iou_drop"] == 0
    assert all(built.engine(name).is_file() and sidecar_of(built.engine(name)).is_file() for name in PRECISIONS)
    assert not built.done.breaches


def test_the_inspector_proves_int8(built: Built) -> None:
    layers = built.done.json["engines"][-1]["layers"]
    assert layers["int8_held"] == layers["int8_wanted"] > 10 and not layers["int8_missed"]


def test_precision_is_permitted_on_8_and_in_the_network_from_10_on(built: Built, machine: Machine) -> None:
    wanted = WEAKLY_TYPED if machine.major == 8 else STRONGLY_TYPED
    network = ["EXPLICIT_BATCH"] if machine.major == 8 else ["STRONGLY_TYPED"]
    assert [build["flags"] for build in built.done.built] == list(wanted.values())
    assert [build["network_flags"] for build in built.done.built] == [network] * 3


def test_progress_is_told_from_10_on(built: Built, machine: Machine) -> None:
    assert {build["progress"] for build in built.done.built} == {machine.major >= 10}


def test_a_second_build_measures_no_kernel_again(built: Built, machine: Machine, data: str) -> None:
    again = machine("build", built.bundle, "--precision", "int8", "--data", data, "--json")
    assert again.returncode == 0, again.stderr
    assert (built.done.built[2]["timed"] > 0, again.built[0]["timed"]) == (True, 0)


def test_a_timing_cache_of_another_tensorrt_is_told_and_left_as_it_is(
    built: Built, machine: Machine, tmp_path: Path
) -> None:
    onnx = shutil.copy(built.bundle / "model.fp32.onnx", tmp_path)
    cache = tmp_path / "kernels.cache"
    cache.write_bytes(before := TIMINGS + b'{"version": "9.9.9", "kernels": {}}')
    done = machine("build", onnx, "--timing-cache", cache)
    assert (done.returncode, done.breaches) == (0, []), done.stderr
    assert "kernels.cache is no timing cache of this TensorRT" in done.stderr
    assert cache.read_bytes() == before


def test_options_of_the_build_reach_tensorrt(built: Built, machine: Machine, tmp_path: Path) -> None:
    onnx = shutil.copy(built.bundle / "model.fp32.onnx", tmp_path)
    done = machine("build", onnx, "--workspace", 64, "--level", 1, "--no-timing-cache")
    assert (done.returncode, done.breaches) == (0, []), done.stderr
    assert done.built[0]["pools"] == {"WORKSPACE": 64 << 20}
    has_levels = not machine.version.startswith("8.5.")
    assert ("IBuilderConfig.builder_optimization_level=(1)" in done.calls) == has_levels
    assert not [call for call in done.calls if "timing_cache" in call]


def test_ctrl_c_ends_a_build_and_leaves_the_older_engine(built: Built, machine: Machine) -> None:
    before = built.engine("fp16").read_bytes()
    done = machine("build", built.bundle, "--precision", "fp16", "--no-timing-cache", interrupted=True)
    assert (done.returncode, done.breaches) == (130, []), done.stderr
    assert built.engine("fp16").read_bytes() == before
    assert not list(built.bundle.glob(".build-*"))
    assert bool(done.built) == (machine.major == 8)  # which cannot break a build off


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_engine_is_found_fit_for_the_machine_that_built_it(built: Built, machine: Machine, precision: str) -> None:
    done = machine("check", built.engine(precision), "--json")
    assert done.returncode == 0 and done.json["passed"], done.stderr


@pytest.mark.parametrize("precision", PRECISIONS)
def test_masks_are_those_of_onnxruntime(
    built: Built, machine: Machine, street_folder: Path, precision: str, tmp_path: Path
) -> None:
    pictures = street_folder / "images" / "val"
    done = machine("run", pictures, tmp_path / "{name}.png", "--model", built.engine(precision))
    assert (done.returncode, done.breaches) == (0, []), done.stderr
    assert (done.enqueued, done.run > len(list(pictures.iterdir()))) == (PER_SESSION, True)
    dataset = open_dataset(f"folder:{street_folder}", "val")
    with OrtSession(built.bundle / f"model.{precision}.onnx") as session:
        for index, picture in enumerate(sorted(pictures.iterdir())):
            found = decode_palette_png((tmp_path / f"{picture.stem}.png").read_bytes())
            assert found is not None and np.array_equal(found, session.infer(dataset.image(index)))


def test_bench_tells_copies_and_computing_apart(built: Built, machine: Machine) -> None:
    done = machine("bench", built.engine("int8"), "--frames", 3, "--warmup", 0, "--json", "-")
    assert (done.returncode, done.breaches) == (0, []), done.stderr
    figures = done.json
    assert {"infer", "infer.h2d", "infer.compute", "infer.d2h"} <= set(figures["stages_ms"])
    assert f"TensorRT {machine.version}" in figures["device"] and "CUDA graph" in figures["device"]
    assert done.enqueued == PER_SESSION


def test_a_bundle_is_served_on_tensorrt_and_without_a_cuda_graph_where_that_is_asked(
    built: Built, machine: Machine
) -> None:
    choice = ("--engine", "tensorrt", "--precision", "fp16", "--no-cuda-graph")
    done = machine("bench", built.bundle, *choice, "--frames", 3, "--warmup", 0, "--json", "-")
    assert (done.returncode, done.breaches) == (0, []), done.stderr
    assert "fp16" in done.json["device"] and "no CUDA graph" in done.json["device"]
    assert done.enqueued == done.run > 3


def test_every_engine_of_a_bundle_competes_with_the_cpu_once(built: Built, machine: Machine, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(built.bundle, tmp_path / "bundle"))
    bench = ("bench", bundle, "--frames", 3, "--warmup", 0, "--json", "-")
    first, second = machine(*bench), machine(*bench)
    assert (first.returncode, first.breaches, second.returncode, second.breaches) == (0, [], 0, []), first.stderr
    competing = [*(f"tensorrt {precision}" for precision in PRECISIONS), "openvino int8-cpu", "onnxruntime int8-cpu"]
    assert all(name in first.stderr for name in competing) and "measured now" in first.stderr, first.stderr
    assert "measured on 20" in second.stderr and second.json["device"] == first.json["device"]


def test_eval_scores_an_engine_as_its_onnx_file(built: Built, machine: Machine, data: str) -> None:
    done = machine("eval", built.engine("fp16"), data, "--json")
    assert (done.returncode, done.breaches) == (0, []), done.stderr
    onnx = call_fcn_edge("eval", built.bundle / "model.fp16.onnx", data, "--engine", "onnxruntime", "--json")
    for score in ("pixel_accuracy", "mean_iou", "per_class_iou"):
        assert done.json[score] == json.loads(onnx.stdout)[score]


def test_a_plan_that_was_cut_short_is_refused_in_one_line(machine: Machine, spoiled: Path) -> None:
    spoiled.write_bytes(spoiled.read_bytes()[:-100])
    assert_refused(machine("bench", spoiled), 4, "model.fp32.engine", "wanted")
    opened = machine("bench", spoiled, "--trust-engine")
    assert_refused(opened, 4, "model.fp32.engine", f"TensorRT {machine.version} opens", "Unexpected end")


def test_a_plan_of_another_tensorrt_is_refused_in_tensorrts_own_words(machine: Machine, spoiled: Path) -> None:
    spoiled.write_bytes(spoiled.read_bytes().replace(f'"{machine.version}"'.encode(), b'"9.9.9"', 1))
    opened = machine("bench", spoiled, "--trust-engine")
    assert_refused(opened, 4, "model.fp32.engine", f"expecting library version {machine.version} got 9.9.9")


def test_an_engine_that_fails_at_its_first_run_is_refused_in_one_line(built: Built, machine: Machine) -> None:
    done = machine("bench", built.engine("fp32"), failing_after=0)
    assert_refused(done, 4, "model.fp32.engine")
