"""Operations x implementations: what `ferrule compare` and `benchmarks` measure.

A room lists its implementations (Python source that defines the same names in each) and its
operations (a statement over these names). From both, `build` makes a `Case`: the untimed setup
done, the statement compiled into a loop of its own, so that neither a function call nor another
case's inline caches are in the measurement, and an empty twin of the loop to subtract.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import itertools
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from time import process_time_ns
from typing import Any, Literal, Protocol

from ferrule.cli.load import Reading

#: Every loaded source is a module under a new name: pickle wants the classes it was given.
_serial = itertools.count(1)

#: "bare" does the same without what is measured: the others' times stand on top of its own.
Kind = Literal["native", "pure", "article", "peer", "bare"]
Namespace = dict[str, Any]

#: Rooms by name, and the module that holds `ROOM`.
ROOMS: dict[str, str] = {
    "records": "ferrule.cli.rooms.records",
    "lifetime": "ferrule.cli.rooms.lifetime",
    "calls": "ferrule.cli.rooms.calls",
    "compute": "ferrule.cli.rooms.compute",
    "validation": "ferrule.cli.rooms.validation",
    "wire": "ferrule.cli.rooms.wire",
}

#: Readings one timed loop runs over: few enough to stay in the cache, so that the operation is
#: measured and not the memory behind it.
TIMED = 256
#: Readings on which the result of an operation is compared (construction: all of them).
CHECKED = 20_000
#: Objects in the operations on lists, when they are timed.
BULK = 100_000


class Mismatch(Exception):
    """Two implementations give different results for one operation."""


@dataclass(frozen=True, slots=True)
class Implementation:
    """One way to do the job.

    `imports`, `definition` and `variants` are source; run in this order they define the names that
    the room's operations use. `definition` alone is what "class definition" times.
    """

    name: str
    kind: Kind
    imports: str
    definition: str
    variants: str = ""
    needs: str = ""

    def missing(self) -> str:
        """Why it cannot be measured here, or an empty string."""
        if self.needs and importlib.util.find_spec(self.needs) is None:
            return f"{self.needs} is not installed"
        return ""

    def version(self) -> str:
        """Version of the library behind it, if there is one."""
        return version(self.needs) if self.needs else ""

    def load(self) -> Namespace:
        """Run the source in a module of its own, which pickle can find again."""
        name = f"ferrule_compare_{next(_serial)}"
        module = types.ModuleType(name)
        sys.modules[name] = module
        for part in (self.imports, self.definition, self.variants):
            exec(source(part, f"<{self.name}>"), module.__dict__)
        return dict(module.__dict__)


#: Extends a namespace by the objects a statement needs: (namespace, readings).
Setup = Callable[[Namespace, Sequence[Reading]], None]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing done with each implementation.

    `statement` runs `repeat` times in the body of `loop`. `outcome` is what must be equal in all
    implementations: an expression over the loop's names and `result`, the value of the statement.
    `instead` and `outcome_instead` hold other texts for single implementations; a statement None
    means that the implementation cannot do this. Operations of one `family` are measured next to
    each other. `bulk` ones are measured one family at a time, in single passes with the collector
    on. `filled` ones work on as many readings as there are instances. `before` runs ahead of every
    pass, outside the time. `needs` are libraries without which there is nothing to measure. A
    statement that does the same thing `batch` times counts as so many executions.
    """

    name: str
    area: str
    title: str
    statement: str
    loop: str
    outcome: str
    setup: Setup
    repeat: int = 4
    instead: Mapping[str, str | None] = field(default_factory=dict)
    outcome_instead: Mapping[str, str] = field(default_factory=dict)
    family: str = ""
    whole: bool = False
    bulk: bool = False
    filled: bool = False
    before: str = ""
    before_instead: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    batch: int = 1

    def code(self, implementation: Implementation) -> str | None:
        """The statement for this implementation, or None."""
        return self.instead.get(implementation.name, self.statement)

    def first(self, implementation: Implementation) -> str:
        """What this implementation runs before a pass."""
        return self.before_instead.get(implementation.name, self.before)


