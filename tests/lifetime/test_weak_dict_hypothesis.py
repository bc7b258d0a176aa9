"""WeakValueDictionary against a plain model, step by step, with iterators under way."""

from __future__ import annotations

import gc
import importlib
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule


class Value:
    """Something to refer to."""


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


KEYS = st.one_of(
    st.integers(-3, 40),
    st.integers(0, 12).map(Key),
    st.text("abä", max_size=2),
    st.integers(0, 5).map(float),
)


class Machine(RuleBasedStateMachine):
    """The model holds the values; when it lets one go, the dictionary must."""

    module = ""
    serials = True  # can an iterator tell what stayed from what came back?

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[Any, Value] = {}
        self.born: dict[Any, int] = {}
        self.clock = 0
        self.iterators: list[tuple[Any, int, list[Any]]] = []

    @initialize()
    def make(self) -> None:
        self.cls = importlib.import_module(self.module).WeakValueDictionary
        self.d = self.cls()

    def put(self, key: Any, value: Value) -> None:
        if key not in self.model:
            self.clock += 1
            self.born[key] = self.clock
        self.model[key] = value

    @rule(key=KEYS)
    def store(self, key: Any) -> None:
        value = Value()
        self.d[key] = value
        self.put(key, value)

    @rule(key=KEYS)
    def setdefault(self, key: Any) -> None:
        value = Value()
        result = self.d.setdefault(key, value)
        assert result is self.model.get(key, value)
        self.put(key, result)

    @rule(key=KEYS)
    def make_missing(self, key: Any) -> None:
        self.d.factory = lambda key: Value()
        result = self.d[key]
        assert self.model.get(key, result) is result
        self.put(key, result)
        del self.d.factory

    @rule(keys=st.lists(KEYS, max_size=30))
    def update(self, keys: list[Any]) -> None:
        made = [(key, Value()) for key in keys]
        self.d.update(made)
        for key, value in made:
            self.put(key, value)

    @rule(keys=st.lists(KEYS, max_size=10))
    def pass_through(self, keys: list[Any]) -> None:
        """Stored and dead at once."""
        for key in keys:
            if key not in self.model:
                self.d[key] = Value()

    @rule(key=KEYS)
    def read(self, key: Any) -> None:
        assert self.d.get(key) is self.model.get(key)
        assert (key in self.d) == (key in self.model)
        if key in self.model:
            assert self.d[key] is self.model[key]
        else:
            with pytest.raises(KeyError):
                self.d[key]

    @rule(key=KEYS)
    def die(self, key: Any) -> None:
        self.model.pop(key, None)

    @rule(data=st.data())
    def die_many(self, data: st.DataObject) -> None:
        for key in list(self.model):
            if data.draw(st.booleans()):
                del self.model[key]

    @rule(key=KEYS)
    def die_in_a_cycle(self, key: Any) -> None:
        if key in self.model:
            value = self.model.pop(key)
            value.cycle = value  # type: ignore[attr-defined]
            del value
            gc.collect(0)
            gc.collect()

    @rule(key=KEYS)
    def delete(self, key: Any) -> None:
        if key in self.model:
            del self.d[key]
            del self.model[key]
        else:
            with pytest.raises(KeyError):
                del self.d[key]

    @rule(key=KEYS)
    def pop(self, key: Any) -> None:
        assert self.d.pop(key, None) is self.model.pop(key, None)

    @precondition(lambda self: self.model)
    @rule()
    def popitem(self) -> None:
        assert self.d.popitem() == self.model.popitem()

    @rule()
    def clear(self) -> None:
        self.d.clear()
        self.model.clear()

    @rule()
    def copy(self) -> None:
        made = self.d.copy()
        assert list(made.items()) == list(self.model.items())
        assert made == self.d == self.model == self.d | {} == {} | self.d

    @rule()
    def references(self) -> None:
        assert [ref() for ref in self.d.valuerefs()] == list(self.model.values())
        assert {key: ref() for key, ref in self.d.data.items()} == self.model

    @rule()
    def start(self) -> None:
        if len(self.iterators) < 4:
            self.iterators.append((self.d.items(), self.clock, []))

    @precondition(lambda self: self.iterators)
    @rule(data=st.data(), steps=st.integers(1, 10))
    def go_on(self, data: st.DataObject, steps: int) -> None:
        at = data.draw(st.integers(0, len(self.iterators) - 1))
        iterator, began, seen = self.iterators[at]
        for _ in range(steps):
            pair = next(iterator, None)
            if self.serials:
                left = [
                    key
                    for key in self.model
                    if self.born[key] <= began and self.born[key] > (seen[-1] if seen else 0)
                ]
                assert (pair[0] if pair else None) == (left[0] if left else None)
            if pair is None:
                del self.iterators[at]
                break
            assert pair[1] is self.model[pair[0]]
            seen.append(self.born[pair[0]])

    @invariant()
    def same(self) -> None:
        assert len(self.d) == len(self.model)
        assert list(self.d) == list(self.model)
        assert all(a is b for a, b in zip(self.d.values(), self.model.values(), strict=True))

    def teardown(self) -> None:
        self.model.clear()
        assert len(self.d) == 0


class Native(Machine):
    module = "ferrule.lifetime"


class Pure(Machine):
    module = "ferrule.pure.lifetime"
    serials = False


@pytest.mark.usefixtures("native")
class TestNative(Native.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=60, stateful_step_count=50)


class TestPure(Pure.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=60, stateful_step_count=50)
