"""What packet layouts are declared with, shared by `ferrule.wire` and its twin.

Markers stand in `Annotated`. A field that gives a length, a count or a tag stands before the field
that it measures, in the same record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import EllipsisType
from typing import Any

__all__ = [
    "Bits", "Count", "Crc32", "Crc32c", "InternetChecksum", "SizedBy", "Tagged", "WireError",
]  # fmt: skip


class WireError(ValueError):
    """Bytes are not what a layout says.

    `offset` counts bytes from the buffer's first; `wanted` and `had` are numbers of bytes where
    the buffer is short, else what should have stood there and what did. `where` names the class
    and field, or the function.
    """

    def __init__(self, offset: int, wanted: Any, had: Any, *, where: str = "") -> None:
        super().__init__(offset, wanted, had)
        self.offset, self.wanted, self.had, self.where = offset, wanted, had, where

    def __str__(self) -> str:
        wanted = self.wanted
        if isinstance(wanted, int):
            wanted = "1 byte" if wanted == 1 else f"{wanted} bytes"
        text = f"byte {self.offset}: wanted {wanted}, had {self.had}"
        return f"{self.where}: {text}" if self.where else text

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, {"where": self.where}


class _Marker:
    """Compares, hashes and shows itself by its parts, and cannot be changed."""

    __slots__ = ("parts",)
    parts: tuple[Any, ...]

    def _set(self, *parts: Any) -> None:
        object.__setattr__(self, "parts", parts)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.parts == other.parts

    def __hash__(self) -> int:
        return hash((type(self).__name__, *map(repr, self.parts)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.parts))})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.parts


def _number(where: str, value: Any, low: int, high: int) -> int:
    if type(value) is not int:
        raise TypeError(f"{where} wants an int, got {type(value).__name__} {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{where} wants {low} to {high}, got {value}")
    return value


def _name(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{where} wants a field's name, got {type(value).__name__} {value!r}")
    return value


class Bits(_Marker):
    """`Annotated[int, Bits(n)]`: an unsigned number of n bits, 1 to 64.

    Neighbouring bit fields share bytes until they fill a whole number of them: the first is the
    most significant in a big-endian record, the least significant in a little-endian one.
    `Annotated[bool, Bits(1)]` is a flag; an Enum in place of int gives its members.
    """

    __slots__ = ()

    def __init__(self, n: int) -> None:
        self._set(_number("Bits()", n, 1, 64))

    @property
    def n(self) -> int:
        return int(self.parts[0])


class Count(_Marker):
    """`Annotated[tuple[u16, ...], Count(n)]`: n items, or as many as the field named n says."""

    __slots__ = ()

    def __init__(self, n: int | str) -> None:
        self._set(n if isinstance(n, str) else _number("Count()", n, 0, (1 << 32) - 2))

    @property
    def n(self) -> int | str:
        return self.parts[0]  # type: ignore[no-any-return]


class SizedBy(_Marker):
    """`Annotated[bytes, SizedBy("n")]`: as long as field n says: n * scale - less bytes.

    So an IPv4 header's options are `SizedBy("header_words", 4, 20)`. `str` in place of bytes is
    UTF-8.
    """

    __slots__ = ()

    def __init__(self, name: str, scale: int = 1, less: int = 0) -> None:
        _number("SizedBy() scale", scale, 1, 65536)
        _number("SizedBy() less", less, 0, 1 << 30)
        self._set(_name("SizedBy()", name), scale, less)

    @property
    def name(self) -> str:
        return self.parts[0]  # type: ignore[no-any-return]

    @property
    def scale(self) -> int:
        return self.parts[1]  # type: ignore[no-any-return]

    @property
    def less(self) -> int:
        return self.parts[2]  # type: ignore[no-any-return]


class _Checksum(_Marker):
    __slots__ = ()

    def __init__(self, over: str | Sequence[str] | EllipsisType | None = None) -> None:
        if isinstance(over, str):
            over = (over,)
        names = None
        if over is not None and over is not ...:
            if not isinstance(over, (tuple, list)) or not over:
                raise TypeError(f"{type(self).__name__}() over wants names of fields, got {over!r}")
            names = tuple(_name(f"{type(self).__name__}() over", name) for name in over)
        self._set(names)

    @property
    def over(self) -> tuple[str, ...] | None:
        return self.parts[0]  # type: ignore[no-any-return]


class Crc32(_Checksum):
    """`Annotated[u32, Crc32(over="payload")]`: CRC-32 as zlib.crc32, of the bytes of the fields.

    `over` names one field or several, whose bytes are taken in the order in which they lie; None:
    all other bytes of the record. Computed when a record is packed, whatever its field holds, and
    checked when it is read. Source: ISO 3309, RFC 1952.
    """

    __slots__ = ()


class Crc32c(_Checksum):
    """`Annotated[u32, Crc32c(over=…)]`: CRC-32 with Castagnoli's polynomial. Source: RFC 3720."""

    __slots__ = ()


class InternetChecksum(_Checksum):
    """`Annotated[u16, InternetChecksum(over=…)]`: ones' complement of the ones' complement sum.

    Of big-endian 16-bit words, whatever the order of the record; its own bytes count as zero, an
    odd last byte as a word's high half. Source: RFC 1071.
    """

    __slots__ = ()


class Tagged(_Marker):
    """`Annotated[A | B, Tagged("kind", {1: A, 2: B})]`: a record chosen by an earlier field.

    `default` is what other tags mean: a record class, or bytes for all that is left (as a case's
    value may be, too); without one they are an error.
    """

    __slots__ = ()

    def __init__(self, name: str, cases: Mapping[Any, type], default: type | None = None) -> None:
        if not isinstance(cases, Mapping) or not cases:
            raise TypeError(f"Tagged() wants a mapping of tags to records, got {cases!r}")
        self._set(_name("Tagged()", name), dict(cases), default)

    @property
    def name(self) -> str:
        return self.parts[0]  # type: ignore[no-any-return]

    @property
    def cases(self) -> dict[Any, type]:
        return self.parts[1]  # type: ignore[no-any-return]

    @property
    def default(self) -> type | None:
        return self.parts[2]  # type: ignore[no-any-return]
