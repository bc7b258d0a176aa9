"""cache over coroutine functions: one flight for each event loop, cancellation, other drivers."""

import asyncio
import collections.abc
import functools
import gc
import inspect
import threading
import weakref

import pytest


class Work:
    """A coroutine function that counts and can be held up."""

    def __init__(self):
        self.begun, self.ended, self.cancelled = [], [], []
        self.gate = None
        self.error = None

    def hold(self):
        self.gate = asyncio.Event()
        return self.gate

    async def __call__(self, x, **kwargs):
        self.begun.append(x)
        try:
            await asyncio.sleep(0)
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(x)
            raise
        if self.error is not None:
            raise self.error
        self.ended.append(x)
        return [x]


def cached_work(impl, *args, **options):
    work = Work()

    async def func(x, **kwargs):
        return await work(x, **kwargs)

    return work, impl.cache(*args or (None,), **options)(func)


async def turns(count=10):
    for _ in range(count):
        await asyncio.sleep(0)


def drive(awaitable):
    """Run to its end what never waits."""
    try:
        awaitable.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


def test_results_are_cached(impl):
    work, cached = cached_work(impl, 2)

    async def main():
        one = await cached(1)
        assert await cached(1) is one == [1]
        assert await cached(1, y=2) is not one
        assert await cached(2) == [2]
        assert await cached(1) is not one

    asyncio.run(main())
    assert work.begun == [1, 1, 2, 1]
    assert cached.cache_info() == (1, 4, 2, 2)


def test_over_several_loops_in_sequence(impl):
    work, cached = cached_work(impl)

    async def main():
        return await asyncio.gather(*[cached(i % 3) for i in range(9)])

    for _ in range(3):
        assert asyncio.run(main()) == [[0], [1], [2]] * 3
    assert work.begun == [0, 1, 2]
    assert cached.cache_info() == (24, 3, None, 3)


def test_one_flight_for_all_who_wait(impl):
    work, cached = cached_work(impl)

    async def main():
        gate = work.hold()
        tasks = [asyncio.create_task(cached(1)) for _ in range(50)]
        await turns()
        assert work.begun == [1]
        gate.set()
        results = await asyncio.gather(*tasks)
        assert all(result is results[0] for result in results)

    asyncio.run(main())
    assert cached.cache_info() == (49, 1, None, 1)


def test_exceptions_go_to_all_and_are_not_kept(impl):
    work, cached = cached_work(impl)

    async def main():
        gate = work.hold()
        work.error = ZeroDivisionError("no")
        tasks = [asyncio.create_task(cached(1)) for _ in range(5)]
        await turns()
        gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [ZeroDivisionError] * 5
        assert cached.cache_info() == (0, 5, None, 0)
        work.error = None
        assert await cached(1) == [1]

    asyncio.run(main())
    assert work.begun == [1, 1]
    assert cached.cache_info() == (0, 6, None, 1)


def test_who_is_cancelled_leaves_the_work_to_the_others(impl):
    work, cached = cached_work(impl)

    async def main():
        gate = work.hold()
        tasks = [asyncio.create_task(cached(1)) for _ in range(4)]
        await turns()
        tasks[0].cancel()
        tasks[2].cancel()
        await turns()
        assert [task.done() for task in tasks] == [True, False, True, False]
        assert tasks[0].cancelled() and tasks[2].cancelled()
        gate.set()
        assert await tasks[1] is await tasks[3]

    asyncio.run(main())
    assert (work.begun, work.cancelled) == ([1], [])
    assert cached.cache_info().currsize == 1


def test_when_all_are_cancelled_so_is_the_work(impl):
    work, cached = cached_work(impl)

    async def main():
        work.hold()
        tasks = [asyncio.create_task(cached(1)) for _ in range(3)]
        await turns()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        assert work.cancelled == [1]  # over by the time the last one is told
        assert len(asyncio.all_tasks()) == 1
        work.gate = None
        assert await cached(1) == [1]

    asyncio.run(main())
    assert work.begun == [1, 1]
    assert cached.cache_info().currsize == 1


def test_a_caller_who_comes_while_the_work_is_cancelled_begins_anew(impl):
    begun = 0
    tidy = None

    @impl.cache
    async def f(x):
        nonlocal begun
        begun += 1
        if begun > 1:
            return begun
        try:
            await asyncio.Event().wait()
        finally:
            await tidy.wait()

    async def main():
        nonlocal tidy
        tidy = asyncio.Event()
        first = asyncio.create_task(f(1))
        await turns()
        first.cancel()
        await turns()
        assert not first.done()
        assert await f(1) == 2
        first.cancel()  # impatient
        tidy.set()
        await asyncio.wait([first])
        assert first.cancelled()
        assert await f(1) == 2

    asyncio.run(main())


def test_a_timeout(impl):
    work, cached = cached_work(impl)

    async def main():
        gate = work.hold()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await cached(1)
        assert work.cancelled == [1]
        gate.set()
        async with asyncio.timeout(30):
            assert await cached(1) == [1]

    asyncio.run(main())


