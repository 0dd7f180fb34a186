"""A real RTSP server: Debian's GStreamer under the system's Python, as a process that a test may stop and kill.

As a program it serves until its standard input ends, so that it never outlives the test that started it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

SYSTEM_PYTHON = "/usr/bin/python3"
IMPORTS = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer"
PATIENCE_S = 20


def why_not() -> str | None:
    """What this machine lacks to serve RTSP."""
    if not shutil.which("gst-inspect-1.0"):
        return "no gstreamer1.0-tools"
    for element in ("x264enc", "rtph264pay", "videotestsrc"):
        if subprocess.run(["gst-inspect-1.0", "--exists", element], timeout=PATIENCE_S, check=False).returncode:
            return f"GStreamer has no {element}"
    found = subprocess.run([SYSTEM_PYTHON, "-c", IMPORTS], capture_output=True, timeout=PATIENCE_S, check=False)
    return "no gir1.2-gst-rtsp-server-1.0" if found.returncode else None


class RtspServer:
    """`with RtspServer() as server:` serves H.264 at `server.uri`, or at `server.uri_for("user", "password")`."""

    def __init__(self, *, size_hw: tuple[int, int] = (240, 320), credentials: tuple[str, str] | None = None) -> None:
        self._arguments = [str(size_hw[0]), str(size_hw[1]), *(credentials or ())]
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def uri(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """On any port the first time, on the same one ever after."""
        command = [SYSTEM_PYTHON, str(Path(__file__)), str(self.port), *self._arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())

    def pause(self) -> None:
        """Silence: connections stay open, and nothing comes."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        process, self._process = self._process, None
        if process:
            process.kill()
            with process:
                process.wait(PATIENCE_S)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process
        os.kill(self._process.pid, number)


def serve(port: int, height: int, width: int, credentials: list[str]) -> None:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=str(port))
    factory = GstRtspServer.RTSPMediaFactory(shared=True)
    factory.set_launch(
        f"( videotestsrc is-live=true pattern=ball ! video/x-raw,width={width},height={height},framerate=20/1 ! "
        "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=20 bitrate=500 ! rtph264pay name=pay0 pt=96 "
        "config-interval=1 )"
    )
    if credentials:
        _ask_for(server, factory, *credentials)
    server.get_mount_points().add_factory("/live", factory)
    loop = GLib.MainLoop()
    GLib.io_add_watch(0, GLib.IO_HUP, lambda *_: loop.quit())
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    loop.run()


def _ask_for(server: object, factory: object, user: str, password: str) -> None:
    from gi.repository import GstRtspServer

    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)  # type: ignore[attr-defined]
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)  # type: ignore[attr-defined]


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
