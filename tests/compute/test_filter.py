"""above: over lists as the comprehension, over buffers as NumPy's mask; what it refuses."""

from __future__ import annotations

import array
import ctypes
import fractions
import itertools
import math
import operator
import struct
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

OPS: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, name) for name in ("gt", "ge", "lt", "le", "eq", "ne")
}
OUTS = ("values", "mask", "indices")
NAN, INF = math.nan, math.inf
#: Where doubles, floats and ints of each width end, and where doubles stop being whole.
EDGES: list[Any] = [
    *(sign * (1 << bits) + step for bits in (7, 8, 15, 16, 31, 32, 53, 59, 60, 63, 64)
      for step in (-1, 0, 1) for sign in (-1, 1)),
    *[0, 0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 5e-324, 1.1, 2.0**53, 2.0**63, -(2.0**63), 2.0**64],
    *[INF, -INF, NAN, 1e308, -1e308, 3.5e38, 10**400, -(10**400), True, False, (1 << 70) + 1],
]  # fmt: skip


def expected(values: Any, threshold: Any, op: str, out: str) -> list[Any]:
    compare = OPS[op]
    if out == "values":
        return [x for x in values if compare(x, threshold)]
    if out == "mask":
        return [bool(compare(x, threshold)) for x in values]
    return [i for i, x in enumerate(values) if compare(x, threshold)]


def same(found: Any, wanted: list[Any]) -> bool:
    """The very same objects, in a list."""
    return type(found) is list and list(map(id, found)) == list(map(id, wanted))


def plain(found: Any) -> list[Any]:
    return [repr(x) for x in found.tolist()]


# ---- lists


def test_the_article(impl: ModuleType) -> None:
    assert impl.above([0.1, 0.8, 0.4], 0.5) == [0.8]
    assert impl.above(values=[1, 2, 3], threshold=2, op="le", out="mask") == [True, True, False]
    assert impl.above([1, 2, 3], 2, op="ge", out="indices") == [1, 2]
    assert impl.above([], 0) == impl.above((), 0) == impl.above("", 0) == []


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("out", OUTS)
def test_every_pair_of_numbers_compares_as_in_python(impl: ModuleType, op: str, out: str) -> None:
    for threshold in EDGES:
        found = impl.above(EDGES, threshold, op=op, out=out)
        wanted = expected(EDGES, threshold, op, out)
        assert found == wanted or same(found, wanted), threshold


@pytest.mark.parametrize("size", [0, 1, 2, 63, 64, 65, 127, 128, 511, 512, 513, 1000, 20_000])
@pytest.mark.parametrize("out", OUTS)
def test_sizes(impl: ModuleType, size: int, out: str) -> None:
    values = [(i * 7919 % 1000) / 1000 for i in range(size)]
    for given in (values, tuple(values)):
        for threshold in (-1.0, 0.5, 2.0):
            found = impl.above(given, threshold, out=out)
            wanted = expected(values, threshold, "gt", out)
            assert found == wanted
            assert out != "values" or same(found, wanted)


@pytest.mark.parametrize("at", [0, 1, 63, 64, 100, 511, 512, 599])
@pytest.mark.parametrize("other", [7, True, 1 << 80, fractions.Fraction(1, 3), NAN])
def test_a_number_of_another_type_among_floats(impl: ModuleType, at: int, other: Any) -> None:
    values: list[Any] = [i / 600 for i in range(600)]
    values[at] = other
    for op, out in itertools.product(OPS, OUTS):
        assert impl.above(values, 0.25, op=op, out=out) == expected(values, 0.25, op, out)


def test_anything_that_compares(impl: ModuleType) -> None:
    assert impl.above(["a", "c", "b"], "a") == ["c", "b"]
    assert impl.above([(1, 2), (0, 9)], (1,)) == [(1, 2)]
    assert impl.above([{1, 2}, {3}, {1}], {1}, op="ge") == [{1, 2}, {1}]
    assert impl.above([0.5, 1], fractions.Fraction(1, 2), op="eq", out="mask") == [True, False]
    assert impl.above([NAN, NAN], NAN, op="eq") == []
    marker = object()
    assert same(impl.above([marker, None, 1.0], marker, op="eq"), [marker])


