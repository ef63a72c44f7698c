"""Our own reservations that occupy time, as the store has them and as they change here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from app.domain.reservation import Occupied, OccupiedSince

#: How far before its last look a look begins again: how long after the moment in its row a write may be seen. It waits
#: for its turn, a connection and a lock, 15 seconds each at most, and clocks of two hosts differ.
AGAIN = timedelta(minutes=2)
#: After so long everything is read again, in case a host's clock was further off than that.
_WHOLE = timedelta(hours=1)


class Occupancy(Protocol):
    """The store's rows; app/store/occupancy.py says what each does."""

    async def occupied(self) -> Sequence[Occupied]: ...
    async def occupied_since(self, since: datetime) -> OccupiedSince: ...


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a look at the store has brought: `rows` are those that came or went by it, `released` the ids of which the
    scheduler is known to have let go; None where that has to be asked, since everything was read."""

    rows: Collection[Occupied]
    released: Collection[str] | None


class OwnBookings:
    """The rows that occupy time, by the reservation's id; `days` has them by resource and by each UTC day that they
    touch, so that a slot meets only its own day's.

    `ticks` orders what happens; the clock cannot, since much happens within one of its steps.
    """

    def __init__(self, occupancy: Occupancy, ticks: Iterator[int], now: Callable[[], datetime]) -> None:
        self._occupancy = occupancy
        self._ticks = ticks
        self._now = now
        self._loaded = 0
        self._read_at: datetime | None = None
        self._whole_at: datetime | None = None
        self._changed: dict[str, int] = {}
        self._rows: dict[str, Occupied] = {}
        self._days: defaultdict[tuple[str, int], dict[str, Occupied]] = defaultdict(dict)

    @property
    def rows(self) -> Mapping[str, Occupied]:
        """By the reservation's id."""
        return self._rows

    def on(self, resource_id: str, day: int) -> Collection[Occupied]:
        """Those of a resource that touch a UTC day, by its ordinal."""
        found = self._days.get((resource_id, day))
        return found.values() if found else ()

    def put(self, occupied: Occupied) -> None:
        """A reservation that occupies time from now on."""
        self._put(occupied)
        self._changed[occupied.reservation_id] = next(self._ticks)

    def drop(self, reservation_id: str) -> int:
        """A reservation that no longer does. Returns the tick of it."""
        self._drop(reservation_id)
        self._changed[reservation_id] = tick = next(self._ticks)
        return tick

    async def reload(self) -> Reloaded:
        """Take over what the store says has changed since the last time, except where that was overtaken while it was
        being read. What came or went by it happened in other processes.
        """
        began, at = next(self._ticks), self._now()
        whole = self._read_at is None or self._whole_at is None or abs(at - self._whole_at) > _WHOLE
        if whole:
            told = OccupiedSince(await self._occupancy.occupied(), gone=())
        else:
            told = await self._occupancy.occupied_since(min(at, self._read_at or at) - AGAIN)
        if began < self._loaded:
            return Reloaded((), ())
        self._loaded, self._read_at = began, at
        if whole:
            self._whole_at = at
            told = OccupiedSince(told.rows, gone=self._rows.keys() - {row.reservation_id for row in told.rows})
        self._changed = {reservation_id: tick for reservation_id, tick in self._changed.items() if tick > began}
        return Reloaded({*self._take(told)}, None if whole else told.released)

    def _take(self, told: OccupiedSince) -> Iterable[Occupied]:
        for row in told.rows:
            known = self._rows.get(row.reservation_id)
            if known != row and row.reservation_id not in self._changed:
                yield row
                if known is not None:
                    yield known
                self._put(row)
        for reservation_id in told.gone:
            if reservation_id in self._rows and reservation_id not in self._changed:
                yield self._rows[reservation_id]
                self._drop(reservation_id)

    def _put(self, row: Occupied) -> None:
        self._drop(row.reservation_id)
        self._rows[row.reservation_id] = row
        for day in days(row.starts_at, row.ends_at):
            self._days[row.resource_id, day][row.reservation_id] = row

    def _drop(self, reservation_id: str) -> None:
        row = self._rows.pop(reservation_id, None)
        if row is None:
            return
        for day in days(row.starts_at, row.ends_at):
            of_day = self._days[row.resource_id, day]
            of_day.pop(reservation_id, None)
            if not of_day:
                del self._days[row.resource_id, day]


def days(starts_at: datetime, ends_at: datetime) -> range:
    """The ordinals of the UTC days that an interval touches."""
    return range(starts_at.toordinal(), ends_at.toordinal() + 1)
