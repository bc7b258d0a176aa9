"""usage(): one process and trees, the kernel's text in all its forms, processes that end."""

from __future__ import annotations

import errno
import gc
import inspect
import mmap
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ferrule import _memory
from ferrule.memory import _usage

MIB = 1 << 20

ROLLUP = """\
55dac0c2c000-7ffc7f2c6000 ---p 00000000 00:00 0                          [rollup]
Rss:                1768 kB
Pss:                 237 kB
Pss_Dirty:           112 kB
Shared_Clean:       1600 kB
Shared_Dirty:         16 kB
Private_Clean:        40 kB
Private_Dirty:       112 kB
Swap:                  8 kB
SwapPss:               4 kB
"""
WANTED = (152 * 1024, 1616 * 1024, 237 * 1024, 1768 * 1024, 8 * 1024)


# ---------------------------------------------------------------------------------- real processes

#: A process that does what a line on its standard input says, and answers with a line.
CHILD = """
import mmap, os, sys, time
kept = []
def private(size):
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, size, 4096):
        block[at] = 1
    kept.append(block)
def fork():
    number = os.fork()
    if number == 0:
        os.close(0); os.close(1)
        while True:
            time.sleep(100)
    return number
print("ready", flush=True)
for line in sys.stdin:
    print(eval(line), flush=True)
"""


