"""`validate`: values against annotations."""

# ruff: noqa: UP006, UP007, UP035, UP045 - the older forms are tested too

import abc
import collections
import collections.abc as c
import dataclasses
import datetime
import enum
import fractions
import gc
import inspect
import sys
import types
import typing
import weakref
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Callable,
    ClassVar,
    Generic,
    Iterable,
    List,
    Literal,
    Mapping,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    Sequence,
    TypedDict,
    TypeVar,
    Union,
    runtime_checkable,
)

import pytest

from ferrule.records import Record, record

NAN = float("nan")
T = TypeVar("T")
Bound = TypeVar("Bound", bound=int)
Choice = TypeVar("Choice", int, str)
UserId = NewType("UserId", int)


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    pass


class Items(list):
    pass


@runtime_checkable
class Closable(Protocol):
    def close(self) -> None: ...


class Box(Generic[T]):
    pass


class Even(abc.ABC):  # noqa: B024
    pass


Even.register(complex)


class Other:
    def __len__(self):
        return 3


def one():
    yield 1


# Values that pass and values that do not, and the type that is said to be wanted.
TYPES: list[tuple[Any, list[Any], list[Any], str]] = [
    (int, [1, True, 10**40, Level.LOW], [1.0, "1", None, b"1"], "int"),
    (float, [1.5, 1, True, NAN], ["1", None, 1j, Decimal(1)], "float"),
    (complex, [1j, 1.5, 1], ["1", None], "complex"),
    (bool, [True], [1, None], "bool"),
    (str, ["", "a", Text("b")], [1, None, b""], "str"),
    (bytes, [b""], ["", bytearray()], "bytes"),
    (None, [None], [0, ""], "None"),
    (object, [1, None], [], ""),
    (Any, [1, None], [], ""),
    (list, [[], Items()], [(), "a"], "list"),
    (dict, [{}, collections.OrderedDict()], [[], None], "dict"),
    (Decimal, [Decimal(1)], [1, 1.0], "Decimal"),
    (datetime.date, [datetime.date.min, datetime.datetime.min], ["2000-01-01"], "date"),
    (Color, [Color.RED], [1, "RED"], "Color"),
    (type, [int], [1], "type"),
    (Other, [Other()], [1, Other], "Other"),
    (Even, [1j], [1], "Even"),
    (Box, [Box()], [1], "Box"),
    (Box[int], [Box()], [1], "Box"),
    (Closable, [types.SimpleNamespace(close=1)], [1], "Closable"),
    (UserId, [1], ["1"], "int"),
    (T, [1, None], [], ""),
    (Bound, [1], ["1"], "int"),
    (Choice, [1, "a"], [1.5], r"int \| str"),
    (Optional[int], [1, None], ["a"], r"int \| None"),
    (int | None, [1, None], ["a"], r"int \| None"),
    (Union[int, str, None], [1, "a", None], [1.5], r"int \| str \| None"),
    (int | str, [1, "a"], [None, 1.5], r"int \| str"),
    (Literal["a", 1, None, Color.RED], ["a", 1, None, Color.RED], [True, 1.0, b"a"], "'a' or 1"),
    (List[int], [[1]], [(1,)], "list"),
    (List, [[1, "a"]], [(1,)], "list"),
    (list[int], [[], [1, 2], Items([1])], [(1,), {1}], "list"),
    (set[int], [{1}, set()], [[1], frozenset([1])], "set"),
    (frozenset[int], [frozenset([1])], [{1}], "frozenset"),
    (tuple[int, ...], [(), (1, 2)], [[1]], "tuple"),
    (tuple[int, str], [(1, "a")], [[1, "a"]], "tuple"),
    (tuple[()], [()], [[]], "tuple"),
    (dict[str, int], [{}, {"a": 1}, collections.Counter("a")], [[]], "dict"),
    (collections.deque[int], [collections.deque([1])], [[1]], "deque"),
    (collections.Counter[str], [collections.Counter("a")], [{}], "Counter"),
    (collections.defaultdict[str, int], [collections.defaultdict(int, a=1)], [{}], "defaultdict"),
    (Sequence[int], [[1], (1,), range(3), b"a"], [{1}, one()], "Sequence"),
    (Sequence[str], ["abc", ["a"]], [1], "Sequence"),
    (c.Set[int], [{1}, frozenset([1]), {1: 2}.keys()], [[1]], "Set"),
    (c.Collection[int], [[1], {1: 2}], [1], "Collection"),
    (Iterable[int], [[1], {1}, one(), iter(["a"])], [1], "Iterable"),
    (c.Iterator[int], [iter(["a"])], [[1]], "Iterator"),
    (c.Generator[int, None, None], [one()], [iter([1])], "Generator"),
    (Mapping[str, int], [{"a": 1}, types.MappingProxyType({"a": 1})], [[]], "Mapping"),
    (c.Callable[[int], int], [len, int, lambda: 1], [1], "callable"),
    (Callable, [len], [1], "Callable|callable"),
    (Callable[..., int], [len], [1], "callable"),
    (type[int], [int, bool], [str, 1], r"type\[int\]"),
    (type[Any], [int], [1], r"type\[Any\]"),
    (type[int | str], [int, Text], [bytes], r"type\[int \| str\]"),
    (type[Even], [complex], [int], r"type\[Even\]"),
    (typing.NoReturn, [], [1, None], "Never"),
    (typing.LiteralString, ["a"], [1], "str"),
    (typing.TypeGuard[int], [True], [1], "bool"),
    (typing.Final[int], [1], ["a"], "int"),
    (tuple[int, *tuple[str, ...]], [(1, 2)], [[1]], "tuple"),
]
PASS = [(tp, value) for tp, good, _, _ in TYPES for value in good]
FAIL = [(tp, value, text) for tp, _, bad, text in TYPES for value in bad]


