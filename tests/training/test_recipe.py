"""Recipes: complete ones are shipped, the user's own are checked as flags are, and flags override both."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pytest
import tomllib
import torch

from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import UsageError
from fcn_edge.training import cli, recipe
from fcn_edge.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fcn_edge.training.config import TrainingConfig
from fcn_edge.training.network import FCN
from fcn_edge.training.optimiser import optimiser_of
from fcn_edge.training.options import NETWORK, TRAINING, settings_of
from fcn_edge.training.recipe import SHIPPED, read_recipe
from tests.conftest import assert_refused, call_fcn_edge, write_pair

OPTIONS = settings_of(click.Context(cli.train_command))
TINY = ["--width", "0.05", "--fc-dim", "8", "--workers", "0"]

Resolved = Callable[..., dict[str, Any]]


def shipped(name: str) -> dict[str, Any]:
    """As the file has it, by its own keys."""
    return tomllib.loads((Path(recipe.__file__).parent / "recipes" / f"{name}.toml").read_text(encoding="utf-8"))


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch, street_folder: Path, tmp_path: Path) -> Resolved:
    """The settings with which `train` would start, network and all."""

    held: list[dict[str, Any]] = []

    def held_back(fresh: Checkpoint, config: TrainingConfig, *_: object) -> None:
        held.append({**asdict(fresh.network.config), **asdict(config), **fresh.provenance})

    def settings(*words: object) -> dict[str, Any]:
        monkeypatch.setattr(cli, "train", held_back)
        done = call_fcn_edge("train", f"folder:{street_folder}", "-o", tmp_path / "run", *words)
        assert done.returncode == 0, done.stderr
        return held[-1]

    return settings


def test_every_shipped_recipe_is_a_file() -> None:
    folder = Path(recipe.__file__).parent / "recipes"
    assert sorted(path.stem for path in folder.iterdir()) == sorted(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_sets_everything_but_a_time_limit(name: str) -> None:
    assert read_recipe(name, OPTIONS).keys() == (NETWORK | TRAINING) - {"max_minutes"}


def test_edge_is_what_the_flags_say_without_a_recipe(resolved: Resolved) -> None:
    defaults = {name: option.default for name, option in OPTIONS.items() if name != "max-minutes"}
    assert shipped("edge") == defaults
    run = resolved()
    assert {key: run[key] for key in TRAINING} == asdict(TrainingConfig())
    assert {key: run[key] for key in NETWORK} == {
        "variant": "fcn8s",
        "width": 0.25,
        "fc_dim": 512,
        "norm": "batch",
        "geometry": "same",
        "at_once": False,
    }
    assert run["recipe"] == "edge"


def test_flags_override_a_recipe(resolved: Resolved) -> None:
    words = ["--variant", "fcn16s", "--learning-rate", "1e-12", "--crop", "64x96", "--augment"]
    run = resolved("--recipe", "paper", *words, *TINY)
    wanted = {"variant": "fcn16s", "learning_rate": 1e-12, "crop_hw": (64, 96), "augment": True, "momentum": 0.99}
    assert {key: run[key] for key in wanted} == wanted and run["recipe"] == "paper"


def test_a_recipe_of_the_users_own_sets_some_and_leaves_the_rest(resolved: Resolved, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '\ufefflearning-rate = 1\ncrop = "64x96"\nclass-weights = false\nat-once = true\n', encoding="utf-8"
    )
    run = resolved(*TINY, "--recipe", path)
    changed = {"learning_rate": 1.0, "crop_hw": (64, 96), "class_weights": False, "workers": 0}
    assert {key: run[key] for key in TRAINING} == {**asdict(TrainingConfig()), **changed}
    assert run["at_once"] is True and run["recipe"] == "mine.toml"


def test_the_help_after_a_recipe_shows_its_values() -> None:
    plain, paper = (call_fcn_edge("train", *words, "--help").stdout for words in ([], ["--recipe", "paper"]))
    assert "[default: 0.0015]" in plain and "[default: 1e-10]" not in plain
    assert "[default: 1e-10]" in paper and "[default: whole]" in paper


def test_the_help_shows_every_option_once() -> None:
    told = call_fcn_edge("train", "--help").stdout
    for param in cli.train_command.params:
        if isinstance(param, click.Option):
            assert told.count(f"  {param.opts[0]}") + told.count(f", {param.opts[0]} ") == 1, param.opts


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"learning_rate = 1",
            ("line 1: wanted", "'learning_rate'", "did you mean learning-rate?", "it may hold accumulate, at-once"),
        ),
        (b"crop-hw = '1x1'", ("did you mean crop?",)),
        (b"zzz = 1", ("'zzz'; it may hold",)),
        (b"[train]\nepochs = 1", ("'train'",)),
        (b"init = 'vgg16'", ("'init'",)),
        (b"epochs = 1\nepochs = 2\n", ("wanted TOML", "line 2")),
        (b"epochs = 1\nwidth = \n", ("wanted TOML", "line 2")),
        (b"epochs = " + b"9" * 5000, ("wanted TOML",)),
        (b"\xff", ("UTF-8",)),
        (b"epochs = '50'", ("a whole number for epochs", "'50'")),
        (b"epochs = 50.0", ("a whole number for epochs",)),
        (b"epochs = true", ("a whole number for epochs",)),
        (b"# few\n\nepochs = 0", ("mine.toml, line 3: wanted", "--epochs takes", "0 is not in the range")),
        (b"augment = 1", ("true or false for augment",)),
        (b"learning-rate = 'low'", ("a number for learning-rate",)),
        (b"learning-rate = false", ("a number for learning-rate",)),
        (b"learning-rate = 1" + b"0" * 400, ("--learning-rate takes",)),
        (b"learning-rate = nan", ("a finite number for learning-rate", "nan")),
        (b"dropout = nan", ("a finite number for dropout",)),
        (b"momentum = 1.0", ("--momentum takes",)),
        (b"width = inf", ("width",)),
        (b"schedule = 'poly'", ("--schedule takes", "'poly'", "one-cycle")),
        (b"precision = 32", ("text in quotes for precision", "32")),
        (b"crop = [352, 480]", ("text in quotes for crop",)),
        (b"crop = 'all'", ("--crop takes", "'all'")),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_in_one_line(
    content: bytes, words: tuple[str, ...], street_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    done = call_fcn_edge("train", f"folder:{street_folder}", "-o", tmp_path / "run", "--recipe", path)
    assert_refused(done, 2, *words)
    assert not (tmp_path / "run").exists()


def test_a_flag_that_is_not_finite_is_refused(street_folder: Path, tmp_path: Path) -> None:
    done = call_fcn_edge("train", f"folder:{street_folder}", "-o", tmp_path / "run", "--learning-rate", "nan")
    assert_refused(done, 2, "finite learning rate")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("papper", ("'papper'", "did you mean paper?", "edge, accurate, finetune, paper or a file")),
        ("mine", ("'mine'", "FILE.toml")),
        ("nowhere.toml", ("nowhere.toml", "No such file")),
    ],
)
def test_a_recipe_that_is_not_there_is_refused(name: str, words: tuple[str, ...]) -> None:
    assert_refused(call_fcn_edge("train", "synthetic:", "-o", "run", "--recipe", name), 2, *words)


def test_a_shipped_name_is_never_a_file_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "edge").write_text("zzz = 1")
    monkeypatch.chdir(tmp_path)
    assert read_recipe("edge", OPTIONS)["epochs"] == TrainingConfig().epochs


def test_a_directory_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UsageError, match=r"folder\.toml, found: Is a directory"):
        read_recipe(str(tmp_path / "folder.toml"), OPTIONS)


# -- paper --------------------------------------------------------------------------------------------------------


def test_paper_holds_the_published_numbers() -> None:
    """github.com/shelhamer/fcn.berkeleyvision.org, voc-fcn32s: solver.prototxt and net.py."""
    published = {
        "variant": "fcn32s",
        "width": 1.0,
        "fc-dim": 4096,
        "geometry": "paper",
        "dropout": 0.5,
        "batch-size": 1,
        "crop": "whole",
        "learning-rate": 1e-10,
        "momentum": 0.99,
        "weight-decay": 0.0005,
        "schedule": "fixed",
        "loss-reduction": "sum",
        "bias-rate-factor": 2.0,
    }
    assert published.items() <= shipped("paper").items()


@pytest.fixture(scope="module")
def two_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two to learn from, one to validate on."""
    root = tmp_path_factory.mktemp("two")
    (root / "labels.json").write_text(json.dumps({"classes": STREET_LABELS.to_json()}))
    for split, count in (("train", 2), ("val", 1)):
        for index in range(count):
            write_pair(root, split, str(index), seed=index)
    return root


