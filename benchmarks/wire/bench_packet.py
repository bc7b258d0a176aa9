"""`unpack`, `pack`, `pack_into`: the bars they have to reach. The record is that of four numbers in
18 bytes; kaitaistruct is as its compiler generates it, construct is compiled."""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Ratio
from ferrule.cli.rooms.wire_packet import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("unpack / kaitaistruct", Ratio("unpack", "ferrule", "kaitaistruct"), 1 / 11),
    Bar("unpack / construct", Ratio("unpack", "ferrule", "construct"), 1 / 16),
    Bar("unpack / struct and a named tuple", Ratio("unpack", "ferrule", "struct"), 1 / 3),
    Bar("unpack / ctypes", Ratio("unpack", "ferrule", "ctypes"), 1 / 3),
    Bar("unpack / bitstruct", Ratio("unpack", "ferrule", "bitstruct"), 1 / 3),
    Bar("and its fields read / struct", Ratio("fields", "ferrule", "struct")),
    Bar("bits, Enum, sized text / kaitaistruct", Ratio("header", "ferrule", "kaitaistruct"), 1 / 8),
    Bar("bits, Enum, sized text / construct", Ratio("header", "ferrule", "construct"), 1 / 16),
    Bar("bits, Enum, sized text / struct", Ratio("header", "ferrule", "struct"), 1 / 2),
    Bar("pack / struct", Ratio("pack", "ferrule", "struct"), 1 / 2),
    Bar("pack_into / struct", Ratio("pack_into", "ferrule", "struct")),
)

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("every shape of field, errors, checksums: see tests/wire",)
