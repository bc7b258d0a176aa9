"""Functions that count their calls. `bare` is the function alone."""

from __future__ import annotations

from ferrule.cli.registry import Implementation, Room
from ferrule.cli.rooms.calls_wrapper import (
    BARE_DECORATE,
    CALLS,
    DECORATE,
    FUNCTIONS,
    METHOD,
    call,
    footprints,
)

#: What one writes by hand; not exact under threads.
_BY_HAND = """
import functools

def decorate(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        wrapper.count += 1
        try:
            return function(*args, **kwargs)
        except BaseException:
            wrapper.errors += 1
            raise
    wrapper.count = wrapper.errors = 0
    return wrapper
"""
_OURS = "decorate = counted\n"

PURE = Implementation("pure", "pure", "from ferrule.pure.calls import counted\n", _OURS, FUNCTIONS)
ARTICLE = Implementation("by hand", "article", "", _BY_HAND, FUNCTIONS)
NATIVE = Implementation(
    "ferrule", "native", "from ferrule.calls import counted\n", _OURS, FUNCTIONS
)
BARE = Implementation("bare", "bare", "", BARE_DECORATE, FUNCTIONS)

ROOM = Room(
    "counted",
    "Counted functions",
    (PURE, ARTICLE, NATIVE, BARE),
    (
        *CALLS,
        METHOD,
        call("raising", title="f(x) raises", statement="refused(failing, v)", repeat=4),
        call(
            "awaited",
            title="await f(x)",
            statement="drive(many(plain_async, values))",
            loop="for once in (1,)",
            repeat=1,
        ),
        DECORATE,
    ),
    {},
    baseline="by hand",
    footprints=footprints("by hand", "ferrule", "bare"),
    counted=("function", "functions"),
    held="Bytes that decorating adds to a function.",
    headline=("call", "f(x)"),
)
