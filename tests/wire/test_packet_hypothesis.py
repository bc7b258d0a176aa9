"""Random layouts, records and buffers: the native part gives what the twin gives."""

import importlib
from typing import Any

import layouts
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import Built

import ferrule.pure.wire as twin


@pytest.fixture(scope="module")
def native_module(pytestconfig: pytest.Config) -> Any:
    """The native module; against itself the twin is only checked for agreement with itself."""
    if pytestconfig.getoption("--impl") == "pure":
        return twin
    return importlib.import_module("ferrule.wire")


randoms = st.randoms(use_true_random=False)


def both(native: Any, random: Any) -> tuple[layouts.Described, Built, Built]:
    described = layouts.draw(random)
    return described, Built(native, described), Built(twin, described)


@given(randoms)
def test_records(native_module, random):
    """Both pack a record alike, and what is packed is read again."""
    described, native, pure = both(native_module, random)
    values = layouts.values(random, described)
    records = [built.record(described, values) for built in (native, pure)]
    outcomes = [
        layouts.outcome(built.impl.pack, record)
        for built, record in zip((native, pure), records, strict=True)
    ]
    assert outcomes[0] == outcomes[1]
    if outcomes[0][0] == "value":
        for built, record in zip((native, pure), records, strict=True):
            data = built.impl.pack(record)
            again = built.impl.unpack(built.cls, data)
            assert built.impl.pack(again) == data
            buffer = bytearray(len(data) + 2)
            assert built.impl.pack_into(record, buffer, 1) == len(data)
            assert buffer == b"\0" + data + b"\0"


@given(randoms, st.binary(max_size=60))
def test_any_bytes(native_module, random, data):
    _, native, pure = both(native_module, random)
    outcomes = [layouts.outcome(built.impl.unpack, built.cls, data) for built in (native, pure)]
    assert outcomes[0] == outcomes[1]
    if outcomes[0][0] == "value" and not layouts.has_nan(outcomes[0]):
        packed = [
            layouts.outcome(lambda b: b.impl.pack(b.impl.unpack(b.cls, data)), built)
            for built in (native, pure)
        ]
        assert packed[0] == packed[1]


@given(randoms)
def test_every_length(native_module, random):
    """A packet cut off anywhere: the same field is the first that does not fit."""
    described, native, pure = both(native_module, random)
    record = pure.record(described, layouts.values(random, described))
    if layouts.outcome(twin.pack, record)[0] != "value":
        return
    data = twin.pack(record)
    for length in range(len(data)):
        outcomes = [
            layouts.outcome(built.impl.unpack, built.cls, data[:length]) for built in (native, pure)
        ]
        assert outcomes[0] == outcomes[1]


@given(randoms)
def test_every_bit(native_module, random):
    """A packet with one bit turned: the same value, or the same error."""
    described, native, pure = both(native_module, random)
    record = pure.record(described, layouts.values(random, described))
    if layouts.outcome(twin.pack, record)[0] != "value":
        return
    data = twin.pack(record)
    for at in range(min(len(data), 40)):
        turned = bytearray(data)
        turned[at] ^= 1 << random.randrange(8)
        outcomes = [
            layouts.outcome(built.impl.unpack, built.cls, turned) for built in (native, pure)
        ]
        assert outcomes[0] == outcomes[1]
