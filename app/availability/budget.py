"""The month's Hapio calls against the plan."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta

from app.hapio import HapioCall

#: The share of the month's calls that reading leaves to locks, confirmations and releases.
_RESERVE = 0.2
#: How far, as a share of the month's calls, spending may run ahead of the calendar before reads slow down.
_BURST = 0.04
#: However little is left, a window that somebody looks at is read once a day: 30 calls a month.
LONGEST = 86_400.0
#: The share of the month's calls that looks may cost for which nobody waits, and how far apart these are at least.
_RECONCILING = 0.05
_SHORTEST_REST = 900.0
_MONTH = timedelta(days=30)


class CallBudget:
    """How often a window may be read again, given what was spent this month.

    Months are counted in UTC. Nothing is refused here; reads only become rarer.
    """

    def __init__(self, *, calls_per_month: int, now: Callable[[], datetime]) -> None:
        self.calls_per_month = calls_per_month
        self._now = now
        self._month = now().date().replace(day=1)
        self._spent = 0
        self._unsaved = 0

    @property
    def spent(self) -> int:
        """Calls made this month."""
        self._turn_month()
        return self._spent

    def record(self, _call: HapioCall) -> None:
        """Count one call. Refused and unanswered ones count too: Hapio may have counted them."""
        self._turn_month()
        self._spent += 1
        self._unsaved += 1

    async def save(self, add: Callable[[str, int], Awaitable[int]]) -> None:
        """Add what was counted here to the month's number that all processes share, and take that number over.

        `add` adds to a named number and returns the sum.
        """
        self._turn_month()
        month, counted = self._month, self._unsaved
        total = await add(f"hapio_calls:{month:%Y-%m}", counted)
        if month == self._month:
            self._unsaved -= counted
            self._spent = total + self._unsaved

    def ttl(self, base_seconds: int, cost: int) -> float:
        """Seconds for which a window that costs `cost` calls to read stays fresh.

        `base_seconds` while spending keeps to the calendar; ahead of it, growing to the period at which this window
        alone could be read until the month's end, and on, since others share the rest; at most a day.
        """
        now = self._now()
        left = self.calls_per_month * (1 - _RESERVE) - self.spent
        if left < cost:
            return LONGEST
        begin = datetime.combine(self._month, time.min, UTC)
        end = datetime.combine(next_month(self._month), time.min, UTC)
        plan = self.calls_per_month * ((1 - _RESERVE) * ((now - begin) / (end - begin)) + _BURST)
        ahead = (self._spent - plan) / (self.calls_per_month * _BURST)
        sustainable = (end - now).total_seconds() * cost / left
        growth = max(0.0, sustainable - base_seconds) * max(0.0, ahead)
        return min(base_seconds + growth, LONGEST)

    def rest(self, cost: int) -> timedelta:
        """How far apart looks of `cost` calls should be that nobody waits for: a small share of the month's calls
        goes into them, and less while spending runs ahead of the calendar."""
        base = max(_SHORTEST_REST, _MONTH.total_seconds() * cost / (self.calls_per_month * _RECONCILING))
        return timedelta(seconds=max(base, self.ttl(int(base), cost)))

    def _turn_month(self) -> None:
        month = self._now().date().replace(day=1)
        if month != self._month:
            self._month, self._spent, self._unsaved = month, 0, 0


def next_month(month: date) -> date:
    """The first day of the month after the one that `month` lies in."""
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)
