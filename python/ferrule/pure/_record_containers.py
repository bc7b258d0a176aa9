"""Pure-Python twins of `RecordArray`, `RecordTable` and what they hand out.

An array is a `bytearray` and `struct`, a table a list per column; Arrow is pyarrow's business.
Python 3.11 cannot export a buffer, nor a strided one of byte strings: the array has no buffer
protocol here, and its `column` of such a field is a copy.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import importlib
import operator
import pickle
import re
import struct
import sys
import types
import typing
import weakref
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any

from .records import (
    _KINDS,
    _OBJECT,
    FrozenInstanceError,
    RecordMeta,
    Size,
    Storage,
    _checked,
    _Kind,
    _Refused,
    _sized_kind,
    layout,
)

_CODES = dict(
    zip("i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bool8".split(), "bhiqBHIQfd?", strict=True)
)
_NATIVE = "<" if sys.byteorder == "little" else ">"


class _Final:
    __slots__ = ("__weakref__",)

    def __init_subclass__(cls) -> None:
        if _Final not in cls.__bases__:
            name = cls.__base__.__name__ if cls.__base__ else ""
            raise TypeError(f"type 'ferrule.records.{name}' is not an acceptable base type")


class Coded(_Final):
    """`Annotated[str, Coded]`: a column of a table that keeps each distinct text once."""


# ---- one row


def _code(kind: _Kind) -> str:
    return _CODES.get(kind.name) or f"{kind.size}s"


def _meaning(code: str) -> tuple[str, int] | None:
    """What a buffer's format of one item stands for, (letter, bytes), in this machine's order."""
    found = re.fullmatch(r"([@=<>!^]?)(\d*)([bBhHiIlLqQnNfd?s])", code)
    if not found:
        return None
    order, count, letter = found.groups()
    size = struct.calcsize(("@" if order in "@^" else "=") + count + letter)
    if order not in ("", "@", "^", "=", _NATIVE) and size > 1 and letter != "s":
        return None
    if letter != "s" and count not in ("", "1"):
        return None
    letter = "i" if letter in "bhilqn" else "u" if letter in "BHILQN" else letter
    return "f" if letter == "d" else letter, size


def _structure(code: str) -> dict[str, tuple[tuple[str, int] | None, int]] | None:
    """Names, meanings and offsets of the fields of a structured format."""
    if not (code.startswith("T{") and code.endswith("}")):
        return None
    made: dict[str, tuple[tuple[str, int] | None, int]] = {}
    order, at, rest = "@", 0, code[2:-1]
    while rest:
        found = re.match(r"([@=<>!^]?)(\d*)([a-zA-Z?])(?::([^:]*):)?", rest)
        if not found or (found[4] is None and found[3] != "x"):
            return None
        order, rest = found[1] or order, rest[found.end() :]
        mode = order if order in "@=" else "=" if order in "<>!" else "@"
        try:
            size = struct.calcsize(f"{mode}{found[2]}{found[3]}")
            alignment = struct.calcsize(f"@c{found[3]}") - struct.calcsize(f"@{found[3]}")
        except struct.error:
            return None
        if order == "@":
            at += -at % alignment
        if found[4] is not None:
            made[found[4]] = _meaning(f"{order}{found[2]}{found[3]}"), at
        at += size
    return made


class _Plan:
    """Where the fields of a record class lie in a row of an array."""

    def __init__(self, function: str, cls: Any) -> None:
        if not isinstance(cls, RecordMeta):
            got = cls.__qualname__ if isinstance(cls, type) else f"{type(cls).__name__} {cls!r}"
            raise TypeError(f"{function} wants a record class, got {got}")
        described = layout(cls)
        self.cls: Any = cls
        self.kinds = {name: kind for name, (kind, *_) in vars(cls).get(_STORAGE, {}).items()}
        for name, kind in self.kinds.items():
            if kind is _OBJECT:
                raise TypeError(
                    f"{function} cannot keep field {name!r} of {cls.__qualname__}: "
                    "it is an object slot"
                )
        if not self.kinds:
            raise TypeError(f"{function} cannot keep {cls.__qualname__}: it has no fields")
        self.size, self.alignment = described.size, described.alignment
        self.offsets = {item.name: item.offset for item in described.fields}
        self.memory_order = sorted(self.kinds, key=self.offsets.__getitem__)
        code, end = "=", 0
        for name in self.memory_order:
            code += f"{self.offsets[name] - end}x{_code(self.kinds[name])}"
            end = self.offsets[name] + self.kinds[name].size
        self.struct = struct.Struct(f"{code}{self.size - end}x")

    def describe(self) -> str:
        return f"{self.struct.format} {' '.join(self.memory_order)}"

    def pack(self, values: tuple[Any, ...]) -> bytes:
        named = dict(zip(self.kinds, values, strict=True))
        ordered = [named[name] for name in self.memory_order]
        return self.struct.pack(*(v.encode() if isinstance(v, str) else v for v in ordered))

    def unpack(self, data: Any, at: int) -> tuple[Any, ...]:
        named = dict(zip(self.memory_order, self.struct.unpack_from(data, at), strict=True))
        return tuple(_stored(kind, named[name]) for name, kind in self.kinds.items())


_STORAGE = "_ferrule_storage"


def _stored(kind: _Kind, value: Any) -> Any:
    """The value that storage of this kind holds, given what `struct` reads there."""
    return value.rstrip(b"\0").decode() if kind.name == "str" else value


def _in_bulk(kind: _Kind, view: memoryview | None) -> str | None:
    """The code of the values in a buffer, if they are as the kind stores them."""
    meaning = _meaning(view.format) if view is not None and view.ndim == 1 else None
    if meaning and kind.name == "str" and meaning[0] == "s" and meaning[1] <= kind.size:
        return f"={meaning[1]}s"  # shorter texts are padded
    own = kind.size and meaning == _meaning(_code(kind))
    return f"={_code(kind)}" if own else None


def _read_in_bulk(function: str, where: str, kind: _Kind, stored: list[Any]) -> list[Any]:
    values = []
    for row, value in enumerate(stored):
        try:
            values.append(_stored(kind, value))
        except UnicodeDecodeError:
            raise ValueError(
                f"{function}: {where} wants UTF-8, got other bytes in row {row}"
            ) from None
    return values


def _view(value: Any) -> memoryview | None:
    try:
        return memoryview(value)
    except TypeError:
        return None


def _record(cls: Any, values: Iterable[Any], names: Iterable[str]) -> Any:
    made = object.__new__(cls)
    for name, value in zip(names, values, strict=True):
        object.__setattr__(made, name, value)
    return made


def _equal(mine: Iterable[Any], other: Iterable[Any]) -> bool:
    """Whether all values are equal; a NaN is not, even to itself."""
    return all(a == b for a, b in zip(mine, other, strict=True))


def _index(container: Any, position: Any, length: Callable[[], int]) -> int:
    """A position from 0, for a key that may be negative or have `__index__`."""
    name = type(container).__name__
    if not hasattr(type(position), "__index__"):
        raise TypeError(f"{name} indices must be integers or slices, not {type(position).__name__}")
    at, end = operator.index(position), length()
    if not -end <= at < end:
        raise IndexError(f"{name} index out of range")
    return at % end


def _slice(key: slice) -> slice:
    """The slice with plain integers, so that using it runs no code of the user."""
    return slice(*(p if p is None else operator.index(p) for p in (key.start, key.stop, key.step)))


class _Container(_Final):
    """What arrays and tables have in common."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]
    __class_getitem__: Any = classmethod(types.GenericAlias)
    record_class: Any
    _kinds: dict[str, _Kind]

    def __init_subclass__(cls) -> None:
        if _Container not in cls.__bases__:
            super().__init_subclass__()

    @abstractmethod
    def __len__(self) -> int:
        """How many rows."""

    @abstractmethod
    def _values(self, at: int) -> tuple[Any, ...]:
        """The values of a row."""

    def _rows(self) -> list[tuple[Any, ...]]:
        return [self._values(i) for i in range(len(self))]

    def __iter__(self) -> Iterator[Any]:
        i = 0
        while i < len(self):
            yield _record(self.record_class, self._values(i), self._kinds)
            i += 1

    def __reversed__(self) -> Iterator[Any]:
        i = len(self) - 1
        while 0 <= i < len(self):
            yield _record(self.record_class, self._values(i), self._kinds)
            i -= 1

    def __contains__(self, value: object) -> bool:
        return any(row == value for row in self)

    def __eq__(self, other: Any) -> Any:
        if type(other) is not type(self) or other.record_class is not self.record_class:
            return NotImplemented
        return len(self) == len(other) and all(map(_equal, self._rows(), other._rows()))

    def __repr__(self) -> str:
        count = f"{len(self)} row" if len(self) == 1 else f"{len(self)} rows"
        return f"{type(self).__name__}({self.record_class.__qualname__}, {count})"

    def _find(self, function: str, name: Any) -> _Kind:
        if not isinstance(name, str):
            raise TypeError(f"{function} wants the name of a field, got {type(name).__name__}")
        if name not in self._kinds:
            raise KeyError(f"{function}: {self.record_class.__qualname__} has no field {name!r}")
        return self._kinds[name]

    def _row(self, function: str, value: Any) -> tuple[Any, ...]:
        """The checked values of a row value, as they will be stored."""
        cls = self.record_class
        of_class = value._ferrule_row[0].record_class if type(value) is Row else type(value)
        if of_class is cls:
            given = tuple(getattr(value, name) for name in self._kinds)
        elif isinstance(value, tuple):
            given = tuple(value)
        else:
            raise TypeError(
                f"{function} wants {cls.__qualname__} or a tuple, got {type(value).__qualname__}"
            )
        if len(given) != len(self._kinds):
            raise ValueError(
                f"{function} wants {len(self._kinds)} values for {cls.__qualname__}, "
                f"got {len(given)}"
            )
        return tuple(
            _checked(f"{cls.__qualname__}.{name}", kind, one)
            for (name, kind), one in zip(self._kinds.items(), given, strict=True)
        )

    def _given(self, function: str, rows: Any) -> list[tuple[Any, ...]]:
        """All rows of what `extend` takes, checked."""
        if isinstance(rows, (RecordArray, RecordTable)):
            if rows.record_class is not self.record_class:
                raise TypeError(
                    f"{function} wants rows of {self.record_class.__qualname__}, "
                    f"got {rows.record_class.__qualname__}"
                )
            return [self._row(function, values) for values in rows._rows()]
        if hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__"):
            read = _read_arrow(function, self.record_class, rows)
            return [self._row(function, values) for values in read]
        if hasattr(rows, "keys"):
            return self._given_columns(function, rows)
        if not isinstance(rows, Iterable) and not hasattr(type(rows), "__getitem__"):
            raise TypeError(f"{function} wants rows or columns, got {type(rows).__qualname__}")
        return [self._row(function, value) for value in rows]

    def _given_columns(self, function: str, columns: Mapping[Any, Any]) -> list[tuple[Any, ...]]:
        cls = self.record_class.__qualname__
        keys, first = list(columns.keys()), next(iter(self._kinds))
        for name in keys:
            if name not in self._kinds:
                raise TypeError(f"{function}: {cls} has no field {name!r} for a column")
        given: dict[str, list[Any]] = {}
        bulk = set()
        for name, kind in self._kinds.items():
            if name not in keys:
                raise TypeError(f"{function}: no column for field {name!r} of {cls}")
            view = _view(columns[name])
            code = _in_bulk(kind, view)
            if view is not None and code:
                given[name] = [value for (value,) in struct.iter_unpack(code, view.tobytes())]
                bulk.add(name)
            else:
                if not hasattr(columns[name], "__iter__"):
                    raise TypeError(
                        f"{function}: column {name!r} wants a buffer or an iterable, "
                        f"got {type(columns[name]).__qualname__}"
                    )
                given[name] = list(columns[name])
            if len(given[name]) != len(given[first]):
                raise ValueError(
                    f"{function}: {len(given[first])} values for {first!r}, "
                    f"but {len(given[name])} for {name!r}"
                )
        for name, values in given.items():
            kind, where = self._kinds[name], f"{cls}.{name}"
            if name in bulk:
                given[name] = _read_in_bulk(function, where, kind, values)
            else:
                given[name] = [_checked(where, kind, value) for value in values]
        return list(zip(*given.values(), strict=True))


