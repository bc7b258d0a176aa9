"""Twin of `mask`, and of the walk behind `MaskingFilter`."""

from __future__ import annotations

import collections.abc
import enum
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ._constraint import facts_of
from ._validate import fields_of

STARS = "***"
_ATOMS = (
    str, bytes, bytearray, int, float, complex, range, memoryview, type, enum.Enum,
    types.NoneType, types.FunctionType, types.BuiltinFunctionType, types.ModuleType,
)  # fmt: skip
_OTHERS = (
    set,
    frozenset,
    collections.abc.MutableSequence,
    collections.abc.Set,
    collections.abc.ValuesView,
)


class Shape(typing.NamedTuple):
    """Where in a value the sensitive ones are. A part None: its own type decides."""

    kind: str
    parts: Any = ()


_WHOLE = Shape("stars")


def _settled(kind: str, parts: Any) -> Shape | None:
    values = parts.values() if isinstance(parts, dict) else parts
    return Shape(kind, parts) if any(part is not None for part in values) else None


def _shape(tp: Any, outer: tuple[Any, ...], found: list[Any]) -> Shape | None:
    if any(tp is other for other in outer):  # an alias that names itself
        return _WHOLE
    if tp is ... or isinstance(tp, (list, str)):
        return None
    facts = facts_of(tp)
    base = facts.base
    if facts.sensitive:
        found.append(tp)
        return _WHOLE
    outer = (*outer, tp)
    origin, args = getattr(base, "__origin__", None), getattr(base, "__args__", None)
    if not isinstance(args, tuple):
        if not (isinstance(base, type) and issubclass(base, dict) and hasattr(base, "__total__")):
            return None
        named = {f.name: _shape(f.annotation, outer, found) for f in fields_of(base)}
        return _settled("fields", named)
    if origin in (type, typing.Literal, collections.abc.Callable):
        return None
    parts = [_shape(arg, outer, found) for arg in args]
    if not isinstance(origin, type):
        return _settled("either", parts)
    if issubclass(origin, tuple):
        return _settled("items", parts[:1]) if args[1:] == (...,) else _settled("tuple", parts)
    if issubclass(origin, Mapping) and parts[0] is None:
        return _settled("mapping", parts[1:])
    if issubclass(origin, Iterable) and not issubclass(origin, Mapping) and len(parts) == 1:
        return _settled("items", parts)
    return _WHOLE if _settled("either", parts) else None


def shape_of(tp: Any) -> Shape | None:
    """Where an annotation says that a value is sensitive; None: nowhere."""
    found: list[Any] = []
    shape = _shape(tp, (), found)
    return shape if found else None


def _looks_sensitive(cls: type) -> bool:
    text = repr([getattr(base, "__annotations__", None) for base in cls.__mro__])
    return "Sensitive" in text or "sensitive_data" in text


def _kind(cls: type) -> tuple[str, dict[str, Any]]:
    """What a value of the class is to masking, and its fields."""
    if issubclass(cls, _ATOMS):
        return "atom", {}
    if issubclass(cls, (dict, list)):
        return ("dict" if issubclass(cls, dict) else "list"), {}
    if not issubclass(cls, (set, frozenset)) and cls is not tuple:
        try:
            fields = {field.name: field.annotation for field in fields_of(cls)}
        except Exception:
            return ("whole" if _looks_sensitive(cls) else "atom"), {}
        if fields or hasattr(cls, "__dataclass_fields__"):
            return "object", fields
    if issubclass(cls, tuple):
        return "row", {}
    if issubclass(cls, Mapping):
        return "dict", {}
    return ("others" if issubclass(cls, _OTHERS) else "atom"), {}


_FITS = {
    "items": {"list", "row", "others"},
    "tuple": {"row"},
    "mapping": {"dict"},
    "fields": {"dict"},
}


def _choose(shape: Shape | None, kind: str) -> tuple[Shape | None, bool]:
    """The shape that applies, and whether the value is to be hidden whole."""
    if shape is None:
        return None, False
    if shape.kind != "either":
        return shape, shape.kind == "stars" or kind not in _FITS[shape.kind]
    real = [part for part in shape.parts if part is not None]
    fitting = [p for p in real if p.kind in ("stars", "either") or kind in _FITS[p.kind]]
    if len(fitting) == 1:
        return _choose(fitting[0], kind)
    return None, len(fitting) > 1 or len(real) == len(shape.parts)


class _Walk:
    def __init__(self, stars: Any, factory: Callable[[str, dict[str, Any]], Any] | None) -> None:
        self.stars, self.factory, self.hidden = stars, factory, False
        self.open: list[Any] = []

    def hide(self) -> Any:
        self.hidden = True
        return self.stars

    def any(self, shape: Shape | None, value: Any) -> Any:
        kind, fields = _kind(type(value))
        hide = kind == "whole"
        if not hide and (value is not None or shape == _WHOLE):
            shape, hide = _choose(shape, kind)
        if hide:
            return self.hide()
        if kind == "atom":
            return value
        if any(value is other for other in self.open):
            if self.factory:
                return self.stars
            raise ValueError(f"mask(): a value of type {type(value).__name__} contains itself")
        self.open.append(value)
        try:
            return self.compound(kind, fields, shape, value)
        finally:
            self.open.pop()

    def compound(self, kind: str, fields: dict[str, Any], shape: Shape | None, value: Any) -> Any:
        if kind == "object":
            made = self.fields(fields, value)
            return self.factory(type(value).__qualname__, made) if self.factory else made
        if kind == "dict":
            parts = shape.parts if shape and shape.kind == "fields" else {}
            rest = shape.parts[0] if shape and shape.kind == "mapping" else None
            return {
                self.key(key): self.any(
                    parts.get(key) if isinstance(key, str) and parts else rest, item
                )
                for key, item in list(value.items())
            }
        items = []
        for i, item in enumerate(list(value) if kind == "others" else value):
            if shape and shape.kind == "tuple" and i >= len(shape.parts):
                items.append(self.hide())
            else:
                part = shape and shape.parts[i if shape.kind == "tuple" else 0]
                items.append(self.any(part, item))
        return tuple(items) if kind == "row" else items

    def key(self, key: Any) -> Any:
        made = self.any(None, key)
        try:
            hash(made)
        except TypeError:
            return repr(made)
        return made

    def fields(self, fields: dict[str, Any], value: Any) -> dict[str, Any]:
        made = {}
        for name, tp in fields.items():
            shape = shape_of(tp)
            if shape == _WHOLE:
                made[name] = self.hide()
            elif hasattr(value, name):
                made[name] = self.any(shape, getattr(value, name))
        return made


def mask(obj: Any, /) -> dict[str, Any]:
    """The fields of obj as a dict, with "***" for the sensitive ones."""
    kind, fields = _kind(type(obj))
    if kind not in ("object", "dict"):
        list(fields_of(type(obj)))  # the error that says why
        raise TypeError(
            f"mask() wants an object with annotated fields or a mapping, got {type(obj).__name__}"
        )
    made: dict[str, Any] = _Walk(STARS, None).any(None, obj)
    return made


def _mask_value(value: Any, stars: Any, factory: Any, /) -> tuple[Any, bool]:
    """(What stands for value, was something hidden), for logs."""
    walk = _Walk(stars, factory)
    return walk.any(None, value), walk.hidden
