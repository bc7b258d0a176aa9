"""Streams of records to columns: the bars they have to reach, over NumPy and struct."""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Fixed, Ratio
from ferrule.cli.rooms.wire_bulk import MANY, ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("into given columns: NumPy / ferrule", Ratio("bulk_given", "numpy", "ferrule"), 1.6,
        least=True),
    Bar("fresh: NumPy / ferrule", Ratio("bulk_fresh", "numpy", "ferrule"), 1, least=True),
    Bar("into given columns: list(iter_unpack) / ferrule",
        Ratio("bulk_given", "struct", "ferrule"), 90, least=True),
    Bar("CRC-32 verified: NumPy / ferrule", Ratio("bulk_crc", "numpy", "ferrule"), 7, least=True),
    Bar("length-prefixed index / struct loop", Ratio("bulk_index", "ferrule", "struct"), 0.1),
    Bar("few rows: NumPy / ferrule", Ratio("bulk_few", "numpy", "ferrule")),
    Bar("few rows: the twin / ferrule", Ratio("bulk_few", "pure", "ferrule")),
    Bar("few records found: the twin / ferrule", Ratio("bulk_few_index", "pure", "ferrule")),
    Bar("into given columns, ns a row", Fixed("bulk_given", "ferrule", 1 / MANY)),
    Bar("CRC-32 verified, ns a row", Fixed("bulk_crc", "ferrule", 1 / MANY)),
)  # fmt: skip

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = (
    "the levels of vector instructions, of which AVX-512 has to reach 1.9 into given columns and "
    "15 with CRC-32: FERRULE_CPU=avx2 python -m benchmarks run wire",
)
