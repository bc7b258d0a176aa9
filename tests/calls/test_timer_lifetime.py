"""timer: nothing leaks, and no failed allocation does harm."""

from __future__ import annotations

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom
from wrapping import FUNCTIONS, LOGGERS, ready

SETUP = (
    FUNCTIONS
    + LOGGERS
    + """
wrapped = timer(add)
out = timer(add, printer=nothing)
said = timer(add, logger=loud)
off = timer(add, logger=quiet)
own = timer(add, clock=lambda: 1.5)
co = timer(later, printer=nothing)
bad = timer(fail)
"""
)

SUCCESSES = {
    "make": "timer(add); timer()(add); timer(printer=nothing, clock=nothing)(add)",
    "make with a logger": 'timer(add, logger=loud, level="DEBUG"); timer(logger="x", level=5)',
    "first call": "timer(add, printer=nothing)()",
    "call": "wrapped(); own(); out()",
    "logged": "said(); off()",
    "read": "wrapped(); wrapped.count, wrapped.errors, wrapped.last, wrapped.min, wrapped.total",
    "percentile": "wrapped(); wrapped.max, wrapped.mean, wrapped.percentile(50), wrapped.reset()",
    "coroutine": "drive(co(1)); refuse(drive, co(0))",
    "coroutine closed": "c = co(1); guarded(c.send, None); guarded(c.close); guarded(co(1).close)",
    "coroutine dropped": "c = co(1); guarded(c.send, None); del c; gc.collect(0)",
    "cycle": "w = timer(nothing, printer=nothing); w.me = w; del w; gc.collect(0)",
    "level": "loud.enabled = False; said(); loud.enabled = True; said()",
}
ERRORS = {
    "not callable": "refuse(timer, 5); refuse(timer(), None); refuse(timer())",
    "options": "refuse(timer, printer=5); refuse(timer, clock=5); refuse(timer, logger=5)",
    "level": 'refuse(timer, level=1.5); refuse(timer, level="LOUD")',
    "both": "refuse(timer, printer=nothing, level=5); refuse(timer, x=1)",
    "call": "refuse(bad); refuse(wrapped, 1, 2, 3)",
    "clock": "refuse(timer(add, clock=nothing)); refuse(timer(add, clock=fail))",
    "printer": "refuse(timer(add, printer=fail))",
    "percentile": 'refuse(wrapped.percentile, 101); refuse(wrapped.percentile, "a")',
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


@covers("timer", "Timer", "Timer.percentile", "Timer.reset")
@covers("timer", "Timer.percentile", error=True)
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
