"""Counts the day's bookings at a scheduler that limits them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta


class CreateBudget:
    """How many bookings can still be made today. Days are counted in UTC, each under `counter` and its date.

    Which hours the scheduler counts by is not documented. A count of ours that ends at another hour than its own can
    only be wrong near that hour; it refuses a create itself then, and nothing is charged.
    """

    def __init__(self, *, per_day: int, counter: str, now: Callable[[], datetime]) -> None:
        self.per_day = per_day
        self._counter = counter
        self._now = now
        self._day = now().astimezone(UTC).date()
        self._made = 0
        self._unsaved = 0
        self._saving = asyncio.Lock()

    @property
    def made(self) -> int:
        """Creates of today, refused ones included: the scheduler may have counted them."""
        self._turn_day()
        return self._made

    def record(self) -> None:
        """Count one create."""
        self._turn_day()
        self._made += 1
        self._unsaved += 1

    def wait(self, promised: int) -> float:
        """Seconds until another booking can be promised, where `promised` are waiting to be made; 0 for now."""
        if self.made + promised < self.per_day:
            return 0.0
        tomorrow = datetime.combine(self._day + timedelta(days=1), time.min, UTC)
        return (tomorrow - self._now()).total_seconds()

    async def save(self, add: Callable[[str, int], Awaitable[int]]) -> None:
        """Add what was counted here to the number that all processes share, and take that over. `add` adds to a named
        number and returns the sum."""
        async with self._saving:  # else two of them would add the same creates
            self._turn_day()
            day, counted = self._day, self._unsaved
            total = await add(f"{self._counter}:{day.isoformat()}", counted)
            if day == self._day:
                self._unsaved -= counted
                self._made = total + self._unsaved

    def _turn_day(self) -> None:
        today: date = self._now().astimezone(UTC).date()
        if today != self._day:
            self._day, self._made, self._unsaved = today, 0, 0
