"""Native descriptors against their twins: the same verdicts and texts for any bounds and values."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st

from ferrule import records, validation
from ferrule.pure import records as pure_records
from ferrule.pure import validation as pure_validation

NUMBERS = st.one_of(
    st.integers(-5, 5),
    st.integers(),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**60, 2**62, 2**63, -(2**63), 10**30]),
    st.floats(),
    st.floats(-5, 5),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.booleans(),
)
VALUES = st.one_of(NUMBERS, st.none(), st.text(max_size=3), st.binary(max_size=3), st.tuples())


def outcome(call):
    try:
        return call()
    except Exception as error:
        return type(error).__name__, str(error)


def plain(room, _, descriptor):
    body = {"x": descriptor}
    return type("Thing", (), body)()


def slotted(room, _, descriptor):
    return type("Thing", (), {"__slots__": ("_bounded_x", "_x"), "x": descriptor})()


def record(_, rooms, descriptor):
    cls = type(rooms.Record)("Thing", (rooms.Record,), {"x": descriptor})
    return cls.__new__(cls)


@hypothesis.settings(max_examples=300)
@hypothesis.given(
    st.sampled_from(["Bounded", "Validated"]),
    st.sampled_from([plain, slotted, record]),
    st.dictionaries(st.sampled_from(["min_val", "max_val"]), VALUES),
    st.lists(VALUES, min_size=1, max_size=8),
)
def test_same_as_the_twin(kind, make, bounds, values):
    def run(room, rooms):
        thing = make(room, rooms, getattr(room, kind)(**bounds))
        seen = [thing.x]
        for value in values:
            seen.append((outcome(lambda value=value: setattr(thing, "x", value)), repr(thing.x)))
        return seen

    native = outcome(lambda: run(validation, records))
    assert native == outcome(lambda: run(pure_validation, pure_records))
