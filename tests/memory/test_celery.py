"""The import line in a real `celery worker`: pools, restarts, its end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import services
from memory.apps import catalogue
from memory.processes import (
    APPS,
    FEW,
    IMMORTAL,
    RECORDS,
    SECONDS,
    SHARED_AT_MOST,
    Program,
    environment,
    private,
    wait_until,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

#: What a process of the pool needs for itself, in bytes: Celery prepares every task anew in it.
OWN = 6_000_000
FROZE = r"INFO/MainProcess\] ferrule\.memory: "


class Worker(Program):
    """`celery worker` with two processes of its pool."""

    def __init__(
        self, folder: Path, broker: str, *options: str, pool: str = "prefork", **extra: str
    ) -> None:
        services.library("celery")
        if broker.startswith("redis"):
            services.library("redis")
        self.pool = pool
        super().__init__(
            [
                *("-m", "celery", "-A", "tasks", "worker", "-l", "info", "-c", "2", "-P", pool),
                *("--without-gossip", "--without-mingle", "-n", folder.name + "@%h", *options),
            ],
            folder,
            {"BROKER": broker, "BACKEND": broker, "QUEUE": folder.name, **extra},
        )

    def started(self) -> None:
        self.expect(r" ready\.$")
        if self.pool == "prefork":
            wait_until(lambda: len(self.workers()) >= 2, "two processes")

    def ask(self, *tasks: tuple[str, list[int]]) -> list[Any]:
        done = subprocess.run(
            [sys.executable, str(APPS / "ask.py"), json.dumps(tasks)],
            cwd=self.folder,
            env=environment(self.extra),
            capture_output=True,
            text=True,
            timeout=3 * SECONDS,
        )
        assert done.returncode == 0, done.stderr
        found: list[Any] = json.loads(done.stdout)
        return found

    def ask_ones(self, count: int) -> set[int]:
        """Many small tasks, checked; the processes that did them."""
        numbers = range(0, 7 * count, 7)
        found = self.ask(*(("one", [number % RECORDS]) for number in numbers))
        state = catalogue.build(RECORDS)
        for number, (_, result) in zip(numbers, found, strict=True):
            assert result == catalogue.one(state, number % RECORDS)
        return {process for process, _ in found}

    def read_everything(self) -> list[int]:
        """Private bytes of the processes after each has read all of the catalogue."""
        total = catalogue.everything(catalogue.build(RECORDS))
        readers: set[int] = set()

        def reached() -> bool:
            found = self.ask(*[("everything", [])] * 8)
            assert {result for _, result in found} == {total}
            readers.update(process for process, _ in found)
            return self.workers() <= readers

        wait_until(reached, "a task in each process")
        return [private(process) for process in self.workers()]

    def quiet(self, *expected: str) -> bool:
        """Whether nothing worse than what is expected was logged."""
        found = re.findall(
            r"^\[[^]]+ (?:WARNING|ERROR|CRITICAL)/.*|^Traceback.*", self.text(), re.M
        )
        return all(any(re.search(item, text) for item in expected) for text in found)


def test_under_load(tmp_path: Path, redis: str) -> None:
    with Worker(tmp_path, redis) as worker:
        assert worker.ask_ones(300) == worker.workers()
        for found in worker.ask(*[("process", [])] * 8):
            assert found["parent"] == worker.process.pid
            assert found["frozen"] > RECORDS and found["collector"]
        assert worker.stop() == 0
        assert len(re.findall(FROZE + r".*objects frozen", worker.text())) == 1
        assert "Warm shutdown" in worker.text()
        assert worker.quiet(), worker.text()


@pytest.mark.resident
@pytest.mark.skipif(not IMMORTAL, reason="references are counted on this Python")
def test_memory_stays_shared(tmp_path: Path, redis: str) -> None:
    """In the first processes and in one after a crash."""
    with Worker(tmp_path, redis) as worker:
        assert max(worker.read_everything()) < SHARED_AT_MOST + OWN
        first = worker.workers()
        assert worker.ask(("crash", [])) == [{"error": "WorkerLostError"}]
        wait_until(lambda: len(first & worker.workers()) == 1, "the end of a process")
        wait_until(lambda: len(worker.workers()) == 2, "a process in its place")
        assert max(worker.read_everything()) < SHARED_AT_MOST + OWN
        assert worker.stop() == 0


@pytest.mark.resident
@pytest.mark.skipif(IMMORTAL, reason="references are not counted on this Python")
def test_memory_where_references_are_counted(tmp_path: Path, redis: str) -> None:
    """The test above measures something: what is read is copied."""
    with Worker(tmp_path, redis) as worker:
        assert min(worker.read_everything()) > SHARED_AT_MOST + OWN


def test_processes_are_replaced(tmp_path: Path, redis: str) -> None:
    """max_tasks_per_child: later processes come from the same frozen parent; no task is lost."""
    with Worker(tmp_path, redis, MAX_TASKS="10") as worker:
        assert len(worker.ask_ones(30)) >= 3
        assert all(found["frozen"] > RECORDS for found in worker.ask(*[("process", [])] * 4))
        assert worker.stop() == 0
        assert len(re.findall(FROZE + r".*objects frozen", worker.text())) == 1
        assert worker.quiet(), worker.text()


def test_quick_end(tmp_path: Path, redis: str) -> None:
    """SIGQUIT, Celery's cold shutdown, ends as it does without freezing."""
    with Worker(tmp_path, redis) as worker:
        worker.ask_ones(10)
        assert worker.stop(signal.SIGQUIT) == 0
        assert "Cold shutdown" in worker.text()


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_other_pools(tmp_path: Path, redis: str, pool: str) -> None:
    """One process, nothing to share: a line in the log, and nothing is frozen."""
    with Worker(tmp_path, redis, pool=pool) as worker:
        assert worker.ask_ones(20) == {worker.process.pid}
        assert worker.ask(("process", []))[0]["frozen"] < FEW
        assert worker.stop() == 0
        found = re.findall(
            FROZE + rf"the pool is \w*{pool[:4]}\w*, not prefork; nothing", worker.text()
        )
        assert len(found) == 1, worker.text()
        assert worker.quiet(), worker.text()


