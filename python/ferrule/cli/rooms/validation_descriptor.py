"""Attributes within bounds: the article's classes, with its descriptor and with ours.

`slot` is a class with `__slots__` and no check at all: what reading and writing cost at least.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Footprint, Implementation, Namespace, Operation, Room

_ARTICLE = """
class Bounded:
    def __init__(self, min_val=None, max_val=None):
        self.min_val = min_val
        self.max_val = max_val

    def __set_name__(self, owner, name):
        self.storage_name = f"_bounded_{name}"

    def __get__(self, instance, owner):
        if instance is None:
            return self
        return getattr(instance, self.storage_name, None)

    def __set__(self, instance, value):
        if self.min_val is not None and value < self.min_val:
            raise ValueError(
                f"{self.storage_name!r} must be >= {self.min_val}, got {value}"
            )
        if self.max_val is not None and value > self.max_val:
            raise ValueError(
                f"{self.storage_name!r} must be <= {self.max_val}, got {value}"
            )
        setattr(instance, self.storage_name, value)
"""
_CLASS = """
class NetworkConfig:
    port = Bounded(min_val=1, max_val=65535)
    timeout = Bounded(min_val=0, max_val=300)

    def __init__(self, port, timeout):
        self.port = port
        self.timeout = timeout
"""
_SLOTTED = _CLASS.replace(
    "class NetworkConfig:\n",
    'class NetworkConfig:\n    __slots__ = ("_bounded_port", "_bounded_timeout")\n',
)
_PLAIN = """
class NetworkConfig:
    __slots__ = ("port", "timeout")

    def __init__(self, port, timeout):
        self.port = port
        self.timeout = timeout
"""
_RECORD = """
class NetworkConfig(Record):
    port: int = Bounded(min_val=1, max_val=65535)
    timeout: int = Bounded(min_val=0, max_val=300)
"""
_ATOM = """
class NetworkConfig(Atom):
    port = Range(1, 65535)
    timeout = Range(0, 300)

    def __init__(self, port, timeout):
        self.port = port
        self.timeout = timeout
"""
_USE = """
def refused(obj, values):
    count = 0
    for value in values:
        try:
            obj.port = value
        except Exception:
            count += 1
    return count

def many(rows):
    return [NetworkConfig(8080, 30) for _ in rows]
"""
_OURS = "from ferrule.validation import Bounded\n"
_OUR_RECORDS = f"{_OURS}from ferrule.records import Record\n"

PURE = Implementation("pure", "pure", "from ferrule.pure.validation import Bounded\n", _CLASS, _USE)
ARTICLE = Implementation("article", "article", _ARTICLE, _CLASS, _USE)
ARTICLE_SLOTS = Implementation("article, slots", "article", _ARTICLE, _SLOTTED, _USE)
NATIVE = Implementation("ferrule", "native", _OURS, _CLASS, _USE)
NATIVE_SLOTS = Implementation("ferrule, slots", "native", _OURS, _SLOTTED, _USE)
NATIVE_RECORD = Implementation("ferrule, record", "native", _OUR_RECORDS, _RECORD, _USE)
SLOT = Implementation("slot", "bare", "", _PLAIN, _USE)
ATOM = Implementation(
    "atom", "peer", "from atom.api import Atom, Range\n", _ATOM, _USE, needs="atom"
)


def values(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """An object, and numbers for its attribute."""
    namespace["config"] = namespace["NetworkConfig"](8080, 30)
    namespace["ports"] = [1 + i * 137 % 65535 for i in range(len(rows))]
    namespace["bad"] = [-port for port in namespace["ports"][:100]]


_NOT_CHECKED: dict[str, str | None] = {"slot": None}
LOOP = "for port in ports"
_operation = partial(Operation, area="validation", setup=values, outcome="config.port")
ROOM = Room(
    "descriptor",
    "Attributes within bounds",
    (PURE, ARTICLE, ARTICLE_SLOTS, NATIVE, NATIVE_SLOTS, NATIVE_RECORD, SLOT, ATOM),
    (
        _operation("get", title="obj.port", statement="config.port", loop=LOOP, repeat=10),
        _operation(
            "set", title="obj.port = n", statement="config.port = port", loop=LOOP, repeat=10
        ),
        _operation(
            "reject",
            title="obj.port = n, refused",
            statement="refused(config, bad)",
            loop="for once in (1,)",
            outcome="result",
            repeat=1,
            batch=100,
            instead=_NOT_CHECKED,
        ),
        _operation(
            "create",
            title="NetworkConfig(port, timeout)",
            statement="NetworkConfig(port, 30)",
            loop=LOOP,
            outcome="(result.port, result.timeout)",
        ),
    ),
    {},
    baseline="article",
    footprints=tuple(
        Footprint(name, name, "many(times)", traced=True)
        for name in ("article", "ferrule", "ferrule, slots", "ferrule, record", "slot")
    ),
    counted=("object", "objects"),
    held="Bytes of an object with two attributes.",
    headline=("get", "obj.port"),
)