@dataclass(frozen=True, slots=True)
class Footprint:
    """Something whose memory is measured: `expression` makes it of the columns `times`, `values`
    (arrays) and `units` (a list), and of `given`, what the expression of that name has made of
    them before: that is not in the measurement. With `traced` what tracemalloc sees is noted too.
    No more than `most` are made, where each is large or takes long.
    """

    name: str
    implementation: str
    expression: str
    given: str = ""
    traced: bool = False
    most: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Room:
    """A room's part of the registry.

    `startup` are the imports to time, by implementation. `instance` names the operations that
    create an object, in order of preference: the memory of a million is measured with the first
    that the implementation has. Other rooms have `footprints` instead. `counted` is what is
    measured there, one and many, and `held` says which bytes are its own. `untimed`
    implementations take part in the comparison of results alone. `parts` gives further tables of
    the room, measured after it.
    """

    name: str
    title: str
    implementations: tuple[Implementation, ...]
    operations: tuple[Operation, ...]
    startup: Mapping[str, str]
    instance: tuple[str, ...] = ()
    #: Name of the implementation to which native is compared on the terminal.
    baseline: str = "pure"
    footprints: tuple[Footprint, ...] = ()
    counted: tuple[str, str] = ("instance", "instances")
    held: str = (
        "Resident bytes of each instance with everything it needs: its place in a list and the "
        "values it holds."
    )
    untimed: frozenset[str] = frozenset()
    #: The operation in large type, and what it is called there.
    headline: tuple[str, str] = ("", "")
    parts: Callable[[Sequence[Reading]], tuple[Room, ...]] | None = None

    def implementation(self, name: str) -> Implementation:
        """The implementation of this name."""
        return next(item for item in self.implementations if item.name == name)

    def kind(self, held: str) -> Kind:
        """Kind of the implementation behind a line of the memory table."""
        names = {item.name: item.implementation for item in self.footprints}
        return self.implementation(names.get(held, held)).kind

    def operation(self, name: str) -> Operation:
        """The operation of this name."""
        return next(item for item in self.operations if item.name == name)

    def available(self, peers: bool) -> Iterator[tuple[Implementation, str]]:
        """Implementations to measure, each with the reason why it cannot be, if any."""
        for item in self.implementations:
            if peers or item.kind != "peer":
                yield item, item.missing()


class Timed(Protocol):
    """A compiled loop: CPU nanoseconds of `n` passes."""

    def __call__(self, n: int, clock: Callable[[], int], /) -> int: ...


@dataclass(frozen=True, slots=True)
class Case:
    """An operation on an implementation, ready to run."""

    operation: Operation
    implementation: Implementation
    timed: Timed
    empty: Timed
    #: Executions of the statement in one pass.
    executions: int

    @property
    def key(self) -> tuple[str, str]:
        """Names of operation and implementation."""
        return self.operation.name, self.implementation.name

    def run(self, n: int, clock: Callable[[], int] = process_time_ns) -> int:
        """Time of `n` passes."""
        return self.timed(n, clock)

    def run_empty(self, n: int, clock: Callable[[], int] = process_time_ns) -> int:
        """Time of `n` passes of the loop without the statement."""
        return self.empty(n, clock)


def source(text: str, name: str) -> types.CodeType:
    """Compiled text without the future statements of this module: annotations are objects."""
    return compile(text, name, "exec", dont_inherit=True)


def room(name: str) -> Room:
    """The room of this name (its module is imported now)."""
    found: Room = importlib.import_module(ROOMS[name]).ROOM
    return found


def tables(name: str, rows: Sequence[Reading]) -> tuple[Room, ...]:
    """The room of this name and its further parts, made for these readings."""
    first = room(name)
    return (first, *(first.parts(rows) if first.parts is not None else ()))


def version(library: str) -> str:
    """Version of an installed library, or an empty string."""
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""


