"""Email: nothing leaks, and no failed allocation does harm."""

from __future__ import annotations

import pytest

from lifetime import in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import copy, pickle
from typing import Annotated
from ferrule.validation import Email, validate
from ferrule._validation import _email_check

def refuse(func, *args):
    try:
        func(*args)
    except (TypeError, ValueError):
        return
    raise AssertionError("no error")

Address = Annotated[str, Email]
"""

CASES = {
    "ascii": "_email_check('a.b@c.de'); _email_check('a'); _email_check('a@b..c')",
    "international": "assert _email_check('ä@b.co') and not _email_check('ä')",
    "encoded": "_email_check('a@xn--fsqu00a.xn--0zwm56d'); _email_check('a@xn--0.de')",
    "validate": "validate('a@b.co', Address); validate('ä@b.co', Address)",
    "constant": "Email(); repr(Email); hash(Email); copy.deepcopy(Email); Email == 1",
    "error: type": "refuse(_email_check, 1); refuse(Email, 1)",
    "error: refused": "refuse(validate, 'a', Address); refuse(validate, 'ä@', Address)",
}


def ready(code):
    space: dict[str, object] = {}
    exec(SETUP, space)
    compiled = compile(code, "case", "exec")
    return lambda: exec(compiled, space)


@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    code = ready(CASES[case])
    for _ in range(500):  # caches of the interpreter fill slowly
        code()
    no_leak(code, rounds=200)


#: Python's own codec gives other errors without memory.
NOT_WALKED = {"encoded"}


@pytest.mark.parametrize("case", sorted(CASES.keys() - NOT_WALKED))
def test_every_allocation_fails_once(case):
    walk_oom(CASES[case], setup=SETUP)


def test_in_subinterpreters():
    tests = [f"def case_{i}():\n    {code}" for i, code in enumerate(CASES.values())]
    calls = "\n".join(f"case_{i}()" for i in range(len(tests)))
    in_subinterpreter(SETUP + "\n".join(tests) + "\n" + calls)


def test_in_threads():
    def work():
        for code in map(ready, CASES.values()):
            for _ in range(20):
                code()

    run_threads(work, 4)
