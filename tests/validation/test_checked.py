"""`checked`: arguments and results by annotation."""

import contextlib
import copy
import functools
import gc
import inspect
import pickle
import pydoc
import sys
import typing
import weakref
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, ParamSpec

import pytest

from lifetime import run_threads

P = ParamSpec("P")


def refused(func: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """The text of the TypeError or ConstraintError of a call."""
    with pytest.raises((TypeError, ValueError)) as caught:
        func(*args, **kwargs)
    return str(caught.value)


# ---- the article


def test_create_user(impl, capsys):
    Username = Annotated[str, impl.MinLength(3), impl.Sensitive]

    @impl.checked
    def create_user(name: Username):
        print(f"Creating user: {name}")

    create_user("alice")
    assert capsys.readouterr().out == "Creating user: alice\n"
    for call in (lambda: create_user("al"), lambda: create_user(name="al")):
        with pytest.raises(impl.ConstraintError) as caught:
            call()
        assert "create_user() argument 'name'" in str(caught.value)
        assert "'al'" not in str(caught.value)
        assert "at least 3 characters" in str(caught.value)
    with pytest.raises(TypeError, match=r"create_user\(\) argument 'name'"):
        create_user(5)


def test_create_user_with_the_articles_metadata(impl):
    MinLength = lambda x: f"min_len:{x}"  # noqa: E731
    Sensitive = "sensitive_data"
    Username = Annotated[str, MinLength(3), Sensitive]

    @impl.checked
    def create_user(name: Username):
        return name

    assert create_user("alice") == "alice"
    with pytest.raises(impl.ConstraintError) as caught:
        create_user("xy")
    assert "xy" not in str(caught.value) and "xy" not in repr(vars(caught.value))
    assert caught.value.value is None


# ---- arguments


def test_every_kind_of_parameter(impl):
    @impl.checked
    def func(a: int, /, b: str, *c: float, d: list[int], e: int = 5, **f: bytes) -> object:
        return a, b, c, d, e, f

    assert func(1, "b", 2.0, 3, d=[1], e=2, g=b"") == (1, "b", (2.0, 3), [1], 2, {"g": b""})
    assert func(1, b="b", d=[]) == (1, "b", (), [], 5, {})
    assert func(1, "b", d=[], a=b"into f") == (1, "b", (), [], 5, {"a": b"into f"})
    cases = {
        "'a'": ((("1", "b"), {"d": []})),
        "'b'": (((1, b"b"), {"d": []})),
        "'*c'": (((1, "b", 2.0, "3"), {"d": []})),
        "'d'": (((1, "b"), {"d": ["1"]})),
        "'e'": (((1, "b"), {"d": [], "e": "5"})),
        "'**f'": (((1, "b"), {"d": [], "g": "5"})),
    }
    for name, (args, kwargs) in cases.items():
        with pytest.raises(TypeError) as caught:
            func(*args, **kwargs)
        assert str(caught.value).startswith(f"{func.__qualname__}() argument {name}"), name
    assert "1" in refused(func, 1, "b", 2.0, "3", d=[])
    assert "g" in refused(func, 1, "b", d=[], g="5")


def test_constraints(impl):
    @impl.checked
    def func(
        a: Annotated[int, impl.Ge(0), impl.Le(100)],
        b: Annotated[str, impl.MinLength(1)],
        c: list[int],
    ) -> int:
        return a

    assert func(1, "x", [1, 2]) == 1
    assert func(a=100, c=[], b="xy") == 100
    for args in ((-1, "x", []), (101, "x", []), (1, "", []), (a := 10**30, "x", [])):
        with pytest.raises(impl.ConstraintError, match=r"func\(\) argument '[ab]'"):
            func(*args)
    assert a
    for args in ((1.0, "x", []), (1, b"x", []), (1, "x", ()), (1, "x", [1, "2"]), (None, "x", [])):
        with pytest.raises(TypeError, match=r"func\(\) argument '[abc]'"):
            func(*args)


def test_the_vector_is_the_callers(impl):
    things = [object() for _ in range(3)]

    @impl.checked
    def func(a: object, *rest: object, b: object) -> object:
        return a, rest, b

    a, rest, b = func(things[0], things[1], b=things[2])
    assert (a is things[0], rest[0] is things[1], b is things[2]) == (True, True, True)


def test_values_that_become_others(impl):
    Name = Annotated[str, impl.Strip, impl.MinLength(2)]

    @impl.checked
    def func(a: Name, b: object, *c: Name, d: Name = "dd", **e: Name) -> Any:
        return a, b, c, d, e

    b = object()
    assert func("  ann ", b) == ("ann", b, (), "dd", {})
    assert func("ann", b, " x1", "y2 ", d="\td3\n", f=" f4 ") == (
        *("ann", b, ("x1", "y2"), "d3", {"f": "f4"}),
    )
    kept = "ann"
    assert func(kept, b)[0] is kept
    with pytest.raises(impl.ConstraintError, match="argument 'a'"):
        func("  a ", b)
    with pytest.raises(impl.ConstraintError, match="argument 'd'"):
        func("  ann ", b, d=" d ")


def test_values_that_become_others_in_methods(impl):
    class Thing:
        @impl.checked
        def method(self, a: Annotated[str, impl.Strip], *, b: list[Annotated[str, impl.Strip]]):
            return self, a, b

    thing, given = Thing(), [" b", "c "]
    assert thing.method(" a ", b=given) == (thing, "a", ["b", "c"])
    assert given == [" b", "c "]


def test_names_that_are_not_interned(impl):
    @impl.checked
    def func(name: int, **others: str):
        return name, others

    spelled = "".join(["na", "me"])
    assert func(**{spelled: 1}) == (1, {})
    assert "argument 'name'" in refused(func, **{spelled: "1"})
    assert "argument '**others'" in refused(func, **{"name": 1, "".join(["oth", "er"]): 1})


def test_str_subclass_as_name(impl):
    class Text(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other):
            return str.__eq__(self, other)

    @impl.checked
    def func(name: int):
        return name

    assert func(**{Text("name"): 1}) == 1
    assert "argument 'name'" in refused(func, **{Text("name"): "1"})


@pytest.mark.parametrize(
    "args, kwargs",
    [((), {}), ((1, 2, 3), {}), ((1,), {"a": 1}), ((1,), {"c": 1}), ((), {"b": 1})],
    ids=str,
)
def test_wrong_shapes_are_pythons_own_errors(impl, args, kwargs):
    def func(a: int, b: int = 1) -> int:
        return a

    with pytest.raises(TypeError) as wanted:
        func(*args, **kwargs)
    assert refused(impl.checked(func), *args, **kwargs) == str(wanted.value)


def test_defaults(impl):
    @impl.checked
    def func(a: Annotated[int, impl.Ge(5)] = 5, *, b: str | None = None) -> object:
        return a, b

    assert func() == (5, None)
    with pytest.raises(
        impl.ConstraintError, match=r"^default of .*bad\(\) argument 'a' must be >= 5, got 4$"
    ):

        @impl.checked
        def bad(a: Annotated[int, impl.Ge(5)] = 4): ...

    with pytest.raises(
        TypeError, match=r"^default of .*worse\(\) argument 'b' must be str, got NoneType$"
    ):

        @impl.checked
        def worse(*, b: str = None): ...

    with pytest.raises(ValueError, match=r"worst\(\) argument 'c': the default is not what"):

        @impl.checked
        def worst(c: Annotated[str, impl.Strip] = " c "): ...


def test_defaults_are_looked_at_once(impl):
    looks = []

    @impl.checked
    def func(a: Annotated[int, impl.Predicate(lambda value: looks.append(value) or True)] = 5):
        return a

    assert (func(), func(), looks) == (5, 5, [5])
    assert (func(6), looks) == (6, [5, 6])


def test_a_sensitive_default_is_not_shown(impl):
    with pytest.raises(impl.ConstraintError) as caught:

        @impl.checked
        def bad(a: Annotated[str, impl.MinLength(9), impl.Sensitive] = "hunter2"): ...

    assert "hunter2" not in str(caught.value)


def test_containers_of_sensitive_values_are_not_shown(impl):
    Secrets = Annotated[list[Annotated[str, impl.Sensitive]], impl.MinLength(3)]

    @impl.checked
    def func(a: Any, b: Secrets) -> Secrets:
        return a

    for a, b in ((["hunter2"], ["", "", ""]), ([], ["hunter2"])):
        with pytest.raises(impl.ConstraintError, match="must have at least 3 items$") as caught:
            func(a, b)
        assert caught.value.value is None
    with pytest.raises(impl.ConstraintError, match="at least 3 items$"):

        @impl.checked
        def bad(a: Secrets = ["hunter2"]): ...  # noqa: B006


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695")
def test_type_parameters_of_the_class(impl):
    space = {"checked": impl.checked, "__name__": "stack"}
    exec(
        "class Stack[T: int]:\n @checked\n def push(self, x: 'T', *rest: 'list[T]') -> 'T':\n"
        "  return x\n"
        "class Own(Stack): pass",
        space,
    )
    for cls in (space["Stack"], space["Own"]):
        assert cls().push(5, [6]) == 5
        assert "Stack.push() argument 'x' must be int, got str" in refused(cls().push, "a")


def test_sensitive_values_are_not_shown(impl):
    Secret = Annotated[str, impl.MinLength(9), impl.Sensitive]

    @impl.checked
    def func(a: Secret, *b: Secret, c: list[Secret] = [], **d: Secret) -> Secret:  # noqa: B006
        return a[:7]

    good = "correct horse"
    calls = [(("hunter2",), {}), ((good, "hunter2"), {}), ((good,), {"c": ["hunter2"]})]
    for args, kwargs in (*calls, ((good,), {"e": "hunter2"})):
        assert "hunter2" not in refused(func, *args, **kwargs)
    text = refused(func, good)
    assert "func() result" in text and good[:7] not in text
    assert "hunter2" not in refused(func, [b"hunter2"])


# ---- results


def test_result(impl):
    @impl.checked
    def func(x: Any) -> Annotated[int, impl.Lt(10)]:
        return x

    assert func(9) == 9
    with pytest.raises(TypeError, match=r"func\(\) result"):
        func("9")
    with pytest.raises(impl.ConstraintError, match=r"func\(\) result"):
        func(10)


def test_result_that_becomes_another(impl):
    @impl.checked
    def func(x: str) -> Annotated[str, impl.Strip]:
        return x

    assert func(" x ") == "x"


def test_result_none(impl):
    @impl.checked
    def func(x: object) -> None:
        return x

    assert func(None) is None
    assert "result" in refused(func, 0)


def test_result_left_out(impl):
    @impl.checked(result=False)
    def func(x: int) -> str:
        return x

    assert func(5) == 5
    assert "argument 'x'" in refused(func, "5")
    assert impl.checked(func.__wrapped__, result=False)(5) == 5
    assert "result" in refused(impl.checked(result=True)(func.__wrapped__), 5)
    assert "result" in refused(impl.checked()(func.__wrapped__), 5)


def test_an_exception_of_the_function_passes(impl):
    error = LookupError("a")

    @impl.checked
    def func(x: int) -> int:
        raise error

    with pytest.raises(LookupError) as caught:
        func(1)
    assert caught.value is error


# ---- without annotations, and untouched


def test_without_annotations(impl):
    def func(a, *b, c=5, **d):
        return a, b, c, d

    wrapped = impl.checked(func)
    assert wrapped is not func and wrapped.__wrapped__ is func
    assert wrapped(1, 2, c="c", d=3) == (1, (2,), "c", {"d": 3})


def test_a_function_without_it_is_untouched(impl):
    def func(a: int) -> int:
        return a

    impl.checked(func)
    assert func("a") == "a"
    assert func.__annotations__ == {"a": int, "return": int} and not vars(func)


def test_self_and_what_says_nothing(impl):
    class Thing:
        @impl.checked
        def method(self, other: typing.Self, *args: P.args, **kwargs: P.kwargs) -> typing.Self:
            return other

    assert Thing().method(5, 6, a=7) == 5

    @impl.checked
    def func(*args: *tuple[int, ...], **kwargs: typing.Unpack[typing.TypedDict("T", {"a": int})]):
        return args, kwargs

    assert func("a", b="c") == (("a",), {"b": "c"})


# ---- methods


def test_methods(impl):
    class Thing:
        @impl.checked
        def method(self, x: int) -> tuple:
            return self, x

        @impl.checked
        @staticmethod
        def static_outside(x: int) -> int:
            return x

        @staticmethod
        @impl.checked
        def static_inside(x: int) -> int:
            return x

        @impl.checked
        @classmethod
        def class_outside(cls, x: int) -> tuple:
            return cls, x

        @classmethod
        @impl.checked
        def class_inside(cls, x: int) -> tuple:
            return cls, x

        @property
        @impl.checked
        def value(self) -> int:
            return self.wanted

        @impl.checked
        def __init__(self, wanted: object = 5) -> None:
            self.wanted = wanted

    thing = Thing()
    assert thing.method(1) == Thing.method(thing, 1) == (thing, 1)
    assert thing.value == 5
    for name in ("static_outside", "static_inside"):
        assert getattr(thing, name)(1) == getattr(Thing, name)(x=1) == 1
    for name in ("class_outside", "class_inside"):
        assert getattr(thing, name)(1) == getattr(Thing, name)(x=1) == (Thing, 1)
    names = ("method", "static_outside", "static_inside", "class_outside", "class_inside")
    for name in names:
        with pytest.raises(TypeError, match=rf"Thing\.{name}\(\) argument 'x'"):
            getattr(thing, name)("1")
    with pytest.raises(TypeError, match=r"Thing\.value\(\) result"):
        Thing("5").value  # noqa: B018
    assert isinstance(vars(Thing)["static_outside"], staticmethod)
    assert isinstance(vars(Thing)["class_outside"], classmethod)


def test_super_and_overriding(impl):
    class Base:
        @impl.checked
        def method(self, x: int) -> int:
            return x

    class Derived(Base):
        @impl.checked
        def method(self, x: int | str) -> int:
            return super().method(int(x)) + 1

    assert Derived().method("4") == 5


def test_enums_and_named_tuples_as_types(impl):
    class Point(NamedTuple):
        x: int
        y: int

    @impl.checked
    def func(p: Point) -> int:
        return p.x

    assert func(Point(1, 2)) == 1
    assert "argument 'p'" in refused(func, (1, 2))


# ---- names resolved late


def test_own_class_by_name(impl):
    class Node:
        @impl.checked
        def add(self, other: "Node") -> "Node":
            return other

        @classmethod
        @impl.checked
        def make(cls, others: list["Node"]) -> "Node":
            return cls()

    node = Node()
    assert node.add(node) is node
    assert isinstance(Node.make([node]), Node)
    assert "argument 'other'" in refused(node.add, 5)
    assert "argument 'others'" in refused(Node.make, [5])

    class Leaf(Node):
        pass

    assert Leaf().add(Leaf())


def test_names_of_the_scope(impl):
    Small = Annotated[int, impl.Lt(5)]

    @impl.checked
    def func(x: "Small") -> "list[Small]":
        return [x, x + 1]

    assert func(3) == [3, 4]
    assert "argument 'x'" in refused(func, 5)
    assert "func() result" in refused(func, 4)


def test_names_of_a_class_body(impl):
    class Outer:
        Inner = int

        @impl.checked
        def method(self, x: "Inner"):  # noqa: F821
            return x

    assert Outer().method(5) == 5
    assert "argument 'x'" in refused(Outer().method, "5")


def test_names_of_another_scope_do_not_count(impl):
    space = {"__name__": "elsewhere"}
    exec("class Name: pass\ndef func(x: 'Name'): return x", space)

    def decorate(func):
        Name = int  # noqa: F841
        return impl.checked(func)

    assert "argument 'x'" in refused(decorate(space["func"]), 5)
    thing = space["Name"]()
    assert decorate(space["func"])(thing) is thing


def test_names_that_come_later(impl):
    space = {"checked": impl.checked, "__name__": "later"}
    exec("@checked\ndef func(x: 'Later', y: int) -> 'Later':\n return x", space)
    for _ in range(2):
        with pytest.raises(
            TypeError, match=r"func\(\) argument 'x': cannot resolve 'Later'"
        ) as caught:
            space["func"](1, 2)
        assert isinstance(caught.value.__cause__, NameError)
    space["Later"] = int
    assert space["func"](1, 2) == 1
    space["Later"] = str  # once resolved it stays
    assert space["func"](1, 2) == 1
    assert "argument 'x'" in refused(space["func"], "1", 2)


def test_a_default_of_a_name_that_comes_later(impl):
    space = {"checked": impl.checked, "__name__": "later"}
    exec("@checked\ndef func(x: 'Later' = 5):\n return x", space)
    space["Later"] = str
    for _ in range(2):
        assert "func() argument 'x'" in refused(space["func"], "a")
    space["Later"] = int
    assert space["func"]() == 5


def test_future_annotations(impl):
    space = {"checked": impl.checked, "Ge": impl.Ge, "__name__": "future"}
    exec(
        "from __future__ import annotations\nfrom typing import Annotated\n"
        "@checked\ndef func(x: Annotated[int, Ge(5)], *y: list[int]) -> int:\n return x",
        space,
    )
    assert space["func"](5, [1]) == 5
    with pytest.raises(impl.ConstraintError):
        space["func"](4)
    assert "argument '*y'" in refused(space["func"], 5, ["1"])


@pytest.mark.parametrize("annotation", ["1 +", "1 // 0", "None.a.b"])
def test_what_cannot_be_resolved_at_all(impl, annotation):
    def func(a: int, b=1): ...

    func.__annotations__["b"] = annotation
    wait = annotation == "None.a.b"
    with pytest.raises(TypeError, match=r"func\(\) argument 'b': cannot resolve"):
        wrapped = impl.checked(func)
        if wait:
            wrapped(1)


def test_what_is_no_type(impl):
    def func(a: int, b: 5): ...

    def other(a: int, b: "5"): ...

    for what in (func, other):
        with pytest.raises(TypeError, match=r"\(\) argument 'b'"):
            impl.checked(what)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="new syntax")
