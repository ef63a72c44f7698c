"""Whether money and bookings belong together, found out at the price of what has happened lately.

A whole look reads every payment that there ever was. So it is taken at the first question and once a day; in between
only the bookings are looked at to which anything has happened since, and those that were wrong the last time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.store import Store
from app.store.audit import GRACE, Discrepancy

WHOLE_EVERY: Final = timedelta(days=1)
#: More bookings than these are not named one by one in a question.
_MOST: Final = 5000


@dataclass(frozen=True, slots=True)
class Books:
    """What one look found. Both are empty in health."""

    money_without_booking: list[Discrepancy]
    bookings_without_money: list[Discrepancy]


class Audit:
    """The looks of one process. `now` gives aware datetimes."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._looking = asyncio.Lock()
        self._looked_at: datetime | None = None
        self._whole_at: datetime | None = None
        self._wrong: frozenset[str] = frozenset()

    async def look(self) -> Books:
        """How the books are now."""
        async with self._looking:  # two at once would each forget what the other has found
            now = self._now()
            among = await self._changed(now)
            books = Books(
                await self._store.money_without_booking(among=among),
                await self._store.bookings_without_money(among=among),
            )
            found = [*books.money_without_booking, *books.bookings_without_money]
            self._wrong = frozenset(one.booking_id for one in found)
            self._looked_at = now
            if among is None:
                self._whole_at = now
            return books

    async def _changed(self, now: datetime) -> Collection[str] | None:
        """The bookings to look at; None for all."""
        if self._looked_at is None or self._whole_at is None or abs(now - self._whole_at) >= WHOLE_EVERY:
            return None
        # What was too fresh to be judged the last time is judged now. The clock may have been set back since.
        since = min(now, self._looked_at) - GRACE
        changed = self._wrong | await self._store.happened_since(since)
        return changed if len(changed) <= _MOST else None
