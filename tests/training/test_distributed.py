"""Training in several processes that torchrun starts: as one process would, and with one voice. Over gloo, on CPUs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.training.checkpoint import load_checkpoint
from fcn_edge.training.run_lock import LOCK
from fcn_edge.training.run_report import run_curves
from fcn_edge.training.trainer import untrained
from tests.conftest import call_fcn_edge, run_fcn_edge, write_pair

EPOCHS = 6
PATIENCE_S = 200
NEAR = 2e-3  # rounding differs, and ReLU and pooling make steps of it; a wrong mean or sum comes to far more
# The recipe `edge` but for what is random in each process (dropout) and for Adam, which makes rounding errors large.
SMALL = "--width 0.05 --fc-dim 8 --crop 64x96 --batch-size 4 --workers 0 --precision 32".split()
SAME = ["--dropout", "0", "--optimizer", "sgd", "--learning-rate", "0.01", "--epochs", str(EPOCHS)]
EXACT = ["--norm", "none", "--iou-loss", "0"]  # what does not depend on how a batch is parted

Process = subprocess.Popen[str]


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """9 pictures of train, of which batches of 4 leave one out, and 5 of val, which two processes share unevenly."""
    root = tmp_path_factory.mktemp("streets")
    (root / "labels.json").write_text(json.dumps({"classes": STREET_LABELS.to_json()}))
    for first, (split, count) in enumerate({"train": 9, "val": 5}.items()):
        for index in range(count):
            write_pair(root, split, f"{index:03d}", seed=1000 * first + index)
    return root


@pytest.fixture
def started() -> Iterator[list[Process]]:
    """What the test starts; none of it outlives the test."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            kill_all(process)
        process.communicate()


