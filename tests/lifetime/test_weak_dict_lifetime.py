"""WeakValueDictionary: leaks, failed allocations, sub-interpreters, threads, forks, re-entrancy."""

import collections
import contextlib
import copy
import functools
import gc
import itertools
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import copy, gc, operator, pickle, sys, weakref
from ferrule._lifetime import WeakValueDictionary as new

class Value: pass

class Key:
    def __init__(self, name): self.name = name
    def __hash__(self): return 5
    def __eq__(self, other): return self.name == other.name

class Bad:
    def __hash__(self): return 5
    def __eq__(self, other): raise LookupError("no")

class Missing(new):
    def __missing__(self, key): return key

class Wrong(new):
    def __missing__(self, key): raise LookupError("no")

def refuse(function, *args, **keywords):
    try:
        function(*args, **keywords)
    except (TypeError, ValueError, LookupError):
        return
    except SystemError as error:
        # what CPython itself raises when a call from C finds no memory for the frame
        if "without setting an exception" not in str(error):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

values = [Value() for _ in range(50)]
one, two = values[:2]
keys = [f"key {i}" for i in range(50)]
plain = dict(zip(keys, values))
def fresh(): return new(plain)
small = new(a=one, b=two)
hashed = new({Key(1): one, Key(2): two})
made_by = new()
made_by.factory = lambda key: two
nothing = new()
nothing.factory = len
bad = new({Bad(): one})
callback = small._remove
read, drop = operator.getitem, operator.delitem
"""

#: One allocation walk and one leak check each.
SUCCESSES = {
    "create": "new(); new(plain); new(list(plain.items())); new(a=one)",
    "create from weak": "new(small, c=one)",
    "read": "assert small['a'] is one and hashed[Key(2)] is two and 'a' in small; len(small)",
    "write": "d = new()\nfor key, value in plain.items(): d[key] = value",
    "overwrite": "small['a'] = two; small['a'] = one",
    "set and die": "d = new()\nfor i in range(30): d[i] = Value()",
    "die in a cycle": "d = new(); v = Value(); v.v = v; d[1] = v; del v; gc.collect()",
    "delete": "d = fresh()\nfor key in keys: del d[key]",
    "get": "small.get('a'); small.get('c', default=5); small.get('c')",
    "setdefault": "d = new(); d.setdefault(1, one); d.setdefault(1, two)",
    "pop": "d = fresh(); d.pop(keys[3]); d.pop(1, None)",
    "popitem": "d = new(small); d.popitem(); d.popitem()",
    "clear": "d = fresh(); d.clear(); d[1] = one",
    "update": "d = new(); d.update(plain, a=two); d.update(small); d.update(iter([(1, one)]))",
    "iterate": "list(small); list(small.keys()); list(small.values()); list(small.items())",
    "valuerefs": "[r.key for r in small.valuerefs()]; list(small.itervaluerefs())",
    "outlived references": "d = new(small); refs = d.valuerefs(); d.clear(); refs[0].key",
    "data": "small.data",
    "copy": "small.copy(); copy.copy(small)",
    "deepcopy": "copy.deepcopy(small)",
    "compare": "assert small == small.copy() and small != plain and small != 5",
    "union": "small | plain; plain | small; d = new(); d |= plain",
    "attributes": "d = new(); d.x = 1; d.factory = len; del d.factory; d.factory; repr(d)",
    "missing": "assert Missing()['x'] == 'x'",
    "factory": "made_by['x']",
    "sizeof": "sys.getsizeof(small); new[str, int]; small._remove",
    "the callback": "callback(small.valuerefs()[0])",
    "grow and shrink": "d = new(enumerate(values)); d.clear(); d[1] = one",
}

ERRORS = {
    "create from something else": "refuse(new, 5); refuse(new, one, two); refuse(new, [1])",
    "create with a wrong value": "refuse(new, a=5); refuse(new, {1: one, 2: 3})",
    "read a missing key": "refuse(read, small, 'c'); refuse(read, small, [])",
    "read with a bad key": "refuse(read, bad, Bad()); refuse(bad.__contains__, Bad())",
    "write a wrong value": "refuse(operator.setitem, small, 'c', 5)",
    "write a wrong key": "refuse(operator.setitem, small, [], one)",
    "write with a bad key": "refuse(operator.setitem, bad, Bad(), one)",
    "delete a missing key": "refuse(drop, small, 'c'); refuse(drop, bad, Bad())",
    "get wrongly": "refuse(small.get); refuse(small.get, []); refuse(small.get, 1, x=2)",
    "setdefault wrongly": "refuse(small.setdefault, 'c', 5); refuse(small.setdefault, [], one)",
    "pop wrongly": "refuse(small.pop, 'c'); refuse(small.pop); refuse(small.pop, [])",
    "popitem from nothing": "refuse(new().popitem)",
    "update wrongly": "d = new(); refuse(d.update, [(1, one), (2, 3)]); refuse(d.update, [(1,)])",
    "update with a bad key": "refuse(bad.update, {Bad(): one}); refuse(bad.update, 1, 2)",
    "deepcopy wrongly": "refuse(new({lock: one}).__deepcopy__, {})",
    "compare badly": "refuse(operator.eq, new({Bad(): one}), {Bad(): one})",
    "union with something else": "refuse(operator.or_, small, 5); refuse(operator.ior, small, 5)",
    "pickle": "refuse(pickle.dumps, small); refuse(small.__reduce__)",
    "missing that raises": "refuse(read, Wrong(), 1)",
    "factory that fails": "refuse(read, nothing, 5); refuse(read, nothing, 'x')",
    "a wrong factory": "refuse(setattr, small, 'factory', 5)",
    "hash": "refuse(hash, small); refuse(reversed, small)",
    "the callback wrongly": "refuse(callback); refuse(callback, one)",
}  # fmt: skip

CASES = {**SUCCESSES, **ERRORS}
SETUP += "\nimport threading\nlock = threading.Lock()\n"

NAME = "WeakValueDictionary"

#: Method -> the success case and the error case (None: it cannot fail but for memory).
COVERED = {
    "": ("create", "create from something else"),
    ".__init__": ("create", "create from something else"),
    ".__getitem__": ("read", "read a missing key"),
    ".__setitem__": ("write", "write a wrong value"),
    ".__delitem__": ("delete", "delete a missing key"),
    ".__contains__": ("read", "read with a bad key"),
    ".__len__": ("read", None),
    ".__iter__": ("iterate", None),
    ".__repr__": ("attributes", None),
    ".__eq__": ("compare", "compare badly"),
    ".__ne__": ("compare", "compare badly"),
    ".__lt__": ("compare", None),
    ".__le__": ("compare", None),
    ".__gt__": ("compare", None),
    ".__ge__": ("compare", None),
    ".__or__": ("union", "union with something else"),
    ".__ror__": ("union", "union with something else"),
    ".__ior__": ("union", "union with something else"),
    ".get": ("get", "get wrongly"),
    ".setdefault": ("setdefault", "setdefault wrongly"),
    ".pop": ("pop", "pop wrongly"),
    ".popitem": ("popitem", "popitem from nothing"),
    ".clear": ("clear", None),
    ".update": ("update", "update wrongly"),
    ".keys": ("iterate", None),
    ".values": ("iterate", None),
    ".items": ("iterate", None),
    ".itervaluerefs": ("valuerefs", None),
    ".valuerefs": ("valuerefs", None),
    ".copy": ("copy", None),
    ".__copy__": ("copy", None),
    ".__deepcopy__": ("deepcopy", "deepcopy wrongly"),
    ".__reduce__": (None, "pickle"),
    ".__sizeof__": ("sizeof", None),
    ".__class_getitem__": ("sizeof", None),
}


@functools.cache
def space() -> dict[str, Any]:
    made: dict[str, Any] = {"__name__": "lifetime_of_weak_dicts"}
    exec(SETUP, made)
    return made


def test_every_method_has_its_cases(native: Any) -> None:
    for success, error in COVERED.values():
        assert (success is None or success in SUCCESSES) and (error is None or error in ERRORS)


@covers(*(NAME + name for name, (success, _) in COVERED.items() if success))
@covers(*(NAME + name for name, (_, error) in COVERED.items() if error), error=True)
@pytest.mark.parametrize("case", CASES)
def test_nothing_leaks(native: Any, case: str) -> None:
    compiled = compile(CASES[case], case, "exec")
    made = space()

    def run() -> None:
        exec(compiled, dict(made))

    for _ in range(200):
        run()
    no_leak(run, rounds=300)


@pytest.mark.parametrize("case", CASES)
def test_a_failed_allocation_is_a_memory_error(native: Any, case: str) -> None:
    walk_oom(CASES[case], setup=SETUP)


def test_a_dictionary_is_whole_when_there_was_no_memory(native: Any) -> None:
    walk_oom(
        """
        d = new(a=one)
        try:
            for i, value in enumerate(values):
                d[i] = value
        finally:
            count = len(d) - 1
            if list(d) != ["a", *range(count)] or list(d.values()) != [one, *values[:count]]:
                raise AssertionError("not whole")
        """,
        setup=SETUP,
    )


def test_sub_interpreters(native: Any) -> None:
    in_subinterpreter(
        SETUP
        + """
