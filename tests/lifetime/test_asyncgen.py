"""AsyncGenTracker: what is counted, heard and closed."""

import asyncio
import contextlib
import gc
import inspect
import itertools
import os
import socket
import subprocess
import sys
import threading
import types
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

ME = __file__


async def ticker(n: int = 3) -> AsyncIterator[int]:
    for i in range(n):
        yield i


def line_of(function: Any, text: str) -> int:
    """The line of the function that has `text` in it."""
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


def drive(coroutine: Any) -> Any:
    """Run a coroutine that never really waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise AssertionError("waits")


async def exhaust(n: int = 1) -> None:
    for _ in range(n):
        async for _ in ticker():
            pass


async def begun(make: Callable[..., Any] = ticker) -> Any:
    generator = make()
    await anext(generator)
    return generator


def figures(tracker: Any) -> tuple[int, int, int, int]:
    stats = tracker.stats()
    total = tuple(stats[key] for key in ("created", "live", "finished", "leaked"))
    assert total[0] == sum(total[1:])
    for key, number in zip(("created", "live", "finished", "leaked"), total, strict=True):
        assert number == sum(counts[key] for counts in stats["sites"].values())
    return total


@pytest.fixture(autouse=True)
def hooks_stay() -> Iterator[None]:
    """No test leaves anything of ours behind."""
    functions = sys.set_asyncgen_hooks, sys.get_asyncgen_hooks
    owners = [function.__self__ for function in functions]
    yield
    assert (sys.set_asyncgen_hooks, sys.get_asyncgen_hooks) == functions
    assert [function.__self__ for function in functions] == owners == [sys, sys]
    assert tuple(sys.get_asyncgen_hooks()) == (None, None)


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Not the errors themselves: their tracebacks would keep generators."""
    seen: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: seen.append(repr(args.exc_value)))
    return seen


# ---- counts


def test_nothing_is_seen_before_start_and_after_stop(impl):
    tracker = impl.AsyncGenTracker()
    drive(exhaust())
    assert figures(tracker) == (0, 0, 0, 0) and tracker.live == 0
    assert tracker.start() is tracker and tracker.started
    drive(exhaust(2))
    assert tracker.stop() is tracker and not tracker.started
    drive(exhaust())
    assert figures(tracker) == (2, 0, 2, 0)


def test_twice_does_not_count_twice(impl):
    tracker = impl.AsyncGenTracker()
    tracker.start().start()
    drive(exhaust())
    assert figures(tracker) == (1, 0, 1, 0)
    tracker.stop()
    tracker.stop()
    with tracker, tracker:
        drive(exhaust())
    drive(exhaust())
    assert figures(tracker) == (2, 0, 2, 0)


def test_a_generator_that_was_never_iterated_does_not_count(impl):
    with impl.track_asyncgens() as tracker:
        ticker()
    assert figures(tracker) == (0, 0, 0, 0)


def test_live_is_a_number_and_the_generators(impl):
    with impl.track_asyncgens() as tracker:
        first, second = drive(begun()), drive(begun())
        live = tracker.live
        assert live == 2 and isinstance(live, int) and len(live) == 2
        assert list(live) == [first, second]
        assert first in live and second in live and ticker not in live
        assert f"{live} {live + 1}" == "2 3"
        drive(first.aclose())
        assert list(tracker.live) == [second]
        del first, second
        assert live == 2 and list(live) == [] and tracker.live == 0 and not tracker.live


def test_an_ended_generator_is_not_live_though_somebody_keeps_it(impl):
    with impl.track_asyncgens() as tracker:
        kept = [drive(begun()) for _ in range(3)]
        assert figures(tracker) == (3, 3, 0, 0)
        drive(kept[0].aclose())
        with pytest.raises(ZeroDivisionError):
            drive(kept[1].athrow(ZeroDivisionError()))
        assert figures(tracker) == (3, 1, 2, 0)
        kept.clear()
        assert figures(tracker) == (3, 0, 2, 1)


