"""Bytes that others lay out: views, packets one by one and by the million, checksums, captures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ferrule.cli.load import Reading
from ferrule.cli.registry import Room
from ferrule.cli.rooms import (
    wire_bulk,
    wire_checksum,
    wire_lazy,
    wire_packet,
    wire_pcap,
    wire_view,
)

_PARTS = (wire_packet, wire_lazy, wire_bulk, wire_checksum)


def parts(rows: Sequence[Reading]) -> tuple[Room, ...]:
    """The frames of the last part are those of the readings, if these are of a capture."""
    return (*(part.ROOM for part in _PARTS), wire_pcap.room(rows))


ROOM = replace(wire_view.ROOM, parts=parts)
