"""Around a change of clocks every page, list, form and file means the same times; `make zones` looks at all changes."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.domain.hours_change import ChangeKind, HoursChange
from app.domain.local_days import moment_at
from app.domain.studio import MIDNIGHT, Span
from app.scheduling.hapio.setup_translation import blocks_for
from app.web.staff.calendar_words import clock_change
from tests.support.clock_changes import FIRST, LAST, changes_of, wrong_about, wrong_about_feed
from tests.support.stack import open_stack, text_of


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        pytest.param("Europe/Stockholm", "2026-10-25", id="an hour comes twice"),
        pytest.param("America/St_Johns", "2026-03-08", id="half an hour beside the hour"),
        pytest.param("Australia/Lord_Howe", "2026-04-04", id="by half an hour"),
        pytest.param("Antarctica/Troll", "2026-10-25", id="by two hours"),
        pytest.param("Africa/Casablanca", "2024-03-10", id="for Ramadan"),
        pytest.param("Asia/Beirut", "2026-03-28", id="no midnight"),
        pytest.param("America/Havana", "2026-03-08", id="no midnight, in the afternoon's zone"),
        pytest.param("Africa/Cairo", "2026-10-29", id="the last hour of a day comes twice"),
        pytest.param("America/Santiago", "2026-09-06", id="no midnight, in spring of the south"),
        pytest.param("Asia/Gaza", "2040-10-20", id="twice in one autumn"),
        pytest.param("America/Nuuk", "2025-10-26", id="back over midnight"),
        pytest.param("Asia/Almaty", "2024-02-29", id="once and never again"),
        pytest.param("Pacific/Apia", "2021-04-03", id="on the date line"),
    ],
)
def test_what_is_shown_can_be_booked_and_is_in_every_list_and_file(zone: str, day: str) -> None:
    changes = changes_of(zone)
    [change] = [one for one in changes if f"{one.moment:%Y-%m-%d}" == day]
    assert list(wrong_about(zone, change, "Asia/Kathmandu", changes)) == []
    assert list(wrong_about_feed(zone, FIRST, LAST, changes)) == []


def test_a_change_of_another_length_than_an_hour_is_not_called_one() -> None:
    for zone, day in (("Australia/Lord_Howe", date(2026, 4, 5)), ("Antarctica/Troll", date(2026, 10, 25))):
        assert clock_change(day, zone, "en") == "The clocks change on this day."


def test_the_day_before_a_midnight_that_is_skipped_is_off_to_its_end() -> None:
    day, zone = date(2026, 9, 5), ZoneInfo("America/Santiago")
    starts_at, ends_at = moment_at(day, 0, zone), moment_at(day, MIDNIGHT, zone)
    off = HoursChange("hc", ChangeKind.OFF, "hapio", "r", "R", "l", zone.key, starts_at, ends_at, "eva", FIRST)
    assert off.spans_on(day) == (Span(0, MIDNIGHT),)
    assert off.whole_days


def test_hours_that_the_clocks_skip_are_no_block_at_the_scheduler() -> None:
    """From two to three nobody works, and on this day there is no such hour."""
    day, zone = date(2026, 3, 29), ZoneInfo("Europe/Stockholm")
    blocks = blocks_for({day: (Span(0, 120), Span(180, MIDNIGHT))}, zone)
    assert all(block.starts_at < block.ends_at for block in blocks)
    assert [block.is_available for block in blocks] == [True, True]
    [_, opens] = blocks_for({day: (Span(150, MIDNIGHT),)}, zone)[::-1]
    assert opens.starts_at == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


async def test_a_second_click_on_time_off_is_the_first_also_in_an_hour_that_comes_twice(tmp_path: Path) -> None:
    async with open_stack(tmp_path) as stack:
        stack.clock.advance(datetime(2027, 10, 20, tzinfo=UTC) - stack.clock())
        hours = stack.parts.working_hours
        person = next(one for one in await hours.people() if one.settable)
        zone = ZoneInfo(person.time_zone)
        two, three = (datetime(2027, 10, 31, hour, tzinfo=zone) for hour in (2, 3))
        first = await hours.take_off(person, two, three, by="eva@studio.example")
        assert first.ends_at - first.starts_at == timedelta(hours=2)
        assert (await hours.take_off(person, two, three, by="eva@studio.example")).id == first.id


async def test_a_page_says_the_offset_of_the_day_that_it_shows(tmp_path: Path) -> None:
    """In March both of a zone's offsets are there."""
    async with open_stack(tmp_path) as stack:
        stack.clock.advance(datetime(2027, 3, 1, 6, tzinfo=UTC) - stack.clock())
        for day, offset in (("2027-03-02", "UTC+1"), ("2027-03-30", "UTC+2")):
            page = await stack.client.get(f"/w/studio?service={stack.portrait_id}&date={day}&tz=Europe/Stockholm")
            assert f"Times in Stockholm, {offset}" in " ".join(text_of(page.text).split())


async def test_the_next_free_time_is_not_on_a_day_before_the_one_asked_for(tmp_path: Path) -> None:
    """In Honolulu it is still Saturday when Stockholm opens on Sunday or Monday."""
    async with open_stack(tmp_path) as stack:
        widget = stack.parts.widgets["studio"]
        service = await stack.parts.availability.service(widget, stack.portrait_id)
        zone = ZoneInfo("Pacific/Honolulu")
        for day in (date(2026, 12, number) for number in range(1, 15)):
            slot = await stack.parts.availability.next_free(widget, service, after=day, zone=zone.key)
            assert slot
            assert slot.starts_at.astimezone(zone).date() >= day