def test_type_parameters(impl):
    space = {"checked": impl.checked, "__name__": "params"}
    exec(
        "type Numbers = list[int]\n"
        "@checked\ndef first[T: int](x: 'T', y: Numbers) -> 'T':\n return x",
        space,
    )
    assert space["first"](1, [2]) == 1
    assert "argument 'x'" in refused(space["first"], "1", [])
    assert "argument 'y'" in refused(space["first"], 1, ["1"])


# ---- what can be decorated


@pytest.mark.parametrize("func", [5, property(len), staticmethod(5)], ids=str)
def test_not_callable(impl, func):
    with pytest.raises(TypeError, match="checked: wanted a callable, got"):
        impl.checked(func)


def test_classes_are_refused(impl):
    class Thing:
        pass

    for cls in (int, Thing):
        with pytest.raises(TypeError, match="checked: wanted a function, got class .*__init__"):
            impl.checked(cls)


def test_no_signature(impl):
    with pytest.raises(TypeError, match="checked: .* has no signature"):
        impl.checked(dict.pop)


def test_wrong_arguments_of_checked(impl):
    for args, kwargs in [((len, 5), {}), ((), {"func": len}), ((len,), {"results": True})]:
        with pytest.raises(TypeError):
            impl.checked(*args, **kwargs)

    class Undecided:
        def __bool__(self):
            raise LookupError

    with pytest.raises(LookupError):
        impl.checked(len, result=Undecided())


