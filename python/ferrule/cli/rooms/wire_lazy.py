"""Packets read in place, against what reads bytes without a layout.

`slot` is an object that holds the values already. The article's packet is a header of 12 bytes, a
payload of 1012 and a checksum.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from timeit import Timer

from ferrule.cli.load import Reading
from ferrule.cli.registry import Footprint, Implementation, Namespace, Operation, Room

_LAYOUTS = """
class Segment(Record, endian="big"):
    source: u16
    port: u16
    sequence: u32
    window: u16

class Packet(Record, endian="big"):
    version: u8
    kind: u8
    length: u16
    sequence: u32
    stamp: u32
    payload: Annotated[bytes, SizedBy("length")]
    checksum: Annotated[u32, Crc32(over="payload")]
"""
_VIEWS = """
def segment_of(data):
    return view(Segment, data)

def many(rows):
    data = bytes(10)
    return [view(Segment, data) for _ in rows]
"""
_IMPORTS = """
from typing import Annotated
from ferrule{0}.records import Record, u8, u16, u32
from ferrule{0}.wire import Crc32, SizedBy, view
"""
_SLOTS = """
from struct import unpack_from

class Segment:
    __slots__ = ("source", "port", "sequence", "window")

    def __init__(self, data):
        self.source, self.port, self.sequence, self.window = unpack_from(">HHIH", data)

segment_of = Segment

def many(rows):
    data = bytes(10)
    return [Segment(data) for _ in rows]
"""
_STRUCT = """
from struct import Struct

port_at = Struct(">H").unpack_from
set_port_at = Struct(">H").pack_into
sequence_at = Struct(">4xI").unpack_from

def segment_of(data):
    return data
"""
_CTYPES = """
from ctypes import BigEndianStructure, c_uint8, c_uint16, c_uint32

class Segment(BigEndianStructure):
    _pack_ = 1
    _fields_ = [
        ("source", c_uint16), ("port", c_uint16), ("sequence", c_uint32), ("window", c_uint16),
    ]

class Header(BigEndianStructure):
    _pack_ = 1
    _fields_ = [
        ("version", c_uint8), ("kind", c_uint8), ("length", c_uint16), ("sequence", c_uint32),
        ("stamp", c_uint32),
    ]

segment_of = Segment.from_buffer

def many(rows):
    data = bytearray(10)
    return [Segment.from_buffer(data) for _ in rows]
"""
_ARTICLE = """
def parse_packet_zero_copy(data):
    view = memoryview(data)
    header = view[0:12]
    payload = view[12:1024]
    checksum = view[1024:1028]
    return header, payload, checksum

def segment_of(data):
    return data
"""
PURE = Implementation("pure", "pure", _IMPORTS.format(".pure"), _LAYOUTS, _VIEWS)
ARTICLE = Implementation("memoryview", "article", "", _ARTICLE)
NATIVE = Implementation("ferrule", "native", _IMPORTS.format(""), _LAYOUTS, _VIEWS)
SLOT = Implementation("slot", "bare", "", _SLOTS)
STRUCT = Implementation("struct", "peer", "", _STRUCT)
CTYPES = Implementation("ctypes", "peer", "", _CTYPES)


def packets(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """A segment and the article's packet in memory, and as many segments as there are readings."""
    segment_of = namespace["segment_of"]
    namespace["data"] = b"\1\2\3\xf4" + bytes(range(3, 251, 31)) + bytes(1016)
    namespace["memory"] = bytearray(b"\x04\x00\x1f\x90\0\0\1\0\x10\0")
    namespace["segment"] = segment_of(namespace["memory"])
    read = "port_at(segment, 2)[0]" if "port_at" in namespace else "segment.port"
    namespace["timed"] = Timer(read, globals=namespace).timeit
    namespace["ports"] = [1024 + i * 137 % 60000 for i in range(len(rows))]
    namespace["segments"] = [
        segment_of(bytearray(b"\4\0" + port.to_bytes(2, "big") + bytes(6)))
        for port in namespace["ports"]
    ]


_do = partial(Operation, area="wire", setup=packets)
_EACH = "for v in ports"
ROOM = Room(
    "lazy",
    "Packets read in place",
    (PURE, ARTICLE, NATIVE, SLOT, STRUCT, CTYPES),
    (
        _do(
            "field",
            title="a u16 of a packet",
            statement="segment.port",
            loop=_EACH,
            repeat=10,
            outcome="result",
            instead={"memoryview": None, "struct": "port_at(segment, 2)[0]"},
        ),
        _do(
            "field, by timeit",
            title="the same as `timeit` sees it, with its loop",
            statement="timed(1000)",
            loop="for _ in (0,)",
            repeat=1,
            batch=1000,
            outcome="segment.port",
            instead={"memoryview": None},
            outcome_instead={"struct": "port_at(segment, 2)[0]"},
        ),
        _do(
            "field of each",
            title="a u16 of packet after packet",
            statement="p.port",
            loop="for p in segments",
            repeat=1,
            outcome="result",
            instead={"memoryview": None, "struct": "port_at(p, 2)[0]"},
        ),
        _do(
            "write",
            title="a u16 written in place",
            statement="segment.port = v",
            loop=_EACH,
            repeat=10,
            outcome="bytes(memory)",
            instead={"memoryview": None, "slot": None, "struct": "set_port_at(memory, 2, v)"},
        ),
        _do(
            "packet",
            title="a field of 1 KB: header, payload, checksum",
            statement="view(Packet, data).sequence",
            loop=_EACH,
            outcome="result",
            instead={
                "memoryview": "parse_packet_zero_copy(data)",
                "slot": None,
                "struct": "sequence_at(data)[0]",
                "ctypes": "Header.from_buffer_copy(data).sequence",
            },
            outcome_instead={"memoryview": 'int.from_bytes(result[0][4:8], "big")'},
        ),
    ),
    {},
    baseline="memoryview",
    footprints=tuple(
        Footprint(name, name, "many(times)", traced=True) for name in ("ferrule", "slot", "ctypes")
    ),
    counted=("view", "views"),
    held="Bytes of a view of a packet of four numbers; the packet is not counted.",
    headline=("packet", "view(P, data).field"),
)
