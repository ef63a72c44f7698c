"""The month's calls to the scheduler, against the plan."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta

from app.domain.local_days import next_month
from app.scheduling.port import SchedulerCall

#: The share of the month's calls that reading leaves to locks, confirmations and releases.
_RESERVE = 0.2
#: How far, as a share of the month's calls, spending may run ahead of the calendar before reads slow down; and how far
#: before they stop.
_BURST = 0.04
_LEAD = 2 * _BURST
#: The longest that a window stays fresh. Whether it may be read then is `may_read`'s to say.
LONGEST = 86_400.0
#: What each month further away keeps back of the lead, so that far months cannot use up what near ones need.
_KEPT_BACK = 0.2
#: The share of the month's calls that looks may cost for which nobody waits, and how far apart these are at least.
_RECONCILING = 0.05
_SHORTEST_REST = 900.0
_MONTH = timedelta(days=30)


class CallBudget:
    """How often a window may be read again, given what was spent this month.

    Months are counted in UTC, each under `counter` and its name. `may_read` is for looks alone: whatever a hold, a
    confirmation or a release needs is called without asking here.
    """

    def __init__(self, *, calls_per_month: int, counter: str, now: Callable[[], datetime]) -> None:
        self.calls_per_month = calls_per_month
        self._counter = counter
        self._now = now
        self._month = now().date().replace(day=1)
        self._spent = 0
        self._unsaved = 0

    @property
    def spent(self) -> int:
        """Calls made this month."""
        self._turn_month()
        return self._spent

    def record(self, _call: SchedulerCall) -> None:
        """Count one call. Refused and unanswered ones count too: the scheduler may have counted them."""
        self._turn_month()
        self._spent += 1
        self._unsaved += 1

    async def save(self, add: Callable[[str, int], Awaitable[int]]) -> None:
        """Add what was counted here to the month's number that all processes share, and take that number over.

        `add` adds to a named number and returns the sum.
        """
        self._turn_month()
        month, counted = self._month, self._unsaved
        total = await add(f"{self._counter}:{month:%Y-%m}", counted)
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
        end = datetime.combine(next_month(self._month), time.min, UTC)
        plan = self.calls_per_month * ((1 - _RESERVE) * self._passed() + _BURST)
        ahead = (self._spent - plan) / (self.calls_per_month * _BURST)
        sustainable = (end - now).total_seconds() * cost / left
        growth = max(0.0, sustainable - base_seconds) * max(0.0, ahead)
        return min(base_seconds + growth, LONGEST)

    def may_read(self, cost: int, *, distance: int = 0) -> bool:
        """Whether a look may spend `cost` calls now. `distance` is how many months away the times are.

        All windows draw on one bucket. It holds a lead at the month's beginning, and fills with the calendar up to the
        share of the plan that reading may take; what was spent on anything is taken from it. So looks stop at 80 % of
        the plan, and before that wherever they are far ahead of the calendar, and every day has its share, whatever
        visitors look at. The further away the times, the earlier they stop: near ones are what most visitors look for.
        """
        reading, lead = self.calls_per_month * (1 - _RESERVE), self.calls_per_month * _LEAD
        allowed = lead + (reading - lead) * self._passed()
        kept_back = min(1.0, _KEPT_BACK * distance) * lead
        return self.spent + cost + kept_back <= allowed

    def _passed(self) -> float:
        """How much of the month is over, 0 to 1."""
        begin = datetime.combine(self._month, time.min, UTC)
        end = datetime.combine(next_month(self._month), time.min, UTC)
        return (self._now() - begin) / (end - begin)

    def rest(self, cost: int) -> timedelta:
        """How far apart looks of `cost` calls should be that nobody waits for: a small share of the month's calls
        goes into them, and less while spending runs ahead of the calendar."""
        base = max(_SHORTEST_REST, _MONTH.total_seconds() * cost / (self.calls_per_month * _RECONCILING))
        return timedelta(seconds=max(base, self.ttl(int(base), cost)))

    def _turn_month(self) -> None:
        month = self._now().date().replace(day=1)
        if month != self._month:
            self._month, self._spent, self._unsaved = month, 0, 0
