"""What a type checker should understand of limits, retries, caches and classes. Never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

from ferrule.calls import (
    Attempt,
    CacheInfo,
    ModelInference,
    RateLimited,
    RetryError,
    SharedStore,
    cache,
    rate_limit,
    register,
    retry,
    singleton,
)


@rate_limit(10, burst=2, key=lambda user: user, mode="raise", store=SharedStore())
def search(user: str) -> list[str]:
    return [user]


assert_type(search("ann"), list[str])
assert_type(search.retry_after("ann"), float)
assert_type(search.allowed, int)
try:
    search("ann")
except RateLimited as error:
    assert_type(error.retry_after, float)


def told(attempt: Attempt) -> None:
    assert_type(attempt.number, int)
    assert_type(attempt.wait, float)


@retry(max_attempts=5, delay=0.5, on=(OSError, ValueError), before_sleep=told)
def fetch(url: str, *, size: int = 1) -> bytes:
    return url.encode() * size


@retry
def bare(x: int) -> int:
    return x


assert_type(fetch("a", size=2), bytes)
assert_type(fetch.calls, int)
assert_type(bare(1), int)
try:
    fetch("a")
except RetryError as failed:
    assert_type(failed.retry_history, tuple[Attempt, ...])


@cache(maxsize=128, ttl=60)
def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


class Page:
    @cache
    def render(self, width: int) -> str:
        return "-" * width


assert_type(fibonacci(5), int)
info: CacheInfo = fibonacci.cache_info()
assert_type(info.hits, int)
assert_type(Page().render(3), str)
fibonacci.cache_clear()


@singleton
class Database:
    def __init__(self, url: str) -> None:
        self.url = url


@register
class Parser:
    pass


assert_type(Database("a"), Database)
assert_type(Parser(), Parser)
registry: Mapping[str, type[Any]] = register.registry


class Model(ModelInference):
    def _load_model(self, path: str) -> int:
        return len(path)


assert_type(Model("a")([0.1, 0.9]), list[float])
