"""RecordArray: rows of one block of memory, live rows, slices, columns, sorting, copies."""

import array
import contextlib
import copy
import functools
import io
import math
import mmap
import pickle
import random
import struct
import sys
import types
import weakref
from collections.abc import Iterator
from typing import Annotated, Any

import pytest

ROWS = [(1, 2.5, "C"), (2, -1.0, "°F"), (3, 0.0, "")]


@functools.cache
def reading(impl: Any, **options: Any) -> Any:
    class SensorReading(impl.Record, **{"gc": False, **options}):
        __qualname__ = "SensorReading"

        timestamp: impl.i64
        value: impl.f64
        unit: Annotated[str, impl.Size(8)]

    return SensorReading


def station(impl: Any) -> Any:
    """Fields of many kinds in another order than that of memory, and a hole."""

    class Station(impl.Record):
        __qualname__ = "Station"

        channel: impl.u8
        height: impl.f64
        code: Annotated[bytes, impl.Size(3)]
        port: impl.u16
        serial: impl.u32
        online: impl.bool8

    return Station


def readings(impl: Any, rows: Any = ROWS, **options: Any) -> Any:
    return impl.RecordArray(reading(impl), rows, **options)


def values(rows: Any) -> list[tuple[Any, ...]]:
    """The rows as tuples."""
    return [tuple(getattr(row, name) for name in type(row).__match_args__) for row in rows]


@contextlib.contextmanager
def refused(error: type[Exception], *words: str) -> Iterator[None]:
    """Exactly this type of exception, and the words in its text."""
    try:
        yield
    except error as caught:  # pytest.raises keeps alive what its frames see
        assert type(caught) is error, caught
        for word in words:
            assert word in str(caught), str(caught)
        caught.with_traceback(None)  # as contextlib does otherwise
    else:
        pytest.fail(f"did not raise {error.__name__}")


@contextlib.contextmanager
def unchanged(arr: Any) -> Iterator[None]:
    """The same rows before and after, and as much room."""
    before = arr.tobytes(), len(arr), arr.capacity
    yield
    assert (arr.tobytes(), len(arr), arr.capacity) == before


class Index:
    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


# ---- making


def test_an_array_keeps_records_as_rows(impl):
    cls = reading(impl)
    arr = impl.RecordArray(cls, [cls(1, 2.5, "C"), (2, -1.0, "°F")])
    assert len(arr) == 2 and list(arr) == [cls(1, 2.5, "C"), cls(2, -1.0, "°F")]
    assert arr.record_class is cls and arr.itemsize == impl.layout(cls).size == 24
    assert arr.nbytes == 48 and arr.capacity >= 2 and arr.readonly is False
    assert arr.tobytes() == struct.pack("=qd8sqd8s", 1, 2.5, b"C", 2, -1.0, "°F".encode())


def test_an_empty_array(impl):
    arr = impl.RecordArray(reading(impl))
    assert len(arr) == 0 and not arr and list(arr) == [] and arr.nbytes == 0
    assert arr.tobytes() == b"" and len(arr[:]) == 0 and arr == arr[:]
    arr.sort_by("value")
    arr.extend([])
    assert arr.column("value").tolist() == []


def test_rows_may_be_anything_that_extend_takes(impl):
    cls = reading(impl)
    arr = impl.RecordArray(cls, ROWS)
    columns = {"timestamp": [1, 2, 3], "value": (2.5, -1.0, 0.0), "unit": iter(["C", "°F", ""])}
    for rows in (iter(ROWS), tuple(ROWS), arr, arr.tobytes(), columns, (row for row in arr)):
        assert impl.RecordArray(cls, rows) == arr
    assert impl.RecordArray(cls=cls, rows=ROWS, capacity=5) == arr


def test_capacity_is_room_for_rows(impl):
    arr = readings(impl, capacity=100)
    assert arr.capacity >= 100 and len(arr) == 3 and arr.nbytes == 72
    assert readings(impl, capacity=Index(7)).capacity >= 7
    assert readings(impl, capacity=1).capacity >= 3


def test_the_layout_of_a_row_is_that_of_the_record(impl):
    cls = station(impl)
    arr = impl.RecordArray(cls, [(7, 1.5, b"abc", 80, 9, True)])
    data = arr.tobytes()
    assert len(data) == impl.layout(cls).size == 24
    places = {field.name: field.offset for field in impl.layout(cls).fields}
    for name, code, value in (
        ("channel", "B", 7),
        ("height", "d", 1.5),
        ("code", "3s", b"abc"),
        ("port", "H", 80),
        ("serial", "I", 9),
        ("online", "?", True),
    ):
        assert struct.unpack_from(f"={code}", data, places[name]) == (value,)


def test_holes_are_zero(impl):
    class Holes(impl.Record):
        a: impl.u8
        b: impl.i64
        c: impl.u16

    cls, full = Holes, b"\xff" * 24
    size = impl.layout(cls).size
    used = {
        place
        for field in impl.layout(cls).fields
        for place in range(field.offset, field.offset + field.size)
    }
    arr = impl.RecordArray(cls, [cls(255, -1, 65535), (255, -1, 65535)])
    arr.extend(full[:size])
    arr[0] = cls(255, -1, 65535)
    for row in range(3):
        data = arr[row : row + 1].tobytes()
        assert data == bytes(255 if place in used else 0 for place in range(size))


def test_a_row_without_alignment(impl):
    class Tag(impl.Record):
        code: Annotated[bytes, impl.Size(3)]

    arr = impl.RecordArray(Tag, [(b"abc",), (b"def",)])
    assert arr.itemsize == 3 and arr.tobytes() == b"abcdef" and arr[1].code == b"def"


def test_coded_text_of_a_size_is_unboxed_and_other_an_object_slot(impl):
    class Sized(impl.Record):
        unit: Annotated[str, impl.Size(8), impl.Coded]

    class Slot(impl.Record):
        unit: Annotated[str, impl.Coded]

    assert impl.layout(Sized).fields[0].kind == "str"
    assert impl.layout(Slot).fields[0].kind == "object"
    assert impl.RecordArray(Sized, [("C",)])[0].unit == "C"


def test_hidden_slots_and_dicts_are_no_part_of_a_row(impl):
    class Mixin:
        pass

    class Rich(impl.Record, Mixin, weakref=True):
        __qualname__ = "Rich"

        x: impl.i64

        @functools.cached_property
        def double(self):
            return 2 * self.x

    made = Rich(4)
    made.other = 5
    assert made.double == 8
    arr = impl.RecordArray(Rich, [made, (5,)])
    assert arr.itemsize == impl.layout(Rich).size
    first = arr[0]
    assert first.x == 4 and first.double == 8 and not hasattr(first, "other")
    first.other = 1
    assert weakref.ref(first)() is first and arr[1].double == 10


def test_inherited_fields_come_first(impl):
    class Base(impl.Record):
        __qualname__ = "Base"

        a: impl.u8
        b: impl.i64

    class Sub(Base):
        __qualname__ = "Sub"

        c: impl.u8

    arr = impl.RecordArray(Sub, [(1, 2, 3)])
    assert values(arr) == [(1, 2, 3)] and arr.itemsize == 16
    with refused(TypeError, "Base", "Sub"):
        impl.RecordArray(Base, arr)
    with refused(TypeError, "Base", "Sub"):
        impl.RecordArray(Base).append(Sub(1, 2, 3))


def test_init_and_post_init_do_not_run(impl):
    class Counting(impl.Record):
        __qualname__ = "Counting"

        x: impl.i64
        y: impl.i64 = impl.field(default=7, kw_only=True)
        z: impl.i64 = impl.field(default=8, init=False)

        def __post_init__(self):
            self.x += 1

    arr = impl.RecordArray(Counting, [(1, 2, 3), Counting(1)])
    assert [(row.x, row.y, row.z) for row in arr] == [(1, 2, 3), (2, 7, 8)]


@pytest.mark.parametrize("given", [5, int, "SensorReading", None, object(), list[int]])
def test_only_record_classes(impl, given):
    with refused(TypeError, "RecordArray()", "record class"):
        impl.RecordArray(given)
    with refused(TypeError, "RecordArray.from_buffer()", "record class"):
        impl.RecordArray.from_buffer(given, b"")


def test_a_record_is_not_its_class(impl):
    with refused(TypeError, "RecordArray()", "record class", "SensorReading"):
        impl.RecordArray(reading(impl)(1, 2.0, ""))


