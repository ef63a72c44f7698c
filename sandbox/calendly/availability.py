"""Which times of an event type are free. No HTTP here.

Calendly computes this from settings that the API does not show; the rules are ours. A grid starts where a span of
working hours starts; an event lies within the hours, its buffers need not; the buffered times of two events never
overlap.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sandbox.calendly.records import WEEKDAYS, Event, EventType, Interval, User
from sandbox.calendly.state import State
from sandbox.intervals import merge


class Opening(NamedTuple):
    """A start that can be booked: for how many invitees still, and with whom."""

    start: datetime
    places: int
    hosts: tuple[str, ...]


def openings(
    state: State, event_type: EventType, low: datetime, high: datetime, *, ignoring: Event | None = None
) -> list[Opening]:
    """Return the free starts from `low` up to but not at `high`, in order; `ignoring` takes no time from its hosts."""
    if not event_type.active or event_type.deleted_at is not None:
        return []
    soonest, latest = _window(state, event_type)
    low, high = max(low, soonest), min(high, latest)
    grids = {host: set(_grid(state.users[host], event_type, low, high)) for host in event_type.hosts}
    around = state.events_around(low, high)
    busy = {host: _merged(busy_times(state, host, around, ignoring=ignoring)) for host in event_type.hosts}
    found = {}
    for start in sorted(set().union(*grids.values())):
        hosts = tuple(
            host
            for host in event_type.hosts
            if start in grids[host] and not _overlaps(event_type.buffered(start), busy[host])
        )
        enough = len(hosts) == len(event_type.hosts) if event_type.pooling_type == "collective" else bool(hosts)
        if enough:
            chosen = hosts if event_type.pooling_type == "collective" else hosts[:1]
            found[start] = Opening(start, event_type.invitee_limit, chosen)
    for event in around:
        joinable = event.event_type == event_type.id and event.status == "active" and event is not ignoring
        left = event.invitee_limit - state.places_taken(event) if joinable and low <= event.start < high else 0
        if left > 0:
            found[event.start] = Opening(event.start, left, event.hosts)
    return [found[start] for start in sorted(found)]


def opening_at(
    state: State, event_type: EventType, start: datetime, *, ignoring: Event | None = None
) -> Opening | None:
    """Return the opening at exactly this start."""
    found = openings(state, event_type, start, start + timedelta(microseconds=1), ignoring=ignoring)
    return found[0] if found else None


def is_taken(state: State, event_type: EventType, start: datetime) -> bool:
    """Tell whether it is other appointments alone that keep this start from being free."""
    soonest, latest = _window(state, event_type)
    if not event_type.active or event_type.deleted_at is not None or not soonest <= start < latest:
        return False
    end = start + timedelta(microseconds=1)
    return any(True for host in event_type.hosts for _ in _grid(state.users[host], event_type, start, end))


def busy_times(state: State, user: str, events: Iterable[Event], *, ignoring: Event | None = None) -> list[Interval]:
    """Return the times that a user has in these events, with buffers, and in the connected calendar."""
    taken = [
        event.buffered for event in events if user in event.hosts and event.status == "active" and event is not ignoring
    ]
    return taken + [(one.start, one.end) for one in state.busy_times if one.user == user]


def _window(state: State, event_type: EventType) -> Interval:
    """Return the earliest start that may be booked now, which is not the present, and the end of all that may be."""
    now = state.now()
    return now + max(event_type.notice, timedelta(microseconds=1)), now + timedelta(days=event_type.days_ahead)


def _merged(busy: list[Interval]) -> tuple[list[Interval], list[datetime]]:
    """Busy times in order, none of which overlap, and their ends."""
    spans = merge(busy)
    return spans, [end for _, end in spans]


def _overlaps(wanted: Interval, busy: tuple[list[Interval], list[datetime]]) -> bool:
    spans, ends = busy
    at = bisect_right(ends, wanted[0])
    return at < len(spans) and spans[at][0] < wanted[1]


def _grid(user: User, event_type: EventType, low: datetime, high: datetime) -> Iterator[datetime]:
    """Yield the starts that a user's hours offer, from `low` up to but not at `high`."""
    step, takes = timedelta(minutes=event_type.start_time_increment), timedelta(minutes=event_type.duration)
    for opens, closes in _spans(user, low, high):
        start = opens
        if start < low:
            start += -(-(low - start) // step) * step
        while start + takes <= closes and start < high:
            yield start
            start += step


def _spans(user: User, low: datetime, high: datetime) -> Iterator[Interval]:
    """Yield a user's working hours around a window as instants, so that 09:00 stays 09:00 across a clock change."""
    zone = ZoneInfo(user.timezone)
    day, last = low.astimezone(zone).date(), high.astimezone(zone).date()
    while day <= last:
        for opens, closes in user.hours.get(WEEKDAYS[day.weekday()], ()):
            yield _instant(day, opens, zone), _instant(day, closes, zone)
        day += timedelta(days=1)


def _instant(day: date, wall: str, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.fromisoformat(wall), tzinfo=zone).astimezone(UTC)