@pytest.mark.parametrize(("tp", "value"), PASS, ids=str)
def test_type_passes(impl, tp, value):
    assert impl.validate(value, tp) is value


@pytest.mark.parametrize(("tp", "value", "text"), FAIL, ids=str)
def test_type_refused(impl, tp, value, text):
    got = rf"(class \w+|{type(value).__name__})"
    with pytest.raises(TypeError, match=rf"^validate\(\): value must be {text}.*, got {got}$"):
        impl.validate(value, tp)


ITEMS = [
    (list[int], [1, "a"], r"value\[1\] must be int, got str"),
    (tuple[int, ...], (1, "a"), r"value\[1\] must be int, got str"),
    (tuple[int, str], (1, 2), r"value\[1\] must be str, got int"),
    (tuple[int, str], (1,), r"value must be a tuple of 2 items, got 1"),
    (set[int], {"a"}, r"value\[0\] must be int, got str"),
    (frozenset[int], frozenset("a"), r"value\[0\] must be int, got str"),
    (dict[str, int], {1: 1}, r"value\[1\] must be str, got int"),
    (dict[str, int], {"a": "b"}, r"value\['a'\] must be int, got str"),
    (collections.Counter[str], collections.Counter([1]), r"value\[1\] must be str"),
    (Mapping[str, int], types.MappingProxyType({"a": "b"}), r"value\['a'\] must be int"),
    (Sequence[int], "ab", r"value\[0\] must be int, got str"),
    (c.Collection[str], {1: 2}, r"value\[0\] must be str, got int"),
    (collections.deque[int], collections.deque("a"), r"value\[0\] must be int, got str"),
    (list[dict[str, tuple[int]]], [{}, {"k": (None,)}], r"value\[1\]\['k'\]\[0\] must be int"),
    (list[int | None], [1, None, "a"], r"value\[2\] must be int \| None, got str"),
    (list[list[int] | str], ["a", ["b"]], r"value\[1\]\[0\] must be int, got str"),
]


@pytest.mark.parametrize(("tp", "value", "text"), ITEMS, ids=str)
def test_items_refused(impl, tp, value, text):
    with pytest.raises(TypeError, match=text):
        impl.validate(value, tp)


def test_iterators_are_not_consumed(impl):
    values = iter([1, 2])
    assert impl.validate(values, Iterable[str]) is values and list(values) == [1, 2]


# ---- constraints


