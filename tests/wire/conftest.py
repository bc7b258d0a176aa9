"""Fixtures of the wire tests."""

import importlib
import types

import pytest


@pytest.fixture
def native(request: pytest.FixtureRequest) -> types.ModuleType:
    """The native module, for what the twin cannot promise."""
    if request.config.getoption("--impl") == "pure":
        pytest.skip("--impl pure")
    return importlib.import_module("ferrule.wire")
