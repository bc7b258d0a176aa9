"""RecordTable and Column: the normal cases, every error with its message, the edges."""

import array
import copy
import dataclasses
import gc
import math
import pickle
import struct
import sys
import types
import typing
import weakref
from typing import Annotated, Any, ClassVar, Optional

import pytest


def reading(impl: Any) -> Any:
    class SensorReading(impl.Record, gc=False):
        timestamp: impl.i64
        value: impl.f64
        unit: Annotated[str, impl.Coded]

    return SensorReading


def everything(impl: Any) -> Any:
    class Everything(impl.Record):
        a: impl.i8
        b: impl.i16
        c: impl.i32
        d: impl.i64
        e: impl.u8
        f: impl.u16
        g: impl.u32
        h: impl.u64
        i: impl.f32
        j: impl.f64
        k: impl.bool8
        l: int  # noqa: E741
        m: float
        n: bool
        o: Annotated[bytes, impl.Size(3)]
        p: Annotated[str, impl.Size(6)]
        q: str
        r: bytes
        s: Annotated[str, impl.Coded]
        t: Annotated[str, impl.Size(6), impl.Coded]

    return Everything


ROW = (
    -128, -32768, -(2**31), -(2**63), 255, 65535, 2**32 - 1, 2**64 - 1, 0.5, 1e300, True,
    2**63 - 1, -0.0, False, b"\0\xff\0", "é€", "text \U0001f600", b"\0bytes\0", "coded", "short",
)  # fmt: skip
ZERO = (0,) * 8 + (0.0, 0.0, False, 0, 0.0, False, b"\0\0\0", "", "", b"", "", "")

KINDS = ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "bool8"]
PLAIN = [int, float, bool, str, bytes]


def optional(impl: Any) -> Any:
    class Maybe(impl.Record):
        a: impl.i32 | None
        b: impl.f32 | None
        c: Optional[impl.bool8]  # noqa: UP045
        d: int | None
        e: Annotated[bytes, impl.Size(2)] | None
        f: None | str
        g: Annotated[str, impl.Size(6)] | None
        h: bytes | None
        i: Annotated[str, impl.Coded] | None
        j: Annotated[impl.u16 | None, "note"]
        k: typing.Union[float, None]  # noqa: UP007

    return Maybe


FULL = (1, 0.5, True, 2, b"ab", "f", "é€", b"", "i", 3, 4.5)
EMPTY = (None,) * len(FULL)


def of(impl: Any, annotation: Any, name: str = "One") -> Any:
    """A record class with one field x."""
    return impl.make_record(name, [("x", annotation)])


def values_of(records: Any) -> list[tuple[Any, ...]]:
    return [tuple(getattr(one, field.name) for field in dataclasses.fields(one)) for one in records]


def columns(table: Any) -> list[list[Any]]:
    """All columns, each read in three ways that agree."""
    names = [field.name for field in dataclasses.fields(table.record_class)]
    found = []
    for name in names:
        column = table.column(name)
        values = column.tolist()
        assert len(column) == len(values) == len(table)
        assert list(map(repr, column)) == list(map(repr, values))
        assert [repr(column[i]) for i in range(len(column))] == list(map(repr, values))
        assert column.null_count == values.count(None)
        found.append(values)
    return found


def rows(table: Any) -> list[tuple[Any, ...]]:
    return list(zip(*columns(table), strict=True))


class Index:
    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


# ---- which columns there are


def test_every_kind_of_column_gives_back_what_it_was_given(impl):
    cls = everything(impl)
    table = impl.RecordTable(cls)
    for row in (ROW, ZERO, ROW):
        table.append(row)
    assert rows(table) == [ROW, ZERO, ROW]
    assert values_of(table) == [ROW, ZERO, ROW]
    for got, want in zip(rows(table)[0], ROW, strict=True):
        assert type(got) is type(want)
    assert math.copysign(1, table.column("m")[0]) == -1
    assert type(table[0]) is cls and table[0] == cls(*ROW)


def test_nullable_columns_hold_none_and_values(impl):
    table = impl.RecordTable(optional(impl))
    order = [FULL, EMPTY, EMPTY, FULL] * 9
    table.extend(order)
    assert rows(table) == values_of(table) == order
    for name in "abcdefghijk":
        assert table.column(name).null_count == 18
        assert None in table.column(name)


def test_nulls_may_come_late_or_be_all_there_is(impl):
    late, early = (impl.RecordTable(optional(impl)) for _ in range(2))
    late.extend([FULL] * 100)
    late.append(EMPTY)
    assert rows(late) == [FULL] * 100 + [EMPTY]
    early.extend([EMPTY] * 100)
    early.append(FULL)
    assert rows(early) == [EMPTY] * 100 + [FULL]


def test_string_annotations_are_columns_too(define):
    module = define(
        """
        from __future__ import annotations
        from typing import Annotated, Optional

        class Late(Record):
            a: i64
            b: Optional[f32]
            c: Annotated[bytes, Size(2)] | None
            d: str | None
        """
    )
    table = sys.modules[module.Record.__module__].RecordTable(module.Late)
    table.append((1, None, b"ab", None))
    assert rows(table) == [(1, None, b"ab", None)]


@pytest.mark.parametrize(
    "annotation",
    [object, list, list[int], dict[str, int], Any, complex, int | str, int | str | None,
     None, tuple[int, ...], bytearray, "Unknown", typing.Literal[1]],
)  # fmt: skip
def test_other_annotations_are_refused_by_name(impl, annotation):
    cls = impl.make_record("Odd", [("fine", impl.i64), ("odd", annotation)])
    for make in (
        lambda: impl.RecordTable(cls),
        lambda: impl.RecordTable.from_columns(cls, {"fine": [], "odd": []}),
    ):
        with pytest.raises(TypeError, match=r"RecordTable.*'odd' of Odd\b"):
            make()


def test_coded_needs_text(impl):
    for annotation in (Annotated[bytes, impl.Coded], Annotated[int, impl.Coded]):
        cls = of(impl, annotation)
        with pytest.raises(TypeError, match="One"):
            impl.RecordTable(cls)


def test_size_of_something_else_is_no_column(impl):
    for annotation in (Annotated[list, "note"], Annotated[object, 5]):
        with pytest.raises(TypeError, match=r"'x' of One\b"):
            impl.RecordTable(of(impl, annotation))


