"""`sql_schema`: the statements as text; what databases do with them is in another file."""

import dataclasses
import datetime
import decimal
import enum
import gc
import importlib
import math
import re
import sqlite3
import typing
import uuid
import weakref
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import hypothesis
import hypothesis.strategies as st
import pytest


def one(impl, annotation, dialect="sqlite", **more):
    """The line of the column that the annotation makes, without name and comments."""
    cls = type("T", (), {"__annotations__": {"x": annotation}, **more})
    lines = impl.sql_schema(cls, dialect=dialect).split("\n")
    assert lines[0] == 'CREATE TABLE "T" (' and lines[-1] == ");"
    assert lines[-2].startswith('    "x" ')
    return lines[-2].removeprefix('    "x" ')


def notes(impl, annotation, dialect="sqlite"):
    cls = type("T", (), {"__annotations__": {"x": annotation}})
    lines = impl.sql_schema(cls, dialect=dialect).split("\n")
    return [line.removeprefix("    -- ") for line in lines if line.startswith("    --")]


def test_the_article(impl):
    class User:
        username: Annotated[str, impl.MinLength(3), impl.MaxLength(32), impl.Sensitive]
        age: Annotated[int, impl.Ge(0)] = 18
        bio: str | None = None

    assert impl.sql_schema(User) == (
        'CREATE TABLE "User" (\n'
        '    "username" VARCHAR(32) NOT NULL CHECK (typeof("username") = \'text\')'
        ' CHECK (length("username") >= 3) CHECK (length("username") <= 32),\n'
        '    "age" INTEGER NOT NULL DEFAULT 18 CHECK (typeof("age") = \'integer\')'
        ' CHECK ("age" >= 0),\n'
        "    \"bio\" TEXT CHECK (typeof(\"bio\") IN ('text', 'null'))\n"
        ");"
    )
    assert impl.sql_schema(User, dialect="postgresql", table="people") == (
        'CREATE TABLE "people" (\n'
        '    "username" TEXT NOT NULL CHECK (character_length("username") >= 3)'
        ' CHECK (character_length("username") <= 32),\n'
        '    "age" BIGINT NOT NULL DEFAULT 18 CHECK ("age" >= 0),\n'
        '    "bio" TEXT\n'
        ");"
    )


class Color(enum.Enum):
    RED = "red"
    BLUE = "it's"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


UTC = datetime.UTC


class Coordinates(TypedDict):
    x: int


class Name(str):
    pass


