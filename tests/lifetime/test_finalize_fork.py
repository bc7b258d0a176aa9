"""Children made by fork: they leave alone what is their parent's, and clean up after themselves.

A program writes a line to a file for each clean-up that runs: its name, and whether it ran in the
process that registered it. The parent's files must be there until the parent removes them.
"""

import collections
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.processes

SETUP = """
import atexit, ctypes, gc, multiprocessing, os, signal, subprocess, sys, threading, time
from {module} import Finalizable, TempFileManager, finalize

LOG, TEMP = sys.argv[1:3]

class A:
    pass

def note(name, pid):
    place = "own" if pid == os.getpid() else "foreign"
    fd = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{{name}} {{place}}\\n".encode())
    os.close(fd)

class Noting(Finalizable):
    def __init__(self, name):
        self.name, self.pid = name, os.getpid()
    def __finalize__(self):
        note(self.name, self.pid)

def register(name):
    "One of each kind, kept alive."
    obj = A()
    return obj, finalize(obj, note, name, os.getpid()), Noting(name + "-base")

# os.fork() of 3.12 refuses at exit
fork_at_exit = ctypes.PyDLL(None).fork if sys.version_info[:2] == (3, 12) else os.fork

def wait(pid, status=0):
    got = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert got == status, got
    assert os.path.exists(TEMP), "a child removed the file of its parent"

temp = TempFileManager(TEMP)
parents = register("parent")
"""

PARENT = {"parent own": 1, "parent-base own": 1}
CHILD = {"child own": 1, "child-base own": 1}


