"""`view`: records read and written where they lie."""

import array
import copy
import enum
import functools
import pickle
import sys
from typing import Annotated, Any

import layouts
import pytest
from layouts import define, names


class Kind(enum.Enum):
    REQUEST = 1
    REPLY = 2


def refused(impl: Any, function: Any, *args: Any) -> tuple[Any, ...]:
    """What the WireError says."""
    with pytest.raises(impl.WireError) as caught:
        function(*args)
    error = caught.value
    return error.offset, error.wanted, error.had, error.where


@pytest.fixture
def shapes(impl):
    """A class with a field of every shape."""
    n = names(impl)
    inner = define(impl, None, "Inner", a=n.u8, b=n.u16)
    text = define(impl, None, "Text", n=n.u8, text=Annotated[str, n.SizedBy("n")])
    return define(
        impl,
        "big",
        number=n.u16,
        real=n.f32,
        flag=n.bool8,
        high=Annotated[int, n.Bits(4)],
        low=Annotated[int, n.Bits(3)],
        bit=Annotated[bool, n.Bits(1)],
        kind=Annotated[Kind, n.u8],
        four=Annotated[bytes, n.Size(4)],
        name=Annotated[str, n.Size(4)],
        inner=inner,
        pair=Annotated[tuple[n.i16, ...], n.Count(2)],
        n=n.u8,
        data=Annotated[bytes, n.SizedBy("n")],
        texts=Annotated[list[text], n.Count("n")],
        body=Annotated[object, n.Tagged("kind", {Kind.REQUEST: inner, Kind.REPLY: bytes})],
    )


PACKET = (
    b"\1\2\x3f\xc0\0\0\1\x5b\1abcdh\xc3\xa9\0"  # up to name
    b"\x07\0\x08\xff\xff\0\1"  # inner, pair
    b"\2xy\1A\0\x09\0\x0a"  # n, data, texts, body
)


def values(view: Any) -> list[Any]:
    return [getattr(view, name) for name in type(view).__match_args__]


# ---- reading


def test_every_shape(impl, shapes):
    view = impl.view(shapes, PACKET)
    assert (view.number, view.real, view.flag) == (0x0102, 1.5, True)
    assert (view.high, view.low, view.bit) == (5, 5, True)
    assert view.flag is True and view.bit is True
    assert view.kind is Kind.REQUEST
    assert (view.four, view.name) == (b"abcd", "h\xe9")
    assert type(view.four) is bytes
    assert (view.inner.a, view.inner.b) == (7, 8)
    assert view.pair == (-1, 1)
    assert (view.n, view.data) == (2, b"xy")
    assert type(view.texts) is list
    assert [one.text for one in view.texts] == ["A", ""]
    assert (view.body.a, view.body.b) == (9, 10)
    record = impl.unpack(shapes, PACKET)
    assert view == record and record == view
    assert impl.pack(view) == impl.pack(record) == bytes(view) == PACKET


def test_what_it_is(impl, shapes):
    view = impl.view(shapes, PACKET)
    assert type(view) is impl.LayoutView
    assert view.__class__ is shapes
    assert isinstance(view, shapes) and isinstance(view, names(impl).Record)
    assert type(view.inner) is type(view.texts[0]) is type(view.body) is impl.LayoutView
    with pytest.raises(TypeError):
        impl.LayoutView()


def test_reads_what_is_there_now(impl, shapes):
    buffer = bytearray(PACKET)
    view = impl.view(shapes, buffer)
    inner, body = view.inner, view.body
    buffer[:2] = b"\xff\xff"
    assert view.number == 0xFFFF
    buffer[18] = 1
    assert (inner.b, view.inner.b) == (0x0108, 0x0108)
    buffer[-1] = 99
    assert body.b == 99


