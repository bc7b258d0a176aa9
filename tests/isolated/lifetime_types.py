"""Classes come and go; the types of the module keep exactly the references they had."""

from _come_and_go import come_and_go

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
come_and_go(make, watched)
assert lifetime.finalize.__subclasses__() == lifetime.Finalizable.__subclasses__() == []
