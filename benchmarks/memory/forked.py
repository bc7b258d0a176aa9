"""One parent with a state, frozen in one of three ways, and its forked workers.

`python -m benchmarks.memory.forked JOB`, both the job and what it prints in JSON. For each phase
four fresh workers are forked; each does its work, says so, and waits while its `smaps_rollup` is
read, so all of them are alive when the memory of all processes is added up.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.memory import state as states
from benchmarks.memory.state import State, kilobytes
from ferrule.memory import freeze

WORKERS = 4
PHASES = ("idle", "gc", "garbage", "read", "all")


def nothing() -> None:
    """Fork as it is."""


def article() -> None:
    """The article's recipe."""
    gc.collect()
    gc.freeze()


def ferrule() -> None:
    """The library."""
    print(freeze(), file=sys.stderr)


STRATEGIES: dict[str, Callable[[], None]] = {
    "nothing": nothing,
    "article": article,
    "ferrule": ferrule,
}


def work(phase: str, state: State) -> int:
    """What a worker does; the sum if it has read the state."""
    total = 0
    if phase in ("read", "all"):
        total = states.read(state)
    if phase in ("gc", "all"):
        gc.collect()
    if phase in ("garbage", "all"):
        states.garbage()
    return total


class Worker:
    """A forked process that has done its work and waits to be let go."""

    def __init__(self, phase: str, state: State) -> None:
        self._done, done = os.pipe()
        go, self._go = os.pipe()
        self.process = os.fork()
        if not self.process:
            status = 1
            try:
                os.close(self._done)
                os.close(self._go)
                os.write(done, b"%d\n" % work(phase, state))
                os.read(go, 1)
                status = 0
            finally:
                os._exit(status)
        os.close(done)
        os.close(go)

    def wait(self) -> int:
        """The sum, once the work is done."""
        text = b""
        while not text.endswith(b"\n"):
            piece = os.read(self._done, 100)
            if not piece:
                raise SystemExit("a worker died")
            text += piece
        return int(text)

    def end(self) -> None:
        """Let the process go."""
        os.write(self._go, b".")  # closing would not do: later workers hold the same pipe
        os.close(self._go)
        os.close(self._done)
        _, status = os.waitpid(self.process, 0)
        if status:
            raise SystemExit(f"a worker ended with {status}")


def measure(phase: str, state: State) -> dict[str, Any]:
    """Fork the workers and read the memory of all processes."""
    workers = [Worker(phase, state) for _ in range(WORKERS)]
    sums = {worker.wait() for worker in workers}
    held = [kilobytes(worker.process) for worker in workers]
    parent = kilobytes()
    for worker in workers:
        worker.end()
    private = [item["Private_Dirty"] / 1024 for item in held]
    return {
        "sums": sorted(sums),
        "private_mb": private,
        "total_mb": sum(item["Pss"] for item in (parent, *held)) / 1024,
    }


def main() -> None:
    """Do one job."""
    job = json.loads(sys.argv[1])
    imported = states.libraries()
    state, batches = states.build(megabytes=job["megabytes"], batches=job["batches"])
    began = time.process_time()
    STRATEGIES[job["strategy"]]()
    seconds = time.process_time() - began
    phases = {phase: measure(phase, state) for phase in job["phases"]}
    print(
        json.dumps(
            {
                **job,
                "batches": batches,
                "freeze_s": seconds,
                "libraries": imported,
                "phases": phases,
            }
        )
    )


if __name__ == "__main__":
    main()
