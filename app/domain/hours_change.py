"""What staff change of people's hours: a new week, time off, extra hours; and what that makes of a day. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from app.domain.local_days import start_of_day
from app.domain.reservation import Occupied
from app.domain.studio import MIDNIGHT, Hours, Span, Week, days_from, merged, without

#: The longest time off, and the longest extra hours: what is longer is a slip, or a new week.
LONGEST = timedelta(days=366)


class ChangeKind(StrEnum):
    """What is changed."""

    #: The hours of every week from now on.
    WEEK = "week"
    #: Not there: a day off, or a part of a day that is blocked.
    OFF = "off"
    #: There beyond the week's hours.
    EXTRA = "extra"


@dataclass(frozen=True, slots=True)
class HoursChange:
    """One row of `hours_changes`: someone's change of one person's hours at one place.

    Of a new week `starts_at` and `ends_at` are when it was made. `before` has the hours of each day that it touches as
    the scheduler had them before, None being the week's; it also names the days that the scheduler keeps in one piece
    with those, so that they can be made again. `due`: the scheduler is still to be told. `version` rises with each
    change of the row. `problem` is why it has not been told, empty before the first attempt.
    """

    id: str
    kind: ChangeKind
    scheduler: str
    resource_id: str
    resource_name: str
    location_id: str
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    made_by: str
    made_at: datetime
    note: str = ""
    week: Week | None = None
    before: Mapping[date, Hours | None] = field(default_factory=dict)
    ended_by: str = ""
    ended_at: datetime | None = None
    due: bool = True
    version: int = 0
    tries: int = 0
    next_try_at: datetime | None = None
    problem: str = ""

    @property
    def stands(self) -> bool:
        """Whether it was not taken back."""
        return self.ended_at is None

    @property
    def zone(self) -> ZoneInfo:
        """The place's."""
        return ZoneInfo(self.time_zone)

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day that it touches, on the place's calendar."""
        last = self.ends_at - timedelta(microseconds=1)
        return self.starts_at.astimezone(self.zone).date(), last.astimezone(self.zone).date()

    @property
    def whole_days(self) -> bool:
        """Whether it goes from midnight to midnight."""
        return all(_begins_a_day(moment, self.zone) for moment in (self.starts_at, self.ends_at))

    @property
    def interval(self) -> Occupied:
        """What of its person's time nobody may book, where it is time off."""
        return Occupied(self.id, self.resource_id, self.starts_at, self.ends_at, closed=True)

    def spans_on(self, day: date) -> Hours:
        """The part of a day that it takes, on the place's clock."""
        first, last = self.days
        if not first <= day <= last:
            return ()
        # Where the clocks skip midnight, a day begins at one o'clock, and the one before ends there.
        begins, ends = (_begins_a_day(moment, self.zone) for moment in (self.starts_at, self.ends_at))
        opens = minutes_of(self.starts_at, self.zone) if day == first and not begins else 0
        closes = minutes_of(self.ends_at, self.zone) if day == last and not ends else MIDNIGHT
        return (Span(opens, closes),) if opens < closes else ()


def minutes_of(moment: datetime, zone: ZoneInfo) -> int:
    """How late it is on a zone's clock, in whole minutes after midnight."""
    here = moment.astimezone(zone)
    return here.hour * 60 + here.minute


def _begins_a_day(moment: datetime, zone: ZoneInfo) -> bool:
    return moment == start_of_day(moment.astimezone(zone).date(), zone)


def changed_day(day: date, before: Hours | None, week: Week, changes: Collection[HoursChange]) -> Hours | None:
    """The hours of a day under the changes that stand. Without one it is as it was before: None is what the week says.
    Time off wins over extra hours."""
    touching = [one for one in changes if one.stands and one.kind is not ChangeKind.WEEK and one.spans_on(day)]
    if not touching:
        return before
    hours = week.get(day.weekday(), ()) if before is None else before
    extra = [span for one in touching if one.kind is ChangeKind.EXTRA for span in one.spans_on(day)]
    off = [span for one in touching if one.kind is ChangeKind.OFF for span in one.spans_on(day)]
    return without(merged([*hours, *extra]), off)


def in_one_piece(first: date, last: date, differing: Collection[date]) -> list[date]:
    """The days from the first to the last, and the days before and after them that differ from the week without a gap:
    a scheduler may keep such a run as one piece, of which a part cannot be changed alone."""
    while first - timedelta(days=1) in differing:
        first -= timedelta(days=1)
    while last + timedelta(days=1) in differing:
        last += timedelta(days=1)
    return list(days_from(first, last))
