"""CPython's own tests, imported before freeze(): the same outcome of each as without."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memory.frozen import FERRULE, IMMORTAL

#: Seconds each.
QUICK = """
test_dict test_set test_tuple test_class test_generators test_coroutines test_json test_collections
test_enum test_dataclasses test_contextlib test_finalization
""".split()
#: Part of the deep run.
LONG = """
test_list test_str test_unicode test_bytes test_descr test_weakref test_gc test_functools test_deque
test_ordered_dict test_memoryview test_structseq test_io test_typing test_code test_itertools
test_exceptions
""".split()
MODULES = [*QUICK, *(pytest.param(name, marks=pytest.mark.deep) for name in LONG)]

#: Module -> part of a test's name -> why its outcome may differ.
DEPARTURES: dict[str, dict[str, str]] = {}

PROGRAM = r"""
import importlib, io, json, os, sys, unittest

mode, name, result = sys.argv[1:]
sys.argv[1:] = []
import ferrule.memory

module = importlib.import_module(f"test.{name}")
suite = unittest.defaultTestLoader.loadTestsFromModule(module)
outcomes = {}

class Result(unittest.TestResult):
    def addSuccess(self, test): outcomes[test.id()] = "ok"
    def addFailure(self, test, error): outcomes[test.id()] = "fail"
    def addError(self, test, error): outcomes[test.id()] = "error"
    def addSkip(self, test, reason): outcomes[test.id()] = "skip"
    def addExpectedFailure(self, test, error): outcomes[test.id()] = "expected"
    def addUnexpectedSuccess(self, test): outcomes[test.id()] = "unexpected"

if mode == "freeze":
    report = ferrule.memory.freeze()
    assert report.immortal > 10_000, report
suite.run(Result())
with open(result, "w") as f:
    json.dump(outcomes, f)
"""


def outcomes(folder: Path, name: str, mode: str) -> dict[str, str]:
    (folder / mode).mkdir()
    result = folder / f"{mode}.json"
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PROGRAM, mode, name, str(result)],
        cwd=folder / mode,
        env={**os.environ, "PYTHONPATH": str(FERRULE), "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    found: dict[str, str] = json.loads(result.read_text())
    return found


@pytest.mark.slow
@pytest.mark.skipif(not IMMORTAL, reason="nothing is made immortal here")
@pytest.mark.parametrize("name", MODULES)
def test_same_outcomes(tmp_path: Path, name: str) -> None:
    if importlib.util.find_spec("test") is None or not importlib.util.find_spec(f"test.{name}"):
        pytest.skip(f"test.{name} is not installed with this Python")
    plain = outcomes(tmp_path, name, "plain")
    frozen = outcomes(tmp_path, name, "freeze")
    assert len(plain) > 5
    reasons = DEPARTURES.get(name, {})
    different = {
        test: (plain.get(test), frozen.get(test))
        for test in plain.keys() | frozen.keys()
        if plain.get(test) != frozen.get(test) and not any(part in test for part in reasons)
    }
    assert different == {}
