"""Values checked against annotations. The article reads the annotations at every call."""

from __future__ import annotations

from functools import partial

from ferrule.cli.registry import Implementation, Operation, Room
from ferrule.cli.rooms.calls_wrapper import values
from ferrule.cli.rooms.validation_constraint import CLASS

_IMPORTS = (
    "from ferrule{}.validation import Ge, Le, MaxLength, MinLength, Sensitive, Strip, validate\n"
)

_VALUES = """
good = User(
    username="alice", email="a@example.com", password="s3cretpass", ssn="123-45-678",
    age=3, bio=None,
)
bad = User(
    username="al", email="a@example.com", password="s3cretpass", ssn="123-45-678", age=3, bio=None
)
port = Annotated[int, Ge(1), Le(65535)]
numbers, tags = list(range(100)), [f"tag{i}" for i in range(100)]
scores = {f"key{i}": i for i in range(100)}
"""

_OURS = (
    CLASS
    + _VALUES
    + """
ints, strs = list[int], list[Annotated[str, MinLength(1)]]
mapping = dict[str, Annotated[int, Ge(0)]]

def check(obj):
    validate(obj, User)
    return obj

def refused(value, tp):
    try:
        validate(value, tp)
    except ValueError:
        return "refused"
"""
)

#: As in the article: hints asked for, metadata looked at, at each call; only what it knows.
_ARTICLE = (
    """
class Bound:
    def __init__(self, n):
        self.n = n

class MinLength(Bound):
    pass

class MaxLength(Bound):
    pass

class Ge(Bound):
    pass

class Le(Bound):
    pass

Sensitive = "sensitive_data"
"""
    + CLASS
    + _VALUES
    + """
def look(value, tp):
    for m in getattr(tp, "__metadata__", ()):
        if isinstance(m, MaxLength):
            if len(value) > m.n:
                raise ValueError
        elif isinstance(m, MinLength):
            if len(value) < m.n:
                raise ValueError
        elif isinstance(m, Ge):
            if not value >= m.n:
                raise ValueError
        elif isinstance(m, Le):
            if not value <= m.n:
                raise ValueError
    return value

def check(obj):
    for name, tp in typing.get_type_hints(type(obj), include_extras=True).items():
        look(getattr(obj, name), tp)
    return obj

def refused(value, tp):
    try:
        check(value)
    except ValueError:
        return "refused"
"""
)

_PYDANTIC = (
    """
Ge = lambda n: Field(ge=n)
Le = lambda n: Field(le=n)
MinLength = lambda n: Field(min_length=n)
MaxLength = lambda n: Field(max_length=n)
Sensitive = "sensitive_data"
"""
    + CLASS
    + _VALUES
    + """
ints, strs = list[int], list[Annotated[str, MinLength(1)]]
mapping = dict[str, Annotated[int, Ge(0)]]
strict = ConfigDict(strict=True)
check_port, check_ints, check_strs, check_mapping = (
    TypeAdapter(tp, config=strict).validate_python for tp in (port, ints, strs, mapping)
)
"""
)

PURE = Implementation("pure", "pure", _IMPORTS.format(".pure"), "", _OURS)
NATIVE = Implementation("ferrule", "native", _IMPORTS.format(""), "", _OURS)
ARTICLE = Implementation("typing", "article", "", "", _ARTICLE)
PYDANTIC = Implementation(
    "pydantic",
    "peer",
    "from pydantic import ConfigDict, Field, TypeAdapter\n",
    "",
    _PYDANTIC,
    needs="pydantic",
)

_do = partial(Operation, area="validation", setup=values, loop="for v in values", repeat=2)
#: What pydantic has no objects for.
_OBJECTS: dict[str, str | None] = {"pydantic": None}


def _types(statement: str) -> dict[str, str | None]:
    """The article does not look at these; pydantic has a function made for each."""
    return {"typing": None, "pydantic": statement}


ROOM = Room(
    "validate",
    "Values against annotations",
    (PURE, ARTICLE, NATIVE, PYDANTIC),
    (
        _do(
            "fields",
            title="an object of six fields",
            statement="validate(good, User)",
            outcome="result is good",
            instead={"typing": "check(good)", **_OBJECTS},
        ),
        _do(
            "refused",
            title="an object refused",
            statement="refused(bad, User)",
            outcome="result",
            instead=_OBJECTS,
        ),
        _do(
            "int",
            title="Annotated[int, Ge, Le]",
            statement="validate(8080, port)",
            outcome="result",
            instead={"typing": "look(8080, port)", "pydantic": "check_port(8080)"},
        ),
        _do(
            "ints",
            title="list[int] of 100",
            statement="validate(numbers, ints)",
            outcome="result == numbers",
            instead=_types("check_ints(numbers)"),
        ),
        _do(
            "strs",
            title="list of 100 str with a minimum",
            statement="validate(tags, strs)",
            outcome="result == tags",
            instead=_types("check_strs(tags)"),
        ),
        _do(
            "dict",
            title="dict of 100 with a minimum",
            statement="validate(scores, mapping)",
            outcome="result == scores",
            instead=_types("check_mapping(scores)"),
        ),
    ),
    {},
    baseline="typing",
    headline=("fields", "validate(obj, cls)"),
)
