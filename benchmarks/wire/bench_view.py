"""`View` and `parse_packet_zero_copy`: the bars they have to reach, against memoryview.

The article slices half of ten megabytes: here of five exporters, `bytes` being the copy.
"""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Ratio
from ferrule.cli.rooms.wire_view import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("View(bytes) / memoryview", Ratio("make", "ferrule", "memoryview"), 0.30),
    Bar("slice of a view / memoryview", Ratio("slice", "ferrule", "memoryview"), 0.75),
    Bar("packet in three pieces / article", Ratio("packet", "ferrule", "memoryview"), 0.16),
    Bar("packet in three pieces / slices of bytes", Ratio("packet", "ferrule", "bytes")),
    *(
        Bar(
            f"half of 10 MB, {kind} / memoryview", Ratio(f"half of {kind}", "ferrule", "memoryview")
        )
        for kind in ("bytes", "bytearray", "mmap", "NumPy", "shared memory")
    ),
    Bar("half of 10 MB / copy", Ratio("half of bytes", "ferrule", "bytes"), 1 / 1000),
)

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("who holds the memory, shapes and formats, threads and forks: see tests/wire",)
