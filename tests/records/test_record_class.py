"""How a record class is made: keywords, defaults, inheritance, `record`, `make_record`, layout."""

import abc
import collections.abc
import dataclasses
import functools
import gc
import inspect
import sys
import typing
import weakref
from typing import Annotated, Any, ClassVar

import pytest


def test_init_has_the_signature_of_the_fields(impl):
    class C(impl.Record):
        a: impl.i64
        b: impl.f64 = 1.5
        _: impl.KW_ONLY
        c: str
        d: list = impl.field(default_factory=list)

    parameters = inspect.signature(C).parameters
    assert list(parameters) == ["a", "b", "c", "d"]
    assert parameters["b"].default == 1.5
    assert parameters["a"].default is inspect.Parameter.empty
    assert [p.kind.name for p in parameters.values()] == [
        *["POSITIONAL_OR_KEYWORD"] * 2,
        *["KEYWORD_ONLY"] * 2,
    ]


def test_a_class_without_docstring_gets_its_signature_as_one(impl):
    class C(impl.Record):
        x: int
        y: str = "y"

    assert C.__doc__ is not None and C.__doc__.startswith("C(") and "y: str = 'y'" in C.__doc__

    class D(impl.Record):
        """Mine."""

    assert D.__doc__ == "Mine."


def test_match_args_leave_out_keyword_only_fields_and_follow_the_option(impl):
    class C(impl.Record):
        x: impl.i64
        y: int = impl.field(kw_only=True)
        z: int = impl.field(init=False, default=0)

    class D(impl.Record, match_args=False):
        x: impl.i64

    class E(impl.Record):
        __match_args__ = ("y",)
        x: impl.i64
        y: int

    assert C.__match_args__ == ("x",) and E.__match_args__ == ("y",)
    assert not hasattr(D, "__match_args__")


def test_kw_only_as_class_keyword_and_as_marker(impl):
    class C(impl.Record, kw_only=True):
        x: impl.i64 = 1
        y: str

    assert C(y="y").x == 1
    with pytest.raises(TypeError, match="takes 1 positional argument but 2"):
        C("y")


def test_keyword_only_fields_come_after_the_others(impl):
    class Base(impl.Record):
        a: impl.i64
        b: impl.i64 = impl.field(kw_only=True, default=5)

    class Sub(Base):
        c: impl.i64

    made = Sub(1, 2)
    assert (made.a, made.b, made.c) == (1, 5, 2)
    assert repr(made).endswith("Sub(a=1, b=5, c=2)")


def test_class_variables_are_no_fields(impl):
    class C(impl.Record):
        x: impl.i64
        count: ClassVar[int] = 3
        loose: ClassVar = []
        constant = 5

    assert [f.name for f in impl.fields(C)] == ["x"] and C.count == 3 and C(1).constant == 5
    C.count = 4
    assert C(1).count == 4
    with pytest.raises(AttributeError):
        C(1).count = 5


