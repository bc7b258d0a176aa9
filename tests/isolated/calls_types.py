"""Wrappers and classes come and go; the types of the module keep the references they had."""

import asyncio
import gc
import sys

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
gc.freeze()
for _ in range(400):  # free lists and type caches fill slowly
    make()
    gc.collect()
more = []
for _ in range(5):  # what fills a cache stops; whoever leaks, leaks every time
    before = [sys.getrefcount(cls) for cls in watched]
    blocks = sys.getallocatedblocks()
    for _ in range(100):
        make()
        gc.collect()
    after = [sys.getrefcount(cls) for cls in watched]
    more.append(sys.getallocatedblocks() - blocks)
    assert before == after, list(zip(watched, before, after, strict=True))
assert min(more) < 50, more
assert calls.Wrapper.__subclasses__() and not calls.ModelInference.__subclasses__()
