"""Packets one by one: a record of four numbers, and a header of bits, Enum and sized text.

`struct` is what is written by hand: a format string, and a named tuple for the names.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Footprint, Implementation, Namespace, Operation, Room

_IMPORTS = """
import enum
from typing import Annotated
from ferrule{0}.records import Record, f64, u8, u16, u32
from ferrule{0}.wire import Bits, SizedBy, pack, pack_into, unpack
"""

_LAYOUTS = """
class Kind(enum.IntEnum):
    REQUEST = 1
    REPLY = 2

class Sample(Record, endian="big"):
    time: u32
    sensor: u16
    value: f64
    check: u32

class Header(Record, endian="big"):
    version: Annotated[int, Bits(4)]
    kind: Annotated[Kind, Bits(4)]
    size: u8
    name: Annotated[str, SizedBy("size")]

def made(rows):
    return [unpack(Sample, data) for data in [bytes(18)] * len(rows)]
"""

_STRUCT = """
import enum
from collections import namedtuple
from struct import Struct

class Kind(enum.IntEnum):
    REQUEST = 1
    REPLY = 2

Sample = namedtuple("Sample", "time sensor value check")
Header = namedtuple("Header", "version kind size name")
_sample, _header = Struct(">IHdI"), Struct(">BB")
sample, into = _sample.unpack_from, _sample.pack_into

def pack(record):
    return _sample.pack(*record)

def header(data):
    first, size = _header.unpack_from(data)
    if len(data) < 2 + size:
        raise ValueError("short")
    return Header(first >> 4, Kind(first & 15), size, data[2 : 2 + size].decode())

def made(rows):
    return [Sample._make(sample(data)) for data in [bytes(18)] * len(rows)]
"""

_CTYPES = """
import ctypes

class Sample(ctypes.BigEndianStructure):
    _pack_ = 1
    _fields_ = [("time", ctypes.c_uint32), ("sensor", ctypes.c_uint16),
                ("value", ctypes.c_double), ("check", ctypes.c_uint32)]

def made(rows):
    return [Sample.from_buffer_copy(data) for data in [bytes(18)] * len(rows)]
"""

_BITSTRUCT = """
import bitstruct.c as bitstruct
from collections import namedtuple
Sample = namedtuple("Sample", "time sensor value check")
_sample = bitstruct.compile("u32u16f64u32")
sample, _pack = _sample.unpack, _sample.pack

def pack(record):
    return _pack(*record)
"""

_CONSTRUCT = """
from construct import (
    BitsInteger, BitStruct, Bytes, Enum, Float64b, Int8ub, Int16ub, Int32ub, PaddedString, Struct,
    this,
)
Sample = Struct("time" / Int32ub, "sensor" / Int16ub, "value" / Float64b, "check" / Int32ub)
Sample = Sample.compile()
Header = Struct("first" / BitStruct("version" / BitsInteger(4), "kind" / BitsInteger(4)),
                "size" / Int8ub, "name" / PaddedString(this.size, "utf8"))
sample, header = Sample.parse, Header.parse

def made(rows):
    return [sample(data) for data in [bytes(18)] * len(rows)]
"""

#: As its compiler generates it.
_KAITAI = """
import enum
from io import BytesIO
from kaitaistruct import KaitaiStream, KaitaiStruct

class Kind(enum.IntEnum):
    REQUEST = 1
    REPLY = 2

class Sample(KaitaiStruct):
    def __init__(self, _io, _parent=None, _root=None):
        super().__init__(_io)
        self._parent = _parent
        self._root = _root or self
        self._read()

    def _read(self):
        self.time = self._io.read_u4be()
        self.sensor = self._io.read_u2be()
        self.value = self._io.read_f8be()
        self.check = self._io.read_u4be()

class Header(KaitaiStruct):
    def __init__(self, _io, _parent=None, _root=None):
        super().__init__(_io)
        self._parent = _parent
        self._root = _root or self
        self._read()

    def _read(self):
        self.version = self._io.read_bits_int_be(4)
        self.kind = Kind(self._io.read_bits_int_be(4))
        self.size = self._io.read_u1()
        self.name = (self._io.read_bytes(self.size)).decode("UTF-8")

def made(rows):
    return [Sample(KaitaiStream(BytesIO(data))) for data in [bytes(18)] * len(rows)]
