"""`crc32`, `crc32c`, `internet_checksum`: known answers, chains, every length, bad input."""

import array
import struct
import zlib
from random import Random

import layouts
import pytest
from hypothesis import given
from hypothesis import strategies as st

# RFC 3720, B.4: the test patterns of iSCSI, and the check value of the catalogues
CRC32C = [
    (b"", 0),
    (b"123456789", 0xE3069283),
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
    (
        bytes.fromhex(
            "01c00000000000000000000000000000140000000000040000000014000000182800000000000000"
            "0200000000000000"
        ),
        0xD9963A56,
    ),
]


def bitwise(data: bytes, polynomial: int, value: int = 0) -> int:
    """A CRC of 32 bits, reflected, from its definition."""
    value ^= 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def ones_complement(data: bytes) -> int:
    """The Internet checksum from its definition: end-around carry after every addition."""
    total = 0
    data += b"\0" * (len(data) % 2)
    for (word,) in struct.iter_unpack(">H", data):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@pytest.mark.parametrize(("data", "wanted"), CRC32C)
def test_crc32c(impl, data, wanted):
    assert impl.crc32c(data) == wanted


@pytest.mark.parametrize(
    ("data", "wanted"), [(b"", 0), (b"123456789", 0xCBF43926), (b"a", 0xE8B7BE43)]
)
def test_crc32(impl, data, wanted):
    assert impl.crc32(data) == wanted == zlib.crc32(data)


def test_internet_checksum(impl):
    # RFC 1071, 3: the sum of these is ddf2
    assert impl.internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2
    header = bytes.fromhex("45000073000040004011b861c0a80001c0a800c7")
    assert impl.internet_checksum(header) == 0
    assert impl.internet_checksum(header[:10] + b"\0\0" + header[12:]) == 0xB861
    assert impl.internet_checksum(b"") == 0xFFFF
    assert impl.internet_checksum(b"\0" * 100) == 0xFFFF
    assert impl.internet_checksum(b"\xff" * 100) == 0
    assert impl.internet_checksum(b"\1") == 0xFFFF - 0x0100  # an odd byte is a high half


def test_every_length_and_alignment(impl):
    data = Random(1).randbytes(700)
    for length in [*range(80), *range(120, 140), 255, 256, 257, 511, 512, 513, 600]:
        for start in (0, 1, 7, 16):
            part = memoryview(data)[start : start + length]
            assert impl.crc32(part) == zlib.crc32(part)
            assert impl.crc32c(part) == bitwise(bytes(part), 0x82F63B78)
            assert impl.internet_checksum(part) == ones_complement(bytes(part))


def test_long_inputs(impl):
    data = Random(2).randbytes(100_003)
    assert impl.crc32(data) == zlib.crc32(data)
    assert impl.crc32c(data[:20_000]) == bitwise(data[:20_000], 0x82F63B78)
    assert impl.internet_checksum(data) == ones_complement(data)
    # every carry there can be
    assert impl.internet_checksum(b"\xff" * 1_000_000) == 0
    assert impl.internet_checksum(b"\xff" * 1_000_001) == 0xFF


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_results_chain(implementation, head, tail):
    impl = implementation.load("wire")
    assert impl.crc32(tail, impl.crc32(head)) == zlib.crc32(head + tail)
    assert impl.crc32c(tail, impl.crc32c(head)) == impl.crc32c(head + tail)
    even = head[: len(head) // 2 * 2]
    whole = impl.internet_checksum(even + tail)
    assert impl.internet_checksum(tail, impl.internet_checksum(even)) == whole
    assert whole == ones_complement(even + tail)


def test_begun_with_any_value(impl):
    for value in (0, 1, 0x80000000, 0xFFFFFFFF):
        assert impl.crc32(b"abc", value) == zlib.crc32(b"abc", value)
        assert impl.crc32c(b"abc", value) == bitwise(b"abc", 0x82F63B78, value)
    assert impl.crc32(b"abc", value=5) == zlib.crc32(b"abc", 5)
    assert impl.crc32(b"abc", layouts.Index(5)) == zlib.crc32(b"abc", 5)
    assert impl.internet_checksum(b"\0\1", 0) == 0xFFFF - 1
    assert impl.internet_checksum(b"", 0x1234) == 0x1234


@pytest.mark.parametrize("name", ["crc32", "crc32c", "internet_checksum"])
def test_buffers(impl, name):
    function = getattr(impl, name)
    wanted = function(b"\1\2\3\4")
    for data in (
        bytearray(b"\1\2\3\4"),
        memoryview(b"_\1\2\3\4")[1:],
        array.array("B", [1, 2, 3, 4]),
        array.array("H", b"\1\2\3\4"),
    ):
        assert function(data) == wanted


@pytest.mark.parametrize("name", ["crc32", "crc32c", "internet_checksum"])
def test_bad_input(impl, name):
    function = getattr(impl, name)
    with pytest.raises(TypeError) as caught:
        function("text")
    assert str(caught.value) == f"{name}() wants a contiguous buffer, got str"
    with pytest.raises(BufferError):
        function(memoryview(b"abcd")[::2])
    with pytest.raises(TypeError):
        function()
    for value in ("1", 1.0, None):
        with pytest.raises(TypeError):
            function(b"", value)


@pytest.mark.parametrize(
    ("name", "largest"),
    [("crc32", 0xFFFFFFFF), ("crc32c", 0xFFFFFFFF), ("internet_checksum", 0xFFFF)],
)
def test_values_out_of_range(impl, name, largest):
    function = getattr(impl, name)
    assert function(b"", largest) == largest
    for value in (-1, largest + 1, 2**70):
        with pytest.raises((ValueError, OverflowError)):
            function(b"", value)
