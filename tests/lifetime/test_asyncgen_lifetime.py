"""AsyncGenTracker: leaks, failed allocations, sub-interpreters, threads, forks, the end."""

import asyncio
import functools
import gc
import importlib
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lifetime import in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import gc, sys, weakref
from ferrule import _lifetime
from ferrule.lifetime import AsyncGenTracker, Site, StatsD, track_asyncgens

async def ticker():
    yield 1
    yield 2

def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("waits")

async def exhaust():
    async for _ in ticker():
        pass

async def begun():
    generator = ticker()
    await generator.__anext__()
    return generator

def refuse(function, *args, **keywords):
    try:
        function(*args, **keywords)
    except (TypeError, ValueError):
        return
    except RuntimeError as error:
        # without memory for its text it has none, on early versions of 3.11
        if "is not the built-in function" in str(error) or not str(error):
            return
        raise
    raise AssertionError("not refused")

def figures(tracker):
    stats = tracker.stats()
    counts = [stats[key] for key in ("created", "live", "finished", "leaked")]
    assert counts[0] == sum(counts[1:]), counts
    return counts

def nothing(*args):
    pass

class native:
    # without Python's part: there CPython itself stumbles over failed allocations
    def __init__(self, on_event=None, max_sites=100):
        self.tracker = _lifetime._AsyncGenTracker(Site, on_event, max_sites)
    def __enter__(self):
        return self.tracker.start()
    def __exit__(self, *error):
        self.tracker.stop()

# a failed allocation may also end in an event that nobody hears of
sys.unraisablehook = nothing
class Untrue:
    def __bool__(self):
        raise TypeError("no truth")

untrue = Untrue()
tracker, seeing, hearing = AsyncGenTracker(), native(), native(nothing)
kept = []
"""

#: One allocation walk and one leak check each; names say what is done.
SUCCESSES = {
    "create": "_lifetime._AsyncGenTracker(Site, nothing, 5)",
    "start and stop": "made = native().tracker\nmade.start()\nmade.stop()",
    "exhaust": "with seeing: drive(exhaust())",
    "drop": "with seeing: drive(begun())",
    "stop while live": "with seeing: one = drive(begun())\ndel one",
    "two trackers": "with seeing, hearing: drive(exhaust()); drive(begun())",
    "stop in this order": (
        "with seeing:\n"
        "    made = native(); made.__enter__(); hearing.__enter__()\n"
        "    made.__exit__(); drive(exhaust()); hearing.__exit__()"
    ),
    "events": "with hearing: drive(exhaust()); drive(begun())",
    "a new site": "with native(): drive(exhaust())",
    "other sites": "with native(None, 1): drive(exhaust()); drive(begun()); drive(begun())",
    "set hooks": (
        "with seeing:\n"
        "    try: sys.set_asyncgen_hooks(nothing, nothing); drive(begun())\n"
        "    finally: sys.set_asyncgen_hooks(None, None)"
    ),
    "get hooks": "with seeing: sys.get_asyncgen_hooks()",
    "counts": "with native() as made: drive(exhaust()); made._counts()",
    "counts of live ones": "with native() as made: one = drive(begun()); made._counts()",
    "listed": "with native() as made: one = drive(begun()); made._listed(False)",
    "read": "seeing.tracker.started, hearing.tracker.started",
}

ERRORS = {
    "create with something else": "refuse(_lifetime._AsyncGenTracker, Site, 5, 1)",
    "create with a wrong limit": "refuse(_lifetime._AsyncGenTracker, Site, None, 0)",
    "create with wrong arguments": "refuse(_lifetime._AsyncGenTracker, Site)",
    "start with a strange function": (
        "own = sys.set_asyncgen_hooks\n"
        "made = native().tracker\n"
        "sys.set_asyncgen_hooks = nothing\n"
        "try: refuse(made.start)\n"
        "finally: sys.set_asyncgen_hooks = own"
    ),
    "set wrong hooks": "with seeing: refuse(sys.set_asyncgen_hooks, 5)",
    "call a hook": (
        "with seeing:\n"
        "    one = drive(begun())\n"
        "    for found in gc.get_referents(one):\n"
        "        if type(found).__name__ == '_AsyncGenFinalizer':\n"
        "            refuse(found); refuse(found, 5); refuse(found, one, one)"
    ),
}  # fmt: skip

#: What Python adds: only leaks are looked for.
PYTHON = {
    "list by what has no truth": "refuse(seeing.tracker._listed, untrue)",
    "live": "with AsyncGenTracker() as made: one = drive(begun()); list(made.live)",
    "figures": "with AsyncGenTracker() as made: drive(exhaust()); figures(made); repr(made)",
    "prometheus": "with AsyncGenTracker() as made: drive(exhaust()); made.prometheus()",
    "aclose": "with AsyncGenTracker() as made: one = drive(begun()); drive(made.aclose())",
    "wrong arguments": "refuse(AsyncGenTracker, on_event=5); refuse(AsyncGenTracker, 1)",
    "statsd": "with StatsD() as made, AsyncGenTracker(on_event=made): drive(exhaust())",
}

CASES = {**SUCCESSES, **ERRORS}


@functools.cache
def space() -> dict[str, Any]:
    made: dict[str, Any] = {"__name__": "lifetime_of_asyncgens"}
    own = sys.unraisablehook
    exec(SETUP, made)
    sys.unraisablehook = own
    return made


def drive(coroutine: Any) -> Any:
    return space()["drive"](coroutine)


def begun() -> Any:
    return drive(space()["begun"]())


def figures(tracker: Any) -> list[int]:
    return space()["figures"](tracker)


@pytest.mark.parametrize("case", CASES | PYTHON)
def test_nothing_leaks(native, case):
    compiled = compile((CASES | PYTHON)[case], "case", "exec")
    made = space()

    def run() -> None:
        exec(compiled, dict(made))
        gc.collect()  # so that no garbage fills the interpreter's free lists

    for _ in range(300):
        run()
    no_leak(run, rounds=300)


@pytest.mark.parametrize("case", CASES)
def test_a_failed_allocation_is_a_memory_error(native, case):
    walk_oom(CASES[case], setup=SETUP)


def test_a_failed_allocation_does_not_end_the_stream(native):
    """The generator goes on; only the count may miss it."""
    walk_oom(
        """
        made = native().tracker
        made.start()
        try:
            drive(exhaust())
        finally:
            made.stop()
        for site, created, finished, leaked in made._counts():
            if created != finished + leaked or created > 1: raise AssertionError
        """,
        setup=SETUP,
    )


def test_trackers_work_in_sub_interpreters(native):
    in_subinterpreter(
        SETUP
        + """
