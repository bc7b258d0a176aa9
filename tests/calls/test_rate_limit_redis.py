"""RedisStore: one limit for all who reach a Redis; leases; a server that is gone."""

import asyncio
import importlib
import itertools
import multiprocessing
import os
import signal
import socket
import threading
import time

import pytest

import services
from ferrule.calls import RedisStore, StoreUnavailable
from lifetime import run_threads

services.library("redis")
redis_py = importlib.import_module("redis")
redis_asyncio = importlib.import_module("redis.asyncio")
pytestmark = pytest.mark.integration
_names = itertools.count()


def give(*args, **kwargs):
    """Nothing but what it got."""
    return args, kwargs


@pytest.fixture
def client(redis):
    with redis_py.Redis.from_url(redis) as client:
        yield client


@pytest.fixture
def name():
    return f"{os.getpid()}-{next(_names)}"


@pytest.fixture
def nobody():
    """A client of a server that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with redis_py.Redis(port=port, retry=None, socket_connect_timeout=1) as client:
        yield client


# ---- one process


def test_refused(impl, client, name):
    store = RedisStore(client)
    one, two = [
        impl.rate_limit(1e-3, burst=2, mode="raise", store=store, name=name)(give) for _ in range(2)
    ]
    assert one(1, x=2) == ((1,), {"x": 2})
    two()
    for limited in (one, two, one):
        with pytest.raises(impl.RateLimited) as caught:
            limited()
        assert 990 < caught.value.retry_after <= 1000.1
    assert 990 < one.retry_after() <= 1000.1
    assert not two.try_acquire()
    assert (one.allowed, one.rejected, two.allowed, two.rejected) == (1, 2, 1, 2)


@pytest.mark.parametrize("policy", ["raise", "fallback"])
def test_a_burst_longer_than_the_machine_is_up(impl, client, nobody, name, policy):
    store = RedisStore(client if policy == "raise" else nobody, policy=policy)
    limited = impl.rate_limit(1e-6, burst=5, mode="raise", store=store, name=name)(give)
    assert [limited.try_acquire() for _ in range(7)] == [True] * 5 + [False] * 2
    assert 9e5 < limited.retry_after() <= 1e6 + 1


def test_refusals_are_refusals_when_their_time_comes_meanwhile(impl, client, name):
    """The answer tells, not a comparison of times that is made later."""
    store = RedisStore(client)
    limited = impl.rate_limit(10_000, mode="raise", store=store, name=name)(give)
    granted = []
    script = store.script

    def count(**arguments):
        answer = script(**arguments)
        granted.append(answer[0])
        return answer

    store.script = count
    for _ in range(3000):
        limited.try_acquire()
    assert limited.allowed <= sum(granted)


def test_waiting(impl, client, name):
    limited = impl.rate_limit(100, burst=3, store=RedisStore(client), name=name)(give)
    start = time.monotonic()
    for _ in range(9):
        limited()
    assert time.monotonic() - start >= 6 / 100
    assert limited.allowed == 9


def test_keys(impl, client, name):
    store = RedisStore(client, prefix="test:")
    one, two = [
        impl.rate_limit(1e-3, mode="raise", store=store, name=name, key=lambda x: x)(give)
        for _ in range(2)
    ]
    keys = ["a", b"a", 1, 1.5, None, (1, "a", ()), "\ud800"]
    for key in keys:
        one(key)
    for key in [*keys, 1.0, True]:
        with pytest.raises(impl.RateLimited) as caught:
            two(key)
        assert caught.value.key == key
    assert client.exists(f"test:{name}", f"test:{name}:'a'", f"test:{name}:(1,'a',())") == 3
    for key in (object(), 1j, (1, object())):
        with pytest.raises(TypeError, match="RedisStore: key: wanted str, bytes, int"):
            one(key)
    assert one.allowed == len(keys)


def test_keys_expire(impl, client, name):
    limited = impl.rate_limit(10, burst=5, store=RedisStore(client, prefix=""), name=name)(give)
    limited()
    assert 1000 <= client.pttl(name) <= 1700
    slow = impl.rate_limit(1e-3, store=RedisStore(client, prefix=""), name=name + "slow")(give)
    slow()
    assert 1000_000 < client.pttl(name + "slow") <= 1002_000


def test_reset(impl, client, name):
    limited = impl.rate_limit(1e-3, mode="raise", store=RedisStore(client), name=name)(give)
    limited()
    limited.reset()
    assert limited.allowed == 0
    limited()
    with pytest.raises(impl.RateLimited):
        limited()


def test_a_lease_saves_round_trips(impl, client, name):
    calls = []
    store = RedisStore(client, lease=64)
    script = store.script

    def count(**arguments):
        calls.append(arguments)
        return script(**arguments)

    store.script = count
    limited = impl.rate_limit(1000, burst=1000, mode="raise", store=store, name=name)(give)
    for _ in range(500):
        limited()
    assert len(calls) <= 20
    store.lease = 1
    alone = impl.rate_limit(1000, burst=1000, mode="raise", store=store, name=name + "1")(give)
    del calls[:]
    for _ in range(50):
        alone()
    assert len(calls) == 50


def test_refusals_need_no_round_trip(impl, client, name):
    limited = impl.rate_limit(1e-3, mode="raise", store=RedisStore(client), name=name)(give)
    limited()
    with pytest.raises(impl.RateLimited):
        limited()
    client.delete(f"ferrule:rate_limit:{name}")  # which this process does not learn
    with pytest.raises(impl.RateLimited):
        limited()


def test_leases_that_are_not_used_are_lost(impl, client, name):
    """They do not add up."""
    store = RedisStore(client, lease=10)
    one, two = [
        impl.rate_limit(100, burst=10, mode="raise", store=store, name=name)(give) for _ in range(2)
    ]
    for _ in range(5):
        one.try_acquire()
    time.sleep(0.2)  # more than a burst
    start = time.monotonic()
    count = sum(limited.try_acquire() for _ in range(15) for limited in (one, two))
    assert count <= 10 + 100 * (time.monotonic() - start) + 1


def test_who_gives_up_hands_back(impl, client, name, monkeypatch):
    limited = impl.rate_limit(2, store=RedisStore(client), name=name)(give)
    limited()

    def fail(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", fail)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                limited()
    start = time.monotonic()
    limited()
    assert 0.3 < time.monotonic() - start < 0.9
    assert (limited.allowed, limited.cancelled) == (2, 3)


def test_the_script_is_loaded_again(impl, client, name):
    limited = impl.rate_limit(1e-3, burst=5, store=RedisStore(client, lease=1), name=name)(give)
    limited()
    client.script_flush()
    limited()


def test_nonsense_in_the_key(impl, client, name):
    store = RedisStore(client, prefix="")
    for text in ("nonsense", "-5", "nan", "1e300", ""):
        client.set(name, text)
        limited = impl.rate_limit(1, mode="raise", store=store, name=name)(give)
        assert limited.try_acquire() in (True, False)
    client.delete(name)
    client.lpush(name, 1)
    limited = impl.rate_limit(1, mode="raise", store=store, name=name)(give)
    with pytest.raises(StoreUnavailable):
        limited()


def test_in_threads(impl, client, name):
    limited = impl.rate_limit(1e-3, burst=100, mode="raise", store=RedisStore(client), name=name)(
        give
    )

    def work():
        for _ in range(30):
            limited.try_acquire()

    run_threads(work)
    assert limited.allowed <= 100
    assert limited.allowed + limited.rejected == 240


# ---- coroutines


def asynchronous(redis, work):
    """Run work(client) with an asyncio client."""

    async def main():
        async with redis_asyncio.Redis.from_url(redis) as client:
            await work(client)

    asyncio.run(main())


def test_coroutines_wait(impl, redis, name):
    async def work(client):
        @impl.rate_limit(100, burst=2, store=RedisStore(client), name=name)
        async def fetch(x):
            return x

        start = time.monotonic()
        assert await asyncio.gather(*map(fetch, range(8))) == list(range(8))
        assert time.monotonic() - start >= 6 / 100
        assert fetch.allowed == 8 and fetch.waited >= 5
        assert fetch.retry_after() >= 0

    asynchronous(redis, work)


def test_coroutines_are_refused(impl, redis, name):
    async def work(client):
        limited = impl.rate_limit(1e-3, burst=2, mode="raise", store=RedisStore(client), name=name)

        @limited
        async def fetch(x):
            return x

        assert [await fetch(1), await fetch(2)] == [1, 2]
        for _ in range(2):
            with pytest.raises(impl.RateLimited) as caught:
                await fetch(3)
            assert 990 < caught.value.retry_after < 1001
        assert (fetch.allowed, fetch.rejected) == (2, 2)

    asynchronous(redis, work)


def test_coroutines_that_are_cancelled(impl, redis, name):
    async def work(client):
        @impl.rate_limit(4, store=RedisStore(client), name=name)
        async def fetch():
            pass

        await fetch()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(fetch(), 0.05)
        start = time.monotonic()
        await fetch()
        assert time.monotonic() - start < 0.4
        assert (fetch.allowed, fetch.cancelled) == (2, 3)
        fetch().close()

    asynchronous(redis, work)


def test_clients_and_functions_go_together(impl, client, redis):
    async def coroutine():
        pass

    with pytest.raises(TypeError, match="a coroutine function wants a client of redis.asyncio"):
        impl.rate_limit(1, store=RedisStore(client))(coroutine)

    async def work(aclient):
        with pytest.raises(TypeError, match="a plain function wants a client of redis, not"):
            impl.rate_limit(1, store=RedisStore(aclient))(give)
        limited = impl.rate_limit(1, store=RedisStore(aclient))(coroutine)
        for method in (limited.try_acquire, limited.reset):
            with pytest.raises(TypeError, match="client is asynchronous"):
                method()

    asynchronous(redis, work)


# ---- a server that is gone


def test_nobody_answers_and_that_is_raised(impl, nobody):
    limited = impl.rate_limit(1, store=RedisStore(nobody))(give)
    for call in (limited, limited.try_acquire, limited.retry_after, limited.reset):
        with pytest.raises(StoreUnavailable, match="^RedisStore: .*give: ") as caught:
            call()
        assert isinstance(caught.value.__cause__, redis_py.exceptions.ConnectionError)
    assert (limited.allowed, limited.waited, limited.rejected) == (0, 0, 0)


def test_nobody_answers_and_each_keeps_the_limit(impl, nobody):
    store = RedisStore(nobody, policy="fallback")
    limited = impl.rate_limit(1e-3, burst=3, mode="raise", store=store, key=lambda x: x)(give)
    for key in "ab":
        for _ in range(3):
            limited(key)
        with pytest.raises(impl.RateLimited) as caught:
            limited(key)
        assert 990 < caught.value.retry_after <= 1000
    assert limited.retry_after("c") == 0
    waiting = impl.rate_limit(100, store=store)(give)
    start = time.monotonic()
    for _ in range(4):
        waiting()
    assert time.monotonic() - start >= 0.03


def test_coroutines_with_nobody(impl):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async def main():
        async with redis_asyncio.Redis(port=port, retry=None) as client:

            async def coroutine():
                return 1

            limited = impl.rate_limit(1, store=RedisStore(client))(coroutine)
            with pytest.raises(StoreUnavailable):
                await limited()
            store = RedisStore(client, policy="fallback")
            limited = impl.rate_limit(1e-3, mode="raise", store=store)(coroutine)
            assert await limited() == 1
            with pytest.raises(impl.RateLimited):
                await limited()

    asyncio.run(main())


def test_gone_in_mid_call(impl, name):
    """A server that takes the request and dies."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            for _ in range(2):
                connection, _ = listener.accept()
                connection.recv(10)
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with redis_py.Redis(port=listener.getsockname()[1], retry=None) as client:
            limited = impl.rate_limit(1, store=RedisStore(client), name=name)(give)
            with pytest.raises(StoreUnavailable):
                limited()
            store = RedisStore(client, policy="fallback")
            assert impl.rate_limit(1, store=store, name=name)(give)() == ((), {})


