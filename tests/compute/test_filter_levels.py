"""above with the vector instructions of each level, which FERRULE_CPU forces, against the twin."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import itertools
import math
import random
import struct
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

import ferrule._compute
from ferrule.pure.compute import above as twin

LEVELS = ("portable", "sse2", "avx2", "avx512")
OPS = ("gt", "ge", "lt", "le", "eq", "ne")
OUTS = ("values", "mask", "indices")


def load(level: str) -> ModuleType:
    """The extension module once more, with a state of its own."""
    path = ferrule._compute.__file__
    loader = importlib.machinery.ExtensionFileLoader("ferrule._compute", path)
    spec = importlib.util.spec_from_file_location("ferrule._compute", path, loader=loader)
    assert spec is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERRULE_CPU", level)
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    return module


#: Those that this processor has.
HAS = LEVELS[: LEVELS.index(load("").cpu) + 1]
above: dict[str, Callable[..., Any]] = {level: load(level).above for level in HAS}


@pytest.mark.parametrize("level", HAS)
def test_a_level_can_be_forced(level: str) -> None:
    assert load(level).cpu == level


def test_an_unknown_level_is_an_error() -> None:
    wanted = "FERRULE_CPU: wanted portable, sse2, avx2 or avx512, got 'avx3'"
    with pytest.raises(ImportError, match=wanted):
        load("avx3")


@pytest.mark.skipif(HAS == LEVELS, reason="this processor has all levels")
def test_a_level_the_processor_has_not() -> None:
    with pytest.raises(ImportError, match="FERRULE_CPU: this processor has no avx512"):
        load("avx512")


#: memoryview knows halves since 3.12.
HALF = "e" if sys.version_info >= (3, 12) else ""


def readable(view: memoryview[Any]) -> list[str]:
    """Texts, so that NaN is NaN and zeros keep their sign."""
    return [repr(x) for (x,) in struct.iter_unpack(view.format, view.tobytes())]


def compare_all(level: str, view: memoryview[Any], threshold: float) -> None:
    for op, out in itertools.product(OPS, OUTS):
        found = above[level](view, threshold, op=op, out=out)
        wanted = twin(view, threshold, op=op, out=out)
        assert found.format == wanted.format
        assert readable(found) == readable(wanted), (op, out)


# ---- around the widths of vectors

#: Bits of numbers near which things change, by their size in bytes.
BITS = {
    1: [0, 1, 2, 0x7E, 0x7F, 0x80, 0x81, 0xFE, 0xFF],
    2: [0, 1, 0x3C00, 0x7C00, 0x7E00, 0x7FFF, 0x8000, 0x8001, 0xFC00, 0xFFFF],
    4: [0, 1, 0x3F800000, 0x7F800000, 0x7FC00000, 0x7FFFFFFF, 0x80000000, 0xFF800000, 0xFFFFFFFF],
    8: [0, 1, 0x3FF << 52, 0x7FF << 52, 0x7FF8 << 48, (1 << 63) - 1, 1 << 63, 0xFFF << 52,
        (1 << 64) - 1],
}  # fmt: skip
THRESHOLDS = [0, 1, -1, 0.5, 127, 128, 255, 1.0, -1e300, 2.0**63, 2**64 - 1, -(2**63), math.nan]


@pytest.mark.parametrize("level", HAS)
@pytest.mark.parametrize("letter", "bBhHiIqQfd?" + HALF)
def test_every_kernel(level: str, letter: str) -> None:
    size = struct.calcsize(letter)
    source = random.Random(letter)
    for count in (1, 31, 64, 65, 200, 1100):
        bits = (
            source.choice(BITS[size]) if source.random() < 0.5 else source.getrandbits(8 * size)
            for _ in range(count)
        )
        packed = bytearray(b"".join(number.to_bytes(size, sys.byteorder) for number in bits))
        view = memoryview(packed).cast(letter)  # type: ignore[call-overload]
        for threshold in THRESHOLDS:
            compare_all(level, view, threshold)


# ---- anything


@st.composite
def views(draw: st.DrawFn) -> memoryview[Any]:
    """A view of any format, at any address, with any stride."""
    letter = draw(st.sampled_from("bBhHiIlLqQnNfd?" + HALF))
    size = struct.calcsize(letter)
    offset = draw(st.integers(0, 7))
    count = draw(st.integers(0, 300) | st.sampled_from([1023, 1024, 1025]))
    seed = draw(st.integers(0, 1 << 32))
    packed = bytearray(offset) + random.Random(seed).randbytes(count * size)
    if draw(st.booleans()):  # few values, often equal
        packed = bytearray(x & 1 for x in packed)
    view: memoryview[Any] = memoryview(packed)[offset:].cast(letter)  # type: ignore[call-overload]
    return view[:: draw(st.sampled_from([1, 1, 1, 2, -1, -3]))]


NUMBERS = st.floats() | st.integers() | st.integers(-3, 300) | st.sampled_from([0.5, 2.0**53])


@pytest.mark.parametrize("level", HAS)
@given(view=views(), threshold=NUMBERS, near=st.booleans())
def test_any_buffer(level: str, view: memoryview[Any], threshold: float, near: bool) -> None:
    if near and len(view) and view.format != "e":
        threshold = view[len(view) // 2]
    compare_all(level, view, threshold)


ANY: st.SearchStrategy[Any] = st.floats() | st.integers(-10, 10) | st.integers() | st.booleans()
OTHERS: st.SearchStrategy[Any] = st.fractions()
LISTS = st.lists(st.floats(-1, 1)) | st.lists(ANY | OTHERS) | st.lists(st.floats(), min_size=60)


@pytest.mark.parametrize("level", HAS)
@given(values=LISTS, repeat=st.integers(1, 30), threshold=st.floats() | st.integers())
def test_any_list(level: str, values: list[Any], repeat: int, threshold: float) -> None:
    values = values * repeat
    for op, out in itertools.product(OPS, OUTS):
        wanted = twin(values, threshold, op=op, out=out)
        found = above[level](values, threshold, op=op, out=out)
        assert list(map(id, found)) == list(map(id, wanted)) or found == wanted


@pytest.mark.parametrize("level", HAS)
@pytest.mark.parametrize("count", [64, 65, 511, 512, 513, 2000])
def test_lists_of_floats(level: str, count: int) -> None:
    source = random.Random(count)
    choices = [0.5, math.nan, math.inf, -0.0, 0.0, 1e-310]
    values = [source.choice(choices) if i % 5 else source.random() for i in range(count)]
    for threshold in (0.5, 0, math.nan, math.inf, -1.0):
        for op, out in itertools.product(OPS, OUTS):
            found = above[level](values, threshold, op=op, out=out)
            wanted = twin(values, threshold, op=op, out=out)
            assert list(map(id, found)) == list(map(id, wanted)) or found == wanted
