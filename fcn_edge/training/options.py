"""The options of `fcn-edge train`, in the groups that its help shows. A recipe sets them by the same names."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from fcn_edge.options import Size
from fcn_edge.training.config import TrainingConfig
from fcn_edge.training.network import FINAL_STRIDE, NetworkConfig
from fcn_edge.training.recipe import DEFAULT_RECIPE, SHIPPED, read_recipe
from fcn_edge.training.together import one_voice

D = TrainingConfig()  # the defaults

NETWORK = {field.name for field in fields(NetworkConfig)} - {"num_classes"}
TRAINING = {field.name for field in fields(TrainingConfig)}


class CropSize(Size):
    """HxW, or `whole`, whose value is None."""

    name = "HxW|whole"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return None if value in (None, "whole") else super().convert(value, param, ctx)


def _follow(ctx: click.Context, param: click.Parameter, name: str) -> str:
    """The recipe's settings become the defaults of the command; gives the recipe's name."""
    read = read_recipe(name, settings_of(ctx))
    ctx.default_map = {**(ctx.default_map or {}), **read}
    return name if name in SHIPPED else Path(name).name


def settings_of(ctx: click.Context) -> dict[str, click.Option]:
    """The options that a recipe may set, by their flags without the dashes."""
    return {
        param.opts[0].removeprefix("--"): param
        for param in ctx.command.params
        if isinstance(param, click.Option) and param.name in NETWORK | TRAINING
    }


RUN = [
    click.Option(
        ["-o", "--output", "folder"], required=True, type=click.Path(path_type=Path), help="Folder of the run."
    ),
    click.Option(["--split"], default="train", show_default=True, help="What to train on."),
    click.Option(["--validation-split"], default="val", show_default=True, help="What chooses the best checkpoint."),
    click.Option(["--resume"], is_flag=True, help="Go on from the run's last checkpoint, with its settings and data."),
    click.Option(
        ["--recipe"],
        metavar=f"{'|'.join(SHIPPED)}|FILE.toml",
        default=DEFAULT_RECIPE,
        show_default=True,
        is_eager=True,
        callback=_follow,
        help="Values of all options below that are not given; with --help after it, the help shows them.",
    ),
    click.Option(
        ["--init"],
        metavar="vgg16|vgg16_bn|FILE",
        help="Weights to start from: torchvision's, fetched, or a file of VGG16, of an FCN or of a run. The network "
        "and the normalisation follow them; network options given here must fit.",
    ),
]

THE_NETWORK = [
    click.Option(["--variant"], type=click.Choice(list(FINAL_STRIDE)), default="fcn8s", show_default=True),
    click.Option(["--width"], type=float, default=0.25, show_default=True, help="Channels as a fraction of VGG16's."),
    click.Option(
        ["--fc-dim"],
        type=click.IntRange(1),
        default=512,
        show_default=True,
        help="Channels of fc6 and fc7; the paper has 4096.",
    ),
    click.Option(["--norm"], type=click.Choice(["none", "batch"]), default="batch", show_default=True),
    click.Option(["--geometry"], type=click.Choice(["same", "paper"]), default="same", show_default=True),
    click.Option(["--at-once/--no-at-once"], default=False, show_default=True, help="FCN-8s with scaled skips."),
    click.Option(
        ["--dropout"],
        type=click.FloatRange(0, 0.99),
        default=D.dropout,
        show_default=True,
        help="After fc6 and fc7; the paper has 0.5.",
    ),
    click.Option(
        ["--freeze-norm/--no-freeze-norm"],
        default=D.freeze_norm,
        show_default=True,
        help="Batch norm keeps the statistics of the weights of --init.",
    ),
]

PICTURES = [
    click.Option(
        ["--batch-size"],
        type=click.IntRange(1),
        default=D.batch_size,
        show_default=True,
        help="Pictures of a step, over all processes.",
    ),
    click.Option(
        ["--accumulate"],
        type=click.IntRange(1),
        default=D.accumulate,
        show_default=True,
        help="Takes a batch in so many parts, one after another, in less memory; batch norm sees a part at a time.",
    ),
    click.Option(
        ["--crop", "crop_hw"],
        type=CropSize(),
        default="x".join(map(str, D.crop_hw or ())),
        show_default=True,
        help="What is learned from at a time: a part of each picture, or all of it.",
    ),
    click.Option(
        ["--augment/--no-augment"], default=D.augment, show_default=True, help="Scale, stretch, mirror, recolour."
    ),
    click.Option(
        ["--paste"],
        type=click.FloatRange(0, 1),
        default=D.paste,
        show_default=True,
        help="Share of crops into which things of rare classes are pasted from another picture.",
    ),
    click.Option(
        ["--workers"],
        type=click.IntRange(0),
        default=D.workers,
        show_default=True,
        help="Processes that read pictures, for each that trains.",
    ),
]

LEARNING = [
    click.Option(["--epochs"], type=click.IntRange(1), default=D.epochs, show_default=True),
    click.Option(
        ["--max-minutes"],
        type=click.FloatRange(0, min_open=True),
        help="Anneal the schedule to end within this time.",
    ),
    click.Option(["--optimizer"], type=click.Choice(["adamw", "sgd"]), default=D.optimizer, show_default=True),
    click.Option(["--learning-rate"], type=float, default=D.learning_rate, show_default=True),
    click.Option(
        ["--bias-rate-factor"],
        type=click.FloatRange(0),
        default=D.bias_rate_factor,
        show_default=True,
        help="Biases and batch norm learn at this many times the rate.",
    ),
    click.Option(
        ["--weight-decay"],
        type=float,
        default=D.weight_decay,
        show_default=True,
        help="Of all but biases and batch norm.",
    ),
    click.Option(
        ["--momentum"],
        type=click.FloatRange(0, 1, max_open=True),
        default=D.momentum,
        show_default=True,
        help="Of sgd.",
    ),
    click.Option(
        ["--schedule"],
        type=click.Choice(["one-cycle", "cosine", "fixed"]),
        default=D.schedule,
        show_default=True,
        help="Of the learning rate.",
    ),
    click.Option(
        ["--loss-reduction"],
        type=click.Choice(["mean", "sum"]),
        default=D.loss_reduction,
        show_default=True,
        help="Over the pixels of a batch.",
    ),
    click.Option(
        ["--iou-loss"],
        type=click.FloatRange(0),
        default=D.iou_loss,
        show_default=True,
        help="Weight of a loss that stands for mean IoU, beside cross entropy's 1; 0: none.",
    ),
    click.Option(
        ["--class-weights/--no-class-weights"],
        default=D.class_weights,
        show_default=True,
        help="Rare classes count for more.",
    ),
    click.Option(
        ["--averaging"],
        type=click.FloatRange(0, 0.99999),
        default=D.averaging,
        show_default=True,
        help="Of weights; 0: none.",
    ),
    click.Option(
        ["--validate-every"], type=click.IntRange(1), default=D.validate_every, show_default=True, help="Epochs."
    ),
    click.Option(
        ["--precision"], type=click.Choice(["auto", "32", "bf16", "fp16"]), default=D.precision, show_default=True
    ),
    click.Option(
        ["--compile/--no-compile"],
        default=D.compile,
        show_default=True,
        help="By torch.compile; takes minutes at the start. Measure: no gain on CPUs.",
    ),
    click.Option(["--seed"], type=click.IntRange(0, 2**32 - 1), default=D.seed, show_default=True),
    click.Option(
        ["--deterministic/--no-deterministic"],
        default=D.deterministic,
        show_default=True,
        help="Only operators that give the same to the bit each time; refused where one has no such form.",
    ),
]

GROUPS = {"The run": RUN, "The network": THE_NETWORK, "What it sees": PICTURES, "How it learns": LEARNING}


class GroupedCommand(click.Command):
    """A command whose help shows its options by `GROUPS`."""

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:
        with one_voice():
            return super().make_context(*arguments, **more)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        help_option = self.get_help_option(ctx)
        for title, options in {**GROUPS, "Help": [help_option] if help_option else []}.items():
            with formatter.section(title):
                formatter.write_dl([record for option in options if (record := option.get_help_record(ctx))])
