"""Compact typed records.

A record is declared like a dataclass and kept like a C struct::

    class SensorReading(Record, gc=False):
        timestamp: i64   # 8 bytes inside the object
        value: f64       # 8 bytes inside the object
        unit: str        # a slot, as fast as __slots__

Storage annotations (``i8`` … ``u64``, ``f32``, ``f64``, ``bool8``, ``Annotated[bytes, Size(n)]``,
``Annotated[str, Size(n)]``) keep the value unboxed; every other annotation is a slot that holds
exactly the object given. To a type checker ``i64`` is ``int`` and ``f64`` is ``float``.

Where a record and a dataclass overlap they behave alike, down to ``dataclasses.fields``,
``asdict`` and ``replace``.

Many records of a class go into a `RecordArray`, rows of one block of memory that NumPy reads as a
structured array, or a `RecordTable`, columns that Polars, DuckDB, pyarrow and pandas read; neither
costs a copy. Sources: PEP 557 (dataclasses), PEP 593 (Annotated), PEP 3118 (buffers), the Arrow
columnar format and PyCapsule interface.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from types import CellType, FrameType
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar, cast, overload

from ._records import (
    Coded,
    Column,
    Field,
    Record,
    RecordArray,
    RecordMeta,
    RecordTable,
    Row,
    Size,
    Storage,
    _CheckedRecordMeta,
    _layout,
    asdict,
    astuple,
    field,
    fields,
    replace,
)

if TYPE_CHECKING:
    from abc import ABCMeta as _ProtocolMeta
    from dataclasses import KW_ONLY, MISSING, FrozenInstanceError, InitVar

    from typing_extensions import dataclass_transform
else:
    _ProtocolMeta = type(Protocol)

    def dataclass_transform(**_options: Any) -> Callable[[Any], Any]:
        return lambda decorated: decorated


__all__ = [
    "KW_ONLY",
    "MISSING",
    "AbstractRecord",
    "Coded",
    "Column",
    "Field",
    "FieldLayout",
    "FrozenInstanceError",
    "InitVar",
    "Layout",
    "Record",
    "RecordArray",
    "RecordMeta",
    "RecordTable",
    "Row",
    "Size",
    "Storage",
    "asdict",
    "astuple",
    "bool8",
    "f32",
    "f64",
    "field",
    "fields",
    "i8",
    "i16",
    "i32",
    "i64",
    "layout",
    "make_record",
    "record",
    "replace",
    "u8",
    "u16",
    "u32",
    "u64",
]

T = TypeVar("T")

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

_DATACLASSES = frozenset({"KW_ONLY", "MISSING", "FrozenInstanceError", "InitVar"})


def __getattr__(name: str) -> Any:
    # dataclasses' own objects; importing it costs more than everything here
    if name in _DATACLASSES:
        import dataclasses  # noqa: PLC0415

        return getattr(dataclasses, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass_transform(field_specifiers=(field,))
class _AbstractRecordMeta(_CheckedRecordMeta, _ProtocolMeta):
    """Metaclass of abstract records: also an ABCMeta, and a Protocol's.

    And that of records with checked fields, so that a class may have bases of both kinds.
    """


class AbstractRecord(Record, metaclass=_AbstractRecordMeta):
    """A record that may have abstract methods, or ABCs and Protocols among its bases."""


class FieldLayout(Record, frozen=True):
    """Where one field lies.

    ``offset`` and ``size`` are bytes, ``offset`` from the first byte of the record's data.
    ``kind`` is a storage kind (``"i64"`` …), ``"bytes"``, ``"str"``, or ``"object"`` for a slot.
    ``resolved`` is False when a string annotation could not be evaluated at class definition:
    the field is then a slot.
    """

    name: str
    offset: int
    kind: str
    size: int
    resolved: bool = True


class Layout(Record, frozen=True):
    """Where the fields of a record class lie.

    ``size`` is the bytes of data of one record, a multiple of ``alignment``; ``instance_size``
    what one instance takes with its object header, without the collector's header that ``gc``
    tells of; ``has_dict`` that a base without ``__slots__`` gave instances a ``__dict__``.
    """

    size: int
    alignment: int
    fields: tuple[FieldLayout, ...]
    instance_size: int
    gc: bool
    has_dict: bool


def layout(cls: type | Record) -> Layout:
    """The layout of a record class (or of an instance's class).

    Raises TypeError for anything else.
    """
    size, alignment, raw, instance_size, gc, has_dict = _layout(cls)
    described = tuple([FieldLayout(*one) for one in raw])
    return Layout(size, alignment, described, instance_size, gc, has_dict)


def _metaclass_for(*classes: type) -> type[RecordMeta]:
    """A record metaclass that is also the metaclass of each of `classes`."""
    metas: set[type] = {type(cls) for cls in classes}
    candidates: list[type[RecordMeta]] = [RecordMeta, _AbstractRecordMeta]
    candidates += [meta for meta in metas if issubclass(meta, RecordMeta)]
    for candidate in candidates:
        if metas <= set(type.mro(candidate)):
            return candidate
    others = tuple([meta for meta in metas if not issubclass(_CheckedRecordMeta, meta)])
    return cast("type[RecordMeta]", type("RecordMeta", (_CheckedRecordMeta, *others), {}))


def _functions(value: Any) -> Iterable[Any]:
    """The plain functions inside a class attribute."""
    for name in ("__func__", "fget", "fset", "fdel", "func", "__wrapped__"):
        inner = getattr(value, name, None)
        if inner is not None and inner is not value:
            yield from _functions(inner)
    if hasattr(value, "__closure__"):
        yield value


def _mend_class_cell(old: type, new: type) -> None:
    """Let zero-argument super() and __class__ in the methods mean the new class."""
    for value in vars(old).values():
        for function in _functions(value):
            for cell in function.__closure__ or ():
                if isinstance(cell, CellType) and _cell_holds(cell, old):
                    cell.cell_contents = new


def _cell_holds(cell: CellType, value: object) -> bool:
    try:
        return cell.cell_contents is value
    except ValueError:  # still empty
        return False


def _with_record(bases: tuple[type, ...], meta: type) -> tuple[type, ...]:
    """The bases, with Record (or AbstractRecord) among them."""
    bases = tuple([base for base in bases if base is not object])
    if any([isinstance(base, RecordMeta) for base in bases]):
        return bases
    root = AbstractRecord if issubclass(meta, _AbstractRecordMeta) else Record
    generic = [i for i, base in enumerate(bases) if base.__module__ == "typing"]
    at = generic[0] if generic else len(bases)
    return (*bases[:at], root, *bases[at:])


def _class_keywords(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of record() as keywords of a record class statement."""
    keywords = dict(options)
    if not keywords.pop("slots"):
        raise TypeError("record() makes classes with slots; slots=False is not possible")
    keywords["weakref"] = keywords.pop("weakref_slot") or keywords["weakref"]
    return keywords


def _scope(frame: FrameType, annotations: Mapping[str, Any]) -> dict[str, Any]:
    """The names around a class statement, when annotations written as text may need them."""
    if not any([isinstance(annotation, str) for annotation in annotations.values()]):
        return {}
    return dict(frame.f_locals)


def _rebuild(cls: type, options: Mapping[str, Any], frame: FrameType) -> type:
    if not isinstance(cls, type):
        raise TypeError(f"record() decorates a class, got {cls!r}")
    namespace = dict(vars(cls))
    if "__slots__" in namespace:
        if not isinstance(cls, RecordMeta):
            raise TypeError(f"{cls.__name__} already specifies __slots__")
        now = vars(cast("type[Record]", cls).__record_params__)
        if any([now[name] != value for name, value in options.items() if value is not None]):
            raise TypeError(
                f"{cls.__name__} is a record already, since its base is one; "
                "give options as class keywords"
            )
        return cls
    for name in ("__dict__", "__weakref__"):
        namespace.pop(name, None)
    for name in namespace.get("__annotations__", ()):
        # as dataclasses: the default is what the class attribute gives, a descriptor's word too
        if hasattr(type(namespace.get(name)), "__get__"):
            namespace.pop(name)
            if hasattr(cls, name):
                namespace[name] = getattr(cls, name)
    namespace["__qualname__"] = cls.__qualname__
    meta = _metaclass_for(cls)
    made = meta(
        cls.__name__,
        _with_record(cls.__bases__, meta),
        namespace,
        _decorated=True,
        _locals=_scope(frame, namespace.get("__annotations__", {})),
        **options,
    )
    _mend_class_cell(cls, made)
    return made


@overload
def record(cls: type[T], /) -> type[T]: ...
@overload
def record(
    cls: None = None,
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
    slots: bool = True,
    weakref_slot: bool = False,
    weakref: bool = False,
    gc: bool | None = None,
    sealed: bool = False,
    packed: bool = False,
    endian: str | None = None,
) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(field_specifiers=(field,))
def record(
    cls: type[T] | None = None,
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
    slots: bool = True,
    weakref_slot: bool = False,
    weakref: bool = False,
    gc: bool | None = None,
    sealed: bool = False,
    packed: bool = False,
    endian: str | None = None,
) -> type[T] | Callable[[type[T]], type[T]]:
    """Turn an annotated class into a record, as ``dataclass(slots=True)`` turns it into one.

    Options mean what they mean to ``dataclasses.dataclass``; ``weakref`` (or ``weakref_slot``),
    ``gc``, ``sealed``, ``packed`` and ``endian`` are the record's own. A class made this way is
    subclassed like a dataclass: a subclass is a record again only when decorated.

    Raises TypeError for ``slots=False`` (a record has no other storage), for a class that has
    ``__slots__`` already, and for what a record class statement refuses.
    """
    options = _class_keywords(
        {
            "init": init,
            "repr": repr,
            "eq": eq,
            "order": order,
            "unsafe_hash": unsafe_hash,
            "frozen": frozen,
            "match_args": match_args,
            "kw_only": kw_only,
            "slots": slots,
            "weakref_slot": weakref_slot,
            "weakref": weakref,
            "gc": gc,
            "sealed": sealed,
            "packed": packed,
            "endian": endian,
        }
    )

    def decorate(cls: type[T]) -> type[T]:
        return _rebuild(cls, options, sys._getframe(1))

    return decorate if cls is None else _rebuild(cls, options, sys._getframe(1))


def make_record(
    cls_name: str,
    fields: Iterable[str | tuple[str, Any] | tuple[str, Any, Any]],
    *,
    bases: tuple[type, ...] = (),
    namespace: Mapping[str, Any] | None = None,
    module: str | None = None,
    **options: Any,
) -> type[Any]:
    """Make a record class, as ``dataclasses.make_dataclass``.

    Each of ``fields`` is a name, a pair (name, annotation), or a triple with a default or
    ``field()`` last. Raises TypeError for anything else and for names that are not identifiers,
    keywords or repeated.
    """
    import keyword  # noqa: PLC0415
    import types  # noqa: PLC0415

    defaults = cast("dict[str, Any]", record.__kwdefaults__)
    for name in options.keys() - defaults.keys():
        raise TypeError(f"make_record() got an unexpected keyword argument {name!r}")
    annotations: dict[str, Any] = {}
    body = dict(namespace or {})
    for item in fields:
        if isinstance(item, str):
            name, annotation = item, "typing.Any"
        elif len(item) == 2:
            name, annotation = item
        elif len(item) == 3:
            name, annotation, body[item[0]] = item
        else:
            raise TypeError(f"Invalid field: {item!r}")
        if not isinstance(name, str) or not name.isidentifier():
            raise TypeError(f"Field names must be valid identifiers: {name!r}")
        if keyword.iskeyword(name):
            raise TypeError(f"Field names must not be keywords: {name!r}")
        if name in annotations:
            raise TypeError(f"Field name duplicated: {name!r}")
        annotations[name] = annotation
    body["__annotations__"] = annotations
    frame = sys._getframe(1)
    body["__module__"] = module or frame.f_globals.get("__name__", "__main__")
    written, bases = bases, types.resolve_bases(bases)
    if bases is not written:
        body["__orig_bases__"] = written
    meta = _metaclass_for(*bases)
    keywords = _class_keywords({**defaults, **options})
    keywords |= {"metaclass": meta, "_decorated": True}
    keywords["_locals"] = {"typing": typing, **_scope(frame, annotations)}
    bases = _with_record(bases, meta)
    return types.new_class(cls_name, bases, keywords, lambda ns: ns.update(body))
