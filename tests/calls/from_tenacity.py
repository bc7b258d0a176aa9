"""A pytest plugin that puts `ferrule.calls.retry` under tenacity's decorator.

    PYTHONPATH=tests/calls pytest -p from_tenacity .../tenacity/tests

What tenacity calls, counts, waits and stops by (`Retrying.__call__`, `AsyncRetrying.__call__`) is
replaced by one call through `retry`; its state object, conditions and error are handed through.
A test that needs what has no counterpart here (other waits and stops, iteration over attempts,
a `sleep` of its own) is skipped, with the reason.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import pytest
import tenacity
import tenacity.asyncio
from tenacity import RetryAction, RetryCallState, TryAgain

from ferrule.calls import RetryError, retry

ENDLESS = 2**62


def _no(what: object) -> Any:
    pytest.skip(f"no counterpart in ferrule: {what}")


def attempts(stop: Any) -> dict[str, Any]:
    """What `stop` says, in the arguments of `retry`."""
    if isinstance(stop, tenacity.stop_after_attempt):
        return {"max_attempts": stop.max_attempt_number}
    if stop is tenacity.stop_never:
        return {"max_attempts": ENDLESS}
    if isinstance(stop, tenacity.stop_before_delay):
        return {"max_attempts": ENDLESS, "deadline": stop.max_delay}
    return dict(_no(stop))


def waits(wait: Any) -> dict[str, Any]:
    """What `wait` says, in the arguments of `retry`."""
    if isinstance(wait, tenacity.wait_fixed):  # wait_none is one
        return {"delay": wait.wait_fixed, "backoff": 1}
    if isinstance(wait, tenacity.wait_exponential) and not wait.min:
        limit = None if wait.max >= sys.maxsize // 2 else wait.max
        jitter = isinstance(wait, tenacity.wait_random_exponential)
        return {
            "delay": wait.multiplier,
            "backoff": wait.exp_base,
            "max_delay": limit,
            "jitter": jitter,
        }
    return dict(_no(type(wait).__name__))


class Call:
    """One call through tenacity's decorator."""

    def __init__(self, retrying: Any, fn: Any, args: Any, kwargs: Any) -> None:
        self.retrying, self.fn, self.args, self.kwargs = retrying, fn, args, kwargs
        self.state = RetryCallState(retrying, fn, args, kwargs)
        self.matched = False
        retrying.begin()
        for name in ("retry", "before", "after", "before_sleep"):
            if inspect.iscoroutinefunction(getattr(retrying, name)) or type(
                getattr(retrying, name)
            ).__module__.startswith("tenacity.asyncio"):
                _no(f"{name} that is awaited")

    def matches(self, _: Any) -> bool:
        outcome, state = self.state.outcome, self.state
        assert outcome is not None
        again = outcome.failed and isinstance(outcome.exception(), TryAgain)
        self.matched = bool(again or self.retrying.retry(state))
        if self.matched:
            self.retrying.after(state)
            self.retrying.statistics["delay_since_first_attempt"] = state.seconds_since_start
        return self.matched

    def before_sleep(self, attempt: Any) -> None:
        state, statistics = self.state, self.retrying.statistics
        state.upcoming_sleep, state.next_action = attempt.wait, RetryAction(attempt.wait)
        state.idle_for += attempt.wait
        statistics["idle_for"] += attempt.wait
        statistics["attempt_number"] += 1
        if self.retrying.before_sleep is not None:
            self.retrying.before_sleep(state)
        state.prepare_for_next_attempt()

    def decorated(self, attempt: Callable[..., Any]) -> Callable[[], Any]:
        made: Callable[[], Any] = retry(
            **attempts(self.retrying.stop),
            **waits(self.retrying.wait),
            on=self.matches,
            retry_if_result=self.matches,
            before_sleep=self.before_sleep,
            printer=lambda text: None,
        )(attempt)
        return made

    def once(self) -> Any:
        self.retrying.before(self.state)
        try:
            result = self.fn(*self.args, **self.kwargs)
        except BaseException:
            self.state.set_exception(sys.exc_info())  # type: ignore[arg-type]
            raise
        self.state.set_result(result)
        return result

    async def once_async(self) -> Any:
        self.retrying.before(self.state)
        try:
            result = await self.fn(*self.args, **self.kwargs)
        except BaseException:
            self.state.set_exception(sys.exc_info())  # type: ignore[arg-type]
            raise
        self.state.set_result(result)
        return result

    def ended(self, error: Exception) -> Any:
        """What tenacity does with a call whose attempts are used up."""
        outcome, retrying = self.state.outcome, self.retrying
        if not self.matched or outcome is None:
            raise error
        if retrying.retry_error_callback:
            return retrying.retry_error_callback(self.state)
        if isinstance(error, RetryError):
            assert error.result is outcome.result()
        final = retrying.retry_error_cls(outcome)
        if retrying.reraise:
            final.reraise()
        raise final from outcome.exception()


def call(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
    if not self.enabled:
        return fn(*args, **kwargs)
    if self.sleep is not tenacity.nap.sleep:
        _no("sleep=")
    through = Call(self, fn, args, kwargs)
    try:
        return through.decorated(through.once)()
    except Exception as error:
        return through.ended(error)


async def call_async(self: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
    if not self.enabled:
        return await fn(*args, **kwargs)
    if self.sleep is not tenacity.asyncio._portable_async_sleep:
        _no("sleep=")
    through = Call(self, fn, args, kwargs)
    try:
        return await through.decorated(through.once_async)()
    except Exception as error:
        return through.ended(error)


def iterate(self: Any) -> Any:
    _no("iteration over attempts")


def pytest_configure(config: pytest.Config) -> None:
    patch()


def patch() -> None:
    """From now on tenacity's decorator calls through ours."""
    tenacity.Retrying.__call__ = call  # type: ignore[method-assign]
    tenacity.Retrying.__iter__ = iterate  # type: ignore[method-assign]
    tenacity.AsyncRetrying.__call__ = call_async  # type: ignore[method-assign]
    tenacity.AsyncRetrying.__aiter__ = iterate  # type: ignore[method-assign]
