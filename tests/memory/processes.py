"""Servers as processes of a test's own, and how much memory they have to themselves."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import ferrule

APPS = Path(__file__).parent / "apps"
#: Records of the catalogue in apps/, about 20 MB of objects.
RECORDS = 8000
#: Private memory of a worker that has read all of it, in bytes. What a worker needs for itself is
#: about 2 MB; references counted in shared objects cost about 16.
SHARED_AT_MOST = 8_000_000
COPIED_AT_LEAST = 11_000_000
#: Where nothing is frozen, the permanent generation may still hold objects: the collector of 3.12
#: moves there what Python itself has made immortal.
FEW = 1000
SECONDS = 30.0

#: Whether this Python can share what is read: objects whose references nobody counts.
IMMORTAL = (
    importlib.util.find_spec("ferrule._memory") is not None
    and sys.version_info >= (3, 12)
    and bool(getattr(sys, "_is_gil_enabled", lambda: True)())
)


def private(process: int) -> int:
    """Bytes that `process` has written to and shares with nobody."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"^Private_Dirty: +(\d+) kB$", text, re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def children(process: int) -> set[int]:
    found = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return {int(number) for number in found.split()}


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited {SECONDS:g} s for {what}"
        time.sleep(0.02)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that imports what is under test and the modules of apps/."""
    paths = [str(APPS), str(Path(ferrule.__file__).parent.parent)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "RECORDS": str(RECORDS),
        **extra,
    }


class Program:
    """`python -m …` in `folder`, in a session of its own; whatever is left of it is killed."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, extra: Mapping[str, str] | None = None
    ) -> None:
        self.arguments = [sys.executable, *arguments]
        self.folder = folder
        self.extra = extra or {}
        self.output = folder / "output"

    def __enter__(self) -> Self:
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                self.arguments,
                cwd=self.folder,
                env=environment(self.extra),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.started()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def started(self) -> None:
        """Wait until the program does its work."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if error is not None:
            error.add_note(f"---- output\n{self.text()}")

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def workers(self) -> set[int]:
        return children(self.process.pid)

    def expect(self, pattern: str, *, times: int = 1) -> re.Match[str]:
        """Wait until the output has `pattern` so many times; the first match."""

        def there() -> bool:
            assert self.process.poll() is None, f"ended: {self.process.poll()}"
            return len(re.findall(pattern, self.text(), re.MULTILINE)) >= times

        wait_until(there, f"{pattern!r} in the output")
        found = re.search(pattern, self.text(), re.MULTILINE)
        assert found
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask the program to end; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)
