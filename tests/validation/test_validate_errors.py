"""What errors of `validate` say, what they keep to themselves, and who speaks for a union."""

import dataclasses
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Annotated, Any, NamedTuple, TypedDict

import pytest

SECRET = "hunter2"


def secret(impl: Any) -> Any:
    return Annotated[str, impl.Sensitive]


@dataclasses.dataclass
class Node:
    name: str
    next: "Node | None" = None


CONTAINERS = {
    "list": lambda impl, s: ([SECRET], Annotated[list[s], impl.MinLength(3)]),
    "dict": lambda impl, s: ({"a": SECRET}, Annotated[dict[str, s], impl.Predicate(lambda _: 0)]),
    "tuple": lambda impl, s: ((SECRET, 1), Annotated[tuple[s, int], impl.Predicate(lambda _: 0)]),
    "nested": lambda impl, s: ([[SECRET]], Annotated[list[list[s]], impl.MinLength(3)]),
    "union": lambda impl, s: (SECRET, Annotated[s | int, impl.MinLength(30)]),
    "email": lambda impl, s: (SECRET, Annotated[s | int, impl.Email]),
    "member": lambda impl, s: (
        SECRET,
        Annotated[str, impl.Regex("x")] | Annotated[s, impl.MinLength(30)],
    ),
    "two keys": lambda impl, s: (
        {f" {SECRET}": 1, f"{SECRET} ": 2},
        dict[Annotated[s, impl.Strip], int],
    ),
}


@pytest.mark.parametrize("case", CONTAINERS)
def test_containers_of_sensitive_values_are_not_shown(impl, case):
    value, tp = CONTAINERS[case](impl, secret(impl))
    with pytest.raises(impl.ConstraintError) as caught:
        impl.validate(value, tp)
    assert SECRET not in repr(caught.value) and caught.value.value is None


@pytest.mark.parametrize("kind", ["dataclass", "TypedDict", "NamedTuple", "within"])
def test_classes_with_sensitive_fields_are_not_shown(impl, kind):
    fields = {"user": str, "password": secret(impl)}
    value: Any = {"user": "a", "password": SECRET}
    if kind == "TypedDict":
        cls = TypedDict("Account", fields)
    elif kind == "NamedTuple":
        cls = NamedTuple("Account", list(fields.items()))
        value = cls(**value)
    else:
        cls = dataclasses.make_dataclass("Account", fields.items())
        value = cls(**value)
    if kind == "within":
        cls = dataclasses.make_dataclass("Outer", [("accounts", list[cls])])
        value = cls([value])
    for tp, given in (
        (Annotated[cls, impl.Predicate(lambda _: False)], value),
        (Annotated[list[cls], impl.MinLength(3)], [value]),
    ):
        with pytest.raises(impl.ConstraintError) as caught:
            impl.validate(given, tp)
        assert SECRET not in repr(caught.value) and caught.value.value is None


def test_what_holds_nothing_sensitive_is_shown(impl):
    with pytest.raises(impl.ConstraintError, match=r"got \[Node\(name='a', next=None\)\]"):
        impl.validate([Node("a")], Annotated[list[Node], impl.MinLength(3)])


@pytest.mark.parametrize("wrap", [dict, lambda pairs: {"a": dict(pairs)}])
def test_sensitive_keys_are_not_shown(impl, wrap):
    s = secret(impl)
    plain = wrap is dict
    for key, of in (
        (SECRET, dict[s, str]),
        ((SECRET,), dict[tuple[s], str]),
        ((SECRET, "x"), dict[tuple[s, int], str]),
    ):
        tp = of if plain else Mapping[str, of]
        with pytest.raises(TypeError, match=r"\[\.\.\.\]") as caught:
            impl.validate(wrap([(key, 1)]), tp)
        assert SECRET not in str(caught.value)


def test_a_refused_default_is_not_shown(impl):
    class Def:
        x: Annotated[list[secret(impl)], impl.MinLength(3)] = [SECRET]

    with pytest.raises(ValueError, match=r"default of .*Def\.x must have") as caught:
        impl.validate(Def(), Def)
    assert SECRET not in str(caught.value)


def test_a_broken_default_does_not_lead_to_itself(impl):
    class Own:
        x: Annotated[Any, impl.Predicate(lambda _: False)] = 5

    Own.__annotations__["y"] = Annotated[Own | int, impl.Predicate(lambda _: False)]
    Own.y = 3
    with pytest.raises(ValueError, match="default of"):
        impl.validate(Own(), Own)


def test_the_first_member_whose_constraint_is_broken_speaks(impl):
    tp = Annotated[int, impl.Ge(5)] | Annotated[int, impl.Le(3)]
    with pytest.raises(impl.ConstraintError, match="^value must be >= 5, got 4$"):
        impl.validate(4, tp)
    with pytest.raises(impl.ConstraintError, match=r"^value\[0\] must be >= 5, got 4$"):
        impl.validate([4], list[tp] | dict[str, int])


