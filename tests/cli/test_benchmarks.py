"""`python -m benchmarks`: figures taken from a run, and the pages they are written to."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import source
from ferrule.cli import registry

source.need_tree()


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(source.ROOT)
    return importlib.import_module("benchmarks.bars")


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(source.ROOT)
    pytest.importorskip("rich")
    return importlib.import_module("benchmarks.__main__")


def memory(traced: float | None, instances: int = 1_000_000) -> dict[str, Any]:
    return {"traced": traced, "resident": traced, "instances": instances,
            "collect_ms": 12.0, "collect_before_ms": 2.0}  # fmt: skip


def run_of(room: registry.Room) -> dict[str, Any]:
    """A run in which the n-th implementation takes n * 100 ns, and n * 10 bytes."""
    names = [item.name for item in room.implementations]
    return {
        "room": room.name,
        "operations": [
            {
                "name": item.name,
                "equal": True,
                "rows": None,
                "timings": {
                    one.name: {"rounds": [100.0 * at, 100.0 * at + 10, 100.0 * at]}
                    for at, one in enumerate(room.implementations, 1)
                    if item.code(one) is not None
                },
            }
            for item in room.operations
        ],
        "memory": {
            item.name: memory(10.0 * (names.index(item.implementation) + 1))
            for item in room.footprints
        },
        "startup_ms": {name: [1.0] for name in room.startup},
    }


def test_difference(bars: ModuleType) -> None:
    timings = {"a": {"rounds": [5.0, 9.0, 7.0]}, "b": {"rounds": [4.0, 5.0, 9.0]}}
    run = {"operations": [{"name": "x", "timings": timings}], "memory": {}}
    assert bars.Difference("x", "a", "b").of(run).median == 1.0
    with pytest.raises(bars.Missing, match="x of c"):
        bars.Difference("x", "a", "c").of(run)


def test_bytes(bars: ModuleType) -> None:
    run = {"memory": {"a": memory(128.0), "b": memory(256.0), "c": memory(None),
                      "d": memory(1.0, 1000)}}  # fmt: skip
    assert bars.Bytes("a", "b").of(run).median == 0.5
    for other, wanted in (("c", "traced"), ("d", "1,000 instances only"), ("e", "memory of e")):
        with pytest.raises(bars.Missing, match=wanted):
            bars.Bytes("a", other).of(run)


@pytest.mark.parametrize("area", ["records", "lifetime", "calls", "compute", "validation", "wire"])
def test_bars_name_what_there_is(program: ModuleType, area: str) -> None:
    """Every figure can be taken from a run that has everything."""
    for module in program._modules(area):
        names = {item.name for item in module.ROOM.operations}
        known = {item.name for item in module.ROOM.implementations}
        held = {item.name for item in module.ROOM.footprints}
        for item in (*module.BARS, *getattr(module, "COSTS", ())):
            figure = getattr(item, "figure", None) or item.time
            for part in ("operation", "below"):
                assert getattr(figure, part, "") in {*names, ""}, item.title
            for part in ("over", "under", "implementation"):
                assert getattr(figure, part, "") in {*known, *held, ""}, item.title
            assert getattr(item, "held", "") in {*held, ""}


def test_report(program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One table for each room in the README, one of costs on the page."""
    environment = {"implementation": "CPython", "python": "3.13.0", "pgo": False, "cpu": "one",
                   "date": "2026-01-01T00:00"}  # fmt: skip
    rooms = [run_of(room) for room in registry.tables("lifetime", [])]
    data = {"environment": environment, "settings": {"rounds": 3}, "rooms": rooms}
    (tmp_path / "lifetime-3.13.json").write_text(json.dumps(data))
    monkeypatch.setattr(program, "RESULTS", tmp_path)
    readme, page = tmp_path / "README.md", tmp_path / "docs" / "cleanup.md"
    page.parent.mkdir()
    readme.write_text("a\n<!-- bench:lifetime -->\n<!-- /bench -->\nb\n")
    page.write_text("c\n<!-- costs:lifetime -->\n<!-- /costs -->\nd\n")
    given = ["report", "lifetime", f"--readme={readme}"]
    assert program.main([*given, "--check"]) == 1
    assert program.main(given) == 0 and program.main([*given, "--check"]) == 0
    text = readme.read_text()
    assert "| create, dies | 300 ns | 0.67x | 0.33x | 1.33x |" in text
    assert "| bytes each of 1,000,000 clean-ups | 30 | 20 | 10 |  |" in text
    assert "| bytes each of 1,000,000 clean-ups, 1 and a keyword | 30 | 20 | 10 |  |" in text
    assert "| what these add to `gc.collect()` | 10.0 ms | 10.0 ms | 10.0 ms |  |" in text
    assert text.startswith("a\n") and text.endswith("\nb\n")
    text = page.read_text()
    assert "|  | ns, 3.13 | bytes |" in text and "| `finalize`, runs | -100 | 30 |" in text
    assert text.startswith("c\n") and text.endswith("\nd\n")
    readme.write_text("nothing")
    with pytest.raises(SystemExit, match="bench:lifetime"):
        program.main(given)
