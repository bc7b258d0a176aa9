"""Twin of `sql_schema`."""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import enum
import math
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from . import _constraint as c
from ._validate import Field, fields_of

_TYPES = {
    bool: ("INTEGER", "BOOLEAN"),
    int: ("INTEGER", "BIGINT"),
    float: ("REAL", "DOUBLE PRECISION"),
    str: ("TEXT", "TEXT"),
    bytes: ("BLOB", "BYTEA"),
    decimal.Decimal: ("NUMERIC", "NUMERIC"),
    datetime.datetime: ("TEXT", "TIMESTAMP"),
    datetime.date: ("TEXT", "DATE"),
    datetime.time: ("TEXT", "TIME"),
    datetime.timedelta: ("REAL", "INTERVAL"),
    uuid.UUID: ("TEXT", "UUID"),
    dict: ("TEXT", "JSONB"),
    list: ("TEXT", "JSONB"),
}
_ARRAYS = (list, tuple, set, frozenset)
_STORAGES = {
    "i8": ("SMALLINT", -(2**7), 2**7 - 1),
    "i16": ("SMALLINT", -(2**15), 2**15 - 1),
    "i32": ("INTEGER", -(2**31), 2**31 - 1),
    "i64": ("BIGINT", None, None),
    "u8": ("SMALLINT", 0, 2**8 - 1),
    "u16": ("INTEGER", 0, 2**16 - 1),
    "u32": ("BIGINT", 0, 2**32 - 1),
    "u64": ("NUMERIC(20, 0)", 0, 2**64 - 1),
    "f32": ("REAL", None, None),
    "f64": ("DOUBLE PRECISION", None, None),
}
_TYPEOF = {
    int: ("integer",),
    float: ("real",),
    datetime.timedelta: ("real",),
    decimal.Decimal: ("integer", "real"),
    str: ("text",),
    bytes: ("blob",),
}
_CASTS = {
    datetime.date: "DATE",
    datetime.datetime: "TIMESTAMP",
    datetime.time: "TIME",
    uuid.UUID: "UUID",
}
_LENGTHS = {
    str: ("length", "character_length"),
    bytes: ("length", "octet_length"),
    list: ("json_array_length", "jsonb_array_length"),
}
_SIGNS = {c.Gt: ">", c.Ge: ">=", c.Lt: "<", c.Le: "<="}


def _checked(text: str) -> str:
    for what, found in (
        ("lone surrogate", re.search("[\ud800-\udfff]", text)),
        ("NUL character", "\0" in text),
    ):
        if found:
            raise ValueError(f"sql_schema(): text with a {what}")
    return text


def _quoted(name: str) -> str:
    return '"' + _checked(name).replace('"', '""') + '"'


def _comment(text: str) -> str:
    return re.sub("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", " ", text)


def _kind_of(cls: type) -> Any:
    """The class of _TYPES that a class is of, or None."""
    base: Any
    for base in cls.__mro__:
        if base in _ARRAYS:
            return list
        if base in _TYPES:
            return base
    return None


def _marks(tp: Any) -> list[Any]:
    """Metadata of the annotation and of what is in it."""
    found = list(getattr(tp, "__metadata__", ()))
    for arg in getattr(tp, "__args__", ()):
        found += _marks(arg)
    return found


def _is_sensitive(mark: Any) -> bool:
    """The marker, the native one too."""
    return type(mark).__module__.startswith("ferrule.") and bool(mark == "sensitive_data")


def _has_zone(value: Any) -> bool:
    return getattr(value, "tzinfo", None) is not None


