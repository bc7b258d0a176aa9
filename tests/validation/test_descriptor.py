"""`Bounded` and `Validated` on plain and slotted classes."""

from __future__ import annotations

import abc
import copy
import dataclasses
import datetime
import decimal
import fractions
import gc
import inspect
import math
import pickle
import sys
import weakref
from typing import Annotated

import pytest

INF = float("inf")
NAN = float("nan")


@pytest.fixture(params=["dict", "slots"])
def make(request, impl):
    """Makes a class with one attribute x: its values in a dict or in slots."""

    def make(descriptor, prefix="_bounded_"):
        body = {"x": descriptor}
        if request.param == "slots":
            body["__slots__"] = (f"{prefix}x",)
        return type("Thing", (), body)

    return make


# ---- the articles, as printed


def test_network_config(impl):
    Bounded = impl.Bounded

    class NetworkConfig:
        port = Bounded(min_val=1, max_val=65535)
        timeout = Bounded(min_val=0, max_val=300)
        max_retries = Bounded(min_val=0, max_val=50)

        def __init__(self, port, timeout, max_retries):
            self.port = port
            self.timeout = timeout
            self.max_retries = max_retries

    config = NetworkConfig(port=8080, timeout=30, max_retries=3)
    with pytest.raises(ValueError) as caught:
        config.port = 99999
    assert str(caught.value) == "'_bounded_port' must be <= 65535, got 99999"
    with pytest.raises(ValueError) as caught:
        config.port = 0
    assert str(caught.value) == "'_bounded_port' must be >= 1, got 0"
    assert type(caught.value) is impl.ConstraintError
    assert (caught.value.name, caught.value.value) == ("port", 0)
    assert (config.port, config.timeout, config.max_retries) == (8080, 30, 3)
    assert vars(config) == {
        "_bounded_port": 8080,
        "_bounded_timeout": 30,
        "_bounded_max_retries": 3,
    }
    port = NetworkConfig.port
    assert (port.min_val, port.max_val, port.storage_name) == (1, 65535, "_bounded_port")
    with pytest.raises(ValueError):
        NetworkConfig(0, 0, 0)


def test_product(impl):
    Validated = impl.Validated

    class Product:
        price = Validated(min_val=0, max_val=10_000)
        quantity = Validated(min_val=0, max_val=1_000_000)

        def __init__(self, name: str, price: float, quantity: int):
            self.name = name
            self.price = price
            self.quantity = quantity

    p = Product("Widget", 29.99, 100)
    with pytest.raises(ValueError) as caught:
        Product("Bad", -5, 10)
    assert str(caught.value) == "price must be between 0 and 10000"
    with pytest.raises(TypeError) as wrong:
        p.price = "1"
    assert str(wrong.value) == "price must be a number"
    assert vars(p) == {"name": "Widget", "_price": 29.99, "_quantity": 100}
    price = Product.price
    assert (price.public_name, price.private_name) == ("price", "_price")
    assert (price.min_val, price.max_val) == (0, 10_000)
    assert (impl.Validated().min_val, impl.Validated().max_val) == (-INF, INF)


# ---- reading, writing, unsetting


def test_unset_and_deleted(impl, make):
    thing = make(impl.Bounded(0, 9))()
    assert thing.x is None
    with pytest.raises(AttributeError, match="_bounded_x"):
        del thing.x
    thing.x = 5
    assert thing.x == 5 and thing._bounded_x == 5
    del thing.x
    assert thing.x is None
    with pytest.raises(AttributeError, match="_bounded_x"):
        del thing.x
    with pytest.raises(ValueError):
        thing.x = 10
    assert thing.x is None
    thing.x = 3
    with pytest.raises(ValueError):
        thing.x = 10
    assert thing.x == 3


def test_every_instance_has_its_own(impl, make):
    cls = make(impl.Bounded(0, 9))
    things = [cls() for _ in range(5)]
    for i, thing in enumerate(things):
        thing.x = i
    assert [thing.x for thing in things] == [0, 1, 2, 3, 4]


