"""Clean-ups that run once, caches that keep nothing alive, async generators that can be counted.

`finalize` is `weakref.finalize` at a fifth of its cost, and a forked child does not run what its
parent registered::

    finalize(connection, os.remove, path)   # when connection dies, at exit at the latest

`Finalizable` is a base class for the same, cheaper still; `TempFileManager` removes a file. In a
`WeakValueDictionary` the values stay only as long as somebody else holds them; it may be iterated
while they die. `AsyncGenTracker` counts async generators by the place that began them: created,
live, finished, and leaked, that is dropped half-way.

Sources: PEP 205 (weak references), PEP 442 (finalization), PEP 525 (asynchronous generators and
their hooks), the Prometheus text format 0.0.4, and the articles' sections "Robust Cleanup with
weakref.finalize", "Use sys.set_asyncgen_hooks" and "Weakref & Garbage Collection".
"""

from __future__ import annotations

from .._lifetime import Finalizable, WeakValueDictionary, finalize
from ._asyncgen import AsyncGenTracker, Site, StatsD, track_asyncgens
from ._temp_file import TempFileManager

__all__ = [
    "AsyncGenTracker",
    "Finalizable",
    "Site",
    "StatsD",
    "TempFileManager",
    "WeakValueDictionary",
    "finalize",
    "track_asyncgens",
]