# ---- rows


class _Share:
    """Stands for one slice or row that shares an array's memory."""

    __slots__ = ("__weakref__",)


class _Memory:
    """The bytes of an array and all its slices."""

    def __init__(self, data: Any) -> None:
        self.data = data  # a bytearray, or a memoryview of someone else's
        self.sharers: list[weakref.ref[Any]] = []

    def share(self, sharer: Any) -> Any:
        self.sharers = [ref for ref in self.sharers if ref() is not None]
        self.sharers.append(weakref.ref(sharer))
        return sharer

    def check_alone(self, function: str, but: Any = None) -> None:
        """BufferError if anything shares the memory, besides `but`."""
        count = sum(ref() not in (None, but) for ref in self.sharers)
        if not count and isinstance(self.data, bytearray):
            try:
                self.data.append(0)
                self.data.pop()
            except BufferError:
                count = 1
        if count:
            things = "slice, row or buffer" if count == 1 else "slices, rows or buffers"
            raise BufferError(f"{function}: the memory is shared by {count} {things}")


class RecordArray(_Container):
    """Rows of a record class one after another in memory, as C has them."""

    __slots__ = ("_at", "_memory", "_plan", "_reserved", "_share")

    def __init__(self, cls: Any, rows: Any = (), *, capacity: int = 0) -> None:
        self._plan = _Plan("RecordArray()", cls)
        capacity = operator.index(capacity)
        if capacity < 0:
            raise ValueError(f"RecordArray() capacity must be at least 0, got {capacity}")
        if capacity * self._plan.size > sys.maxsize:
            raise OverflowError(f"RecordArray(): {capacity} rows are too many")
        self._reserved = capacity
        self._memory = _Memory(bytearray())
        self._at: range | None = None  # of a slice: where its rows begin
        self._share: Any = None
        self._memory.data += self._packed("RecordArray()", rows)

    @classmethod
    def _of(cls, plan: _Plan, memory: _Memory, at: range | None, share: Any = None) -> RecordArray:
        made = object.__new__(cls)
        made._plan, made._memory, made._at, made._share = plan, memory, at, share
        made._reserved = 0
        return made

    @classmethod
    def from_buffer(cls, record_class: Any, /, buffer: Any) -> RecordArray:
        """An array in the memory of a buffer; it is read-only if the buffer is, and never grows."""
        function = "RecordArray.from_buffer()"
        plan, view = _Plan(function, record_class), _view(buffer)
        if view is None:
            raise TypeError(f"{function} wants a buffer, got {type(buffer).__qualname__}")
        _check_buffer(function, plan, view)
        if not view.c_contiguous:
            raise ValueError(f"{function} wants a contiguous buffer, got strides {view.strides}")
        data = view.cast("B") if view.nbytes else memoryview(b"")
        if view.nbytes and not view.readonly:
            address = ctypes.addressof(ctypes.c_char.from_buffer(data))
            if address % plan.alignment:
                raise ValueError(
                    f"{function} wants memory aligned to {plan.alignment} bytes, "
                    f"got an address that is {address % plan.alignment} beyond"
                )
        if not view.nbytes and not view.readonly:
            data = memoryview(bytearray())
        return cls._of(plan, _Memory(data), range(0, len(data), plan.size))

    @classmethod
    def _restore(cls, record_class: Any, described: str, data: Any) -> RecordArray:
        made = cls(record_class)
        if made._plan.describe() != described:
            raise ValueError(
                f"RecordArray (unpickling): {record_class.__qualname__} has rows of "
                f"{made._plan.describe()}, the pickle has {described}"
            )
        made._memory.data += _raw("RecordArray (unpickling)", made._plan, memoryview(data))
        return made

    @property
    def record_class(self) -> Any:
        return self._plan.cls

    @property
    def _kinds(self) -> dict[str, _Kind]:  # type: ignore[override]
        return self._plan.kinds

    @property
    def itemsize(self) -> int:
        return self._plan.size

    @property
    def nbytes(self) -> int:
        return len(self) * self._plan.size

    @property
    def capacity(self) -> int:
        return max(self._reserved, len(self))

    @property
    def readonly(self) -> bool:
        return isinstance(self._memory.data, memoryview) and self._memory.data.readonly

    def _places(self) -> range:
        return range(0, len(self._memory.data), self._plan.size) if self._at is None else self._at

    def _values(self, at: int) -> tuple[Any, ...]:
        return self._plan.unpack(self._memory.data, self._places()[at])

    def _packed(self, function: str, rows: Any) -> bytes:
        """The bytes of all rows of what `extend` takes."""
        special = ("__arrow_c_stream__", "__arrow_c_array__", "keys")
        view = None if any(hasattr(rows, name) for name in special) else _view(rows)
        if view is not None:
            return _raw(function, self._plan, view)
        return b"".join(map(self._plan.pack, self._given(function, rows)))

    def _check_writable(self, function: str) -> None:
        if self.readonly:
            raise TypeError(f"{function}: the memory is read-only")

    def _check_growth(self, function: str) -> None:
        if self._at is not None:
            raise BufferError(f"{function}: the memory of a slice or buffer does not grow")
        self._memory.check_alone(function)

    def __len__(self) -> int:
        return len(self._places())

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            key = _slice(key)
            share = self._memory.share(_Share())
            return self._of(self._plan, self._memory, self._places()[key], share)
        return _record(
            self.record_class, self._values(_index(self, key, self.__len__)), self._kinds
        )

    def __setitem__(self, key: Any, value: Any) -> None:
        slicing = isinstance(key, slice)
        function = f"RecordArray {'slice' if slicing else 'item'} assignment"
        self._check_writable(function)
        if slicing:
            key = _slice(key)
            packed = self._packed(function, value)
            places = self._places()[key]
            if len(places) * self._plan.size != len(packed):
                count = len(packed) // self._plan.size
                raise ValueError(f"{function} wants {len(places)} rows, got {count}")
        else:
            _index(self, key, self.__len__)
            packed = self._plan.pack(self._row(function, value))
            at = _index(self, key, self.__len__)
            places = self._places()[at : at + 1]
        size = self._plan.size
        for i, place in enumerate(places):
            self._memory.data[place : place + size] = packed[i * size : (i + 1) * size]

    def __delitem__(self, key: Any) -> None:
        raise TypeError("RecordArray rows cannot be deleted")

    def row(self, index: Any, /) -> Row:
        """A live view of one row: its attributes are the memory of the array."""
        return Row._of(self, _index(self, index, self.__len__))

    def append(self, row: Any, /) -> None:
        packed = self._plan.pack(self._row("RecordArray.append()", row))
        self._check_growth("RecordArray.append()")
        self._memory.data += packed

    def extend(self, rows: Any, /) -> None:
        packed = self._packed("RecordArray.extend()", rows)
        if packed:
            self._check_growth("RecordArray.extend()")
            self._memory.data += packed

    def column(self, name: str, /) -> memoryview:
        """The values of one field, in place; of byte strings and text a copy."""
        kind = self._find("RecordArray.column()", name)
        places, offset = self._places(), self._plan.offsets[name]
        data = memoryview(self._memory.data)
        if kind.name not in _CODES:
            ends = ((place + offset, place + offset + kind.size) for place in places)
            return memoryview(b"".join([data[start:end] for start, end in ends]))
        whole: Any = data.cast(_code(kind))  # type: ignore[call-overload]
        found = whole[:0]
        if places:
            first = (places[0] + offset) // kind.size
            step = places.step // kind.size
            end = first + len(places) * step
            found = whole[first : None if end < 0 else end : step]
        return self._memory.share(found)  # type: ignore[no-any-return]

    def sort_by(self, name: str, *, reverse: bool = False) -> None:
        """Sort the rows by one field, stably, NaN last."""
        kind = self._find("RecordArray.sort_by()", name)
        reverse = bool(reverse)
        self._check_writable("RecordArray.sort_by()")
        self._memory.check_alone("RecordArray.sort_by()", self._share)
        at = list(self._kinds).index(name)
        rows = self._rows()
        last = [row for row in rows if row[at] != row[at]]
        rest = [row for row in rows if row[at] == row[at]]
        if kind.name == "str":
            rest.sort(key=lambda row: row[at].encode(), reverse=reverse)
        else:
            rest.sort(key=operator.itemgetter(at), reverse=reverse)
        self[:] = rest + last

    def tobytes(self) -> bytes:
        data, size = memoryview(self._memory.data), self._plan.size
        return b"".join([data[place : place + size] for place in self._places()])

    def __copy__(self) -> RecordArray:
        return RecordArray(self.record_class, self.tobytes())

    def __deepcopy__(self, memo: Any) -> RecordArray:
        return self.__copy__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        data: Any = self.tobytes()
        if protocol >= 5:
            data = pickle.PickleBuffer(bytearray(data))
        return self._restore, (self.record_class, self._plan.describe(), data)

    def __sizeof__(self) -> int:
        own = object.__sizeof__(self)
        return own + sys.getsizeof(self._memory.data) if self._at is None else own


