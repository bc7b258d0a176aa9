"""Functions that are timed, while nobody listens. `bare` is the function alone."""

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

#: The article's, its print replaced by a logger at a level that is off.
_ARTICLE = """
import functools, logging, time
logger = logging.getLogger("article")

def decorate(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        start = time.perf_counter()
        result = function(*args, **kwargs)
        elapsed = time.perf_counter() - start
        logger.info("%s took %.4fs", function.__name__, elapsed)
        return result
    return wrapper
"""
_OURS = "decorate = timer\n"
_CLOCK = BARE_DECORATE + "\nfrom time import perf_counter as seconds\n"

PURE = Implementation("pure", "pure", "from ferrule.pure.calls import timer\n", _OURS, FUNCTIONS)
ARTICLE = Implementation("article", "article", "", _ARTICLE, FUNCTIONS)
NATIVE = Implementation("ferrule", "native", "from ferrule.calls import timer\n", _OURS, FUNCTIONS)
BARE = Implementation("bare", "bare", "", _CLOCK, FUNCTIONS)
_SILENT = {"pure": None, "article": None, "ferrule": None}

ROOM = Room(
    "timer",
    "Timed functions",
    (PURE, ARTICLE, NATIVE, BARE),
    (
        *CALLS,
        METHOD,
        call(
            "awaited",
            title="await f(x)",
            statement="drive(many(plain_async, values))",
            loop="for once in (1,)",
            repeat=1,
        ),
        call(
            "clock",
            title="perf_counter()",
            statement="seconds()",
            outcome="type(result)",
            instead=_SILENT,
        ),
        DECORATE,
    ),
    {},
    baseline="article",
    footprints=footprints("article", "ferrule", "bare"),
    counted=("function", "functions"),
    held="Bytes that decorating adds to a function; the histogram, 23 kB, comes with its first "
    "call.",
    headline=("call", "f(x)"),
)
