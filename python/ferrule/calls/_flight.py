"""Cached coroutine functions: a result that is not there is computed once for each event loop.

The work runs in a task of its own, so that whoever is cancelled leaves it to the others; the last
one takes it along. Under trio, or driven by hand, every caller computes for itself. Whoever does
not use asyncio does not get it imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio


class Ticket(Protocol):
    """One call that found nothing (ext/calls/cache_async.c)."""

    @property
    def flights(self) -> dict[asyncio.AbstractEventLoop, Flight] | None: ...
    def call(self) -> Awaitable[Any]: ...
    def store(self, value: Any, /) -> Any: ...
    def found(self) -> tuple[Any] | None: ...
    def count(self, hit: bool, /) -> None: ...


class Flight:
    """A computation under way in one event loop."""

    __slots__ = ("others", "over", "task", "waiting")

    def __init__(self) -> None:
        self.task: asyncio.Task[Any] | None = None
        self.waiting = 0
        #: Flights that this one waits for.
        self.others: list[Flight] = []
        #: All who waited were cancelled, and so is it.
        self.over = False

    def waits_for(self, goal: Flight) -> bool:
        """Itself or through others."""
        todo, seen = [self], set[Flight]()
        while todo:
            flight = todo.pop()
            if flight is goal:
                return True
            if flight not in seen:
                seen.add(flight)
                todo += flight.others
        return False


_within: ContextVar[Flight | None] = ContextVar("_within", default=None)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Of asyncio; None where there is none."""
    trio, aio = sys.modules.get("trio"), sys.modules.get("asyncio")
    if aio is None or (trio is not None and trio.lowlevel.in_trio_run()):
        return None
    try:
        loop: asyncio.AbstractEventLoop = aio.get_running_loop()
    except (AttributeError, RuntimeError):  # another thread may be importing it
        return None
    return loop


async def fly(ticket: Ticket) -> Any:
    """Compute, or wait for who does."""
    loop = _running_loop()
    while True:
        if (found := ticket.found()) is not None:
            ticket.count(True)
            return found[0]
        flights = ticket.flights
        if loop is None or flights is None:
            return await _alone(ticket)
        outer, flight = _within.get(), flights.get(loop)
        own = flight is None or flight.over or (flight.task is not None and flight.task.done())
        if own:
            flight = _begin(loop, flights, ticket)
        assert flight is not None
        if flight.task is None or (outer is not None and flight.waits_for(outer)):
            return await _alone(ticket)  # to wait would be for ever
        await _join(flight, flight.task, outer)
        if not own and (flight.task.cancelled() or _is_private(flight.task.exception())):
            continue
        if not own:
            ticket.count(flight.task.exception() is None)
        return flight.task.result()


def _is_private(error: BaseException | None) -> bool:
    """Whether it is nobody's but his who computed."""
    return error is not None and not isinstance(error, Exception)


async def _alone(ticket: Ticket) -> Any:
    ticket.count(False)
    return ticket.store(await ticket.call())


async def _work(ticket: Ticket, flight: Flight) -> Any:
    _within.set(flight)
    return await _alone(ticket)


def _begin(
    loop: asyncio.AbstractEventLoop,
    flights: dict[asyncio.AbstractEventLoop, Flight],
    ticket: Ticket,
) -> Flight:
    for other in [other for other in flights if other.is_closed()]:
        del flights[other]  # it ended without its tasks
    flight = flights[loop] = Flight()
    flight.task = loop.create_task(_work(ticket, flight))

    def landed(_: object) -> None:
        if flights.get(loop) is flight:
            del flights[loop]

    flight.task.add_done_callback(landed)
    return flight


async def _join(flight: Flight, task: asyncio.Task[Any], outer: Flight | None) -> None:
    """Until the task is done. The last to be cancelled cancels it, and waits for its end."""
    from asyncio import CancelledError, wait  # noqa: PLC0415

    flight.waiting += 1
    if outer is not None:
        outer.others.append(flight)
    try:
        await wait((task,))
    except CancelledError:
        if flight.waiting == 1:
            flight.over = True
            task.cancel()
            while not task.done():
                try:
                    await wait((task,))
                except CancelledError:
                    task.cancel()
        raise
    finally:
        flight.waiting -= 1
        if flight.waiting == 0 and not task.done():
            flight.over = True  # closed, not cancelled: nothing can be awaited
            if not task.get_loop().is_closed():
                task.cancel()
        if outer is not None:
            outer.others.remove(flight)
        if task.done() and not task.cancelled():
            task.exception()  # it was looked at
