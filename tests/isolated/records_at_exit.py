"""Records that are alive when the interpreter ends: in globals, in cycles, with __del__."""

import functools
import gc
import sys

from ferrule.records import Record, f64, i64


class Node(Record):
    n: i64
    other: object = None

    def __del__(self) -> None:
        self.other = None
        gc.collect()

    @functools.cached_property
    def me(self) -> "list[Node]":
        return [self]


class Without(Record, gc=False):
    n: i64
    x: f64
    other: object


ring = [Node(i) for i in range(100)]
for i, node in enumerate(ring):
    node.other = ring[i - 1]
    node.me.append(node)
sys.keep_until_the_end = [Without(1, 2.0, ring), Without(3, 4.0, Node), Node]  # type: ignore[attr-defined]
gc.disable()