def _check_buffer(function: str, plan: _Plan, view: memoryview) -> None:
    """That a buffer holds raw bytes of whole rows, or structures laid out as the rows are."""
    if view.format in ("B", "b", "c"):
        if view.nbytes % plan.size:
            raise ValueError(f"{function} wants a multiple of {plan.size} bytes, got {view.nbytes}")
        return
    wanted = {
        name: (_meaning(_code(kind)), plan.offsets[name]) for name, kind in plan.kinds.items()
    }
    if _structure(view.format) != wanted or view.itemsize != plan.size:
        raise TypeError(
            f"{function} wants bytes or rows of {plan.cls.__qualname__}, "
            f"got a buffer of format {view.format!r}, itemsize {view.itemsize}"
        )
    if view.ndim != 1:
        raise ValueError(f"{function} wants a buffer of 1 dimension, got {view.ndim}")


def _raw(function: str, plan: _Plan, view: memoryview) -> bytes:
    _check_buffer(function, plan, view)
    if view.itemsize == 1 and not view.c_contiguous:
        raise ValueError(f"{function} wants a contiguous buffer, got strides {view.strides}")
    given, plain = view.tobytes(), plan.struct
    data = b"".join([plain.pack(*row) for row in plain.iter_unpack(given)])  # the holes zeroed
    for i, name in enumerate(plan.memory_order):
        kind = plan.kinds[name]
        if kind.name == "str":
            texts = [row[i] for row in plain.iter_unpack(given)]
            _read_in_bulk(function, f"{plan.cls.__qualname__}.{name}", kind, texts)
    return data