d = new(plain)
d.mine, iterator = d, d.items()
next(iterator)
assert d[keys[1]] is two
del plain, one
values.clear()
gc.collect()
cycle = Value()
cycle.d = new({cycle: cycle})
kept = [made_by["x"], small, hashed, d.valuerefs(), callback]
sys.kept = kept
"""
    )


def test_the_module_may_go_first(native: Any) -> None:
    """At the end of an interpreter everything is cleared, in whatever order."""
    program = """
import gc, sys
from ferrule._lifetime import WeakValueDictionary
class Value: pass
class Late:
    def __init__(self, d): self.d = d
    def __del__(self):
        try: self.d[1] = self; self.d.get(1); list(self.d); self.d | {}; self.d.update({2: self})
        except Exception: pass
class Sub(WeakValueDictionary): pass
d = WeakValueDictionary()
v = Value(); d[v] = v; v.d = d; v.late = Late(d); v.sub = Sub({v: v}); v.sub.factory = v.sub.get
v.types = [type(d), sys.modules["ferrule._lifetime"], d._remove, d.valuerefs(), iter(d), v.late]
sys.late = Late(d); sys.v = v
del sys.modules["ferrule._lifetime"], WeakValueDictionary
"""
    for end in ("", "\ndel v, d, Sub\ndel sys.v, sys.late\nfor _ in range(3): gc.collect()"):
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", program + end],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")


# ---- keys that do what they like


class Value:
    pass


class Hostile:
    """A key whose comparison runs `do` first; all are of one hash."""

    def __init__(self, do: Callable[[], object] = lambda: None, *, equal: bool = False) -> None:
        self.do = do
        self.equal = equal

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        do, self.do = self.do, lambda: None
        do()
        return self.equal or self is other


def deeds(d: Any, values: list[Value]) -> dict[str, Callable[[], object]]:
    more = [Value() for _ in range(100)]

    def nothing_left() -> None:
        values.clear()
        gc.collect()

    def fill() -> None:
        d.update(enumerate(more))

    def churn() -> None:
        fill()
        more.clear()

    def again() -> None:
        with contextlib.suppress(KeyError):
            d[Hostile(d.clear)]

    return {
        "clear": d.clear,
        "kill": nothing_left,
        "kill one": values.pop,
        "pop": d.popitem,
        "fill": fill,
        "churn": churn,
        "collect": gc.collect,
        "again": again,
        "refill": lambda: (d.clear(), d.update((Hostile(), value) for value in more[:6])),
    }


ACTIONS: dict[str, Callable[[Any, Any, Any], object]] = {
    "get": lambda d, key, value: d.get(key),
    "in": lambda d, key, value: key in d,
    "read": lambda d, key, value: d[key],
    "write": lambda d, key, value: d.__setitem__(key, value),
    "delete": lambda d, key, value: d.__delitem__(key),
    "pop": lambda d, key, value: d.pop(key),
    "setdefault": lambda d, key, value: d.setdefault(key, value),
    "update": lambda d, key, value: d.update({key: value}),
    "union": lambda d, key, value: d | {key: value},
}


@pytest.mark.parametrize("where", ["new", "old"])
@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("action", ACTIONS)
def test_comparisons_that_change_the_dictionary(
    native: Any, action: str, equal: bool, where: str
) -> None:
    for deed in deeds(native.WeakValueDictionary(), []):
        values = [Value() for _ in range(6)]
        olds = [Hostile() for _ in values]
        d = native.WeakValueDictionary(zip(olds, values, strict=True))
        do = deeds(d, values)[deed]
        key = Hostile(equal=equal)
        if where == "new":
            key.do = do
        else:
            olds[2].do = do
        del olds
        mine = Value()
        with contextlib.suppress(KeyError):
            ACTIONS[action](d, key, mine)
        check(d)
        if action in ("write", "update"):
            assert mine in list(d.values())


def check(d: Any) -> None:
    """What the dictionary says of itself agrees."""
    items = list(d.items())
    assert len(d) == len(items) == len(d.valuerefs())
    for (key, value), ref in zip(items, d.valuerefs(), strict=True):
        assert ref() is value and ref.key is key
        if not isinstance(key, Hostile):
            assert d[key] is value


def test_updates_from_what_changes_meanwhile(native: Any) -> None:
    """Items of a dict that is emptied, filled or replaced while they are stored."""
    for deed in (
        lambda plain: plain.clear(),
        lambda plain: plain.popitem(),
        lambda plain: plain.update((i, Value()) for i in range(1000)),
        lambda plain: (plain.clear(), plain.update((i, Value()) for i in range(5))),
    ):
        values = [Value() for _ in range(20)]
        plain: dict[Any, Value] = {Hostile(): value for value in values}
        keys = list(plain)
        d = native.WeakValueDictionary({Hostile(): values[0]})
        keys[3].do = lambda: deed(plain)  # noqa: B023
        d.update(plain)
        check(d)
        keys[7].do = d.clear
        d.update(d.copy())
        d.update(d)
        check(d)


def test_hashes_that_change_the_dictionary(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    one, two = Value(), Value()

    class Key:
        def __hash__(self) -> int:
            d.clear()
            d["b"] = two
            return 3

    d["a"] = one
    key = Key()
    d[key] = one
    assert list(d)[:1] == ["b"] and d["b"] is two
    assert Key() not in d and d.get(Key(), 5) == 5 and list(d.items()) == [("b", two)]


def test_a_death_neither_hashes_nor_compares(impl: Any) -> None:
    class Key:
        armed = False

        def __hash__(self) -> int:
            assert not self.armed
            return 1

        def __eq__(self, other: object) -> bool:
            assert not self.armed
            return self is other

    d = impl.WeakValueDictionary()
    values = [Value() for _ in range(10)]
    for value in values:
        d[Key()] = value
    if not hasattr(d, "_pending_removals"):  # the twin's deaths hash
        Key.armed = True
    del values, value
    assert len(d) == 0


def test_keys_that_die_with_their_values(impl: Any) -> None:
    """What a key's end runs finds the dictionary whole."""
    d = impl.WeakValueDictionary()
    seen: list[int] = []

    class Key:
        def __del__(self) -> None:
            seen.append(len(d))
            d[len(seen)] = keep

    keep = Value()
    values = [Value() for _ in range(20)]
    for value in values:
        d[Key()] = value
    del value
    while values:
        values.pop(0)
    gc.collect()
    assert len(seen) == 20 and list(d) == list(range(1, 21))
    d.clear()


