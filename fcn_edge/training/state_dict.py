"""Files that torch wrote elsewhere, to state_dicts: given, or fetched through torch hub. No code in a file is run.

Which network the layers are of is not asked here (`weights.py`).
"""

from __future__ import annotations

import pickle
import re
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from torch import Tensor

from fcn_edge.errors import ModelError, first_line
from fcn_edge.files import writing
from fcn_edge.progress import say

# VGG16_Weights.IMAGENET1K_V1 and VGG16_BN_Weights.IMAGENET1K_V1 of torchvision; a name ends with its file's sha256.
PUBLISHED = {
    "vgg16": "https://download.pytorch.org/models/vgg16-397923af.pth",
    "vgg16_bn": "https://download.pytorch.org/models/vgg16_bn-6c64b313.pth",
}

WRAPPED_IN = ("model_state_dict", "state_dict")  # by the trainers of pytorch-fcn and of Lightning

DATA_PARALLEL = "module."  # before every name that torch.nn.DataParallel has wrapped

# Those of a NumPy number, such as the best mean IoU that pytorch-fcn's trainer keeps beside the weights, by the names
# of NumPy 1 and 2. They make no more than numbers.
_OF_NUMBERS: list[Any] = [
    *((np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *(np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType, np.dtypes.Int64DType),
]

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)

SILENCE_S = 30.0  # that a download may keep; torch hub itself would wait for ever

StateDict = dict[str, Tensor]


def published_digits(name: str) -> str:
    """What the sha256 of one of `PUBLISHED` begins with."""
    return Path(PUBLISHED[name]).stem.rpartition("-")[2]


def fetched(name: str) -> Path:
    """One of `PUBLISHED` in torch hub's cache, where torchvision looks for it too; downloaded if it is not there yet.

    A download is refused if its hash is wrong. Raises ModelError, and OutputError when the cache cannot be written.
    """
    url = PUBLISHED[name]
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    if path.is_file():
        return path
    say(f"fetching {url} to {path}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _bounded_silence():
                torch.hub.download_url_to_file(url, str(path), published_digits(name), progress=sys.stderr.isatty())
        except (URLError, TimeoutError, ConnectionError, HTTPException, RuntimeError) as error:
            raise ModelError(
                f"wanted {name} from {url}, found: {first_line(error)}; "
                f"fetch it where there is a network and put it at {path}, or give the file to --init"
            ) from None
    return path


def read_state_dict(path: Path) -> StateDict:
    """Names and tensors of a file that `torch.save` wrote; raises ModelError that says what the file is not."""
    content = _loaded(path)
    for name in WRAPPED_IN:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict):
        raise ModelError(
            f"{path}: wanted a state_dict, found a {type(content).__name__}; save the network's state_dict()"
        )
    stray = [name for name, value in content.items() if not isinstance(name, str) or not isinstance(value, Tensor)]
    if stray:
        raise ModelError(
            f"{path}: wanted names and tensors alone, found {stray[0]!r} to be neither; save the network's state_dict()"
        )
    return {name.removeprefix(DATA_PARALLEL): value.detach() for name, value in content.items()}


def rows_of(path: Path, state: StateDict, name: str) -> int:
    """The output channels of a layer; raises ModelError if there is no such layer."""
    if name not in state or not state[name].dim():
        raise ModelError(f"{path}: wanted the layer {name}, found none; these weights are of another network")
    return len(state[name])


def require_layers(path: Path, network: str, state: StateDict, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises ModelError unless all of `shapes` are there, of these shapes and finite; more layers may be there."""
    missing = [name for name in shapes if name not in state]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(
            f"{path}: wanted {network}, found no {missing[0]}{more}; these weights are of another network, or cut"
        )
    for name, shape in shapes.items():
        found = _plain_shape(state[name])
        if found != _dimensions(shape):
            raise ModelError(
                f"{path}: wanted {name} of {_dimensions(shape)}, found {found}; these weights are of another network"
            )
    require_finite(path, {name: state[name] for name in shapes})


def _plain_shape(tensor: Tensor) -> str:
    """Its dimensions, or what keeps it from being numbers that lie in memory, one each."""
    if tensor.device.type != "cpu" or tensor.layout != torch.strided or tensor.dtype not in FLOATS:
        return f"{tensor.dtype} on {tensor.device.type}, {tensor.layout}".replace("torch.", "")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"{_dimensions(tuple(tensor.shape))} of fewer numbers"
    return _dimensions(tuple(tensor.shape))


def _dimensions(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"


def require_finite(path: Path, state: Mapping[str, Tensor]) -> None:
    """Raises ModelError that names the first tensor with NaN or infinity, in float32, in which they will be used."""
    broken = [name for name, value in state.items() if not torch.isfinite(value.float()).all()]
    if broken:
        raise ModelError(
            f"{path}: wanted finite weights, found NaN or infinity in {broken[0]}; they cannot be used, take others"
        )


def _loaded(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they speak of old formats, to torch's own users
            with torch.serialization.safe_globals(_OF_NUMBERS):
                return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a foreign pickle can fail in any way there is
        raise ModelError(
            f"{path}: wanted weights that torch saved, found: {_reason(error)}; "
            "fetch or copy it again, or save the network's state_dict() alone"
        ) from None


def _reason(error: Exception) -> str:
    """Why torch refused a file, without its advice to run what is in it."""
    if not isinstance(error, pickle.UnpicklingError):
        return f"{type(error).__name__}: {first_line(error).split('. ')[0]}"
    asked = re.search(r"GLOBAL (\S+)", str(error))
    return f"a pickle that asks for {asked[1]}, which is never run" if asked else "a pickle of more than tensors"


@contextmanager
def _bounded_silence() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
