"""`view`: the bars it has to reach, against the article's slices, `struct` and a plain slot.

A read of a field goes through `tp_getattro`, for CPython specialises no other access of a type
that computes its attributes; a slot's read is five machine instructions in the interpreter.
"""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Ratio
from ferrule.cli.rooms.wire_lazy import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar(
        "u16 / plain slot, by timeit",
        Ratio("field, by timeit", "ferrule", "slot"),
        1.3,
        {"3.11": 1.7},
    ),
    Bar("u16 / plain slot", Ratio("field", "ferrule", "slot")),
    Bar("struct / u16", Ratio("field", "struct", "ferrule"), 2.8, least=True),
    Bar("struct / u16 of each", Ratio("field of each", "struct", "ferrule"), 2, least=True),
    Bar("ctypes / u16", Ratio("field", "ctypes", "ferrule"), 2, least=True),
    Bar("struct / write", Ratio("write", "struct", "ferrule"), 2, least=True),
    Bar("field of the article's packet / article", Ratio("packet", "ferrule", "memoryview"), 0.11),
)

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("who holds the memory: tests/wire/test_lazy.py",)