def test_the_same_object_is_kept(impl, make):
    value = 10**30
    thing = make(impl.Bounded(0))()
    thing.x = value
    assert thing.x is value


def test_class_access(impl, make):
    descriptor = impl.Bounded(0, 9)
    cls = make(descriptor)
    assert cls.x is descriptor
    assert descriptor.__get__(None, cls) is descriptor
    assert inspect.isdatadescriptor(descriptor)


@pytest.mark.parametrize("low", [0, None, -1.5])
@pytest.mark.parametrize("high", [9, None, 9.5])
@pytest.mark.parametrize(
    "value", [0, 9, True, False, 5.25, -0.0, -1, 10, -1.75, 9.75, 1e308, INF, -INF, NAN, 10**400]
)
def test_verdicts(impl, make, low, high, value):
    thing = make(impl.Bounded(low, high))()
    passes = (low is None or value >= low) and (high is None or value <= high)
    if passes:
        thing.x = value
        assert thing.x is value
    else:
        relation = ">=" if low is not None and not value >= low else "<="
        with pytest.raises(impl.ConstraintError) as caught:
            thing.x = value
        bound = low if relation == ">=" else high
        # an int too long for str() is shown by nobody
        if not isinstance(value, int) or abs(value) < 10**300:
            text = f"'_bounded_x' must be {relation} {bound}, got {value}"
            assert str(caught.value) == text


@pytest.mark.parametrize(
    ("low", "high", "value", "passes"),
    [
        (2**53, 2**53 + 2, 2**53 + 1, True),
        (2**53 + 1, None, float(2**53), False),
        (None, 2**53 + 1, float(2**53 + 2), False),
        (10**30, 10**40, 10**35, True),
        (10**30, 10**40, 10**29, False),
        (-(2**62), 2**62, 2**61, True),
        (-(2**62), 2**62, 2**62 + 1, False),
        (1e19, None, 10**19, True),
        (1e19, None, 10**19 - 1, False),
        (None, -1e19, -(2**63), False),
        (0.5, 1.5, 1, True),
        (0.5, 0.75, 1, False),
        (0.5, 1.5, 0, False),
        (-0.5, 0.5, 0, True),
        (INF, None, 10**400, False),
        (-INF, INF, 10**400, True),
        (-INF, INF, INF, True),
    ],
)
def test_big_numbers(impl, make, low, high, value, passes):
    for descriptor, prefix in (
        (impl.Bounded(low, high), "_bounded_"),
        (
            impl.Validated(
                **{k: v for k, v in (("min_val", low), ("max_val", high)) if v is not None}
            ),
            "_",
        ),
    ):
        thing = make(descriptor, prefix)()
        if passes:
            thing.x = value
            assert thing.x is value
        else:
            with pytest.raises(impl.ConstraintError):
                thing.x = value


def test_nan_passes_without_a_bound(impl, make):
    thing = make(impl.Bounded())()
    thing.x = NAN
    assert math.isnan(thing.x)


@pytest.mark.parametrize(
    ("low", "high", "inside", "outside"),
    [
        (
            decimal.Decimal("0.1"),
            decimal.Decimal("0.3"),
            decimal.Decimal("0.2"),
            decimal.Decimal(1),
        ),
        (decimal.Decimal(1), None, 1.5, decimal.Decimal("NaN")),
        (fractions.Fraction(1, 3), None, 0.5, fractions.Fraction(1, 4)),
        (
            datetime.date(2024, 1, 1),
            datetime.date(2024, 12, 31),
            datetime.date(2024, 2, 29),
            datetime.date(2025, 1, 1),
        ),
        ("a", "m", "hello", "zebra"),
        ((1, 2), (3, 4), (2, 0), (9,)),
        (b"a", None, b"b", b"A"),
    ],
)
def test_any_ordered_type(impl, make, low, high, inside, outside):
    thing = make(impl.Bounded(low, high))()
    thing.x = inside
    assert thing.x is inside
    with pytest.raises(impl.ConstraintError, match="_bounded_x"):
        thing.x = outside
    assert thing.x is inside


