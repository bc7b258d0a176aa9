"""Rate limits that several machines share, in a Redis.

The limit is one key of the server, changed by one script that takes the time from the server too.
A round trip takes several permits when calls come that fast: each has its time, before which it
is not used, and after which it is lost, so the processes together never call more often than one
would. What a crash loses is what was taken and not used.
"""

from __future__ import annotations

import heapq
import importlib
import os
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import asyncio

#: The server's time in units of 100 ns from an epoch of its own: below 2**53 for 28 years, and so
#: exact in the floating point numbers that Lua has.
UNITS = 10_000_000
#: A lease reaches no further ahead than this, in seconds: so long others wait at the most.
HORIZON = 0.25
#: How long a server that did not answer is left alone, in seconds, if there is a fallback.
PAUSE = 1.0
#: Longest burst / calls_per_sec, in seconds.
LONGEST = 300_000_000

SCRIPT = """
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1700000000) * 10000000 + tonumber(time[2]) * 10
local interval, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2])
local count, waits = tonumber(ARGV[3]), ARGV[4] == '1'
local base = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
if not (base > now and base - now < 4e15) then base = now end
if not waits then
  count = math.min(count, math.floor((now + tolerance - base) / interval) + 1)
end
if count >= 1 then
  local last = base + count * interval
  local life = math.ceil((last - now) / 10000) + 1000
  redis.call('SET', KEYS[1], string.format('%.0f', last), 'PX', string.format('%.0f', life))
else
  count = 0
end
return {count, string.format('%.0f', base - now)}
"""

Policy = Literal["raise", "fallback"]

_limiters: weakref.WeakSet[_Limiter] = weakref.WeakSet()


def _after_fork() -> None:
    """What was taken is the parent's, and so may be a lock."""
    for limiter in _limiters:
        limiter.forget()


os.register_at_fork(after_in_child=_after_fork)


class StoreUnavailable(RuntimeError):
    """A call could not be limited, because the store's server did not answer as it should."""


class _Held:
    """What this process has of one key."""

    __slots__ = ("asked", "asking", "fallback", "loop", "permits", "refused", "waited", "want")

    def __init__(self) -> None:
        self.permits: list[tuple[float, float]] = []  # a heap: its time, when it is lost
        self.want = 1  # how many to ask for
        self.asked = float("-inf")  # when that was last done
        self.waited = False  # and whether the permits were still to come
        self.refused = 0.0
        self.fallback = float("-inf")
        # one round trip at a time: those who wait for it may have what it brings
        self.asking: Any = threading.Lock()
        self.loop: Any = None  # of an asyncio.Lock

    def asking_in(self, loop: object) -> asyncio.Lock:
        """The lock of that loop."""
        if self.loop is not loop:
            self.loop, self.asking = loop, sys.modules["asyncio"].Lock()
        lock: asyncio.Lock = self.asking
        return lock


def _text(key: Any, depth: int = 0) -> str:
    """The key as every process writes it; equal keys alike."""
    if type(key) is tuple and depth < 16:
        return f"({','.join(_text(item, depth + 1) for item in key)})"
    if type(key) is bool or (type(key) is float and key.is_integer()):
        return str(int(key))
    if type(key) in (str, bytes, int, float, type(None)):
        return ascii(key)
    raise TypeError(
        "RedisStore: key: wanted str, bytes, int, float, bool, None or a tuple of them, "
        f"got {type(key).__name__}"
    )


