"""Record classes as packet layouts: per field a description that reads and writes it.

Fields follow one another in the order of their declaration, without padding.
"""

from __future__ import annotations

import dataclasses
import enum
import operator
import struct
import sys
import typing
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from .._record_containers import _CODES
from .._wire_layout import (
    Bits,
    Count,
    Crc32,
    Crc32c,
    InternetChecksum,
    SizedBy,
    Tagged,
    WireError,
    _Checksum,
    _Marker,
)
from ..records import _KINDS, _OBJECT, RecordMeta, Storage, _checked, _Kind
from ._checksum import crc32, crc32c, internet_checksum

#: Layouts inside one another.
DEPTH_MAX = 64
#: So many items of no bytes may an array have.
EMPTY_ITEMS_MAX = 65_536
#: What a checksum is stored in, how its values are shown and made.
_SUMS: dict[type, tuple[str, str, Callable[[bytes], int]]] = {
    Crc32: ("u32", "CRC32 0x{:08x}", crc32),
    Crc32c: ("u32", "CRC32C 0x{:08x}", crc32c),
    InternetChecksum: ("u16", "Internet checksum 0x{:04x}", internet_checksum),
}


class NoLayout(Exception):
    """Class and field that cannot lie on the wire, and why."""


# ---- reading


class Reader:
    """Reads records from bytes. `convert`: values are made and checked, not only measured."""

    convert = True

    def __init__(self, data: memoryview) -> None:
        self.data = data

    def left(self, at: int) -> int:
        return max(len(self.data) - at, 0)

    def take(self, at: int, size: int, where: str) -> bytes:
        if size > self.left(at):
            raise WireError(at, size, self.left(at), where=where)
        return bytes(self.data[at : at + size])

    def record(self, layout: PacketLayout, at: int, path: str) -> tuple[Any, int]:
        """A record and where it ends."""
        values, end = self.values(layout, at, path)
        return layout.make(values) if self.convert else None, end

    def values(self, layout: PacketLayout, at: int, path: str) -> tuple[list[Any], int]:
        """The values of a record whose checksums are right, and where it ends."""
        found = self.fields(layout, at, path, len(layout.fields))
        order: Literal["big", "little"] = "big" if layout.big else "little"
        for field in layout.sums if self.convert else ():
            assert field.sum is not None
            right, had = field.sum.compute(found.pieces), found.pieces[field.index]
            number = int.from_bytes(had, order)
            if right != number:
                where, shown = f"{path}.{field.name}", f"0x{number:0{2 * len(had)}x}"
                wanted, start = field.sum.text.format(right), found.starts[field.index]
                raise WireError(start, wanted, field.shown(shown), where=where)
        return found.values, found.end

    def fields(self, layout: PacketLayout, at: int, path: str, count: int) -> Found:
        """The first fields of a record."""
        found = Found(at)
        for field in layout.fields[:count]:
            where = f"{path}.{field.name}"
            value, end = field.read(self, found.end, where, found.numbers)
            found.values.append(value)
            found.starts.append(found.end)
            found.pieces.append(bytes(self.data[found.end : end]))
            found.end = end
        return found


class Found:
    """Fields that have been read: their values, offsets and bytes, and what integers said."""

    def __init__(self, at: int) -> None:
        self.values: list[Any] = []
        self.starts: list[int] = []
        self.pieces: list[bytes] = []
        self.numbers: dict[str, int] = {}
        self.end = at


class Measure(Reader):
    """Finds where records end; looks at lengths, counts and tags only."""

    convert = False


# ---- fields


