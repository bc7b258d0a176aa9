"""Twin of `retry`: the loop of the article, and what a failure leads to."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import operator
import random as _random
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable
from typing import Any, NamedTuple, ParamSpec, TypeVar

from ._wrapper import Wrapper, decorate

P = ParamSpec("P")
R = TypeVar("R")

LONGEST = 1e9
REMEMBERED = 64
_log = logging.getLogger("ferrule.calls")


class Attempt(NamedTuple):
    """An attempt that failed."""

    number: int
    wait: float
    kind: type[BaseException] | None
    text: str
    error: BaseException | None = None
    result: Any = None


class RetryError(Exception):
    """Raised by `retry` when the last result, too, was rejected."""

    result: Any


def _number(name: str, value: Any, *, finite: bool = True) -> float:
    number = not isinstance(value, (bool, str)) and (
        hasattr(value, "__float__") or hasattr(value, "__index__")
    )
    if not number:
        raise TypeError(f"retry: {name} must be a number, got {type(value).__name__}")
    try:
        v = float(value)
    except OverflowError:
        v = math.nan
    if not v >= 0 or (finite and math.isinf(v)):
        kind = "finite number" if finite else "number"
        raise ValueError(f"retry: {name} must be a {kind}, at least 0, got {value!r}")
    return v


def _check_class(value: Any) -> bool:
    """Whether RecursionError is asked for by its name."""
    if not isinstance(value, type) or not issubclass(value, BaseException):
        raise TypeError(
            f"retry: on must be an exception class, a tuple of them or a callable, got {value!r}"
        )
    if value is not BaseException and not issubclass(value, Exception):
        raise ValueError(f"retry: on: {value!r} is never retried, as it is no Exception")
    return issubclass(value, RecursionError)


def _sleep(seconds: float) -> Awaitable[object]:
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        waiting: Awaitable[object] = trio.sleep(seconds)
        return waiting
    return asyncio.sleep(seconds)


class Policy:
    """What the decorator was told."""

    def __init__(
        self,
        max_attempts: Any = 3,
        delay: Any = 1.0,
        *,
        on: Any = Exception,
        backoff: Any = 2.0,
        max_delay: Any = None,
        jitter: Any = False,
        deadline: Any = None,
        retry_if_result: Any = None,
        before_sleep: Any = None,
        printer: Any = None,
        random: Any = None,
        clock: Any = None,
    ) -> None:
        if isinstance(max_attempts, bool) or not hasattr(max_attempts, "__index__"):
            got = type(max_attempts).__name__
            raise TypeError(f"retry: max_attempts must be an int, got {got}")
        self.max_attempts = operator.index(max_attempts)
        if self.max_attempts < 1:
            raise ValueError(f"retry: max_attempts must be at least 1, got {max_attempts}")
        self.delay, self.backoff = _number("delay", delay), _number("backoff", backoff)
        self.max_delay, self.deadline = (
            math.inf if value is None else _number(name, value, finite=False)
            for name, value in (("max_delay", max_delay), ("deadline", deadline))
        )
        self.whole = isinstance(delay, int) and self.backoff.is_integer()
        named = on if isinstance(on, tuple) else (on,)
        self.by_class = isinstance(on, (tuple, type)) or not callable(on)
        self.recursion = self.by_class and any([_check_class(value) for value in named])
        if not isinstance(jitter, bool):
            raise TypeError(f"retry: jitter must be a bool, got {type(jitter).__name__}")
        for name, value in (
            ("retry_if_result", retry_if_result),
            ("before_sleep", before_sleep),
            ("printer", printer),
            ("random", random),
            ("clock", clock),
        ):
            if value is not None and not callable(value):
                got = type(value).__name__
                raise TypeError(f"retry: {name} must be callable, got {got}")
        self.on, self.jitter, self.printer = on, jitter, printer
        self.retry_if_result, self.before_sleep = retry_if_result, before_sleep
        self.random, self.clock = random, clock

    def matches(self, error: Exception) -> bool:
        if not self.by_class:
            return bool(self.on(error))
        return isinstance(error, self.on) and (
            self.recursion or not isinstance(error, RecursionError)
        )

    def wait(self, attempt: int) -> float:
        try:
            wait = self.delay and self.delay * self.backoff ** (attempt - 1)
        except OverflowError:
            wait = math.inf
        wait = min(wait, self.max_delay, LONGEST)
        if not self.jitter:
            return wait
        share = float((self.random or _random.random)())
        if not 0 <= share <= 1:
            raise ValueError("retry: random must give a number from 0 to 1")
        return share * wait

    def now(self) -> float:
        now = float((self.clock or time.monotonic)())
        if not math.isfinite(now):
            raise ValueError("retry: clock must give a finite number")
        return now


def _awaits(func: Any) -> bool:
    """Whether a call of it gives a coroutine."""
    while isinstance(func, Wrapper):
        func = func.__wrapped__
    call = None if isinstance(func, type) else vars(type(func)).get("__call__")
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(call)


def _text(error: BaseException | None) -> str:
    try:
        return "" if error is None else str(error)
    except Exception:
        return ""


class _Run:
    """A call: which attempt it is at, and what those before ended with."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.attempt, self.waiting, self.elapsed = policy, 1, 0.0, 0.0
        self.started = 0.0 if math.isinf(policy.deadline) else policy.now()
        self.history: deque[Attempt] = deque(maxlen=REMEMBERED)
        self.hooked: Any = None

    def remember(self, wait: float, error: BaseException | None) -> Attempt:
        kind = None if error is None else type(error)
        self.history.append(Attempt(self.attempt, wait, kind, _text(error)))
        return self.history[-1]

    def attach(self, error: BaseException) -> None:
        """The history of a call that ends with `error`."""
        self.remember(0.0, None if isinstance(error, RetryError) else error)
        error.__dict__["retry_history"] = tuple(self.history)

    def is_late(self) -> bool:
        if math.isinf(self.policy.deadline):
            return False
        self.elapsed = max(self.elapsed, self.policy.now() - self.started)
        return self.elapsed + self.waiting > self.policy.deadline

    def tell(self) -> None:
        whole = self.policy.whole and self.waiting.is_integer()
        wait = int(self.waiting) if whole else self.waiting
        if self.policy.printer is None:
            _log.warning("Attempt %d failed, retrying in %ss", self.attempt, wait)
        else:
            self.policy.printer(f"Attempt {self.attempt} failed, retrying in {wait}s")

    def again(self, error: Exception | None, result: Any = None) -> bool:
        """Whether there is another attempt; then all but the sleep has been done."""
        policy = self.policy
        if self.attempt >= policy.max_attempts:
            return False
        self.waiting = policy.wait(self.attempt)
        if self.is_late():
            return False
        attempt = self.remember(self.waiting, error)
        self.tell()
        if policy.before_sleep is not None:
            self.hooked = policy.before_sleep(attempt._replace(error=error, result=result))
        return True

    def again_after(self, error: Exception) -> bool:
        matches = self.policy.matches(error)
        if matches and self.again(error):
            return True
        if matches or self.attempt > 1:
            self.attach(error)
        return False

    def given_up(self, func: Any, result: Any) -> RetryError:
        name, s = getattr(func, "__qualname__", repr(func)), "s" * (self.attempt > 1)
        error = RetryError(f"{name}: the result was still rejected after {self.attempt} attempt{s}")
        error.result = result
        self.attach(error)
        return error


