"""`sql_schema` in a real SQLite and a real PostgreSQL: INSERT succeeds exactly where validate does.

Left out are values that a database cannot hold at all: text with NUL or lone surrogates, ints of
more than 64 bits, NaN in SQLite, which keeps it as NULL.
"""

import contextlib
import datetime
import decimal
import enum
import importlib
import json
import math
import random
import re
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, TypedDict

import hypothesis
import hypothesis.strategies as st
import pytest

pytestmark = pytest.mark.integration
native = importlib.import_module("ferrule.validation")
D = decimal.Decimal

Insert = Callable[[Any, Any], bool]


class Color(enum.Enum):
    RED = "red"
    BLUE = "it's"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(TypedDict):
    x: int


def table_of(annotation: Any) -> Any:
    return type("T", (), {"__annotations__": {"x": annotation}})


def to_sqlite(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (list, dict)):
        return json.dumps(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, (D, uuid.UUID)) else value


@pytest.fixture(scope="module")
def sqlite() -> Iterator[Insert]:
    connection = sqlite3.connect(":memory:", isolation_level=None)

    def insert(annotation: Any, value: Any) -> bool:
        connection.execute("DROP TABLE IF EXISTS T")
        connection.execute(native.sql_schema(table_of(annotation)))
        try:
            connection.execute("INSERT INTO T VALUES (?)", (to_sqlite(value),))
        except sqlite3.IntegrityError:
            return False
        return True

    yield insert
    connection.close()


@pytest.fixture(scope="module")
def postgres_insert(postgres: str) -> Iterator[Insert]:
    psycopg = importlib.import_module("psycopg")
    jsonb = importlib.import_module("psycopg.types.json").Jsonb
    refused = (
        psycopg.errors.IntegrityError,
        psycopg.errors.NumericValueOutOfRange,
        psycopg.errors.InvalidTextRepresentation,
        psycopg.errors.InvalidParameterValue,
    )
    with psycopg.connect(postgres, autocommit=True) as connection:

        def insert(annotation: Any, value: Any) -> bool:
            if isinstance(value, enum.Enum):
                value = value.value
            value = jsonb(value) if isinstance(value, (list, dict)) else value
            with connection.transaction(force_rollback=True):
                schema = native.sql_schema(table_of(annotation), dialect="postgresql", table="t")
                connection.execute(schema)
                try:
                    with connection.transaction():
                        connection.execute("INSERT INTO t VALUES (%s)", (value,))
                except refused:
                    return False
            return True

        yield insert


@pytest.fixture(params=["sqlite", "postgresql"])
def insert(request: pytest.FixtureRequest) -> Insert:
    wanted = "sqlite" if request.param == "sqlite" else "postgres_insert"
    made: Insert = request.getfixturevalue(wanted)
    return made


def accepted(annotation: Any, value: Any) -> bool:
    try:
        native.validate(value, annotation)
    except (TypeError, ValueError):
        return False
    return True


