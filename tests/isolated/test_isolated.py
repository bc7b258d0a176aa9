"""Scripts that need a process of their own: exit 0 is a pass, 77 a skip, the rest a failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted(Path(__file__).parent.glob("[!_]*.py"))


@pytest.mark.parametrize(
    "script", [path for path in SCRIPTS if not path.name.startswith("test_")], ids=lambda p: p.stem
)
def test_script_ends_well(script: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error", str(script)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.stderr == ""
