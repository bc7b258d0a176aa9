"""Pure-Python twin of `ferrule.lifetime`, on top of `weakref` and `sys.set_asyncgen_hooks`."""

from __future__ import annotations

from ._asyncgen import AsyncGenTracker, Site, StatsD, track_asyncgens
from ._finalize import Finalizable, finalize
from ._temp_file import TempFileManager
from ._weak_dict import WeakValueDictionary

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
