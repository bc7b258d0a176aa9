"""RecordArray and NumPy: the same memory under the same names, and structured arrays back in."""

import pickle
import struct
from typing import Annotated, Any

import pytest

np = pytest.importorskip("numpy")
pytestmark = pytest.mark.integration

ROWS = [(1, 2.5, "C"), (2, -1.0, "°F"), (3, 0.0, "")]
KINDS = {
    "i8": "i1", "i16": "i2", "i32": "i4", "i64": "i8", "u8": "u1", "u16": "u2", "u32": "u4",
    "u64": "u8", "f32": "f4", "f64": "f8", "bool8": "?",
}  # fmt: skip


def reading(impl: Any) -> Any:
    class SensorReading(impl.Record, gc=False):
        __qualname__ = "SensorReading"

        timestamp: impl.i64
        value: impl.f64
        unit: Annotated[str, impl.Size(8)]

    return SensorReading


def dtype_of(impl: Any, cls: Any) -> Any:
    """The dtype that has the fields of a record class where it has them."""
    fields = sorted(impl.layout(cls).fields, key=lambda field: field.offset)
    return np.dtype(
        {
            "names": [field.name for field in fields],
            "formats": [KINDS.get(field.kind, f"S{field.size}") for field in fields],
            "offsets": [field.offset for field in fields],
            "itemsize": impl.layout(cls).size,
        }
    )


def many(impl: Any) -> Any:
    """Every kind, names beyond ASCII, holes between and at the end."""
    fields = [(f"größe_{kind}", getattr(impl, kind)) for kind in reversed(KINDS)]
    fields += [("温度", Annotated[bytes, impl.Size(3)]), ("text", Annotated[str, impl.Size(5)])]
    return impl.make_record("Many", [("first", impl.i8), *fields])


MANY = [
    (1, True, 0.1, 0.5, 2**64 - 1, 2**32 - 1, 65535, 255, -(2**63), -(2**31), -(2**15), -128,
     b"abc", "é"),
    (2, False, -1e300, -0.5, 0, 1, 2, 3, 4, 5, 6, 7, b"\0\0x", "12345"),
]  # fmt: skip


def structured(impl: Any, cls: Any, rows: Any) -> Any:
    """A NumPy array of the class's dtype with these rows."""
    data = impl.RecordArray(cls, rows).tobytes()
    return np.frombuffer(bytearray(data), dtype_of(impl, cls))


def values(rows: Any) -> list[tuple[Any, ...]]:
    return [tuple(getattr(row, name) for name in type(row).__match_args__) for row in rows]


def refuses(error: type[Exception], function: Any, *args: Any) -> str:
    """The message of exactly this type of exception."""
    with pytest.raises(error) as caught:
        function(*args)
    assert type(caught.value) is error, caught.value
    return str(caught.value)


# ---- out


def test_numpy_sees_the_same_memory(native):
    arr = native.RecordArray(reading(native), ROWS)
    view = np.asarray(arr)
    assert view.dtype.names == ("timestamp", "value", "unit") and view.shape == (3,)
    assert view.dtype.itemsize == arr.itemsize == 24 and view.strides == (24,)
    assert view["timestamp"].tolist() == [1, 2, 3] and view["value"].tolist() == [2.5, -1.0, 0.0]
    assert view["unit"].tolist() == [b"C", "°F".encode(), b""]
    address = view.ctypes.data
    assert address == np.asarray(arr.column("timestamp")).ctypes.data
    assert address + 8 == np.asarray(arr.column("value")).ctypes.data
    assert address + 24 == np.asarray(arr[1:]).ctypes.data
    assert np.asarray(arr).ctypes.data == address and not view.flags.owndata
    assert view.flags.writeable and view.flags.aligned
    view["value"][1] = 7.5
    assert arr[1].value == 7.5
    arr[0] = (10, 0.0, "x")
    assert view["timestamp"][0] == 10 and view[0]["unit"] == b"x"