class Half:
    """Has an order, but only the two relations the article asks for."""

    def __init__(self, n):
        self.n = n

    def __lt__(self, other):
        return self.n < other.n

    def __gt__(self, other):
        return self.n > other.n


def test_only_the_relations_of_the_article(impl, make):
    thing = make(impl.Bounded(Half(1), Half(3)))()
    thing.x = Half(2)
    with pytest.raises(ValueError):
        thing.x = Half(0)


class Loud:
    """Comparisons raise what they are told to."""

    def __init__(self, error):
        self.error = error

    def __lt__(self, other):
        raise self.error("loud")

    __gt__ = __le__ = __ge__ = __lt__


def test_incomparable(impl, make):
    thing = make(impl.Bounded(0, 9))()
    thing.x = 3
    for value in ("a", None, [], object(), 1j):
        with pytest.raises(
            TypeError, match="'_bounded_x' must be comparable with 0, got"
        ) as caught:
            thing.x = value
        assert isinstance(caught.value.__cause__, TypeError)
    assert thing.x == 3
    thing = make(impl.Bounded(None, 9))()
    with pytest.raises(TypeError, match="comparable with 9, got str 'a'"):
        thing.x = "a"


@pytest.mark.parametrize("error", [LookupError, MemoryError, KeyboardInterrupt])
def test_errors_of_comparing_go_through(impl, make, error):
    thing = make(impl.Bounded(0, 9))()
    with pytest.raises(error, match="loud"):
        thing.x = Loud(error)
    with pytest.raises(TypeError, match="comparable"):
        thing.x = Loud(TypeError)
    assert thing.x is None


@pytest.mark.parametrize("value", ["1", None, 1j, [1], decimal.Decimal(1), fractions.Fraction(1)])
def test_validated_wants_a_number(impl, make, value):
    thing = make(impl.Validated(min_val=0), "_")()
    with pytest.raises(TypeError, match="^x must be a number$"):
        thing.x = value
    assert thing.x is None


class Int(int):
    pass


class Float(float):
    pass


@pytest.mark.parametrize("value", [True, Int(5), Float(2.5), 0, 7.0])
def test_validated_takes_subclasses(impl, make, value):
    thing = make(impl.Validated(min_val=0, max_val=7), "_")()
    thing.x = value
    assert thing.x is value and thing._x is value
    for outside in (Int(8), Float(-1), NAN, INF, 8, -1):
        with pytest.raises(impl.ConstraintError, match="^x must be between 0 and 7$"):
            thing.x = outside
    assert thing.x is value


def test_validated_with_bounds_of_another_type(impl):
    class Thing:
        x = impl.Validated(min_val=decimal.Decimal(1), max_val=decimal.Decimal("2.5"))

    thing = Thing()
    thing.x = 2
    with pytest.raises(ValueError, match="x must be between 1 and 2.5"):
        thing.x = 3


# ---- declarations


@pytest.mark.parametrize("kind", ["Bounded", "Validated"])
def test_bad_bounds(impl, kind):
    make = getattr(impl, kind)
    with pytest.raises(ValueError, match=f"{kind}: min_val must be <= max_val, got 5 and 3"):
        make(min_val=5, max_val=3)
    with pytest.raises(ValueError, match=f"{kind}: min_val must be a bound, got nan"):
        make(min_val=NAN)
    with pytest.raises(ValueError, match=f"{kind}: max_val must be a bound, got nan"):
        make(max_val=NAN)
    with pytest.raises(
        TypeError, match=f"{kind}: min_val and max_val cannot be compared: 1 and 'a'"
    ):
        make(min_val=1, max_val="a")
    with pytest.raises(TypeError):
        make(1, 2, 3)
    with pytest.raises(TypeError):
        make(wrong=1)
    assert (make(min_val=3, max_val=3).min_val) == 3


def test_validated_takes_keywords_only(impl):
    with pytest.raises(TypeError):
        impl.Validated(1, 2)
    with pytest.raises(TypeError):
        impl.Validated(min_val=None)


