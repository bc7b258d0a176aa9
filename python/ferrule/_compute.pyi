"""Contract of the native compute room; ferrule.compute is its public face."""

from array import array
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, TypeVar, overload

_T = TypeVar("_T")
_Number = TypeVar("_Number", int, float)
_Op: TypeAlias = Literal["gt", "ge", "lt", "le", "eq", "ne"]

cpu: str

# ---- filter

@overload
def above(
    values: array[_Number], threshold: float, *, op: _Op = "gt", out: Literal["values"] = "values"
) -> array[_Number]: ...
@overload
def above(
    values: array[Any], threshold: float, *, op: _Op = "gt", out: Literal["mask"]
) -> memoryview[bool]: ...
@overload
def above(
    values: array[Any], threshold: float, *, op: _Op = "gt", out: Literal["indices"]
) -> array[int]: ...
@overload
def above(
    values: bytes | bytearray | memoryview[Any],
    threshold: float,
    *,
    op: _Op = "gt",
    out: Literal["values", "mask", "indices"] = "values",
) -> memoryview[Any]: ...
@overload
def above(
    values: list[_T] | tuple[_T, ...],
    threshold: Any,
    *,
    op: _Op = "gt",
    out: Literal["values"] = "values",
) -> list[_T]: ...
@overload
def above(
    values: list[Any] | tuple[Any, ...], threshold: Any, *, op: _Op = "gt", out: Literal["mask"]
) -> list[bool]: ...
@overload
def above(
    values: list[Any] | tuple[Any, ...], threshold: Any, *, op: _Op = "gt", out: Literal["indices"]
) -> list[int]: ...

# another iterable gives a list, another buffer (NumPy's) a buffer
@overload
def above(
    values: Iterable[Any],
    threshold: Any,
    *,
    op: _Op = "gt",
    out: Literal["values", "mask", "indices"] = "values",
) -> Any: ...
