"""Time and memory of cases.

Time is CPU time of this process. Every round runs every case once, in a random order that a seed
fixes; cases of one family follow each other, so that a ratio is taken from neighbours. The empty
twin of a loop runs right beside it and is subtracted. Loop counts come from the best of three, so
that a preemption does not choose them. The collector is off while single operations are timed (and
runs between rounds) and on while lists are. Memory is measured in a child process for each
implementation.
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import os
import random
import subprocess
import sys
import tracemalloc
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from time import process_time_ns
from typing import Any

from ferrule.cli.load import Reading
from ferrule.cli.registry import Case, Footprint, Implementation, Room, later, source

#: Order of the cases is drawn from this seed.
SEED = 20_240_229
#: CPU time that one case takes in one round.
ROUND_NS = 2_000_000
QUICK_ROUND_NS = 1_000_000
#: A case's loop count is fixed once a run takes at least this long.
CALIBRATED_NS = 200_000

Key = tuple[str, str]
#: Called with what is measured now, once a case and round.
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median of the rounds, and the range that holds eight of ten."""

    median: float
    p10: float
    p90: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Nanoseconds of one execution, per round; the loop is already subtracted."""

    rounds: tuple[float, ...]
    passes: int
    executions: int
    best: float

    @property
    def spread(self) -> Spread:
        """Median, p10, p90 of the rounds."""
        return spread(self.rounds)

    def to_json(self) -> dict[str, Any]:
        """Everything measured, in plain types."""
        middle = self.spread
        return {
            "min": self.best,
            "median": middle.median,
            "p10": middle.p10,
            "p90": middle.p90,
            "passes": self.passes,
            "executions_per_pass": self.executions,
            "rounds": [round(value, 4) for value in self.rounds],
        }


def percentile(ordered: Sequence[float], share: float) -> float:
    """Linear interpolation between the two nearest of the ordered values."""
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    if ordered[low] == ordered[high]:  # infinities too
        return ordered[low]
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def spread(values: Sequence[float]) -> Spread:
    """Median, p10 and p90 of the values."""
    ordered = sorted(values)
    return Spread(*(percentile(ordered, share) for share in (0.5, 0.1, 0.9)))


def ratio(over: Timing, under: Timing) -> Spread:
    """Ratio of two timings, taken round by round."""
    pairs = zip(over.rounds, under.rounds, strict=True)
    return spread([a / b if b > 0 else math.inf for a, b in pairs])


def calibrate(case: Case, wanted_ns: int) -> int:
    """Passes that take about `wanted_ns`, from the best of three runs."""
    passes = 1
    while True:
        best = min(case.run(passes) for _ in range(3))
        if best >= CALIBRATED_NS or passes >= 1 << 24:
            return max(1, round(passes * wanted_ns / max(best, 1)))
        passes *= 2


def interleave(
    cases: Sequence[Case],
    rounds: int,
    *,
    round_ns: int = ROUND_NS,
    collector: bool = False,
    seed: int = SEED,
    progress: Progress | None = None,
) -> dict[Key, Timing]:
    """Measure all cases together. With `collector` the cases are single passes, collector on."""
    chance = random.Random(seed)
    passes = {case.key: 1 if collector else calibrate(case, round_ns) for case in cases}
    taken: dict[Key, list[int]] = {case.key: [] for case in cases}
    loops: dict[Key, list[int]] = {case.key: [] for case in cases}
    families: dict[str, list[Case]] = {}
    for case in cases:
        families.setdefault(case.operation.family or case.operation.name, []).append(case)
    order = list(families.values())
    gc.collect()
    gc.freeze()
    enabled = gc.isenabled()
    try:
        for _ in range(rounds):
            chance.shuffle(order)
            for family in order:
                chance.shuffle(family)
                for case in family:
                    if progress is not None:
                        progress(case.operation.title)
                    if collector:
                        gc.collect()
                        gc.enable()
                    else:
                        gc.disable()
                    n = passes[case.key]
                    taken[case.key].append(case.run(n))
                    loops[case.key].append(case.run_empty(n))
            gc.collect()
    finally:
        gc.unfreeze()
        (gc.enable if enabled else gc.disable)()
    return {
        case.key: _timing(case, passes[case.key], taken[case.key], loops[case.key])
        for case in cases
    }


def _timing(case: Case, passes: int, taken: list[int], loops: list[int]) -> Timing:
    count = passes * case.executions
    rounds = tuple((a - b) / count for a, b in zip(taken, loops, strict=True))
    return Timing(rounds, passes, case.executions, (min(taken) - min(loops)) / count)


# ----------------------------------------------------------------------------------------- memory


@dataclass(frozen=True, slots=True)
class Memory:
    """What the instances cost, each: resident bytes with everything (list slot, values), peak of
    traced bytes, `sys.getsizeof`; and milliseconds of `gc.collect()` before, with a list of as
    many plain objects, and with the instances. Of a footprint there are residence, collections
    and, if it asks for them, the traced bytes that stay."""

    instances: int
    resident: float | None
    traced: float | None
    getsizeof: int | None
    build_ms: float
    collect_before_ms: float
    collect_list_ms: float | None
    collect_ms: float

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}


def memory(
    room: Room, implementation: Implementation, rows: Sequence[Reading], instances: int
) -> Memory:
    """Build `instances` objects in child processes: one for residence, one for tracing."""
    codes = [room.operation(name).code(implementation) for name in room.instance]
    statement = next(code for code in codes if code is not None)
    job: dict[str, Any] = {
        "source": [implementation.imports, implementation.definition],
        "statement": statement,
        "rows": list(islice(rows, instances)),
        "instances": instances,
    }
    resident = _child(job | {"trace": False})
    traced = _child(job | {"trace": True})
    return Memory(
        instances,
        resident["resident"],
        traced["traced"],
        resident["getsizeof"],
        resident["build_ms"],
        resident["collect_before_ms"],
        traced["collect_list_ms"],
        resident["collect_ms"],
    )


def footprint(
    held: Footprint, implementation: Implementation, rows: Sequence[Reading], instances: int
) -> Memory:
    """Make what is held of `instances` readings in a child process, and in another to trace it."""
    instances = min(instances, held.most)
    job: dict[str, Any] = {
        "source": [implementation.imports, implementation.definition, implementation.variants],
        "expression": held.expression,
        "given": held.given,
        "rows": list(islice(rows, instances)),
        "instances": instances,
    }
    found = _child(job | {"trace": False})
    return Memory(
        instances,
        found["resident"],
        _child(job | {"trace": True})["traced"] if held.traced else None,
        None,
        found["build_ms"],
        found["collect_before_ms"],
        None,
        found["collect_ms"],
    )


def _environment() -> dict[str, str]:
    """The child imports what this process imports."""
    own = {"PYTHONPATH": os.pathsep.join(p or os.curdir for p in sys.path)}
    # an installed package has its bytecode; without this an import would time the compiler
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return inherited | own


def _run(code: str, given: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=given,
        capture_output=True,
        text=True,
        env=_environment(),
        check=False,
    )
    if done.returncode:
        raise OSError(f"a child process failed ({done.returncode}): {done.stderr.strip()[-400:]}")
    return done.stdout


def _child(job: dict[str, Any]) -> dict[str, Any]:
    code = "from ferrule.cli.measure import child; child()"
    found: dict[str, Any] = json.loads(_run(code, json.dumps(job)))
    return found


def resident_bytes() -> int | None:
    """Resident memory of this process, where the system tells."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except OSError:
        return None


