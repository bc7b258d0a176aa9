"""`unpack`, `pack` and `pack_into`: every kind of field, in both byte orders."""

import array
import enum
import math
import mmap
import sys
import types
from typing import Annotated, Any

import layouts
import pytest
from layouts import define, names


class Kind(enum.Enum):
    REQUEST = 1
    REPLY = 2


class Level(enum.IntEnum):
    LOW = 0
    HIGH = 300


class Flag(enum.IntFlag):
    FIN = 1
    SYN = 2
    ACK = 16


def both(impl: types.ModuleType, cls: Any, data: bytes, *values: Any) -> Any:
    """The bytes are read as these values, and these values written as the bytes."""
    record = impl.unpack(cls, data)
    assert type(record) is cls
    assert [getattr(record, name) for name in cls.__match_args__] == list(values)
    assert impl.pack(record) == impl.pack(cls(*values)) == data
    return record


# ---- numbers


@pytest.mark.parametrize(
    ("kind", "value", "big"),
    [
        ("i8", -2, "fe"),
        ("u8", 254, "fe"),
        ("i16", -2, "fffe"),
        ("u16", 0x1234, "1234"),
        ("i32", -2, "fffffffe"),
        ("u32", 0x12345678, "12345678"),
        ("i64", -(2**63), "8000000000000000"),
        ("u64", 2**64 - 2, "fffffffffffffffe"),
        ("f32", 1.5, "3fc00000"),
        ("f64", -2.0, "c000000000000000"),
        ("bool8", True, "01"),
        ("bool8", False, "00"),
    ],
)
def test_scalars(impl, kind, value, big):
    tp = getattr(names(impl), kind)
    data = bytes.fromhex(big)
    both(impl, define(impl, "big", x=tp), data, value)
    both(impl, define(impl, "little", x=tp), data[::-1], value)
    host = data if sys.byteorder == "big" else data[::-1]
    both(impl, define(impl, "native", x=tp), host, value)
    both(impl, define(impl, None, x=tp), host, value)
    record = impl.unpack(define(impl, "big", x=tp), data)
    assert type(record.x) is type(value)


def test_nan(impl):
    n = names(impl)
    cls = define(impl, "big", x=n.f32, y=n.f64)
    data = bytes.fromhex("7fc000007ff8000000000000")
    record = impl.unpack(cls, data)
    assert math.isnan(record.x) and math.isnan(record.y)
    assert impl.pack(record) == data


def test_fields_lie_without_padding_in_order_of_declaration(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u8, b=n.u64, c=n.u8, d=n.u32, e=n.u16)
    both(impl, cls, bytes(range(16)), 0, 0x0102030405060708, 9, 0x0A0B0C0D, 0x0E0F)


def test_fields_of_bases_come_first(impl):
    n = names(impl)

    class Base(n.Record, endian="big"):
        a: n.u16

    class Sub(Base):
        b: n.u16

    both(impl, Sub, b"\0\1\0\2", 1, 2)
    both(impl, Base, b"\0\1", 1)


# ---- bytes and text


def test_fixed_bytes_and_text(impl):
    n = names(impl)
    cls = define(impl, "big", b=Annotated[bytes, n.Size(3)], s=Annotated[str, n.Size(5)])
    both(impl, cls, b"\0a\0h\xc3\xa9\0\0", b"\0a\0", "h\xe9")
    both(impl, cls, b"abchello", b"abc", "hello")
    both(impl, cls, b"abc\0\0\0\0\0", b"abc", "")
    both(impl, cls, b"abc\0a\0\0\0", b"abc", "\0a")


def test_sized_by(impl):
    n = names(impl)
    cls = define(
        impl,
        "big",
        n=n.u16,
        m=n.u8,
        data=Annotated[bytes, n.SizedBy("n")],
        text=Annotated[str, n.SizedBy("m", 2, 3)],
    )
    both(impl, cls, b"\0\2\3ab\xc3\xa9\0", 2, 3, b"ab", "\xe9\0")
    cls = define(impl, "big", n=n.i8, data=Annotated[bytes, n.SizedBy("n", 4, 20)])
    both(impl, cls, b"\5", 5, b"")
    both(impl, cls, b"\6abcd", 6, b"abcd")


