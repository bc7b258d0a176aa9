"""Run CPython's own tests of functools with ours in place of some of its names.

    python tests/calls/from_cpython.py [--impl ferrule.calls] [--json FILE]

Mode `standard` runs them as they are: the bar. Mode `ours` stands `update_wrapper`, `wraps` and
`cache` of the module under test in, the latter as `lru_cache`: for each call of a method that is
cached, not for each instance, and, in this mode, without single flight, as functools has it. Mode
`flight` leaves single flight on. Nothing is copied: the running interpreter's
`test.test_functools` is imported and its modules get the stand-ins. Each mode runs in a process of
its own.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.util
import json
import subprocess
import sys
import types
import unittest
from collections.abc import Callable, Iterator
from typing import Any

SUITE = "test.test_functools"
MODES = ("standard", "ours", "flight")
CASES = ("TestLRUC", "TestCacheC", "TestUpdateWrapper", "TestWraps")
#: These hold up two calls of one key until both are under way: there is but one with single flight.
#: The test would wait for the other until its time is over.
NO_FLIGHT = ("test_lru_cache_threaded2",)
Verdicts = dict[str, str]  # test id -> "" when it passed, else the last line of its error


def lru_cache(cache: Callable[..., Any], single_flight: bool) -> Callable[..., Any]:
    """`cache` with the arguments and defaults of functools.lru_cache."""

    def lru_cache(maxsize: Any = 128, typed: Any = False) -> Any:
        options = {"per_instance": False, "single_flight": single_flight}
        if callable(maxsize) and isinstance(typed, bool):
            return cache(128, typed, **options)(maxsize)
        return cache(maxsize, typed, **options)

    return lru_cache


def stand_in(suite: types.ModuleType, impl: str, mode: str) -> None:
    """Put ours where the suite's tests look."""
    module = importlib.import_module(impl)
    functools.update_wrapper = module.update_wrapper
    functools.wraps = module.wraps
    cached = lru_cache(module.cache, mode == "flight")
    fresh: Any = suite.c_functools
    fresh.lru_cache, fresh.cache, fresh._CacheInfo = cached, cached(None), module.CacheInfo
    # what the suite decorated while it was imported
    case: Any = suite.TestLRUC
    suite.c_cached_func = cached()(suite.c_cached_func.__wrapped__)
    case.cached_func = (suite.c_cached_func,)
    case.cached_meth = cached()(case.cached_meth.__wrapped__)
    case.cached_staticmeth = staticmethod(cached()(case.cached_staticmeth.__wrapped__))


def load_suite(mode: str, impl: str) -> types.ModuleType:
    """The suite, with the stand-ins; and with a case of its tests of functools.cache."""
    suite = importlib.import_module(SUITE)
    if mode != "standard":
        stand_in(suite, impl, mode)
    bases = (suite.TestCache, unittest.TestCase)
    suite.TestCacheC = type("TestCacheC", bases, {"module": suite.c_functools})
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
        test
        for case in CASES
        for test in each_test(loader.loadTestsFromTestCase(getattr(module, case)))
        if not (mode == "flight" and test.id().endswith(NO_FLIGHT))
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
    """The tests that functools passes and ours do not, with the error."""
    return {
        name.removeprefix(f"{SUITE}."): ours[name]
        for name, error in standard.items()
        if not error and ours.get(name)
    }


def installed() -> bool:
    """Whether this interpreter comes with its test suite."""
    try:
        return importlib.util.find_spec(SUITE) is not None
    except ModuleNotFoundError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--impl", default="ferrule.calls", help="module that has the names")
    parser.add_argument("--json", metavar="FILE", help="write the verdicts of all modes")
    parser.add_argument("--worker", choices=MODES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not installed():
        print(f"{SUITE} is not installed with this interpreter")
        return 77
    if options.worker:
        print(json.dumps(run_here(options.worker, options.impl)))
        return 0
    verdicts = {mode: run(mode, options.impl) for mode in MODES}
    behind: Verdicts = {}
    for mode, results in verdicts.items():
        print(f"{mode}: {sum(not error for error in results.values())} of {len(results)} pass")
        behind |= short(verdicts["standard"], results)
    for name, error in behind.items():
        print(f"  {name}\n      {error}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(verdicts, file, indent=1)
    return 1 if behind else 0


if __name__ == "__main__":
    sys.exit(main())
