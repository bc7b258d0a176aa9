"""Freeze, then fork pools; print what their processes answered: `pools.py [freeze]`, JSON."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import catalogue

from ferrule.memory import freeze

CATALOGUE = catalogue.build(int(os.environ["RECORDS"]))


def private() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_Dirty"))


def look(number: int) -> dict[str, Any]:
    """One job: read everything; what this process has to itself by then."""
    time.sleep(0.02)  # leave the next job to another process
    return {
        "process": os.getpid(),
        "number": number,
        "total": catalogue.everything(CATALOGUE),
        "frozen": gc.get_freeze_count(),
        "private": private(),
    }


def main() -> None:
    if "freeze" in sys.argv[1:]:
        freeze()
    fork = multiprocessing.get_context("fork")
    found = {}
    with fork.Pool(2) as pool:
        found["Pool"] = pool.map(look, range(12), chunksize=1)
        pool.close()
        pool.join()
    with fork.Pool(2, maxtasksperchild=2) as pool:
        found["short-lived"] = pool.map(look, range(12), chunksize=1)
        pool.close()
        pool.join()
    with ProcessPoolExecutor(2, mp_context=fork) as executor:
        found["executor"] = list(executor.map(look, range(12)))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
