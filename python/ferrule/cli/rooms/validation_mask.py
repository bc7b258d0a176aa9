"""Objects masked. The article asks typing at every call."""

from __future__ import annotations

from functools import partial

from ferrule.cli.registry import Footprint, Implementation, Operation, Room
from ferrule.cli.rooms.calls_wrapper import values
from ferrule.cli.rooms.validation_constraint import CLASS

_IMPORTS = "from ferrule{}.validation import MaxLength, MinLength, Sensitive, mask\n"

_OBJECTS = """
fields = dict(
    username="alice", email="a@example.com", password="s3cretpass", ssn="123-45-678", age=3,
    bio=None,
)
user = User(**fields)
users = {"users": [User(**fields) for _ in range(20)]}
"""

_ARTICLE = (
    """
MinLength = lambda n: f"min_len:{n}"
MaxLength = lambda n: f"max_len:{n}"
Sensitive = "sensitive_data"
"""
    + CLASS
    + _OBJECTS
    + """
def mask(obj):
    if isinstance(obj, dict):
        return {key: mask(value) for key, value in obj.items()}
    if isinstance(obj, list):
        return [mask(value) for value in obj]
    out = {}
    for name, tp in typing.get_type_hints(type(obj), include_extras=True).items():
        value = getattr(obj, name)
        if any(m == "sensitive_data" for m in getattr(tp, "__metadata__", ())):
            value = "***"
        out[name] = value
    return out
"""
)

_OURS = (
    CLASS
    + _OBJECTS
    + """
def made(rows):
    return [mask(user) for _ in rows]
"""
)
PURE = Implementation("pure", "pure", _IMPORTS.format(".pure"), "", _OURS)
ARTICLE = Implementation("typing", "article", "", "", _ARTICLE)
NATIVE = Implementation("ferrule", "native", _IMPORTS.format(""), "", _OURS)

_do = partial(Operation, area="validation", setup=values, loop="for v in values", outcome="result")

ROOM = Room(
    "mask",
    "Objects masked",
    (PURE, ARTICLE, NATIVE),
    (
        _do("object", title="mask(obj), six fields", statement="mask(user)"),
        _do("nested", title="mask(20 objects in a dict)", statement="mask(users)"),
    ),
    {},
    baseline="typing",
    footprints=(
        Footprint("ferrule", "ferrule", "made(times)", traced=True, most=20_000),
        Footprint("pure", "pure", "made(times)", most=20_000),
    ),
    counted=("object", "objects"),
    held="Bytes of an object masked: a dict of its six fields.",
    headline=("object", "mask(obj)"),
)