def test_offset(impl):
    n = names(impl)
    cls = define(impl, "little", a=n.u16, rest=bytes)
    view = impl.view(cls, b"__\1\0xy", 2)
    assert (view.a, view.rest) == (1, b"xy")
    assert impl.view(cls, b"__\1\0xy", offset=layouts.Index(2)).rest == b"xy"
    assert bytes(view) == b"\1\0xy"


def test_only_as_long_as_it_is(impl):
    """A record of fixed size covers no more; one that takes all covers all."""
    n = names(impl)
    assert bytes(impl.view(define(impl, "big", a=n.u8), b"\1\2\3")) == b"\1"
    cls = define(impl, "big", n=n.u8, data=Annotated[bytes, n.SizedBy("n")])
    assert bytes(impl.view(cls, b"\1ab")) == b"\1a"


def test_buffers(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u16)
    for buffer in (
        b"\0\1",
        bytearray(b"\0\1"),
        memoryview(b"_\0\1")[1:],
        array.array("B", [0, 1]),
        array.array("H", b"\0\1"),
    ):
        assert impl.view(cls, buffer).a == 1


def test_a_view_is_a_buffer_for_others(impl):
    n = names(impl)
    inner = define(impl, "big", "Inner", a=n.u8, b=n.u8)
    outer = define(impl, "big", x=n.u8, inner=inner, rest=bytes)
    view = impl.view(outer, bytearray(b"\1\2\3\4\5"))
    assert impl.unpack(inner, view.inner) == inner(2, 3)
    assert impl.unpack(outer, view) == outer(1, inner(2, 3), b"\4\5")
    again = impl.view(inner, view.inner)
    again.b = 9
    assert view.inner.b == 9
    shifted = impl.view(define(impl, "big", b=n.u8), view.inner, 1)
    assert shifted.b == 9
    # no further than the view covers
    with pytest.raises(impl.WireError):
        impl.unpack(outer, view.inner)
    assert impl.crc32(view) == impl.crc32(b"\1\2\x09\4\5")
    assert list(impl.index_many(inner, view.inner)) == [0, 2]


def test_nested_views_lie_in_the_same_memory(impl):
    n = names(impl)
    deep = define(impl, None, "Deep", x=n.u16)
    middle = define(impl, None, "Middle", y=n.u8, deep=deep)
    cls = define(impl, "big", items=Annotated[tuple[middle, ...], n.Count(2)])
    buffer = bytearray(b"\1\0\2\3\0\4")
    view = impl.view(cls, buffer)
    assert [one.deep.x for one in view.items] == [2, 4]
    view.items[1].deep.x = 0x0506
    assert buffer == b"\1\0\2\3\5\6"


# ---- the class's own


def test_methods_and_properties(impl):
    n = names(impl)

    class P(n.Record, endian="big"):
        limit: n.ClassVar[int] = 300
        x: n.u16

        def twice(self):
            return 2 * self.x

        @property
        def half(self):
            return self.x // 2

        @half.setter
        def half(self, value):
            self.x = 2 * value

        @classmethod
        def made(cls):
            return cls

        @staticmethod
        def nothing():
            return 0

        def __len__(self):
            return self.x

    class Q(P):
        y: n.u8

        def twice(self):
            return super().twice() + 1

    view = impl.view(P, bytearray(b"\0\5"))
    assert (view.twice(), view.half, view.limit, view.made(), view.nothing()) == (10, 2, 300, P, 0)
    view.half = 9
    assert view.x == 18
    assert impl.view(Q, b"\0\5\1").twice() == 11
    assert P.twice(view) == 36


def test_attributes_that_are_not_there(impl):
    cls = define(impl, "big", x=names(impl).u8)
    view = impl.view(cls, bytearray(1))
    with pytest.raises(AttributeError) as caught:
        _ = view.y
    assert str(caught.value) == "'P' object has no attribute 'y'"
    with pytest.raises(AttributeError) as caught:
        view.y = 1
    assert str(caught.value) == "'P' object has no attribute 'y'"
    with pytest.raises(AttributeError) as caught:
        del view.x
    assert str(caught.value) == "cannot delete field 'x' of a view of P"
    with pytest.raises(AttributeError):
        del view.y
    assert not hasattr(view, "__dict__")


