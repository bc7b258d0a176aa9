"""What the servers' hooks share: freeze in the parent, look after the collector in a child.

Nothing here may take a server down: an error is logged and the server goes on as without ferrule.
"""

from __future__ import annotations

import gc
from typing import Protocol

from . import freeze


class Log(Protocol):
    """As much of a logger as the hooks use; gunicorn's is not a `logging.Logger`."""

    def info(self, msg: str, *args: object) -> None:
        """Log what was done."""

    def warning(self, msg: str, *args: object) -> None:
        """Log that something the user asked for has no effect."""

    def exception(self, msg: str, *args: object) -> None:
        """Log the exception being handled."""


def freeze_before_fork(log: Log) -> bool:
    """Freeze, and log the report line by line; whether that succeeded."""
    try:
        report = freeze()
        for line in str(report).splitlines():
            log.info("ferrule.memory: %s", line)
    except Exception:
        log.exception("ferrule.memory: could not freeze; the workers start all the same")
        return False
    return True


def enable_collector(log: Log) -> None:
    """Switch the collector on where it was off while the parent loaded the application."""
    if not gc.isenabled():
        gc.enable()
        log.info("ferrule.memory: the collector was off in the parent and is on in this process")
