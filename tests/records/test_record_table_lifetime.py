"""Tables: leaks, failed allocations, the collector, threads, forks, code that runs in between."""

import array
import copy
import functools
import gc
import os
import pickle
import sys
import threading
import tracemalloc
import weakref
from typing import Annotated, Any

import pytest

from lifetime import in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import array, copy, gc, operator, pickle, sys
from typing import Annotated
from ferrule.records import *

class Wide(Record):
    a: i64
    b: f32 | None
    c: bool | None
    d: str
    e: bytes | None
    f: Annotated[str, Coded] | None
    g: Annotated[bytes, Size(2)]

class Flat(Record):
    a: i64
    b: bool8
    c: Annotated[str, Size(4)]

class Fresh(Record):
    a: i64 | None

class Unusable(Record):
    a: i64
    b: list

def refuse(function, *args, **keywords):
    try:
        function(*args, **keywords)
    except (TypeError, ValueError, OverflowError, AttributeError, LookupError, BufferError):
        return
    except SystemError as error:
        # what CPython itself raises when an f-string finds no memory
        if str(error) != "error return without exception set":
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

def table_of_rows():
    return RecordTable(Wide, rows)

# pickle finds the classes here
vars(sys.modules.setdefault(__name__, type(sys)(__name__))).update(globals())
rows = [(i, None if i % 3 else i / 2, [True, None, False][i % 3], "e" * i, [None, b"x"][i % 2],
         [None, "a", "b"][i % 3], b"gg") for i in range(9)]
