"""Bytes that others lay out: views of buffers, packets as records, streams as columns.

    class Packet(Record, endian="big"):
        kind: u8
        length: u16
        body: Annotated[bytes, SizedBy("length")]
        crc: Annotated[u32, Crc32()]

    packet = unpack(Packet, data)

A layout is a record class. `unpack` makes a record of bytes, `pack` bytes of a record, `view` reads
and writes fields in place, `unpack_many` a stream into columns. `View` is a memoryview that knows
who else holds the memory: `holders`. `pcap` iterates the frames of a capture, of which
`ferrule.wire.net` has the headers. docs/wire.md shows each.

Source: the article's section on memoryview and zero-copy parsing.
"""

from __future__ import annotations

from .._wire import (
    Bits,
    Count,
    Crc32,
    Crc32c,
    Frame,
    InternetChecksum,
    LayoutView,
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

__all__ = [
    "Bits",
    "Count",
    "Crc32",
    "Crc32c",
    "Frame",
    "InternetChecksum",
    "LayoutView",
    "SizedBy",
    "Tagged",
    "View",
    "WireError",
    "crc32",
    "crc32c",
    "holders",
    "index_many",
    "internet_checksum",
    "pack",
    "pack_into",
    "parse_packet_zero_copy",
    "pcap",
    "release_all",
    "track_sites",
    "unpack",
    "unpack_many",
    "view",
]
