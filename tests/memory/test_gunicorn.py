"""The hooks in a real gunicorn: two workers under load on loopback, restarts, upgrades, its end."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import services
from memory.apps import catalogue
from memory.processes import (
    COPIED_AT_LEAST,
    FEW,
    IMMORTAL,
    RECORDS,
    SECONDS,
    SHARED_AT_MOST,
    Program,
    private,
    wait_until,
)

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

CATALOGUE = catalogue.build(RECORDS)
HOOKS = "from ferrule.memory.gunicorn import post_fork, when_ready\n"
FROZE = r"\[INFO\] ferrule\.memory: "


class Gunicorn(Program):
    """gunicorn with two workers on a free port, which it logs."""

    def __init__(self, folder: Path, configuration: str, worker: str = "sync") -> None:
        services.library("gunicorn")
        (folder / "gunicorn.conf.py").write_text(
            "bind = '127.0.0.1:0'\n"
            f"workers = 2\nworker_class = {worker!r}\nthreads = {2 if worker == 'gthread' else 1}\n"
            f"pidfile = {str(folder / 'pid')!r}\nworker_tmp_dir = {str(folder)!r}\n"
            f"control_socket = {str(folder / 'control')!r}\n{configuration}",
            encoding="utf-8",
        )
        super().__init__(["-m", "gunicorn", "web:app"], folder)

    def started(self) -> None:
        self.port = int(self.expect(r"Listening at: http://127\.0\.0\.1:(\d+)")[1])
        self.expect(r"Booting worker", times=2)

    def ask(self, path: str) -> tuple[int, Any]:
        """The process that answered, and its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200, path
            found = json.loads(answer.read())
        finally:
            connection.close()
        return found["process"], found["found"]

    def ask_each(self, path: str, wanted: Callable[[Any], object]) -> dict[int, Any]:
        """Ask until every worker has answered; what each of them said last."""
        answers: dict[int, Any] = {}

        def reached() -> bool:
            with ThreadPoolExecutor(4) as clients:
                for process, found in clients.map(self.ask, [path] * 8):
                    assert wanted(found), found
                    answers[process] = found
            return self.workers() <= set(answers)

        wait_until(reached, f"an answer of every worker to {path}")
        return {process: answers[process] for process in self.workers()}

    def load(self, requests: int, clients: int = 4) -> Counter[int]:
        """Send requests from several clients and check every answer; how many each worker gave."""

        def right(number: int) -> int:
            process, found = self.ask(f"/one?{number % RECORDS}")
            assert found == catalogue.one(CATALOGUE, number % RECORDS)
            return process

        with ThreadPoolExecutor(clients) as pool:
            return Counter(pool.map(right, range(0, 7 * requests, 7)))

    def read_everything(self) -> list[int]:
        """Private bytes of the workers after each has read all of the catalogue."""
        total = catalogue.everything(CATALOGUE)
        workers = self.ask_each("/everything", lambda found: found == total)
        assert len(workers) == 2
        return [private(process) for process in workers]

    def quiet(self, *expected: str) -> bool:
        """Whether nothing worse than what is expected was logged or printed."""
        line = re.compile(r"^\[[^]]+\] \[\d+\] \[INFO\] ")
        strange = [text for text in self.text().splitlines() if not line.match(text)]
        return all(any(re.search(item, text) for item in expected) for text in strange)


@pytest.mark.parametrize("worker", ["sync", "gthread"])
def test_under_load(tmp_path: Path, worker: str) -> None:
    with Gunicorn(tmp_path, HOOKS + "preload_app = True", worker) as server:
        answered = server.load(300)
        assert answered.total() == 300 and set(answered) <= server.workers()
        server.ask_each("/process", lambda found: found["frozen"] > RECORDS and found["collector"])
        server.read_everything()
        assert server.stop() == 0
        assert len(re.findall(r"Listening at", server.text())) == 1
        assert re.search(FROZE, server.text())
        assert server.quiet(), server.text()


@pytest.mark.resident
def test_reading_copies_without_hooks(tmp_path: Path) -> None:
    """The other tests measure something: without the hooks, workers copy what they read."""
    with Gunicorn(tmp_path, "preload_app = True") as server:
        assert min(server.read_everything()) > COPIED_AT_LEAST


@pytest.mark.resident
@pytest.mark.skipif(not IMMORTAL, reason="references are counted on this Python")
def test_memory_stays_shared(tmp_path: Path) -> None:
    """In the first workers, in one after a crash, and in those of a reload."""
    with Gunicorn(tmp_path, HOOKS + "preload_app = True") as server:
        assert max(server.read_everything()) < SHARED_AT_MOST
        first = server.workers()
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            server.ask("/crash")
        wait_until(lambda: len(first & server.workers()) == 1, "the end of a worker")
        wait_until(lambda: len(server.workers()) == 2, "a worker in its place")
        assert max(server.read_everything()) < SHARED_AT_MOST
        second = server.workers()
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not second & server.workers(), "the end of the old workers")
        wait_until(lambda: len(server.workers()) == 2, "the new workers")
        assert max(server.read_everything()) < SHARED_AT_MOST
        assert server.stop() == 0
        assert server.quiet(r"was sent SIGKILL"), server.text()