@pytest.mark.parametrize(
    ("annotation", "sqlite", "postgres"),
    [
        (bool, "INTEGER", "BOOLEAN"),
        (int, "INTEGER", "BIGINT"),
        (float, "REAL", "DOUBLE PRECISION"),
        (str, "TEXT", "TEXT"),
        (Name, "TEXT", "TEXT"),
        (bytes, "BLOB", "BYTEA"),
        (decimal.Decimal, "NUMERIC", "NUMERIC"),
        (datetime.date, "TEXT", "DATE"),
        (datetime.datetime, "TEXT", "TIMESTAMP"),
        (datetime.time, "TEXT", "TIME"),
        (datetime.timedelta, "REAL", "INTERVAL"),
        (uuid.UUID, "TEXT", "UUID"),
        (Color, "TEXT", "TEXT"),
        (Level, "INTEGER", "BIGINT"),
        (Literal["a", "b"], "TEXT", "TEXT"),
        (Literal[Color.RED], "TEXT", "TEXT"),
        (list[int], "TEXT", "JSONB"),
        (list, "TEXT", "JSONB"),
        (tuple[int, str], "TEXT", "JSONB"),
        (typing.Sequence[int], "TEXT", "JSONB"),
        (dict[str, int], "TEXT", "JSONB"),
        (typing.Mapping[str, int], "TEXT", "JSONB"),
        (Coordinates, "TEXT", "JSONB"),
        (typing.NewType("Id", int), "INTEGER", "BIGINT"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_types(impl, annotation, sqlite, postgres):
    assert one(impl, annotation).startswith(f"{sqlite} NOT NULL")
    assert one(impl, annotation, "postgresql").startswith(f"{postgres} NOT NULL")
    for optional in (annotation | None, Annotated[annotation | None, "other"]):
        for dialect, name in (("sqlite", sqlite), ("postgresql", postgres)):
            line = one(impl, optional, dialect)
            assert line.startswith(name) and "NOT NULL" not in line.replace("IS NOT NULL", "")


@pytest.mark.parametrize("package", ["ferrule.records", "ferrule.pure.records"])
@pytest.mark.parametrize(
    ("kind", "postgres", "low", "high"),
    [
        ("i8", "SMALLINT", -128, 127),
        ("i16", "SMALLINT", None, None),
        ("i32", "INTEGER", None, None),
        ("i64", "BIGINT", None, None),
        ("u8", "SMALLINT", 0, 255),
        ("u16", "INTEGER", 0, 65535),
        ("u32", "BIGINT", 0, 4294967295),
        ("u64", "NUMERIC(20, 0)", 0, 18446744073709551615),
        ("f32", "REAL", None, None),
        ("f64", "DOUBLE PRECISION", None, None),
        ("bool8", "BOOLEAN", None, None),
    ],
)
def test_storage_kinds(impl, package, kind, postgres, low, high):
    records = importlib.import_module(package)
    cls = records.make_record("T", [("x", getattr(records, kind)), ("y", int)])
    line = impl.sql_schema(cls, dialect="postgresql").split("\n")[1]
    check = "" if low is None else f' CHECK ("x" BETWEEN {low} AND {high})'
    assert line == f'    "x" {postgres} NOT NULL{check},'
    assert ("BETWEEN" in impl.sql_schema(cls)) == (kind[0] in "iu" and kind != "i64")


def test_sizes_of_records(impl):
    records = importlib.import_module("ferrule.records")
    text = Annotated[str, records.Size(8)]
    raw = Annotated[bytes, records.Size(4)]
    assert one(impl, text).endswith('CHECK (length(CAST("x" AS BLOB)) <= 8)')
    assert one(impl, raw).endswith('CHECK (length("x") = 4)')
    assert one(impl, text | None, "postgresql").endswith('CHECK (octet_length("x") <= 8)')
    assert one(impl, raw, "postgresql").endswith('CHECK (octet_length("x") = 4)')


def test_record_and_dataclass_and_named_tuple(impl):
    records = importlib.import_module("ferrule.records")

    @dataclasses.dataclass
    class Data:
        x: int
        y: str = dataclasses.field(default="it's")
        z: list[int] = dataclasses.field(default_factory=list)

    class Row(NamedTuple):
        x: int = 5

    made = records.make_record("Made", [("x", int, 5)])
    assert "DEFAULT 'it''s'" in impl.sql_schema(Data) and "z" in impl.sql_schema(Data)
    assert impl.sql_schema(Data).count("DEFAULT") == 1
    for cls in (Row, made):
        assert '"x" INTEGER NOT NULL DEFAULT 5' in impl.sql_schema(cls)


@pytest.mark.parametrize(
    ("annotation", "default", "sqlite", "postgres"),
    [
        (int, -5, "-5", "-5"),
        (int, True, "1", "1"),
        (float, 1.5, "1.5", "1.5"),
        (float, 5, "5", "5"),
        (float, math.inf, "9e999", "'Infinity'::DOUBLE PRECISION"),
        (float, -math.inf, "-9e999", "'-Infinity'::DOUBLE PRECISION"),
        (float, math.nan, None, None),
        (bool, True, "1", "TRUE"),
        (str, "a'b\\c", "'a''b\\c'", "E'a''b\\\\c'"),
        (str, 5, None, None),
        (bytes, b"a'\0", "X'612700'", "E'\\\\x612700'::BYTEA"),
        (decimal.Decimal, decimal.Decimal("1.10"), "1.10", "1.10"),
        (decimal.Decimal, decimal.Decimal("Infinity"), "9e999", "'Infinity'::NUMERIC"),
        (datetime.date, datetime.date(2020, 1, 2), "'2020-01-02'", "'2020-01-02'::DATE"),
        (
            datetime.datetime,
            datetime.datetime(2020, 1, 2, 3),
            "'2020-01-02T03:00:00'",
            "'2020-01-02T03:00:00'::TIMESTAMP",
        ),
        (datetime.time, datetime.time(3), "'03:00:00'", "'03:00:00'::TIME"),
        (datetime.timedelta, datetime.timedelta(1), "86400.0", "'86400.0 seconds'::INTERVAL"),
        (Color, Color.RED, "'red'", "'red'"),
        (Level, Level.LOW, "1", "1"),
        (int, 2**63, None, None),
        (int, -(2**63), str(-(2**63)), str(-(2**63))),
        (
            datetime.datetime,
            datetime.datetime(2020, 1, 2, tzinfo=UTC),
            "'2020-01-02T00:00:00+00:00'",
            "'2020-01-02T00:00:00+00:00'::TIMESTAMPTZ",
        ),
        (datetime.time, datetime.time(3, tzinfo=UTC), "'03:00:00+00:00'", None),
        (Rights, Rights.READ | Rights.WRITE, "3", "3"),
        (str | None, None, None, None),
        (dict, None, None, None),
        (Annotated[str, "sensitive_data"], "hunter2", None, None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_defaults(impl, annotation, default, sqlite, postgres):
    for dialect, text in (("sqlite", sqlite), ("postgresql", postgres)):
        line = one(impl, annotation, dialect, x=default)
        if text is None:
            assert "DEFAULT" not in line
        else:
            assert f" DEFAULT {text}" in line
    assert "hunter2" not in one(impl, annotation, x=default)


def test_checks(impl):
    assert one(impl, Annotated[int, impl.Gt(1), impl.Le(2.5)], "postgresql").endswith(
        ' CHECK ("x" > 1) CHECK ("x" <= 2.5)'
    )
    assert one(impl, Annotated[int, impl.Ge(2.0**60)], "postgresql").endswith(
        f' CHECK ("x" >= {2**60})'
    )
    assert one(impl, Annotated[int, impl.Interval(ge=1, lt=5)]).endswith(
        ' CHECK ("x" >= 1) CHECK ("x" < 5)'
    )
    assert one(impl, Annotated[float, impl.Ge(0)], "postgresql").endswith(
        """ CHECK ("x" >= 0 AND "x" <> 'NaN'::DOUBLE PRECISION)"""
    )
    assert one(impl, Annotated[str, impl.Lt("it's")], "postgresql").endswith(
        """ CHECK ("x" COLLATE "C" < 'it''s')"""
    )
    assert one(impl, Annotated[int, impl.MultipleOf(3)]).endswith(' CHECK ("x" % 3 = 0)')
    assert one(impl, Annotated[int, impl.MultipleOf(2**64)]).endswith(' CHECK ("x" = 0)')
    assert one(impl, Annotated[list[int], impl.Length(1, 2)]).endswith(
        ' CHECK (json_array_length("x") >= 1) CHECK (json_array_length("x") <= 2)'
    )
    assert one(impl, Color) == "TEXT NOT NULL CHECK (\"x\" IN ('red', 'it''s'))"
    assert one(impl, Literal[1, None]) == 'INTEGER CHECK ("x" IN (1))'
    assert one(impl, Literal[True], "postgresql") == 'BOOLEAN NOT NULL CHECK ("x" IN (TRUE))'
    assert one(impl, Annotated[str, impl.MaxLength(0)]).startswith("TEXT")
    assert one(impl, Annotated[str, impl.MaxLength(9), impl.MaxLength(4)]).startswith("VARCHAR(4)")


def test_zones(impl):
    utc = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    for found in (impl.Ge(utc), impl.Timezone(...)):
        line = one(impl, Annotated[datetime.datetime, found], "postgresql")
        assert line.startswith("TIMESTAMPTZ")
    assert one(impl, Annotated[datetime.datetime, impl.Timezone(None)], "postgresql").startswith(
        "TIMESTAMP "
    )


def test_bounds_with_zones(impl):
    """As texts they compare otherwise than as moments; PostgreSQL's TIME has no zone."""
    moment = datetime.datetime(2020, 1, 1, tzinfo=UTC)
    said = [f"not checked: Ge({moment!r})"]
    for annotation in (datetime.datetime, datetime.datetime | None):
        bounded = Annotated[annotation, impl.Ge(moment)]
        assert notes(impl, bounded) == said and notes(impl, bounded, "postgresql") == []
    time = Annotated[datetime.time, impl.Lt(datetime.time(5, tzinfo=UTC))]
    for dialect in ("sqlite", "postgresql"):
        assert notes(impl, time, dialect) == [f"not checked: Lt({datetime.time(5, tzinfo=UTC)!r})"]
        assert one(impl, time, dialect).split()[0] == ("TEXT" if dialect == "sqlite" else "TIME")
    assert notes(impl, Annotated[datetime.time, impl.Lt(datetime.time(5))]) == []


def test_flags(impl):
    assert one(impl, Rights, "postgresql") == 'BIGINT NOT NULL CHECK (("x" & -4) = 0)'
    assert one(impl, Rights) == (
        'INTEGER NOT NULL CHECK (typeof("x") = \'integer\') CHECK (("x" & -4) = 0)'
    )
    kept = enum.IntFlag("Kept", {"A": 1})
    assert one(impl, kept, "postgresql") == "BIGINT NOT NULL"
    assert notes(impl, enum.Flag("Large", {"A": 2**63})) == [f"not checked: Flag({2**63})"]
    assert one(impl, Literal[Rights.READ], "postgresql") == 'BIGINT NOT NULL CHECK ("x" IN (1))'


def test_names_that_sqlite_takes_for_one(impl):
    class T(TypedDict):
        name: int
        other: int
        NAME: int

    with pytest.raises(ValueError, match=r"T\.NAME: sql_schema\(\): SQLite .* of .*T\.name$"):
        impl.sql_schema(T)
    assert impl.sql_schema(T, dialect="postgresql")
    assert impl.sql_schema(TypedDict("T", {"é": int, "É": int}))
    for table in ("sqlite_x", "SQLite_"):
        with pytest.raises(ValueError, match="keeps for itself"):
            impl.sql_schema(T, table=table)
    assert impl.sql_schema(TypedDict("T", {"x": int}), table="sqlitex")
    with pytest.raises(ValueError, match=r"^T\.a+: .* longer than the 63 bytes"):
        impl.sql_schema(TypedDict("T", {"a" * 64: int}), dialect="postgresql")


def test_native_marker_in_the_twin(impl):
    native = importlib.import_module("ferrule.validation")
    line = one(impl, Annotated[str, native.Sensitive], x="hunter2")
    assert "hunter2" not in line and "DEFAULT" not in line


def test_what_is_not_checked_is_said(impl):
    even = impl.Predicate(lambda value: value % 2 == 0)
    assert notes(impl, Annotated[int, even]) == ["not checked: Predicate"]
    assert notes(impl, Annotated[float, impl.MultipleOf(0.5)]) == ["not checked: MultipleOf(0.5)"]
    assert notes(impl, Annotated[int, impl.MultipleOf(0.5)]) == ["not checked: MultipleOf(0.5)"]
    assert notes(impl, Annotated[dict, impl.MinLength(1)]) == ["not checked: MinLength(1)"]
    for tp in (Annotated[str, impl.Sensitive, "other", 5], Annotated[str, impl.Strip]):
        assert notes(impl, tp) == []


def test_docs(impl):
    class T:
        x: Annotated[int, impl.Doc("a 'b' \\ \n); DROP TABLE t; --\r\0\u2028é")]

    assert impl.sql_schema(T).split("\n")[1] == ("    -- a 'b' \\  ); DROP TABLE t; --   é")
    assert impl.sql_schema(T, dialect="postgresql").split("\n")[-1] == (
        'COMMENT ON COLUMN "T"."x" IS ' + "E'a ''b'' \\\\  ); DROP TABLE t; --   é';"
    )


HOSTILE = ["select", 'a"b', "a'b", "a b", "a;--", "a\nb", "é", '"', '"); DROP TABLE t; --', "x.y"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(impl, name):
    cls = TypedDict("T", {name: Annotated[str, impl.MinLength(1)], "other": int})
    connection = sqlite3.connect(":memory:")
    connection.execute(impl.sql_schema(cls, table=name))
    quoted = '"' + name.replace('"', '""') + '"'
    assert [row[1] for row in connection.execute(f"PRAGMA table_info({quoted})")] == [name, "other"]
    assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == [name]
    connection.execute(f"INSERT INTO {quoted} VALUES ('a', 1)")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(f"INSERT INTO {quoted} VALUES ('', 1)")
    connection.close()


@pytest.mark.parametrize("text", [*HOSTILE, "\\", "\\'", "'); DROP TABLE t; --"])
def test_hostile_values(impl, text):
    cls = type("T", (), {"__annotations__": {"x": Literal[text], "y": str}, "y": text})
    connection = sqlite3.connect(":memory:")
    connection.execute(impl.sql_schema(cls))
    connection.execute("INSERT INTO T (x) VALUES (?)", (text,))
    assert list(connection.execute("SELECT * FROM T")) == [(text, text)]
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO T (x) VALUES (?)", (text + "x",))
    connection.close()


def test_bad_names(impl):
    class T:
        x: int

    for table, match in (("", "no name"), ("a\0b", "NUL"), ("a\ud800", "surrogate")):
        with pytest.raises(ValueError, match=match):
            impl.sql_schema(T, table=table)
    with pytest.raises(ValueError, match="longer than the 63 bytes"):
        impl.sql_schema(T, dialect="postgresql", table="é" * 32)
    assert impl.sql_schema(T, table="é" * 32)
    for name, match in (("", "no name"), ("a\0", "NUL"), ("a\ud800", "surrogate")):
        with pytest.raises(ValueError, match=f"^D.*{match}"):
            impl.sql_schema(TypedDict("D", {name: int}))
    with pytest.raises(ValueError, match=r"^T\.x: .*NUL"):
        one(impl, Literal["a\0"])


@pytest.mark.parametrize(
    "annotation",
    [
        Any, object, complex, int | str, type[int], typing.Callable[[], int], re.Pattern,
        dataclasses.make_dataclass("Inner", [("y", int)]), typing.TypeVar("T"), None,
    ],
    ids=repr,
)  # fmt: skip
def test_types_without_a_column(impl, annotation):
    with pytest.raises(TypeError, match=r"^T\.x: sql_schema\(\) has no column type for "):
        one(impl, annotation)


def test_bad_choices(impl):
    for annotation in (
        Literal[1, "a"],
        enum.Enum("E", {"A": [1]}),
        enum.Enum("E", {"A": 1, "B": ""}),
    ):
        with pytest.raises(TypeError, match=r"^T\.x: .* wants choices of one simple type"):
            one(impl, annotation)


def test_bad_arguments(impl):
    class T:
        x: int

    class Empty:
        pass

    for attempt, kind, match in (
        (lambda: impl.sql_schema(), TypeError, "sql_schema"),
        (lambda: impl.sql_schema(T, "sqlite"), TypeError, "positional"),
        (lambda: impl.sql_schema(T, other=1), TypeError, "other"),
        (lambda: impl.sql_schema(T()), TypeError, "wants a class with annotated fields, got T"),
        (lambda: impl.sql_schema(T, dialect="mysql"), ValueError, "'sqlite' or 'postgresql'"),
        (lambda: impl.sql_schema(T, dialect=1), TypeError, "dialect must be a str, got int"),
        (lambda: impl.sql_schema(T, table=1), TypeError, "table must be a str or None, got int"),
        (lambda: impl.sql_schema(Empty), TypeError, "Empty has no fields"),
        (lambda: impl.sql_schema(int), TypeError, "int has no fields"),
    ):
        with pytest.raises(kind, match=match):
            attempt()


def test_kept_by_class_and_dialect(native):
    class T:
        x: int

    texts = [native.sql_schema(T), native.sql_schema(T, dialect="postgresql")]
    assert texts[0] is native.sql_schema(T, table=None, dialect="sqlite")
    assert texts[1] is native.sql_schema(T, dialect="postgresql")
    assert native.sql_schema(T, table="U") == texts[0].replace('"T"', '"U"')


def test_classes_are_let_go(impl):
    def make():
        class T:
            x: Annotated[int, impl.Ge(5)]

        impl.sql_schema(T), impl.sql_schema(T, dialect="postgresql")
        return weakref.ref(T)

    ref = make()
    gc.collect()
    assert ref() is None


ANNOTATIONS = st.sampled_from([int, float, str, bytes, bool, decimal.Decimal])
NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(2**66), 2**66),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False),
    st.text(max_size=3),
)


@hypothesis.given(data=st.data(), optional=st.booleans())
def test_same_as_the_twin(data, optional):
    native, pure = map(importlib.import_module, ("ferrule.validation", "ferrule.pure.validation"))
    annotation = data.draw(ANNOTATIONS)
    kinds = data.draw(st.lists(st.sampled_from(["Ge", "Gt", "Le", "Lt", "MultipleOf"]), max_size=1))
    bound = data.draw(NUMBERS)
    default = data.draw(st.one_of(st.none(), NUMBERS))
    texts = []
    for impl in (native, pure):
        try:
            metadata = [getattr(impl, kind)(bound) for kind in kinds] + [impl.Doc("a")]
            tp: Any = Annotated[annotation, *metadata]
            cls = type("T", (), {"__annotations__": {"x": tp | None if optional else tp}})
            if default is not None:
                cls.x = default
            texts.append([impl.sql_schema(cls, dialect=d) for d in ("sqlite", "postgresql")])
        except (TypeError, ValueError) as error:
            texts.append([type(error)])
    assert texts[0] == texts[1]