@pytest.fixture(scope="module")
def paper_run(two_pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of the paper's training, of a narrow network."""
    run = tmp_path_factory.mktemp("runs") / "paper"
    words = ["--recipe", "paper", *TINY, "--epochs", "1"]
    done = call_fcn_edge("train", f"folder:{two_pictures}", "-o", run, *words)
    assert done.returncode == 0, done.stderr
    return run


def test_paper_trains_with_momentum_and_biases_at_twice_the_rate_undecayed(paper_run: Path) -> None:
    last = torch.load(paper_run / "last.ckpt", weights_only=False)
    (state,) = last["optimizer_states"]
    assert last["global_step"] == 2
    groups = [(group["lr"], group["weight_decay"], group["momentum"]) for group in state["param_groups"]]
    assert groups == [(1e-10, 5e-4, 0.99), (2e-10, 0.0, 0.99)]


def test_paper_learns_from_the_sum_over_all_labelled_pixels(paper_run: Path) -> None:
    """Scores start at zero, and so slow a rate leaves them about there: each pixel costs the log of the classes."""
    header, row, *_ = (line.split(",") for line in (paper_run / "logs/version_0/metrics.csv").read_text().splitlines())
    rows = [row, *_]
    losses = [float(row[header.index("loss")]) for row in rows if row[header.index("loss")]]
    pixels = 64 * 96  # the drawn streets have no void
    wanted = pixels * float(torch.log(torch.tensor(float(len(STREET_LABELS)))))
    assert losses == [pytest.approx(wanted, rel=0.05)]


def test_the_groups_part_weights_from_biases() -> None:
    network = FCN("fcn8s", 3, width=0.05, fc_dim=8)
    config = TrainingConfig(optimizer="sgd", learning_rate=1e-3, bias_rate_factor=2.0, weight_decay=5e-4, momentum=0.99)
    group_of = {
        id(parameter): group for group in optimiser_of(network, config).param_groups for parameter in group["params"]
    }
    for name, parameter in network.named_parameters():
        if name == "upscore8.weight":
            assert id(parameter) not in group_of  # the fixed bilinear kernel
            continue
        group = group_of[id(parameter)]
        wanted = (2e-3, 0.0) if name.endswith(".bias") else (1e-3, 5e-4)
        assert (group["lr"], group["weight_decay"]) == wanted, name


# -- finetune -----------------------------------------------------------------------------------------------------


def test_finetune_keeps_the_statistics_of_its_weights(
    tiny_checkpoint: Path, street_folder: Path, tmp_path: Path
) -> None:
    quick = ["--epochs", "2", "--batch-size", "2", "--crop", "64x96", "--workers", "0", "--precision", "32"]
    words = ["--recipe", "finetune", "--init", tiny_checkpoint, *quick]
    done = call_fcn_edge("train", f"folder:{street_folder}", "-o", tmp_path / "run", *words)
    assert done.returncode == 0, done.stderr
    before, after = (
        load_checkpoint(path).network.state_dict() for path in (tiny_checkpoint, tmp_path / "run" / "best.safetensors")
    )
    differing = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert not [name for name in differing if "running" in name or "num_batches" in name]
    assert {"conv1_1.weight", "conv1_1_norm.weight", "conv1_1_norm.bias"} <= differing


def test_finetune_wants_weights_to_start_from(street_folder: Path, tmp_path: Path) -> None:
    done = call_fcn_edge("train", f"folder:{street_folder}", "-o", tmp_path / "run", "--recipe", "finetune")
    assert_refused(done, 2, "add --init or --no-freeze-norm")


def test_finetune_takes_over_the_network_of_its_weights(resolved: Resolved, tmp_path: Path) -> None:
    network = FCN("fcn8s", len(STREET_LABELS), width=1 / 16, fc_dim=16, geometry="paper")
    save_checkpoint(tmp_path / "start.safetensors", Checkpoint(network, STREET_LABELS))
    run = resolved("--recipe", "finetune", "--init", tmp_path / "start.safetensors")
    assert (run["width"], run["fc_dim"], run["norm"], run["geometry"]) == (1 / 16, 16, "none", "paper")


# -- what a run keeps ---------------------------------------------------------------------------------------------


def test_a_run_and_its_checkpoint_tell_the_recipe_and_every_setting(paper_run: Path) -> None:
    told = json.loads((paper_run / "config.json").read_text())
    provenance = load_checkpoint(paper_run / "best.safetensors").provenance
    assert told["recipe"] == provenance["recipe"] == "paper"
    assert told.keys() >= NETWORK | TRAINING
    assert provenance["config"] == {key: told[key] for key in TRAINING}
    assert (told["crop_hw"], told["momentum"], told["seed"]) == (None, 0.99, 0)
    for key in ("versions", "git_commit", "data_sha256"):
        assert told[key] == provenance[key]
    assert provenance["data_sha256"].keys() == {"training", "validation"}
    assert provenance["versions"].keys() >= {"fcn_edge", "torch", "lightning", "numpy", "python"}


def test_a_resumed_run_keeps_its_recipe(paper_run: Path, two_pictures: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(paper_run, tmp_path / "run"))
    done = call_fcn_edge("train", f"folder:{two_pictures}", "-o", run, "--resume", "--epochs", "2")
    assert done.returncode == 0, done.stderr
    told = json.loads((run / "config.json").read_text())
    assert (told["recipe"], told["epochs"], told["learning_rate"], told["crop_hw"]) == ("paper", 2, 1e-10, None)
    assert_refused(
        call_fcn_edge("train", f"folder:{two_pictures}", "-o", run, "--resume", "--recipe", "edge"),
        2,
        "own recipe, paper",
        "--recipe edge",
    )


def test_a_run_of_before_there_were_recipes_is_resumed_as_edge(
    paper_run: Path, two_pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(paper_run, tmp_path / "run"))
    told = json.loads((run / "config.json").read_text())
    new = {"recipe", "optimizer", "momentum", "bias_rate_factor", "loss_reduction", "augment", "freeze_norm"}
    old = {key: value for key, value in told.items() if key not in new | {"deterministic"}}
    (run / "config.json").write_text(json.dumps({**old, "crop_hw": [64, 96]}))
    held: list[TrainingConfig] = []

    def train(fresh: Checkpoint, config: TrainingConfig, *others: Any) -> None:
        others[-1]()  # begins
        held.append(config)

    monkeypatch.setattr(cli, "train", train)
    done = call_fcn_edge("train", f"folder:{two_pictures}", "-o", run, "--resume")
    assert done.returncode == 0, done.stderr
    assert (held[0].optimizer, held[0].loss_reduction, held[0].crop_hw) == ("adamw", "mean", (64, 96))
    assert json.loads((run / "config.json").read_text())["recipe"] == "edge"