class Field(ABC):
    """One field on the wire. `size` is None where it is not fixed."""

    size: int | None
    minimum = 0
    open = False  # takes all that is left
    depth = 0
    empties = False  # has an array of items of no bytes
    integer = False  # may say a length or a count
    tag = False  # may choose a tail
    by: str | None = None  # the field that says its length, count or tag
    sum: Sum | None = None
    sensitive = False  # its values do not show
    by_sensitive = False  # nor do those of the field that measures it

    def __init__(self, name: str, index: int, size: int | None) -> None:
        self.name, self.index, self.size = name, index, size
        self.minimum = size or 0
        self.measures: list[str] = []

    @abstractmethod
    def read(self, reader: Reader, at: int, where: str, numbers: dict[str, int]) -> tuple[Any, int]:
        """Its value and where it ends; an integer's number is put in `numbers`."""

    @abstractmethod
    def write(self, value: Any, where: str, numbers: dict[str, int]) -> bytes:
        """The bytes of its value; `numbers` is what the integers before it say."""

    def hide(self, sensitive: bool) -> None:
        self.sensitive = sensitive

    def shown(self, value: Any) -> Any:
        return "***" if self.sensitive else value

    def measure(self, value: Any) -> Any:
        """What the field that measures it says, as an error may show it."""
        return "***" if self.by_sensitive else value

    def text(self, data: bytes, at: int, where: str) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise WireError(at, "UTF-8", self.shown(data[:32]), where=where) from None

    def member(self, enumeration: Any, number: int, at: int, where: str) -> Any:
        try:
            return enumeration(number)
        except ValueError:
            wanted = f"a {enumeration.__name__}"
            raise WireError(at, wanted, self.shown(number), where=where) from None

    def wrong(
        self, where: str, wanted: str, value: Any, error: type[Exception] = TypeError
    ) -> Exception:
        shown = "***" if self.sensitive else repr(value)
        if len(shown) > 60:
            shown = f"{shown[:57]}..."
        return error(f"{where}: wanted {wanted}, got {type(value).__name__} {shown}")

    def fitting(self, where: str, value: Any, low: int, high: int) -> int:
        if not hasattr(type(value), "__index__"):
            raise self.wrong(where, "int", value)
        number = operator.index(value)
        if not low <= number <= high:
            raise OverflowError(f"{where}: wanted {low} to {high}, got {self.shown(number)}")
        return number

    def number_of(self, enumeration: Any, value: Any, where: str) -> int:
        if not isinstance(value, enumeration):
            raise self.wrong(where, enumeration.__name__, value)
        number = value.value
        if not isinstance(number, int):
            raise self.wrong(where, "int", number)
        return number


class Number(Field):
    """A scalar, or the number of an Enum's member."""

    def __init__(
        self, name: str, index: int, kind: _Kind, big: bool, enumeration: Any = None
    ) -> None:
        super().__init__(name, index, kind.size)
        self.kind, self.enumeration = kind, enumeration
        self.struct = struct.Struct((">" if big else "<") + _CODES[kind.name].replace("?", "B"))
        self.tag = kind.zero == 0 and not isinstance(kind.zero, float)
        self.integer = self.tag and kind.name != "bool8" and enumeration is None

    def read(self, reader: Reader, at: int, where: str, numbers: dict[str, int]) -> tuple[Any, int]:
        (value,) = self.struct.unpack(reader.take(at, self.struct.size, where))
        numbers[self.name] = value
        if reader.convert:
            value = self.value(value, at, where)
        return value, at + self.struct.size

    def value(self, number: Any, at: int, where: str) -> Any:
        if self.enumeration is not None:
            return self.member(self.enumeration, number, at, where)
        if self.kind.name == "bool8":
            if number > 1:
                raise WireError(at, "0 or 1", self.shown(number), where=where)
            return bool(number)
        return number

    def write(self, value: Any, where: str, numbers: dict[str, int]) -> bytes:
        if self.enumeration is not None:
            value = self.ranged(self.number_of(self.enumeration, value, where), where)
        else:
            value = self.checked(value, where)
        numbers[self.name] = value
        return self.struct.pack(value)

    def checked(self, value: Any, where: str) -> Any:
        return _checked(where, self.kind, value)

    def ranged(self, value: Any, where: str) -> int:
        bits = 8 * self.kind.size
        low = -(1 << bits - 1) if self.kind.name[0] == "i" else 0
        return self.fitting(where, value, low, low + (1 << bits) - 1)


