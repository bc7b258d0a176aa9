"""`unpack_many` and `index_many`: records one after another, into tables, columns and offsets."""

import array
import enum
import importlib
import itertools
import mmap
import struct
import sys
import zlib
from typing import Annotated, Any

import layouts
import pytest
from layouts import define, names

import ferrule.wire as wire


class Kind(enum.Enum):
    REQUEST = 1
    REPLY = 2


def rows(table: Any) -> list[tuple[Any, ...]]:
    return [tuple(getattr(row, name) for name in row.__match_args__) for row in table]


def said(error: Any) -> tuple[Any, ...]:
    return error.offset, error.wanted, error.had, error.where


def refused(impl: Any, function: Any, *args: Any, **keywords: Any) -> tuple[Any, ...]:
    """What the WireError says."""
    with pytest.raises(impl.WireError) as caught:
        function(*args, **keywords)
    return said(caught.value)


@pytest.fixture
def fixed(impl):
    """Three bytes a record."""
    n = names(impl)
    return define(impl, "big", a=n.u16, flag=n.bool8)


@pytest.fixture
def sized(impl):
    n = names(impl)
    return define(impl, "big", n=n.u8, text=Annotated[str, n.SizedBy("n")])


# ---- tables


def test_every_kind_of_column(impl):
    n = names(impl)
    cls = define(
        impl,
        "little",
        i8=n.i8,
        u8=n.u8,
        i16=n.i16,
        u16=n.u16,
        i32=n.i32,
        u32=n.u32,
        i64=n.i64,
        u64=n.u64,
        f32=n.f32,
        f64=n.f64,
        flag=n.bool8,
        high=Annotated[int, n.Bits(7)],
        bit=Annotated[bool, n.Bits(1)],
        four=Annotated[bytes, n.Size(4)],
        name=Annotated[str, n.Size(4)],
        n=n.u8,
        data=Annotated[bytes, n.SizedBy("n")],
        text=Annotated[str, n.SizedBy("n", 2)],
    )
    given = [
        (
            -1,
            1,
            -2,
            2,
            -3,
            3,
            -4,
            2**64 - 1,
            1.5,
            -2.5,
            True,
            127,
            False,
            b"a\0b\0",
            "h\xe9",
            1,
            b"x",
            "ab",
        ),
        (1, 2, 3, 4, 5, 6, 7, 8, 0.0, 0.0, False, 0, True, b"abcd", "", 0, b"", ""),
    ] * 5
    data = b"".join(impl.pack(cls(*row)) for row in given)
    table = impl.unpack_many(cls, data)
    assert type(table) is n.RecordTable and table.record_class is cls
    assert rows(table) == given
    assert rows(table) == rows(impl.unpack(cls, data, at) for at in impl.index_many(cls, data)[:-1])


@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 63, 64, 65, 1000])
def test_numbers(impl, endian, count):
    n = names(impl)
    cls = define(impl, endian, a=n.u16, b=n.i32, c=n.f64, d=n.u8)
    order = ">" if endian == "big" else "<"
    given = [(i % 65536, -i, i / 3, i % 256) for i in range(count)]
    data = b"".join(struct.pack(order + "HidB", *row) for row in given)
    table = impl.unpack_many(cls, data)
    assert rows(table) == given
    assert len(table) == count


def test_a_sum_in_every_row(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u16, sum=Annotated[n.u32, n.Crc32()], b=n.u16)
    data = b"".join(impl.pack(cls(i, 0, 2 * i)) for i in range(100))
    table = impl.unpack_many(cls, data)
    assert table.column("sum")[5] == zlib.crc32(b"\0\5\0\x0a")
    assert list(table.column("b")) == list(range(0, 200, 2))


def test_ends_with_the_buffer(impl):
    """A last field that takes all that is left is of the only record."""
    n = names(impl)
    cls = define(impl, "big", a=n.u8, rest=bytes)
    assert rows(impl.unpack_many(cls, b"\1abc")) == [(1, b"abc")]


