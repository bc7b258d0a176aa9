"""What `unpack` and `pack` say of bytes, values and classes that do not fit: whole messages."""

import copy
import enum
import pickle
from typing import Annotated, Any

import layouts
import pytest
from layouts import define, names

from ferrule.pure._wire_layout import WireError


class Kind(enum.Enum):
    REQUEST = 1
    REPLY = 2


class Name(enum.Enum):
    A = "a"


def refused(impl: Any, cls: Any, data: bytes, offset: int = 0) -> tuple[Any, ...]:
    """What the WireError says."""
    with pytest.raises(impl.WireError) as caught:
        impl.unpack(cls, data, offset)
    error = caught.value
    assert error.args == (error.offset, error.wanted, error.had)
    return error.offset, error.wanted, error.had, error.where


def sized(impl: Any, tp: Any = bytes, by: str = "u8", *numbers: int) -> Any:
    n = names(impl)
    return define(impl, "big", n=getattr(n, by), data=Annotated[tp, n.SizedBy("n", *numbers)])


# ---- the error itself


def test_wire_error(impl):
    error = impl.WireError(4, 2, 1, where="P.x")
    assert str(error) == "P.x: byte 4: wanted 2 bytes, had 1"
    assert str(impl.WireError(4, "0 or 1", 7)) == "byte 4: wanted 0 or 1, had 7"
    assert isinstance(error, ValueError)
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (other.args, other.where, str(other)) == (error.args, "P.x", str(error))
        assert (other.offset, other.wanted, other.had) == (4, 2, 1)


def test_both_implementations_share_it(impl):
    assert impl.WireError is WireError


# ---- short buffers


def test_short_scalars(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u8, b=n.u32, c=n.f64)
    for length in range(13):
        offset, size, name = (
            (0, 1, "a") if length < 1 else (1, 4, "b") if length < 5 else (5, 8, "c")
        )
        assert refused(impl, cls, bytes(length)) == (offset, size, length - offset, f"P.{name}")
        with pytest.raises(impl.WireError) as caught:
            impl.unpack(cls, bytearray(length))
        assert str(caught.value) == (
            f"P.{name}: byte {offset}: wanted {size} byte{'s' if size > 1 else ''}, "
            f"had {length - offset}"
        )


def test_offsets_count_from_the_buffers_first_byte(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u8, b=n.u32)
    assert refused(impl, cls, bytes(8), 5) == (6, 4, 2, "P.b")
    assert refused(impl, cls, memoryview(bytes(9))[1:], 5) == (6, 4, 2, "P.b")


def test_offset_at_or_beyond_the_end(impl):
    cls = define(impl, "big", a=names(impl).u16)
    assert refused(impl, cls, b"abc", 3) == (3, 2, 0, "P.a")
    assert refused(impl, cls, b"abc", 10) == (10, 2, 0, "P.a")
    assert refused(impl, cls, b"", 2**63 - 1) == (2**63 - 1, 2, 0, "P.a")
    assert refused(impl, cls, b"", 2**63 - 2) == (2**63 - 2, 2, 0, "P.a")


def test_short_bits(impl):
    n = names(impl)
    cls = define(
        impl,
        "big",
        x=n.u8,
        a=Annotated[int, n.Bits(4)],
        b=Annotated[bool, n.Bits(1)],
        c=Annotated[int, n.Bits(11)],
    )
    assert refused(impl, cls, b"\0\1") == (1, 2, 1, "P.a")


def test_short_bytes_and_text(impl):
    n = names(impl)
    for tp in (bytes, str):
        cls = define(impl, "big", data=Annotated[tp, n.Size(5)])
        assert refused(impl, cls, b"abc") == (0, 5, 3, "P.data")
        assert refused(impl, sized(impl, tp), b"\5abc") == (1, 5, 3, "P.data")
        assert refused(impl, sized(impl, tp, "u8", 4, 2), b"\5abc") == (1, 18, 3, "P.data")
    assert refused(impl, sized(impl, bytes, "u32"), b"\xff\xff\xff\xffabc") == (
        4,
        0xFFFFFFFF,
        3,
        "P.data",
    )


@pytest.mark.parametrize("scale", [1, 3, 65536])
def test_lengths_that_no_machine_can_count(impl, scale):
    cls = sized(impl, bytes, "u64", scale, 0)
    wanted = (2**64 - 1) * scale
    assert refused(impl, cls, b"\xff" * 8 + b"abc") == (8, wanted, 3, "P.data")
    n = names(impl)
    cls = define(impl, "big", n=n.u64, items=Annotated[tuple[n.u32, ...], n.Count("n")])
    assert refused(impl, cls, b"\xff" * 8 + b"abc") == (8, 4 * (2**64 - 1), 3, "P.items")


