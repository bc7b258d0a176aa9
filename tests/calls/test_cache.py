"""cache: results by arguments, limits, expiry, instances. See also the files beside this one."""

import copy
import functools
import gc
import inspect
import math
import pickle
import sys
import types
import weakref

import pytest


class Clock:
    """Seconds that the test moves."""

    def __init__(self, now=1000.0):
        self.now = now
        self.asked = 0

    def __call__(self):
        self.asked += 1
        return self.now


class Calls(list):
    """A function that keeps its calls."""

    def __call__(self, *args, **kwargs):
        self.append((args, kwargs))
        return len(self)


def plain(x, /, *args, y=0, **kwargs):
    """Add."""
    return x, args, y, kwargs


# ---- as the guide has it


def test_fibonacci(impl):
    @impl.cache(maxsize=128)
    def fibonacci(n: int) -> int:
        if n < 2:
            return n
        return fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(100) == 354224848179261915075
    info = fibonacci.cache_info()
    assert info == (98, 101, 128, 101)
    assert repr(info) == "CacheInfo(hits=98, misses=101, maxsize=128, currsize=101)"
    assert (info.hits, info.misses, info.maxsize, info.currsize) == info
    assert isinstance(info, tuple) and type(info) is impl.CacheInfo


def test_bare_is_unlimited(impl):
    calls = Calls()
    cached = impl.cache(calls)
    for i in range(1000):
        assert cached(i) == i + 1
    for i in range(1000):
        assert cached(i) == i + 1
    assert cached.cache_info() == (1000, 1000, None, 1000)
    assert cached.cache_parameters() == {"maxsize": None, "typed": False}


def test_decorator_forms(impl):
    calls = Calls()
    for made, maxsize in (
        (impl.cache(calls), None),
        (impl.cache()(calls), 128),
        (impl.cache(3)(calls), 3),
        (impl.cache(maxsize=3)(calls), 3),
        (impl.cache(None)(calls), None),
        (impl.cache(maxsize=None)(calls), None),
        (impl.cache(0)(calls), 0),
        (impl.cache(-5)(calls), 0),
        (impl.cache(True)(calls), 1),
        (impl.cache(3, True)(calls), 3),
        (impl.cache(maxsize=calls), None),
    ):
        assert made.cache_info() == (0, 0, maxsize, 0)
        assert made.__wrapped__ is calls
    assert impl.cache(3, True)(calls).cache_parameters() == {"maxsize": 3, "typed": True}
    assert impl.cache(calls, True).cache_parameters() == {"maxsize": None, "typed": True}
    assert impl.cache(2, ttl=3)(calls).cache_parameters() == {
        "maxsize": 2,
        "typed": False,
        "ttl": 3.0,
    }
    decorator = impl.cache(2)
    first, second = decorator(calls), decorator(calls)
    first(1)
    assert second.cache_info().misses == 0


# ---- keys


def test_keys_are_those_of_functools(impl):
    a, b = (0, 1), 1 << 70
    arguments = [
        ((), {}),
        ((1,), {}),
        ((1.0,), {}),
        ((True,), {}),
        ((-1,), {}),
        ((-2,), {}),
        ((b,), {}),
        ((b + 2**61 - 1,), {}),
        (("1",), {}),
        (("",), {}),
        (("é",), {}),
        (("\u20ac",), {}),
        ((None,), {}),
        ((a,), {}),
        (a, {}),
        ((1, 2, 3), {}),
        ((1,), {"y": 2}),
        ((1.0,), {"y": 2}),
        ((), {"y": 2, "z": 3}),
        ((), {"z": 3, "y": 2}),
        ((), {"y": 3, "z": 2}),
        ((1, "y", 2), {}),
        ((1,), {"z": 2}),
        ((frozenset([1]),), {}),
    ]
    for typed in (False, True):
        for maxsize in (None, 1000):
            ours = impl.cache(maxsize, typed)(Calls())
            theirs = functools.lru_cache(maxsize, typed)(Calls())
            for _ in range(3):
                for args, kwargs in arguments:
                    assert ours(*args, **kwargs) == theirs(*args, **kwargs), (args, kwargs)
            assert ours.cache_info() == theirs.cache_info()


