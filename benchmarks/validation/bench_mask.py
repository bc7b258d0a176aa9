"""`mask`: the bars it has to reach. The article reads the annotations at every call."""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Ratio
from ferrule.cli.rooms.validation_mask import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("object of six fields / article", Ratio("object", "ferrule", "typing"), 1 / 50),
    Bar("20 objects in a dict / article", Ratio("nested", "ferrule", "typing")),
    Bar("object of six fields / twin", Ratio("object", "ferrule", "pure")),
)

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("logging, cycles, what is hidden where: see tests/validation",)