def test_given_keywords_are_inherited_unless_given_again(impl):
    class Base(impl.Record, frozen=True, order=True, kw_only=True):
        x: impl.i64

    class Sub(Base):
        y: impl.i64

    class Positional(Base, kw_only=False, order=False):
        y: impl.i64

    assert Sub(x=1, y=2) < Sub(x=1, y=3) and hash(Sub(x=1, y=2)) == hash((1, 2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sub(x=1, y=2).y = 3
    assert Positional(5, x=1).y == 5
    with pytest.raises(TypeError):
        Sub(1, 2)


def test_unknown_keywords_go_to_init_subclass_where_fields_already_work(impl):
    seen = []

    class Base(impl.Record):
        x: impl.i64

        def __init_subclass__(cls, /, table=None, **keywords):
            super().__init_subclass__(**keywords)
            seen.append((cls.__name__, table, [f.name for f in impl.fields(cls)]))

    class Sub(Base, table="t", frozen=False):
        y: str

    assert seen == [("Sub", "t", ["x", "y"])] and Sub(1, "y").y == "y"
    with pytest.raises(TypeError, match="__init_subclass__"):

        class Bad(Base, nope=1):
            pass


def test_layout_and_descriptors_work_in_init_subclass(impl):
    seen = []

    class Base(impl.Record):
        def __init_subclass__(cls, **keywords):
            super().__init_subclass__(**keywords)
            seen.append([f.kind for f in impl.layout(cls).fields])
            seen.append(cls(1, "y"))

    class Sub(Base):
        x: impl.i64
        y: str

    assert seen[0] == ["i64", "object"] and seen[1] == Sub(1, "y")


def test_set_name_of_class_attributes_is_called_with_the_class(impl):
    calls = []

    class Named:
        def __set_name__(self, owner, name):
            calls.append((owner, name))

    class C(impl.Record):
        x: impl.i64
        other = Named()

    assert calls[-1] == (C, "other")


@pytest.mark.parametrize("option", ["eq", "repr", "init"])
def test_methods_can_be_left_out(impl, option):
    class C(impl.Record, **{option: False}):
        x: impl.i64

    def make():
        made = C() if option == "init" else C(3)
        made.x = 3
        return made

    made = make()
    assert (made == make()) is (option != "eq")
    assert repr(made).endswith("C(x=3)") is (option != "repr")
    if option == "init":
        with pytest.raises(TypeError):
            C(1)
    if option == "eq":
        assert hash(made) == object.__hash__(made)


def test_methods_the_class_defines_are_kept(impl):
    class C(impl.Record, frozen=True, unsafe_hash=False):
        x: impl.i64

        def __repr__(self):
            return "mine"

        def __eq__(self, other):
            return "eq"

        def __hash__(self):
            return 7

    assert repr(C(1)) == "mine" and (C(1) == 3) == "eq" and hash(C(1)) == 7

    class D(impl.Record):
        x: impl.i64

        def __init__(self):
            self.x = 9

    assert D().x == 9
    with pytest.raises(TypeError):
        D(1)


@pytest.mark.parametrize("eq", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("unsafe_hash", [True, False])
@pytest.mark.parametrize("explicit", ["no", "hash", "eq"])
def test_hash_rules_are_those_of_dataclasses(impl, eq, frozen, unsafe_hash, explicit):
    def verdict(make):
        body = {"__annotations__": {"x": int}}
        if explicit == "hash":
            body["__hash__"] = lambda self: 1234
        if explicit == "eq":
            body["__eq__"] = lambda self, other: True
        try:
            made = make(type("C", (), body))(5)
        except TypeError as error:
            return str(error).replace("dataclass", "record")
        try:
            value = hash(made)
        except TypeError:
            return "unhashable"
        return {1234: "explicit", hash((5,)): "tuple"}.get(value, "identity")

    options = {"eq": eq, "frozen": frozen, "unsafe_hash": unsafe_hash}
    expected = verdict(dataclasses.dataclass(**options))
    got = verdict(impl.record(**options))
    assert got == expected or (expected.startswith("Cannot") and got.startswith("Cannot"))


def test_methods_set_on_the_class_later_are_honoured(impl):
    class C(impl.Record):
        x: impl.i64 = 0

    class Sub(C):
        pass

    C.__repr__ = lambda self: "later"
    assert repr(C(1)) == "later"
    C.__eq__ = lambda self, other: "eq"
    assert (C(1) == C(2)) == "eq"
    C.__init__ = lambda self, a, b: setattr(self, "x", a + b)
    assert C(1, 2).x == 3
    with pytest.raises(TypeError):
        C(1)

    def new(cls, *args):
        made = impl.Record.__new__(cls)
        made.x = 100
        return made

    del C.__init__
    C.__new__ = new
    C.__init__ = lambda self, *args: None
    assert C(1, 2, 3).x == 100


def test_post_init_set_later_is_honoured_in_subclasses_too(impl):
    class C(impl.Record):
        x: impl.i64

    class Sub(C):
        y: impl.i64 = 0

    assert C(1).x == 1 and Sub(1).x == 1

    def post_init(self):
        self.x += 10

    C.__post_init__ = post_init
    assert C(1).x == 11 and Sub(1, 2).x == 11 and C(x=2).x == 12


def test_new_that_the_class_defines_is_called(impl):
    class C(impl.Record):
        x: impl.i64

        def __new__(cls, *args, **keywords):
            made = super().__new__(cls)
            calls.append((args, keywords))
            return made

    calls = []
    assert C(5).x == 5 and C(x=6).x == 6 and calls == [((5,), {}), ((), {"x": 6})]


def test_super_and_class_cell_work_in_class_statements(impl):
    class Base(impl.Record):
        x: impl.i64

        def who(self):
            return [__class__]

    class Sub(Base):
        def who(self):
            return [*super().who(), __class__]

    assert Sub(1).who() == [Base, Sub]


def test_super_and_class_cell_work_under_the_decorator(impl):
    def passed(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)

        return wrapper

    @impl.record
    class Base:
        x: impl.i64

        def who(self):
            return [__class__]

        @classmethod
        def make(cls):
            return __class__(1)

        @staticmethod
        def still():
            return __class__

        @property
        def prop(self):
            return __class__

        @functools.cached_property
        def cached(self):
            return __class__

        @passed
        def wrapped(self):
            return __class__

    @impl.record
    class Sub(Base):
        y: str = ""

        def who(self):
            return [*super().who(), __class__]

        @property
        def prop(self):
            return super().prop

    made = Sub(1)
    assert made.who() == [Base, Sub] and type(Base.make()) is Base and Base.still() is Base
    assert made.prop is Base and Base(1).cached is Base and Base(1).wrapped() is Base


def test_super_under_the_decorator_when_only_a_property_uses_it(impl):
    @impl.record
    class C:
        x: impl.i64

        @property
        def me(self):
            return __class__

    assert C(1).me is C


@pytest.mark.parametrize("called", [True, False])
def test_record_turns_a_plain_class_into_a_record(impl, called):
    class Plain:
        """Doc."""

        x: impl.i64
        y: str = "y"

        def double(self):
            return self.x * 2

    made = (impl.record() if called else impl.record)(Plain)
    assert issubclass(made, impl.Record) and made.__name__ == "Plain" and made.__doc__ == "Doc."
    assert made.__qualname__ == Plain.__qualname__ and made.__module__ == __name__
    instance = made(4)
    assert instance.double() == 8 and not hasattr(instance, "__dict__")
    assert repr(instance).endswith("Plain(x=4, y='y')")


def test_record_takes_all_options(impl):
    @impl.record(frozen=True, order=True, kw_only=True, weakref=True, gc=False, packed=True)
    class C:
        x: int
        y: float = 0.5

    made = C(x=1)
    assert hash(made) == hash((1, 0.5)) and made < C(x=2) and weakref.ref(made)() is made
    assert [f.kind for f in impl.layout(C).fields] == ["i64", "f64"]


def test_record_refuses_unknown_options(impl):
    with pytest.raises(TypeError, match="nope"):
        impl.record(nope=True)


def test_record_keeps_the_bases_of_the_class(impl):
    class Mixin:
        __slots__ = ()

        def hello(self):
            return "hello"

    @impl.record
    class C(Mixin):
        x: impl.i64

    assert C(1).hello() == "hello" and issubclass(C, Mixin) and not hasattr(C(1), "__dict__")


def test_a_mixin_without_slots_gives_instances_a_dict(impl):
    class Mixin:
        pass

    class C(impl.Record, Mixin):
        x: impl.i64

    class E(Mixin, impl.Record):
        x: object

    class D(Mixin, impl.Record):
        x: impl.i64

    for cls in (C, D, E):
        assert [cls(i).x for i in range(3)] == [0, 1, 2]  # dropped with their dicts untouched
        made = cls(1)
        made.extra = 5
        assert made.__dict__ == {"extra": 5} and made.x == 1 and weakref.ref(made)() is made


@pytest.mark.parametrize("decorated", [True, False])
def test_abstract_methods_are_enforced_through_abstract_record(impl, decorated):
    if decorated:

        @impl.record
        class Base(abc.ABC):
            x: impl.i64

            @abc.abstractmethod
            def area(self): ...

    else:

        class Base(impl.AbstractRecord):
            x: impl.i64

            @abc.abstractmethod
            def area(self): ...

    class Sub(Base):
        def area(self):
            return self.x

    with pytest.raises(TypeError, match="abstract"):
        Base(1)
    assert Sub(3).area() == 3 and isinstance(Sub(3), Base)


def test_abstract_record_goes_with_abstract_base_classes_and_registration(impl):
    class Sized(impl.AbstractRecord, collections.abc.Sized):
        items: list

        def __len__(self):
            return len(self.items)

    assert len(Sized([1, 2])) == 2 and isinstance(Sized([]), collections.abc.Sized)
    Sized.register(int)
    assert isinstance(3, Sized)


@pytest.mark.parametrize("decorated", [True, False])
def test_protocol_bases(impl, decorated):
    @typing.runtime_checkable
    class Named(typing.Protocol):
        def name(self) -> str: ...

    if decorated:

        @impl.record
        class C(Named):
            x: impl.i64

            def name(self):
                return "c"

    else:

        class C(impl.AbstractRecord, Named):
            x: impl.i64

            def name(self):
                return "c"

    assert C(1).name() == "c" and isinstance(C(1), Named) and C(1).x == 1


def test_record_joins_a_metaclass_of_its_own(impl):
    class Meta(type):
        def shout(cls):
            return cls.__name__.upper()

    @impl.record
    class C(metaclass=Meta):
        x: impl.i64

    assert C.shout() == "C" and C(1).x == 1


def test_inheritance_appends_fields_and_keeps_the_order_of_overridden_ones(impl):
    class Base(impl.Record):
        x: impl.i64
        y: str = "y"

    class Sub(Base):
        z: impl.f64 = 0.5
        x: impl.i64 = 7

    assert [f.name for f in impl.fields(Sub)] == ["x", "y", "z"]
    made = Sub()
    assert impl.astuple(made) == (7, "y", 0.5) and isinstance(made, Base)
    assert Base.x.__get__(made) == 7 and Base.y.__get__(made) == "y"


def test_a_subclass_without_fields_and_methods_of_its_own(impl):
    class Base(impl.Record):
        x: impl.i64

    class Sub(Base):
        pass

    assert Sub(1) == Sub(1) and Sub(1) != Base(1) and not hasattr(Sub(1), "__dict__")


def test_several_bases_where_only_one_brings_storage(impl):
    class Storage(impl.Record):
        x: impl.i64
        y: str

    class Methods(impl.Record):
        def double(self):
            return self.x * 2

    class A(Storage, Methods):
        pass

    class B(Methods, Storage):
        z: impl.i64 = 0

    assert A(1, "y").double() == 2 and B(2, "y", 3).double() == 4
    assert impl.astuple(B(2, "y", 3)) == (2, "y", 3)


def test_a_diamond_over_one_storage_base(impl):
    class Top(impl.Record):
        x: impl.i64

    class Left(Top):
        def left(self):
            return self.x

    class Right(Top):
        y: impl.f64 = 0.5

    class Bottom(Left, Right):
        pass

    class Turned(Right, Left):
        pass

    for cls in (Bottom, Turned):
        made = cls(1, 2)
        assert made.left() == 1 and impl.astuple(made) == (1, 2.0)
        assert isinstance(made, (Left, Right))


def test_bases_whose_fields_are_a_prefix_go_together(native):
    class Short(native.Record):
        x: native.i64

        def short(self):
            return self.x

    class Long(native.Record):
        x: native.i64
        y: str

    class Both(Long, Short):
        z: native.f64 = 0.0

    made = Both(1, "y")
    assert made.short() == 1 and isinstance(made, Short) and isinstance(made, Long)
    assert Short.x.__get__(made) == 1 and Long.y.__get__(made) == "y"


def test_bases_that_clash_name_the_field(impl):
    class A(impl.Record):
        x: impl.i64
        left: impl.i64

    class B(impl.Record):
        x: impl.i64
        right: str

    with pytest.raises(TypeError, match="left|right"):

        class C(A, B):
            pass


def test_a_field_redeclared_with_another_kind_is_refused_by_name(impl):
    class Base(impl.Record):
        value: impl.i64

    for kind in (impl.f64, impl.i32, int, Annotated[bytes, impl.Size(8)]):
        with pytest.raises(TypeError, match="value"):

            class Sub(Base):
                value: kind


def test_frozen_and_mutable_classes_do_not_inherit_from_each_other(impl):
    class Frozen(impl.Record, frozen=True):
        x: impl.i64

    class Mutable(impl.Record):
        x: impl.i64

    with pytest.raises(TypeError, match="cannot inherit non-frozen .* from a frozen one"):

        class A(Frozen, frozen=False):
            pass

    with pytest.raises(TypeError, match="cannot inherit frozen .* from a non-frozen one"):

        class B(Mutable, frozen=True):
            pass


def test_order_without_eq_is_refused(impl):
    with pytest.raises(ValueError, match="eq must be true if order is true"):

        class C(impl.Record, order=True, eq=False):
            x: impl.i64


def test_order_refuses_a_class_with_its_own_comparison(impl):
    with pytest.raises(TypeError, match="Cannot overwrite attribute __lt__ in class"):

        class C(impl.Record, order=True):
            x: impl.i64

            def __lt__(self, other):
                return True


def test_field_objects_of_dataclasses_are_accepted(impl):
    class C(impl.Record):
        x: impl.i64 = dataclasses.field(default=3, repr=False)
        y: list = dataclasses.field(default_factory=list, metadata={"k": 1})
        z: dataclasses.InitVar[int] = 0

    made = C()
    assert made.x == 3 and made.y == [] and repr(made).endswith("C(y=[])")
    assert impl.fields(C)[1].metadata["k"] == 1


def test_public_names_of_dataclasses_are_their_own_objects(impl):
    for name in ("MISSING", "KW_ONLY", "InitVar", "FrozenInstanceError"):
        assert getattr(impl, name) is getattr(dataclasses, name)


def test_field_keeps_what_it_is_told(impl):
    item = impl.field(default=1, init=False, repr=False, hash=True, compare=False, kw_only=True)
    assert isinstance(item, impl.Field)
    assert (item.default, item.init, item.repr, item.hash, item.compare, item.kw_only) == (
        *(1, False, False, True, False, True),
    )
    assert item.default_factory is impl.MISSING
    with pytest.raises(ValueError, match="cannot specify both default and default_factory"):
        impl.field(default=1, default_factory=int)


def test_hash_of_a_field_can_be_asked_for_apart_from_comparison(impl):
    class C(impl.Record, frozen=True):
        x: impl.i64
        y: int = impl.field(hash=False)
        z: int = impl.field(compare=False, hash=True, default=0)

    assert hash(C(1, 2, 3)) == hash((1, 3)) and C(1, 2, 3) == C(1, 2, 4) and C(1, 2) != C(1, 3)


def test_annotated_with_further_metadata_keeps_its_kind(impl):
    class C(impl.Record):
        x: Annotated[impl.i64, "doc"]
        y: Annotated[str, "doc"]

    assert [f.kind for f in impl.layout(C).fields] == ["i64", "object"] and C(1, "y").x == 1


@pytest.mark.parametrize("n", [0, -1])
def test_size_must_be_positive(impl, n):
    with pytest.raises(ValueError):
        impl.Size(n)


@pytest.mark.parametrize("n", ["4", 4.0, None])
def test_size_wants_an_int(impl, n):
    with pytest.raises(TypeError):
        impl.Size(n)


def test_sizes_are_values(impl):
    assert impl.Size(4) == impl.Size(4) != impl.Size(5) and hash(impl.Size(4)) == hash(impl.Size(4))
    assert repr(impl.Size(4)) in {"Size(4)", "Size(n=4)"} and impl.Size(4).n == 4


def test_storage_asks_for_a_kind_by_name(impl):
    class C(impl.Record):
        x: Annotated[int, impl.Storage("u8")]

    assert impl.layout(C).fields[0].kind == "u8" and impl.Storage("u8").kind == "u8"
    assert impl.Storage("u8") == impl.Storage("u8") != impl.Storage("i8")
    assert hash(impl.Storage("u8")) == hash(impl.Storage("u8"))
    assert repr(impl.Storage("u8")) == "Storage('u8')"
    with pytest.raises(ValueError, match="i65"):
        impl.Storage("i65")


def test_packed_unboxes_plain_scalars_only(impl):
    class C(impl.Record, packed=True):
        a: int
        b: float
        c: bool
        d: str
        e: int | None
        f: impl.i8

    class Sub(C):
        g: float = 0.0

    kinds = ["i64", "f64", "bool8", "object", "object", "i8"]
    assert [f.kind for f in impl.layout(C).fields] == kinds
    assert [f.kind for f in impl.layout(Sub).fields] == [*kinds, "f64"]
    with pytest.raises(OverflowError, match=r"(^|\.)C\.a: wanted i64"):
        C(2**63, 1.0, True, "", None, 1)


def test_layout_gives_offsets_kinds_and_sizes(impl):
    class C(impl.Record):
        a: impl.i64
        b: impl.f64
        c: str

    got = impl.layout(C)
    assert isinstance(got, impl.Layout) and isinstance(got.fields[0], impl.FieldLayout)
    rows = [(f.name, f.offset, f.kind, f.size, f.resolved) for f in got.fields]
    assert rows == [
        ("a", 0, "i64", 8, True),
        ("b", 8, "f64", 8, True),
        ("c", 16, "object", 8, True),
    ]
    assert (got.size, got.alignment) == (24, 8)


def test_layout_places_each_field_in_the_first_hole_that_fits(impl):
    class C(impl.Record):
        a: impl.u8
        b: impl.i32
        c: impl.u16
        d: Annotated[bytes, impl.Size(3)]
        e: impl.f64
        f: impl.bool8
        g: object

    offsets = {f.name: f.offset for f in impl.layout(C).fields}
    assert offsets == {"a": 0, "b": 4, "c": 2, "d": 8, "e": 16, "f": 1, "g": 24}
    assert impl.layout(C).size == 32


def test_layout_of_a_subclass_begins_with_that_of_its_base(impl):
    class Base(impl.Record):
        a: impl.u8
        b: impl.i64

    class Sub(Base):
        c: impl.u16
        d: impl.i32

    base, sub = impl.layout(Base), impl.layout(Sub)
    assert sub.fields[: len(base.fields)] == base.fields
    assert [(f.name, f.offset) for f in sub.fields[2:]] == [("c", 2), ("d", 4)]


def test_layout_of_small_kinds_alone_is_small(impl):
    class C(impl.Record):
        a: impl.u8
        b: impl.u8
        c: impl.bool8

    class S(impl.Record):
        s: Annotated[str, impl.Size(5)]

    assert (impl.layout(C).size, impl.layout(C).alignment) == (3, 1)
    assert (impl.layout(S).size, impl.layout(S).alignment) == (5, 1)
    assert [f.kind for f in impl.layout(S).fields] == ["str"]


def test_layout_refuses_what_is_no_record_class(impl):
    assert impl.layout(impl.make_record("C", ["x"])(1)).size == 8
    for value in (int, 1, None):
        with pytest.raises(TypeError, match="layout"):
            impl.layout(value)


def test_instance_size_is_what_the_interpreter_says(native):
    class C(native.Record, gc=False):
        a: native.i64
        b: native.f64
        c: str

    assert native.layout(C).instance_size == sys.getsizeof(C(1, 2.0, "C")) <= 48


def test_make_record_takes_names_types_and_fields(impl):
    cls = impl.make_record(
        "P",
        ["a", ("b", impl.i64), ("c", impl.f64, 0.5), ("d", list, impl.field(default_factory=list))],
        namespace={"double": lambda self: self.b * 2},
        frozen=True,
    )
    made = cls("a", 2)
    assert repr(made) == "P(a='a', b=2, c=0.5, d=[])" and made.double() == 4
    assert cls.__module__ == __name__ and cls.__qualname__ == "P"
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.b = 3


def test_make_record_takes_bases_and_a_module(impl):
    class Base(impl.Record):
        x: impl.i64

    cls = impl.make_record("Sub", [("y", str, "y")], bases=(Base,), module="elsewhere")
    assert issubclass(cls, Base) and cls(1).y == "y" and cls.__module__ == "elsewhere"


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ([("x", int), ("x", int)], TypeError, "duplicated: 'x'"),
        (["class"], TypeError, "keywords: 'class'"),
        (["a-b"], TypeError, "identifiers: 'a-b'"),
        ([("x", int, 1, 2)], TypeError, "Invalid field"),
        ([()], TypeError, "Invalid field"),
        ([3], TypeError, "len"),
        ([(3, int)], TypeError, "identifiers: 3"),
    ],
)
def test_make_record_refuses_bad_fields(impl, fields, error, message):
    with pytest.raises(error, match=message):
        impl.make_record("C", fields)


def test_make_record_refuses_unknown_options(impl):
    with pytest.raises(TypeError, match="nope"):
        impl.make_record("C", [], nope=True)


def test_sealed_classes_refuse_changes(native):
    class C(native.Record, sealed=True):
        x: native.i64

    with pytest.raises(TypeError, match="C"):
        C.extra = 1
    assert C(1).x == 1


def test_gc_keyword_and_kinds_decide_about_the_collector_header(native):
    class Scalars(native.Record):
        x: native.i64
        y: Annotated[str, native.Size(4)]

    class Forced(native.Record, gc=True):
        x: native.i64

    class Objects(native.Record):
        x: object

    class Without(native.Record, gc=False):
        x: object

    tracked = [gc.is_tracked(made) for made in (Scalars(1, "y"), Objects([]), Without([]))]
    assert tracked == [False, True, False]
    assert Forced.__flags__ & (1 << 14) and not Scalars.__flags__ & (1 << 14)


def test_classes_are_collected_when_nobody_holds_them(impl):
    class C(impl.Record):
        x: impl.i64
        y: object

    made = C(1, "y")
    ref = weakref.ref(C)
    del C, made
    gc.collect()
    assert ref() is None


def test_field_named_like_parameters_of_the_machinery(impl):
    names = ["self", "cls", "args", "kwargs", "name", "type", "fields", "obj", "value", "other"]
    cls = impl.make_record("C", [(name, impl.i64) for name in names])
    made = cls(*range(10))
    assert impl.astuple(made) == tuple(range(10)) == impl.astuple(cls(**impl.asdict(made)))
    assert impl.replace(made, obj=50).obj == 50


def test_private_names_are_mangled_as_in_any_class(impl):
    class C(impl.Record):
        __secret: impl.i64
        _plain: str = ""

        def reveal(self):
            return self.__secret

    assert C(3).reveal() == 3 and C(_C__secret=4).reveal() == 4


def test_defaults_of_fields_are_not_class_attributes_that_shadow_the_field(impl):
    class C(impl.Record):
        x: impl.i64 = 5
        y: str = "y"

    made = C()
    made.x, made.y = 6, "z"
    assert (made.x, made.y) == (6, "z") and C().x == 5


def test_a_wrong_default_is_refused_at_definition_or_at_the_first_call(impl):
    with pytest.raises(TypeError, match=r"C\.x: wanted i64, got str 'no'"):

        class C(impl.Record):
            x: impl.i64 = "no"

        C()


def test_any_annotation_that_is_no_kind_is_an_object_field(impl):
    class C(impl.Record):
        a: Any
        b: int
        c: "list[int]"
        d: impl.i64 | None
        e: 5

    assert {f.kind for f in impl.layout(C).fields} == {"object"}
    assert impl.astuple(C(1, "b", None, 2.0, [])) == (1, "b", None, 2.0, [])


def test_users_annotations_stay_as_written(impl):
    class C(impl.Record):
        x: impl.i64
        y: "str"

    assert C.__annotations__ == {"x": impl.i64, "y": "str"}
    assert typing.get_type_hints(C)["x"] is int
