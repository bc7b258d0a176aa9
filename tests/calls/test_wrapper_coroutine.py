"""The coroutines that wrappers hand out: what can be done with a coroutine can be done with them.

`retry` is what makes them here. Beside each stands `async def`, where the two must not differ.
"""

from __future__ import annotations

import asyncio
import collections.abc
import contextvars
import gc
import inspect
import itertools
import logging
import sys
import threading
import traceback
import types
import warnings
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from ferrule.calls import retry
from lifetime import in_subinterpreter, no_leak, run_threads, walk_oom

Function = Callable[..., Coroutine[Any, Any, Any]]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logger = logging.getLogger("ferrule.calls")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def bare(function: Function) -> Function:
    return function


def through(function: Function) -> Function:
    made: Function = retry(1)(function)
    return made


#: The same checks for a coroutine of Python's own, for ours, and for ours around ours.
WAYS = pytest.mark.parametrize(
    "way", [bare, through, lambda f: through(through(f))], ids=["bare", "wrapped", "twice"]
)


@types.coroutine
def give(value: object) -> Iterator[Any]:
    """Awaited: yields value to whoever drives, gives what is sent."""
    return (yield value)


async def echo(*values: Any) -> Any:
    """Yields its values and gives what it was sent."""
    return [await give(value) for value in values]


