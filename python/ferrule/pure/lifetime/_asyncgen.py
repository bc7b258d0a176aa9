"""Async generators, counted, by hooks that `sys.set_asyncgen_hooks` of every caller goes through.

The twin sees the thread that starts it and every loop begun later, unless somebody kept the
built-in function before.
"""

from __future__ import annotations

import atexit
import re
import socket
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import AsyncGeneratorType, FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypedDict, cast

if TYPE_CHECKING:
    import asyncio
    from typing import Self

Event = Literal["created", "finished", "leaked"]
_Generator = AsyncGeneratorType[Any, Any]
_Ref = weakref.ref[_Generator]
_Loop: TypeAlias = "asyncio.AbstractEventLoop"


class Site(NamedTuple):
    """A generator function, and the place that first iterates what it makes.

    What is not known is empty: without Python code around it, an iteration has no caller.
    """

    generator: str
    filename: str = ""
    lineno: int = 0
    caller: str = ""
    caller_filename: str = ""
    caller_lineno: int = 0

    def __str__(self) -> str:
        text = self.generator
        if self.filename:
            text += f" ({self.filename}:{self.lineno})"
        if self.caller:
            text += f" in {self.caller} ({self.caller_filename}:{self.caller_lineno})"
        return text


OnEvent = Callable[[Event, _Generator | None, Site], object]


class Counts(TypedDict):
    """How many generators; created == live + finished + leaked."""

    created: int
    live: int
    finished: int
    leaked: int


class Stats(Counts):
    sites: dict[Site, Counts]


def _counts(created: int = 0, finished: int = 0, leaked: int = 0) -> Counts:
    return {
        "created": created,
        "live": created - finished - leaked,
        "finished": finished,
        "leaked": leaked,
    }


class Live(int):
    """How many generators are live, and which.

    It does not keep them: iteration leaves out what has gone since.
    """

    _refs: tuple[_Ref, ...]

    def __new__(cls, refs: Iterable[_Ref] = ()) -> Self:
        held = tuple(refs)
        self = super().__new__(cls, len(held))
        self._refs = held
        return self

    def __iter__(self) -> Iterator[_Generator]:
        return (generator for ref in self._refs if (generator := ref()) is not None)

    def __len__(self) -> int:
        return int(self)

    def __contains__(self, generator: object) -> bool:
        return any(found is generator for found in self)

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)