def test_other_callables(impl):
    class Adder:
        def __call__(self, x: int) -> int:
            return x + 1

        def method(self, x: int) -> int:
            return x + 2

    def func(a: int, x: int) -> int:
        return a + x

    callables = (Adder(), Adder().method, functools.partial(func, 5), functools.partial(func, a=5))
    for inner, wanted in zip(callables, (6, 7, 10, 10), strict=True):
        wrapped = impl.checked(inner)
        assert wrapped(x=5) == wanted
        assert "() argument 'x'" in refused(wrapped, x="5")
    assert impl.checked(Adder())(5) == 6
    assert impl.checked(len)("abc") == 3


def test_over_other_decorators(impl):
    def plain(func):
        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            return func(*args, **kwargs)

        return wrapper

    @impl.checked
    @plain
    def func(a: int, *, b: str = "b") -> str:
        return a * b

    assert func(2) == "bb"
    assert "argument 'a'" in refused(func, "2")
    assert "argument 'b'" in refused(func, 2, b=3)

    @plain
    @impl.checked
    @impl.checked
    def other(a: int) -> int:
        return a

    assert other(2) == 2
    assert "argument 'a'" in refused(other, "2")


def test_recursion(impl):
    @impl.checked
    def down(n: int) -> int:
        return down(n - 1) + 1 if n else 0

    assert down(100) == 100


