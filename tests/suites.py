"""CPython's own tests, run with ours in place of what they test.

A script names the suite (`test.test_weakref`), its modes, and a function that gives the tests of a
mode with the stand-ins in place; nothing is copied, the running interpreter's suite is imported.
Each mode runs in a process of its own, for which the script is started again with `--worker`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import types
import unittest
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Test id -> "" when it passed, else the last line of its error.
Verdicts = dict[str, str]


def each_test(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from each_test(test)
        else:
            yield test


def judge(tests: unittest.TestSuite) -> tuple[Verdicts, unittest.TestResult]:
    """Run the tests in this process; a skipped test counts as passed."""
    verdicts = {test.id(): "" for test in each_test(tests)}
    result = unittest.TestResult()
    tests.run(result)
    for test, text in [*result.errors, *result.failures]:
        # A failing subtest names the test it belongs to.
        owner = getattr(test, "test_case", test)
        verdicts[owner.id()] = text.strip().splitlines()[-1]
    for owner in result.unexpectedSuccesses:
        verdicts[owner.id()] = "unexpected success"
    return verdicts, result


@dataclass(frozen=True)
class Suite:
    """One of CPython's suites, in a script of ours."""

    name: str
    script: str
    modes: Sequence[str]
    run_here: Callable[[str, str], Verdicts]  # of a mode, with a module of ours

    def installed(self) -> bool:
        """Whether this interpreter comes with the suite."""
        try:
            return importlib.util.find_spec(self.name) is not None
        except ModuleNotFoundError:
            return False

    def run(self, mode: str, impl: str) -> Verdicts:
        """Run it in a process of its own; raise with its output when that does not end well."""
        command = [sys.executable, self.script, "--worker", mode, "--impl", impl]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode:
            tail = "\n".join(done.stderr.strip().splitlines()[-20:])
            raise RuntimeError(f"{self.name} in mode {mode} ended with {done.returncode}:\n{tail}")
        verdicts: Verdicts = json.loads(done.stdout.splitlines()[-1])
        return verdicts

    def short(self, bar: Verdicts, ours: Verdicts) -> Verdicts:
        """The tests that pass in `bar` and not in `ours`, with the error."""
        return {
            name.removeprefix(f"{self.name}."): ours[name]
            for name, error in bar.items()
            if not error and ours.get(name)
        }

    def main(self, doc: str, impl: str, report: Callable[[dict[str, Verdicts]], int]) -> int:
        """The script's own command line; `report` prints and gives the exit status."""
        parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
        parser.add_argument("--impl", default=impl, help="module whose names stand in")
        parser.add_argument("--json", metavar="FILE", help="write the verdicts of all modes")
        parser.add_argument("--worker", choices=self.modes, help=argparse.SUPPRESS)
        options = parser.parse_args()
        if not self.installed():
            print(f"{self.name} is not installed with this interpreter")
            return 77
        if options.worker:
            print(json.dumps(self.run_here(options.worker, options.impl)))
            return 0
        verdicts = {mode: self.run(mode, options.impl) for mode in self.modes}
        if options.json:
            Path(options.json).write_text(json.dumps(verdicts, indent=1) + "\n", encoding="utf-8")
        return report(verdicts)

    def report(self, verdicts: dict[str, Verdicts]) -> int:
        """How many pass in each mode, and what passes in the first one alone."""
        behind: Verdicts = {}
        for mode, results in verdicts.items():
            print(f"{mode}: {sum(not error for error in results.values())} of {len(results)} pass")
            behind |= self.short(verdicts[self.modes[0]], results)
        for name, error in behind.items():
            print(f"  {name}\n      {error}")
        return 1 if behind else 0


def load(test: str) -> types.ModuleType:
    """The script `from_cpython.py` beside a test module."""
    path = Path(test).with_name("from_cpython.py")
    name = f"{path.parent.name}_from_cpython"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
