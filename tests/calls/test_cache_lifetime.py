"""cache: leaks, failed allocations, sub-interpreters, threads; what the collector sees."""

import asyncio
import functools
import gc
import importlib
import itertools
import sys
import weakref

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import copy, functools, gc, itertools, pickle, sys, weakref
import ferrule.calls._cache_info, ferrule.calls._flight
from ferrule._calls import cache

def plain(*args, **kwargs):
    return [args, kwargs]

def fail(*args):
    raise ZeroDivisionError

def gen():
    yield 1

async def later(x=1):
    return [x]

async def late_failure(x=1):
    raise ZeroDivisionError

class Key:
    def __init__(self, x):
        self.x = x
    def __hash__(self):
        return self.x % 3
    def __eq__(self, other):
        return self.x == other.x

class BadEq(Key):
    def __hash__(self):
        return 1
    def __eq__(self, other):
        raise ZeroDivisionError

class BadHash(Key):
    def __hash__(self):
        raise ZeroDivisionError

class Undecided:
    def __bool__(self):
        raise ZeroDivisionError

class A:
    def __init__(self):
        self.x = [1]
    @cache
    def method(self, *args):
        return [args]
    @cache(2, ttl=5)
    def limited(self, *args):
        return [args]
    @cache
    async def later(self, x=1):
        return [x]

class Slots:
    __slots__ = ()
    @cache
    def method(self):
        return 1

def drive(awaitable):
    try:
        awaitable.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")

def refuse(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError, RuntimeError):
        return
    except SystemError as error:
        # a function of Python's that finds no memory to raise what it wants to
        if not str(error).startswith(("<function", "error return without")):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

def clearing(x):
    made.cache_clear()
    return [x]

def again(x, depth=3):
    return twice(x) if next(counter) % 3 else [x]

