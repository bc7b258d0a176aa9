"""ferrule: native parts for Python programs that are too slow or too fat.

The rooms (``ferrule.records`` and those that follow) are imported when first used.
"""

from __future__ import annotations

import importlib
import os.path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "get_include",
    "calls",
    "compute",
    "lifetime",
    "memory",
    "pure",
    "records",
    "validation",
    "wire",
]

_MODULES = frozenset(
    {"calls", "compute", "lifetime", "memory", "pure", "records", "validation", "wire"}
)


def get_include() -> str:
    """Folder of the C headers other extensions may include."""
    return os.path.join(os.path.dirname(__file__), "include")


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