@pytest.mark.parametrize(
    ("value", "tp", "text"),
    [
        ([1, "a"], int | list[int], r"value\[1\] must be int, got str"),
        ([1, "a"], int | list[int] | None, r"value\[1\] must be int, got str"),
        ([[1, "a"]], int | list[str | list[int]], r"value\[0\]\[1\] must be int, got str"),
        ([["a"]], list[list[int]] | None, r"value\[0\]\[0\] must be int, got str"),
        ([5], list[list[int]] | None, r"value\[0\] must be list, got int"),
        ((1,), int | tuple[int, int], "value must be a tuple of 2 items, got 1"),
        ([1, "a"], list[str] | list[int], r"value must be list \| list, got list"),
        ("a", int | list[int], r"value must be int \| list, got str"),
        ([None], list[int | list[int]], r"value\[0\] must be int \| list, got NoneType"),
    ],
)
def test_the_only_member_of_the_right_type_speaks(impl, value, tp, text):
    with pytest.raises(TypeError, match=f"^validate\\(\\): {text}$"):
        impl.validate(value, tp)


# ---- Strip in containers


@pytest.mark.parametrize("kind", [Sequence, Collection, Iterable])
def test_a_str_is_no_container_to_strip(impl, kind):
    value = "a b"
    assert impl.validate(value, kind[Annotated[str, impl.Strip]]) is value


def test_stripped_containers_keep_their_kind(impl):
    s = Annotated[str, impl.Strip]
    assert impl.validate({" a ": 1}.keys(), Set[s]) == {"a"}
    assert impl.validate({1: " a "}.values(), Collection[s]) == ["a"]
    queue = impl.validate(deque([" a ", "b"], maxlen=3), deque[s])
    assert queue == deque(["a", "b"]) and queue.maxlen == 3

    class Odd:
        def __init__(self, one, two):
            self.items = [one, two]

        def __len__(self):
            return 2

        def __iter__(self):
            return iter(self.items)

        def __contains__(self, item):
            return item in self.items

    assert impl.validate(Odd(" a ", "b"), Collection[s]) == ["a", "b"]


def test_stripped_mappings_keep_their_kind(impl):
    s = Annotated[str, impl.Strip]
    given: Any = defaultdict(list, {" a ": [1]})
    made = impl.validate(given, Mapping[s, list[int]])
    assert type(made) is defaultdict and made["b"] == [] and made["a"] == [1]
    assert given == {" a ": [1]}
    ordered = impl.validate(OrderedDict([(" b ", 1), ("a", 2)]), dict[s, int])
    assert type(ordered) is OrderedDict and list(ordered.items()) == [("b", 1), ("a", 2)]
    assert ordered == OrderedDict([("b", 1), ("a", 2)])
    counter = impl.validate(Counter({" a ": 2}), Counter[s])
    assert type(counter) is Counter and counter == {"a": 2}

    class Own(dict):
        def __copy__(self):
            return self

    own = Own({" a ": 1})
    assert impl.validate(own, dict[s, int]) == {"a": 1} and own == {" a ": 1}


def test_two_keys_that_become_one(impl):
    tp = dict[Annotated[str, impl.Strip], int]
    for given in ({"a": 1, " a ": 2}, {" a ": 1, "a": 2}):
        with pytest.raises(ValueError, match="^value: two keys become 'a'$"):
            impl.validate(given, tp)
    assert impl.validate({"a": 1, " a ": 2}, tp | dict[str, int]) == {"a": 1, " a ": 2}


# ---- texts


class BadRepr:
    def __repr__(self):
        raise OSError

    def __len__(self):
        return 0


def test_values_whose_repr_fails(impl):
    huge = 10**5000
    tp = Annotated[int, impl.Le(5)]
    with pytest.raises(impl.ConstraintError, match="^value must be <= 5, got int of 16610 bits$"):
        impl.validate(huge, tp)
    with pytest.raises(impl.ConstraintError, match="^value must be >= int of 16610 bits, got 1$"):
        impl.validate(1, Annotated[int, impl.Ge(huge)])
    with pytest.raises(TypeError, match=r"value\[int of 16610 bits\] must be int, got str"):
        impl.validate({huge: "a"}, dict[int, int])
    with pytest.raises(impl.ConstraintError, match="got <BadRepr object>$"):
        impl.validate(BadRepr(), Annotated[BadRepr, impl.MinLength(1)])
    with pytest.raises(ValueError, match="nothing is >= int of 16610 bits and <= 1"):
        impl.Interval(ge=huge, le=1)
    with pytest.raises(ValueError, match="got int of 16610 bits"):
        impl.MinLength(huge)
    assert repr(impl.Ge(huge)) == "Ge(int of 16610 bits)"


@pytest.mark.parametrize("error", [MemoryError, RecursionError, KeyboardInterrupt])
def test_other_errors_of_repr_go_on(impl, error):
    class Bad:
        def __repr__(self):
            raise error

    with pytest.raises(error):
        str(pytest.raises(ValueError, impl.validate, Bad(), fails(impl)).value)


def fails(impl):
    return Annotated[Any, impl.Predicate(lambda _: False)]


def test_a_class_where_another_was_wanted(impl):
    with pytest.raises(
        TypeError, match=r"^validate\(\): value must be type\[int\], got class str$"
    ):
        impl.validate(str, type[int])
    with pytest.raises(TypeError, match=r"^validate\(\): value must be type\[int\], got str$"):
        impl.validate("a", type[int])


def test_annotations_that_are_no_types(impl):
    with pytest.raises(TypeError, match=r"^validate\(\): annotation \[.*\] is not a type$"):
        impl.validate(5, [int])
