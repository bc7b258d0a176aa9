"""`ValidatedMeta`: what its rule costs a class statement."""

from __future__ import annotations

from benchmarks.bars import Bar, Ratio
from ferrule.cli.rooms.validation_validated_meta import ROOM

__all__ = ["BARS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("class statement / article", Ratio("class", "ferrule", "article")),
    Bar("class statement / type alone", Ratio("class", "ferrule", "type")),
    Bar("refusal / article", Ratio("refused class", "ferrule", "article")),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE: tuple[str, ...] = ()