def trim() -> None:
    """Give freed memory back to the system, where the C library can: what is allocated next is
    then new."""
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give_back is not None:
        give_back(0)


def columns(rows: Sequence[Reading], count: int) -> tuple[array[int], array[float], list[str]]:
    """The readings that `registry.extend` gives, as columns, with one object for each unit."""
    times, values, units = array("q"), array("d"), list[str]()
    seen: dict[str, str] = {}
    same = [seen.setdefault(row[2], row[2]) for row in rows]
    step = later(rows, count)
    for lap in range(-(-count // len(rows))):
        part = rows[: count - lap * len(rows)]
        times.extend([row[0] + lap * step for row in part])
        values.extend([row[1] for row in part])
        units.extend(same[: len(part)])
    return times, values, units


def child() -> None:
    """Body of a child process: a job on standard input, a report on standard output."""
    job = json.load(sys.stdin)
    rows, count = job.pop("rows"), job["instances"]
    times, values, units = columns(rows, count)
    del rows
    scope: dict[str, Any] = {"__name__": "__main__"}
    for text in job["source"]:
        exec(source(text, "<source>"), scope)
    if "expression" in job:
        found = _filled(job, scope, times, values, units)
    else:
        found = _measured(job, scope, times, values, units)
    print(json.dumps(found), flush=True)
    os._exit(0)  # freeing the instances would only take time


def _filled(
    job: Mapping[str, Any],
    scope: dict[str, Any],
    times: array[int],
    values: array[float],
    units: list[str],
) -> dict[str, Any]:
    """Residence and collections of what is held, a small one having been made before."""
    count = job["instances"]

    def names(n: int) -> dict[str, Any]:
        found = {"times": times[:n], "values": values[:n], "units": units[:n]}
        return found | {"given": eval(job["given"] or "None", scope, dict(found))}

    code = compile(job["expression"], "<expression>", "eval", dont_inherit=True)
    eval(code, scope, names(1000))
    named = names(count)
    before_ms = _collect_ms()
    gc.disable()
    trim()
    if job["trace"]:
        tracemalloc.start(1)
    resident = resident_bytes()
    start = process_time_ns()
    made = eval(code, scope, named)
    build_ms = (process_time_ns() - start) / 1e6
    after = resident_bytes()
    report = {
        "collect_before_ms": before_ms,
        "build_ms": build_ms,
        "resident": None if resident is None or after is None else (after - resident) / count,
        "traced": tracemalloc.get_traced_memory()[0] / count,
        "collect_ms": _collect_ms(),
    }
    del made
    return report


def _measured(
    job: Mapping[str, Any],
    scope: dict[str, Any],
    times: array[int],
    values: array[float],
    units: list[str],
) -> dict[str, Any]:
    count = job["instances"]
    build = (
        "def build(out, times, values, units, SensorReading):\n"
        "    i = 0\n"
        "    for t, v, u in zip(times, values, units):\n"
        f"        out[i] = {job['statement']}\n"
        "        i += 1\n"
        "        if i == len(out): break\n"
    )
    exec(source(build, "<build>"), scope)
    scope["build"]([None] * 1000, times, values, units, scope["SensorReading"])
    before_ms = _collect_ms()
    gc.disable()
    report: dict[str, Any] = {"collect_before_ms": before_ms}
    if job["trace"]:
        plain = [object() for _ in range(count)]
        report["collect_list_ms"] = _collect_ms()
        del plain
        tracemalloc.start(1)
    traced = tracemalloc.get_traced_memory()[0]
    resident = resident_bytes()
    start = process_time_ns()
    out: list[Any] = [None] * count
    scope["build"](out, times, values, units, scope["SensorReading"])
    build_ms = (process_time_ns() - start) / 1e6
    after = resident_bytes()
    report |= {
        "build_ms": build_ms,
        "resident": None if resident is None or after is None else (after - resident) / count,
        "traced": (tracemalloc.get_traced_memory()[1] - traced) / count,
        "getsizeof": sys.getsizeof(out[0]),
    }
    if not job["trace"]:
        report["collect_ms"] = _collect_ms()
    return report


def _collect_ms() -> float:
    """CPU time of a collection, best of five."""
    best = math.inf
    for _ in range(5):
        start = process_time_ns()
        gc.collect()
        best = min(best, (process_time_ns() - start) / 1e6)
    return best


# ---------------------------------------------------------------------------------------- startup


def startup(
    statements: Mapping[str, str], rounds: int, progress: Progress | None = None
) -> dict[str, list[float]]:
    """CPU milliseconds of imports in fresh processes that have imported `typing` already."""
    taken: dict[str, list[float]] = {name: [] for name in statements}
    order = list(statements)
    chance = random.Random(SEED)
    for name in order:  # once before, so that the byte code is there
        _import_ms(statements[name])
    for _ in range(rounds):
        chance.shuffle(order)
        for name in order:
            if progress is not None:
                progress("import")
            taken[name].append(_import_ms(statements[name]))
    return taken


def _import_ms(statement: str) -> float:
    code = (
        "import typing, time\nstart = time.process_time_ns()\n"
        f"{statement}\nprint(time.process_time_ns() - start)"
    )
    return int(_run(code)) / 1e6
