"""Twin of `cache`: a dict in order of use for a function, or one for each instance.

Not an OrderedDict: CPython's does not stand keys that change it while they are compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, NamedTuple, ParamSpec, TypeVar

from ._wrapper import Wrapper, decorate

P = ParamSpec("P")
R = TypeVar("R")
_KEYWORDS = object()
_NOTHING: Any = object()
_lock = threading.RLock()


def _forked() -> None:
    """Of a parent's threads none is here."""
    global _lock
    _lock = threading.RLock()
    _Flight.waiting.clear()


os.register_at_fork(after_in_child=_forked)


class CacheInfo(NamedTuple):
    """Counts of a cache; equal to a tuple of four."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int


class _Key:
    """The arguments of a call, hashed once."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts, self.hash = parts, hash(tuple(parts))

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.parts == other.parts


def _key(args: tuple[Any, ...], kwargs: dict[str, Any], typed: bool) -> Any:
    if len(args) == 1 and not kwargs and not typed and type(args[0]) in (int, str):
        return args[0]
    parts = [*args]
    if kwargs:
        parts.append(_KEYWORDS)
        for item in kwargs.items():
            parts += item
    if typed:
        parts += [type(value) for value in (*args, *kwargs.values())]
    return _Key(parts)


def _name(func: Any) -> str:
    name: str = getattr(func, "__qualname__", None) or repr(func)
    return name


# ---- who computes


class _Flight:
    """A computation that threads wait for."""

    #: Thread that waits -> thread it waits for.
    waiting: dict[int, int] = {}

    def __init__(self) -> None:
        self.thread, self.pid = threading.get_ident(), os.getpid()
        self.over = threading.Event()
        self.value = _NOTHING
        self.error: BaseException | None = None

    def end(self, value: Any, error: BaseException | None) -> None:
        self.value, self.error = value, error if isinstance(error, Exception) else None
        self.over.set()

    def is_mine(self) -> bool:
        """Whether this thread computes it, or will only go on when this one does."""
        me, thread = threading.get_ident(), self.thread
        while thread != me and thread in self.waiting:
            thread = self.waiting[thread]
        return thread == me

    def wait(self) -> None:
        """The thread is in `waiting` already."""
        try:
            self.over.wait()
        finally:
            self.waiting.pop(threading.get_ident(), None)


class _AsyncFlight:
    """A computation that tasks of one event loop wait for, in a task of its own."""

    within: ContextVar[_AsyncFlight | None] = ContextVar("within", default=None)

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Callable[[], Awaitable[Any]]) -> None:
        self.waiting, self.others, self.over = 0, list[_AsyncFlight](), False
        self.task = loop.create_task(self.run(work))

    async def run(self, work: Callable[[], Awaitable[Any]]) -> Any:
        self.within.set(self)
        return await work()

    def waits_for(self, goal: _AsyncFlight | None, seen: tuple[_AsyncFlight, ...] = ()) -> bool:
        return self is goal or (
            self not in seen and any(other.waits_for(goal, (*seen, self)) for other in self.others)
        )

    async def join(self) -> None:
        outer = self.within.get()
        self.waiting += 1
        if outer is not None:
            outer.others.append(self)
        try:
            await asyncio.wait((self.task,))
        except asyncio.CancelledError:
            if self.waiting == 1:
                self.over = True
                while not self.task.done():
                    self.task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.wait((self.task,))
            raise
        finally:
            self.waiting -= 1
            if self.waiting == 0 and not self.task.done():
                self.over = True
                if not self.task.get_loop().is_closed():
                    self.task.cancel()
            if outer is not None:
                outer.others.remove(self)
            if self.task.done() and not self.task.cancelled():
                self.task.exception()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    trio = sys.modules.get("trio")
    with contextlib.suppress(RuntimeError):
        if trio is None or not trio.lowlevel.in_trio_run():
            return asyncio.get_running_loop()
    return None


class _Table:
    """Results by key, the one used last at the end, and what is being computed."""

    def __init__(self) -> None:
        self.results: dict[Any, tuple[Any, float]] = {}
        self.flights: dict[Any, _Flight] = {}
        self.tasks: dict[Any, dict[asyncio.AbstractEventLoop, _AsyncFlight]] = {}
        self.epoch = 0

    def clear(self) -> None:
        self.results, self.flights, self.tasks = {}, {}, {}
        self.epoch += 1


# ---- the wrapper


