"""Checksums: the bars they have to reach, over zlib, google-crc32c and dpkt."""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Fixed, Ratio
from ferrule.cli.rooms.wire_checksum import LARGE, PACKET, ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("CRC-32, 4 MB / zlib", Ratio("crc32_large", "ferrule", "zlib"), 1),
    Bar("CRC-32, packet / zlib", Ratio("crc32_packet", "ferrule", "zlib"), 1),
    Bar("CRC-32, header / zlib", Ratio("crc32_header", "ferrule", "zlib")),
    Bar("CRC-32C, 4 MB / google-crc32c", Ratio("crc32c_large", "ferrule", "google-crc32c")),
    Bar("CRC-32C, packet / google-crc32c", Ratio("crc32c_packet", "ferrule", "google-crc32c")),
    Bar("Internet checksum, packet / dpkt", Ratio("internet_checksum_packet", "ferrule", "dpkt")),
    Bar("Internet checksum, packet / twin", Ratio("internet_checksum_packet", "ferrule", "pure")),
    Bar("CRC-32 of 4 MB, ns a byte", Fixed("crc32_large", "ferrule", 1 / LARGE)),
    Bar("CRC-32 of a packet, ns a byte", Fixed("crc32_packet", "ferrule", 1 / PACKET)),
)

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = (
    "the levels of vector instructions: FERRULE_CPU=avx2 python -m benchmarks run wire",
    "short messages by the million: unpack_many in bench_bulk",
)
