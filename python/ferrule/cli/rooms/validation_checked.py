"""Functions whose arguments and results are checked. `bare` is the function alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Footprint, Implementation, Namespace, Operation, Room

_FUNCTIONS = """
from typing import Annotated

def decorated(functions):
    return [checked(f) for f in functions]

@checked
def three(
    a: Annotated[int, Ge(0), Le(100)], b: Annotated[str, MinLength(1)], c: list[int]
) -> int:
    return a

@checked
def types(a: int, b: str, c: list[int]) -> int:
    return a

@checked
def optional(a: int | None = None, b: str = "b") -> object:
    return a

@checked
async def awaited(a: Annotated[int, Ge(0), Le(100)]) -> int:
    return a

class Owner:
    @checked
    def method(self, a: Annotated[int, Ge(0), Le(100)], b: Annotated[str, MinLength(1)]) -> int:
        return a

owner = Owner()

async def many(given):
    for a, b, c in given:
        await awaited(a)

def drive(coroutine):
    try:
        while True:
            coroutine.send(None)
    except StopIteration as stop:
        return stop.value

def refused(a, b, c):
    try:
        three(a, b, c)
    except Refused:
        return "refused"

def functions(rows):
    space = {"Annotated": Annotated, "Ge": Ge, "Le": Le, "MinLength": MinLength}
    made = []
    for _ in rows:
        exec(
            "def f(a: Annotated[int, Ge(0), Le(100)], b: Annotated[str, MinLength(1)],"
            " c: list[int]) -> int: return a",
            space,
        )
        made.append(space["f"])
    return made
"""

_IMPORTS = "from ferrule{}.validation import Ge, Le, MinLength, checked\n"
_OURS = "Refused = (TypeError, ValueError)\n"

_BARE = """
Ge = Le = MinLength = lambda bound: bound

def checked(function):
    return function
"""

#: What one writes by hand: the annotations once more, as statements.
_BY_HAND = """
Ge = Le = MinLength = lambda bound: bound
Refused = (TypeError, ValueError)

def look(a, b, c):
    if not isinstance(a, int) or not isinstance(b, str) or not isinstance(c, list):
        raise TypeError
    if not 0 <= a <= 100 or len(b) < 1:
        raise ValueError
    for x in c:
        if not isinstance(x, int):
            raise TypeError

def three(a, b, c):
    look(a, b, c)
    return a
"""

_BEARTYPE = """
def Ge(bound):
    return Is[lambda value: value >= bound]

def Le(bound):
    return Is[lambda value: value <= bound]

def MinLength(bound):
    return Is[lambda value: len(value) >= bound]
"""

_PYDANTIC = """
def Ge(bound):
    return Field(ge=bound)

def Le(bound):
    return Field(le=bound)

def MinLength(bound):
    return Field(min_length=bound)

checked = validate_call(validate_return=True)
Refused = ValidationError
"""

PURE = Implementation("pure", "pure", _IMPORTS.format(".pure"), _OURS, _FUNCTIONS)
NATIVE = Implementation("ferrule", "native", _IMPORTS.format(""), _OURS, _FUNCTIONS)
BARE = Implementation("bare", "bare", "", _BARE, _FUNCTIONS)
BY_HAND = Implementation(
    "by hand",
    "article",
    "",
    "",
    _BY_HAND
    + """
def refused(a, b, c):
    try:
        three(a, b, c)
    except Refused:
        return "refused"
""",
)
BEARTYPE = Implementation(
    "beartype",
    "peer",
    "from beartype import beartype as checked\nfrom beartype.vale import Is\n"
    "from beartype.roar import BeartypeCallHintViolation as Refused\n",
    _BEARTYPE,
    _FUNCTIONS,
    needs="beartype",
)
PYDANTIC = Implementation(
    "pydantic",
    "peer",
    "from pydantic import Field, ValidationError, validate_call\n",
    _PYDANTIC,
    _FUNCTIONS,
    needs="pydantic",
)


def _given(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """Three good arguments for each reading, and as many calls that break a constraint."""
    namespace["given"] = [(i % 101, row[2] or "-", [i, i + 1]) for i, row in enumerate(rows)]
    namespace["broken"] = [(101 + i, row[2] or "-", [i]) for i, row in enumerate(rows)]


def _undecorated(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """A function for each of a few readings: some libraries keep what they make of one."""
    namespace["undecorated"] = namespace["functions"](rows[:16])


_NOT_BY_HAND = {"by hand": None}
_call = partial(
    Operation,
    area="validation",
    setup=_given,
    loop="for a, b, c in given",
    outcome="result",
    repeat=4,
    instead=_NOT_BY_HAND,
)

ROOM = Room(
    "checked",
    "Checked calls",
    (PURE, BY_HAND, NATIVE, BARE, BEARTYPE, PYDANTIC),
    (
        _call(
            "three",
            title="f(a, b, c), constrained",
            statement="three(a, b, c)",
            family="call",
            instead={},
        ),
        _call(
            "keywords",
            title="f(c=c, b=b, a=a)",
            statement="three(c=c, b=b, a=a)",
            family="call",
            instead={},
        ),
        _call("types", title="f(a, b, c), types only", statement="types(a, b, c)", family="call"),
        _call("optional", title="f(a) with a default", statement="optional(a)", family="call"),
        _call("method", title="obj.f(a, b)", statement="owner.method(a, b)", family="call"),
        _call(
            "refused",
            title="f(a, b, c) refused",
            statement="refused(a, b, c)",
            loop="for a, b, c in broken",
            repeat=1,
            instead={"bare": None},
        ),
        _call(
            "awaited",
            title="256 awaits of f(a)",
            statement="drive(many(given))",
            loop="for once in (1,)",
            repeat=1,
        ),
        _call(
            "decorate",
            title="decorate",
            setup=_undecorated,
            statement="checked(f)",
            loop="for f in undecorated",
            outcome="result(5, 'b', [])",
            repeat=1,
        ),
    ),
    {},
    baseline="pure",
    footprints=tuple(
        Footprint(name, name, "decorated(given)", "functions(times)", traced=True, most=20_000)
        for name in ("ferrule", "bare")
    ),
    counted=("function", "functions"),
    held="Bytes that decorating adds to a function.",
    headline=("three", "f(a, b, c)"),
)
