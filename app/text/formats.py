"""Money, days, clocks and spans in words, as the reader's language and territory write them (CLDR, through Babel).

Pure functions; the cheap ones are cached, because Babel is slow.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal

from babel import Locale
from babel.core import get_global
from babel.dates import DateTimePattern, format_interval, format_skeleton, format_timedelta, parse_pattern
from babel.lists import format_list as join_list
from babel.numbers import NumberPattern, get_currency_precision

from app.domain.money import Money, currency_quantum
from app.text.catalogues import translator
from app.text.languages import comma, locale_of
from app.text.zones import label_of, local, offset_of

Style = Literal["full", "medium"]


# Money


@lru_cache(maxsize=1024)
def _money_pattern(language: str, digits: int) -> NumberPattern:
    pattern: NumberPattern = copy.copy(locale_of(language).currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    return pattern


@lru_cache(maxsize=4096)
def format_money(money: Money, language: str, *, whole: bool = False) -> str:
    """ "120,00 €". Decimals as people write that currency, but never fewer than the amount needs; with `whole` none
    that it does not need, for prices to compare (see `all_whole`).

    CLDR writes some currencies without decimals that Stripe charges with two (RSD): then 1250.50 keeps them.
    """
    value = money.to_decimal().normalize()
    code = money.currency.upper()
    exponent = value.as_tuple().exponent
    needed = max(0, -exponent) if isinstance(exponent, int) else 0
    usual = 0 if whole or currency_quantum(money.currency) == 100 else get_currency_precision(code)
    pattern = _money_pattern(language, usual if needed <= usual else max(needed, 2))
    text = str(pattern.apply(value, locale_of(language), currency=code, currency_digits=False))
    # CLDR's currencySpacing, which Babel leaves out: letters keep a gap to the number.
    return re.sub(r"(?<=[^\W\d_])(?=\d)", "\N{NO-BREAK SPACE}", text)


def all_whole(prices: Iterable[Money]) -> bool:
    """Whether none of the prices has decimals, so that a list of them needs none."""
    return all(price.to_decimal() % 1 == 0 for price in prices)


# Days and clocks


@lru_cache(maxsize=1024)
def first_weekday(language: str) -> int:
    """The first day of the week, Monday = 0. A bare tag takes its most likely territory (CLDR): ar → Egypt."""
    locale = locale_of(language)
    if not locale.territory:
        locale = Locale.parse(get_global("likely_subtags").get(locale.language, str(locale)))
    return locale.first_week_day


def machine_time(moment: datetime) -> str:
    """An aware moment for `<time datetime>`, where HTML takes at most three digits of a second."""
    return moment.isoformat(timespec="seconds")


#: A year at the end of a pattern, with the era before it and the words or dots around it that go with a year.
_LAST_YEAR = re.compile(r"(?:[\s,،]|'del?')*(?:\bG\s*)?\by+(?:[\s.]|'[^']*')*$")
#: "y年", as Japanese and Chinese begin.
_FIRST_YEAR = re.compile(r"^y+年")


@lru_cache(maxsize=512)
def day_pattern(locale: Locale, style: Style, *, with_year: bool) -> DateTimePattern:
    """CLDR's own pattern. Few locales have long dates without a year: there it is cut off the end of "full", or, where
    it stands elsewhere, the short date's words are made long."""
    skeletons: Mapping[str, DateTimePattern] = locale.datetime_skeletons
    if style == "medium":
        return skeletons["yMMMEd" if with_year else "MMMEd"]
    own = skeletons.get("yMMMMEEEEd" if with_year else "MMMMEEEEd")
    if own is not None:
        return own
    full = str(locale.date_formats["full"].pattern)
    if with_year:
        return parse_pattern(full)
    if _FIRST_YEAR.search(full):
        return parse_pattern(_FIRST_YEAR.sub("", full))
    if _LAST_YEAR.search(full):
        return parse_pattern(_LAST_YEAR.sub("", full))
    short = re.sub(r"E+|ccc", "EEEE", str(skeletons["MMMEd"].pattern))
    return parse_pattern(re.sub(r"(M|L){3}", r"\1\1\1\1", short))


@lru_cache(maxsize=8192)
def _day(day: date, language: str, style: Style, with_year: bool) -> str:
    locale = locale_of(language)
    return str(day_pattern(locale, style, with_year=with_year).apply(day, locale))


def format_date(day: date, language: str, style: Style = "full", *, today: date | None = None) -> str:
    """ "Tuesday 24 November" (full) or "Tue 24 Nov" (medium); with the year unless it is that of `today`."""
    return _day(day, language, style, today is None or today.year != day.year)


