"""`Wrapper`, `update_wrapper` and `wraps`: every piece of a function's identity stays."""

from __future__ import annotations

import abc
import copy
import doctest
import functools
import gc
import inspect
import pickle
import pydoc
import sys
import types
import typing
import weakref
from typing import Any

import pytest

from ferrule import calls
from ferrule.pure import calls as pure


def plain(a: int, b: str = "x", /, c: float = 1.5, *rest: int, d: bool, e: int = 3, **more: str):
    """Give the arguments back.

    >>> plain(1, d=True)[0]
    1
    """
    return a, b, c, rest, d, e, more


plain.level = 7  # type: ignore[attr-defined]


async def later(x: int) -> int:
    """Later."""
    return x


def steps(n: int):
    yield from range(n)


async def asteps(n: int):
    for i in range(n):
        yield i


class Base:
    """Has methods of every kind."""

    def method(self, x: int = 1) -> tuple[object, int]:
        """A method."""
        return self, x

    native_method = calls.Wrapper(method)
    native_method.__qualname__ = "Base.native_method"
    pure_method = pure.Wrapper(method)
    pure_method.__qualname__ = "Base.pure_method"


def known(a: int) -> int:
    return a


known_bare = known
for _module in (calls, pure):
    globals()[f"known_{_module.__name__.replace('.', '_')}"] = _wrapped = _module.Wrapper(known)
    _wrapped.__qualname__ = _wrapped.__name__ = f"known_{_module.__name__.replace('.', '_')}"


# ---- identity


IDENTITY = [
    *["__name__", "__qualname__", "__doc__", "__module__", "__annotations__", "__defaults__"],
    *["__kwdefaults__", "__code__", "__globals__", "__closure__", "level"],
]


@pytest.mark.parametrize("name", IDENTITY)
def test_attribute_is_the_functions(impl, name):
    assert getattr(impl.Wrapper(plain), name) is getattr(plain, name) or (
        getattr(impl.Wrapper(plain), name) == getattr(plain, name)
    )


def test_type_parameters(impl):
    space: dict[str, Any] = {}
    if sys.version_info >= (3, 12):
        exec("def generic[T](x: T) -> T: return x", space)
        func = space["generic"]
        assert impl.Wrapper(func).__type_params__ == func.__type_params__ != ()
    else:
        assert not hasattr(impl.Wrapper(plain), "__type_params__")


def test_wrapped(impl):
    assert impl.Wrapper(plain).__wrapped__ is plain
    assert inspect.unwrap(impl.Wrapper(impl.Wrapper(plain))) is plain


def test_attributes_of_the_type_do_not_hide(impl):
    """Asking the class for its annotations puts an empty dict into it."""

    class Sub(impl.Wrapper):
        """Of the class."""

        extra: int = 5

    assert inspect.get_annotations(impl.Wrapper) is not None
    assert typing.get_type_hints(Sub) is not None
    for cls in (impl.Wrapper, Sub):
        wrapped = cls(plain)
        assert wrapped.__annotations__ == plain.__annotations__
        assert wrapped.__doc__ == plain.__doc__
        assert wrapped.__module__ == __name__
    assert Sub(plain).extra == 5


def test_attribute_nobody_has(impl):
    with pytest.raises(AttributeError, match="nothing"):
        impl.Wrapper(plain).nothing  # noqa: B018


def test_set_and_delete(impl):
    wrapped = impl.Wrapper(known)
    wrapped.own = 1
    assert wrapped.own == 1 and not hasattr(known, "own")
    wrapped.__doc__ = "other"
    assert (wrapped.__doc__, known.__doc__) == ("other", None)
    wrapped.__name__ = "renamed"
    assert (wrapped.__name__, known.__name__) == ("renamed", "known")
    del wrapped.own
    with pytest.raises(AttributeError):
        del wrapped.own
    del wrapped.__doc__


def test_delete_what_is_not_its_own(native):
    with pytest.raises(AttributeError):
        del native.Wrapper(known).__name__


