"""A worked example: the wrappers as ASGI middleware on a real uvicorn server.

An ASGI application is a coroutine function, so a decorated one is an application with middleware.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from ferrule import calls

uvicorn = pytest.importorskip("uvicorn")

pytestmark = pytest.mark.integration


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of a server that runs `app` in a thread."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        assert server.started
        yield "http://{}:{}".format(*server.servers[0].sockets[0].getsockname())
    finally:
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()


def ask(url: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers of the answer."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, json.load(answer), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), dict(error.headers)


def forget(app: Any) -> None:
    """uvicorn has tried whether the application is a factory: a call that raised."""
    while app is not None:
        if hasattr(app, "reset"):
            app.reset()
        app = getattr(app, "__wrapped__", None)


async def reply(send: Any, status: int, body: object, *headers: tuple[bytes, bytes]) -> None:
    data = json.dumps(body).encode()
    kind = (b"content-type", b"application/json")
    await send({"type": "http.response.start", "status": status, "headers": [kind, *headers]})
    await send({"type": "http.response.body", "body": data})


def test_timer_logged_counted(caplog):
    @calls.timer
    @calls.logged(level="WARNING")
    @calls.counted
    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Echo the path."""
        await reply(send, 200, {"path": scope["path"]})

    with served(app) as url:
        forget(app)
        for i in range(5):
            assert ask(f"{url}/{i}")[:2] == (200, {"path": f"/{i}"})
    assert (app.count, app.errors) == (5, 0)
    assert 0 < app.min <= app.percentile(50) <= app.max < 30
    assert app.__wrapped__.__wrapped__.count == 5
    said = [r.getMessage() for r in caplog.records if r.name == "ferrule.calls"]
    assert said == ["Calling app"] * 6


def test_errors_are_counted(caplog):
    @calls.timer
    @calls.counted
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, 200, {})
        raise LookupError

    with served(app) as url:
        forget(app)
        assert ask(url)[0] == 200
    assert (app.count, app.errors, app.__wrapped__.errors) == (1, 1, 1)


@pytest.mark.skipif(
    not (hasattr(calls, "retry") and hasattr(calls, "rate_limit")),
    reason="ferrule.calls has no retry or rate_limit",
)
def test_timer_retry_rate_limit():
    tried: list[str] = []

    @calls.timer
    @calls.counted
    @calls.retry(max_attempts=3, delay=0.001)
    async def backend(path: str) -> dict[str, Any]:
        """Fails twice for every path, then works."""
        tried.append(path)
        if tried.count(path) < 3 or path == "/down":
            raise ConnectionError(path)
        return {"path": path, "tries": tried.count(path)}

    def limited(app: Any) -> Any:
        """Answer 429 when the limit is reached."""
        allowed = calls.rate_limit(1, burst=4, mode="raise")(app)

        @calls.wraps(app)
        async def middleware(scope: Any, receive: Any, send: Any) -> None:
            try:
                await allowed(scope, receive, send)
            except calls.RateLimited as error:
                wait = f"{error.retry_after:.3f}".encode()
                await reply(send, 429, {"error": "too many"}, (b"retry-after", wait))

        return middleware

    @calls.timer
    @limited
    @calls.counted
    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Ask the backend."""
        try:
            await reply(send, 200, await backend(scope["path"]))
        except ConnectionError as error:
            await reply(send, 502, {"error": str(error)})

    with served(app) as url:
        forget(app)
        answers = [ask(f"{url}{path}") for path in ("/a", "/b", "/down", "/a")]
        refused = ask(f"{url}/c")
    assert [answer[:2] for answer in answers] == [
        (200, {"path": "/a", "tries": 3}),
        (200, {"path": "/b", "tries": 3}),
        (502, {"error": "/down"}),
        (200, {"path": "/a", "tries": 4}),
    ]
    assert refused[:2] == (429, {"error": "too many"})
    assert 0 < float(refused[2]["retry-after"]) <= 1
    assert tried == ["/a"] * 3 + ["/b"] * 3 + ["/down"] * 3 + ["/a"]
    assert (app.count, app.errors) == (5, 0)  # the server's side: all five
    assert (backend.count, backend.errors) == (4, 1)  # retries seen as one call
    assert (backend.__wrapped__.count, backend.__wrapped__.errors) == (4, 1)
