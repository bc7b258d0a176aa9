"""Temporary files that go with their manager, or with the next start after a crash."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from types import TracebackType
from typing import Any

from .._lifetime import finalize

fcntl: Any
try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None

SUFFIX = ".ferrule-temp"


class _Marker:
    """The file beside a temporary file: its lock says that the owner lives.

    Not for inheritance: exec closes it, and so does a forked child, or the child's copy would
    keep the lock after its parent has crashed.
    """

    __slots__ = ("path", "fd")

    def __init__(self, path: str | bytes, fd: int) -> None:
        self.path = path
        self.fd = fd
        _held.add(self)

    def close(self) -> None:
        _held.discard(self)
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def remove(self) -> None:
        """While the lock is held, so that nobody takes it over in between."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path)
        self.close()


_held: set[_Marker] = set()


def _close_inherited() -> None:
    for marker in list(_held):
        marker.close()


if fcntl is not None:
    os.register_at_fork(after_in_child=_close_inherited)


def _marker_path(path: str | bytes) -> str | bytes:
    if isinstance(path, bytes):
        return os.fsencode(_marker_path(os.fsdecode(path)))
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}{SUFFIX}")


def _lock(path: str | bytes, flags: int) -> _Marker | None:
    """The marker at `path`, locked; None if somebody else has the lock."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may have removed it since it was opened: then the lock is on a file
            # that nobody will find.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False)):
                    marker = _Marker(path, fd)
                    fd = -1
                    return marker
            if not flags:
                return None
        except BlockingIOError:
            return None
        finally:
            if fd >= 0:
                os.close(fd)


def _claim(path: str | bytes, filename: Any) -> _Marker:
    if fcntl is None:
        reason = "sweepable=True needs file locks (fcntl.flock), which this system lacks"
        raise OSError(errno.ENOTSUP, reason, filename)
    marker = _lock(_marker_path(path), os.O_CREAT)
    if marker is None:
        raise FileExistsError(errno.EEXIST, "In use by a live TempFileManager", filename)
    return marker


def _remove(path: str | bytes, marker: _Marker | None) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)
    if marker is not None:
        marker.remove()


def _clean_up(path: str | bytes, marker: _Marker | None) -> None:
    """The last chance: a file that cannot be removed is left, with its marker, to a sweep."""
    try:
        _remove(path, marker)
    finally:
        if marker is not None:
            marker.close()


class TempFileManager:
    """Removes the file `filename` once: by `remove()`, when the manager is collected, or at exit.

    The path is made absolute at once; a file that is not there is no error. Child processes made
    by fork leave their parent's files alone. As a context manager it removes the file at the end.

    With `sweepable=True` a file that a crash left behind can be told from one that is in use: a
    marker beside it, `.<name>.ferrule-temp`, is locked while the owner lives. Then `sweep` removes
    what the dead left, and FileExistsError is raised if `filename` belongs to a live owner.
    """

    __slots__ = ("filename", "_finalizer", "__weakref__")

    def __init__(self, filename: Any, *, sweepable: bool = False) -> None:
        path = os.path.abspath(os.fspath(filename))
        marker = _claim(path, filename) if sweepable else None
        self.filename = filename
        try:
            self._finalizer = finalize(self, _clean_up, path, marker)
        except BaseException:
            if marker is not None:
                marker.remove()
            raise

    def remove(self) -> None:
        """Remove the file now, if that was not done yet.

        OSError if it cannot be removed (but is there); the manager stays active.
        """
        taken = self._finalizer.detach()  # of several threads, one gets it
        if taken is None:
            return
        _, clean_up, arguments, _ = taken
        try:
            _remove(*arguments)
        except BaseException:
            self._finalizer = finalize(self, clean_up, *arguments)
            raise

    @property
    def is_active(self) -> bool:
        """Is the file still to be removed?"""
        return self._finalizer.alive

    def __enter__(self) -> TempFileManager:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.remove()

    @staticmethod
    def sweep(directory: str | bytes | os.PathLike[Any]) -> list[str]:
        """Remove the sweepable files in `directory` whose owners are gone; their paths, sorted.

        Markers without a file go too, unlisted. Markers of other users are not believed, and
        what cannot be removed is left.
        """
        removed = []
        folder = os.fsdecode(directory)
        for marker_name in os.listdir(folder):
            name = marker_name[1 : -len(SUFFIX)]
            if marker_name == f".{name}{SUFFIX}" and name not in ("", ".", ".."):
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    if _sweep(path, os.path.join(folder, marker_name)):
                        removed.append(path)
        return sorted(removed)


def _sweep(path: str, marker_path: str) -> bool:
    """Whether there was a file to remove."""
    found = os.lstat(marker_path)
    if fcntl is None or not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        return False
    marker = _lock(marker_path, 0)
    if marker is None:
        return False
    there = os.path.lexists(path)
    _clean_up(path, marker)
    return there