def test_a_method_cannot_be_set(impl):
    n = names(impl)

    class P(n.Record, endian="big"):
        x: n.u8

        def method(self):
            pass

    with pytest.raises(AttributeError):
        impl.view(P, bytearray(1)).method = 1


def test_fields_go_before_its_own_methods(impl):
    n = names(impl)
    cls = define(impl, "big", release=n.u8)
    memory = bytearray(b"\7")
    view, other = impl.view(cls, memory), impl.view(cls, memory)
    assert view.release == 7
    impl.LayoutView.release(view)
    with pytest.raises(ValueError, match="released"):
        _ = view.release
    assert impl.release_all(memory) == 1
    with pytest.raises(ValueError, match="released"):
        _ = other.release


def test_neither_checks_nor_post_init(impl):
    n = names(impl)

    class P(n.Record, endian="big"):
        x: n.u8 = n.validation.Bounded(max_val=10)

        def __post_init__(self):
            raise AssertionError("called")

    view = impl.view(P, b"\x0b")
    assert view.x == 11
    assert repr(view).endswith("P(x=11)")


def test_writing_is_checked_as_in_a_record(impl):
    n = names(impl)

    class P(n.Record, endian="big"):
        x: n.u16 = n.validation.Bounded(2, 300)
        high: Annotated[int, n.Bits(4)] = n.validation.Bounded(max_val=10)
        low: Annotated[int, n.Bits(4)]
        size: n.u8 = n.validation.Validated(max_val=3)
        data: Annotated[bytes, n.SizedBy("size")]
        y: n.f64 = n.validation.Validated(min_val=1)

    view = impl.view(P, bytearray(b"\0\5\x12\2cd" + bytes(8)))
    record = P(5, 1, 2, 2, b"cd", 1.0)
    for name, right, wrong in (("x", 300, 301), ("high", 10, 11), ("size", 2, 4), ("y", 1.5, 0.5)):
        with pytest.raises(ValueError) as caught:
            setattr(record, name, wrong)
        assert unwritable(impl, view, name, wrong) == f"{caught.type.__name__}: {caught.value}"
        setattr(view, name, right)
        assert getattr(view, name) == right
    view.low = 15
    assert bytes(view)[:6] == b"\x01\x2c\xaf\2cd"


def test_what_a_check_does_to_the_memory_comes_first(impl):
    n = names(impl)
    memory = bytearray(b"\1ab\3..")

    class Loud(int):
        def __ge__(self, other):
            memory[0] = 2
            return True

    class P(n.Record, endian="big"):
        size: n.u8
        data: Annotated[bytes, n.SizedBy("size")]
        x: n.u8 = n.validation.Validated(min_val=0)

    impl.view(P, memory).x = Loud(7)
    assert memory == b"\2ab\7.."


def test_sensitive_values_do_not_show(impl):
    n = names(impl)
    secret = n.validation.Sensitive()
    cls = define(
        impl,
        "big",
        x=Annotated[n.u16, secret],
        high=Annotated[int, n.Bits(4), secret],
        low=Annotated[int, n.Bits(4)],
        code=Annotated[bytes, n.Size(2), secret],
        n=Annotated[n.u8, secret],
        data=Annotated[bytes, n.SizedBy("n"), secret],
    )
    view = impl.view(cls, bytearray(b"\0\5\x12ab\2cd"))
    assert repr(view).endswith("P(x=***, high=***, low=2, code=***, n=***, data=***)")
    for name, value in (("x", 71234), ("x", "71234"), ("code", b"71234"), ("n", 71), ("data", 7.1)):
        assert "***" in (said := unwritable(impl, view, name, value)) and "71" not in said
    said = "ValueError: P.n: measures another field, wanted ***, got ***"
    assert unwritable(impl, view, "n", 3) == said


