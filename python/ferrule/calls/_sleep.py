"""Waiting in a coroutine, in whichever event loop it runs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable


def sleep(seconds: float) -> Awaitable[object]:
    """Of asyncio where its loop runs, else of trio."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        waiting: Awaitable[object] = trio.sleep(seconds)
        return waiting
    return asyncio.sleep(seconds)
