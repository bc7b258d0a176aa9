"""Arguments that every function of the room takes: a buffer and an offset."""

from __future__ import annotations

import mmap
import operator
import sys
from collections.abc import Callable
from typing import Any

#: What make buffers of the twin's own exporters, which Python 3.11 cannot express.
exporters: list[Callable[[Any], Any]] = []


def contiguous(function: str, buffer: Any, *, writable: bool = False) -> memoryview:
    """The bytes of a buffer."""
    for exporter in exporters:
        buffer = exporter(buffer)
    try:
        view = memoryview(buffer)
    except TypeError:
        raise TypeError(
            f"{function} wants a contiguous buffer, got {type(buffer).__name__}"
        ) from None
    if not view.c_contiguous:
        raise BufferError("memoryview: underlying buffer is not C-contiguous")
    if writable and view.readonly:
        raise BufferError("Object is not writable.")
    # cast() refuses a shape with a zero in it
    return view.cast("B") if view.nbytes else memoryview(b"" if view.readonly else bytearray())


def check_mapped(function: str, buffer: Any) -> None:
    """Reading pages of an mmap that its file no longer has ends the process."""
    if type(buffer) is not mmap.mmap:
        return
    try:
        size = buffer.size()
    except OSError:  # there is no file behind it
        return
    if size < len(buffer):
        raise BufferError(
            f"{function}: the file has {size} bytes, fewer than the {len(buffer)} of its mmap: it"
            " was truncated"
        )


def offset_of(function: str, offset: Any) -> int:
    if not hasattr(type(offset), "__index__"):
        raise TypeError(f"{function} offset must be an int, not {type(offset).__name__}")
    number = operator.index(offset)
    if number > sys.maxsize:
        raise OverflowError(f"cannot fit '{type(offset).__name__}' into an index-sized integer")
    if number < 0:
        raise ValueError(f"{function} offset must not be negative, got {number}")
    return number
