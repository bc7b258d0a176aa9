"""Twin of `mask`, and of the walk behind `MaskingFilter`."""

from __future__ import annotations

import collections.abc
import contextlib
import enum
import functools
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ._constraint import facts_of, form_of
from ._validate import _counts, fields_of

STARS = "***"
_ATOMS = (
    str, bytes, bytearray, int, float, complex, range, memoryview, type,
    types.NoneType, types.FunctionType, types.BuiltinFunctionType, types.ModuleType,
)  # fmt: skip
_OTHERS = (
    set,
    frozenset,
    collections.abc.MutableSequence,
    collections.abc.Set,
    collections.abc.ValuesView,
)
_HOLDERS = (BaseException, types.MethodType, functools.partial, enum.Enum)


class Shape(typing.NamedTuple):
    """Where in a value the sensitive ones are. A part None: its own type decides."""

    kind: str
    parts: Any = ()
    classes: Any = ()  # either: for each part None the classes that it allows


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
        either = _settled("either", parts)
        return either and either._replace(
            classes=[() if part else tuple(_allowed(arg)) for part, arg in zip(parts, args)]  # noqa: B905
        )
    if issubclass(origin, tuple):
        return _settled("items", parts[:1]) if args[1:] == (...,) else _settled("tuple", parts)
    if issubclass(origin, Mapping) and parts[0] is None:
        return _settled("mapping", parts[1:])
    if issubclass(origin, Iterable) and not issubclass(origin, Mapping) and len(parts) == 1:
        return _settled("items", parts)
    return _WHOLE if _settled("either", parts) else None


def _allowed(tp: Any) -> Iterable[type]:
    """The classes of the values that an annotation without anything sensitive allows."""
    base: Any = () if isinstance(tp, str) else facts_of(tp).base
    origin = typing.get_origin(base)
    form = form_of(origin or base)
    if form == "any" or isinstance(base, typing.TypeVar):
        yield object
    elif isinstance(base, type) and not isinstance(base, types.GenericAlias):
        yield from (int, float) if base in (float, complex) else ()
        yield dict if issubclass(base, dict) and hasattr(base, "__total__") else base
    elif form == "union" or origin is types.UnionType:
        for arg in base.__args__:
            yield from _allowed(arg)
    elif form == "literal":
        yield from map(type, base.__args__)
    elif isinstance(origin, type):
        yield origin
    elif form == "text":
        yield str


def shape_of(tp: Any) -> Shape | None:
    """Where an annotation says that a value is sensitive; None: nowhere."""
    found: list[Any] = []
    shape = _shape(tp, (), found)
    return shape if found else None


def _hints_of(cls: type) -> dict[str, Any]:
    """The annotations of a class; None where one cannot be read."""
    with contextlib.suppress(Exception):
        return typing.get_type_hints(cls, include_extras=True)
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        scope = {**vars(base), base.__name__: base}
        for name, text in vars(base).get("__annotations__", {}).items():
            own = {"__annotations__": {name: text}, "__module__": base.__module__}
            hints[name] = None
            with contextlib.suppress(Exception):
                single = type("Single", (), own)
                hints |= typing.get_type_hints(single, localns=scope, include_extras=True)
    return hints


def _loose(cls: type) -> tuple[dict[str, Shape | None], bool]:
    """The shapes of fields, hidden where an annotation cannot be read; was there such a one?"""
    shapes: dict[str, Shape | None] = {}
    failed = False
    for name, tp in _hints_of(cls).items():
        try:
            if tp is not None and not _counts(tp):
                continue
            shapes[name] = _WHOLE if tp is None else shape_of(tp)
            failed = failed or tp is None
        except Exception:
            shapes[name], failed = _WHOLE, True
    return shapes, failed


def _fields(cls: type) -> tuple[dict[str, Shape | None], bool]:
    if issubclass(cls, enum.Enum):
        return {}, False
    try:
        return {field.name: shape_of(field.annotation) for field in fields_of(cls)}, False
    except (MemoryError, RecursionError):
        raise
    except Exception:
        return _loose(cls)


def _kind(cls: type) -> tuple[str, dict[str, Shape | None], bool]:
    """What a value of the class is to masking, its fields, and whether some could not be read."""
    if issubclass(cls, _ATOMS):
        return "atom", {}, False
    if issubclass(cls, list):
        return "list", {}, False
    fields: dict[str, Shape | None] = {}
    failed = False
    if not issubclass(cls, (set, frozenset)) and cls is not tuple:
        fields, failed = _fields(cls)
    if issubclass(cls, dict):
        return "dict", fields, failed
    if fields or hasattr(cls, "__dataclass_fields__"):
        return ("atom" if issubclass(cls, enum.Enum) else "object"), fields, failed
    if issubclass(cls, _HOLDERS):
        return "atom", {}, failed
    kinds: dict[str, Any] = {
        "row": tuple,
        "namespace": types.SimpleNamespace,
        "dict": Mapping,
        "others": _OTHERS,
        "atom": object,
    }
    return next(kind for kind, bases in kinds.items() if issubclass(cls, bases)), {}, failed