def test_a_file_truncated_under_its_mmap(impl, fixed, tmp_path):
    path = tmp_path / "rows"
    path.write_bytes(bytes(3 * 4096))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        assert len(impl.unpack_many(fixed, mapped)) == 4096
        file.truncate(4096)
        for function in (impl.unpack_many, impl.index_many):
            message = (
                rf"^{function.__name__}\(\): the file has 4096 bytes, fewer than the 12288 of its "
                "mmap: it was truncated$"
            )
            with pytest.raises(BufferError, match=message):
                function(fixed, mapped)
        with pytest.raises(BufferError, match="^pcap.*truncated$"):
            impl.pcap(mapped)
        assert impl.holders(mapped) == []
    with mmap.mmap(-1, 300) as nameless:
        assert len(impl.unpack_many(fixed, nameless)) == 100


def test_buffers(impl, fixed):
    data = b"\0\1\1\0\2\0"
    for buffer in (data, bytearray(data), memoryview(b"_" + data)[1:], array.array("B", data)):
        assert rows(impl.unpack_many(fixed, buffer)) == [(1, True), (2, False)]
        assert list(impl.index_many(fixed, buffer)) == [0, 3, 6]
    assert rows(impl.unpack_many(fixed, impl.View(data, 3))) == [(2, False)]


def test_nothing_of_the_constructor_runs(impl):
    n = names(impl)

    class P(n.Record, endian="big"):
        x: n.u8

        def __init__(self, x):
            raise AssertionError("called")

        def __post_init__(self):
            raise AssertionError("called")

    assert list(impl.unpack_many(P, b"\1\2").column("x")) == [1, 2]


def test_checks_run(impl):
    n = names(impl)

    class P(n.Record, endian="big"):
        x: n.u8 = n.validation.Bounded(max_val=10)
        y: n.u8

    assert rows(impl.unpack_many(P, b"\1\2\x0a\4")) == [(1, 2), (10, 4)]
    for out in (None, {}, {"y": bytearray(2)}):
        with pytest.raises(ValueError, match="must be <= 10, got 11"):
            impl.unpack_many(P, b"\1\2\x0b\4", out=out)


def test_classes_that_no_table_keeps(impl):
    n = names(impl)
    inner = define(impl, None, "Inner", x=n.u8)
    for tp in (inner, Annotated[Kind, n.u8], Annotated[tuple[n.u8, ...], n.Count(1)]):
        cls = define(impl, "big", x=tp)
        with pytest.raises(TypeError) as caught:
            impl.unpack_many(cls, b"\1")
        assert str(caught.value).startswith("unpack_many() cannot keep field 'x' of P: ")
        assert list(impl.index_many(cls, b"\1\2")) == [0, 1, 2]


def test_bits_too_large_for_their_column(impl):
    n = names(impl)
    cls = define(impl, "big", x=Annotated[int, n.Bits(64)])
    assert rows(impl.unpack_many(cls, b"\x7f" + b"\xff" * 7)) == [(2**63 - 1,)]
    with pytest.raises(OverflowError, match="P.x"):
        impl.unpack_many(cls, b"\xff" * 8)


# ---- tables that are given


def test_appended_to(impl, fixed):
    table = names(impl).RecordTable(fixed)
    assert impl.unpack_many(fixed, b"\0\1\1", out=table) is table
    assert impl.unpack_many(fixed, b"\0\2\0\0\3\1", out=table) is table
    assert rows(table) == [(1, True), (2, False), (3, True)]
    found, errors = impl.unpack_many(fixed, b"\0\2\7\0\4\1", out=table, on_error="report")
    assert found is table and len(errors) == 1
    assert list(table.column("a")) == [1, 2, 3, 4]


def test_nothing_is_appended_if_something_is_wrong(impl, fixed):
    table = names(impl).RecordTable(fixed, {"a": [9], "flag": [True]})
    for data in (b"\0\1\1\0\2\7", b"\0\1\1\0"):
        with pytest.raises(impl.WireError):
            impl.unpack_many(fixed, data, out=table)
        assert rows(table) == [(9, True)]


def test_tables_that_are_none(impl, fixed):
    other = define(impl, "big", "Other", x=names(impl).u8)
    with pytest.raises(TypeError) as caught:
        impl.unpack_many(fixed, b"", out=names(impl).RecordTable(other))
    assert str(caught.value) == "unpack_many() out wants a RecordTable of P, got one of Other"
    for out in (3, "x", [1]):
        with pytest.raises(TypeError) as caught:
            impl.unpack_many(fixed, b"", out=out)
        assert str(caught.value) == (
            f"unpack_many() out wants a RecordTable or a mapping, got {type(out).__name__}"
        )


# ---- columns that are given


