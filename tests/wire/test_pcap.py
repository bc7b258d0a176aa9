"""pcap: frames of real captures and of ones made by code, and every way a file can be wrong."""

from __future__ import annotations

import gc
import importlib
import mmap
import struct
import sys
from array import array
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.captures import DATA, RECORDED, Section, classic, recorded

NO_BUFFERS = sys.version_info < (3, 12)  # in classes written in Python
TWO = [(1, 5, b"ab"), (2, 999_999, b"cde", 10)]


def rows(frames: Any) -> list[tuple[int, bytes, int, int]]:
    return [(f.time_ns, bytes(f.data), f.original_length, f.link_type) for f in frames]


def refused(impl: ModuleType, data: Any, **options: Any) -> tuple[str, list[Any]]:
    """What WireError says, and the frames before it."""
    got = []
    with pytest.raises(impl.WireError) as caught:
        for frame in impl.pcap(data, **options):
            got.append(frame)
    return str(caught.value), rows(got)


@pytest.fixture
def buffers(impl: ModuleType) -> None:
    if NO_BUFFERS and "pure" in impl.__name__:
        pytest.skip("before Python 3.12 a class in Python exports no buffer")


# ---- classic files


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("nano", "scale"), [(False, 1000), (True, 1)])
def test_classic(impl: ModuleType, order: str, nano: bool, scale: int) -> None:
    capture = impl.pcap(classic(TWO, order=order, nano=nano, snaplen=99, link_type=101))
    assert (capture.link_type, capture.snaplen) == (101, 99)
    assert iter(capture) is capture
    one, two = capture
    assert rows([one, two]) == [
        (1_000_000_000 + 5 * scale, b"ab", 2, 101),
        (2_000_000_000 + 999_999 * scale, b"cde", 10, 101),
    ]
    assert (one.timestamp, two.timestamp) == (1 + 5 * scale / 1e9, 2 + 999_999 * scale / 1e9)
    assert (len(one), len(two)) == (2, 3)
    assert next(capture, None) is None


def test_a_time_is_unsigned_and_its_part_may_be_too_large(impl: ModuleType) -> None:
    (frame,) = impl.pcap(classic([(0xFFFFFFFF, 0xFFFFFFFF, b"")]))
    assert frame.time_ns == 0xFFFFFFFF * 1_000_000_000 + 0xFFFFFFFF * 1000
    assert frame.timestamp == frame.time_ns // 10**9 + frame.time_ns % 10**9 / 1e9


def test_a_checksum_s_length_is_not_in_the_link_type(impl: ModuleType) -> None:
    (frame,) = impl.pcap(classic([(0, 0, b"a")], link_type=0x4400_0001))
    assert frame.link_type == 1


def test_no_frames(impl: ModuleType) -> None:
    assert list(impl.pcap(classic([]))) == []
    assert list(impl.pcap(Section().data)) == []


@pytest.mark.parametrize("name", RECORDED)
def test_recorded(impl: ModuleType, name: str) -> None:
    data = recorded(name)
    frames = list(impl.pcap(data))
    assert {frame.link_type for frame in frames} == {1}
    assert b"".join(bytes(frame.data) for frame in frames) in data or len(frames) > 1
    assert 24 + sum(16 + len(frame) for frame in frames) == len(data)
    times = [frame.time_ns for frame in frames]
    assert times == sorted(times) and times[0] > 1_700_000_000_000_000_000


def test_buffers_of_all_kinds(impl: ModuleType) -> None:
    data = classic(TWO)
    wanted = rows(impl.pcap(data))
    items = array("Q", data + bytes(-len(data) % 8))
    for buffer in (bytearray(data), memoryview(data), memoryview(b"xx" + data)[2:]):
        assert rows(impl.pcap(impl.View(buffer))) == wanted
        assert rows(impl.pcap(buffer)) == wanted
    with pytest.raises(impl.WireError):  # what fills the last item is no frame
        list(impl.pcap(items))
    assert rows([next(impl.pcap(items))]) == wanted[:1]


