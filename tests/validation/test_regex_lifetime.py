"""Regex: nothing leaks, and no failed allocation does harm."""

from __future__ import annotations

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = r"""
import copy, operator, pickle, re
from ferrule.validation import Regex

def refuse(func, *args, **kwargs):
    try:
        func(*args, **kwargs)
    except (TypeError, ValueError, AttributeError, re.error):
        return
    raise AssertionError("no error")

small, large, left = Regex("^a+$"), Regex(r"(?:a|b)*a(?:a|b){6}$"), Regex("a(?=b)")
words = "|".join(["w%d" % i for i in range(40)]) + "é"
noise = "".join("ab"[i * i % 7 % 2 ^ i * i % 11 % 2 ^ i % 3 % 2] for i in range(3000))
texts = ["", "aaa", "aab" * 20, "é", "中a", "\U0001f600b", "a\n"]
"""

SUCCESSES = {
    "make": r"Regex('[a-z]+@(x|y){2,4}\b'); Regex('b', re.I); Regex('(?=a)')",
    "make large": "Regex(words)",
    "new and ask": "r = Regex('^[^@]+@é*$'); [r.search(t) for t in texts]; r.fullmatch('é@')",
    "ask": "[r.search(t) for r in (small, large, left) for t in texts]",
    "match": "[r.match(t) for r in (small, large, left) for t in texts]",
    "fullmatch": "[r.fullmatch(t) for r in (small, large, left) for t in texts]",
    "new states": "r = Regex('(?:a|b)*a(?:a|b){7}c'); r.search('abbabaabbb' * 9)",
    "without states": "r = Regex('[ab]*a.{30}c'); r.search(noise); r.search(noise + 'é')",
    "value": "hash(small); small == left, small != 1; repr(small), str(small); small.pattern",
    "copies": "copy.copy(small); pickle.loads(pickle.dumps(left))",
    "reduce": "small.__reduce__()",
    "attributes": "small.flags, small.linear, left.pattern",
    "boundary": r"Regex(r'\B').search('')",
}
ERRORS = {
    "pattern": "refuse(Regex, 'a('); refuse(Regex, b'a'); refuse(Regex); refuse(Regex, 'a', 'b')",
    "linear": r"refuse(Regex, '(a)\\1', linear=True); refuse(Regex, 'a{9999}', linear=True)",
    "text": "refuse(small.search, 1); refuse(small.match, b'a'); refuse(left.fullmatch, None)",
    "value": "refuse(operator.lt, small, small); refuse(setattr, small, 'flags', 1)",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


def ready(code):
    space: dict[str, object] = {}
    exec(SETUP, space)
    compiled = compile(code, "case", "exec")
    return lambda: exec(compiled, space)


@covers("Regex", "Regex.search", "Regex.match", "Regex.fullmatch", "Regex.__reduce__")
@covers("Regex.__eq__", "Regex.__ne__", "Regex.__lt__", "Regex.__le__", "Regex.__gt__")
@covers("Regex.__ge__", "Regex.__hash__", "Regex.__repr__", "Regex.__str__")
@covers("Regex", "Regex.search", "Regex.match", "Regex.fullmatch", error=True)
@covers("Regex.__lt__", "Regex.__le__", "Regex.__gt__", "Regex.__ge__", error=True)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    code = ready(CASES[case])
    for _ in range(600):  # re keeps the last 512 patterns
        code()
    no_leak(code, rounds=100)


#: Python's own compiler of patterns and its pickle give other errors without memory.
NOT_WALKED = {"error: pattern", "copies"}


@pytest.mark.parametrize("case", sorted(CASES.keys() - NOT_WALKED))
def test_every_allocation_fails_once(case):
    walk_oom(CASES[case], setup=SETUP)


def test_in_subinterpreters():
    tests = [f"def case_{i}():\n    {code}" for i, code in enumerate(CASES.values())]
    calls = "\n".join(f"case_{i}()" for i in range(len(tests)))
    in_subinterpreter(SETUP + "\n".join(tests) + "\n" + calls)


def test_in_threads():
    """Threads make the states of one automaton together."""
    space: dict[str, object] = {}
    exec(SETUP + "shared = Regex('(?:a|b)*a(?:a|b){9}c', linear=True)", space)
    code = compile("assert not shared.search('abbabaab' * 50); ask()", "case", "exec")
    space["ask"] = ready(CASES["ask"])
    run_threads(lambda: [exec(code, space) for _ in range(30)], 4)
