"""Async generators that are counted from their first iteration to their end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Footprint, Implementation, Namespace, Operation, Room

#: Generators that live while their tracker is started once: starting it is shared by them.
EACH = 1000

# Every implementation defines start and stop, and live, the number of generators it knows.
# An event loop sets its hooks when it begins to run. A tracker starts before it all the same;
# plain hooks have to be set by something that runs in it, which is what `inside` says.

_HOOKS = """
class Hooks:
    def start(self):
        self.known = WeakSet()
        self.before = before = sys.get_asyncgen_hooks()
        both = self.known.add if before.firstiter is None else self.add
        sys.set_asyncgen_hooks(firstiter=both)

    def add(self, generator):
        self.known.add(generator)
        self.before.firstiter(generator)

    def stop(self):
        sys.set_asyncgen_hooks(*self.before)

hooks = Hooks()
start, stop, inside = hooks.start, hooks.stop, True

def live():
    return len(hooks.known)
"""

_TRACKER = """
tracker = AsyncGenTracker()
start, stop, inside = tracker.start, tracker.stop, False

def live():
    return len(tracker.live)
"""

_NONE = """
def start():
    pass

stop, inside = start, False
"""

_DRIVERS = """
import asyncio
import atexit

async def agen():
    yield 1

async def exhausted(n):
    for _ in range(n):
        async for x in agen():
            pass

async def left(n):
    for _ in range(n):
        async for x in agen():
            break

def step(awaited):
    try:
        awaited.send(None)
    except (StopIteration, StopAsyncIteration):
        pass

def drive(walk, n):
    start()
    step(walk(n))
    stop()

loops = []

def loop():
    if not loops:
        loops.append(asyncio.new_event_loop())
        atexit.register(loops[0].close)
    return loops[0]

async def started(walk, n):
    start()
    await walk(n)
    stop()

def drive_loop(walk, n):
    if inside:
        return loop().run_until_complete(started(walk, n))
    start()
    loop().run_until_complete(walk(n))
    stop()

def begun(generators):
    start()
    for generator in generators:
        step(generator.__anext__())
    stop()
    return generators

def tracked(n):
    generators = begun([agen() for _ in range(n)])
    found = [live()]
    step(generators.pop().__anext__())
    found.append(live())
    del generators
    return [*found, live()]
"""

PURE = Implementation(
    "pure", "pure", "from ferrule.pure.lifetime import AsyncGenTracker\n", "", _TRACKER + _DRIVERS
)
WEAKSET = Implementation(
    "WeakSet hooks", "article", "import sys\nfrom weakref import WeakSet\n", "", _HOOKS + _DRIVERS
)
NATIVE = Implementation(
    "ferrule", "native", "from ferrule.lifetime import AsyncGenTracker\n", "", _TRACKER + _DRIVERS
)
BARE = Implementation("no hooks", "bare", "", "", _NONE + _DRIVERS)


def _nothing(namespace: Namespace, rows: Sequence[Reading]) -> None:
    return None


_generators = partial(
    Operation,
    area="lifetime",
    loop="",
    outcome="tracked(5)",
    setup=_nothing,
    repeat=1,
    batch=EACH,
    outcome_instead={"no hooks": "[5, 4, 0]"},
)

OPERATIONS = (
    _generators("exhaust", title="one, exhausted", statement=f"drive(exhausted, {EACH})"),
    _generators("leave", title="one, left half-way", statement=f"drive(left, {EACH})"),
    _generators(
        "asyncio", title="under asyncio, exhausted", statement=f"drive_loop(exhausted, {EACH})"
    ),
)

ROOM = Room(
    "asyncgen",
    "Async generators",
    (PURE, WEAKSET, NATIVE, BARE),
    OPERATIONS,
    {},
    baseline="WeakSet hooks",
    footprints=tuple(
        Footprint(
            name, name, "begun(given)", "list(map(lambda _: agen(), times))", traced=name != "pure"
        )
        for name in ("pure", "WeakSet hooks", "ferrule")
    ),
    counted=("generator", "generators"),
    held="Bytes that it takes to know a live generator, from its first iteration on. Its own are "
    "not counted.",
    headline=("exhaust", "one async generator"),
)
