"""Constraints of annotations, looked up. The article asks typing each time."""

from __future__ import annotations

from functools import partial

from ferrule.cli.registry import Footprint, Implementation, Operation, Room
from ferrule.cli.rooms.calls_wrapper import values

_IMPORTS = "from ferrule{}.validation import Ge, Le, MaxLength, MinLength, Sensitive, constraints\n"

#: The six fields of the anchor: two of them without constraints.
CLASS = """
import typing
from typing import Annotated, Optional

class User:
    username: Annotated[str, MinLength(3), MaxLength(32)]
    email: Annotated[str, MinLength(3), MaxLength(254)]
    password: Annotated[str, MinLength(8), Sensitive]
    ssn: Annotated[str, MinLength(9), MaxLength(11), Sensitive]
    age: Annotated[int, "column"]
    bio: Optional[str]

    def __init__(self, **fields):
        self.__dict__.update(fields)

def functions(rows):
    return []
"""

_OURS = (
    CLASS
    + """
met = User.__annotations__["username"]
fields = tuple(User.__annotations__.values())

def words(found):
    return [str(one) for one in found]

def six():
    return [constraints(tp) for tp in fields]

def made(rows):
    return [Ge(i) for i in range(len(rows))]
"""
)

#: As in the article: metadata is strings, and whoever wants it asks typing.
_ARTICLE = (
    """
MinLength = lambda n: f"min_len:{n}"
MaxLength = lambda n: f"max_len:{n}"
Sensitive = "sensitive_data"
"""
    + CLASS
    + """
def words(found):
    return list(found)

def lookup(cls, name):
    return typing.get_type_hints(cls, include_extras=True)[name].__metadata__

def six():
    hints = typing.get_type_hints(User, include_extras=True)
    return [
        tuple(m for m in getattr(tp, "__metadata__", ()) if m != "column") for tp in hints.values()
    ]
"""
)

PURE = Implementation("pure", "pure", _IMPORTS.format(".pure"), "", _OURS)
NATIVE = Implementation("ferrule", "native", _IMPORTS.format(""), "", _OURS)
ARTICLE = Implementation("typing", "article", "", "", _ARTICLE)

_do = partial(Operation, area="validation", setup=values, loop="for v in values")

ROOM = Room(
    "constraint",
    "Constraints of an annotation",
    (PURE, ARTICLE, NATIVE),
    (
        _do(
            "met",
            title="of an annotation met before",
            statement="constraints(met)",
            instead={"typing": 'lookup(User, "username")'},
            outcome="words(result)",
        ),
        _do(
            "six",
            title="of the six fields of a class",
            statement="six()",
            outcome="[words(one) for one in result]",
        ),
        _do(
            "make",
            title="MinLength(3)",
            statement="MinLength(3)",
            outcome="str(result)",
        ),
        _do(
            "equal",
            title="MinLength(3) == MinLength(3)",
            statement="MinLength(3) == MinLength(3)",
            outcome="result",
            instead={"typing": None},
        ),
    ),
    {},
    baseline="typing",
    footprints=(
        Footprint("ferrule", "ferrule", "made(times)", traced=True, most=20_000),
        Footprint("pure", "pure", "made(times)", most=20_000),
    ),
    counted=("constraint", "constraints"),
    held="Bytes of a constraint, with its bound and its place in a list.",
    headline=("met", "constraints(tp)"),
)