def test_bounds_can_be_set(impl, make):
    descriptor = impl.Bounded(0, 9)
    thing = make(descriptor)()
    descriptor.max_val = 99
    thing.x = 50
    descriptor.max_val = None
    thing.x = 10**30
    descriptor.min_val, descriptor.max_val = 5, 5
    with pytest.raises(ValueError, match=">= 5"):
        thing.x = 4
    with pytest.raises(ValueError, match="min_val must be <= max_val"):
        descriptor.min_val = 6
    assert (descriptor.min_val, descriptor.max_val) == (5, 5)
    with pytest.raises(AttributeError):
        del descriptor.min_val


def _definition_error(define, match):
    """What a class statement raises; 3.11 wraps what __set_name__ does."""
    with pytest.raises((TypeError, RuntimeError)) as caught:
        define()
    error = caught.value
    if sys.version_info < (3, 12):
        assert isinstance(error, RuntimeError)
        error = error.__cause__
    assert isinstance(error, TypeError)
    assert match in str(error)


def test_one_descriptor_for_two_names(impl):
    def within():
        class Thing:
            x = y = impl.Bounded(0, 9)

    _definition_error(within, "cannot be both")

    shared = impl.Validated()

    class First:
        x = shared

    def other():
        class Second:
            y = shared

    _definition_error(other, "First.x and ")

    class Third:  # the same name is the same attribute
        x = shared

    one, two = First(), Third()
    one.x, two.x = 1, 2
    assert (one.x, two.x) == (1, 2)


def test_assigned_late(impl):
    class Thing:
        pass

    Thing.x = descriptor = impl.Bounded(0, 9)
    thing = Thing()
    for use in (lambda: thing.x, lambda: setattr(thing, "x", 1), lambda: delattr(thing, "x")):
        with pytest.raises(TypeError, match="Bounded: an attribute of 'Thing' has no name: it was"):
            use()
    for name in ("storage_name",):
        with pytest.raises(AttributeError):
            getattr(descriptor, name)
    descriptor.__set_name__(Thing, "x")
    thing.x = 5
    assert thing.x == 5 and descriptor.storage_name == "_bounded_x"
    with pytest.raises(ValueError, match="_bounded_x"):
        thing.x = 10
    for name in ("public_name", "private_name"):
        with pytest.raises(AttributeError):
            getattr(impl.Validated(), name)


@pytest.mark.parametrize("arguments", [(), (int,), (int, "x", 1), (5, "x"), (int, 5)])
def test_bad_set_name(impl, arguments):
    with pytest.raises(TypeError):
        impl.Bounded(0, 9).__set_name__(*arguments)


# ---- classes of all kinds


def test_inherited_and_overridden(impl, make):
    base = make(impl.Bounded(0, 9))

    class Child(base):
        pass

    class Stricter(base):
        x = impl.Bounded(0, 3)

    class Free(base):
        x = 5

    child, stricter = Child(), Stricter()
    child.x = 9
    with pytest.raises(ValueError):
        child.x = 10
    stricter.x = 3
    with pytest.raises(ValueError):
        stricter.x = 4
    assert (child.x, stricter.x, Free().x) == (9, 3, 5)
    base.x.__set__(stricter, 9)  # as super().x would
    assert stricter.x == 9


def test_slots_of_subclasses(impl):
    class Base:
        __slots__ = ()
        x = impl.Bounded(0, 9)

    class One(Base):
        __slots__ = ("a", "_bounded_x")

    class Two(Base):
        __slots__ = ("_bounded_x", "a", "b")

    class Three(One):
        __slots__ = ("_bounded_x",)

    class Dict(Base):
        pass

    things = [One(), Two(), Three(), Dict(), Base()]
    for _ in range(3):
        for i, thing in enumerate(things[:4]):
            thing.x = i
        assert [thing.x for thing in things] == [0, 1, 2, 3, None]
        assert [thing._bounded_x for thing in things[:4]] == [0, 1, 2, 3]
        with pytest.raises(AttributeError):
            things[4].x = 1
        for thing in things[:4]:
            del thing.x
            assert thing.x is None


