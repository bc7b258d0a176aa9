"""Pure-Python twin of `ferrule.memory`: the standard library's way to do the same jobs."""

from __future__ import annotations

from ._freeze import Drift, FreezeReport, drift, freeze, unfreeze
from ._snapshot import Cycle, Cycles, Snapshot, SnapshotDiff
from ._usage import Usage, usage

__all__ = [
    "Cycle",
    "Cycles",
    "Drift",
    "FreezeReport",
    "Snapshot",
    "SnapshotDiff",
    "Usage",
    "drift",
    "freeze",
    "unfreeze",
    "usage",
]