class Row(_Final):
    """A live view of one row of a RecordArray."""

    __slots__ = ("_ferrule_row",)
    __hash__ = None  # type: ignore[assignment]
    __class_getitem__: Any = classmethod(types.GenericAlias)
    _ferrule_row: tuple[RecordArray, Any]

    def __init__(self) -> None:
        raise TypeError("cannot create 'ferrule.records.Row' instances")

    @classmethod
    def _of(cls, array: RecordArray, at: int) -> Row:
        made = object.__new__(cls)
        object.__setattr__(made, "_ferrule_row", (array[at : at + 1],))
        return made

    def __getattr__(self, name: str) -> Any:
        array = self._ferrule_row[0]
        if name not in array._kinds:
            raise AttributeError(f"Row of {array.record_class.__qualname__} has no field {name!r}")
        kind, at = array._kinds[name], array._places()[0] + array._plan.offsets[name]
        (value,) = struct.unpack_from(f"={_code(kind)}", array._memory.data, at)
        return _stored(kind, value)

    def __setattr__(self, name: str, value: Any) -> None:
        array = self._ferrule_row[0]
        cls = array.record_class
        if cls._ferrule_options.get("frozen"):
            raise FrozenInstanceError(
                f"cannot assign to field {name!r} of frozen record {cls.__qualname__!r}"
            )
        if name not in array._kinds:
            raise AttributeError(f"Row of {cls.__qualname__} has no field {name!r}")
        array._check_writable(f"{cls.__qualname__}.{name}")
        kind = array._kinds[name]
        value = _checked(f"{cls.__qualname__}.{name}", kind, value)
        at = array._places()[0] + array._plan.offsets[name]
        value = value.encode() if kind.name == "str" else value
        array._memory.data[at : at + kind.size] = struct.pack(f"={_code(kind)}", value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete field {name!r} of a row")

    def __eq__(self, other: Any) -> Any:
        array = self._ferrule_row[0]
        if isinstance(other, Row):
            other = other._ferrule_row[0][0]
        if type(other) is not array.record_class:
            return NotImplemented
        return _equal(array._values(0), (getattr(other, name) for name in array._kinds))

    def __repr__(self) -> str:
        return f"Row({self._ferrule_row[0][0]!r})"

    def __dir__(self) -> Iterable[str]:
        return [*object.__dir__(self), *self._ferrule_row[0]._kinds]

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("cannot pickle 'Row' object")


# ---- columns


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Refused(TypeError)
    try:
        return str.encode(value).decode()
    except UnicodeEncodeError:
        raise _Refused(ValueError) from None


def _as_blob(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise _Refused(TypeError)
    return bytes(memoryview(value))


_COLUMNS = {
    int: _KINDS["i64"],
    float: _KINDS["f64"],
    bool: _KINDS["bool8"],
    str: _Kind("text", "str", 0, 1, "", _as_text),
    bytes: _Kind("blob", "bytes", 0, 1, b"", _as_blob),
}


def _or_none(kind: _Kind, value: Any) -> Any:
    return None if value is None else kind.convert(value)


class _ColumnKind(typing.NamedTuple):
    kind: _Kind  # its `convert` lets None through if the column is nullable
    coded: bool = False
    nullable: bool = False


def _column_kind(tp: Any) -> _ColumnKind | None:
    """What an annotation makes of a column, None if it cannot be one."""
    if typing.get_origin(tp) in (typing.Union, types.UnionType):
        args = [arg for arg in typing.get_args(tp) if arg is not types.NoneType]
        inner = _column_kind(args[0]) if len(args) == 1 else None
        if inner is None:
            return None
        kind = inner.kind
        return _ColumnKind(
            _Kind(
                kind.name,
                f"{kind.wanted} | None",
                kind.size,
                kind.alignment,
                None,
                functools.partial(_or_none, kind),
            ),
            inner.coded,
            True,
        )
    if typing.get_origin(tp) is not Annotated:
        return _ColumnKind(_COLUMNS[tp]) if isinstance(tp, type) and tp in _COLUMNS else None
    marks = [mark for mark in tp.__metadata__ if isinstance(mark, (Storage, Size))]
    coded = Coded in tp.__metadata__
    if not marks and not coded:
        return _column_kind(tp.__origin__)
    if len(marks) > 1 or (coded and tp.__origin__ is not str):
        return None
    if not marks:
        return _ColumnKind(_COLUMNS[str], True)
    mark = marks[0]
    found = _KINDS[mark.kind] if isinstance(mark, Storage) else _sized_kind(tp.__origin__, mark.n)
    return _ColumnKind(found, coded) if found else None


def _column_kinds(function: str, cls: Any) -> dict[str, _ColumnKind]:
    if not isinstance(cls, RecordMeta):
        got = cls.__qualname__ if isinstance(cls, type) else f"{type(cls).__name__} {cls!r}"
        raise TypeError(f"{function} wants a record class, got {got}")
    made: dict[str, _ColumnKind] = {}
    for name, (_, _, tp, sensitive) in vars(cls).get(_STORAGE, {}).items():
        found = _column_kind(tp)
        if found is None:
            raise TypeError(
                f"{function} cannot keep field {name!r} of {cls.__qualname__}: "
                f"no column for the annotation {tp!r}"
            )
        if sensitive:
            found = found._replace(kind=dataclasses.replace(found.kind, sensitive=True))
        made[name] = found
    if not made:
        raise TypeError(f"{function} cannot keep {cls.__qualname__}: it has no fields")
    return made


class RecordTable(_Container):
    """Columns of the fields of a record class, as Arrow has them; rows are only ever added."""

    __slots__ = ("_columns", "_column_kinds", "_kinds", "record_class")

    def __init__(self, cls: Any, columns: Any = None) -> None:
        self._column_kinds = _column_kinds("RecordTable()", cls)
        self._kinds = {name: found.kind for name, found in self._column_kinds.items()}
        self.record_class = cls
        self._columns: dict[str, list[Any]] = {name: [] for name in self._kinds}
        if columns is not None:
            self._add(self._given("RecordTable()", columns))

    @classmethod
    def from_columns(cls, record_class: Any, /, mapping: Any) -> RecordTable:
        function = "RecordTable.from_columns()"
        made = cls(record_class)
        if not hasattr(mapping, "keys"):
            raise TypeError(f"{function} wants a mapping, got {type(mapping).__qualname__}")
        made._add(made._given(function, mapping))
        return made

    @classmethod
    def from_arrow(cls, record_class: Any, /, obj: Any) -> RecordTable:
        function = "RecordTable.from_arrow()"
        made = cls(record_class)
        if not hasattr(obj, "__arrow_c_stream__") and not hasattr(obj, "__arrow_c_array__"):
            raise TypeError(
                f"{function} wants an object with __arrow_c_stream__ or __arrow_c_array__, "
                f"got {type(obj).__qualname__}"
            )
        made._add(made._given(function, obj))
        return made

    @classmethod
    def _restore(cls, record_class: Any, columns: dict[str, list[Any]]) -> RecordTable:
        made = cls(record_class)
        made._columns = columns
        return made

    def _add(self, rows: list[tuple[Any, ...]]) -> None:
        for i, column in enumerate(self._columns.values()):
            column.extend([row[i] for row in rows])

    def _values(self, at: int) -> tuple[Any, ...]:
        return tuple(column[at] for column in self._columns.values())

    def __len__(self) -> int:
        return len(next(iter(self._columns.values())))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            key = _slice(key)
            return self._restore(
                self.record_class, {name: column[key] for name, column in self._columns.items()}
            )
        return _record(
            self.record_class, self._values(_index(self, key, self.__len__)), self._kinds
        )

    @property
    def nbytes(self) -> int:
        return sum(self.column(name)._arrow().nbytes for name in self._columns)

    @property
    def chunk_count(self) -> int:
        return int(len(self) > 0)

    def append(self, row: Any, /) -> None:
        self._add([self._row("RecordTable.append()", row)])

    def extend(self, rows: Any, /) -> None:
        self._add(self._given("RecordTable.extend()", rows))

    def column(self, name: str, /) -> Column:
        self._find("RecordTable.column()", name)
        return Column._of(self, name)

    def __copy__(self) -> RecordTable:
        return self[:]  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: Any) -> RecordTable:
        return self[:]  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._restore, (self.record_class, self._columns)

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + sum(map(sys.getsizeof, self._columns.values()))

    def _batch(self, requested: Any = None) -> Any:
        wanted = None
        if requested is not None:
            wanted = _pyarrow().Schema._import_from_c_capsule(requested)
            if wanted.names != list(self._columns):
                raise ValueError(
                    f"{self.record_class.__qualname__}: requested fields {wanted.names}, "
                    f"there are {list(self._columns)}"
                )
        fields, arrays = [], []
        for name in self._columns:
            field = None if wanted is None else wanted.field(name)
            arrays.append(self.column(name)._arrow(field))
            nullable = field.nullable if field else self._column_kinds[name].nullable
            fields.append(_pyarrow().field(name, arrays[-1].type, nullable=nullable))
        return _pyarrow().RecordBatch.from_arrays(arrays, schema=_pyarrow().schema(fields))

    def __arrow_c_schema__(self) -> Any:
        return self._batch().schema.__arrow_c_schema__()

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self._batch(requested_schema).__arrow_c_array__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        batch = self._batch(requested_schema)
        reader = _pyarrow().RecordBatchReader.from_batches(batch.schema, [batch])
        return reader.__arrow_c_stream__()


class Column(_Final):
    """A live view of one column of a RecordTable."""

    __slots__ = ("_table", "name")
    name: str
    _table: RecordTable

    def __init__(self) -> None:
        raise TypeError("cannot create 'ferrule.records.Column' instances")

    @classmethod
    def _of(cls, table: RecordTable, name: str) -> Column:
        made = object.__new__(cls)
        made._table, made.name = table, name
        return made

    @property
    def null_count(self) -> int:
        return self.tolist().count(None)

    def tolist(self) -> list[Any]:
        return list(self._table._columns[self.name])

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self._table._columns[self.name][_slice(key)]
        at = _index(self, key, self.__len__)
        return self._table._columns[self.name][at]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._table._columns[self.name])

    def __contains__(self, value: object) -> bool:
        return any(one == value for one in self)

    def __repr__(self) -> str:
        count = f"{len(self)} value" if len(self) == 1 else f"{len(self)} values"
        return f"Column({self._table.record_class.__qualname__}.{self.name}, {count})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("cannot pickle 'Column' object")

    def _arrow(self, field: Any = None) -> Any:
        """The column as a pyarrow array, of the type of a requested field if it may be."""
        values, found = self.tolist(), self._table._column_kinds[self.name]
        made = _arrow_array(values, found)
        where = f"{self._table.record_class.__qualname__}.{self.name}"
        if field is None:
            return made
        if not _may_become(made.type, field.type):
            raise ValueError(f"{where}: {field.type} requested of a column of {made.type}")
        if made.null_count and not field.nullable:
            raise ValueError(f"{where}: has nulls, requested without")
        return made.cast(field.type)

    def __arrow_c_schema__(self) -> Any:
        field = _pyarrow().field(
            self.name, self._arrow().type, nullable=self._table._column_kinds[self.name].nullable
        )
        return field.__arrow_c_schema__()

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self._requested(requested_schema).__arrow_c_array__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        array = self._requested(requested_schema)
        return _pyarrow().chunked_array([array]).__arrow_c_stream__()

    def _requested(self, schema: Any) -> Any:
        return self._arrow(schema and _pyarrow().Field._import_from_c_capsule(schema))


