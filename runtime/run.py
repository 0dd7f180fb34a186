"""A run, put together: sources, a model, sinks, and what looks after them. (`cli` reads the options.)"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

from fcn_edge.credentials import redact
from fcn_edge.errors import UsageError
from fcn_edge.images import IMAGE_SUFFIXES
from fcn_edge.interrupt import Interrupt
from fcn_edge.progress import progress, say
from runtime.capture.camera import Camera
from runtime.capture.limits import Limits
from runtime.machine_watch import MachineWatch
from runtime.segmenter import Segmenter
from runtime.session import open_session
from runtime.session_protocol import Session
from runtime.sinks.opening import SOURCE, Frames, open_sink, path_of, require_each_once, require_sink_name
from runtime.sinks.sink import SinkContext
from runtime.smoothing import Smoothing
from runtime.sources.address import Address
from runtime.sources.frame import FrameSource
from runtime.sources.naming import NamedSource
from runtime.sources.opening import open_path, require_there
from runtime.stream.counts import FrameCounts
from runtime.stream.early_end import ended_by_signals
from runtime.stream.feed import FileFeed
from runtime.stream.log_lines import headline
from runtime.stream.memory_pools import share_memory_pools
from runtime.stream.report import StreamReport
from runtime.stream.service import Service
from runtime.stream.stream import Stream, StreamOptions
from runtime.stream.teller import telling
from runtime.stream.watchdog import Heartbeat, Watchdog, tell_stacks_of_crashes


@dataclass(frozen=True)
class RunOptions:
    """What `fcn-edge run` was asked for."""

    sources: Sequence[NamedSource]
    sinks: Sequence[str]
    model: Path
    context: Callable[..., SinkContext]  # what sinks draw with, once classes, rate and stream are there to be given
    serving: Mapping[str, Any] = field(default_factory=dict)  # what `open_session` takes beside the model
    smooth: int = 1  # masks that must agree
    most_fps: float | None = None  # of each camera
    retry: bool = True  # of cameras that are lost or not there yet
    limits: Limits = field(default_factory=Limits)

    @property
    def is_live(self) -> bool:
        return any(source.address.is_live for source in self.sources)

    def require_possible(self) -> None:
        """What names alone tell: cameras and files do not mix, no sink overwrites a source, no two write one file, and
        each can take what the sources give."""
        if len({one.address.is_live for one in self.sources}) > 1:
            raise UsageError(
                "wanted cameras or files, found both: files are read whole, cameras as they come; run them apart"
            )
        require_each_once(self.sinks)
        taken = {path_of(sink): sink for sink in self.sinks}
        for source in self.sources:
            for sink in self.sinks:
                require_sink_name(sink, _frames_of(source.address), len(self.sources))
            if not source.address.is_live:
                _require_beside(Path(source.address.target), taken)

    def require_there(self) -> None:
        """Raises SourceError for a source of files that is not there. Opens nothing; a camera may come later."""
        for source in self.sources:
            if not source.address.is_live:
                require_there(Path(source.address.target))


def run(options: RunOptions, tell: Callable[[StreamReport, bool], None]) -> None:
    """Segment every source into every sink, until they end or the user does; `tell` gets the report and whether it was
    the user."""
    options.require_possible()
    tell_stacks_of_crashes()
    share_memory_pools()
    interrupt = Interrupt("frame")
    with ExitStack() as stack:
        stack.enter_context(interrupt.listening())
        with ended_by_signals():
            files = {
                one.name: open_path(Path(one.address.target)) for one in options.sources if not one.address.is_live
            }
            session = stack.enter_context(open_session(options.model, **options.serving))
            say(f"model {options.model}: {session.facts.precision} on {session.device}")
            segmenter = Segmenter(session, _smoothing(options.smooth))
            stream = Stream(segmenter, _looked_after(options, session, files, stack))
            stack.callback(stream.close)
            _add_sources(stream, options, files)
            _add_sinks(stream, options, files, session)
        report = stream.run(interrupt)
        tell(report, interrupt.wished)
        if report.abandoned:
            _leave(report.abandoned)


def _frames_of(address: Address) -> Frames:
    path = Path(address.target)
    if address.is_live:
        return Frames.LIVE
    if path.is_dir():
        return Frames.FOLDER
    return Frames.PICTURE if path.suffix.lower() in IMAGE_SUFFIXES else Frames.VIDEO


def _require_beside(source: Path, taken: Mapping[Path, str]) -> None:
    folders = {path.parent: sink for path, sink in taken.items() if path.suffix.lower() in IMAGE_SUFFIXES}
    given = source.resolve()
    clash = taken.get(given) or (folders.get(given) if given.is_dir() else None)
    if clash:
        raise UsageError(f"wanted sinks beside the source {source}, found {clash} in its place; write elsewhere")


def _smoothing(agreeing: int) -> Smoothing | None:
    return Smoothing(agreeing) if agreeing > 1 else None


def _looked_after(
    options: RunOptions, session: Session, files: Mapping[str, FrameSource], stack: ExitStack
) -> StreamOptions:
    """Who looks at the stream once a second, or at every frame."""
    heartbeat = Heartbeat("the model")
    watchdog, service = Watchdog(heartbeat), Service.from_environment()
    service.ready()
    looked_after = StreamOptions(
        most_fps=options.most_fps,
        guard=heartbeat,
        ticks=[lambda status: watchdog.check(), lambda status: service.tick(headline(status))],
        on_stop=service.stopping,
        model=_model_told(options.model, session),
    )
    if not options.is_live:
        return replace(looked_after, on_frame=_counted(files, stack))
    machine, tell = MachineWatch(), stack.enter_context(telling())
    machine.start()
    stack.callback(machine.stop)
    return replace(looked_after, machine=machine.now, machine_reason=machine.reason, ticks=[*looked_after.ticks, tell])


def _counted(files: Mapping[str, FrameSource], stack: ExitStack) -> Callable[[], None]:
    """A step of progress per frame, with the frames per second so far."""
    counts = [source.count for source in files.values()]
    total = None if None in counts else sum(filter(None, counts))
    step = stack.enter_context(progress("segmenting", total))
    started, done = monotonic(), 0

    def count() -> None:
        nonlocal done
        done += 1
        step(f"{done / (monotonic() - started):.1f} fps")

    return count


def _model_told(model: Path, session: Session) -> dict[str, Any]:
    labels = session.facts.labels
    return {
        "name": model.name,
        "precision": session.facts.precision,
        "device": session.device,
        "size_hw": list(session.facts.size_hw),
        "labels": labels.to_json(),
    }


def _add_sources(stream: Stream, options: RunOptions, files: Mapping[str, FrameSource]) -> None:
    for source in options.sources:
        if source.name in files:
            stream.add_source(FileFeed(source.name, files[source.name], stream.arrived))
        else:
            counts = FrameCounts()
            camera = Camera(
                source.name, source.address, counts, stream.arrived, limits=options.limits, retry=options.retry
            )
            stream.add_source(camera)


def _add_sinks(stream: Stream, options: RunOptions, files: Mapping[str, FrameSource], session: Session) -> None:
    context = partial(
        options.context,
        labels=session.facts.labels,
        live=options.is_live,
        status=stream.status,
        on_wire=stream.measures.on_wire,
        on_closed=stream.end,
    )
    for sink in options.sinks or _default_sinks(options):
        for source in options.sources if SOURCE in sink else options.sources[:1]:
            name = sink.replace(SOURCE, source.name)
            rate = files[source.name].rate if source.name in files else None
            only = source.name if SOURCE in sink else None
            stream.add_sink(redact(name), partial(open_sink, name, context(rate=rate)), only)


def _default_sinks(options: RunOptions) -> Sequence[str]:
    """Files are run to measure; a camera's masks are to be seen: here on the screen, or on the live page."""
    if not options.is_live:
        return ["null:"]
    has_display = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return ["display://"] if has_display else ["http://127.0.0.1:8080"]


def _leave(abandoned: Sequence[str]) -> NoReturn:
    """Without those who do not end: waiting for them, or closing what they use, would never end or crash."""
    say(f"left behind what did not stop in time: {', '.join(abandoned)}")
    sys.stdout.flush()
    os._exit(0)