class Cache(Wrapper[P, R]):
    """What cache makes of a function."""

    def __init__(self, func: Any, **options: Any) -> None:
        self._maxsize, self._typed, self._ttl, self._per_instance, self._single, clock = (
            options.values()
        )
        self._clock = clock or time.monotonic
        self._hits = self._misses = 0
        self._in_class = False
        self._is_async = inspect.iscoroutinefunction(func)
        self._table = _Table()
        self._instances: dict[int, tuple[weakref.ref[Any], _Table]] = {}

    def __set_name__(self, owner: type, name: str) -> None:
        self._in_class = True
        super().__set_name__(owner, name)

    def _instance_table(self, instance: Any) -> _Table:
        ref, table = self._instances.get(id(instance), (None, None))
        if ref is not None and table is not None and ref() is instance:
            return table

        def gone(ref: weakref.ref[Any], key: int = id(instance)) -> None:
            instances = self._instances  # cache_clear() makes another one
            if instances.get(key, (None,))[0] is ref:
                instances.pop(key, None)

        try:
            ref = weakref.ref(instance, gone)
        except TypeError:
            raise TypeError(
                f"cache: {_name(self)} is cached for each instance, and instances of "
                f"'{type(instance).__name__}' cannot be weakly referenced: add '__weakref__' to "
                "__slots__, or use cache(per_instance=False)"
            ) from None
        self._instances[id(instance)] = ref, (table := _Table())
        return table

    def _now(self) -> float:
        if self._ttl is None:
            return 0.0
        now = self._clock()
        try:
            return float(now)
        except TypeError:
            kind = type(now).__name__
            raise TypeError(f"cache: clock must give seconds, got {kind}") from None

    def _is_fresh(self, expires: float, now: float) -> bool:
        return self._ttl is None or 0 < expires - now <= 2 * self._ttl

    def _find(self, table: _Table, key: Any, now: float) -> Any:
        """The value, or _NOTHING."""
        results = table.results
        value, expires = results.get(key, (_NOTHING, 0.0))
        if value is not _NOTHING and not self._is_fresh(expires, now):
            results.pop(key, None)
            return _NOTHING
        if value is not _NOTHING and self._maxsize is not None:
            results.pop(key, None)
            results[key] = value, expires
        return value

    def _store(self, table: _Table, key: Any, value: Any, now: float) -> None:
        results = table.results
        for i in range(3):  # one for the limit, two that have expired
            oldest, (_, expires) = next(iter(results.items()), (_NOTHING, (_NOTHING, 0.0)))
            full = i == 0 and self._maxsize is not None and len(results) >= self._maxsize
            if oldest is not _NOTHING and (full or not self._is_fresh(expires, now)):
                results.pop(oldest, None)
        results[key] = value, now + (self._ttl or 0.0)
        if flight := table.flights.pop(key, None):
            flight.end(value, None)
        table.tasks.pop(key, None)

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        method = self._in_class and self._per_instance
        if self._maxsize == 0 or (method and not args):
            self._misses += 1
            return self.__wrapped__(*args, **kwargs)
        table = self._instance_table(args[0]) if method else self._table
        try:
            key = _key(args[method:], kwargs, self._typed)
        except TypeError as error:
            error.add_note(f"in a call of {_name(self)}, which is cached by its arguments")
            raise
        call: Any = lambda: self.__wrapped__(*args, **kwargs)  # noqa: E731
        result: Any = (self._begin if self._is_async else self._get)(table, key, call)
        return result  # type: ignore[no-any-return]

    def _get(self, table: _Table, key: Any, call: Callable[[], Any]) -> Any:
        while True:
            now = self._now()
            with _lock:
                value = self._find(table, key, now)
                if value is not _NOTHING:
                    self._hits += 1
                    return value
                flight = table.flights.get(key)
                mine = flight is not None and flight.is_mine()
                lead = self._single and (flight is None or (flight.pid != os.getpid() and not mine))
                if lead:
                    flight = table.flights[key] = _Flight()
                elif flight is not None and not mine:
                    flight.waiting[threading.get_ident()] = flight.thread
            if lead and flight is not None:
                return self._lead(table, key, call, flight)
            if flight is None or mine:
                return self._alone(table, key, call)
            flight.wait()
            if flight.value is not _NOTHING:
                self._hits += 1
                return flight.value
            if flight.error is not None:
                self._misses += 1
                raise flight.error

    def _lead(self, table: _Table, key: Any, call: Callable[[], Any], flight: _Flight) -> Any:
        self._misses += 1
        value, raised = _NOTHING, None
        try:
            value = call()
            now = self._now()
        except BaseException as error:
            value, raised = _NOTHING, error
            raise
        finally:
            with _lock:
                if table.flights.get(key) is flight:
                    del table.flights[key]
                    if raised is None:
                        self._store(table, key, value, now)
            flight.end(value, raised)
            raised = None  # else frame and traceback hold each other
        return value

    def _alone(self, table: _Table, key: Any, call: Callable[[], Any]) -> Any:
        self._misses += 1
        epoch, value = table.epoch, call()
        now = self._now()
        with _lock:
            if table.epoch == epoch and key not in table.results:
                self._store(table, key, value, now)
        return value

    # ---- coroutine functions

    def _begin(self, table: _Table, key: Any, call: Callable[[], Awaitable[Any]]) -> Any:
        value = self._find(table, key, self._now())
        if value is not _NOTHING:
            self._hits += 1
            return _ready(value)
        waiting: Any = self._fly(table, key, call, table.epoch)
        waiting.__qualname__ = _name(self)
        return waiting

    async def _fly(
        self, table: _Table, key: Any, call: Callable[[], Awaitable[Any]], epoch: int
    ) -> Any:
        async def work() -> Any:
            self._misses += 1
            value, now = await call(), self._now()
            if table.epoch == epoch and key not in table.results:
                self._store(table, key, value, now)
            return value

        loop, task = _running_loop(), None
        while True:
            value = self._find(table, key, self._now())
            if value is not _NOTHING:
                self._hits += 1
                return value
            if loop is None or not self._single:
                return await work()
            flights = table.tasks.setdefault(key, {})
            flight = flights.get(loop)
            outer = flight and flight.within.get()
            if flight is None or flight.over or flight.task.done():
                flight = flights[loop] = _AsyncFlight(loop, work)
                task = flight.task
            elif outer is not None and flight.waits_for(outer):
                return await work()
            await flight.join()
            if flights.get(loop) is flight:
                del flights[loop]
            if flight.task is task:
                break
            if not flight.task.cancelled():
                error = flight.task.exception()
                if error is None or isinstance(error, Exception):
                    self._hits += error is None
                    self._misses += error is not None
                    break
        return flight.task.result()

    # ---- for the caller

    def cache_info(self) -> CacheInfo:
        """Counts; of a method, the sum over its instances."""
        tables = [self._table, *(table for _, table in [*self._instances.values()])]
        held = sum(len(table.results) for table in tables)
        return CacheInfo(self._hits, self._misses, self._maxsize, held)

    def cache_clear(self) -> None:
        """Forget all results and begin to count anew."""
        with _lock:
            self._hits = self._misses = 0
            instances, self._instances = self._instances, {}
            for _, table in instances.values():
                table.clear()
            self._table.clear()

    def cache_parameters(self) -> dict[str, Any]:
        """A new dict of maxsize and typed; and ttl, if there is one."""
        found = {"maxsize": self._maxsize, "typed": self._typed, "ttl": self._ttl}
        if self._ttl is None:
            del found["ttl"]
        return found


