"""Classes come and go; the types of the module keep exactly the references they had."""

from _come_and_go import come_and_go

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
come_and_go(make, watched)
assert records.Record.__subclasses__() == subclasses, records.Record.__subclasses__()
