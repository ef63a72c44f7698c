"""A circuit breaker: after repeated failures nothing is sent for a while, then one probe decides.

One per provider. The client decides what counts as a failure; the clock is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

log = structlog.get_logger()


class Breaker:
    """Opens after `failures` failures in a row, for `pause`; then lets one call through as a probe.

    A probe that never reports (its caller was cancelled) is given up after another `pause`. `provider` is its name in
    the log, which hears of each change.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        provider: str = "",
        failures: int = 5,
        pause: timedelta = timedelta(seconds=30),
    ) -> None:
        self._now = now
        self._provider = provider
        self._failures = failures
        self._pause = pause
        self._failed = 0
        self._opened_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether a call would be refused now."""
        return self.retry_after > 0

    @property
    def tripped(self) -> bool:
        """Whether the provider has failed repeatedly and has not answered since."""
        return self._opened_at is not None

    @property
    def retry_after(self) -> float:
        """Seconds until a call may be sent; 0 when one may be sent now."""
        if self._opened_at is None:
            return 0.0
        if self._opened_at > self._now():  # the clock was set back: the pause begins again
            self._opened_at = self._now()
        return max(0.0, (self._opened_at + self._pause - self._now()).total_seconds())

    def check(self) -> float:
        """0 if the call may be sent, and then its outcome must be reported; else the seconds to wait."""
        wait = self.retry_after
        if not wait and self._opened_at is not None:
            # This call is the probe: restarting the pause keeps everyone else out until it reports.
            self._opened_at = self._now()
        return wait

    def succeeded(self) -> None:
        """The provider answered."""
        if self._opened_at is not None:
            log.info("provider up", provider=self._provider)
        self._failed = 0
        self._opened_at = None

    def failed(self) -> None:
        """The provider did not answer, or answered that it is broken."""
        self._failed += 1
        if self._failed >= self._failures:
            if self._opened_at is None:
                log.error("provider down", provider=self._provider, failures=self._failed)
            self._opened_at = self._now()
