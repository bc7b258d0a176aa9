"""User code that runs in the middle of things, and classes that were never meant."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Annotated, ClassVar

import pytest


def test_a_metaclass_of_its_own_takes_fields_from_one_base_only(native):
    class P(native.Record):
        x: native.i64
        z: Annotated[bytes, native.Size(4000)]

    class A(native.Record):
        x: native.i64
        z: Annotated[bytes, native.Size(4000)]
        w: native.i64

    kept = []

    class Meta(native.RecordMeta):
        def mro(cls):
            kept.extend(P(1, b"x" * 4000) for _ in range(300))
            return super().mro()

    with pytest.raises(TypeError, match=r"field 'x' of base .*P clashes"):
        Meta("C", (A, P), {})
    assert all(made.z == b"x" * 4000 for made in kept)
    assert native.Record in type("D", (A, P), {}).__mro__


def test_prefix_bases_are_whole_while_a_class_is_made_beside_them(native):
    class P(native.Record):
        x: native.i64
        z: Annotated[bytes, native.Size(400)]

    class A(native.Record):
        x: native.i64
        z: Annotated[bytes, native.Size(400)]
        w: native.i64

    stop = threading.Event()

    def make():
        while not stop.is_set():
            assert P(1, b"z" * 400).z == b"z" * 400

    thread = threading.Thread(target=make)
    thread.start()
    try:
        for _ in range(200):
            assert native.RecordMeta("C", (A, P), {})(1, b"y" * 400, 2).w == 2
    finally:
        stop.set()
        thread.join()
    assert gc.isenabled()


def test_state_that_changes_while_it_is_restored(native):
    class C(native.Record):
        a: native.i64
        b: object

    class ListChanger:
        def __index__(self):
            values.clear()
            return 1

    values = [ListChanger(), "kept"]
    made = C(1, 2)
    made.__setstate__(values)
    assert made == C(1, "kept")

    class DictChanger:
        def __index__(self):
            named.clear()
            named.update((str(i), i) for i in range(100))
            return 5

    named = {"a": DictChanger(), "b": "kept"}
    made.__setstate__((None, named))
    assert made == C(5, "kept")


@pytest.mark.parametrize("items", [[1, 2], [(1,)], [(1, 2, 3)]])
def test_asdict_refuses_items_that_are_no_pairs(native, items):
    class Odd(dict):
        def items(self):
            return items

    class C(native.Record):
        a: object

    with pytest.raises(TypeError, match=r"Odd\.items\(\) gave"):
        native.asdict(C(Odd(a=1)))


@pytest.mark.parametrize("collector", [True, False])
def test_weak_references_do_not_revive_records_that_wait_to_be_freed(native, collector):
    class N(native.Record, weakref=True, gc=collector):
        a: object
        b: object
        probe: object

    seen = []

    class Probe:
        def __del__(self):
            seen.extend(reference() for reference in references)

    middle = [N(None, None, None) for _ in range(2)]
    references = [weakref.ref(made) for made in middle]
    n = N(middle[0], middle[1], Probe())
    middle.clear()
    for _ in range(200):
        n = N(n, None, None)
    del n
    gc.collect()
    assert seen == [None, None]


@pytest.mark.parametrize("collector", [True, False])
def test_a_chain_linked_twice_is_freed(native, collector):
    class N(native.Record, gc=collector):
        a: object
        b: object

    n = None
    for _ in range(300_000):
        n = N(n, n)
    del n


def test_finalizers_run_for_every_record_whatever_memory_it_got(native):
    class C(native.Record):
        a: object

        def __del__(self):
            calls.append(1)

    calls = []
    for _ in range(10):
        C([])
    assert len(calls) == 10


def test_a_classvar_may_become_a_field(native):
    class B(native.Record):
        a: native.i64
        k: ClassVar[int] = 5
        b: object = None

    class C(B):
        k: str = "k"

    made = C(1, 2, "x")
    assert (made.a, made.b, made.k) == (1, 2, "x") and C(1).k == "k"
    assert [f.name for f in native.fields(C)] == ["a", "b", "k"]
    assert [f.name for f in native.layout(C).fields] == ["a", "b", "k"]


def test_a_field_cannot_change_its_role(native):
    class B(native.Record):
        a: native.i64

    with pytest.raises(
        TypeError, match=r"C\.a: declared as a ClassVar, but a base has it as a fie"
    ):
        native.RecordMeta("C", (B,), {"__annotations__": {"a": ClassVar[int]}})


def test_a_class_that_failed_is_harmless(native):
    armed = False
    stash = []

    class Meta(native.RecordMeta):
        def __getattr__(cls, name):
            if name == "__post_init__" and armed:
                raise ValueError(name)
            raise AttributeError(name)

    class B(native.Record, metaclass=Meta):
        def __init_subclass__(cls):
            stash.append(cls)

    armed = True
    with pytest.raises(ValueError, match="__post_init__"):
        Meta("C", (B,), {"__annotations__": {"x": native.i64}})
    broken = stash[0].__dict__["__init__"]
    assert broken.__qualname__ == "__init__" and broken.__signature__ is None
    with pytest.raises(TypeError):
        broken(object())
    with pytest.raises(TypeError, match="not a finished record class"):
        stash[0](1)


def test_class_assignment_needs_the_same_layout(native):
    class A(native.Record):
        a: native.u8
        b: native.i64

    class B(A):
        c: Annotated[str, native.Size(7)]

    class Same(A):
        pass

    made = A(255, -1)
    with pytest.raises(TypeError, match="layouts of .*B' and .*A' differ"):
        made.__class__ = B
    with pytest.raises(TypeError):
        made.__class__ = int
    made.__class__ = Same
    assert type(made) is Same and (made.a, made.b) == (255, -1)


def test_a_mixin_with_storage_is_refused(native):
    class Weak:
        __slots__ = ("__weakref__",)

    class Stored(Weak):
        __slots__ = ("z",)

    with pytest.raises(TypeError, match="storage of its own|lay-out conflict"):
        native.RecordMeta("C", (Stored, native.Record), {"__annotations__": {"x": native.i64}})


def test_a_descriptor_put_under_another_name_is_believed(native):
    class C(native.Record):
        x: native.i64
        y: native.i64

    C.x = C.__dict__["y"]
    assert C(1, 2).x == 2


def test_the_base_type_and_reserved_names_are_refused(native):
    base = native.Record.__base__
    for attempt in (base, base._restore, lambda: base.__new__(base)):
        with pytest.raises(TypeError, match="not a finished record class"):
            attempt()
    with pytest.raises(TypeError):
        type("Own", (base,), {})
    with pytest.raises(TypeError, match="reserved"):
        native.RecordMeta("X", (native.Record,), {"__record_binder__": 1})


def test_a_comparison_may_drop_the_class_it_runs_in(native):
    class Base(native.Record):
        a: object
        b: object

    class Sub(Base):
        pass

    class Dropper:
        def __eq__(self, other):
            nonlocal Sub
            for made in (left, right):
                made.__class__ = Base
            Sub = None
            gc.collect()
            return True

        __hash__ = None

    left, right = Sub(Dropper(), 1), Sub(Dropper(), 1)
    assert left == right and type(left) is Base
