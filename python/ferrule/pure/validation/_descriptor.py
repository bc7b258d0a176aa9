"""Twins of `Bounded` and `Validated`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ._error import broken
from ._mask import shape_of

_INCOMPARABLE = (TypeError, ValueError, ArithmeticError)


def _shown(obj: Any, how: Callable[[Any], str] = format) -> str:
    try:
        return how(obj)[: 100 if how is repr else None]
    except MemoryError:
        raise
    except Exception:
        if isinstance(obj, int):
            return f"int of {int.bit_length(obj)} bits"
        return f"<{type(obj).__name__} object>"


def _is_itself(value: Any) -> bool:
    try:
        return bool(value == value)
    except ArithmeticError:  # decimal's signalling NaN
        return False


def _looks_sensitive(text: str) -> bool:
    return "Sensitive" in text or "sensitive_data" in text


def _is_hidden(cls: type, name: str | None) -> bool:
    """Does the class annotate the attribute as sensitive?"""
    for base in cls.__mro__:
        annotations = vars(base).get("__annotations__", {})
        if name not in annotations:
            continue
        tp = annotations[name]
        if isinstance(tp, str):
            if _looks_sensitive(tp):
                return True
            try:
                tp = eval(tp, vars(sys.modules[base.__module__]), dict(vars(base)))
            except Exception:
                return False
        try:
            return shape_of(tp) is not None
        except Exception:
            return _looks_sensitive(repr(tp))
    return False


class _Descriptor:
    _prefix: str
    _name: str | None = None
    _owner: str | None = None

    def __init__(self, min_val: Any = None, max_val: Any = None) -> None:
        self._set_bounds(min_val, max_val)

    def _set_bounds(self, low: Any, high: Any) -> None:
        kind = self._kind()
        for which, bound in (("min_val", low), ("max_val", high)):
            text = f"{kind}: {which} must be a bound, got {_shown(bound, repr)}, which "
            try:
                itself = bound is None or _is_itself(bound)
            except _INCOMPARABLE as error:
                raise TypeError(f"{text}cannot be compared") from error
            if not itself:
                raise ValueError(f"{text}nothing passes")
        shown = f"{_shown(low, repr)} and {_shown(high, repr)}"
        try:
            crossed = self._both(low, high) and low > high
        except _INCOMPARABLE as error:
            text = f"{kind}: min_val and max_val cannot be compared: {shown}"
            raise TypeError(text) from error
        if crossed:
            raise ValueError(f"{kind}: min_val must be <= max_val, got {shown}")
        self._bounds = low, high

    def _kind(self) -> str:
        return "Validated" if isinstance(self, Validated) else "Bounded"

    def _both(self, low: Any, high: Any) -> bool:
        return low is not None and high is not None

    @property
    def min_val(self) -> Any:
        return self._bounds[0]

    @min_val.setter
    def min_val(self, value: Any) -> None:
        self._set_bounds(value, self.max_val)

    @property
    def max_val(self) -> Any:
        return self._bounds[1]

    @max_val.setter
    def max_val(self, value: Any) -> None:
        self._set_bounds(self.min_val, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(min_val={self.min_val!r}, max_val={self.max_val!r})"

    def __set_name__(self, owner: type, name: str) -> None:
        if not isinstance(owner, type) or not isinstance(name, str):
            raise TypeError(f"{self._kind()}.__set_name__() wants a class and a name")
        if self._owner is None:
            self._name, self._owner = name, owner.__qualname__
        elif self._name != name:
            raise TypeError(
                f"{self._kind()}: one descriptor cannot be both {self._owner}.{self._name} and "
                f"{owner.__qualname__}.{name}; make one for each"
            )

    def _attribute(self, obj: Any) -> str:
        """Under which name the object has the value."""
        if self._name is None:
            raise TypeError(
                f"{self._kind()}: an attribute of {type(obj).__name__!r} has no name: it was "
                "assigned after the class was made; call its __set_name__(cls, name)"
            )
        found = [vars(cls)[self._name] for cls in type(obj).__mro__ if self._name in vars(cls)]
        in_record = found and getattr(found[0], "check", None) is self
        return self._name if in_record else self._prefix + self._name

    def _given(self, attribute: str, name: str | None) -> str:
        if name is None:
            raise AttributeError(f"no attribute {attribute!r} before __set_name__")
        return name

    def __get__(self, obj: Any, owner: Any = None) -> Any:
        if obj is None and owner is None:
            raise TypeError("__get__(None, None) is invalid")
        if obj is None:
            return self
        return getattr(obj, self._attribute(obj), None)

    def __set__(self, obj: Any, value: Any) -> None:
        name = self._attribute(obj)
        cls = type(obj)
        self._check(value, lambda: _is_hidden(cls, self._name))
        setattr(obj, name, value)

    def __delete__(self, obj: Any) -> None:
        delattr(obj, self._attribute(obj))

    def _ferrule_check(self, value: Any, sensitive: bool) -> None:
        """What a record asks before it writes."""
        self._check(value, lambda: sensitive)

    def _ferrule_bind(self, owner: type, name: str) -> None:
        """What a record does instead of `__set_name__`."""
        for method in ("__get__", "__set__", "__delete__"):
            if getattr(type(self), method) is not getattr(_Descriptor, method):
                raise TypeError(
                    f"{owner.__name__}.{name}: {type(self).__name__} defines __get__, __set__ or "
                    "__delete__, which a record does not call"
                )
        self.__set_name__(owner, name)

    def _check(self, value: Any, hidden: Callable[[], bool]) -> None:
        """`hidden` says if errors must not show the value."""
        if value is self:
            raise TypeError(f"{self._name!r} was given no value, and {self._kind()} has no default")
        self._check_bounds(value, *self._bounds, hidden)

    def _check_bounds(self, value: Any, low: Any, high: Any, hidden: Callable[[], bool]) -> None:
        raise NotImplementedError

    def _incomparable(
        self, shown: str, bound: Any, value: Any, hidden: Callable[[], bool], error: Exception
    ) -> None:
        text = f"{shown} must be comparable with {_shown(bound, repr)}, got {type(value).__name__}"
        if hidden():
            made = TypeError(text)
            try:
                raise made from None
            finally:
                made.__context__ = None
        raise TypeError(f"{text} {_shown(value, repr)}") from error

    def __getstate__(self) -> Any:
        known = {"_bounds", "_name", "_owner"}
        others = {key: value for key, value in vars(self).items() if key not in known}
        return self._bounds, self._name, others

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple):
            raise TypeError(f"{self._kind()}.__setstate__() wants the state of one")
        self._bounds, self._name, others = state
        vars(self).update(others)


class Bounded(_Descriptor):
    """An attribute within bounds of any ordered type."""

    _prefix = "_bounded_"

    @property
    def storage_name(self) -> str:
        return self._prefix + self._given("storage_name", self._name)

    def _check_bounds(self, value: Any, low: Any, high: Any, hidden: Callable[[], bool]) -> None:
        if low is None and high is None:
            return
        shown = repr(self.storage_name)
        bound = high if low is None else low
        try:
            itself = _is_itself(value)
            for bound, relation in ((low, ">="), (high, "<=")):
                if bound is None:
                    continue
                if not itself or (value < bound if relation == ">=" else value > bound):
                    break
            else:
                return
        except _INCOMPARABLE as error:
            self._incomparable(shown, bound, value, hidden, error)
        hides = hidden()
        text = f"{shown} must be {relation} {_shown(bound)}"
        if hides:
            raise broken(text, self._name)
        raise broken(f"{text}, got {_shown(value)}", self._name, value)


class Validated(_Descriptor):
    """A number within bounds."""

    _prefix = "_"

    def __init__(self, *, min_val: Any = float("-inf"), max_val: Any = float("inf")) -> None:
        super().__init__(min_val, max_val)

    def _both(self, low: Any, high: Any) -> bool:
        return True

    @property
    def public_name(self) -> str:
        return self._given("public_name", self._name)

    @property
    def private_name(self) -> str:
        return self._prefix + self._given("private_name", self._name)

    def _check_bounds(self, value: Any, low: Any, high: Any, hidden: Callable[[], bool]) -> None:
        if not isinstance(value, (int, float)):
            raise TypeError(f"{self._name} must be a number")
        bound = low
        try:
            inside = low <= value
            if inside:
                bound = high
                inside = value <= high
        except _INCOMPARABLE as error:
            self._incomparable(str(self._name), bound, value, hidden, error)
        if not inside:
            text = f"{self._name} must be between {_shown(low)} and {_shown(high)}"
            raise broken(text, self._name, None if hidden() else value)
