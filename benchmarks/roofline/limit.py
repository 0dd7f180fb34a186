"""The least time that work can take on a machine whose peaks are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.roofline.work import Work


@dataclass(frozen=True)
class Machine:
    """Measured: operations a second in either precision; bytes moved -> bytes a second where so many lie."""

    int8: float
    fp32: float
    bandwidth: Mapping[int, float]

    def operations_ms(self, work: Work) -> float:
        return 1e3 * (work.int8_operations / self.int8 + work.float_operations / self.fp32)

    def bytes_ms(self, moved: float) -> float:
        """At the bandwidth of the smallest measured size that holds so many."""
        sizes = sorted(self.bandwidth)
        size = next((size for size in sizes if size >= moved), sizes[-1])
        return 1e3 * moved / self.bandwidth[size]

    def limit_ms(self, work: Work) -> float:
        """What cannot be beaten while the one overlaps the other."""
        return max(self.operations_ms(work), self.bytes_ms(work.bytes_moved))
