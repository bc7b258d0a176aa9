"""Arrays and tables of readings beside a list of slotted objects and what people use today.

Every implementation defines `filled(times, values, units)`, which makes its container of columns,
`contents(made)`, its rows as a list of tuples, and `buffers(times, values, units)`, the columns in
the form it takes fastest. The pure twins take part in the comparison of results alone: a million
readings would keep them busy for minutes.
"""

from __future__ import annotations

import copy
import importlib
import math
import pickle
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

from ferrule.cli import drain
from ferrule.cli.load import Reading
from ferrule.cli.measure import trim
from ferrule.cli.registry import (
    TIMED,
    Footprint,
    Implementation,
    Namespace,
    Operation,
    Room,
    Setup,
    spread,
)

#: Bytes of the unit in an array, unless a unit needs more.
WIDTH = 8

# ------------------------------------------------------------------------------- implementations
# Where it applies they also define what lays rows out as columns: `fixed` (the unit as bytes) and
# `numbers` (no unit) make `given`, and `columns_of(kept)` are the columns as lists.

_CLASS = "class {name}(Record, gc=False):\n    timestamp: i64\n    value: f64\n"
_SIZED = _CLASS.format(name="SensorReading") + "    unit: Annotated[str, Size({width})]\n"
_CODED = _CLASS.format(name="SensorReading") + "    unit: Annotated[str, Coded]\n"
_OTHERS = (
    _CLASS.format(name="TextReading") + "    unit: str\n\n\n"
    "class FixedReading(Record, gc=False):\n"
    "    timestamp: i64\n    value: f64\n    unit: Annotated[bytes, Size({width})]\n\n\n"
    + _CLASS.format(name="Numbers")
    + "\n\nclass Unit(Record, gc=False):\n    unit: Annotated[str, Size({width})]\n"
)

_NATIVE_IMPORTS = (
    "from array import array\n"
    "from typing import Annotated\n\n"
    "from {module} import Coded, Record, RecordArray, RecordTable, Size, f64, i64\n"
)
_NATIVE_FUNCTIONS = """
def filled(times, values, units, cls=SensorReading):
    made = {container}(cls)
    made.extend({{"timestamp": times, "value": values, "unit": units}})
    return made


def appended(times, values, units):
    made = {container}(SensorReading)
    for row in zip(times, values, units):
        made.append(row)
    return made


def contents(made):
    return [(o.timestamp, o.value, o.unit) for o in made]


def buffers(times, values, units):
    return array("q", times), array("d", values), {unit}


def unit_buffer(units):
    made = RecordArray(Unit)
    made.extend({{"unit": units}})
    return made.column("unit")


def fixed(times, values, units):
    made = RecordArray(FixedReading)
    padded = [unit.encode().ljust({width}, b"\\0") for unit in units]
    made.extend({{"timestamp": times, "value": values, "unit": padded}})
    return made


def fixed_columns(times, values, units):
    made = RecordTable(FixedReading)
    made.extend(fixed(times, values, units))
    return made


def numbers(times, values, units):
    made = RecordArray(Numbers)
    made.extend({{"timestamp": times, "value": values}})
    return made


def columns_of(kept):
    found = [list(kept.column(name)) for name in kept.record_class.__match_args__]
    return [*found[:2], *([text.rstrip(b"\\0") for text in one] for one in found[2:])]


def rows_of(kept):
    return [(o.timestamp, o.value, o.unit.rstrip(b"\\0")) for o in kept]
"""

_SLOTS = """
class SensorReading:
    __slots__ = ("timestamp", "value", "unit")

    def __init__(self, timestamp, value, unit):
        self.timestamp = timestamp
        self.value = value
        self.unit = unit
"""
_SLOTS_FUNCTIONS = """
def filled(times, values, units):
    return [SensorReading(t, v, u) for t, v, u in zip(times, values, units)]


def contents(made):
    return [(o.timestamp, o.value, o.unit) for o in made]


def buffers(times, values, units):
    return array("q", times), array("d", values), units


fixed = numbers = filled


def columns_of(kept):
    return [*kept[:2], *([text.encode() for text in one] for one in kept[2:])]
"""

