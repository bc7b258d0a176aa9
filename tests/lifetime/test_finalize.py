"""finalize: called, at death, detached; what it refuses; and clean-ups that meddle."""

import contextlib
import functools
import gc
import sys
import threading
import types
import weakref

import pytest


class A:
    def method(self, *_):
        return None

    @classmethod
    def of_class(cls):
        return None


class Slots:
    __slots__ = ()


def nothing(*_args, **_kwargs):
    return None


@pytest.fixture
def unraisable(monkeypatch):
    """What sys.unraisablehook was given."""
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append((args.exc_type, args)))
    yield seen
    seen.clear()


def types_of(unraisable):
    return [kind for kind, _ in unraisable]


# ---- the life of one


def test_a_call_runs_it_once_and_gives_its_result(impl):
    obj, seen = A(), []

    def add(*args, **kwargs):
        seen.append((args, kwargs))
        return 42

    f = impl.finalize(obj, add, 1, 2, x=3)
    assert f.alive
    assert f.peek() == (obj, add, (1, 2), {"x": 3})
    assert f() == 42
    assert seen == [((1, 2), {"x": 3})]
    assert (f(), f.alive, f.peek(), f.detach()) == (None, False, None, None)
    del obj
    assert len(seen) == 1


def test_it_runs_when_its_object_dies(impl):
    seen = []
    obj = A()
    f = impl.finalize(obj, seen.append, "gone")
    assert f.alive
    del obj
    assert seen == ["gone"]
    assert not f.alive
    assert f() is None


def test_nobody_has_to_keep_the_finalizer(impl):
    seen = []
    obj = A()
    impl.finalize(obj, seen.append, 1)
    gc.collect()
    assert seen == []
    del obj
    assert seen == [1]


def test_it_runs_when_its_object_dies_in_a_cycle(impl):
    seen = []
    for i in range(3):
        obj = A()
        obj.me = obj
        impl.finalize(obj, seen.append, i)
        kept = impl.finalize(obj, seen.append, -i, **{})
        del obj
        gc.collect()
        assert not kept.alive
    assert sorted(seen) == [-2, -1, 0, 0, 1, 2]


def test_one_in_the_cycle_of_its_object_runs_too(impl):
    seen = []
    obj = A()
    obj.own = impl.finalize(obj, seen.append, 1)
    obj.done = impl.finalize(obj, seen.append, 2)
    obj.done()
    del obj
    gc.collect()
    assert seen == [2, 1]


def test_many_die_in_one_collection(impl):
    seen = []
    for i in range(500):  # more than any free list keeps
        obj = A()
        obj.me = obj
        impl.finalize(obj, seen.append, i)
    del obj
    gc.collect()
    assert sorted(seen) == list(range(500))
    again = [impl.finalize(sys.modules[__name__], nothing) for _ in range(500)]
    assert all(f.alive for f in again)
    assert all(f.detach() for f in again)


def test_what_was_detached_does_not_run(impl):
    seen = []
    obj = A()
    f = impl.finalize(obj, seen.append, 1)
    assert f.detach() == (obj, seen.append, (1,), {})
    assert not f.alive
    del obj
    assert (seen, f()) == ([], None)


def test_the_youngest_of_an_object_runs_first(impl):
    seen = []
    obj = A()
    for i in range(5):
        impl.finalize(obj, seen.append, i)
    del obj
    assert seen == [4, 3, 2, 1, 0]


def test_what_it_holds_goes_with_it(impl):
    def callback(_):
        return None

    argument, named = A(), A()
    refs = [weakref.ref(thing) for thing in (callback, argument, named)]
    for end in ("call", "detach", "die"):
        obj = A()
        f = impl.finalize(obj, functools.partial(callback), argument)
        g = impl.finalize(obj, nothing, x=named)
        if end == "die":
            del obj
        else:
            for one in (f, g):
                one() if end == "call" else one.detach()
        del f
    del callback, argument, named
    assert [ref() for ref in refs] == [None] * 3
    assert not g.alive


def test_the_flags(impl):
    obj = A()
    f = impl.finalize(obj, nothing)
    assert (f.atexit, f.inherit) == (True, False)
    f.atexit, f.inherit = [], [1]
    assert (f.atexit, f.inherit) == (False, True)
    f.atexit = 1
    assert (f.atexit, f.inherit) == (True, True)
    f()
    assert (f.atexit, f.inherit) == (False, False)
    f.atexit = f.inherit = True
    assert (f.atexit, f.inherit) == (False, False)


