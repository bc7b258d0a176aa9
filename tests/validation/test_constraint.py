"""Constraints as values, and `constraints`: what an annotation carries."""

# ruff: noqa: UP006, UP007, UP035, UP045 - the older forms are tested too

from __future__ import annotations

import copy
import datetime
import gc
import importlib
import inspect
import pickle
import re
import sys
import typing
import weakref
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, NewType, Optional, TypedDict, Union

import pytest

import services

SINGLE = ("Gt", "Ge", "Lt", "Le", "MultipleOf", "MinLength", "MaxLength")


def every(impl):
    """One of each kind."""
    return [
        *(getattr(impl, name)(3) for name in SINGLE),
        impl.Length(1),
        impl.Length(1, 4),
        impl.Interval(gt=1),
        impl.Interval(ge=1, lt=5),
        impl.Predicate(str.islower),
        impl.Timezone(None),
        impl.Timezone(...),
        impl.Timezone("UTC"),
        impl.Doc("What it is."),
        impl.Strip,
        impl.Sensitive,
    ]


def test_reprs(impl):
    assert [repr(one) for one in every(impl) if not isinstance(one, impl.Predicate)] == [
        *(f"{name}(3)" for name in SINGLE),
        "Length(1)",
        "Length(1, 4)",
        "Interval(gt=1)",
        "Interval(ge=1, lt=5)",
        "Timezone(None)",
        "Timezone(Ellipsis)",
        "Timezone('UTC')",
        "Doc('What it is.')",
        "Strip",
        "Sensitive",
    ]
    assert repr(impl.Predicate(str.islower)) == f"Predicate({str.islower!r})"


def test_attributes(impl):
    assert impl.Gt(1).gt == impl.Ge(1).ge == impl.Lt(1).lt == impl.Le(1).le == 1
    assert impl.MultipleOf(multiple_of=2).multiple_of == 2
    assert impl.MinLength(min_length=2).min_length == impl.MaxLength(2).max_length == 2
    length, interval = impl.Length(1, max_length=3), impl.Interval(gt=1, le=2)
    assert (length.min_length, length.max_length, impl.Length(1).max_length) == (1, 3, None)
    assert (interval.gt, interval.ge, interval.lt, interval.le) == (1, None, None, 2)
    assert impl.Predicate(str.islower).func is str.islower
    assert impl.Doc("x").documentation == "x" and impl.Timezone("x").tz == "x"


def test_they_do_not_change(impl):
    for one, name in ((impl.Ge(1), "ge"), (impl.Length(1, 2), "max_length"), (impl.Strip, "x")):
        with pytest.raises((AttributeError, TypeError)):
            setattr(one, name, 5)


def test_words(impl):
    short, long = impl.MinLength(3), impl.MaxLength(9)
    assert (str(short), str(long), str(impl.Sensitive)) == (
        "min_len:3",
        "max_len:9",
        "sensitive_data",
    )
    assert short == "min_len:3" == short and long == "max_len:9"
    assert impl.Sensitive == "sensitive_data" and impl.Sensitive != "sensitive"
    assert short != "min_len:4" and impl.Ge(3) != "Ge(3)"
    for one in (short, long, impl.Sensitive):
        assert hash(one) == hash(str(one)) and {str(one): 1}[one] == 1
    assert str(impl.Ge(5)) == "Ge(5)" and f"{impl.Strip}" == "Strip"


def test_equality(impl):
    kinds = every(impl)
    for i, one in enumerate(kinds):
        for k, other in enumerate(every(impl)):
            assert (one == other) is (i == k) and (one != other) is (i != k)
    assert len(set(kinds + every(impl))) == len(kinds)
    assert impl.Ge(5) != impl.Ge(5.0) and impl.Ge(1) != impl.Ge(True)
    assert impl.Interval(ge=1, lt=5) != impl.Interval(ge=1, lt=5.0)
    assert impl.Ge(5) != impl.Le(5) and impl.Ge(5) != 5
    assert impl.Length(3) != impl.MinLength(3)
    with pytest.raises(TypeError):
        assert impl.Ge(5) < impl.Ge(6)


def test_equality_raises(impl):
    class Odd:
        def __eq__(self, other):
            raise LookupError

        __hash__ = object.__hash__

    with pytest.raises(LookupError):
        assert impl.Ge(Odd()) == impl.Ge(Odd())


def test_typing_keeps_them_apart(impl):
    assert Annotated[int, impl.Ge(5)] != Annotated[int, impl.Ge(5.0)]
    assert impl.constraints(Annotated[int, impl.Ge(5.0)])[0].ge.__class__ is float