def test_columns(impl):
    n = names(impl)
    cls = define(
        impl,
        "big",
        a=n.u16,
        kind=Annotated[Kind, n.u8],
        low=Annotated[int, n.Bits(7)],
        bit=Annotated[bool, n.Bits(1)],
        real=n.f32,
        four=Annotated[bytes, n.Size(4)],
        n=n.u8,
        data=Annotated[bytes, n.SizedBy("n")],
    )
    data = b"\1\2\1\x0b\x3f\xc0\0\0abcd\2xy" + b"\3\4\2\xfe\xc0\0\0\0efgh\0"
    a, kind, low = array.array("H", bytes(6)), bytearray(2), array.array("i", bytes(8))
    bit, real = memoryview(bytearray(2)).cast("?"), array.array("f", bytes(8))
    out = {"real": real, "a": a, "kind": kind, "low": low, "bit": bit}
    assert impl.unpack_many(cls, data, out=out) == 2
    assert list(a) == [0x0102, 0x0304, 0]  # cells that are left stay
    assert (list(kind), list(low), list(bit)) == ([1, 2], [5, 127], [True, False])
    assert list(real) == [1.5, -2.0]
    assert impl.unpack_many(cls, data, out={}) == 2


def need_numpy() -> Any:
    if hasattr(sys, "gettotalrefcount"):
        pytest.skip("NumPy keeps what it tells of a buffer: --refleak would count that")
    return pytest.importorskip("numpy")


def test_columns_of_bytes(impl):
    cls = define(impl, "big", a=names(impl).u8, four=Annotated[bytes, names(impl).Size(4)])
    fours = need_numpy().zeros(2, "S4")
    assert impl.unpack_many(cls, b"\1abcd\2efgh", out={"four": fours}) == 2
    assert fours.tolist() == [b"abcd", b"efgh"]


@pytest.mark.parametrize("count", [0, 1, 5, 63, 64, 65, 300])
def test_columns_of_many_rows(impl, count):
    n = names(impl)
    for endian in ("big", "little"):
        cls = define(impl, endian, a=n.i16, b=n.u64, c=n.f64, d=Annotated[int, n.Bits(8)])
        order = ">" if endian == "big" else "<"
        data = b"".join(struct.pack(order + "hQdB", -i, i, i / 2, i % 256) for i in range(count))
        out = {
            "a": array.array("h", bytes(2 * count)),
            "b": array.array("Q", bytes(8 * count)),
            "c": array.array("d", bytes(8 * count)),
            "d": array.array("Q", bytes(8 * count)),
        }
        assert impl.unpack_many(cls, data, out=out) == count
        assert list(out["a"]) == [-i for i in range(count)]
        assert list(out["b"]) == list(range(count))
        assert list(out["c"]) == [i / 2 for i in range(count)]
        assert list(out["d"]) == [i % 256 for i in range(count)]


def test_bits_fit_many_formats(impl):
    n = names(impl)
    cls = define(impl, "big", x=Annotated[int, n.Bits(8)], y=Annotated[int, n.Bits(16)])
    data = b"\xff\x01\x02" * 2
    for code in "BhHiIqQ":
        cells = array.array(code, [0, 0])
        assert impl.unpack_many(cls, data, out={"x": cells}) == 2
        assert list(cells) == [255, 255]
    for code in "bfd":
        with pytest.raises(TypeError) as caught:
            impl.unpack_many(cls, data, out={"x": array.array(code, [0, 0])})
        assert str(caught.value) == f"unpack_many() out: P.x: wanted format 'q', got '{code}'"
    for code in "bBh":
        with pytest.raises(TypeError):
            impl.unpack_many(cls, data, out={"y": array.array(code, [0, 0])})


