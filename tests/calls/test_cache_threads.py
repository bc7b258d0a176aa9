"""cache in threads: one computes, the others wait; nobody waits for ever, not in a child either."""

import contextlib
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from lifetime import run_threads


@contextlib.contextmanager
def no_switching():
    """A thread runs until it waits."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def start(n, target):
    threads = [threading.Thread(target=target, daemon=True) for _ in range(n)]
    for thread in threads:
        thread.start()
    return threads


def join(threads):
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


class Meeting:
    """Keys that are equal, and tell when so many of them have been looked up."""

    def __init__(self, count):
        self.left, self.all = count, threading.Event()

    def key(self):
        return Key(self)


class Key:
    def __init__(self, meeting):
        self.meeting = meeting

    def __hash__(self):
        self.meeting.left -= 1
        if self.meeting.left == 0:
            self.meeting.all.set()
        return 7

    def __eq__(self, other):
        return True


def together(impl, n, func, **options):
    """`n` threads that want one key while the first computes it: what each got, or its error."""
    meeting, results = Meeting(n), []

    @impl.cache(**{"maxsize": None, **options})
    def cached(key):
        assert meeting.all.wait(60)
        return func()

    def call():
        try:
            results.append(cached(meeting.key()))
        except BaseException as error:
            results.append(error)

    with no_switching():
        join(start(n, call))
    return cached, results


def test_a_thousand_threads_on_a_cold_key_call_once(impl):
    n, calls = 1000, []
    size = threading.stack_size(256 << 10)
    try:
        cached, results = together(impl, n, lambda: calls.append(1) or [5])
    finally:
        threading.stack_size(size)
    assert calls == [1]
    assert len(results) == n and all(result is results[0] for result in results)
    assert cached.cache_info() == (n - 1, 1, None, 1)


def test_exceptions_go_to_all_who_wait(impl):
    calls = []

    def fail():
        calls.append(1)
        raise ZeroDivisionError("no")

    cached, results = together(impl, 20, fail)
    assert calls == [1]
    assert len(results) == 20 and all(error is results[0] for error in results)
    assert type(results[0]) is ZeroDivisionError
    assert cached.cache_info() == (0, 20, None, 0)


def test_what_is_no_exception_goes_to_nobody_else(impl):
    calls = []

    def leave():
        calls.append(1)
        if len(calls) < 3:
            raise SystemExit
        return 5

    cached, results = together(impl, 8, leave)
    assert len(calls) == 3  # two gave up, a third took over
    assert sorted(map(repr, results)) == ["5"] * 6 + ["SystemExit()"] * 2
    assert cached.cache_info() == (5, 3, None, 1)


def test_without_single_flight_everybody_computes(impl):
    calls = []
    cached, results = together(impl, 8, lambda: calls.append(1) or [5], single_flight=False)
    assert len(calls) == len(results) == 8
    assert len({id(result) for result in results}) == 8
    assert cached.cache_info() == (0, 8, None, 1)


def test_clear_while_others_wait(impl):
    meeting, results = Meeting(4), []

    @impl.cache
    def f(key):
        assert meeting.all.wait(60)
        f.cache_clear()
        return [5]

    with no_switching():
        join(start(4, lambda: results.append(f(meeting.key()))))
    assert len(results) == 4 and all(result is results[0] for result in results)
    assert f.cache_info().currsize == 0


def test_methods(impl):
    meeting, calls = Meeting(8), []

    class A:
        @impl.cache(3)
        def method(self, key):
            assert meeting.all.wait(60)
            calls.append(1)
            return [5]

    a, results = A(), []
    with no_switching():
        join(start(8, lambda: results.append(a.method(meeting.key()))))
    assert calls == [1] and len(results) == 8
    assert A.method.cache_info() == (7, 1, 3, 1)


def test_other_keys_do_not_wait(impl):
    gate = threading.Event()

    @impl.cache
    def f(x):
        return gate.wait(60) if x == 1 else x

    threads = start(2, lambda: f(1))
    assert [f(x) for x in range(2, 100)] == list(range(2, 100))
    gate.set()
    join(threads)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_threads_that_want_each_other(impl, n):
    everybody = threading.Barrier(n)
    first = threading.local()

    @impl.cache
    def f(x):
        if not hasattr(first, "done"):
            first.done = True
            everybody.wait(60)
            return f((x + 1) % n)
        return x

    keys = iter(range(n))
    results = []
    join(start(n, lambda: results.append(f(next(keys)))))
    assert len(results) == n
    assert f.cache_info().currsize == n


def test_two_caches_that_want_each_other(impl):
    both = threading.Barrier(2)
    inside = threading.local()

    def within(other):
        if not hasattr(inside, "done"):
            inside.done = True
            both.wait(60)
            return other(1)
        return 5

    f = impl.cache(lambda x: within(g))
    g = impl.cache(lambda x: within(f))
    functions = iter((f, g))
    results = []
    join(start(2, lambda: results.append(next(functions)(1))))
    assert results == [5, 5]


def test_a_signal_while_waiting(impl):
    meeting, go_on = Meeting(2), threading.Event()
    seen, angry, raised = [], threading.Event(), []

    def handler(number, frame):
        seen.append(number)
        if angry.is_set() and not raised:
            raised.append(number)
            raise ZeroDivisionError

    def send_until(what):
        """Again and again: one that comes just before the wait begins does not end it."""
        while not what:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
            time.sleep(0.005)

    @impl.cache
    def f(key):
        assert meeting.all.wait(60)
        send_until(seen)
        angry.set()
        send_until(raised)
        assert go_on.wait(60)
        return 5

    old = signal.signal(signal.SIGUSR1, handler)
    try:
        threads = start(1, lambda: f(meeting.key()))
        while meeting.left == 2:
            time.sleep(0.001)
        with pytest.raises(ZeroDivisionError):
            f(meeting.key())
        go_on.set()
        join(threads)
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert f(meeting.key()) == 5


@pytest.mark.parametrize("options", [{}, {"ttl": 1e-6}, {"maxsize": None}])
def test_many_threads_and_few_keys(impl, options):
    @impl.cache(**{"maxsize": 5, **options})
    def f(x):
        if x % 7 == 0:
            raise ZeroDivisionError
        return [x]

    def use():
        for i in range(400):
            x = i * i % 11
            try:
                assert f(x) == [x]
            except ZeroDivisionError:
                assert x % 7 == 0

    run_threads(use)
    info = f.cache_info()
    assert info.hits + info.misses == 8 * 400
    assert info.currsize <= 11


def test_threads_that_clear(impl):
    class A:
        @impl.cache(3)
        def method(self, x):
            return [x]

    a = A()

    def use():
        for i in range(300):
            assert a.method(i % 5) == [i % 5]
            assert A().method("x") == ["x"]
            if i % 17 == 0:
                A.method.cache_clear()

    run_threads(use)


# ---- forks

FORK = """
import os, sys, threading, warnings
from {module} import cache
warnings.simplefilter("ignore")

