"""Two processes over one database, one of them slow: a call of its that lands late must not undo what came after it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest

from app.domain.booking import Actor, Booking
from app.errors import HoldfastError
from app.parts import Parts
from tests.support.agreement import assert_agreement, let_it_rest
from tests.support.processes import SlowWire, another_process
from tests.support.stack import Stack, open_stack, session_of
from tests.support.stories import OTHER_SERVICE

pytestmark = pytest.mark.both_databases


async def booked(stack: Stack, service: str = "portrait") -> Booking:
    """A confirmed booking whose mails are sent."""
    booking = await stack.confirmed(service=service)
    await stack.tick()
    return booking


@asynccontextmanager
async def slow_house(stack: Stack, folder: Path) -> AsyncIterator[tuple[Parts, SlowWire]]:
    """The acts of a second process, and its slow wire to Hapio."""
    wire = SlowWire(stack)
    async with another_process(stack, folder, stack.settings.database_url, wire) as other:
        yield other, wire


async def while_it_is_slow(
    stack: Stack, wire: SlowWire, act: Awaitable[object], meanwhile: Callable[[], Awaitable[object]]
) -> None:
    """The slow process begins to act; the other's worker comes by, and the customer goes on. Then the call lands."""

    async def slowly() -> None:
        with suppress(HoldfastError):
            await act

    with anyio.fail_after(30):
        async with anyio.create_task_group() as at_once:
            at_once.start_soon(slowly)
            await wire.sent.wait()
            await stack.tick()
            with suppress(HoldfastError):  # such as: a move is being made right now
                await meanwhile()
            await stack.tick()
            wire.go.set()
    await let_it_rest(stack)
    await assert_agreement(stack)


async def test_a_move_that_lands_late_does_not_undo_the_next_one(stack: Stack, tmp_path: Path) -> None:
    booking = await booked(stack)
    first, second = await stack.in_days(6), await stack.in_days(8)

    async def meanwhile() -> None:
        await stack.move(booking, second)

    async with slow_house(stack, tmp_path) as (slow, wire):
        move = slow.reschedule.booking(booking.id, starts_at=first, by=Actor.CUSTOMER)
        await while_it_is_slow(stack, wire, move, meanwhile)


async def test_a_move_that_lands_late_does_not_follow_a_cancellation(stack: Stack, tmp_path: Path) -> None:
    booking = await booked(stack)

    async def meanwhile() -> None:
        await stack.cancel(booking)
        await stack.parts.cancel.undo(booking.id)

    async with slow_house(stack, tmp_path) as (slow, wire):
        move = slow.reschedule.booking(booking.id, starts_at=await stack.in_days(6), by=Actor.CUSTOMER)
        await while_it_is_slow(stack, wire, move, meanwhile)


async def test_a_cancellation_that_lands_late_does_not_undo_the_undoing(stack: Stack, tmp_path: Path) -> None:
    booking = await booked(stack)

    async def meanwhile() -> None:
        await stack.parts.cancel.undo(booking.id)

    async with slow_house(stack, tmp_path) as (slow, wire):
        await while_it_is_slow(stack, wire, slow.cancel.booking(booking.id, by=Actor.CUSTOMER), meanwhile)


async def test_an_undoing_that_lands_late_does_not_undo_the_next_cancellation(stack: Stack, tmp_path: Path) -> None:
    booking = await booked(stack)
    await stack.cancel(booking)

    async def meanwhile() -> None:
        await stack.cancel(booking)

    async with slow_house(stack, tmp_path) as (slow, wire):
        await while_it_is_slow(stack, wire, slow.cancel.undo(booking.id), meanwhile)


async def test_a_difference_that_two_processes_see_at_once_moves_the_booking_and_stays(
    tmp_path: Path, database: str
) -> None:
    async with open_stack(tmp_path, widget=OTHER_SERVICE, webhooks=False, database=database) as stack:
        booking = await booked(stack, "headshot")
        moving = await stack.move(booking, await stack.in_days(4), service="portrait")
        await stack.stripe.pay(session_of(moving))
        async with (
            another_process(stack, tmp_path, database=stack.settings.database_url) as other,
            anyio.create_task_group() as at_once,
        ):
            for parts in (stack.parts, other):
                at_once.start_soon(parts.settle.booking, booking.id)
        assert (await stack.now(booking)).moves == 1
        assert await stack.refunds(booking) == []
        await let_it_rest(stack)
        await assert_agreement(stack)
