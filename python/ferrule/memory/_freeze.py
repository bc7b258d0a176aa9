"""freeze(): what is done in which order, and what is said about it."""

from __future__ import annotations

import _io
import atexit
import gc
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from .. import _memory

#: Calls of `warm`: CPython specialises code from its second to its eighth run.
WARM_CALLS = 8


class FreezeReport(NamedTuple):
    """What `freeze` did, and what it did not do."""

    #: Objects the collector will not look at again, until `unfreeze`.
    objects: int
    #: Objects made immortal, those the collector does not know included.
    immortal: int
    #: Objects that keep their reference count, by reason.
    mortal: Mapping[str, int]
    #: Strings whose hash was computed now.
    hashed: int
    #: Classes that got their version for the attribute cache now.
    versioned: int
    #: CPU seconds, without `warm`.
    seconds: float
    #: What was not done, each with its reason.
    skipped: tuple[str, ...]

    def __str__(self) -> str:
        mortal = sum(self.mortal.values())
        lines = [
            f"{self.objects:,} objects frozen, {self.immortal:,} made immortal, "
            f"{mortal:,} left mortal, in {self.seconds:.3f} s of CPU"
        ]
        lines += [f"not done: {text}" for text in self.skipped]
        return "\n".join(lines)


class Drift(NamedTuple):
    """Immortal objects whose count is no longer the one they were given."""

    #: Immortal objects that can be reached.
    immortal: int
    #: Of these, with a count that somebody has moved.
    drifted: int


def freeze(
    *,
    collect: bool = True,
    immortal: bool = True,
    seal: bool = False,
    warm: Callable[[], object] | None = None,
    mortal: Iterable[object] = (),
) -> FreezeReport:
    """Make what this process has loaded safe to share with the children it will fork.

    Call it once, when everything is loaded and before the first fork: garbage is collected; on
    CPython 3.12 and 3.13 every object that can be reached is made immortal, so that reading it
    writes no reference count into its page; string hashes and class versions are computed; then
    the collector is told to leave it all alone (`gc.freeze`).

    `warm()` is called 8 times first, so that the code it runs is specialised in the parent.
    `mortal` names objects and classes to leave as they are, beside those with a finalizer (files,
    sockets, generators, classes with ``__del__``), what holds one of these nearly alone, what
    `weakref.finalize` watches, and frames.

    What is immortal is never freed: see docs/prefork.md. At exit finalizers run and files are
    flushed all the same. Called again it takes in what is new. With other threads or
    sub-interpreters, on 3.11, on free-threaded and debug builds nothing is made immortal, and the
    report says so. TypeError for arguments of the wrong kind; what `warm` raises comes through,
    before anything has been done.
    """
    if warm is not None and not callable(warm):
        raise TypeError(f"freeze(): warm must be callable, got {type(warm).__name__}")
    asked = _with_subclasses("mortal", mortal)
    for _ in range(WARM_CALLS if warm is not None else 0):
        warm()  # type: ignore[misc]
    start = time.process_time()
    skipped = [] if warm is not None else ["warm: no function was given to run"]
    if not collect:
        skipped.append("collect: not asked for")
    if seal:
        skipped.append("seal: not in this version")
    if collect:
        gc.collect()
    closing = _guard()
    keep = (*asked, *_watched(), *closing, _memory._Guard)
    why = _unable() if immortal else "not asked for"
    counts: dict[str, int] = {}
    if why:
        skipped += [f"immortal: {why}", "hash: of no use without immortal objects"]
        # the guard comes too late for objects that are let go by the collector only
        _at_exit(gc.unfreeze)
    else:
        _at_exit(_memory._note_threads)
        frozen = gc.get_freeze_count()
        gc.unfreeze()  # 3.12 shows a visitor nothing that is frozen
        try:
            counts = _memory._walk(keep, True, True)
        except MemoryError:
            if frozen:
                gc.freeze()
            raise
        if missed := counts["missed"]:
            skipped.append(f"immortal: no memory to look into {missed} untracked objects")
    gc.freeze()
    if collect:
        # The collector runs in full once what is new exceeds a quarter of what it found the last
        # time. That was all of the state, which it no longer sees: with a million dicts frozen, a
        # list in each, a worker kept 505,000 objects before its first full collection; after this
        # one 93,000 (3.13: 266,000).
        gc.collect()
    return FreezeReport(
        gc.get_freeze_count(),
        counts.get("immortal", 0),
        {name: n for name in ("finalizer", "owner", "running", "asked") if (n := counts.get(name))},
        counts.get("hashed", 0),
        counts.get("versioned", 0),
        time.process_time() - start,
        tuple(skipped),
    )