def broken(impl):
    """Annotation, values that pass, values that do not, what is said."""
    A = Annotated
    day = datetime.date(2000, 1, 1)
    utc = datetime.UTC
    return [
        (A[int, impl.Ge(5)], [5, 10**30], [4, -(10**30)], "must be >= 5, got"),
        (A[int, impl.Gt(5)], [6], [5], "must be > 5, got 5"),
        (A[int, impl.Le(5)], [5, -(10**30)], [6, 10**30], "must be <= 5, got"),
        (A[int, impl.Lt(5)], [4], [5], "must be < 5, got 5"),
        (A[int, impl.Ge(10**30)], [10**30], [1], f"must be >= {10**30}, got 1"),
        (A[int, impl.Ge(0.5)], [1], [0], "must be >= 0.5, got 0"),
        (A[float, impl.Ge(0.5)], [0.5, 1, float("inf")], [0.4, 0, NAN], "must be >= 0.5, got"),
        (A[float, impl.Gt(0.5)], [0.6], [0.5, NAN], "must be > 0.5, got"),
        (A[float, impl.Lt(0)], [-1e-300, -1], [0.0, -0.0, NAN, 0], "must be < 0, got"),
        (A[float, impl.Le(1)], [1.0, -float("inf")], [1.5, NAN], "must be <= 1, got"),
        (A[float, impl.Gt(-float("inf"))], [0.0], [-float("inf")], "must be > -inf, got"),
        (A[float, impl.Gt(float("inf"))], [], [float("inf")], "must be > inf, got"),
        (A[float, impl.Lt(-float("inf"))], [], [-float("inf")], "must be < -inf, got"),
        (A[float, impl.Gt(0)], [5e-324], [0.0, -0.0], "must be > 0, got"),
        (A[float, impl.Ge(2**60)], [2.0**61], [1.0], "must be >= "),
        (A[Decimal, impl.Ge(1)], [Decimal(1)], [Decimal("0.9"), Decimal("nan")], "must be >= 1"),
        (A[datetime.date, impl.Ge(day)], [day], [datetime.date.min], "must be >= datetime.date"),
        (A[str, impl.Ge("b")], ["b"], ["a"], "must be >= 'b', got 'a'"),
        (A[bool, impl.Ge(1)], [True], [False], "must be >= 1, got False"),
        (A[set, impl.Ge({1})], [{1, 2}], [{2}], r"must be >= \{1\}, got \{2\}"),
        (A[int, impl.Interval(ge=1, lt=5)], [1, 4], [5, 0], "must be"),
        (A[int, impl.MultipleOf(3)], [0, -3, 3 * 10**30], [1, 10**30], "must be a multiple of 3"),
        (A[float, impl.MultipleOf(0.5)], [1.5, 1], [0.4, NAN], "must be a multiple of 0.5"),
        (A[Decimal, impl.MultipleOf(Decimal("0.1"))], [Decimal("0.3")], [Decimal("0.35")], "multi"),
        (A[Decimal, impl.MultipleOf(3)], [Decimal(3)], [Decimal("inf")], "must be a multiple of 3"),
        (A[str, impl.MinLength(2)], ["ab", "é€", Text("ab")], ["a", Text("")], "at least 2 char"),
        (A[str, impl.MinLength(1)], ["a"], [""], "must have at least 1 character, got ''"),
        (A[str, impl.MaxLength(2)], ["ab", "é€"], ["abc"], "at most 2 characters, got 'abc'"),
        (A[str, impl.Length(1, 2)], ["a"], ["", "abc"], "must have at"),
        (A[bytes, impl.MinLength(2)], [b"ab"], [b"a"], "must have at least 2 bytes, got b'a'"),
        (A[list, impl.MinLength(2)], [[1, 2]], [[1]], r"must have at least 2 items, got \[1\]"),
        (A[list[int], impl.MaxLength(1)], [[1]], [[1, 2]], r"must have at most 1 item, got"),
        (A[dict[str, int], impl.MinLength(1)], [{"a": 1}], [{}], "must have at least 1 item, got"),
        (A[tuple[int, ...], impl.MaxLength(0)], [()], [(1,)], r"must have at most 0 items, got \("),
        (A[set[int], impl.MinLength(1)], [{1}], [set()], "must have at least 1 item"),
        (A[Other, impl.MaxLength(3)], [Other()], [], ""),
        (A[Any, impl.MinLength(1)], ["a", [1]], ["", []], "must have at least 1"),
        (A[str, impl.Predicate(str.islower)], ["a"], ["A"], "must satisfy str.islower, got 'A'"),
        (A[str, impl.Strip, impl.MinLength(2)], ["ab"], [" a "], "at least 2 characters, got 'a'"),
        (A[str, impl.MinLength(2), impl.Strip], ["ab"], [" a "], "at least 2 characters, got 'a'"),
        (
            A[datetime.time, impl.Timezone(None)],
            [datetime.time()],
            [datetime.time(tzinfo=utc)],
            "no",
        ),
        (
            A[datetime.time, impl.Timezone(...)],
            [datetime.time(tzinfo=utc)],
            [datetime.time()],
            "a t",
        ),
        (A[datetime.time, impl.Timezone("UTC")], [datetime.time(tzinfo=utc)], [], ""),
        (A[datetime.time, impl.Timezone(utc)], [], [datetime.time()], "have the time zone UTC"),
        (A[int, impl.Ge(1)] | None, [1, None], [0], "must be >= 1, got 0"),
        (A[int | None, impl.Ge(1)], [1, None], [0], "must be >= 1, got 0"),
        (A[int, impl.Ge(1)] | str, ["a", 1], [0], "must be >= 1, got 0"),
        (A[int | str, impl.MinLength(1)], ["a"], [""], "must have at least 1 character"),
        (A[A[int, impl.Ge(1)], impl.Le(3)], [1, 3], [0, 4], "must be"),
        (A[int, "unknown", impl.Ge(1)], [1], [0], "must be >= 1"),
        (A[str, "min_len:2"], ["ab"], ["a"], "must have at least 2 characters"),
        (Literal["a", 1], ["a"], ["b", 2], "must be 'a' or 1, got"),
        (A[T, impl.Ge(1)], [1, 1.5], [0], "must be >= 1"),
        (A[NewType("N", A[int, impl.Ge(1)]), impl.Le(3)], [1], [0, 4], "must be"),
    ]