def test_processes_that_are_not_forked(tmp_path: Path, redis: str) -> None:
    with Worker(tmp_path, redis, START_METHOD="spawn") as worker:
        worker.ask_ones(10)
        assert all(found["frozen"] < FEW for found in worker.ask(*[("process", [])] * 4))
        assert worker.stop() == 0
        assert re.search(FROZE + r"the pool starts its processes afresh", worker.text())


def test_broker_without_event_loop(tmp_path: Path) -> None:
    """Such a broker gets the pool that does not announce its processes; it is frozen before."""
    queue = tmp_path / "queue"
    queue.mkdir()
    backend = tmp_path / "results"
    backend.mkdir()
    with Worker(tmp_path, "filesystem://", BACKEND=backend.as_uri(), FOLDER=str(queue)) as worker:
        worker.ask_ones(4)
        assert all(found["frozen"] > RECORDS for found in worker.ask(*[("process", [])] * 4))
        assert worker.stop() == 0
        assert len(re.findall(FROZE + r".*objects frozen", worker.text())) == 1


def test_freeze_that_fails(tmp_path: Path, redis: str) -> None:
    """The exception is logged; the pool starts as if there were no import line."""
    with Worker(tmp_path, redis, FAIL="1") as worker:
        worker.ask_ones(20)
        assert all(found["frozen"] < FEW for found in worker.ask(*[("process", [])] * 4))
        assert worker.stop() == 0
        assert "ERROR/MainProcess] ferrule.memory: could not freeze" in worker.text()
        assert "MemoryError: none left" in worker.text()


def test_programs_that_only_send(tmp_path: Path) -> None:
    """They have the import line with the app: no pool is loaded, nothing is frozen."""
    services.library("celery")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import gc, sys, tasks; print(gc.get_freeze_count() < {FEW}, "
            "{'billiard.pool', 'celery.concurrency.prefork'} & {*sys.modules})",
        ],
        env=environment({"BROKER": "memory://", "BACKEND": "cache+memory://"}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True set()\n", "")
