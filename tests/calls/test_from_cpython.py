"""CPython's own tests of functools, with our cache, update_wrapper and wraps in its place."""

import pytest

import suites

# Tests that functools passes and ours do not: reason.
DEPARTURES: dict[str, dict[str, str]] = {
    "ferrule.calls": {},
    "ferrule.pure.calls": {
        "TestLRUC.test_lru_reentrancy_with_len": "written in Python, it calls len() itself",
        "TestLRUC.test_common_signatures": "its methods are annotated: () -> CacheInfo",
    },
}


@pytest.mark.parametrize("mode", ["ours", "flight"])
def test_ours_pass_what_functools_passes(impl, mode):
    suite = suites.load(__file__).suite
    if not suite.installed():
        pytest.skip("this Python comes without test.test_functools")
    standard, ours = (suite.run(mode, impl.__name__) for mode in ("standard", mode))
    assert len(ours) > 35 and sum(not error for error in standard.values()) > 35
    behind = suite.short(standard, ours)
    expected = DEPARTURES[impl.__name__]
    assert {name: error for name, error in behind.items() if name not in expected} == {}
