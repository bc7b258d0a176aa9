"""`Snapshot`: where memory grew, and what kept itself alive, between two moments of a program."""

from __future__ import annotations

import gc
import os.path
from collections.abc import Sequence
from typing import Literal, SupportsIndex, TypeAlias

from .._memory import _in_main_interpreter
from ._cycles import Cycles, collect

try:
    import tracemalloc
except (
    ImportError
):  # a sub-interpreter: the rest of the room works there, `take` says what is wrong
    OWN: tuple[tracemalloc.Filter, ...] = ()
else:
    #: Not what a program allocates: tracemalloc itself and this package.
    OWN = (
        tracemalloc.Filter(False, tracemalloc.__file__),
        tracemalloc.Filter(False, os.path.join(os.path.dirname(__file__), "*")),
    )

Key: TypeAlias = Literal["lineno", "filename", "traceback"]


class Snapshot:
    """Traced memory at one moment: `Snapshot.take()`. `later - earlier` is a `SnapshotDiff`."""

    __slots__ = ("_collected", "cycles", "notes", "started", "traces")

    #: What tracemalloc knew, filtered.
    traces: tracemalloc.Snapshot
    #: What the full collection found that `take` ran; None where none was asked for.
    cycles: Cycles | None
    #: Whether `take` had to start tracemalloc: what was allocated before is not known then.
    started: bool
    #: What is different from what was asked for, and why.
    notes: tuple[str, ...]
    #: Objects that collections had ever freed, before and after the one that `take` ran.
    _collected: tuple[int, int]

    @classmethod
    def take(
        cls,
        *,
        nframes: SupportsIndex = 1,
        filters: Sequence[tracemalloc.Filter | tracemalloc.DomainFilter] = OWN,
        cycles: bool = True,
    ) -> Snapshot:
        """Look at the program's memory now.

        Starts tracemalloc, with `nframes` frames of each allocation, unless it runs already; it
        stays on (`tracemalloc.stop()`). `filters` are tracemalloc's; those given replace `OWN`,
        which leaves out the lines of tracemalloc and of this package.

        With `cycles` a full collection runs first, and the snapshot says what it found: types,
        counts, and the attributes along which the garbage hung together; also `gc=False` records
        caught in cycles. The garbage is gone when the traces are taken.
        """
        if not _in_main_interpreter():
            raise RuntimeError("Snapshot.take(): tracemalloc works in the main interpreter only")
        frames = nframes.__index__()
        if frames < 1:
            raise ValueError(f"Snapshot.take(): nframes must be at least 1, got {frames}")
        self = cls()
        self.started = not tracemalloc.is_tracing()
        if self.started:
            tracemalloc.start(frames)
            self.notes = ("tracemalloc was started by this snapshot",)
        elif (limit := tracemalloc.get_traceback_limit()) < frames:
            self.notes = (f"tracemalloc keeps {limit} of the {frames} frames: it ran before",)
        else:
            self.notes = ()
        earlier = _collected()
        self.cycles = collect(_traced) if cycles else None
        self._collected = earlier, _collected()
        self.traces = tracemalloc.take_snapshot().filter_traces(tuple(filters))
        return self

    def top(self, limit: int = 5, key: Key = "lineno") -> list[tracemalloc.Statistic]:
        """The places that hold most; `print` gives tracemalloc's line of each."""
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


class SnapshotDiff:
    """What happened between two snapshots."""

    __slots__ = ("new", "old")

    def __init__(self, new: Snapshot, old: Snapshot) -> None:
        self.new = new
        self.old = old

    def top(self, limit: int = 5, key: Key = "lineno") -> list[tracemalloc.StatisticDiff]:
        """The places that changed most; `print` gives tracemalloc's line of each."""
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
        """What the collection at the later snapshot found: garbage that came up in between."""
        return self.new.cycles

    @property
    def collected(self) -> int:
        """Objects that other collections freed in between; of what type is not known."""
        return self.new._collected[0] - self.old._collected[1]

    def __str__(self) -> str:
        lines = [f"growth: {self.growth:+,} bytes in {self.blocks:+,} blocks"]
        lines += [str(stat) for stat in self.top()]
        if self.cycles is not None:
            lines.append(str(self.cycles))
        lines.append(f"collected in between: {self.collected:,} objects")
        return "\n".join((*lines, *self.old.notes, *self.new.notes))


def _limit(limit: int) -> int:
    if limit < 0:
        raise ValueError(f"top(): limit must not be negative, got {limit}")
    return limit


def _collected() -> int:
    return sum(generation["collected"] for generation in gc.get_stats())


def _traced() -> int:
    return tracemalloc.get_traced_memory()[0]