def format_day(moment: datetime, zone: str, language: str, style: Style = "full", *, today: date | None = None) -> str:
    """The day of a moment in a zone, as `format_date` writes it. `today` is the reader's day in that zone."""
    return format_date(local(moment, zone).date(), language, style, today=today)


@lru_cache(maxsize=2048)
def format_month(month: date, language: str) -> str:
    """ "November 2026"."""
    return str(format_skeleton("yMMMM", month, locale=locale_of(language)))


@lru_cache(maxsize=64)
def weekday_names(language: str) -> tuple[tuple[str, str], ...]:
    """(short, full) names of the seven days, in the language's order."""
    names = locale_of(language).days["stand-alone"]
    order = [(first_weekday(language) + offset) % 7 for offset in range(7)]
    return tuple((names["short"][day], names["wide"][day]) for day in order)


@lru_cache(maxsize=16384)
def _clock(hour: int, minute: int, language: str) -> str:
    locale = locale_of(language)
    return str(locale.time_formats["short"].apply(time(hour, minute), locale))


def format_clock(at: time, language: str) -> str:
    """ "14:30" or "2:30 PM", of no day and no zone."""
    return _clock(at.hour, at.minute, language)


def _wall(here: datetime, language: str) -> str:
    label = _clock(here.hour, here.minute, language)
    if offset_of(here) != offset_of(here.replace(fold=1 - here.fold)):
        return f"{label} ({label_of(offset_of(here))})"
    return label


def format_time(moment: datetime, zone: str, language: str) -> str:
    """ "14:30" or "2:30 PM", as the language's territory writes it.

    A wall time that happens twice, when clocks go back, carries its offset: "01:30 (UTC+1)".
    """
    return _wall(local(moment, zone), language)


@lru_cache(maxsize=4096)
def _clock_span(start: time, end: time, language: str) -> str:
    locale = locale_of(language)
    twelve_hours = "a" in re.sub(r"'[^']*'", "", locale.time_formats["short"].pattern)
    span = str(format_interval(start, end, "hm" if twelve_hours else "Hm", tzinfo=UTC, locale=locale))
    clocks = [_clock(moment.hour, moment.minute, language) for moment in (start, end)]
    # Japanese writes spans with other signs than times: one page would hold "10:00" and "10時00分".
    return span if twelve_hours or clocks[1] in span else locale.interval_formats[None].format(*clocks)


def format_span(start: datetime, end: datetime, zone: str, language: str) -> str:
    """ "10:00–11:00". From a day on, the days are named; across a clock change, the offsets."""
    first, last = local(start, zone), local(end, zone)
    if end - start >= timedelta(days=1):
        ends = [
            _day(moment.date(), language, "medium", False) + comma(language) + _wall(moment, language)
            for moment in (first, last)
        ]
        return " – ".join(ends)
    if offset_of(first) != offset_of(last):
        clocks = [
            f"{_clock(moment.hour, moment.minute, language)} ({label_of(offset_of(moment))})"
            for moment in (first, last)
        ]
        return f"{clocks[0]} – {clocks[1]}"
    if first.date() != last.date() or _wall(first, language).endswith(")"):
        return f"{_wall(first, language)} – {_wall(last, language)}"
    return _clock_span(time(first.hour, first.minute), time(last.hour, last.minute), language)


@lru_cache(maxsize=2048)
def format_duration(duration: timedelta, language: str) -> str:
    """ "1 h 30 min", "2 days 3 h"; seconds are rounded to the nearest minute."""
    minutes = round(duration.total_seconds() / 60)
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    said = translator(language)
    parts = []
    if days:
        parts.append(said.ngettext("%(num)s day", "%(num)s days", days) % {"num": days})
    if hours:
        parts.append(said.gettext("%(hours)s h") % {"hours": hours})
    if minutes or not parts:
        parts.append(said.gettext("%(minutes)s min") % {"minutes": minutes})
    return " ".join(parts)


def relative_day(moment: datetime, zone: str, now: datetime, language: str) -> str:
    """ "today", "tomorrow", "in 12 days", "3 days ago", by the zone's calendar days."""
    days = (local(moment, zone).date() - local(now, zone).date()).days
    return _relative_day(days, language)


@lru_cache(maxsize=2048)
def _relative_day(days: int, language: str) -> str:
    _ = translator(language).gettext
    if days == 0:
        return _("today")
    if days == 1:
        return _("tomorrow")
    if days == -1:
        return _("yesterday")
    # The threshold keeps Babel from rounding 12 days to "2 weeks".
    return format_timedelta(
        timedelta(days=days),
        granularity="day",
        threshold=10**6,
        add_direction=True,
        locale=locale_of(language),
    )


def format_list(items: Sequence[str], language: str) -> str:
    """ "Ada, Bo and Cleo"."""
    return join_list(items, locale=locale_of(language))
