"""Open and full time of a resource, as half-open intervals of UTC instants. No HTTP here.

Opening hours are wall time of the location, so that 09:00 stays 09:00 across a clock change.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from sandbox.hapio.fields import WEEKDAYS, wall
from sandbox.hapio.state import Location, State
from sandbox.intervals import Interval, merge, without

_DAY: Final = timedelta(days=1)
_LONGEST_LOOK_BACK: Final = 1024  # days; a place open for longer without a break gets its grid from there


def open_spans(state: State, resource_id: str, location: Location, start: datetime, end: datetime) -> list[Interval]:
    """Return the merged open spans that touch `start`..`end`, each with its true beginning.

    Recurring blocks and available blocks are united, unavailable blocks cut out. Spans are not clipped to the window,
    because the grid of bookable slots is anchored at a span's beginning.
    """
    look_back = 1
    while True:
        first_day = start.astimezone(location.zone).date() - timedelta(days=look_back)
        last_day = end.astimezone(location.zone).date()
        spans = _spans_of_days(state, resource_id, location, first_day, last_day)
        unbroken = bool(spans) and spans[0][0] <= wall(first_day, "00:00:00", location.zone) and spans[0][1] > start
        if not unbroken or look_back >= _LONGEST_LOOK_BACK:
            return [span for span in spans if span[1] > start and span[0] < end]
        look_back *= 2


def _spans_of_days(
    state: State, resource_id: str, location: Location, first_day: date, last_day: date
) -> list[Interval]:
    zone = location.zone
    opened: list[Interval] = []
    for schedule in state.recurring_schedules.values():
        if schedule.resource_id != resource_id or schedule.location_id != location.id:
            continue
        hours: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for weekly in state.recurring_blocks.values():
            if weekly.recurring_schedule_id == schedule.id:
                hours[weekly.weekday].append((weekly.start_time, weekly.end_time))
        first_week = schedule.start_date - timedelta(days=schedule.start_date.weekday())
        on = max(first_day, schedule.start_date)
        until = min(last_day, schedule.end_date) if schedule.end_date else last_day
        while on <= until:
            if ((on - first_week).days // 7) % schedule.interval == 0:
                opened += [
                    (wall(on, opens, zone), wall(on, closes, zone)) for opens, closes in hours[WEEKDAYS[on.weekday()]]
                ]
            on += _DAY
    earliest = datetime.combine(first_day, time(), tzinfo=zone).astimezone(UTC)
    latest = datetime.combine(last_day + _DAY, time(), tzinfo=zone).astimezone(UTC)
    closed: list[Interval] = []
    for block in state.schedule_blocks.values():
        here = (block.resource_id, block.location_id) == (resource_id, location.id)
        if here and block.ends_at >= earliest and block.starts_at <= latest:
            (opened if block.is_available else closed).append((block.starts_at, block.ends_at))
    return without(merge(opened), merge(closed))


class FullTime:
    """The times when a resource has no room left for one more booking."""

    def __init__(self, busy: Iterable[Interval], capacity: int | None) -> None:
        """Take the busy intervals and how many may overlap (None: any number)."""
        self.spans = [] if capacity is None else _at_least(capacity, busy)
        self._ends = [end for _, end in self.spans]

    def meets(self, start: datetime, end: datetime) -> bool:
        """Tell whether any instant of `start`..`end` is full; touching is not meeting."""
        at = bisect_right(self._ends, start)
        return at < len(self.spans) and self.spans[at][0] < end

    def next_start(self, at: datetime) -> datetime | None:
        """Return when the first full span ending after `at` begins, if there is one."""
        index = bisect_right(self._ends, at)
        return self.spans[index][0] if index < len(self.spans) else None


def _at_least(capacity: int, busy: Iterable[Interval]) -> list[Interval]:
    changes = sorted([(start, 1) for start, _ in busy] + [(end, -1) for _, end in busy])
    full: list[Interval] = []
    level = 0
    for at, change in changes:
        if change > 0 and level + 1 == capacity:
            full.append((at, at))
        elif change < 0 and level == capacity:
            full[-1] = (full[-1][0], at)
        level += change
    return merge(full)
