"""rate_limit against a model in exact arithmetic, and what follows from GCRA for any calls."""

import math
import time
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SECOND = 10**9
#: Nanoseconds: seconds as floats, and a sleep of at least two.
LATE = 10

#: `impl` is the same for all examples.
settled = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
rates = st.one_of(
    st.floats(1e-3, 1e6),
    st.integers(1, 10**6),
    st.sampled_from([1, 3, 7, 0.1, 0.3, 1e6, 1e9, 2 / 3]),
)
bursts = st.integers(1, 20)
#: Nanoseconds that pass before a call, in intervals.
gaps = st.lists(st.floats(0, 3), max_size=60)


class Clock:
    """Whole nanoseconds, given as seconds that round down to them."""

    def __init__(self):
        self.now = SECOND

    def __call__(self):
        seconds = self.now / SECOND
        while math.floor(seconds * 1e9) < self.now:
            seconds = math.nextafter(seconds, math.inf)
        # beyond 2**53 there may be no float for it: then time is what was told
        self.now = math.floor(seconds * 1e9)
        return seconds

    def sleep(self, seconds):
        self.now += math.ceil(seconds * SECOND)


class Model:
    """The virtual scheduling algorithm of GCRA, in words of ITU-T I.371."""

    def __init__(self, rate, burst):
        self.interval = math.ceil(SECOND / Fraction(rate))
        self.tolerance = self.interval * (burst - 1)
        self.arrival = None

    def wait(self, now):
        if self.arrival is None:
            return 0
        return max(0, self.arrival - self.tolerance - now)

    def take(self, now):
        self.arrival = max(now, self.arrival or now) + self.interval


@settled
@given(rates, bursts, gaps)
def test_refused_as_in_the_model(impl, rate, burst, gaps):
    clock, model = Clock(), Model(rate, burst)
    limited = impl.rate_limit(rate, burst=burst, mode="raise", clock=clock)(int)
    for gap in gaps:
        clock.now += math.ceil(gap * model.interval)
        clock()
        wait = model.wait(clock.now)
        assert limited.retry_after() == pytest.approx(wait / SECOND, rel=1e-9)
        try:
            limited()
        except impl.RateLimited as error:
            assert wait > 0
            assert error.retry_after == pytest.approx(wait / SECOND, rel=1e-9)
        else:
            assert wait == 0
            model.take(clock.now)


@settled
@given(rates, bursts, gaps, st.floats(0.1, 1))
def test_never_more_than_burst_and_rate_in_any_window(impl, rate, burst, gaps, early):
    """Whoever waits and however early the sleeps end. Here they end at most LATE too late."""
    clock = Clock()
    interval = math.ceil(SECOND / Fraction(rate))
    times = []
    limited = impl.rate_limit(rate, burst=burst, clock=clock)(lambda: times.append(clock.now))
    old, time.sleep = time.sleep, lambda seconds: clock.sleep(max(seconds * early, 2e-9))
    try:
        for gap in gaps:
            clock.now += math.ceil(gap * interval)
            limited()
    finally:
        time.sleep = old
    assert limited.allowed == len(times)
    for i, start in enumerate(times):
        for j in range(i, len(times)):
            assert j - i + 1 <= burst + Fraction(times[j] - start + LATE, interval)


@settled
@given(st.lists(st.one_of(st.floats(-5, 5), st.just(0.0)), max_size=60), bursts)
def test_clocks_that_step_back_and_forth(impl, steps, burst):
    """Time that passes is what goes forward; nothing else is given, and nobody is locked out."""
    clock = Clock()
    limited = impl.rate_limit(1, burst=burst, mode="raise", clock=clock)(int)
    limited()
    forward = 0
    for step in steps:
        clock.now = max(0, clock.now + round(step * SECOND))
        forward += max(0.0, step)
        limited.try_acquire()
        assert limited.allowed <= burst + forward + 1e-6
        assert limited.retry_after() <= 1
    clock.now += SECOND + 1
    assert limited.try_acquire()


@settled
@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 0.5)), max_size=80),
    st.integers(1, 4),
)
def test_keys_as_in_the_model(impl, calls, most):
    """Idle keys make room, busy ones never."""
    clock, models = Clock(), {}
    limited = impl.rate_limit(1, mode="raise", key=lambda x: x, max_keys=most, clock=clock)(int)
    for key, gap in calls:
        clock.now += math.ceil(gap * SECOND)
        clock()
        models = {k: m for k, m in models.items() if m.arrival > clock.now}
        room = key in models or len(models) < most
        try:
            limited(key)
        except impl.RateLimited:
            assert not room or models[key].wait(clock.now) > 0
        else:
            assert room
            models.setdefault(key, Model(1, 1)).take(clock.now)
