"""Rules for values: bounded attributes, constraints in `Annotated`, masking, SQL, checked calls.

    Username = Annotated[str, Strip, MinLength(3), Sensitive]

    @checked
    def create_user(name: Username, age: Annotated[int, Ge(0)]) -> User: ...

One set of constraints says what a value may be: `validate` and `checked` hold values to it, `mask`
and `MaskingFilter` keep what is `Sensitive` out of reprs and logs, `sql_schema` hands it to a
database. `Bounded` and `Validated` guard single attributes of any class. docs/validation.md shows
each.

Sources: the articles' sections "Use Descriptors to Build Reusable Attribute Logic", "Metaclasses &
Descriptors" and "Metadata-Driven Logic with typing.Annotated".
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .._validation import (
    Bounded,
    Constraint,
    ConstraintError,
    Doc,
    Email,
    Ge,
    Gt,
    Interval,
    Le,
    Length,
    Lt,
    MaxLength,
    MinLength,
    MultipleOf,
    Predicate,
    Regex,
    Sensitive,
    Strip,
    Timezone,
    Validated,
    ValidatedMeta,
    checked,
    constraints,
    mask,
    sql_schema,
    validate,
)

if TYPE_CHECKING:
    from ._masking import MaskingFilter

__all__ = [
    "Bounded",
    "Constraint",
    "ConstraintError",
    "Doc",
    "Email",
    "Ge",
    "Gt",
    "Interval",
    "Le",
    "Length",
    "Lt",
    "MaskingFilter",
    "MaxLength",
    "MinLength",
    "MultipleOf",
    "Predicate",
    "Regex",
    "Sensitive",
    "Strip",
    "Timezone",
    "Validated",
    "ValidatedMeta",
    "checked",
    "constraints",
    "mask",
    "sql_schema",
    "validate",
]


def __getattr__(name: str) -> Any:
    # logging is half of the import's time, and only this wants it
    if name == "MaskingFilter":
        return getattr(importlib.import_module(f"{__name__}._masking"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
