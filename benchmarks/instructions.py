"""Instruction counts of a few kernels, compared with the committed ones.

    python benchmarks/instructions.py            compare; fails above +3 %
    python benchmarks/instructions.py --update   write the counts of this Python

A count is what callgrind sees of a loop over a statement, less what it sees of an empty twin: the
same program with the same set-up and warm-up, and nothing in the loop (or, where a kernel is what
something adds to a statement, the statement without it). Counts are the same run after run, but
belong to one Python, one compiler and one machine type: they show what a change costs, not what
users wait for. They are blind to cache misses and branches.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

LOOPS = 30_000
TOLERANCE = 0.03
ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}
COUNTS = Path(__file__).parent / "results"


class Kernel(NamedTuple):
    """A statement to count, and what it needs; with `without`, counted is what the statement takes
    less once that has run."""

    statement: str
    setup: str
    without: str = ""


READING = """
from ferrule.records import Record, asdict, f64, i64, replace
class SensorReading(Record, gc=False):
    timestamp: i64
    value: f64
    unit: str
a = SensorReading(1_700_000_000, 21.5, "C")
b = SensorReading(1_700_000_000, 21.5, "C")
"""

CONTAINERS = """
from typing import Annotated
from ferrule.records import Coded, Record, RecordArray, RecordTable, Size, f64, i64
class SensorReading(Record, gc=False):
    timestamp: i64
    value: f64
    unit: Annotated[str, Size(8)]
class CodedReading(Record, gc=False):
    timestamp: i64
    value: f64
    unit: Annotated[str, Coded]
a, b = SensorReading(1_700_000_000, 21.5, "C"), CodedReading(1_700_000_000, 21.5, "C")
array = RecordArray(SensorReading, [a] * 100, capacity=40_000)
table = RecordTable(CodedReading)
table.extend([b] * 100)
"""

LIFETIME = """
from ferrule.lifetime import Finalizable, WeakValueDictionary, finalize
class Thing:
    __slots__ = ("__weakref__",)
class Guarded(Finalizable):
    __slots__ = ("handle",)
    def __finalize__(self):
        pass
def noop():
    pass
held = Thing()
cache, empty = WeakValueDictionary([(7, held)]), WeakValueDictionary()
"""

TRACKED = """
from ferrule.lifetime import AsyncGenTracker
tracker = AsyncGenTracker()
tracker.start()
async def agen():
    yield 1
async def walk():
    async for x in agen():
        pass
def drive():
    try:
        walk().send(None)
    except StopIteration:
        pass
"""

CALLS = """
import ferrule.calls as calls
from ferrule.compute import above
def f(x, y=0):
    return x
class Owner:
    @calls.Wrapper
    def method(self, x):
        return x
owner = Owner()
passed, counted, timed = calls.Wrapper(f), calls.counted(f), calls.timer(f)
retried, logged = calls.retry(f), calls.logged(f)
limited = calls.rate_limit(1e9, burst=1_000_000)(f)
cached = calls.cache(maxsize=128)(f)
cached(300), cached(300, y=1)
key, floats = int("300"), [i / 10 for i in range(10)]
"""

VALIDATION = """
from typing import Annotated
from ferrule.records import Record
from ferrule.validation import (
    Bounded, Email, Ge, Le, MinLength, Regex, Sensitive, checked, constraints, mask, validate
)
class Config:
    port = Bounded(1, 65535)
class CheckedRecord(Record):
    port: int = Bounded(1, 65535)
class User:
    name: Annotated[str, MinLength(3)]
    age: Annotated[int, Ge(0)]
    token: Annotated[str, Sensitive]
    def __init__(self):
        self.name, self.age, self.token = "alice", 30, "hunter2"
Name, Address = Annotated[str, MinLength(3)], Annotated[str, Email]
@checked
def f(a: Annotated[int, Ge(0), Le(100)], b: Annotated[str, MinLength(1)], c: list[int]) -> int:
    return a
