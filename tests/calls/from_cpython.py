"""Run CPython's own tests of functools with ours in place of some of its names.

    python tests/calls/from_cpython.py [--impl ferrule.calls] [--json FILE]

Mode `standard` runs them as they are: the bar. Mode `ours` stands `update_wrapper`, `wraps` and
`cache` of the module under test in, the latter as `lru_cache`: for each call of a method that is
cached, not for each instance, and, in this mode, without single flight, as functools has it. Mode
`flight` leaves single flight on. Nothing is copied: the running interpreter's
`test.test_functools` is imported and its modules get the stand-ins."""

from __future__ import annotations

import functools
import importlib
import sys
import types
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # when it is run as a script

from suites import Suite, Verdicts, each_test, judge  # noqa: E402

SUITE = "test.test_functools"
MODES = ("standard", "ours", "flight")
CASES = ("TestLRUC", "TestCacheC", "TestUpdateWrapper", "TestWraps")
#: These hold up two calls of one key until both are under way: there is but one with single flight.
#: The test would wait for the other until its time is over.
NO_FLIGHT = ("test_lru_cache_threaded2",)


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


def run_here(mode: str, impl: str) -> Verdicts:
    module = load_suite(mode, impl)
    loader = unittest.defaultTestLoader
    tests = unittest.TestSuite(
        test
        for case in CASES
        for test in each_test(loader.loadTestsFromTestCase(getattr(module, case)))
        if not (mode == "flight" and test.id().endswith(NO_FLIGHT))
    )
    return judge(tests)[0]


suite = Suite(SUITE, __file__, MODES, run_here)

if __name__ == "__main__":
    sys.exit(suite.main(__doc__ or "", "ferrule.calls", suite.report))