def test_flags_cannot_be_deleted_nor_alive_be_set(impl):
    f = impl.finalize(A, nothing)
    for change in (
        lambda: delattr(f, "atexit"),
        lambda: delattr(f, "inherit"),
        lambda: delattr(f, "alive"),
        lambda: setattr(f, "alive", True),
    ):
        with pytest.raises(AttributeError):
            change()
    assert (f.alive, f.atexit, f.inherit) == (True, True, False)
    f.detach()


def test_a_flag_whose_truth_raises_stays(impl):
    class Undecided:
        def __bool__(self):
            raise ZeroDivisionError

    f = impl.finalize(A, nothing)
    for name in ("atexit", "inherit"):
        before = getattr(f, name)
        with pytest.raises(ZeroDivisionError):
            setattr(f, name, Undecided())
        assert getattr(f, name) is before
    f.detach()


def test_repr(impl):
    obj = A()
    f = impl.finalize(obj, nothing)
    assert repr(f) == f"<finalize object at {id(f):#x}; for 'A' at {id(obj):#x}>"
    f()
    assert repr(f) == f"<finalize object at {id(f):#x}; dead>"

    class Named(impl.finalize):
        pass

    f = Named(obj, nothing)
    assert repr(f).startswith("<Named object at ")
    f()


def test_finalizers_are_themselves(impl):
    obj = A()
    f, g = impl.finalize(obj, nothing), impl.finalize(obj, nothing)
    assert f == f and f != g and not f == g
    assert len({f, g}) == 2
    hashes = hash(f), hash(g)
    with pytest.raises(TypeError):
        f < g  # noqa: B015
    del obj
    assert (hash(f), hash(g)) == hashes
    assert f == f and f != g


def test_other_weak_references_to_the_object_go_on(impl):
    obj, seen = A(), []
    plain = weakref.ref(obj)
    impl.finalize(obj, lambda: seen.append(plain()))
    proxy = weakref.proxy(obj)
    assert weakref.ref(obj) is plain and plain() is obj
    proxy.x = 1
    del obj
    assert seen == [None]


# ---- what is refused


def refused(impl, obj, func, *args, **kwargs):
    with pytest.raises(TypeError) as raised:
        impl.finalize(obj, func, *args, **kwargs)
    return str(raised.value)


def test_missing_arguments(impl):
    for call in (
        lambda: impl.finalize(),
        lambda: impl.finalize(A()),
        lambda: impl.finalize(A(), func=nothing),
        lambda: impl.finalize(obj=A(), func=nothing),
    ):
        with pytest.raises(TypeError, match=r"finalize\(\) missing required positional argument"):
            call()


def test_obj_and_func_are_fine_as_keywords_of_func(impl):
    obj = A()
    f = impl.finalize(obj, nothing, 1, func=3, obj=4, self=5)
    assert f.peek() == (obj, nothing, (1,), {"func": 3, "obj": 4, "self": 5})
    f()


@pytest.mark.parametrize("obj", [5, None, "text", (), [], Slots()])
def test_objects_without_weak_references(impl, obj):
    assert "weak reference" in refused(impl, obj, nothing)


@pytest.mark.parametrize("func", [None, 5, "x"])
def test_func_must_be_callable(impl, func):
    name = type(func).__name__
    assert refused(impl, A(), func) == f"finalize(): func must be callable, got {name}"


def test_methods_of_the_object(impl):
    obj, some = A(), {1}
    assert "func is a bound method of" in refused(impl, obj, obj.method)
    frozen = frozenset([1])
    assert "func is a bound method of" in refused(impl, frozen, frozen.union)
    refused(impl, frozen, frozen.__len__)
    refused(impl, A, A.of_class)
    refused(impl, obj, types.MethodType(nothing, obj))
    impl.finalize(obj, obj.of_class).detach()
    impl.finalize(obj, A().method).detach()
    impl.finalize(obj, some.clear).detach()


def test_the_object_itself(impl):
    def function():
        return None

    refused(impl, function, function)
    refused(impl, A, A)
    refused(impl, (partial := functools.partial(nothing)), partial)


