"""rate_limit: waiting and refusing, keys, clocks, counters, and what it refuses to take."""

import asyncio
import copy
import decimal
import fractions
import gc
import inspect
import math
import pickle
import signal
import threading
import time
import weakref

import pytest

from lifetime import run_threads

SECOND = 1_000_000_000


class Clock:
    """Seconds that pass when somebody sleeps."""

    def __init__(self, now=100.0):
        self.now = now
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    """A clock of its own, with time.sleep that moves it."""
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    return clock


def give(*args, **kwargs):
    """Nothing but what it got."""
    return args, kwargs


# ---- the article's example


def test_the_article(impl):
    @impl.rate_limit(10)
    def fetch_api_data():
        """Fetch data from the external source."""
        return {"data": "..."}

    assert fetch_api_data() == {"data": "..."}
    assert fetch_api_data.__name__ == "fetch_api_data"
    assert fetch_api_data.__doc__ == "Fetch data from the external source."
    assert fetch_api_data.__wrapped__() == {"data": "..."}
    assert str(inspect.signature(fetch_api_data)) == "()"


# ---- waiting and refusing


def test_calls_too_many_wait(impl, clock):
    limited = impl.rate_limit(4, clock=clock)(give)
    for i in range(5):
        assert limited(i, x=i) == ((i,), {"x": i})
        assert clock.now == pytest.approx(100 + i / 4)
    assert clock.slept == pytest.approx([0.25] * 4)
    assert (limited.allowed, limited.waited, limited.rejected, limited.cancelled) == (5, 4, 0, 0)


def test_calls_too_many_are_refused(impl, clock):
    limited = impl.rate_limit(4, mode="raise", clock=clock)(give)
    limited()
    clock.now += 0.15
    with pytest.raises(impl.RateLimited) as caught:
        limited()
    assert caught.value.retry_after == pytest.approx(0.1)
    assert caught.value.key is None
    assert str(caught.value).startswith(
        "give: limited to 4 calls per second (burst 1); retry after 0."
    )
    clock.now += 0.101
    limited()
    assert (limited.allowed, limited.waited, limited.rejected) == (2, 0, 1)
    assert clock.slept == []


@pytest.mark.parametrize("burst", [1, 2, 10])
def test_a_burst(impl, clock, burst):
    limited = impl.rate_limit(10, burst=burst, mode="raise", clock=clock)(give)
    for _ in range(3):
        for _ in range(burst):
            limited()
        with pytest.raises(impl.RateLimited):
            limited()
        clock.now += burst / 10 + 1e-6
    assert (limited.allowed, limited.rejected) == (3 * burst, 3)


def test_half_a_burst_comes_back_in_half_the_time(impl, clock):
    limited = impl.rate_limit(10, burst=10, mode="raise", clock=clock)(give)
    for _ in range(10):
        limited()
    clock.now += 0.5 + 1e-6
    for _ in range(5):
        limited()
    with pytest.raises(impl.RateLimited):
        limited()


def test_who_wakes_early_sleeps_again(impl, clock, monkeypatch):
    limited = impl.rate_limit(1, clock=clock)(give)
    limited()
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.sleep(min(seconds, 0.375)))
    limited()
    assert clock.now >= 101
    assert clock.slept == pytest.approx([0.375, 0.375, 0.25])
    assert (limited.allowed, limited.waited) == (2, 1)


def test_the_system_clock(impl):
    limited = impl.rate_limit(500, burst=3)(give)
    start = time.monotonic()
    for _ in range(13):
        limited()
    assert time.monotonic() - start >= 10 / 500
    assert (limited.allowed, limited.waited) == (13, limited.waited)


def test_slow_rates(impl, clock):
    limited = impl.rate_limit(1 / 3600, mode="raise", clock=clock)(give)
    limited()
    clock.now += 3599
    with pytest.raises(impl.RateLimited) as caught:
        limited()
    assert caught.value.retry_after == pytest.approx(1)
    clock.now += 1.01
    limited()


