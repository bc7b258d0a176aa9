"""CRC-32, CRC-32C and the Internet checksum, byte by byte."""

from __future__ import annotations

import functools
import operator
import zlib
from typing import Any

from ._input import contiguous

__all__ = ["crc32", "crc32c", "internet_checksum"]

_CASTAGNOLI = 0x82F63B78  # the polynomial, reflected


def _shifted(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_CASTAGNOLI if value & 1 else 0)
    return value


_TABLE = tuple(map(_shifted, range(256)))


def _begin(function: str, value: Any, limit: int) -> int:
    """The result so far that a checksum goes on from."""
    if not hasattr(type(value), "__index__"):
        raise TypeError(f"{function} value must be an int, not {type(value).__name__}")
    number = operator.index(value)
    if not 0 <= number <= limit:
        raise OverflowError(f"{function} value must be 0 to {limit}, got {number}")
    return number


def crc32(data: Any, value: int = 0) -> int:
    """CRC-32 as `zlib.crc32`; `value` is the result for the bytes before."""
    return zlib.crc32(contiguous("crc32()", data), _begin("crc32()", value, 0xFFFFFFFF))


def crc32c(data: Any, value: int = 0) -> int:
    """CRC-32C, Castagnoli's polynomial. Source: RFC 3720."""
    memory = contiguous("crc32c()", data)
    start = _begin("crc32c()", value, 0xFFFFFFFF)
    return (
        functools.reduce(lambda v, byte: v >> 8 ^ _TABLE[(v ^ byte) & 255], memory, ~start % 2**32)
        ^ 0xFFFFFFFF
    )


def internet_checksum(data: Any, value: int = 0xFFFF) -> int:
    """Ones' complement of the ones' complement sum of big-endian words. Source: RFC 1071."""
    memory = contiguous("internet_checksum()", data)
    total = 0xFFFF - _begin("internet_checksum()", value, 0xFFFF)
    total += sum(memory[0::2]) * 256 + sum(memory[1::2])
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total
