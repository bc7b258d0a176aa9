"""`cache`: the bars that hits and misses have to reach, over the cache room."""

from __future__ import annotations

from benchmarks.bars import Bar, Bytes, Difference, Ratio
from ferrule.cli.rooms.calls_cache import ROOM

__all__ = ["BARS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("int hit / functools.lru_cache", Ratio("hit_int", "ferrule", "functools"), 1.1),
    Bar("keyword hit / functools.lru_cache", Ratio("hit_keyword", "ferrule", "functools"), 0.75),
    Bar("int hit / cachetools", Ratio("hit_int", "ferrule", "cachetools"), 1 / 7),
    Bar("keyword hit / cachetools", Ratio("hit_keyword", "ferrule", "cachetools"), 1 / 7),
    Bar("str hit / functools.lru_cache", Ratio("hit_str", "ferrule", "functools")),
    Bar("two ints / functools.lru_cache", Ratio("hit_two", "ferrule", "functools")),
    Bar("method / functools.lru_cache", Ratio("hit_method", "ferrule", "functools")),
    Bar("miss that evicts / functools.lru_cache", Ratio("evict", "ferrule", "functools")),
    Bar("fibonacci(100), cold / functools.lru_cache", Ratio("fibonacci", "ferrule", "functools")),
    Bar("bytes of a result / functools.cache", Bytes("ferrule", "functools")),
    Bar("what a miss that evicts adds, ns", Difference("evict", "ferrule", "bare")),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("1,000 threads on a cold key call once: see tests/calls/test_cache_threads.py",)
