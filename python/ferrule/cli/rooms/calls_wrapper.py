"""Wrappers that hand the call through: what every decorator of the room costs at least.

The function that is called hands its argument back. `bare` is that function alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Footprint, Implementation, Namespace, Operation, Room

#: What is decorated in the rooms of wrappers, and how coroutines are driven without a loop.
CALLING = """
def same(value):
    return value

async def same_async(value):
    return value

async def many(function, values):
    for value in values:
        await function(value)

async def gathered(function, values):
    return [await function(value) for value in values]

def drive(coroutine):
    try:
        while True:
            coroutine.send(None)
    except StopIteration as stop:
        return stop.value

def awaited(function, values):
    return drive(gathered(function, values))

def functions(rows):
    return [(lambda value: value) for _ in rows]

def decorated(functions):
    return [decorate(f) for f in functions]
"""

#: What every implementation of this room and of those like it defines, once it has `decorate`.
FUNCTIONS = f"""
import logging
{CALLING}
def fail(value):
    raise ValueError

class Owner:
    method = decorate(lambda self, value: value)

owner = Owner()
plain, failing = decorate(same), decorate(fail)
plain_async = decorate(same_async)

def refused(function, value):
    try:
        function(value)
    except ValueError:
        return "raised"
"""

BARE_DECORATE = """
def decorate(function):
    return function
"""

_WRAPS = """
import functools

def decorate(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper
"""

_WRAPT = """
@wrapt.decorator
def decorate(wrapped, instance, args, kwargs):
    return wrapped(*args, **kwargs)
"""

_OURS = """
decorate = Wrapper
"""

BARE = Implementation("bare", "bare", "", BARE_DECORATE, FUNCTIONS)
PURE = Implementation("pure", "pure", "from ferrule.pure.calls import Wrapper\n", _OURS, FUNCTIONS)
ARTICLE = Implementation("wraps", "article", "", _WRAPS, FUNCTIONS)
NATIVE = Implementation(
    "ferrule", "native", "from ferrule.calls import Wrapper\n", _OURS, FUNCTIONS
)
PARTIAL = Implementation(
    "partial", "peer", "import functools\n", "decorate = functools.partial\n", FUNCTIONS
)
WRAPT = Implementation("wrapt", "peer", "import wrapt\n", _WRAPT, FUNCTIONS, needs="wrapt")


def values(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """The readings' values, and a function for each."""
    namespace["values"] = [row[1] for row in rows]
    namespace["given"] = namespace["functions"](rows)


LOOP = "for v in values"
call = partial(Operation, area="calls", setup=values, loop=LOOP, repeat=10, outcome="result")
#: The four ways to call, and the decoration.
CALLS = (
    call("call", title="f(x)", statement="plain(v)", family="call"),
    call("keyword", title="f(value=x)", statement="plain(value=v)", family="call"),
)
METHOD = call("method", title="obj.f(x)", statement="owner.method(v)", family="call")
DECORATE = call(
    "decorate",
    title="decorate",
    statement="decorate(f)",
    loop="for f in given",
    outcome="result(5)",
    repeat=2,
)


def footprints(*names: str) -> tuple[Footprint, ...]:
    """Decorated functions, without the functions."""
    return tuple(
        Footprint(name, name, "decorated(given)", "functions(times)", traced=name != "pure")
        for name in names
    )


ROOM = Room(
    "wrapper",
    "Wrappers that hand the call through",
    (PURE, ARTICLE, NATIVE, BARE, PARTIAL, WRAPT),
    (
        *CALLS,
        call(
            "method",
            title="obj.f(x)",
            statement="owner.method(v)",
            family="call",
            instead={"partial": None},
        ),
        DECORATE,
    ),
    {},
    baseline="wraps",
    footprints=footprints("wraps", "ferrule", "bare"),
    counted=("function", "functions"),
    held="Bytes that decorating adds to a function.",
    headline=("call", "f(x)"),
)
