"""`counted`: calls begun, calls that raised, calls in progress."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import weakref

import pytest

from lifetime import run_threads


def add(a, b=2):
    """Add."""
    return a + b


def test_count(impl):
    wrapped = impl.counted(add)
    assert (wrapped.count, wrapped.errors, wrapped.active) == (0, 0, 0)
    assert [wrapped(1), wrapped(1, 3), wrapped(a=1, b=4)] == [3, 4, 5]
    assert (wrapped.count, wrapped.errors, wrapped.active) == (3, 0, 0)
    wrapped.reset()
    assert (wrapped.count, wrapped.errors) == (0, 0)


class Stop(BaseException):
    pass


@pytest.mark.parametrize("kind", [ValueError, Stop, KeyboardInterrupt, StopIteration])
def test_errors(impl, kind):
    error = kind("a")

    @impl.counted
    def fail():
        raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    assert (fail.count, fail.errors, fail.active) == (1, 1, 0)
    with pytest.raises(TypeError):
        fail(1)
    assert (fail.count, fail.errors) == (2, 2)


def test_counted_before_the_call(impl):
    @impl.counted
    def func():
        return func.count, func.active

    assert (func(), func()) == ((1, 1), (2, 1))


def test_recursion(impl):
    @impl.counted
    def down(n):
        return down(n - 1) if n else down.active

    assert down(30) == 31
    assert (down.count, down.active) == (31, 0)


def test_recursion_without_end(native):
    @native.counted
    def down(n):
        return down(n - 1) if n else down.active

    with pytest.raises(RecursionError):
        down(1_000_000)
    assert down.active == 0 and down.errors > 0


def test_reset_within_a_call(impl):
    @impl.counted
    def func():
        func.reset()
        return func.active

    assert func() == 1
    assert (func.count, func.errors, func.active) == (0, 0, 0)


def test_threads(impl):
    wrapped = impl.counted(lambda x: 1 // x)

    def work():
        for i in range(2000):
            if i % 10:
                wrapped(1)
            else:
                with pytest.raises(ZeroDivisionError):
                    wrapped(0)

    run_threads(work, 4)
    assert (wrapped.count, wrapped.errors, wrapped.active) == (8000, 800, 0)


async def test_coroutine(impl):
    @impl.counted
    async def wait(x):
        """Wait."""
        await asyncio.sleep(0)
        return x, wait.active

    assert inspect.iscoroutinefunction(wait)
    waiting = wait(5)
    assert (wait.count, wait.active) == (1, 0)
    assert await waiting == (5, 1)
    assert (wait.count, wait.errors, wait.active) == (1, 0, 0)


async def test_coroutines_in_progress(impl):
    go = asyncio.Event()

    @impl.counted
    async def wait(i):
        await go.wait()
        if i % 4 == 0:
            raise LookupError

    tasks = [asyncio.create_task(wait(i)) for i in range(20)]
    await asyncio.sleep(0)
    assert (wait.count, wait.active, wait.errors) == (20, 20, 0)
    tasks[1].cancel()
    await asyncio.sleep(0)
    assert (wait.active, wait.errors) == (19, 1)
    go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (wait.count, wait.active, wait.errors) == (20, 0, 6)


def test_coroutine_closed_or_dropped(impl):
    class Pause:
        def __await__(self):
            yield 1

    @impl.counted
    async def wait():
        await Pause()

    for end in (lambda waiting: waiting.close(), lambda waiting: None):
        waiting = wait()
        waiting.send(None)
        assert wait.active == 1
        end(waiting)
        del waiting
        gc.collect()
        assert wait.active == 0
    assert (wait.count, wait.errors) == (2, 2)


def test_coroutine_closed_before_it_began(native):
    @native.counted
    async def wait(): ...

    wait().close()
    assert (wait.count, wait.errors, wait.active) == (1, 0, 0)


def test_generators_count_when_made(impl):
    @impl.counted
    def steps():
        yield 1
        raise LookupError

    made = steps()
    assert (steps.count, steps.active) == (1, 0)
    with pytest.raises(LookupError):
        list(made)
    assert steps.errors == 0


def test_on_methods(impl):
    class Thing:
        @impl.counted
        def method(self, x):
            return self, x

        @impl.counted
        @staticmethod
        def static(x):
            return x

        @classmethod
        @impl.counted
        def of_class(cls, x):
            return cls, x

    thing = Thing()
    assert thing.method(1) == (thing, 1)
    assert thing.method.count == Thing.method.count == 1
    assert (thing.static(2), Thing.static.count) == (2, 1)
    assert (thing.of_class(3), Thing.of_class.count) == ((Thing, 3), 1)


def test_stacked_each_counts_its_own(impl):
    lines = []

    class Thing:
        @impl.counted
        @impl.timer(printer=lines.append)
        @impl.logged(printer=lines.append)
        @impl.counted
        def method(self, x: int) -> int:
            """Of the instance."""
            return 10 // x

        @impl.timer
        @impl.counted
        @impl.logged(printer=lines.append, result=True)
        async def wait(self, x: int) -> int:
            """Wait."""
            await asyncio.sleep(0)
            return 10 // x

    thing = Thing()
    assert (thing.method(5), len(lines)) == (2, 2)
    with pytest.raises(ZeroDivisionError):
        thing.method(0)
    outer, timed = Thing.method, Thing.method.__wrapped__
    inner = timed.__wrapped__.__wrapped__
    assert [(c.count, c.errors) for c in (outer, timed, inner)] == [(2, 1)] * 3
    assert asyncio.run(thing.wait(5)) == 2
    with pytest.raises(ZeroDivisionError):
        asyncio.run(thing.wait(0))
    assert [(c.count, c.errors) for c in (Thing.wait, Thing.wait.__wrapped__)] == [(2, 1)] * 2
    assert lines[-3:] == ["Calling wait", "wait returned 2", "Calling wait"]
    for name, doc in (("method", "Of the instance."), ("wait", "Wait.")):
        wrapped = vars(Thing)[name]
        assert (wrapped.__name__, wrapped.__doc__) == (name, doc)
        assert wrapped.__qualname__.endswith(f"Thing.{name}")
        assert str(inspect.signature(getattr(thing, name))) == "(x: 'int') -> 'int'"
    assert inspect.iscoroutinefunction(thing.wait)


def test_own_attributes_win(impl):
    def func(): ...

    func.count, func.other = "theirs", "theirs"
    wrapped = impl.counted(func)
    assert (wrapped.count, wrapped.other) == (0, "theirs")
    for name in ("count", "errors", "active"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(wrapped, name, 5)


def test_identity(impl):
    wrapped = impl.counted(add)
    assert (wrapped.__name__, wrapped.__doc__) == ("add", "Add.")
    assert inspect.signature(wrapped) == inspect.signature(add)
    assert isinstance(wrapped, impl.Counted) and isinstance(wrapped, impl.Wrapper)
    assert repr(wrapped) == f"<Counted of {add!r}>"


@pytest.mark.parametrize("func", [None, 5, property(add), staticmethod(5)], ids=str)
def test_not_callable(impl, func):
    with pytest.raises(TypeError, match="counted: wanted a callable, got"):
        impl.counted(func)


def test_one_function(impl):
    with pytest.raises(TypeError):
        impl.counted()
    with pytest.raises(TypeError):
        impl.counted(add, add)


def test_memory(native):
    assert sys.getsizeof(native.counted(add)) <= 128


def test_collected(impl):
    def func(): ...

    func.me = impl.counted(func)
    ref = weakref.ref(func.me)
    del func
    gc.collect()
    assert ref() is None
