"""pcap: leaks, failed allocations, sub-interpreters, threads, cycles, and what user code may do."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import ferrule.wire as wire
from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom
from wire.captures import Section, classic

CLASSIC = classic([(i, i, bytes(i)) for i in range(20)])
MADE = Section()
for i in range(5):
    MADE.interface(i, options=MADE.option(9, b"\x09")).packet(bytes(i), i, i).simple(b"abc")

SETUP = f"""
import mmap
from ferrule.wire import Frame, WireError, pcap

classic, ng = {CLASSIC!r}, {MADE.data!r}
changing = bytearray(classic)

def refuse(data, **options):
    try:
        for frame in pcap(data, **options):
            pass
    except (TypeError, ValueError, BufferError):
        return
    except SystemError as error:
        # a function of Python's that finds no memory to raise what it wants to
        if not str(error).startswith("<"):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

def busy():
    with pcap(changing) as capture, memoryview(next(capture)) as taken:
        try:
            taken.obj.release()
        except BufferError:
            return
    raise AssertionError("not refused")

def mapped():
    memory = mmap.mmap(-1, len(classic))
    memory[:] = classic
    for frame in pcap(memory):
        len(frame)
    del frame
    memory.close()  # nobody holds it

def data_of(frame):
    return frame.data

USES = (len, data_of, memoryview)

def over():
    capture = pcap(changing)
    frame = next(capture)
    capture.release(), frame.release()
    for use, thing in (next, capture), *[(use, frame) for use in USES]:
        try:
            use(thing)
        except ValueError:
            continue
        raise AssertionError("not refused")
"""

SUCCESSES = {
    "classic": "for frame in pcap(classic): len(frame), frame.timestamp, frame.time_ns",
    "pcapng": "for frame in pcap(ng): frame.original_length, frame.link_type, repr(frame)",
    "list": "list(pcap(changing))",
    "views": "[frame.data for frame in pcap(changing)]",
    "buffers": "[bytes(frame) for frame in pcap(classic, max_frame=20)]",
    "released": "with pcap(changing) as c, next(c) as f: c.link_type, c.snaplen; f.release()",
    "left half-way": "next(pcap(ng)); half = pcap(ng); next(half), next(half)",
    "mmap": "mapped()",
}
ERRORS = {
    "no capture": "refuse(b''); refuse(b'GIF89a')",
    "no buffer": "refuse(5); refuse(memoryview(classic)[::2])",
    "options": "refuse(ng, limit=1); refuse(ng, max_frame=0); refuse(ng, max_frame='')",
    "short": "refuse(classic[:-1]); refuse(ng[:-1]); refuse(classic[:20])",
    "long": "refuse(classic, max_frame=15)",
    "wrong": "refuse(ng[:28] + ng[56:])",
    "in use": "busy()",
    "released": "over()",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}
METHODS = ("release", "__enter__", "__exit__")


def ready(case: str) -> Callable[[], object]:
    space: dict[str, Any] = {"__name__": "case"}
    exec(SETUP, space)
    code = compile(CASES[case], "case", "exec")
    return lambda: exec(code, space)


@covers("pcap", "pcap.__iter__", "pcap.__next__", *(f"pcap.{name}" for name in METHODS))
@covers("Frame", "Frame.__len__", "Frame.__repr__", *(f"Frame.{name}" for name in METHODS))
@covers("Frame.__buffer__", "Frame.__release_buffer__")
@covers("pcap", "pcap.__next__", error=True)
@covers("Frame.__len__", "Frame.__buffer__", "Frame.release", "Frame.__exit__", error=True)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case: str) -> None:
    no_leak(ready(case), rounds=300)


@pytest.mark.parametrize("case", CASES)
def test_every_allocation_fails_once(case: str) -> None:
    failed = walk_oom(CASES[case], setup=SETUP)
    assert failed or case == "error: no buffer"


def test_in_subinterpreters() -> None:
    in_subinterpreter(SETUP + "\n".join(CASES.values()))


@pytest.mark.parametrize("case", SUCCESSES)
def test_in_threads(case: str) -> None:
    call = ready(case)
    run_threads(lambda: [call() for _ in range(50)], 4)


def test_one_iterator_in_threads() -> None:
    """Every frame is given once."""
    capture = wire.pcap(classic([(i, 0, b"x") for i in range(4000)]))
    got: list[int] = []
    run_threads(lambda: got.extend(frame.time_ns for frame in capture), 4)
    assert sorted(got) == [i * 10**9 for i in range(4000)]


class Exporter(bytearray):
    """Can be in a cycle, and be seen to die."""

    capture: Any
    frames: Any


@pytest.mark.parametrize("ended", [False, True])
def test_cycles_are_collected(ended: bool) -> None:
    exporter = Exporter(CLASSIC)
    exporter.capture = wire.pcap(exporter)
    exporter.frames = list(exporter.capture) if ended else [next(exporter.capture)]
    dead = weakref.ref(exporter)
    del exporter
    gc.collect()
    assert dead() is None


def test_a_buffer_in_a_cycle_stays_until_it_goes() -> None:
    exporter = Exporter(CLASSIC)
    *_, frame = wire.pcap(exporter)
    exporter.frames = frame, memoryview(frame)
    dead = weakref.ref(exporter)
    del exporter, frame, _
    gc.collect()
    gc.collect()
    assert dead() is None


def test_the_memory_goes_with_the_last_holder() -> None:
    data = bytearray(CLASSIC)
    capture = wire.pcap(data)
    frames = list(capture)  # the iterator holds nothing any more
    frames[3].release()
    with pytest.raises(BufferError):
        data.append(0)
    inside = frames[5].data
    del frames
    with pytest.raises(BufferError):
        data.append(0)
    del inside
    data.append(0)
    del capture


def test_memory_that_changes_cannot_lead_outside() -> None:
    """Lengths are read once; the file is the user's to change meanwhile."""
    data = bytearray(CLASSIC)
    capture = wire.pcap(data)
    next(capture)
    data[24:] = b"\xff" * (len(data) - 24)
    with pytest.raises(wire.WireError, match="at most 262144 bytes, had 4294967295"):
        next(capture)


def test_a_limit_that_lets_go() -> None:
    """User code runs while arguments are read: nothing is held yet."""
    data = bytearray(CLASSIC)

    class Limit:
        def __index__(self) -> int:
            data.clear()
            return 5

    with pytest.raises(wire.WireError, match="a pcap or pcapng capture"):
        wire.pcap(data, max_frame=Limit())


def test_an_iterator_found_while_its_error_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(b"no capture" * 20)
    made, found = wire.WireError.__init__, []

    def search(self: Any, *args: Any, **keywords: Any) -> None:
        found.extend(list(capture) for capture in wire.holders(data))
        made(self, *args, **keywords)

    monkeypatch.setattr(wire.WireError, "__init__", search)
    with pytest.raises(wire.WireError, match="a pcap or pcapng capture"):
        wire.pcap(data)
    assert found == [[]]