@pytest.fixture
def check(impl, tmp_path):
    """Run a program; the lines it noted, counted. It must end well, and its file must be gone."""

    def run(program, *, status=0, errors=""):
        log, temp = tmp_path / "log", tmp_path / "temp"
        temp.touch()
        script = tmp_path / "program.py"
        script.write_text(SETUP.format(module=impl.__name__) + textwrap.dedent(program))
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-W", "ignore::DeprecationWarning"]
            + [str(script), str(log), str(temp)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert (errors in done.stderr) if errors else done.stderr == ""
        assert temp.exists() == (status != 0)
        return collections.Counter(log.read_text().splitlines() if log.exists() else [])

    return run


ENDS = {
    "exit": ("sys.exit(3)", 3),
    "end of program": ("raise SystemExit", 0),
    "os._exit": ("os._exit(3)", 3),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -9),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", -15),
    "death of the object": ("del parents, temp; gc.collect(); os._exit(0)", 0),
    "death and exit": ("del parents, temp; gc.collect(); sys.exit()", 0),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_child_does_not_run_what_its_parent_registered(check, end):
    statement, status = ENDS[end]
    program = f"""
        pid = os.fork()
        if pid == 0:
            {statement}
        wait(pid, {status})
        """
    assert check(program) == PARENT


def test_a_child_that_ends_by_an_exception(check):
    program = """
        pid = os.fork()
        if pid == 0:
            raise ValueError("in the child")
        wait(pid, 1)
        """
    assert check(program, errors="ValueError: in the child") == PARENT


def test_a_child_runs_its_own(check):
    program = """
        for ending in ("exit", "death"):
            pid = os.fork()
            if pid == 0:
                own = register("child")
                if ending == "death":
                    del own
                    gc.collect()
                    os._exit(0)
                sys.exit(0)
            wait(pid)
        """
    assert check(program) == PARENT | {name: 2 for name in CHILD}


def test_a_child_of_a_parent_without_any(check):
    program = """
        parents[1].detach()
        parents[2].finalize()
        pid = os.fork()
        if pid == 0:
            own = register("child")
            sys.exit(0)
        wait(pid)
        """
    assert check(program) == {"parent-base own": 1} | CHILD


def test_inherit(check):
    program = """
        parents[1].inherit = parents[2].inherit = True
        for ending in ("exit", "death", "os._exit"):
            pid = os.fork()
            if pid == 0:
                if ending == "death":
                    del parents
                if ending != "exit":
                    os._exit(0)
                sys.exit()
            wait(pid)
        """
    assert check(program) == PARENT | {"parent foreign": 2, "parent-base foreign": 2}


def test_inherit_set_in_the_child(check):
    program = """
        pid = os.fork()
        if pid == 0:
            parents[1].inherit = parents[2].inherit = True
            sys.exit()
        wait(pid)
        """
    assert check(program) == PARENT | {"parent foreign": 1, "parent-base foreign": 1}


def test_an_explicit_call_runs(check):
    program = """
        pid = os.fork()
        if pid == 0:
            assert parents[1].alive and parents[2].alive and temp.is_active
            parents[1]()
            parents[2].finalize()
            assert not parents[1].alive and not parents[2].alive
            sys.exit()
        wait(pid)
        """
    assert check(program) == PARENT | {"parent foreign": 1, "parent-base foreign": 1}


def test_a_grandchild(check):
    program = """
        pid = os.fork()
        if pid == 0:
            own = register("child")
            pid = os.fork()
            if pid == 0:
                his = register("grandchild")
                sys.exit()
            wait(pid)
            sys.exit()
        wait(pid)
        """
    expected = PARENT | CHILD | {"grandchild own": 1, "grandchild-base own": 1}
    assert check(program) == expected


def test_siblings(check):
    program = """
        pids = []
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                own = register("child")
                sys.exit()
            pids.append(pid)
        for pid in pids:
            wait(pid)
        """
    assert check(program) == PARENT | {name: 3 for name in CHILD}


def test_a_fork_from_a_thread(check):
    program = """
        def work():
            pid = os.fork()
            if pid == 0:
                own = register("child")
                del own
                os._exit(0)
            wait(pid)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """
    assert check(program) == PARENT | CHILD


def test_a_thread_that_forks_and_exits(check):
    """The thread is the child's main thread, so its end is the child's exit."""
    program = """
        def work():
            pid = os.fork()
            if pid == 0:
                global own
                own = register("child")
                return
            wait(pid)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        """
    # whether the end of such a thread runs atexit is up to the interpreter's version
    noted = check(program)
    assert noted - collections.Counter(CHILD) == PARENT


def test_a_fork_in_a_clean_up_at_death(check):
    program = """
        def fork():
            note("forks", os.getpid())
            pid = os.fork()
            if pid == 0:
                own = register("child")
                sys.exit()  # reported, and the program goes on
            wait(pid)
        obj = A()
        main = os.getpid()
        finalize(obj, fork)
        sys.unraisablehook = lambda args: None
        del obj
        """
    assert check(program) == PARENT | {"forks own": 1} | CHILD


def test_a_fork_in_a_clean_up_at_exit(check):
    program = """
        def fork():
            global own
            pid = fork_at_exit()
            if pid == 0:
                own = register("child")
                return
            wait(pid)
        last = A()
        finalize(last, fork)
        """
    assert check(program) == PARENT | CHILD


def test_a_child_of_a_clean_up_at_exit_that_leaves_at_once(check):
    program = """
        def fork():
            pid = fork_at_exit()
            if pid == 0:
                own = register("child")
                del own
                os._exit(0)
            wait(pid)
        last = A()
        finalize(last, fork)
        """
    assert check(program) == PARENT | CHILD


def test_a_thread_forks_while_exit_runs_in_another(check):
    program = """
        sys.excepthook = lambda *args: None
        waiting, forked = threading.Event(), threading.Event()
        def work():
            waiting.wait(20)
            pid = fork_at_exit()
            if pid == 0:
                own = register("child")
                atexit._run_exitfuncs()
                os._exit(0)
            wait(pid)
            forked.set()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        last = A()
        finalize(last, lambda: (waiting.set(), forked.wait(20)))
        """
    assert check(program) == PARENT | CHILD


def test_a_fork_that_python_is_not_told_of(check):
    program = """
        fork = ctypes.PyDLL(None).fork
        for ending in ("os._exit", "death", "atexit"):
            pid = fork()
            if pid == 0:
                own = register("child")
                if ending == "atexit":
                    atexit._run_exitfuncs()
                elif ending == "death":
                    del own, parents, temp
                    gc.collect()
                os._exit(0)
            wait(pid)
        """
    assert check(program) == PARENT | {name: 2 for name in CHILD}


def test_multiprocessing_fork(check):
    program = """
        def work():
            global own
            own = register("child")
            temporary = register("temporary")

        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        process.join()
        assert process.exitcode == 0
        assert os.path.exists(TEMP)
        """
    expected = PARENT | {"temporary own": 1, "temporary-base own": 1}
    if sys.version_info >= (3, 13):  # before, such children end without atexit
        expected |= CHILD
    assert check(program) == expected


def test_a_pool_of_processes(check):
    program = """
        def work(i):
            thing = register("child")
            return os.getpid()

        with multiprocessing.get_context("fork").Pool(2) as pool:
            pool.map(work, range(20))
        assert os.path.exists(TEMP)
        """
    assert check(program) == PARENT | {name: 20 for name in CHILD}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_multiprocessing_without_fork(check, method):
    program = f"""
        def work():
            global own
            own = register("child")

        # the child imports this file, and registers as its parent did
        if __name__ != "__main__":
            parents[1].detach()
            parents[2].atexit = False
            temp._finalizer.detach()
        else:
            process = multiprocessing.get_context("{method}").Process(target=work)
            process.start()
            process.join()
            assert process.exitcode == 0
            assert os.path.exists(TEMP)
        """
    honoured = method == "spawn" or sys.version_info >= (3, 13)
    assert check(program) == PARENT | (CHILD if honoured else {})


def test_subprocess(check):
    program = """
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        subprocess.run([sys.executable, "-c", "pass"], check=True, preexec_fn=lambda: None)
        assert os.path.exists(TEMP)
        """
    assert check(program) == PARENT


def test_a_failed_exec_in_the_child(check):
    program = """
        pid = os.fork()
        if pid == 0:
            try:
                os.execv("/nonexistent", ["x"])
            except OSError:
                sys.exit(7)
        wait(pid, 7)
        try:
            subprocess.run(["/nonexistent"], preexec_fn=lambda: None)
        except FileNotFoundError:
            pass
        assert os.path.exists(TEMP)
        """
    assert check(program) == PARENT


def test_a_pending_exception_in_a_child_is_kept(check):
    """The parent's object dies there unrun, as an argument of a call that has failed."""
    program = """
        pid = os.fork()
        if pid == 0:
            things = [parents[2], parents[0]]
            del parents
            for _ in range(2):
                try:
                    int(things.pop())
                except TypeError:
                    continue
                os._exit(1)
            os._exit(0)
        wait(pid)
        """
    assert check(program) == PARENT
