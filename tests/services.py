"""Services that tests may need: a database, a broker, a server.

A service that is not there skips its tests with the reason, unless FERRULE_REQUIRE names it
(`FERRULE_REQUIRE=postgres,redis`): then they fail.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
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


def _postgres_program(name: str) -> str | None:
    """Path of a server program; Debian keeps them off the path, by version."""
    found = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
        key=lambda path: [int(part) for part in path.parts[-3].split(".")],
    )
    return shutil.which(name) or (str(found[-1]) if found else None)


def _server_user() -> str | None:
    """PostgreSQL refuses to be root: whom to be instead; None if we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            return name
    missing("postgres", "the tests run as root, and there is no user to run it as")


def _start_postgres(folder: Path, user: str | None) -> subprocess.Popen[bytes]:
    """A server on a socket in the folder, which keeps nothing over a crash."""
    initdb, server = _postgres_program("initdb"), _postgres_program("postgres")
    if initdb is None or server is None:
        missing("postgres", "there are no initdb and postgres")
    options = ["-A", "trust", "-U", "ferrule", "-E", "UTF8", "--locale=C", "--no-sync"]
    data = folder / "data"
    with open(folder / "log", "wb") as log:
        made = subprocess.run(
            [initdb, *options, "-D", str(data)], stdout=log, stderr=log, user=user, cwd=folder
        )
        if made.returncode:
            missing("postgres", f"initdb failed: {(folder / 'log').read_text()}")
        settings = ["listen_addresses=", "fsync=off", "full_page_writes=off"]
        return subprocess.Popen(
            [server, "-D", str(data), "-k", str(folder)]
            + [part for setting in settings for part in ("-c", setting)],
            stdout=log, stderr=log, user=user, cwd=folder,
        )  # fmt: skip


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Connection string of a PostgreSQL server of this run alone, which keeps nothing."""
    library("psycopg")
    psycopg = importlib.import_module("psycopg")
    user = _server_user()
    # a short path: that of a socket has room for 107 bytes
    with tempfile.TemporaryDirectory(prefix="ferrule-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if user is not None:
            shutil.chown(folder, user)
        process = _start_postgres(folder, user)
        where = f"host={folder} user=ferrule dbname=postgres"
        try:
            end = time.monotonic() + 30
            while True:
                try:
                    psycopg.connect(where, connect_timeout=5).close()
                    break
                except psycopg.OperationalError:
                    if process.poll() is not None or time.monotonic() > end:
                        log = (folder / "log").read_text()
                        missing("postgres", f"did not start: {log}")
                    time.sleep(0.05)
            yield where
        finally:
            process.send_signal(signal.SIGINT)  # fast shutdown
            process.wait(30)
