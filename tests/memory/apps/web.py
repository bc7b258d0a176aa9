"""A WSGI application whose state is loaded at import."""

from __future__ import annotations

import gc
import json
import os
import signal
from collections.abc import Callable, Iterable
from typing import Any

import catalogue

CATALOGUE = catalogue.build(int(os.environ["RECORDS"]))


def answer(path: str, number: int) -> Any:
    match path:
        case "/one":
            return catalogue.one(CATALOGUE, number)
        case "/everything":
            return catalogue.everything(CATALOGUE)
        case "/process":
            return {"frozen": gc.get_freeze_count(), "collector": gc.isenabled()}
        case "/crash":
            os.kill(os.getpid(), signal.SIGKILL)
    raise LookupError(path)


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    found = answer(environ["PATH_INFO"], int(environ.get("QUERY_STRING") or 0))
    body = json.dumps({"process": os.getpid(), "found": found}).encode()
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    )
    return [body]
