"""The twins of `ferrule.validation`."""

from __future__ import annotations

from ._checked import checked
from ._constraint import (
    Constraint,
    Doc,
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
    Sensitive,
    Strip,
    Timezone,
    constraints,
)
from ._descriptor import Bounded, Validated
from ._email import Email
from ._error import ConstraintError
from ._mask import mask
from ._regex import Regex
from ._sql_schema import sql_schema
from ._validate import validate
from ._validated_meta import ValidatedMeta

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