class Item(Number):
    """A number that is one of many, which records never check."""

    def checked(self, value: Any, where: str) -> Any:
        letter = self.kind.name[0]
        if letter in "iu":
            return self.ranged(value, where)
        if letter == "b" and type(value) is not bool:
            raise self.wrong(where, "bool", value)
        if not hasattr(type(value), "__float__") and not hasattr(type(value), "__index__"):
            raise self.wrong(where, "float", value)
        return _checked(where, self.kind, value)


class BitField(Field):
    """Some bits of a run of bytes; the run's last field ends it."""

    def __init__(self, name: str, index: int, meaning: Any, bits: int) -> None:
        super().__init__(name, index, 0)
        self.meaning, self.bits = meaning, bits
        self.tag = True
        self.integer = meaning is int

    def place(self, last: bool, size: int, shift: int, big: bool) -> None:
        """Once it is known where the run ends."""
        self.last, self.run_size, self.shift, self.big = last, size, shift, big
        self.size = self.minimum = size if last else 0

    def number(self, run: bytes) -> int:
        whole = int.from_bytes(run, "big" if self.big else "little")
        return whole >> self.shift & (1 << self.bits) - 1

    def read(self, reader: Reader, at: int, where: str, numbers: dict[str, int]) -> tuple[Any, int]:
        value: Any = self.number(reader.take(at, self.run_size, where))
        numbers[self.name] = value
        if reader.convert and self.meaning is bool:
            value = bool(value)
        elif reader.convert and self.meaning is not int:
            value = self.member(self.meaning, value, at, where)
        return value, at + self.run_size if self.last else at

    def merged(self, run: bytes, number: int) -> bytes:
        """The run with another number in this field's bits."""
        order: Literal["big", "little"] = "big" if self.big else "little"
        others = int.from_bytes(run, order) & ~((1 << self.bits) - 1 << self.shift)
        return (others | number << self.shift).to_bytes(self.run_size, order)

    def checked(self, value: Any, where: str) -> int:
        if self.meaning is bool:
            if type(value) is not bool:
                raise self.wrong(where, "bool", value)
        elif self.meaning is not int:
            value = self.number_of(self.meaning, value, where)
        return self.fitting(where, value, 0, (1 << self.bits) - 1)

    def write(self, value: Any, where: str, numbers: dict[str, int]) -> bytes:
        numbers[self.name] = number = self.checked(value, where)
        # the fields of the run so far, under a name that no field has
        run = numbers.get("", 0) | number << self.shift
        numbers[""] = 0 if self.last else run
        return run.to_bytes(self.run_size, "big" if self.big else "little") if self.last else b""


class Fixed(Field):
    """bytes of a fixed size, or UTF-8 padded with NULs."""

    def __init__(self, name: str, index: int, kind: _Kind) -> None:
        super().__init__(name, index, kind.size)
        self.kind = kind

    def read(self, reader: Reader, at: int, where: str, numbers: dict[str, int]) -> tuple[Any, int]:
        value: Any = reader.take(at, self.kind.size, where)
        if reader.convert and self.kind.name == "str":
            value = self.text(value, at, where).rstrip("\0")
        return value, at + self.kind.size

    def write(self, value: Any, where: str, numbers: dict[str, int]) -> bytes:
        value = _checked(where, self.kind, value)
        data: bytes = value.encode() if isinstance(value, str) else value
        return data.ljust(self.kind.size, b"\0")