class _Column:
    def __init__(self, cls: type, field: Field, postgres: bool) -> None:
        self.field, self.postgres, self.facts = field, postgres, field.facts
        self.where = f"{cls.__qualname__}.{field.name}"
        self.name = _quoted(field.name)
        self.nullable = self.facts.optional
        self.choices: list[Any] | None = None
        self.mask: int | None = None
        self.notes: list[str] = []
        self.checks: list[str] = []
        self.storage: tuple[str, int | None, int | None] | None = None
        self.size: int | None = None
        self.kind = self.find_kind()
        simple = self.choices is None and self.kind not in (list, dict)
        marks = _marks(field.annotation)
        self.sensitive = self.facts.sensitive or any(map(_is_sensitive, marks))
        for mark in marks if simple else ():
            if type(mark).__name__ == "Storage":
                if self.kind is (float if mark.kind[0] == "f" else int):
                    self.storage = _STORAGES.get(mark.kind)
            elif type(mark).__name__ == "Size" and self.kind in (str, bytes):
                self.size = mark.n
        self.aware = self.kind in (datetime.datetime, datetime.time) and (
            any(
                found.tz is not None
                if isinstance(found, c.Timezone)
                else type(found) in _SIGNS and _has_zone(found._values[0])
                for found in self.facts.found
            )
            or any(map(_has_zone, [field.default] if self.choices is None else self.choices))
        )

    def find_kind(self) -> Any:
        base, kind = self.facts.base, None
        origin: Any = getattr(base, "__origin__", None)
        if isinstance(base, type) and issubclass(base, enum.Enum):
            kind = self.find_choices(list(base.__members__.values()))
            if kind is int and issubclass(base, enum.Flag):
                kept: Any = base
                self.choices = None
                self.mask = -1 if kept._boundary_ is enum.KEEP else kept._flag_mask_
            return kind
        if c.form_of(origin) == "literal":
            return self.find_choices(base.__args__)
        if isinstance(base, type) and origin is None:
            kind = _kind_of(base)
        elif isinstance(origin, type) and origin is not collections.abc.Callable:
            kind = _kind_of(origin)
            if kind is None and issubclass(origin, Iterable):
                kind = dict if issubclass(origin, Mapping) else list
            kind = kind if kind in (list, dict) else None
        if kind is None:
            raise TypeError(f"{self.where}: sql_schema() has no column type for {base!r}")
        return kind

    def find_choices(self, values: Iterable[Any]) -> Any:
        self.choices = []
        kinds: set[Any] = set()
        for value in values:
            value = value.value if isinstance(value, enum.Enum) else value
            if value is None:
                self.nullable = True
                continue
            kind = _kind_of(type(value))
            kinds.add(kind)
            if kind in (None, list, dict) or len(kinds) > 1:
                raise TypeError(
                    f"{self.where}: sql_schema() wants choices of one simple type, got one of "
                    f"type {type(value).__name__}"
                )
            self.choices.append(value)
        if not kinds:
            base = self.facts.base
            raise TypeError(f"{self.where}: sql_schema() has no column type for {base!r}")
        return kinds.pop()

    # ---- values

    def text(self, value: str) -> str:
        quoted = "'" + _checked(value).replace("'", "''") + "'"
        return "E" + quoted.replace("\\", "\\\\") if self.postgres and "\\" in value else quoted

    def value(self, value: Any) -> str | None:
        """The value as the column has it; None if it has none."""
        kind = self.kind
        if kind is bool:
            if not isinstance(value, bool):
                return None
            return str(value).upper() if self.postgres else str(int(value))
        if kind in (int, float, decimal.Decimal):
            if isinstance(value, int):
                return str(int(value))
            if not isinstance(value, float | decimal.Decimal):
                return None
            if not math.isfinite(value):
                return self.infinity(value)
            if kind is int and isinstance(value, float) and value == int(value):
                return str(int(value))
            return float.__repr__(value) if isinstance(value, float) else str(value)
        if kind is str:
            return self.text(value) if isinstance(value, str) else None
        if kind is bytes:
            if not isinstance(value, bytes):
                return None
            return f"E'\\\\x{value.hex()}'::BYTEA" if self.postgres else f"X'{value.hex()}'"
        if type(value) is not kind:
            return None
        if kind is datetime.timedelta:
            seconds = value.total_seconds()
            return f"'{seconds!r} seconds'::INTERVAL" if self.postgres else repr(seconds)
        # a TIME would drop the zone, a TIMESTAMPTZ take the session's
        zoned = self.aware and kind is datetime.datetime
        timed = self.postgres and kind in (datetime.datetime, datetime.time)
        if timed and _has_zone(value) != zoned:
            return None
        if kind in _CASTS:
            quoted = self.text(str(value) if kind is uuid.UUID else value.isoformat())
            cast = "TIMESTAMPTZ" if zoned else _CASTS[kind]
            return f"{quoted}::{cast}" if self.postgres else quoted
        return None

    def too_large(self, value: Any) -> bool:
        """An int that the column's 64 bits do not hold?"""
        wide = self.kind is not int or (self.postgres and self.storage is not None)
        return not wide and isinstance(value, int) and not -(2**63) <= value < 2**63

    def infinity(self, value: Any) -> str | None:
        if value != value:
            return None
        if not self.postgres:
            return "9e999" if value > 0 else "-9e999"
        kind = "DOUBLE PRECISION" if self.kind is float else "NUMERIC"
        return f"'{'' if value > 0 else '-'}Infinity'::{kind}"

    # ---- checks

    def check(self, text: str) -> None:
        self.checks.append(f" CHECK ({text})")

    def note(self, kind: str, *values: Any) -> None:
        shown = "".join(f"({_comment(repr(value))})" for value in values)
        self.notes.append(f"not checked: {kind}{shown}")

    def check_type(self) -> None:
        x, kind = self.name, self.kind
        if kind in (list, dict):
            name = "array" if kind is list else "object"
            if self.postgres:
                return self.check(f"jsonb_typeof({x}) = '{name}'")
            self.check(f"{x} IS NULL OR " * self.nullable + f"json_valid({x})")
            return self.check(f"json_type({x}) = '{name}'")
        if self.postgres:
            return None
        if kind is bool:
            return self.check(f"{x} IN (0, 1)")
        if kind in _TYPEOF:
            names = _TYPEOF[kind] + ("null",) * self.nullable
            shown = ", ".join(f"'{name}'" for name in names)
            return self.check(f"typeof({x}) " + (f"IN ({shown})" if names[1:] else f"= {shown}"))
        if kind is uuid.UUID:
            self.check(f"length({x}) = 36")
            return self.check(f"{x} NOT GLOB '*[^0-9a-f-]*'")
        day = f"date(substr({x}, 1, 10), '+0 days') IS substr({x}, 1, 10)"
        text = {
            datetime.date: f"{day} AND length({x}) = 10",
            datetime.datetime: f"{day} AND {x} GLOB '??????????T??:??*' "
            f"AND datetime(substr({x}, 1, 19)) IS NOT NULL "
            f"AND substr({x}, 20) NOT GLOB '*[^0-9:.+-]*'",
            datetime.time: f"{x} GLOB '??:??*' AND time(substr({x}, 1, 8)) IS NOT NULL "
            f"AND substr({x}, 9) NOT GLOB '*[^0-9:.+-]*'",
        }[kind]
        return self.check(f"{x} IS NULL OR ({text})" if self.nullable else text)

    def check_bound(self, found: Any) -> None:
        bound = found._values[0]
        try:
            nan = bool(bound != bound)
        except ArithmeticError:
            nan = True
        if nan:
            return self.check(f"{self.name} IS NULL")
        timed = self.kind in (datetime.datetime, datetime.time)
        moment = not self.postgres and timed and (self.aware or _has_zone(bound))
        value = self.value(bound)
        if value is None or moment:
            return self.note(type(found).__name__, bound)
        text = self.name + ' COLLATE "C"' * (self.postgres and self.kind is str)
        text += f" {_SIGNS[type(found)]} {value}"
        if self.postgres and isinstance(found, c.Gt | c.Ge):
            if self.kind is float:
                text += f" AND {self.name} <> 'NaN'::DOUBLE PRECISION"
            elif self.kind is decimal.Decimal:
                text += f" AND {self.name} <> 'NaN'::NUMERIC"
        return self.check(text)

    def check_multiple(self, factor: Any) -> None:
        whole = isinstance(factor, int) and not isinstance(factor, bool)
        exact = self.kind is int or (self.kind is decimal.Decimal and self.postgres)
        value = self.value(factor)
        if not exact or (self.kind is int and not whole) or isinstance(factor, float) or not value:
            return self.note("MultipleOf", factor)
        if whole and self.kind is int and not self.storage and not -(2**63) <= factor < 2**63:
            return self.check(f"{self.name} = 0")
        return self.check(f"{self.name} % {value} = 0")

    def check_length(self, found: Any) -> None:
        length = found._values[0]
        if self.choices is not None or self.kind not in _LENGTHS:
            return self.note(type(found).__name__, length)
        sign = ">=" if isinstance(found, c.MinLength) else "<="
        return self.check(f"{_LENGTHS[self.kind][self.postgres]}({self.name}) {sign} {length}")

    def check_regex(self, found: Any) -> None:
        pattern = None
        if self.postgres and self.kind is str and self.choices is None:
            pattern = translate(found.pattern, int(found.flags))
        if pattern is None:
            return self.note("Regex", found.pattern)
        return self.check(f"{self.name} ~ {self.text(pattern)}")

    def check_storage(self) -> None:
        if self.storage and self.storage[1] is not None:
            name, low, high = self.storage
            implied = {"SMALLINT": -(2**15), "INTEGER": -(2**31)}.get(name) == low
            if not (self.postgres and implied):
                self.check(f"{self.name} BETWEEN {low} AND {high}")
        if self.size is not None:
            sign = "=" if self.kind is bytes else "<="
            if self.postgres:
                text = f"octet_length({self.name})"
            else:
                text = f"length(CAST({self.name} AS BLOB))"
                text = f"length({self.name})" if self.kind is bytes else text
            self.check(f"{text} {sign} {self.size}")

    def write(self) -> str:
        lines = []
        if self.facts.doc is not None and not self.postgres:
            lines.append(_comment(self.facts.doc))
        if self.choices is None:
            self.check_type()
            if self.mask is not None and self.mask >= 2**63:
                self.note("Flag", self.mask)
            elif self.mask is not None and self.mask != -1:
                self.check(f"({self.name} & {~self.mask}) = 0")
        else:
            self.check(f"{self.name} IN ({', '.join(str(self.value(v)) for v in self.choices)})")
        self.check_storage()
        limits = [0]
        for found in self.facts.found:
            if type(found) in _SIGNS:
                self.check_bound(found)
            elif isinstance(found, c.MultipleOf):
                self.check_multiple(found.multiple_of)
            elif isinstance(found, c.MinLength | c.MaxLength):
                self.check_length(found)
                limits += [found._values[0]] * isinstance(found, c.MaxLength)
            elif type(found).__name__ == "Regex":
                self.check_regex(found)
            elif isinstance(found, c.Predicate):
                self.note("Predicate")
            elif str(found) == "Email" or type(found).__name__ == "Email":
                self.note("Email")
        name = _TYPES[self.kind][self.postgres]
        if self.storage and self.postgres:
            name = self.storage[0]
        name = "TIMESTAMPTZ" if self.aware and name == "TIMESTAMP" else name
        limit = min(filter(None, limits), default=None)
        if limit and self.kind is str and not self.postgres:
            name = f"VARCHAR({limit})"
        text = f"{self.name} {name}" + " NOT NULL" * (not self.nullable)
        default = self.field.default
        default = default.value if isinstance(default, enum.Enum) else default
        if default is not ... and default is not None and not self.sensitive:
            default = None if self.too_large(default) else default
            value = self.value(default)
            text += f" DEFAULT {value}" if value is not None else ""
        lines += self.notes
        return "".join(f"    -- {line}\n" for line in lines) + f"    {text}{''.join(self.checks)}"


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_CLASSES = {"d": "0-9", "w": "a-zA-Z0-9_", "s": r" \t\n\r\f\v"}
_MEMBER = r"(?:\\[\x00-\x7f]|[\x00-\x5b\x5d-\x7f])"
_ATOM = re.compile(
    r"(?P<open>\((?:\?:|(?!\?)))|(?P<between>[|^]|\\[AZ])|(?P<dollar>\$)"
    r"|(?P<dot>\.)|(?P<close>\))|(?P<escape>\\[\x00-\x7f])"
    r"|(?P<bracket>\[\^?(?:\]|)(?:\\[\x00-\x7f]|[^]\\\x80-\U0010ffff])*\])|(?P<char>[^*+?{\[\\\0])",
    re.DOTALL,
)
_QUANTIFIER = re.compile(r"([*+?]|\{(?:\d+(?:,\d*)?|,\d+)\})\??")


