"""Weights from elsewhere: each kind is recognised with its normalisation, all others are refused in one line, unrun."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fcn_edge.errors import ModelError, OutputError
from fcn_edge.labels import LabelSet
from fcn_edge.training import state_dict, weights
from fcn_edge.training.checkpoint import Checkpoint, Preprocessing, save_checkpoint
from fcn_edge.training.network import FCN
from fcn_edge.training.weights import CAFFE, TORCHVISION, read_weights
from tests.training.foreign_weights import published_fcn, saved, vgg16

LABELS = LabelSet(("road", "rest"), ((128, 64, 128), (0, 0, 0)))
OWN = Preprocessing((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


def own_checkpoint(path: Path) -> Path:
    network = FCN("fcn16s", 2, width=0.05, fc_dim=8, norm="batch", geometry="paper")
    save_checkpoint(path, Checkpoint(network, LABELS, OWN, provenance={"init": {"name": "vgg16_bn"}}))
    return path


KINDS: dict[str, tuple[Callable[[Path], Path], Preprocessing, dict[str, object]]] = {
    "torchvision's vgg16": (
        lambda path: saved(vgg16(), path),
        TORCHVISION,
        {"width": 1 / 16, "fc_dim": 16, "norm": "none"},
    ),
    "torchvision's vgg16_bn": (
        lambda path: saved(vgg16(batch_norm=True), path),
        TORCHVISION,
        {"width": 1 / 16, "fc_dim": 16, "norm": "batch"},
    ),
    "a published FCN": (
        lambda path: saved(published_fcn("fcn16s"), path),
        CAFFE,
        {"width": 1 / 16, "fc_dim": 16, "norm": "none"},
    ),
    "a checkpoint of our own": (
        lambda path: own_checkpoint(path.with_suffix(".safetensors")),
        OWN,
        {"width": 0.05, "fc_dim": 8, "norm": "batch", "geometry": "paper"},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_tells_its_network_its_normalisation_and_its_digest(kind: str, tmp_path: Path) -> None:
    make, preprocessing, settings = KINDS[kind]
    path = make(tmp_path / "start.pth")
    read = read_weights(str(path))
    assert read.preprocessing == preprocessing and read.settings == settings
    assert read.name == path.name and read.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_checkpoint_tells_what_it_started_from_itself(tmp_path: Path) -> None:
    read = read_weights(str(own_checkpoint(tmp_path / "own.safetensors")))
    assert read.provenance()["init"] == {"name": "vgg16_bn"} and read.provenance()["name"] == "own.safetensors"


def test_the_published_normalisations_are_those_of_the_published_weights() -> None:
    """Each channel of one frame, by the formulas of torchvision (RGB, 0..1) and of Caffe (BGR, 0..255)."""
    frame = torch.tensor([[[[10, 120, 250]]]], dtype=torch.uint8)
    blue, green, red = 10, 120, 250
    wanted = [(blue / 255 - 0.406) / 0.225, (green / 255 - 0.456) / 0.224, (red / 255 - 0.485) / 0.229]
    assert TORCHVISION.normalise(frame).flatten().tolist() == pytest.approx(wanted, abs=1e-5)
    wanted = [blue - 104.00698793, green - 116.66876762, red - 122.67891434]
    assert CAFFE.normalise(frame).flatten().tolist() == pytest.approx(wanted, abs=1e-4)


def test_caffes_vgg16_under_torchvisions_names_is_known_by_its_digest_and_sees_bgr_as_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = vgg16()
    path = saved(state, tmp_path / "renamed.pth")
    monkeypatch.setattr(weights, "VGG16_FROM_CAFFE_MD5", hashlib.md5(path.read_bytes()).hexdigest())
    read = read_weights(str(path))
    assert read.preprocessing == CAFFE
    assert torch.equal(read.state["conv1_1.weight"], state["features.0.weight"])


@pytest.mark.parametrize("width", [0.05, 0.06, 0.25, 1 / 3])
def test_the_width_of_a_file_is_found_by_its_channels(width: float, tmp_path: Path) -> None:
    shapes = {name: tuple(value.shape) for name, value in FCN(width=width, fc_dim=4).state_dict().items()}
    path = saved(published_fcn(width=width, fc_dim=4), tmp_path / "fcn.pth")
    found = FCN.from_config(read_weights(str(path)).config)
    assert {name: tuple(value.shape) for name, value in found.state_dict().items()} == shapes


@pytest.mark.parametrize("wrapping", ["model_state_dict", "state_dict"])
def test_the_state_dict_of_a_trainers_checkpoint_is_found(wrapping: str, tmp_path: Path) -> None:
    path = saved({"epoch": 3, wrapping: published_fcn()}, tmp_path / "model_best.pth.tar")
    assert read_weights(str(path)).config.variant == "fcn8s"


def test_the_best_score_of_a_trainer_may_be_a_number_of_numpy(tmp_path: Path) -> None:
    """As pytorch-fcn's trainer keeps it, beside weights that DataParallel has renamed."""
    state = {f"module.{name}": value for name, value in published_fcn().items()}
    content = {"epoch": 3, "best_mean_iu": np.float64(0.6), "model_state_dict": state}
    path = saved(content, tmp_path / "model_best.pth.tar")
    assert read_weights(str(path)).config.variant == "fcn8s"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    state = {name: value.to(dtype) for name, value in vgg16().items()}
    read = read_weights(str(saved(state, tmp_path / "vgg16.pth")))
    assert {value.dtype for value in read.state.values()} == {torch.float32}


