"""`freeze()` before a pool of `multiprocessing` or `concurrent.futures` forks its processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memory.apps import catalogue
from memory.processes import (
    APPS,
    COPIED_AT_LEAST,
    FEW,
    IMMORTAL,
    RECORDS,
    SECONDS,
    SHARED_AT_MOST,
    environment,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


def pools(folder: Path, *arguments: str) -> dict[str, list[dict[str, Any]]]:
    """What the jobs of each pool found; their answers are right and nothing was printed."""
    done = subprocess.run(
        [sys.executable, str(APPS / "pools.py"), *arguments],
        cwd=folder,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    total = catalogue.everything(catalogue.build(RECORDS))
    for jobs in found.values():
        assert [job["number"] for job in jobs] == list(range(12))
        assert {job["total"] for job in jobs} == {total}
    return found


def test_pools_after_freeze(tmp_path: Path) -> None:
    found = pools(tmp_path, "freeze")
    processes = {name: {job["process"] for job in jobs} for name, jobs in found.items()}
    assert len(processes["Pool"]) == len(processes["executor"]) == 2
    assert len(processes["short-lived"]) == 6
    for jobs in found.values():
        assert all(job["frozen"] > RECORDS for job in jobs)


@pytest.mark.resident
@pytest.mark.skipif(not IMMORTAL, reason="references are counted on this Python")
def test_memory_stays_shared(tmp_path: Path) -> None:
    for jobs in pools(tmp_path, "freeze").values():
        assert max(job["private"] for job in jobs) < SHARED_AT_MOST


@pytest.mark.resident
def test_reading_copies_without_freeze(tmp_path: Path) -> None:
    """The other tests measure something: without freeze(), processes copy what they read."""
    for jobs in pools(tmp_path).values():
        assert all(job["frozen"] < FEW for job in jobs)
        assert min(job["private"] for job in jobs) > COPIED_AT_LEAST
