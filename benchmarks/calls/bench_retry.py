"""`retry`: the bars that calling again has to reach, over the calls room.

Beside the decorators stands the function alone. Nobody sleeps: the delays are 0.
"""

from __future__ import annotations

from benchmarks.bars import Bar, Bytes, Cost, Difference, Fixed, Ratio
from ferrule.cli.rooms.calls_retry import ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("what a call that succeeds adds, ns", Difference("success", "ferrule", "bare"), 20),
    Bar("what a method that succeeds adds, ns", Difference("method", "ferrule", "bare"), 20),
    Bar("what a keyword call that succeeds adds, ns", Difference("keyword", "ferrule", "bare"), 20),
    Bar("tenacity's success / ours", Ratio("success", "tenacity", "ferrule"), 250, least=True),
    Bar("stamina's success / ours", Ratio("success", "stamina", "ferrule"), 250, least=True),
    Bar("tenacity's two failures / ours",
        Ratio("two_failures", "tenacity", "ferrule"), 40, least=True),
    Bar("two failures / the article's", Ratio("two_failures", "ferrule", "article")),
    Bar("what 256 awaits that succeed add, ns", Difference("success_async", "ferrule", "bare")),
    Bar("tenacity's awaited success / ours", Ratio("success_async", "tenacity", "ferrule")),
    Bar("bytes of a decorated function / the article's", Bytes("ferrule", "article")),
)  # fmt: skip

COSTS: tuple[Cost, ...] = (
    Cost("`retry`, the call succeeds", Difference("success", "ferrule", "bare"), "ferrule"),
    Cost("the same, fails twice first", Fixed("two_failures", "ferrule", 1.0)),
)

#: What this module cannot measure, and where it is shown.
ELSEWHERE = ("sleeps, deadlines, cancellation: see tests/calls",)
