"""User code that runs in the middle of an operation and pulls the record from under it."""

import contextlib
import copy
import functools
import gc
import pickle
import sys

import pytest


def one(impl, **options):
    class One(impl.Record, **options):
        x: object
        y: object = None

    return One


def spoil(made):
    """Delete and replace what the running operation may still hold a pointer to."""
    for name in ("x", "y"):
        with contextlib.suppress(AttributeError):
            delattr(made, name)
    gc.collect()
    made.y = [bytearray(100) for _ in range(10)]


class Spoiler:
    """Spoils a record from whatever method the operation under test calls."""

    def __init__(self):
        self.target = None

    def _spoil(self):
        if self.target is not None:
            spoil(self.target)

    def __eq__(self, other):
        self._spoil()
        return True

    def __hash__(self):
        self._spoil()
        return 1

    def __repr__(self):
        self._spoil()
        return "spoiled"

    def __lt__(self, other):
        self._spoil()
        return False

    __gt__ = __le__ = __ge__ = __lt__

    def __deepcopy__(self, memo):
        self._spoil()
        return self

    def __reduce__(self):
        self._spoil()
        return (int, ())

    def __index__(self):
        self._spoil()
        return 7

    def __float__(self):
        self._spoil()
        return 7.0


OPERATIONS = {
    "eq": lambda impl, a, b: a == b,
    "ne": lambda impl, a, b: a != b,
    "lt": lambda impl, a, b: a < b,
    "hash": lambda impl, a, b: hash(a),
    "repr": lambda impl, a, b: repr(a),
    "asdict": lambda impl, a, b: impl.asdict(a),
    "astuple": lambda impl, a, b: impl.astuple(a),
    "deepcopy": lambda impl, a, b: copy.deepcopy(a),
    "pickle": lambda impl, a, b: pickle.dumps(a),
    "replace": lambda impl, a, b: impl.replace(a),
}


