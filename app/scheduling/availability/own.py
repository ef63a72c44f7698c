"""Our own reservations that occupy time, as the store has them and as they change here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from app.domain.reservation import Occupied


class OwnBookings:
    """The rows that occupy time, by the reservation's id.

    `ticks` orders what happens; the clock cannot, since much happens within one of its steps.
    """

    def __init__(self, load: Callable[[], Awaitable[Sequence[Occupied]]], ticks: Iterator[int]) -> None:
        self._load = load
        self._ticks = ticks
        self._loaded = 0
        self._changed: dict[str, int] = {}
        self.rows: dict[str, Occupied] = {}

    def put(self, occupied: Occupied) -> None:
        """A reservation that occupies time from now on."""
        self.rows[occupied.reservation_id] = occupied
        self._changed[occupied.reservation_id] = next(self._ticks)

    def drop(self, reservation_id: str) -> int:
        """A reservation that no longer does. Returns the tick of it."""
        self.rows.pop(reservation_id, None)
        self._changed[reservation_id] = tick = next(self._ticks)
        return tick

    async def reload(self) -> set[Occupied]:
        """Take over what the store says, except where that was overtaken while it was being read.

        Returns what came or went by it, which happened in other processes.
        """
        began = next(self._ticks)
        rows = {row.reservation_id: row for row in await self._load()}
        if began < self._loaded:
            return set()
        self._loaded = began
        self._changed = {reservation_id: tick for reservation_id, tick in self._changed.items() if tick > began}
        for reservation_id in self._changed:
            rows.pop(reservation_id, None)
            if reservation_id in self.rows:
                rows[reservation_id] = self.rows[reservation_id]
        differing = {*_not_in(rows, self.rows), *_not_in(self.rows, rows)}
        self.rows = rows
        return differing


def _not_in(some: Mapping[str, Occupied], others: Mapping[str, Occupied]) -> Iterator[Occupied]:
    for reservation_id, row in some.items():
        other = others.get(reservation_id)
        # Mostly the same object: there may be thousands, and they are compared whenever anybody has booked.
        if other is not row and other != row:
            yield row
