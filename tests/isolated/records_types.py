"""Classes come and go; the types of the module keep exactly the references they had."""

import gc
import sys

from ferrule import records


def make() -> None:
    class Base(records.Record, frozen=True):
        x: records.i64
        y: object = None

    class Sub(Base):
        z: records.f64 = 0.5

    class Abstract(records.AbstractRecord):
        x: records.i64

    @records.record(order=True)
    class Plain:
        x: int

    kept = [Base(1), Sub(1, [2], 3), Abstract(4), Plain(5), records.make_record("M", ["a"])(1)]
    assert repr(kept) and kept == kept


watched = [
    records.Record,
    records.AbstractRecord,
    type(records.Record),
    type(records.AbstractRecord),
    records.Size,
    records.Layout,
    records.FieldLayout,
]
subclasses = records.Record.__subclasses__()
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
assert records.Record.__subclasses__() == subclasses, records.Record.__subclasses__()
