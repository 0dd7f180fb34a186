"""The contract tests notice what they are for: one wrong name, keyword, argument or type in the product fails them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gpu.bindings import bindings_of
from tests.gpu.contract import Done, Machine, copy_of_product

SESSION, BUILD, CUDA = "runtime/trt_session.py", "export/engine_build.py", "runtime/cuda.py"


@dataclass(frozen=True)
class Change:
    """One change of the product's source, and why it fails."""

    file: str
    before: str
    after: str
    reason: str
    version: str = "10.3.0"
    precision: str = "fp32"


CHANGES = {
    "a misspelt method": Change(
        SESSION, ".set_tensor_address(", ".set_tensor_adress(", "no attribute 'set_tensor_adress'"
    ),
    "an argument too many": Change(
        SESSION,
        "execute_async_v3(self._cuda.stream)",
        "execute_async_v3(self._cuda.stream, 0)",
        "incompatible function",
    ),
    "a keyword of another name": Change(
        BUILD,
        "create_network(_network_flags(trt))",
        "create_network(flag=_network_flags(trt))",
        "incompatible function",
    ),
    "a path where a string is wanted": Change(
        BUILD, "parse_from_file(str(onnx))", "parse_from_file(onnx)", "incompatible function"
    ),
    "a number where an enum is wanted": Change(
        BUILD,
        "config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED",
        "config.profiling_verbosity = 2",
        "incomp",
    ),
    "a flag that TensorRT 11 removed": Change(
        BUILD, "clear_flag(trt.BuilderFlag.TF32)", "clear_flag(trt.BuilderFlag.FP16)", "FP16", "11.4.0.106"
    ),
    "a property that TensorRT 11 removed": Change(
        SESSION,
        'if hasattr(engine, "device_memory_size_v2")',
        "if False",
        "no attribute 'device_memory_size'",
        "11.4.0.106",
    ),
    "a property that TensorRT 8 has not yet": Change(
        SESSION,
        'if hasattr(engine, "device_memory_size_v2")',
        "if True",
        "no attribute 'device_memory_size_v2'",
        "8.6.1",
    ),
    "INT8 that TensorRT 8 was not permitted": Change(
        BUILD, '"int8": ("INT8",)', '"int8": ()', "INT8 precision has been set", "8.6.1", "int8"
    ),
    "INT8 permitted where the network is typed": Change(
        BUILD,
        "if _is_weakly_typed(trt):",
        "if True:",
        "INT8 is set",
        "10.16.1.11",
        "int8",
    ),
    "too little memory on the GPU": Change(
        CUDA, "self.memory(host.nbytes)", "self.memory(host.nbytes // 2)", "no memory of the GPU behind"
    ),
}


def outcome(bundle: Path, folder: Path, change: Change, source: Path | None) -> Done:
    """A build and a run, as far as they come."""
    shutil.copytree(bundle, folder / "bundle")
    with Machine(bindings_of(change.version), folder, source=source) as machine:
        return machine("build", folder / "bundle", "--precision", change.precision)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_wrong_name_fails(change: Change, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    source = copy_of_product(tmp_path / "source")
    path = source / change.file
    text = path.read_text()
    assert text.count(change.before) == 1, f"{change.file} has changed: mend this test"
    path.write_text(text.replace(change.before, change.after))
    done = outcome(tiny_bundle, tmp_path, change, source)
    assert done.returncode != 0
    assert change.reason in done.stderr + "".join(done.breaches)


def test_an_unchanged_copy_of_the_source_passes(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    source = copy_of_product(tmp_path / "source")
    session = source / SESSION
    session.write_text(session.read_text() + '\nprint("from the copy")\n')
    done = outcome(tiny_bundle, tmp_path, next(iter(CHANGES.values())), source)
    assert (done.returncode, done.breaches) == (0, []), done.stderr
    assert "from the copy" in done.stdout
