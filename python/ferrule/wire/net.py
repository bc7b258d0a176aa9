"""Headers of the Internet's protocols, as layouts: `unpack(Ethernet, frame)`.

Every layout ends in `payload`, all bytes that are left, which the next one reads::

    ethernet = unpack(Ethernet, frame)
    if ethernet.ethertype == EtherType.IPV4:
        ip = unpack(IPv4, ethernet.payload)

Numbers that name a protocol stay plain ints, so that an unknown one is no error; `EtherType` and
`Protocol` name the ones that have a layout here. Lengths are not compared with the payload, since
a capture may have cut it; the checksum of an IPv4 header is checked, those of UDP and TCP are not:
they cover a pseudo-header that is not in their bytes, and a capture made where a packet is sent
often has them unfilled.

Sources: IEEE 802.3 and 802.1Q, RFC 791 (IPv4), RFC 8200 (IPv6), RFC 768 (UDP), RFC 9293 (TCP),
RFC 1035 (DNS).
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

from ..records import Record, Size, u8, u16, u32
from . import Bits, InternetChecksum, SizedBy

__all__ = [
    "DNS",
    "TCP",
    "UDP",
    "EtherType",
    "Ethernet",
    "IPv4",
    "IPv6",
    "Protocol",
    "TCPFlags",
    "Vlan",
]


class EtherType(IntEnum):
    """What an Ethernet frame carries."""

    IPV4 = 0x0800
    VLAN = 0x8100
    IPV6 = 0x86DD


class Protocol(IntEnum):
    """What an IP packet carries."""

    ICMP = 1
    TCP = 6
    UDP = 17
    ICMPV6 = 58


class TCPFlags(IntFlag):
    """Flags of a TCP segment."""

    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16
    URG = 32
    ECE = 64
    CWR = 128
    NS = 256


class Ethernet(Record, endian="big"):
    """An Ethernet II frame, without preamble and checksum."""

    dst: Annotated[bytes, Size(6)]
    src: Annotated[bytes, Size(6)]
    ethertype: u16
    payload: bytes


class Vlan(Record, endian="big"):
    """The payload of an Ethernet frame with a tag of 802.1Q."""

    priority: Annotated[int, Bits(3)]
    drop_eligible: Annotated[bool, Bits(1)]
    vlan: Annotated[int, Bits(12)]
    ethertype: u16
    payload: bytes


class IPv4(Record, endian="big"):
    """A packet of the Internet Protocol, version 4; `src` and `dst` are four bytes."""

    version: Annotated[int, Bits(4)]
    header_words: Annotated[int, Bits(4)]
    dscp: Annotated[int, Bits(6)]
    ecn: Annotated[int, Bits(2)]
    total_length: u16
    id: u16
    flags: Annotated[int, Bits(3)]
    fragment_offset: Annotated[int, Bits(13)]
    ttl: u8
    protocol: u8
    checksum: Annotated[
        u16,
        InternetChecksum(
            over=(
                *("version", "header_words", "dscp", "ecn", "total_length", "id", "flags"),
                *("fragment_offset", "ttl", "protocol", "src", "dst", "options"),
            )
        ),
    ]
    src: Annotated[bytes, Size(4)]
    dst: Annotated[bytes, Size(4)]
    options: Annotated[bytes, SizedBy("header_words", 4, 20)]
    payload: bytes

    @property
    def source(self) -> IPv4Address:
        """`src` as an address."""
        return IPv4Address(self.src)

    @property
    def destination(self) -> IPv4Address:
        """`dst` as an address."""
        return IPv4Address(self.dst)

    @property
    def body(self) -> bytes:
        """The payload without what fills a short Ethernet frame up.

        A length of 0 is that of a packet which the network card was to cut: all of it.
        """
        length = max(self.total_length - 4 * self.header_words, 0)
        return self.payload[:length] if self.total_length else self.payload


class IPv6(Record, endian="big"):
    """A packet of the Internet Protocol, version 6; `src` and `dst` are sixteen bytes."""

    version: Annotated[int, Bits(4)]
    traffic_class: Annotated[int, Bits(8)]
    flow_label: Annotated[int, Bits(20)]
    payload_length: u16
    next_header: u8
    hop_limit: u8
    src: Annotated[bytes, Size(16)]
    dst: Annotated[bytes, Size(16)]
    payload: bytes

    @property
    def source(self) -> IPv6Address:
        """`src` as an address."""
        return IPv6Address(self.src)

    @property
    def destination(self) -> IPv6Address:
        """`dst` as an address."""
        return IPv6Address(self.dst)

    @property
    def body(self) -> bytes:
        """The payload without what fills a short Ethernet frame up; a length of 0: all of it."""
        return self.payload[: self.payload_length] if self.payload_length else self.payload


class UDP(Record, endian="big"):
    """A datagram of UDP."""

    src_port: u16
    dst_port: u16
    length: u16
    checksum: u16
    payload: bytes


class TCP(Record, endian="big"):
    """A segment of TCP."""

    src_port: u16
    dst_port: u16
    sequence: u32
    acknowledgment: u32
    header_words: Annotated[int, Bits(4)]
    reserved: Annotated[int, Bits(3)]
    flags: Annotated[TCPFlags, Bits(9)]
    window: u16
    checksum: u16
    urgent: u16
    options: Annotated[bytes, SizedBy("header_words", 4, 20)]
    payload: bytes


class DNS(Record, endian="big"):
    """The header of a DNS message; its questions and answers are the payload."""

    id: u16
    response: Annotated[bool, Bits(1)]
    opcode: Annotated[int, Bits(4)]
    authoritative: Annotated[bool, Bits(1)]
    truncated: Annotated[bool, Bits(1)]
    recursion_desired: Annotated[bool, Bits(1)]
    recursion_available: Annotated[bool, Bits(1)]
    reserved: Annotated[bool, Bits(1)]
    authentic: Annotated[bool, Bits(1)]
    checking_disabled: Annotated[bool, Bits(1)]
    rcode: Annotated[int, Bits(4)]
    questions: u16
    answers: u16
    authorities: u16
    additionals: u16
    payload: bytes
