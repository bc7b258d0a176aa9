"""`Snapshot` of the twin: quadratic in the garbage, and without a look at `gc=False` records, which
are ordinary objects here."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import types
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

OWN = (
    tracemalloc.Filter(False, tracemalloc.__file__),
    tracemalloc.Filter(False, str(Path(__file__).with_name("*"))),
)


class Cycle(NamedTuple):
    """See `ferrule.memory.Cycle`."""

    path: str
    groups: int
    state: str


class Cycles(NamedTuple):
    """See `ferrule.memory.Cycles`."""

    types: dict[str, int]
    paths: tuple[Cycle, ...]
    records: tuple[Cycle, ...] = ()
    size: int = 0
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        types = ", ".join(f"{count:,} {name}" for name, count in self.types.items())
        text = (f"garbage: {types or 'none'}",)
        return "\n".join((*text, *(f"  {one.groups:,} x {one.path}" for one in self.paths)))


def _name(obj: Any) -> str:
    return type(obj).__qualname__.rpartition("<locals>.")[2]


def _attributes(obj: Any) -> dict[str, Any]:
    """What the object refers to, by the text that leads there."""
    # 3.12: that of `_asyncio` shows the dead objects of a free list
    module = isinstance(obj, types.ModuleType)
    found = dict(enumerate([vars(obj)] if module else gc.get_referents(obj)))
    named: dict[str, Any] = {"" if i == 0 else f" {i}": value for i, value in found.items()}
    if isinstance(obj, (list, tuple)):
        named = {f"[]{' ' * i}": value for i, value in enumerate(obj)}
    elif isinstance(obj, dict):
        named = {f"[{key!r}]": value for key, value in obj.items()}
    elif hasattr(obj, "cell_contents"):
        named = {".cell_contents": obj.cell_contents}
    names = [*getattr(type(obj), "__slots__", ()), *getattr(obj, "__dict__", ()), "__closure__"]
    return {f".{name}": getattr(obj, name) for name in names if hasattr(obj, name)} | named


def _ways(first: Any, known: dict[int, Any]) -> dict[int, tuple[tuple[str, ...], Any]]:
    """The shortest way to every known object that `first` leads to, itself included."""
    found: dict[int, tuple[tuple[str, ...], Any]] = {}
    waiting: list[tuple[tuple[str, ...], Any]] = [((), first)]
    for steps, obj in waiting:
        for text, target in _attributes(obj).items():
            if id(target) in known and id(target) not in found:
                found[id(target)] = (*steps, _name(obj) + text.rstrip()), target
                waiting.append(found[id(target)])
    return found


def _path(steps: tuple[str, ...]) -> str:
    period = next(n for n in range(1, len(steps) + 1) if steps == steps[-n:] + steps[:-n])
    return " -> ".join(min(steps[i:period] + steps[:i] for i in range(period)))


def _examine(objects: list[Any]) -> Cycles:
    inside = {id(vars(obj)) for obj in objects if hasattr(obj, "__dict__")}
    known = {id(obj): obj for obj in objects if id(obj) not in inside}
    ways = {key: _ways(obj, known) for key, obj in known.items()}
    paths: Counter[str] = Counter()
    done: set[int] = set()
    for key in sorted(known, key=lambda key: type(known[key]) is dict):
        if key in ways[key] and key not in done:
            paths[_path(ways[key][key][0])] += 1
            done |= {other for other in ways[key] if key in ways[other]}
    types = Counter(map(_name, known.values()))
    return Cycles(
        dict(sorted(types.items(), key=lambda item: (-item[1], item[0]))),
        tuple(
            Cycle(path, count, "freed")
            for path, count in sorted(paths.items(), key=lambda item: (-item[1], item[0]))
        ),
    )


_turn = threading.RLock()


def _collect() -> Cycles:
    with _turn:
        return _collect_alone()


def _collect_alone() -> Cycles:
    enabled, flags, start = gc.isenabled(), gc.get_debug(), len(gc.garbage)
    gc.disable()
    try:
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        gc.set_debug(flags)
        cycles = _examine(gc.garbage[start:])
        before = tracemalloc.get_traced_memory()[0]
    finally:
        gc.set_debug(flags)
        if not flags & gc.DEBUG_SAVEALL:
            del gc.garbage[start:]
            gc.collect()
        if enabled:
            gc.enable()
    return cycles._replace(size=max(before - tracemalloc.get_traced_memory()[0], 0))


def _collected() -> int:
    return sum(generation["collected"] for generation in gc.get_stats())


def _limit(limit: int) -> int:
    if limit < 0:
        raise ValueError(f"top(): limit must not be negative, got {limit}")
    return limit


class Snapshot:
    """See `ferrule.memory.Snapshot`."""

    traces: tracemalloc.Snapshot
    _collected: tuple[int, int]

    def __init__(
        self, nframes: int, filters: Sequence[tracemalloc.Filter | tracemalloc.DomainFilter]
    ) -> None:
        self.started = not tracemalloc.is_tracing()
        self.notes: tuple[str, ...] = ()
        if self.started:
            tracemalloc.start(nframes)
            self.notes = ("tracemalloc was started by this snapshot",)
        elif (limit := tracemalloc.get_traceback_limit()) < nframes:
            self.notes = (f"tracemalloc keeps {limit} of the {nframes} frames: it ran before",)
        self.cycles: Cycles | None = None
        self._filters = tuple(filters)

    @classmethod
    def take(
        cls,
        *,
        nframes: int = 1,
        filters: Sequence[tracemalloc.Filter | tracemalloc.DomainFilter] = OWN,
        cycles: bool = True,
    ) -> Snapshot:
        """Look at the program's memory now."""
        if nframes < 1:
            raise ValueError(f"Snapshot.take(): nframes must be at least 1, got {nframes}")
        self = cls(nframes, filters)
        earlier = _collected()
        if cycles:
            self.cycles = _collect()
        self._collected = earlier, _collected()
        self.traces = tracemalloc.take_snapshot().filter_traces(self._filters)
        return self

    def top(self, limit: int = 5, key: str = "lineno") -> list[tracemalloc.Statistic]:
        """The places that hold most."""
        return self.traces.statistics(key)[: _limit(limit)]

    @property
    def size(self) -> int:
        """Bytes of all traced blocks."""
        return sum(trace.size for trace in self.traces.traces)

    @property
    def blocks(self) -> int:
        """Number of all traced blocks."""
        return len(self.traces.traces)

    def __sub__(self, other: Snapshot) -> SnapshotDiff:
        if not isinstance(other, Snapshot):
            return NotImplemented
        return SnapshotDiff(self, other)


class SnapshotDiff(NamedTuple):
    """What happened between two snapshots."""

    new: Snapshot
    old: Snapshot

    def top(self, limit: int = 5, key: str = "lineno") -> list[tracemalloc.StatisticDiff]:
        """The places that changed most."""
        return self.new.traces.compare_to(self.old.traces, key)[: _limit(limit)]

    @property
    def growth(self) -> int:
        """Bytes there are more."""
        return self.new.size - self.old.size

    @property
    def blocks(self) -> int:
        """Blocks there are more."""
        return self.new.blocks - self.old.blocks

    @property
    def cycles(self) -> Cycles | None:
        """What the collection at the later snapshot found."""
        return self.new.cycles

    @property
    def collected(self) -> int:
        """Objects that other collections freed in between."""
        return self.new._collected[0] - self.old._collected[1]

    def __str__(self) -> str:
        lines = [
            f"growth: {self.growth:+,} bytes in {self.blocks:+,} blocks",
            *map(str, self.top()),
        ]
        if self.cycles is not None:
            lines.append(str(self.cycles))
        lines.append(f"collected in between: {self.collected:,} objects")
        return "\n".join((*lines, *self.old.notes, *self.new.notes))
