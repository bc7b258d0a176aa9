"""Twin of `ValidatedMeta`."""

from __future__ import annotations

from typing import Any


class ValidatedMeta(type):
    """Metaclass of classes whose public methods all have docstrings."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, **kwargs: Any
    ) -> Any:
        for attribute, value in [*namespace.items()]:
            public = isinstance(attribute, str) and not attribute.startswith("_")
            if public and callable(value) and not value.__doc__:
                raise TypeError(f"{name}.{attribute} must have a docstring")
        return super().__new__(mcs, name, bases, namespace, **kwargs)