class AsyncGenTracker:
    """Counts the async generators from start() to stop().

    A generator counts from its first iteration on. It is "finished" when it has run to its end or
    was closed, and "leaked" when it was dropped before, so that somebody else had to close it.

    `on_event(event, generator, site)` hears of each "created", "finished" (the generator is None
    by then) and "leaked"; what it raises goes to `sys.unraisablehook`. Beyond `max_sites` places
    the rest is counted together, as "(other)".
    """

    __slots__ = (
        "_on_event", "_max_sites", "_sites", "_entries", "_dropped", "__weakref__",
    )  # fmt: skip

    def __init__(self, *, on_event: OnEvent | None = None, max_sites: int = 10_000) -> None:
        if on_event is not None and not callable(on_event):
            raise TypeError(
                "AsyncGenTracker(): on_event must be callable or None, "
                f"got {type(on_event).__name__}"
            )
        if max_sites < 1:
            raise ValueError(f"AsyncGenTracker(): max_sites must be at least 1, got {max_sites}")
        self._on_event = on_event
        self._max_sites = max_sites
        self._sites: dict[Site, Counter[str]] = {}
        self._entries: dict[int, weakref.ref[_Entry]] = {}
        self._dropped: list[tuple[_Generator, Any]] = []

    @property
    def started(self) -> bool:
        """Does it see new generators?"""
        return self in _started

    def start(self) -> Self:
        """See async generators from their first iteration on; the tracker itself."""
        if self not in _started and not _shut:
            _started.append(self)
            _switch(True)
            _cover()
        return self

    def stop(self) -> Self:
        """See no new generators; those seen before are still counted when they end."""
        if self in _started:
            _started.remove(self)
            if not _started:
                _uncover()
                _switch(False)
        return self

    def _site(self, generator: _Generator, caller: FrameType) -> Site:
        code, line = generator.ag_code, caller.f_lineno or 0
        site = Site(
            code.co_qualname, code.co_filename, code.co_firstlineno,
            caller.f_code.co_qualname, caller.f_code.co_filename, line,
        )  # fmt: skip
        with _lock:
            if site not in self._sites and len(self._sites) >= self._max_sites:
                site = Site("(other)")
            self._sites.setdefault(site, Counter())
        return site

    def _listed(self, dropped: bool) -> list[tuple[_Ref, Any]]:
        """Weak references and finalizer hooks of what is live, or is being closed."""
        self._dropped = [
            (generator, hook) for generator, hook in self._dropped
            if generator.ag_frame is not None and not _loop_of(hook).is_closed()
        ]  # fmt: skip
        if dropped:
            return [(weakref.ref(generator), hook) for generator, hook in self._dropped]
        found = []
        for entry in [ref() for ref in list(self._entries.values())]:
            generator = entry.ref() if entry is not None else None
            if entry is None or generator is None:
                continue
            if generator.ag_frame is None:
                entry.count("finished", None)
            else:
                found.append((entry.ref, entry.hooks[1]))
        return found

    def _counts(self) -> list[tuple[Site, int, int, int]]:
        self._listed(False)
        with _lock:
            return [
                (site, counts["created"], counts["finished"], counts["leaked"])
                for site, counts in self._sites.items()
            ]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "started" if self.started else "stopped"
        return f"<{type(self).__qualname__} {state}, {int(self.live)} live>"

    @property
    def live(self) -> Live:
        """The generators that have begun and not ended: an int that can be iterated."""
        return Live(ref for ref, _ in self._listed(False))

    def stats(self) -> Stats:
        """How many were created, are live, have finished and have leaked; in all and by site."""
        sites: dict[Site, Counts] = {}
        for site, *numbers in self._counts():
            counts: Any = sites.setdefault(site, _counts())
            for key, number in _counts(*numbers).items():
                counts[key] += number
        total: dict[str, Any] = dict(_counts())
        for counts in sites.values():
            for key, number in counts.items():
                total[key] += number
        return cast(Stats, total | {"sites": sites})

    def prometheus(self) -> str:
        """The figures by site, in the text exposition format 0.0.4 of Prometheus."""
        return _exposition(self.stats()["sites"])

    async def aclose(self) -> int:
        """Close what is live, each generator on the loop that it belongs to; how many were.

        Also waits for those that were dropped and whose loop is closing them. Left alone are
        generators that are being iterated, and those of loops that do not run. What clean-ups
        raise is raised together, after the last of them.
        """
        here = _running_loop()
        errors: list[BaseException] = []
        closed = 0
        for loop, generators in self._by_loop(here).items():
            if loop is here:
                closed += await _close(generators, errors)
            elif loop.is_running():
                closed += await _close_elsewhere(generators, errors, loop, here)
        await _ended([(ref, _loop_of(finalizer)) for ref, finalizer in self._listed(True)], here)
        if errors:
            raise BaseExceptionGroup("AsyncGenTracker.aclose(): clean-ups failed", errors)
        return closed

    def _by_loop(self, here: _Loop | None) -> dict[Any, list[_Generator]]:
        """What is not being iterated; a loop that is not known is taken for the one here."""
        found: dict[Any, list[_Generator]] = {}
        for ref, finalizer in self._listed(False):
            generator = ref()
            if generator is not None and not generator.ag_running:
                found.setdefault(_loop_of(finalizer) or here, []).append(generator)
        return found


def track_asyncgens(on_event: OnEvent | None = None, *, max_sites: int = 10_000) -> AsyncGenTracker:
    """`with track_asyncgens() as tracker`: a tracker, started for the length of the block."""
    return AsyncGenTracker(on_event=on_event, max_sites=max_sites)


# ---- hooks

