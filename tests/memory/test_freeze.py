"""freeze(), unfreeze(), drift(): what they do, what they say, what they leave alone."""

from __future__ import annotations

import sys

import pytest

from memory.frozen import IMMORTAL, run

pytestmark = pytest.mark.processes

needs_immortals = pytest.mark.skipif(not IMMORTAL, reason="nothing is made immortal here")


# ---- the report


def test_report() -> None:
    run("""
    data = {f"key {i}": [i, str(i), (i, f"text {i}"), {"a": i}] for i in range(1000, 3000)}
    report = freeze(warm=int)
    assert report.objects > 4000 and abs(gc.get_freeze_count() - report.objects) < 20
    assert report._fields == (
        "objects", "immortal", "mortal", "hashed", "versioned", "seconds", "skipped"
    )
    assert 0 <= report.seconds < 10
    assert set(report.mortal) <= {"finalizer", "owner", "running", "asked"}
    if IMMORTAL:
        assert report.immortal > 12_000 and report.hashed >= 4000 and report.skipped == ()
        assert sys.getrefcount(data) == FOREVER
        for k, v in data.items():
            assert all(map(immortal, (k, v, *v, *v[2], *v[3], *v[3].values())))
    else:
        assert (report.immortal, report.mortal, report.hashed, report.versioned) == (0, {}, 0, 0)
        assert not immortal(data)
    """)


def test_report_as_text() -> None:
    out = run("print(freeze())")
    first, *rest = out.splitlines()
    assert "objects frozen" in first and first.endswith("s of CPU")
    assert rest[0] == "not done: warm: no function was given to run"


@pytest.mark.skipif(IMMORTAL, reason="here they are")
def test_nothing_is_immortal_here() -> None:
    out = run("""
    print(freeze(warm=int))
    try:
        drift()
    except RuntimeError as error:
        print(error)
    """)
    if sys.version_info < (3, 12):
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        assert f"not done: immortal: CPython {version} has no immortal objects" in out
        assert f"drift(): nothing is immortal here: CPython {version} has no" in out
    assert "not done: hash: of no use without immortal objects" in out


def test_what_was_not_asked_for() -> None:
    out = run("""
    report = freeze(collect=False, immortal=False, seal=True, warm=int)
    assert report.immortal == 0 and abs(gc.get_freeze_count() - report.objects) < 20
    print(report)
    """)
    assert out.splitlines()[1:] == [
        "not done: collect: not asked for",
        "not done: seal: not in this version",
        "not done: immortal: not asked for",
        "not done: hash: of no use without immortal objects",
    ]


@needs_immortals
def test_threads_are_said() -> None:
    run("""
    import threading
    data = [Box()]
    go = threading.Event()
    threads = [threading.Thread(target=go.wait, daemon=True) for i in range(2)]
    for thread in threads: thread.start()
    report = freeze(warm=int)
    assert report.immortal == 0 and report.objects > 0, report
    assert report.skipped[0] == "immortal: 2 other threads are running", report
    assert not immortal(data)
    try:
        drift()
    except RuntimeError as error:
        assert str(error) == "drift(): nothing is immortal here: 2 other threads are running"
    go.set()
    for thread in threads: thread.join()
    assert freeze().immortal > 1000 and immortal(data)
    """)


@needs_immortals
def test_in_a_thread() -> None:
    run("""
    import threading
    found = []
    thread = threading.Thread(target=lambda: found.append(freeze()))
    thread.start(); thread.join()
    assert found[0].immortal == 0
    assert "immortal: 1 other threads are running" in found[0].skipped
    def child():
        # forked from a thread: now it is alone
        return freeze().immortal > 1000
    thread = threading.Thread(target=lambda: found.append(forked(child)))
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    thread.start(); thread.join()
    assert found[1] is True
    """)


