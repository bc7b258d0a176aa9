"""The three structs of the Arrow C data interface, written and read by hand with ctypes.

`Producer` is an Arrow object made from Python bytes: its callbacks count, and may fail half-way.
`Ledger` knows every struct handed out and overwrites the memory of one that is released. `take`,
`Taken` and `Stream` do what consumers in C do: move a struct out of its capsule, read, release it.
"""

from __future__ import annotations

import collections
import ctypes
import dataclasses
import functools
import itertools
import math
import struct
import sys
from collections.abc import Callable, Sequence
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from typing import Any

NULLABLE = 2


class ArrowSchema(Structure):
    pass


class ArrowArray(Structure):
    pass


class ArrowArrayStream(Structure):
    pass


RELEASE = CFUNCTYPE(None, c_void_p)
GET = CFUNCTYPE(c_int, c_void_p, c_void_p)
LAST_ERROR = CFUNCTYPE(c_void_p, c_void_p)

ArrowSchema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_void_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(ArrowSchema))),
    ("dictionary", POINTER(ArrowSchema)),
    ("release", c_void_p),
    ("private_data", c_void_p),
]
ArrowArray._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(ArrowArray))),
    ("dictionary", POINTER(ArrowArray)),
    ("release", c_void_p),
    ("private_data", c_void_p),
]
ArrowArrayStream._fields_ = [
    ("get_schema", c_void_p),
    ("get_next", c_void_p),
    ("get_last_error", c_void_p),
    ("release", c_void_p),
    ("private_data", c_void_p),
]

STRUCTS: dict[str, type[Structure]] = {
    "arrow_schema": ArrowSchema,
    "arrow_array": ArrowArray,
    "arrow_array_stream": ArrowArrayStream,
}

# ---- capsules

_capsule_new = ctypes.pythonapi.PyCapsule_New
_capsule_new.restype = ctypes.py_object
_capsule_new.argtypes = [c_void_p, c_void_p, c_void_p]
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = c_void_p
_capsule_pointer.argtypes = [ctypes.py_object, c_char_p]

#: What capsules point to as their name.
_NAMES = {name: ctypes.create_string_buffer(name.encode()) for name in STRUCTS}


def release(one: Structure) -> None:
    """Call the struct's release, as C would: without the interpreter's lock."""
    if one.release:
        RELEASE(one.release)(ctypes.addressof(one))
        assert not one.release, "release() must mark the struct as released"


def capsule_of(one: Structure, name: str | None = None) -> Any:
    """A capsule around the struct, without a destructor: one in Python could not run amid errors.

    Whoever makes it keeps the struct alive and does the destructor's work.
    """
    name = name or next(name for name, kind in STRUCTS.items() if isinstance(one, kind))
    return _capsule_new(ctypes.addressof(one), ctypes.addressof(_NAMES[name]), None)


def borrow(capsule: Any, name: str) -> Any:
    """The struct inside a capsule, which goes on owning it."""
    return STRUCTS[name].from_address(_capsule_pointer(capsule, name.encode()))


def move(one: Structure, target: Any = None) -> Any:
    """A copy of the struct elsewhere; the source is marked as released."""
    moved = type(one)() if target is None else target
    ctypes.memmove(ctypes.addressof(moved), ctypes.addressof(one), ctypes.sizeof(one))
    one.release = None
    return moved


def take(capsule: Any, name: str) -> Any:
    """Move the struct out of a capsule."""
    return move(borrow(capsule, name))


# ---- consuming


