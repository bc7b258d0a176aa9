"""view and LayoutView: leaks, failed allocations, sub-interpreters, threads, and re-entrancy."""

import enum
import gc
import weakref
from typing import Annotated, Any

import pytest

from ferrule import _wire
from ferrule._records import Record, Size
from ferrule._wire import Bits, Count, LayoutView, SizedBy, holders, release_all, view
from ferrule.records import u8, u16
from lifetime import (
    covers,
    in_subinterpreter,
    no_leak,
    public_callables,
    run_threads,
    walk_oom,
)

SETUP = """
import copy, enum, gc, pickle
from typing import Annotated
from ferrule._records import Record, Size
from ferrule._wire import *
from ferrule._wire import LayoutView, holders, release_all
from ferrule.records import *

class Kind(enum.Enum):
    A = 1
    B = 2

class Inner(Record):
    n: u8
    data: Annotated[bytes, SizedBy("n")]

class Fixed(Record):
    x: u16
    y: u16

class P(Record, endian="big"):
    version: Annotated[int, Bits(4)]
    flag: Annotated[bool, Bits(1)]
    kind: Annotated[Kind, Bits(3)]
    ratio: f64
    on: bool8
    code: Annotated[bytes, Size(3)]
    name: Annotated[str, Size(4)]
    n: u8
    data: Annotated[bytes, SizedBy("n")]
    port: u16
    inner: Inner
    fixed: Fixed
    c: u8
    kinds: Annotated[tuple[Annotated[Kind, u8], ...], Count("c")]
    items: Annotated[list[Inner], Count(2)]
    tag: u8
    body: Annotated[Inner | Fixed, Tagged("tag", {1: Inner, 2: Fixed})]
    rest: str

    @property
    def both(self):
        return self.n, self.port

    def more(self, by):
        return self.port + by

class Plain(Record, endian="big", frozen=True):
    a: u16
    b: u32
    c: i64
    d: u64

inner = b"\\3abc"
raw = (bytes([0x5a]) + bytes(8) + b"\\1abchi\\0\\0" + b"\\4wxyz" + b"\\2\\3" + inner
       + b"\\0\\1\\0\\2" + b"\\2\\1\\2" + inner * 2 + b"\\2\\0\\7\\0\\x08" + b"rest")
plain = bytes(range(0, 220, 10))
memory, other = bytearray(raw), bytearray(b"--" + raw)
v, w, p = view(P, memory), view(P, other, 2), view(Plain, plain)
gone = view(P, memory)
gone.release()
wrong = bytearray(raw)
wrong[17] = 250
bad = bytearray(raw)
bad[9] = 7

def fresh():
    class Local(Record):
        a: u16
        n: u8
        data: Annotated[bytes, SizedBy("n")]
    return Local

def exported(memory):
    class Exporter(bytearray):
        pass
    made = Exporter(memory)
    made.view = view(P, made)
    return made

def refuse(function, *args, **keywords):
    try:
        function(*args, **keywords)
    except (TypeError, ValueError, OverflowError, AttributeError, BufferError):
        return
    except SystemError as error:
        # what CPython itself raises when a function of Python finds no memory
        if "without" not in str(error):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

for value in (v, w):
    repr(value), value == w, pack(value), value.both, value.more(1)
"""