def test_a_server_that_comes_back(impl, client, nobody, name, monkeypatch):
    module = importlib.import_module(RedisStore.__module__)
    monkeypatch.setattr(module, "PAUSE", 0.05)
    store = RedisStore(nobody, policy="fallback")
    limited = impl.rate_limit(1000, burst=5, store=store, name=name)(give)
    limited()
    store.script = client.register_script(module.SCRIPT)
    time.sleep(0.06)
    limited()
    assert client.exists(f"ferrule:rate_limit:{name}")


# ---- processes


def _calls(queue, barrier, url, name, rate, burst, lease, seconds, mode, impl_name):
    impl = importlib.import_module(impl_name)
    with redis_py.Redis.from_url(url) as client:
        store = RedisStore(client, lease=lease)
        limited = impl.rate_limit(rate, burst=burst, mode=mode, store=store, name=name)(give)
        barrier.wait()
        start = time.monotonic()
        while time.monotonic() < start + seconds:
            if mode == "wait":
                limited()
            else:
                limited.try_acquire()
        queue.put((limited.allowed, start, time.monotonic()))


def run_processes(impl, url, name, *, seconds, rate, burst, lease, mode="wait"):
    """How many calls eight processes made, and in what time."""
    context = multiprocessing.get_context("spawn")
    queue, barrier = context.Queue(), context.Barrier(8)
    arguments = (queue, barrier, url, name, rate, burst, lease, seconds, mode, impl.__name__)
    children = [context.Process(target=_calls, args=arguments) for _ in range(8)]
    for child in children:
        child.start()
    results = [queue.get(timeout=120) for _ in children]
    for child in children:
        child.join(60)
    counts, starts, stops = zip(*results, strict=True)
    return sum(counts), max(stops) - min(starts)


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize("mode", ["wait", "raise"])
@pytest.mark.parametrize(("rate", "burst", "lease"), [(500, 1, 1), (2000, 50, 16), (2000, 1, 64)])
def test_exact_under_eight_processes(native, redis, name, rate, burst, lease, mode):
    count, seconds = run_processes(
        native, redis, name, seconds=2, rate=rate, burst=burst, lease=lease, mode=mode
    )
    assert count <= burst + rate * seconds
    if mode == "wait":
        assert count >= 0.7 * rate * seconds


