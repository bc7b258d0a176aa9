"""`freeze`: the bars of memory shared between forked workers, and of what freezing costs.

CPython 3.11 has no immortal objects: there the rows of `freeze()` show what the article's recipe
shows, and what only immortality can reach is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from benchmarks.bars import Bar, Missing, Run
from benchmarks.memory.area import mean
from ferrule.cli.measure import Spread, spread

__all__ = ["BARS", "ELSEWHERE", "ROOM"]

ROOM = SimpleNamespace(name="memory")
COUNTED = {"3.11": math.inf}


def _phase(run: Run, size: int, strategy: str, phase: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = run["states"][str(size)][strategy]["phases"][phase]
    except KeyError:
        raise Missing(f"{phase} of {size} MB") from None
    return found


@dataclass(frozen=True, slots=True)
class Private:
    """Private megabytes of a worker after a phase, with `over` more than after that one."""

    size: int
    strategy: str
    phase: str
    over: str = ""

    def of(self, run: Run, /) -> Spread:
        """Mean of the workers, and the extremes of them."""
        held = _phase(run, self.size, self.strategy, self.phase)["private_mb"]
        base = 0.0
        if self.over:
            base = mean(_phase(run, self.size, self.strategy, self.over)["private_mb"])
        return Spread(mean(held) - base, min(held) - base, max(held) - base)


@dataclass(frozen=True, slots=True)
class Served:
    """Megabytes of all processes of gunicorn."""

    variant: str

    def of(self, run: Run, /) -> Spread:
        """One figure."""
        total = run["gunicorn"][self.variant]["total_mb"]
        return Spread(total, total, total)


@dataclass(frozen=True, slots=True)
class Freezing:
    """CPU seconds to freeze a million objects, or of the collection that comes before."""

    part: str = "seconds"

    def of(self, run: Run, /) -> Spread:
        """Median of the processes."""
        return spread(
            [
                item[self.part] / (item["immortal"] or item["objects"]) * 1e6
                for item in run["freezes"]
            ]
        )


@dataclass(frozen=True, slots=True)
class Slower:
    """Time of a loop over a frozen state / over one that is not."""

    loop: str

    def of(self, run: Run, /) -> Spread:
        """Median of the rounds of all pairs."""
        return spread(run["micro"]["ferrule"][self.loop])


#: Loops that are to be no slower at all; every other may take 5 % more.
NO_SLOWER = ("attribute reads", "slot reads", "iteration", "sum of ints")
OTHERS = (
    *("built-in calls", "dict build", "full walk", "join", "list copy", "method calls"),
    *("nested dict reads", "sort"),
)

BARS: tuple[Bar, ...] = (
    Bar("200 MB, all read: MB a worker", Private(200, "ferrule", "read"), 2.5, COUNTED),
    Bar("500 MB, all read: MB a worker", Private(500, "ferrule", "read"), 5.0, COUNTED),
    Bar("the same, article's recipe, 200 MB", Private(200, "article", "read")),
    Bar("the same, article's recipe, 500 MB", Private(500, "article", "read")),
    Bar("gc.collect() in a worker: MB dirtied", Private(200, "ferrule", "gc", over="idle"), 0.1),
    Bar("gunicorn, 4 workers, 100 MB: MB in all", Served("ferrule"), 180.0, COUNTED),
    Bar("the same, article's recipe", Served("article")),
    Bar("freezing a million objects: s of CPU", Freezing(), 0.1, COUNTED),
    Bar("gc.collect() before it: s of CPU", Freezing("collecting")),
    *(Bar(f"{name}, frozen / not", Slower(name), 1.0) for name in NO_SLOWER),
    *(Bar(f"{name}, frozen / not", Slower(name), 1.05) for name in OTHERS),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = (
    "nothing is lost at exit: tests/memory",
    "Celery, reloads, restarts and upgrades: tests/memory",
)
