"""`wrapper`: the bars it has to reach, over the calls room. Beside it stands the function alone."""

from __future__ import annotations

from benchmarks.bars import Bar, Bytes, Cost, Difference, Ratio
from ferrule.cli.rooms.calls_wrapper import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("what a call adds, ns", Difference("call", "ferrule", "bare"), 18),
    Bar("what a keyword call adds, ns", Difference("keyword", "ferrule", "bare"), 18),
    Bar("what a method call adds, ns", Difference("method", "ferrule", "bare"), 18),
    Bar("what a call of functools.partial adds, ns", Difference("call", "partial", "bare")),
    Bar("wrapt's call / ours", Ratio("call", "wrapt", "ferrule"), 15, least=True),
    Bar("wrapt's keyword call / ours", Ratio("keyword", "wrapt", "ferrule")),
    Bar("wrapt's method call / ours", Ratio("method", "wrapt", "ferrule")),
    Bar("call / functools.wraps", Ratio("call", "ferrule", "wraps")),
    Bar("decoration / functools.wraps", Ratio("decorate", "ferrule", "wraps"), 0.1),
    Bar("bytes a function / functools.wraps", Bytes("ferrule", "wraps")),
)

COSTS: tuple[Cost, ...] = (
    Cost("`Wrapper`, a call more", Difference("call", "ferrule", "bare"), "ferrule"),
    Cost("that of `functools.wraps`", Difference("call", "wraps", "bare"), "wraps"),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("at most 128 bytes a function, recursion, identity: see tests/calls",)
