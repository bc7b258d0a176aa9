"""`python -m benchmarks run|bars|report`: measure, judge, write the README's tables."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import re
import sys
from collections.abc import Mapping, Sequence
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
AREAS: dict[str, str] = {"records": "benchmarks.records.bench_record"}
#: Versions whose runs are shown, the first as the main one.
PYTHONS = ("3.13", "3.12", "3.11")


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def _stored(area: str, python: str) -> Path:
    return RESULTS / f"{area}-{python}.json"


def _area(name: str) -> ModuleType:
    return importlib.import_module(AREAS[name])


def _read(path: Path, area: str) -> tuple[Mapping[str, Any], Run]:
    """A stored document and its room."""
    data: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for room in data["rooms"]:
        if room["room"] == area:
            return data, room
    raise SystemExit(f"benchmarks: {path} holds no room {area}")


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
    )
    status = 0
    for area in areas:
        outcome = compare.examine(_area(area).ROOM, readings, settings, peers=True)
        data = compare.document([outcome], readings, settings)
        path = options.json or _stored(area, _python())
        compare.write_json(path, data)
        print(f"wrote {path}")
        for row in outcome.rows:
            if row.mismatch:
                print(f"{row.operation.title}: {row.mismatch}", file=sys.stderr)
                status = 1
        for name, reason in outcome.skipped.items():
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
    module = _area(area)
    checked: Sequence[Bar] = module.BARS
    failed = 0
    for path in paths:
        data, room = _read(path, area)
        python = ".".join(data["environment"]["python"].split(".")[:2])
        print(f"\n{area} on {_where(data)}")
        width = max(len(bar.title) for bar in checked)
        for bar in checked:
            sign, limit = ">=" if bar.least else "<=", f"{bar.limit_on(python):g}"
            try:
                found = bar.figure.of(room)
            except Missing as error:
                failed += 1
                print(f"  {bar.title:<{width}}  {'':>8}  {sign} {limit:<6} missing: {error}")
                continue
            good = bar.passes(found.median, python)
            failed += not good
            between = f"({significant(found.p10)} to {significant(found.p90)})"
            print(
                f"  {bar.title:<{width}}  {significant(found.median):>8}  {sign} {limit:<6} "
                f"{'pass ' if good else 'SHORT'} {between}"
            )
    for line in module.ELSEWHERE:
        print(f"  not measured here: {line}")
    print(f"{failed} short" if failed else "all bars reached")
    return 1 if failed else 0


def _where(data: Mapping[str, Any]) -> str:
    env = data["environment"]
    return (
        f"{env['implementation']} {env['python']} ({'PGO' if env['pgo'] else 'no PGO'}), "
        f"{env['cpu']}, {env['date'][:10]}, {data['settings']['rounds']} rounds"
    )


# ----------------------------------------------------------------------------------------- report

#: Columns of a README table: implementation and its heading.
COLUMNS = {
    "slots": "`__slots__` class",
    "dataclass": "`dataclass(slots=True)`",
    "msgspec": "msgspec",
}


def report(areas: Sequence[str], options: argparse.Namespace) -> int:
    """Rewrite the marked spans of the README; with --check only say whether they are current."""
    text = old = options.readme.read_text(encoding="utf-8")
    for area in areas:
        mark = f"<!-- bench:{area} -->"
        span = re.compile(re.escape(mark) + r".*?<!-- /bench -->", re.DOTALL)
        if not span.search(text):
            raise SystemExit(f"benchmarks: no {mark} … <!-- /bench --> in {options.readme}")
        table = render(area)
        text = span.sub(lambda _, m=mark, t=table: f"{m}\n{t}\n<!-- /bench -->", text)  # type: ignore[misc]
    if text == old:
        return 0
    if options.check:
        print(f"{options.readme} is not what the results give: python -m benchmarks report")
        return 1
    options.readme.write_text(text, encoding="utf-8")
    print(f"rewrote {options.readme}")
    return 0


def render(area: str) -> str:
    """The tables of an area, one for each Python version with results."""
    parts = []
    for python in PYTHONS:
        path = _stored(area, python)
        if path.exists():
            data, room = _read(path, area)
            parts.append(_table(data, room, registry.room(area)))
    if not parts:
        raise SystemExit(f"benchmarks: no results of {area}; first: python -m benchmarks run")
    main, *others = parts
    if not others:
        return main
    folded = "\n\n".join(others)
    return (
        f"{main}\n\n<details>\n<summary>Other Python versions</summary>\n\n{folded}\n\n</details>"
    )


def _table(data: Mapping[str, Any], run: Run, room: registry.Room) -> str:
    native = next(item.name for item in room.implementations if item.kind == "native")
    lines = [
        f"{_where(data)}. Time of one operation; in the other columns how many times longer it "
        "takes there.",
        "",
        "| operation | ferrule | " + " | ".join(COLUMNS.values()) + " |",
        "| --- | ---: |" + " ---: |" * len(COLUMNS),
    ]
    for operation in room.operations:
        try:
            own = rounds(run, operation.name, native)
        except Missing:
            continue
        cells = [operation.title, _time(measuring.spread(own).median)]
        for name in COLUMNS:
            try:
                other = rounds(run, operation.name, name)
            except Missing:
                cells.append("")
                continue
            quotients = [a / b for a, b in zip(other, own, strict=True) if b > 0]
            cells.append(f"{significant(measuring.spread(quotients).median)}x")
        lines.append("| " + " | ".join(cells) + " |")
    held = {name: run["memory"].get(name, {}).get("resident") for name in (native, *COLUMNS)}
    if all(held.values()):
        count = run["memory"][native]["instances"]
        figures = " | ".join(f"{value:.0f}" for value in held.values())
        lines.append(f"| bytes each of {count:,}, all in | {figures} |")
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