def test_live_attributes(native):
    def func():
        """Before."""

    wrapped = native.Wrapper(func)
    func.__doc__ = "After."
    func.added = 1
    assert (wrapped.__doc__, wrapped.added) == ("After.", 1)


def test_dict_as_functools_wraps_copies_it(impl):
    wrapped = impl.Wrapper(plain)
    wrapped.own = 1
    assert vars(wrapped)["level"] == 7
    assert vars(wrapped)["own"] == 1
    assert vars(wrapped)["__wrapped__"] is plain
    vars(wrapped)["level"] = 8
    assert (wrapped.level, plain.level) == (8, 7)
    vars(wrapped).clear()
    wrapped.__dict__.update(back=1)
    assert vars(wrapped) == {"back": 1}


def test_own_before_the_functions_in_dict(impl):
    wrapped = impl.Wrapper(plain)
    wrapped.level = 9
    assert vars(wrapped)["level"] == 9


def test_replace_dict(impl):
    wrapped = impl.Wrapper(plain)
    wrapped.__dict__ = {"__wrapped__": plain, "own": 2}
    assert wrapped.own == 2
    with pytest.raises(TypeError):
        wrapped.__dict__ = 5
    assert wrapped.own == 2


def test_delete_dict(native):
    with pytest.raises(TypeError, match="__dict__: wanted a dict, got deletion"):
        del native.Wrapper(plain).__dict__


def test_repr(impl):
    assert repr(impl.Wrapper(plain)) == f"<Wrapper of {plain!r}>"


def test_hash_and_equality_are_by_identity(impl):
    one, two = impl.Wrapper(plain), impl.Wrapper(plain)
    assert one == one and one != two and one != plain
    assert {one: 1, two: 2}[one] == 1


# ---- what tools see


@pytest.mark.parametrize("func", [plain, later, steps, asteps], ids=lambda func: func.__name__)
def test_inspect(impl, func):
    wrapped = impl.Wrapper(func)
    for question in (
        *[inspect.signature, inspect.iscoroutinefunction, inspect.isgeneratorfunction],
        *[inspect.isasyncgenfunction, inspect.getsource, inspect.getdoc, inspect.getmodule],
        *[inspect.getfullargspec, inspect.isroutine, inspect.getsourcelines, callable],
        *[inspect.get_annotations],
    ):
        assert question(wrapped) == question(func), question


def test_call_attribute(native):
    """Some ask whether __call__ is a coroutine function."""
    wrapped = native.Wrapper(later)
    assert inspect.iscoroutinefunction(wrapped.__call__)
    assert inspect.signature(wrapped.__call__) == inspect.signature(later)
    assert native.Wrapper(known).__call__(1) == 1

    class Sub(native.Wrapper):
        async def __call__(self): ...

    assert Sub(known).__call__.__func__ is Sub.__call__


def test_signature_override(impl):
    wrapped = impl.Wrapper(plain)
    wrapped.__signature__ = inspect.signature(known)
    assert inspect.signature(wrapped) == inspect.signature(known)


def test_signature_of_a_method(impl):
    class Thing:
        @impl.Wrapper
        def method(self, a: int, *, b: int = 2) -> None: ...

    assert str(inspect.signature(Thing().method)) == "(a: 'int', *, b: 'int' = 2) -> 'None'"
    assert str(inspect.signature(Thing.method)) == "(self, a: 'int', *, b: 'int' = 2) -> 'None'"


def test_type_hints(impl):
    assert typing.get_type_hints(impl.Wrapper(later)) == {"x": int, "return": int}


def test_help(impl):
    """The text that help() shows is that of the function."""

    def text(obj):
        return pydoc.plain(pydoc.render_doc(obj, "%s")).partition("\n")[2]

    assert text(impl.Wrapper(plain)) == text(functools.wraps(plain)(lambda *a, **k: None))
    assert text(impl.Wrapper(plain)) == text(plain)