def test_short_nested(impl):
    n = names(impl)
    inner = define(impl, None, "Inner", a=n.u16, b=n.u32)
    cls = define(impl, "big", x=n.u8, inner=inner, y=n.u8)
    assert refused(impl, cls, b"\0\1") == (1, 2, 1, "P.inner.a")
    assert refused(impl, cls, b"\0\1\2\3") == (3, 4, 1, "P.inner.b")
    assert refused(impl, cls, bytes(7)) == (7, 1, 0, "P.y")
    outer = define(impl, "big", "Outer", p=cls)
    assert refused(impl, outer, bytes(4)) == (3, 4, 1, "Outer.p.inner.b")


def test_short_items(impl):
    n = names(impl)
    cls = define(impl, "big", n=n.u8, items=Annotated[tuple[n.u16, ...], n.Count("n")])
    assert refused(impl, cls, b"\3abc") == (1, 6, 3, "P.items")
    cls = define(impl, "big", items=Annotated[tuple[n.u16, ...], n.Count(3)])
    assert refused(impl, cls, b"abc") == (0, 6, 3, "P.items")
    pair = define(impl, None, "Pair", a=n.u8, b=n.u16)
    cls = define(impl, "big", n=n.u8, items=Annotated[list[pair], n.Count("n")])
    assert refused(impl, cls, b"\2abcd") == (1, 6, 4, "P.items")


def test_short_items_of_no_fixed_size(impl):
    n = names(impl)
    text = define(impl, None, "Text", n=n.u8, text=Annotated[str, n.SizedBy("n")])
    cls = define(impl, "big", n=n.u8, items=Annotated[list[text], n.Count("n")])
    assert refused(impl, cls, b"\3\0") == (1, 3, 1, "P.items")
    assert refused(impl, cls, b"\3\0\3ab") == (3, 3, 2, "P.items[1].text")
    assert refused(impl, cls, b"\3\0\2ab") == (5, 1, 0, "P.items[2].n")


def test_a_huge_count_allocates_nothing(impl):
    n = names(impl)
    empty = define(impl, None, "Empty")
    cls = define(impl, "big", n=n.u32, items=Annotated[tuple[n.u8, ...], n.Count("n")])
    assert refused(impl, cls, b"\xff" * 4) == (4, 0xFFFFFFFF, 0, "P.items")
    cls = define(impl, "big", n=n.u32, items=Annotated[tuple[empty, ...], n.Count("n")])
    assert refused(impl, cls, b"\0\1\0\1") == (4, "at most 65536 items", 65537, "P.items")


def test_short_tails(impl):
    n = names(impl)
    a = define(impl, None, "A", x=n.u32)
    cls = define(impl, "big", kind=n.u8, body=Annotated[a, n.Tagged("kind", {1: a})])
    assert refused(impl, cls, b"\1ab") == (1, 4, 2, "P.body.x")


# ---- broken contents


def test_bool8(impl):
    n = names(impl)
    cls = define(impl, "big", x=n.u8, flag=n.bool8)
    assert refused(impl, cls, b"\0\2") == (1, "0 or 1", 2, "P.flag")
    cls = define(impl, "big", flags=Annotated[list[n.bool8], n.Count(3)])
    assert refused(impl, cls, b"\1\0\xff") == (2, "0 or 1", 255, "P.flags[2]")


def test_utf_8(impl):
    n = names(impl)
    cls = define(impl, "big", x=n.u8, s=Annotated[str, n.Size(4)])
    assert refused(impl, cls, b"\0\xff\0\0\0") == (1, "UTF-8", b"\xff\0\0\0", "P.s")
    assert refused(impl, cls, b"\0a\xed\xa0\x80") == (1, "UTF-8", b"a\xed\xa0\x80", "P.s")
    long = b"\xc3" * 40
    assert refused(impl, sized(impl, str), b"\x28" + long) == (1, "UTF-8", long[:32], "P.data")
    assert refused(impl, define(impl, "big", s=str), long) == (0, "UTF-8", long[:32], "P.s")


def test_unknown_members(impl):
    n = names(impl)
    cls = define(impl, "big", x=n.u8, kind=Annotated[Kind, n.u16])
    assert refused(impl, cls, b"\0\0\7") == (1, "a Kind", 7, "P.kind")
    cls = define(impl, "big", a=Annotated[int, n.Bits(4)], kind=Annotated[Kind, n.Bits(12)])
    assert refused(impl, cls, b"\x10\3") == (0, "a Kind", 3, "P.kind")
    cls = define(impl, "big", kinds=Annotated[tuple[Annotated[Kind, n.i8], ...], n.Count(2)])
    assert refused(impl, cls, b"\1\xff") == (1, "a Kind", -1, "P.kinds[1]")
    cls = define(impl, "big", kind=Annotated[Name, n.u8])
    assert refused(impl, cls, b"\1") == (0, "a Name", 1, "P.kind")


