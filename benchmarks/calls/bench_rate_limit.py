"""`rate_limit`: the bars that a call within its limit has to reach, over the calls room.

Beside the decorators stands the function alone. Nobody waits: the limits are out of reach.
"""

from __future__ import annotations

from benchmarks.bars import Bar, Bytes, Cost, Difference, Ratio
from ferrule.cli.rooms.calls_rate_limit import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("what a call adds, ns", Difference("call", "ferrule", "bare"), 40),
    Bar("what a method call adds, ns", Difference("method", "ferrule", "bare"), 40),
    Bar("what a keyword call adds, ns", Difference("keyword", "ferrule", "bare"), 40),
    Bar("ratelimit's call / ours", Ratio("call", "ratelimit", "ferrule"), 7, least=True),
    Bar("limits' call / ours", Ratio("call", "limits", "ferrule"), 35, least=True),
    Bar("what a call with its limit in a mapped page adds, ns",
        Difference("shared", "ferrule", "bare"), 90),
    Bar("what 256 awaits add, ns", Difference("call_async", "ferrule", "bare"), 256 * 60),
    Bar("what a call with a key adds, ns", Difference("keyed", "ferrule", "bare")),
    Bar("a call / the article's with a lock", Ratio("call", "ferrule", "article")),
    Bar("bytes of a decorated function / the article's", Bytes("ferrule", "article")),
)  # fmt: skip

COSTS: tuple[Cost, ...] = (
    Cost("`rate_limit`, within the limit", Difference("call", "ferrule", "bare"), "ferrule"),
    Cost("the same, shared in a mapped page", Difference("shared", "ferrule", "bare"), "ferrule"),
    Cost("the same, a limit for each key", Difference("keyed", "ferrule", "bare"), "ferrule"),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("waits, cancellation, several processes, Redis: see tests/calls",)
