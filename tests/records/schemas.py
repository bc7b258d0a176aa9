"""Random record classes and values for them, for the tests of arrays and tables.

A kind is a storage kind ("i64"), "bytes5" or "str5" for those with Size(5); in tables also "int",
"float", "bool", "text", "blob" for the plain types, "coded" and "coded5" for Coded text, and any
of them with a "?" for `| None`.
"""

import dataclasses
import math
import sys
import types
from typing import Annotated, Any

from hypothesis import strategies as st

INT_KINDS = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")
PLAIN = {"int": "i64", "float": "f64", "bool": "bool8"}
MODULE = "made_by_schemas"
NAMES = ("a", "b1", "größe", "温度", "_hidden", "x_y", "longer_than_the_others", "É")


class Index:
    """An integer that is no int."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __repr__(self) -> str:
        return f"Index({self.value})"


class Floating(Index):
    """A number that says both."""

    def __float__(self) -> float:
        return float(self.value)


def one_nan(value: float) -> float:
    """The usual NaN for any: which bits of one survive is up to the processor."""
    return math.nan if math.isnan(value) else value


floats = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True).map(one_nan)
singles = st.floats(width=32).map(one_nan)
repeating = st.sampled_from([0.0, -0.0, math.nan, 1.0, -1.0, math.inf, -math.inf])

#: Some of it fits some kinds.
anything = st.one_of(
    st.sampled_from([-(2**63), 2**63, 2**64, 255, 256, -1, 10**400, 2**53 + 1]),
    st.integers(-200, 200),
    repeating,
    st.sampled_from(["", "a\0", "\ud800", "€€", "x" * 200, b"", b"abc", bytearray(b"abc")]),
    st.booleans(),
    st.none(),
    st.builds(Index, st.integers(-200, 200)),
    st.builds(Floating, st.integers(-200, 200)),
    st.sampled_from([1j, object, Ellipsis, (), [1]]),
)

sized = st.builds("{}{}".format, st.sampled_from(["bytes", "str"]), st.integers(1, 9))
#: What a row of an array is made of.
unboxed = st.one_of(st.sampled_from([*INT_KINDS, "f32", "f64", "bool8"]), sized)
#: What a column of a table holds.
columns = st.builds(
    "{}{}".format,
    unboxed | st.sampled_from(["int", "float", "bool", "text", "blob", "coded", "coded5"]),
    st.sampled_from(["", "", "?"]),
)


@dataclasses.dataclass(frozen=True)
class Schema:
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    frozen: bool = False

    def items(self) -> Any:
        return zip(self.names, self.kinds, strict=True)


def schemas(kinds: st.SearchStrategy[str], *, most: int = 6) -> st.SearchStrategy[Schema]:
    """Record classes with at least one field, each of one of the kinds."""

    def named(drawn: list[str]) -> st.SearchStrategy[Schema]:
        names = st.permutations(NAMES).map(lambda names: tuple(names[: len(drawn)]))
        return st.builds(Schema, st.just(tuple(drawn)), names, st.booleans())

    return st.lists(kinds, min_size=1, max_size=most).flatmap(named)


def annotation(impl: Any, kind: str) -> Any:
    """What stands behind the colon."""
    if kind.endswith("?"):
        return annotation(impl, kind[:-1]) | None
    plain: dict[str, Any] = {"int": int, "float": float, "bool": bool, "text": str, "blob": bytes}
    if kind in plain:
        return plain[kind]
    if kind == "coded":
        return Annotated[str, impl.Coded]
    if kind.startswith("coded"):
        return Annotated[str, impl.Size(int(kind.removeprefix("coded"))), impl.Coded]
    for name in ("bytes", "str"):
        if kind.startswith(name):
            return Annotated[plain_type(name), impl.Size(int(kind.removeprefix(name)))]
    return getattr(impl, kind)


def plain_type(name: str) -> Any:
    return bytes if name == "bytes" else str


def build(impl: Any, schema: Schema, name: str = "Made") -> Any:
    """The record class, where pickle finds it as long as no other of that name is built."""
    fields = [(field, annotation(impl, kind)) for field, kind in schema.items()]
    cls = impl.make_record(name, fields, module=MODULE, frozen=schema.frozen)
    setattr(sys.modules.setdefault(MODULE, types.ModuleType(MODULE)), name, cls)
    return cls


def fitting(kind: str) -> st.SearchStrategy[Any]:
    """Values that the kind holds, often equal ones."""
    if kind.endswith("?"):
        return st.none() | fitting(kind[:-1])
    kind = PLAIN.get(kind, kind)
    if kind in INT_KINDS:
        bits = int(kind[1:])
        low = -(1 << bits - 1) if kind[0] == "i" else 0
        high = low + (1 << bits) - 1
        near = st.integers(max(low, -2), 2) | st.sampled_from([low, high])
        return near | st.integers(low, high)
    if kind in ("f32", "f64"):
        return repeating | (singles if kind == "f32" else floats)
    if kind == "bool8":
        return st.booleans()
    if kind == "blob":
        return st.binary(max_size=20)
    if kind.startswith("bytes"):
        size = int(kind.removeprefix("bytes"))
        return st.sampled_from([bytes(size), b"a" * size]) | st.binary(min_size=size, max_size=size)
    if kind in ("text", "coded"):
        return st.sampled_from(["", "a", "b", "€", "\0"]) | st.text("aé€😀\0", max_size=20)
    size = int(kind.removeprefix("coded").removeprefix("str"))
    letters = "aé€"[:size]  # one of n bytes at place n
    return st.text(letters, max_size=size).filter(lambda text: len(text.encode()) <= size)


def rows(schema: Schema) -> st.SearchStrategy[tuple[Any, ...]]:
    """A tuple of fitting values."""
    return st.tuples(*map(fitting, schema.kinds))


@st.composite
def doubtful_rows(draw: Any, schema: Schema) -> tuple[Any, ...]:
    """A tuple that may hold a value of any kind, or have a wrong length."""
    values = list(draw(rows(schema)))
    choice = draw(st.integers(0, 5))
    if choice == 0:
        values.pop()
    elif choice == 1:
        values.append(0)
    else:
        values[draw(st.integers(0, len(values) - 1))] = draw(anything)
    return tuple(values)


def plain(value: Any) -> Any:
    """Comparable across implementations, and NaN to itself."""
    return type(value).__name__, repr(value)


def outcome(function: Any, *args: Any, **keywords: Any) -> tuple[str, Any]:
    """What a call gives: ("value", it), or the name and the text of its error."""
    try:
        return "value", function(*args, **keywords)
    except RecursionError:
        raise
    except Exception as error:
        return type(error).__name__, str(error)