def test_recursion_without_end(native):
    @native.checked
    def down(n: int) -> int:
        return down(n + 1)

    with pytest.raises(RecursionError):
        down(0)
    wrapped = native.checked(len)
    for _ in range(300):
        wrapped = native.checked(functools.partial(wrapped))
    assert wrapped("abc") == 3


# ---- identity


def add(a: int, b: int = 2) -> int:
    """Add."""
    return a + b


def test_identity(impl):
    add.note = "kept"
    wrapped = impl.checked(add)
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__module__) == ("add", "Add.", __name__)
    assert wrapped.__qualname__ == "add" and wrapped.__wrapped__ is add
    assert wrapped.__annotations__ == add.__annotations__ and wrapped.__defaults__ == (2,)
    assert wrapped.note == "kept"
    assert inspect.signature(wrapped) == inspect.signature(add)
    assert typing.get_type_hints(wrapped) == {"a": int, "b": int, "return": int}
    assert repr(wrapped) == f"<Checked of {add!r}>"
    assert copy.copy(wrapped) is copy.deepcopy(wrapped) is wrapped
    assert weakref.ref(wrapped)() is wrapped
    wrapped.more = 5
    assert wrapped.more == 5 and not hasattr(add, "more")
    assert inspect.unwrap(wrapped) is add
    del add.note