def test_unknown_tags(impl):
    n = names(impl)
    a = define(impl, None, "A", x=n.u8)
    cls = define(
        impl, "big", kind=n.i16, body=Annotated[a, n.Tagged("kind", {9: a, 1: a, -1: bytes})]
    )
    assert refused(impl, cls, b"\0\7abc") == (2, "a tag of -1, 1, 9", 7, "P.body")
    kind = Annotated[Kind, n.u8]
    cls = define(impl, "big", kind=kind, body=Annotated[a, n.Tagged("kind", {Kind.REQUEST: a})])
    assert refused(impl, cls, b"\2abc") == (1, "a tag of 1", 2, "P.body")


def test_lengths_below_nothing(impl):
    cls = sized(impl, bytes, "u8", 4, 20)
    assert refused(impl, cls, b"\4abc") == (1, "at least 20 by n", 16, "P.data")
    cls = sized(impl, bytes, "i8")
    assert refused(impl, cls, b"\xffabc") == (1, "at least 0 by n", -1, "P.data")
    n = names(impl)
    cls = define(impl, "big", n=n.i8, items=Annotated[tuple[n.u8, ...], n.Count("n")])
    assert refused(impl, cls, b"\xfeabc") == (1, "at least 0 by n", -2, "P.items")


# ---- which is first


def test_the_first_in_wire_order_is_reported(impl):
    n = names(impl)
    cls = define(
        impl,
        "big",
        flag=n.bool8,
        kind=Annotated[Kind, n.u8],
        text=Annotated[str, n.Size(2)],
        z=n.u8,
    )
    assert refused(impl, cls, b"\2\7\xff\xff") == (0, "0 or 1", 2, "P.flag")
    assert refused(impl, cls, b"\1\7\xff\xff") == (1, "a Kind", 7, "P.kind")
    assert refused(impl, cls, b"\1\1\xff\xff") == (2, "UTF-8", b"\xff\xff", "P.text")
    assert refused(impl, cls, b"\1\1ab") == (4, 1, 0, "P.z")


def test_checksums_come_after_all_fields_of_their_record(impl):
    n = names(impl)
    inner = define(impl, None, "Inner", sum=Annotated[n.u32, n.Crc32("flag")], flag=n.bool8)
    cls = define(
        impl, "big", sum=Annotated[n.u16, n.InternetChecksum("inner")], inner=inner, flag=n.bool8
    )
    good = impl.pack(cls(0, inner(0, True), True))
    assert refused(impl, cls, b"\0\0\0\0\0\0\2\2") == (6, "0 or 1", 2, "P.inner.flag")
    assert refused(impl, cls, b"\0\0\0\0\0\0\1\2")[3] == "P.inner.sum"
    assert refused(impl, cls, b"\0\0" + good[2:7] + b"\2") == (7, "0 or 1", 2, "P.flag")
    assert refused(impl, cls, b"\0\0" + good[2:])[3] == "P.sum"


# ---- arguments


@pytest.mark.parametrize("function", ["unpack", "pack", "pack_into"])
def test_no_record(impl, function):
    args = {"unpack": (int, b""), "pack": (3,), "pack_into": (3, bytearray())}[function]
    wanted = "a record class, got int" if function == "unpack" else "a record, got int"
    with pytest.raises(TypeError) as caught:
        getattr(impl, function)(*args)
    assert str(caught.value) == f"{function}() wants {wanted}"


def test_class_and_instance_mixed_up(impl):
    cls = define(impl, "big", x=names(impl).u8)
    with pytest.raises(TypeError) as caught:
        impl.unpack(cls(1), b"\1")
    assert str(caught.value) == "unpack() wants a record class, got P P(x=1)"
    with pytest.raises(TypeError) as caught:
        impl.pack(cls)
    assert str(caught.value).startswith("pack() wants a record, got ")


def test_no_buffer(impl):
    cls = define(impl, "big", x=names(impl).u8)
    with pytest.raises(TypeError) as caught:
        impl.unpack(cls, "text")
    assert str(caught.value) == "unpack() wants a contiguous buffer, got str"
    with pytest.raises(TypeError) as caught:
        impl.pack_into(cls(1), "text")
    assert str(caught.value) == "pack_into() wants a contiguous buffer, got str"
    with pytest.raises(BufferError):
        impl.unpack(cls, memoryview(b"abcd")[::2])


