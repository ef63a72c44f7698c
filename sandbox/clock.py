"""A clock that can be set, shared by the sandboxes and by tests of the product.

The product takes its time as `now: Callable[[], datetime]`; an instance of `Clock` is such a callable.
"""

from datetime import UTC, datetime, timedelta


class Clock:
    """Tell the time in aware UTC: frozen at a set moment, or following real time plus an offset."""

    def __init__(self, start: datetime | None = None) -> None:
        """Freeze at `start` (aware), or follow real time when it is None."""
        self._frozen = None if start is None else _utc(start)
        self._offset = timedelta(0)

    def __call__(self) -> datetime:
        return self._frozen if self._frozen is not None else datetime.now(UTC) + self._offset

    def set(self, at: datetime) -> None:
        """Freeze at `at` (aware)."""
        self._frozen = _utc(at)

    def advance(self, by: timedelta) -> None:
        """Move forward by `by`, whether frozen or following."""
        if self._frozen is not None:
            self._frozen += by
        else:
            self._offset += by


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("the clock needs an aware datetime")
    return at.astimezone(UTC)