def test_equal_arguments_are_the_same_key(impl):
    calls = Calls()
    cached = impl.cache(calls)
    big, text = 10**30, "some text that is not interned"
    assert cached(big) == cached(10**29 * 10) == 1
    assert cached(text) == cached("".join(list(text))) == 2
    assert cached(x=text, y=big) == cached(x="".join(list(text)), y=10**29 * 10) == 3
    name = "".join(["some", "name"])
    assert cached(**{name: 1}) == cached(somename=1) == 4
    assert len(calls) == 4


def test_subclasses_of_int_and_str(impl):
    class Int(int):
        pass

    class Str(str):
        __slots__ = ()

    ours, theirs = impl.cache(Calls()), functools.cache(Calls())
    for cached in (ours, theirs):
        found = [
            cached(1),
            cached(Int(1)),
            cached("a"),
            cached(Str("a")),
            cached(Int(1)),
            cached(1),
        ]
        assert found == [1, 2, 3, 4, 2, 1]


def test_empty_keywords_are_none(impl):
    cached = impl.cache(Calls())
    assert cached(0) == cached(0, **{}) == 1


def test_hash_is_asked_once(impl):
    class Key:
        asked = 0

        def __hash__(self):
            Key.asked += 1
            return 7

    cached, key = impl.cache(2)(Calls()), Key()
    for i in range(1, 5):
        cached(key, 1)
        assert Key.asked == i
    cached(8), cached(9), cached(10)
    assert Key.asked == 4


def test_hash_that_raises(impl):
    class Key:
        def __hash__(self):
            raise ZeroDivisionError("hash")

    cached = impl.cache(plain)
    with pytest.raises(ZeroDivisionError, match="hash"):
        cached(Key())
    assert cached.cache_info() == (0, 0, None, 0)


@pytest.mark.parametrize("options", [{}, {"maxsize": 4}, {"single_flight": False}])
def test_equality_that_raises(impl, options):
    class Key:
        bad = False

        def __hash__(self):
            return 7

        def __eq__(self, other):
            if Key.bad:
                raise ZeroDivisionError("eq")
            return self is other

    cached = impl.cache(**{"maxsize": None, **options})(Calls())
    one, two = Key(), Key()
    assert cached(one) == 1
    Key.bad = True
    with pytest.raises(ZeroDivisionError, match="eq"):
        cached(two)
    assert cached(one) == 1  # the same object is not compared
    Key.bad = False
    assert cached(two) == 2
    assert cached.cache_info().currsize == 2


@pytest.mark.parametrize("what", ["clear", "fill", "same"])
def test_equality_that_changes_the_cache(impl, what):
    class Key:
        def __init__(self, x):
            self.x = x

        def __hash__(self):
            return 7

        def __eq__(self, other):
            nonlocal deep
            if deep < 3:
                deep += 1
                if what == "clear":
                    cached.cache_clear()
                elif what == "fill":
                    for i in range(50):
                        cached(deep * 100 + i)
                else:
                    cached(Key(self.x))
            return self.x == other.x

    deep = 9
    cached = impl.cache(20)(lambda key: getattr(key, "x", key))
    for _ in range(3):
        for x in range(5):
            deep = 9
            assert cached(Key(x)) == x
            deep = 0
            assert cached(Key(x)) == x
    assert cached.cache_info().currsize <= 20


def test_unhashable(impl):
    cached = impl.cache(plain)
    for args, kwargs in ((([],), {}), ((1, {}), {}), ((1,), {"y": set()})):
        with pytest.raises(TypeError, match="unhashable type: '") as caught:
            cached(*args, **kwargs)
        assert caught.value.__notes__ == ["in a call of plain, which is cached by its arguments"]
    assert cached.cache_info() == (0, 0, None, 0)


def test_results_that_are_none(impl):
    calls = Calls()
    cached = impl.cache(lambda x: calls(x) and None)
    assert cached(1) is cached(1) is None
    assert len(calls) == 1


# ---- limits


def test_least_recently_used_goes(impl):
    calls = Calls()
    cached = impl.cache(3)(calls)
    cached(1), cached(2), cached(3), cached(1), cached(4)
    assert [args for args, _ in calls] == [(1,), (2,), (3,), (4,)]
    cached(1), cached(3), cached(4)
    assert len(calls) == 4
    cached(2)
    assert len(calls) == 5
    assert cached(1) == 6
    assert cached.cache_info() == (4, 6, 3, 3)