# ---- compared and shown


def test_equality(impl):
    n = names(impl)
    cls = define(impl, "big", x=n.u8, y=n.f32)
    other = define(impl, "big", "Other", x=n.u8, y=n.f32)
    data = b"\1\x3f\xc0\0\0"
    view = impl.view(cls, data)
    assert view == impl.view(cls, b"_" + data, 1) == cls(1, 1.5)
    assert cls(1, 1.5) == view
    assert view != cls(2, 1.5) and cls(2, 1.5) != view
    assert view != other(1, 1.5) and view != impl.view(other, data)
    assert view != 1 and view != None  # noqa: E711
    assert (view == cls(2, 1.5)) is False


def test_hash(impl):
    n = names(impl)

    class P(n.Record, frozen=True, endian="big"):
        x: n.u8
        data: bytes

    view = impl.view(P, b"\1ab")
    assert hash(view) == hash(P(1, b"ab"))
    assert {view: 1}[P(1, b"ab")] == 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(impl.view(define(impl, "big", x=n.u8), b"\1"))


def test_order(impl):
    n = names(impl)

    class P(n.Record, order=True, endian="big"):
        x: n.u8

    one, two = impl.view(P, b"\1"), impl.view(P, b"\2")
    assert one < two and two >= one and one <= P(1) and P(2) > one
    with pytest.raises(TypeError):
        assert one < 1
    cls = define(impl, "big", x=n.u8)
    with pytest.raises(TypeError):
        assert impl.view(cls, b"\1") < impl.view(cls, b"\2")


def test_repr(impl, shapes):
    view = impl.view(shapes, PACKET)
    assert repr(view) == repr(impl.unpack(shapes, PACKET))
    assert repr(view.inner) == "Inner(a=7, b=8)"


def test_what_is_sensitive_does_not_show(impl):
    n = names(impl)

    class P(n.Record, endian="big"):
        x: n.u8
        secret: Annotated[bytes, n.Size(3), "sensitive_data"]

    assert repr(impl.view(P, b"\1abc")).endswith("P(x=1, secret=***)")


def test_own_eq_and_repr(impl):
    n = names(impl)

    class P(n.Record, eq=False, repr=False, endian="big"):
        x: n.u8

        def __eq__(self, other):
            return self.x % 10 == other.x % 10

        def __repr__(self):
            return f"<{self.x}>"

        def __hash__(self):
            return self.x

    view = impl.view(P, b"\5")
    assert view == P(15) and repr(view) == "<5>" and hash(view) == 5


def test_no_copies(impl, shapes):
    view = impl.view(shapes, PACKET)
    said = "cannot pickle or copy a LayoutView of P: unpack(P, view) makes a record"
    for function in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError) as caught:
            function(view)
        assert str(caught.value) == said


# ---- writing


def test_every_shape_is_written(impl, shapes):
    buffer = bytearray(PACKET)
    view = impl.view(shapes, buffer)
    inner = type(impl.unpack(shapes, PACKET).inner)
    new = {
        "number": 0xFFFE,
        "real": -2.0,
        "flag": False,
        "high": 15,
        "low": 0,
        "bit": False,
        "four": b"wxyz",
        "name": "q",
        "inner": inner(1, 2),
        "pair": (5, -6),
        "data": b"zw",
        "body": inner(3, 4),
    }
    for name, value in new.items():
        setattr(view, name, value)
    view.texts[0].text = "B"
    record = impl.unpack(shapes, buffer)
    for name, value in new.items():
        assert getattr(record, name) == getattr(view, name) == value
    assert record.texts[0].text == "B"
    assert len(buffer) == len(PACKET)