class Blob(Field):
    """bytes or str: as long as another field says, or all that is left."""

    def __init__(self, name: str, index: int, tp: type, mark: SizedBy | None) -> None:
        super().__init__(name, index, None)
        self.tp, self.mark, self.open = tp, mark, mark is None
        self.by = mark.name if mark else None

    def length(self, number: int) -> int:
        assert self.mark is not None
        return number * self.mark.scale - self.mark.less

    def read(self, reader: Reader, at: int, where: str, numbers: dict[str, int]) -> tuple[Any, int]:
        length = reader.left(at)
        if self.mark is not None:
            length = self.length(numbers[self.mark.name])
            if length < 0:
                wanted = f"at least {self.mark.less} by {self.mark.name}"
                had = self.measure(length + self.mark.less)
                raise WireError(at, wanted, had, where=where)
            if length > reader.left(at):
                raise WireError(at, self.measure(length), reader.left(at), where=where)
        value: Any = reader.take(at, length, where)
        if reader.convert and self.tp is str:
            value = self.text(value, at, where)
        return value, at + length

    def write(self, value: Any, where: str, numbers: dict[str, int]) -> bytes:
        if not isinstance(value, self.tp):
            raise self.wrong(where, self.tp.__name__, value)
        try:
            data = str.encode(value) if isinstance(value, str) else bytes(typing.cast(bytes, value))
        except UnicodeEncodeError:
            raise self.wrong(where, "UTF-8", value, ValueError) from None
        if self.mark is not None:
            said = numbers[self.mark.name]
            if self.length(said) != len(data):
                disagree(where, self.by, self.measure(self.length(said)), len(data), "bytes")
        return data


def disagree(where: str, by: str | None, says: Any, count: int, what: str) -> None:
    outer, _, name = where.rpartition(".")
    raise ValueError(f"{outer}.{by}: says {says}, {name} has {count} {what}")


class Nested(Field):
    def __init__(self, name: str, index: int, layout: PacketLayout) -> None:
        super().__init__(name, index, layout.size)
        self.layout, self.depth, self.empties = layout, layout.depth, layout.empties
        self.minimum, self.open = layout.minimum, layout.open

    def read(self, reader: Reader, at: int, where: str, numbers: dict[str, int]) -> tuple[Any, int]:
        return reader.record(self.layout, at, where)

    def write(self, value: Any, where: str, numbers: dict[str, int]) -> bytes:
        if not self.layout.holds(value):
            raise self.wrong(where, self.layout.cls.__name__, value)
        return self.layout.pack(value, where)


class Array(Field):
    """So many items, each read and written by `item`."""

    def hide(self, sensitive: bool) -> None:
        self.sensitive = self.item.sensitive = sensitive
        if isinstance(self.item, Number):
            self.item.kind = dataclasses.replace(self.item.kind, sensitive=sensitive)

    def __init__(self, name: str, index: int, n: int | str, container: type, item: Field) -> None:
        self.item, self.container, self.n = item, container, n
        self.by = n if isinstance(n, str) else None
        fixed = isinstance(n, int) and item.size is not None
        super().__init__(name, index, n * item.size if fixed else None)  # type: ignore
        self.minimum = n * item.minimum if isinstance(n, int) else 0
        self.depth, self.empties = item.depth, item.size == 0

    def read(self, reader: Reader, at: int, where: str, numbers: dict[str, int]) -> tuple[Any, int]:
        count = numbers[self.n] if isinstance(self.n, str) else self.n
        if count < 0:
            raise WireError(at, f"at least 0 by {self.n}", self.measure(count), where=where)
        if not self.item.minimum and count > EMPTY_ITEMS_MAX:
            wanted = f"at most {EMPTY_ITEMS_MAX} items"
            raise WireError(at, wanted, self.measure(count), where=where)
        size = count * self.item.minimum
        if size > reader.left(at):
            raise WireError(at, self.measure(size), reader.left(at), where=where)
        values = []
        for i in range(count):
            value, at = self.item.read(reader, at, f"{where}[{i}]", {})
            values.append(value)
        return self.container(values), at

    def write(self, value: Any, where: str, numbers: dict[str, int]) -> bytes:
        if not isinstance(value, (tuple, list)):
            raise self.wrong(where, self.container.__name__, value)
        if isinstance(self.n, str):
            if numbers[self.n] != len(value):
                disagree(where, self.n, self.measure(numbers[self.n]), len(value), "items")
        elif self.n != len(value):
            raise ValueError(f"{where}: wanted {self.n} items, got {len(value)}")
        return b"".join(self.item.write(one, f"{where}[{i}]", {}) for i, one in enumerate(value))