def test_a_dropped_generator_has_leaked(impl):
    closed = []

    async def guarded() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            closed.append(1)

    with impl.track_asyncgens() as tracker:
        drive(begun(guarded))
        assert closed == [1]
        assert figures(tracker) == (1, 0, 0, 1)


def test_after_stop_what_was_seen_still_ends(impl):
    with impl.track_asyncgens() as tracker:
        first, second = drive(begun()), drive(begun())
    assert figures(tracker) == (2, 2, 0, 0)
    drive(first.aclose())
    del second
    assert figures(tracker) == (2, 0, 1, 1)


def test_a_generator_with_an_error_has_finished(impl):
    async def broken() -> AsyncIterator[int]:
        raise KeyError("x")
        yield 1

    with impl.track_asyncgens() as tracker:
        with pytest.raises(KeyError):
            drive(begun(broken))
        assert figures(tracker) == (1, 0, 1, 0)


def test_close_before_the_first_item(impl):
    with impl.track_asyncgens() as tracker:
        drive(ticker().aclose())
        assert figures(tracker) == (1, 0, 1, 0)


def test_several_trackers_stopped_in_any_order(impl):
    for order in itertools.permutations(range(3)):
        trackers = [impl.AsyncGenTracker() for _ in range(3)]
        for number, tracker in enumerate(trackers):
            tracker.start()
            drive(exhaust())
            kept = drive(begun())
            assert kept in tracker.live and tracker.stats()["created"] == 2
            del kept, number
        for index in order:
            trackers[index].stop()
            drive(exhaust())
        # their own start to their own stop: 2 for each start since, 1 for each stop before
        for index, tracker in enumerate(trackers):
            created = 2 * (3 - index) + order.index(index)
            assert figures(tracker) == (created, 0, created - (3 - index), 3 - index)


def test_a_hundred_thousand_abandoned_ones_are_all_named(impl):
    async def first() -> AsyncIterator[int]:
        yield 1

    async def second() -> AsyncIterator[int]:
        yield 1

    async def abandon(n: int) -> None:
        for _ in range(n):
            kept.append(first())
            await anext(kept[-1])
            kept.append(second())
            await anext(kept[-1])

    half = 50_000 if "pure" not in impl.__name__ else 500
    kept: list[Any] = []
    with impl.track_asyncgens() as tracker:
        drive(abandon(half))
        assert tracker.live == 2 * half and len(list(tracker.live)) == 2 * half
        kept.clear()
        assert figures(tracker) == (2 * half, 0, 0, 2 * half)
        sites = tracker.stats()["sites"]
    names = {site.generator.rpartition(".")[2]: counts["leaked"] for site, counts in sites.items()}
    assert names == {"first": half, "second": half}


# ---- sites


def test_a_site_says_where(impl):
    async def main() -> None:
        async for _ in ticker():
            pass
        generator = ticker()
        await anext(generator)  # here

    with impl.track_asyncgens() as tracker:
        drive(main())
    sites = tracker.stats()["sites"]
    loop, single = sorted(sites, key=lambda site: site.caller_lineno)
    assert loop == impl.Site(
        generator="ticker",
        filename=ME,
        lineno=line_of(ticker, "async def"),
        caller=main.__qualname__,
        caller_filename=ME,
        caller_lineno=line_of(main, "async for"),
    )
    assert single.caller_lineno == line_of(main, "# here")
    assert sites[loop] == {"created": 1, "live": 0, "finished": 1, "leaked": 0}
    assert sites[single] == {"created": 1, "live": 0, "finished": 0, "leaked": 1}


def test_text_of_a_site(impl):
    site = impl.Site("ticker", "app.py", 12, "main", "app.py", 20)
    assert str(site) == "ticker (app.py:12) in main (app.py:20)"
    assert str(impl.Site("ticker", "app.py", 12)) == "ticker (app.py:12)"
    assert str(impl.Site("(other)")) == "(other)"


