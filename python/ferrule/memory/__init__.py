"""Memory that forked processes share, and what processes use.

`freeze` makes what a server has loaded safe to share with the workers it forks: on CPython 3.12
and 3.13 reading it no longer writes reference counts into its pages::

    from ferrule.memory.gunicorn import post_fork, when_ready  # in gunicorn.conf.py
    import ferrule.memory.celery                               # in the module of a Celery app

`usage` asks the kernel what a process or a tree of them keeps, `Snapshot` asks tracemalloc and the
collector what grew and what keeps itself alive. docs/prefork.md says when freezing helps.

Sources: the articles' sections "Using gc.freeze() for Pre-fork Servers" and "Weakref & Garbage
Collection", PEP 683 (immortal objects), proc(5) (smaps_rollup).
"""

from __future__ import annotations

import sys

if sys.platform != "linux":
    raise ImportError(
        f"ferrule.memory needs Linux: it reads /proc/<pid>/smaps_rollup, and this is {sys.platform}"
    )

from ._cycles import Cycle, Cycles
from ._freeze import Drift, FreezeReport, drift, freeze, unfreeze
from ._snapshot import Snapshot, SnapshotDiff
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