def test_read_only(impl):
    cls = define(impl, "big", x=names(impl).u8)
    for buffer in (b"abc", memoryview(b"abc")):
        with pytest.raises((TypeError, BufferError)):
            impl.pack_into(cls(1), buffer)


@pytest.mark.parametrize("function", ["unpack", "pack_into"])
def test_offsets_that_are_none(impl, function):
    cls = define(impl, "big", x=names(impl).u8)
    first = cls if function == "unpack" else cls(1)
    call = getattr(impl, function)
    for offset, error, text in (
        ("1", TypeError, f"{function}() offset must be an int, not str"),
        (1.0, TypeError, f"{function}() offset must be an int, not float"),
        (-1, ValueError, f"{function}() offset must not be negative, got -1"),
        (2**63, OverflowError, "cannot fit 'int' into an index-sized integer"),
    ):
        with pytest.raises(error) as caught:
            call(first, bytearray(4), offset)
        assert str(caught.value) == text


def test_too_small(impl):
    n = names(impl)
    cls = define(impl, "big", x=n.u32, y=n.u8)
    buffer = bytearray(b"......")
    for offset, had in ((2, 4), (6, 0), (9, 0)):
        with pytest.raises(impl.WireError) as caught:
            impl.pack_into(cls(1, 2), buffer, offset)
        error = caught.value
        assert (error.offset, error.wanted, error.had, error.where) == (
            offset,
            5,
            had,
            "pack_into()",
        )
    assert str(error) == "pack_into(): byte 9: wanted 5 bytes, had 0"
    assert buffer == b"......"


# ---- values


def unpackable(impl: Any, record: Any) -> str:
    """The one error that both functions give; nothing is written."""
    with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
        impl.pack(record)
    buffer = bytearray(b"." * 100)
    with pytest.raises(caught.type) as again:
        impl.pack_into(record, buffer)
    assert str(again.value) == str(caught.value)
    assert buffer == b"." * 100
    return f"{caught.type.__name__}: {caught.value}"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (16, "OverflowError: P.x: wanted 0 to 15, got 16"),
        (-1, "OverflowError: P.x: wanted 0 to 15, got -1"),
        (2**70, "OverflowError: P.x: wanted 0 to 15, got 1180591620717411303424"),
        ("x", "TypeError: P.x: wanted int, got str 'x'"),
        (1.0, "TypeError: P.x: wanted int, got float 1.0"),
        (None, "TypeError: P.x: wanted int, got NoneType None"),
    ],
)
def test_bits_out_of_range(impl, value, said):
    n = names(impl)
    cls = define(impl, "big", x=Annotated[int, n.Bits(4)], y=Annotated[int, n.Bits(4)])
    assert unpackable(impl, cls(value, 0)) == said


def test_flags_are_bools(impl):
    n = names(impl)
    cls = define(impl, "big", x=Annotated[bool, n.Bits(1)], y=Annotated[int, n.Bits(7)])
    assert unpackable(impl, cls(1, 0)) == "TypeError: P.x: wanted bool, got int 1"


def test_members(impl):
    n = names(impl)

    class Large(enum.Enum):
        A = 300

    for tp in (Annotated[Kind, n.u8], Annotated[Kind, n.Bits(8)]):
        cls = define(impl, "big", x=tp)
        assert unpackable(impl, cls(1)) == "TypeError: P.x: wanted Kind, got int 1"
        assert unpackable(impl, cls(None)) == "TypeError: P.x: wanted Kind, got NoneType None"
    for tp in (Annotated[Large, n.u8], Annotated[Large, n.Bits(8)]):
        said = "OverflowError: P.x: wanted 0 to 255, got 300"
        assert unpackable(impl, define(impl, "big", x=tp)(Large.A)) == said
    cls = define(impl, "big", x=Annotated[Name, n.u8])
    assert unpackable(impl, cls(Name.A)) == "TypeError: P.x: wanted int, got str 'a'"


def test_bytes_and_text(impl):
    cls = define(impl, "big", x=bytes)
    assert unpackable(impl, cls("x")) == "TypeError: P.x: wanted bytes, got str 'x'"
    assert unpackable(impl, cls(None)) == "TypeError: P.x: wanted bytes, got NoneType None"
    cls = define(impl, "big", x=str)
    assert unpackable(impl, cls(b"x")) == "TypeError: P.x: wanted str, got bytes b'x'"
    said = r"ValueError: P.x: wanted UTF-8, got str '\ud800'"
    assert unpackable(impl, cls("\ud800")) == said
    cls = sized(impl)
    assert unpackable(impl, cls(1, 3)) == "TypeError: P.data: wanted bytes, got int 3"