def torchrun(streets: Path, run: Path, *words: str, launch: str = "--standalone --nproc-per-node 2") -> Process:
    command = [sys.executable, "-m", "torch.distributed.run", *launch.split(), "-m", "fcn_edge", "train"]
    return subprocess.Popen(
        [*command, f"folder:{streets}", "-o", str(run), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def ended(process: Process, code: int = 0) -> str:
    """Its standard error."""
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, stderr
    return stderr


def until(process: Process, words: str) -> None:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return
    raise AssertionError("".join(lines))


def workers(process: Process) -> list[int]:
    """Torchrun's own processes, which stand in sessions of their own."""
    told = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False)
    return [int(number) for number in told.stdout.split()]


def kill_all(process: Process) -> None:
    for number in [process.pid, *workers(process)]:
        os.kill(number, signal.SIGKILL)


def alone(streets: Path, run: Path, *words: str) -> Path:
    done = call_fcn_edge("train", f"folder:{streets}", "-o", run, *words)
    assert done.returncode == 0, done.stderr
    return run


def weights(run: Path) -> dict[str, Tensor]:
    """The last ones, and their average."""
    content = torch.load(run / "last.ckpt", weights_only=False)
    averages = {f"average {key}": value for key, value in content["state_dict"].items()}
    return {**content["current_model_state"], **averages}


def assert_same_end(run: Path, wanted: Path, tolerance: float = 0.0) -> None:
    """Weights and statistics differ by at most `tolerance` of the way that they went from the start."""
    got, aim = weights(run), weights(wanted)
    start = untrained(load_checkpoint(wanted / "best.safetensors").network.config, seed=0).state_dict()
    assert got.keys() == aim.keys()
    for kind in {name.rpartition(".")[2] for name in aim}:  # weight, bias, running_mean, ...
        names = [name for name in aim if name.endswith(kind)]
        way = length(aim[name] - start[name.rpartition("network.")[2]] for name in names)
        apart = length(got[name] - aim[name] for name in names)
        assert way > 0 and apart <= tolerance * way, (kind, apart, way)


def length(parts: Iterable[Tensor]) -> float:
    return float(torch.cat([part.ravel().float() for part in parts]).norm())


def assert_same_curves(run: Path, wanted: Path) -> None:
    got, aim = run_curves(run / "logs"), run_curves(wanted / "logs")
    assert {"loss", "mean IoU", "learning rate"} == got.keys() == aim.keys()
    for name, curve in aim.items():
        assert got[name] == pytest.approx(curve, rel=2e-3), name


@pytest.fixture(scope="module")
def one(streets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process."""
    return alone(streets, tmp_path_factory.mktemp("runs") / "one", *SMALL, *SAME)


@pytest.fixture(scope="module")
def two(streets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in two."""
    run = tmp_path_factory.mktemp("runs") / "two"
    told = ended(torchrun(streets, run, *SMALL, *SAME))
    assert "in 2 processes" in told
    assert told.count(f"epoch {EPOCHS}/{EPOCHS}, loss") == 1 and told.count("reading masks: 9/9") == 1, told
    return run


def test_two_processes_train_as_one_does(one: Path, two: Path) -> None:
    """With batch norm, the loss that stands for mean IoU, class weights and averaged weights."""
    assert_same_end(two, one, tolerance=NEAR)
    assert_same_curves(two, one)


def test_every_validation_picture_is_counted_once(two: Path) -> None:
    """What the processes found together is what one finds, picture by picture, when it scores the best checkpoint."""
    best = load_checkpoint(two / "best.safetensors")
    assert best.provenance["processes"] == 2
    assert run_curves(two / "logs")["mean IoU"][best.provenance["epoch"]] == pytest.approx(best.scores["mean_iou"])


def test_micro_batches_make_the_step_of_their_batch(streets: Path, tmp_path: Path, started: list[Process]) -> None:
    """In one process and in two; crops reach beyond their pictures, so that parts of a batch have less to label."""
    whole = alone(streets, tmp_path / "whole", *SMALL, *SAME, *EXACT)
    started.append(torchrun(streets, tmp_path / "both", *SMALL, *SAME, *EXACT, "--accumulate", "2"))
    assert_same_end(alone(streets, tmp_path / "parts", *SMALL, *SAME, *EXACT, "--accumulate", "2"), whole, NEAR)
    ended(started[0])
    assert_same_end(tmp_path / "both", whole, tolerance=NEAR)


def test_a_compiled_network_learns_the_same_and_keeps_its_names(streets: Path, tmp_path: Path) -> None:
    words = [*SMALL, *SAME, "--variant", "fcn32s", "--norm", "none", "--epochs", "1"]
    plain = alone(streets, tmp_path / "plain", *words)
    done = run_fcn_edge("train", f"folder:{streets}", "-o", tmp_path / "compiled", *words, "--compile")
    assert done.returncode == 0, done.stderr
    assert_same_end(tmp_path / "compiled", plain, NEAR)


def test_ctrl_c_stops_all_in_order_and_the_run_resumes_to_the_same_end(
    streets: Path, two: Path, tmp_path: Path, started: list[Process]
) -> None:
    run = tmp_path / "run"
    started.append(torchrun(streets, run, *SMALL, *SAME))
    until(started[0], "epoch 2/")
    started[0].send_signal(signal.SIGINT)
    told = ended(started[0], code=1)  # torchrun's own
    assert told.count("stopping after this step") == 1 and told.count("--resume") == 1, told
    assert "fcn-edge: " not in told
    started.append(torchrun(streets, run, "--resume"))
    assert "going on after epoch" in ended(started[1])
    assert_same_end(run, two)


def test_a_killed_run_goes_on_in_another_number_of_processes(
    streets: Path, two: Path, tmp_path: Path, started: list[Process]
) -> None:
    run = tmp_path / "run"
    started.append(torchrun(streets, run, *SMALL, *SAME))
    until(started[0], "epoch 2/")
    kill_all(started[0])
    started[0].communicate(timeout=PATIENCE_S)
    alone(streets, run, "--resume")
    assert_same_end(run, two, tolerance=NEAR)
    assert_same_curves(run, two)


def test_torchrun_puts_a_lost_process_back_and_the_run_goes_on_by_itself(
    streets: Path, two: Path, tmp_path: Path, started: list[Process]
) -> None:
    launch = "--standalone --nproc-per-node 2 --max-restarts 1"
    started.append(torchrun(streets, tmp_path / "run", *SMALL, *SAME, launch=launch))
    until(started[0], "epoch 2/")
    os.kill(workers(started[0])[1], signal.SIGKILL)
    told = ended(started[0])
    assert "going on after epoch" in told and told.count("fcn-edge: ") <= 1, told
    assert_same_end(tmp_path / "run", two)


def test_torchrun_never_goes_on_with_a_run_that_it_did_not_begin(
    streets: Path, one: Path, tmp_path: Path, started: list[Process]
) -> None:
    """The first attempt is refused, and so is the second."""
    run = Path(shutil.copytree(one, tmp_path / "run"))
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file() and path.name != LOCK}
    launch = "--standalone --nproc-per-node 2 --max-restarts 1"
    started.append(torchrun(streets, run, *SMALL, *SAME, "--epochs", "9", launch=launch))
    told = ended(started[0], code=1)
    assert "wanted a new run, found one" in told and "going on" not in told, told
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file() and path.name != LOCK} == before


