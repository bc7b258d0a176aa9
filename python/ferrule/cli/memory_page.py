"""The page that `ferrule memory --html` writes (needs matplotlib)."""

from __future__ import annotations

import html
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from ferrule.cli.memory import FIELDS, Process, Sample, Watch, mib
from ferrule.cli.page import FASTER, INK, PLAIN, SLOWER, bare, save, section, svg, whole

MIB = 1 << 20
#: More processes than this have no bar of their own.
BARS = 40
SHARED = "#627d98"


def write(path: Path, made: Watch) -> None:
    """Write the page; what was there is replaced in one step."""
    save(path, render(made))


def render(made: Watch) -> str:
    """The page as text."""
    last = made.samples[-1]
    root = html.escape(last.processes[0].command)
    parts = [f"<p>{root}</p>", _key(last), _bars(last)]
    if len(made.samples) > 1:
        parts.append(_course(made.samples))
    parts.append(section("Figures in MiB", _explained(made.tree), _table(last)))
    parts.append(f'<p class="quiet">Read {html.escape(last.time)}.</p>')
    return whole(f"ferrule memory {made.pid}", parts)


def _explained(tree: bool) -> str:
    text = (
        "private: pages no other process maps. shared: pages that others map too. pss: private "
        "and of each shared page its part. rss: private and shared. swap: paged out."
    )
    if tree:
        text += " In the total, shared is pss - private: what the processes share, counted once."
    return text


def _key(last: Sample) -> str:
    cards = [
        (f"{mib(last.total.pss)} MiB", "all together (pss)"),
        (f"{mib(last.total.private)} MiB", "private"),
        (str(len(last.processes)), "process" + "es" * (len(last.processes) != 1)),
    ]
    cells = "".join(f"<div><b>{a}</b><span>{b}</span></div>" for a, b in cards)
    return f'<div class="key">{cells}</div>'


def _readable(sample: Sample) -> list[Process]:
    return [process for process in sample.processes if process.usage is not None]


def _bars(last: Sample) -> str:
    able = _readable(last)
    largest = sorted(able, key=lambda process: -(process.usage.pss if process.usage else 0))
    kept = {process.pid for process in largest[:BARS]}
    shown = [process for process in able if process.pid in kept]
    text = "Private pages, the process's part of the shared ones (pss - private), swap."
    if len(able) > BARS:
        text += f" The largest {BARS} of {len(able)} processes."
    plot = svg(partial(_draw_bars, shown), 9.2, 1.2 + 0.34 * len(shown))
    return section("Memory of each process", text, plot)


def _label(process: Process) -> str:
    first, blank, rest = process.command.partition(" ")
    text = first.rpartition("/")[2] + blank + rest
    if len(text) > 30:
        text = text[:29] + "…"
    # the font lacks many a character, and a dollar sign would begin a formula
    known = "".join(c if ord(c) < 0x250 or c == "…" else "?" for c in text)
    return f"{process.pid}  {known}".replace("$", r"\$")


def _draw_bars(shown: list[Process], figure: Figure) -> None:
    axes = figure.add_subplot()
    bare(axes)
    places = range(len(shown))
    left = [0.0] * len(shown)
    used = [process.usage for process in shown if process.usage is not None]
    parts = (
        ("private", FASTER, [one.private for one in used]),
        ("part of shared", SHARED, [max(one.pss - one.private, 0) for one in used]),
        ("swap", SLOWER, [one.swap for one in used]),
    )
    for name, color, sizes in parts:
        if name == "swap" and not any(sizes):
            continue
        width = [size / MIB for size in sizes]
        axes.barh(places, width, left=left, height=0.62, color=color, label=name)
        left = [a + b for a, b in zip(left, width, strict=True)]
    axes.set_yticks(places, [_label(process) for process in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, max(left, default=0) * 1.05 or 1)
    axes.set_xlabel("MiB")
    figure.legend(loc="outside upper left", ncols=3, frameon=False)


def _course(samples: list[Sample]) -> str:
    text = f"{len(samples)} samples of all processes together."
    return section("Over time", text, svg(partial(_draw_course, samples), 9.2, 3.4))


def _draw_course(samples: list[Sample], figure: Figure) -> None:
    axes = figure.add_subplot()
    bare(axes)
    axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)
    times = [sample.seconds for sample in samples]
    for name, color in (("pss", INK), ("private", FASTER), ("shared", SHARED), ("swap", PLAIN)):
        sizes = [getattr(sample.total, name) / MIB for sample in samples]
        axes.plot(times, sizes, color=color, label=name, marker="o", markersize=3)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("MiB")
    figure.legend(loc="outside upper left", ncols=4, frameon=False)


def _table(last: Sample) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("process", *FIELDS))
    rows = [f"<tr>{head}</tr>"]
    for process in last.processes:
        indent = "&nbsp;" * (3 * process.depth)
        command = html.escape(process.command[:80])
        cells = (
            '<td colspan="5" class="bad">not permitted</td>'
            if process.usage is None
            else "".join(f"<td>{mib(size)}</td>" for size in process.usage)
        )
        rows.append(f"<tr><td>{indent}{process.pid} {command}</td>{cells}</tr>")
    if len(last.processes) > 1:
        cells = "".join(f'<td class="native">{mib(size)}</td>' for size in last.total)
        rows.append(f'<tr><td class="native">total</td>{cells}</tr>')
    return f"<table>{''.join(rows)}</table>"
