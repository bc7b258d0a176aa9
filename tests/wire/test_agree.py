"""The driver of agree.py, for a moment; let alone, it runs for minutes."""

import importlib
from typing import Any

import agree
import pytest


@pytest.fixture(scope="module")
def native_module(pytestconfig: pytest.Config) -> Any:
    """The native module; against itself the twin is only checked for agreement with itself."""
    twin = pytestconfig.getoption("--impl") == "pure"
    return importlib.import_module("ferrule.pure.wire" if twin else "ferrule.wire")


@pytest.mark.parametrize("seed", range(8))
def test_native_and_twin_agree(native_module, seed):
    assert agree.run(native_module, 1_500, seed).total() >= 1_500