def test_hash_of_what_has_none(impl):
    with pytest.raises(TypeError):
        hash(impl.Ge([]))


def test_constants(impl):
    assert impl.Strip() is impl.Strip and impl.Sensitive() is impl.Sensitive
    with pytest.raises(TypeError):
        impl.Strip(1)
    with pytest.raises(TypeError):
        impl.Sensitive(x=1)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(impl, protocol):
    for one in every(impl):
        if isinstance(one, impl.Timezone) and one.tz is ... and protocol < 2:
            continue
        if isinstance(one, impl.Predicate) and protocol < 2:
            continue
        back = pickle.loads(pickle.dumps(one, protocol))
        assert back == one and type(back) is type(one)


def test_copy(impl):
    for one in every(impl):
        assert copy.copy(one) is one and copy.deepcopy(one) is one


def test_match(impl):
    found = []
    for one in every(impl):
        match one:
            case impl.Ge(bound) | impl.Gt(bound):
                found.append(bound)
            case impl.Length(low, high):
                found.append((low, high))
            case impl.Interval(gt, ge, lt, le):
                found.append((gt, ge, lt, le))
            case impl.Predicate(func):
                found.append(func)
    assert found == [
        *(3, 3, (1, None), (1, 4)),
        *((1, None, None, None), (None, 1, 5, None), str.islower),
    ]


def test_parts(impl):
    assert list(impl.Length(1, 4)) == [impl.MinLength(1), impl.MaxLength(4)]
    assert list(impl.Length(2)) == [impl.MinLength(2)]
    assert list(impl.Interval(gt=1, ge=2, lt=5, le=4)) == [
        *(impl.Gt(1), impl.Ge(2), impl.Lt(5), impl.Le(4)),
    ]


def test_lengths_are_exact(impl):
    class Number(int):
        pass

    assert type(impl.MinLength(Number(3)).min_length) is int


def test_bounds_of_any_type(impl):
    day = datetime.date(2000, 1, 1)
    assert impl.Ge(day).ge is day and impl.Lt("x").lt == "x"
    assert impl.Interval(ge=Decimal("0.5"), le=1).ge == Decimal("0.5")


REFUSED = {
    "MinLength(-1)": (ValueError, "MinLength: wanted a length from 0 to .*, got -1"),
    "MinLength(2**70)": (ValueError, "MinLength: wanted a length from 0"),
    "MinLength(3.0)": (TypeError, r"MinLength: wanted a length \(int\), got float"),
    "MinLength('3')": (TypeError, r"MinLength: wanted a length \(int\), got str"),
    "MaxLength(True)": (TypeError, r"MaxLength: wanted a length \(int\), got bool"),
    "MaxLength(None)": (TypeError, "MaxLength: wanted a length"),
    "Length(5, 3)": (ValueError, "Length: the minimum, 5, is above the maximum, 3"),
    "Length(-1, 3)": (ValueError, "Length: wanted a length"),
    "Length(1, -3)": (ValueError, "Length: wanted a length"),
    "Length('a')": (TypeError, "Length: wanted a length"),
    "Ge(None)": (TypeError, "Ge: wanted a bound, got None"),
    "Gt(nan)": (ValueError, "Gt: NaN is no bound"),
    "Interval()": (TypeError, "Interval: wanted a bound"),
    "Interval(ge=nan)": (ValueError, "Interval: NaN is no bound"),
    "Interval(ge=5, lt=3)": (ValueError, "Interval: nothing is >= 5 and < 3"),
    "Interval(gt=5, le=5)": (ValueError, "Interval: nothing is > 5 and <= 5"),
    "Interval(gt=5, lt=5)": (ValueError, "Interval: nothing is > 5 and < 5"),
    "Interval(ge='a', lt=3)": (TypeError, "Interval: ge and lt cannot be compared"),
    "MultipleOf(0)": (ValueError, "MultipleOf: wanted a number other than 0, got 0"),
    "MultipleOf(0.0)": (ValueError, "MultipleOf: wanted a number other than 0, got 0.0"),
    "MultipleOf(nan)": (ValueError, "MultipleOf: wanted a number other than 0, got nan"),
    "MultipleOf('3')": (TypeError, "MultipleOf: wanted a number, got str"),
    "Predicate(5)": (TypeError, "Predicate: wanted a callable, got int"),
    "Doc(5)": (TypeError, "Doc: wanted a str, got int"),
    "Timezone(5)": (TypeError, "Timezone: wanted None, ..., a name or a tzinfo, got int"),
    "Constraint()": (TypeError, "cannot create 'ferrule.validation.Constraint' instances"),
    "Ge()": (TypeError, "ge"),
    "Ge(1, 2)": (TypeError, "Ge|argument"),
    "Interval(5)": (TypeError, "Interval|argument"),
    "Doc(text='x')": (TypeError, "Doc|argument"),
}