def test_two_may_be_sized_by_one(impl):
    n = names(impl)
    sized = Annotated[bytes, n.SizedBy("n")]
    both(impl, define(impl, "big", n=n.u8, a=sized, b=sized), b"\2abcd", 2, b"ab", b"cd")


@pytest.mark.parametrize(("tp", "value"), [(bytes, b"\xffrest"), (str, "r\xe9st\0")])
def test_all_that_is_left(impl, tp, value):
    n = names(impl)
    data = value if tp is bytes else value.encode()
    cls = define(impl, "big", x=n.u8, rest=tp)
    both(impl, cls, b"\1" + data, 1, value)
    both(impl, cls, b"\1", 1, tp())
    assert impl.unpack(define(impl, "big", rest=tp), b"").rest == tp()


def test_markers_among_other_metadata(impl):
    n = names(impl)
    cls = define(
        impl,
        "big",
        n=Annotated[n.u8, "how many"],
        data=Annotated[Annotated[bytes, n.SizedBy("n")], "note"],
        rest=Annotated[bytes, "note"],
    )
    both(impl, cls, b"\1ab", 1, b"a", b"b")


def test_string_annotations(impl):
    module = layouts.compiled(
        impl,
        """
        from __future__ import annotations

        class P(Record, endian="big"):
            n: u8
            data: Annotated[bytes, SizedBy("n")]
        """,
    )
    both(impl, module.P, b"\2ab", 2, b"ab")


# ---- bits


def test_bits(impl):
    n = names(impl)
    fields = {
        "a": Annotated[int, n.Bits(4)],
        "b": Annotated[bool, n.Bits(1)],
        "c": Annotated[int, n.Bits(3)],
        "d": Annotated[int, n.Bits(13)],
        "e": Annotated[Kind, n.Bits(3)],
    }
    big = both(impl, define(impl, "big", **fields), b"\x1d\x80\x02", 1, True, 5, 0x1000, Kind.REPLY)
    assert big.b is True
    both(impl, define(impl, "little", **fields), b"\xb1\x00\x50", 1, True, 5, 0x1000, Kind.REPLY)


def test_runs_end_with_whole_bytes(impl):
    n = names(impl)
    # 4 + 4 bits are one run, 8 the next; then 12 + 4
    fields = {
        name: Annotated[int, n.Bits(bits)]
        for name, bits in zip("abcde", (4, 4, 8, 12, 4), strict=True)
    }
    both(impl, define(impl, "big", **fields), b"\x12\x34\x56\x78", 1, 2, 0x34, 0x567, 8)
    both(impl, define(impl, "little", **fields), b"\x12\x34\x56\x78", 2, 1, 0x34, 0x856, 7)


@pytest.mark.parametrize("endian", ["big", "little"])
def test_sixty_four_bits(impl, endian):
    n = names(impl)
    cls = define(impl, endian, x=Annotated[int, n.Bits(64)])
    both(impl, cls, (2**64 - 2).to_bytes(8, endian), 2**64 - 2)
    cls = define(impl, endian, x=Annotated[int, n.Bits(63)], y=Annotated[bool, n.Bits(1)])
    number = 2**64 - 2 if endian == "big" else 2**63 - 1
    both(impl, cls, number.to_bytes(8, endian), 2**63 - 1, False)


def test_bits_give_lengths_counts_and_tags(impl):
    n = names(impl)
    one = define(impl, "big", x=n.u8)
    cls = define(
        impl,
        "big",
        n=Annotated[int, n.Bits(4)],
        m=Annotated[int, n.Bits(3)],
        more=Annotated[bool, n.Bits(1)],
        data=Annotated[bytes, n.SizedBy("n")],
        items=Annotated[tuple[n.u8, ...], n.Count("m")],
        tail=Annotated[object, n.Tagged("more", {True: one, False: bytes})],
    )
    both(impl, cls, b"\x25ab\1\2\7", 2, 2, True, b"ab", (1, 2), one(7))
    both(impl, cls, b"\x10ax", 1, 0, False, b"a", (), b"x")


# ---- Enums


def test_enums(impl):
    n = names(impl)
    cls = define(
        impl,
        "big",
        kind=Annotated[Kind, n.u8],
        level=Annotated[Level, n.u16],
        flags=Annotated[Flag, n.u8],
        bits=Annotated[Flag, n.Bits(8)],
    )
    record = both(
        impl,
        cls,
        b"\2\x01\x2c\x12\x03",
        Kind.REPLY,
        Level.HIGH,
        Flag.SYN | Flag.ACK,
        Flag.FIN | Flag.SYN,
    )
    assert type(record.level) is Level and type(record.flags) is Flag


