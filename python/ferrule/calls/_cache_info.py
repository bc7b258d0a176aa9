"""What `cache_info()` gives. A module of its own: nothing else is imported for it."""

from __future__ import annotations

from typing import NamedTuple


class CacheInfo(NamedTuple):
    """Counts of a cache; equal to a tuple of four."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int