@pytest.mark.parametrize("maxsize", [1, 2, 7, 100])
def test_many_keys_with_a_limit(impl, maxsize):
    ours = impl.cache(maxsize)(Calls())
    theirs = functools.lru_cache(maxsize)(Calls())
    for i in range(3000):
        x = (i * i + i // 7) % 150
        assert ours(x) == theirs(x)
        assert ours(str(x), y=x) == theirs(str(x), y=x)
    assert ours.cache_info() == theirs.cache_info()


def test_size_zero_keeps_nothing_and_hashes_nothing(impl):
    calls = Calls()
    cached = impl.cache(0)(calls)
    assert cached([]) == 1 and cached([]) == 2
    assert cached.cache_info() == (0, 2, 0, 0)


def test_results_go_when_evicted_or_cleared(impl):
    class Thing:
        pass

    cached = impl.cache(1)(lambda x: Thing())
    first = weakref.ref(cached(1))
    assert first() is not None
    second = weakref.ref(cached(2))
    gc.collect()
    assert first() is None and second() is not None
    cached.cache_clear()
    gc.collect()
    assert second() is None
    assert cached.cache_info() == (0, 0, 1, 0)


def test_exceptions_are_not_kept(impl):
    calls = Calls()

    @impl.cache
    def half(x):
        calls(x)
        return 10 / x

    for _ in range(2):
        with pytest.raises(ZeroDivisionError) as caught:
            half(0)
        assert caught.value.__context__ is None
    assert len(calls) == 2
    assert half.cache_info() == (0, 2, None, 0)


def test_recursion_on_the_same_key(impl):
    depth = 0

    @impl.cache
    def again(x):
        nonlocal depth
        depth += 1
        return x if depth > 3 else again(x) + 1

    # the innermost result is kept first, and what is there stays
    assert again(1) == 4
    assert again(1) == 1
    assert again.cache_info() == (1, 4, None, 1)


def test_endless_recursion_is_a_recursion_error(impl):
    @impl.cache
    def again(x):
        return again(x)

    with pytest.raises(RecursionError):
        again(1)
    assert again.cache_info().currsize == 0


def test_clear_while_computing(impl):
    @impl.cache
    def f(x):
        f.cache_clear()
        return x

    assert f(1) == 1
    assert f.cache_info().currsize == 0  # from before the clear: not kept
    f.__wrapped__(1)
    assert f(1) == 1


# ---- expiry


def test_ttl(impl):
    clock, calls = Clock(), Calls()
    cached = impl.cache(maxsize=10, ttl=5, clock=clock)(calls)
    assert cached(1) == 1
    clock.now += 4.9
    assert cached(1) == 1
    clock.now += 0.1
    assert cached(1) == 2
    assert cached.cache_info() == (1, 2, 10, 1)
    clock.now += 5
    assert cached.cache_info().currsize == 1
    assert cached(2) == 3
    assert cached.cache_info().currsize == 1  # the expired one is dropped


def test_ttl_counts_from_the_end_of_the_call(impl):
    clock = Clock()

    @impl.cache(ttl=5, clock=clock)
    def slow(x):
        clock.now += 4
        return clock.now

    first = slow(1)
    clock.now += 4
    assert slow(1) == first


def test_ttl_without_limit_drops_gradually(impl):
    clock = Clock()
    cached = impl.cache(maxsize=None, ttl=10, clock=clock)(lambda x: x)
    for i in range(5000):
        clock.now += 1
        cached(i)
        assert cached.cache_info().currsize <= 11
    for i in range(5000, 5100):
        cached(i)
    clock.now += 100
    for i in range(200):
        cached(i)
    assert cached.cache_info().currsize <= 200


def test_a_clock_that_steps_back(impl):
    clock, calls = Clock(), Calls()
    cached = impl.cache(ttl=10, clock=clock)(calls)
    assert cached(1) == 1
    clock.now -= 5
    assert cached(1) == 1
    clock.now -= 1000
    assert cached(1) == 2  # stored too far in the future: not trusted
    clock.now += 9
    assert cached(1) == 2
    clock.now += 1
    assert cached(1) == 3


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_a_clock_gone_mad(impl, now):
    clock, calls = Clock(), Calls()
    cached = impl.cache(maxsize=3, ttl=10, clock=clock)(calls)
    cached(1)
    clock.now = now
    for i in range(10):
        cached(i % 4)
    assert cached.cache_info().currsize <= 3
    clock.now = 5.0
    assert cached("x") == cached("x")


def test_a_clock_that_fails(impl):
    clock = Clock()
    cached = impl.cache(ttl=10, clock=clock)(lambda x: x)
    clock.now = "late"
    if impl.__name__ == "ferrule.calls":
        with pytest.raises(TypeError, match="cache: clock must give seconds, got str"):
            cached(1)

    def broken():
        raise ZeroDivisionError

    cached = impl.cache(ttl=10, clock=broken)(lambda x: x)
    with pytest.raises(ZeroDivisionError):
        cached(1)
    assert cached.cache_info() == (0, 0, 128, 0)


def test_a_clock_that_clears(impl):
    cached = impl.cache(ttl=10, clock=lambda: cached.cache_clear() or 1.0)(lambda x: x)
    assert [cached(1), cached(1)] == [1, 1]
    assert cached.cache_info().currsize == 0


def test_endless_ttl_and_the_real_clock(impl):
    cached = impl.cache(ttl=math.inf)(Calls())
    assert cached(1) == cached(1) == 1
    cached = impl.cache(ttl=1000)(Calls())
    assert cached(1) == cached(1) == 1
    cached = impl.cache(ttl=1e-9)(Calls())
    assert cached(1) == 1 and cached(1) == 2


# ---- methods


def test_methods_are_cached_for_each_instance(impl):
    class A:
        def __init__(self):
            self.calls = Calls()

        @impl.cache(2)
        def method(self, x, *, y=0):
            return self.calls(x, y)

    a, b = A(), A()
    assert [a.method(1), a.method(1), b.method(1), a.method(1, y=2)] == [1, 1, 1, 2]
    assert A.method(a, 1) == 1
    assert a.method.cache_info() == A.method.cache_info() == (2, 3, 2, 3)
    a.method(2), a.method(3), a.method(4)
    assert b.method(1) == 1 and len(b.calls) == 1  # maxsize is for each
    assert A.method.cache_info().currsize == 3
    A.method.cache_clear()
    assert A.method.cache_info() == (0, 0, 2, 0)
    assert b.method(1) == 2


def test_methods_keep_no_instance_alive(impl):
    class A:
        @impl.cache
        def method(self, x):
            return [x]

    one, two = A(), A()
    one.method(1), one.method(2), two.method(1)
    ref = weakref.ref(one)
    result = weakref.ref(one, lambda _: None)
    assert A.method.cache_info().currsize == 3
    del one
    assert ref() is None and result() is None
    assert A.method.cache_info() == (0, 3, None, 1)
    two.me = two
    ref = weakref.ref(two)
    del two
    gc.collect()
    assert ref() is None
    assert A.method.cache_info() == (0, 3, None, 0)


def test_instances_compare_by_identity(impl):
    class A:
        __hash__ = None

        def __eq__(self, other):
            raise AssertionError

        @impl.cache
        def method(self):
            return id(self)

    a, b = A(), A()
    assert (a.method(), b.method(), a.method()) == (id(a), id(b), id(a))


def test_instances_at_the_same_address(impl):
    class A:
        def __init__(self, x):
            self.x = x

        @impl.cache
        def method(self):
            return self.x

    for i in range(1000):
        assert A(i).method() == i
    assert A.method.cache_info() == (0, 1000, None, 0)
    many = [A(i) for i in range(1000)]
    assert [a.method() for a in many] == [a.method() for a in many] == list(range(1000))
    assert A.method.cache_info() == (1000, 2000, None, 1000)
    del many[::2]
    assert [a.method() for a in many] == list(range(1, 1000, 2))
    assert A.method.cache_info() == (1500, 2000, None, 500)


def test_an_instance_that_dies_in_its_own_call(impl):
    class A:
        @impl.cache
        def method(self, x):
            return x

    cached = A.method
    assert cached(A(), 1) == 1
    assert cached.cache_info() == (0, 1, None, 0)


def test_a_method_called_while_its_instance_dies(impl):
    seen = []

    class A:
        @impl.cache
        def method(self, x):
            return x

        def __del__(self):
            seen.append(self.method(1))

    a = A()
    a.method(1)
    del a
    a = A()
    a.me = a
    a.method(1)
    del a
    gc.collect()
    assert seen == [1, 1]
    assert A.method.cache_info().currsize == 0


def test_inherited_and_overridden_methods(impl):
    class A:
        @impl.cache
        def method(self, x):
            return "A", x

    class B(A):
        @impl.cache
        def method(self, x):
            return "B", *super().method(x)

    b = B()
    assert b.method(1) == b.method(1) == ("B", "A", 1)
    assert A.method.cache_info() == (0, 1, None, 1)
    assert B.method.cache_info() == (1, 1, None, 1)


def test_instances_without_weak_references(impl):
    class Slots:
        __slots__ = ("x",)

        @impl.cache
        def method(self, x):
            return x

        @impl.cache(per_instance=False)
        def other(self, x):
            return x

        @impl.cache(0)
        def none(self, x):
            return x

    with pytest.raises(TypeError) as caught:
        Slots().method(1)
    assert str(caught.value).endswith(
        "Slots.method is cached for each instance, and instances of 'Slots' cannot be weakly "
        "referenced: add '__weakref__' to __slots__, or use cache(per_instance=False)"
    )
    assert Slots().other(1) == 1
    assert Slots().none(1) == 1


def test_per_instance_false_is_as_functools(impl):
    class A:
        @impl.cache(per_instance=False)
        def method(self, x):
            return [x]

    a = A()
    ref = weakref.ref(a)
    assert a.method(1) is a.method(1)
    del a
    gc.collect()
    assert ref() is not None
    A.method.cache_clear()
    gc.collect()
    assert ref() is None


def test_a_method_without_its_instance(impl):
    class A:
        @impl.cache
        def method(self, x=1):
            return x

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'self'"):
        A.method()
    a = A()
    assert A.method(self=a) == 1
    assert A.method.cache_info() == (0, 2, None, 0)


def test_static_and_class_methods(impl):
    calls = Calls()

    class A:
        @staticmethod
        @impl.cache
        def inside(x):
            return calls(x)

        @impl.cache
        @staticmethod
        def outside(x):
            return calls(x)

        @classmethod
        @impl.cache(4)
        def class_inside(cls, x):
            return cls, calls(x)

        @impl.cache(4)
        @classmethod
        def class_outside(cls, x):
            return cls, calls(x)

    assert A.inside(1) == A().inside(1) == 1
    assert A.outside(1) == A().outside(1) == 2
    assert A.class_inside(1) == A().class_inside(1) == (A, 3)
    assert A.class_outside(1) == A().class_outside(1) == (A, 4)
    for name in ("inside", "outside", "class_inside", "class_outside"):
        assert getattr(A, name).cache_info()[:2] == (1, 1)
    assert isinstance(vars(A)["outside"], staticmethod)
    assert isinstance(vars(A)["class_outside"], classmethod)


# ---- what it looks like


@functools.cache
def made(impl):
    return impl.cache(3)(plain)


def test_looks_like_the_function(impl):
    cached = made(impl)
    for name in ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__"):
        assert getattr(cached, name) == getattr(plain, name)
    assert cached.__wrapped__ is plain
    assert inspect.signature(cached) == inspect.signature(plain)
    assert repr(cached).startswith("<Cache of <function plain at ")
    assert isinstance(cached, impl.Wrapper)
    assert cached is copy.copy(cached) is copy.deepcopy(cached)
    assert weakref.ref(cached)() is cached
    assert not inspect.iscoroutinefunction(cached)
    cached.note = 5
    assert cached.note == 5 and not hasattr(plain, "note")


def test_pickles_by_name(impl, monkeypatch):
    module = types.ModuleType("cached_module")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec("def f(x): return x\nclass A:\n def m(self): return 1", module.__dict__)
    module.f = impl.cache(module.f)
    module.A.m = impl.cache(module.A.m)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        for cached in (module.f, module.A.m):
            assert pickle.loads(pickle.dumps(cached, protocol)) is cached
        info = pickle.loads(pickle.dumps(module.f.cache_info(), protocol))
        assert info == module.f.cache_info() and type(info) is impl.CacheInfo


def test_stacks_with_itself(impl):
    calls = Calls()
    outer = impl.cache(2)(impl.cache(calls))
    outer(1), outer(2), outer(3), outer(1)
    assert outer.cache_info() == (0, 4, 2, 2)
    assert outer.__wrapped__.cache_info() == (1, 3, None, 3)


def test_caches_what_has_no_code(impl):
    assert impl.cache(len)("abc") == 3
    assert impl.cache(int)("5") == 5
    assert impl.cache(functools.partial(plain, 1))(2) == (1, (2,), 0, {})


def circles(impl):
    """Caches in circles: weak references to what is in them."""

    class Thing:
        pass

    thing = Thing()

    @impl.cache
    def f(x):
        return thing, f

    class A:
        @impl.cache
        def method(self, x):
            return self, A

    f(thing)
    a = A()
    a.method(a)
    return [weakref.ref(f), weakref.ref(A.method), weakref.ref(A), weakref.ref(thing)]


def test_a_cache_is_collected(impl):
    refs = circles(impl)
    gc.collect()
    assert [ref() for ref in refs] == [None] * 4


# ---- bad input


@pytest.mark.parametrize("bad", ["128", 1.5, [], object(), property(plain)])
def test_first_argument(impl, bad):
    with pytest.raises(TypeError) as caught:
        impl.cache(bad)
    assert str(caught.value) == ("Expected first argument to be an integer, a callable, or None")


def test_bad_arguments(impl):
    with pytest.raises(OverflowError):
        impl.cache(10**30)
    with pytest.raises(TypeError, match=r"cache\(\) got an unexpected keyword argument 'size'"):
        impl.cache(size=3)
    with pytest.raises(TypeError, match=r"cache\(\) takes "):
        impl.cache(1, False, 5)
    with pytest.raises(TypeError, match="cache: clock must be callable or None, got float"):
        impl.cache(ttl=5, clock=5.0)

    class Undecided:
        def __bool__(self):
            raise ZeroDivisionError

    for name in ("typed", "per_instance", "single_flight"):
        with pytest.raises(ZeroDivisionError):
            impl.cache(3, **{name: Undecided()})


@pytest.mark.parametrize("ttl", ["5", b"5", [], 1j, object()])
def test_ttl_that_is_no_number(impl, ttl):
    with pytest.raises(TypeError) as caught:
        impl.cache(ttl=ttl)
    assert str(caught.value) == (
        f"cache: ttl must be a number of seconds or None, got {type(ttl).__name__}"
    )


@pytest.mark.parametrize("ttl", [0, -1, 0.0, -0.5, math.nan, -math.inf])
def test_ttl_that_is_not_above_0(impl, ttl):
    with pytest.raises(ValueError) as caught:
        impl.cache(ttl=ttl)
    assert str(caught.value) == f"cache: ttl must be above 0, got {ttl!r}"


def test_decorating_what_cannot_be_called(impl):
    for bad in (5, None, property(plain)):
        with pytest.raises(TypeError, match="cache: wanted a callable, got "):
            impl.cache(3)(bad)
    with pytest.raises(TypeError):
        impl.cache(3)()
    with pytest.raises(TypeError):
        impl.cache(3)(plain, plain)


def test_generator_functions(impl):
    def numbers():
        yield 1

    async def later():
        yield 1

    for func, kind in ((numbers, "generator"), (later, "async generator")):
        for decorator in (impl.cache, impl.cache(3)):
            with pytest.raises(TypeError) as caught:
                decorator(func)
            assert str(caught.value) == (
                "cache: wanted a function or a coroutine function, got the "
                f"{kind} function {func.__qualname__}: what it makes can be iterated once only"
            )


def test_methods_take_nothing(impl):
    cached = made(impl)
    for name in ("cache_info", "cache_clear", "cache_parameters"):
        with pytest.raises(TypeError):
            getattr(cached, name)(1)
    with pytest.raises(AttributeError):
        _ = cached.cache_size
