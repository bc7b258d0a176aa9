"""What dpkt makes of the recorded captures is what pcap and the layouts make of them."""

from __future__ import annotations

import importlib
import io
from types import ModuleType
from typing import Any

import pytest

from wire.captures import RECORDED, Section, classic, recorded

dpkt: Any = pytest.importorskip("dpkt")
pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture
def net(impl: ModuleType) -> ModuleType:
    return importlib.import_module(f"{impl.__name__}.net")


def test_frames(impl: ModuleType) -> None:
    made = [(5, 250_000, b"abc"), (6, 1, b"")]
    captures = [*map(recorded, RECORDED), classic(made), classic(made, order=">")]
    for data in captures:
        reader = dpkt.pcap.Reader(io.BytesIO(data))
        wanted = [(float(when), frame) for when, frame in reader]
        assert [(f.timestamp, bytes(f.data)) for f in impl.pcap(data)] == wanted
        assert reader.datalink() == impl.pcap(data).link_type
        assert reader.snaplen == impl.pcap(data).snaplen


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng(impl: ModuleType, order: str) -> None:
    made = Section(order).interface(1, 65535).packet(b"abc", 1_234_567).packet(b"defg", 1 << 33)
    wanted = [(float(when), frame) for when, frame in dpkt.pcapng.Reader(io.BytesIO(made.data))]
    assert [(f.timestamp, bytes(f.data)) for f in impl.pcap(made.data)] == wanted


def check_transport(impl: ModuleType, net: ModuleType, ours: Any, theirs: Any) -> str:
    if isinstance(theirs, dpkt.tcp.TCP):
        tcp = impl.unpack(net.TCP, ours)
        assert (tcp.src_port, tcp.dst_port) == (theirs.sport, theirs.dport)
        assert (tcp.sequence, tcp.acknowledgment) == (theirs.seq, theirs.ack)
        assert (tcp.header_words, int(tcp.flags) & 0xFF) == (theirs.off, theirs.flags)
        assert (tcp.window, tcp.checksum, tcp.urgent) == (theirs.win, theirs.sum, theirs.urp)
        assert (tcp.options, tcp.payload) == (theirs.opts, bytes(theirs.data))
        return "tcp"
    udp = impl.unpack(net.UDP, ours)
    assert (udp.src_port, udp.dst_port) == (theirs.sport, theirs.dport)
    assert (udp.length, udp.checksum) == (theirs.ulen, theirs.sum)
    dns, other = impl.unpack(net.DNS, udp.payload), dpkt.dns.DNS(bytes(theirs.data))
    assert (dns.id, dns.response, dns.opcode, dns.rcode) == (
        other.id, bool(other.qr), other.opcode, other.rcode,
    )  # fmt: skip
    flags = (dns.authoritative, dns.truncated, dns.recursion_desired, dns.recursion_available)
    assert flags == tuple(map(bool, (other.aa, other.tc, other.rd, other.ra)))
    counts = (dns.questions, dns.answers, dns.authorities, dns.additionals)
    assert counts == tuple(map(len, (other.qd, other.an, other.ns, other.ar)))
    return "dns"


def check_packet(impl: ModuleType, net: ModuleType, ours: Any, theirs: Any) -> str:
    if isinstance(theirs, dpkt.ip.IP):
        ip = impl.unpack(net.IPv4, ours)
        assert (ip.version, ip.header_words) == (theirs.v, theirs.hl)
        assert ip.dscp << 2 | ip.ecn == theirs.tos
        assert (ip.total_length, ip.id, ip.ttl) == (theirs.len, theirs.id, theirs.ttl)
        assert ip.flags == theirs.rf << 2 | theirs.df << 1 | theirs.mf
        assert (ip.fragment_offset, ip.protocol) == (theirs.offset, theirs.p)
        assert (ip.checksum, ip.src, ip.dst) == (theirs.sum, theirs.src, theirs.dst)
        assert ip.options == theirs.opts
    else:
        ip = impl.unpack(net.IPv6, ours)
        assert (ip.version, ip.traffic_class) == (theirs.v, theirs.fc)
        assert (ip.flow_label, ip.payload_length) == (theirs.flow, theirs.plen)
        assert (ip.next_header, ip.hop_limit) == (theirs.nxt, theirs.hlim)
        assert (ip.src, ip.dst) == (theirs.src, theirs.dst)
    return check_transport(impl, net, ip.body, theirs.data)


@pytest.mark.parametrize("name", RECORDED)
def test_headers(impl: ModuleType, net: ModuleType, name: str) -> None:
    kinds = set()
    for frame in impl.pcap(recorded(name)):
        data = bytes(frame.data)
        ours, theirs = impl.unpack(net.Ethernet, data), dpkt.ethernet.Ethernet(data)
        assert (ours.dst, ours.src) == (theirs.dst, theirs.src)
        payload = ours.payload
        if name == "vlan":
            (tag,) = theirs.vlan_tags
            vlan = impl.unpack(net.Vlan, payload)
            assert (vlan.priority, vlan.drop_eligible, vlan.vlan) == (tag.pri, tag.cfi, tag.id)
            assert vlan.ethertype == tag.type
            payload = vlan.payload
        else:
            assert ours.ethertype == theirs.type
        kinds.add(check_packet(impl, net, payload, theirs.data))
    assert kinds == {"tcp" if name.startswith("http") else "dns"}
