"""Finalizable: __finalize__ runs once, whoever asks first."""

import abc
import copy
import dataclasses
import gc
import pickle
import sys
import weakref

import pytest


@pytest.fixture
def unraisable(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append(args.exc_type))
    return seen


def test_finalize_runs_it_once_and_gives_its_result(impl):
    seen = []

    class Thing(impl.Finalizable):
        def __finalize__(self):
            seen.append(self.alive)
            return 42

    thing = Thing()
    assert (thing.alive, thing.atexit, thing.inherit) == (True, True, False)
    assert thing.finalize() == 42
    assert thing.finalize() is None
    assert (thing.alive, thing.atexit, thing.inherit) == (False,) * 3
    del thing
    assert seen == [False]


def test_it_runs_at_death(impl):
    seen = []

    class Thing(impl.Finalizable):
        def __init__(self, name, *, loud=True):
            self.name = name

        def __finalize__(self):
            seen.append(self.name)

    thing = Thing("a", loud=False)
    del thing
    assert seen == ["a"]
    for name in "bcd":
        thing = Thing(name)
        thing.me = thing
        del thing
    gc.collect()
    assert sorted(seen) == ["a", "b", "c", "d"]


def test_with_slots(impl):
    seen = []

    class Bare(impl.Finalizable):
        __slots__ = ()

        def __finalize__(self):
            seen.append("bare")

    class Slots(impl.Finalizable):
        __slots__ = ("x", "other")

        def __finalize__(self):
            seen.append(self.x)

    class More(Slots):
        __slots__ = ("y", "__weakref__") if impl.__name__ == "ferrule.lifetime" else ("y",)

    Bare()
    slots = Slots()
    slots.x = 1
    slots.other = slots
    more = More()
    more.x, more.y = 2, 3
    ref = weakref.ref(more)
    del slots, more
    gc.collect()
    assert ref() is None
    assert sorted(seen, key=str) == [1, 2, "bare"]


def test_the_base_itself(impl):
    thing = impl.Finalizable()
    assert thing.alive
    assert thing.__finalize__() is None and thing.alive
    assert thing.finalize() is None and not thing.alive
    with pytest.raises(TypeError, match="takes no arguments"):
        impl.Finalizable(1)
    with pytest.raises(TypeError, match="takes no arguments"):
        impl.Finalizable(x=1)


def test_super_finalize(impl):
    seen = []

    class Base(impl.Finalizable):
        def __finalize__(self):
            seen.append("base")
            return super().__finalize__()

    class Derived(Base):
        def __finalize__(self):
            seen.append("derived")
            super().__finalize__()

    Derived()
    assert seen == ["derived", "base"]


def test_multiple_inheritance(impl):
    seen = []

    class Left(impl.Finalizable):
        def __finalize__(self):
            seen.append("left")
            super().__finalize__()

    class Right(impl.Finalizable):
        def __finalize__(self):
            seen.append("right")
            super().__finalize__()

    class Mixin:
        def __init_subclass__(cls, **options):
            seen.append(options)

    class Both(Left, Right, Mixin, tag=1):
        pass

    class First(Mixin, Left, tag=2):
        pass

    Both()
    First()
    assert seen == [{"tag": 1}, {"tag": 2}, "left", "right", "left"]


def test_options_that_nobody_wants(impl):
    with pytest.raises(TypeError):

        class Thing(impl.Finalizable, tag=1):
            pass


def test_abstract_classes(impl):
    seen = []

    class Abstract(impl.Finalizable, abc.ABC):
        @abc.abstractmethod
        def name(self): ...

        def __finalize__(self):
            seen.append(self.name())

    class Concrete(Abstract):
        def name(self):
            return "x"

    with pytest.raises(TypeError, match="abstract"):
        Abstract()
    Concrete()
    assert seen == ["x"]


def test_dataclasses(impl):
    seen = []

    @dataclasses.dataclass
    class Plain(impl.Finalizable):
        x: int

        def __finalize__(self):
            seen.append(self.x)

    @dataclasses.dataclass(slots=True, frozen=True)
    class Slots(Plain if False else impl.Finalizable):
        __finalize__ = Plain.__finalize__
        x: int

    assert Plain(1) == Plain(1)
    assert sorted(seen) == [1, 1]
    if impl.__name__ == "ferrule.lifetime":  # the twin has attributes of its own to set
        Slots(2)
        assert seen == [1, 1, 2]


