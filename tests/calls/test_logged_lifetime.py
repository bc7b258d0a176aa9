"""logged: nothing leaks, and no failed allocation does harm."""

from __future__ import annotations

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom
from wrapping import FUNCTIONS, LOGGERS, ready

SETUP = (
    FUNCTIONS
    + LOGGERS
    + """
wrapped = logged(add)
out = logged(add, printer=nothing, arguments=True, result=True, errors=True)
said = logged(add, logger=loud, arguments=True, result=True, errors=True)
co = logged(later, printer=nothing, result=True, errors=True)
bad = logged(fail, printer=nothing, errors=True)
"""
)

SUCCESSES = {
    "make": "logged(add); logged()(add); logged(printer=nothing, result=True)(add)",
    "make with a logger": 'logged(add, logger=loud, level="DEBUG"); logged(logger="x", level=5)',
    "call": "wrapped(); wrapped(1, b=2)",
    "printed": 'out(); out(1, b="x"); out(Unprintable())',
    "logged": "said(); said(1, b=2)",
    "errors": "refuse(bad, 1)",
    "coroutine": "drive(co(1)); refuse(drive, co(0))",
    "coroutine closed": "c = co(1); guarded(c.send, None); guarded(c.close); guarded(co(1).close)",
    "coroutine dropped": "c = co(1); guarded(c.send, None); del c; gc.collect(0)",
    "cycle": "w = logged(nothing, printer=nothing); w.me = w; del w; gc.collect(0)",
    "level": "loud.enabled = False; said(); loud.enabled = True; said()",
}
ERRORS = {
    "not callable": "refuse(logged, 5); refuse(logged(), None); refuse(logged())",
    "options": "refuse(logged, printer=5); refuse(logged, logger=5)",
    "flag": "refuse(logged, result=Undecided())",
    "level": 'refuse(logged, level=1.5); refuse(logged, level="LOUD")',
    "both": "refuse(logged, printer=nothing, level=5); refuse(logged, x=1)",
    "printer": "refuse(logged(add, printer=fail)); refuse(logged(fail, printer=fail, errors=True))",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


@covers("logged", "Logged")
@covers("logged", error=True)
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
