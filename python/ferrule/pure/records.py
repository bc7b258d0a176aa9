"""Pure-Python twin of `ferrule.records`, built from `dataclasses` and `__slots__`.

Every class statement is worked out twice: a *draft* class goes through `dataclasses.dataclass`,
which gives fields, methods and error messages; its namespace, with slots and checked descriptors
in place of defaults, then makes the record class itself.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import inspect
import keyword
import operator
import reprlib
import struct
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import (
    KW_ONLY,
    MISSING,
    Field,
    FrozenInstanceError,
    InitVar,
    asdict,
    astuple,
    field,
    fields,
)
from dataclasses import dataclass as _dataclass
from typing import Annotated, Any, NamedTuple

__all__ = [
    "KW_ONLY", "MISSING", "AbstractRecord", "Coded", "Column", "Field", "FieldLayout",
    "FrozenInstanceError", "InitVar", "Layout", "Record", "RecordArray", "RecordMeta",
    "RecordTable", "Row", "Size", "Storage",
    "asdict", "astuple", "bool8", "f32", "f64", "field",
    "fields", "i8", "i16", "i32", "i64", "layout", "make_record", "record", "replace", "u8", "u16",
    "u32", "u64",
]  # fmt: skip

_DATACLASS_OPTIONS = frozenset("frozen order eq repr init unsafe_hash match_args kw_only".split())
_OPTIONS = _DATACLASS_OPTIONS | frozenset("weakref gc sealed packed endian".split())


class FieldLayout(NamedTuple):
    """Where one field lives: bytes from the first data byte, storage kind, size."""

    name: str
    offset: int
    kind: str
    size: int
    resolved: bool = True


class Layout(NamedTuple):
    """The data of a record class: size rounded up to its alignment, and its fields."""

    size: int
    alignment: int
    fields: tuple[FieldLayout, ...]
    instance_size: int
    gc: bool
    has_dict: bool


@_dataclass(frozen=True)
class Size:
    """`Annotated[bytes, Size(n)]`: exactly n bytes; `Annotated[str, Size(n)]`: at most n."""

    n: int

    def __post_init__(self) -> None:
        if type(self.n) is not int:
            raise TypeError(f"Size() wants an int, got {type(self.n).__name__} {self.n!r}")
        if self.n < 1:
            raise ValueError(f"Size() must be at least 1, got {self.n}")


@_dataclass(frozen=True)
class _Kind:
    """How one storage kind is called, how wide it is, what it reads as before it is set.

    `convert` gives the value to store or raises TypeError, OverflowError or ValueError without
    a message; `fresh` gives what a read returns, never the object that was stored.
    """

    name: str
    wanted: str
    size: int
    alignment: int
    zero: Any
    convert: Callable[[Any], Any]
    fresh: Callable[[Any], Any] = lambda value: value
    sensitive: bool = dataclasses.field(default=False, compare=False)


def _as_int(value: Any, low: int, high: int) -> int:
    if not hasattr(type(value), "__index__"):
        raise _Refused(TypeError)
    number = operator.index(value)
    if not low <= number <= high:
        raise _Refused(OverflowError)
    return number


def _as_float(value: Any, code: str) -> float:
    if isinstance(value, int) or not hasattr(type(value), "__float__"):
        if not hasattr(type(value), "__index__"):
            raise _Refused(TypeError)
        exact: int | None = operator.index(value)
        value = exact
    else:
        exact = None
        value = float(value)
    try:
        stored: float = struct.unpack(code, struct.pack(code, value))[0]
    except (OverflowError, struct.error):
        raise _Refused(OverflowError) from None
    if exact is not None and exact != stored:
        raise _Refused(ValueError)
    return stored


def _as_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise _Refused(TypeError)
    return value


def _as_bytes(value: Any, size: int) -> bytes:
    if not isinstance(value, bytes):
        raise _Refused(TypeError)
    if len(value) != size:
        raise _Refused(ValueError)
    return bytes(memoryview(value))


def _as_str(value: Any, size: int) -> str:
    if not isinstance(value, str):
        raise _Refused(TypeError)
    try:
        data = str.encode(value)
    except UnicodeEncodeError:
        raise _Refused(ValueError) from None
    if len(data) > size or data.endswith(b"\0"):
        raise _Refused(ValueError)
    return data.decode()


class _Refused(Exception):
    """Carries the type of the exception that the descriptor raises with the full message."""


def _int_kind(name: str, size: int, low: int, high: int) -> _Kind:
    return _Kind(name, name, size, size, 0, lambda value: _as_int(value, low, high))


def _float_kind(name: str, size: int, code: str) -> _Kind:
    convert = functools.partial(_as_float, code=code)
    return _Kind(name, name, size, size, 0.0, convert, lambda value: value * 1.0)


_OBJECT = _Kind("object", "object", 8, 8, None, lambda value: value)
_KINDS: dict[str, _Kind] = {
    kind.name: kind
    for kind in (
        *(_int_kind(f"i{8 * n}", n, -(1 << 8 * n - 1), (1 << 8 * n - 1) - 1) for n in (1, 2, 4, 8)),
        *(_int_kind(f"u{8 * n}", n, 0, (1 << 8 * n) - 1) for n in (1, 2, 4, 8)),
        _float_kind("f32", 4, "<f"),
        _float_kind("f64", 8, "<d"),
        _Kind("bool8", "bool8", 1, 1, False, _as_bool),
    )
}


@_dataclass(frozen=True)
class Storage:
    """`Annotated` metadata that asks for a storage kind: what `i64` and its like are made of."""

    kind: str

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"Storage() knows no kind {self.kind!r}")

    def __repr__(self) -> str:
        return f"Storage({self.kind!r})"


i8 = Annotated[int, Storage("i8")]
i16 = Annotated[int, Storage("i16")]
i32 = Annotated[int, Storage("i32")]
i64 = Annotated[int, Storage("i64")]
u8 = Annotated[int, Storage("u8")]
u16 = Annotated[int, Storage("u16")]
u32 = Annotated[int, Storage("u32")]
u64 = Annotated[int, Storage("u64")]
f32 = Annotated[float, Storage("f32")]
f64 = Annotated[float, Storage("f64")]
bool8 = Annotated[bool, Storage("bool8")]

_PACKED = {int: _KINDS["i64"], float: _KINDS["f64"], bool: _KINDS["bool8"]}


@functools.cache
def _sized_kind(tp: Any, size: int) -> _Kind | None:
    if tp is bytes:
        convert = functools.partial(_as_bytes, size=size)
        return _Kind("bytes", f"bytes[{size}]", size, 1, bytes(size), convert)
    if tp is str:
        return _Kind("str", f"str[{size}]", size, 1, "", functools.partial(_as_str, size=size))
    return None


def _kind_of(where: str, tp: Any, packed: bool) -> _Kind:
    """The storage kind that an evaluated annotation asks for."""
    if typing.get_origin(tp) is not Annotated:
        return _PACKED.get(tp, _OBJECT) if packed and isinstance(tp, type) else _OBJECT
    marks = [mark for mark in tp.__metadata__ if isinstance(mark, (Storage, Size))]
    if not marks:
        return _OBJECT  # packed or not: this is no plain int
    first = marks[0]
    kind = _KINDS[first.kind] if isinstance(first, Storage) else _sized_kind(tp.__origin__, first.n)
    if kind is None or len(marks) > 1:
        raise TypeError(f"{where}: unsupported annotation {tp!r}")
    return kind


def _checked(where: str, kind: _Kind, value: Any) -> Any:
    """The value as the kind keeps it, or the error that names where it was to go."""
    try:
        return kind.convert(value)
    except _Refused as refused:
        shown = "***" if kind.sensitive else repr(value)
        if len(shown) > 60:
            shown = f"{shown[:57]}..."
        raise refused.args[0](
            f"{where}: wanted {kind.wanted}, got {type(value).__name__} {shown}"
        ) from None


class _Unboxed:
    """Data descriptor of a field with a storage kind: converts on the way in, zero when unset."""

    def __init__(self, name: str, kind: _Kind) -> None:
        self.name, self.kind, self.slot = name, kind, f"_ferrule_{name}"

    def __get__(self, obj: Any, owner: type | None = None) -> Any:
        if obj is None:
            return self
        return self.kind.fresh(getattr(obj, self.slot, self.kind.zero))

    def __set__(self, obj: Any, value: Any) -> None:
        kind = type(obj)._ferrule_storage[self.name][0]
        value = _checked(f"{type(obj).__qualname__}.{self.name}", kind, value)
        object.__setattr__(obj, self.slot, value)

    def __delete__(self, obj: Any) -> None:
        raise AttributeError(
            f"cannot delete unboxed field {self.name!r} of record {type(obj).__qualname__!r}"
        )


class _Checked:
    """Data descriptor of a field whose values are checked before they are kept.

    `check` is None where a subclass declares the field without one.
    """

    def __init__(self, name: str, kind: _Kind, check: Any) -> None:
        self.name, self.kind, self.check, self.slot = name, kind, check, f"_ferrule_{name}"

    def __get__(self, obj: Any, owner: type | None = None) -> Any:
        if obj is None:
            return self if self.check is None else self.check
        return self.kind.fresh(getattr(obj, self.slot, self.kind.zero))

    def __set__(self, obj: Any, value: Any) -> None:
        if self.check is not None:
            sensitive = type(obj)._ferrule_storage[self.name][3]
            self.check._ferrule_check(value, sensitive)
        value = _checked(f"{type(obj).__qualname__}.{self.name}", self.kind, value)
        object.__setattr__(obj, self.slot, value)

    def __delete__(self, obj: Any) -> None:
        if self.kind is not _OBJECT or self.__get__(obj) is None:
            raise AttributeError(
                f"{type(obj).__qualname__!r} object has no attribute {self.name!r} to delete"
            )
        object.__delattr__(obj, self.slot)


def _take_checks(
    name: str, bases: tuple[type, ...], body: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The objects that check fields, and the body without them."""
    annotations = dict(body.get("__annotations__", {}))
    checks, rest = {}, dict(body)
    for key, value in body.items():
        meaning = str(annotations.get(key, ""))
        if not hasattr(type(value), "_ferrule_check") or "ClassVar" in meaning:
            continue
        if "InitVar" in meaning:
            raise TypeError(f"{name}.{key}: an InitVar cannot be checked")
        checks[key] = rest.pop(key)
        again = any(key in getattr(base, "_ferrule_storage", ()) for base in bases)
        if key not in annotations and not again:
            annotations[key], rest[key] = object, field(default=None, init=False)
    return checks, {**rest, "__annotations__": annotations} if checks else body


