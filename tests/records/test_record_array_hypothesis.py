"""Random schemas and operations: the native array and its twin give the same answers.

Both implementations do each operation; its result, or the type of its error, must be the same,
and so must the rows of every array, slice, live row and column that is still there.
"""

import copy
import importlib
import pickle
import struct
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ferrule.pure.records as twin
from records.schemas import (
    INT_KINDS,
    Schema,
    anything,
    build,
    doubtful_rows,
    fitting,
    outcome,
    plain,
    rows,
    schemas,
    unboxed,
)

CODES = dict(
    zip([*INT_KINDS, "f32", "f64", "bool8"], "bhiqBHIQfd?", strict=True)
)  # of array and struct
KEEP = 6  # arrays at most

Pair = tuple[Any, Any]  # what the native implementation has, what its twin has


@pytest.fixture(scope="module")
def native_module(pytestconfig: pytest.Config) -> Any:
    """The native module; against itself the twin is only checked for agreement with itself."""
    if pytestconfig.getoption("--impl") == "pure":
        return twin
    return importlib.import_module("ferrule.records")


def values(row: Any, names: tuple[str, ...]) -> Any:
    return [plain(getattr(row, name)) for name in names]


def contents(arr: Any, names: tuple[str, ...]) -> Any:
    """All that can be read without changing anything."""
    read = [values(row, names) for row in arr]
    assert len(read) == len(arr) and arr.nbytes == len(arr) * arr.itemsize
    assert arr.capacity >= 0 and len(arr.tobytes()) == arr.nbytes
    return read, arr.tobytes(), arr.readonly, repr(arr).partition(",")[2]


indices = st.integers(-9, 9)
parts = st.builds(slice, st.none() | indices, st.none() | indices, st.none() | st.integers(-3, 3))


