"""A browser for the tests of the page, and a live page that is fed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic, sleep

import pytest

from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.labels import LabelSet
from runtime.sinks.sink import SinkContext
from runtime.stream.status import Status
from runtime.web.live_page import LivePageSink
from runtime.web.options import WebOptions
from tests.runtime.web.browser import Browser, Page, chromium, program
from tests.runtime.web.drawn_stream import DrawnStatus, drawn_context, segmented

SIZE_HW = (120, 160)


@dataclass
class Live:
    """A live page whose stream a test directs. Frames come at `fps`; 0: as `show` is called."""

    names: tuple[str, ...] = ("gate",)
    labels: LabelSet = STREET_LABELS
    change: Callable[[Status], Status] = lambda status: status
    fps: float = 25.0
    size_hw: tuple[int, int] = SIZE_HW
    options: WebOptions = field(default_factory=WebOptions)
    silent: set[str] = field(default_factory=set)  # sources that give nothing
    url: str = "http://127.0.0.1:0"

    def __post_init__(self) -> None:
        self._drawn = DrawnStatus(self.names)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._feed, name="feed", daemon=True)
        self.open()
        self._thread.start()

    @property
    def context(self) -> SinkContext:
        return replace(drawn_context(None), labels=self.labels, status=self.status)

    def status(self) -> Status:
        drawn = self._drawn()
        return self.change(replace(drawn, model={**drawn.model, "labels": self.labels.to_json()}))

    def open(self) -> None:
        self.sink = LivePageSink(self.url.rstrip("/"), self.context, self.options)
        self.url = self.sink.url  # the same port from now on

    def show(self, index: int) -> None:
        for seed, name in enumerate(self.names):
            if name not in self.silent:
                self.sink.write(segmented(index, name, self.size_hw, 5 + seed))
        self._drawn.frames = index

    def _feed(self) -> None:
        while self.fps and not self._stop.wait(1 / self.fps):
            self.show(self._drawn.frames + 1)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self.sink.close()


def until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait for it."""
    end = monotonic() + within_s
    while not true():
        assert monotonic() < end
        sleep(0.05)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if program() is None:
        pytest.skip("Chromium is not installed")
    folder: Path = tmp_path_factory.mktemp("chromium")
    with chromium(folder) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab of a browser that was never here before."""
    page = browser.new_page()
    yield page
    browser.close_page(page)


@pytest.fixture
def live() -> Iterator[Callable[..., Live]]:
    """Makes live pages, and ends them with the test."""
    made: list[Live] = []

    def make(**given: object) -> Live:
        made.append(Live(**given))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()
