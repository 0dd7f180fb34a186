"""runtime.sources.opening: pictures and folders of them, odd ones too."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from fcn_edge.datasets.street import draw_street
from fcn_edge.errors import SourceError
from fcn_edge.images import read_mask
from runtime.segmenter import Segmenter
from runtime.session import open_session
from runtime.sources.opening import open_path
from tests.conftest import assert_refused, run_fcn_edge
from tests.runtime.sinks.test_recorder import left_in

MAX_MEMORY_KB = 1_000_000


def write_pictures(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), draw_street(seed, size_hw=(50, 70))[0])
    return folder


def spoil(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text("no picture")
    return folder


def test_a_folders_pictures_come_by_name(tmp_path: Path) -> None:
    source = open_path(write_pictures(tmp_path, "b.png", "a.bmp", "c.PNG"))
    frames = list(source)
    assert [(frame.index, frame.name, frame.time) for frame in frames] == [
        (0, "a.bmp", None),
        (1, "b.png", None),
        (2, "c.PNG", None),
    ]
    assert (source.count, source.rate, source.bad) == (3, None, 0)


def test_a_picture_is_what_opencv_reads(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.jpg")
    (frame,) = open_path(tmp_path / "a.jpg")
    assert np.array_equal(frame.image, cv2.imread(str(tmp_path / "a.jpg")))


def test_files_that_are_no_pictures_are_not_looked_at(tmp_path: Path) -> None:
    write_pictures(tmp_path, "a.png")
    (tmp_path / "notes.txt").write_text("words")
    (tmp_path / "more.png").mkdir()
    source = open_path(tmp_path)
    assert ([frame.name for frame in source], source.bad) == (["a.png"], 0)


def test_bad_pictures_are_told_counted_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(write_pictures(tmp_path, "a.png", "c.png", "d.png"), "b.png", "e.png")
    source = open_path(tmp_path)
    assert [(frame.index, frame.name) for frame in source] == [(0, "a.png"), (1, "c.png"), (2, "d.png")]
    assert source.bad == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told] == ["left out", "left out"]
    assert "b.png" in told[0] and "e.png" in told[1]


@pytest.mark.parametrize("name", ["nothing.mp4", "nothing.png", "empty"])
def test_what_is_no_source_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError) as refusal:
        open_path(tmp_path / name)
    assert "\n" not in str(refusal.value)


def test_a_folder_with_bad_pictures_is_segmented_without_them(tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "in").mkdir()
    spoil(write_pictures(tmp_path / "in", "a.png", "c.png"), "b.png")
    done = run_fcn_edge("run", tmp_path / "in", tmp_path / "out" / "{name}.png", "--model", tiny_bundle)
    assert done.returncode == 0, done.stderr
    assert "2 of 3 frames segmented, 1 bad left out" in done.stderr
    assert left_in(tmp_path / "out") == ["a.png", "c.png"]


def test_a_single_bad_picture_is_refused(tmp_path: Path, tiny_bundle: Path) -> None:
    done = run_fcn_edge("run", spoil(tmp_path, "a.png") / "a.png", "--model", tiny_bundle)
    assert_refused(done, 3, "a.png", "wanted a picture")


@pytest.mark.parametrize("names", [["a.png"], ["a.png", "b.png", "c.jpg"]])
def test_a_folder_of_only_bad_pictures_is_refused(tmp_path: Path, tiny_bundle: Path, names: list[str]) -> None:
    done = run_fcn_edge("run", spoil(tmp_path, *names), "--model", tiny_bundle)
    assert_refused(done, 3, "wanted")


RUN_EACH = """
import json, os, sys
from pathlib import Path
from fcn_edge.__main__ import main

bundle, out, sources = sys.argv[1], sys.argv[2], sys.argv[3:]
codes, own_stderr = {}, os.dup(2)
for source in sources:
    name = Path(source).name
    log = os.open(f"{out}/{name}.log", os.O_CREAT | os.O_WRONLY)
    os.dup2(log, 2)
    codes[name] = main(["run", source, f"{out}/{name}.png", "--model", bundle])
    os.close(log)
os.dup2(own_stderr, 2)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"codes": codes, "peak_kb": int(peak.split()[1])}))
"""

RUN_ONE = """
import sys
from fcn_edge.__main__ import main

code = main(sys.argv[1:])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(code, int(peak.split()[1]))
"""


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@dataclass(frozen=True)
class OddRun:
    """What became of each odd image alone."""

    folder: Path
    out: Path
    bundle: Path
    codes: dict[str, int]
    peak_kb: int


def odd_images(real_data: Path) -> list[Path]:
    return sorted(path for path in (real_data / "odd_images").iterdir() if path.suffix != ".csv")


def as_opencv_reads(path: Path) -> np.ndarray | None:
    """What must be segmented; None for what must be refused."""
    if path.name.startswith("made_png_"):
        return None  # beyond 50 megapixels
    try:
        return cv2.imread(str(path))
    except cv2.error:
        return None


@pytest.fixture(scope="module")
def odd_run(real_data: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> OddRun:
    out = tmp_path_factory.mktemp("odd")
    done = python(RUN_EACH, tiny_bundle, out, *odd_images(real_data))
    assert done.returncode == 0, done.stderr
    return OddRun(real_data / "odd_images", out, tiny_bundle, **json.loads(done.stdout))


@pytest.mark.realdata
def test_every_odd_image_alone_gives_its_mask_or_one_line(odd_run: OddRun) -> None:
    assert len(odd_run.codes) == 26
    wrong = {}
    with open_session(odd_run.bundle) as session:
        for name, code in odd_run.codes.items():
            image = as_opencv_reads(odd_run.folder / name)
            told = (odd_run.out / f"{name}.log").read_text()
            mask_file = odd_run.out / f"{name}.png"
            if image is None:
                last = told.splitlines()[-1]
                good = code == 3 and last.startswith("fcn-edge: ") and name in last and not mask_file.exists()
            else:
                good = code == 0 and np.array_equal(read_mask(mask_file), Segmenter(session).segment(image))
            if not good or "Traceback" in told:
                wrong[name] = (code, told)
    assert wrong == {}


@pytest.mark.realdata
def test_no_odd_image_takes_a_gigabyte(odd_run: OddRun) -> None:
    assert odd_run.peak_kb < MAX_MEMORY_KB


@pytest.mark.realdata
def test_a_folder_of_odd_and_good_images_gives_every_mask(real_data: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_pictures(folder, "good_1.png", "hopper_good.png", "zz_good.png")
    for path in odd_images(real_data):
        shutil.copy(path, folder)
    wanted = {path.name: as_opencv_reads(path) for path in sorted(folder.iterdir())}

    done = python(
        RUN_ONE, "run", folder, f"json:{tmp_path / 'lines'}", tmp_path / "out" / "%03d.png", "--model", tiny_bundle
    )

    code, peak_kb = map(int, done.stdout.split())
    assert code == 0 and "Traceback" not in done.stderr, done.stderr
    assert peak_kb < MAX_MEMORY_KB
    names = [json.loads(line)["name"] for line in (tmp_path / "lines").read_text().splitlines()]
    assert names == [name for name, image in wanted.items() if image is not None]
    left_out = [line for line in done.stderr.splitlines() if line.startswith("left out: ")]
    assert len(left_out) == len(wanted) - len(names)
    with open_session(tiny_bundle) as session:
        for index, name in enumerate(names):
            mask = read_mask(tmp_path / "out" / f"{index:03d}.png")
            assert np.array_equal(mask, Segmenter(session).segment(wanted[name])), name
