"""Looking at times never spends the calls to Hapio that bookings need."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from app.domain.booking import Status
from app.domain.local_days import next_month
from app.errors import RateLimited, SchedulerError
from app.scheduling.availability import CallBudget
from app.scheduling.port import SchedulerCall
from sandbox.clock import Clock
from tests.support.callers import Caller
from tests.support.stack import Stack, open_stack, text_of

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FIRST = datetime(2026, 12, 1, 0, 0, tzinfo=UTC)
PLAN = 2500


def spend(budget: CallBudget, calls: int) -> None:
    for _ in range(calls):
        budget.record(SchedulerCall(FIRST, "getBookings", 200, 0.1))


@pytest.fixture
def clock() -> Clock:
    return Clock(FIRST)


@pytest.fixture
def budget(clock: Clock) -> CallBudget:
    return CallBudget(calls_per_month=PLAN, counter="hapio_calls", now=clock)


@pytest.fixture
async def december(tmp_path: Path) -> AsyncIterator[Stack]:
    """The studio on the first of a month of 31 days, with Hapio's free plan."""
    async with open_stack(tmp_path) as stack:
        stack.clock.set(FIRST)
        stack.hapio.switches.monthly_quota = PLAN
        yield stack


def months_from(first: date, count: int) -> list[date]:
    found = [first]
    while len(found) < count:
        found.append(next_month(found[-1]))
    return found


# The bucket


def test_looks_stop_at_four_fifths_of_the_plan(budget: CallBudget, clock: Clock) -> None:
    clock.advance(30 * DAY + 23 * HOUR)
    while budget.may_read(7):
        spend(budget, 7)
    assert PLAN * 0.8 - 7 < budget.spent <= PLAN * 0.8


@pytest.mark.parametrize("days", [0, 1, 5, 15, 29])
def test_looks_stop_where_they_are_far_ahead_of_the_calendar(budget: CallBudget, clock: Clock, days: int) -> None:
    clock.advance(days * DAY)
    while budget.may_read(1):
        spend(budget, 1)
    share = PLAN * 0.8 * days / 31
    assert share < budget.spent <= min(PLAN * 0.8, share + PLAN * 0.08)


def test_what_was_not_spent_by_a_day_is_there_on_the_next(budget: CallBudget, clock: Clock) -> None:
    while budget.may_read(1):
        spend(budget, 1)
    before = budget.spent
    clock.advance(DAY)
    while budget.may_read(1):
        spend(budget, 1)
    assert budget.spent - before == pytest.approx(PLAN * (0.8 - 0.08) / 31, abs=1)


def test_bookings_take_from_what_looks_may_spend_and_not_the_other_way_round(budget: CallBudget) -> None:
    spend(budget, 2400)
    assert not budget.may_read(1)


def test_near_months_are_read_when_far_ones_no_longer_are(budget: CallBudget) -> None:
    stopped = []
    for _ in range(300):
        stopped += [
            distance for distance in range(5) if distance not in stopped and not budget.may_read(1, distance=distance)
        ]
        spend(budget, 1)
    assert stopped == [4, 3, 2, 1, 0]


# A month


async def look_at_everything(stack: Stack, rounds: int) -> None:
    """Someone opens fourteen months of each service, from ever new addresses; refusals are taken for answers."""
    widget = stack.parts.widgets["studio"]
    for service_id in stack.ids.services.values():
        service = await stack.parts.availability.service(widget, service_id)
        for month in months_from(stack.clock().date().replace(day=1), 14):
            try:
                await stack.parts.availability.times(widget, service, month=month, reader=f"192.0.2.{rounds % 200}")
            except (SchedulerError, RateLimited):
                continue


async def test_a_month_of_looking_leaves_an_honest_visitor_their_booking_on_the_last_day(december: Stack) -> None:
    """Someone who opened 42 months every three hours had once used up the plan by the 16th."""
    stack, spent = december, {}
    for hour in range(0, 31 * 24, 3):
        stack.clock.set(FIRST + hour * HOUR)
        await look_at_everything(stack, hour)
        spent[hour // 24 + 1] = stack.hapio.state.month_used
    told = f"calls to Hapio by the day of the month: {spent}"
    assert max(spent.values()) <= PLAN * 0.8, told
    assert spent[1] <= PLAN * 0.8 / 31 + PLAN * 0.08, told
    assert spent[31] > PLAN * 0.6, f"the rest is there to be used; {told}"
    assert stack.clock().day == 31
    anna = Caller(stack, "203.0.113.1")
    widget = stack.parts.widgets["studio"]
    service = await stack.parts.availability.service(widget, stack.portrait_id)
    times = await stack.parts.availability.times(widget, service, month=date(2027, 1, 1))
    assert stack.clock() - times.as_of < 2 * DAY, told
    assert (await anna.hold(times.slots[-1].starts_at)).status_code == 303, told
    booking = await stack.confirmed(times.slots[0].starts_at)
    assert booking.status is Status.CONFIRMED, told
    canceled = await stack.cancel(booking)
    assert canceled.reservation.canceled, told


# Without calls for looking


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Stack]:
    """The studio with the smallest plan, on which holds and releases are soon all that is left for."""
    async with open_stack(tmp_path, settings={"hapio_calls_per_month": 100}) as stack:
        yield stack


