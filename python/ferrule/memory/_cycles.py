"""What keeps itself alive: the garbage a full collection finds, and `gc=False` records in cycles.

Nothing here runs code of the objects it looks at: attributes are read through the descriptors of
the type, containers by the methods of their base class, and nothing is compared but identities.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import (
    CellType,
    CodeType,
    FrameType,
    GetSetDescriptorType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Any, Literal, NamedTuple, TypeAlias

#: More objects than this are counted by type, but how they hang together is not looked at.
LIMIT = 20_000
#: More steps than this of one path are not written out.
STEPS = 8

HAVE_GC = 1 << 14  # Py_TPFLAGS_HAVE_GC

State: TypeAlias = Literal["freed", "never freed", "in use"]
_Graph: TypeAlias = list[list[int]]


class Cycle(NamedTuple):
    """Objects that refer to each other in a circle."""

    path: str  #: "Node.next -> Node.prev": which attributes lead round it
    groups: int  #: how many groups of objects hang together this way
    state: State  #: "freed", or for `gc=False` records "never freed" or, as yet, "in use"


@dataclass(frozen=True)
class Cycles:
    """What a full collection found."""

    #: Garbage by type, most first. The dict behind an object's attributes is a part of the object.
    types: dict[str, int]
    #: How it hung together, most frequent first.
    paths: tuple[Cycle, ...]
    #: Cycles through records without a collector header, which no collection ever frees.
    records: tuple[Cycle, ...] = ()
    #: Traced bytes that freeing the garbage gave back.
    size: int = 0
    #: What was not looked at, and why.
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        types = ", ".join(f"{count:,} {name}" for name, count in self.types.items())
        text = [f"garbage: {types or 'none'}"]
        text += [f"  {one.groups:,} x {one.path}" for one in self.paths]
        text += [f"gc=False, {one.state}: {one.groups:,} x {one.path}" for one in self.records]
        return "\n".join((*text, *self.notes))


#: Threads take turns: the settings one sees must not be those another has made for a moment.
_turn = threading.RLock()
#: What to do to give the collector back as it was, while it is not.
_undo: Callable[[], None] | None = None


@contextmanager
def _saving() -> Iterator[list[Any]]:
    """The collector saves what it finds, in the list given; afterwards it is as it was."""
    global _undo
    enabled, flags = gc.isenabled(), gc.get_debug()
    saved = gc.garbage
    start = len(saved)

    def undo() -> None:
        gc.set_debug(flags)
        if not flags & gc.DEBUG_SAVEALL:
            del saved[start:]
        if enabled:
            gc.enable()

    _undo = undo
    gc.disable()
    try:
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        gc.set_debug(flags)
        yield saved[start:]
    finally:
        undo()
        _undo = None


def _after_fork() -> None:
    """The thread whose turn it was is not here."""
    global _turn
    _turn = threading.RLock()
    if _undo is not None:
        _undo()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def collect(traced: Callable[[], int]) -> Cycles:
    """Run a full collection and say what it found; leaves the collector as it was.

    `traced` gives the bytes that tracemalloc knows of.

    Finalizers and callbacks of weak references run once, as in any collection. Where the user
    has set DEBUG_SAVEALL the garbage stays in `gc.garbage`, as it would after `gc.collect()`.
    """
    with _turn:
        with _saving() as garbage:
            found = _examine(garbage)
            garbage.clear()
        before = traced()
        gc.collect()
        size = max(before - traced(), 0)
        records, more = _records()
    return Cycles(found.types, found.paths, records, size, found.notes + more)


def _examine(objects: list[Any]) -> Cycles:
    kinds = _Kinds()
    seen = objects[:LIMIT]
    edges = _edges(seen)
    # the dict of its attributes is a part of an object
    inside = {
        j
        for i, targets in enumerate(edges)
        for j in targets
        if type(seen[j]) is dict and kinds.namespace(seen[i]) is seen[j]
    }
    types = Counter(kinds.of(obj).name for i, obj in enumerate(objects) if i not in inside)
    paths: Counter[str] = Counter()
    for group in _groups(edges):
        first = next((i for i in group if type(seen[i]) is not dict), group[0])
        paths[kinds.path(seen, _circle(edges, first, set(group)))] += 1
    notes: tuple[str, ...] = ()
    if len(objects) > LIMIT:
        notes = (f"paths: of the first {LIMIT:,} of {len(objects):,} objects only",)
    return Cycles(
        dict(_ordered(types)),
        tuple(Cycle(path, count, "freed") for path, count in _ordered(paths)),
        notes=notes,
    )


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


# ---- records without a collector header


def _records() -> tuple[tuple[Cycle, ...], tuple[str, ...]]:
    """Cycles through such records, found by walking their fields; notes.

    The collector does not know these records. They are found where something it does know refers
    to them, and followed from there. Cycles of nothing but such records cannot be found.
    """
    blind = {id(cls) for cls in _record_classes()}
    if not blind:
        return (), ()
    kinds = _Kinds()
    seen = _known_records(blind)
    notes: tuple[str, ...] = ()
    if len(seen) > LIMIT // 4:
        notes = (f"gc=False: the first {LIMIT // 4:,} of {len(seen):,} records only",)
        del seen[LIMIT // 4 :]
    edges = _closure(seen, blind, kinds)
    held = _held_from_outside(seen, edges)
    paths: dict[State, Counter[str]] = {"never freed": Counter(), "in use": Counter()}
    for group in _groups(edges):
        first = next((i for i in group if id(type(seen[i])) in blind), None)
        if first is not None:
            state: State = "in use" if first in held else "never freed"
            paths[state][kinds.path(seen, _circle(edges, first, set(group)))] += 1
    if len(seen) >= LIMIT:
        notes += (f"gc=False: {LIMIT:,} objects were looked at, not all that there are",)
    return tuple(
        Cycle(path, count, state)
        for state, counts in paths.items()
        for path, count in _ordered(counts)
    ), notes


def _closure(seen: list[Any], blind: set[int], kinds: _Kinds) -> _Graph:
    """Add to `seen` what it leads to; who refers to whom."""
    index = {id(obj): i for i, obj in enumerate(seen)}
    namespaces = {
        id(module.__dict__)
        for module in list(sys.modules.values())
        if issubclass(type(module), ModuleType)
    }
    edges: _Graph = []
    for obj in seen:  # grows
        targets = []
        for target in _held(obj, blind, kinds):
            i = index.get(id(target))
            if i is None and len(seen) < LIMIT and _followed(target, blind, namespaces):
                i = index[id(target)] = len(seen)
                seen.append(target)
            if i is not None:
                targets.append(i)
        edges.append(targets)
    return edges


def _record_classes() -> Iterator[type]:
    """Record classes whose instances the collector does not see, but that hold objects."""
    module = sys.modules.get("ferrule.records")  # the room is not loaded for this
    record = getattr(module, "Record", None)
    waiting: list[type] = [record.__mro__[-2]] if record is not None else []  # its base in C
    for cls in waiting:  # grows
        waiting += type.__subclasses__(cls)
        if not cls.__flags__ & HAVE_GC and _Kind(cls).slots:
            yield cls


def _known_records(blind: set[int]) -> list[Any]:
    """Such records that an object the collector tracks refers to, directly or through containers
    that it has stopped tracking because there is nothing in them that it knows."""
    found: dict[int, Any] = {}
    passed: dict[int, Any] = {}
    tracked = gc.get_objects()
    waiting: list[Any] = []
    for at in range(0, len(tracked), 1000):
        part = tracked[at : at + 1000]
        waiting += gc.get_referents(*(obj for obj in part if not _is_module(obj)))
        while waiting:
            obj = waiting.pop()
            kind = type(obj)
            if id(kind) in blind:
                found[id(obj)] = obj
            elif kind in (dict, tuple) and not gc.is_tracked(obj) and id(obj) not in passed:
                passed[id(obj)] = obj
                waiting += gc.get_referents(obj)
    return list(found.values())


def _held(obj: Any, blind: set[int], kinds: _Kinds) -> Iterable[Any]:
    if id(type(obj)) not in blind:
        return _referents(obj)
    return [value for _, value in kinds.slot_values(obj)]


def _followed(obj: Any, blind: set[int], namespaces: set[int]) -> bool:
    """What leads to everything in the program is a way round no cycle that could be garbage."""
    cls = type(obj)
    if not cls.__flags__ & HAVE_GC and id(cls) not in blind:
        return False
    if issubclass(cls, (type, ModuleType, CodeType, FrameType)):
        return False
    return id(obj) not in namespaces


def _held_from_outside(seen: list[Any], edges: _Graph) -> set[int]:
    """What somebody else refers to, and all that these lead to: the collector's own reckoning."""
    probe = [object()]
    ours = sys.getrefcount(probe[0])
    counts = [sys.getrefcount(seen[i]) - ours for i in range(len(seen))]
    for targets in edges:
        for j in targets:
            counts[j] -= 1
    waiting = [i for i, count in enumerate(counts) if count > 0]
    held = set(waiting)
    for i in waiting:  # grows
        new = [j for j in edges[i] if j not in held]
        held.update(new)
        waiting += new
    return held


