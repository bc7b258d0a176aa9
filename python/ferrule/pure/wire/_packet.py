"""Records read from bytes and written to them."""

from __future__ import annotations

from typing import Any

from .._wire_layout import WireError
from ..records import RecordMeta
from ._input import contiguous, offset_of
from ._layout import Reader, layout_of

__all__ = ["pack", "pack_into", "unpack"]


def unpack(cls: Any, buffer: Any, offset: int = 0) -> Any:
    """The record that begins at `offset`; what follows it is ignored."""
    layout = layout_of("unpack()", cls)
    at = offset_of("unpack()", offset)
    return Reader(contiguous("unpack()", buffer)).record(layout, at, cls.__qualname__)[0]


def _packed(function: str, record: Any) -> bytes:
    cls = record.__class__  # a LayoutView's is that of the record
    if not isinstance(cls, RecordMeta):
        raise TypeError(f"{function} wants a record, got {type(record).__name__}")
    return layout_of(function, cls).pack(record, cls.__qualname__)


def pack(record: Any) -> bytes:
    """Its bytes, checksums computed."""
    return _packed("pack()", record)


def pack_into(record: Any, buffer: Any, offset: int = 0) -> int:
    """Write its bytes at `offset`; how many."""
    data = _packed("pack_into()", record)
    at = offset_of("pack_into()", offset)
    memory = contiguous("pack_into()", buffer, writable=True)
    left = max(len(memory) - at, 0)
    if len(data) > left:
        raise WireError(at, len(data), left, where="pack_into()")
    memory[at : at + len(data)] = data
    return len(data)