class Tail(Field):
    """A record or bytes, by the number of an earlier field."""

    def __init__(
        self,
        name: str,
        index: int,
        by: str,
        cases: dict[int, PacketLayout | None],
        default: Any,  # as `choose` gives it
    ) -> None:
        super().__init__(name, index, None)
        self.by, self.cases, self.default = by, cases, default
        every = [*cases.values(), *([] if default is Ellipsis else [default])]
        self.minimum = min(case.minimum if case else 0 for case in every)
        self.depth = max(case.depth if case else 0 for case in every)
        self.open = any(case is None or case.open for case in every)
        self.empties = any(case is not None and case.empties for case in every)

    def choose(self, tag: int) -> Any:
        """The layout of a tag's record, None for bytes, Ellipsis for an unknown tag."""
        return self.cases.get(tag, self.default)

    @property
    def tags(self) -> str:
        return f"a tag of {', '.join(map(str, sorted(self.cases)))}"

    def read(self, reader: Reader, at: int, where: str, numbers: dict[str, int]) -> tuple[Any, int]:
        assert self.by is not None
        case = self.choose(numbers[self.by])
        if case is Ellipsis:
            raise WireError(at, self.tags, self.measure(numbers[self.by]), where=where)
        if case is None:
            length = reader.left(at)
            return reader.take(at, length, where), at + length
        return reader.record(case, at, where)

    def write(self, value: Any, where: str, numbers: dict[str, int]) -> bytes:
        assert self.by is not None
        tag = numbers[self.by]
        case = self.choose(tag)
        if case is Ellipsis:
            outer, shown = where.rpartition(".")[0], self.measure(tag)
            raise ValueError(f"{outer}.{self.by}: wanted {self.tags}, got {shown}")
        if case is None and isinstance(value, bytes):
            return bytes(value)
        if case is None or not case.holds(value):
            wanted = case.cls.__name__ if case else "bytes"
            got = value.__class__.__name__
            shown = self.measure(tag)
            raise TypeError(f"{where}: wanted {wanted} for tag {shown}, got {got}")
        return case.pack(value, where)  # type: ignore[no-any-return]


class Sum:
    """A checksum over the bytes of some fields."""

    def __init__(self, field: Field, mark: _Checksum, over: set[int] | None) -> None:
        self.field, self.over = field, over
        _, self.text, self.function = _SUMS[type(mark)]
        self.zeroed = isinstance(mark, InternetChecksum)

    def compute(self, pieces: Sequence[bytes]) -> int:
        """The right sum, given the bytes of every field."""
        if self.over is not None:
            covered = [pieces[i] for i in sorted(self.over)]
        else:
            covered = list(pieces)
            own = covered[self.field.index]
            covered[self.field.index] = bytes(len(own)) if self.zeroed else b""
        return int(self.function(b"".join(covered)))

    def covers(self, field: Field) -> bool:
        return field.index in self.over if self.over is not None else field is not self.field


# ---- layouts


