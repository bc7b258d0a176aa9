"""Functions that are called again when they fail.

The function that is called hands its argument back; one that fails raises on two calls of three.
Nobody waits and nobody is told: what is measured is the decorator. `bare` is the function alone,
and for coroutines the await of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Implementation, Namespace, Operation, Room
from ferrule.cli.rooms.calls_wrapper import CALLING, footprints

_FUNCTIONS = f"""
import logging

logging.getLogger("ferrule.calls").setLevel(logging.ERROR)
{CALLING}
class Flaky:
    def __init__(self):
        self.calls = 0

    def call(self, value):
        self.calls += 1
        if self.calls % 3:
            raise ValueError
        return value

    async def call_async(self, value):
        return self.call(value)

class Owner:
    pass

Owner.method = decorate(lambda self, value: value)
Owner.plain = lambda self, value: value
owner = Owner()
plain, method = decorate(same), owner.method
flaky, flaky_async = decorate(Flaky().call), decorate(Flaky().call_async)
plain_async = decorate(same_async)
"""

_BARE = """
def decorate(function):
    return function
"""

#: The article's own, with neither text nor sleep, and the error raised after the last attempt.
_ARTICLE = """
import functools

def decorate(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        last = None
        for attempt in range(3):
            try:
                return function(*args, **kwargs)
            except Exception as error:
                last = error
        raise last
    return wrapper
"""

_TENACITY = """
decorate = tenacity.retry(stop=tenacity.stop_after_attempt(3), reraise=True)
"""

_STAMINA = """
stamina.instrumentation.set_on_retry_hooks([])
decorate = stamina.retry(
    on=Exception, attempts=3, wait_initial=0, wait_max=0, wait_jitter=0, timeout=None
)
"""

_OURS = """
decorate = retry(3, 0)
"""

BARE = Implementation("bare", "bare", "", _BARE, _FUNCTIONS)
PURE = Implementation("pure", "pure", "from ferrule.pure.calls import retry\n", _OURS, _FUNCTIONS)
ARTICLE = Implementation("article", "article", "", _ARTICLE, _FUNCTIONS)
NATIVE = Implementation("ferrule", "native", "from ferrule.calls import retry\n", _OURS, _FUNCTIONS)
TENACITY = Implementation(
    "tenacity", "peer", "import tenacity\n", _TENACITY, _FUNCTIONS, needs="tenacity"
)
STAMINA = Implementation(
    "stamina", "peer", "import stamina\n", _STAMINA, _FUNCTIONS, needs="stamina"
)


def _values(namespace: Namespace, rows: Sequence[Reading]) -> None:
    namespace["rows"] = [row[0] for row in rows]


#: Those that take thousands of times as long are timed on their own scale all the same.
_LOOP = "for v in rows"
_retry = partial(Operation, area="calls", loop=_LOOP, outcome="result", setup=_values)
#: The article's wrapper is no coroutine function; who fails twice has to be caught; tenacity's and
#: stamina's sleeps need a loop, and these are driven by hand.
_NO_ASYNC: dict[str, str | None] = {"article": None}

OPERATIONS = (
    _retry("success", title="f(x) succeeds", statement="plain(v)"),
    _retry("method", title="o.f(x) succeeds", statement="owner.method(v)",
           instead={"bare": "owner.plain(v)"}),
    _retry("keyword", title="f(value=x) succeeds", statement="plain(value=v)"),
    _retry("two_failures", title="f(x) fails twice, then succeeds", statement="flaky(v)",
           instead={"bare": None}),
    Operation("success_async", area="calls", title="await f(x) succeeds, 256 of them",
              statement="drive(many(plain_async, rows))", loop="for _ in (0,)", repeat=1,
              outcome="awaited(plain_async, rows)", setup=_values, instead=_NO_ASYNC),
    Operation("two_failures_async", area="calls", title="await f(x) fails twice, 256 of them",
              statement="drive(many(flaky_async, rows))", loop="for _ in (0,)", repeat=1,
              outcome="awaited(flaky_async, rows)", setup=_values,
              instead={"article": None, "bare": None, "stamina": None, "tenacity": None}),
    _retry("decorate", title="decorate", statement="kept = decorate(same)",
           outcome="kept(v)"),
)  # fmt: skip

FOOTPRINTS = footprints("pure", "article", "ferrule")

ROOM = Room(
    "retry",
    "Functions called again",
    (BARE, PURE, ARTICLE, NATIVE, TENACITY, STAMINA),
    OPERATIONS,
    {},
    baseline="article",
    footprints=FOOTPRINTS,
    counted=("function", "functions"),
    held="Bytes of the decorated function. The function itself is not counted.",
    headline=("success", "f(x) succeeds"),
)
