"""retry: leaks, failed allocations, sub-interpreters, threads, forks; the twin's leaks."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import pickle
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import ferrule.calls
import ferrule.pure.calls
from ferrule.calls import Attempt, RetryError, retry
from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logger = logging.getLogger("ferrule.calls")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


# What fails here is written in C: a frame of Python's that an exception leaves while there is no
# memory loses the exception.
SETUP = """
import gc, logging
logging.getLogger("ferrule.calls").setLevel(logging.ERROR)
from ferrule._calls import Attempt, RetryError, retry

def options(**more):
    return dict(on=(OSError, ValueError), backoff=3.0, max_delay=9, deadline=1e6, **more)

def nothing(*args, **kwargs):
    return None

parse = retry(3, 0)(int)
told = retry(3, 0, printer=nothing, before_sleep=nothing, on=repr)(int)
picky = retry(3, 0, retry_if_result=bool, printer=nothing)(int)
late = retry(3, 1, deadline=0, jitter=True, random=int, clock=int)(int)

def texts(*values):
    return map(int, values).__next__

def refuse(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError, RetryError):
        return
    raise AssertionError
"""


def space() -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(SETUP, names)
    return names


@covers("retry")
def test_no_leak_decorating() -> None:
    names = space()
    no_leak(lambda: retry(len))
    no_leak(lambda: retry(5, 2, **names["options"](before_sleep=len, printer=print))(len))
    no_leak(lambda: retry(retry(retry(len))))
    no_leak(lambda: retry(2)(staticmethod(len)))


@covers("retry", error=True)
@pytest.mark.parametrize(
    "options",
    [
        {"max_attempts": 0},
        {"max_attempts": "x"},
        {"delay": -1},
        {"delay": 10**400},
        {"on": 3},
        {"on": (OSError, KeyboardInterrupt)},
        {"before_sleep": 3, "retry_if_result": len},
        {"clock": 3, "random": len},
        {"nothing": 1},
    ],
)
def test_no_leak_refusing(options: dict[str, Any]) -> None:
    no_leak(lambda: retry(**options), raises=(TypeError, ValueError))  # type: ignore[arg-type]


def test_no_leak_refusing_functions() -> None:
    def gen() -> Iterator[int]:
        yield 1

    async def hook(attempt: Any) -> None: ...

    no_leak(lambda: retry(gen), raises=TypeError)
    no_leak(lambda: retry(before_sleep=hook)(len), raises=TypeError)
    no_leak(lambda: retry(3)(3), raises=TypeError)  # type: ignore[arg-type]


@covers("Attempt", "Attempt.__reduce__", "Attempt.__repr__", "Attempt.__replace__", "RetryError")
def test_no_leak_calling() -> None:
    names = space()
    no_leak(lambda: names["parse"]("3"))
    no_leak(lambda: names["picky"]("0"))
    for name in ("parse", "told", "late"):
        no_leak(lambda f=names[name]: f("x"), raises=ValueError, rounds=300)
    no_leak(lambda: names["picky"](5), raises=RetryError, rounds=300)
    texts = names["texts"]
    no_leak(lambda: retry(3, 0)(texts("x", "y", "1"))(), rounds=300)
    no_leak(lambda: retry(200, 0)(int)("x"), raises=ValueError, rounds=50)


def test_no_leak_failing_callbacks() -> None:
    def fail(*args: Any) -> Any:
        raise LookupError

    for option in ("on", "printer", "before_sleep", "random", "clock", "retry_if_result"):
        options: dict[str, Any] = {option: fail, "jitter": True, "deadline": 3}
        wrapped = retry(3, 0, **options)(int)
        text = "3" if option == "retry_if_result" else "x"
        no_leak(lambda w=wrapped, t=text: w(t), raises=LookupError, rounds=200)


@covers("Attempt", "Attempt.__reduce__", "Attempt.__repr__", "Attempt.__replace__", error=True)
def test_attempt() -> None:
    attempt = Attempt((1, 2.0, ValueError, "x", None, None))
    assert pickle.loads(pickle.dumps(attempt)) == attempt
    assert repr(attempt).startswith("ferrule.calls.Attempt(number=1, wait=2.0, kind=")
    if sys.version_info >= (3, 13):
        assert attempt.__replace__(wait=3.0).wait == 3.0
        no_leak(lambda: attempt.__replace__(nothing=3), raises=TypeError)
    no_leak(lambda: Attempt((1, 2)), raises=TypeError)
    no_leak(lambda: Attempt.__repr__(3), raises=TypeError)  # type: ignore[arg-type]
    no_leak(lambda: Attempt.__reduce__(3), raises=TypeError)  # type: ignore[call-arg]


@covers("RetryError", error=True)
def test_retry_error_is_an_exception() -> None:
    no_leak(lambda: RetryError(x=1), raises=TypeError)  # type: ignore[call-arg]


# ---- allocations


@pytest.mark.parametrize(
    "code",
    [
        "retry(len)",
        "retry(5, 2, **options(before_sleep=nothing, printer=nothing, clock=nothing))(len)",
        "refuse(retry, 0)",
        "refuse(retry, 3, -1)",
        "refuse(retry, on=KeyboardInterrupt)",
        "parse('3')",
        "refuse(parse, 'x')",
        "refuse(told, 'x')",
        "refuse(late, 'x')",
        "refuse(picky, 5)",
        "retry(9, 0)(texts('x', 'y', '1', '1', '1'))()",
        "refuse(retry(7, 0)(int), 'x')",
        "refuse(retry(20, 0)(int), 'x')",
    ],
)
def test_oom(code: str) -> None:
    assert walk_oom(code, setup=SETUP)


def test_oom_with_the_logger() -> None:
    # logging is Python: in its place stand callables written in C, which take what it would
    assert walk_oom(
        "refuse(parse, 'x')",
        setup=SETUP
        + """
