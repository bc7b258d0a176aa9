"""`record_array`: the bars that arrays of records have to reach, over the containers room.

"Structured assignment" is `numpy.array` over row tuples, the way a structured array is made of
Python values at once. Beside it stands what is faster in NumPy: an empty structured array filled
field by field, from the same lists (the text as `bytes`, since NumPy takes no `str` beyond ASCII;
the encoding is not in NumPy's time) and from buffers of the fields' types.
"""

from __future__ import annotations

from benchmarks.bars import Bar, Equal, Fixed, Ratio, Resident
from ferrule.cli.rooms.containers import ROOM

__all__ = ["BARS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("bytes a row, unit in 8 bytes", Resident("array"), 24.1),
    Bar("bytes a row, appended one by one", Resident("array, appended")),
    Bar("array[i].value / list of slots", Ratio("read_float", "array", "slots"), 3.5,
        {"3.11": 4.2}),
    Bar("array[i].timestamp / list of slots", Ratio("read_int", "array", "slots"), 3.5,
        {"3.11": 4.2}),
    Bar("array[i].unit / list of slots", Ratio("read_text", "array", "slots")),
    Bar("NumPy a[i]['value'] / array[i].value",
        Ratio("read_float", "numpy", "array"), 30.0, least=True),
    Bar("append((t, v, u)) / slots object to a list", Ratio("append", "array", "slots"), 0.15),
    Bar("append(record) / slots object to a list",
        Ratio("append_record", "array", "slots", "append"), 0.15),
    Bar("append(SensorReading(t, v, u)) / slots object to a list",
        Ratio("append_new", "array", "slots")),
    Bar("NumPy, structured assignment / extend, lists",
        Ratio("from_tuples", "numpy", "array", "from_columns"), 20.0, least=True),
    Bar("NumPy, field by field / extend, lists", Ratio("from_columns", "numpy", "array")),
    Bar("NumPy, field by field / extend, buffers", Ratio("from_buffers", "numpy", "array")),
    Bar("list of slots / extend, lists", Ratio("from_columns", "slots", "array")),
    Bar("sort_by of 100,000 / sorted(key=attrgetter) on slots",
        Ratio("sort", "array", "slots"), 0.05),
    Bar("numpy.asarray(array) shares memory", Equal("asarray"), 1.0, least=True),
    Bar("numpy.asarray(array), us", Fixed("asarray", "array", 1e-3), 15.0),
    Bar("pickle.dumps out of band, ms", Fixed("dumps_outside", "array", 1e-6), 0.5),
    Bar("pickle.loads out of band, ms", Fixed("loads_outside", "array", 1e-6)),
    Bar("rows to columns / NumPy", Ratio("to_columns", "array", "numpy"), 1.0),
    Bar("rows to columns, numbers alone / NumPy",
        Ratio("to_columns_numbers", "array", "numpy"), 1.0),
)  # fmt: skip

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("every operation against the twin on random schemas: see tests/records",)
