"""`Email`: the bars it has to reach, over email-validator with deliverability off."""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Ratio
from ferrule.cli.rooms.validation_email import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("typical address / email-validator", Ratio("good", "ferrule", "email-validator"), 1 / 100),
    Bar("by validate / email-validator", Ratio("good", "validate", "email-validator"), 1 / 100),
    Bar("refused / email-validator", Ratio("bad", "ferrule", "email-validator")),
    Bar("international / email-validator", Ratio("wide", "ferrule", "email-validator")),
    Bar("international domain / email-validator", Ratio("idna", "ferrule", "email-validator")),
)

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("the same verdict as email-validator: see tests/validation",)