def test_object_slots_are_named(impl):
    class SensorReading(impl.Record):
        __qualname__ = "SensorReading"

        timestamp: impl.i64
        unit: str
        other: object

    message = "cannot keep field 'unit' of SensorReading: it is an object slot"
    with refused(TypeError, f"RecordArray() {message}"):
        impl.RecordArray(SensorReading)
    with refused(TypeError, f"RecordArray.from_buffer() {message}"):
        impl.RecordArray.from_buffer(SensorReading, b"")


def test_a_class_without_fields_has_no_rows(impl):
    class Empty(impl.Record):
        pass

    for cls in (Empty, impl.Record):
        with refused(TypeError, "RecordArray()", cls.__name__):
            impl.RecordArray(cls)


@pytest.mark.parametrize(
    ("capacity", "error", "words"),
    [
        (-1, ValueError, ["RecordArray()", "-1"]),
        (2**62, OverflowError, ["RecordArray()"]),
        (sys.maxsize // 24 + 1, OverflowError, ["RecordArray()"]),
        (2**64, OverflowError, ["RecordArray()"]),
        (-(2**64), ValueError, ["RecordArray()"]),
        (1.5, TypeError, []),
        ("1", TypeError, []),
        (None, TypeError, []),
    ],
)
def test_a_wrong_capacity(impl, capacity, error, words):
    with refused(error, *words):
        readings(impl, capacity=capacity)


def test_arguments_of_the_constructor(impl):
    cls = reading(impl)
    for args, keywords in (((), {}), ((cls, [], 5), {}), ((cls,), {"nope": 1})):
        with pytest.raises(TypeError):
            impl.RecordArray(*args, **keywords)


@pytest.mark.parametrize("name", ["RecordArray", "Row", "Coded"])
def test_the_types_are_final(impl, name):
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Sub", (getattr(impl, name),), {})


def test_rows_are_made_by_arrays_alone(impl):
    with pytest.raises(TypeError):
        impl.Row()
    with pytest.raises(TypeError):
        impl.Row(readings(impl), 0)


def test_an_array_of_a_class_in_annotations(impl):
    cls = reading(impl)
    assert impl.RecordArray[cls].__args__ == (cls,)
    assert isinstance(impl.RecordArray[cls], types.GenericAlias)


def test_repr(impl):
    assert repr(readings(impl)) == "RecordArray(SensorReading, 3 rows)"
    assert repr(readings(impl)[:1]) == "RecordArray(SensorReading, 1 row)"
    assert repr(readings(impl, [])) == "RecordArray(SensorReading, 0 rows)"


def test_attributes_cannot_be_assigned(impl):
    arr = readings(impl)
    for name in ("record_class", "itemsize", "nbytes", "capacity", "readonly"):
        with pytest.raises(AttributeError):
            setattr(arr, name, 1)


# ---- items


def test_an_item_is_a_record_of_its_own(impl):
    arr = readings(impl)
    first = arr[0]
    assert type(first) is arr.record_class
    first.value = 9.0
    assert arr[0].value == 2.5
    arr[0] = (7, 7.0, "K")
    assert first.timestamp == 1


def test_indexes(impl):
    arr = readings(impl)
    assert [arr[i].timestamp for i in (0, 2, -1, -3, True, Index(1), Index(-2))] == [
        1, 3, 3, 1, 2, 2, 2,
    ]  # fmt: skip


@pytest.mark.parametrize("index", [3, -4, 2**70, -(2**70), Index(3), Index(2**70)])
def test_an_index_out_of_range(impl, index):
    arr = readings(impl)
    huge = abs(index.__index__()) > sys.maxsize  # for that a list has other words too
    words = [] if huge else ["RecordArray index out of range"]
    with unchanged(arr):
        with refused(IndexError, *words):
            arr[index]
        with refused(IndexError, *words):
            arr[index] = ROWS[0]
        with refused(IndexError, *words):
            arr.row(index)
    with refused(IndexError, "RecordArray index out of range"):
        readings(impl, [])[0]


@pytest.mark.parametrize("index", ["1", 1.0, None, (0, 1), [0]])
def test_an_index_of_a_wrong_type(impl, index):
    arr = readings(impl)
    got = type(index).__name__
    message = f"RecordArray indices must be integers or slices, not {got}"
    with unchanged(arr):
        with refused(TypeError, message):
            arr[index]
        with refused(TypeError, message):
            arr[index] = ROWS[0]
        with refused(TypeError, got):
            arr.row(index)
        with refused(TypeError):
            del arr[index]


def test_an_index_that_raises(impl):
    class Rude:
        def __index__(self):
            raise RuntimeError("rude")

    arr = readings(impl)
    for use in (
        lambda: arr[Rude()],
        lambda: arr[Rude() :],
        lambda: arr.__setitem__(Rude(), ROWS[0]),
        lambda: arr.__setitem__(slice(Rude()), []),
        lambda: arr.row(Rude()),
    ):
        with unchanged(arr), refused(RuntimeError, "rude"):
            use()


def test_items_are_assigned_from_records_rows_and_tuples(impl):
    arr = readings(impl)
    arr[0] = arr.record_class(10, 1.0, "a")
    arr[1] = arr.row(2)
    arr[-1] = (30, 3.0, "c")
    assert values(arr) == [(10, 1.0, "a"), (3, 0.0, ""), (30, 3.0, "c")]
    arr[0] = arr.row(0)
    assert values(arr)[0] == (10, 1.0, "a")
    arr[Index(1)] = (4, 4, "d")
    assert values(arr)[1] == (4, 4.0, "d")


def test_rows_cannot_be_deleted(impl):
    arr = readings(impl)
    for key in (0, -1, slice(0, 1), slice(None), 99):
        with unchanged(arr), refused(TypeError, "RecordArray"):
            del arr[key]


def other_array(impl: Any) -> Any:
    """Of another class with the same fields."""

    class Other(impl.Record):
        __qualname__ = "Other"

        timestamp: impl.i64
        value: impl.f64
        unit: Annotated[str, impl.Size(8)]

    return impl.RecordArray(Other, ROWS)


def sub_record(impl: Any, cls: Any) -> Any:
    class Sub(cls):
        __qualname__ = "Sub"

        pass

    return Sub(1, 2.0, "C")


#: A row value that is none: error and words of the message.
WRONG_VALUES = {
    "f64 from str": ((1, "abc", ""), TypeError, "SensorReading.value: wanted f64, got str 'abc'"),
    "i64 from float": (
        (1.5, 1.0, ""), TypeError, "SensorReading.timestamp: wanted i64, got float 1.5",
    ),
    "i64 beyond": (
        (2**63, 1.0, ""), OverflowError, f"SensorReading.timestamp: wanted i64, got int {2**63}",
    ),
    "f64 inexact": (
        (1, 2**53 + 1, ""), ValueError, "SensorReading.value: wanted f64, got int 9007199254740993",
    ),
    "str too long": (
        (1, 1.0, "123456789"), ValueError, "SensorReading.unit: wanted str[8], got str '123456789'",
    ),
    "str ends in NUL": ((1, 1.0, "a\0"), ValueError, "SensorReading.unit: wanted str[8]"),
    "str surrogate": ((1, 1.0, "\ud800"), ValueError, "SensorReading.unit: wanted str[8]"),
    "too few": ((1, 1.0), ValueError, "SensorReading"),
    "too many": ((1, 1.0, "", 4), ValueError, "SensorReading"),
    "none": ((), ValueError, "SensorReading"),
    "a list": ([1, 1.0, ""], TypeError, "list"),
    "a text": ("abc", TypeError, "str"),
    "an int": (5, TypeError, "int"),
    "None": (None, TypeError, "NoneType"),
    "a mapping": ({"timestamp": 1, "value": 1.0, "unit": ""}, TypeError, "dict"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_VALUES)
def test_a_wrong_row_value(impl, case):
    value, error, words = WRONG_VALUES[case]
    arr = readings(impl)
    function = () if "SensorReading." in words else ("SensorReading",)
    with unchanged(arr):
        with refused(error, words, *function):
            arr.append(value)
        with refused(error, words, *function):
            arr[0] = value
        with refused(error, words, *function):
            arr.extend([ROWS[0], value])
        with refused(error, words, *function):
            arr[:2] = [ROWS[2], value]
        with refused(error, words, *function):
            impl.RecordArray(arr.record_class, [ROWS[0], value])


def test_functions_are_named_when_a_row_is_none(impl):
    arr = readings(impl)
    with refused(TypeError, "RecordArray.append()", "SensorReading", "int"):
        arr.append(5)
    with refused(TypeError, "RecordArray.extend()", "SensorReading", "int"):
        arr.extend([5])
    with refused(TypeError, "RecordArray()", "SensorReading", "int"):
        impl.RecordArray(arr.record_class, [5])
    with refused(TypeError, "RecordArray item assignment", "SensorReading", "int"):
        arr[0] = 5
    with refused(TypeError, "RecordArray slice assignment", "SensorReading", "int"):
        arr[:1] = [5]
    with refused(ValueError, "RecordArray.append()", "SensorReading", "3", "2"):
        arr.append((1, 2))


def test_records_and_rows_of_other_classes_are_refused(impl):
    arr, other = readings(impl), other_array(impl)
    for value, name in (
        (sub_record(impl, arr.record_class), "Sub"),
        (other[0], "Other"),
        (other.row(0), "Row"),
        (arr, "RecordArray"),
    ):
        with unchanged(arr):
            with refused(TypeError, "RecordArray.append()", "SensorReading", name):
                arr.append(value)
            with refused(TypeError, "SensorReading", name):
                arr[0] = value
            with refused(TypeError, "RecordArray.extend()", "SensorReading", name):
                arr.extend([value])


# ---- slices


SLICES = [
    slice(start, stop, step)
    for start in (None, 0, 2, -2, 99, -99)
    for stop in (None, 0, 4, -1, 99)
    for step in (None, 1, 2, 3, -1, -2, 99)
]


def test_slices_pick_the_rows_a_list_would(impl):
    numbers = list(range(7))
    arr = readings(impl, [(i, i / 2, str(i)) for i in numbers])
    for key in SLICES:
        part = arr[key]
        assert [row.timestamp for row in part] == numbers[key], key
        assert part.tobytes() == b"".join(arr[i : i + 1].tobytes() for i in numbers[key])
        for inner in SLICES[::7]:
            assert [row.timestamp for row in part[inner]] == numbers[key][inner], (key, inner)


def test_a_slice_shares_the_memory(impl):
    arr = readings(impl, [(i, 0.0, "") for i in range(6)])
    part = arr[1::2]
    assert type(part) is impl.RecordArray and part.record_class is arr.record_class
    assert len(part) == 3 and part.nbytes == 72 and part.itemsize == 24 and not part.readonly
    part[0] = (10, 1.0, "x")
    assert arr[1].timestamp == 10
    arr[3] = (30, 1.0, "y")
    assert part[1].timestamp == 30
    part[::-1][0] = (50, 1.0, "z")
    assert arr[5].timestamp == 50
    part.row(0).value = 9.5
    assert arr[1].value == 9.5
    del arr
    assert [row.timestamp for row in part] == [10, 30, 50]


def test_slice_indices_like_a_list_s(impl):
    arr = readings(impl)
    assert len(arr[Index(1) : Index(2**70)]) == 2
    assert len(arr[-(2**70) :]) == 3 and len(arr[:: 2**70]) == 1 and len(arr[2:1]) == 0
    with refused(ValueError, "slice step cannot be zero"):
        arr[::0]
    with unchanged(arr), refused(ValueError, "slice step cannot be zero"):
        arr[::0] = []
    for key in (slice("a"), slice(1.0, None), slice(None, None, "x")):
        with refused(TypeError):
            arr[key]


def test_slices_are_assigned_whatever_extend_takes(impl):
    source = readings(impl, [(10, 1.0, "a"), (20, 2.0, "b")])
    columns = {"timestamp": [10, 20], "value": [1.0, 2.0], "unit": ["a", "b"]}
    for rows in (list(source), iter(source), source, source[:], source.tobytes(), columns):
        arr = readings(impl)
        arr[1:] = rows
        assert values(arr) == [ROWS[0], (10, 1.0, "a"), (20, 2.0, "b")]
        arr = readings(impl)
        arr[::-2] = source
        assert values(arr) == [(20, 2.0, "b"), ROWS[1], (10, 1.0, "a")]


def test_overlapping_rows_are_read_before_they_are_written(impl):
    rows = [(i, 0.0, "") for i in range(8)]
    for to, given in (
        (slice(None), slice(None, None, -1)),
        (slice(1, None), slice(None, -1)),
        (slice(None, -1), slice(1, None)),
        (slice(None, None, 2), slice(4, None)),
    ):
        arr, plain = readings(impl, rows), list(rows)
        arr[to] = arr[given]
        plain[to] = plain[given]
        assert values(arr) == plain


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_a_slice_takes_exactly_as_many_rows(impl, count):
    arr = readings(impl)
    given = [ROWS[0]] * count
    source = readings(impl, given)
    for make in (lambda: given, lambda: iter(given), lambda: source, source.tobytes):
        for key in (slice(1, None), slice(None, None, 2)):
            with unchanged(arr), refused(ValueError, "2", str(count)):
                arr[key] = make()


def test_a_slice_assignment_that_fails_writes_nothing(impl):
    def failing():
        yield ROWS[2]
        raise RuntimeError("half-way")

    arr = readings(impl)
    with unchanged(arr):
        with refused(RuntimeError, "half-way"):
            arr[:2] = failing()
        with refused(TypeError, "RecordArray slice assignment", "int"):
            arr[:2] = 5
        with refused(TypeError, "SensorReading"):
            arr[:] = other_array(impl)


# ---- live rows


def test_a_row_reads_and_writes_the_array(impl):
    arr = readings(impl)
    row = arr.row(1)
    assert type(row) is impl.Row
    assert (row.timestamp, row.value, row.unit) == ROWS[1]
    row.timestamp, row.value, row.unit = 5, 3, "Ω"
    assert values(arr)[1] == (5, 3.0, "Ω")
    arr[1] = (6, 1.0, "m")
    assert row.timestamp == 6
    assert arr.row(-1).timestamp == 3 and arr.row(Index(0)).timestamp == 1
    assert arr[::-1].row(0).timestamp == 3


def test_every_kind_through_a_row(impl):
    arr = impl.RecordArray(station(impl), [(7, 1.5, b"abc", 80, 9, True)])
    row = arr.row(0)
    assert row.code == b"abc" and row.online is True
    row.code, row.online, row.port, row.serial, row.channel = b"xyz", False, 65535, 2**32 - 1, 0
    assert values(arr) == [(0, 1.5, b"xyz", 65535, 2**32 - 1, False)]


@pytest.mark.parametrize(
    ("name", "given", "error", "message"),
    [
        ("value", "abc", TypeError, "SensorReading.value: wanted f64, got str 'abc'"),
        ("timestamp", 2**63, OverflowError, "SensorReading.timestamp: wanted i64, got int"),
        ("unit", "123456789", ValueError, "SensorReading.unit: wanted str[8], got str"),
        ("unit", b"C", TypeError, "SensorReading.unit: wanted str[8], got bytes b'C'"),
        ("nope", 1, AttributeError, "nope"),
        ("__class__", int, AttributeError, "__class__"),
    ],
)
def test_a_wrong_value_for_a_row(impl, name, given, error, message):
    arr = readings(impl)
    row = arr.row(0)
    with unchanged(arr), refused(error, message):
        setattr(row, name, given)


def test_a_row_has_the_fields_and_nothing_else(impl):
    class Rich(impl.Record):
        __qualname__ = "Rich"

        x: impl.i64

        def method(self):
            return self.x

        @property
        def double(self):
            return 2 * self.x

    row = impl.RecordArray(Rich, [(1,)]).row(0)
    for name in ("method", "double", "nope", "__dict__"):
        with pytest.raises(AttributeError):
            getattr(row, name)
    assert "x" in dir(row) and "method" not in dir(row)
    for name in ("x", "nope"):
        with refused(AttributeError, name):
            delattr(row, name)
    assert row.x == 1


def test_a_row_of_a_frozen_class_cannot_be_written(impl):
    cls = reading(impl, frozen=True)
    arr = impl.RecordArray(cls, ROWS)
    row = arr.row(0)
    with unchanged(arr):
        with refused(impl.FrozenInstanceError, "value", "SensorReading"):
            row.value = 1.0
        with pytest.raises(AttributeError):
            del row.value
    arr[0] = (9, 9.0, "")
    assert row.timestamp == 9


def test_rows_compare_by_value(impl):
    arr = readings(impl, [ROWS[0], ROWS[0], ROWS[1]])
    row = arr.row(0)
    assert row == arr.row(1) and not row != arr.row(1) and row != arr.row(2)
    assert row == arr[0] and arr[0] == row and row != arr[2] and arr[2] != row
    assert row != other_array(impl).row(0) and row != other_array(impl)[0]
    assert row != ROWS[0] and row != 5 and row != None  # noqa: E711
    for compare in ("__lt__", "__le__", "__gt__", "__ge__"):
        assert getattr(row, compare, lambda other: NotImplemented)(row) is NotImplemented


def test_rows_compare_by_value_whatever_the_class_does(impl):
    class Identical(impl.Record, eq=False):
        x: impl.i64
        y: impl.i64 = impl.field(default=0, compare=False)

    arr = impl.RecordArray(Identical, [(1, 1), (1, 1), (1, 2)])
    assert arr.row(0) == arr.row(1) and arr.row(0) == arr[0] and arr.row(0) != arr.row(2)
    assert arr[:1] == arr[1:2] and arr[:1] != arr[2:]


def test_rows_with_nan_differ_and_zeros_are_equal(impl):
    arr = readings(impl, [(1, math.nan, ""), (1, math.nan, ""), (1, 0.0, ""), (1, -0.0, "")])
    assert arr.row(0) != arr.row(1) and arr.row(2) == arr.row(3) and arr.row(2) == arr[3]


def test_rows_are_not_hashable_and_not_picklable(impl):
    row = readings(impl).row(0)
    with pytest.raises(TypeError, match="unhashable"):
        hash(row)
    for protocol in range(2, 6):
        with pytest.raises(TypeError):
            pickle.dumps(row, protocol)


def test_repr_of_a_row(impl):
    assert repr(readings(impl).row(0)).startswith("Row(")
    assert repr(readings(impl).row(0)).endswith("SensorReading(timestamp=1, value=2.5, unit='C'))")


def test_a_row_keeps_the_memory(impl):
    row = readings(impl).row(1)
    assert row.unit == "°F"


# ---- growing


def test_append(impl):
    arr = impl.RecordArray(reading(impl))
    for i in range(300):
        arr.append((i, i / 2, str(i)))
        arr.append(arr.record_class(i, 0.0, "r"))
    assert len(arr) == 600 and arr[599] == arr.record_class(299, 0.0, "r")
    assert [row.timestamp for row in arr] == [i for i in range(300) for _ in "ab"]
    assert arr.append(ROWS[0]) is None and arr.extend([]) is None


def test_append_a_row_of_another_array(impl):
    cls = reading(impl)
    one, two = impl.RecordArray(cls, ROWS), impl.RecordArray(cls)
    two.append(one.row(1))
    two.extend([one.row(0), one.row(2)])
    assert values(two) == [ROWS[1], ROWS[0], ROWS[2]]


def test_append_unset_fields_as_zeros(impl):
    arr = readings(impl, [])
    arr.append(arr.record_class.__new__(arr.record_class))
    assert values(arr) == [(0, 0.0, "")]


def test_extend_with_itself(impl):
    arr = readings(impl)
    arr.extend(arr)
    assert values(arr) == ROWS * 2
    arr.extend(iter(arr))
    assert values(arr) == ROWS * 4
    arr.extend(row for row in arr)
    assert values(arr) == ROWS * 8


def test_extend_with_a_slice_of_another(impl):
    cls = reading(impl)
    source = impl.RecordArray(cls, ROWS)
    arr = impl.RecordArray(cls, ROWS[:1])
    arr.extend(source[::-2])
    assert values(arr) == [ROWS[0], ROWS[2], ROWS[0]]


def test_extend_from_columns(impl):
    arr = readings(impl)
    arr.extend({"unit": "abc", "value": range(3), "timestamp": (i for i in (7, Index(8), True))})
    assert values(arr)[3:] == [(7, 0.0, "a"), (8, 1.0, "b"), (1, 2.0, "c")]
    arr.extend({"unit": [], "value": [], "timestamp": []})
    assert len(arr) == 6


def test_extend_from_columns_in_bulk(impl):
    arr = readings(impl, [])
    numbers = array.array("q", [1, 2, 3, 4])
    doubles = memoryview(array.array("d", [0.5, 1.5, 2.5, 3.5]))[::-1]
    arr.extend({"timestamp": numbers, "value": doubles, "unit": ["a", "b", "c", "d"]})
    assert values(arr) == [(1, 3.5, "a"), (2, 2.5, "b"), (3, 1.5, "c"), (4, 0.5, "d")]
    # a column is a buffer of its own format
    arr.extend({name: readings(impl).column(name) for name in ("timestamp", "value")}
               | {"unit": ["x"] * 3})  # fmt: skip
    assert values(arr)[4:] == [(1, 2.5, "x"), (2, -1.0, "x"), (3, 0.0, "x")]


def test_columns_of_another_format_go_value_by_value(impl):
    arr = impl.RecordArray(station(impl))
    arr.extend(
        {
            "channel": array.array("q", [1, 255]),
            "height": array.array("f", [0.5, 1.5]),
            "code": [b"abc", b"def"],
            "port": b"\x01\xff",
            "serial": array.array("h", [1, 2]),
            "online": [True, False],
        }
    )
    assert values(arr) == [(1, 0.5, b"abc", 1, 1, True), (255, 1.5, b"def", 255, 2, False)]
    with unchanged(arr), refused(OverflowError, "Station.channel: wanted u8, got int 256"):
        arr.extend({name: arr.column(name) for name in ("height", "port", "serial", "online")}
                   | {"channel": array.array("q", [1, 256]), "code": [b"abc"] * 2})  # fmt: skip


class Columns:
    """A mapping that is no dict."""

    def __init__(self, **columns: Any) -> None:
        self.columns = columns

    def keys(self) -> Any:
        return self.columns.keys()

    def __getitem__(self, name: str) -> Any:
        return self.columns[name]

    def __iter__(self) -> Any:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)


def test_any_mapping_holds_columns(impl):
    columns = {"timestamp": [1], "value": [2.0], "unit": ["C"]}
    for mapping in (Columns(**columns), types.MappingProxyType(columns)):
        assert values(readings(impl, mapping)) == [(1, 2.0, "C")]


WRONG_COLUMNS = {
    "missing": ({"timestamp": [1], "value": [1.0]}, TypeError, ["unit"]),
    "all missing": ({}, TypeError, ["SensorReading"]),
    "unknown": (
        {"timestamp": [1], "value": [1.0], "unit": [""], "units": [""]}, TypeError, ["units"],
    ),
    "not a name": (
        {"timestamp": [1], "value": [1.0], "unit": [""], 5: [""]}, TypeError, ["5"],
    ),
    "unequal": (
        {"timestamp": [1, 2], "value": [1.0], "unit": [""]}, ValueError, ["timestamp", "value"],
    ),
    "unequal buffers": (
        {"timestamp": array.array("q", [1, 2]), "value": array.array("d", [1]), "unit": "ab"},
        ValueError, ["timestamp", "value"],
    ),
    "a wrong value": (
        {"timestamp": [1, 2], "value": [1.0, "x"], "unit": "ab"}, TypeError,
        ["SensorReading.value: wanted f64, got str 'x'"],
    ),
    "out of range": (
        {"timestamp": [1, 2**63], "value": [1.0, 2.0], "unit": "ab"}, OverflowError,
        ["SensorReading.timestamp: wanted i64, got int 9223372036854775808"],
    ),
    "beyond i64 in a buffer": (
        {"timestamp": array.array("Q", [2**63]), "value": [1.0], "unit": "a"}, OverflowError,
        ["SensorReading.timestamp: wanted i64, got int 9223372036854775808"],
    ),
    "doubles for ints": (
        {"timestamp": array.array("d", [1.0]), "value": [1.0], "unit": "a"}, TypeError,
        ["SensorReading.timestamp: wanted i64, got float 1.0"],
    ),
    "too long": (
        {"timestamp": [1], "value": [1.0], "unit": ["123456789"]}, ValueError,
        ["SensorReading.unit: wanted str[8], got str '123456789'"],
    ),
    "not iterable": ({"timestamp": 1, "value": [1.0], "unit": "a"}, TypeError, ["int"]),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_COLUMNS)
def test_wrong_columns(impl, case):
    columns, error, words = WRONG_COLUMNS[case]
    arr = readings(impl)
    with unchanged(arr), refused(error, *words):
        arr.extend(columns)
    with unchanged(arr), refused(error, *words):
        arr[:2] = columns
    with refused(error, *words):
        impl.RecordArray(arr.record_class, columns)
    if error is not OverflowError and "SensorReading." not in words[0]:
        with refused(error, "RecordArray.extend()"):
            arr.extend(columns)


def test_extend_from_raw_bytes(impl):
    data = readings(impl).tobytes()
    padded = b"x" + data
    for buffer in (data, bytearray(data), memoryview(data), memoryview(padded)[1:],
                   array.array("b", data), memoryview(data).cast("c")):  # fmt: skip
        arr = readings(impl, [])
        arr.extend(buffer)
        assert values(arr) == ROWS
    arr.extend(b"")
    assert len(arr) == 3


def test_wrong_buffers_for_extend(impl):
    arr = readings(impl)
    with unchanged(arr):
        for data in (b"x", bytes(23), bytes(25), bytearray(71)):
            with refused(ValueError, "RecordArray.extend()", "24", str(len(data))):
                arr.extend(data)
            with refused(ValueError, "24", str(len(data))):
                arr[:] = data
        with refused(ValueError, "RecordArray.extend()", "contiguous"):
            arr.extend(memoryview(bytes(48))[::2])
        for wrong in (array.array("q", [1, 2, 3]), array.array("d", [1, 2, 3]),
                      memoryview(bytes(24)).cast("H")):  # fmt: skip
            with refused(TypeError, "RecordArray.extend()", "SensorReading"):
                arr.extend(wrong)


def test_bytes_that_are_no_text_are_refused_in_bulk(impl):
    arr = readings(impl)
    bad = struct.pack("=qd8s", 1, 1.0, b"\xff\xfe")
    with unchanged(arr):
        with refused(ValueError, "RecordArray.extend()", "SensorReading.unit", "UTF-8", "row 1"):
            arr.extend(readings(impl)[:1].tobytes() + bad)
        with refused(ValueError, "SensorReading.unit", "UTF-8", "row 0"):
            arr[:1] = bad


def test_any_byte_but_zero_is_true_in_bulk(impl):
    class Flag(impl.Record):
        on: impl.bool8

    arr = impl.RecordArray(Flag)
    arr.extend(b"\x00\x01\x02\xff")
    assert [row.on for row in arr] == [False, True, True, True] and arr[3].on is True
    assert arr.tobytes() == b"\x00\x01\x01\x01"


@pytest.mark.parametrize("rows", [5, None, object(), 1.5])
def test_extend_wants_rows(impl, rows):
    arr = readings(impl)
    with unchanged(arr), refused(TypeError, "RecordArray.extend()", type(rows).__name__):
        arr.extend(rows)
    with refused(TypeError, "RecordArray()", type(rows).__name__):
        impl.RecordArray(arr.record_class, rows)


def test_extend_refuses_arrays_of_other_classes(impl):
    arr = readings(impl)
    for other in (other_array(impl), other_array(impl)[:0]):
        with unchanged(arr), refused(TypeError, "RecordArray.extend()", "SensorReading", "Other"):
            arr.extend(other)


def test_extend_that_fails_adds_nothing(impl):
    def failing():
        for i in range(1000):
            yield (i, 1.0, "")
        raise RuntimeError("half-way")

    arr = readings(impl)
    with unchanged(arr), refused(RuntimeError, "half-way"):
        arr.extend(failing())
    with unchanged(arr), refused(RuntimeError, "half-way"):
        arr.extend({"timestamp": failing(), "value": [], "unit": []})


# ---- what shares the memory


SHARERS = {
    "slice": lambda arr: arr[:],
    "empty slice": lambda arr: arr[:0],
    "slice of a slice": lambda arr: arr[::2][1:],
    "row": lambda arr: arr.row(0),
    "row of a slice": lambda arr: arr[1:].row(0),
    "column": lambda arr: arr.column("value"),
    "column of a slice": lambda arr: arr[::2].column("value"),
    "part of a column": lambda arr: arr.column("value")[1:],
    "method of a slice": lambda arr: arr[:].tobytes,
}


@pytest.mark.parametrize("case", SHARERS)
def test_an_array_does_not_grow_while_its_memory_is_shared(impl, case):
    arr = readings(impl, capacity=100)
    sharer = SHARERS[case](arr)
    with unchanged(arr):
        for name, given in (("append", ROWS[0]), ("extend", ROWS), ("extend", bytes(24)),
                            ("extend", arr), ("append", arr.record_class(1, 1.0, ""))):  # fmt: skip
            with refused(BufferError, f"RecordArray.{name}(): the memory is shared by "):
                getattr(arr, name)(given)
        with refused(BufferError, "RecordArray.sort_by()"):
            arr.sort_by("value")
    arr[0] = (100, 1.0, "")  # writing needs no growth
    del sharer
    arr.append(ROWS[1])
    arr.sort_by("value")
    assert values(arr) == [ROWS[1], ROWS[1], ROWS[2], (100, 1.0, "")]


def test_the_message_counts_the_sharers(impl):
    arr = readings(impl)
    first = arr[:]
    with refused(
        BufferError, "RecordArray.append(): the memory is shared by 1 slice, row or buffer"
    ):
        arr.append(ROWS[0])
    second = arr.row(0)
    with refused(
        BufferError, "RecordArray.append(): the memory is shared by 2 slices, rows or buffers"
    ):
        arr.append(ROWS[0])
    del first, second
    arr.append(ROWS[0])


def test_a_slice_never_grows(impl):
    arr = readings(impl)
    part = arr[1:]
    del arr
    with unchanged(part):
        with refused(BufferError, "RecordArray.append()"):
            part.append(ROWS[0])
        with refused(BufferError, "RecordArray.extend()"):
            part.extend(ROWS)
        with refused(BufferError, "RecordArray.extend()"):
            part.extend(bytes(24))


def test_extend_by_a_slice_of_itself_is_refused(impl):
    arr = readings(impl)
    with unchanged(arr), refused(BufferError, "RecordArray.extend()"):
        arr.extend(arr[1:])


def test_a_slice_is_sorted_while_it_is_the_only_one(impl):
    arr = readings(impl, [(i, 0.0, "") for i in (5, 4, 3, 2, 1)])
    part = arr[1:4]
    part.sort_by("timestamp")
    assert [row.timestamp for row in arr] == [5, 2, 3, 4, 1]
    other = arr[:1]
    with refused(BufferError, "RecordArray.sort_by()"):
        part.sort_by("timestamp")
    del other
    del part
    every = arr[::-2]
    every.sort_by("timestamp")
    assert [row.timestamp for row in arr] == [5, 2, 3, 4, 1]
    every.sort_by("timestamp", reverse=True)
    assert [row.timestamp for row in arr] == [1, 2, 3, 4, 5]


def test_a_failed_growth_leaves_what_shares_the_memory_alone(impl):
    arr = readings(impl)
    column, part, row = arr.column("timestamp"), arr[1:], arr.row(2)
    for _ in range(3):
        with pytest.raises(BufferError):
            arr.extend(ROWS * 1000)
    assert column.tolist() == [1, 2, 3] and part[0].timestamp == 2 and row.timestamp == 3


# ---- columns


def test_a_column_is_a_strided_view(impl):
    arr = readings(impl)
    column = arr.column("value")
    assert type(column) is memoryview and column.format == "d" and column.itemsize == 8
    assert column.ndim == 1 and column.shape == (3,) and column.strides == (24,)
    assert column.nbytes == 24 and not column.readonly
    assert column.tolist() == [2.5, -1.0, 0.0] and column[-1] == 0.0 and list(column[::2])
    column[1] = 7.5
    assert arr[1].value == 7.5
    arr[0] = (1, 9.5, "")
    assert column[0] == 9.5


def test_columns_of_every_kind(impl):
    formats = dict(zip("i8 i16 i32 i64 u8 u16 u32 u64 f32 f64".split(), "bhiqBHIQfd", strict=True))
    cls = impl.make_record("Many", [(name, getattr(impl, name)) for name in formats])
    arr = impl.RecordArray(cls, [tuple(range(i, i + 10)) for i in range(5)])
    for at, (name, code) in enumerate(formats.items()):
        for key in (slice(None), slice(1, None, 2), slice(None, None, -1), slice(3, 0, -2)):
            column = arr[key].column(name)
            assert column.format == code
            assert column.tolist() == [i + at for i in range(5)][key]


def test_a_column_of_bools(impl):
    arr = impl.RecordArray(station(impl), [(1, 1.0, b"abc", 1, 1, flag) for flag in (True, False)])
    column = arr.column("online")
    assert column.format == "?" and column.tolist() == [True, False]
    column[0] = False
    assert arr[0].online is False


def test_a_column_of_text_is_its_bytes(impl):
    arr = readings(impl)
    data = b"C".ljust(8, b"\0") + "°F".encode().ljust(8, b"\0") + bytes(8)
    assert arr.column("unit").tobytes() == data
    assert arr[::-1].column("unit").tobytes() == data[16:] + data[8:16] + data[:8]


def test_text_columns_are_views_too(native):
    arr = readings(native)
    column = arr.column("unit")
    assert column.format == "8s" and column.itemsize == 8 and column.strides == (24,)
    assert not column.readonly
    arr[0] = (1, 1.0, "xyz")
    assert column.tobytes()[:8] == b"xyz".ljust(8, b"\0")
    tags = native.RecordArray(station(native), [(1, 1.0, b"abc", 1, 1, True)])
    assert tags.column("code").format == "3s" and tags.column("code").tobytes() == b"abc"


@pytest.mark.parametrize("method", ["column", "sort_by"])
def test_unknown_names(impl, method):
    arr = readings(impl)
    with unchanged(arr):
        for name in ("x", "", "Value", "__class__", "größe"):
            with refused(
                KeyError, f"RecordArray.{method}(): SensorReading has no field {name!r}"[:30], name
            ):
                getattr(arr, method)(name)
        for wrong in (5, None, b"value", ["value"]):
            with refused(TypeError, f"RecordArray.{method}()", type(wrong).__name__):
                getattr(arr, method)(wrong)


def test_the_key_error_reads_as_told(impl):
    with pytest.raises(KeyError) as caught:
        readings(impl).column("x")
    assert caught.value.args == ("RecordArray.column(): SensorReading has no field 'x'",)


def test_names_beyond_ascii(impl):
    cls = impl.make_record("Größen", [("größe", impl.f64), ("温度", impl.i32)])
    arr = impl.RecordArray(cls, [(2.0, 1), (1.0, 2)])
    assert arr.column("größe").tolist() == [2.0, 1.0]
    arr.sort_by("größe")
    assert arr.column("温度").tolist() == [2, 1] and arr.row(0).größe == 1.0


# ---- sorting


def sorted_rows(rows: list[Any], at: int, reverse: bool) -> list[Any]:
    """What sort_by does, said with sorted()."""

    def key(row: Any) -> Any:
        return row[at].encode() if isinstance(row[at], str) else row[at]

    last = [row for row in rows if row[at] != row[at]]
    return sorted([row for row in rows if row[at] == row[at]], key=key, reverse=reverse) + last


def same(rows: list[Any], others: list[Any]) -> bool:
    return repr(rows) == repr(others)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 10, 64, 65, 500, 5000])