SUCCESSES = {
    "make": "view(P, memory); view(P, other, offset=2); view(Plain, plain)",
    "make of a view": "view(P, v); view(Inner, v.inner); view(P, memoryview(memory))",
    "numbers": "p.a, p.b, p.c, p.d, p.a, p.b, p.c, p.d",
    "bits and fixed": "v.version, v.flag, v.kind, v.ratio, v.on, v.code, v.name",
    "behind lengths": "v.data, v.port, v.inner.data, v.fixed.y, v.rest",
    "arrays and tails": "v.kinds, v.items[1].data, v.body.x",
    "of the class": "v.both, v.more(1), v.__class__, isinstance(v, P)",
    "write": "v.version = 3; v.flag = True; v.kind = Kind.A; v.ratio = 1.5; v.port = 600",
    "write texts": "v.code = b'xyz'; v.name = 'yo'; v.data = b'1234'; v.rest = 'tser'",
    "write what is nested": (
        "v.inner = Inner(3, b'xyz'); v.fixed = v.body; v.body = Fixed(1, 2); "
        "v.kinds = [Kind.A, Kind.A]; v.items = [Inner(3, b'abc')] * 2; v.n = 4; v.tag = 2"
    ),
    "compare": "v == w, v != 5, v == view(P, memory), p == unpack(Plain, p)",
    "hash and repr": "hash(p), repr(p), repr(v)",
    "bytes": "bytes(v), bytes(p), memoryview(v).tobytes(), pack(v), unpack(P, v)",
    "release": "made = view(P, memory); made.release(); made.release()",
    "with": "with view(P, memory) as made: made.port",
    "holders": "made = view(P, raw); [holders(raw)], release_all(raw)",
}
CLASSES = {
    "new class": "cls = fresh(); made = view(cls, b'\\1\\2\\1x'); made.a, made.a, made.data",
    "cycle": "exported(memory)",
}
ERRORS = {
    "arguments": "refuse(view, P); refuse(view, P, raw, -1); refuse(view, P, raw, 'x')",
    "no layout": "refuse(view, int, raw); refuse(view, 5, raw)",
    "no buffer": "refuse(view, P, 5); refuse(view, P, memoryview(raw)[::2]); refuse(view, P, gone)",
    "too short": "refuse(view, P, raw[:5]); refuse(view, P, raw, 1000)",
    "no instance": "refuse(LayoutView)",
    "wrong length": "made = view(P, wrong); refuse(getattr, made, 'port'); refuse(bytes, made)",
    "wrong value": "made = view(P, bad); refuse(getattr, made, 'on'); refuse(repr, made)",
    "compare a wrong value": "refuse(P.__eq__, v, 5); refuse(LayoutView.__eq__, view(P, bad), v)",
    "hash": "refuse(hash, v)",
    "order": "refuse(LayoutView.__lt__, gone, gone)",
    "unknown name": "refuse(getattr, v, 'x'); refuse(setattr, v, 'x', 1); refuse(delattr, v, 'x')",
    "wrong types": "refuse(setattr, v, 'port', 'x'); refuse(setattr, v, 'rest', 5)",
    "wrong ranges": "refuse(setattr, v, 'version', 16); refuse(setattr, v, 'port', 1 << 16)",
    "wrong sizes": "refuse(setattr, v, 'data', b'x'); refuse(setattr, v, 'inner', Inner(1, b'x'))",
    "a measure": "refuse(setattr, v, 'n', 5); refuse(setattr, v, 'tag', 1)",
    "delete": "refuse(delattr, v, 'port'); refuse(delattr, v, 'both')",
    "read-only": "refuse(setattr, view(P, raw), 'port', 1)",
    "released": "refuse(getattr, gone, 'port'); refuse(bytes, gone); refuse(memoryview, gone)",
    "released, with": "refuse(gone.__enter__)",
    "in use": "made = memoryview(v); refuse(v.release); refuse(v.__exit__); made.release()",
    "pickle": "refuse(copy.copy, v); refuse(pickle.dumps, v, 2)",
    "name that is none": "refuse(LayoutView.__getattribute__, v, 5)",
    "no name to set": "refuse(LayoutView.__setattr__, v, 5, 5)",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}
NAMES = {
    name for name in public_callables(_wire) if name == "view" or name.startswith("LayoutView")
}


def ready(case: str) -> Any:
    space: dict[str, Any] = {"__name__": "case"}
    exec(SETUP, space)
    code = compile({**CASES, **CLASSES}[case], "case", "exec")
    return lambda: exec(code, space)


@covers(*NAMES)
@covers(*NAMES, error=True)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case):
    call = ready(case)
    for _ in range(1000):  # caches of the interpreter fill slowly
        call()
    no_leak(call, rounds=300)


