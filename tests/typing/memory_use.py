"""What a type checker should understand of the memory room. Checked, never run."""

from __future__ import annotations

from typing import assert_type

from ferrule.memory import Drift, FreezeReport, Snapshot, SnapshotDiff, Usage, drift, freeze, usage
from ferrule.memory.gunicorn import post_fork, when_ready

report = freeze(warm=lambda: None, mortal=[int])
assert_type(report, FreezeReport)
assert_type(report.objects, int)
assert_type(report.skipped, tuple[str, ...])
assert_type(drift(), Drift)

now = usage(1, tree=True)
assert_type(now, Usage)
assert_type(now.private, int)

before = Snapshot.take()
assert_type(before - before, SnapshotDiff)

hooks = (when_ready, post_fork)
