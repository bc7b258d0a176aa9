"""Twin of `ferrule.calls.ModelInference`: the article's class, which counts under a lock."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

_counting = threading.Lock()


class ModelInference:
    """A function with a state: gives what of its data is above the threshold."""

    def __init__(self, model_path: Any, threshold: Any = 0.5) -> None:
        self.model = self._load_model(model_path)
        self.threshold = threshold
        self.inference_count = 0

    def _load_model(self, path: Any) -> Any:
        return f"Model({path})"

    def __call__(self, data: Iterable[Any]) -> list[Any]:
        with _counting:
            self.inference_count += 1
        threshold = self.threshold
        return [x for x in data if x > threshold]
