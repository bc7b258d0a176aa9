"""View: memory without a copy."""

from __future__ import annotations

import array
import contextlib
import gc
import mmap
import operator
import struct
import sys
import weakref
from multiprocessing import shared_memory
from typing import Any

import pytest

from ferrule.pure._wire_layout import WireError

DATA = bytes(range(256)) * 5
RELEASED = r"^View has been released$"

exports = pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 688")


def skip_pure_buffers(impl: Any) -> None:
    if impl.__name__.startswith("ferrule.pure") and sys.version_info < (3, 12):
        pytest.skip("classes export buffers from Python 3.12 on")


def need_numpy() -> Any:
    if hasattr(sys, "gettotalrefcount"):
        pytest.skip("NumPy keeps what it tells of a buffer: --refleak would count that")
    return pytest.importorskip("numpy")


def raises(error: type[BaseException], message: str, call: Any, *args: Any, **kwargs: Any) -> None:
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    assert str(caught.value) == message


# ---- made


def test_bytes(impl):
    view = impl.View(DATA)
    assert len(view) == view.nbytes == 1280
    assert view.obj is DATA
    assert (view.itemsize, view.format, view.ndim) == (1, "B", 1)
    assert (view.shape, view.strides) == ((1280,), (1,))
    assert view.readonly and view.contiguous and not view.released
    assert view.site is None
    assert repr(view) == "<View of 1280 bytes of bytes>"


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        *((a, b) for a in (0, 3, -2, 99, None, -99, 1 << 70, -(1 << 70)) for b in (None, 0, 5, -1)),
        (2, 1 << 70),
        (5, 2),
    ],
)
@pytest.mark.parametrize(
    "make", [bytes, bytearray, memoryview, lambda data: array.array("H", data)]
)
def test_bounds_are_a_slice_s(impl, start, stop, make):
    data = make(b"0123456789")
    view = impl.View(data, start, stop)
    assert view.tobytes() == b"0123456789"[slice(start, stop)]
    assert view.format == (
        "H"
        if start in (0, None)
        and stop is None
        and view.ndim != len(data)
        and isinstance(data, array.array)
        else "B"
    )
    assert impl.View(data, start=start, stop=stop) == view


def test_index_like_bounds(impl):
    class Two:
        def __index__(self):
            return 2

    assert bytes(impl.View(b"abcdef", Two(), -Two().__index__())) == b"cd"
    assert bytes(impl.View(bytearray(b"abcdef"), True)) == b"bcdef"


EXPORTERS = {
    "bytes": lambda: DATA,
    "bytearray": lambda: bytearray(DATA),
    "memoryview": lambda: memoryview(DATA),
    "part": lambda: memoryview(bytearray(DATA))[3:],
    "array": lambda: array.array("B", DATA),
    "subclass": lambda: type("Own", (bytes,), {})(DATA),
}


@pytest.mark.parametrize("kind", EXPORTERS)
def test_exporters(impl, kind):
    exporter = EXPORTERS[kind]()
    view = impl.View(exporter)
    assert view.tobytes() == bytes(exporter)
    assert view.readonly == memoryview(exporter).readonly
    assert view[10:20].tobytes() == bytes(exporter)[10:20]
    assert view.obj is (exporter.obj if isinstance(exporter, memoryview) else exporter)


def test_mmap(impl, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        view = impl.View(memory)
        assert view.obj is memory
        view[0:3] = b"xyz"
        assert memory[:4] == b"xyz\x03"
        with pytest.raises(BufferError):
            memory.close()
        view.release()
    assert path.read_bytes()[:3] == b"xyz"


def test_shared_memory(impl):
    shared = shared_memory.SharedMemory(create=True, size=4096)
    try:
        with impl.View(shared.buf) as view:
            view[1:4] = b"abc"
            assert bytes(shared.buf[:5]) == b"\0abc\0"
    finally:
        shared.close()
        shared.unlink()


def test_view_of_a_view_has_its_exporter(impl):
    first = impl.View(DATA, 2, 10)
    second = impl.View(first)
    third = impl.View(first, 1, -1)
    assert second.obj is third.obj is DATA
    assert second == first
    assert bytes(third) == DATA[3:9]
    first.release()
    assert bytes(third) == DATA[3:9]
    raises(ValueError, "View has been released", impl.View, first)
    raises(ValueError, "View has been released", impl.View, first, 1)


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        (("text",), TypeError, "View() wants a buffer, got str"),
        ((None,), TypeError, "View() wants a buffer, got NoneType"),
        (("text", 1), TypeError, "View() wants a contiguous buffer, got str"),
        ((b"", "1"), TypeError, "View() start wants an int or None, got str"),
        ((b"", 0, 1.0), TypeError, "View() stop wants an int or None, got float"),
        (
            (memoryview(b"abcd")[::2], 1),
            BufferError,
            "View() wants a contiguous buffer, got a strided memoryview",
        ),
    ],
)
def test_what_is_no_buffer(impl, args, error, message):
    raises(error, message, impl.View, *args)


