"""Rules for values: attributes, annotations, patterns, calls, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ferrule.cli.load import Reading
from ferrule.cli.registry import Room
from ferrule.cli.rooms import (
    validation_checked,
    validation_constraint,
    validation_descriptor,
    validation_email,
    validation_mask,
    validation_regex,
    validation_sql_schema,
    validation_validate,
    validation_validated_meta,
)

_PARTS = (
    validation_constraint,
    validation_validate,
    validation_regex,
    validation_email,
    validation_checked,
    validation_mask,
    validation_sql_schema,
    validation_validated_meta,
)


def parts(rows: Sequence[Reading]) -> tuple[Room, ...]:
    return tuple(part.ROOM for part in _PARTS)


ROOM = replace(validation_descriptor.ROOM, parts=parts)
