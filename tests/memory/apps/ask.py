"""Send tasks, all at once, and print their results: `ask.py '[["one", [3]], …]'`, JSON both ways.

In a process of its own, because Celery keeps threads and connections. A task that ended in an
exception is {"error": its type}.
"""

from __future__ import annotations

import json
import os
import sys

from celery import Celery

app = Celery("ask", broker=os.environ["BROKER"], backend=os.environ["BACKEND"])
app.conf.task_default_queue = os.environ.get("QUEUE", "celery")
if folder := os.environ.get("FOLDER"):
    app.conf.broker_transport_options = {
        "data_folder_in": folder,  # one folder as both ends of the queue
        "data_folder_out": folder,
        "polling_interval": 0.05,
    }
sent = [app.send_task(f"tasks.{name}", arguments) for name, arguments in json.loads(sys.argv[1])]
found = []
for result in sent:
    try:
        found.append(result.get(timeout=30))
    except Exception as error:
        found.append({"error": type(error).__name__})
print(json.dumps(found))