def test_calls_that_do_not_fit(impl):
    for args, kwargs in [((), {}), ((b"", 0, 1, 2), {}), ((b"",), {"step": 1})]:
        with pytest.raises(TypeError):
            impl.View(*args, **kwargs)


def test_native_call(native):
    View = native.View
    assert View.__new__(View, b"abc", 1) == b"bc"
    assert View.__new__(View, buffer=b"abc", stop=1) == b"a"
    with pytest.raises(TypeError):
        object.__new__(View)
    with pytest.raises(TypeError):
        type("Sub", (View,), {})
    with pytest.raises(TypeError):
        View.new = 1


def test_a_failing_exporter(impl):
    if sys.version_info < (3, 12):
        pytest.skip("PEP 688")

    class Fails:
        def __buffer__(self, flags):
            raise LookupError("no memory here")

    for call in (impl.View, impl.holders, impl.release_all, impl.parse_packet_zero_copy):
        raises(LookupError, "no memory here", call, Fails())


# ---- slices and indices

SLICES = [
    *(
        slice(a, b, c)
        for a in (None, 0, 2, -3, 20)
        for b in (None, 0, 7, -1, 20)
        for c in (None, 2, -1, -3)
    ),
    slice(3, 3),
    slice(0, 10, 1 << 70),
    slice(None, None, -(1 << 70)),
]


@pytest.mark.parametrize("key", SLICES, ids=str)
def test_slices(impl, key):
    data = b"0123456789"
    for view in (impl.View(data), impl.View(bytearray(data))):
        part = view[key]
        assert part.tobytes() == bytes(part) == data[key]
        assert part == data[key]
        assert len(part) == len(data[key])
        assert part.tolist() == list(part) == list(data[key])
        assert part.obj is view.obj
        assert part[::-2] == data[key][::-2]


def test_indices(impl):
    view = impl.View(DATA)
    assert [view[3], view[-1], view[(3,)], view[True]] == [3, 255, 3, 1]
    for index in (1280, -1281, 1 << 70, -(1 << 70)):
        raises(IndexError, "View index out of range", operator.getitem, view, index)
    raises(TypeError, "View indices must be ints, slices or tuples of them, not str",
           operator.getitem, view, "a")  # fmt: skip
    raises(TypeError, "View of 1 dimensions got 2 indices", operator.getitem, view, (1, 2))
    raises(TypeError, "View got more than one ellipsis", operator.getitem, view, (..., ...))
    raises(TypeError, "slice indices must be integers or None or have an __index__ method",
           operator.getitem, view, slice("a"))  # fmt: skip
    raises(ValueError, "slice step cannot be zero", operator.getitem, view, slice(0, 1, 0))
    assert view[...] == DATA and view[..., 2:4] == DATA[2:4]


def test_iteration(impl):
    view = impl.View(b"abc")
    assert list(view) == [97, 98, 99]
    assert 98 in view and 5 not in view
    assert list(reversed(view)) == [99, 98, 97]
    assert not impl.View(b"") and view
    rest = iter(view)
    next(rest)
    view.release()
    with pytest.raises(ValueError, match=RELEASED):
        next(rest)


def test_assignment(impl):
    memory = bytearray(b"0123456789")
    view = impl.View(memory)
    view[0] = 65
    view[-1] = 66
    view[1:4] = b"xyz"
    view[4:6] = impl.View(b"--")
    assert memory == b"Axyz--678B"
    view[::-2] = b"54321"
    assert memory[::-2] == b"54321"
    view[2:8] = view[0:6]  # overlapping
    view[...] = memory[:]
    view[0:0] = b""


def test_overlapping_assignment(impl):
    keys = [(2, 8), (0, 6)], [(0, 6), (2, 8)], [(None, None, 2), (0, 5)], [(None, None, -1), (10,)]
    for to, source in [[slice(*key) for key in pair] for pair in keys]:
        memory = bytearray(b"0123456789")
        expected = list(memory)
        expected[to] = expected[source]
        view = impl.View(memory)
        view[to] = view[source]
        assert list(memory) == expected


