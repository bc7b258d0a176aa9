"""A consumer of Arrow PyCapsules that does nothing: what is left is the producer's own work.

`stream`, `array` and `schema` ask an object for capsules, call what the C interfaces make a
consumer call (the schema, every array, their releases) and keep nothing. The calls go through
ctypes, whose microseconds are part of the time. `Asked` notes which capsules a real consumer
asks for, so that `again` can do as much. The structs are those of the Arrow C data and C stream
interfaces.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any


class _Schema(ctypes.Structure):
    pass


class _Array(ctypes.Structure):
    pass


class _Stream(ctypes.Structure):
    pass


_Release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Get = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_Error = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)

_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.POINTER(_Schema)),
    ("release", _Release),
    ("private_data", ctypes.c_void_p),
]
_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.POINTER(_Array)),
    ("release", _Release),
    ("private_data", ctypes.c_void_p),
]
_Stream._fields_ = [
    ("get_schema", _Get),
    ("get_next", _Get),
    ("get_last_error", _Error),
    ("release", _Release),
    ("private_data", ctypes.c_void_p),
]

_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_schema, _array = _Schema(), _Array()
_schema_at, _array_at = ctypes.addressof(_schema), ctypes.addressof(_array)


def _fail(stream: _Stream, at: int, code: int) -> None:
    if code:
        text = stream.get_last_error(at) or b""
        raise OSError(code, text.decode(errors="replace"))


def stream(producer: Any, seen: Callable[[_Array], None] | None = None) -> int:
    """Ask for a stream, read it to its end and release all of it; gives the number of rows."""
    capsule = producer.__arrow_c_stream__()
    at = _pointer(capsule, b"arrow_array_stream")
    given = _Stream.from_address(at)
    _fail(given, at, given.get_schema(at, _schema_at))
    get_next, rows = given.get_next, 0
    while True:
        _fail(given, at, get_next(at, _array_at))
        release = _array.release
        if not release:
            break
        rows += _array.length
        if seen is not None:
            seen(_array)
        release(_array_at)
    _schema.release(_schema_at)
    return rows  # the capsule releases the stream


def array(producer: Any) -> int:
    """Ask for schema and array and release both; gives the number of rows."""
    schema, capsule = producer.__arrow_c_array__()
    of_schema, of_array = _pointer(schema, b"arrow_schema"), _pointer(capsule, b"arrow_array")
    given = _Array.from_address(of_array)
    rows: int = given.length
    given.release(of_array)
    _Schema.from_address(of_schema).release(of_schema)
    return rows


def schema(producer: Any) -> int:
    """Ask for the schema and release it; gives the number of fields."""
    capsule = producer.__arrow_c_schema__()
    at = _pointer(capsule, b"arrow_schema")
    given = _Schema.from_address(at)
    fields: int = given.n_children
    given.release(at)
    return fields


def addresses(producer: Any, field: int) -> list[int]:
    """Where the values of one field lie, chunk by chunk."""
    found: list[int] = []

    def seen(batch: _Array) -> None:
        found.append(batch.children[field].contents.buffers[1] or 0)

    stream(producer, seen)
    return found


class Asked:
    """Stands for a producer and notes the capsules it is asked for."""

    def __init__(self, producer: Any) -> None:
        self._producer = producer
        #: What does the same work again, in order.
        self.calls: list[Callable[[Any], int]] = []

    def __arrow_c_schema__(self) -> Any:
        self.calls.append(schema)
        return self._producer.__arrow_c_schema__()

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        self.calls.append(array)
        return self._producer.__arrow_c_array__(requested_schema)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        self.calls.append(stream)
        return self._producer.__arrow_c_stream__(requested_schema)


def again(calls: list[Callable[[Any], int]], producer: Any) -> None:
    """The producer's part of what a consumer asked for."""
    for call in calls:
        call(producer)