def test_annotated_with_foreign_marks_is_what_it_annotates(impl):
    table = impl.RecordTable(of(impl, Annotated[int, "note"]))
    table.append((5,))
    assert rows(table) == [(5,)]


@pytest.mark.parametrize("cls", [int, dict, 5, None, "Reading", dataclasses.Field])
def test_only_record_classes_make_tables(impl, cls):
    for call in (
        lambda: impl.RecordTable(cls),
        lambda: impl.RecordTable.from_columns(cls, {}),
    ):
        with pytest.raises(TypeError, match="RecordTable.*record class"):
            call()


def test_a_record_is_not_its_class(impl):
    with pytest.raises(TypeError, match=r"RecordTable\(\)"):
        impl.RecordTable(reading(impl)(1, 2.0, "C"))


def test_a_class_without_fields_makes_no_table(impl):
    class Nothing(impl.Record):
        pass

    for cls in (Nothing, impl.Record):
        with pytest.raises(TypeError, match=cls.__qualname__.rpartition(".")[2]):
            impl.RecordTable(cls)


def test_hidden_slots_and_class_variables_are_no_columns(impl):
    class Mixin:
        pass

    class Hidden(impl.Record, Mixin, weakref=True):
        kind: ClassVar[str] = "k"
        x: impl.i64
        y: str = impl.field(default="y", repr=False, compare=False)

    table = impl.RecordTable(Hidden, [(1, "a")])
    assert rows(table) == [(1, "a")] and table[0].y == "a"
    with pytest.raises(KeyError):
        table.column("kind")


def test_columns_of_bases_come_first(impl):
    class Base(impl.Record):
        a: impl.i64
        b: str

    class Derived(Base):
        c: bool

    table = impl.RecordTable(Derived, [(1, "b", True)])
    assert values_of(table) == [(1, "b", True)]
    with pytest.raises(TypeError, match="wants .*Derived"):
        table.append(Base(1, "b"))
    base = impl.RecordTable(Base)
    with pytest.raises(TypeError, match=r"Base.*Derived"):
        base.append(Derived(1, "b", True))


def test_keyword_only_init_false_and_frozen_fields_are_columns(impl):
    class C(impl.Record, frozen=True, kw_only=True):
        a: impl.i64
        b: str = impl.field(init=False, default="b")

    table = impl.RecordTable(C, [(1, "x")])
    table.append(C(a=2))
    assert values_of(table) == [(1, "x"), (2, "b")]


def test_packed_and_generic_classes(impl):
    class Packed(impl.Record, packed=True):
        a: int
        b: float
        c: bool
        d: str

    table = impl.RecordTable(Packed, [(1, 2.0, True, "d")])
    table.append(Packed(3, 4.0, False, "e"))
    assert values_of(table) == [(1, 2.0, True, "d"), (3, 4.0, False, "e")]


# ---- construction


def test_an_empty_table(impl):
    cls = reading(impl)
    for table in (impl.RecordTable(cls), impl.RecordTable(cls, None), impl.RecordTable(cls, [])):
        assert len(table) == 0 and list(table) == [] and not table
        assert list(reversed(table)) == []
        assert table.record_class is cls
        assert table.column("unit").tolist() == [] and table.column("unit").null_count == 0
        assert table[:] == table and table[5:9] == table
        for key in (0, -1):
            with pytest.raises(IndexError, match="RecordTable index out of range"):
                table[key]


def test_what_the_constructor_takes(impl):
    cls = reading(impl)
    want = [(1, 1.5, "C"), (2, 2.5, "F")]
    made = impl.RecordTable(cls, want)
    for source in (
        [cls(*row) for row in want],
        (row for row in want),
        {"timestamp": [1, 2], "value": [1.5, 2.5], "unit": ["C", "F"]},
        types.MappingProxyType({"unit": "CF", "value": (1.5, 2.5), "timestamp": range(1, 3)}),
        made,
        made[:],
    ):
        assert rows(impl.RecordTable(cls, source)) == want
        assert rows(impl.RecordTable(cls, columns=source if source is made else want)) == want
    assert rows(impl.RecordTable.from_columns(cls, {
        "value": array.array("d", [1.5, 2.5]), "timestamp": [1, 2], "unit": iter("CF")
    })) == want  # fmt: skip


def test_from_columns_wants_a_mapping(impl):
    cls = reading(impl)
    for columns_ in ([(1, 2.0, "C")], None, 5, impl.RecordTable(cls)):
        with pytest.raises(TypeError, match=r"RecordTable\.from_columns\(\)"):
            impl.RecordTable.from_columns(cls, columns_)


@pytest.mark.parametrize(
    "call",
    [
        lambda t, c: t(),
        lambda t, c: t(c, [], []),
        lambda t, c: t(c, rows=[]),
        lambda t, c: t.from_columns(c),
        lambda t, c: t.from_columns(c, {}, {}),
        lambda t, c: t.from_arrow(c),
        lambda t, c: t(c).append(),
        lambda t, c: t(c).append(1, 2),
        lambda t, c: t(c).extend(),
        lambda t, c: t(c).extend([], []),
        lambda t, c: t(c).column(),
        lambda t, c: t(c).column("unit").tolist(1),
    ],
)
def test_calls_with_wrong_arguments(impl, call):
    with pytest.raises(TypeError):
        call(impl.RecordTable, reading(impl))


def test_the_classes_are_final_and_columns_come_from_tables(impl):
    for cls in (impl.RecordTable, impl.Column):
        with pytest.raises(TypeError):
            type("Sub", (cls,), {})
    with pytest.raises(TypeError):
        impl.Column()
    with pytest.raises(TypeError):
        impl.Column(impl.RecordTable(reading(impl)), "unit")


def test_a_table_has_no_attributes_of_the_user(impl):
    table = impl.RecordTable(reading(impl))
    for target in (table, table.column("unit")):
        with pytest.raises(AttributeError):
            target.nope = 1


def test_attributes_are_read_only(native):
    table = native.RecordTable(reading(native))
    for name in ("record_class", "nbytes", "chunk_count"):
        with pytest.raises(AttributeError):
            setattr(table, name, 1)
    for name in ("name", "null_count"):
        with pytest.raises(AttributeError):
            setattr(table.column("unit"), name, 1)


