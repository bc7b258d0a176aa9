"""ValidatedMeta: nothing leaks, no failed allocation does harm."""

from __future__ import annotations

import gc
import textwrap

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import abc
from ferrule.validation import ValidatedMeta

class Both(ValidatedMeta, abc.ABCMeta):
    pass

def documented():
    "Do something."

def bare():
    pass

def refuse(function, *args):
    try:
        function(*args)
    except TypeError:
        return
    raise AssertionError("not refused")
"""
SUCCESSES = {
    "make": "ValidatedMeta('C', (), {'x': documented, 'y': 5, '_z': bare})",
    "with another": "Both('C', (), {'x': documented})",
}
ERRORS = {
    "no docstring": "refuse(ValidatedMeta, 'C', (), {'x': bare})",
    "arguments": "refuse(ValidatedMeta.__new__, int, 'C', (), {}); refuse(ValidatedMeta, 'C', 5)",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


def ready(code):
    space: dict = {"__name__": "validated_meta_lifetime"}
    exec(compile(SETUP, "<setup>", "exec"), space)
    exec(compile("def run():\n" + textwrap.indent(code, "    "), "<case>", "exec"), space)
    return space["run"]


@covers("ValidatedMeta")
@covers("ValidatedMeta", error=True)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    code = ready(CASES[case])

    def run():
        code()
        gc.collect(1)

    for _ in range(20):
        run()
    no_leak(run, rounds=30)


def test_every_allocation_of_a_class_fails_once():
    try:
        walk_oom("class C(B):\n    x = 5", setup="class B: pass")
    except pytest.fail.Exception:
        pytest.skip("this CPython crashes when a plain class statement finds no memory")
    walk_oom(SUCCESSES["make"], setup=SETUP)


@pytest.mark.parametrize("case", sorted(CASES.keys() - SUCCESSES.keys()))
def test_every_allocation_fails_once(case):
    walk_oom(CASES[case], setup=SETUP)


def test_in_subinterpreters():
    in_subinterpreter("\n".join((SETUP, *CASES.values())))


@pytest.mark.parametrize("case", SUCCESSES)
def test_in_threads(case):
    def work():
        code = ready(SUCCESSES[case])
        for _ in range(20):
            code()

    run_threads(work, 4)