def test_class_changed_meanwhile(impl):
    class Thing:
        __slots__ = ("_bounded_x", "other")
        x = impl.Bounded(0, 9)

    thing, member = Thing(), Thing._bounded_x
    for _ in range(3):
        thing.x = 5
        assert thing.x == 5
    Thing._bounded_x = property(lambda self: "property", lambda self, value: seen.append(value))
    seen = []
    thing.x = 6
    assert (thing.x, seen) == ("property", [6])
    Thing._bounded_x = member
    assert thing.x == 5
    Thing._bounded_x = Thing.other
    thing.x = 7
    assert (thing.x, thing.other) == (7, 7)
    del Thing._bounded_x
    assert thing.x is None
    with pytest.raises(AttributeError):
        thing.x = 8
    Thing.__getattr__ = lambda self, name: f"no {name}"
    assert thing.x == "no _bounded_x"


def test_a_class_attribute_of_the_private_name(impl):
    class Thing:
        _bounded_x = "default"
        x = impl.Bounded(0, 9)

    thing = Thing()
    assert thing.x == "default"
    thing.x = 5
    assert (thing.x, vars(thing)) == (5, {"_bounded_x": 5})


def test_class_of_an_instance_changed(impl):
    class One:
        __slots__ = ("_bounded_x", "_bounded_y")
        x, y = impl.Bounded(0, 9), impl.Bounded(0, 99)

    class Two(One):
        __slots__ = ()
        y = impl.Bounded(0, 9)

    thing = One()
    thing.x, thing.y = 1, 50
    thing.__class__ = Two
    assert (thing.x, thing.y) == (1, 50)
    with pytest.raises(ValueError):
        thing.y = 50


def test_with_setattr_and_getattr(impl):
    log = []

    class Thing:
        x = impl.Bounded(0, 9)

        def __setattr__(self, name, value):
            log.append(name)
            super().__setattr__(name, value)

        def __delattr__(self, name):
            log.append(f"del {name}")
            super().__delattr__(name)

        def __getattr__(self, name):
            log.append(f"get {name}")
            raise AttributeError(name)

    thing = Thing()
    assert thing.x is None
    thing.x = 5
    with pytest.raises(ValueError):
        thing.x = 10
    assert thing.x == 5
    del thing.x
    assert log == ["get _bounded_x", "x", "_bounded_x", "x", "del x", "del _bounded_x"]


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
def test_errors_of_getattr_go_through(impl, error):
    class Thing:
        x = impl.Bounded(0, 9)

        def __getattr__(self, name):
            raise error(name)

    with pytest.raises(error):
        Thing().x  # noqa: B018


def test_with_a_property_and_a_metaclass(impl):
    class Meta(abc.ABCMeta):
        def __getattribute__(cls, name):
            return super().__getattribute__(name)

    class Thing(metaclass=Meta):
        x = impl.Bounded(0, 9)

        @property
        def double(self):
            return self.x * 2

        @double.setter
        def double(self, value):
            self.x = value // 2

    thing = Thing()
    thing.double = 8
    assert (thing.x, thing.double, Thing.x.max_val) == (4, 8, 9)
    with pytest.raises(ValueError):
        thing.double = 40


def test_dataclass(impl):
    @dataclasses.dataclass
    class Config:
        port: int = impl.Bounded(1, 65535)
        name: str = "a"

    config = Config(8080)
    assert (config.port, repr(config)) == (8080, repr(config))
    assert "port=8080" in repr(config) and config == Config(8080)
    assert dataclasses.asdict(config) == {"port": 8080, "name": "a"}
    with pytest.raises(ValueError, match="'_bounded_port' must be >= 1, got 0"):
        Config(0)
    with pytest.raises(TypeError, match="'port' was given no value, and Bounded has no default"):
        Config()
    with pytest.raises(ValueError):
        dataclasses.replace(config, port=0)


