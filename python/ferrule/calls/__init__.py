"""Functions that carry work: wrappers that cost nanoseconds and keep a function's identity.

`rate_limit`, `retry`, `cache`, `timer`, `logged` and `counted` decorate functions, methods, static
and class methods and coroutine functions, in any order::

    @retry(max_attempts=5, delay=0.5)
    @rate_limit(10)
    @timer
    def fetch(url: str) -> bytes: ...

`singleton` and `register` decorate classes; `ModelInference` is a function with state. What all
wrappers have in common, `Wrapper`, is a base for your own. docs/wrappers.md says which is for what.

Sources: the articles' sections "Decorators Deep Dive", "Higher-Order Decorators with
functools.update_wrapper" and "Leverage __call__ and State Tracking".
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .._calls import (
    Attempt,
    Counted,
    Logged,
    ModelInference,
    RateLimited,
    Registry,
    RetryError,
    SharedStore,
    Timer,
    Wrapper,
    cache,
    counted,
    logged,
    rate_limit,
    register,
    retry,
    singleton,
    timer,
    update_wrapper,
    wraps,
)
from ._cache_info import CacheInfo

if TYPE_CHECKING:
    from ._redis_store import RedisStore, StoreUnavailable

__all__ = [
    "Attempt",
    "CacheInfo",
    "Counted",
    "Logged",
    "ModelInference",
    "RateLimited",
    "RedisStore",
    "Registry",
    "RetryError",
    "SharedStore",
    "StoreUnavailable",
    "Timer",
    "Wrapper",
    "cache",
    "counted",
    "logged",
    "rate_limit",
    "register",
    "retry",
    "singleton",
    "timer",
    "update_wrapper",
    "wraps",
]


def __getattr__(name: str) -> Any:
    # what only users of Redis need, and half of the import's time
    if name in ("RedisStore", "StoreUnavailable"):
        return getattr(importlib.import_module(f"{__name__}._redis_store"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
