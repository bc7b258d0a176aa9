"""Classes as CREATE TABLE. SQLAlchemy compiles a table it has; the article asks typing."""

from __future__ import annotations

from functools import partial

from ferrule.cli.registry import Footprint, Implementation, Operation, Room
from ferrule.cli.rooms.calls_wrapper import values
from ferrule.cli.rooms.validation_constraint import CLASS

_IMPORTS = "from ferrule{}.validation import MaxLength, MinLength, Sensitive, sql_schema\n"

_OURS = (
    CLASS
    + """
def first():
    return sql_schema(User, table="User")  # with a name of one's own nothing is kept

def again():
    return sql_schema(User)

def columns(text):
    return [line.split('"')[1] for line in text.split("\\n")[1:] if '"' in line]

def made(rows):
    return [first() for _ in rows]
"""
)

_ARTICLE = (
    """
MinLength = lambda n: f"min_len:{n}"
MaxLength = lambda n: f"max_len:{n}"
Sensitive = "sensitive_data"
"""
    + CLASS
    + """
NAMES = {str: "TEXT", int: "INTEGER", float: "REAL", bool: "BOOLEAN"}

def first():
    lines = []
    for name, tp in typing.get_type_hints(User, include_extras=True).items():
        metadata = getattr(tp, "__metadata__", ())
        base = tp.__origin__ if metadata else tp
        null = " NOT NULL"
        if typing.get_origin(base) is typing.Union:
            base, null = typing.get_args(base)[0], ""
        kind = NAMES[base]
        for one in metadata:
            if one.startswith("max_len:"):
                kind = f"VARCHAR({one[8:]})"
        lines.append(f'    "{name}" {kind}{null}')
    return 'CREATE TABLE "User" (\\n' + ",\\n".join(lines) + "\\n);"

again = first

def columns(text):
    return [line.split('"')[1] for line in text.split("\\n")[1:] if '"' in line]
"""
)

_SQLALCHEMY = """
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

dialect = sqlite.dialect()
table = sa.Table(
    "User", sa.MetaData(),
    sa.Column("username", sa.String(32), nullable=False),
    sa.Column("email", sa.String(254), nullable=False),
    sa.Column("password", sa.Text, nullable=False),
    sa.Column("ssn", sa.String(11), nullable=False),
    sa.Column("age", sa.Integer, nullable=False),
    sa.Column("bio", sa.Text),
)

def first():
    return str(CreateTable(table).compile(dialect=dialect))

again = first

def columns(text):
    return [line.split()[0] for line in text.split("\\n") if line.startswith("\\t")]

def functions(rows):
    return []
"""

PURE = Implementation("pure", "pure", _IMPORTS.format(".pure"), "", _OURS)
ARTICLE = Implementation("typing", "article", "", "", _ARTICLE)
NATIVE = Implementation("ferrule", "native", _IMPORTS.format(""), "", _OURS)
SQLALCHEMY = Implementation("sqlalchemy", "peer", "", "", _SQLALCHEMY, needs="sqlalchemy")

_do = partial(
    Operation, area="validation", setup=values, loop="for v in values", outcome="columns(result)"
)

ROOM = Room(
    "sql_schema",
    "Classes as CREATE TABLE",
    (PURE, ARTICLE, NATIVE, SQLALCHEMY),
    (
        _do("first", title="the first time, six fields", statement="first()", repeat=1),
        _do("again", title="again", statement="again()", repeat=1),
    ),
    {},
    baseline="sqlalchemy",
    footprints=(
        Footprint("ferrule", "ferrule", "made(times)", traced=True, most=20_000),
        Footprint("pure", "pure", "made(times)", most=20_000),
    ),
    counted=("statement", "statements"),
    held="Bytes of a statement's text.",
    headline=("first", "sql_schema(cls)"),
)
