"""What `ferrule compare` prints: progress, tables, notes (needs rich)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.markup import escape
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
        TextColumn("{task.fields[what]}", style="dim", markup=False),
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
        f"Results are compared on them before anything is timed; loops run over {timed} of them, "
        "spread evenly."
    )
    if count < instances:
        text += (
            f" Lists of {registry.BULK:,} and the {instances:,} objects or rows whose memory is "
            "measured repeat the series, each time later, with values of their own."
        )
    out.print(text, style="dim")


def best_peer(row: Row, peers: Sequence[str]) -> str:
    """Name of the fastest peer in this row, or an empty string."""
    measured = [name for name in peers if name in row.timings]
    return min(measured, key=lambda name: row.timings[name].spread.median, default="")


def show(outcome: Outcome, data: dict[str, Any]) -> None:
    """Print one room: times, memory, imports; after the last one where and how."""
    out = console()
    out.print()
    out.print(_times(outcome))
    if outcome.room.untimed:
        names = ", ".join(item.name for item in outcome.implementations if outcome.unmeasured(item))
        out.print(f"{names}: results compared, not timed", style="dim")
    for row in outcome.rows:
        if row.mismatch:
            out.print(f"[bold red]results differ[/bold red] {row.operation.title}: ", end="")
            out.print(row.mismatch, markup=False, soft_wrap=True)
    if outcome.memory:
        out.print(_memory(outcome))
    for name, reason in outcome.skipped.items():
        out.print(f"{name}: not measured, {reason}")
    if data["rooms"][-1]["room"] == outcome.room.name:
        out.print(conditions(data), style="dim")


def _by_kind(outcome: Outcome, *kinds: registry.Kind) -> list[str]:
    return [item.name for item in outcome.implementations if item.kind in kinds]


def _times(outcome: Outcome) -> Table:
    natives, peers = _by_kind(outcome, "native"), _by_kind(outcome, "peer")
    base, filled = outcome.room.baseline, any(row.operation.filled for row in outcome.rows)
    names = _by_kind(outcome, "pure", "article", "bare")
    others = [name for name in names if name not in {base, *outcome.room.untimed}]
    over = f" over {outcome.instances:,} readings" if filled else ""
    title = f"{outcome.room.title}: time of one operation{over}"
    table = Table(title=title, title_justify="left")
    table.add_column("operation")
    for name in (base, *others):
        table.add_column(f"__{name}__" if name == "slots" else name, justify="right")
    for name in natives:
        shown = name if len(natives) > 1 else "native"
        table.add_column(shown, justify="right", style="bold")
        table.add_column(f"{base} / {shown}", justify="right")
    if peers:
        table.add_column("best peer", justify="right")
    for row in outcome.rows:
        cells = [escape(row.operation.title), *(_cell(row, name) for name in (base, *others))]
        styles = []
        for name in natives:
            text, style = _compared(row, base, name, brief=len(natives) > 1)
            cells += [_cell(row, name), text]
            styles.append(style)
        if peers:
            best = best_peer(row, peers)
            cells.append(f"{_cell(row, best)} [dim]{best}[/dim]" if best else "")
        style = "red" if row.mismatch else styles[0] if len(natives) == 1 else ""
        table.add_row(*cells, style=style)
    return table


def _compared(row: Row, base: str, native: str, *, brief: bool) -> tuple[str, str]:
    """How many times longer the baseline takes, and the style that says for whom this speaks."""
    if row.mismatch:
        return "results differ", "red"
    if base not in row.timings or native not in row.timings:
        return "", ""
    ratio = measure.ratio(row.timings[base], row.timings[native])
    style = "green" if ratio.p10 > 1 else "yellow" if ratio.p90 < 1 else ""
    if not brief:
        return times(ratio), style
    text = f"{significant(ratio.median)}x"
    return f"[{style}]{text}[/]" if style else text, style


def _cell(row: Row, name: str) -> str:
    timing = row.timings.get(name)
    return number(timing.spread.median) if timing is not None else ""


def _memory(outcome: Outcome) -> Table:
    instances = max((item.instances for item in outcome.memory.values()), default=0)
    table = Table(
        title=f"{outcome.room.title}: {instances:,} {outcome.room.counted[1]}",
        title_justify="left",
        caption=outcome.room.held,
        caption_justify="left",
    )
    table.add_column("")
    columns: list[tuple[str, Callable[[str, measure.Memory], str]]] = [
        ("bytes each", lambda _, item: _bytes(item.resident)),
        (
            "traced" if outcome.room.footprints else "traced peak",
            lambda _, item: _bytes(item.traced),
        ),
        ("getsizeof", lambda _, item: "" if item.getsizeof is None else f"{item.getsizeof}"),
        (
            "gc.collect adds",
            lambda _, item: f"{max(item.collect_ms - item.collect_before_ms, 0.0):.2f} ms",
        ),
        ("import", lambda name, _: _import(outcome.startup.get(name))),
    ]
    lines = {
        text: [cell(name, item) for name, item in outcome.memory.items()] for text, cell in columns
    }
    used = {text: cells for text, cells in lines.items() if any(cells)}
    for text in used:
        table.add_column(text, justify="right")
    for name, *cells in zip(outcome.memory, *used.values(), strict=True):
        native = outcome.room.kind(name) == "native"
        table.add_row(name, *cells, style="bold" if native else "")
    return table


def _bytes(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _import(taken: list[float] | None) -> str:
    return f"{measure.spread(taken).median:.2f} ms" if taken else ""


def conditions(data: dict[str, Any]) -> str:
    """One paragraph: where and how it was measured."""
    env, how = data["environment"], data["settings"]
    build = ("PGO" if env["pgo"] else "no PGO") + (", debug build" if env["debug"] else "")
    text = (
        f"{env['implementation']} {env['python']} ({build}), {env['cpu']}, {env['system']}. "
        f"CPU time, median of {how['rounds']} interleaved rounds in random order, of "
        f"{how['bulk_rounds']} for lists, of {how['large_rounds']} for what fills or walks a "
        "container; p10 to p90 in brackets; empty loop subtracted. "
        f"Collector: {how['collector']}."
    )
    measured = {name for room in data["rooms"] for name in (*room["memory"], *room["libraries"])}
    named = [f"{name} {version}" for name, version in env["libraries"].items() if name in measured]
    if named:
        text += f" Libraries: {', '.join(named)}."
    return text


def written(paths: Sequence[Path]) -> None:
    """Name the files that were written."""
    for path in paths:
        console().print(f"wrote {path}", soft_wrap=True)
