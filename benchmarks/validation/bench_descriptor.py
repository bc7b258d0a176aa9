"""`Bounded`: the bars it has to reach, against the article, a plain slot and atom's `Range`."""

from __future__ import annotations

from benchmarks.bars import Bar, Bytes, Ratio
from ferrule.cli.rooms.validation_descriptor import ROOM

__all__ = ["BARS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("record read / plain slot", Ratio("get", "ferrule, record", "slot"), 1.05),
    Bar("slotted read / plain slot", Ratio("get", "ferrule, slots", "slot"), 2.6, {"3.11": 5.5}),
    Bar("article / drop-in read", Ratio("get", "article", "ferrule"), 2.6, least=True),
    Bar("article / record write", Ratio("set", "article", "ferrule, record"), 8, least=True),
    Bar("atom / record write", Ratio("set", "atom", "ferrule, record"), 1.4, least=True),
    Bar("article / drop-in write", Ratio("set", "article", "ferrule"), 3.5, least=True),
    Bar("article / drop-in reject", Ratio("reject", "article", "ferrule"), 2.8, least=True),
    Bar("article / record reject", Ratio("reject", "article", "ferrule, record"), 2.8, least=True),
    Bar("record creation / article", Ratio("create", "ferrule, record", "article")),
    Bar("slotted write / plain slot", Ratio("set", "ferrule, slots", "slot")),
    Bar("bytes an object: record / article", Bytes("ferrule, record", "article")),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("ordinary records are no slower: benchmarks/instructions.py",)
