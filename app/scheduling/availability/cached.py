"""One value read from the scheduler, shared by everyone who needs it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

import structlog

from app.errors import SchedulerDown, SchedulerError, SchedulerRateLimited, StorageError

log = structlog.get_logger()

T = TypeVar("T")

NEVER = datetime.min.replace(tzinfo=UTC)
#: After a failed read, how long the next one waits, so that a crowd of visitors is not a crowd of attempts.
REST = timedelta(seconds=5)


class Cached(Generic[T]):
    """One value of the scheduler's, shared by all who want it: never two reads at once, none soon after a failure."""

    def __init__(
        self, fetch: Callable[[], Awaitable[T]], now: Callable[[], datetime], tasks: set[asyncio.Task[None]]
    ) -> None:
        self._fetch = fetch
        self._now = now
        self._tasks = tasks
        self._reading: asyncio.Task[None] | None = None
        self._error: SchedulerError | None = None
        self._rests_since = self._rest_until = NEVER
        self.value: T | None = None
        self.asked_at = NEVER
        self._told_at: datetime | None = None

    def told_at(self, asked_at: datetime) -> None:
        """Of the read under way: another process asked, at this moment."""
        self._told_at = asked_at

    def adopt(self, value: T, asked_at: datetime) -> None:
        """What another process was told, later than anything that was read here."""
        self.value, self.asked_at = value, asked_at
        self._error, self._rest_until = None, NEVER

    @property
    def asks(self) -> bool:
        """Whether a read would ask the scheduler now: none is under way, and none has just failed."""
        return self._reading is None and not self._rests()

    async def read(self) -> T:
        """A new value, from the read under way if there is one. Raises what the scheduler's client raises."""
        if self._reading is None and not (self._error and self._rests()):
            self._start()
        if self._reading is not None:
            # Shielded, because a visitor who leaves must not take the read from the others.
            await asyncio.shield(self._reading)
        if self._error is not None:
            raise self._error.with_traceback(None)
        assert self.value is not None  # noqa: S101 - a read ends with a value or an error
        return self.value

    def _rests(self) -> bool:
        return self._rests_since <= self._now() < self._rest_until  # a clock that was set back ends it

    def refresh(self) -> None:
        """Read behind the scenes, unless that is under way or has just failed."""
        if self.asks:
            self._start()

    def _start(self) -> None:
        self._reading = asyncio.create_task(self._run())
        self._tasks.add(self._reading)
        self._reading.add_done_callback(self._ended)

    def _ended(self, reading: asyncio.Task[None]) -> None:
        """Tell of an error that is not the scheduler's: behind the scenes nobody waits for it."""
        self._tasks.discard(reading)
        error = None if reading.cancelled() else reading.exception()
        if isinstance(error, StorageError):
            log.warning("not read from the scheduler", error=type(error).__name__)
        elif error is not None:
            log.error("not read from the scheduler", exc_info=error)

    async def _run(self) -> None:
        asked_at = self._now()
        # Whatever goes wrong, a failed read is followed by a rest.
        self._rests_since, self._rest_until = asked_at, asked_at + REST
        try:
            self._told_at = None
            self.value = await self._fetch()
            self.asked_at = self._told_at or asked_at
            self._error = None
            self._rest_until = NEVER
        except SchedulerError as error:
            self._error = error
            told = error.retry_after if isinstance(error, SchedulerDown | SchedulerRateLimited) else 0.0
            self._rests_since = self._now()
            self._rest_until = self._rests_since + max(REST, timedelta(seconds=told))
        finally:
            self._reading = None
