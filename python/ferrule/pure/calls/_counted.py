"""Twin of `counted`."""

from __future__ import annotations

import inspect
import threading
from typing import Any, ParamSpec, TypeVar

from ._wrapper import Wrapper, decorate

P = ParamSpec("P")
R = TypeVar("R")


class Counted(Wrapper[P, R]):
    """What counted makes of a function."""

    def __init__(self, func: Any) -> None:
        self._lock = threading.RLock()
        self._figures = {"count": 0, "errors": 0, "active": 0}
        self._is_async = inspect.iscoroutinefunction(func)

    count = property(lambda self: self._figures["count"])
    errors = property(lambda self: self._figures["errors"])
    active = property(lambda self: self._figures["active"])

    def _add(self, name: str, number: int) -> None:
        with self._lock:
            self._figures[name] += number

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        self._add("count", 1)
        self._add("active", 1)
        try:
            result: Any = self.__wrapped__(*args, **kwargs)
        except BaseException:
            self._add("errors", 1)
            raise
        finally:
            self._add("active", -1)
        return self._await(result) if self._is_async else result  # type: ignore[return-value]

    async def _await(self, awaitable: Any) -> Any:
        self._add("active", 1)
        try:
            return await awaitable
        except BaseException:
            self._add("errors", 1)
            raise
        finally:
            self._add("active", -1)

    def reset(self) -> None:
        """Set count and errors to 0."""
        with self._lock:
            self._figures.update(count=0, errors=0)


def counted(func: Any, /) -> Any:
    """func, with its calls counted."""
    return decorate("counted", Counted, func)
