"""The house: which room may import which, what the runtime never loads, and that every verb has a door."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).parent.parent

# Arrows point down only: room -> what it may import of ours.
MAY_IMPORT = {
    "fcn_edge": {"fcn_edge"},
    "fcn_edge.training": {"fcn_edge", "fcn_edge.training"},
    "calibration": {"calibration", "fcn_edge"},
    "runtime": {"runtime", "fcn_edge"},
    "export": {"export", "calibration", "runtime", "fcn_edge", "fcn_edge.training"},
}
ROOMS = ("fcn_edge.training", "fcn_edge", "calibration", "runtime", "export")
HEAVY = {"torch", "onnx", "onnxscript", "lightning", "safetensors", "tensorboard"}
MAY_LOAD = {"fcn_edge.training": HEAVY, "export": HEAVY, "calibration": {"onnx"}}


def modules() -> list[Path]:
    return sorted(
        path for room in ("fcn_edge", "calibration", "runtime", "export") for path in (ROOT / room).rglob("*.py")
    )


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the arrows"
            yield node.module or ""


def room_of(module: str) -> str | None:
    return next((room for room in ROOMS if module == room or module.startswith(room + ".")), None)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_arrows_point_down(path: Path) -> None:
    room = room_of(name_of(path))
    assert room is not None
    for module in imports(path):
        target = room_of(module)
        assert target is None or target in MAY_IMPORT[room], f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_heavy_libraries_are_imported_only_where_they_belong(path: Path) -> None:
    allowed = MAY_LOAD.get(room_of(name_of(path)) or "", set())
    assert not (HEAVY - allowed) & {module.split(".")[0] for module in imports(path)}


def test_the_check_of_arrows_finds_a_wrong_one(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def late():\n    from runtime.session import open_session\n")
    assert [room_of(module) for module in imports(wrong)] == ["runtime"]
    assert "runtime" not in MAY_IMPORT["calibration"]


NEVER = {"torch", "onnx", "lightning", "export", "calibration", "fcn_edge.training"}


def loaded_after(code: str) -> str:
    told = f"{code}\nimport sys\nprint(sorted({NEVER} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_importing_the_whole_runtime_loads_neither_torch_nor_onnx() -> None:
    names = [name_of(path) for path in modules() if room_of(name_of(path)) == "runtime" and path.stem != "__init__"]
    assert len(names) > 10
    assert loaded_after(f"import importlib\nfor name in {names}: importlib.import_module(name)") == "[]"


@pytest.mark.parametrize("verb", ["run", "bench"])
def test_run_and_bench_load_neither_torch_nor_onnx(verb: str, tiny_bundle: Path, tmp_path: Path) -> None:
    picture = write_picture(tmp_path)
    words = (
        ["run", str(picture), "null:", "--model", str(tiny_bundle)] if verb == "run" else ["bench", str(tiny_bundle)]
    )
    code = f"from fcn_edge.__main__ import main\nassert main({words}) == 0"
    assert loaded_after(code) == "[]"


def write_picture(folder: Path) -> Path:
    import cv2
    import numpy as np

    path = folder / "grey.png"
    assert cv2.imwrite(str(path), np.full((40, 50, 3), 90, np.uint8))
    return path


def test_eval_of_a_bundle_loads_neither_torch_nor_onnx(tiny_bundle: Path, street_folder: Path, tmp_path: Path) -> None:
    words = ["eval", str(tiny_bundle), f"folder:{street_folder}", "--json", "--report", str(tmp_path)]
    code = f"from fcn_edge.__main__ import main\nassert main({words}) == 0"
    assert "torch" not in loaded_after(code) and "onnx" not in loaded_after(code)


def test_every_package_is_listed() -> None:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = {name_of(path.parent) for path in modules() if path.name == "__init__.py"}
    assert set(content["tool"]["setuptools"]["packages"]) == found


def test_every_module_says_what_it_is() -> None:
    silent = [
        name_of(path) for path in modules() if path.read_text() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_no_module_hides_a_library() -> None:
    names = {path.stem for path in modules()} - {"__init__", "__main__"}
    assert not names & (HEAVY | {"av", "cv2", "numpy", "click", "rich", "onnxruntime", "statistics", "signal", "types"})


def test_the_repository_holds_no_paths_of_a_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    files = [ROOT / name for name in tracked.stdout.splitlines()] or modules()
    pattern = re.compile(r"/(?:root|home|work)/\w")
    texts = [path for path in files if path.suffix in (".py", ".md", ".toml", ".txt", ".json", "") and path.is_file()]
    assert not [
        path.name for path in texts if path != Path(__file__) and pattern.search(path.read_text(encoding="utf-8"))
    ]


# The wall clock may jump: only what names files, or tells a person the date, may read it. All else is monotonic.
MAY_READ_THE_WALL_CLOCK = {
    "runtime.sinks.series",  # names of recordings
    "runtime.sinks.segments",  # the same, and that they begin anew where it has jumped
    "runtime.display.viewer",  # names of snapshots
    "runtime.engine_choice",  # the day on which engines were compared
    "runtime.bench.result",  # when figures were measured
}
WALL_CLOCK = {
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "strftime", "asctime"},
    "datetime": {"now", "utcnow", "today", "fromtimestamp"},
    "date": {"today", "fromtimestamp"},
}


def readings_of_the_wall_clock(source: str) -> list[str]:
    """`time.time`, `datetime.now`, ... and `from time import time`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if node.attr in WALL_CLOCK.get(owner, ()):
                found.append(f"{owner}.{node.attr}")
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [f"time.{name.name}" for name in node.names if name.name in WALL_CLOCK["time"]]
    return found


def test_the_runtime_reads_the_wall_clock_only_where_it_names_files() -> None:
    runtime = [path for path in modules() if room_of(name_of(path)) == "runtime"]
    found = {name_of(path) for path in runtime if readings_of_the_wall_clock(path.read_text(encoding="utf-8"))}
    assert found == MAY_READ_THE_WALL_CLOCK


@pytest.mark.parametrize(
    "source", ["time.time()", "from time import time", "datetime.datetime.now()", "date.today()", "time.strftime('%H')"]
)
def test_a_reading_of_the_wall_clock_is_found(source: str) -> None:
    assert readings_of_the_wall_clock(source)
    assert not readings_of_the_wall_clock(
        f"time.monotonic(); time.sleep(1); from time import monotonic; '{source[:2]}'"
    )
