"""`above`: the bars that filters have to reach, over the compute room.

A list of 10,000 floats is filtered by `above` and by the article's class, whose comprehension reads
its threshold from an attribute; a NumPy array by `above` and by NumPy's boolean mask.
"""

from __future__ import annotations

from benchmarks.bars import Bar, Cost, Fixed, Import, Ratio
from ferrule.cli.rooms.compute import MANY, ROOM

__all__ = ["BARS", "COSTS", "ELSEWHERE", "ROOM"]

BARS: tuple[Bar, ...] = (
    Bar("list of floats: the article / above", Ratio("list", "article", "ferrule"), 15, least=True),
    Bar("float64 buffer: NumPy's mask / above", Ratio("buffer", "numpy", "ferrule"), 3, least=True),
    Bar("list of ints: the article / above", Ratio("ints", "article", "ferrule")),
    Bar("short list: the article / above", Ratio("short", "article", "ferrule")),
    Bar("mask of a list: comprehension / above", Ratio("list_mask", "article", "ferrule")),
    Bar("indices of a list: comprehension / above", Ratio("list_indices", "article", "ferrule")),
    Bar("mask of a buffer: NumPy / above", Ratio("buffer_mask", "numpy", "ferrule")),
    Bar("indices of a buffer: NumPy / above", Ratio("buffer_indices", "numpy", "ferrule")),
    Bar("large float64 buffer: NumPy / above", Ratio("buffer_large", "numpy", "ferrule")),
    Bar("strided float64 buffer: NumPy / above", Ratio("buffer_strided", "numpy", "ferrule")),
    Bar("float32 buffer: NumPy / above", Ratio("buffer_f32", "numpy", "ferrule")),
    Bar("uint8 buffer: NumPy / above", Ratio("buffer_u8", "numpy", "ferrule")),
    Bar("list of floats, ns each", Fixed("list", "ferrule", 1 / MANY)),
    Bar("float64 buffer, ns each", Fixed("buffer", "ferrule", 1 / MANY)),
    Bar("import over typing, ms", Import("ferrule")),
)  # fmt: skip

COSTS: tuple[Cost, ...] = ()

#: What this module cannot measure, and where it is shown.
ELSEWHERE = (
    "the levels of vector instructions: FERRULE_CPU=avx2 python -m benchmarks run compute",
)
