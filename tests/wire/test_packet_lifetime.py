"""unpack, pack, pack_into: leaks, failed allocations, sub-interpreters, threads, and what user code
may do while they run."""

import enum
import gc
import threading
import typing
import weakref
from collections.abc import Callable
from typing import Annotated, Any

import pytest

import ferrule.wire as wire
from ferrule.records import Record, Size, f64, make_record, u8, u16, u32
from ferrule.validation import Bounded
from lifetime import covers, in_subinterpreter, no_leak, run_threads, walk_oom

SETUP = """
import enum, struct, zlib
from typing import Annotated
from ferrule.records import Record, Size, bool8, f32, f64, i8, i64, make_record, u8, u16, u32, u64
from ferrule.validation import Bounded
from ferrule.wire import (
    Bits, Count, Crc32, Crc32c, InternetChecksum, SizedBy, Tagged, WireError, pack, pack_into,
    unpack,
)

class Kind(enum.IntEnum):
    A = 1
    B = 2

class Loose(enum.Enum):
    A = 1
    REST = 0

    @classmethod
    def _missing_(cls, number):
        return cls.REST if number < 200 else None

class Flat(Record, endian="big"):
    when: u32
    number: u16
    value: f64
    crc: u32

class Ready(Record, endian="big"):
    on: bool8
    x: f32
    name: Annotated[str, Size(4)]
    key: Annotated[bytes, Size(2)]

class Head(Record, endian="big"):
    version: Annotated[int, Bits(4)]
    words: Annotated[int, Bits(4)]
    on: Annotated[bool, Bits(1)]
    kind: Annotated[Kind, Bits(7)]
    loose: Annotated[Loose, u8]

class Sized(Record, endian="big"):
    n: u8
    data: Annotated[bytes, SizedBy("n")]
    m: i8
    text: Annotated[str, SizedBy("m", 2, 1)]

class Listed(Record, endian="big"):
    n: u8
    numbers: Annotated[tuple[u16, ...], Count(2)]
    kinds: Annotated[list[Annotated[Kind, u8]], Count("n")]
    inner: Annotated[tuple[Sized, ...], Count("n")]

class Tail(Record, endian="big"):
    tag: u8
    body: Annotated[object, Tagged("tag", {1: Flat, 2: Listed, 3: bytes})]

class Summed(Record, endian="big"):
    n: u8
    data: Annotated[bytes, SizedBy("n")]
    crc: Annotated[u32, Crc32("data")]
    castagnoli: Annotated[u32, Crc32c(("n", "crc"))]
    words: Annotated[u16, InternetChecksum()]

class Fixed(Record):
    a: u32
    crc: Annotated[u32, Crc32()]

class Checked(Record, endian="big", weakref=True):
    port: u16 = Bounded(1, 65000)
    rest: bytes

    def __post_init__(self):
        self.rest += b"!"

class WithDict:
    pass

class Mixed(WithDict, Record, endian="big"):
    a: u16
    rest: str

Wide = make_record("Wide", [
    *[(f"n{i}", u8) for i in range(12)],
    *[(f"d{i}", Annotated[bytes, SizedBy(f"n{i}")]) for i in range(12)],
])

flat = Flat(1, 2, 3.5, 4)
head = Head(4, 5, True, Kind.B, Loose.A)
sized = Sized(2, b"ab", 2, "abc")
listed = Listed(2, (1, 2), [Kind.A, Kind.B], (sized, sized))
tails = [Tail(1, flat), Tail(2, listed), Tail(3, b"abc")]
summed = Summed(3, b"abc", 0, 0, 0)
wide = Wide(*range(12), *[bytes(i) for i in range(12)])
room = bytearray(4096)
pack_into(Fixed(1, 0), room)
packed = {
    Flat: pack(flat), Head: pack(head), Sized: pack(sized), Listed: pack(listed),
    Summed: pack(summed), Wide: pack(wide), Fixed: pack(Fixed(1, 0)),
    Ready: pack(Ready(True, 1.5, "\\xe9", b"ab")), Mixed: b"ab\\xc3\\xa9", Checked: b"abc",
}

def refuse(function, *args, **keywords):
    try:
        function(*args, **keywords)
    except (TypeError, ValueError, OverflowError, BufferError, LookupError):
        return
    except SystemError as error:
        # a function of Python's that finds no memory to raise what it wants to
        if not str(error).startswith("<function") and "error return" not in str(error):
            raise
        raise MemoryError from None
    raise AssertionError("not refused")

def short(cls):
    for i in range(len(packed[cls])):
        refuse(unpack, cls, packed[cls][:i])

def bad(cls, at, byte):
    data = bytearray(packed[cls])
    data[at] = byte
    refuse(unpack, cls, data)

class Raises:
    def __index__(self):
        raise LookupError

raises = Raises()
class Local(Record):
    x: int
"""

