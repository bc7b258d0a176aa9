"""Streams of records to columns: fixed rows, checksums verified, and where records begin."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from functools import cache, partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Implementation, Namespace, Operation, Room

#: Rows of the streams, and those that the twin is given.
MANY, FEW = 1_000_000, 2_000

_NAMES = """
from typing import Annotated
from array import array
from ferrule{0}.records import Record, f64, u16, u32
from ferrule{0}.wire import index_many, unpack_many
from ferrule.pure._wire_layout import Crc32, SizedBy
"""

_OURS = """
class Row(Record, endian="big"):
    ts: u32
    id: u16
    value: f64
    crc: u32

class Summed(Record, endian="big"):
    ts: u32
    id: u16
    value: f64
    crc: Annotated[u32, Crc32()]

class Sized(Record, endian="big"):
    n: u16
    body: Annotated[bytes, SizedBy("n")]

def cells(rows):
    return dict(ts=array("I", bytes(4 * rows)), id=array("H", bytes(2 * rows)),
                value=array("d", bytes(8 * rows)))

def given(data, columns):
    unpack_many(Row, data, out=columns)
    return columns

def fresh(data):
    return unpack_many(Row, data)

def summed(data, columns):
    unpack_many(Summed, data, out=columns)
    return columns

def index(data):
    return index_many(Sized, data)
"""

_STRUCT = """
import struct
iter_unpack = struct.Struct(">IHdI").iter_unpack
length_at = struct.Struct(">H").unpack_from

def cells(rows):
    return None

def given(data, columns):
    return list(iter_unpack(data))

def index(data):
    at, end, offsets = 0, len(data), [0]
    while at < end:
        at += 2 + length_at(data, at)[0]
        offsets.append(at)
    return offsets
"""

_NUMPY = """
import numpy

row = numpy.dtype([("ts", ">u4"), ("id", ">u2"), ("value", ">f8"), ("crc", ">u4")])
table = numpy.arange(256, dtype="u4")
for _ in range(8):
    table = (table >> 1) ^ (0xEDB88320 * (table & 1)).astype("u4")

def cells(rows):
    return dict(ts=numpy.zeros(rows, "u4"), id=numpy.zeros(rows, "u2"), value=numpy.zeros(rows))

def given(data, columns):
    rows = numpy.frombuffer(data, row)
    for name, column in columns.items():
        column[:] = rows[name]
    return columns

def fresh(data):
    rows = numpy.frombuffer(data, row)
    return {name: rows[name].astype(row[name].newbyteorder("=")) for name in row.names}

def summed(data, columns):
    rows = numpy.frombuffer(data, row)
    raw = numpy.frombuffer(data, "u1").reshape(-1, 18)
    crc = numpy.full(len(rows), 0xFFFFFFFF, "u4")
    for k in range(14):
        crc = table[(crc ^ raw[:, k]) & 0xFF] ^ (crc >> numpy.uint32(8))
    if not ((crc ^ numpy.uint32(0xFFFFFFFF)) == rows["crc"]).all():
        raise ValueError
    return given(data, columns)
"""

PURE = Implementation("pure", "pure", _NAMES.format(".pure"), _OURS)
NATIVE = Implementation("ferrule", "native", _NAMES.format(""), _OURS)
STRUCT = Implementation("struct", "bare", "", _STRUCT)
NUMPY = Implementation("numpy", "peer", "", _NUMPY, needs="numpy")


@cache
def _rows(count: int) -> bytes:
    made = []
    for i in range(count):
        body = struct.pack(">IHd", i, i & 0xFFFF, i * 0.5)
        made.append(body + struct.pack(">I", zlib.crc32(body)))
    return b"".join(made)


@cache
def _sized(count: int) -> bytes:
    return b"".join(struct.pack(">H", i % 97) + bytes(i % 97) for i in range(count))


def _given(namespace: Namespace, rows: Sequence[Reading], *, count: int = MANY) -> None:
    count = min(count, 50 * max(len(rows), 1))
    namespace["data"], namespace["sized"] = _rows(count), _sized(count)
    namespace["columns"] = namespace["cells"](count)


_few = partial(_given, count=FEW)
_of = partial(Operation, area="wire", loop="", repeat=1)
_of_many = partial(_of, bulk=True, setup=_given)
_EDGES = "[(len(c), list(map(float, c[:9])), list(map(float, c[-9:]))) for c in {}]"
_CELLS = _EDGES.format("result.values()")
_SLOW: dict[str, str | None] = {"pure": None}
#: The outcome of rows as tuples.
_TUPLES = {"struct": _EDGES.format("list(zip(*result))[:3]")}

ROOM = Room(
    "bulk",
    "Streams of records",
    (PURE, STRUCT, NATIVE, NUMPY),
    (
        _of_many(
            "bulk_given",
            title=f"{MANY:,} big-endian rows into given columns",
            statement="given(data, columns)",
            outcome=_CELLS,
            outcome_instead=_TUPLES,
            instead=_SLOW,
        ),
        _of_many(
            "bulk_fresh",
            title="the same as a fresh table",
            statement="fresh(data)",
            outcome="list(map(int, result['ts'][:9]))",
            outcome_instead={"ferrule": "list(result.column('ts'))[:9]"},
            instead={**_SLOW, "struct": None},
        ),
        _of_many(
            "bulk_crc",
            title="the same with the CRC-32 of every row verified",
            statement="summed(data, columns)",
            outcome=_CELLS,
            instead={**_SLOW, "struct": None},
        ),
        _of_many(
            "bulk_index",
            title=f"{MANY:,} length-prefixed records found",
            statement="index(sized)",
            outcome="list(result)",
            instead={**_SLOW, "numpy": None},
        ),
        _of(
            "bulk_few",
            title=f"{FEW:,} rows into given columns",
            statement="given(data, columns)",
            outcome=_CELLS,
            outcome_instead=_TUPLES,
            setup=_few,
        ),
        _of(
            "bulk_few_index",
            title=f"{FEW:,} length-prefixed records found",
            statement="index(sized)",
            outcome="list(result)",
            setup=_few,
            instead={"numpy": None},
        ),
    ),
    {},
    headline=("bulk_given", f"{MANY:,} rows to columns"),
)
