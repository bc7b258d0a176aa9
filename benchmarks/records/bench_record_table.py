"""`record_table`: the bars that tables of records have to reach, over the containers room."""

from __future__ import annotations

from benchmarks.bars import Bar, Ratio, Resident
from ferrule.cli.rooms.containers import ROOM

__all__ = ["BARS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("bytes a row, unit as a code", Resident("table"), 17.5),
    Bar("bytes a row, unit as a code, appended one by one", Resident("table, appended")),
    Bar("bytes a row, unit as text", Resident("table, unit as text")),
    Bar("table[i].value / list of slots", Ratio("read_float", "table", "slots")),
    Bar("append((t, v, u)) to a table / slots object to a list",
        Ratio("append", "table", "slots")),
    Bar("pyarrow / extend of a table, lists", Ratio("from_columns", "pyarrow", "table")),
    Bar("columns to rows / NumPy", Ratio("to_rows", "array", "numpy")),
)  # fmt: skip

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ()
