"""The day on which the time step opens, and what it shows after the end of its month."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.catalogue import Slot
from app.scheduling.availability import Times
from app.web.shared.time_step import AskedTimes, asked_from, choose_day, following_month, read_asked_times

STOCKHOLM = "Europe/Stockholm"
NOVEMBER = date(2026, 11, 1)
TODAY = date(2026, 11, 10)


def times(*starts: str, read: bool = True) -> Times:
    found = [datetime.fromisoformat(start).replace(tzinfo=UTC) for start in starts]
    slots = tuple(Slot(at, at + timedelta(minutes=30), at, at + timedelta(minutes=30), ("ada",)) for at in found)
    return Times(slots, datetime(2026, 11, 10, 8, tzinfo=UTC), stale=False, version="1", read=read)


def asking(text: str) -> AskedTimes:
    return read_asked_times({"date": text}, "en")


@pytest.mark.parametrize(
    ("text", "month", "day"),
    [
        ("", NOVEMBER, None),
        ("2026-11", NOVEMBER, None),
        ("2026-11-24", NOVEMBER, date(2026, 11, 24)),
        ("2027-01-05", date(2027, 1, 1), date(2027, 1, 5)),
        ("2026-11-10", NOVEMBER, TODAY),
        ("2026-11-09", NOVEMBER, None),
        ("2026-02-03", NOVEMBER, None),
    ],
)
def test_nothing_before_today_is_asked_for(text: str, month: date, day: date | None) -> None:
    assert asked_from(asking(text), TODAY) == (month, day)


def test_without_a_day_it_opens_on_the_first_that_has_times() -> None:
    free = times("2026-11-26T09:00", "2026-11-24T09:00", "2026-12-01T09:00")
    assert choose_day(None, NOVEMBER, free, STOCKHOLM) == (date(2026, 11, 24), False)


def test_a_day_is_the_visitors_and_not_utcs() -> None:
    assert choose_day(None, NOVEMBER, times("2026-11-24T23:30"), STOCKHOLM) == (date(2026, 11, 25), False)
    assert choose_day(date(2026, 11, 24), NOVEMBER, times("2026-11-24T23:30"), STOCKHOLM) == (date(2026, 11, 24), True)


def test_the_day_that_is_asked_for_stays_and_leads_on_where_nothing_is_free() -> None:
    free = times("2026-11-24T09:00")
    assert choose_day(date(2026, 11, 24), NOVEMBER, free, STOCKHOLM) == (date(2026, 11, 24), False)
    assert choose_day(date(2026, 11, 25), NOVEMBER, free, STOCKHOLM) == (date(2026, 11, 25), True)


def test_a_month_without_times_leads_on() -> None:
    assert choose_day(None, NOVEMBER, times(), STOCKHOLM) == (None, True)
    assert choose_day(None, NOVEMBER, times("2026-12-01T09:00"), STOCKHOLM) == (None, True)


def test_nothing_is_looked_for_after_times_that_could_not_be_read() -> None:
    unread = replace(times(), read=False)
    assert choose_day(None, NOVEMBER, unread, STOCKHOLM) == (None, False)
    assert choose_day(date(2026, 11, 24), NOVEMBER, unread, STOCKHOLM) == (date(2026, 11, 24), False)


@pytest.mark.parametrize(
    ("month", "today", "last_day", "shown"),
    [
        (NOVEMBER, date(2026, 11, 16), None, False),
        (NOVEMBER, date(2026, 11, 17), None, True),
        (NOVEMBER, date(2026, 11, 30), date(2026, 12, 1), True),
        (NOVEMBER, date(2026, 11, 30), date(2026, 11, 30), False),
        (date(2026, 12, 1), date(2026, 11, 30), None, False),
    ],
)
def test_the_next_months_first_days_are_shown_in_the_last_fortnight(
    month: date, today: date, last_day: date | None, *, shown: bool
) -> None:
    assert following_month(month, today, last_day) == (date(2026, 12, 1) if shown else None)
