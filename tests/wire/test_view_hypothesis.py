"""View against its twin and NumPy, over random shapes, formats and keys."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferrule.pure.wire import View as Twin
from ferrule.wire import View

bounds = st.none() | st.integers(-9, 9) | st.integers(-(1 << 70), 1 << 70)
slices = st.builds(slice, bounds, bounds, bounds.filter(lambda step: step != 0))
keys = st.integers(-4, 4) | slices | st.just(...)
SIZES = {"B": 1, "b": 1, "c": 1, "?": 1, "h": 2, "I": 4, "q": 8, "f": 4, "d": 8}


@st.composite
def memories(draw: st.DrawFn) -> tuple[bytes, str, list[int]]:
    """Bytes with a format and a shape for them."""
    format = draw(st.sampled_from(sorted(SIZES)))
    shape = draw(st.lists(st.integers(1, 4), max_size=3))
    count = SIZES[format]
    for n in shape:
        count *= n
    return draw(st.binary(min_size=count, max_size=count)), format, shape


def outcome(call: Any) -> Any:
    try:
        return call()
    except (TypeError, ValueError, IndexError) as error:
        return type(error), str(error)


def facts(view: Any) -> Any:
    if type(view).__name__ != "View":
        return repr(view)
    return (
        repr(view), view.shape, view.strides, view.format, view.nbytes, view.contiguous,
        view.tobytes(), repr(view.tolist()), view.hex(),
    )  # fmt: skip


@given(memories(), st.lists(st.lists(keys, max_size=4).map(tuple), max_size=3))
def test_keys(memory, path):
    data, format, shape = memory
    ours = View(bytearray(data)).cast(format, shape)
    twin = Twin(bytearray(data)).cast(format, shape)
    for key in path:
        ours, twin = outcome(lambda: ours[key]), outcome(lambda: twin[key])  # noqa: B023
        assert facts(ours) == facts(twin)
        if type(ours).__name__ != "View":
            break
    else:
        assert facts(ours) == facts(twin)
        nan = "nan" in repr(ours.tolist())
        assert nan or (ours == ours[...] and twin == twin[...])


@given(memories(), st.lists(keys, max_size=4).map(tuple), st.data())
def test_assignment(memory, key, draw):
    data, format, shape = memory
    mine, theirs = bytearray(data), bytearray(data)
    ours = View(mine).cast(format, shape)
    twin = Twin(theirs).cast(format, shape)
    part = outcome(lambda: ours[key])
    if type(part).__name__ == "View":
        fill = draw.draw(st.binary(min_size=part.nbytes, max_size=part.nbytes))
        if 0 in part.shape:
            return
        if format == "?":
            fill = bytes(byte & 1 for byte in fill)
        value: Any = memoryview(fill).cast("B").cast(format, part.shape)
    else:
        value = draw.draw(st.integers(-300, 300) | st.floats(width=32) | st.binary(max_size=2))
    assert outcome(lambda: ours.__setitem__(key, value)) == outcome(
        lambda: twin.__setitem__(key, value)
    )
    assert mine == theirs or format == "f"  # a NaN may lose its payload on the way


@given(st.binary(max_size=30), st.lists(slices, max_size=4))
def test_slices(data, path):
    view = View(data)
    for key in path:
        data, view = data[key], view[key]
        assert view == data and hash(view) == hash(data) and bytes(view) == data


@given(memories(), st.lists(keys, max_size=4).map(tuple))
def test_numpy(memory, key):
    numpy = pytest.importorskip("numpy")
    data, format, shape = memory
    if format == "c":
        return
    array = numpy.frombuffer(data, format).reshape(shape)
    try:
        wanted = array[key]
    except (IndexError, OverflowError):
        return
    got = View(array)[key]
    if isinstance(wanted, numpy.ndarray):
        assert got.shape == wanted.shape and got.tobytes() == wanted.tobytes()
        assert numpy.array_equal(numpy.asarray(got), wanted, equal_nan=format in "fd")
    else:
        assert got == wanted or got != got
