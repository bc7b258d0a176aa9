"""The records room: sensor readings as native records, pure Python and what people use today."""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Sequence

from ferrule.cli.load import Reading
from ferrule.cli.registry import (
    Implementation,
    Namespace,
    Operation,
    Room,
    Setup,
)
from ferrule.cli.rooms import containers

# ------------------------------------------------------------------------------- implementations
# Every implementation defines: SensorReading, FrozenReading (hashable), OrderedReading, Scalars
# (no object slot, no methods), Plain (object slots that check nothing); asdict, astuple, replace.

_FIELDS = "\n    timestamp: {i}\n    value: {f}\n    unit: str\n"
_INT_FLOAT = _FIELDS.format(i="int", f="float")
_I64_F64 = _FIELDS.format(i="i64", f="f64")
_SCALARS = "\n    timestamp: {i}\n    value: {f}\n"

_RECORD = f"class SensorReading(Record, gc=False):{_I64_F64}"
_RECORD_VARIANTS = (
    f"class FrozenReading(Record, frozen=True, gc=False):{_I64_F64}\n"
    f"class OrderedReading(Record, order=True, gc=False):{_I64_F64}\n"
    f"class Scalars(Record):{_SCALARS.format(i='i64', f='f64')}\n"
    f"class Plain(Record, gc=False):{_INT_FLOAT}\n"
)
_RECORD_NAMES = "import Record, asdict, astuple, f64, i64, replace\n"

_SLOTS_INIT = """
    __slots__ = ("timestamp", "value", "unit")

    def __init__(self, timestamp, value, unit):
        self.timestamp = timestamp
        self.value = value
        self.unit = unit
"""
_SLOTS_EQ = """
    def __eq__(self, other):
        if other.__class__ is not self.__class__:
            return NotImplemented
        mine = (self.timestamp, self.value, self.unit)
        return mine == (other.timestamp, other.value, other.unit)
"""
_SLOTS_REPR = """
    def __repr__(self):
        return (
            f"SensorReading(timestamp={self.timestamp!r}, value={self.value!r}, "
            f"unit={self.unit!r})"
        )
"""
_SLOTS_HASH = """
    def __hash__(self):
        return hash((self.timestamp, self.value, self.unit))
"""
_SLOTS_LT = """
    def __lt__(self, other):
        if other.__class__ is not self.__class__:
            return NotImplemented
        mine = (self.timestamp, self.value, self.unit)
        return mine < (other.timestamp, other.value, other.unit)
"""
_SLOTS_VARIANTS = (
    f"class FrozenReading:{_SLOTS_INIT}{_SLOTS_EQ}{_SLOTS_HASH}\n"
    f"class OrderedReading:{_SLOTS_INIT}{_SLOTS_EQ}{_SLOTS_LT}\n"
    "class Scalars:\n"
    '    __slots__ = ("timestamp", "value")\n\n'
    "    def __init__(self, timestamp, value):\n"
    "        self.timestamp = timestamp\n"
    "        self.value = value\n\n"
    "Plain = SensorReading\n"
)


def _declared(head: str, *, options: str = "{}", base: str = "") -> tuple[str, str]:
    """Definition and variants of a library whose classes are annotated: (definition, variants)."""

    def one(name: str, keywords: str, body: str = _INT_FLOAT) -> str:
        inside = ", ".join(part for part in (base, keywords if not head else "") if part)
        decorator = f"{head}{options.format(keywords)}\n" if head else ""
        return f"{decorator}class {name}({inside}):{body}\n"

    scalars = one("Scalars", "", _SCALARS.format(i="int", f="float"))
    frozen, ordered = one("FrozenReading", "frozen=True"), one("OrderedReading", "order=True")
    return one("SensorReading", ""), frozen + ordered + scalars + "Plain = SensorReading\n"


_DATACLASS = _declared("@dataclass", options="(slots=True, {})")
_ATTRS = _declared("@attrs.define", options="({})")
_MSGSPEC = _declared("", base="Struct, gc=False")
_NAMED = _declared("", base="NamedTuple")
_PYDANTIC = _declared("", base="BaseModel")


def _plain_names(text: str) -> str:
    """Variants of a library without ordering or freezing of its own: one class under all names."""
    return f"{text}\nFrozenReading = OrderedReading = Plain = SensorReading\n"