SUCCESSES = {
    "unpack scalars": "unpack(Flat, packed[Flat]); unpack(Flat, packed[Flat] + b'x', offset=0)",
    "unpack a buffer": "unpack(Flat, memoryview(packed[Flat])); unpack(Fixed, room)",
    "unpack fixed": "unpack(Ready, packed[Ready]); unpack(Fixed, packed[Fixed])",
    "unpack bits": "unpack(Head, packed[Head]); unpack(Head, b'E\\x82\\x05')",
    "unpack sized": "unpack(Sized, packed[Sized]); unpack(Wide, packed[Wide])",
    "unpack arrays": "unpack(Listed, bytearray(packed[Listed]))",
    "unpack tails": "[unpack(Tail, pack(tail)) for tail in tails]",
    "unpack sums": "unpack(Summed, packed[Summed])",
    "unpack checked": "unpack(Checked, packed[Checked]); unpack(Mixed, packed[Mixed])",
    "pack": "pack(flat); pack(head); pack(sized); pack(listed); pack(wide)",
    "pack more": "[pack(tail) for tail in tails]; pack(summed); pack(unpack(Checked, b'abc'))",
    "pack_into": "pack_into(flat, room, 80); pack_into(summed, room, offset=99)",
}
ERRORS = {
    "short": "short(Flat); short(Head); short(Sized); short(Summed); short(Ready)",
    "short inside": "short(Listed); short(Fixed)",
    "values": "bad(Ready, 0, 2); bad(Ready, 5, 255); bad(Head, 1, 3); bad(Head, 2, 200)",
    "lengths": "bad(Sized, 3, 0); bad(Sized, 4, 255); bad(Sized, 3, 128)",
    "tags": "refuse(unpack, Tail, b'\\x09'); refuse(unpack, Tail, b'\\x02\\x01\\x00')",
    "sums": "bad(Summed, 1, 0); bad(Fixed, 0, 9)",
    "checks": "refuse(unpack, Checked, b'\\0\\0')",
    "arguments": """
refuse(unpack), refuse(unpack, 5, b''), refuse(unpack, Flat, 5), refuse(unpack, Flat, b'', -1)
refuse(unpack, Flat, b'', raises), refuse(unpack, Flat, b'', x=1), refuse(pack, 5)
""",
    "no layout": "refuse(unpack, Local, b''); refuse(pack, Local(5)); refuse(unpack, dict, b'')",
    "pack numbers": """
refuse(pack, Head(16, 0, True, Kind.A, Loose.A)), refuse(pack, Head(1, 2, 1, Kind.A, Loose.A))
refuse(pack, Head(1, 2, True, 1, Loose.A)), refuse(pack, Head(1, 2, True, Kind.A, 5))
refuse(pack, Head(raises, 2, True, Kind.A, Loose.A)), refuse(pack, Head("x", 2, 1, 1, 1))
""",
    "pack lengths": """
refuse(pack, Sized(3, b'ab', 2, 'abc')), refuse(pack, Sized(0, b'', 2, 'ab'))
refuse(pack, Sized(0, None, 0, '')), refuse(pack, Sized(0, b'', 1, '\\ud800'))
""",
    "pack items": """
refuse(pack, Listed(2, (1,), [], ())), refuse(pack, Listed(0, (1, raises), [], ()))
refuse(pack, Listed(1, (1, 2), [5], (sized,))), refuse(pack, Listed(1, (1, 2), [Kind.A], (5,)))
refuse(pack, Listed(1, (1, 2), 5, ())), refuse(pack, Listed(1, (1, 2), [], ()))
""",
    "pack tails": """
refuse(pack, Tail(1, sized)), refuse(pack, Tail(3, flat)), refuse(pack, Tail(4, 5))
""",
    "pack_into": """
refuse(pack_into, flat, bytearray(5)), refuse(pack_into, flat, b'abc'), refuse(pack_into, flat)
refuse(pack_into, flat, room, raises), refuse(pack_into, 5, room)
""",
}
CASES = {**SUCCESSES, **{f"error: {name}": code for name, code in ERRORS.items()}}

