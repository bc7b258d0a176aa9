"""Leaks, failed allocations, the collector, threads, forks, sub-interpreters, true sizes."""

import copy
import functools
import gc
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest

from lifetime import in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import copy, functools, operator, pickle, sys
from typing import Annotated
from ferrule._records import _layout
from ferrule.records import *

class Reading(Record, gc=False):
    timestamp: i64
    value: f64
    unit: str

class Frozen(Record, frozen=True, order=True):
    x: i64
    y: object = None
    z: Annotated[str, Size(8)] = ""

    @functools.cached_property
    def double(self):
        return [self.x] * 2

class Counting(Record, weakref=True):
    items: list = field(default_factory=list)
    n: i64 = 0

    def __post_init__(self):
        self.n += 1

def refuse(function, *args, **keywords):
    try:
        function(*args, **keywords)
    except (TypeError, ValueError, OverflowError, AttributeError):
        return
    except SystemError as error:
        # what CPython itself raises when an f-string finds no memory
        if str(error) != "error return without exception set":
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

prop = functools.cached_property(len)  # makes a lock, which on 3.11 fails with RuntimeError

# pickle finds the classes here
vars(sys.modules.setdefault(__name__, type(sys)(__name__))).update(globals())
reading, frozen, counting = Reading(1, 2.5, "C"), Frozen(1, [2], "z"), Counting()
other = Reading(1, 2.5, "C")
"""

#: One allocation walk and one leak check each; names say what is done. Error paths refuse.
SUCCESSES = {
    "create by position": "Reading(1, 2.5, 'C')",
    "create by keyword": "Reading(unit='C', value=2.5, timestamp=1)",
    "create frozen with defaults": "Frozen(1)",
    "create with factory and post_init": "Counting()",
    "create with a large int": "Reading(2**62 + 1, 2.5, 'C')",
    "read": "reading.timestamp, reading.value, reading.unit, frozen.z",
    "assign": "reading.timestamp = 5; reading.value = 3; reading.unit = 'F'; counting.items = []",
    "delete": "made = Reading(1, 2.5, 'C'); del made.unit",
    "repr": "repr(frozen)",
    "repr of a cycle": "made = Counting([]); made.items.append(made); repr(made); made.items = 0",
    "compare": "reading == other, reading != other, frozen < Frozen(2), frozen >= Frozen(2)",
    "hash": "hash(Frozen(1, (2, 3), 'z'))",
    "asdict": "asdict(frozen)",
    "astuple": "astuple(frozen)",
    "asdict with a factory": "asdict(frozen, dict_factory=list)",
    "replace": "replace(frozen, x=3)",
    "copy": "copy.copy(frozen)",
    "deepcopy": "copy.deepcopy(frozen)",
    # pickle reports any error of the import machinery, so MemoryError too, as its own
    "pickle": (
        "try: pickle.loads(pickle.dumps(reading))\n"
        "except pickle.PicklingError: raise MemoryError from None"
    ),
    "cached_property": "Frozen(1).double",
    "layout": "layout(Reading)",
    "fields": "fields(Reading)",
    "field": "field(default=1, metadata={'k': 1})",
    "Storage": "Storage('i64'), repr(Storage('i64')), hash(Storage('i64'))",
    "Size": "Size(4), repr(Size(4)), hash(Size(4)), Size(4) == Size(5)",
}

#: Creating a class keeps caches of its own warm: fewer rounds, a collection in each.
CLASSES = {
    "class statement": "class C(Record):\n    x: i64\n    y: str = ''",
    "subclass statement": "class C(Reading):\n    more: f64 = 0.5",
    "frozen class": ("class C(Frozen):\n    more: f64 = 0.5\n    p = prop"),
    "decorator": "@record\nclass C:\n    x: int\n    def m(self): return __class__",
    "make_record": "make_record('C', ['a', ('b', i64), ('c', f64, 0.5)], frozen=True)",
}

ERRORS = {
    "create with a wrong type": "refuse(Reading, 'x', 2.5, 'C')",
    "create beyond the range": "refuse(Reading, 2**63, 2.5, 'C')",
    "create with an inexact int": "refuse(Reading, 1, 2**53 + 1, 'C')",
    "create with too few": "refuse(Reading, 1)",
    "create with too many": "refuse(Reading, 1, 2, 3, 4)",
    "create with an unknown keyword": "refuse(Reading, 1, 2, 'C', nope=1)",
    "create with a duplicate": "refuse(Reading, 1, 2, 'C', unit=1)",
    "create with a long text": "refuse(Frozen, 1, None, 'x' * 9)",
    "create with a text ending in NUL": "refuse(Frozen, 1, None, 'x\\0')",
    "assign a wrong type": "refuse(setattr, reading, 'value', 'x')",
    "assign to frozen": "refuse(setattr, frozen, 'x', 1)",
    "assign an undeclared attribute": "refuse(setattr, reading, 'nope', 1)",
    "delete from frozen": "refuse(delattr, frozen, 'x')",
    "delete an unboxed field": "refuse(delattr, reading, 'value')",
    "read an undeclared attribute": "refuse(getattr, reading, 'nope')",
    "order without the option": "refuse(operator.lt, reading, other)",
    "hash of an unhashable value": "refuse(hash, frozen)",
    "hash of a mutable record": "refuse(hash, reading)",
    "asdict of something else": "refuse(asdict, 5)",
    "astuple of something else": "refuse(astuple, 5)",
    "replace with a wrong value": "refuse(replace, frozen, x='x')",
    "replace with an unknown name": "refuse(replace, frozen, nope=1)",
    # the native part: CPython may lose an exception that unwinds a Python frame without memory
    "layout of something else": "refuse(_layout, 5)",
    "fields of something else": "refuse(fields, 5)",
    "field with two defaults": "refuse(field, default=1, default_factory=list)",
    "Size of something else": "refuse(Size, 'x'); refuse(Size, -1)",
    "Storage of an unknown kind": "refuse(Storage, 'i65'); refuse(Storage, 5)",
    "unpickle a wrong state": "refuse(Reading.__new__(Reading).__setstate__, ['x', 1, 2])",
}

CLASS_ERRORS = {
    "class that clashes": "refuse(make_record, 'C', [('value', i64)], bases=(Reading,))",
    "class with bad options": "refuse(make_record, 'C', [], order=True, eq=False)",
    "class with a mutable default": "refuse(make_record, 'C', [('x', int, [])])",
    "class with default before required": "refuse(make_record, 'C', [('x', i64, 1), ('y', i64)])",
    "class of mixed freezing": "refuse(make_record, 'C', [], bases=(Frozen,), frozen=False)",
    "decorator with an unknown option": "refuse(record, nope=True)",
    "make_record with a duplicate": "refuse(make_record, 'C', ['a', 'a'])",
}

INSTANCE_CASES = {**SUCCESSES, **ERRORS}
CLASS_CASES = {**CLASSES, **CLASS_ERRORS}

#: Which of the cases above calls each public function or class: success, then error.
COVERED = {
    "Record": ("create by position", "create with a wrong type"),
    "AbstractRecord": ("class statement", "class that clashes"),
    "record": ("decorator", "decorator with an unknown option"),
    "make_record": ("make_record", "make_record with a duplicate"),
    "field": ("field", "field with two defaults"),
    "Field": ("field", "field with two defaults"),
    "RecordMeta": ("class statement", "class that clashes"),
    "Size": ("Size", "Size of something else"),
    "Storage": ("Storage", "Storage of an unknown kind"),
    "fields": ("fields", "fields of something else"),
    "asdict": ("asdict", "asdict of something else"),
    "astuple": ("astuple", "astuple of something else"),
    "replace": ("replace", "replace with an unknown name"),
    "layout": ("layout", "layout of something else"),
    "Layout": ("layout", "layout of something else"),
    "FieldLayout": ("layout", "layout of something else"),
}

#: Objects of dataclasses, which are not ours to check.
FOREIGN = {"InitVar", "FrozenInstanceError", "KW_ONLY", "MISSING"}
#: Checked method by method in test_record_array_lifetime.py and test_record_table_lifetime.py.
CONTAINERS = {"RecordArray", "Row", "RecordTable", "Column", "Coded"}


@functools.cache
def space() -> dict[str, Any]:
    made: dict[str, Any] = {"__name__": "lifetime_of_records"}
    exec(SETUP, made)
    return made


def runner(code: str) -> Callable[[], None]:
    compiled = compile(code, "case", "exec")
    own = space()

    def run() -> None:
        local = dict(own)
        exec(compiled, local)

    return run


def test_every_public_callable_has_a_success_and_an_error_case(native):
    public = {
        name
        for name in native.__all__
        if callable(getattr(native, name)) and not hasattr(getattr(native, name), "__metadata__")
    }
    assert public - FOREIGN - CONTAINERS == set(COVERED)
    for success, error in COVERED.values():
        assert success in {**SUCCESSES, **CLASSES} and error in {**ERRORS, **CLASS_ERRORS}


@pytest.fixture
def collected() -> Iterator[Callable[[str], Callable[[], None]]]:
    """A case followed by a collection, so that no garbage fills the interpreter's free lists.

    What was there before is frozen, which makes these collections cheap.
    """

    def make(code: str) -> Callable[[], None]:
        run = runner(code)

        def run_and_collect() -> None:
            run()
            gc.collect()

        for _ in range(400):  # free lists and type caches fill slowly
            run_and_collect()
        return run_and_collect

    gc.collect()
    gc.freeze()
    yield make


def no_lasting_leak(call: Callable[[], None], rounds: int) -> None:
    """What fills a cache of the interpreter stops; whoever leaks, leaks every time."""
    for _ in range(7):
        try:
            return no_leak(call, rounds=rounds)
        except pytest.fail.Exception:
            continue
    no_leak(call, rounds=rounds)


@pytest.mark.parametrize("case", INSTANCE_CASES)
def test_nothing_leaks(native, collected, case):
    no_lasting_leak(collected(INSTANCE_CASES[case]), rounds=300)


@pytest.mark.parametrize("case", CLASS_CASES)
def test_making_classes_leaks_nothing(native, collected, case):
    no_lasting_leak(collected(CLASS_CASES[case]), rounds=60)


@pytest.mark.parametrize("case", INSTANCE_CASES)
def test_a_failed_allocation_is_a_memory_error(native, case):
    walk_oom(INSTANCE_CASES[case], setup=SETUP)


@pytest.fixture(scope="module")
def surviving_interpreter() -> None:
    """Skip where CPython itself does not survive a class statement without memory."""
    try:
        walk_oom("class C(B):\n    x: int", setup="class B: pass")
    except pytest.fail.Exception:
        pytest.skip("this CPython crashes when a plain class statement finds no memory")


@pytest.mark.slow
@pytest.mark.parametrize("case", CLASS_CASES)
def test_a_failed_allocation_while_making_a_class_is_a_memory_error(
    native, surviving_interpreter, case
):
    walk_oom(CLASS_CASES[case], setup=SETUP)


def test_records_work_in_sub_interpreters(native):
    in_subinterpreter(
        SETUP
        + """
