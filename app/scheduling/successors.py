"""Bookings that moves at a scheduler have made of one another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from app.scheduling.port import SchedulerBooking

#: How many moves in a row are followed.
_MOST_MOVES = 20

Read = Callable[[str], Awaitable[SchedulerBooking]]


async def with_successors(read: Read, there: SchedulerBooking) -> AsyncIterator[SchedulerBooking]:
    """A booking, and what each move has made of it, one after the other. Raises what `read` does."""
    yield there
    for _ in range(_MOST_MOVES):
        if not there.successor:
            return
        there = await read(there.successor)
        yield there


async def latest(read: Read, there: SchedulerBooking) -> SchedulerBooking:
    """The last of them."""
    return [one async for one in with_successors(read, there)][-1]
