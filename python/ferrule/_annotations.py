"""Annotations of a class body where they are a function (PEP 649, Python 3.14 and newer)."""

from __future__ import annotations

import importlib
from typing import Any


def of_namespace(namespace: dict[str, Any]) -> dict[str, Any] | None:
    """The annotations of a class body, or None if it has none.

    Names that cannot be resolved give the text of their annotation, as a string annotation would.
    """
    annotationlib: Any = importlib.import_module("annotationlib")
    annotate = annotationlib.get_annotate_from_class_namespace(namespace)
    if annotate is None:
        return None
    found = annotationlib.call_annotate_function(annotate, annotationlib.Format.FORWARDREF)
    forward = annotationlib.ForwardRef
    return {
        name: value.__forward_arg__ if isinstance(value, forward) else value
        for name, value in found.items()
    }