"""

PURE = Implementation("pure", "pure", _IMPORTS.format(".pure"), "", _LAYOUTS)
STRUCT = Implementation("struct", "article", "", "", _STRUCT)
CTYPES = Implementation("ctypes", "peer", "", "", _CTYPES)
BITSTRUCT = Implementation("bitstruct", "peer", "", "", _BITSTRUCT, needs="bitstruct")
CONSTRUCT = Implementation("construct", "peer", "", "", _CONSTRUCT, needs="construct")
KAITAI = Implementation("kaitaistruct", "peer", "", "", _KAITAI, needs="kaitaistruct")
NATIVE = Implementation("ferrule", "native", _IMPORTS.format(""), "", _LAYOUTS)


def _packets(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """As many samples and headers as readings, and room to write one."""
    sample = struct.Struct(">IHdI").pack
    namespace["samples"] = samples = [
        sample(when & 0xFFFFFFFF, i & 0xFFFF, value, i) for i, (when, value, _) in enumerate(rows)
    ]
    names = [unit.encode()[:255] for _, _, unit in rows]
    namespace["headers"] = [
        bytes((0x41 + (i & 1), len(name))) + name for i, name in enumerate(names)
    ]
    namespace["room"] = bytearray(18)
    make = {
        "unpack": lambda data: namespace["unpack"](namespace["Sample"], data),
        "from_buffer_copy": lambda data: namespace["Sample"].from_buffer_copy(data),
        "sample": lambda data: namespace["Sample"]._make(namespace["sample"](data)),
    }
    if "unpack" in namespace:
        namespace["records"] = [make["unpack"](data) for data in samples]
    elif "pack" in namespace:
        namespace["records"] = [make["sample"](data) for data in samples]
    elif "ctypes" in namespace:
        namespace["records"] = [make["from_buffer_copy"](data) for data in samples]
    else:
        namespace["records"] = [None] * len(samples)


_do = partial(Operation, area="wire", setup=_packets)

ROOM = Room(
    "packet",
    "Packets",
    (PURE, STRUCT, CTYPES, BITSTRUCT, CONSTRUCT, KAITAI, NATIVE),
    (
        _do(
            "unpack",
            title="record of four numbers",
            statement="unpack(Sample, data)",
            loop="for data in samples",
            outcome="(result.time, result.sensor, result.value, result.check)",
            instead={
                "struct": "Sample._make(sample(data))",
                "ctypes": "Sample.from_buffer_copy(data)",
                "bitstruct": "Sample._make(sample(data))",
                "construct": "sample(data)",
                "kaitaistruct": "Sample(KaitaiStream(BytesIO(data)))",
            },
        ),
        _do(
            "fields",
            title="and its fields read",
            statement="record = unpack(Sample, data); "
            "record.time, record.sensor, record.value, record.check",
            loop="for data in samples",
            outcome="(record.time, record.sensor, record.value, record.check)",
            instead={
                "struct": "record = Sample._make(sample(data)); "
                "record.time, record.sensor, record.value, record.check",
                "ctypes": "record = Sample.from_buffer_copy(data); "
                "record.time, record.sensor, record.value, record.check",
                "bitstruct": "record = Sample._make(sample(data)); "
                "record.time, record.sensor, record.value, record.check",
                "construct": "record = sample(data); "
                "record.time, record.sensor, record.value, record.check",
                "kaitaistruct": "record = Sample(KaitaiStream(BytesIO(data))); "
                "record.time, record.sensor, record.value, record.check",
            },
        ),
        _do(
            "header",
            title="bits, Enum, sized text",
            statement="unpack(Header, data)",
            loop="for data in headers",
            outcome="(result.version, int(result.kind), result.size, result.name)",
            instead={
                "struct": "header(data)",
                "ctypes": None,
                "bitstruct": None,
                "construct": "header(data)",
                "kaitaistruct": "Header(KaitaiStream(BytesIO(data)))",
            },
            outcome_instead={
                "construct": "(result.first.version, result.first.kind, result.size, result.name)"
            },
        ),
        _do(
            "pack",
            title="record of four numbers to bytes",
            statement="pack(record)",
            loop="for record in records",
            outcome="result",
            instead={
                "ctypes": "bytes(record)",
                "construct": None,
                "kaitaistruct": None,
            },
        ),
        _do(
            "pack_into",
            title="the same into a buffer",
            statement="pack_into(record, room)",
            loop="for record in records",
            outcome="bytes(room)",
            instead={
                "struct": "into(room, 0, *record)",
                "ctypes": "room[:] = record",
                "bitstruct": None,
                "construct": None,
                "kaitaistruct": None,
            },
        ),
    ),
    {},
    baseline="struct",
    footprints=(
        Footprint("ferrule", "ferrule", "made(times)", most=100_000, traced=True),
        Footprint("pure", "pure", "made(times)", most=20_000, traced=True),
        Footprint("named tuple", "struct", "made(times)", most=100_000, traced=True),
        Footprint("ctypes", "ctypes", "made(times)", most=100_000, traced=True),
        Footprint("construct", "construct", "made(times)", most=20_000, traced=True),
        Footprint("kaitaistruct", "kaitaistruct", "made(times)", most=20_000, traced=True),
    ),
    counted=("record", "records"),
    held="Bytes of an unpacked record of four numbers.",
    headline=("unpack", "unpack(cls, data)"),
)