class Both:
    """Arrays, and what shares their memory, of both implementations."""

    def __init__(self, native: Any, schema: Schema, data: st.DataObject) -> None:
        self.schema = schema
        self.impls = native, twin
        self.classes: Pair = (build(self.impls[0], schema, "One"), build(twin, schema, "Two"))
        self.others: Pair = (build(self.impls[0], schema), build(twin, schema))
        self.arrays: list[Pair] = []
        self.rows: list[Pair] = []
        self.columns: list[tuple[Pair, str]] = []
        given = data.draw(st.lists(rows(schema), max_size=5))
        capacity = data.draw(st.integers(0, 10))
        self.keep(self.both(lambda i: self.new(i, given, capacity=capacity)))

    # ---- what the rules use

    def new(self, i: int, *args: Any, **keywords: Any) -> Any:
        return self.impls[i].RecordArray(self.classes[i], *args, **keywords)

    def both(self, do: Callable[[int], Any]) -> Pair | None:
        """Do it with both; the results, None if both raise the same type of error."""
        results = [outcome(do, i) for i in (0, 1)]
        kinds = [kind for kind, _ in results]
        assert kinds[0] == kinds[1], results
        return (results[0][1], results[1][1]) if kinds[0] == "value" else None

    def same(self, do: Callable[[int], Any]) -> None:
        """Do it with both, which gives the same plain result."""
        result = self.both(do)
        assert result is None or result[0] == result[1], result

    def keep(self, pair: Pair | None) -> None:
        if pair is not None:
            self.arrays.append(pair)
            del self.arrays[: -KEEP - 1]

    def pick(self, data: st.DataObject, among: list[Any]) -> Any:
        return among[data.draw(st.integers(0, len(among) - 1))]

    def array(self, data: st.DataObject) -> Pair:
        return self.pick(data, self.arrays)  # type: ignore[no-any-return]

    def row_value(self, data: st.DataObject) -> Callable[[int], Any]:
        """A row value, mostly a good one, in one of its forms."""
        form = data.draw(st.integers(0, 7))
        if form == 0:
            given = data.draw(doubtful_rows(self.schema) | anything)
            return lambda i: given
        if form == 1 and self.rows:
            row = self.pick(data, self.rows)
            return lambda i: row[i]
        given = data.draw(rows(self.schema))
        if form == 2:
            return lambda i: self.others[i](*given)  # of another class
        if form <= 4:
            return lambda i: self.classes[i](*given)
        return lambda i: given

    def many_rows(self, data: st.DataObject) -> Callable[[int], Any]:
        """What extend takes, mostly, in one of its forms."""
        form = data.draw(st.integers(0, 8))
        given = data.draw(st.lists(rows(self.schema), max_size=4))
        if form == 0:
            broken = data.draw(doubtful_rows(self.schema) | anything)
            given.insert(data.draw(st.integers(0, len(given))), broken)
            return lambda i: given
        if form == 1:
            pair = self.array(data)
            return lambda i: pair[i]
        if form == 2:
            pair, key = self.array(data), data.draw(parts)
            return lambda i: iter(pair[i][key])
        if form == 3:
            raw = twin.RecordArray(self.classes[1], given).tobytes()
            raw = raw[data.draw(st.integers(0, 1)) :]
            wrap = data.draw(st.sampled_from([bytes, bytearray, memoryview]))
            return lambda i: wrap(raw)
        if form == 4:
            columns = self.some_columns(data, given)
            return lambda i: columns
        if form == 5:
            return lambda i: self.new(i, given)[::-1]
        if form == 6:
            return lambda i: (self.classes[i](*values) for values in given)
        return lambda i: iter(given)

    def some_columns(self, data: st.DataObject, given: list[Any]) -> dict[Any, Any]:
        columns: dict[Any, Any] = {}
        for at, (name, kind) in enumerate(self.schema.items()):
            column = [row[at] for row in given]
            columns[name] = column
            if kind in CODES and data.draw(st.booleans()):
                columns[name] = memoryview(struct.pack(f"={len(column)}{CODES[kind]}", *column))
                columns[name] = columns[name].cast(CODES[kind])
        trouble = data.draw(st.integers(0, 9))
        name = data.draw(st.sampled_from(self.schema.names))
        if trouble == 0:
            del columns[name]
        elif trouble == 1:
            columns["unknown"] = []
        elif trouble == 2:
            columns[name] = [*columns[name], data.draw(anything)]
        elif trouble == 3 and given:
            columns[name] = [*columns[name][:-1], data.draw(anything)]
        elif trouble == 4:
            columns[name] = array("q", range(len(given)))
        return columns

    # ---- rules

    def append(self, data: st.DataObject) -> None:
        pair, value = self.array(data), self.row_value(data)
        self.same(lambda i: pair[i].append(value(i)))

    def extend(self, data: st.DataObject) -> None:
        pair, given = self.array(data), self.many_rows(data)
        self.same(lambda i: pair[i].extend(given(i)))

    def make(self, data: st.DataObject) -> None:
        given, capacity = self.many_rows(data), data.draw(st.integers(-1, 20))
        self.keep(self.both(lambda i: self.new(i, given(i), capacity=capacity)))

    def cut(self, data: st.DataObject) -> None:
        pair, key = self.array(data), data.draw(parts)
        self.keep(self.both(lambda i: pair[i][key]))

    def forget(self, data: st.DataObject) -> None:
        if len(self.arrays) < 2:
            return
        del self.arrays[data.draw(st.integers(0, len(self.arrays) - 1))]

    def forget_views(self, data: st.DataObject) -> None:
        self.rows.clear()
        self.columns.clear()

    def read(self, data: st.DataObject) -> None:
        pair, at = self.array(data), data.draw(indices)
        self.same(lambda i: values(pair[i][at], self.schema.names))

    def write(self, data: st.DataObject) -> None:
        pair, at, value = self.array(data), data.draw(indices), self.row_value(data)
        self.same(lambda i: pair[i].__setitem__(at, value(i)))

    def write_slice(self, data: st.DataObject) -> None:
        pair, key, given = self.array(data), data.draw(parts), self.many_rows(data)
        self.same(lambda i: pair[i].__setitem__(key, given(i)))

    def write_slice_that_fits(self, data: st.DataObject) -> None:
        pair, key = self.array(data), data.draw(parts)
        other = self.array(data)
        if key.step != 0:
            count = len(pair[1][key])
            self.same(lambda i: pair[i].__setitem__(key, other[i][:count][::-1]))

    def sort(self, data: st.DataObject) -> None:
        reverse = data.draw(st.booleans())
        pair, name = self.array(data), data.draw(st.sampled_from([*self.schema.names, "nope"]))
        self.same(lambda i: pair[i].sort_by(name, reverse=reverse))

    def look_at_a_column(self, data: st.DataObject) -> None:
        pair, name = self.array(data), data.draw(st.sampled_from([*self.schema.names, "nope"]))
        columns = self.both(lambda i: pair[i].column(name))
        # of text and bytes the twin has a copy, which shares nothing
        kind = dict(self.schema.items()).get(name)
        if columns is not None and kind in CODES and len(pair[1]):
            self.columns.append((columns, name))
            del self.columns[:-3]
        elif columns is not None:
            assert columns[0].tobytes() == columns[1].tobytes()

    def write_a_column(self, data: st.DataObject) -> None:
        if not self.columns:
            return
        columns, name = self.pick(data, self.columns)
        kind = dict(self.schema.items())[name]
        at, value = data.draw(indices), data.draw(fitting(kind))
        self.same(lambda i: columns[i].__setitem__(at, value))

    def look_at_a_row(self, data: st.DataObject) -> None:
        pair, at = self.array(data), data.draw(indices)
        live = self.both(lambda i: pair[i].row(at))
        if live is not None:
            self.rows.append(live)
            del self.rows[:-3]

    def write_a_row(self, data: st.DataObject) -> None:
        if not self.rows:
            return
        live = self.pick(data, self.rows)
        at = data.draw(st.integers(0, len(self.schema.names) - 1))
        value = data.draw(fitting(self.schema.kinds[at]) | anything)
        self.same(lambda i: setattr(live[i], self.schema.names[at], value))

    def compare_rows(self, data: st.DataObject) -> None:
        if not self.rows:
            return
        one, two, pair = self.pick(data, self.rows), self.pick(data, self.rows), self.array(data)
        self.same(lambda i: [one[i] == two[i], one[i] != two[i], one[i] in pair[i]])
        self.same(lambda i: [one[i] == row for row in pair[i]])

    def compare(self, data: st.DataObject) -> None:
        one, two, value = self.array(data), self.array(data), self.row_value(data)
        self.same(lambda i: [one[i] == two[i], one[i] != two[i]])
        self.same(lambda i: value(i) in one[i])

    def copies(self, data: st.DataObject) -> None:
        pair, protocol = self.array(data), data.draw(st.integers(2, 5))
        made = [self.both(lambda i: copy.copy(pair[i]))]
        made.append(self.both(lambda i: pickle.loads(pickle.dumps(pair[i], protocol))))
        for copied in made:
            assert copied is not None
            for i in (0, 1):
                assert copied[i].tobytes() == pair[i].tobytes() and not copied[i].readonly
        self.keep(made[data.draw(st.integers(0, 1))])

    def wrap(self, data: st.DataObject) -> None:
        given = data.draw(st.lists(rows(self.schema), max_size=4))
        raw = twin.RecordArray(self.classes[1], given).tobytes()
        raw = raw[data.draw(st.sampled_from([0, 0, 0, 1])) :]
        kind = data.draw(st.sampled_from([bytes, bytearray]))
        self.keep(
            self.both(lambda i: self.impls[i].RecordArray.from_buffer(self.classes[i], kind(raw)))
        )

    # ---- always

    def everything_is_the_same(self) -> None:
        names = self.schema.names
        for pair in self.arrays:
            assert contents(pair[0], names) == contents(pair[1], names)
        for live in self.rows:
            assert values(live[0], names) == values(live[1], names)
        for columns, _ in self.columns:
            assert list(map(repr, columns[0])) == list(map(repr, columns[1]))
            assert columns[0].format == columns[1].format


