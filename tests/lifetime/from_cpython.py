"""Run CPython's own tests of weakref with ours in place of two of its classes.

    python tests/lifetime/from_cpython.py [--impl ferrule.lifetime] [--json FILE]

Mode `standard` runs them as they are: the bar. Mode `ours` stands `finalize` and
`WeakValueDictionary` of the module under test in. Nothing is copied: the running interpreter's
`test.test_weakref` is imported while `weakref` has the stand-ins, and so is it in the process that
a test starts.
"""

from __future__ import annotations

import importlib
import sys
import types
import unittest
import weakref
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # when it is run as a script

from suites import Suite, Verdicts, judge  # noqa: E402

SUITE = "test.test_weakref"
STAND_INS = ("finalize", "WeakValueDictionary")
CASES = ("FinalizeTestCase", "WeakValueDictionaryTestCase", "MappingTestCase")


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


def run_here(mode: str, impl: str) -> Verdicts:
    module = load_suite(mode, impl)
    loader = unittest.defaultTestLoader
    tests = (loader.loadTestsFromTestCase(getattr(module, case)) for case in CASES)
    return judge(unittest.TestSuite(tests))[0]


suite = Suite(SUITE, __file__, ("standard", "ours"), run_here)

if __name__ == "__main__":
    sys.exit(suite.main(__doc__ or "", "ferrule.lifetime", suite.report))