def test_sorting_by_every_kind_is_stable(impl, count, reverse):
    kinds = [*"i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bool8".split()]
    chance = random.Random(count)
    edges = {name: [1, 2, 3, 0, -1, -128, 127] for name in kinds}
    for name in kinds:
        if name[0] in "iu":
            bits = int(name[1:])
            edges[name] = [0, 1, 2, 3, (1 << bits - 1) - 1, 1 << bits - 2, (1 << bits - 1) - 2]
            edges[name] += [-1, -(1 << bits - 1)] if name[0] == "i" else [(1 << bits) - 1]
    edges["f32"] = [0.0, -0.0, 1.5, -1.5, math.inf, -math.inf, math.nan, 2.0**-149]
    edges["f64"] = [0.0, -0.0, 5e-324, -5e-324, 1e308, -1e308, math.inf, -math.inf, math.nan]
    edges["bool8"] = [True, False]
    cls = impl.make_record(
        "Many",
        [(name, getattr(impl, name)) for name in kinds]
        + [("b", Annotated[bytes, impl.Size(2)]), ("s", Annotated[str, impl.Size(17)])],
    )
    texts = ["", "a", "ab", "a\0b", "é", "€", "b" * 17, "b" * 16 + "a", "b" * 8, "b" * 7 + "c"]
    rows = [
        (
            *(chance.choice(edges[name]) for name in kinds),
            bytes([chance.randrange(256), chance.choice([0, 1, 127, 128, 255])]),
            chance.choice(texts),
        )
        for _ in range(count)
    ]
    if impl.__name__.startswith("ferrule.pure"):
        rows = rows[:500]
    for at, name in enumerate([*kinds, "b", "s"]):
        arr = impl.RecordArray(cls, rows)
        assert arr.sort_by(name, reverse=reverse) is None
        assert same(values(arr), sorted_rows(rows, at, reverse)), name