def test_exception_and_dict_subclasses(impl):
    class Mapping(dict):
        x = impl.Bounded(0, 9)

    class Error(Exception):
        x = impl.Validated(min_val=0)

    one, two = Mapping(a=1), Error("a")
    one.x, two.x = 5, 6
    assert (one.x, one, two.x, two.args) == (5, {"a": 1}, 6, ("a",))


# ---- subclasses of the descriptors


def test_subclass(impl):
    class Whole(impl.Bounded):
        """Whole numbers."""

        def __init__(self, *args, unit=""):
            super().__init__(*args)
            self.unit = unit

        def __set__(self, obj, value):
            if value != int(value):
                raise ValueError(f"{self.storage_name} must be whole")
            super().__set__(obj, int(value))

        def __get__(self, obj, owner=None):
            got = super().__get__(obj, owner)
            return got if obj is None or got is None else f"{got}{self.unit}"

    class Thing:
        x = Whole(0, 9, unit="m")

    thing = Thing()
    assert thing.x is None and Thing.x.unit == "m"
    thing.x = 5.0
    assert (thing.x, vars(thing)) == ("5m", {"_bounded_x": 5})
    with pytest.raises(ValueError, match="whole"):
        thing.x = 5.5
    with pytest.raises(ValueError, match="<= 9"):
        thing.x = 10
    assert repr(Thing.x) == "Whole(min_val=0, max_val=9)"


def test_subclass_that_forgets_its_base(impl):
    class Any(impl.Bounded):
        def __init__(self):
            pass

    class Thing:
        x = Any()

    if impl.__name__ == "ferrule.validation":  # no bounds until __init__ sets them
        thing = Thing()
        thing.x = "anything"
        assert thing.x == "anything"


# ---- copies


class Owner:
    """Found again by pickle."""


def _owners(impl):
    class Holder:
        port = impl.Bounded(1, 65535)
        price = impl.Validated(min_val=0)

    Holder.__qualname__ = "Owner"
    Holder.__module__ = __name__
    return Holder


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_owners_are_pickled_and_copied(impl, monkeypatch, protocol):
    Holder = _owners(impl)
    monkeypatch.setitem(globals(), "Owner", Holder)
    one = Holder()
    one.port, one.price = 80, 1.5
    for other in (pickle.loads(pickle.dumps(one, protocol)), copy.copy(one), copy.deepcopy(one)):
        assert vars(other) == {"_bounded_port": 80, "_price": 1.5}
        assert (other.port, other.price) == (80, 1.5)


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy]
    + [
        lambda one, p=p: pickle.loads(pickle.dumps(one, p))
        for p in range(pickle.HIGHEST_PROTOCOL + 1)
    ],
)
def test_descriptors_are_pickled_and_copied(impl, again):
    class Holder:
        port = impl.Bounded(1, 65535)
        price = impl.Validated(max_val=5)

    port, price, free = again(Holder.port), again(Holder.price), again(impl.Bounded(None, "z"))
    assert type(port) is impl.Bounded and type(price) is impl.Validated
    assert (port.min_val, port.max_val, port.storage_name) == (1, 65535, "_bounded_port")
    assert (price.min_val, price.max_val, price.public_name) == (-INF, 5, "price")
    assert (free.min_val, free.max_val) == (None, "z")
    with pytest.raises(AttributeError):
        free.storage_name  # noqa: B018

    class Second:  # a copy is free to be another attribute
        other = port

    assert Second.other.storage_name == "_bounded_other"
    second = Second()
    second.other = 5
    assert second.other == 5


def test_copies_of_subclasses(impl):
    class Named(impl.Bounded):
        pass

    one = Named(0, 9)
    one.label = ["a"]
    shallow, deep = copy.copy(one), copy.deepcopy(one)
    assert type(shallow) is Named and shallow.label is one.label
    assert deep.label == one.label and deep.label is not one.label


@pytest.mark.parametrize("state", [5, None, "abcd"])
def test_bad_state(impl, state):
    with pytest.raises(TypeError):
        impl.Bounded().__setstate__(state)


