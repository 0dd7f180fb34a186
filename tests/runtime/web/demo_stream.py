"""The live page with drawn streets, to look at: python -m tests.runtime.web.demo_stream [URL [SOURCE ...]]"""

from __future__ import annotations

import sys
from contextlib import closing, suppress
from time import sleep

from runtime.web.live_page import LivePageSink
from tests.runtime.web.drawn_stream import DrawnStatus, drawn_context, segmented

FPS = 25


def main(url: str = "http://127.0.0.1:8080", *sources: str) -> None:
    names = sources or ("gate",)
    status = DrawnStatus(names, fault_every_s=60.0)
    with closing(LivePageSink(url, drawn_context(status))) as sink, suppress(KeyboardInterrupt):
        while True:
            for seed, name in enumerate(names):
                if name != names[0] or not status().reasons:  # a source that is gone gives none
                    sink.write(segmented(status.frames, name, seed=5 + seed))
            status.frames += 1
            sleep(1 / FPS)


if __name__ == "__main__":
    main(*sys.argv[1:])