def test_pickled_by_name(impl, monkeypatch):
    wrapped = impl.checked(add)
    monkeypatch.setitem(globals(), "add", wrapped)
    assert pickle.loads(pickle.dumps(wrapped)) is wrapped


def test_help(native):
    text = pydoc.plain(pydoc.render_doc(native.checked(add)))
    assert "add(a: int, b: int = 2) -> int" in text and "Add." in text


def test_signature_of_checked(impl):
    assert str(inspect.signature(impl.checked)).startswith("(func")


def test_memory(native):
    assert sys.getsizeof(native.checked(add)) <= 144


def test_collected(impl):
    def func(a: int): ...

    func.me = impl.checked(func)
    ref = weakref.ref(func.me)
    del func
    gc.collect()
    assert ref() is None


def test_collected_with_the_class_it_checks(impl):
    class Thing:
        @impl.checked
        def method(self, other: "Thing") -> "Thing":  # noqa: F821
            return other

    Thing().method(Thing())
    ref = weakref.ref(Thing)
    del Thing
    for clear in vars(typing)["_cleanups"]:
        clear()
    gc.collect()
    assert ref() is None


# ---- re-entrancy and threads


def test_a_check_that_changes_the_function(impl):
    def change(value):
        plain = func.__wrapped__
        plain.__defaults__, plain.__kwdefaults__ = (1, 2), None
        plain.__code__ = (lambda a, b=3: (a, b)).__code__
        plain.__annotations__ = {}
        gc.collect()
        return True

    @impl.checked
    def func(a: Annotated[int, impl.Predicate(change)], b: Annotated[int, impl.Ge(1)] = 5) -> Any:
        return a + b

    assert func(1, 6) == (1, 6)
    assert func(1) == (1, 2)
    assert "argument 'b'" in refused(func, 1, 0)


