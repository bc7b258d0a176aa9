"""Classes of one instance, and classes by name.

A singleton is got again and again: that is what is timed, and the first call apart from it. The
class of the article is a function afterwards; `functools.cache` is what people write who know.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ferrule.cli.load import Reading
from ferrule.cli.registry import Implementation, Namespace, Operation, Room

_CLASS = """
class Connection:
    def __init__(self, url=""):
        self.url = url

DB, Plain, register = singleton(Connection), Connection, Registry()
made = DB("postgres://localhost/mydb")
"""

_WRAPPED = """
def singleton(cls):
    instances = {}
    @functools.wraps(cls, updated=())
    def get_instance(*args, **kwargs):
        if cls not in instances:
            instances[cls] = cls(*args, **kwargs)
        return instances[cls]
    get_instance.reset = instances.clear
    return get_instance
"""

_CACHED = """
def singleton(cls):
    cached = functools.cache(cls)
    cached.reset = cached.cache_clear
    return cached
"""

_REGISTER = """
class Registry:
    def __init__(self):
        self.registry = {}
    def __call__(self, cls):
        self.registry[cls.__name__] = cls
        return cls
"""

_NAMES = "calls import Registry, singleton\n"
_ARTICLE, _CACHE = _WRAPPED + _REGISTER + _CLASS, _CACHED + _REGISTER + _CLASS

PURE = Implementation("pure", "pure", f"from ferrule.pure.{_NAMES}", _CLASS)
ARTICLE = Implementation("article", "article", "import functools\n", _ARTICLE)
CACHE = Implementation("functools.cache", "article", "import functools\n", _CACHE)
NATIVE = Implementation("ferrule", "native", f"from ferrule.{_NAMES}", _CLASS)


def _rows(namespace: Namespace, rows: Sequence[Reading]) -> None:
    namespace["rows"] = rows


_single = partial(Operation, area="calls", loop="for t, v, u in rows", setup=_rows)

OPERATIONS = (
    _single("get", title="get a singleton", statement="DB()", outcome="[type(result).__name__]",
            repeat=10),
    _single("get_argument", title="get it with an argument",
            statement='DB("postgres://localhost/mydb")', outcome="result is made", repeat=10),
    _single("first", title="reset, first call", statement="DB.reset(); one = DB(u)",
            outcome="[one.url, DB(u) is one]"),
    _single("register", title="register a class", statement="register(Plain)",
            outcome="[result is Plain, register.registry['Connection'] is Plain]",
            instead={"functools.cache": None}),
)  # fmt: skip

ROOM = Room(
    "singleton",
    "Classes of one instance, classes by name",
    (PURE, ARTICLE, CACHE, NATIVE),
    OPERATIONS,
    {},
    baseline="article",
    headline=("get", "get a singleton"),
)
