"""`ferrule compare`: the command line, the comparison of results, the timed loops."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ferrule.cli import drain, measure, registry
from ferrule.cli import main as command
from ferrule.cli.load import sample
from ferrule.cli.registry import Implementation, Mismatch, Operation, Room
from ferrule.cli.rooms import (
    calls,
    calls_cache,
    compute,
    containers,
    lifetime,
    lifetime_asyncgen,
    lifetime_weak,
    records,
    validation,
    wire,
)

ROWS = sample(60).rows
ROOMS = (
    *(records.ROOM, containers.ROOM),
    *(lifetime.ROOM, lifetime_weak.ROOM, lifetime_asyncgen.ROOM),
    *(calls.ROOM, *calls.parts(()), compute.ROOM),
    *(validation.ROOM, *validation.parts(())),
    *(wire.ROOM, *wire.parts(())),
)
#: Operations whose loop runs over values of their own, and how many these are.
OWN_LOOPS = {
    ("cache", "evict"): calls_cache.EVICTED,
    **{("regex", "nested"): 1, ("regex", "make"): 16},
    **{
        ("view", f"half of {name}"): 16
        for name in ("bytes", "bytearray", "mmap", "NumPy", "shared memory")
    },
    **{("email", "wide"): 32, ("email", "idna"): 32, ("checked", "decorate"): 16},
}
CASES = [(room, item) for room in ROOMS for item in room.operations]


def operation(statement: str, loop: str, outcome: str = "result", **more: Any) -> Operation:
    def setup(namespace: dict[str, Any], rows: Any) -> None:
        namespace["rows"] = rows

    return Operation("test", "records", "test", statement, loop, outcome, setup, **more)


def implementation(name: str, source: str) -> Implementation:
    return Implementation(name, "peer", "", source)


# ------------------------------------------------------------------------------------- the registry


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BULK", 200)


def needed(item: Operation) -> None:
    for library in item.needs:
        if why := registry.absent(library):
            pytest.skip(why)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("room", "item"), CASES, ids=lambda item: item.name)
def test_all_implementations_agree(room: Room, item: Operation) -> None:
    needed(item)
    able = [one for one in room.implementations if not one.missing()]
    registry.check(item, able, ROWS)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("room", "item"), CASES, ids=lambda item: item.name)
def test_every_case_runs(room: Room, item: Operation) -> None:
    needed(item)
    for one in room.implementations:
        if one.missing() or (case := registry.build(item, one, ROWS)) is None:
            continue
        assert case.run(2) > 0
        assert case.run_empty(2) >= 0
        once = item.loop in ("", lifetime_weak.ONCE) or item.loop.endswith(",)")
        over = 1 if once else OWN_LOOPS.get((room.name, item.name), len(ROWS))
        assert case.executions == item.repeat * item.batch * over


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_names_are_unique_and_point_at_something(room: Room) -> None:
    names = [item.name for item in room.operations]
    assert len(set(names)) == len(names)
    known = {item.name for item in room.implementations}
    for item in room.operations:
        assert {*item.instead, *item.outcome_instead, *item.before_instead} <= known
    assert set(room.startup) | room.untimed <= known
    assert {*room.instance, room.headline[0]} <= set(names)
    assert room.baseline in known
    held = [item.name for item in room.footprints]
    assert len(set(held)) == len(held)
    assert {item.implementation for item in room.footprints} <= known


def test_operations_of_one_family_are_measured_alike() -> None:
    """Bars divide rounds of one operation by those of another of its family."""
    for room in ROOMS:
        ways: dict[str, set[tuple[bool, bool]]] = {}
        for item in room.operations:
            ways.setdefault(item.family or item.name, set()).add((item.bulk, item.filled))
        assert [family for family, found in ways.items() if len(found) > 1] == []


def test_a_long_unit_finds_its_place() -> None:
    unit = "°C, daily mean"
    (room,) = containers.parts([(1, 2.0, unit), (2, 3.0, "")])
    array = room.implementation("array").load()
    made = array["filled"]([1], [2.0], [unit])
    assert made.itemsize == 8 + 8 + 16 and array["contents"](made) == [(1, 2.0, unit)]
    (room,) = containers.parts(ROWS)
    assert (
        room.implementation("array").definition
        == containers.ROOM.implementation("array").definition
    )


def test_what_runs_before_is_not_in_the_time() -> None:
    item = operation(
        "kept.append(1)", "for t, v, u in rows", before="sleep(); kept = []; passes_of.append(kept)"
    )
    one = implementation("one", "passes_of = []\ndef sleep():\n    for _ in range(20_000): pass\n")
    case = registry.build(item, one, ROWS)
    assert case is not None
    start = time.process_time_ns()
    inside = case.run(5)
    whole = time.process_time_ns() - start
    assert inside < whole / 2
    module = sys.modules[f"ferrule_compare_{next(registry._serial) - 1}"]
    lengths = [len(kept) for kept in module.__dict__["passes_of"]]
    assert lengths == [4 * len(ROWS)] * 5


def test_a_missing_library_takes_its_operations_away(monkeypatch: pytest.MonkeyPatch) -> None:
    compare = pytest.importorskip("ferrule.cli.compare", reason="needs rich")
    monkeypatch.setattr(registry, "absent", lambda name: f"{name} is not installed")
    skipped: dict[str, str] = {}
    left = compare._operations(containers.ROOM, skipped)
    assert [item for item in left if item.needs] == []
    assert {"from_columns", "sort", "arrow_stream"} <= {item.name for item in left}
    assert set(skipped) == {"duckdb", "nanoarrow", "numpy", "polars", "pyarrow"}


def test_absent() -> None:
    assert registry.absent("json") == ""
    assert registry.absent("no_such_module_anywhere") == (
        "no_such_module_anywhere is not installed"
    )


def test_drain_asks_as_a_consumer_does() -> None:
    made = containers.ROOM.implementation("table").load()["filled"]([1, 2], [3.0, 4.0], ["a", "b"])
    asked = drain.Asked(made)
    assert (drain.stream(asked), drain.array(asked), drain.schema(asked)) == (2, 2, 3)
    assert asked.calls == [drain.stream, drain.array, drain.schema]
    drain.again(asked.calls, made)
    assert len(drain.addresses(made, 1)) == made.chunk_count == 1
    assert drain.addresses(made, 1) == drain.addresses(made[:1], 1) != drain.addresses(made, 0)


def test_a_difference_shows_both_values() -> None:
    one, two = (implementation(n, f"def f(t): return t + {k}") for n, k in (("one", 0), ("two", 1)))
    with pytest.raises(Mismatch, match=r"reading 1: one gives -371174400, two gives -371174399"):
        registry.check(operation("f(t)", "for t, v, u in rows"), [one, two], ROWS)


def test_an_exception_is_a_difference() -> None:
    bad = implementation("bad", "def f(t): raise ValueError('no')")
    with pytest.raises(Mismatch, match="bad raised ValueError: no"):
        registry.check(operation("f(t)", "for t, v, u in rows"), [bad], ROWS)


def test_lists_are_compared_item_by_item() -> None:
    one, two = (
        implementation(n, f"def f(r): return [0, {k}]") for n, k in (("one", 0), ("two", 1))
    )
    with pytest.raises(Mismatch, match=r"reading 2: one gives 0, two gives 1"):
        registry.check(operation("f(rows)", ""), [one, two], ROWS)


def test_results_are_compared_on_all_readings_where_whole() -> None:
    long = sample().rows * 10
    assert len(long) > registry.CHECKED
    one = implementation("one", "def f(t, v): return (t, v)")
    item = operation("f(t, v)", "for t, v, u in rows", whole=True)
    found = registry.outcome(item, one, long)
    assert isinstance(found, list) and len(found) == len(long)
    registry.check(item, [one], long)


def test_the_statement_runs_as_often_as_it_says() -> None:
    calls = implementation("calls", "count = []\ndef f(t): count.append(t)")
    case = registry.build(operation("f(t)", "for t, v, u in rows", repeat=3), calls, ROWS)
    assert case is not None
    case.run(2)
    case.run_empty(5)
    module = sys.modules[f"ferrule_compare_{next(registry._serial) - 1}"]
    assert len(module.__dict__["count"]) == 2 * 3 * len(ROWS) == 2 * case.executions


def test_a_batch_counts_as_so_many() -> None:
    one = implementation("one", "def f(n):\n    for _ in range(n): pass")
    batch = registry.build(operation("f(500)", "", repeat=2, batch=500), one, ROWS)
    whole = registry.build(operation("f(500)", "", repeat=2), one, ROWS)
    assert batch is not None and whole is not None
    assert (batch.executions, whole.executions) == (1000, 2)


def test_rooms_have_names_of_their_own() -> None:
    found = [room for name in registry.ROOMS for room in registry.tables(name, ROWS)]
    assert [room.name for room in found] == [room.name for room in ROOMS]
    assert len({room.name for room in found}) == len(found)


def test_what_is_measured_stays_alive() -> None:
    """A loop's names are what keeps the objects of a weak dictionary."""
    probe = implementation(
        "probe",
        "from weakref import WeakValueDictionary\n"
        "made = []\n"
        "class Weak(WeakValueDictionary):\n"
        "    def __init__(self, *given):\n"
        "        super().__init__(*given)\n"
        "        made.append(self)\n" + lifetime_weak.WEAKREF.variants,
    )
    for item in lifetime_weak.OPERATIONS:
        case = registry.build(item, probe, ROWS)
        module = sys.modules[f"ferrule_compare_{next(registry._serial) - 1}"]
        assert case is not None and len(module.__dict__["made"]) == 1
        assert len(module.__dict__["made"][0]) >= len(ROWS) or "Thing()" in item.statement


