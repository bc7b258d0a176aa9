"""Classes whose public methods have docstrings. `type` is a class statement without the rule."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Implementation, Namespace, Operation, Room

_ARTICLE = """
class ValidatedMeta(type):
    def __new__(mcs, name: str, bases: tuple, namespace: dict):
        for attr_name, attr_value in namespace.items():
            if callable(attr_value) and not attr_name.startswith("_"):
                if not attr_value.__doc__:
                    raise TypeError(
                        f"{name}.{attr_name} must have a docstring"
                    )
        return super().__new__(mcs, name, bases, namespace)
"""
_USE = '''
def get(self, request):
    """Handle GET request."""

def post(self, request):
    """Handle POST request."""

def bare(self, request):
    pass

def body(i):
    return {"get": get, "post": post, "limit": i, "_helper": bare}

def refused(namespace):
    try:
        ValidatedMeta("BadHandler", (), {**namespace, "bad": bare})
    except TypeError as error:
        return str(error)
'''

PURE = Implementation(
    "pure", "pure", "from ferrule.pure.validation import ValidatedMeta\n", "", _USE
)
ARTICLE = Implementation("article", "article", "", _ARTICLE, _USE)
NATIVE = Implementation(
    "ferrule", "native", "from ferrule.validation import ValidatedMeta\n", "", _USE
)
TYPE = Implementation("type", "bare", "", "ValidatedMeta = type\n", _USE)


def bodies(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """Class bodies."""
    namespace["bodies"] = [namespace["body"](i) for i in range(len(rows))]


_operation = partial(
    Operation, area="validation", setup=bodies, loop="for namespace in bodies", repeat=1
)
ROOM = Room(
    "validated_meta",
    "Classes whose methods have docstrings",
    (PURE, ARTICLE, NATIVE, TYPE),
    (
        _operation(
            "class",
            title="class APIHandler",
            statement="ValidatedMeta('APIHandler', (), namespace)",
            outcome="(result.__name__, result.limit)",
        ),
        _operation(
            "refused class",
            title="class BadHandler, refused",
            statement="refused(namespace)",
            outcome="result",
            instead={"type": None},
        ),
    ),
    {},
    baseline="article",
    headline=("class", "class statement"),
)
