"""RecordArray: leaks, failed allocations, sub-interpreters, threads, forks, and re-entrancy."""

import contextlib
import copy
import functools
import gc
import io
import os
import struct
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest

from lifetime import in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import array, copy, operator, pickle, struct, sys
from typing import Annotated
from ferrule._records import RecordArray, RecordTable, Record, Size
from ferrule.records import *

class Reading(Record, gc=False):
    timestamp: i64
    value: f64
    unit: Annotated[str, Size(8)]

class Holes(Record):
    flag: bool8
    number: i64
    small: u16
    code: Annotated[bytes, Size(300)]

class Other(Record):
    timestamp: i64

class Slots(Record):
    timestamp: i64
    unit: str

def refuse(function, *args, **keywords):
    try:
        function(*args, **keywords)
    except (TypeError, ValueError, OverflowError, AttributeError, BufferError, LookupError):
        return
    except SystemError as error:
        # what CPython itself raises when an f-string finds no memory
        if str(error) != "error return without exception set":
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

# pickle finds the classes here
vars(sys.modules.setdefault(__name__, type(sys)(__name__))).update(globals())
ROWS = [(1, 2.5, "C"), (2, -1.0, "F"), (3, 0.0, "")]
arr, other = RecordArray(Reading, ROWS), RecordArray(Reading, ROWS)
holes = RecordArray(Holes, [(True, 1, 2, bytes(300))])
raw, record = arr.tobytes(), arr[0]
many = RecordArray(Reading, ROWS * 50)
memory = bytearray(raw)
table = RecordTable(Reading, ROWS)
numbers = array.array("q", [1, 2])
misplaced, read_only = memoryview(memory)[1:25], RecordArray.from_buffer(Reading, raw)
columns = {"timestamp": numbers, "value": [1.0, 2.0], "unit": ("a", "b")}
dumped = {protocol: pickle.dumps(arr, protocol) for protocol in (2, 5)}
nothing = pickle.dumps(RecordArray(Reading), 2)
live = other.row(0)
def fresh(rows=ROWS): return RecordArray(Reading, rows)
"""

#: One allocation walk and one leak check each; names say what is done.
SUCCESSES = {
    "create": "RecordArray(Reading); RecordArray(Holes, capacity=100)",
    "create from rows": "RecordArray(Reading, ROWS)",
    "create from wide rows": "RecordArray(Holes, [(True, 1, 2, bytes(300))] * 3)",
    "append": "made = fresh(); made.append(record); made.append((1, 2, 'x'))",
    "append a row": "made = fresh(); made.append(live)",
    "append many": "made = fresh([])\nfor _ in range(100): made.append(record)",
    "extend by rows": "made = fresh(); made.extend(iter(arr))",
    "extend by an array": "made = fresh(); made.extend(arr); made.extend(made)",
    "extend by a slice": "made = fresh(); made.extend(arr[::-2])",
    "extend by columns": "made = fresh(); made.extend(columns)",
    "extend by a buffer": "made = fresh(); made.extend(raw); made.extend(memoryview(arr)[::-1])",
    "extend by a table": "made = fresh(); made.extend(table)",
    "extend an unpickled nothing": "made = pickle.loads(nothing); made.extend(ROWS)",
    "read": "arr[0], arr[-1], holes[0]",
    "write": "other[0] = record; other[1] = (1, 2, 'x'); other[2] = live",
    "slice": "arr[1:], arr[::-1][1:], arr[5:]",
    "write a slice": "other[:2] = ROWS[:2]; other[:] = other[::-1]; other[:] = raw",
    "iterate": "list(arr), list(reversed(arr)), record in arr",
    "row": "one = arr.row(0); one.timestamp, one.value, one.unit, repr(one), dir(one)",
    "write a row": "one = other.row(1); one.value = 5; one.unit = 'm'",
    "compare rows": "arr.row(0) == arr.row(1), arr.row(0) == record, record == arr.row(0)",
    "compare": "arr == other, arr != many, arr == 5",
    "column": "arr.column('value').tolist(), arr[::2].column('unit').tobytes()",
    "sort": "made = fresh(); made.sort_by('value', reverse=True); made.sort_by('unit')",
    "sort many": "made = fresh(many); made.sort_by('timestamp'); made.sort_by('unit')",
    "tobytes": "arr.tobytes(), arr[::2].tobytes()",
    "from_buffer": "made = RecordArray.from_buffer(Reading, memory); made[0] = record",
    "from_buffer of an array": "RecordArray.from_buffer(Reading, arr)[0]",
    "buffer": "memoryview(arr).cast('B'), memoryview(arr[::2]).tobytes()",
    "repr": "repr(arr)",
    "copy": "copy.copy(arr), copy.deepcopy(arr[::2])",
    # pickle reports any error of the import machinery, so MemoryError too, as its own
    "pickle": (
        "try: pickle.dumps(arr, 2), pickle.dumps(arr[::2], 5)\n"
        "except pickle.PicklingError: raise MemoryError from None"
    ),
    "unpickle": "made = pickle.loads(dumped[2]); made.append(record)",
    "unpickle out of band": "made = pickle.loads(dumped[5]); made[0] = record; made.extend(ROWS)",
    "attributes": "arr.nbytes, arr.itemsize, arr.capacity, arr.readonly, arr.record_class",
    "annotation": "RecordArray[Reading]",
}

ERRORS = {
    "create with an object slot": "refuse(RecordArray, Slots)",
    "create with something else": "refuse(RecordArray, 5); refuse(RecordArray, Record)",
    "create with a wrong capacity": "refuse(RecordArray, Reading, capacity=-1)",
    "create beyond memory": "refuse(RecordArray, Reading, capacity=2**61)",
    "create with a wrong row": "refuse(RecordArray, Reading, [ROWS[0], (1, 'x', '')])",
    "append a wrong type": "refuse(arr.append, 5); refuse(arr.append, Other(1))",
    "append a wrong value": "refuse(arr.append, (1, 'x', '')); refuse(arr.append, (1, 2))",
    "append a wide wrong value": "refuse(holes.append, (True, 1, 'x', bytes(300)))",
    "append while shared": "part = arr[:]; refuse(arr.append, record); refuse(part.append, record)",
    "extend by something else": "refuse(arr.extend, 5); refuse(arr.extend, RecordArray(Other))",
    "extend by a wrong row": "refuse(arr.extend, [ROWS[0], (1, 'x', '')])",
    "extend by a wrong buffer": "refuse(arr.extend, b'xyz'); refuse(arr.extend, numbers)",
    "extend by bad text": "refuse(arr.extend, raw[:40] + b'\\xff' * 8)",
    "extend by a missing column": "refuse(arr.extend, {'timestamp': [1]})",
    "extend by an unknown column": "refuse(arr.extend, {**columns, 'x': []})",
    "extend by unequal columns": "refuse(arr.extend, {**columns, 'value': [1]})",
    "extend by a wrong column": "refuse(arr.extend, {**columns, 'value': [1, 'x']})",
    "extend while shared": "part = arr.row(0); refuse(arr.extend, ROWS)",
    "index out of range": "refuse(arr.__getitem__, 3); refuse(arr.row, -4)",
    "index of a wrong type": "refuse(arr.__getitem__, 'x'); refuse(arr.__setitem__, 'x', record)",
    "delete": "refuse(arr.__delitem__, 0)",
    "write a wrong item": "refuse(arr.__setitem__, 0, (1, 'x', ''))",
    "write a slice of another size": "refuse(arr.__setitem__, slice(1), ROWS)",
    "write a wrong slice": "refuse(arr.__setitem__, slice(1), [5])",
    "write to a row": "one = arr.row(0); refuse(setattr, one, 'value', 'x')",
    "write an unknown name": "one = arr.row(0); refuse(setattr, one, 'x', 1)",
    "delete from a row": "one = arr.row(0); refuse(delattr, one, 'value')",
    "column of an unknown name": "refuse(arr.column, 'x'); refuse(arr.column, 5)",
    "sort by an unknown name": "refuse(arr.sort_by, 'x'); refuse(arr.sort_by, 5)",
    "sort while shared": "part = arr.column('value'); refuse(arr.sort_by, 'value')",
    "from_buffer of a wrong size": "refuse(RecordArray.from_buffer, Reading, raw[1:])",
    "from_buffer of a wrong format": "refuse(RecordArray.from_buffer, Reading, numbers)",
    "from_buffer of a wrong place": "refuse(RecordArray.from_buffer, Reading, misplaced)",
    "from_buffer of no buffer": "refuse(RecordArray.from_buffer, Reading, 5)",
    "write to read-only memory": "refuse(read_only.__setitem__, 0, record)",
    "hash": "refuse(hash, arr); refuse(hash, arr.row(0))",
    "unpickle too few bytes": "refuse(pickle.loads, dumped[2].replace(b'T{=q', b'T{=i'))",
}  # fmt: skip

CASES = {**SUCCESSES, **ERRORS}

#: Which of the cases above calls each method: success, then error (or why there is none).
COVERED = {
    "append": ("append", "append a wrong type"),
    "extend": ("extend by rows", "extend by a wrong row"),
    "row": ("row", "index out of range"),
    "column": ("column", "column of an unknown name"),
    "sort_by": ("sort", "sort by an unknown name"),
    "tobytes": ("tobytes", None),
    "from_buffer": ("from_buffer", "from_buffer of a wrong size"),
    "record_class": ("attributes", None),
    "itemsize": ("attributes", None),
    "nbytes": ("attributes", None),
    "capacity": ("attributes", None),
    "readonly": ("attributes", None),
}

ROWS = [(1, 2.5, "C"), (2, -1.0, "F"), (3, 0.0, "")]


@functools.cache
def space() -> dict[str, Any]:
    made: dict[str, Any] = {"__name__": "lifetime_of_arrays"}
    exec(SETUP, made)
    return made


@functools.cache
def reading(impl: Any) -> Any:
    class Reading(impl.Record, gc=False):
        __qualname__ = "Reading"

        timestamp: impl.i64
        value: impl.f64
        unit: Annotated[str, impl.Size(8)]

    return Reading


def readings(impl: Any, rows: Any = ROWS, **options: Any) -> Any:
    return impl.RecordArray(reading(impl), rows, **options)


def test_every_public_name_of_an_array_has_a_case(native):
    public = {name for name in dir(native.RecordArray) if not name.startswith("_")}
    assert public == set(COVERED)
    for success, error in COVERED.values():
        assert success in SUCCESSES and (error is None or error in ERRORS)


@pytest.mark.parametrize("case", CASES)
def test_nothing_leaks(native, case):
    compiled = compile(CASES[case], "case", "exec")
    made = space()

    def run() -> None:
        exec(compiled, dict(made))
        gc.collect()  # so that no garbage fills the interpreter's free lists

    for _ in range(300):
        run()
    no_leak(run, rounds=300)


@pytest.mark.parametrize("case", CASES)
def test_a_failed_allocation_is_a_memory_error(native, case):
    walk_oom(CASES[case], setup=SETUP)


#: What grows or changes an array, done to `target`; without memory it stays as it was.
UNTOUCHED = {
    "append": "target.append((9, 9, 'x'))",
    "append a record": "target.append(record)",
    "extend": "target.extend(ROWS * 20)",
    "extend by an array": "target.extend(many)",
    "extend by itself": "target.extend(target)",
    "extend by a buffer": "target.extend(raw * 20)",
    "extend by columns": "target.extend({**columns, 'unit': ['a', 'b']})",
    "extend by a table": "target.extend(table)",
    "extend the unpickled": "loaded.extend(ROWS * 20)",
    "write": "target[0] = (9, 9, 'x')",
    "write a slice": "target[:] = ROWS[::-1]",
    "sort": "target.sort_by('timestamp', reverse=True)",
}


@pytest.mark.parametrize("case", UNTOUCHED)
def test_an_array_is_as_it_was_when_there_was_no_memory(native, case):
    name = "loaded" if "loaded" in UNTOUCHED[case] else "target"
    walk_oom(
        f"""
        {"loaded = pickle.loads(dumped[2])" if name == "loaded" else "target = fresh()"}
        started.append(1)
        try:
            {UNTOUCHED[case]}
        except MemoryError:
            started.append({name}.tobytes() == raw and len({name}) == 3)
            raise
        finally:
            good = [state for state in started[1:] if not state] == []
            started.clear()
        if not good: raise AssertionError("changed")
        {name}[0] = (1, 1.0, "")
        """,
        setup=SETUP + "\nstarted = []\n",
    )


def test_arrays_work_in_sub_interpreters(native):
    in_subinterpreter(
        SETUP
        + """
