"""Pure-Python twin of `ferrule.compute`."""

from __future__ import annotations

import array
import operator
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

__all__ = ["above"]

_OPS: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, name) for name in ("gt", "ge", "lt", "le", "eq", "ne")
}
_FOREIGN = ">!" if sys.byteorder == "little" else "<"


def above(values: Any, threshold: Any, *, op: str = "gt", out: str = "values") -> Any:
    """The values above the threshold (or as `op` says): themselves, a mask or their indices."""
    passes = _OPS[_choose("op", op, tuple(_OPS))]
    _choose("out", out, ("values", "mask", "indices"))
    if isinstance(values, list) or not _is_buffer(values):
        return _pick(_iterable(values), threshold, passes, out)
    view = memoryview(values)
    code = _format(view)
    numbers = [value for (value,) in struct.iter_unpack(code, view.tobytes())]
    found = _pick(numbers, _number(threshold), passes, out)
    if out != "values":
        code = {"mask": "?", "indices": "q"}[out]
    elif code[0] not in _FOREIGN:
        code = code[-1]
    return _wrap(values, found, code, out)


def _choose(parameter: str, given: str, words: Sequence[str]) -> str:
    if not isinstance(given, str):
        raise TypeError(f"above(): {parameter} must be a str, got {type(given).__name__}")
    if given not in words:
        *most, last = map(repr, words)
        wanted = f"{', '.join(most)} or {last}"
        raise ValueError(f"above(): {parameter} must be {wanted}, got {given!r}")
    return given


def _iterable(values: Any) -> Iterable[Any]:
    try:
        found: Iterable[Any] = iter(values)
        return found
    except TypeError:
        if hasattr(type(values), "__iter__"):
            raise
    raise TypeError(f"above(): values must be iterable, got {type(values).__name__}")


def _pick(
    values: Iterable[Any], threshold: Any, passes: Callable[[Any, Any], Any], out: str
) -> list[Any]:
    if out == "values":
        return [value for value in values if passes(value, threshold)]
    if out == "mask":
        return [bool(passes(value, threshold)) for value in values]
    return [i for i, value in enumerate(values) if passes(value, threshold)]


# ---- buffers


def _is_buffer(values: object) -> bool:
    try:
        memoryview(values)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def _format(view: memoryview[Any]) -> str:
    if view.ndim != 1:
        raise TypeError(f"above(): values must have one dimension, got {view.ndim}")
    code = view.format
    letter = code[1:] if code[0] in "@=<>!" else code
    if len(letter) != 1 or letter not in "bBhHiIlLqQnNefd?":
        raise TypeError(f"above(): values must be ints or floats, got a buffer of format '{code}'")
    return code


def _number(threshold: Any) -> float:
    """An int or a float with the value of the threshold."""
    if hasattr(type(threshold), "__index__"):
        return operator.index(threshold)
    if not hasattr(type(threshold), "__float__"):
        raise TypeError(
            "above(): the threshold of a buffer must be an int or a float, "
            f"got {type(threshold).__name__}"
        )
    value = float(threshold)
    if value != threshold and value == value:
        raise ValueError(
            "above(): the threshold of a buffer must be an int or have the value of a float, "
            f"got {threshold!r}"
        )
    return value


def _wrap(values: Any, found: list[Any], code: str, out: str) -> Any:
    if isinstance(values, array.array) and out != "mask":
        return array.array(values.typecode if out == "values" else "q", found)
    packed = bytearray(b"".join(struct.pack(code, value) for value in found))
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(values, numpy.ndarray):
        dtype = {"values": values.dtype, "mask": "?", "indices": "i8"}[out]
        return numpy.ndarray(len(found), dtype, packed)
    if len(code) == 1:
        return memoryview(packed).cast(code)  # type: ignore[call-overload]
    return memoryview(packed)
