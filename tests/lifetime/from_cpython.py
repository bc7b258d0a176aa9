"""Run CPython's own tests of weakref with ours in place of two of its classes.

    python tests/lifetime/from_cpython.py [--impl ferrule.lifetime] [--json FILE]

Mode `standard` runs them as they are: the bar. Mode `ours` stands `finalize` and
`WeakValueDictionary` of the module under test in. Nothing is copied: the running interpreter's
`test.test_weakref` is imported while `weakref` has the stand-ins, and so is it in the process that
a test starts. Each mode runs in a process of its own.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import subprocess
import sys
import types
import unittest
import weakref
from collections.abc import Iterator
from typing import Any

SUITE = "test.test_weakref"
STAND_INS = ("finalize", "WeakValueDictionary")
CASES = ("FinalizeTestCase", "WeakValueDictionaryTestCase", "MappingTestCase")
Verdicts = dict[str, str]  # test id -> "" when it passed, else the last line of its error


def stand_in(impl: str) -> None:
    module = importlib.import_module(impl)
    for name in STAND_INS:
        setattr(weakref, name, getattr(module, name))


def load_suite(mode: str, impl: str) -> types.ModuleType:
    """Import the suite while the stand-ins are in place, here and in what its tests start."""
    if mode == "standard":
        return importlib.import_module(SUITE)
    stand_in(impl)
    suite = importlib.import_module(SUITE)
    original = suite.script_helper.assert_python_ok
    prefix = (
        f"import importlib, sys, weakref; sys.path[:0] = {sys.path!r}; "
        f"module = importlib.import_module({impl!r}); "
        f"[setattr(weakref, name, getattr(module, name)) for name in {STAND_INS!r}]; "
    )

    def assert_python_ok(*args: str, **options: Any) -> Any:
        at = args.index("-c") + 1
        return original(*args[:at], prefix + args[at], *args[at + 1 :], **options)

    suite.script_helper.assert_python_ok = assert_python_ok
    return suite


def each_test(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from each_test(test)
        else:
            yield test


def run_here(mode: str, impl: str) -> Verdicts:
    """Run the cases in this process; a skipped test counts as passed."""
    module = load_suite(mode, impl)
    loader = unittest.defaultTestLoader
    tests = unittest.TestSuite(
        loader.loadTestsFromTestCase(getattr(module, case)) for case in CASES
    )
    verdicts = {test.id(): "" for test in each_test(tests)}
    result = unittest.TestResult()
    tests.run(result)
    for test, text in [*result.errors, *result.failures]:
        # A failing subtest names the test it belongs to.
        owner = getattr(test, "test_case", test)
        verdicts[owner.id()] = text.strip().splitlines()[-1]
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


def short(standard: Verdicts, ours: Verdicts) -> Verdicts:
    """The tests that the standard classes pass and ours do not, with the error."""
    return {
        name.removeprefix(f"{SUITE}."): ours[name]
        for name, error in standard.items()
        if not error and ours[name]
    }


def installed() -> bool:
    """Whether this interpreter comes with its test suite."""
    try:
        return importlib.util.find_spec(SUITE) is not None
    except ModuleNotFoundError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--impl", default="ferrule.lifetime", help="module that has the classes")
    parser.add_argument("--json", metavar="FILE", help="write the verdicts of both modes")
    parser.add_argument("--worker", choices=["standard", "ours"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not installed():
        print(f"{SUITE} is not installed with this interpreter")
        return 77
    if options.worker:
        print(json.dumps(run_here(options.worker, options.impl)))
        return 0
    verdicts = {mode: run(mode, options.impl) for mode in ("standard", "ours")}
    for mode, results in verdicts.items():
        print(f"{mode}: {sum(not error for error in results.values())} of {len(results)} pass")
    behind = short(verdicts["standard"], verdicts["ours"])
    for name, error in behind.items():
        print(f"  {name}\n      {error}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(verdicts, file, indent=1)
    return 1 if behind else 0


if __name__ == "__main__":
    sys.exit(main())
