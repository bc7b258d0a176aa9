"""The area `memory`: it measures processes, not operations of the registry.

`measure` makes the run that `python -m benchmarks run memory` keeps, `tables` the README's tables.
Every figure comes from a process that did nothing before. What the processes compute is compared
first: a difference ends the run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.bars import Run
from benchmarks.memory import micro, served
from ferrule.cli import compare
from ferrule.cli.measure import spread
from ferrule.cli.report import significant

STRATEGIES = ("nothing", "article", "ferrule")
PHASES = {
    "idle": "at once",
    "gc": "after `gc.collect()`",
    "garbage": "after making garbage",
    "read": "after reading everything",
    "all": "after all three",
}


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    #: Megabytes of state.
    states: tuple[int, ...] = (200, 500)
    #: Megabytes of the application behind gunicorn, and requests it gets.
    served: int = 100
    requests: int = 300
    #: Processes that freeze, and batches of their state: about a million objects.
    freezes: int = 7
    frozen_batches: int = 60
    #: Pairs of processes of the micro suite, and rounds of each.
    pairs: int = 6
    rounds: int = 15


def _job(module: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.memory.{module}", *arguments],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"benchmarks.memory.{module} {' '.join(arguments)}: {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _same(what: str, answers: Iterable[object]) -> None:
    if len(found := set(map(str, answers))) != 1:
        raise SystemExit(f"{what}: different answers: {', '.join(sorted(found))}")


def _states(megabytes: int) -> dict[str, Any]:
    """Workers of one state under every strategy."""
    found: dict[str, Any] = {}
    batches = 0
    for strategy in STRATEGIES:
        job = {
            "megabytes": megabytes,
            "batches": batches,  # of the first: all have the same state
            "strategy": strategy,
            "phases": list(PHASES),
        }
        found[strategy] = _job("forked", json.dumps(job))
        batches = found[strategy]["batches"]
        held = mean(found[strategy]["phases"]["read"]["private_mb"])
        print(f"{megabytes} MB, {strategy}: {held:.1f} MB a worker after reading", file=sys.stderr)
    _same(
        f"{megabytes} MB",
        (item["phases"][phase]["sums"] for item in found.values() for phase in ("read", "all")),
    )
    return found


def _served(megabytes: int, requests: int) -> dict[str, Any]:
    job = {"megabytes": megabytes, "batches": 0, "strategy": "nothing", "phases": []}
    batches = _job("forked", json.dumps(job))["batches"]
    found = {}
    for name in STRATEGIES:
        found[name] = served.measure(name, batches, requests)
        print(f"gunicorn, {name}: {found[name]['total_mb']:.0f} MB in all", file=sys.stderr)
    _same("gunicorn", (item["answers"] for item in found.values()))
    return found


def measure(options: argparse.Namespace, plan: Plan | None = None) -> dict[str, Any]:
    """Measure everything; the document of the run."""
    plan = plan or Plan()
    room: dict[str, Any] = {"room": "memory"}
    room["states"] = {str(size): _states(size) for size in plan.states}
    room["gunicorn"] = _served(plan.served, plan.requests)
    room["freezes"] = [_job("cost", str(plan.frozen_batches)) for _ in range(plan.freezes)]
    room["micro"] = micro.measure(plan.pairs, plan.rounds)
    return {
        "schema": 1,
        "environment": compare.environment([]),
        "settings": {
            **asdict(plan),
            "clock": "process CPU time",
            "memory": "Private_Dirty and Pss of smaps_rollup",
        },
        "rooms": [room],
    }


# ----------------------------------------------------------------------------------------- tables

HEADINGS = {"nothing": "as it is", "article": "`gc.freeze()`", "ferrule": "`freeze()`"}


def mean(values: Iterable[float]) -> float:
    """Of all workers."""
    listed = list(values)
    return sum(listed) / len(listed)


def _cell(item: Mapping[str, Any]) -> str:
    return f"{mean(item['private_mb']):.1f} ({item['total_mb']:.0f})"


def tables(data: Mapping[str, Any], run: Run, where: str) -> str:
    """What workers have to themselves, and what ordinary code costs after freezing."""
    plan = data["settings"]
    lines = [
        f"{where}. Private memory of each of four workers in MB, and in brackets the memory of "
        "all processes.",
        "",
        f"| state and worker | {' | '.join(HEADINGS.values())} |",
        "| --- |" + " ---: |" * len(HEADINGS),
    ]
    for size, found in run["states"].items():
        for phase, title in PHASES.items():
            cells = (_cell(found[name]["phases"][phase]) for name in HEADINGS)
            lines.append(f"| {size} MB, {title} | {' | '.join(cells)} |")
    cells = (_cell(run["gunicorn"][name]) for name in HEADINGS)
    title = f"gunicorn, {plan['served']} MB, after {plan['requests']} requests"
    lines.append(f"| {title} | {' | '.join(cells)} |")
    lines += [
        "",
        "Time of a loop over a frozen state / over one that is not; beside it the same of two "
        "processes that froze nothing, with p10 and p90.",
        "",
        "| loop | frozen | neither frozen |",
        "| --- | ---: | ---: |",
    ]
    for name in sorted(run["micro"]["ferrule"]):
        pairs = [spread(run["micro"][strategy][name]) for strategy in ("ferrule", "nothing")]
        cells = (f"{item.median:.2f} ({item.p10:.2f} to {item.p90:.2f})" for item in pairs)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", _saved(run), _cost(run)])


def _saved(run: Run) -> str:
    """What is left of the memory of a server, in words."""
    total = {name: item["total_mb"] for name, item in run["gunicorn"].items()}
    article, own = (
        round(100 * (1 - total[name] / total["nothing"])) for name in ("article", "ferrule")
    )
    return (
        f"Behind gunicorn the article's recipe saves {article} % of the memory of all processes, "
        f"`freeze()` {own} %."
    )


def _cost(run: Run) -> str:
    """A sentence on what freezing takes."""
    seconds = spread([item["seconds"] for item in run["freezes"]])
    before = spread([item["collecting"] for item in run["freezes"]])
    objects = run["freezes"][0]["immortal"] or run["freezes"][0]["objects"]
    return (
        f"Freezing {objects:,} objects takes {significant(seconds.median)} s of CPU "
        f"({significant(seconds.p10)} to {significant(seconds.p90)}), `gc.collect()` before it "
        f"{significant(before.median)} s."
    )
