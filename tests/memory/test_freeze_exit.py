"""How a process ends that has frozen: exactly as one that has not, and nothing is lost.

Every case is a program, run without and with `freeze`; what it printed, how it ended and the files
it left must be the same, and the files must be what the case says.
"""

from __future__ import annotations

import gzip
import os
import re
import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from memory.frozen import FERRULE

pytestmark = pytest.mark.processes


#: In front of every program. `note` writes without a file object.
PRELUDE = """
import builtins, os, sys
import ferrule.memory

class Box:
    pass

class Slots:
    __slots__ = ("a",)

def note(name, text, os=os):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, text.encode())
    os.close(fd)

def freeze(mode=sys.argv[1], again=ferrule.memory.freeze):
    if mode == "freeze":
        report = again()
        assert (report.immortal > 0) == (sys.version_info >= (3, 12)), report
    return mode
"""


@dataclass(frozen=True)
class Ending:
    """How a program ended and what it left."""

    code: int
    out: str
    err: str
    files: dict[str, bytes]


def run(folder: Path, code: str, mode: str, *, place: str = "main", flags: str = "") -> Ending:
    """Run `code` in `folder`/`mode` as `__main__` or as a module it imports."""
    folder = folder / mode
    folder.mkdir()
    program = PRELUDE + textwrap.dedent(code)
    home = folder.parent / f"home-{mode}"
    home.mkdir()
    (home / "program.py").write_text(program)
    start = [str(home / "program.py")] if place == "main" else ["-c", "import program"]
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", *flags.split(), *start, mode],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(FERRULE), str(home)]),
            "TMPDIR": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    left = {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"<dir>"
        for path in sorted(folder.rglob("*"))
    }
    noise = re.sub("0x[0-9a-f]+", "0x", done.stderr.replace(str(home), "home"))
    return Ending(done.returncode, done.stdout, noise, left)


def same_ending(folder: Path, code: str, *, place: str = "main", flags: str = "") -> Ending:
    """Run it without and with freeze: how the latter ended.

    Nothing that the plain process kept may be missing; it may itself have lost something, where a
    cycle or a traceback holds a file.
    """
    plain = run(folder, code, "plain", place=place, flags=flags)
    frozen = run(folder, code, "freeze", place=place, flags=flags)
    assert (frozen.code, frozen.out, frozen.err) == (plain.code, plain.out, plain.err)
    for name, content in plain.files.items():
        assert frozen.files[name] == content or not content
    return frozen


IMMORTAL = pytest.mark.skipif(sys.version_info < (3, 12), reason="plain CPython loses this itself")
PLACES = pytest.mark.parametrize("place", ["main", "module"])


def check(
    folder: Path, code: str, place: str, files: dict[str, bytes], *, flags: str = ""
) -> Ending:
    end = same_ending(folder, code, place=place, flags=flags)
    assert (end.code, end.err) == (0, "")
    assert end.files == files
    return end


# ---- files


@PLACES
def test_text_files_are_flushed(tmp_path: Path, place: str) -> None:
    code = """
    f = open("module", "w"); f.write("data")
    box = Box(); box.f = open("instance", "w"); box.f.write("data")
    slots = Slots(); slots.a = open("slots", "w"); slots.a.write("data")
    deep = [{"a": ([Box()],)}]
    deep[0]["a"][0][0].more = {1: [open("deep", "w")]}
    deep[0]["a"][0][0].more[1][0].write("data")
    def closure(f=open("default", "w")):
        f.write("data")
        return f
    closure()
    def make():
        f = open("cell", "w"); f.write("data")
        return lambda: f
    kept = [make()]
    class Class:
        f = open("class", "w")
    Class.f.write("data")
    many = [[open("many", "w")]] * 9
    held = [many[0][0] for i in range(9)]
    many[0][0].write("data")
    bound = [open("bound", "w").write]
    bound[0]("data")
    freeze()
    """
    names = "module instance slots deep default cell class many bound".split()
    check(tmp_path, code, place, dict.fromkeys(names, b"data"))


@PLACES
def test_files_in_a_cycle_with_the_module(tmp_path: Path, place: str) -> None:
    code = """
    def function():
        return f, box
    box = Box()
    box.box = box
    box.f = open("cycle", "wb"); box.f.write(b"data")
    f = open("global", "w"); f.write("data")
    freeze()
    """
    check(tmp_path, code, place, {"cycle": b"data", "global": b"data"})


