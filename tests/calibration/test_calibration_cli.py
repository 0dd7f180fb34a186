"""`fcn-edge calibration` as users type it: a list, a table, a page, and one line for what cannot be."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.image_set import CalibrationSet, pick
from calibration.listing import read_list, write_list
from calibration.model_ranges import cuts, fp32_graph
from calibration.pages import CELL_HW, Cuts, _cell, _strip, page, survey
from calibration.ranges import observe
from calibration.thresholds import METHODS, thresholds
from fcn_edge.datasets import open_dataset
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import ModelError
from fcn_edge.report import percent
from tests.calibration.graphs import FACTS, chain, save
from tests.calibration.pictures import skewed
from tests.conftest import SIZE_HW, Done, assert_refused, run_fcn_edge

EYE = np.eye(3, dtype=np.float32)

# A process in which one library is not installed.
WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from fcn_edge.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def data(street_folder: Path) -> str:
    return f"folder:{street_folder}"


@pytest.fixture
def unlabelled(street_folder: Path, tmp_path: Path) -> str:
    folder = tmp_path / "unlabelled"
    shutil.copytree(street_folder, folder)
    shutil.rmtree(folder / "masks")
    return f"folder:{folder}"


@pytest.fixture
def listed(data: str, tmp_path: Path) -> Path:
    path = tmp_path / "calibration.json"
    write_list(path, pick(open_dataset(data, "train"), 4), data, "train")
    return path


def cells(done: Done) -> list[list[str]]:
    """The table on standard output, without its frame."""
    rows = [re.split(r"[│┃]", line)[1:-1] for line in done.stdout.splitlines() if line[:1] in "│┃"]
    return [[cell.strip() for cell in row] for row in rows]


def test_pick_writes_a_list_and_tells_its_classes(data: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "calibration.json"
    done = run_fcn_edge("calibration", "pick", data, "--count", 3, "--seed", 2, "-o", path)
    assert done.returncode == 0, done.stderr
    dataset = open_dataset(data, "train")
    assert read_list(path) == pick(dataset, 3, seed=2)
    assert json.loads(path.read_text())["data"] == data
    head, *rows = cells(done)
    assert head == ["class", "of the set %", "of the split %", "pictures that show it"]
    assert [row[0] for row in rows] == list(STREET_LABELS.names)
    assert done.stdout.startswith(f"{path}: 3 of 6 pictures, chosen by balance, seed 2\n")
    masks = [dataset.mask(index) for index in pick(dataset, 3, seed=2).indices]
    for number, row in enumerate(rows):
        labelled = sum(int((mask < len(STREET_LABELS)).sum()) for mask in masks)
        shown = [int((mask == number).sum()) for mask in masks]
        assert float(row[1]) == pytest.approx(100 * sum(shown) / labelled, abs=0.05)
        assert row[3] == f"{np.count_nonzero(shown)} of 3"
    whole = sum(float(row[2]) for row in rows)
    assert whole == pytest.approx(100, abs=0.1)


def test_pick_without_labels_says_so(unlabelled: str, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    done = run_fcn_edge("calibration", "pick", unlabelled, "--split", "val", "--count", 2, "-o", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{path}: 2 of 4 pictures, chosen by lot, seed 0; no labels\n"
    assert len(read_list(path)) == 2


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["pick", "folder:nowhere", "-o", "{new}"], 3, ["nowhere"]),
        (["pick", "{data}", "--split", "night", "-o", "{new}"], 3, ["night"]),
        (["pick", "streets", "-o", "{new}"], 2, ["streets", "KIND|kind"]),
        (["pick", "{data}", "--count", "0", "-o", "{new}"], 2, ["--count"]),
        (["pick", "{data}"], 2, ["--output", "fcn-edge calibration pick --help"]),
        (["pick", "{data}", "-o", "{file}/list.json"], 5, ["list.json|one.txt"]),
        (["inspect", "{new}"], 3, ["new.json"]),
        (["inspect", "{file}"], 3, ["one.txt", "calibration list"]),
        (["inspect", "{listed}", "--data", "folder:nowhere"], 3, ["nowhere"]),
        (["inspect", "{listed}", "-o", "{listed}"], 2, ["calibration.json", "-o"]),
        (["inspect", "{listed}", "--model", "{new}", "-o", "{page}"], 4, ["new.json"]),
        (["inspect", "{listed}", "--model", "{file}", "-o", "{page}"], 4, ["one.txt", "ONNX"]),
        (["weigh"], 2, ["weigh", "fcn-edge calibration --help"]),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], code: int, told: list[str], data: str, listed: Path, tmp_path: Path
) -> None:
    (tmp_path / "one.txt").write_text("a line of text")
    places = {
        "data": data,
        "new": tmp_path / "new.json",
        "file": tmp_path / "one.txt",
        "listed": listed,
        "page": tmp_path / "page.html",
    }
    before = listed.read_bytes()
    done = run_fcn_edge("calibration", *(word.format(**places) for word in words), cwd=tmp_path)
    assert_refused(done, code)
    for word in told:
        assert re.search(word, done.stderr.splitlines()[-1]), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calibration.json", "one.txt"]
    assert listed.read_bytes() == before


def test_inspect_writes_a_page_of_its_own(listed: Path, tmp_path: Path) -> None:
    done = run_fcn_edge("calibration", "inspect", listed, "-o", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert [row[0] for row in cells(done)] == ["class", *STREET_LABELS.names]
    assert done.stdout.endswith(f"page: {tmp_path / 'page.html'}\n")
    text = (tmp_path / "page.html").read_text()
    assert re.findall("<h2>([^<]+)", text) == ["Set", "Classes", "Brightness", "Pictures"]
    assert text.count("<svg") == 2 and text.count("<img") == 1
    assert not re.search(r"https?://|<link|<script|@import|url\(", text)
    for row in cells(done)[1:]:
        assert f"<td>{row[0]}</td><td>{row[1]}</td><td>{row[2]}</td><td>{row[3]}</td>" in text


def test_inspect_of_unlabelled_pictures_has_no_classes(unlabelled: str, tmp_path: Path) -> None:
    pictures = pick(open_dataset(unlabelled, "train"), 4)
    write_list(tmp_path / "list.json", pictures, unlabelled, "train")
    done = run_fcn_edge("calibration", "inspect", tmp_path / "list.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no labels" in done.stdout and not cells(done)
    text = (tmp_path / "inspect.html").read_text()
    assert "<p>No labels.</p>" in text and "<h2>Brightness" in text


@pytest.mark.parametrize("of_bundle", [True, False])
def test_inspect_of_a_model_shows_where_each_method_cuts(
    listed: Path, tiny_bundle: Path, tmp_path: Path, of_bundle: bool
) -> None:
    fp32 = tiny_bundle / "model.fp32.onnx"
    model = tiny_bundle if of_bundle else fp32
    done = run_fcn_edge("calibration", "inspect", listed, "--model", model, "-o", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "page.html").read_text()
    *_, histograms = observe(fp32, read_list(listed), SIZE_HW)
    assert "conv1_1" in histograms and "fc7" in histograms
    found = {method: thresholds(histograms, method) for method in METHODS}
    for layer, histogram in histograms.items():
        if histogram.maximum:
            assert f"<td>{layer}</td>" + "".join(f"<td>{found[method][layer]:.4g}</td>" for method in METHODS) in text
    assert "<th>minmax (maximum)</th><th>percentile-99.999</th><th>percentile-99.99</th>" in text
    assert text.count("<svg") == 3


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_only_a_model_wants_onnx(data: str, tmp_path: Path, library: str) -> None:
    path = tmp_path / "list.json"

    def run(*words: object) -> Done:
        command = [sys.executable, "-c", WITHOUT, library, "calibration", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)

    assert run("pick", data, "--count", 2, "-o", path).returncode == 0
    assert run("inspect", path).returncode == 0
    assert_refused(run("inspect", path, "--model", "model.onnx"), 2, library, "pip install 'fcn-edge[export]'")


# The model.


def test_the_size_of_frames_is_the_graphs(tmp_path: Path, tiny_bundle: Path) -> None:
    path = save(chain([EYE], (12, 20)), tmp_path / "m.onnx")
    assert fp32_graph(path) == (path, (12, 20))
    assert fp32_graph(tiny_bundle) == (tiny_bundle / "model.fp32.onnx", SIZE_HW)


def test_a_model_that_has_no_ranges_to_show_is_refused(tmp_path: Path) -> None:
    turned = chain([EYE], (8, 8))
    turned.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 4
    (tmp_path / "empty").mkdir()
    cases = {
        "no file": tmp_path / "missing.onnx",
        r"model\.fp32\.onnx": tmp_path / "empty",
        "exported by fcn-edge": save(chain([EYE], (8, 8)), tmp_path / "foreign.onnx", facts=None),
        "found int8": save(chain([EYE], (8, 8)), tmp_path / "int8.onnx", replace(FACTS, precision="int8")),
        "ReLU": save(chain([EYE], (8, 8), relu=False), tmp_path / "linear.onnx"),
        r"\(1, H, W, 3\)": save(turned, tmp_path / "turned.onnx"),
    }
    for told, path in cases.items():
        with pytest.raises(ModelError, match=told) as caught:
            fp32_graph(path)
        assert "\n" not in str(caught.value) and "wanted" in str(caught.value)


def test_a_layer_that_is_never_active_is_cut_at_nothing(tmp_path: Path) -> None:
    path = save(chain([EYE, -EYE], (10, 10)), tmp_path / "m.onnx")
    found = cuts(path, CalibrationSet(skewed(9), (3, 5), 0), (10, 10))
    assert found["layer0"]["minmax"] == 5
    assert found["layer1"] == dict.fromkeys(METHODS, 0.0)


# The page.


def shown(cuts: Cuts | None = None) -> str:
    dataset = skewed(40)
    pictures = CalibrationSet(dataset, (39, 1, 2), 0, "list")
    return page("<list>", "three & some", survey(pictures, [0, 1, 2, 3]), cuts)


def test_a_page_tells_the_ranges_of_each_layer_against_its_maximum() -> None:
    values = {"minmax": 8.0, "percentile-99.99": 4.0, "entropy": 2.0}
    text = shown({"conv1_1": values, "dead": dict.fromkeys(values, 0.0)})
    assert "<td>conv1_1</td><td>8</td><td>4</td><td>2</td>" in text
    ranges = text[text.index("<h2>Ranges") :]
    assert ">50 %<" in ranges and ">25 %<" in ranges and ">0 %<" in ranges and ">100 %<" not in ranges
    assert "&lt;list&gt;" in text and "three &amp; some" in text and "<list>" not in text


def test_the_set_is_compared_with_the_pool_that_holds_it() -> None:
    dataset = skewed(40)
    found = survey(CalibrationSet(dataset, (39, 1), 0), [1, 7, 8])
    assert dataset.read == [39, 1, 7, 8]
    assert found.brightness.tolist() == pytest.approx([39, 1, 7, 8])
    assert found.shares is not None and found.shares.shape == (4, 3)
    own = found.shares[:2].sum(0) / found.shares[:2].sum()
    assert [row[1] for row in found.rows()[1:]] == [percent(float(share)) for share in own]
    assert found.rows()[0][2] == "of 4 read of 40 %"


@pytest.mark.parametrize("count", [1, 4, 5, 12, 13])
def test_the_strip_shows_up_to_twelve_pictures_of_any_shape(count: int) -> None:
    dataset = replace(skewed(14), masks=(np.zeros((300, 2), np.uint8),) * 14)
    picture = _strip(CalibrationSet(dataset, tuple(range(1, count + 1)), 0)).picture
    rows, columns = -(-min(count, 12) // 4), min(count, 4)
    assert picture is not None and picture.shape == (rows * CELL_HW[0], columns * CELL_HW[1], 3)
    assert sorted(set(picture[..., 0].ravel().tolist())) == list(range(min(count, 12) + 1))  # each shade, and black


def test_a_picture_in_the_strip_is_whole() -> None:
    image = np.zeros((90, 120, 3), np.uint8)
    for corner in (np.s_[:9, :12], np.s_[-9:, -12:]):
        image[corner] = 255
    cell = _cell(image)
    assert cell.shape == (*CELL_HW, 3)
    np.testing.assert_array_equal(cell, cv2.resize(image, CELL_HW[::-1], interpolation=cv2.INTER_AREA))
    assert _cell(np.zeros((1, 5000, 3), np.uint8)).shape == (*CELL_HW, 3)