def test_annotations_may_name_the_record_class(impl):
    cls = reading(impl)
    alias = impl.RecordTable[cls]
    assert typing.get_origin(alias) is impl.RecordTable and typing.get_args(alias) == (cls,)
    assert rows(alias(cls, [(1, 2.0, "C")])) == [(1, 2.0, "C")]


# ---- append


def test_append_takes_records_and_tuples(impl):
    cls = reading(impl)
    table = impl.RecordTable(cls)
    assert table.append(cls(1, 2.0, "C")) is None
    table.append((Index(3), True if False else 4, "F"))
    assert rows(table) == [(1, 2.0, "C"), (3, 4.0, "F")]

    class Named(typing.NamedTuple):
        timestamp: int
        value: float
        unit: str

    table.append(Named(5, 6.0, "K"))
    assert rows(table)[2] == (5, 6.0, "K")


def test_append_takes_live_rows_of_arrays(impl):
    class Flat(impl.Record):
        x: impl.i64
        y: Annotated[str, impl.Size(4)]

    source = impl.RecordArray(Flat, [(1, "a"), (2, "b")])
    table = impl.RecordTable(Flat)
    for i in range(2):
        table.append(source.row(i))
    assert rows(table) == [(1, "a"), (2, "b")]

    class Other(impl.Record):
        x: impl.i64
        y: Annotated[str, impl.Size(4)]

    with pytest.raises(TypeError, match="wants .*Other.*"):
        impl.RecordTable(Other).append(source.row(0))


def test_an_appended_record_is_not_watched(impl):
    cls = reading(impl)
    made = cls(1, 2.0, "C")
    table = impl.RecordTable(cls, [made])
    made.timestamp = 5
    assert table[0].timestamp == 1 and table[0] is not table[0]
    table[0].timestamp = 7
    assert table[0].timestamp == 1


WRONG = [
    ("i8", 128, OverflowError, "i8"),
    ("i8", -129, OverflowError, "i8"),
    ("u64", -1, OverflowError, "u64"),
    ("u64", 2**64, OverflowError, "u64"),
    ("i64", 1.5, TypeError, "i64"),
    ("i64", "1", TypeError, "i64"),
    ("i64", None, TypeError, "i64"),
    ("f64", "x", TypeError, "f64"),
    ("f64", 2**53 + 1, ValueError, "f64"),
    ("f32", 1e300, OverflowError, "f32"),
    ("f64", 10**400, OverflowError, "f64"),
    ("bool8", 1, TypeError, "bool8"),
    (int, 2**63, OverflowError, "i64"),
    (int, 1.0, TypeError, "i64"),
    (float, "x", TypeError, "f64"),
    (float, 2**53 + 1, ValueError, "f64"),
    (bool, 0, TypeError, "bool8"),
    (str, b"x", TypeError, "str"),
    (str, None, TypeError, "str"),
    (str, "\ud800", ValueError, "str"),
    (bytes, "x", TypeError, "bytes"),
    (bytes, bytearray(b"x"), TypeError, "bytes"),
]


@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize(("kind", "value", "error", "wanted"), WRONG)
def test_a_wrong_value_is_named_and_changes_nothing(impl, kind, value, error, wanted, nullable):
    annotation = getattr(impl, kind) if isinstance(kind, str) else kind
    if nullable:
        if value is None:
            return
        annotation, wanted = annotation | None, f"{wanted} | None"
    cls = impl.make_record("One", [("w", str), ("x", annotation), ("z", impl.i64)])
    table = impl.RecordTable(cls)
    shown = repr(value) if len(repr(value)) <= 60 else f"{value!r:.57}..."
    message = f"One.x: wanted {wanted}, got {type(value).__name__} {shown}"
    good = {int: 1, float: 1.0, bool: True, str: "s", bytes: b"b"}[
        {"i": int, "u": int, "f": float, "b": bool}[kind[0]] if isinstance(kind, str) else kind
    ]
    table.append(("before", good, 1))
    for call in (
        lambda: table.append(("w", value, 2)),
        lambda: table.extend([("w", good, 2), ("w", value, 3)]),
        lambda: table.extend({"w": ["a", "b"], "x": [good, value], "z": [2, 3]}),
        lambda: impl.RecordTable(cls, [("w", value, 2)]),
    ):
        with pytest.raises(error) as caught:
            call()
        assert type(caught.value) is error and str(caught.value) == message
        assert rows(table) == [("before", good, 1)]
    table.append(("after", good, 2))
    assert rows(table) == [("before", good, 1), ("after", good, 2)]


@pytest.mark.parametrize(
    ("base", "n", "value", "error"),
    [
        (bytes, 3, b"ab", ValueError),
        (bytes, 3, b"abcd", ValueError),
        (bytes, 3, "abc", TypeError),
        (str, 3, "abcd", ValueError),
        (str, 3, "éé", ValueError),
        (str, 3, b"abc", TypeError),
        (str, 3, "\udfff", ValueError),
    ],
)
def test_sizes_are_checked(impl, base, n, value, error):
    cls = of(impl, Annotated[base, impl.Size(n)])
    table = impl.RecordTable(cls)
    with pytest.raises(error, match=rf"^One\.x: wanted {base.__name__}\[{n}\], got "):
        table.append((value,))
    coded = [Annotated[str, impl.Size(n), impl.Coded], Annotated[str, impl.Coded, impl.Size(n)]]
    for annotation in coded if base is str else ():
        with pytest.raises(error, match=r"^One\.x: wanted str\[3\], got "):
            impl.RecordTable(of(impl, annotation)).append((value,))
    assert len(table) == 0


def test_text_may_hold_and_end_in_nul(impl):
    table = impl.RecordTable(of(impl, str), [("a\0b",), ("\0",), ("",)])
    assert table.column("x").tolist() == ["a\0b", "\0", ""]
    coded = impl.RecordTable(of(impl, Annotated[str, impl.Coded]), [("\0",), ("",), ("\0\0",)])
    assert coded.column("x").tolist() == ["\0", "", "\0\0"]


def test_sized_text_ending_in_nul_is_refused_as_in_a_record(impl):
    cls = of(impl, Annotated[str, impl.Size(4)])
    with pytest.raises(ValueError, match=r"^One\.x: wanted str\[4\], got str 'a\\x00'"):
        impl.RecordTable(cls).append(("a\0",))


