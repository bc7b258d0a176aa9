"""retry: attempts, waits, what is told, what is raised, arguments; functions and methods."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
import math
import pickle
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from fractions import Fraction
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

LOGGER = "ferrule.calls"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No warnings to stderr unless a test asks for them."""
    logger = logging.getLogger(LOGGER)
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What time.sleep was called with; nobody sleeps."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


class Flaky:
    """A function that fails `failures` times, then gives its arguments."""

    def __init__(self, failures: int, error: Callable[[int], BaseException] = ValueError) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error(self.calls)
        return args, kwargs


# ---- the loop


def test_success_at_once(impl: ModuleType, sleeps: list[float]) -> None:
    flaky = Flaky(0)
    assert impl.retry(3, 0.5)(flaky)(1, k=2) == ((1,), {"k": 2})
    assert (flaky.calls, sleeps) == (1, [])


@pytest.mark.parametrize("failures", [1, 2])
def test_failures_then_success(impl: ModuleType, sleeps: list[float], failures: int) -> None:
    flaky = Flaky(failures)
    assert impl.retry(3, 0.5)(flaky)(1, k=2) == ((1,), {"k": 2})
    assert (flaky.calls, sleeps) == (failures + 1, [0.5, 1.0][:failures])


def test_all_fail(impl: ModuleType, sleeps: list[float]) -> None:
    flaky = Flaky(9)
    with pytest.raises(ValueError) as caught:
        impl.retry(4, 0.25)(flaky)()
    assert caught.value.args == (4,)
    assert flaky.calls == 4
    assert sleeps == [0.25, 0.5, 1.0]  # none after the last


def test_defaults_are_the_articles(impl: ModuleType, sleeps: list[float]) -> None:
    flaky = Flaky(9)
    with pytest.raises(ValueError):
        impl.retry()(flaky)()
    assert (flaky.calls, sleeps) == (3, [1.0, 2.0])


def test_bare(impl: ModuleType, sleeps: list[float]) -> None:
    @impl.retry
    def f(x: int) -> int:
        """Doc."""
        raise OSError(x)

    with pytest.raises(OSError):
        f(3)
    assert sleeps == [1.0, 2.0]
    assert (f.__name__, f.__doc__, f.max_attempts) == ("f", "Doc.", 3)
    assert str(inspect.signature(f)) == "(x: 'int') -> 'int'"


def test_bare_mock(impl: ModuleType) -> None:
    """A function that could be an int as well is still a function."""
    function = mock.MagicMock(return_value=5)
    function.__index__.return_value = 2
    assert impl.retry(function)("x") == 5
    function.assert_called_once_with("x")


def test_one_attempt(impl: ModuleType, sleeps: list[float]) -> None:
    flaky = Flaky(1)
    with pytest.raises(ValueError) as caught:
        impl.retry(1)(flaky)()
    assert (flaky.calls, sleeps, len(caught.value.retry_history)) == (1, [], 1)


def test_the_last_error_itself_with_its_traceback(impl: ModuleType) -> None:
    errors = [ValueError("first"), KeyError("second")]

    def fail() -> None:
        raise errors[fail.calls]  # type: ignore[attr-defined]

    wrapped = impl.retry(2, 0, printer=lambda text: setattr(fail, "calls", 1))(fail)
    fail.calls = 0  # type: ignore[attr-defined]
    with pytest.raises(KeyError) as caught:
        wrapped()
    assert caught.value is errors[1]
    assert caught.value.__context__ is None and caught.value.__cause__ is None
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert [frames[0].name, frames[-1].name] == [
        "test_the_last_error_itself_with_its_traceback",
        "fail",
    ]
    assert not hasattr(caught.value, "__notes__")


def test_arguments_are_the_same_objects_each_time(impl: ModuleType) -> None:
    seen: list[Any] = []

    @impl.retry(3, 0)
    def f(*args: Any, **kwargs: Any) -> None:
        args[0].append(1)
        seen.append((args[0], args[1], kwargs))
        raise ValueError

    given, other = [0], object()
    with pytest.raises(ValueError):
        f(given, other, k=other)
    assert given == [0, 1, 1, 1]  # what the function changes is changed
    assert all(a is given and b is other and k == {"k": other} for a, b, k in seen)