_NUMPY_FUNCTIONS = """
dtype = dtype([("timestamp", "i8"), ("value", "f8"), ("unit", "S{width}")])


def encoded(units):
    return [unit.encode() for unit in units]


def filled(times, values, units):
    made = empty(len(times), dtype)
    made["timestamp"], made["value"], made["unit"] = times, values, encoded(units)
    return made


def contents(made):
    return [(t, v, u.decode()) for t, v, u in made.tolist()]


def buffers(times, values, units):
    return numpy_array(times), numpy_array(values), numpy_array(encoded(units), dtype["unit"])


fixed = filled


def fixed_columns(times, values, units):
    made = filled(times, values, units)
    return {{name: made[name].copy() for name in dtype.names}}


def numbers(times, values, units):
    made = empty(len(times), [("timestamp", "i8"), ("value", "f8")])
    made["timestamp"], made["value"] = times, values
    return made


def columns_of(kept):
    return [one.tolist() for one in kept]


def rows_of(kept):
    return kept.tolist()
"""

_PYARROW_FUNCTIONS = """
names = ("timestamp", "value", "unit")


def of_units(units):
    return pyarrow.array(units, pyarrow.string()).dictionary_encode()


def filled(times, values, units):
    numbers = pyarrow.array(times, pyarrow.int64()), pyarrow.array(values, pyarrow.float64())
    return pyarrow.table([*numbers, of_units(units)], names)


def from_buffers(times, values, units):
    numbers = (
        pyarrow.Array.from_buffers(type, len(data), [None, pyarrow.py_buffer(data)])
        for type, data in ((pyarrow.int64(), times), (pyarrow.float64(), values))
    )
    return pyarrow.table([*numbers, of_units(units)], names)


def contents(made):
    return list(zip(*(made[name].to_pylist() for name in names)))


def buffers(times, values, units):
    return array("q", times), array("d", values), units
"""

_POLARS_FUNCTIONS = """
schema = {"timestamp": polars.Int64, "value": polars.Float64, "unit": polars.Categorical}


def filled(times, values, units):
    columns = {"timestamp": list(times), "value": list(values), "unit": units}
    return polars.DataFrame(columns, schema=schema)


def contents(made):
    return made.rows()
"""


def _records(name: str, module: str, container: str, width: int) -> Implementation:
    """The native container or its twin, over the record class that suits it."""
    native, of_array = module == "ferrule.records", container == "RecordArray"
    # a buffer of byte strings is more than the twin can make
    unit = "unit_buffer(units)" if of_array and native else "units"
    return Implementation(
        name,
        "native" if native else "pure",
        _NATIVE_IMPORTS.format(module=module),
        (_SIZED if of_array else _CODED).format(width=width),
        "\n\n".join((_OTHERS, _NATIVE_FUNCTIONS)).format(
            width=width, container=container, unit=unit
        ),
    )


def _implementations(width: int) -> tuple[Implementation, ...]:
    native, pure, own_array = "ferrule.records", "ferrule.pure.records", "from array import array\n"
    of_numpy = "from numpy import array as numpy_array, ascontiguousarray, dtype, empty\n"
    functions = _NUMPY_FUNCTIONS.format(width=width)
    return (
        Implementation("slots", "article", own_array, _SLOTS, _SLOTS_FUNCTIONS),
        _records("array", native, "RecordArray", width),
        _records("table", native, "RecordTable", width),
        _records("pure array", pure, "RecordArray", width),
        _records("pure table", pure, "RecordTable", width),
        Implementation("numpy", "peer", of_numpy, "", functions, needs="numpy"),
        Implementation(
            "pyarrow",
            "peer",
            f"{own_array}import pyarrow\nfrom pyarrow.compute import sum as arrow_sum\n",
            "",
            _PYARROW_FUNCTIONS,
            needs="pyarrow",
        ),
        Implementation("polars", "peer", "import polars\n", "", _POLARS_FUNCTIONS, needs="polars"),
    )


# ------------------------------------------------------------------------------------------ setup


def _columns(namespace: Namespace, rows: Sequence[Reading]) -> tuple[list[Any], ...]:
    """The readings as three lists, the same for all operations of an implementation."""
    store = namespace["store"]
    if "columns" not in store:
        store["columns"] = tuple([row[at] for row in rows] for at in range(3))
    found: tuple[list[Any], ...] = store["columns"]
    return found