NATIVE = Implementation(
    "ferrule", "native", f"from ferrule.records {_RECORD_NAMES}", _RECORD, _RECORD_VARIANTS
)
PURE = Implementation(
    "pure", "pure", f"from ferrule.pure.records {_RECORD_NAMES}", _RECORD, _RECORD_VARIANTS
)
SLOTS = Implementation(
    "slots",
    "article",
    "",
    f"class SensorReading:{_SLOTS_INIT}{_SLOTS_EQ}{_SLOTS_REPR}",
    _SLOTS_VARIANTS,
)
DATACLASS = Implementation(
    "dataclass",
    "peer",
    "from dataclasses import asdict, astuple, dataclass, replace\n",
    *_DATACLASS,
)
ATTRS = Implementation(
    "attrs",
    "peer",
    "import attrs\nfrom attrs import asdict, astuple, evolve as replace\n",
    _ATTRS[0],
    _ATTRS[1],
    needs="attrs",
)
MSGSPEC = Implementation(
    "msgspec",
    "peer",
    "from msgspec import Struct\nfrom msgspec.structs import asdict, astuple, replace\n",
    *_MSGSPEC,
    needs="msgspec",
)
PYDANTIC = Implementation(
    "pydantic",
    "peer",
    "from pydantic import BaseModel\n",
    _PYDANTIC[0],
    "class FrozenReading(BaseModel, frozen=True):"
    + _INT_FLOAT
    + f"class Scalars(BaseModel):{_SCALARS.format(i='int', f='float')}"
    + "Plain = SensorReading\n",
    needs="pydantic",
)
NAMED_TUPLE = Implementation(
    "NamedTuple",
    "peer",
    "from typing import NamedTuple\n",
    _NAMED[0],
    _plain_names(f"class Scalars(NamedTuple):{_SCALARS.format(i='int', f='float')}"),
)

# ------------------------------------------------------------------------------------------ setup

_POSITIONAL = "{cls}(t, v, u)"
_KEYWORD = "{cls}(timestamp=t, value=v, unit=u)"


def _make(namespace: Namespace, cls: str, rows: Sequence[Reading]) -> list[object]:
    made = namespace[cls]
    if cls == "Scalars":
        return [made(timestamp=t, value=v) for t, v, _ in rows]
    return [made(timestamp=t, value=v, unit=u) for t, v, u in rows]


def _rows(namespace: Namespace, rows: Sequence[Reading]) -> None:
    namespace["rows"] = rows


def _objects(cls: str = "SensorReading") -> Setup:
    def setup(namespace: Namespace, rows: Sequence[Reading]) -> None:
        namespace["objects"] = _make(namespace, cls, rows)
        namespace["copy"] = copy.copy

    return setup


def _pairs(namespace: Namespace, rows: Sequence[Reading]) -> None:
    """Equal readings loaded twice: numbers that are equal but not the same objects."""
    again = [(int(str(t)), float(repr(value)), unit) for t, value, unit in rows]
    first, second = (_make(namespace, "SensorReading", given) for given in (rows, again))
    namespace["pairs"] = list(zip(first, second, strict=True))


def _writes(cls: str = "SensorReading") -> Setup:
    def setup(namespace: Namespace, rows: Sequence[Reading]) -> None:
        """Every object with the values of the next reading."""
        objects = _make(namespace, cls, rows)
        following = [*rows[1:], rows[0]]
        namespace["writes"] = [(item, *row) for item, row in zip(objects, following, strict=True)]

    return setup


def _nothing(namespace: Namespace, rows: Sequence[Reading]) -> None:
    return None


def _many(cls: str = "SensorReading") -> Setup:
    def setup(namespace: Namespace, rows: Sequence[Reading]) -> None:
        """The readings in a random but always equal order."""
        mixed = list(rows)
        random.Random(1).shuffle(mixed)
        namespace["objects"] = _make(namespace, cls, mixed)
        namespace["dumps"], namespace["loads"] = pickle.dumps, pickle.loads

    return setup


def _pickled(namespace: Namespace, rows: Sequence[Reading]) -> None:
    _many()(namespace, rows)
    namespace["blob"] = pickle.dumps(namespace.pop("objects"), 5)


# ------------------------------------------------------------------------------------- operations

_READ = "for o in objects"
_WRITE = "for o, t, v, u in writes"
_OF_RESULT = "(result.timestamp, result.value, result.unit)"
_OF_ITEMS = "[(o.timestamp, o.value, o.unit) for o in {}]"
_OWN_HASH = "hash((o.timestamp, o.value, o.unit)) if hash(o) == result else result"
_NO_WRITE = {"NamedTuple": None}