def test_rows_of_the_wrong_sort(impl):
    cls = reading(impl)
    table = impl.RecordTable(cls, [(1, 2.0, "C")])

    class Sub(cls):
        pass

    class Other(impl.Record):
        timestamp: impl.i64
        value: impl.f64
        unit: str

    for row, got in (
        (Sub(1, 2.0, "C"), "Sub"),
        (Other(1, 2.0, "C"), "Other"),
        ([1, 2.0, "C"], "list"),
        ({"timestamp": 1}, "dict"),
        (5, "int"),
        (None, "NoneType"),
        ("abc", "str"),
        (cls, ""),
    ):
        with pytest.raises(TypeError, match=rf"SensorReading.*{got}"):
            table.append(row)
    for row in ((), (1,), (1, 2.0), (1, 2.0, "C", 4)):
        with pytest.raises(ValueError, match=rf"3 .*{len(row)}"):
            table.append(row)
    assert rows(table) == [(1, 2.0, "C")]


def test_slots_of_records_are_checked_as_columns(impl):
    class Loose(impl.Record):
        x: int
        y: str
        z: float | None = None

    table = impl.RecordTable(Loose, [Loose(1, "y")])
    with pytest.raises(TypeError, match=r"\bLoose\.x: wanted i64, got str 'no'"):
        table.append(Loose("no", "y"))
    with pytest.raises(TypeError, match=r"\bLoose\.z: wanted f64 \| None, got str 'no'"):
        table.append(Loose(1, "y", "no"))
    made = Loose(1, "y")
    del made.y
    with pytest.raises(AttributeError, match=r"Loose' object has no attribute 'y'"):
        table.append(made)
    with pytest.raises(AttributeError, match=r"Loose' object has no attribute 'y'"):
        table.extend([Loose(3, "y"), made])
    assert rows(table) == [(1, "y", None)]


def test_subclasses_of_values_are_stored_as_plain_values(impl):
    class Text(str):
        def encode(self, *args: Any) -> bytes:
            raise AssertionError

    class Number(int):
        pass

    class Blob(bytes):
        pass

    cls = impl.make_record("C", [
        ("a", str), ("b", int), ("c", bytes), ("d", Annotated[str, impl.Coded]), ("e", int | None)
    ])  # fmt: skip
    table = impl.RecordTable(cls, [(Text("a"), Number(2), Blob(b"c"), Text("d"), True)])
    assert [type(v) for v in rows(table)[0]] == [str, int, bytes, str, int]
    assert rows(table) == [("a", 2, b"c", "d", 1)]


def test_post_init_runs_neither_in_nor_out(impl):
    class Counting(impl.Record):
        x: impl.i64
        y: str = "y"

        def __post_init__(self):
            raise AssertionError

    table = impl.RecordTable(Counting, [(1, "a")])
    assert table[0].x == 1 and [one.y for one in table] == ["a"]


# ---- extend


def test_extend_with_a_mapping_of_columns(impl):
    cls = reading(impl)
    table = impl.RecordTable(cls, [(0, 0.0, "z")])
    table.extend({
        "timestamp": array.array("q", [1, 2, 3]),
        "value": memoryview(struct.pack("=6d", 1, 9, 2, 9, 3, 9)).cast("d")[::2],
        "unit": ["a", "b", "a"],
    })  # fmt: skip
    table.extend({"timestamp": b"\1\2", "value": [4, Index(5)], "unit": ("c", "d")})
    assert rows(table) == [
        (0, 0.0, "z"), (1, 1.0, "a"), (2, 2.0, "b"), (3, 3.0, "a"), (1, 4.0, "c"), (2, 5.0, "d"),
    ]  # fmt: skip
    table.extend({"timestamp": [], "value": (), "unit": iter("")})
    assert len(table) == 6


@pytest.mark.parametrize("kind", [*KINDS, int, float, bool])
@pytest.mark.parametrize("nullable", [False, True])
def test_extend_with_a_buffer_of_every_kind(impl, kind, nullable):
    name = kind if isinstance(kind, str) else {int: "i64", float: "f64", bool: "bool8"}[kind]
    code = dict(zip(KINDS, "bhiqBHIQfd?", strict=True))[name]
    values = [i % 2 == 0 for i in range(21)] if name == "bool8" else list(range(21))
    annotation = getattr(impl, kind) if isinstance(kind, str) else kind
    table = impl.RecordTable(of(impl, annotation | None if nullable else annotation))
    view = memoryview(struct.pack(f"={21}{code}", *values)).cast(code)
    table.extend({"x": view})
    table.extend({"x": view[::-2]})
    table.extend({"x": view[:0]})
    assert table.column("x").tolist() == values + values[::-2]
    assert {type(v) for v in table.column("x")} == {type(table[0].x)}


def test_a_buffer_of_bools_is_checked(impl):
    table = impl.RecordTable(of(impl, impl.bool8))
    table.extend({"x": memoryview(bytes([0, 1, 2, 255])).cast("?")})
    assert table.column("x").tolist() == [False, True, True, True]


def test_a_buffer_of_another_format_is_read_by_value(impl):
    table = impl.RecordTable(of(impl, impl.i64))
    table.extend({"x": array.array("b", [-1, 2])})
    assert table.column("x").tolist() == [-1, 2]
    with pytest.raises(TypeError, match=r"^One\.x: wanted i64, got float 1\.5"):
        table.extend({"x": array.array("d", [1.5])})
    small = impl.RecordTable(of(impl, impl.i8))
    with pytest.raises(OverflowError, match=r"^One\.x: wanted i8, got int 128"):
        small.extend({"x": array.array("q", [1, 128])})
    assert len(table) == 2 and len(small) == 0


def test_extend_with_wrong_mappings(impl):
    cls = reading(impl)
    table = impl.RecordTable(cls, [(0, 0.0, "z")])
    good = {"timestamp": [1], "value": [1.0], "unit": ["a"]}
    for wrong, error, pattern in (
        ({}, TypeError, "timestamp"),
        ({"timestamp": [1], "value": [1.0]}, TypeError, "'?unit"),
        ({**good, "nope": [1]}, TypeError, "'?nope"),
        ({**good, 5: [1]}, TypeError, "5"),
        ({**good, "value": [1.0, 2.0]}, ValueError, "'value'"),
        ({**good, "value": []}, ValueError, "'value'"),
        ({**good, "value": 5}, TypeError, "int"),
        ({**good, "value": None}, TypeError, "NoneType"),
    ):
        with pytest.raises(error, match=pattern):
            table.extend(wrong)
        with pytest.raises(error, match=pattern):
            impl.RecordTable.from_columns(cls, wrong)
    assert rows(table) == [(0, 0.0, "z")]