def test_dtype_of_every_kind_with_holes(native):
    cls = many(native)
    arr = native.RecordArray(cls, MANY)
    view = np.asarray(arr)
    wanted = dtype_of(native, cls)
    assert view.dtype.itemsize == wanted.itemsize == native.layout(cls).size
    assert set(view.dtype.names) == set(wanted.names)
    for name in wanted.names:
        assert view.dtype.fields[name][:2] == wanted.fields[name][:2], name
        assert view.dtype.fields[name][0].isnative
    for i, row in enumerate(arr):
        for name in wanted.names:
            value = getattr(row, name)
            value = value.encode() if isinstance(value, str) else value
            assert view[name][i] == value or view[name][i] == value.rstrip(b"\0"), name


def test_a_hole_at_the_end_and_in_the_middle(native):
    class Holes(native.Record):
        a: native.u8
        b: native.f64
        c: native.u16
        d: native.bool8

    view = np.asarray(native.RecordArray(Holes, [(1, 2.0, 3, True)] * 2))
    assert (
        view.dtype == dtype_of(native, Holes) or view.dtype.fields == dtype_of(native, Holes).fields
    )
    assert view.dtype.itemsize == native.layout(Holes).size == 16
    assert view["d"].dtype == np.bool_ and view["c"].tolist() == [3, 3]


@pytest.mark.parametrize("key", [slice(None, None, -1), slice(1, None, 2), slice(2, 0, -2)])
def test_slices_are_strided_arrays(native, key):
    arr = native.RecordArray(reading(native), ROWS)
    view = np.asarray(arr[key])
    assert view["timestamp"].tolist() == [1, 2, 3][key]
    assert np.asarray(arr[key].column("value")).tolist() == [2.5, -1.0, 0.0][key]
    assert view.base is not None


def test_columns_as_arrays(native):
    cls = many(native)
    arr = native.RecordArray(cls, MANY)
    for at, field in enumerate(native.layout(cls).fields):
        column = np.asarray(arr.column(field.name))
        assert column.dtype == np.dtype(KINDS.get(field.kind, f"S{field.size}"))
        assert column.strides == (arr.itemsize,) and column.shape == (2,)
        if field.kind not in ("str", "bytes", "f32"):
            assert column.tolist() == [row[at] for row in MANY]
    column = np.asarray(arr.column("größe_i64"))
    column += 1
    assert [row.größe_i64 for row in arr] == [-(2**63) + 1, 5]


def test_an_array_that_numpy_looks_at_does_not_grow(native):
    arr = native.RecordArray(reading(native), ROWS)
    view = np.asarray(arr)["value"][1:]
    assert "shared by 1 slice" in refuses(BufferError, arr.append, ROWS[0])
    refuses(BufferError, arr.extend, ROWS)
    refuses(BufferError, arr.sort_by, "value")
    assert view.tolist() == [-1.0, 0.0] and len(arr) == 3
    del view
    arr.append(ROWS[0])


def test_an_empty_array_for_numpy(native):
    view = np.asarray(native.RecordArray(reading(native)))
    assert view.shape == (0,) and view.dtype.names == ("timestamp", "value", "unit")


def test_read_only_memory_for_numpy(native):
    arr = native.RecordArray.from_buffer(reading(native), bytes(48))
    assert not np.asarray(arr).flags.writeable
    assert not np.asarray(arr.column("value")).flags.writeable


# ---- in


def test_a_structured_array_comes_in(impl):
    cls = many(impl)
    given = structured(impl, cls, MANY)
    arr = impl.RecordArray(cls, given)
    assert arr == impl.RecordArray(cls, MANY)
    arr.extend(given)
    arr.extend(given[::-1])
    assert values(arr) == values(impl.RecordArray(cls, [*MANY, *MANY, *MANY[::-1]]))
    arr[2:4] = given[::-1]
    assert values(arr[2:4]) == values(impl.RecordArray(cls, MANY[::-1]))


def test_the_holes_of_a_structured_array_stay_outside(impl):
    class Holes(impl.Record):
        a: impl.u8
        b: impl.i64

    given = np.frombuffer(bytearray(b"\xff" * 32), dtype_of(impl, Holes))
    clean = impl.RecordArray(Holes, [(255, -1)] * 2).tobytes()
    arr = impl.RecordArray(Holes, given)
    assert arr.tobytes() == clean
    arr[:] = given
    assert arr.tobytes() == clean


