"""Hooks for gunicorn: freeze the application once, before the first worker is forked.

In `gunicorn.conf.py`::

    from ferrule.memory.gunicorn import post_fork, when_ready

    preload_app = True

Workers of the classes `sync` and `gthread` then share the memory of what was loaded before the
fork, and so do those that are forked later: after a crash, `max_requests`, SIGHUP or SIGTTIN. The
new master of an upgrade (SIGUSR2) loads and freezes on its own.

The hooks are plain functions. A configuration with hooks of its own calls them by name::

    from ferrule.memory import gunicorn as frozen

    def when_ready(server):
        fill_caches()  # before: what is loaded later is not shared
        frozen.when_ready(server)

Source: gunicorn's settings, section "Server Hooks".
"""

from __future__ import annotations

from typing import Protocol

from ._hooks import Log, enable_collector, freeze_before_fork

__all__ = ["post_fork", "when_ready"]


class _Config(Protocol):
    preload_app: bool


class _Server(Protocol):
    """As much of gunicorn's Arbiter and Worker as the hooks use."""

    cfg: _Config
    log: Log


_frozen = False


def when_ready(server: _Server) -> None:
    """Freeze, in the master after it has loaded the application; log the report.

    Without `preload_app` nothing is frozen, because the master has nothing to share, and a
    warning says so. Never raises: what goes wrong is logged and the workers start.
    """
    global _frozen
    if not server.cfg.preload_app:
        server.log.warning(
            "ferrule.memory: preload_app is off: each worker loads the application itself and "
            "nothing can be shared; nothing was frozen"
        )
        return
    _frozen = freeze_before_fork(server.log)


def post_fork(server: _Server, worker: _Server) -> None:
    """Switch the collector on, in a new worker of a frozen master that had it off.

    Turning it off while the application loads saves time and leaves fewer holes in its memory.
    To keep it off in the workers, call `gc.disable()` after this hook or leave the hook out.
    """
    if _frozen:
        enable_collector(worker.log)
