"""The examples of docs/prefork.md do what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import services
import source
from memory.processes import SECONDS, Program, environment

source.need_tree()

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks"),
]

PAGE = source.read(source.ROOT / "docs" / "prefork.md")
BLOCKS = re.findall(r"^```python\n# ([^\n]+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
CONFIGURATIONS = [code for title, code in BLOCKS if title == "gunicorn.conf.py"]


def test_every_block_says_where_it_belongs() -> None:
    assert len(BLOCKS) == PAGE.count("```python")
    assert len(CONFIGURATIONS) == 2


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_gunicorn(tmp_path: Path, configuration: str) -> None:
    services.library("gunicorn")
    own = f"control_socket = {str(tmp_path / 'control')!r}\n"
    (tmp_path / "gunicorn.conf.py").write_text(own + configuration, encoding="utf-8")
    arguments = "-m gunicorn -b 127.0.0.1:0 -w 2 web:app"
    with Program(arguments.split(), tmp_path, {"RECORDS": "10"}) as server:
        server.expect(r"Booting worker", times=2)
        server.expect(r"\[INFO\] ferrule\.memory: .*objects frozen")
        assert server.stop() == 0


def test_multiprocessing(tmp_path: Path) -> None:
    (code,) = (code for title, code in BLOCKS if title == "rates.py")
    (tmp_path / "rates.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "rates.py"],
        cwd=tmp_path,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    report, *_, total = done.stdout.splitlines()
    assert "objects" in report
    assert float(total) == pytest.approx(100 * sum(number / 7 for number in range(100_000)))


def test_celery(tmp_path: Path) -> None:
    """Only that it can be imported: the page's broker is somebody else's."""
    services.library("celery")
    (code,) = (code for title, code in BLOCKS if title == "the module of the app")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment({}), capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
