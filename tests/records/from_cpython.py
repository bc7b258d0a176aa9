"""Run CPython's own dataclass tests with another decorator in place of `dataclass`.

    python tests/records/from_cpython.py [--impl ferrule.records] [--json FILE]

Mode `slots` stands `dataclass(slots=True)` in, mode `record` the `record` of the module under
test. Nothing is copied: the running interpreter's `test.test_dataclasses` and
its helper modules are imported while `dataclasses` has the stand-ins. Each mode runs in a process
of its own. Two counts are printed: tests that pass, and tests minus failures, where each failing
subtest is one failure (so counted, slots reach 188 of 247 on 3.13.0 and 177 of 223 on 3.11.7).
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import importlib.util
import json
import subprocess
import sys
import types
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SUITE = "test.test_dataclasses"
FAILURES = "failures"
Verdicts = dict[str, str]  # test id -> "" when it passed, else the last line of its error


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


def each_test(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from each_test(test)
        else:
            yield test


def run_here(mode: str, impl: str) -> Verdicts:
    """Run the suite in this process; a skipped test counts as passed.

    The entry "failures" has the number of failures, each subtest counted.
    """
    tests = unittest.defaultTestLoader.loadTestsFromModule(load_suite(mode, impl))
    verdicts = {test.id(): "" for test in each_test(tests)}
    result = unittest.TestResult()
    tests.run(result)
    for test, text in [*result.errors, *result.failures]:
        # A failing subtest names the test it belongs to.
        owner = getattr(test, "test_case", test)
        verdicts[owner.id()] = text.strip().splitlines()[-1]
    for owner in result.unexpectedSuccesses:
        verdicts[owner.id()] = "unexpected success"
    verdicts[FAILURES] = str(len(result.errors) + len(result.failures))
    return verdicts


def run(mode: str, impl: str) -> Verdicts:
    """Run the suite in a process of its own; raise with its output when that does not end well."""
    command = [sys.executable, __file__, "--worker", mode, "--impl", impl]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-20:])
        raise RuntimeError(f"{SUITE} in mode {mode} ended with {done.returncode}:\n{tail}")
    verdicts: Verdicts = json.loads(done.stdout.splitlines()[-1])
    return verdicts


def short(slots: Verdicts, record: Verdicts) -> Verdicts:
    """The tests that slots dataclasses pass and records do not, with the error."""
    return {name: record[name] for name, error in slots.items() if not error and record[name]}


def counts(verdicts: Verdicts) -> tuple[int, int, int]:
    """Tests, tests that pass, tests minus failures."""
    tests = len(verdicts) - 1
    return tests, sum(not error for error in verdicts.values()), tests - int(verdicts[FAILURES])


def installed() -> bool:
    """Whether this interpreter comes with its test suite."""
    try:
        return importlib.util.find_spec(SUITE) is not None
    except ModuleNotFoundError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--impl", default="ferrule.records", help="module that has `record`")
    parser.add_argument("--json", metavar="FILE", help="write the verdicts of both modes")
    parser.add_argument("--worker", choices=MODES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not installed():
        print(f"{SUITE} is not installed with this interpreter")
        return 77
    if options.worker:
        print(json.dumps(run_here(options.worker, options.impl)))
        return 0
    verdicts = {mode: run(mode, options.impl) for mode in MODES}
    for mode, results in verdicts.items():
        tests, passed, rest = counts(results)
        print(f"{mode}: {passed} of {tests} pass; {tests} minus {results[FAILURES]} is {rest}")
    behind = short(verdicts["slots"], verdicts["record"])
    ahead = short(verdicts["record"], verdicts["slots"])
    print(f"pass with slots only: {len(behind)}; with record only: {len(ahead)}")
    for name, error in behind.items():
        print(f"  {name.removeprefix(SUITE + '.')}\n      {error}")
    if options.json:
        Path(options.json).write_text(json.dumps(verdicts, indent=1) + "\n", encoding="utf-8")
    return 1 if behind else 0


if __name__ == "__main__":
    sys.exit(main())
