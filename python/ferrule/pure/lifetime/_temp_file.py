"""Twin of `TempFileManager`, on top of the twin's `finalize`."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any

from ._finalize import finalize

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".ferrule-temp"


def _marker(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}{SUFFIX}")


def _lock(path: str, flags: int = 0) -> int:
    """A descriptor of the file with its lock; BlockingIOError if somebody else has it."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), os.lstat(path)):
                return fd
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)


def _remove(path: str, fd: int) -> None:
    Path(path).unlink(missing_ok=True)
    if fd >= 0:
        Path(_marker(path)).unlink(missing_ok=True)
        os.close(fd)


class TempFileManager:
    """Removes the file `filename` once: by `remove()`, when collected, or at exit."""

    def __init__(self, filename: Any, *, sweepable: bool = False) -> None:
        self.filename = filename
        path, fd = os.path.abspath(os.fsdecode(filename)), -1
        if sweepable:
            if fcntl is None:
                raise OSError(errno.ENOTSUP, "sweepable=True needs fcntl.flock", filename)
            try:
                fd = _lock(_marker(path), os.O_CREAT)
            except BlockingIOError:
                raise FileExistsError(
                    errno.EEXIST, "In use by a live TempFileManager", filename
                ) from None
        self._arguments = path, fd
        self._finalizer: finalize[Any] = finalize(self, _remove, path, fd)

    def remove(self) -> None:
        if self._finalizer.detach():
            try:
                _remove(*self._arguments)
            except BaseException:
                self._finalizer = finalize(self, _remove, *self._arguments)
                raise

    @property
    def is_active(self) -> bool:
        return self._finalizer.alive

    def __enter__(self) -> TempFileManager:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()

    @staticmethod
    def sweep(directory: Any) -> list[str]:
        removed, folder = [], os.fsdecode(directory)
        for name in os.listdir(folder):
            path = os.path.join(folder, name[1 : -len(SUFFIX)])
            marker = os.path.join(folder, name)
            if _marker(path) != marker or name in (SUFFIX, f".{SUFFIX}", f"..{SUFFIX}"):
                continue
            with contextlib.suppress(OSError):
                if os.path.isfile(marker) and os.stat(marker).st_uid == os.geteuid():
                    fd, there = _lock(marker), os.path.lexists(path)
                    try:
                        _remove(path, fd)
                    except OSError:
                        os.close(fd)
                        raise
                    removed += [path] * there
        return sorted(removed)