def test_a_flag_keeps_what_its_class_keeps(impl):
    n = names(impl)
    cls = define(impl, "big", flags=Annotated[Flag, n.u8])
    record = impl.unpack(cls, b"\xe3")
    assert record.flags == 0xE3 and impl.pack(record) == b"\xe3"


def test_enum_that_finds_members_itself(impl):
    class Open(enum.Enum):
        A = 1
        OTHER = 0

        @classmethod
        def _missing_(cls, value):
            return cls.OTHER

    cls = define(impl, "big", x=Annotated[Open, names(impl).u8])
    assert [impl.unpack(cls, bytes([i])).x for i in (1, 7)] == [Open.A, Open.OTHER]


def test_negative_members(impl):
    class Signed(enum.Enum):
        DOWN = -1

    both(impl, define(impl, "big", x=Annotated[Signed, names(impl).i16]), b"\xff\xff", Signed.DOWN)


# ---- items


def test_items(impl):
    n = names(impl)
    cls = define(
        impl,
        "big",
        n=n.u8,
        three=Annotated[tuple[n.u16, ...], n.Count(3)],
        many=Annotated[list[n.i8], n.Count("n")],
        kinds=Annotated[tuple[Annotated[Kind, n.u8], ...], n.Count(2)],
        none=Annotated[tuple[n.u64, ...], n.Count(0)],
        flags=Annotated[list[n.bool8], n.Count(1)],
    )
    data = b"\2\0\1\0\2\0\3\xff\1\2\1\1"
    record = both(impl, cls, data, 2, (1, 2, 3), [-1, 1], (Kind.REPLY, Kind.REQUEST), (), [True])
    assert record.flags[0] is True


def test_floats_of_an_order(impl):
    n = names(impl)
    tp = Annotated[tuple[n.f32, ...], n.Count(2)]
    both(impl, define(impl, "big", x=tp), bytes.fromhex("3fc00000bf800000"), (1.5, -1.0))
    both(impl, define(impl, "little", x=tp), bytes.fromhex("0000c03f000080bf"), (1.5, -1.0))


def test_records_as_items(impl):
    n = names(impl)
    pair = define(impl, None, a=n.u8, b=n.u16)
    text = define(impl, None, n=n.u8, text=Annotated[str, n.SizedBy("n")])
    cls = define(
        impl,
        "big",
        n=n.u16,
        pairs=Annotated[tuple[pair, ...], n.Count(2)],
        texts=Annotated[list[text], n.Count("n")],
    )
    both(
        impl,
        cls,
        b"\0\2\1\0\2\3\0\4\2ab\0",
        2,
        (pair(1, 2), pair(3, 4)),
        [text(2, "ab"), text(0, "")],
    )


def test_items_of_no_bytes(impl):
    n = names(impl)
    empty = define(impl, None)
    cls = define(impl, "big", n=n.u32, items=Annotated[tuple[empty, ...], n.Count("n")])
    assert impl.unpack(cls, b"\0\0\0\2").items == (empty(), empty())
    assert len(impl.unpack(cls, b"\0\1\0\0").items) == 65_536


# ---- nested records and tails


def test_nested(impl):
    n = names(impl)
    inner = define(impl, None, a=n.u16, b=n.u8)
    both(impl, define(impl, "big", x=n.u8, inner=inner, y=n.u8), b"\0\1\2\3\4", 0, inner(258, 3), 4)


def test_order_of_a_nested_record(impl):
    """One that says nothing goes with what is around it; what it says itself goes first."""
    n = names(impl)
    silent = define(impl, None, a=n.u16)
    native = define(impl, "native", a=n.u16, deeper=silent)
    little = define(impl, "little", a=n.u16, deeper=native)
    for endian in ("big", "little"):
        cls = define(impl, endian, silent=silent, native=native, little=little)
        fields = [(endian, 1)] + [(endian, 1)] * 2 + [("little", 1)] * 3
        data = b"".join(number.to_bytes(2, order) for order, number in fields)
        both(impl, cls, data, silent(1), native(1, silent(1)), little(1, native(1, silent(1))))
    assert impl.pack(silent(1)) == (1).to_bytes(2, sys.byteorder)