logger = logging.getLogger("ferrule.calls")
logger.isEnabledFor, logger.log = bool, "".format
""",
    )


# ---- interpreters, threads, processes


def test_subinterpreter() -> None:
    in_subinterpreter(
        SETUP
        + """
for f in (parse, told, late, picky):
    refuse(f, 5 if f is picky else "x")
    assert (f.calls, f.failures) == (1, 1)
try:
    parse("x")
except ValueError as error:
    assert type(error.retry_history[0]) is Attempt
kept = retry(3, 0)(len)
kept.myself = kept
"""
    )


def test_threads() -> None:
    local = threading.local()

    @retry(3, 0, before_sleep=lambda attempt: None, retry_if_result=lambda r: r % 3 == 0)
    def f() -> int:
        local.n = getattr(local, "n", 0) + 1
        if local.n % 2:
            raise ValueError
        n: int = local.n
        return n

    def work() -> None:
        for _ in range(300):
            with contextlib.suppress(ValueError, RetryError):
                f()

    run_threads(work)
    assert f.calls == 2400


@pytest.mark.processes
def test_fork_while_waiting() -> None:
    """The child's one thread goes on; the wait of another thread is the parent's alone."""
    began, go = threading.Event(), threading.Event()

    @retry(2, 0.001, before_sleep=lambda attempt: (began.set(), go.wait(60)))
    def f(seen: list[int]) -> list[int]:
        seen.append(1)
        if len(seen) < 2:
            raise ValueError
        return seen

    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(f([])))
    thread.start()
    assert began.wait(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        go.set()
        os._exit(0 if f([]) == [1, 1] and f.calls == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
    go.set()
    thread.join()
    assert results == [[1, 1]]
    assert (f.calls, f.retries) == (1, 1)


# ---- what is kept alive


@pytest.fixture(params=["native", "pure"])
def either(request: pytest.FixtureRequest) -> ModuleType:
    return ferrule.calls if request.param == "native" else ferrule.pure.calls


class Thing:
    pass


def test_frames_go_before_the_wait(either: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    refs: list[Any] = []
    alive: list[bool] = []
    monkeypatch.setattr(time, "sleep", lambda s: alive.append(refs[-1]() is not None))

    def f() -> None:
        big = Thing()
        refs.append(weakref.ref(big))
        raise ValueError

    with pytest.raises(ValueError) as caught:
        either.retry(3)(f)()
    assert alive == [False, False]
    del caught


def test_the_error_makes_no_cycle(either: ModuleType) -> None:
    class Error(Exception):
        pass

    def f() -> None:
        raise Error

    def call() -> Any:
        try:
            either.retry(3, 0)(f)()
        except Error as error:
            return weakref.ref(error)

    gc.collect()
    gc.disable()
    try:
        assert call()() is None
    finally:
        gc.enable()


def test_results_go(either: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    refs: list[Any] = []
    alive: list[bool] = []
    monkeypatch.setattr(time, "sleep", lambda s: alive.append(refs[-1]() is not None))

    def f() -> Thing:
        thing = Thing()
        refs.append(weakref.ref(thing))
        return thing

    with pytest.raises(either.RetryError):
        either.retry(3, retry_if_result=lambda r: True)(f)()
    assert alive == [False, False]


def test_cycle_through_the_options() -> None:
    refs = []
    for option in ("before_sleep", "on", "printer"):

        class Hook:
            def __call__(self, attempt: Any) -> Any: ...

        hook: Any = Hook()
        hook.wrapped = retry(**{option: hook})(len)
        hook.decorator = retry(**{option: hook})
        refs.append(weakref.ref(hook))
        del hook
    gc.collect()
    assert [ref() for ref in refs] == [None, None, None]


def test_cycle_through_the_function() -> None:
    def f() -> None: ...

    f.wrapped = retry(f)  # type: ignore[attr-defined]
    ref = weakref.ref(f)
    del f
    gc.collect()
    assert ref() is None


def test_function_dropped_while_it_runs() -> None:
    """A call holds what it needs, whatever becomes of the wrapper's name."""
    space: dict[str, Any] = {}

    def f() -> int:
        if space.pop("f", None) is not None:
            gc.collect()
            raise ValueError
        return 5

    space["f"] = retry(2, 0)(f)
    call = [space["f"]]
    del f
    assert call.pop()() == 5


def test_finalizer_that_calls_again() -> None:
    """The end of an attempt's locals runs code while the next attempt is due."""
    seen: list[str] = []

    @retry(3, 0)
    def f(n: int) -> int:
        class Local:
            def __del__(self) -> None:
                if n:
                    seen.append("again")
                    f(0)

        local = Local()  # noqa: F841
        if n and len(seen) < 2:
            raise ValueError
        return n

    assert f(1) == 1
    assert len(seen) == 3