# ---- Arrow


def _pyarrow() -> Any:
    return importlib.import_module("pyarrow")


def _arrow_type(found: _ColumnKind) -> Any:
    pa, kind = _pyarrow(), found.kind
    if kind.name in _CODES:
        name = {"f32": "float32", "f64": "float64", "bool8": "bool_"}.get(kind.name)
        return getattr(pa, name or kind.name.replace("i", "int").replace("u", "uint"))()
    if kind.name in ("bytes", "blob"):
        return pa.binary(kind.size or -1)
    return pa.utf8()


def _arrow_array(values: list[Any], found: _ColumnKind) -> Any:
    pa, tp = _pyarrow(), _arrow_type(found)
    if not found.coded:
        return pa.array(values, tp)
    distinct = list(dict.fromkeys(value for value in values if value is not None))
    codes = {value: code for code, value in enumerate(distinct)} | {None: None}
    width = next(n for n in (8, 16, 32) if len(distinct) <= 1 << (n - 1))
    indices = pa.array([codes[value] for value in values], getattr(pa, f"int{width}")())
    return pa.DictionaryArray.from_arrays(indices, pa.array(distinct, tp))


def _may_become(tp: Any, wanted: Any) -> bool:
    """Whether a consumer that requests `wanted` gets it."""
    pa, is_ = _pyarrow(), _pyarrow().types
    if is_.is_dictionary(tp):
        if is_.is_dictionary(wanted):
            return bool(
                is_.is_signed_integer(wanted.index_type)
                and wanted.index_type.bit_width >= tp.index_type.bit_width
                and wanted.value_type == tp.value_type
            )
        return wanted in (pa.utf8(), pa.large_utf8())
    for signed in (is_.is_signed_integer, is_.is_unsigned_integer):
        if signed(tp):
            return bool(signed(wanted) and wanted.bit_width >= tp.bit_width)
    return bool(
        wanted == tp
        or (tp, wanted)
        in (
            (pa.float32(), pa.float64()),
            (pa.utf8(), pa.large_utf8()),
            (pa.binary(), pa.large_binary()),
        )
    )