_builtin_set: Any = sys.set_asyncgen_hooks
_builtin_get: Any = sys.get_asyncgen_hooks
_started: list[AsyncGenTracker] = []
_lock = threading.RLock()  # again in the same thread: a collection may end generators anywhere
_shut = False


class _Entry:
    """Stands as both hooks of a thread until a generator takes it for its finalizer.

    It is called if that generator is dropped unfinished, and goes with the generator.
    """

    status: Event | None = None

    def __init__(self, firstiter: Any, finalizer: Any) -> None:
        self.hooks = firstiter, finalizer
        self.seen: list[tuple[AsyncGenTracker, Site]] = []

    def begin(self, generator: _Generator) -> None:
        if self.status is None and _started:
            fresh = _Entry(*self.hooks)
            _builtin_set(fresh.begin, fresh)
            self.ref = weakref.ref(generator)
            caller = sys._getframe(1)
            self.seen = [(tracker, tracker._site(generator, caller)) for tracker in _started]
            for tracker, _ in self.seen:
                tracker._entries[id(self)] = weakref.ref(self)
            self.count("created", generator)
        if self.hooks[0] is not None:
            self.hooks[0](generator)

    def __call__(self, generator: _Generator) -> None:
        if self.status == "created":
            if _loop_of(self.hooks[1]):
                for tracker, _ in self.seen:
                    tracker._dropped.append((generator, self.hooks[1]))
            self.count("leaked", generator)
        if self.hooks[1] is not None:
            self.hooks[1](generator)
            return
        try:
            generator.aclose().send(None)
        except StopIteration:
            return
        raise RuntimeError("async generator ignored GeneratorExit")

    def __del__(self) -> None:
        if self.status == "created":
            self.count("finished", None)

    def count(self, event: Event, generator: _Generator | None) -> None:
        self.status = event
        with _lock:
            for tracker, site in self.seen:
                tracker._sites[site][event] += 1
                if event != "created":
                    tracker._entries.pop(id(self), None)
        for tracker, site in self.seen:
            if tracker._on_event is not None and not _shut:
                try:
                    tracker._on_event(event, generator, site)
                except BaseException as error:
                    _Unraisable(error)