@needs_immortals
def test_interpreters_are_said() -> None:
    run("""
    if sys.version_info >= (3, 13):
        import _interpreters as interpreters
    else:
        import _xxsubinterpreters as interpreters
    data = [Box()]
    one = interpreters.create()
    report = freeze(warm=int)
    assert report.skipped[0] == "immortal: there are 2 interpreters", report
    assert report.immortal == 0 and not immortal(data)
    path = sys.path
    error = interpreters.run_string(one, f'''if 1:
        import sys; sys.path[:] = {path!r}
        from ferrule.memory import drift, freeze, unfreeze
        report = freeze()
        assert report.immortal == 0 and report.objects > 0
        assert "immortal: there are 2 interpreters" in report.skipped
        unfreeze()
    ''')
    assert error is None, error
    interpreters.destroy(one)
    assert freeze().immortal > 1000 and immortal(data)
    two = interpreters.create()
    assert interpreters.run_string(two, "import json; x = json.dumps([1])") is None
    interpreters.destroy(two)
    """)


# ---- arguments


def test_errors_of_arguments() -> None:
    run("""
    def error(**arguments):
        try:
            freeze(**arguments)
        except TypeError as error:
            return str(error)
    assert error(warm=1) == "freeze(): warm must be callable, got int"
    assert error(mortal=1) == "freeze(): mortal must be an iterable of objects, got int"
    assert "unexpected keyword" in error(warms=1)
    assert gc.get_freeze_count() == 0 or IMMORTAL
    data = [Box()]
    assert not immortal(data)
    try:
        freeze(True)
    except TypeError:
        pass
    """)


def test_warm_is_called_first() -> None:
    run("""
    calls = []
    def warm():
        calls.append(gc.get_freeze_count())
        assert not immortal(calls)
    before = gc.get_freeze_count()
    freeze(warm=warm)
    assert calls == [before] * 8
    assert immortal(calls) is IMMORTAL
    """)


def test_warm_that_raises() -> None:
    run("""
    data = [Box()]
    calls = []
    def warm():
        calls.append(1)
        if len(calls) == 3:
            raise KeyError("from warm")
    before = gc.get_freeze_count()
    try:
        freeze(warm=warm)
    except KeyError as error:
        assert error.args == ("from warm",)
    else:
        assert False
    assert len(calls) == 3 and not immortal(data) and gc.get_freeze_count() == before
    """)


@needs_immortals
def test_mortal_names_objects_and_classes() -> None:
    run("""
    class Base: pass
    class Left(Base): pass
    class Right(Base): pass
    class Both(Left, Right): pass
    class Other: pass
    class Odd:
        __class__ = property(lambda self: type)
    alone = [1, 2]
    things = [Base(), Left(), Both(), Other(), alone, Odd()]
    report = freeze(mortal=(thing for thing in (Base, alone, things[5])))
    assert [immortal(thing) for thing in things] == [False, False, False, True, False, False]
    assert immortal(Other) and immortal(things)
    assert report.mortal["asked"] >= 5
    gone = []
    weakref.finalize(things[0], gone.append, 1)
    del things[0]
    assert gone == [1]
    freeze(mortal=[object])
    """)


# ---- what stays mortal


@needs_immortals
def test_what_has_a_finalizer_stays_mortal() -> None:
    run("""
    import io, socket
    dead = []
    class Del:
        def __del__(self): dead.append("del")
    class Slots:
        __slots__ = ()
        def __del__(self): dead.append("slots")
    class Sub(Del): pass
    def generator():
        try: yield
        finally: dead.append("generator")
    things = [Del(), Slots(), Sub(), generator(), io.BytesIO(), socket.socket()]
    next(things[3])
    report = freeze()
    assert not any(immortal(thing) for thing in things)
    assert report.mortal["finalizer"] >= 6, report.mortal
    things[5].close()
    things.clear()
    assert sorted(dead) == ["del", "del", "generator", "slots"]
    """)