@pytest.mark.parametrize("rate", [1, 3, 7, 0.1, 0.3, 2 / 3, 1e6, 1e9, 123.456])
def test_never_faster_than_the_rate(impl, rate):
    """An interval is rounded up to whole nanoseconds."""
    limited = impl.rate_limit(rate, mode="raise", clock=Clock(0.0))(give)
    limited()
    interval = round(limited.retry_after() * SECOND)
    assert interval * fractions.Fraction(rate) >= SECOND
    assert (interval - 1) * fractions.Fraction(rate) < SECOND


def test_the_exception_can_be_pickled(impl, clock):
    limited = impl.rate_limit(4, mode="raise", key=lambda x: x, clock=clock)(give)
    limited("k")
    with pytest.raises(impl.RateLimited) as caught:
        limited("k")
    for again in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert type(again) is impl.RateLimited
        assert (str(again), again.retry_after, again.key) == (str(caught.value), 0.25, "k")


def test_the_exception_alone(impl):
    error = impl.RateLimited("text")
    assert (error.retry_after, error.key, str(error)) == (0.0, None, "text")


# ---- what else it can do


def test_attributes(impl):
    limited = impl.rate_limit(5, burst=7)(give)
    assert (limited.calls_per_sec, limited.burst, limited.mode) == (5.0, 7, "wait")
    assert impl.rate_limit(5, mode="raise")(give).mode == "raise"
    assert type(limited.calls_per_sec) is float


def test_attributes_cannot_be_set(native):
    limited = native.rate_limit(5)(give)
    for name in ("calls_per_sec", "burst", "mode", "allowed", "waited", "rejected", "cancelled"):
        with pytest.raises(AttributeError):
            setattr(limited, name, 1)


def test_retry_after_takes_nothing(impl, clock):
    limited = impl.rate_limit(4, burst=2, clock=clock)(give)
    assert limited.retry_after() == 0.0
    limited()
    assert [limited.retry_after(), limited.retry_after()] == [0.0, 0.0]
    limited()
    assert limited.retry_after("anything", x=1) == pytest.approx(0.25)
    clock.now += 0.2
    assert limited.retry_after() == pytest.approx(0.05)
    assert limited.allowed == 2


def test_try_acquire(impl, clock):
    called = []
    limited = impl.rate_limit(4, clock=clock)(called.append)
    assert limited.try_acquire()
    assert not limited.try_acquire()
    assert (limited.allowed, limited.rejected) == (1, 1)
    clock.now += 0.25
    assert limited.try_acquire("x", y=1)
    assert called == [] and clock.slept == []


def test_reset(impl, clock):
    limited = impl.rate_limit(4, mode="raise", clock=clock)(give)
    limited()
    with pytest.raises(impl.RateLimited):
        limited()
    assert limited.reset() is None
    assert (limited.allowed, limited.waited, limited.rejected, limited.cancelled) == (0, 0, 0, 0)
    limited()


def test_reset_of_keys(impl, clock):
    limited = impl.rate_limit(4, mode="raise", key=lambda x: x, clock=clock)(give)
    limited(1), limited(2)
    limited.reset()
    limited(1), limited(2)
    with pytest.raises(impl.RateLimited):
        limited(1)


# ---- keys


def test_each_key_has_its_limit(impl, clock):
    limited = impl.rate_limit(4, mode="raise", key=lambda user, **_: user, clock=clock)(give)
    for user in ("a", "b", 1, (1, 2), None):
        assert limited(user, x=1) == ((user,), {"x": 1})
    for user in ("a", "b", 1.0, (1, 2), None):
        with pytest.raises(impl.RateLimited) as caught:
            limited(user)
        assert caught.value.key == user
    assert limited.retry_after("a") == pytest.approx(0.25)
    assert limited.retry_after("c") == 0.0
    assert not limited.try_acquire("a")
    assert limited.try_acquire("d")


def test_keys_wait_alone(impl, clock):
    limited = impl.rate_limit(4, key=lambda x: x, clock=clock)(give)
    for x in ("a", "b", "a", "b"):
        limited(x)
    assert clock.now == pytest.approx(100.25)
    assert (limited.allowed, limited.waited) == (4, 1)