def test_forked_children_have_no_leases_of_their_parent(impl, client, redis, name):
    store = RedisStore(client, lease=100)
    limited = impl.rate_limit(1e-3, burst=100, mode="raise", store=store, name=name)(give)
    for _ in range(3):
        limited()
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            signal.alarm(20)
            code = sum(limited.try_acquire() for _ in range(101))
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    count = 3 + sum(limited.try_acquire() for _ in range(101))
    assert code + count <= 100


# ---- bad arguments


def test_bad_arguments(impl, client):
    for bad in (None, 5, "redis://localhost"):
        with pytest.raises(TypeError, match="RedisStore: wanted a client of redis, got"):
            RedisStore(bad)
    with pytest.raises(TypeError, match="prefix: wanted a str, got int"):
        RedisStore(client, prefix=5)
    for bad in (1.0, "1", True, None):
        with pytest.raises(TypeError, match="lease: wanted an int, got"):
            RedisStore(client, lease=bad)
    with pytest.raises(ValueError, match="lease: wanted at least 1, got 0"):
        RedisStore(client, lease=0)
    with pytest.raises(ValueError, match="policy: wanted 'raise' or 'fallback', got 'x'"):
        RedisStore(client, policy="x")
    with pytest.raises(ValueError, match="wanted at most 300000000 seconds"):
        impl.rate_limit(1e-9, store=RedisStore(client))(give)
    assert "lease=64" in repr(RedisStore(client))
