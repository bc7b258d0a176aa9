"""Twin of the wrapper core: `Wrapper`, `update_wrapper`, `wraps`, and how decorators use them."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterable
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

ASSIGNED = (
    *("__module__", "__name__", "__qualname__", "__doc__"),
    *("__annotations__", "__type_params__"),
)
UPDATED = ("__dict__",)


def update_wrapper(
    wrapper: Any,
    wrapped: Any,
    assigned: Iterable[str] = ASSIGNED,
    updated: Iterable[str] = UPDATED,
) -> Any:
    """Make wrapper look like wrapped."""
    for name in assigned:
        if hasattr(wrapped, name):
            setattr(wrapper, name, getattr(wrapped, name))
    for name in updated:
        getattr(wrapper, name).update(getattr(wrapped, name, {}))
    wrapper.__wrapped__ = wrapped
    return wrapper


def wraps(
    wrapped: Any, assigned: Iterable[str] = ASSIGNED, updated: Iterable[str] = UPDATED
) -> Callable[[Any], Any]:
    """`update_wrapper` as a decorator."""
    return functools.partial(update_wrapper, wrapped=wrapped, assigned=assigned, updated=updated)


def check(name: str, func: object) -> None:
    """TypeError if `func` cannot be called."""
    if not callable(func):
        hint = " (decorate the function inside it)" if isinstance(func, property) else ""
        raise TypeError(f"{name}: wanted a callable, got {type(func).__name__}{hint}")


def decorate(name: str, make: Callable[[Any], Any], func: Any) -> Any:
    """`make(func)`; what a static or class method holds is decorated, and stays what it was."""
    if type(func) in (staticmethod, classmethod):
        return type(func)(decorate(name, make, func.__func__))
    check(name, func)
    return make(func)


def name_of(func: Any) -> str:
    """The name that the articles' texts give: `__name__`, or what there is instead."""
    name = getattr(func, "__name__", None)
    return name if isinstance(name, str) else repr(func)


class Wrapper(Generic[P, R]):
    """An object in the place of func: it hands every call through."""

    __wrapped__: Callable[P, R]

    def __new__(cls, func: Any, /, *args: object, **kwargs: object) -> Any:
        if cls.__init__ is object.__init__ and (args or kwargs):
            count = 1 + len(args) + len(kwargs)
            raise TypeError(f"Wrapper: wanted one function, got {count} arguments")
        check("Wrapper", func)
        return update_wrapper(super().__new__(cls), func)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.__wrapped__(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":
            raise AttributeError(name)
        return getattr(self.__wrapped__, name)

    def __get__(self, obj: object, owner: type | None = None) -> Any:
        return self if obj is None else types.MethodType(self, obj)

    def __set_name__(self, owner: type, name: str) -> None:
        told = getattr(self.__wrapped__, "__set_name__", None)
        if told is not None:
            told(owner, name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.__wrapped__!r}>"

    def __reduce__(self) -> Any:
        return self.__qualname__

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: object) -> Any:
        return self