def test_sorting_wide_numbers(impl):
    chance = random.Random(7)
    count = 20_000 if not impl.__name__.startswith("ferrule.pure") else 500
    rows = [(chance.randrange(-(2**63), 2**63), chance.gauss(0, 1e9), str(i)) for i in range(count)]
    arr = readings(impl, rows)
    arr.sort_by("timestamp")
    assert arr.column("timestamp").tolist() == sorted(row[0] for row in rows)
    arr.sort_by("value", reverse=True)
    assert arr.column("value").tolist() == sorted((row[1] for row in rows), reverse=True)
    arr.sort_by("unit")
    assert [row.unit for row in arr] == sorted(row[2] for row in rows)


def test_nan_sorts_last_in_both_directions(impl):
    rows = [(i, value, "") for i, value in enumerate([math.nan, 1.0, -math.nan, -1.0, math.nan])]
    arr = readings(impl, rows)
    arr.sort_by("value")
    assert arr.column("timestamp").tolist() == [3, 1, 0, 2, 4]
    arr = readings(impl, rows)
    arr.sort_by("value", reverse=True)
    assert arr.column("timestamp").tolist() == [1, 3, 0, 2, 4]


def test_zeros_are_equal_for_sorting(impl):
    rows = [(i, value, "") for i, value in enumerate([0.0, -0.0, 0.0, -0.0])]
    for reverse in (False, True):
        arr = readings(impl, rows)
        arr.sort_by("value", reverse=reverse)
        assert arr.column("timestamp").tolist() == [0, 1, 2, 3]
        assert [math.copysign(1, row.value) for row in arr] == [1, -1, 1, -1]


