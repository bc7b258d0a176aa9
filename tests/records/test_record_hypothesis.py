"""Random schemas and values: the native record and its twin give the same answers."""

import copy
import dataclasses
import importlib
import math
import pickle
import sys
import types
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ferrule.pure.records as twin

INT_KINDS = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")
EDGES = sorted(
    {sign * (1 << bits) + off for bits in (0, 7, 8, 15, 24, 31, 53, 63, 64) for sign in (-1, 1)
     for off in (-1, 0, 1)}
)  # fmt: skip


class Index:
    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __repr__(self) -> str:
        return f"Index({self.value})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Index) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


class Floating(Index):
    def __float__(self) -> float:
        return float(self.value)


ints = st.one_of(st.sampled_from(EDGES), st.integers(-(2**66), 2**66), st.just(10**400))
floats = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True)
texts = st.text(st.characters(codec="utf-16", exclude_categories=()), max_size=7) | st.sampled_from(
    ["\0", "a\0", "\ud800", "€€", "x" * 200]
)
anything = st.one_of(
    ints,
    floats,
    texts,
    st.binary(max_size=7),
    st.booleans(),
    st.none(),
    st.builds(Index, st.integers(-(2**65), 2**65)),
    st.builds(Floating, st.integers(-(2**65), 2**65)),
    st.lists(st.integers(), max_size=2),
    st.tuples(st.integers(), floats),
    st.sampled_from([1j, object, Ellipsis, bytearray(b"abc"), "x" * 500]),
)


