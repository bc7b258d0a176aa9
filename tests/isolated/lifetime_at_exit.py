"""Clean-ups of both kinds alive when the interpreter ends: in globals, in cycles, in each other."""

import gc
import sys

from ferrule.lifetime import Finalizable, TempFileManager, finalize

ran: list[object] = []


class Node:
    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        gc.collect()
        finalize(Node, ran.append, "never")


class Own(Finalizable):
    def __init__(self, other: object) -> None:
        self.other = other

    def __finalize__(self) -> None:
        ran.append(self)
        self.late = finalize(self, len, [])


class Sub(finalize[..., object]):
    pass


def check(expected: int) -> None:
    assert len(ran) == expected, len(ran)
    ran.clear()


nodes = [Node() for _ in range(100)]
finalize(Node, check, 400)  # the oldest: runs last
for i, node in enumerate(nodes):
    finalize(node, ran.append, i)
    Sub(node, ran.append, [Node, i])
    Own(node).finalize()
owns = [Own(node) for node in nodes]
parked = [finalize(node, ran.append, Own) for node in nodes]
for one in parked:
    one.atexit = False
manager = TempFileManager("/nonexistent/file")
sys.keep_until_the_end = [parked, Sub, Node, finalize(gc, print)]  # type: ignore[attr-defined]
sys.keep_until_the_end[-1].detach()  # type: ignore[attr-defined]
gc.disable()
