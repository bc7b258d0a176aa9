"""`singleton` and `register`: what they must reach, over their part of the calls room.

A first call of the class is timed with the reset before it.
"""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Fixed, Ratio
from ferrule.cli.rooms.calls_singleton import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("get a singleton / functools.cache(cls)", Ratio("get", "ferrule", "functools.cache"), 1.1),
    Bar("get it with an argument / functools.cache(cls)",
        Ratio("get_argument", "ferrule", "functools.cache"), 1.1),
    Bar("get a singleton: the article / ferrule", Ratio("get", "article", "ferrule")),
    Bar("reset and first call: the article / ferrule", Ratio("first", "article", "ferrule")),
    Bar("register a class: the article / ferrule", Ratio("register", "article", "ferrule")),
    Bar("get a singleton, ns", Fixed("get", "ferrule", 1.0)),
)  # fmt: skip

COSTS: tuple[Cost, ...] = (
    Cost("`singleton`, get", Fixed("get", "ferrule", 1.0)),
    Cost("`functools.cache(cls)`, get", Fixed("get", "functools.cache", 1.0)),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("threads and forks while the instance is made: see tests/calls",)
