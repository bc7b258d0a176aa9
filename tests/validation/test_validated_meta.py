"""`ValidatedMeta`: a docstring in every public method."""

from __future__ import annotations

import abc
import functools

import pytest


class Documented:
    """A class with a docstring, whose instances can be called."""

    def __call__(self):
        pass


class Bare:
    def __call__(self):
        pass


def documented():
    """Do something."""


def bare():
    pass


def test_api_handler(impl):
    class APIHandler(metaclass=impl.ValidatedMeta):
        def get(self, request):
            """Handle GET request."""
            pass

        def post(self, request):
            """Handle POST request."""
            pass

    assert type(APIHandler) is impl.ValidatedMeta
    with pytest.raises(TypeError) as caught:

        class BadHandler(metaclass=impl.ValidatedMeta):
            def get(self, request):  # No docstring!
                pass

    assert str(caught.value) == "BadHandler.get must have a docstring"

    with pytest.raises(TypeError, match=r"^Child.put must have a docstring$"):

        class Child(APIHandler):
            def put(self, request):
                pass

    class Private(APIHandler):
        def _helper(self):
            pass

        def __len__(self):
            return 0

    assert issubclass(Private, APIHandler) and APIHandler().get(1) is None


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        (documented, True),
        (bare, False),
        (staticmethod(documented), True),
        (staticmethod(bare), False),  # callable since 3.10
        (classmethod(documented), True),
        (classmethod(bare), True),  # not callable
        (property(bare), True),
        (functools.cached_property(bare), True),
        (functools.partial(bare), True),  # has the docstring of its class
        (Documented, True),
        (Bare, False),
        (Documented(), True),
        (Bare(), False),
        (len, True),
        (5, True),
        ("text", True),
        (None, True),
        (abc.abstractmethod(lambda self: 1), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_verdicts(impl, value, passes):
    if passes:
        assert vars(impl.ValidatedMeta("Made", (), {"x": value}))["x"] is value
    else:
        with pytest.raises(TypeError, match=r"^Made.x must have a docstring$"):
            impl.ValidatedMeta("Made", (), {"x": value})
    if not isinstance(value, functools.cached_property):  # that has one name only
        assert "_x" in vars(impl.ValidatedMeta("Made", (), {"_x": value}))


def test_empty_docstring(impl):
    def empty():
        pass

    empty.__doc__ = ""
    with pytest.raises(TypeError, match="Made.x"):
        impl.ValidatedMeta("Made", (), {"x": empty})


def test_class_keywords(impl):
    class Base(metaclass=impl.ValidatedMeta):
        def __init_subclass__(cls, *, label="", **keywords):
            super().__init_subclass__(**keywords)
            cls.label = label

    class Child(Base, label="a"):
        pass

    assert Child.label == "a"
    with pytest.raises(TypeError):

        class Wrong(Base, other=1):
            pass


def test_with_other_metaclasses(impl):
    log = []

    class Logged(type):
        def __new__(mcs, name, bases, namespace, **keywords):
            log.append(name)
            return super().__new__(mcs, name, bases, namespace, **keywords)

    class Meta(impl.ValidatedMeta, abc.ABCMeta):
        pass

    class Both(Logged, impl.ValidatedMeta):
        pass

    class Other(impl.ValidatedMeta, Logged):
        pass

    class Handler(abc.ABC, metaclass=Meta):
        @abc.abstractmethod
        def get(self):
            """Get."""

    with pytest.raises(TypeError, match="abstract"):
        Handler()

    class Real(Handler):
        def get(self):
            """Get it."""
            return 5

    assert Real().get() == 5 and isinstance(Real(), Handler)
    for meta in (Both, Other):
        made = meta("Made", (), {"get": documented})
        assert type(made) is meta
        with pytest.raises(TypeError, match="Bad.get must have a docstring"):
            meta("Bad", (), {"get": bare})
    assert log == ["Made", "Bad", "Made"]


def test_overridden(impl):
    class Meta(impl.ValidatedMeta):
        def __new__(mcs, name, bases, namespace):
            namespace["extra"] = documented
            return super().__new__(mcs, name, bases, namespace)

        def __init__(cls, *args):
            super().__init__(*args)
            cls.done = True

    class Made(metaclass=Meta):
        pass

    assert Made.extra is documented and Made.done and Made.__class__ is Meta


def test_prepared_namespace(impl):
    class Namespace(dict):
        pass

    class Meta(impl.ValidatedMeta):
        @classmethod
        def __prepare__(mcs, name, bases):
            return Namespace(get=bare)

    with pytest.raises(TypeError, match="Made.get must have a docstring"):

        class Made(metaclass=Meta):
            pass


class Loud:
    """Raises when asked for its docstring."""

    def __init__(self, error):
        self.error = error

    def __call__(self):
        pass

    def __getattribute__(self, name):
        if name == "__doc__":
            raise object.__getattribute__(self, "error")
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("error", [LookupError, AttributeError, KeyboardInterrupt])
def test_errors_go_through(impl, error):
    with pytest.raises(error):
        impl.ValidatedMeta("Made", (), {"x": Loud(error)})


@pytest.mark.parametrize(
    "arguments", [(), ("Made",), ("Made", ()), (5, (), {}), ("Made", 5, {}), ("Made", (), 5)]
)
def test_bad_arguments(impl, arguments):
    with pytest.raises((TypeError, AttributeError)):
        impl.ValidatedMeta.__new__(impl.ValidatedMeta, *arguments)
    with pytest.raises(TypeError):
        impl.ValidatedMeta.__new__(*arguments)


def test_not_its_own_metaclass(native):
    for other in (type, 5, abc.ABCMeta):
        with pytest.raises(TypeError, match="is not a subtype of ValidatedMeta"):
            native.ValidatedMeta.__new__(other, "Made", (), {})


def test_namespace_changed_meanwhile(impl):
    namespace = {}

    class Wild(Loud):
        """Changes the namespace."""

        def __getattribute__(self, name):
            if name == "__doc__":
                namespace.clear()
                return "documented"
            return object.__getattribute__(self, name)

    namespace.update({f"x{i}": Wild(ValueError) for i in range(20)})
    assert impl.ValidatedMeta("Made", (), namespace).__name__ == "Made"
