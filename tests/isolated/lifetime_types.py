"""Classes come and go; the types of the module keep exactly the references they had."""

import gc
import sys

from ferrule import lifetime


class A:
    pass


def make() -> None:
    class Own(lifetime.Finalizable):
        def __finalize__(self) -> object:
            return self

    class Slots(Own):
        __slots__ = ("x",)

    class Sub(lifetime.finalize[..., object]):
        pass

    obj, own, slots = A(), Own(), Slots()
    slots.x = slots
    kept = [lifetime.finalize(obj, len, "x"), Sub(own, len, "y"), Sub(obj, print)]
    assert repr(kept) and kept[0].peek() and kept[2].detach()
    assert kept[1]() == 1


watched = [lifetime.finalize, lifetime.Finalizable]
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
assert lifetime.finalize.__subclasses__() == lifetime.Finalizable.__subclasses__() == []
