"""What a type checker should understand of packets and captures. Never run."""

from __future__ import annotations

import mmap
from array import array
from enum import IntEnum
from typing import Annotated, assert_type

from ferrule.records import Record, RecordTable, Size, u8, u16, u32
from ferrule.wire import (
    Bits,
    Count,
    Crc32,
    Crc32c,
    Frame,
    InternetChecksum,
    SizedBy,
    Tagged,
    View,
    WireError,
    crc32,
    crc32c,
    holders,
    index_many,
    internet_checksum,
    pack,
    pack_into,
    parse_packet_zero_copy,
    pcap,
    release_all,
    track_sites,
    unpack,
    unpack_many,
    view,
)
from ferrule.wire.net import TCP, Ethernet, EtherType, IPv4, TCPFlags


class Kind(IntEnum):
    ONE = 1


class Point(Record):
    x: u16
    y: u16


class Message(Record, endian="big"):
    version: Annotated[int, Bits(4)]
    urgent: Annotated[bool, Bits(4)]
    kind: Annotated[Kind, u8]
    count: u8
    points: Annotated[tuple[Point, ...], Count("count")]
    length: u16
    text: Annotated[str, SizedBy("length")]
    address: Annotated[bytes, Size(4)]
    body: Annotated[Point | bytes, Tagged("kind", {1: Point}, bytes)]


class Summed(Record):
    data: Annotated[bytes, Size(4)]
    one: Annotated[u32, Crc32(over="data")]
    two: Annotated[u32, Crc32c]
    three: Annotated[u16, InternetChecksum(over=("data", "one"))]


def read(data: bytes, memory: bytearray, mapped: mmap.mmap) -> None:
    message = unpack(Message, data)
    assert_type(message, Message)
    assert_type(message.version, int)
    assert_type(message.urgent, bool)
    assert_type(message.kind, Kind)
    assert_type(message.points, tuple[Point, ...])
    assert_type(message.text, str)
    assert_type(message.body, Point | bytes)
    assert_type(pack(message), bytes)
    assert_type(pack_into(message, memory, 5), int)
    view(Message, memory, offset=2).text = message.text
    assert_type(index_many(Point, data), array[int])
    assert_type(unpack_many(Point, data), RecordTable[Point])
    assert_type(crc32(data, 5) + crc32c(mapped) + internet_checksum(memory), int)


def look(memory: bytearray) -> None:
    whole = View(memory)
    assert_type(whole[1:3], View)
    header, payload, checksum = parse_packet_zero_copy(memory, strict=True)
    assert_type((header, payload, checksum), tuple[View, View, View])
    assert_type(len(holders(memory)), int)
    release_all(memory)
    track_sites(True)


def walk(mapped: mmap.mmap) -> None:
    with pcap(mapped, max_frame=65536) as capture:
        assert_type(capture, pcap)
        assert_type(capture.link_type, int | None)
        for frame in capture:
            assert_type(frame, Frame)
            assert_type(frame.timestamp, float)
            assert_type(frame.time_ns, int)
            assert_type(frame.data, View)
            assert_type(len(frame), int)
            ethernet = unpack(Ethernet, frame)
            if ethernet.ethertype == EtherType.IPV4:
                packet = unpack(IPv4, ethernet.payload)
                assert_type(packet.body, bytes)
                assert_type(unpack(TCP, packet.body).flags, TCPFlags)


def error() -> int:
    try:
        unpack(Point, b"")
    except WireError as found:
        return found.offset
    pcap("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Bits("3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return 0
