"""Twin of `ferrule.calls.singleton`: a `__new__` that gives the instance, and an `__init__` that
leaves it alone.

Here copies and pickles give the instance too, and a metaclass's `__call__` runs every time.
"""

from __future__ import annotations

import functools
import threading
from typing import Any, TypeVar

T = TypeVar("T")


def singleton(cls: type[T], /) -> type[T]:
    """Make the class give one instance, whatever it is called with."""
    if not isinstance(cls, type):
        raise TypeError(f"singleton(): wanted a class, got {type(cls).__name__}")
    if "_singleton" in vars(cls):
        raise TypeError(f"singleton(): {cls.__name__} is a singleton already")
    if not isinstance(getattr(cls, "reset", _Reset([])), _Reset):
        raise TypeError(f"singleton(): {cls.__name__} has an attribute reset of its own")
    new: Any = cls.__new__
    init: Any = cls.__init__
    lock = threading.RLock()
    found: list[Any] = []
    building = False

    def plain(kind: type[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if new is not object.__new__:
            return new(kind, *args, **kwargs)
        if (args or kwargs) and kind.__init__ in (object.__init__, __init__) and bare:
            raise TypeError(f"{kind.__name__}() takes no arguments")
        return new(kind)

    def __new__(kind: type[Any], *args: Any, **kwargs: Any) -> Any:
        nonlocal building
        if kind is not cls:
            return plain(kind, args, kwargs)
        with lock:
            if not found:
                if building:
                    raise RuntimeError(f"{cls.__name__}(): called while its instance is being made")
                building = True
                try:
                    made = plain(kind, args, kwargs)
                    if isinstance(made, cls) and not bare:
                        init(made, *args, **kwargs)
                    found.append(made)
                finally:
                    building = False
            return found[0]

    bare = init is object.__init__

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if type(self) is not cls and not bare:
            init(self, *args, **kwargs)

    try:
        setattr(cls, "reset", _Reset(found))  # noqa: B010
    except TypeError:
        raise TypeError(f"singleton(): the class {cls.__name__} cannot be changed") from None
    for name, value in (("_singleton", found), ("__new__", __new__), ("__init__", __init__)):
        setattr(cls, name, value)
    return cls


class _Reset:
    def __init__(self, found: list[Any]) -> None:
        self._found = found

    def __call__(self) -> None:
        self._found.clear()