def test_reloads_and_restarts_under_load(tmp_path: Path) -> None:
    """Workers come and go while clients ask; no request is lost."""
    with Gunicorn(tmp_path, HOOKS + "preload_app = True\nmax_requests = 60") as server:
        reloads = threading.Timer(0.3, server.process.send_signal, [signal.SIGHUP])
        reloads.start()
        answered = server.load(400)
        reloads.join()
        assert answered.total() == 400 and len(answered) > 4
        server.expect(r"Hang up")
        assert server.stop() == 0
        assert len(re.findall(FROZE + r".*objects frozen", server.text())) == 1  # not once a reload
        assert server.quiet(), server.text()


def test_more_and_fewer_workers(tmp_path: Path) -> None:
    with Gunicorn(tmp_path, HOOKS + "preload_app = True") as server:
        server.process.send_signal(signal.SIGTTIN)
        wait_until(lambda: len(server.workers()) == 3, "a third worker")
        server.ask_each("/process", lambda found: found["frozen"] > RECORDS)
        server.process.send_signal(signal.SIGTTOU)
        wait_until(lambda: len(server.workers()) == 2, "two workers")
        server.load(20)
        assert server.stop(signal.SIGINT) == 0
        assert server.quiet(), server.text()


def test_upgrade(tmp_path: Path) -> None:
    """SIGUSR2: a new master loads and freezes for itself; then the old one ends."""
    with Gunicorn(tmp_path, HOOKS + "preload_app = True") as server:
        old = server.workers()
        server.process.send_signal(signal.SIGUSR2)
        server.expect(r"Booting worker", times=4)
        (new,) = server.workers() - old
        assert len(re.findall(FROZE + r".*objects frozen", server.text())) == 2
        assert server.stop() == 0
        pid = tmp_path / "pid"
        wait_until(lambda: pid.exists() and pid.read_text() == f"{new}\n", "the new master's turn")
        server.load(50)
        os.kill(new, signal.SIGTERM)
        wait_until(lambda: not pid.exists(), "the end of the new master")
        assert server.quiet(), server.text()


def test_without_preload(tmp_path: Path) -> None:
    """Nothing to share: a warning says so, the server works, nothing is frozen."""
    with Gunicorn(tmp_path, HOOKS) as server:
        server.load(20)
        server.ask_each("/process", lambda found: found["frozen"] < FEW and found["collector"])
        assert server.stop() == 0
        assert len(re.findall(r"preload_app is off: .*; nothing was frozen", server.text())) == 1
        assert server.quiet(r"\[WARNING\] ferrule\.memory: preload_app is off"), server.text()


def test_hooks_of_ones_own(tmp_path: Path) -> None:
    configuration = """
from ferrule.memory import gunicorn as frozen

preload_app = True

def when_ready(server):
    server.log.info("filling caches")
    frozen.when_ready(server)

def post_fork(server, worker):
    frozen.post_fork(server, worker)
    worker.log.info("worker %s is forked", worker.age)
"""
    with Gunicorn(tmp_path, configuration) as server:
        server.expect(r"worker \d is forked", times=2)
        assert server.text().index("filling caches") < server.text().index("ferrule.memory: ")
        server.ask_each("/process", lambda found: found["frozen"] > RECORDS)
        assert server.stop() == 0
        assert server.quiet(), server.text()


def test_collector_off_while_loading(tmp_path: Path) -> None:
    """The recipe of the gc module's documentation: off in the parent, on in the child."""
    configuration = HOOKS + "import gc\ngc.disable()\npreload_app = True"
    with Gunicorn(tmp_path, configuration) as server:
        server.ask_each("/process", lambda found: found["collector"])
        assert server.stop() == 0
        assert len(re.findall(r"was off in the parent and is on", server.text())) == 2


def test_freeze_that_fails(tmp_path: Path) -> None:
    """The exception is logged; the workers start as if there were no hooks."""
    configuration = HOOKS + (
        "from ferrule.memory import _hooks\n"
        "def fail():\n    raise MemoryError('none left')\n"
        "_hooks.freeze = fail\npreload_app = True\n"
    )
    with Gunicorn(tmp_path, configuration) as server:
        server.load(20)
        assert server.stop() == 0
        assert "[ERROR] ferrule.memory: could not freeze" in server.text()
        assert "MemoryError: none left" in server.text()


def test_exit_handlers_run_once_in_each_process(tmp_path: Path) -> None:
    """Workers that end run what was registered before the fork, as without the hooks."""
    ends = tmp_path / "ends"
    configuration = HOOKS + (
        "import atexit, os, pathlib\npreload_app = True\n"
        f"def at_end():\n    with open({str(ends)!r}, 'a') as file:\n"
        "        file.write(f'{os.getpid()}\\n')\n"
        "atexit.register(at_end)\n"
    )
    with Gunicorn(tmp_path, configuration) as server:
        processes = {server.process.pid, *server.workers()}
        server.ask_each("/process", lambda found: found)  # their signal handlers are set
        assert server.stop() == 0
        lines = ends.read_text().split()
        assert sorted(lines) == sorted(map(str, processes))
        assert server.quiet(), server.text()