def test_closures_over_the_object(impl):
    obj = A()
    other = A()
    bound = obj.method

    def over():
        return obj

    def over_method():
        return bound

    def over_other():
        return other

    def over_nothing_yet():
        return later

    refused(impl, obj, over)
    refused(impl, obj, over_method)
    impl.finalize(obj, lambda: over).detach()  # not so far
    impl.finalize(obj, over_other).detach()
    impl.finalize(obj, over_nothing_yet).detach()
    later = 1


def test_a_closure_over_a_class_is_fine(impl):
    class Local:
        pass

    f = impl.finalize(Local, lambda: Local)
    assert f.alive
    f.detach()


def test_defaults_and_partials(impl):
    obj = A()
    refused(impl, obj, lambda x=obj: x)
    refused(impl, obj, lambda *, x=obj: x)
    refused(impl, obj, lambda x=(1, [obj]): x)
    refused(impl, obj, functools.partial(nothing, obj))
    refused(impl, obj, functools.partial(nothing, x=obj))
    refused(impl, obj, functools.partial(obj.method))
    refused(impl, obj, functools.partial(functools.partial(nothing, [obj])))
    impl.finalize(obj, lambda x=1, *, y=2: x).detach()
    impl.finalize(obj, functools.partial(nothing, 1, x=2)).detach()


def test_arguments(impl):
    obj = A()
    holders = [
        obj,
        obj.method,
        functools.partial(nothing, obj),
        [obj],
        (1, (2, obj)),
        {1: obj},
        {obj: 1},
        {obj},
        frozenset([obj]),
        [[[{"a": (obj.method,)}]]],
        lambda x=obj: x,
    ]
    for holder in holders:
        assert "args[1] reaches the" in refused(impl, obj, nothing, 1, holder)
        assert "kwargs['x'] reaches the" in refused(impl, obj, nothing, 1, y=2, x=holder)
    for harmless in ([A()], {1: 2}, {1}, A().method, functools.partial(nothing), A, nothing):
        impl.finalize(obj, nothing, harmless, x=harmless).detach()


def test_the_search_ends(impl):
    obj = A()
    ring = []
    ring.append(ring)
    impl.finalize(obj, nothing, ring).detach()
    deep = [obj]
    for _ in range(50):
        deep = [deep]
    impl.finalize(obj, nothing, deep).detach()
    wide = [[None] * 100_000] * 100_000
    impl.finalize(obj, nothing, wide, {i: wide for i in range(1000)}, set(range(2000))).detach()


def test_a_refused_one_leaves_nothing(impl):
    obj = A()
    refused(impl, obj, obj.method)
    refused(impl, obj, nothing, obj)
    refused(impl, obj, 5)
    gc.collect()
    assert weakref.getweakrefcount(obj) == 0


# ---- subclasses


def test_a_subclass_with_more_of_its_own(impl):
    seen = []

    class Named(impl.finalize):
        def __init__(self, obj, name, func, *args):
            super().__init__(obj, func, *args)
            self.name = name

    obj = A()
    f = Named(obj, "mine", seen.append, 1)
    assert (f.name, f.peek()) == ("mine", (obj, seen.append, (1,), {}))
    ref = weakref.ref(f)
    del obj, f
    assert seen == [1]
    gc.collect()
    assert ref() is None


def test_a_subclass_may_override_the_call(impl):
    seen = []

    class Loud(impl.finalize):
        def __call__(self, _=None):
            seen.append("before")
            result = super().__call__()
            seen.append("after")
            return result

    class Silent(impl.finalize):
        def __call__(self, _=None):
            seen.append("silent")

    obj = A()
    assert Loud(obj, lambda: 5)() == 5
    f, g = Loud(obj, seen.append, 1), Silent(obj, seen.append, 2)
    del seen[:], obj
    assert seen == ["silent", "before", 1, "after"]
    assert not f.alive and not g.alive


def test_init_again(impl):
    seen = []

    class Sub(impl.finalize):
        pass

    for cls in (impl.finalize, Sub):
        obj = A()
        f = cls(obj, seen.append, 1)
        f.atexit = False
        with pytest.raises(TypeError, match="alive already"):
            f.__init__(obj, seen.append, 2)
        assert f.peek() == (obj, seen.append, (1,), {})
        assert not f.atexit
        f()
        for wrong in ((), (obj,), (A(), seen.append), (obj, 5), (obj, obj.method)):
            with pytest.raises(TypeError):
                f.__init__(*wrong)
            assert not f.alive
        f.__init__(obj, seen.append, 3)
        assert f.atexit
        del obj, wrong
        gc.collect()
        assert seen == [1, 3]
        del seen[:]
        with pytest.raises(TypeError):
            f.__init__(A(), seen.append, 4)


