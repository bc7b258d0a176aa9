"""Pure-Python twin of `ferrule.wire`."""

from __future__ import annotations

from .. import records as _records  # noqa: F401  # before its containers, which need it whole
from .._wire_layout import (
    Bits,
    Count,
    Crc32,
    Crc32c,
    InternetChecksum,
    SizedBy,
    Tagged,
    WireError,
)
from ._bulk import index_many, unpack_many
from ._checksum import crc32, crc32c, internet_checksum
from ._lazy import LayoutView, view
from ._packet import pack, pack_into, unpack
from ._pcap import Frame, pcap
from ._view import View, holders, parse_packet_zero_copy, release_all, track_sites

__all__ = [
    "Bits", "Count", "Crc32", "Crc32c", "Frame", "InternetChecksum", "LayoutView", "SizedBy",
    "Tagged", "View", "WireError", "crc32", "crc32c", "holders", "index_many",
    "internet_checksum", "pack", "pack_into", "parse_packet_zero_copy", "pcap", "release_all",
    "track_sites", "unpack", "unpack_many", "view",
]  # fmt: skip
