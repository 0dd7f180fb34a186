"""`fcn-edge export` and `fcn-edge eval`.

Only `export` needs torch and onnx; `eval` needs torch for checkpoints alone.
"""

from __future__ import annotations

import math
from pathlib import Path

import click
import cv2

from calibration.image_set import CalibrationSet, pick
from export.engine_proof import engine_rows, require_tensorrt
from export.eval_report import save_eval_report
from export.score import CHECKPOINT_SUFFIX, open_artifact
from fcn_edge.contact_sheet import contact_sheet, spread
from fcn_edge.datasets import KINDS, open_dataset, require_masks
from fcn_edge.errors import ModelError, SourceError, UsageError
from fcn_edge.evaluation import evaluate
from fcn_edge.files import json_text, require_writable, whole_file
from fcn_edge.options import SIZE, Names
from fcn_edge.progress import say
from fcn_edge.report import print_scores, print_table
from fcn_edge.report_files import require_place
from fcn_edge.scoring import require_same_classes
from runtime.session import ENGINES

PATH = click.Path(path_type=Path)
PRECISIONS = ("fp32", "fp16", "int8", "int8-cpu")
OUTPUTS = ("mask", "confidence")
WORTH_A_STRETCH = 1.2  # 4:3 against 16:10 passes, 3:4 does not


@click.command(
    "export",
    epilog=f"KIND:FOLDER is one of {KINDS}.\n\n"
    "Example: fcn-edge export runs/camvid/best.safetensors -o bundle --size 360x480 --data camvid:data/camvid",
)
@click.argument("checkpoint", type=PATH)
@click.option("-o", "--output", "bundle", type=PATH, required=True, help="Folder of the bundle; must be new.")
@click.option("--size", "size_hw", type=SIZE, required=True, help="Of the frames the graph takes, HxW.")
@click.option("--data", required=True, metavar="KIND:FOLDER", help="Labelled pictures that prove every file.")
@click.option("--split", default="val", show_default=True)
@click.option("--calibration", metavar="KIND:FOLDER", help="Pictures whose ranges INT8 covers; default: --data.")
@click.option("--calibration-split", default="train", show_default=True)
@click.option("--calibration-count", type=click.IntRange(1), default=64, show_default=True)
@click.option(
    "--calibration-list",
    type=PATH,
    help="A list of `fcn-edge calibration pick`; --calibration then says where its pictures are now.",
)
@click.option(
    "--calibration-method",
    type=click.Choice(["contest", "minmax", "percentile-99.999", "percentile-99.99", "entropy", "mse"]),
    default="contest",
    show_default=True,
    help="How ranges are cut; a contest tries all on labelled pictures held out.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the choice of calibration pictures."
)
@click.option(
    "--precisions", type=Names(PRECISIONS), default=",".join(PRECISIONS), show_default=True, help="Files to make."
)
@click.option("--outputs", type=Names(OUTPUTS), default="mask", show_default=True, help="mask or mask,confidence.")
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="auto",
    show_default=True,
    help="What proves the files; auto: every CPU engine here; tensorrt also builds engines for this machine's GPU.",
)
@click.option(
    "--max-miou-drop",
    type=click.FloatRange(0, 100),
    default=0.5,
    show_default=True,
    help="Points of mean IoU that a file may lose; more is refused.",
)
@click.option("--allow-drop", is_flag=True, help="Keep files that lose more.")
@click.option("--repair", is_flag=True, help="Keep the costliest layers of such files in float until they hold.")
@click.option("--sensitivity/--no-sensitivity", default=True, show_default=True, help="Tell what each layer costs.")
def export_command(
    checkpoint: Path,
    bundle: Path,
    size_hw: tuple[int, int],
    data: str,
    split: str,
    calibration: str | None,
    calibration_split: str,
    calibration_count: int,
    calibration_list: Path | None,
    calibration_method: str,
    seed: int,
    precisions: tuple[str, ...],
    outputs: tuple[str, ...],
    engine: str,
    max_miou_drop: float,
    allow_drop: bool,
    repair: bool,
    sensitivity: bool,
) -> None:
    """Turn CHECKPOINT into a bundle of ONNX files, each opened in a runtime and compared with the checkpoint.

    The graphs take a uint8 BGR frame (1, H, W, 3) and give a uint8 class mask (1, H, W). fp16 and int8 are for
    TensorRT and, without --engine tensorrt, scored by proxy; int8-cpu is for x86. A file that loses more than
    --max-miou-drop is refused (exit 4).
    """
    bundle = bundle.resolve() if bundle.is_symlink() else bundle
    if bundle.exists() and (not bundle.is_dir() or any(bundle.iterdir())):
        raise UsageError(f"wanted a new bundle, found {bundle} taken; remove it or choose another -o")
    if checkpoint.suffix != CHECKPOINT_SUFFIX:
        raise ModelError(
            f"{checkpoint}: wanted a checkpoint (*{CHECKPOINT_SUFFIX}); give the best.safetensors of a run"
        )
    if "mask" not in outputs:
        raise UsageError(f"wanted mask among the --outputs, found {','.join(outputs)}; give mask or mask,confidence")
    if math.isnan(max_miou_drop):
        raise UsageError("wanted points of mean IoU as --max-miou-drop, found nan; give 0.5, or what you can afford")
    if engine == "tensorrt":
        require_tensorrt()  # before the work, not after it
    proving = open_dataset(data, split)
    pictures: CalibrationSet | None = None
    origin: dict[str, str] = {}
    if calibration_list:
        pictures, origin = _listed_pictures(calibration_list, calibration)
    elif set(precisions) != {"fp32"}:
        pictures, origin = _picked_pictures(calibration or data, calibration_split, calibration_count, seed)
    if not len(proving):
        raise SourceError(f"wanted pictures to prove the files with, found none in {data}; name a split that has some")
    _warn_of_stretching(proving.image(0).shape, size_hw)

    from export.bundle import export_bundle
    from export.bundle_report import bundle_rows
    from export.exporter import ExportPlan
    from fcn_edge.training.checkpoint import load_checkpoint

    opened = load_checkpoint(checkpoint)
    require_same_classes(opened.labels, proving, checkpoint)
    require_writable(bundle.absolute().parent)
    plan = ExportPlan(
        checkpoint=opened,
        checkpoint_path=checkpoint,
        size_hw=size_hw,
        proving=proving,
        calibration=pictures,
        method=calibration_method,
        origin={"checkpoint": checkpoint.name, "data": _named(data), "split": split, **origin},
        precisions=("fp32", *(name for name in precisions if name != "fp32")),
        outputs=outputs,
        engine=engine,
        max_drop=max_miou_drop / 100,
        allow_drop=allow_drop,
        repair=repair,
        sensitivity=sensitivity,
    )
    manifest, evidence = export_bundle(plan, bundle)
    labelled = "" if proving.has_masks else " without labels: agreement of masks only"
    print_table(f"{bundle}, {len(proving)} pictures of {split}{labelled}", bundle_rows(manifest, evidence))
    if evidence.engines:
        print_table("engines of TensorRT", engine_rows(evidence.engines.values()))