def test_lengths_that_disagree(impl):
    n = names(impl)
    assert unpackable(impl, sized(impl)(3, b"abcd")) == "ValueError: P.n: says 3, data has 4 bytes"
    cls = sized(impl, str)
    assert unpackable(impl, cls(2, "a\xe9")) == "ValueError: P.n: says 2, data has 3 bytes"
    cls = define(impl, "big", n=n.u8, items=Annotated[list[n.u8], n.Count("n")])
    assert unpackable(impl, cls(3, [1])) == "ValueError: P.n: says 3, items has 1 items"
    cls = define(impl, "big", items=Annotated[list[n.u8], n.Count(3)])
    assert unpackable(impl, cls([1])) == "ValueError: P.items: wanted 3 items, got 1"


def test_items(impl):
    n = names(impl)
    cls = define(impl, "big", x=Annotated[tuple[n.u8, ...], n.Count(2)])
    assert unpackable(impl, cls(None)) == "TypeError: P.x: wanted tuple, got NoneType None"
    assert unpackable(impl, cls("ab")) == "TypeError: P.x: wanted tuple, got str 'ab'"
    said = "OverflowError: P.x[1]: wanted 0 to 255, got 256"
    assert unpackable(impl, cls((1, 256))) == said
    assert unpackable(impl, cls((1, "x"))) == "TypeError: P.x[1]: wanted int, got str 'x'"
    cls = define(impl, "big", x=Annotated[list[n.i64], n.Count(1)])
    said = f"OverflowError: P.x[0]: wanted {-(2**63)} to {2**63 - 1}, got {2**63}"
    assert unpackable(impl, cls((2**63,))) == said
    cls = define(impl, "big", x=Annotated[list[n.f32], n.Count(1)])
    assert unpackable(impl, cls(("x",))) == "TypeError: P.x[0]: wanted float, got str 'x'"
    assert unpackable(impl, cls((1e300,))) == "OverflowError: P.x[0]: wanted f32, got float 1e+300"
    assert unpackable(impl, cls((2**25 + 1,))) == (
        "ValueError: P.x[0]: wanted f32, got int 33554433"
    )
    cls = define(impl, "big", x=Annotated[list[n.bool8], n.Count(1)])
    assert unpackable(impl, cls([1])) == "TypeError: P.x[0]: wanted bool, got int 1"


def test_nested(impl):
    n = names(impl)
    inner = define(impl, None, "Inner", a=Annotated[int, n.Bits(8)])
    other = define(impl, None, "Other", a=Annotated[int, n.Bits(8)])
    cls = define(impl, "big", x=inner)
    assert unpackable(impl, cls(3)) == "TypeError: P.x: wanted Inner, got int 3"
    assert unpackable(impl, cls(other(3))) == "TypeError: P.x: wanted Inner, got Other Other(a=3)"
    assert unpackable(impl, cls(inner(256))) == "OverflowError: P.x.a: wanted 0 to 255, got 256"
    cls = define(impl, "big", x=Annotated[tuple[inner, ...], n.Count(2)])
    said = "OverflowError: P.x[1].a: wanted 0 to 255, got 256"
    assert unpackable(impl, cls((inner(1), inner(256)))) == said
    assert unpackable(impl, cls((inner(1), 3))) == "TypeError: P.x[1]: wanted Inner, got int 3"


def test_tails(impl):
    n = names(impl)
    a = define(impl, None, "A", x=n.u8)
    b = define(impl, None, "B", x=n.u8)
    cls = define(
        impl, "big", kind=n.u8, body=Annotated[object, n.Tagged("kind", {1: a, 2: b, 3: bytes})]
    )
    assert unpackable(impl, cls(1, b(1))) == "TypeError: P.body: wanted A for tag 1, got B"
    assert unpackable(impl, cls(2, b"x")) == "TypeError: P.body: wanted B for tag 2, got bytes"
    assert unpackable(impl, cls(3, a(1))) == "TypeError: P.body: wanted bytes for tag 3, got A"
    assert unpackable(impl, cls(7, a(1))) == "ValueError: P.kind: wanted a tag of 1, 2, 3, got 7"


def test_a_subclass_is_another_record(impl):
    n = names(impl)

    class A(n.Record):
        x: n.u8

    class B(A):
        y: n.u8

    cls = define(impl, "big", x=A)
    assert unpackable(impl, cls(B(1, 2))).startswith("TypeError: P.x: wanted A, got B ")


