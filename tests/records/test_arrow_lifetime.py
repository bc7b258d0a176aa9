"""Who owns what is exported and imported: releases, threads, exits, leaks, failed allocations.

Consumers and producers are written by hand (`arrow_structs`), but for the tests with pyarrow.
"""

import contextlib
import copy
import ctypes
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
from typing import Annotated, Any

import pytest

from lifetime import in_subinterpreter, no_leak, run_threads, walk_oom
from records.arrow_structs import (
    ArrayProducer,
    Column,
    Producer,
    Stream,
    Taken,
    batch,
    call_in_c_thread,
    capsule_of,
    fixed,
    move,
    release,
    take,
    take_array,
    text,
)

SETUP = """
import gc, sys
from typing import Annotated
from ferrule._records import RecordTable
from ferrule.records import *

class Wide(Record):
    a: i64
    b: f32 | None
    c: bool | None
    d: str
    e: bytes | None
    f: Annotated[str, Coded]
    g: Annotated[bytes, Size(2)]

class Narrow(Record):
    a: i64

class Wider(Record):
    a: i64 | None
    b: f64 | None
    c: bool | None
    d: Annotated[str, Coded]
    e: bytes | None
    f: str | None
    g: Annotated[bytes, Size(2)]

class AsStream:
    def __init__(self, table): self.table = table
    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)

class AsArray:
    def __init__(self, table): self.table = table
    def __arrow_c_array__(self, requested_schema=None):
        return self.table.__arrow_c_array__(requested_schema)

def refuse(function, *args, **keywords):
    try:
        function(*args, **keywords)
    except (TypeError, ValueError, OverflowError, AttributeError, KeyError, BufferError):
        return
    except SystemError as error:
        # what CPython itself raises when an f-string finds no memory
        if str(error) != "error return without exception set":
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

rows = [(i, None if i % 3 else i / 2, [True, None, False][i % 3], "e" * i, [None, b"x"][i % 2],
         "abc"[i % 3], b"gg") for i in range(9)]
table = RecordTable(Wide, rows)
wide_request, narrow_request = RecordTable(Wider).__arrow_c_schema__(), None
numbers = RecordTable(Narrow, [(1,), (2,)])
narrow_request = numbers.__arrow_c_schema__()
streamed, arrayed = AsStream(table), AsArray(table[1:])

def chunked():
    made = RecordTable(Wide, table)
    made.extend(table[2:4])
    made.extend(table[:1])
    return made
"""

#: One leak check and one allocation walk each; names say what is done.
CASES = {
    "export the schema": "table.__arrow_c_schema__()",
    "export an array": "table.__arrow_c_array__()",
    "export a slice": "table[3:7].__arrow_c_array__()",
    "export a stream": "table.__arrow_c_stream__()",
    "export an empty table": "RecordTable(Wide).__arrow_c_array__()",
    "export an empty stream": "RecordTable(Wide).__arrow_c_stream__()",
    "join and export": "chunked().__arrow_c_array__()",
    "stream chunks": "chunked().__arrow_c_stream__()",
    "export columns": (
        "for name in 'abcdefg':\n"
        "    column = table.column(name)\n"
        "    column.__arrow_c_schema__(), column.__arrow_c_array__(), column.__arrow_c_stream__()"
    ),
    "export what was asked for": "numbers.__arrow_c_array__(narrow_request)",
    "export other types": (
        "class Short(Record):\n"
        "    a: i8\n    b: f32\n    c: Annotated[str, Coded]\n"
        "class Long(Record):\n"
        "    a: i64\n    b: f64\n    c: str\n"
        "made = RecordTable(Short, [(1, 2.0, 'c')])\n"
        "made.__arrow_c_array__(RecordTable(Long).__arrow_c_schema__())\n"
        "made.__arrow_c_stream__(RecordTable(Long).__arrow_c_schema__())"
    ),
    "request other columns": "refuse(table.__arrow_c_array__, narrow_request)",
    "request other types": "refuse(table.__arrow_c_stream__, wide_request)",
    "request nonsense": "refuse(table.__arrow_c_array__, 5)",
    "import a stream": "assert len(RecordTable.from_arrow(Wide, streamed)) == 9",
    "import an array": "assert len(RecordTable.from_arrow(Wide, arrayed)) == 8",
    "import chunks": "assert len(RecordTable.from_arrow(Wide, AsStream(chunked()))) == 12",
    "import and convert": "assert len(RecordTable.from_arrow(Wider, streamed)) == 9",
    "import, append, join": (
        "made = RecordTable.from_arrow(Wide, streamed)\n"
        "made.append(rows[0])\n"
        "made.extend(arrayed)\n"
        "made.__arrow_c_array__()"
    ),
    "import into the constructor": "RecordTable(Wide, streamed)",
    "import other columns": "refuse(RecordTable.from_arrow, Narrow, streamed)",
    "import nulls where there are none": (
        "refuse(RecordTable.from_arrow, Wide, AsStream(RecordTable(Wider, [(None,) * 3 + "
        "('', None, None, b'gg')])))"
    ),
    "import nonsense": "refuse(RecordTable.from_arrow, Wide, 5)",
    "import a consumed capsule": (
        "class Once:\n"
        "    kept = table.__arrow_c_stream__()\n"
        "    def __arrow_c_stream__(self): return self.kept\n"
        "once = Once()\n"
        "RecordTable.from_arrow(Wide, once)\n"
        "refuse(RecordTable.from_arrow, Wide, once)"
    ),
    "extend with what does not fit": (
        "made = RecordTable(Wide, table)\nrefuse(made.extend, AsStream(numbers))\n"
        "assert len(made) == 9"
    ),
}