Pictures = tuple[CalibrationSet, dict[str, str]]  # and the names of their origin, for the manifest


def _listed_pictures(path: Path, data: str | None) -> Pictures:
    """Of a list; `data` says where they are now, if they were moved."""
    from calibration.listing import read_list

    return read_list(path, data), {"calibration_list": path.name}


def _picked_pictures(data: str, split: str, count: int, seed: int) -> Pictures:
    origin = {"calibration_data": _named(data), "calibration_split": split}
    return pick(open_dataset(data, split), count, seed), origin


def _named(data: str) -> str:
    """KIND:FOLDER without the way to the folder: an exported file tells nothing of the machine that made it."""
    kind, _, folder = data.partition(":")
    return f"{kind}:{Path(folder).resolve().name}" if folder else data


def _warn_of_stretching(shape: tuple[int, ...], size_hw: tuple[int, int]) -> None:
    """A swapped height and width is the likeliest mistake, and the scores beside the checkpoint cannot show it."""
    stretch = (size_hw[1] / size_hw[0]) / (shape[1] / shape[0])
    if not 1 / WORTH_A_STRETCH < stretch < WORTH_A_STRETCH:
        size = f"{size_hw[0]}x{size_hw[1]}"
        say(f"warning: --size {size} distorts the pictures of {shape[0]}x{shape[1]}; sizes are HEIGHTxWIDTH")


@click.command(
    "eval",
    epilog=f"KIND:FOLDER is one of {KINDS}.\n\n"
    "Example: fcn-edge eval bundle camvid:data/camvid --split val --precision int8-cpu",
)
@click.argument("model", type=PATH)
@click.argument("data", metavar="KIND:FOLDER")
@click.option("--split", default="val", show_default=True)
@click.option("--engine", type=click.Choice(ENGINES), default="auto", show_default=True)
@click.option("--precision", default="auto", show_default=True, help="Which file of a bundle.")
@click.option("--trust-engine", is_flag=True, help="Open a TensorRT engine that fcn-edge did not build: it is code.")
@click.option("--size", "size_hw", type=SIZE, help="Stretch frames for a checkpoint, HxW; default: as they are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.option("--sheet", type=PATH, help="Also write a PNG of frames, truths and masks.")
@click.option(
    "--report",
    type=PATH,
    metavar="FOLDER|FILE.html",
    help="Also write a page of scores, classes, confusions, best and worst frames; into a folder, PNGs and JSON too.",
)
def eval_command(
    model: Path,
    data: str,
    split: str,
    engine: str,
    precision: str,
    trust_engine: bool,
    size_hw: tuple[int, int] | None,
    as_json: bool,
    sheet: Path | None,
    report: Path | None,
) -> None:
    """Score MODEL (a checkpoint, bundle, ONNX file or engine) on labelled pictures, by the paper's four metrics."""
    dataset = require_masks(open_dataset(data, split), data)
    if size_hw and model.suffix != CHECKPOINT_SUFFIX:
        raise UsageError(f"wanted --size for a checkpoint only, found {model}; an exported graph has its size inside")
    if model.suffix == CHECKPOINT_SUFFIX and (engine, precision) != ("auto", "auto"):
        raise UsageError(
            f"wanted --engine and --precision for exported files, found {model}; a checkpoint has float32 only"
        )
    if sheet:
        require_writable(sheet.absolute().parent)
    if report:
        require_place(report)
    with open_artifact(model, engine, precision, size_hw, trust_engine=trust_engine) as artifact:
        require_same_classes(artifact.labels, dataset, model)
        evaluation = evaluate(artifact.segment, dataset, f"scoring {model.name}")
        if sheet:
            with whole_file(sheet) as partial:
                columns = {"mask": lambda index: artifact.segment(dataset.image(index))}
                drawn = contact_sheet(dataset, columns, spread(len(dataset)))
                partial.write_bytes(cv2.imencode(".png", drawn)[1].tobytes())
    if report:
        origin = {"model": model.name, "run by": artifact.description, "data": _named(data), "split": split}
        save_eval_report(report, evaluation, dataset, origin)
    scores = evaluation.scores()
    if as_json:
        click.echo(json_text(scores.to_json()))
    else:
        print_scores({split: scores}, f"{model} ({artifact.description}), {len(dataset)} pictures")
