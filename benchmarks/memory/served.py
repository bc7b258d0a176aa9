"""gunicorn with four workers and a preloaded application, under load on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.memory.state import kilobytes

WORKERS = 4
CLIENTS = 4
SECONDS = 120.0
VARIANTS = {
    "nothing": "",
    "article": "import gc\ndef when_ready(server):\n    gc.collect()\n    gc.freeze()\n",
    "ferrule": "from ferrule.memory.gunicorn import post_fork, when_ready\n",
}
ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def _gunicorn(folder: Path, hooks: str, batches: int) -> Iterator[tuple[int, int]]:
    """A server with these hooks: the master's process and the port."""
    (folder / "gunicorn.conf.py").write_text(
        f"bind = '127.0.0.1:0'\nworkers = {WORKERS}\npreload_app = True\ntimeout = 120\n"
        f"worker_tmp_dir = {str(folder)!r}\ncontrol_socket = {str(folder / 'control')!r}\n{hooks}",
        encoding="utf-8",
    )
    paths = [str(ROOT), str(ROOT / "python"), os.environ.get("PYTHONPATH", "")]
    log = folder / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "benchmarks.memory.web:app"],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "PYTHONHASHSEED": "0",
                "PYTHONDONTWRITEBYTECODE": "1",
                "BATCHES": str(batches),
            },
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + SECONDS
        while log.read_text().count("Booting worker") < WORKERS:
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"gunicorn did not start:\n{log.read_text()}")
            time.sleep(0.05)
        found = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text())
        assert found
        yield process.pid, int(found[1])
        process.terminate()
        if process.wait(SECONDS):
            raise SystemExit(f"gunicorn ended with {process.returncode}:\n{log.read_text()}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ask(port: int, number: int) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    connection.request("GET", f"/?{number}")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer["process"], answer["found"]


def measure(variant: str, batches: int, requests: int) -> dict[str, Any]:
    """Send the requests; the memory of all processes after the last, and what was answered."""
    with (
        tempfile.TemporaryDirectory(prefix="ferrule-") as folder,
        _gunicorn(Path(folder), VARIANTS[variant], batches) as (master, port),
        ThreadPoolExecutor(CLIENTS) as clients,
    ):
        answers = list(clients.map(lambda number: _ask(port, number), range(requests)))
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        held = [kilobytes(process) for process in [str(master), *children]]
    digest = hashlib.sha256(json.dumps([found for _, found in answers]).encode())
    return {
        "variant": variant,
        "batches": batches,
        "requests": requests,
        "answers": digest.hexdigest(),
        "requests_per_worker": sorted(Counter(process for process, _ in answers).values()),
        "private_mb": [item["Private_Dirty"] / 1024 for item in held[1:]],
        "total_mb": sum(item["Pss"] for item in held) / 1024,
    }
