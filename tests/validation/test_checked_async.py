"""`checked` on coroutine functions, generator functions and async generator functions."""

import asyncio
import gc
import inspect
import sys
import types
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest


async def test_coroutine(impl):
    @impl.checked
    async def func(x: int) -> Annotated[int, impl.Lt(10)]:
        """Wait."""
        await asyncio.sleep(0)
        return x * 2

    assert inspect.iscoroutinefunction(func) and func.__doc__ == "Wait."
    assert await func(4) == 8
    assert await asyncio.create_task(func(4)) == 8
    with pytest.raises(TypeError, match="argument 'x'"):
        func("4")  # at the call
    with pytest.raises(TypeError, match="missing 1 required"):
        func()
    late = func(5)
    with pytest.raises(impl.ConstraintError, match=r"func\(\) result"):
        await late
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        await late


async def test_coroutine_without_a_result(impl):
    @impl.checked
    async def func(x: int):
        return x

    waiting = func(5)
    assert inspect.iscoroutine(waiting)
    assert await waiting == 5

    @impl.checked(result=False)
    async def other(x: int) -> str:
        return x

    assert await other(5) == 5


async def test_coroutine_result_that_becomes_another(impl):
    @impl.checked
    async def func(x: str) -> Annotated[str, impl.Strip]:
        return x

    assert await func(" x ") == "x"
    for value in ((1, 2), StopIteration(3), KeyError()):

        @impl.checked
        async def give() -> object:
            return value  # noqa: B023

        assert await give() is value
        assert await asyncio.gather(give()) == [value]


async def test_cancelled(impl):
    ended = []

    @impl.checked
    async def func() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(1)
        return 1

    task = asyncio.create_task(func())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [1]


class Pause:
    def __await__(self):
        got = yield "paused"
        return got


def test_driven_by_hand(impl):
    seen = []

    @impl.checked
    async def func(x: int) -> int:
        try:
            seen.append(await Pause())
        except LookupError:
            return "caught" if x else 5
        return x

    waiting = func(3)
    with pytest.raises(TypeError, match="just-started"):
        waiting.send(1)
    assert waiting.send(None) == "paused"
    with pytest.raises(StopIteration) as stop:
        waiting.send("sent")
    assert (stop.value.value, seen) == (3, ["sent"])

    waiting = func(0)
    assert waiting.send(None) == "paused"
    with pytest.raises(StopIteration) as stop:
        waiting.throw(LookupError())
    assert stop.value.value == 5
    waiting = func(1)
    waiting.send(None)
    with pytest.raises(TypeError, match="result"):
        waiting.throw(LookupError())
    waiting = func(1)
    waiting.send(None)
    with pytest.raises(ZeroDivisionError):
        waiting.throw(ZeroDivisionError())
    waiting = func(1)
    assert waiting.send(None) == "paused"
    waiting.close()
    waiting.close()
    with pytest.raises(RuntimeError):
        waiting.send(None)


def test_coroutine_object(native):
    @native.checked
    async def func(x: int) -> int:
        return await Pause()

    waiting = func(1)
    assert waiting.__name__ == "func" and waiting.cr_code is func.__code__
    assert asyncio.iscoroutine(waiting) and inspect.isawaitable(waiting)
    assert "coroutine object" in repr(waiting) and not waiting.cr_running
    assert weakref.ref(waiting)() is waiting
    assert next(iter(waiting)) == "paused"
    assert waiting.__await__() is waiting
    with pytest.raises(AttributeError):
        waiting.other  # noqa: B018
    with pytest.raises(TypeError, match="wanted an exception"):
        waiting.throw()
    waiting.close()
    func(1).close()  # and nobody says that it was never awaited


def test_closed_before_it_starts(impl):
    @impl.checked
    async def func(x: int) -> int:
        return x

    func(1).close()  # and nobody says that it was never awaited
    gc.collect()


@pytest.mark.filterwarnings("default")
def test_never_awaited(native):
    @native.checked
    async def func(x: int) -> int:
        return x

    with pytest.warns(RuntimeWarning, match="coroutine '.*func' was never awaited") as caught:
        func(1)
        gc.collect()
    assert len(caught) == 1


def test_stop_iteration_of_a_check(impl):
    def stop(value):
        raise StopIteration(5)

    @impl.checked
    async def func() -> Annotated[int, impl.Predicate(stop)]:
        return 1

    with pytest.raises((RuntimeError, impl.ConstraintError)):
        func().send(None)


class Future:
    """Awaited by an iterator that has neither send nor throw nor close."""

    def __await__(self):
        return iter(["waits"])


class Bad:
    def __await__(self):
        return 5


@pytest.mark.skipif(sys.version_info < (3, 12), reason="functions are marked from 3.12 on")
def test_other_awaitables(native):
    def give(what: Any) -> int:
        return what

    wrapped = native.checked(inspect.markcoroutinefunction(give))
    assert inspect.iscoroutinefunction(wrapped)
    waiting = wrapped(Future())
    assert waiting.send(None) == "waits"
    with pytest.raises(TypeError, match="result"):
        waiting.send(None)  # it ends with None
    waiting = wrapped(Future())
    with pytest.raises(LookupError):
        waiting.throw(LookupError)
    with pytest.raises(LookupError):
        waiting.throw(LookupError("a"))
    waiting.close()
    with pytest.raises(TypeError, match="can't be used in 'await' expression"):
        wrapped(5)
    with pytest.raises(TypeError, match=r"__await__\(\) returned non-iterator of type 'int'"):
        wrapped(Bad())


def test_generator_based_coroutine(native):
    @types.coroutine
    def steps() -> int:
        yield "waits"
        return "no int"

    @native.checked
    async def func(x: int) -> int:
        return await steps()

    waiting = func(1)
    assert waiting.send(None) == "waits"
    with pytest.raises(TypeError, match="result"):
        waiting.send(None)


def test_generators(impl):
    @impl.checked
    def count(n: int) -> Iterator[str]:
        yield from range(n)

    assert inspect.isgeneratorfunction(count)
    assert list(count(3)) == [0, 1, 2]
    with pytest.raises(TypeError, match="argument 'n'"):
        count("3")


async def test_async_generators(impl):
    @impl.checked
    async def count(n: int) -> AsyncIterator[str]:
        for i in range(n):
            yield i

    assert inspect.isasyncgenfunction(count)
    assert [i async for i in count(3)] == [0, 1, 2]
    with pytest.raises(TypeError, match="argument 'n'"):
        count("3")
