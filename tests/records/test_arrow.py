"""The Arrow PyCapsule interface: tables out to the libraries people use, and their objects in.

What needs no library reads and writes the structs by hand (`arrow_structs`). The twin is pyarrow
behind the same names; addresses and struct layouts are checked on the native tables.
"""

import array
import ctypes
import datetime
import errno
import itertools
import math
import struct
from typing import Annotated, Any

import pytest

from records.arrow_structs import (
    NULLABLE,
    ArrayProducer,
    Column,
    Ledger,
    Producer,
    Stream,
    Taken,
    addresses,
    batch,
    capsule_of,
    fixed,
    make_schema,
    release,
    take,
    take_array,
    text,
)

integration = pytest.mark.integration


@pytest.fixture
def impl(impl):
    if impl.__name__.startswith("ferrule.pure"):
        pytest.importorskip("pyarrow", reason="the twin's Arrow is pyarrow")
    return impl


@pytest.fixture
def pa():
    return pytest.importorskip("pyarrow")


@pytest.fixture
def pl():
    return pytest.importorskip("polars")


@pytest.fixture
def duckdb():
    return pytest.importorskip("duckdb")


@pytest.fixture
def pd():
    pytest.importorskip("pyarrow")
    return pytest.importorskip("pandas")


@pytest.fixture
def na():
    return pytest.importorskip("nanoarrow")


@pytest.fixture
def np():
    return pytest.importorskip("numpy")


# ---- record classes and rows


def one(impl: Any, annotation: Any) -> Any:
    """A record class with one field x."""
    return impl.make_record("One", [("x", annotation)])


def table_of(impl: Any, annotation: Any, values: Any) -> Any:
    return impl.RecordTable(one(impl, annotation), [(value,) for value in values])


def kinds(impl: Any) -> dict[str, tuple[Any, str, list[Any]]]:
    """Field name -> annotation, Arrow format, values."""
    return {
        "a": (impl.i8, "c", [-128, 0, 127]),
        "b": (impl.i16, "s", [-(2**15), 0, 2**15 - 1]),
        "c": (impl.i32, "i", [-(2**31), 0, 2**31 - 1]),
        "d": (impl.i64, "l", [-(2**63), 0, 2**63 - 1]),
        "e": (impl.u8, "C", [0, 1, 255]),
        "f": (impl.u16, "S", [0, 1, 2**16 - 1]),
        "g": (impl.u32, "I", [0, 1, 2**32 - 1]),
        "h": (impl.u64, "L", [0, 1, 2**64 - 1]),
        "i": (impl.f32, "f", [0.5, -1.25, math.inf]),
        "j": (impl.f64, "g", [1e300, -0.0, 5e-324]),
        "k": (impl.bool8, "b", [True, False, True]),
        "l": (int, "l", [-1, 2**62, 7]),
        "m": (float, "g", [0.1, -math.inf, 2.0]),
        "n": (bool, "b", [False, False, True]),
        "o": (Annotated[bytes, impl.Size(3)], "w:3", [b"abc", b"\0\0\0", b"\xff\0z"]),
        "p": (Annotated[str, impl.Size(6)], "u", ["é€", "", "sixsix"]),
        "q": (str, "u", ["text", "", "\U0001f600\0é"]),
        "r": (bytes, "z", [b"", b"\0\xff", b"long" * 1000]),
        "s": (Annotated[str, impl.Coded], "c", ["one", "", "one"]),
        "t": (Annotated[str, impl.Size(9), impl.Coded], "c", ["é", "é", "b"]),
    }


def everything(impl: Any, *, nullable: bool = False) -> Any:
    name = "Maybe" if nullable else "Everything"
    return impl.make_record(
        name,
        [
            (field, annotation | None if nullable else annotation)
            for field, (annotation, _, _) in kinds(impl).items()
        ],
    )


def all_rows(impl: Any, count: int = 3, *, nullable: bool = False) -> list[tuple[Any, ...]]:
    """So many rows; with nulls in every second row, a different third of the fields each."""
    columns = [values for _, _, values in kinds(impl).values()]
    return [
        tuple(
            None if nullable and row % 2 and (row + i) % 3 == 0 else values[(row + i) % 3]
            for i, values in enumerate(columns)
        )
        for row in range(count)
    ]


def big(impl: Any, count: int, *, nullable: bool = False, cls: Any = None) -> Any:
    return impl.RecordTable(
        cls or everything(impl, nullable=nullable), all_rows(impl, count, nullable=nullable)
    )


def rows(table: Any) -> list[tuple[Any, ...]]:
    names = table.record_class.__match_args__
    return list(zip(*(table.column(name).tolist() for name in names), strict=True))


def dicts(table: Any) -> list[dict[str, Any]]:
    """As pyarrow's to_pylist gives them."""
    names = table.record_class.__match_args__
    return [dict(zip(names, row, strict=True)) for row in rows(table)]


def in_chunks(impl: Any, *lengths: int, nullable: bool = False) -> Any:
    """A table extended with tables of so many rows, which keeps them as chunks."""
    cls = everything(impl, nullable=nullable)
    table = impl.RecordTable(cls)
    for length in lengths:
        table.extend(big(impl, length, nullable=nullable, cls=cls))
    return table