@dataclasses.dataclass
class Taken:
    """One array with its schema, moved out of what an object exports."""

    schema: Any
    array: Any

    def child(self, i: int) -> Taken:
        return Taken(self.schema.children[i].contents, self.array.children[i].contents)

    def named(self, name: str) -> Taken:
        return next(
            child
            for child in map(self.child, range(self.schema.n_children))
            if child.schema.name.decode() == name
        )

    def dictionary(self) -> Taken:
        return Taken(self.schema.dictionary.contents, self.array.dictionary.contents)

    def buffer(self, i: int) -> int:
        return self.array.buffers[i] or 0

    def bytes(self, i: int, size: int) -> bytes:
        return ctypes.string_at(self.buffer(i), size) if size else b""

    def valid(self, row: int) -> bool:
        if not self.buffer(0):
            return True
        row += self.array.offset
        return bool(self.bytes(0, row // 8 + 1)[-1] >> row % 8 & 1)

    def values(self) -> list[Any]:
        return [self.value(row) for row in range(self.array.length)]

    def value(self, row: int) -> Any:
        if not self.valid(row):
            return None
        kind = self.schema.format.decode()
        row += self.array.offset
        if self.schema.dictionary:
            code = struct.unpack_from(f"={_CODES[kind]}", self._at(1, row, _width(kind)))[0]
            return self.dictionary().value(code)
        if kind in _CODES:
            return struct.unpack(f"={_CODES[kind]}", self._at(1, row, _width(kind)))[0]
        if kind == "b":
            return bool(self._at(1, row // 8, 1)[0] >> row % 8 & 1)
        if kind.startswith("w:"):
            return self._at(1, row, int(kind[2:]))
        code = "i" if kind in "uz" else "q"
        width = struct.calcsize(code)
        first, last = struct.unpack(f"={code}{code}", self._at(1, row, width, 2))
        data = ctypes.string_at(self.buffer(2) + first, last - first) if last > first else b""
        return data.decode() if kind in "uU" else data

    def _at(self, buffer: int, row: int, width: int, count: int = 1) -> bytes:
        return ctypes.string_at(self.buffer(buffer) + row * width, count * width)

    def release(self) -> None:
        release(self.array)
        release(self.schema)


_CODES = dict(zip("csilCSILfg", "bhiqBHIQfd", strict=True))


def _width(kind: str) -> int:
    return struct.calcsize(f"={_CODES[kind]}")


def take_array(exporter: Any, requested: Any = None) -> Taken:
    """What `__arrow_c_array__` gives, moved out of both capsules."""
    schema, array = exporter.__arrow_c_array__(requested)
    return Taken(take(schema, "arrow_schema"), take(array, "arrow_array"))


class Stream:
    """A stream moved out of its capsule."""

    def __init__(self, capsule: Any) -> None:
        self.stream = take(capsule, "arrow_array_stream")

    def _get(self, what: str, kind: type[Structure]) -> tuple[int, Any]:
        got = kind()
        callback = GET(getattr(self.stream, what))
        return callback(ctypes.addressof(self.stream), ctypes.addressof(got)), got

    def schema(self) -> Any:
        code, schema = self._get("get_schema", ArrowSchema)
        assert code == 0, self.last_error()
        return schema

    def next(self) -> Any:
        """The next array, or None at the end."""
        code, array = self._get("get_next", ArrowArray)
        assert code == 0, self.last_error()
        return array if array.release else None

    def last_error(self) -> str | None:
        address = LAST_ERROR(self.stream.get_last_error)(ctypes.addressof(self.stream))
        return None if not address else ctypes.string_at(address).decode()

    def release(self) -> None:
        release(self.stream)


def addresses(exporter: Any) -> dict[str, list[int]]:
    """Column name -> addresses of the buffers that `__arrow_c_array__` gives."""
    taken = take_array(exporter)
    found = {
        taken.child(i).schema.name.decode(): [
            taken.child(i).buffer(j) for j in range(taken.child(i).array.n_buffers)
        ]
        for i in range(taken.schema.n_children)
    }
    taken.release()
    return found


# ---- producing


@dataclasses.dataclass
class Column:
    """An array and its schema, described. `buffers` of a struct is one None."""

    format: str
    length: int
    buffers: Sequence[bytes | None]
    name: str = ""
    nulls: int = 0
    offset: int = 0
    flags: int = NULLABLE
    children: Sequence[Column] = ()
    dictionary: Column | None = None


def fixed(kind: str, values: Sequence[Any], name: str = "", **more: Any) -> Column:
    """A column of numbers without nulls."""
    data = struct.pack(f"={len(values)}{_CODES[kind]}", *values)
    return Column(kind, len(values), [None, data], name, **more)


def text(values: Sequence[str], name: str = "", *, large: bool = False, **more: Any) -> Column:
    """A column of UTF-8 without nulls."""
    encoded = [value.encode("utf-8", "surrogatepass") for value in values]
    ends = [0, *itertools.accumulate(map(len, encoded))]
    offsets = struct.pack(f"={len(ends)}{'q' if large else 'i'}", *ends)
    return Column(
        "U" if large else "u", len(values), [None, offsets, b"".join(encoded)], name, **more
    )


def batch(*columns: Column, **more: Any) -> Column:
    """A struct of columns: one chunk of a table."""
    length = more.pop("length", columns[0].length if columns else 0)
    return Column("+s", length, [None], children=columns, **more)


class Ledger:
    """Every struct handed out, and how often each was released."""

    def __init__(self) -> None:
        self.kinds: dict[int, str] = {}
        self.released: collections.Counter[int] = collections.Counter()
        self.graveyard: list[Any] = []
        self._capsules: list[tuple[Any, Any]] = []

    def enter(self, one: Any, *kept: Any, memory: Sequence[Any] = ()) -> Any:
        """Give the struct a release that counts, and keep alive what it points to until then."""
        number = next(_numbers)
        self.kinds[number] = type(one).__name__
        _entries[number] = (self, (one, kept), memory)
        one.private_data = number
        one.release = ctypes.cast(_RELEASERS[type(one)], c_void_p)
        return one

    def encapsulate(self, one: Any, name: str | None = None) -> Any:
        capsule = capsule_of(one, name)
        self._capsules.append((capsule, one))
        return capsule

    def close(self, *, held: float = math.inf) -> None:
        """Do the work of the destructors of capsules that have so many references or fewer."""
        for capsule, one in self._capsules:
            if sys.getrefcount(capsule) <= held:
                release(one)

    @property
    def live(self) -> list[str]:
        """Structs not released."""
        return [kind for number, kind in self.kinds.items() if not self.released[number]]

    def settled(self) -> bool:
        """Is everything released, and nothing twice, once capsules nobody holds have gone?"""
        self.close(held=3)  # the list, the loop and the call
        return not self.live and all(count == 1 for count in self.released.values())


_numbers = itertools.count(1)
_entries: dict[int, tuple[Ledger, Any, Sequence[Any]]] = {}


_fetch = ctypes.pythonapi.PyErr_Fetch
_fetch.restype = None
_fetched = c_void_p(), c_void_p(), c_void_p()
_into = tuple(ctypes.byref(one) for one in _fetched)


def _release(kind: type[Structure], address: int) -> None:
    # Python code, as this is, cannot run while an exception is set: who calls saves it. Without
    # this line such a call would end in noise far from here.
    _fetch(*_into)
    assert not _fetched[0].value, "release() was called while an exception was set"
    one: Any = kind.from_address(address)
    ledger, _, memory = _entries[one.private_data]
    ledger.released[one.private_data] += 1
    for i in range(getattr(one, "n_children", 0)):
        release(one.children[i].contents)
    if getattr(one, "dictionary", None):
        release(one.dictionary.contents)
    one.release = None
    for block in memory:  # a late read finds this, not what was there
        ctypes.memset(ctypes.addressof(block), 0xA5, ctypes.sizeof(block))
    ledger.graveyard.append(_entries[one.private_data])
    if ledger.released[one.private_data] == 1:
        del _entries[one.private_data]


#: One release for each kind of struct, alive as long as the module.
_RELEASERS = {kind: RELEASE(functools.partial(_release, kind)) for kind in STRUCTS.values()}


def make_schema(column: Column, ledger: Ledger) -> Any:
    schema = ArrowSchema()
    schema.format, schema.name = column.format.encode(), column.name.encode()
    schema.flags = column.flags
    children = [make_schema(child, ledger) for child in column.children]
    pointers = (POINTER(ArrowSchema) * max(1, len(children)))(*map(ctypes.pointer, children))
    schema.n_children, schema.children = len(children), pointers
    kept: list[Any] = [children, pointers]
    if column.dictionary:
        kept.append(make_schema(column.dictionary, ledger))
        schema.dictionary = ctypes.pointer(kept[-1])
    return ledger.enter(schema, *kept)


def make_array(column: Column, ledger: Ledger) -> Any:
    array = ArrowArray()
    array.length, array.null_count, array.offset = column.length, column.nulls, column.offset
    memory = [
        None if data is None else ctypes.create_string_buffer(data, max(1, len(data)))
        for data in column.buffers
    ]
    buffers = (c_void_p * max(1, len(memory)))(
        *(None if block is None else ctypes.addressof(block) for block in memory)
    )
    array.n_buffers, array.buffers = len(memory), buffers
    children = [make_array(child, ledger) for child in column.children]
    pointers = (POINTER(ArrowArray) * max(1, len(children)))(*map(ctypes.pointer, children))
    array.n_children, array.children = len(children), pointers
    kept: list[Any] = [buffers, children, pointers]
    if column.dictionary:
        kept.append(make_array(column.dictionary, ledger))
        array.dictionary = ctypes.pointer(kept[-1])
    return ledger.enter(array, *kept, memory=[block for block in memory if block is not None])


class Producer:
    """An Arrow object of batches, or of one array, whose callbacks may fail.

    `fail_schema` is (errno, message or None); `fail_next` is (which call, errno, message or None).
    `before_next` runs inside each get_next. A message is bytes, so that it may be no UTF-8.
    """

    def __init__(
        self,
        *batches: Column,
        schema: Column | None = None,
        fail_schema: tuple[int, bytes | None] | None = None,
        fail_next: tuple[int, int, bytes | None] | None = None,
        before_next: Callable[[], object] = lambda: None,
    ) -> None:
        self.ledger = Ledger()
        self.batches = batches
        self.described = schema or batches[0]
        self.fail_schema, self.fail_next, self.before_next = fail_schema, fail_next, before_next
        self.calls: list[str] = []
        self._error: Any = None

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        coming = iter(self.batches)
        numbers = itertools.count()

        def get_schema(_stream: int, out: int) -> int:
            self.calls.append("get_schema")
            if self.fail_schema:
                return self._fail(*self.fail_schema)
            return self._give(out, make_schema(self.described, self.ledger))

        def get_next(_stream: int, out: int) -> int:
            self.calls.append("get_next")
            self.before_next()
            if self.fail_next and next(numbers) == self.fail_next[0]:
                return self._fail(*self.fail_next[1:])
            following = next(coming, None)
            if following is None:
                ctypes.memset(out, 0, ctypes.sizeof(ArrowArray))
                return 0
            return self._give(out, make_array(following, self.ledger))

        def get_last_error(_stream: int) -> int | None:
            self.calls.append("get_last_error")
            return None if self._error is None else ctypes.addressof(self._error)

        callbacks = GET(get_schema), GET(get_next), LAST_ERROR(get_last_error)
        stream = ArrowArrayStream(*(ctypes.cast(callback, c_void_p) for callback in callbacks))
        return self.ledger.encapsulate(self.ledger.enter(stream, callbacks))

    def _fail(self, code: int, message: bytes | None) -> int:
        self._error = None if message is None else ctypes.create_string_buffer(message)
        return code

    def _give(self, out: int, one: Any) -> int:
        move(one, type(one).from_address(out))
        return 0

    @property
    def settled(self) -> bool:
        return self.ledger.settled()


class ArrayProducer:
    """An Arrow object of one array."""

    def __init__(self, column: Column, *, schema: Column | None = None) -> None:
        self.ledger = Ledger()
        self.column, self.described = column, schema or column

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[Any, Any]:
        return (
            self.ledger.encapsulate(make_schema(self.described, self.ledger)),
            self.ledger.encapsulate(make_array(self.column, self.ledger)),
        )

    @property
    def settled(self) -> bool:
        return self.ledger.settled()


# ---- from a thread that Python does not know


def call_in_c_thread(function: int, argument: int) -> None:
    """Call `function(argument)` in a thread made by the C library, and wait for it.

    The thread has no Python thread state, and nobody holds the interpreter's lock for it.
    """
    libc = ctypes.CDLL(None)
    thread = c_void_p()
    code = libc.pthread_create(ctypes.byref(thread), None, c_void_p(function), c_void_p(argument))
    assert code == 0
    assert libc.pthread_join(thread, None) == 0