def test_columns_that_do_not_fit(impl):
    n = names(impl)
    cls = define(
        impl,
        "big",
        a=n.u16,
        four=Annotated[bytes, n.Size(4)],
        rest=Annotated[bytes, n.SizedBy("a")],
    )
    cells = array.array("H", [0, 0])
    for out, error, text in (
        ({"a": array.array("h", [0])}, TypeError, "P.a: wanted format 'H', got 'h'"),
        ({"a": array.array("I", [0])}, TypeError, "P.a: wanted format 'H', got 'I'"),
        ({"a": bytearray(2)}, TypeError, "P.a: wanted format 'H', got 'B'"),
        ({"four": bytearray(4)}, TypeError, "P.four: wanted format '4s', got 'B'"),
        ({"a": "x"}, TypeError, "P.a: wanted a writable buffer, got str"),
        ({"a": cells, "b": cells}, ValueError, "P has no field 'b'"),
        ({3: cells}, ValueError, "P has no field 3"),
        (
            {"rest": cells},
            TypeError,
            "P.rest is of no fixed size, or a record: no cells for it",
        ),
    ):
        with pytest.raises(error) as caught:
            impl.unpack_many(cls, b"", out=out)
        assert str(caught.value) == f"unpack_many() out: {text}"
    with pytest.raises(BufferError):
        impl.unpack_many(cls, b"", out={"a": memoryview(cells).toreadonly()})
    with pytest.raises(BufferError):
        impl.unpack_many(cls, b"", out={"a": memoryview(array.array("H", bytes(8)))[::2]})


def test_columns_of_the_other_byte_order(impl):
    numpy = need_numpy()
    cls = define(impl, "big", a=names(impl).u16)
    cells = numpy.zeros(2, numpy.dtype("u2").newbyteorder())
    with pytest.raises(TypeError, match="wanted format 'H', got '.H'"):
        impl.unpack_many(cls, b"\0\1", out={"a": cells})


def test_too_few_cells(impl, fixed, sized):
    data = b"\0\1\1\0\2\0\0\3\1"
    a, flag = array.array("H", bytes(6)), memoryview(bytearray(2)).cast("?")
    with pytest.raises(ValueError) as caught:
        impl.unpack_many(fixed, data, out={"a": a, "flag": flag})
    assert str(caught.value) == "unpack_many() out: P.flag: wanted 3 cells, got 2"
    with pytest.raises(ValueError) as caught:
        impl.unpack_many(sized, b"\1a\1b\1c", out={"n": bytearray(1)})
    assert str(caught.value) == "unpack_many() out: P.n: wanted 3 cells, got 1"
    # what is bad takes no cell
    bad = b"\0\1\7\0\2\0\0\3\1"
    out = {"a": a, "flag": flag}
    assert impl.unpack_many(fixed, bad, out=out, on_error="skip") == 2
    assert (list(a)[:2], list(flag)) == ([2, 3], [False, True])


def test_columns_and_errors(impl, fixed):
    cells = array.array("H", bytes(8))
    data = b"\0\1\1\0\2\7\0\3\1\0"
    assert impl.unpack_many(fixed, data, out={"a": cells}, on_error="skip") == 2
    count, errors = impl.unpack_many(fixed, data, out={"a": cells}, on_error="report")
    assert count == 2 and list(cells)[:2] == [1, 3]
    assert [said(error) for error in errors] == [
        (5, "0 or 1", 7, "P.flag"),
        (9, 2, 1, "P.a"),
    ]
    assert refused(impl, impl.unpack_many, fixed, data, out={"a": cells}) == (
        5,
        "0 or 1",
        7,
        "P.flag",
    )


# ---- errors


def test_raise(impl, fixed, sized):
    assert refused(impl, impl.unpack_many, fixed, b"\0\1\1\0\2\7\0") == (5, "0 or 1", 7, "P.flag")
    assert refused(impl, impl.unpack_many, fixed, b"\0\1\1\0") == (3, 2, 1, "P.a")
    assert refused(impl, impl.unpack_many, fixed, b"\0\1\1\0\2") == (5, 1, 0, "P.flag")
    assert refused(impl, impl.unpack_many, sized, b"\1a\5b") == (3, 5, 1, "P.text")
    assert refused(impl, impl.unpack_many, sized, b"\1a\1\xff") == (3, "UTF-8", b"\xff", "P.text")


def test_skip(impl, fixed, sized):
    assert rows(impl.unpack_many(fixed, b"\0\1\1\0\2\7\0\3\0", on_error="skip")) == [
        (1, True),
        (3, False),
    ]
    assert rows(impl.unpack_many(fixed, b"\0\1\1\0", on_error="skip")) == [(1, True)]
    data = b"\1a\2\xff\xff\1b\x09"
    assert rows(impl.unpack_many(sized, data, on_error="skip")) == [(1, "a"), (1, "b")]
    assert rows(impl.unpack_many(sized, b"\x09", on_error="skip")) == []


