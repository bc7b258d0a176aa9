"""Checksums of bytes: of packets, and of what a cache near the core holds and does not hold."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Implementation, Namespace, Operation, Room

#: Bytes of a header, of a packet, and of two buffers.
HEADER, PACKET, MANY, LARGE = 20, 1_500, 65_536, 4_000_000

_NAMES = "from ferrule{}.wire import crc32, crc32c, internet_checksum\n"

PURE = Implementation("pure", "pure", _NAMES.format(".pure"), "")
NATIVE = Implementation("ferrule", "native", _NAMES.format(""), "")
ZLIB = Implementation("zlib", "peer", "from zlib import crc32\n", "")
GOOGLE = Implementation(
    "google-crc32c",
    "peer",
    "from google_crc32c import value as crc32c\n",
    "",
    needs="google_crc32c",
)
DPKT = Implementation(
    "dpkt", "peer", "from dpkt.dpkt import in_cksum as internet_checksum\n", "", needs="dpkt"
)


def _given(namespace: Namespace, rows: Sequence[Reading]) -> None:
    chance = random.Random(7)
    namespace["headers"] = [chance.randbytes(HEADER) for _ in rows]
    namespace["packets"] = [chance.randbytes(PACKET) for _ in rows[:64]]
    namespace["many"], namespace["large"] = chance.randbytes(MANY), chance.randbytes(LARGE)


_ONLY: dict[str, dict[str, str | None]] = {
    "crc32": {"google-crc32c": None, "dpkt": None},
    "crc32c": {"zlib": None, "dpkt": None},
    "internet_checksum": {"zlib": None, "google-crc32c": None},
}
#: Byte by byte this takes a quarter of a second.
_SLOW: dict[str, str | None] = {"pure": None}


def _operations(function: str, title: str) -> tuple[Operation, ...]:
    of = partial(
        Operation, area="wire", setup=_given, outcome="result", repeat=1, instead=_ONLY[function]
    )
    return (
        of(f"{function}_header", title=f"{title}, {HEADER} bytes", loop="for d in headers",
           statement=f"{function}(d)"),
        of(f"{function}_packet", title=f"{title}, {PACKET:,} bytes", loop="for d in packets",
           statement=f"{function}(d)"),
        of(f"{function}_many", title=f"{title}, {MANY:,} bytes", loop="",
           statement=f"{function}(many)"),
        of(f"{function}_large", title=f"{title}, {LARGE:,} bytes", loop="",
           statement=f"{function}(large)", instead={**_ONLY[function], **_SLOW}),
    )  # fmt: skip


ROOM = Room(
    "checksum",
    "Checksums",
    (PURE, NATIVE, ZLIB, GOOGLE, DPKT),
    (
        *_operations("crc32", "CRC-32"),
        *_operations("crc32c", "CRC-32C"),
        *_operations("internet_checksum", "Internet checksum"),
    ),
    {},
    headline=("crc32_packet", f"CRC-32 of {PACKET:,} bytes"),
)
