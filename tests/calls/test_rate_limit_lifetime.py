"""rate_limit, SharedStore: leaks, failed allocations, sub-interpreters, threads."""

import contextlib
import functools
import gc
import importlib
import itertools
import sys
import time

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import functools, gc, sys, tempfile, time, types
from ferrule._calls import RateLimited, SharedStore, rate_limit

class Clock:
    now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds

clock = Clock()
time.sleep = clock.sleep

def give(*args, **kwargs):
    return args, kwargs

def first(*args, **kwargs):
    return args[0] if args else None

async def coroutine(*args):
    return args

async def generator():
    yield 1

# in C: a function of Python's that finds no memory to raise its error raises SystemError
fail = functools.partial(int, "x", 99, 1)

def five(*args):
    return 5

def nan():
    return float("nan")

class Limiter:
    def __init__(self, *args):
        self.at = 0.0

    def take(self, key, wait):
        return self.at

    take_local = take

    def give_back(self, key, at):
        pass

    def peek(self, key):
        return 0.0

    def reset(self):
        pass

class Asking(Limiter):
    def take_local(self, key, wait):
        return None

    async def take_async(self, key, wait):
        return self.at

class Store:
    def __init__(self, kind=Limiter):
        self.kind = kind

    def limiter(self, *args):
        return self.kind(*args)

class Failing:
    limiter = staticmethod(fail)

class Sleep:
    def __await__(self):
        return iter([None])

def refuse(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError, OSError, RuntimeError, AttributeError, RateLimited):
        return
    raise AssertionError("not refused")

def run(made):
    try:
        while True:
            made.send(None)
    except StopIteration as stop:
        return stop.value

def dead(made):
    made.send(None)
    made.close()

# in the place of asyncio's, which CPython 3.12 cannot import in interpreters with a lock each
waiting = sys.modules["ferrule.calls._sleep"] = types.ModuleType("ferrule.calls._sleep")
waiting.sleep = lambda seconds: (clock.sleep(seconds), Sleep())[1]
folder = tempfile.mkdtemp()
free = rate_limit(1e6, burst=1 << 40)(give)
keyed = rate_limit(1, clock=clock, key=first, max_keys=50)(give)
wait = rate_limit(1, clock=clock)(give)
never = rate_limit(1e-3, mode="raise")(give)
never()
busy = rate_limit(1e-3, mode="raise", key=first, max_keys=1)(give)
busy(1)
later = rate_limit(1, clock=clock)(coroutine)
memory = SharedStore()
shared = rate_limit(1e6, burst=1 << 40, store=memory, name="x")(give)
by_key = rate_limit(1e6, burst=1 << 40, store=memory, name="y", key=first)(give)
foreign = rate_limit(1, store=Store())(give)
local = rate_limit(1, store=Store())(coroutine)
asking = rate_limit(1, store=Store(Asking))(coroutine)
numbers = iter(range(1 << 60))
SharedStore(folder + "/limits", slots=4)
full = SharedStore(slots=1)
rate_limit(1, store=full, name="x")(give)
with open(folder + "/other", "w") as file:
    file.write("text" * 100)