config, record, user, items = Config(), CheckedRecord(80), User(), [1, 2]
config.port = 80
word = Regex("^[a-zA-Z0-9_]+$")
constraints(Name), validate(user, User), mask(user), validate("a@b.co", Address)
"""

WIRE = """
import struct
from typing import Annotated
from ferrule.records import Record, Size, u16, u32
from ferrule.wire import (
    Bits, Crc32, SizedBy, View, crc32, pack, pack_into, pcap, unpack, unpack_many, view
)
class Header(Record, endian="big"):
    version: Annotated[int, Bits(4)]
    kind: Annotated[int, Bits(4)]
    length: u16
    number: u32
class Message(Record, endian="big"):
    kind: u16
    length: u16
    body: Annotated[bytes, SizedBy("length")]
    checksum: Annotated[u32, Crc32(over="body")]
data, memory = bytes(range(256)), bytearray(256)
message = Message(1, 5, b"hello", 0)
packed, many = pack(message), bytes(range(7)) * 100
whole, header = View(data), Header(1, 2, 3, 4)
seen = view(Header, memory)
frame = struct.pack("<IIII", 1, 2, 60, 60) + bytes(60)
capture = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + frame * 10
"""

#: One line per kernel; a room adds its own.
KERNELS = {
    "record create": Kernel("SensorReading(1_700_000_000, 21.5, 'C')", READING),
    "record create by keyword": Kernel(
        "SensorReading(timestamp=1_700_000_000, value=21.5, unit='C')", READING
    ),
    "record read object": Kernel("a.unit", READING),
    "record read float": Kernel("a.value", READING),
    "record write int": Kernel("a.timestamp = 5", READING),
    "record equal": Kernel("a == b", READING),
    "record repr": Kernel("repr(a)", READING),
    "record replace": Kernel("replace(a, value=2.5)", READING),
    "record asdict": Kernel("asdict(a)", READING),
    "array read": Kernel("array[50]", CONTAINERS),
    "array read float": Kernel("array[50].value", CONTAINERS),
    "array append record": Kernel("array.append(a)", CONTAINERS),
    "array append tuple": Kernel("array.append((1_700_000_000, 21.5, 'C'))", CONTAINERS),
    "table read": Kernel("table[50]", CONTAINERS),
    "table append record": Kernel("table.append(b)", CONTAINERS),
    "table append tuple": Kernel("table.append((1_700_000_000, 21.5, 'C'))", CONTAINERS),
    "finalize fire": Kernel("o = Thing(); finalize(o, noop); del o", LIFETIME),
    "finalize detach": Kernel("finalize(held, noop).detach()", LIFETIME),
    "Finalizable dies": Kernel("o = Guarded(); del o", LIFETIME),
    "weak dict get": Kernel("cache[7]", LIFETIME),
    "weak dict set and die": Kernel("o = Thing(); empty[7] = o; del o", LIFETIME),
    "wrapper call": Kernel("passed(1)", CALLS),
    "wrapper method": Kernel("owner.method(1)", CALLS),
    "counted call": Kernel("counted(1)", CALLS),
    "timed call": Kernel("timed(1)", CALLS),
    "logged call, level off": Kernel("logged(1)", CALLS),
    "retry succeeds": Kernel("retried(1)", CALLS),
    "rate limit passes": Kernel("limited(1)", CALLS),
    "cache hit": Kernel("cached(key)", CALLS),
    "cache hit by keyword": Kernel("cached(key, y=1)", CALLS),
    "decorate": Kernel("calls.counted(f)", CALLS),
    "above, ten floats": Kernel("above(floats, 0.5)", CALLS),
    "bounded read": Kernel("config.port", VALIDATION),
    "bounded write": Kernel("config.port = 443", VALIDATION),
    "record, checked write": Kernel("record.port = 443", VALIDATION),
    "constraints of an annotation": Kernel("constraints(Name)", VALIDATION),
    "validate a str": Kernel("validate('alice', Name)", VALIDATION),
    "validate an object": Kernel("validate(user, User)", VALIDATION),
    "regex search": Kernel("word.search('alice_wonder')", VALIDATION),
    "email": Kernel("validate('john.smith@example.com', Address)", VALIDATION),
    "checked call": Kernel("f(1, 'x', items)", VALIDATION),
    "mask": Kernel("mask(user)", VALIDATION),
    "view slice": Kernel("whole[4:20]", WIRE),
    "unpack a header": Kernel("unpack(Header, data)", WIRE),
    "unpack a message": Kernel("unpack(Message, packed)", WIRE),
    "pack a header": Kernel("pack(header)", WIRE),
    "pack into": Kernel("pack_into(header, memory)", WIRE),
    "view of a header": Kernel("view(Header, memory)", WIRE),
    "view, read bits": Kernel("seen.kind", WIRE),
    "view, write a number": Kernel("seen.number = 5", WIRE),
    "unpack many, 100": Kernel("unpack_many(Header, many)", WIRE),
    "crc32 of 256": Kernel("crc32(data)", WIRE),
    "ten frames": Kernel("for f in pcap(capture): pass", WIRE),
    "asyncgen tracked": Kernel("drive()", TRACKED, "tracker.stop()"),
}

PROGRAM = """
import gc, sys
sys.path[:] = {path!r}
space = {{}}
exec({setup!r}, space)
def function(body):
    exec("def run(n):\\n    for _ in range(n):\\n        " + body, space)
    return space["run"]