N = native
DAY, NOON = datetime.date(2020, 2, 29), datetime.datetime(2020, 2, 29, 12)
CASES: dict[str, tuple[Any, list[Any]]] = {
    "int": (Annotated[int, N.Ge(0), N.Lt(10)], [-1, 0, 9, 10, 2**62]),
    "multiple": (Annotated[int, N.MultipleOf(3)], [-3, -1, 0, 1, 3, 2**62]),
    "int with float": (Annotated[int, N.Gt(2.5), N.Le(2.0**60)], [2, 3, 2**60, 2**60 + 1]),
    "optional": (Annotated[int, N.Ge(5)] | None, [None, 4, 5]),
    "not null": (int, [None, 0]),
    "float": (Annotated[float, N.Gt(0.1), N.Le(5)], [0.1, 0.2, 5.0, 5.1, math.inf, -math.inf]),
    "infinite": (Annotated[float, N.Lt(math.inf)], [1e308, math.inf, -math.inf]),
    "decimal": (Annotated[D, N.Ge(D("1.5")), N.Lt(3)], [D("1.49"), D("1.5"), D("2.9"), D(3)]),
    "str": (Annotated[str, N.Length(2, 4)], ["a", "ab", "äöü€", "abcde", "ab   ", "     "]),
    "str bounds": (Annotated[str, N.Ge("B"), N.Lt("a")], ["A", "B", "Z", "a", "é", ""]),
    "bytes": (Annotated[bytes, N.Length(1, 2)], [b"", b"\0", b"ab", b"abc"]),
    "bytes bounds": (Annotated[bytes, N.Gt(b"a\\'")], [b"a", b"a\\'", b"a\\'\0", b"\xff"]),
    "bool": (bool, [True, False, None]),
    "enum": (Color, [Color.RED, Color.BLUE, None]),
    "literal": (Literal["a", "it's", "\\"], ["a", "it's", "\\", "b", "A", None]),
    "literal int": (Literal[1, 5] | None, [1, 5, 2, None]),
    "date": (Annotated[datetime.date, N.Ge(DAY)], [DAY, datetime.date(2020, 2, 28)]),
    "datetime": (
        Annotated[datetime.datetime, N.Gt(NOON)],
        [NOON, NOON.replace(microsecond=1), NOON.replace(hour=11)],
    ),
    "time": (
        Annotated[datetime.time, N.Lt(datetime.time(5))],
        [datetime.time(4, 59), datetime.time(5)],
    ),
    "any datetime": (
        datetime.datetime,
        [NOON, datetime.datetime.min, datetime.datetime.max, None],
    ),
    "any time": (datetime.time, [datetime.time.min, datetime.time.max, None]),
    "flag": (Rights, [Rights(0), Rights.READ, Rights.READ | Rights.WRITE, None]),
    "timedelta": (
        Annotated[datetime.timedelta, N.Le(datetime.timedelta(days=1))],
        [datetime.timedelta(hours=24), datetime.timedelta(hours=24, seconds=1)],
    ),
    "uuid": (uuid.UUID | None, [uuid.UUID(int=5), None]),
    "list": (Annotated[list[int], N.Length(1, 2)], [[], [1], [1, 2], [1, 2, 3], None]),
    "dict": (dict[str, int], [{}, {"a'": 1}, None]),
    "typed dict": (Point | None, [{"x": 1}, None]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_refused_exactly_where_validate_refuses(insert, case):
    annotation, values = CASES[case]
    seen = set()
    for value in values:
        expected = accepted(annotation, value)
        seen.add(expected)
        assert insert(annotation, value) == expected, value
    assert True in seen


@pytest.mark.parametrize("kind", ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"])
def test_ranges_of_records(insert, kind):
    records = importlib.import_module("ferrule.records")
    cls = records.make_record("R", [("x", getattr(records, kind))])
    for value in {n + d for n in (0, *(2**p for p in (7, 8, 15, 16, 31, 32, 62))) for d in (-1, 0)}:
        for number in (value, -value):
            try:
                cls(number)
                expected = True
            except OverflowError:
                expected = False
            assert insert(getattr(records, kind), number) == expected, number


def test_sizes_of_records(insert):
    records = importlib.import_module("ferrule.records")
    for value, fits in (("ab", True), ("äö", True), ("äöü", False), ("abcde", False)):
        assert insert(Annotated[str, records.Size(4)], value) == fits
    for raw, fits in ((b"ab", True), (b"a", False), (b"abc", False)):
        assert insert(Annotated[bytes, records.Size(2)], raw) == fits


def test_nan_passes_no_bound_of_postgres(postgres_insert):
    for bound in (N.Ge(0), N.Gt(0), N.Le(0), N.Lt(0)):
        assert not postgres_insert(Annotated[float, bound], math.nan)
        assert not postgres_insert(Annotated[D, bound], D("NaN"))
    assert postgres_insert(float, math.nan)


def test_wrong_types_in_sqlite(sqlite):
    for annotation, value in (
        (int, "abc"), (int, 1.5), (float, "abc"), (str, b"abc"), (bytes, "abc"), (D, "abc"),
        (bool, 2), (uuid.UUID, "x" * 36), (list, "[1"), (list, "{}"), (dict, "[]"),
        (datetime.date, "2021-02-29"), (datetime.date, "now"), (datetime.date, "2020-01-01x"),
        (datetime.datetime, "2021-02-29T10:00:00"), (datetime.datetime, "2020-02-29T25:00:00"),
        (datetime.datetime, "now"), (datetime.time, "25:00"), (datetime.time, "12"),
    ):  # fmt: skip
        for tp in (annotation, annotation | None):
            with contextlib.suppress(sqlite3.OperationalError):
                assert not sqlite(tp, value), (tp, value)


def test_zones_in_sqlite(sqlite):
    for offset in (
        datetime.timedelta(hours=23, minutes=59),
        datetime.timedelta(hours=-15, seconds=-7),
        datetime.timedelta(seconds=5, microseconds=7),
    ):
        zone = datetime.timezone(offset)
        moment = datetime.datetime.max.replace(tzinfo=zone)
        for value, bound in (
            (moment, N.Ge(datetime.datetime(2020, 1, 1, 23, tzinfo=zone))),
            (moment.timetz(), N.Ge(datetime.time(23, tzinfo=zone))),
        ):
            assert sqlite(type(value), value) and sqlite(type(value) | None, value)
            other = value.replace(tzinfo=datetime.UTC)
            assert sqlite(Annotated[type(value), bound], other)
    for text in ("2020-02-29T10:00:00x", "2020-02-29T10:00:60", "2020-02-29T10:00:00 "):
        assert not sqlite(datetime.datetime, text) and not sqlite(datetime.time, text[11:])


def test_masks(insert):
    for value, fits in ((0, True), (3, True), (4, False), (7, False), (-1, False), (-4, False)):
        assert insert(Rights, value) == fits and insert(Rights | None, value) == fits


def test_default_with_zone_in_postgres(postgres):
    psycopg = importlib.import_module("psycopg")
    moment = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=5)))

    class T:
        x: datetime.datetime = moment
        y: int = 2**70
        z: datetime.time | None = datetime.time(3, tzinfo=datetime.UTC)

    with psycopg.connect(postgres) as server:
        server.execute(N.sql_schema(T, dialect="postgresql", table="zoned"))
        row = server.execute("INSERT INTO zoned (y) VALUES (1) RETURNING x, y, z").fetchone()
        assert tuple(row) == (moment, 1, None)
        server.rollback()