def test_new_without_init_is_dead(impl):
    obj = A()
    f = impl.finalize.__new__(impl.finalize, obj)
    assert (f.alive, f.atexit, f.inherit, f.peek(), f.detach(), f()) == (
        *(False,) * 3,
        *(None,) * 3,
    )
    assert "dead" in repr(f)
    del obj
    with pytest.raises(TypeError):
        impl.finalize.__new__(impl.finalize)


def test_an_init_that_does_not_call_ours(impl):
    class Sub(impl.finalize):
        def __init__(self, obj, **_):
            self.x = 1

    f = Sub(A(), y=2)
    assert not f.alive and f.x == 1


def test_a_call_takes_no_arguments(native):
    f = native.finalize(A, nothing)
    with pytest.raises(TypeError, match="without arguments"):
        f(1, 2)
    with pytest.raises(TypeError, match="without arguments"):
        f(x=1)
    assert f.alive
    assert f(None) is None
    assert not f.alive


# ---- exceptions


def test_a_call_raises(impl):
    def fail():
        raise ZeroDivisionError

    f = impl.finalize(A, fail)
    with pytest.raises(ZeroDivisionError):
        f()
    assert not f.alive


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_at_death_stops_no_other(impl, unraisable, error):
    seen = []

    def fail():
        raise error("x")

    obj = A()
    impl.finalize(obj, seen.append, 1)
    impl.finalize(obj, fail)
    impl.finalize(obj, seen.append, 2)
    del obj
    assert seen == [2, 1]
    assert types_of(unraisable) == [error]


def test_the_report_names_the_function(native, unraisable):
    def fail(*_):
        raise ValueError

    class Sub(native.finalize):
        pass

    for cls in (native.finalize, Sub):
        obj = A()
        cls(obj, fail)
        del obj
    assert [args.object for _, args in unraisable] == [fail, fail]


def test_a_pending_exception_is_kept(impl, unraisable):
    """An argument dies while the exception of the call is set."""

    class Last(impl.Finalizable):
        def __finalize__(self):
            raise ValueError

    def fail():
        raise ValueError

    obj = A()
    impl.finalize(obj, fail)
    things = [obj, Last()]
    del obj
    for _ in range(2):
        with pytest.raises(TypeError, match="int"):
            int(things.pop())
    assert types_of(unraisable) == [ValueError] * 2


# ---- clean-ups that meddle


def test_it_finds_itself_dead(impl):
    seen = []
    obj = A()
    box = []

    def look():
        f = box[0]
        seen.append((f.alive, f(), f.peek(), f.detach(), f.atexit))

    box.append(impl.finalize(obj, look))
    box[0]()
    box[0] = impl.finalize(obj, look)
    del obj
    assert seen == [(False, None, None, None, False)] * 2


def test_it_ends_the_others(impl):
    seen = []
    obj, other = A(), A()
    others = [impl.finalize(obj, seen.append, 0), impl.finalize(other, seen.append, 1)]

    def end():
        others[0]()
        others[1].detach()

    impl.finalize(obj, end)
    impl.finalize(obj, seen.append, 2)
    del obj
    del other
    assert seen == [2, 0]


def test_detach_comes_too_late_for_a_dead_object(impl):
    """As the standard library's: there is no object to give back, and so it runs."""
    seen = []
    obj = A()
    first = impl.finalize(obj, seen.append, 1)
    impl.finalize(obj, lambda: seen.append(first.detach()))
    del obj
    assert seen == [None, 1]


def test_it_makes_others(impl):
    seen = []
    obj, other = A(), A()

    box = [other]

    def make():
        impl.finalize(box.pop(), seen.append, 1)
        temporary = A()
        impl.finalize(temporary, seen.append, 2)

    impl.finalize(obj, make)
    del obj
    assert seen == [2]
    del other
    assert seen == [2, 1]


def test_it_collects(impl):
    seen = []
    for i in range(3):
        obj = A()
        obj.me = obj
        impl.finalize(obj, lambda i=i: (gc.collect(), seen.append(i)))
    last = A()
    impl.finalize(last, gc.collect)
    del obj, last
    gc.collect()
    assert sorted(seen) == [0, 1, 2]