class _CachedProperty(functools.cached_property[Any]):
    """A cached_property that keeps its values in the hidden slot of a record."""

    def __get__(self, obj: Any, owner: type | None = None) -> Any:
        if obj is None:
            return self
        if not hasattr(obj, "_ferrule_cache"):
            object.__setattr__(obj, "_ferrule_cache", {})
        cache = obj._ferrule_cache
        if self.attrname not in cache:
            cache[self.attrname] = self.func(obj)
        return cache[self.attrname]


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _make_eq(names: list[str]) -> Callable[[Any, Any], Any]:
    key = _getter(names)

    def __eq__(self: Any, other: Any) -> Any:
        if self is other:
            return True
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _make_hash(names: list[str], storage: _Storage) -> Callable[[Any], int]:
    key = _getter(names)
    floats = [i for i, name in enumerate(names) if isinstance(storage[name][0].zero, float)]

    def __hash__(self: Any) -> int:
        values = list(key(self))
        for i in floats:
            if values[i] != values[i]:
                values[i] = 0
        return hash(tuple(values))

    return __hash__


_open: set[int] = set()  # ids of frozen records whose __post_init__ is running


def _frozen_setattr(self: Any, name: str, value: Any) -> None:
    if id(self) not in _open:
        raise FrozenInstanceError(
            f"cannot assign to field {name!r} of frozen record {type(self).__qualname__!r}"
        )
    object.__setattr__(self, name, value)


