"""`Regex`: the bars it has to reach, over `re`."""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Ratio
from ferrule.cli.rooms.validation_regex import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("search of a name / re", Ratio("name", "ferrule", "by hand"), 1 / 8),
    Bar("search of 32 bytes / re", Ratio("full", "ferrule", "by hand"), 1 / 8),
    Bar("search of an e-mail pattern / re", Ratio("mail", "ferrule", "by hand"), 1 / 8),
    Bar("search of a ZIP code / re", Ratio("zip", "ferrule", "by hand"), 1 / 8),
    Bar("match / re", Ratio("match", "ferrule", "by hand")),
    Bar("fullmatch / re", Ratio("fullmatch", "ferrule", "by hand")),
    Bar("search beyond ASCII / re", Ratio("wide", "ferrule", "by hand")),
    Bar("making / re", Ratio("make", "ferrule", "by hand")),
)

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("linear time, a million fuzzed pairs, share of the corpus: see tests/validation",)
