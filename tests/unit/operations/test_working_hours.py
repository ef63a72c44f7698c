"""Hours and time off: what staff change holds from the click on, here and at the scheduler, and is not lost."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.domain.booking import Status
from app.domain.hours_change import ChangeKind, HoursChange, changed_day
from app.domain.studio import MIDNIGHT, Span
from app.errors import BookingConflict, HoursRefused, SlotTaken
from app.operations.working_hours import Member, week_mark
from sandbox.faults import Fault
from tests.support.stack import Stack, open_stack
from tests.support.staff import EVA

WEDNESDAY = date(2026, 11, 25)
NINE_TO_FIVE = {0: (Span(540, 1020),), 2: (Span(540, 720), Span(780, 1020))}


@pytest.fixture(params=["hapio", "calcom"])
async def studio(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio whose scheduler can be told of hours."""
    async with open_stack(tmp_path, settings={"staff_emails": EVA}, scheduler=request.param) as stack:
        stack.hapio.switches.rate_limit_per_minute = 1000
        yield stack


@pytest.fixture
async def hapio(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio with several people."""
    async with open_stack(tmp_path, settings={"staff_emails": EVA}) as stack:
        stack.hapio.switches.rate_limit_per_minute = 1000
        yield stack


async def someone(stack: Stack, name: str = "") -> Member:
    return next(one for one in await stack.parts.working_hours.people() if name in one.name)


def at(day: date, clock: str, zone: str = "Europe/Stockholm") -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), ZoneInfo(zone))


async def starts(stack: Stack, person: Member, day: date) -> list[str]:
    """When a visitor can begin with this person on a day, on the place's clock."""
    widget = stack.parts.widgets["studio"]
    found = []
    for service in (await stack.parts.availability.catalogue(widget)).services:
        times = await stack.parts.availability.times(widget, service, month=day, resource_id=person.resource_id)
        found += [slot.starts_at.astimezone(ZoneInfo(person.time_zone)) for slot in times.slots]
    return sorted({f"{one:%H:%M}" for one in found if one.date() == day})


async def offered(stack: Stack, person: Member, day: date) -> list[str]:
    """The same as the scheduler itself offers it."""
    await stack.parts.working_hours.read_again(person.scheduler)
    return await starts(stack, person, day)


async def test_blocked_time_is_gone_at_once_and_comes_back_with_one_act(studio: Stack) -> None:
    person, hours = await someone(studio), studio.parts.working_hours
    lesson = (at(WEDNESDAY, "13:00", person.time_zone), at(WEDNESDAY, "14:00", person.time_zone))
    before = await starts(studio, person, WEDNESDAY)
    assert "13:00" in before
    block = await hours.take_off(person, *lesson, by=EVA, note="Dentist")
    assert not block.due, block.problem
    assert block.made_by == EVA
    after = await starts(studio, person, WEDNESDAY)
    assert after
    assert "13:00" not in after
    assert await offered(studio, person, WEDNESDAY) == after, "the scheduler itself offers it no more"
    known = (await someone(studio)).hours_on(WEDNESDAY)
    assert known
    assert not any(span.opens < 840 and span.closes > 780 for span in known)
    again = await hours.take_off(person, *lesson, by=EVA)
    assert again.id == block.id, "a second click is the first one"
    back = await hours.take_back(block.id, by=EVA)
    assert not back.due
    assert await starts(studio, person, WEDNESDAY) == before
    with pytest.raises(BookingConflict):
        await hours.take_back(block.id, by="bo@studio.example")


async def test_a_block_that_the_scheduler_does_not_take_holds_here_and_is_told_later(studio: Stack) -> None:
    person, hours = await someone(studio), studio.parts.working_hours
    start = (await studio.free_slot()).astimezone(ZoneInfo(person.time_zone))
    studio.side.faults.append(Fault("error_before", times=None, path="schedule", status=500))
    block = await hours.take_off(person, start, start + timedelta(hours=1), by=EVA)
    assert block.due
    assert block.problem
    assert f"{start:%H:%M}" not in await starts(studio, person, start.date())
    with pytest.raises(SlotTaken):
        await studio.hold(start, resource_id=person.resource_id)
    studio.side.faults.clear()
    await studio.tick(after=timedelta(minutes=2))
    assert not (await hours.change(block.id)).due
    assert await hours.untold() == []
    assert f"{start:%H:%M}" not in await offered(studio, person, start.date())


async def test_the_person_whose_change_the_scheduler_never_takes_is_mailed_once(hapio: Stack) -> None:
    person, hours = await someone(hapio), hapio.parts.working_hours
    hapio.side.faults.append(Fault("refuse", times=None, path="schedule-blocks", status=403))
    block = await hours.take_off(person, at(WEDNESDAY, "10:00"), at(WEDNESDAY, "11:00"), by=EVA)
    assert block.due
    await hapio.tick(after=timedelta(minutes=61), times=4)
    assert await hapio.mail(EVA) == []
    subjects = []
    for _ in range(12):
        await hapio.tick(after=timedelta(minutes=61))
        subjects += await hapio.mail(EVA)
    assert subjects == ["Hours could not be changed"]
    assert "SchedulerForbidden" in (await hours.change(block.id)).problem


async def test_a_time_that_was_read_before_the_block_is_not_held_after_it(hapio: Stack) -> None:
    """The scheduler still offers it, and would lock it: our own guard says no."""
    person, start = await someone(hapio), await hapio.free_slot()
    booking = await hapio.confirmed(await hapio.in_days(9), resource_id=person.resource_id)
    hapio.side.faults.append(Fault("error_before", times=None, path="schedule", status=500))
    await hapio.parts.working_hours.take_off(person, start, start + timedelta(hours=1), by=EVA)
    ends_at = start + timedelta(minutes=30)
    times = {"starts_at": start, "buffer_starts_at": start, "ends_at": ends_at, "buffer_ends_at": ends_at}
    row = replace(booking.reservation, id="bk_late", booking_id="bk_late", reference=None, **times)  # type: ignore[arg-type]
    late = replace(booking, id="bk_late", status=Status.HELD, reservation=row)
    assert not await hapio.parts.store.insert_hold(late, capacity=1)
    assert not await hapio.parts.store.insert_hold(late, capacity=None), "not even where there is room for everybody"


async def test_what_is_booked_stays_and_is_listed(studio: Stack) -> None:
    booking = await studio.confirmed()
    person = await someone(studio, booking.resource_name)
    day = booking.starts_at.astimezone(ZoneInfo(person.time_zone)).date()
    midnights = [at(day + timedelta(number), "00:00", person.time_zone) for number in (0, 1)]
    off = await studio.parts.working_hours.take_off(person, *midnights, by=EVA)
    assert not off.due
    assert off.whole_days
    assert await starts(studio, person, day) == []
    assert [one.id for one in await studio.parts.working_hours.bookings_within(off)] == [booking.id]
    assert await studio.status(booking) is Status.CONFIRMED


async def test_a_new_week_is_seen_at_once_and_days_off_stay_off(studio: Stack) -> None:
    person, hours = await someone(studio), studio.parts.working_hours
    assert person.hours
    shown = week_mark(person.hours.week)
    nine = [at(WEDNESDAY, clock, person.time_zone) for clock in ("09:00", "10:00")]
    await hours.take_off(person, *nine, by=EVA)
    change = await hours.set_week(person, NINE_TO_FIVE, shown=shown, by=EVA)
    assert change
    assert not change.due, change.problem
    assert await hours.set_week(person, NINE_TO_FIVE, shown=shown, by=EVA) is None, "a second click changes nothing"
    now = await someone(studio)
    assert now.hours
    assert now.hours.week == NINE_TO_FIVE
    thursday, wednesday = WEDNESDAY + timedelta(1), await starts(studio, person, WEDNESDAY)
    assert await starts(studio, person, thursday) == []
    assert wednesday[0] == "10:00"
    assert not {"12:00", "12:30"} & set(wednesday), "there is a break"
    assert await starts(studio, person, WEDNESDAY + timedelta(7))
    with pytest.raises(BookingConflict):
        await hours.set_week(person, {}, shown=shown, by="bo@studio.example")


async def test_a_day_that_is_opened_inside_a_holiday_leaves_the_rest_closed_whatever_dies(hapio: Stack) -> None:
    """Hapio keeps the holiday as one block, which has to be taken away before its two ends are made."""
    person, hours = await someone(hapio), hapio.parts.working_hours
    assert person.hours
    closed = sorted(day for day, spans in person.hours.days.items() if not spans)
    assert len(closed) == 3
    middle = closed[1]
    hapio.side.faults.append(Fault("error_before", times=None, method="POST", path="schedule-blocks", status=500))
    extra = await hours.open_extra(person, at(middle, "10:00"), at(middle, "14:00"), by=EVA)
    assert extra.due
    hapio.side.faults.clear()
    await hapio.restart()
    await hapio.tick(after=timedelta(minutes=2))
    hours = hapio.parts.working_hours
    assert not (await hours.change(extra.id)).due
    await hours.read_again(person.scheduler)
    now = await someone(hapio)
    assert now.hours
    assert [now.hours.days.get(day) for day in closed] == [(), (Span(600, 840),), ()]
    await hours.take_back(extra.id, by=EVA)
    await hours.read_again(person.scheduler)
    now = await someone(hapio)
    assert now.hours
    assert [now.hours.days.get(day) for day in closed] == [(), (), ()]


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "reason"),
    [
        (at(WEDNESDAY, "11:00"), at(WEDNESDAY, "10:00"), "ends_first"),
        (at(WEDNESDAY, "11:00"), at(WEDNESDAY, "11:00"), "ends_first"),
        (at(WEDNESDAY, "00:00"), at(WEDNESDAY + timedelta(400), "00:00"), "too_long"),
        (at(date(2999, 1, 1), "00:00"), at(date(2999, 1, 2), "00:00"), "too_long"),
        (at(date(2026, 11, 2), "00:00"), at(date(2026, 11, 3), "00:00"), "past"),
    ],
)
async def test_hours_that_nobody_can_mean_change_nothing(
    hapio: Stack, starts_at: datetime, ends_at: datetime, reason: str
) -> None:
    person = await someone(hapio)
    with pytest.raises(HoursRefused) as refused:
        await hapio.parts.working_hours.take_off(person, starts_at, ends_at, by=EVA)
    assert refused.value.reason == reason
    assert await hapio.parts.working_hours.changes(ends_after=starts_at - timedelta(900)) == []