@pytest.mark.parametrize("i", range(54))
def test_constraint(impl, i):
    tp, good, bad, text = broken(impl)[i]
    for value in good:
        assert impl.validate(value, tp) is value
    for value in bad:
        with pytest.raises(impl.ConstraintError, match=text) as caught:
            impl.validate(value, tp)
        assert (caught.value.name, str(caught.value)[:6]) == ("value", "value ")
        assert isinstance(caught.value, ValueError)


def test_all_constraints_were_tried(impl):
    assert len(broken(impl)) == 54


def test_the_value_is_kept_in_the_error(impl):
    with pytest.raises(impl.ConstraintError) as caught:
        impl.validate([3, 0], list[Annotated[int, impl.Ge(1)]])
    assert (caught.value.name, caught.value.value) == ("value[1]", 0)


def test_long_values_are_shortened(impl):
    with pytest.raises(impl.ConstraintError) as caught:
        impl.validate("x" * 500, Annotated[str, impl.MaxLength(3)])
    assert str(caught.value) == f"value must have at most 3 characters, got '{'x' * 76}..."
    with pytest.raises(TypeError) as wrong:
        impl.validate({"k" * 500: "a"}, dict[str, int])
    assert len(str(wrong.value)) < 150


def test_incomparable(impl):
    for tp, value in (
        (Annotated[Any, impl.Ge(1)], "a"),
        (Annotated[datetime.date, impl.Ge(1)], datetime.date.min),
        (Annotated[Any, impl.MinLength(1)], 5),
        (Annotated[Any, impl.MultipleOf(1)], "a"),
        (Annotated[Any, impl.Timezone(...)], 5),
    ):
        with pytest.raises(TypeError, match=r"value: \w+ does not go with "):
            impl.validate(value, tp)


def test_what_a_predicate_raises(impl):
    def fail(value):
        raise LookupError(value)

    def refuse(value):
        raise TypeError("mine")

    for tp in (Annotated[int, impl.Predicate(fail)], Annotated[int, impl.Predicate(fail)] | str):
        with pytest.raises(LookupError):
            impl.validate(5, tp)
    with pytest.raises(TypeError, match="^mine$"):
        impl.validate(5, Annotated[int, impl.Predicate(refuse)] | str)


def test_what_an_operator_raises(impl):
    class Odd:
        def __ge__(self, other):
            raise LookupError

        def __len__(self):
            raise LookupError

        def __mod__(self, other):
            raise LookupError

    for check in (impl.Ge(1), impl.MinLength(1), impl.MultipleOf(2)):
        with pytest.raises(LookupError):
            impl.validate(Odd(), Annotated[Odd, check])


def test_truth_of_a_predicate(impl):
    assert impl.validate(5, Annotated[int, impl.Predicate(lambda value: "yes")]) == 5
    with pytest.raises(impl.ConstraintError, match="must satisfy .*<lambda>, got 5"):
        impl.validate(5, Annotated[int, impl.Predicate(lambda value: [])])


def test_timedelta_and_fraction_multiples(impl):
    hour = datetime.timedelta(hours=1)
    tp = Annotated[datetime.timedelta, impl.Predicate(lambda value: not value % hour)]
    assert impl.validate(2 * hour, tp) == 2 * hour
    half = Annotated[fractions.Fraction, impl.MultipleOf(fractions.Fraction(1, 2))]
    assert impl.validate(fractions.Fraction(3, 2), half) == 1.5
    with pytest.raises(impl.ConstraintError):
        impl.validate(fractions.Fraction(1, 3), half)


# ---- Strip