counter = itertools.count()
made, limited, timed = cache(plain), cache(3)(plain), cache(3, ttl=5)(plain)
alone, keyed = cache(3, single_flight=False)(plain), cache(4)(lambda key: key.x)
ticking = cache(None, ttl=5, clock=lambda: next(counter))(plain)
twice, cleared, failing = cache(again), cache(clearing), cache(fail)
soon, soon_limited = cache(later), cache(2, ttl=5)(later)
soon_failing, soon_alone = cache(late_failure), cache(single_flight=False)(later)
a, key = A(), Key(5)
fresh = itertools.count()
"""

SUCCESSES = {
    "decorate": "cache(plain)(1); cache(3, True, ttl=5, clock=plain); cache()(plain)(1)",
    "static and class": "cache(staticmethod(plain)); cache(3)(classmethod(plain))",
    "hit": "made(1); made(1); made('a'); made('a')",
    "hit of more": "made(1, 2.0, y=3); made(1, 2.0, y=3); made(x=None)",
    "new keys": "x = next(fresh); limited(x); limited(x, y=x); limited(str(x)); limited(1.5, x)",
    "grow and clear": "for i in range(40): made(i, i)\nmade.cache_clear()",
    "evict": "for i in range(9): limited(i)\nlimited.cache_clear()",
    "timed": "for i in range(9): timed(i); timed(i % 3)\ntimed.cache_clear()",
    "expire": "for i in range(20): ticking(i % 7)\nticking.cache_clear()",
    "alone": "for i in range(9): alone(i, x=i)\nalone.cache_clear()",
    "keys in Python": "for i in range(9): keyed(Key(i % 5))",
    "recursion": "twice(1); twice.cache_clear()",
    "clear inside": "cleared(1); cleared(2, )",
    "method": "a.method(1); a.method(1); a.limited(1.5, 2)",
    "method of many": "for b in [A() for _ in range(9)]: b.method(1)\ndel b",
    "method in a cycle": "b = A(); b.me = b; b.method(1); del b; gc.collect(0)",
    "method clear": "b = A(); b.method(1); A.method.cache_clear(); b.method(2)",
    "info": "made.cache_info(); limited.cache_info(); made.cache_parameters()",
    "parameters": "timed.cache_parameters(); A.method.cache_info()",
    "coroutine": "soon.cache_clear(); drive(soon(1)); drive(soon(1)); drive(soon((1, 2)))",
    "coroutine limited": "for i in range(5): drive(soon_limited(i)); drive(soon_limited(i))",
    "coroutine alone": "drive(soon_alone(next(fresh)))",
    "coroutine method": "b = A(); drive(b.later(1)); drive(b.later(1)); del b",
    "coroutine not awaited": "soon(next(fresh)).close(); drive(soon(1)); soon(1).close()",
    "coroutine awaited late": "x = next(fresh); b, c = soon(x), soon(x); drive(c); drive(b)",
    "looks": "repr(made); copy.copy(made); made.__name__; weakref.ref(made)",
    "dies": "one = cache(plain); one(1); one(x=2); one.me = one; del one; gc.collect(0)",
}

ERRORS = {
    "first argument": "refuse(cache, 'x'); refuse(cache, 10**30); refuse(cache, property(plain))",
    "arguments": "refuse(cache, 1, False, 5); refuse(cache, size=5)",
    "options": "refuse(cache, ttl=-1); refuse(cache, ttl='x'); refuse(cache, clock=5)",
    "undecided": "refuse(cache, 3, Undecided()); refuse(cache, single_flight=Undecided())",
    "not callable": "refuse(cache(3), 5); refuse(cache(3), plain, plain); refuse(cache(3))",
    "generator": "refuse(cache, gen); refuse(cache(3), gen)",
    "fails": "refuse(failing, 1); refuse(failing, x=1)",
    "unhashable": "refuse(made, []); refuse(a.method, [])",
    "hash fails": "refuse(made, BadHash(1)); refuse(limited, 1, x=BadHash(1))",
    "eq fails": "one = cache(plain); one(BadEq(1)); refuse(one, BadEq(1))",
    "eq fails alone": "one = cache(single_flight=False)(plain); one(BadEq(1)); "
    "refuse(one, BadEq(1))",
    "no weak references": "refuse(Slots().method); refuse(A.method)",
    "clock fails": "one = cache(3, ttl=5, clock=fail)(plain); refuse(one, 1)",
    "clock gives nothing": "one = cache(3, ttl=5, clock=plain)(plain); refuse(one, 1)",
    "methods": "refuse(made.cache_info, 1); refuse(made.cache_clear, 1)",
    "coroutine fails": "refuse(drive, soon_failing(1)); refuse(soon_failing, [])",
    "coroutine used twice": "drive(soon(1)); b = soon(1); drive(b); refuse(b.send, None)",
    "coroutine thrown": "drive(soon(1)); refuse(soon(1).throw, ValueError(5)); "
    "refuse(soon(1).throw, ValueError); refuse(soon(1).throw, 5); refuse(soon(1).send, 5)",
}
ERRORS["no weak references"] = "refuse(Slots().method)"
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


def ready(code, setup=SETUP):
    space = {"__name__": "ready"}
    exec(setup, space)
    return functools.partial(exec, compile(code, "case", "exec"), space)


@pytest.fixture
def native(request):
    """The native module, for what the twin cannot promise."""
    if request.config.getoption("--impl") == "pure":
        pytest.skip("--impl pure")
    return importlib.import_module("ferrule.calls")


@covers("cache")
@covers("cache", error=True)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    code = ready(CASES[case])
    setup = "made.cache_clear(); soon.cache_clear(); soon_alone.cache_clear(); a.method(1)"
    tidy = functools.partial(exec, setup, code.args[1])

    def use():
        code()
        tidy()

    no_leak(use, rounds=40 if "range" in CASES[case] else 200)


@pytest.mark.parametrize("case", CASES)
def test_every_allocation_fails_once(case):
    # what a coroutine that dies says of itself needs memory too. An instance has one cached
    # method there: without memory 3.11 and 3.12 lose the callbacks of several references.
    walk_oom(CASES[case], setup=SETUP + "sys.unraisablehook = lambda args: None\n")


@pytest.mark.parametrize("name", ["_cache_info", "_flight"])
def test_the_first_use_finds_no_memory(name):
    """The Python parts are imported when they are needed."""
    use = "modules.pop().cache(plain).cache_info()" if name == "_cache_info" else (
        "coroutine = modules.pop().cache(later)(1)\ncoroutine.close()"
    )  # fmt: skip
    walk_oom(
        use,
        setup="""
        import importlib, sys
        import ferrule.calls._cache_info, ferrule.calls._flight

        def plain():
            pass

        async def later(x):
            pass

        def fresh():
            sys.modules.pop("ferrule._calls", None)
            return importlib.import_module("ferrule._calls")

        modules = [fresh() for _ in range(100)]
        """,
    )


def test_in_subinterpreters():
    tests = [f"def case_{i}():\n" + "\n".join(f"    {line}" for line in code.split("\n"))
             for i, code in enumerate(CASES.values())]  # fmt: skip
    calls = "\n".join(f"case_{i}()" for i in range(len(tests)))
    in_subinterpreter(SETUP + "\n".join(tests) + "\n" + calls)


@pytest.mark.parametrize("case", ["hit", "new keys", "evict", "expire", "method", "coroutine"])
def test_in_threads(case):
    code = ready(SUCCESSES[case])

    def work():
        for _ in range(100):
            code()

    run_threads(work)


def test_flights_leave_nothing(native):
    """Threads that wait, get a value or an error, or are cut short."""

    def use():
        made = native.cache(lambda x: [x] if x else 1 / x)
        run_threads(lambda: [made(1), pytest.raises(ZeroDivisionError, made, 0)], 4)

    no_leak(use, rounds=20)


def test_event_loops_leave_nothing(native):
    @native.cache(3)
    async def f(x):
        await asyncio.sleep(0)
        if x == 2:
            raise ZeroDivisionError
        return [x]

    async def main():
        await asyncio.gather(*[f(i % 4) for i in range(12)], return_exceptions=True)
        tasks = [asyncio.ensure_future(f(9)) for _ in range(3)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        del tasks, task
        f.cache_clear()

    def left():
        """Blocks waver: asyncio fills CPython's cache of attributes, with and without us."""
        gc.collect()
        kinds = ("CacheTicket", "CachedResult", "Flight", "Task", "Future", "coroutine")
        return [obj for obj in gc.get_objects() if type(obj).__name__ in kinds]

    with asyncio.Runner() as runner:
        runner.run(main())
        before = len(left())
        references = sys.getrefcount(type(f))
        for _ in range(50):
            runner.run(main())
        after = sys.getrefcount(type(f))
        assert (len(left()), after) == (before, references)