def _held(value: Any) -> list[Any]:
    """What is in an exception, a method, a partial object or an Enum member."""
    if isinstance(value, types.MethodType):
        return [value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, enum.Enum):
        return [value._value_]
    held = [value.__dict__]
    for base in type(value).__mro__:
        for name, member in vars(base).items():
            kinds = types.MemberDescriptorType, types.GetSetDescriptorType
            if isinstance(member, kinds) and not name.startswith("__"):
                with contextlib.suppress(Exception):
                    held.append(member.__get__(value))
    return held


_FITS = {
    "items": {"list", "row", "others"},
    "tuple": {"row"},
    "mapping": {"dict"},
    "fields": {"dict"},
}


def _allows(classes: Any, value: Any) -> bool:
    for cls in classes:
        with contextlib.suppress(Exception):  # a Protocol
            if issubclass(type(value), cls):
                return True
    return False


def _fits(shape: Shape, kind: str, value: Any) -> bool:
    if shape.kind == "either":
        return any(
            _fits(part, kind, value) if part else _allows(classes, value)
            for part, classes in zip(shape.parts, shape.classes, strict=True)
        )
    return shape.kind == "stars" or kind in _FITS[shape.kind]


def _choose(shape: Shape | None, kind: str, value: Any) -> tuple[Shape | None, bool]:
    """The shape that applies, and whether the value is to be hidden whole."""
    if shape is None:
        return None, False
    if shape.kind != "either":
        return shape, shape.kind == "stars" or not _fits(shape, kind, value)
    fitting = [part for part in shape.parts if part and _fits(part, kind, value)]
    if len(fitting) == 1:
        return _choose(fitting[0], kind, value)
    return None, len(fitting) > 1 or not _fits(shape, kind, value)


class _Walk:
    def __init__(self, stars: Any, factory: Callable[[str, dict[str, Any]], Any] | None) -> None:
        self.stars, self.factory, self.hidden = stars, factory, False
        self.open: list[Any] = []
        self.probe = False

    def hide(self) -> Any:
        self.hidden = True
        return self.stars

    def any(self, shape: Shape | None, value: Any) -> Any:
        kind, fields, _ = _kind(type(value))
        hide = False
        if value is not None or shape == _WHOLE:
            shape, hide = _choose(shape, kind, value)
        if hide:
            return self.hide()
        if kind == "atom" and not isinstance(value, _HOLDERS):
            return value
        if any(value is other for other in self.open):
            if self.factory or self.probe:
                return self.stars
            raise ValueError(f"mask(): a value of type {type(value).__name__} contains itself")
        self.open.append(value)
        try:
            return self.compound(kind, fields, shape, value)
        finally:
            self.open.pop()

    def holder(self, value: Any) -> Any:
        if self.factory:
            made: Any = typing.cast("Any", self.factory)(value)
            self.hidden = self.hidden or made is not value
            return made
        inner = _Walk(STARS, None)
        inner.probe, inner.open = True, self.open if self.probe else [value]
        try:
            inner.any(None, _held(value))
        except (MemoryError, RecursionError):
            raise
        except Exception:
            inner.hidden = True
        return self.hide() if inner.hidden else value

    def shown(self, value: Any, fields: Any) -> Any:
        return self.factory(type(value).__qualname__, fields) if self.factory else fields

    def compound(self, kind: str, fields: dict[str, Any], shape: Shape | None, value: Any) -> Any:
        holds = isinstance(value, _HOLDERS)
        if kind == "atom" or (holds and self.factory and len(self.open) > 1):
            return self.holder(value)
        if kind == "object":
            return self.shown(value, self.fields(fields, value))
        if kind == "namespace":
            return self.shown(value, self.compound("dict", {}, None, value.__dict__))
        if kind == "dict":
            parts = shape.parts if shape and shape.kind == "fields" else {}
            rest = shape.parts[0] if shape and shape.kind == "mapping" else None
            return {
                self.key(key): self.any(
                    (isinstance(key, str) and (fields.get(key) or parts.get(key))) or rest, item
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
        names = getattr(type(value), "_fields", ())
        if kind == "row" and self.factory and names and len(names) == len(items):
            return self.shown(value, dict(zip(names, items, strict=True)))
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
        for name, shape in fields.items():
            if shape == _WHOLE:
                made[name] = self.hide()
            elif hasattr(value, name):
                made[name] = self.any(shape, getattr(value, name))
        return made


def mask(obj: Any, /) -> dict[str, Any]:
    """The fields of obj as a dict, with "***" for the sensitive ones."""
    kind, _, failed = _kind(type(obj))
    if failed or kind not in ("object", "dict", "namespace"):
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