OPERATIONS = (
    Operation(
        "create_positional",
        "records",
        "create, positional",
        _POSITIONAL.format(cls="SensorReading"),
        "for t, v, u in rows",
        _OF_RESULT,
        _rows,
        instead={"pydantic": None},
        family="create",
        whole=True,
    ),
    Operation(
        "create_keyword",
        "records",
        "create, by keyword",
        _KEYWORD.format(cls="SensorReading"),
        "for t, v, u in rows",
        _OF_RESULT,
        _rows,
        family="create",
        whole=True,
    ),
    Operation(
        "create_frozen",
        "records",
        "create, frozen",
        _POSITIONAL.format(cls="FrozenReading"),
        "for t, v, u in rows",
        _OF_RESULT,
        _rows,
        instead={"slots": None, "pydantic": _KEYWORD.format(cls="FrozenReading")},
        family="create",
        whole=True,
    ),
    Operation(
        "read_object",
        "records",
        "read, object field",
        "o.unit",
        _READ,
        "result",
        _objects(),
        repeat=10,
    ),
    Operation(
        "read_float",
        "records",
        "read, float field",
        "o.value",
        _READ,
        "result",
        _objects(),
        repeat=10,
    ),
    Operation(
        "read_int",
        "records",
        "read, int field",
        "o.timestamp",
        _READ,
        "result",
        _objects(),
        repeat=10,
    ),
    Operation(
        "read_scalars_float",
        "records",
        "read, float, all scalars",
        "o.value",
        _READ,
        "result",
        _objects("Scalars"),
        repeat=10,
    ),
    Operation(
        "read_scalars_int",
        "records",
        "read, int, all scalars",
        "o.timestamp",
        _READ,
        "result",
        _objects("Scalars"),
        repeat=10,
    ),
    Operation(
        "write_object",
        "records",
        "write, object field",
        "o.unit = u",
        _WRITE,
        "o.unit",
        _writes(),
        repeat=10,
        instead=_NO_WRITE,
    ),
    Operation(
        "write_plain",
        "records",
        "write, object, unchecked",
        "o.unit = u",
        _WRITE,
        "o.unit",
        _writes("Plain"),
        repeat=10,
        instead=_NO_WRITE,
    ),
    Operation(
        "write_float",
        "records",
        "write, float field",
        "o.value = v",
        _WRITE,
        "o.value",
        _writes(),
        repeat=10,
        instead=_NO_WRITE,
    ),
    Operation(
        "write_int",
        "records",
        "write, int field",
        "o.timestamp = t",
        _WRITE,
        "o.timestamp",
        _writes(),
        repeat=10,
        instead=_NO_WRITE,
    ),
    Operation("equal", "records", "==", "a == b", "for a, b in pairs", "result", _pairs),
    Operation(
        "hash",
        "records",
        "hash, frozen",
        "hash(o)",
        _READ,
        "result",
        _objects("FrozenReading"),
        outcome_instead={"attrs": _OWN_HASH, "msgspec": _OWN_HASH, "pydantic": _OWN_HASH},
    ),
    Operation("repr", "records", "repr", "repr(o)", _READ, "result", _objects(), repeat=2),
    Operation(
        "asdict",
        "records",
        "asdict",
        "asdict(o)",
        _READ,
        "result",
        _objects(),
        repeat=2,
        instead={
            "slots": "{'timestamp': o.timestamp, 'value': o.value, 'unit': o.unit}",
            "pydantic": "o.model_dump()",
            "NamedTuple": "o._asdict()",
        },
    ),
    Operation(
        "astuple",
        "records",
        "astuple",
        "astuple(o)",
        _READ,
        "result",
        _objects(),
        repeat=2,
        instead={
            "slots": "(o.timestamp, o.value, o.unit)",
            "pydantic": None,
            "NamedTuple": "tuple(o)",
        },
    ),
    Operation(
        "replace",
        "records",
        "replace one field",
        "replace(o, value=v)",
        _WRITE,
        _OF_RESULT,
        _writes(),
        repeat=2,
        instead={
            "slots": "SensorReading(o.timestamp, v, o.unit)",
            "pydantic": "o.model_copy(update={'value': v})",
            "NamedTuple": "o._replace(value=v)",
        },
    ),
    Operation("copy", "records", "copy.copy", "copy(o)", _READ, _OF_RESULT, _objects(), repeat=2),
    Operation(
        "define",
        "records",
        "class definition",
        "exec(definition, dict(scope))",
        "",
        "result",
        _nothing,
        repeat=1,
    ),
    Operation(
        "sort",
        "records",
        "sort 100,000",
        "kept = sorted(objects)",
        "",
        _OF_ITEMS.format("kept"),
        _many("OrderedReading"),
        repeat=1,
        bulk=True,
        instead={"pydantic": None},
    ),
    Operation(
        "dumps",
        "records",
        "pickle.dumps, 100,000",
        "kept = dumps(objects, 5)",
        "",
        _OF_ITEMS.format("loads(kept)"),
        _many(),
        repeat=1,
        bulk=True,
    ),
    Operation(
        "loads",
        "records",
        "pickle.loads, 100,000",
        "kept = loads(blob)",
        "",
        _OF_ITEMS.format("kept"),
        _pickled,
        repeat=1,
        bulk=True,
    ),
)

ROOM = Room(
    "records",
    "Records",
    (PURE, SLOTS, NATIVE, DATACLASS, ATTRS, MSGSPEC, PYDANTIC, NAMED_TUPLE),
    OPERATIONS,
    {
        "pure": "from ferrule.pure.records import Record, i64",
        "ferrule": "from ferrule.records import Record, i64",
        "dataclass": "from dataclasses import dataclass",
        "attrs": "from attrs import define",
        "msgspec": "from msgspec import Struct",
        "pydantic": "from pydantic import BaseModel",
    },
    ("create_positional", "create_keyword"),
    headline=("create_positional", "creation"),
    parts=containers.parts,
)
