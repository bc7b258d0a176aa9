"""register: classes by name; taken names, other registries, threads."""

from __future__ import annotations

import gc
import inspect
import threading
import weakref
from collections.abc import Iterator
from types import MappingProxyType, ModuleType
from typing import Any

import pytest

from lifetime import run_threads


@pytest.fixture(autouse=True)
def restored(impl: ModuleType) -> Iterator[None]:
    """The registry of all belongs to all."""
    before = dict(impl.register.registry)
    yield
    impl.register.clear()
    for name, cls in before.items():
        impl.register(cls, name=name)


def make(name: str = "JSONParser") -> Any:
    return type(name, (), {"__module__": "parsers"})


def test_the_article(impl: ModuleType) -> None:
    impl.register.clear()

    @impl.register
    class JSONParser:
        def parse(self, data: str) -> Any: ...

    @impl.register
    class XMLParser:
        def parse(self, data: str) -> Any: ...

    assert impl.register.registry == {"JSONParser": JSONParser, "XMLParser": XMLParser}
    assert isinstance(JSONParser, type) and JSONParser.__name__ == "JSONParser"


def test_a_name_of_its_own(impl: ModuleType) -> None:
    registry, cls = impl.Registry(), make()
    assert registry(name="json")(cls) is cls
    assert registry(cls, name="again") is cls
    assert registry(cls) is cls
    assert list(registry.registry) == ["json", "again", "JSONParser"]


def test_the_same_class_again(impl: ModuleType) -> None:
    registry, cls = impl.Registry(), make()
    for _ in range(3):
        assert registry(cls) is cls
    assert len(registry.registry) == 1


def test_a_taken_name(impl: ModuleType) -> None:
    registry, cls, other = impl.Registry(), make(), make()
    other.__module__, other.__qualname__ = "other", "Outer.JSONParser"
    registry(cls)
    wanted = (
        r"register\(\): the name 'JSONParser' of other\.Outer\.JSONParser is taken by "
        r"parsers\.JSONParser"
    )
    with pytest.raises(TypeError, match=wanted):
        registry(other)
    with pytest.raises(TypeError, match=r"the name 'x' .* is taken"):
        registry(cls, name="x") and registry(name="x")(other)
    assert registry.registry == {"JSONParser": cls, "x": cls}


@pytest.mark.parametrize("wrong", [5, "JSONParser", None, len, lambda: None, make()()])
def test_only_classes(impl: ModuleType, wrong: Any) -> None:
    registry = impl.Registry()
    name = type(wrong).__name__
    with pytest.raises(TypeError, match=rf"register\(\): wanted a class, got {name}"):
        registry(wrong)
    with pytest.raises(TypeError, match=rf"register\(\): wanted a class, got {name}"):
        registry(name="x")(wrong)
    assert not registry.registry


def test_errors_of_arguments(impl: ModuleType) -> None:
    registry, cls = impl.Registry(), make()
    for args, kwargs in (
        ((), {}),
        ((cls, cls), {}),
        ((cls,), {"title": "x"}),
        ((), {"name": "x", "title": "x"}),
    ):
        with pytest.raises(TypeError, match=r"register\(\) takes a class, name='...', or both"):
            registry(*args, **kwargs)
    for name in (5, None, b"x"):
        kind = type(name).__name__
        with pytest.raises(TypeError, match=rf"register\(\): the name must be a str, got {kind}"):
            registry(name=name)
        with pytest.raises(TypeError, match=rf"register\(\): the name must be a str, got {kind}"):
            registry(cls, name=name)
    with pytest.raises(TypeError):
        impl.Registry(1)
    assert not registry.registry


def test_the_mapping_is_live_and_read_only(impl: ModuleType) -> None:
    registry, cls = impl.Registry(), make()
    mapping = registry.registry
    assert isinstance(mapping, MappingProxyType) and not mapping
    registry(cls)
    assert mapping["JSONParser"] is cls and "JSONParser" in mapping and len(mapping) == 1
    assert list(mapping.items()) == [("JSONParser", cls)]
    with pytest.raises(TypeError):
        mapping["x"] = cls
    with pytest.raises(AttributeError):
        registry.registry = {}


def test_registries_are_separate(impl: ModuleType) -> None:
    one, other = impl.Registry(), impl.Registry()
    first, second = make(), make()
    one(first)
    other(second)
    assert one.registry["JSONParser"] is first and other.registry["JSONParser"] is second
    assert isinstance(impl.register, impl.Registry)
    assert "JSONParser" not in impl.register.registry
    assert repr(one) == "<Registry of 1 class>" and repr(impl.Registry()).endswith(" 0 classes>")


def test_unregister_and_clear(impl: ModuleType) -> None:
    registry, cls = impl.Registry(), make()
    registry(cls)
    assert registry.unregister("JSONParser") is cls
    with pytest.raises(KeyError, match=r"unregister\(\): no class is registered as 'JSONParser'"):
        registry.unregister("JSONParser")
    registry(name="a")(cls)
    assert registry.clear() is None
    assert not registry.registry
    assert registry(make()) is not cls


def test_subclasses_and_their_names(impl: ModuleType) -> None:
    registry = impl.Registry()

    class Plugin:
        def __init_subclass__(cls) -> None:
            registry(cls)

    class CSV(Plugin): ...

    assert registry.registry == {"CSV": CSV}
    CSV.__name__ = "Renamed"
    registry(CSV)
    assert list(registry.registry) == ["CSV", "Renamed"]


def test_a_class_without_a_usable_name(impl: ModuleType) -> None:
    class Meta(type):
        @property
        def __name__(cls) -> Any:  # type: ignore[override]
            return 5

    registry = impl.Registry()
    if impl.__name__ == "ferrule.pure.calls":
        pytest.skip("takes any name")
    with pytest.raises(TypeError, match="the name must be a str, got int"):
        registry(Meta("X", (), {}))
    assert not registry.registry


def test_threads(impl: ModuleType) -> None:
    registry = impl.Registry()
    lock, taken = threading.Lock(), 0

    def work() -> None:
        nonlocal taken
        for i in range(100):
            try:
                registry(make(f"C{i}"))
            except TypeError:
                with lock:
                    taken += 1

    run_threads(work, 8)
    assert len(registry.registry) == 100 and taken == 700


def test_a_cycle_is_collected(impl: ModuleType) -> None:
    registry, cls = impl.Registry(), make()
    cls.registry = registry
    registry(cls)
    gone = weakref.ref(cls)
    del registry, cls
    gc.collect()
    assert gone() is None


def test_help(impl: ModuleType) -> None:
    assert "class decorator" in (inspect.getdoc(impl.Registry) or "")
    assert "registry" in dir(impl.register)
