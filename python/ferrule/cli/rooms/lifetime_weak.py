"""Dictionaries that do not keep their values alive.

What a loop does not name goes when it is compiled: every loop here names what holds the values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Footprint, Implementation, Namespace, Operation, Room, extend

#: Entries of the dictionary that is walked, copied and filled.
MANY = 1000

_THINGS = """
class Thing:
    __slots__ = ("__weakref__",)

def pairs(keys):
    return [(k, Thing()) for k in keys]

def filled(items):
    return Weak(items)
"""

_NAMES = "lifetime import WeakValueDictionary as Weak\n"

PURE = Implementation("pure", "pure", f"from ferrule.pure.{_NAMES}", "", _THINGS)
WEAKREF = Implementation(
    "weakref", "article", "from weakref import WeakValueDictionary as Weak\n", "", _THINGS
)
NATIVE = Implementation("ferrule", "native", f"from ferrule.{_NAMES}", "", _THINGS)
#: Keeps its values alive: what a weak dictionary can hardly be faster than.
DICT = Implementation("dict", "bare", "Weak = dict\n", "", _THINGS)


def _dictionary(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """A dictionary of objects by the readings' times, which live; times that are not in it."""
    thing = namespace["Thing"]
    items = namespace["items"] = [(t, thing()) for t in dict.fromkeys(row[0] for row in rows)]
    namespace["made"] = namespace["Weak"](items)
    namespace["changes"] = [(k, o, thing()) for k, o in items]
    top = max(k for k, _ in items)
    namespace["others"] = [(top + 1 + i, o) for i, (_, o) in enumerate(items)]


def _empty(namespace: Namespace, rows: Sequence[Reading]) -> None:
    namespace["rows"], namespace["made"] = rows, namespace["Weak"]()


def _thousand(namespace: Namespace, rows: Sequence[Reading]) -> None:
    keys = dict.fromkeys(row[0] for row in extend(rows, MANY))
    given = namespace["given"] = namespace["pairs"](keys)
    namespace["made"] = namespace["Weak"](given)
    namespace["drain"] = deque[object](maxlen=0).extend


#: A loop over one thing: what keeps the values alive.
ONCE = "for held in (given,)"
_ITEMS, _CHANGES = "for k, o in items", "for k, o, n in changes"
_weak = partial(Operation, area="lifetime", setup=_dictionary)
_many = partial(_weak, loop=ONCE, setup=_thousand, repeat=1)
_SAME = "[(k == l, o is p) for (k, o), (l, p) in zip({}.items(), given, strict=True)]"

OPERATIONS = (
    _weak("get_item", title="d[key]", statement="made[k]", loop=_ITEMS, outcome="result is o",
          repeat=10, family="get"),
    _weak("get", title="d.get(key)", statement="made.get(k)", loop=_ITEMS, outcome="result is o",
          repeat=10, family="get"),
    _weak("miss", title="d.get(key), not there", statement="made.get(k)", loop="for k, o in others",
          outcome="result", repeat=10, family="get"),
    _weak("contains", title="key in d", statement="k in made", loop=_ITEMS, outcome="result",
          repeat=10),
    _weak("set_default", title="d.setdefault, there", statement="made.setdefault(k, o)",
          loop=_ITEMS, outcome="result is o"),
    _weak(
        "set_die",
        title="d[key] = o, o dies",
        statement="o = Thing(); made[t] = o; del o",
        loop="for t, v, u in rows",
        outcome="[len(made), made.get(t), t in made, list(made.items())]",
        setup=_empty,
        instead={"dict": "o = Thing(); made[t] = o; del o, made[t]"},
    ),
    _weak(
        "set_over",
        title="d[key] = o over another",
        statement="made[k] = n; made[k] = o",
        loop=_CHANGES,
        outcome="[made[k] is o, len(made)]",
        batch=2,
    ),
    _weak(
        "set_delete",
        title="d[key] = o, del d[key]",
        statement="made[k] = o; del made[k]",
        loop=_ITEMS,
        outcome="[k in made, len(made)]",
        before="made.clear()",
    ),
    _many("values", title=f"walk {MANY:,} values", statement="drain(made.values())",
          outcome="[o is p for o, (_, p) in zip(made.values(), given, strict=True)]"),
    _many("items", title=f"walk {MANY:,} items", statement="drain(made.items())",
          outcome=_SAME.format("made")),
    _many("keys", title=f"walk {MANY:,} keys", statement="drain(made)", outcome="list(made)"),
    _many("copy", title=f"copy {MANY:,}", statement="kept = made.copy()",
          outcome=_SAME.format("kept")),
    _many("fill", title=f"fill with {MANY:,}", statement="kept = Weak(given)",
          outcome=_SAME.format("kept")),
)  # fmt: skip

FOOTPRINTS = tuple(
    Footprint(name, name, "filled(given)", "pairs(times)", traced=name != "pure")
    for name in ("pure", "weakref", "ferrule", "dict")
)

ROOM = Room(
    "weak_dict",
    "Weak dictionaries",
    (PURE, WEAKREF, NATIVE, DICT),
    OPERATIONS,
    {},
    baseline="weakref",
    footprints=FOOTPRINTS,
    counted=("entry", "entries"),
    held="Bytes of the dictionary for each entry. Key and value are not counted, the weak "
    "reference is.",
    headline=("get_item", "d[key]"),
)
