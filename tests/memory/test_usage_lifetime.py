"""usage(): leaks, failed allocations, sub-interpreters, threads."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ferrule import _memory
from ferrule.memory import usage
from lifetime import in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import os, subprocess
from ferrule._memory import _usage, _children
from ferrule.memory import usage
"""


def test_no_leak() -> None:
    no_leak(usage, rounds=200)
    no_leak(lambda: _memory._children(1), rounds=200)
    no_leak(lambda: usage(os.getpid(), tree=True), rounds=100)


@pytest.mark.parametrize(
    ("pid", "error"),
    [(0, ValueError), ("1", TypeError), (2**70, ValueError), (2**31 - 1, ProcessLookupError)],
)
def test_errors_do_not_leak(pid: object, error: type[Exception]) -> None:
    no_leak(lambda: usage(pid), raises=error, rounds=200)  # type: ignore[arg-type]
    no_leak(lambda: usage(pid, tree=True), raises=error, rounds=200)  # type: ignore[arg-type]


def test_bad_text_does_not_leak(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    file = tmp_path / "1" / "smaps_rollup"
    file.write_text("Rss: 1 kB\n")
    no_leak(lambda: _memory._usage(1, tmp_path), raises=OSError, rounds=200)
    file.write_text("Rss: 99999999999999999999 kB\n")
    no_leak(lambda: _memory._usage(1, tmp_path), raises=OverflowError, rounds=200)
    no_leak(lambda: _memory._usage(1, 5), raises=TypeError)  # type: ignore[arg-type]
    no_leak(lambda: _memory._children(1, "x" * 5000), raises=ValueError)


def test_files_are_closed() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        usage(tree=True)
        with contextlib.suppress(ProcessLookupError):
            usage(2**31 - 1)
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_descriptors_left(tmp_path: Path) -> None:
    """Without a free descriptor: an error, and all is well afterwards."""
    program = """
import os, resource, sys
from ferrule.memory import usage
usage(tree=True)
limit = max(map(int, os.listdir("/proc/self/fd"))) + 3
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
taken = []
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
for tree in (False, True):
    try:
        usage(tree=tree)
    except OSError as error:
        print(error)
os.close(taken.pop())
try:
    usage()
except OSError as error:
    print(error)
os.close(taken.pop())
usage()
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[Errno 24] usage(): cannot read about this process\n" * 3


# Raising in Python and making a generator both fail in CPython 3.12 and 3.13 themselves when
# memory runs out (SystemError; crash of `sum(x for x in iter([1]))`): what is native is walked.


@pytest.mark.parametrize("code", ["usage()", "usage(os.getpid())", "_usage()", "_children()"])
def test_allocation_failures(code: str) -> None:
    assert walk_oom(code, setup=SETUP) > 0


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("_usage(0)", "ValueError"),
        ("_usage('1')", "TypeError"),
        ("_usage(2**31 - 1)", "ProcessLookupError"),
        ("_usage(1, 5)", "TypeError"),
        ("_usage(1, 'x' * 5000)", "ValueError"),
        ("_children(0)", "ValueError"),
    ],
)
def test_allocation_failures_in_errors(code: str, error: str) -> None:
    assert walk_oom(f"try:\n    {code}\nexcept {error}:\n    pass", setup=SETUP) > 0


def test_many_children_and_no_memory(tmp_path: Path) -> None:
    folder = tmp_path / "1" / "task" / "1"
    folder.mkdir(parents=True)
    (folder / "children").write_text("12345 " * 1000)
    code = f"_children(1, {str(tmp_path)!r})"
    assert walk_oom(code, setup=SETUP) > 500


def test_sub_interpreters() -> None:
    in_subinterpreter("""
        from ferrule._memory import _children, _usage
        from ferrule._memory import _in_main_interpreter
        from ferrule.memory import Snapshot, usage
        assert usage(tree=True).rss > 0
        if not _in_main_interpreter():
            try:
                Snapshot.take()
            except RuntimeError as error:
                assert "main interpreter only" in str(error)
            else:
                raise AssertionError("not refused")
        assert _usage()[3] > 0 and isinstance(_children(), list)
        try:
            _usage(0)
        except ValueError:
            pass
    """)


def test_threads() -> None:
    def work() -> None:
        for _ in range(20):
            assert usage().rss > 0
            assert usage(os.getpid(), tree=True).rss > 0

    run_threads(work, 4)


def test_other_threads_run_meanwhile(tmp_path: Path) -> None:
    """The lock is given up: a reader that waits for its text does not hold the others."""
    (tmp_path / "1").mkdir()
    os.mkfifo(tmp_path / "1" / "smaps_rollup")
    errors: list[BaseException] = []

    def read() -> None:
        try:
            _memory._usage(1, tmp_path)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    with open(tmp_path / "1" / "smaps_rollup", "w") as writer:  # waits for the reader, and runs
        writer.write("Rss: 1 kB\n")
    thread.join(60)
    assert len(errors) == 1 and "has no Pss" in str(errors[0])
