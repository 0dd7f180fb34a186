"""The live page fits its screen, its theme, and those who use the keyboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import sleep

import pytest

from fcn_edge.labels import LabelSet
from runtime.stream.status import Reason, SinkStatus, Status
from tests.runtime.web.browser import PHONE, Browser, Page
from tests.runtime.web.conftest import Live

MakeLive = Callable[..., Live]

SHOWN = "window.fcnEdge.lastShown"
LONG = "a-name-without-any-place-to-break-it-as-people-give-to-their-recordings-in-some-far-folder.mkv"
CONTRAST = """(pairs => {
  const probe = document.body.appendChild(document.createElement("p"));
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = name => {
    probe.style.color = `var(--${name})`;
    canvas.fillStyle = getComputedStyle(probe).color;
    canvas.fillRect(0, 0, 1, 1);
    const linear = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
      .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  return pairs.map(([a, b]) => [light(a), light(b)].sort((x, y) => y - x)).map(([x, y]) => (x + 0.05) / (y + 0.05));
})"""


def crowded(status: Status) -> Status:
    """Long names and much to tell."""
    reason = Reason("DISK_FULL", f"{LONG}: nothing is free", "free some space, or record less, or elsewhere")
    sinks = [SinkStatus(f"/data/{LONG}", "failed", 10**9, 10**9, 4, reason, {"file": LONG})] * 2
    machine = {"temperatures_c": {"cpu": 61.0, "gpu": 60.0, "soc0": 59.0, "soc1": 58.0, "tj": 62.0}}
    return replace(status, reasons=[reason, reason], sinks=sinks, machine=machine, model={**status.model, "name": LONG})


@pytest.mark.parametrize("width", [320, 360, 390, 768, 1100, 1440, 1920])
def test_nothing_is_wider_than_the_screen(page: Page, live: MakeLive, width: int) -> None:
    names = tuple(f"a class with a long name {number}" for number in range(21))
    labels = LabelSet(names, tuple((12 * number, 255 - 12 * number, 90) for number in range(21)))
    page.resize((width, 800))
    page.go(live(names=("gate", LONG), labels=labels, change=crowded).url)
    page.wait_for(SHOWN)
    page.wait_for("document.querySelectorAll('#sink-list li').length === 2")
    for _ in range(3):
        seen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert seen[0] <= seen[1], page.evaluate(
            "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth)"
            ".map(e => `${e.tagName} ${e.id} ${e.className}`).slice(0, 20)"
        )
        page.press("v")


def test_the_layout_does_not_jump_while_figures_change(page: Page, live: MakeLive) -> None:
    page.resize(PHONE)
    page.go(live().url)
    page.wait_for(f"{SHOWN} && document.querySelectorAll('#stage-rows tr').length")
    sleep(1.2)
    boxes = "[...document.querySelectorAll('.panel, .stage')].map(e => e.getBoundingClientRect().top + scrollY)"
    before, told = page.evaluate(boxes), page.evaluate("document.getElementById('mask-p50').innerText")
    page.wait_for(f"document.getElementById('mask-p50').innerText !== {told!r}")
    assert page.evaluate(boxes) == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(browser: Browser, live: MakeLive, scheme: str) -> None:
    """WCAG 2.2, 1.4.3 (AA): 4.5 to 1 for text; 1.4.11: 3 to 1 for the edges of what can be pressed."""
    page = browser.new_page(scheme=scheme)
    page.go(live().url)
    words = ["text", "muted", "good", "warn", "bad", "info", "accent"]
    pairs = [[word, ground] for word in words for ground in ("panel", "ground")] + [
        ["on-accent", "accent"],
        ["text", "raised"],
    ]
    found = page.evaluate(f"{CONTRAST}({pairs})")
    assert {tuple(pair): round(ratio, 2) for pair, ratio in zip(pairs, found, strict=True) if ratio < 4.5} == {}
    assert min(page.evaluate(f"{CONTRAST}([['edge', 'panel'], ['edge', 'ground']])")) >= 3
    browser.close_page(page)


def test_the_theme_follows_the_system_until_one_is_chosen_and_is_remembered(page: Page, live: MakeLive) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page.go(live().url)
    light = page.evaluate(ground)
    page.prefer("dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.press("t")
    assert page.evaluate(ground) == light
    page.call("Page.reload")
    page.wait_for("document.readyState === 'complete' && document.getElementById('theme-name').innerText === 'light'")
    assert page.evaluate(ground) == light


def test_keys_do_what_the_help_says(page: Page, live: MakeLive) -> None:
    page.go(live().url)
    page.wait_for(SHOWN)
    view, alpha = "document.getElementById('stage').dataset.view", "document.getElementById('alpha').value"
    assert [page.press("v") or page.evaluate(view) for _ in range(3)] == ["mask", "split", "overlay"]
    assert (page.press("+") or page.evaluate(alpha), page.press("-") or page.evaluate(alpha)) == ("55", "50")
    page.press("l")
    assert not page.evaluate("document.getElementById('classes').checkVisibility()")
    page.press("?")
    assert page.evaluate("document.getElementById('help').open")
    page.press("v")
    assert page.evaluate(view) == "overlay"  # the page below the help is left alone
    page.press("Escape", 27)
    page.wait_for("!document.getElementById('help').open")
    page.press("f")
    page.wait_for("document.fullscreenElement !== null")
    assert not page.evaluate("document.getElementById('figures').checkVisibility()")
    page.press("f")
    page.wait_for("document.fullscreenElement === null")


def test_space_presses_what_is_focused_and_pauses_otherwise(page: Page, live: MakeLive) -> None:
    page.go(live().url)
    page.wait_for(SHOWN)
    paused = "document.getElementById('pause-button').getAttribute('aria-pressed')"
    page.evaluate("document.getElementById('legend-switch').focus()")
    page.press(" ", 32)
    assert (page.evaluate(paused), page.evaluate("document.getElementById('classes').hidden")) == ("false", True)
    page.evaluate("document.activeElement.blur()")
    page.press(" ", 32)
    assert page.evaluate(paused) == "true"


def test_all_that_can_be_focused_has_a_name_and_shows_its_focus(page: Page, live: MakeLive) -> None:
    page.go(live(names=("gate", "north")).url)
    page.wait_for("document.querySelectorAll('.class').length > 0")
    seen = set()
    for _ in range(60):
        page.press("Tab", 9)
        told = page.evaluate(
            "(e => e === document.body ? null : [e.id || e.className, e.matches('[type=radio]') ||"
            " getComputedStyle(e).outlineStyle !== 'none'])(document.activeElement)"
        )
        if told:
            seen.add(tuple(told))
    assert {"theme-button", "alpha", "stage-chart", "class", "tab"} <= {name for name, _ in seen}
    assert [name for name, shows in seen if not shows] == []
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    nameless = [
        node for node in tree
        if node.get("role", {}).get("value") in ("button", "slider", "radio", "checkbox", "link", "dialog")
        and not node.get("name", {}).get("value")
    ]  # fmt: skip
    assert nameless == []


def test_choices_of_the_last_visit_are_kept(page: Page, live: MakeLive) -> None:
    page.go(live().url)
    page.wait_for(SHOWN)
    page.press("v"), page.press("-"), page.press("l")
    page.call("Page.reload")
    page.wait_for(f"document.readyState === 'complete' && {SHOWN}")
    assert page.evaluate("document.getElementById('stage').dataset.view") == "mask"
    assert page.evaluate("document.getElementById('alpha').value") == "45"
    assert page.evaluate("document.getElementById('classes').hidden")
