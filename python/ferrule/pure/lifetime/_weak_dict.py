"""Twin of `WeakValueDictionary`: the standard class, and what the native one adds to it."""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class WeakValueDictionary(weakref.WeakValueDictionary[K, V]):
    """A mapping that holds its values weakly.

    Iterators work on a list made in advance, so they cannot tell an item that stayed from one that
    left and came back.
    """

    def __init__(self, other: Any = (), /, **kw: V) -> None:
        self._factory: Callable[[K], V] | None = None
        self._storing = threading.RLock()
        super().__init__(other, **kw)

    @property
    def factory(self) -> Callable[[K], V] | None:
        return self._factory

    @factory.setter
    def factory(self, value: Callable[[K], V] | None) -> None:
        if value is not None and not callable(value):
            raise TypeError(
                "WeakValueDictionary.factory: wanted a callable or None, "
                f"got {type(value).__name__}"
            )
        self._factory = value

    @factory.deleter
    def factory(self) -> None:
        self._factory = None

    def __getitem__(self, key: K) -> V:
        found = self.get(key)
        if found is not None:  # None has no weak references
            return found
        missing = getattr(type(self), "__missing__", None)
        if missing is not None:
            made: V = missing(self, key)
            return made
        if self._factory is None:
            raise KeyError(key)
        made = self._factory(key)
        try:
            return self.setdefault(key, made)
        except TypeError:
            raise TypeError(
                f"WeakValueDictionary: cannot create weak reference to '{type(made).__name__}' "
                f"object, what factory returned for key {key!r}"
            ) from None

    def setdefault(self, key: K, default: Any = None) -> V:
        with self._storing:
            return super().setdefault(key, default)

    def keys(self) -> Iterator[K]:  # type: ignore[override]
        return (key for key, _ in self.items())

    def values(self) -> Iterator[V]:  # type: ignore[override]
        return (value for _, value in self.items())

    def items(self) -> Iterator[tuple[K, V]]:  # type: ignore[override]
        # Not a loop of our own: waiting at a `yield`, its names would keep the value alive.
        pairs = ((key, self.get(key)) for key in list(self.data))  # type: ignore[attr-defined]
        return filter(lambda pair: pair[1] is not None, pairs)  # type: ignore[arg-type]

    __iter__ = keys

    def itervaluerefs(self) -> Iterator[Any]:
        return iter(self.valuerefs())

    def copy(self) -> WeakValueDictionary[K, V]:
        made = WeakValueDictionary[K, V](self)
        made.factory = self.factory
        return made

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made = type(self)()
        made.factory = self.factory
        for key, value in self.items():
            made[copy.deepcopy(key, memo)] = value
        return made

    def __ror__(self, other: Any) -> Any:
        made = super().__ror__(other)
        if isinstance(made, WeakValueDictionary):
            made.factory = self.factory
        return made

    def __reduce__(self) -> Any:
        raise TypeError(f"cannot pickle '{type(self).__name__}' object: it does not own its values")