def test_any_iterable(impl: ModuleType) -> None:
    values = [0.1, 0.8, 3, 0.4, 1 << 90]

    class Old:
        def __getitem__(self, i: int) -> Any:
            return values[i]

    class Reversed(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            return iter(self[::-1])

    class Sub(list[Any]):
        pass

    for given in (iter(values), (x for x in values), dict.fromkeys(values), Old(), Sub(values)):
        assert impl.above(given, 0.3) == [0.8, 3, 0.4, 1 << 90]
    assert impl.above(Reversed(values), 0.3) == [1 << 90, 0.4, 3, 0.8]
    assert impl.above(range(5), 2, out="indices") == [3, 4]


def test_a_comparison_that_changes_the_list(impl: ModuleType) -> None:
    values: list[Any] = []

    class Meddler:
        def __init__(self, change: Callable[[], object]) -> None:
            self.change = change

        def __gt__(self, other: object) -> bool:
            self.change()
            return True

    values[:] = [1.0, Meddler(values.clear), 2.0]
    first = values[:2]
    assert same(impl.above(values, 0.5), first)

    values[:] = [1.0, Meddler(lambda: values.extend([5.0] * 1000)), 2.0]
    found = impl.above(values, 0.5, out="indices")
    assert found == list(range(1003))

    values[:] = [Meddler(lambda: values.__delitem__(0)), 7.0, 8.0, 9.0]
    assert impl.above(values, 0.5)[1:] == [8.0, 9.0]


def test_truth_of_a_comparison(impl: ModuleType) -> None:
    class Verdict:
        def __init__(self, truth: Any) -> None:
            self.truth = truth

        def __bool__(self) -> bool:
            if isinstance(self.truth, Exception):
                raise self.truth
            return bool(self.truth)

    class Thing:
        def __init__(self, truth: Any) -> None:
            self.truth = truth

        def __gt__(self, other: object) -> Any:
            return Verdict(self.truth)

    one, two = Thing(1), Thing(0)
    assert same(impl.above([one, two], 0.5), [one])
    assert impl.above([one, two], 0.5, out="mask") == [True, False]
    with pytest.raises(KeyError, match="no"):
        impl.above([one, 1.0, Thing(KeyError("no"))], 0.5)


def test_subclasses_of_numbers_decide_themselves(impl: ModuleType) -> None:
    class Contrary(float):
        def __gt__(self, other: object) -> bool:
            return not super().__gt__(other)  # type: ignore[operator]

        def __lt__(self, other: object) -> bool:
            return True

    assert impl.above([Contrary(1), Contrary(0)], 0.5) == [0.0]
    # the reflected method of a subclass comes first
    assert impl.above([1.0, 0.0], Contrary(0.5)) == [1.0, 0.0]


# ---- what is refused


def test_errors_of_a_list(impl: ModuleType) -> None:
    with pytest.raises(TypeError, match="'>' not supported between instances of 'str' and 'float'"):
        impl.above([0.7, "x"], 0.5)
    with pytest.raises(TypeError, match=r"above\(\): values must be iterable, got int"):
        impl.above(5, 0.5)

    def failing() -> Iterator[float]:
        yield 1.0
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        impl.above(failing(), 0.5)


def test_errors_of_options(impl: ModuleType) -> None:
    wanted = r"above\(\): op must be 'gt', 'ge', 'lt', 'le', 'eq' or 'ne', got 'over'"
    with pytest.raises(ValueError, match=wanted):
        impl.above([1], 0, op="over")
    wanted = r"above\(\): out must be 'values', 'mask' or 'indices', got 'list'"
    with pytest.raises(ValueError, match=wanted):
        impl.above([1], 0, out="list")
    with pytest.raises(TypeError, match=r"above\(\): op must be a str, got int"):
        impl.above([1], 0, op=1)
    with pytest.raises(TypeError, match=r"above\(\): out must be a str, got NoneType"):
        impl.above([1], 0, out=None)
    for wrong in ([1],), ([1], 0, "gt"), ():
        with pytest.raises(TypeError, match=r"above\(\)"):
            impl.above(*wrong)
    with pytest.raises(TypeError, match="above"):
        impl.above([1], 0, limit=1)


# ---- buffers

#: What each format holds at its ends and between.
FORMATS: dict[str, list[Any]] = {
    "f": [0.0, -0.0, 1.5, -1.5, 3.4028234663852886e38, INF, -INF, NAN, 1e-45, 0.10000000149011612],
    "d": [0.0, -0.0, 1.5, 2.0**53, 2.0**53 + 2, INF, -INF, NAN, 5e-324, 1e308, -1e308, 2.0**63],
    "e": [0.0, -0.0, 1.5, -1.5, 65504.0, INF, -INF, NAN, 5.960464477539063e-08, 0.0999755859375],
    "?": [True, False, True],
}
if sys.version_info < (3, 12):
    del FORMATS["e"]  # memoryview reads no halves; NumPy's are tested below
for letter in "bBhHiIlLqQnN":
    top = 1 << 8 * struct.calcsize(letter)
    ends = [0, top - 1] if letter.isupper() else [-top // 2, top // 2 - 1]
    FORMATS[letter] = [*ends, ends[0] + 1, ends[1] - 1, 0, 1, 2, 3, 100]


def buffer_of(letter: str, count: int) -> memoryview[Any]:
    """Numbers of the format in turn."""
    numbers = itertools.islice(itertools.cycle(FORMATS[letter]), count)
    packed = b"".join(struct.pack(letter, number) for number in numbers)
    view: memoryview[Any] = memoryview(bytearray(packed)).cast(letter)  # type: ignore[call-overload]
    return view


def readable(view: memoryview[Any]) -> list[Any]:
    """By struct: memoryview reads no halves before 3.12."""
    return [x for (x,) in struct.iter_unpack(view.format, view.tobytes())]


@pytest.mark.parametrize("letter", FORMATS)
def test_formats_thresholds_and_operators(impl: ModuleType, letter: str) -> None:
    view = buffer_of(letter, 70)
    numbers = readable(view)
    for threshold in EDGES:
        for op in OPS:
            found = impl.above(view, threshold, op=op)
            assert type(found) is memoryview and found.format == letter
            wanted = expected(numbers, threshold, op, "values")
            assert list(map(repr, readable(found))) == list(map(repr, wanted)), (threshold, op)


@pytest.mark.parametrize("letter", FORMATS)
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 63, 64, 65, 1023, 1024, 1025, 3000])
def test_sizes_of_buffers(impl: ModuleType, letter: str, count: int) -> None:
    view = buffer_of(letter, count)
    numbers = readable(view)
    found = impl.above(view, 1)
    assert list(map(repr, readable(found))) == list(map(repr, expected(numbers, 1, "gt", "values")))
    mask = impl.above(view, 1, out="mask")
    assert mask.format == "?" and mask.tolist() == expected(numbers, 1, "gt", "mask")
    indices = impl.above(view, 1, out="indices")
    assert indices.format == "q" and indices.tolist() == expected(numbers, 1, "gt", "indices")


