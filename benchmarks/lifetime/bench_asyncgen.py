"""`asyncgen`: the bars that a tracker of async generators has to reach, over the lifetime room.

An async generator that yields once is made and exhausted, 1,000 times for one start and stop of the
tracker, in a coroutine that is driven by hand, so that no event loop is in the time. What counts
is the difference to the same without hooks. A WeakSet in `sys.set_asyncgen_hooks` is what people
write today; it knows neither places nor what was left half-way.
"""

from __future__ import annotations

from benchmarks.bars import Bar, Bytes, Cost, Difference
from ferrule.cli.rooms.lifetime_asyncgen import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

_PLAIN = "no hooks"

BARS: tuple[Bar, ...] = (
    Bar("added to a generator, ns", Difference("exhaust", "ferrule", _PLAIN), 60.0),
    Bar("added by WeakSet hooks, ns", Difference("exhaust", "WeakSet hooks", _PLAIN)),
    Bar("added to one left half-way, ns", Difference("leave", "ferrule", _PLAIN)),
    Bar("added under asyncio, ns", Difference("asyncio", "ferrule", _PLAIN)),
    Bar("added by WeakSet hooks under asyncio, ns",
        Difference("asyncio", "WeakSet hooks", _PLAIN)),
    Bar("bytes for a live generator / WeakSet hooks", Bytes("ferrule", "WeakSet hooks")),
)  # fmt: skip

#: For docs/cleanup.md: beside the generator's own making and end.
COSTS: tuple[Cost, ...] = (
    Cost("`AsyncGenTracker`, a generator", Difference("exhaust", "ferrule", _PLAIN), "ferrule"),
    Cost("`WeakSet` in the hooks, a generator",
         Difference("exhaust", "WeakSet hooks", _PLAIN), "WeakSet hooks"),
)  # fmt: skip

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("asyncio.run, other threads, events and exports: see tests/lifetime",)