def test_many_arguments(impl: ModuleType) -> None:
    flaky = Flaky(2)
    args, kwargs = tuple(range(30)), {f"k{i}": i for i in range(30)}
    assert impl.retry(3, 0)(flaky)(*args, **kwargs) == (args, kwargs)


def test_endless_until_it_works(impl: ModuleType) -> None:
    flaky = Flaky(2_000)
    wrapped = impl.retry(10**30, 0)(flaky)
    assert wrapped() == ((), {})
    assert wrapped.retries == 2_000


# ---- waits


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"delay": 3, "backoff": 1}, [3.0, 3.0, 3.0, 3.0]),
        ({"delay": 1, "backoff": 3}, [1.0, 3.0, 9.0, 27.0]),
        ({"delay": 8, "backoff": 0.5}, [8.0, 4.0, 2.0, 1.0]),
        ({"delay": 2, "backoff": 0}, [2.0]),
        ({"delay": 1, "max_delay": 3}, [1.0, 2.0, 3.0, 3.0]),
        ({"delay": 1, "max_delay": 0}, []),
        ({"delay": 0}, []),
        ({"delay": 0, "backoff": 1e308}, []),
        ({"delay": Fraction(1, 4)}, [0.25, 0.5, 1.0, 2.0]),
        ({"delay": 1, "max_delay": math.inf, "deadline": math.inf}, [1.0, 2.0, 4.0, 8.0]),
    ],
)
def test_waits(
    impl: ModuleType, sleeps: list[float], options: dict[str, Any], wanted: list[float]
) -> None:
    with pytest.raises(ValueError):
        impl.retry(5, **options)(Flaky(9))()
    assert sleeps == wanted  # no sleep of nothing


