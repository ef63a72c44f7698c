"""The rate limit: so many requests in 60 s for a key, then no answer for 60 s (calcom-api.md, section 3)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

WINDOW: Final = timedelta(seconds=60)
BLOCK: Final = timedelta(seconds=60)


class Count(NamedTuple):
    """What one request found: how many are left, when the count begins again, and whether it was too many."""

    left: int
    reset_at: datetime
    blocked: bool


@dataclass
class _Window:
    ends_at: datetime
    used: int = 0
    blocked_until: datetime | None = None


class Limiter:
    """Counts by key, so that all processes with the same key share one allowance."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}

    def clear(self) -> None:
        """Forget all counts."""
        self._windows.clear()

    def count(self, tracker: str, limit: int, now: datetime) -> Count:
        """Count a request. The window opens with its first request; the one beyond the limit begins the block."""
        window = self._windows.get(tracker)
        if window is not None and window.blocked_until is not None:
            if now < window.blocked_until:
                return Count(0, window.blocked_until, blocked=True)
            window = None
        if window is None or now >= window.ends_at:
            window = self._windows[tracker] = _Window(now + WINDOW)
        window.used += 1
        if window.used > limit:
            window.blocked_until = now + BLOCK
            return Count(0, window.blocked_until, blocked=True)
        return Count(limit - window.used, window.ends_at, blocked=False)
