"""Contract of the native memory room; ferrule.memory is its public face."""

from collections.abc import Callable
from os import PathLike
from typing import SupportsIndex, TypeAlias, final

_Path: TypeAlias = str | bytes | PathLike[str] | PathLike[bytes]

# ---- usage

def _usage(
    pid: SupportsIndex | None = None, proc: _Path = "/proc"
) -> tuple[int, int, int, int, int]: ...
def _children(pid: SupportsIndex | None = None, proc: _Path = "/proc") -> list[int]: ...
def _in_main_interpreter() -> bool: ...

# ---- freeze

_IMMORTAL: bool

@final
class _Guard:
    __spec__: None

def _walk(keep: tuple[object, ...], immortal: bool, hash: bool, /) -> dict[str, int]: ...
def _threads() -> int: ...
def _interpreters() -> int: ...
def _set_guard(
    unfreeze: Callable[[], object],
    freeze: Callable[[], object],
    late: tuple[type, ...],
    lower: tuple[type, ...],
    closing: tuple[type, ...],
    /,
) -> None: ...
def _note_threads() -> None: ...
