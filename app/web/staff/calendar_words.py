"""A calendar's columns: where each booking, hold, gap and time off stands on them, and what it says; pure.

A column is one person on one day, on the clock of their place. A day whose clocks change is drawn by its clock: the
hour that comes twice holds what is booked in either, side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from app.domain.booking import Booking, Status
from app.domain.hours_change import ChangeKind, HoursChange, minutes_of
from app.domain.local_days import start_of_day
from app.domain.money import Money
from app.domain.reservation import Reservation
from app.domain.studio import MIDNIGHT, Hours, Span, merged, without
from app.msgid import N_
from app.operations.calendar import DeskDays
from app.operations.working_hours import Member
from app.text import catalogues, formats, zones
from app.web.staff.dates import clock
from app.web.staff.staff_words import owner_status_words

#: Money counts from here on, and so does the day's total.
BOOKED: Final = frozenset({Status.CONFIRMED, Status.PAID})
#: What is drawn where nobody works and nothing is booked.
_USUAL: Final = Span(8 * 60, 18 * 60)
#: A gap shorter than this is no time for anyone.
_SHORTEST_GAP: Final = 15
#: What is drawn lower than this cannot be read.
_SHORTEST: Final = 15
#: What a time is held for that is no booking's yet: a move goes there, or a customer who paid too late may choose it.
_FOR_A_MOVE: Final = N_("Held for a move")
_TO_CHOOSE: Final = N_("Time held")


@dataclass(frozen=True, slots=True)
class Item:
    """Something on a column, from a minute to another. Of those that overlap, `lane` is its place among `lanes`."""

    kind: str
    opens: int
    closes: int
    times: str
    name: str = ""
    what: str = ""
    word: str = ""
    mark: str = ""
    path: str = ""
    block: str = ""
    iso: str = ""
    lane: int = 0
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Column:
    """One person on one day. `shifts` are the hours that they work, None where nobody knows; `now` is the minute that
    it is, None on other days."""

    person: Member
    day: date
    heading: str
    note: str
    path: str
    items: Sequence[Item]
    shifts: Hours | None
    booked: int
    held: int
    now: int | None
    new: str
    block: str
    zone: str = ""
    today: bool = False


@dataclass(slots=True)
class Totals:
    """What is booked: how many, and for how much in each currency; and what is held and not paid."""

    booked: int = 0
    held: int = 0
    money: dict[str, int] = field(default_factory=dict)

    def add(self, booking: Booking) -> None:
        """Count one in."""
        if booking.status not in BOOKED:
            self.held += 1
            return
        self.booked += 1
        price = booking.terms.price
        if price.amount:
            self.money[price.currency] = self.money.get(price.currency, 0) + price.amount

    def sums(self, language: str) -> str:
        """ "14 400,00 kr", of several currencies each."""
        return " + ".join(formats.format_money(Money(amount, code), language) for code, amount in self.money.items())


@dataclass(frozen=True, slots=True)
class Words:
    """What every column is worded with."""

    base: str
    language: str
    now: datetime
    zone: str
    #: Whose links to leave out: where the page shows one person, theirs.
    alone: bool = False


def everybody(desk: DeskDays) -> list[Member]:
    """One of each person, and of those who are booked and whom no widget offers any more."""
    known: dict[str, Member] = {}
    for one in desk.people:
        known.setdefault(one.resource_id, one)
    for booking in desk.bookings:
        if booking.resource_id not in known:
            known[booking.resource_id] = Member(
                scheduler=booking.reservation.scheduler,
                resource_id=booking.resource_id,
                name=booking.resource_name,
                capacity=1,
                location_id=booking.location_id,
                location_name=booking.location_name,
                time_zone=booking.time_zone,
                widgets=(),
                settable=False,
            )
    return list(known.values())


def columns_of(desk: DeskDays, people: Sequence[Member], days: Sequence[date], words: Words) -> list[Column]:
    """A column for each person on each day."""
    by_person: dict[str, list[Booking]] = {}
    for booking in desk.bookings:
        by_person.setdefault(booking.resource_id, []).append(booking)
    return [_column(desk, one, day, by_person.get(one.resource_id, []), words) for one in people for day in days]


def totals_of(columns: Iterable[Column], desk: DeskDays) -> Totals:
    """What is booked on the columns' days, by the day on which a visit begins."""
    shown = {(column.person.resource_id, column.day) for column in columns}
    zone = {column.person.resource_id: column.person.time_zone for column in columns}
    totals = Totals()
    for booking in desk.bookings:
        known = zone.get(booking.resource_id)
        if known and (booking.resource_id, zones.local(booking.starts_at, known).date()) in shown:
            totals.add(booking)
    return totals


