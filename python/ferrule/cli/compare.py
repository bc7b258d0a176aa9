"""`ferrule compare`: equal results first, then time and memory, native against the others."""

from __future__ import annotations

import importlib
import json
import math
import os
import platform
import sys
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from ferrule.cli import measure, registry, report
from ferrule.cli.load import Reading, Readings, load
from ferrule.cli.registry import Implementation, Mismatch, Operation, Room

#: Instances whose memory is measured.
INSTANCES = 1_000_000
QUICK_INSTANCES = 100_000
#: Operations on lists take seconds: fewer rounds.
BULK_ROUNDS = 5
QUICK_BULK_ROUNDS = 3
#: Operations that fill a container with a million readings: fewer still.
LARGE_ROUNDS = 3
QUICK_LARGE_ROUNDS = 3
STARTUP_ROUNDS = 15
QUICK_STARTUP_ROUNDS = 5


@dataclass(slots=True)
class Row:
    """One operation: the timings by implementation, or why there are none."""

    operation: Operation
    timings: dict[str, measure.Timing] = field(default_factory=dict)
    mismatch: str = ""


@dataclass(slots=True)
class Outcome:
    """Everything measured in one room."""

    room: Room
    implementations: list[Implementation]
    skipped: dict[str, str]
    rows: list[Row]
    #: Readings in a filled container.
    instances: int
    memory: dict[str, measure.Memory] = field(default_factory=dict)
    startup: dict[str, list[float]] = field(default_factory=dict)

    def unmeasured(self, implementation: Implementation) -> bool:
        """Whether only its results are compared."""
        return implementation.name in self.room.untimed

    def to_json(self) -> dict[str, Any]:
        """Every round, in plain types."""
        return {
            "room": self.room.name,
            "skipped": self.skipped,
            "libraries": sorted({name for row in self.rows for name in row.operation.needs}),
            "operations": [
                {
                    "name": row.operation.name,
                    "title": row.operation.title,
                    "equal": not row.mismatch,
                    "mismatch": row.mismatch,
                    "statements": {
                        item.name: row.operation.code(item) for item in self.implementations
                    },
                    "before": {
                        item.name: code
                        for item in self.implementations
                        if (code := row.operation.first(item))
                    },
                    "collector": "on" if row.operation.bulk else "off",
                    "rows": self.instances if row.operation.filled else None,
                    "unit": "ns",
                    "timings": {name: timing.to_json() for name, timing in row.timings.items()},
                }
                for row in self.rows
            ],
            "memory": {name: item.to_json() for name, item in self.memory.items()},
            "startup_ms": self.startup,
        }


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is measured."""

    rounds: int
    bulk_rounds: int
    startup_rounds: int
    round_ns: int
    instances: int
    large_rounds: int

    @classmethod
    def of(cls, rounds: int, quick: bool) -> Settings:
        """The settings of the command line."""
        if quick:
            return cls(
                rounds,
                min(rounds, QUICK_BULK_ROUNDS),
                min(rounds, QUICK_STARTUP_ROUNDS),
                measure.QUICK_ROUND_NS,
                QUICK_INSTANCES,
                min(rounds, QUICK_LARGE_ROUNDS),
            )
        return cls(
            rounds,
            min(rounds, BULK_ROUNDS),
            min(rounds, STARTUP_ROUNDS),
            measure.ROUND_NS,
            INSTANCES,
            min(rounds, LARGE_ROUNDS),
        )

    def rounds_of(self, operation: Operation) -> int:
        """Rounds in which this operation is measured."""
        if not operation.bulk:
            return self.rounds
        return self.large_rounds if operation.filled else self.bulk_rounds

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "seed": measure.SEED,
            "clock": "process CPU time",
            "collector": "off for single operations, on for lists",
        }


def _able(room: Room, peers: bool, skipped: dict[str, str]) -> list[Implementation]:
    """Implementations to measure; why others cannot be goes to `skipped`."""
    able: list[Implementation] = []
    for implementation, missing in room.available(peers):
        if not missing:
            try:
                implementation.load()
            except Exception as error:
                if implementation.kind != "peer":
                    raise
                missing = f"{type(error).__name__}: {error}"
        if missing:
            skipped[implementation.name] = missing
        else:
            able.append(implementation)
    return able


def _operations(room: Room, skipped: dict[str, str]) -> list[Operation]:
    """Operations whose libraries are there; what is not goes to `skipped`."""
    libraries = {library for operation in room.operations for library in operation.needs}
    absent = {name: why for name in sorted(libraries) if (why := registry.absent(name))}
    skipped.update(absent)
    return [item for item in room.operations if not absent.keys() & set(item.needs)]


def examine(room: Room, readings: Readings, settings: Settings, peers: bool) -> Outcome:
    """Check, then measure one room, with a progress bar."""
    skipped: dict[str, str] = {}
    able = _able(room, peers, skipped)
    rows = [Row(operation) for operation in _operations(room, skipped)]
    outcome = Outcome(room, able, skipped, rows, settings.instances)
    timed = [item for item in able if item.name not in room.untimed]
    families = _families(row for row in rows if row.operation.bulk)
    imports = {item.name: room.startup[item.name] for item in able if item.name in room.startup}
    held = _held(room, timed)
    steps = (
        len(rows)
        + sum(_cases(row.operation, timed) * settings.rounds_of(row.operation) for row in rows)
        + len(held) * settings.instances // 100_000
        + len(imports) * settings.startup_rounds
    )
    with report.progress(steps, room.title) as advance:
        for row in rows:
            advance(f"checking: {row.operation.title}")
            try:
                registry.check(row.operation, able, readings.rows)
            except Mismatch as error:
                row.mismatch = str(error)
        many = _many(room, readings, settings)
        for group in ([row for row in rows if not row.operation.bulk], *families):
            equal = [row for row in group if not row.mismatch]
            _time(equal, timed, readings.rows, many, settings, advance)
        del many
        for name, measured in held.items():
            advance(f"memory: {name}", settings.instances // 100_000)
            outcome.memory[name] = measured(readings.rows, settings.instances)
        outcome.startup = measure.startup(imports, settings.startup_rounds, advance)
    return outcome


def _cases(operation: Operation, implementations: Sequence[Implementation]) -> int:
    return sum(operation.code(item) is not None for item in implementations)


def _families(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows grouped by their family, in the order in which families begin."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.operation.family or row.operation.name, []).append(row)
    return list(found.values())


def _many(room: Room, readings: Readings, settings: Settings) -> list[Reading]:
    """The readings of filled containers."""
    if not any(operation.filled for operation in room.operations):
        return []
    return list(registry.extend(readings.rows, settings.instances))


def _held(
    room: Room, implementations: Sequence[Implementation]
) -> dict[str, Callable[[Sequence[Reading], int], measure.Memory]]:
    """What measures the memory of each line of the room's memory table."""
    by_name = {item.name: item for item in implementations}
    if not room.instance:
        return {
            item.name: partial(measure.footprint, item, by_name[item.implementation])
            for item in room.footprints
            if item.implementation in by_name
        }
    return {name: partial(measure.memory, room, item) for name, item in by_name.items()}


