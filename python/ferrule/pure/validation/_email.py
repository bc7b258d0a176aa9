"""Twin of `Email`."""

from __future__ import annotations

from .._email_address import reason


class _Email:
    """The str is an address of electronic mail."""

    def __call__(self) -> _Email:
        return self

    def __repr__(self) -> str:
        return "Email"

    def __reduce__(self) -> str:
        return "Email"


Email = _Email()


def _email_check(address: str, /) -> bool:
    """Is the str an address of electronic mail?"""
    if not isinstance(address, str):
        raise TypeError(f"_email_check() wants a str, not {type(address).__name__!r}")
    return reason(str.__str__(address)) is None