def test_strip(impl):
    tp = Annotated[str, impl.Strip]
    assert impl.validate(" a\t\n\u2003", tp) == "a" and impl.validate("  ", tp) == ""
    text = "a b"
    assert impl.validate(text, tp) is text
    assert impl.validate(None, tp | None) is None
    assert type(impl.validate(Text(" a "), tp)) is str


def test_strip_in_containers(impl):
    text = Annotated[str, impl.Strip]
    for tp, value, wanted in (
        (list[text], ["a", " b ", "c ", "d"], ["a", "b", "c", "d"]),
        (tuple[text, ...], ("a", " b ", " c"), ("a", "b", "c")),
        (tuple[text, int, text], (" a", 1, " b"), ("a", 1, "b")),
        (set[text], {" a "}, {"a"}),
        (frozenset[text], frozenset([" a "]), frozenset("a")),
        (dict[text, text], {" a ": " b ", "c": "d"}, {"a": "b", "c": "d"}),
        (dict[str, list[text]], {"a": [" b"]}, {"a": ["b"]}),
        (Mapping[str, text], types.MappingProxyType({"a": " b"}), {"a": "b"}),
        (collections.deque[text], collections.deque([" a"]), collections.deque("a")),
        (list[text | None], [None, " b"], [None, "b"]),
    ):
        before = repr(value)
        result = impl.validate(value, tp)
        assert result == wanted and type(result) is type(wanted)
        assert repr(value) == before
        assert impl.validate(wanted, tp) is wanted


# ---- sensitive


def test_sensitive_values_are_not_shown(impl):
    secret = Annotated[str, impl.MinLength(8), impl.Sensitive]
    for tp, value in (
        (secret, "hunter2"),
        (Annotated[list[Annotated[str, impl.MinLength(8)]], impl.Sensitive], ["hunter2"]),
        (Annotated[dict[str, Annotated[int, impl.Ge(1)]], impl.Sensitive], {"hunter2": 0}),
        (Annotated[dict[str, int], impl.Sensitive], {"hunter2": "hunter2"}),
        (Annotated[Literal["a"], impl.Sensitive], "hunter2"),
        (Annotated[Any, impl.Ge(1), impl.Sensitive], "hunter2"),
        (list[secret | None], ["hunter2"]),
        (secret | int, "hunter2"),
    ):
        with pytest.raises((TypeError, ValueError)) as caught:
            impl.validate(value, tp)
        assert "hunter2" not in str(caught.value) and "hunter2" not in repr(caught.value)
        assert "hunter2" not in repr(vars(caught.value)) + repr(caught.value.args)
        assert getattr(caught.value, "value", None) is None
    with pytest.raises(impl.ConstraintError, match="^value must have at least 8 characters$"):
        impl.validate("hunter2", secret)


# ---- annotations that are refused


def bad_annotations(impl):
    A = Annotated
    return [
        ("int", TypeError, "annotation 'int' is a name that has not been resolved"),
        (
            list["Nothing"],  # noqa: F821
            TypeError,  # noqa: F821
            "'Nothing' is a name that has not been resolved",
        ),
        (5, TypeError, "annotation 5 is not a type"),
        (Union, TypeError, "wants parameters"),
        (Literal, TypeError, "wants parameters"),
        (A[int, impl.Ge(5), impl.Le(3)], ValueError, r"Ge\(5\) and Le\(3\) leave nothing"),
        (A[int, impl.Gt(5), impl.Le(5)], ValueError, r"Gt\(5\) and Le\(5\) leave nothing"),
        (A[int, impl.Ge(5), impl.Le("a")], TypeError, "does not apply to int"),
        (A[Any, impl.Ge(5), impl.Le("a")], TypeError, "not supported between"),
        (A[str, impl.MinLength(3), impl.MaxLength(2)], ValueError, "leave nothing"),
        (A[A[int, impl.Ge(5)], impl.Lt(5)], ValueError, "leave nothing"),
        (A[int, impl.MinLength(3)], TypeError, r"MinLength\(3\) does not apply to int"),
        (A[int | float, impl.MinLength(3)], TypeError, r"does not apply to int \| float"),
        (A[Decimal, impl.MinLength(3)], TypeError, "does not apply to Decimal"),
        (A[list, impl.Ge(3)], TypeError, r"Ge\(3\) does not apply to list"),
        (A[list[int], impl.Ge(3)], TypeError, r"Ge\(3\) does not apply to list"),
        (A[dict[str, int], impl.Ge(3)], TypeError, "does not apply to dict"),
        (A[None, impl.Ge(3)], TypeError, "does not apply to None"),
        (A[str, impl.Ge(3)], TypeError, r"Ge\(3\) does not apply to str"),
        (A[int, impl.Ge("a")], TypeError, r"Ge\('a'\) does not apply to int"),
        (A[str, impl.MultipleOf(3)], TypeError, "does not apply to str"),
        (A[int, impl.Strip], TypeError, "Strip does not apply to int"),
        (A[bytes, impl.Strip], TypeError, "Strip does not apply to bytes"),
        (A[int, impl.Timezone(None)], TypeError, "does not apply to int"),
        (list[A[int, impl.Strip]], TypeError, "Strip does not apply to int"),
    ]