class PacketLayout:
    """The fields of a record class in one byte order."""

    def __init__(self, cls: Any, big: bool) -> None:
        self.cls, self.big = cls, big
        self.fields: list[Field] = []

    def close(self) -> None:
        """All fields are there."""
        sizes = [field.size for field in self.fields]
        self.by_name = {field.name: field for field in self.fields}
        self.size = None if None in sizes else sum(sizes)  # type: ignore[arg-type]
        self.minimum = sum(field.minimum for field in self.fields)
        self.open = any(field.open for field in self.fields)
        self.empties = any(field.empties for field in self.fields)
        self.depth = 1 + max((field.depth for field in self.fields), default=0)
        self.sums = [field for field in self.fields if field.sum is not None]

    def holds(self, value: Any) -> bool:
        """Is it a record of the class, or a view of one?"""
        return value.__class__ is self.cls

    def make(self, values: list[Any]) -> Any:
        """A record as the constructor makes it, but for `__init__`."""
        made = object.__new__(self.cls)
        for field, value in zip(self.fields, values, strict=True):
            object.__setattr__(made, field.name, value)
        if hasattr(self.cls, "__post_init__"):
            made._ferrule_post_init(*_init_vars(self.cls))
        return made

    def pack(self, record: Any, path: str) -> bytes:
        pieces, numbers = [], dict[str, int]()
        for field in self.fields:
            if field.sum is not None:
                pieces.append(bytes(field.size or 0))
                continue
            value = getattr(record, field.name, None)
            pieces.append(field.write(value, f"{path}.{field.name}", numbers))
        for field in self.in_order_of_sums():
            assert field.sum is not None
            number = field.sum.compute(pieces)
            pieces[field.index] = number.to_bytes(field.size or 0, "big" if self.big else "little")
        return b"".join(pieces)

    def in_order_of_sums(self) -> list[Field]:
        """The checksums, each after those it covers."""
        ordered: list[Field] = []
        rest = list(self.sums)
        while rest:
            for field in rest:
                assert field.sum is not None
                if not any(field.sum.covers(other) for other in rest if other is not field):
                    break
            else:
                name = f"{self.cls.__qualname__}.{rest[0].name}"
                raise NoLayout(f"{name}: covers a checksum that covers it")
            rest.remove(field)
            ordered.append(field)
        return ordered


def _init_vars(cls: Any) -> list[Any]:
    """The defaults of the InitVars, which `__post_init__` takes."""
    values = []
    for item in cls.__dataclass_fields__.values():
        if item._field_type.name != "_FIELD_INITVAR":
            continue
        default = getattr(cls, item.name, ...)
        if default is ...:
            raise TypeError(
                f"{cls.__qualname__}.{item.name}: an InitVar without a default, which only the "
                "constructor can be given"
            )
        values.append(default)
    return values


def layout_of(function: str, cls: Any) -> PacketLayout:
    """The layout of a record class in its own byte order."""
    if not isinstance(cls, RecordMeta):
        got = cls.__qualname__ if isinstance(cls, type) else f"{type(cls).__name__} {cls!r}"
        raise TypeError(f"{function} wants a record class, got {got}")
    try:
        return _compiled(cls, sys.byteorder == "big", ())
    except NoLayout as error:
        raise TypeError(f"{function}: {error}") from None


def _compiled(cls: Any, big: bool, around: tuple[Any, ...]) -> PacketLayout:
    """The layout of a class in an order that its own goes before."""
    endian = getattr(cls, "_ferrule_options", {}).get("endian")
    if endian in ("big", "little"):
        big = endian == "big"
    known: dict[bool, PacketLayout] = vars(cls).get("_ferrule_wire", {})
    if big not in known:
        made = _Compiler(cls, big, (*around, cls)).compile()
        type.__setattr__(cls, "_ferrule_wire", {**vars(cls).get("_ferrule_wire", {}), big: made})
        return made
    return known[big]


