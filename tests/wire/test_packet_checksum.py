"""Checksums of packets: computed by `pack`, checked by `unpack`."""

import struct
import zlib
from typing import Annotated, Any

import pytest
from layouts import define, names

#: An IPv4 header whose checksum, b861, everyone knows.
HEADER = bytes.fromhex("4500007300004000 4011b861c0a80001 c0a800c7")


def ipv4(impl: Any) -> Any:
    n = names(impl)

    class IPv4(n.Record, endian="big"):
        version: Annotated[int, n.Bits(4)]
        words: Annotated[int, n.Bits(4)]
        tos: n.u8
        length: n.u16
        identification: n.u16
        flags: Annotated[int, n.Bits(3)]
        offset: Annotated[int, n.Bits(13)]
        ttl: n.u8
        protocol: n.u8
        checksum: Annotated[n.u16, n.InternetChecksum()]
        source: n.u32
        target: n.u32
        options: Annotated[bytes, n.SizedBy("words", 4, 20)]

    return IPv4


def test_a_header(impl):
    cls = ipv4(impl)
    record = impl.unpack(cls, HEADER)
    assert (record.version, record.words, record.flags, record.ttl) == (4, 5, 2, 64)
    assert record.checksum == 0xB861
    record.checksum = 0  # whatever it holds
    assert impl.pack(record) == HEADER
    record.words, record.options = 6, b"\1\2\3\4"
    assert impl.unpack(cls, impl.pack(record)).options == b"\1\2\3\4"
    with pytest.raises(impl.WireError) as caught:
        impl.unpack(cls, HEADER[:8] + b"\x3f" + HEADER[9:])
    error = caught.value
    assert (error.offset, error.wanted, error.had) == (10, "Internet checksum 0xb961", "0xb861")
    assert str(error).endswith(
        "IPv4.checksum: byte 10: wanted Internet checksum 0xb961, had 0xb861"
    )


def bitwise_crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize(
    ("mark", "name", "function"),
    [("Crc32", "CRC32", zlib.crc32), ("Crc32c", "CRC32C", bitwise_crc32c)],
)
def test_crcs(impl, endian, mark, name, function):
    n = names(impl)
    crc = getattr(n, mark)
    order = ">" if endian == "big" else "<"
    cls = define(
        impl,
        endian,
        sum=Annotated[n.u32, crc("data")],
        n=n.u8,
        data=Annotated[bytes, n.SizedBy("n")],
    )
    for data in (b"", b"123456789", b"\0" * 100):
        right = function(data)
        packet = struct.pack(f"{order}IB", right, len(data)) + data
        assert impl.pack(cls(7, len(data), data)) == packet
        assert impl.unpack(cls, packet).sum == right
        bad = struct.pack(f"{order}IB", right ^ 0xF, len(data)) + data
        with pytest.raises(impl.WireError) as caught:
            impl.unpack(cls, b"__" + bad, 2)
        error = caught.value
        assert (error.offset, error.where) == (2, "P.sum")
        assert (error.wanted, error.had) == (f"{name} 0x{right:08x}", f"0x{right ^ 0xF:08x}")


def test_over_everything_but_itself(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u8, sum=Annotated[n.u32, n.Crc32()], b=n.u8)
    assert impl.pack(cls(1, 0, 2)) == b"\1" + zlib.crc32(b"\1\2").to_bytes(4, "big") + b"\2"


def test_over_several_in_wire_order(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u8, b=n.u16, sum=Annotated[n.u32, n.Crc32(("c", "a"))], c=n.u8)
    right = zlib.crc32(b"\1\4").to_bytes(4, "big")
    packet = b"\1\0\2" + right + b"\4"
    assert impl.pack(cls(1, 2, 0, 4)) == packet
    assert impl.unpack(cls, packet).c == 4


def test_over_bits_is_over_their_run(impl):
    n = names(impl)
    cls = define(
        impl,
        "big",
        a=Annotated[int, n.Bits(4)],
        b=Annotated[int, n.Bits(12)],
        one=Annotated[n.u32, n.Crc32("a")],
        two=Annotated[n.u32, n.Crc32(("a", "b"))],
    )
    right = zlib.crc32(b"\x10\2").to_bytes(4, "big")
    assert impl.pack(cls(1, 2, 0, 0)) == b"\x10\2" + right * 2


def test_over_a_nested_record_and_items(impl):
    n = names(impl)
    inner = define(impl, None, "Inner", n=n.u8, data=Annotated[bytes, n.SizedBy("n")])
    cls = define(
        impl,
        "big",
        sum=Annotated[n.u32, n.Crc32(("inner", "items"))],
        inner=inner,
        x=n.u8,
        items=Annotated[tuple[n.u16, ...], n.Count(2)],
    )
    right = zlib.crc32(b"\2ab\0\1\0\2").to_bytes(4, "big")
    packet = right + b"\2ab\5\0\1\0\2"
    record = cls(0, inner(2, b"ab"), 5, (1, 2))
    assert impl.pack(record) == packet
    assert impl.unpack(cls, packet).inner == inner(2, b"ab")


