"""`MaskingFilter`: no sensitive value in what `logging` writes.

The walk over values is native; here stand-ins are made for what had something to hide. Objects
that are logged are only read.
"""

from __future__ import annotations

import functools
import logging
import types
from collections.abc import Iterable, Mapping
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


class _Named(dict[Any, Any]):
    """Masked arguments of a message whose mapping makes values for missing keys."""

    def __init__(self, masked: Mapping[Any, Any], given: Any, masker: _Masker) -> None:
        super().__init__(masked)
        self._given, self._masker = given, masker

    def __missing__(self, key: Any) -> Any:
        value = self._given[key]
        return _STARS if self._masker.named(key) else self._masker.conceal(value)

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


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
        if not isinstance(names, Iterable):
            raise TypeError(
                f"MaskingFilter() names must be several str, got {type(names).__name__}"
            )
        names = tuple(names)
        for one in names:
            if not isinstance(one, str):
                raise TypeError(
                    f"MaskingFilter() names must be several str, got {type(one).__name__} in them"
                )
        self.names = frozenset(text.casefold() for text in names)

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record; tell whether it is to be logged."""
        if not super().filter(record):
            return False
        try:
            _mask_record(record, _Masker(self.names))
        except Exception:  # nothing of it may be shown, and nothing raised into the application
            record.msg, record.args, record.exc_info = _STARS, (), None
            record.exc_text = record.stack_info = None
            vars(record).pop("message", None)
        return True


def _mask_record(record: logging.LogRecord, masker: _Masker) -> None:
    attributes = vars(record)
    changed = False
    message, args = record.msg, record.args
    record.msg = masker.conceal(message)
    record.args = _mask_args(args, masker)
    if record.msg is not message or record.args is not args:
        changed = True
        _keep_line(record)
    for name in attributes.keys() - _STANDARD:
        value = attributes[name]
        attributes[name] = _STARS if masker.named(name) else masker.conceal(value)
        changed = changed or attributes[name] is not value
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        masked = masker.exception(error)
        if masked is not error:
            record.exc_info = (type(masked), masked, record.exc_info[2])
            record.exc_text = None
            changed = True
    if changed:  # a handler before may have made text of what is hidden now
        attributes.pop("message", None)


def _mask_args(args: Any, masker: _Masker) -> Any:
    if isinstance(args, tuple):
        masked = tuple([masker.conceal(value) for value in args])
        return masked if any(a is not b for a, b in zip(masked, args, strict=True)) else args
    if not args:
        return args
    named = masker.conceal(args)
    if named is not args and type(named) is dict and type(args) is not dict:
        return _Named(named, args, masker)
    return named


def _keep_line(record: logging.LogRecord) -> None:
    """Write the arguments behind a message that does not go with what stands for them (%d)."""
    try:
        record.getMessage()
    except Exception:
        args: Any = record.args
        shown = args if isinstance(args, tuple) else (args,)
        record.msg = " ".join([str(record.msg), *map(repr, shown)])
        record.args = ()


class _Masker:
    """One walk over a record. Called by the native one for what it finds (see `_mask_value`)."""

    __slots__ = ("_names", "_open")

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._open: set[int] = set()  # what is being opened: it may lead to itself

    def __call__(self, what: Any, fields: dict[str, Any] | None = None) -> Any:
        return self._opened(what) if fields is None else _Shown(what, fields)

    def named(self, key: Any) -> bool:
        """Is it one of the names to hide?"""
        if isinstance(key, bytes):
            key = key.decode("latin-1")
        return isinstance(key, str) and key.casefold() in self._names

    def conceal(self, value: Any) -> Any:
        """The value, or what stands for it if there is something to hide."""
        if type(value) in _PLAIN:
            return value
        try:
            if isinstance(value, BaseException):
                return self._opened(value)
            masked, hidden = _mask_value(value, _STARS, self)
            if self._names:
                masked, named = self._hide_names(masked)
                hidden = hidden or named
        except Exception:
            return _STARS
        return masked if hidden else value

    def _opened(self, value: Any) -> Any:
        """Of an exception a copy, of a method, partial or Enum member its type, if in what it
        holds something is to be hidden; else itself."""
        if isinstance(value, BaseException):
            return _STARS if id(value) in self._open else self.exception(value)
        if id(value) in self._open:
            return value  # decided by the one that is open
        if isinstance(value, types.MethodType):
            held: tuple[Any, ...] = (value.__self__,)
        elif isinstance(value, functools.partial):
            held = value.func, value.args, value.keywords
        else:
            held = (value._value_,)
        self._open.add(id(value))
        try:
            changed = any(self.conceal(one) is not one for one in held)
        finally:
            self._open.discard(id(value))
        return _Shown(f"{type(value).__qualname__}(***)", None) if changed else value

    def _hide_names(self, masked: Any) -> tuple[Any, bool]:
        """What the walk made without what is to be hidden by name; was there something?"""
        if isinstance(masked, _Shown) and masked._fields is not None:
            fields, hidden = self._hide_names(masked._fields)
            return (_Shown(masked._name, fields) if hidden else masked), hidden
        if type(masked) is dict:
            parts = {
                key: (_STARS, True) if self.named(key) else self._hide_names(value)
                for key, value in masked.items()
            }
            return {k: part for k, (part, _) in parts.items()}, any(h for _, h in parts.values())
        if type(masked) not in (list, tuple):
            return masked, False
        if type(masked) is tuple and len(masked) == 2 and self.named(masked[0]):
            return (masked[0], _STARS), True  # one of items()
        items = [self._hide_names(value) for value in masked]
        return type(masked)([item for item, _ in items]), any(hidden for _, hidden in items)

    def exception(self, error: BaseException) -> BaseException:
        """The exception, or a copy of it and all it leads to, if something in them is to be hidden.

        Causes may form a ring.
        """
        masked: dict[int, _Parts] = {}
        waiting = [error]
        try:
            while waiting:
                one = waiting.pop()
                if id(one) not in self._open:
                    self._open.add(id(one))
                    masked[id(one)] = _Parts(one)  # found by `finally`, whatever happens
                    masked[id(one)].read(self)
                    waiting += _others(one)
        finally:
            self._open.difference_update(masked)
        if not any(parts.changed for parts in masked.values()):
            return error
        made: dict[int, BaseException] = {}
        for parts in masked.values():
            parts.remake(masked, made)
        for parts in masked.values():
            one, copy = parts.error, made[id(parts.error)]
            copy.__cause__ = made.get(id(one.__cause__))
            copy.__context__ = made.get(id(one.__context__))
            copy.__suppress_context__ = one.__suppress_context__
        return made[id(error)]


class _Parts:
    """What an exception has, with what is to be hidden hidden."""

    __slots__ = ("args", "changed", "error", "members", "own")

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.changed = False
        self.args: tuple[Any, ...] = error.args
        if isinstance(error, BaseExceptionGroup):
            self.args = (error.message,)  # its own may be of any signature
        self.own: dict[str, Any] = dict(vars(error))
        self.members = _members(error)

    def read(self, masker: _Masker) -> None:
        """Hide what is sensitive."""
        shown, hidden = _mask_value(self.error, _STARS, masker)
        if hidden and isinstance(shown, _Shown) and shown._fields:  # its class has fields
            for name, seen in shown._fields.items():
                given = getattr(self.error, name, _STARS)
                if seen is not given or seen is _STARS:
                    self._replace(name, given, seen)
        self.args = tuple([self._conceal(masker, None, value) for value in self.args])
        for name, value in self.own.items():
            self.own[name] = self._conceal(masker, name, value)
        for name, (member, value) in self.members.items():
            self.members[name] = member, self._conceal(masker, name, value)

    def _replace(self, name: str, given: Any, seen: Any) -> None:
        self.changed = True
        self.args = tuple([seen if value is given else value for value in self.args])
        if name in self.members:
            self.members[name] = self.members[name][0], seen
        else:
            self.own[name] = seen

    def _conceal(self, masker: _Masker, name: str | None, value: Any) -> Any:
        seen = _STARS if masker.named(name) else masker.conceal(value)
        self.changed = self.changed or seen is not value
        return seen

    def remake(self, masked: dict[int, _Parts], made: dict[int, BaseException]) -> BaseException:
        """Enter a copy of the exception, made without the code of its class."""
        error = self.error
        if id(error) in made:
            return made[id(error)]
        kind = type(error)
        try:
            if isinstance(error, BaseExceptionGroup):
                inner = [
                    masked[id(one)].remake(masked, made) if id(one) in masked else _Hidden("***")
                    for one in error.exceptions
                ]
                copy: BaseException = _native_new(kind)(kind, str(self.args[0]), inner)
            else:
                copy = _native_new(kind)(kind)
                copy.args = self.args
            vars(copy).update(self.own)
            self._set_members(copy)
        except Exception:
            copy = _Hidden(f"{kind.__qualname__}: {_STARS!r}")
        made[id(error)] = copy.with_traceback(error.__traceback__)
        return copy

    def _set_members(self, copy: BaseException) -> None:
        before = _members(copy)
        given = _members(self.error)
        for name, (member, value) in self.members.items():
            if isinstance(copy, UnicodeError) and value is not given[name][1]:
                raise TypeError("CPython takes no stand-in here")
            if isinstance(copy, AttributeError) and name == "obj":
                continue  # only looked at for suggestions
            if name not in before or before[name][1] is not value:
                member.__set__(copy, value)


def _members(error: BaseException) -> dict[str, tuple[Any, Any]]:
    """Slots and the like of an exception, which are neither in `args` nor in `__dict__`."""
    found: dict[str, tuple[Any, Any]] = {}
    for base in type(error).__mro__:
        for name, member in vars(base).items():
            if (
                isinstance(member, types.MemberDescriptorType | types.GetSetDescriptorType)
                and not name.startswith("__")
                and name not in ("args", *found)
                and not (isinstance(error, BaseExceptionGroup) and base is BaseExceptionGroup)
            ):
                try:
                    found[name] = member, member.__get__(error)
                except Exception:  # not set
                    continue
    return found


def _native_new(kind: type) -> Any:
    """`__new__` of the nearest base that is not written in Python."""
    for base in kind.__mro__:
        new = vars(base).get("__new__")
        if isinstance(new, types.BuiltinFunctionType):
            return new
    return kind.__new__


def _others(error: BaseException) -> list[BaseException]:
    """The exceptions that one leads to."""
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [one for one in (error.__cause__, error.__context__, *inner) if one is not None]