def test_a_file_in_memory(impl: ModuleType) -> None:
    with (
        open(DATA / "dns.pcap", "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory,
    ):
        got = [(len(frame), bytes(frame.data)[:6]) for frame in impl.pcap(memory)]
        assert len(got) == 16 and got[0][1] == bytes(6)
        # nothing is left that would keep it from being unmapped


# ---- pcapng


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng(impl: ModuleType, order: str) -> None:
    made = Section(order)
    made.block(0x0BAD, b"unknown").interface(1, 96).interface(101, 0, made.option(9, b"\x09"))
    made.packet(b"abc", 3_000_001, original=99).packet(b"defgh", 7, number=1)
    made.block(5, bytes(12)).simple(b"ijklm").old_packet(b"no", 5, number=1)
    capture = impl.pcap(made.data)
    assert (capture.link_type, capture.snaplen) == (1, 96)
    assert rows(capture) == [
        (3_000_001_000, b"abc", 99, 1),
        (7, b"defgh", 5, 101),
        (0, b"ijklm", 5, 1),
        (5, b"no", 2, 101),
    ]


def test_sections_have_their_own_order_and_interfaces(impl: ModuleType) -> None:
    one = Section("<").interface(1).packet(b"a", 1)
    two = Section(">").interface(113).packet(b"b", 2)
    assert rows(impl.pcap(one.data + two.data)) == [(1000, b"a", 1, 1), (2000, b"b", 1, 113)]
    text, got = refused(impl, one.data + Section(">").packet(b"b").data)
    assert text == (
        f"pcap() frame 1: byte {len(one.data) + 36}: wanted the number of an interface described "
        "before, had 0"
    )
    assert len(got) == 1


@pytest.mark.parametrize(
    ("resolution", "ticks", "time_ns"),
    [
        (0, 3, 3_000_000_000),
        (3, 1234, 1_234_000_000),
        (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        (12, 1_999, 1),
        (19, (1 << 64) - 1, 1_844_674_407),
        (0x80, 2, 2_000_000_000),
        (0x80 + 10, 1025, 1_000_976_562),
        (0x80 + 63, (1 << 63) + (1 << 62), 1_500_000_000),
    ],
)
def test_resolutions(impl: ModuleType, resolution: int, ticks: int, time_ns: int) -> None:
    made = Section()
    options = made.option(2, b"eth0") + made.option(9, bytes([resolution])) + made.option(0, b"")
    (frame,) = impl.pcap(made.interface(options=options).packet(b"", ticks).data)
    assert frame.time_ns == time_ns


def test_an_offset_of_seconds(impl: ModuleType) -> None:
    made = Section(">")
    options = made.option(14, struct.pack(">q", -5))
    (frame,) = impl.pcap(made.interface(options=options).packet(b"", 1_500_000).data)
    assert (frame.time_ns, frame.timestamp) == (-3_500_000_000, -3.5)


def test_a_simple_packet_is_cut_by_the_interface(impl: ModuleType) -> None:
    made = Section().interface(1, 3).simple(b"abc", 77)
    assert rows(impl.pcap(made.data)) == [(0, b"abc", 77, 1)]


def test_what_stands_before_an_interface(impl: ModuleType) -> None:
    capture = impl.pcap(Section().data)
    assert (capture.link_type, capture.snaplen) == (None, None)
    broken = Section().block(99, b"").data[:-2]
    capture = impl.pcap(broken)  # what is wrong comes with the first frame
    assert capture.link_type is None
    with pytest.raises(impl.WireError, match=r"pcap\(\) frame 0: byte 28: wanted 12 bytes, had 10"):
        next(capture)


# ---- what is wrong


@pytest.mark.parametrize("data", [b"", b"\xd4\xc3", b"PK\3\4" + bytes(99), b"\xa1\xb2\xcd\x34"])
def test_no_capture(impl: ModuleType, data: bytes) -> None:
    with pytest.raises(impl.WireError) as caught:
        impl.pcap(data)
    error = caught.value
    assert (error.offset, error.wanted, error.had) == (0, "a pcap or pcapng capture", data[:4])
    assert str(error) == f"pcap(): byte 0: wanted a pcap or pcapng capture, had {data[:4]!r}"


def test_cut_short(impl: ModuleType) -> None:
    data = classic(TWO)
    with pytest.raises(impl.WireError) as caught:
        impl.pcap(data[:23])
    assert str(caught.value) == "pcap(): byte 0: wanted 24 bytes, had 23"
    assert refused(impl, data[:41])[0] == "pcap() frame 0: byte 40: wanted 2 bytes, had 1"
    text, got = refused(impl, data[:-1])
    assert text == "pcap() frame 1: byte 58: wanted 3 bytes, had 2"
    assert got == rows(impl.pcap(data))[:1]
    assert refused(impl, data[:57])[0] == "pcap() frame 1: byte 42: wanted 16 bytes, had 15"
    with pytest.raises(impl.WireError) as caught:
        list(impl.pcap(data[:-1]))
    error = caught.value
    assert (error.offset, error.wanted, error.had, error.where) == (58, 3, 2, "pcap() frame 1")


def test_every_cut_of_a_pcapng_file(impl: ModuleType) -> None:
    made = Section().interface().packet(b"abcde").simple(b"fg")
    for cut in range(4, len(made.data)):
        if cut not in (28, 48, 104):
            assert "wanted" in refused(impl, made.data[:cut])[0]


def test_longer_than_allowed(impl: ModuleType) -> None:
    data = classic([(0, 0, b"a"), (0, 0, bytes(300_000))])
    text, got = refused(impl, data)
    assert text == "pcap() frame 1: byte 49: wanted at most 262144 bytes, had 300000"
    assert len(got) == 1
    assert len(list(impl.pcap(data, max_frame=300_000))) == 2
    assert refused(impl, data, max_frame=299_999)[0].endswith("at most 299999 bytes, had 300000")
    made = Section().interface().packet(b"abcde")
    text = "pcap() frame 0: byte 68: wanted at most 4 bytes, had 5"
    assert refused(impl, made.data, max_frame=4)[0] == text


def patched(data: bytes, at: int, layout: str, value: int) -> bytes:
    out = bytearray(data)
    struct.pack_into(layout, out, at, value)
    return bytes(out)


PLAIN = Section().interface().packet(b"abcde").data  # blocks at 0, 28 and 48


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            patched(PLAIN, 8, "<I", 5),
            "pcap(): byte 8: wanted the byte-order magic 0x1a2b3c4d, had 5",
        ),
        (patched(PLAIN, 12, "<H", 2), "pcap(): byte 12: wanted pcapng version 1, had 2"),
        (
            patched(PLAIN, 4, "<I", 24),
            "pcap(): byte 4: wanted a block length of at least 28, had 24",
        ),
        (PLAIN[:20], "pcap(): byte 0: wanted 28 bytes, had 20"),
        (PLAIN[:6], "pcap(): byte 0: wanted 12 bytes, had 6"),
    ],
)
def test_wrong_heads(impl: ModuleType, data: bytes, text: str) -> None:
    with pytest.raises(impl.WireError) as caught:
        impl.pcap(data)
    assert str(caught.value) == text


