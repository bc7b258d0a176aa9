"""Twin of `ferrule.calls.register` and `Registry`."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any


class Registry:
    """Classes by name; an instance is a class decorator."""

    def __init__(self) -> None:
        self._classes: dict[str, type[Any]] = {}
        self._view = MappingProxyType(self._classes)

    @property
    def registry(self) -> MappingProxyType[str, type[Any]]:
        """The classes by name: a read-only live mapping."""
        return self._view

    def __repr__(self) -> str:
        count = len(self._classes)
        return f"<Registry of {count} class{'' if count == 1 else 'es'}>"

    def __call__(self, *classes: Any, **options: Any) -> Any:
        if len(classes) > 1 or options.keys() - {"name"} or not (classes or options):
            raise TypeError("register() takes a class, name='...', or both")
        if options and not isinstance(options["name"], str):
            kind = type(options["name"]).__name__
            raise TypeError(f"register(): the name must be a str, got {kind}")
        add = self._adder(options.get("name"))
        return add(*classes) if classes else add

    def _adder(self, given: str | None) -> Callable[[Any], Any]:
        def add(cls: Any, /) -> Any:
            if not isinstance(cls, type):
                raise TypeError(f"register(): wanted a class, got {type(cls).__name__}")
            name = cls.__name__ if given is None else given
            found = self._classes.setdefault(name, cls)
            if found is not cls:
                raise TypeError(
                    f"register(): the name {name!r} of {_label(cls)} is taken by {_label(found)}"
                )
            return cls

        return add

    def unregister(self, name: str, /) -> type[Any]:
        """Forget the class of this name and give it back."""
        if name not in self._classes:
            raise KeyError(f"unregister(): no class is registered as {name!r}")
        return self._classes.pop(name)

    def clear(self) -> None:
        """Forget all classes."""
        self._classes.clear()


def _label(cls: type[Any]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


register = Registry()