def test_bits_leave_their_neighbours(impl):
    n = names(impl)
    for endian in ("big", "little"):
        cls = define(
            impl,
            endian,
            a=Annotated[int, n.Bits(3)],
            b=Annotated[int, n.Bits(10)],
            c=Annotated[bool, n.Bits(1)],
            d=Annotated[Kind, n.Bits(2)],
        )
        for before in (b"\0\0", b"\xff\xff"):
            buffer = bytearray(before)
            view = impl.view(cls, buffer)
            kept = view.a, view.c
            view.b = 0b1010101010
            assert (view.a, view.b, view.c) == (kept[0], 0b1010101010, kept[1])
            view.d = Kind.REPLY
            assert view.d is Kind.REPLY and (view.a, view.c) == kept


def test_what_measures_stays(impl):
    n = names(impl)
    cls = define(
        impl,
        "big",
        n=n.u8,
        m=Annotated[int, n.Bits(4)],
        k=Annotated[int, n.Bits(4)],
        data=Annotated[bytes, n.SizedBy("n")],
        items=Annotated[tuple[n.u8, ...], n.Count("m")],
        body=Annotated[object, n.Tagged("k", {1: bytes})],
    )
    buffer = bytearray(b"\2\x11ab\7xyz")
    view = impl.view(cls, buffer)
    for name, value in (("n", 2), ("m", 1), ("k", 1)):
        setattr(view, name, value)
        with pytest.raises(ValueError) as caught:
            setattr(view, name, 3)
        assert str(caught.value) == f"P.{name}: measures another field, wanted {value}, got 3"
        with pytest.raises(TypeError):
            setattr(view, name, "x")
    assert buffer == b"\2\x11ab\7xyz"


def unwritable(impl: Any, view: Any, name: str, value: Any) -> str:
    before = bytes(view)
    with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
        setattr(view, name, value)
    assert bytes(view) == before
    return f"{caught.type.__name__}: {caught.value}"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("number", 65536, "OverflowError: P.number: wanted u16, got int 65536"),
        ("number", "x", "TypeError: P.number: wanted u16, got str 'x'"),
        ("number", None, "TypeError: P.number: wanted u16, got NoneType None"),
        ("real", "x", "TypeError: P.real: wanted f32, got str 'x'"),
        ("flag", 1, "TypeError: P.flag: wanted bool8, got int 1"),
        ("high", 16, "OverflowError: P.high: wanted 0 to 15, got 16"),
        ("bit", 1, "TypeError: P.bit: wanted bool, got int 1"),
        ("kind", 1, "TypeError: P.kind: wanted Kind, got int 1"),
        ("kind", Kind.REPLY, "ValueError: P.kind: measures another field, wanted 1, got 2"),
        ("four", b"abc", "ValueError: P.four: wanted bytes[4], got bytes b'abc'"),
        ("name", "abcde", "ValueError: P.name: wanted str[4], got str 'abcde'"),
        ("inner", 3, "TypeError: P.inner: wanted Inner, got int 3"),
        ("pair", (1,), "ValueError: P.pair: wanted 2 items, got 1"),
        ("pair", (1, 70000), "OverflowError: P.pair[1]: wanted -32768 to 32767, got 70000"),
        ("data", b"abc", "ValueError: P.n: says 2, data has 3 bytes"),
        ("data", "ab", "TypeError: P.data: wanted bytes, got str 'ab'"),
        ("texts", [], "ValueError: P.n: says 2, texts has 0 items"),
        ("body", b"abc", "TypeError: P.body: wanted Inner for tag 1, got bytes"),
    ],
)
def test_values_that_do_not_fit(impl, shapes, name, value, said):
    view = impl.view(shapes, bytearray(PACKET))
    assert unwritable(impl, view, name, value) == said