def test_clear_and_end_with_keys_that_use_the_dictionary(impl: Any) -> None:
    values = [Value() for _ in range(20)]

    class Key:
        def __init__(self, d: Any) -> None:
            self.d = weakref.ref(d)

        def __del__(self) -> None:
            d = self.d()
            if d is not None:
                d["new"] = values[0]
                values.pop()
                list(d.items())

    d = impl.WeakValueDictionary()
    for value in values:
        d[Key(d)] = value
    del value
    d.clear()
    assert set(d) <= {"new"}
    values[:] = [Value() for _ in range(20)]
    for value in values:
        d[Key(d)] = value
    del d, value
    gc.collect()


def test_values_that_die_while_they_are_copied(impl: Any) -> None:
    class Key:
        def __init__(self, number: int) -> None:
            self.number = number

        def __hash__(self) -> int:
            if armed:
                values.pop(self.number - 1, None)
            return 3

        def __eq__(self, other: object) -> bool:
            if armed and values:
                values.popitem()
            return self is other

        def __deepcopy__(self, memo: Any) -> Any:
            if values:
                values.popitem()
            return Key(self.number)

    for action in (
        lambda d: d.update(d),
        lambda d: d.copy(),
        lambda d: copy.deepcopy(d),
        lambda d: d | d,
        lambda d: d == d.copy(),
        lambda d: [values.popitem() for _ in d],  # noqa: B023
        lambda d: [values.popitem() for _ in d.itervaluerefs()],  # noqa: B023
    ):
        armed = False
        values = {i: Value() for i in range(40)}
        d = impl.WeakValueDictionary((Key(i), value) for i, value in values.items())
        armed = True
        with contextlib.suppress(KeyError):
            action(d)
        armed = False
        values.clear()
        gc.collect()
        assert len(d) == 0