def test_defaults(insert, postgres, sqlite):
    psycopg = importlib.import_module("psycopg")

    class T:
        a: int = 5
        b: str = "it's \\ %"
        c: float = -math.inf
        d: Color = Color.BLUE
        e: bytes = b"\\'\xff"
        f: bool = True
        g: datetime.date = DAY
        h: D = D("1.10")

    values = (5, T.b, -math.inf, "it's", T.e, True, DAY, D("1.10"))
    connection = sqlite3.connect(":memory:")
    connection.execute(N.sql_schema(T))
    row = connection.execute("INSERT INTO T DEFAULT VALUES RETURNING *").fetchone()
    assert row == (*values[:5], 1, "2020-02-29", 1.1)
    connection.close()
    with psycopg.connect(postgres) as server:
        server.execute(N.sql_schema(T, dialect="postgresql"))
        row = server.execute('INSERT INTO "T" DEFAULT VALUES RETURNING *').fetchone()
        assert tuple(row) == values
        server.rollback()


@pytest.mark.parametrize(
    "name", ["select", 'a"b', "a'b", "a b", "a;--", "a\nb", "é", '"', '"); DROP TABLE x; --', "%s"]
)
def test_hostile_names_and_texts(postgres, name):
    psycopg = importlib.import_module("psycopg")
    cls = TypedDict(  # type: ignore[misc]
        "T", {name: Annotated[Literal[name, "other"], N.Doc(f"{name}\n\\'; SELECT 1; --")]}
    )
    text = N.sql_schema(cls, dialect="postgresql", table=name)
    with psycopg.connect(postgres) as connection:
        connection.execute(text)
        where = "FROM information_schema.columns WHERE table_name = %s"
        found = connection.execute(f"SELECT column_name {where}", (name,)).fetchall()
        assert found == [(name,)]
        quoted = '"' + name.replace('"', '""').replace("%", "%%") + '"'
        query = f"INSERT INTO {quoted} VALUES (%s)"
        connection.execute(query, (name,))
        described = connection.execute(
            "SELECT description FROM pg_description d JOIN pg_class c ON c.oid = d.objoid "
            "WHERE c.relname = %s", (name,),
        ).fetchall()  # fmt: skip
        assert described == [(f"{name}".replace("\n", " ") + " \\'; SELECT 1; --",)]
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(query, (name + "x",))
        connection.rollback()