async def test_a_scheduler_that_cannot_be_told_is_not_told(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"staff_emails": EVA}, scheduler="calendly") as stack:
        person = await someone(stack)
        assert not person.settable
        with pytest.raises(HoursRefused) as refused:
            await stack.parts.working_hours.take_off(person, at(WEDNESDAY, "10:00"), at(WEDNESDAY, "11:00"), by=EVA)
        assert refused.value.reason == "by_hand"


def change(kind: ChangeKind, starts_at: datetime, ends_at: datetime) -> HoursChange:
    return HoursChange(
        "hc_1", kind, "hapio", "r", "Astrid", "l", "Europe/Stockholm", starts_at, ends_at, EVA, datetime.now(UTC)
    )


def test_a_day_is_what_the_week_says_with_extra_hours_and_without_what_is_off() -> None:
    week, off, extra = {2: (Span(540, 1020),)}, ChangeKind.OFF, ChangeKind.EXTRA
    lunch = change(off, at(WEDNESDAY, "12:00"), at(WEDNESDAY, "13:00"))
    evening = change(extra, at(WEDNESDAY, "18:00"), at(WEDNESDAY, "20:00"))
    long_lunch = change(off, at(WEDNESDAY, "12:30"), at(WEDNESDAY, "18:30"))
    night = change(off, at(WEDNESDAY, "22:00"), at(WEDNESDAY + timedelta(1), "02:00"))
    assert changed_day(WEDNESDAY, None, week, []) is None
    assert changed_day(WEDNESDAY, (), week, [evening]) == (Span(1080, 1200),)
    assert changed_day(WEDNESDAY, None, week, [lunch, evening, long_lunch]) == (Span(540, 720), Span(1110, 1200))
    assert night.spans_on(WEDNESDAY) == (Span(1320, MIDNIGHT),)
    assert night.spans_on(WEDNESDAY + timedelta(1)) == (Span(0, 120),)
    assert changed_day(WEDNESDAY, None, week, [replace(lunch, ended_at=datetime.now(UTC))]) is None


def test_a_day_off_is_the_whole_day_also_where_the_clocks_change() -> None:
    for day, hours in ((date(2026, 10, 25), 25), (date(2026, 3, 29), 23)):
        off = change(ChangeKind.OFF, at(day, "00:00").astimezone(UTC), at(day + timedelta(1), "00:00").astimezone(UTC))
        assert off.ends_at - off.starts_at == timedelta(hours=hours)
        assert off.spans_on(day) == (Span(0, MIDNIGHT),)
        assert off.days == (day, day)
        assert off.whole_days
