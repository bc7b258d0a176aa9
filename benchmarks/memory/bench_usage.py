"""`usage`: one reading against psutil's and against the same in Python.

    python -m benchmarks.memory.bench_usage [--rounds N]

Each round measures the candidates in turn, in random order, by CPU time; a figure is the median of
the rounds with p10 and p90. Most of a reading is the kernel's walk over the pages, the same for
all, so the process is measured small (this interpreter) and with 200 MB more. psutil's
`memory_full_info` reads the rollup and statm; `smaps_rollup` in Python is the twin.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import mmap
import random
import sys
import time
from collections.abc import Callable
from statistics import median, quantiles

import ferrule.memory
import ferrule.pure.memory

#: Bar: usage() of a small process takes at most this part of the twin's time.
BAR = 0.85


def candidates() -> dict[str, Callable[[], object]]:
    """What is measured, by name."""
    found: dict[str, Callable[[], object]] = {
        "ferrule": ferrule.memory.usage,
        "python": ferrule.pure.memory.usage,
    }
    if importlib.util.find_spec("psutil") is not None:
        psutil = importlib.import_module("psutil")
        found["psutil"] = psutil.Process().memory_full_info
    return found


def once(call: Callable[[], object], loops: int) -> float:
    """Microseconds of CPU time of one call."""
    start = time.process_time_ns()
    for _ in range(loops):
        call()
    return (time.process_time_ns() - start) / loops / 1e3


def measure(rounds: int, loops: int) -> dict[str, list[float]]:
    """Rounds of every candidate."""
    calls = candidates()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        once(call, loops)
    for _ in range(rounds):
        for name in random.sample(list(calls), len(calls)):
            taken[name].append(once(calls[name], loops))
    return taken


def show(title: str, taken: dict[str, list[float]]) -> float:
    """Print the figures; median of ferrule's time over the twin's."""
    print(title)
    for name, rounds in taken.items():
        ratios = [mine / other for mine, other in zip(taken["ferrule"], rounds, strict=True)]
        low, high = quantiles(rounds, n=10)[0], quantiles(rounds, n=10)[-1]
        print(
            f"  {name:8} {median(rounds):8.1f} us ({low:.1f} to {high:.1f}), "
            f"ferrule / {name} {median(ratios):.2f}"
        )
    pairs = zip(taken["ferrule"], taken["python"], strict=True)
    return median(mine / other for mine, other in pairs)


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=31)
    rounds = parser.parse_args().rounds
    random.seed(1)
    print(f"CPython {sys.version.split()[0]}, {rounds} rounds, CPU time")
    ratio = show("this process", measure(rounds, 50))
    block = mmap.mmap(-1, 200 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, len(block), mmap.PAGESIZE):
        block[at] = 1
    show("with 200 MB more", measure(rounds, 5))
    print(f"bar: ferrule / python at most {BAR}: {ratio:.2f} {'ok' if ratio <= BAR else 'MISSED'}")
    return 0 if ratio <= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
