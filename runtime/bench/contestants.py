"""Who takes part in a comparison: `MODEL[:PRECISION][@ENGINE][,threads=N]` in words, and its sessions."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import FcnEdgeError, ModelError, UsageError, first_line
from fcn_edge.manifest import read_manifest
from runtime.candidates import Wish, candidate_of
from runtime.engines import DEVICES, ENGINES, Serving
from runtime.segmenter import Segmenter
from runtime.session import open_session
from runtime.session_protocol import Session

FORM = "MODEL[:PRECISION][@ENGINE][,threads=N]"
# The shortest model after which all that is left is a choice: colons and @ may stand in a path too.
PATTERN = re.compile(r"(.+?)(?::([a-z0-9-]+))?(?:@([a-z-]+))?((?:,[a-z_-]+=[^,=]*)*)")

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
    """Raises UsageError; whether there is such a model is seen when it is opened."""
    match = PATTERN.fullmatch(text)
    if Path(text).exists() or not match:
        return replace(usual, name=text, model=Path(text))
    model, precision, engine, options = match.groups()
    if engine and engine not in ENGINES:
        raise UsageError(f"{text}: wanted an engine out of {', '.join(ENGINES)} after the @, found {engine}")
    serving = _with(usual.serving, options, text)
    return Contestant(text, Path(model), engine or usual.engine, precision or usual.precision, serving)


def _with(serving: Serving, options: str, text: str) -> Serving:
    for option in options.split(",")[1:]:
        key, _, value = option.partition("=")
        if key != "threads" or not re.fullmatch(r"[1-9]\d{0,3}", value):
            raise UsageError(f"{text}: wanted {FORM}, found {option!r}; say threads=2, for instance")
        serving = replace(serving, threads=int(value))
    return serving


def engine_of(session: Session) -> str:
    """Which of ENGINES it is, by what it tells of its device."""
    library, place, *_ = [*session.device.split(", "), ""]
    for engine, device in DEVICES.items():
        if library.startswith(engine.partition("-")[0] + " ") and place == device:
            return engine
    return "tensorrt" if library.startswith("TensorRT") else "auto"
