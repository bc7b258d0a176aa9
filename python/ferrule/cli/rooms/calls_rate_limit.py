"""Functions that are called at most so often.

The limit is never reached here: what is measured is the decorator, not the wait. `bare` is the
function alone, and for coroutines the await of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Implementation, Namespace, Operation, Room
from ferrule.cli.rooms.calls_wrapper import CALLING, footprints

_FUNCTIONS = f"""
{CALLING}
class Owner:
    pass

Owner.method = decorate(lambda self, value: value)
Owner.plain = lambda self, value: value
owner = Owner()
plain, plain_async = decorate(same), decorate(same_async)
shared, keyed = decorate_shared(same), decorate_keyed(same)
"""

_BARE = """
def decorate(function):
    return function

decorate_shared = decorate_keyed = decorate
"""

#: The article leaves the logic out: here is the usual one, a bucket under a lock.
_ARTICLE = """
import functools, threading, time

def rate_limit(calls_per_sec, burst):
    def decorator(function):
        lock = threading.Lock()
        level, last = burst, time.monotonic()

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            nonlocal level, last
            with lock:
                now = time.monotonic()
                level = min(burst, level + (now - last) * calls_per_sec)
                last = now
                wait = max(0.0, (1 - level) / calls_per_sec)
                level -= 1
            if wait:
                time.sleep(wait)
            return function(*args, **kwargs)

        return wrapper
    return decorator

decorate = decorate_shared = decorate_keyed = rate_limit(1e6, 1 << 40)
"""

_OURS = """
decorate = rate_limit(1e6, burst=1 << 40)
_store = SharedStore()
decorate_shared = rate_limit(1e6, burst=1 << 40, store=_store, name="same")
decorate_keyed = rate_limit(1e6, burst=1 << 40, key=int)
"""

_RATELIMIT = """
decorate = decorate_shared = decorate_keyed = ratelimit.limits(calls=1 << 40, period=1)
"""

_LIMITS = """
import functools

_limiter = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())
_item = limits.RateLimitItemPerSecond(1 << 40)

def decorate(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        if not _limiter.hit(_item, "same"):
            raise RuntimeError
        return function(*args, **kwargs)
    return wrapper

decorate_shared = decorate_keyed = decorate
"""

BARE = Implementation("bare", "bare", "", _BARE, _FUNCTIONS)
PURE = Implementation(
    "pure",
    "pure",
    "from ferrule.pure.calls import SharedStore, rate_limit\n",
    _OURS,
    _FUNCTIONS,
)
ARTICLE = Implementation("article", "article", "", _ARTICLE, _FUNCTIONS)
NATIVE = Implementation(
    "ferrule", "native", "from ferrule.calls import SharedStore, rate_limit\n", _OURS, _FUNCTIONS
)
RATELIMIT = Implementation(
    "ratelimit", "peer", "import ratelimit\n", _RATELIMIT, _FUNCTIONS, needs="ratelimit"
)
LIMITS = Implementation(
    "limits",
    "peer",
    "import limits, limits.storage, limits.strategies\n",
    _LIMITS,
    _FUNCTIONS,
    needs="limits",
)


def _values(namespace: Namespace, rows: Sequence[Reading]) -> None:
    namespace["rows"] = [row[0] for row in rows]


_LOOP = "for v in rows"
_limited = partial(Operation, area="calls", loop=_LOOP, outcome="result", setup=_values)
#: These have no such limit, or no coroutine functions.
_OTHERS: dict[str, str | None] = {"article": None, "ratelimit": None, "limits": None}

OPERATIONS = (
    _limited("call", title="f(x)", statement="plain(v)"),
    _limited("method", title="o.f(x)", statement="owner.method(v)",
             instead={"bare": "owner.plain(v)"}),
    _limited("keyword", title="f(value=x)", statement="plain(value=v)"),
    _limited("shared", title="f(x), limit in a mapped page", statement="shared(v)",
             instead=_OTHERS),
    _limited("keyed", title="f(x), a limit for each int", statement="keyed(v)", instead=_OTHERS),
    Operation("call_async", area="calls", title="await f(x), 256 of them",
              statement="drive(many(plain_async, rows))", loop="for _ in (0,)", repeat=1,
              outcome="awaited(plain_async, rows)", setup=_values,
              instead=_OTHERS),
    _limited("decorate", title="decorate", statement="kept = decorate(same)",
             outcome="kept(v)"),
)  # fmt: skip

FOOTPRINTS = footprints("pure", "article", "ferrule")

ROOM = Room(
    "rate_limit",
    "Functions called at most so often",
    (BARE, PURE, ARTICLE, NATIVE, RATELIMIT, LIMITS),
    OPERATIONS,
    {},
    baseline="article",
    footprints=FOOTPRINTS,
    counted=("function", "functions"),
    held="Bytes of the decorated function. The function itself is not counted.",
    headline=("call", "f(x)"),
)