@functools.cache
def space() -> dict[str, Any]:
    made: dict[str, Any] = {"__name__": "lifetime_of_arrow"}
    exec(SETUP, made)
    return made


def runner(code: str) -> Any:
    compiled = compile(code, "case", "exec")
    own = space()

    def run() -> None:
        exec(compiled, dict(own))
        gc.collect()

    return run


@pytest.mark.parametrize("case", CASES)
def test_nothing_leaks(native, case):
    call = runner(CASES[case])
    for _ in range(50):
        call()
    for _ in range(6):
        try:
            return no_leak(call, rounds=50)
        except pytest.fail.Exception:
            continue
    no_leak(call, rounds=50)


@pytest.mark.parametrize("case", [case for case in CASES if "class" not in CASES[case]])
def test_a_failed_allocation_is_a_memory_error(native, case):
    walk_oom(CASES[case], setup=SETUP)


def test_no_memory_half_way_leaves_the_target_as_it_was(native):
    walk_oom(
        """
        made = RecordTable(Wide, table)
        try:
            made.extend(AsStream(more))
        except MemoryError:
            assert made == table
            made.append(rows[0])
            assert len(made) == 10
            raise
        assert len(made) == 21
        """,
        setup=SETUP + "more = chunked()\n",
    )


def test_arrow_works_in_sub_interpreters(native):
    in_subinterpreter(
        SETUP
        + """
for source in (streamed, AsStream(chunked())):
    made = RecordTable.from_arrow(Wide, source)
    made.extend(arrayed)
    assert [one.d for one in made][:9] == ["e" * i for i in range(9)]
kept = made.__arrow_c_array__(), made.__arrow_c_stream__(), made.column("a").__arrow_c_array__()
refuse(RecordTable.from_arrow, Narrow, streamed)
"""
    )


# ---- capsules nobody consumes


def traced(call: Any) -> int:
    """Bytes a call leaves behind, by tracemalloc."""
    call()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(20):
        call()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before


