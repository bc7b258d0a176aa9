"""Frames of a capture, and the headers in them, down to the ports.

The frames are those of the capture that was given, or of one that comes with the package: HTTP
and DNS on a loopback device. `by hand` is `struct` with the offsets written out.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from importlib import resources
from struct import pack

from ferrule.cli.load import Frames, Reading
from ferrule.cli.load import capture as read_capture
from ferrule.cli.registry import TIMED, Implementation, Namespace, Operation, Room

_OURS = "from ferrule{0}.wire import pcap, unpack, view\n" + (
    "from ferrule{0}.wire.net import TCP, UDP, Ethernet, IPv4, IPv6, Vlan\n"
)

_WALK = """
def walk(capture):
    total = 0
    for frame in pcap(capture):
        total += len(frame)
    return total

def times(capture):
    return [(frame.timestamp, bytes(frame.data)) for frame in pcap(capture)]
"""

#: `ports` reads what it needs; `fields` makes objects of all headers.
_LAYOUTS = """
def ports(frame):
    outer = view(Ethernet, frame)
    if outer.ethertype == 0x8100:
        outer = view(Vlan, outer.payload)
    if outer.ethertype == 0x0800:
        packet = view(IPv4, outer.payload)
        inside = packet.protocol
    else:
        packet = view(IPv6, outer.payload)
        inside = packet.next_header
    body = view(TCP if inside == 6 else UDP, packet.payload)
    return body.src_port, body.dst_port

def fields(frame):
    outer = unpack(Ethernet, frame)
    if outer.ethertype == 0x8100:
        outer = unpack(Vlan, outer.payload)
    if outer.ethertype == 0x0800:
        packet = unpack(IPv4, outer.payload)
        if packet.protocol == 6:
            body = unpack(TCP, packet.body)
            return packet.src, packet.ttl, body.src_port, body.sequence, body.payload
    else:
        packet = unpack(IPv6, outer.payload)
        if packet.next_header == 6:
            body = unpack(TCP, packet.body)
            return packet.src, packet.hop_limit, body.src_port, body.sequence, body.payload
    body = unpack(UDP, packet.body)
    hops = packet.ttl if packet.version == 4 else packet.hop_limit
    return packet.src, hops, body.src_port, body.length, body.payload
"""

_BY_HAND = """
from struct import Struct
_short, _ports, _record = Struct(">H"), Struct(">HH"), Struct("<IIII")
_four, _six = Struct(">BBHHHBBH4s4s"), Struct(">IHBB16s16s")
_tcp, _udp = Struct(">HHIIHHHH"), Struct(">HHHH")

def walk(capture):
    total, at, end, record = 0, 24, len(capture), _record.unpack_from
    while at < end:
        size = record(capture, at)[2]
        total += size
        at += 16 + size
    return total

def times(capture):
    found, at, end = [], 24, len(capture)
    while at < end:
        seconds, part, size, _ = _record.unpack_from(capture, at)
        found.append((seconds + part / 1e6, capture[at + 16 : at + 16 + size]))
        at += 16 + size
    return found

def ports(frame):
    at = 12
    kind, = _short.unpack_from(frame, at)
    if kind == 0x8100:
        at += 4
        kind, = _short.unpack_from(frame, at)
    return _ports.unpack_from(frame, at + 2 + (4 * (frame[at + 2] & 15) if kind == 0x0800 else 40))

def fields(frame):
    at = 12
    kind, = _short.unpack_from(frame, at)
    if kind == 0x8100:
        at += 4
        kind, = _short.unpack_from(frame, at)
    at += 2
    if kind == 0x0800:
        first, _, total, _, _, hops, inside, _, src, _ = _four.unpack_from(frame, at)
        end = at + total if total else len(frame)
        at += 4 * (first & 15)
    else:
        _, size, inside, hops, src, _ = _six.unpack_from(frame, at)
        at += 40
        end = at + size if size else len(frame)
    if inside == 6:
        source, _, sequence, _, flags, _, _, _ = _tcp.unpack_from(frame, at)
        return src, hops, source, sequence, bytes(frame[at + 4 * (flags >> 12) : end])
    source, _, length, _ = _udp.unpack_from(frame, at)
    return src, hops, source, length, bytes(frame[at + 8 : end])
"""

_NUMPY = """
import numpy
_record = numpy.dtype([("time", "<u4", 2), ("size", "<u4"), ("original", "<u4")])
_ports = numpy.dtype(">u2")

def walk(capture):
    total, at, end = 0, 24, len(capture)
    while at < end:
        size = int(numpy.frombuffer(capture, _record, 1, at)["size"][0])
        total += size
        at += 16 + size
    return total

def ports(frame):
    at = 12
    kind = frame[at] << 8 | frame[at + 1]
    if kind == 0x8100:
        at += 4
        kind = frame[at] << 8 | frame[at + 1]
    at += 2 + (4 * (frame[at + 2] & 15) if kind == 0x0800 else 40)
    return tuple(numpy.frombuffer(frame, _ports, 2, at).tolist())
"""

_DPKT = """
import io
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
import dpkt
from dpkt.ethernet import Ethernet
from dpkt.pcap import Reader

def walk(capture):
    total = 0
    for when, frame in Reader(io.BytesIO(capture)):
        total += len(frame)
    return total

def times(capture):
    return list(Reader(io.BytesIO(capture)))

def ports(frame):
    body = Ethernet(frame).data.data
    return body.sport, body.dport

def fields(frame):
    packet = Ethernet(frame).data
    body = packet.data
    hops = packet.ttl if packet.v == 4 else packet.hlim
    number = body.seq if type(body) is dpkt.tcp.TCP else body.ulen
    return packet.src, hops, body.sport, number, bytes(body.data)