@pytest.mark.parametrize("i", range(25))
def test_bad_annotation(impl, i):
    tp, kind, text = bad_annotations(impl)[i]
    for _ in range(2):
        with pytest.raises(kind, match=rf"^validate\(\): .*{text}"):
            impl.validate(1, tp)


def test_protocol_that_cannot_be_checked(impl):
    class Named(Protocol):
        name: str

    with pytest.raises(TypeError, match="is a protocol without runtime_checkable"):
        impl.validate(1, Named)


def test_arguments(native):
    for args in ((), (1,), (1, 2, 3)):
        with pytest.raises(TypeError, match=r"validate\(\) takes 2 positional arguments"):
            native.validate(*args)
    with pytest.raises(TypeError):
        native.validate(value=1, tp=int)
    assert str(inspect.signature(native.validate)) == "(value, tp, /)"


# ---- recursion


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695")
def test_aliases(impl):
    space = {"Annotated": Annotated, "impl": impl}
    exec("type Json = None | int | str | list[Json] | dict[str, Json]", space)
    exec("type Tree[T] = T | list[Tree[T]]\ntype Age = Annotated[int, impl.Ge(0)]", space)
    json, tree, age = (space[name] for name in ("Json", "Tree", "Age"))
    value = {"a": [1, None, {"b": ["c"]}]}
    assert impl.validate(value, json) is value
    assert impl.validate([1, [2, [3]]], tree[int]) == [1, [2, [3]]]
    for tp, bad in ((json, {"a": [1.5]}), (tree[int], [1, ["a"]]), (age, "a"), (list[json], [1.5])):
        with pytest.raises(TypeError):
            impl.validate(bad, tp)
    with pytest.raises(impl.ConstraintError, match="value must be >= 0, got -1"):
        impl.validate(-1, age)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695")
def test_alias_that_fails(impl):
    space: dict[str, Any] = {}
    exec("type Bad = list[Bad] | nothing\ntype Loop = Loop", space)
    for _ in range(2):
        with pytest.raises(TypeError, match="name 'nothing' is not defined"):
            impl.validate([], space["Bad"])
    with pytest.raises(RecursionError):
        impl.validate([], space["Loop"])


def test_cycle_of_data(impl):
    class Node:
        next: "Node"

    node = Node()
    node.next = node
    with pytest.raises(RecursionError):
        impl.validate(node, Node)


def test_deep_data(impl):
    tp: Any = int
    for _ in range(30):
        tp = list[tp]
    value: Any = 1
    for _ in range(30):
        value = [value]
    assert impl.validate(value, tp) is value


# ---- classes


class Address:
    zip: Annotated[str, "min_len:5"]

    def __init__(self, code):
        self.zip = code


class User:
    registry: ClassVar[int] = 5
    name: Annotated[str, "min_len:3"]
    age: int
    tags: list[Annotated[str, "min_len:1"]]
    address: Address
    friend: "User | None" = None

    def __init__(self, **fields):
        base = {"name": "alice", "age": 3, "tags": [], "address": Address("12345")}
        vars(self).update(base | fields)


def test_fields(impl):
    user = User(friend=User())
    assert impl.validate(user, User) is user
    assert impl.validate(user, User | None) is user
    for fields, text in (
        ({"name": "al"}, "^name must have at least 3 characters, got 'al'$"),
        ({"age": "3"}, r"^validate\(\): age must be int, got str$"),
        ({"tags": ["a", "b", "c", ""]}, r"^tags\[3\] must have at least 1 character, got ''$"),
        ({"address": Address("1")}, r"^address.zip must have at least 5 characters, got '1'$"),
        ({"address": 5}, r"^validate\(\): address must be Address, got int$"),
        ({"friend": User(age=None)}, r"^validate\(\): friend.age must be int, got NoneType$"),
        ({"friend": 5}, r"^validate\(\): friend must be User \| None, got int$"),
    ):
        with pytest.raises((TypeError, impl.ConstraintError), match=text):
            impl.validate(User(**fields), User)
    with pytest.raises(TypeError, match=r"value\[0\].age must be int"):
        impl.validate([User(age="a")], list[User])
    with pytest.raises(TypeError, match="value must be User, got dict"):
        impl.validate({}, User)


