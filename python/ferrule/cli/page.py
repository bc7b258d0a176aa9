"""The page that `ferrule compare --html` writes: one file, plots inside, no network (needs
matplotlib); and what other pages are made of."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from ferrule.cli import measure, report
from ferrule.cli.registry import Kind

if TYPE_CHECKING:
    from ferrule.cli.compare import Outcome, Row

FASTER, SLOWER, PLAIN, INK = "#2a7f62", "#c8752d", "#9aa5b1", "#1f2933"
KINDS: dict[Kind, str] = {
    "native": FASTER, "pure": PLAIN, "article": "#627d98", "peer": "#bcccdc", "bare": "#d9e2ec"
}  # fmt: skip
#: Marks of the peers and their colours.
PEERS = {
    "o": "#3e6fb0",
    "s": "#8e5ea2",
    "D": "#c0392b",
    "^": "#6b7280",
    "v": "#0f7c8a",
    "P": "#a07d1c",
}

STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #f5f7fa; color: #1f2933;
  font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { font-size: 30px; margin: 0 0 4px; } h2 { font-size: 21px; margin: 0 0 4px; }
p { margin: 6px 0 12px; max-width: 76ch; } .quiet { color: #52606d; font-size: 14px; }
section { background: #fff; border: 1px solid #e4e7eb; border-radius: 8px;
  padding: 20px 24px; margin: 20px 0; overflow-x: auto; }
svg { display: block; width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: 5px 6px; text-align: right; border-bottom: 1px solid #e4e7eb;
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { color: #52606d; font-weight: 600; } td.native, th.native { font-weight: 700; }
td.bad { color: #b42318; text-align: left; white-space: normal; }
.key { display: flex; gap: 28px; flex-wrap: wrap; margin: 16px 0 4px; }
.key b { display: block; font-size: 26px; line-height: 1.2; } .key span { color: #52606d;
  font-size: 14px; }
"""


def write(path: Path, outcomes: Sequence[Outcome], data: dict[str, Any]) -> None:
    """Write the page; what was there is replaced in one step."""
    save(path, render(outcomes, data))