def test_sorting_a_slice_with_a_step_touches_its_rows_alone(impl):
    arr = readings(impl, [(i, 0.0, str(i)) for i in (9, 8, 7, 6, 5, 4)])
    arr[::2].sort_by("timestamp")
    assert [row.timestamp for row in arr] == [5, 8, 7, 6, 9, 4]


def test_arguments_of_sort_by(impl):
    arr = readings(impl)
    arr.sort_by("value", reverse=1)
    for args, keywords in (((), {}), (("value", True), {}), (("value",), {"key": 1})):
        with unchanged(arr), pytest.raises(TypeError):
            arr.sort_by(*args, **keywords)

    class Rude:
        def __bool__(self):
            raise RuntimeError("rude")

    with unchanged(arr), refused(RuntimeError, "rude"):
        arr.sort_by("value", reverse=Rude())


# ---- memory of somebody else


def test_from_buffer_shares_the_memory(impl):
    data = bytearray(readings(impl).tobytes())
    arr = impl.RecordArray.from_buffer(reading(impl), data)
    assert values(arr) == ROWS and not arr.readonly and len(arr) == 3
    arr[0] = (9, 9.0, "x")
    assert struct.unpack_from("=q", data) == (9,)
    struct.pack_into("=q", data, 24, 8)
    assert arr[1].timestamp == 8
    arr.row(2).value = 5.5
    assert struct.unpack_from("=d", data, 56) == (5.5,)
    arr.column("timestamp")[2] = 77
    assert struct.unpack_from("=q", data, 48) == (77,)
    with pytest.raises(BufferError):
        data.append(0)
    arr.sort_by("timestamp")
    assert [row.timestamp for row in arr] == [8, 9, 77]
    del arr
    data.append(0)