def test_tails(impl):
    n = names(impl)
    a = define(impl, None, "A", x=n.u8)
    b = define(impl, None, "B", x=n.u16, rest=bytes)
    cls = define(
        impl, "big", kind=n.u8, body=Annotated[a | b | bytes, n.Tagged("kind", {1: a, 2: b}, bytes)]
    )
    both(impl, cls, b"\1\5", 1, a(5))
    both(impl, cls, b"\2\0\5xyz", 2, b(5, b"xyz"))
    both(impl, cls, b"\3xyz", 3, b"xyz")
    both(impl, cls, b"\3", 3, b"")


def test_a_tail_may_be_followed(impl):
    n = names(impl)
    a = define(impl, None, "A", x=n.u8)
    b = define(impl, None, "B", x=n.u16)
    cls = define(impl, "big", kind=n.u8, body=Annotated[a | b, n.Tagged("kind", {1: a}, b)], z=n.u8)
    both(impl, cls, b"\1\5\6", 1, a(5), 6)
    both(impl, cls, b"\x09\0\5\6", 9, b(5), 6)


def test_tags_by_members(impl):
    n = names(impl)
    a = define(impl, None, "A", x=n.u8)
    b = define(impl, None, "B", x=n.u16)
    tagged = n.Tagged("kind", {Kind.REQUEST: a, Kind.REPLY: b})
    cls = define(impl, "big", kind=Annotated[Kind, n.u8], body=Annotated[object, tagged])
    both(impl, cls, b"\1\5", Kind.REQUEST, a(5))
    both(impl, cls, b"\2\0\5", Kind.REPLY, b(5))


@pytest.mark.parametrize(("kind", "tag"), [("i8", -1), ("u64", 2**64 - 1), ("i64", -(2**63))])
def test_tags_at_the_limits(impl, kind, tag):
    n = names(impl)
    a = define(impl, None, "A", x=n.u8)
    cls = define(
        impl, "big", kind=getattr(n, kind), body=Annotated[a, n.Tagged("kind", {tag: a, 0: bytes})]
    )
    size = int(kind[1:]) // 8
    both(impl, cls, tag.to_bytes(size, "big", signed=tag < 0) + b"\5", tag, a(5))


def test_sixty_four_deep(impl):
    n = names(impl)
    cls = define(impl, "big", x=n.u8)
    record = cls(1)
    for _ in range(63):
        cls = define(impl, "big", x=cls, y=n.u8)
        record = cls(record, 2)
    data = b"\1" + b"\2" * 63
    assert impl.unpack(cls, data) == record
    assert impl.pack(record) == data


def test_no_fields(impl):
    cls = define(impl, "big")
    assert impl.unpack(cls, b"abc") == cls()
    assert impl.pack(cls()) == b""


# ---- how records are made


def test_checks_and_post_init_run_but_not_init(impl):
    n = names(impl)
    validation = n.validation

    class P(n.Record, endian="big"):
        x: n.u8 = validation.Bounded(max_val=10)
        y: n.u8

        def __init__(self, *args):
            raise AssertionError("called")

        def __post_init__(self):
            self.y += 1

    record = impl.unpack(P, b"\5\6")
    assert (record.x, record.y) == (5, 7)
    with pytest.raises(ValueError, match="must be <= 10, got 11"):
        impl.unpack(P, b"\x0b\6")


def test_post_init_of_a_frozen_record_may_assign(impl):
    n = names(impl)

    class P(n.Record, frozen=True, endian="big"):
        x: n.u8

        def __post_init__(self):
            self.x = self.x + 1

    record = impl.unpack(P, b"\1")
    assert record.x == 2
    with pytest.raises(n.FrozenInstanceError):
        record.x = 3


def test_init_vars(impl):
    n = names(impl)

    class P(n.Record, endian="big"):
        x: n.u8
        plus: n.InitVar[int] = 5

        def __post_init__(self, plus):
            self.x += plus

    class Q(n.Record, endian="big"):
        x: n.u8
        plus: n.InitVar[int]

        def __post_init__(self, plus):
            pass

    assert impl.unpack(P, b"\1").x == 6
    with pytest.raises(TypeError, match="plus: an InitVar without a default"):
        impl.unpack(Q, b"\1")