def test_report(impl, sized):
    data = b"\1a\2\xff\xff\1b\x09z"
    table, errors = impl.unpack_many(sized, data, on_error="report")
    assert rows(table) == [(1, "a"), (1, "b")]
    assert [said(error) for error in errors] == [
        (3, "UTF-8", b"\xff\xff", "P.text"),
        (8, 9, 1, "P.text"),
    ]
    assert all(type(error) is impl.WireError for error in errors)
    assert impl.unpack_many(sized, b"", on_error="report")[1] == []


def test_broken_lengths_end_the_stream(impl):
    n = names(impl)
    cls = define(impl, "big", n=n.i8, data=Annotated[bytes, n.SizedBy("n", 1, 2)])
    for data, good, error in (
        (b"\0", [], (1, "at least 2 by n", 0, "P.data")),
        (b"\3a\1b\3c", [(3, b"a")], (3, "at least 2 by n", 1, "P.data")),
        (b"\2\xff", [(2, b"")], (2, "at least 2 by n", -1, "P.data")),
    ):
        assert rows(impl.unpack_many(cls, data, on_error="skip")) == good
        table, errors = impl.unpack_many(cls, data, on_error="report")
        assert rows(table) == good and [said(one) for one in errors] == [error]
        assert refused(impl, impl.unpack_many, cls, data) == error
        assert refused(impl, impl.index_many, cls, data) == error


def test_bad_sums_members_and_tags(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u8, sum=Annotated[n.u16, n.InternetChecksum()])
    good = impl.pack(cls(1, 0))
    data = good + b"\1\0\0" + good
    table, errors = impl.unpack_many(cls, data, on_error="report")
    assert len(table) == 2
    assert [said(error) for error in errors] == [(4, "Internet checksum 0xfeff", "0x0000", "P.sum")]
    cls = define(impl, "big", kind=Annotated[Kind, n.u8], x=n.u8)
    cells = bytearray(3)
    count, errors = impl.unpack_many(cls, b"\1\5\7\6\2\7", out={"x": cells}, on_error="report")
    assert (count, cells) == (2, b"\5\7\0")
    assert [said(error) for error in errors] == [(2, "a Kind", 7, "P.kind")]
    a = define(impl, None, "A", x=n.u8)
    cls = define(impl, "big", k=n.u8, body=Annotated[a, n.Tagged("k", {1: a})])
    count, errors = impl.unpack_many(cls, b"\1\5\2\6\1\7", out={}, on_error="report")
    assert count == 1  # nobody knows how long the second is
    assert [said(error) for error in errors] == [(3, "a tag of 1", 2, "P.body")]


def test_max_errors(impl, fixed):
    bad = b"\0\1\7"
    table, errors = impl.unpack_many(fixed, bad * 1000, on_error="report")
    assert len(table) == 0 and len(errors) == 1000
    assert refused(impl, impl.unpack_many, fixed, bad * 1001, on_error="report") == (
        3002,
        "0 or 1",
        7,
        "P.flag",
    )
    for most in (0, 2):
        found = refused(impl, impl.unpack_many, fixed, bad * 5, on_error="report", max_errors=most)
        assert found[0] == 3 * most + 2
    table, errors = impl.unpack_many(fixed, bad * 2, on_error="report", max_errors=2)
    assert len(errors) == 2
    assert len(impl.unpack_many(fixed, bad * 5, on_error="skip", max_errors=0)) == 0


def test_records_of_no_bytes(impl):
    n = names(impl)
    cls = define(impl, "big", x=Annotated[tuple[n.u8, ...], n.Count(0)])
    for function, more in ((impl.index_many, {}), (impl.unpack_many, {"out": {}})):
        with pytest.raises(ValueError) as caught:
            function(cls, b"abc", **more)
        assert str(caught.value) == f"{function.__name__}(): a P of no bytes at byte 0"
    assert list(impl.index_many(cls, b"")) == [0]


