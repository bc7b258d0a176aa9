"""SharedStore: one limit for the processes of a machine; forks; pages that are damaged."""

import asyncio
import multiprocessing
import os
import pickle
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import ferrule
from lifetime import run_threads

#: Where children find the ferrule that is tested, in the tree or installed.
SOURCE = Path(ferrule.__file__).parents[1]


def give(*args, **kwargs):
    """Nothing but what it got."""
    return args, kwargs


def in_child(function):
    """What function gives in a forked process: an int."""
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            code = int(function())
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# ---- one process


def test_two_functions_of_one_name(impl):
    store = impl.SharedStore()
    one = impl.rate_limit(1e-3, mode="raise", store=store, name="both")(give)
    two = impl.rate_limit(1e-3, mode="raise", store=store, name="both")(give)
    assert one(1, x=2) == ((1,), {"x": 2})
    with pytest.raises(impl.RateLimited) as caught:
        two()
    assert 999 < caught.value.retry_after <= 1000
    assert 999 < one.retry_after() <= 1000
    assert not two.try_acquire()
    assert (one.allowed, two.allowed, two.rejected) == (1, 0, 2)
    one.reset()
    two()
    assert store.used == 1


def test_names_are_the_functions(impl):
    store = impl.SharedStore(slots=5)
    limits = [impl.rate_limit(1e-3, mode="raise", store=store) for _ in range(2)]
    one, two = [limit(give) for limit in limits]
    one()
    with pytest.raises(impl.RateLimited):
        two()
    limits[0](in_child).try_acquire()
    assert store.used == 2
    assert repr(store) == "SharedStore(None, slots=5)"
    assert (store.path, store.slots) == (None, 5)


def test_a_name_has_one_rate(impl):
    store = impl.SharedStore()
    impl.rate_limit(1, store=store, name="x")(give)()
    for options in ({"calls_per_sec": 2}, {"calls_per_sec": 1, "burst": 2}):
        with pytest.raises(ValueError, match="'x' has another rate or burst in this store"):
            limited = impl.rate_limit(**options, store=store, name="x")(give)
            limited()
    impl.rate_limit(1, store=store, name="x")(give)


def test_no_more_names_than_slots(impl):
    store = impl.SharedStore(slots=2)
    limited = impl.rate_limit(1, store=store, name="x", key=lambda x: x)(give)
    limited(1), limited(2)
    used = store.used
    with pytest.raises(RuntimeError, match="SharedStore: all 2 names are in use"):
        for i in range(3):
            limited(i + 10)
    assert store.used == 2 >= used
    assert limited.cancelled == 0


def test_keys(impl):
    store = impl.SharedStore()
    limits = [
        impl.rate_limit(1e-3, mode="raise", store=store, name="x", key=lambda x: x)(give)
        for _ in range(2)
    ]
    keys = ["a", "b", b"a", 1, 1.5, None, (1, "a", (b"",)), "\ud800", "a\nb", -(10**40), ()]
    for key in keys:
        limits[0](key)
    for key in keys:
        with pytest.raises(impl.RateLimited) as caught:
            limits[1](key)
        assert caught.value.key == key
    for key in (object(), frozenset(), (1, object()), 1j, type("S", (str,), {})("z")):
        with pytest.raises(TypeError, match="SharedStore: key: wanted str, bytes, int"):
            limits[0](key)
    assert limits[0].allowed == len(keys)


def test_equal_keys_are_one(impl):
    store = impl.SharedStore()
    limits = [
        impl.rate_limit(1e-3, mode="raise", store=store, name="x", key=lambda x: x)(give)
        for _ in range(3)
    ]
    for keys in ((1, 1.0, True), (-0.0, 0, False), ((2.0,), (2,), (2,)), (1e30, int(1e30), 1e30)):
        limits[0](keys[0])
        for limited, key in zip(limits[1:], keys[1:], strict=True):
            with pytest.raises(impl.RateLimited):
                limited(key)


def test_waiting(impl):
    store = impl.SharedStore()
    limited = impl.rate_limit(200, burst=2, store=store)(give)
    start = time.monotonic()
    for _ in range(6):
        limited()
    assert time.monotonic() - start >= 4 / 200
    assert (limited.allowed, limited.waited) == (6, limited.waited)


def test_a_burst_longer_than_the_machine_is_up(impl):
    limited = impl.rate_limit(1e-6, burst=5, mode="raise", store=impl.SharedStore())(give)
    assert [limited.try_acquire() for _ in range(7)] == [True] * 5 + [False] * 2
    assert 9e5 < limited.retry_after() <= 1e6


