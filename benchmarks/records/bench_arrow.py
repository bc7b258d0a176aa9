"""`arrow`: the bars of a hand-over to other libraries, over the containers room.

A library that is given a table asks it for capsules (`__arrow_c_schema__`, `__arrow_c_array__`,
`__arrow_c_stream__`) and calls what is in them. Which ones it asks for is noted once; "own" then
does the same again without the library: the capsules are asked for, schema and arrays taken out
and released through ctypes, whose calls are in the figure. What the library takes with its own
work is shown below each. That both see the same addresses is part of the comparison of results;
DuckDB does not tell where it reads.
"""

from __future__ import annotations

from benchmarks.bars import Bar, Equal, Fixed
from ferrule.cli.rooms.containers import CONSUMERS, ROOM

__all__ = ["BARS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    *(
        bar
        for consumer in CONSUMERS
        for bar in (
            Bar(
                f"{consumer.title}: same rows" + ", same addresses" * consumer.keeps,
                Equal(f"to_{consumer.library}"),
                1.0,
                least=True,
            ),
            Bar(
                f"{consumer.title}: own, us",
                Fixed(f"to_{consumer.library}_own", "table", 1e-3),
                25.0,
            ),
            Bar(f"{consumer.title}: all, us", Fixed(f"to_{consumer.library}", "table", 1e-3)),
        )
    ),
    Bar("a stream given and freed, us", Fixed("arrow_stream", "table", 1e-3)),
    Bar("an array given and freed, us", Fixed("arrow_array", "table", 1e-3)),
    Bar("from_arrow of a pyarrow table, us", Fixed("from_arrow", "table", 1e-3)),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("threads, failing producers, releases at exit: see tests/records",)
