"""Views, layouts, tables and captures come and go; the types keep the references they had."""

import struct
import typing
from enum import IntEnum
from typing import Annotated

from _come_and_go import come_and_go

from ferrule import wire
from ferrule.records import Record, Size, u8, u16, u32
from ferrule.wire import (
    Bits,
    Count,
    Crc32,
    InternetChecksum,
    SizedBy,
    Tagged,
    View,
    WireError,
    crc32c,
    holders,
    index_many,
    pack,
    pack_into,
    parse_packet_zero_copy,
    pcap,
    release_all,
    unpack,
    unpack_many,
    view,
)


def make() -> None:
    class Kind(IntEnum):
        A = 1
        B = 2

    class Point(Record):
        x: u16
        y: u16

    class Head(Record, endian="big"):
        version: Annotated[int, Bits(4)]
        kind: Annotated[Kind, Bits(4)]
        count: u8
        points: Annotated[tuple[Point, ...], Count("count")]
        checksum: Annotated[u32, Crc32]
        sum: Annotated[u16, InternetChecksum(over="points")]

    class Text(Record, endian="little"):
        length: u16
        text: Annotated[str, SizedBy("length")]
        tag: u8
        body: Annotated[Point | bytes, Tagged("tag", {1: Point}, bytes)]

    class Plain(Record, endian="little"):
        a: u16
        b: Annotated[bytes, Size(4)]

    head = Head(4, Kind.B, 2, (Point(1, 2), Point(3, 4)), 0, 0)
    data = pack(head)
    assert unpack(Head, data).points[1].y == 4
    memory = bytearray(len(data))
    assert pack_into(head, memory) == len(data)
    seen = view(Head, memory)
    assert seen.kind is Kind.B and len(holders(memory)) == 1
    del seen
    text = pack(Text(2, "ab", 1, Point(5, 6)))
    assert unpack(Text, text).body.x == 5
    rows = pack(Plain(7, b"abcd")) * 5
    assert len(unpack_many(Plain, rows)) == 5 and index_many(Plain, rows)[-1] == 30
    try:
        unpack(Head, data[:-1])
    except WireError as error:
        assert error.where.endswith(".Head.sum")
    held = [View(memory), View(memory)[1:3], *parse_packet_zero_copy(memory)]
    assert release_all(memory) == len(held)
    memory.clear()
    crc32c(rows)
    frame = struct.pack("<IIII", 1, 2, 3, 3) + b"abc"
    capture = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + frame * 2
    assert [bytes(found.data) for found in pcap(bytearray(capture))] == [b"abc"] * 2
    for clear in vars(typing)["_cleanups"]:  # its caches keep classes alive
        clear()


watched = [value for value in vars(wire).values() if isinstance(value, type)]
assert View in watched and WireError in watched
come_and_go(make, watched)