@pytest.mark.parametrize("case", CLASSES)
def test_a_new_layout_leaks_nothing(case):
    """Class statements alone fill caches of the interpreter by fits and starts, which stops;
    whoever leaks, leaks every time."""
    call = ready(case)
    for _ in range(1000):
        call()
    for _ in range(7):
        try:
            return no_leak(call, rounds=60)
        except pytest.fail.Exception:
            continue
    no_leak(call, rounds=60)


@pytest.mark.parametrize("case", CASES)
def test_every_allocation_fails_once(case):
    walk_oom(CASES[case], setup=SETUP)


def test_in_subinterpreters():
    in_subinterpreter(SETUP + "\n".join([*CASES.values(), *CLASSES.values()]))


@pytest.mark.parametrize("case", [*SUCCESSES, *CLASSES])
def test_in_threads(case):
    call = ready(case)
    run_threads(lambda: [call() for _ in range(50)], 4)


def test_threads_release_what_others_read():
    memory = bytearray(b"\3abc")

    class P(Record):
        n: u8
        data: Annotated[bytes, SizedBy("n")]

    shared = [view(P, memory)]

    def work() -> None:
        for _ in range(300):
            made = shared[0]
            try:
                assert made.data == b"abc"
                assert made.n == 3
            except ValueError:
                pass
            shared[0] = view(P, memory)
            made.release()

    run_threads(work, 4)


# ---- Python code that runs inside


class Meddler(enum.Enum):
    """Asks what is set to be done whenever it does not know a number."""

    KNOWN = 1

    @classmethod
    def _missing_(cls, value: object) -> Any:
        return ACTIONS[-1]()


ACTIONS: list[Any] = []


class Meddled(Record):
    kinds: Annotated[tuple[Annotated[Meddler, u8], ...], Count(4)]
    last: u16


@pytest.mark.parametrize("how", ["release", "release_all"])
def test_no_release_while_a_field_is_read(how):
    memory = bytearray(b"\1\2\2\1\7\7")
    made = view(Meddled, memory)

    def act() -> Any:
        if len(ACTIONS) > 1:  # asked again, for the text of the error
            return Meddler.KNOWN
        ACTIONS.append(act)
        with pytest.raises(BufferError, match="still in use"):
            made.release() if how == "release" else release_all(memory)
        with pytest.raises(BufferError):
            memory.extend(b"more")
        ACTIONS.pop()
        return Meddler.KNOWN

    ACTIONS.append(act)
    try:
        assert made.kinds == (Meddler.KNOWN,) * 4
        assert made.kinds[1] is Meddler.KNOWN
    finally:
        ACTIONS.pop()
    made.release()
    assert holders(memory) == []
    memory.extend(b"more")


def test_the_exception_of_an_enum_comes_through_and_ends_the_use():
    def act() -> Any:
        raise LookupError("mine")

    memory = bytearray(b"\1\2\2\1\7\7")
    made = view(Meddled, memory)
    ACTIONS.append(act)
    try:
        with pytest.raises(LookupError, match="mine"):
            _ = made.kinds
    finally:
        ACTIONS.pop()
    made.release()
    memory.clear()


class Releases:
    """A number that is found only after something was done."""

    def __init__(self, act: Any) -> None:
        self.act = act

    def __index__(self) -> int:
        self.act()
        return 5


class Bitten(Record):
    low: Annotated[int, Bits(4)]
    high: Annotated[int, Bits(4)]
    wide: u16


@pytest.mark.parametrize("name", ["low", "wide"])
def test_a_value_cannot_pull_the_memory_away_while_it_is_written(name):
    memory = bytearray(b"\0\0\0")
    made = view(Bitten, memory)
    done = []

    def act() -> None:
        with pytest.raises(BufferError, match="still in use"):
            made.release()
        done.append(True)

    try:
        setattr(made, name, Releases(act))
    except TypeError:
        assert bytes(memory) == bytes(3)
    else:
        assert done
        assert getattr(made, name) == 5