OPERATIONS = [
    Both.append, Both.extend, Both.make, Both.cut, Both.forget, Both.forget_views, Both.read,
    Both.write, Both.write_slice, Both.write_slice_that_fits, Both.sort, Both.look_at_a_column,
    Both.write_a_column, Both.look_at_a_row, Both.write_a_row, Both.compare_rows, Both.compare,
    Both.copies, Both.wrap,
]  # fmt: skip


@given(
    schema=schemas(unboxed),
    operations=st.lists(st.sampled_from(OPERATIONS), min_size=5, max_size=30),
    data=st.data(),
)
def test_native_and_twin_agree_operation_by_operation(native_module, schema, operations, data):
    both = Both(native_module, schema, data)
    for operation in operations:
        operation(both, data)
        both.everything_is_the_same()


@settings(max_examples=settings().max_examples // 2)
@given(schema=schemas(unboxed, most=8), data=st.data())
def test_rows_come_back_as_they_went_in(native_module, schema, data):
    given = data.draw(st.lists(rows(schema), max_size=8))
    for impl in {native_module, twin}:
        cls = build(impl, schema)
        arr = impl.RecordArray(cls, given)
        wanted = [values(cls(*row), schema.names) for row in given]
        assert [values(row, schema.names) for row in arr] == wanted
        assert arr.itemsize == impl.layout(cls).size
        for at, (name, kind) in enumerate(schema.items()):
            if kind in CODES:
                column = [plain(value) for value in arr.column(name).tolist()]
                assert column == [row[at] for row in wanted]
        assert impl.RecordArray(cls, arr.tobytes()).tobytes() == arr.tobytes()


@settings(max_examples=settings().max_examples // 2)
@given(schema=schemas(unboxed), data=st.data(), reverse=st.booleans())
def test_sorting_is_the_same(native_module, schema, data, reverse):
    given = data.draw(st.lists(rows(schema), max_size=90))
    name = data.draw(st.sampled_from(schema.names))
    sorted_rows = []
    for impl in (native_module, twin):
        arr = impl.RecordArray(build(impl, schema), given)
        arr.sort_by(name, reverse=reverse)
        sorted_rows.append(arr.tobytes())
    assert sorted_rows[0] == sorted_rows[1]