class RedisStore:
    """Rate limits in a Redis, shared by all who use its keys: `rate_limit(store=...)`.

    client is one of `redis`, or for coroutine functions one of `redis.asyncio`. The keys are
    `prefix`, the limit's name and the call's key; they go when they say nothing any more. `lease`
    is how many permits a round trip may take. While the server does not answer, calls raise
    StoreUnavailable, or with policy "fallback" each process keeps the limit for itself.
    """

    def __init__(
        self,
        client: Any,
        *,
        prefix: str = "ferrule:rate_limit:",
        lease: int = 64,
        policy: Policy = "raise",
    ) -> None:
        if not callable(getattr(client, "register_script", None)):
            raise TypeError(f"RedisStore: wanted a client of redis, got {type(client).__name__}")
        if not isinstance(prefix, str):
            raise TypeError(f"RedisStore: prefix: wanted a str, got {type(prefix).__name__}")
        if not isinstance(lease, int) or isinstance(lease, bool):
            raise TypeError(f"RedisStore: lease: wanted an int, got {type(lease).__name__}")
        if lease < 1:
            raise ValueError(f"RedisStore: lease: wanted at least 1, got {lease}")
        if policy not in ("raise", "fallback"):
            raise ValueError(f"RedisStore: policy: wanted 'raise' or 'fallback', got {policy!r}")
        # here, because redis is optional, and who has a client has loaded all of these
        from inspect import iscoroutinefunction  # noqa: PLC0415

        redis_error: type[Exception] = importlib.import_module("redis.exceptions").RedisError
        self.client = client
        self.prefix, self.lease, self.policy = prefix, lease, policy
        self.errors = (redis_error, OSError)
        self.asynchronous = iscoroutinefunction(client.execute_command)
        self.script: Callable[..., Any] = client.register_script(SCRIPT)

    def __repr__(self) -> str:
        return f"RedisStore({self.client!r}, prefix={self.prefix!r}, lease={self.lease})"

    def limiter(
        self, name: str, calls_per_sec: float, burst: int, max_keys: int, asynchronous: bool
    ) -> _Limiter:
        """The limit of that name: `rate_limit` asks for it."""
        if asynchronous != self.asynchronous:
            wanted = (
                "a coroutine function wants a client of redis.asyncio"
                if asynchronous
                else "a plain function wants a client of redis, not of redis.asyncio"
            )
            raise TypeError(f"RedisStore: {name}: {wanted}")
        if burst / calls_per_sec > LONGEST:
            raise ValueError(
                f"RedisStore: burst / calls_per_sec: wanted at most {LONGEST} seconds, "
                f"got {burst} / {calls_per_sec} seconds"
            )
        return _Limiter(self, name, calls_per_sec, burst, max_keys)


