"""cache against functools, and against its twin step by step, with one clock."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule


class Key:
    """Few hashes, so that keys meet in the table."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number % 3

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.number == other.number

    def __repr__(self) -> str:
        return f"Key({self.number})"


VALUES = st.one_of(
    st.integers(-3, 12),
    st.sampled_from([10**20, -(2**60), 2**61 - 1, 0.0, 1.0, True, None, (1,), b"a"]),
    st.integers(0, 9).map(Key),
    st.text("abä", max_size=2),
)
ARGUMENTS = st.tuples(
    st.lists(VALUES, max_size=2), st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=2)
)
SIZES = st.one_of(st.none(), st.integers(0, 6))
MODULES = ("ferrule.calls", "ferrule.pure.calls")


@settings(max_examples=150)
@given(SIZES, st.booleans(), st.booleans(), st.lists(ARGUMENTS, max_size=60))
def test_hits_are_those_of_functools(
    maxsize: int | None, typed: bool, single: bool, calls: list[Any]
) -> None:
    def numbered() -> Any:
        count = 0

        def func(*args: Any, **kwargs: Any) -> int:
            nonlocal count
            count += 1
            return count

        return func

    makers = [importlib.import_module(name).cache for name in MODULES]
    theirs = functools.lru_cache(maxsize, typed)(numbered())
    ours = [make(maxsize, typed, single_flight=single)(numbered()) for make in makers]
    for args, kwargs in calls:
        expected = theirs(*args, **kwargs)
        assert [cached(*args, **kwargs) for cached in ours] == [expected] * 2
    assert [cached.cache_info() for cached in ours] == [theirs.cache_info()] * 2


class Thing:
    """An instance with a method that each cache has for itself."""


class Machine(RuleBasedStateMachine):
    """Native and twin step by step: functions, methods, errors, time, deaths, clears."""

    @initialize(
        maxsize=SIZES,
        typed=st.booleans(),
        ttl=st.sampled_from([None, 3, 10.5]),
        single=st.booleans(),
    )
    def make(self, maxsize: int | None, typed: bool, ttl: float | None, single: bool) -> None:
        self.now = 100.0
        self.things: list[Any] = []
        self.caches = []
        for name in MODULES:
            cached = importlib.import_module(name).cache(
                maxsize, typed, ttl=ttl, single_flight=single, clock=lambda: self.now
            )
            self.caches.append(self.both(cached))

    def both(self, cached: Any) -> Any:
        """A function and a class with a method, each of which counts its calls."""
        calls: list[Any] = []

        @cached
        def func(*args: Any, **kwargs: Any) -> int:
            calls.append(1)
            if args and args[0] == -1:
                raise ZeroDivisionError
            return len(calls)

        class A:
            @cached
            def method(self, *args: Any, **kwargs: Any) -> int:
                calls.append(1)
                return len(calls)

        return func, A

    def same(self, act: Any) -> None:
        found = []
        for i, (func, cls) in enumerate(self.caches):
            try:
                found.append(act(i, func, cls))
            except (ZeroDivisionError, IndexError) as error:
                found.append(type(error))
        assert found[0] == found[1]

    @rule(given=ARGUMENTS)
    def call(self, given: Any) -> None:
        self.same(lambda i, func, cls: func(*given[0], **given[1]))

    @rule(given=ARGUMENTS, number=st.integers(0, 5))
    def call_method(self, given: Any, number: int) -> None:
        self.same(lambda i, func, cls: self.things[number][i].method(*given[0], **given[1]))

    @rule()
    def born(self) -> None:
        self.things.append([cls() for _, cls in self.caches])

    @rule(number=st.integers(0, 5))
    def dies(self, number: int) -> None:
        del self.things[number : number + 1]

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 11.0, -1.0, -20.0]))
    def moves(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def clear(self) -> None:
        self.same(lambda i, func, cls: func.cache_clear())

    @rule()
    def clear_method(self) -> None:
        self.same(lambda i, func, cls: cls.method.cache_clear())

    @invariant()
    def agree(self) -> None:
        self.same(lambda i, func, cls: tuple(func.cache_info()))
        self.same(lambda i, func, cls: tuple(cls.method.cache_info()))


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
