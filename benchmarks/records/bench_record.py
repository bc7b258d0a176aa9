"""`record`: the bars that native records have to reach, over the records room of the registry.

Each bar names two measurements of one run, both in the interleaved part, or one of them and a
fixed number. Ratios are taken round by round; the median counts.
"""

from __future__ import annotations

from benchmarks.bars import Bar, Collect, Fixed, Import, Ratio, Resident
from ferrule.cli.rooms.records import ROOM

__all__ = ["BARS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("create positionally / slots", Ratio("create_positional", "ferrule", "slots"), 0.24),
    Bar("create positionally / msgspec gc=False",
        Ratio("create_positional", "ferrule", "msgspec"), 0.60),
    Bar("create by keyword / slots", Ratio("create_keyword", "ferrule", "slots"), 0.18),
    Bar("create frozen / create mutable",
        Ratio("create_frozen", "ferrule", "ferrule", "create_positional"), 1.05),
    Bar("bytes each of a million", Resident("ferrule"), 57.0),
    Bar("read an object field / slots", Ratio("read_object", "ferrule", "slots"), 1.05),
    Bar("write an object field, nothing checked / slots",
        Ratio("write_plain", "ferrule", "slots"), 1.05),
    Bar("read a float / slots", Ratio("read_float", "ferrule", "slots"), 4.5, {"3.11": 5.2}),
    Bar("read an int / slots", Ratio("read_int", "ferrule", "slots"), 6.8, {"3.11": 7.5}),
    Bar("read a float, all-scalar class / slots",
        Ratio("read_scalars_float", "ferrule", "slots"), 3.4),
    Bar("read an int, all-scalar class / slots",
        Ratio("read_scalars_int", "ferrule", "slots"), 6.0),
    Bar("== / slots", Ratio("equal", "ferrule", "slots"), 0.10),
    Bar("hash, frozen, equal to the tuple's / slots", Ratio("hash", "ferrule", "slots"), 0.40),
    Bar("dataclasses.asdict / asdict", Ratio("asdict", "dataclass", "ferrule"), 12.0, least=True),
    Bar("dataclasses.replace / replace",
        Ratio("replace", "dataclass", "ferrule"), 20.0, least=True),
    Bar("sorted of 100,000 / slots", Ratio("sort", "ferrule", "slots"), 0.09),
    Bar("repr / slots", Ratio("repr", "ferrule", "slots"), 0.8),
    Bar("gc.collect() with a million alive, added / slots", Collect("ferrule", "slots"), 0.02),
    Bar("the same, less what a list of plain objects adds",
        Collect("ferrule", "slots", bare=True), 0.02),
    Bar("pickle.loads of 100,000 / slots dataclass", Ratio("loads", "ferrule", "dataclass"), 0.12),
    Bar("class definition, us", Fixed("define", "ferrule", 1e-3), 50.0),
    Bar("import over typing, ms", Import("ferrule"), 3.0),
)  # fmt: skip

#: What this module cannot measure, and where it is shown.
ELSEWHERE = (
    "CPython's own dataclass tests with record for dataclass: see tests/records",
    "both README commands in a fresh environment: see .ci/run",
)
