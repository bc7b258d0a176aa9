"""retry of coroutine functions: attempts, awaited hooks, cancellation at every await, trio."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

LOGGER = "ferrule.calls"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logger = logging.getLogger(LOGGER)
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What asyncio.sleep was called with; it gives way once."""
    slept: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return slept


class Flaky:
    """Makes coroutine functions that fail `failures` times."""

    def __init__(self, failures: int, error: Callable[[int], BaseException] = ValueError) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    async def run(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        await asyncio.sleep(0)
        if self.calls <= self.failures:
            raise self.error(self.calls)
        return args, kwargs


async def pause() -> None:
    """One turn of the loop, whatever asyncio.sleep is."""
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    await future


@pytest.mark.parametrize("failures", [0, 1, 2])
async def test_failures_then_success(impl: ModuleType, sleeps: list[float], failures: int) -> None:
    flaky = Flaky(failures)
    wrapped = impl.retry(3, 0.5)(flaky.run)
    assert await wrapped(1, k=2) == ((1,), {"k": 2})
    assert [s for s in sleeps if s] == [0.5, 1.0][:failures]
    assert (wrapped.calls, wrapped.retries, wrapped.failures) == (1, failures, 0)


async def test_all_fail(impl: ModuleType, sleeps: list[float]) -> None:
    flaky = Flaky(9)
    wrapped = impl.retry(3, 0.5)(flaky.run)
    with pytest.raises(ValueError) as caught:
        await wrapped()
    assert caught.value.args == (3,)
    assert caught.value.__context__ is None
    assert [(a.number, a.wait, a.text) for a in caught.value.retry_history] == [
        (1, 0.5, "1"),
        (2, 1.0, "2"),
        (3, 0.0, "3"),
    ]
    assert (wrapped.calls, wrapped.retries, wrapped.failures) == (1, 2, 1)


def test_it_is_a_coroutine_function(impl: ModuleType) -> None:
    @impl.retry
    async def f(x: int) -> int:
        return x

    assert inspect.iscoroutinefunction(f)
    assert asyncio.run(f(3)) == 3


async def test_methods(impl: ModuleType) -> None:
    class Service:
        n = 0

        @impl.retry(3, 0)
        async def plain(self, x: int, *, y: int = 0) -> Any:
            self.n += 1
            if self.n % 3:
                raise ValueError
            return self, x, y

        @impl.retry(3, 0)
        @classmethod
        async def of_class(cls) -> Any:
            cls.n += 1
            if cls.n % 3:
                raise ValueError
            return cls

    service = Service()
    assert await service.plain(1, y=2) == (service, 1, 2)
    assert await Service.plain(service, 1) == (service, 1, 0)
    assert await service.of_class() is Service


async def test_many_arguments(impl: ModuleType) -> None:
    flaky = Flaky(2)
    args, kwargs = tuple(range(30)), {f"k{i}": i for i in range(30)}
    assert await impl.retry(3, 0)(flaky.run)(*args, **kwargs) == (args, kwargs)


async def test_wrong_arguments_fail_in_the_await(impl: ModuleType, sleeps: list[float]) -> None:
    @impl.retry(2, 1)
    async def f() -> None: ...

    with pytest.raises(TypeError, match="positional argument") as caught:
        await f(1)
    assert len(caught.value.retry_history) == 2
    assert sleeps == [1.0]


async def test_partials_and_nested(impl: ModuleType) -> None:
    flaky = Flaky(5)
    partial = functools.partial(flaky.run, 1)
    inner = impl.retry(2, 0)(partial)
    outer = impl.retry(5, 0)(inner)
    assert await outer(2) == ((1, 2), {})
    assert (inner.calls, inner.retries, outer.calls, outer.retries) == (3, 3, 1, 2)


async def test_waits_of_nothing_give_way(impl: ModuleType, sleeps: list[float]) -> None:
    flaky = Flaky(2)

    @impl.retry(3, 0)
    async def f() -> None:
        flaky.calls += 1
        if flaky.calls < 3:
            raise ValueError

    await f()
    assert sleeps == [0.0, 0.0]


async def test_results(impl: ModuleType, sleeps: list[float]) -> None:
    results = iter([None, None, 5, None, None, None])

    @impl.retry(3, 1, retry_if_result=lambda r: r is None)
    async def poll() -> Any:
        return next(results)

    assert await poll() == 5
    assert sleeps == [1.0, 2.0]
    with pytest.raises(impl.RetryError, match="poll: the result was still rejected") as caught:
        await poll()
    assert caught.value.result is None
    assert poll.failures == 1


async def test_deadline(impl: ModuleType, sleeps: list[float]) -> None:
    now = 10.0

    @impl.retry(99, 1, backoff=1, deadline=8, clock=lambda: now)
    async def slow() -> None:
        nonlocal now
        now += 4
        raise ValueError

    with pytest.raises(ValueError):
        await slow()
    assert slow.attempts == 2

    broken = impl.retry(deadline=3, clock=lambda: float("nan"))(Flaky(0).run)
    with pytest.raises(ValueError, match="clock must give a finite number"):
        await broken()
    assert broken.failures == 1


# ---- hooks


async def test_hook_is_awaited(impl: ModuleType, sleeps: list[float]) -> None:
    order: list[Any] = []

    async def hook(attempt: Any) -> str:
        order.append(("begin", attempt.number, attempt.wait, type(attempt.error)))
        await pause()
        order.append(("end", list(sleeps)))
        return "ignored"

    wrapped = impl.retry(2, 3, before_sleep=hook)(Flaky(1).run)
    sleeps.clear()
    await wrapped()
    assert order == [("begin", 1, 3.0, ValueError), ("end", [0])]


async def test_other_hooks(impl: ModuleType) -> None:
    seen: list[int] = []
    futures: list[asyncio.Future[None]] = []

    def plain(attempt: Any) -> None:
        seen.append(attempt.number)

    def gives_a_future(attempt: Any) -> Awaitable[None]:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        futures.append(future)
        return future

    await impl.retry(3, 0, before_sleep=plain)(Flaky(2).run)()
    await impl.retry(3, 0, before_sleep=gives_a_future)(Flaky(2).run)()
    assert seen == [1, 2]
    assert [future.done() for future in futures] == [True, True]


async def test_hook_that_fails(impl: ModuleType, sleeps: list[float]) -> None:
    error = ValueError("original")

    async def hook(attempt: Any) -> None:
        await pause()
        raise LookupError("hook")

    def plain(attempt: Any) -> None:
        raise LookupError("hook")

    for bad in (hook, plain):
        flaky = Flaky(9, lambda n: error)
        wrapped = impl.retry(3, 1, before_sleep=bad)(flaky.run)
        with pytest.raises(LookupError, match="hook") as caught:
            await wrapped()
        assert caught.value.__context__ is error
        assert (flaky.calls, wrapped.failures) == (1, 1)


async def test_hook_for_results(impl: ModuleType) -> None:
    seen: list[Any] = []

    async def hook(attempt: Any) -> None:
        seen.append((attempt.error, attempt.result))

    results = iter([1, 2])

    @impl.retry(2, 0, before_sleep=hook, retry_if_result=lambda r: r == 1)
    async def f() -> int:
        return next(results)

    assert await f() == 2
    assert seen == [(None, 1)]


# ---- cancellation


async def until(task: asyncio.Task[Any], ready: Callable[[], bool]) -> None:
    for _ in range(100):
        if ready():
            return
        await pause()
    raise AssertionError("never came there")


@pytest.mark.parametrize("on", [Exception, BaseException, lambda e: True])
@pytest.mark.parametrize("where", ["call", "hook", "sleep", "second call"])
async def test_cancelled(impl: ModuleType, where: str, on: Any) -> None:
    reached = ""
    never = asyncio.get_running_loop().create_future()

    async def stop_at(place: str) -> None:
        nonlocal reached
        if place == where:
            reached = place
            await never

    calls = 0

    async def f() -> None:
        nonlocal calls
        calls += 1
        await stop_at("call" if calls == 1 else "second call")
        raise ValueError

    async def hook(attempt: Any) -> None:
        nonlocal reached
        await stop_at("hook")
        if where == "sleep":
            reached = "sleep"

    wrapped = impl.retry(3, 1000 if where == "sleep" else 0, on=on, before_sleep=hook)(f)
    task = asyncio.create_task(wrapped())
    await until(task, lambda: reached == where)
    if where == "sleep":
        await pause()
    task.cancel("enough")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert (wrapped.calls, wrapped.failures) == (1, 1)
    assert calls == (2 if where == "second call" else 1)


async def test_timeout(impl: ModuleType) -> None:
    wrapped = impl.retry(5, 1000)(Flaky(9).run)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await wrapped()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wrapped(), 0.01)
    assert wrapped.failures == 2


