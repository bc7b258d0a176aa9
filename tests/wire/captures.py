"""Capture files made by code: what no recording here has."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from struct import pack

DATA = Path(__file__).parent / "data"
#: Recorded on a loopback device: HTTP and DNS over IPv4, some with options; HTTP over IPv6 in
#: nanoseconds; tagged frames.
RECORDED = ("http", "dns", "http6", "vlan")


def recorded(name: str) -> bytes:
    return (DATA / f"{name}.pcap").read_bytes()


def classic(
    frames: Iterable[tuple[int, int, bytes] | tuple[int, int, bytes, int]],
    *,
    order: str = "<",
    nano: bool = False,
    snaplen: int = 65535,
    link_type: int = 1,
) -> bytes:
    """Frames are seconds, the rest of the time, bytes and perhaps the length on the wire."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = [pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, link_type)]
    for seconds, part, data, *length in frames:
        out += [pack(order + "IIII", seconds, part, len(data), *(length or [len(data)])), data]
    return b"".join(out)


class Section:
    """Blocks of pcapng in one byte order."""

    def __init__(self, order: str = "<") -> None:
        self.order = order
        self.data = b""
        self.block(0x0A0D0D0A, self.pack("IHHq", 0x1A2B3C4D, 1, 0, -1))

    def pack(self, layout: str, *values: int) -> bytes:
        return pack(self.order + layout, *values)

    def block(self, kind: int, body: bytes) -> Section:
        body += bytes(-len(body) % 4)
        size = 12 + len(body)
        self.data += self.pack("II", kind, size) + body + self.pack("I", size)
        return self

    def option(self, code: int, value: bytes) -> bytes:
        return self.pack("HH", code, len(value)) + value + bytes(-len(value) % 4)

    def interface(self, link_type: int = 1, snaplen: int = 0, options: bytes = b"") -> Section:
        return self.block(1, self.pack("HHI", link_type, 0, snaplen) + options)

    def packet(self, data: bytes, ticks: int = 0, number: int = 0, original: int = -1) -> Section:
        original = len(data) if original < 0 else original
        head = self.pack("IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), original)
        return self.block(6, head + data + bytes(-len(data) % 4) + self.option(1, b"a comment"))

    def old_packet(self, data: bytes, ticks: int = 0, number: int = 0) -> Section:
        head = self.pack("HHIIII", number, 9, ticks >> 32, ticks & 0xFFFFFFFF, *[len(data)] * 2)
        return self.block(2, head + data)

    def simple(self, data: bytes, original: int = -1) -> Section:
        return self.block(3, self.pack("I", len(data) if original < 0 else original) + data)