# ---- lifetime that both implementations share


def test_collected(impl):
    def make():
        class Thing:
            x = impl.Bounded()

        Thing.x.max_val = max_val = Half(1)
        max_val.owner = Thing
        return weakref.ref(Thing)

    ref = make()
    gc.collect()
    assert ref() is None


def test_comparing_changes_everything(impl):
    """A comparison sets the bounds, deletes the attribute and the class's descriptor."""

    class Thing:
        x = impl.Bounded(Half(1), Half(5))

    class Wild(Half):
        def __lt__(self, other):
            descriptor = vars(Thing).get("x")
            if descriptor is not None:
                descriptor.min_val = descriptor.max_val = None
                del Thing.x
            thing.__dict__.clear()
            return super().__lt__(other)

    thing = Thing()
    thing.x = Half(2)
    thing.x = Wild(3)
    assert [value.n for value in vars(thing).values()] == [3]


def test_signatures(impl):
    assert str(inspect.signature(impl.Bounded)).replace(": 'Any'", "").replace(" = ", "=") in (
        "(min_val=None, max_val=None)",
        "(min_val=None, max_val=None) -> 'None'",
    )
    parameters = inspect.signature(impl.Validated).parameters
    assert [p.kind for p in parameters.values()] == [inspect.Parameter.KEYWORD_ONLY] * 2
    assert [p.default for p in parameters.values()] == [-INF, INF]
    assert impl.Bounded.__doc__ and impl.Validated.__doc__


# ---- what cannot be compared


def test_signalling_nan(impl, make):
    thing = make(impl.Bounded(1, 10))()
    with pytest.raises(impl.ConstraintError, match="^'_bounded_x' must be >= 1, got sNaN$"):
        thing.x = decimal.Decimal("sNaN")
    assert thing.x is None
    for bounds in ({"min_val": decimal.Decimal("sNaN")}, {"max_val": decimal.Decimal("sNaN")}):
        for kind in (impl.Bounded, impl.Validated):
            with pytest.raises(ValueError, match=r"got Decimal\('sNaN'\), which nothing passes$"):
                kind(**bounds)


@pytest.mark.parametrize("raised", [ValueError, TypeError, LookupError, RecursionError])
@pytest.mark.parametrize("method", ["__eq__", "__gt__", "__bool__"])
def test_comparison_raises(impl, make, raised, method):
    """As a NumPy array does, whose truth is ambiguous."""

    class Value:
        def __lt__(self, other):
            return False

        def __eq__(self, other):
            return self if method == "__bool__" else True

        __hash__ = None

    def fail(self, *other):
        raise raised("ambiguous")

    setattr(Value, method, fail)
    thing = make(impl.Bounded(1, 10))()
    mine = issubclass(raised, (ValueError, TypeError))
    with pytest.raises(TypeError if mine else raised) as caught:
        thing.x = Value()
    if mine:
        bound = 10 if method == "__gt__" else 1
        expected = f"'_bounded_x' must be comparable with {bound}, got Value <"
        assert str(caught.value).startswith(expected)
        assert type(caught.value.__cause__) is raised
    else:
        assert str(caught.value) == "ambiguous"
    assert thing.x is None


def test_bound_without_truth(impl):
    class Bound:
        def __eq__(self, other):
            raise ValueError("ambiguous")

        __hash__ = None

        def __repr__(self):
            return "BOUND"

    expected = "^Bounded: max_val must be a bound, got BOUND, which cannot be compared$"
    with pytest.raises(TypeError, match=expected) as caught:
        impl.Bounded(max_val=Bound())
    assert type(caught.value.__cause__) is ValueError


def test_get_without_anything(impl):
    descriptor = impl.Bounded(1, 10)
    with pytest.raises(TypeError, match=r"__get__\(None, None\) is invalid"):
        descriptor.__get__(None, None)
    assert descriptor.__get__(None, int) is descriptor


# ---- sensitive attributes