async def test_a_function_may_turn_cancellation_into_an_error(impl: ModuleType) -> None:
    waiting = asyncio.get_running_loop().create_future()
    calls = 0

    @impl.retry(2, 0)
    async def stubborn() -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            return calls
        try:
            await waiting
        except asyncio.CancelledError:
            raise OSError from None
        return 0

    task = asyncio.create_task(stubborn())
    await until(task, lambda: calls == 1)
    await pause()
    task.cancel()
    assert await task == 2  # the exception that came out of the function is what counts


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_never_swallowed(impl: ModuleType, error: type[BaseException]) -> None:
    @impl.retry(3, 0, on=BaseException)
    async def f() -> None:
        raise error

    coroutine = f()
    with pytest.raises(error):
        coroutine.send(None)
    assert (f.calls, f.retries, f.failures) == (1, 0, 1)


# ---- side by side


async def test_gather(impl: ModuleType, sleeps: list[float]) -> None:
    @impl.retry(3, 0)
    async def f(n: int, failed: list[int]) -> int:
        await pause()
        if len(failed) < n % 3:
            failed.append(n)
            raise ValueError
        return n

    results = await asyncio.gather(*(f(n, []) for n in range(300)))
    assert results == list(range(300))
    assert (f.calls, f.retries, f.failures) == (300, 300, 0)


