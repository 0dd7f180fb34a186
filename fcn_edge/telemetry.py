"""Libraries that report to their vendors, told not to. (OpenVINO's reporter is a package of its own: it is hidden.)"""

from __future__ import annotations

import os


def refuse_telemetry() -> None:
    """To be called before onnxruntime is loaded; what the user has set stands.

    From 1.32 on it tells its vendor of every session, and keeps a name for the machine in the user's cache. (Without,
    it also loads in three quarters of the time.)
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