def test_it_brings_its_arguments_back(impl):
    kept = []
    obj, argument = A(), A()
    impl.finalize(obj, kept.append, argument)
    ref = weakref.ref(argument)
    del obj, argument
    assert kept == [ref()]
    kept.clear()
    assert ref() is None


def test_an_argument_waits_in_turn(impl):
    """The object of the one is an argument of the other."""
    seen = []
    chain = [A() for _ in range(5)]
    for i, (one, following) in enumerate(zip(chain, chain[1:], strict=False)):
        impl.finalize(one, lambda _, i=i: seen.append(i), following)
    impl.finalize(chain[-1], seen.append, 4)
    first = chain[0]
    del chain, one, following
    assert seen == []
    del first
    assert seen == [0, 1, 2, 3, 4]


def test_on_each_other(impl):
    """Each keeps the other's object: by a path that is not looked into."""
    seen = []
    a, b = A(), A()
    f = impl.finalize(a, lambda x: seen.append("a"), b)
    impl.finalize(b, lambda x: seen.append("b"), types.SimpleNamespace(x=b))
    del a
    assert seen == ["a"]  # b lives: its own clean-up holds it
    assert not f.alive
    other = next(ref for ref in weakref.getweakrefs(b) if isinstance(ref, impl.finalize))
    other.detach()


@pytest.mark.parametrize("depth", [10, 100_000])
def test_objects_in_deep_chains(impl, depth):
    seen = []
    chain = None
    for i in range(depth):
        link = A()
        link.next = chain
        if i % 10 == 0:
            impl.finalize(link, seen.append, i)
        chain = link
    del link, chain
    assert sorted(seen) == list(range(0, depth, 10))


def test_a_clean_up_that_ends_arms_its_finalizer(native):
    class Sub(native.finalize):
        pass

    seen = []
    obj = A()
    f = Sub(obj, nothing)

    class Meddler:
        def __del__(self):
            seen.append(f.alive)
            f.__init__(obj, seen.append, "inner")

    f.detach()
    f.__init__(obj, nothing, Meddler())
    f.detach()
    assert seen == [False]
    assert f.peek() == (obj, seen.append, ("inner",), {})
    f()
    assert seen == [False, "inner"]


def collect_at(allocation, call):
    """Call with a collection due soon: on 3.11 inside the call, at an allocation of its own."""
    threshold = gc.get_threshold()
    gc.set_threshold(allocation)
    try:
        return call()
    finally:
        gc.set_threshold(*threshold)


def test_a_collection_inside_init_arms_it(native):
    class Sub(native.finalize):
        pass

    obj = A()

    class Meddler:
        def __del__(self):
            with contextlib.suppress(TypeError):
                f.__init__(obj, nothing, "inner")

    gc.collect()
    for at in range(1, 30):
        f = Sub(obj, nothing)
        f.detach()
        trash = Meddler()
        trash.me = trash
        del trash
        with contextlib.suppress(TypeError):
            collect_at(at, lambda f=f: f.__init__(obj, nothing, {1}, x={2}))
        gc.collect()
        assert f.detach()
    others = [native.finalize(obj, nothing) for _ in range(3)]
    assert all(other.detach() for other in others)


def test_a_death_inside_the_search_for_the_object(native):
    """3.11 collects in any allocation: also while the defaults of a function are read."""

    def function(x=1, *, y=2):
        return None

    class Meddler:
        def __del__(self):
            function.__defaults__ = None
            function.__kwdefaults__ = None

    gc.collect()
    for at in range(1, 50):
        function.__defaults__ = tuple({i} for i in range(20))
        function.__kwdefaults__ = {"y": [{i} for i in range(20)]}
        trash = Meddler()
        trash.me = trash
        del trash
        collect_at(at, lambda: native.finalize(A, function)).detach()


def test_nothing_half_made_is_to_be_found(native):
    native.finalize(A, nothing).detach()
    for thing in gc.get_objects():
        if type(thing) is tuple:
            for item in thing:  # crashes if one is missing
                assert item is not thing


def test_the_callback_of_the_reference_wants_a_finalizer(native):
    f = native.finalize(A, nothing)
    with pytest.raises(TypeError, match="wanted finalize, got int"):
        f.__callback__(5)
    f.detach()


# ---- threads


def test_threads_that_call_the_same_one(impl):
    obj = A()
    for _ in range(20):
        seen = []
        f = impl.finalize(obj, seen.append, 1)
        threads = [threading.Thread(target=f) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [1]
