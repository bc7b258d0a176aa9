"""View on memoryview: what it is, not how fast.

The limits are memoryview's in Python: before 3.12 a class cannot export a buffer, and a part of
several dimensions that is not contiguous can be indexed here, but neither exported nor cast.
"""

from __future__ import annotations

import math
import operator
import struct
import sys
import weakref
from collections.abc import Iterator
from itertools import product
from typing import Any, TypeAlias

from .._wire_layout import WireError

__all__ = ["View", "holders", "parse_packet_zero_copy", "release_all", "track_sites"]

#: For each dimension of the memory an index, or the indices that are left
_Parts: TypeAlias = tuple["int | range", ...]

_CODES = "?bBchHiIlLqQnNPfd"
_state = {"sites": False}
#: id -> whoever holds memory: its type has `_obj`, `_busy` and `release`, which fields of these
#: names may hide in a LayoutView
_live: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def _site() -> str | None:
    if not _state["sites"]:
        return None
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"


def _code(format: str) -> str | None:
    code = format.removeprefix("@")
    return code if len(code) == 1 and code in _CODES else None


def _open(function: str, buffer: Any, wanted: str) -> tuple[memoryview, Any]:
    """The buffer's memory, and whose it is."""
    if isinstance(buffer, View):
        return buffer._whole(function), buffer._obj
    try:
        memory = memoryview(buffer)
    except TypeError as error:
        if str(error).startswith("memoryview: a bytes-like"):
            name = type(buffer).__name__
            raise TypeError(f"{function}() wants a {wanted}, got {name}") from None
        raise
    return memory, _exporter(buffer)


def _exporter(buffer: Any) -> Any:
    if isinstance(buffer, memoryview):
        buffer = buffer if buffer.obj is None else buffer.obj
    return _owner(buffer) if id(buffer) in _live else buffer


def _bytes(function: str, buffer: Any) -> tuple[memoryview, Any]:
    """One dimension of bytes."""
    memory, obj = _open(function, buffer, "contiguous buffer")
    if not memory.c_contiguous:
        name = type(buffer).__name__
        raise BufferError(f"{function}() wants a contiguous buffer, got a strided {name}")
    return _flat(memory), obj


def _flat(memory: memoryview) -> memoryview:
    if memory.ndim == 1 and memory.format == "B":
        return memory[:]
    if memory.nbytes == 0:
        return memoryview(b"" if memory.readonly else bytearray())
    return memory.cast("B")


def _packed(memory: Any, parts: _Parts) -> bool:
    """Do the items that are left lie one after another?"""
    step = memory.itemsize
    if 0 in _shape(parts):
        return True
    for stride, part in reversed(list(zip(memory.strides, parts, strict=True))):
        if isinstance(part, range):
            if len(part) > 1 and stride * part.step != step:
                return False
            step *= len(part)
    return True


def _shape(parts: _Parts) -> tuple[int, ...]:
    return tuple(len(part) for part in parts if isinstance(part, range))


def _narrow(memory: Any, parts: _Parts) -> tuple[Any, _Parts]:
    """As a memoryview of exactly these items, where there can be one."""
    shape = _shape(parts)
    if len(parts) == 1 and isinstance(part := parts[0], range):
        stop = part.stop if part.stop >= 0 else None
        memory = memory[part.start : stop : part.step] if len(part) else memory[:0]
        return memory, _all(memory)
    if 0 in shape or not memory.c_contiguous or not _packed(memory, parts):
        return memory, parts
    if _code(memory.format) is None or memory.itemsize == 0:
        return memory, parts
    first = [part if isinstance(part, int) else part.start for part in parts]
    start = sum(map(operator.mul, first, memory.strides))
    flat = memory.cast("B")[start : start + math.prod(shape) * memory.itemsize]
    memory = flat.cast(memory.format, shape)
    return memory, _all(memory)


def _all(memory: Any) -> _Parts:
    return tuple(range(count) for count in memory.shape)


def _ints(code: str) -> tuple[int, int]:
    bits = 8 * struct.calcsize(code)
    return (-1 << bits - 1, (1 << bits - 1) - 1) if code in "bhilqn" else (0, (1 << bits) - 1)


def _item(code: str, value: Any) -> Any:
    """What memoryview takes for an item, or the error."""
    name = type(value).__name__
    if code == "?":
        return bool(value)
    if code == "c":
        if not isinstance(value, bytes) or len(value) != 1:
            raise TypeError(f"View item of format 'c' wants one byte as bytes, got {value!r}")
        return value
    try:
        value = math.ldexp(value, 0) if code in "fd" else operator.index(value)
    except TypeError:
        wanted = "a number" if code in "fd" else "an int"
        raise TypeError(f"View item of format '{code}' wants {wanted}, got {name}") from None
    if code not in "fd":
        low, high = _ints(code)
        if not low <= value <= high:
            raise ValueError(f"View item of format '{code}' wants {low} to {high}, got {value}")
    return value