def test_post_init_sees_inner_records_first(impl):
    n = names(impl)
    seen = []

    class Inner(n.Record):
        x: n.u8

        def __post_init__(self):
            seen.append(("inner", self.x))

    class P(n.Record, endian="big"):
        inner: Inner
        items: Annotated[tuple[Inner, ...], n.Count(2)]

        def __post_init__(self):
            seen.append(("outer", self.inner.x))

    impl.unpack(P, b"\1\2\3")
    assert seen == [("inner", 1), ("inner", 2), ("inner", 3), ("outer", 1)]


def test_errors_of_post_init_pass(impl):
    n = names(impl)

    class P(n.Record, endian="big"):
        x: n.u8

        def __post_init__(self):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        impl.unpack(P, b"\1")


def test_class_variables_and_methods_are_no_fields(impl):
    n = names(impl)

    class P(n.Record, endian="big"):
        limit: n.ClassVar[int] = 5
        x: n.u8

        @property
        def twice(self):
            return 2 * self.x

    assert both(impl, P, b"\3", 3).twice == 6


def test_packed_records_keep_bits_in_slots(impl):
    n = names(impl)

    class P(n.Record, packed=True, endian="big"):
        a: Annotated[int, n.Bits(7)]
        b: Annotated[bool, n.Bits(1)]
        c: int

    both(impl, P, b"\x0b\0\0\0\0\0\0\0\2", 5, True, 2)


# ---- buffers and offsets


def buffers(data: bytes) -> list[Any]:
    mapped = mmap.mmap(-1, len(data))
    mapped[:] = data
    return [data, bytearray(data), memoryview(data), array.array("B", data), mapped]


def test_buffers(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u16, rest=bytes)
    for buffer in buffers(b"\0\1ab"):
        assert impl.unpack(cls, buffer) == cls(1, b"ab")
    assert impl.unpack(cls, array.array("H", [0, 1]))
    assert impl.unpack(cls, memoryview(b"__\0\1ab")[2:]) == cls(1, b"ab")


def test_offsets(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u8, n=n.u8, data=Annotated[bytes, n.SizedBy("n")])
    assert impl.unpack(cls, b"__\1\2abcd", 2) == cls(1, 2, b"ab")
    assert impl.unpack(cls, b"_\1\0", offset=layouts.Index(1)) == cls(1, 0, b"")
    assert impl.unpack(cls, b"_\1\0", True) == cls(1, 0, b"")


def test_reading_copies(impl):
    cls = define(impl, "big", rest=bytes)
    buffer = bytearray(b"abc")
    record = impl.unpack(cls, buffer)
    buffer[:] = b"xyz!"
    assert record.rest == b"abc" and type(record.rest) is bytes


def test_pack_into(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u16, n=n.u8, data=Annotated[bytes, n.SizedBy("n")])
    buffer = bytearray(b"." * 8)
    assert impl.pack_into(cls(1, 2, b"ab"), buffer) == 5
    assert buffer == b"\0\1\2ab..."
    assert impl.pack_into(cls(1, 2, b"ab"), memoryview(buffer)[1:], offset=2) == 5
    assert buffer == b"\0\1\2\0\1\2ab"
    assert impl.pack_into(define(impl, "big")(), buffer, 8) == 0


def test_pack_takes_subclasses_of_values(impl):
    class Number(int):
        pass

    class Data(bytes):
        pass

    n = names(impl)
    cls = define(impl, "big", a=Annotated[int, n.Bits(8)], rest=bytes)
    assert impl.pack(cls(Number(3), Data(b"ab"))) == b"\3ab"
    assert impl.pack(cls(True, b"")) == b"\1"


def test_items_may_come_as_tuple_or_list(impl):
    n = names(impl)
    cls = define(impl, "big", items=Annotated[tuple[n.u8, ...], n.Count(2)])
    assert impl.pack(cls([1, 2])) == impl.pack(cls((1, 2))) == b"\1\2"


def test_nothing_is_kept_of_an_earlier_layout(impl):
    """Classes of one name in different orders do not meet."""
    n = names(impl)
    inner = define(impl, None, a=n.u16)
    for endian, data in (("big", b"\0\1"), ("little", b"\1\0"), ("big", b"\0\1")):
        cls = define(impl, endian, inner=inner)
        assert impl.unpack(cls, data).inner.a == 1
