"""Twin of `rate_limit`: GCRA under a lock, and a locked file in the place of a shared page."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import fcntl
import inspect
import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from numbers import Number
from pathlib import Path
from typing import Any

from ._wrapper import Wrapper, decorate

FAR = 1 << 60  # nanoseconds: 36 years
MAX_SLOTS = 1 << 20
_lock = threading.RLock()  # of all limits: the child of a fork gets a new one


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)


class RateLimited(Exception):
    """Raised instead of a call that would come too soon."""

    retry_after = 0.0
    key: object = None


class _Full(Exception):
    """All keys are busy for so many nanoseconds."""


class _Limit:
    """The theoretical arrival time, and permits that were handed back, by their bases."""

    def __init__(self) -> None:
        self.word = -2 * FAR
        self.spare: list[int] = []


class _Local:
    """Limits of this process, by key. Permits are a limit and a base."""

    def __init__(
        self, interval: int, tolerance: int, max_keys: int, clock: Callable[[], float] | None
    ) -> None:
        self.interval, self.tolerance, self.max_keys = interval, tolerance, max_keys
        self.clock = clock
        self.limits: dict[object, _Limit] = {}
        self.raw: int | None = None
        self.time = 0

    def now(self) -> int:
        """Nanoseconds. A clock that steps back stands still, and goes on from there."""
        if self.clock is None:
            return time.monotonic_ns()
        value = self.clock()
        message = f"rate_limit: clock gave {value!r}, wanted seconds as a finite float"
        if not isinstance(value, (int, float)):
            raise TypeError(message)
        if not abs(value) < FAR / 1e9:
            raise ValueError(message)
        raw = math.floor(value * 1e9)
        self.time = raw if self.raw is None else self.time + max(0, raw - self.raw)
        self.raw = raw
        return self.time

    def find(self, key: object) -> _Limit:
        limit = self.limits.get(key)
        if limit is None:
            if len(self.limits) >= self.max_keys:
                now = self.now()
                busy = {k: limit for k, limit in self.limits.items() if limit.word > now}
                if len(busy) >= self.max_keys:
                    raise _Full(min(limit.word for limit in busy.values()) - now)
                self.limits = busy
            limit = self.limits.setdefault(key, _Limit())
        return limit

    def take(self, key: object, wait: bool) -> tuple[Any, int]:
        """A permit and how long it is until its time; without wait it is taken only at once."""
        with _lock:
            limit = self.find(key)
            now = self.now()
            base = max(limit.word, now)
            ahead = max(0, base - self.tolerance - now)
            while wait and ahead and limit.spare:
                spare = limit.spare.pop(0)
                if spare >= now:
                    return (limit, spare), max(0, spare - self.tolerance - now)
            if ahead <= (FAR if wait else 0):
                limit.word = base + self.interval
            return (limit, base), ahead

    def ahead(self, permit: Any) -> int:
        with _lock:
            base: int = permit[1]
            return max(0, base - self.tolerance - self.now())

    def give_back(self, key: object, permit: Any) -> None:
        limit, base = permit
        with _lock:
            bisect.insort(limit.spare, base)
            while limit.spare and limit.spare[-1] + self.interval == limit.word:
                limit.word = limit.spare.pop()

    def peek(self, key: object) -> int:
        with _lock:
            limit = self.find(key)
            now = self.now()
            return max(0, max(limit.word, now) - self.tolerance - now)

    def reset(self) -> None:
        with _lock:
            self.limits = {}


class _Foreign:
    """Limits of a store; its permits are times of time.monotonic(), refusals negative."""

    def __init__(self, limiter: Any) -> None:
        self.limiter = limiter

    def take(self, key: object, wait: bool) -> tuple[Any, int]:
        at = self.limiter.take(key, wait)
        return at, self.ahead(at) if at >= 0 else max(1, self.ahead(-at))

    def ahead(self, permit: float) -> int:
        return math.ceil(max(0.0, permit - time.monotonic()) * 1e9)

    def give_back(self, key: object, permit: Any) -> None:
        self.limiter.give_back(key, permit)

    def peek(self, key: object) -> int:
        return self.ahead(self.limiter.peek(key))

    def reset(self) -> None:
        self.limiter.reset()


def _sleep(seconds: float) -> Any:
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return trio.sleep(seconds)
    return asyncio.sleep(seconds)


class RateLimit(Wrapper[..., Any]):
    """A function that is called at most so often: see `rate_limit`."""

    def __new__(cls, func: Any, *_: object) -> Any:
        return super().__new__(cls, func)

    def __init__(
        self, func: Any, rate: float, burst: int, mode: str, key: Any, limits: Any
    ) -> None:
        self.calls_per_sec, self.burst, self.mode = rate, burst, mode
        self.allowed = self.waited = self.rejected = self.cancelled = 0
        self._key, self._limits = key, limits
        self._asynchronous = _is_async(func)

    def _count(self, **counts: int) -> None:
        with _lock:
            for name, by in counts.items():
                setattr(self, name, getattr(self, name) + by)

    def _refuse(self, key: object, seconds: float, why: str = "") -> RateLimited:
        self._count(rejected=1)
        name = getattr(self.__wrapped__, "__qualname__", None) or repr(self.__wrapped__)
        error = RateLimited(
            f"{name}: limited to {self.calls_per_sec:g} calls per second "
            f"(burst {self.burst}){why}; retry after {seconds:g} s"
        )
        error.retry_after, error.key = seconds, key
        return error

    def _take(self, key: object, wait: bool) -> tuple[Any, int]:
        """A permit, or RateLimited."""
        try:
            permit, ahead = self._limits.take(key, wait)
        except _Full as full:
            raise self._refuse(key, full.args[0] / 1e9, ", all keys are in use") from None
        if ahead > (FAR if wait else 0):
            raise self._refuse(key, ahead / 1e9)
        return permit, ahead

    def _key_of(self, args: Any, kwargs: Any) -> object:
        key = None if self._key is None else self._key(*args, **kwargs)
        hash(key)
        return key

    def _give_back(self, key: object, permit: Any) -> None:
        self._count(cancelled=1)
        self._limits.give_back(key, permit)

    def _pass(self, key: object) -> None:
        permit, ahead = self._take(key, self.mode == "wait")
        waited = int(ahead > 0)
        try:
            while ahead:
                time.sleep(ahead / 1e9)
                ahead = self._limits.ahead(permit)
        except BaseException:
            self._give_back(key, permit)
            raise
        self._count(allowed=1, waited=waited)

    async def _later(self, key: object, args: Any, kwargs: Any) -> Any:
        limits = self._limits
        if isinstance(limits, _Foreign):
            permit = limits.limiter.take_local(key, self.mode == "wait")
            if permit is None:
                permit = await limits.limiter.take_async(key, self.mode == "wait")
            if permit < 0:
                raise self._refuse(key, limits.ahead(-permit) / 1e9)
            ahead = limits.ahead(permit)
        else:
            permit, ahead = self._take(key, self.mode == "wait")
        waited = int(ahead > 0)
        try:
            while ahead:
                await _sleep(ahead / 1e9)
                ahead = limits.ahead(permit)
        except BaseException:
            self._give_back(key, permit)
            raise
        self._count(allowed=1, waited=waited)
        return await self.__wrapped__(*args, **kwargs)

    def _goes_at_once(self, key: object) -> bool:
        if isinstance(self._limits, _Foreign):
            at = self._limits.limiter.take_local(key, False)
            return at is not None and at >= 0
        try:
            return not self._limits.take(key, False)[1]
        except _Full:
            return False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        key = self._key_of(args, kwargs)
        foreign = isinstance(self._limits, _Foreign)
        if self._asynchronous and (foreign or self.mode == "wait"):
            if not self._goes_at_once(key):
                return self._later(key, args, kwargs)
            self._count(allowed=1)
        else:
            self._pass(key)
        return self.__wrapped__(*args, **kwargs)

    def retry_after(self, *args: Any, **kwargs: Any) -> float:
        """Seconds until a call with these arguments would go through; 0.0: now."""
        try:
            seconds: float = self._limits.peek(self._key_of(args, kwargs)) / 1e9
        except _Full as full:
            seconds = full.args[0] / 1e9
        return seconds

    def try_acquire(self, *args: Any, **kwargs: Any) -> bool:
        """Take the permit of a call with these arguments; False if it would have to wait."""
        try:
            taken = not self._limits.take(self._key_of(args, kwargs), False)[1]
        except _Full:
            taken = False
        self._count(**{"allowed" if taken else "rejected": 1})
        return taken

    def reset(self) -> None:
        """Forget all calls there were, and count from 0 again."""
        self._limits.reset()
        self.allowed = self.waited = self.rejected = self.cancelled = 0


def _is_async(func: Any) -> bool:
    return inspect.iscoroutinefunction(func) or (
        not isinstance(func, type) and inspect.iscoroutinefunction(type(func).__call__)
    )


def _rate(value: Any) -> float:
    # Decimal is a Number too; what has only __float__ or __index__ is one in C
    numeric = isinstance(value, Number) or hasattr(value, "__float__")
    if isinstance(value, (bool, complex)) or not numeric:
        hint = " (write @rate_limit(10), with the rate)" if callable(value) else ""
        raise TypeError(
            f"rate_limit: calls_per_sec: wanted a number, got {type(value).__name__}{hint}"
        )
    try:
        rate = float(value)
    except OverflowError:
        rate = math.inf
    if not 0 < rate <= 1e9:
        raise ValueError(
            f"rate_limit: calls_per_sec: wanted more than 0 and at most 1e9, got {value!r}"
        )
    return rate


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"rate_limit: {name}: wanted an int, got {type(value).__name__}")
    if not 0 < value < 1 << 57:
        most = " and at most 2**57 - 1" if value > 0 else ""
        raise ValueError(f"rate_limit: {name}: wanted at least 1{most}, got {value!r}")
    return value


def _rule(rate: float, burst: int) -> tuple[int, int]:
    interval = math.ceil(Fraction(10**9) / Fraction(rate))
    if interval * burst > FAR:
        raise ValueError(
            "rate_limit: burst / calls_per_sec: wanted at most 36 years, "
            f"got {burst} / {rate} seconds"
        )
    return interval, interval * (burst - 1)


def rate_limit(
    calls_per_sec: float,
    *,
    burst: int = 1,
    key: Callable[..., object] | None = None,
    mode: str = "wait",
    store: Any = None,
    name: str | None = None,
    max_keys: int = 65536,
    clock: Callable[[], float] | None = None,
) -> Callable[[Any], Any]:
    """A decorator: the function is called at most so often."""
    rate = _rate(calls_per_sec)
    _count("burst", burst)
    if not isinstance(mode, str) or mode not in ("wait", "raise"):
        error = ValueError if isinstance(mode, str) else TypeError
        got = repr(mode) if isinstance(mode, str) else type(mode).__name__
        raise error(f"rate_limit: mode: wanted 'wait' or 'raise', got {got}")
    _count("max_keys", max_keys)
    interval, tolerance = _rule(rate, burst)
    for what, value in (("key", key), ("clock", clock)):
        if value is not None and not callable(value):
            got = type(value).__name__
            raise TypeError(f"rate_limit: {what}: wanted a callable or None, got {got}")
    if name is not None and not isinstance(name, str):
        raise TypeError(f"rate_limit: name: wanted a str or None, got {type(name).__name__}")
    if store is not None and clock is not None:
        raise ValueError("rate_limit: clock: a store has a clock of its own")
    if store is not None and (isinstance(store, type) or not hasattr(store, "limiter")):
        got = type(store).__name__
        raise TypeError(f"rate_limit: store: wanted a SharedStore, a RedisStore or None, got {got}")

    def make(func: Any) -> Any:
        if mode == "wait" and inspect.isasyncgenfunction(func):
            raise TypeError(
                "rate_limit: the call of an async generator function cannot wait without "
                "blocking the event loop; use mode='raise'"
            )
        limits: Any
        if store is None:
            limits = _Local(interval, tolerance, max_keys, clock)
        else:
            own = getattr(func, "__qualname__", None) or repr(func)
            called = name or f"{getattr(func, '__module__', None)}.{own}"
            limits = _Foreign(store.limiter(called, rate, burst, max_keys, _is_async(func)))
        return RateLimit(func, rate, burst, mode, key, limits)

    return lambda func: decorate("rate_limit", make, func)


# ---- SharedStore


def _plain(key: Any, depth: int = 0) -> Any:
    """The key, or one equal to it, as every process writes it."""
    if type(key) is tuple and depth < 16:
        return tuple(_plain(item, depth + 1) for item in key)
    if type(key) is bool or (type(key) is float and key.is_integer()):
        return int(key)
    if type(key) in (str, bytes, int, float, type(None)):
        return key
    raise TypeError(
        "SharedStore: key: wanted str, bytes, int, float, bool, None or a tuple of them, "
        f"got {type(key).__name__}"
    )


class SharedStore:
    """Rate limits that the processes of one machine share, in a file under a lock."""

    def __init__(self, path: Any = None, *, slots: int | None = None) -> None:
        if slots is not None and (not isinstance(slots, int) or isinstance(slots, bool)):
            got = type(slots).__name__
            raise TypeError(f"SharedStore: slots: wanted an int or None, got {got}")
        if slots is not None and not 0 < slots <= MAX_SLOTS:
            raise ValueError(f"SharedStore: slots: wanted 1 to {MAX_SLOTS}, got {slots}")
        if path is None:
            self.path = None
            self._file = os.memfd_create("ferrule")
        else:
            given = os.fspath(path)
            named = isinstance(path, str) and path and "/" not in path
            self.path = f"/dev/shm/ferrule-{os.geteuid()}-{path}" if named else given
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self.path, flags, 0o600)
        try:
            self._open(slots)
        except BaseException:
            os.close(self._file)
            raise

    def _open(self, slots: int | None) -> None:
        with self._contents() as contents:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            if not contents:
                contents |= {"boot": boot, "slots": slots or 1024, "names": {}}
            elif contents.get("boot") != boot:
                contents |= {"boot": boot, "names": {}}
            self.slots: int = contents["slots"]
            if slots is not None and slots != self.slots:
                raise ValueError(f"SharedStore: {self.path!r} has another number of slots")

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self._file)

    def __repr__(self) -> str:
        return f"SharedStore({self.path!r}, slots={self.slots})"

    def __reduce__(self) -> Any:
        if self.path is None:
            raise TypeError(
                "SharedStore: a store without a path is shared by forking only, it cannot be "
                "pickled"
            )
        return SharedStore, (self.path,)

    @contextlib.contextmanager
    def _contents(self) -> Iterator[dict[str, Any]]:
        """What is in the file, to be changed. Record locks are a process's, so a lock too."""
        with _lock:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                size = os.fstat(self._file).st_size
                try:
                    contents = json.loads(os.pread(self._file, size, 0) or b"{}")
                    contents.get("names")
                except (ValueError, AttributeError):
                    raise ValueError(f"SharedStore: {self.path!r} is no store") from None
                yield contents
                text = json.dumps(contents).encode()
                os.pwrite(self._file, text + b" " * max(0, size - len(text)), 0)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)

    @property
    def used(self) -> int:
        """How many names there are."""
        with self._contents() as contents:
            return len(contents["names"])

    def limiter(
        self, name: str, calls_per_sec: float, burst: int, max_keys: int, asynchronous: bool
    ) -> _Shared:
        """The limit of that name."""
        return _Shared(self, name, *_rule(calls_per_sec, burst))


