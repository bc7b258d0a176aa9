"""Twin of `timer`: every duration is kept."""

from __future__ import annotations

import inspect
import math
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ._logged import Sink
from ._wrapper import Wrapper, decorate, name_of

P = ParamSpec("P")
R = TypeVar("R")


class Timer(Wrapper[P, R]):
    """What timer makes of a function."""

    def __init__(self, func: Any, sink: Sink, clock: Callable[[], float]) -> None:
        self._sink, self._clock = sink, clock
        self._lock = threading.RLock()
        self._taken: list[float] = []
        self._errors = 0
        self._is_async = inspect.iscoroutinefunction(func)

    count = property(lambda self: len(self._taken))
    errors = property(lambda self: self._errors)
    total = property(lambda self: math.fsum(self._taken))
    last = property(lambda self: self._taken[-1] if self._taken else None)
    min = property(lambda self: min(self._taken, default=None))
    max = property(lambda self: max(self._taken, default=None))
    mean = property(lambda self: self.total / self.count if self._taken else None)

    def percentile(self, q: float, /) -> float | None:
        """Seconds that q of 100 calls did not exceed."""
        if not isinstance(q, (int, float)):
            raise TypeError(f"percentile: wanted a number from 0 to 100, got {type(q).__name__}")
        if not 0 <= q <= 100:
            raise ValueError(f"percentile: wanted a number from 0 to 100, got {q!r}")
        taken = sorted(self._taken)
        return taken[max(math.ceil(q / 100 * len(taken)), 1) - 1] if taken else None

    def reset(self) -> None:
        """Forget all calls."""
        with self._lock:
            self._taken.clear()
            self._errors = 0

    def _now(self) -> float:
        now = self._clock()
        if not isinstance(now, (int, float)):
            raise TypeError(f"timer: clock: wanted a number of seconds, got {type(now).__name__}")
        return now

    def _note(self, start: float, failed: bool) -> float:
        elapsed = self._now() - start
        elapsed = elapsed if elapsed > 0 else 0.0
        with self._lock:
            self._taken.append(elapsed)
            self._errors += failed
        return elapsed

    def _failed(self, start: float) -> None:
        try:
            self._note(start, True)
        except Exception as error:
            sys.unraisablehook(
                type("", (), {"exc_type": type(error), "exc_value": error, "err_msg": None,
                              "exc_traceback": error.__traceback__, "object": self})()
            )  # fmt: skip

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._is_async:
            return self._await(self.__wrapped__(*args, **kwargs))  # type: ignore[return-value]
        start = self._now()
        try:
            result = self.__wrapped__(*args, **kwargs)
        except BaseException:
            self._failed(start)
            raise
        self._ended(start)
        return result

    async def _await(self, awaitable: Any) -> Any:
        start = self._now()
        try:
            result = await awaitable
        except BaseException:
            self._failed(start)
            raise
        self._ended(start)
        return result

    def _ended(self, start: float) -> None:
        elapsed = self._note(start, False)
        if self._sink.enabled():
            self._sink.put("%s took %.4fs", name_of(self.__wrapped__), elapsed, depth=3)


def timer(
    func: Any = ...,
    /,
    *,
    printer: Callable[[str], object] | None = None,
    logger: Any = None,
    level: int | str | None = None,
    clock: Callable[[], float] | None = None,
) -> Any:
    """func, timed: after each call '<name> took 0.1234s'."""
    if clock is not None and not callable(clock):
        raise TypeError(f"timer: clock: wanted a callable, got {type(clock).__name__}")
    sink = Sink("timer", printer, logger, level)

    def decorator(func: Any) -> Any:
        return decorate("timer", lambda f: Timer(f, sink, clock or time.perf_counter), func)

    return decorator if func is ... else decorator(func)
