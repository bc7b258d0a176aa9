"""`constraint`: the bars it has to reach. The article asks typing for all hints each time."""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Ratio
from ferrule.cli.rooms.validation_constraint import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("lookup / get_type_hints", Ratio("met", "ferrule", "typing"), 1 / 150),
    Bar("six lookups / get_type_hints", Ratio("six", "ferrule", "typing")),
    Bar("lookup / twin", Ratio("met", "ferrule", "pure")),
    Bar("a constraint / twin", Ratio("make", "ferrule", "pure")),
)

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("lifetime of annotations in the cache: see tests/validation",)
