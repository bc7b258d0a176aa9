"""`checked`: the bars it has to reach. Beside it stands the function alone."""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Difference, Ratio
from ferrule.cli.rooms.validation_checked import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar(
        "call of three constrained arguments / beartype",
        Ratio("three", "ferrule", "beartype"),
        1 / 9,
    ),
    Bar(
        "call of three constrained arguments / pydantic",
        Ratio("three", "ferrule", "pydantic"),
        1 / 14,
    ),
    Bar("what three constrained arguments add, ns", Difference("three", "ferrule", "bare")),
    Bar("what keywords add, ns", Difference("keywords", "ferrule", "bare")),
    Bar("what a method call adds, ns", Difference("method", "ferrule", "bare")),
    Bar("what 256 awaits add, ns", Difference("awaited", "ferrule", "bare")),
    Bar("refused call / pydantic", Ratio("refused", "ferrule", "pydantic")),
    Bar("call / by hand", Ratio("three", "ferrule", "by hand")),
    Bar("call / twin", Ratio("three", "ferrule", "pure")),
    Bar("decoration / pydantic", Ratio("decorate", "ferrule", "pydantic")),
)

COSTS: tuple[Cost, ...] = (
    Cost("`checked`, three arguments", Difference("three", "ferrule", "bare"), "ferrule"),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("threads, names resolved late, cancellation: see tests/validation",)