def test_resurrection(impl):
    kept = []

    class Phoenix(impl.Finalizable):
        def __finalize__(self):
            kept.append(self)

    Phoenix()
    thing = Phoenix()
    thing.me = thing
    ref = weakref.ref(thing)
    del thing
    gc.collect()
    assert len(kept) == 2
    assert not any(thing.alive for thing in kept)
    refs = [weakref.ref(thing) for thing in kept]
    del kept[:]
    gc.collect()
    assert kept == []
    assert [ref() for ref in [*refs, ref]] == [None] * 3


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_exceptions(impl, unraisable, error):
    class Bad(impl.Finalizable):
        def __finalize__(self):
            raise error

    thing = Bad()
    with pytest.raises(error):
        thing.finalize()
    assert not thing.alive
    del thing
    assert unraisable == []
    Bad()
    thing = Bad()
    thing.me = thing
    del thing
    gc.collect()
    assert unraisable == [error, error]


def test_a_finalize_that_is_no_method(impl, unraisable):
    class Odd(impl.Finalizable):
        __finalize__ = None

    with pytest.raises(TypeError):
        Odd().finalize()
    Odd()
    assert unraisable == [TypeError]


def test_del_is_refused(impl):
    class Mixin:
        def __del__(self):
            pass

    with pytest.raises(TypeError, match="Thing has a __del__; what it does belongs into"):

        class Thing(impl.Finalizable):
            def __del__(self):
                pass

    with pytest.raises(TypeError, match="has a __del__"):

        class Before(Mixin, impl.Finalizable):
            pass

    with pytest.raises(TypeError, match="has a __del__"):

        class Behind(impl.Finalizable, Mixin):
            pass


def test_a_del_set_later_is_reported(native, unraisable):
    seen = []

    class Thing(native.Finalizable):
        def __finalize__(self):
            seen.append("finalize")

    Thing.__del__ = lambda self: seen.append("del")
    Thing()
    assert seen == ["del"]
    assert unraisable == [RuntimeError]
    del Thing.__del__
    Thing()
    assert seen == ["del", "finalize"]


def test_calling_the_slot_by_hand_is_once_too(native):
    seen = []

    class Thing(native.Finalizable):
        def __finalize__(self):
            seen.append(1)

    thing = Thing()
    thing.__del__()
    thing.__del__()
    del thing
    assert seen == [1]


def test_new_and_init_of_ones_own(impl):
    seen = []

    class New(impl.Finalizable):
        def __new__(cls, x):
            self = super().__new__(cls)
            self.x = x
            return self

        def __finalize__(self):
            seen.append(self.x)

    class Fails(impl.Finalizable):
        def __init__(self):
            raise ValueError

        def __finalize__(self):
            seen.append("half made")

    New(1)
    with pytest.raises(ValueError):
        Fails()
    gc.collect()
    assert seen == [1, "half made"]


def test_flags(impl):
    thing = impl.Finalizable()
    thing.atexit, thing.inherit = 0, "x"
    assert (thing.atexit, thing.inherit) == (False, True)
    for name in ("atexit", "inherit", "alive"):
        with pytest.raises(AttributeError):
            delattr(thing, name)
    with pytest.raises(AttributeError):
        thing.alive = True
    thing.finalize()
    thing.atexit = True
    assert not thing.atexit


def test_it_sees_and_ends_others(impl):
    seen = []

    class Node(impl.Finalizable):
        def __init__(self, name, other=None):
            self.name, self.other = name, other

        def __finalize__(self):
            seen.append(self.name)
            if self.other is not None:
                self.other.finalize()
                Node(self.name * 2)

    a = Node("a")
    b = Node("b", a)
    a.other = b
    del a, b
    gc.collect()
    assert sorted(seen) == ["a", "aa", "b", "bb"]


def test_both_kinds_on_one_object(impl):
    seen = []

    class Thing(impl.Finalizable):
        def __finalize__(self):
            seen.append("own")

    thing = Thing()
    f = impl.finalize(thing, seen.append, "beside")
    del thing
    assert sorted(seen) == ["beside", "own"]
    assert not f.alive


def test_a_resource_is_not_copied(native):
    class Thing(native.Finalizable):
        pass

    for copier in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            copier(Thing())


def test_long_chains(impl):
    seen = []

    class Link(impl.Finalizable):
        def __init__(self, following):
            self.following = following

        def __finalize__(self):
            seen.append(1)

    chain = None
    for _ in range(50_000):
        chain = Link(chain)
    del chain
    assert len(seen) == 50_000


def test_classes_come_and_go(impl):
    def make():
        class Local(impl.Finalizable):
            def __finalize__(self):
                seen.append(1)

        thing = Local()
        thing.me = thing
        return weakref.ref(Local)

    seen = []
    refs = [make() for _ in range(10)]
    gc.collect()
    assert [ref() for ref in refs] == [None] * 10
    assert len(seen) == 10
