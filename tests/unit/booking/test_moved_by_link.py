"""Where a move there makes a new booking: who moved the old one has not cancelled the new one."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.booking import EndReason, Status
from tests.support.sides import CalcomSide
from tests.support.stack import Stack, open_stack


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with open_stack(tmp_path, scheduler="calcom") as stack:
        yield stack


@pytest.mark.parametrize("known", [True, False], ids=["by the owner", "by somebody unknown"])
async def test_all_the_money_goes_back_when_a_booking_is_canceled_there_after_its_customer_has_moved_it(
    stack: Stack, known: bool
) -> None:
    booking = await stack.confirmed()
    side = stack.side
    assert isinstance(side, CalcomSide)
    reference = (await stack.now(booking)).reservation.reference or ""
    moved = side.sandbox.move_as_attendee(reference, await stack.in_days(6))["uid"]
    canceled = side.sandbox.state.bookings[side.sandbox.cancel_as_owner(moved)["uid"]]
    if not known:
        side.sandbox.state.change(canceled, cancelled_by=None)
    stack.clock.set(booking.starts_at - timedelta(hours=1))
    await stack.parts.follow.booking(booking.id)
    await stack.until_quiet()
    ended = await stack.now(booking)
    assert (ended.status, ended.end_reason) == (Status.CANCELED, EndReason.BY_OWNER)
    assert stack.money_kept() == 0