def check(pid):
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 0, status

def child(test):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            test()
            code = 0
        except BaseException as error:
            print(repr(error), file=sys.stderr)
        finally:
            os._exit(code)
    check(pid)
"""

CHILD_DOES_NOT_WAIT = """
begun, gate = threading.Event(), threading.Event()
parent = os.getpid()

@cache
def f(x):
    if os.getpid() == parent:
        begun.set()
        assert gate.wait(60)
    return os.getpid()

threads = [threading.Thread(target=f, args=(1,)) for _ in range(3)]
threads[0].start()
assert begun.wait(60)
for thread in threads[1:]:
    thread.start()

def test():
    assert f(1) == os.getpid()
    assert f(1) == os.getpid()
    results = []
    own = [threading.Thread(target=lambda: results.append(f(2))) for _ in range(5)]
    for thread in own: thread.start()
    for thread in own: thread.join()
    assert results == [os.getpid()] * 5

child(test)
gate.set()
for thread in threads: thread.join()
assert f(1) == parent
assert f.cache_info().misses == 1
"""

FORK_INSIDE = """
pids = []

@cache
def f(x):
    pids.append(os.fork())
    return x

results = f(1), f(1)
assert results == (1, 1)
if pids == [0]:
    assert f.cache_info()[:2] == (1, 1)
    os._exit(0)
check(pids[0])
assert f.cache_info()[:2] == (1, 1)
"""


@pytest.mark.processes
@pytest.mark.parametrize("name", ["CHILD_DOES_NOT_WAIT", "FORK_INSIDE"])
def test_fork(impl, name):
    program = FORK.format(module=impl.__name__) + textwrap.dedent(globals()[name])
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", program],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
