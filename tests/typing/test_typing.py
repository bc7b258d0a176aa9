"""The examples beside this file, under mypy and pyright as strict as they get."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from source import ROOT

pytestmark = pytest.mark.slow

EXAMPLES = sorted(str(path) for path in Path(__file__).parent.glob("*_*use.py"))
#: With the tree at hand its own stubs count, else those of the installed package.
STUBS = [str(ROOT / "python")] if (ROOT / "python").is_dir() else []


def check(module: str, *arguments: str, **variables: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy(tmp_path: Path) -> None:
    strict = ("--strict", "--warn-unreachable", "--python-version", "3.11", "--config-file=")
    check("mypy", *strict, f"--cache-dir={tmp_path}", *EXAMPLES, MYPYPATH=os.pathsep.join(STUBS))


def test_pyright(tmp_path: Path) -> None:
    config = tmp_path / "pyrightconfig.json"
    settings = {
        "include": EXAMPLES,
        "extraPaths": STUBS,
        "pythonVersion": "3.11",
        "typeCheckingMode": "strict",
        "enableTypeIgnoreComments": False,
        "reportUnnecessaryTypeIgnoreComment": "error",
        "reportUnusedExpression": "none",
    }
    config.write_text(json.dumps(settings), encoding="utf-8")
    check("pyright", "--project", str(config), "--pythonpath", sys.executable)