function({statement!r})(500)
gc.collect()
gc.disable()
function({body!r})({loops})
"""


def program(kernel: Kernel, body: str) -> list[str]:
    """Command line of the program that loops over `body`; no `site`, no variables, no surprises."""
    text = PROGRAM.format(
        path=[entry for entry in sys.path if entry and entry != str(Path(__file__).parent)],
        setup=kernel.setup,
        statement=kernel.statement,
        body=body,
        loops=LOOPS,
    )
    return [sys.executable, "-S", "-s", "-P", "-c", text]


def collected(kernel: Kernel, body: str) -> int:
    """Instructions of one process: start, set-up, warm-up and a loop over `body`."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "callgrind.out")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        done = subprocess.run(
            [*command, *program(kernel, body)], capture_output=True, text=True, env=ENVIRONMENT
        )
        if done.returncode:
            raise SystemExit(f"{kernel.statement}: {done.stderr[-2000:]}")
        totals = re.search(r"^totals: (\d+)", out.read_text(), re.MULTILINE)
    assert totals, "callgrind writes a line of totals"
    return int(totals[1])


def count(kernel: Kernel) -> float:
    """Instructions of one execution of the kernel's statement."""
    if kernel.without:
        empty = collected(kernel._replace(setup=kernel.setup + kernel.without), kernel.statement)
    else:  # `pass` and an expression differ in the loop's own code by nothing
        empty = collected(kernel, "pass")
    return (collected(kernel, kernel.statement) - empty) / LOOPS


def environment() -> dict[str, str]:
    """What counts depend on."""
    compiler = subprocess.run(
        [os.environ.get("CC", "cc"), "-dumpfullversion"], capture_output=True, text=True
    )
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "compiler": compiler.stdout.strip(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--update", action="store_true", help="write the counts")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not installed")
    for kernel in KERNELS.values():  # bytecode files are written now, not while counting
        subprocess.run(program(kernel, kernel.statement), check=True, env=ENVIRONMENT)
    with ThreadPoolExecutor(options.jobs) as pool:
        counts = dict(zip(KERNELS, pool.map(count, KERNELS.values()), strict=True))

    path = COUNTS / f"instructions-{sys.version_info[0]}.{sys.version_info[1]}.json"
    before = json.loads(path.read_text()) if path.exists() else {"environment": {}, "counts": {}}
    worse = 0
    for name, now in counts.items():
        old = before["counts"].get(name)
        change = "" if old is None else f"{now / old - 1:+8.1%}"
        bad = old is None or now > old * (1 + TOLERANCE)
        worse += bad
        print(f"{name:32}{now:10.1f}{change:>9}{'  <--' if bad else ''}")
    here = environment()
    if options.update:
        rounded = {name: round(now, 1) for name, now in counts.items()}
        path.write_text(json.dumps({"environment": here, "counts": rounded}, indent=2) + "\n")
        return 0
    if here != before["environment"]:
        print(f"committed counts: {before['environment']}; here: {here}")
    print(f"{len(counts) - worse} passed, {worse} failed")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