def test_collection_at_any_allocation(native: Any) -> None:
    """The collector, and with it deaths and other callbacks, at every allocation it counts."""
    d = native.WeakValueDictionary()
    keep: collections.deque[Value] = collections.deque(maxlen=20)
    old = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for i in range(300):
            cycle = Value()
            cycle.cycle = [cycle, d]
            d[i] = d[("second", i)] = cycle
            weakref.finalize(cycle, d.pop, i + 1, None)
            keep.append(Value())
            d[i % 7] = keep[-1]
            d.setdefault(i, keep[0])
            assert len(list(d.items())) <= len(d)
            d.valuerefs()
            d.copy()
            del cycle
        gc.collect()
        check(d)
    finally:
        gc.set_threshold(*old)


def test_garbage_with_dictionaries_in_it(native: Any) -> None:
    """Dictionaries, keys, values and references that die together, in the same collection."""
    died: list[int] = []

    class Key:
        def __init__(self, *held: object) -> None:
            self.held = held

        def __del__(self) -> None:
            died.append(len(self.held[0]))  # type: ignore[arg-type]
            self.held[0]["late"] = self  # type: ignore[index]

    def make(held: bool) -> None:
        d = native.WeakValueDictionary()
        values = [Value() for _ in range(50)]
        for value in values:
            key = Key(d, values, d.valuerefs() if held else None)
            d[key] = value
            value.cycle = (value, d, key)

    for held in (False, True):
        died.clear()
        make(held)
        for _ in range(3):
            gc.collect()
        assert len(died) == 50


