"""`validate`: nothing leaks, and no failed allocation does harm."""

from __future__ import annotations

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import collections, dataclasses, sys, types
sys.modules.setdefault(__name__, types.ModuleType(__name__))  # dataclasses looks there
from typing import Annotated, Any, Callable, Literal, Mapping, NamedTuple, Sequence
from typing import TypedDict, TypeVar
from ferrule.validation import *
from ferrule.validation import validate

T = TypeVar("T", int, str)
text = Annotated[str, Strip, MinLength(1)]
number = Annotated[int, Ge(1)]

texts, one_text, text_set = list[text], tuple[text], set[text]
text_dict, sequence = dict[text, text], Sequence[text]

class Address:
    zip: Annotated[str, MinLength(5)]
    def __init__(self, code):
        self.zip = code

@dataclasses.dataclass
class User:
    name: Annotated[str, MinLength(3)]
    age: number = 1
    address: Address | None = None
    secret: Annotated[str, MinLength(3), Sensitive] = "abc"

class Movie(TypedDict):
    name: text

class Pair(NamedTuple):
    a: number = 1

class Bad:
    a: Annotated[int, Ge(3)] = 1

def fail(value):
    raise ValueError

user = User("alice", 3, Address("12345"))
bad = User("alice", 3, Address("1"))
good = [(1, int), (1.5, Annotated[float, Ge(1)]), ("a", text), ([1, 2], list[number]),
        ((1, "a"), tuple[int, str]), ({1}, set[number]), ({"a": 1}, dict[str, number]),
        (None, int | None), (1, str | number), ("a", Literal["a", 1]), (int, type[int]),
        (len, Callable[[int], int]), (1, T), (user, User), ({"name": "a"}, Movie), (Pair(), Pair),
        ([user], Sequence[User]), (10**30, number), (4, Annotated[int, MultipleOf(2)]),
        (collections.deque([1]), collections.deque[int]), (5, Annotated[int, Predicate(bool)])]
refused = [("a", int), (0.5, Annotated[float, Ge(1)]), ("", text), ([1, 0], list[number]),
           ((1, 2), tuple[int, str]), ((1,), tuple[int, str]), ({0}, set[number]),
           ({"a": 0}, dict[str, number]), ("a", int | None), (0, str | number), (0.5, str | number),
           ("b", Literal["a", 1]), (b"", Literal["a", 1]), (str, type[int]), (bad, User),
           (1, User), ({}, Movie), ([], Movie), (Pair(0), Pair), ([bad], Sequence[User]),
           (3, Annotated[int, MultipleOf(2)]), (5, Annotated[int, Predicate(fail)]),
           ("a", Annotated[Any, Ge(1)]), ({"secret": 1}, Annotated[dict[str, str], Sensitive])]

def refuse(value, tp):
    try:
        validate(value, tp)
    except (TypeError, ValueError) as error:
        str(error)
        return
    except SystemError as error:
        if not str(error).startswith(("<function", "error return without")):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

if sys.version_info >= (3, 12):
    exec("type Json = None | int | str | list[Json] | dict[str, Json]")
else:
    Json = Any

def remake(alias):
    made = object.__new__(type(alias))
    made.__dict__.update(alias.__dict__)
    return made

def guarded(function, *args):
    try:
        return function(*args)
    except SystemError as error:
        # a function of Python's (typing's __getattr__) that finds no memory to raise
        if not str(error).startswith(("<function", "error return without")):
            raise
        raise MemoryError from None

def new_class():
    class Local:
        a: number = 1
        b: "Local | None" = None
    local = Local()
    local.b = Local()
    validate(local, Local)
    validate([local], list[Local])
"""

SUCCESSES = {
    "all": "[validate(*case) for case in good]",
    "strip": "validate([' a', 'b', 'c '], texts); validate((' a',), one_text)",
    "strip dict": "validate({' a': ' b'}, text_dict); validate({'name': ' b'}, Movie)",
    "strip set": "validate({' a'}, text_set); validate(collections.deque([' a']), sequence)",
    "new annotation": "validate([[1]], list[Annotated[list, Predicate(lambda v: 1)]])",
    "unhashable": "validate([2], Annotated[list, Predicate([[2]].count)])",
    "alias": "validate({'a': [1, None, 'b']}, Json)",
    "new class": "new_class()",
}
ERRORS = {
    "all": "[refuse(*case) for case in refused]",
    "annotations": "refuse(1, 'int'); refuse(1, 5); refuse(1, Annotated[int, MinLength(1)])",
    "contradiction": "refuse(1, Annotated[int, Ge(5), Le(3)]); refuse(1, Annotated[list, Ge([1])])",
    "default": "refuse(Bad(), Bad)",
    "alias": "refuse({'a': [1, None, 'b', object]}, Json if Json is not Any else int)",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}

#: Instead of those that make annotations or classes, in which Python's own functions crash.
MAKING = ("new annotation", "unhashable", "new class", "alias")
MAKING += ("error: annotations", "error: contradiction", "error: default")
WALKS = {name: code for name, code in CASES.items() if name not in MAKING}
POOL = """
def many(*annotations):
    return [[remake(one) for one in annotations] for _ in range(1500)]

nested = many(Annotated[list[int | str], MinLength(1), Predicate(bool)],
              Annotated[dict[str, tuple[int, ...]] | None, MinLength(1)], Annotated[T, Doc("a")])
wrong = many(Annotated[int, Ge(5), Le(3)], Annotated[list, Ge([1])], Annotated[int, MinLength(1)])
"""
WALKS["new annotation"] = """
for value, tp in zip(([1, "a"], {"a": (1,)}, 5), nested.pop()):
    guarded(validate, value, tp)
"""
WALKS["alias"] = "guarded(validate, {'a': [1, None, 'b']}, Json)"
WALKS["error: annotations"] = """
for tp in wrong.pop():
    refuse(1, tp)
"""


def ready(code):
    space: dict[str, object] = {"__name__": "ready"}
    exec(compile(SETUP, "setup", "exec", dont_inherit=True), space)
    exec("def work():\n    " + code, space)
    return space["work"]


@covers("validate")
@covers("validate", error=True)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    work = ready(CASES[case])
    few = case in ("new class", "error: default")
    for _ in range(200 if few else 600):
        work()
    no_leak(work, rounds=50 if few else 300)


@pytest.mark.parametrize("case", WALKS)
def test_every_allocation_fails_once(case):
    walk_oom(WALKS[case], setup=SETUP + POOL)


def test_in_subinterpreters():
    tests = [f"def case_{i}():\n    {code}" for i, code in enumerate(CASES.values())]
    calls = "\n".join(f"case_{i}()" for i in range(len(tests)))
    in_subinterpreter(SETUP + "\n".join(tests) + "\n" + calls)


@pytest.mark.parametrize("case", SUCCESSES)
def test_in_threads(case):
    space: dict[str, object] = {"__name__": "ready"}
    exec(compile(SETUP, "setup", "exec", dont_inherit=True), space)
    exec("def work():\n    " + SUCCESSES[case], space)

    def run():
        for _ in range(50):
            space["work"]()

    run_threads(run, 4)