class _Compiler:
    def __init__(self, cls: Any, big: bool, around: tuple[Any, ...]) -> None:
        self.cls, self.big, self.around = cls, big, around
        self.layout = PacketLayout(cls, big)
        self.run: list[BitField] = []

    def refuse(self, name: str, why: str) -> NoLayout:
        return NoLayout(f"{self.cls.__qualname__}.{name}: {why}")

    def compile(self) -> PacketLayout:
        marks = {}
        for name, (kind, resolved, tp, sensitive) in getattr(
            self.cls, "_ferrule_storage", {}
        ).items():
            if not resolved:
                raise self.unknown(name, self.cls.__dataclass_fields__[name].type)
            field, sum_mark = self.field(name, kind, tp)
            field.hide(sensitive)
            self.layout.fields.append(field)
            if sum_mark is not None:
                marks[name] = sum_mark
                field.tag = field.integer = False
            self.bits(field)
            self.measured(field)
            if field.depth >= DEPTH_MAX:
                raise self.refuse(name, f"nested deeper than {DEPTH_MAX}")
        if self.run:
            self.broken_run()
        for field in self.layout.fields[:-1]:
            if field.open:
                raise self.refuse(field.name, "takes all that is left, but is not the last field")
        self.layout.close()
        for name, mark in marks.items():
            self.sum(self.layout.by_name[name], mark)
        self.layout.close()
        self.layout.in_order_of_sums()
        return self.layout

    def unknown(self, name: str, tp: Any) -> NoLayout:
        return self.refuse(name, f"no wire layout for {tp!r}")

    def field(self, name: str, kind: _Kind, tp: Any) -> tuple[Field, _Checksum | None]:
        index, base = len(self.layout.fields), tp
        metadata: tuple[Any, ...] = ()
        while typing.get_origin(base) is Annotated:
            base, metadata = base.__origin__, (*base.__metadata__, *metadata)
        marks = [mark for mark in metadata if isinstance(mark, _Marker)]
        sums = [mark for mark in marks if isinstance(mark, _Checksum)]
        if len(marks) > 1:
            raise self.unknown(name, tp)
        if sums and kind.name != _SUMS[type(sums[0])][0]:
            wanted = f"{type(sums[0]).__name__} stands with {_SUMS[type(sums[0])][0]}"
            raise self.refuse(name, wanted)
        if marks and not sums and kind is not _OBJECT:
            made = None
        elif marks and not sums:
            made = self.marked(name, index, base, marks[0])
        elif kind is not _OBJECT:
            sized = kind.name in ("bytes", "str")
            made = Fixed(name, index, kind) if sized else Number(name, index, kind, self.big)
        else:
            made = self.plain(name, index, tp)
        if made is None:
            raise self.unknown(name, tp)
        return made, sums[0] if sums else None

    def plain(self, name: str, index: int, tp: Any) -> Field | None:
        """A field without a marker that records keep in an object slot."""
        base, kinds = tp, list[_Kind]()
        while typing.get_origin(base) is Annotated:
            kinds += filter(None, map(_storage_kind, base.__metadata__))
            base = base.__origin__
        if isinstance(base, enum.EnumMeta) and len(kinds) == 1 and kinds[0].name[0] in "iu":
            return Number(name, index, kinds[0], self.big, base)
        if kinds:
            return None
        if base is bytes or base is str:
            return Blob(name, index, base, None)
        if isinstance(base, RecordMeta):
            return Nested(name, index, self.nested(name, base))
        return None

    def nested(self, name: str, cls: Any) -> PacketLayout:
        if cls in self.around:
            raise self.refuse(name, f"nested deeper than {DEPTH_MAX}")
        return _compiled(cls, self.big, self.around)

    def marked(self, name: str, index: int, base: Any, mark: _Marker) -> Field | None:
        if isinstance(mark, Bits):
            flag = base is bool and mark.n == 1
            if base is int or flag or isinstance(base, enum.EnumMeta):
                return BitField(name, index, base, mark.n)
        if isinstance(mark, SizedBy) and base in (bytes, str):
            return Blob(name, index, base, mark)
        if isinstance(mark, Count):
            return self.array(name, index, base, mark)
        if isinstance(mark, Tagged):
            return self.tail(name, index, mark)
        return None

    def array(self, name: str, index: int, base: Any, mark: Count) -> Field | None:
        container, args = typing.get_origin(base), typing.get_args(base)
        if container is tuple:
            if len(args) != 2 or args[1] is not Ellipsis:
                return None
        elif container is not list:
            return None
        kind, item = _storage_of(args[0]), self.plain(name, 0, args[0])
        if kind is not None:
            item = Item(name, 0, kind, self.big)
        if not isinstance(item, (Number, Nested)) or item.open:
            return None
        if item.empties:
            raise self.refuse(name, "its items have arrays of items of no bytes")
        return Array(name, index, mark.n, container, item)

    def tail(self, name: str, index: int, mark: Tagged) -> Field:
        cases: dict[int, PacketLayout | None] = {}
        for tag, case in mark.cases.items():
            number = tag.value if isinstance(tag, enum.Enum) else tag
            if not isinstance(number, int):
                raise self.refuse(name, f"a tag wants an int, got {type(tag).__name__} {tag!r}")
            cases[int(number)] = self.case(name, case)
        default: Any = ... if mark.default is None else self.case(name, mark.default)
        return Tail(name, index, mark.name, cases, default)

    def case(self, name: str, case: Any) -> PacketLayout | None:
        if case is bytes:
            return None
        if not isinstance(case, RecordMeta):
            raise self.refuse(name, f"a case wants a record class or bytes, got {case!r}")
        return self.nested(name, case)

    def measured(self, field: Field) -> None:
        """What a field is measured by stands before it."""
        if field.by is None:
            return
        before = {other.name: other for other in self.layout.fields[:-1]}
        measure = before.get(field.by)
        fits = measure is not None and (measure.tag if isinstance(field, Tail) else measure.integer)
        if measure is None or not fits:
            raise self.refuse(field.name, f"{field.by!r} is no integer field before it")
        measure.measures.append(field.name)
        field.by_sensitive = measure.sensitive

    def bits(self, field: Field) -> None:
        """Runs of bit fields end with a whole number of bytes."""
        if not isinstance(field, BitField):
            if self.run:
                self.broken_run()
            return
        self.run.append(field)
        total = sum(one.bits for one in self.run)
        if total > 64:
            self.broken_run()
        if total % 8:
            return
        before = 0
        for one in self.run:
            shift = total - before - one.bits if self.big else before
            one.place(one is field, total // 8, shift, self.big)
            before += one.bits
        self.run = []

    def broken_run(self) -> None:
        total = sum(one.bits for one in self.run)
        raise self.refuse(
            self.run[0].name,
            f"its run of bit fields has {total} bits, no whole bytes up to 64 bits",
        )

    def sum(self, field: Field, mark: _Checksum) -> None:
        over: set[int] | None = None
        if mark.over is not None:
            over = set()
            for name in mark.over:
                other = self.layout.by_name.get(name)
                if other is None or other is field:
                    raise self.refuse(field.name, f"no other field {name!r} to sum")
                while isinstance(other, BitField) and not other.last:
                    other = self.layout.fields[other.index + 1]
                over.add(other.index)
        field.sum = Sum(field, mark, over)


def _storage_kind(mark: Any) -> _Kind | None:
    """What `u8` in `Annotated[SomeEnum, u8]` asks for."""
    return _storage_of(mark) if typing.get_origin(mark) is Annotated else None


def _storage_of(tp: Any) -> _Kind | None:
    """The storage of an alias such as `u8`."""
    if typing.get_origin(tp) is not Annotated:
        return None
    marks = [mark for mark in tp.__metadata__ if isinstance(mark, Storage)]
    others = [mark for mark in tp.__metadata__ if isinstance(mark, _Marker)]
    return _KINDS[marks[0].kind] if len(marks) == 1 and not others else None