"""

SUCCESSES = {
    "make": "rate_limit(10)(give); rate_limit(10, burst=5, mode='raise', name='x', max_keys=5)",
    "make with all": "rate_limit(5, key=first, clock=clock)(give)(1)",
    "call": "free(1, x=2); free()",
    "call by key": "keyed(1); keyed('a', x=1); keyed((1, 2))",
    "new keys": "keyed(next(numbers)); clock.now += 0.1",
    "wait": "wait(1); wait(2)",
    "wait by key": "keyed(1); keyed(1)",
    "coroutine": "run(later(1)); run(later(2))",
    "coroutine unawaited": "run(later(1)); later(1); later(2).close()",
    "coroutine closed": "run(later(1)); dead(later(1))",
    "coroutine forgotten": "run(later(1)); made = later(2); made.send(None); del made",
    "query": "keyed.retry_after(1); never.retry_after(); free.try_acquire(1, x=2)",
    "query false": "never.try_acquire(); busy.try_acquire(2); busy.retry_after(2)",
    "attributes": "free.burst, free.mode, free.calls_per_sec, free.allowed, free.waited",
    "counters": "free.rejected, free.cancelled, repr(free)",
    "reset": "one = rate_limit(1, key=first)(give); one(1); one(2); one.reset(); one(1)",
    "reset one": "wait.reset()",
    "shared": "shared(1); by_key(1); by_key((1, 'a', b'', 1.5, 2.0, None, True))",
    "store": "SharedStore(slots=2).used; repr(memory), memory.slots, memory.path",
    "store in a file": "one = SharedStore(folder + '/limits'); repr(one), one.path, one.used",
    "store pickled": "SharedStore(folder + '/limits').__reduce__()",
    "store by limit": "rate_limit(1, store=SharedStore(folder + '/limits'), name='x')(give)",
    "foreign": "foreign(1); foreign.try_acquire(); foreign.retry_after(); foreign.reset()",
    "foreign coroutine": "run(local(1)); run(asking(1))",
    "cycle": "def f(): return f\none = rate_limit(1, key=lambda: one)(f); one(); f.me = one\n"
    "del f, one; gc.collect(0)",
    "methods": "rate_limit(1)(staticmethod(give)).__func__(1)",
    "exception": "RateLimited('x').__reduce__(); RateLimited('x').retry_after",
}

ERRORS = {
    "rate": "refuse(rate_limit); refuse(rate_limit, 0); refuse(rate_limit, 'x')",
    "huge": "refuse(rate_limit, 10 ** 400); refuse(rate_limit, 1e-18)",
    "parentheses": "refuse(rate_limit, give); refuse(rate_limit, True)",
    "counts": "refuse(rate_limit, 1, burst=0); refuse(rate_limit, 1, max_keys='x')",
    "counts too many": "refuse(rate_limit, 1, burst=10 ** 30); refuse(rate_limit, 1, burst=True)",
    "mode": "refuse(rate_limit, 1, mode='x'); refuse(rate_limit, 1, mode=1)",
    "callables": "refuse(rate_limit, 1, key=1); refuse(rate_limit, 1, clock=1)",
    "stores": "refuse(rate_limit, 1, store=1); refuse(rate_limit, 1, store=Store)",
    "store and clock": "refuse(rate_limit, 1, store=memory, clock=clock)",
    "name": "refuse(rate_limit, 1, name=5); refuse(rate_limit, 1, 2)",
    "not callable": "refuse(rate_limit(1), 5); refuse(rate_limit(1)); refuse(rate_limit(1), 1, 2)",
    "async generator": "refuse(rate_limit(1), generator)",
    "refused": "refuse(never, 1)",
    "refused by key": "refuse(busy, 1); refuse(busy, 2)",
    "function fails": "refuse(rate_limit(1e6)(fail), 1)",
    "key fails": "refuse(rate_limit(1, key=fail)(give), 1); refuse(keyed, [])",
    "key fails elsewhere": "refuse(keyed.retry_after, []); refuse(keyed.try_acquire, [])",
    "clock fails": "one = rate_limit(1, clock=fail)(give); refuse(one); refuse(one.try_acquire)",
    "clock gives nonsense": "for one in (nan, str): refuse(rate_limit(1, clock=one)(give))",
    "clock fails by key": "refuse(rate_limit(1, clock=fail, key=first)(give), 1)",
    "shared key": "refuse(by_key, object()); refuse(by_key, (1, object()))",
    "shared full": "refuse(rate_limit(1, store=full, name='z'), give)",
    "shared rule": "refuse(rate_limit(2, store=full, name='x'), give)",
    "store path": "refuse(SharedStore, folder); refuse(SharedStore, 5); refuse(SharedStore, '')",
    "store file": "refuse(SharedStore, folder + '/other'); refuse(SharedStore, folder + '/no/x')",
    "store slots": "refuse(SharedStore, slots=0); refuse(SharedStore, slots='x')",
    "store slots differ": "refuse(SharedStore, folder + '/limits', slots=5)",
    "store arguments": "refuse(SharedStore, 1, 2); refuse(memory.__reduce__)",
    "foreign fails": "refuse(rate_limit(1, store=Failing()), give)",
    "foreign nonsense": "refuse(rate_limit(1, store=Store(five))(give))",
    "coroutine arguments": "run(later(1)); refuse(later(1).throw, 5)",
    "attributes": "refuse(setattr, free, 'burst', 5)",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


@pytest.fixture(autouse=True)
def sleeps(monkeypatch):
    """Some are replaced."""
    monkeypatch.setattr(time, "sleep", time.sleep)
    name = "ferrule.calls._sleep"
    monkeypatch.setitem(sys.modules, name, importlib.import_module(name))


def ready(code, setup=SETUP):
    space = {"__name__": "ready"}
    exec(setup, space)
    return functools.partial(exec, compile(code, "case", "exec"), space)


@covers(
    *["rate_limit", "SharedStore", "SharedStore.__repr__", "SharedStore.__reduce__", "RateLimited"],
)
@covers("rate_limit", "SharedStore", "SharedStore.__reduce__", error=True)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    code = ready(CASES[case])
    no_leak(code, rounds=50 if "folder" in CASES[case] or "def " in CASES[case] else 300)


@pytest.mark.parametrize("case", [case for case in CASES if case not in ("cycle",)])
def test_every_allocation_fails_once(case):
    walk_oom(CASES[case], setup=SETUP)


def test_in_subinterpreters():
    tests = [f"def case_{i}():\n" + "\n".join(f"    {line}" for line in code.split("\n"))
             for i, code in enumerate(CASES.values())]  # fmt: skip
    calls = "\n".join(f"case_{i}()" for i in range(len(tests)))
    in_subinterpreter(SETUP + "\n".join(tests) + "\n" + calls)


@pytest.mark.parametrize("case", ["make", "call", "query", "reset", "shared", "store", "cycle"])
def test_in_threads(case):
    def work():
        code = ready(CASES[case])
        for _ in range(100):
            code()

    run_threads(work)


def test_threads_on_one_table(native):
    """Keys come, go and are reset, while others look for them."""
    numbers = itertools.count()

    class Key:
        def __init__(self, value):
            self.value = value

        def __hash__(self):
            return self.value % 8

        def __eq__(self, other):
            return isinstance(other, Key) and self.value == other.value

    limited = native.rate_limit(1e5, mode="raise", key=lambda x: x, max_keys=32)(lambda x: x)

    def work():
        for _ in range(300):
            for value in (next(numbers), 1, 2, 3):
                with contextlib.suppress(native.RateLimited):
                    limited(Key(value))
            if next(numbers) % 50 == 0:
                limited.reset()

    run_threads(work)


# ---- both implementations


def test_what_is_made_and_called_leaves_nothing(impl):
    def give(*args):
        return args

    async def coroutine():
        return 1

    def use():
        limited = impl.rate_limit(1e-3, mode="raise", key=lambda x: x)(give)
        limited(1), limited(2)
        with contextlib.suppress(impl.RateLimited):
            limited(1)
        limited.reset()
        awaited = impl.rate_limit(1e-3)(coroutine)
        for _ in range(2):
            awaited().close()
        limited.me = limited
        del limited, awaited
        gc.collect(0)

    no_leak(use, rounds=100)
