"""`register`: measured with `singleton`, in one room."""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Fixed
from ferrule.cli.rooms.calls_singleton import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (Bar("register a class, ns", Fixed("register", "ferrule", 1.0)),)
COSTS: tuple[Cost, ...] = ()
ELSEWHERE: tuple[str, ...] = ()
