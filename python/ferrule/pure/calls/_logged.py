"""Twin of `logged`, and of where the texts of wrappers go."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ._wrapper import Wrapper, decorate, name_of

P = ParamSpec("P")
R = TypeVar("R")

#: Frames of this module between `Sink.put` and the caller of a wrapped function.
DEPTH = 2


class Sink:
    """A logger at a level, or a function that takes the text."""

    def __init__(self, name: str, printer: Any, logger: Any, level: Any) -> None:
        self.printer = printer
        if printer is not None:
            if not callable(printer):
                raise TypeError(f"{name}: printer: wanted a callable, got {type(printer).__name__}")
            if logger is not None or level is not None:
                raise TypeError(f"{name}: wanted a printer or a logger and its level, got both")
            return
        if isinstance(level, str):
            number = logging.getLevelNamesMapping().get(level)
            if number is None:
                raise ValueError(f"{name}: level: there is no level {level!r}")
            level = number
        elif level is None:
            level = logging.INFO
        elif not isinstance(level, int) or isinstance(level, bool):
            raise TypeError(
                f"{name}: level: wanted an int or the name of a level, got {type(level).__name__}"
            )
        if logger is None or isinstance(logger, str):
            logger = logging.getLogger(logger or "ferrule.calls")
        elif isinstance(logger, type) or not (
            callable(getattr(logger, "log", None))
            and callable(getattr(logger, "isEnabledFor", None))
        ):
            raise TypeError(
                f"{name}: logger: wanted a logger or the name of one, got {type(logger).__name__}"
            )
        self.logger, self.level = logger, int(level)

    def enabled(self) -> bool:
        return self.printer is not None or bool(self.logger.isEnabledFor(self.level))

    def put(self, text: str, *args: object, depth: int = DEPTH) -> None:
        if self.printer is not None:
            self.printer(text % args)
        else:
            self.logger.log(self.level, text, *args, stacklevel=depth + 1)


def describe(value: object) -> str:
    """Its repr; logging must not break the call."""
    try:
        return repr(value)
    except Exception:
        return f"<unprintable {type(value).__name__}>"


class Logged(Wrapper[P, R]):
    """What logged makes of a function."""

    def __init__(self, func: Any, sink: Sink, arguments: bool, result: bool, errors: bool) -> None:
        self._sink, self._arguments = sink, arguments
        self._result, self._errors = result, errors
        self._is_async = inspect.iscoroutinefunction(func)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._sink.enabled():
            name = name_of(self.__wrapped__)
            if self._arguments:
                given = [describe(value) for value in args]
                given += [f"{key}={describe(value)}" for key, value in kwargs.items()]
                self._sink.put("Calling %s(%s)", name, ", ".join(given))
            else:
                self._sink.put("Calling %s", name)
        try:
            result: Any = self.__wrapped__(*args, **kwargs)
        except BaseException as error:
            self._raised(error)
            raise
        if self._is_async and (self._result or self._errors):
            return self._await(result)  # type: ignore[return-value]
        self._returned(result)
        return result  # type: ignore[no-any-return]

    async def _await(self, awaitable: Any) -> Any:
        try:
            result = await awaitable
        except BaseException as error:
            self._raised(error)
            raise
        self._returned(result)
        return result

    def _returned(self, result: object) -> None:
        if self._result and self._sink.enabled():
            name = name_of(self.__wrapped__)
            self._sink.put("%s returned %s", name, describe(result), depth=3)

    def _raised(self, error: BaseException) -> None:
        if self._errors and self._sink.enabled():
            name = name_of(self.__wrapped__)
            self._sink.put("%s raised %s", name, describe(error), depth=3)


def logged(
    func: Any = ...,
    /,
    *,
    printer: Callable[[str], object] | None = None,
    logger: Any = None,
    level: int | str | None = None,
    arguments: bool = False,
    result: bool = False,
    errors: bool = False,
) -> Any:
    """func, saying 'Calling <name>' before each call."""
    flags = bool(arguments), bool(result), bool(errors)
    sink = Sink("logged", printer, logger, level)

    def decorator(func: Any) -> Any:
        return decorate("logged", lambda f: Logged(f, sink, *flags), func)

    return decorator if func is ... else decorator(func)