def test_arguments_of_from_buffer(impl):
    cls = reading(impl)
    assert len(impl.RecordArray.from_buffer(cls, buffer=bytes(24))) == 1
    for args in ((), (cls,), (cls, b"", 1)):
        with pytest.raises(TypeError):
            impl.RecordArray.from_buffer(*args)


def test_from_buffer_of_nothing(impl):
    arr = impl.RecordArray.from_buffer(reading(impl), b"")
    assert len(arr) == 0 and arr.readonly
    with refused(BufferError, "RecordArray.append()"):
        arr.append(ROWS[0])
    arr = impl.RecordArray.from_buffer(reading(impl), bytearray())
    assert len(arr) == 0 and not arr.readonly
    with refused(BufferError, "RecordArray.extend()"):
        arr.extend(ROWS)


def test_an_array_in_a_buffer_never_grows(impl):
    data = bytearray(readings(impl).tobytes())
    arr = impl.RecordArray.from_buffer(reading(impl), data)
    with unchanged(arr):
        with refused(BufferError, "RecordArray.append()"):
            arr.append(ROWS[0])
        with refused(BufferError, "RecordArray.extend()"):
            arr.extend(ROWS)
        with refused(BufferError, "RecordArray.extend()"):
            arr.extend(bytes(24))


READ_ONLY_WRITES = {
    "item": lambda arr: arr.__setitem__(0, ROWS[1]),
    "slice": lambda arr: arr.__setitem__(slice(1), [ROWS[1]]),
    "slice of nothing": lambda arr: arr.__setitem__(slice(0), []),
    "item of a slice": lambda arr: arr[1:].__setitem__(0, ROWS[1]),
    "row": lambda arr: setattr(arr.row(0), "value", 1.0),
    "column": lambda arr: arr.column("value").__setitem__(0, 1.0),
    "sort": lambda arr: arr.sort_by("value"),
}