def test_fields_that_are_not_there(impl):
    user = User()
    del user.age
    assert impl.validate(user, User) is user


def test_kinds_of_classes(impl):
    Age = Annotated[int, impl.Ge(0)]  # noqa: N806

    class Plain:
        age: Age = 1

    class Slotted:
        __slots__ = ("age",)
        age: Age

        def __init__(self, age=1):
            self.age = age

    @dataclasses.dataclass
    class Data:
        extra: dataclasses.InitVar[int]
        age: Age = 1
        _: dataclasses.KW_ONLY
        more: list[int] = dataclasses.field(default_factory=list)

    @dataclasses.dataclass(slots=True, frozen=True)
    class Small:
        age: Age = 1

    class Tuple(NamedTuple):
        age: Age = 1

    class Rec(Record):
        age: Age = 1

    @record
    class Made:
        age: Age = 1

    class Child(Plain):
        name: str = "a"

    for cls in (Plain, Slotted, Small, Tuple, Rec, Made, Child):
        made = cls()
        assert impl.validate(made, cls) is made
        bad = cls(-1) if cls not in (Plain, Child) else cls()
        if cls in (Plain, Child):
            bad.age = -1
        with pytest.raises(impl.ConstraintError, match="^age must be >= 0, got -1$"):
            impl.validate(bad, cls)
    assert impl.validate(Data(1, 2), Data).age == 2
    with pytest.raises(impl.ConstraintError, match="^age must be >= 0, got -1$"):
        impl.validate(Data(1, -1), Data)


def test_typed_dict(impl):
    class Movie(TypedDict):
        name: Annotated[str, impl.Strip]
        year: NotRequired[Annotated[int, impl.Ge(1888)]]

    movie = {"name": "a", "other": 1}
    assert impl.validate(movie, Movie) is movie
    assert impl.validate({"name": " a ", "year": 2000}, Movie) == {"name": "a", "year": 2000}
    for value, text in (
        ({}, "value must have the key 'name'"),
        ([], "value must be dict, got list"),
        ({"name": 5}, r"value\['name'\] must be str, got int"),
        ({"name": "a", "year": 1}, r"value\['year'\] must be >= 1888, got 1"),
    ):
        with pytest.raises((TypeError, impl.ConstraintError), match=text):
            impl.validate(value, Movie)
    with pytest.raises(TypeError, match=r"value\[0\] must have the key 'name'"):
        impl.validate([{}], list[Movie])


def test_strip_leaves_objects_alone(impl):
    class Person:
        name: Annotated[str, impl.Strip, impl.MinLength(2)]

    person = Person()
    person.name = " ab "
    assert impl.validate(person, Person) is person and person.name == " ab "
    person.name = " a  "
    with pytest.raises(impl.ConstraintError, match="name must have at least 2 characters, got 'a'"):
        impl.validate(person, Person)


def test_sensitive_field(impl):
    class Login:
        password: Annotated[str, impl.MinLength(8), impl.Sensitive]

    login = Login()
    login.password = "hunter2"
    with pytest.raises(impl.ConstraintError) as caught:
        impl.validate(login, Login)
    assert str(caught.value) == "password must have at least 8 characters"


def test_local_names(impl):
    class Node:
        left: "Node | None" = None
        value: int = 0

    node = Node()
    node.left = Node()
    assert impl.validate(node, Node) is node
    node.left.value = "a"
    with pytest.raises(TypeError, match="left.value must be int, got str"):
        impl.validate(node, Node)


def test_bad_classes(impl):
    class Unresolved:
        good: int
        bad: "Nothing"  # noqa: F821

    class Wrong:
        bad: Annotated[int, impl.MinLength(3)]

    class Contradicts:
        bad: Annotated[int, impl.Ge(3), impl.Le(2)]

    class Default:
        good: Annotated[str, impl.MinLength(3)] = None
        bad: Annotated[int, impl.Ge(3)] = 2

    @dataclasses.dataclass
    class Data:
        bad: Annotated[int, impl.Ge(3)] = 2

    class Tuple(NamedTuple):
        bad: list[Annotated[int, impl.Ge(3)]] = [2]  # noqa: RUF012

    for cls, kind, text in (
        (Unresolved, TypeError, r"Unresolved.bad: annotation cannot be resolved: name 'Nothing'"),
        (Wrong, TypeError, r"Wrong.bad: MinLength\(3\) does not apply to int"),
        (Contradicts, ValueError, r"Contradicts.bad: Ge\(3\) and Le\(2\) leave nothing"),
        (Default, ValueError, r"default of .*Default.bad must be >= 3, got 2"),
        (Data, ValueError, r"default of .*Data.bad must be >= 3, got 2"),
        (Tuple, ValueError, r"default of .*Tuple.bad\[0\] must be >= 3, got 2"),
    ):
        made = object.__new__(cls) if cls is not Tuple else tuple.__new__(cls, ([5],))
        for _ in range(2):
            with pytest.raises(kind, match=text):
                impl.validate(made, cls)


