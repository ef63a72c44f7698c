"""Months that are read once for all processes: one asks the scheduler, the others wait for its answer."""

from __future__ import annotations

import json
import zlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from app.domain.catalogue import Slot
from app.domain.reservation import Reservation
from app.domain.set_back import APART, is_ahead
from app.errors import SchedulerDown, SchedulerError, StorageError
from app.scheduling.availability.cached import REST

#: How long a process has a month for itself: a scheduler's slowest answer, several pages of it.
LEASE = timedelta(seconds=20)
#: Seconds between two looks whether the process that reads has finished.
_LOOK = 0.05

log = structlog.get_logger()


class Known(Protocol):
    """A month as the store has it."""

    @property
    def asked_at(self) -> datetime | None: ...
    @property
    def cost(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def holder(self) -> str: ...
    @property
    def lease_until(self) -> datetime | None: ...


class Marked(Protocol):
    """When a month was read, and doubted, last."""

    @property
    def key(self) -> str: ...
    @property
    def asked_at(self) -> datetime | None: ...
    @property
    def doubted_at(self) -> datetime | None: ...


class Readings(Protocol):
    """The store's rows; app/store/readings.py says what each does."""

    async def reading(self, key: str) -> Known | None: ...
    async def reading_marks(self, scheduler: str, *, since: datetime) -> Sequence[Marked]: ...
    async def lease_reading(
        self, key: str, *, scheduler: str, span: tuple[datetime, datetime], holder: str, until: datetime
    ) -> Known | None: ...
    async def put_reading(self, key: str, *, holder: str, asked_at: datetime, cost: int, body: bytes) -> None: ...
    async def end_reading(self, key: str, *, holder: str, rest_until: datetime | None = None) -> None: ...
    async def doubt_readings(self, scheduler: str, moments: Collection[datetime]) -> None: ...
    async def outdate_readings(self, scheduler: str, starts_from: datetime, ends_to: datetime) -> None: ...
    async def released(self, reservation_ids: Collection[str]) -> Sequence[Reservation]: ...


@dataclass(frozen=True, slots=True)
class Month:
    """What the scheduler told of a month at `asked_at`. `asked` says that this process asked it."""

    slots: tuple[Slot, ...]
    asked_at: datetime
    cost: int
    asked: bool


class SharedReads:
    """Reads months of one scheduler with the other processes. `holder` names this one; `sleep` waits seconds."""

    def __init__(
        self,
        readings: Readings,
        *,
        scheduler: str,
        holder: str,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self.readings = readings
        self._scheduler = scheduler
        self._holder = holder
        self._now = now
        self._sleep = sleep

    async def read(
        self,
        key: str,
        *,
        span: tuple[datetime, datetime],
        since: datetime,
        ask: Callable[[], Awaitable[tuple[tuple[Slot, ...], int]]],
    ) -> Month:
        """The month as any process was told it after `since`; `ask` asks the scheduler, for the slots and what that
        cost. Raises as it does, and SchedulerDown where another process has just failed. Where the database does not
        answer, each process asks for itself."""
        gives_up = self._now() + 2 * LEASE
        try:
            while self._now() < gives_up:
                known = await self.readings.reading(key)
                if known and known.asked_at and self._is_news(known.asked_at, since):
                    return Month(unpack(known.body), known.asked_at, known.cost, asked=False)
                if known and known.lease_until and self._is_to_come(known.lease_until):
                    if not known.holder:
                        wait = (known.lease_until - self._now()).total_seconds()
                        raise SchedulerDown("another process was not answered", retry_after=wait).at(self._scheduler)
                    await self._sleep(_LOOK)
                    continue
                until = self._now() + LEASE
                before = await self.readings.lease_reading(
                    key, scheduler=self._scheduler, span=span, holder=self._holder, until=until
                )
                if before is None:
                    continue
                if before.asked_at and self._is_news(before.asked_at, since):  # it was read between the two looks
                    await self.readings.end_reading(key, holder=self._holder)
                    return Month(unpack(before.body), before.asked_at, before.cost, asked=False)
                return await self._ask(key, ask)
        except StorageError as error:
            log.warning("months are not shared", error=type(error).__name__)
        asked_at = self._now()
        slots, cost = await ask()
        return Month(slots, asked_at, cost, asked=True)

    def _is_news(self, asked_at: datetime, since: datetime) -> bool:
        return asked_at > since and not is_ahead(asked_at, self._now())

    def _is_to_come(self, lease_until: datetime) -> bool:
        # One that is further ahead is from before the clock was set back.
        return self._now() < lease_until <= self._now() + LEASE + APART

    async def _ask(self, key: str, ask: Callable[[], Awaitable[tuple[tuple[Slot, ...], int]]]) -> Month:
        asked_at = self._now()
        try:
            slots, cost = await ask()
        except SchedulerError:
            await self.readings.end_reading(key, holder=self._holder, rest_until=self._now() + REST)
            raise
        await self.readings.put_reading(key, holder=self._holder, asked_at=asked_at, cost=cost, body=pack(slots))
        return Month(slots, asked_at, cost, asked=True)


def pack(slots: Sequence[Slot]) -> bytes:
    """Slots as they are kept: JSON, compressed, since a month of a large studio is 100 KB of it."""
    rows = [
        [
            *(at.isoformat() for at in (one.starts_at, one.ends_at, one.buffer_starts_at, one.buffer_ends_at)),
            *one.resource_ids,
        ]
        for one in slots
    ]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 1)


def unpack(body: bytes) -> tuple[Slot, ...]:
    """The slots again."""
    slots = []
    for row in json.loads(zlib.decompress(body)):
        starts_at, ends_at, buffer_starts_at, buffer_ends_at = map(datetime.fromisoformat, row[:4])
        slots.append(Slot(starts_at, ends_at, buffer_starts_at, buffer_ends_at, tuple(row[4:])))
    return tuple(slots)