def _made(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """The filled container `made`, which operations share and leave as it is."""
    store = namespace["store"]
    if "made" not in store:
        store["made"] = namespace["filled"](*_columns(namespace, rows))
    namespace["made"] = store["made"]


def _from_columns(namespace: Namespace, rows: Sequence[Reading]) -> None:
    columns = _columns(namespace, rows)
    namespace["times"], namespace["values"], namespace["units"] = columns
    if "encoded" in namespace:  # numpy takes no str beyond ASCII; this is not in its time
        namespace["texts"] = namespace["encoded"](columns[2])


def _from_buffers(namespace: Namespace, rows: Sequence[Reading]) -> None:
    columns = namespace["buffers"](*_columns(namespace, rows))
    namespace["times"], namespace["values"], namespace["units"] = columns


def _rows(namespace: Namespace, rows: Sequence[Reading]) -> None:
    namespace["rows"] = rows


def _of_records(namespace: Namespace, rows: Sequence[Reading]) -> None:
    namespace["records"] = [namespace["SensorReading"](*row) for row in rows]


def _places(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """Indexes spread over the container, and its column of values."""
    _made(namespace, rows)
    few = min(len(rows), TIMED)
    namespace["places"] = [i * len(rows) // few for i in range(few)]


def _of_column(namespace: Namespace, rows: Sequence[Reading]) -> None:
    _places(namespace, rows)
    made = namespace["made"]
    namespace["column"] = made.column("value") if hasattr(made, "append") else made["value"]


def _writes(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """A small container of its own, and for each place the reading that follows."""
    few = spread(rows, TIMED)
    namespace["made"] = namespace["filled"](*([row[at] for row in few] for at in range(3)))
    following = [*few[1:], few[0]]
    namespace["writes"] = [(i, *row, row[2].encode()) for i, row in enumerate(following)]


def _shuffled(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """The readings in a random but always equal order."""
    mixed = list(rows)
    random.Random(1).shuffle(mixed)
    namespace["given"] = namespace["filled"](*([row[at] for row in mixed] for at in range(3)))
    namespace["when"], namespace["copy"] = attrgetter("timestamp"), copy.copy


def _summed(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """`near(x)`: whether x is the sum of the values, in whatever order it was added up."""
    _made(namespace, rows)
    values = [row[1] for row in rows]
    wanted, slack = math.fsum(values), 1e-9 * math.fsum(map(abs, values))
    namespace["near"] = lambda result: bool(abs(result - wanted) <= slack)


def _numpy(setup: Setup) -> Setup:
    """Also `asarray`, and `shares`: whether what is written into one shows in the other."""

    def shares(result: Any, made: Any) -> str:
        before = made[0].value
        result["value"][0] = before + 1
        seen = made[0].value == before + 1
        result["value"][0] = before
        return "shared" if seen else "copied"

    def both(namespace: Namespace, rows: Sequence[Reading]) -> None:
        setup(namespace, rows)
        namespace |= {"asarray": importlib.import_module("numpy").asarray, "shares": shares}

    return both


def _outside(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """`outside` takes the buffers of a pickle; the last ones stay in `parts`."""
    _made(namespace, rows)
    parts: deque[Any] = deque(maxlen=16)
    namespace["blob"] = pickle.dumps(namespace["made"], 5, buffer_callback=parts.append)
    namespace["given"] = list(parts)
    namespace |= {"dumps": pickle.dumps, "loads": pickle.loads}
    namespace |= {"parts": parts, "outside": parts.append}


def _inside(namespace: Namespace, rows: Sequence[Reading]) -> None:
    _made(namespace, rows)
    namespace["blob"] = pickle.dumps(namespace["made"], 5)
    namespace |= {"dumps": pickle.dumps, "loads": pickle.loads}


def _given(maker: str) -> Setup:
    """`given`, made by a function of the implementation; `fresh` makes new memory of freed."""

    def setup(namespace: Namespace, rows: Sequence[Reading]) -> None:
        namespace["given"] = namespace[maker](*_columns(namespace, rows))
        namespace["fresh"] = trim

    return setup


def _drained(namespace: Namespace, rows: Sequence[Reading]) -> None:
    _made(namespace, rows)
    namespace |= {"stream": drain.stream, "array": drain.array}


def _from_pyarrow(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """The readings as pyarrow has them, `given`."""
    pyarrow = importlib.import_module("pyarrow")
    times, values, units = _columns(namespace, rows)
    numbers = pyarrow.array(times, pyarrow.int64()), pyarrow.array(values, pyarrow.float64())
    coded = pyarrow.array(units, pyarrow.string()).dictionary_encode()
    namespace["given"] = pyarrow.table([*numbers, coded], ["timestamp", "value", "unit"])
    namespace["addresses"] = partial(drain.addresses, field=1)


@dataclass(frozen=True, slots=True)
class Consumer:
    """A library that reads Arrow: how it is handed a table, and the rows in what it makes.

    `keeps` tells that what it makes can be asked where its values lie.
    """

    library: str
    title: str
    hand: Callable[[Any, Any], Any]
    rows: Callable[[Any], Any]
    keeps: bool = True

    def setup(self, namespace: Namespace, rows: Sequence[Reading]) -> None:
        """`hand(made)`, and what compares its result."""
        _summed(namespace, rows)
        namespace["hand"] = partial(self.hand, importlib.import_module(self.library))
        namespace |= {"rows_of": self.rows, "addresses": partial(drain.addresses, field=1)}

    def own(self, namespace: Namespace, rows: Sequence[Reading]) -> None:
        """`calls`, which the library makes when it is handed `made`, to be made `again`."""
        self.setup(namespace, rows)
        asked = drain.Asked(namespace["made"])
        namespace["hand"](asked)
        namespace |= {"calls": asked.calls, "again": drain.again}


CONSUMERS = (
    Consumer(
        "pyarrow",
        "pyarrow.table",
        lambda library, made: library.table(made),
        lambda result: list(zip(*(one.to_pylist() for one in result.columns), strict=True)),
    ),
    Consumer(
        "polars",
        "polars.DataFrame",
        lambda library, made: library.DataFrame(made),
        lambda result: result.rows(),
    ),
    Consumer(
        "nanoarrow",
        "nanoarrow.Array",
        lambda library, made: library.Array(made),
        lambda result: [tuple(row.values()) for row in result.to_pylist()],
    ),
    Consumer(
        "duckdb",
        "DuckDB, a sum",
        lambda library, made: library.from_arrow(made).aggregate("count(*), sum(value)").fetchall(),
        lambda result: result[0],
        keeps=False,
    ),
)

# ------------------------------------------------------------------------------------- operations

_ALL = ("slots", "array", "table", "pure array", "pure table", "numpy", "pyarrow", "polars")
_LAST = "(kept[-1].timestamp, kept[-1].value, kept[-1].unit)"
_EXTEND = (
    "kept = {}(SensorReading); kept.extend({{'timestamp': times, 'value': values, 'unit': units}})"
)
_EXTEND_ROWS = "kept = {}(SensorReading); kept.extend(zip(times, values, units))"
_FIELDS = "kept = empty(len(times), dtype); kept['timestamp'] = times; kept['value'] = values; "


def _of(**codes: str | None) -> dict[str, str | None]:
    """Statements by implementation; what is not named cannot do it. `arrays` and `tables` mean
    the native one and its twin, `array` and `table` the native one alone."""
    found: dict[str, str | None] = dict.fromkeys(_ALL)
    for kind in ("array", "table"):
        if f"{kind}s" in codes:
            found[kind] = found[f"pure {kind}"] = codes.pop(f"{kind}s")
    return found | codes


def _operation(
    name: str,
    title: str,
    loop: str,
    outcome: str,
    setup: Setup,
    codes: Mapping[str, str | None],
    **more: Any,
) -> Operation:
    more.setdefault("filled", True)
    more.setdefault("repeat", 1)
    return Operation(name, "containers", title, "", loop, outcome, setup, instead=codes, **more)


_bulk = partial(_operation, bulk=True)

_FILL = (
    _bulk(
        "from_columns",
        "fill, columns in lists",
        "",
        "contents(kept)",
        _from_columns,
        _of(
            slots="kept = filled(times, values, units)",
            arrays=_EXTEND.format("RecordArray"),
            tables=_EXTEND.format("RecordTable"),
            numpy=_FIELDS + "kept['unit'] = texts",
            pyarrow="kept = filled(times, values, units)",
            polars="kept = polars.DataFrame({'timestamp': times, 'value': values, 'unit': units}, "
            "schema=schema)",
        ),
        family="fill",
    ),
    _bulk(
        "from_tuples",
        "fill, tuples of rows",
        "",
        "contents(kept)",
        _from_columns,
        _of(
            arrays=_EXTEND_ROWS.format("RecordArray"),
            tables=_EXTEND_ROWS.format("RecordTable"),
            numpy="kept = numpy_array(list(zip(times, values, texts)), dtype)",
        ),
        family="fill",
    ),
    _bulk(
        "from_buffers",
        "fill, columns in arrays",
        "",
        "contents(kept)",
        _from_buffers,
        _of(
            slots="kept = filled(times, values, units)",
            arrays=_EXTEND.format("RecordArray"),
            tables=_EXTEND.format("RecordTable"),
            numpy=_FIELDS + "kept['unit'] = units",
            pyarrow="kept = from_buffers(times, values, units)",
        ),
        family="fill",
    ),
)

_START = {
    **dict.fromkeys(
        ("array", "pure array"), "kept = RecordArray(SensorReading); add = kept.append"
    ),
    **dict.fromkeys(
        ("table", "pure table"), "kept = RecordTable(SensorReading); add = kept.append"
    ),
    "slots": "kept = []; add = kept.append",
}
_append = partial(_bulk, family="append", before_instead=_START)

_APPEND = (
    _append(
        "append",
        "append a row",
        "for t, v, u in rows",
        _LAST,
        _rows,
        _of(slots="add(SensorReading(t, v, u))", arrays="add((t, v, u))", tables="add((t, v, u))"),
    ),
    _append(
        "append_record",
        "append a record",
        "for r in records",
        _LAST,
        _of_records,
        _of(arrays="add(r)", tables="add(r)"),
    ),
    _append(
        "append_new",
        "append, record made",
        "for t, v, u in rows",
        _LAST,
        _rows,
        _of(**dict.fromkeys(("slots", "arrays", "tables"), "add(SensorReading(t, v, u))")),
    ),
)


def _read(name: str, title: str, field: str, **more: Any) -> Operation:
    record = f"made[i].{field}"
    return _operation(
        name,
        title,
        "for i in places",
        "result",
        _places,
        _of(
            slots=record,
            arrays=record,
            tables=record,
            numpy=f"made[i]['{field}']",
            pyarrow=f"made['{field}'][i].as_py()",
            polars=f"made['{field}'][i]",
        ),
        repeat=4,
        family="read",
        **more,
    )


_ACCESS = (
    _read("read_float", "rows[i].value", "value"),
    _read("read_int", "rows[i].timestamp", "timestamp"),
    _read("read_text", "rows[i].unit", "unit", outcome_instead={"numpy": "result.decode()"}),
    _operation(
        "read_live",
        "rows.row(i).value",
        "for i in places",
        "result",
        _places,
        _of(slots="made[i].value", arrays="made.row(i).value", numpy="made[i]['value']"),
        repeat=4,
        family="read",
    ),
    _operation(
        "read_column",
        "column[i]",
        "for i in places",
        "result",
        _of_column,
        _of(
            arrays="column[i]",
            tables="column[i]",
            numpy="column[i]",
            pyarrow="column[i].as_py()",
            polars="column[i]",
        ),
        repeat=4,
        family="read",
    ),
    _operation(
        "write_row",
        "rows[i] = row",
        "for i, t, v, u, x in writes",
        "contents(made[i : i + 1])",
        _writes,
        _of(
            slots="made[i] = SensorReading(t, v, u)",
            arrays="made[i] = (t, v, u)",
            numpy="made[i] = (t, v, x)",
        ),
        repeat=4,
        family="write",
    ),
    _operation(
        "write_live",
        "rows.row(i).value = v",
        "for i, t, v, u, x in writes",
        "contents(made[i : i + 1])",
        _writes,
        _of(
            slots="made[i].value = v",
            arrays="made.row(i).value = v",
            numpy="made['value'][i] = v",
        ),
        repeat=4,
        family="write",
    ),
    _bulk(
        "iterate",
        "sum of r.value for r",
        "",
        "near(kept)",
        _summed,
        _of(**dict.fromkeys(("slots", "arrays", "tables"), "kept = sum([r.value for r in made])")),
    ),
    _bulk(
        "sort",
        "sort 100,000 by field",
        "",
        "contents(kept)",
        _shuffled,
        _of(
            slots="kept = sorted(given, key=when)",
            arrays="kept.sort_by('timestamp')",
            numpy="kept = given[given['timestamp'].argsort(kind='stable')]",
            pyarrow="kept = given.sort_by('timestamp')",
            polars="kept = given.sort('timestamp', maintain_order=True)",
        ),
        filled=False,
        before_instead=dict.fromkeys(("array", "pure array"), "kept = copy(given)"),
    ),
)

_NUMPY = (
    _operation(
        "column_sum",
        "column sum, NumPy",
        "",
        "near(result)",
        _numpy(_summed),
        _of(
            slots="sum([o.value for o in made])",
            array="asarray(made.column('value')).sum()",
            table="asarray(made.column('value')).sum()",
            numpy="made['value'].sum()",
            pyarrow="arrow_sum(made['value']).as_py()",
            polars="made['value'].sum()",
        ),
        needs=("numpy",),
    ),
    _operation(
        "asarray",
        "numpy.asarray",
        "",
        "[[(t, v, u.decode()) for t, v, u in result.tolist()], shares(result, made)]",
        _numpy(_made),
        _of(array="asarray(made)") | {"pure array": "made"},
        outcome_instead={"pure array": "[contents(made), 'shared']"},
        needs=("numpy",),
    ),
)

_PICKLE = (
    _operation(
        "dumps_outside",
        "dumps, out of band",
        "",
        "contents(loads(result, buffers=list(parts)[-len(given):]))",
        _outside,
        _of(
            **dict.fromkeys(
                ("array", "table", "numpy", "pyarrow"), "dumps(made, 5, buffer_callback=outside)"
            )
        ),
    ),
    _operation(
        "loads_outside",
        "loads, out of band",
        "",
        "contents(result)",
        _outside,
        _of(**dict.fromkeys(("array", "table", "numpy", "pyarrow"), "loads(blob, buffers=given)")),
    ),
    _bulk(
        "dumps_inside",
        "dumps, in band",
        "",
        "contents(loads(kept))",
        _inside,
        _of(
            **dict.fromkeys(
                ("arrays", "tables", "numpy", "pyarrow", "polars"), "kept = dumps(made, 5)"
            )
        ),
        family="pickle",
    ),
    _bulk(
        "loads_inside",
        "loads, in band",
        "",
        "contents(kept)",
        _inside,
        _of(
            **dict.fromkeys(
                ("arrays", "tables", "numpy", "pyarrow", "polars"), "kept = loads(blob)"
            )
        ),
        family="pickle",
    ),
)

_turn = partial(_bulk, family="turn", before="fresh()")

_TURN = (
    _turn(
        "to_columns",
        "rows to columns",
        "",
        "columns_of(kept)",
        _given("fixed"),
        _of(
            slots="kept = [[o.timestamp for o in given], [o.value for o in given], "
            "[o.unit for o in given]]",
            arrays="kept = RecordTable(FixedReading); kept.extend(given)",
            numpy="kept = [ascontiguousarray(given[name]) for name in given.dtype.names]",
        ),
    ),
    _turn(
        "to_columns_numbers",
        "the same, numbers only",
        "",
        "columns_of(kept)",
        _given("numbers"),
        _of(
            slots="kept = [[o.timestamp for o in given], [o.value for o in given]]",
            arrays="kept = RecordTable(Numbers); kept.extend(given)",
            numpy="kept = [ascontiguousarray(given[name]) for name in given.dtype.names]",
        ),
    ),
    _turn(
        "to_rows",
        "columns to rows",
        "",
        "rows_of(kept)",
        _given("fixed_columns"),
        _of(
            arrays="kept = RecordArray(FixedReading); kept.extend(given)",
            numpy="kept = empty(len(given['timestamp']), dtype); "
            "kept['timestamp'] = given['timestamp']; kept['value'] = given['value']; "
            "kept['unit'] = given['unit']",
        ),
    ),
)


_SHARED = "'shared' if {} else 'copied'"


def _hand_over(consumer: Consumer) -> tuple[Operation, Operation]:
    """All that a hand-over takes, and the part of it that is the table's own work."""
    shared = (
        _SHARED.format("addresses(result) == addresses(made)") if consumer.keeps else "'shared'"
    )
    found = (
        "rows_of(result)" if consumer.keeps else "[rows_of(result)[0], near(rows_of(result)[1])]"
    )
    wanted = "contents(made)" if consumer.keeps else "[len(made), True]"
    peers = {name: "hand(made)" for name in ("pyarrow", "polars") if name != consumer.library}
    instead = dict.fromkeys(peers, f"[{found}, 'shared']")
    instead["pure table"] = f"[{wanted}, 'shared']"
    family = f"to {consumer.library}"
    return (
        _operation(
            f"to_{consumer.library}",
            f"to {consumer.title}",
            "",
            f"[{found}, {shared}]",
            consumer.setup,
            _of(table="hand(made)") | peers | {"pure table": "made"},
            outcome_instead=instead,
            family=family,
            needs=(consumer.library,),
        ),
        _operation(
            f"to_{consumer.library}_own",
            f"  own, for {consumer.library}",
            "",
            "result",
            consumer.own,
            _of(table="again(calls, made)"),
            family=family,
            needs=(consumer.library,),
        ),
    )


_ARROW = (
    _operation(
        "arrow_stream",
        "Arrow stream, unused",
        "",
        "result",
        _drained,
        _of(table="stream(made)", pyarrow="stream(made)", polars="stream(made)")
        | {"pure table": "len(made)"},
        family="arrow",
    ),
    _operation(
        "arrow_array",
        "Arrow array, unused",
        "",
        "result",
        _drained,
        _of(table="array(made)") | {"pure table": "len(made)"},
        family="arrow",
    ),
    *(operation for consumer in CONSUMERS for operation in _hand_over(consumer)),
    _operation(
        "from_arrow",
        "from pyarrow.Table",
        "",
        f"[contents(result), {_SHARED.format('addresses(result) == addresses(given)')}]",
        _from_pyarrow,
        _of(
            tables="RecordTable.from_arrow(SensorReading, given)",
            polars="polars.from_arrow(given)",
        ),
        outcome_instead={"pure table": "[contents(result), 'shared']"},
        needs=("pyarrow",),
    ),
)

OPERATIONS = (*_FILL, *_APPEND, *_ACCESS, *_NUMPY, *_PICKLE, *_TURN, *_ARROW)

_FILLED, _APPENDED = "filled(times, values, units)", "appended(times, values, units)"
FOOTPRINTS = (
    *(Footprint(name, name, _FILLED) for name in ("slots", "array", "table")),
    Footprint("array, appended", "array", _APPENDED),
    Footprint("table, appended", "table", _APPENDED),
    Footprint("table, unit as text", "table", "filled(times, values, units, TextReading)"),
    *(Footprint(name, name, _FILLED) for name in ("numpy", "pyarrow", "polars")),
)


def room(width: int = WIDTH) -> Room:
    """The room, with so many bytes for a unit."""
    implementations = _implementations(width)
    return Room(
        "containers",
        "Arrays and tables",
        implementations,
        OPERATIONS,
        {},
        baseline="slots",
        footprints=FOOTPRINTS,
        counted=("row", "rows"),
        held="Resident bytes of each row with everything it needs: for objects their place in a "
        "list and the values they hold.",
        untimed=frozenset(item.name for item in implementations if item.kind == "pure"),
        headline=("append", "append"),
    )


def parts(rows: Sequence[Reading]) -> tuple[Room, ...]:
    """The room for these readings: the longest unit finds its place."""
    longest = max((len(unit.encode()) for unit in {row[2] for row in rows}), default=0)
    return (room(max(WIDTH, -(-longest // WIDTH) * WIDTH)),)


ROOM = room()