@pytest.mark.parametrize("case", READ_ONLY_WRITES)
def test_read_only_memory_is_not_written(impl, case):
    arr = impl.RecordArray.from_buffer(reading(impl), readings(impl).tobytes())
    assert arr.readonly and arr[:].readonly and arr.column("value").readonly
    with unchanged(arr), pytest.raises(TypeError) as caught:
        READ_ONLY_WRITES[case](arr)
    assert "read-only" in str(caught.value) or case == "column"
    assert values(arr) == ROWS
    assert not copy.copy(arr).readonly


def test_wrong_buffers_for_from_buffer(impl):
    cls = reading(impl)
    make = functools.partial(impl.RecordArray.from_buffer, cls)
    for size in (1, 23, 25):
        with refused(ValueError, "RecordArray.from_buffer()", "24", str(size)):
            make(bytes(size))
    with refused(ValueError, "RecordArray.from_buffer()", "contiguous"):
        make(memoryview(bytes(48))[::2])
    with refused(ValueError, "RecordArray.from_buffer()", "8"):
        make(memoryview(bytearray(48))[1:25])
    for wrong in (array.array("q", [0, 0, 0]), array.array("d", [0, 0, 0])):
        with refused(TypeError, "RecordArray.from_buffer()", "SensorReading"):
            make(wrong)
    for wrong in (5, None, "abc", [1], ROWS):
        with refused(TypeError, "RecordArray.from_buffer()", type(wrong).__name__):
            make(wrong)


def test_a_refused_buffer_is_let_go(impl):
    data = bytearray(25)
    for view in (data, memoryview(data)[:24][::2], memoryview(data)[1:]):
        with pytest.raises(ValueError):
            impl.RecordArray.from_buffer(reading(impl), view)
        with pytest.raises(ValueError):
            readings(impl).extend(memoryview(data)[:-2])
        del view
    data.append(0)


def test_arrays_that_overlap_in_one_buffer(impl):
    cls = reading(impl)
    rows = impl.RecordArray(cls, [(i, float(i), "") for i in range(9)]).tobytes()

    def pair() -> tuple[Any, Any, bytearray]:
        data = bytearray(rows)
        view = memoryview(data)
        near = impl.RecordArray.from_buffer(cls, view[:192])
        return near, impl.RecordArray.from_buffer(cls, view[8:200]), data

    for write in (
        lambda near, far: near.__setitem__(3, far.row(3)),
        lambda near, far: far.__setitem__(3, near.row(3)),
    ):
        near, far, data = pair()
        write(near, far)
        assert data[72:104] in (rows[80:104] + rows[96:104], rows[72:80] + rows[72:96])
    near, far, data = pair()
    near[:] = far
    assert data[:192] == rows[8:200]
    near, far, data = pair()
    far[:] = near
    assert data[8:200] == rows[:192]


def test_from_buffer_of_mapped_memory(impl):
    with mmap.mmap(-1, 4096) as mapped:
        arr = impl.RecordArray.from_buffer(reading(impl), memoryview(mapped)[:96])
        arr[:3] = ROWS
        assert mapped[:72] == readings(impl).tobytes()
        with pytest.raises(BufferError):
            mapped.close()
        with pytest.raises(BufferError):
            mapped.resize(8192)
        arr.sort_by("timestamp", reverse=True)
        assert [row.timestamp for row in arr] == [3, 2, 1, 0]
        del arr


def test_text_in_a_buffer_is_checked_when_it_is_read(impl):
    data = bytearray(struct.pack("=qd8s", 1, 1.0, b"\xff\xfe"))
    arr = impl.RecordArray.from_buffer(reading(impl), data)
    with pytest.raises(UnicodeDecodeError):
        _ = arr.row(0).unit
    assert arr.row(0).timestamp == 1 and arr.tobytes() == bytes(data)
    arr.row(0).unit = "C"
    assert arr[0].unit == "C"


def test_a_bool_in_a_buffer_is_a_bool(impl):
    class Flag(impl.Record):
        on: impl.bool8

    arr = impl.RecordArray.from_buffer(Flag, b"\x02\x00\xff")
    assert [row.on for row in arr] == [True, False, True]
    assert arr[0].on is True and arr.row(2).on is True and arr[0] == Flag(True)
    assert arr == impl.RecordArray(Flag, [(True,), (False,), (True,)])


# ---- as a sequence


def test_iteration_sees_rows_that_are_appended(impl):
    arr = readings(impl, ROWS[:1])
    seen = []
    for row in arr:
        seen.append(row.timestamp)
        if len(arr) < 5:
            arr.append((len(arr) + 10, 0.0, ""))
    assert seen == [1, 11, 12, 13, 14]
    assert [row.timestamp for row in reversed(arr)] == seen[::-1]


def test_an_iterator_does_not_share_the_memory(impl):
    arr = readings(impl)
    rows = iter(arr)
    assert next(rows).timestamp == 1
    arr.extend(ROWS * 100)
    assert next(rows).timestamp == 2


def test_rows_in_an_array(impl):
    arr = readings(impl, [*ROWS, (4, math.nan, "")])
    cls = arr.record_class
    assert cls(1, 2.5, "C") in arr and arr.row(2) in arr and arr[1] in arr[1:]
    assert cls(1, 2.5, "F") not in arr and arr[0] not in arr[1:]
    assert ROWS[0] not in arr and 5 not in arr and None not in arr
    assert arr[3] not in arr  # NaN
    assert other_array(impl)[0] not in arr


def test_arrays_are_equal_row_by_row(impl):
    cls = reading(impl)
    arr = impl.RecordArray(cls, ROWS)
    assert arr == impl.RecordArray(cls, ROWS) and not arr != impl.RecordArray(cls, ROWS)
    assert arr != impl.RecordArray(cls, ROWS[:2]) and arr != impl.RecordArray(cls, ROWS[::-1])
    assert arr == impl.RecordArray(cls, ROWS[::-1])[::-1] and arr[:0] == arr[3:]
    assert impl.RecordArray(cls, [(1, 0.0, "")]) == impl.RecordArray(cls, [(1, -0.0, "")])
    assert arr != other_array(impl) and arr != ROWS and arr != list(arr) and arr != None  # noqa: E711
    nan = impl.RecordArray(cls, [(1, math.nan, "")])
    assert nan != nan and nan != nan[:] and not nan == nan
    with pytest.raises(TypeError):
        assert arr < arr
    with pytest.raises(TypeError, match="unhashable"):
        hash(arr)


def test_every_field_counts_for_equality(impl):
    cls = station(impl)
    row = (7, 1.5, b"abc", 80, 9, True)
    one = impl.RecordArray(cls, [row])
    for at, other in enumerate((8, 2.5, b"abd", 81, 10, False)):
        assert one != impl.RecordArray(cls, [(*row[:at], other, *row[at + 1 :])])
        assert one.row(0) != impl.RecordArray(cls, [(*row[:at], other, *row[at + 1 :])]).row(0)
    assert one == impl.RecordArray(cls, [row])


def test_weak_references(impl):
    arr = readings(impl)
    part = arr[1:]
    refs = [weakref.ref(arr), weakref.ref(part)]
    assert [ref() for ref in refs] == [arr, part]
    del arr, part
    assert [ref() for ref in refs] == [None, None]


def test_sizeof_tells_of_the_memory(impl):
    arr = readings(impl, capacity=1000)
    small = sys.getsizeof(arr[:1])
    assert small < 500
    assert sys.getsizeof(readings(impl, ROWS * 1000)) > 72_000
    arr.extend(ROWS * 1000)
    assert 72_000 < sys.getsizeof(arr) < 200_000


def test_sizeof_counts_reserved_rows(native):
    assert sys.getsizeof(readings(native, capacity=1000)) >= 24_000