def test_a_large_buffer(impl: ModuleType) -> None:
    values = array.array("d", (i * 7919 % 1000 for i in range(50_000)))
    assert impl.above(values, 499.5).tolist() == [x for x in values if x > 499.5]
    assert sum(impl.above(values, 499.5, out="mask")) == 25_000


@pytest.mark.parametrize("letter", FORMATS)
@pytest.mark.parametrize("step", [-1, 2, -3, 5])
def test_strides(impl: ModuleType, letter: str, step: int) -> None:
    view = buffer_of(letter, 2500)[::step]
    for op, out in itertools.product(OPS, OUTS):
        found = impl.above(view, 1, op=op, out=out)
        assert list(map(repr, readable(found))) == list(
            map(repr, expected(readable(view), 1, op, out))
        )


@pytest.mark.parametrize("offset", range(1, 8))
def test_addresses_that_are_not_aligned(impl: ModuleType, offset: int) -> None:
    numbers = [float(i % 10) for i in range(200)]
    packed = bytearray(offset) + struct.pack("200d", *numbers)
    view = memoryview(packed)[offset:].cast("d")
    assert impl.above(view, 4.5).tolist() == [x for x in numbers if x > 4.5]


def test_the_result_is_memory_of_its_own(impl: ModuleType) -> None:
    values = bytearray(range(100))
    found = impl.above(values, 50)
    values[:] = bytes(100)
    assert found.tolist() == list(range(51, 100))
    assert not found.readonly and found.contiguous
    found[0] = 0
    values.append(1)  # no view of it is left
    assert impl.above(b"\x01\x02", 1).tolist() == [2]


