"""Services that tests may need: a database, a broker, a server.

A service that is not there skips its tests with the reason, unless FERRULE_REQUIRE names it
(`FERRULE_REQUIRE=postgres,redis`): then they fail.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def required(name: str) -> bool:
    """Does FERRULE_REQUIRE name this service?"""
    return name in os.environ.get("FERRULE_REQUIRE", "").replace(",", " ").split()


def missing(name: str, reason: str) -> NoReturn:
    """End the running test because service `name` is not there: skip it, or fail if required."""
    message = f"{name}: {reason}"
    if required(name):
        pytest.fail(f"{message} (FERRULE_REQUIRE names it)", pytrace=False)
    pytest.skip(message)
