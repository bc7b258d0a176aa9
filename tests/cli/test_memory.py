"""`ferrule memory`: the table, the documents, watching, and what cannot be shown."""

from __future__ import annotations

import html.parser
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ferrule.cli import main as command

memory = pytest.importorskip("ferrule.cli.memory", reason="needs rich")

#: A process with two children and a grandchild.
TREE = """
import os, sys, time
block = bytearray(os.urandom(1 << 20)) * 8
def below(then):
    if os.fork() == 0:
        then()
        os.write(1, b".")
        while True:
            time.sleep(100)
below(lambda: None)
below(lambda: below(lambda: None))
sys.stdin.read()
os.killpg(0, 9)
"""


@pytest.fixture(scope="module")
def tree() -> Iterator[int]:
    """The number of such a process; its last argument is "[bold]$x$ <i> é"."""
    process = subprocess.Popen(
        [sys.executable, "-c", TREE, "a\nb\x1b[31m", "[bold]$x$ <i> é"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.read(1) == b"."
    yield process.pid
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = command.main(["memory", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def sample(*sizes: int | None, command: str = "worker") -> Any:
    """A sample of a root and its children; None: not permitted."""
    usage = memory._room().Usage
    processes = [
        memory.Process(
            10 + i,
            10 if i else None,
            int(i > 0),
            command,
            None if size is None else usage(size, size, size * 2, size * 3, size // 2),
        )
        for i, size in enumerate(sizes)
    ]
    total = memory._room().total(process.usage for process in processes if process.usage)
    return memory.Sample("2026-01-01T00:00:00.000+00:00", 0.0, processes, total)


# --------------------------------------------------------------------------------------- the table


def test_a_tree(tree: int, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, tree)
    assert (status, err) == (0, "")
    rows = [line for line in out.splitlines() if re.match(r" *\d+ ", line)]
    assert len(rows) == 4 and rows[0].split()[0] == str(tree)
    assert "private  shared" in out and "total of 4" in out
    # parents stand above their children, which stand further in
    depths = sorted(len(re.match(r" *\d+( +)", row)[1]) for row in rows)  # type: ignore[index]
    assert [depth - depths[0] for depth in depths] == [0, 2, 2, 4]


def test_one_process(tree: int, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, tree, "--no-tree")
    assert status == 0 and "total" not in out
    assert len(re.findall(rf"^ *{tree} ", out, re.MULTILINE)) == 1


def test_commands_are_shown_as_they_are(tree: int) -> None:
    shown = memory.command_of(tree)
    assert shown.endswith(" a?b?[31m [bold]$x$ <i> é") and "\n" not in shown
    assert memory.command_of(2**31 - 1) == ""


def test_commands_without_arguments(tmp_path: Path) -> None:
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / "cmdline").write_bytes(b"")
    (tmp_path / "5" / "comm").write_bytes(b"a thread\n")
    assert memory.command_of(5, str(tmp_path)) == "[a thread]"
    (tmp_path / "5" / "cmdline").write_bytes(b"a\0\xff\0")
    assert memory.command_of(5, str(tmp_path)) == "a \ufffd"


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (0, "0.0"),
        (4096, "0.004"),
        (1 << 20, "1.0"),
        (1_572_864, "1.5"),
        (5_000 << 20, "5,000.0"),
    ],
)
def test_sizes(size: int, wanted: str) -> None:
    assert memory.mib(size) == wanted


def test_processes_that_are_not_ours(capsys: pytest.CaptureFixture[str]) -> None:
    memory.show(sample(1 << 20, None, 3 << 20))
    out = capsys.readouterr().out
    assert "not permitted" in out and "total of 2" in out
    assert "not permitted to read 1 process\n" in out


def test_a_child_that_is_not_ours(tree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    room = memory._room()
    real = room.usage

    def usage(pid: int) -> Any:
        if pid != tree:
            raise PermissionError(13, "no")
        return real(pid)

    monkeypatch.setattr(room, "usage", usage)
    found = memory.look(tree, tree=True)
    assert found.hidden == 3 and len(found.processes) == 4
    assert found.total.private == found.processes[0].usage.private


def test_a_child_that_has_ended(tree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is below it is shown at the first level, with its parent's number."""
    room = memory._room()
    real = room.usage
    family = dict(room.family(tree))
    (inner,) = {parent for parent in family.values() if parent not in (None, tree)}

    def usage(pid: int) -> Any:
        if pid == inner:
            raise ProcessLookupError
        return real(pid)

    monkeypatch.setattr(room, "usage", usage)
    found = memory.look(tree, tree=True)
    assert {process.pid for process in found.processes} == set(family) - {inner}
    assert [process.depth for process in found.processes] == [0, 1, 1]


# --------------------------------------------------------------------------------------- documents


def test_json(tree: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "memory.json"
    status, out, _ = run(capsys, tree, "--json", path)
    assert status == 0 and f"wrote {path}" in out
    data = json.loads(path.read_text())
    assert (data["command"], data["pid"], data["tree"], data["unit"]) == (
        "memory", tree, True, "bytes"
    )  # fmt: skip
    (one,) = data["samples"]
    processes = one["processes"]
    assert len(processes) == 4 and processes[0]["parent"] is None
    assert {process["parent"] for process in processes[1:]} <= {p["pid"] for p in processes}
    for name in ("private", "pss", "rss", "swap"):
        assert one["total"][name] == sum(process["usage"][name] for process in processes)
    assert one["total"]["shared"] == one["total"]["pss"] - one["total"]["private"]
    assert list(tmp_path.rglob("*.part")) == []


def test_html(tree: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "memory.html"
    status, out, _ = run(
        capsys, tree, "--html", path, "--watch", "0.01", "--count", "3", "--json", tmp_path / "j"
    )
    assert status == 0 and f"wrote {path}" in out and out.count("total of 4") == 3
    assert len(json.loads((tmp_path / "j").read_text())["samples"]) == 3
    text = path.read_text()
    check_page(text)
    assert text.count("<svg") == 2 and "Over time" in text and "3 samples" in text
    assert "[bold]$x$ &lt;i&gt; é" in text and "<i>" not in text


def check_page(text: str) -> None:
    """Well-formed, and nothing in it leads to the network."""

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            assert tag not in ("script", "link", "img", "iframe")
            for name, value in attributes:
                if name in ("src", "href", "xlink:href"):
                    assert value is not None and value.startswith("#")

    Parser().feed(text)
    assert text.startswith("<!DOCTYPE html>") and "url(http" not in text and "@import" not in text


def test_page_of_one_process() -> None:
    pytest.importorskip("matplotlib")
    page = importlib.import_module("ferrule.cli.memory_page")
    text = page.render(memory.Watch(10, False, [sample(1 << 20)]))
    check_page(text)
    assert text.count("<svg") == 1 and "total" not in text.partition("<table>")[2]


def test_page_of_many_processes() -> None:
    pytest.importorskip("matplotlib")
    page = importlib.import_module("ferrule.cli.memory_page")
    sizes = [i << 20 for i in range(1, 60)]
    made = sample(*sizes, None, command="/bin/$a$ 漢字 " + "x" * 100)
    text = page.render(memory.Watch(10, True, [made]))
    check_page(text)
    assert "The largest 40 of 59 processes." in text and "not permitted" in text


# ---------------------------------------------------------------------------------------- watching


def test_watching_ends_with_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        seen = 0

        def look(pid: int, **options: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == 3:
                process.kill()
                process.wait()
            return real(pid, **options)

        real = memory.look
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory, "look", look)
            status, out, _ = run(capsys, process.pid, "--watch", "0.01")
    assert status == 0 and out.count("Memory in MiB") == 2
    assert f"process {process.pid} has ended" in out


def test_interrupted(tree: int, tmp_path: Path) -> None:
    """Ctrl-C ends watching; what was seen is written."""
    path = tmp_path / "seen.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-m", "ferrule", "memory", str(tree), "--watch", "0.05", "--json", path],
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env={**environment, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "total of 4" in line:
                break
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait() == 0
    assert "stopped" in rest and json.loads(path.read_text())["samples"]


# ------------------------------------------------------------------------------------------ errors


def test_no_such_process(capsys: pytest.CaptureFixture[str]) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    for pid in (process.pid, 2**40):
        status, out, err = run(capsys, pid)
        assert (status, out) == (2, "")
        assert err == (
            f"ferrule: process {pid} does not exist, or has no memory: it has ended, or is the "
            "kernel's own\n"
        )


def test_not_permitted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def usage(pid: int) -> Any:
        raise PermissionError(13, "no")

    monkeypatch.setattr(memory._room(), "usage", usage)
    status, out, err = run(capsys, 5)
    assert (status, out) == (2, "")
    assert err == (
        "ferrule: not permitted to read the memory of process 5: run as its owner or as root\n"
    )


def test_elsewhere(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "plan9")
    for name in [name for name in sys.modules if name.startswith("ferrule.memory")]:
        monkeypatch.delitem(sys.modules, name)
    status, _, err = run(capsys, os.getpid())
    assert status == 2
    assert err == (
        "ferrule: ferrule.memory needs Linux: it reads /proc/<pid>/smaps_rollup, and this is "
        "plan9\n"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "required: PID"),
        (("x",), "argument PID: wanted a whole number above 0, got 'x'"),
        (("0",), "argument PID: wanted a whole number above 0, got '0'"),
        (("1", "--watch", "0"), "argument --watch: wanted seconds above 0, got '0'"),
        (("1", "--watch", "nan"), "argument --watch: wanted seconds above 0, got 'nan'"),
        (("1", "--watch", "1", "--count", "0"), "argument --count: wanted a whole number above 0"),
    ],
)
def test_arguments(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], text: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["memory", *arguments])
    assert caught.value.code == 2 and text in capsys.readouterr().err


def test_count_needs_watch(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, os.getpid(), "--count", "3")
    assert (status, out, err) == (2, "", "ferrule: --count needs --watch\n")


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_a_file_that_cannot_be_written(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if option == "--html" and importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    (tmp_path / "taken").write_text("")
    status, _, err = run(capsys, os.getpid(), option, tmp_path / "taken" / "file")
    assert status == 2 and err.startswith(f"ferrule: {tmp_path}/taken")


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [("rich", (), "cli"), ("matplotlib", ("--html", "x.html"), "compare")],
)
def test_missing_libraries(
    module: str,
    arguments: tuple[str, ...],
    extra: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    status, out, err = run(capsys, os.getpid(), *arguments)
    assert (status, out) == (2, "")
    assert err == f'ferrule: {module} is not installed: pip install "ferrule[{extra}]"\n'
