"""retry against its twin, over generated calls: sleeps, texts, hooks, ends and counters."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ferrule.calls
import ferrule.pure.calls


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    logger = logging.getLogger("ferrule.calls")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


KINDS: tuple[type[BaseException], ...] = (
    *(ValueError, KeyError, OSError, FileNotFoundError, RecursionError, StopIteration),
    *(KeyboardInterrupt, asyncio.CancelledError),
)
#: What an attempt does: raises one of KINDS, or gives a number.
OUTCOMES = st.lists(st.one_of(st.sampled_from(KINDS), st.integers(0, 3)), min_size=1, max_size=9)
NUMBERS = st.one_of(st.integers(0, 10), st.floats(0, 1e6), st.sampled_from([0, 0.5, 1e300, 1e-300]))
ON = st.sampled_from(
    [
        *(Exception, BaseException, OSError, (ValueError, OSError), (), RecursionError),
        *(lambda e: "1" not in str(e), lambda e: isinstance(e, LookupError)),
    ]
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "max_attempts": st.integers(1, 8),
        "delay": NUMBERS,
        "backoff": NUMBERS,
        "max_delay": st.none() | NUMBERS,
        "deadline": st.none() | NUMBERS,
        "jitter": st.booleans(),
        "on": ON,
        "retry_if_result": st.none() | st.just(lambda result: result > 1),
    },
)


class World:
    """A clock that only sleeps and functions move, and all that is seen of a call."""

    def __init__(self, outcomes: list[Any], work: float) -> None:
        self.outcomes, self.work, self.now, self.draws = list(outcomes), work, 0.0, 0
        self.seen: list[Any] = []

    def random(self) -> float:
        self.draws += 1
        return self.draws * 0.37 % 1.0

    def sleep(self, seconds: float) -> None:
        if seconds:
            self.seen.append(("sleep", seconds))
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)

    def attempt(self, *args: Any) -> Any:
        self.now += self.work
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        self.seen.append(("attempt", args))
        if isinstance(outcome, type):
            raise outcome(f"error {len(self.outcomes)}")
        return outcome

    async def attempt_async(self, *args: Any) -> Any:
        return self.attempt(*args)


def record(world: World, call: Callable[[], Any], wrapped: Any) -> list[Any]:
    """What came of the call: all that was seen, and how it ended."""
    try:
        end: Any = ("value", call())
    except BaseException as error:
        history = [tuple(a) for a in getattr(error, "retry_history", ())]
        end = (type(error).__name__, str(error), history, getattr(error, "result", None))
    return [
        *world.seen,
        end,
        (wrapped.calls, wrapped.attempts, wrapped.retries, wrapped.failures),
        world.now,
    ]


def play(
    module: ModuleType, outcomes: list[Any], work: float, options: dict[str, Any], is_async: bool
) -> list[Any]:
    world = World(outcomes, work)

    def hook(attempt: Any) -> None:
        world.seen.append(("hook", attempt[:4], type(attempt.error), attempt.result))

    wrapped = module.retry(
        clock=lambda: world.now,
        random=world.random,
        printer=world.seen.append,
        before_sleep=hook,
        **options,
    )(world.attempt_async if is_async else world.attempt)
    with mock.patch.object(time, "sleep", world.sleep):
        if not is_async:
            return record(world, lambda: wrapped(1), wrapped)
        with mock.patch.object(asyncio, "sleep", world.sleep_async):
            return record(world, lambda: drive(wrapped(1)), wrapped)


def drive(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


@given(outcomes=OUTCOMES, work=st.sampled_from([0.0, 0.5, 3.0]), options=OPTIONS)
def test_as_the_twin(outcomes: list[Any], work: float, options: dict[str, Any]) -> None:
    native = play(ferrule.calls, outcomes, work, options, is_async=False)
    assert native == play(ferrule.pure.calls, outcomes, work, options, is_async=False)


@given(outcomes=OUTCOMES, work=st.sampled_from([0.0, 0.5, 3.0]), options=OPTIONS)
def test_coroutines_as_the_twin(outcomes: list[Any], work: float, options: dict[str, Any]) -> None:
    native = play(ferrule.calls, outcomes, work, options, is_async=True)
    assert native == play(ferrule.pure.calls, outcomes, work, options, is_async=True)


@given(
    delay=st.one_of(st.integers(0, 10**6), st.floats(0, 1e9)),
    failures=st.integers(1, 12),
)
def test_as_the_article(delay: float, failures: int) -> None:
    """The texts and sleeps of the article's own loop; but for those after the last attempt."""
    wanted, waits = [], []
    for attempt in range(failures - 1):
        wait = delay * (2**attempt)
        if wait > 1e9:
            return
        wanted.append(f"Attempt {attempt + 1} failed, retrying in {wait}s")
        waits.append(wait)
    world = World([ValueError], 0)
    told: list[str] = []
    wrapped = ferrule.calls.retry(failures, delay, printer=told.append)(world.attempt)
    with mock.patch.object(time, "sleep", world.sleep), contextlib.suppress(ValueError):
        wrapped()
    assert told == wanted
    assert [s for kind, s in world.seen if kind == "sleep"] == [w for w in waits if w]