class _Shared:
    """A limit in a SharedStore; permits are times of time.monotonic()."""

    def __init__(self, store: SharedStore, name: str, interval: int, tolerance: int) -> None:
        self.store, self.name, self.interval, self.tolerance = store, name, interval, tolerance
        self.take_names: set[str] = set()
        self._name(None)

    @contextlib.contextmanager
    def _entry(self, key: object) -> Iterator[list[int]]:
        name = self._name(key)
        with self.store._contents() as contents:
            names, rule = contents["names"], [self.interval, self.tolerance]
            if name not in names and len(names) >= self.store.slots:
                raise RuntimeError(
                    f"SharedStore: all {self.store.slots} names are in use; one more: {name!r}"
                )
            entry = names.setdefault(name, [*rule, 0])
            if entry[:2] != rule:
                raise ValueError(f"SharedStore: {name!r} has another rate or burst in this store")
            self.take_names.add(name)
            yield entry

    def _name(self, key: object) -> str:
        return self.name if key is None else f"{self.name}\n{_plain(key)!a}"

    def take(self, key: object, wait: bool) -> float:
        """A permit."""
        with self._entry(key) as entry:
            now = time.monotonic_ns()
            base = max(entry[2], now)
            at = (base - self.tolerance) / 1e9
            if not wait and base - self.tolerance > now:
                return -at
            entry[2] = base + self.interval
            return max(at, 0.0)

    take_local = take

    def give_back(self, key: object, at: float) -> None:
        """To the word, while it is the last."""
        with self._entry(key) as entry:
            if abs(entry[2] - self.interval - self.tolerance - at * 1e9) < 2:
                entry[2] -= self.interval

    def peek(self, key: object) -> float:
        """When the next permit would be."""
        with self._entry(key) as entry:
            return (max(entry[2], time.monotonic_ns()) - self.tolerance) / 1e9

    def reset(self) -> None:
        """Forget the calls."""
        with self.store._contents() as contents:
            for name in self.take_names:
                if name in contents["names"]:
                    contents["names"][name][2] = 0
