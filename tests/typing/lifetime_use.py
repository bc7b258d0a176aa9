"""What a type checker should understand of the lifetime room. Checked, never run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, assert_type

from ferrule.lifetime import (
    AsyncGenTracker,
    Finalizable,
    Site,
    StatsD,
    TempFileManager,
    WeakValueDictionary,
    finalize,
    track_asyncgens,
)


class Thing:
    name: str = ""


thing = Thing()
clean = finalize(thing, os.remove, "a")
assert_type(clean.alive, bool)
clean.atexit = False
clean.inherit = True
info = clean.peek()
if info is not None:
    assert_type(info[0], Thing)
    assert_type(info[2], tuple[Any, ...])
finalize(thing, print, "a", "b", sep=", ")


class Own(Finalizable):
    def __finalize__(self) -> int:
        return 1


own = Own()
own.finalize()
assert_type(own.alive, bool)

cache: WeakValueDictionary[str, Thing] = WeakValueDictionary()
cache["a"] = thing
assert_type(cache["a"], Thing)
assert_type(cache.get("a"), Thing | None)
assert_type(cache.setdefault("a", thing), Thing)
for key, value in cache.items():
    assert_type(key, str)
    assert_type(value, Thing)
keys: Iterator[str] = iter(cache)

manager = TempFileManager("a", sweepable=True)
manager.remove()
assert_type(manager.is_active, bool)
assert_type(TempFileManager.sweep("."), list[str])

tracker = AsyncGenTracker(on_event=StatsD("127.0.0.1", 8125)).start()
assert_type(tracker, AsyncGenTracker)
assert_type(tracker.prometheus(), str)


def heard(event: str, generator: object, site: Site) -> None: ...


async def main() -> None:
    with track_asyncgens(on_event=heard) as counted:
        assert_type(counted, AsyncGenTracker)
        assert_type(await counted.aclose(), int)
