"""Run CPython's own dataclass tests with another decorator in place of `dataclass`.

    python tests/records/from_cpython.py [--impl ferrule.records] [--json FILE]

Mode `slots` stands `dataclass(slots=True)` in, mode `record` the `record` of the module under
test. Nothing is copied: the running interpreter's `test.test_dataclasses` and
its helper modules are imported while `dataclasses` has the stand-ins. Each mode runs in a process
of its own. Two counts are printed: tests that pass, and tests minus failures, where each failing
subtest is one failure (so counted, slots reach 188 of 247 on 3.13.0 and 177 of 223 on 3.11.7).
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
import types
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # when it is run as a script

from suites import Suite, Verdicts, judge  # noqa: E402

SUITE = "test.test_dataclasses"
FAILURES = "failures"


def slots_stand_ins(impl: str) -> tuple[Any, Any]:
    """What plain `dataclass` with slots reaches: the bar."""
    original = dataclasses.dataclass

    def dataclass(cls: Any = None, /, **options: Any) -> Any:
        return original(cls, **{**options, "slots": True})

    return dataclass, dataclasses.make_dataclass  # which calls `dataclass`


def record_stand_ins(impl: str) -> tuple[Any, Any]:
    """`record` and `make_record`, told the names that dataclass has for two options."""
    module = importlib.import_module(impl)

    def translated(options: dict[str, Any]) -> dict[str, Any]:
        options.pop("slots", None)
        if "weakref_slot" in options:
            options["weakref"] = options.pop("weakref_slot")
        return options

    def dataclass(cls: Any = None, /, **options: Any) -> Any:
        decorate = module.record(**translated(options))
        return decorate if cls is None else decorate(cls)

    def make_dataclass(name: Any, fields: Any, **options: Any) -> Any:
        options.setdefault("module", sys._getframe(1).f_globals["__name__"])
        return module.make_record(name, fields, **translated(options))

    return dataclass, make_dataclass


MODES = {"slots": slots_stand_ins, "record": record_stand_ins}


def load_suite(mode: str, impl: str) -> types.ModuleType:
    """Import the suite, and with it its helper modules, while the stand-ins are in place."""
    dataclasses.dataclass, dataclasses.make_dataclass = MODES[mode](impl)
    return importlib.import_module(SUITE)


def run_here(mode: str, impl: str) -> Verdicts:
    """The entry "failures" has the number of failures, each subtest counted."""
    verdicts, result = judge(unittest.defaultTestLoader.loadTestsFromModule(load_suite(mode, impl)))
    verdicts[FAILURES] = str(len(result.errors) + len(result.failures))
    return verdicts


def counts(verdicts: Verdicts) -> tuple[int, int, int]:
    """Tests, tests that pass, tests minus failures."""
    tests = len(verdicts) - 1
    return tests, sum(not error for error in verdicts.values()), tests - int(verdicts[FAILURES])


suite = Suite(SUITE, __file__, tuple(MODES), run_here)


def report(verdicts: dict[str, Verdicts]) -> int:
    for mode, results in verdicts.items():
        tests, passed, rest = counts(results)
        print(f"{mode}: {passed} of {tests} pass; {tests} minus {results[FAILURES]} is {rest}")
    behind = suite.short(verdicts["slots"], verdicts["record"])
    ahead = suite.short(verdicts["record"], verdicts["slots"])
    print(f"pass with slots only: {len(behind)}; with record only: {len(ahead)}")
    for name, error in behind.items():
        print(f"  {name}\n      {error}")
    return 1 if behind else 0


if __name__ == "__main__":
    sys.exit(suite.main(__doc__ or "", "ferrule.records", report))
