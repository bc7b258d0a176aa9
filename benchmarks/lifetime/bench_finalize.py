"""`finalize`: the bars that clean-ups have to reach, over the lifetime room.

A clean-up is timed as a whole: the object is made, gets its clean-up, and either dies or is left
alone while the clean-up is detached or called. What runs is a function that does nothing. Beside it
stands the object without a clean-up.
"""

from __future__ import annotations

from benchmarks.bars import Bar, Bytes, Collect, Cost, Difference, Fixed, Import, Ratio
from ferrule.cli.rooms.lifetime import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("create and fire / weakref.finalize", Ratio("fire", "ferrule", "weakref"), 0.24),
    Bar("create and detach / weakref.finalize", Ratio("detach", "ferrule", "weakref"), 0.15),
    Bar("bytes of a clean-up / weakref.finalize", Bytes("ferrule", "weakref"), 0.55),
    Bar("create Finalizable and die / the same with __del__",
        Ratio("guarded", "ferrule", "weakref"), 1.4),
    Bar("create and fire, 2 arguments / weakref.finalize",
        Ratio("fire_arguments", "ferrule", "weakref")),
    Bar("create and fire, 1 and a keyword / weakref.finalize",
        Ratio("fire_keyword", "ferrule", "weakref")),
    Bar("create and call / weakref.finalize", Ratio("call", "ferrule", "weakref")),
    Bar("peek / weakref.finalize", Ratio("peek", "ferrule", "weakref")),
    Bar("bytes of a clean-up, 1 and a keyword / weakref.finalize",
        Bytes("ferrule, 1 and a keyword", "weakref, 1 and a keyword")),
    Bar("what a clean-up that fires adds, ns", Difference("fire", "ferrule", "no clean-up")),
    Bar("what Finalizable adds, ns", Difference("guarded", "ferrule", "no clean-up")),
    Bar("what __del__ adds, ns", Difference("guarded", "weakref", "no clean-up")),
    Bar("create and detach, ns", Fixed("detach", "ferrule", 1.0)),
    Bar("gc.collect() with a million clean-ups, added / weakref.finalize",
        Collect("ferrule", "weakref")),
    Bar("import over typing, ms", Import("ferrule")),
)  # fmt: skip

#: For docs/cleanup.md: beside the object's own making and end.
COSTS: tuple[Cost, ...] = (
    Cost("`__del__`, runs", Difference("guarded", "weakref", "no clean-up")),
    Cost("`Finalizable`, runs", Difference("guarded", "ferrule", "no clean-up")),
    Cost("`finalize`, runs", Difference("fire", "ferrule", "no clean-up"), "ferrule"),
    Cost("`finalize`, detached", Fixed("detach", "ferrule", 1.0), "ferrule"),
    Cost("`weakref.finalize`, runs", Difference("fire", "weakref", "no clean-up"), "weakref"),
    Cost("`weakref.finalize`, detached", Fixed("detach", "weakref", 1.0), "weakref"),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("fork, exit and their order: see tests/lifetime",)
