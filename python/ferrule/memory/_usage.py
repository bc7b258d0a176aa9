"""`usage`: what a process, or a process and all its descendants, keep in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, SupportsIndex

from .._memory import _children, _usage


class Usage(NamedTuple):
    """Bytes of memory, as the kernel counts them.

    Of one process: `private` are the pages no other process maps, what would be free without it;
    `shared` those that others map as well; `rss` is both together. `pss` is `private` and of each
    shared page its part: the page divided by the number of processes that map it. `swap` is what
    is paged out. Pages of hugetlbfs are in none of these, as the kernel leaves them out of `rss`.

    Of a tree: `private`, `pss`, `rss` and `swap` are sums over its processes. `rss` counts a page
    once for each process that maps it and `pss` once altogether, so `pss` is what the tree costs.
    `shared` is `pss - private`: pages that several processes map, each counted once if all of them
    belong to the tree, and by the tree's part of it if some do not.
    """

    private: int
    shared: int
    pss: int
    rss: int
    swap: int


def usage(pid: SupportsIndex | None = None, tree: bool = False) -> Usage:
    """Memory of a process (None: this one), with `tree` of it and all its descendants.

    ProcessLookupError: there is no such process, or it has ended, or it is a thread of the kernel;
    PermissionError: it, or one of the descendants, belongs to somebody else. A descendant that ends
    while it is looked at is left out. The processes are read one after the other while they run:
    the figures of a tree are of no single moment.
    """
    return total(each for _, _, each in tree_usage(pid)) if tree else Usage._make(_usage(pid))


def total(parts: Iterator[Usage]) -> Usage:
    """The `Usage` of the tree that these processes are."""
    private = pss = rss = swap = 0
    for part in parts:
        private += part.private
        pss += part.pss
        rss += part.rss
        swap += part.swap
    return Usage(private, max(pss - private, 0), pss, rss, swap)


def tree_usage(
    pid: SupportsIndex | None = None, proc: str = "/proc"
) -> Iterator[tuple[int, int | None, Usage]]:
    """Each process of a tree as (pid, pid of its parent, usage), parents before children."""
    # the root first: whether there is such a process is its error
    first = Usage._make(_usage(pid, proc))
    for number, parent in family(pid, proc):
        if parent is None:
            yield number, None, first
            continue
        try:
            found = Usage._make(_usage(number, proc))
        except ProcessLookupError:
            continue
        yield number, parent, found


def family(
    pid: SupportsIndex | None = None, proc: str = "/proc"
) -> Iterator[tuple[int, int | None]]:
    """The process (parent: None) and all its descendants as (pid, pid of the parent)."""
    children = _lister(proc)
    root = int(os.readlink(f"{proc}/self")) if pid is None else pid.__index__()
    # none twice: a number could be given away while the tree is walked, and a thread that ends
    # leaves its children to another, whose list may be read later
    seen = {root}
    waiting: list[tuple[int, int | None]] = [(root, None)]
    for number, parent in waiting:
        yield number, parent
        new = [child for child in dict.fromkeys(children(number)) if child not in seen]
        seen.update(new)
        waiting += [(child, number) for child in new]


def _lister(proc: str) -> Callable[[int], list[int]]:
    """How to get the children of a process."""
    if os.path.exists(f"{proc}/thread-self/children"):
        return lambda pid: _children(pid, proc)
    # a kernel without lists of children: every process says who its parent is
    by_parent: dict[int, list[int]] = {}
    for child, parent in _parents(proc):
        by_parent.setdefault(parent, []).append(child)
    return lambda pid: by_parent.get(pid, [])


def _parents(proc: str) -> Iterator[tuple[int, int]]:
    for entry in sorted(os.listdir(proc)):
        if not entry.isascii() or not entry.isdigit():
            continue
        try:
            with open(Path(proc, entry, "stat"), "rb") as file:
                text = file.read(4096)
        except (FileNotFoundError, ProcessLookupError):
            continue
        # "12 (a (b) name) S 1 ...": the name may hold anything
        fields = text.rpartition(b")")[2].split()
        if len(fields) > 1 and fields[1].isdigit():
            yield int(entry), int(fields[1])