def nodes() -> list[str]:
    """How two nodes are started that find each other on this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    meeting = f"--nnodes 2 --nproc-per-node 1 --master-addr 127.0.0.1 --master-port {port}"
    return [f"{meeting} --node-rank {rank}" for rank in (0, 1)]


def test_two_nodes_train_as_two_processes_of_one_do(
    streets: Path, two: Path, tmp_path: Path, started: list[Process]
) -> None:
    """The second has a copy of the data, and writes nothing."""
    copy = Path(shutil.copytree(streets, tmp_path / "copy"))
    for launch, data, run in zip(nodes(), (streets, copy), ("run", "other"), strict=True):
        started.append(torchrun(data, tmp_path / run, *SMALL, *SAME, launch=launch))
    assert "in 2 processes" in ended(started[0])
    assert "epoch" not in ended(started[1])
    assert_same_end(tmp_path / "run", two)
    assert not (tmp_path / "other").exists()


def test_nodes_that_were_started_for_different_trainings_are_refused(
    streets: Path, tmp_path: Path, started: list[Process]
) -> None:
    for launch, rate in zip(nodes(), ("0.1", "0.2"), strict=True):
        started.append(torchrun(streets, tmp_path / "run", *SMALL, "--learning-rate", rate, launch=launch))
    for process in started:
        told = ended(process, code=1)
        assert told.count("fcn-edge: ") == 1 and "process 1 with another learning rate" in told, told
    assert not (tmp_path / "run" / "last.ckpt").exists()


def test_nodes_with_different_states_of_a_run_are_refused(
    streets: Path, one: Path, tmp_path: Path, started: list[Process]
) -> None:
    """A stale copy of the run's folder on the second node."""
    here, there = (Path(shutil.copytree(one, tmp_path / name)) for name in ("here", "there"))
    alone(streets, here, "--resume", "--epochs", str(EPOCHS + 1))
    for launch, run in zip(nodes(), (here, there), strict=True):
        words = ["--resume", "--epochs", str(EPOCHS + 2)]
        started.append(torchrun(streets, run, *words, launch=launch))
    for process in started:
        assert "process 1 with another last checkpoint than process 0" in ended(process, code=1)


def test_an_error_of_one_process_ends_all_with_one_line(streets: Path, tmp_path: Path, started: list[Process]) -> None:
    """Who reads the broken picture tells; who lost it does not, and ends with its code."""
    data = Path(shutil.copytree(streets, tmp_path / "data"))
    (data / "images" / "train" / "004.png").write_bytes(b"broken")
    told = ended(torchrun(data, tmp_path / "run", *SMALL, *SAME), code=1)
    lines = [line for line in told.splitlines() if line.startswith("fcn-edge: ")]
    assert len(lines) == 1 and "004.png" in lines[0], told
    assert "exitcode  : 3" in told and "exitcode  : 75" not in told, told


def test_all_processes_end_by_one_clock(streets: Path, tmp_path: Path, started: list[Process]) -> None:
    words = [*SMALL, "--epochs", "500", "--max-minutes", "0.05"]
    started.append(torchrun(streets, tmp_path / "run", *words))
    assert "the time is up after" in ended(started[0])
    assert 1 <= load_checkpoint(tmp_path / "run" / "best.safetensors").provenance["epoch"] < 500