def test_assignment_refused(impl):
    view = impl.View(bytearray(4))
    set_ = operator.setitem
    raises(ValueError, "View item of format 'B' wants 0 to 255, got 256", set_, view, 0, 256)
    raises(ValueError, "View item of format 'B' wants 0 to 255, got -1", set_, view, 0, -1)
    raises(TypeError, "View item of format 'B' wants an int, got str", set_, view, 0, "a")
    raises(TypeError, "View slice wants a buffer, got int", set_, view, slice(0, 2), 5)
    raises(
        ValueError,
        "View items of shape (2,), format 'B', cannot become those of shape (3,), format 'B'",
        set_, view, slice(0, 2), b"abc",
    )  # fmt: skip
    raises(
        ValueError,
        "View items of shape (2,), format 'B', cannot become those of shape (2,), format 'b'",
        set_, view, slice(0, 2), array.array("b", [1, 2]),
    )  # fmt: skip
    raises(IndexError, "View index out of range", set_, view, 4, 1)
    raises(TypeError, "View items cannot be deleted", operator.delitem, view, 0)
    readonly = "View of read-only memory cannot be written to"
    raises(TypeError, readonly, set_, impl.View(b"ab"), 0, 1)
    raises(TypeError, readonly, set_, view.toreadonly(), slice(0, 1), b"a")
    assert bytes(view) == bytes(4)


# ---- formats

INTS = "bBhHiIlLqQnN"


