"""Bounded, Validated, ConstraintError: nothing leaks, no failed allocation does harm."""

from __future__ import annotations

import contextlib
import functools
import gc
import textwrap

import pytest

from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import copy, gc, pickle, sys
from ferrule.records import Record, RecordArray, RecordTable, replace, u16
from ferrule.validation import Bounded, ConstraintError, Validated

class Plain:
    x, y = Bounded(0, 9), Validated(min_val=0, max_val=9.5)

class Slotted:
    __slots__ = ("_bounded_x", "_y")
    x, y = Bounded(0, 9), Validated(min_val=0, max_val=9.5)

class Hooked(Plain):
    def __getattr__(self, name):
        raise AttributeError(name)
    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)

class Checked(Record):
    x: int = Bounded(0, 9)
    y: object = 0

class Article(Record):
    x = Bounded(0, 9)
    def __init__(self, x):
        self.x = x

class Packed(Record):
    x: u16 = Bounded(0, 9)

class Frozen(Record, frozen=True):
    x: int = Bounded(0, 9)

class Own(Bounded):
    pass

class Half:
    def __lt__(self, other):
        return False
    __gt__ = __lt__

def refuse(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except (TypeError, ValueError, AttributeError):
        return
    except RuntimeError as error:  # 3.11 wraps what __set_name__ raises
        if isinstance(error.__cause__, MemoryError):
            raise MemoryError from None
        return
    except SystemError as error:
        # a function of Python's that finds no memory to raise what it wants to
        if not str(error).startswith(("<function", "error return without")):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

def built(**body):
    try:
        return type("C", (), body)
    except RuntimeError as error:  # as in refuse
        if isinstance(error.__cause__, MemoryError):
            raise MemoryError from None
        raise

def guarded(function, *args):
    try:
        return function(*args)
    except SystemError as error:  # as in refuse
        if not str(error).startswith("<function"):
            raise
        raise MemoryError from None

def read(error):
    error = error.with_traceback(None)
    return str(error), repr(error), error.args

def refused(obj, value):
    try:
        obj.x = value
    except ConstraintError as error:
        return error
    raise AssertionError("not refused")

def pickled(obj):
    try:
        return pickle.loads(pickle.dumps(obj))
    except pickle.PicklingError:  # any error of the import machinery
        raise MemoryError from None

# pickle finds the classes here
vars(sys.modules.setdefault(__name__, type(sys)(__name__))).update(globals())
half, own = Half(), Own(1, 2)
plain, slotted, hooked = Plain(), Slotted(), Hooked()
plain.x = slotted.x = hooked.x = 5
checked, article, frozen = Checked(5), Article(5), Frozen(5)
rows, table = RecordArray(Packed, [(5,)]), RecordTable(Packed)
"""

SUCCESSES = {
    "make": "Bounded(), Bounded(1, 2), Validated(), Validated(min_val=1, max_val=2.5), Own(1, 2)",
    "plain": "p = Plain(); p.x; p.x = 5; p.y = 2.5; p.x, p.y; del p.x, p.y; p.x",
    "slotted": "p = Slotted(); p.x; p.x = 5; p.y = 2.5; p.x, p.y; del p.x, p.y; p.x",
    "hooked": "p = Hooked(); guarded(getattr, p, 'x'); p.x = 5; p.y = 2.5; p.x, p.y; del p.x, p.y",
    "compare": "plain.x = True; plain.x = 2.5; b = Bounded(half, 10**30); b.max_val = None",
    "bounds": "b = Bounded(); b.max_val = 5; b.min_val = 3; b.min_val, b.max_val, repr(b)",
    "names": "Plain.x.storage_name, Plain.y.public_name, Plain.y.private_name",
    "bind": "b = Bounded(); b.__set_name__(Plain, 'late'); b.__set_name__(Slotted, 'late')",
    "copy": "copy.copy(Plain.x); copy.copy(own)",
    "reduce": "c = Own(); c.__reduce__(); c.__setstate__((1, 2, 'name', None))",
    "pickle": "pickled(Plain.x)",
    "record": "c = Checked(5); c.x = 6; c.y = 7; c.x; Checked.x; del c.x; c.x = 3; Checked(x=5)",
    "record as in the article": "a = Article(5); a.x = 6; copy.copy(a); Article.__new__(Article)",
    "record unboxed": "p = Packed(5); p.x = 6; p.x; Packed.x",
    "record replaced and copied": "replace(checked, x=3); copy.copy(checked)",
    "record frozen": "Frozen(5); Frozen.x; replace(frozen, x=6)",
    "record by hand": "Checked.__setattr__(checked, 'x' + '', 3); Checked.x.__set__(checked, 4)",
    "array": (
        "r = RecordArray(Packed, [(5,)]); r.row(0).x = 6; r.append((7,)); r.extend({'x': [1]})"
    ),
    "table": "t = RecordTable(Packed, {'x': [1, 2]}); t.append((3,)); t.extend([(4,)])",
    "error": "read(refused(plain, 10)); refused(slotted, -1).name; refused(checked, 10).value",
    "error by hand": "read(ConstraintError('a', 5)); copy.copy(refused(plain, 10))",
    "error again": (
        "e = refused(plain, 10); e.__init__('a'); e.args = ('b',); e.note = e; e.__reduce__()"
    ),
}
#: Not without memory: CPython itself crashes there.
DEEP = {
    "record class changed": "class C(Checked):\n    pass\nC.x = 5\ndel C.x\nC(3).x = 4",
    "deepcopy": "copy.deepcopy(Plain.x); copy.deepcopy(own)",
    "pickle a record": "pickled(checked)",
}
CLASSES = {
    "class": "built(x=Bounded(0, 9))().x = 5",
    "class with slots": "built(__slots__=('_bounded_x',), x=Bounded(0, 9))().x = 5",
    "record class": (
        "class C(Record):\n    x: int = Bounded(0, 9)\n    y = Validated()\nC(5).y = 5\nC.x"
    ),
    "record subclass": "class C(Checked):\n    x: int = Bounded(0, 3)\nC(3)",
    "class that refuses": "refuse(type, 'C', (), {'x': own, 'z': Bounded(), 'w': Plain.x})",
    "record class that refuses": (
        "refuse(type(Record), 'C', (Record,), {'x': Plain.y})\n"
        "refuse(type(Record), 'C', (Record,), {'x': Bounded(), '__setattr__': len})"
    ),
}
ERRORS = {
    "bounds": (
        "refuse(Bounded, 5, 3); refuse(Bounded, 1, 'a'); refuse(Validated, min_val=float('nan'))"
    ),
    "arguments": "refuse(Bounded, 1, 2, 3); refuse(Validated, 1); refuse(ConstraintError, a=1)",
    "incomparable": "refuse(setattr, plain, 'x', 'a'); refuse(setattr, plain, 'y', 'a')",
    "too much": "refuse(setattr, plain, 'x', 10); refuse(setattr, checked, 'x', 10)",
    "unset": "p, s = Plain(), Slotted(); refuse(delattr, p, 'x'); refuse(delattr, s, 'x')",
    "unbound": "refuse(Bounded().__get__, plain); refuse(Bounded().__set__, plain, 1)",
    "names": "refuse(getattr, Bounded(), 'storage_name'); refuse(Bounded().__set_name__, 5, 5)",
    "shared": "refuse(Plain.x.__set_name__, Plain, 'other')",
    "state": (
        "refuse(Bounded().__setstate__, 5); refuse(Bounded().__setstate__, (5, 3, None, None))"
    ),
    "record": "refuse(Checked, 10); refuse(Checked); refuse(Packed, 10); refuse(Article, 10)",
    "record copies": "refuse(replace, checked, x=10); refuse(Checked._restore, 10, 0)",
    "containers": (
        "refuse(rows.append, (10,)); refuse(table.append, (10,)); refuse(table.extend, {'x': [10]})"
    ),
    "args": (
        "refuse(setattr, ConstraintError(), 'args', 5); refuse(ConstraintError().__reduce__, 1)"
    ),
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}


def ready(code):
    space: dict = {"__name__": "descriptor_lifetime"}
    exec(compile(SETUP, "<setup>", "exec"), space)
    text = "def run():\n" + textwrap.indent(code.replace("; ", "\n"), "    ")
    exec(compile(text, "<case>", "exec"), space)
    return space["run"]


@covers(
    "Bounded",
    "Bounded.__delete__",
    "Bounded.__get__",
    "Bounded.__init__",
    "Bounded.__reduce__",
    "Bounded.__repr__",
    "Bounded.__set__",
    "Bounded.__set_name__",
    "Bounded.__setstate__",
    "Validated",
    "Validated.__delete__",
    "Validated.__get__",
    "Validated.__init__",
    "Validated.__reduce__",
    "Validated.__repr__",
    "Validated.__set__",
    "Validated.__set_name__",
    "Validated.__setstate__",
    "ConstraintError",
    "ConstraintError.__init__",
    "ConstraintError.__reduce__",
    "ConstraintError.__repr__",
    "ConstraintError.__str__",
)
@covers(
    "Bounded",
    "Bounded.__delete__",
    "Bounded.__get__",
    "Bounded.__init__",
    "Bounded.__reduce__",
    "Bounded.__set__",
    "Bounded.__set_name__",
    "Bounded.__setstate__",
    "Validated",
    "Validated.__delete__",
    "Validated.__get__",
    "Validated.__init__",
    "Validated.__reduce__",
    "Validated.__set__",
    "Validated.__set_name__",
    "Validated.__setstate__",
    "ConstraintError",
    "ConstraintError.__init__",
    "ConstraintError.__reduce__",
    "ConstraintError.__repr__",
    "ConstraintError.__str__",
    error=True,
)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    code = ready(CASES[case])
    for _ in range(300):
        code()
    no_leak(code, rounds=300)


@pytest.mark.parametrize("case", {**CLASSES, **DEEP})
def test_no_leak_of_classes(case):
    code = ready({**CLASSES, **DEEP}[case])
    gc.collect()
    gc.freeze()

    def run():
        code()
        gc.collect()

    for _ in range(100):  # the interpreter's caches fill slowly
        run()
    for _ in range(5):
        with contextlib.suppress(pytest.fail.Exception):
            return no_leak(run, rounds=30)
    no_leak(run, rounds=30)


@pytest.mark.parametrize("case", CASES)
def test_every_allocation_fails_once(case):
    walk_oom(CASES[case], setup=SETUP)


@pytest.fixture(scope="module")
def surviving_interpreter():
    """Skip where CPython itself does not survive a class statement without memory."""
    try:
        walk_oom("class C(B):\n    x = 5", setup="class B: pass")
    except pytest.fail.Exception:
        pytest.skip("this CPython crashes when a plain class statement finds no memory")


@pytest.mark.slow
@pytest.mark.parametrize("case", CLASSES)
def test_every_allocation_of_a_class_fails_once(surviving_interpreter, case):
    walk_oom(CLASSES[case], setup=SETUP)


def test_in_subinterpreters():
    cases = {**CASES, **DEEP, **CLASSES}
    tests = [
        f"def case_{i}():\n" + textwrap.indent(code.replace("; ", "\n"), "    ")
        for i, code in enumerate(cases.values())
    ]
    calls = "\n".join(f"case_{i}()" for i in range(len(tests)))
    in_subinterpreter(SETUP + "\n".join(tests) + "\n" + calls)


@pytest.mark.parametrize("case", SUCCESSES)
def test_in_threads(case):
    def work():
        code = ready(SUCCESSES[case])
        for _ in range(50):
            code()

    run_threads(work, 4)


def test_one_descriptor_in_threads(native):
    """Several classes, several threads, classes that change: the places are found anew."""

    class Base:
        __slots__ = ()
        x = native.Bounded(0, 10**9)

    def slotted(i):
        return type("Slotted", (Base,), {"__slots__": (*[f"a{k}" for k in range(i)], "_bounded_x")})

    classes = [slotted(i) for i in range(6)] + [type("Plain", (Base,), {}) for _ in range(3)]

    def work():
        things = [cls() for cls in classes]
        for i in range(500):
            for k, thing in enumerate(things):
                thing.x = i + k
            if i % 50 == 0:
                classes[i // 50 % 9].label = i
            assert [thing.x for thing in things] == [i + k for k in range(9)]

    run_threads(work, 4)


def test_values_die_outside(native):
    """The old value's destructor finds the new one in place, and may do what it likes."""

    class Thing:
        __slots__ = ("_bounded_x",)
        x = native.Bounded(0, 99)

    class Value(int):
        def __del__(self):
            seen.append(thing.x)
            thing.x = 7

    thing, seen = Thing(), []
    thing.x = Value(5)
    thing.x = 6
    assert (seen, thing.x) == ([6], 7)
    thing.x = Value(5)
    del thing.x
    assert (seen, thing.x) == ([6, None], 7)
    functools.reduce(lambda _, i: setattr(thing, "x", i), range(10), None)
    assert thing.x == 9