made = fresh(ROWS * 1000)
made.sort_by("timestamp", reverse=True)
assert made[0].timestamp == 3 and made.column("value")[0] == 0.0
part, one = made[::3], made.row(5)
refuse(made.append, record)
refuse(made.append, (1, "x", ""))
assert copy.copy(part) == part and pickle.loads(dumped[5]) == arr
kept = [part, one, memoryview(made), made.column("unit"), iter(made)]
"""
    )


# ---- life and death


def test_memory_goes_with_the_last_that_shares_it(native):
    memory = bytearray(48)
    arr = native.RecordArray.from_buffer(reading(native), memory)
    sharers = [arr[1:], arr.row(0), arr.column("value"), memoryview(arr)]
    del arr
    while sharers:
        with pytest.raises(BufferError):
            memory.append(0)
        sharers.pop()
    memory.append(0)


def test_memory_is_given_back(native):
    before = sys.getallocatedblocks()
    for _ in range(20):
        arr = readings(native, ROWS * 100)
        arr[::2].row(3)
        del arr
    assert sys.getallocatedblocks() - before < 50


def test_tracemalloc_sees_the_rows(native):
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        arr = readings(native, capacity=100_000)
        assert 2_400_000 <= tracemalloc.get_traced_memory()[0] - before < 2_500_000
        del arr
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()


def test_an_array_keeps_its_class_and_lets_it_go(native):
    class Kept(native.Record):
        x: native.i64

    arr = native.RecordArray(Kept, [(1,)])
    ref = weakref.ref(Kept)
    del Kept
    gc.collect()
    assert ref() is not None and arr[0].x == 1
    Kept = arr.record_class
    Kept.example = [arr, arr[:], arr.row(0), arr.column("x")]  # a cycle
    del arr, Kept
    gc.collect()
    assert ref() is None


def test_a_cycle_through_the_memory_is_collected(native):
    class Memory(bytearray):
        pass

    memory = Memory(48)
    memory.arr = native.RecordArray.from_buffer(reading(native), memory)
    memory.row = memory.arr.row(0)
    ref = weakref.ref(memory)
    del memory
    gc.collect()
    assert ref() is None


def test_the_collector_sees_arrays(native):
    arr = readings(native)
    for one in (arr, arr[1:], arr.row(0)):
        assert gc.is_tracked(one) and reading(native) in [
            *gc.get_referents(one), *[x for y in gc.get_referents(one) for x in gc.get_referents(y)]
        ]  # fmt: skip


def test_a_released_column_lets_the_array_grow(native):
    arr = readings(native)
    column = arr.column("value")
    with column, pytest.raises(BufferError):
        arr.append(ROWS[0])
    arr.append(ROWS[0])
    with pytest.raises(ValueError):
        column[0]


# ---- code of the user that runs in the middle


def shake(arr: Any) -> None:
    """Grow, sort, cut and write: whatever is allowed now."""
    if len(arr) > 500:  # what loops over it must find an end
        return
    for change in (
        lambda: arr.append((7, 7.0, "new")),
        lambda: arr.extend([(8, 8.0, "more")] * 40),
        lambda: arr.sort_by("value"),
        lambda: arr.__setitem__(0, (5, 5.0, "set")),
        lambda: arr.__setitem__(slice(2), arr[1:3]),
        lambda: list(arr[::-1]),
    ):
        with contextlib.suppress(BufferError):
            change()


class Shaker:
    """Shakes an array from every method that the operation under test calls."""

    def __init__(self, arr: Any) -> None:
        self.arr = arr

    def __index__(self) -> int:
        shake(self.arr)
        return 1

    def __float__(self) -> float:
        shake(self.arr)
        return 1.5

    def __bool__(self) -> bool:
        shake(self.arr)
        return True

    def __eq__(self, other: object) -> bool:
        shake(self.arr)
        return False

    def __hash__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Any]:
        for row in ROWS:
            shake(self.arr)
            yield row

    def __del__(self) -> None:
        shake(self.arr)


class Numbers:
    """A column that shakes an array while it is read."""

    def __init__(self, arr: Any) -> None:
        self.arr = arr

    def __iter__(self) -> Iterator[Any]:
        for i in range(3):
            shake(self.arr)
            yield i


REENTRANT: dict[str, Callable[[Any, Any], Any]] = {
    "index": lambda impl, arr: arr[Shaker(arr)],
    "row": lambda impl, arr: arr.row(Shaker(arr)),
    "write at": lambda impl, arr: arr.__setitem__(Shaker(arr), ROWS[0]),
    "write": lambda impl, arr: arr.__setitem__(0, (Shaker(arr), Shaker(arr), "")),
    "append": lambda impl, arr: arr.append((Shaker(arr), Shaker(arr), "")),
    "slice": lambda impl, arr: arr[Shaker(arr) : Shaker(arr)],
    "write a slice at": lambda impl, arr: arr.__setitem__(slice(0, Shaker(arr)), [ROWS[0]]),
    "write a slice": lambda impl, arr: arr.__setitem__(slice(0, 3), Shaker(arr)),
    "write a slice of rows": lambda impl, arr: arr.__setitem__(
        slice(0, 2), [(Shaker(arr), 1, ""), ROWS[0]]
    ),
    "write an open slice": lambda impl, arr: arr.__setitem__(slice(0, None), Shaker(arr)),
    "extend": lambda impl, arr: arr.extend(Shaker(arr)),
    "extend by rows": lambda impl, arr: arr.extend([(1, Shaker(arr), "")] * 20),
    "extend by columns": lambda impl, arr: arr.extend(
        {"timestamp": Numbers(arr), "value": [Shaker(arr)] * 3, "unit": "abc"}
    ),
    "extend by its own column": lambda impl, arr: arr.extend(
        {"timestamp": [Shaker(arr)] * 3, "value": arr.column("value")[:3], "unit": "abc"}
    ),
    "make": lambda impl, arr: impl.RecordArray(reading(impl), Shaker(arr)),
    "write a live row": lambda impl, arr: setattr(arr.row(0), "value", Shaker(arr)),
    "write a live int": lambda impl, arr: setattr(arr.row(0), "timestamp", Shaker(arr)),
    "sort": lambda impl, arr: arr.sort_by("value", reverse=Shaker(arr)),
    "contains": lambda impl, arr: Shaker(arr) in arr,
    "capacity": lambda impl, arr: impl.RecordArray(reading(impl), arr, capacity=Shaker(arr)),
    "iterate": lambda impl, arr: [shake(arr) for _ in zip(arr, range(5), strict=False)],
    "reversed": lambda impl, arr: [shake(arr) for _ in zip(reversed(arr), range(5), strict=False)],
}


@pytest.mark.parametrize("case", REENTRANT)
def test_an_array_that_is_changed_under_an_operation(impl, case):
    arr = readings(impl)
    with contextlib.suppress(BufferError, ValueError):
        REENTRANT[case](impl, arr)
    gc.collect()
    rows = [(row.timestamp, row.value, row.unit) for row in arr]
    assert len(rows) == len(arr) >= 3
    assert all(unit in ("", "a", "b", "c", "C", "F", "new", "more", "set") for _, _, unit in rows)
    arr.append(ROWS[0])
    assert arr.tobytes() == readings(impl, [*rows, ROWS[0]]).tobytes()


def test_a_list_that_is_emptied_while_it_is_read(impl):
    arr = readings(impl)

    class Emptying:
        def __init__(self, given: list[Any]) -> None:
            self.given = given

        def __index__(self) -> int:
            self.given.clear()
            shake(arr)
            return 1

    given: list[Any] = []
    given += [(Emptying(given), 1.0, ""), ROWS[0], ROWS[1]]
    before = len(arr)
    arr.extend(given)
    assert len(arr) > before
    column: list[Any] = []
    column += [Emptying(column), 1, 2]
    before = len(arr)
    with contextlib.suppress(RuntimeError):  # a dict's word for it
        arr.extend({"timestamp": column, "value": [1, 2, 3], "unit": "abc"})
    assert len(arr) > before or column == []


def test_a_slice_taken_while_extending_stops_the_growth(impl):
    arr = readings(impl)
    taken = []

    def rows():
        yield ROWS[0]
        taken.append(arr[:])
        yield ROWS[1]

    with pytest.raises(BufferError):
        arr.extend(rows())
    assert len(arr) == 3 and taken[0][0].timestamp == 1
    taken.clear()
    arr.append(ROWS[0])
    assert len(arr) == 4


def test_a_finalizer_that_uses_the_array(impl):
    arr = readings(impl)

    class Last:
        def __del__(self) -> None:
            arr.append((9, 9.0, "end"))

    def rows():
        kept = Last()
        yield ROWS[0]
        assert kept

    arr.extend(rows())
    assert [row.timestamp for row in arr] == [1, 2, 3, 9, 1]


def test_an_exporter_that_is_changed_while_columns_are_read(impl):
    memory = bytearray(struct.pack("=3q", 1, 2, 3))
    view = memoryview(memory).cast("q")

    def floats():
        yield 1.0
        with pytest.raises(BufferError):
            memory.extend(b"x")
        memory[0] = 9
        yield 2.0
        yield 3.0

    arr = readings(impl, {"timestamp": view, "value": floats(), "unit": "abc"})
    assert arr[1].timestamp == 2 and arr[0].timestamp in (1, 9)
    view.release()
    memory.extend(b"x")


def test_an_array_resurrected_by_a_weak_reference_callback(native):
    seen = []
    arr = readings(native)
    ref = weakref.ref(arr, lambda ref: seen.append(ref()))
    part = arr[1:]
    del arr
    assert seen == [] and ref() is not None  # the slice keeps its owner
    del part
    assert seen == [None]


def test_input_is_read_into_the_rows(native):
    arr = readings(native)
    given = readings(native, ROWS[::-1]).tobytes()
    assert io.BytesIO(given).readinto(arr) == 72
    assert [row.timestamp for row in arr] == [3, 2, 1]


# ---- threads and processes


def test_threads_append_to_one_array(native):
    arr = readings(native, [])

    def work() -> None:
        for i in range(300):
            arr.append((i, i / 2, "x"))

    run_threads(work)
    assert len(arr) == 2400 and sorted(arr.column("timestamp").tolist())[::8] == list(range(300))


def test_threads_read_while_one_writes(native):
    arr = readings(native, ROWS * 100)
    stop = threading.Event()
    errors: list[BaseException] = []

    def grow() -> None:
        try:
            while not stop.is_set():
                try:
                    arr.append((1, 1.0, "C"))
                    arr.sort_by("value")
                except BufferError:
                    pass
        except BaseException as error:
            errors.append(error)

    writer = threading.Thread(target=grow)
    writer.start()

    def read() -> None:
        for i in range(500):
            part = arr[i % 7 :: 3]
            assert part[0].unit in ("C", "F", "")
            assert len(part.tobytes()) == part.nbytes
            arr.row(i % 300).value = float(i)
            column = arr.column("timestamp")
            assert column[0] in (1, 2, 3)
            del part, column
            assert arr[i % 300] is not None
            if i % 100 == 0:
                assert len(copy.copy(arr)) >= 300

    try:
        run_threads(read, 4)
    finally:
        stop.set()
        writer.join()
    assert errors == [] and len(arr) >= 300


def test_an_array_does_not_move_while_it_sorts_without_the_lock(native):
    rows = [(i * 7919 % 1_000_003, float(-i), str(i)) for i in range(20_000)]
    arr = readings(native, rows)
    done = threading.Event()
    seen: list[int] = []

    def disturb() -> None:
        while not done.is_set():
            with contextlib.suppress(BufferError):
                arr.append((-1, -1e9, "new"))
                seen.append(len(arr))
            assert arr[-1] is not None and arr[len(arr) // 2] is not None

    thread = threading.Thread(target=disturb)
    thread.start()
    for name in ("timestamp", "value", "unit") * 5:
        with contextlib.suppress(BufferError):
            arr.sort_by(name)
    done.set()
    thread.join()
    found = sorted((row.timestamp, row.value, row.unit) for row in arr)
    assert found == sorted([*rows, *[(-1, -1e9, "new")] * len(seen)])


def test_an_array_survives_a_fork(impl):
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    arr = readings(impl)
    row, part = arr.row(0), arr[1:]
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        good = b"0"
        try:
            row.value = 99.0
            del row, part
            arr.append(ROWS[0])
            arr.sort_by("value")
            good = b"1" if len(arr) == 4 and arr[3].value == 99.0 else b"0"
        finally:
            os.write(writer, good)
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    os.close(writer)
    assert row.value == 2.5 and len(part) == 2 and len(arr) == 3
