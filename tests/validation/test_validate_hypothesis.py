"""`validate` and its twin agree on any value, any annotation: result, error and text."""

# ruff: noqa: UP006, UP007, UP035, UP045 - the older forms are tested too

from __future__ import annotations

import importlib
from typing import Annotated, Any, Literal, Mapping, Optional, Sequence, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

NATIVE = importlib.import_module("ferrule.validation")
PURE = importlib.import_module("ferrule.pure.validation")

numbers = st.one_of(
    st.integers(-6, 6),
    st.integers(-(2**70), 2**70),
    st.floats(-6, 6),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 2**53, 2**60, -(2**60), 0.0, -0.0]),
)
texts = st.text(" \tabé€", max_size=5)
leaves = st.one_of(numbers, texts, st.none(), st.booleans(), st.binary(max_size=3))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(texts, st.integers(0, 3)), inner, max_size=3),
        st.frozensets(texts, max_size=1),
    ),
    max_leaves=8,
)

#: Constraints as (name, argument): made by each implementation itself.
checks = st.one_of(
    st.tuples(st.sampled_from(["Ge", "Gt", "Le", "Lt"]), numbers.filter(lambda n: n == n)),
    st.tuples(st.sampled_from(["MinLength", "MaxLength"]), st.integers(0, 4)),
    st.tuples(st.just("MultipleOf"), st.sampled_from([1, 2, 3, 0.5, 2**40])),
    st.sampled_from([("Strip",), ("Sensitive",), ("Doc", "a"), ("Predicate", bool)]),
)
plain = st.sampled_from(
    [int, float, str, bytes, bool, None, Any, Literal["a", 1, None], list, dict]
)
shapes = st.recursive(
    plain.map(lambda tp: ("plain", tp)),
    lambda inner: st.one_of(
        st.tuples(st.just("annotated"), inner, st.lists(checks, min_size=1, max_size=3)),
        st.tuples(st.sampled_from(["list", "many", "set", "sequence", "optional"]), inner),
        st.tuples(st.sampled_from(["dict", "mapping", "pair", "union"]), inner, inner),
    ),
    max_leaves=4,
)


def annotation(impl: Any, shape: Any) -> Any:
    kind, first, *rest = shape
    if kind == "plain":
        return first
    if kind == "annotated":
        made = [getattr(impl, name)(*args) for name, *args in rest[0]]
        return Annotated[(annotation(impl, first), *made)]
    one = annotation(impl, first)
    other = annotation(impl, rest[0]) if rest else None
    return {
        "list": lambda: list[one],
        "many": lambda: tuple[one, ...],
        "set": lambda: frozenset[one],
        "sequence": lambda: Sequence[one],
        "optional": lambda: Optional[one],
        "dict": lambda: dict[one, other],
        "mapping": lambda: Mapping[one, other],
        "pair": lambda: tuple[one, other],
        "union": lambda: Union[one, other],
    }[kind]()


def outcome(impl: Any, value: Any, shape: Any) -> tuple[str, str]:
    try:
        tp = annotation(impl, shape)
    except TypeError as error:  # typing's own: Literal of a list
        return "annotation", str(error)
    try:
        result = impl.validate(value, tp)
    except (TypeError, ValueError) as error:
        return type(error).__name__, str(error)
    return "result", f"{result!r} {result is value}"


@given(values, shapes)
def test_agree(value, shape):
    assert outcome(NATIVE, value, shape) == outcome(PURE, value, shape)


@given(
    st.one_of(numbers, texts), st.sampled_from([int, float, str, Any]), st.lists(checks, max_size=2)
)
def test_agree_on_constraints(value, tp, made):
    shape = ("annotated", ("plain", tp), [*made, ("Doc", "a")])
    assert outcome(NATIVE, value, shape) == outcome(PURE, value, shape)


@given(st.lists(checks, min_size=1, max_size=4))
def test_constraints_agree(made):
    shape = ("annotated", ("plain", Any), made)
    found = [impl.constraints(annotation(impl, shape)) for impl in (NATIVE, PURE)]
    assert repr(found[0]) == repr(found[1])
    assert [str(one) for one in found[0]] == [str(one) for one in found[1]]


@given(checks, checks)
def test_equality_agrees(a, b):
    def make(impl: Any) -> tuple[Any, Any]:
        return tuple(getattr(impl, name)(*args) for name, *args in (a, b))  # type: ignore[return-value]

    ours, theirs = make(NATIVE), make(PURE)
    assert (ours[0] == ours[1]) is (theirs[0] == theirs[1])
    if ours[0] == ours[1]:
        assert hash(ours[0]) == hash(ours[1])


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
