"""Snapshot: growth by line, garbage by type and path, nothing left behind."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import subprocess
import sys
import textwrap
import threading
import tracemalloc
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from lifetime import no_leak, run_threads


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Nothing traced, no garbage, no collection but those of the test."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    tracemalloc.stop()


class Node:
    def __init__(self) -> None:
        self.next: Any = None
        self.prev: Any = None
        self.name = "a node"


class Slotted:
    __slots__ = ("__weakref__", "left", "right")
    left: Any
    right: Any


def found(impl: ModuleType, make: Callable[[], object]) -> Any:
    """The cycles that one call of `make` leaves."""
    before = impl.Snapshot.take()
    make()
    return (impl.Snapshot.take() - before).cycles


def paths(cycles: Any) -> dict[str, int]:
    return {cycle.path: cycle.groups for cycle in cycles.paths}


# ------------------------------------------------------------------------------------------ growth


def test_growth_by_line(impl: ModuleType) -> None:
    before = impl.Snapshot.take()
    data = [bytes(1000) for _ in range(1000)]
    diff = impl.Snapshot.take() - before
    stat = diff.top(1)[0]
    line = stat.traceback[0]
    assert line.filename == __file__ and "bytes(1000)" in str(stat.traceback.format())
    assert 1000 <= stat.count_diff < 1010 and stat.size_diff >= 1_000_000
    # the line is tracemalloc's
    assert str(stat).startswith(f"{__file__}:{line.lineno}: size=1")
    assert "(+" in str(stat) and ", count=100" in str(stat) and ", average=1" in str(stat)
    assert diff.growth >= stat.size_diff and diff.blocks >= 1000
    del data


def test_shrinking(impl: ModuleType) -> None:
    impl.Snapshot.take(cycles=False)
    data = [bytes(1000) for _ in range(1000)]
    before = impl.Snapshot.take(cycles=False)
    del data
    diff = impl.Snapshot.take(cycles=False) - before
    assert diff.growth < -900_000 and diff.blocks <= -900
    assert diff.top(1)[0].size_diff < -900_000


def test_top_of_one_snapshot(impl: ModuleType) -> None:
    impl.Snapshot.take()
    data = [{"x": i, "y": i**2} for i in range(1000)]
    snapshot = impl.Snapshot.take()
    stats = snapshot.top(5)
    assert 1 < len(stats) <= 5 and all(type(stat) is tracemalloc.Statistic for stat in stats)
    assert stats == snapshot.traces.statistics("lineno")[:5]
    assert str(stats[0]).startswith(f"{__file__}:") and "average=" in str(stats[0])
    assert snapshot.size >= stats[0].size and snapshot.blocks >= stats[0].count
    assert snapshot.top(0) == [] and snapshot.top() == stats
    del data


def test_other_keys(impl: ModuleType) -> None:
    before = impl.Snapshot.take(nframes=5)
    data = [bytes(1000) for _ in range(100)]
    after = impl.Snapshot.take()
    diff = after - before
    assert diff.top(1, key="filename")[0].traceback[0].filename == __file__
    assert len(diff.top(1, key="traceback")[0].traceback) == 5
    assert after.top(1, "filename")[0].traceback[0].lineno == 0
    del data


def test_own_lines_are_left_out(impl: ModuleType) -> None:
    first = impl.Snapshot.take()
    kept = [impl.Snapshot.take() for _ in range(3)]
    diff = impl.Snapshot.take() - first
    files = {stat.traceback[0].filename for stat in diff.top(1000)}
    assert tracemalloc.__file__ not in files
    folder = os.path.dirname(impl.__file__ or "")
    assert not any(file.startswith(folder) for file in files)
    del kept


def test_filters_replace_those(impl: ModuleType) -> None:
    impl.Snapshot.take()
    data = [bytes(100) for _ in range(100)]
    only = impl.Snapshot.take(filters=[tracemalloc.Filter(True, __file__)])
    assert {stat.traceback[0].filename for stat in only.top(1000)} == {__file__}
    everything = impl.Snapshot.take(filters=())
    assert tracemalloc.__file__ in {s.traceback[0].filename for s in everything.top(10_000)}
    del data


def test_starts_tracemalloc_and_says_so(impl: ModuleType) -> None:
    assert not tracemalloc.is_tracing()
    first = impl.Snapshot.take(nframes=3)
    assert first.started and tracemalloc.get_traceback_limit() == 3
    assert first.notes == ("tracemalloc was started by this snapshot",)
    second = impl.Snapshot.take(nframes=2)
    assert not second.started and second.notes == ()
    assert "started by this snapshot" in str(second - first)


def test_more_frames_than_there_are(impl: ModuleType) -> None:
    tracemalloc.start(2)
    snapshot = impl.Snapshot.take(nframes=4)
    assert snapshot.notes == ("tracemalloc keeps 2 of the 4 frames: it ran before",)
    assert tracemalloc.get_traceback_limit() == 2


def test_errors(impl: ModuleType) -> None:
    for nframes in (0, -1):
        with pytest.raises(ValueError, match=f"nframes must be at least 1, got {nframes}"):
            impl.Snapshot.take(nframes=nframes)
    assert not tracemalloc.is_tracing()
    snapshot = impl.Snapshot.take()
    with pytest.raises(ValueError, match="limit must not be negative, got -1"):
        snapshot.top(-1)
    with pytest.raises(ValueError, match="limit must not be negative, got -1"):
        (snapshot - snapshot).top(-1)
    with pytest.raises(TypeError):
        snapshot - 1
    with pytest.raises(TypeError):
        1 - snapshot


def test_text(impl: ModuleType) -> None:
    before = impl.Snapshot.take()
    first, second = Node(), Node()
    first.next, second.prev = second, first
    del first, second
    lines = str(impl.Snapshot.take() - before).splitlines()
    assert lines[0].startswith("growth: ") and " bytes in " in lines[0]
    assert lines[-4:] == [
        "garbage: 2 Node",
        "  1 x Node.next -> Node.prev",
        "collected in between: 0 objects",
        "tracemalloc was started by this snapshot",
    ]
    quiet = impl.Snapshot.take() - impl.Snapshot.take()
    assert "garbage: none" in str(quiet)
    without = impl.Snapshot.take(cycles=False)
    assert without.cycles is None and "garbage" not in str(without - before)


# ------------------------------------------------------------------------------------------ cycles


def pair() -> None:
    first, second = Node(), Node()
    first.next, second.prev = second, first


def test_a_pair(impl: ModuleType) -> None:
    cycles = found(impl, pair)
    assert cycles.types == {"Node": 2}
    assert [tuple(cycle) for cycle in cycles.paths] == [("Node.next -> Node.prev", 1, "freed")]
    assert cycles.records == () and cycles.notes == () and cycles.size > 0


def test_the_name_does_not_depend_on_the_order(impl: ModuleType) -> None:
    def make() -> None:
        pair()
        first, second = Node(), Node()
        second.prev, first.next = first, second
        first, second = Node(), Node()
        first.prev, second.next = second, first

    assert paths(found(impl, make)) == {"Node.next -> Node.prev": 3}


def test_rings_of_any_length_are_one_kind(impl: ModuleType) -> None:
    def make() -> None:
        for length in (1, 2, 7, 50):
            ring = [Node() for _ in range(length)]
            for i, node in enumerate(ring):
                node.next = ring[(i + 1) % length]

    cycles = found(impl, make)
    assert paths(cycles) == {"Node.next": 4} and cycles.types == {"Node": 60}


def test_a_doubly_linked_list_is_one_group(impl: ModuleType) -> None:
    def make() -> None:
        nodes = [Node() for _ in range(20)]
        for a, b in zip(nodes, nodes[1:], strict=False):
            a.next, b.prev = b, a

    assert paths(found(impl, make)) == {"Node.next -> Node.prev": 1}


def loop_in_list() -> None:
    items: list[Any] = []
    items.append(items)


def loop_in_dict() -> None:
    items: dict[Any, Any] = {}
    items["self"] = items


def loop_in_subclass() -> None:
    class Names(dict[Any, Any]):
        pass

    names = Names()
    names["me"] = names


def loop_in_slots() -> None:
    one = Slotted()
    one.left = [one]


def loop_in_tuple() -> None:
    items: list[Any] = []
    items.append((items, 1))


def loop_in_dict_of_attributes() -> None:
    node = Node()
    vars(node)["next"] = node


def loop_in_materialised_dict() -> None:
    node = Node()
    attributes = vars(node)
    node.next = attributes


def loop_in_method() -> None:
    node = Node()
    node.next = node.__init__  # type: ignore[misc]


def loop_in_function() -> None:
    def function() -> object:
        return function


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (loop_in_list, "list[]"),
        (loop_in_dict, "dict['self']"),
        (loop_in_subclass, "Names['me']"),
        (loop_in_slots, "Slotted.left -> list[]"),
        (loop_in_tuple, "list[] -> tuple[]"),
        (loop_in_dict_of_attributes, "Node.next"),
        (loop_in_method, "Node.next -> method.__self__"),
        (loop_in_function, "cell.cell_contents -> function.__closure__ -> tuple[]"),
    ],
)
def test_kinds_of_references(native: ModuleType, make: Callable[[], None], wanted: str) -> None:
    assert wanted in paths(found(native, make))


@pytest.mark.parametrize(
    "make", [loop_in_list, loop_in_dict, loop_in_slots, loop_in_tuple, loop_in_function, pair]
)
def test_the_twin_agrees(native: ModuleType, make: Callable[[], None]) -> None:
    twin = pytest.importorskip("ferrule.pure.memory")
    ours, theirs = found(native, make), found(twin, make)
    assert paths(ours) == paths(theirs) and ours.types == theirs.types


def test_more_kinds(native: ModuleType) -> None:
    def make() -> None:
        queue: deque[Any] = deque()
        queue.append(queue)
        ordered: OrderedDict[Any, Any] = OrderedDict()
        ordered["a b"] = ordered
        key = Node()
        key.next = {key: 1}
        partial = functools.partial(print)
        partial.keywords["me"] = partial
        space = types.SimpleNamespace()
        space.me = space
        members: set[Any] = set()
        node = Node()
        members.add(node)
        node.next = members

    assert paths(found(native, make)) == {
        "Node.next -> dict key": 1,
        "Node.next -> set": 1,
        "OrderedDict[]": 1,
        "SimpleNamespace.me": 1,
        "deque[]": 1,
        "dict['me'] -> partial.keywords": 1,
    }


def test_long_ways_are_cut(native: ModuleType) -> None:
    def make() -> None:
        start = node = Node()
        for i in range(20):
            new = Node()
            setattr(node, f"step{i}", new)
            node = new
        node.next = start

    (path,) = paths(found(native, make))
    assert path.endswith(" -> Node.step13 -> (13 more)") or "more)" in path
    assert path.count(" -> ") == 8


def test_what_only_hangs_on_a_cycle_is_counted(impl: ModuleType) -> None:
    def make() -> None:
        node = Node()
        node.next = node
        node.prev = [Slotted(), Slotted()]

    cycles = found(impl, make)
    assert cycles.types == {"Slotted": 2, "Node": 1, "list": 1}
    assert paths(cycles) == {"Node.next": 1}


def test_garbage_from_before_is_not_of_this_difference(impl: ModuleType) -> None:
    pair()
    assert found(impl, loop_in_list).types == {"list": 1}


def test_collected_in_between(impl: ModuleType) -> None:
    before = impl.Snapshot.take()
    for _ in range(10):
        pair()
    assert gc.collect() >= 20
    diff = impl.Snapshot.take() - before
    assert diff.collected >= 20 and diff.cycles.types == {}


def test_more_than_is_looked_at(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["ferrule.memory._cycles"]
    monkeypatch.setattr(module, "LIMIT", 10)

    def make() -> None:
        for _ in range(50):
            pair()

    cycles = found(native, make)
    assert cycles.types == {"Node": 100} and paths(cycles) == {"Node.next -> Node.prev": 5}
    assert cycles.notes == ("paths: of the first 10 of 100 objects only",)


def test_a_deep_chain(native: ModuleType) -> None:
    def make() -> None:
        start = node = Node()
        for _ in range(5_000):
            node.next = Node()
            node = node.next
        node.next = start

    assert paths(found(native, make)) == {"Node.next": 1}


# ----------------------------------------------------------------------------- nothing left behind


def test_garbage_is_freed(impl: ModuleType) -> None:
    dead = []

    def make() -> None:
        first, second = Node(), Node()
        first.next, second.prev = second, first
        dead.append(weakref.ref(first))

    found(impl, make)
    assert dead[0]() is None
    assert gc.garbage == []
    assert not any(type(obj) is Node for obj in gc.get_objects())
    assert gc.collect() == 0


@pytest.mark.parametrize("enabled", [True, False])
def test_settings_come_back(impl: ModuleType, enabled: bool) -> None:
    kept: list[Any] = ["kept"]
    (gc.enable if enabled else gc.disable)()
    gc.garbage.append(kept)
    threshold = gc.get_threshold()
    try:
        pair()
        impl.Snapshot.take()
        assert gc.isenabled() is enabled and gc.get_debug() == 0
        assert gc.get_threshold() == threshold
        assert len(gc.garbage) == 1 and gc.garbage[0] is kept
    finally:
        gc.garbage.clear()
        gc.disable()


def test_flags_of_the_user(impl: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    gc.set_debug(gc.DEBUG_COLLECTABLE)
    try:
        cycles = found(impl, pair)
        assert gc.get_debug() == gc.DEBUG_COLLECTABLE
    finally:
        gc.set_debug(0)
    assert cycles.types == {"Node": 2}
    # said once, by the collection that frees
    assert capfd.readouterr().err.count("gc: collectable <Node") == 2


def test_a_user_who_saves_all(impl: ModuleType) -> None:
    before = impl.Snapshot.take()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        pair()
        cycles = (impl.Snapshot.take() - before).cycles
        assert cycles.types == {"Node": 2}
        assert [type(obj) for obj in gc.garbage] == [Node, Node]
        assert gc.get_debug() == gc.DEBUG_SAVEALL
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.collect()


def test_finalizers_and_callbacks_run_once(impl: ModuleType) -> None:
    calls = []

    class Final:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            calls.append("del")

    def make() -> None:
        one = Final()
        kept.append(weakref.ref(one, lambda _: calls.append("callback")))

    kept: list[Any] = []
    cycles = found(impl, make)
    assert cycles.types == {"Final": 1} and paths(cycles) == {"Final.me": 1}
    assert sorted(calls) == ["callback", "del"]


def test_what_a_finalizer_revives_stays(impl: ModuleType) -> None:
    class Final:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            revived.append(self)

    revived: list[Any] = []
    cycles = found(impl, Final)
    assert cycles.types == {} and len(revived) == 1 and revived[0].me is revived[0]
    revived[0].me = None


def test_from_a_finalizer(impl: ModuleType) -> None:
    """A collection runs already: nothing is found, nothing breaks."""
    seen = []

    class Final:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            seen.append(impl.Snapshot.take())

    Final()
    gc.collect()
    assert seen[0].cycles.types == {} and gc.garbage == [] and gc.get_debug() == 0


def test_code_of_the_garbage_does_not_run(native: ModuleType) -> None:
    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise RuntimeError(f"class attribute {name}")

        def __hash__(cls) -> int:
            raise RuntimeError("hash of the class")

        def __eq__(cls, other: object) -> bool:
            raise RuntimeError("comparison of the class")

    class Hostile(dict[Any, Any], metaclass=Meta):
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(f"attribute {name}")

        def __iter__(self) -> Any:
            raise RuntimeError("iteration")

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("comparison")

        def __hash__(self) -> int:
            raise RuntimeError("hash")

        def __len__(self) -> int:
            raise RuntimeError("length")

        def __repr__(self) -> str:
            raise RuntimeError("repr")

    def make() -> None:
        one = Hostile()
        dict.__setitem__(one, "me", [one])

    assert paths(found(native, make)) == {"Hostile['me'] -> list[]": 1}


def test_an_error_while_looking(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["ferrule.memory._cycles"]

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_examine", fail)
    pair()
    gc.enable()
    with pytest.raises(KeyboardInterrupt):
        native.Snapshot.take()
    assert gc.isenabled() and gc.get_debug() == 0 and gc.garbage == []
    gc.disable()
    gc.collect()


def test_no_leak(impl: ModuleType) -> None:
    tracemalloc.start()

    def work() -> None:
        pair()
        before = impl.Snapshot.take()
        loop_in_slots()
        diff = impl.Snapshot.take() - before
        assert diff.cycles.types

    no_leak(work, rounds=10)


def test_threads(impl: ModuleType) -> None:
    impl.Snapshot.take()
    gc.enable()

    def work() -> None:
        for _ in range(3):
            pair()
            before = impl.Snapshot.take()
            pair()
            assert (impl.Snapshot.take() - before).cycles is not None

    run_threads(work, 3)
    gc.collect()
    assert gc.get_debug() == 0 and gc.garbage == [] and gc.isenabled()


def test_a_child_forked_meanwhile(native: ModuleType) -> None:
    """While one thread looks, another forks: the child's collector is as the user has set it."""
    program = """
import gc, os, sys, threading
from ferrule.memory import Snapshot

class Final:
    def __init__(self):
        self.me = self
    def __del__(self):
        looking.set()
        forked.wait()

gc.set_threshold(10**6)  # no collection but that of the snapshot
looking, forked = threading.Event(), threading.Event()
Final()
thread = threading.Thread(target=Snapshot.take, daemon=True)
thread.start()
looking.wait()
assert gc.get_debug() == gc.DEBUG_SAVEALL and not gc.isenabled()
child = os.fork()
if child == 0:
    assert gc.get_debug() == 0 and gc.isenabled() and gc.garbage == []
    Snapshot.take()  # does not wait for a thread that is not here
    os._exit(0)
status = os.waitpid(child, 0)[1]
forked.set()
thread.join()
assert gc.get_debug() == 0 and gc.isenabled() and gc.garbage == []
sys.exit(os.waitstatus_to_exitcode(status))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "ignore", "-c", program]
    subprocess.run(command, check=True, env=environment, timeout=60)


# --------------------------------------------------------------------------- gc=False records


#: In a process of its own: what is caught there is never freed.
RECORDS = """
import gc, json, sys
from ferrule.memory import Snapshot