@pytest.mark.parametrize("source", REFUSED)
def test_refused(impl, source):
    kind, message = REFUSED[source]
    with pytest.raises(kind, match=message):
        eval(source, {**vars(impl), "nan": float("nan")})


def test_fits_in_an_interval(impl):
    assert impl.Interval(ge=5, le=5) and impl.Interval(gt=4, lt=5)


def test_signatures(native):
    assert str(inspect.signature(native.Length)) == "(min_length, max_length=None)"
    assert str(inspect.signature(native.constraints)) == "(tp, /)"
    assert "NaN" in native.Ge.__doc__


def test_base(impl):
    assert all(isinstance(one, impl.Constraint) for one in every(impl))
    assert issubclass(impl.Ge, impl.Constraint)


# ---- constraints(tp)


def test_of_what_carries_none(impl):
    for tp in (int, list[int], int | None, None, Any, Optional[str], dict, Union[int, str]):
        assert impl.constraints(tp) == ()


def test_order_is_inner_first(impl):
    inner = Annotated[str, impl.MinLength(3), "other"]
    outer = Annotated[Optional[inner], impl.Strip, 5, impl.Sensitive]
    found = impl.constraints(outer)
    assert found == (impl.MinLength(3), impl.Strip, impl.Sensitive)
    assert impl.constraints(outer | None) == found
    assert impl.constraints(Union[outer, None]) == found


def test_groups_are_taken_apart(impl):
    tp = Annotated[int, impl.Interval(ge=1, lt=5), impl.Length(1, 2), impl.Doc("x")]
    assert impl.constraints(tp) == (
        *(impl.Ge(1), impl.Lt(5), impl.MinLength(1), impl.MaxLength(2), impl.Doc("x")),
    )


def test_strings_of_the_article(impl):
    tp = Annotated[str, "min_len:3", "sensitive_data", "max_len:20"]
    found = impl.constraints(tp)
    assert found == (impl.MinLength(3), impl.Sensitive, impl.MaxLength(20))
    assert found[1] is impl.Sensitive and type(found[0]) is impl.MinLength


@pytest.mark.parametrize(
    "word",
    ["MIN_LEN:3", "min_len", "min_length:3", "", "x", "é"],
)
def test_other_strings_are_left_out(impl, word):
    assert impl.constraints(Annotated[str, word]) == ()


@pytest.mark.parametrize(
    "word", ["min_len:", "min_len:x", "max_len:-1", "min_len: 3", "min_len:3.0", "min_len:٣"]
)
def test_words_without_a_length(impl, word):
    with pytest.raises(ValueError, match=f"'{word}' wants a length") as caught:
        impl.constraints(Annotated[str, word])
    assert str(caught.value).startswith("constraints(): ")


def test_words_with_long_lengths(impl):
    tp = Annotated[str, f"min_len:{sys.maxsize}", "max_len:0003"]
    assert impl.constraints(tp) == (impl.MinLength(sys.maxsize), impl.MaxLength(3))
    with pytest.raises(ValueError, match="wanted a length from 0 to"):
        impl.constraints(Annotated[str, f"min_len:{sys.maxsize + 1}"])


@pytest.mark.parametrize("name", ["Ge", "MinLength", "Regex", "Interval", "Doc", "Predicate"])
def test_a_class_of_constraints_was_meant_to_be_called(impl, name):
    text = rf"{name} is a class: write {name}\(\.\.\.\)$"
    with pytest.raises(TypeError, match=rf"^constraints\(\): {text}"):
        impl.constraints(Annotated[str, getattr(impl, name)])
    with pytest.raises(TypeError, match=rf"^validate\(\): {text}"):
        impl.validate("x", Annotated[str, getattr(impl, name)])


@pytest.mark.parametrize("kind", ["Gt", "Ge", "Lt", "Le", "MultipleOf"])
@pytest.mark.parametrize("nan", [float("nan"), Decimal("NaN"), Decimal("sNaN")], ids=repr)
def test_no_bound_is_nan(impl, kind, nan):
    with pytest.raises(ValueError, match=kind):
        getattr(impl, kind)(nan)
    with pytest.raises(ValueError, match="^Interval: NaN is no bound$"):
        impl.Interval(ge=nan)