@needs_immortals
def test_owners_stay_mortal(tmp_path: object) -> None:
    run("""
    class Holder:
        def __init__(self, thing): self.thing = thing
    class Del:
        def __del__(self): dead.append(1)
    class Slots:
        __slots__ = ()
        def __del__(self): dead.append(1)
    dead = []
    app = Box()
    app.holder = Holder(Del())
    app.dict = [{"a": Del()}]
    app.list = [Del()]
    app.tuple = [(Del(), [])]
    app.partial = __import__("functools").partial(repr, Del())
    app.slots = Holder(Slots())
    app.big = Holder(Del())
    vars(app.big).update((f"x{i}", i) for i in range(100))
    report = freeze()
    assert report.mortal["owner"] >= 6
    assert immortal(app)
    for i, name in enumerate(["holder", "dict", "list", "tuple", "partial", "slots", "big"]):
        delattr(app, name)
        assert len(dead) == i + 1, name
    """)


@needs_immortals
def test_dropping_an_owner_closes_its_file() -> None:
    run("""
    import socket, tempfile
    class Handler:
        def __init__(self): self.f = os.fdopen(os.dup(2), "w")
    class Client:
        def __init__(self, s): self.socket = s
    app = Box()
    app.handler = Handler()
    ours, theirs = socket.socketpair()
    app.client = Client(theirs)
    del theirs
    freeze()
    fd = app.handler.f.fileno()
    import warnings
    warnings.simplefilter("ignore", ResourceWarning)
    del app.handler
    try:
        os.fstat(fd)
        assert False, "still open"
    except OSError:
        pass
    del app.client
    assert ours.recv(1) == b""
    ours.close()
    """)


@needs_immortals
def test_objects_with_a_finalizer_registered_stay_mortal() -> None:
    run("""
    dead = []
    app = Box()
    app.a, app.b = Box(), Box()
    weakref.finalize(app.a, dead.append, "a")
    try:
        from ferrule import lifetime
        lifetime.finalize(app.b, dead.append, "b")
    except ImportError:
        weakref.finalize(app.b, dead.append, "b")
    freeze()
    assert immortal(app) and not immortal(app.a) and not immortal(app.b)
    del app.a
    assert dead == ["a"]
    del app.b
    assert dead == ["a", "b"]
    """)


@needs_immortals
def test_weak_caches_keep_what_was_frozen() -> None:
    run("""
    cache = weakref.WeakValueDictionary()
    class Value: pass
    held = [Value()]
    cache["old"] = held[0]
    freeze()
    held.append(Value())
    cache["new"] = held[1]
    held.clear()
    assert set(cache) == {"old"}
    """)


# ---- everything is reached


@needs_immortals
def test_the_closure_is_complete() -> None:
    run("""
    import collections, contextvars, dataclasses, datetime, decimal, enum, functools, types
    @dataclasses.dataclass
    class Plain:
        a: object
    @dataclasses.dataclass(slots=True)
    class Slots:
        a: object
    class Colour(enum.Enum):
        RED = "the colour red"
    Named = collections.namedtuple("Named", "a b")
    def text(): return f"text {os.getpid()} {next(numbers)}"
    numbers = iter(range(1000))
    @functools.lru_cache
    def cached(x): return [x]
    var = contextvars.ContextVar("var", default=[text()])
    var.set([text()])
    def closure():
        cell = [text()]
        def function(x: text() = text(), *, y=text()):
            "a docstring"
            return cell, 123456789, (1.5, "constant"), lambda: {"frozen", "set"}
        return function
    leaves = {
        "dict": {text(): text()},
        "untracked dict": {text(): 10**10},
        "tuple": (text(), (text(), 1.5)),
        "nested": [[[({text(): [text()]},)]]],
        "set": {text()}, "frozenset": frozenset([text()]),
        "plain": Plain(text()), "slots": Slots([text()]), "named": Named(text(), 1.25),
        "enum": Colour.RED, "function": closure(), "partial": functools.partial(print, text()),
        "deque": collections.deque([text()]), "default": collections.defaultdict(list, a=[text()]),
        "ordered": collections.OrderedDict(a=text()), "proxy": types.MappingProxyType({1: text()}),
        "date": datetime.datetime.now(datetime.timezone.utc), "decimal": decimal.Decimal("1.5"),
        "method": Plain(text()).__init__, "slice": slice(text(), None), "bytes": text().encode(),
        "exception": ValueError(text()), "range": range(10**10, 10**11),
        "complex": 1j * next(numbers),
        "namespace": types.SimpleNamespace(a=text()), "cached": cached(text()),
        "super": super(Colour),
        "memory": memoryview(text().encode()), "bytearray": bytearray(text().encode()),
        "ref": weakref.ref(Colour), "property": property(text),
        "ints": [10**20 + i for i in range(3)],
    }
    freeze()
    seen = set()
    def check(path, o):
        if id(o) in seen or isinstance(o, types.FrameType): return
        seen.add(id(o))
        assert immortal(o), (path, type(o), o)
        for child in gc.get_referents(o):
            if not isinstance(child, (type, types.ModuleType)) and child is not globals():
                check(path + [type(o).__name__], child)
        if isinstance(o, dict):
            for key in o: check(path + ["key"], key)
        if isinstance(o, types.CodeType):
            for name in dir(o):
                if name in ("co_names", "co_consts", "co_name", "co_filename", "co_exceptiontable"):
                    check(path + [name], getattr(o, name))
    for name, leaf in leaves.items():
        seen.clear()
        check([name], name)
        check([name], leaf)
    for cls in (Plain, Slots, Colour, Named):
        check([], cls)
        check([], cls.__mro__); check([], cls.__bases__); check([], cls.__qualname__)
        for key, value in vars(cls).items(): assert immortal(key) and immortal(value)
    check([], var); assert immortal(var.get()[0])
    """)