def test_waiting_and_given_up(impl, monkeypatch):
    store = impl.SharedStore()
    limited = impl.rate_limit(1e-3, store=store)(give)
    limited()

    def fail(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", fail)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            limited()
    assert limited.retry_after() <= 1000
    assert limited.cancelled == 3


def test_coroutines(impl):
    store = impl.SharedStore()

    @impl.rate_limit(50, store=store)
    async def fetch(x):
        return x

    async def main():
        start = time.monotonic()
        assert await asyncio.gather(*map(fetch, range(4))) == [0, 1, 2, 3]
        assert time.monotonic() - start >= 3 / 50
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fetch(1), 0.001)

    asyncio.run(main())
    assert (fetch.allowed, fetch.waited, fetch.cancelled) == (4, 3, 1)


def test_in_threads(impl):
    store = impl.SharedStore()
    limited = impl.rate_limit(1e-3, burst=100, mode="raise", store=store)(give)

    def work():
        for _ in range(50):
            limited.try_acquire()

    run_threads(work)
    assert (limited.allowed, limited.rejected) == (100, 300)


def test_the_store_lives_as_long_as_its_limits(impl):
    limited = impl.rate_limit(1e-3, mode="raise", store=impl.SharedStore())(give)
    keyed = impl.rate_limit(1e-3, mode="raise", store=impl.SharedStore(), key=lambda x: x)(give)
    for _ in range(3):
        limited.try_acquire(), keyed.try_acquire(1)
    assert (limited.allowed, keyed.allowed) == (1, 1)


def test_it_has_a_clock_of_its_own(impl):
    with pytest.raises(ValueError, match="a store has a clock of its own"):
        impl.rate_limit(1, store=impl.SharedStore(), clock=time.monotonic)


# ---- files


def test_a_file(impl, tmp_path):
    path = tmp_path / "limits"
    stores = [impl.SharedStore(path), impl.SharedStore(str(path)), impl.SharedStore(bytes(path))]
    limits = [impl.rate_limit(1e-3, mode="raise", store=s, name="x")(give) for s in stores]
    limits[0]()
    for limited in limits:
        with pytest.raises(impl.RateLimited):
            limited()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [store.slots for store in stores] == [1024] * 3
    assert stores[1].path == str(path)
    assert repr(stores[1]) == f"SharedStore({str(path)!r}, slots=1024)"
    again = pickle.loads(pickle.dumps(stores[1]))
    assert (again.path, again.used) == (str(path), 1)


def test_a_name(impl):
    name = f"test-{os.getpid()}-{impl.__name__}"
    store = impl.SharedStore(name, slots=3)
    try:
        assert store.path == f"/dev/shm/ferrule-{os.geteuid()}-{name}"
        assert impl.SharedStore(name).slots == 3
    finally:
        os.unlink(store.path)


def test_without_a_file_it_cannot_be_pickled(impl):
    with pytest.raises(TypeError, match="shared by forking only, it cannot be pickled"):
        pickle.dumps(impl.SharedStore())


def test_slots(impl, tmp_path):
    impl.SharedStore(tmp_path / "x", slots=7)
    assert impl.SharedStore(tmp_path / "x").slots == 7
    assert impl.SharedStore(tmp_path / "x", slots=7).slots == 7
    with pytest.raises(ValueError, match="has another number of slots"):
        impl.SharedStore(tmp_path / "x", slots=8)
    for bad in (0, -1, 1 << 21, 1 << 80):
        with pytest.raises(ValueError, match="SharedStore: slots: wanted 1 to 1048576, got"):
            impl.SharedStore(slots=bad)
    for bad in ("1", 1.0, True):
        with pytest.raises(TypeError, match="SharedStore: slots: wanted an int or None, got"):
            impl.SharedStore(slots=bad)


def test_paths_that_will_not_do(impl, tmp_path):
    with pytest.raises(FileNotFoundError):
        impl.SharedStore(tmp_path / "no" / "such")
    with pytest.raises(OSError):
        impl.SharedStore(tmp_path)
    with pytest.raises(TypeError):
        impl.SharedStore(5)
    with pytest.raises(OSError):
        impl.SharedStore("")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError):
        impl.SharedStore(tmp_path / "link")
    with pytest.raises(TypeError):
        impl.SharedStore(tmp_path / "x", 5)


