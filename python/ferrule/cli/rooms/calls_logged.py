"""Functions that say when they are called, while nobody listens and to a printer.

`bare` is the function alone.
"""

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

_MORE = (
    FUNCTIONS
    + """
said = []

def printed(value):
    said.clear()
    result = loud(value)
    return result, said

loud = printing(same)
"""
)
_BARE = (
    BARE_DECORATE
    + """
def printing(function):
    def wrapper(value):
        said.append("Calling same")
        return function(value)
    return wrapper
"""
)
#: The article's, its print replaced by a logger at a level that is off, and by a list.
_ARTICLE = """
import functools, logging
logger = logging.getLogger("article")

def decorate(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        logger.info("Calling %s", function.__name__)
        return function(*args, **kwargs)
    return wrapper

def printing(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        said.append(f"Calling {function.__name__}")
        return function(*args, **kwargs)
    return wrapper
"""
_OURS = """
decorate = logged

def printing(function):
    return logged(function, printer=said.append)
"""

PURE = Implementation("pure", "pure", "from ferrule.pure.calls import logged\n", _OURS, _MORE)
ARTICLE = Implementation("article", "article", "", _ARTICLE, _MORE)
NATIVE = Implementation("ferrule", "native", "from ferrule.calls import logged\n", _OURS, _MORE)
BARE = Implementation("bare", "bare", "", _BARE, _MORE)

ROOM = Room(
    "logged",
    "Logged functions",
    (PURE, ARTICLE, NATIVE, BARE),
    (
        *CALLS,
        METHOD,
        call(
            "printed",
            title="f(x), to a printer",
            statement="printed(v)",
            outcome="[result[0], list(said)]",
            repeat=4,
        ),
        DECORATE,
    ),
    {},
    baseline="article",
    footprints=footprints("article", "ferrule", "bare"),
    counted=("function", "functions"),
    held="Bytes that decorating adds to a function.",
    headline=("call", "f(x)"),
)
