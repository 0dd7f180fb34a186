"""How a bundle is served here: by what the user named, or else by the fastest of what can, measured once in turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import date
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import FcnEdgeError, ModelError, UsageError, first_line
from fcn_edge.progress import progress, say
from runtime.candidates import Candidate, Field, Wish, candidate_of, field_of
from runtime.choice_record import Choice, read_choice, write_choice
from runtime.session_protocol import Session

MEASURED = ("auto", "tensorrt")  # the engines asked for that may leave several candidates

MOST_S = 1.5  # of measuring, but for models so slow that the fewest rounds take longer
FEWEST_ROUNDS, MOST_ROUNDS = 3, 50
SLOW_MS, HOPELESS = (
    200.0,
    10.0,
)  # a frame of more than this, and so many times the fastest one's, is not asked for again

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
        _tell(candidate, choice, f"on {choice.date}")
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
        entrants, failures = _entered(wish, field, frame, stack)
        medians_ms = _medians_ms(entrants, frame)
        best = min(entrants, key=lambda entrant: medians_ms[entrant.candidate.name])
        chosen = best.candidate
        choice = Choice(chosen.engine, chosen.file.precision, medians_ms, date.today().isoformat(), left_out)
        for failure in failures:
            say(failure)
        if not failures:
            write_choice(wish, choice)
        _tell(chosen, choice, "now")
        for entrant in entrants:
            if entrant is not best:
                entrant.session.close()
        stack.pop_all()
    return best.session


class Entrant(NamedTuple):
    """A candidate that is open and warm."""

    candidate: Candidate
    session: Session


def _entered(wish: Wish, field: Field, frame: Frame, stack: ExitStack) -> tuple[list[Entrant], list[str]]:
    """Those that open and give a mask, and a line for each other one. Raises the first failure if all fail."""
    entrants, failures, lines = [], [], []
    for candidate in field.candidates:
        try:
            session = stack.enter_context(candidate.open(wish))
            _warm_up(session, candidate, frame)
            entrants.append(Entrant(candidate, session))
        except (ModelError, UsageError) as error:
            failures.append(error)
            lines.append(f"{candidate.name} left out: {error}")
    if not entrants:
        raise failures[0]
    return entrants, lines


def _warm_up(session: Session, candidate: Candidate, frame: Frame) -> None:
    """Some failures show with the first frame only; raises ModelError for them."""
    try:
        session.infer(frame)
    except FcnEdgeError:
        raise
    except Exception as error:  # the libraries' exceptions share no base class
        raise ModelError(
            f"{candidate.file.name}: wanted a mask from {candidate.engine}, found: {first_line(error)}; see "
            "`fcn-edge doctor`"
        ) from None


def _medians_ms(entrants: Sequence[Entrant], frame: Frame) -> dict[str, float]:
    """By the candidates' names. In turns, so that whoever else uses the machine disturbs all alike."""
    sessions = {entrant.candidate.name: entrant.session for entrant in entrants}
    if len(sessions) == 1:
        return dict.fromkeys(sessions, 0.0)
    with progress("measuring engines", None) as step:
        started = perf_counter()
        times_ms = {name: [_frame_ms(session, frame)] for name, session in sessions.items()}
        contenders = _contenders(times_ms)
        for done in range(1, MOST_ROUNDS):
            if done >= FEWEST_ROUNDS and perf_counter() - started > MOST_S:
                break
            for name in contenders:
                times_ms[name].append(_frame_ms(sessions[name], frame))
            step()
    return {name: median(values) for name, values in times_ms.items()}


def _contenders(times_ms: Mapping[str, Sequence[float]]) -> list[str]:
    """All but the hopeless: to wait for a CPU beside a GPU again and again would tell nothing new."""
    most_ms = max(SLOW_MS, HOPELESS * min(first for first, *_ in times_ms.values()))
    return [name for name, (first, *_) in times_ms.items() if first <= most_ms]


def _frame_ms(session: Session, frame: Frame) -> float:
    started = perf_counter()
    session.infer(frame)
    return 1e3 * (perf_counter() - started)


def _left_out(field: Field) -> str:
    """One line, whatever the number of engines: what keeps one away mostly keeps them all away."""
    told = [f"TensorRT left out: {field.refusals[0]}"] if field.refusals else []
    if field.unproved:
        names = ", ".join(candidate.name for candidate in field.unproved)
        told.append(f"{names} left out: not proved there; --engine overrides")
    return "; ".join(told)


def _tell(candidate: Candidate, choice: Choice, when: str = "") -> None:
    if choice.left_out:
        say(choice.left_out)
    if not candidate.is_proved:
        say(f"warning: {_doubt(candidate)}; see how it scores with `fcn-edge eval`")
    own = choice.medians_ms.get(candidate.name, 0.0)
    others = [f"{name} {value:.1f}" for name, value in choice.medians_ms.items() if name != candidate.name]
    if others:
        say(
            f"engine: {candidate.name}, {own:.1f} ms a frame against {', '.join(others)}, measured {when}; "
            "--engine overrides"
        )


def _doubt(candidate: Candidate) -> str:
    if candidate.facts:
        return f"the {candidate.file.precision} engine was not scored when it was built"
    proved = ", ".join(candidate.file.proved_on) or "nothing"
    return f"{candidate.file.name} was not proved on {candidate.engine}, but on {proved}"
