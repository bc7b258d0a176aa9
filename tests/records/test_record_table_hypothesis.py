"""Random schemas and operations: the native table and its twin give the same answers.

Each operation is done to a pool of tables of both implementations; then every table of the pool
must hold what its twin holds. What shares memory it should not share shows here.
"""

import copy
import importlib
import pickle
import struct
from array import array
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ferrule.pure.records as twin
from records import schemas
from records.schemas import PLAIN, Schema, build, fitting, outcome

CODES = dict(zip("i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bool8".split(), "bhiqBHIQfd?", strict=True))


@pytest.fixture(scope="module")
def native_module(pytestconfig: pytest.Config) -> Any:
    """The native module; against itself the twin is only checked for agreement with itself."""
    if pytestconfig.getoption("--impl") == "pure":
        return twin
    return importlib.import_module("ferrule.records")


def contents(table: Any) -> list[Any]:
    """What a table holds, read by rows and by columns."""
    names = list(table.record_class.__match_args__)
    columns = [table.column(name) for name in names]
    by_row = [tuple(repr(getattr(one, name)) for name in names) for one in table]
    by_column = [list(map(repr, column.tolist())) for column in columns]
    assert by_row == list(zip(*by_column, strict=True))
    assert [len(column) for column in columns] == [len(table)] * len(columns)
    return [len(table), by_column, [column.null_count for column in columns], repr(table)]


def described(value: Any) -> Any:
    """A result, comparable across implementations."""
    if hasattr(type(value), "__match_args__"):
        return [repr(getattr(value, name)) for name in value.__match_args__]
    if isinstance(value, list):
        return [described(one) for one in value]
    return schemas.plain(value)


class Both:
    """A record class, a pool of tables and a pool of arrays, for each implementation."""

    def __init__(self, native: Any, schema: Schema) -> None:
        self.schema = schema
        self.impls = native, twin
        self.classes = [build(impl, schema, name) for impl, name in zip(
            self.impls, ("Made", "Twin"), strict=True
        )]  # fmt: skip
        self.pools: list[list[Any]] = [
            [impl.RecordTable(cls)] for impl, cls in zip(self.impls, self.classes, strict=True)
        ]

    def do(self, operation: Any) -> None:
        """operation(impl, cls, pool) gives a table for the pool, or a value to compare."""
        seen = []
        for impl, cls, pool in zip(self.impls, self.classes, self.pools, strict=True):
            verdict, value = outcome(operation, impl, cls, pool)
            if verdict != "value":
                # the words of other errors than those of a value are not laid down
                value = value.replace(cls.__name__, "Made")
                value = value if value.startswith("Made.") else ""
            elif type(value) is impl.RecordTable:
                pool.append(value)
                value = "a table"
            elif value is not None:
                value = described(value)
            seen.append((verdict, value))
        assert seen[0] == seen[1]
        held = [
            [[part.replace("Twin", "Made") if isinstance(part, str) else part
              for part in contents(table)] for table in pool]
            for pool in self.pools
        ]  # fmt: skip
        assert held[0] == held[1]


def buffer(kind: str, values: list[Any]) -> Any:
    """The values as a buffer of the kind's own format, or as they are."""
    kind = PLAIN.get(kind, kind)
    if kind not in CODES or None in values:
        return values
    code = CODES[kind]
    data = struct.pack(f"={len(values)}{code}", *values)
    return memoryview(data).cast("B").cast(code) if code == "?" else array(code, data)


positions = st.none() | st.integers(-12, 12) | st.builds(schemas.Index, st.integers(-12, 12))
slices = st.builds(
    slice, positions, positions, st.none() | st.integers(-3, 3).filter(bool) | st.just(1)
)