@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_an_array_gives_an_array(impl: ModuleType, code: str) -> None:
    values = array.array(code, [1, 5, 2, 6] * 40)
    found = impl.above(values, 2)
    assert type(found) is array.array
    assert (found.typecode, found.tolist()) == (code, [5, 6] * 40)
    indices = impl.above(values, 2, op="eq", out="indices")
    assert (indices.typecode, indices.tolist()) == ("q", list(range(2, 160, 4)))
    mask = impl.above(values[:4], 2, out="mask")
    assert type(mask) is memoryview and mask.tolist() == [False, True, False, True]
    assert impl.above(array.array(code), 2) == array.array(code)


def test_other_orders_of_bytes(impl: ModuleType) -> None:
    """ctypes exports formats with an order."""
    values = (ctypes.c_double * 4)(1.0, 3.0, 2.0, 4.0)
    assert impl.above(values, 1.5).tolist() == [3.0, 2.0, 4.0]
    numbers = (ctypes.c_int * 3)(-1, 5, 0)
    assert impl.above(numbers, -0.5).tolist() == [5, 0]
    for kind in (ctypes.c_double, ctypes.c_int, ctypes.c_ushort, ctypes.c_ulonglong):
        for attribute in ("__ctype_be__", "__ctype_le__"):
            ordered = getattr(kind, attribute)
            swapped = (ordered * 4)(1, 3, 2, 4)
            assert impl.above(swapped, 2).tobytes() == bytes((ordered * 2)(3, 4))
            assert impl.above(swapped, 2, out="mask").tolist() == [False, True, False, True]
            assert impl.above(swapped, 2, out="indices").tolist() == [1, 3]


def test_a_comparison_holds_the_buffer(impl: ModuleType) -> None:
    """The threshold is asked for its value while the exporter cannot shrink."""
    values = bytearray(range(100))

    class Threshold:
        def __index__(self) -> int:
            with pytest.raises(BufferError):
                values.clear()
            return 50

    assert impl.above(values, Threshold()).tolist() == list(range(51, 100))


def test_numbers_of_other_types_as_thresholds(impl: ModuleType) -> None:
    values = array.array("d", [0.25, 0.5, 1.0])

    class Half:
        def __float__(self) -> float:
            return 0.5

        def __eq__(self, other: object) -> bool:
            return other == 0.5

    assert impl.above(values, Half()) == array.array("d", [1.0])
    assert impl.above(values, fractions.Fraction(1, 4)) == array.array("d", [0.5, 1.0])
    assert impl.above(values, True, op="ge") == array.array("d", [1.0])