def save(path: Path, text: str) -> None:
    """Write a page; what was there is replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def render(outcomes: Sequence[Outcome], data: dict[str, Any]) -> str:
    """The page as text."""
    given = data["input"]
    notes = "".join(f"<br>{html.escape(note)}" for note in given["notes"])
    parts = [f"<p>{given['readings']:,} readings: {html.escape(given['source'])}{notes}</p>"]
    for outcome in outcomes:
        parts += _room(outcome)
    parts.append(f'<p class="quiet">{html.escape(report.conditions(data))}</p>')
    parts.append(f'<p class="quiet">Measured {html.escape(data["environment"]["date"])}.</p>')
    return whole("ferrule compare", parts)


def whole(title: str, parts: Sequence[str]) -> str:
    """A page with this title and these parts."""
    name = html.escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join((f"<h1>{name}</h1>", *parts))
        + "\n</main>\n</body>\n</html>\n"
    )


def _names(outcome: Outcome, kind: Kind) -> list[str]:
    return [item.name for item in outcome.implementations if item.kind == kind]


def _room(outcome: Outcome) -> list[str]:
    parts = [f"<h2>{html.escape(outcome.room.title)}</h2>", _key(outcome)]
    natives, articles = _names(outcome, "native"), _names(outcome, "article")
    for native in natives:
        who = "native" if len(natives) == 1 else native
        for base in dict.fromkeys((outcome.room.baseline, *articles, *_names(outcome, "pure"))):
            parts += _plot(outcome, native, who, base)
    if outcome.memory:
        parts.append(_held(outcome))
    parts.append(section("Median time of one operation", _over(outcome), _table(outcome)))
    return parts


def _over(outcome: Outcome) -> str:
    if not any(row.operation.filled for row in outcome.rows):
        return ""
    return f"Containers hold {outcome.instances:,} readings."


def _plot(outcome: Outcome, native: str, who: str, base: str) -> list[str]:
    """The section on one native implementation against one other, if they share a row."""
    rows = [row for row in outcome.rows if base in row.timings and native in row.timings]
    if not rows:
        return []
    peers = _names(outcome, "peer") if outcome.room.kind(base) == "article" else []
    text = (
        f"Bars to the right of 1x: {who} takes that many times less time. Bars to the "
        "left: it takes more. The line on each bar spans eight of ten rounds."
    )
    if peers:
        text += " Marks show where other libraries stand by the same measure."
    height = 1.1 + 0.34 * len(rows) + 0.3 * bool(peers)
    plot = svg(partial(_speed, rows, native, base, peers), 9.2, height)
    title = "Speed" if who == "native" else f"Speed of {native}"
    return [section(f"{title} against {_against(outcome, base)}", text, plot)]


def _against(outcome: Outcome, base: str) -> str:
    if outcome.room.kind(base) == "pure":
        return "the pure-Python twin"
    if base != "slots":
        return base
    many = bool(outcome.room.footprints)
    return "a list of __slots__ objects" if many else "a __slots__ class written by hand"


def _held(outcome: Outcome) -> str:
    instances = max(item.instances for item in outcome.memory.values())
    return section(
        f"What {instances:,} {outcome.room.counted[1]} cost",
        f"{outcome.room.held} Right: what one full garbage collection costs more while they are "
        "alive.",
        svg(partial(_memory, outcome), 9.2, 1.2 + 0.42 * len(outcome.memory)),
    )


def section(title: str, text: str, body: str) -> str:
    """A part of a page with a heading, a text in small print, and HTML."""
    intro = f'<p class="quiet">{html.escape(text)}</p>' if text else ""
    return f"<section><h2>{html.escape(title)}</h2>{intro}{body}</section>"


def _key(outcome: Outcome) -> str:
    """A few figures in large type: the room's first operation, memory."""
    room, natives = outcome.room, _names(outcome, "native")
    operation, what = room.headline
    cards: list[tuple[str, str]] = []
    rows = [row for row in outcome.rows if row.operation.name == operation]
    for row in rows:
        for native in natives:
            who = f"{what} to {native}" if len(natives) > 1 else what
            for base in dict.fromkeys((room.baseline, *_names(outcome, "article"))):
                if base in row.timings and native in row.timings:
                    middle = measure.ratio(row.timings[base], row.timings[native]).median
                    label = "pure Python" if base == "pure" else _shown(base, "article", True)
                    cards.append((f"{report.significant(middle)}x", f"{who} against {label}"))
    for name, item in outcome.memory.items():
        if item.resident is not None and name in (*natives, "slots"):
            label = "__slots__ object" if name == "slots" else "native record"
            if room.footprints and name != "slots":
                label = f"{room.counted[0]} of {name}"
            cards.append((f"{item.resident:.0f} bytes", f"each {label}, all in"))
    cells = "".join(f"<div><b>{a}</b><span>{html.escape(b)}</span></div>" for a, b in cards)
    return f'<div class="key">{cells}</div>'


# ------------------------------------------------------------------------------------------ plots


def svg(draw: Callable[[Figure], None], width: float, height: float) -> str:
    """A figure as an SVG element without document head, metadata or foreign references."""
    settings: Any = {
        "svg.fonttype": "path",
        "svg.hashsalt": f"{width}{height}",
        "font.family": "DejaVu Sans",
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": "#52606d",
        "ytick.color": INK,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure)
        out = io.StringIO()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r' (?:width|height)="[0-9.]+pt"', "", text, count=2)


