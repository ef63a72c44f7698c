"""When a host can be booked: hours, the host's calendar, bookings, buffers, notice, window, limits. No HTTP here.

The grid of slots is the one of the service's own code: it begins again after each busy time, on a round minute.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Final

from sandbox.calcom.state import Booking, EventType, Json, Schedule, State
from sandbox.calcom.times import wall
from sandbox.intervals import Interval, inside, merge, without

DAY: Final = timedelta(days=1)
_DAY_NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: A grid of so many minutes starts on the full hour or its like; the first that divides the step counts.
_ROUND_MINUTES: Final = (60, 30, 20, 15, 10, 5)
FAR: Final = timedelta(days=366 * 20)


def hours_of(state: State, kind: EventType) -> Schedule | None:
    """The schedule of an event type, else its owner's default."""
    chosen = kind.fields["scheduleId"] or state.users[kind.owner_id].default_schedule_id
    return state.schedules.get(chosen or 0)


def _open(schedule: Schedule, low: datetime, high: datetime) -> list[Interval]:
    """The open spans of the days that `low`..`high` touches. An override replaces the hours of its date."""
    opened: list[Interval] = []
    on = low.astimezone(schedule.zone).date()
    while on <= high.astimezone(schedule.zone).date():
        special = [one for one in schedule.overrides if one["date"] == on.isoformat()]
        weekly = [one for one in schedule.availability if _DAY_NAMES[on.weekday()] in one["days"]]
        opened += [_span(on, one, schedule) for one in special or weekly]
        on += DAY
    return merge(opened)


def _span(on: date, hours: Json, schedule: Schedule) -> Interval:
    return wall(on, hours["startTime"], schedule.zone), wall(on, hours["endTime"], schedule.zone)


def _busy(state: State, kind: EventType, low: datetime, high: datetime, besides: str | None) -> list[Interval]:
    """The host's busy time from `low` to `high`, and around, as a booking of `kind` meets it, buffers of both included.

    Pending bookings are not busy, except for the same type where it says so. A seated time is busy when it is full.
    """
    blocking = bool(kind.setting("confirmationPolicy").get("blockUnconfirmedBookingsInBooker"))
    spans: list[Interval] = []
    for booking in state.bookings_around(low, high):
        same = booking.event_type_id == kind.id
        counts = booking.status == "accepted" or (booking.status == "pending" and same and blocking)
        if not counts or booking.host_id != kind.owner_id or booking.uid == besides:
            continue
        if same and kind.seats and len(booking.attendees) < kind.seats:
            continue
        other = state.type_of(booking)
        before, after = (other.before, other.after) if other else (timedelta(0), timedelta(0))
        spans.append((booking.start - before - kind.after, booking.end + after + kind.before))
    blocks = [one for one in state.blocks.values() if one.host_id == kind.owner_id]
    return merge(spans + [(one.start - kind.after, one.end + kind.before) for one in blocks])


def free_spans(
    state: State, kind: EventType, low: datetime, high: datetime, besides: str | None = None
) -> list[Interval]:
    """The spans of `low`..`high`, and of the days around, in which the host is free; `besides` is a uid left out."""
    schedule = hours_of(state, kind)
    if schedule is None:
        return []
    return without(_open(schedule, low - DAY, high + DAY), _busy(state, kind, low - DAY, high + DAY, besides))


def booking_window(state: State, kind: EventType) -> tuple[datetime, datetime]:
    """The earliest and the latest start that may be booked now. Rolling windows count as fixed ones."""
    now = state.now()
    earliest = now + timedelta(minutes=kind.fields["minimumBookingNotice"])
    window = kind.setting("bookingWindow")
    schedule = hours_of(state, kind)
    zone = schedule.zone if schedule else state.users[kind.owner_id].zone
    today = now.astimezone(zone).date()
    match window.get("type"):
        case "range":
            first, last = (date.fromisoformat(text[:10]) for text in window["value"])
            earliest = max(earliest, datetime.combine(first, time(), tzinfo=zone))
        case "calendarDays":
            last = today + DAY * window["value"]
        case "businessDays":
            last, left = today, window["value"]
            while left > 0:
                last += DAY
                left -= last.weekday() < 5
        case _:
            return earliest, now + FAR
    return earliest, datetime.combine(last + DAY, time(), tzinfo=zone) - timedelta(milliseconds=1)


def over_limit(state: State, kind: EventType, start: datetime, besides: str | None = None) -> bool:
    """Whether a booking more on that day, or in that week, month or year, is one too many (`bookingLimitsCount`)."""
    limits = kind.setting("bookingLimitsCount")
    if not limits:
        return False
    zone = state.users[kind.owner_id].zone
    on = start.astimezone(zone).date()
    taken = [
        booking.start.astimezone(zone).date()
        for booking in state.bookings.values()
        if booking.event_type_id == kind.id and booking.active and booking.uid != besides
    ]
    return any(sum(_period(one, name) == _period(on, name) for one in taken) >= most for name, most in limits.items())


def _period(on: date, name: str) -> tuple[int, ...]:
    periods = {
        "day": (on.year, on.month, on.day),
        "week": tuple(on.isocalendar())[:2],
        "month": (on.year, on.month),
        "year": (on.year,),
    }
    return periods.get(name, (on.toordinal(),))


def fits(state: State, kind: EventType, start: datetime, end: datetime, besides: str | None = None) -> bool:
    """Whether the host is free from `start` to `end` within the hours. The grid does not matter."""
    return inside(free_spans(state, kind, start, end, besides), start, end)


def slot_starts(
    state: State, kind: EventType, minutes: int, window: Interval, besides: str | None = None
) -> Iterator[datetime]:
    """Yield the starts that are listed in a window, both edges included. Reservations of the host hide theirs."""
    low, high = window
    earliest, latest = booking_window(state, kind)
    length = timedelta(minutes=minutes)
    for span in free_spans(state, kind, low, high + length, besides):
        for start in _grid(kind, minutes, (max(span[0], earliest), span[1])):
            if start + length > span[1] or start > min(high, latest):
                break
            if start < low or reserved(state, kind.owner_id, start, start + length):
                continue
            if not over_limit(state, kind, start, besides):
                yield start


def _grid(kind: EventType, minutes: int, span: Interval) -> Iterator[datetime]:
    step = kind.fields["slotInterval"] or minutes
    even = next((each for each in _ROUND_MINUTES if step % each == 0), 1)
    start = span[0]
    if start.second or start.microsecond:
        start = start.replace(second=0, microsecond=0) + timedelta(minutes=1)
    start += timedelta(minutes=-start.minute % even + kind.fields["offsetStart"])
    while start < span[1]:
        yield start
        start += timedelta(minutes=step)


def reserved(state: State, host_id: int, start: datetime, end: datetime) -> bool:
    """Whether an unexpired reservation of the host, for whatever type, meets `start`..`end`."""
    now = state.now()
    return any(
        one.host_id == host_id and one.until > now and one.start < end and one.end > start
        for one in state.reservations.values()
    )


def seated(state: State, kind: EventType, start: datetime) -> Booking | None:
    """The booking that a type with seats has at a start already."""
    return next(
        (
            booking
            for booking in state.bookings.values()
            if booking.event_type_id == kind.id and booking.start == start and booking.active
        ),
        None,
    )
