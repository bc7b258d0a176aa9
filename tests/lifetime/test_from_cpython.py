"""CPython's own tests of weakref, with our finalize and WeakValueDictionary in place of its own."""

import pytest

import suites

# Tests that the standard classes pass and ours do not: reason.
DEPARTURES: dict[str, str] = {}


@pytest.mark.slow
def test_ours_pass_what_the_standard_classes_pass(impl):
    suite = suites.load(__file__).suite
    if not suite.installed():
        pytest.skip("this Python comes without test.test_weakref")
    standard, ours = (suite.run(mode, impl.__name__) for mode in ("standard", "ours"))
    assert len(standard) > 50 and sum(not error for error in standard.values()) > 50
    behind = suite.short(standard, ours)
    assert {name: error for name, error in behind.items() if name not in DEPARTURES} == {}