@pytest.mark.parametrize("victim", ["left", "right", "both"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_methods_of_values_may_spoil_the_record(impl, operation, victim):
    cls = one(impl, order=True, unsafe_hash=True)
    for position in ("x", "y"):
        spoiler, other = Spoiler(), Spoiler()
        a, b = (cls(spoiler, [1]), cls(other, [1])) if position == "x" else (
            cls((1,), spoiler), cls((1,), other)
        )  # fmt: skip
        spoiler.target = a if victim != "right" else b
        other.target = b if victim != "left" else a
        del spoiler, other
        with contextlib.suppress(AttributeError, TypeError, pickle.PicklingError):
            OPERATIONS[operation](impl, a, b)
        assert a.y is not None and type(a) is cls


@pytest.mark.parametrize("kind", ["i64", "f64", "f32", "u8"])
def test_conversion_methods_may_change_the_record(impl, kind):
    class C(impl.Record):
        x: getattr(impl, kind)
        y: object = None

    made = C(1, [1])

    class Changing(Spoiler):
        def _spoil(self):
            made.x = 3
            made.y = None

    made.x = Changing()
    assert made.x == 7 and made.y is None


def test_conversion_methods_may_change_the_arguments_of_the_call(impl):
    class C(impl.Record):
        a: impl.i64
        b: object
        c: impl.f64

    values = [None, object(), 2.0]
    keywords = {}

    class Changing:
        def __index__(self):
            values.clear()
            keywords.clear()
            gc.collect()
            return 5

    values[0] = Changing()
    made = C(*values)
    assert made.a == 5 and made.c == 2.0
    keywords.update(a=Changing(), b=object(), c=2.0)
    made = C(**keywords)
    assert made.a == 5 and type(made.b) is object


def test_conversion_methods_may_replace_init_and_the_class_attributes(impl):
    class C(impl.Record):
        a: impl.i64
        b: object

    class Changing:
        def __index__(self):
            C.__init__ = lambda self, *args: None
            C.a = property(lambda self: "changed")
            return 5

    made = C(Changing(), "b")
    assert type(made) is C
    assert C(1, 2).a == "changed"


def test_the_old_value_is_released_after_the_new_one_is_in_place(impl):
    cls = one(impl)
    seen = []

    class Loud:
        def __del__(self):
            seen.append(made.x)

    made = cls(Loud())
    made.x = "new"
    assert seen == ["new"]
    made.x = Loud()
    made.x = Loud()
    assert isinstance(seen[1], Loud)
    made = cls(None)


def test_deleting_a_field_whose_value_looks_at_the_record(impl):
    seen = []

    class Loud:
        def __del__(self):
            seen.append(hasattr(made, "x"))

    made = one(impl)(Loud())
    del made.x
    assert seen == [False]


def test_a_value_that_sets_the_field_again_while_it_is_released(impl):
    class Again:
        def __init__(self, times):
            self.times = times

        def __del__(self):
            if self.times:
                made.x = Again(self.times - 1)

    made = one(impl)(Again(3))
    made.x = None
    assert made.x is None or isinstance(made.x, Again)
    made.x = None


def test_post_init_may_delete_and_replace_fields(impl):
    class C(impl.Record):
        x: object
        y: impl.i64

        def __post_init__(self):
            del self.x
            self.y += 1
            gc.collect()

    made = C([1], 2)
    assert not hasattr(made, "x") and made.y == 3


def test_post_init_may_call_init_again(impl):
    class C(impl.Record):
        x: impl.i64
        y: object = None

        def __post_init__(self):
            if self.x < 5:
                self.__init__(self.x + 1, [self.y])

    assert C(0).x == 5


def test_frozen_post_init_may_call_init_again_and_stays_safe(impl):
    class C(impl.Record, frozen=True):
        x: impl.i64

        def __post_init__(self):
            if self.x < 3:
                self.__init__(self.x + 1)

    made = C(0)
    assert made.x == 3
    with pytest.raises(impl.FrozenInstanceError):
        made.x = 9


def test_post_init_that_deletes_itself_from_the_class(impl):
    class C(impl.Record):
        x: impl.i64

        def __post_init__(self):
            del C.__post_init__
            self.x += 1

    assert C(1).x == 2


def test_default_factories_may_create_records_of_the_same_class(impl):
    depth = []

    class C(impl.Record):
        x: object = impl.field(default_factory=lambda: make())
        y: impl.i64 = 0

    def make():
        depth.append(1)
        return C() if len(depth) < 5 else None

    made = C()
    for _ in range(4):
        made = made.x
    assert made.x is None


def test_default_factories_that_never_end_give_recursion_error(impl):
    class C(impl.Record):
        x: object = impl.field(default_factory=lambda: C())

    with pytest.raises(RecursionError):
        C()


@pytest.mark.parametrize("collector", [True, False])
def test_resurrection_in_del_keeps_the_record_whole(impl, collector):
    kept = []

    class C(impl.Record, gc=collector):
        x: impl.i64
        y: object

        def __del__(self):
            kept.append(self)

    for i in range(10):
        C(i, [i])
    assert [(made.x, made.y) for made in kept] == [(i, [i]) for i in range(10)]
    first = kept.pop(0)
    kept.clear()
    assert impl.astuple(first) == (0, [0])
    assert [C(i, i).x for i in range(3)] == [0, 1, 2]
    del C.__del__  # without a collector header it would run, and resurrect, again
    del first
    kept.clear()


def test_resurrected_records_are_not_handed_out_again(impl):
    kept = []

    class C(impl.Record):
        x: impl.i64

        def __del__(self):
            if self.x == 1:
                kept.append(self)

    C(1)
    others = [C(i) for i in range(10, 60)]
    assert kept[0].x == 1 and all(other is not kept[0] for other in others)
    kept.clear()


def test_del_that_raises_is_reported_and_the_record_is_gone(impl):
    class C(impl.Record):
        x: object

        def __del__(self):
            raise RuntimeError("in del")

    messages = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda seen: messages.append(str(seen.exc_value))
    try:
        C([1])
    finally:
        sys.unraisablehook = hook
    assert messages == ["in del"]


def test_del_runs_once_in_a_collected_cycle(impl):
    calls = []

    class C(impl.Record, weakref=True):
        x: object
        y: impl.i64 = 0

        def __del__(self):
            calls.append(self.y)

    made = C(None, 5)
    made.x = made
    del made
    gc.collect()
    assert calls == [5]


def test_repr_that_prints_the_record_from_inside_ends(impl):
    class Inside:
        def __repr__(self):
            return f"<{made!r}>"

    made = one(impl)(Inside())
    assert repr(made).endswith("One(x=<...>, y=None)")


@pytest.mark.parametrize("operation", ["eq", "hash", "asdict", "astuple"])
def test_endless_recursion_through_records_is_a_recursion_error(impl, operation):
    cls = one(impl, unsafe_hash=True)
    a, b = cls(None), cls(None)
    a.x, b.x = a, b
    with pytest.raises(RecursionError):
        OPERATIONS[operation](impl, a, b)
    a.x = b.x = None
    assert a == b


def test_a_record_that_holds_itself_equals_itself(impl):
    made = one(impl)(None)
    made.x = made
    assert made == made and not made != made and made in [made]
    made.x = None


def test_eq_that_raises_comes_through(impl):
    class Bad:
        def __eq__(self, other):
            raise KeyError("eq")

        __hash__ = None

    cls = one(impl)
    with pytest.raises(KeyError, match="eq"):
        cls(Bad()) == cls(Bad())  # noqa: B015
    assert cls(bad := Bad()) == cls(bad)


def test_eq_whose_result_has_no_truth_value(impl):
    class Vague:
        def __eq__(self, other):
            return self

        def __bool__(self):
            raise ValueError("vague")

        __hash__ = None

    cls = one(impl)
    with pytest.raises(ValueError, match="vague"):
        cls(Vague()) == cls(Vague())  # noqa: B015


def test_init_subclass_may_create_and_drop_subclasses(impl):
    class Base(impl.Record):
        def __init_subclass__(cls, **keywords):
            super().__init_subclass__(**keywords)
            if len(cls.__name__) < 4:
                type(impl.Record)(cls.__name__ + "x", (cls,), {"__module__": __name__})
            gc.collect()

    class C(Base):
        x: impl.i64
        y: object = None

    assert C(1).x == 1


def test_cached_property_that_deletes_the_cache_or_recurses(impl):
    class C(impl.Record):
        x: impl.i64

        @functools.cached_property
        def value(self):
            self.x += 1
            return self.value if self.x < 5 else self.x

    made = C(0)
    assert made.value == 5 and made.value == 5
