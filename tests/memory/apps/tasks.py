"""A Celery application whose state is loaded at import."""

from __future__ import annotations

import gc
import os
import signal
from typing import Any

import catalogue
from celery import Celery

import ferrule.memory.celery

CATALOGUE = catalogue.build(int(os.environ["RECORDS"]))

app = Celery("tasks", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=int(os.environ.get("MAX_TASKS") or 0) or None,
    worker_pool_start_method=os.environ.get("START_METHOD", "fork"),
    task_acks_late=True,
)
app.conf.task_default_queue = os.environ.get("QUEUE", "celery")
if folder := os.environ.get("FOLDER"):
    app.conf.broker_transport_options = {
        "data_folder_in": folder,  # one folder as both ends of the queue
        "data_folder_out": folder,
        "polling_interval": 0.05,
    }

if os.environ.get("FAIL"):

    def fail() -> None:
        raise MemoryError("none left")

    ferrule.memory._hooks.freeze = fail


@app.task
def one(number: int) -> tuple[int, Any]:
    return os.getpid(), catalogue.one(CATALOGUE, number)


@app.task
def everything() -> tuple[int, int]:
    return os.getpid(), catalogue.everything(CATALOGUE)


@app.task
def process() -> dict[str, Any]:
    return {"parent": os.getppid(), "frozen": gc.get_freeze_count(), "collector": gc.isenabled()}


@app.task(acks_late=False)
def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
