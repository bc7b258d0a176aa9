"""Frozen containers behave as unfrozen ones under any sequence of changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.frozen import IMMORTAL, run

KEYS = st.one_of(st.integers(0, 6), st.sampled_from("abcdef"), st.tuples(st.integers(0, 2)))
VALUES = st.one_of(
    KEYS, st.lists(st.integers(0, 3), max_size=3), st.just(10**12), st.text("xyz", max_size=3)
)
INDEX = st.integers(-4, 8)
#: Container -> the operations on it: a method or operator, and its arguments.
OPERATIONS: dict[str, list[st.SearchStrategy[tuple[Any, ...]]]] = {
    "dict": [
        st.tuples(st.just("__setitem__"), KEYS, VALUES),
        st.tuples(st.just("__delitem__"), KEYS),
        st.tuples(st.just("pop"), KEYS, VALUES),
        st.tuples(st.just("setdefault"), KEYS, VALUES),
        st.tuples(st.just("popitem")),
        st.tuples(st.just("update"), st.dictionaries(KEYS, VALUES, max_size=4)),
        st.tuples(st.just("clear")),
        st.tuples(st.just("copy")),
        st.tuples(st.just("get"), KEYS),
    ],
    "list": [
        st.tuples(st.just("append"), VALUES),
        st.tuples(st.just("insert"), INDEX, VALUES),
        st.tuples(st.just("pop"), INDEX),
        st.tuples(st.just("__setitem__"), INDEX, VALUES),
        st.tuples(st.just("__delitem__"), INDEX),
        st.tuples(st.just("__iadd__"), st.lists(VALUES, max_size=3)),
        st.tuples(st.just("__imul__"), st.integers(0, 2)),
        st.tuples(st.just("extend"), st.lists(VALUES, max_size=3)),
        st.tuples(st.just("reverse")),
        st.tuples(st.just("remove"), VALUES),
        st.tuples(st.just("copy")),
    ],
    "set": [
        st.tuples(st.just("add"), KEYS),
        st.tuples(st.just("discard"), KEYS),
        st.tuples(st.just("remove"), KEYS),
        st.tuples(st.just("__ior__"), st.frozensets(KEYS, max_size=3)),
        st.tuples(st.just("__iand__"), st.frozensets(KEYS, max_size=3)),
        st.tuples(st.just("__ixor__"), st.frozensets(KEYS, max_size=3)),
        st.tuples(st.just("update"), st.lists(KEYS, max_size=3)),
        st.tuples(st.just("clear")),
    ],
    "bytearray": [
        st.tuples(st.just("append"), st.integers(0, 255)),
        st.tuples(st.just("extend"), st.binary(max_size=4)),
        st.tuples(st.just("pop")),
        st.tuples(st.just("__iadd__"), st.binary(max_size=20)),
        st.tuples(st.just("clear")),
    ],
    "deque": [
        st.tuples(st.just("append"), VALUES),
        st.tuples(st.just("appendleft"), VALUES),
        st.tuples(st.just("pop")),
        st.tuples(st.just("popleft")),
        st.tuples(st.just("rotate"), INDEX),
        st.tuples(st.just("extend"), st.lists(VALUES, max_size=3)),
    ],
    "instance": [
        st.tuples(st.just("__setattr__"), st.sampled_from("abc"), VALUES),
        st.tuples(st.just("__delattr__"), st.sampled_from("abc")),
        st.tuples(st.just("__getattribute__"), st.sampled_from(["a", "b", "c", "__dict__"])),
    ],
    "ordered": [
        st.tuples(st.just("__setitem__"), KEYS, VALUES),
        st.tuples(st.just("move_to_end"), KEYS),
        st.tuples(st.just("pop"), KEYS, VALUES),
        st.tuples(st.just("popitem")),
    ],
}
STARTS: dict[str, st.SearchStrategy[Any]] = {
    "dict": st.dictionaries(KEYS, VALUES, max_size=8),
    "list": st.lists(VALUES, max_size=8),
    "set": st.frozensets(KEYS, max_size=8),
    "bytearray": st.binary(max_size=20),
    "deque": st.lists(VALUES, max_size=8),
    "instance": st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3),
    "ordered": st.dictionaries(KEYS, VALUES, max_size=8),
}


def case(kind: str) -> st.SearchStrategy[tuple[str, Any, list[tuple[Any, ...]]]]:
    return st.tuples(
        st.just(kind), STARTS[kind], st.lists(st.one_of(OPERATIONS[kind]), min_size=5, max_size=25)
    )


CASES = st.lists(st.one_of([case(kind) for kind in OPERATIONS]), min_size=30, max_size=60)

PROGRAM = """
import collections, copy
class Box:
    pass
def instance(start):
    box = Box()
    vars(box).update(start) if len(start) % 2 else [setattr(box, *item) for item in start.items()]
    return box
MAKE = {"dict": dict, "list": list, "set": set, "bytearray": bytearray, "instance": instance,
    "deque": collections.deque, "ordered": collections.OrderedDict}
def apply(thing, name, *arguments):
    try:
        result = getattr(thing, name)(*copy.deepcopy(arguments))
    except Exception as error:
        return type(error), str(error)
    return look(result)
def look(thing):
    if isinstance(thing, Box): return {**vars(thing)}
    if isinstance(thing, collections.OrderedDict): return list(thing.items())
    if isinstance(thing, set): return set(thing)
    return copy.copy(thing) if not isinstance(thing, dict) else list(thing.items())
frozen = [MAKE[kind](copy.deepcopy(start)) for kind, start, operations in cases]
freeze()
plain = [MAKE[kind](copy.deepcopy(start)) for kind, start, operations in cases]
for a, b in zip(frozen, plain): assert look(a) == look(b) and immortal(a) and not immortal(b)
def work():
    for step in range(25):
        for (kind, start, operations), a, b in zip(cases, frozen, plain):
            if step < len(operations):
                left, right = apply(a, *operations[step]), apply(b, *operations[step])
                assert left == right, (kind, operations[: step + 1], left, right)
                assert look(a) == look(b), (kind, operations[: step + 1])
        if step % 8 == 0: gc.collect()
    return True
assert forked(work)
assert work()
freeze()
assert work()
"""


@pytest.mark.skipif(not IMMORTAL, reason="nothing is made immortal here")
@settings(max_examples=12)
@given(CASES)
def test_changes(cases: list[Any]) -> None:
    run(f"cases = {cases!r}\n{PROGRAM}")