def _time(
    rows: Sequence[Row],
    implementations: Sequence[Implementation],
    readings: Sequence[Reading],
    many: Sequence[Reading],
    settings: Settings,
    advance: measure.Progress,
) -> None:
    """Measure operations together; they are all bulk or none is."""
    stores: dict[str, registry.Namespace] = {item.name: {} for item in implementations}
    built = [
        registry.build(row.operation, item, readings, many, stores[item.name])
        for row in rows
        for item in implementations
    ]
    cases = [case for case in built if case is not None]
    if not cases:
        return
    timings = measure.interleave(
        cases,
        settings.rounds_of(rows[0].operation),
        round_ns=settings.round_ns,
        collector=rows[0].operation.bulk,
        progress=advance,
    )
    for row in rows:
        row.timings = {
            name: timing for (op, name), timing in timings.items() if op == row.operation.name
        }


def examine_all(
    names: Sequence[str], readings: Readings, settings: Settings, peers: bool
) -> list[Outcome]:
    """Check and measure rooms with all their parts."""
    return [
        examine(room, readings, settings, peers)
        for name in names
        for room in registry.tables(name, readings.rows)
    ]


def environment(rooms: Sequence[Room]) -> dict[str, Any]:
    """Where it was measured: interpreter, build, machine, versions."""
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    libraries = {
        item.needs: item.version() for room in rooms for item in room.implementations if item.needs
    }
    for library in {name for room in rooms for item in room.operations for name in item.needs}:
        libraries.setdefault(library, registry.version(library))
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "compiler": platform.python_compiler(),
        "pgo": "--enable-optimizations" in options,
        "lto": "--with-lto" in options,
        "debug": bool(sysconfig.get_config_var("Py_DEBUG")),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "optimisation": sysconfig.get_config_var("OPT") or "",
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
        "system": f"{platform.system()} {platform.machine()}",
        "ferrule": _version("ferrule"),
        "libraries": {name: version for name, version in libraries.items() if version},
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed (source tree)"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "cpu model"):
            return value.strip()
    return platform.processor() or platform.machine()


def document(outcomes: Sequence[Outcome], readings: Readings, settings: Settings) -> dict[str, Any]:
    """The whole run as it is written by --json."""
    times = [row[0] for row in readings.rows]
    return {
        "schema": 1,
        "environment": environment([outcome.room for outcome in outcomes]),
        "settings": settings.to_json(),
        "input": {
            "source": readings.source,
            "readings": len(readings.rows),
            "timed": min(len(readings.rows), registry.TIMED),
            "first": min(times),
            "last": max(times),
            "notes": list(readings.notes),
        },
        "rooms": [outcome.to_json() for outcome in outcomes],
    }


def plain(value: Any) -> Any:
    """The same value with infinities and NaN as null: JSON has none."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a run; what was there is replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(plain(data), indent=1) + "\n"
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def run(
    rooms: Sequence[str],
    *,
    input_file: Path | None,
    limit: int,
    peers: bool,
    json_file: Path | None,
    html_file: Path | None,
    rounds: int,
    quick: bool,
) -> int:
    """The command. Gives 1 if any results differ."""
    readings = load(input_file, limit)
    settings = Settings.of(rounds, quick)
    report.introduce(readings, settings.instances)
    outcomes = examine_all(rooms, readings, settings, peers)
    data = document(outcomes, readings, settings)
    for outcome in outcomes:
        report.show(outcome, data)
    if json_file is not None:
        write_json(json_file, data)
    if html_file is not None:
        page = importlib.import_module("ferrule.cli.page")
        page.write(html_file, outcomes, data)
    report.written([path for path in (json_file, html_file) if path is not None])
    return 1 if any(row.mismatch for outcome in outcomes for row in outcome.rows) else 0