def test_files_of_something_else(impl, tmp_path):
    path = tmp_path / "x"
    for content in (b"x", b"text\n" * 1000, b"[1, 2]", b"\x01" * 64):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no store"):
            impl.SharedStore(path)
        assert path.read_bytes() == content


def test_pipes(native, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is not a regular file"):
        native.SharedStore(tmp_path / "pipe")


HEAD = struct.Struct("=QII16sQQ")


def rewrite(path, **changes):
    """Change the head of a page."""
    names = ("magic", "version", "count", "boot", "seed", "seed2")
    content = bytearray(path.read_bytes())
    head = dict(zip(names, HEAD.unpack_from(content), strict=True)) | changes
    HEAD.pack_into(content, 0, *head.values())
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"magic": 5}, "is no store"),
        ({"version": 2}, "is a store of another version of ferrule"),
        ({"version": 0}, "is a store of another version of ferrule"),
        ({"count": 0}, "not as long as it says"),
        ({"count": 9}, "not as long as it says"),
        ({"count": 0xFFFFFFFF}, "not as long as it says"),
        ({"boot": b"other", "count": 9}, "not as long as it says"),
    ],
)
def test_pages_that_are_not_ours(native, tmp_path, changes, match):
    path = tmp_path / "x"
    native.SharedStore(path, slots=10)
    rewrite(path, **changes)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=match):
        native.SharedStore(path)
    assert path.read_bytes() == before


def test_a_page_of_another_boot_starts_anew(native, tmp_path):
    path = tmp_path / "x"
    native.rate_limit(1e-3, store=native.SharedStore(path, slots=10), name="x")(give)()
    rewrite(path, boot=b"another boot")
    store = native.SharedStore(path)
    assert (store.used, store.slots) == (0, 10)
    native.rate_limit(5, store=store, name="x")(give)()


def test_a_page_whose_maker_died(native, tmp_path):
    """The magic is written last."""
    path = tmp_path / "x"
    native.SharedStore(path, slots=10)
    rewrite(path, magic=0)
    with pytest.raises(ValueError, match="is no store"):
        native.SharedStore(path)  # of 1,024 slots, it would be
    assert native.SharedStore(path, slots=10).used == 0


def test_a_name_whose_maker_died(native, tmp_path):
    """It was entered, but not its rule: the next one completes it."""
    path = tmp_path / "x"
    store = native.SharedStore(path, slots=1)
    native.rate_limit(1, store=store, name="x")(give)
    with open(path, "r+b") as file:
        file.seek(64 + 16)
        file.write(bytes(16))
    limited = native.rate_limit(1e-3, mode="raise", store=store, name="x")(give)
    limited()
    with pytest.raises(ValueError, match="another rate"):
        native.rate_limit(1, store=store, name="x")(give)