def drive(coroutine: Any) -> Any:
    """The result of a coroutine that yields nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


# ---- send, throw, close


@WAYS
def test_send(way: Any) -> None:
    c = way(echo)(1, 2)
    assert [c.send(None), c.send("a")] == [1, 2]
    with pytest.raises(StopIteration) as stop:
        c.send("b")
    assert stop.value.value == ["a", "b"]
    assert stop.value.args == (["a", "b"],)


@WAYS
@pytest.mark.parametrize(
    "value", [None, (), (1, 2), ((1,),), ValueError("x"), StopIteration(3), ValueError, [], 0]
)
def test_results_come_as_they_are(way: Any, value: Any) -> None:
    async def f() -> Any:
        return value

    async def outer() -> Any:
        return await way(f)()

    assert drive(way(f)()) is value
    assert drive(outer()) is value
    assert asyncio.run(way(f)()) is value


@WAYS
def test_first_send_must_be_none(way: Any) -> None:
    c = way(echo)(1)
    with pytest.raises(TypeError, match="can't send non-None value to a just-started coroutine"):
        c.send(5)
    assert c.send(None) == 1  # still to be begun
    c.close()


@WAYS
def test_used_twice(way: Any) -> None:
    c = way(echo)()
    assert drive(c) == []
    for use in (lambda: c.send(None), lambda: c.throw(ValueError), lambda: drive(c)):
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            use()
    c.close()


@WAYS
def test_awaited_by_two(way: Any) -> None:
    async def outer(c: Any) -> Any:
        return await c

    c = way(echo)(1)
    first, second = outer(c), outer(c)
    assert first.send(None) == 1
    with pytest.raises(RuntimeError, match="coroutine is being awaited already"):
        second.send(None)
    with pytest.raises(StopIteration) as stop:
        first.send("x")
    assert stop.value.value == ["x"]


@WAYS
def test_throw_is_caught_inside(way: Any) -> None:
    async def f() -> Any:
        try:
            await give(1)
        except ValueError as error:
            return await give(error)

    c, error = way(f)(), ValueError("x")
    assert c.send(None) == 1
    assert c.throw(error) is error
    with pytest.raises(StopIteration) as stop:
        c.send(5)
    assert stop.value.value == 5


@WAYS
def test_throw_makes_a_result(way: Any) -> None:
    async def f() -> Any:
        try:
            await give(1)
        except ValueError:
            return (1, 2)

    c = way(f)()
    c.send(None)
    with pytest.raises(StopIteration) as stop:
        c.throw(ValueError)
    assert stop.value.value == (1, 2)


@WAYS
def test_throw_goes_through(way: Any) -> None:
    c, error = way(echo)(1), KeyError("x")
    c.send(None)
    with pytest.raises(KeyError) as caught:
        c.throw(error)
    assert caught.value is error
    assert "echo" in [frame.name for frame in traceback.extract_tb(error.__traceback__)]


@WAYS
def test_throw_before_it_begins(way: Any) -> None:
    ran = []

    async def f() -> None:
        ran.append(1)

    c = way(f)()
    with pytest.raises(ValueError):
        c.throw(ValueError("x"))
    assert ran == []
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        c.send(None)


@WAYS
def test_throw_of_no_exception(way: Any) -> None:
    c = way(echo)(1)
    c.send(None)
    for args in ((3,), (int,), (), (ValueError, 1, None, 4)):
        with pytest.raises(TypeError):
            c.throw(*args)
    c.close()


@WAYS
def test_throw_of_a_class_and_its_value(way: Any) -> None:
    c = way(echo)(1)
    c.send(None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with pytest.raises(ValueError, match="text"):
            c.throw(ValueError, "text", None)


@WAYS
def test_close(way: Any) -> None:
    seen = []

    async def f() -> None:
        try:
            await give(1)
        except GeneratorExit:
            seen.append("closed")
            raise

    c = way(f)()
    c.send(None)
    c.close()
    c.close()
    assert seen == ["closed"]
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        c.send(None)


@WAYS
def test_close_before_it_begins_warns_of_nothing(way: Any) -> None:
    c = way(echo)(1)
    c.close()
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        c.send(None)
    del c
    gc.collect()


@WAYS
def test_close_that_raises(way: Any) -> None:
    async def f() -> None:
        try:
            await give(1)
        finally:
            raise KeyError("in finally")

    c = way(f)()
    c.send(None)
    with pytest.raises(KeyError, match="in finally"):
        c.close()


@WAYS
def test_close_that_is_ignored(way: Any) -> None:
    async def f() -> None:
        try:
            await give(1)
        except GeneratorExit:
            await give(2)

    c = way(f)()
    c.send(None)
    with pytest.raises(RuntimeError, match="coroutine ignored GeneratorExit"):
        c.close()


@WAYS
def test_close_that_returns(way: Any) -> None:
    async def f() -> None:
        try:
            await give(1)
        except GeneratorExit:
            return

    c = way(f)()
    c.send(None)
    c.close()


@WAYS
@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
def test_stop_iteration_of_the_users(way: Any, kind: type[Exception]) -> None:
    async def f() -> None:
        raise kind("mine")

    with pytest.raises((RuntimeError, StopAsyncIteration)) as caught:
        drive(way(f)())
    if kind is StopIteration:
        assert "coroutine raised StopIteration" in str(caught.value)
        assert isinstance(caught.value.__cause__, StopIteration)


@pytest.mark.parametrize("option", ["before_sleep", "printer", "on", "retry_if_result"])
def test_stop_iteration_of_a_callback(option: str) -> None:
    def stop(_: Any) -> None:
        raise StopIteration("mine")

    async def fail() -> None:
        raise ValueError

    options: dict[str, Any] = {option: stop}
    c = retry(2, 0, **options)(echo if option == "retry_if_result" else fail)()
    with pytest.raises(RuntimeError, match="coroutine raised StopIteration") as caught:
        drive(c)
    assert isinstance(caught.value.__cause__, StopIteration)


@WAYS
def test_entered_while_it_runs(way: Any) -> None:
    errors = []

    async def f() -> None:
        for use in (lambda: c.send(None), lambda: c.throw(ValueError), c.close):
            try:
                use()
            except ValueError as error:
                errors.append(str(error))

    c = way(f)()
    drive(c)
    assert errors == ["coroutine already executing"] * 3


@WAYS
def test_entered_from_another_thread(way: Any) -> None:
    errors = []

    def enter() -> None:
        try:
            c.send(None)
        except ValueError as error:
            errors.append(str(error))

    async def f() -> None:
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()

    c = way(f)()
    drive(c)
    assert errors == ["coroutine already executing"]


def test_attributes_while_another_thread_goes_on() -> None:
    c = retry(10**6, 0)(lost)()
    driver = threading.Thread(target=lambda: [c.send(None) for _ in range(3000)])
    driver.start()
    while driver.is_alive():
        c.cr_await, c.cr_frame, repr(c)  # noqa: B018
    driver.join()
    c.close()


async def lost() -> None:
    await give(1)
    raise ValueError


# ---- what it looks like


@WAYS
def test_it_is_a_coroutine(way: Any) -> None:
    c = way(echo)(1)
    assert inspect.isawaitable(c)
    assert isinstance(c, collections.abc.Coroutine)
    assert isinstance(c, collections.abc.Awaitable)
    assert asyncio.iscoroutine(c)
    assert (c.__name__, c.__qualname__) == ("echo", "echo")
    assert repr(c).startswith("<coroutine object echo at 0x")
    assert weakref.ref(c)() is c
    c.close()


@WAYS
def test_states(way: Any) -> None:
    states = []

    async def f() -> None:
        states.append((c.cr_running, inspect.getcoroutinestate(c)))
        await give(1)

    c = way(f)()
    assert inspect.getcoroutinestate(c) == inspect.CORO_CREATED
    c.send(None)
    assert inspect.getcoroutinestate(c) == inspect.CORO_SUSPENDED
    assert c.cr_frame.f_code is c.cr_code is f.__code__
    assert c.cr_await is not None
    c.close()
    assert inspect.getcoroutinestate(c) == inspect.CORO_CLOSED
    assert (c.cr_frame, c.cr_await, c.cr_running) == (None, None, False)
    assert c.cr_code is f.__code__
    assert states == [(True, inspect.CORO_RUNNING)]


@WAYS
def test_no_such_attribute(way: Any) -> None:
    c = way(echo)()
    for _ in range(2):
        with pytest.raises(AttributeError, match="nothing"):
            c.nothing  # noqa: B018
        c.close()


def test_type() -> None:
    c = retry(echo)()
    with pytest.raises(TypeError):
        type(c)()
    c.close()


@WAYS
def test_never_awaited(way: Any) -> None:
    with pytest.warns(RuntimeWarning, match="coroutine 'echo' was never awaited"):
        way(echo)(1)
        gc.collect()


@WAYS
def test_dropped_while_it_waits(way: Any) -> None:
    seen = []

    async def f() -> None:
        try:
            await give(1)
        finally:
            seen.append(sys.exc_info()[0])

    c = way(f)()
    c.send(None)
    del c
    assert seen == [GeneratorExit]


@WAYS
def test_traceback_shows_the_function(way: Any) -> None:
    async def inner() -> None:
        await asyncio.sleep(0)
        raise LookupError

    async def outer() -> None:
        await way(inner)()

    with pytest.raises(LookupError) as caught:
        asyncio.run(outer())
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-2:] == ["outer", "inner"]


# ---- in event loops


@WAYS
def test_tasks(way: Any) -> None:
    async def f(n: int) -> int:
        await asyncio.sleep(0)
        return n

    async def main() -> None:
        task = asyncio.create_task(way(f)(1))
        assert "f" in repr(task)
        assert await task == 1
        repr(task)
        assert await asyncio.gather(*(way(f)(n) for n in range(20))) == list(range(20))
        assert await asyncio.wait_for(way(f)(2), 60) == 2
        assert await asyncio.shield(way(f)(3)) == 3
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(way(f)(n)) for n in range(5)]
        assert [t.result() for t in tasks] == list(range(5))

    asyncio.run(main())


@WAYS
def test_cancelled_at_every_await(way: Any) -> None:
    async def f(done: list[int]) -> None:
        for n in range(4):
            await asyncio.sleep(0)
            done.append(n)

    async def main(turns: int) -> list[int]:
        done: list[int] = []
        task = asyncio.create_task(way(f)(done))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return done

    assert [len(asyncio.run(main(turns))) for turns in range(5)] == [0, 0, 1, 2, 3]


@WAYS
def test_context_is_the_tasks(way: Any) -> None:
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="outside")

    async def f() -> str:
        await asyncio.sleep(0)
        old = var.get()
        var.set("inside")
        return old

    async def main() -> None:
        var.set("main")
        assert await asyncio.create_task(way(f)()) == "main"
        assert var.get() == "main"
        assert await way(f)() == "main"
        assert var.get() == "inside"

    asyncio.run(main())


@WAYS
def test_trio(way: Any) -> None:
    trio = pytest.importorskip("trio")

    async def f(n: int) -> int:
        await trio.lowlevel.checkpoint()
        return n

    async def main() -> None:
        assert await way(f)(3) == 3
        async with trio.open_nursery() as nursery:
            for n in range(3):
                nursery.start_soon(way(f), n)
        with trio.CancelScope() as scope:
            scope.cancel()
            await way(f)(3)
        assert scope.cancelled_caught

    trio.run(main)
    assert trio.run(way(f), 4) == 4


# ---- inner things that are no coroutines


class Awaitable:
    """Gives whatever its iterator is."""

    def __init__(self, iterator: Any) -> None:
        self.iterator = iterator

    def __await__(self) -> Any:
        return self.iterator


def of(given: Any) -> Any:
    """A call that a wrapper takes for one of a coroutine function."""

    class Like:
        async def __call__(self) -> None: ...

    made = retry(1)(Like())
    Like.__call__ = lambda self: given  # type: ignore[assignment, method-assign]
    return made


def test_plain_iterators() -> None:
    f = of(Awaitable(iter([1, 2])))
    c = f()
    assert [c.send(None), c.send(None)] == [1, 2]
    with pytest.raises(StopIteration) as stop:
        c.send(None)
    assert stop.value.value is None


def test_throw_into_a_plain_iterator() -> None:
    error = KeyError("x")
    c = of(Awaitable(iter([1, 2])))()
    c.send(None)
    with pytest.raises(KeyError) as caught:
        c.throw(error)
    assert caught.value is error
    c = of(Awaitable(iter([1, 2])))()
    c.send(None)
    assert (c.cr_frame, c.cr_await, c.cr_running) == (None, None, False)
    with pytest.raises(ValueError, match="text"):
        c.throw(ValueError, "text")
    c = of(Awaitable(iter([1, 2])))()
    c.send(None)
    c.close()


@pytest.mark.parametrize("given", [5, None, Awaitable(5), Awaitable([])])
def test_what_cannot_be_awaited(given: Any) -> None:
    c = of(given)()
    with pytest.raises(TypeError, match="can't be used in 'await' expression|non-iterator"):
        c.send(None)


def test_await_that_raises() -> None:
    class Bad:
        def __await__(self) -> Any:
            raise LookupError("await")

    with pytest.raises(LookupError, match="await"):
        drive(of(Bad())())


def test_generator_coroutines() -> None:
    @types.coroutine
    def old() -> Iterator[Any]:
        return (yield 1)

    def plain() -> Iterator[Any]:
        yield 1

    c = of(old())()
    assert c.send(None) == 1
    with pytest.raises(StopIteration) as stop:
        c.send(7)
    assert stop.value.value == 7
    with pytest.raises(TypeError, match="generator can't be used in 'await' expression"):
        drive(of(plain())())


def test_attributes_that_raise() -> None:
    class Odd:
        def __iter__(self) -> Any:
            return self

        def __next__(self) -> int:
            return 1

        @property
        def throw(self) -> Any:
            raise LookupError("throw")

        @property
        def close(self) -> Any:
            raise LookupError("close")

    for use in ("throw", "close"):
        c = of(Awaitable(Odd()))()
        c.send(None)
        with pytest.raises(LookupError, match=use):
            c.throw(ValueError) if use == "throw" else c.close()


# ---- life


def test_arguments_go_when_it_ends() -> None:
    class Thing:
        pass

    for end in (drive, lambda c: c.close()):
        thing = Thing()
        ref = weakref.ref(thing)

        async def f(*args: Any, **kwargs: Any) -> None: ...

        c = retry(f)(thing, 1, 2, 3, 4, k=thing)
        del thing
        assert ref() is not None
        end(c)
        assert ref() is None


def test_error_goes_when_it_ends() -> None:
    class Thing:
        pass

    thing = Thing()
    ref = weakref.ref(thing)

    async def f(held: Any) -> None:
        raise ValueError

    c = retry(2, 0)(f)(thing)
    del thing
    with pytest.raises(ValueError):
        while True:
            c.send(None)
    gc.collect()  # pytest's own frames
    assert ref() is None


def test_cycle() -> None:
    class Thing:
        pass

    async def f(*args: Any) -> None:
        await give(1)

    refs = []
    for begun in (False, True):
        thing: Any = Thing()
        thing.coroutine = retry(f)(thing, thing, thing, thing, thing)
        if begun:
            thing.coroutine.send(None)
        else:
            thing.coroutine.close()
        refs.append(weakref.ref(thing))
        del thing
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_cycle_through_the_wrapper() -> None:
    async def f() -> None:
        await give(1)

    wrapped: Any = retry(f)
    wrapped.kept = wrapped()
    wrapped.kept.send(None)
    ref = weakref.ref(wrapped)
    del wrapped
    gc.collect()
    assert ref() is None


def test_resurrected() -> None:
    kept: list[Any] = []

    async def f() -> None:
        try:
            await give(1)
        finally:
            kept.append(ref())

    c = retry(f)()
    ref = weakref.ref(c)
    c.send(None)
    del c
    assert kept[0].cr_frame is None
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        kept[0].send(None)
    kept.clear()
    assert ref() is None


def test_memory_is_used_again() -> None:
    """One that the collector has finalized, one that was dropped, one that ended: then others."""

    async def f(n: int) -> int:
        await give(n)
        return n

    wrapped = retry(f)
    for _ in range(3):
        kept = [wrapped(n) for n in range(100)]
        assert [c.send(None) for c in kept] == list(range(100))
        del kept[50:]
        for c in kept:
            with pytest.raises(StopIteration):
                c.send(None)
    gc.collect()


def test_deep_stacks() -> None:
    f: Function = echo
    for _ in range(20_000):
        f = retry(1)(f)
    with pytest.raises(RecursionError):
        drive(f())
    del f


def test_deep_recursion() -> None:
    @retry
    async def down(n: int) -> int:
        return 0 if n == 0 else 1 + await down(n - 1)

    assert drive(down(100)) == 100
    with pytest.raises(RecursionError):
        drive(down(100_000))


SETUP = """
import logging, types
logging.getLogger("ferrule.calls").setLevel(logging.ERROR)
from ferrule._calls import retry

