"""A scheduler that makes so many bookings a day: nobody pays for one that it cannot make before tomorrow."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.booking import Status, Visitor
from app.errors import SchedulerFull
from tests.support.json_door import KEY, SERVER, post, wish
from tests.support.processes import another_process
from tests.support.stack import Stack, open_stack, text_of

PER_DAY = 2


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    settings = {"calendly_creates_per_day": PER_DAY, "api_keys": (KEY,)}
    async with open_stack(tmp_path, scheduler="calendly", settings=settings) as stack:
        yield stack


async def test_what_is_held_has_its_share_until_it_is_given_up(stack: Stack) -> None:
    held = [await stack.hold(await stack.free_slot(nth=nth)) for nth in (0, 4)]
    with pytest.raises(SchedulerFull) as refused:
        await stack.hold(await stack.free_slot(nth=8))
    assert refused.value.retry_after == 16 * 3600, "at midnight UTC"
    assert not any("invitees" in call.path for call in stack.side.calls), "nothing was asked for it"
    await stack.parts.hold.give_up(held[0].id)
    assert (await stack.hold(await stack.free_slot(nth=8))).status is Status.HELD


async def test_what_was_booked_today_counts_and_tomorrow_begins_again(stack: Stack) -> None:
    for days in (3, 4):
        await stack.confirmed(await stack.in_days(days))
    with pytest.raises(SchedulerFull):
        await stack.hold(await stack.in_days(5))
    stack.clock.advance(timedelta(days=1))
    assert (await stack.hold(await stack.in_days(5))).status is Status.HELD


async def test_a_move_is_a_booking_there_and_counts_too(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await stack.move(booking, await stack.in_days(4))
    with pytest.raises(SchedulerFull):
        await stack.move(await stack.now(booking), await stack.in_days(5))
    assert (await stack.now(booking)).status is Status.CONFIRMED


async def test_a_restart_forgets_nothing_of_the_day(stack: Stack) -> None:
    for days in (3, 4):
        await stack.confirmed(await stack.in_days(days))
    await stack.restart()
    with pytest.raises(SchedulerFull):
        await stack.hold(await stack.in_days(5))


async def test_what_another_process_has_booked_counts_at_once(stack: Stack, tmp_path: Path) -> None:
    """A process that learnt of it some seconds later would let a visitor pay for what cannot be booked today."""
    database, ration = stack.settings.database_url, {"calendly_creates_per_day": str(PER_DAY)}
    async with another_process(stack, tmp_path, database, settings=ration) as other:
        for days in (3, 4):
            await stack.confirmed(await stack.in_days(days))
        widget, service = other.widgets["studio"], stack.portrait_id
        with pytest.raises(SchedulerFull):
            await other.hold.take(
                widget,
                service_id=service,
                starts_at=await stack.in_days(5),
                resource_id=None,
                visitor=Visitor(key="0" * 24, time_zone="Europe/Stockholm", language="en"),
            )


async def test_visitors_and_programs_read_that_it_is_full_for_today(stack: Stack) -> None:
    for nth in (0, 4):
        await stack.hold(await stack.free_slot(nth=nth))
    start = (await stack.free_slot(nth=8)).isoformat()
    form = {"service": stack.portrait_id, "start": start, "key": "anna"}
    answer = await stack.client.post("/w/studio/hold", data=form)
    assert "cannot take any more bookings today" in text_of(answer.text)
    refused = await post(stack, "bookings/lock", await wish(stack, 8), **SERVER)
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "CALENDLY_API_ERROR"
    assert refused.headers["retry-after"] == str(16 * 3600)
