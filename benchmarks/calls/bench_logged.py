"""`logged`: the bars it has to reach, over the calls room. Beside it stands the function alone."""

from __future__ import annotations

from benchmarks.bars import Bar, Bytes, Cost, Difference, Ratio
from ferrule.cli.rooms.calls_logged import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("what a call adds while the level is off, ns", Difference("call", "ferrule", "bare"), 25),
    Bar("what a method call adds then, ns", Difference("method", "ferrule", "bare")),
    Bar("call while the level is off / the article's", Ratio("call", "ferrule", "article")),
    Bar("call to a printer / the article's", Ratio("printed", "ferrule", "article")),
    Bar("decoration / the article's", Ratio("decorate", "ferrule", "article")),
    Bar("bytes a function / the article's", Bytes("ferrule", "article")),
)

COSTS: tuple[Cost, ...] = (
    Cost("`logged`, a call more", Difference("call", "ferrule", "bare"), "ferrule"),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("arguments, results, the caller's line: see tests/calls",)
