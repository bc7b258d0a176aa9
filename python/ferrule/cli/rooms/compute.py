"""The compute room: filters over lists and buffers.

The values of the readings, in a random order that is the same every time: of a series that rises,
the branches of a loop would be predicted.
"""

from __future__ import annotations

import importlib
import random
from array import array
from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Implementation, Namespace, Operation, Room, extend

#: Values of a list or buffer, of a short list, and of a buffer that no cache near the core holds.
MANY, FEW, LARGE = 10_000, 3, 1_000_000

#: Filters of the same names in all implementations: of a list, and of a buffer.
_ABOVE = """
def mask(values, threshold):
    return above(values, threshold, out="mask")

def indices(values, threshold):
    return above(values, threshold, out="indices")
"""

_ARTICLE = """
class Filter:
    def __init__(self, threshold):
        self.threshold = threshold

    def __call__(self, data):
        return [x for x in data if x > self.threshold]

def mask(values, threshold):
    return [x > threshold for x in values]

def indices(values, threshold):
    return [i for i, x in enumerate(values) if x > threshold]
"""

_NUMPY = """
def above(values, threshold):
    return values[values > threshold]

def mask(values, threshold):
    return values > threshold

def indices(values, threshold):
    return numpy.flatnonzero(values > threshold)
"""

PURE = Implementation("pure", "pure", "from ferrule.pure.compute import above\n", _ABOVE)
ARTICLE = Implementation("article", "article", "", _ARTICLE)
NATIVE = Implementation("ferrule", "native", "from ferrule.compute import above\n", _ABOVE)
NUMPY = Implementation("numpy", "peer", "import numpy\n", _NUMPY, needs="numpy")


def chosen(rows: Sequence[Reading], count: int) -> tuple[list[float], float]:
    """So many values, and what half of them are above; objects as they are when just read."""
    values = [value for _, value, _ in extend(rows, count)]
    random.Random(7).shuffle(values)
    return [value * 1.0 for value in values], sorted(values)[count // 2]


def _list(namespace: Namespace, rows: Sequence[Reading], count: int = MANY) -> None:
    given, threshold = chosen(rows, count)
    namespace["given"], namespace["threshold"] = given, threshold
    if "Filter" in namespace:
        namespace["predict"] = namespace["Filter"](threshold)


def _short(namespace: Namespace, rows: Sequence[Reading]) -> None:
    _list(namespace, rows, FEW)


def _ints(namespace: Namespace, rows: Sequence[Reading]) -> None:
    values, threshold = chosen(rows, MANY)
    namespace["given"] = [round(value * 100) for value in values]
    namespace["predict"] = namespace["Filter"](threshold * 100) if "Filter" in namespace else None
    namespace["threshold"] = threshold * 100


def _array(namespace: Namespace, rows: Sequence[Reading]) -> None:
    values, namespace["threshold"] = chosen(rows, MANY)
    namespace["given"] = array("d", values)


def _buffer(
    namespace: Namespace,
    rows: Sequence[Reading],
    dtype: str = "f8",
    count: int = MANY,
    step: int = 1,
) -> None:
    """A NumPy array; for u1 what is left of the values in a byte."""
    numpy = importlib.import_module("numpy")
    values, threshold = chosen(rows, count * step)
    if dtype == "u1":
        values, threshold = [round(value * 100) % 256 for value in values], 127
    namespace["given"] = numpy.array(values, dtype)[::step]
    # NumPy rounds a threshold to the array's type, ferrule does not
    namespace["threshold"] = numpy.dtype(dtype).type(threshold).item()


_LISTS, _BUFFERS = {"numpy": None}, {"article": None}
_above = partial(
    Operation, area="compute", statement="above(given, threshold)", loop="", setup=_list, repeat=1
)
_of_list = partial(_above, outcome="result", instead={"article": "predict(given)", **_LISTS})
_of_buffer = partial(
    _above,
    outcome="[str(result.dtype), result.tolist()]",
    setup=_buffer,
    instead=_BUFFERS,
    needs=("numpy",),
)

OPERATIONS = (
    _of_list("list", title=f"list of {MANY:,} floats"),
    _of_list("ints", title=f"list of {MANY:,} ints", setup=_ints),
    _of_list("short", title=f"list of {FEW} floats", setup=_short),
    _above("list_mask", title="mask of a list", statement="mask(given, threshold)",
           outcome="result", instead=_LISTS),
    _above("list_indices", title="indices of a list", statement="indices(given, threshold)",
           outcome="result", instead=_LISTS),
    _above("array", title=f"array of {MANY:,} doubles", outcome="result.tolist()", setup=_array,
           instead={**_LISTS, **_BUFFERS}),
    _of_buffer("buffer", title=f"NumPy, {MANY:,} float64"),
    _of_buffer("buffer_mask", title="mask of it", statement="mask(given, threshold)"),
    _of_buffer("buffer_indices", title="indices of it", statement="indices(given, threshold)"),
    _of_buffer("buffer_strided", title="NumPy, every third float64",
               setup=partial(_buffer, step=3)),
    _of_buffer("buffer_f32", title=f"NumPy, {MANY:,} float32", setup=partial(_buffer, dtype="f4")),
    _of_buffer("buffer_u8", title=f"NumPy, {MANY:,} uint8", setup=partial(_buffer, dtype="u1")),
    _of_buffer("buffer_large", title=f"NumPy, {LARGE:,} float64",
               setup=partial(_buffer, count=LARGE), instead={**_BUFFERS, "pure": None}),
)  # fmt: skip

ROOM = Room(
    "compute",
    "Filters",
    (PURE, ARTICLE, NATIVE, NUMPY),
    OPERATIONS,
    {
        "pure": "from ferrule.pure.compute import above",
        "ferrule": "from ferrule.compute import above",
        "numpy": "import numpy",
    },
    baseline="article",
    headline=("list", f"{MANY:,} floats"),
)