def test_many_keys(impl, clock):
    limited = impl.rate_limit(1, mode="raise", key=lambda x: x, clock=clock)(give)
    for i in range(3000):
        limited(i)
    for i in range(3000):
        with pytest.raises(impl.RateLimited):
            limited(i)
    clock.now += 1.1
    for i in range(3000):
        limited(i)


def test_idle_keys_make_room(impl, clock):
    class Key:
        pass

    limited = impl.rate_limit(1, mode="raise", key=lambda x: x, max_keys=10, clock=clock)(give)
    keys = [Key() for _ in range(10)]
    refs = [weakref.ref(key) for key in keys]
    for key in keys[:5]:
        limited(key)
    clock.now += 0.5
    for key in keys[5:]:
        limited(key)
    with pytest.raises(impl.RateLimited) as caught:
        limited(Key())
    assert caught.value.retry_after == pytest.approx(0.5)
    assert "all keys are in use" in str(caught.value)
    clock.now += 0.6
    limited("new")
    for key in keys[5:]:
        with pytest.raises(impl.RateLimited):
            limited(key)  # a busy one is never forgotten
    del keys, key, caught
    gc.collect()
    assert [ref() is None for ref in refs] == [True] * 5 + [False] * 5
    for i in range(4):
        limited(i)
    with pytest.raises(impl.RateLimited):
        limited(4)


def test_all_keys_busy_for_those_who_wait(impl, clock):
    limited = impl.rate_limit(1, key=lambda x: x, max_keys=1, clock=clock)(give)
    limited(1)
    with pytest.raises(impl.RateLimited):
        limited(2)
    assert limited.retry_after(2) == pytest.approx(1)
    assert not limited.try_acquire(2)
    limited(1)
    assert (limited.allowed, limited.waited, limited.rejected) == (2, 1, 2)


def test_bounded_memory(native, clock):
    limited = native.rate_limit(1e9, mode="raise", key=lambda x: x, max_keys=100, clock=clock)(give)
    for i in range(10_000):
        clock.now += 1e-6
        limited(i)
    assert len(gc.get_referents(limited)) < 120


class Hostile:
    """A key with a mind of its own."""

    def __init__(self, eq=None, hash=5):
        self.eq, self.hash = eq, hash

    def __hash__(self):
        if isinstance(self.hash, int):
            return self.hash
        raise self.hash

    def __eq__(self, other):
        if self.eq is None:
            return NotImplemented
        return self.eq(self, other)


def raising(error):
    def function(*_):
        raise error

    return function


@pytest.mark.parametrize("mode", ["wait", "raise"])
def test_bad_keys_take_no_permit(impl, clock, mode):
    limited = impl.rate_limit(1, mode=mode, key=lambda x: x, clock=clock)(give)
    for bad in ([], {}, {1}):
        with pytest.raises(TypeError, match="unhashable type"):
            limited(bad)
    with pytest.raises(ZeroDivisionError):
        limited(Hostile(hash=ZeroDivisionError()))
    limited(Hostile())
    with pytest.raises(KeyError):
        limited(Hostile(raising(KeyError())))
    assert (limited.allowed, limited.waited, limited.rejected, limited.cancelled) == (1, 0, 0, 0)