def unfreeze() -> None:
    """Let the collector look at everything again (`gc.unfreeze`). Immortal objects stay so."""
    gc.unfreeze()


def drift() -> Drift:
    """Count immortal objects, and those whose count has been moved.

    Extensions built for the stable ABI of before 3.12 count references to immortal objects too.
    One by one that is harmless; but each write copies a page, and 2**31 of them make an object
    mortal. `freeze` again puts the count back. Everything is frozen afterwards, what is new too.

    RuntimeError where `freeze` makes nothing immortal.
    """
    if why := _unable():
        raise RuntimeError(f"drift(): nothing is immortal here: {why}")
    gc.unfreeze()
    try:
        counts = _memory._walk((), False, False)
    finally:
        gc.freeze()
    return Drift(counts["already"] + counts["drifted"], counts["drifted"])


def _unable() -> str:
    """Why nothing can be made immortal here and now, or an empty string."""
    if not _memory._IMMORTAL:
        version = tuple(sys.version_info[:2])
        if version < (3, 12):
            return f"CPython {version[0]}.{version[1]} has no immortal objects"
        if version >= (3, 14):
            return "known for CPython 3.12 and 3.13 only"
        return "not on debug, free-threaded or 32-bit builds"
    if sys.is_finalizing():
        return "the interpreter is ending"
    if (threads := _memory._threads()) > 1:
        return f"{threads - 1} other threads are running"
    if (interpreters := _memory._interpreters()) > 1:
        return f"there are {interpreters} interpreters"
    return ""


def _with_subclasses(name: str, objects: Iterable[object]) -> list[object]:
    """The objects, and of classes all that derive from them."""
    try:
        found = list(objects)
    except TypeError:
        kind = type(objects).__name__
        raise TypeError(f"freeze(): {name} must be an iterable of objects, got {kind}") from None
    waiting: list[Any] = [item for item in found if issubclass(type(item), type)]
    seen = {id(item) for item in waiting}
    while waiting:
        for below in type.__subclasses__(waiting.pop()):
            if id(below) not in seen:
                seen.add(id(below))
                found.append(below)
                waiting.append(below)
    return found


def _watched() -> list[object]:
    """Objects whose death a finalizer waits for: immortal, they would never get there."""
    peeked = [finalizer.peek() for finalizer in getattr(weakref.finalize, "_registry", ())]
    found: list[object] = [info[0] for info in peeked if info is not None]
    # by name: this room knows no other, and if nobody has imported it there are none
    lifetime: Any = sys.modules.get("ferrule._lifetime")
    return found + (lifetime._finalize_objects() if lifetime is not None else [])


#: What was registered in which process. (`atexit.unregister` would compare with everything there.)
_registered: set[tuple[int, int]] = set()


def _at_exit(function: Callable[[], object]) -> None:
    """Once in a process, however often `freeze` is called; a forked child may have been cleared."""
    entry = os.getpid(), id(function)
    if entry not in _registered:
        _registered.add(entry)
        atexit.register(function)


#: Lower layers of files, which others wrap.
_LOWER = (_io.BufferedWriter, _io.BufferedRandom, _io.BufferedReader, _io.BytesIO, _io._RawIOBase)


def _guard() -> tuple[type, ...]:
    """Have the end of the process made safe; classes whose objects are closed there by name.

    Modules are looked for by name: who has not imported them has no objects of theirs.
    """
    sockets = [getattr(sys.modules.get("_socket"), "socket", None)]
    closing = _with_subclasses("", [getattr(sys.modules.get("_sqlite3"), "Connection", None)])
    closed = tuple(cls for cls in closing if isinstance(cls, type))
    late = (_io._IOBase, *(cls for cls in sockets if isinstance(cls, type)), *closed)
    _memory._set_guard(gc.unfreeze, gc.freeze, late, _LOWER, closed)
    return closed