table = RecordTable(Wide, rows)
pickled = pickle.dumps(table, 5)
record = table[3]
columns = {name: table.column(name).tolist() for name in "abcdefg"}
records = RecordArray(Flat, [(i, i % 2 == 0, "abc") for i in range(9)])
numbers = RecordTable(Flat, records)
column, text = numbers.column("a"), table.column("d")
several = RecordTable(Flat, records)
several.extend(records[:3])
several.extend(numbers[1:3])
"""

SUCCESSES = {
    "create": "RecordTable(Wide)",
    "create from rows": "RecordTable(Wide, rows)",
    "create from columns": "RecordTable(Wide, columns)",
    "from_columns": "RecordTable.from_columns(Wide, columns)",
    "create from an array": "RecordTable(Flat, records)",
    "create from a slice of an array": "RecordTable(Flat, records[::-2])",
    "create from a table": "RecordTable(Wide, table)",
    "append a tuple": "made = RecordTable(Wide)\nmade.append(rows[3])\nmade.append(rows[4])",
    "append a record": "made = RecordTable(Wide)\nmade.append(record)",
    "append a row of an array": "made = RecordTable(Flat)\nmade.append(records.row(1))",
    "append nulls late": (
        "made = RecordTable(Fresh)\nfor i in range(70): made.append((i,))\nmade.append((None,))"
    ),
    "extend with buffers": (
        "made = RecordTable(Flat)\n"
        "made.extend({'a': array.array('q', range(50)), 'b': [True] * 50, 'c': ['x'] * 50})"
    ),
    "extend with itself": "made = table_of_rows()\nmade.extend(made)\nmade.extend(made[2:5])",
    "widen the codes": (
        "made = table_of_rows()\nmade.extend([rows[0][:5] + (f't{i}', b'gg') for i in range(140)])"
    ),
    "grow a slice": "made = table[2:5]\nmade.append(rows[0])",
    "index": "table[3], table[-1]",
    "slice": "table[2:7], table[::-1], table[5:5]",
    "iterate": "list(table), list(reversed(table))",
    "membership": "record in table, 5 in table",
    "compare": "assert table == RecordTable(Wide, rows) and table != table[1:]",
    "repr": "repr(table), repr(column)",
    "copy": "copy.copy(table), copy.deepcopy(table)",
    "pickle": (
        "try: pickle.loads(pickle.dumps(table))\n"
        "except pickle.PicklingError: raise MemoryError from None"
    ),
    "unpickle": "pickle.loads(pickled)",
    "attributes": "table.record_class, table.nbytes, table.chunk_count, sys.getsizeof(table)",
    "column": "table.column('a')",
    "read a column": "text[1], text[-1], text[2:5], text.tolist(), list(text), len(text)",
    "search a column": "'ee' in text, 'zz' in text",
    "column attributes": "text.name, text.null_count",
    "buffer": "memoryview(column).tolist()",
    "buffer of several chunks": (
        "made = RecordTable(Flat, several)\nmade.extend(several)\nmemoryview(made.column('a'))"
    ),
    "array from a table": "RecordArray(Flat, several)",
}

ERRORS = {
    "create of something else": "refuse(RecordTable, int)",
    "create of an unusable class": "refuse(RecordTable, Unusable)",
    "create from nonsense": "refuse(RecordTable, Wide, 5)",
    "from_columns without a column": "refuse(RecordTable.from_columns, Wide, {'a': []})",
    "append a wrong value": "refuse(RecordTable(Wide).append, ('x', *rows[0][1:]))",
    "append a wrong last value": "refuse(RecordTable(Wide).append, (*rows[0][:-1], b'ggg'))",
    "append a wrong row": "refuse(RecordTable(Wide).append, [1])",
    "append a short row": "refuse(RecordTable(Wide).append, (1,))",
    "extend with a wrong row": (
        "made = table_of_rows()\nrefuse(made.extend, [*rows, (1,)])\nassert len(made) == 9"
    ),
    "extend with a wrong column": (
        "made = table_of_rows()\n"
        "refuse(made.extend, {**columns, 'd': [5] * 9})\n"
        "assert made == table"
    ),
    "extend with unequal columns": "refuse(RecordTable(Wide).extend, {**columns, 'd': ['x']})",
    "extend with another class": "refuse(RecordTable(Wide).extend, numbers)",
    # not a generator: CPython does not survive one that finds no memory
    "extend with an iterator that fails": (
        "refuse(RecordTable(Wide).extend, map(rows.__getitem__, [0, 1, 2, 'x']))"
    ),
    "index out of range": "refuse(table.__getitem__, 9)",
    "index of a wrong type": "refuse(table.__getitem__, 'a')",
    "assign an item": "refuse(operator.setitem, table, 0, rows[0])",
    "unknown column": "refuse(table.column, 'nope')",
    "column of a wrong type": "refuse(table.column, 5)",
    "column index out of range": "refuse(text.__getitem__, 9)",
    "buffer of text": "refuse(memoryview, text)",
    "hash": "refuse(hash, table)",
    "unpickle nonsense": (
        "function, args = table.__reduce_ex__(5)[:2]\nrefuse(function, *args[:1])\n"
        "refuse(function, *['x' for _ in args])"
    ),
}

CASES = {**SUCCESSES, **ERRORS}

#: Which of the cases above calls each method: success, then error.
COVERED = {
    "RecordTable": ("create", "create of something else"),
    "RecordTable.append": ("append a tuple", "append a wrong value"),
    "RecordTable.extend": ("extend with buffers", "extend with a wrong row"),
    "RecordTable.from_columns": ("from_columns", "from_columns without a column"),
    "RecordTable.column": ("column", "unknown column"),
    "Column": ("column", "column of a wrong type"),
    "Column.tolist": ("read a column", None),
}
#: Covered by test_arrow_lifetime.py.
ARROW = {"from_arrow", "__arrow_c_schema__", "__arrow_c_array__", "__arrow_c_stream__"}


def test_every_method_has_a_success_and_an_error_case(native):
    public = {
        f"{cls.__name__}.{name}"
        for cls in (native.RecordTable, native.Column)
        for name in vars(cls)
        if not name.startswith("_") and callable(getattr(cls, name)) and name not in ARROW
    }
    assert public == {name for name in COVERED if "." in name}
    for success, error in COVERED.values():
        assert success in SUCCESSES and (error is None or error in ERRORS)


@functools.cache
def space() -> dict[str, Any]:
    made: dict[str, Any] = {"__name__": "lifetime_of_tables"}
    exec(SETUP, made)
    return made


@pytest.mark.parametrize("case", CASES)
def test_nothing_leaks(native, case):
    compiled, own = compile(CASES[case], "case", "exec"), space()

    def run() -> None:
        exec(compiled, dict(own))
        gc.collect()

    for _ in range(50):
        run()
    for _ in range(6):
        try:
            return no_leak(run, rounds=50)
        except pytest.fail.Exception:
            continue
    no_leak(run, rounds=50)


@pytest.mark.parametrize("case", [case for case in CASES if "make_record" not in CASES[case]])
def test_a_failed_allocation_is_a_memory_error(native, case):
    walk_oom(CASES[case], setup=SETUP)


@pytest.mark.parametrize(
    "change",
    [
        "made.append(rows[4])",
        "made.append((1, None, None, 'x' * 5000, None, 'new', b'gg'))",
        "made.extend(rows)",
        "made.extend(columns)",
        "made.extend(made)",
        "made.extend(other)",
        "made.extend([(1, None, None, '', None, f't{i}', b'gg') for i in range(140)])",
        "made.extend({**columns, 'f': ['new', 'newer', None] * 3})",
    ],
)
def test_no_memory_half_way_leaves_the_table_as_it_was(native, change):
    walk_oom(
        f"""
        made = table_of_rows()
        part, kept = made[:4], made[:]
        before, length = list(made), len(made)
        try:
            {change}
        except MemoryError:
            assert list(made) == before and made.column("f").tolist() == columns["f"]
            made.append(rows[0])
            assert len(made) == length + 1 and made[9] == made[0]
            raise
        assert len(made) > length
        assert made[:9] == kept == table and part == table[:4]
        """,
        setup=SETUP + "other = table[3:7]\n",
    )


def test_tables_work_in_sub_interpreters(native):
    in_subinterpreter(
        SETUP
        + """