@pytest.mark.parametrize("cut", range(1, 60))
def test_every_length(impl, cut):
    """A stream cut off anywhere: whole records, and what unpack() says of the next."""
    n = names(impl)
    cls = define(
        impl,
        "big",
        a=n.u16,
        n=Annotated[int, n.Bits(4)],
        m=Annotated[int, n.Bits(4)],
        data=Annotated[bytes, n.SizedBy("n")],
        name=Annotated[str, n.Size(3)],
        text=Annotated[str, n.SizedBy("m")],
        z=n.u8,
    )
    whole = b"".join(
        impl.pack(cls(i, i % 4, i % 3, b"x" * (i % 4), "ab", "c" * (i % 3), 1)) for i in range(9)
    )
    data = whole[:cut]
    starts = [at for at in impl.index_many(cls, whole) if at <= cut]
    if starts[-1] == cut:
        assert list(impl.index_many(cls, data)) == starts
        assert len(impl.unpack_many(cls, data)) == len(starts) - 1
        return
    wanted = refused(impl, impl.unpack, cls, data, starts[-1])
    assert refused(impl, impl.index_many, cls, data) == wanted
    assert refused(impl, impl.unpack_many, cls, data) == wanted
    table, errors = impl.unpack_many(cls, data, on_error="report")
    assert len(table) == len(starts) - 1
    assert [said(error) for error in errors] == [wanted]


# ---- index_many


def test_index(impl, sized):
    found = impl.index_many(sized, b"\1a\0\2bc")
    assert type(found) is array.array and found.typecode == "q"
    assert list(found) == [0, 2, 3, 6]
    assert list(impl.index_many(sized, b"")) == [0]


def test_index_looks_at_lengths_only(impl):
    n = names(impl)
    a = define(impl, None, "A", x=n.u16)
    cls = define(
        impl,
        "big",
        flag=n.bool8,
        kind=Annotated[Kind, n.u8],
        text=Annotated[str, n.Size(1)],
        sum=Annotated[n.u16, n.InternetChecksum()],
        body=Annotated[object, n.Tagged("kind", {1: a}, define(impl, None, "B"))],
    )
    data = b"\x09\7\xff\0\0" + b"\x09\1\xff\0\0\0\0"
    assert list(impl.index_many(cls, data)) == [0, 5, 12]


def test_index_of_many(impl):
    n = names(impl)
    cls = define(impl, "little", n=n.u16, data=Annotated[bytes, n.SizedBy("n", 1, 2)])
    data = b"".join(struct.pack("<H", 2 + i % 7) + bytes(i % 7) for i in range(3000))
    offsets = impl.index_many(cls, data)
    assert len(offsets) == 3001 and offsets[-1] == len(data)
    assert all(b - a == 2 + i % 7 for i, (a, b) in enumerate(itertools.pairwise(offsets)))
    assert refused(impl, impl.index_many, cls, data + b"\x05\0a") == (
        len(data) + 2,
        3,
        1,
        "P.data",
    )


def test_text_that_no_column_takes():
    cls = define(wire, "big", n=names(wire).u8, data=bytes)
    much = mmap.mmap(-1, (1 << 31) + 1)  # never touched
    with pytest.raises(OverflowError) as caught:
        wire.unpack_many(cls, much)
    much.close()
    assert str(caught.value) == (
        "P.data: 2147483648 bytes of text are more than one chunk can have"
    )


# ---- arguments


def test_arguments(impl, fixed):
    for function in (impl.unpack_many, impl.index_many):
        name = function.__name__
        for args, text in (
            ((int, b""), f"{name}() wants a record class, got int"),
            ((fixed, "x"), f"{name}() wants a contiguous buffer, got str"),
            (
                (define(impl, "big", x=object), b""),
                f"{name}(): P.x: no wire layout for <class 'object'>",
            ),
        ):
            with pytest.raises(TypeError) as caught:
                function(*args)
            assert str(caught.value) == text
    for value in ("x", None, 3):
        with pytest.raises(ValueError) as caught:
            impl.unpack_many(fixed, b"", on_error=value)
        assert str(caught.value) == (
            f"unpack_many() on_error must be 'raise', 'skip' or 'report', got {value!r}"
        )
    with pytest.raises(ValueError) as caught:
        impl.unpack_many(fixed, b"", max_errors=-1)
    assert str(caught.value) == "unpack_many() max_errors must not be negative, got -1"
    with pytest.raises(TypeError):
        impl.unpack_many(fixed, b"", max_errors="1")
    with pytest.raises(TypeError):
        impl.unpack_many(fixed, b"", None)


def test_tables_of_the_same_implementation(impl, fixed):
    records = importlib.import_module(impl.__name__.replace("wire", "records"))
    assert isinstance(impl.unpack_many(fixed, b""), records.RecordTable)
    assert layouts.plain(impl.unpack_many(fixed, b"\0\1\1")[0]) == (
        "P",
        [("int", "1"), ("bool", "True")],
    )
