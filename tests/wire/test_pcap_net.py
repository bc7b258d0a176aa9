"""The layouts of ferrule.wire.net: what they make of real frames, and back to the same bytes."""

from __future__ import annotations

import importlib
import socket
import struct
from ipaddress import IPv4Address, IPv6Address
from types import ModuleType
from typing import Any

import pytest

from wire.captures import RECORDED, recorded


@pytest.fixture
def net(impl: ModuleType) -> ModuleType:
    return importlib.import_module(f"{impl.__name__}.net")


def layers(impl: ModuleType, net: ModuleType, frame: bytes) -> list[Any]:
    """What a frame holds, outermost first."""
    found = [impl.unpack(net.Ethernet, frame)]
    kind, body = found[0].ethertype, found[0].payload
    if kind == net.EtherType.VLAN:
        found.append(impl.unpack(net.Vlan, body))
        kind, body = found[-1].ethertype, found[-1].payload
    if kind not in (net.EtherType.IPV4, net.EtherType.IPV6):
        return found
    found.append(impl.unpack(net.IPv4 if kind == net.EtherType.IPV4 else net.IPv6, body))
    kind = found[-1].protocol if kind == net.EtherType.IPV4 else found[-1].next_header
    cls = {net.Protocol.TCP: net.TCP, net.Protocol.UDP: net.UDP}.get(kind)
    return [*found, impl.unpack(cls, found[-1].body)] if cls else found


@pytest.mark.parametrize("name", RECORDED)
def test_there_and_back(impl: ModuleType, net: ModuleType, name: str) -> None:
    for frame in impl.pcap(recorded(name)):
        found = layers(impl, net, bytes(frame.data))
        assert len(found) == 3 + (name == "vlan")
        for outer, inner in zip(found, found[1:], strict=False):
            assert impl.pack(inner) == outer.payload
        assert impl.pack(found[0]) == bytes(frame.data)


def test_dns(impl: ModuleType, net: ModuleType) -> None:
    frames = [bytes(frame.data) for frame in impl.pcap(recorded("dns"))]
    query, answer = (layers(impl, net, frame) for frame in frames[10:12])
    assert query[1].options == b"\x07\x0b\x08\x7f\0\0\1\0\0\0\0\1" and query[1].header_words == 8
    assert query[1].source == query[1].destination == IPv4Address("127.0.0.1")
    assert (query[2].src_port, query[2].dst_port) == (40123, 5353)
    asked, told = (impl.unpack(net.DNS, found[2].payload) for found in (query, answer))
    assert (asked.id, asked.response, asked.recursion_desired, asked.questions) == (
        1005,
        *(False, True, 1),
    )
    assert (told.id, told.response, told.recursion_available, told.answers) == (
        1005,
        *(True, True, 1),
    )
    assert told.payload.startswith(b"\x05host5\x07example\x03org\0")


def test_tcp(impl: ModuleType, net: ModuleType) -> None:
    frames = [layers(impl, net, bytes(frame.data)) for frame in impl.pcap(recorded("http6"))]
    first, second = frames[0][2], frames[1][2]
    assert first.flags is net.TCPFlags.SYN
    assert second.flags == net.TCPFlags.SYN | net.TCPFlags.ACK
    assert second.acknowledgment == first.sequence + 1
    assert frames[0][1].source == IPv6Address("::1") and frames[0][1].version == 6
    text = b"".join(found[2].payload for found in frames)
    assert text.count(b"HTTP/1.1 200 OK") == 12


def test_vlan(impl: ModuleType, net: ModuleType) -> None:
    frames = [layers(impl, net, bytes(frame.data)) for frame in impl.pcap(recorded("vlan"))]
    assert [(found[1].vlan, found[1].priority) for found in frames[:3]] == [
        (100, 0), (101, 1), (102, 2),
    ]  # fmt: skip
    assert [found[2].dscp for found in frames[:5]] == [0, 1, 2, 3, 0]


def test_unknown_numbers_are_no_errors(impl: ModuleType, net: ModuleType) -> None:
    frame = bytes(12) + b"\x12\x34" + b"abc"
    (found,) = layers(impl, net, frame)
    assert (found.ethertype, found.payload) == (0x1234, b"abc")


def test_the_header_s_checksum_is_checked(impl: ModuleType, net: ModuleType) -> None:
    frame = bytearray(bytes(next(impl.pcap(recorded("http"))).data))
    frame[14 + 8] ^= 1  # the time to live
    with pytest.raises(impl.WireError, match=r"IPv4.checksum: byte 24: wanted Internet checksum"):
        impl.unpack(net.IPv4, frame, 14)


def test_short_headers(impl: ModuleType, net: ModuleType) -> None:
    packet = impl.unpack(net.Ethernet, bytes(next(impl.pcap(recorded("http"))).data)).payload
    with pytest.raises(impl.WireError, match=r"^IPv4.dst: byte 16: wanted 4 bytes, had 2$"):
        impl.unpack(net.IPv4, packet[:18])
    bad = b"\x44" + packet[1:]
    with pytest.raises(impl.WireError, match=r"^IPv4.options: byte 20"):
        impl.unpack(net.IPv4, bad)
    with pytest.raises(impl.WireError, match=r"^TCP.options: byte 20: wanted 40 bytes, had 0$"):
        impl.unpack(net.TCP, bytes(12) + b"\xf0" + bytes(7))


def test_body_ends_where_the_packet_says(impl: ModuleType, net: ModuleType) -> None:
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 22, 1, 0, 64, 99, 0, b"\1\2\3\4", b"\5\6\7\x08")
    made = impl.pack(impl.unpack(net.IPv4, impl.pack(_ipv4(net, head, b"ab" + bytes(44)))))
    packet = impl.unpack(net.IPv4, made)
    assert packet.payload == b"ab" + bytes(44) and packet.body == b"ab"
    packet.total_length = 0
    assert packet.body == packet.payload
    packet.total_length = 3
    assert packet.body == b""
    six = impl.unpack(net.IPv6, struct.pack(">IHBB", 6 << 28, 1, 59, 1) + bytes(32) + b"xy")
    assert (six.body, six.payload) == (b"x", b"xy")
    six.payload_length = 0
    assert six.body == b"xy"


def _ipv4(net: ModuleType, head: bytes, payload: bytes) -> Any:
    _, tos, total, number, flags, ttl, protocol, _, src, dst = struct.unpack(">BBHHHBBH4s4s", head)
    return net.IPv4(
        4, 5, tos >> 2, tos & 3, total, number, flags >> 13, flags & 0x1FFF, ttl, protocol, 0,
        src, dst, b"", payload,
    )  # fmt: skip


def test_packed_by_hand(impl: ModuleType, net: ModuleType) -> None:
    """Built from the inside out, and read by others' eyes: the checksum sums to 0xFFFF."""
    udp = impl.pack(net.UDP(1000, 53, 12, 0, b"quer"))
    head = struct.pack(
        ">BBHHHBBH4s4s",
        0x45,
        1,
        32,
        7,
        0x4000,
        64,
        17,
        0,
        *(socket.inet_aton(text) for text in ("192.0.2.1", "198.51.100.7")),
    )
    packet = impl.pack(_ipv4(net, head, udp))
    total = sum(struct.unpack(">10H", packet[:20]))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
    frame = impl.pack(net.Ethernet(b"\1" * 6, b"\2" * 6, net.EtherType.IPV4, packet))
    assert [type(found).__name__ for found in layers(impl, net, frame)] == [
        "Ethernet", "IPv4", "UDP",
    ]  # fmt: skip