def resolved(value: bytes) -> bytes:
    made = Section()
    return made.interface(options=made.option(9, value)).packet(b"", 1 << 63).data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (patched(PLAIN, 32, "<I", 16), "byte 32: wanted a block length of at least 20, had 16"),
        (patched(PLAIN, 32, "<I", 21), "byte 32: wanted a block length in words of 4 bytes,"
         " had 21"),
        (patched(PLAIN, 44, "<I", 24), "byte 44: wanted the block's length again, had 24"),
        (patched(PLAIN, 52, "<I", 28), "byte 52: wanted a block length of at least 32, had 28"),
        (patched(PLAIN, 52, "<I", 4000), f"byte 48: wanted 4000 bytes, had {len(PLAIN) - 48}"),
        (patched(PLAIN, 56, "<I", 1), "byte 56: wanted the number of an interface described before,"
         " had 1"),
        (patched(PLAIN, 68, "<I", 25), "byte 68: wanted at most 24 bytes, had 25"),
        (patched(PLAIN, 60, "<I", 1 << 31), "byte 60: wanted a time within 292 years of 1970, had"
         " 9223372036854775808"),
        (resolved(b"\x14"), "byte 48: wanted a resolution of at most 10^-19 or 2^-63, had 20"),
        (resolved(b"\xc0"), "byte 48: wanted a resolution of at most 10^-19 or 2^-63, had 192"),
        (Section().simple(b"").data, "byte 28: wanted an interface described before, had 0"),
        (Section().block(3, b"").data, "byte 32: wanted a block length of at least 16, had 12"),
        (Section().block(2, b"").data, "byte 32: wanted a block length of at least 32, had 12"),
        (Section().block(1, struct.pack("<HHIHH", 1, 0, 0, 2, 9)).data,
         "byte 48: wanted 9 bytes, had 0"),
        (Section().interface().simple(b"abcd", 9).data, "byte 56: wanted at most 4 bytes, had 9"),
    ],
)  # fmt: skip
def test_wrong_blocks(impl: ModuleType, data: bytes, text: str) -> None:
    assert refused(impl, data) == (f"pcap() frame 0: {text}", [])