async def test_context_variables(impl: ModuleType) -> None:
    var: contextvars.ContextVar[int] = contextvars.ContextVar("var", default=0)

    @impl.retry(3, 0)
    async def f() -> int:
        var.set(var.get() + 1)
        await pause()
        if var.get() < 3:
            raise ValueError
        return var.get()

    assert await asyncio.create_task(f()) == 3
    assert var.get() == 0
    assert await f() == 3
    assert var.get() == 3


async def test_recursive(impl: ModuleType) -> None:
    failed: set[int] = set()

    @impl.retry(2, 0)
    async def down(n: int) -> int:
        if n not in failed:
            failed.add(n)
            raise ValueError
        return 0 if n == 0 else 1 + await down(n - 1)

    assert await down(20) == 20
    assert (down.calls, down.retries) == (21, 21)


def test_trio(impl: ModuleType) -> None:
    trio = pytest.importorskip("trio")
    calls = 0

    @impl.retry(3, 0.001)
    async def f() -> int:
        nonlocal calls
        calls += 1
        await trio.lowlevel.checkpoint()
        if calls < 3:
            raise ValueError
        return calls

    @impl.retry(3, 1000)
    async def waits() -> None:
        raise ValueError

    async def main() -> None:
        assert await f() == 3
        with trio.move_on_after(0.01) as scope:
            await waits()
        assert scope.cancelled_caught

    trio.run(main)
    assert trio.run(f) == 4
    assert waits.failures == 1
