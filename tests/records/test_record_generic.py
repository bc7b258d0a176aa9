"""Generic records, annotations as text, names that cannot be resolved, new syntax."""

import copy
import pickle
import sys
import typing
from typing import Generic, TypeVar

import pytest

T = TypeVar("T")
U = TypeVar("U")

needs_312 = pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695 came with 3.12")


@pytest.mark.parametrize("order", ["record first", "generic first"])
def test_generic_records_subscript_and_keep_their_fields(impl, order):
    bases = (impl.Record, Generic[T]) if order == "record first" else (Generic[T], impl.Record)

    class Page(*bases):
        items: list[T]
        total: impl.i64

    made = Page[int]([1], 2)
    assert type(made) is Page and made == Page([1], 2) and Page.__parameters__ == (T,)
    assert typing.get_args(Page[int]) == (int,)
    assert [f.kind for f in impl.layout(Page).fields] == ["object", "i64"]
    assert copy.copy(made) == made and impl.replace(made, total=3).total == 3


def test_generic_records_are_inherited_bound_and_unbound(impl):
    class Pair(impl.Record, Generic[T, U]):
        first: T
        second: U

    class Bound(Pair[int, str]):
        third: impl.i64 = 0

    class Half(Pair[T, str], Generic[T]):
        pass

    assert impl.astuple(Bound(1, "a", 3)) == (1, "a", 3) and Half[int](1, "b").second == "b"
    assert Half.__parameters__ == (T,) and Bound.__orig_bases__ == (Pair[int, str],)


def test_generic_classes_under_the_decorator(impl):
    @impl.record(frozen=True)
    class Box(Generic[T]):
        value: T

        def get(self) -> T:
            return self.value

    assert Box[int](3).get() == 3 and hash(Box(3)) == hash((3,))
    assert issubclass(Box, impl.Record) and Box.__parameters__ == (T,)


def test_frozen_and_scalar_generic_records_can_be_called_through_an_alias(impl):
    class Box(impl.Record, Generic[T], frozen=True):
        x: impl.i64

    class Open(impl.Record, Generic[T]):
        x: impl.i64
        y: impl.f64

    assert Box[str](3).x == 3 and Open[str](3, 4).y == 4.0


def test_abstract_generic_records(impl):
    class Store(impl.AbstractRecord, Generic[T]):
        item: T

    assert Store[int](3).item == 3


def test_generic_protocol_bases(impl):
    class Source(typing.Protocol[T]):
        def get(self) -> T: ...

    class C(impl.AbstractRecord, Source[int]):
        x: impl.i64

        def get(self):
            return self.x

    assert C(4).get() == 4


@needs_312
def test_type_parameter_syntax(define):
    module = define(
        """
        class Page[T](Record):
            items: list[T]
            total: i64 = 0

            def first(self) -> T:
                return self.items[0]

            def me(self):
                return __class__

        class Sub[T, U](Page[T], frozen=False):
            other: U | None = None
        """
    )
    made = module.Page[int]([1], 2)
    assert (
        made.first() == 1
        and made.me() is module.Page
        and repr(made) == ("Page(items=[1], total=2)")
    )
    assert [p.__name__ for p in module.Page.__type_params__] == ["T"]
    assert module.Sub[int, str]([1], 2, "x").other == "x"
    assert pickle.loads(pickle.dumps(made)) == made


@needs_312
def test_type_parameter_syntax_under_the_decorator_and_with_text_annotations(define):
    module = define(
        """
        from __future__ import annotations

        @record(frozen=True)
        class Page[T]:
            items: list[T]
            total: i64 = 0

            def me(self):
                return __class__

        class Bound[T: int](Record):
            item: T
            n: i64
        """
    )
    assert module.Page[int]([1]).me() is module.Page
    assert [p.__name__ for p in module.Page.__type_params__] == ["T"]
    kinds = [(f.kind, f.resolved) for f in module.layout(module.Page).fields]
    assert kinds == [("object", True), ("i64", True)]
    assert [f.kind for f in module.layout(module.Bound).fields] == ["object", "i64"]