def _plain(char: str) -> str:
    """A character as PostgreSQL reads it as itself."""
    special = char < "\x80" and char.isprintable() and not char.isalnum() and char not in "_ "
    return "\\" + char if special or char == "\x7f" else char


def _bracket(text: str, ascii_only: bool) -> str | None:
    """The inside of [...] for PostgreSQL."""
    made, i = "", 0
    members = re.findall(_MEMBER, text, re.DOTALL)
    if "".join(members) != text:
        return None

    def single(member: str) -> str | None:
        if member[0] != "\\":
            return member if member != "\0" else None
        if member[1] in _ESCAPES:
            return _ESCAPES[member[1]]
        return None if member[1].isalnum() or member[1] == "\0" else member[1]

    while i < len(members):
        if ascii_only and members[i][0] == "\\" and members[i][1] in _CLASSES:
            made += _CLASSES[members[i][1]]
            if members[i + 1 : i + 2] == ["-"]:
                return None
            i += 1
            continue
        low = single(members[i])
        if low is None:
            return None
        made += _plain(low)
        if members[i + 1 : i + 2] == ["-"] and i + 2 < len(members):
            high = single(members[i + 2])
            if high is None or high < low:
                return None
            made += "-" + _plain(high)
            i += 2
        i += 1
    return made


