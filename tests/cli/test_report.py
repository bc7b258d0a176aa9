"""Figures, the page and the stored run of `ferrule compare`."""

from __future__ import annotations

import html.parser
import json
import math
from pathlib import Path

import pytest

from ferrule.cli import measure, registry
from ferrule.cli.load import Readings
from ferrule.cli.measure import Memory, Spread, Timing

report = pytest.importorskip("ferrule.cli.report", reason="needs rich")
compare = pytest.importorskip("ferrule.cli.compare", reason="needs rich")


def timing(*rounds: float) -> Timing:
    return Timing(rounds, 10, 4, min(rounds))


def outcome() -> compare.Outcome:  # type: ignore[name-defined]
    """A room in which native is twice as fast as its twin and one row differs."""
    room = registry.room("records")
    able = [room.implementation(name) for name in ("pure", "slots", "ferrule", "msgspec")]
    rows = []
    for at, operation in enumerate(room.operations):
        row = compare.Row(operation)
        if at == 3:
            row.mismatch = "reading 1: pure gives 1 & <b>, ferrule gives 2"
        else:
            row.timings = {
                "pure": timing(20.0, 22.0, 24.0),
                "ferrule": timing(10.0, 11.0, 12.0),
                "slots": timing(5.0, 5.5, 6.0),
            }
            if at != 4:
                row.timings["msgspec"] = timing(7.0, 8.0, 9.0)
        rows.append(row)
    made = compare.Outcome(room, able, {"attrs": "attrs is not installed"}, rows, 1000)
    for name, size in (("pure", 131.0), ("slots", 136.0), ("ferrule", 56.0), ("msgspec", 120.0)):
        made.memory[name] = Memory(1000, size, size - 10, 56, 1.0, 2.0, 3.0, 2.0 + size / 10)
    made.startup = {"pure": [30.0, 31.0], "ferrule": [2.0, 2.5]}
    return made


def containers() -> compare.Outcome:  # type: ignore[name-defined]
    """A room with two native implementations and rows that not all of them have."""
    (room,) = registry.tables("records", [])[1:]
    able = [room.implementation(name) for name in ("slots", "array", "table", "pure array")]
    rows = [compare.Row(operation) for operation in room.operations]
    for row in rows:
        row.timings = {"array": timing(10.0, 11.0), "table": timing(40.0, 44.0)}
        if row.operation.code(able[0]) is not None:
            row.timings["slots"] = timing(20.0, 22.0)
    made = compare.Outcome(room, able, {}, rows, 1000)
    for name, size in (("slots", 136.0), ("array", 24.04), ("table, appended", 17.02)):
        made.memory[name] = Memory(1000, size, None, None, 1.0, 2.0, None, 2.0 + size / 10)
    return made


def document(tmp_path: Path) -> tuple[object, dict[str, object]]:
    made = outcome()
    readings = Readings([(1, 2.0, "C"), (3, 4.0, "C")], "a <file>.csv", ("a & note",))
    settings = compare.Settings.of(3, True)
    return made, compare.document([made], readings, settings)


def test_spread_and_ratio() -> None:
    assert measure.spread([3.0]) == Spread(3.0, 3.0, 3.0)
    assert measure.spread(list(range(101))) == Spread(50, 10, 90)
    assert measure.ratio(timing(4.0, 9.0), timing(2.0, 3.0)).median == 2.5
    assert measure.ratio(timing(4.0), timing(0.0)).median == math.inf


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(4.321, "4.32 ns"), (43.21, "43.2 ns"), (432.1, "432 ns"), (4321.0, "4.32 us"),
     (4.3e6, "4.30 ms"), (4.3e9, "4.30 s"), (0.0, "0.00 ns"), (-0.02, "-0.020 ns")],
)  # fmt: skip
def test_number(value: float, wanted: str) -> None:
    assert report.number(value) == wanted


def test_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, data = document(tmp_path)
    report.show(made, data)
    text = capsys.readouterr().out
    assert "2.00x (2.00 to 2.00)" in text
    assert "results differ" in text
    assert "reading 1: pure gives 1 & <b>, ferrule gives 2" in text
    assert "attrs: not measured, attrs is not installed" in text
    assert "8.00 ns msgspec" in text
    assert "56.0" in text


def test_containers_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, data = document(tmp_path)
    report.show(containers(), data)
    text = capsys.readouterr().out
    assert "Arrays and tables: time of one operation over 1,000 readings" in text
    assert "slots / array" in text and "slots / table" in text
    assert "2.00x" in text and "0.50x" in text
    assert "pure array: results compared, not timed" in text
    assert "1,000 rows" in text and "17.0" in text and "getsizeof" not in text


def test_stored_run(tmp_path: Path) -> None:
    made, data = document(tmp_path)
    made.rows[0].timings["pure"] = timing(math.inf, 1.0)  # type: ignore[attr-defined]
    data["rooms"] = [made.to_json()]  # type: ignore[attr-defined]
    path = tmp_path / "deep" / "run.json"
    compare.write_json(path, data)
    assert not list(path.parent.glob("*.part"))
    text = path.read_text(encoding="utf-8")
    assert "Infinity" not in text and "NaN" not in text
    stored = json.loads(text)
    assert stored["schema"] == 1
    assert {"python", "pgo", "cpu", "libraries", "date"} <= set(stored["environment"])
    assert stored["settings"]["seed"] == measure.SEED
    row = stored["rooms"][0]["operations"][1]
    assert row["timings"]["ferrule"]["rounds"] == [10.0, 11.0, 12.0]
    assert row["statements"]["ferrule"] == "SensorReading(timestamp=t, value=v, unit=u)"
    assert stored["rooms"][0]["operations"][3]["equal"] is False


class Links(html.parser.HTMLParser):
    """Everything in a page that a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.plots = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.plots += tag == "svg"
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data") and value and value[0] != "#":
                self.found.append(value)
        if tag in ("script", "link", "iframe"):
            self.found.append(tag)


def test_page_of_containers(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = pytest.importorskip("ferrule.cli.page")
    made, data = containers(), document(tmp_path)[1]
    text = page.render([made], data)
    assert "Speed of array against a list of __slots__ objects" in text
    assert "Speed of table against a list of __slots__ objects" in text
    assert "What 1,000 rows cost" in text and "Containers hold 1,000 readings." in text
    assert "append to array against __slots__" in text
    assert "24 bytes" in text and "pure array" not in text


def test_page_stands_alone(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = pytest.importorskip("ferrule.cli.page")
    made, data = document(tmp_path)
    path = tmp_path / "page.html"
    page.write(path, [made], data)
    text = path.read_text(encoding="utf-8")
    links = Links()
    links.feed(text)
    assert links.found == []
    assert links.plots == 3
    assert "url(http" not in text and "@import" not in text and "<!DOCTYPE svg" not in text
    assert "a &lt;file&gt;.csv" in text and "a &amp; note" in text
    assert "1 &amp; &lt;b&gt;" in text
    assert list(tmp_path.iterdir()) == [path]