def test_a_check_that_calls_again(impl):
    depth = []

    def again(value):
        depth.append(value)
        return value == 0 or func(value - 1) == value - 1

    @impl.checked
    def func(a: Annotated[int, impl.Predicate(again)]) -> Annotated[int, impl.Predicate(bool)]:
        return a

    assert "result" in refused(func, 3)
    assert depth == [3, 2, 1, 0]


def test_a_check_that_empties_the_list_it_checks(impl):
    def clear(value):
        given.clear()
        return True

    @impl.checked
    def func(a: list[Annotated[str, impl.Strip, impl.Predicate(clear)]]) -> Any:
        return a

    given = [" a ", " b "]
    with contextlib.suppress(RuntimeError):  # the twin may say that it changed
        func(given)
    assert given == []


def test_threads(impl):
    @impl.checked
    def func(a: Annotated[int, impl.Ge(0)], b: Annotated[str, impl.Strip] = "b") -> str:
        return b * a

    def work():
        for i in range(500):
            assert func(2, b=f" {i} ") == f"{i}{i}"
            with pytest.raises(impl.ConstraintError):
                func(-1)

    run_threads(work, 4)


def test_first_calls_in_threads(impl):
    for _ in range(20):
        space = {"checked": impl.checked, "__name__": "later"}
        exec("@checked\ndef func(x: 'Later', y: 'list[Later]') -> 'Later':\n return x", space)
        space["Later"] = int
        run_threads(lambda func=space["func"]: func(1, [2]), 4)
        assert "argument 'x'" in refused(space["func"], "1", [])