def _frozen_delattr(self: Any, name: str) -> None:
    if id(self) not in _open:
        raise FrozenInstanceError(
            f"cannot delete field {name!r} of frozen record {type(self).__qualname__!r}"
        )
    object.__delattr__(self, name)


# per field: its kind, whether that is certain, the annotation it was read from, and whether that
# is sensitive
_Storage = dict[str, tuple[_Kind, bool, Any, bool]]


def _make_repr(names: list[str], storage: _Storage) -> Callable[[Any], str]:
    @reprlib.recursive_repr()
    def __repr__(self: Any) -> str:
        shown = ("***" if storage[name][3] else repr(getattr(self, name)) for name in names)
        fields = ", ".join(f"{name}={text}" for name, text in zip(names, shown, strict=True))
        return f"{type(self).__qualname__}({fields})"

    return __repr__


class _Stars:
    def __repr__(self) -> str:
        return "***"


class _SecretField(Field):  # type: ignore[type-arg]
    """A Field of a sensitive one: its default does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = copy.copy(self)
        shown.__class__ = Field  # type: ignore[assignment]
        shown.default = _Stars()
        return repr(shown)


def _hide_defaults(cls: Any, storage: _Storage) -> str:
    """The docstring that dataclasses makes, without the defaults of sensitive fields."""
    secret = {
        name: item
        for name, item in cls.__dataclass_fields__.items()
        if name in storage and storage[name][3] and item.default is not MISSING
    }
    for item in secret.values():
        item.__class__ = _SecretField
    signature = inspect.signature(cls)
    shown = [
        parameter.replace(default=_Stars()) if name in secret else parameter
        for name, parameter in signature.parameters.items()
    ]
    text = str(signature.replace(parameters=shown)).replace(" -> None", "")
    return f"{cls.__name__}{text}"


def _is_sensitive(tp: Any, names: dict[str, Any], seen: tuple[Any, ...] = ()) -> bool:
    """Does an annotation say "sensitive_data", at whatever depth?"""
    text = tp.__forward_arg__ if isinstance(tp, typing.ForwardRef) else tp
    try:
        tp = eval(text, names) if isinstance(text, str) else tp
    except Exception:
        return "Sensitive" in text or "sensitive_data" in text
    if isinstance(tp, type) or typing.get_origin(tp) is typing.Literal:
        return False
    if any(tp is other for other in seen):
        return False
    for mark in getattr(tp, "__metadata__", ()):
        with contextlib.suppress(Exception):
            if mark in {"sensitive_data"}:
                return True
    parts = [getattr(tp, name, int) for name in ("__origin__", "__value__", "__supertype__")]
    parts += getattr(tp, "__args__", ())
    return any(_is_sensitive(part, names, (*seen, tp)) for part in parts)


class _Quiet:
    """First base of a draft: keeps the `__init_subclass__` of the real bases from running."""

    __slots__ = ()

    def __init_subclass__(cls, **keywords: Any) -> None:
        pass


def _dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _check_bases(name: str, bases: tuple[type, ...]) -> None:
    """One base brings storage; the others add nothing or begin like it."""
    stores = [vars(base).get("_ferrule_storage", {}) for base in bases]
    longest = list(max(stores, key=len, default={}).items())
    for store in stores:
        for mine, given in zip(store.items(), longest, strict=False):
            if (mine[0], mine[1][0]) != (given[0], given[1][0]):
                raise TypeError(
                    f"{name}: bases clash at field {mine[0]!r}, where another base has {given[0]!r}"
                )


def _storage(draft: type, body: dict[str, Any], own: Iterable[str], packed: bool) -> _Storage:
    """The storage of every field; an inherited field keeps the kind it has."""
    stores = [vars(base).get("_ferrule_storage", {}) for base in draft.__mro__]
    inherited: _Storage = {}
    for store in reversed(stores):
        inherited.update(store)
    names = {**vars(sys.modules.get(draft.__module__, typing))}
    names.update({param.__name__: param for param in getattr(draft, "__type_params__", ())})
    names.update(body)
    storage: _Storage = {}
    for item in dataclasses.fields(draft):
        if item.name in inherited and item.name not in own:
            storage[item.name] = inherited[item.name]
            continue
        where, tp, resolved = f"{draft.__qualname__}.{item.name}", item.type, True
        try:
            while isinstance(tp, str):
                tp = eval(tp, names)
        except Exception:
            tp, resolved = object, False
        kind = _kind_of(where, tp, packed)
        if item.name in inherited and inherited[item.name][0] != kind:
            had = inherited[item.name][0]
            raise TypeError(f"{where}: redeclared as {kind.wanted}, its base stores {had.wanted}")
        sensitive = _is_sensitive(tp if resolved else item.type, names)
        if sensitive and kind is not _OBJECT:
            kind = dataclasses.replace(kind, sensitive=True)
        storage[item.name] = kind, resolved, tp, sensitive
    return storage


@typing.dataclass_transform(field_specifiers=(field, Field))
class RecordMeta(type):
    """Metaclass of records; class keywords it does not know go to `__init_subclass__`."""

    def __new__(
        mcls, name: str, bases: tuple[type, ...], body: dict[str, Any], /, **keywords: Any
    ) -> Any:
        if body.get("__module__") == __name__:  # Record and AbstractRecord: no fields, no rules
            return super().__new__(mcls, name, bases, body)
        if _Quiet in bases:  # `dataclass` makes the slotted draft
            return type.__new__(mcls, name, bases, body)
        if "__slots__" in body:
            raise TypeError(f"{name} already specifies __slots__")
        options: dict[str, Any] = {}
        for base in reversed(bases):
            options.update(getattr(base, "_ferrule_options", {}))
        options.update({key: keywords.pop(key) for key in _OPTIONS & keywords.keys()})
        _check_bases(name, bases)
        checks, body = _take_checks(body.get("__qualname__", name), bases, body)
        if checks and not options.get("frozen") and {"__setattr__", "__delattr__"} & body.keys():
            raise TypeError(f"{name}: checked fields do not go with a __setattr__ of the class")
        draft, given = _make_draft(mcls, name, bases, body, options)
        own = inspect.get_annotations(draft)
        storage = _storage(draft, body, own, bool(options.get("packed")))

        dropped = {"__slots__", "__weakref__", "__dict__", *storage}
        dropped.update({"__getstate__", "__setstate__"} - body.keys())
        made = {key: value for key, value in vars(draft).items() if key not in dropped}
        namespace = {key: value for key, value in body.items() if key not in given} | made
        namespace.update(__qualname__=body.get("__qualname__", name), _ferrule_storage=storage)
        namespace.update(_ferrule_options=options, _ferrule_body=dict(body))
        real = dataclasses.fields(draft)
        replaced: dict[str, Any] = {"__eq__": _make_eq([f.name for f in real if f.compare])}
        if made.get("__hash__") is not None:
            hashed = [f.name for f in real if (f.compare if f.hash is None else f.hash)]
            replaced["__hash__"] = _make_hash(hashed, storage)
        if any(storage[f.name][3] for f in real):
            replaced["__repr__"] = _make_repr([f.name for f in real if f.repr], storage)
            shown = _hide_defaults(draft, storage)
            if "__doc__" not in body:
                namespace["__doc__"] = shown
        if options.get("frozen"):
            replaced.update(__setattr__=_frozen_setattr, __delattr__=_frozen_delattr)
        for key in replaced.keys() & made.keys() - body.keys():
            replaced[key].__qualname__ = f"{namespace['__qualname__']}.{key}"
            namespace[key] = replaced[key]
        if options.get("frozen") and "__init__" in made.keys() - body.keys():
            _rename(made["__init__"], "__post_init__", "_ferrule_post_init")

        slots = []
        for key, (kind, *_) in storage.items():
            unboxed = None if kind is _OBJECT else _Unboxed(key, kind)
            if not any(key in vars(base).get("_ferrule_storage", ()) for base in draft.__mro__):
                slots.append(unboxed.slot if unboxed else key)
                if unboxed:
                    namespace[key] = unboxed
        for key in storage.keys() & (own.keys() | checks.keys()):
            had = [inspect.getattr_static(base, key, None) for base in bases]
            if key in checks or any(isinstance(one, _Checked) for one in had):
                namespace[key] = held = _Checked(key, storage[key][0], checks.get(key))
                slots = [slot for slot in slots if slot != key]
                if held.slot not in slots and not hasattr(draft, held.slot):
                    slots.append(held.slot)
        slots.extend({"__weakref__"} & set(vars(draft)["__slots__"]))
        if not draft.__dictoffset__:
            for key, value in namespace.items():
                if type(value) is functools.cached_property:
                    namespace[key] = _CachedProperty(value.func)
                    if "_ferrule_cache" not in slots and not hasattr(draft, "_ferrule_cache"):
                        slots.append("_ferrule_cache")
        namespace["__slots__"] = tuple(slots)
        cls = super().__new__(mcls, name, bases, namespace, **keywords)
        for key in storage if len(bases) > 1 else ():
            base = next(base for base in cls.__mro__ if key in vars(base))
            hides = type(vars(base)[key])
            if hasattr(hides, "__set__") and not isinstance(base, RecordMeta):
                raise TypeError(
                    f"{cls.__qualname__}.{key}: the field is hidden by the {hides.__name__} of "
                    f"base {base.__name__}"
                )
        for key, check in checks.items():
            check._ferrule_bind(cls, key)
        return cls

    def __init__(cls, *args: Any, **keywords: Any) -> None:
        super().__init__(*args)

    def __setattr__(cls, name: str, value: Any) -> None:
        late = name == "__post_init__" and not hasattr(cls, name)
        super().__setattr__(name, value)
        if late:
            _call_post_init(cls)


def _make_draft(
    mcls: type, name: str, bases: tuple[type, ...], body: dict[str, Any], options: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """A class with the same bases, gone through `dataclass`, and the part of the body it took."""
    annotations = body.get("__annotations__", {})
    given = {
        key: value
        for key, value in body.items()
        if key != "__classcell__"
        and (_dunder(key) or key in annotations or isinstance(value, Field))
    }
    draft: Any = type.__new__(mcls, name, (_Quiet, *bases), given)
    for key in annotations:  # a descriptor of a base is not a default
        held = inspect.getattr_static(draft, key, None)
        if key not in body and isinstance(held, (_Unboxed, _Checked)):
            type.__setattr__(draft, key, field())
    choice = {key: options[key] for key in _DATACLASS_OPTIONS & options.keys()}
    return _dataclass(draft, slots=True, weakref_slot=bool(options.get("weakref")), **choice), given


def _rename(function: types.FunctionType, old: str, new: str) -> None:
    names = tuple(new if name == old else name for name in function.__code__.co_names)
    function.__code__ = function.__code__.replace(co_names=names)


def _call_post_init(cls: Any) -> None:
    """Make the `__init__` of a class, which had no `__post_init__` when it was made, call it."""
    plain = vars(cls).get("__init__")
    if plain is not None and "__init__" not in cls._ferrule_body:
        signature = inspect.signature(plain)
        pseudo = [f.name for f in cls.__dataclass_fields__.values() if f not in fields(cls)]

        @functools.wraps(plain)
        def __init__(self: Any, *args: Any, **keywords: Any) -> None:
            plain(self, *args, **keywords)
            bound = signature.bind(self, *args, **keywords)
            bound.apply_defaults()
            self._ferrule_post_init(*(bound.arguments[k] for k in pseudo if k in bound.arguments))

        cls.__init__ = __init__
    for sub in cls.__subclasses__():
        if "__post_init__" not in vars(sub):
            _call_post_init(sub)


class Record(metaclass=RecordMeta):
    """Base of compact objects: annotate fields, give options as class keywords."""

    __slots__ = ()

    def _ferrule_post_init(self, *initvars: Any) -> None:
        post_init = self.__post_init__  # type: ignore[attr-defined]
        _open.add(id(self))
        try:
            post_init(*initvars)
        finally:
            _open.discard(id(self))

    def __replace__(self, /, **changes: Any) -> Any:
        return replace(self, **changes)

    def __getstate__(self) -> Any:
        names = type(self)._ferrule_storage  # type: ignore[attr-defined]
        state = {name: getattr(self, name) for name in names if hasattr(self, name)}
        others = getattr(self, "__dict__", None)
        return (others, state) if others or len(state) < len(names) else [*state.values()]

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, list):
            names = type(self)._ferrule_storage  # type: ignore[attr-defined]
            state = {}, dict(zip(names, state, strict=False))
        for name, value in {**(state[0] or {}), **state[1]}.items():
            unset = value is None and hasattr(inspect.getattr_static(self, name, None), "check")
            if not unset:
                object.__setattr__(self, name, value)


class AbstractRecordMeta(RecordMeta, type(typing.Protocol)):  # type: ignore[misc]
    """Metaclass of records with ABC or Protocol bases."""


class AbstractRecord(Record, metaclass=AbstractRecordMeta):
    """`Record` that goes with abstract base classes and protocols."""

    __slots__ = ()


def replace(obj: Any, /, **changes: Any) -> Any:
    """A copy of a record with some fields given anew; `__init__` and `__post_init__` run."""
    return dataclasses.replace(obj, **changes)


def layout(cls: Any) -> Layout:
    """Where the fields of a record class lie, each in the first hole that fits it."""
    cls = cls if isinstance(cls, type) else type(cls)
    if not isinstance(cls, RecordMeta):
        raise TypeError(f"layout() wants a record class, got {cls.__name__}")
    taken: set[int] = set()
    placed = []
    storage: _Storage = getattr(cls, "_ferrule_storage", {})
    for name, (kind, resolved, *_) in storage.items():
        offset = 0
        while not taken.isdisjoint(range(offset, offset + kind.size)):
            offset += kind.alignment
        taken.update(range(offset, offset + kind.size))
        placed.append(FieldLayout(name, offset, kind.name, kind.size, resolved))
    alignment = max((kind.alignment for kind, *_ in storage.values()), default=1)
    size = -(-(max(taken, default=-1) + 1) // alignment) * alignment
    tracked, has_dict = bool(cls.__flags__ & 1 << 14), bool(cls.__dictoffset__)
    return Layout(size, alignment, tuple(placed), cls.__basicsize__, tracked, has_dict)


def _functions(value: Any) -> Iterator[types.FunctionType]:
    """The functions behind a method, a property or a wrapper."""
    if isinstance(value, types.FunctionType):
        yield value
    for name in ("__func__", "__wrapped__", "func", "fget", "fset", "fdel"):
        if getattr(value, name, None) is not None:
            yield from _functions(getattr(value, name))


def _with_root(bases: tuple[Any, ...], root: type) -> tuple[Any, ...]:
    """The bases of a plain class, with Record after its own bases and before `Generic`."""
    if any(isinstance(base, RecordMeta) for base in bases):
        return bases
    late = [base for base in bases if base in (object, typing.Generic, typing.Protocol)]
    return (*(base for base in bases if base not in late), root, *late)


def _convert(cls: Any, options: dict[str, Any]) -> Any:
    body = dict(vars(cls).get("_ferrule_body") or vars(cls))
    for name in ("__dict__", "__weakref__", "__classcell__", "_abc_impl", "__abstractmethods__"):
        body.pop(name, None)
    body["__qualname__"] = cls.__qualname__
    own: Any = type(cls)
    metas = (m for m in (own, RecordMeta, AbstractRecordMeta) if issubclass(m, RecordMeta))
    meta = next((m for m in metas if issubclass(m, own)), None)
    meta = meta or type(f"Record{own.__name__}", (RecordMeta, own), {})
    root = AbstractRecord if issubclass(meta, AbstractRecordMeta) else Record
    bases = tuple(base for base in cls.__bases__ if base is not object)
    bases = _with_root(bases, root)
    made = meta(cls.__name__, bases, body, **options)
    for function in [f for value in body.values() for f in _functions(value)]:
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        for name, cell in cells:
            if name == "__class__" and cell.cell_contents is cls:
                cell.cell_contents = made
    return made


def _check_options(function: str, options: dict[str, Any]) -> None:
    for name in options.keys() - _OPTIONS:
        raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")


@typing.dataclass_transform(field_specifiers=(field, Field))
def record(
    cls: Any = None,
    /,
    *,
    init: bool = True,
    repr: bool = True,
    eq: bool = True,
    order: bool = False,
    unsafe_hash: bool = False,
    frozen: bool = False,
    match_args: bool = True,
    kw_only: bool = False,
    **options: Any,
) -> Any:
    """Turn a plain annotated class into a record, as `dataclass(slots=True)` does."""
    _check_options("record", options)
    options.update(init=init, repr=repr, eq=eq, order=order, unsafe_hash=unsafe_hash)
    options.update(frozen=frozen, match_args=match_args, kw_only=kw_only)
    if cls is None:
        return lambda cls: _convert(cls, options)
    return _convert(cls, options)


def make_record(
    cls_name: str,
    fields: Iterable[Any],
    *,
    bases: tuple[type, ...] = (),
    namespace: Mapping[str, Any] | None = None,
    module: str | None = None,
    **options: Any,
) -> Any:
    """A new record class from names, (name, type) and (name, type, field) items."""
    _check_options("make_record", options)
    body = dict(namespace or {})
    annotations: dict[str, Any] = {}
    for item in fields:
        if not isinstance(item, str) and len(item) not in (2, 3):
            raise TypeError(f"Invalid field: {item!r}")
        name, tp, *default = (item, "typing.Any") if isinstance(item, str) else item
        if not isinstance(name, str) or not name.isidentifier():
            raise TypeError(f"Field names must be valid identifiers: {name!r}")
        if keyword.iskeyword(name):
            raise TypeError(f"Field names must not be keywords: {name!r}")
        if name in annotations:
            raise TypeError(f"Field name duplicated: {name!r}")
        annotations[name] = tp
        if default:
            body[name] = default[0]
    body["__annotations__"] = annotations
    body["__module__"] = module or sys._getframe(1).f_globals.get("__name__", "__main__")
    resolved = types.resolve_bases(bases)
    if resolved is not bases:
        body["__orig_bases__"] = bases
    metas = [type(base) for base in resolved if not issubclass(RecordMeta, type(base))]
    root = AbstractRecord if metas else Record
    bases = _with_root(resolved, root)
    return types.new_class(cls_name, bases, options, lambda target: target.update(body))


# at the end: the containers are built from what stands above
from ._record_containers import Coded, Column, RecordArray, RecordTable, Row  # noqa: E402
