"""`MaskingFilter`: no sensitive value in what `logging` writes.

The walk over values is native; here stand-ins are made for what had something to hide. Objects
that are logged are only read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from .._validation import _mask_value

__all__ = ["MaskingFilter"]

_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Shown:
    """Stands for an object in which something was hidden; for a hidden value itself."""

    __slots__ = ("_fields", "_name")

    def __init__(self, name: str, fields: dict[str, Any] | None) -> None:
        self._name, self._fields = name, fields

    def __repr__(self) -> str:
        if self._fields is None:
            return self._name
        try:
            shown = ", ".join(f"{name}={value!r}" for name, value in self._fields.items())
        except Exception:
            return _STARS._name
        return f"{self._name}({shown})"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __reduce__(self) -> Any:
        return _Shown, (self._name, self._fields)


_STARS = _Shown("***", None)


class _Hidden(Exception):
    """Stands for an exception that cannot be made again."""


class MaskingFilter(logging.Filter):
    """Masks sensitive values in log records, for a logger or a handler.

    What is annotated Sensitive shows as ``***``: in the arguments of a message, the message object,
    ``extra`` and the exception, at any depth. `names` hides keys of mappings, fields and attributes
    of ``extra`` by name, upper and lower case alike. The record is changed in place, so handlers
    that follow see it masked; the objects logged are not changed. A value that was made text before
    it was logged cannot be found.
    """

    def __init__(self, name: str = "", *, names: Iterable[str] = ()) -> None:
        super().__init__(name)
        if isinstance(names, str):
            raise TypeError("MaskingFilter() names must be several str, got one str")
        self.names = frozenset(text.casefold() for text in names)

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record; tell whether it is to be logged."""
        if not super().filter(record):
            return False
        try:
            self._mask(record)
        except Exception:  # nothing of it may be shown, and nothing raised into the application
            record.msg, record.args, record.exc_info = _STARS, (), None
            record.exc_text = record.stack_info = None
        return True

    def _mask(self, record: logging.LogRecord) -> None:
        record.msg = self._conceal(record.msg)
        args: Any = record.args
        if isinstance(args, tuple):
            record.args = tuple([self._conceal(value) for value in args])
        elif args:
            record.args = self._conceal(args)
        attributes = vars(record)
        for name in attributes.keys() - _STANDARD:
            hidden = name.casefold() in self.names
            attributes[name] = _STARS if hidden else self._conceal(attributes[name])
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            masked = self._exception(error)
            if masked is not error:
                record.exc_info = (type(masked), masked, record.exc_info[2])
                record.exc_text = None

    def _conceal(self, value: Any) -> Any:
        """The value, or what stands for it if there is something to hide."""
        if type(value) in _PLAIN:
            return value
        try:
            if isinstance(value, BaseException):
                return self._exception(value)
            masked, hidden = _mask_value(value, _STARS, _Shown)
            if self.names:
                hidden = self._hide_names(masked) or hidden
        except Exception:
            return _STARS
        return masked if hidden else value

    def _hide_names(self, masked: Any) -> bool:
        """Hide by name in what the walk made; was there something?"""
        hidden = False
        if isinstance(masked, _Shown):
            masked = masked._fields
        if isinstance(masked, dict):
            for key, value in masked.items():
                if isinstance(key, str) and key.casefold() in self.names:
                    masked[key] = _STARS
                    hidden = True
                else:
                    hidden = self._hide_names(value) or hidden
        elif isinstance(masked, (list, tuple)):
            for value in masked:
                hidden = self._hide_names(value) or hidden
        return hidden

    def _exception(self, error: BaseException) -> BaseException:
        """The exception, or a copy of it and all it leads to, if something in them is to be hidden.

        Causes may form a ring.
        """
        masked = {}
        waiting = [error]
        while waiting:
            one = waiting.pop()
            if id(one) not in masked:
                masked[id(one)] = one, *self._parts(one)
                waiting += _others(one)
        if not any(changed for *_, changed in masked.values()):
            return error
        made: dict[int, BaseException] = {}
        for one, args, own, _ in masked.values():
            _remake(one, args, own, masked, made)
        for one, *_ in masked.values():
            copy = made[id(one)]
            copy.__cause__ = made.get(id(one.__cause__))
            copy.__context__ = made.get(id(one.__context__))
            copy.__suppress_context__ = one.__suppress_context__
        return made[id(error)]

    def _parts(self, error: BaseException) -> tuple[tuple[Any, ...], dict[str, Any], bool]:
        """Arguments and attributes with what is sensitive hidden; was there something?"""
        args: tuple[Any, ...] = tuple([self._conceal(value) for value in error.args])
        own = dict(vars(error))
        shown = _mask_value(error, _STARS, _Shown)[0]
        if isinstance(shown, _Shown) and shown._fields is not None:  # its class has fields
            for name in [name for name, value in shown._fields.items() if value is _STARS]:
                given = getattr(error, name, _STARS)
                args = tuple([_STARS if value is given else value for value in args])
                own[name] = _STARS
        for name, value in own.items():
            hidden = name.casefold() in self.names
            own[name] = _STARS if hidden else self._conceal(value)
        changed = any(a is not b for a, b in zip(args, error.args, strict=True)) or any(
            value is not vars(error).get(name) for name, value in own.items()
        )
        return args, own, changed


def _others(error: BaseException) -> list[BaseException]:
    """The exceptions that one leads to."""
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [one for one in (error.__cause__, error.__context__, *inner) if one is not None]


def _remake(
    error: BaseException,
    args: tuple[Any, ...],
    own: dict[str, Any],
    masked: dict[int, Any],
    made: dict[int, BaseException],
) -> BaseException:
    """Enter a copy of the exception, made without the code of its class."""
    if id(error) in made:
        return made[id(error)]
    kind = type(error)
    try:
        if isinstance(error, BaseExceptionGroup):
            inner = []
            for one in error.exceptions:
                exception, its_args, its_own = masked[id(one)][:3]
                inner.append(_remake(exception, its_args, its_own, masked, made))
            copy: BaseException = kind.__new__(kind, str(args[0]), inner)
        else:
            copy = kind.__new__(kind)
            copy.args = args
        vars(copy).update(own)
    except Exception:
        copy = _Hidden(f"{kind.__qualname__}: {_STARS!r}")
    made[id(error)] = copy.with_traceback(error.__traceback__)
    return copy