def test_nothing_moves(impl):
    """A record of another size does not go where one lies, though it fits the layout."""
    n = names(impl)
    text = define(impl, None, "Text", n=n.u8, text=Annotated[str, n.SizedBy("n")])
    cls = define(
        impl,
        "big",
        text=text,
        texts=Annotated[tuple[text, ...], n.Count(2)],
        z=n.u8,
        rest=bytes,
    )
    view = impl.view(cls, bytearray(b"\2ab\1x\0\7rest"))
    said = "ValueError: P.text: wanted 3 bytes, got 2"
    assert unwritable(impl, view, "text", text(1, "a")) == said
    said = "ValueError: P.texts: wanted 3 bytes, got 4"
    assert unwritable(impl, view, "texts", (text(1, "x"), text(1, "y"))) == said
    assert unwritable(impl, view, "rest", b"abc") == "ValueError: P.rest: wanted 4 bytes, got 3"
    view.text, view.texts, view.rest = text(2, "xy"), (text(0, ""), text(1, "z")), b"abcd"
    assert (view.text.text, view.texts[1].text, view.z, view.rest) == ("xy", "z", 7, b"abcd")


def test_views_as_values(impl):
    n = names(impl)
    inner = define(impl, None, "Inner", a=n.u16)
    cls = define(impl, "big", inner=inner)
    one, two = impl.view(cls, bytearray(b"\0\1")), impl.view(cls, b"\0\2")
    one.inner = two.inner
    assert one.inner.a == 2
    record = cls(two.inner)
    assert impl.pack(record) == b"\0\2"


def test_read_only_memory(impl):
    n = names(impl)
    cls = define(impl, "big", x=n.u8, n=n.u8, rest=Annotated[bytes, n.SizedBy("n")])
    for buffer in (b"\1\0", memoryview(b"\1\0"), memoryview(bytearray(b"\1\0")).toreadonly()):
        view = impl.view(cls, buffer)
        for name, value in (("x", 1), ("n", 0), ("rest", b"")):
            with pytest.raises(TypeError) as caught:
                setattr(view, name, value)
            assert str(caught.value) == f"view() over read-only memory: P.{name} cannot be set"


# ---- checksums


def test_checksums_are_as_stored(impl):
    n = names(impl)
    cls = define(
        impl, "big", sum=Annotated[n.u32, n.Crc32("data")], data=Annotated[bytes, n.Size(2)]
    )
    buffer = bytearray(b"\0\0\0\5ab")
    view = impl.view(cls, buffer)
    assert (view.sum, view.data) == (5, b"ab")
    assert impl.unpack(cls, impl.pack(view)).sum == impl.crc32(b"ab")
    assert buffer == b"\0\0\0\5ab"
    view.sum = impl.crc32(b"ab")
    assert impl.unpack(cls, buffer).data == b"ab"
    assert impl.pack_into(view, buffer) == 6
    # in nested records as well
    outer = define(impl, "big", "Outer", inner=cls)
    view = impl.view(outer, b"\0\0\0\5ab")
    assert view.inner.sum == 5
    assert impl.pack(view) == impl.crc32(b"ab").to_bytes(4, "big") + b"ab"


# ---- what does not fit


def test_the_fixed_prefix_must_be_there(impl):
    n = names(impl)
    inner = define(impl, None, "Inner", a=n.u8, b=n.u16)
    cls = define(
        impl, "big", x=n.u8, inner=inner, n=n.u8, data=Annotated[bytes, n.SizedBy("n")], z=n.u64
    )
    assert refused(impl, impl.view, cls, b"") == (0, 1, 0, "P.x")
    assert refused(impl, impl.view, cls, b"\1\2\3") == (2, 2, 1, "P.inner.b")
    assert refused(impl, impl.view, cls, b"\1\2\3\4") == (4, 1, 0, "P.n")
    assert refused(impl, impl.view, cls, b"abc", 9) == (9, 1, 0, "P.x")
    view = impl.view(cls, b"\1\2\3\4\5ab")
    assert (view.x, view.n, view.inner.b) == (1, 5, 0x0304)
    assert refused(impl, lambda: view.data) == (5, 5, 2, "P.data")
    assert refused(impl, lambda: view.z) == (5, 5, 2, "P.data")
    assert refused(impl, lambda: bytes(view)) == (5, 5, 2, "P.data")
    assert refused(impl, impl.pack, view) == (5, 5, 2, "P.data")
    view = impl.view(cls, b"\1\2\3\4\2ab")
    assert view.data == b"ab"
    assert refused(impl, lambda: view.z) == (7, 8, 0, "P.z")