class Draw:
    """Draws one operation; its methods are the operations."""

    def __init__(self, data: Any, both: Both) -> None:
        self.data, self.schema = data, both.schema
        self.last = len(both.pools[0]) - 1

    def _draw(self, strategy: st.SearchStrategy[Any]) -> Any:
        return self.data.draw(strategy)

    def _table(self) -> int:
        return int(self._draw(st.integers(0, self.last)))

    def _rows(self) -> list[Any]:
        rows = self._draw(st.lists(schemas.rows(self.schema), max_size=9))
        if rows and self._draw(st.integers(0, 4)) == 0:
            at = self._draw(st.integers(0, len(rows) - 1))
            rows[at] = self._draw(schemas.doubtful_rows(self.schema))
        return list(rows)

    def _columns(self) -> dict[str, Any]:
        count = self._draw(st.integers(0, 9))
        columns = {
            name: self._draw(st.lists(fitting(kind), min_size=count, max_size=count))
            for name, kind in self.schema.items()
        }
        choice = self._draw(st.integers(0, 9))
        name = self._draw(st.sampled_from(self.schema.names))
        if choice == 0 and count:
            columns[name][-1] = self._draw(schemas.anything)
        elif choice == 1:
            columns[name].append(columns[name][0] if count else 0)
        elif choice == 2:
            del columns[name]
        elif choice == 3:
            columns["unknown"] = []
        return columns

    def append(self) -> Any:
        at, row = self._table(), self._draw(schemas.rows(self.schema))
        return lambda impl, cls, pool: pool[at].append(row)

    def append_doubtful(self) -> Any:
        at, row = self._table(), self._draw(schemas.doubtful_rows(self.schema))
        return lambda impl, cls, pool: pool[at].append(row)

    def append_record(self) -> Any:
        at, row = self._table(), self._draw(schemas.rows(self.schema))
        return lambda impl, cls, pool: pool[at].append(cls(*row))

    def extend_rows(self) -> Any:
        at, rows = self._table(), self._rows()
        return lambda impl, cls, pool: pool[at].extend(iter(rows))

    def extend_columns(self) -> Any:
        at, columns = self._table(), self._columns()
        return lambda impl, cls, pool: pool[at].extend(columns)

    def extend_buffers(self) -> Any:
        at, count = self._table(), self._draw(st.integers(0, 9))
        step = self._draw(st.sampled_from([1, -1, 2]))
        columns = {
            name: buffer(kind, self._draw(st.lists(fitting(kind), min_size=count, max_size=count)))
            for name, kind in self.schema.items()
        }
        columns = {name: column[::step] for name, column in columns.items()}
        return lambda impl, cls, pool: pool[at].extend(columns)

    def extend_table(self) -> Any:
        at, other, part = self._table(), self._table(), self._draw(slices)
        return lambda impl, cls, pool: pool[at].extend(pool[other][part])

    def extend_itself(self) -> Any:
        at = self._table()

        def extend(impl: Any, cls: Any, pool: Any) -> None:
            if len(pool[at]) < 50:
                pool[at].extend(pool[at])

        return extend

    def extend_columns_of_table(self) -> Any:
        at, other = self._table(), self._table()
        names = self.schema.names
        return lambda impl, cls, pool: pool[at].extend(
            {name: pool[other].column(name) for name in names}
        )

    def make(self) -> Any:
        source = self._rows() if self._draw(st.booleans()) else self._columns()
        return lambda impl, cls, pool: impl.RecordTable(cls, source)

    def from_columns(self) -> Any:
        columns = self._columns()
        return lambda impl, cls, pool: impl.RecordTable.from_columns(cls, columns)

    def slice(self) -> Any:
        at, part = self._table(), self._draw(slices)
        return lambda impl, cls, pool: pool[at][part]

    def index(self) -> Any:
        at, position = self._table(), self._draw(st.integers(-12, 12))
        return lambda impl, cls, pool: pool[at][position]

    def column_index(self) -> Any:
        at, position = self._table(), self._draw(st.integers(-12, 12) | slices)
        name = self._draw(st.sampled_from([*self.schema.names, "unknown"]))
        return lambda impl, cls, pool: pool[at].column(name)[position]

    def member(self) -> Any:
        at, i = self._table(), self._draw(st.integers(0, len(self.schema.names) - 1))
        value = self._draw(fitting(self.schema.kinds[i]) | schemas.anything)
        name = self.schema.names[i]
        return lambda impl, cls, pool: value in pool[at].column(name)

    def contains(self) -> Any:
        at, row = self._table(), self._draw(schemas.rows(self.schema))
        return lambda impl, cls, pool: [cls(*row) in pool[at], *(one in pool[at] for one in pool)]

    def equal(self) -> Any:
        at, other = self._table(), self._table()
        return lambda impl, cls, pool: [pool[at] == pool[other], pool[at] != pool[other]]

    def equal_by_another_way(self) -> Any:
        at = self._table()
        return lambda impl, cls, pool: (
            impl.RecordTable(cls, [tuple(map(one.__getattribute__, self.schema.names))
                                   for one in pool[at]]) == pool[at]
        )  # fmt: skip

    def reverse(self) -> Any:
        at = self._table()
        return lambda impl, cls, pool: list(reversed(pool[at]))

    def copy(self) -> Any:
        at, way = self._table(), self._draw(st.sampled_from([copy.copy, copy.deepcopy]))
        return lambda impl, cls, pool: way(pool[at])

    def pickle(self) -> Any:
        at, protocol = self._table(), self._draw(st.integers(2, 5))
        return lambda impl, cls, pool: pickle.loads(pickle.dumps(pool[at], protocol))

    def through_arrow(self) -> Any:
        """Native tables read each other; the twin would need pyarrow for it."""
        at, extend = self._table(), self._draw(st.booleans())

        def through(impl: Any, cls: Any, pool: Any) -> Any:
            if extend:
                source = pool[at][:]
                return pool[at].extend(source if impl is twin else AsStream(source))
            if impl is twin:
                return pool[at][:]
            return impl.RecordTable.from_arrow(cls, (AsArray if at % 2 else AsStream)(pool[at]))

        return through


class AsStream:
    """An Arrow object like the table, and nothing but that."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


class AsArray:
    """The same, of one array."""

    def __init__(self, table: Any) -> None:
        self.table = table

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_array__(requested_schema)


OPERATIONS = [name for name in vars(Draw) if not name.startswith("_")]


@settings(max_examples=150)
@given(schema=schemas.schemas(schemas.columns), data=st.data())
def test_native_and_twin_agree_operation_by_operation(native_module, schema, data):
    both = Both(native_module, schema)
    for name in data.draw(st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=12)):
        if len(both.pools[0]) < 6 or name.startswith(("append", "extend")):
            both.do(getattr(Draw(data, both), name)())


@given(schema=schemas.schemas(schemas.unboxed), data=st.data())
def test_rows_become_columns_and_columns_rows(native_module, schema, data):
    """What an array and a table hold is the same, whichever way it goes."""
    cls = build(native_module, schema)
    rows = data.draw(st.lists(schemas.rows(schema), max_size=20))
    part = data.draw(slices)
    records = native_module.RecordArray(cls, rows)
    table = native_module.RecordTable(cls, records[part])
    want = [repr(one) for one in records[part]]
    assert [repr(one) for one in table] == want
    back = native_module.RecordArray(cls, table)
    assert [repr(one) for one in back] == want
    back.extend(table[part])
    assert [repr(one) for one in back] == want + want[part]