def bare(axes: Axes) -> None:
    """Axes with a base line and a vertical grid only."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#cbd2d9")
    axes.tick_params(axis="y", length=0)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color="#e4e7eb", linewidth=0.8)


def _drawable(value: measure.Spread) -> measure.Spread:
    """On a logarithmic axis: in few rounds nothing may be left when the loop is subtracted."""
    return measure.Spread(*(min(max(part, 1e-3), 1e6) for part in astuple(value)))


def _speed(
    rows: Sequence[Row], native: str, base: str, peers: Sequence[str], figure: Figure
) -> None:
    axes = figure.add_subplot()
    bare(axes)
    axes.set_xscale("log")
    ratios = [_drawable(measure.ratio(row.timings[base], row.timings[native])) for row in rows]
    seen = [part for value in ratios for part in (value.median, value.p10, value.p90)]
    used = [name for name in peers if any(name in row.timings for row in rows)]
    for at, (row, value) in enumerate(zip(rows, ratios, strict=True)):
        color = FASTER if value.median >= 1 else SLOWER
        axes.barh(at, value.median - 1, left=1, height=0.62, color=color)
        axes.plot([value.p10, value.p90], [at, at], color=INK, linewidth=1, alpha=0.55)
        right = value.median >= 1
        edge = max(value.median, value.p90) if right else min(value.median, value.p10)
        for mark, name in zip(PEERS, used, strict=False):
            if name in row.timings:
                peer = _drawable(measure.ratio(row.timings[base], row.timings[name])).median
                seen.append(peer)
                axes.plot(peer, at, mark, color=PEERS[mark], markeredgecolor="white", markersize=6)
        axes.annotate(
            f"{report.significant(value.median)}x",
            (edge, at),
            xytext=(5 if right else -5, 0),
            textcoords="offset points",
            va="center",
            ha="left" if right else "right",
            fontsize=9,
            fontweight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )
    axes.axvline(1, color=INK, linewidth=1)
    axes.set_yticks(range(len(rows)), [row.operation.title for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(min(0.5, min(seen) / 1.9), max(2.0, max(seen) * 1.7))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}x"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    for mark, name in zip(PEERS, used, strict=False):
        axes.plot([], [], mark, color=PEERS[mark], markersize=6, linestyle="", label=name)
    if used:
        figure.legend(loc="outside lower center", ncols=len(used), frameon=False, fontsize=9)


def _memory(outcome: Outcome, figure: Figure) -> None:
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    held = outcome.memory
    kinds = {name: outcome.room.kind(name) for name in held}
    rows = bool(outcome.room.footprints)
    alone = len(_names(outcome, "native")) == 1

    def bytes_of(name: str) -> float:
        resident = held[name].resident
        return (held[name].traced or 0.0) if resident is None else resident

    names = sorted(held, key=bytes_of)
    labels = [_shown(name, kinds[name], alone and not rows) for name in names]
    colors = [KINDS[kinds[name]] for name in names]
    collects = [max(held[n].collect_ms - held[n].collect_before_ms, 0.0) for n in names]
    for axes, values, form in (
        (left, [bytes_of(name) for name in names], "{:.1f} B" if rows else "{:.0f} B"),
        (right, collects, "{:.1f} ms"),
    ):
        bare(axes)
        axes.barh(range(len(names)), values, height=0.62, color=colors)
        for at, value in enumerate(values):
            axes.annotate(
                form.format(value), (value, at), xytext=(5, 0), textcoords="offset points",
                va="center", fontsize=9, fontweight="bold",
            )  # fmt: skip
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, max(*values, 0.001) * 1.22)
    left.set_yticks(range(len(names)), labels)
    right.set_yticks([])
    left.set_title("bytes each", fontsize=10, loc="left", color="#52606d")
    right.set_title("gc.collect() adds", fontsize=10, loc="left", color="#52606d")


def _shown(name: str, kind: Kind, alone: bool) -> str:
    """How an implementation is called; `alone` is the only native one of its room."""
    if kind in ("native", "pure") and not alone:
        return name
    names = {"native": "native", "pure": "pure twin"}
    return names.get(kind, "__slots__" if name == "slots" else name)


# ------------------------------------------------------------------------------------------ table


def _table(outcome: Outcome) -> str:
    measured = [item for item in outcome.implementations if not outcome.unmeasured(item)]
    names = [(item.name, item.kind) for item in measured]
    alone = len(_names(outcome, "native")) == 1
    head = "".join(
        f'<th class="{kind}">{html.escape(_shown(name, kind, alone))}</th>' for name, kind in names
    )
    lines = [f"<tr><th>operation</th>{head}</tr>"]
    for row in outcome.rows:
        cells = f"<td>{html.escape(row.operation.title)}</td>"
        if row.mismatch:
            text = html.escape(f"results differ: {row.mismatch}")
            cells += f'<td class="bad" colspan="{len(names)}">{text}</td>'
        else:
            for name, kind in names:
                timing = row.timings.get(name)
                text = report.number(timing.spread.median) if timing else ""
                cells += f'<td class="{kind}">{text}</td>'
        lines.append(f"<tr>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"