def translate(pattern: str, flags: int) -> str | None:
    """The pattern for PostgreSQL's `~`, None where that says something else."""
    if flags & ~(re.ASCII | re.UNICODE | re.DOTALL) or re.search("[\ud800-\udfff]", pattern):
        return None
    made, depth, i = "", 0, 0
    while i < len(pattern):
        found = _ATOM.match(pattern, i)
        if not found:
            return None
        i, text, kind = found.end(), found[0], found.lastgroup
        quantifiable = kind in ("dot", "close", "escape", "bracket", "char")
        if kind == "open":
            made, depth = made + "(?:", depth + 1
        elif kind == "close":
            made, depth = made + ")", depth - 1
            if depth < 0:
                return None
        elif kind == "between":
            made += text
        elif kind == "dollar":
            if depth or pattern[i : i + 1] not in ("", "|"):
                return None
            made += r"\n?$"
        elif kind == "dot":
            made += "." if flags & re.DOTALL else r"[^\n]"
        elif kind == "bracket":
            negated = text.startswith("[^")
            inner = _bracket(text[1 + negated : -1], bool(flags & re.ASCII))
            if inner is None:
                return None
            made += "[" + "^" * negated + inner + "]"
        elif kind == "escape":
            if flags & re.ASCII and text[1] in _CLASSES:
                made += f"[{_CLASSES[text[1]]}]"
            elif text[1] in _ESCAPES or not (text[1].isalnum() or text[1] == "\0"):
                made += _plain(_ESCAPES.get(text[1], text[1]))
            else:
                return None
        else:
            made += _plain(text)
        if pattern[i : i + 1] in tuple("*+?{"):
            repeat = _QUANTIFIER.match(pattern, i)
            if not quantifiable or not repeat:
                return None
            counts = [int(digits) for digits in re.findall(r"\d+", repeat[1])]
            if any(count > 255 for count in counts) or counts != sorted(counts):
                return None
            braces = "{" + ",".join(map(str, counts)) + "," * repeat[1].endswith(",}") + "}"
            if repeat[1].startswith("{,"):
                braces = f"{{0,{counts[0]}}}"
            made += braces if counts else repeat[1]
            i = repeat.end()
            if pattern[i : i + 1] in tuple("*+?{"):
                return None
    return made if depth == 0 else None