@pytest.mark.parametrize("code", INTS)
def test_integers(impl, code):
    size = struct.calcsize(code)
    low, high = (
        (-1 << 8 * size - 1, (1 << 8 * size - 1) - 1)
        if code.islower()
        else (0, (1 << 8 * size) - 1)
    )
    memory = bytearray(4 * size)
    view = impl.View(memory).cast(code)
    assert len(view) == 4 and view.itemsize == size and view.format == code
    view[0], view[1], view[2], view[3] = low, high, 1, high // 3
    assert memory == struct.pack(
        "4" + code if code not in "nN" else f"@4{code}", low, high, 1, high // 3
    )
    assert view.tolist() == list(view) == [low, high, 1, high // 3]
    for value in (low - 1, high + 1, 1 << 80, -(1 << 80)):
        raises(ValueError, f"View item of format '{code}' wants {low} to {high}, got {value}",
               operator.setitem, view, 0, value)  # fmt: skip


def test_other_items(impl):
    memory = bytearray(8)
    view = impl.View(memory)
    doubles, floats = view.cast("d"), view.cast("@f")
    doubles[0] = 1.5
    assert memory == struct.pack("d", 1.5) and doubles.tolist() == [1.5]
    floats[1] = -0.25
    floats[0] = 3
    assert floats.tolist() == [3.0, -0.25] and floats.format == "@f"
    raises(TypeError, "View item of format 'd' wants a number, got str",
           operator.setitem, doubles, 0, "1")  # fmt: skip
    flags = view.cast("?")
    flags[0], flags[1] = [0], ""
    assert flags.tolist()[:2] == [True, False]
    letters = view.cast("c")
    letters[0] = b"x"
    assert letters[0] == b"x" and view[0] == 120
    raises(TypeError, "View item of format 'c' wants one byte as bytes, got 'x'",
           operator.setitem, letters, 0, "x")  # fmt: skip
    with pytest.raises(OverflowError):
        doubles[0] = 10**400


def test_items_of_other_formats(impl):
    numpy = need_numpy()
    big = numpy.arange(4, dtype=">i4")
    view = impl.View(big)
    message = "View items of format '>i' cannot be read or written: wanted one native character"
    raises(ValueError, message, operator.getitem, view, 0)
    raises(ValueError, message, operator.setitem, view, 0, 1)
    raises(ValueError, message, view.tolist)
    assert view.tobytes() == big.tobytes()
    assert view == big and view != big[::-1]
    assert impl.View(big, 0, 16)[3] == 0
    assert impl.View(big, 4) == big.tobytes()[4:]
    assert view[1:3] == big[1:3] and view[1:3].shape == (2,)


# ---- shapes


def cube(impl: Any) -> Any:
    return impl.View(bytearray(range(24))).cast("B", (2, 3, 4))


def test_dimensions(impl):
    view = cube(impl)
    assert (view.ndim, view.shape, view.strides) == (3, (2, 3, 4), (12, 4, 1))
    assert len(view) == 2 and view.nbytes == 24
    assert view[1, 2, 3] == 23 and view[-1, -1, -1] == 23
    assert view[1].tolist() == [[12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22, 23]]
    assert view[1, 2].tolist() == [20, 21, 22, 23]
    assert view[:, 1].tolist() == [[4, 5, 6, 7], [16, 17, 18, 19]]
    assert view[..., 0].tolist() == [[0, 4, 8], [12, 16, 20]]
    assert view[0, ..., ::2].tolist() == [[0, 2], [4, 6], [8, 10]]
    assert view[::-1, 0, ::-3].tolist() == [[15, 12], [3, 0]]
    assert view[::-1, 0, ::-3].strides == (-12, -3)
    assert [part[0, 0] for part in view] == [0, 12]
    assert view[1, 2, 3, ...].tolist() == 23
    assert view[1, 2, 3, ...].ndim == 0
    assert view[:, 1:1].tolist() == [[], []]
    assert view.tolist() == memoryview(bytes(range(24))).cast("B", (2, 3, 4)).tolist()
    assert view[:, 1].tobytes() == bytes([4, 5, 6, 7, 16, 17, 18, 19])
    assert view[:, 1].hex() == "0405060710111213"
    raises(TypeError, "View of 3 dimensions got 4 indices", operator.getitem, view, (1, 2, 3, 0))
    raises(IndexError, "View index out of range", operator.getitem, view, (0, 3))
    assert repr(view) == "<View of 24 bytes of bytearray, format 'B', shape (2, 3, 4)>"


def test_no_dimensions(impl):
    view = impl.View(b"abcd").cast("I", ())
    assert view[()] == view.tolist() == struct.unpack("I", b"abcd")[0]
    assert view.tobytes() == b"abcd" and view.shape == view.strides == ()
    raises(TypeError, "View of 0 dimensions has no length", len, view)
    raises(TypeError, "View of 0 dimensions has no length", iter, view)
    raises(TypeError, "View of 0 dimensions got 1 indices", operator.getitem, view, 0)


def test_assignment_to_parts(impl):
    view = cube(impl)
    view[0, 0] = b"abcd"
    view[1, :, 0] = b"xyz"
    view[0, 1:, 1:3] = view[1, 1:, 2:4]
    assert view.tolist() == [
        [[97, 98, 99, 100], [4, 18, 19, 7], [8, 22, 23, 11]],
        [[120, 13, 14, 15], [121, 17, 18, 19], [122, 21, 22, 23]],
    ]
    raises(
        ValueError,
        "View items of shape (3, 4), format 'B', cannot become those of shape (12,), format 'B'",
        operator.setitem, view, 0, bytes(12),
    )  # fmt: skip


def test_contiguous(impl):
    view = cube(impl)
    assert view.contiguous and view[1].contiguous and view[0:1, 1].contiguous
    assert not view[:, 1].contiguous and not view[..., ::2].contiguous
    assert view[0, 0:1, ::-1].contiguous is False
    assert view[0, :, 0:0].contiguous


def test_fortran_order(impl):
    numpy = need_numpy()
    matrix = numpy.asfortranarray(numpy.arange(6, dtype="u1").reshape(2, 3))
    view = impl.View(matrix)
    assert view.contiguous and view.strides == (1, 2)
    assert view.tobytes() == matrix.tobytes() == bytes(range(6))
    raises(TypeError, "View.cast() wants a contiguous view", view.cast, "B")
    raises(BufferError, "View() wants a contiguous buffer, got a strided View",
           impl.View, view, 1) if impl.__name__ == "ferrule.wire" else None  # fmt: skip


def test_numpy(impl):
    numpy = need_numpy()
    base = numpy.arange(24, dtype="f4").reshape(4, 6)
    for array_ in (base, base[::2], base[:, ::-2], base.T, base[1:3, 2:4], base[2], base[0:0]):
        view = impl.View(array_)
        assert view.shape == array_.shape and view.strides == array_.strides
        assert view.tolist() == array_.tolist()
        assert view.tobytes() == array_.tobytes()
        assert view.obj is array_
        if view.nbytes:
            assert view[0].tolist() == array_[0].tolist() if view.ndim > 1 else True
            assert view[..., ::-1].tolist() == array_[..., ::-1].tolist()
    view = impl.View(base[:, ::2])
    view[1, 1] = 99
    assert base[1, 2] == 99


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        ((5,), TypeError, "View.cast() format wants a str, got int"),
        (("<I",), ValueError, "View.cast() format wants one native character, got '<I'"),
        (("II",), ValueError, "View.cast() format wants one native character, got 'II'"),
        (("",), ValueError, "View.cast() format wants one native character, got ''"),
        (("B\0",), ValueError, "View.cast() format wants one native character, got 'B\\x00'"),
        (("e",), ValueError, "View.cast() format wants one native character, got 'e'"),
        (("Q",), TypeError, "View.cast() of 12 bytes: not a multiple of 8"),
        (("I", 3), TypeError, "View.cast() shape wants a tuple or list, got int"),
        (("I", (3.0,)), TypeError, "View.cast() shape wants ints, got float"),
        (
            ("I", (-3,)),
            ValueError,
            f"View.cast() shape wants ints of 1 to {sys.maxsize}, got -3",
        ),
        (
            ("I", [1 << 70]),
            ValueError,
            f"View.cast() shape wants ints of 1 to {sys.maxsize}, got {1 << 70}",
        ),
        (
            ("B", (1 << 40, 1 << 40)),
            TypeError,
            f"View.cast() shape {(1 << 40, 1 << 40)} of items of 1 bytes is not 12 bytes",
        ),
        (("I", [2, 2]), TypeError, "View.cast() shape [2, 2] of items of 4 bytes is not 12 bytes"),
        (
            ("B", (1,) * 65),
            ValueError,
            "View.cast() shape wants at most 64 dimensions, got 65",
        ),
    ],
)
def test_cast_refused(impl, args, error, message):
    raises(error, message, impl.View(bytes(12)).cast, *args)


