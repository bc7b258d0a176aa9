"""unpack_many and index_many: nothing leaks, and no failed allocation does harm."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import enum, struct, zlib
from array import array
from typing import Annotated
from ferrule.pure._wire_layout import Bits, Count, Crc32, SizedBy, WireError
from ferrule.records import Coded, Record, RecordTable, Size, bool8, f64, u8, u16, u32
from ferrule.validation import Bounded
from ferrule.wire import index_many, unpack_many

class Color(enum.Enum):
    RED = 1

class Fixed(Record, endian="big"):
    a: u32
    ok: bool8
    name: Annotated[str, Size(3)]
    low: Annotated[int, Bits(7)]
    flag: Annotated[bool, Bits(1)]
    crc: Annotated[u32, Crc32()]

class Sized(Record, endian="big"):
    n: u16
    text: Annotated[str, SizedBy("n")]
    rest: u8

class Rows(Record, endian="big"):
    name: Annotated[str, Size(2), Coded]
    a: u16

class Held(Record, endian="big"):
    a: u16 = Bounded(0, 100)

class Inner(Record):
    a: u8

class Nested(Record, endian="big"):
    color: Annotated[Color, u8]
    items: Annotated[tuple[Inner, ...], Count(2)]
    a: u16

class Empty(Record):
    a: Annotated[tuple[Inner, ...], Count(0)]

def fixed(i):
    body = struct.pack(">IB3sB", i, i & 1, b"ab", i & 255)
    return body + struct.pack(">I", zlib.crc32(body))

FIXED = b"".join(map(fixed, range(100)))
BAD = bytearray(FIXED)
BAD[13 * 7] ^= 1
SIZED = b"".join(struct.pack(">H", i) + b"x" * i + b"\\1" for i in range(30))
ROWS = b"".join(b"ab" + bytes((0, i)) for i in range(50))
NESTED = b"\\1\\2\\3\\0\\7" * 20
LARGE = FIXED * 60

def refuse(cls, data, *, function=unpack_many, **options):
    try:
        function(cls, data, **options)
    except (TypeError, ValueError, BufferError):
        return
    raise AssertionError("not refused")

unpack_many(Fixed, FIXED), unpack_many(Sized, SIZED), unpack_many(Rows, ROWS)
"""
SUCCESSES = {
    "fixed": "unpack_many(Fixed, FIXED)",
    "large": "assert len(unpack_many(Fixed, LARGE)) == 6000",
    "sized": "unpack_many(Sized, bytearray(SIZED))",
    "by rows": "unpack_many(Rows, ROWS)",
    "checked": "unpack_many(Held, bytes(40))",
    "into a table": "t = RecordTable(Fixed); assert len(unpack_many(Fixed, FIXED, out=t)) == 100",
    "into columns": "unpack_many(Fixed, FIXED, out={'a': array('I', bytes(400)), "
    "'low': bytearray(100)})",
    "columns of nested": "unpack_many(Nested, NESTED, out={'a': array('H', bytes(40)), "
    "'color': bytearray(20)})",
    "skip": "assert len(unpack_many(Fixed, BAD, on_error='skip')) == 99",
    "report": "t, e = unpack_many(Fixed, BAD + b'1', on_error='report'); assert len(e) == 2",
    "report sized": "t, e = unpack_many(Sized, SIZED + b'1', on_error='report'); assert e",
}
INDEXES = {
    "index fixed": "index_many(Fixed, FIXED)",
    "index sized": "index_many(Sized, SIZED)",
    "index nested": "index_many(Nested, NESTED)",
    "index large": "index_many(Fixed, LARGE)",
}
ERRORS = {
    "arguments": "refuse(5, b''); refuse(Fixed, 'x'); refuse(Fixed, b'', on_error='x'); "
    "refuse(Fixed, b'', max_errors=-1); refuse(Fixed, b'', out=5)",
    "bad": "refuse(Fixed, BAD); refuse(Fixed, FIXED + b'1'); refuse(Sized, SIZED + b'1')",
    "too many": "refuse(Fixed, BAD, on_error='report', max_errors=0)",
    "checked value": "refuse(Held, b'\\x01\\x00')",
    "no columns": "refuse(Nested, NESTED)",
    "other table": "refuse(Fixed, FIXED, out=RecordTable(Sized))",
    "columns": "refuse(Fixed, FIXED, out={'x': b''}); refuse(Fixed, FIXED, out={'a': b''}); "
    "refuse(Fixed, FIXED, out={'a': 5}); refuse(Fixed, FIXED, out={'a': bytearray(4)}); "
    "refuse(Sized, SIZED, out={'text': bytearray(4)}); "
    "refuse(Fixed, FIXED, out={'a': array('I', [1])})",
    "no bytes": "refuse(Empty, b'1', out={})",
}
INDEX_ERRORS = {
    "index arguments": "refuse(5, b'', function=index_many); refuse(Fixed, 5, function=index_many)",
    "index broken": "refuse(Fixed, b'1', function=index_many); "
    "refuse(Sized, b'\\1\\0', function=index_many); refuse(Nested, b'1', function=index_many); "
    "refuse(Empty, b'1', function=index_many)",
}
CASES = {**SUCCESSES, **INDEXES, **ERRORS, **INDEX_ERRORS}


def ready(case: str) -> Any:
    space: dict[str, Any] = {"__name__": "case"}
    exec(SETUP, space)
    code = compile(CASES[case], "case", "exec")
    return lambda: exec(code, space)


@covers("unpack_many", "index_many")
@covers("unpack_many", "index_many", error=True)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    call = ready(case)
    for _ in range(50):
        call()
    no_leak(call, rounds=100)


@pytest.mark.parametrize("case", CASES)
def test_every_allocation_fails_once(case):
    walk_oom(CASES[case], setup=SETUP)


def test_in_subinterpreters():
    in_subinterpreter(SETUP + "\n".join(CASES.values()))


@pytest.mark.parametrize("case", [*SUCCESSES, *INDEXES])
def test_in_threads(case):
    call = ready(case)
    run_threads(lambda: [call() for _ in range(20)], 4)


def test_a_buffer_that_changes_while_it_is_read():
    """What is read is one thing or another, and nothing outside is touched."""
    space: dict[str, Any] = {"__name__": "case"}
    exec(SETUP, space)
    unpack_many, WireError = space["unpack_many"], space["WireError"]
    data = bytearray(space["SIZED"] * 300)
    good, done = bytes(data), threading.Event()

    def change() -> None:
        while not done.is_set():
            data[:] = b"\0\0\1" * (len(data) // 3) + bytes(len(data) % 3)
            data[:] = good

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(100):
            with contextlib.suppress(WireError, RuntimeError):
                unpack_many(space["Sized"], data, on_error="skip")
                space["index_many"](space["Sized"], data)
    finally:
        done.set()
        thread.join()


def test_a_buffer_is_held_while_it_is_read():
    """And let go afterwards, whatever came of it."""
    space: dict[str, Any] = {"__name__": "case"}
    exec(SETUP, space)
    cells, data = space["array"]("I", bytes(400)), bytearray(space["FIXED"])
    for options in ({"out": {"a": cells}}, {"out": {"a": cells, "x": cells}}, {"on_error": "x"}):
        with contextlib.suppress(ValueError):
            space["unpack_many"](space["Fixed"], data, **options)
        cells.append(1)
        data.append(1)
        del cells[-1], data[-1]
