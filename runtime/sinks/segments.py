"""A camera's recording: one file after another, each readable to within a second of whatever ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.files import require_writable
from fcn_edge.progress import say
from runtime.sinks.disk_space import DiskFull, Floor, Quota
from runtime.sinks.recorder import LIVE, Recorder
from runtime.sinks.recording import RecordingOptions
from runtime.sinks.series import Series

CLOCK_JUMP_S = 5.0  # a name that is wrong by less does not matter
# A camera may change its size with every picture; so it fills no folder with files of one picture each. Who changes the
# mode of a camera sees the first seconds of the new one in the old one's size.
SAME_SIZE_S = 10.0
LONGEST_GAP_S = 3600  # a frame shown for longer does not fit into every player's numbers


class Segments:
    """Frames in, files out: a new one for a new size, and where names hold the time, every `segment_s` seconds too.

    A file younger than `SAME_SIZE_S` goes on: pictures of another size are fitted into its own with a black border.
    """

    def __init__(
        self,
        series: Series,
        options: RecordingOptions,
        rate: Fraction | None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Raises OutputError where nothing can be written, DiskFull where there is too little room."""
        self.series, self.options, self.rate, self._wall = series, options, rate, wall
        require_writable(series.root)
        self._floor = Floor(series.root, options)
        self._floor.check()
        self._quota = Quota(series, options.keep_bytes) if options.keep_bytes is not None else None
        self._recorder: Recorder | None = None
        self._size_hw: tuple[int, ...] = ()
        self._began_ns = self._newest_ns = 0
        self._wall_ahead_s = 0.0  # of the monotonic clock, when the segment began
        self._segments = 0
        self._facts: Mapping[str, Any] = {}

    def write(self, picture: NDArray[np.uint8], at_ns: int, index: int) -> None:
        """One (H, W, 3) BGR picture that came at this moment of the monotonic clock."""
        if self._recorder is not None and self._is_over(picture, at_ns):
            self.finish()
        self._look_at_disk()
        recorder = self._recorder or self._begin(picture, at_ns)
        recorder.write(picture, Fraction(max(0, at_ns - self._began_ns), 10**9), index)
        self._newest_ns = at_ns
        self._tell(recorder)

    def _is_over(self, picture: NDArray[np.uint8], at_ns: int) -> bool:
        age_s = (at_ns - self._began_ns) / 1e9
        has_other_size = picture.shape[:2] != self._size_hw and age_s >= SAME_SIZE_S
        if has_other_size or at_ns - self._newest_ns > 1e9 * LONGEST_GAP_S:
            return True
        jumped_s = abs(self._wall() - time.monotonic() - self._wall_ahead_s)
        return self.series.is_timed and (age_s >= self.options.segment_s or jumped_s > CLOCK_JUMP_S)

    def _begin(self, picture: NDArray[np.uint8], at_ns: int) -> Recorder:
        now_s = self._wall()
        self._recorder = Recorder(self.series.name_at(now_s), self.rate, LIVE, self.series.mark)
        self._size_hw, self._began_ns, self._wall_ahead_s = picture.shape[:2], at_ns, now_s - time.monotonic()
        self._segments += 1
        return self._recorder

    def _look_at_disk(self) -> None:
        """Before each segment and every few seconds."""
        if self._recorder is not None and not self._floor.is_due():
            return
        if self._quota:
            for path in self._quota.enforce(self._recorder.bytes if self._recorder else 0):
                say(f"{path}: deleted to keep {self.series.pattern} within {self.options.keep_bytes} bytes")
        try:
            self._floor.check()
        except DiskFull:
            self.finish()  # there is room for its index yet
            raise

    def _tell(self, recorder: Recorder) -> None:
        self._facts = {
            "file": str(recorder.path),
            "seconds": round(recorder.seconds, 3),
            "bytes": recorder.bytes,
            "free_bytes": self._floor.free_bytes,
            "segments": self._segments,
        }

    def facts(self) -> Mapping[str, Any]:
        """The file that is being written, its length and bytes; the disk's free bytes; how many files there were."""
        return self._facts

    def finish(self) -> None:
        """End the segment in order."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            try:
                recorder.finish()
            finally:
                recorder.close()

    def close(self) -> None:
        """Keep what can be kept of a segment that was not finished."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()
