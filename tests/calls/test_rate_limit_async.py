"""rate_limit on coroutine functions: at once, waiting, cancelled, in asyncio and trio."""

import asyncio
import gc
import inspect
import time

import pytest


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time passes as soon as all wait."""

    def __init__(self):
        super().__init__()
        self.clock = Clock()

    def time(self):
        return self.clock.now

    def _run_once(self):
        waiting = [handle.when() for handle in self._scheduled if not handle.cancelled()]
        if not self._ready and waiting:
            self.clock.now = max(self.clock.now, min(waiting))
        super()._run_once()


@pytest.fixture
def loop():
    loop = Loop()
    yield loop
    loop.close()


async def give(*args, **kwargs):
    """Nothing but what it got."""
    return args, kwargs


def test_at_once_it_is_the_functions_own_coroutine(impl):
    limited = impl.rate_limit(1)(give)
    made = limited(1, x=2)
    assert inspect.iscoroutine(made)
    assert made.cr_code is give.__code__
    assert asyncio.run(made) == ((1,), {"x": 2})
    assert inspect.iscoroutinefunction(limited)


def test_calls_too_many_wait(impl, loop):
    limited = impl.rate_limit(4, clock=loop.clock)(give)
    times = []

    async def call(i):
        assert await limited(i, x=i) == ((i,), {"x": i})
        times.append((i, loop.clock.now))

    async def main():
        await asyncio.gather(*map(call, range(5)))

    loop.run_until_complete(main())
    assert [i for i, _ in times] == [0, 1, 2, 3, 4]
    assert [t for _, t in times] == pytest.approx([100, 100.25, 100.5, 100.75, 101], abs=1e-5)
    assert (limited.allowed, limited.waited, limited.rejected, limited.cancelled) == (5, 4, 0, 0)


def test_calls_too_many_are_refused(impl):
    clock = Clock()
    limited = impl.rate_limit(4, mode="raise", clock=clock)(give)

    async def main():
        await limited()
        with pytest.raises(impl.RateLimited):
            limited()
        clock.now += 0.25
        await limited()

    asyncio.run(main())
    assert (limited.allowed, limited.waited, limited.rejected) == (2, 0, 1)


def test_the_loop_goes_on(impl):
    limited = impl.rate_limit(20)(give)
    ticks = []

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.005)

    async def main():
        ticking = asyncio.create_task(tick())
        await asyncio.gather(limited(), limited())
        ticking.cancel()

    start = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - start >= 0.05
    assert len(ticks) > 1


def test_nothing_is_taken_before_the_await(impl, loop):
    limited = impl.rate_limit(1, clock=loop.clock)(give)

    async def main():
        await limited()
        waiting = [limited() for _ in range(3)]
        assert limited.retry_after() == pytest.approx(1)
        for made in waiting:
            made.close()
        assert limited.retry_after() == pytest.approx(1)
        await limited()

    loop.run_until_complete(main())
    assert loop.clock.now == pytest.approx(101, abs=1e-5)
    assert (limited.allowed, limited.waited, limited.cancelled) == (2, 1, 0)


@pytest.mark.parametrize("gone", [[0], [1], [2], [0, 1], [1, 0], [0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_who_is_cancelled_hands_the_permit_back(impl, loop, gone):
    """Tasks wait for 1, 2 and 3; some go; those who come then have the times that are free."""
    clock = loop.clock
    limited = impl.rate_limit(1, clock=clock)(give)
    times = []

    async def call():
        await limited()
        times.append(clock.now)

    async def main():
        await limited()
        tasks = [asyncio.create_task(call()) for _ in range(3)]
        await asyncio.sleep(0.1)
        for i in gone:
            tasks[i].cancel()
            with pytest.raises(asyncio.CancelledError):
                await tasks[i]
        tasks += [asyncio.create_task(call()) for _ in gone]
        await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(main())
    assert sorted(times) == pytest.approx([101, 102, 103], abs=1e-4)
    assert (limited.allowed, limited.waited, limited.cancelled) == (4, 3, len(gone))


def test_times_that_are_over_serve_nobody(impl, loop):
    clock = loop.clock
    limited = impl.rate_limit(1, clock=clock)(give)

    async def main():
        await limited()
        first = asyncio.create_task(limited())
        second = asyncio.create_task(limited())
        await asyncio.sleep(0.5)
        first.cancel()
        await asyncio.sleep(1)  # 101.5: the first's time is over
        await limited()
        assert second.done()

    loop.run_until_complete(main())
    assert clock.now == pytest.approx(103, abs=1e-4)


def test_all_who_wait_go(impl, loop):
    """A thousand tasks are cancelled in their order: as if they had never been."""
    limited = impl.rate_limit(1, clock=loop.clock)(give)

    async def main():
        await limited()
        tasks = [asyncio.create_task(limited()) for _ in range(1000)]
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert limited.retry_after() == pytest.approx(0.5, abs=1e-4)

    loop.run_until_complete(main())
    assert limited.cancelled == 1000


def test_timeouts(impl, loop):
    limited = impl.rate_limit(1, burst=2, clock=loop.clock)(give)

    async def main():
        await asyncio.gather(limited(), limited())
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(limited(), 0.25)
        assert limited.retry_after() == pytest.approx(0.25, abs=1e-4)
        await limited()

    loop.run_until_complete(main())
    assert (limited.allowed, limited.waited, limited.cancelled) == (3, 1, 3)


def test_cancelled_in_the_function_the_permit_is_spent(impl, loop):
    @impl.rate_limit(1, clock=loop.clock)
    async def forever():
        await asyncio.sleep(1e6)

    async def main():
        for _ in range(2):
            task = asyncio.create_task(forever())
            await asyncio.sleep(1.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    loop.run_until_complete(main())
    assert (forever.allowed, forever.cancelled) == (2, 0)


def test_what_the_function_raises(impl, loop):
    @impl.rate_limit(1, clock=loop.clock)
    async def fail(error):
        raise error

    async def main():
        for error in (ValueError("x"), ZeroDivisionError(), StopAsyncIteration()):
            with pytest.raises(type(error)):
                await fail(error)
        with pytest.raises(TypeError):
            await fail()

    loop.run_until_complete(main())
    assert (fail.allowed, fail.waited, fail.cancelled) == (4, 3, 0)


def test_keys(impl, loop):
    limited = impl.rate_limit(1, key=lambda x: x, clock=loop.clock, max_keys=2)(give)

    async def main():
        await asyncio.gather(limited("a"), limited("b"), limited("a"))
        assert loop.clock.now == pytest.approx(101, abs=1e-4)
        with pytest.raises(TypeError, match="unhashable"):
            limited([])
        await limited("b")
        with pytest.raises(impl.RateLimited, match="all keys are in use") as caught:
            await limited("c")
        assert caught.value.key == "c"

    loop.run_until_complete(main())
    assert (limited.allowed, limited.waited, limited.rejected) == (4, 1, 1)


def test_methods(impl, loop):
    class Client:
        @impl.rate_limit(1, clock=loop.clock)
        async def fetch(self, x):
            return self, x

        @impl.rate_limit(1, clock=loop.clock)
        @classmethod
        async def of_class(cls, x):
            return cls, x

    client = Client()

    async def main():
        for _ in range(2):
            assert await client.fetch(1) == (client, 1)
            assert await Client.of_class(2) == (Client, 2)

    loop.run_until_complete(main())
    assert Client.fetch.waited == 1


def test_a_waiting_one_that_is_forgotten_hands_back(native):
    """As when its loop has gone."""
    limited = native.rate_limit(1 / 3600)(give)
    limited().close()

    async def begin():
        made = limited()
        made.send(None)
        return [made]

    kept = asyncio.run(begin())
    assert limited.retry_after() > 3700
    kept.clear()
    gc.collect()
    assert limited.retry_after() < 3601
    assert limited.cancelled == 1


def test_closed_while_waiting(impl):
    limited = impl.rate_limit(1 / 3600)(give)
    limited().close()

    async def main():
        made = limited()
        made.send(None)
        made.close()
        made.close()
        with pytest.raises(RuntimeError):
            made.send(None)
        thrown = limited()
        thrown.send(None)
        with pytest.raises(ZeroDivisionError):
            thrown.throw(ZeroDivisionError())

    asyncio.run(main())
    assert limited.retry_after() < 3601
    assert (limited.allowed, limited.cancelled) == (1, 2)


def test_sleeps_that_fail(impl, monkeypatch):
    def fail(_):
        raise ZeroDivisionError

    limited = impl.rate_limit(1 / 3600)(give)
    limited().close()
    monkeypatch.setattr(asyncio, "sleep", fail)

    async def main():
        with pytest.raises(ZeroDivisionError):
            await limited()

    asyncio.run(main())
    assert (limited.allowed, limited.cancelled) == (1, 1)
    assert limited.retry_after() < 3601


def test_sleeps_that_end_early(impl, loop, monkeypatch):
    slept = []
    sleep = asyncio.sleep

    async def short(seconds):
        slept.append(seconds)
        await sleep(min(seconds, 0.4))

    limited = impl.rate_limit(1, clock=loop.clock)(give)
    monkeypatch.setattr(asyncio, "sleep", short)

    async def main():
        await limited()
        await limited()

    loop.run_until_complete(main())
    assert loop.clock.now >= 101
    assert len(slept) >= 3
    assert limited.waited == 1


def test_awaitables_that_are_no_coroutine_functions(impl, loop):
    """A function that gives an awaitable waits where it is called, as any function."""

    class Call:
        async def __call__(self, x):
            return x

    limited = impl.rate_limit(1, clock=loop.clock)(Call())

    async def main():
        return [await limited(1), await limited(2)]

    assert loop.run_until_complete(main()) == [1, 2]
    assert limited.waited == 1


def test_in_trio(impl):
    trio = pytest.importorskip("trio")
    limited = impl.rate_limit(100)(give)

    async def main():
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(limited)
        with trio.move_on_after(0.001):
            await limited()

    trio.run(main)
    assert (limited.allowed, limited.cancelled) == (4, 1)
    assert limited.waited == 3


def test_a_reset_voids_the_permits_of_those_who_wait(impl, loop):
    limited = impl.rate_limit(1, clock=loop.clock)(give)

    async def main():
        await limited()
        tasks = [asyncio.create_task(limited()) for _ in range(3)]
        await asyncio.sleep(0.5)
        limited.reset()
        await limited()
        tasks[0].cancel()
        await asyncio.sleep(0)
        assert limited.retry_after() == pytest.approx(1, abs=1e-4)
        await asyncio.gather(*tasks, return_exceptions=True)

    loop.run_until_complete(main())
