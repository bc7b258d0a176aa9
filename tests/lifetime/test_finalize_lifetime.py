"""finalize, Finalizable: leaks, failed allocations, sub-interpreters, threads; the twin's leaks."""

import contextlib
import functools
import gc
import itertools
import sys
import threading
import weakref

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import functools, gc, operator, sys
from ferrule._lifetime import Finalizable, finalize

class A:
    pass

class Sub(finalize):
    pass

class Loud(finalize):
    def __call__(self, _=None):
        return super().__call__()

class Thing(Finalizable):
    def __finalize__(self):
        return 5

class Slots(Finalizable):
    __slots__ = ()

class Failing(Finalizable):
    def __finalize__(self):
        raise ValueError

class Undecided:
    def __bool__(self):
        raise ValueError

def nothing(*args, **kwargs):
    return None

def fail(*args):
    raise ValueError

def over(x=1, *, y=2):
    return nothing

def refuse(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError, AttributeError):
        return
    except SystemError as error:
        # a function of Python's that finds no memory to raise what it wants to
        if not str(error).startswith("<function"):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

def closure(held):
    return lambda: held

def quiet(args):
    if isinstance(args.exc_value, MemoryError):
        failed.append(1)

def deep(value):
    for _ in range(6):
        value = [value, {"k": {1, 2}}]
    return value

