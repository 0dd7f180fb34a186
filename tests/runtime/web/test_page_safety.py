"""The live page trusts nobody, asks nobody but its server, and keeps nothing for days."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import sleep

import pytest

from fcn_edge.labels import LabelSet
from runtime.stream.status import Reason, SinkStatus, Status
from runtime.web.page_files import FOLDER
from tests.runtime.web.browser import Page
from tests.runtime.web.conftest import Live, until

MakeLive = Callable[..., Live]

SHOWN = "window.fcnEdge.lastShown"
MARKUP = "<img src=x onerror=taken=1>"
COUNT_BITMAPS = """
window.bitmaps = { made: 0, open: 0, most: 0 };
const make = window.createImageBitmap, close = ImageBitmap.prototype.close;
window.createImageBitmap = async (...given) => {
  const bitmap = await make(...given);
  bitmaps.made += 1;
  bitmaps.most = Math.max(bitmaps.most, bitmaps.open += 1);
  return bitmap;
};
ImageBitmap.prototype.close = function () { bitmaps.open -= 1; close.call(this); };
"""
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".html", ".css", ".js"))


def test_no_request_leaves_the_machine_and_nothing_is_complained_of(page: Page, live: MakeLive) -> None:
    street = live(names=("gate", "north"))
    page.go(street.url)
    page.wait_for(SHOWN)
    for key in "vv+-l?l":
        page.press(key)
    sleep(1.5)
    page.press("2")
    page.wait_for(f"{SHOWN}.source === 'north'")
    ours = street.url.removeprefix("http")
    assert len(page.requests) >= 15
    assert [url for url in page.requests if not url.startswith(("http" + ours, "ws" + ours))] == []
    assert page.complaints == []


def test_a_script_in_the_page_would_be_complained_of(page: Page, live: MakeLive) -> None:
    """Or the test above would prove nothing."""
    page.go(live().url)
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.taken = 1'}))")
    page.evaluate("fetch('http://127.0.0.2:9/').catch(() => 0)")
    until(lambda: page.evaluate("1") and len(page.complaints) >= 2)
    assert all("Content Security Policy" in complaint for complaint in page.complaints)
    assert page.evaluate("window.taken") is None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_of_the_page_names_no_other_place(path: Path) -> None:
    words = path.read_text("utf-8")
    assert re.findall(r"https?://|[\"'(=]//\w", words) == []
    assert (
        re.findall(r"\bstyle=|\bon[a-z]+=|innerHTML|outerHTML|insertAdjacentHTML|\beval\(|<script>|<style", words) == []
    )


def test_names_and_reasons_are_text_and_never_markup(page: Page, live: MakeLive) -> None:
    def hostile(status: Status) -> Status:
        reason = Reason("X", MARKUP, MARKUP)
        return replace(
            status,
            reasons=[reason],
            model={**status.model, "name": MARKUP},
            machine={MARKUP: {MARKUP: MARKUP}},
            sources=[replace(status.sources[0], uri=MARKUP, reason=reason)],
            sinks=[SinkStatus(MARKUP, MARKUP, reason=reason, facts={MARKUP: [MARKUP]})],
            stages_ms={MARKUP: status.stages_ms["infer"]},
        )

    labels = LabelSet((MARKUP, "road"), ((128, 64, 128), (0, 0, 0)))
    page.go(live(names=(MARKUP,), labels=labels, change=hostile).url)
    page.wait_for(f"{SHOWN}?.source === {MARKUP!r}")
    page.wait_for("document.querySelectorAll('#sink-list li').length")
    for selector in (".name", ".class-name", "#sink-list b", "#source-rows th", "#stage-rows th", "#machine dt"):
        assert page.evaluate(f"document.querySelector({selector!r}).textContent") == MARKUP, selector
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.evaluate("window.taken") is None
    assert page.complaints == []


def test_a_hidden_page_closes_its_connection_and_opens_it_again(page: Page, live: MakeLive) -> None:
    street = live()
    page.go(street.url)
    page.wait_for(SHOWN)
    until(lambda: street.sink.facts()["viewers"] == 1)
    page.hide()
    until(lambda: street.sink.facts()["viewers"] == 0)
    encoded = street.sink.encoder.counts.total()
    sleep(0.5)
    assert street.sink.encoder.counts.total() == encoded  # nothing is drawn for nobody
    index = page.evaluate(f"{SHOWN}.index")
    page.unhide()
    page.wait_for(f"{SHOWN}.index > {index}")


def test_five_hundred_frames_leave_nothing_behind(page: Page, live: MakeLive) -> None:
    page.call("Page.addScriptToEvaluateOnNewDocument", source=COUNT_BITMAPS)
    page.go(live(fps=150, size_hw=(48, 64)).url)
    page.wait_for("bitmaps.made >= 100")
    before = page.heap_bytes()
    page.wait_for("bitmaps.made >= 1100", 60)
    assert page.heap_bytes() - before < 400_000  # a leak of one kilobyte a frame would be seen
    assert page.evaluate("bitmaps.most") <= 2  # the mask and the frame below it
    page.press(" ")
    page.wait_for("bitmaps.open === 0")
