"""`counted`: the bars it has to reach, over the calls room. Beside it stands the function alone."""

from __future__ import annotations

from benchmarks.bars import Bar, Bytes, Cost, Difference, Ratio
from ferrule.cli.rooms.calls_counted import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("what a call adds, ns", Difference("call", "ferrule", "bare"), 20),
    Bar("what a keyword call adds, ns", Difference("keyword", "ferrule", "bare")),
    Bar("what a method call adds, ns", Difference("method", "ferrule", "bare")),
    Bar("what 256 awaits add, ns", Difference("awaited", "ferrule", "bare")),
    Bar("call / by hand", Ratio("call", "ferrule", "by hand")),
    Bar("decoration / by hand", Ratio("decorate", "ferrule", "by hand")),
    Bar("bytes a function / by hand", Bytes("ferrule", "by hand")),
)

COSTS: tuple[Cost, ...] = (
    Cost("`counted`, a call more", Difference("call", "ferrule", "bare"), "ferrule"),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("threads, cancellation: see tests/calls",)