def test_annotations_are_objects_not_text() -> None:
    """A future statement of the registry must not reach the measured classes."""
    loaded = records.NATIVE.load()
    assert loaded["SensorReading"].__annotations__["timestamp"] is loaded["i64"]


def test_spread_and_extend() -> None:
    assert registry.spread(ROWS, 100) == ROWS
    assert registry.spread(range(10), 5) == [0, 2, 4, 6, 8]  # type: ignore[arg-type]
    longer = list(registry.extend(ROWS, 200))
    assert longer[: len(ROWS)] == ROWS
    assert len({row[0] for row in longer}) == 200
    assert [row[0] for row in longer] == sorted(row[0] for row in longer)
    assert len({id(row[1]) for row in longer}) == 200
    edge = list(registry.extend([((1 << 63) - 2, 1.0, ""), (-(1 << 63), 1.0, "")], 9))
    assert all(-(1 << 63) <= row[0] < 1 << 63 for row in edge)
    for rows, count in ((ROWS, 200), (ROWS, 7), (ROWS, 60), (edge, 40)):
        columns = measure.columns(rows, count)
        assert list(zip(*columns, strict=True)) == list(registry.extend(rows, count))


# ---------------------------------------------------------------------------------------- measuring


def test_time_is_that_of_the_statement() -> None:
    slow = implementation("slow", "def f(t):\n    for _ in range(200): pass")
    fast = implementation("fast", "def f(t): pass")
    item = operation("f(t)", "for t, v, u in rows")
    cases = [case for one in (slow, fast) if (case := registry.build(item, one, ROWS))]
    timings = measure.interleave(cases, 5, round_ns=200_000)
    taken = {name: timing for (_, name), timing in timings.items()}
    assert all(len(timing.rounds) == 5 for timing in taken.values())
    assert measure.ratio(taken["slow"], taken["fast"]).median > 5


