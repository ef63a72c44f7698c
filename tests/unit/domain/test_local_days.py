"""A day lasts from its own first moment to the next day's, whatever the clocks do."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.local_days import days_in_utc, next_month, start_of_day

STOCKHOLM = ZoneInfo("Europe/Stockholm")
ZONES = [ZoneInfo(name) for name in sorted(available_timezones())]
DAYS = st.dates(date(1950, 1, 1), date(2150, 12, 31))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        pytest.param("2026-03-28", 24, id="the day before clocks go forward"),
        pytest.param("2026-03-29", 23, id="clocks go forward"),
        pytest.param("2026-10-25", 25, id="clocks go back"),
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(day: str, hours: int) -> None:
    start, end = days_in_utc(date.fromisoformat(day), date.fromisoformat(day), STOCKHOLM)
    assert end - start == timedelta(hours=hours)


def test_a_month_begins_in_winter_time_and_ends_in_summer_time() -> None:
    march = days_in_utc(date(2026, 3, 1), date(2026, 3, 31), STOCKHOLM)
    assert march == (utc("2026-02-28T23:00"), utc("2026-03-31T22:00"))


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        pytest.param("America/Santiago", "2026-09-06", "2026-09-06T04:00", id="no midnight: begins at one o'clock"),
        pytest.param("America/Havana", "2026-11-01", "2026-11-01T04:00", id="two midnights: begins at the first"),
    ],
)
def test_a_day_begins_once_where_clocks_change_at_midnight(zone: str, day: str, start: str) -> None:
    first = start_of_day(date.fromisoformat(day), ZoneInfo(zone))
    assert first == utc(start)
    assert first.astimezone(ZoneInfo(zone)).date() == date.fromisoformat(day)
    just_before = first - timedelta(microseconds=1)
    assert just_before.astimezone(ZoneInfo(zone)).date() == date.fromisoformat(day) - timedelta(days=1)


@given(day=DAYS, zone=st.sampled_from(ZONES))
def test_one_day_ends_where_the_next_begins(day: date, zone: ZoneInfo) -> None:
    tomorrow = day + timedelta(days=1)
    assert days_in_utc(day, day, zone)[1] == days_in_utc(tomorrow, tomorrow, zone)[0]


@given(day=DAYS, more=st.integers(0, 40), zone=st.sampled_from(ZONES))
def test_without_a_zone_the_days_of_every_zone_are_covered(day: date, more: int, zone: ZoneInfo) -> None:
    last = day + timedelta(days=more)
    start, end = days_in_utc(day, last, zone)
    earliest, latest = days_in_utc(day, last)
    assert earliest <= start
    assert end <= latest


def test_the_next_month_begins_on_its_first_day() -> None:
    assert next_month(date(2026, 1, 31)) == date(2026, 2, 1)
    assert next_month(date(2026, 12, 1)) == date(2027, 1, 1)
    assert next_month(date(2028, 2, 29)) == date(2028, 3, 1)