@needs_immortals
def test_fields_of_records_without_the_collector() -> None:
    run("""
    try:
        from ferrule.records import record
    except ImportError:
        sys.exit()
    @record(gc=False)
    class Point:
        name: str
        where: str
        n: int
    points = [Point(f"name {i}", f"where {i}", 10**10 + i) for i in range(10)]
    freeze()
    assert all(immortal(point) for point in points)
    assert all(immortal(x) for point in points for x in (point.name, point.where, point.n)), [
        sys.getrefcount(points[0].name)]
    """)


@needs_immortals
def test_hashes_and_versions_are_there_before_the_fork() -> None:
    run("""
    data = ["".join(["text ", str(i)]) for i in range(1000)]
    class Class: pass
    first = freeze()
    assert first.hashed >= 1000 and first.versioned >= 1
    assert freeze().hashed < 100
    """)


@needs_immortals
def test_what_was_frozen_before_by_hand() -> None:
    run("""
    data = [Box()]
    gc.collect(); gc.freeze()
    freeze()
    assert immortal(data) and immortal(data[0])
    """)


# ---- again, in children, unfreeze


@needs_immortals
def test_twice_takes_in_what_is_new() -> None:
    run("""
    old = [Box()]
    first = freeze()
    new = [[Box()]]
    old[0].more = {"a": [Box()]}
    assert not immortal(new) and not immortal(old[0].more)
    second = freeze()
    assert immortal(new) and immortal(new[0][0]) and immortal(old[0].more["a"][0])
    assert 0 < second.immortal < first.immortal / 5
    assert second.objects >= first.objects
    assert gc.get_freeze_count() > second.objects - 100
    """)


@needs_immortals
@pytest.mark.parametrize("parent", [True, False])
def test_in_a_child(parent: bool) -> None:
    run(f"""
    data = [[Box()]]
    if {parent}: freeze()
    new = [Box()]
    def child():
        mine = [Box()]
        report = freeze()
        return (immortal(data[0][0]), immortal(new[0]), immortal(mine[0]), drift().drifted,
            report.immortal > 0)
    for i in range(2):
        assert forked(child) == (True, True, True, 0, True)
    assert immortal(data) is {parent} and not immortal(new)
    freeze()
    assert immortal(new)
    assert forked(child) == (True, True, True, 0, True)
    """)


def test_unfreeze() -> None:
    run("""
    data = [Box()]
    unfreeze()
    freeze()
    assert gc.get_freeze_count() > 1000
    unfreeze()
    assert immortal(data) is IMMORTAL
    unfreeze()
    freeze()
    assert gc.get_freeze_count() > 1000
    cycle = Box(); cycle.cycle = cycle; ref = weakref.ref(cycle)
    del cycle
    gc.collect()
    assert ref() is None
    """)