def test_offsets_count_from_the_buffers_first_byte(impl):
    n = names(impl)
    inner = define(impl, None, "Inner", n=n.u8, data=Annotated[bytes, n.SizedBy("n")])
    cls = define(impl, "big", x=n.u8, inner=inner)
    view = impl.view(cls, b"___\1\5ab", 3)
    assert refused(impl, lambda: view.inner) == (5, 5, 2, "P.inner.data")
    buffer = bytearray(b"___\1\2ab")
    nested = impl.view(cls, buffer, 3).inner
    buffer[4] = 9
    assert refused(impl, lambda: nested.data) == (5, 9, 2, "Inner.data")


def test_values_that_are_broken(impl, shapes):
    n = names(impl)
    cls = define(
        impl,
        "big",
        flag=n.bool8,
        kind=Annotated[Kind, n.u8],
        text=Annotated[str, n.Size(2)],
        bit=Annotated[Kind, n.Bits(8)],
        flags=Annotated[tuple[n.bool8, ...], n.Count(2)],
    )
    view = impl.view(cls, b"\2\7\xff\xff\x09\1\5")
    assert refused(impl, lambda: view.flag) == (0, "0 or 1", 2, "P.flag")
    assert refused(impl, lambda: view.kind) == (1, "a Kind", 7, "P.kind")
    assert refused(impl, lambda: view.text) == (2, "UTF-8", b"\xff\xff", "P.text")
    assert refused(impl, lambda: view.bit) == (4, "a Kind", 9, "P.bit")
    assert refused(impl, lambda: view.flags) == (6, "0 or 1", 5, "P.flags[1]")
    with pytest.raises(impl.WireError):
        repr(view)
    # which can be mended in place
    buffer = bytearray(b"\2\7\xff\xff\x09\1\5")
    view = impl.view(cls, buffer)
    view.flag, view.kind, view.text, view.bit, view.flags = (
        False,
        Kind.REPLY,
        "a",
        Kind.REQUEST,
        (
            True,
            False,
        ),
    )
    assert buffer == b"\0\2a\0\1\1\0"


def test_lengths_counts_and_tags_that_are_broken(impl):
    n = names(impl)
    a = define(impl, None, "A", x=n.u8)
    cls = define(
        impl,
        "big",
        n=n.i8,
        data=Annotated[bytes, n.SizedBy("n", 2, 4)],
        m=n.u8,
        items=Annotated[list[n.u16], n.Count("m")],
        k=n.u8,
        body=Annotated[a, n.Tagged("k", {1: a})],
    )
    assert refused(impl, lambda: impl.view(cls, b"\1").data) == (1, "at least 4 by n", 2, "P.data")
    view = impl.view(cls, b"\2\2\0\1")
    assert refused(impl, lambda: view.items) == (2, 4, 2, "P.items")
    view = impl.view(cls, b"\2\1\0\1\7\0")
    assert (view.items, view.k) == ([1], 7)
    assert refused(impl, lambda: view.body) == (5, "a tag of 1", 7, "P.body")


# ---- life


def test_release(impl, shapes):
    buffer = bytearray(PACKET)
    view = impl.view(shapes, buffer)
    inner = view.inner
    view.release()
    view.release()
    for function in (
        lambda: view.number,
        lambda: view.data,
        lambda: bytes(view),
        lambda: repr(view),
    ):
        with pytest.raises(ValueError) as caught:
            function()
        assert str(caught.value) == "LayoutView has been released"
    with pytest.raises(ValueError, match="released"):
        view.number = 1
    assert inner.a == 7  # has a hold of its own


def test_with(impl, shapes):
    with impl.view(shapes, PACKET) as view:
        assert view.number == 0x0102
    with pytest.raises(ValueError, match="released"):
        _ = view.number
    with pytest.raises(ValueError, match="released"), view:
        pass