def test_key_functions_that_fail(impl, clock):
    limited = impl.rate_limit(1, key=lambda x: 1 // x, clock=clock)(give)
    with pytest.raises(ZeroDivisionError):
        limited(0)
    with pytest.raises(TypeError, match="positional argument"):
        limited()
    for method in (limited.retry_after, limited.try_acquire):
        with pytest.raises(ZeroDivisionError):
            method(0)
    assert (limited.allowed, limited.rejected) == (0, 0)


def test_eq_that_enters_keys(impl, clock):
    """The table changes, and changes its size, while it is searched."""
    limited = impl.rate_limit(1, mode="raise", key=lambda x: x, clock=clock)(give)
    busy = []

    def meddle(self, other):
        if not busy:
            busy.append(1)
            for i in range(100):
                limited(i)
        return self is other

    limited(Hostile())
    limited(Hostile(meddle))
    assert limited.allowed == 102


def test_eq_that_resets(native, clock):
    limited = native.rate_limit(1, mode="raise", key=lambda x: x, clock=clock)(give)

    def meddle(*_):
        limited.reset()
        gc.collect()
        return False

    limited(Hostile())
    limited(Hostile(meddle))
    assert limited.allowed == 1


def test_one_key_in_threads(impl):
    limited = impl.rate_limit(1e-3, burst=100, mode="raise", key=lambda x: x)(give)

    def work():
        for i in range(100):
            for key in (i, "same"):
                try:
                    limited(key)
                except impl.RateLimited:
                    assert key == "same"

    run_threads(work)
    assert (limited.allowed, limited.rejected) == (100 * 8 + 100, 700)


# ---- clocks


def test_a_clock_that_steps_back(impl, clock):
    limited = impl.rate_limit(1, mode="raise", clock=clock)(give)
    limited()
    clock.now = 50.0  # nothing gained
    with pytest.raises(impl.RateLimited) as caught:
        limited()
    assert caught.value.retry_after == pytest.approx(1)  # and nothing waited for
    clock.now = 50.5
    with pytest.raises(impl.RateLimited):
        limited()
    clock.now = 51.25
    limited()


def test_a_clock_that_steps_back_while_waiting(impl, clock, monkeypatch):
    limited = impl.rate_limit(1, clock=clock)(give)
    limited()
    steps = iter([-1000.0])

    def sleep(seconds):
        clock.sleep(next(steps, seconds))

    monkeypatch.setattr(time, "sleep", sleep)
    limited()
    assert len(clock.slept) == 2


@pytest.mark.parametrize("now", [0.0, -5.0, -1e9, 1e9, 5])
def test_clocks_begin_anywhere(impl, now):
    clock = Clock(now)
    limited = impl.rate_limit(1, mode="raise", burst=2, clock=clock)(give)
    limited(), limited()
    with pytest.raises(impl.RateLimited):
        limited()
    clock.now += 1.1
    limited()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30, 10**400])
def test_clocks_that_give_no_time(impl, value):
    limited = impl.rate_limit(1, clock=lambda: value)(give)
    with pytest.raises((ValueError, OverflowError)):
        limited()
    assert limited.allowed == 0


@pytest.mark.parametrize("value", ["1", None, 1j])
def test_clocks_that_give_something_else(impl, value):
    limited = impl.rate_limit(1, clock=lambda: value)(give)
    with pytest.raises(TypeError, match="wanted seconds as a finite float"):
        limited()


def test_clocks_that_fail(impl, clock):
    limited = impl.rate_limit(1, clock=raising(ZeroDivisionError()))(give)
    for call in (limited, limited.retry_after, limited.try_acquire):
        with pytest.raises(ZeroDivisionError):
            call()
    assert (limited.allowed, limited.cancelled) == (0, 0)