class View:
    """Memory of any exporter of a buffer, without a copy."""

    __slots__ = ("__weakref__", "_memory", "_obj", "_parts", "_site")
    _memory: Any
    _parts: _Parts
    _obj: Any
    _site: str | None

    def __new__(cls, buffer: Any, start: int | None = 0, stop: int | None = None) -> View:
        for name, bound in (("start", start), ("stop", stop)):
            if bound is not None and not hasattr(type(bound), "__index__"):
                got = type(bound).__name__
                raise TypeError(f"View() {name} wants an int or None, got {got}")
        where = slice(start, stop)
        if (start is None or operator.index(start) == 0) and stop is None:
            if isinstance(buffer, View):
                return _make(memoryview(buffer._alive()), buffer._parts, buffer._obj)
            memory, obj = _open("View", buffer, "buffer")
        else:
            memory, obj = _bytes("View", buffer)
            memory = memory[where]
        return _make(memory, _all(memory), obj)

    # ---- what it is

    def _alive(self) -> Any:
        if id(self) not in _live:
            raise ValueError("View has been released")
        return self._memory

    def _whole(self, function: str = "") -> Any:
        """A memoryview of exactly these items."""
        memory = self._alive()
        if self._parts != _all(memory):
            if function:
                raise BufferError(f"{function}() wants a contiguous buffer, got a strided View")
            raise BufferError("a part of several dimensions, not contiguous")
        return memory

    @property
    def obj(self) -> Any:
        self._alive()
        return self._obj

    @property
    def nbytes(self) -> int:
        return self.itemsize * math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        return int(self._alive().itemsize)

    @property
    def format(self) -> str:
        return str(self._alive().format)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        self._alive()
        return _shape(self._parts)

    @property
    def strides(self) -> tuple[int, ...]:
        pairs = zip(self._alive().strides, self._parts, strict=True)
        return tuple(stride * part.step for stride, part in pairs if isinstance(part, range))

    @property
    def readonly(self) -> bool:
        return bool(self._alive().readonly)

    @property
    def contiguous(self) -> bool:
        memory = self._alive()
        return _packed(memory, self._parts) or _fortran(self)

    @property
    def released(self) -> bool:
        return id(self) not in _live

    @property
    def site(self) -> str | None:
        return self._site

    def __repr__(self) -> str:
        if self.released:
            return "<View, released>"
        text = f"<View of {self.nbytes} bytes of {type(self._obj).__name__}"
        if self.ndim == 1 and self.format.removeprefix("@") == "B" and self._tight():
            return text + ">"
        return f"{text}, format '{self.format}', shape {self.shape}>"

    def _tight(self) -> bool:
        return self.strides == (1,) or len(self) <= 1

    # ---- letting go

    def _busy(self) -> bool:
        spare = memoryview(self._memory)
        try:
            self._memory.release()
        except BufferError:
            return True
        self._memory = spare
        return False

    def release(self) -> None:
        """Let the exporter's memory go: every later use is a ValueError."""
        if self.released:
            return
        try:
            self._memory.release()
        except BufferError as error:
            count = int(str(error).split()[2])  # "memoryview has 1 exported buffer"
            things = "buffer of it is" if count == 1 else "buffers of it are"
            raise BufferError(f"View.release(): {count} {things} still in use") from None
        del self._memory, self._obj, _live[id(self)]
        self._site = None

    def __enter__(self) -> View:
        self._alive()
        return self

    def __exit__(self, *args: object) -> None:
        self.release()

    def __buffer__(self, flags: int) -> memoryview:  # from Python 3.12 on
        memory: memoryview = self._whole()
        return memory

    # ---- items

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("View of 0 dimensions has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        len(self)
        return map(self.__getitem__, range(len(self)))

    def _select(self, key: Any) -> tuple[_Parts, bool]:
        """The items a key means, and whether they are one."""
        keys = list(key) if isinstance(key, tuple) else [key]
        given = sum(one is not ... for one in keys)
        if len(keys) > given + 1:
            raise TypeError("View got more than one ellipsis")
        if given > self.ndim:
            raise TypeError(f"View of {self.ndim} dimensions got {given} indices")
        at = next((i for i, one in enumerate(keys) if one is ...), len(keys))
        keys[at : at + 1] = [slice(None)] * (self.ndim - given)
        parts = list(self._parts)
        for i, part in enumerate(parts):
            if isinstance(part, range):
                parts[i] = _pick(part, keys.pop(0))
        return tuple(parts), given < len(key if isinstance(key, tuple) else [key])

    def _readable(self) -> str:
        code = _code(self._alive().format)
        if code is None or struct.calcsize(code) != self.itemsize:
            raise ValueError(
                f"View items of format '{self.format}' cannot be read or written: wanted one"
                " native character"
            )
        return code

    def __getitem__(self, key: Any) -> Any:
        self._alive()
        parts, ellipsis = self._select(key)
        if not _shape(parts) and not ellipsis:
            self._readable()
            return self._memory[_indices(parts)]
        return _make(*_narrow(self._alive(), parts), self._obj)

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._alive().readonly:
            raise TypeError("View of read-only memory cannot be written to")
        parts, ellipsis = self._select(key)
        if not _shape(parts) and not ellipsis:
            self._memory[_indices(parts)] = _item(self._readable(), value)
            return
        try:
            source = View(value)
        except TypeError:
            raise TypeError(f"View slice wants a buffer, got {type(value).__name__}") from None
        wanted, had = _shape(parts), source.shape
        if wanted != had or self.format.removeprefix("@") != source.format.removeprefix("@"):
            raise ValueError(
                f"View items of shape {wanted}, format '{self.format}', cannot become those of"
                f" shape {had}, format '{source.format}'"
            )
        memory, rest = _narrow(self._memory, parts)
        if memory.ndim == 1 and rest == _all(memory):
            memory[:] = source._memory
            return
        items = [source._memory[_at(source._parts, at)] for at in _every(had)]
        for at, item in zip(_every(wanted), items, strict=True):
            memory[_at(rest, at)] = item

    def __delitem__(self, key: Any) -> None:
        self._alive()
        raise TypeError("View items cannot be deleted")

    # ---- all at once

    def __eq__(self, other: object) -> Any:
        try:
            theirs = other if isinstance(other, View) else memoryview(other)  # type: ignore[arg-type]
        except TypeError:
            return NotImplemented
        except (BufferError, ValueError):
            self._alive()
            return False
        mine = self._alive()
        if isinstance(theirs, View):
            if theirs._parts != _all(theirs._alive()) or self._parts != _all(mine):
                return self.shape == theirs.shape and self.tolist() == theirs.tolist()
            theirs = theirs._memory
        if self._parts != _all(mine):
            return self.shape == theirs.shape and self.tolist() == theirs.tolist()
        return mine == theirs

    def __hash__(self) -> int:
        if not self.readonly:
            raise ValueError("View of writable memory cannot be hashed")
        if self.format.removeprefix("@") not in ("B", "b", "c"):
            raise ValueError(f"View of format '{self.format}' cannot be hashed: wanted B, b or c")
        hash(self._obj)
        return hash(self.tobytes())

    def tobytes(self) -> bytes:
        """The items' bytes, in C order."""
        raw: bytes = self._alive().tobytes()
        size = self.itemsize
        if self._parts == _all(self._memory):
            return raw
        shape = self._memory.shape
        steps = [math.prod(shape[i + 1 :]) * size for i in range(len(shape))]
        starts = (sum(map(operator.mul, _at(self._parts, at), steps)) for at in _every(self.shape))
        return b"".join(raw[start : start + size] for start in starts)

    __bytes__ = tobytes

    def tolist(self) -> Any:
        """The items as a list of lists."""
        self._readable()
        return self[()] if not self.shape else _nest(self._memory, self._parts)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The bytes as text."""
        for name, value in (("encoding", encoding), ("errors", errors)):
            if not isinstance(value, str):
                self._alive()
                raise TypeError(f"View.decode() {name} wants a str, got {type(value).__name__}")
        return self.tobytes().decode(encoding, errors)

    def hex(self, sep: str | bytes | None = None, bytes_per_sep: int = 1) -> str:
        """The bytes as hexadecimal digits."""
        return self.tobytes().hex() if sep is None else self.tobytes().hex(sep, bytes_per_sep)

    # ---- the same bytes otherwise

    def toreadonly(self) -> View:
        """View of the same items that cannot be written to."""
        return _make(self._alive().toreadonly(), self._parts, self._obj)

    def cast(self, format: str, shape: tuple[int, ...] | list[int] | None = None) -> View:
        """View of the same bytes as items of a native format."""
        self._alive()
        if not isinstance(format, str):
            raise TypeError(f"View.cast() format wants a str, got {type(format).__name__}")
        code = _code(format)
        if code is None:
            raise ValueError(f"View.cast() format wants one native character, got {format!r}")
        if not _packed(self._memory, self._parts):
            raise TypeError("View.cast() wants a contiguous view")
        size, nbytes = struct.calcsize(code), self.nbytes
        if nbytes % size:
            raise TypeError(f"View.cast() of {nbytes} bytes: not a multiple of {size}")
        if shape is not None:
            _check_shape(shape, size, nbytes)
        if nbytes == 0:
            raw = b"" if self.readonly else bytearray()
            empty = memoryview(raw) if code == "B" else memoryview(raw).cast("B")[:0]
            return _make(empty, _all(empty), self._obj)
        flat = _flat(self._whole("View.cast"))
        memory = flat.cast(format) if shape is None else flat.cast(format, shape)  # type: ignore[call-overload]
        return _make(memory, _all(memory), self._obj)


def _check_shape(shape: Any, size: int, nbytes: int) -> None:
    if not isinstance(shape, (tuple, list)):
        name = type(shape).__name__
        raise TypeError(f"View.cast() shape wants a tuple or list, got {name}")
    if len(shape) > 64:
        raise ValueError(f"View.cast() shape wants at most 64 dimensions, got {len(shape)}")
    for count in shape:
        if not isinstance(count, int):
            raise TypeError(f"View.cast() shape wants ints, got {type(count).__name__}")
        if not 1 <= count <= sys.maxsize:
            raise ValueError(f"View.cast() shape wants ints of 1 to {sys.maxsize}, got {count}")
    if math.prod(shape) * size != nbytes:
        raise TypeError(f"View.cast() shape {shape} of items of {size} bytes is not {nbytes} bytes")


def _make(memory: memoryview, parts: _Parts, obj: Any) -> View:
    view = object.__new__(View)
    view._memory, view._parts, view._obj = memory, parts, obj
    view._site = _site()
    _live[id(view)] = view
    return view


def _fortran(view: View) -> bool:
    step = view.itemsize
    for count, stride in zip(view.shape, view.strides, strict=True):
        if count > 1 and stride != step:
            return False
        step *= count
    return True


def _pick(part: range, key: Any) -> int | range:
    if isinstance(key, slice):
        rest = part[key]
        if len(rest) > 1:
            return rest
        return range(rest.start, rest.start + len(rest) * part.step, part.step)
    if not hasattr(type(key), "__index__"):
        raise TypeError(
            f"View indices must be ints, slices or tuples of them, not {type(key).__name__}"
        )
    index = operator.index(key)
    if not -len(part) <= index < len(part):
        raise IndexError("View index out of range")
    return part[index]


def _indices(parts: _Parts) -> Any:
    """Of one item."""
    return tuple(parts) if len(parts) != 1 else parts[0]


def _every(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return product(*map(range, shape))


def _at(parts: _Parts, at: tuple[int, ...]) -> Any:
    """In the memory, of the item that is at `at` of what is left of it."""
    rest = iter(at)
    return tuple(part[next(rest)] if isinstance(part, range) else part for part in parts)


def _nest(memory: memoryview, parts: _Parts) -> Any:
    for i, part in enumerate(parts):
        if isinstance(part, range):
            return [_nest(memory, (*parts[:i], at, *parts[i + 1 :])) for at in part]
    return memory[_indices(parts)]


# ---- who holds what


def _owner(holder: Any) -> Any:
    """Whose memory it holds."""
    return type(holder)._obj.__get__(holder)


def _holders(function: str, buffer: Any) -> list[Any]:
    if isinstance(buffer, View):
        exporter = buffer.obj
    else:
        _open(function, buffer, "buffer")
        exporter = _exporter(buffer)
    return [holder for holder in list(_live.values()) if _owner(holder) is exporter]


def holders(buffer: Any, /) -> list[Any]:
    """Every live View, LayoutView and Frame of the buffer's memory."""
    return _holders("holders", buffer)


def release_all(buffer: Any, /) -> int:
    """Release all holders of the buffer's memory; how many there were."""
    found = _holders("release_all", buffer)
    busy = [holder for holder in found if type(holder)._busy(holder)]
    if busy:
        site = f" made at {busy[-1]._site}" if busy[-1]._site is not None else ""
        raise BufferError(
            f"release_all(): buffers of {len(busy)} of {len(found)} holders are still in use:"
            f" {type(busy[-1]).__name__}{site}"
        )
    for holder in found:
        type(holder).release(holder)
    return len(found)


def track_sites(on: bool, /) -> bool:
    """From now on note (or do not) where views are made. Was it on before?"""
    before, _state["sites"] = _state["sites"], bool(on)
    return before


def parse_packet_zero_copy(data: Any, *, strict: bool = False) -> tuple[View, View, View]:
    """Views of bytes 0 to 12, 12 to 1024 and 1024 to 1028."""
    memory, obj = _bytes("parse_packet_zero_copy", data)
    if strict and len(memory) < 1028:
        raise WireError(0, 1028, len(memory), where="parse_packet_zero_copy()")
    pieces = (memory[0:12], memory[12:1024], memory[1024:1028])
    header, payload, checksum = (_make(piece, _all(piece), obj) for piece in pieces)
    return header, payload, checksum
