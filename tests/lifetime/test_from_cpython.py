"""CPython's own tests of weakref, with our finalize and WeakValueDictionary in place of its own."""

import importlib.util
import sys
import types
from pathlib import Path

import pytest

# Tests that the standard classes pass and ours do not: reason.
DEPARTURES: dict[str, str] = {}


def script() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(
        "weakref_from_cpython", Path(__file__).with_name("from_cpython.py")
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_ours_pass_what_the_standard_classes_pass(impl):
    suite = script()
    if not suite.installed():
        pytest.skip("this Python comes without test.test_weakref")
    standard, ours = (suite.run(mode, impl.__name__) for mode in ("standard", "ours"))
    assert len(standard) > 50 and sum(not error for error in standard.values()) > 50
    behind = suite.short(standard, ours)
    assert {name: error for name, error in behind.items() if name not in DEPARTURES} == {}