def test_too_many_interfaces(impl: ModuleType) -> None:
    one = Section().interface().data[28:]
    data = Section().data + one * 65_537
    text, _ = refused(impl, data)
    offset = 28 + 65_536 * len(one)
    assert text == f"pcap() frame 0: byte {offset}: wanted at most 65536 interfaces, had 65537"


def test_after_an_error_nothing_comes(impl: ModuleType) -> None:
    data = bytearray(classic(TWO)[:-1])
    capture = impl.pcap(data)
    next(capture)
    with pytest.raises(impl.WireError):
        next(capture)
    assert list(capture) == []
    capture.release()
    assert list(capture) == []
    data.append(0)  # nobody holds it


@pytest.mark.parametrize("value", [5, "text", None, [1]])
def test_no_buffer(impl: ModuleType, value: Any) -> None:
    with pytest.raises(TypeError) as caught:
        impl.pcap(value)
    assert str(caught.value) == (f"pcap() wants a contiguous buffer, got {type(value).__name__}")


def test_not_contiguous(impl: ModuleType) -> None:
    with pytest.raises(BufferError, match=r"^pcap\(\) wants a contiguous .* strided memoryview$"):
        impl.pcap(memoryview(classic(TWO))[::2])


def test_limits(impl: ModuleType) -> None:
    data = classic(TWO)
    for value in (0, -1, 1 << 32, 1 << 99, -(1 << 99)):
        with pytest.raises(ValueError) as caught:
            impl.pcap(data, max_frame=value)
        assert str(caught.value) == f"pcap() max_frame must be 1 to 4294967295, got {value}"
    with pytest.raises(TypeError) as caught:
        impl.pcap(data, max_frame=2.0)
    assert str(caught.value) == "pcap() max_frame must be an int, not float"
    assert len(list(impl.pcap(data, max_frame=(1 << 32) - 1))) == 2

    class Three:
        def __index__(self) -> int:
            return 3

    assert len(list(impl.pcap(data, max_frame=Three()))) == 2
    for wrong in ((), (data, 5)):
        with pytest.raises(TypeError):
            impl.pcap(*wrong)
    with pytest.raises(TypeError):
        impl.pcap(data, limit=5)


# ---- frames


def test_release(impl: ModuleType) -> None:
    with impl.pcap(classic(TWO)) as capture, next(capture) as frame:
        assert repr(frame) == "<Frame of 2 bytes, link type 1, at 1000005000 ns>"
    assert repr(frame) == "<Frame, released>"
    frame.release()
    assert (frame.time_ns, frame.original_length, frame.link_type) == (1_000_005_000, 2, 1)
    for use in (lambda: len(frame), lambda: frame.data, frame.__enter__):
        with pytest.raises(ValueError, match="^Frame has been released$"):
            use()
    with pytest.raises(ValueError, match="^pcap has been released$"):
        next(capture)
    capture.release()
    assert (capture.link_type, capture.snaplen) == (1, 65535)


def test_frames_outlive_the_iterator(impl: ModuleType) -> None:
    frames = list(impl.pcap(bytearray(classic(TWO))))
    assert [bytes(frame.data) for frame in frames] == [b"ab", b"cde"]


@pytest.mark.usefixtures("buffers")
def test_frames_are_buffers(impl: ModuleType) -> None:
    frame, _ = impl.pcap(classic(TWO))
    assert bytes(frame) == b"ab" and memoryview(frame).nbytes == 2 and memoryview(frame).readonly
    assert b"-".join([frame, frame]) == b"ab-ab"