@types.coroutine
def give(value):
    return (yield value)

async def f(*values, **others):
    return [await give(value) for value in values]

async def fail(*values):
    await give(1)
    raise ValueError("x")

g, h = retry(1)(f), retry(2, 0)(fail)

def drive(c):
    try:
        while True:
            c.send(None)
    except StopIteration as stop:
        return stop.value
    except ValueError:
        return None
"""


def test_no_leak() -> None:
    space: dict[str, Any] = {}
    exec(SETUP, space)
    g, h, run = space["g"], space["h"], space["drive"]

    def thrown() -> None:
        c = g(1)
        c.send(None)
        c.throw(KeyError)

    def closed() -> None:
        c = g(1)
        c.send(None)
        c.close()
        g(1).close()

    def dropped() -> None:
        c = g(1)
        c.send(None)

    no_leak(lambda: run(g(1, 2, k=3)))
    no_leak(lambda: run(g(*range(9))))
    no_leak(lambda: run(h()), rounds=200)
    no_leak(thrown, raises=KeyError)
    no_leak(closed)
    no_leak(dropped)
    no_leak(lambda: run(h(1, 2, bad=3)), raises=TypeError, rounds=200)


#: Without a frame of Python's that an exception leaves: one that finds no memory then loses the
#: exception, or crashes (3.13: bare coroutines do).
WITHOUT_FRAMES = (
    SETUP
    + """