def test_errors_of_buffers(impl: ModuleType) -> None:
    values = array.array("d", [1.0])
    square = memoryview(bytes(4)).cast("B", (2, 2))
    with pytest.raises(TypeError, match=r"above\(\): values must have one dimension, got 2"):
        impl.above(square, 1)
    with pytest.raises(TypeError, match=r"ints or floats, got a buffer of format 'c'"):
        impl.above(memoryview(b"abc").cast("c"), 1)
    for wrong in ("0.5", None, 1j, [1]):
        name = type(wrong).__name__
        with pytest.raises(TypeError, match=f"buffer must be an int or a float, got {name}"):
            impl.above(values, wrong)
    with pytest.raises(ValueError, match=r"the value of a float, got Fraction\(1, 3\)"):
        impl.above(values, fractions.Fraction(1, 3))

    class Failing:
        def __float__(self) -> float:
            raise LookupError("no value")

    with pytest.raises(LookupError, match="no value"):
        impl.above(values, Failing())
    view = memoryview(values)
    view.release()
    with pytest.raises(ValueError, match="released"):
        impl.above(view, 1)
    assert values == array.array("d", [1.0])
    values.append(2.0)  # nothing holds it


# ---- NumPy, records


@pytest.mark.integration
def test_numpy(impl: ModuleType) -> None:
    numpy = pytest.importorskip("numpy")
    random = numpy.random.default_rng(7)
    for dtype in (
        "f8",
        ">f8",
        "f4",
        ">f4",
        "f2",
        ">f2",
        "i8",
        ">i8",
        "u8",
        "i4",
        ">u4",
        "i2",
        "u1",
    ):
        whole = (random.random(3000) * 100).astype(dtype)
        for values in (whole, whole[::-1], whole[::3], whole[:7], whole[:0]):
            found = impl.above(values, 50)
            assert type(found) is numpy.ndarray and found.dtype == values.dtype
            assert (found == values[values > 50]).all()
            mask = impl.above(values, 50, op="le", out="mask")
            assert mask.dtype == bool and (mask == (values <= 50)).all()
            indices = impl.above(values, 50, out="indices")
            assert indices.dtype == "i8" and (indices == numpy.flatnonzero(values > 50)).all()
    found = impl.above(whole, numpy.float32(50.5))
    assert found.flags.writeable and (found == whole[whole > 50.5]).all()
    assert (impl.above(whole, numpy.int64(50)) == whole[whole > 50]).all()
    values = numpy.array([True, False])
    assert impl.above(values, 0).tolist() == [True]
    for wrong, text in (
        (numpy.zeros((2, 2)), "one dimension, got 2"),
        (numpy.zeros(()), "one dimension, got 0"),
        (numpy.array([1j]), "format 'Zd'"),
        (numpy.array([None]), "format 'O'"),
        (numpy.array(["a"]), "format '1w'"),
        (numpy.zeros(1, "i4,f8"), "format 'T"),
    ):
        with pytest.raises(TypeError, match=text):
            impl.above(wrong, 0)


def test_columns_of_records(impl: ModuleType) -> None:
    # built here: the twins import nothing native
    records = pytest.importorskip("ferrule.records")

    class Reading(records.Record, gc=False):  # type: ignore[misc, name-defined, call-arg]
        when: records.i64  # type: ignore[name-defined]
        value: records.f64  # type: ignore[name-defined]

    readings = records.RecordArray(Reading, [Reading(i, i / 2) for i in range(200)])
    found = impl.above(readings.column("value"), 90.0)
    assert found.tolist() == [i / 2 for i in range(181, 200)]
    with pytest.raises(TypeError, match="ints or floats, got a buffer of format"):
        impl.above(readings, 1)
    readings.append(Reading(0, 0.0))  # nothing holds it


def test_the_module_says_what_it_uses() -> None:
    native = sys.modules.get("ferrule._compute") or pytest.importorskip("ferrule._compute")
    assert native.cpu in ("portable", "sse2", "avx2", "avx512")
