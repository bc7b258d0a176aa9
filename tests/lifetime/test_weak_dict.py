"""WeakValueDictionary: what it does, in the normal case, in every error, at the edges."""

import collections
import collections.abc
import copy
import gc
import inspect
import operator
import pickle
import random
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest


class Value:
    """Something to refer to."""

    def __init__(self, name: object = None) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Value({self.name!r})"


class Slots:
    __slots__ = ()


def filled(impl: Any, count: int) -> tuple[Any, list[Value]]:
    values = [Value(i) for i in range(count)]
    return impl.WeakValueDictionary(enumerate(values)), values


# ---- as the standard class


def test_items_go_with_their_values(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    one, two = Value(), Value()
    d["one"], d["two"] = one, two
    assert d["one"] is one and d.get("two") is two
    assert len(d) == 2 and "one" in d and "three" not in d
    assert list(d) == ["one", "two"] and list(d.values()) == [one, two]
    del one
    assert len(d) == 1 and "one" not in d and d.get("one") is None
    assert list(d.items()) == [("two", two)]
    with pytest.raises(KeyError, match="^'one'$"):
        d["one"]


def test_items_in_cycles_go_when_collected(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    value = Value()
    value.name = value
    d[1] = value
    del value
    gc.collect()
    assert len(d) == 0 and 1 not in d


@pytest.mark.parametrize(
    "key", ["text", "täxt", "τext", 7, -1, -2, 2**70, 1.5, (1, "x"), b"b", None]
)
def test_keys(impl: Any, key: Any) -> None:
    d = impl.WeakValueDictionary()
    value, other = Value(), Value()
    d[key] = value
    assert d[key] is value and d.get(key) is value and key in d
    d[key] = other
    assert d[key] is other and len(d) == 1
    assert d.pop(key) is other and not d


def test_equal_keys_are_one_key(impl: Any) -> None:
    class Text(str):
        pass

    d = impl.WeakValueDictionary()
    value = Value()
    d[1], d["ab"] = value, value
    assert d[True] is value and d[1.0] is value
    assert d["".join(["a", "b"])] is value and d[Text("ab")] is value
    d[Text("ab")] = value
    assert len(d) == 2 and type(list(d)[1]) is str  # the first key stays
    assert -1 not in d and "aб" not in d


def test_keys_of_one_hash(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    values = {key: Value() for key in (-1, -2, 2**61 - 3, 2 * (2**61 - 1) - 1)}
    for key, value in values.items():
        d[key] = value
    for key, value in values.items():
        assert d[key] is value
    del d[-1]
    assert -1 not in d and d[-2] is values[-2]


def test_construction(impl: Any) -> None:
    one, two, three = Value(1), Value(2), Value(3)
    new = impl.WeakValueDictionary
    assert not new() and not new(()) and not new(None) and not new({})
    assert dict(new({"a": one})) == dict(new([("a", one)])) == dict(new(a=one)) == {"a": one}
    assert dict(new({"a": one}, a=two, self=three, other=three)) == {
        "a": two, "self": three, "other": three,
    }  # fmt: skip
    assert dict(new(new(a=one))) == {"a": one}
    assert dict(new(weakref.WeakValueDictionary(a=one))) == {"a": one}
    assert dict(new(collections.UserDict(a=one))) == {"a": one}
    assert dict(new(iter([["a", one], iter(("b", two))]))) == {"a": one, "b": two}


def test_construction_again_begins_anew(impl: Any) -> None:
    one = Value()
    d = impl.WeakValueDictionary(a=one)
    d.__init__(b=one)
    assert dict(d) == {"b": one}


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (5, TypeError),
        ([1], TypeError),
        ([(1, 2, 3)], ValueError),
        ([[1]], ValueError),
        ({1: 2}, TypeError),
        ([([], Value())], TypeError),
    ],
)
def test_construction_refused(impl: Any, other: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        impl.WeakValueDictionary(other)
    with pytest.raises(error):
        impl.WeakValueDictionary().update(other)


def test_messages_name_function_and_type(native: Any) -> None:
    d = native.WeakValueDictionary()
    with pytest.raises(
        TypeError, match=r"^WeakValueDictionary.update\(\) wants a mapping.*got int$"
    ):
        d.update(5)
    with pytest.raises(TypeError, match=r"^WeakValueDictionary\(\) takes at most 1 .* got 2$"):
        native.WeakValueDictionary(1, 2)
    with pytest.raises(
        TypeError, match=r"^WeakValueDictionary.update\(\) takes at most 1 .*got 2$"
    ):
        d.update(1, 2)
    with pytest.raises(TypeError, match=r"^WeakValueDictionary.pop\(\) takes 1 or 2 .*got 3$"):
        d.pop(1, 2, 3)
    with pytest.raises(TypeError, match=r"^WeakValueDictionary.get\(\) missing argument 'key'$"):
        d.get()
    with pytest.raises(TypeError, match=r"^WeakValueDictionary.setdefault\(\) got an unexpected"):
        d.setdefault(1, value=2)

    class Pairs:
        def items(self) -> list[Any]:
            return [(1, 2, 3)]

    with pytest.raises(
        ValueError, match=r"^WeakValueDictionary.update\(\) wants items .*length 3$"
    ):
        d.update(Pairs())
    with pytest.raises(
        TypeError,
        match="^WeakValueDictionary: cannot create weak reference to 'int' object, "
        "the value of key 'seven'$",
    ):
        d["seven"] = 7


def test_too_many_arguments(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    for call in (lambda: impl.WeakValueDictionary(1, 2), lambda: d.update(1, 2), lambda: d.get()):
        with pytest.raises(TypeError):
            call()


def test_values_without_weak_references(impl: Any) -> None:
    good = Value()
    d = impl.WeakValueDictionary(a=good)
    for value in (7, None, "text", (), Slots()):
        for store in (
            lambda: d.__setitem__("a", value),  # noqa: B023
            lambda: d.setdefault("b", value),  # noqa: B023
            lambda: d.update(b=value),  # noqa: B023
        ):
            with pytest.raises(TypeError, match="cannot create weak reference to '"):
                store()
    assert dict(d) == {"a": good}


def test_message_when_the_key_cannot_be_shown(native: Any) -> None:
    class Secret:
        def __repr__(self) -> str:
            raise ValueError("secret")

    with pytest.raises(ValueError, match="^secret$"):
        native.WeakValueDictionary()[Secret()] = 5


def test_unhashable_keys(impl: Any) -> None:
    one = Value()
    d = impl.WeakValueDictionary(a=one)
    calls: list[Callable[[], object]] = [
        lambda: d[[]],
        lambda: d.__setitem__([], Value()),
        lambda: d.__delitem__([]),
        lambda: [] in d,
        lambda: d.get([]),
        lambda: d.pop([]),
        lambda: d.pop([], None),
        lambda: d.setdefault([], Value()),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="unhashable type: 'list'"):
            call()


def test_get(impl: Any) -> None:
    one = Value()
    d = impl.WeakValueDictionary(a=one)
    assert d.get("a", 5) is one and d.get("b") is None and d.get("b", 5) == 5
    assert d.get("b", default=5) == 5 and d.get(key="a") is one


def test_setdefault(impl: Any) -> None:
    one, two = Value(), Value()
    d = impl.WeakValueDictionary()
    assert d.setdefault("a", one) is one
    assert d.setdefault("a", two) is one and d.setdefault("a") is one
    assert d.setdefault(key="b", default=two) is two
    with pytest.raises(TypeError, match="'NoneType'"):
        d.setdefault("c")
    del one
    assert d.setdefault("a", two) is two


def test_pop(impl: Any) -> None:
    one = Value()
    d = impl.WeakValueDictionary(a=one, b=one)
    assert d.pop("a") is one and d.pop("b", 5) is one and d.pop("b", 5) == 5
    with pytest.raises(KeyError, match="^'b'$"):
        d.pop("b")
    with pytest.raises(KeyError) as info:
        d.pop((1, 2))
    assert info.value.args == ((1, 2),)


def test_popitem_takes_the_last(impl: Any) -> None:
    d, values = filled(impl, 4)
    del d[1]
    assert d.popitem() == (3, values[3]) and d.popitem() == (2, values[2])
    assert d.popitem() == (0, values[0])
    with pytest.raises(KeyError, match="popitem.. *: .* is empty|is empty"):
        d.popitem()


def test_delete(impl: Any) -> None:
    d, values = filled(impl, 3)
    del d[1]
    assert list(d) == [0, 2]
    for key in (1, (1, 2)):
        with pytest.raises(KeyError) as info:
            del d[key]
        assert info.value.args == (key,)


def test_clear(impl: Any) -> None:
    d, values = filled(impl, 100)
    d.clear()
    assert len(d) == 0 and list(d) == []
    d[1] = values[0]
    assert list(d.items()) == [(1, values[0])]
    del values
    assert len(d) == 0


def test_update_keeps_what_came_before_an_error(impl: Any) -> None:
    one, old = Value(), Value()
    d = impl.WeakValueDictionary(z=old)
    with pytest.raises(TypeError):
        d.update({"a": one, "b": 5, "c": one})
    assert dict(d) == {"z": old, "a": one}
    d.update(None)
    d.update()
    d.update(d)
    assert dict(d) == {"z": old, "a": one}


def test_update_from_a_broken_source(impl: Any) -> None:
    one = Value()

    class Broken(collections.UserDict[Any, Any]):
        def items(self) -> Any:
            yield "a", one
            raise LookupError("broken")

    class NoItems:
        @property
        def items(self) -> Any:
            raise ZeroDivisionError

    d = impl.WeakValueDictionary()
    with pytest.raises(LookupError, match="^broken$"):
        d.update(Broken())
    assert dict(d) == {"a": one}
    with pytest.raises(ZeroDivisionError):
        d.update(NoItems())


def test_update_from_what_has_keys_only(impl: Any) -> None:
    one = Value()

    class Keys:
        def keys(self) -> list[str]:
            return ["a"]

        def __getitem__(self, key: str) -> Value:
            return one

    assert dict(impl.WeakValueDictionary(Keys())) == {"a": one}


def test_copy(impl: Any) -> None:
    class Sub(impl.WeakValueDictionary):  # type: ignore[misc]
        pass

    d, values = filled(impl, 20)
    sub = Sub(d)
    sub.factory = Value
    for make in (operator.methodcaller("copy"), copy.copy):
        made = make(sub)
        assert type(made) is impl.WeakValueDictionary  # as the standard one does
        assert list(made.items()) == list(enumerate(values)) and made.factory is Value
        del made[0]
        assert 0 in sub


def test_deepcopy_copies_keys(impl: Any) -> None:
    class Sub(impl.WeakValueDictionary):  # type: ignore[misc]
        pass

    class Key:
        pass

    key, value = Key(), Value()
    d = Sub({key: value})
    d.factory = Value
    made = copy.deepcopy(d)
    assert type(made) is Sub and made.factory is Value
    [(other, same)] = made.items()
    assert type(other) is Key and other is not key and same is value


def test_deepcopy_that_fails(impl: Any) -> None:
    class Key:
        def __deepcopy__(self, memo: Any) -> Any:
            raise LookupError("no")

    value = Value()
    d = impl.WeakValueDictionary({Key(): value})
    with pytest.raises(LookupError):
        copy.deepcopy(d)


def test_comparison(impl: Any) -> None:
    d, values = filled(impl, 3)
    plain = dict(enumerate(values))
    assert d == d.copy() and d == plain and plain == d and not d != plain
    assert d == weakref.WeakValueDictionary(plain) and d == collections.UserDict(plain)
    assert d != {} and d != {**plain, 1: values[0]} and d != list(plain.items()) and d != 5
    with pytest.raises(TypeError, match="not supported between"):
        d < plain  # noqa: B015


def test_comparison_that_fails(impl: Any) -> None:
    class Bad:
        def __eq__(self, other: object) -> bool:
            raise LookupError("no")

        __hash__ = object.__hash__

    one, two = Bad(), Bad()
    with pytest.raises(LookupError):
        impl.WeakValueDictionary(a=one) == impl.WeakValueDictionary(a=two)  # noqa: B015


def test_union(impl: Any) -> None:
    class Sub(impl.WeakValueDictionary):  # type: ignore[misc]
        pass

    one, two = Value(), Value()
    d = Sub(a=one, b=one)
    d.factory = Value
    both = d | {"b": two, "c": two}
    assert dict(both) == {"a": one, "b": two, "c": two}
    assert isinstance(both, impl.WeakValueDictionary) and both.factory is Value
    other = {"b": two, "c": two} | d
    assert dict(other) == {"b": one, "c": two, "a": one} and list(other) == ["b", "c", "a"]
    assert type(other) is Sub and other.factory is Value
    same = d
    d |= {"b": two}
    d |= [("c", two)]
    assert d is same and dict(d) == {"a": one, "b": two, "c": two}
    assert dict(d | impl.WeakValueDictionary(a=two))["a"] is two
    for call in (lambda: d | 5, lambda: 5 | d, lambda: d | [("c", two)], lambda: [] | d):
        with pytest.raises(TypeError, match="unsupported operand"):
            call()
    with pytest.raises(TypeError):
        d |= 5


def test_repr_hash_reversed(impl: Any) -> None:
    class Sub(impl.WeakValueDictionary):  # type: ignore[misc]
        pass

    d, sub = impl.WeakValueDictionary(), Sub()
    assert repr(d) == f"<WeakValueDictionary at {id(d):#x}>"
    assert repr(sub) == f"<Sub at {id(sub):#x}>"
    with pytest.raises(TypeError, match="unhashable type"):
        hash(d)
    with pytest.raises(TypeError, match="not reversible"):
        reversed(d)
    assert impl.WeakValueDictionary.__reversed__ is None


def test_is_a_mapping(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    one = Value()
    d["a"] = one
    assert isinstance(d, collections.abc.MutableMapping)
    match d:
        case {"a": found}:
            assert found is one
        case _:
            pytest.fail("no match")
    alias = impl.WeakValueDictionary[str, Value]
    assert isinstance(alias, types.GenericAlias) and alias.__args__ == (str, Value)
    assert isinstance(alias(a=one), impl.WeakValueDictionary)


def test_pickle_is_refused(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="^cannot pickle '.*WeakValueDictionary' object"):
            pickle.dumps(d, protocol)


def test_weak_references_and_attributes(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    seen: list[object] = []
    ref = weakref.ref(d, seen.append)
    d.note = "mine"
    assert d.note == "mine" and d.__dict__["note"] == "mine" and ref() is d
    del d
    assert seen == [ref]


def test_subclass(impl: Any) -> None:
    class Sub(impl.WeakValueDictionary):  # type: ignore[misc]
        def __init__(self, size: int) -> None:
            super().__init__()
            self.size = size

        def __setitem__(self, key: Any, value: Any) -> None:
            super().__setitem__(str(key), value)

    d = Sub(5)
    one = Value()
    d[1] = one
    d.update({2: one})  # past __setitem__, as the standard one
    assert d.size == 5 and list(d) == ["1", 2]
    d.cycle = d
    del d
    gc.collect()


def test_signatures(native: Any) -> None:
    cls = native.WeakValueDictionary
    assert str(inspect.signature(cls)) == "(other=(), /, **kw)"
    for name in (
        *("get", "setdefault", "pop", "popitem", "clear", "update", "keys", "values", "items"),
        *("itervaluerefs", "valuerefs", "copy", "__copy__", "__deepcopy__", "__reduce__"),
    ):
        method = getattr(cls, name)
        assert method.__doc__
        if name != "pop":  # its default has no text
            assert inspect.signature(method)


# ---- references


def test_references(impl: Any) -> None:
    d, values = filled(impl, 3)
    refs = d.valuerefs()
    assert [ref() for ref in refs] == values and list(d.itervaluerefs()) == refs
    assert all(isinstance(ref, weakref.ref) for ref in refs)
    assert [ref.key for ref in refs] == [0, 1, 2]
    assert d.data == dict(enumerate(refs)) and len(d.data) == 3
    assert {ref: 1 for ref in refs} == dict.fromkeys(d.itervaluerefs(), 1)
    del values
    assert [ref() for ref in refs] == [None] * 3 and len(d) == 0
    assert [ref.key for ref in refs] == [0, 1, 2]


def test_a_reference_remembers_its_key(native: Any) -> None:
    class Key:
        pass

    key, value = Key(), Value()
    d = native.WeakValueDictionary({key: value})
    [ref] = d.valuerefs()
    watch = weakref.ref(key)
    del key
    assert ref.key is watch()
    d[ref.key] = Value()
    assert ref() is value and ref.key is watch() and len(d) == 0
    watch().cycle = ref  # type: ignore[union-attr]
    del ref
    gc.collect()
    assert watch() is None


def test_data_is_a_copy(native: Any) -> None:
    d, values = filled(native, 2)
    d.data.clear()
    assert len(d) == 2


def test_references_of_one_dictionary_do_not_touch_another(impl: Any) -> None:
    d, values = filled(impl, 3)
    other = d.copy()
    del d
    assert len(other) == 3
    del values
    assert len(other) == 0


def test_the_callback(native: Any) -> None:
    value = Value()
    d = native.WeakValueDictionary(a=value)
    [ref] = d.valuerefs()
    callback = ref.__callback__
    assert callback is d._remove and callback.__closure__ is None
    callback(ref)  # not dead: nothing happens
    assert d["a"] is value
    for args in ((), (ref, ref), (5,), (weakref.ref(value),)):
        with pytest.raises(TypeError, match="^the callback of a WeakValueDictionary wants"):
            callback(*args)
    with pytest.raises(TypeError, match="^the callback"):
        callback(ref, x=1)
    for cls in (type(ref), type(callback), type(iter(d))):
        with pytest.raises(TypeError, match="cannot create"):
            cls()
        with pytest.raises(TypeError):
            type("Sub", (cls,), {})
    with pytest.raises(TypeError, match="is not safe"):
        weakref.ref.__new__(type(ref), value)


def test_a_replaced_reference_that_dies_late(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    gc.disable()
    try:
        cycle = Value()
        cycle.name = cycle
        d[1] = cycle
        [ref] = d.valuerefs()  # so that its callback will be called
        del cycle
        other = Value()
        d[1] = other
        gc.collect()
        assert ref() is None and d[1] is other and len(d) == 1
    finally:
        gc.enable()


def test_a_value_that_is_being_freed_is_dead(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    seen: list[object] = []

    def look(_: object) -> None:
        # runs before the dictionary's own callback: references are called newest first
        seen.extend((len(d), d.get(1), 1 in d, d.pop(1, None), list(d.items())))

    value = Value()
    d[1] = value
    ref = weakref.ref(value, look)
    del value
    assert ref() is None
    assert seen[1:] == [None, False, None, []] and len(d) == 0


def dying(impl: Any, then: Callable[[Any], object]) -> Any:
    """A dictionary on which `then` is called while the value of key 1 is dead but still in it."""
    d = impl.WeakValueDictionary()
    value = Value()
    d[0] = d[1] = value
    del d[0]
    seen: list[object] = []
    ref = weakref.ref(value, lambda _: seen.append(then(d)))
    del value
    assert ref() is None and seen
    return d


def test_a_dead_entry_is_missing(impl: Any) -> None:
    new = Value()

    def raises(call: Callable[[], object]) -> bool:
        with pytest.raises(KeyError, match="^1$"):
            call()
        return True

    assert len(dying(impl, lambda d: raises(lambda: d[1]))) == 0
    assert len(dying(impl, lambda d: raises(lambda: d.pop(1)))) == 0
    assert len(dying(impl, lambda d: (list(d), list(d.values()), d.copy() == {}, d == {}))) == 0
    assert len(dying(impl, lambda d: d.clear())) == 0
    assert dict(dying(impl, lambda d: d.__setitem__(1, new))) == {1: new}
    assert dict(dying(impl, lambda d: d.setdefault(1, new))) == {1: new}
    assert dict(dying(impl, lambda d: d.update({1: new}))) == {1: new}
    assert len(dying(impl, lambda d: [ref() for ref in d.valuerefs()] in ([None], []))) == 0


def test_popitem_skips_dead_entries(impl: Any) -> None:
    def pop(d: Any) -> None:
        with pytest.raises(KeyError):
            d.popitem()

    assert len(dying(impl, pop)) == 0


# ---- what it adds: __missing__, factory


def test_missing(impl: Any) -> None:
    class Sub(impl.WeakValueDictionary):  # type: ignore[misc]
        def __missing__(self, key: str) -> str:
            return f"no {key}"

    one = Value()
    d = Sub(a=one)
    d.factory = Value
    assert d["a"] is one and d["b"] == "no b" and list(d) == ["a"]
    del one
    assert d["a"] == "no a" and d.get("a") is None and len(d) == 0
    d.__missing__ = None  # a special method: only the class is asked
    assert d["a"] == "no a"


def test_missing_of_a_base_and_of_other_kinds(native: Any) -> None:
    class Mixin:
        def __missing__(self, key: str) -> str:
            return f"no {key}"

    class Late(native.WeakValueDictionary, Mixin):  # type: ignore[misc]
        pass

    class Static(native.WeakValueDictionary):  # type: ignore[misc]
        @staticmethod
        def __missing__(key: str) -> str:
            return f"static {key}"

    class Bad(native.WeakValueDictionary):  # type: ignore[misc]
        @property
        def __missing__(self) -> Any:
            raise LookupError("bad")

    assert Late()["a"] == "no a" and Static()["a"] == "static a"
    with pytest.raises(LookupError, match="^bad$"):
        Bad()["a"]
    plain = type("Plain", (native.WeakValueDictionary,), {})()
    with pytest.raises(KeyError):
        plain["a"]


def test_missing_that_raises(impl: Any) -> None:
    class Sub(impl.WeakValueDictionary):  # type: ignore[misc]
        def __missing__(self, key: str) -> str:
            raise LookupError(key)

    with pytest.raises(LookupError, match="^a$"):
        Sub()["a"]


def test_factory(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    assert d.factory is None
    d.factory = Value
    one = d["a"]
    assert one.name == "a" and d["a"] is one and len(d) == 1
    assert d.get("b") is None and "b" not in d and d.pop("b", 5) == 5
    del one
    assert len(d) == 0
    name = d["a"].name
    assert name == "a" and len(d) == 0  # made, returned, gone
    del d.factory
    assert d.factory is None
    with pytest.raises(KeyError):
        d["a"]
    d.factory = Value
    d.factory = None
    with pytest.raises(KeyError):
        d["a"]


def test_factory_refused(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    with pytest.raises(
        TypeError, match="^WeakValueDictionary.factory: wanted a callable or None, got int$"
    ):
        d.factory = 5
    assert d.factory is None
    d.factory = len
    with pytest.raises(
        TypeError,
        match="^WeakValueDictionary: cannot create weak reference to 'int' object, "
        "what factory returned for key 'abc'$",
    ):
        d["abc"]
    d.factory = lambda key: 1 // 0
    with pytest.raises(ZeroDivisionError):
        d["abc"]
    assert len(d) == 0


def test_factory_finds_that_another_came_first(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    first = Value("first")

    def make(key: str) -> Value:
        d[key] = first
        return Value("second")

    d.factory = make
    assert d["a"] is first and d["a"] is first


def test_factory_that_goes_while_it_runs(impl: Any) -> None:
    d = impl.WeakValueDictionary()

    def make(key: str) -> Value:
        del d.factory
        return Value(key)

    d.factory = make
    del make
    assert d["a"].name == "a" and d.factory is None


def test_factory_in_a_cycle(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    d.factory = lambda key: d
    ref = weakref.ref(d)
    assert d["a"] is d
    d = None
    gc.collect()
    assert ref() is None


# ---- iterators


KINDS = ("keys", "values", "items", "itervaluerefs")


@pytest.mark.parametrize("kind", KINDS)
def test_iterators(impl: Any, kind: str) -> None:
    d, values = filled(impl, 3)
    iterator = getattr(d, kind)()
    assert isinstance(iterator, Iterator) and iter(iterator) is iterator
    assert len(list(iterator)) == 3 and list(iterator) == []
    assert list(getattr(impl.WeakValueDictionary(), kind)()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_iterators_do_not_show_what_is_added(impl: Any, kind: str) -> None:
    d, values = filled(impl, 3)
    more = []
    for count, _ in enumerate(getattr(d, kind)()):
        more.extend(Value() for _ in range(30))
        d.update((object(), value) for value in more)
        assert count < 3
    assert count == 2


def test_iterators_see_what_is_left(impl: Any) -> None:
    d, values = filled(impl, 10)
    iterator = iter(d)
    assert [next(iterator), next(iterator)] == [0, 1]
    del values[5], d[3]
    d.pop(0)
    assert list(iterator) == [2, 4, 6, 7, 8, 9]
    values = list(d.values())
    assert len(values) == 7


def test_an_iterator_holds_no_value(impl: Any) -> None:
    d, values = filled(impl, 3)
    iterator = d.items()
    next(iterator)
    values.clear()
    assert len(d) == 0
    assert list(iterator) == []


def test_an_iterator_over_a_cleared_dictionary(impl: Any) -> None:
    d, values = filled(impl, 100)
    iterator = d.keys()
    assert next(iterator) == 0
    d.clear()
    more = [Value() for _ in range(100)]
    d.update((("new", i), value) for i, value in enumerate(more))
    assert list(iterator) == []


@pytest.mark.parametrize("seed", range(10))
def test_iterators_under_churn(native: Any, seed: int) -> None:
    """Items that stay are seen once each, in order, whatever else comes and goes."""
    choose = random.Random(seed)
    d, values = filled(native, 200)
    stay = sorted(choose.sample(range(200), 20))
    passing: dict[int, Value] = {i: value for i, value in enumerate(values) if i not in set(stay)}
    values = [values[i] for i in stay]
    iterators = [(iter(d), []) for _ in range(4)]
    serial = 1000
    while iterators:
        for key in choose.sample(sorted(passing), min(len(passing), choose.randrange(40))):
            del passing[key]
        for _ in range(choose.randrange(40)):
            serial += 1
            passing[serial] = d[serial] = Value()
        pair = iterators[choose.randrange(len(iterators))]
        for _ in range(choose.randrange(20)):
            key = next(pair[0], None)
            if key is None:
                assert [key for key in pair[1] if key in set(stay)] == stay
                assert len(set(pair[1])) == len(pair[1]) and max(pair[1]) < 1000
                iterators.remove(pair)
                break
            pair[1].append(key)
    assert sorted(d) == sorted([*stay, *passing])


# ---- memory


def test_sizeof(native: Any) -> None:
    d = native.WeakValueDictionary()
    empty = sys.getsizeof(d)
    value = Value()
    d[1] = value
    small = sys.getsizeof(d)
    d.update(dict.fromkeys(range(1000), value))
    assert empty < small < 8 * 1000 < sys.getsizeof(d) < 100 * 1000
    d.clear()
    assert sys.getsizeof(d) == empty


def test_deaths_leave_no_holes(native: Any) -> None:
    d = native.WeakValueDictionary()
    sizes = set()
    for i in range(10_000):
        d[i] = Value()
        sizes.add(sys.getsizeof(d))
    assert len(d) == 0 and len(sizes) == 1


@pytest.mark.parametrize("suspended", [False, True])
@pytest.mark.parametrize("window", [1, 3, 50, 1000])
def test_churn_needs_bounded_memory(native: Any, window: int, suspended: bool) -> None:
    """First in, first out, also behind an entry that stays and an iterator that waits."""
    d = native.WeakValueDictionary()
    stays = Value()
    d["stays"] = stays
    iterator = iter(d)
    if suspended:
        next(iterator)
    live: collections.deque[Value] = collections.deque(maxlen=window)
    most = 0
    for i in range(20 * window + 100):
        value = Value()
        d[i] = value
        live.append(value)
        most = max(most, sys.getsizeof(d))
    assert most < 200 * (window + 5) + 500
    assert list(d) == ["stays", *range(i - window + 1, i + 1)]
    assert list(iterator) == ([] if suspended else ["stays"])


def test_a_table_shrinks(native: Any) -> None:
    d, values = filled(native, 10_000)
    full = sys.getsizeof(d)
    del values[10:]
    assert len(d) == 10
    for i in range(20_000):
        d[i % 10] = values[i % 10]
        d[("x", i)] = values[0] if i % 1000 == 0 else Value()
    values.clear()
    assert len(d) == 0 and sys.getsizeof(d) < full / 10


def test_many_keys(impl: Any) -> None:
    d = impl.WeakValueDictionary()
    keys: list[Any] = [*range(0, 3000, 3), *(1 << i for i in range(200)), *map(str, range(1000))]
    values = {key: Value(key) for key in keys}
    d.update(values)
    assert len(d) == len(values)
    random.Random(5).shuffle(keys)
    for key in keys[: len(keys) // 2]:
        values.pop(key, None)
    assert len(d) == len(values) and dict(d) == values and list(d) == list(values)
    assert all((key in d) == (key in values) for key in keys)
