"""Streams of records to tables and columns."""

from __future__ import annotations

import inspect
import operator
import struct
import sys
from array import array
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from .._record_containers import RecordTable, _code, _column_kinds, _meaning
from .._wire_layout import WireError
from ..records import _Checked
from ._input import check_mapped, contiguous
from ._layout import BitField, Field, Fixed, Measure, Number, PacketLayout, Reader, layout_of

__all__ = ["index_many", "unpack_many"]


def index_many(cls: Any, buffer: Any) -> array[int]:
    """The offsets of records one after another, and where the last one ends."""
    layout = layout_of("index_many()", cls)
    reader = Measure(contiguous("index_many()", buffer))
    check_mapped("index_many()", buffer)
    offsets = array("q", [0])
    while offsets[-1] < len(reader.data):
        _, end = reader.record(layout, offsets[-1], cls.__qualname__)
        offsets.append(_advanced("index_many()", cls, offsets[-1], end))
    return offsets


def _advanced(function: str, cls: Any, at: int, end: int) -> int:
    if end == at:
        raise ValueError(f"{function}: a {cls.__qualname__} of no bytes at byte {at}")
    return end


def unpack_many(
    cls: Any, buffer: Any, *, out: Any = None, on_error: str = "raise", max_errors: int = 1000
) -> Any:
    """Records one after another, to the end of the buffer, as a table or in columns."""
    layout = layout_of("unpack_many()", cls)
    if on_error not in ("raise", "skip", "report"):
        raise ValueError(
            f"unpack_many() on_error must be 'raise', 'skip' or 'report', got {on_error!r}"
        )
    most = operator.index(max_errors)
    if most < 0:
        raise ValueError(f"unpack_many() max_errors must not be negative, got {most}")
    data = contiguous("unpack_many()", buffer)
    check_mapped("unpack_many()", buffer)
    target = _Columns(layout, out) if isinstance(out, Mapping) else _Table(layout, out)
    errors: list[WireError] = []
    rows = _rows(layout, data, on_error, most, errors)
    result = target.take([target.keep(row) for row in rows])
    return (result, errors) if on_error == "report" else result


def _rows(
    layout: PacketLayout, data: memoryview, on_error: str, max_errors: int, errors: list[WireError]
) -> Iterator[list[Any]]:
    at, path = 0, layout.cls.__qualname__
    while at < len(data):
        try:
            values, end = Reader(data).values(layout, at, path)
        except WireError as error:
            if on_error == "raise" or (on_error == "report" and len(errors) >= max_errors):
                raise
            errors.append(error)
            try:
                _, end = Measure(data).record(layout, at, path)
            except WireError:
                break
        else:
            _check(layout, values)
            yield values
        at = _advanced("unpack_many()", layout.cls, at, end)


def _check(layout: PacketLayout, values: list[Any]) -> None:
    """What checks the fields of the class has its say."""
    for field, value in zip(layout.fields, values, strict=True):
        held = inspect.getattr_static(layout.cls, field.name)
        if isinstance(held, _Checked) and held.check is not None:
            held.check._ferrule_check(value, layout.cls._ferrule_storage[field.name][3])


class _Table:
    """Rows go to the end of a table, a new one or a given one."""

    def __init__(self, layout: PacketLayout, out: Any) -> None:
        cls = layout.cls
        if out is None:
            _column_kinds("unpack_many()", cls)
            out = RecordTable(cls)
        if not isinstance(out, RecordTable):
            raise TypeError(
                f"unpack_many() out wants a RecordTable or a mapping, got {type(out).__name__}"
            )
        if out.record_class is not cls:
            raise TypeError(
                f"unpack_many() out wants a RecordTable of {cls.__qualname__}, "
                f"got one of {out.record_class.__qualname__}"
            )
        self.table = out

    def keep(self, row: list[Any]) -> tuple[Any, ...]:
        return self.table._row("unpack_many()", tuple(row))

    def take(self, rows: list[Any]) -> RecordTable:
        self.table._add(rows)
        return self.table


class _Columns:
    """Values go to cells of given buffers."""

    def __init__(self, layout: PacketLayout, out: Mapping[Any, Any]) -> None:
        self.layout = layout
        self.cells = {name: self.open(name, buffer) for name, buffer in out.items()}

    def open(self, name: Any, buffer: Any) -> memoryview:
        cls, field = self.layout.cls.__qualname__, self.layout.by_name.get(name)
        where = f"unpack_many() out: {cls}.{name}"
        if field is None:
            raise ValueError(f"unpack_many() out: {cls} has no field {name!r}")
        if not isinstance(field, (Number, BitField, Fixed)):
            raise TypeError(f"{where} is of no fixed size, or a record: no cells for it")
        try:
            cells = memoryview(buffer)
        except TypeError:
            got = type(buffer).__name__
            raise TypeError(f"{where}: wanted a writable buffer, got {got}") from None
        if cells.readonly:
            raise BufferError("Object is not writable.")
        if not cells.c_contiguous:
            raise BufferError("memoryview: underlying buffer is not C-contiguous")
        if not _fits(field, cells):
            raise TypeError(f"{where}: wanted format '{_wanted(field)}', got '{cells.format}'")
        return cells

    def keep(self, row: list[Any]) -> list[Any]:
        return row

    def take(self, rows: list[Any]) -> int:
        for name, cells in self.cells.items():
            if cells.nbytes // cells.itemsize < len(rows):
                raise ValueError(
                    f"unpack_many() out: {self.layout.cls.__qualname__}.{name}: wanted "
                    f"{len(rows)} cells, got {cells.nbytes // cells.itemsize}"
                )
        for name, cells in self.cells.items():
            field, to = self.layout.by_name[name], cells.cast("B") if rows else cells
            for i, row in enumerate(rows):
                made = _cell(field, row[field.index], cells.itemsize)
                to[i * cells.itemsize : (i + 1) * cells.itemsize] = made
        return len(rows)


def _fits(field: Field, cells: memoryview) -> bool:
    """Do the cells hold every value of the field?"""
    meaning = _meaning(cells.format)
    if isinstance(field, BitField) and meaning is not None:
        letter, bits = meaning[0], 8 * meaning[1]
        if field.meaning is bool:
            return letter == "?"
        return (letter == "u" and bits >= field.bits) or (letter == "i" and bits > field.bits)
    return isinstance(field, (Number, Fixed)) and meaning == _meaning(_code(field.kind))


def _wanted(field: Field) -> str:
    if isinstance(field, BitField):
        return "?" if field.meaning is bool else "q" if field.bits < 64 else "Q"
    assert isinstance(field, (Number, Fixed))
    return _code(field.kind)


def _cell(field: Field, value: Any, size: int) -> bytes:
    value = getattr(value, "value", value)  # of an Enum
    if isinstance(field, BitField):
        order: Literal["big", "little"] = sys.byteorder
        return int(value).to_bytes(size, order)
    if isinstance(field, Fixed):
        return field.write(value, "", {})
    assert isinstance(field, Number)
    return struct.pack(f"={_code(field.kind)}", value)
