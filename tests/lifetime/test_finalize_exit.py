"""The end of the interpreter: what runs, in which order, and what nothing stops."""

import signal
import subprocess
import sys
import textwrap

import pytest

from lifetime import in_subinterpreter

pytestmark = pytest.mark.processes

SETUP = """
import atexit, gc, logging, os, signal, sys, threading, time, weakref
from {module} import Finalizable, finalize

class A:
    pass

def say(*words):
    print(*words, flush=True)

class Saying(Finalizable):
    def __init__(self, *words):
        self.words = words
    def __finalize__(self):
        say(*self.words)

kept = []

def at_exit(func, *args):
    obj = A()
    kept.append(obj)
    return finalize(obj, func, *args)
"""


@pytest.fixture
def run(impl):
    """Run a program; its output in words. What it writes to stderr must contain `errors`."""

    def run(program, *errors, status=0):
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c"]
            + [SETUP.format(module=impl.__name__) + textwrap.dedent(program)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stdout + done.stderr
        for error in errors:
            assert error in done.stderr
        assert errors or done.stderr == ""
        return done.stdout.split()

    return run


def test_the_youngest_runs_first_whatever_its_kind(run):
    program = """
        at_exit(say, 1)
        first = Saying(2)
        at_exit(say, 3)
        second = Saying(4)
        at_exit(say, 5)
        """
    assert run(program) == ["5", "4", "3", "2", "1"]


def test_the_object_is_still_there(run):
    program = """
        obj = A()
        ref = weakref.ref(obj)
        finalize(obj, lambda: say(ref() is not None))
        """
    assert run(program) == ["True"]


def test_atexit_false(run):
    program = """
        at_exit(say, 1).atexit = False
        at_exit(say, 2)
        thing = Saying(3)
        thing.atexit = False
        f = at_exit(say, 4)
        f.atexit = False
        f.atexit = True
        """
    assert run(program) == ["4", "2"]


def test_a_flag_changed_on_the_way(run):
    program = """
        f = at_exit(say, 1)
        at_exit(lambda: setattr(f, "atexit", False))
        """
    assert run(program) == []


def test_what_ran_before_does_not_run_again(run):
    program = """
        f, g = at_exit(say, 1), at_exit(say, 2)
        f()
        g.detach()
        thing = Saying(3)
        thing.finalize()
        obj = A()
        finalize(obj, say, 4)
        del obj
        """
    assert run(program) == ["1", "3", "4"]


def test_clean_ups_end_others(run):
    program = """
        f, g, h = at_exit(say, 1), at_exit(say, 2), Saying(3)
        def end():
            f(), g.detach(), h.finalize()
            kept.clear()
        at_exit(end)
        """
    assert run(program) == ["1", "3"]


def test_new_ones_run_next(run):
    program = """
        at_exit(say, 1)
        at_exit(lambda: (say(2), at_exit(say, 3), kept.append(Saying(4)), say(5)))
        at_exit(say, 6)
        """
    assert run(program) == ["6", "2", "5", "4", "3", "1"]


def test_exceptions_stop_no_other(run):
    program = """
        def fail(error):
            raise error("at exit")
        class Failing(Finalizable):
            def __finalize__(self):
                raise LookupError("in it")
        at_exit(say, 1)
        at_exit(fail, ValueError)
        at_exit(say, 2)
        at_exit(fail, KeyboardInterrupt)
        at_exit(say, 3)
        at_exit(fail, SystemExit)
        failing = Failing()
        at_exit(say, 4)
        """
    errors = ["ValueError: at exit", "KeyboardInterrupt: at exit", "SystemExit: at exit"]
    assert run(program, *errors, "LookupError: in it") == ["4", "3", "2", "1"]


def test_exceptions_go_to_excepthook(run):
    program = """
        def hook(kind, error, traceback):
            say(kind.__name__, error, traceback is not None)
            gc.collect()
        sys.excepthook = hook
        def fail():
            raise ValueError("x")
        at_exit(fail)
        """
    assert run(program) == ["ValueError", "x", "True"]


def test_a_hook_that_fails_loses_nothing(native, run, impl):
    program = """
        def hook(*args):
            raise LookupError("the hook's")
        sys.excepthook = hook
        def fail():
            raise ValueError("the clean-up's")
        at_exit(say, 1)
        at_exit(fail)
        """
    if impl is native:
        assert run(program, "ValueError: the clean-up's") == ["1"]
        assert run(program.replace("hook(*args):", "hook():"), "ValueError") == ["1"]
        assert run("del sys.excepthook\nat_exit(lambda: 1 / 0)", "ZeroDivisionError") == []


def test_an_end_by_an_exception(run):
    program = """
        at_exit(say, 1)
        raise ValueError("the program's")
        """
    assert run(program, "ValueError: the program's", status=1) == ["1"]


def test_os_exit_runs_nothing(run):
    assert run("at_exit(say, 1); thing = Saying(2); os._exit(3)", status=3) == []


def test_a_signal_that_kills_runs_nothing(run):
    for number in (signal.SIGTERM, signal.SIGKILL):
        program = f"at_exit(say, 1); os.kill(os.getpid(), {int(number)}); time.sleep(20)"
        assert run(program, status=-number) == []


def test_an_interrupt_during_a_clean_up(run):
    program = """
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
        def interrupt():
            say("before")
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                time.sleep(0.01)
            say("not reached")
        at_exit(say, 1)
        thing = Saying(2)
        at_exit(interrupt)
        at_exit(say, 3)
        """
    assert run(program, "KeyboardInterrupt") == ["3", "before", "2", "1"]


def test_files_and_logging_still_work(run, tmp_path):
    program = f"""
        logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
        file = open({str(tmp_path / "log")!r}, "w")
        def clean_up():
            file.write("written")
            file.close()
            logging.info("logged")
            import decimal
            say(decimal.Decimal(1))
        at_exit(clean_up)
        """
    assert run(program) == ["logged", "1"]
    assert (tmp_path / "log").read_text() == "written"


def test_among_other_functions_of_atexit(run):
    program = """
        atexit.register(say, "first registered")
        at_exit(say, "clean-up")
        atexit.register(say, "last registered")
        atexit.register(at_exit, say, "made at exit")
        """
    expected = "last registered made at exit clean-up first registered".split()
    assert run(program) == expected


def test_after_exit_nothing_runs(run):
    program = """
        class Late:
            def __del__(self):
                obj = A()
                f = finalize(obj, say, "no")
                g, thing = finalize(A, say, "no"), Saying("no")
                alive = f.alive, g.alive, thing.alive, early.alive
                say(*alive, g(), thing.finalize(), early(), early.peek())
        obj = A()
        early = finalize(obj, say, "no")
        early.atexit = False
        late = Late()
        atexit._run_exitfuncs()
        del late
        del obj
        """
    assert run(program) == ["False"] * 4 + ["None"] * 4


def test_a_chain_without_end(run):
    program = """
        count = 0
        def again():
            global count
            count += 1
            at_exit(again)
        at_exit(lambda: say(count))
        at_exit(again)
        """
    words = run(program, "clean-ups at exit made clean-ups 1000 times over")
    assert words == ["1000"]


def test_a_chain_without_end_of_the_other_kind(run):
    program = """
        count = 0
        class Again(Finalizable):
            def __finalize__(self):
                global count
                count += 1
                kept.append(Again())
        at_exit(lambda: say(count))
        kept.append(Again())
        """
    words = run(program, "clean-ups at exit made clean-ups 1000 times over")
    assert words == ["1000"]


def test_what_the_unrun_hold_may_make_more(run):
    """Letting go of what is left runs code, which registers again; nothing of it stays."""
    program = """
        class Again:
            gone = 0
            def __init__(self, more):
                self.more = more
            def __call__(self):
                say("no")
            def __del__(self):
                Again.gone += 1
                if self.more:
                    at_exit(Again(self.more - 1)).atexit = False
                    at_exit(Again(0))
        at_exit(Again(5)).atexit = False
        atexit._run_exitfuncs()
        say(Again.gone)
        """
    assert run(program) == ["11"]


def test_other_threads_are_not_waited_for(run):
    program = """
        started = threading.Event()
        def work():
            while True:
                obj = A()
                kept.append(obj)
                finalize(obj, time.sleep, 0)
                kept.append(Finalizable())
                kept.pop().finalize()
                started.set()
        sys.setswitchinterval(1e-5)
        def say(*words):
            pass
        at_exit(print, "first")
        threading.Thread(target=work, daemon=True).start()
        started.wait(20)
        at_exit(started.clear)
        at_exit(print, "last")
        """
    assert [word for word in run(program) if word in ("first", "last")] == ["last", "first"]


def test_a_thread_makes_one_during_exit(run):
    program = """
        def work():
            at_exit(say, "not waited for")
            obj = A()
            finalize(obj, say, "dies")
            del obj
        def start():
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        def start_later():
            go.set()
            done.wait(20)
        def wait_and_work():
            go.wait(20)
            work()
            done.set()
        go, done = threading.Event(), threading.Event()
        threading.Thread(target=wait_and_work, daemon=True).start()
        at_exit(say, "last")
        at_exit(start_later)
        """
    assert run(program) == ["dies", "last"]


def test_the_first_one_is_made_at_exit(run):
    """Its function comes too late for atexit; nothing may go wrong."""
    assert run("atexit.register(at_exit, say, 'never')") in ([], ["never"])


def test_not_a_leftover_in_a_subinterpreter():
    """All that live finalizers hold is freed with their interpreter."""
    in_subinterpreter(
        """
        import atexit, sys
        from ferrule._lifetime import Finalizable, finalize

        class A:
            pass

        class Counting:
            made = gone = 0
            def __init__(self):
                Counting.made += 1
            def __del__(self, cls=None):
                Counting.gone += 1

        class Thing(Finalizable):
            def __finalize__(self):
                pass

        class Sub(finalize):
            pass

        def check():
            assert (Counting.made, Counting.gone) == (7, 7), (Counting.made, Counting.gone)

        objs = [A() for _ in range(4)]
        def use(*args, **kwargs):
            pass
        finalize(objs[0], use, Counting(), x=Counting())
        finalize(objs[1], use, Counting()).atexit = False
        Sub(objs[2], use, Counting(), y=[Counting()])
        Sub(objs[2], use, Counting()).atexit = False
        thing, other = Thing(), Thing()
        thing.me, other.me = thing, other
        other.atexit = False
        dead = finalize(objs[3], use, Counting())
        dead()
        atexit._run_exitfuncs()
        check()
        """
    )


IN_SUBINTERPRETER = """
import os
from ferrule._lifetime import Finalizable, finalize

class A:
    pass

class Thing(Finalizable):
    def __finalize__(self):
        os.write(1, b"base ")

class Gone:
    def __del__(self, write=os.write):
        write(1, b"gone ")

def use(argument):
    os.write(1, b"run ")

objs = [A(), A(), Thing()]
finalize(objs[0], use, Gone())
f = finalize(objs[1], use, Gone())
f.atexit = False
"""

SUBINTERPRETERS = """
import os, sys
if sys.version_info >= (3, 13):
    import _interpreters as interpreters
else:
    import _xxsubinterpreters as interpreters
for _ in range(3):
    one = interpreters.create()
    assert interpreters.run_string(one, sys.argv[1]) is None
    interpreters.destroy(one)
    os.write(1, b"next ")
"""


def test_subinterpreters_end_with_live_finalizers():
    """Their exit runs them, and what is left over goes."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", SUBINTERPRETERS, IN_SUBINTERPRETER],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["run", "gone", "base", "gone", "next"] * 3


def test_many_are_alive(run):
    program = """
        for i in range(20_000):
            at_exit(int)
            kept.append(Finalizable())
        """
    assert run(program) == []
