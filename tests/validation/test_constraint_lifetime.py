"""Constraints: nothing leaks, and no failed allocation does harm."""

from __future__ import annotations

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import copy, pickle
from typing import Annotated, Final, NewType, Optional, Union
from ferrule.validation import *
from ferrule.validation import constraints

class Odd:
    def __eq__(self, other):
        raise ValueError
    __hash__ = None

def make():
    return (Gt(1), Ge(1), Lt(1), Le(1), MultipleOf(2), MinLength(1), MaxLength(1), Length(1, 2),
            Length(1), Interval(ge=1, lt=2), Predicate(len), Timezone(None), Doc("a"), Strip,
            Sensitive)

def refuse(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError, AttributeError):
        return
    except SystemError as error:
        if not str(error).startswith(("<function", "error return without")):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

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

every = make()
inner = Annotated[str, MinLength(3), "max_len:9", 5]
outer = Annotated[Optional[inner], Strip, Sensitive, Interval(ge="a", lt="b"), Doc("a")]
name = NewType("name", inner)
odd = Ge(Odd())
"""

SUCCESSES = {
    "make": "make()",
    "show": "[(repr(one), str(one)) for one in every]",
    "compare": "[a == b for a in every for b in make()]; MinLength(1) == 'min_len:1'",
    "hash": "[hash(one) for one in every]",
    "read": "Length(1).max_length; Interval(ge=1).gt; Ge(1).ge; MinLength(1).min_length",
    "parts": "list(Length(1, 2)); list(Length(1)); list(Interval(ge=1, lt=2))",
    "pickle": "[one.__reduce__() for one in every]",
    "copy": "[(copy.copy(one), copy.deepcopy(one)) for one in every]",
    "call": "Strip(), Sensitive()",
    "constraints": "constraints(int); constraints(outer); constraints(list[int])",
    "new annotation": "constraints(Annotated[list, Ge([1]), 'min_len:3']); constraints(name)",
    "unhashable": "constraints(Annotated[Union[int, None], Ge([1]), Length(1, 2)])",
    "cycle": "bound = []; bound.append(Predicate(bound.append)); del bound",
}
ERRORS = {
    "arguments": "refuse(MinLength, -1); refuse(MinLength, 'a'); refuse(MinLength, 2**70)",
    "lengths": "refuse(Length, 5, 3); refuse(Length, 1, -1); refuse(MaxLength, 1.0)",
    "bounds": "refuse(Ge, None); refuse(Gt, float('nan')); refuse(Lt); refuse(Le, 1, 2)",
    "interval": "refuse(Interval); refuse(Interval, ge=5, lt=3); refuse(Interval, ge=5, lt='a')",
    "others": "refuse(MultipleOf, 0); refuse(Predicate, 5); refuse(Doc, 5); refuse(Timezone, 5)",
    "constants": "refuse(Strip, 1); refuse(Sensitive, a=1); refuse(Constraint)",
    "compare": "refuse(odd.__eq__, Ge(Odd())); refuse(hash, odd); refuse(odd.__lt__, 5, 6)",
    "constraints": "refuse(constraints, 'int')",
    "set": "refuse(setattr, every[0], 'gt', 5)",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}

#: Instead of those that make annotations, in which typing's own functions crash.
WALKS = {name: code for name, code in CASES.items() if name not in ("new annotation", "unhashable")}
POOL = """
pool = [remake(outer) for _ in range(1000)]
other = [remake(Annotated[Union[int, None], Ge([1]), Length(1, 2)]) for _ in range(1000)]
"""
WALKS["new annotation"] = "guarded(constraints, pool.pop())"
WALKS["unhashable"] = "guarded(constraints, other.pop())"

KINDS = ("Gt", "Ge", "Lt", "Le", "MultipleOf", "MinLength", "MaxLength", "Length", "Interval")
KINDS += ("Predicate", "Timezone", "Doc")
METHODS = ("__reduce__", "__copy__", "__deepcopy__", "__repr__", "__str__", "__hash__")
OPERATORS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")
ALL = tuple(f"{kind}.{name}" for kind in KINDS for name in METHODS + OPERATORS)


def ready(code):
    space: dict[str, object] = {}
    exec(SETUP, space)
    exec("def work():\n    " + code, space)
    return space["work"]


@covers("constraints", "Constraint", *KINDS, *ALL, "Length.__iter__", "Interval.__iter__")
@covers("constraints", "Constraint", *KINDS, *(f"{kind}.__eq__" for kind in KINDS), error=True)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    work = ready(CASES[case])
    for _ in range(1000):  # caches of typing and of the interpreter
        work()
    no_leak(work, rounds=300)


@pytest.mark.parametrize("case", WALKS)
def test_every_allocation_fails_once(case):
    walk_oom(WALKS[case], setup=SETUP + POOL)


def test_in_subinterpreters():
    tests = [f"def case_{i}():\n    {code}" for i, code in enumerate(CASES.values())]
    calls = "\n".join(f"case_{i}()" for i in range(len(tests)))
    in_subinterpreter(SETUP + "\n".join(tests) + "\n" + calls)


@pytest.mark.parametrize("case", SUCCESSES)
def test_in_threads(case):
    def run():
        work = ready(SUCCESSES[case])
        for _ in range(50):
            work()

    run_threads(run, 4)