class OnlyStream:
    """An Arrow object like another, and nothing but that; says how it was asked."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.asked: list[Any] = []

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        self.asked.append(requested_schema)
        return self.source.__arrow_c_stream__(requested_schema)


class OnlyArray:
    def __init__(self, source: Any) -> None:
        self.source = source

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self.source.__arrow_c_array__(requested_schema)


LOADS = {
    "from_arrow": lambda impl, cls, source: impl.RecordTable.from_arrow(cls, source),
    "constructor": lambda impl, cls, source: impl.RecordTable(cls, source),
    "extend": lambda impl, cls, source: extended(impl, cls, source),
}


def extended(impl: Any, cls: Any, source: Any) -> Any:
    table = impl.RecordTable(cls)
    table.extend(source)
    return table


def refused(impl: Any, cls: Any, source: Any, error: Any, *, match: str) -> None:
    """from_arrow and extend refuse, and leave everything as it was."""
    with pytest.raises(error, match=match):
        impl.RecordTable.from_arrow(cls, source())
    table = impl.RecordTable(cls)
    with pytest.raises(error, match=match):
        table.extend(source())
    assert len(table) == 0
    assert all(table.column(name).tolist() == [] for name in cls.__match_args__)


# ---- out: the structs


def test_schema_names_types_and_nullability(impl):
    for nullable in (False, True):
        table = impl.RecordTable(everything(impl, nullable=nullable))
        schema = take(table.__arrow_c_schema__(), "arrow_schema")
        assert schema.format == b"+s" and schema.n_children == 20 and not schema.dictionary
        for i, (name, (_, format_, _)) in enumerate(kinds(impl).items()):
            child = schema.children[i].contents
            assert child.name.decode() == name
            assert child.format.decode() == format_
            assert child.flags & NULLABLE == (NULLABLE if nullable else 0)
            assert bool(child.dictionary) == (name in "st")
            if child.dictionary:
                assert child.dictionary.contents.format == b"u"
        release(schema)


@pytest.mark.parametrize("nullable", [False, True])
def test_array_and_stream_hold_the_values(impl, nullable):
    table = big(impl, 21, nullable=nullable)
    want = rows(table)
    taken = take_array(table)
    assert taken.array.length == 21 and taken.schema.format == b"+s"
    columns = [taken.child(i).values() for i in range(20)]
    assert list(zip(*columns, strict=True)) == want
    assert not taken.buffer(0) and taken.array.null_count == 0
    taken.release()
    stream = Stream(table.__arrow_c_stream__())
    schema = stream.schema()
    got: list[Any] = []
    while chunk := stream.next():
        part = Taken(schema, chunk)
        got += zip(*(part.child(i).values() for i in range(20)), strict=True)
        release(chunk)
    assert got == want and stream.last_error() is None
    release(schema)
    stream.release()


def test_null_counts_of_exports(impl):
    table = table_of(impl, impl.i64 | None, [1, None, 3, None, None])
    for part, nulls in ((table, 3), (table[:1], 0), (table[1:2], 1), (table[3:], 2)):
        taken = take_array(part)
        child = taken.child(0)
        assert child.array.null_count in (-1, nulls)
        assert child.values() == part.column("x").tolist()
        taken.release()


def test_an_empty_table_exports(impl):
    for cls in (everything(impl), everything(impl, nullable=True)):
        for table in (impl.RecordTable(cls), impl.RecordTable(cls)[:], big(impl, 3)[2:2]):
            taken = take_array(table)
            assert taken.array.length == 0
            assert all(taken.child(i).values() == [] for i in range(20))
            taken.release()
            stream = Stream(table.__arrow_c_stream__())
            schema = stream.schema()
            assert schema.n_children == 20
            while chunk := stream.next():
                assert chunk.length == 0
                release(chunk)
            release(schema)
            stream.release()


def test_the_end_of_a_stream_stays_the_end(impl):
    stream = Stream(big(impl, 3).__arrow_c_stream__())
    release(stream.next())
    for _ in range(3):
        assert stream.next() is None
    for _ in range(2):
        release(stream.schema())
    stream.release()


def test_columns_export_themselves(impl):
    table = big(impl, 9, nullable=True)[1:]
    for name, (_, format_, _) in kinds(impl).items():
        column = table.column(name)
        schema = take(column.__arrow_c_schema__(), "arrow_schema")
        assert (schema.name.decode(), schema.format.decode()) == (name, format_)
        assert schema.flags & NULLABLE
        release(schema)
        taken = take_array(column)
        assert taken.schema.format.decode() == format_
        assert taken.values() == column.tolist()
        taken.release()
        stream = Stream(column.__arrow_c_stream__())
        schema, chunk = stream.schema(), stream.next()
        assert Taken(schema, chunk).values() == column.tolist() and stream.next() is None
        for made in (chunk, schema):
            release(made)
        stream.release()


def test_buffers_start_at_a_multiple_of_64(native):
    table = big(native, 100, nullable=True)
    for found in addresses(table).values():
        assert [address % 64 for address in found if address] == [0] * len(
            [address for address in found if address]
        )


def test_several_chunks_are_joined_for_an_array_and_streamed_as_they_are(native):
    table = in_chunks(native, 50, 70, 90, nullable=True)
    count = table.chunk_count
    want = rows(table)
    assert count > 1 and len(want) == 210
    stream = Stream(table.__arrow_c_stream__())
    lengths = []
    while chunk := stream.next():
        lengths.append(chunk.length)
        release(chunk)
    stream.release()
    assert len(lengths) == count and sum(lengths) == 210 and min(lengths) > 0
    taken = take_array(table)
    assert list(zip(*(taken.child(i).values() for i in range(20)), strict=True)) == want
    taken.release()
    assert table.chunk_count == 1 and rows(table) == want
    assert addresses(table) == addresses(table)


def test_a_stream_is_of_the_time_of_the_call(impl):
    table = table_of(impl, str, "ab")
    stream = Stream(table.__arrow_c_stream__())
    table.append(("c",))
    schema, chunk = stream.schema(), stream.next()
    assert Taken(schema, chunk).child(0).values() == ["a", "b"] and stream.next() is None
    release(chunk)
    release(schema)
    stream.release()


@pytest.mark.parametrize("start", [*range(18), 63, 64, 65])
def test_slices_at_every_bit(impl, start):
    values = [[True, False, None][i * i % 3] for i in range(90)]
    table = table_of(impl, bool | None, values)
    for stop in (start, start + 1, start + 7, start + 8, 90):
        taken = take_array(table[start:stop])
        assert taken.child(0).values() == values[start:stop]
        taken.release()
        copied = impl.RecordTable.from_arrow(table.record_class, OnlyArray(table[start:stop]))
        assert copied.column("x").tolist() == values[start:stop]
        copied.append((True,))
        assert copied.column("x").tolist() == [*values[start:stop], True]


def test_addresses_of_a_slice_are_those_of_the_table(native):
    table = big(native, 40, nullable=True)
    whole = take_array(table)
    part = take_array(table[7:30])
    for i in range(20):
        mine, its = whole.child(i), part.child(i)
        assert its.array.length == 23
        width = {"c": 1, "C": 1, "s": 2, "S": 2, "i": 4, "I": 4, "f": 4, "l": 8, "L": 8, "g": 8}
        size = width.get(its.schema.format.decode(), 0)
        shift = 7 - its.array.offset
        if size:
            assert its.buffer(1) == mine.buffer(1) + shift * size
        else:
            assert (its.buffer(1), its.array.offset) == (mine.buffer(1), 7) or shift
    whole.release()
    part.release()


# ---- out: what is exported never changes


def test_appending_leaves_exports_alone(impl):
    table = big(impl, 5, nullable=True)
    want = rows(table)
    kept = take_array(table)
    stream = Stream(table.__arrow_c_stream__())
    part = table[1:4]
    fresh = big(impl, 300)
    for row in rows(fresh):
        table.append(row)
    part.append(rows(fresh)[0])
    table.extend(table)
    table.extend({name: table.column(name) for name in table.record_class.__match_args__})
    schema, chunk = stream.schema(), stream.next()
    for taken in (kept, Taken(schema, chunk)):
        got = list(zip(*(taken.child(i).values() for i in range(20)), strict=True))
        assert got == want
    del table, part
    got = list(zip(*(kept.child(i).values() for i in range(20)), strict=True))
    assert got == want
    kept.release()
    release(chunk)
    release(schema)
    stream.release()


def test_a_first_null_leaves_exports_without_validity_alone(impl):
    table = table_of(impl, impl.i64 | None, range(5))
    kept = take_array(table)
    table.append((None,))
    assert kept.child(0).values() == list(range(5))
    assert take_values(table) == [*range(5), None]
    kept.release()


def take_values(table: Any) -> list[Any]:
    taken = take_array(table)
    values = taken.child(0).values()
    taken.release()
    return values


def test_a_growing_dictionary_leaves_exports_alone(impl):
    table = table_of(impl, Annotated[str, impl.Coded], ["first", "second"])
    kept = []
    for known in (2, 100, 127, 128, 129, 500, 32_766, 32_768, 32_770):
        table.extend({"x": [f"text {i}" for i in range(len(table), known)]})
        taken = take_array(table)
        child = taken.child(0)
        assert child.schema.format == (b"c" if known <= 128 else b"s" if known <= 32_768 else b"i")
        assert child.dictionary().array.length == child.array.length == known
        kept.append(taken)
    want = table.column("x").tolist()
    for taken in kept:
        child = taken.child(0)
        rows_ = range(0, child.array.length, child.array.length // 50 or 1)
        assert [child.value(row) for row in rows_] == [want[row] for row in rows_]
        assert child.value(child.array.length - 1) == want[child.array.length - 1]
        taken.release()


def test_all_chunks_of_a_stream_have_one_type_and_dictionaries_that_decode(impl):
    cls = one(impl, Annotated[str, impl.Coded])
    table = impl.RecordTable(cls)
    for k in range(3):
        table.extend(impl.RecordTable(cls, [(f"{k} {i}",) for i in range(90)]))
    stream = Stream(table.__arrow_c_stream__())
    schema = stream.schema()
    assert schema.children[0].contents.format == b"s"
    got: list[Any] = []
    while chunk := stream.next():
        got += Taken(schema, chunk).child(0).values()
        release(chunk)
    release(schema)
    stream.release()
    assert got == [f"{k} {i}" for k in range(3) for i in range(90)]


def test_moved_structs(impl):
    """A consumer may take children out, release the parent, and read on."""
    table = big(impl, 5)
    want = rows(table)
    taken = take_array(table)
    del table
    moved = [Taken(_moved(taken.child(i).schema), _moved(taken.child(i).array)) for i in range(20)]
    words = _moved(moved[18].dictionary().array)
    taken.release()
    assert not taken.array.release and not taken.schema.release
    assert [column.values() for column in moved[:18]] == [
        list(values) for values in list(zip(*want, strict=True))[:18]
    ]
    assert moved[19].values() == [row[19] for row in want]
    moved[18].release()
    assert Taken(moved[16].schema, words).values() == list(dict.fromkeys(row[18] for row in want))
    release(words)
    for column in (*moved[:18], moved[19]):
        column.release()


def _moved(one: Any) -> Any:
    kept = type(one)()
    ctypes.memmove(ctypes.addressof(kept), ctypes.addressof(one), ctypes.sizeof(one))
    one.release = None
    return kept


# ---- out: requested_schema


_requests: list[Ledger] = []


@pytest.fixture(autouse=True)
def requests_end():
    yield
    while _requests:
        _requests.pop().close()


def requested(*columns: Column, whole: Column | None = None) -> Any:
    """A schema capsule that asks for these columns."""
    ledger = Ledger()
    _requests.append(ledger)
    return ledger.encapsulate(make_schema(whole or batch(*columns), ledger))


def asked(format_: str, name: str = "x", *, dictionary: str | None = None, flags: int = 2) -> Any:
    """A column that is only a type."""
    values = None if dictionary is None else Column(dictionary, 0, [])
    return Column(format_, 0, [], name, flags=flags, dictionary=values)


HONOURED = [
    ("i8", "csil"), ("i16", "sil"), ("i32", "il"), ("i64", "l"),
    ("u8", "CSIL"), ("u16", "SIL"), ("u32", "IL"), ("u64", "L"),
    ("f32", "fg"), ("f64", "g"), ("bool8", "b"),
]  # fmt: skip
EVERY_FORMAT = [*"csilCSILfgbuzUZn", "w:3", "vu", "vz", "tdD", "tsu:"]
VALUES = {"f": [0.5, -2.25], "b": [True, False]}


@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize(("kind", "formats"), HONOURED)
def test_requested_numbers(impl, kind, formats, nullable):
    values = VALUES.get(kind[0], [0, 127, 5])
    annotation = getattr(impl, kind)
    table = table_of(impl, annotation | None if nullable else annotation, values)
    if nullable:
        table.append((None,))
    for part in (table, table[1:], table[:0]):
        want = part.column("x").tolist()
        for format_ in EVERY_FORMAT:
            if format_ in formats:
                taken = take_array(part, requested(asked(format_)))
                assert taken.child(0).schema.format.decode() == format_
                assert taken.child(0).values() == want
                taken.release()
            else:
                with pytest.raises(ValueError, match=r"\bx\b|'x'"):
                    part.__arrow_c_array__(requested(asked(format_)))
                with pytest.raises(ValueError, match=r"\bx\b|'x'"):
                    part.__arrow_c_stream__(requested(asked(format_)))


def test_requested_text_bytes_and_dictionaries(impl):
    words = ["a", "é" * 100, "", "a"]
    coded = {"c", "s", "i", "l"}
    for annotation, values, formats in (
        (str, words, {"u", "U"}),
        (str | None, [*words, None], {"u", "U"}),
        (Annotated[str, impl.Size(200)], words, {"u", "U"}),
        (bytes, [b"", b"a\0"], {"z", "Z"}),
        (Annotated[bytes, impl.Size(3)], [b"abc"], {"w:3"}),
        (Annotated[str, impl.Coded], words, {"u", "U"}),
        (Annotated[str, impl.Coded] | None, [*words, None], {"u", "U"}),
    ):
        table = table_of(impl, annotation, values)
        for part in (table, table[1:], table[1:2]):
            for format_ in EVERY_FORMAT:
                if format_ in formats:
                    taken = take_array(part, requested(asked(format_)))
                    assert taken.child(0).schema.format.decode() == format_
                    assert not taken.child(0).schema.dictionary
                    assert taken.child(0).values() == part.column("x").tolist()
                    taken.release()
                else:
                    with pytest.raises(ValueError, match=r"\bx\b|'x'"):
                        part.__arrow_c_array__(requested(asked(format_)))
    table = table_of(impl, Annotated[str, impl.Coded] | None, [*words, None])
    for format_ in sorted(coded):
        taken = take_array(table, requested(asked(format_, dictionary="u")))
        assert taken.child(0).schema.format.decode() == format_
        assert taken.child(0).values() == [*words, None]
        taken.release()
    for format_, values in (("S", "u"), ("c", "z"), ("c", "l")):
        with pytest.raises(ValueError, match=r"\bx\b|'x'"):
            table.__arrow_c_array__(requested(asked(format_, dictionary=values)))
    wide = table_of(impl, Annotated[str, impl.Coded], map(str, range(200)))
    with pytest.raises(ValueError, match=r"\bx\b|'x'"):
        wide.__arrow_c_array__(requested(asked("c", dictionary="u")))
    with pytest.raises(ValueError, match=r"\bx\b|'x'"):
        table_of(impl, str, "ab").__arrow_c_array__(requested(asked("c", dictionary="u")))


def test_a_request_reaches_every_chunk(native):
    cls = one(native, native.i8)
    table = native.RecordTable(cls)
    for start in (-128, -28, 72):
        table.extend(native.RecordTable(cls, [(start + i,) for i in range(56)]))
    assert table.chunk_count > 1
    stream = Stream(table.__arrow_c_stream__(requested(asked("l"))))
    schema = stream.schema()
    got = []
    while chunk := stream.next():
        got += Taken(schema, chunk).child(0).values()
        release(chunk)
    release(schema)
    stream.release()
    assert got == table.column("x").tolist() and table.chunk_count > 1


def test_requested_nullability(impl):
    table = table_of(impl, impl.i64 | None, [1, None])
    with pytest.raises(ValueError, match=r"\bx\b|'x'.*null"):
        table.__arrow_c_array__(requested(asked("l", flags=0)))
    with pytest.raises(ValueError, match=r"\bx\b|'x'.*null"):
        table.__arrow_c_stream__(requested(asked("l", flags=0)))
    for source, flags in ((table[:1], 0), (table, 2), (table_of(impl, impl.i64, [1]), 2)):
        taken = take_array(source, requested(asked("l", flags=flags)))
        assert taken.child(0).values() == source.column("x").tolist()
        taken.release()


def test_requests_for_other_columns(impl):
    cls = impl.make_record("Two", [("x", impl.i64), ("y", impl.f64)])
    table = impl.RecordTable(cls, [(1, 2.0)])
    x, y = asked("l"), asked("g", "y")
    for wrong in ([x], [y, x], [x, y, x], [x, asked("g", "z")], [], [x, x]):
        for export in (table.__arrow_c_array__, table.__arrow_c_stream__):
            with pytest.raises(ValueError, match=r"Two|\b[xyz]\b|field|column"):
                export(requested(*wrong))
    with pytest.raises(ValueError):
        table.__arrow_c_array__(requested(whole=asked("l")))
    taken = take_array(table, requested(x, y))
    assert [taken.child(i).values() for i in range(2)] == [[1], [2.0]]
    taken.release()


def test_requests_of_columns(impl):
    table = table_of(impl, impl.i32 | None, [1, None])
    column = table.column("x")
    taken = take_array(column, requested(whole=asked("l", "any name")))
    assert taken.values() == [1, None] and taken.schema.format == b"l"
    taken.release()
    for wrong in (asked("s"), asked("g"), asked("u"), asked("l", flags=0), batch(asked("i"))):
        with pytest.raises(ValueError, match="x"):
            column.__arrow_c_array__(requested(whole=wrong))
        with pytest.raises(ValueError, match="x"):
            column.__arrow_c_stream__(requested(whole=wrong))


def test_none_requests_nothing(impl):
    table = table_of(impl, impl.i8, [1])
    for call in (
        lambda: table.__arrow_c_array__(None),
        lambda: table.__arrow_c_array__(requested_schema=None),
    ):
        schema, _ = call()
        assert take(schema, "arrow_schema").children[0].contents.format == b"c"
    table.__arrow_c_stream__(None)
    table.__arrow_c_stream__(requested_schema=None)


def test_requests_for_what_is_no_type(native):
    for annotation in (native.i64, str, Annotated[str, native.Coded]):
        table = table_of(native, annotation, [])
        for wrong in (
            asked(""),
            asked("w:"),
            asked("ll"),
            asked("u", dictionary="u"),
            asked("c", dictionary="+l"),
            Column("+l", 0, [], "x", children=[asked("l")]),
            Column("+s", 0, [], "x", children=[asked("l")]),
        ):
            with pytest.raises(ValueError, match=r"\bx\b|'x'"):
                table.__arrow_c_array__(requested(wrong))


@pytest.mark.parametrize("wrong", [5, "arrow_schema", object()])
def test_requests_that_are_no_schema_capsule(impl, wrong):
    table = table_of(impl, impl.i8, [1])
    for target in (table, table.column("x")):
        for export in (target.__arrow_c_array__, target.__arrow_c_stream__):
            with pytest.raises((TypeError, ValueError)):
                export(wrong)
            with pytest.raises((TypeError, ValueError)):
                export(requested_schema=table.__arrow_c_stream__())
            with pytest.raises(TypeError):
                export(None, None)
            with pytest.raises(TypeError):
                export(nope=None)
    with pytest.raises(TypeError):
        table.__arrow_c_schema__(None)


def test_a_request_already_released_is_refused(native):
    table = table_of(native, native.i8, [1])
    capsule = table.__arrow_c_schema__()
    release(take(capsule, "arrow_schema"))
    with pytest.raises(ValueError, match="released"):
        table.__arrow_c_array__(capsule)


def test_a_request_is_only_looked_at(native):
    table = table_of(native, native.i8, [1])
    capsule = table.__arrow_c_schema__()
    for _ in range(3):
        table.__arrow_c_stream__(capsule)
    release(take(capsule, "arrow_schema"))


# ---- out: pyarrow


def arrow_type(pa: Any, impl: Any, name: str) -> Any:
    return {
        "a": pa.int8(), "b": pa.int16(), "c": pa.int32(), "d": pa.int64(),
        "e": pa.uint8(), "f": pa.uint16(), "g": pa.uint32(), "h": pa.uint64(),
        "i": pa.float32(), "j": pa.float64(), "k": pa.bool_(), "l": pa.int64(),
        "m": pa.float64(), "n": pa.bool_(), "o": pa.binary(3), "p": pa.utf8(),
        "q": pa.utf8(), "r": pa.binary(), "s": pa.dictionary(pa.int8(), pa.utf8()),
        "t": pa.dictionary(pa.int8(), pa.utf8()),
    }[name]  # fmt: skip


@integration
@pytest.mark.parametrize("nullable", [False, True])
def test_pyarrow_reads_a_table(impl, pa, nullable):
    table = big(impl, 33, nullable=nullable)
    want = pa.schema(
        [pa.field(name, arrow_type(pa, impl, name), nullable=nullable) for name in kinds(impl)]
    )
    assert pa.schema(table).equals(want)
    for part in (table, table[3:20], table[::-2], table[:0]):
        read = pa.table(part)
        read.validate(full=True)
        assert read.schema.equals(want)
        assert read.to_pylist() == dicts(part)
        made = pa.record_batch(part)
        made.validate(full=True)
        assert made.to_pylist() == dicts(part)
        with pa.RecordBatchReader.from_stream(part) as reader:
            assert reader.read_all().equals(read)


@integration
def test_pyarrow_reads_the_same_memory(native, pa):
    table = big(native, 50, nullable=True)
    mine = addresses(table)
    batch_, read = pa.record_batch(table), pa.table(table)
    for i, name in enumerate(kinds(native)):
        for column in (batch_.column(i), read.column(i).chunk(0)):
            theirs = [0 if b is None else b.address for b in column.buffers()]
            assert theirs[: len(mine[name])] == mine[name]


@integration
def test_pyarrow_sees_chunks(native, pa):
    table = in_chunks(native, 50, 70, 90)
    want = dicts(table)
    read = pa.table(table)
    assert read.column("a").num_chunks == table.chunk_count > 1 and read.to_pylist() == want
    read.validate(full=True)
    assert pa.record_batch(table).to_pylist() == want


@integration
def test_pyarrow_reads_columns(impl, pa):
    table = big(impl, 20, nullable=True)[3:]
    for name in kinds(impl):
        column = table.column(name)
        made, read = pa.array(column), pa.chunked_array(column)
        made.validate(full=True)
        assert made.to_pylist() == read.to_pylist() == column.tolist()
        assert made.type == arrow_type(pa, impl, name)
        assert pa.field(column).equals(pa.field(name, made.type, nullable=True))


@integration
def test_pyarrow_requests_a_schema(impl, pa):
    table = table_of(impl, impl.i8 | None, [1, None, 3])
    wanted = pa.schema([("x", pa.int64())])
    assert pa.table(table, schema=wanted).schema.equals(wanted)
    assert pa.record_batch(table, schema=wanted).to_pylist() == dicts(table)
    reader = pa.RecordBatchReader.from_stream(table, schema=wanted)
    assert reader.read_all().to_pylist() == dicts(table)
    with pytest.raises(ValueError, match="x"):
        pa.table(table, schema=pa.schema([("x", pa.utf8())]))


@integration
def test_pyarrow_computes_on_it(impl, pa):
    compute = pytest.importorskip("pyarrow.compute")
    table = big(impl, 100, nullable=True)
    read = pa.table(table)
    want = [value for value in table.column("c") if value is not None]
    assert compute.sum(read["c"]).as_py() == sum(want)
    assert read.group_by("s").aggregate([([], "count_all")]).num_rows == 3
    assert read.sort_by("q").num_rows == 100
    assert read.filter(compute.field("k")).num_rows == table.column("k").tolist().count(True)


@integration
def test_what_pyarrow_holds_outlives_the_table_and_its_growth(impl, pa):
    table = big(impl, 30, nullable=True)
    want = dicts(table)
    read, part = pa.table(table), pa.record_batch(table[7:])
    for row in rows(big(impl, 200)):
        table.append(row)
    assert read.to_pylist() == want and part.to_pylist() == want[7:]
    del table
    assert read.to_pylist() == want and part.to_pylist() == want[7:]


# ---- out: the others


@integration
@pytest.mark.parametrize("nullable", [False, True])
def test_polars_reads_a_table(impl, pl, nullable):
    table = big(impl, 33, nullable=nullable)
    for part in (table, table[3:20], table[:0], OnlyStream(table[5:])):
        whole = part.source if isinstance(part, OnlyStream) else part
        frame = pl.DataFrame(part)
        assert frame.to_dicts() == dicts(whole)
        assert frame.columns == list(kinds(impl))
    frame = pl.DataFrame(table)
    assert frame.schema["a"] == pl.Int8 and frame.schema["h"] == pl.UInt64
    assert frame.schema["k"] == pl.Boolean and frame.schema["q"] == pl.String
    assert frame.schema["s"] == pl.Categorical and frame.schema["r"] == pl.Binary
    assert pl.Series(table.column("c")).to_list() == table.column("c").tolist()


@integration
def test_polars_reads_the_same_memory(native, pl, np):
    table = big(native, 50)
    mine = addresses(table)
    frame = pl.DataFrame(table)
    for name in "abcdefghijlm":
        seen = frame[name].to_numpy(allow_copy=False)
        assert seen.__array_interface__["data"][0] == mine[name][1]


@integration
def test_polars_keeps_what_it_has(impl, pl):
    table = big(impl, 30, nullable=True)
    want = dicts(table)
    frame = pl.DataFrame(table)
    table.extend(table)
    del table
    assert frame.to_dicts() == want


@integration
def test_polars_reads_chunks_and_growing_dictionaries(impl, pl):
    cls = one(impl, Annotated[str, impl.Coded] | None)
    table = impl.RecordTable(cls)
    for k in range(3):
        table.extend(impl.RecordTable(cls, [(f"{k} {i}",) for i in range(90)]))
    table.append((None,))
    assert pl.DataFrame(table)["x"].to_list() == table.column("x").tolist()


@integration
@pytest.mark.parametrize("nullable", [False, True])
def test_duckdb_reads_a_table(impl, duckdb, nullable):
    table = big(impl, 33, nullable=nullable)
    chunked = in_chunks(impl, 50, 70, 90, nullable=nullable)
    for part in (table, table[3:20], table[:0], OnlyStream(table[5:]), chunked):
        whole = part.source if isinstance(part, OnlyStream) else part
        with duckdb.connect() as connection:
            got = connection.sql("select * from part").fetchall()
            assert got == rows(whole)
            total, *_ = connection.sql("select sum(c), count(s) from part").fetchall()[0]
        want = [value for value in whole.column("c") if value is not None]
        assert total == (sum(want) if want else None)


@integration
def test_duckdb_groups_by_coded_text(impl, duckdb):
    readings = big(impl, 60, nullable=True)
    with duckdb.connect() as connection:
        got = dict(connection.sql("select s, count(*) from readings group by s").fetchall())
    want: dict[Any, int] = {}
    for value in readings.column("s"):
        want[value] = want.get(value, 0) + 1
    assert got == want


@integration
@pytest.mark.parametrize("nullable", [False, True])
def test_pandas_reads_a_table(impl, pd, pa, nullable):
    table = big(impl, 33, nullable=nullable)
    for part in (table, table[3:20], table[:0]):
        frame = pa.table(part).to_pandas(types_mapper=pd.ArrowDtype)
        got = [tuple(None if pd.isna(v) else v for v in row) for row in frame.values.tolist()]
        assert got == rows(part)
        if hasattr(pd.DataFrame, "from_arrow"):
            frame = pd.DataFrame.from_arrow(part)
            assert frame.shape == (len(part), 20) and list(frame.columns) == list(kinds(impl))
            assert frame["q"].tolist() == part.column("q").tolist() or nullable


@integration
def test_pandas_reads_the_same_memory(native, pd, pa):
    table = big(native, 50, nullable=True)
    mine = addresses(table)
    frame = pa.table(table).to_pandas(types_mapper=pd.ArrowDtype)
    for name in kinds(native):
        held = frame[name].array.__arrow_array__().chunk(0)
        theirs = [0 if b is None else b.address for b in held.buffers()]
        assert theirs[: len(mine[name])] == mine[name]


@integration
def test_nanoarrow_reads_a_table(impl, na):
    for nullable in (False, True):
        table = big(impl, 33, nullable=nullable)
        assert list(na.Array(table).iter_tuples()) == rows(table)
        for part in (table[3:20], table[8:], table[:0]):
            # its iterator does not add the offset of bytes of a fixed size: leave `o` out
            want = [row[:14] + row[15:] for row in rows(part)]
            got = list(na.ArrayStream(part).iter_tuples())
            assert [row[:14] + row[15:] for row in got] == want
        schema = na.Schema(table)
        assert [field.name for field in schema.fields] == list(kinds(impl))
        assert {field.nullable for field in schema.fields} == {nullable}


@integration
def test_nanoarrow_reads_the_same_memory(native, na):
    table = big(native, 50, nullable=True)
    mine = addresses(table)
    made = na.c_array(table)
    for i, name in enumerate(kinds(native)):
        assert list(made.child(i).buffers) == mine[name]


@integration
def test_numpy_reads_a_column_in_place(native, np):
    table = big(native, 50)
    mine = addresses(table)
    for name in "abcdefghijlm":
        seen = np.asarray(table.column(name))
        assert seen.__array_interface__["data"][0] == mine[name][1]
        assert seen.tolist() == table.column(name).tolist() and not seen.flags.writeable


# ---- in: pyarrow


def arrow_table(pa: Any, impl: Any, count: int = 33, *, nullable: bool = False) -> Any:
    """A pyarrow table of exactly the types of the record class, made by pyarrow."""
    columns = list(zip(*all_rows(impl, count, nullable=nullable), strict=True))
    return pa.table(
        [pa.array(c, arrow_type(pa, impl, n)) for n, c in zip(kinds(impl), columns, strict=True)],
        names=list(kinds(impl)),
    )


@integration
@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("nullable", [False, True])
def test_tables_of_pyarrow_come_in(impl, pa, load, nullable):
    cls = everything(impl, nullable=nullable)
    source = arrow_table(pa, impl, nullable=nullable)
    batches = source.to_batches(max_chunksize=10)
    assert len(batches) == 4
    chunked = pa.Table.from_batches(batches)
    for one_ in (
        source, source.slice(5), source.slice(3, 9), source.slice(0, 0), chunked,
        chunked.slice(9, 13), source.to_batches()[0], source.to_batches()[0].slice(1, 7),
        pa.Table.from_batches([], source.schema), OnlyArray(source.to_batches()[0].slice(2)),
    ):  # fmt: skip
        table = LOADS[load](impl, cls, one_)
        listed = one_.source if isinstance(one_, OnlyArray) else one_
        assert dicts(table) == listed.to_pylist()
        before = rows(table)
        table.append(rows(big(impl, 1))[0])
        table.extend(table)
        assert rows(table)[: len(before)] == before and len(table) == 2 * len(before) + 2
        assert listed.to_pylist() == dicts(table)[: len(before)]
    reader = pa.RecordBatchReader.from_batches(source.schema, batches)
    assert dicts(LOADS[load](impl, cls, reader)) == source.to_pylist()


@integration
def test_memory_of_pyarrow_is_shared(native, pa):
    for nullable in (False, True):
        cls = everything(native, nullable=nullable)
        source = arrow_table(pa, native, 64, nullable=nullable).combine_chunks()
        table = native.RecordTable.from_arrow(cls, source)
        mine = addresses(table)
        for name in "abcdefghijklmnopqr":
            theirs = [0 if b is None else b.address for b in source[name].chunk(0).buffers()]
            assert mine[name] == theirs, name
        part = source.slice(13, 40)
        table = native.RecordTable.from_arrow(cls, part)
        taken = take_array(table)
        for name in "abcdefghijlm":
            child = taken.named(name)
            buffer = part[name].chunk(0).buffers()[1].address
            width = part[name].type.bit_width // 8
            assert child.buffer(1) + child.array.offset * width == buffer + 13 * width
        for name in "knpqr":
            child = taken.named(name)
            assert child.buffer(1) == part[name].chunk(0).buffers()[1].address
            assert child.array.offset == 13
        taken.release()


@integration
def test_what_came_from_pyarrow_goes_back_to_the_same_memory(native, pa):
    source = arrow_table(pa, native, 64).combine_chunks()
    back = pa.table(native.RecordTable.from_arrow(everything(native), source))
    for name in "abcdefghijklmnopqr":
        assert [b and b.address for b in back[name].chunk(0).buffers()] == [
            b and b.address for b in source[name].chunk(0).buffers()
        ]
    del source
    assert [tuple(row.values()) for row in back.to_pylist()] == all_rows(native, 64)


@integration
def test_columns_are_matched_by_name(impl, pa):
    cls = impl.make_record("Two", [("x", impl.i64), ("y", str)])
    source = pa.table({"y": ["a", "b"], "x": [1, 2]})
    assert rows(impl.RecordTable.from_arrow(cls, source)) == [(1, "a"), (2, "b")]
    for wrong, name in (
        (source.drop_columns("x"), "x"),
        (source.append_column("z", [["c", "d"]]), "z"),
        (source.rename_columns(["y", "X"]), "x|X"),
        (source.append_column("x", [[3, 4]]), "x"),
        (source.select([]), "x|y"),
    ):
        refused(impl, cls, lambda wrong=wrong: wrong, ValueError, match=rf"\b({name})\b")


@integration
def test_integers_of_any_width_are_checked(impl, pa):
    names = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
    limits = {
        name: (
            (-(2 ** (int(name[3:]) - 1)), 2 ** (int(name[3:]) - 1) - 1)
            if name[0] == "i"
            else (0, 2 ** int(name[4:]) - 1)
        )
        for name in names
    }
    for kind in ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"):
        low, high = limits[kind.replace("i", "int").replace("u", "uint")]
        cls = one(impl, getattr(impl, kind) | None)
        for name in names:
            bottom, top = limits[name]
            fits = [max(low, bottom), None, min(high, top), 0]
            source = pa.table({"x": pa.array([None, *fits], getattr(pa, name)())})
            table = impl.RecordTable.from_arrow(cls, source.slice(1))
            assert table.column("x").tolist() == fits
            for wrong in {low - 1, high + 1, bottom, top}:
                if bottom <= wrong <= top and not low <= wrong <= high:
                    values = pa.array([None, *fits, wrong, wrong], getattr(pa, name)())
                    refused(
                        impl, cls, lambda values=values: pa.table({"x": values}).slice(1),
                        OverflowError, match=r"\bx\b.*\b4\b",
                    )  # fmt: skip


@integration
def test_rows_are_counted_from_the_first_batch(impl, pa):
    cls = one(impl, impl.i8)
    batches = [pa.record_batch({"x": pa.array(v, pa.int64())}) for v in ([1, 2], [3], [4, 500])]
    source = pa.Table.from_batches(batches)
    refused(impl, cls, lambda: source, OverflowError, match=r"\bx\b.*row 4\b")
    nulls = pa.table({"x": pa.chunked_array([[1, 2], [3, None]], pa.int8())})
    refused(impl, cls, lambda: nulls, ValueError, match=r"\bx\b.*row 3\b")


@integration
def test_floats_widen_but_do_not_narrow(impl, pa):
    single = pa.table({"x": pa.array([0.5, None, math.inf, 0.1], pa.float32())})
    table = impl.RecordTable.from_arrow(one(impl, impl.f64 | None), single)
    assert table.column("x").tolist() == single["x"].to_pylist()
    double = pa.table({"x": pa.array([0.5], pa.float64())})
    refused(impl, one(impl, impl.f32), lambda: double, TypeError, match=r"\bx\b")


@integration
def test_text_of_every_layout_comes_in(impl, pa):
    values = ["", "short", "é" * 50, None, "exactly 12 b", "thirteen byte", "\U0001f600" * 9] * 3
    plain = [value for value in values if value is not None]
    for make in (pa.utf8, pa.large_utf8, pa.string_view):
        source = pa.table({"x": pa.array(values, make())})
        for annotation in (
            str | None, Annotated[str, impl.Coded] | None, Annotated[str, impl.Size(200)] | None,
        ):  # fmt: skip
            cls = one(impl, annotation)
            for part in (slice(None), slice(3, 17)):
                length = len(values[part])
                table = impl.RecordTable.from_arrow(cls, source.slice(part.start or 0, length))
                assert table.column("x").tolist() == values[part]
        cls = one(impl, str)
        table = impl.RecordTable.from_arrow(cls, pa.table({"x": pa.array(plain, make())}))
        assert table.column("x").tolist() == plain
        refused(impl, cls, lambda source=source: source, ValueError, match=r"\bx\b.*row 3\b")
    for make in (pa.binary, pa.large_binary, pa.binary_view):
        encoded = [None if value is None else value.encode() for value in values]
        source = pa.table({"x": pa.array(encoded, make())})
        table = impl.RecordTable.from_arrow(one(impl, bytes | None), source.slice(2, 15))
        assert table.column("x").tolist() == encoded[2:17]


@integration
def test_dictionaries_of_any_index_come_in(impl, pa):
    values = ["a", "é", None, "a", "c", "é"]
    for index in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"):
        for text_ in (pa.utf8(), pa.large_utf8()):
            made = pa.DictionaryArray.from_arrays(
                pa.array([2, 0, None, 2, 1, 0], getattr(pa, index)()),
                pa.array(["é", "c", "a"], text_),
            )
            for annotation in (Annotated[str, impl.Coded] | None, str | None):
                cls = one(impl, annotation)
                for part in (slice(0, 6), slice(1, 5)):
                    source = pa.table({"x": made}).slice(part.start, part.stop - part.start)
                    table = impl.RecordTable.from_arrow(cls, source)
                    assert table.column("x").tolist() == values[part]
                    table.append(("new",))
                    table.append(("a",))
                    assert table.column("x").tolist() == [*values[part], "new", "a"]


@integration
def test_each_batch_may_have_a_dictionary_of_its_own(impl, pa):
    chunks = [["a", "b", "a"], ["b", "c"], [None, "z"], [f"t{i}" for i in range(200)], []]
    batches = [
        pa.record_batch({"x": pa.array(chunk, pa.utf8()).dictionary_encode()}) for chunk in chunks
    ]
    source = pa.Table.from_batches(batches)
    want = list(itertools.chain(*chunks))
    for annotation in (Annotated[str, impl.Coded] | None, str | None):
        table = impl.RecordTable.from_arrow(one(impl, annotation), source)
        assert table.column("x").tolist() == want
        table.extend(source)
        assert table.column("x").tolist() == want * 2


@integration
def test_dictionaries_may_repeat_values_and_hold_nulls(impl, pa):
    made = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2, 3, None], pa.int8()), pa.array(["a", None, "a", "b"])
    )
    want = ["a", None, "a", "b", None]
    for annotation in (Annotated[str, impl.Coded] | None, str | None):
        table = impl.RecordTable.from_arrow(one(impl, annotation), pa.table({"x": made}))
        assert table.column("x").tolist() == want and table.column("x").null_count == 2
    for annotation in (Annotated[str, impl.Coded], str):
        refused(
            impl, one(impl, annotation), lambda: pa.table({"x": made}), ValueError,
            match=r"\bx\b.*row 1\b",
        )  # fmt: skip
    unused = pa.DictionaryArray.from_arrays(pa.array([0, 2], pa.int8()), pa.array(["a", None, "b"]))
    for annotation in (Annotated[str, impl.Coded], str):
        table = impl.RecordTable.from_arrow(one(impl, annotation), pa.table({"x": unused}))
        assert table.column("x").tolist() == ["a", "b"]


@integration
def test_all_null_columns_come_into_nullable_ones(impl, pa):
    source = pa.table({"x": pa.nulls(5)})
    for annotation, _, _ in kinds(impl).values():
        table = impl.RecordTable.from_arrow(one(impl, annotation | None), source.slice(1))
        assert table.column("x").tolist() == [None] * 4
        refused(
            impl, one(impl, annotation), lambda: source, (TypeError, ValueError), match=r"\bx\b"
        )


@integration
def test_nulls_in_fields_without_none_are_refused(impl, pa):
    for name, (annotation, _, values) in kinds(impl).items():
        cls = one(impl, annotation)
        made = pa.array([None, *values, None, None], arrow_type(pa, impl, name))
        source = pa.table({"x": made})
        refused(impl, cls, lambda s=source: s.slice(1), ValueError, match=r"\bx\b.*row 3\b")
        fine = impl.RecordTable.from_arrow(cls, source.slice(1, 3))
        assert fine.column("x").tolist() == values


@integration
def test_other_types_are_refused(impl, pa):
    now = datetime.datetime(2026, 1, 1)
    columns = {
        "float": pa.array([1.5]),
        "half": pa.array([1.5], pa.float16()),
        "int": pa.array([1]),
        "bool": pa.array([True]),
        "text": pa.array(["a"]),
        "bytes": pa.array([b"abc"]),
        "fixed": pa.array([b"abcd"], pa.binary(4)),
        "time": pa.array([now]),
        "date": pa.array([now.date()]),
        "duration": pa.array([datetime.timedelta(1)]),
        "decimal": pa.array([1]).cast(pa.decimal128(20)),
        "list": pa.array([[1]]),
        "struct": pa.array([{"a": 1}]),
        "map": pa.array([[("a", 1)]], pa.map_(pa.utf8(), pa.int64())),
        "coded ints": pa.array([1]).dictionary_encode(),
        "coded bytes": pa.array([b"a"]).dictionary_encode(),
        "runs": pa.RunEndEncodedArray.from_arrays([1], ["a"]),
        "union": pa.UnionArray.from_dense(
            pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])]
        ),
    }
    taken = {
        "i8": {"int"}, "u64": {"int"}, "f32": set(), "f64": {"float"}, "bool8": {"bool"},
    }  # fmt: skip
    annotations: list[tuple[Any, set[str]]] = [
        *((getattr(impl, kind), names) for kind, names in taken.items()),
        (str, {"text"}),
        (bytes, {"bytes"}),
        (Annotated[bytes, impl.Size(3)], set()),
        (Annotated[str, impl.Coded], {"text"}),
        (str | None, {"text"}),
    ]
    for annotation, fine in annotations:
        cls = one(impl, annotation)
        for name, column in columns.items():
            if name in fine:
                assert len(impl.RecordTable.from_arrow(cls, pa.table({"x": column}))) == 1
            else:
                refused(
                    impl, cls, lambda column=column: pa.table({"x": column}), TypeError,
                    match=r"\bx\b",
                )  # fmt: skip


@integration
def test_extension_types_are_read_as_their_storage_or_refused(impl, pa):
    source = pa.table({"x": pa.array([b"a" * 16], pa.uuid())})
    try:
        table = impl.RecordTable.from_arrow(one(impl, Annotated[bytes, impl.Size(16)]), source)
    except TypeError:
        return
    assert table.column("x").tolist() == [b"a" * 16]


@integration
def test_sizes_of_text_are_checked(impl, pa):
    for make in (pa.utf8, pa.large_utf8, pa.string_view):
        source = pa.table({"x": pa.array(["abc", "é", "toolong", None], make())})
        for cls in (
            one(impl, Annotated[str, impl.Size(3)] | None),
            one(impl, Annotated[str, impl.Size(3), impl.Coded] | None),
        ):
            refused(impl, cls, lambda s=source: s, ValueError, match=r"\bx\b.*row 2\b")
            table = impl.RecordTable.from_arrow(cls, source.slice(0, 2))
            assert table.column("x").tolist() == ["abc", "é"]
    ending = pa.table({"x": ["a\0"]})
    refused(
        impl, one(impl, Annotated[str, impl.Size(3)]), lambda: ending, ValueError,
        match=r"\bx\b.*row 0\b",
    )  # fmt: skip
    assert rows(impl.RecordTable.from_arrow(one(impl, str), ending)) == [("a\0",)]


@integration
@pytest.mark.parametrize("source", ["array", "chunked", "list"])
def test_arrays_that_are_no_rows_are_refused(impl, pa, source):
    made = {
        "array": lambda: pa.array([1, 2]),
        "chunked": lambda: pa.chunked_array([[1], [2]]),
        "list": lambda: pa.array([[1], [2]]),
    }[source]
    refused(
        impl, one(impl, impl.i64), made, (TypeError, ValueError), match="struct|'l'|RecordTable"
    )


@integration
def test_struct_arrays_are_rows(native, pa):
    cls = everything(native, nullable=True)
    made = arrow_table(pa, native, 20, nullable=True).to_batches()[0].to_struct_array()
    for part in (made, made[3:], made[4:9], made[9:9]):
        table = native.RecordTable.from_arrow(cls, part)
        assert dicts(table) == part.to_pylist()
    chunked = pa.chunked_array([made[:5], made[7:]])
    table = native.RecordTable.from_arrow(cls, chunked)
    assert dicts(table) == chunked.to_pylist()


@integration
def test_rows_that_are_null_themselves(native, pa):
    made = pa.array([{"x": 1}, None, {"x": 3}], pa.struct([("x", pa.int64())]))
    for cls in (one(native, native.i64), one(native, native.i64 | None)):
        try:
            table = native.RecordTable.from_arrow(cls, OnlyArray(made))
        except ValueError as error:
            assert "null" in str(error)
        else:
            assert table.column("x").tolist() == [1, None, 3]
    fine = native.RecordTable.from_arrow(one(native, native.i64), OnlyArray(made[2:]))
    assert rows(fine) == [(3,)]


@integration
def test_a_reader_that_fails_half_way(impl, pa):
    schema = pa.schema([("x", pa.int64())])

    def batches():
        yield pa.record_batch({"x": [1, 2]})
        raise ValueError("the disk is on fire")

    cls = one(impl, impl.i64)
    refused(
        impl, cls, lambda: pa.RecordBatchReader.from_batches(schema, batches()),
        (OSError, ValueError), match="the disk is on fire",
    )  # fmt: skip
    table = impl.RecordTable(cls, [(7,)])
    with pytest.raises((OSError, ValueError), match="the disk is on fire"):
        table.extend(pa.RecordBatchReader.from_batches(schema, batches()))
    assert rows(table) == [(7,)]


@integration
def test_a_reader_is_consumed_once(impl, pa):
    cls = one(impl, impl.i64)
    source = pa.table({"x": [1, 2]})
    reader = pa.RecordBatchReader.from_batches(source.schema, source.to_batches())
    assert rows(impl.RecordTable.from_arrow(cls, reader)) == [(1,), (2,)]
    try:
        again = impl.RecordTable.from_arrow(cls, reader)
    except (OSError, ValueError):
        return
    assert rows(again) == []


@integration
def test_extending_adds_rows(impl, pa):
    cls = everything(impl, nullable=True)
    source = arrow_table(pa, impl, 20, nullable=True)
    table = impl.RecordTable(cls, all_rows(impl, 5))
    table.extend(source.slice(3))
    table.append(all_rows(impl, 1)[0])
    table.extend(source.to_batches()[0])
    want = all_rows(impl, 20, nullable=True)
    assert rows(table) == [
        *all_rows(impl, 5), *want[3:], all_rows(impl, 1)[0], *want
    ]  # fmt: skip
    assert pa.table(table).to_pylist() == dicts(table)


@integration
def test_arrays_of_records_take_arrow_rows(impl, pa):
    cls = impl.make_record(
        "Flat",
        [("a", impl.i32), ("b", impl.f32), ("c", impl.bool8),
         ("d", Annotated[bytes, impl.Size(2)]), ("e", Annotated[str, impl.Size(5)])],
    )  # fmt: skip
    want = [(i, i / 2, i % 3 == 0, b"%02d" % i, f"é{i}") for i in range(40)]
    columns = list(zip(*want, strict=True))
    types = [pa.int32(), pa.float32(), pa.bool_(), pa.binary(2), pa.utf8()]
    source = pa.table(
        [pa.array(c, t) for c, t in zip(columns, types, strict=True)], names=list("abcde")
    )
    for one_, expected in (
        (source, want), (source.slice(7), want[7:]),
        (pa.Table.from_batches(source.to_batches(max_chunksize=9)), want),
        (impl.RecordTable(cls, want), want),
    ):  # fmt: skip
        made = impl.RecordArray(cls, one_)
        assert [tuple(getattr(r, n) for n in "abcde") for r in made] == expected
    with pytest.raises(ValueError, match="'?e"):
        impl.RecordArray(cls, source.drop_columns("e"))


# ---- in: the others


@integration
def test_frames_of_polars_come_in(impl, pl):
    cls = impl.make_record("P", [
        ("a", impl.i64 | None), ("b", impl.f32), ("c", str | None),
        ("d", Annotated[str, impl.Coded]), ("e", bytes | None), ("f", impl.bool8 | None),
        ("g", impl.u8 | None),
        ("h", Annotated[str, impl.Coded] | None), ("i", impl.f64),
    ])  # fmt: skip
    count = 50
    frame = pl.DataFrame(
        {
            "a": [None if i % 7 == 0 else i for i in range(count)],
            "b": pl.Series([i / 2 for i in range(count)], dtype=pl.Float32),
            "c": [None if i % 5 == 0 else "é" * i for i in range(count)],
            "d": pl.Series([f"cat {i % 4}" for i in range(count)], dtype=pl.Categorical),
            "e": [None if i % 3 == 0 else b"\0" * i for i in range(count)],
            "f": [None if i % 4 == 0 else i % 2 == 0 for i in range(count)],
            "g": pl.Series([None] * count, dtype=pl.Null),
            "h": pl.Series(
                ["a" if i % 2 else "b" for i in range(count)], dtype=pl.Enum(["b", "a"])
            ),
            "i": pl.Series([i / 4 for i in range(count)], dtype=pl.Float32),
        }
    )
    for part in (frame, frame[3:40], frame[:0], pl.concat([frame[:9], frame[20:]], rechunk=False)):
        table = impl.RecordTable.from_arrow(cls, part)
        assert dicts(table) == part.to_dicts()
    assert pl.DataFrame(impl.RecordTable.from_arrow(cls, frame)).to_dicts() == frame.to_dicts()
    refused(impl, cls, lambda: frame.drop("a"), ValueError, match=r"\ba\b")


@integration
def test_memory_of_polars_is_shared(native, pl, np):
    cls = one(native, native.f64)
    frame = pl.DataFrame({"x": [i / 2 for i in range(100)]})
    table = native.RecordTable.from_arrow(cls, frame)
    theirs = frame["x"].to_numpy(allow_copy=False).__array_interface__["data"][0]
    assert addresses(table)["x"][1] == theirs
    del frame
    assert table.column("x").tolist() == [i / 2 for i in range(100)]


@integration
def test_relations_of_duckdb_come_in(impl, duckdb):
    cls = impl.make_record("D", [
        ("a", impl.i64), ("b", impl.f64 | None), ("c", str), ("d", bytes | None), ("e", bool),
        ("f", impl.i16 | None), ("g", Annotated[str, impl.Coded]),
    ])  # fmt: skip
    query = """
        select i a, case when i % 3 = 0 then null else i / 2 end b, 'text ' || i c,
               case when i % 2 = 0 then 'x'::blob end d, i % 5 = 0 e, null::integer f,
               ['lo', 'hi'][1 + i % 2]::enum('lo', 'hi') g
        from range(5000) t(i)
    """
    with duckdb.connect() as connection:
        table = impl.RecordTable.from_arrow(cls, connection.sql(query))
        want = connection.sql(query).fetchall()
    assert rows(table) == want


@integration
def test_frames_of_pandas_come_in(impl, pd):
    cls = impl.make_record("P", [
        ("a", impl.i32), ("b", impl.f64 | None), ("c", str | None),
        ("d", Annotated[str, impl.Coded] | None), ("e", bool), ("f", impl.i64 | None),
    ])  # fmt: skip
    frame = pd.DataFrame(
        {
            "a": range(6),
            "b": [0.5, None, 1.5, 2.5, None, 3.5],
            "c": ["x", None, "é" * 30, "", "y", "z"],
            "d": pd.Categorical(["p", "q", None, "p", "p", "q"]),
            "e": [True, False] * 3,
            "f": pd.array([1, None, 3, None, 5, 6], dtype="Int64"),
        }
    )
    table = impl.RecordTable.from_arrow(cls, frame)
    assert rows(table) == [
        (0, 0.5, "x", "p", True, 1), (1, None, None, "q", False, None),
        (2, 1.5, "é" * 30, None, True, 3), (3, 2.5, "", "p", False, None),
        (4, None, "y", "p", True, 5), (5, 3.5, "z", "q", False, 6),
    ]  # fmt: skip
    assert rows(impl.RecordTable.from_arrow(cls, frame[2:5])) == rows(table)[2:5]


@integration
def test_arrays_of_nanoarrow_come_in(impl, na):
    cls = impl.make_record("N", [("a", impl.i64 | None), ("b", impl.f64 | None)])
    made = na.c_array_from_buffers(
        na.struct({"a": na.int32(), "b": na.float64()}),
        length=3,
        buffers=[None],
        children=[na.c_array([1, None, 3], na.int32()), na.c_array([0.5, 1.5, None], na.float64())],
    )
    want = [(1, 0.5), (None, 1.5), (3, None)]
    assert rows(impl.RecordTable.from_arrow(cls, OnlyArray(made))) == want
    assert rows(impl.RecordTable.from_arrow(cls, na.Array(made))) == want
    assert rows(impl.RecordTable.from_arrow(cls, na.ArrayStream(made))) == want


# ---- in: by hand


def numbers(*values: int, name: str = "x", **more: Any) -> Column:
    return fixed("l", values, name, **more)


def test_a_producer_by_hand(native):
    producer = Producer(
        batch(numbers(1, 2), text(["a", "é"], "y")), batch(numbers(3), text([""], "y"))
    )
    cls = native.make_record("Two", [("x", native.i64), ("y", str)])
    table = native.RecordTable.from_arrow(cls, producer)
    assert rows(table) == [(1, "a"), (2, "é"), (3, "")]
    assert producer.calls == ["get_schema", "get_next", "get_next", "get_next"]
    assert set(producer.ledger.live) == {"ArrowArray"}
    del table
    assert producer.settled


def test_the_offset_of_the_parent_shifts_the_children(native):
    cls = native.make_record("Two", [("x", native.i64), ("y", bool)])
    bits = Column("b", 9, [None, bytes([0b10110101, 1])], "y")
    column = batch(numbers(*range(9)), bits, length=5, offset=3)
    table = native.RecordTable.from_arrow(cls, ArrayProducer(column))
    assert rows(table) == [(3, False), (4, True), (5, True), (6, False), (7, True)]
    both = batch(
        numbers(*range(9), offset=0),
        Column("b", 7, [None, bytes([0b10110101, 1])], "y", offset=2),
        length=3,
        offset=2,
    )
    table = native.RecordTable.from_arrow(cls, ArrayProducer(both))
    assert rows(table) == [(2, True), (3, True), (4, False)]


def test_children_may_be_longer_and_counts_of_nulls_unknown(native):
    cls = one(native, native.i64 | None)
    validity = bytes([0b101])
    data = struct.pack("=4q", 1, 2, 3, 4)
    for nulls in (1, -1):
        column = batch(Column("l", 4, [validity, data], "x", nulls=nulls), length=3)
        table = native.RecordTable.from_arrow(cls, ArrayProducer(column))
        assert rows(table) == [(1,), (None,), (3,)]
    unknown = batch(Column("l", 2, [None, data], "x", nulls=-1))
    assert rows(native.RecordTable.from_arrow(one(native, native.i64), ArrayProducer(unknown))) == [
        (1,), (2,),
    ]  # fmt: skip
    all_there = batch(Column("l", 2, [b"\xff", data], "x", nulls=-1))
    assert (
        len(native.RecordTable.from_arrow(one(native, native.i64), ArrayProducer(all_there))) == 2
    )


def test_empty_arrays_may_leave_buffers_out(native):
    cls = native.make_record("Two", [("x", native.i64), ("y", str), ("z", bool)])
    bare = batch(
        Column("l", 0, [None, None], "x"),
        Column("u", 0, [None, None, None], "y"),
        Column("b", 0, [None, None], "z"),
    )
    whole = batch(numbers(5), text(["t"], "y"), Column("b", 1, [None, b"\1"], "z"))
    producer = Producer(bare, whole, bare)
    table = native.RecordTable.from_arrow(cls, producer)
    assert rows(table) == [(5, "t", True)]
    blank = batch(
        numbers(5), Column("u", 1, [None, bytes(8), None], "y"), Column("b", 1, [None, b"\0"], "z")
    )
    assert rows(native.RecordTable.from_arrow(cls, ArrayProducer(blank))) == [(5, "", False)]


def test_memory_that_is_not_aligned_is_read_correctly(native):
    data = ctypes.create_string_buffer(b"\xff" + struct.pack("=3q", 1, -2, 3))
    producer = ArrayProducer(batch(numbers(7, 8, 9)))
    schema, capsule = producer.__arrow_c_array__()
    taken = Taken(take(schema, "arrow_schema"), take(capsule, "arrow_array"))
    taken.array.children[0].contents.buffers[1] = ctypes.addressof(data) + 1

    class Again:
        def __arrow_c_array__(self, requested_schema=None):
            return capsule_of(taken.schema), capsule_of(taken.array)

    table = native.RecordTable.from_arrow(one(native, native.i64), Again())
    assert table.column("x").tolist() == [1, -2, 3]
    assert memoryview(table.column("x")).tolist() == [1, -2, 3]
    table.append((4,))
    assert table.column("x").tolist() == [1, -2, 3, 4]
    del table
    release(taken.schema)
    assert producer.settled


TWO_WORDS = struct.pack("=3i", 0, 1, 2)


@pytest.mark.parametrize(
    ("annotation", "column"),
    [
        (str, Column("u", 2, [None, TWO_WORDS, b"a\xff"], "x")),
        (str, Column("u", 2, [None, TWO_WORDS, b"\xc3\xa9"], "x")),
        (str, Column("u", 1, [None, struct.pack("=2i", 0, 3), b"\xed\xa0\x80"], "x")),
        (str, Column("U", 1, [None, struct.pack("=2q", 0, 2), b"\xc0\x80"], "x")),
        (str, Column("u", 2, [None, struct.pack("=3i", 0, 2, 1), b"abc"], "x")),
        (str, Column("u", 1, [None, struct.pack("=2i", -1, 1), b"abc"], "x")),
        (bytes, Column("z", 2, [None, struct.pack("=3i", 0, 2, 1), b"abc"], "x")),
        (bytes, Column("z", 1, [None, struct.pack("=2i", -5, -1), b"abc"], "x")),
        (bytes, Column("Z", 1, [None, struct.pack("=2q", 0, -1), b"abc"], "x")),
        ("coded", Column("c", 2, [None, b"\0\2"], "x", dictionary=text(["a", "b"]))),
        ("coded", Column("c", 2, [None, b"\0\xff"], "x", dictionary=text(["a", "b"]))),
        ("coded", Column("L", 1, [None, b"\xff" * 8], "x", dictionary=text(["a", "b"]))),
        (str, Column("c", 2, [None, b"\0\2"], "x", dictionary=text(["a", "b"]))),
        ("coded", Column("u", 1, [None, struct.pack("=2i", 0, 1), b"\xff"], "x")),
        ("coded", Column("c", 1, [None, b"\0"], "x",
                         dictionary=Column("u", 1, [None, struct.pack("=2i", 0, 1), b"\xff"]))),
        (str, Column("vu", 1, [None, struct.pack("=i12s", -1, b""), struct.pack("=q", 0)], "x")),
        (str, Column("vu", 1, [None, struct.pack("=i12s", 2, b"\xff\xfe"), b""], "x")),
    ],
)  # fmt: skip
def test_wrong_contents_are_refused(native, annotation, column):
    """Text that is no UTF-8, offsets that run backwards, codes without a meaning."""
    if annotation == "coded":
        annotation = Annotated[str, native.Coded]
    cls = one(native, annotation)
    producers = []

    def source() -> Any:
        producers.append(ArrayProducer(batch(column)))
        return producers[-1]

    refused(native, cls, source, ValueError, match=r"\bx\b")
    assert all(producer.settled for producer in producers)


def changed(column: Column, **changes: Any) -> Any:
    """A producer whose array struct says something else than its schema."""
    producer = ArrayProducer(column)

    class Changed:
        ledger = producer.ledger

        def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
            schema, capsule = producer.__arrow_c_array__()
            made = take(capsule, "arrow_array")
            self.child = made.children[0].contents
            target = made.children[0].contents if changes.pop("child", False) else made
            for name, value in changes.items():
                setattr(target, name, value)
            return schema, producer.ledger.encapsulate(made)

    return Changed()


@pytest.mark.parametrize(
    "changes",
    [
        {"n_children": 0},
        {"length": -1},
        {"offset": -1},
        {"length": 5},
        {"length": 2**62, "offset": 2**62},
        {"offset": 2**63 - 1},
        {"child": True, "length": -1},
        {"child": True, "length": 1},
        {"child": True, "offset": -1},
        {"child": True, "offset": 2**63 - 1},
        {"child": True, "n_buffers": 1},
        {"child": True, "n_buffers": 3},
    ],
)
def test_arrays_that_contradict_their_schema_are_refused(native, changes):
    source = changed(batch(numbers(1, 2, 3)), **changes)
    with pytest.raises(ValueError):
        native.RecordTable.from_arrow(one(native, native.i64), source)
    if "n_children" in changes:
        release(source.child)
    assert source.ledger.settled()


def test_schemas_that_contradict_themselves_are_refused(native):
    cls = one(native, native.i64)
    for schema in (
        batch(numbers(1), numbers(1, name="y")),
        numbers(1),
        Column("", 1, [None], children=[numbers(1)]),
        Column("+l", 1, [None], children=[numbers(1)]),
        batch(Column("", 1, [None, None], "x")),
        batch(Column("w:", 1, [None, None], "x")),
        batch(Column("w:-1", 1, [None, None], "x")),
        batch(Column("w:99999999999999999999", 1, [None, None], "x")),
        batch(Column("ll", 1, [None, None], "x")),
        batch(),
    ):
        producer = ArrayProducer(batch(numbers(1)), schema=schema)
        with pytest.raises((TypeError, ValueError)):
            native.RecordTable.from_arrow(cls, producer)
        assert producer.settled
        stream = Producer(batch(numbers(1)), schema=schema)
        with pytest.raises((TypeError, ValueError)):
            native.RecordTable.from_arrow(cls, stream)
        assert stream.settled


def test_names_that_are_no_utf8_are_refused(native):
    producer = ArrayProducer(batch(numbers(1)))

    class Odd:
        def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
            schema, array_ = producer.__arrow_c_array__()
            made = take(schema, "arrow_schema")
            made.children[0].contents.name = b"\xff\xfe"
            return producer.ledger.encapsulate(made), array_

    with pytest.raises(ValueError):
        native.RecordTable.from_arrow(one(native, native.i64), Odd())
    assert producer.settled


# ---- in: what is no Arrow object


class Gives:
    """Gives whatever it is told to."""

    def __init__(self, stream: Any = None, pair: Any = None) -> None:
        if stream is not None:
            self.__arrow_c_stream__ = lambda requested_schema=None: stream()
        if pair is not None:
            self.__arrow_c_array__ = lambda requested_schema=None: pair()


@pytest.mark.parametrize("wrong", [5, None, [(1,)], {"x": [1]}, "x", b"x", object()])
def test_from_arrow_wants_an_arrow_object(impl, wrong):
    with pytest.raises(TypeError, match=rf"RecordTable\.from_arrow\(\).*{type(wrong).__name__}"):
        impl.RecordTable.from_arrow(one(impl, impl.i64), wrong)


def test_from_arrow_wants_a_record_class(impl):
    source = table_of(impl, impl.i64, [1])
    for cls in (int, 5, None):
        with pytest.raises(TypeError, match="RecordTable"):
            impl.RecordTable.from_arrow(cls, source)
    with pytest.raises(TypeError, match="'x' of One"):
        impl.RecordTable.from_arrow(one(impl, list), source)


def test_objects_that_give_something_else(native):
    cls = one(native, native.i64)
    table = table_of(native, native.i64, [1])
    schema, array_ = table.__arrow_c_array__()
    for wrong in (
        Gives(stream=lambda: 5),
        Gives(stream=lambda: None),
        Gives(stream=lambda: schema),
        Gives(stream=lambda: (schema, array_)),
        Gives(pair=lambda: 5),
        Gives(pair=lambda: schema),
        Gives(pair=lambda: ()),
        Gives(pair=lambda: (schema,)),
        Gives(pair=lambda: (array_, schema)),
        Gives(pair=lambda: (schema, array_, array_)),
        Gives(pair=lambda: (schema, 5)),
        Gives(pair=lambda: (5, array_)),
    ):
        with pytest.raises((TypeError, ValueError)):
            native.RecordTable.from_arrow(cls, wrong)
        with pytest.raises((TypeError, ValueError)):
            native.RecordTable(cls).extend(wrong)
    assert rows(native.RecordTable.from_arrow(cls, Gives(pair=lambda: (schema, array_)))) == [(1,)]


def test_methods_that_raise(native):
    class Raising:
        def __arrow_c_stream__(self, requested_schema=None):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        native.RecordTable.from_arrow(one(native, native.i64), Raising())

    class Odd:
        @property
        def __arrow_c_stream__(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        native.RecordTable.from_arrow(one(native, native.i64), Odd())


def test_methods_may_ignore_that_a_schema_can_be_requested(native):
    table = table_of(native, native.i64, [1])

    class Old:
        def __arrow_c_stream__(self):
            return table.__arrow_c_stream__()

    try:
        made = native.RecordTable.from_arrow(table.record_class, Old())
    except TypeError:
        return  # it may be asked
    assert rows(made) == [(1,)]


def test_a_consumed_capsule_is_refused(native):
    cls = one(native, native.i64)
    table = table_of(native, native.i64, [1, 2])
    stream = table.__arrow_c_stream__()
    pair = table.__arrow_c_array__()
    for gives in (Gives(stream=lambda: stream), Gives(pair=lambda: pair)):
        assert rows(native.RecordTable.from_arrow(cls, gives)) == [(1,), (2,)]
        target = native.RecordTable(cls, [(7,)])
        for load in (native.RecordTable, native.RecordTable.from_arrow):
            with pytest.raises(ValueError, match="released|consumed"):
                load(cls, gives)
        with pytest.raises(ValueError, match="released|consumed"):
            target.extend(gives)
        assert rows(target) == [(7,)]


# ---- in: producers that fail


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ({"fail_schema": (5, b"no schema today")}, "no schema today"),
        ({"fail_schema": (22, None)}, "22|Invalid"),
        ({"fail_schema": (71, b"\xff\xfe broken")}, "broken"),
        ({"fail_next": (0, 5, b"at once")}, "at once"),
        ({"fail_next": (1, 5, b"half-way")}, "half-way"),
        ({"fail_next": (2, 28, b"nearly there")}, "nearly there"),
        ({"fail_next": (3, 1000, b"at the end")}, "at the end"),
        ({"fail_next": (1, 28, None)}, "28|space"),
        ({"fail_next": (1, 28, b"")}, "28|space|"),
        ({"fail_next": (1, -1, b"negative")}, "negative"),
        ({"fail_next": (1, 5, b"x" * 100_000)}, "xxx"),
    ],
)
@pytest.mark.parametrize("load", LOADS)
def test_a_producer_that_fails(native, failure, message, load):
    cls = native.make_record("Two", [("x", native.i64), ("y", Annotated[str, native.Coded])])
    batches = [
        batch(numbers(i, i + 1), text([f"a{i}", "b"], "y")) for i in range(3)
    ]  # fmt: skip
    producer = Producer(*batches, **failure)
    with pytest.raises((OSError, ValueError), match=message) as caught:
        LOADS[load](native, cls, producer)
    code = next(iter(failure.values()))[-2]
    if isinstance(caught.value, OSError):
        assert caught.value.errno == code
    else:
        assert str(code) in str(caught.value)
    del caught
    assert producer.settled, producer.ledger.live
    target = native.RecordTable(cls, [(7, "old")])
    producer = Producer(*batches, **failure)
    with pytest.raises((OSError, ValueError), match=message):
        target.extend(producer)
    assert producer.settled
    assert rows(target) == [(7, "old")] and take_values(target) == [7]
    target.extend(Producer(*batches))
    assert len(target) == 7


def test_a_producer_without_memory(native):
    cls = one(native, native.i64)
    for failure in ({"fail_schema": (errno.ENOMEM, b"no")}, {"fail_next": (1, errno.ENOMEM, None)}):
        producer = Producer(batch(numbers(1)), batch(numbers(2)), **failure)
        with pytest.raises(MemoryError):
            native.RecordTable.from_arrow(cls, producer)
        assert producer.settled


def test_a_late_batch_that_does_not_fit_leaves_the_table_alone(native):
    cls = native.make_record("Two", [("x", native.i8), ("y", Annotated[str, native.Coded])])
    target = native.RecordTable(cls, [(7, "old")])
    broken = Column("u", 1, [None, TWO_WORDS, b"\xff"], "y")
    nulls = Column("s", 2, [b"\1", bytes(4)], "x", nulls=1)
    for bad, error in (
        (batch(fixed("s", [1, 300], "x"), text(["new", "newer"], "y")), OverflowError),
        (batch(nulls, text(["p", "q"], "y")), ValueError),
        (batch(fixed("s", [1], "x"), broken), ValueError),
    ):
        producer = Producer(batch(fixed("s", [1], "x"), text(["word"], "y")), bad)
        with pytest.raises(error):
            target.extend(producer)
        assert producer.settled
        assert rows(target) == [(7, "old")]
        taken = take_array(target)
        assert taken.child(1).values() == ["old"]
        taken.release()


def test_large_numbers_of_small_batches(native):
    cls = one(native, native.i64)
    producer = Producer(*(batch(numbers(i)) for i in range(300)))
    table = native.RecordTable.from_arrow(cls, producer)
    assert table.column("x").tolist() == list(range(300))
    assert memoryview(table.column("x")).tolist() == list(range(300))
    assert producer.settled  # joined: nothing of theirs is held any more


def test_arrays_of_the_array_module_and_arrow_agree(impl):
    cls = one(impl, impl.f64)
    table = impl.RecordTable(cls, {"x": array.array("d", [0.5, 1.5])})
    assert take_values(table) == [0.5, 1.5]