def test_cast(impl):
    view = impl.View(bytes(range(12)))
    words = view.cast("H", [2, 3])
    assert words.shape == (2, 3) and words.cast("B") == view
    assert words.cast("I").shape == (3,)
    assert words.cast("B", shape=(3, 4))[2].tolist() == [8, 9, 10, 11]
    assert impl.View(b"").cast("I").tolist() == []
    assert view[2:6].cast(format="I")[0] == int.from_bytes(bytes(range(2, 6)), sys.byteorder)
    assert words[1].cast("B") == bytes(range(6, 12))
    raises(TypeError, "View.cast() wants a contiguous view", view[::2].cast, "B")


# ---- comparing, hashing, text


def test_equal(impl):
    view = impl.View(b"abc")
    for other in (b"abc", bytearray(b"abc"), memoryview(b"abc"), impl.View(b"xabc", 1),
                  array.array("b", b"abc"), impl.View(b"a-b-c")[::2]):  # fmt: skip
        assert view == other and other == view
        assert not view != other
    for other in (b"abd", b"ab", "abc", 5, None, [97, 98, 99], impl.View(b"ab")):
        assert view != other and other != view
        assert not view == other
    assert impl.View(array.array("f", [0.0, 1])) == array.array("d", [-0.0, 1])
    assert impl.View(array.array("d", [float("nan")])) != array.array("d", [float("nan")])
    assert cube(impl) == cube(impl) and cube(impl)[1] != cube(impl)[0]
    assert cube(impl)[:, 1] == cube(impl)[:, 1] and cube(impl) != bytes(range(24))
    with pytest.raises(TypeError):
        view < b"abd"  # noqa: B015
    dead = memoryview(b"abc")
    dead.release()
    assert view != dead


def test_hash(impl):
    for data in (b"", b"a", b"\0" * 7, DATA):
        assert hash(impl.View(data)) == hash(data)
        assert hash(impl.View(memoryview(data))) == hash(data)
    assert hash(impl.View(DATA)[::-3]) == hash(DATA[::-3])
    assert hash(impl.View(b"ab").cast("c")) == hash(b"ab")
    assert {impl.View(b"key"): 1}[b"key"] == 1
    raises(ValueError, "View of writable memory cannot be hashed", hash, impl.View(bytearray(2)))
    raises(TypeError, "unhashable type: 'bytearray'", hash, impl.View(bytearray(2)).toreadonly())
    raises(ValueError, "View of format 'H' cannot be hashed: wanted B, b or c",
           hash, impl.View(b"ab").cast("H"))  # fmt: skip


def test_text(impl):
    data = "zürich €".encode()
    view = impl.View(data)
    assert view.decode() == view.decode("utf-8", errors="strict") == "zürich €"
    assert view[:2].decode("latin-1") == "zÃ"
    assert view[:2].decode(errors="replace") == "z�"
    assert view[::-1][::-1].decode() == "zürich €"
    assert impl.View(b"a-b-c")[::2].decode("ascii") == "abc"
    with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
        view[:2].decode()
    with pytest.raises(LookupError, match="unknown encoding: nothing"):
        view.decode("nothing")
    raises(TypeError, "View.decode() encoding wants a str, got int", view.decode, 5)
    raises(TypeError, "View.decode() errors wants a str, got NoneType", view.decode, "ascii", None)
    assert view.hex() == data.hex() and view.hex(":", 2) == data.hex(":", 2)
    assert view.hex(sep="-") == data.hex("-") and view.hex(None, 3) == data.hex()
    with pytest.raises(ValueError, match="sep must be length 1"):
        view.hex("ab")