def test_views_of_memory(impl):
    n = names(impl)
    cls = define(impl, "big", a=n.u8, b=n.u8)
    memory = impl.View(bytearray(b"\1\2\3\4"), 1, 3)
    view = impl.view(cls, memory)
    view.b = 9
    assert (view.a, memory[1], memory.obj[2]) == (2, 9, 9)
    assert impl.unpack(cls, memory) == view


def test_holders(impl, shapes):
    buffer = bytearray(PACKET)
    view = impl.view(shapes, buffer)
    inner, memory = view.inner, impl.View(buffer)
    again = impl.view(shapes, memory)
    found = impl.holders(buffer)
    assert {id(one) for one in found} == {id(one) for one in (view, inner, memory, again)}
    inner.release()
    assert len(impl.holders(buffer)) == 3
    del view, found
    assert len(impl.holders(buffer)) == 2
    assert impl.release_all(buffer) == 2
    assert impl.holders(buffer) == []
    with pytest.raises(ValueError, match="LayoutView has been released"):
        _ = again.number
    buffer.append(1)


def test_a_bytearray_cannot_grow_while_it_is_held(impl, shapes):
    buffer = bytearray(PACKET)
    view = impl.view(shapes, buffer)
    with pytest.raises(BufferError):
        buffer.append(1)
    view.release()
    buffer.append(1)


# ---- arguments


def test_arguments(impl):
    cls = define(impl, "big", x=names(impl).u8)
    for args, error, text in (
        ((int, b""), TypeError, "view() wants a record class, got int"),
        ((cls, "x"), TypeError, "view() wants a contiguous buffer, got str"),
        ((cls, b"", "1"), TypeError, "view() offset must be an int, not str"),
        ((cls, b"", -1), ValueError, "view() offset must not be negative, got -1"),
        (
            (define(impl, "big", x=object), b""),
            TypeError,
            "view(): P.x: no wire layout for <class 'object'>",
        ),
    ):
        with pytest.raises(error) as caught:
            impl.view(*args)
        assert str(caught.value) == text
    with pytest.raises(BufferError):
        impl.view(cls, memoryview(b"abcd")[::2])


@pytest.fixture(scope="module")
def many():
    """A class of many fields for each implementation, made once."""
    return functools.cache(
        lambda impl: define(impl, "big", **{f"field_{i}": names(impl).u16 for i in range(300)})
    )


def test_many_fields(impl, many):
    """Names are found, however many there are."""
    data = b"".join(i.to_bytes(2, "big") for i in range(300))
    view = impl.view(many(impl), data)
    assert [getattr(view, f"field_{i}") for i in range(300)] == list(range(300))
    assert getattr(view, "".join(["field_", "7"])) == 7  # a name that is not interned
    assert functools.reduce(lambda total, i: total + getattr(view, f"field_{i}"), range(5), 0) == 10


def test_a_view_of_a_view_has_the_bytes_of_the_record(impl):
    """Also where the record does not take all that is there."""
    n = names(impl)
    cls = define(impl, "big", n=n.u8, data=Annotated[bytes, n.SizedBy("n")])
    view = impl.view(cls, bytearray(b"\2abcdef"))
    if sys.version_info < (3, 12) and "pure" in impl.__name__:
        pytest.skip("before Python 3.12 a class in Python exports no buffer")
    assert [bytes(part) for part in (impl.View(view), impl.View(view, 1))] == [b"\2ab", b"ab"]
    assert [bytes(part) for part in impl.parse_packet_zero_copy(view)] == [b"\2ab", b"", b""]
    assert impl.View(view).obj is impl.View(impl.View(view)).obj
    view = impl.view(cls, bytearray(b"\2ab"))
    memoryview(impl.View(view).obj)[0] = 9
    assert refused(impl, impl.View, view) == (1, 9, 2, "P.data")
