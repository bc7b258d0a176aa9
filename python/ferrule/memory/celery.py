"""Celery: freeze the application once, before the first process of a prefork pool is forked.

In the module of the app, at any place::

    import ferrule.memory.celery

Only `celery worker` with the pool `prefork` freezes; other pools have one process, and with them
nothing is done but a line logged. Processes that are forked later (`max_tasks_per_child`,
autoscaling, a crash) share the same memory. Where nothing is to be shared, in programs that only
send tasks, the import costs that of `celery.signals`.

The freeze comes after `worker_init` and `celeryd_after_setup`: what their receivers load is shared
too. Source: Celery's documentation, "Signals"; which signal is sent in which process was read from
`celery.concurrency`.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import signals

from ._hooks import enable_collector, freeze_before_fork

__all__: list[str] = []

_log = logging.getLogger(__name__)
_armed = False
_frozen = False


def _freeze() -> None:
    global _armed, _frozen
    _armed = False
    _frozen = freeze_before_fork(_log)


def _why_not(worker: Any) -> str:
    """Why nothing can be shared between this worker's processes, or ""."""
    # Not at the top: programs that only send tasks import no pool.
    from celery.concurrency.prefork import TaskPool  # noqa: PLC0415

    if not issubclass(worker.pool_cls, TaskPool):
        return f"the pool is {worker.pool_cls.__module__.rpartition('.')[2]}, not prefork"
    if not worker.pool.forking_enable:
        return "the pool starts its processes afresh instead of forking them"
    return ""


def _on_setup(instance: Any, **_: Any) -> None:
    """In the parent: everything is loaded and configured, the pool has not started."""
    global _armed
    if reason := _why_not(instance):
        _log.info("ferrule.memory: %s; nothing was frozen", reason)
    elif instance.use_eventloop:
        _armed = True
    else:
        # Brokers without an event loop get a pool that does not announce its processes.
        _freeze()


def _before_process(**_: Any) -> None:
    """In the parent, before each process; the first time counts.

    Without `_on_setup` it is no `celery worker` but a program with a worker in it, such as a test.
    """
    if _armed:
        _freeze()


def _in_process(**_: Any) -> None:
    """In a new process of the pool."""
    if _frozen:
        enable_collector(_log)


signals.celeryd_after_setup.connect(_on_setup, dispatch_uid=f"{__name__}.setup")
signals.worker_before_create_process.connect(_before_process, dispatch_uid=f"{__name__}.create")
signals.worker_process_init.connect(_in_process, dispatch_uid=f"{__name__}.child")