def test_a_dictionary_in_a_cycle_goes(native: Any) -> None:
    class Key:
        pass

    d, value = native.WeakValueDictionary(), Value()
    key = Key()
    key.d = d
    d[key] = value
    d.me = d
    ref = weakref.ref(d)
    del d, key
    gc.collect()
    assert ref() is None
    no_leak(lambda: None, rounds=5)


def test_the_collector_does_not_look_at_references(native: Any) -> None:
    d, value = native.WeakValueDictionary(), Value()
    d[1] = value
    assert gc.get_referents(d) == [1, native.WeakValueDictionary, d._remove]
    [ref] = d.valuerefs()
    assert not any(obj is ref for obj in gc.get_objects())
    d.clear()  # now it owns its key
    assert any(obj is ref for obj in gc.get_objects())


def test_long_chains_of_dictionaries(native: Any) -> None:
    value = Value()
    d = native.WeakValueDictionary()
    for _ in range(100_000):
        d = native.WeakValueDictionary({functools.partial(d.get): value})
    del d
    gc.collect()


def test_long_chains_of_values(native: Any) -> None:
    d = native.WeakValueDictionary()
    value = None
    for i in range(50_000):
        value, before = Value(), value
        value.before = before  # type: ignore[attr-defined]
        d[i] = value
        before = None
    del value
    assert len(d) == 0