class _Unraisable:
    """Dies at once, and what it raises then goes to sys.unraisablehook."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __del__(self) -> None:
        try:
            raise self.error
        finally:
            del self  # which the traceback would keep, and it the generator


def _cover() -> None:
    hooks = _builtin_get()
    if not isinstance(hooks.finalizer, _Entry):
        entry = _Entry(*hooks)
        _builtin_set(entry.begin, entry)


def _uncover() -> None:
    entry = _builtin_get().finalizer
    if isinstance(entry, _Entry):
        _builtin_set(*entry.hooks)


def _set_hooks(*hooks: Any, **named: Any) -> None:
    _uncover()
    try:
        _builtin_set(*hooks, **named)
    finally:
        if _started:
            _cover()


def _get_hooks() -> Any:
    _uncover()
    try:
        return _builtin_get()
    finally:
        if _started:
            _cover()


def _switch(on: bool) -> None:
    setattr(sys, "set_asyncgen_hooks", _set_hooks if on else _builtin_set)  # noqa: B010
    setattr(sys, "get_asyncgen_hooks", _get_hooks if on else _builtin_get)  # noqa: B010


@atexit.register
def _at_exit() -> None:
    global _shut
    _shut = True
    _started.clear()
    _uncover()
    _switch(False)


# ---- closing: asyncio is looked at only where somebody has imported it

#: Seconds between two looks at a loop in another thread, which may stop without a word.
_LOOK = 0.02


def _running_loop() -> _Loop | None:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        found: _Loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return found


def _loop_of(finalizer: object) -> Any:
    """The event loop whose method the finalizer hook is, or None."""
    owner = getattr(finalizer, "__self__", None)
    return owner if hasattr(owner, "call_soon_threadsafe") else None


async def _close_one(generator: _Generator) -> bool:
    if generator.ag_running or generator.ag_frame is None:  # since it was listed
        return False
    await generator.aclose()
    return True


async def _close(generators: list[_Generator], errors: list[BaseException]) -> int:
    """On the loop they belong to: all at once under asyncio, else one after the other."""
    results: list[bool | BaseException] = []
    if _running_loop() is not None:
        gather = sys.modules["asyncio"].gather
        results = await gather(*map(_close_one, generators), return_exceptions=True)
    else:
        for generator in generators:
            try:
                results.append(await _close_one(generator))
            except Exception as error:
                results.append(error)
    errors += [result for result in results if isinstance(result, BaseException)]
    return results.count(True)


async def _close_elsewhere(
    generators: list[_Generator], errors: list[BaseException], loop: _Loop, here: _Loop | None
) -> int:
    """On a loop that another thread runs, for as long as it runs."""
    tasks: list[asyncio.Task[int]] = []

    def begin() -> None:
        tasks.append(loop.create_task(_close(generators, errors)))

    try:
        loop.call_soon_threadsafe(begin)
    except RuntimeError:  # closed meanwhile
        return 0
    while loop.is_running() and not (tasks and tasks[0].done()):
        await _pause(here)
    done = bool(tasks) and tasks[0].done() and not tasks[0].cancelled()
    return tasks[0].result() if done else 0


async def _ended(dropped: list[tuple[_Ref, Any]], here: _Loop | None) -> None:
    """Wait for generators that their loops are closing."""
    for ref, loop in dropped:
        while loop is not None and loop.is_running():
            generator = ref()
            if generator is None or generator.ag_frame is None:
                break
            del generator
            await _pause(here)


async def _pause(here: _Loop | None) -> None:
    """Without asyncio here there is no way to wait that every loop understands: the thread does."""
    if here is not None:
        await sys.modules["asyncio"].sleep(_LOOK)
    else:
        time.sleep(_LOOK)


# ---- Prometheus

_HELP = {
    "created": "Async generators that were iterated.",
    "finished": "Async generators that ran to their end or were closed.",
    "leaked": "Async generators that were dropped unfinished.",
    "live": "Async generators that have begun and not ended.",
}


def _label(value: object) -> str:
    """A file name may hold bytes that are no text: they are shown as escapes."""
    text = str(value).encode("utf-8", "backslashreplace").decode()
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _exposition(sites: dict[Site, Counts]) -> str:
    lines = []
    labels = {
        site: ",".join(
            f'{name}="{_label(value)}"' for name, value in zip(Site._fields, site, strict=True)
        )
        for site in sites
    }
    for key, text in _HELP.items():
        kind, suffix = ("gauge", "") if key == "live" else ("counter", "_total")
        name = f"ferrule_asyncgen_{key}{suffix}"
        samples: Counter[str] = Counter()
        for site, counts in sites.items():
            numbers: Any = counts
            samples[labels[site]] += numbers[key]
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{{{label}}} {number}" for label, number in samples.items()]
    return "\n".join(lines) + "\n"


# ---- StatsD


class StatsD:
    """An `on_event` that counts events in StatsD, by one datagram each.

    With `tags`, the site follows as DogStatsD has it. Nothing waits and nothing is raised: what
    the socket does not take is counted in `dropped`.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8125,
        *,
        prefix: str = "ferrule.asyncgen",
        tags: bool = False,
    ) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = found[0]
        self._address: Any = address
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setblocking(False)
        self._prefix = prefix
        self._tags = tags
        self.sent = 0
        self.dropped = 0

    def __call__(self, event: Event, generator: _Generator | None, site: Site) -> None:
        line = f"{self._prefix}.{event}:1|c"
        if self._tags:
            pairs = zip(Site._fields, site, strict=True)
            line += "|#" + ",".join(f"{name}:{_tag(value)}" for name, value in pairs)
        try:
            self._socket.sendto(line.encode("utf-8", "replace"), self._address)
        except OSError:
            self.dropped += 1
        else:
            self.sent += 1

    def close(self) -> None:
        """Close the socket; events that still come are dropped."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _tag(value: object) -> str:
    return re.sub(r"[,|:#\s]", "_", str(value))
