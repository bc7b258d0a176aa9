"""`ModelInference`: what it must reach, over its part of the calls room."""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Difference, Fixed, Ratio
from ferrule.cli.rooms.calls_model_inference import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("list of floats: the article / ferrule", Ratio("many", "article", "ferrule"), 15,
        least=True),
    Bar("3 floats: the article / ferrule", Ratio("few", "article", "ferrule")),
    Bar("empty list: the article / ferrule", Ratio("empty", "article", "ferrule")),
    Bar("empty list: over a function, ns", Difference("empty", "ferrule", "function")),
    Bar("make one: the article / ferrule", Ratio("make", "article", "ferrule")),
    Bar("empty list, ns", Fixed("empty", "ferrule", 1.0)),
)  # fmt: skip

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("the count under threads: see tests/calls",)
