"""Twin of `checked`."""

from __future__ import annotations

import collections.abc
import contextlib
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from ._error import ConstraintError
from ._validate import Key, Plan, Refused, plan_of

EMPTY = inspect.Parameter.empty
BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
STARS: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


def innermost(func: Any) -> Any:
    """The function that `func` leads to."""
    while not isinstance(func, (types.FunctionType, types.BuiltinFunctionType)):
        ways = [getattr(func, name, None) for name in ("__wrapped__", "func", "__func__")]
        ways.append(getattr(type(func), "__call__", None))  # noqa: B004
        func = next(way for way in ways if way is not None)
    return func


def says_nothing(hint: Any, of_many: bool) -> bool:
    """Is it about no single value?"""
    return hint is typing.Self or (
        of_many
        and (
            isinstance(hint, (typing.ParamSpecArgs, typing.ParamSpecKwargs))
            or getattr(hint, "__unpacked__", False)
            or typing.get_origin(hint) is typing.Unpack
        )
    )


def run(plan: Plan, value: Any, *path: Any) -> Any:
    """The value, as the plan takes it; path leads to it."""
    try:
        return plan(value, path, False)
    except Refused as refused:
        if not refused.broken:
            raise TypeError(str(refused)) from None
        error = ConstraintError(str(refused))
        error.name, error.value = refused.place, refused.value
        raise error from None


class Awaited(collections.abc.Coroutine[Any, Any, Any]):
    """A coroutine whose result is checked; closed before it starts, it closes what is inside."""

    def __init__(self, of: Checked, awaitable: Any) -> None:
        self._inside = awaitable
        self._outside = self._run(of, awaitable)

    async def _run(self, of: Checked, awaitable: Any) -> Any:
        return of._check("", await awaitable)

    def __await__(self) -> Any:
        return self._outside.__await__()

    def send(self, value: Any) -> Any:
        return self._outside.send(value)

    def throw(self, *error: Any) -> Any:
        return self._outside.throw(*error)

    def close(self) -> None:
        self._outside.close()
        if hasattr(self._inside, "close"):
            self._inside.close()