def test_raw_arrays_come_in(impl):
    cls = reading(impl)
    data = impl.RecordArray(cls, ROWS).tobytes()
    for raw in (np.frombuffer(data, "u1"), np.frombuffer(data, "i1"),
                np.frombuffer(data, "u1").reshape(3, 24)):  # fmt: skip
        assert values(impl.RecordArray(cls, raw)) == ROWS
        assert values(impl.RecordArray.from_buffer(cls, raw)) == ROWS
    refuses(ValueError, impl.RecordArray, cls, np.frombuffer(data, "u1")[::3])
    refuses(ValueError, impl.RecordArray, cls, np.frombuffer(data, "u1").reshape(3, 24).T)


def test_from_buffer_of_a_structured_array(impl):
    cls = many(impl)
    given = structured(impl, cls, MANY)
    arr = impl.RecordArray.from_buffer(cls, given)
    assert values(arr) == values(impl.RecordArray(cls, MANY)) and not arr.readonly
    given["größe_f64"][0] = 42.0
    assert arr[0].größe_f64 == 42.0
    arr.row(1).text = "neu"
    assert given["text"][1] == b"neu"
    given.flags.writeable = False
    assert impl.RecordArray.from_buffer(cls, given).readonly


def test_from_buffer_shares_the_address(native):
    cls = reading(native)
    given = structured(native, cls, ROWS)
    arr = native.RecordArray.from_buffer(cls, given)
    assert np.asarray(arr).ctypes.data == given.ctypes.data
    assert np.asarray(arr[1:]).ctypes.data == given.ctypes.data + 24


PLAIN = [("timestamp", "i8"), ("value", "f8"), ("unit", "S8")]