made = RecordTable(Wide, rows)
made.extend(made)
made.append(record)
assert made[9] == made[0] and pickle.loads(pickled) == table
assert [one.c for one in RecordTable(Flat, records)] == ["abc"] * 9
assert memoryview(column).tolist() == list(range(9))
refuse(made.append, (1,))
kept = [made, made[1:], made.column("a"), iter(made), memoryview(column)]
"""
    )


# ---- the collector and memory


def test_tables_do_not_keep_records_alive(native):
    class C(native.Record, weakref=True):
        x: native.i64
        y: str

    made = C(1, "y")
    table = native.RecordTable(C, [made])
    table.append(made)
    ref = weakref.ref(made)
    del made
    gc.collect()
    assert ref() is None and table[0].y == "y"


def test_cycles_through_class_and_column_are_collected(native):
    class C(native.Record):
        x: native.i64

    C.kept = [native.RecordTable(C, [(1,)])]
    C.kept += [C.kept[0][:], C.kept[0].column("x"), iter(C.kept[0]), iter(C.kept[0].column("x"))]
    ref = weakref.ref(C)
    del C
    gc.collect()
    assert ref() is None


def test_referents_are_the_class(native):
    class C(native.Record):
        x: native.i64

    table = native.RecordTable(C, [(1,)])
    assert gc.is_tracked(table) and C in gc.get_referents(table)
    assert any(one is table for one in gc.get_referents(table.column("x")))


def test_memory_goes_with_the_last_holder(native):
    class C(native.Record):
        x: native.i64
        y: str
        z: Annotated[str, native.Coded]

    def fill() -> Any:
        return native.RecordTable(
            C, {"x": range(50_000), "y": ["text"] * 50_000, "z": "z" * 50_000}
        )

    fill()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        table = fill()
        kept = [table[1:2], memoryview(table.column("x")), table.column("y")]
        del table
        middle, _ = tracemalloc.get_traced_memory()
        assert middle - before > 800_000
        kept.clear()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        assert after - before < 20_000
    finally:
        tracemalloc.stop()


def test_growth_by_appending_costs_no_more_than_half_as_much_again(native):
    class C(native.Record):
        x: native.i64
        y: native.f64

    table = native.RecordTable(C)
    for i in range(20_000):
        table.append((i, 0.5))
    assert 16 * 20_000 <= table.nbytes <= sys.getsizeof(table) < 16 * 20_000 * 1.75


# ---- threads and processes


def test_threads_may_append_to_one_table(native):
    class C(native.Record):
        x: native.i64
        y: str
        z: Annotated[str, native.Coded]

    table = native.RecordTable(C)

    def work() -> None:
        for i in range(300):
            table.append((i, "y" * (i % 9), f"z{i % 150}"))
            if not i % 50:
                table.extend([(i, "y" * (i % 9), f"z{i % 150}")] * 3)
                assert len(table[:]) <= len(table)

    run_threads(work)
    assert len(table) == 8 * (300 + 6 * 3)
    for one in table:
        assert one.y == "y" * (one.x % 9) and one.z == f"z{one.x % 150}"


def test_threads_read_what_others_append(native):
    class C(native.Record):
        x: native.i64
        y: str | None
        z: Annotated[str, native.Coded]

    table = native.RecordTable(C, [(0, None, "z0")])
    column = table.column("z")
    stop = threading.Event()

    def write() -> None:
        for i in range(1, 4000):
            table.append((i, None if i % 2 else str(i), f"z{i % 200}"))
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()

    def read() -> None:
        while not stop.is_set():
            n = len(table)
            one = table[n - 1]
            assert one.z == f"z{one.x % 200}" == column[n - 1]
            part = table[n // 2 : n]
            assert [r.x for r in part[:5]] == list(range(n // 2, min(n, n // 2 + 5)))
            assert column.tolist()[n - 1] == one.z
            assert part == part[:] and pickle.loads(pickle.dumps(part.column("z")[:3])) is not None
            if n % 16 == 0:
                assert len(memoryview(table.column("x"))) >= n

    run_threads(read, n=4)
    writer.join()
    assert table.column("x").tolist() == list(range(4000))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_tables_survive_a_fork(impl):
    class C(impl.Record):
        x: impl.i64
        y: Annotated[str, impl.Coded]

    table = impl.RecordTable(C, [(i, f"y{i % 7}") for i in range(1000)])
    part = table[100:200]
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            table.extend(table)
            part.append((5, "new"))
            ok = len(table) == 2000 and table[1999].y == "y5" and part[100].y == "new"
            os.write(writer, b"ok" if ok else b"no")
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        assert answer.read() == b"ok"
    assert os.waitpid(child, 0)[1] == 0
    assert len(table) == 1000 and len(part) == 100
    table.append((1, "mine"))
    assert table[1000].y == "mine"


# ---- code of the user in the middle of an operation


class Meddler:
    """Does something from whatever method the operation under test calls."""

    def __init__(self, act: Any, value: Any = 7) -> None:
        self.act, self.value = act, value

    def __index__(self) -> int:
        self.act()
        return int(self.value)

    def __float__(self) -> float:
        self.act()
        return float(self.value)

    def __eq__(self, other: object) -> bool:
        self.act()
        return False

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        self.act()
        return "meddled"


def pair(impl: Any) -> Any:
    class Pair(impl.Record):
        x: impl.i64
        y: Annotated[str, impl.Coded]

    return Pair


def consistent(table: Any) -> list[tuple[Any, ...]]:
    rows = [(one.x, one.y) for one in table]
    assert rows == list(zip(table.column("x"), table.column("y"), strict=True))
    assert len(rows) == len(table)
    return rows


ACTS = {
    "append": lambda impl, table: table.append((100, "meddled")),
    "extend": lambda impl, table: table.extend([(100, "meddled")] * 50),
    "extend with itself": lambda impl, table: table.extend(table),
    "extend with columns": lambda impl, table: table.extend(
        {"x": range(50), "y": [f"t{i}" for i in range(50)]}
    ),
    "look": lambda impl, table: (list(table), table == table[:], table.column("y").tolist()),
    "widen": lambda impl, table: table.extend([(i, f"w{i}") for i in range(130)]),
    "fail": lambda impl, table: 1 / 0,
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("how", ["append", "rows", "columns", "constructor"])
def test_conversion_methods_may_change_the_table(impl, act, how):
    cls = pair(impl)
    table = impl.RecordTable(cls, [(0, "old"), (1, "older")])
    armed = [True]

    def once() -> None:
        if armed and armed.pop():
            ACTS[act](impl, table)

    meddler = Meddler(once)
    operations = {
        "append": lambda: table.append((meddler, "new")),
        "rows": lambda: table.extend([(5, "five"), (meddler, "new"), (8, "eight")]),
        "columns": lambda: table.extend({"x": [5, meddler, 8], "y": ["five", "new", "eight"]}),
        "constructor": lambda: impl.RecordTable(cls, [(5, "five"), (meddler, "new")]),
    }
    if act == "fail":
        with pytest.raises(ZeroDivisionError):
            operations[how]()
        assert consistent(table) == [(0, "old"), (1, "older")]
        return
    made = operations[how]()
    rows = consistent(table)
    assert rows[:2] == [(0, "old"), (1, "older")]
    if how == "constructor":
        assert consistent(made) == [(5, "five"), (7, "new")]
    else:
        assert (7, "new") in rows


@pytest.mark.parametrize("act", ACTS)
def test_iterators_may_change_the_table(impl, act):
    table = impl.RecordTable(pair(impl), [(0, "old"), (1, "older")])

    def coming(value: Any) -> Any:
        yield value
        ACTS[act](impl, table)
        yield value

    for source in (
        coming((5, "five")),
        {"x": coming(5), "y": ["five", "five"]},
        {"x": [5, 5], "y": coming("five")},
    ):
        before = consistent(table)
        if act == "fail":
            with pytest.raises(ZeroDivisionError):
                table.extend(source)
            assert consistent(table) == before
        else:
            table.extend(source)
            rows = consistent(table)
            assert rows[: len(before)] == before and rows.count((5, "five")) >= 2


def test_names_of_a_mapping_may_change_the_table(impl):
    table = impl.RecordTable(pair(impl), [(0, "old")])

    class Mapping(dict):  # type: ignore[type-arg]
        def __getitem__(self, key: str) -> Any:
            table.append((100, "meddled"))
            return super().__getitem__(key)

        def keys(self) -> Any:
            table.append((100, "meddled"))
            return super().keys()

    table.extend(Mapping(x=[5], y=["five"]))
    rows = consistent(table)
    assert rows[0] == (0, "old") and rows.count((5, "five")) == 1


def test_comparing_may_change_the_table(impl):
    table = impl.RecordTable(pair(impl), [(i, "y") for i in range(20)])

    def grow() -> None:
        if len(table) < 100:
            table.extend(table[:1])

    assert Meddler(grow) not in table
    assert Meddler(grow) not in table.column("x")
    consistent(table)


def test_chunks_may_be_joined_meanwhile(native):
    cls = pair(native)

    def several() -> Any:
        table = native.RecordTable(cls)
        for k in range(4):
            table.extend(native.RecordTable(cls, [(i, f"y{k}") for i in range(60)]))
        assert table.chunk_count > 1
        return table

    table = several()
    assert Meddler(lambda: memoryview(table.column("x"))) not in table.column("x")
    assert table.chunk_count == 1
    table = several()
    want = [(one.x, one.y) for one in table]
    forward, backward, values = iter(table), reversed(table), iter(table.column("y"))
    got = [(one.x, one.y) for one, _ in zip(forward, range(90), strict=False)]
    last, some = next(backward), [next(values) for _ in range(100)]
    table.__arrow_c_array__()
    got += [(one.x, one.y) for one in forward]
    assert got == want[:90] + want[91:]  # zip took one more
    assert (last.x, last.y) == want[-1] and [one.x for one in backward][0] == 58
    assert some + list(values) == [row[1] for row in want]
    table = several()
    joining = Meddler(lambda: table.__arrow_c_array__())
    table.extend([(joining, "z"), (joining, "z")])
    table.extend({"x": [joining, 1], "y": ["z", "z"]})
    assert consistent(table) == [*want, (7, "z"), (7, "z"), (7, "z"), (1, "z")]


def test_a_column_may_shrink_while_it_is_read(native):
    table = native.RecordTable(pair(native), [(0, "old")])
    column: list[Any] = []
    column += [Meddler(column.clear), 1, 2]
    with pytest.raises((RuntimeError, ValueError)):
        table.extend({"x": column, "y": ["a", "b", "c"]})
    assert consistent(table) == [(0, "old")]
    rows: list[Any] = []
    rows += [(Meddler(rows.clear), "a"), (1, "b")]
    table.extend(rows)
    assert consistent(table) == [(0, "old"), (7, "a")]


def test_indexes_may_change_the_table(impl):
    table = impl.RecordTable(pair(impl), [(0, "old")])
    meddler = Meddler(lambda: table.append((1, "new")), 1)
    assert table[meddler].y == "new"
    assert table.column("x")[meddler] == 1
    assert [one.y for one in table[meddler:]] == ["new", "new", "new"]
    assert len(table.column("x")[meddler:meddler]) == 0


def test_an_error_message_may_change_the_table(impl):
    table = impl.RecordTable(pair(impl), [(0, "old")])

    class Wrong:
        def __repr__(self) -> str:
            table.append((1, "from repr"))
            return "wrong"

    with pytest.raises(TypeError, match="got Wrong wrong"):
        table.append((Wrong(), "x"))
    with pytest.raises(TypeError, match="got Wrong wrong"):
        table.extend([(5, "five"), (6, Wrong())])
    assert consistent(table) == [(0, "old"), (1, "from repr"), (1, "from repr")]


def test_a_repr_that_raises_does_not_hide(impl):
    class Rude:
        def __repr__(self) -> str:
            raise ZeroDivisionError

    table = impl.RecordTable(pair(impl))
    with pytest.raises((TypeError, ZeroDivisionError)):
        table.append((Rude(), "x"))
    assert len(table) == 0


def test_the_table_may_go_away_meanwhile(impl):
    cls = pair(impl)
    kept = [impl.RecordTable(cls, [(i, "y") for i in range(4)])]

    def drop() -> None:
        kept.clear()
        gc.collect()

    kept[0].append((Meddler(drop), "x"))
    kept.append(impl.RecordTable(cls, [(i, "y") for i in range(4)]))
    kept[0].extend((Meddler(drop), "x") for _ in range(3))
    kept.append(impl.RecordTable(cls, [(i, "y") for i in range(4)]))
    assert Meddler(drop) not in kept[0].column("x")
    kept.append(impl.RecordTable(cls, [(i, "y") for i in range(4)]))
    numbers = iter(kept[0])
    next(numbers)
    kept.clear()
    gc.collect()
    assert [one.x for one in numbers] == list(range(1, 4))


def test_a_column_may_be_replaced_by_its_own_iterator(impl):
    """Reading a live column while the table it belongs to grows by it."""
    table = impl.RecordTable(pair(impl), [(1, "a"), (2, "b")])
    table.extend({"x": iter(table.column("x")), "y": iter(table.column("y"))})
    assert consistent(table) == [(1, "a"), (2, "b")] * 2


def test_a_buffer_that_another_thread_fills_is_read_within_bounds(native):
    class C(native.Record):
        x: native.i64

    source = array.array("q", range(1000))
    table = native.RecordTable(C)

    class Shrinking:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> int:
            if i < 1000:
                return i
            raise IndexError

    table.extend({"x": source})
    table.extend({"x": Shrinking()})
    assert len(table) == 2000
    assert copy.copy(table).column("x").tolist() == table.column("x").tolist()