def _check_name(name: str, postgres: bool, what: str) -> None:
    if not name:
        raise ValueError(f"sql_schema(): the {what} has no name")
    if postgres and len(name.encode(errors="replace")) > 63:
        raise ValueError(
            f"sql_schema(): the {what} name {name!r} is longer than the 63 bytes that PostgreSQL "
            "keeps"
        )


def _folded(name: str) -> str:
    """The name as SQLite compares it."""
    return re.sub("[A-Z]", lambda found: found[0].lower(), name)


def _check_sqlite(cls: type, names: list[str], table: str) -> None:
    if _folded(table).startswith("sqlite_"):
        raise ValueError(
            f"sql_schema(): the table name {table!r} is one that SQLite keeps for itself"
        )
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(_folded(name), name)
        if other is not name:
            raise ValueError(
                f"{cls.__qualname__}.{name}: sql_schema(): SQLite takes the name for that of "
                f"{cls.__qualname__}.{other}"
            )


def sql_schema(cls: Any, /, *, dialect: str = "sqlite", table: str | None = None) -> str:
    """The class as a CREATE TABLE statement."""
    if not isinstance(dialect, str):
        got = type(dialect).__name__
        raise TypeError(f"sql_schema(): dialect must be a str, got {got}")
    if dialect not in ("sqlite", "postgresql"):
        raise ValueError(f"sql_schema(): dialect must be 'sqlite' or 'postgresql', got {dialect!r}")
    if not isinstance(cls, type):
        got = type(cls).__name__
        raise TypeError(f"sql_schema() wants a class with annotated fields, got {got}")
    if table is not None and not isinstance(table, str):
        raise TypeError(f"sql_schema(): table must be a str or None, got {type(table).__name__}")
    postgres = dialect == "postgresql"
    fields = list(fields_of(cls))
    if not fields:
        raise TypeError(f"sql_schema(): {cls.__qualname__} has no fields")
    name = cls.__name__ if table is None else table
    _check_name(name, postgres, "table")
    if not postgres:
        _check_sqlite(cls, [field.name for field in fields], name)
    name = _quoted(name)
    columns, comments = [], ""
    for field in fields:
        try:
            _check_name(field.name, postgres, "column")
            columns.append(_Column(cls, field, postgres).write())
        except ValueError as error:
            raise ValueError(f"{cls.__qualname__}.{field.name}: {error}") from None
        if field.facts.doc is not None and postgres:
            text = "'" + _comment(field.facts.doc).replace("'", "''") + "'"
            text = "E" + text.replace("\\", "\\\\") if "\\" in text else text
            comments += f"\nCOMMENT ON COLUMN {name}.{_quoted(field.name)} IS {text};"
    return f"CREATE TABLE {name} (\n" + ",\n".join(columns) + "\n);" + comments
