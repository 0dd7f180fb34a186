"""From ONNX to a plan: what TensorRT is told in each of its versions, and what a user is told when it fails.

TensorRT is a stand-in here; against its real bindings the same code is tested in `tests/gpu`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest

from export import engine_build
from export.engine_build import BuildOptions, BuiltEngine, engine_from_onnx
from fcn_edge.errors import ModelError, UsageError
from fcn_edge.files import sha256_of
from runtime.cuda_driver import Gpu
from runtime.engine_facts import EngineTensor
from runtime.tensorrt_library import logger_of
from tests.export.small_tensorrt import Config, SmallTensorrt

ORIN = Gpu("Orin (nvgpu)", "8.7", True, 8 << 30, "12.6")
MAJORS = (8, 10, 11)

Build = Callable[..., BuiltEngine]


@pytest.fixture
def build(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Build one of the tiny bundle's files with a stand-in for TensorRT; its timing cache is the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(engine_build, "find_gpu", lambda: ORIN)
    monkeypatch.setattr("runtime.tensorrt_library.find_gpu", lambda: ORIN)

    def build(trt: Any, precision: str = "int8", **options: Any) -> BuiltEngine:
        monkeypatch.setattr(engine_build, "load_tensorrt", lambda: trt)
        logger_of.cache_clear()
        path = tmp_path / f"model.{precision}.engine"
        return engine_from_onnx(tiny_bundle / f"model.{precision}.onnx", path, BuildOptions(**options))

    return build


def config_of(trt: SmallTensorrt) -> Config:
    (config,) = trt.configs
    return config


# -- what TensorRT is told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("major", "flags"), [(8, 1 << 0), (10, 1 << 1), (11, 1 << 0), (12, 0)])
def test_the_network_is_strongly_typed_where_that_can_be_and_has_an_explicit_batch_elsewhere(
    major: int, flags: int, build: Build
) -> None:
    trt = SmallTensorrt(major)
    build(trt)
    assert trt.network_flags == [flags]


@pytest.mark.parametrize(
    ("major", "precision", "flags"),
    [
        (8, "fp32", {"TF32": False}),
        (8, "fp16", {"TF32": False, "FP16": True}),
        (8, "int8", {"TF32": False, "INT8": True}),
        *((major, precision, {"TF32": False}) for major in (10, 11) for precision in ("fp32", "fp16", "int8")),
    ],
)
def test_flags_permit_what_the_file_asks_for_on_version_8_alone_and_float32_is_float32_everywhere(
    major: int, precision: str, flags: dict[str, bool], build: Build
) -> None:
    trt = SmallTensorrt(major)
    build(trt, precision)
    assert config_of(trt).flags == flags


@pytest.mark.parametrize("major", MAJORS)
def test_kernels_of_other_libraries_are_left_out_in_every_version(major: int, build: Build) -> None:
    trt = SmallTensorrt(major)
    build(trt)
    named = {name for name, number in trt.TacticSource.__members__.items() if config_of(trt).sources >> number & 1}
    assert named == {"EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"}


@pytest.mark.parametrize("major", MAJORS)
def test_the_engine_keeps_what_the_layer_report_reads(major: int, build: Build) -> None:
    trt = SmallTensorrt(major)
    build(trt)
    assert config_of(trt).profiling_verbosity == "detailed"  # type: ignore[attr-defined]


def test_the_users_limits_reach_tensorrt_and_by_default_there_are_none(build: Build) -> None:
    free, bound = SmallTensorrt(10), SmallTensorrt(10)
    build(free)
    build(bound, workspace_mib=64, level=5)
    assert "workspace" not in config_of(free).told and config_of(free).builder_optimization_level == 3
    assert config_of(bound).told["workspace"] == 64 << 20 and config_of(bound).builder_optimization_level == 5


def test_a_version_without_levels_builds_and_says_so(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    trt = SmallTensorrt(8, level=False)
    build(trt, level=5)
    assert "warning: TensorRT 8.6.1 has no levels of optimisation; --level is left out" in capsys.readouterr().err
    assert not hasattr(config_of(trt), "builder_optimization_level")


# -- the timing cache -----------------------------------------------------------------------------------------------


def test_a_second_build_starts_from_the_first_ones_timings(build: Build, tmp_path: Path) -> None:
    build(SmallTensorrt(10))
    (kept,) = (tmp_path / "cache").rglob("*.cache")
    assert kept.name == "10.6.1-Orin-nvgpu-sm8.7.cache" and kept.read_bytes() == b"timed"
    build(SmallTensorrt(10))
    assert kept.read_bytes() == b"timedtimed"


def test_the_user_may_name_the_file(build: Build, tmp_path: Path) -> None:
    build(SmallTensorrt(10), timing_cache=tmp_path / "mine")
    assert (tmp_path / "mine").read_bytes() == b"timed" and not list((tmp_path / "cache").rglob("*.cache"))


def test_without_a_timing_cache_none_is_given_or_written(build: Build, tmp_path: Path) -> None:
    trt = SmallTensorrt(10)
    build(trt, use_timing_cache=False)
    assert "timing cache" not in config_of(trt).told and not (tmp_path / "cache").exists()


# -- what comes out -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("major", MAJORS)
def test_the_facts_tell_file_machine_options_and_tensors(major: int, build: Build, tiny_bundle: Path) -> None:
    trt = SmallTensorrt(major)
    built = build(trt, workspace_mib=64, timing_cache=tiny_bundle.parent / "cache")
    facts = built.facts
    assert built.path.read_bytes() == b"plan"
    assert (facts.engine_bytes, facts.engine_sha256) == (4, sha256_of(built.path))
    assert (facts.onnx_name, facts.onnx_sha256) == ("model.int8.onnx", sha256_of(tiny_bundle / "model.int8.onnx"))
    assert (facts.model.precision, facts.model.size_hw, len(facts.model.labels)) == ("int8", (64, 96), 11)
    assert facts.built_with.tensorrt == trt.__version__ and facts.built_with.gpu == "Orin (nvgpu)"
    assert (facts.built_with.compute_capability, facts.built_with.integrated) == ("8.7", True)
    assert facts.tensors == (
        EngineTensor("frame", "input", (1, 64, 96, 3), "uint8"),
        EngineTensor("mask", "output", (1, 64, 96), "uint8"),
    )
    assert facts.options == {"workspace_mib": 64, "level": None}, "and no path of this machine"
    assert facts.scores == {} and facts.scored_on == ""
    assert built.seconds > 0


def test_the_layers_are_held_against_what_the_file_asks_for(build: Build) -> None:
    trt = SmallTensorrt(10)
    row = {"Name": "conv1_1 + node_relu", "LayerType": "CaskConvolution", "Weights": {"Type": "Int8", "Count": 1}}
    trt.information = json.dumps({"Layers": [row]})
    layers = build(trt).layers
    assert layers.held == 1 and len(layers.wanted) == 15 and "fc7" in layers.missed and "score_fr" not in layers.wanted


def test_nobody_else_may_write_the_engine(build: Build) -> None:
    assert not stat.S_IMODE(build(SmallTensorrt(10)).path.stat().st_mode) & 0o022


# -- what goes wrong ------------------------------------------------------------------------------------------------


def parser_error(node: Any, words: str) -> Any:
    return SimpleNamespace(desc=lambda: words, node=lambda: 7, **({"node_name": lambda: node} if node else {}))


def test_every_error_of_the_parser_is_in_the_one_line_with_its_node(build: Build, tmp_path: Path) -> None:
    trt = SmallTensorrt(10)
    trt.parser_errors = [parser_error("conv1_1", "Assertion\n failed"), parser_error("node_relu", "unsupported")]
    with pytest.raises(ModelError) as refusal:
        build(trt)
    told = str(refusal.value)
    assert "node conv1_1: Assertion failed; node node_relu: unsupported" in told and "\n" not in told
    assert "TensorRT 10.6.1" in told and told.endswith("see `fcn-edge check`")
    assert not list(tmp_path.glob("*.engine*"))


def test_version_8_tells_nodes_by_their_number(build: Build) -> None:
    trt = SmallTensorrt(8)
    trt.parser_errors = [parser_error(None, "unsupported")]
    with pytest.raises(ModelError, match="node 7: unsupported"):
        build(trt)


def test_a_failed_build_tells_tensorrts_own_reason_and_leaves_nothing(build: Build, tmp_path: Path) -> None:
    trt = SmallTensorrt(10)
    trt.plan = None
    with pytest.raises(ModelError, match=r"found: Error Code 2: no kernel; free memory") as refusal:
        build(trt)
    assert refusal.value.exit_code == 4 and not list(tmp_path.glob("*.engine*"))


def test_a_library_that_gives_no_builder_is_one_line(build: Build) -> None:
    trt = SmallTensorrt(10)

    def nothing(log: Any) -> None:
        log.log(trt.ILogger.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    trt.Builder = nothing  # type: ignore[assignment]
    with pytest.raises(ModelError, match="CUDA initialization failure with error: 35"):
        build(trt)


def test_an_error_of_an_earlier_build_is_not_told_again(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    trt = SmallTensorrt(10)
    trt.plan = None
    with pytest.raises(ModelError):
        build(trt)
    trt.error = "Error Code 4: another"
    monkeypatch.setattr(logger_of, "cache_clear", lambda: None)
    with pytest.raises(ModelError, match="another"):
        build(trt)


def test_a_build_that_was_stopped_leaves_nothing_and_keeps_no_timings(build: Build, tmp_path: Path) -> None:
    trt = SmallTensorrt(10)

    def stopped(config: Any) -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        deadline = time.monotonic() + 10
        while config.progress_monitor.step_complete("Timing", 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        return False

    trt.during_build = stopped
    with pytest.raises(KeyboardInterrupt):
        build(trt)
    assert not list(tmp_path.glob("*.engine*")) and not list(tmp_path.rglob("*.cache"))


def test_a_file_that_is_no_plain_onnx_never_reaches_tensorrt(build: Build, tiny_bundle: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_bundle / "model.int8.onnx")
    model.graph.node[0].domain = "com.example"
    onnx.save(model, tmp_path / "custom.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    for name, found in (("custom", "com.example"), ("empty", "0 bytes")):
        with pytest.raises(ModelError, match=found):
            engine_from_onnx(tmp_path / f"{name}.onnx", tmp_path / "x.engine", BuildOptions())


def test_a_file_for_cpus_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"fp32, fp16, int8.*found int8-cpu"):
        engine_from_onnx(tiny_bundle / "model.int8-cpu.onnx", tmp_path / "x.engine", BuildOptions())


def test_a_file_of_another_exporter_is_refused_for_it_says_no_classes(tmp_path: Path) -> None:
    from tests.export.small_graphs import float_graph

    onnx.save(float_graph(), tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="exported by fcn-edge"):
        engine_from_onnx(tmp_path / "other.onnx", tmp_path / "x.engine", BuildOptions())


def test_without_a_gpu_one_line_says_so_before_anything_is_hashed(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.cuda_driver.LIBRARY", "libcuda-that-is-not-there.so.1")
    onnx_file = shutil.copy(tiny_bundle / "model.int8.onnx", tmp_path)
    with pytest.raises(ModelError, match="wanted an NVIDIA GPU, found no NVIDIA driver"):
        engine_from_onnx(Path(onnx_file), tmp_path / "x.engine", BuildOptions())