from collections import deque

class Once:
    def __init__(self, texts):
        self.texts = texts
    def __await__(self):
        return map(int, self.texts)

class Like:
    async def __call__(self, texts, *more, **others):
        pass

k = retry(3, 0)(Like())
Like.__call__ = lambda self, texts, *more, **others: Once(texts.pop())
exhaust = deque(maxlen=0).extend
"""
)


def test_oom() -> None:
    assert walk_oom("exhaust(g(1, 2, 3, k=4)); exhaust(g(*range(9)))", setup=WITHOUT_FRAMES)
    assert walk_oom("exhaust(k([['1'], ['1'], ['1', 'x']]))", setup=WITHOUT_FRAMES)
    assert walk_oom(
        """
        try:
            exhaust(k([['x'], ['y'], ['1', 'x']], 1, k=2))
        except ValueError:
            pass
        """,
        setup=WITHOUT_FRAMES,
    )
    assert walk_oom(
        "c = k([['1', '2']] * 3); next(c); c.close(); c = k([['1', '2']] * 3); next(c); del c",
        setup=WITHOUT_FRAMES,
    )
    assert walk_oom(
        """
        c = k([['1', '2']] * 4)
        next(c)
        try:
            c.throw(KeyError)
        except KeyError:
            pass
        """,
        setup=WITHOUT_FRAMES,
    )


def test_subinterpreter() -> None:
    code = SETUP + "assert drive(g(1, 2)) == [None, None]\n"
    if sys.version_info[:2] != (3, 12):  # where asyncio breaks an interpreter with its own lock
        code += "drive(h())\n"
    in_subinterpreter(code + "kept = g(1)\nkept.send(None)")


def test_threads() -> None:
    counter = itertools.count()

    @retry(3, 0)
    async def f(n: int) -> int:
        await give(n)
        if next(counter) % 3:
            raise ValueError
        return n

    def work() -> None:
        for n in range(200):
            c = f(n)
            try:
                while True:
                    c.send(None)
            except (StopIteration, ValueError):
                pass

    run_threads(work)
    assert f.calls == 1600