def _fits(tp: Any, found: _ColumnKind) -> bool:
    """Whether a column of this type may come into a column of a table."""
    is_, wanted = _pyarrow().types, _arrow_type(found)
    if is_.is_dictionary(tp):
        tp = tp.value_type
        if not is_.is_string(wanted):
            return False
    if is_.is_null(tp):
        return found.nullable
    if is_.is_string(wanted):
        return bool(is_.is_string(tp) or is_.is_large_string(tp) or str(tp) == "string_view")
    if found.kind.name == "blob":
        return bool(is_.is_binary(tp) or is_.is_large_binary(tp) or str(tp) == "binary_view")
    if is_.is_integer(wanted):
        return bool(is_.is_integer(tp))
    return bool(tp == wanted or (is_.is_float32(tp) and is_.is_float64(wanted)))


def _read_arrow(function: str, cls: Any, obj: Any) -> list[tuple[Any, ...]]:
    """The rows of an Arrow stream or array of structs, checked."""
    pa, kinds = _pyarrow(), _column_kinds(function, cls)
    try:
        if hasattr(obj, "__arrow_c_stream__"):
            table = pa.RecordBatchReader.from_stream(obj).read_all()
        else:
            table = pa.table(pa.record_batch(obj))
    except (pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise TypeError(f"{function} wants Arrow structs: {error}") from None
    for what, names in (
        ("missing", [name for name in kinds if name not in table.column_names]),
        ("unknown", [name for name in table.column_names if name not in kinds]),
        ("repeated", [name for name in kinds if table.column_names.count(name) > 1]),
    ):
        if names:
            raise ValueError(f"{function}: {what} column {names[0]!r} of {cls.__qualname__}")
    columns = []
    for name, found in kinds.items():
        column, where = table.column(name), f"{cls.__qualname__}.{name}"
        if not _fits(column.type, found):
            raise TypeError(f"{function}: {where}: wanted {_arrow_type(found)}, got {column.type}")
        values = []
        for row, value in enumerate(column.to_pylist()):
            if value is None and not found.nullable:
                raise ValueError(f"{function}: {where}: null in row {row}")
            values.append(_checked(f"{where}, row {row}", found.kind, value))
        columns.append(values)
    return list(zip(*columns, strict=True))