#: Classes made anew: their layouts are compiled, and go with them.
FRESH = {
    "layout": """
class Inner(Record):
    a: u16
    b: Annotated[Kind, u8]

class New(Record, endian="big"):
    n: Annotated[int, Bits(4)]
    kind: Annotated[Kind, Bits(4)]
    inner: Inner
    body: Annotated[object, Tagged("n", {1: Inner, Kind.B: bytes, 3: Sized}, bytes)]

data = b"\\x11ab\\x01cd\\x02"
assert pack(unpack(New, data)) == data
unpack(Inner, b"ab\\1")
""",
    "sums": """
class New(Record, endian="little"):
    a: Annotated[u16, InternetChecksum("b")]
    b: Annotated[u32, Crc32c(("c", "d"))]
    c: Annotated[list[Sized], Count(0)]
    d: bytes

unpack(New, pack(New(0, 0, [], b"abc")))
""",
    "refused": """
def named(annotation, **options):
    cls = make_record("Bad", [("n", u8), ("x", annotation), ("y", u8)], **options)
    refuse(unpack, cls, b"")

named(int), named(Annotated[int, Bits(3)]), named(bytes), named(Annotated[bytes, SizedBy("q")])
named(Annotated[bytes, SizedBy("n"), Count(1)]), named(Annotated[tuple[int, ...], Count(1)])
named(Annotated[object, Tagged("n", {"a": bytes})]), named(Annotated[u32, Crc32("q")])
named(Annotated[u16, Crc32()]), named(Annotated[list[Local], Count(1)]), named("nowhere")
""",
}

MARKS = """Bits Count Crc32 Crc32c InternetChecksum SizedBy Tagged WireError""".split()


def ready(case: str) -> Callable[[], object]:
    space: dict[str, Any] = {"__name__": "case"}
    exec(SETUP, space)
    code = compile({**CASES, **FRESH}[case], "case", "exec")
    return lambda: exec(code, space)


@covers("unpack", "pack", "pack_into")
@covers("unpack", "pack", "pack_into", error=True)
@pytest.mark.parametrize("case", CASES)
def test_no_leak(case: str) -> None:
    call = ready(case)
    for _ in range(600):  # caches of the interpreter fill slowly
        call()
    no_leak(call, rounds=200)


@pytest.mark.parametrize("case", FRESH)
def test_a_new_layout_leaks_nothing(case: str) -> None:
    """Class statements alone fill caches of the interpreter by fits and starts, which stops;
    whoever leaks, leaks every time."""
    run = ready(case)

    def call() -> None:
        run()
        # typing keeps the classes in a Tagged: what is frozen there could never be collected
        for clear in vars(typing)["_cleanups"]:
            clear()
        gc.collect()

    gc.collect()
    gc.freeze()
    for _ in range(400):
        call()
    for _ in range(7):
        try:
            return no_leak(call, rounds=60)
        except pytest.fail.Exception:
            continue
    no_leak(call, rounds=60)


@pytest.mark.parametrize("case", CASES)
def test_every_allocation_fails_once(case: str) -> None:
    walk_oom(CASES[case], setup=SETUP)


#: A class statement does not survive that everywhere: classes enough, made before.
POOL = """
def made():
    class Inner(Record):
        a: u16
        b: Annotated[Kind, u8]

    class New(Record, endian="big"):
        n: Annotated[int, Bits(4)]
        kind: Annotated[Kind, Bits(4)]
        inner: Inner
        sum: Annotated[u32, Crc32c(("inner", "n"))]
        all: Annotated[u16, InternetChecksum()]
        body: Annotated[object, Tagged("n", {1: Inner, Kind.B: bytes, 3: Sized}, bytes)]

    return New

def refused():
    return make_record("Bad", [("n", u8), ("x", Annotated[bytes, SizedBy("q")])])

good, bad = [made() for _ in range(900)], [refused() for _ in range(300)]
"""