def test_an_array_matches_sequence_patterns(native):
    match readings(native):
        case [first, *_, last]:
            assert first.timestamp == 1 and last.timestamp == 3
        case _:
            pytest.fail("no sequence")


# ---- copies and pickles


@pytest.mark.parametrize("key", [slice(None), slice(1, None), slice(None, None, -2), slice(0)])
def test_copies_have_memory_of_their_own(impl, key):
    arr = readings(impl)
    for make in (copy.copy, copy.deepcopy):
        part = arr[key]
        made = make(part)
        assert type(made) is impl.RecordArray and made == part and made.tobytes() == part.tobytes()
        del part
        made.append((9, 9.0, "x"))
        made[0] = (8, 8.0, "y")
        assert values(arr) == ROWS
        arr.append(ROWS[0])
        arr = readings(impl)


@pytest.fixture
def shape(define: Any) -> Any:
    """A module with a class that pickle finds."""
    return define(
        """
        from typing import Annotated

        class Reading(Record):
            timestamp: i64
            value: f64
            unit: Annotated[str, Size(8)]
            flag: bool8
        """
    )


FOUR = [(1, 2.5, "C", True), (2, -1.0, "°F", False), (3, math.inf, "", True), (4, 0.0, "x", True)]


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("key", [slice(None), slice(1, 3), slice(None, None, -2), slice(0)])
def test_pickles(impl, shape, protocol, key):
    arr = impl.RecordArray(shape.Reading, FOUR)[key]
    made = pickle.loads(pickle.dumps(arr, protocol))
    assert type(made) is impl.RecordArray and made.record_class is shape.Reading
    assert made == arr and made.tobytes() == arr.tobytes() and not made.readonly
    made.append(FOUR[0])
    made[0] = FOUR[1]
    made.extend(FOUR * 10)
    assert len(made) == len(arr) + 41 and values(made)[-1] == FOUR[-1]


def test_pickles_carry_their_rows_out_of_band(impl, shape):
    arr = impl.RecordArray(shape.Reading, FOUR * 1000)
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(arr, 5, buffer_callback=buffers.append)
    assert len(data) < 300 and len(buffers) == 1
    assert buffers[0].raw().nbytes == arr.nbytes
    for given in (buffers, [bytes(buffers[0])], [bytearray(buffers[0])]):
        made = pickle.loads(data, buffers=given)
        assert made == arr
        made.append(FOUR[0])
        assert len(made) == 4001 and len(arr) == 4000


def test_out_of_band_memory_is_not_copied(native, impl, shape):
    if impl is not native:
        pytest.skip("the twin copies")
    arr = native.RecordArray(shape.Reading, FOUR)
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(arr, 5, buffer_callback=buffers.append)
    arr[0] = (99, 0.0, "", False)  # seen through the buffer
    with pytest.raises(BufferError):
        arr.append(FOUR[0])
    memory = bytearray(buffers[0])
    made = pickle.loads(data, buffers=[memory])
    assert made[0].timestamp == 99
    memory[0] = 5
    assert made[0].timestamp == 5
    with pytest.raises(BufferError):
        memory.append(0)
    made.append(FOUR[0])  # moves to memory of its own
    memory.append(0)
    assert made[0].timestamp == 5 and len(made) == 5
    buffers.clear()
    arr.append(FOUR[0])


def test_an_unpickled_array_that_is_shared_waits_with_growing(impl, shape):
    arr = impl.RecordArray(shape.Reading, FOUR)
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(arr, 5, buffer_callback=buffers.append)
    made = pickle.loads(data, buffers=[bytearray(buffers[0])])
    part = made[1:]
    with refused(BufferError, "RecordArray.append()"):
        made.append(FOUR[0])
    del part
    made.append(FOUR[0])
    assert values(made) == [*FOUR, FOUR[0]]


def test_out_of_band_memory_may_lie_anywhere(impl, shape):
    arr = impl.RecordArray(shape.Reading, FOUR)
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(arr, 5, buffer_callback=buffers.append)
    memory = bytearray(1 + arr.nbytes)
    memory[1:] = bytes(buffers[0])
    made = pickle.loads(data, buffers=[memoryview(memory)[1:]])
    assert made == arr
    made.append(FOUR[0])


def test_a_pickle_of_another_layout_is_refused(impl, shape):
    data = pickle.dumps(impl.RecordArray(shape.Reading, FOUR), 4)

    class Reading(impl.Record):
        timestamp: impl.i64

    shape.Reading = Reading
    with pytest.raises(ValueError):
        pickle.loads(data)


def test_a_pickle_with_too_few_bytes_is_refused(impl, shape):
    arr = impl.RecordArray(shape.Reading, FOUR)
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(arr, 5, buffer_callback=buffers.append)
    with pytest.raises(ValueError):
        pickle.loads(data, buffers=[bytes(buffers[0])[:-1]])
    with pytest.raises(TypeError):
        pickle.loads(data, buffers=[array.array("q", [0] * 8)])


# ---- the buffer protocol


def test_the_buffer_names_the_fields(native):
    arr = readings(native)
    view = memoryview(arr)
    assert view.format == "T{=q:timestamp:d:value:8s:unit:}" and view.itemsize == 24
    assert view.ndim == 1 and view.shape == (3,) and view.strides == (24,) and view.nbytes == 72
    assert not view.readonly and view.tobytes() == arr.tobytes() and bytes(arr) == arr.tobytes()
    assert view.obj is arr and view.c_contiguous


def test_the_buffer_names_holes(native):
    class Holes(native.Record):
        a: native.u8
        größe: native.f64
        c: native.u16

    view = memoryview(native.RecordArray(Holes, [(1, 2.0, 3)]))
    assert view.format == "T{=B:a:xH:c:4xd:größe:}" and view.itemsize == 16

    class Tail(native.Record):
        a: native.i64
        b: native.bool8

    assert memoryview(native.RecordArray(Tail)).format == "T{=q:a:?:b:7x}"


def test_the_buffer_of_a_slice_is_strided(native):
    arr = readings(native)
    view = memoryview(arr[::-2])
    assert view.strides == (-48,) and view.shape == (2,) and not view.contiguous
    assert view.tobytes() == arr[::-2].tobytes()
    assert memoryview(arr[1:]).contiguous
    with refused(BufferError, "contiguous"):
        io.BytesIO().write(arr[::2])


def test_a_buffer_shares_the_memory(native):
    arr = readings(native)
    view = memoryview(arr).cast("B")
    with refused(BufferError, "RecordArray.append()", "1 slice, row or buffer"):
        arr.append(ROWS[0])
    struct.pack_into("=q", view, 0, 42)
    assert arr[0].timestamp == 42
    view.release()
    arr.append(ROWS[0])


def test_the_buffer_of_read_only_memory(native):
    arr = native.RecordArray.from_buffer(reading(native), readings(native).tobytes())
    view = memoryview(arr)
    assert view.readonly and memoryview(arr[1:]).readonly
    with pytest.raises((BufferError, TypeError)):  # argument parsing makes a TypeError of it
        io.BytesIO(b"x" * 100).readinto(arr)
    assert values(arr) == ROWS


def test_an_array_in_the_buffer_of_an_array(native):
    cls = reading(native)
    arr = native.RecordArray(cls, ROWS)
    other = native.RecordArray.from_buffer(cls, arr)
    other[0] = (9, 9.0, "")
    assert arr[0].timestamp == 9
    for make in (lambda: arr.append(ROWS[0]), lambda: other.append(ROWS[0]),
                 lambda: arr.sort_by("value")):  # fmt: skip
        with pytest.raises(BufferError):
            make()
    other.sort_by("value")
    with refused(ValueError, "RecordArray.from_buffer()", "contiguous"):
        native.RecordArray.from_buffer(cls, arr[::2])
    with refused(TypeError, "RecordArray.from_buffer()", "Other"):
        native.RecordArray.from_buffer(renamed(native), arr)


def renamed(impl: Any) -> Any:
    """The same layout, a field has another name."""

    class Other(impl.Record):
        __qualname__ = "Other"

        timestamp: impl.i64
        value: impl.f64
        units: Annotated[str, impl.Size(8)]

    return Other


def test_any_array_of_the_same_layout_is_a_structured_buffer(native):
    view = memoryview(other_array(native))
    arr = readings(native, [])
    arr.extend(view)
    assert values(arr) == ROWS
    arr.extend(view[::-2])
    assert values(arr)[3:] == [ROWS[2], ROWS[0]]
    with unchanged(arr), refused(TypeError, "RecordArray.extend()", "SensorReading"):
        arr.extend(memoryview(native.RecordArray(renamed(native), ROWS)))