def test_beyond_max_sites_the_rest_counts_together(impl):
    with impl.track_asyncgens(max_sites=2) as tracker:
        for number in range(5):
            space: dict[str, Any] = {"drive": drive}
            exec(
                "\n" * number + "async def made():\n    yield 1\n"
                "async def go():\n    async for _ in made(): pass\n"
                "drive(go())",
                space,
            )
    sites = {site.generator: counts["created"] for site, counts in tracker.stats()["sites"].items()}
    assert sites == {"made": 1, "(other)": 3}  # two sites of one name in the dict above
    assert figures(tracker) == (5, 0, 5, 0)


def test_through_contextlib_the_site_is_the_helper(impl):
    @contextlib.asynccontextmanager
    async def managed() -> AsyncIterator[int]:
        yield 1

    async def main() -> None:
        async with managed():
            pass

    with impl.track_asyncgens() as tracker:
        drive(main())
    (site,) = tracker.stats()["sites"]
    assert site.generator.endswith("managed") and site.caller_filename == contextlib.__file__


def test_an_iteration_without_python_code_around_it(native):
    """atexit calls from C, and what is registered after start() is called before the end."""
    code = """if 1:
        import atexit
        from ferrule.lifetime import AsyncGenTracker
        async def ticker():
            yield 1
        AsyncGenTracker(on_event=lambda event, generator, site: print(event, site)).start()
        generator = ticker()
        atexit.register(generator.__anext__)
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("created ticker (<string>:4)\n", "", 0)


# ---- events


def test_events_in_order(impl):
    heard: list[Any] = []

    def on_event(event, generator, site):
        heard.append((event, generator and generator.__name__, site.generator))
        if event == "leaked":
            assert generator.ag_frame is not None

    with impl.track_asyncgens(on_event):
        drive(exhaust())
        drive(begun())
    assert heard == [
        ("created", "ticker", "ticker"),
        ("finished", None, "ticker"),
        ("created", "ticker", "ticker"),
        ("leaked", "ticker", "ticker"),
    ]


def test_a_leaked_generator_may_be_kept(impl):
    kept: list[Any] = []

    def on_event(event, generator, site):
        if event == "leaked":
            kept.append(generator)

    with impl.track_asyncgens(on_event):
        drive(begun())
    (generator,) = kept
    assert generator.ag_frame is None  # the interpreter closed it nevertheless


def test_errors_of_on_event_disturb_nothing(impl, unraisable):
    def on_event(event, generator, site):
        raise LookupError(event)

    with impl.track_asyncgens(on_event) as tracker:
        drive(exhaust())
        drive(begun())
    events = "created", "finished", "created", "leaked"
    assert unraisable == [f"LookupError('{event}')" for event in events]
    assert figures(tracker) == (2, 0, 1, 1)


def test_an_error_that_is_on_its_way_goes_on(impl):
    async def raising() -> None:
        generator = ticker()
        await anext(generator)
        raise ZeroDivisionError

    heard: list[str] = []
    tracker = impl.track_asyncgens(lambda event, generator, site: heard.append(event))
    with tracker, pytest.raises(ZeroDivisionError):
        drive(raising())
    assert heard == ["created", "leaked"]


@pytest.mark.parametrize("deed", ["stop", "start another", "iterate", "collect", "read", "drop"])
def test_hostile_on_event(impl, deed):
    others: list[Any] = []
    depth = 0

    def on_event(event, generator, site):
        nonlocal depth
        if depth:
            return
        depth += 1
        try:
            if deed == "stop":
                tracker.stop()
            elif deed == "start another":
                others.append(impl.AsyncGenTracker().start())
            elif deed == "iterate":
                drive(exhaust())
                drive(begun())
            elif deed == "collect":
                gc.collect()
            elif deed == "read":
                figures(tracker)
                list(tracker.live)
                tracker.prometheus()
            elif deed == "drop":
                kept.clear()
        finally:
            depth -= 1

    kept: list[Any] = []
    tracker = impl.AsyncGenTracker(on_event=on_event)
    for _ in range(3):
        tracker.start()
        drive(exhaust())
        kept.append(drive(begun()))
        drive(begun())
    kept.clear()
    tracker.stop()
    for other in others:
        other.stop()
        figures(other)
    created, live, finished, leaked = figures(tracker)
    assert live == 0 and created >= 3 and finished >= 3 - (deed == "drop")


def test_wrong_arguments(impl):
    with pytest.raises(TypeError, match=r"on_event must be callable or None, got int"):
        impl.AsyncGenTracker(on_event=5)
    with pytest.raises(ValueError, match=r"max_sites must be at least 1, got 0"):
        impl.AsyncGenTracker(max_sites=0)
    with pytest.raises(TypeError):
        impl.AsyncGenTracker(lambda *event: None)


# ---- hooks of others


def recording(log: list[Any], name: str) -> tuple[Any, Any]:
    return (
        lambda generator: log.append((name, "first", generator.__name__)),
        lambda generator: log.append((name, "last", generator.__name__)),
    )


def test_hooks_there_before_are_chained(impl):
    log: list[Any] = []
    hooks = recording(log, "old")
    sys.set_asyncgen_hooks(*hooks)
    try:
        with impl.track_asyncgens() as tracker:
            assert tuple(sys.get_asyncgen_hooks()) == hooks
            drive(begun())
            assert log == [("old", "first", "ticker"), ("old", "last", "ticker")]
            assert figures(tracker) == (1, 0, 0, 1)
        assert tuple(sys.get_asyncgen_hooks()) == hooks
    finally:
        sys.set_asyncgen_hooks(None, None)


def test_hooks_set_later_are_chained(impl):
    log: list[Any] = []
    hooks = recording(log, "new")
    with impl.track_asyncgens() as tracker:
        assert tuple(sys.get_asyncgen_hooks()) == (None, None)
        sys.set_asyncgen_hooks(firstiter=hooks[0])
        assert tuple(sys.get_asyncgen_hooks()) == (hooks[0], None)
        sys.set_asyncgen_hooks(finalizer=hooks[1])
        assert tuple(sys.get_asyncgen_hooks()) == hooks
        kept = drive(begun())
        sys.set_asyncgen_hooks(None, None)
        drive(begun())
        assert log == [("new", "first", "ticker")]
        del kept
        assert log[1:] == [("new", "last", "ticker")]  # the hook at its first iteration
        assert figures(tracker) == (2, 0, 0, 2)
        with pytest.raises(TypeError):
            sys.set_asyncgen_hooks(firstiter=5)
        with pytest.raises(TypeError):
            sys.set_asyncgen_hooks(nothing=5)
        drive(exhaust())
        assert figures(tracker) == (3, 0, 1, 2)


def test_an_error_of_a_firstiter_hook_passes(impl):
    def first(generator):
        raise LookupError("hook")

    with impl.track_asyncgens() as tracker:
        sys.set_asyncgen_hooks(firstiter=first)
        try:
            with pytest.raises(LookupError, match="hook"):
                drive(begun())
        finally:
            sys.set_asyncgen_hooks(None, None)
    assert tracker.stats()["created"] == 1 and tracker.live == 0


def test_an_error_of_a_finalizer_hook_is_reported(impl, unraisable):
    def last(generator):
        raise LookupError("hook")

    with impl.track_asyncgens() as tracker:
        sys.set_asyncgen_hooks(finalizer=last)
        drive(begun())
        sys.set_asyncgen_hooks(finalizer=None)
    assert unraisable == ["LookupError('hook')"]
    assert figures(tracker) == (1, 0, 0, 1)


def test_a_dropped_generator_that_awaits_is_reported_as_ever(impl, unraisable):
    @types.coroutine
    def wait():
        yield

    async def waiting() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await wait()

    drive(begun(waiting))
    with impl.track_asyncgens():
        drive(begun(waiting))
    first, second = unraisable
    assert first == second and first.startswith("RuntimeError")


def test_functions_that_were_taken_before(native):
    set_hooks, get_hooks = sys.set_asyncgen_hooks, sys.get_asyncgen_hooks
    log: list[Any] = []
    hooks = recording(log, "kept")
    with native.track_asyncgens() as tracker:
        assert set_hooks is sys.set_asyncgen_hooks
        set_hooks(*hooks)
        assert tuple(get_hooks()) == hooks
        drive(begun())
        set_hooks(None, None)
        assert tracker.stats()["leaked"] == 1 and len(log) == 2
        assert repr(set_hooks) == "<built-in function set_asyncgen_hooks>"
        assert set_hooks.__doc__ and set_hooks.__module__ == "sys"


def test_start_refuses_what_it_does_not_know(native, monkeypatch):
    for name in ("set_asyncgen_hooks", "get_asyncgen_hooks"):
        for wrong in (lambda *hooks: None, len, None):
            with monkeypatch.context() as patch:
                patch.setattr(sys, name, wrong)
                tracker = native.AsyncGenTracker()
                with pytest.raises(RuntimeError, match=rf"sys\.{name} is not"):
                    tracker.start()
                assert not tracker.started
    with native.track_asyncgens() as tracker:
        drive(exhaust())
    assert figures(tracker) == (1, 0, 1, 0)


# ---- asyncio


def test_asyncio_run_replaces_hooks_and_is_seen(impl):
    with impl.track_asyncgens() as tracker:
        asyncio.run(exhaust(2))
        with asyncio.Runner() as runner:
            runner.run(exhaust())
            runner.run(exhaust())
    assert figures(tracker) == (4, 0, 4, 0)


def test_start_and_stop_inside_a_running_loop(impl):
    async def main() -> Any:
        before = sys.get_asyncgen_hooks()
        early = await begun()
        with impl.track_asyncgens() as tracker:
            assert tuple(sys.get_asyncgen_hooks()) == tuple(before)
            await exhaust()
            kept = await begun()
        assert tuple(sys.get_asyncgen_hooks()) == tuple(before)
        await exhaust()
        assert list(tracker.live) == [kept]
        del early
        return tracker

    tracker = asyncio.run(main())
    assert figures(tracker) == (2, 0, 1, 1)


def test_a_task_group(impl):
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(exhaust())

    with impl.track_asyncgens() as tracker:
        asyncio.run(main())
    assert figures(tracker) == (10, 0, 10, 0)


def test_a_loop_closes_what_was_dropped(impl):
    closed: list[int] = []

    async def guarded() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            closed.append(1)

    async def main() -> None:
        await begun(guarded)
        assert figures(tracker) == (1, 0, 0, 1)
        assert await tracker.aclose() == 0
        assert closed == [1]
        kept.append(await begun(guarded))

    kept: list[Any] = []
    with impl.track_asyncgens() as tracker:
        asyncio.run(main())
        assert closed == [1, 1]  # by shutdown_asyncgens()
        assert figures(tracker) == (2, 0, 1, 1)


def test_loops_in_other_threads(impl):
    def work() -> None:
        asyncio.run(exhaust(20))

    with impl.track_asyncgens() as tracker:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert figures(tracker) == (80, 0, 80, 0)


@contextlib.contextmanager
def loop_in_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def test_a_loop_that_already_ran_in_another_thread(native):
    def run(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

    with loop_in_thread() as loop:
        run(exhaust())
        with native.track_asyncgens() as tracker:
            run(exhaust())
            kept = run(begun())
            assert kept in tracker.live
        run(exhaust())
        assert figures(tracker) == (2, 1, 1, 0)
        del kept


# ---- aclose


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def reading() -> AsyncIterator[bytes]:
    with open(os.devnull, "rb") as file:
        while True:
            yield file.read(1)


def test_aclose_runs_clean_ups_and_frees_descriptors(impl):
    async def main() -> None:
        kept = [await begun(reading) for _ in range(20)]
        assert descriptors() == before + 20
        assert await tracker.aclose() == 20
        assert descriptors() == before
        assert tracker.live == 0 and len(kept) == 20
        assert await tracker.aclose() == 0

    asyncio.run(exhaust())
    with impl.track_asyncgens() as tracker, asyncio.Runner() as runner:
        runner.get_loop()
        before = descriptors()
        runner.run(main())
    assert figures(tracker) == (20, 0, 20, 0)


def test_aclose_by_hand(impl):
    with impl.track_asyncgens() as tracker:
        kept = [drive(begun(reading)) for _ in range(3)]
        assert drive(tracker.aclose()) == 3
        assert all(generator.ag_frame is None for generator in kept)
    assert figures(tracker) == (3, 0, 3, 0)


def test_aclose_leaves_alone_what_is_in_use(impl):
    async def slow() -> AsyncIterator[int]:
        await hold.wait()
        yield 1

    async def use(generator: Any) -> list[int]:
        return [item async for item in generator]

    async def main() -> None:
        nonlocal hold
        hold = asyncio.Event()
        task = asyncio.create_task(use(slow()))
        kept = await begun()
        await asyncio.sleep(0)
        assert await tracker.aclose() == 1
        assert len(tracker.live) == 1 and kept.ag_frame is None
        hold.set()
        assert await task == [1]

    hold: Any = None
    with impl.track_asyncgens() as tracker:
        asyncio.run(main())
    assert figures(tracker) == (2, 0, 2, 0)


def test_aclose_called_by_a_generator(impl):
    async def closing() -> AsyncIterator[int]:
        yield await tracker.aclose()

    async def main() -> None:
        kept = await begun()
        assert [number async for number in closing()] == [1]
        assert kept.ag_frame is None

    with impl.track_asyncgens() as tracker:
        asyncio.run(main())


def test_aclose_collects_errors(impl):
    ended: list[str] = []

    async def failing(error: BaseException) -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            ended.append("failing")
            raise error

    async def stubborn() -> AsyncIterator[int]:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    async def fine() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            ended.append("fine")

    async def main() -> None:
        makers = [lambda: failing(KeyError("x")), fine, stubborn, fine]
        kept = [await begun(make) for make in makers]
        with pytest.raises(ExceptionGroup) as caught:
            await tracker.aclose()
        assert sorted(type(error).__name__ for error in caught.value.exceptions) == [
            "KeyError",
            "RuntimeError",
        ]
        assert sorted(ended) == ["failing", "fine", "fine"]
        assert list(tracker.live) == [kept[2]]
        kept.clear()

    for run in (drive, asyncio.run):
        ended.clear()
        with impl.track_asyncgens() as tracker:
            run(main())


def test_aclose_reaches_loops_in_other_threads(impl):
    closed: list[int] = []

    async def guarded() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            closed.append(threading.get_ident())

    async def identity() -> int:
        return threading.get_ident()

    def run(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

    with impl.track_asyncgens() as tracker, loop_in_thread() as loop:
        kept = [run(begun(guarded)) for _ in range(3)]
        assert asyncio.run(tracker.aclose()) == 3
        assert closed == [run(identity())] * 3
        kept = [run(begun(guarded))]
        assert drive(tracker.aclose()) == 1  # by hand: the thread waits
        run(begun(guarded))  # dropped, on its loop or here
        assert asyncio.run(tracker.aclose()) == 0 and len(closed) == 5
        del kept


def test_aclose_leaves_those_of_loops_that_do_not_run(impl):
    with impl.track_asyncgens() as tracker:
        loop = asyncio.new_event_loop()
        kept = loop.run_until_complete(begun())
        assert asyncio.run(tracker.aclose()) == 0
        assert list(tracker.live) == [kept]
        assert loop.run_until_complete(tracker.aclose()) == 1
        loop.close()
        assert tracker.live == 0


def test_aclose_when_a_loop_stops_meanwhile(impl):
    async def hanging() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            loop.stop()
            await asyncio.sleep(3600)

    with impl.track_asyncgens() as tracker:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        kept = asyncio.run_coroutine_threadsafe(begun(hanging), loop).result(30)
        assert asyncio.run(tracker.aclose()) == 0
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        del kept


def test_aclose_cancelled(impl):
    async def hanging() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(3600)

    async def main() -> None:
        kept = await begun(hanging)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(tracker.aclose(), 0.01)
        assert kept.ag_frame is None

    with impl.track_asyncgens() as tracker:
        asyncio.run(main())


# ---- figures for others


def test_prometheus_without_a_site(impl):
    text = impl.AsyncGenTracker().prometheus()
    assert text.count("# HELP") == text.count("# TYPE") == 4 == text.count("\n") // 2
    assert "# TYPE ferrule_asyncgen_live gauge\n" in text


def test_prometheus_text(impl):
    with impl.track_asyncgens() as tracker:
        drive(exhaust())
    (site,) = tracker.stats()["sites"]
    labels = ",".join(f'{name}="{value}"' for name, value in zip(site._fields, site, strict=True))
    text = tracker.prometheus()
    assert f"ferrule_asyncgen_created_total{{{labels}}} 1\n" in text
    assert f"ferrule_asyncgen_finished_total{{{labels}}} 1\n" in text
    assert f"ferrule_asyncgen_leaked_total{{{labels}}} 0\n" in text
    assert f"ferrule_asyncgen_live{{{labels}}} 0\n" in text


#: names of files as they come
NASTY = ['quo"te.py', "back\\slash.py", "line\nbreak.py", "tab\t\r\x85.py", "b\udcffd.py", "ü.py"]


def test_prometheus_parses(impl):
    parser = pytest.importorskip("prometheus_client.parser")
    text = "async def made():\n    yield 1\nasync def go():\n    async for _ in made(): pass\n"
    with impl.track_asyncgens() as tracker:
        for number, name in enumerate(NASTY):
            space: dict[str, Any] = {}
            exec(compile(text, name, "exec"), space)
            for _ in range(number + 1):
                drive(space["go"]())
        kept = drive(begun())
        exposition = tracker.prometheus()
    exposition.encode()
    found: dict[tuple[str, str], float] = {}
    for family in parser.text_string_to_metric_families(exposition):
        assert family.type == ("gauge" if family.name.endswith("live") else "counter")
        for sample in family.samples:
            assert set(sample.labels) == set(impl.Site._fields)
            found[sample.name, sample.labels["filename"]] = sample.value
    for site, counts in tracker.stats()["sites"].items():
        name = site.filename.encode("utf-8", "backslashreplace").decode()
        for key, number in counts.items():
            metric = f"ferrule_asyncgen_{key}" + ("" if key == "live" else "_total")
            assert found.pop((metric, name)) == number
    assert found == {}
    del kept


@contextlib.contextmanager
def udp() -> Iterator[tuple[socket.socket, int]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        yield receiver, receiver.getsockname()[1]


def test_statsd(impl):
    with udp() as (receiver, port), impl.StatsD("127.0.0.1", port) as statsd:
        with impl.track_asyncgens(statsd):
            drive(exhaust())
            drive(begun())
        lines = [receiver.recv(1000) for _ in range(4)]
        assert (statsd.sent, statsd.dropped) == (4, 0)
    assert lines == [
        b"ferrule.asyncgen.created:1|c",
        b"ferrule.asyncgen.finished:1|c",
        b"ferrule.asyncgen.created:1|c",
        b"ferrule.asyncgen.leaked:1|c",
    ]


def test_statsd_with_tags(impl):
    site = impl.Site("ticker", "a:b|c,d#e f.py", 12, "main", "b\udcff.py", 20)
    with udp() as (receiver, port), impl.StatsD(port=port, prefix="app", tags=True) as statsd:
        statsd("created", None, site)
        assert receiver.recv(1000) == (
            b"app.created:1|c|#generator:ticker,filename:a_b_c_d_e_f.py,lineno:12,"
            b"caller:main,caller_filename:b?.py,caller_lineno:20"
        )


def test_statsd_never_raises(impl):
    statsd = impl.StatsD()
    statsd("created", None, impl.Site("x" * 70_000))
    big = impl.StatsD(tags=True)
    big("created", None, impl.Site("x" * 70_000))
    assert big.dropped == 1  # no datagram is as long
    big.close()
    statsd.close()
    statsd("leaked", None, impl.Site("x"))
    assert statsd.dropped == 1
    with pytest.raises(OSError):
        impl.StatsD("no such host.invalid")


def test_repr(impl):
    tracker = impl.AsyncGenTracker()
    assert repr(tracker) == "<AsyncGenTracker stopped, 0 live>"
    with tracker:
        assert repr(tracker) == "<AsyncGenTracker started, 0 live>"
