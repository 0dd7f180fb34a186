"""Who takes part in a comparison: `MODEL[,PRECISION][,ENGINE][,threads=N]` in words, and its sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import FcnEdgeError, ModelError, UsageError, first_line
from fcn_edge.manifest import read_manifest
from runtime.bench.spells import Opener, Step
from runtime.candidates import Wish, candidate_of
from runtime.engines import DEVICES, ENGINES, Serving
from runtime.segmenter import Segmenter
from runtime.session import open_session
from runtime.session_protocol import Session

FORM = "MODEL[,PRECISION][,ENGINE][,threads=N]"
PRECISIONS = ("fp32", "fp16", "int8", "int8-cpu")  # of the files that an export makes
THREADS = re.compile(r"threads=[1-9]\d{0,3}")

AS_USUAL = Serving()


@dataclass(frozen=True)
class Contestant:
    """A model, and how it is served."""

    name: str  # as the user typed it, without the folders where that is clear
    model: Path
    engine: str = "auto"
    precision: str = "auto"
    serving: Serving = AS_USUAL

    def open(self) -> Session:
        """What is chosen for `auto` is told in a line; raises ModelError or UsageError."""
        serving = self.serving
        return open_session(
            self.model,
            self.engine,
            self.precision,
            serving.threads,
            trust_engine=serving.trust_engine,
            cuda_graph=serving.cuda_graph,
        )

    def open_again(self) -> Session:
        """As `open`, of one that was settled: nothing is chosen, and nothing told."""
        if self.model.is_dir():
            wish = Wish(self.model, read_manifest(self.model), self.engine, self.precision, self.serving)
            if candidate := candidate_of(wish, self.engine, self.precision):
                return candidate.open(wish)
        return self.open()

    def opener(self, frame: NDArray[np.uint8]) -> Opener:
        """For spells of one that was settled: each opens it again and passes this frame (H, W, 3) BGR."""
        return partial(_stepping, self, frame)

    def require_mask(self, session: Session, frame: NDArray[np.uint8]) -> None:
        """Some failures show with the first frame only; raises ModelError for them."""
        try:
            Segmenter(session)(frame)
        except FcnEdgeError:
            raise
        except Exception as error:  # the libraries' exceptions share no base class
            raise ModelError(
                f"{self.name}: wanted a mask from {session.device}, found: {first_line(error)}; see `fcn-edge doctor`"
            ) from None

    def settled(self, session: Session) -> Contestant:
        """As its session, the first of many, was opened."""
        engine = engine_of(session) if self.engine == "auto" else self.engine
        return replace(self, engine=engine, precision=session.facts.precision)


@contextmanager
def _stepping(contestant: Contestant, frame: NDArray[np.uint8]) -> Iterator[Step]:
    with contestant.open_again() as session:
        yield partial(Segmenter(session), frame)


def contestant_served(model: Path, serving: Mapping[str, Any]) -> Contestant:
    """`serving` by the names of `open_session`'s parameters."""
    rest = {name: value for name, value in serving.items() if name not in ("engine", "precision")}
    return Contestant(model.name, model, serving["engine"], serving["precision"], Serving(**rest))


def contestants_of(words: tuple[str, ...], usual: Contestant) -> tuple[Contestant, ...]:
    """Of all that is to be compared; `usual` serves what they do not say. Raises UsageError.

    One that is named twice gets a number: to compare a model with itself shows the noise.
    """
    found = [contestant_of(text, usual) for text in words]
    short = [text.replace(str(one.model), one.model.name, 1) for text, one in zip(words, found, strict=True)]
    names = short if len(set(short)) == len(set(words)) else list(words)
    numbers = [names[:place].count(name) + 1 for place, name in enumerate(names)]
    told = [f"{name} ({number})" if number > 1 else name for name, number in zip(names, numbers, strict=True)]
    return tuple(replace(one, name=name) for one, name in zip(found, told, strict=True))


def contestant_of(text: str, usual: Contestant) -> Contestant:
    """Raises UsageError; whether there is such a model is seen when it is opened.

    Commas, for a colon may stand in a path, and what looks like user:password@host is hidden in messages.
    """
    if Path(text).exists():
        return replace(usual, name=text, model=Path(text))
    model, *words = text.split(",")
    while words and not _kind_of(words[0]) and not Path(model).exists():  # a comma of the path's
        model = f"{model},{words.pop(0)}"
    choices: dict[str, str] = {}
    for word in words:
        kind = _kind_of(word)
        if not kind or kind in choices:
            found = f"{word!r} beside {choices[kind]}" if kind else repr(word)
            raise UsageError(f"{text}: wanted {FORM}, found {found}; an engine is one of {', '.join(ENGINES)}")
        choices[kind] = word
    threads = int(choices["threads"].partition("=")[2]) if "threads" in choices else usual.serving.threads
    return Contestant(
        text,
        Path(model),
        choices.get("engine", usual.engine),
        choices.get("precision", usual.precision),
        replace(usual.serving, threads=threads),
    )


def _kind_of(word: str) -> str:
    """Empty for what is no choice."""
    if word in ENGINES:
        return "engine"
    if word in PRECISIONS:
        return "precision"
    return "threads" if THREADS.fullmatch(word) else ""


def engine_of(session: Session) -> str:
    """Which of ENGINES it is, by what it tells of its device."""
    library, place, *_ = [*session.device.split(", "), ""]
    for engine, device in DEVICES.items():
        if library.startswith(engine.partition("-")[0] + " ") and place == device:
            return engine
    return "tensorrt" if library.startswith("TensorRT") else "auto"
