"""above: leaks, failed allocations, sub-interpreters, threads; every callable has its cases."""

from __future__ import annotations

import array
import contextlib
import functools
import sys
import threading
from collections.abc import Callable

import pytest

import ferrule._compute
from lifetime import covers, in_subinterpreter, no_leak, run_threads, uncovered, walk_oom

SETUP = """
from array import array
from ferrule._compute import above

class Odd:
    def __init__(self, truth):
        self.truth = truth
    def __gt__(self, other):
        if self.truth is None:
            raise ValueError
        return self.truth

class Failing:
    def __float__(self):
        raise ValueError
    def __iter__(self):
        raise ValueError

def generate(last=2.0):
    yield from floats
    yield last

floats = [i / 700 for i in range(700)]
ints = list(range(0, 7000, 10))
mixed = [*floats, Odd(True), *ints, 1 << 100, True, Odd([])]
bad = [*floats, 1 << 90, Odd(None), 1.0]
doubles, shorts = array("d", floats), array("h", range(700))
view, raw = memoryview(doubles)[::3], bytearray(range(250))

def refuse(*args, **kwargs):
    try:
        above(*args, **kwargs)
    except (TypeError, ValueError):
        return
    except SystemError as error:
        # a function of Python's that finds no memory to raise what it wants to
        if not str(error).startswith("<"):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")
"""

SUCCESSES = {
    "floats": "above(floats, 0.5)",
    "few": "above([0.1, 0.8, 0.4], 0.5)",
    "mask": "above(floats, 0.5, out='mask')",
    "indices": "above(mixed, 0.5, out='indices')",
    "mixed": "above(mixed, 300)",
    "tuple": "above(tuple(mixed), 1e300, op='gt')",
    "large threshold": "above(ints, 1 << 70, op='lt'); above(floats, -10 ** 400)",
    "generator": "above(generate(), 0.5)",
    "array": "above(doubles, 0.5); above(shorts, 100, op='le', out='indices')",
    "array mask": "above(doubles, 0.5, out='mask')",
    "memoryview": "above(view, 0.5).tolist()",
    "bytes": "above(raw, 100, op='eq', out='indices')",
    "threshold": "above(doubles, True)",
}
ERRORS = {
    "arguments": "refuse(); refuse(floats); refuse(floats, 1, 'gt'); refuse(floats, 1, limit=1)",
    "options": "refuse(floats, 1, op='x'); refuse(floats, 1, op=1); refuse(floats, 1, out='x')",
    "comparison": "refuse(bad, 0.5)",
    "comparison of indices": "refuse(bad, 0.5, out='indices')",
    "comparison of mask": "refuse(bad, 0.5, out='mask')",
    "generator": "refuse(generate('x'), 0.5)",
    "not iterable": "refuse(5, 1); refuse(Failing(), 1)",
    "format": "refuse(memoryview(raw).cast('c'), 1)",
    "dimensions": "refuse(memoryview(raw).cast('B', (25, 10)), 1)",
    "threshold": "refuse(doubles, '1'); refuse(doubles, Failing()); refuse(raw, 1j)",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


def ready(code: str) -> Callable[[], object]:
    space: dict[str, object] = {"__name__": "ready"}
    exec(SETUP, space)
    return functools.partial(exec, compile(code, "case", "exec"), space)


@covers("above")
@pytest.mark.parametrize("case", SUCCESSES)
def test_success_leaves_nothing_behind(case: str) -> None:
    no_leak(ready(SUCCESSES[case]), rounds=100)


@covers("above", error=True)
@pytest.mark.parametrize("case", ERRORS)
def test_errors_leave_nothing_behind(case: str) -> None:
    no_leak(ready(ERRORS[case]), rounds=100)


@pytest.mark.parametrize("case", CASES)
def test_no_memory(case: str) -> None:
    assert walk_oom(CASES[case], setup=SETUP) >= 0


def test_no_memory_shows() -> None:
    assert walk_oom("above(mixed, 0.5)", setup=SETUP) > 2


def test_subinterpreters() -> None:
    in_subinterpreter(SETUP + "\n".join(SUCCESSES.values()) + "\n" + "\n".join(ERRORS.values()))


def test_threads() -> None:
    run = ready("\n".join(CASES.values()))

    def work() -> None:
        for _ in range(20):
            run()

    run_threads(work, 4)


def test_a_list_that_other_threads_change() -> None:
    values: list[float] = [i / 100 for i in range(100)]
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            values.append(1.0 + len(values))
            if len(values) > 2000:
                del values[50:]

    thread = threading.Thread(target=change)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        for _ in range(500):
            assert all(x > 0.5 for x in ferrule._compute.above(values, 0.5))
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)


def test_a_buffer_that_other_threads_write_and_would_resize() -> None:
    """The lock is released: the numbers may change, the memory may not."""
    values = array.array("d", range(100_000))
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            values[:] = array.array("d", range(100_000))
            with contextlib.suppress(BufferError):
                values.append(0.0)
                values.pop()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(50):
            found = ferrule._compute.above(values, 50_000)
            assert len(found) <= 100_001
    finally:
        done.set()
        thread.join()


def test_everything_is_covered() -> None:
    assert uncovered(ferrule._compute) == set()