def test_references_in_the_pool_are_as_new(native: Any) -> None:
    d = native.WeakValueDictionary()
    for count in (1, 255, 256, 257, 1000):
        values = [Value() for _ in range(count)]
        d.update(enumerate(values))
        refs = d.valuerefs() if count == 257 else []
        del values
        assert len(d) == 0 and all(ref() is None for ref in refs)
        assert [ref.key for ref in refs] == list(range(len(refs)))


# ---- threads


def test_threads_that_change_one_dictionary(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    keep = {i: Value() for i in range(0, 200, 10)}
    d.update(keep)
    numbers = itertools.count()

    def work() -> None:
        mine = next(numbers)
        for i in range(400):
            key = (i * (mine + 1)) % 200
            if key in keep:
                assert d[key] is keep[key]
                continue
            value = Value()
            if mine % 4 == 0:
                d[key] = value
            elif mine % 4 == 1:
                d.setdefault(key, value)
            elif mine % 4 == 2:
                d.pop(key, None)
            else:
                assert set(keep) <= set(d)
            del value

    run_threads(work)
    assert dict(d) == keep


def test_threads_get_the_same_value(impl: Any) -> None:
    class Key:
        """Compares in Python, so that threads change places in it."""

        def __init__(self, name: int) -> None:
            self.name = name

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Key) and self.name == other.name

    d = impl.WeakValueDictionary()
    made = impl.WeakValueDictionary()
    made.factory = lambda key: Value()
    results: list[list[Any]] = []

    def work() -> None:
        got: list[Any] = []
        results.append(got)
        for i in range(20):
            got.append(d.setdefault(Key(i), Value()))
            got.append(made[Key(i)])

    run_threads(work)
    for got in results[1:]:
        assert all(one is other for one, other in zip(got, results[0], strict=True))


def test_threads_that_copy_while_values_die(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    stop = threading.Event()
    numbers = itertools.count()

    def work() -> None:
        if next(numbers) % 2:
            for _ in range(30):
                values = [Value() for _ in range(50)]
                for i, value in enumerate(values):
                    d[i] = value
                del values, value
            stop.set()
        else:
            while not stop.is_set():
                for _, value in d.copy().items():
                    assert isinstance(value, Value)
                value = None
                list(d.itervaluerefs())

    run_threads(work, 4)
    gc.collect()
    assert len(d) == 0


# ---- fork


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_its_own(native: Any) -> None:
    d = native.WeakValueDictionary()
    values = [Value() for _ in range(10)]
    d.update(enumerate(values))
    pid = os.fork()
    if not pid:
        code = 1
        try:
            del values[5:]
            d["child"] = values[0]
            gc.collect()
            code = 0 if list(d) == [0, 1, 2, 3, 4, "child"] else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(d) == 10