Pin = Annotated[int, "sensitive_data"]


def annotated(impl, annotation, descriptor):
    body = {"__annotations__": {"pin": annotation}, "pin": descriptor, "__module__": __name__}
    return type("Thing", (), body)


SECRETS = ["hunter2", 987654]


def check_hidden(error):
    shown = [str(error), repr(error), repr(error.args), repr(getattr(error, "value", None))]
    assert not any(str(secret) in text for text in shown for secret in SECRETS)
    assert error.__cause__ is None and error.__context__ is None


@pytest.mark.parametrize(
    "annotation",
    [
        lambda impl: Annotated[int, impl.Sensitive],
        lambda impl: Annotated[int, "sensitive_data"],
        lambda impl: Annotated[int, impl.Ge(1), "sensitive_data"] | None,
        lambda impl: list[Annotated[int, impl.Sensitive]],
        lambda impl: "Annotated[int, Sensitive]",
        lambda impl: "Annotated[nowhere, 'sensitive_data']",
        lambda impl: "Pin",
        lambda impl: "Pin | None",
    ],
    ids=range(8),
)
def test_sensitive(impl, annotation):
    cls = annotated(impl, annotation(impl), impl.Bounded(1, 9999))
    for _ in range(2):
        thing = cls()
        with pytest.raises(
            impl.ConstraintError, match="^'_bounded_pin' must be <= 9999$"
        ) as caught:
            thing.pin = SECRETS[1]
        check_hidden(caught.value)
        assert (caught.value.name, caught.value.value) == ("pin", None)
        expected = "^'_bounded_pin' must be comparable with 1, got str$"
        with pytest.raises(TypeError, match=expected) as wrong:
            thing.pin = SECRETS[0]
        check_hidden(wrong.value)
        assert thing.pin is None


def test_sensitive_validated(impl):
    cls = annotated(impl, Pin, impl.Validated(min_val=1, max_val=9999))
    with pytest.raises(impl.ConstraintError, match="^pin must be between 1 and 9999$") as caught:
        cls().pin = SECRETS[1]
    check_hidden(caught.value)
    assert caught.value.value is None


@pytest.mark.parametrize("annotation", [int, Annotated[int, "min_len:1"], "int", "nowhere", 5, "("])
def test_not_sensitive(impl, annotation):
    cls = annotated(impl, annotation, impl.Bounded(1, 9999))
    for _ in range(2):
        with pytest.raises(impl.ConstraintError, match="<= 9999, got 987654$") as caught:
            cls().pin = 987654
        assert caught.value.value == 987654


def test_sensitive_by_class(impl):
    """The first class of the MRO that annotates the name decides, and may change its mind."""
    base = annotated(impl, int, impl.Bounded(1, 9999))
    sub = type("Sub", (base,), {"__annotations__": {"pin": Pin}})
    again = type("Again", (sub,), {"__annotations__": {"pin": int}})
    for _ in range(3):
        for cls, value in ((base, 987654), (sub, None), (again, 987654)):
            with pytest.raises(impl.ConstraintError) as caught:
                cls().pin = 987654
            assert caught.value.value == value
    base.__annotations__ = {"pin": Pin}
    base.changed = True
    with pytest.raises(impl.ConstraintError) as caught:
        base().pin = 987654
    assert caught.value.value is None


def test_sensitive_dataclass(impl):
    Bounded = impl.Bounded

    @dataclasses.dataclass
    class Account:
        pin: Annotated[int, "sensitive_data"] = Bounded(1, 9999)

    with pytest.raises(impl.ConstraintError) as caught:
        Account(987654)
    check_hidden(caught.value)
    assert Account(5).pin == 5


class Shouts(Exception):
    pass


def test_annotation_that_raises(impl):
    class Mark:
        def __eq__(self, other):
            raise Shouts

        def __hash__(self):
            raise Shouts

        def __repr__(self):
            raise Shouts

    cls = annotated(impl, Mark(), impl.Bounded(1, 9999))
    with pytest.raises(ValueError):
        cls().pin = 987654