def test_collecting_afterwards() -> None:
    run("""
    class Node: pass
    def garbage():
        for i in range(1000):
            a, b = Node(), Node()
            a.b, b.a, a.old = b, a, old
    old = [Node() for i in range(1000)]
    gc.disable()
    garbage(); gc.collect()
    freeze()
    dead = []
    for i in range(3):
        watched = Node(); watched.me = watched; watched.old = old
        weakref.finalize(watched, dead.append, i)
        del watched
        garbage()
        assert gc.collect() >= 2000
        assert dead == list(range(i + 1))
    def child():
        garbage()
        return gc.collect() >= 2000
    assert forked(child) is True
    unfreeze()
    garbage()
    assert gc.collect() >= 2000
    """)


@needs_immortals
def test_drift() -> None:
    run("""
    import ctypes
    data = [object() for i in range(10)]
    lists = [[i] for i in range(10)]
    freeze()
    assert drift().drifted == 0
    before = drift().immortal
    assert before > 1000
    def move(o, by):
        ctypes.c_ssize_t.from_address(id(o)).value += by
    move(data[0], 1); move(data[1], -1); move(data[2], -1000); move(lists[0], -5); move(lists[1], 1)
    report = drift()
    # what was moved up is taken down again by whoever uses it
    assert 3 <= report.drifted <= 5, report
    assert abs(report.immortal - before) < 100
    freeze()
    assert drift().drifted == 0
    assert sys.getrefcount(lists[0]) == sys.getrefcount(data[2]) == FOREVER
    """)


# ---- where it is called


@needs_immortals
@pytest.mark.parametrize("ready", range(0, 25))
def test_inside_a_tuple_that_is_being_filled(ready: int) -> None:
    """tuple() resizes what it fills, which must be its own."""
    run(f"""
    def items():
        for i in range(30):
            if i == {ready}: freeze()
            yield [i]
    assert tuple(items()) == tuple([i] for i in range(30))
    assert tuple(items()) == tuple([i] for i in range(30))
    assert len({{*items()}} if 0 else [*items()]) == 30
    """)


@needs_immortals
def test_in_the_middle_of_things() -> None:
    run("""
    exec("freeze(); x = [1]; assert x == [1]")
    eval("freeze()")
    data = [[i] for i in range(20)]
    assert sorted(data, key=lambda x: (x[0] == 7 and freeze(), -x[0])[1])[0] == [19]
    class Key:
        def __init__(self, n): self.n = n
        def __hash__(self): return 1
        def __eq__(self, other): freeze(); return self.n == other.n
        def __lt__(self, other): freeze(); return self.n < other.n
    assert len({Key(i % 3): i for i in range(6)}) == 3
    keys = [Key(3), Key(1), Key(2)]
    keys.sort()
    assert [key.n for key in keys] == [1, 2, 3]
    assert list(map(lambda i: freeze() and i, [1, 2])) == [1, 2]
    assert [*zip((freeze() and i for i in range(15)), range(15))][14] == (14, 14)
    assert "".join(freeze() and "a" for i in range(12)) == "a" * 12
    assert b"".join(freeze() and b"a" for i in range(12)) == b"a" * 12
    assert dict((freeze() and i, i) for i in range(12))[11] == 11
    import functools, itertools
    assert functools.reduce(lambda a, b: freeze() and (a, b), [1, 2, 3]) == ((1, 2), 3)
    assert list(itertools.product([1, 2], (freeze() and i for i in [3, 4])))[3] == (2, 4)
    import re
    assert re.sub("a", lambda m: freeze() and "b", "aaa") == "bbb"
    @functools.lru_cache(maxsize=2)
    def cached(i): freeze(); return [i]
    for i in [1, 2, 3, 1, 2, 3, 3]: assert cached(i) == [i]
    cached.cache_clear()
    for i in [1, 2, 3]: assert cached(i) == [i]
    """)


