"""`python -m benchmarks run|bars|report`: measure, judge, write the README's tables."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.bars import Bar, Missing, Run, rounds
from ferrule.cli import compare, registry
from ferrule.cli import measure as measuring
from ferrule.cli.load import load
from ferrule.cli.report import significant

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
README = HERE.parent / "README.md"
#: Modules with bars, by area.
AREAS: dict[str, tuple[str, ...]] = {
    "records": (
        "benchmarks.records.bench_record",
        "benchmarks.records.bench_record_array",
        "benchmarks.records.bench_record_table",
        "benchmarks.records.bench_arrow",
    ),
    "lifetime": (
        "benchmarks.lifetime.bench_finalize",
        "benchmarks.lifetime.bench_weak_dict",
        "benchmarks.lifetime.bench_asyncgen",
    ),
    "calls": tuple(
        f"benchmarks.calls.bench_{name}"
        for name in (
            *("wrapper", "rate_limit", "retry", "cache", "timer", "logged", "counted"),
            *("singleton", "register", "model_inference"),
        )
    ),
    "compute": ("benchmarks.compute.bench_filter",),
    "validation": tuple(
        f"benchmarks.validation.bench_{name}"
        for name in (
            *("descriptor", "constraint", "validate", "regex", "email", "checked"),
            *("mask", "sql_schema", "validated_meta"),
        )
    ),
    "wire": tuple(
        f"benchmarks.wire.bench_{name}"
        for name in ("view", "packet", "lazy", "bulk", "checksum", "pcap")
    ),
    "memory": ("benchmarks.memory.bench_freeze",),
}
#: Areas that are not measured through the registry, and the module that does and makes tables.
OWN = {"memory": "benchmarks.memory.area"}
#: Versions whose runs are shown, the first as the main one.
PYTHONS = ("3.13", "3.12", "3.11")


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _stored(area: str, python: str) -> Path:
    return RESULTS / f"{area}-{python}.json"


def _own(area: str) -> ModuleType | None:
    return importlib.import_module(OWN[area]) if area in OWN else None


def _modules(area: str) -> list[ModuleType]:
    return [importlib.import_module(name) for name in AREAS[area]]


def _read(path: Path) -> tuple[Mapping[str, Any], dict[str, Run]]:
    """A stored document and its rooms by name."""
    data: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data, {room["room"]: room for room in data["rooms"]}


# -------------------------------------------------------------------------------------------- run


def run(areas: Sequence[str], options: argparse.Namespace) -> int:
    """Measure with all peers and keep the run."""
    readings = load(None)
    settings = compare.Settings(
        rounds=options.rounds,
        bulk_rounds=options.bulk_rounds,
        startup_rounds=max(5, options.rounds),
        round_ns=measuring.ROUND_NS,
        instances=options.instances,
        large_rounds=options.bulk_rounds,
    )
    status = 0
    for area in areas:
        path = options.json or _stored(area, _python())
        if own := _own(area):
            compare.write_json(path, own.measure(options))
            print(f"wrote {path}")
            status |= _judge(area, [path])
            continue
        outcomes = compare.examine_all([area], readings, settings, peers=True)
        data = compare.document(outcomes, readings, settings)
        compare.write_json(path, data)
        print(f"wrote {path}")
        for row in (row for outcome in outcomes for row in outcome.rows):
            if row.mismatch:
                print(f"{row.operation.title}: {row.mismatch}", file=sys.stderr)
                status = 1
        for name, reason in {k: v for item in outcomes for k, v in item.skipped.items()}.items():
            print(f"{name}: not measured, {reason}", file=sys.stderr)
        status |= _judge(area, [path])
    return status


# ------------------------------------------------------------------------------------------- bars


def bars(areas: Sequence[str], options: argparse.Namespace) -> int:
    """Judge stored runs: 1 if any bar is missed or cannot be read."""
    status = 0
    for area in areas:
        stored = [path for python in PYTHONS if (path := _stored(area, python)).exists()]
        paths = [options.json] if options.json else stored
        if not paths:
            raise SystemExit(f"benchmarks: no results of {area}; first: python -m benchmarks run")
        status |= _judge(area, paths)
    return status


def _judge(area: str, paths: Sequence[Path]) -> int:
    modules = _modules(area)
    width = max(len(bar.title) for module in modules for bar in module.BARS)
    failed = 0
    for path in paths:
        data, rooms = _read(path)
        print(f"\n{area} on {_where(data)}")
        python = ".".join(data["environment"]["python"].split(".")[:2])
        for module in modules:
            run = rooms.get(module.ROOM.name)
            if run is None:
                print(f"  no room {module.ROOM.name} in {path.name}")
                failed += len([bar for bar in module.BARS if bar.limit is not None])
                continue
            failed += sum(not _line(bar, run, python, width) for bar in module.BARS)
    for line in (line for module in modules for line in module.ELSEWHERE):
        print(f"  not measured here: {line}")
    print(f"{failed} short" if failed else "all bars reached")
    return 1 if failed else 0


def _line(bar: Bar, run: Run, python: str, width: int) -> bool:
    """Print what a bar finds in a run; whether it is reached."""
    limit = bar.limit_on(python)
    wanted = "" if limit is None else f"{'>=' if bar.least else '<='} {limit:g}"
    try:
        found = bar.figure.of(run)
    except Missing as error:
        print(f"  {bar.title:<{width}}  {'':>8}  {wanted:<9} missing: {error}")
        return limit is None
    good = bar.passes(found.median, python)
    verdict = "shown" if limit is None else "pass" if good else "SHORT"
    print(
        f"  {bar.title:<{width}}  {significant(found.median):>8}  {wanted:<9} {verdict:<5} "
        f"({significant(found.p10)} to {significant(found.p90)})"
    )
    return good


def _where(data: Mapping[str, Any]) -> str:
    env = data["environment"]
    return (
        f"{env['implementation']} {env['python']} ({'PGO' if env['pgo'] else 'no PGO'}), "
        f"{env['cpu']}, {env['date'][:10]}, {data['settings']['rounds']} rounds"
    )


# ----------------------------------------------------------------------------------------- report

#: Columns of a README table beside one native implementation, and their headings, by room.
COLUMNS = {
    "records": {
        "slots": "`__slots__` class",
        "dataclass": "`dataclass(slots=True)`",
        "msgspec": "msgspec",
    },
    "finalize": {
        "weakref": "`weakref`, `__del__`",
        "pure": "pure Python",
        "no clean-up": "no clean-up",
    },
    "weak_dict": {"weakref": "`weakref`", "pure": "pure Python", "dict": "`dict`"},
    "asyncgen": {
        "WeakSet hooks": "`WeakSet` in hooks",
        "pure": "pure Python",
        "no hooks": "no hooks",
    },
    "wrapper": {"wraps": "`functools.wraps`", "wrapt": "wrapt", "bare": "bare function"},
    "rate_limit": {
        "article": "article",
        "ratelimit": "ratelimit",
        "limits": "limits",
        "bare": "bare function",
    },
    "retry": {
        "article": "article",
        "tenacity": "tenacity",
        "stamina": "stamina",
        "bare": "bare function",
    },
    "cache": {"functools": "`functools`", "cachetools": "cachetools", "bare": "bare function"},
    "timer": {"article": "article", "bare": "bare function"},
    "logged": {"article": "article", "bare": "bare function"},
    "counted": {"by hand": "by hand", "bare": "bare function"},
    "singleton": {"article": "article", "functools.cache": "`functools.cache`"},
    "model_inference": {"article": "article", "function": "function"},
    "compute": {"article": "article", "numpy": "NumPy"},
    "descriptor": {
        "ferrule, slots": "the same, slots",
        "ferrule, record": "the same, record",
        "article": "article",
        "atom": "atom",
        "slot": "unchecked slot",
    },
    "constraint": {"typing": "`get_type_hints`", "pure": "pure Python"},
    "validate": {"typing": "article", "pydantic": "pydantic"},
    "regex": {"by hand": "`re`"},
    "email": {"validate": "by `validate`", "email-validator": "email-validator"},
    "checked": {
        "beartype": "beartype",
        "pydantic": "pydantic",
        "by hand": "by hand",
        "bare": "bare function",
    },
    "mask": {"typing": "article", "pure": "pure Python"},
    "sql_schema": {"typing": "article", "sqlalchemy": "SQLAlchemy"},
    "validated_meta": {"article": "article", "type": "`type`"},
    "view": {"memoryview": "`memoryview`", "bytes": "slices of `bytes`", "NumPy": "NumPy"},
    "packet": {
        "struct": "`struct`",
        "ctypes": "`ctypes`",
        "bitstruct": "bitstruct",
        "kaitaistruct": "kaitaistruct",
        "construct": "construct",
    },
    "lazy": {
        "memoryview": "article",
        "struct": "`struct`",
        "ctypes": "`ctypes`",
        "slot": "slot",
    },
    "bulk": {"numpy": "NumPy", "struct": "`struct`"},
    "checksum": {"zlib": "zlib", "google-crc32c": "google-crc32c", "dpkt": "dpkt"},
    "pcap": {"by hand": "`struct`", "NumPy": "NumPy", "dpkt": "dpkt", "construct": "construct"},
}
#: Columns of the README table of containers.
CONTAINERS = {
    "array": "`RecordArray`",
    "table": "`RecordTable`",
    "slots": "list of `__slots__`",
    "numpy": "NumPy",
    "pyarrow": "pyarrow",
    "polars": "Polars",
}


def report(areas: Sequence[str], options: argparse.Namespace) -> int:
    """Rewrite the marked spans of the README and of the pages in docs/; with --check only say
    whether they are current."""
    status = 0
    for path in (options.readme, *sorted(options.readme.parent.glob("docs/*.md"))):
        text = old = path.read_text(encoding="utf-8")
        for area in areas:
            text, found = _filled(text, f"<!-- bench:{area} -->", "<!-- /bench -->", area, render)
            if path == options.readme and not found:
                raise SystemExit(
                    f"benchmarks: no <!-- bench:{area} --> … <!-- /bench --> in {path}"
                )
            text, _ = _filled(text, f"<!-- costs:{area} -->", "<!-- /costs -->", area, costs)
        if text == old:
            continue
        if options.check:
            print(f"{path} is not what the results give: python -m benchmarks report")
            status = 1
        else:
            path.write_text(text, encoding="utf-8")
            print(f"rewrote {path}")
    return status


def _filled(
    text: str, mark: str, end: str, area: str, made: Callable[[str], str]
) -> tuple[str, bool]:
    """The text with what is made for the area between the marks, and whether they are there."""
    head, found, rest = text.partition(mark)
    _, closed, tail = rest.partition(end)
    if not closed:
        return text, False
    return f"{head}{found}\n{made(area)}\n{closed}{tail}", True


def costs(area: str) -> str:
    """The table of costs of an area: nanoseconds by Python version, bytes."""
    stored = {python: _stored(area, python) for python in PYTHONS}
    runs = {python: _read(path) for python, path in stored.items() if path.exists()}
    if not runs:
        raise SystemExit(f"benchmarks: no results of {area}; first: python -m benchmarks run")
    columns = ["", *(f"ns, {python}" for python in runs), "bytes"]
    lines = _head(f"{'; '.join(_where(data) for data, _ in runs.values())}.", columns)
    for module in _modules(area):
        for cost in module.COSTS:
            found = [rooms[module.ROOM.name] for _, rooms in runs.values()]
            cells = [cost.title, *(significant(cost.time.of(run).median) for run in found)]
            held = found[0]["memory"].get(cost.held)
            cells.append("" if held is None else f"{held['traced']:.0f}")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def render(area: str) -> str:
    """The tables of an area, one group for each Python version with results."""
    parts = []
    for python in PYTHONS:
        path = _stored(area, python)
        if path.exists():
            data, runs = _read(path)
            if own := _own(area):
                parts.append(own.tables(data, runs[area], _where(data)))
                continue
            tables = [
                (_table if room.name in COLUMNS else _side_by_side)(data, runs[room.name], room)
                for room in registry.tables(area, ())
                if room.name in runs
            ]
            parts.append("\n\n".join(tables))
    if not parts:
        raise SystemExit(f"benchmarks: no results of {area}; first: python -m benchmarks run")
    main, *others = parts
    if not others:
        return main
    folded = "\n\n".join(others)
    return (
        f"{main}\n\n<details>\n<summary>Other Python versions</summary>\n\n{folded}\n\n</details>"
    )


def _rounds(run: Run, operation: str, implementation: str) -> list[float]:
    try:
        return rounds(run, operation, implementation)
    except Missing:
        return []


def _head(text: str, columns: Sequence[str]) -> list[str]:
    """A sentence and the head of a table; the first column is text, the others are numbers."""
    return [text, "", f"| {' | '.join(columns)} |", "| --- |" + " ---: |" * (len(columns) - 1)]


def _table(data: Mapping[str, Any], run: Run, room: registry.Room) -> str:
    """Times of one native implementation, and how many times longer the others take."""
    native = next(item.name for item in room.implementations if item.kind == "native")
    columns = COLUMNS[room.name]
    what = f"{room.title}: time" if room.footprints else "Time"
    lines = _head(
        f"{_where(data)}. {what} of one operation; in the other columns how many times longer it "
        "takes there.",
        ["operation", "ferrule", *columns.values()],
    )
    for operation in room.operations:
        own = _rounds(run, operation.name, native)
        if not own:
            continue
        cells = [operation.title, _time(measuring.spread(own).median)]
        for name in columns:
            other = _rounds(run, operation.name, name)
            if not other:
                cells.append("")
                continue
            quotients = [a / b for a, b in zip(other, own, strict=True) if b > 0]
            cells.append(f"{significant(measuring.spread(quotients).median)}x")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, *_held(run, room, (native, *columns))])


def _held(run: Run, room: registry.Room, names: Sequence[str]) -> list[str]:
    """Rows on memory: resident bytes of instances; of footprints, one row for each kind of them,
    what tracemalloc saw, and what a collection takes more."""
    memory = run["memory"]
    count = max((item["instances"] for item in memory.values()), default=0)
    if not room.footprints:
        held = [memory.get(name, {}).get("resident") for name in names]
        figures = " | ".join(f"{value:.0f}" for value in held if value)
        return [f"| bytes each of {count:,}, all in | {figures} |"] if all(held) else []
    found = []
    for kind in dict.fromkeys(
        item.name.removeprefix(item.implementation) for item in room.footprints
    ):
        held = [memory.get(name + kind) for name in names]
        if any(held):
            cells = [f"{item['traced']:.0f}" if item and item["traced"] else "" for item in held]
            found.append([f"bytes each of {count:,} {room.counted[1]}{kind}", *cells])
            cells = ["" if item is None else _added(item) for item in held]
            found.append(["what these add to `gc.collect()`", *cells])
    return [f"| {' | '.join(cells)} |" for cells in found]


def _added(item: Mapping[str, Any]) -> str:
    return _time(max(item["collect_ms"] - item["collect_before_ms"], 0.0) * 1e6)


def _side_by_side(data: Mapping[str, Any], run: Run, room: registry.Room) -> str:
    """Times of several containers."""
    count = max((item["instances"] for item in run["memory"].values()), default=0)
    lines = _head(
        f"{_where(data)}. {room.title} of {count:,} readings: times.",
        ["operation", *CONTAINERS.values()],
    )
    for operation in room.operations:
        taken = [_rounds(run, operation.name, name) for name in CONTAINERS]
        if any(taken):
            times = [_time(measuring.spread(item).median) if item else "" for item in taken]
            lines.append("| " + " | ".join([operation.title, *times]) + " |")
    held = [run["memory"].get(name, {}).get("resident") for name in CONTAINERS]
    if any(held):
        figures = " | ".join("" if value is None else f"{value:.1f}" for value in held)
        lines.append(f"| bytes a row | {figures} |")
    return "\n".join(lines)


def _time(value: float) -> str:
    for limit, scale, unit in ((1e3, 1, "ns"), (1e6, 1e3, "us")):
        if value < limit:
            return f"{significant(value / scale)} {unit}"
    return f"{significant(value / 1e6)} ms"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    top = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    parts = {
        "run": commands.add_parser("run", help="measure and keep the run"),
        "bars": commands.add_parser("bars", help="judge stored runs"),
        "report": commands.add_parser("report", help="rewrite the README's tables"),
    }
    for part in parts.values():
        part.add_argument("areas", nargs="*", metavar="AREA", help=f"areas: {', '.join(AREAS)}")
    for name in ("run", "bars"):
        parts[name].add_argument("--json", type=Path, metavar="FILE", help="instead of results/")
    parts["run"].add_argument("--rounds", type=int, default=31)
    parts["run"].add_argument("--bulk-rounds", type=int, default=31, help="rounds of list cases")
    parts["run"].add_argument("--instances", type=int, default=compare.INSTANCES)
    parts["report"].add_argument("--readme", type=Path, default=README)
    parts["report"].add_argument("--check", action="store_true", help="write nothing")
    options = top.parse_args(arguments)
    unknown = [area for area in options.areas if area not in AREAS]
    if unknown:
        top.error(f"unknown area {unknown[0]!r}; the areas are: {', '.join(AREAS)}")
    action = {"run": run, "bars": bars, "report": report}[options.command]
    return action(options.areas or list(AREAS), options)


if __name__ == "__main__":
    sys.exit(main())
