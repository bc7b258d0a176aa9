"""View: nothing leaks, no failed allocation does harm, and what Python code does in between."""

from __future__ import annotations

import codecs
import contextlib
import gc
import os
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import array, gc, operator, weakref
from ferrule._wire import View, holders, parse_packet_zero_copy, release_all, track_sites

DATA = bytes(range(256)) * 5

class Memory(bytearray):
    pass

def refuse(func, *args, **kwargs):
    try:
        func(*args, **kwargs)
    except (TypeError, ValueError, LookupError, BufferError):
        return
    raise AssertionError("no error")

memory = bytearray(range(24))
plain, gone = View(memory), View(b"abc")
cube = plain.cast("H", (2, 3, 2))
busy = View(b"busy")
user = memoryview(busy)
text = View("zürich".encode())
gone.release()
"""

SUCCESSES = {
    "bytes": "View(DATA); View(DATA, 1, -1)",
    "buffer": "View(memory); View(memory, 2); View(memoryview(DATA)[3:]); View(cube)",
    "tracked": "v = View(Memory(b'abc')); w = v[1:]; w[::2]",
    "cycle": "m = Memory(b'abc'); m.views = View(m), View(m)[1:]",
    "slices": "plain[2:5]; plain[::2]; plain[...]; plain[::-1]",
    "items": "plain[3], plain[-1], list(plain), 5 in plain, iter(cube)",
    "parts": "cube[1]; cube[:, 1]; cube[0, 1, 1]; cube[..., ::2].tolist()",
    "assign": "plain[0] = 1; plain[1:3] = b'ab'; cube[:, 0] = cube[:, 1]; cube[0, 0, 0] = 5",
    "cast": "plain.cast('I'); plain.cast('H', (3, 4)); plain.cast('B')",
    "copies": "plain.tobytes(), bytes(cube[:, 1]), plain.tolist(), plain.hex(':'), cube.hex()",
    "decode": "text.decode(), text.decode('latin-1', 'replace'), text[::-1].decode('latin-1')",
    "compare": "plain == memory, plain != DATA, cube == plain, plain == cube[0], plain == 5",
    "hash": "hash(View(DATA)), hash(View(DATA)[::2])",
    "attributes": "[getattr(v, n) for v in (plain, cube) for n in 'obj nbytes itemsize format"
    " ndim shape strides readonly contiguous released site'.split()]",
    "text": "repr(plain), repr(cube), repr(gone), len(plain), len(cube)",
    "readonly": "plain.toreadonly()[1:], cube.toreadonly()",
    "export": "memoryview(plain[1:]), memoryview(cube), memoryview(cube[:, 1])",
    "release": "v = View(bytearray(5)); v.release(); v.release(); v.released",
    "with": "\nwith View(DATA) as v:\n    v[1:]",
    "weak": "r = weakref.ref(View(DATA), lambda r: holders(DATA))",
    "holders": "v = View(DATA), View(memory); holders(v[1]), holders(memoryview(DATA))",
    "release all": "m = bytearray(5); v = View(m), View(m)[1:]; release_all(m)",
    "sites": "track_sites(True); v = View(DATA); w = v[1:]; repr(w.site); track_sites(False)",
    "many": "v = [View(DATA) for _ in range(700)]; del v[::2]; w = [View(DATA) for _ in range(99)]",
    "packet": "parse_packet_zero_copy(DATA); parse_packet_zero_copy(memory)",
    "strict packet": "parse_packet_zero_copy(bytearray(1028), strict=True)",
}
ERRORS = {
    "no buffer": "refuse(View, 5); refuse(View, 5, 1); refuse(View); refuse(View, b'', 'a')",
    "strided": "refuse(View, memoryview(DATA)[::2], 1); refuse(View, plain[::2], 1)",
    "released": "refuse(View, gone); refuse(len, gone); refuse(hash, gone); refuse(iter, gone)",
    "released use": "refuse(gone.decode); refuse(gone.hex); refuse(gone.tolist);"
    " refuse(gone.tobytes); refuse(gone.cast, 'B'); refuse(gone.toreadonly);"
    " refuse(gone.__enter__); refuse(operator.eq, gone, b''); refuse(bytes, gone)",
    "keys": "refuse(operator.getitem, plain, 99); refuse(operator.getitem, cube, (1, 2, 3, 4));"
    " refuse(operator.getitem, plain, 'a'); refuse(operator.getitem, cube, (..., ...))",
    "assign": "refuse(operator.setitem, plain, 0, 256); refuse(operator.setitem, plain, 0, 'a');"
    " refuse(operator.setitem, plain, slice(2), b'abc'); refuse(operator.delitem, plain, 0);"
    " refuse(operator.setitem, View(b'a'), 0, 1); refuse(operator.setitem, cube, 0, 5)",
    "cast": "refuse(plain.cast, 5); refuse(plain.cast, '<I'); refuse(plain.cast, 'B', (5, 5));"
    " refuse(plain.cast, 'B', 5); refuse(plain[::2].cast, 'B'); refuse(plain.cast, 'B', (-1,))",
    "decode": "refuse(text[:2].decode); refuse(text.decode, 5); refuse(text.decode, 'no such')",
    "hash": "refuse(hash, plain); refuse(hash, cube); refuse(hash, plain.toreadonly())",
    "hex": "refuse(plain.hex, 'ab'); refuse(plain.hex, 1, 2, 3); refuse(plain.tolist, 1)",
    "busy": "refuse(busy.release); refuse(release_all, busy); refuse(busy.__exit__)",
    "holders": "refuse(holders, 5); refuse(release_all, 5); refuse(holders, gone)",
    "order": "refuse(operator.lt, plain, plain)",
    "export": "refuse(memoryview(View(b'ab')).__setitem__, 0, 1); refuse(memoryview, gone)",
    "packet": "refuse(parse_packet_zero_copy, 5); refuse(parse_packet_zero_copy);"
    " refuse(parse_packet_zero_copy, plain[::2])",
}
if sys.version_info >= (3, 12):
    SUCCESSES["buffer methods"] = "m = plain.__buffer__(0); plain.__release_buffer__(m)"
    ERRORS["buffer methods"] = "refuse(gone.__buffer__, 0); refuse(plain.__release_buffer__, 5)"
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


def ready(case: str) -> Any:
    space: dict[str, Any] = {"__name__": "case"}
    exec(SETUP, space)
    code = compile(CASES[case], "case", "exec")
    return lambda: exec(code, space)


METHODS = (
    "__bytes__ __buffer__ __delitem__ __enter__ __eq__ __exit__ __getitem__ __hash__ __iter__"
    " __len__ __release_buffer__ __setitem__ cast decode hex release tobytes tolist toreadonly"
).split()


@covers("View", "holders", "parse_packet_zero_copy", "release_all", "track_sites")
@covers(*(f"View.{name}" for name in METHODS))
@covers("View.__repr__", "View.__ne__", "View.__lt__", "View.__le__", "View.__gt__", "View.__ge__")
@covers("View", "holders", "parse_packet_zero_copy", "release_all", error=True)
@covers(*(f"View.{name}" for name in METHODS), error=True)
@covers("View.__ne__", "View.__lt__", "View.__le__", "View.__gt__", "View.__ge__", error=True)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    call = ready(case)
    for _ in range(300):  # caches of the interpreter and the free list fill slowly
        call()
    no_leak(call, rounds=100)


@covers("track_sites", error=True)
def test_no_leak_of_a_truth_that_fails():
    space: dict[str, Any] = {}
    code = """
