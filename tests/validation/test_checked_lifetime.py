"""checked: nothing leaks, and no failed allocation does harm."""

from __future__ import annotations

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom
from wrapping import FUNCTIONS, ready

SETUP = (
    FUNCTIONS.replace("from ferrule.calls import counted, logged, timer", "")
    + """
from typing import Annotated, Any
from ferrule.validation import Ge, Le, MinLength, Sensitive, Strip, checked

def plain(a: Annotated[int, Ge(0), Le(100)], b: Annotated[str, MinLength(1)], c: list[int]) -> int:
    return a

def every(a: int, /, b: str = "b", *c: int, d: Annotated[str, Strip] = "d", **e: int) -> object:
    return a

def give(value: Any) -> int:
    return value

def strips(value: Any) -> Annotated[str, Strip]:
    return value

def secret(value: Annotated[str, MinLength(9), Sensitive]):
    pass

def node(value: "Node") -> "Node":
    return value

class Node:
    @checked
    def add(self, other: "Node") -> "Node":
        return other

async def wait(x: int) -> int:
    await Pause()
    return x if x else "no int"

def thrown(coroutine, error):
    try:
        coroutine.throw(error)
    except ValueError:
        return
    except SystemError:  # the coroutine's own throw() finds no memory, and does not say so
        raise MemoryError from None

def bad_default(a: Annotated[int, Ge(5)] = 4):
    pass

def bad_annotation(a: "1 +"):
    pass

def no_type(a: 5):
    pass

def unresolved(a: "Nowhere"):
    pass

import types
fresh = lambda func: types.FunctionType(func.__code__, func.__globals__, func.__name__)
func, whole, gives, stripped, hidden = map(checked, (plain, every, give, strips, secret))
co, late, one, numbers, unknown = checked(wait), checked(node), Node(), [1, 2], checked(unresolved)
blank = checked(add)
"""
)

#: CPython's own inspect and typing crash where they find no memory (3.12, 3.13): what they would
#: say is there already.
ANSWERS = """
import inspect, typing

known = (plain, every, give, strips, secret, node, wait, bad_default, bad_annotation, no_type)
known += (unresolved, add, nothing)
inspect.signature = dict(zip(known, map(inspect.signature, known))).get

def hints(holder, *names, include_extras):
    return {"it": Node if holder.__annotations__["it"] == "Node" else holder.__annotations__["it"]}

typing.get_type_hints = hints
"""

SUCCESSES = {
    "make": "checked(plain); checked(every); checked(add); checked(wait)",
    "make later": "checked(node)(one); checked(node)(value=one)",
    "decorator": "checked(result=False)(give)('a'); checked()(give)(1)",
    "static": "checked(staticmethod(plain)); checked(classmethod(plain))",
    "call": "func(1, 'x', numbers); func(b='x', c=[], a=1); blank(1, b=2)",
    "every kind": "whole(1); whole(1, 'b', 2, 3, d='d', x=4)",
    "stripped": "whole(1, d=' d '); stripped(' a ')",
    "method": "one.add(one); Node.add(one, other=one)",
    "coroutine": "drive(co(1)); c = co(1); c.cr_code, c.__name__, repr(c); c.close()",
    "coroutine closed": "c = co(1); guarded(c.send, None); guarded(c.close); guarded(co(1).close)",
    "coroutine dropped": "c = co(1); guarded(c.send, None); del c; gc.collect(0)",
    "read": "func.__doc__, func.__name__, func.__wrapped__, func.__dict__, repr(func)",
    "cycle": "f = fresh(nothing); f.me = checked(f); del f; gc.collect(0)",
    "cycle of its own": "w = checked(nothing); w.me = w; del w; gc.collect(0)",
}
ERRORS = {
    "not callable": "refuse(checked, 5); refuse(checked, int); refuse(checked, staticmethod(5))",
    "arguments": "refuse(checked, add, 5); refuse(checked, result=Undecided())",
    "no signature": "refuse(checked, dict.pop)",
    "default": "refuse(checked, bad_default)",
    "annotation": "refuse(checked, bad_annotation); refuse(checked, no_type); refuse(unknown, 1)",
    "type": "refuse(func, 1.5, 'x', []); refuse(func, 1, 'x', ['1']); refuse(whole, 1, x='1')",
    "constraint": "refuse(func, 101, 'x', []); refuse(func, c=[], b='', a=1); refuse(hidden, 'a')",
    "rest": "refuse(whole, 1, 'b', 2, '3'); refuse(whole, 1, d=' d ', x='1')",
    "shape": "refuse(func, 1); refuse(func, 1, 'x', [], 4); refuse(func, e=1)",
    "result": "refuse(gives, 'a'); refuse(stripped, 5)",
    "coroutine": "refuse(co, 'a'); refuse(drive, co(0)); c = co(1); refuse(c.throw, 5); c.close()",
    "thrown": "c = co(1); guarded(c.send, None); thrown(c, ValueError()); del c",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


@covers("checked")
@covers("checked", error=True)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    code = ready(CASES[case], SETUP)
    for _ in range(300):  # caches of the interpreter fill slowly
        code()
    no_leak(code, rounds=100)


#: What is about the words of inspect and typing, and a function that is new every time.
UNWALKED = {"cycle", "error: no signature", "error: annotation"}


@pytest.mark.parametrize("case", [case for case in CASES if case not in UNWALKED])
def test_every_allocation_fails_once(case):
    walk_oom(CASES[case], setup=SETUP + ANSWERS)


def test_in_subinterpreters():
    tests = [f"def case_{i}():\n    {code}" for i, code in enumerate(CASES.values())]
    calls = "\n".join(f"case_{i}()" for i in range(len(tests)))
    in_subinterpreter(SETUP + "\n".join(tests) + "\n" + calls)


@pytest.mark.parametrize("case", SUCCESSES)
def test_in_threads(case):
    def work():
        code = ready(SUCCESSES[case], SETUP)
        for _ in range(20):
            code()

    run_threads(work, 4)