WORDS = [0, 1, -1, 2**63 - 1, -(2**63), 2**62, 2**61, -(2**61), 5**20]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("mode", ["wait", "raise"])
def test_any_word_gives_some_answer(native, tmp_path, monkeypatch, word, mode):
    path = tmp_path / "x"
    store = native.SharedStore(path, slots=1)
    limited = native.rate_limit(1, burst=3, mode=mode, store=store, name="x")(give)

    def fail(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", fail)
    for _ in range(3):
        with open(path, "r+b") as file:
            file.seek(64 + 8)
            file.write(struct.pack("=q", word))
        wait = limited.retry_after()
        assert 0 <= wait < 2**64 / 1e9
        try:
            limited()
        except native.RateLimited as error:
            assert 0 < error.retry_after < 2**64 / 1e9
        except KeyboardInterrupt:
            assert mode == "wait"


def test_a_page_full_of_other_names(native, tmp_path):
    path = tmp_path / "x"
    store = native.SharedStore(path, slots=50)
    with open(path, "r+b") as file:
        file.seek(64)
        file.write(b"\xff" * 50 * 64)
    with pytest.raises(RuntimeError, match="all 50 names are in use"):
        native.rate_limit(1, store=store, name="x")(give)
    assert store.used == 50


# ---- processes


def test_a_fork_shares_the_limit(impl):
    limited = impl.rate_limit(1e-3, burst=2, mode="raise", store=impl.SharedStore())(give)
    limited()
    assert in_child(lambda: limited.try_acquire() and not limited.try_acquire()) == 1
    with pytest.raises(impl.RateLimited):
        limited()
    assert (limited.allowed, limited.rejected) == (1, 1)


def test_without_a_store_a_fork_has_its_own(impl):
    limited = impl.rate_limit(1e-3, burst=2, mode="raise")(give)
    limited()
    assert in_child(lambda: limited.try_acquire() and not limited.try_acquire()) == 1
    limited()


def test_forks_while_threads_wait(impl):
    """The child has the queue, but not those who wait in it, and no lock of theirs."""
    limited = impl.rate_limit(20, burst=1)(give)
    threads = [threading.Thread(target=limited) for _ in range(4)]
    for thread in threads:
        thread.start()
    while limited.retry_after() < 0.1:
        time.sleep(0.001)

    def child():
        signal.alarm(20)
        limited()
        return limited.allowed

    assert in_child(child) > 1
    for thread in threads:
        thread.join()
    assert limited.allowed == 4


CHILD = """
import sys, time
from ferrule{pure}.calls import SharedStore, rate_limit
store = SharedStore(sys.argv[1])
count = 0

@rate_limit({rate}, burst={burst}, store=store, name="shared")
def call():
    pass

def work(end):
    while time.monotonic() < end:
        call()

import threading
start = time.monotonic()
end = start + float(sys.argv[2])
threads = [threading.Thread(target=work, args=(end,)) for _ in range({threads})]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(call.allowed, start, time.monotonic())
"""


def run_processes(impl, path, *, seconds, rate, burst, processes=4, threads=8):
    """How many calls unrelated processes made, and in what time."""
    pure = ".pure" if "pure" in impl.__name__ else ""
    code = CHILD.format(pure=pure, rate=rate, burst=burst, threads=threads)
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(seconds)],
            stdout=subprocess.PIPE, text=True, env=environment,
        )
        for _ in range(processes)
    ]  # fmt: skip
    results = [child.communicate(timeout=120)[0].split() for child in children]
    assert all(child.returncode == 0 for child in children)
    counts, starts, stops = zip(*(map(float, result) for result in results), strict=True)
    return counts, max(stops) - min(starts)


@pytest.mark.processes
def test_never_above_the_rate(impl, tmp_path):
    counts, seconds = run_processes(impl, tmp_path / "x", seconds=0.5, rate=1000, burst=20)
    assert sum(counts) <= 20 + 1000 * seconds
    assert all(counts)


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(("rate", "burst"), [(1000, 1), (20_000, 100), (1e6, 1000)])
def test_never_above_the_rate_in_five_seconds(impl, tmp_path, rate, burst):
    """8 threads in each of 4 processes."""
    counts, seconds = run_processes(impl, tmp_path / "x", seconds=5, rate=rate, burst=burst)
    assert sum(counts) <= burst + rate * seconds
    if rate == 1000 and impl.__name__ == "ferrule.calls":
        assert sum(counts) >= 0.8 * rate * 5  # nor far below


@pytest.mark.processes
def test_a_process_that_is_killed_leaves_a_valid_limit(impl, tmp_path):
    path = tmp_path / "x"
    pure = ".pure" if "pure" in impl.__name__ else ""
    code = textwrap.dedent(f"""
        import sys
        from ferrule{pure}.calls import SharedStore, rate_limit
        store = SharedStore(sys.argv[1])
        call = rate_limit(1e6, burst=10, mode="raise", store=store, name="x")(int)
        print("ready", flush=True)
        while True:
            call.try_acquire()
    """)
    for wait in (0, 0.01, 0.02):
        child = subprocess.Popen(
            [sys.executable, "-c", code, path], stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
        )  # fmt: skip
        child.stdout.readline()
        time.sleep(wait)
        child.kill()
        child.communicate()
        limited = impl.rate_limit(
            1e6, burst=10, mode="raise", store=impl.SharedStore(path), name="x"
        )(give)
        time.sleep(0.001)
        for _ in range(5):
            limited()


@pytest.mark.processes
def test_opened_by_many_at_once(impl, tmp_path):
    """One of them makes the page."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(6)
    path = tmp_path / "x"
    left, right = context.Pipe(duplex=False)

    def work():
        barrier.wait()
        limited = impl.rate_limit(
            1e-3, burst=10, mode="raise", store=impl.SharedStore(path), name="x"
        )(give)
        right.send(sum(limited.try_acquire() for _ in range(10)))

    children = [context.Process(target=work) for _ in range(6)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert sum(left.recv() for _ in children) == 10
    left.close(), right.close()