def test_work_that_is_cancelled_from_inside(impl):
    begun = 0

    @impl.cache
    async def f(x):
        nonlocal begun
        begun += 1
        await asyncio.sleep(0)
        raise asyncio.CancelledError

    async def main():
        tasks = [asyncio.create_task(f(1)) for _ in range(3)]
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)

    asyncio.run(main())
    assert begun == 3  # each that waited took over
    assert f.cache_info().currsize == 0


def test_a_loop_that_ends_takes_its_flights_along(impl):
    work, cached = cached_work(impl)

    async def main():
        work.hold()
        waiting = asyncio.create_task(cached(1))
        await turns()
        assert not waiting.done()

    asyncio.run(main())
    assert work.cancelled == [1]
    work.gate = None
    assert asyncio.run(main_of(cached, 1)) == [1]
    assert cached.cache_info().currsize == 1


async def main_of(cached, *args):
    return await cached(*args)


def test_a_loop_that_was_closed_in_the_middle(impl):
    work, cached = cached_work(impl)

    async def begin():
        work.hold()
        waiting = asyncio.ensure_future(cached(1))
        await turns()
        return [waiting, *asyncio.all_tasks()]

    loop = asyncio.new_event_loop()
    tasks = loop.run_until_complete(begin())
    loop.close()
    work.gate = None
    assert asyncio.run(main_of(cached, 1)) == [1]
    assert work.begun == [1, 1]
    for task in tasks:
        task._log_destroy_pending = False  # nobody is left to end it