def test_toreadonly(impl):
    memory = bytearray(b"abc")
    view = impl.View(memory)
    fixed = view.toreadonly()
    assert fixed.readonly and not view.readonly and fixed.obj is memory
    memory[0] = 65
    assert fixed == b"Abc" and fixed[1:].readonly
    assert cube(impl)[:, 1].toreadonly().tolist() == cube(impl)[:, 1].tolist()


def test_view_is_a_sequence_pattern(native):
    match native.View(b"ab"):
        case [a, b]:
            assert (a, b) == (97, 98)
        case _:
            pytest.fail("no match")


# ---- as an exporter


def test_where_a_memoryview_is_expected(impl):
    skip_pure_buffers(impl)
    view = impl.View(b"abcdef", 1, 4)
    assert memoryview(view).tobytes() == b"bcd"
    assert b"".join([view, view]) == b"bcdbcd"
    assert int.from_bytes(view, "big") == 0x626364
    assert struct.unpack_from("<H", view, 1) == (0x6463,)
    assert bytearray(view) == b"bcd"
    shaped = memoryview(cube(impl))
    assert (shaped.shape, shaped.strides, shaped.format) == ((2, 3, 4), (12, 4, 1), "B")
    words = memoryview(impl.View(array.array("H", [1, 2, 3])))
    assert words.tolist() == [1, 2, 3] and words.format == "H"
    strided = memoryview(impl.View(b"abcdef")[::-2])
    assert strided.tolist() == list(b"fdb") and strided.strides == (-2,)
    with pytest.raises(BufferError):
        struct.unpack_from("B", impl.View(b"abcdef")[::2])
    memoryview(impl.View(bytearray(2)))[0] = 1
    with pytest.raises(TypeError):
        memoryview(view)[0] = 1
    assert memoryview(impl.View(b"abcd").cast("I", ())).ndim == 0


def test_numpy_takes_strided_parts(native):
    numpy = need_numpy()
    part = cube(native)[:, ::2, ::-1]
    assert numpy.asarray(part).tolist() == part.tolist()
    numpy.asarray(part)[0, 0, 0] = 77
    assert part[0, 0, 0] == 77
    assert memoryview(part).tolist() == part.tolist()


def test_flags(native):
    """What a consumer asks for is what it gets, or a BufferError: as memoryview serves it."""
    testbuffer = pytest.importorskip("_testbuffer")
    names = [name for name in dir(testbuffer) if name.startswith("PyBUF_")]
    flags = {
        name: getattr(testbuffer, name)
        for name in names
        if name not in ("PyBUF_READ", "PyBUF_WRITE")
    }
    plain = native.View(bytearray(range(24)))
    shaped = plain.cast("H", (3, 4))
    for view in (plain, shaped, plain.toreadonly(), shaped[1], shaped[:, 1:], shaped[::-1],
                 shaped[:, 0:1], plain[::3], plain[3:3], plain.cast("I")):  # fmt: skip
        for name, flag in flags.items():
            if name == "PyBUF_FORMAT" and view.format == "B":
                continue  # bytes serve it, memoryview does not
            wanted = got = None
            with contextlib.suppress(BufferError):
                wanted = testbuffer.ndarray(memoryview(view), getbuf=flag)
            with contextlib.suppress(BufferError):
                got = testbuffer.ndarray(view, getbuf=flag)
            assert (wanted is None) == (got is None), (view, name)
            if wanted is not None and got is not None:
                for attribute in (
                    "nbytes",
                    "itemsize",
                    "format",
                    "ndim",
                    "shape",
                    "strides",
                    "readonly",
                ):
                    assert getattr(wanted, attribute) == getattr(got, attribute), (view, name)


# ---- released


ATTRIBUTES = "obj nbytes itemsize format ndim shape strides readonly contiguous"


@pytest.mark.parametrize(
    "use",
    [
        *(len, iter, hash, bytes, list, bool),
        *map(operator.attrgetter, ATTRIBUTES.split()),
        *map(operator.itemgetter, [0, slice(1), (0, 0), "a"]),
        lambda view: view.decode(),
        lambda view: view.decode(5),
        lambda view: view.hex(),
        lambda view: view.tolist(),
        lambda view: view.tobytes(),
        lambda view: view.cast("B"),
        lambda view: view.toreadonly(),
        lambda view: view == b"",
        lambda view: view != b"",
        lambda view: operator.setitem(view, 0, 0),
        lambda view: operator.delitem(view, 0),
        lambda view: view.__enter__(),
    ],
)
@pytest.mark.parametrize("shaped", [False, True])
def test_use_after_release(impl, use, shaped):
    view = impl.View(bytearray(4))
    view = view.cast("H", (1, 2)) if shaped else view
    assert view.release() is None
    assert view.released and repr(view) == "<View, released>"
    with pytest.raises(ValueError, match=RELEASED):
        use(view)
    view.release()
    for call in (impl.View, impl.holders, impl.release_all, impl.parse_packet_zero_copy):
        with pytest.raises(ValueError, match=RELEASED):
            call(view)