# ---- the graph


def _is_module(obj: Any) -> bool:
    return issubclass(type(obj), ModuleType)


def _referents(obj: Any) -> list[Any]:
    """As `gc.get_referents`, but of a module its namespace alone: on 3.12 that of `_asyncio` shows
    the dead objects of a free list, and taking hold of one puts it there twice."""
    return (
        [ModuleType.__getattribute__(obj, "__dict__")] if _is_module(obj) else gc.get_referents(obj)
    )


def _edges(seen: list[Any]) -> _Graph:
    index = {id(obj): i for i, obj in enumerate(seen)}
    return [[index[id(r)] for r in _referents(obj) if id(r) in index] for obj in seen]


def _groups(edges: _Graph) -> Iterator[list[int]]:
    """Sets of nodes each of which leads to all others of its set (Tarjan's algorithm, without
    recursion); single nodes only where they lead to themselves."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    stacked: set[int] = set()
    for root in range(len(edges)):
        if root in order:
            continue
        work = [(root, iter(edges[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        stacked.add(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in order:
                    order[target] = low[target] = len(order)
                    stack.append(target)
                    stacked.add(target)
                    work.append((target, iter(edges[target])))
                    break
                if target in stacked:
                    low[node] = min(low[node], order[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    group = [stack.pop()]
                    while group[-1] != node:
                        group.append(stack.pop())
                    stacked.difference_update(group)
                    if len(group) > 1 or node in edges[node]:
                        yield group


def _circle(edges: _Graph, first: int, group: set[int]) -> list[int]:
    """A shortest way from `first` through its group back to itself, without the last step."""
    came: dict[int, int] = {}
    waiting = deque([first])
    while first not in came:
        node = waiting.popleft()
        for target in edges[node]:
            if target in group and target not in came:
                came[target] = node
                waiting.append(target)
    way = [came[first]]
    while way[-1] != first:
        way.append(came[way[-1]])
    return way[::-1]


# ---- names


class _Kind:
    """What there is to know about a type, read once."""

    __slots__ = ("name", "namespace", "slots")

    def __init__(self, cls: type) -> None:
        mro: tuple[type, ...] = _MRO(cls)
        own = [(name, value) for base in mro for name, value in list(_VARS(base).items())]
        name: str = _NAME(cls)
        #: qualified, from where its function begins
        self.name = name.rpartition("<locals>.")[2]
        self.slots = [
            (name, value)
            for name, value in own
            if type(value) is MemberDescriptorType and name != "__dict__"
        ]
        #: gives the `__dict__` of an instance
        self.namespace = next(
            (
                value
                for name, value in own
                if name == "__dict__"
                and type(value) in (GetSetDescriptorType, MemberDescriptorType)
            ),
            None,
        )


_MRO: Any = type.__dict__["__mro__"].__get__
_VARS: Any = type.__dict__["__dict__"].__get__
_NAME: Any = type.__dict__["__qualname__"].__get__


class _Kinds:
    """Types by identity: a metaclass may say how its types are compared."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[type, _Kind]] = {}

    def of(self, obj: Any) -> _Kind:
        cls = type(obj)
        found = self._known.get(id(cls))
        if found is None:
            found = self._known[id(cls)] = cls, _Kind(cls)
        return found[1]

    def namespace(self, obj: Any) -> Any:
        """The object's `__dict__`, or None."""
        getter = self.of(obj).namespace
        return None if getter is None else getter.__get__(obj)

    def slot_values(self, obj: Any) -> Iterator[tuple[str, Any]]:
        for name, slot in self.of(obj).slots:
            try:
                value = slot.__get__(obj)
            except AttributeError:  # not set
                continue
            yield name, value

    def path(self, seen: list[Any], circle: list[int]) -> str:
        """ "Node.next -> Node.prev", the same for every place the circle could be begun at."""
        steps = []
        around = [seen[i] for i in (*circle, *circle[:2])]
        at = 0
        while at < len(circle):
            owner, target = around[at], around[at + 1]
            inside = at + 1 < len(circle) and type(target) is dict
            if inside and self.namespace(owner) is target:
                steps.append(self.of(owner).name + _attribute(target, around[at + 2]))
                at += 1
            else:
                steps.append(self.of(owner).name + self._step(owner, target))
            at += 1
        # a ring of a thousand nodes is one step, repeated
        period = next(n for n in range(1, len(steps) + 1) if steps == steps[-n:] + steps[:-n])
        steps = min(steps[i:period] + steps[:i] for i in range(period))
        if len(steps) > STEPS:
            steps[STEPS:] = [f"({len(steps) - STEPS} more)"]
        return " -> ".join(steps)

    def _step(self, owner: Any, target: Any) -> str:
        """How `owner` refers to `target`: ".name", "[]", "['key']", or nothing."""
        if issubclass(type(owner), type) and target is _MRO(owner):
            return ".__mro__"
        for name, value in self.slot_values(owner):
            if value is target:
                return f".{name}"
        namespace = self.namespace(owner)
        if type(namespace) is dict and (found := _attribute(namespace, target)):
            return found
        if issubclass(type(owner), dict):
            return _item(owner, target)
        if issubclass(type(owner), (list, tuple, deque)):
            return "[]"
        return ".cell_contents" if type(owner) is CellType else ""


def _attribute(namespace: dict[Any, Any], target: Any) -> str:
    for key, value in dict.items(namespace):
        if value is target and type(key) is str:
            return f".{key}"
    return ""


def _item(owner: dict[Any, Any], target: Any) -> str:
    for key, value in dict.items(owner):
        if value is target:
            named = type(key) is str and key.isidentifier() and len(key) <= 40
            return f"[{key!r}]" if named else "[]"
    return " key"
