"""Pickling and copying of records, through every protocol."""

import contextlib
import copy
import pickle
import sys

import pytest

SOURCE = """
import functools
from typing import Annotated

class Reading(Record, gc=False):
    timestamp: i64
    value: f64
    unit: str

class Frozen(Record, frozen=True):
    x: i64
    y: object

class Every(Record):
    a: i8
    b: i16
    c: i32
    d: i64
    e: u8
    f: u16
    g: u32
    h: u64
    i: f32
    j: f64
    k: bool8
    l: Annotated[bytes, Size(3)]
    m: Annotated[str, Size(3)]
    n: object

class Counting(Record):
    x: i64
    runs = []

    def __post_init__(self):
        self.runs.append(self.x)

class Cached(Record, frozen=True):
    x: i64

    @functools.cached_property
    def double(self):
        return [self.x * 2]

class Mixin:
    pass

class WithDict(Record, Mixin):
    x: i64

class Sub(Reading):
    more: object = None

class KeywordOnly(Record, kw_only=True):
    x: i64
    y: str = "y"

class Unset(Record):
    x: object = field(init=False)
    y: object = field(init=False)

class GetState(Record):
    x: i64
    y: str

    def __getstate__(self):
        return [self.x + 100, self.y]

class SetState(Record, frozen=True):
    x: i64
    y: str

    def __getstate__(self):
        return (self.x, self.y)

    def __setstate__(self, state):
        object.__setattr__(self, "x", state[0] + 1)
        object.__setattr__(self, "y", state[1])

class Reduce(Record):
    x: i64

    def __reduce__(self):
        return (type(self), (self.x + 1,))

@record(frozen=True)
class Decorated:
    x: int

Made = make_record("Made", [("x", i64)], module=__name__)
"""

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)


def through(made, protocol):
    return pickle.loads(pickle.dumps(made, protocol))


@pytest.fixture(params=PROTOCOLS)
def protocol(request):
    return request.param


@pytest.fixture
def shapes(define):
    return define(SOURCE)


def test_a_record_comes_back_equal(shapes, protocol):
    every = (-1, -2, -3, -4, 1, 2, 3, 4, 0.5, -0.25, True, b"abc", "é", {"k": [1]})
    for made in (
        shapes.Reading(1, 2.0, "C"),
        shapes.Frozen(1, (2, 3)),
        shapes.Every(*every),
        shapes.Sub(1, 2.0, "C", [4]),
        shapes.KeywordOnly(x=5),
        shapes.Decorated(3),
        shapes.Made(3),
    ):
        other = through(made, protocol)
        assert other == made and type(other) is type(made) and other is not made


def test_protocols_0_and_1_work_or_say_why_not(shapes):
    made = shapes.Reading(1, 2.0, "C")
    for protocol in (0, 1):
        try:
            data = pickle.dumps(made, protocol)
        except TypeError:
            continue
        assert pickle.loads(data) == made


def test_init_and_post_init_are_not_run_again(shapes, protocol):
    made = shapes.Counting(7)
    for other in (through(made, protocol), copy.copy(made), copy.deepcopy(made)):
        assert other == made
    assert shapes.Counting.runs == [7]


def test_cached_values_are_not_pickled(shapes, protocol):
    made = shapes.Cached(2)
    assert made.double == [4]
    other = through(made, protocol)
    assert other == made and other.double == [4] and other.double is not made.double


def test_the_dict_of_a_mixin_is_pickled_and_copied(shapes, protocol):
    made = shapes.WithDict(1)
    made.extra = [2]
    for other in (through(made, protocol), copy.copy(made), copy.deepcopy(made)):
        assert other.x == 1 and other.__dict__ == {"extra": [2]}


def test_unset_fields_stay_unset(shapes, protocol):
    made = shapes.Unset()
    made.y = 5
    for other in (through(made, protocol), copy.copy(made), copy.deepcopy(made)):
        assert not hasattr(other, "x") and other.y == 5


def test_own_state_methods_are_honoured(shapes, protocol):
    assert through(shapes.GetState(1, "y"), protocol) == shapes.GetState(101, "y")
    assert through(shapes.SetState(1, "y"), protocol) == shapes.SetState(2, "y")
    assert through(shapes.Reduce(1), protocol) == shapes.Reduce(2)


def test_cycles_come_back_as_cycles(shapes, protocol):
    made = shapes.Every(*[0] * 8, 0.0, 0.0, False, b"abc", "", None)
    made.n = [made]
    other = through(made, protocol)
    assert other.n[0] is other and other is not made
    frozen = shapes.Frozen(1, [])
    frozen.y.append(frozen)
    assert through(frozen, protocol).y[0].x == 1


def test_shared_values_stay_shared(shapes, protocol):
    inner = shapes.Reading(1, 2.0, "C")
    first, second = through([shapes.Frozen(1, inner), shapes.Frozen(2, inner)], protocol)
    assert first.y is second.y


def test_a_long_list_of_records(shapes, protocol):
    made = [shapes.Reading(i, i / 2, str(i % 10)) for i in range(2000)]
    assert through(made, protocol) == made


def test_a_local_class_cannot_be_pickled_and_says_so(impl, protocol):
    class Local(impl.Record):
        x: impl.i64

    made = Local(1)
    with pytest.raises((pickle.PicklingError, AttributeError), match="Local"):
        pickle.dumps(made, protocol)
    assert made.x == 1


def test_states_that_do_not_fit_are_refused_without_a_crash(shapes):
    for cls in (shapes.Reading, shapes.Frozen, shapes.Every, shapes.Cached):
        for state in ((), 5, None, "abc", [1], {"x": "no"}, (None, {"x": "no"}), ({}, {}, {})):
            made = cls.__new__(cls)
            with contextlib.suppress(TypeError, ValueError, AttributeError, LookupError):
                made.__setstate__(state)
            for name in cls.__match_args__:
                getattr(made, name, None)


def test_a_wrong_value_in_a_pickle_is_refused_by_name(shapes):
    made = shapes.Reading(1, 2.0, "C")
    data = pickle.dumps(made, 2)
    assert b"K\x01" in data
    with pytest.raises(TypeError, match=r"Reading\.timestamp: wanted i64, got NoneType None"):
        pickle.loads(data.replace(b"K\x01", b"N", 1))


def test_deep_nesting_ends_in_recursion_error_or_success(shapes):
    made = None
    for i in range(sys.getrecursionlimit() * 10):
        made = shapes.Frozen(i, made)
    for attempt in (lambda: pickle.dumps(made, 5), lambda: copy.deepcopy(made), lambda: repr(made)):
        with pytest.raises((RecursionError, MemoryError)):
            attempt()


def test_deepcopy_keeps_to_the_memo(shapes):
    inner = shapes.Reading(1, 2.0, "C")
    made = shapes.Frozen(1, [inner, inner])
    other = copy.deepcopy(made)
    assert other.y[0] is other.y[1] is not inner and other == made