@hypothesis.settings(
    max_examples=60,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(data=st.data())
def test_any_bounds_and_lengths(insert, data):
    kind = data.draw(st.sampled_from([int, float, str, D]))
    values: Any = {
        int: st.integers(-(2**62), 2**62) | st.integers(-9, 9),
        float: st.floats(allow_nan=False, allow_subnormal=False) | st.floats(-9, 9),
        str: st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6),
        D: st.decimals(-100, 100, places=2),
    }[kind]
    if kind is str:
        low, high = sorted((data.draw(st.integers(0, 5)), data.draw(st.integers(0, 5))))
        annotation: Any = Annotated[str, N.Length(low, high)]
    else:
        bound = getattr(N, data.draw(st.sampled_from(["Ge", "Gt", "Le", "Lt"])))
        annotation = Annotated[kind, bound(data.draw(values))]
    for value in data.draw(st.lists(values, max_size=5)):
        assert insert(annotation, value) == accepted(annotation, value), (annotation, value)


# ---- patterns

PATTERNS = [
    "^[a-z]+$", "a.c", "^a|b$", r"^\A[^]a-c\]-]{2,3}\Z", "a*?b+?c??", r"(?:ab|c(d))+", r"[\^\-x]",
    r"^a{,2}$", r"\.\*\$", "a b#c", "é+", r"^[\n\t]$", "^$", "()", "a||b", r"[a\]b]",
    "^(a$|b)", r"a\Z|b$", "[.]", r"^[!-/]$", "^~!@#%&_=:;,<>\"'`/$", r"\~\!\@\\",
]  # fmt: skip


@pytest.mark.parametrize("flags", [0, re.ASCII, re.DOTALL], ids=str)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_in_postgres(postgres, pattern, flags):
    psycopg = importlib.import_module("psycopg")
    rng = random.Random(pattern)
    text = N.sql_schema(table_of(Annotated[str, N.Regex(pattern, flags)]), dialect="postgresql")
    if "not checked" in text:
        assert pattern == "^(a$|b)"
        return
    letters = sorted(set(pattern) | set("abc\n]é ^-"))
    texts = {""} | {"".join(rng.choices(letters, k=rng.randint(1, 6))) for _ in range(150)}
    if flags == re.ASCII:
        texts |= {"١", "aé", "ß"}
    expected = {value: re.search(pattern, value, flags) is not None for value in texts}
    check = re.search(r" CHECK \((.*)\)\n\);$", text, re.DOTALL)
    assert check is not None
    with psycopg.connect(postgres) as connection:
        query = f'SELECT x, {check[1]} FROM unnest(%s::text[]) AS t("x")'
        found = dict(
            connection.execute(query.replace("%", "%%").replace("%%s", "%s"), (list(texts),))
        )
    assert found == expected


ATOMS = [
    "a",
    "b",
    "é",
    ".",
    r"\.",
    "[ab]",
    "[^a]",
    "[a-c]",
    "[^\n]",
    "^",
    "$",
    "|",
    "(",
    ")",
    "(?:",
]
REPEATS = ["", "", "", "*", "+", "?", "{2}", "{1,}", "{,2}", "{0,3}", "*?", "+?", "{1,2}?"]


@hypothesis.settings(
    max_examples=400,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
    st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(REPEATS)), min_size=1, max_size=7),
    st.lists(st.text("abcé.\n", max_size=6), min_size=1, max_size=12),
)
def test_any_pattern_in_postgres(postgres, parts, texts):
    pattern = "".join(map("".join, parts))
    try:
        compiled = re.compile(pattern)
        annotation = Annotated[str, N.Regex(pattern)]
    except (re.error, ValueError, FutureWarning):
        hypothesis.reject()
    text = N.sql_schema(table_of(annotation), dialect="postgresql")
    hypothesis.assume("not checked" not in text)
    check = re.search(r" CHECK \((.*)\)\n\);$", text, re.DOTALL)
    psycopg = importlib.import_module("psycopg")
    with _connected(psycopg, postgres) as connection:
        query = f'SELECT x, {check[1]} FROM unnest(%s::text[]) AS t("x")'
        found = dict(
            connection.execute(query.replace("%", "%%").replace("%%s::", "%s::"), (texts,))
        )
    assert found == {value: compiled.search(value) is not None for value in texts}, pattern


@contextlib.contextmanager
def _connected(psycopg: Any, where: str) -> Iterator[Any]:
    connection = psycopg.connect(where, autocommit=True)
    try:
        yield connection
    finally:
        connection.close()
