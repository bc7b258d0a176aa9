"""`weak_dict`: the bars that weak dictionaries have to reach, over the lifetime room.

Beside them stands `dict`, which keeps its values: where an object dies, it deletes the key.
"""

from __future__ import annotations

from benchmarks.bars import Bar, Bytes, Collect, Cost, Fixed, Ratio
from ferrule.cli.rooms.lifetime_weak import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

_OTHER = "weakref's"

BARS: tuple[Bar, ...] = (
    Bar(f"d[key] = o and o dies / {_OTHER}", Ratio("set_die", "ferrule", "weakref"), 0.4),
    Bar(f"d[key] / {_OTHER}", Ratio("get_item", "ferrule", "weakref"), 0.65),
    Bar(f"d.get(key) / {_OTHER}", Ratio("get", "ferrule", "weakref")),
    Bar(f"d.get(key), not there / {_OTHER}", Ratio("miss", "ferrule", "weakref")),
    Bar(f"d.setdefault, there / {_OTHER}", Ratio("set_default", "ferrule", "weakref")),
    Bar(f"d[key] = o over another / {_OTHER}", Ratio("set_over", "ferrule", "weakref")),
    Bar(f"walk 1,000 values / {_OTHER}", Ratio("values", "ferrule", "weakref")),
    Bar(f"copy 1,000 / {_OTHER}", Ratio("copy", "ferrule", "weakref")),
    Bar("d[key] / dict", Ratio("get_item", "ferrule", "dict")),
    Bar("d[key] = o and o dies / dict", Ratio("set_die", "ferrule", "dict")),
    Bar(f"bytes an entry / {_OTHER}", Bytes("ferrule", "weakref")),
    Bar(f"gc.collect() with a million entries, added / {_OTHER}", Collect("ferrule", "weakref")),
)

#: For docs/cleanup.md; the object's own making and end are in the second and fourth.
COSTS: tuple[Cost, ...] = (
    Cost("`WeakValueDictionary`, `d[key]`", Fixed("get_item", "ferrule", 1.0), "ferrule"),
    Cost("the same, an object set that dies", Fixed("set_die", "ferrule", 1.0), "ferrule"),
    Cost("that of `weakref`, `d[key]`", Fixed("get_item", "weakref", 1.0), "weakref"),
    Cost("the same, an object set that dies", Fixed("set_die", "weakref", 1.0), "weakref"),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("values that die while it is walked, threads: see tests/lifetime",)