def test_the_format_before_torch_1_6_is_read(tmp_path: Path) -> None:
    """torchvision's own files have it."""
    torch.save(vgg16(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert read_weights(str(tmp_path / "old.pth")).preprocessing == TORCHVISION


# -- what is refused --------------------------------------------------------------------------------------------------


class Hostile:
    """Its pickle makes a file when it is run."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("form", ["bare pickle", "zip", "old", "beside weights"])
def test_code_in_a_file_is_never_run(form: str, tmp_path: Path) -> None:
    path, trace = tmp_path / "hostile.pth", tmp_path / "trace"
    content = {**vgg16(), "extra": Hostile(trace)} if form == "beside weights" else Hostile(trace)
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form != "old")
    with pytest.raises(ModelError, match=r"hostile\.pth.*mkdir, which is never run") as refused:
        read_weights(str(path))
    assert "\n" not in str(refused.value) and not trace.exists()
    with suppress(RuntimeError):  # a bare pickle is no file of torch's, which is told only after it was run
        torch.load(path, weights_only=False)
    assert trace.exists()  # or this test could not fail


def changed(state: dict[str, Tensor], **tensors: object) -> dict[str, object]:
    """A state_dict with some tensors replaced, those of None left out; _ stands for the dots."""
    names = {name.replace(".", "_"): name for name in state}
    others = {names.get(name, name): value for name, value in tensors.items()}
    return {name: value for name, value in {**state, **others}.items() if value is not None}


def with_nan(state: dict[str, Tensor], name: str, value: float) -> dict[str, Tensor]:
    return {**state, name: state[name].clone().index_fill_(0, torch.tensor([1]), value)}


WRONG: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {
    "a list": (lambda: [1, 2], ("state_dict", "list")),
    "a tensor": (lambda: torch.zeros(3), ("state_dict", "Tensor")),
    "other things beside tensors": (lambda: {"conv1_1.weight": torch.zeros(2), "epoch": 3}, ("'epoch'",)),
    "numbers for names": (lambda: {0: torch.zeros(2)}, ("0",)),
    "nothing": (dict, ("layers none",)),
    "a ResNet": (lambda: {"conv1.weight": torch.zeros(64, 3, 7, 7), "bn1.bias": torch.zeros(64)}, ("conv1.weight",)),
    "a VGG13": (lambda: changed(vgg16(), features_24_weight=None), ("features.24.weight",)),
    "VGG16 without its last convolution": (
        lambda: changed(vgg16(), features_28_weight=None, features_28_bias=None),
        ("features.28.weight", "1 more"),
    ),
    "VGG16 without its classifier": (
        lambda: {name: value for name, value in vgg16().items() if name.startswith("features")},
        ("classifier.0.weight",),
    ),
    "VGG16 with one norm of many": (
        lambda: changed(vgg16(batch_norm=True), features_4_running_var=None),
        ("features.4.running_var",),
    ),
    "VGG16 of pictures of another size": (
        lambda: changed(vgg16(), classifier_0_weight=torch.zeros(16, 32 * 36)),
        ("classifier.0.weight", "16x1568", "16x1152"),
    ),
    "a layer of another shape": (
        lambda: changed(vgg16(), features_12_weight=torch.zeros(16, 16, 5, 5)),
        ("features.12.weight", "16x16x3x3", "16x16x5x5"),
    ),
    "a layer without dimensions": (lambda: changed(vgg16(), features_5_weight=torch.tensor(3.0)), ("features.5",)),
    "a layer of no channels": (lambda: changed(vgg16(), features_0_weight=torch.zeros(0, 3, 3, 3)), ("0x3x3x3",)),
    "an FCN without its scores": (lambda: changed(published_fcn(), score_pool3_bias=None), ("score_pool3.bias",)),
    "an FCN without its upsampling": (lambda: changed(published_fcn(), upscore8_weight=None), ("upscore8.weight",)),
    "an FCN with layers of its own": (lambda: changed(published_fcn(), extra=torch.zeros(2)), ("extra",)),
    "an FCN of 300 classes": (
        lambda: changed(published_fcn(), score_fr_weight=torch.zeros(300, 16, 1, 1)),
        ("255 classes", "300"),
    ),
    "NaN": (lambda: with_nan(vgg16(), "features.7.weight", float("nan")), ("NaN", "features.7.weight")),
    "infinity": (lambda: with_nan(published_fcn(), "fc7.bias", float("inf")), ("infinity", "fc7.bias")),
    "more than float32 holds": (
        lambda: changed(vgg16(), features_7_bias=torch.full((8,), 1e300, dtype=torch.float64)),
        ("infinity", "features.7.bias"),
    ),
    "integers": (lambda: changed(vgg16(), features_2_bias=torch.zeros(4, dtype=torch.int8)), ("int8",)),
    "a sparse layer": (lambda: changed(vgg16(), features_2_bias=torch.zeros(4).to_sparse()), ("sparse",)),
    "a layer without memory": (lambda: changed(vgg16(), features_2_bias=torch.zeros(4, device="meta")), ("meta",)),
    "one number for many": (
        lambda: changed(vgg16(), features_2_bias=torch.zeros(1).expand(4)),
        ("features.2.bias", "fewer numbers"),
    ),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.filterwarnings("ignore:Sparse")
def test_weights_of_another_kind_are_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    make, words = WRONG[kind]
    path = saved(make(), tmp_path / "wrong.pth")
    assert_refused(path, *words)


def assert_refused(path: Path, *words: str) -> None:
    with pytest.raises(ModelError) as refused:
        read_weights(str(path))
    message = str(refused.value)
    assert "\n" not in message and path.name in message and ";" in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.99])
def test_a_truncated_file_is_refused(share: float, old: bool, tmp_path: Path) -> None:
    whole = io.BytesIO()
    torch.save(vgg16(), whole, _use_new_zipfile_serialization=not old)
    path = tmp_path / "cut.pth"
    path.write_bytes(whole.getvalue()[: int(share * len(whole.getvalue()))])
    assert_refused(path, "copy it again")


@pytest.mark.parametrize("content", [b"not weights at all", b"\x80\x02.", b"PK\x03\x04", bytes(1000)])
def test_what_torch_never_saved_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "odd.pth").write_bytes(content)
    assert_refused(tmp_path / "odd.pth", "wanted weights that torch saved")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path / "vgg19", "vgg16, vgg16_bn or a file", "no file")
    assert_refused(tmp_path, "no file")


def test_safetensors_of_others_are_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    assert_refused(tmp_path / "foreign.safetensors", "without its header")


def test_a_checkpoint_with_nan_is_refused(tmp_path: Path) -> None:
    network = FCN(num_classes=2, width=0.05, fc_dim=8)
    torch.nn.init.constant_(network.score_fr.bias, float("nan"))
    save_checkpoint(tmp_path / "own.safetensors", Checkpoint(network, LABELS))
    assert_refused(tmp_path / "own.safetensors", "NaN", "score_fr.bias")


# -- fetching ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch hub's cache of this test alone; still empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which a server on this machine gives its files out."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def publish(folder: Path, address: str, monkeypatch: pytest.MonkeyPatch, digits: str | None = None) -> Path:
    """A VGG16 on the shelf under a name that ends with its sha256, as torchvision's do, or with other digits."""
    plain = saved(vgg16(), folder / "plain.pth")
    digits = digits or hashlib.sha256(plain.read_bytes()).hexdigest()[:8]
    path = plain.rename(folder / f"vgg16-{digits}.pth")
    monkeypatch.setitem(state_dict.PUBLISHED, "vgg16", f"{address}/{path.name}")
    return path


def test_torchvisions_own_addresses_are_asked() -> None:
    assert state_dict.PUBLISHED == {
        "vgg16": "https://download.pytorch.org/models/vgg16-397923af.pth",
        "vgg16_bn": "https://download.pytorch.org/models/vgg16_bn-6c64b313.pth",
    }


def test_vgg16_is_fetched_once_into_the_cache_of_torch_hub(
    hub: Path, shelf: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = publish(*shelf, monkeypatch)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    first = read_weights("vgg16")
    path.unlink()
    again = read_weights("vgg16")
    assert [first.name, first.sha256] == [again.name, again.sha256] == ["vgg16", digest]
    assert [file.name for file in hub.iterdir()] == [path.name]
    told = capsys.readouterr()
    assert told.err.count("fetching") == 1 and "note" not in told.err and not told.out


def test_a_download_with_another_digest_is_refused_and_not_kept(
    hub: Path, shelf: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(*shelf, monkeypatch, digits="00000000")
    with pytest.raises(ModelError, match="invalid hash"):
        read_weights("vgg16")
    assert not list(hub.iterdir())


def test_a_file_in_the_cache_that_is_not_the_published_one_is_told(
    hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """torchvision takes it unasked; whoever put it there is believed, but not in silence."""
    hub.mkdir(parents=True)
    saved(vgg16(), hub / "vgg16-397923af.pth")
    assert read_weights("vgg16").preprocessing == TORCHVISION
    assert "is not the vgg16 that torchvision publishes" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/models", "http://nowhere.invalid/models", "file:///nowhere"])
def test_without_a_network_the_place_for_the_file_is_told(
    address: str, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(state_dict.PUBLISHED, "vgg16", f"{address}/vgg16-397923af.pth")
    with pytest.raises(ModelError) as refused:
        read_weights("vgg16")
    message = str(refused.value)
    assert "\n" not in message and str(hub / "vgg16-397923af.pth") in message and "--init" in message
    assert not list(hub.iterdir())


def test_a_server_that_falls_silent_is_given_up(
    hub: Path, shelf: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def hold(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        over.wait(30)

    silent = type("Silent", (http.server.BaseHTTPRequestHandler,), {"do_GET": hold, "log_message": lambda *_: None})
    monkeypatch.setattr(state_dict, "SILENCE_S", 0.2)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/vgg16-397923af.pth"
        monkeypatch.setitem(state_dict.PUBLISHED, "vgg16", address)
        with pytest.raises(ModelError, match="timed out"):
            read_weights("vgg16")
        over.set()
        server.shutdown()
        thread.join()
    assert not list(hub.iterdir())


def test_a_cache_that_cannot_be_written_is_told(
    tmp_path: Path, shelf: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))
    publish(*shelf, monkeypatch)
    with pytest.raises(OutputError, match="Not a directory"):
        read_weights("vgg16")
