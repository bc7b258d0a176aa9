"""counted: nothing leaks, and no failed allocation does harm."""

from __future__ import annotations

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom
from wrapping import FUNCTIONS, ready

SETUP = (
    FUNCTIONS
    + """
wrapped, bad, co = counted(add), counted(fail), counted(later)
"""
)

SUCCESSES = {
    "make and call": "counted(add)(); wrapped(1, b=2)",
    "read": "wrapped.count, wrapped.errors, wrapped.active; wrapped.reset()",
    "coroutine": "drive(co(1)); refuse(drive, co(0))",
    "coroutine closed": "c = co(1); guarded(c.send, None); guarded(c.close); guarded(co(1).close)",
    "coroutine dropped": "c = co(1); guarded(c.send, None); del c; gc.collect(0)",
    "cycle": "add.me = counted(add); del add.me; w = counted(nothing); w.me = w; gc.collect(0)",
    "static": "counted(staticmethod(add)); counted(classmethod(add))",
}
ERRORS = {
    "not callable": "refuse(counted, 5); refuse(counted, staticmethod(5)); refuse(counted)",
    "call": "refuse(bad); refuse(wrapped, 1, 2, 3)",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


@covers("counted", "Counted", "Counted.reset")
@covers("counted", error=True)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    code = ready(CASES[case], SETUP)
    for _ in range(3000):  # caches of the interpreter fill slowly
        code()
    no_leak(code, rounds=300)


@pytest.mark.parametrize("case", CASES)
def test_every_allocation_fails_once(case):
    walk_oom(CASES[case], setup=SETUP)


def test_in_subinterpreters():
    tests = [f"def case_{i}():\n    {code}" for i, code in enumerate(CASES.values())]
    calls = "\n".join(f"case_{i}()" for i in range(len(tests)))
    in_subinterpreter(SETUP + "\n".join(tests) + "\n" + calls)


@pytest.mark.parametrize("case", SUCCESSES)
def test_in_threads(case):
    def work():
        code = ready(SUCCESSES[case], SETUP)
        for _ in range(50):
            code()

    run_threads(work, 4)