def test_multiples_of_other_things(impl):
    two = datetime.timedelta(2)
    tp = Annotated[datetime.timedelta, impl.MultipleOf(two)]
    assert impl.validate(two * 3, tp) == two * 3
    with pytest.raises(impl.ConstraintError):
        impl.validate(datetime.timedelta(3), tp)
    for value in ("%d", b"%d", bytearray(b"%d"), 2j, None):
        with pytest.raises(TypeError, match="MultipleOf: wanted a number"):
            impl.MultipleOf(value)


def test_other_metadata_is_left_out(impl):
    class Info:
        pass

    tp = Annotated[int, Info(), Info, 5, None, (1, 2), {"a": 1}, len, re.compile("x")]
    assert impl.constraints(tp) == ()


def test_through_names(impl):
    name = NewType("name", Annotated[str, impl.MinLength(3)])
    assert impl.constraints(name) == (impl.MinLength(3),)
    assert impl.constraints(Annotated[name, impl.Strip]) == (impl.MinLength(3), impl.Strip)
    assert impl.constraints(Final[Annotated[int, impl.Ge(1)]]) == (impl.Ge(1),)
    assert impl.constraints(ClassVar[Annotated[int, impl.Ge(1)]]) == (impl.Ge(1),)
    assert impl.constraints(typing.Required[Annotated[int, impl.Ge(1)]]) == (impl.Ge(1),)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695")
def test_through_aliases(impl):
    space = {"impl": impl, "Annotated": Annotated}
    exec("type Age = Annotated[int, impl.Ge(0)]\ntype Pair[T] = Annotated[T, impl.Ge(1)]", space)
    exec("type Loop = Loop\ntype Lost = Annotated[nothing, 1]", space)
    age = space["Age"]
    assert impl.constraints(age) == (impl.Ge(0),)
    assert impl.constraints(Annotated[age, impl.Le(9)]) == (impl.Ge(0), impl.Le(9))
    assert impl.constraints(space["Pair"][int]) == (impl.Ge(1),)
    with pytest.raises(RecursionError):
        impl.constraints(space["Loop"])
    with pytest.raises(TypeError, match=r"^constraints\(\): name 'nothing' is not defined"):
        impl.constraints(space["Lost"])


def test_items_have_their_own(impl):
    assert impl.constraints(list[Annotated[int, impl.Ge(1)]]) == ()
    assert impl.constraints(Annotated[int, impl.Ge(1)] | Annotated[str, impl.MinLength(1)]) == ()


@pytest.mark.parametrize("tp", ["int", "Nothing", typing.ForwardRef("Nothing")], ids=str)
def test_unresolved(impl, tp):
    with pytest.raises(TypeError, match="is a name that has not been resolved"):
        impl.constraints(tp)


def test_found_again(native):
    tp = Annotated[int, native.Ge(1)]
    assert native.constraints(tp) is native.constraints(tp)


def test_a_dead_key_is_no_key(native):
    for i in range(2000):  # many are at an address that another had
        assert native.constraints(Annotated[list, native.Ge([i])])[0].ge == [i]


def test_the_cache_keeps_nothing_alive(native):
    class Value:
        pass

    refs = []
    for _ in range(20):
        value = Value()
        refs.append(weakref.ref(value))
        tp = Annotated[list, native.Ge(value)]
        native.constraints(tp)
        del value, tp
    for clear in vars(typing)["_cleanups"]:
        clear()
    gc.collect()
    assert not any(ref() for ref in refs)


def test_typed_dict_keys(impl):
    class Movie(TypedDict):
        year: Annotated[int, impl.Ge(1888)]

    assert impl.constraints(Movie) == ()


# ---- annotated_types


@pytest.mark.integration
def test_annotated_types(impl):
    services.library("annotated_types")
    at = importlib.import_module("annotated_types")

    tp = Annotated[
        *(int, at.Ge(1), at.Interval(gt=2, le=9), at.Len(1, 3), at.MinLen(1), at.MaxLen(4)),
        *(at.MultipleOf(2), at.Predicate(str.islower), at.Timezone(...), at.Unit("m"), at.doc("x")),
    ]
    assert impl.constraints(tp) == (
        *(impl.Ge(1), impl.Gt(2), impl.Le(9), impl.MinLength(1), impl.MaxLength(3)),
        *(impl.MinLength(1), impl.MaxLength(4), impl.MultipleOf(2)),
        *(impl.Predicate(str.islower), impl.Timezone(...), impl.Doc("x")),
    )


@pytest.mark.integration
def test_bad_annotated_types(impl):
    services.library("annotated_types")
    at = importlib.import_module("annotated_types")

    with pytest.raises(ValueError, match="MinLength: wanted a length"):
        impl.constraints(Annotated[str, at.MinLen(-1)])
