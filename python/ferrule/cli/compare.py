"""`ferrule compare`: equal results first, then time and memory, native against the others."""

from __future__ import annotations

import importlib
import json
import math
import os
import platform
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from ferrule.cli import measure, registry, report
from ferrule.cli.load import Readings, load
from ferrule.cli.registry import Implementation, Mismatch, Operation, Room

#: Instances whose memory is measured.
INSTANCES = 1_000_000
QUICK_INSTANCES = 100_000
#: Operations on lists take seconds: fewer rounds.
BULK_ROUNDS = 9
QUICK_BULK_ROUNDS = 3
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
    memory: dict[str, measure.Memory] = field(default_factory=dict)
    startup: dict[str, list[float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Every round, in plain types."""
        return {
            "room": self.room.name,
            "skipped": self.skipped,
            "operations": [
                {
                    "name": row.operation.name,
                    "title": row.operation.title,
                    "equal": not row.mismatch,
                    "mismatch": row.mismatch,
                    "statements": {
                        item.name: row.operation.code(item) for item in self.implementations
                    },
                    "collector": "on" if row.operation.bulk else "off",
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
            )
        return cls(
            rounds,
            min(rounds, BULK_ROUNDS),
            min(rounds, STARTUP_ROUNDS),
            measure.ROUND_NS,
            INSTANCES,
        )

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.__slots__} | {
            "seed": measure.SEED,
            "clock": "process CPU time",
            "collector": "off for single operations, on for lists",
        }


def examine(room: Room, readings: Readings, settings: Settings, peers: bool) -> Outcome:
    """Check, then measure one room, with a progress bar."""
    skipped: dict[str, str] = {}
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
    outcome = Outcome(room, able, skipped, [Row(operation) for operation in room.operations])
    single = [row for row in outcome.rows if not row.operation.bulk]
    bulk = [row for row in outcome.rows if row.operation.bulk]
    imports = {item.name: room.startup[item.name] for item in able if item.name in room.startup}
    steps = (
        len(outcome.rows)
        + len(single) * len(able) * settings.rounds
        + len(bulk) * len(able) * settings.bulk_rounds
        + len(able) * settings.instances // 100_000
        + len(imports) * settings.startup_rounds
    )
    with report.progress(steps, room.title) as advance:
        for row in outcome.rows:
            advance(f"checking: {row.operation.title}")
            try:
                registry.check(row.operation, able, readings.rows)
            except Mismatch as error:
                row.mismatch = str(error)
        _time([row for row in single if not row.mismatch], able, readings, settings, advance)
        for row in bulk:
            if not row.mismatch:
                _time([row], able, readings, settings, advance)
        for item in able:
            advance(f"memory: {item.name}", settings.instances // 100_000)
            outcome.memory[item.name] = measure.memory(
                room, item, readings.rows, settings.instances
            )
        outcome.startup = measure.startup(imports, settings.startup_rounds, advance)
    return outcome


def _time(
    rows: Sequence[Row],
    implementations: Sequence[Implementation],
    readings: Readings,
    settings: Settings,
    advance: measure.Progress,
) -> None:
    built = [
        registry.build(row.operation, item, readings.rows)
        for row in rows
        for item in implementations
    ]
    cases = [case for case in built if case is not None]
    if not cases:
        return
    bulk = rows[0].operation.bulk
    timings = measure.interleave(
        cases,
        settings.bulk_rounds if bulk else settings.rounds,
        round_ns=settings.round_ns,
        collector=bulk,
        progress=advance,
    )
    for row in rows:
        row.timings = {
            name: timing for (op, name), timing in timings.items() if op == row.operation.name
        }


def environment(rooms: Sequence[Room]) -> dict[str, Any]:
    """Where it was measured: interpreter, build, machine, versions."""
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    libraries = {
        item.needs: item.version() for room in rooms for item in room.implementations if item.needs
    }
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
    outcomes = [examine(registry.room(name), readings, settings, peers) for name in rooms]
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
