"""register, Registry: leaks, failed allocations, sub-interpreters, threads."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
from ferrule._calls import Registry, register

class A: pass

class B: pass

class Odd(str):
    def __eq__(self, other):
        raise ValueError
    def __hash__(self):
        return hash("A")

registry = Registry()
registry(A)

def refuse(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except (TypeError, KeyError, ValueError, AttributeError):
        return
    except SystemError as error:
        # a function of Python's that finds no memory to raise what it wants to
        if not str(error).startswith("<function"):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")
"""
SUCCESSES = {
    "new": "Registry(), repr(registry)",
    "register": "registry(A); registry(B, name='b'); registry(name='b')(B)",
    "the module's": "register(A); register.unregister('A')",
    "mapping": "registry.registry['A'], len(registry.registry), list(registry.registry)",
    "unregister": "registry(B, name='c'); registry.unregister('c')",
    "clear": "one = Registry(); one(A); one.clear()",
    "cycle": "one = Registry(); C = type('C', (), {'one': one}); one(C); del one, C",
}
ERRORS = {
    "new": "refuse(Registry, 1); refuse(Registry, x=1)",
    "register": "refuse(registry, 5); refuse(registry); refuse(registry, A, B)",
    "named": "refuse(registry, A, x=1); refuse(registry, name=5); refuse(registry, A, name=5)",
    "named later": "refuse(registry(name='x'), 5)",
    "taken": "refuse(registry, B, name='A'); refuse(registry(name='A'), B)",
    "comparison": "refuse(registry, B, name=Odd('A'))",
    "unregister": "refuse(registry.unregister, 'nobody'); refuse(registry.unregister, [])",
    "clear": "refuse(registry.clear, 1)",
    "mapping": "refuse(setattr, registry, 'registry', {})",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}
NAMES = (
    *["Registry", "Registry.__call__", "Registry.__repr__", "Registry.unregister"],
    *["Registry.clear"],
)


def ready(code: str) -> Callable[[], object]:
    space: dict[str, object] = {"__name__": "ready"}
    exec(SETUP, space)
    return functools.partial(exec, compile(code, "case", "exec"), space)


@covers(*NAMES)
@pytest.mark.parametrize("case", SUCCESSES)
def test_success_leaves_nothing_behind(case: str) -> None:
    no_leak(ready(SUCCESSES[case]), rounds=200)


@covers(*NAMES, error=True)
@pytest.mark.parametrize("case", ERRORS)
def test_errors_leave_nothing_behind(case: str) -> None:
    no_leak(ready(ERRORS[case]), rounds=200)


@pytest.mark.parametrize("case", CASES)
def test_no_memory(case: str) -> None:
    assert walk_oom(CASES[case], setup=SETUP) >= 0


def test_each_interpreter_has_its_own() -> None:
    in_subinterpreter(
        SETUP + "assert not register.registry\n" + "\n".join(CASES.values()) + "\nregister(A)\n"
        "assert list(register.registry) == ['A']"
    )


def test_threads() -> None:
    run = ready("registry(A); registry(B, name='b'); refuse(registry, B, name='A')")

    def work() -> None:
        for _ in range(200):
            run()

    run_threads(work, 4)
