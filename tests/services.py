"""Services that tests may need: a database, a broker, a server.

A service that is not there skips its tests with the reason, unless FERRULE_REQUIRE names it
(`FERRULE_REQUIRE=postgres,redis`): then they fail.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest


def required(name: str) -> bool:
    """Does FERRULE_REQUIRE name this service?"""
    return name in os.environ.get("FERRULE_REQUIRE", "").replace(",", " ").split()


def missing(name: str, reason: str) -> NoReturn:
    """End the running test because service `name` is not there: skip it, or fail if required."""
    message = f"{name}: {reason}"
    if required(name):
        pytest.fail(f"{message} (FERRULE_REQUIRE names it)", pytrace=False)
    pytest.skip(message, allow_module_level=True)


def library(name: str) -> None:
    """End the running test if library `name` is not installed."""
    if importlib.util.find_spec(name) is None:
        missing(name, "not installed")


def _redis_answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


def _free_port() -> int:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Redis server of this run alone, which keeps nothing."""
    program = shutil.which("redis-server")
    if program is None:
        missing("redis", "there is no redis-server on the path")
    folder = tmp_path_factory.mktemp("redis")
    for _ in range(3):  # somebody else may have taken the port by then
        port = _free_port()
        settings = f"--port {port} --bind 127.0.0.1 --save  --appendonly no --daemonize no"
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(
                [program, *settings.split(" "), "--dir", str(folder)], stdout=log, stderr=log
            )
        end = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < end and not _redis_answers(port):
            time.sleep(0.02)
        if process.poll() is None and _redis_answers(port):
            break
        process.kill()
        process.wait()
    else:
        missing("redis", f"did not start: {Path(folder, 'log').read_text()}")
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)