class Checked:
    """What checked makes of a function."""

    __wrapped__: Any
    __qualname__: str

    def __init__(self, func: Any, result: bool, frame: types.FrameType) -> None:
        functools.update_wrapper(self, func)
        try:
            signature = inspect.signature(func)
        except ValueError:
            raise TypeError(f"checked: {func!r} has no signature") from None
        name = getattr(func, "__qualname__", None)
        name = name if isinstance(name, str) else repr(func)
        inner = innermost(func)
        self._called = f"{name}()"
        self._owner = getattr(inner, "__qualname__", "").rpartition(".")[0]
        self._owner = self._owner.removesuffix(".<locals>")
        self._globals = getattr(inner, "__globals__", {})
        self._type_params = getattr(inner, "__type_params__", ())
        self._parameters = parameters = signature.parameters
        self._is_async = inspect.iscoroutinefunction(func)
        # the result is the parameter ""
        self._plans: dict[str, Plan] = {}
        self._waiting = {name: parameter.annotation for name, parameter in parameters.items()}
        if (
            result
            and not inspect.isgeneratorfunction(func)
            and not inspect.isasyncgenfunction(func)
        ):
            self._waiting[""] = signature.return_annotation
        own = frame.f_globals is self._globals
        own = own and frame.f_code.co_qualname == (self._owner or "<module>")
        self._resolve(lambda: frame.f_locals if own else {}, (NameError, AttributeError))

    def _where(self, name: str) -> str:
        if not name:
            return f"{self._called} result"
        return f"{self._called} argument '{STARS.get(self._parameters[name].kind, '')}{name}'"

    def _look_up(self, annotation: Any, names: Callable[[], Any]) -> Any:
        """A str in the function's scope; in anything else there are rarely names."""
        given = types.SimpleNamespace(__annotations__={"it": annotation})
        if not isinstance(annotation, str):
            with contextlib.suppress(NameError):
                return typing.get_type_hints(given, self._globals, {}, include_extras=True)["it"]
        known = {**names(), **{param.__name__: param for param in self._type_params}}
        return typing.get_type_hints(given, self._globals, known, include_extras=True)["it"]

    def _resolve(self, names: Callable[[], Any], later: tuple[type[Exception], ...] = ()) -> None:
        for name, annotation in list(self._waiting.items()):
            default = self._parameters[name].default if name else EMPTY
            try:
                if annotation is not EMPTY:
                    annotation = self._look_up(annotation, names)
            except later:
                continue
            except Exception as error:
                where = self._where(name)
                raise TypeError(f"{where}: cannot resolve {annotation!r}: {error}") from error
            of_many = name != "" and self._parameters[name].kind in STARS
            if annotation is not EMPTY and not says_nothing(annotation, of_many):
                self._plans[name] = self._compile(name, annotation, default)
            self._waiting.pop(name, None)

    def _compile(self, name: str, hint: Any, default: Any) -> Plan:
        where = self._where(name)
        try:
            plan = plan_of(hint)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{where}: {error}") from None
        if default is not EMPTY and run(plan, default, f"default of {where}") is not default:
            raise ValueError(f"{where}: the default is not what its annotation makes of it")
        return plan

    def _own_class(self, args: tuple[Any, ...]) -> dict[str, Any]:
        """The class the function was defined in, if the first argument is of it."""
        of = args[0] if args and isinstance(args[0], type) else type(args[0] if args else None)
        names: dict[str, Any] = {}
        for cls in of.__mro__:
            if cls.__qualname__ == self._owner:
                params = getattr(cls, "__type_params__", ())
                names |= {**{param.__name__: param for param in params}, cls.__name__: cls}
        return names

    def _check(self, name: str, value: Any, *path: Any) -> Any:
        if name not in self._plans:
            return value
        return run(self._plans[name], value, self._where(name), *path)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if self._waiting:
            self._resolve(lambda: self._own_class(args))
        named = [p.name for p in self._parameters.values() if p.kind in BY_POSITION]
        rest, others = (
            next((p.name for p in self._parameters.values() if p.kind == kind), "-")
            for kind in STARS
        )
        given = [self._check(*pair) for pair in zip(named, args, strict=False)]
        given += [self._check(rest, value, i) for i, value in enumerate(args[len(named) :])]
        for name, value in kwargs.items():
            if name in self._parameters and self._parameters[name].kind in BY_NAME:
                kwargs[name] = self._check(name, value)
            else:
                kwargs[name] = self._check(others, value, Key(name))
        result = self.__wrapped__(*given, **kwargs)
        if self._is_async:
            return Awaited(self, result) if "" in self._plans else result
        return self._check("", result)

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":
            raise AttributeError(name)
        return getattr(self.__wrapped__, name)

    def __get__(self, obj: object, owner: type | None = None) -> Any:
        return self if obj is None else types.MethodType(self, obj)

    def __repr__(self) -> str:
        return f"<Checked of {self.__wrapped__!r}>"

    def __reduce__(self) -> Any:
        return self.__qualname__

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: object) -> Any:
        return self


def decorate(func: Any, result: bool, frame: types.FrameType) -> Any:
    """What a static or class method holds is checked, and stays what it was."""
    if type(func) in (staticmethod, classmethod):
        return type(func)(decorate(func.__func__, result, frame))
    if isinstance(func, type):
        hint = "(decorate its __init__)"
        raise TypeError(f"checked: wanted a function, got class {func.__name__} {hint}")
    if not callable(func):
        hint = " (decorate the function inside it)" if isinstance(func, property) else ""
        raise TypeError(f"checked: wanted a callable, got {type(func).__name__}{hint}")
    return Checked(func, result, frame)


def checked(func: Any = None, /, *, result: Any = True) -> Any:
    """func, with arguments and result checked by their annotations."""
    if func is None:
        return functools.partial(checked, result=bool(result))
    return decorate(func, bool(result), sys._getframe(1))
