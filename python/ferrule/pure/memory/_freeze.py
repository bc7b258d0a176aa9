"""freeze() as the article has it: keep the collector away from what is loaded, no more."""

from __future__ import annotations

import atexit
import gc
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple


class FreezeReport(NamedTuple):
    """What `freeze` did, and what it did not do."""

    objects: int
    immortal: int
    mortal: Mapping[str, int]
    hashed: int
    versioned: int
    seconds: float
    skipped: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            f"{self.objects:,} objects frozen, {self.immortal:,} made immortal, "
            f"{sum(self.mortal.values()):,} left mortal, in {self.seconds:.3f} s of CPU"
        ]
        return "\n".join(lines + [f"not done: {text}" for text in self.skipped])


class Drift(NamedTuple):
    """Immortal objects whose count is no longer the one they were given."""

    immortal: int
    drifted: int


def freeze(
    *,
    collect: bool = True,
    immortal: bool = True,
    seal: bool = False,
    warm: Callable[[], object] | None = None,
    mortal: Iterable[object] = (),
) -> FreezeReport:
    """Collect and `gc.freeze()`; at exit the collector looks again, or files are not flushed."""
    if warm is not None and not callable(warm):
        raise TypeError(f"freeze(): warm must be callable, got {type(warm).__name__}")
    try:
        iter(mortal)
    except TypeError:
        kind = type(mortal).__name__
        raise TypeError(f"freeze(): mortal must be an iterable of objects, got {kind}") from None
    for _ in range(8 if warm is not None else 0):
        warm()  # type: ignore[misc]
    start = time.process_time()
    skipped = [] if warm is not None else ["warm: no function was given to run"]
    if collect:
        gc.collect()
    else:
        skipped.append("collect: not asked for")
    if seal:
        skipped.append("seal: not in this version")
    skipped.append(f"immortal: {'pure Python cannot' if immortal else 'not asked for'}")
    skipped.append("hash: of no use without immortal objects")
    gc.freeze()
    atexit.unregister(gc.unfreeze)
    atexit.register(gc.unfreeze)
    seconds = time.process_time() - start
    return FreezeReport(gc.get_freeze_count(), 0, {}, 0, 0, seconds, tuple(skipped))


def unfreeze() -> None:
    """Let the collector look at everything again."""
    gc.unfreeze()


def drift() -> Drift:
    """RuntimeError: nothing is immortal here."""
    raise RuntimeError("drift(): nothing is immortal here: pure Python cannot")