def test_release_gives_the_memory_back(impl):
    memory = bytearray(b"abc")
    with impl.View(memory) as view:
        with pytest.raises(BufferError):
            memory.append(1)
        part = view[1:]
    with pytest.raises(BufferError):
        memory.append(1)
    part.release()
    memory.append(1)
    assert view.released and part.released


def test_release_while_exported(impl):
    skip_pure_buffers(impl)
    view = impl.View(bytearray(b"abc"))
    other = memoryview(view)
    raises(BufferError, "View.release(): 1 buffer of it is still in use", view.release)
    assert not view.released and view == b"abc"
    third = memoryview(view)
    with (
        pytest.raises(BufferError, match=r"^View.release\(\): 2 buffers of it are still in use$"),
        view,
    ):
        pass
    other.release()
    third.release()
    view.release()


def test_memory_goes_with_the_last_view(impl):
    class Memory(bytearray):
        pass

    memory = Memory(b"abc")
    gone = weakref.ref(memory)
    view = impl.View(memory)
    part = view[1:]
    del memory, view
    assert gone() is not None and part == b"bc"
    part.release()
    gc.collect()
    assert gone() is None


def test_weak_references(impl):
    view = impl.View(b"abc")
    seen = []
    ref = weakref.ref(view, lambda ref: seen.append(impl.holders(DATA)))
    assert ref() is view
    del view
    gc.collect()
    assert ref() is None and seen == [[]]


def test_a_cycle_through_the_exporter(impl):
    class Memory(bytearray):
        view: Any

    for make in (
        lambda v: v,
        lambda v: v[1:],
        lambda v: (v, v[1:], v[::2]),
        lambda v: [v, impl.View(v)],
    ):
        memory = Memory(b"abcdef")
        gone = weakref.ref(memory)
        memory.view = make(impl.View(memory))
        del memory
        gc.collect()
        assert gone() is None


def test_a_cycle_through_a_memoryview(native):
    class Memory(bytearray):
        pass

    memory = Memory(b"abcdef")
    gone = weakref.ref(memory)
    view = native.View(memory)
    memory.all = [view, memoryview(view), memoryview(view[1:])]
    del memory, view
    gc.collect()
    gc.collect()
    assert gone() is None


def test_plain_views_are_not_tracked(native):
    assert not gc.is_tracked(native.View(b"abc"))
    assert not gc.is_tracked(native.View(bytearray(3)))
    assert gc.is_tracked(native.View(type("Own", (bytearray,), {})(b"a")))


# ---- holders


def same(found: Any, wanted: Any) -> bool:
    return sorted(map(id, found)) == sorted(map(id, wanted))


def test_holders(impl):
    memory = bytearray(b"abcdef")
    assert impl.holders(memory) == []
    first = impl.View(memory)
    part = first[1:]
    second = impl.View(memoryview(memory)[2:])
    other = impl.View(bytearray(memory))
    assert same(impl.holders(memory), [first, part, second])
    assert same(impl.holders(first), [first, part, second])
    assert same(impl.holders(memoryview(memory)), [first, part, second])
    assert same(impl.holders(other), [other])
    part.release()
    assert same(impl.holders(memory), [first, second])
    del first, second, part
    assert impl.holders(memory) == []


