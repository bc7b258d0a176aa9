"""Functions that remember their results.

What a hit costs is measured, and a miss that evicts. `bare` keeps nothing: the function itself,
which does as good as nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Footprint, Implementation, Namespace, Operation, Room

#: Results that are kept, and those there are when a hit is measured.
SIZE, KEPT = 1024, 300
#: Results that are computed and evicted in one pass.
EVICTED = 2 * SIZE

_FUNCTIONS = """
def same(x, y=0):
    return x

def count(x):
    return x + 1

class Thing:
    @limited
    def method(self, x):
        return x

hit, evict, thing = limited(same), limited(count), Thing()

def fill(values):
    for x in values:
        hit(x), hit(x, y=1), hit(x, x), hit(str(x)), thing.method(x)

def filled(values):
    function = unlimited(same)
    for x in values:
        function(x)
    return function

def fibonacci(n):
    @limited
    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)
    return fibonacci(n)
"""
_OURS = f"""
limited, unlimited = cache({SIZE}), cache
"""

PURE = Implementation("pure", "pure", "from ferrule.pure.calls import cache\n", _OURS, _FUNCTIONS)
FUNCTOOLS = Implementation(
    "functools",
    "article",
    "import functools\n",
    f"limited, unlimited = functools.lru_cache({SIZE}), functools.cache\n",
    _FUNCTIONS,
)
CACHETOOLS = Implementation(
    "cachetools",
    "peer",
    "import cachetools, cachetools.keys\n",
    f"""
def limited(function):
    return cachetools.cached(cachetools.LRUCache({SIZE}))(function)

def unlimited(function):
    return cachetools.cached({{}})(function)
""",
    _FUNCTIONS,
    needs="cachetools",
)
NATIVE = Implementation("ferrule", "native", "from ferrule.calls import cache\n", _OURS, _FUNCTIONS)
BARE = Implementation(
    "bare",
    "bare",
    "",
    """
def limited(function):
    return function

unlimited = limited
""",
    _FUNCTIONS.replace("@limited\n    def fib", "@functools.lru_cache\n    def fib").replace(
        "def same", "import functools\n\ndef same", 1
    ),
)


def _kept(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """Keys that are there, as new objects: an equal int is not the same int."""
    count = min(len(rows), KEPT)
    namespace["fill"](range(1000, 1000 + count))
    namespace["values"] = [int(str(x)) for x in range(1000, 1000 + count)]
    namespace["texts"] = [str(x) for x in namespace["values"]]


def _new(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """Each pass asks for more than are kept: nothing is there any more."""
    namespace["values"] = list(range(10_000, 10_000 + EVICTED))


_call = partial(Operation, area="calls", loop="for x in values", setup=_kept, outcome="result")

OPERATIONS = (
    _call("hit_int", title="f(int), kept", statement="hit(x)", repeat=10, family="hit"),
    _call("hit_str", title="f(str), kept", statement="hit(x)", loop="for x in texts", repeat=10,
          family="hit"),
    _call("hit_keyword", title="f(int, y=int), kept", statement="hit(x, y=1)", family="hit"),
    _call("hit_two", title="f(int, int), kept", statement="hit(x, x)", family="hit"),
    _call(
        "hit_method",
        title="o.m(int), kept",
        statement="thing.method(x)",
        instead={"cachetools": None},
        family="hit",
    ),
    _call("evict", title="f(int), new, evicts", statement="evict(x)", setup=_new, repeat=1),
    _call(
        "fibonacci",
        title="fibonacci(100), cold",
        statement="fibonacci(100)",
        loop="for once in (1,)",
        repeat=1,
        instead={"bare": None},
    ),
)  # fmt: skip

FOOTPRINTS = tuple(
    Footprint(name, name, "filled(given)", "list(range(len(times)))", traced=name != "pure")
    for name in ("pure", "functools", "ferrule")
)

ROOM = Room(
    "cache",
    "Cached functions",
    (PURE, FUNCTOOLS, CACHETOOLS, NATIVE, BARE),
    OPERATIONS,
    {},
    baseline="functools",
    footprints=FOOTPRINTS,
    counted=("result", "results"),
    held="Bytes of the cache for each result under an int. Key and result are not counted.",
    headline=("hit_int", "f(int), kept"),
)
