"""Twin of `ferrule.calls`."""

from __future__ import annotations

from ._cache import CacheInfo, cache
from ._counted import Counted, counted
from ._logged import Logged, logged
from ._model_inference import ModelInference
from ._rate_limit import RateLimited, SharedStore, rate_limit
from ._register import Registry, register
from ._retry import Attempt, RetryError, retry
from ._singleton import singleton
from ._timer import Timer, timer
from ._wrapper import Wrapper, update_wrapper, wraps

__all__ = [
    "Attempt",
    "CacheInfo",
    "Counted",
    "Logged",
    "ModelInference",
    "RateLimited",
    "Registry",
    "RetryError",
    "SharedStore",
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
