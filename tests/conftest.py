"""Small real things that many tests share: a labelled folder, a tiny checkpoint, a bundle made of it, the real data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest

from fcn_edge.datasets.street import draw_street
from fcn_edge.datasets.synthetic import STREET_LABELS

if TYPE_CHECKING:
    from fcn_edge.training.network import FCN

SIZE_HW = (64, 96)
SPLITS = {"train": 6, "val": 4}

Done = subprocess.CompletedProcess[str]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With FCN_EDGE_NO_SKIPS set, as in CI, a skipped test is a failure: what should have run did not."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("FCN_EDGE_NO_SKIPS") and skipped:
        reporter.write_line(f"\nskipped, but none may be: {', '.join(report.nodeid for report in skipped)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test, nor a process that it starts, reads or writes the user's cache; pip's alone may serve again."""
    theirs = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_CACHE_DIR", os.environ.get("PIP_CACHE_DIR") or str(Path(theirs) / "pip"))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ["XDG_CACHE_HOME"])


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder named by FCN_EDGE_DATA; without it the test is skipped (`realdata`)."""
    folder = os.environ.get("FCN_EDGE_DATA")
    if not folder:
        pytest.skip("FCN_EDGE_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def street_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `folder:` dataset of drawn streets, 64x96: 6 pictures of train, 4 of val."""
    root = tmp_path_factory.mktemp("streets")
    (root / "labels.json").write_text(json.dumps({"classes": STREET_LABELS.to_json()}))
    for offset, (split, count) in enumerate(SPLITS.items()):
        for index in range(count):
            write_pair(root, split, f"{index:03d}", seed=1000 * offset + index)
    return root


def write_pair(root: Path, split: str, name: str, seed: int) -> None:
    """One drawn picture and its mask in the layout of `folder:`."""
    image, mask = draw_street(seed, size_hw=SIZE_HW)
    for kind, content in (("images", image), ("masks", mask)):
        (root / kind / split).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / kind / split / f"{name}.png"), content)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained FCN-8s of a few thousand weights with batch norm, whose scores are not all zero."""
    from fcn_edge.training.checkpoint import Checkpoint, save_checkpoint
    from fcn_edge.training.network import FCN

    network = lively(FCN("fcn8s", len(STREET_LABELS), width=0.06, fc_dim=16, norm="batch"))
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    save_checkpoint(path, Checkpoint(network, STREET_LABELS))
    return path


def lively(network: FCN) -> FCN:
    """An untrained network in eval mode whose masks hold several classes, with statistics in its batch norm."""
    import torch

    generator = torch.Generator().manual_seed(1)
    with torch.no_grad(), torch.random.fork_rng([]):
        torch.manual_seed(1)  # of dropout, which has no generator of its own
        for name, parameter in network.named_parameters():
            if parameter.dim() == 4 and not name.startswith("upscore"):
                deviation = (2 / parameter[0].numel()) ** 0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation)
            if name.startswith("score") and parameter.dim() == 4:
                parameter.sub_(parameter.mean(1, keepdim=True))  # or the class of the largest sum would win everywhere
        network.train()
        for _ in range(3):
            network(torch.randn(2, 3, 96, 96, generator=generator))
    return network.eval()


@pytest.fixture(scope="session")
def tiny_bundle(tiny_checkpoint: Path, street_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint exported at 64x96 by the command that users type."""
    bundle = tmp_path_factory.mktemp("bundles") / "tiny"
    data = f"folder:{street_folder}"
    done = run_fcn_edge(
        "export", tiny_checkpoint, "-o", bundle, "--size", "64x96", "--data", data, "--calibration-count", 4
    )
    assert done.returncode == 0, done.stderr
    return bundle


def run_fcn_edge(*arguments: object, **options: object) -> Done:
    """`fcn-edge ARGUMENTS` as a process of its own, output captured as text; at most four minutes, unless said."""
    command = [sys.executable, "-m", "fcn_edge", *map(str, arguments)]
    settings = {"timeout": 240, **options}
    return subprocess.run(command, capture_output=True, text=True, check=False, **settings)  # type: ignore[call-overload, no-any-return]


def call_fcn_edge(*arguments: object) -> Done:
    """`fcn-edge ARGUMENTS` within this process, which spares the start: for tests of what a verb does and tells."""
    from fcn_edge.__main__ import main

    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return subprocess.CompletedProcess(list(map(str, arguments)), code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def fcn_edge() -> Callable[..., Done]:
    return run_fcn_edge


def assert_refused(done: Done, code: int, *words: str) -> None:
    """The command ended with `code` and a last line on stderr that holds every word, without traceback."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    assert lines and lines[-1].startswith("fcn-edge: "), done.stderr
    for word in words:
        assert word in lines[-1], lines[-1]
