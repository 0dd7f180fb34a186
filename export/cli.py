"""`fcn-edge export` and `fcn-edge eval`.

Only `export` needs torch and onnx; `eval` needs torch for checkpoints alone.
"""

from __future__ import annotations

from pathlib import Path

import click
import cv2

from calibration.image_set import pick
from export.contact_sheet import contact_sheet
from export.score import CHECKPOINT_SUFFIX, open_artifact, require_same_classes
from fcn_edge.datasets import open_dataset, require_masks
from fcn_edge.errors import ModelError, UsageError
from fcn_edge.files import json_text, require_writable, whole_file
from fcn_edge.options import SIZE
from fcn_edge.progress import say
from fcn_edge.report import print_scores, print_table
from fcn_edge.scoring import score
from runtime.session import ENGINES

PATH = click.Path(path_type=Path)
WORTH_A_WARNING = 0.005  # half a point of mean IoU
WORTH_A_STRETCH = 1.2  # 4:3 against 16:10 passes, 3:4 does not


@click.command(
    "export",
    epilog="Example: fcn-edge export runs/camvid/best.safetensors -o bundle --size 360x480 --data camvid:data/camvid",
)
@click.argument("checkpoint", type=PATH)
@click.option("-o", "--output", "bundle", type=PATH, required=True, help="Folder of the bundle; must be new.")
@click.option("--size", "size_hw", type=SIZE, required=True, help="Of the frames the graph takes, HxW.")
@click.option("--data", required=True, metavar="KIND:FOLDER", help="Labelled pictures that score every file.")
@click.option("--split", default="val", show_default=True)
@click.option("--calibration", metavar="KIND:FOLDER", help="Pictures whose ranges INT8 covers; default: --data.")
@click.option("--calibration-split", default="train", show_default=True)
@click.option("--calibration-count", type=click.IntRange(1), default=64, show_default=True)
@click.option(
    "--calibration-method", type=click.Choice(["minmax", "entropy", "percentile"]), default="minmax", show_default=True
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the choice of calibration pictures."
)
def export_command(
    checkpoint: Path,
    bundle: Path,
    size_hw: tuple[int, int],
    data: str,
    split: str,
    calibration: str | None,
    calibration_split: str,
    calibration_count: int,
    calibration_method: str,
    seed: int,
) -> None:
    """Turn CHECKPOINT into a bundle: fp32 and INT8 ONNX files, each opened in the runtime and scored.

    The graphs take a uint8 BGR frame (1, H, W, 3) and give a uint8 class mask (1, H, W).
    """
    if bundle.exists() and (not bundle.is_dir() or any(bundle.iterdir())):
        raise UsageError(f"wanted a new bundle, found {bundle} taken; remove it or choose another -o")
    if checkpoint.suffix != CHECKPOINT_SUFFIX:
        raise ModelError(
            f"{checkpoint}: wanted a checkpoint (*{CHECKPOINT_SUFFIX}); give the best.safetensors of a run"
        )
    labelled = require_masks(open_dataset(data, split), data)
    calibration = calibration or data
    pictures = pick(open_dataset(calibration, calibration_split), calibration_count, seed)
    require_writable(bundle.absolute().parent)
    _warn_of_stretching(labelled.image(0).shape, size_hw)

    from export.bundle import ExportPlan, export_bundle
    from export.bundle_report import comparison_rows
    from fcn_edge.training.checkpoint import load_checkpoint

    opened = load_checkpoint(checkpoint)
    require_same_classes(opened.labels, labelled, checkpoint)
    origin = {
        "checkpoint": checkpoint.name,
        "data": data,
        "split": split,
        "calibration_data": calibration,
        "calibration_split": calibration_split,
    }
    plan = ExportPlan(opened, checkpoint, size_hw, labelled, pictures, calibration_method, origin)
    manifest, comparisons = export_bundle(plan, bundle)
    print_table(f"{bundle}, scored on {len(labelled)} pictures of {split}", comparison_rows(comparisons, manifest))
    _warn(comparisons["checkpoint"].scores.mean_iou - comparisons["int8-cpu"].scores.mean_iou)


def _warn_of_stretching(shape: tuple[int, ...], size_hw: tuple[int, int]) -> None:
    """A swapped height and width is the likeliest mistake, and the scores beside the checkpoint cannot show it."""
    stretch = (size_hw[1] / size_hw[0]) / (shape[1] / shape[0])
    if not 1 / WORTH_A_STRETCH < stretch < WORTH_A_STRETCH:
        size = f"{size_hw[0]}x{size_hw[1]}"
        say(f"warning: --size {size} distorts the pictures of {shape[0]}x{shape[1]}; sizes are HEIGHTxWIDTH")


def _warn(lost: float) -> None:
    if lost > WORTH_A_WARNING:
        say(f"warning: INT8 lost {100 * lost:.2f} points of mean IoU; try another --calibration-method")


@click.command("eval", epilog="Example: fcn-edge eval bundle camvid:data/camvid --split val --precision int8-cpu")
@click.argument("model", type=PATH)
@click.argument("data", metavar="KIND:FOLDER")
@click.option("--split", default="val", show_default=True)
@click.option("--engine", type=click.Choice(ENGINES), default="auto", show_default=True)
@click.option("--precision", default="auto", show_default=True, help="Which file of a bundle.")
@click.option("--size", "size_hw", type=SIZE, help="Stretch frames for a checkpoint, HxW; default: as they are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--sheet", type=PATH, help="Also write a PNG of frames, truths and masks.")
def eval_command(
    model: Path,
    data: str,
    split: str,
    engine: str,
    precision: str,
    size_hw: tuple[int, int] | None,
    as_json: bool,
    sheet: Path | None,
) -> None:
    """Score MODEL (a checkpoint, an ONNX file or a bundle) on labelled pictures, by the paper's four metrics."""
    dataset = require_masks(open_dataset(data, split), data)
    if size_hw and model.suffix != CHECKPOINT_SUFFIX:
        raise UsageError(f"wanted --size for a checkpoint only, found {model}; an exported graph has its size inside")
    if model.suffix == CHECKPOINT_SUFFIX and (engine, precision) != ("auto", "auto"):
        raise UsageError(
            f"wanted --engine and --precision for exported files, found {model}; a checkpoint has float32 only"
        )
    if sheet:
        require_writable(sheet.absolute().parent)
    with open_artifact(model, engine, precision, size_hw) as artifact:
        require_same_classes(artifact.labels, dataset, model)
        scores = score(artifact.segment, dataset, f"scoring {model.name}")
        if sheet:
            with whole_file(sheet) as partial:
                partial.write_bytes(
                    cv2.imencode(".png", contact_sheet(dataset, {"mask": artifact.segment}))[1].tobytes()
                )
    if as_json:
        click.echo(json_text(scores.to_json()))
    else:
        print_scores({split: scores}, f"{model} ({artifact.description}), {len(dataset)} pictures")
