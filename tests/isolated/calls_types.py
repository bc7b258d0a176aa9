"""Wrappers and classes come and go; the types of the module keep the references they had."""

import asyncio

from _come_and_go import come_and_go

from ferrule import calls


def make() -> None:
    class Own(calls.Wrapper):
        def __call__(self, *args: object, **kwargs: object) -> object:
            return self.__wrapped__(*args, **kwargs)

    class Thing:
        @calls.cache
        def method(self, x: int) -> object:
            return [x]

        @Own
        @calls.counted
        def other(self) -> object:
            return self

    @calls.retry(2, 0)
    @calls.rate_limit(1e9, burst=100)
    @calls.timer
    async def work(x: int) -> int:
        return x

    thing = Thing()
    assert thing.method(1) is thing.method(1) and thing.other() is thing
    coroutine = work(1)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        assert stop.value == 1

    @calls.singleton
    class One:
        pass

    assert One() is One()
    assert calls.Registry()(One) is One
    assert calls.ModelInference("a")([1.0, 0.0]) == [1.0]


asyncio.run(asyncio.sleep(0))
watched = [calls.Wrapper, calls.Timer, calls.Counted, calls.Registry, calls.ModelInference]
come_and_go(make, watched)
assert calls.Wrapper.__subclasses__() and not calls.ModelInference.__subclasses__()