@pytest.mark.usefixtures("buffers")
def test_buffers_keep_the_memory(impl: ModuleType) -> None:
    data = bytearray(classic(TWO))
    (frame, _) = impl.pcap(data)
    with memoryview(frame) as taken:
        assert not taken.readonly
        taken[0] = ord("z")
        with pytest.raises(BufferError) as caught:
            frame.release()
        assert str(caught.value) == "Frame.release(): 1 buffer of it is still in use"
        assert bytes(frame) == b"zb"
    with pytest.raises(BufferError):
        data.append(0)
    frame.release()
    del _
    data.append(0)


def test_only_pcap_makes_frames() -> None:
    native = importlib.import_module("ferrule.wire")
    with pytest.raises(TypeError):
        native.Frame()
    with pytest.raises(TypeError):
        type("Sub", (native.pcap,), {})


def test_the_first_and_last_nanosecond(impl: ModuleType) -> None:
    """Nanoseconds of 64 bits; a float of them is as near as it can be."""
    for time in (-(1 << 63), -1, 0, (1 << 63) - 1):
        since, ticks = divmod(time, 10**9)
        section = Section()
        resolution = section.option(9, b"\x09")
        offset = section.option(14, since.to_bytes(8, "little", signed=True))
        data = section.interface(options=resolution + offset).packet(b"ab", ticks).data
        (frame,) = impl.pcap(data)
        assert frame.time_ns == time
        assert frame.timestamp == since + ticks / 1e9


def test_holders(impl: ModuleType) -> None:
    data = bytearray(classic(TWO))
    capture = impl.pcap(data)
    before = impl.track_sites(True)
    frame = next(capture)
    impl.track_sites(before)
    assert {id(held) for held in impl.holders(data)} == {id(capture), id(frame)}
    assert "test_pcap.py:" in frame.site and frame.site.endswith(" in test_holders")
    inside = frame.data
    frame.release()
    assert frame.site is None
    assert {id(held) for held in impl.holders(data)} == {id(capture), id(inside)}
    assert impl.release_all(data) == 2
    assert impl.holders(data) == []
    data.append(0)
    with pytest.raises(ValueError, match="^pcap has been released$"):
        next(capture)
    frame = next(impl.pcap(data))
    gc.collect()  # the twin's iterator is in a cycle
    assert impl.release_all(data) == 1  # the iterator has gone by itself
    assert repr(frame) == "<Frame, released>"


# ---- native and twin give the same, whatever comes


def outcome(impl: ModuleType, data: bytes, limit: int) -> Any:
    """Frames, and what ended them."""
    got: list[Any] = []
    try:
        for frame in impl.pcap(data, max_frame=limit):
            got += rows([frame])
            got.append(frame.timestamp)
    except impl.WireError as error:
        return got, str(error), error.offset, error.wanted, error.had
    return got, ""


def sample() -> list[bytes]:
    made = Section()
    options = made.option(9, b"\x8a") + made.option(14, bytes(7) + b"\1")
    made.interface(1, 4, options).packet(b"abcde", 1 << 40).simple(b"fghi", 9)
    made.old_packet(b"x").block(77, b"abc")
    other = Section(">").interface(options=Section(">").option(9, b"\x09")).packet(b"klm", 1 << 60)
    return [
        classic(TWO), classic(TWO, order=">", nano=True), made.data, made.data + other.data,
        recorded("dns")[:400],
    ]  # fmt: skip


@given(
    st.sampled_from(sample()),
    st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=8)), max_size=4),
    st.integers(0, 500),
    st.sampled_from([3, 5, 262144]),
)
def test_mutations(data: bytes, changes: list[tuple[int, bytes]], cut: int, limit: int) -> None:
    native, twin = (
        importlib.import_module("ferrule.wire"),
        importlib.import_module("ferrule.pure.wire"),
    )
    changed = bytearray(data)
    for at, new in changes:
        at %= len(changed)
        changed[at : at + len(new)] = new
    given_ = bytes(changed[: len(changed) - cut % 50 if cut > 250 else len(changed)])
    assert outcome(native, given_, limit) == outcome(twin, given_, limit)