#: Structured arrays that are not rows of SensorReading, all of 24 bytes or nearly.
WRONG = {
    "name": [("timestamp", "i8"), ("values", "f8"), ("unit", "S8")],
    "kind": [("timestamp", "i8"), ("value", "i8"), ("unit", "S8")],
    "sign": [("timestamp", "u8"), ("value", "f8"), ("unit", "S8")],
    "width": [("timestamp", "i4"), ("more", "i4"), ("value", "f8"), ("unit", "S8")],
    "narrow": [("timestamp", "i8"), ("value", "f4"), ("gap", "f4"), ("unit", "S8")],
    "order": [("value", "f8"), ("timestamp", "i8"), ("unit", "S8")],
    "byte order": [("timestamp", ">i8"), ("value", ">f8"), ("unit", "S8")],
    "text width": [("timestamp", "i8"), ("value", "f8"), ("unit", "S7"), ("gap", "i1")],
    "missing": [("timestamp", "i8"), ("value", "f8")],
    "extra": [("timestamp", "i8"), ("value", "f8"), ("unit", "S8"), ("more", "i8")],
    "unicode text": [("timestamp", "i8"), ("value", "f8"), ("unit", "U2")],
    "void": [("timestamp", "i8"), ("value", "f8"), ("unit", "V8")],
    "complex": [("timestamp", "i8"), ("value", "c16")],
    "nested": [("timestamp", "i8"), ("value", [("x", "f8")]), ("unit", "S8")],
    "sub-array": [("timestamp", "i8", 1), ("value", "f8", (1,)), ("unit", "S8")],
    "larger": {"names": ["timestamp", "value", "unit"], "formats": ["i8", "f8", "S8"],
               "offsets": [0, 8, 16], "itemsize": 32},
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_structured_arrays_of_another_layout(impl, case):
    cls = reading(impl)
    arr = impl.RecordArray(cls, ROWS)
    before = arr.tobytes()
    given = np.zeros(3, np.dtype(WRONG[case]))
    message = refuses(TypeError, arr.extend, given)
    assert "RecordArray.extend()" in message and "SensorReading" in message
    refuses(TypeError, arr.__setitem__, slice(None), given)
    refuses(TypeError, impl.RecordArray, cls, given)
    message = refuses(TypeError, impl.RecordArray.from_buffer, cls, given)
    assert "RecordArray.from_buffer()" in message and "SensorReading" in message
    assert arr.tobytes() == before


@pytest.mark.parametrize("dtype", ["i8", "f8", ">i8", "S24", "U6", "V24", "c16", "?", "e"])
def test_plain_arrays_are_no_rows(impl, dtype):
    cls = reading(impl)
    given = np.zeros(24, dtype)
    refuses(TypeError, impl.RecordArray(cls).extend, given)
    refuses(TypeError, impl.RecordArray.from_buffer, cls, given)


def test_arrays_of_more_dimensions(impl):
    cls = reading(impl)
    given = np.zeros((2, 2), np.dtype(PLAIN))
    refuses(ValueError, impl.RecordArray(cls).extend, given)
    refuses(ValueError, impl.RecordArray.from_buffer, cls, given)


def test_from_buffer_wants_contiguous_and_aligned_rows(impl):
    cls = reading(impl)
    given = np.zeros(4, np.dtype(PLAIN))
    assert "contiguous" in refuses(ValueError, impl.RecordArray.from_buffer, cls, given[::2])
    refuses(ValueError, impl.RecordArray.from_buffer, cls, given[::-1])
    raw = np.zeros(64, "u1")
    shifted = raw[(-raw.ctypes.data) % 8 + 1 :][:24]
    assert shifted.ctypes.data % 8 == 1
    assert "8" in refuses(ValueError, impl.RecordArray.from_buffer, cls, shifted)
    refuses(ValueError, impl.RecordArray.from_buffer, cls, shifted.view(np.dtype(PLAIN)))
    arr = impl.RecordArray(cls, shifted)  # a copy needs no alignment
    assert len(arr) == 1


# ---- columns


def test_columns_from_arrays(impl):
    cls = many(impl)
    given = structured(impl, cls, MANY)
    columns = {name: given[name] for name in given.dtype.names}
    arr = impl.RecordArray(cls, columns)
    assert values(arr) == values(impl.RecordArray(cls, MANY))
    arr.extend({name: np.ascontiguousarray(column)[::-1] for name, column in columns.items()})
    assert values(arr[2:]) == values(impl.RecordArray(cls, MANY[::-1]))


def test_columns_of_other_types_go_value_by_value(impl):
    cls = reading(impl)
    arr = impl.RecordArray(cls)
    texts = np.array(["a", "bb"])
    for integers in ("i1", "u1", "i4", "u8", ">i8", "?"):
        for floats in ("f4", ">f8", "e", "i4"):
            if np.dtype(integers).kind == "b":
                continue
            given = {
                "timestamp": np.array([1, 0], integers),
                "value": np.array([0.5 if floats != "i4" else 3, 2], floats),
                "unit": texts,
            }
            arr.extend(given)
            first = 3.0 if floats == "i4" else 0.5
            assert values(arr[-2:]) == [(1, first, "a"), (0, 2.0, "bb")]


def test_shorter_text_in_bulk_is_padded(impl):
    cls = reading(impl)
    given = {"timestamp": [1, 2], "value": [1, 2], "unit": np.array([b"a", b"bcd"])}
    assert given["unit"].dtype == np.dtype("S3")
    assert values(impl.RecordArray(cls, given)) == [(1, 1.0, "a"), (2, 2.0, "bcd")]


@pytest.mark.parametrize(
    ("name", "column", "error"),
    [
        ("timestamp", np.array([1.5, 2.5]), TypeError),
        ("timestamp", np.array([1, 2**63], "u8"), OverflowError),
        ("timestamp", np.array([[1, 2], [3, 4]]), TypeError),
        ("timestamp", np.array(5), TypeError),
        ("unit", np.array([b"a" * 9, b"b"]), TypeError),
        ("unit", np.array(["a" * 9, "b"]), ValueError),
        ("unit", np.array([b"\xff", b"b"]), ValueError),
        ("unit", np.array([1, 2]), TypeError),
        ("unit", np.array(["a", "b", "c"]), ValueError),
    ],
)  # fmt: skip
def test_wrong_columns(impl, name, column, error):
    cls = reading(impl)
    arr = impl.RecordArray(cls, ROWS)
    columns = {"timestamp": [1, 2], "value": np.array([1.0, 2.0]), "unit": "ab", name: column}
    message = refuses(error, arr.extend, columns)
    assert name in message or column.ndim != 1  # NumPy's own words
    assert values(arr) == ROWS


def test_a_pickle_buffer_for_numpy(native):
    arr = native.RecordArray(reading(native), ROWS)
    raw = np.frombuffer(pickle.PickleBuffer(arr).raw(), "u1")
    assert raw.tobytes() == arr.tobytes()
    assert struct.unpack_from("=q", raw, 24) == (2,)
