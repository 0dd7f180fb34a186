"""How a bundle is served here: by what the user named, or else by the fastest of what can, measured once in turns."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from datetime import date
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import FcnEdgeError, ModelError, UsageError, first_line
from fcn_edge.progress import say
from runtime.bench import interleaved
from runtime.candidates import Candidate, Field, Wish, candidate_of, field_of
from runtime.choice_record import Choice, read_choice, write_choice
from runtime.session_protocol import Session

MEASURED = ("auto", "tensorrt")  # the engines asked for that may leave several candidates

MOST_S = 1.5  # of measuring, beside the time that opening takes; models of more than 0.1 s a frame take longer
FEWEST_ROUNDS, MOST_ROUNDS = 3, 20
FRAMES = 3  # of a round

Frame = NDArray[np.uint8]


def open_bundle(wish: Wish) -> Session:
    """The candidate that was asked for, or the fastest. What was chosen and why is told in a line.

    Raises what keeps every candidate away: ModelError, or UsageError for a missing package or precision.
    """
    choice = read_choice(wish) if wish.engine in MEASURED else None
    return (choice and _chosen_before(wish, choice)) or _chosen_now(wish)


def _chosen_before(wish: Wish, choice: Choice) -> Session | None:
    """None if it does not open any more; then the others are measured, and this one's failure is told."""
    try:
        candidate = candidate_of(wish, choice.engine, choice.precision)
        session = candidate.open(wish) if candidate else None
    except (ModelError, UsageError):
        return None
    if candidate and session:
        _tell(candidate, choice)
    return session


def _chosen_now(wish: Wish) -> Session:
    field = field_of(wish)
    left_out = _left_out(field)
    if len(field.candidates) > 1:
        return _fastest(wish, field, left_out)
    (candidate,) = field.candidates
    session = candidate.open(wish)
    _tell(candidate, Choice(candidate.engine, candidate.file.precision, {}, "", left_out))
    return session


def _fastest(wish: Wish, field: Field, left_out: str) -> Session:
    """All are opened, and all but one closed again. Only what all took part in is kept for next time."""
    frame = np.random.default_rng(0).integers(0, 256, (*wish.manifest.size_hw, 3), np.uint8)
    with ExitStack() as stack:
        opened, failures = _opened(wish, field, frame, stack)
        medians_ms = _medians_ms({candidate.name: session for candidate, session in opened}, frame)
        best, session = min(opened, key=lambda pair: medians_ms[pair[0].name])
        choice = Choice(best.engine, best.file.precision, medians_ms, date.today().isoformat(), left_out)
        for failure in failures:
            say(failure)
        if not failures:
            write_choice(wish, choice)
        _tell(best, choice)
        for _, other in opened:
            if other is not session:
                other.close()
        stack.pop_all()
    return session


def _opened(
    wish: Wish, field: Field, frame: Frame, stack: ExitStack
) -> tuple[list[tuple[Candidate, Session]], list[str]]:
    """Those that open and give a mask, and a line for each other one. Raises the first failure if all fail."""
    opened, failures, lines = [], [], []
    for candidate in field.candidates:
        try:
            session = stack.enter_context(candidate.open(wish))
            _require_mask(session, candidate, frame)
            opened.append((candidate, session))
        except (ModelError, UsageError) as error:
            failures.append(error)
            lines.append(f"{candidate.name} left out: {error}")
    if not opened:
        raise failures[0]
    return opened, lines


def _require_mask(session: Session, candidate: Candidate, frame: Frame) -> None:
    """The first frame is the slowest, and some failures show with it only."""
    try:
        session.infer(frame)
    except FcnEdgeError:
        raise
    except Exception as error:  # the libraries' exceptions share no base class
        raise ModelError(
            f"{candidate.file.name}: wanted a mask from {candidate.engine}, found: {first_line(error)}; see "
            "`fcn-edge doctor`"
        ) from None


def _medians_ms(sessions: Mapping[str, Session], frame: Frame) -> dict[str, float]:
    """In turns, for about `MOST_S` seconds."""
    if len(sessions) == 1:
        return dict.fromkeys(sessions, 0.0)
    started = perf_counter()
    for session in sessions.values():
        session.infer(frame)
    turn_s = perf_counter() - started
    frames = FRAMES if turn_s * FRAMES * FEWEST_ROUNDS < MOST_S else 1
    rounds = min(max(int(MOST_S / (turn_s * frames)) - 1, FEWEST_ROUNDS), MOST_ROUNDS)
    measured = interleaved({name: session.infer for name, session in sessions.items()}, frame, rounds, frames)
    return {name: median(values) for name, values in measured.items()}


def _left_out(field: Field) -> str:
    """One line, whatever the number of engines: what keeps one away mostly keeps them all away."""
    return f"TensorRT left out: {field.refusals[0]}" if field.refusals else ""


def _tell(candidate: Candidate, choice: Choice) -> None:
    if choice.left_out:
        say(choice.left_out)
    if not candidate.is_proved:
        say(f"warning: {_doubt(candidate)}; score it with `fcn-edge eval`")
    own = choice.medians_ms.get(candidate.name, 0.0)
    others = [f"{name} {value:.1f}" for name, value in choice.medians_ms.items() if name != candidate.name]
    if others:
        when = "now" if choice.date == date.today().isoformat() else f"on {choice.date}"
        say(
            f"engine: {candidate.name}, {own:.1f} ms a frame against {', '.join(others)}, measured {when}; "
            "--engine overrides"
        )


def _doubt(candidate: Candidate) -> str:
    if candidate.facts:
        return f"the {candidate.file.precision} engine was not scored when it was built"
    proved = ", ".join(candidate.file.proved_on)
    return f"{candidate.file.name} was not proved on {candidate.engine}, only on {proved}"
