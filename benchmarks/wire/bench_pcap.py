"""`pcap` and the layouts of `ferrule.wire.net`: the bars they have to reach, against dpkt."""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Ratio
from ferrule.cli.rooms.wire_pcap import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("next frame / dpkt", Ratio("walk", "ferrule", "dpkt"), 1 / 10),
    Bar("next frame / struct by hand", Ratio("walk", "ferrule", "by hand")),
    Bar("its time and bytes / dpkt", Ratio("times", "ferrule", "dpkt"), 1 / 4),
    Bar("its ports, read in place / dpkt", Ratio("ports", "ferrule", "dpkt"), 1 / 5),
    Bar("its headers as objects / dpkt", Ratio("fields", "ferrule", "dpkt"), 1 / 2),
    Bar("its headers as objects / construct", Ratio("fields", "ferrule", "construct"), 1 / 10),
)

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("pcapng, broken files, who holds the memory: see tests/wire",)