class _Limiter:
    """One limit. Permits are times of `time.monotonic()`; a negative one is a refusal until then.

    ext/calls/rate_limit_limiter.c says what the methods are for.
    """

    def __init__(
        self, store: RedisStore, name: str, calls_per_sec: float, burst: int, max_keys: int
    ) -> None:
        self.store, self.name = store, name
        above, below = calls_per_sec.as_integer_ratio()
        units = -(-UNITS * below // above)  # exactly, rounded up
        self.arguments = units, units * (burst - 1)
        self.interval, self.tolerance = units / UNITS, units * (burst - 1) / UNITS
        self.most = max(1, min(store.lease, int(HORIZON / self.interval)))
        self.max_keys = max_keys
        self.down_until = 0.0
        self.forget()
        _limiters.add(self)

    def forget(self) -> None:
        """Begin with nothing."""
        self.lock = threading.Lock()
        self.held: dict[object, _Held] = {}

    # ---- what this process has

    def _of(self, key: object) -> _Held:
        """With the lock held. What is forgotten here is lost, and no call is gained by it."""
        held = self.held.get(key)
        if held is None:
            if len(self.held) >= self.max_keys:
                del self.held[next(iter(self.held))]
            held = self.held[key] = _Held()
        return held

    def _fallback(self, held: _Held, wait: bool, now: float) -> float:
        base = max(held.fallback, now)
        at = base - self.tolerance
        if not wait and at > now:
            return -at
        held.fallback = base + self.interval
        return max(at, 0.0)

    def take_local(self, key: object, wait: bool) -> float | None:
        """A permit without a round trip, or None."""
        now = time.monotonic()
        with self.lock:
            held = self._of(key)
            if now < self.down_until:
                return self._fallback(held, wait, now)
            while held.permits and now > max(held.permits[0]):
                heapq.heappop(held.permits)
            if held.permits and (wait or held.permits[0][0] <= now):
                return max(heapq.heappop(held.permits)[0], 0.0)
            if not wait and now < held.refused:
                return -held.refused
            return None

    def give_back(self, key: object, at: float) -> None:
        """Somebody else may have the permit, if he comes before its time."""
        with self.lock:
            heapq.heappush(self._of(key).permits, (at, at))

    # ---- what the server has

    def _request(self, key: object, wait: bool) -> tuple[list[str], list[int], float]:
        with self.lock:
            held = self._of(key)
            now = time.monotonic()
            # more at once while calls come as fast as they may
            busy = held.waited or now - held.asked <= (held.want + 1) * self.interval
            held.want = count = min(2 * held.want, self.most) if busy else 1
            held.asked = now
        return [self._name(key)], [*self.arguments, count, int(wait)], now

    def _name(self, key: object) -> str:
        tail = "" if key is None else f":{_text(key)}"
        return f"{self.store.prefix}{self.name}{tail}"

    def _got(self, key: object, answer: Any, sent: float) -> float:
        """Keep what was taken but the first, which is the caller's.

        The server read its clock after `sent` and before now: no permit is used before its time,
        reckoned from now, or kept beyond it, reckoned from `sent`.
        """
        now = time.monotonic()
        count, ahead = int(answer[0]), int(answer[1]) / UNITS
        at = now + ahead - self.tolerance
        with self.lock:
            held = self._of(key)
            held.waited = at > now
            if count == 0:
                held.refused = at
                return -at
            for i in range(1, count):
                later = i * self.interval
                heapq.heappush(held.permits, (at + later, sent + ahead + later))
        return max(at, 0.0)

    def _failed(self, key: object, error: BaseException, wait: bool) -> float:
        if self.store.policy == "raise":
            message = f"RedisStore: {self.name}: {type(error).__name__}: {error}"
            raise StoreUnavailable(message) from error
        now = time.monotonic()
        with self.lock:
            self.down_until = now + PAUSE
            return self._fallback(self._of(key), wait, now)

    def take(self, key: object, wait: bool) -> float:
        """A permit."""
        at = self.take_local(key, wait)
        if at is not None:
            return at
        if self.store.asynchronous:
            raise TypeError(f"{self.name}: the store's client is asynchronous: call the function")
        with self.lock:
            asking = self._of(key).asking
        with asking:
            at = self.take_local(key, wait)
            if at is not None:
                return at
            keys, arguments, sent = self._request(key, wait)
            try:
                answer = self.store.script(keys=keys, args=arguments)
            except self.store.errors as error:
                return self._failed(key, error, wait)
            return self._got(key, answer, sent)

    async def take_async(self, key: object, wait: bool) -> float:
        """A permit."""
        with self.lock:
            asking = self._of(key).asking_in(sys.modules["asyncio"].get_running_loop())
        async with asking:
            at = self.take_local(key, wait)
            if at is not None:
                return at
            keys, arguments, sent = self._request(key, wait)
            try:
                awaitable: Awaitable[Any] = self.store.script(keys=keys, args=arguments)
                answer = await awaitable
            except self.store.errors as error:
                return self._failed(key, error, wait)
            return self._got(key, answer, sent)

    def peek(self, key: object) -> float:
        """When the next permit would be; of an asynchronous client, as far as is known here."""
        now = time.monotonic()
        with self.lock:
            held = self._of(key)
            if held.permits:
                return held.permits[0][0]
            if self.store.asynchronous or now < held.refused:
                return held.refused
        try:
            answer = self.store.script(keys=[self._name(key)], args=[*self.arguments, 0, 0])
        except self.store.errors as error:
            if self.store.policy == "raise":
                self._failed(key, error, False)
            return max(held.fallback, now) - self.tolerance
        return time.monotonic() + int(answer[1]) / UNITS - self.tolerance

    def reset(self) -> None:
        """Forget the calls, of the keys that this process has met."""
        if self.store.asynchronous:
            raise TypeError(
                f"{self.name}: reset: the store's client is asynchronous: delete the keys with it"
            )
        with self.lock:
            keys = [None, *self.held]
            self.held.clear()
        names = [self._name(key) for key in keys]
        try:
            self.store.client.delete(*names)
        except self.store.errors as error:
            raise StoreUnavailable(f"RedisStore: {self.name}: {error}") from error
