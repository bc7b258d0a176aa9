"""singleton: leaks, failed allocations, sub-interpreters, threads."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import abc, gc
from ferrule._calls import singleton

class Meta(type):
    def __call__(cls, *args, **kwargs):
        return super().__call__(*args, **kwargs)

class Sealed(type):
    def __setattr__(cls, name, value):
        raise ValueError

class Failing:
    def __init__(self):
        raise ValueError

class Again:
    def __init__(self):
        Again()

def init(self, x=0, *, y=1):
    self.x = x

def local(meta=type, base=object, name="__init__"):
    made = meta("Local", (base,), {name: init})
    try:
        return singleton(made)
    except AttributeError:  # 3.13, where it has no memory to set one
        raise MemoryError from None

def resets():
    local(name="reset")

DB, ABC, Called = local(), local(abc.ABCMeta), local(Meta)
Failing, Again = singleton(Failing), singleton(Again)

def refuse(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError, RuntimeError):
        return
    except SystemError as error:
        # a function of Python's that finds no memory to raise what it wants to
        if not str(error).startswith(("<", "error return without")):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")
"""
SUCCESSES = {
    "call": "DB(1); DB(2, y=3); DB()",
    "make": "DB.reset(); DB(1); DB.reset(); DB(x=1, y=2)",
    "make otherwise": "ABC.reset(); ABC(1, y=2); Called.reset(); Called(1, y=2)",
    "new class": "x = local(); x(1); del x; gc.collect(0)",
    "new classes": "x = local(Meta); x(1); x(2); del x; gc.collect(0)",
    "new metaclass": "M = type('M', (Meta,), {}); x = local(M); x(); x(); del M, x\ngc.collect(0)",
    "derived": "for c in DB, Called: x = type(c)('Sub', (c,), {}); x(1); x(y=2)\n"
    "del c, x; gc.collect(0)",
    "derived and decorated": "for c in DB, Called: x = local(type(c), c); x(1); x(2)\n"
    "del c, x; gc.collect(0)",
}
ERRORS = {
    "decorate": "refuse(singleton, 5); refuse(singleton, int); refuse(singleton, DB)",
    "own reset": "refuse(resets)",
    "sealed": "refuse(local, Sealed)",
    "fails": "refuse(Failing); refuse(Again); DB.reset(); refuse(DB, 1, 2, 3); refuse(DB, z=1)",
    "fails otherwise": "ABC.reset(); refuse(ABC, z=1); Called.reset(); refuse(Called, 1, 2)",
    "reset": "refuse(DB.reset, 1)",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


def ready(code: str) -> Callable[[], object]:
    space: dict[str, object] = {"__name__": "ready"}
    exec(SETUP, space)
    return functools.partial(exec, compile(code, "case", "exec"), space)


@covers("singleton")
@pytest.mark.parametrize("case", SUCCESSES)
def test_success_leaves_nothing_behind(case: str) -> None:
    no_leak(ready(SUCCESSES[case]), rounds=500)


@covers("singleton", error=True)
@pytest.mark.parametrize("case", ERRORS)
def test_errors_leave_nothing_behind(case: str) -> None:
    no_leak(ready(ERRORS[case]), rounds=500)


@pytest.mark.parametrize("case", CASES)
def test_no_memory(case: str) -> None:
    assert walk_oom(CASES[case], setup=SETUP) >= 0


def test_subinterpreters() -> None:
    in_subinterpreter(SETUP + "\n".join(CASES.values()))


def test_threads() -> None:
    run = ready("x = local(); x(1); ABC(1); Called(1); DB(1); refuse(Failing)")

    def work() -> None:
        for _ in range(100):
            run()

    run_threads(work, 4)