def test_what_is_sensitive_does_not_show(impl):
    n = names(impl)
    hidden = "sensitive_data"
    for annotation, value, said in (
        (Annotated[int, n.Bits(8), hidden], 300, "OverflowError: P.x: wanted 0 to 255, got ***"),
        (Annotated[int, n.Bits(8), hidden], "pw", "TypeError: P.x: wanted int, got str ***"),
        (Annotated[bytes, hidden], "pw", "TypeError: P.x: wanted bytes, got str ***"),
        (Annotated[str, hidden], "pw\ud800", "ValueError: P.x: wanted UTF-8, got str ***"),
        (
            Annotated[list[n.u8], n.Count(1), hidden],
            [300],
            "OverflowError: P.x[0]: wanted 0 to 255, got ***",
        ),
        (
            Annotated[list[n.f32], n.Count(1), hidden],
            [1e300],
            "OverflowError: P.x[0]: wanted f32, got float ***",
        ),
    ):
        assert unpackable(impl, define(impl, "big", x=annotation)(value)) == said


def test_what_is_sensitive_does_not_show_on_reading(impl):
    n = names(impl)
    hidden, far = "sensitive_data", b"\0" * 4
    sized = Annotated[bytes, n.SizedBy("n", 2, 5)]
    listed = Annotated[list[n.u16], n.Count("n")]
    tagged = Annotated[bytes, n.Tagged("n", {1: bytes})]
    for fields, data, said in (
        ({"x": Annotated[n.bool8, hidden]}, b"\7", "P.x: byte 0: wanted 0 or 1, had ***"),
        ({"x": Annotated[Kind, n.u8, hidden]}, b"\7", "P.x: byte 0: wanted a Kind, had ***"),
        ({"x": Annotated[Kind, n.Bits(8), hidden]}, b"\7", "P.x: byte 0: wanted a Kind, had ***"),
        (
            {"x": Annotated[list[Annotated[Kind, n.u8]], n.Count(1), hidden]},
            b"\7",
            "P.x[0]: byte 0: wanted a Kind, had ***",
        ),
        ({"x": Annotated[str, hidden]}, b"pw\xff", "P.x: byte 0: wanted UTF-8, had ***"),
        (
            {"x": Annotated[str, n.Size(3), hidden]},
            b"pw\xff",
            "P.x: byte 0: wanted UTF-8, had ***",
        ),
        (
            {"x": Annotated[n.u32, n.Crc32(), hidden]},
            b"\0\0\0\1",
            "P.x: byte 0: wanted CRC32 0x00000000, had ***",
        ),
        (
            {"n": Annotated[n.u8, hidden], "x": sized},
            b"\1",
            "P.x: byte 1: wanted at least 5 by n, had ***",
        ),
        ({"n": Annotated[n.u8, hidden], "x": sized}, b"\7", "P.x: byte 1: wanted ***, had 0"),
        (
            {"n": Annotated[n.u8, hidden], "x": listed},
            b"\3" + far,
            "P.x: byte 1: wanted ***, had 4",
        ),
        (
            {"n": Annotated[n.u8, hidden], "x": tagged},
            b"\3",
            "P.x: byte 1: wanted a tag of 1, had ***",
        ),
    ):
        cls = define(impl, "big", **fields)
        with pytest.raises(n.WireError) as caught:
            impl.unpack(cls, data)
        assert str(caught.value) == said


def test_what_says_a_length_in_secret(impl):
    n = names(impl)
    secret = Annotated[n.u8, "sensitive_data"]
    for annotation, number, value, said in (
        (Annotated[bytes, n.SizedBy("n")], 7, b"ab", "ValueError: P.n: says ***, x has 2 bytes"),
        (
            Annotated[list[n.u8], n.Count("n")],
            7,
            [1],
            "ValueError: P.n: says ***, x has 1 items",
        ),
        (
            Annotated[bytes, n.Tagged("n", {1: bytes})],
            7,
            b"",
            "ValueError: P.n: wanted a tag of 1, got ***",
        ),
        (
            Annotated[bytes, n.Tagged("n", {1: bytes})],
            1,
            5,
            "TypeError: P.x: wanted bytes for tag ***, got int",
        ),
    ):
        cls = define(impl, "big", n=secret, x=annotation)
        assert unpackable(impl, cls(number, value)) == said


# ---- classes


def uncompilable(impl: Any, cls: Any) -> str:
    """What each function says that needs the layout, but for its name."""
    with pytest.raises(TypeError) as caught:
        impl.unpack(cls, b"")
    text = str(caught.value)
    assert text.startswith("unpack(): ")
    with pytest.raises(TypeError) as again:
        impl.unpack(cls, b"")
    assert str(again.value) == text
    return text.removeprefix("unpack(): ")


