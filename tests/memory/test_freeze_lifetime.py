"""freeze() where memory runs out, among hostile finalizers, under the collector's debug flags."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lifetime import in_subinterpreter, no_leak, walk_oom
from memory.frozen import FERRULE, IMMORTAL, run

needs_immortals = pytest.mark.skipif(not IMMORTAL, reason="nothing is made immortal here")


def test_failing_allocations() -> None:
    """MemoryError or a report; what was made immortal before the failure does no harm."""
    walk_oom(
        """
        report = freeze(mortal=[Box])
        assert report.objects > 0
        """,
        setup=f"""
        import sys
        sys.path.insert(0, {str(FERRULE)!r})
        from ferrule.memory import freeze
        class Box: pass
        kept = [[Box(), f"text {{i}}"] for i in range(100)]
        """,
    )


@needs_immortals
def test_failing_allocations_of_drift() -> None:
    walk_oom(
        "assert drift().drifted == 0",
        setup=f"""
        import sys
        sys.path.insert(0, {str(FERRULE)!r})
        from ferrule.memory import drift, freeze
        freeze()
        """,
    )


@needs_immortals
def test_no_pages_for_the_walk() -> None:
    """What is reached through untracked objects only stays mortal, and the report says so."""
    run("""
    import resource
    kept = [[f"text {i}", (f"a {i}", f"b {i}")] for i in range(200_000)]
    gc.collect()
    class Del:
        def __del__(self, print=print): print("del")
    dels = [[Del()]]
    size = int(text_of("/proc/self/statm").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + 1_500_000, resource.RLIM_INFINITY))
    report = freeze(warm=int)
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert len(report.skipped) == 1 and "no memory to look into" in report.skipped[0], report
    assert immortal(kept) and immortal(kept[0]) and immortal(kept[-1][0])
    assert not immortal(kept[-1][1])
    assert freeze(warm=int).skipped == ()
    assert immortal(kept[-1][1]) and immortal(kept[-1][1][1])
    """)


@needs_immortals
def test_no_pages_at_the_end() -> None:
    """Without memory to find an order they run in none, and MemoryError is reported."""
    out = run("""
    import resource
    class Del:
        def __init__(self, n): self.n = n
        def __del__(self, os=os): os.write(1, b"x")
    dels = [[[Del(i)] for i in range(100_000)]]
    freeze()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    size = int(text_of("/proc/self/statm").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + 3_500_000, resource.RLIM_INFINITY))
    """)
    assert out == "x" * 100_000


def test_a_chain_of_finalizers_is_no_deep_recursion() -> None:
    out = run("""
    class Del:
        def __init__(self, next): self.next = next
        def __del__(self, os=os): os.write(1, b"x")
    first = None
    for i in range(50_000): first = Del(first)
    freeze()
    """)
    assert out == "x" * 50_000


@pytest.mark.parametrize("flags", ["DEBUG_STATS", "DEBUG_COLLECTABLE", "DEBUG_SAVEALL"])
def test_debug_flags_of_the_collector(flags: str) -> None:
    run(f"""
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    gc.set_debug(gc.{flags})
    for i in range(3):
        for i in range(100):
            cycle = Box(); cycle.cycle = cycle
        freeze()
        gc.collect()
    unfreeze()
    gc.collect()
    """)


def test_hostile_objects() -> None:
    """The walk runs nobody's code: no __eq__, __hash__, __getattr__, __class__, __len__."""
    run("""
    def bad(*arguments): raise ZeroDivisionError
    class Meta(type):
        __instancecheck__ = __subclasscheck__ = __getattribute__ = __eq__ = bad
        __hash__ = type.__hash__
        __repr__ = __call__ = bad
    class Bad(metaclass=Meta):
        __eq__ = __hash__ = __getattr__ = __len__ = __bool__ = __repr__ = __iter__ = bad
        __class__ = property(bad)
        def __new__(cls): raise ZeroDivisionError
    class Text(str): __hash__ = __eq__ = bad
    class Dict(dict): __iter__ = __getitem__ = keys = items = values = bad
    class Int(int): __index__ = __int__ = __bool__ = bad
    things = [object.__new__(Bad), Text("a"), Dict(a=1), Int(5), Bad]
    others = [[thing] for thing in things]
    freeze(warm=lambda: None)
    freeze(mortal=things)
    drift() if IMMORTAL else None
    """)


def test_finalizers_that_change_what_is_frozen() -> None:
    run("""
    class Del:
        def __init__(self, n): self.n = n
        def __del__(self):
            kept.append([self.n])
            if len(kept) % 3 == 0: freeze()
            kept.pop(0)
            gc.collect()
    kept = [[Del(1)], [Del(2)], {}]
    for i in range(20):
        cycle = Del(i); cycle.cycle = cycle
    del cycle
    freeze()
    for i in range(20): Del(i)
    kept.clear()
    freeze()
    """)


def test_many_times() -> None:
    run("""
    for i in range(50):
        data = [[str(j) for j in range(100)] for k in range(10)]
        freeze()
        if i % 10 == 0: unfreeze()
        if i % 7 == 0: gc.collect()
        if IMMORTAL: assert drift().drifted == 0
    assert gc.get_freeze_count() > 1000
    """)


def test_looking_leaves_nothing_behind() -> None:
    if not IMMORTAL:
        pytest.skip("drift() raises")
    run(f"""
    sys.path.insert(0, {str(Path(__file__).parents[1])!r})
    import lifetime
    freeze()
    lifetime.no_leak(drift, rounds=20)
    def wrong():
        try: freeze(warm=1)
        except TypeError: pass
        try: freeze(mortal=1)
        except TypeError: pass
    lifetime.no_leak(wrong, rounds=200)
    """)


def test_arguments_of_the_native_half() -> None:
    from ferrule import _memory  # noqa: PLC0415

    for call in (
        lambda: _memory._walk(1, True, True),
        lambda: _memory._walk((), True),
        lambda: _memory._set_guard(1, 2, (), ()),
        lambda: _memory._set_guard(1, 2, (), (), (1,)),
        lambda: _memory._set_guard(1, 2, 3, (), ()),
        _memory._Guard,
    ):
        with pytest.raises(TypeError):
            call()
        no_leak(call, raises=TypeError, rounds=100)


def test_in_subinterpreters() -> None:
    in_subinterpreter(f"""
    import sys
    sys.path.insert(0, {str(FERRULE)!r})
    from ferrule.memory import freeze, unfreeze
    report = freeze(mortal=[int])
    assert report.immortal == 0 or __name__ == "main", report
    unfreeze()
    """)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="reports on what is immortal")
def test_freed_parts_are_never_those_of_immortals() -> None:
    """Everything frozen is used after heavy churn; a freed one would be overwritten."""
    run("""
    data = {f"k{i}": [(i, f"t{i}", {"a": [i]}), {i, f"s{i}"}, frozenset([i])] for i in range(3000)}
    copy = {f"k{i}": [(i, f"t{i}", {"a": [i]}), {i, f"s{i}"}, frozenset([i])] for i in range(3000)}
    freeze()
    unfreeze()
    for round in range(5):
        for key in list(data): data[key] = list(data[key])
        for value in data.values(): value.reverse(); value.reverse()
        junk = [[str(i)] * 3 for i in range(20_000)]
        del junk
        gc.collect()
    assert data == copy
    """)
