"""The time step shows every time once, on the right day, under a label of its own, whatever the clocks do."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.catalogue import Slot
from app.text.zones import zone_choices, zone_info
from app.web.shared.calendar_view import (
    Clocks,
    DayCell,
    DayView,
    MonthView,
    TimeChoice,
    clock_changes,
    day_view,
    month_view,
    next_bookable_month,
    previous_month,
)

STOCKHOLM = "Europe/Stockholm"
NEW_YORK = "America/New_York"
ZONES = sorted(name for _, zones in zone_choices("en", datetime(2026, 1, 1, tzinfo=UTC)) for name, _ in zones)


def slot(starts_at: datetime, minutes: int = 30, *people: str) -> Slot:
    ends_at = starts_at + timedelta(minutes=minutes)
    return Slot(starts_at, ends_at, starts_at, ends_at, people or ("ada",))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def every(minutes: int, start: datetime, end: datetime) -> Iterator[Slot]:
    while start < end:
        yield slot(start, minutes)
        start += timedelta(minutes=minutes)


def november(
    *slots: Slot, language: str = "en", zone: str = STOCKHOLM, chosen: date | None = None, today: int = 10
) -> MonthView:
    return month_view(
        slots,
        Clocks(zone, STOCKHOLM, language),
        month=date(2026, 11, 1),
        today=date(2026, 11, today),
        chosen=chosen,
    )


def cells(view: MonthView) -> dict[date, DayCell]:
    return {cell.date: cell for week in view.weeks for cell in week if cell.in_month}


def choices(view: DayView) -> list[TimeChoice]:
    return [time for part in view.parts for time in part.times]


def a_day(day: date, slots: list[Slot], zone: str, place: str = STOCKHOLM, language: str = "en") -> DayView:
    return day_view(slots, Clocks(zone, place, language), day=day)


# The month


def test_a_day_says_its_date_and_how_many_times_are_free() -> None:
    day = at("2026-11-24T08:00")
    times = [slot(day + timedelta(hours=hour)) for hour in range(6)]
    cell = cells(november(*times))[date(2026, 11, 24)]
    assert (cell.label, cell.name, cell.count, cell.density) == ("24", "Tuesday 24 November, 6 times", 6, "some")
    assert cells(november(times[0]))[date(2026, 11, 24)].name == "Tuesday 24 November, 1 time"
    assert cells(november())[date(2026, 11, 24)].name == "Tuesday 24 November, no times"
    assert cells(november(*times, language="sv"))[date(2026, 11, 24)].name == "tisdag 24 november, 6 tider"


@pytest.mark.parametrize(
    ("count", "density"), [(0, "none"), (1, "few"), (3, "few"), (4, "some"), (8, "some"), (9, "many")]
)
def test_the_dot_tells_few_from_many(count: int, density: str) -> None:
    start = at("2026-11-24T06:00")
    times = [slot(start + timedelta(hours=hour)) for hour in range(count)]
    assert cells(november(*times))[date(2026, 11, 24)].density == density


def test_today_and_the_chosen_day_are_marked_once() -> None:
    view = november(chosen=date(2026, 11, 24))
    assert [cell.date for week in view.weeks for cell in week if cell.is_today] == [date(2026, 11, 10)]
    assert [cell.date for week in view.weeks for cell in week if cell.is_chosen] == [date(2026, 11, 24)]


@pytest.mark.parametrize(
    ("language", "first", "name"), [("en", date(2026, 11, 9), "Monday"), ("en-US", date(2026, 11, 8), "Sunday")]
)
def test_the_week_starts_as_the_visitor_s_calendar_does(language: str, first: date, name: str) -> None:
    view = november(language=language)
    assert view.weeks[0][0].date == first
    assert view.weekdays[0][1] == name
    assert all(len(week) == 7 for week in view.weeks)
    assert view.heading == "November 2026"


def test_days_of_neighboring_months_carry_no_times() -> None:
    view = november(slot(at("2026-10-31T09:00")), slot(at("2026-12-01T09:00")))
    assert view.total == 0
    assert view.first_free is None
    assert all(cell.count == 0 for week in view.weeks for cell in week)


def test_weeks_that_are_over_are_not_shown_and_the_next_month_s_first_days_fill_the_last_row() -> None:
    first = slot(at("2026-12-01T09:00"))
    view = month_view(
        [slot(at("2026-11-26T09:00")), first],
        Clocks(STOCKHOLM, STOCKHOLM, "en"),
        month=date(2026, 11, 1),
        today=date(2026, 11, 26),
        following=[first, slot(at("2026-12-01T10:00")), slot(at("2026-12-07T09:00"))],
    )
    assert [week[0].date for week in view.weeks] == [date(2026, 11, 23), date(2026, 11, 30)]
    in_the_last_row = {cell.date.day: (cell.count, cell.name) for cell in view.weeks[-1] if cell.count}
    assert in_the_last_row == {1: (2, "Tuesday 1 December, 2 times")}
    assert view.total == 1


def test_a_time_stands_on_the_visitor_s_day_not_the_place_s() -> None:
    midnight_in_stockholm = slot(at("2026-11-23T23:15"))
    assert cells(november(midnight_in_stockholm))[date(2026, 11, 24)].count == 1
    assert cells(november(midnight_in_stockholm, zone=NEW_YORK))[date(2026, 11, 23)].count == 1


def test_months_past_and_beyond_the_booking_window_cannot_be_turned_to() -> None:
    assert previous_month(date(2026, 11, 24), today=date(2026, 11, 30)) is None
    assert previous_month(date(2027, 1, 31), today=date(2026, 11, 30)) == date(2026, 12, 1)
    assert next_bookable_month(date(2026, 1, 31), last_day=None) == date(2026, 2, 1)
    assert next_bookable_month(date(2026, 12, 1), last_day=date(2026, 12, 31)) is None
    assert next_bookable_month(date(2026, 12, 1), last_day=date(2027, 1, 1)) == date(2027, 1, 1)


# The day


def test_a_day_has_only_the_parts_that_have_times() -> None:
    day = date(2026, 11, 24)
    view = a_day(
        day, [slot(at("2026-11-24T16:00")), slot(at("2026-11-24T08:00")), slot(at("2026-11-25T08:00"))], STOCKHOLM
    )
    assert [(part.name, [time.label for time in part.times]) for part in view.parts] == [
        ("Morning", ["09:00"]),
        ("Evening", ["17:00"]),
    ]
    assert (view.heading, view.count, view.zones_differ) == ("Tuesday, 24 November 2026", 2, False)
    assert a_day(date(2026, 11, 26), [], STOCKHOLM).parts == ()


def test_a_time_says_its_end_and_carries_who_is_free() -> None:
    (time,) = choices(a_day(date(2026, 11, 24), [slot(at("2026-11-24T08:00"), 50, "ada", "bo")], STOCKHOLM))
    assert (time.label, time.end_label, time.name, time.place_label) == ("09:00", "09:50", "09:00 to 09:50", "")
    assert time.value == "2026-11-24T08:00:00Z"
    assert time.resource_ids == ("ada", "bo")


def test_where_zones_differ_a_time_tells_the_place_s_time_and_its_day_if_that_differs_too() -> None:
    early = slot(at("2026-11-24T15:00"))
    late = slot(at("2026-11-24T23:30"))
    view = a_day(date(2026, 11, 24), [early, late], NEW_YORK)
    assert view.zones_differ
    assert [(time.label, time.place_label) for time in choices(view)] == [
        ("10:00", "16:00"),
        ("18:30", "Wed 25 Nov, 00:30"),
    ]
    assert choices(view)[0].name == "10:00 to 10:30, 16:00 at the venue"


def test_the_hour_that_happens_twice_is_told_apart() -> None:
    view = a_day(date(2026, 10, 25), list(every(30, at("2026-10-24T23:30"), at("2026-10-25T02:00"))), STOCKHOLM)
    assert [time.label for time in choices(view)] == [
        "01:30",
        "02:00 (UTC+2)",
        "02:30 (UTC+2)",
        "02:00 (UTC+1)",
        "02:30 (UTC+1)",
    ]
    assert view.clocks_change


def test_a_clock_change_here_or_at_the_place_asks_for_a_warning_when_there_are_times() -> None:
    change_in_new_york = [slot(at("2026-11-01T15:00"))]
    day = date(2026, 11, 1)
    assert a_day(day, change_in_new_york, STOCKHOLM, NEW_YORK).clocks_change
    assert a_day(day, change_in_new_york, NEW_YORK).clocks_change
    assert not a_day(day, change_in_new_york, STOCKHOLM).clocks_change
    assert not a_day(day, [], NEW_YORK).clocks_change
    assert cells(november(*change_in_new_york, zone=NEW_YORK, today=1))[day].clocks_change
    assert not cells(november(zone=NEW_YORK, today=1))[day].clocks_change


@pytest.mark.parametrize(
    ("zone", "year", "days"),
    [
        (STOCKHOLM, 2026, {date(2026, 3, 29), date(2026, 10, 25)}),
        ("Africa/Cairo", 2026, {date(2026, 4, 24), date(2026, 10, 29)}),
        ("Pacific/Apia", 2011, {date(2011, 4, 2), date(2011, 9, 24), date(2011, 12, 30)}),
        ("Australia/Lord_Howe", 2026, {date(2026, 4, 5), date(2026, 10, 4)}),
        ("Asia/Tokyo", 2026, set()),
        ("UTC", 2026, set()),
    ],
)
def test_the_days_on_which_clocks_change_are_those_whose_times_are_touched(
    zone: str, year: int, days: set[date]
) -> None:
    assert clock_changes(zone, year) == days


# Whatever the clocks do

months = st.dates(date(2011, 1, 1), date(2030, 12, 1)).map(lambda day: day.replace(day=1))
languages = st.sampled_from(["en", "en-US", "sv", "ar", "de-CH", "fr", "es-MX"])


def starts_of(zone: str, month: date) -> list[Slot]:
    """A time every 30 minutes over the month as any zone sees it, odd ones too, so that every change is met."""
    start = datetime(month.year, month.month, 1, tzinfo=UTC) - timedelta(hours=26, minutes=15)
    return list(every(30, start, start + timedelta(days=34)))


def check_month(zone: str, place: str, month: date, language: str) -> None:
    slots = starts_of(zone, month)
    view = month_view(slots, Clocks(zone, place, language), month=month, today=month)
    expected: dict[date, list[datetime]] = {}
    for one in slots:
        day = one.starts_at.astimezone(zone_info(zone)).date()
        if (day.year, day.month) == (month.year, month.month):
            expected.setdefault(day, []).append(one.starts_at)
    assert view.total == sum(map(len, expected.values()))
    assert view.first_free == min(expected)
    assert {day: cell.count for day, cell in cells(view).items() if cell.count} == {
        day: len(starts) for day, starts in expected.items()
    }
    for day, cell in cells(view).items():
        shown = choices(a_day(day, slots, zone, place, language))
        assert sorted(time.starts_at for time in shown) == expected.get(day, []), day
        assert len({time.label for time in shown}) == len(shown), day
        assert len({time.name for time in shown}) == len(shown), day
        assert len({time.value for time in shown}) == len(shown), day
        walls = [time.starts_at.astimezone(zone_info(zone)) for time in shown]
        irregular = {one.utcoffset() for one in walls} != {walls[0].utcoffset()} if walls else False
        assert not irregular or cell.clocks_change, day


@given(st.sampled_from(ZONES), st.sampled_from(ZONES), months, languages)
@settings(max_examples=40)
def test_every_time_of_a_month_appears_once_on_its_day_under_a_label_of_its_own(
    zone: str, place: str, month: date, language: str
) -> None:
    check_month(zone, place, month, language)


@pytest.mark.parametrize(
    ("zone", "month"),
    [
        (STOCKHOLM, date(2026, 3, 1)),
        (STOCKHOLM, date(2026, 10, 1)),
        ("Africa/Cairo", date(2026, 4, 1)),
        ("Africa/Cairo", date(2026, 10, 1)),
        ("Australia/Lord_Howe", date(2026, 4, 1)),
        ("Pacific/Apia", date(2011, 12, 1)),
        ("America/St_Johns", date(2010, 11, 1)),
        ("Antarctica/Troll", date(2026, 10, 1)),
        ("Asia/Pyongyang", date(2018, 5, 1)),
    ],
)
def test_the_oddest_clock_changes_lose_no_time(zone: str, month: date) -> None:
    check_month(zone, "Asia/Kathmandu", month, "en")


def test_every_zone_s_clock_changes_of_the_coming_years_are_told_apart() -> None:
    for zone in ZONES:
        for year in (2026, 2027):
            for day in clock_changes(zone, year):
                start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
                view = a_day(day, list(every(15, start, start + timedelta(hours=54))), zone)
                labels = [time.label for time in choices(view)]
                assert len(set(labels)) == len(labels), (zone, day)
                hours = zone_info(zone)
                parts = {
                    part.name: {time.starts_at.astimezone(hours).hour for time in part.times} for part in view.parts
                }
                assert parts.get("Morning", set()) <= set(range(5, 12)), (zone, day)
                assert parts.get("Afternoon", set()) <= set(range(12, 17)), (zone, day)
                assert parts.get("Evening", set()) <= set(range(17, 24)), (zone, day)
                assert parts.get("Night", set()) <= set(range(5)), (zone, day)


def test_screen_readers_hear_no_offset_where_none_is_needed() -> None:
    view = a_day(date(2026, 11, 24), list(every(30, at("2026-11-23T23:00"), at("2026-11-24T23:00"))), STOCKHOLM)
    assert not [time.name for time in choices(view) if re.search("UTC", time.name)]