@pytest.mark.parametrize(
    "annotation",
    [
        int,
        float,
        bool,
        object,
        Any,
        dict,
        bytearray,
        Kind,
        tuple[int, ...],
        bytes | None,
        list[bytes],
    ],
    ids=str,
)
def test_no_layout(impl, annotation):
    cls = define(impl, "big", x=annotation)
    assert uncompilable(impl, cls) == f"P.x: no wire layout for {annotation!r}"


def test_empty_items_in_items(impl):
    """A few bytes would make very many records."""
    n = names(impl)
    empty = define(impl, "big", "Empty")
    inner = define(impl, "big", "Inner", n=n.u16, items=Annotated[list[empty], n.Count("n")])
    assert len(impl.unpack(inner, b"\xff\xff").items) == 0xFFFF
    said = "P.x: its items have arrays of items of no bytes"
    assert uncompilable(impl, define(impl, "big", x=Annotated[list[inner], n.Count(2)])) == said
    between = define(impl, "big", "Between", n=n.u8, x=Annotated[object, n.Tagged("n", {1: inner})])
    assert uncompilable(impl, define(impl, "big", x=Annotated[list[between], n.Count(2)])) == said
    fixed = define(impl, "big", "Fixed", items=Annotated[tuple[empty, ...], n.Count(65536)])
    assert uncompilable(impl, define(impl, "big", x=Annotated[list[fixed], n.Count(2)])) == said


def test_marks_on_the_wrong_type(impl):
    n = names(impl)
    inner = define(impl, None, "Inner", x=bytes)
    for annotation in (
        Annotated[str, n.Bits(8)],
        Annotated[bool, n.Bits(8)],
        Annotated[n.u8, n.Bits(8)],
        Annotated[Annotated[bytes, n.Size(4)], n.SizedBy("n")],
        Annotated[Kind, n.f32],
        Annotated[Kind, "u8"],
        Annotated[int, n.SizedBy("n")],
        Annotated[tuple[n.u8, n.u8], n.Count(2)],
        Annotated[tuple[n.u8], n.Count(2)],
        Annotated[bytes, n.Count(2)],
        Annotated[list[int], n.Count(2)],
        Annotated[list[bytes], n.Count(2)],
        Annotated[list[Annotated[bytes, n.Size(2)]], n.Count(2)],
        Annotated[list[inner], n.Count(2)],
        Annotated[list[list[n.u8]], n.Count(2)],
        Annotated[bytes, n.SizedBy("n"), n.SizedBy("n")],
        Annotated[int, n.Bits(8), n.SizedBy("n")],
    ):
        cls = define(impl, "big", n=n.u8, x=annotation)
        assert uncompilable(impl, cls) == f"P.x: no wire layout for {annotation!r}"


def test_pack_names_itself(impl):
    cls = define(impl, "big", x=object)
    with pytest.raises(TypeError) as caught:
        impl.pack(cls(1))
    assert str(caught.value) == "pack(): P.x: no wire layout for <class 'object'>"
    with pytest.raises(TypeError) as caught:
        impl.pack_into(cls(1), bytearray())
    assert str(caught.value) == "pack_into(): P.x: no wire layout for <class 'object'>"


def test_nested_classes_name_themselves(impl):
    inner = define(impl, None, "Inner", x=object)
    assert uncompilable(impl, define(impl, "big", y=inner)) == (
        "Inner.x: no wire layout for <class 'object'>"
    )


def test_unresolved_names(impl):
    module = layouts.compiled(
        impl,
        """
        from __future__ import annotations

        class P(Record):
            x: u8
            deeper: P
        """,
    )
    assert uncompilable(impl, module.P).startswith("P.deeper: no wire layout for ")


def test_runs_that_do_not_end(impl):
    n = names(impl)

    def bits(*widths: int, **more: Any) -> Any:
        fields = {f"f{i}": Annotated[int, n.Bits(width)] for i, width in enumerate(widths)}
        return define(impl, "big", **fields, **more)

    for cls, first, total in (
        (bits(7), 0, 7),
        (bits(4, 3), 0, 7),
        (bits(7, x=n.u8), 0, 7),
        (bits(8, 60, 8), 1, 68),
        (bits(63, 9), 0, 72),
    ):
        assert uncompilable(impl, cls) == (
            f"P.f{first}: its run of bit fields has {total} bits, no whole bytes up to 64 bits"
        )