async def use_up(stack: Stack) -> None:
    """Visitors hold times and leave, until looking has nothing left."""
    while stack.parts.staff.calls(45)[0].spent < 80:
        await stack.parts.hold.give_up((await stack.hold()).id)
        stack.clock.advance(timedelta(seconds=10))


async def test_times_that_were_read_are_shown_with_their_age_and_not_read_again(small: Stack) -> None:
    address = f"/w/studio?service={small.portrait_id}"
    assert "Times as of" not in text_of((await small.client.get(address)).text)
    await use_up(small)
    small.clock.advance(3 * DAY)
    reads = slot_reads(small)
    page = await small.client.get(address)
    assert page.status_code == 200
    assert "Times as of" in text_of(page.text)
    assert 'name="start"' in page.text
    assert slot_reads(small) == reads


async def test_a_month_that_nobody_has_read_says_so(small: Stack) -> None:
    await use_up(small)
    reads = slot_reads(small)
    page = await small.client.get(f"/w/studio?service={small.headshot_id}")
    assert page.status_code == 200
    assert "cannot load the times for this month" in text_of(page.text)
    assert "No times in" not in text_of(page.text)
    query = {"serviceId": small.headshot_id, "from": "2026-11-24", "to": "2026-11-30"}
    told = await small.client.get("/api/availability", params=query)
    assert told.status_code == 503
    assert "cannot load the times" in told.json()["error"]["message"]
    assert slot_reads(small) == reads


async def test_no_hold_confirmation_or_release_is_refused_for_the_budget(small: Stack) -> None:
    await use_up(small)
    booking = await small.confirmed(datetime(2026, 12, 2, 9, 0, tzinfo=UTC), service="headshot")
    assert booking.status is Status.CONFIRMED
    assert (await small.cancel(booking)).reservation.canceled


async def test_what_is_on_offer_is_not_read_again_either(small: Stack) -> None:
    await use_up(small)
    calls = len(small.hapio.calls)
    small.clock.advance(13 * HOUR)
    for _ in range(3):
        assert (await small.client.get("/w/studio")).status_code == 200
        small.clock.advance(timedelta(minutes=2))
    assert len(small.hapio.calls) == calls


# One address


async def test_the_months_that_one_address_makes_us_read_are_counted(stack: Stack) -> None:
    """Flipping through months that others have read costs nothing, and is not counted."""
    caller, statuses = Caller(stack), []
    for _ in range(20):
        for month in ("2026-11", "2026-12", "2027-01"):
            query = {"service": stack.planning_id, "date": month}
            statuses.append((await caller.client.get("/w/studio", params=query)).status_code)
        stack.clock.advance(timedelta(minutes=2))
        await idle(stack)
    reads = slot_reads(stack)
    assert set(statuses) == {200}, "what was read before is shown, with its age"
    fresh = await caller.client.get("/w/studio", params={"service": stack.headshot_id, "date": "2026-12"})
    assert fresh.status_code == 429
    assert 0 < int(fresh.headers["retry-after"]) <= 3600
    assert slot_reads(stack) == reads
    other = Caller(stack, "203.0.113.1")
    assert (await other.client.get("/w/studio", params={"service": stack.headshot_id})).status_code == 200
    assert (await caller.client.get("/w/studio", params={"service": stack.headshot_id})).status_code == 200


async def test_a_service_without_an_end_is_looked_into_for_three_months(stack: Stack) -> None:
    widget = stack.parts.widgets["studio"]
    planning = await stack.parts.availability.service(widget, stack.planning_id)
    assert planning.booking_window_end is None
    for month, offered in ((date(2027, 2, 1), True), (date(2027, 3, 1), False), (date(2028, 6, 1), False)):
        times = await stack.parts.availability.times(widget, planning, month=month)
        assert bool(times.slots) is offered


async def test_a_house_that_is_booked_further_ahead_is_looked_into_further_ahead(stack: Stack) -> None:
    widget = stack.parts.widgets["studio"]
    planning = await stack.parts.availability.service(widget, stack.planning_id)
    await stack.confirmed(datetime(2027, 2, 10, 10, 0, tzinfo=UTC), service="planning")
    assert (await stack.parts.availability.times(widget, planning, month=date(2027, 5, 1))).slots
    assert not (await stack.parts.availability.times(widget, planning, month=date(2027, 6, 1))).slots


def slot_reads(stack: Stack) -> int:
    """Calls to Hapio for bookable times."""
    return sum(call.path.endswith("/bookable-slots") for call in stack.hapio.calls)


async def idle(stack: Stack) -> None:
    """Let the reads that nobody waits for come in, however long the database's thread takes."""
    reads = [task for task in asyncio.all_tasks() if "Cached._run" in repr(task.get_coro())]
    await asyncio.gather(*reads)
