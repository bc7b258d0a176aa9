"""mask: nothing leaks, and no failed allocation does harm."""

from typing import Any

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import collections, dataclasses, functools, gc, types
from typing import Annotated, Any, NamedTuple, Optional, TypedDict
from ferrule._validation import _mask_value, mask

Hidden = Annotated[str, "sensitive_data"]

@dataclasses.dataclass
class User:
    name: str
    password: Hidden

class Row(NamedTuple):
    left: int
    right: list[Hidden]

class Info(TypedDict):
    token: Hidden

class Lost:
    x: "nowhere"

@dataclasses.dataclass
class Many:
    a: tuple[int, Hidden]
    b: dict[str, Hidden]
    c: Info
    d: Any
    e: Optional[list[Hidden]] = None
    f: int | list[Hidden] = 5

class Fails:
    x: int

    @property
    def x(self):
        raise LookupError

class Keyed(dict):
    p: Hidden

class Either:
    x: list[Hidden] | dict[str, int] | User

user = User("ann", "hunter2")
either = Either()
either.x = {"a": 5}
held = [functools.partial(print, user), user.__init__, OSError(2, "x", user), ValueError(5)]
many = Many((1, "a"), {"a": "b"}, {"token": "a"}, [user, {1: (user,)}, {2}], ["a"])
def pick(name, fields=None):
    return fields

ring = User([], "a")
ring.name.append(ring)

def refuse(*args):
    try:
        mask(*args)
    except (TypeError, ValueError, LookupError):
        return
    except SystemError as error:
        # what CPython itself raises when a function of Python finds no memory
        if "without" not in str(error):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

def fresh():
    class Local:
        x: Hidden
        y: list[Hidden]
        z: int
    return Local

def partly():
    class Partly:
        x: "Hidden"
        y: "nowhere" = 5
        z: "int" = 6
    return Partly

mask(many), mask(Row(1, ["a"])), mask({"a": types.MappingProxyType({})})
"""
SUCCESSES = {
    "objects": "mask(user); mask(many)",
    "named tuple": "mask(Row(1, ['a', 'b']))",
    "mappings": "mask({'a': user, (1, 2): [user], Row(1, ()): 1})",
    # not mappingproxy: CPython does not survive iterating items() without memory
    "views": "mask({'a': {'a': user}.values(), 'b': {1}, 'c': collections.deque([user])})",
    "for logs": "_mask_value([user, ring, *held], '*', pick)",
    "held": "mask({'a': held})",
    "own keys": "mask(Keyed(p=1, n=2))",
    "namespace": "mask(types.SimpleNamespace(a=user))",
    "union": "mask(either)",
}
CLASSES = {
    "new class": "obj = object.__new__(fresh()); obj.z = 5; mask(obj)",
    "not all read": "mask({'a': partly()()})",
}
ERRORS = {
    "without fields": "refuse(5); refuse([1]); refuse()",
    "ring": "refuse(ring)",
    "property": "refuse(Fails()); refuse({'a': [Fails()]})",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


def ready(case: str) -> Any:
    space: dict[str, Any] = {"__name__": "case"}
    exec(SETUP, space)
    code = compile({**CASES, **CLASSES}[case], "case", "exec")
    return lambda: exec(code, space)


@covers("mask")
@covers("mask", error=True)
@pytest.mark.parametrize("case", [*CASES, *CLASSES])
def test_no_leak(case):
    call = ready(case)
    for _ in range(300 if case in CLASSES else 3000):  # caches of the interpreter fill slowly
        call()
    no_leak(call, rounds=100 if case in CLASSES else 300)


@pytest.mark.parametrize("case", CASES)
def test_every_allocation_fails_once(case):
    walk_oom(CASES[case], setup=SETUP)


def test_in_subinterpreters():
    in_subinterpreter(SETUP + "\n".join([*CASES.values(), *CLASSES.values()]))


@pytest.mark.parametrize("case", [*SUCCESSES, *CLASSES])
def test_in_threads(case):
    call = ready(case)
    run_threads(lambda: [call() for _ in range(50)], 4)