def test_calibration_is_not_fooled_by_one_slow_run() -> None:
    item = operation("t", "for t, v, u in rows")
    case = registry.build(item, implementation("none", ""), ROWS)
    assert case is not None
    waits = iter([50_000_000])

    def timed(n: int, clock: Callable[[], int], /) -> int:
        return next(waits, 1000 * n)

    assert measure.calibrate(replace(case, timed=timed), 2_000_000) == 2000


def test_the_collector_is_left_as_it_was() -> None:
    gc = measure.gc
    item = operation("t", "for t, v, u in rows")
    case = registry.build(item, implementation("none", ""), ROWS)
    assert case is not None
    for switch in (gc.disable, gc.enable):
        switch()
        before = gc.isenabled()
        measure.interleave([case], 2, round_ns=1000)
        assert gc.isenabled() is before


@pytest.mark.resident
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_of_slots() -> None:
    """The article's class: 40 bytes and the collector's 16, boxes of 24 and 32, a list slot."""
    found = measure.memory(records.ROOM, records.SLOTS, ROWS, 50_000)
    assert found.getsizeof == 56
    assert found.resident is not None and 110 < found.resident < 150
    assert 100 < found.traced < 140


@pytest.mark.resident
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_of_records() -> None:
    """No boxes: a header of 16 bytes, three fields, a list slot."""
    found = measure.memory(records.ROOM, records.NATIVE, ROWS, 50_000)
    assert found.resident is not None and found.resident < 70
    assert found.traced < 60


