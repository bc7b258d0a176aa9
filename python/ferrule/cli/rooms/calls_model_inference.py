"""A function with a state: the article's class that filters and counts.

Of an empty list the call alone is timed, and beside it a function that filters nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Implementation, Namespace, Operation, Room
from ferrule.cli.rooms.compute import FEW, MANY, chosen

_MADE = """
predict = ModelInference("path/to/weights.bin", 0.5)
"""

_ARTICLE = """
class ModelInference:
    def __init__(self, model_path, threshold=0.5):
        self.model = self._load_model(model_path)
        self.threshold = threshold
        self.inference_count = 0

    def _load_model(self, path):
        return f"Model({path})"

    def __call__(self, data):
        self.inference_count += 1
        return [x for x in data if x > self.threshold]
"""

_FUNCTION = """
def predict(data):
    return [x for x in data if x > predict.threshold]

predict.model, predict.threshold = "Model(path/to/weights.bin)", 0.5
"""

_NAMES = "calls import ModelInference\n"
PURE = Implementation("pure", "pure", f"from ferrule.pure.{_NAMES}", _MADE)
ARTICLE = Implementation("article", "article", "", _ARTICLE + _MADE)
NATIVE = Implementation("ferrule", "native", f"from ferrule.{_NAMES}", _MADE)
FUNCTION = Implementation("function", "bare", "", _FUNCTION)


def _data(namespace: Namespace, rows: Sequence[Reading], count: int) -> None:
    given, threshold = chosen(rows, count) if count else ([], 0.5)
    namespace["given"], namespace["predict"].threshold = given, threshold


_predict = partial(
    Operation,
    area="calls",
    statement="predict(given)",
    loop="",
    outcome="[result, predict.model]",
    repeat=1,
)

OPERATIONS = (
    _predict("empty", title="call with an empty list", setup=partial(_data, count=0), repeat=100),
    _predict("few", title=f"call with {FEW} floats", setup=partial(_data, count=FEW), repeat=100),
    _predict("many", title=f"call with {MANY:,} floats", setup=partial(_data, count=MANY)),
    _predict(
        "make",
        title="make one",
        statement='ModelInference("path/to/weights.bin", 0.25)',
        outcome="[result.model, result.threshold, result.inference_count]",
        setup=partial(_data, count=0),
        repeat=100,
        instead={"function": None},
    ),
)

ROOM = Room(
    "model_inference",
    "A function with a state",
    (PURE, ARTICLE, NATIVE, FUNCTION),
    OPERATIONS,
    {},
    baseline="article",
    headline=("many", f"{MANY:,} floats"),
)