@PLACES
def test_files_written_after_the_freeze(tmp_path: Path, place: str) -> None:
    code = """
    f = open("before", "w"); box = Box(); box.list = []
    old = [[[open("old", "w")]]]
    freeze()
    f.write("data")
    old[0][0][0].write("data")
    box.list.append([open("after", "w")]); box.list[0][0].write("data")
    new = {"a": Box()}; new["a"].f = open("new", "wb"); new["a"].f.write(b"data"); new["b"] = new
    """
    check(tmp_path, code, place, dict.fromkeys(["before", "old", "after", "new"], b"data"))


@PLACES
def test_compressed_files_are_finished(tmp_path: Path, place: str) -> None:
    code = """
    import bz2, gzip, lzma
    box = [Box()]
    box[0].f = [gzip.open("file.gz", "wb"), bz2.open("file.bz2", "wt"), lzma.open("file.xz", "wb")]
    box[0].f[0].write(b"data" * 10)
    box[0].f[1].write("data")
    box[0].f[2].write(b"data")
    f = gzip.open("text.gz", "wt"); f.write("data")
    freeze()
    """
    end = same_ending_but_time(tmp_path, code, place)
    assert gzip.decompress(end.files["file.gz"]) == b"data" * 10
    assert gzip.decompress(end.files["text.gz"]) == b"data"


def same_ending_but_time(folder: Path, code: str, place: str) -> Ending:
    """A gzip header has the time in bytes 4 to 8."""
    ends = [run(folder, code, mode, place=place) for mode in ("plain", "freeze")]
    for end in ends:
        assert (end.code, end.err) == (0, "")
        for name in end.files:
            if name.endswith(".gz"):
                content = end.files[name]
                end.files[name] = content[:4] + bytes(4) + content[8:]
    assert ends[0] == ends[1]
    return ends[1]


@IMMORTAL
@PLACES
@pytest.mark.parametrize("order", ["raw buffer text", "text buffer raw", "buffer raw text"])
def test_layers_of_a_file_held_one_by_one(tmp_path: Path, place: str, order: str) -> None:
    code = f"""
    import io
    def open_it():
        raw = io.FileIO("file", "w")
        buffer = io.BufferedWriter(raw)
        text = io.TextIOWrapper(buffer)
        return dict(raw=raw, buffer=buffer, text=text)
    layers = open_it()
    raw, buffer, text = layers["raw"], layers["buffer"], layers["text"]
    del layers
    text.write("data")
    freeze()
    box = {{name: [globals().pop(name)] for name in "{order}".split()}}
    del raw, buffer, text
    """
    code = code.replace("    del raw, buffer, text\n", "")
    frozen = run(tmp_path, code, "freeze", place=place)
    assert (frozen.code, frozen.err, frozen.files) == (0, "", {"file": b"data"})


@IMMORTAL
@PLACES
def test_layers_held_in_immortal_lists(tmp_path: Path, place: str) -> None:
    """Raw made first: closed first, the buffer above it could not write any more."""
    code = """
    import io
    raw = [[io.FileIO("file", "w")]]
    buffer = [[io.BufferedWriter(raw[0][0])]]
    text = [[io.TextIOWrapper(buffer[0][0])]]
    text[0][0].write("data")
    freeze()
    """
    frozen = run(tmp_path, code, "freeze", place=place)
    assert (frozen.code, frozen.err, frozen.files) == (0, "", {"file": b"data"})


@PLACES
def test_a_class_that_writes_into_a_file_of_its_own(tmp_path: Path, place: str) -> None:
    code = """
    import io
    class Upper(io.TextIOWrapper):
        def close(self):
            if not self.closed:
                self.write("END")
            super().close()
    class Raw(io.FileIO):
        pass
    box = [[Upper(io.BufferedWriter(Raw("file", "w")))]]
    box[0][0].write("data")
    freeze()
    """
    check(tmp_path, code, place, {"file": b"dataEND"})


# ---- __del__