@pytest.mark.resident
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("name", "wanted"), [("slots", 136.0), ("array", 24.0), ("table", 17.0)])
def test_memory_of_containers(name: str, wanted: float) -> None:
    held = next(item for item in containers.FOOTPRINTS if item.name == name)
    one = containers.ROOM.implementation(name)
    found = measure.footprint(held, one, ROWS, 200_000)
    assert found.resident is not None and abs(found.resident - wanted) < 0.15 * wanted
    assert found.traced is None and found.getsizeof is None


def test_what_is_given_is_not_in_the_memory() -> None:
    one = implementation("one", "def blocks(n): return [bytes(967) for _ in range(n)]")
    held = registry.Footprint("one", "one", "blocks(len(given))", "blocks(len(times))", traced=True)
    found = measure.footprint(held, one, ROWS, 2000)
    assert found.traced is not None and 1000 <= found.traced < 1100
    assert measure.footprint(replace(held, traced=False), one, ROWS, 2000).traced is None


@pytest.mark.skipif(sys.flags.debug, reason="other sizes")
def test_memory_of_clean_ups() -> None:
    """112 bytes and the collector's 16, and a tuple where there are arguments."""
    held = next(item for item in lifetime.FOOTPRINTS if item.name == "ferrule")
    found = measure.footprint(held, lifetime.NATIVE, ROWS, 20_000)
    assert found.traced is not None and 112 <= found.traced < 150


def test_a_broken_child_is_an_error() -> None:
    with pytest.raises(OSError, match="a child process failed"):
        measure.startup({"none": "import no_such_module_anywhere"}, 1)


# ----------------------------------------------------------------------------------------- command


def test_unknown_room(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["compare", "record"])
    assert caught.value.code == 2
    assert (
        "unknown room 'record'; the rooms are: records, lifetime, calls" in capsys.readouterr().err
    )


