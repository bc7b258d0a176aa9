"""AsyncGenTracker under real servers, whose clients hang up half-way."""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

HERE = Path(__file__).parent
#: Seconds until a server has noticed that a client is gone.
PATIENCE = 30


def need(*names: str) -> None:
    for name in names:
        pytest.importorskip(name)


async def ticker() -> AsyncIterator[int]:
    yield 1
    yield 2


async def exhaust() -> None:
    async for _ in ticker():
        pass


# ---- uvloop in this process: it took the functions of sys when it was imported


def test_uvloop(native):
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        await exhaust()
        kept = ticker()
        await anext(kept)
        assert kept in tracker.live
        dropped = ticker()
        await anext(dropped)
        del dropped
        assert await tracker.aclose() == 1
        assert kept.ag_frame is None

    async def late() -> Any:
        with native.track_asyncgens() as own:
            await exhaust()
        await exhaust()
        return own

    with native.track_asyncgens() as tracker:
        uvloop.run(main())
    stats = tracker.stats()
    assert [stats[key] for key in ("created", "live", "finished", "leaked")] == [3, 0, 2, 1]
    assert uvloop.run(late()).stats()["finished"] == 1
    assert tuple(sys.get_asyncgen_hooks()) == (None, None)


@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # trio says so too
def test_trio(native):
    """Another loop: what is live is closed where aclose() is awaited, the dropped by trio."""
    trio = pytest.importorskip("trio")
    closed: list[str] = []

    async def guarded(name: str) -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0)
            closed.append(name)

    async def main() -> None:
        kept = guarded("kept")
        await anext(kept)
        assert await tracker.aclose() == 1 and closed == ["kept"]
        dropped = guarded("dropped")
        await anext(dropped)
        del dropped

    with native.track_asyncgens() as tracker:
        trio.run(main)
    assert closed == ["kept", "dropped"]
    stats = tracker.stats()
    assert (stats["finished"], stats["leaked"]) == (1, 1)


# ---- uvicorn in a process of its own


@contextlib.contextmanager
def serving(loop: str) -> Iterator[int]:
    need("uvicorn", "starlette")
    if loop == "uvloop":
        need("uvloop")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "streaming_app:app", "--loop", loop]
        command += ["--fd", str(listener.fileno()), "--log-level", "warning", "--lifespan", "off"]
        server = subprocess.Popen(
            command,
            cwd=HERE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            wait_for(lambda: server.poll() is not None or fetch(port, "/descriptors"))
            yield port
        finally:
            server.terminate()
            output, _ = server.communicate(timeout=60)
        assert output == ""  # nothing of ours, to the end


def fetch(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as reply:
            text: bytes = reply.read()
            return text.decode()
    except OSError:
        return ""


def wait_for(condition: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.02)


def hang_up(port: int, path: str) -> None:
    """Read a little of a stream, then go."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        received = b""
        while b"line 2" not in received:
            chunk = client.recv(1000)
            assert chunk, received
            received += chunk


def scrape(port: int) -> dict[str, Counter[str]]:
    """What Prometheus would read: metric -> generator -> figure."""
    parser = pytest.importorskip("prometheus_client.parser")
    found: dict[str, Counter[str]] = {}
    for family in parser.text_string_to_metric_families(fetch(port, "/metrics")):
        for sample in family.samples:
            name = re.sub(r"ferrule_asyncgen_|_total$", "", sample.name)
            found.setdefault(name, Counter())[sample.labels["generator"]] += sample.value
    return found


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_clients_that_hang_up_leave_nothing_behind(native, loop):
    with serving(loop) as port:
        before = int(fetch(port, "/descriptors"))
        for _ in range(3):
            assert fetch(port, "/short") == "line 0\nline 1\nline 2\n"
        for path in ("/lines", "/raw/") * 5:
            hang_up(port, path)
        wait_for(lambda: scrape(port)["live"]["lines"] == 0)
        figures = {name: counts["lines"] for name, counts in scrape(port).items()}
        assert figures["created"] == 13 == figures["finished"] + figures["leaked"]
        assert figures["finished"] >= 3 and figures["leaked"] >= 1
        wait_for(lambda: int(fetch(port, "/descriptors")) == before)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_live_streams_are_shown_while_they_last(native, loop):
    with serving(loop) as port, contextlib.ExitStack() as clients:
        for _ in range(4):
            client = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            clients.callback(client.close)
            client.sendall(b"GET /lines HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(1000)
        wait_for(lambda: scrape(port)["live"]["lines"] == 4)
        clients.close()
        wait_for(lambda: scrape(port)["live"]["lines"] == 0)


def test_asgi_in_this_process(native):
    """The tracker starts while the loop runs, and the server is stopped with streams open."""
    need("uvicorn")
    import uvicorn  # noqa: PLC0415

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async for number in endless():
            await send(
                {"type": "http.response.body", "body": b"line %d\n" % number, "more_body": True}
            )

    async def endless() -> AsyncIterator[int]:
        number = 0
        while True:
            yield number
            number += 1
            await asyncio.sleep(0.001)

    async def main() -> Any:
        config = uvicorn.Config(
            app, port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with native.track_asyncgens() as tracker:
            await asyncio.gather(*(asyncio.to_thread(hang_up, port, "/") for _ in range(3)))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b"line 2")
            assert tracker.live >= 1
            server.should_exit = True
            await task
            writer.close()
            await tracker.aclose()
            assert tracker.live == 0
        return tracker

    tracker = asyncio.run(main())
    assert tracker.stats()["created"] >= 4