for _ in range(3):
    with tracker, hearing:
        drive(exhaust()); drive(begun())
        if sys.version_info >= (3, 13):  # before, importing asyncio is enough to crash
            import asyncio
            asyncio.run(exhaust())
        else:
            drive(exhaust())
        kept.append(drive(begun()))
assert figures(tracker)[0] == 12, figures(tracker)
assert tuple(sys.get_asyncgen_hooks()) == (None, None)
refuse(AsyncGenTracker, on_event=5)
# stays started, with live generators, to the end
forgotten = AsyncGenTracker(on_event=nothing).start()
kept.append(drive(begun()))
"""
    )


# ---- life and death


def entry_of(generator: Any) -> Any:
    found = {type(found).__name__: found for found in gc.get_referents(generator)}
    return found["_AsyncGenFinalizer"]


def test_a_tracker_is_kept_while_started_and_while_it_has_live_ones(native):
    heard: list[str] = []

    class Tracker(native.AsyncGenTracker):
        __slots__ = ()

    tracker = Tracker(on_event=lambda event, *rest: heard.append(event)).start()
    ref = weakref.ref(tracker)
    del tracker
    gc.collect()
    assert ref() is not None
    generator = begun()
    ref().stop()
    gc.collect()
    assert ref() is not None and heard == ["created"]
    del generator
    assert heard == ["created", "leaked"]
    gc.collect()
    assert ref() is None


def test_cycles_are_collected(native):
    class Hooks:
        def first(self, generator):
            self.generator = generator

        def last(self, generator):
            self.dropped = None

    tracker = native.AsyncGenTracker()
    hooks = Hooks()
    with tracker:
        sys.set_asyncgen_hooks(hooks.first, hooks.last)
        generator = begun()
        sys.set_asyncgen_hooks(None, None)
    ref = weakref.ref(hooks)
    gone = weakref.ref(generator)
    del hooks, generator
    gc.collect()
    assert ref() is None and gone() is None
    assert figures(tracker) == [1, 0, 0, 1]


def test_a_cycle_through_on_event_is_collected(native):
    class Listener:
        def heard(self, event, generator, site):
            if event == "created":
                self.generator = generator

    listener = Listener()
    listener.tracker = native.AsyncGenTracker(on_event=listener.heard)
    with listener.tracker:
        begun()
    ref = weakref.ref(listener)
    del listener
    gc.collect()
    assert ref() is None


def test_a_cycle_of_a_generator_with_itself(native):
    holder: list[Any] = []

    async def own(holder: Any) -> AsyncIterator[Any]:
        while True:
            yield holder

    tracker = native.AsyncGenTracker()
    with tracker:
        holder.append(own(holder))
        drive(holder[0].__anext__())
    assert figures(tracker) == [1, 1, 0, 0]
    del holder, own
    gc.collect()
    assert figures(tracker) == [1, 0, 0, 1]


def test_who_keeps_the_entry_cannot_reach_a_dead_generator(native):
    heard: list[str] = []
    with native.track_asyncgens(lambda event, *rest: heard.append(event)) as tracker:
        generator = begun()
        entry = entry_of(generator)
        drive(generator.aclose())
        del generator
        gc.collect()
        assert list(tracker.live) == [] and figures(tracker)[3] == 0
        other = begun()
        for wrong in ([], [5], [other], [other, other]):
            with pytest.raises(TypeError, match="wants the async generator"):
                entry(*wrong)
        del entry
        assert figures(tracker) == [2, 1, 1, 0]
        # called by hand: it counts once, and the generator is closed as asked
        entry_of(other)(other)
        assert figures(tracker) == [2, 0, 1, 1] and other.ag_frame is None
        entry_of(other)(other)
        del other
    assert figures(tracker) == [2, 0, 1, 1]
    # what somebody keeps cannot tell that its generator has gone
    assert heard == ["created", "created", "finished", "leaked"]


def test_the_firstiter_hook_called_by_hand(native):
    with native.track_asyncgens() as tracker:
        generator = begun()
        (hook,) = [
            found for found in gc.get_objects() if type(found).__name__ == "_AsyncGenFirstiter"
        ]
        fresh = space()["ticker"]()
        for argument in (generator, generator, fresh, 5, None):
            hook(argument)
        assert figures(tracker) == [1, 1, 0, 0]
        sys.set_asyncgen_hooks(firstiter=hook)  # ours again: not twice
        drive(space()["exhaust"]())
        assert figures(tracker) == [2, 1, 1, 0]
        del generator, fresh
    drive(space()["exhaust"]())
    assert figures(tracker) == [2, 0, 1, 1]
    assert tuple(sys.get_asyncgen_hooks()) == (None, None)


def test_reading_while_a_weak_reference_dies(native):
    """After its weak references and before it ends, a generator is neither here nor there."""
    read: list[Any] = []
    with native.track_asyncgens() as tracker:
        generator = begun()
        ref = weakref.ref(generator, lambda _: read.append((list(tracker.live), figures(tracker))))
        del generator
        assert read == [([], [1, 1, 0, 0])]
        assert figures(tracker) == [1, 0, 0, 1]
        del ref


def test_weak_references_to_tracked_generators(native):
    with native.track_asyncgens() as tracker:
        for _ in range(3):
            generator = begun()
            refs = [weakref.ref(generator), weakref.proxy(generator)]
            refs.append(weakref.ref(generator, refs.append))
            assert weakref.getweakrefcount(generator) == 3
            assert list(tracker.live) == [generator] and hash(refs[0]) == hash(generator)
            del generator
            assert refs[0]() is None and len(refs) == 4
    assert figures(tracker) == [3, 0, 0, 3]


def test_a_finalizer_that_returns_its_generator(native):
    with native.track_asyncgens() as tracker:
        sys.set_asyncgen_hooks(finalizer=lambda generator: generator)
        for _ in range(100):
            begun()
        sys.set_asyncgen_hooks(finalizer=None)
        gc.collect()
        assert tracker._listed(True) == []
    assert figures(tracker) == [100, 0, 0, 100]


def test_a_finalizer_that_keeps_its_generator(native):
    kept: list[Any] = []
    with native.track_asyncgens() as tracker:
        sys.set_asyncgen_hooks(finalizer=kept.append)
        begun()
        sys.set_asyncgen_hooks(finalizer=None)
        ((ref, finalizer),) = tracker._listed(True)
        assert ref() is kept[0] and finalizer == kept.append
        kept.clear()
        assert ref() is None and tracker._listed(True) == []
    assert figures(tracker) == [1, 0, 0, 1]


def test_entries_are_used_again(native):
    with native.track_asyncgens() as tracker:
        for _ in range(2):
            kept = [begun() for _ in range(1000)]
            assert tracker.live == 1000
            kept.clear()
    assert figures(tracker) == [2000, 0, 0, 2000]


def test_a_code_object_may_go_and_come(native):
    """The tracker owns the code objects its table is keyed by: an address never comes twice."""
    code = "async def made():\n    yield 1\nasync def go():\n    async for _ in made(): pass"
    with native.track_asyncgens() as tracker:
        for _ in range(200):
            names: dict[str, Any] = {}
            exec(code, names)
            drive(names["go"]())
    ((site, counts),) = tracker.stats()["sites"].items()
    assert site.generator == "made" and counts["finished"] == 200


def test_a_second_copy_of_the_module(native, monkeypatch):
    """Both take the functions of sys, one over the other, and let go in either order."""
    first = sys.modules["ferrule._lifetime"]
    monkeypatch.delitem(sys.modules, "ferrule._lifetime")
    monkeypatch.setattr(importlib.import_module("ferrule"), "_lifetime", first, raising=False)
    second = importlib.import_module("ferrule._lifetime")
    assert second is not first
    for order in ((0, 1), (1, 0)):
        trackers = [
            module._AsyncGenTracker(native.Site, None, 100).start() for module in (first, second)
        ]
        drive(space()["exhaust"]())
        begun()
        trackers[order[0]].stop()
        drive(space()["exhaust"]())
        trackers[order[1]].stop()
        drive(space()["exhaust"]())
        assert tuple(sys.get_asyncgen_hooks()) == (None, None)
        for index, tracker in enumerate(trackers):
            rows = [counts for _, *counts in tracker._counts()]
            total = [sum(column) for column in zip(*rows, strict=True)]
            assert total == ([2, 1, 1] if index == order[0] else [3, 2, 1])
    with native.track_asyncgens():  # whatever stayed in place goes now
        pass
    assert sys.set_asyncgen_hooks.__self__ is sys


# ---- threads and processes


def test_threads_with_loops(impl):
    tracker = impl.AsyncGenTracker().start()
    run_threads(lambda: asyncio.run(some()))
    tracker.stop()
    assert figures(tracker) == [8 * 50, 0, 8 * 50, 0]


async def some() -> None:
    for _ in range(50):
        await space()["exhaust"]()


def test_start_and_stop_in_threads(native):
    trackers = [native.AsyncGenTracker() for _ in range(3)]

    def work() -> None:
        for _ in range(100):
            with native.track_asyncgens() as own, trackers[0]:
                drive(space()["exhaust"]())
                begun()
                trackers[1].start()
                figures(trackers[0])
                list(trackers[0].live)
                trackers[1].stop()
            assert figures(own)[0] >= 2

    run_threads(work)
    for tracker in trackers:
        tracker.stop()
        assert figures(tracker)[1] == 0
    assert sys.set_asyncgen_hooks.__self__ is sys


def test_threads_come_and_go_while_trackers_do(native):
    stop = threading.Event()

    def spawn() -> None:
        while not stop.is_set():
            thread = threading.Thread(target=begun)
            thread.start()
            thread.join()

    spawner = threading.Thread(target=spawn)
    spawner.start()
    try:
        for _ in range(500):
            with native.track_asyncgens() as tracker:
                begun()
            assert figures(tracker)[0] >= 1
    finally:
        stop.set()
        spawner.join()


def test_a_child_goes_on(impl):
    code = f"""
        import asyncio, os
        {textwrap.indent(SETUP, " " * 8).strip()}
        from {impl.__name__} import AsyncGenTracker
        tracker = AsyncGenTracker().start()
        one = drive(begun())
        pid = os.fork()
        if pid == 0:
            drive(exhaust())
            asyncio.run(exhaust())
            good = figures(tracker) == [3, 1, 2, 0]
            tracker.stop()
            good = good and drive(tracker.aclose()) == 1
            sys.stdout.flush()
            sys.exit(not good)
        assert os.waitpid(pid, 0)[1] == 0
        assert figures(tracker) == [1, 1, 0, 0]
    """
    run_apart(code)


def run_apart(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


# ---- the end of the interpreter


@pytest.mark.parametrize("when", ["module", "function", "loop", "cycle", "thread", "late"])
def test_the_interpreter_ends_quietly_with_a_started_tracker(impl, when):
    deeds = {
        "module": "one = drive(begun())",
        "function": "def keep(one=drive(begun())): pass",
        "loop": (
            "loop = asyncio.new_event_loop()\none = loop.run_until_complete(begun())\nloop.close()"
        ),
        "cycle": "ring = [drive(begun())]; ring.append(ring)",
        "thread": "import threading; threading.Thread(target=lambda: asyncio.run(begun())).start()",
        "late": (
            "import atexit\n"
            "class Late:\n"
            "    def __del__(self): drive(exhaust()); made.start(); drive(exhaust())\n"
            "late = sys.late = Late()"
        ),
    }
    code = f"""
import asyncio
{SETUP}
from {impl.__name__} import AsyncGenTracker
del sys.unraisablehook
sys.unraisablehook = sys.__unraisablehook__
def heard(event, generator, site):
    if event != "created":
        print(event, len(sys.modules))
    asyncio.Event
made = AsyncGenTracker(on_event=heard).start()
{deeds[when]}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    heard = [
        line for line in done.stdout.splitlines() if not line.startswith(("leaked", "finished"))
    ]
    assert (heard, done.stderr, done.returncode) == ([], "", 0)
