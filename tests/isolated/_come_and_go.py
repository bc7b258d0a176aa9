"""What the scripts `*_types.py` share: the types of a module keep the references they had."""

import gc
import sys
from collections.abc import Callable, Sequence


def come_and_go(make: Callable[[], None], watched: Sequence[type]) -> None:
    """Run `make` again and again: no type of `watched` gains a reference, and no block stays."""
    gc.freeze()
    for _ in range(400):  # free lists and type caches fill slowly
        make()
        gc.collect()
    more = []
    for _ in range(5):  # what fills a cache stops; whoever leaks, leaks every time
        before = [sys.getrefcount(cls) for cls in watched]
        blocks = sys.getallocatedblocks()
        for _ in range(100):
            make()
            gc.collect()
        after = [sys.getrefcount(cls) for cls in watched]
        more.append(sys.getallocatedblocks() - blocks)
        assert before == after, list(zip(watched, before, after, strict=True))
    assert min(more) < 50, more