@PLACES
def test_del_runs_once(tmp_path: Path, place: str) -> None:
    code = """
    class Plain:
        def __init__(self, name): self.name = name
        def __del__(self, note=note): note(self.name, "x")
    class NoGc:
        __slots__ = ()
        def __del__(self, note=note): note(type(self).__name__, "x")
    class NoGc2(NoGc):
        __slots__ = ()
    class NoGc3(NoGc2):
        __slots__ = ()
    class Back:
        kept = []
        def __del__(self, note=note):
            note("back", "x")
            Back.kept.append(self)
    a = Plain("module")
    b = [[Plain("list")]]
    c = Box(); c.c = {1: (Plain("deep"),)}
    d = NoGc()
    e = [NoGc2()]
    f = {1: [(NoGc3(), 1)]}
    g = [[Back()]]
    h = Plain("cycle"); h.h = h
    i = [Plain("often")] * 9
    def function(x=[Plain("default")]): return a, b
    freeze()
    """
    names = "module list deep NoGc NoGc2 NoGc3 back cycle often default".split()
    check(tmp_path, code, place, dict.fromkeys(names, b"x"))


@PLACES
def test_del_finds_the_globals_of_its_module(tmp_path: Path, place: str) -> None:
    code = """
    import json
    class Writer:
        def __del__(self):
            note("written", json.dumps([1]) + helper())
    def helper():
        return "!"
    kept = [[Writer()]]
    freeze()
    """
    check(tmp_path, code, place, {"written": b"[1]!"})


@PLACES
def test_del_that_raises(tmp_path: Path, place: str) -> None:
    code = """
    class Bad:
        def __repr__(self): return "<Bad>"
        def __del__(self): raise ValueError("from __del__")
    class Good:
        def __del__(self, note=note): note("good", "x")
    kept = [[Bad()], [Good()]]
    freeze()
    """
    end = same_ending(tmp_path, code, place=place)
    assert end.code == 0 and end.files == {"good": b"x"}
    assert "ValueError: from __del__" in end.err


@IMMORTAL
@PLACES
def test_del_that_makes_objects_and_files(tmp_path: Path, place: str) -> None:
    code = """
    class Last:
        def __del__(self, note=note): note("last", "x")
    class Maker:
        def __del__(self, open=open, Last=Last):
            self.f = open("made", "w"); self.f.write("data")
            self.last = [Last(), self]
    kept = [[Maker()]]
    freeze()
    """
    check(tmp_path, code, place, {"made": b"data", "last": b"x"})


@PLACES
def test_del_that_freezes_and_collects(tmp_path: Path, place: str) -> None:
    code = """
    import gc
    class Again:
        def __del__(self, note=note, memory=ferrule.memory, gc=gc):
            report = memory.freeze()
            memory.unfreeze()
            gc.collect()
            note("again", "x" if not report.immortal else "made immortal at the very end")
    class Good:
        def __del__(self, note=note): note("good", "x")
    f = [[open("file", "w")]]; f[0][0].write("data")
    kept = [[Again()], [Good()]]
    freeze()
    """
    frozen = run(tmp_path, code, "freeze", place=place)
    assert frozen == Ending(0, "", "", {"file": b"data", "again": b"x", "good": b"x"})


# ---- generators, finalizers, atexit


@PLACES
def test_suspended_generators_reach_their_finally(tmp_path: Path, place: str) -> None:
    code = """
    def generator(name, note=note):
        try:
            yield 1
        finally:
            note(name, "x")
    async def coroutine(note=note):
        try:
            await Waiter()
        finally:
            note("coroutine", "x")
    class Waiter:
        def __await__(self): yield 1
    a = generator("module"); next(a)
    b = [[generator("deep")]]; next(b[0][0])
    c = Box(); c.c = [coroutine()]; c.c[0].send(None)
    never = [[generator("never")]]
    freeze()
    d = [[generator("after")]]; next(d[0][0])
    """
    names = ["module", "deep", "coroutine", "after"]
    check(tmp_path, code, place, dict.fromkeys(names, b"x"))


@PLACES
def test_weakref_finalize(tmp_path: Path, place: str) -> None:
    code = """
    import weakref
    box = [Box(), Box()]
    weakref.finalize(box[0], note, "at-exit", "x")
    weakref.finalize(box[1], note, "never", "x").atexit = False
    gone = Box()
    weakref.finalize(gone, note, "gone", "x")
    freeze()
    del gone
    note("gone", "!")
    """
    check(tmp_path, code, place, {"at-exit": b"x", "gone": b"x!"})


@PLACES
def test_atexit_order(tmp_path: Path, place: str) -> None:
    code = """
    import atexit
    f = [[open("file", "w")]]
    class Late:
        def __del__(self, note=note): note("order", " del")
    kept = [[Late()]]
    atexit.register(f[0][0].write, "first registered")
    atexit.register(note, "order", " 1")
    atexit.register(note, "order", " 2")
    freeze()
    atexit.register(f[0][0].write, "last registered, ")
    atexit.register(note, "order", " 3")
    """
    check(
        tmp_path,
        code,
        place,
        {"file": b"last registered, first registered", "order": b" 3 2 1 del"},
    )