def test_neighbours_set_by_a_value_keep_what_they_were_set_to():
    memory = bytearray(b"\0\0\0")
    made: Any = None

    class Member(enum.Enum):
        X = 3

        @property
        def value(self) -> int:
            if made is not None:
                made.rest = 9
            return 3

    class Mixed(Record):
        kind: Annotated[Member, Bits(4)]
        rest: Annotated[int, Bits(4)]

    made = view(Mixed, memory)
    made.kind = Member.X
    assert (memory[0] & 15, memory[0] >> 4) in {(3, 9), (9, 3)}


def test_finalizers_may_ask_for_holders_while_a_view_is_made():
    class P(Record):
        n: u8
        data: Annotated[bytes, SizedBy("n")]

    memory = bytearray(b"\3abc")
    seen = []

    class Asks:
        def __del__(self) -> None:
            seen.extend(repr(holder) for holder in holders(memory))

    def work() -> None:
        for _ in range(200):
            cycle = [Asks()]
            cycle.append(cycle)
        made = view(P, memory)
        assert repr(made) == "P(n=3, data=b'abc')" or made.data == b"abc"

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        work()
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert all("data=b'abc'" in text for text in seen)


# ---- life


def test_a_view_keeps_class_and_memory_alive_and_nothing_longer():
    class Memory(bytearray):
        pass

    def made() -> Any:
        class P(Record):
            a: u16

        return P

    cls, memory = made(), Memory(b"\1\2")
    ends = weakref.ref(cls), weakref.ref(memory)
    record = view(cls, memory)
    del cls, memory
    gc.collect()
    assert record.a in (0x0102, 0x0201)
    assert record.a == record.a  # twice: then it is kept
    assert None not in (ends[0](), ends[1]())
    del record
    gc.collect()
    assert (ends[0](), ends[1]()) == (None, None)


def test_parts_outlive_the_whole():
    class Inner(Record):
        n: u8
        data: Annotated[bytes, SizedBy("n")]

    class P(Record):
        items: Annotated[tuple[Inner, ...], Count(2)]
        last: Inner

    memory = bytearray(b"\1a\2bc\0")
    whole = view(P, memory)
    items, last = whole.items, whole.last
    whole.release()
    assert [item.data for item in items] == [b"a", b"bc"]
    assert last.data == b""
    assert len(holders(memory)) == 3
    assert release_all(memory) == 3
    with pytest.raises(ValueError, match="LayoutView has been released"):
        _ = items[0].data


def test_tracked_only_if_what_it_holds_may_lead_back():
    class P(Record):
        a: Annotated[bytes, Size(2)]

    class Memory(bytearray):
        pass

    assert not gc.is_tracked(view(P, b"ab"))
    assert not gc.is_tracked(view(P, bytearray(b"ab")))
    assert gc.is_tracked(view(P, Memory(b"ab")))


def test_release_all_reads_no_field():
    class P(Record, endian="big"):
        n: u8
        data: Annotated[bytes, SizedBy("n")]

    memory = bytearray(b"\1a")
    busy = memoryview(view(P, memory))
    memory[0] = 200  # repr() of the view is an error now
    with pytest.raises(BufferError, match="1 of 1 holders are still in use: LayoutView$"):
        release_all(memory)
    busy.release()


def test_a_field_called_release_leaves_the_method():
    class P(Record):
        release: u8

    made = view(P, b"\7")
    assert made.release == 7
    LayoutView.release(made)
    with pytest.raises(ValueError, match="released"):
        _ = made.release


def test_numbers_that_are_kept_are_not_mixed_up():
    class P(Record, endian="big"):
        a: u16
        b: u16

    memory = bytearray(b"\x01\x2c\x01\x2d")
    made = view(P, memory)
    for _ in range(3):
        assert (made.a, made.b) == (300, 301)
    memory[1] = 0x2E
    for _ in range(3):
        assert (made.a, made.b) == (302, 301)
    made.a = 1000
    assert [made.a for _ in range(3)] == [1000] * 3
    assert view(P, b"\xff\xff\0\0").a == 0xFFFF