def test_a_clock_that_fails_while_waiting(impl, clock):
    """The permit is handed back."""
    fail = []

    def read():
        if fail and clock.slept:
            raise fail.pop()
        return clock()

    limited = impl.rate_limit(1, clock=read)(give)
    limited()
    fail.append(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        limited()
    assert (limited.allowed, limited.cancelled) == (1, 1)
    limited()
    assert limited.waited == 0


def test_a_clock_that_calls(impl, clock):
    """It calls the function whose limit it is read for."""
    depth = []

    def read():
        if not depth:
            depth.append(1)
            limited()
        return clock()

    limited = impl.rate_limit(1, mode="raise", clock=read)(give)
    with pytest.raises(impl.RateLimited):
        limited()
    assert (limited.allowed, limited.rejected) == (1, 1)


def test_a_clock_under_threads_never_gives_more(impl):
    """Readings arrive out of order; that is no step back."""
    start = time.monotonic()
    limited = impl.rate_limit(1000, mode="raise", clock=time.monotonic)(give)

    def work():
        for _ in range(2000):
            limited.try_acquire()

    run_threads(work)
    assert limited.allowed <= 1 + (time.monotonic() - start) * 1000


# ---- what is waited for and given up


class Stop(BaseException):
    """As KeyboardInterrupt, but only here."""


def test_an_interrupted_wait_hands_its_permit_back(impl, clock, monkeypatch):
    limited = impl.rate_limit(1, clock=clock)(give)
    limited()
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", raising(Stop()))
        for _ in range(3):
            with pytest.raises(Stop):
                limited()
    assert limited.retry_after() == pytest.approx(1)
    assert (limited.allowed, limited.waited, limited.cancelled) == (1, 0, 3)
    limited()
    assert clock.now == pytest.approx(101)


def test_those_in_the_middle_give_up(impl, clock, monkeypatch):
    """Three wait, each in the sleep of the one before; the first and the last give up."""
    limited = impl.rate_limit(1, clock=clock)(give)
    limited()
    order = []

    def third(seconds):
        order.append(seconds)
        raise Stop

    def second(seconds):
        order.append(seconds)
        monkeypatch.setattr(time, "sleep", third)
        with pytest.raises(Stop):
            limited()  # for time 103: it was the last
        monkeypatch.setattr(time, "sleep", clock.sleep)
        clock.sleep(seconds)

    def first(seconds):
        order.append(seconds)
        monkeypatch.setattr(time, "sleep", second)
        limited()
        raise Stop

    monkeypatch.setattr(time, "sleep", first)
    with pytest.raises(Stop):
        limited()
    assert order == pytest.approx([1, 2, 3])
    assert clock.now == pytest.approx(102)
    # the first's time (101) is over, so it serves nobody; the third's (103) was the last
    assert limited.retry_after() == pytest.approx(1)
    assert (limited.allowed, limited.waited, limited.cancelled) == (2, 1, 2)


def test_a_signal_ends_the_wait(impl):
    limited = impl.rate_limit(1 / 3600)(give)
    limited()
    old = signal.signal(signal.SIGALRM, raising(Stop()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Stop):
            limited()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert (limited.allowed, limited.waited, limited.cancelled) == (1, 0, 1)
    assert 3500 < limited.retry_after() < 3601  # as if nobody had waited


def test_a_signal_that_is_handled_does_not(impl):
    seen = []
    limited = impl.rate_limit(10)(give)
    limited()
    old = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    start = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        limited()
    finally:
        signal.signal(signal.SIGALRM, old)
    assert seen == [1] and time.monotonic() - start >= 0.099


def test_others_run_while_one_waits(impl):
    limited = impl.rate_limit(20)(give)
    limited()
    waiting = threading.Event()
    ran = []

    def work():
        waiting.set()
        limited()

    thread = threading.Thread(target=work)
    thread.start()
    waiting.wait()
    while thread.is_alive():
        ran.append(1)
        time.sleep(0)
    thread.join()
    assert ran


def test_a_far_queue_is_refused(impl, clock, monkeypatch):
    """Nobody waits for more than 36 years."""
    limited = impl.rate_limit(1e-9, clock=clock)(give)
    limited()
    seen = []

    def sleep(seconds):
        seen.append(seconds)
        with pytest.raises(impl.RateLimited) as caught:
            limited()
        assert caught.value.retry_after > 1.9e9
        raise Stop

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(Stop):
        limited()
    assert seen == pytest.approx([1e9])
    assert (limited.rejected, limited.cancelled) == (1, 1)


def test_what_the_function_raises_costs_its_permit(impl, clock):
    for error in (ValueError("x"), Stop(), KeyboardInterrupt(), GeneratorExit()):
        limited = impl.rate_limit(1, mode="raise", clock=clock)(raising(error))
        with pytest.raises(type(error)):
            limited()
        with pytest.raises(impl.RateLimited):
            limited()
        assert (limited.allowed, limited.rejected) == (1, 1)


def test_a_function_that_calls_itself(impl, clock):
    @impl.rate_limit(1, clock=clock)
    def down(n):
        return n if n == 0 else down(n - 1)

    assert down(5) == 0
    assert clock.now == pytest.approx(105)
    assert (down.allowed, down.waited) == (6, 5)


def test_counters_are_exact_in_threads(impl):
    limited = impl.rate_limit(1e-3, burst=1000, mode="raise")(give)

    def work():
        for _ in range(500):
            try:
                limited()
            except impl.RateLimited:
                limited.try_acquire()

    run_threads(work)
    assert (limited.allowed, limited.rejected) == (1000, 2 * 3000)


def test_threads_never_call_above_the_rate(impl):
    limited = impl.rate_limit(2000, burst=5)(give)
    limited.reset()
    start = time.monotonic()
    end = start + 0.3

    def work():
        while time.monotonic() < end:
            limited()

    run_threads(work)
    assert limited.allowed <= 5 + (time.monotonic() - start) * 2000
    assert limited.waited <= limited.allowed


# ---- what it is put on


class Thing:
    """Holds limited methods, made by `methods`."""


def methods(impl, **options):
    class Things:
        @impl.rate_limit(1, mode="raise", **options)
        def method(self, x):
            return self, x

        @impl.rate_limit(1, mode="raise", **options)
        @staticmethod
        def static(x):
            return x

        @staticmethod
        @impl.rate_limit(1, mode="raise", **options)
        def static_inside(x):
            return x

        @impl.rate_limit(1, mode="raise", **options)
        @classmethod
        def of_class(cls, x):
            return cls, x

    return Things


def test_methods(impl, clock):
    cls = methods(impl, clock=clock)
    thing = cls()
    assert thing.method(1) == (thing, 1)
    assert cls.static(2) == 2
    assert cls.static_inside(2) == 2
    assert cls.of_class(3) == (cls, 3)
    for call in (thing.method, cls().method, thing.static, cls.static_inside, thing.of_class):
        with pytest.raises(impl.RateLimited):
            call(1)
    assert cls.method.rejected == 2 and thing.method.allowed == 1


def test_methods_by_instance(impl, clock):
    cls = methods(impl, clock=clock, key=lambda owner, x: owner)
    one, two = cls(), cls()
    one.method(1), two.method(1)
    with pytest.raises(impl.RateLimited) as caught:
        one.method(x=1)
    assert caught.value.key is one
    assert cls.of_class(1) == (cls, 1)


def test_generators_are_limited_at_the_call(impl, clock):
    @impl.rate_limit(1, mode="raise", clock=clock)
    def numbers(n):
        yield from range(n)

    made = numbers(3)
    with pytest.raises(impl.RateLimited):
        numbers(3)
    assert list(made) == [0, 1, 2]
    assert inspect.isgeneratorfunction(numbers)


def test_classes_and_other_callables(impl, clock):
    limited = impl.rate_limit(1, mode="raise", clock=clock)(Thing)
    assert type(limited()) is Thing
    with pytest.raises(impl.RateLimited, match="^Thing: "):
        limited()
    assert impl.rate_limit(1)(len)([1]) == 1
    nested = impl.rate_limit(1, mode="raise", clock=clock)(impl.rate_limit(1, clock=clock)(give))
    assert nested(1) == ((1,), {})
    assert (nested.allowed, nested.__wrapped__.allowed) == (1, 1)


def test_one_decorator_for_many(impl, clock):
    limit = impl.rate_limit(1, mode="raise", clock=clock)
    one, two = limit(give), limit(give)
    one(), two()
    with pytest.raises(impl.RateLimited):
        one()
    assert (one.allowed, one.rejected, two.rejected) == (1, 1, 0)


def test_it_dies(impl):
    def make():
        def function():
            return function

        limited = impl.rate_limit(1, key=lambda x: limited)(function)
        function.limited = limited
        return weakref.ref(limited)

    ref = make()
    gc.collect()
    assert ref() is None


# ---- bad arguments


@pytest.mark.parametrize("rate", [0, -1, 0.0, -0.5, math.nan, math.inf, -math.inf, 1.1e9, 10**400])
def test_rates_out_of_range(impl, rate):
    with pytest.raises(ValueError, match="calls_per_sec: wanted more than 0 and at most 1e9, got"):
        impl.rate_limit(rate)


@pytest.mark.parametrize("rate", ["10", b"10", None, [], True, 1j])
def test_rates_that_are_no_numbers(impl, rate):
    with pytest.raises(TypeError, match="calls_per_sec: wanted a number, got"):
        impl.rate_limit(rate)


def test_the_parentheses_are_missing(impl):
    with pytest.raises(TypeError, match=r"got function \(write @rate_limit\(10\), with the rate\)"):

        @impl.rate_limit
        def function():
            pass


@pytest.mark.parametrize("rate", [5, 5.0, fractions.Fraction(5), decimal.Decimal(5)])
def test_rates_of_all_kinds(impl, rate):
    assert impl.rate_limit(rate)(give).calls_per_sec == 5.0


def test_rates_and_bursts_beyond_all_time(impl):
    for rate, burst in ((1e-300, 1), (1e-9, 2), (1, 1 << 50), (1e9, (1 << 57) - 1)):
        if burst / rate > 2**60 / 1e9:
            with pytest.raises(ValueError, match="wanted at most 36 years"):
                impl.rate_limit(rate, burst=burst)
        else:
            impl.rate_limit(rate, burst=burst)


@pytest.mark.parametrize("name", ["burst", "max_keys"])
def test_bad_counts(impl, name):
    for value in (1.0, "1", None, True, []):
        with pytest.raises(TypeError, match=f"rate_limit: {name}: wanted an int, got"):
            impl.rate_limit(1, **{name: value})
    for value in (0, -1, -(10**30)):
        with pytest.raises(ValueError, match=f"rate_limit: {name}: wanted at least 1, got"):
            impl.rate_limit(1, **{name: value})
    with pytest.raises(ValueError, match="at most"):
        impl.rate_limit(1, **{name: 10**30})


def test_bad_modes(impl):
    with pytest.raises(ValueError, match="mode: wanted 'wait' or 'raise', got 'sleep'"):
        impl.rate_limit(1, mode="sleep")
    with pytest.raises(TypeError, match="mode: wanted 'wait' or 'raise', got int"):
        impl.rate_limit(1, mode=1)


def test_bad_callables(impl):
    for name in ("key", "clock"):
        with pytest.raises(TypeError, match=f"{name}: wanted a callable or None, got int"):
            impl.rate_limit(1, **{name: 5})
        impl.rate_limit(1, **{name: None})


def test_bad_stores(impl):
    for store in (5, "redis", {}, impl.SharedStore):
        with pytest.raises(TypeError, match="store: wanted a SharedStore, a RedisStore or None"):
            impl.rate_limit(1, store=store)
    with pytest.raises(TypeError, match="name: wanted a str or None, got int"):
        impl.rate_limit(1, name=5)


def test_what_is_decorated_can_be_called(impl):
    limit = impl.rate_limit(1)
    with pytest.raises(TypeError, match="rate_limit: wanted a callable, got int"):
        limit(5)
    with pytest.raises(TypeError, match="got property"):
        limit(property(give))


def test_wrong_arguments(impl):
    with pytest.raises(TypeError):
        impl.rate_limit()
    with pytest.raises(TypeError):
        impl.rate_limit(1, 2)
    with pytest.raises(TypeError):
        impl.rate_limit(1, burts=2)


def test_async_generators_do_not_wait(impl, clock):
    async def numbers():
        yield 1

    with pytest.raises(TypeError, match="use mode='raise'"):
        impl.rate_limit(1)(numbers)

    limited = impl.rate_limit(1, mode="raise", clock=clock)(numbers)

    async def main():
        return [x async for x in limited()]

    assert asyncio.run(main()) == [1]
    with pytest.raises(impl.RateLimited):
        limited()


def test_identity(native):
    limited = native.rate_limit(1)(give)
    assert inspect.signature(limited) == inspect.signature(give)
    assert isinstance(limited, native.Wrapper)
    assert str(inspect.signature(native.rate_limit)) == (
        "(calls_per_sec, *, burst=1, key=None, mode='wait', store=None, name=None, "
        "max_keys=65536, clock=None)"
    )