failed = []
obj, dead = A(), finalize(A, nothing)
dead.detach()
kept = finalize(obj, nothing, 1, x=2)
by_closure, by_default = closure(obj), lambda x=obj: x
thing = Thing()
"""

SUCCESSES = {
    "create and call": "finalize(obj, nothing)()",
    "with arguments": "finalize(obj, nothing, 1, 2, x=3)()",
    "create and die": "one = A(); finalize(one, nothing, one.__class__, y=[]); del one",
    "many": "x = [A() for _ in range(300)]\nfor one in x: finalize(one, nothing)\ndel one, x",
    "die in a cycle": "one = A(); one.me = one; finalize(one, nothing, 1); del one; gc.collect(0)",
    "subclass": "one = A(); Sub(one, nothing, 1, x=2); del one",
    "subclass that overrides": "one = A(); Loud(one, nothing); del one",
    "subclass called": "Sub(obj, nothing, 1, x=2)(); Loud(obj, nothing)()",
    "init again": "one = Sub(obj, nothing); one(); one.__init__(obj, nothing, 1, x=2); one()",
    "new alone": "finalize.__new__(finalize, obj); Sub.__new__(Sub, obj)",
    "peek": "kept.peek(), dead.peek()",
    "detach": "finalize(obj, nothing, 1, x=2).detach(); dead.detach(); dead()",
    "flags": "kept.atexit = kept.inherit = True; kept.atexit, kept.inherit, kept.alive",
    "repr": "repr(kept), repr(dead)",
    "compare and hash": "kept == dead, kept != dead, hash(kept), {kept: 1}",
    "search": "finalize(obj, over, deep(1), functools.partial(over, 1, x=nothing)).detach()",
    "base": "Thing(); Thing().finalize(); Slots(); Finalizable().__finalize__()",
    "base in a cycle": "one = Thing(); one.me = one; del one; gc.collect(0)",
    "base flags": "thing.atexit = thing.inherit = True; thing.atexit, thing.inherit, thing.alive",
    "base class": "class Local(Thing): pass\nLocal(); del Local; gc.collect(0)",
}

ERRORS = {
    "missing": "refuse(finalize); refuse(finalize, obj); refuse(finalize.__new__, finalize)",
    "no weak references": "refuse(finalize, 5, nothing); refuse(Sub, 5, nothing)",
    "not callable": "refuse(finalize, obj, 5); refuse(Sub, obj, 5, 1, x=2)",
    "bound method": "refuse(finalize, Sub, Sub.mro); refuse(finalize, obj, obj.__repr__)",
    "held": "refuse(finalize, obj, nothing, deep(obj)); refuse(finalize, obj, nothing, x=[obj])",
    "held by func": "refuse(finalize, obj, by_default); refuse(finalize, obj, by_closure)",
    "held by a partial": "refuse(finalize, obj, functools.partial(nothing, obj))",
    "call with arguments": "refuse(kept, 1, 2); refuse(kept, x=1)",
    "call that fails": "refuse(finalize(obj, fail)); refuse(Loud(obj, fail, 1))",
    "init alive": "refuse(kept.__init__, obj, nothing); refuse(kept.__init__, A(), nothing)",
    "init wrong": "refuse(dead.__init__, A, 5); refuse(dead.__init__); refuse(dead.__init__, A)",
    "flag": "refuse(setattr, kept, 'atexit', Undecided()); refuse(delattr, kept, 'inherit')",
    "fail at death": "sys.unraisablehook = quiet; one = A(); finalize(one, fail); del one",
    "fail loudly": "sys.unraisablehook = quiet; one = A(); Loud(one, fail); del one",
    "callback": "refuse(kept.__callback__, 5)",
    "order": "refuse(operator.lt, kept, dead)",
    "base arguments": "refuse(Finalizable, 1); refuse(Slots, x=1)",
    "base fails": "refuse(Failing().finalize); sys.unraisablehook = quiet; Failing()",
    "base with a __del__": "refuse(type, 'X', (Thing,), {'__del__': nothing})",
    "base options": "refuse(type, 'X', (Thing,), {}, tag=1)",
    "base flag": "refuse(setattr, thing, 'atexit', Undecided()); refuse(delattr, thing, 'inherit')",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


@pytest.fixture(autouse=True)
def hook():
    """Some cases set one."""
    yield
    sys.unraisablehook = sys.__unraisablehook__


def ready(code, setup=SETUP):
    space = {"__name__": "ready"}
    exec(setup, space)
    return functools.partial(exec, compile(code, "case", "exec"), space)


@covers(
    *["finalize", "finalize.__init__", "finalize.__call__", "finalize.__repr__"],
    *["finalize.__hash__", "finalize.__eq__", "finalize.__ne__", "finalize.__lt__"],
    *["finalize.__le__", "finalize.__gt__", "finalize.__ge__"],
    *["finalize.peek", "finalize.detach"],
    *["Finalizable", "Finalizable.__finalize__", "Finalizable.__init_subclass__"],
    *["Finalizable.finalize", "Finalizable.__del__"],
)
@covers(
    *["finalize", "finalize.__init__", "finalize.__call__", "finalize.__lt__"],
    *["Finalizable", "Finalizable.__init_subclass__", "Finalizable.finalize"],
    *["Finalizable.__del__"],
    error=True,
)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    code = ready(CASES[case])
    slow = any(word in CASES[case] for word in ("range", "class ", "type"))
    no_leak(code, rounds=50 if slow else 300)


# Without memory CPython (to 3.13) crashes where it makes classes and closures, and 3.11 and 3.12
# where they cannot make room for the callbacks of several references to one object: so those are
# made beforehand, and an object has one finalizer.
@pytest.mark.parametrize("case", [case for case in CASES if case != "base class"])
def test_every_allocation_fails_once(case):
    # A clean-up that finds no memory is reported, and counts as run: no hook, or it is shown.
    quietly = "import sys\nsys.unraisablehook = lambda args: None\n"
    code = CASES[case].replace("sys.unraisablehook = quiet; ", "")
    walk_oom(code, setup=SETUP + quietly)


def test_the_first_one_of_a_process_finds_no_memory():
    """It has to tell atexit."""
    walk_oom(
        "module = modules.pop()\n"
        "module.finalize(A, nothing)()\n"
        "modules.pop().Finalizable().finalize()",
        setup="""
        import importlib, sys

        class A:
            pass

        def nothing():
            pass

        def fresh():
            sys.modules.pop("ferrule._lifetime", None)
            return importlib.import_module("ferrule._lifetime")

        modules = [fresh() for _ in range(300)]
        """,
    )


def test_in_subinterpreters():
    tests = [f"def case_{i}():\n" + "\n".join(f"    {line}" for line in code.split("\n"))
             for i, code in enumerate(CASES.values())]  # fmt: skip
    calls = "\n".join(f"case_{i}()" for i in range(len(tests)))
    in_subinterpreter(SETUP + "\n".join(tests) + "\n" + calls)


@pytest.mark.parametrize("case", ["create and call", "create and die", "subclass", "base", "peek"])
def test_in_threads(case):
    def work():
        code = ready(SUCCESSES[case])
        for _ in range(300):
            code()

    run_threads(work)


def test_threads_on_one_object(native):
    """They make and end finalizers of the same object; each runs once."""

    class A:
        pass

    counts = itertools.count()
    obj = A()
    shared = [native.finalize(obj, next, counts) for _ in range(100)]
    again = native.finalize(obj, nothing)

    def work():
        for one in shared:
            one()
        for _ in range(100):
            with contextlib.suppress(TypeError):
                again.__init__(obj, nothing, [1])
            again.detach()
            native.finalize(obj, nothing).peek()

    run_threads(work)
    assert next(counts) == 100
    assert all(not one.alive for one in shared)


def nothing(*_):
    return None


def test_the_search_while_another_thread_changes_what_is_searched(native):
    class A:
        pass

    obj = A()
    items, keys, members = [1, [2]], {1: [2]}, {1, 2}
    stop = threading.Event()

    def change():
        while not stop.is_set():
            items.append([3])
            keys[len(keys)] = [4]
            members.add(len(members))
            if len(items) > 50:
                items.clear()
                keys.clear()
                members.clear()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(2000):
            with contextlib.suppress(RuntimeError):  # the set has changed
                native.finalize(obj, nothing, items, keys, x=members).detach()
    finally:
        stop.set()
        thread.join()


# ---- both implementations


class Object:
    pass


def test_what_lives_and_dies_leaves_nothing(impl):
    def use():
        obj = Object()
        obj.me = obj
        f = impl.finalize(obj, nothing, [1], {})
        g = impl.finalize(obj, nothing, [1])
        h = impl.finalize(obj, nothing)
        assert f.peek() and g.detach() and repr(h)
        f()
        del obj
        gc.collect(0)
        assert not h.alive

    no_leak(use, rounds=200)


def test_refusals_leave_nothing(impl):
    def use():
        for args in ((Object, 5), (Object, Object.mro), (5, nothing), ()):
            with contextlib.suppress(TypeError):
                impl.finalize(*args)
        gc.collect(0)

    no_leak(use, rounds=200)


def test_the_base_leaves_nothing(impl):
    class Thing(impl.Finalizable):
        def __finalize__(self):
            return self

    def use():
        one, two = Thing(), Thing()
        one.other, two.other = two, one
        one.finalize()
        del one, two
        Thing()
        gc.collect(0)

    no_leak(use, rounds=200)


def test_the_collector_sees_through_a_dead_one(native):
    """A dead finalizer in a cycle goes, whatever it is in the cycle with."""

    class Sub(native.finalize):
        pass

    for cls in (native.finalize, Sub):
        obj = Object()
        holder = Object()
        holder.f = cls(obj, nothing, holder)
        ref = weakref.ref(holder)
        holder.f.detach()
        holder.me = holder
        del holder
        gc.collect()
        assert ref() is None
        live = Object()
        live.f = cls(obj, nothing, live)
        ref = weakref.ref(live)
        del live
        gc.collect()
        assert ref() is not None  # held by what is to be run
        ref().f()
        gc.collect()
        assert ref() is None