@pytest.mark.parametrize("options", [{"delay": 1e300}, {"backoff": 1e200}, {"backoff": 1e-200}])
def test_waits_stay_finite(impl: ModuleType, sleeps: list[float], options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        impl.retry(200, **options)(Flaky(999))()
    assert all(0 <= wait <= 1e9 for wait in sleeps)
    sleeps.clear()
    with pytest.raises(ValueError):
        impl.retry(200, max_delay=7, **options)(Flaky(999))()
    assert max(sleeps) <= 7


def test_jitter(impl: ModuleType, sleeps: list[float]) -> None:
    draws = iter([0.0, 0.25, 1.0, 0.5])
    with pytest.raises(ValueError):
        impl.retry(5, 4, jitter=True, max_delay=20, random=lambda: next(draws))(Flaky(9))()
    assert sleeps == [2.0, 16.0, 10.0]


def test_jitter_of_the_module_random(impl: ModuleType, sleeps: list[float]) -> None:
    random.seed(7)
    wanted = [random.random() * 2.0**k for k in range(4)]
    random.seed(7)
    with pytest.raises(ValueError):
        impl.retry(5, jitter=True)(Flaky(9))()
    assert sleeps == wanted


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_bad_random(impl: ModuleType, sleeps: list[float], bad: float) -> None:
    with pytest.raises(ValueError, match="random must give a number from 0 to 1") as caught:
        impl.retry(jitter=True, random=lambda: bad)(Flaky(9, OSError))()
    assert isinstance(caught.value.__context__, OSError)
    with pytest.raises(TypeError):
        impl.retry(jitter=True, random=lambda: None)(Flaky(9))()
    assert sleeps == []


class Clock:
    """A clock by hand; time.sleep moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_deadline(impl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)
    flaky = Flaky(99)
    with pytest.raises(ValueError) as caught:
        impl.retry(99, 1, deadline=7, clock=clock)(flaky)()
    # 1 + 2 + 4 reach it exactly; the next 8 would pass it
    assert (clock.now, flaky.calls) == (107.0, 4)
    assert [a.wait for a in caught.value.retry_history] == [1.0, 2.0, 4.0, 0.0]


def test_deadline_counts_what_the_function_takes(
    impl: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "sleep", clock.sleep)

    @impl.retry(99, 1, backoff=1, deadline=9, clock=clock)
    def slow() -> None:
        clock.now += 4
        raise ValueError

    with pytest.raises(ValueError):
        slow()
    assert (slow.attempts, clock.now) == (2, 109.0)  # 4, a sleep of 1, 4: the next would end at 10


def test_deadline_of_nothing(impl: ModuleType, sleeps: list[float]) -> None:
    flaky = Flaky(9)
    with pytest.raises(ValueError):
        impl.retry(deadline=0)(flaky)()
    assert (flaky.calls, sleeps) == (1, [])
    flaky = Flaky(2)
    impl.retry(3, 0, deadline=0, clock=lambda: 5)(flaky)()  # a wait of nothing passes no deadline
    assert flaky.calls == 3


def test_deadline_with_a_clock_that_steps_back(impl: ModuleType, sleeps: list[float]) -> None:
    times = iter([100.0, 104.0, 50.0, 60.0, 106.0])
    flaky = Flaky(99)
    with pytest.raises(ValueError):
        impl.retry(99, 3, backoff=1, deadline=8, clock=lambda: next(times))(flaky)()
    # elapsed 4, and no less after the step back: 4 + 3 <= 8, thrice; then 6 + 3 > 8
    assert (flaky.calls, sleeps) == (4, [3.0, 3.0, 3.0])


def test_deadline_by_the_monotonic_clock(impl: ModuleType, sleeps: list[float]) -> None:
    flaky = Flaky(99)
    with pytest.raises(ValueError):
        impl.retry(99, 1000, backoff=1, deadline=1500)(flaky)()
    assert sleeps and set(sleeps) == {1000.0}
    assert impl.retry(deadline=100)(Flaky(0))() == ((), {})


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_bad_clock(impl: ModuleType, bad: float) -> None:
    wrapped = impl.retry(deadline=3, clock=lambda: bad)(Flaky(0))
    with pytest.raises(ValueError, match="clock must give a finite number"):
        wrapped()
    assert (wrapped.calls, wrapped.failures) == (1, 1)


# ---- which errors


@pytest.mark.parametrize(
    ("on", "error", "repeated"),
    [
        (OSError, OSError, True),
        (OSError, FileNotFoundError, True),
        (OSError, ValueError, False),
        ((OSError, ValueError), ValueError, True),
        ((OSError, ValueError), KeyError, False),
        ((), ValueError, False),
        (lambda e: "1" in str(e), ValueError, True),
        (lambda e: [], ValueError, False),
        (BaseException, ValueError, True),
        (Exception, RecursionError, False),
        (RuntimeError, RecursionError, False),
        (RecursionError, RecursionError, True),
        ((OSError, RecursionError), RecursionError, True),
        (lambda e: True, RecursionError, True),
        (Exception, StopIteration, True),
        (Exception, StopAsyncIteration, True),
        (Exception, MemoryError, True),
    ],
)
def test_on(impl: ModuleType, on: Any, error: type[Exception], repeated: bool) -> None:
    flaky = Flaky(1, error)
    wrapped = impl.retry(3, 0, on=on)(flaky)
    assert wrapped.on is on
    if repeated:
        assert wrapped() == ((), {})
    else:
        with pytest.raises(error) as caught:
            wrapped()
        assert not hasattr(caught.value, "retry_history")  # nothing was tried again
    assert flaky.calls == 1 + repeated


class Leave(BaseException):
    """Somebody's own way out."""


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, Leave]
)
@pytest.mark.parametrize("on", [Exception, BaseException, lambda e: True])
def test_never_swallowed(impl: ModuleType, error: type[BaseException], on: Any) -> None:
    flaky = Flaky(1, error)
    wrapped = impl.retry(3, 0, on=on)(flaky)
    with pytest.raises(error):
        wrapped()
    assert (flaky.calls, wrapped.failures) == (1, 1)