def test_over_another_checksum(impl):
    """One that covers another is computed after it, wherever it stands."""
    n = names(impl)
    for endian in ("big", "little"):
        cls = define(
            impl,
            endian,
            outer=Annotated[n.u32, n.Crc32()],
            inner=Annotated[n.u32, n.Crc32c("data")],
            data=Annotated[bytes, n.Size(9)],
        )
        body = bitwise_crc32c(b"123456789").to_bytes(4, endian) + b"123456789"
        packet = zlib.crc32(body).to_bytes(4, endian) + body
        assert impl.pack(cls(0, 0, b"123456789")) == packet
        assert impl.unpack(cls, packet).data == b"123456789"


def test_the_first_declared_is_reported(impl):
    n = names(impl)
    cls = define(
        impl,
        "big",
        x=n.u8,
        a=Annotated[n.u32, n.Crc32("x")],
        b=Annotated[n.u32, n.Crc32c("x")],
    )
    with pytest.raises(impl.WireError, match="P.a"):
        impl.unpack(cls, bytes(9))


def test_odd_lengths_and_places(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u8, sum=Annotated[n.u16, n.InternetChecksum()], rest=bytes)
    # words 0100 00.. ..ab 6300: own bytes zero, an odd last byte a high half
    for rest in (b"", b"a", b"ab", b"abc"):
        data = b"\1\0\0" + rest
        words = struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
        total = sum(words)
        total = (total & 0xFFFF) + (total >> 16)
        right = 0xFFFF - total
        packet = b"\1" + right.to_bytes(2, "big") + rest
        assert impl.pack(cls(1, 0, rest)) == packet
        assert impl.unpack(cls, packet).rest == rest


def test_words_run_over_what_is_covered(impl):
    """Fields of odd length are put together first."""
    n = names(impl)
    cls = define(
        impl,
        "little",
        a=n.u8,
        b=n.u8,
        c=n.u8,
        sum=Annotated[n.u16, n.InternetChecksum(("a", "c"))],
    )
    assert impl.pack(cls(1, 9, 2, 0)) == b"\1\x09\2" + (0xFFFF - 0x0102).to_bytes(2, "little")


def test_zero_is_stored_as_computed(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u16, sum=Annotated[n.u16, n.InternetChecksum()])
    assert impl.pack(cls(0xFFFF, 5)) == b"\xff\xff\0\0"
    assert impl.pack(cls(0, 5)) == b"\0\0\xff\xff"
    with pytest.raises(impl.WireError) as caught:
        impl.unpack(cls, b"\0\0\0\0")
    assert (caught.value.wanted, caught.value.had) == ("Internet checksum 0xffff", "0x0000")


def test_nested_checksums(impl):
    n = names(impl)
    inner = define(impl, None, "Inner", x=n.u8, sum=Annotated[n.u32, n.Crc32()])
    cls = define(
        impl, "big", items=Annotated[tuple[inner, ...], n.Count(2)], sum=Annotated[n.u32, n.Crc32()]
    )
    body = b"".join(x + zlib.crc32(x).to_bytes(4, "big") for x in (b"\1", b"\2"))
    packet = body + zlib.crc32(body).to_bytes(4, "big")
    assert impl.pack(cls((inner(1, 0), inner(2, 0)), 0)) == packet
    assert impl.unpack(cls, packet).items[1].x == 2
    with pytest.raises(impl.WireError) as caught:
        impl.unpack(cls, body[:5] + b"\3" + packet[6:])
    assert (caught.value.offset, caught.value.where) == (6, "P.items[1].sum")


def test_in_a_tail(impl):
    n = names(impl)
    a = define(impl, None, "A", sum=Annotated[n.u32, n.Crc32()], rest=bytes)
    cls = define(impl, "big", kind=n.u8, body=Annotated[a, n.Tagged("kind", {1: a})])
    packet = b"\1" + zlib.crc32(b"xyz").to_bytes(4, "big") + b"xyz"
    assert impl.pack(cls(1, a(0, b"xyz"))) == packet
    assert impl.unpack(cls, packet).body.rest == b"xyz"
    with pytest.raises(impl.WireError, match=r"^P\.body\.sum: byte 1: "):
        impl.unpack(cls, packet + b"!")


def test_a_checksum_may_be_unset(impl):
    n = names(impl)

    class P(n.Record, endian="big"):
        x: n.u8
        sum: Annotated[n.u32, n.Crc32()] = 0

    assert impl.unpack(P, impl.pack(P(1))).sum == zlib.crc32(b"\1")