@PLACES
def test_freeze_at_exit(tmp_path: Path, place: str) -> None:
    code = """
    import atexit
    f = [[open("file", "w")]]
    def last():
        freeze()
        f[0][0].write("data")
        f.append([open("more", "w")])
        f[1][0].write("data")
    atexit.register(last)
    """
    check(tmp_path, code, place, {"file": b"data", "more": b"data"})


# ---- the standard library


@PLACES
def test_logging(tmp_path: Path, place: str) -> None:
    code = """
    import logging, logging.handlers
    log = logging.getLogger("app")
    log.addHandler(logging.handlers.MemoryHandler(100, target=logging.FileHandler("memory")))
    log.addHandler(logging.handlers.RotatingFileHandler("rotating", maxBytes=40, backupCount=3))
    log.addHandler(logging.handlers.TimedRotatingFileHandler("timed", delay=True))
    log.addHandler(logging.StreamHandler(sys.stdout))
    own = logging.FileHandler("own"); log.addHandler(own)
    for i in range(3): log.error("message %d before", i)
    freeze()
    for i in range(3): log.error("message %d after", i)
    """
    end = same_ending(tmp_path, code, place=place)
    lines = [f"message {i} {when}" for when in ("before", "after") for i in range(3)]
    text = "".join(f"{line}\n" for line in lines)
    assert (end.code, end.err, end.out) == (0, "", text)
    for name in ("memory", "timed", "own"):
        assert end.files[name].decode() == text


@PLACES
def test_tempfile(tmp_path: Path, place: str) -> None:
    code = """
    import tempfile, warnings
    warnings.simplefilter("ignore", ResourceWarning)
    kept = [[tempfile.NamedTemporaryFile()], {1: tempfile.TemporaryFile()}, Box()]
    kept[2].folder = tempfile.TemporaryDirectory()
    kept[2].spooled = tempfile.SpooledTemporaryFile(max_size=1)
    kept[2].spooled.write(b"data")
    kept[0][0].write(b"data")
    f = tempfile.NamedTemporaryFile(); f.write(b"data")
    folder = tempfile.TemporaryDirectory()
    note(os.path.join(folder.name, "inside"), "x")
    stay = [tempfile.NamedTemporaryFile(delete=False, prefix="stay", dir=".")]
    stay[0].write(b"data")
    os.link(stay[0].name, "link")
    os.unlink(stay[0].name)
    freeze()
    """
    check(tmp_path, code, place, {"link": b"data"})


def test_a_socket_sends_and_closes(tmp_path: Path) -> None:
    """The peer, in the parent of a fork, sees the data and then the end."""
    code = """
    import socket
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        kept = [[theirs], Box()]
        kept[1].f = [theirs.makefile("w")]
        del theirs
        kept[1].f[0].write("data")
        kept.append(kept[1].f)
        freeze()
        sys.exit(3)
    theirs.close()
    got = b"".join(iter(lambda: ours.recv(100), b""))
    print(got, os.waitstatus_to_exitcode(os.wait()[1]))
    ours.close()
    """
    end = check(tmp_path, code, "main", {})
    assert end.out == "b'data' 3\n"


@PLACES
def test_a_socket_held_by_all_kinds(tmp_path: Path, place: str) -> None:
    code = """
    import socket
    pairs = [socket.socketpair() for i in range(3)]
    if os.fork() == 0:
        for ours, theirs in pairs: ours.close()
        freeze()
        for ours, theirs in pairs: theirs.sendall(b"data")
        sys.exit()
    for ours, theirs in pairs: theirs.close()
    for ours, theirs in pairs:
        print(b"".join(iter(lambda: ours.recv(100), b"")))
        ours.close()
    os.wait()
    """
    assert check(tmp_path, code, place, {}).out == "b'data'\n" * 3


@PLACES
def test_pipes_to_subprocesses(tmp_path: Path, place: str) -> None:
    code = """
    import subprocess
    kept = [[subprocess.Popen(["sh", "-c", "cat > copied"], stdin=subprocess.PIPE, text=True)]]
    kept[0][0].stdin.write("data")
    freeze()
    import atexit
    process = kept[0][0]
    def last(process=process):
        process.stdin.close()
        process.wait()
    atexit.register(last)
    """
    check(tmp_path, code, place, {"copied": b"data"})