class Child:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self.process.pid
        self.below: list[int] = []
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def do(self, code: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(code + "\n")
        self.process.stdin.flush()
        return self._line()

    def fork(self) -> int:
        self.below.append(int(self.do("fork()")))
        return self.below[-1]

    def end(self) -> None:
        for number in self.below:
            os.kill(number, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def child() -> Iterator[Child]:
    made = Child()
    yield made
    made.end()


def test_a_tuple_of_bytes(impl: ModuleType) -> None:
    found = impl.usage()
    assert found._fields == ("private", "shared", "pss", "rss", "swap")
    assert type(found) is impl.Usage and all(type(size) is int for size in found)
    assert found.private + found.shared == found.rss
    assert 0 < found.private <= found.pss <= found.rss
    assert all(size % 1024 == 0 for size in found)


# What is private or shared also depends on who else runs the same Python: a few MiB may move.


def test_private_memory_is_seen(impl: ModuleType) -> None:
    gc.collect()
    before = impl.usage()
    block = mmap.mmap(-1, 64 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, len(block), mmap.PAGESIZE):
        block[at] = 1
    after = impl.usage()
    block.close()
    for name in ("private", "pss", "rss"):
        assert 50 * MIB < getattr(after, name) - getattr(before, name) < 78 * MIB


def test_of_another_process(impl: ModuleType, child: Child) -> None:
    before = impl.usage(child.pid)
    child.do(f"private({64 * MIB})")
    after = impl.usage(child.pid)
    assert 50 * MIB < after.private - before.private < 78 * MIB
    assert after.rss - before.rss >= 64 * MIB


@pytest.mark.parametrize("tree", [False, True])
def test_both_implementations_agree(native: ModuleType, child: Child, tree: bool) -> None:
    twin = pytest.importorskip("ferrule.pure.memory")
    child.do(f"private({MIB})")
    child.fork()
    for _ in range(200):
        first = tuple(native.usage(child.pid, tree=tree))
        theirs = tuple(twin.usage(child.pid, tree=tree))
        if first == tuple(native.usage(child.pid, tree=tree)):
            assert theirs == first
            return
    pytest.fail("the figures never stood still")


def test_a_number_like_thing_is_a_pid(impl: ModuleType, child: Child) -> None:
    class Number:
        def __index__(self) -> int:
            return child.pid

    assert impl.usage(Number()).rss == impl.usage(child.pid).rss


@pytest.mark.resident
def test_a_tree_counts_shared_pages_once(impl: ModuleType, child: Child) -> None:
    size = 16 * MIB
    child.do(f"private({size})")
    for _ in range(3):
        child.fork()
    alone, tree = impl.usage(child.pid), impl.usage(child.pid, tree=True)
    # the block is shared by four processes now
    assert alone.private < size and alone.shared > size
    assert tree.private < size
    assert size < tree.shared < size * 2
    assert tree.rss > 4 * size
    assert tree.pss == tree.private + tree.shared < size * 2


def test_a_tree_reaches_grandchildren(impl: ModuleType) -> None:
    program = textwrap.dedent("""
        import os, sys, time
        def below(depth):
            if os.fork() == 0:
                block = bytearray(os.urandom(1 << 20)) * 4
                if depth:
                    below(depth - 1)
                else:
                    print("ready", flush=True)
                time.sleep(100)
                os._exit(0)
        below(3)
        sys.stdin.read()
        os.killpg(0, 9)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            # the block of each generation; the last one's is its own, the others are shared
            tree = impl.usage(process.pid, tree=True)
            assert tree.pss - impl.usage(process.pid).pss > 15 * MIB
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_children_of_all_threads(native: ModuleType) -> None:
    program = textwrap.dedent("""
        import os, subprocess, sys, threading
        started = []
        def work():
            started.append(subprocess.Popen(["sleep", "100"]))
            os.write(1, f"{started[-1].pid}\\n".encode())  # whole lines
            stop.wait()
        stop = threading.Event()
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        sys.stdin.read()
        for process in started:
            process.kill()
            process.wait()
        stop.set()
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        wanted = {int(process.stdout.readline()) for _ in range(3)}
        assert set(_memory._children(process.pid)) == wanted
        assert {pid: parent for pid, parent in _usage.family(process.pid)} == {
            process.pid: None,
            **dict.fromkeys(wanted, process.pid),
        }
        process.communicate()


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize("tree", [False, True])
@pytest.mark.parametrize("pid", [0, -1, 2**31, 2**70, -(2**70)])
def test_numbers_that_are_no_pid(impl: ModuleType, pid: int, tree: bool) -> None:
    with pytest.raises(ValueError) as caught:
        impl.usage(pid, tree=tree)
    assert str(caught.value) == f"usage(): pid must be from 1 to 2147483647, got {pid}"


@pytest.mark.parametrize("pid", ["1", 1.0, b"1", object()])
def test_things_that_are_no_pid(impl: ModuleType, pid: object) -> None:
    with pytest.raises(TypeError) as caught:
        impl.usage(pid)
    assert str(caught.value) == f"usage(): pid must be an int or None, got {type(pid).__name__}"


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.parametrize("tree", [False, True])
def test_no_such_process(impl: ModuleType, tree: bool) -> None:
    pid = gone()
    with pytest.raises(ProcessLookupError) as caught:
        impl.usage(pid, tree=tree)
    assert caught.value.errno == errno.ESRCH
    assert str(caught.value) == (
        f"[Errno 3] usage(): process {pid} does not exist, has ended, or has no memory of its own"
    )


@pytest.mark.parametrize("tree", [False, True])
def test_a_zombie_has_no_memory(impl: ModuleType, tree: bool) -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        with pytest.raises(ProcessLookupError):
            impl.usage(process.pid, tree=tree)
    finally:
        process.wait()


def test_a_zombie_is_left_out_of_a_tree(impl: ModuleType, child: Child) -> None:
    alone = impl.usage(child.pid)
    number = child.fork()
    os.kill(number, signal.SIGKILL)
    child.do(f"os.waitid(os.P_PID, {number}, os.WEXITED | os.WNOWAIT)")
    tree = impl.usage(child.pid, tree=True)
    assert tree.rss < alone.rss * 1.5
    child.do(f"os.waitpid({number}, 0)")
    child.below.clear()


def test_not_permitted(impl: ModuleType) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    program = textwrap.dedent(f"""
        import os, sys
        sys.path[:] = {sys.path!r}
        from {impl.__name__} import usage
        usage()
        os.setuid(65534)
        for tree in (False, True):
            try:
                usage({os.getpid()}, tree=tree)
            except PermissionError as error:
                print(error)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    text = f"[Errno 13] usage(): not permitted to read the memory of process {os.getpid()}\n"
    assert done.stdout == text * 2


def test_processes_that_come_and_go(impl: ModuleType) -> None:
    """A tree is read again and again while children start and end."""
    program = textwrap.dedent("""
        import os, time
        print("ready", flush=True)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if (number := os.fork()) == 0:
                os._exit(0)
            os.waitpid(number, 0)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(100):
            assert impl.usage(process.pid, tree=True).rss > 0
        process.kill()


def test_a_root_that_ends(impl: ModuleType) -> None:
    """Figures, or ProcessLookupError: nothing in between."""
    outcomes = set()
    for delay in range(20):
        with subprocess.Popen([sys.executable, "-S", "-c", "pass"]) as process:
            for _ in range(2_000):
                try:
                    found = impl.usage(process.pid, tree=delay % 2 == 0)
                except ProcessLookupError:
                    outcomes.add("ended")
                    break
                assert found.rss >= found.private >= 0 and found.pss > 0
                outcomes.add("figures")
            process.kill()
    assert "figures" in outcomes


# ------------------------------------------------------------- the kernel's text, from a folder


@pytest.fixture
def proc(tmp_path: Path) -> Callable[..., str]:
    """Make a folder like /proc: `proc({12: text of smaps_rollup, ...})`."""

    def make(rollups: dict[int | str, str | bytes], name: str = "smaps_rollup") -> str:
        for pid, text in rollups.items():
            folder = tmp_path / str(pid)
            folder.mkdir(exist_ok=True)
            (folder / "stat").write_bytes(b"")
            data = text if isinstance(text, bytes) else text.encode()
            (folder / name).write_bytes(data)
        return str(tmp_path)

    return make


Proc = Callable[..., str]


def test_fields(proc: Proc) -> None:
    assert _memory._usage(12, proc({12: ROLLUP})) == WANTED
    assert _memory._usage(proc=os.fsencode(proc({"self": ROLLUP}))) == WANTED


@pytest.mark.parametrize(
    "more",
    [
        "Unknown:  12 kB\n",
        "Private_Dirty_Too: 12 kB\n",
        "Rss 12 kB\n",
        "Rss:\n",
        "Rss: kB\n",
        "Rss: -12 kB\n",
        "Rss: 12\n",
        "Rss: 12 MB\n",
        "Rss: 12 kBs\n",
        "Rss: 1 2 kB\n",
        "rss: 12 kB\n",
        " Rss: 12 kB\n",
        "Rss: \u0661\u0662 kB\n",
        "\n\n\n",
        "Swap: 0 kB",
        "VmFlags: rd ex mr mw me dw sd\n",
        "7f00-7f01 r--p 00000000 fe:00 1  /tmp/Rss: 12 kB\n",
        "7f00-7f01 r--p 00000000 fe:00 1  /" + "x" * 5000 + "\n",
        "Rss:" + " " * 100 + "12 kB\n",
        "\0Rss: 12 kB\n",
        "Rss: 12 kB\0\n",
        "Rss: 12 kB\r\n",
    ],
)
def test_lines_that_are_not_understood_are_skipped(proc: Proc, more: str) -> None:
    assert _memory._usage(12, proc({12: more + ROLLUP})) == WANTED
    assert _memory._usage(12, proc({12: ROLLUP + more})) == WANTED


def test_blanks_and_repetition(proc: Proc) -> None:
    text = ROLLUP.replace("Rss:                1768 kB", "Rss:\t0001000kB \nRss:768 kB")
    assert _memory._usage(12, proc({12: text})) == WANTED
    assert _memory._usage(12, proc({12: text[:-1]})) == WANTED


@pytest.mark.parametrize("name", "Rss Pss Shared_Clean Private_Dirty".split())
def test_a_missing_field_is_named(proc: Proc, name: str) -> None:
    with pytest.raises(OSError) as caught:
        _memory._usage(12, proc({12: ROLLUP.replace(f"{name}:", "Other:")}))
    assert caught.value.errno == errno.ENODATA
    assert str(caught.value).endswith(
        f"usage(): what the kernel says about the memory has no {name}"
    )


def test_a_kernel_without_swap(proc: Proc) -> None:
    text = ROLLUP.partition("Swap:")[0]
    assert _memory._usage(12, proc({12: text})) == (*WANTED[:4], 0)


@pytest.mark.parametrize(
    "line", ["Rss: 18446744073709551615 kB", "Rss: 99999999999999999999 kB", f"Rss: {2**54} kB"]
)
def test_sums_beyond_64_bits(proc: Proc, line: str) -> None:
    with pytest.raises(OverflowError, match="beyond 2\\*\\*64 bytes"):
        _memory._usage(12, proc({12: f"{ROLLUP}{line}\n"}))


def test_sums_of_two_fields_beyond_64_bits(proc: Proc) -> None:
    text = ROLLUP.replace("Private_Clean:        40", f"Private_Clean: {2**54 - 1}")
    with pytest.raises(OverflowError):
        _memory._usage(12, proc({12: text}))
    text = ROLLUP.replace("Shared_Clean:       1600", f"Shared_Clean: {2**54 - 1}")
    with pytest.raises(OverflowError):
        _memory._usage(12, proc({12: text}))


def test_largest_figures(proc: Proc) -> None:
    text = ROLLUP.replace("Rss:                1768", f"Rss: {2**54 - 1}")
    assert _memory._usage(12, proc({12: text}))[3] == 2**64 - 1024


def test_sums_over_smaps_where_there_is_no_rollup(proc: Proc) -> None:
    count = 300  # more than one piece, of which lines cross the edges
    found = _memory._usage(12, proc({12: ROLLUP * count}, "smaps"))
    assert found == tuple(size * count for size in WANTED)


def test_smaps_of_this_process_agrees(proc: Proc) -> None:
    text = Path("/proc/self/smaps").read_text()
    found = _memory._usage(12, proc({12: text}, "smaps"))
    rss = sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Rss:"))
    assert found[3] == rss * 1024
    assert found[0] + found[1] == found[3]


def test_empty_means_ended(proc: Proc) -> None:
    for name in ("smaps_rollup", "smaps"):
        with pytest.raises(ProcessLookupError):
            _memory._usage(12, proc({12: ""}, name))


def test_a_kernel_without_both(proc: Proc) -> None:
    with pytest.raises(OSError) as caught:
        _memory._usage(12, proc({12: ""}, "other"))
    assert caught.value.errno == errno.ENOSYS
    assert "neither smaps_rollup nor smaps for process 12" in str(caught.value)


def test_no_proc() -> None:
    with pytest.raises(ProcessLookupError, match="this process"):
        _memory._usage(proc="/nowhere")


def test_more_text_than_expected(proc: Proc) -> None:
    with pytest.raises(OSError) as caught:
        _memory._usage(12, proc({12: ROLLUP * 200}))
    assert caught.value.errno == errno.EFBIG
    assert "more text than expected about process 12" in str(caught.value)


def test_a_file_that_cannot_be_read(proc: Proc, tmp_path: Path) -> None:
    root = proc({12: ROLLUP}, "other")
    (tmp_path / "12" / "smaps_rollup").mkdir()
    with pytest.raises(IsADirectoryError, match=r"usage\(\): cannot read about process 12"):
        _memory._usage(12, root)


def test_native_arguments() -> None:
    assert str(inspect.signature(_memory._usage)) == "(pid=None, proc='/proc')"
    assert str(inspect.signature(_memory._children)) == "(pid=None, proc='/proc')"
    with pytest.raises(TypeError, match="at most 2 positional"):
        _memory._usage(1, "/proc", 3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'x'"):
        _memory._children(x=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        _memory._usage(1, 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="proc is too long"):
        _memory._usage(1, "x" * 5000)
    with pytest.raises(ValueError, match="null byte"):
        _memory._children(1, "a\0b")


# ----------------------------------------------------------------------------- trees, from a folder


def add_children(proc: str, lists: dict[int, dict[int, str]]) -> None:
    """Lists of children: {pid: {thread: text}}."""
    for pid, threads in lists.items():
        for thread, text in threads.items():
            folder = Path(proc, str(pid), "task", str(thread))
            folder.mkdir(parents=True)
            (folder / "children").write_text(text)
    marker = Path(proc, "thread-self")
    marker.mkdir()
    (marker / "children").write_text("")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", []),
        ("5 ", [5]),
        ("5", [5]),
        ("5 6 7", [5, 6, 7]),
        (" \t5\n\n6,7x8\0", [5, 6, 7, 8]),
        ("0 2147483647 2147483648 99999999999999999999999 9", [2147483647, 9]),
        ("-5", [5]),
        ("12345 " * 5000, [12345] * 5000),
    ],
)
def test_lists_of_children(proc: Proc, text: str, wanted: list[int]) -> None:
    root = proc({12: ROLLUP})
    add_children(root, {12: {12: text}})
    assert _memory._children(12, root) == wanted


def test_children_of_a_process_that_ended(proc: Proc) -> None:
    assert _memory._children(12, proc({})) == []
    root = proc({12: ROLLUP})
    Path(root, "12", "task", "13").mkdir(parents=True)  # a thread that ended
    Path(root, "12", "task", "other").mkdir()
    assert _memory._children(12, root) == []


def test_children_that_cannot_be_read(proc: Proc) -> None:
    root = proc({12: ROLLUP})
    Path(root, "12", "task", "12", "children").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match="process 12"):
        _memory._children(12, root)


def test_a_tree_with_gaps_and_circles(proc: Proc) -> None:
    root = proc({12: ROLLUP, 13: ROLLUP, 14: "", 15: ROLLUP})
    # 14 has ended, 16 was never there, and 12 turns up below itself
    add_children(root, {12: {12: "13 14 ", 20: "13 16 "}, 13: {13: "15 12 "}})
    found = list(_usage.tree_usage(12, root))
    assert [(pid, parent) for pid, parent, _ in found] == [(12, None), (13, 12), (15, 13)]
    assert {tuple(used) for _, _, used in found} == {WANTED}


def test_a_tree_without_lists_of_children(proc: Proc) -> None:
    root = proc({12: ROLLUP, 13: ROLLUP, 14: ROLLUP, 15: ROLLUP, 16: ROLLUP})
    parents = {12: 1, 13: 12, 14: 13, 15: 1, 16: 12}
    for pid, parent in parents.items():
        text = f"{pid} (a (nasty) 7 name) S {parent} 0 0"
        Path(root, str(pid), "stat").write_text(text)
    Path(root, "17").mkdir()
    Path(root, "18").mkdir()
    Path(root, "18", "stat").write_text("18 (torn")
    found = [(pid, parent) for pid, parent, _ in _usage.tree_usage(12, root)]
    assert found == [(12, None), (13, 12), (16, 12), (14, 13)]


def test_a_tree_of_this_process_without_lists(proc: Proc) -> None:
    root = proc({12: ROLLUP})
    Path(root, "self").symlink_to("12")
    Path(root, "12", "stat").write_text("12 (a) S 1 0")
    assert [pid for pid, _, _ in _usage.tree_usage(None, root)] == [12]


def test_parents_of_all_processes() -> None:
    assert dict(_usage._parents("/proc"))[os.getpid()] == os.getppid()


def test_total() -> None:
    parts = [_usage.Usage(10, 99, 15, 40, 1), _usage.Usage(20, 99, 30, 60, 2)]
    assert _usage.total(iter(parts)) == _usage.Usage(30, 15, 45, 100, 3)
    assert _usage.total(iter(())) == _usage.Usage(0, 0, 0, 0, 0)


def test_elsewhere_the_room_says_why(impl: ModuleType) -> None:
    program = f"import sys; sys.platform = 'plan9'; import {impl.__name__}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 1
    last = done.stderr.strip().rpartition("\n")[2]
    assert last.startswith("ImportError: ferrule.") and last.endswith("this is plan9")
