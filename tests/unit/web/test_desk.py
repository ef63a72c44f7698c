"""The front desk: what the calendar draws and counts, hours and time off by its forms, and two desks at once."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest

from app.domain.booking import Booking, Status
from app.domain.hours_change import ChangeKind, HoursChange
from app.domain.studio import Span
from app.operations.calendar import DeskDays
from app.operations.working_hours import Member
from app.scheduling.arrangement import FoundHours
from app.web.staff.calendar_words import Words, axis_of, clock_change, columns_of, sheet_of
from app.web.staff.dates import read_clock, read_day
from sandbox.faults import Fault
from tests.support.browser import Browser
from tests.support.manage import plain
from tests.support.stack import Stack, open_stack, text_of
from tests.support.staff import EVA, sign_in

STOCKHOLM = ZoneInfo("Europe/Stockholm")


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio where Eva works."""
    async with open_stack(tmp_path, settings={"staff_emails": EVA}) as stack:
        stack.hapio.switches.rate_limit_per_minute = 1000
        yield stack


def links(page: str, words: str) -> list[str]:
    """Where the links lead whose text begins so."""
    return [unescape(one) for one in re.findall(rf'<a [^>]*href="([^"]+)"[^>]*>{words}', page)]


async def test_the_first_page_is_today_with_what_is_booked_held_and_free(studio: Stack) -> None:
    booking = await studio.confirmed(await studio.in_days(0))
    held = await studio.hold(await studio.free_slot(nth=2))
    assert held.starts_at.date() == booking.starts_at.date() == studio.clock().date()
    eva = Browser(studio)
    home = await sign_in(studio, eva)
    said = plain(text_of(eva.page.text))
    assert "Monday 23 November" in said
    assert "1 booking · SEK 1,200.00 · 1 time held, not paid" in said
    assert "Held, not booked yet" in said
    assert f"{home}/bookings/{booking.id}" in eva.page.text
    assert 'class="now n540"' in eva.page.text, "it is nine o'clock"
    gap = next(one for one in links(eva.page.text, "Book") if "&at=" in one)
    asked = {name: texts[0] for name, texts in parse_qs(urlsplit(gap).query).items()}
    assert urlsplit(gap).path == f"{home}/new"
    assert asked.keys() == {"from", "at", "person", "widget"}
    assert (asked["from"], asked["widget"]) == ("2026-11-23", "studio")
    assert re.fullmatch(r"\d\d:\d\d", asked["at"])
    week = plain(await eva.open(f"{home}?days=7"))
    assert "1 booking · SEK 1,200.00" in week
    alone = await eva.open(f"{home}?days=7&person={booking.resource_id}")
    assert "Anna Ek" in alone
    assert (await eva.open(f"{home}/calendar")).count("Monday 23 November") >= 1


async def test_a_gap_is_blocked_in_two_clicks_and_a_visitor_sees_it_no_more(studio: Stack) -> None:
    eva, visitor = Browser(studio), Browser(studio)
    home = await sign_in(studio, eva)
    await eva.open(f"{home}?from=2026-11-24")
    await eva.open(next(one for one in links(eva.page.text, "Block") if "&at=" in one))
    at, until, person = (
        re.findall(rf'name="{name}" value="([^"]*)"', eva.page.text)[0] for name in ("at", "until", "person")
    )
    fields = {"from-d": "24", "from-m": "11", "from-y": "2026", "to-d": "24", "to-m": "11", "to-y": "2026"}
    said = await eva.send('action="[^"]+/hours/off"', **fields, at=at, until=until, note="Dentist")
    assert "It is saved in Hapio." in said
    assert "Made by eva@studio.example" in said
    await visitor.open(f"/w/studio?service={studio.portrait_id}&resource={person}&date=2026-11-24&tz=Europe/Stockholm")
    assert not [one for one in visitor.starts if at <= local(one) < until]
    assert "Dentist" in await eva.open(f"{home}?from=2026-11-24")


def local(start: str) -> str:
    return f"{datetime.fromisoformat(start).astimezone(STOCKHOLM):%H:%M}"


async def test_what_lies_in_a_day_off_can_be_moved_or_cancelled_next_to_it(studio: Stack) -> None:
    booking = await studio.confirmed()
    day = booking.starts_at.astimezone(STOCKHOLM).date()
    eva = Browser(studio)
    home = await sign_in(studio, eva)
    studio.side.faults.append(Fault("error_before", times=None, path="schedule-blocks", status=500))
    await eva.open(f"{home}/hours/off?person={booking.resource_id}&from={day}")
    fields = {"from": str(day), "to": str(day), "at": "", "until": "", "note": ""}
    said = await eva.send('action="[^"]+/hours/off"', **fields)
    assert "1 booking lies in this time" in said
    assert "This is not saved in Hapio yet." in said
    assert "500" in said, "what it answered"
    for act in ("move", "cancel"):
        assert f"{home}/bookings/{booking.id}/{act}" in eva.page.text
    assert "but the change is not saved in Hapio yet" in await eva.open(home)
    studio.side.faults.clear()
    await eva.open(re.findall(r'href="([^"]+/hours/change/[^"]+)"', eva.page.text)[0])
    assert "It is saved in Hapio." in await eva.send('action="[^"]+/again"')
    assert await studio.status(booking) is Status.CONFIRMED


