"""What a type checker should understand of wrappers. Checked, never run."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any, assert_type

from ferrule.calls import Counted, Timer, Wrapper, counted, logged, timer, update_wrapper, wraps


@timer
def add(a: int, b: str = "") -> float:
    return len(b) + a


assert_type(add(1), float)
assert_type(add(1, b="x"), float)
assert_type(add.percentile(99), float | None)
assert_type(add.count, int)
assert_type(add.__wrapped__(1, "x"), float)


@timer(printer=print)
@counted
async def later(a: int) -> str:
    return str(a)


coroutine: Coroutine[Any, Any, str] = later(1)
assert_type(later.total, float)


class Thing:
    @logged(logger=logging.getLogger("a"), level="DEBUG", arguments=True)
    def method(self, x: int) -> str:
        return str(x)

    @counted
    def plain(self, x: int) -> str:
        return str(x)

    @staticmethod
    @timer
    def static(x: int) -> str:
        return str(x)

    @timer
    @staticmethod
    def outer(x: int) -> str:
        return str(x)


thing = Thing()
assert_type(thing.method(1), str)
assert_type(thing.plain(x=1), str)
assert_type(Thing.plain(thing, 1), str)
assert_type(Thing.plain.count, int)
assert_type(Thing.static(1), str)
assert_type(Thing.outer(1), str)


class Twice(Wrapper[[int], str]):
    def __call__(self, /, *args: Any, **kwargs: Any) -> str:
        return self.__wrapped__(*args, **kwargs) * 2


twice = Twice(str)
assert_type(twice(1), str)


def other(*args: Any) -> int:
    return len(args)


assert_type(update_wrapper(other, add)(), int)


@wraps(add)
def third(x: int) -> int:
    return x


assert_type(third(1), int)
both: tuple[Timer[..., Any], Counted[..., Any]] = (add, Thing.plain)