def test_another_error_later(impl: ModuleType, sleeps: list[float]) -> None:
    errors = {1: OSError("a"), 2: KeyError("b")}
    flaky = Flaky(9, errors.__getitem__)
    with pytest.raises(KeyError) as caught:
        impl.retry(5, 1, on=OSError)(flaky)()
    assert caught.value is errors[2]
    assert [(a.number, a.kind) for a in caught.value.retry_history] == [(1, OSError), (2, KeyError)]
    assert sleeps == [1.0]


def test_predicate_that_raises(impl: ModuleType) -> None:
    def on(error: Exception) -> bool:
        raise LookupError("predicate")

    flaky = Flaky(9)
    wrapped = impl.retry(3, 0, on=on)(flaky)
    with pytest.raises(LookupError, match="predicate") as caught:
        wrapped()
    assert isinstance(caught.value.__context__, ValueError)
    assert (flaky.calls, wrapped.failures) == (1, 1)


def test_recursion_ends(impl: ModuleType) -> None:
    @impl.retry
    def forever() -> Any:
        return forever()

    with pytest.raises(RecursionError):
        forever()


def test_recursive_and_nested_calls(impl: ModuleType) -> None:
    failed: set[int] = set()

    @impl.retry(2, 0)
    def down(n: int) -> int:
        if n not in failed:
            failed.add(n)
            raise ValueError(n)
        return 0 if n == 0 else 1 + down(n - 1)

    assert down(20) == 20
    assert (down.calls, down.retries, down.failures) == (21, 21, 0)


# ---- results


def test_rejected_results(impl: ModuleType, sleeps: list[float]) -> None:
    results = iter([None, None, 5])
    wrapped = impl.retry(3, 1, retry_if_result=lambda r: r is None)(lambda: next(results))
    assert wrapped() == 5
    assert (sleeps, wrapped.retries, wrapped.failures) == ([1.0, 2.0], 2, 0)


def test_rejected_to_the_end(impl: ModuleType, sleeps: list[float]) -> None:
    results = iter([1, 2, 3])

    @impl.retry(3, 1, retry_if_result=lambda r: True)
    def poll() -> int:
        return next(results)

    with pytest.raises(impl.RetryError, match="poll: the result was still rejected after 3 a") as e:
        poll()
    assert e.value.result == 3
    assert [tuple(a) for a in e.value.retry_history] == [
        (1, 1.0, None, "", None, None),
        (2, 2.0, None, "", None, None),
        (3, 0.0, None, "", None, None),
    ]
    assert poll.failures == 1
    assert e.value.__context__ is None


def test_errors_and_results_mixed(impl: ModuleType) -> None:
    flaky = Flaky(2)
    wrapped = impl.retry(9, 0, retry_if_result=lambda r: flaky.calls < 5)(flaky)
    assert wrapped(1) == ((1,), {})
    assert flaky.calls == 5


def test_rejected_past_the_deadline(impl: ModuleType, sleeps: list[float]) -> None:
    wrapped = impl.retry(9, 5, deadline=1, retry_if_result=lambda r: True)(lambda: 7)
    with pytest.raises(impl.RetryError, match="after 1 attempt$") as caught:
        wrapped()
    assert (caught.value.result, sleeps) == (7, [])


def test_result_predicate_that_raises(impl: ModuleType) -> None:
    class Odd:
        def __bool__(self) -> bool:
            raise LookupError("truth")

    flaky = Flaky(0)
    for predicate in (lambda r: 1 / 0, lambda r: Odd()):
        wrapped = impl.retry(3, 0, retry_if_result=predicate)(flaky)
        with pytest.raises((ZeroDivisionError, LookupError)) as caught:
            wrapped()
        assert caught.value.__context__ is None
        assert wrapped.failures == 1
    assert flaky.calls == 2


def test_retry_error(impl: ModuleType) -> None:
    assert issubclass(impl.RetryError, Exception)
    error = impl.RetryError("text")
    error.result = 3
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.args, again.result) == (impl.RetryError, ("text",), 3)


# ---- what is told