@pytest.mark.integration
@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_numpy(impl, kind):
    np = pytest.importorskip("numpy")
    table = impl.RecordTable(of(impl, getattr(impl, kind)))
    name = {"bool8": "?"}.get(kind, kind[0] + str(int(kind[1:]) // 8) if kind[0] in "iuf" else kind)
    source = np.array([0, 1, 1, 0, 1], dtype=name)
    strided = np.zeros((3, 2), dtype=name)
    frozen = source.copy()
    frozen.flags.writeable = False
    for column in (source, source[::-2], strided[:, 1], frozen, source[:0]):
        table = impl.RecordTable(of(impl, getattr(impl, kind)), {"x": column})
        assert table.column("x").tolist() == column.tolist()
    if kind != "bool8":
        swapped = source.astype(source.dtype.newbyteorder())
        table = impl.RecordTable(of(impl, getattr(impl, kind)), {"x": swapped})
        assert table.column("x").tolist() == source.tolist()
    source[:] = 0
    for wrong in (np.zeros((2, 2), name), np.zeros((), name)):
        with pytest.raises(TypeError, match="."):
            impl.RecordTable(of(impl, getattr(impl, kind)), {"x": wrong})


def test_a_column_that_says_why_it_is_not_iterable(impl):
    class Refusing:
        def __iter__(self):
            raise TypeError("not today")

    table = impl.RecordTable(of(impl, impl.i64))
    for rows_ in ({"x": Refusing()}, Refusing()):
        with pytest.raises(TypeError, match="not today"):
            table.extend(rows_)
    assert len(table) == 0


def test_extend_with_an_array_of_the_class(impl):
    class Flat(impl.Record):
        a: impl.i16
        b: impl.f32
        c: impl.bool8
        d: Annotated[bytes, impl.Size(2)]
        e: Annotated[str, impl.Size(4)]
        f: Annotated[str, impl.Size(4), impl.Coded]

    want = [(i - 50, i / 2, i % 3 == 0, bytes([i, 0]), f"é{i % 7}", f"c{i % 5}") for i in range(99)]
    source = impl.RecordArray(Flat, want)
    table = impl.RecordTable(Flat, source)
    table.extend(source[::-3])
    table.extend(source[10:11])
    table.extend(source[:0])
    assert rows(table) == want + want[::-3] + want[10:11]
    source[0] = (9, 9.0, True, b"zz", "z", "z")
    assert rows(table)[0] == want[0]

    class Other(impl.Record):
        a: impl.i16

    with pytest.raises(TypeError, match=r"Other.*Flat|Flat.*Other"):
        impl.RecordTable(Other).extend(source)


def test_extend_with_a_table_of_the_class(impl):
    cls = reading(impl)
    first = impl.RecordTable(cls, [(i, i / 2, "ab"[i % 2]) for i in range(20)])
    second = impl.RecordTable(cls, [(i, 0.0, "bcd"[i % 3]) for i in range(100, 107)])
    want = rows(first) + rows(second[2:]) + rows(first[:3])
    table = impl.RecordTable(cls)
    table.extend(first)
    table.extend(second[2:])
    table.extend(first[:3])
    assert rows(table) == want
    first.append((7, 7.0, "q"))
    assert rows(table) == want
    table.append((8, 8.0, "q"))
    assert rows(table) == [*want, (8, 8.0, "q")] and rows(first)[-1] == (7, 7.0, "q")

    class Other(impl.Record):
        timestamp: impl.i64

    with pytest.raises(TypeError, match=r"SensorReading.*Other|Other.*SensorReading"):
        table.extend(impl.RecordTable(Other))


def test_extend_with_itself(impl):
    table = impl.RecordTable(optional(impl), [FULL, EMPTY])
    for n in (4, 8, 16):
        table.extend(table)
        assert rows(table) == [FULL, EMPTY] * (n // 2)
    table.extend(table[1:3])
    table.extend({name: table.column(name) for name in "abcdefghijk"})
    assert len(table) == 36 and rows(table)[-2:] == [EMPTY, FULL]
    table.extend(table[3:1])
    assert len(table) == 36


@pytest.mark.parametrize("wrong", [5, None, 1.5, object()])
def test_extend_with_something_else(impl, wrong):
    table = impl.RecordTable(reading(impl))
    with pytest.raises(TypeError, match=rf"RecordTable\.extend\(\).*{type(wrong).__name__}"):
        table.extend(wrong)


def test_extend_with_an_iterable_that_raises(impl):
    cls = reading(impl)
    table = impl.RecordTable(cls, [(0, 0.0, "z")])

    def failing():
        yield (1, 1.0, "new")
        yield cls(2, 2.0, "newer")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        table.extend(failing())
    with pytest.raises(ZeroDivisionError):
        table.extend({"timestamp": [1, 2], "value": [1.0, 2.0], "unit": (1 / 0 for _ in "ab")})
    assert rows(table) == [(0, 0.0, "z")] and table.column("unit").tolist() == ["z"]


def test_many_distinct_texts_widen_the_codes(impl):
    table = impl.RecordTable(of(impl, Annotated[str, impl.Coded] | None))
    for n in (127, 128, 129, 200):
        table.extend([(f"text {i}",) for i in range(len(table) // 2, n)])
        table.extend([(None,)] * (n - table.column("x").null_count))
    assert table.column("x").null_count == 200
    assert [v for v in table.column("x") if v is not None] == [f"text {i}" for i in range(200)]
    table = impl.RecordTable(of(impl, Annotated[str, impl.Coded]))
    kept = table[:]
    table.extend({"x": [str(i) for i in range(32_760)]})
    before = table[:]
    table.extend({"x": [str(i) for i in range(32_750, 32_780)]})
    table.extend({"x": ["5", "new", "5"]})
    assert table.column("x").tolist() == [
        *map(str, range(32_760)), *map(str, range(32_750, 32_780)), "5", "new", "5",
    ]  # fmt: skip
    assert before.column("x").tolist() == [*map(str, range(32_760))] and len(kept) == 0
    before.append(("other",))
    assert before.column("x")[-1] == "other" and table.column("x")[32_760] == "32750"


def test_long_texts_and_many_rows(impl):
    cls = impl.make_record("C", [("a", str), ("b", bytes | None), ("c", bool), ("d", impl.u8)])
    want = [
        ("é" * (i % 50) + "x" * (100_000 if i == 700 else 0), [None, b"", b"b" * i][i % 3],
         i % 7 < 3, i % 256)
        for i in range(1500)
    ]  # fmt: skip
    table = impl.RecordTable(cls)
    for row in want[:500]:
        table.append(row)
    table.extend(want[500:1000])
    for row in want[1000:]:
        table.append(row)
    assert rows(table) == want
    assert values_of(table) == want
    for at in (slice(3, 1499), slice(499, 1001), slice(None, None, 7), slice(None, None, -1)):
        assert rows(table[at]) == want[at]


# ---- indexes and slices


@pytest.fixture
def ten(impl):
    return impl.RecordTable(reading(impl), [(i, i / 2, "ab"[i % 2]) for i in range(10)])


def test_indexes(impl, ten):
    cls = ten.record_class
    assert ten[0] == ten[-10] == ten[Index(0)] == ten[False] == cls(0, 0.0, "a")
    assert ten[9] == ten[-1] == cls(9, 4.5, "b")
    for at in (10, -11, 2**63, -(2**63), 2**100, -(2**100)):
        with pytest.raises(IndexError, match="^RecordTable index out of range$|cannot fit"):
            ten[at]
    for key in ("a", 1.0, None, (1,), b"x"):
        name = type(key).__name__
        message = f"^RecordTable indices must be integers or slices, not {name}$"
        with pytest.raises(TypeError, match=message):
            ten[key]


def test_there_is_no_item_assignment(impl, ten):
    cls = ten.record_class
    for key in (0, slice(None), "a"):
        with pytest.raises(TypeError):
            ten[key] = cls(1, 1.0, "x")
        with pytest.raises(TypeError):
            del ten[key]
    column = ten.column("value")
    with pytest.raises(TypeError):
        column[0] = 5.0
    with pytest.raises(TypeError):
        del column[0]
    assert ten[0] == cls(0, 0.0, "a")


@pytest.mark.parametrize("step", [None, 1, 2, 3, 100, -1, -2, -3, -100, 2**70, -(2**70)])
def test_slices_are_those_of_a_list(impl, ten, step):
    want = rows(ten)
    for start in (None, 0, 1, 4, 9, 10, 11, -1, -4, -10, -11, 2**70, -(2**70), Index(2)):
        for stop in (None, 0, 3, 9, 10, 50, -1, -3, -50, 2**70, -(2**70)):
            got = ten[start:stop:step]
            assert type(got) is impl.RecordTable and got.record_class is ten.record_class
            assert rows(got) == want[start:stop:step]
            assert ten.column("unit")[start:stop:step] == [row[2] for row in want[start:stop:step]]


def test_wrong_slices(impl, ten):
    with pytest.raises(ValueError, match="slice step cannot be zero"):
        ten[::0]
    with pytest.raises(TypeError):
        ten["a":]
    with pytest.raises(ValueError, match="slice step cannot be zero"):
        ten.column("unit")[::0]


def test_slices_of_slices(impl, ten):
    want = rows(ten)
    part = ten[2:9]
    assert rows(part[1:4]) == want[3:6]
    assert rows(part[1:4][-1:]) == want[5:6]
    assert rows(part[::2][::-1]) == want[2:9:2][::-1]
    assert part[-1] == ten[8] and part.column("value")[0] == 1.0


def test_a_slice_grows_on_its_own(impl, ten):
    want = rows(ten)
    whole, part, other = ten[:], ten[2:5], ten[2:5]
    row = (77, 7.5, "new")
    whole.append(row)
    part.append((1, 1.5, "x"))
    other.extend([(2, 2.5, "y")] * 3)
    ten.append((3, 3.5, "z"))
    whole.append((4, 4.5, "w"))
    assert rows(whole) == [*want, row, (4, 4.5, "w")]
    assert rows(part) == [*want[2:5], (1, 1.5, "x")]
    assert rows(other) == want[2:5] + [(2, 2.5, "y")] * 3
    assert rows(ten) == [*want, (3, 3.5, "z")]


def test_slices_at_odd_bits_grow_and_join(impl):
    cls = impl.make_record("Bits", [("a", bool), ("b", bool | None), ("c", impl.i16 | None)])
    want = [(i % 3 == 0, [None, True, False][i % 3], None if i % 5 else i) for i in range(70)]
    source = impl.RecordTable(cls, want)
    for start in (0, 1, 3, 7, 8, 9, 63, 64):
        for stop in (start, start + 1, start + 6, 70):
            table = source[start:stop]
            table.append((True, None, 7))
            table.extend(source[start : start + 5])
            assert rows(table) == want[start:stop] + [(True, None, 7)] + want[start : start + 5]
    assert rows(source) == want


# ---- sequence behaviour


def test_iteration_both_ways(impl, ten):
    want = [ten[i] for i in range(10)]
    assert list(ten) == want and list(reversed(ten)) == want[::-1]
    assert all(type(one) is ten.record_class for one in ten)
    forward = iter(ten)
    assert iter(forward) is forward and next(forward) == want[0]


def test_iteration_sees_rows_appended_meanwhile(impl, ten):
    seen = 0
    for one in ten:
        seen += 1
        if seen < 20:
            ten.append((one.timestamp, one.value, "new"))
    assert seen == 29
    column = ten.column("timestamp")
    numbers = iter(column)
    assert len([next(numbers) for _ in range(29)]) == 29
    ten.append((99, 9.0, "q"))
    assert next(numbers) == 99 and next(numbers, None) is None
    ten.append((100, 9.0, "q"))
    assert next(numbers, None) is None  # done is done, as with a list


def test_membership(impl, ten):
    cls = ten.record_class
    assert cls(3, 1.5, "b") in ten and cls(3, 1.5, "a") not in ten
    assert 5 not in ten and None not in ten
    unit = ten.column("unit")
    assert "a" in unit and "z" not in unit and None not in unit and 5 not in unit
    assert 4.5 in ten.column("value") and 4 in ten.column("value")


def test_equality(impl, ten):
    cls = ten.record_class
    same = impl.RecordTable(cls, list(ten)[:4])
    same.extend(ten[4:])
    assert ten == same and not ten != same and ten == ten
    assert ten != ten[:9] and ten[:9] != ten
    assert ten[::-1] != ten and ten[::-1][::-1] == ten
    other = impl.RecordTable(cls, list(ten)[:9])
    other.append((9, 4.5, "B"))
    assert other != ten
    assert ten != list(ten) and ten != 5 and (ten == None) is False  # noqa: E711
    assert impl.RecordTable(reading(impl)) != impl.RecordTable(cls)
    with pytest.raises(TypeError):
        ten < same  # noqa: B015


def test_equality_with_nan_and_nulls(impl):
    cls = impl.make_record("C", [("x", float | None), ("y", str | None)])
    assert impl.RecordTable(cls, [(None, None)]) == impl.RecordTable(cls, [(None, None)])
    assert impl.RecordTable(cls, [(None, "")]) != impl.RecordTable(cls, [(None, None)])
    assert impl.RecordTable(cls, [(0.0, None)]) != impl.RecordTable(cls, [(None, None)])
    assert impl.RecordTable(cls, [(0.0, None)]) == impl.RecordTable(cls, [(-0.0, None)])
    nan = impl.RecordTable(cls, [(math.nan, None)])
    assert nan != nan and nan != nan[:]


def test_equality_does_not_see_codes(impl):
    cls = of(impl, Annotated[str, impl.Coded])
    first, second = impl.RecordTable(cls, [("a",), ("b",)]), impl.RecordTable(cls, [("b",)])
    second = second[:0]
    second.extend([("a",), ("b",)])
    assert first == second
    second.extend({"x": [str(i) for i in range(300)]})
    assert first == second[:2] and second[:2] == first


def test_tables_are_unhashable(impl, ten):
    with pytest.raises(TypeError, match="unhashable"):
        hash(ten)


def test_repr(impl, ten):
    assert repr(ten) == str(ten) == "RecordTable(" + ten.record_class.__qualname__ + ", 10 rows)"
    assert repr(ten[:1]).endswith(", 1 row)") and repr(ten[:0]).endswith(", 0 rows)")
    assert repr(ten.column("unit")).startswith("Column(")


def test_attributes(impl, ten):
    assert ten.record_class is type(ten[0])
    assert ten.chunk_count == 1 and impl.RecordTable(ten.record_class).chunk_count == 0
    assert ten.nbytes >= 10 * 17
    assert ten.column("unit").name == "unit"


def test_columns_are_live(impl, ten):
    column = ten.column("unit")
    ten.append((10, 5.0, "new"))
    assert len(column) == 11 and column[-1] == "new" and column.tolist()[10] == "new"
    part = ten[2:4]
    assert part.column("unit").tolist() == ["a", "b"]
    del ten
    assert column[0] == "a"


def test_column_indexes(impl, ten):
    column = ten.column("value")
    assert column[0] == column[-11 + 1] == column[Index(0)] == 0.0 and column[-1] == 4.5
    for at in (10, -11, 2**70):
        with pytest.raises(IndexError, match="Column index out of range|cannot fit"):
            column[at]
    with pytest.raises(TypeError, match="^Column indices must be integers or slices, not str$"):
        column["a"]
    assert list(reversed(column)) == column.tolist()[::-1]


def test_unknown_columns(impl, ten):
    with pytest.raises(KeyError) as caught:
        ten.column("nope")
    assert caught.value.args == ("RecordTable.column(): SensorReading has no field 'nope'",) or (
        caught.value.args[0].endswith("SensorReading has no field 'nope'")
    )
    for name in (5, None, b"unit", ("unit",)):
        with pytest.raises(TypeError, match=rf"RecordTable\.column\(\).*{type(name).__name__}"):
            ten.column(name)


def test_weak_references(impl, ten):
    ref = weakref.ref(ten)
    part = ten[2:]
    column = part.column("unit")
    del ten
    gc.collect()
    ref = weakref.ref(part)
    del part
    gc.collect()
    assert ref() is not None and column.tolist() == list("abababab")
    del column
    gc.collect()
    assert ref() is None


# ---- copies and pickles


def test_copies_are_independent(impl, ten):
    want = rows(ten)
    for make in (copy.copy, copy.deepcopy, lambda t: t[:]):
        made = make(ten)
        assert made is not ten and made == ten and made.record_class is ten.record_class
        made.append((1, 1.0, "mine"))
        assert rows(ten) == want and rows(made) == [*want, (1, 1.0, "mine")]
        ten.append((2, 2.0, "yours"))
        assert rows(made) == [*want, (1, 1.0, "mine")]
        want = rows(ten)


@pytest.fixture
def importable(define):
    module = define(
        """
        from typing import Annotated

        class Wide(Record):
            a: i64
            b: f32 | None
            c: bool | None
            d: str
            e: Annotated[bytes, Size(2)]
            f: bytes | None
            g: str | None
        """
    )
    return module.Wide


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle(impl, importable, protocol):
    want = [(i, None if i % 3 else i / 2, [True, None, False][i % 3], f"é{i}", bytes([i, 0]),
             [None, b"", b"f" * i][i % 3], None if i % 2 else "g") for i in range(50)]  # fmt: skip
    table = impl.RecordTable(importable, want)
    for one in (table, table[7:31], table[::-1], table[:0], impl.RecordTable(importable)):
        back = pickle.loads(pickle.dumps(one, protocol))
        assert type(back) is impl.RecordTable and back.record_class is importable
        assert rows(back) == rows(one)
        back.append(want[0])
        assert rows(back) == [*rows(one), want[0]]


def test_pickle_of_several_chunks_and_out_of_band(impl, importable):
    row = (1, None, None, "d", b"ee", b"f", None)
    table = impl.RecordTable(importable, [row])
    for _ in range(3):
        table.extend(table[:])
    buffers: list[Any] = []
    data = pickle.dumps(table, 5, buffer_callback=buffers.append)
    back = pickle.loads(data, buffers=buffers)
    assert rows(back) == [row] * 8
    back.extend(back)
    assert rows(back) == [row] * 16 and rows(table) == [row] * 8


def test_pickle_of_coded_text(impl, define):
    module = define("class Plain(Record):\n    x: str\n")
    cls = module.Plain
    cls = module.Plain = impl.make_record(
        "Plain", [("x", Annotated[str, impl.Coded] | None)], module=module.__name__
    )
    want = [(None,), *((f"t{i % 140}",) for i in range(300))]
    table = impl.RecordTable(cls, want)
    for protocol in (2, 5):
        back = pickle.loads(pickle.dumps(table, protocol))
        assert rows(back) == want
        back.append(("t3",))
        back.append(("other",))
        assert rows(back) == [*want, ("t3",), ("other",)]


def test_columns_do_not_pickle(impl, ten):
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(ten.column("unit"))


# ---- memory, which only the native table has


def test_a_column_of_numbers_is_a_buffer(native):
    table = native.RecordTable(everything(native), [ROW, ZERO])
    for name, code in zip("abcdefghijlm", "bhiqBHIQfdqd", strict=True):
        view = memoryview(table.column(name))
        assert view.format.lstrip("@=<") == code and view.shape == (2,)
        assert view.tolist() == table.column(name).tolist()
        assert view.readonly and view.contiguous and view.nbytes == 2 * view.itemsize
    fixed = memoryview(table.column("o"))
    assert (fixed.format, fixed.itemsize, fixed.shape) == ("3s", 3, (2,))
    assert bytes(fixed) == b"\0\xff\0" + b"\0\0\0"


def test_columns_that_are_no_buffer_say_why(native):
    table = native.RecordTable(everything(native), [ROW])
    for name in "knpqrst":
        with pytest.raises(BufferError, match=rf"Everything\.{name}\b"):
            memoryview(table.column(name))
    nullable = native.RecordTable(of(native, native.i64 | None), [(1,)])
    assert memoryview(nullable.column("x")).tolist() == [1]
    nullable.append((None,))
    with pytest.raises(BufferError, match=r"One\.x.*null"):
        memoryview(nullable.column("x"))


def test_a_buffer_of_a_column_never_changes(native, ten_native):
    view = memoryview(ten_native.column("timestamp"))
    for i in range(1000):
        ten_native.append((i, 0.0, "x"))
    ten_native.extend(ten_native)
    assert view.tolist() == list(range(10))
    del ten_native
    gc.collect()
    assert view.tolist() == list(range(10))


@pytest.fixture
def ten_native(native):
    return native.RecordTable(reading(native), [(i, i / 2, "ab"[i % 2]) for i in range(10)])


def test_a_buffer_of_several_chunks_joins_them(native):
    cls = reading(native)
    table = native.RecordTable(cls, [(1, 1.0, "a")])
    table.extend(native.RecordTable(cls, [(2, 2.0, "b")]))
    table.extend(native.RecordTable(cls, [(3, 3.0, "a")]))
    assert memoryview(table.column("timestamp")).tolist() == [1, 2, 3]
    assert rows(table) == [(1, 1.0, "a"), (2, 2.0, "b"), (3, 3.0, "a")]
    assert table.chunk_count == 1


def test_a_buffer_of_a_slice_shares_the_memory(native, ten_native):
    with_address = memoryview(ten_native.column("timestamp"))
    part = memoryview(ten_native[3:7].column("timestamp"))
    assert part.tolist() == [3, 4, 5, 6] and part.readonly
    assert _address(part) == _address(with_address) + 24
    assert memoryview(ten_native[:0].column("timestamp")).tolist() == []


def _address(view: memoryview) -> int:
    import ctypes  # noqa: PLC0415

    class Buffer(ctypes.Structure):
        _fields_ = [("buf", ctypes.c_void_p), ("rest", ctypes.c_char * 200)]

    made = Buffer()
    assert not ctypes.pythonapi.PyObject_GetBuffer(
        ctypes.py_object(view), ctypes.byref(made), 0x11C
    )
    address = made.buf
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(made))
    return address or 0


def test_chunks_start_at_a_multiple_of_64(native):
    cls = reading(native)
    for n in (1, 3, 100):
        table = native.RecordTable(cls, [(i, 0.0, "x") for i in range(n)])
        assert _address(memoryview(table.column("timestamp"))) % 64 == 0
        assert _address(memoryview(table.column("value"))) % 64 == 0


def test_growth_leaves_rows_where_they_are(native):
    table = native.RecordTable(reading(native))
    table.append((0, 0.0, "x"))
    first = _address(memoryview(table[:1].column("timestamp")))
    chunks = {table.chunk_count}
    for i in range(1, 10_000):
        table.append((i, 0.0, "x"))
        chunks.add(table.chunk_count)
    assert _address(memoryview(table[:1].column("timestamp"))) == first
    assert table.column("timestamp").tolist() == list(range(10_000))
    assert 1 < max(chunks) < 60


def test_a_table_costs_what_its_columns_cost(native):
    n = 100_000
    cls = reading(native)
    table = native.RecordTable.from_columns(
        cls,
        {
            "timestamp": array.array("q", range(n)),
            "value": array.array("d", bytes(8 * n)),
            "unit": ["CFK"[i % 3] for i in range(n)],
        },
    )
    assert 17 * n <= table.nbytes < 17.5 * n
    assert sys.getsizeof(table) < 17.5 * n + 5000
    copies = native.RecordTable(cls, table)
    assert copies.nbytes == table.nbytes


def test_sizes_are_true(native):
    import tracemalloc  # noqa: PLC0415

    cls = native.make_record("C", [("a", native.i64), ("b", str | None), ("c", bool)])
    data = {"a": range(50_000), "b": ["text", None] * 25_000, "c": [True] * 50_000}
    native.RecordTable(cls, data)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    table = native.RecordTable(cls, data)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert abs((after - before) - sys.getsizeof(table)) < 2000


def test_collector_sees_tables(native):
    class Holder(native.Record):
        x: native.i64

    Holder.table = native.RecordTable(Holder, [(1,)])
    Holder.column = Holder.table.column("x")
    Holder.forward = iter(Holder.table)
    ref = weakref.ref(Holder)
    del Holder
    gc.collect()
    assert ref() is None