class Neither:
    def __bool__(self):
        raise ValueError("neither")
"""
    exec(SETUP + code, space)
    no_leak(lambda: space["refuse"](space["track_sites"], space["Neither"]()), rounds=100)


# CPython does not survive a weak reference's callback without memory, whatever it refers to
@pytest.mark.parametrize("case", [case for case in CASES if case != "weak"])
def test_every_allocation_fails_once(case):
    walk_oom(CASES[case], setup=SETUP)


def test_in_subinterpreters():
    in_subinterpreter(SETUP + "\n".join(CASES.values()))


@pytest.mark.parametrize("case", [case for case in SUCCESSES if case not in ("assign", "sites")])
def test_in_threads(case):
    call = ready(case)
    run_threads(lambda: [call() for _ in range(50)], 4)


def test_threads_share_a_view(native):
    memory = bytearray(1 << 12)
    view = native.View(memory)

    def work() -> None:
        kept = []
        for i in range(300):
            part = view[i : i + 64]
            kept.append(part[::2])
            assert len(native.holders(memory)) > 0
            if i % 7 == 0:
                kept.clear()
            part.release()
            native.parse_packet_zero_copy(view)

    run_threads(work, 6)
    assert native.release_all(memory) >= 1
    assert native.holders(memory) == []


def test_released_by_another_thread(native):
    for _ in range(20):
        memory = bytearray(4096)
        view = native.View(memory)
        done = threading.Event()

        def read(view: Any = view, done: threading.Event = done) -> None:
            try:
                while not done.is_set():
                    view.tolist(), view.hex(), view[5], view[3:9].decode()  # noqa: B018
            except ValueError as error:
                assert str(error) == "View has been released"

        thread = threading.Thread(target=read)
        thread.start()
        while True:
            try:
                view.release()
                break
            except BufferError:
                pass
        done.set()
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_after_fork(native):
    memory = bytearray(b"abcdef")
    view = native.View(memory)
    child = os.fork()
    if child == 0:
        try:
            ok = (
                view == b"abcdef"
                and len(native.holders(memory)) == 1
                and native.release_all(memory) == 1
                and native.View(memory)[2:] == b"cdef"
            )
            os._exit(0 if ok else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert not view.released


# ---- Python code in between


class Index:
    """An index that does something first."""

    def __init__(self, value: int, action: Any) -> None:
        self.value, self.action = value, action

    def __index__(self) -> int:
        self.action()
        return self.value


@pytest.mark.parametrize("shaped", [False, True])
def test_an_index_that_releases(native, shaped):
    def attempt(use: Any) -> None:
        memory = bytearray(range(24))
        view = native.View(memory).cast("H", (3, 4)) if shaped else native.View(memory)
        seen = []

        def action() -> None:
            try:
                view.release()
                memory.clear()
            except BufferError as error:
                seen.append(error)

        with contextlib.suppress(ValueError, TypeError):
            use(view, Index(1, action))
        assert seen or view.released or shaped

    attempt(lambda view, index: view[index])
    attempt(lambda view, index: view[index:])
    attempt(lambda view, index: view[::index])
    attempt(lambda view, index: view[index, ...])
    attempt(lambda view, index: view.__setitem__(0, index))
    attempt(lambda view, index: view.__setitem__((0, 0)[: view.ndim], index))
    attempt(lambda view, index: view.__setitem__(slice(index), b"a"))


def test_bounds_that_change_the_exporter(native):
    memory = bytearray(range(100))
    view = native.View(memory, Index(50, memory.clear), Index(90, lambda: memory.extend(b"abc")))
    assert len(view) == 0 and view.tobytes() == b""


def test_a_codec_that_releases(native):
    view = native.View(bytearray(b"a\xffb"))
    seen = []

    def handle(error: UnicodeError) -> tuple[str, int]:
        try:
            view.release()
        except BufferError as refused:
            seen.append(str(refused))
        return "?", error.end  # type: ignore[attr-defined]

    codecs.register_error("wire-view-test", handle)
    assert view.decode("ascii", "wire-view-test") == "a?b"
    assert seen == ["View.release(): 1 buffer of it is still in use"]
    view.release()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 688")
def test_an_exporter_whose_release_touches_views(native):
    found: list[Any] = []

    class Exporter:
        def __init__(self) -> None:
            self.memory = bytearray(b"abcdef")
            self.busy = False

        def __buffer__(self, flags: int) -> memoryview:
            return memoryview(self.memory)

        def __release_buffer__(self, buffer: memoryview) -> None:
            buffer.release()
            if not self.busy:
                self.busy = True
                found.append(len(native.holders(self)))
                found.append(native.release_all(self))
                native.View(self)[1:].release()
                self.busy = False

    exporter = Exporter()
    views = [native.View(exporter), native.View(exporter), native.View(exporter)]
    assert views[0].obj is exporter and views[0] == b"abcdef"
    views.pop()
    assert found[:1] == [2]
    assert all(view.released for view in views)
    views = [native.View(exporter), native.View(exporter), native.View(exporter)]
    native.release_all(exporter)
    assert native.holders(exporter) == [] and all(view.released for view in views)
    exporter.memory.append(1)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 688")
def test_a_cycle_through_a_class_of_python(native):
    """It is not collected, for CPython would crash: release() ends it."""

    class Exporter:
        def __init__(self, memory: memoryview) -> None:
            self.memory = memory
            self.views = native.View(self), native.View(self)[1:]

        def __buffer__(self, flags: int) -> memoryview:
            return self.memory

    exporter = Exporter(memoryview(bytearray(b"abcdef")))
    gone = weakref.ref(exporter)
    del exporter
    gc.collect()
    assert native.release_all(gone()) == 2
    gc.collect()
    assert gone() is None


def test_a_memoryview_in_a_cycle_with_its_views(native):
    """CPython crashes when its collector clears a memoryview that is exported."""
    for _ in range(20):
        memory = memoryview(bytearray(b"abcdef"))
        ring: list[Any] = [memory, native.View(memory), native.View(memory)[1:]]
        ring.append(native.parse_packet_zero_copy(memory))
        ring.append(ring)
    del memory, ring
    gc.collect()


def test_exporters_that_lie(native):
    testbuffer = pytest.importorskip("_testbuffer")
    odd = testbuffer.ndarray(list(range(12)), shape=[3, 4], format="B", flags=testbuffer.ND_PIL)
    with pytest.raises(BufferError):
        native.View(odd)


def test_at_the_end_of_the_interpreter():
    code = SETUP + (
        "import sys\nsys.keep = View(DATA), View(Memory(b'abc')), View(memory)[1:], cube\n"
        "class Late:\n    def __del__(self, View=View, holders=holders, DATA=DATA):\n"
        "        View(DATA)[1:], holders(DATA), parse_packet_zero_copy and None\n"
        "late = Late(); late.self = late; late.view = View(DATA)\n"
        "sys.late = Late()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "use",
    ["view[1:3]", "View(view)", "view.cast('H')", "view.toreadonly()", "repr(shaped)", "view[::2]"]
    + ["parse_packet_zero_copy(memory)", "view.tolist()", "view.decode()", "view.tobytes()"],
)
def test_a_collection_that_releases(native, use):
    """On Python 3.11 the collector runs inside allocations."""
    code = compile(use, "use", "eval")

    def release(phase: str, info: object) -> None:
        if phase == "start":
            with contextlib.suppress(BufferError):  # the call itself holds the memory
                native.release_all(memory)

    threshold = gc.get_threshold()
    for _ in range(10):
        memory = bytearray(2000)
        view = native.View(memory)
        names = {**vars(native), "view": view, "shaped": view.cast("H"), "memory": memory}
        no_free_views = [native.View(b"x") for _ in range(300)]
        gc.callbacks.append(release)
        gc.set_threshold(1)
        try:
            for _ in range(4):
                with contextlib.suppress(ValueError):
                    eval(code, names)
        finally:
            gc.callbacks.remove(release)
            gc.set_threshold(*threshold)
        del no_free_views


def test_views_through_memoryviews_go_however_many(native):
    memory = bytearray(b"abc")
    view = native.View(memory)
    for _ in range(50_000):
        view = native.View(memoryview(view))
    assert view == b"abc"
    del view
    memory.append(0)