async def test_of_two_desks_at_once_one_wins_and_the_other_is_told(studio: Stack) -> None:
    booking = await studio.confirmed()
    eva, maja = Browser(studio), Browser(studio)
    home = await sign_in(studio, eva)
    # One cancels what the other is about to move.
    to = (await studio.in_days(5)).isoformat().replace("+00:00", "Z")
    for desk, path in ((eva, "cancel"), (maja, f"move/preview?start={to}&service={booking.service_id}")):
        await desk.open(f"{home}/bookings/{booking.id}/{path}")
    assert "has been cancelled" in await eva.send('action="[^"]+/cancel"')
    assert "Nothing was changed" in await maja.send('action="[^"]+/move"')
    assert maja.page.status_code == 409
    # Both set one person's week.
    for desk in (eva, maja):
        await desk.open(f"{home}/hours/person/{booking.resource_id}")
    week = {"d0-0-from": "10", "d0-0-to": "3 pm"}
    assert "The weekly hours have been set" in await eva.send('action="[^"]+/hours/person', **week)
    said = await maja.send('action="[^"]+/hours/person', **week | {"d0-0-to": "4 pm"})
    assert "These hours were changed after you opened this page" in said
    assert maja.page.status_code == 409
    # Both take one day off back.
    day = booking.starts_at.date() + timedelta(days=14)
    person = await studio.parts.working_hours.person(booking.resource_id)
    midnight = datetime(day.year, day.month, day.day, tzinfo=STOCKHOLM)
    off = await studio.parts.working_hours.take_off(person, midnight, midnight + timedelta(days=1), by=EVA)
    for desk in (eva, maja):
        await desk.open(f"{home}/hours/change/{off.id}")
    assert "Undone by eva@studio.example" in await eva.send('action="[^"]+/take-back"')
    assert "This had already been undone" in await maja.send('action="[^"]+/take-back"')
    assert maja.page.status_code == 409


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"from": "2026-11-25", "at": "11:00", "until": "10:00"}, "The end must be after the beginning"),
        ({"from": "2026-11-25", "at": "25:00", "until": "26:00"}, "This is not a time of day"),
        ({"from": "2026-11-02", "to": "2026-11-03"}, "This has already passed"),
        ({"from": "2026-11-25", "to": "2028-11-25"}, "This is longer than a year"),
        ({"from-d": "31", "from-m": "2", "from-y": "2027", "to": "2027-03-01"}, "Please choose a day"),
    ],
)
async def test_a_form_that_nobody_can_mean_is_shown_again_with_what_was_typed(
    studio: Stack, form: dict[str, str], told: str
) -> None:
    eva = Browser(studio)
    home = await sign_in(studio, eva)
    [person, *_] = await studio.parts.working_hours.people()
    await eva.open(f"{home}/hours/off?person={person.resource_id}")
    said = await eva.send('action="[^"]+/hours/off"', **{"note": "Ferry to Gotland", **form})
    assert told in said
    assert eva.page.status_code == 422
    assert "Ferry to Gotland" in eva.page.text
    assert await studio.parts.working_hours.changes(ends_after=studio.clock() - timedelta(days=99)) == []


async def test_where_hours_are_not_ours_to_set_the_page_says_where_they_are(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"staff_emails": EVA}, scheduler="calendly") as stack:
        eva = Browser(stack)
        home = await sign_in(stack, eva)
        assert "Block" not in text_of(eva.page.text)
        assert "Hours and time off are set in Calendly." in await eva.open(f"{home}/hours")
        assert "https://calendly.com/" in eva.page.text


# Signed in


async def test_a_desk_stays_signed_in_for_the_day_and_for_more_of_it_if_asked(studio: Stack) -> None:
    eva = Browser(studio)
    home = await sign_in(studio, eva, stays="1")
    studio.clock.advance(timedelta(hours=11))
    assert "Signed in until 21:00" in await eva.open(f"{home}/hours")
    said = await eva.send('action="[^"]+/stay"')
    assert "Signed in until 00:00" in said
    assert "Hours and time off" in said, "the same page"
    studio.clock.advance(timedelta(hours=3, minutes=59))
    for _ in range(4):
        await eva.open(f"{home}/hours")
        if "Stay signed in" in text_of(eva.page.text):
            await eva.send('action="[^"]+/stay"')
        studio.clock.advance(timedelta(hours=3))
    await eva.open(home)
    assert eva.page.status_code == 410, "more than a day nobody stays"


