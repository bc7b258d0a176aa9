"""Wrapper, update_wrapper, wraps: nothing leaks, and no failed allocation does harm."""

from __future__ import annotations

import gc

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom
from wrapping import ready

SETUP = """
import copy, functools, gc, pickle, types
from ferrule.calls import Wrapper, update_wrapper, wraps

def add(a, b=2, *, c=3):
    '''Add.'''
    return a, b, c

add.level = 7

def fail(*args):
    raise ValueError

class Twice(Wrapper):
    '''Of the class.'''

    def __call__(self, *args, **kwargs):
        return self.__wrapped__(*args, **kwargs), 2

class Tagged(Wrapper):
    def __init__(self, func, tag):
        self.tag = tag

class Told:
    def __call__(self, *args):
        return args

    def __set_name__(self, owner, name):
        if owner is None:
            raise LookupError

class Thing:
    pass

def refuse(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError, AttributeError, LookupError, pickle.PicklingError):
        return
    except SystemError as error:
        # a function of Python's that finds no memory to raise what it wants to
        if not str(error).startswith(("<function", "error return without")):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

wrapped, thing = Wrapper(add), Thing()
Thing.method = Wrapper(lambda self, x=1: x)
partial = functools.partial(add, 1)
told = Wrapper(Told())
named = Wrapper(add)
named.__qualname__ = "named"

def bare():
    pass
"""

SUCCESSES = {
    "make": "Wrapper(add); Wrapper(partial); Wrapper(len); Wrapper(Thing); Wrapper(wrapped)",
    "make a subclass's": "Twice(add); Tagged(add, 1); Tagged(add, tag=2)",
    "call": "wrapped(1); wrapped(1, 2, c=4); wrapped(*[1], **{'c': 5}); Wrapper(partial)(3)",
    "call a subclass": "Twice(add)(1, c=2)",
    "method": "thing.method(1); Thing.method(thing, 2); m = thing.method; m(3)",
    "descriptor": "Wrapper(add).__get__(None, Thing); Wrapper(add).__get__(thing)(1)",
    "attributes": "wrapped.__name__, wrapped.__doc__, wrapped.__wrapped__, wrapped.level",
    "set": "w = Wrapper(add); w.x = 1; w.__doc__ = 'x'; w.x, w.__doc__; del w.x",
    "dict": "w = Wrapper(add); vars(w)['y'] = 1; w.y; w.__dict__ = {}",
    "no attribute": "hasattr(wrapped, 'nothing')",
    "repr": "repr(wrapped)",
    "copy": "copy.copy(wrapped), copy.deepcopy(wrapped)",
    "reduce": "wrapped.__reduce__()",
    "set name": "told.__set_name__(Thing, 'x'); wrapped.__set_name__(Thing, 'y')",
    "cycle": "w = Wrapper(bare); w.me = w; del w; gc.collect(0)",
    "alias": "Wrapper[[int], str]",
    "update": "update_wrapper(bare, add); update_wrapper(bare, add, ('__doc__',), ())",
    "wraps": "wraps(add)(bare); repr(wraps(add, assigned=('__doc__',), updated=()))",
    "chain": "w = add\nfor _ in range(300): w = Wrapper(w)\ndel w",
}
ERRORS = {
    "not callable": "refuse(Wrapper, 5); refuse(Wrapper, property()); refuse(Twice, None)",
    "wrong number": "refuse(Wrapper); refuse(Wrapper, add, 1); refuse(Wrapper, add, x=1)",
    "call fails": "refuse(Wrapper(fail)); refuse(wrapped); refuse(wrapped, z=1)",
    "set name": "refuse(told.__set_name__, None, 'x'); refuse(told.__set_name__, 1)",
    "no name": "refuse(Wrapper(partial).__reduce__)",
    "dict": "refuse(setattr, Wrapper(add), '__dict__', 5)",
    "update": "refuse(update_wrapper); refuse(update_wrapper, 5, add)",
    "update names": "refuse(update_wrapper, bare, add, 5); "
    "refuse(update_wrapper, bare, add, updated=['nothing'])",
    "wraps": "refuse(wraps); refuse(wraps, add, x=1); refuse(wraps(add)); refuse(wraps(add), 5)",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


@covers(
    *["Wrapper", "Wrapper.__call__", "Wrapper.__get__", "Wrapper.__repr__", "Wrapper.__copy__"],
    *["Wrapper.__deepcopy__", "Wrapper.__reduce__", "Wrapper.__set_name__"],
    *["Wrapper.__getattribute__", "Wrapper.__setattr__", "Wrapper.__delattr__"],
    *["Wrapper.__class_getitem__", "update_wrapper", "wraps"],
)
@covers(
    *["Wrapper", "Wrapper.__call__", "Wrapper.__reduce__", "Wrapper.__set_name__"],
    *["Wrapper.__getattribute__", "update_wrapper", "wraps"],
    error=True,
)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    code, rounds = ready(CASES[case], SETUP), 20 if case == "chain" else 300
    for _ in range(2 * rounds):  # caches of the interpreter fill slowly
        code()
    no_leak(code, rounds=rounds)


@pytest.mark.parametrize("case", CASES)
def test_every_allocation_fails_once(case):
    walk_oom(CASES[case].replace("range(300)", "range(20)"), setup=SETUP)


def test_in_subinterpreters():
    tests = [f"def case_{i}():\n" + "\n".join(f"    {line}" for line in code.split("\n"))
             for i, code in enumerate(CASES.values())]  # fmt: skip
    calls = "\n".join(f"case_{i}()" for i in range(len(tests)))
    in_subinterpreter(SETUP + "\n".join(tests) + "\n" + calls)


@pytest.mark.parametrize("case", ["make", "call", "method", "dict", "update"])
def test_in_threads(case):
    def work():
        code = ready(SUCCESSES[case], SETUP)
        for _ in range(300):
            code()

    run_threads(work, 4)


def test_threads_on_one_object(impl):
    wrapped = impl.Wrapper(lambda x: x)

    def work():
        for i in range(500):
            wrapped.x = i
            assert wrapped(i) == i
            vars(wrapped)["y"] = i
            assert isinstance(wrapped.x, int)

    run_threads(work, 4)


def test_what_lives_and_dies_leaves_nothing(impl):
    def use():
        def func(): ...

        func.me = impl.Wrapper(func)
        func.me.me = func.me
        func.me()
        gc.collect(0)

    no_leak(use, rounds=100)


def test_classes_come_and_go(native):
    def use():
        class Sub(native.Wrapper):
            def __call__(self, *args):
                return self

        class Thing:
            method = Sub(len)

        Thing.method()
        Thing().method()

    no_leak(use, rounds=50)