@pytest.mark.parametrize(
    "code", ["refuse(unpack, good.pop(), b'')", "refuse(unpack, bad.pop(), b'')"]
)
def test_every_allocation_of_a_layout_fails_once(code: str) -> None:
    walk_oom(code, setup=SETUP + POOL)


def test_in_subinterpreters() -> None:
    in_subinterpreter(SETUP + "\n".join([*CASES.values(), *FRESH.values()]))


@pytest.mark.parametrize("case", [*SUCCESSES, *FRESH])
def test_in_threads(case: str) -> None:
    call = ready(case)
    run_threads(lambda: [call() for _ in range(10 if case in FRESH else 50)], 4)


# ---- classes and their layouts


def test_a_layout_goes_with_its_class() -> None:
    def make() -> list[weakref.ref[Any]]:
        class Inner(Record):
            a: u16

        class Colour(enum.Enum):
            RED = 1

        Outer = make_record("Outer", [("a", Annotated[Colour, u8]), ("b", Inner)], endian="big")
        Colour.outer = Outer  # type: ignore[attr-defined]
        wire.unpack(Outer, b"\1ab")
        wire.unpack(Inner, b"ab")
        return [weakref.ref(cls) for cls in (Inner, Colour, Outer)]

    made = make()
    for clear in vars(typing)["_cleanups"]:  # its caches keep classes alive
        clear()
    gc.collect()
    assert [ref() for ref in made] == [None, None, None]


def test_post_init_added_later() -> None:
    class P(Record, endian="big"):
        a: u16

    assert wire.unpack(P, b"\0\1").a == 1

    def __post_init__(self: Any) -> None:
        self.a += 1

    P.__post_init__ = __post_init__  # type: ignore[attr-defined]
    assert wire.unpack(P, b"\0\1").a == 2


def test_threads_compile_one_layout() -> None:
    for _ in range(20):

        class P(Record, endian="big"):
            a: u16
            rest: bytes

        run_threads(lambda cls=P: wire.unpack(cls, b"abc"), 4)


# ---- user code in the middle


def test_enum_that_changes_the_buffer() -> None:
    data = bytearray(b"\x02\xc8abcd")

    class Kind(enum.IntEnum):
        A = 1

        @classmethod
        def _missing_(cls, number: object) -> Any:
            data[0] = 255  # the length, read already
            with pytest.raises(BufferError):
                data.clear()
            return cls.A

    class P(Record, endian="big"):
        n: u8
        kind: Annotated[Kind, u8]
        data: Annotated[bytes, wire.SizedBy("n")]

    assert wire.unpack(P, data).data == b"ab"
    data.clear()  # held no longer


def test_enum_that_raises() -> None:
    class Kind(enum.Enum):
        A = 1

        @classmethod
        def _missing_(cls, number: object) -> Any:
            raise KeyError(number)

    class P(Record):
        kind: Annotated[Kind, u8]

    with pytest.raises(KeyError):
        wire.unpack(P, b"\2")
    data = bytearray(b"\2")
    with pytest.raises(KeyError):
        wire.unpack(P, data)
    data.clear()


def test_enum_that_looks_for_what_is_half_made() -> None:
    class Kind(enum.IntEnum):
        A = 1

        @classmethod
        def _missing_(cls, number: object) -> Any:
            for thing in gc.get_objects():
                if type(thing) in (tuple, list) and len(thing) == 3:
                    repr(thing[2:])
            return cls.A

    class P(Record):
        kinds: Annotated[tuple[Annotated[Kind, u8], ...], wire.Count(3)]
        more: Annotated[list[Annotated[Kind, u8]], wire.Count(3)]

    assert wire.unpack(P, b"\1\2\3\1\2\3").kinds == (1, 1, 1)


