"""datasets/__init__.py: a dataset is opened by its kind, and every kind keeps the same promises."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest

from fcn_edge.__main__ import door
from fcn_edge.datasets import KINDS, READERS, Dataset, open_dataset, require_masks
from fcn_edge.datasets.camvid import open_camvid
from fcn_edge.datasets.folder import open_folder
from fcn_edge.datasets.synthetic import open_synthetic
from fcn_edge.errors import SourceError, UsageError
from tests.ground.miniatures import write_cityscapes, write_sbd, write_voc


def test_a_folder_is_opened_by_its_kind(street_folder: Path) -> None:
    assert open_dataset(f"folder:{street_folder}", "val") == open_folder(street_folder, "val")


def test_a_path_may_hold_a_colon(tmp_path: Path) -> None:
    root = tmp_path / "a:b"
    (root / "images" / "val").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"a:b/labels\.json"):
        open_dataset(f"folder:{root}", "val")


def test_synthetic_pictures_need_no_folder() -> None:
    assert open_dataset("synthetic:", "val") == open_synthetic("val")


@pytest.mark.parametrize("name", ["", "ade20k:/data", "/data/camvid", "Folder:/data", ":", "data"])
def test_an_unknown_kind_is_a_usage_mistake_that_lists_the_kinds(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_dataset(name, "val")
    for kind in ("camvid:FOLDER", "cityscapes:FOLDER", "folder:FOLDER", "sbd:FOLDER", "voc:FOLDER", "synthetic:"):
        assert kind in str(caught.value)


def commands(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            assert found is not None
            yield from commands(found)


def test_the_help_of_every_command_that_takes_data_lists_the_kinds() -> None:
    taking = [
        command for command in commands(door) if any(parameter.metavar == "KIND:FOLDER" for parameter in command.params)
    ]
    assert len(taking) >= 5
    for command in taking:
        assert KINDS in (command.epilog or ""), command.name


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("folder", ["", "/no/such/folder", __file__])
def test_a_folder_that_is_none_is_refused(kind: str, folder: str) -> None:
    with pytest.raises(SourceError, match=f"{kind} dataset"):
        open_dataset(f"{kind}:{folder}", "val")


def test_masks_are_required_only_of_those_who_lack_them(street_folder: Path, tmp_path: Path) -> None:
    labelled = open_folder(street_folder, "val")
    assert require_masks(labelled, "x") is labelled
    (tmp_path / "images").symlink_to(street_folder / "images")
    (tmp_path / "labels.json").symlink_to(street_folder / "labels.json")
    with pytest.raises(SourceError, match="found no masks in folder:mine"):
        require_masks(open_folder(tmp_path, "val"), "folder:mine")


def assert_keeps_the_promises(dataset: Dataset) -> None:
    names = [dataset.name(index) for index in range(len(dataset))]
    assert names and len(set(names)) == len(names)
    for index in range(len(dataset)):
        image, mask = dataset.image(index), dataset.mask(index)
        assert image.dtype == mask.dtype == np.uint8
        assert image.shape == (*mask.shape, 3)
        assert set(np.unique(mask)) <= {*range(len(dataset.labels)), 255}


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_folder_keeps_the_promises_of_a_dataset(street_folder: Path, split: str) -> None:
    assert_keeps_the_promises(open_folder(street_folder, split))


def test_synthetic_keeps_the_promises_of_a_dataset() -> None:
    assert_keeps_the_promises(open_synthetic("val"))


@pytest.fixture(params=["voc:", "sbd:", "cityscapes:", "voc: both"])
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    """The train split of a miniature; of VOC's also the one that mixes it with SBD."""
    write_voc(tmp_path, {"train": ["2007_000032", "2008_000015"]})
    write_sbd(tmp_path, {"train": ["2008_000015", "2010_000020"]})
    write_cityscapes(tmp_path, {"train": ["aachen"]})
    kind, _, both = request.param.partition(":")
    return open_dataset(f"{kind}:{tmp_path}", "train+sbd" if both else "train")


def test_published_datasets_keep_the_promises_of_a_dataset(published: Dataset) -> None:
    assert_keeps_the_promises(published)
    assert len(published.digest()) == 64


def test_published_datasets_may_be_read_in_another_process(published: Dataset) -> None:
    there = pickle.loads(pickle.dumps(published))
    assert there == published
    np.testing.assert_array_equal(there.mask(0), published.mask(0))


@pytest.mark.realdata
def test_camvid_keeps_the_promises_of_a_dataset(real_data: Path) -> None:
    assert_keeps_the_promises(open_camvid(real_data / "camvid", "val"))