@pytest.mark.parametrize("order", ["after", "missing", "itself"])
def test_measures_stand_before(impl, order):
    n = names(impl)
    a = define(impl, None, "A", x=n.u8)
    by = {"after": "n", "missing": "m", "itself": "x"}[order]
    for annotation in (
        Annotated[bytes, n.SizedBy(by)],
        Annotated[list[n.u8], n.Count(by)],
        Annotated[a, n.Tagged(by, {1: a})],
    ):
        text = uncompilable(impl, define(impl, "big", x=annotation, n=n.u8))
        assert text == f"P.x: {by!r} is no integer field before it"


def test_measures_are_integers(impl):
    n = names(impl)
    inner = define(impl, None, "Inner", x=n.u8)
    for measure in (
        n.f32,
        Annotated[bytes, n.Size(1)],
        inner,
        n.bool8,
        Annotated[bool, n.Bits(1)],
        Annotated[Kind, n.u8],
        Annotated[n.u32, n.Crc32()],
    ):
        for annotation in (Annotated[bytes, n.SizedBy("n")], Annotated[list[n.u8], n.Count("n")]):
            more = {"y": Annotated[int, n.Bits(7)]} if measure == Annotated[bool, n.Bits(1)] else {}
            text = uncompilable(impl, define(impl, "big", n=measure, **more, x=annotation))
            assert text == "P.x: 'n' is no integer field before it"
    cls = define(impl, "big", n=n.f64, x=Annotated[inner, n.Tagged("n", {1: inner})])
    assert uncompilable(impl, cls) == "P.x: 'n' is no integer field before it"


def test_what_takes_all_stands_last(impl):
    n = names(impl)
    inner = define(impl, None, "Inner", x=bytes)
    for annotation in (bytes, str, inner, Annotated[bytes, n.Tagged("n", {1: bytes})]):
        text = uncompilable(impl, define(impl, "big", n=n.u8, x=annotation, y=n.u8))
        assert text == "P.x: takes all that is left, but is not the last field"


def test_cases_are_records_or_bytes(impl):
    n = names(impl)
    a = define(impl, None, "A", x=n.u8)
    case, tag = "a case wants a record class or bytes, got ", "a tag wants an int, got "
    for tagged, said in (
        (n.Tagged("n", {1: int}), f"{case}<class 'int'>"),
        (n.Tagged("n", {1: a}, str), f"{case}<class 'str'>"),
        (n.Tagged("n", {"x": a}), f"{tag}str 'x'"),
        (n.Tagged("n", {Name.A: a}), f"{tag}Name {Name.A!r}"),
        (n.Tagged("n", {None: a}), f"{tag}NoneType None"),
    ):
        cls = define(impl, "big", n=n.u8, x=Annotated[object, tagged])
        assert uncompilable(impl, cls) == f"P.x: {said}"


def test_too_deep(impl):
    n = names(impl)
    cls = define(impl, "big", x=n.u8)
    for _ in range(64):
        cls = define(impl, "big", x=cls)
    assert uncompilable(impl, cls) == "P.x: nested deeper than 64"


def test_a_case_that_holds_itself(impl):
    n = names(impl)
    tagged = n.Tagged("n", {1: bytes})
    cls = define(impl, "big", n=n.u8, x=Annotated[object, tagged])
    tagged.cases[2] = cls
    assert uncompilable(impl, cls) == "P.x: nested deeper than 64"


def test_checksum_fields(impl):
    n = names(impl)
    for annotation, said in (
        (Annotated[n.u16, n.Crc32()], "Crc32 stands with u32"),
        (Annotated[n.u64, n.Crc32c()], "Crc32c stands with u32"),
        (Annotated[n.u32, n.InternetChecksum()], "InternetChecksum stands with u16"),
        (Annotated[n.i32, n.Crc32()], "Crc32 stands with u32"),
        (Annotated[int, n.Crc32()], "Crc32 stands with u32"),
        (Annotated[bytes, n.Crc32()], "Crc32 stands with u32"),
        (Annotated[n.u32, n.Crc32("missing")], "no other field 'missing' to sum"),
        (Annotated[n.u32, n.Crc32("x")], "no other field 'x' to sum"),
    ):
        cls = define(impl, "big", n=n.u8, x=annotation)
        assert uncompilable(impl, cls) == f"P.x: {said}"
    annotation = Annotated[n.u32, n.Crc32(), n.Crc32()]
    cls = define(impl, "big", n=n.u8, x=annotation)
    assert uncompilable(impl, cls) == f"P.x: no wire layout for {annotation!r}"


def test_checksums_over_each_other(impl):
    n = names(impl)
    cls = define(impl, "big", a=Annotated[n.u32, n.Crc32()], b=Annotated[n.u32, n.Crc32()])
    assert uncompilable(impl, cls) == "P.a: covers a checksum that covers it"
