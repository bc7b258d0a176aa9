"""Frames of capture files, classic and pcapng."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Any, NoReturn, Self

from .._wire_layout import WireError
from ._input import check_mapped
from ._view import View, _all, _bytes, _live, _make, _site

__all__ = ["Frame", "pcap"]

_NANO = 1_000_000_000
_MAGIC = {
    b"\xa1\xb2\xc3\xd4": (">", 1000), b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1), b"\x4d\x3c\xb2\xa1": ("<", 1),
}  # fmt: skip
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_LEAST = {_SECTION: 28, _INTERFACE: 20, _OLD_PACKET: 32, _SIMPLE_PACKET: 16, _PACKET: 32}
_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_INTERFACES_MAX = 65536


class _Holder:
    """Holds an exporter's memory, and is found by `holders`."""

    __slots__ = ("__weakref__", "_memory", "_obj", "_site")

    def _hold(self, memory: memoryview, obj: Any) -> None:
        self._memory, self._obj, self._site = memory, obj, _site()
        _live[id(self)] = self

    def _alive(self) -> memoryview:
        if id(self) not in _live:
            raise ValueError(f"{type(self).__name__} has been released")
        return self._memory

    _busy = View._busy

    def release(self) -> None:
        if id(self) not in _live:
            return
        try:
            self._memory.release()
        except BufferError as error:
            count = int(str(error).split()[2])  # "memoryview has 1 exported buffer"
            things = "buffer of it is" if count == 1 else "buffers of it are"
            name = type(self).__name__
            raise BufferError(f"{name}.release(): {count} {things} still in use") from None
        del self._memory, self._obj, _live[id(self)]
        self._site = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


class Frame(_Holder):
    """A frame of a capture: what was captured, when, and how long it was."""

    __slots__ = ("link_type", "original_length", "time_ns")

    def __enter__(self) -> Self:
        self._alive()
        return self

    def __init__(
        self, memory: memoryview, obj: Any, time_ns: int, original: int, link_type: int
    ) -> None:
        self._hold(memory, obj)
        self.time_ns, self.original_length, self.link_type = time_ns, original, link_type

    @property
    def timestamp(self) -> float:
        seconds, nanoseconds = divmod(self.time_ns, _NANO)
        return seconds + nanoseconds / 1e9

    @property
    def data(self) -> View:
        memory = self._alive()[:]
        return _make(memory, _all(memory), self._obj)

    @property
    def site(self) -> str | None:
        return self._site

    def __len__(self) -> int:
        return len(self._alive())

    def __bytes__(self) -> bytes:
        return bytes(self._alive())

    def __buffer__(self, flags: int) -> memoryview:  # from Python 3.12 on
        return self._alive()

    def __repr__(self) -> str:
        if id(self) not in _live:
            return "<Frame, released>"
        return f"<Frame of {len(self)} bytes, link type {self.link_type}, at {self.time_ns} ns>"


@dataclass(slots=True)
class _Interface:
    link_type: int
    snaplen: int
    units: int = 1_000_000
    since: int = 0

    def time(self, ticks: int) -> int:
        seconds, part = divmod(ticks, self.units)
        return (seconds + self.since) * _NANO + part * _NANO // self.units


