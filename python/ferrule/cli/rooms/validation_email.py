"""Addresses of electronic mail; the network is never asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Implementation, Namespace, Operation, Room

_VALIDATED = """
from typing import Annotated

Address = Annotated[str, Email]

def check(address):
    try:
        validate(address, Address)
    except ValueError:
        return False
    return True
"""
_LIBRARY = """
def check(address):
    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return False
    return True
"""

PURE = Implementation(
    "pure", "pure", "from ferrule.pure.validation._email import _email_check as check\n", ""
)
NATIVE = Implementation(
    "ferrule", "native", "from ferrule._validation import _email_check as check\n", ""
)
VALIDATE = Implementation(
    "validate", "native", "from ferrule.validation import Email, validate\n", _VALIDATED
)
LIBRARY = Implementation(
    "email-validator",
    "peer",
    "from email_validator import EmailNotValidError, validate_email\n",
    _LIBRARY,
    needs="email_validator",
)


def _given(namespace: Namespace, rows: Sequence[Reading]) -> None:
    count = range(len(rows))
    namespace["good"] = [f"john.smith{i}@mail.example.com" for i in count]
    namespace["bad"] = [f"john.smith{i}@mail..example.com" for i in count]
    namespace["wide"] = [f"jürgen{i}@example.com" for i in range(len(rows[:32]))]
    namespace["idna"] = [f"john{i}@bücher.example.com" for i in range(len(rows[:32]))]


_check = partial(
    Operation,
    area="validation",
    setup=_given,
    statement="check(a)",
    outcome="result",
    repeat=1,
)

ROOM = Room(
    "email",
    "Addresses",
    (PURE, NATIVE, VALIDATE, LIBRARY),
    (
        _check("good", title="a typical address", loop="for a in good"),
        _check("bad", title="refused", loop="for a in bad"),
        _check("wide", title="international, before the @", loop="for a in wide"),
        _check("idna", title="international, after the @", loop="for a in idna"),
    ),
    {},
    baseline="email-validator",
    headline=("good", "address"),
)