def test_multiprocessing_pool(tmp_path: Path) -> None:
    code = """
    import multiprocessing
    kept = [[open("file", "w")], list(range(5))]
    def work(i):
        return sum(kept[1]) + i
    kept[0][0].write("data")
    freeze()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(work, range(4)))
        pool.close()
        pool.join()
    """
    assert check(tmp_path, code, "main", {"file": b"data"}).out == "[10, 11, 12, 13]\n"


@PLACES
def test_multiprocessing_queue(tmp_path: Path, place: str) -> None:
    code = """
    import multiprocessing
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    kept = [[queue]]
    def work(n):
        if n == 2: freeze()
        for i in range(n): queue.put(b"x" * 10_000)
    freeze()
    processes = [context.Process(target=work, args=(n,)) for n in (1, 2)]
    for process in processes: process.start()
    print(sum(len(queue.get()) for i in range(3)))
    for process in processes: process.join()
    print([process.exitcode for process in processes])
    """
    assert check(tmp_path, code, place, {}).out == "30000\n[0, 0]\n"


@PLACES
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_sqlite(tmp_path: Path, place: str, before: bool) -> None:
    """Committed is there and the rest is not. The library's own files may stay, where the
    statements of a connection are immortal: the next one to open the base clears up."""
    code = """
    import sqlite3
    kept = [[], Box()]
    def connect():
        kept[0].append(sqlite3.connect("base"))
        kept[1].a = [sqlite3.connect("wal")]
        kept[1].a[0].execute("pragma journal_mode=wal")
        for connection in kept[0][0], kept[1].a[0]:
            connection.execute("create table t (x)")
            connection.execute("insert into t values (1)")
            connection.commit()
            connection.execute("insert into t values (2)")
    """
    calls = ["connect()", "freeze()"] if before else ["freeze()", "connect()"]
    code = textwrap.dedent(code) + "\n".join(calls)
    ends = [run(tmp_path, code, mode, place=place) for mode in ("plain", "freeze")]
    if sys.version_info < (3, 13):  # since then a connection warns that nobody has closed it
        assert [end.err for end in ends] == ["", ""]
    assert [end.code for end in ends] == [0, 0]
    assert before or sorted(ends[0].files) == sorted(ends[1].files) == ["base", "wal"]
    for mode in ("plain", "freeze"):
        for name in ("base", "wal"):
            connection = sqlite3.connect(tmp_path / mode / name)
            assert connection.execute("select x from t").fetchall() == [(1,)]
            connection.close()


# ---- how it ends