def test_recursion_in_unpack() -> None:
    class P(Record):
        a: u16
        rest: bytes

        def __post_init__(self) -> None:
            if self.rest:
                self.rest = wire.unpack(P, self.rest)  # type: ignore[assignment]

    made: Any = wire.unpack(P, bytes(20))
    for _ in range(9):
        made = made.rest
    assert made.rest == b""


class Index:
    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call

    def __index__(self) -> int:
        self.call()
        return 1


def test_items_that_change_their_list() -> None:
    class P(Record, endian="little"):
        n: u8
        items: Annotated[list[u16], wire.Count("n")]
        rest: bytes

    items: list[Any] = []
    items += [Index(items.clear), 2, 3]
    assert wire.pack(P(3, items, b"x")) == ((1).to_bytes(2, "little") + b"\2\0\3\0").join(
        [b"\3", b"x"]
    )
    assert items == []


def test_bits_that_change_the_record() -> None:
    class P(Record, endian="big"):
        n: u8
        bits: Annotated[int, wire.Bits(8)]
        data: Annotated[bytes, wire.SizedBy("n")]

    record: Any = P(2, 0, b"ab")

    def change() -> None:
        record.n, record.data, record.bits = 200, bytes(200), None
        gc.collect()

    record.bits = Index(change)
    with pytest.raises(ValueError, match="P.n: says 2, data has 200 bytes"):
        wire.pack(record)
    room = bytearray(b"12345")
    record.n, record.data, record.bits = 2, b"ab", Index(lambda: room.extend(b"6" * 1000))
    assert wire.pack_into(record, room) == 4
    assert room[:6] == b"\2\1ab56"


def test_offset_that_drops_the_class() -> None:
    def make() -> Any:
        class P(Record, endian="big"):
            a: u16
            rest: bytes

        wire.unpack(P, b"abc")
        return P

    kept = [make()]
    assert wire.unpack(kept.pop(), b"abc", Index(gc.collect)).rest == b""


def test_pack_into_writes_all_or_nothing() -> None:
    class P(Record, endian="big"):
        a: u32
        items: Annotated[tuple[u16, ...], wire.Count(2)]

    room = bytearray(b"x" * 20)
    for bad in ((1, "a"), (1, 70000), (1,), None):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            wire.pack_into(P(5, bad), room)
    with pytest.raises(wire.WireError):
        wire.pack_into(P(5, (1, 2)), room, 13)
    assert room == b"x" * 20


def test_unset_slots() -> None:
    class P(Record, endian="big"):
        n: u8
        data: bytes

    record = P.__new__(P)
    with pytest.raises(TypeError, match="P.data: wanted bytes, got NoneType None"):
        wire.pack(record)
    record.data = b"ab"
    assert wire.pack(record) == b"\0ab"
    del record.data
    with pytest.raises(TypeError, match="P.data: wanted bytes, got NoneType None"):
        wire.pack(record)


def test_checks_see_each_value() -> None:
    class P(Record, endian="big"):
        port: u16 = Bounded(1, 1000)  # type: ignore[assignment]
        name: Annotated[str, Size(2)]

    assert wire.unpack(P, b"\0\1ab").port == 1
    with pytest.raises(ValueError, match="must be <= 1000"):
        wire.unpack(P, b"\xff\xffab")


def test_writer_beside_a_reader() -> None:
    """Another thread changes lengths, counts and text all the time."""

    class Item(Record, endian="big"):
        n: u8
        text: Annotated[str, wire.SizedBy("n")]

    class P(Record, endian="big"):
        n: u8
        items: Annotated[tuple[Item, ...], wire.Count("n")]
        value: f64
        rest: str

    data = bytearray(b"\x02\x01a\x01b" + bytes(8) + b"rest")
    stop = threading.Event()

    def write() -> None:
        i = 0
        while not stop.is_set():
            i = i * 1103515245 + 12345 & 0x7FFFFFFF
            data[(i >> 8) % len(data)] = i >> 16 & 0xFF

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(3000):
            try:
                record = wire.unpack(P, data)
            except wire.WireError:
                continue
            assert len(record.items) == record.n
    finally:
        stop.set()
        thread.join()


def test_marks_are_those_of_the_twin() -> None:
    import ferrule.pure.wire as pure  # noqa: PLC0415

    for name in MARKS:
        assert getattr(wire, name) is getattr(pure, name)
