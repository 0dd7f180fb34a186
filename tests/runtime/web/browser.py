"""A real Chromium without a window, driven over its DevTools protocol (chromedevtools.github.io/devtools-protocol).

All calls block. What a page asked of the network and what it complained of is kept as it happens.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import aiohttp
import cv2
import numpy as np
from numpy.typing import NDArray

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
START_S = 30.0  # on a machine with much else to do
ANSWER_S = 20.0
STOP_S = 5.0
PHONE, DESKTOP = (390, 844), (1440, 900)  # width, height

FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-extensions-with-background-pages",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",  # containers have little of it
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-features=OptimizationHints,MediaRouter,Translate",
    "--disable-gpu",
    "--disable-sync",
    "--force-color-profile=srgb",  # or the colours of a screenshot are the screen's
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--metrics-recording-only",
    "--mute-audio",
    "--password-store=basic",
)

T = TypeVar("T")


def program() -> str | None:
    """Where Chromium is, if it is."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class PageError(Exception):
    """A script of a test, or the browser, failed."""


@dataclass
class Page:
    """A tab with storage of its own."""

    browser: Browser
    session: str
    context: str  # whose storage it shares
    requests: list[str] = field(default_factory=list)  # every URL that was asked for, WebSockets too
    complaints: list[str] = field(default_factory=list)  # errors and warnings, violations of the policy among them

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **params)

    def evaluate(self, script: str) -> Any:
        """The value of an expression; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise PageError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait_for(self, script: str, within_s: float = 10.0) -> Any:
        """The first value of an expression that is true."""
        until = monotonic() + within_s
        while not (value := self.evaluate(script)):
            if monotonic() > until:
                raise PageError(f"not within {within_s:.0f} s: {script}; the page said {self.complaints}")
            sleep(0.05)
        return value

    def go(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait_for(f"location.href.startsWith({url!r}) && document.readyState === 'complete'")

    def resize(self, size_wh: tuple[int, int], scale: float = 1.0) -> None:
        """As a screen of this many CSS pixels."""
        width, height = size_wh
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=size_wh == PHONE,
        )

    def prefer(self, scheme: str) -> None:
        """`dark` or `light`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def press(self, key: str, code: int = 0) -> None:
        """A key by its name in DOM events, such as "v", "Tab" (whose code is 9) or "ArrowLeft" (37)."""
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def point(self, x: float, y: float) -> None:
        """Move the mouse there."""
        self._mouse("mouseMoved", x, y)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self._mouse("mouseMoved", *start)
        self._mouse("mousePressed", *start, button="left", clickCount=1)
        self._mouse("mouseMoved", *end, button="left", buttons=1)
        self._mouse("mouseReleased", *end, button="left")

    def _mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def middle(self, selector: str) -> tuple[float, float]:
        """Where to point at an element, which is brought into sight."""
        place = "(e => { e.scrollIntoView({ block: 'nearest' }); return e.getBoundingClientRect(); })"
        script = f"(r => [r.x + r.width / 2, r.y + r.height / 2])({place}(document.querySelector({selector!r})))"
        x, y = self.evaluate(script)
        return x, y

    def hide(self) -> None:
        """Put another tab of the same window in front."""
        self.browser.new_tab(self.context).call("Page.bringToFront")

    def unhide(self) -> None:
        self.call("Page.bringToFront")

    def heap_bytes(self) -> int:
        """Of JavaScript and its array buffers, after a collection of its garbage."""
        self.call("HeapProfiler.collectGarbage")
        usage = self.call("Runtime.getHeapUsage")
        return int(sum(usage[part] for part in ("usedSize", "backingStorageSize")))

    def screenshot(self, path: Path | None = None) -> NDArray[np.uint8]:
        """(H, W, 3) BGR of what can be seen."""
        png = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if path is not None:
            path.write_bytes(png)
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        return np.asarray(image, np.uint8)

    def hear(self, method: str, params: dict[str, Any]) -> None:
        """What the browser tells unasked."""
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(params["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("warning", "error", "assert"):
            self.complaints.append(str(params["args"]))


class Browser:
    """A running Chromium. Events are read whenever an answer is waited for."""

    def __init__(self, process: subprocess.Popen[bytes], profile: Path) -> None:
        self.process, self._profile = process, profile
        self._loop, self._ids = asyncio.new_event_loop(), count(1)
        self._pages: dict[str, Page] = {}
        self._client: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    def connect(self) -> None:
        """Once it listens."""
        told, until = self._profile / "DevToolsActivePort", monotonic() + START_S
        while not (told.exists() and told.read_text().count("\n") == 1):
            if self.process.poll() is not None or monotonic() > until:
                said = (self._profile / "stderr").read_text(errors="replace")[-2000:]
                raise PageError(f"Chromium did not start within {START_S:.0f} s: {said}")
            sleep(0.02)
        port, path = told.read_text().split("\n")
        self._run(self._open(f"ws://127.0.0.1:{port}{path}"))

    async def _open(self, url: str) -> None:
        self._client = aiohttp.ClientSession()
        self._socket = await self._client.ws_connect(url, max_msg_size=0)

    def _run(self, work: Awaitable[T]) -> T:
        return self._loop.run_until_complete(asyncio.wait_for(work, ANSWER_S))

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        return self._run(self._ask(method, session, params))

    async def _ask(self, method: str, session: str | None, params: dict[str, Any]) -> dict[str, Any]:
        assert self._socket is not None
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        await self._socket.send_json({**message, "sessionId": session} if session else message)
        while True:
            told = await self._socket.receive_json()
            if told.get("id") == number:
                break
            if page := self._pages.get(told.get("sessionId", "")):
                page.hear(told.get("method", ""), told.get("params", {}))
        if "error" in told:
            raise PageError(f"{method}: {told['error']}")
        result: dict[str, Any] = told["result"]
        return result

    def new_page(self, size_wh: tuple[int, int] = DESKTOP, scheme: str = "light") -> Page:
        context = self.call("Target.createBrowserContext", disposeOnDetach=True)["browserContextId"]
        return self.new_tab(context, size_wh, scheme)

    def new_tab(self, context: str, size_wh: tuple[int, int] = DESKTOP, scheme: str = "light") -> Page:
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session, context)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.resize(size_wh)
        page.prefer(scheme)
        return page

    def close_page(self, page: Page) -> None:
        """And all tabs of its window."""
        self.call("Target.disposeBrowserContext", browserContextId=page.context)
        self._pages = {session: other for session, other in self._pages.items() if other.context != page.context}

    def close(self) -> None:
        """Its process and all that it started."""
        with suppress(Exception):  # it may have died already: then there is nothing to ask
            self.call("Browser.close")
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # a group of its own, which it leads
        self.process.wait(STOP_S)
        if self._client is not None:
            self._run(self._client.close())
        self._loop.close()


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser whose profile is in `folder`."""
    found = program()
    assert found is not None
    flags = [*FLAGS, f"--user-data-dir={folder}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [found, *flags, "about:blank"],
            stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, start_new_session=True,
            env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)},
        )  # fmt: skip
    browser = Browser(process, folder)
    try:
        browser.connect()
        yield browser
    finally:
        browser.close()