@PLACES
@pytest.mark.parametrize(
    "end, code",
    [
        ("sys.exit()", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('text')", 1),
        ("raise ValueError('unhandled')", 1),
        ("raise KeyboardInterrupt", -2),
        ("os._exit(4)", 4),
    ],
)
def test_codes_of_exit(tmp_path: Path, place: str, end: str, code: int) -> None:
    program = f"""
    kept = [[open("file", "w")]]; kept[0][0].write("data")
    freeze()
    def last(kept=kept):
        {end}
    last()
    """
    done = same_ending(tmp_path, program, place=place)
    assert done.code == code
    assert done.files == {"file": b"" if "_exit" in end else b"data"}


@pytest.mark.parametrize(
    "end", ["sys.exit(0)", "sys.exit(3)", "os._exit(4)", "raise ValueError(1)"]
)
def test_forked_children(tmp_path: Path, end: str) -> None:
    """Each flushes what it has buffered itself: as without freeze."""
    code = f"""
    class Del:
        def __del__(self, note=note, os=os, me=os.getpid()):
            note("del-child" if os.getpid() != me else "del-parent", "x")
    kept = [[Del()], [open("file", "a")], Box()]
    freeze()
    for i in range(2):
        if os.fork() == 0:
            kept[1][0].write("child ")
            kept[2].f = [open(f"own{{i}}", "w")]; kept[2].f[0].write("data")
            {end}
        print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
    kept[1][0].write("parent")
    """
    done = same_ending(tmp_path, code)
    quiet = "_exit" in end
    assert done.code == 0
    assert done.files["file"] == (b"parent" if quiet else b"child child parent")
    assert done.files["own0"] == done.files["own1"] == (b"" if quiet else b"data")
    assert done.files["del-parent"] == b"x"
    assert done.files.get("del-child") == (None if quiet else b"xx")


@PLACES
@pytest.mark.parametrize("flags", ["-X dev", "-W error", "-X importtime", "-O"])
def test_flags_of_the_interpreter(tmp_path: Path, place: str, flags: str) -> None:
    code = """
    kept = [[open("file", "w")]]; kept[0][0].write("data")
    freeze()
    """
    done = run(tmp_path, code, "freeze", place=place, flags=flags)
    assert done.code == 0 and done.files == {"file": b"data"}
    assert "Error" not in done.err


@PLACES
def test_standard_streams_replaced(tmp_path: Path, place: str) -> None:
    code = """
    import io
    kept = [[sys.stdout], [sys.stderr]]
    sys.stdout = open("out", "w")
    kept.append([sys.stdout])
    freeze()
    class Printer:
        def __del__(self, print=print): print("from __del__")
    printer = [[Printer()]]
    print("to the file")
    kept[0][0].write("to the old one\\n")
    """
    end = check(tmp_path, code, place, {"out": b"to the file\n"})
    assert end.out == "to the old one\nfrom __del__\n"


@PLACES
def test_standard_streams_wrapped(tmp_path: Path, place: str) -> None:
    code = """
    import io
    class Tee:
        def __init__(self, to): self.to = to
        def write(self, text): return self.to.write(text)
        def flush(self): self.to.flush()
        @property
        def buffer(self): raise ZeroDivisionError
    sys.stdout = Tee(sys.stdout)
    kept = [[sys.stdout]]
    print("hello")
    freeze()
    print("again")
    """
    assert check(tmp_path, code, place, {}).out == "hello\nagain\n"


@IMMORTAL
@PLACES
def test_daemon_threads(tmp_path: Path, place: str) -> None:
    code = """
    import threading, time
    kept = [[open("file", "w")]]; kept[0][0].write("data")
    freeze()
    def forever(sleep=time.sleep):
        while True: sleep(0.001)
    for i in range(3): threading.Thread(target=forever, daemon=True).start()
    """
    check(tmp_path, code, place, {"file": b"data"})


@IMMORTAL
def test_daemon_threads_in_the_middle_of_things(tmp_path: Path) -> None:
    """A file locked by a write that never ends cannot be flushed; the others are."""
    code = """
    import threading, time
    r, w = os.pipe()
    kept = [[open(w, "wb")], [open("file", "w")], [os.fdopen(os.dup(w), "w")]]
    kept[1][0].write("data")
    class Del:
        def __del__(self, note=note): note("del", "x")
    def generator(started):
        started.release()
        while True: yield time.sleep(30)
    kept += [[Del()], [generator(threading.Semaphore(0))]]
    started = [threading.Semaphore(0) for i in range(3)]
    kept[4] = [generator(started[2])]
    freeze()
    def write(file, piece, started):
        started.release()
        while True: file.write(piece)
    for work in (
        lambda: write(kept[0][0], b"x" * 10_000, started[0]),
        lambda: write(kept[2][0], "x" * 10_000, started[1]),
        lambda: next(kept[4][0]),
    ):
        threading.Thread(target=work, daemon=True).start()
    for one in started: one.acquire()
    time.sleep(0.2)
    """
    frozen = run(tmp_path, code, "freeze")
    assert frozen == Ending(0, "", "", {"file": b"data", "del": b"x"})


@IMMORTAL
@PLACES
def test_collector_switched_off(tmp_path: Path, place: str) -> None:
    code = """
    import gc
    gc.disable()
    kept = [[open("file", "w")]]; kept[0][0].write("data")
    def function(): return kept
    class Del:
        def __del__(self, note=note): note("del", "x")
    cycle = Del(); cycle.cycle = cycle
    freeze()
    del cycle
    """
    check(tmp_path, code, place, {"file": b"data", "del": b"x"})


@PLACES
def test_freeze_twice_and_unfreeze(tmp_path: Path, place: str) -> None:
    code = """
    import gc
    kept = [[open("file", "w")]]; kept[0][0].write("data")
    freeze()
    more = [[open("more", "w")]]; more[0][0].write("data")
    freeze()
    ferrule.memory.unfreeze()
    gc.collect()
    last = [[open("last", "w")]]; last[0][0].write("data")
    """
    check(tmp_path, code, place, dict.fromkeys(["file", "more", "last"], b"data"))
