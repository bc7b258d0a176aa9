"""`usage`, read from /proc in Python."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import NamedTuple, SupportsIndex

if sys.platform != "linux":
    raise ImportError(f"ferrule.pure.memory needs Linux, and this is {sys.platform}")


class Usage(NamedTuple):
    """Bytes: see `ferrule.memory.Usage`."""

    private: int
    shared: int
    pss: int
    rss: int
    swap: int


def _number(pid: SupportsIndex) -> int:
    try:
        number = pid.__index__()
    except AttributeError:
        raise TypeError(f"usage(): pid must be an int or None, got {type(pid).__name__}") from None
    if not 1 <= number <= 2**31 - 1:
        raise ValueError(f"usage(): pid must be from 1 to {2**31 - 1}, got {number}")
    return number


def _one(pid: int) -> Usage:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(
            errno.ESRCH,
            f"usage(): process {pid} does not exist, has ended, or has no memory of its own",
        ) from None
    except PermissionError as error:
        raise PermissionError(
            error.errno, f"usage(): not permitted to read the memory of process {pid}"
        ) from None
    size = {line.split(":")[0]: int(line.split()[-2]) * 1024 for line in lines[1:]}
    return Usage(
        size["Private_Clean"] + size["Private_Dirty"],
        size["Shared_Clean"] + size["Shared_Dirty"],
        size["Pss"],
        size["Rss"],
        size["Swap"],
    )


def _below(pid: int) -> list[Usage]:
    """Of all descendants that do not end meanwhile."""
    try:
        texts = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")]
    except (FileNotFoundError, ProcessLookupError):
        return []
    found = []
    for child in set(map(int, " ".join(texts).split())):
        with contextlib.suppress(ProcessLookupError):
            found.append(_one(child))
            found += _below(child)
    return found


def usage(pid: SupportsIndex | None = None, tree: bool = False) -> Usage:
    """Memory of a process (None: this one), with `tree` of it and all its descendants."""
    number = os.getpid() if pid is None else _number(pid)
    first = _one(number)
    if not tree:
        return first
    private, _, pss, rss, swap = map(sum, zip(first, *_below(number), strict=True))
    return Usage(private, max(pss - private, 0), pss, rss, swap)