def big_table(native: Any, count: int = 10_000) -> Any:
    cls = native.make_record(
        "Big", [("x", native.i64), ("y", str | None), ("z", Annotated[str, native.Coded])]
    )
    return native.RecordTable(
        cls, {"x": range(count), "y": ["text", None] * (count // 2), "z": ["z"] * count}
    )


@pytest.mark.parametrize("what", ["schema", "array", "stream"])
def test_capsules_that_nobody_consumes_release_themselves(native, what):
    table = big_table(native)

    def export(name: str = f"__arrow_c_{what}__") -> None:
        part = table[5:]
        part.append((1, None, "w"))
        getattr(part, name)()
        getattr(part.column("y"), name)()

    assert traced(export) < 20_000


def test_a_consumer_that_takes_only_half_of_a_pair(native):
    table = big_table(native)

    def export() -> None:
        schema, array = table[1:].__arrow_c_array__()
        release(take(array, "arrow_array"))
        del schema
        schema, array = table[1:].__arrow_c_array__()
        release(take(schema, "arrow_schema"))

    assert traced(export) < 20_000


def test_a_stream_abandoned_half_way(native):
    table = big_table(native, 100)
    for _ in range(5):
        table.extend(table[:10])

    def export() -> None:
        stream = Stream(table.__arrow_c_stream__())
        release(stream.next())
        release(stream.schema())
        release(stream.next())
        stream.release()

    assert traced(export) < 20_000


# ---- owners


def test_exports_keep_the_memory_and_nothing_else(native):
    cls = native.make_record("C", [("x", native.i64), ("y", str)], weakref=True)
    table = native.RecordTable(cls, [(1, "a"), (2, "b")])
    taken, stream = take_array(table), Stream(table.__arrow_c_stream__())
    ref, class_ref = weakref.ref(table), weakref.ref(cls)
    del table, cls
    gc.collect()
    assert ref() is None and class_ref() is None
    schema, chunk = stream.schema(), stream.next()
    stream.release()
    for held in (taken, Taken(schema, chunk)):
        assert held.child(0).values() == [1, 2] and held.child(1).values() == ["a", "b"]
        held.release()


def two_batches() -> Producer:
    return Producer(
        batch(fixed("l", [1, 2], "x"), text(["a", "b"], "y")),
        batch(fixed("l", [3], "x"), text(["c"], "y")),
    )


def two(native: Any) -> Any:
    return native.make_record("Two", [("x", native.i64), ("y", str)])


HOLDERS = {
    "table": lambda table: table,
    "slice": lambda table: table[1:],
    "slice of a slice": lambda table: table[1:][:1],
    "column": lambda table: table.column("x"),
    "iterator": lambda table: iter(table),
    "iterator of a column": lambda table: iter(table.column("y")),
    "copy": lambda table: copy.copy(table),
    "export": lambda table: table.__arrow_c_stream__(),
    "export of a column": lambda table: table.column("y").__arrow_c_stream__(),
    "table extended with it": lambda table: extended(table),
}


def extended(table: Any) -> Any:
    made = type(table)(table.record_class)
    made.extend(table)
    return made


@pytest.mark.parametrize("holder", HOLDERS)
def test_whoever_shows_imported_memory_holds_it(native, holder):
    producer = two_batches()
    table = native.RecordTable.from_arrow(two(native), producer)
    held = HOLDERS[holder](table)
    del table
    gc.collect()
    assert producer.ledger.live and not producer.settled
    del held
    gc.collect()
    assert producer.settled


def test_a_buffer_of_a_column_holds_imported_memory(native):
    producer = ArrayProducer(batch(fixed("l", [1, 2, 3], "x"), text(["a", "b", "c"], "y")))
    table = native.RecordTable.from_arrow(two(native), producer)
    view = memoryview(table.column("x"))
    del table
    gc.collect()
    assert view.tolist() == [1, 2, 3] and not producer.settled
    del view
    gc.collect()
    assert producer.settled


def test_records_read_from_it_do_not_hold_it(native):
    producer = two_batches()
    table = native.RecordTable.from_arrow(two(native), producer)
    kept = [table[0], list(table), table.column("y").tolist(), pickle.dumps(table.column("x")[:])]
    del table
    gc.collect()
    assert producer.settled and kept[0].y == "a"


def test_joining_lets_imported_memory_go(native):
    producer = two_batches()
    table = native.RecordTable.from_arrow(two(native), producer)
    table.append((4, "d"))
    assert not producer.settled
    memoryview(table.column("x"))
    assert producer.settled
    assert table.column("y").tolist() == ["a", "b", "c", "d"]


def test_rows_appended_to_an_import_never_touch_its_memory(native):
    made = batch(fixed("l", [1, 2, 3, 4], "x"), Column("b", 4, [None, b"\x0f"], "y"), length=2)
    producer = ArrayProducer(made)
    schema, capsule = producer.__arrow_c_array__()
    taken = Taken(take(schema, "arrow_schema"), take(capsule, "arrow_array"))
    watched = [taken.child(i).buffer(1) for i in range(2)]
    cls = native.make_record("C", [("x", native.i64), ("y", bool)])

    class Again:
        def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
            return capsule_of(taken.schema), capsule_of(taken.array)

    table = native.RecordTable.from_arrow(cls, Again())
    before = [ctypes.string_at(watched[0], 32), ctypes.string_at(watched[1], 1)]
    part = table[:1]
    for i in range(40):
        table.append((i, False))
        part.append((i, False))
    assert [ctypes.string_at(watched[0], 32), ctypes.string_at(watched[1], 1)] == before
    assert table.column("y").tolist() == [True] * 2 + [False] * 40
    assert part.column("y").tolist() == [True] + [False] * 40
    del table, part
    assert producer.settled


def test_imported_memory_exported_again_is_released_once(native):
    producer = two_batches()
    cls = two(native)
    table = native.RecordTable.from_arrow(cls, producer)
    again = native.RecordTable.from_arrow(cls, table)
    stream = Stream(again.__arrow_c_stream__())
    chunk = stream.next()
    child = move(chunk.children[0].contents)
    del table, again
    release(chunk)
    stream.release()
    assert not producer.settled
    release(child)
    assert producer.settled


def test_structs_moved_before_they_are_imported(native):
    """A consumer in between takes them out, and hands them on from another place."""
    producer = ArrayProducer(batch(fixed("l", [1, 2], "x"), text(["a", "b"], "y")))
    schema, array = producer.__arrow_c_array__()
    moved = [
        move(move(take(schema, "arrow_schema"))), move(move(take(array, "arrow_array")))
    ]  # fmt: skip

    class Again:
        def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
            return capsule_of(moved[0]), capsule_of(moved[1])

    table = native.RecordTable.from_arrow(two(native), Again())
    assert not moved[0].release and not moved[1].release
    moved.clear()
    assert table.column("y").tolist() == ["a", "b"]
    del table
    assert producer.settled


def test_a_refused_row_leaves_no_word_in_the_dictionary(native):
    cls = native.make_record("Word", [("y", Annotated[str, native.Coded]), ("x", native.i8)])
    table = native.RecordTable(cls, [("a", 1)])
    for call in (
        lambda: table.append(("new", 1000)),
        lambda: table.extend([("new", 1), ("newer", 1000)]),
        lambda: table.extend({"y": ["new", "newer"], "x": [1, 1000]}),
        lambda: table.append(("new",)),
    ):
        with pytest.raises((OverflowError, ValueError)):
            call()
        taken = take_array(table)
        assert taken.child(0).dictionary().values() == ["a"]
        taken.release()


def test_a_failed_import_holds_nothing(native):
    cls = two(native)
    bad = batch(fixed("l", [1], "x"), Column("u", 1, [None, bytes([0, 0, 0, 0, 1, 0, 0, 0]),
                                                      b"\xff"], "y"))  # fmt: skip
    good = batch(fixed("l", [1], "x"), text(["a"], "y"))
    for batches in ((bad,), (good, bad), (good, good, bad, good)):
        producer = Producer(*batches)
        table = native.RecordTable(cls)
        with pytest.raises(ValueError):
            table.extend(producer)
        assert producer.settled and len(table) == 0


# ---- threads


def test_release_in_a_thread_that_python_does_not_know(native):
    table = big_table(native, 1000)
    want = table.column("y").tolist()
    for exporter in (table, table[3:], table.column("y"), native.RecordTable(table.record_class)):
        taken = take_array(exporter)
        stream = take(exporter.__arrow_c_stream__(), "arrow_array_stream")
        for one in (taken.array, taken.schema, stream):
            call_in_c_thread(one.release, ctypes.addressof(one))
            assert not one.release
    taken = take_array(table)
    del table, exporter
    gc.collect()
    assert taken.child(1).values() == want
    call_in_c_thread(taken.array.release, ctypes.addressof(taken.array))
    call_in_c_thread(taken.schema.release, ctypes.addressof(taken.schema))


def test_release_in_such_a_thread_while_memory_is_traced(native):
    tracemalloc.start()
    try:
        table = big_table(native, 1000)
        taken = take_array(table)
        del table
        call_in_c_thread(taken.array.release, ctypes.addressof(taken.array))
        call_in_c_thread(taken.schema.release, ctypes.addressof(taken.schema))
    finally:
        tracemalloc.stop()


def test_imported_memory_let_go_in_such_a_thread(native):
    producer = two_batches()
    table = native.RecordTable.from_arrow(two(native), producer)
    stream = Stream(table.__arrow_c_stream__())
    chunk = stream.next()
    del table
    call_in_c_thread(stream.stream.release, ctypes.addressof(stream.stream))
    assert not producer.settled
    call_in_c_thread(chunk.release, ctypes.addressof(chunk))
    assert producer.settled


def test_threads_read_one_export(native):
    table = big_table(native, 2000)
    want = table.column("x").tolist()[:50]
    taken = take_array(table[:50])
    columns = [Taken(taken.schema, move(taken.array)).child(0)]

    def work() -> None:
        for _ in range(20):
            assert columns[0].values() == want

    run_threads(work)


def test_threads_export_import_and_append(native):
    table = big_table(native, 100)
    cls = table.record_class

    class Streaming:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return table.__arrow_c_stream__()

    def work() -> None:
        for i in range(60):
            made = native.RecordTable.from_arrow(cls, Streaming())
            assert len(made) >= 100 and made[99].x == 99
            assert [one.x for one in made[:100]] == list(range(100))
            made.extend(made[:3])
            table.append((i, None, f"z{i}"))
            taken = take_array(table[:100])
            assert taken.array.length == 100
            taken.release()
            if i % 20 == 0:
                taken = take_array(table)  # joins what others look at
                assert taken.child(0).values()[:100] == list(range(100))
                taken.release()

    run_threads(work)
    assert len(table) == 100 + 8 * 60
    assert sorted(table.column("x").tolist()[100:]) == sorted(list(range(60)) * 8)


def test_threads_extend_one_table_with_arrow(native):
    """Words of the dictionary are merged while others do the same."""
    cls = native.make_record("Word", [("x", native.i64), ("y", Annotated[str, native.Coded])])
    table = native.RecordTable(cls)
    sources = [
        native.RecordTable(cls, [(i, f"w{(i * k) % 151}") for i in range(200)]) for k in range(1, 8)
    ]

    class Streaming:
        def __init__(self, source: Any) -> None:
            self.source = source

        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return self.source.__arrow_c_stream__()

    def work() -> None:
        for source in sources:
            table.extend(Streaming(source))

    run_threads(work)
    assert len(table) == 8 * 7 * 200
    words = table.column("y").tolist()
    parts = sorted(words[i : i + 200] for i in range(0, len(words), 200))
    assert parts == sorted([source.column("y").tolist() for source in sources] * 8)
    taken = take_array(table[-200:])
    assert taken.child(1).values() == words[-200:]
    taken.release()


def test_threads_import_from_one_producer_each(native):
    cls = two(native)

    def work() -> None:
        for _ in range(10):
            producer = two_batches()
            table = native.RecordTable.from_arrow(cls, producer)
            assert table.column("y").tolist() == ["a", "b", "c"]
            del table
            assert producer.settled

    run_threads(work)


def test_other_threads_run_while_a_producer_is_waited_for(native):
    asked, answered = threading.Event(), threading.Event()

    def before_next() -> None:
        asked.set()
        assert answered.wait(60)

    producer = Producer(batch(fixed("l", [1], "x"), text(["a"], "y")), before_next=before_next)

    def answer() -> None:
        assert asked.wait(60)
        answered.set()

    thread = threading.Thread(target=answer)
    thread.start()
    table = native.RecordTable.from_arrow(two(native), producer)
    thread.join()
    assert len(table) == 1


# ---- producers that come back


def test_a_producer_may_change_the_table_it_is_read_into(native):
    cls = two(native)
    table = native.RecordTable(cls, [(0, "old")])

    def meddle() -> None:
        table.append((9, "meddled"))
        table.extend(table[:1])
        table.column("x").tolist()
        release(take(table.__arrow_c_stream__(), "arrow_array_stream"))
        take_array(table).release()

    producer = two_batches()
    producer.before_next = meddle
    with contextlib.suppress(RuntimeError, BufferError):
        table.extend(producer)
    got = [(one.x, one.y) for one in table]
    assert list(zip(table.column("x"), table.column("y"), strict=True)) == got
    assert got.count((9, "meddled")) == 3 and got[0] == (0, "old")
    extra = [row for row in got if row[1] in "abc"]
    assert extra in ([], [(1, "a"), (2, "b"), (3, "c")])


def test_a_method_may_change_the_table_it_is_read_into(native):
    cls = two(native)
    table = native.RecordTable(cls, [(0, "old")])
    source = native.RecordTable(cls, [(1, "a")])

    class Meddling:
        @property
        def __arrow_c_stream__(self) -> Any:
            table.append((9, "meddled"))
            return lambda: (table.append((9, "meddled")), source.__arrow_c_stream__())[1]

    table.extend(Meddling())
    got = [(one.x, one.y) for one in table]
    assert got.count((1, "a")) == 1 and set(got) == {(0, "old"), (1, "a"), (9, "meddled")}


def test_a_producer_may_drop_everything_that_is_left(native):
    kept = [native.RecordTable(two(native), [(0, "old")])]
    producer = two_batches()

    def drop() -> None:
        kept.clear()
        gc.collect()

    producer.before_next = drop
    kept[0].extend(producer)
    gc.collect()
    assert producer.settled


def test_a_table_extended_with_its_own_export(native):
    table = native.RecordTable(two(native), [(1, "a"), (2, "b")])

    class Own:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return table.__arrow_c_stream__()

    for n in (4, 8, 16):
        table.extend(Own())
        assert table.column("x").tolist() == [1, 2] * (n // 2)


def test_python_errors_inside_a_producer_are_not_lost_or_mixed_up(native):
    """A callback in Python that raises says errno; nothing else stays set."""

    class Failing(Producer):
        pass

    producer = Failing(batch(fixed("l", [1], "x"), text(["a"], "y")), fail_next=(1, 5, b"no more"))
    try:
        raise KeyError("of before")
    except KeyError:
        with pytest.raises(OSError, match="no more") as caught:
            native.RecordTable.from_arrow(two(native), producer)
    assert isinstance(caught.value.__context__, KeyError) and producer.settled


# ---- the end of the process


def ends_well(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error", "-c", textwrap.dedent(program),
         *arguments],
        capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": _path()},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def _path() -> str:
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return os.pathsep.join([tests, *filter(None, sys.path)])


MAKE = """
import ctypes, sys
from typing import Annotated
from ferrule.records import *
from records.arrow_structs import *

class C(Record):
    x: i64
    y: str | None
    z: Annotated[str, Coded]

table = RecordTable(C, [(i, "y" * i, "z") for i in range(100)])
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p

def in_malloc(one):
    "The struct moved to memory of the C library, which Python never frees."
    address = libc.malloc(ctypes.c_size_t(ctypes.sizeof(one)))
    return move(one, type(one).from_address(address))

def at_exit(one):
    "Let the C library release it when the interpreter is long gone."
    moved = in_malloc(one)
    address = ctypes.c_void_p(ctypes.addressof(moved))
    libc.__cxa_atexit(ctypes.c_void_p(moved.release), address, None)
"""


def test_consumers_that_release_after_the_interpreter(native):
    if not hasattr(ctypes.CDLL(None), "__cxa_atexit"):
        pytest.skip("needs __cxa_atexit")
    ends_well(
        MAKE
        + """
for exporter in (table, table[7:], table.column("y"), RecordTable.from_arrow(C, table)):
    taken = take_array(exporter)
    at_exit(taken.schema)
    at_exit(taken.array)
    at_exit(take(exporter.__arrow_c_stream__(), "arrow_array_stream"))
    stream = Stream(exporter.__arrow_c_stream__())
    at_exit(stream.next())
"""
    )


def test_capsules_and_tables_alive_at_the_end(native):
    ends_well(
        MAKE
        + """
sys.kept = [table, table[1:], table.column("y"), iter(table), table.__arrow_c_stream__(),
            table.__arrow_c_array__(), table.__arrow_c_schema__(),
            RecordTable.from_arrow(C, table), memoryview(table.column("x"))]
sys.kept.append(sys.kept)
"""
    )


def test_tracemalloc_at_the_end(native):
    if not hasattr(ctypes.CDLL(None), "__cxa_atexit"):
        pytest.skip("needs __cxa_atexit")
    ends_well(
        "import tracemalloc\ntracemalloc.start()\n"
        + MAKE
        + """
taken = take_array(RecordTable.from_arrow(C, table))
at_exit(taken.array)
at_exit(taken.schema)
"""
    )


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.parametrize("library", ["pyarrow", "polars", "duckdb", "pandas", "nanoarrow"])
def test_libraries_that_hold_memory_at_the_end(native, library):
    pytest.importorskip(library)
    if library == "pandas":
        pytest.importorskip("pyarrow")
    ends_well(
        MAKE
        + """
import importlib, threading, time
library = importlib.import_module(sys.argv[1])
if sys.argv[1] == "pyarrow":
    kept = [library.table(table), library.record_batch(table[3:]),
            library.RecordBatchReader.from_stream(table)]
    back = RecordTable.from_arrow(C, kept[0])
elif sys.argv[1] == "polars":
    kept = [library.DataFrame(table), library.Series(table.column("y"))]
    back = RecordTable.from_arrow(C, kept[0])
elif sys.argv[1] == "duckdb":
    connection = library.connect()
    kept = [connection.sql("select * from table_"), connection] if (table_ := table) else []
    kept[0].fetchall()
elif sys.argv[1] == "pandas":
    kept = [library.DataFrame.from_arrow(table)]
    back = RecordTable.from_arrow(C, kept[0])
else:
    kept = [library.Array(table), library.ArrayStream(table), library.c_array(table)]
    back = RecordTable.from_arrow(C, kept[0])
sys.kept = kept
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
""",
        library,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_exports_and_imports_survive_a_fork(native):
    producer = two_batches()
    table = native.RecordTable.from_arrow(two(native), producer)
    taken = take_array(table[:2])
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            ok = taken.child(1).values() == ["a", "b"] and len(table) == 3
            table.append((4, "d"))
            taken.release()
            again = native.RecordTable.from_arrow(table.record_class, table)
            ok = ok and again.column("y").tolist() == ["a", "b", "c", "d"]
            os.write(writer, b"ok" if ok else b"no")
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        assert answer.read() == b"ok"
    assert os.waitpid(child, 0)[1] == 0
    assert taken.child(0).values() == [1, 2] and len(table) == 3
    taken.release()
    del table
    assert producer.settled


# ---- with pyarrow's own threads


@pytest.mark.integration
def test_pyarrow_drops_our_memory_in_its_pool(native):
    pa = pytest.importorskip("pyarrow")
    compute = pytest.importorskip("pyarrow.compute")
    dataset = pytest.importorskip("pyarrow.dataset")
    for _ in range(5):
        table = big_table(native, 20_000)
        for part in range(0, 20_000, 3000):
            table.extend(table[part : part + 3000])
        count = sum(x > 10 for x in table.column("x"))
        reader = pa.RecordBatchReader.from_stream(table)
        del table
        scanner = dataset.Scanner.from_batches(reader, filter=compute.field("x") > 10)
        assert scanner.to_table().num_rows == count


@pytest.mark.integration
def test_pyarrow_reads_in_threads_what_python_callbacks_made(native):
    pa = pytest.importorskip("pyarrow")
    producer = two_batches()
    table = native.RecordTable.from_arrow(two(native), producer)
    read = pa.table(table)
    del table
    assert read.combine_chunks().to_pydict() == {"x": [1, 2, 3], "y": ["a", "b", "c"]}
    del read
    gc.collect()
    assert producer.settled


@pytest.mark.integration
def test_duckdb_reads_in_threads(native):
    duckdb = pytest.importorskip("duckdb")
    readings = big_table(native, 50_000)
    for _ in range(4):
        readings.extend(readings[:20_000])
    with duckdb.connect(config={"threads": 4}) as connection:
        for _ in range(3):
            got = connection.sql("select count(*), sum(x), count(y) from readings").fetchall()
            assert got == [
                (len(readings), sum(readings.column("x")),
                 len(readings) - readings.column("y").null_count)
            ]  # fmt: skip
            readings.append((0, None, "new"))


@pytest.mark.integration
def test_no_leak_through_pyarrow(native):
    pa = pytest.importorskip("pyarrow")
    table = big_table(native, 1000)
    cls = table.record_class
    pool = pa.default_memory_pool()

    def there_and_back() -> None:
        read = pa.table(table)
        made = native.RecordTable.from_arrow(cls, read)
        made.append((1, None, "w"))
        pa.table(made)

    there_and_back()
    before = pool.bytes_allocated()
    assert traced(there_and_back) < 50_000
    assert pool.bytes_allocated() == before
    no_leak(there_and_back, rounds=50)
