"""Checksums: leaks, failed allocations, sub-interpreters, threads."""

from __future__ import annotations

import contextlib
import functools
import threading
import zlib
from collections.abc import Callable

import pytest

from ferrule import wire
from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import array
from ferrule.wire import crc32, crc32c, internet_checksum

data = bytes(range(256))
large = bytearray(data * 1000)
words = array.array("I", range(100))

class Number:
    def __init__(self, value):
        self.value = value
    def __index__(self):
        if self.value is None:
            raise LookupError
        return self.value

def refuse(error, *args, **kwargs):
    for function in (crc32, crc32c, internet_checksum):
        try:
            function(*args, **kwargs)
        except error:
            continue
        except SystemError as found:
            # a function of Python's that finds no memory to raise what it wants to
            if not str(found).startswith("<"):
                raise
            raise MemoryError from None
        raise AssertionError("not refused")
"""

SUCCESSES = {
    "bytes": "crc32(data); crc32c(data); internet_checksum(data)",
    "continued": "crc32(data, 5); crc32c(data, value=5); internet_checksum(value=5, data=data)",
    "buffers": "crc32(large); crc32c(words); internet_checksum(memoryview(large)[1:70_000])",
    "index": "crc32(large, Number(7)); crc32c(data, True); internet_checksum(data, Number(7))",
}
ERRORS = {
    "arguments": "refuse(TypeError); refuse(TypeError, data, 1, 2); refuse(TypeError, data, x=1)",
    "no buffer": "refuse(TypeError, 'text'); refuse(TypeError, 5, 5)",
    "strided": "refuse(BufferError, memoryview(large)[::2])",
    "value": "refuse(TypeError, large, '5'); refuse(TypeError, data, None)",
    "range": "refuse(OverflowError, large, -1); refuse(OverflowError, data, 1 << 80)",
    "index": "refuse(LookupError, large, Number(None)); refuse(TypeError, large, Number('5'))",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


def ready(code: str) -> Callable[[], object]:
    space: dict[str, object] = {"__name__": "ready"}
    exec(SETUP, space)
    return functools.partial(exec, compile(code, "case", "exec"), space)


@covers("crc32", "crc32c", "internet_checksum")
@pytest.mark.parametrize("case", SUCCESSES)
def test_success_leaves_nothing_behind(case: str) -> None:
    no_leak(ready(SUCCESSES[case]), rounds=300)


@covers("crc32", "crc32c", "internet_checksum", error=True)
@pytest.mark.parametrize("case", ERRORS)
def test_errors_leave_nothing_behind(case: str) -> None:
    no_leak(ready(ERRORS[case]), rounds=300)


@pytest.mark.parametrize("case", CASES)
def test_no_memory(case: str) -> None:
    assert walk_oom(CASES[case], setup=SETUP) >= 0


def test_no_memory_shows() -> None:
    assert walk_oom("crc32(memoryview(large)[1:], 5)", setup=SETUP) > 1


def test_subinterpreters() -> None:
    in_subinterpreter(SETUP + "\n".join(CASES.values()))


def test_threads() -> None:
    run = ready("\n".join(CASES.values()))

    def work() -> None:
        for _ in range(20):
            run()

    run_threads(work, 4)


def test_the_buffer_is_given_back() -> None:
    """Whatever happens, a bytearray may be resized afterwards."""
    large = bytearray(100_000)
    wire.crc32(large)
    for value in ("5", -1):
        with pytest.raises((TypeError, OverflowError)):
            wire.crc32(large, value)  # type: ignore[arg-type]
    large += b"x"
    assert wire.crc32(large) == zlib.crc32(large)


def test_a_value_that_changes_the_buffer() -> None:
    """Its __index__ runs while the buffer is held: the memory stays where it is."""
    large = bytearray(range(200))

    class Shrinks:
        def __index__(self) -> int:
            with contextlib.suppress(BufferError):
                large.clear()
            large[0] = 77
            return 5

    found = wire.crc32(large, Shrinks())  # type: ignore[arg-type]
    assert found == zlib.crc32(large, 5) and len(large) == 200


def test_a_buffer_that_other_threads_write_and_would_resize() -> None:
    """The lock is released for a large one: the bytes may change, the memory may not."""
    large = bytearray(1_000_000)
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            large[:] = bytes(1_000_000)
            with contextlib.suppress(BufferError):
                large.append(0)
                large.pop()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            assert wire.internet_checksum(large) == 0xFFFF
    finally:
        done.set()
        thread.join()