def test_logged(impl: ModuleType, sleeps: list[float], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, LOGGER), pytest.raises(ValueError):
        impl.retry(3, 0.5)(Flaky(9))()
    assert [(r.name, r.levelno, r.getMessage()) for r in caplog.records] == [
        (LOGGER, logging.WARNING, "Attempt 1 failed, retrying in 0.5s"),
        (LOGGER, logging.WARNING, "Attempt 2 failed, retrying in 1.0s"),
    ]


def test_nothing_is_formatted_below_the_level(
    impl: ModuleType, sleeps: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    class Loud(ValueError):
        pass

    with caplog.at_level(logging.ERROR, LOGGER), pytest.raises(Loud):
        impl.retry(3)(Flaky(9, Loud))()
    assert caplog.records == []


@pytest.mark.parametrize(
    ("delay", "backoff", "wanted"),
    [
        (0.5, 2.0, ["0.5", "1.0", "2.0"]),
        (1, 2.0, ["1", "2", "4"]),
        (1.0, 2, ["1.0", "2.0", "4.0"]),
        (1, 1.5, ["1.0", "1.5", "2.25"]),
        (0.1, 2.0, ["0.1", "0.2", "0.4"]),
        (1e-7, 2.0, ["1e-07", "2e-07", "4e-07"]),
    ],
)
def test_text_is_the_articles(
    impl: ModuleType, sleeps: list[float], delay: Any, backoff: Any, wanted: list[str]
) -> None:
    told: list[str] = []
    with pytest.raises(ValueError):
        impl.retry(4, delay, backoff=backoff, printer=told.append)(Flaky(9))()
    assert told == [f"Attempt {i} failed, retrying in {wait}s" for i, wait in enumerate(wanted, 1)]


def test_printer_print(
    impl: ModuleType, sleeps: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError):
        impl.retry(2, 3, printer=print)(Flaky(9))()
    assert capsys.readouterr().out == "Attempt 1 failed, retrying in 3s\n"


def test_before_sleep(impl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[Any] = []
    monkeypatch.setattr(time, "sleep", lambda s: order.append(("sleep", s)))
    error = ValueError("no")

    def hook(attempt: Any) -> None:
        assert sys.exception() is error
        order.append(tuple(attempt))

    def tell(text: str) -> None:
        assert sys.exc_info()[1] is error
        order.append("told")

    wrapped = impl.retry(2, 5, before_sleep=hook, printer=tell)(Flaky(1, lambda n: error))
    wrapped()
    assert order == ["told", (1, 5.0, ValueError, "no", error, None), ("sleep", 5.0)]
    assert sys.exc_info() == (None, None, None)
    assert wrapped.before_sleep is hook


def test_before_sleep_for_results(impl: ModuleType) -> None:
    seen: list[Any] = []
    results = iter([[1], 2])
    impl.retry(2, 0, before_sleep=seen.append, retry_if_result=lambda r: r == [1])(
        lambda: next(results)
    )()
    assert [tuple(a) for a in seen] == [(1, 0.0, None, "", None, [1])]
    assert isinstance(seen[0], impl.Attempt)


@pytest.mark.parametrize("where", ["before_sleep", "printer"])
@pytest.mark.parametrize("kind", [LookupError, KeyboardInterrupt])
def test_hook_that_raises(
    impl: ModuleType, sleeps: list[float], where: str, kind: type[BaseException]
) -> None:
    def hook(_: Any) -> None:
        raise kind("hook")

    flaky = Flaky(9)
    wrapped = impl.retry(3, 1, **{where: hook})(flaky)
    with pytest.raises(kind, match="hook") as caught:
        wrapped()
    assert isinstance(caught.value.__context__, ValueError)
    assert (flaky.calls, sleeps, wrapped.failures) == (1, [], 1)


def test_logger_that_raises(impl: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(record: logging.LogRecord) -> bool:
        raise LookupError("filter")

    logger = logging.getLogger(LOGGER)
    logger.addFilter(refuse)
    try:
        with caplog.at_level(logging.WARNING, LOGGER), pytest.raises(LookupError) as caught:
            impl.retry(2, 0)(Flaky(1))()
    finally:
        logger.removeFilter(refuse)
    assert isinstance(caught.value.__context__, ValueError)


def test_sleep_that_is_interrupted(impl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    wrapped = impl.retry()(Flaky(9))
    with pytest.raises(KeyboardInterrupt) as caught:
        wrapped()
    assert caught.value.__context__ is None
    assert (wrapped.calls, wrapped.retries, wrapped.failures) == (1, 0, 1)


# ---- the history


def test_history(impl: ModuleType, sleeps: list[float]) -> None:
    errors: list[Exception] = [OSError(2, "gone"), KeyError("k"), ValueError()]
    with pytest.raises(ValueError) as caught:
        impl.retry(3)(Flaky(3, lambda n: errors[n - 1]))()
    history = caught.value.retry_history
    assert [tuple(a) for a in history] == [
        (1, 1.0, FileNotFoundError, "[Errno 2] gone", None, None),
        (2, 2.0, KeyError, "'k'", None, None),
        (3, 0.0, ValueError, "", None, None),
    ]
    assert all(isinstance(a, impl.Attempt) for a in history)
    assert pickle.loads(pickle.dumps(caught.value)).retry_history == history
    assert copy.copy(caught.value).retry_history == history


def test_history_of_many_is_the_latest(impl: ModuleType) -> None:
    with pytest.raises(ValueError) as caught:
        impl.retry(200, 0)(Flaky(999))()
    history = caught.value.retry_history
    assert [a.number for a in history] == list(range(137, 201))
    assert [a.text for a in history] == [str(n) for n in range(137, 201)]


def test_history_of_an_error_that_refuses(impl: ModuleType) -> None:
    class Rigid(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise TypeError("no attributes")

        def __str__(self) -> str:
            raise LookupError("no text")

    with pytest.raises(Rigid) as caught:
        impl.retry(2, 0)(Flaky(9, Rigid))()
    assert [a.text for a in caught.value.retry_history] == ["", ""]


@pytest.mark.parametrize("attempts", [1, 2])
def test_history_that_is_interrupted(impl: ModuleType, attempts: int) -> None:
    class Slow(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    flaky = Flaky(9, Slow)
    with pytest.raises(KeyboardInterrupt) as caught:
        impl.retry(attempts, 0)(flaky)()
    assert isinstance(caught.value.__context__, Slow)
    assert flaky.calls == 1


def test_history_of_the_same_error_each_time(impl: ModuleType) -> None:
    error = ValueError("same")
    wrapped = impl.retry(2, 0)(Flaky(99, lambda n: error))
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            wrapped()
        assert caught.value is error
        assert len(error.retry_history) == 2  # type: ignore[attr-defined]


def test_nested_history_is_the_outer_ones(impl: ModuleType) -> None:
    flaky = Flaky(99)
    with pytest.raises(ValueError) as caught:
        impl.retry(2, 0)(impl.retry(3, 0)(flaky))()
    assert flaky.calls == 6
    assert [a.text for a in caught.value.retry_history] == ["3", "6"]


# ---- what can be decorated


def test_methods(impl: ModuleType) -> None:
    class Service:
        def __init__(self) -> None:
            self.n = 0

        @impl.retry(3, 0)
        def plain(self, x: int) -> tuple[Any, int]:
            self.n += 1
            if self.n < 3:
                raise ValueError
            return self, x

        @impl.retry(2, 0)
        @staticmethod
        def static(x: list[int]) -> list[int]:
            x.append(1)
            if len(x) < 2:
                raise ValueError
            return x

        @classmethod
        @impl.retry(2, 0)
        def of_class(cls, x: list[int]) -> Any:
            x.append(1)
            if len(x) < 2:
                raise ValueError
            return cls

        @impl.retry(2, 0)
        @classmethod
        def inside(cls) -> Any:
            return cls

    service = Service()
    assert service.plain(4) == (service, 4)
    assert Service.plain(service, x=5) == (service, 5)
    assert Service.plain.calls == service.plain.calls == 2
    assert service.static([]) == Service.static([]) == [1, 1]
    assert service.of_class([]) is Service.of_class([]) is service.inside() is Service
    assert Service.plain.__qualname__.endswith("Service.plain")


def test_callables_of_other_kinds(impl: ModuleType) -> None:
    assert impl.retry(2, 0)(int)("7") == 7
    assert impl.retry(2, 0)(len)([1]) == 1
    with pytest.raises(ValueError) as caught:
        impl.retry(3, 0)(int)("x")
    assert len(caught.value.retry_history) == 3


def test_generators_are_refused(impl: ModuleType) -> None:
    def gen() -> Iterator[int]:
        yield 1

    async def agen() -> Any:
        yield 1

    with pytest.raises(TypeError, match=r"retry: .*gen is a generator function: to try again"):
        impl.retry(gen)
    with pytest.raises(TypeError, match=r"retry: .*agen is an async generator function"):
        impl.retry(3)(agen)


def test_hook_that_cannot_be_awaited(impl: ModuleType) -> None:
    async def hook(attempt: Any) -> None: ...

    with pytest.raises(TypeError, match="is no coroutine function, so it cannot await before_sl"):
        impl.retry(before_sleep=hook)(len)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (3, "wanted a callable, got int"),
        (None, "wanted a callable, got NoneType"),
        (property(len), r"wanted a callable, got property \(decorate the function inside it\)"),
    ],
)
def test_not_callable(impl: ModuleType, what: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"retry: {message}"):
        impl.retry(2)(what)


def test_decorator_wants_one_function(impl: ModuleType) -> None:
    with pytest.raises(TypeError):
        impl.retry(2)()
    with pytest.raises(TypeError):
        impl.retry(2)(len, len)
    decorator = impl.retry(2, 0)
    assert decorator(int)("1") == decorator(float)("1") == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_attempts": 0}, ValueError, "max_attempts must be at least 1, got 0"),
        ({"max_attempts": -5}, ValueError, "max_attempts must be at least 1, got -5"),
        ({"max_attempts": -(10**30)}, ValueError, "max_attempts must be at least 1, got -1000"),
        ({"max_attempts": True}, TypeError, "max_attempts must be an int, got bool"),
        ({"max_attempts": 3.0}, TypeError, "max_attempts must be an int, got float"),
        ({"max_attempts": "3"}, TypeError, "max_attempts must be an int, got str"),
        ({"max_attempts": None}, TypeError, "max_attempts must be an int, got NoneType"),
        ({"delay": -1}, ValueError, "delay must be a finite number, at least 0, got -1"),
        ({"delay": math.nan}, ValueError, "delay must be a finite number, at least 0, got nan"),
        ({"delay": math.inf}, ValueError, "delay must be a finite number, at least 0, got inf"),
        ({"delay": 10**400}, ValueError, "delay must be a finite number, at least 0, got 1000"),
        ({"delay": "1"}, TypeError, "delay must be a number, got str"),
        ({"delay": None}, TypeError, "delay must be a number, got NoneType"),
        ({"delay": True}, TypeError, "delay must be a number, got bool"),
        ({"delay": 1j}, TypeError, "delay must be a number, got complex"),
        ({"backoff": -0.5}, ValueError, "backoff must be a finite number, at least 0, got -0.5"),
        ({"backoff": math.nan}, ValueError, "backoff must be a finite number"),
        ({"backoff": math.inf}, ValueError, "backoff must be a finite number"),
        ({"max_delay": -1}, ValueError, "max_delay must be a number, at least 0, got -1"),
        ({"max_delay": math.nan}, ValueError, "max_delay must be a number, at least 0, got nan"),
        ({"deadline": -1}, ValueError, "deadline must be a number, at least 0, got -1"),
        ({"deadline": math.nan}, ValueError, "deadline must be a number, at least 0, got nan"),
        ({"deadline": "1"}, TypeError, "deadline must be a number, got str"),
        ({"on": 3}, TypeError, "on must be an exception class, a tuple of them or a callable"),
        ({"on": None}, TypeError, "on must be an exception class, a tuple of them or a callable"),
        ({"on": int}, TypeError, "on must be an exception class, a tuple of them or a callable"),
        ({"on": (OSError, 3)}, TypeError, "on must be an exception class, a tuple of them"),
        ({"on": [OSError]}, TypeError, "on must be an exception class, a tuple of them"),
        ({"on": KeyboardInterrupt}, ValueError, "on: <class 'KeyboardInterrupt'> is never retr"),
        ({"on": (OSError, SystemExit)}, ValueError, "on: <class 'SystemExit'> is never retried"),
        ({"jitter": 0.5}, TypeError, "jitter must be a bool, got float"),
        ({"retry_if_result": 3}, TypeError, "retry_if_result must be callable, got int"),
        ({"before_sleep": 3}, TypeError, "before_sleep must be callable, got int"),
        ({"printer": "x"}, TypeError, "printer must be callable, got str"),
        ({"random": 0.5}, TypeError, "random must be callable, got float"),
        ({"clock": 0.5}, TypeError, "clock must be callable, got float"),
    ],
)
def test_bad_arguments(
    impl: ModuleType, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        impl.retry(**options)
    assert str(caught.value).startswith(f"retry: {message}")


def test_unknown_arguments(impl: ModuleType) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'tries'"):
        impl.retry(tries=3)
    with pytest.raises(TypeError):
        impl.retry(3, 1.0, OSError)
    with pytest.raises(TypeError):
        impl.retry(3, max_attempts=3)


def test_numbers_that_raise(impl: ModuleType) -> None:
    class Odd:
        def __float__(self) -> float:
            raise LookupError("float")

        def __index__(self) -> int:
            raise LookupError("index")

    with pytest.raises(LookupError, match="index"):
        impl.retry(Odd())
    with pytest.raises(LookupError, match="float"):
        impl.retry(3, Odd())


# ---- attributes and counters


def test_attributes(impl: ModuleType) -> None:
    wrapped = impl.retry(4, 2, backoff=3, max_delay=9, deadline=60, jitter=True, on=OSError)(len)
    assert (wrapped.max_attempts, wrapped.delay, wrapped.backoff) == (4, 2, 3)
    assert (wrapped.max_delay, wrapped.deadline, wrapped.jitter) == (9, 60, True)
    assert (wrapped.on, wrapped.retry_if_result, wrapped.before_sleep) == (OSError, None, None)
    plain = impl.retry(len)
    assert (plain.max_delay, plain.deadline, plain.jitter, plain.on) == (
        None,
        None,
        False,
        Exception,
    )
    assert wrapped.__wrapped__ is len


def test_counters(impl: ModuleType) -> None:
    flaky = Flaky(4)
    wrapped = impl.retry(3, 0)(flaky)
    assert (wrapped.calls, wrapped.attempts, wrapped.retries, wrapped.failures) == (0, 0, 0, 0)
    with pytest.raises(ValueError):
        wrapped()
    assert (wrapped.calls, wrapped.attempts, wrapped.retries, wrapped.failures) == (1, 3, 2, 1)
    wrapped()
    wrapped()
    assert (wrapped.calls, wrapped.attempts, wrapped.retries, wrapped.failures) == (3, 6, 3, 1)


def test_counters_under_threads(impl: ModuleType) -> None:
    local = threading.local()

    @impl.retry(3, 0)
    def f() -> None:
        local.n = getattr(local, "n", 0) + 1
        if local.n % 3:
            raise ValueError

    def work() -> None:
        for _ in range(300):
            f()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (f.calls, f.retries, f.failures) == (2400, 4800, 0)


def test_each_wrapper_of_a_stack_counts_its_own(impl: ModuleType) -> None:
    flaky = Flaky(3)
    inner = impl.retry(2, 0)(flaky)
    outer = impl.retry(5, 0)(inner)
    outer()
    assert (outer.calls, outer.retries, inner.calls, inner.retries) == (1, 1, 2, 2)


def test_signature(native: ModuleType) -> None:
    parameters = inspect.signature(native.retry).parameters
    assert list(parameters)[:3] == ["max_attempts", "delay", "on"]
    assert (parameters["max_attempts"].default, parameters["delay"].default) == (3, 1.0)


def test_repr(impl: ModuleType) -> None:
    assert repr(impl.retry(len)) == "<Retry of <built-in function len>>"
