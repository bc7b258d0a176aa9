"""An ASGI application that streams, and shows what it counted: demo and subject of the tests.

    uvicorn streaming_app:app

`/lines` streams until the client hangs up (a Starlette StreamingResponse), `/raw` does the same in
plain ASGI, `/short` ends by itself; `/metrics` is what Prometheus scrapes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from ferrule.lifetime import AsyncGenTracker

tracker = AsyncGenTracker().start()


async def lines(count: int = 1_000_000) -> AsyncIterator[bytes]:
    with open(os.devnull, "rb"):  # a descriptor that must not stay behind
        for number in range(count):
            yield b"line %d\n" % number
            await asyncio.sleep(0.001)


async def stream(request: Request) -> Response:
    return StreamingResponse(lines())


async def short(request: Request) -> Response:
    return StreamingResponse(lines(3))


async def raw(scope: Any, receive: Any, send: Any) -> None:
    """As a framework does that forgets its generator when the client is gone."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    gone = asyncio.create_task(hang_up(receive))
    async for chunk in lines():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if gone.done():
            return


async def hang_up(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def metrics(request: Request) -> Response:
    return PlainTextResponse(tracker.prometheus(), media_type="text/plain; version=0.0.4")


async def descriptors(request: Request) -> Response:
    return PlainTextResponse(str(len(os.listdir("/proc/self/fd"))))


app = Starlette(
    routes=[
        Route("/lines", stream),
        Route("/short", short),
        Mount("/raw", raw),
        Route("/metrics", metrics),
        Route("/descriptors", descriptors),
    ]
)
