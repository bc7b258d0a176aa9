"""`ferrule memory PID`: what a process and its descendants keep in memory (needs rich)."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from ferrule.cli.load import InputError
from ferrule.cli.report import console, written

if TYPE_CHECKING:
    from ferrule.memory._usage import Usage

FIELDS = ("private", "shared", "pss", "rss", "swap")
#: Characters of a command that are shown.
COMMAND = 60


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a tree; `usage` is None where reading it is not permitted."""

    pid: int
    parent: int | None
    depth: int
    command: str
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class Sample:
    """All processes of a tree, parents before children, and their total."""

    time: str
    seconds: float  # since the first sample
    processes: list[Process]
    total: Usage

    @property
    def hidden(self) -> int:
        """Processes that are not in the total."""
        return sum(process.usage is None for process in self.processes)


@dataclass
class Watch:
    """What was asked for, and the samples."""

    pid: int
    tree: bool
    samples: list[Sample] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "command": "memory",
            "pid": self.pid,
            "tree": self.tree,
            "unit": "bytes",
            "samples": [_plain(sample) for sample in self.samples],
        }


def _plain(sample: Sample) -> dict[str, Any]:
    return {
        "time": sample.time,
        "seconds": round(sample.seconds, 3),
        "total": sample.total._asdict(),
        "processes": [
            {
                "pid": process.pid,
                "parent": process.parent,
                "command": process.command,
                "usage": None if process.usage is None else process.usage._asdict(),
            }
            for process in sample.processes
        ],
    }


# ---------------------------------------------------------------------------------------- looking


def _room() -> ModuleType:
    try:
        return importlib.import_module("ferrule.memory._usage")
    except ImportError as error:
        raise InputError(str(error)) from error


def command_of(pid: int, proc: str = "/proc") -> str:
    """The command line, else the name in brackets, else nothing; no control characters."""
    try:
        text = Path(proc, str(pid), "cmdline").read_bytes()[:4096]
        if not text:
            text = b"[" + Path(proc, str(pid), "comm").read_bytes().strip() + b"]"
    except OSError:
        return ""
    shown = text.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    return "".join(c if c.isprintable() else "?" for c in shown)


def look(pid: int, *, tree: bool, start: float | None = None) -> Sample:
    """A sample of the process now; the root's errors are raised, see `ferrule.memory.usage`."""
    room = _room()
    root = room.usage(pid)
    now = time.monotonic()
    family = room.family(pid) if tree else [(pid, None)]
    found: dict[int, Process] = {}
    children: dict[int | None, list[int]] = {}
    for number, parent in family:
        try:
            used = root if parent is None else room.usage(number)
        except ProcessLookupError:
            continue
        except PermissionError:
            used = None
        # the parent may have ended, or the child found another one
        above = found.get(parent) if parent is not None else None
        depth = 0 if parent is None else above.depth + 1 if above is not None else 1
        found[number] = Process(number, parent, depth, command_of(number), used)
        children.setdefault(parent if above is not None else None, []).append(number)
    processes = [found[number] for number in _in_order(children, None)]
    readable = [process.usage for process in processes if process.usage is not None]
    return Sample(
        datetime.now(UTC).isoformat(timespec="milliseconds"),
        0.0 if start is None else now - start,
        processes,
        room.total(iter(readable)) if tree else root,
    )


def _in_order(children: dict[int | None, list[int]], parent: int | None) -> Iterator[int]:
    waiting = children.get(parent, [])[::-1]
    while waiting:
        number = waiting.pop()
        yield number
        waiting += children.get(number, [])[::-1]


# ---------------------------------------------------------------------------------------- showing


def mib(size: int) -> str:
    """Mebibytes with one digit, or three where that would be next to nothing."""
    value = size / (1 << 20)
    return f"{value:,.1f}" if size == 0 or value >= 0.1 else f"{value:.3f}"


def table(sample: Sample) -> Table:
    """The sample as a table."""
    made = Table(
        title=f"Memory in MiB, {sample.time}", title_justify="left", title_style="dim", box=None
    )
    made.add_column("pid", justify="right")
    made.add_column("command", overflow="ellipsis", no_wrap=True, max_width=COMMAND)
    for name in FIELDS:
        made.add_column(name, justify="right", no_wrap=True)
    for process in sample.processes:
        command = escape("  " * process.depth + process.command)
        if process.usage is None:
            made.add_row(str(process.pid), command, "[dim]not permitted[/dim]")
        else:
            made.add_row(str(process.pid), command, *map(mib, process.usage))
    if len(sample.processes) > 1:
        made.add_section()
        count = len(sample.processes) - sample.hidden
        made.add_row("", f"total of {count}", *map(mib, sample.total), style="bold")
    return made


def show(sample: Sample) -> None:
    """Print the sample."""
    out = console()
    out.print(table(sample))
    if sample.hidden:
        plural = "es" * (sample.hidden > 1)
        out.print(f"not permitted to read {sample.hidden} process{plural}", style="dim")


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write the samples; what was there is replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)


# ------------------------------------------------------------------------------------- the command


def _first(pid: int, tree: bool) -> Sample:
    _room()
    try:
        return look(pid, tree=tree)
    except (ProcessLookupError, ValueError):  # ValueError: no such number
        raise InputError(
            f"process {pid} does not exist, or has no memory: it has ended, or is the kernel's own"
        ) from None
    except PermissionError:
        raise InputError(
            f"not permitted to read the memory of process {pid}: run as its owner or as root"
        ) from None


def _watch(made: Watch, seconds: float, count: int | None) -> None:
    """Look again and again; ends by count, with the process, or by Ctrl-C."""
    start = time.monotonic()
    try:
        while count is None or len(made.samples) < count:
            time.sleep(max(0.0, start + seconds * len(made.samples) - time.monotonic()))
            try:
                made.samples.append(look(made.pid, tree=made.tree, start=start))
            except (ProcessLookupError, PermissionError):
                console().print(
                    f"process {made.pid} has ended, or is not ours any more", style="dim"
                )
                return
            show(made.samples[-1])
    except KeyboardInterrupt:
        console().print("stopped", style="dim")


def run(
    pid: int,
    *,
    tree: bool = True,
    watch: float | None = None,
    count: int | None = None,
    json_file: Path | None = None,
    html_file: Path | None = None,
) -> int:
    """Look, print, write; the exit status."""
    made = Watch(pid, tree, [_first(pid, tree)])
    show(made.samples[0])
    if watch is not None:
        _watch(made, watch, count)
    if json_file is not None:
        write_json(json_file, made.document())
    if html_file is not None:
        page = importlib.import_module("ferrule.cli.memory_page")
        page.write(html_file, made)
    written([path for path in (json_file, html_file) if path is not None])
    return 0