@needs_312
def test_type_aliases_are_object_fields_or_the_kind_they_name(define):
    module = define(
        """
        type Number = i64

        class C(Record):
            x: Number
        """
    )
    assert module.C(3).x == 3
    assert module.layout(module.C).fields[0].kind in {"object", "i64"}


FUTURE = """
from __future__ import annotations

import dataclasses
import typing
from typing import Annotated, ClassVar

class Reading(Record, gc=False):
    timestamp: i64
    value: f64
    unit: str
    code: Annotated[str, Size(4)] = ""
    limit: ClassVar[int] = 5
    other: typing.ClassVar[int] = 6
    scale: InitVar[int] = 1
    factor: dataclasses.InitVar[int] = 1
    _: KW_ONLY
    flag: bool8 = False

    def __post_init__(self, scale, factor):
        self.value = self.value * scale * factor
"""


def test_annotations_as_text_work_as_annotations_do(define):
    module = define(FUTURE)
    rows = [(f.name, f.kind, f.resolved) for f in module.layout(module.Reading).fields]
    assert rows == [
        ("timestamp", "i64", True),
        ("value", "f64", True),
        ("unit", "object", True),
        ("code", "str", True),
        ("flag", "bool8", True),
    ]
    made = module.Reading(1, 2.0, "C", "m", 3, 4, flag=True)
    assert module.astuple(made) == (1, 24.0, "C", "m", True)
    assert module.Reading.limit == 5 and module.Reading.__annotations__["value"] == "f64"


def test_a_name_that_cannot_be_resolved_is_an_object_slot_and_layout_says_so(define):
    module = define(
        """
        from __future__ import annotations

        class Node(Record):
            value: i64
            next: Node | None = None
            other: Missing[int] = None
            broken: "not an expression (" = None
        """
    )
    rows = [(f.name, f.kind, f.resolved) for f in module.layout(module.Node).fields]
    assert rows == [
        ("value", "i64", True),
        ("next", "object", False),
        ("other", "object", False),
        ("broken", "object", False),
    ]
    made = module.Node(1, module.Node(2), 3, 4)
    assert made.next.value == 2 and made.other == 3


def test_text_annotations_in_quotes_are_resolved(define):
    module = define(
        """
        class C(Record):
            x: "i64"
            y: "C | None" = None
        """
    )
    assert [(f.kind, f.resolved) for f in module.layout(module.C).fields] == [
        ("i64", True),
        ("object", False),
    ]


def test_local_names_as_text_still_make_a_working_record(define):
    module = define(
        """
        from __future__ import annotations

        def make():
            Local = i32

            class Other:
                pass

            class C(Record):
                x: Local
                y: Other
                z: i64

            return C
        """
    )
    cls = module.make()
    made = cls(1, 2, 3)
    assert module.astuple(made) == (1, 2, 3)
    kinds = {f.name: (f.kind, f.resolved) for f in module.layout(cls).fields}
    assert kinds["x"] in {("object", False), ("i32", True)} and kinds["z"] == ("i64", True)


def test_names_of_the_class_body_resolve_in_text_annotations(define):
    module = define(
        """
        from __future__ import annotations

        class C(Record):
            Count = i32
            x: Count
        """
    )
    assert [(f.kind, f.resolved) for f in module.layout(module.C).fields] == [("i32", True)]


def test_annotations_whose_evaluation_raises_anything_are_unresolved(define):
    module = define(
        """
        from __future__ import annotations

        class C(Record):
            x: 1 / 0
            y: [][3]
        """
    )
    assert [f.resolved for f in module.layout(module.C).fields] == [False, False]
    assert module.astuple(module.C(1, 2)) == (1, 2)


def test_text_annotations_of_a_base_in_another_module_keep_their_kinds(define):
    base = define("from __future__ import annotations\nKind = i16\nclass B(Record):\n    x: Kind\n")
    other = define("from __future__ import annotations\nKind = f64\n")
    vars(other)["B"] = base.B
    exec("class S(B):\n    y: Kind = 0.0\n", vars(other))
    assert [f.kind for f in other.layout(other.S).fields] == ["i16", "f64"] or [
        f.kind for f in other.layout(other.S).fields
    ] == ["i16", "object"]
