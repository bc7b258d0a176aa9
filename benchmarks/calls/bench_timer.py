"""`timer`: the bars it has to reach, over the calls room. Beside it stands the function alone."""

from __future__ import annotations

from benchmarks.bars import Bar, Bytes, Cost, Difference, Ratio
from ferrule.cli.rooms.calls_timer import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("what a call adds, ns", Difference("call", "ferrule", "bare")),
    Bar("what a method call adds, ns", Difference("method", "ferrule", "bare")),
    Bar("what 256 awaits add, ns", Difference("awaited", "ferrule", "bare")),
    Bar("a call / perf_counter()", Ratio("call", "ferrule", "bare", below="clock")),
    Bar("call / the article's", Ratio("call", "ferrule", "article"), 0.5),
    Bar("decoration / the article's", Ratio("decorate", "ferrule", "article")),
    Bar("bytes a function / the article's", Bytes("ferrule", "article")),
)

COSTS: tuple[Cost, ...] = (
    Cost("`timer`, a call more", Difference("call", "ferrule", "bare"), "ferrule"),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("percentiles, threads, cancellation: see tests/calls",)