def test_loops_in_two_threads(impl):
    both = threading.Barrier(2)
    begun = []

    @impl.cache
    async def f(x):
        begun.append(x)
        await asyncio.to_thread(both.wait, 30)
        return object()

    results = []
    threads = [
        threading.Thread(target=lambda: results.append(asyncio.run(main_of(f, 1))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert begun == [1, 1] and len(results) == 2
    assert asyncio.run(main_of(f, 1)) in results
    assert f.cache_info() == (1, 2, None, 1)


def test_recursion_on_the_same_key(impl):
    depth = 0

    @impl.cache
    async def again(x):
        nonlocal depth
        depth += 1
        return x if depth > 3 else await again(x) + 1

    async def main():
        assert await again(1) == 4
        assert await again(1) == 1

    asyncio.run(main())
    assert again.cache_info() == (1, 4, None, 1)


def test_flights_that_want_each_other(impl):
    both = None

    @impl.cache
    async def f(x):
        await both.wait()
        other = 3 - x
        return x if (x, other) in seen else (seen.add((other, x)), await f(other))[1]

    seen = set()

    async def main():
        nonlocal both
        both = asyncio.Event()
        tasks = [asyncio.create_task(f(1)), asyncio.create_task(f(2))]
        await turns()
        both.set()
        async with asyncio.timeout(30):
            return await asyncio.gather(*tasks)

    assert asyncio.run(main())


def test_a_tree_of_tasks(impl):
    calls = []

    @impl.cache
    async def fib(n):
        calls.append(n)
        if n < 2:
            return n
        return sum(await asyncio.gather(fib(n - 1), fib(n - 2)))

    assert asyncio.run(main_of(fib, 30)) == 832040
    assert len(calls) < 300  # each once, but where two would wait for each other


def test_clear_while_computing(impl):
    work, cached = cached_work(impl)

    async def main():
        gate = work.hold()
        old = asyncio.create_task(cached(1))
        await turns()
        cached.cache_clear()
        new = asyncio.create_task(cached(1))
        await turns()
        gate.set()
        assert await old is not await new
        assert await cached(1) is await new

    asyncio.run(main())
    assert work.begun == [1, 1]
    assert cached.cache_info().currsize == 1


def test_without_single_flight(impl):
    work, cached = cached_work(impl, single_flight=False)

    async def main():
        results = await asyncio.gather(*[cached(1) for _ in range(3)])
        assert await cached(1) is results[0]

    asyncio.run(main())
    assert work.begun == [1, 1, 1]
    assert cached.cache_info() == (1, 3, None, 1)


def test_ttl(impl):
    now = 0.0
    work, cached = cached_work(impl, 5, ttl=10, clock=lambda: now)

    async def main():
        nonlocal now
        one = await cached(1)
        now = 9.0
        assert await cached(1) is one
        waiting = cached(2)
        now = 10.0
        assert await cached(1) is not one
        assert await waiting == [2]

    asyncio.run(main())
    assert cached.cache_info() == (1, 3, 5, 2)


def test_a_clock_that_fails(impl):
    count = 0

    def clock():
        nonlocal count
        count += 1
        if count > 2:
            raise ZeroDivisionError
        return 1.0

    work, cached = cached_work(impl, 5, ttl=10, clock=clock)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(main_of(cached, 1))
    assert work.ended == [1]
    assert cached.cache_info().currsize == 0


def test_methods(impl):
    class A:
        @impl.cache(3)
        async def method(self, x):
            await asyncio.sleep(0)
            return [x]

    async def main():
        a, b = A(), A()
        assert await a.method(1) is await a.method(1)
        assert await a.method(1) is not await b.method(1)
        assert A.method.cache_info() == (2, 2, 3, 2)
        ref = weakref.ref(a)
        del a
        gc.collect()
        assert ref() is None
        assert A.method.cache_info() == (2, 2, 3, 1)
        ref = weakref.ref(b)
        waiting = asyncio.create_task(b.method(2))
        del b
        await turns(2)
        assert await waiting == [2]
        del waiting
        await turns(2)
        gc.collect()
        assert ref() is None

    asyncio.run(main())
    assert inspect.iscoroutinefunction(A.method) and inspect.iscoroutinefunction(A().method)


def test_size_zero(impl):
    work, cached = cached_work(impl, 0)
    assert asyncio.run(main_of(cached, 1)) is not asyncio.run(main_of(cached, 1))
    assert cached.cache_info() == (0, 2, 0, 0)


def test_unhashable(impl):
    _, cached = cached_work(impl)
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        cached([])


# ---- what is handed out


async def at_once(x):
    return x


def test_what_is_handed_out_is_a_coroutine(impl):
    cached = impl.cache(at_once)
    for _ in range(2):  # not there, there
        made = cached(1)
        assert isinstance(made, collections.abc.Coroutine)
        assert asyncio.iscoroutine(made)
        assert inspect.isawaitable(made)
        assert asyncio.run(made) == 1
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            made.send(None)
    assert cached.cache_info() == (1, 1, None, 1)


def test_driven_by_hand(impl):
    cached = impl.cache(at_once)
    assert drive(cached(1)) == drive(cached(1)) == 1
    assert drive(cached((1, 2)).__await__()) == drive(cached((1, 2)).__await__()) == (1, 2)
    for value in (StopIteration(5), (1, 2), ()):
        assert drive(cached(value)) is drive(cached(value)) is value


def test_a_hit_that_is_not_awaited(impl):
    cached = impl.cache(at_once)
    drive(cached(1))
    made = cached(1)
    made.close()
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        made.send(None)
    made = cached(1)
    for error in (ZeroDivisionError("a"), ZeroDivisionError):
        with pytest.raises(ZeroDivisionError):
            cached(1).throw(error)
    with pytest.raises(TypeError, match="can't send non-None value"):
        made.send(5)
    with pytest.raises(TypeError):
        made.throw(5)
    made.close()
    del made


def test_a_miss_that_is_not_awaited(impl):
    cached = impl.cache(at_once)
    with pytest.warns(RuntimeWarning, match="coroutine 'at_once' was never awaited"):
        cached(1)
        gc.collect()
    assert cached.cache_info() == (0, 0, None, 0)
    assert drive(cached(1)) == 1
    made = cached(2)
    made.close()
    assert drive(cached(2)) == 2
    assert cached.cache_info() == (0, 2, None, 2)


def test_a_miss_that_is_there_when_it_is_awaited(impl):
    cached = impl.cache(at_once)
    first, second = cached(1), cached(1)
    assert drive(second) == drive(first) == 1
    assert cached.cache_info() == (1, 1, None, 1)


def test_tasks_and_gather(impl):
    cached = impl.cache(at_once)

    async def main():
        assert await asyncio.create_task(cached(1)) == 1
        assert await asyncio.create_task(cached(1)) == 1
        assert await asyncio.wait_for(cached(1), 30) == 1
        assert await asyncio.gather(cached(1), cached(2), cached(1)) == [1, 2, 1]
        async with asyncio.TaskGroup() as group:
            task = group.create_task(cached(2))
        assert task.result() == 2

    asyncio.run(main())


def test_functions_marked_as_coroutine_functions(impl):
    cached = impl.cache(functools.partial(at_once, 5))
    assert drive(cached()) == drive(cached()) == 5
    assert cached.cache_info() == (1, 1, None, 1)


def test_no_task_is_left(impl):
    work, cached = cached_work(impl)

    async def main():
        for i in range(20):
            await cached(i % 4)
        await turns()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert work.begun == [0, 1, 2, 3]


# ---- trio


def test_trio(impl):
    trio = pytest.importorskip("trio")
    calls = []

    @impl.cache(10)
    async def f(x):
        calls.append(x)
        await trio.sleep(0)
        if x < 0:
            raise ZeroDivisionError
        return [x]

    async def main():
        one = await f(1)
        assert await f(1) is one == [1]
        with pytest.raises(ZeroDivisionError):
            await f(-1)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(f, 2)
        with trio.move_on_after(0):
            await f(3)
        return await f(3)

    assert trio.run(main) == [3]
    assert trio.run(f, 3) == [3]
    assert calls == [1, -1, 2, 2, 2, 3, 3]
    assert f.cache_info() == (2, 7, 10, 3)
