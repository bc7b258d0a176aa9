"""`validate`: the bars it has to reach. The article reads the annotations at every call."""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Ratio
from ferrule.cli.rooms.validation_validate import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("object of six fields / article", Ratio("fields", "ferrule", "typing"), 1 / 50),
    Bar("object refused / article", Ratio("refused", "ferrule", "typing")),
    Bar("bounded int / pydantic", Ratio("int", "ferrule", "pydantic")),
    Bar("list of 100 int / pydantic", Ratio("ints", "ferrule", "pydantic")),
    Bar("list of 100 bounded str / pydantic", Ratio("strs", "ferrule", "pydantic")),
    Bar("dict of 100 / pydantic", Ratio("dict", "ferrule", "pydantic")),
    Bar("object of six fields / twin", Ratio("fields", "ferrule", "pure")),
)

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("annotated_types' published cases, recursion, cyclic data: see tests/validation",)