def test_the_collector_sees_what_is_held(native):
    """Arguments, results, instances' records, clocks, what waits."""

    class Thing:
        pass

    def circle(make):
        thing = Thing()
        make(thing)
        return weakref.ref(thing)

    def argument(thing):
        thing.cache = native.cache(lambda x, **y: 1)
        thing.cache(thing)
        thing.cache(1, y=thing)

    def result(thing):
        thing.cache = native.cache(lambda x: thing)
        thing.cache(1)

    def clock(thing):
        thing.cache = native.cache(ttl=1, clock=lambda: thing and 1.0)(lambda x: 1)

    def instance(thing):
        class A:
            @native.cache
            def method(self, x):
                return thing, self

        thing.a = A()
        thing.a.method(thing)
        thing.method = A.method

    def coroutine(thing):
        async def later(x):
            return x

        thing.cache = native.cache(later)
        thing.coroutine = thing.cache(thing)
        thing.cache.cache_clear()
        thing.coroutine.close()

    def awaitable(thing):
        async def later(x):
            return x

        thing.cache = native.cache(later)
        with pytest.raises(StopIteration):
            thing.cache(thing).send(None)
        thing.ready = thing.cache(thing)

    for make in (argument, result, clock, instance, coroutine, awaitable):
        ref = circle(make)
        gc.collect()
        assert ref() is None, make.__name__


def test_destructors_that_use_the_cache(native):
    """What is let go of may call, clear, or ask."""
    cached = None

    class Thing:
        def __init__(self, x):
            self.x = x

        def __del__(self):
            if cached is not None:
                cached.cache_info()
                cached("from", self.x % 3)
                if self.x % 5 == 0:
                    cached.cache_clear()

    counter = itertools.count()
    cached = native.cache(3)(lambda *args: Thing(next(counter)))
    for i in range(300):
        cached(i)
        cached(Thing(i))
    info = cached.cache_info()
    assert info.currsize <= 3
    last, cached = cached, None
    last.cache_clear()


def test_an_entry_costs_no_more_than_functools(native):
    assert sys.getsizeof(native.cache(len)) <= 320