@pytest.mark.parametrize("module", ["rich", "matplotlib"])
def test_missing_extra(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if module == "matplotlib":
        pytest.importorskip("rich")
    monkeypatch.setitem(sys.modules, module, None)
    page = tmp_path / "page.html"
    assert command.main(["compare", "--html", str(page)]) == 2
    text = capsys.readouterr().err
    assert text == f'ferrule: {module} is not installed: pip install "ferrule[compare]"\n'
    assert not page.exists()


def test_bad_input_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    path = tmp_path / "bad.csv"
    path.write_text("time,value\n1,2\nx,3\n")
    assert command.main(["compare", "--input", str(path)]) == 2
    text = capsys.readouterr().err
    assert text.startswith(f"ferrule: {path}, line 3: time: wanted Unix seconds")
    assert text.count("\n") == 1


@pytest.mark.parametrize("option", ["--rounds", "--limit"])
def test_numbers_must_be_positive(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("0", "-1", "many"):
        with pytest.raises(SystemExit) as caught:
            command.main(["compare", f"{option}={text}"])
        assert caught.value.code == 2
        assert f"wanted a whole number above 0, got {text!r}" in capsys.readouterr().err


def test_help_needs_no_extra() -> None:
    code = "import sys; sys.modules['rich'] = None; from ferrule.cli.main import main; main(['-h'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "compare" in done.stdout


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything the command does, on small numbers."""
    compare = pytest.importorskip("ferrule.cli.compare", reason="needs rich")
    monkeypatch.setattr(registry, "BULK", 200)
    monkeypatch.setattr(compare, "QUICK_INSTANCES", 2000)
    monkeypatch.setattr(compare, "QUICK_STARTUP_ROUNDS", 1)
    monkeypatch.setattr(measure, "QUICK_ROUND_NS", 20_000)
    monkeypatch.setattr(measure, "CALIBRATED_NS", 10_000)


@pytest.mark.usefixtures("small")
def test_the_whole_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "own.jsonl"
    lines = [json.dumps({"time": t, "value": v, "unit": u}) for t, v, u in ROWS]
    path.write_text("\n".join(lines))
    out = tmp_path / "run.json"
    given = ["compare", "records", "--quick", "--rounds=2", f"--input={path}", f"--json={out}"]
    start = time.time()
    assert command.main(given) == 0
    text = capsys.readouterr().out
    assert f"60 readings: {path}" in text
    assert "keys: timestamp from 'time', value from 'value', unit from 'unit'" in text
    assert "class definition" in text and f"wrote {out}" in text
    run = json.loads(out.read_text())
    assert out.stat().st_mtime >= start - 1
    assert run["input"]["readings"] == 60
    for row in run["rooms"][0]["operations"]:
        assert row["equal"], row["mismatch"]
        assert {"pure", "ferrule"} <= set(row["timings"])
    assert set(run["rooms"][0]["memory"]) == {"pure", "slots", "ferrule"}
    assert "array / slots" not in text and "slots / array" in text
    assert "pure array, pure table: results compared, not timed" in text
    second = run["rooms"][1]
    assert second["room"] == "containers"
    for row in second["operations"]:
        assert row["equal"], row["mismatch"]
        assert {"array", "table"} & set(row["timings"])
        assert set(row["timings"]) <= {"slots", "array", "table"}
        assert row["rows"] in (2000, None)
    assert {"slots", "array", "table", "table, unit as text"} <= set(second["memory"])


@pytest.mark.usefixtures("small")
def test_all_rooms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a room: every one, each with its own words."""
    short = replace(records.ROOM, operations=records.OPERATIONS[:2], parts=None)
    monkeypatch.setattr(records, "ROOM", short)
    few = [replace(room, footprints=room.footprints[1:3]) for room in ROOMS[2:5]]
    monkeypatch.setattr(lifetime, "ROOM", replace(few[0], parts=lambda rows: tuple(few[1:])))
    out, page = tmp_path / "run.json", tmp_path / "run.html"
    given = ["compare", "--quick", "--rounds=2", "--limit=60", f"--json={out}"]
    try:
        importlib.import_module("matplotlib")
        given.append(f"--html={page}")
    except ImportError:
        pass
    assert command.main(given) == 0
    text = capsys.readouterr().out
    assert "Records: 2,000 instances" in text and "Clean-ups: 2,000 clean-ups" in text
    assert "Weak dictionaries: 2,000 entries" in text and "no hooks" in text
    run = json.loads(out.read_text())
    assert [room["room"] for room in run["rooms"]] == [
        "records",
        "finalize",
        "weak_dict",
        "asyncgen",
        *(room.name for room in ROOMS[5:]),
    ]
    for room in run["rooms"][1:]:
        for row in room["operations"]:
            assert row["equal"], row["mismatch"]
            assert {"ferrule", "bare"} & set(row["timings"])
        assert all((item["traced"] or 0) >= 0 for item in room["memory"].values())
    assert set(run["rooms"][1]["startup_ms"]) == {"pure", "weakref", "ferrule"}
    if page.exists():
        shown = page.read_text()
        assert "What 2,000 clean-ups cost" in shown and "Speed against weakref" in shown
        assert "Speed against no clean-up" not in shown and "__weakref__" not in shown


@pytest.mark.usefixtures("small")
def test_a_difference_ends_its_row_and_the_status_is_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = replace(
        records.SLOTS, definition=records.SLOTS.definition.replace("= value", "= value + 1")
    )
    room = replace(
        records.ROOM,
        implementations=(records.PURE, wrong, records.NATIVE),
        operations=records.OPERATIONS[:4],
        parts=None,
    )
    monkeypatch.setattr(records, "ROOM", room)
    assert command.main(["compare", "records", "--quick", "--rounds=2"]) == 1
    text = capsys.readouterr().out
    wanted = "reading 1: pure gives (-371174400, 316.1, 'ppm'), slots gives (-371174400, 317.1,"
    assert "results differ create, positional: " in text and wanted in text
    assert "read, object field" in text


@pytest.mark.usefixtures("small")
def test_a_native_part_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ferrule.records", None)
    assert command.main(["compare", "--quick"]) == 2
    text = capsys.readouterr().err
    assert text.startswith("ferrule: cannot import ferrule.records: ") and text.count("\n") == 1


def test_an_unwritable_file_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    compare = pytest.importorskip("ferrule.cli.compare", reason="needs rich")

    def fail(*given: object, **more: object) -> int:
        (tmp_path / "no" / "run.json").write_text("")
        return 0

    monkeypatch.setattr(compare, "run", fail)
    assert command.main(["compare"]) == 2
    assert "run.json: No such file or directory" in capsys.readouterr().err