async def _ready(value: Any) -> Any:
    return value


# ---- the decorator


def cache(
    maxsize: Any = 128,
    typed: Any = False,
    *,
    ttl: Any = None,
    per_instance: Any = True,
    single_flight: Any = True,
    clock: Any = None,
) -> Any:
    """Remember the results of a function by its arguments."""
    func = None
    if callable(maxsize) or isinstance(maxsize, classmethod):
        func, maxsize = maxsize, None
    if maxsize is not None:
        if not isinstance(maxsize, int):
            raise TypeError("Expected first argument to be an integer, a callable, or None")
        if not -sys.maxsize - 1 <= maxsize <= sys.maxsize:
            raise OverflowError("Python int too large to convert to C ssize_t")
        maxsize = max(int(maxsize), 0)
    if ttl is not None:
        try:
            seconds = float("" if isinstance(ttl, (str, bytes)) else ttl)
        except (TypeError, ValueError):
            kind = type(ttl).__name__
            raise TypeError(f"cache: ttl must be a number of seconds or None, got {kind}") from None
        if not seconds > 0:
            raise ValueError(f"cache: ttl must be above 0, got {ttl!r}")
        ttl = seconds
    if clock is not None and not callable(clock):
        raise TypeError(f"cache: clock must be callable or None, got {type(clock).__name__}")
    options = {
        "maxsize": maxsize,
        "typed": bool(typed),
        "ttl": ttl,
        "per_instance": bool(per_instance),
        "single_flight": bool(single_flight),
        "clock": clock,
    }

    def make(func: Any) -> Any:
        for kind, is_kind in (
            ("generator", inspect.isgeneratorfunction),
            ("async generator", inspect.isasyncgenfunction),
        ):
            if is_kind(func):
                raise TypeError(
                    "cache: wanted a function or a coroutine function, got the "
                    f"{kind} function {_name(func)}: what it makes can be iterated once only"
                )
        return Cache(func, **options)

    def decorator(func: Any, /) -> Any:
        return decorate("cache", make, func)

    return decorator if func is None else decorator(func)