made = [Reading(i, i / 2, "C") for i in range(100)]
assert sum(r.timestamp for r in made) == 4950
assert frozen.double == [1, 1] and copy.copy(made[3]) == made[3]
refuse(Reading, "x", 2.5, "C")
class Sub(Reading):
    more: object = None
made[0] = Sub(1, 2.0, "C", made)
del made
"""
    )


# ---- the collector


def test_a_cycle_through_an_object_field_is_collected(impl):
    class Node(impl.Record, weakref=True):
        n: impl.i64
        other: object = None

    first, second = Node(1), Node(2)
    first.other, second.other = second, [first]
    refs = [weakref.ref(first), weakref.ref(second)]
    del first, second
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_a_cycle_through_a_cached_property_is_collected(impl):
    class Node(impl.Record, weakref=True):
        n: impl.i64

        @functools.cached_property
        def me(self):
            return [self]

    made = Node(1)
    assert made.me[0] is made
    ref = weakref.ref(made)
    del made
    gc.collect()
    assert ref() is None


def test_a_cycle_through_the_dict_of_a_mixin_is_collected(impl):
    class Mixin:
        pass

    class Node(impl.Record, Mixin):
        n: impl.i64

    made = Node(1)
    made.me = made
    ref = weakref.ref(made)
    del made
    gc.collect()
    assert ref() is None


def test_a_cycle_between_record_and_class_is_collected(impl):
    class Node(impl.Record):
        n: object

    Node.example = Node(Node)
    ref = weakref.ref(Node)
    del Node
    gc.collect()
    assert ref() is None


def test_records_without_collector_header_are_not_tracked(native):
    class Scalars(native.Record):
        x: native.i64
        y: native.f64
        z: Annotated[bytes, native.Size(4)]

    class Without(native.Record, gc=False):
        x: object

    class With(native.Record):
        x: object

    for made, tracked in ((Scalars(1, 2, b"abcd"), False), (Without([]), False), (With([]), True)):
        assert gc.is_tracked(made) is tracked
        assert any(item is made for item in gc.get_objects()) is tracked


def test_referents_are_the_object_fields_and_the_class(native):
    class With(native.Record):
        n: native.i64
        x: object
        y: object

    x, y = [1], [2]
    found = gc.get_referents(With(5, x, y))
    assert any(item is x for item in found) and any(item is y for item in found)
    assert With in found


@pytest.mark.parametrize("collector", [True, False])
def test_a_chain_of_a_million_records_is_freed_without_a_crash(native, collector):
    class Node(native.Record, gc=collector):
        n: native.i64
        next: object = None

    head = None
    for i in range(1_000_000):
        head = Node(i, head)
    assert head.next.n == 999_998
    del head
    gc.collect()


@pytest.mark.parametrize("collector", [True, False])
def test_a_chain_through_lists_and_subclasses_is_freed_without_a_crash(impl, collector):
    class Node(impl.Record, gc=collector):
        n: impl.i64
        next: object = None

    class Sub(Node):
        more: object = None

    head = None
    for i in range(50_000):
        head = [Node(i, head)] if i % 2 else Sub(i, None, (head,))
    del head
    gc.collect()


# ---- memory


def test_getsizeof_is_what_tracemalloc_measures(native):
    class Scalars(native.Record):
        x: native.i64
        y: native.f64

    class Objects(native.Record):
        x: object
        y: object

    class Mixed(native.Record, gc=False):
        x: native.i64
        y: native.f64
        z: str

    class Weak(native.Record, weakref=True):
        x: native.u8

    for cls, args in ((Scalars, (1, 2.0)), (Objects, (1, 2)), (Mixed, (1, 2.0, "")), (Weak, (1,))):
        kept = [cls(*args) for _ in range(1000)]  # uses up what a free list may hold
        made: list[Any] = [None] * 10_000
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for i in range(10_000):
            made[i] = cls(*args)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        measured = (after - before) / 10_000
        assert abs(measured - sys.getsizeof(made[0])) < 0.5, cls.__name__
        del kept


def test_tracemalloc_knows_the_line_that_made_a_record(native):
    class Reading(native.Record, gc=False):
        x: native.i64
        y: str

    kept = [Reading(1, "") for _ in range(1000)]
    tracemalloc.start()
    made = [Reading(i, "") for i in range(1000)]
    traces = [tracemalloc.get_object_traceback(item) for item in made]
    tracemalloc.stop()
    assert sum(trace is not None and trace[0].filename == __file__ for trace in traces) >= 990
    del kept


@pytest.mark.resident
def test_a_million_readings_cost_less_than_64_bytes_each(native):
    program = """
    import resource, sys
    from ferrule.records import Record, f64, i64

    class SensorReading(Record, gc=False):
        timestamp: i64
        value: f64
        unit: str

    def resident():
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()

    made = [None] * 1_000_000
    before = resident()
    for i in range(1_000_000):
        made[i] = SensorReading(i, i / 7, "C")
    print((resident() - before) / 1_000_000)
    """
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("needs /proc")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert 40 < float(done.stdout) < 64


# ---- threads and processes


def test_threads_may_share_a_record(impl):
    class Shared(impl.Record):
        n: impl.i64
        x: object
        y: impl.f64

    made = Shared(0, [], 0.0)

    def work():
        for i in range(500):
            made.n, made.x, made.y = i, [i], i / 2
            assert 0 <= made.n < 500 and len(made.x) == 1
            repr(made)
            copy.copy(made)
            assert made == made
            impl.asdict(made)

    run_threads(work)
    assert 0 <= made.n < 500


def test_threads_may_make_and_drop_records_and_classes(impl):
    class Reading(impl.Record, gc=False):
        x: impl.i64
        y: object

    def work():
        for i in range(300):
            made = [Reading(i, j) for j in range(10)]
            assert [item.y for item in made] == list(range(10))
            if not i % 50:

                class Sub(Reading):
                    z: impl.f64 = 0.5

                assert Sub(1, 2).z == 0.5

    run_threads(work)


def test_threads_computing_one_cached_property_agree(impl):
    class C(impl.Record):
        x: impl.i64

        @functools.cached_property
        def value(self):
            return [self.x]

    made = C(1)
    seen = []

    def work():
        seen.append(made.value)

    run_threads(work)
    assert all(value == [1] for value in seen) and made.value is made.value


def test_frozen_records_stay_frozen_for_other_threads_during_post_init(impl):
    inside, checked = threading.Event(), threading.Event()
    kept = []

    class C(impl.Record, frozen=True):
        x: impl.i64

        def __post_init__(self):
            kept.append(self)
            inside.set()
            assert checked.wait(30)

    thread = threading.Thread(target=C, args=(1,))
    thread.start()
    assert inside.wait(30)
    other = C.__new__(C)
    with pytest.raises(impl.FrozenInstanceError):
        other.x = 5
    checked.set()
    thread.join()
    with pytest.raises(impl.FrozenInstanceError):
        kept[0].x = 5
    kept.clear()  # C's method reaches it: without a collector header it would keep C for ever


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_records_survive_a_fork(impl):
    class Reading(impl.Record, gc=False):
        x: impl.i64
        y: object

    made = [Reading(i, [i]) for i in range(1000)]
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            ok = all(item.x == i and item.y == [i] for i, item in enumerate(made))
            made[:] = [Reading(i, "new") for i in range(1000)]
            os.write(writer, b"ok" if ok and made[5].y == "new" else b"no")
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        assert answer.read() == b"ok"
    assert os.waitpid(child, 0)[1] == 0
    assert made[5].y == [5]


# ---- repeated use


def test_instances_never_leak_what_they_hold(impl):
    class Held:
        pass

    class C(impl.Record, frozen=True):
        x: impl.i64
        y: object

    held = Held()
    ref = weakref.ref(held)
    made = C(1, held)
    others = [copy.copy(made), impl.replace(made, x=2), made]
    assert hash(made) and made == others[0] and repr(made)
    others += [pickle.PicklingError, impl.astuple(C(1, None))]
    del held, made, others
    gc.collect()
    assert ref() is None


def test_a_failed_construction_releases_what_it_was_given(impl):
    class Held:
        pass

    class C(impl.Record):
        y: object
        x: impl.i64
        z: object = impl.field(default_factory=lambda: 1 / 0)

    for rest in (("bad",), (1,), (2**70,), (), (1, 2, 3)):
        held = Held()
        ref = weakref.ref(held)
        with pytest.raises((TypeError, OverflowError, ZeroDivisionError)):
            C(held, *rest)
        del held
        gc.collect()
        assert ref() is None