class Retry(Wrapper[P, R]):
    """A function that is called again when it fails."""

    def __init__(self, func: Any, policy: Policy) -> None:
        for name in ("max_attempts", "delay", "backoff", "jitter", "on"):
            setattr(self, name, getattr(policy, name))
        for name in ("max_delay", "deadline"):
            value = getattr(policy, name)
            setattr(self, name, None if math.isinf(value) else value)
        self.retry_if_result, self.before_sleep = policy.retry_if_result, policy.before_sleep
        self.calls = self.retries = self.failures = 0
        self._policy, self._lock = policy, threading.Lock()
        self._awaits = _awaits(func)

    @property
    def attempts(self) -> int:
        return self.calls + self.retries

    def _count(self, name: str) -> None:
        with self._lock:
            setattr(self, name, getattr(self, name) + 1)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._count("calls")
        try:
            run = _Run(self._policy)
            return (self._await if self._awaits else self._call)(run, args, kwargs)
        except BaseException:
            self._count("failures")
            raise

    def _approves(self, result: Any) -> bool:
        return self.retry_if_result is None or not self.retry_if_result(result)

    def _next(self, run: _Run) -> None:
        run.attempt += 1
        self._count("retries")

    def _call(self, run: _Run, args: Any, kwargs: Any) -> Any:
        while True:
            try:
                result = self.__wrapped__(*args, **kwargs)
            except Exception as error:
                if not run.again_after(error):
                    raise
            else:
                if self._approves(result):
                    return result
                if not run.again(None, result):
                    raise run.given_up(self.__wrapped__, result)
                del result
            run.hooked = None
            if run.waiting > 0:
                time.sleep(run.waiting)
            self._next(run)

    async def _await(self, run: _Run, args: Any, kwargs: Any) -> Any:
        try:
            return await self._attempts(run, args, kwargs)
        except BaseException:
            self._count("failures")
            raise

    async def _attempts(self, run: _Run, args: Any, kwargs: Any) -> Any:
        called: Any = self.__wrapped__
        while True:
            try:
                result = await called(*args, **kwargs)
            except Exception as error:
                if not run.again_after(error):
                    raise
                if inspect.isawaitable(run.hooked):
                    await run.hooked
            else:
                if self._approves(result):
                    return result
                if not run.again(None, result):
                    raise run.given_up(called, result)
                if inspect.isawaitable(run.hooked):
                    await run.hooked
                del result
            run.hooked = None
            await _sleep(run.waiting)
            self._next(run)


def _make(policy: Policy, func: Any) -> Any:
    name, why = getattr(func, "__qualname__", repr(func)), ""
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        kind = "a generator" if inspect.isgeneratorfunction(func) else "an async generator"
        why = f"is {kind} function: to try again would repeat what it has yielded"
    elif _awaits(policy.before_sleep) and not _awaits(func):
        why = "is no coroutine function, so it cannot await before_sleep"
    if why:
        raise TypeError(f"retry: {name} {why}")
    return Retry(func, policy)


def retry(max_attempts: Any = 3, delay: Any = 1.0, **options: Any) -> Any:
    """A decorator: call the function again when it fails."""
    bare = callable(max_attempts) or isinstance(max_attempts, (staticmethod, classmethod, property))
    if bare and delay == 1.0 and not options:
        return decorate("retry", lambda func: _make(Policy(), func), max_attempts)
    policy = Policy(max_attempts, delay, **options)
    return lambda func: decorate("retry", lambda inner: _make(policy, inner), func)