def test_help_of_a_class(impl):
    def made(wrapper):
        class Thing:
            def method(self, x: int = 1) -> None:
                """Of the instance."""

            method = wrapper(method)

        return Thing

    def text(wrapper):
        return pydoc.plain(pydoc.render_doc(made(wrapper)))

    assert text(impl.Wrapper) == text(lambda func: func)


def test_help_of_a_subclass_and_its_instances(impl):
    class Sub(impl.Wrapper):
        """Of the class."""

    class Bare(impl.Wrapper):
        pass

    assert "Give the arguments back." in pydoc.plain(pydoc.render_doc(Sub(plain)))
    assert "Give the arguments back." in pydoc.plain(pydoc.render_doc(Bare(plain)))
    assert "Of the class." in pydoc.plain(pydoc.render_doc(Sub))
    assert (Sub.__doc__, inspect.getdoc(Sub(plain))) == ("Of the class.", inspect.getdoc(plain))


def test_doc_of_the_types(impl):
    assert impl.Wrapper.__doc__.startswith("An object in the place of func")
    assert impl.Wrapper(known).__doc__ is None
    assert object.__getattribute__(impl.Wrapper(plain), "__doc__") == plain.__doc__


def test_doctest_finds_it(impl, monkeypatch):
    module = types.ModuleType("made_up")
    monkeypatch.setitem(sys.modules, "made_up", module)

    def documented():
        """Five.

        >>> wrapped()
        5
        """
        return 5

    documented.__module__ = "made_up"
    module.wrapped = impl.Wrapper(documented)
    found = doctest.DocTestFinder().find(module)
    (test,) = [test for test in found if test.examples]
    assert test.name == "made_up.wrapped"
    assert doctest.DocTestRunner(verbose=False).run(test) == (0, 1)


def test_partial(impl):
    wrapped = impl.Wrapper(known)
    assert functools.partial(wrapped, 1)() == 1
    assert impl.Wrapper(functools.partial(known, 2))() == 2
    assert inspect.signature(functools.partial(wrapped, 1)) == inspect.signature(
        functools.partial(known, 1)
    )

    class Thing:
        @impl.Wrapper
        def method(self, a):
            return a

        half = functools.partialmethod(method, 3)

    assert Thing().half() == 3


def test_singledispatch(impl):
    @functools.singledispatch
    def kind(x):
        return "any"

    @kind.register
    @impl.Wrapper
    def _(x: int):
        return "int"

    kind.register(str, impl.Wrapper(lambda x: "str"))
    assert [kind(x) for x in (1.5, 1, "a")] == ["any", "int", "str"]
    whole = impl.Wrapper(kind)
    assert whole(1) == "int" and whole.register is not None
    assert whole.dispatch(str)("a") == "str"


def test_singledispatchmethod(impl):
    class Thing:
        @functools.singledispatchmethod
        @impl.Wrapper
        def kind(self, x):
            return self, "any"

        @kind.register
        @impl.Wrapper
        def _(self, x: int):
            return self, "int"

    thing = Thing()
    assert (thing.kind(1), thing.kind("a")) == ((thing, "int"), (thing, "any"))


def test_abstract_in_both_orders(impl):
    class Shape(abc.ABC):
        @impl.Wrapper
        @abc.abstractmethod
        def inner(self): ...

        @abc.abstractmethod
        @impl.Wrapper
        def outer(self): ...

    assert Shape.__abstractmethods__ == {"inner", "outer"}
    with pytest.raises(TypeError, match="abstract"):
        Shape()


def test_property_and_cached_property(impl):
    class Thing:
        made = 0

        @property
        @impl.Wrapper
        def doubled(self):
            """Twice."""
            return self.made * 2

        @functools.cached_property
        @impl.Wrapper
        def once(self):
            """Once."""
            self.made += 1
            return self.made

    thing = Thing()
    assert (thing.once, thing.once, thing.doubled) == (1, 1, 2)
    assert Thing.doubled.__doc__ == "Twice."
    assert Thing.once.__doc__ == "Once."