"""

_CONSTRUCT = """
from construct import (
    BitsInteger, BitStruct, Bytes, GreedyBytes, GreedyRange, Int8ub, Int16ub, Int32ub, Int32ul,
    Struct, this,
)
Record = Struct("seconds" / Int32ul, "part" / Int32ul, "size" / Int32ul, "original" / Int32ul,
                "data" / Bytes(this.size))
Ethernet = Struct("dst" / Bytes(6), "src" / Bytes(6), "kind" / Int16ub, "payload" / GreedyBytes)
Vlan = Struct("tag" / Int16ub, "kind" / Int16ub, "payload" / GreedyBytes)
IPv4 = Struct(
    "head" / BitStruct("version" / BitsInteger(4), "words" / BitsInteger(4)),
    "tos" / Int8ub, "total" / Int16ub, "id" / Int16ub, "fragment" / Int16ub, "ttl" / Int8ub,
    "protocol" / Int8ub, "checksum" / Int16ub, "src" / Bytes(4), "dst" / Bytes(4),
    "options" / Bytes(this.head.words * 4 - 20), "payload" / GreedyBytes,
)
IPv6 = Struct("flow" / Int32ub, "total" / Int16ub, "protocol" / Int8ub, "ttl" / Int8ub,
              "src" / Bytes(16), "dst" / Bytes(16), "payload" / GreedyBytes)
TCP = Struct(
    "src" / Int16ub, "dst" / Int16ub, "number" / Int32ub, "ack" / Int32ub,
    "head" / BitStruct("words" / BitsInteger(4), "flags" / BitsInteger(12)), "window" / Int16ub,
    "checksum" / Int16ub, "urgent" / Int16ub, "options" / Bytes(this.head.words * 4 - 20),
    "payload" / GreedyBytes,
)
UDP = Struct("src" / Int16ub, "dst" / Int16ub, "number" / Int16ub, "checksum" / Int16ub,
             "payload" / GreedyBytes)

Capture = Struct("head" / Bytes(24), "records" / GreedyRange(Record))

def records(capture):
    return Capture.parse(capture).records

def walk(capture):
    return sum(found.size for found in records(capture))

def times(capture):
    return [(found.seconds + found.part / 1e6, found.data) for found in records(capture)]

def layers(frame):
    outer = Ethernet.parse(frame)
    if outer.kind == 0x8100:
        outer = Vlan.parse(outer.payload)
    if outer.kind == 0x0800:
        packet = IPv4.parse(outer.payload)
        size = packet.total and packet.total - 4 * packet.head.words
    else:
        packet = IPv6.parse(outer.payload)
        size = packet.total
    body = packet.payload[:size] if packet.total else packet.payload
    return packet, (TCP if packet.protocol == 6 else UDP).parse(body)

def ports(frame):
    _, body = layers(frame)
    return body.src, body.dst

def fields(frame):
    packet, body = layers(frame)
    return packet.src, packet.ttl, body.src, body.number, body.payload
"""

PURE = Implementation("pure", "pure", _OURS.format(".pure"), "", _WALK + _LAYOUTS)
BY_HAND = Implementation("by hand", "article", "", "", _BY_HAND)
NUMPY = Implementation("NumPy", "peer", "", "", _NUMPY, needs="numpy")
CONSTRUCT = Implementation("construct", "peer", "", "", _CONSTRUCT, needs="construct")
DPKT = Implementation("dpkt", "peer", "", "", _DPKT, needs="dpkt")
NATIVE = Implementation("ferrule", "native", _OURS.format(""), "", _WALK + _LAYOUTS)


def sample() -> Frames:
    """The capture that comes with the package."""
    data = (resources.files("ferrule.cli") / "data" / "loopback.pcap").read_bytes()
    rows = read_capture(data, "loopback.pcap").rows
    assert isinstance(rows, Frames)
    return rows


def _packed(frames: Sequence[tuple[int, bytes]]) -> bytes:
    """A classic capture in microseconds."""
    out = [pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)]
    for time_ns, data in frames:
        seconds, part = divmod(time_ns, 1_000_000_000)
        out += [pack("<IIII", seconds, part // 1000, len(data), len(data)), data]
    return b"".join(out)


def room(rows: Sequence[Reading]) -> Room:
    """The table for the frames of these readings, if they are a capture's."""
    frames = rows.frames if isinstance(rows, Frames) and rows.frames else sample().frames
    walked = _packed(list(itertools.islice(itertools.cycle(frames), TIMED)))

    def setup(namespace: Namespace, rows: Sequence[Reading]) -> None:
        """As many frames as readings, and a capture of so many as are timed."""
        several = itertools.islice(itertools.cycle(frames), len(rows))
        namespace["frames"] = [data for _, data in several]
        namespace["capture"] = walked

    whole = partial(
        Operation, area="wire", setup=setup, loop="", outcome="result", repeat=1, batch=TIMED
    )
    each = partial(
        Operation, area="wire", setup=setup, loop="for frame in frames", outcome="result"
    )
    return Room(
        "pcap",
        "Captures",
        (PURE, BY_HAND, NUMPY, CONSTRUCT, DPKT, NATIVE),
        (
            whole("walk", title="next frame", statement="walk(capture)"),
            whole(
                "times",
                title="its time and bytes",
                statement="times(capture)",
                instead={"NumPy": None},
            ),
            each("ports", title="its ports", statement="ports(frame)"),
            each(
                "fields",
                title="its headers as objects",
                statement="fields(frame)",
                instead={"NumPy": None},
            ),
        ),
        {},
        baseline="by hand",
        headline=("ports", "ports of a frame"),
    )


ROOM = room(())