def test_holders_of_many(impl):
    count = 3000
    memories = [bytes([i % 256, i // 256, 7]) * 5 for i in range(count)]
    views = [impl.View(memory) for memory in memories]
    more = [view[1:] for view in views[::2]]
    for i in range(0, count, 171):
        assert same(impl.holders(memories[i]), [views[i], *([more[i // 2]] if i % 2 == 0 else [])])
    one = memories[0]
    extra = [impl.View(one) for _ in range(1000)]
    assert same(impl.holders(one), [views[0], more[0], *extra])
    assert impl.release_all(one) == 1002
    assert impl.holders(one) == [] and extra[5].released and not views[1].released
    del views, more, extra
    assert impl.holders(memories[5]) == []


def test_release_all(impl):
    memory = bytearray(b"abcdef")
    views = [impl.View(memory), impl.View(memory)[1:], impl.View(memory, 2)]
    assert impl.release_all(memory) == 3
    assert all(view.released for view in views)
    memory.append(1)
    assert impl.release_all(memory) == 0


def test_release_all_or_none(impl):
    skip_pure_buffers(impl)
    memory = bytearray(b"abcdef")
    views = [impl.View(memory), impl.View(memory, 1)]
    other = memoryview(views[1])
    message = "release_all(): buffers of 1 of 2 holders are still in use: View"
    raises(BufferError, message, impl.release_all, memory)
    assert not views[0].released and not views[1].released
    other.release()
    assert impl.release_all(views[0]) == 2


@pytest.mark.parametrize("name", ["holders", "release_all"])
def test_holders_of_what_is_no_buffer(impl, name):
    raises(TypeError, f"{name}() wants a buffer, got int", getattr(impl, name), 5)
    dead = memoryview(b"abc")
    dead.release()
    with pytest.raises(ValueError, match="released memoryview"):
        getattr(impl, name)(dead)


def test_sites(impl):
    before = impl.track_sites(True)
    try:
        view = impl.View(DATA)
        part, packet = view[1:], impl.parse_packet_zero_copy(DATA)[0]
        cast = view.cast("I")
    finally:
        assert impl.track_sites(before) is True
    for one in (view, part, packet, cast):
        assert "test_view.py:" in one.site and one.site.endswith(" in test_sites")
    assert impl.View(DATA).site is None
    assert view.site in {one.site for one in impl.holders(DATA)}
    line = int(view.site.split(":")[-1].split()[0])
    assert int(part.site.split(":")[-1].split()[0]) == line + 1
    if sys.version_info >= (3, 12) or impl.__name__ == "ferrule.wire":
        other = memoryview(view)
        with pytest.raises(
            BufferError,
            match=r"still in use: View made at .*test_view.py:",
        ):
            impl.release_all(DATA)
        other.release()
    site = view.site
    view.release()
    assert view.site is None and site


# ---- the packet


@pytest.mark.parametrize("length", [0, 5, 12, 13, 1023, 1024, 1026, 1028, 5000])
@pytest.mark.parametrize(
    "make", [bytes, bytearray, memoryview, lambda data: array.array("B", data)]
)
def test_packet(impl, length, make):
    content = (DATA * 4)[:length]
    data = make(content)
    pieces = impl.parse_packet_zero_copy(data)
    assert type(pieces) is tuple
    assert [bytes(piece) for piece in pieces] == [
        content[:12],
        content[12:1024],
        content[1024:1028],
    ]
    assert all(
        piece.obj is (data.obj if isinstance(data, memoryview) else data) for piece in pieces
    )
    assert same(impl.holders(data), pieces) or not data  # b"" is everybody's
    header, payload, checksum = impl.parse_packet_zero_copy(impl.View(data))
    assert (header, payload, checksum) == pieces and header.obj is pieces[0].obj
    if length >= 1028:
        assert impl.parse_packet_zero_copy(data, strict=True) == pieces
        return
    with pytest.raises(WireError) as caught:
        impl.parse_packet_zero_copy(data, strict=True)
    error = caught.value
    assert (error.offset, error.wanted, error.had) == (0, 1028, length)
    assert error.where == "parse_packet_zero_copy()"
    assert str(error) == f"parse_packet_zero_copy(): byte 0: wanted 1028 bytes, had {length}"


def test_packet_of_items(impl):
    data = array.array("I", range(300))
    pieces = impl.parse_packet_zero_copy(data)
    assert [len(piece) for piece in pieces] == [12, 1012, 4]
    assert pieces[0] == data.tobytes()[:12]
    numpy = need_numpy()
    assert [len(p) for p in impl.parse_packet_zero_copy(numpy.zeros((30, 40), "u1"))] == [
        12,
        1012,
        4,
    ]


def test_packet_refused(impl):
    parse = impl.parse_packet_zero_copy
    raises(TypeError, "parse_packet_zero_copy() wants a contiguous buffer, got str", parse, "abc")
    raises(
        BufferError,
        "parse_packet_zero_copy() wants a contiguous buffer, got a strided memoryview",
        parse, memoryview(DATA)[::2],
    )  # fmt: skip
    for args, kwargs in [((), {}), ((b"", True), {}), ((b"",), {"loose": 1})]:
        with pytest.raises(TypeError):
            parse(*args, **kwargs)


def test_packet_writes_through(impl):
    data = bytearray(1028)
    header, payload, checksum = impl.parse_packet_zero_copy(data)
    header[0], payload[0], checksum[3] = 1, 2, 3
    assert (data[0], data[12], data[1027]) == (1, 2, 3)
    with pytest.raises(BufferError):
        data.append(1)
