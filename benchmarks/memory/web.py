"""The WSGI application of the benchmark: a state of `BATCHES` batches, loaded at import."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.memory import state as states

states.libraries()
STATE, _ = states.build(batches=int(os.environ["BATCHES"]))
KEYS = list(STATE.records)


def handle(number: int) -> dict[str, Any]:
    """What a request does: look a fortieth of the records up, go through a seventh of the
    customers, make objects of its own, and answer with five records."""
    chance = random.Random(number)
    total = 0
    for _ in range(len(KEYS) // 40):
        record = STATE.records[chance.choice(KEYS)]
        total += len(record["name"]) + len(record["address"]["street"])
        total += sum(order["count"] for order in record["orders"])
        for key, value in record.items():
            total += len(key) + (value is None)
    for customer in STATE.customers[number % 7 :: 7]:
        total += customer.number + len(customer.address)
    own = [{"number": item, "text": f"v{item}"} for item in range(2000)]
    total += len(own)
    return {"total": total, "rows": [STATE.records[chance.choice(KEYS)] for _ in range(5)]}


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer `/?NUMBER`."""
    found = handle(int(environ["QUERY_STRING"]))
    body = json.dumps({"process": os.getpid(), "found": found}).encode()
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    )
    return [body]
