"""Twin of `finalize` and `Finalizable`: one list of what is to be run, youngest last."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

_T = TypeVar("_T")
MAX_LOOKED_AT = 1000
MAX_DEPTH = 8
MAX_EXIT_DEPTH = 1000


class _Exit:
    told = 0  # the process that told atexit
    thread = 0  # where exit runs
    depth = 0
    over = False


class _Once:
    """A clean-up that is to be run, in `_live`; or, not at exit, in `_parked`."""

    def __init__(self, run: Callable[[], object]) -> None:
        if _Exit.told != os.getpid():
            atexit.register(_run_at_exit)
            _Exit.told = os.getpid()
            _Exit.thread *= _Exit.thread == threading.get_ident()
        self.pid, self.depth = os.getpid(), _Exit.depth
        self.alive, self.atexit, self.inherit = not _Exit.over, True, False
        self.run: Callable[[], object] = run if self.alive else bool
        if self.alive:
            here = _Exit.thread in (0, threading.get_ident())
            (_live if here else _parked)[self] = None

    def end(self) -> bool:
        """Take it out; whether it was still to be run."""
        was, self.alive, self.run = self.alive, False, bool
        _live.pop(self, None)
        _parked.pop(self, None)
        return was and not _Exit.over

    @property
    def is_ours(self) -> bool:
        return self.inherit or self.pid == os.getpid()


_live: dict[_Once, None] = {}
_parked: dict[_Once, None] = {}


def _run_at_exit() -> None:
    _Exit.thread = threading.get_ident()
    while _live:
        once, _ = _live.popitem()
        if not (once.atexit and once.is_ours):
            _parked[once] = None
            continue
        _Exit.depth = once.depth + 1
        try:
            if once.depth >= MAX_EXIT_DEPTH:
                once.end()
                raise RuntimeError(f"clean-ups at exit made clean-ups {MAX_EXIT_DEPTH} times over")
            once.run()
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
        once.end()
    _Exit.over = True
    for once in [*_parked]:
        once.end()


class _Flags:
    """The attributes of both kinds."""

    __slots__ = ()
    _once: _Once | None

    @property
    def alive(self) -> bool:
        return self._once is not None and self._once.alive

    @property
    def atexit(self) -> bool:
        return self._once is not None and self.alive and self._once.atexit

    @atexit.setter
    def atexit(self, value: object) -> None:
        if self._once is not None:
            self._once.atexit = bool(value)

    @property
    def inherit(self) -> bool:
        return self._once is not None and self.alive and self._once.inherit

    @inherit.setter
    def inherit(self, value: object) -> None:
        if self._once is not None:
            self._once.inherit = bool(value)


def _parts(obj: object, value: Any) -> Iterable[object]:
    """What `value` holds for good."""
    if isinstance(value, types.FunctionType):
        yield from value.__defaults__ or ()
        yield from (value.__kwdefaults__ or {}).values()
        for cell in () if isinstance(obj, type) else value.__closure__ or ():
            with contextlib.suppress(ValueError):  # empty
                held = cell.cell_contents
                if held is obj or isinstance(held, types.MethodType):
                    yield held
    elif isinstance(value, (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)):
        yield value.__self__ if value.__self__ is obj else None
    elif isinstance(value, functools.partial):
        yield from (value.func, value.args, value.keywords)
    elif type(value) in (tuple, list, set, frozenset):
        yield from value
    elif type(value) is dict:
        for pair in value.items():
            yield from pair


def _reaches(obj: object, value: object) -> bool:
    todo = [(value, 0)]
    for value, depth in todo:  # which grows
        if value is obj:
            return True
        if depth < MAX_DEPTH and len(todo) < MAX_LOOKED_AT:
            todo += [(part, depth + 1) for part in _parts(obj, value)]
    return False


def _died(ref: Any) -> None:
    try:
        if ref.alive and ref._once.is_ours:
            ref()
    finally:
        ref._forget()


class finalize(_Flags, weakref.ref[_T]):
    """Call func(*args, **kwargs) once: when obj dies, when called, or at exit."""

    __slots__ = ("_once", "_call")

    def __new__(cls, /, *args: Any, **kwargs: Any) -> finalize[_T]:
        if not args:
            raise TypeError("finalize() missing required positional argument 'obj' (pos 1)")
        self = super().__new__(cls, args[0], _died)
        self._once = self._call = None
        return self

    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        if len(args) < 2:
            raise TypeError("finalize() missing required positional argument 'func' (pos 2)")
        obj, func, *rest = args
        if obj is not weakref.ref.__call__(self):
            raise TypeError("finalize.__init__(): obj must be the object that __new__ was given")
        if self.alive:
            raise TypeError("finalize.__init__(): the finalizer is alive already")
        if not callable(func):
            raise TypeError(f"finalize(): func must be callable, got {type(func).__name__}")
        places = {f"args[{i}]": value for i, value in enumerate(rest)}
        places |= {f"kwargs[{name!r}]": value for name, value in kwargs.items()}
        for place, value in {"func": func, **places}.items():
            if _reaches(obj, value):
                own = getattr(value, "__self__", None) is obj and place == "func"
                how = "is a bound method of" if own else "reaches"
                raise TypeError(f"finalize(): {place} {how} the object it would wait for")
        self._call: Any = func, tuple(rest), kwargs
        self._once = _Once(self)

    def _forget(self) -> Any:
        """The call if it is still to be run, taken out."""
        call, self._call = self._call, None
        return call if self._once is not None and self._once.end() else None

    def __call__(self, _: Any = None, /) -> Any:
        if call := self._forget():
            func, args, kwargs = call
            return func(*args, **kwargs)
        return None

    def peek(self) -> Any:
        obj = weakref.ref.__call__(self)
        return (obj, *self._call) if self.alive and obj is not None else None

    def detach(self) -> Any:
        found = self.peek()
        if found:
            self._forget()
        return found

    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        obj = weakref.ref.__call__(self) if self.alive else None
        what = "dead" if obj is None else f"for {type(obj).__name__!r} at {id(obj):#x}"
        return f"<{type(self).__name__} object at {id(self):#x}; {what}>"


class Finalizable(_Flags):
    """A base whose `__finalize__` runs once: by finalize(), at death, or at exit."""

    _once: _Once

    def __init_subclass__(cls, **options: Any) -> None:
        if any("__del__" in vars(base) for base in cls.__mro__ if base is not Finalizable):
            raise TypeError(f"{cls.__name__} has a __del__; what it does belongs into __finalize__")
        super().__init_subclass__(**options)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError(f"{cls.__name__}() takes no arguments")
        self = super().__new__(cls)
        ref = weakref.ref(self)
        self._once = _Once(lambda: getattr(ref(), "finalize", bool)())
        return self

    def __finalize__(self) -> object:
        return None

    def finalize(self) -> Any:
        return self.__finalize__() if self._once.end() else None

    def __del__(self) -> None:
        if self._once.is_ours:
            self.finalize()
        self._once.end()