async def test_without_asking_for_it_half_an_hour_ends_a_sign_in(studio: Stack) -> None:
    eva = Browser(studio)
    home = await sign_in(studio, eva)
    assert "Signed in until 09:30" in text_of(eva.page.text)
    studio.clock.advance(timedelta(minutes=29))
    assert "Signed in until 09:59" in await eva.open(home)
    studio.clock.advance(timedelta(minutes=1))
    await eva.open(home)
    assert eva.page.status_code == 410


async def test_staying_leads_to_no_other_site(studio: Stack) -> None:
    eva = Browser(studio)
    home = await sign_in(studio, eva)
    for there in ("//evil.example/", "@evil.example", "/..//evil.example", "\\evil", "https://evil.example"):
        answer = await studio.client.post(f"{home}/stay", data={"there": there})
        assert answer.headers["location"] == home


# Drawing


def member(zone: str = "Europe/Stockholm", **more: object) -> Member:
    hours = FoundHours({day: (Span(540, 1020),) for day in range(7)})
    return Member("hapio", "r", "Astrid", 1, "l", "Place", zone, ("studio",), True, hours=hours, **more)  # type: ignore[arg-type]


def off(starts_at: datetime, ends_at: datetime) -> HoursChange:
    kind, made = ChangeKind.OFF, datetime(2026, 1, 1, tzinfo=UTC)
    return HoursChange("hc", kind, "hapio", "r", "Astrid", "l", "Europe/Stockholm", starts_at, ends_at, EVA, made)


async def test_days_are_drawn_by_the_places_clock_also_where_it_changes(studio: Stack) -> None:
    """A block over midnight is on both days; where the clocks go back, what is in either hour stands side by side."""
    words = Words("", "en-GB", datetime(2026, 10, 20, tzinfo=UTC), "Europe/Stockholm")
    saturday, sunday = date(2026, 10, 24), date(2026, 10, 25)
    night = off(datetime(2026, 10, 24, 23, tzinfo=STOCKHOLM), datetime(2026, 10, 25, 10, tzinfo=STOCKHOLM))
    pattern = await studio.confirmed()
    twice = []
    for number, hour in enumerate((0, 1)):  # both are half past two by the clock
        starts_at = datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
        twice.append(moved(pattern, f"bk_{number}", starts_at, starts_at + timedelta(minutes=30)))
    first, second = columns_of(DeskDays([member()], twice, [night], []), [member()], [saturday, sunday], words)
    assert [(one.opens, one.closes) for one in first.items if one.kind == "off"] == [(1380, 1440)]
    assert [(one.opens, one.closes) for one in second.items if one.kind == "off"] == [(0, 600)]
    assert [(one.opens, one.closes) for one in second.items if one.kind == "gap"] == [(600, 1020)]
    visits = [one for one in second.items if one.kind == "booked"]
    assert [(one.opens, one.closes, one.lane, one.lanes) for one in visits] == [(150, 180, 0, 2), (150, 180, 1, 2)]
    assert "UTC+2" in visits[0].times
    assert clock_change(sunday, "Europe/Stockholm", "en-GB")
    assert not clock_change(saturday, "Europe/Stockholm", "en-GB")
    axis = axis_of([second])
    assert axis == Span(120, 1020)
    assert ".l1-2{--lane:1;--lanes:2}" in sheet_of([second], axis)
    abroad = member("America/New_York")
    [column] = columns_of(DeskDays([abroad], [], [], []), [abroad], [date(2026, 10, 20)], words)
    assert "UTC−4" in column.zone


def moved(pattern: Booking, id_: str, starts_at: datetime, ends_at: datetime) -> Booking:
    row = replace(
        pattern.reservation,
        id=id_,
        resource_id="r",
        starts_at=starts_at,
        ends_at=ends_at,
        buffer_starts_at=starts_at,
        buffer_ends_at=ends_at,
    )
    return replace(pattern, id=id_, reservation=row)


@pytest.mark.parametrize(
    ("typed", "minutes"),
    [
        ("09:00", 540),
        ("9", 540),
        ("9.30", 570),
        ("1430", 870),
        ("2:30 pm", 870),
        ("12 am", 0),
        ("12pm", 720),
        ("24:00", 1440),
        ("24:01", None),
        ("13 pm", None),
        ("9:60", None),
        ("nine", None),
        ("", None),
        ("-1", None),
        ("٩", None),
    ],
)
def test_a_time_of_day_is_read_as_people_write_it(typed: str, minutes: int | None) -> None:
    assert read_clock(typed) == minutes


def test_a_day_is_read_from_its_three_fields_or_from_a_link() -> None:
    assert read_day({"from-d": "3", "from-m": "12", "from-y": "2026"}, "from") == date(2026, 12, 3)
    assert read_day({"from": "2026-12-03", "from-d": "9"}, "from") == date(2026, 12, 3)
    for wrong in ({"from": "2026-02-30"}, {}, {"from-d": "1"}, {"from": "9999-01-01"}, {"from": "x" * 99}):
        assert read_day(wrong, "from") is None