def fitting(kind: str) -> st.SearchStrategy[Any]:
    """Mostly values that the kind holds."""
    if kind in INT_KINDS:
        bits = int(kind[1:])
        low, high = (
            (-(1 << bits - 1), (1 << bits - 1) - 1) if kind[0] == "i" else (0, (1 << bits) - 1)
        )
        return st.integers(low, high)
    if kind in ("f32", "f64"):
        return st.floats(width=32) if kind == "f32" else floats
    if kind == "bool8":
        return st.booleans()
    if kind.startswith("bytes"):
        return st.binary(min_size=int(kind[5:]), max_size=int(kind[5:]))
    if kind.startswith("str"):
        return st.text("aé€", max_size=int(kind[3:]) // 3)
    return anything


kinds = st.one_of(
    st.sampled_from([*INT_KINDS, "f32", "f64", "bool8", "object"]),
    st.builds("{}{}".format, st.sampled_from(["bytes", "str"]), st.integers(1, 9)),
)


@dataclasses.dataclass(frozen=True)
class Schema:
    kinds: tuple[str, ...]
    keyword_only: int  # fields after this many are keyword-only
    compared: tuple[bool, ...]
    options: tuple[tuple[str, bool], ...]


@st.composite
def schemas(draw: Any) -> Schema:
    names = draw(st.lists(kinds, max_size=8))
    switches = ["frozen", "order", "unsafe_hash"]
    return Schema(
        tuple(names),
        draw(st.integers(0, len(names))) if draw(st.booleans()) else len(names),
        tuple(draw(st.booleans()) or draw(st.booleans()) for _ in names),
        tuple((name, draw(st.booleans())) for name in switches),
    )


def annotation(impl: Any, kind: str) -> Any:
    if kind == "object":
        return object
    for name, plain in (("bytes", bytes), ("str", str)):
        if kind.startswith(name):
            return Annotated[plain, impl.Size(int(kind.removeprefix(name)))]
    return getattr(impl, kind)


def build(impl: Any, schema: Schema) -> Any:
    fields = [
        (
            f"f{i}",
            annotation(impl, kind),
            impl.field(compare=schema.compared[i], kw_only=i >= schema.keyword_only),
        )
        for i, kind in enumerate(schema.kinds)
    ]
    cls = impl.make_record("Made", fields, module="made_by_hypothesis", **dict(schema.options))
    module = sys.modules.setdefault("made_by_hypothesis", types.ModuleType("made_by_hypothesis"))
    module.Made = cls  # type: ignore[attr-defined]
    return cls


def outcome(function: Any, *args: Any, **keywords: Any) -> tuple[str, Any]:
    """What a call gives: its value, or type and text of its error."""
    try:
        return "value", function(*args, **keywords)
    except RecursionError:
        raise
    except Exception as error:
        return type(error).__name__, str(error)


def plain(value: Any) -> Any:
    """Comparable without NaN and across types of the same repr."""
    return [(type(item).__name__, repr(item)) for item in value]


def call(cls: Any, schema: Schema, values: list[Any]) -> tuple[str, Any]:
    positional = values[: schema.keyword_only]
    keywords = {f"f{i}": values[i] for i in range(schema.keyword_only, len(values))}
    return outcome(cls, *positional, **keywords)


@pytest.fixture(scope="module")
def native_module(pytestconfig: pytest.Config) -> Any:
    """The native module; against itself the twin is only checked for agreement with itself."""
    if pytestconfig.getoption("--impl") == "pure":
        return twin
    return importlib.import_module("ferrule.records")


@given(schema=schemas(), data=st.data())
def test_native_and_twin_agree_on_everything(native_module, schema, data):
    impls = (native_module, twin)
    values = [
        data.draw(anything if data.draw(st.integers(0, 9)) == 0 else fitting(kind))
        for kind in schema.kinds
    ]
    # A change in one place makes comparisons interesting.
    others = list(values)
    if values:
        at = data.draw(st.integers(0, len(values) - 1))
        others[at] = data.draw(fitting(schema.kinds[at]))
        new = data.draw(anything | fitting(schema.kinds[at]))
    results = []
    for impl in impls:
        cls = build(impl, schema)
        verdict, made = call(cls, schema, values)
        seen = [verdict, made if verdict != "value" else plain(impl.astuple(made))]
        if verdict == "value":
            seen += use(impl, cls, made)
            verdict, other = call(cls, schema, others)
            seen += [verdict, other if verdict != "value" else compare(made, other)]
            if values:
                seen.append(change(impl, made, f"f{at}", new))
        results.append(seen)
    assert results[0] == results[1]


def use(impl: Any, cls: Any, made: Any) -> list[Any]:
    seen: list[Any] = [repr(made), outcome(hash, made), made == made]
    seen.append({name: repr(value) for name, value in impl.asdict(made).items()})
    copies = [copy.copy(made), copy.deepcopy(made), impl.replace(made)]
    for protocol in (2, 5):
        verdict, data = outcome(pickle.dumps, made, protocol)
        if verdict == "value":
            copies.append(pickle.loads(data))
    for other in copies:
        assert type(other) is cls
        seen.append([plain(impl.astuple(other)), outcome(hash, other)[0], made == other])
    return seen


def compare(made: Any, other: Any) -> list[Any]:
    return [
        made == other,
        made != other,
        outcome(lambda: made < other),
        outcome(lambda: made >= other),
        outcome(lambda: hash(made) == hash(other)),
    ]


def change(impl: Any, made: Any, name: str, value: Any) -> list[Any]:
    before = plain(impl.astuple(made))
    verdict = outcome(setattr, made, name, value)
    after = plain(impl.astuple(made))
    assert verdict[0] == "value" or after == before
    return [verdict, after, outcome(impl.replace, made, **{name: value})[0]]


@given(schema=schemas(), data=st.data())
def test_layout_of_native_and_twin_agree_and_fields_do_not_overlap(native_module, schema, data):
    layouts = [impl.layout(build(impl, schema)) for impl in (native_module, twin)]
    rows = [
        [(f.name, f.offset, f.kind, f.size, f.resolved) for f in layout.fields]
        for layout in layouts
    ]
    assert rows[0] == rows[1]
    assert layouts[0].size == layouts[1].size and layouts[0].alignment == layouts[1].alignment
    taken: set[int] = set()
    for _, offset, _, size, _ in rows[0]:
        assert taken.isdisjoint(range(offset, offset + size))
        taken.update(range(offset, offset + size))
    assert not taken or max(taken) < layouts[0].size


@given(schema=schemas(), data=st.data())
def test_a_record_gives_back_what_it_was_given(native_module, schema, data):
    values = [data.draw(fitting(kind)) for kind in schema.kinds]
    for impl in (native_module, twin):
        verdict, made = call(build(impl, schema), schema, values)
        assert verdict == "value", made
        for i, value in enumerate(values):
            got = getattr(made, f"f{i}")
            if isinstance(value, float) and schema.kinds[i] in ("f32", "f64"):
                assert (math.isnan(got) and math.isnan(value)) or got == value
                assert math.copysign(1, got) == math.copysign(1, value) or math.isnan(got)
            elif schema.kinds[i] == "object":
                assert got is value
            else:
                assert got == value and type(got) is type(value)