def test_descriptor_is_told_its_name(impl):
    told = []

    class Callable:
        def __call__(self, obj):
            return "called", obj

        def __set_name__(self, owner, name):
            told.append((owner, name))

    class Thing:
        made = impl.Wrapper(Callable())

    assert told == [(Thing, "made")]
    thing = Thing()
    assert thing.made() == ("called", thing)


def test_set_name_that_raises(impl):
    class Callable:
        def __call__(self): ...

        def __set_name__(self, owner, name):
            raise LookupError("no")

    with pytest.raises((LookupError, RuntimeError)):
        type("Thing", (), {"made": impl.Wrapper(Callable())})


def test_set_name_wants_two(native):
    with pytest.raises(TypeError, match="__set_name__: wanted owner and name, got 1"):
        native.Wrapper(plain).__set_name__(1)


# ---- calls


def test_calls_are_handed_through(impl):
    wrapped = impl.Wrapper(plain)
    assert wrapped(1, d=True) == plain(1, d=True)
    args, kwargs = (1, "b", 2.5, 4, 5), {"d": False, "z": "more"}
    assert wrapped(*args, **kwargs) == plain(*args, **kwargs)
    with pytest.raises(TypeError, match="plain"):
        wrapped()


def test_exceptions_come_through(impl):
    class Stop(BaseException):
        pass

    @impl.Wrapper
    def fail(error):
        raise error

    for error in (ValueError("a"), Stop(), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            fail(error)
        assert caught.value is error


class Called:
    def __call__(self, *args):
        return args


@pytest.mark.parametrize(
    "func",
    [
        len,
        str.upper,
        Called(),
        functools.partial(max, 1),
        Called().__call__,
        dict,
        type("X", (), {}),
    ],
    ids=str,
)
def test_anything_that_can_be_called(impl, func):
    wrapped = impl.Wrapper(func)
    args = (
        ("ab",) if func in (len, str.upper) else (2,) if callable(func) and func is not dict else ()
    )
    if isinstance(func, type):
        args = ()
    result, wanted = wrapped(*args), func(*args)
    assert result == wanted or type(result) is type(wanted)


def test_name_and_doc_of_what_has_no_name(impl):
    wrapped = impl.Wrapper(functools.partial(known, 1))
    assert wrapped.__doc__ == functools.partial.__doc__
    with pytest.raises(AttributeError):
        wrapped.__name__  # noqa: B018
    assert wrapped.args == (1,)


@pytest.mark.parametrize("func", [None, 5, "f", property(known), object()], ids=str)
def test_not_callable(impl, func):
    with pytest.raises(TypeError, match="Wrapper: wanted a callable, got") as error:
        impl.Wrapper(func)
    assert type(func).__name__ in str(error.value)
    assert ("inside it" in str(error.value)) == isinstance(func, property)


def test_wrong_number(impl):
    with pytest.raises(TypeError):
        impl.Wrapper()
    with pytest.raises(TypeError, match="Wrapper: wanted one function, got 2 arguments"):
        impl.Wrapper(known, 1)
    with pytest.raises(TypeError, match="Wrapper: wanted one function, got 2 arguments"):
        impl.Wrapper(known, x=1)


def test_methods(impl):
    class Thing:
        @impl.Wrapper
        def method(self, x):
            return self, x

        @staticmethod
        @impl.Wrapper
        def static(x):
            return x

        @classmethod
        @impl.Wrapper
        def of_class(cls, x):
            return cls, x

    class Sub(Thing):
        def method(self, x):
            return super().method(x)

    thing, sub = Thing(), Sub()
    assert thing.method(1) == (thing, 1) == Thing.method(thing, 1)
    assert sub.method(2) == (sub, 2)
    assert (thing.static(3), Thing.static(4)) == (3, 4)
    assert (thing.of_class(5), Sub.of_class(6)) == ((Thing, 5), (Sub, 6))
    bound = thing.method
    assert isinstance(bound, types.MethodType) and bound.__self__ is thing
    assert bound(x=7) == (thing, 7)
    assert bound == thing.method and hash(bound) == hash(thing.method)
    assert bound.__name__ == "method" and bound.__qualname__.endswith("Thing.method")


def test_methods_again_and_again(impl):
    """So often that the interpreter specialises the call."""

    class Thing:
        @impl.Wrapper
        def method(self, x):
            return self, x

    def loop(things):
        return [thing.method(i) for i, thing in enumerate(things)]

    things = [Thing() for _ in range(200)]
    assert loop(things) == [(thing, i) for i, thing in enumerate(things)]
    Thing.method = lambda self, x: "other"
    assert loop(things) == ["other"] * 200


def test_instance_attribute_is_not_bound(impl):
    class Thing:
        pass

    thing = Thing()
    thing.func = impl.Wrapper(lambda *args: args)
    assert thing.func(1) == (1,)


async def test_coroutines(impl):
    assert await impl.Wrapper(later)(3) == 3
    assert [i async for i in impl.Wrapper(asteps)(3)] == [0, 1, 2]
    assert list(impl.Wrapper(steps)(3)) == [0, 1, 2]


# ---- copies, pickles, references


def test_copy_is_the_object_itself(impl):
    wrapped = impl.Wrapper(plain)
    assert copy.copy(wrapped) is wrapped
    assert copy.deepcopy([wrapped])[0] is wrapped


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_by_name(impl, protocol):
    wrapped = globals()[f"known_{impl.__name__.replace('.', '_')}"]
    assert pickle.loads(pickle.dumps(wrapped, protocol)) is wrapped
    method = vars(Base)["native_method" if impl is calls else "pure_method"]
    assert pickle.loads(pickle.dumps(method, max(protocol, 4))) is method


def test_pickle_of_a_local_function(impl):
    @impl.Wrapper
    def local(): ...

    with pytest.raises((pickle.PicklingError, AttributeError), match="local"):
        pickle.dumps(local)


def test_pickle_when_the_name_is_somebody_elses(impl):
    with pytest.raises(pickle.PicklingError, match="not the same object"):
        pickle.dumps(impl.Wrapper(plain))


def test_weak_references(impl):
    wrapped = impl.Wrapper(lambda: None)
    died = []
    ref = weakref.ref(wrapped, died.append)
    assert ref() is wrapped
    del wrapped
    gc.collect()
    assert ref() is None and died == [ref]


def test_cycle_is_collected(impl):
    def func(): ...

    func.wrapper = impl.Wrapper(func)
    func.wrapper.me = func.wrapper
    ref = weakref.ref(func.wrapper)
    del func
    gc.collect()
    assert ref() is None


# ---- subclasses


def test_subclass_with_call(impl):
    class Twice(impl.Wrapper):
        def __call__(self, *args, **kwargs):
            return [self.__wrapped__(*args, **kwargs) for _ in range(2)]

    class Thing:
        @Twice
        def method(self, x):
            return self, x

    assert Twice(known)(1) == [1, 1]
    thing = Thing()
    assert thing.method(2) == [(thing, 2)] * 2
    assert inspect.signature(Twice(plain)) == inspect.signature(plain)
    assert repr(Twice(known)) == f"<Twice of {known!r}>"


def test_subclass_with_init(impl):
    class Tagged(impl.Wrapper):
        def __init__(self, func, tag, *, more=0):
            self.tag, self.more = tag, more

    tagged = Tagged(known, "a", more=2)
    assert (tagged.tag, tagged.more, tagged(3)) == ("a", 2, 3)
    with pytest.raises(TypeError):
        Tagged(5, "a")


def test_subclass_with_slots(impl):
    class Slotted(impl.Wrapper):
        __slots__ = ("tag",)

    slotted = Slotted(known)
    slotted.tag = 1
    assert (slotted.tag, slotted(2)) == (1, 2)


def test_class_getitem(impl):
    assert typing.get_origin(impl.Wrapper[[int], str]) is impl.Wrapper


def test_type_cannot_be_changed(native):
    with pytest.raises(TypeError):
        native.Wrapper.__call__ = None


# ---- depth


def test_recursive_function(impl):
    @impl.Wrapper
    def down(n):
        return n and down(n - 1)

    assert down(50) == 0
    with pytest.raises(RecursionError):
        down(1_000_000)


def test_recursion_through_a_method(impl):
    class Thing:
        @impl.Wrapper
        def down(self):
            return self.down()

    with pytest.raises(RecursionError):
        Thing().down()


def test_deep_chain(native):
    """100,000 wrappers around each other."""
    chain = known
    for _ in range(100_000):
        chain = native.Wrapper(chain)
    with pytest.raises(RecursionError):
        chain(1)
    with pytest.raises(RecursionError):
        chain.__doc__  # noqa: B018
    with pytest.raises(RecursionError):
        chain.nothing  # noqa: B018
    with pytest.raises(RecursionError):
        repr(chain)
    assert chain.__wrapped__ is not None
    ref = weakref.ref(chain)
    del chain
    assert ref() is None


def test_deep_chain_in_a_cycle(native):
    def func(): ...

    chain = func
    for _ in range(100_000):
        chain = native.Wrapper(chain)
    func.chain = chain
    ref = weakref.ref(func)
    del func, chain
    gc.collect()
    assert ref() is None


def test_wrapped_replaced(native):
    """What is read, not what is called."""
    wrapped = native.Wrapper(known)
    wrapped.__wrapped__ = wrapped
    assert wrapped(1) == 1
    with pytest.raises(ValueError, match="wrapper loop"):
        inspect.unwrap(wrapped)


# ---- update_wrapper, wraps


def test_update_wrapper(impl):
    def wrapper(*args):
        return "wrapper"

    wrapper.own = 1
    assert impl.update_wrapper(wrapper, plain) is wrapper
    for name in functools.WRAPPER_ASSIGNMENTS:
        assert getattr(wrapper, name) == getattr(plain, name)
    assert (wrapper.__wrapped__, wrapper.level, wrapper.own) == (plain, 7, 1)
    assert wrapper() == "wrapper"


def test_wraps(impl):
    @impl.wraps(plain)
    def wrapper():
        """Mine."""

    assert wrapper.__doc__ == plain.__doc__ and wrapper.__wrapped__ is plain

    @impl.wraps(plain, assigned=("__name__",), updated=())
    def other():
        """Mine."""

    assert (other.__doc__, other.__name__) == ("Mine.", "plain")
    assert not hasattr(other, "level")


def test_wraps_of_what_lacks_names(impl):
    @impl.wraps(functools.partial(known, 1))
    def wrapper(): ...

    assert wrapper.__name__ == "wrapper"


def test_update_of_what_cannot_be_set(impl):
    with pytest.raises(AttributeError):
        impl.update_wrapper(5, plain)
    with pytest.raises(AttributeError):
        impl.update_wrapper(lambda: None, plain, updated=["nothing"])
    with pytest.raises(TypeError):
        impl.update_wrapper(lambda: None, plain, assigned=5)


def test_wraps_wants_a_function(native):
    with pytest.raises(TypeError):
        native.wraps()
    with pytest.raises(TypeError, match="wraps decorator: wanted one function, got 2 arguments"):
        native.wraps(plain)(known, known)
    with pytest.raises(TypeError, match="unexpected keyword"):
        native.wraps(plain, other=1)
    assert repr(native.wraps(plain)) == "<ferrule.calls.wraps decorator>"


def test_memory(native):
    """Bytes a function, with the collector's header."""
    assert sys.getsizeof(native.Wrapper(known)) <= 128