from ferrule.records import Record, i64, record

class Leaf(Record, gc=False):
    number: i64
    owner: object

class Derived(Leaf, gc=False):
    more: object = None

class Traced(Record):
    owner: object

class Scalars(Record, gc=False):
    number: i64

class Owner:
    def __init__(self):
        self.leaves = []

def caught(code):
    space = dict(globals())
    exec(code, space)
    cycles = Snapshot.take().cycles
    print(json.dumps([[*cycle] for cycle in cycles.records]))
    assert gc.garbage == []
    space.clear()

gc.disable()
"""


def caught(*codes: str) -> list[list[tuple[str, int, str]]]:
    """What is reported after each piece of code."""
    pytest.importorskip("ferrule.records")
    program = RECORDS + "".join(f"caught({textwrap.dedent(code)!r})\n" for code in codes)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    lines = [eval(line) for line in done.stdout.splitlines()]
    return [[tuple(cycle) for cycle in line] for line in lines]


NEVER = "Leaf.owner -> Owner.leaves -> list[]"


def test_records_caught_in_a_cycle(native: ModuleType) -> None:
    first, second = caught(
        """
        owner = Owner()
        owner.leaves.append(Leaf(1, owner))
        """,
        "pass",
    )
    # what the first piece held is let go before the second
    assert first == [(NEVER, 1, "in use")] and second == [(NEVER, 1, "never freed")]


def test_records_in_use_and_not(native: ModuleType) -> None:
    (found,) = caught(
        """
        for _ in range(3):
            owner = Owner()
            owner.leaves.append(Leaf(1, owner))
        """
    )
    assert found == [(NEVER, 2, "never freed"), (NEVER, 1, "in use")]


def test_what_a_lost_record_leads_to_is_lost(native: ModuleType) -> None:
    (found,) = caught(
        """
        owner, other = Owner(), Owner()
        owner.leaves.append(Leaf(1, owner))
        other.leaves.append(Derived(1, other))
        owner.other = other
        del owner, other
        """
    )
    assert found == [
        ("Derived.owner -> Owner.leaves -> list[]", 1, "never freed"),
        (NEVER, 1, "never freed"),
    ]


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("a = [None]; a[0] = Leaf(1, a); del a", ["Leaf.owner -> list[]"]),
        ("a = []; a.append(Derived(1, 2, a)); del a", ["Derived.more -> list[]"]),
        # between two such records, held by a list that the collector knows
        ("a = Leaf(1, None); b = Leaf(2, a); a.owner = b; kept = [a]", ["Leaf.owner"]),
        # behind containers that the collector has stopped tracking
        ("a = Leaf(1, None); a.owner = (a,); kept = [((a,),)]", ["Leaf.owner -> tuple[]"]),
        ("a = Leaf(1, None); a.owner = {'x': a}; kept = [a]", ["Leaf.owner -> dict['x']"]),
        ("a = Leaf(1, None); a.owner = a; kept = [a]", ["Leaf.owner"]),
        # no cycle
        ("a = Leaf(1, [Leaf(2, None)])", []),
        ("a = Scalars(1)", []),
        # the collector frees this one
        ("a = []; a.append(Traced(a)); del a", []),
        # a way over a module or a class is none
        ("import sys; a = Leaf(1, sys); sys.here = a", []),
        ("class C: pass\nC.a = Leaf(1, C)", []),
        ("a = Leaf(1, None); a.owner = caught; caught.a = [a]", ["Leaf.owner -> function.a"]),
    ],
)
def test_ways_through_records(native: ModuleType, code: str, wanted: list[str]) -> None:
    (found,) = caught(code)
    if wanted[:1] == ["Leaf.owner -> function.a"]:
        wanted = ["Leaf.owner -> function.a -> list[]"]
    assert [path for path, _, _ in found] == wanted


def test_without_records_the_room_is_not_loaded(native: ModuleType) -> None:
    program = (
        "from ferrule.memory import Snapshot; import sys; Snapshot.take(); "
        "assert not any('records' in name for name in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_many_records(native: ModuleType) -> None:
    (found,) = caught(
        """
        import ferrule.memory._cycles as module
        module.LIMIT = 400
        kept = []
        for _ in range(300):
            owner = Owner()
            owner.leaves.append(Leaf(1, owner))
            kept.append(owner)
        """
    )
    assert found == [(NEVER, 100, "in use")]


def test_records_while_threads_run(native: ModuleType) -> None:
    records = pytest.importorskip("ferrule.records")
    leaf = records.make_record("Leaf", [("owner", object)], gc=False)
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            items: list[Any] = [None]
            items[0] = leaf(items)
            items[0].owner = None

    thread = threading.Thread(target=churn)
    thread.start()
    with contextlib.ExitStack() as stack:
        stack.callback(thread.join)
        stack.callback(stop.set)
        native.Snapshot.take()


FREE_LIST = """
import asyncio, gc
from ferrule.memory import Snapshot
from ferrule.records import Record

class Leaf(Record, gc=False):
    owner: object

async def wait():
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    await future

async def main():
    await asyncio.gather(*(wait() for _ in range(300)))

kept = [Leaf(None)]
for _ in range(3):
    asyncio.run(main())
    for _ in range(3):
        Snapshot.take()
    gc.collect()
asyncio.run(main())
gc.collect()
"""


@pytest.mark.processes
def test_dead_objects_of_free_lists_stay_dead(native: ModuleType) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", FREE_LIST], check=True, env=environment, timeout=60)
