"""What `ferrule compare` prints: progress, tables, notes (needs rich)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from ferrule.cli import measure, registry
from ferrule.cli.load import Readings

if TYPE_CHECKING:
    from ferrule.cli.compare import Outcome, Row


class Advance(Protocol):
    """Move the progress bar on by `steps` and say what is done now."""

    def __call__(self, what: str, steps: int = 1, /) -> None: ...


def console(*, stderr: bool = False) -> Console:
    """A console; without a terminal as wide as the table needs."""
    made = Console(stderr=stderr, highlight=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, width=110)


@contextmanager
def progress(steps: int, title: str) -> Iterator[Advance]:
    """A progress bar on standard error (nothing where that is no terminal)."""
    out = console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", style="bold"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[what]}", style="dim"),
        console=out,
        transient=True,
        disable=not out.is_terminal,
        refresh_per_second=4,
        auto_refresh=False,
    )
    with bar:
        task = bar.add_task(title, total=steps, what="")
        shown = ""

        def advance(what: str, count: int = 1, /) -> None:
            nonlocal shown
            bar.update(task, advance=count, what=what, refresh=what != shown)
            shown = what

        yield advance
        bar.update(task, completed=steps, refresh=True)


def number(value: float) -> str:
    """Three significant digits, with a unit fitting nanoseconds."""
    for limit, scale, unit in ((1e3, 1, "ns"), (1e6, 1e3, "us"), (1e9, 1e6, "ms")):
        if value < limit:
            return f"{significant(value / scale)} {unit}"
    return f"{significant(value / 1e9)} s"


def significant(value: float) -> str:
    """About three digits, no exponent."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 or size == 0 else 3
    return f"{value:.{digits}f}"


def times(value: measure.Spread) -> str:
    """A ratio with its spread."""
    low, high = significant(value.p10), significant(value.p90)
    return f"{significant(value.median)}x [dim]({low} to {high})[/dim]"


def introduce(readings: Readings, instances: int) -> None:
    """Say what is measured."""
    out = console()
    count = len(readings.rows)
    out.print(f"[bold]{count:,} readings[/bold]: {readings.source}", soft_wrap=True)
    for note in readings.notes:
        out.print(f"  {note}", soft_wrap=True)
    timed = min(count, registry.TIMED)
    text = (
        f"All are constructed and compared before anything is timed; loops run over {timed} of "
        f"them, spread evenly."
    )
    if count < instances:
        text += (
            f" Lists of {registry.BULK:,} and the {instances:,} instances repeat the series, "
            "each time later, with values of their own."
        )
    out.print(text, style="dim")


def best_peer(row: Row, peers: Sequence[str]) -> str:
    """Name of the fastest peer in this row, or an empty string."""
    measured = [name for name in peers if name in row.timings]
    return min(measured, key=lambda name: row.timings[name].spread.median, default="")


def show(outcome: Outcome, data: dict[str, Any]) -> None:
    """Print one room: times, memory, imports, where and how."""
    out = console()
    out.print()
    out.print(_times(outcome))
    for row in outcome.rows:
        if row.mismatch:
            out.print(f"[bold red]results differ[/bold red] {row.operation.title}: ", end="")
            out.print(row.mismatch, markup=False, soft_wrap=True)
    out.print(_memory(outcome))
    for name, reason in outcome.skipped.items():
        out.print(f"{name}: not measured, {reason}")
    out.print(conditions(data), style="dim")


def _by_kind(outcome: Outcome, kind: registry.Kind) -> list[str]:
    return [item.name for item in outcome.implementations if item.kind == kind]


def _times(outcome: Outcome) -> Table:
    natives, peers = _by_kind(outcome, "native"), _by_kind(outcome, "peer")
    articles, base = _by_kind(outcome, "article"), outcome.room.baseline
    table = Table(title=f"{outcome.room.title}: time of one operation", title_justify="left")
    table.add_column("operation")
    table.add_column(base, justify="right")
    for name in articles:
        table.add_column(f"__{name}__" if name == "slots" else name, justify="right")
    table.add_column("native", justify="right", style="bold")
    table.add_column(f"{base} / native", justify="right")
    if peers:
        table.add_column("best peer", justify="right")
    for row in outcome.rows:
        cells = [row.operation.title]
        cells += [_cell(row, name) for name in (base, *articles, natives[0])]
        style = ""
        if row.mismatch:
            cells.append("results differ")
            style = "red"
        elif base in row.timings and natives[0] in row.timings:
            ratio = measure.ratio(row.timings[base], row.timings[natives[0]])
            cells.append(times(ratio))
            style = "green" if ratio.p10 > 1 else "yellow" if ratio.p90 < 1 else ""
        else:
            cells.append("")
        if peers:
            best = best_peer(row, peers)
            cells.append(f"{_cell(row, best)} [dim]{best}[/dim]" if best else "")
        table.add_row(*cells, style=style)
    return table


def _cell(row: Row, name: str) -> str:
    timing = row.timings.get(name)
    return number(timing.spread.median) if timing is not None else ""


def _memory(outcome: Outcome) -> Table:
    instances = max((item.instances for item in outcome.memory.values()), default=0)
    table = Table(title=f"{outcome.room.title}: {instances:,} instances", title_justify="left")
    table.add_column("")
    for text in ("bytes each", "traced peak", "getsizeof", "gc.collect adds", "import"):
        table.add_column(text, justify="right")
    for name, item in outcome.memory.items():
        adds = max(item.collect_ms - item.collect_before_ms, 0.0)
        loaded = outcome.startup.get(name)
        native = any(i.name == name and i.kind == "native" for i in outcome.implementations)
        table.add_row(
            name,
            "" if item.resident is None else f"{item.resident:.1f}",
            f"{item.traced:.1f}",
            f"{item.getsizeof}",
            f"{adds:.2f} ms",
            f"{measure.spread(loaded).median:.2f} ms" if loaded else "",
            style="bold" if native else "",
        )
    return table


def conditions(data: dict[str, Any]) -> str:
    """One paragraph: where and how it was measured."""
    env, how = data["environment"], data["settings"]
    build = ("PGO" if env["pgo"] else "no PGO") + (", debug build" if env["debug"] else "")
    text = (
        f"{env['implementation']} {env['python']} ({build}), {env['cpu']}, {env['system']}. "
        f"CPU time, median of {how['rounds']} interleaved rounds in random order, of "
        f"{how['bulk_rounds']} for lists; p10 to p90 in brackets; empty loop subtracted. "
        f"Collector: {how['collector']}. "
        "Bytes are resident memory with list slot and values."
    )
    measured = {name for room in data["rooms"] for name in room["memory"]}
    named = [f"{name} {version}" for name, version in env["libraries"].items() if name in measured]
    if named:
        text += f" Libraries: {', '.join(named)}."
    return text


def written(paths: Sequence[Path]) -> None:
    """Name the files that were written."""
    for path in paths:
        console().print(f"wrote {path}", soft_wrap=True)