def test_default_that_is_an_instance(impl):
    class Node:
        value: Annotated[int, impl.Ge(0)] = 1
        other: "Node"

    Node.other = Node()
    with pytest.raises(RecursionError):
        impl.validate(Node(), Node)


def test_generic_class(impl):
    class Pair(Generic[T]):
        left: T
        right: int = 1

    pair = Pair[str]()
    pair.left = "a"
    assert impl.validate(pair, Pair[str]) is pair
    pair.right = "a"
    with pytest.raises(TypeError, match="right must be int"):
        impl.validate(pair, Pair)


def test_attribute_that_raises(impl):
    class Odd:
        x: int

        @property
        def x(self):
            raise LookupError

    with pytest.raises(LookupError):
        impl.validate(Odd(), Odd)


# ---- what runs meanwhile


def test_list_changed_meanwhile(impl):
    values: list[Any] = []

    def grow(value):
        if len(values) < 5:
            values.append(value + 1)
        return True

    values.append(0)
    assert impl.validate(values, list[Annotated[int, impl.Predicate(grow)]]) is values


def test_list_emptied_meanwhile(native):
    def empty(value):
        values.clear()
        return True

    text = Annotated[str, native.Strip, native.Predicate(empty)]
    values = [" a", " b", " c"]
    assert native.validate(values, list[text]) == ["a"]


def test_dict_changed_meanwhile(native):
    def grow(value):
        values[len(values)] = 1
        return True

    values = {0: 0, 1: 1}
    with pytest.raises(RuntimeError, match="changed size"):
        native.validate(values, dict[int, Annotated[int, native.Predicate(grow)]])


def test_set_changed_meanwhile(impl):
    def grow(value):
        values.add(len(values) + 10)
        return True

    values = {0, 1}
    if impl.__name__ == "ferrule.validation":
        with pytest.raises(RuntimeError, match="changed size"):
            impl.validate(values, set[Annotated[int, impl.Predicate(grow)]])


def test_isinstance_as_python_does(impl):
    class Proxy:
        __class__ = Other

    assert impl.validate(Proxy(), Other)

    class Meta(type):
        def __instancecheck__(cls, value):
            if value == 5:
                return True
            raise LookupError

    class Odd(metaclass=Meta):
        pass

    assert impl.validate(5, Odd) == 5
    with pytest.raises(LookupError):
        impl.validate(6, Odd)


# ---- lifetime of classes


def test_classes_are_not_kept(native):
    def use():
        class Local:
            value: Annotated[int, native.Ge(0)] = 1
            others: "list[Local] | None" = None

        made = Local()
        made.others = [Local()]
        for value, tp in (
            (made, Local),
            (made, Local | None),
            ([made], list[Local]),
            ({1: made}, dict[int, Local]),
            (made, Annotated[Local, native.Predicate(bool)]),
            (Local, type[Local]),
        ):
            native.validate(value, tp)
        return weakref.ref(Local)

    ref = use()
    for clear in vars(typing)["_cleanups"]:
        clear()
    gc.collect()
    assert ref() is None


def test_plan_of_a_class_that_is_gone(native):
    def make():
        class Local:
            pass

        native.validate(Local(), Local)
        return Local

    for _ in range(50):
        cls = make()
        with pytest.raises(TypeError):
            native.validate(5, cls)
        del cls
        gc.collect()


def test_annotations_are_read_once(native):
    class Local:
        value: int = 1

    native.validate(Local(), Local)
    Local.__annotations__ = {"value": str}
    assert native.validate(Local(), Local)


def test_class_can_be_pickled_by_value(native):
    class Local:
        value: int = 1

    native.validate(Local(), Local)
    kept = vars(Local)["__ferrule_fields__"]
    function, args = kept.__reduce__()
    assert function(*args) is None
    copied = type("Copied", (), dict(vars(Local)))
    assert native.validate(copied(), copied)
    with pytest.raises(TypeError, match="value must be int"):
        made = copied()
        made.value = "a"
        native.validate(made, copied)
