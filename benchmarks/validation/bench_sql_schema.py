"""`sql_schema`: the bars it has to reach, against SQLAlchemy's CreateTable(...).compile."""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Ratio
from ferrule.cli.rooms.validation_sql_schema import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("first / SQLAlchemy", Ratio("first", "ferrule", "sqlalchemy"), 0.25),
    Bar("again / SQLAlchemy", Ratio("again", "ferrule", "sqlalchemy"), 0.02),
    Bar("first / article", Ratio("first", "ferrule", "typing")),
    Bar("first / twin", Ratio("first", "ferrule", "pure")),
)

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("what databases refuse: see tests/validation/test_sql_schema_database.py",)