def test_in_a_finalizer_a_callback_and_a_collection() -> None:
    run("""
    done = []
    class Del:
        def __del__(self): freeze(); done.append("del")
    Del()
    cycle = Del(); cycle.cycle = cycle
    del cycle
    gc.collect()
    box = Box()
    ref = weakref.ref(box, lambda ref: (freeze(), done.append("callback")))
    del box
    def callback(phase, info):
        if phase == "start" and len(done) == 3:
            done.append("start"); freeze()
    gc.callbacks.append(callback)
    gc.collect()
    gc.callbacks.clear()
    assert done == ["del", "del", "callback", "start"], done
    for i in range(3): gc.collect()
    freeze()
    """)


@pytest.mark.parametrize("how", ["settrace", "setprofile", "monitoring"])
def test_while_traced(how: str) -> None:
    run(f"""
    events = []
    def trace(frame, event, argument):
        events.append(event)
        return trace
    how = {how!r}
    if how == "monitoring" and sys.version_info >= (3, 12):
        sys.monitoring.use_tool_id(1, "test")
        sys.monitoring.register_callback(1, 1, lambda code, at: events.append(1))
        sys.monitoring.set_events(1, 1)
    elif how != "monitoring":
        getattr(sys, how)(trace)
    def work(n): return [i for i in range(n)]
    work(3); freeze(warm=lambda: work(3)); work(3)
    if how == "monitoring" and sys.version_info >= (3, 12):
        sys.monitoring.set_events(1, 0)
    elif how != "monitoring":
        getattr(sys, how)(None)
    count = len(events)
    assert work(4) == [0, 1, 2, 3] and len(events) == count
    freeze()
    """)


def test_with_the_collector_off() -> None:
    run("""
    gc.disable()
    cycle = Box(); cycle.cycle = cycle
    ref = weakref.ref(cycle)
    del cycle
    freeze()
    assert ref() is None and not gc.isenabled()
    assert forked(lambda: (gc.isenabled(), gc.collect() >= 0)) == (False, True)
    """)


@needs_immortals
def test_generators_coroutines_and_contexts_go_on() -> None:
    run("""
    import asyncio, contextlib, contextvars
    def generator():
        local = [1]
        for i in range(5):
            local.append((yield (i, local)))
    running = generator(); next(running); running.send("a")
    @contextlib.contextmanager
    def context():
        yield [1]
    var = contextvars.ContextVar("var")
    var.set([0])
    async def main():
        queue = asyncio.Queue()
        async def put():
            for i in range(3):
                await queue.put([i])
                await asyncio.sleep(0)
        task = asyncio.create_task(put())
        first = await queue.get()
        freeze()
        rest = [await queue.get() for i in range(2)]
        await task
        var.set([1])
        async def agen():
            for i in range(3):
                yield i
        async for i in agen():
            freeze()
        return [first, *rest]
    with context() as inside:
        assert asyncio.run(main()) == [[0], [1], [2]]
    assert running.send("b") == (2, [1, "a", "b"])
    running.close()
    assert contextvars.copy_context().run(lambda: var.get()) == [0]
    """)


@needs_immortals
def test_classes_can_still_change() -> None:
    run("""
    class Base:
        def method(self): return 1
    class Child(Base): pass
    thing = Child()
    def call(): return thing.method()
    freeze(warm=call)
    assert call() == 1
    Base.method = lambda self: 2
    assert call() == 2
    Child.method = lambda self: 3
    assert call() == 3
    del Child.method
    Child.__bases__ = (type("Other", (Base,), {"method": lambda self: 4}),)
    assert call() == 4
    thing.__class__ = type("New", (), {"method": lambda self: 5})
    assert call() == 5
    thing.__dict__ = {"method": lambda: 6}
    assert call() == 6
    name = "interned " + str(1)
    other = sys.intern(name)
    freeze()
    assert sys.intern("interned 1") is other and immortal(other)
    later = "later " + str(1)
    freeze()
    assert sys.intern(later) is later and sys.intern("later 1") is later
    """)
