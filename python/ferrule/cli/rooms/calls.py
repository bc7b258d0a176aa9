"""Functions that carry work: the wrapper without any, and each with its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ferrule.cli.load import Reading
from ferrule.cli.registry import Room
from ferrule.cli.rooms import (
    calls_cache,
    calls_counted,
    calls_logged,
    calls_model_inference,
    calls_rate_limit,
    calls_retry,
    calls_singleton,
    calls_timer,
    calls_wrapper,
)

_PARTS = (
    calls_rate_limit,
    calls_retry,
    calls_cache,
    calls_timer,
    calls_logged,
    calls_counted,
    calls_singleton,
    calls_model_inference,
)


def parts(rows: Sequence[Reading]) -> tuple[Room, ...]:
    return tuple(part.ROOM for part in _PARTS)


ROOM = replace(calls_wrapper.ROOM, parts=parts)