def axis_of(columns: Iterable[Column]) -> Span:
    """From which whole hour to which the day is drawn: all that happens, and what is usual where nothing does."""
    spans = [Span(item.opens, item.closes) for column in columns for item in column.items if item.kind != "off"]
    spans += [span for column in columns for span in column.shifts or ()]
    if not spans:
        return _USUAL
    opens = min(span.opens for span in spans) // 60 * 60
    closes = -(-max(span.closes for span in spans) // 60) * 60
    return Span(opens, min(MIDNIGHT, max(closes, opens + 4 * 60)))


def clock_change(day: date, zone: str, language: str) -> str:
    """That the clocks change on this day; empty where they do not."""
    starts, ends = (start_of_day(one, ZoneInfo(zone)) for one in (day, day + timedelta(days=1)))
    _ = catalogues.translator(language).gettext
    longer = ends - starts - timedelta(days=1)
    if longer == timedelta(hours=1):
        return _("The clocks go back on this day: one hour comes twice.")
    if longer == timedelta(hours=-1):
        return _("The clocks go forward on this day: one hour is missing.")
    # By half an hour on Lord Howe Island, by two at Troll.
    return _("The clocks change on this day.") if longer else ""


def _column(desk: DeskDays, person: Member, day: date, bookings: Sequence[Booking], words: Words) -> Column:
    zone, language = ZoneInfo(person.time_zone), words.language
    starts, ends = (start_of_day(one, zone) for one in (day, day + timedelta(days=1)))
    here = [one for one in bookings if one.starts_at < ends and one.ends_at > starts]
    changes = [one for one in desk.changes if one.resource_id == person.resource_id and one.spans_on(day)]
    off = [one for one in changes if one.kind is ChangeKind.OFF]
    shifts = person.hours_on(day)
    items = [_visit(one, day, zone, words) for one in here]
    items += [_off(one, day, words) for one in off]
    held = [(one.reservation, _FOR_A_MOVE) for one in desk.moves] + [(one, _TO_CHOOSE) for one in desk.offered]
    held = [
        (row, word)
        for row, word in held
        if row.resource_id == person.resource_id and row.starts_at < ends and row.ends_at > starts
    ]
    items += [_held(row, word, day, zone, words) for row, word in held]
    reserved = [*(one.reservation for one in here), *(row for row, _word in held)]
    taken = [span for one in reserved if (span := _minutes(one.buffer_starts_at, one.buffer_ends_at, day, zone))]
    drawn = [replace(span, closes=min(MIDNIGHT, max(span.closes, span.opens + _SHORTEST))) for span in taken]
    away = [span for one in off for span in one.spans_on(day)]
    is_today = zones.local(words.now, person.time_zone).date() == day
    free = without(shifts or (), [*drawn, *away])
    items += [_gap(span, person, day, words) for span in _to_come(free, day, zone, words.now)]
    asked = {"from": day.isoformat(), "person": person.resource_id}
    widget = {"widget": person.widgets[0]} if person.widgets else {}
    today = zones.local(words.now, words.zone).date()
    heading = formats.format_date(day, language, "medium", today=today) if words.alone else person.name
    path = (
        f"{words.base}?{urlencode({'from': day.isoformat(), 'days': 1})}"
        if words.alone
        else f"{words.base}?{urlencode({**asked, 'days': 7})}"
    )
    past = ends <= words.now
    return Column(
        person=person,
        day=day,
        heading=heading,
        note=_note(shifts, off, language),
        path=path,
        items=_in_lanes(items),
        shifts=shifts if shifts is None else without(shifts, away),
        booked=sum(one.status in BOOKED for one in here if one.starts_at >= starts),
        held=sum(one.status not in BOOKED for one in here if one.starts_at >= starts),
        now=minutes_of(words.now, zone) if is_today else None,
        new="" if past or not person.widgets else f"{words.base}/new?{urlencode({**asked, **widget})}",
        block="" if past or not person.settable else f"{words.base}/hours/off?{urlencode(asked)}",
        zone="" if person.time_zone == words.zone else zones.zone_label(person.time_zone, starts, language),
        today=is_today,
    )


def _note(shifts: Hours | None, off: Sequence[HoursChange], language: str) -> str:
    """The day's hours in a line."""
    _ = catalogues.translator(language).gettext
    if shifts is None:
        return ""
    if not shifts:
        return _("off") if off else _("closed")
    return ", ".join(span_words(span, language) for span in merged(shifts))


def span_words(span: Span, language: str) -> str:
    """ "09:00–12:00", as the language writes it; to midnight included."""
    day = datetime(2024, 1, 1, tzinfo=ZoneInfo("UTC"))
    starts, ends = (day + timedelta(minutes=minutes) for minutes in (span.opens, span.closes))
    return formats.format_span(starts, ends - timedelta(minutes=1 if span.closes == MIDNIGHT else 0), "UTC", language)


def _minutes(starts_at: datetime, ends_at: datetime, day: date, zone: ZoneInfo) -> Span | None:
    """The part of a day's clock that an interval takes."""
    first, last = starts_at.astimezone(zone), ends_at.astimezone(zone)
    if last.date() < day or first.date() > day:
        return None
    opens = first.hour * 60 + first.minute if first.date() == day else 0
    closes = last.hour * 60 + last.minute if last.date() == day else MIDNIGHT
    if closes <= opens:  # over the hour that comes twice, the clock may end before it begins
        if last.date() == day and first.date() < day and not closes:
            return None
        closes = min(MIDNIGHT, opens + max(1, int((ends_at - starts_at).total_seconds() // 60)))
    return Span(opens, closes) if opens < closes else None


def _visit(booking: Booking, day: date, zone: ZoneInfo, words: Words) -> Item:
    span = _minutes(booking.starts_at, booking.ends_at, day, zone) or Span(0, 1)
    _ = catalogues.translator(words.language).gettext
    held = booking.status not in BOOKED
    word, mark = owner_status_words(booking, None, words.now, words.language)
    if held:
        word = _("Being paid") if booking.status is Status.AWAITING_PAYMENT else _("Held, not booked yet")
        mark = "clock"
    name = booking.customer.name if booking.customer else ""
    over = booking.ends_at <= words.now
    return Item(
        kind="held" if held else "missed" if booking.no_show else "over" if over else "booked",
        opens=span.opens,
        closes=span.closes,
        times=formats.format_span(booking.starts_at, booking.ends_at, zone.key, words.language),
        name=name or _("A visitor who is booking now"),
        what=booking.service_name,
        word=word,
        mark=mark,
        # A hold without a name has no page of its own.
        path=f"{words.base}/bookings/{booking.id}" if booking.customer else "",
        iso=formats.machine_time(booking.starts_at),
    )


def _held(row: Reservation, word: str, day: date, zone: ZoneInfo, words: Words) -> Item:
    """A time that is held for a booking which has another one, or has lost its own."""
    span = _minutes(row.starts_at, row.ends_at, day, zone) or Span(0, 1)
    return Item(
        kind="held",
        opens=span.opens,
        closes=span.closes,
        times=formats.format_span(row.starts_at, row.ends_at, zone.key, words.language),
        name=row.service_name,
        word=catalogues.translator(words.language).gettext(word),
        mark="clock",
        path=f"{words.base}/bookings/{row.booking_id}",
        iso=formats.machine_time(row.starts_at),
    )


def _off(change: HoursChange, day: date, words: Words) -> Item:
    [span] = change.spans_on(day)
    _ = catalogues.translator(words.language).gettext
    whole = span == Span(0, MIDNIGHT)
    return Item(
        kind="off",
        opens=span.opens,
        closes=span.closes,
        times=_("All day") if whole else span_words(span, words.language),
        name=change.note or (_("Day off") if whole else _("Blocked")),
        path=f"{words.base}/hours/change/{change.id}",
    )


def _gap(span: Span, person: Member, day: date, words: Words) -> Item:
    asked = {"from": day.isoformat(), "at": clock(span.opens), "person": person.resource_id}
    widget = {"widget": person.widgets[0]} if person.widgets else {}
    return Item(
        kind="gap",
        opens=span.opens,
        closes=span.closes,
        times=span_words(span, words.language),
        path=f"{words.base}/new?{urlencode({**asked, **widget})}" if person.widgets else "",
        block=f"{words.base}/hours/off?{urlencode({**asked, 'until': clock(span.closes)})}" if person.settable else "",
    )


def _to_come(free: Hours, day: date, zone: ZoneInfo, now: datetime) -> Hours:
    """What of it has not passed, from the next five minutes on."""
    here = now.astimezone(zone)
    if here.date() > day:
        return ()
    if here.date() == day:
        gone = -(-minutes_of(now, zone) // 5) * 5
        free = without(free, [Span(0, gone)] if gone else [])
    return tuple(span for span in free if span.closes - span.opens >= _SHORTEST_GAP)


def _in_lanes(items: Sequence[Item]) -> list[Item]:
    """In order, those that overlap side by side; time off and gaps lie behind."""
    behind = [item for item in items if item.kind in {"off", "gap"}]
    placed: list[Item] = []
    cluster: list[Item] = []
    ends: list[int] = []

    def close() -> None:
        placed.extend(replace(item, lanes=len(ends)) for item in cluster)
        cluster.clear()
        ends.clear()

    for item in sorted((one for one in items if one not in behind), key=lambda one: (one.opens, -one.closes, one.path)):
        if ends and item.opens >= max(ends):
            close()
        closes = max(item.closes, item.opens + _SHORTEST)
        lane = next((number for number, end in enumerate(ends) if end <= item.opens), len(ends))
        ends[lane : lane + 1] = [closes]
        cluster.append(replace(item, lane=lane))
    close()
    return sorted([*behind, *placed], key=lambda one: (one.opens, one.kind != "off", one.lane))


def sheet_of(columns: Sequence[Column], axis: Span) -> str:
    """The page's own style sheet: where each item stands. A rule for each minute that is used, since the policy of the
    page allows no style attributes."""
    rules = {f".axis{{--opens:{axis.opens};--closes:{axis.closes};--columns:{len(columns)}}}"}
    for column in columns:
        for item in column.items:
            opens, closes = _within(item.opens, item.closes, axis)
            rules.add(f".f{opens}{{--at:{opens}}}")
            rules.add(f".u{closes}{{--until:{closes}}}")
            if item.lanes > 1:
                rules.add(f".l{item.lane}-{item.lanes}{{--lane:{item.lane};--lanes:{item.lanes}}}")
        for span in column.shifts or ():
            opens, closes = _within(span.opens, span.closes, axis)
            rules.add(f".f{opens}{{--at:{opens}}}")
            rules.add(f".u{closes}{{--until:{closes}}}")
        if column.now is not None and axis.opens <= column.now <= axis.closes:
            left = axis.closes - column.now
            # The line moves on by itself, a step a minute.
            rules.add(
                f".n{column.now}{{--at:{column.now};--left:{left};animation-duration:{left * 60}s;"
                f"animation-timing-function:steps({max(1, left)},end)}}"
            )
    for hour in range(axis.opens, axis.closes + 1, 60):
        rules.add(f".f{hour}{{--at:{hour}}}")
    return "".join(sorted(rules))


def _within(opens: int, closes: int, axis: Span) -> tuple[int, int]:
    return max(opens, axis.opens), max(min(closes, axis.closes), max(opens, axis.opens))


def hour_labels(axis: Span, language: str) -> list[tuple[int, str]]:
    """(minute, "09:00") of each hour."""
    midnight = time()
    return [
        (minutes, formats.format_clock(midnight.replace(hour=minutes // 60), language))
        for minutes in range(axis.opens, axis.closes, 60)
    ]


def week_rows(columns: Sequence[Column]) -> list[Mapping[str, Any]]:
    """The columns of several people's week, by person."""
    rows: dict[str, list[Column]] = {}
    for column in columns:
        rows.setdefault(column.person.resource_id, []).append(column)
    return [{"person": those[0].person, "days": those} for those in rows.values()]
