"""The lifetime room: clean-ups, then weak dictionaries and async generators.

What is measured is the making and the end of small objects. Readings only name them: they are
arguments of the clean-ups and keys of the dictionaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Footprint, Implementation, Namespace, Operation, Room
from ferrule.cli.rooms import lifetime_asyncgen, lifetime_weak

# ------------------------------------------------------------------------------- implementations
# Every implementation defines: Thing, which can be referred to weakly; Guarded, whose instances
# clean up after themselves; finalize (without clean-ups: nothing); noop, noop_with; and what the
# comparison of results looks at: fired, called, detached and guarded show one clean-up's life.

_THINGS = """
class Thing:
    __slots__ = ("__weakref__",)

def noop():
    pass

def noop_with(a, b=None):
    pass

def noop_keyword(a, *, value):
    pass
"""

_FINALIZABLE = """
class Guarded(Finalizable):
    __slots__ = ("handle",)

    def __finalize__(self):
        pass
"""

_DEL = """
class Guarded:
    __slots__ = ("handle",)

    def __del__(self):
        pass
"""

_PLAIN = """
class Guarded:
    __slots__ = ("handle",)
"""

_SEEN = """
def fired(*args, **kwargs):
    o, log = Thing(), []
    f = finalize(o, lambda *args, **kwargs: log.append((args, kwargs)), *args, **kwargs)
    before = f.alive, len(log)
    del o
    return before, f.alive, f(), f.peek(), log

def called(*args):
    o, log = Thing(), []
    f = finalize(o, lambda *args: log.append(args) or "done", *args)
    found = f(), f(), f.alive, f.detach(), log
    del o
    return found

def detached():
    o, log = Thing(), []
    f = finalize(o, log.append, 1)
    found = f.detach()[2:], f.detach(), f()
    del o
    return found, log

def guarded():
    log = []
    class Seen(Guarded):
        __slots__ = ()
        def METHOD(self):
            log.append(hasattr(self, "handle"))
    Seen()
    return log

def register(things):
    for o in things:
        finalize(o, noop)

def register_keyword(things):
    for o in things:
        finalize(o, noop_keyword, 1, value=2)
"""
_SHOWN = _THINGS + _SEEN.replace("METHOD", "__finalize__")

_NAMES = "lifetime import Finalizable, finalize\n"

PURE = Implementation("pure", "pure", f"from ferrule.pure.{_NAMES}", _FINALIZABLE, _SHOWN)
WEAKREF = Implementation(
    "weakref",
    "article",
    "from weakref import finalize\n",
    _DEL,
    _THINGS + _SEEN.replace("METHOD", "__del__"),
)
NATIVE = Implementation("ferrule", "native", f"from ferrule.{_NAMES}", _FINALIZABLE, _SHOWN)
BARE = Implementation("no clean-up", "bare", "", _PLAIN, _THINGS)

# ------------------------------------------------------------------------------------- operations


def _rows(namespace: Namespace, rows: Sequence[Reading]) -> None:
    namespace["rows"] = rows


def _things(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """Objects that stay; some have a clean-up to look at."""
    finalize, noop = namespace.get("finalize"), namespace["noop"]
    things = namespace["things"] = [namespace["Thing"]() for _ in rows]
    if finalize is not None:
        namespace["waiting"] = [(o, finalize(o, noop)) for o in things]


_READINGS, _THING, _WAITING = "for t, v, u in rows", "for o in things", "for o, f in waiting"
_NOTHING = "o = Thing(); del o"
_finalize = partial(Operation, area="lifetime", loop=_READINGS, setup=_rows)


def _fire(name: str, title: str, given: str, seen: str) -> Operation:
    """Create an object and its clean-up, let the object die."""
    return _finalize(
        name,
        title=title,
        statement=f"o = Thing(); finalize(o, {given}); del o",
        outcome=seen,
        instead={"no clean-up": _NOTHING},
        outcome_instead={"no clean-up": _expected(seen)},
        family="fire",
    )


def _expected(seen: str) -> str:
    """What a clean-up with these arguments must show: `fired(t, value=v)`."""
    arguments = seen.removeprefix("fired(").removesuffix(")")
    return (
        f"((True, 0), False, None, None, [(lambda *args, **kwargs: (args, kwargs))({arguments})])"
    )


OPERATIONS = (
    _fire("fire", "create, dies", "noop", "fired()"),
    _fire("fire_arguments", "create, dies, 2 arguments", "noop_with, t, v", "fired(t, v)"),
    _fire("fire_keyword", "create, dies, 1 and a keyword", "noop_keyword, t, value=v",
          "fired(t, value=v)"),
    _finalize(
        "detach",
        title="create, detach",
        statement="finalize(o, noop).detach()",
        loop=_THING,
        outcome="[result[0] is o, result[1] is noop, result[2:], detached()]",
        setup=_things,
        instead={"no clean-up": None},
        family="detach",
    ),
    _finalize(
        "detach_arguments",
        title="create, detach, 2 arguments",
        statement="finalize(o, noop_with, 1, 2).detach()",
        loop=_THING,
        outcome="[result[0] is o, result[1] is noop_with, result[2:]]",
        setup=_things,
        instead={"no clean-up": None},
        family="detach",
    ),
    _finalize(
        "call",
        title="create, call",
        statement="finalize(o, noop)()",
        loop=_THING,
        outcome="[result, called()]",
        setup=_things,
        instead={"no clean-up": None},
        family="call",
    ),
    _finalize(
        "call_arguments",
        title="create, call, 2 arguments",
        statement="finalize(o, noop_with, 1, 2)()",
        loop=_THING,
        outcome="[result, called(1, 2)]",
        setup=_things,
        instead={"no clean-up": None},
        family="call",
    ),
    _finalize(
        "alive",
        title="alive",
        statement="f.alive",
        loop=_WAITING,
        outcome="result",
        setup=_things,
        repeat=10,
        instead={"no clean-up": None},
    ),
    _finalize(
        "peek",
        title="peek",
        statement="f.peek()",
        loop=_WAITING,
        outcome="[result[0] is o, result[1] is noop, result[2:]]",
        setup=_things,
        instead={"no clean-up": None},
    ),
    _finalize(
        "guarded",
        title="create Finalizable, dies",
        statement="o = Guarded(); del o",
        outcome="guarded()",
        outcome_instead={"no clean-up": "[False]"},
    ),
)  # fmt: skip

_OWNERS = "list(map(lambda _: Thing(), times))"
FOOTPRINTS = tuple(
    Footprint(f"{name}{title}", name, f"{register}(given)", _OWNERS, traced=name != "pure")
    for title, register in (("", "register"), (", 1 and a keyword", "register_keyword"))
    for name in ("pure", "weakref", "ferrule")
)


def parts(_rows: Sequence[Reading]) -> tuple[Room, ...]:
    """Weak dictionaries and async generators; readings do not change them."""
    return lifetime_weak.ROOM, lifetime_asyncgen.ROOM


ROOM = Room(
    "finalize",
    "Clean-ups",
    (PURE, WEAKREF, NATIVE, BARE),
    OPERATIONS,
    {
        "pure": "from ferrule.pure.lifetime import finalize",
        "weakref": "from weakref import finalize",
        "ferrule": "from ferrule.lifetime import finalize",
    },
    baseline="weakref",
    footprints=FOOTPRINTS,
    counted=("clean-up", "clean-ups"),
    held="Bytes that each clean-up adds to its object, which is not counted, with all it needs to "
    "run: for weakref its entry in a dictionary.",
    headline=("fire", "create and fire"),
    parts=parts,
)