def absent(library: str) -> str:
    """Why a library cannot be used here, or an empty string."""
    if importlib.util.find_spec(library) is None:
        return f"{library} is not installed"
    try:
        importlib.import_module(library)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def spread(rows: Sequence[Reading], count: int) -> list[Reading]:
    """At most `count` readings, evenly spread over the series."""
    if len(rows) <= count:
        return list(rows)
    return [rows[i * len(rows) // count] for i in range(count)]


def later(rows: Sequence[Reading], count: int) -> int:
    """By how much each repetition of the series is later, where `count` readings are wanted."""
    times = [row[0] for row in rows]
    return min(
        max(times) - min(times) + 1, ((1 << 63) - 1 - max(times)) // (count // len(rows) + 1)
    )


def extend(rows: Sequence[Reading], count: int) -> Iterator[Reading]:
    """`count` readings: the series again and again, each time later by its length.

    Timestamps and values are new objects every time, as a program that reads them would have.
    """
    step = later(rows, count)
    for i in range(count):
        lap, at = divmod(i, len(rows))
        when, value, unit = rows[at]
        yield when + lap * step, value * 1.0, unit


def compile_loop(
    loop: str,
    statement: str,
    repeat: int,
    namespace: Mapping[str, Any],
    label: str,
    before: str = "",
) -> Timed:
    """The statement in its loop as a function of its own; names it uses become its locals."""
    body = "; ".join([statement] * repeat)
    inner = f"        {loop}:\n            {body}" if loop else f"        {body}"
    tree = ast.parse(f"{before}\n{loop or 'while 0'}:\n    {statement}")
    loads = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    names = sorted(name for name in loads if name in namespace)
    head = f"def timed({', '.join(['n', 'clock', *names])}):\n    passes = range(n)\n"
    if before:
        text = (
            f"{head}"
            "    taken = 0\n"
            "    for _ in passes:\n"
            f"        {before}\n"
            "        start = clock()\n"
            f"{inner}\n"
            "        taken += clock() - start\n"
            "    return taken\n"
        )
    else:
        text = (
            f"{head}"
            "    start = clock()\n"
            "    for _ in passes:\n"
            f"{inner}\n"
            "    return clock() - start\n"
        )
    scope: Namespace = {}
    exec(source(text, f"<{label}>"), scope)
    function = scope["timed"]
    bound = [namespace[name] for name in names]

    def run(n: int, clock: Callable[[], int], /) -> int:
        taken: int = function(n, clock, *bound)
        return taken

    return run


def _prepared(
    operation: Operation,
    implementation: Implementation,
    rows: Sequence[Reading],
    store: Namespace | None = None,
) -> Namespace:
    namespace = implementation.load()
    scope = dict(namespace)
    namespace["definition"] = source(implementation.definition, "<definition>")
    namespace["scope"] = scope
    namespace["store"] = {} if store is None else store
    operation.setup(namespace, rows)
    return namespace


def build(
    operation: Operation,
    implementation: Implementation,
    rows: Sequence[Reading],
    many: Sequence[Reading] = (),
    store: Namespace | None = None,
) -> Case | None:
    """The case of an operation on an implementation, or None where it does not apply.

    `many` are the readings of a filled operation; a bulk one has `BULK`. In `store` a setup keeps
    what other operations of the same implementation use again.
    """
    code = operation.code(implementation)
    if code is None:
        return None
    if operation.filled:
        chosen = many or rows
    elif operation.bulk:
        chosen = list(extend(rows, BULK))
    else:
        chosen = spread(rows, TIMED)
    namespace = _prepared(operation, implementation, chosen, store)
    label = f"{operation.name}, {implementation.name}"
    before = operation.first(implementation)
    over = eval(f"sum(1 {operation.loop})", dict(namespace)) if operation.loop else 1
    return Case(
        operation,
        implementation,
        compile_loop(operation.loop, code, operation.repeat, namespace, label, before),
        compile_loop(operation.loop, "pass", 1, namespace, label + ", empty", before),
        over * operation.repeat * operation.batch,
    )


def outcome(
    operation: Operation, implementation: Implementation, rows: Sequence[Reading]
) -> list[Any] | Exception:
    """Outcomes of the statement over the readings, or the exception it raised."""
    code = operation.code(implementation)
    if code is None:
        raise ValueError(f"{implementation.name} has no {operation.name}")
    expression = isinstance(ast.parse(code).body[0], ast.Expr)
    wanted = operation.outcome_instead.get(implementation.name, operation.outcome)
    text = (
        f"{operation.first(implementation)}\noutcomes = []\n{operation.loop or 'for _ in (0,)'}:\n"
        f"    {'result = ' if expression else ''}{code}\n    outcomes.append(({wanted}))\n"
    )
    try:
        namespace = _prepared(operation, implementation, rows)
        exec(source(text, f"<{operation.name}>"), namespace)
    except Exception as error:
        return error
    found: list[Any] = namespace["outcomes"]
    return found


def check(
    operation: Operation, implementations: Sequence[Implementation], rows: Sequence[Reading]
) -> None:
    """Compare the outcomes of all implementations; raise `Mismatch` showing two that differ."""
    chosen = rows if operation.whole else spread(rows, CHECKED)
    able = [item for item in implementations if operation.code(item) is not None]
    if not able:
        return
    first = able[0]
    expected = outcome(operation, first, chosen)
    for item in able:
        got = expected if item is first else outcome(operation, item, chosen)
        if isinstance(got, Exception):
            raise Mismatch(f"{item.name} raised {type(got).__name__}: {got}")
        if got != expected:
            raise Mismatch(_difference(first, expected, item, got))


def _difference(first: Implementation, wanted: Any, second: Implementation, got: list[Any]) -> str:
    at = next((i for i, (a, b) in enumerate(zip(wanted, got, strict=False)) if a != b), -1)
    one, other = wanted[at], got[at]
    if isinstance(one, list) and isinstance(other, list):
        return _difference(first, one, second, other)
    return f"reading {at + 1}: {first.name} gives {_cut(one)}, {second.name} gives {_cut(other)}"


def _cut(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