class pcap(_Holder):
    """Frames of a capture file in memory, one by one."""

    def __init__(self, buffer: Any, /, *, max_frame: int = 262144) -> None:
        if not hasattr(type(max_frame), "__index__"):
            raise TypeError(f"pcap() max_frame must be an int, not {type(max_frame).__name__}")
        if not 1 <= operator.index(max_frame) < 1 << 32:
            raise ValueError(f"pcap() max_frame must be 1 to 4294967295, got {max_frame}")
        self._limit = operator.index(max_frame)
        memory = _bytes("pcap", buffer)
        check_mapped("pcap()", buffer)
        self._hold(*memory)
        self._size = len(self._memory)
        self._at = self._index = 0
        self._ended = False
        self._where = "pcap()"
        self._order, self._interfaces = "<", list[_Interface]()
        magic = bytes(self._memory[:4])
        if magic in _MAGIC:
            frames = self._classic(*_MAGIC[magic])
        elif magic == _SECTION.to_bytes(4, "big"):
            frames = self._blocks()
        else:
            self._fail(0, "a pcap or pcapng capture", magic)
        next(frames)  # the head
        self._where = "pcap() frame 0"
        first = self._interfaces[0] if self._interfaces else None
        self.link_type = first and first.link_type
        self.snaplen = first and first.snaplen
        self._frames: Iterator[Frame | None] = frames

    def __iter__(self) -> pcap:
        return self

    def __next__(self) -> Frame:
        if not self._ended:
            self._alive()
        try:
            frame = next(self._frames)
        except (StopIteration, WireError):
            self._ended = True
            self.release()
            raise
        assert frame is not None
        self._index += 1
        self._where = f"pcap() frame {self._index}"
        return frame

    def _fail(self, offset: int, wanted: Any, had: Any) -> NoReturn:
        raise WireError(offset, wanted, had, where=self._where)

    def _have(self, at: int, size: int) -> memoryview:
        left = self._size - at
        if size > left:
            self._fail(at, size, left)
        return self._memory[at : at + size]

    def _read(self, layout: str, data: memoryview, at: int = 0) -> tuple[int, ...]:
        return Struct(self._order + layout).unpack_from(data, at)

    # ---- classic

    def _classic(self, order: str, scale: int) -> Iterator[Frame | None]:
        self._order = order
        *_, snaplen, link_type = self._read("IHHiIII", self._have(0, 24))
        self._interfaces = [_Interface(link_type & 0x03FFFFFF, snaplen)]
        self._at = 24
        yield None
        while self._at < self._size:
            at = self._at
            seconds, part, captured, original = self._read("IIII", self._have(at, 16))
            if captured > self._limit:
                self._fail(at + 8, f"at most {self._limit} bytes", captured)
            data = self._have(at + 16, captured)
            self._at = at + 16 + captured
            time_ns = seconds * _NANO + part * scale
            yield Frame(data, self._obj, time_ns, original, link_type & 0x03FFFFFF)

    # ---- pcapng

    def _blocks(self) -> Iterator[Frame | None]:
        self._block()
        while not self._interfaces and self._at < self._size:
            try:
                self._block()
            except WireError:  # it will come again
                break
        yield None
        while self._at < self._size:
            frame = self._block()
            if frame is not None:
                yield frame

    def _block(self) -> Frame | None:
        """Read the block that comes now."""
        at = self._at
        head = self._have(at, 12)
        (kind,) = self._read("I", head)
        least = _LEAST.get(kind, 12)
        if kind == _SECTION:
            magic = bytes(head[8:])
            if magic not in _ORDERS:
                number = int.from_bytes(magic, "little")
                self._fail(at + 8, "the byte-order magic 0x1a2b3c4d", number)
            self._order = _ORDERS[magic]
        (size,) = self._read("I", head, 4)
        if size < least:
            self._fail(at + 4, f"a block length of at least {least}", size)
        if size % 4:
            self._fail(at + 4, "a block length in words of 4 bytes", size)
        block = self._have(at, size)
        (again,) = self._read("I", block, size - 4)
        if again != size:
            self._fail(at + size - 4, "the block's length again", again)
        frame = None
        if kind == _SECTION:
            (major,) = self._read("H", block, 12)
            if major != 1:
                self._fail(at + 12, "pcapng version 1", major)
            self._interfaces = []
        elif kind == _INTERFACE:
            self._describe(at, block)
        elif kind in (_PACKET, _OLD_PACKET):
            frame = self._packet(at, block, "I" if kind == _PACKET else "H")
        elif kind == _SIMPLE_PACKET:
            frame = self._simple_packet(at, block)
        self._at = at + size
        return frame

    def _describe(self, start: int, block: memoryview) -> None:
        link_type, _, snaplen = self._read("HHI", block, 8)
        interface = _Interface(link_type, snaplen)
        if len(self._interfaces) == _INTERFACES_MAX:
            self._fail(start, "at most 65536 interfaces", _INTERFACES_MAX + 1)
        at, end = 16, len(block) - 4
        while end - at >= 4:
            code, size = self._read("HH", block, at)
            if code == 0:
                break
            if size > end - at - 4:
                self._fail(start + at + 4, size, end - at - 4)
            if code == 9 and size == 1:
                exponent = block[at + 4] & 0x7F
                base, most = (2, 63) if block[at + 4] & 0x80 else (10, 19)
                if exponent > most:
                    text = "a resolution of at most 10^-19 or 2^-63"
                    self._fail(start + at + 4, text, block[at + 4])
                interface.units = base**exponent
            elif code == 14 and size == 8:
                (interface.since,) = self._read("q", block, at + 4)
            at += 4 + (size + 3) // 4 * 4
        self._interfaces.append(interface)

    def _packet(self, at: int, block: memoryview, number_type: str) -> Frame:
        (number,) = self._read(number_type, block, 8)
        if number >= len(self._interfaces):
            self._fail(at + 8, "the number of an interface described before", number)
        high, low, captured, original = self._read("IIII", block, 12)
        time_ns = self._interfaces[number].time(high << 32 | low)
        if not -(1 << 63) <= time_ns < 1 << 63:
            self._fail(at + 12, "a time within 292 years of 1970", high << 32 | low)
        return self._fit(at, block, 28, 20, captured, original, number, time_ns)

    def _simple_packet(self, at: int, block: memoryview) -> Frame:
        if not self._interfaces:
            self._fail(at, "an interface described before", 0)
        (original,) = self._read("I", block, 8)
        captured = min(original, self._interfaces[0].snaplen or original)
        return self._fit(at, block, 12, 8, captured, original, 0, 0)

    def _fit(
        self,
        at: int,
        block: memoryview,
        head: int,
        place: int,
        captured: int,
        original: int,
        number: int,
        time_ns: int,
    ) -> Frame:
        most = min(len(block) - head - 4, self._limit)
        if captured > most:
            self._fail(at + place, f"at most {most} bytes", captured)
        link_type = self._interfaces[number].link_type
        return Frame(block[head : head + captured], self._obj, time_ns, original, link_type)
