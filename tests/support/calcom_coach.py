"""A coach in the Cal.com sandbox, with the product's scheduler on a wire that a test can hold up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx
from anyio.lowlevel import checkpoint

from app.domain.booking import Customer
from app.scheduling.calcom.client import CalcomClient
from app.scheduling.calcom.scheduler import CalcomScheduler
from app.scheduling.connection import ClientOptions
from app.scheduling.port import SchedulerBooking, SchedulerCall, Visit, Wanted
from sandbox.calcom import CalcomSandbox
from sandbox.calcom.seed import CoachIds, seed_coach
from sandbox.clock import Clock
from sandbox.faults import Call
from tests.support.hapio_studio import MONDAY, Wire

URL = "http://calcom.sandbox/v2"
#: Tomorrow 10:00 in London, as in UTC.
TEN = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
ADA = Customer(
    name="Ada Example", email="ada@example.com", phone="+447911123456", notes="Ring twice", answers={"role": "Editor"}
)
METADATA = {
    "holdfast_id": "bk_1",
    "customer_name": "Ada Example",
    "customer_email": "ada@example.com",
    "answer_role": "Editor",
    "paid_amount": "65.00",
    "utm_source": "newsletter",
}


@dataclass
class CalcomCoach:
    """The sandbox, the scheduler, and what both saw. Waiting moves the clock and costs nothing."""

    clock: Clock
    sandbox: CalcomSandbox
    ids: CoachIds
    wire: Wire
    waits: list[float] = field(default_factory=list)
    heard: list[SchedulerCall] = field(default_factory=list)
    scheduler: CalcomScheduler = field(init=False)

    def __post_init__(self) -> None:
        self.scheduler = self.make_scheduler()

    def make_client(self, token: str = "") -> CalcomClient:
        options = ClientOptions(
            base_url=URL,
            now=self.clock,
            random=Random(1),
            sleep=self._sleep,
            transport=self.wire,
            on_call=self.heard.append,
        )
        return CalcomClient(options, token=token or self.sandbox.token)

    def make_scheduler(self, token: str = "") -> CalcomScheduler:
        """Another process, with the owner's key or someone else's."""
        return CalcomScheduler(self.make_client(token), now=self.clock)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(timedelta(seconds=seconds))
        await checkpoint()

    @property
    def session(self) -> str:
        """An hour, 15 minutes after it, four hours ahead."""
        return str(self.ids.event_types["Coaching session"])

    @property
    def call(self) -> str:
        """Twenty minutes, 10 minutes after it, an hour ahead."""
        return str(self.ids.event_types["Discovery call"])

    @property
    def owner_id(self) -> str:
        return str(self.sandbox.owner.id)

    def wanted(self, starts_at: datetime = TEN, *, tag: str = "bk_1", service: str = "") -> Wanted:
        """A coaching session, or a discovery call."""
        length = 20 * MINUTE if service == self.call else HOUR
        return Wanted(
            tag=tag,
            service_id=service or self.session,
            location_id=self.owner_id,
            resource_id=self.owner_id,
            starts_at=starts_at,
            ends_at=starts_at + length,
            buffer_starts_at=starts_at,
            buffer_ends_at=starts_at + length + 15 * MINUTE,
        )

    async def lock(self, starts_at: datetime = TEN, *, hours: int = 2) -> str:
        locked = await self.scheduler.lock(self.wanted(starts_at), until=self.clock() + hours * HOUR)
        return locked.reference

    async def confirm(self, lock: str | None = None, starts_at: datetime = TEN, **more: Any) -> SchedulerBooking:
        return await self.scheduler.confirm(lock, self.wanted(starts_at, **more), visit())

    async def set_type(self, service: str = "", **settings: Any) -> None:
        """The owner changes an event type, by default the coaching session."""
        headers = {"authorization": f"Bearer {self.sandbox.token}", "cal-api-version": "2024-06-14"}
        async with httpx.AsyncClient(transport=self.sandbox.transport(), base_url=URL, headers=headers) as api:
            (await api.patch(f"/event-types/{service or self.session}", json=settings)).raise_for_status()
        self.sandbox.calls.clear()

    def there(self) -> list[tuple[datetime, str]]:
        """Start and status of every booking at Cal.com."""
        return [(one.start, one.status) for one in self.sandbox.state.bookings.values()]

    def called(self, method: str, path: str) -> list[Call]:
        """The requests with this method whose paths end so."""
        return [one for one in self.sandbox.calls if one.method == method and one.path.endswith(path)]


def visit(**more: Any) -> Visit:
    """Ada comes."""
    told = {"customer": ADA, "time_zone": "Europe/Stockholm", "language": "sv", "metadata": METADATA}
    return Visit(**{**told, **more})


@asynccontextmanager
async def open_coach(at: datetime = MONDAY) -> AsyncIterator[CalcomCoach]:
    """The coach of the demo, with nothing booked and no call made."""
    clock = Clock(at)
    sandbox = CalcomSandbox(now=clock)
    headers = {"authorization": f"Bearer {sandbox.token}"}
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url=URL, headers=headers) as api:
        ids = await seed_coach(api)
    sandbox.calls.clear()
    sandbox.state.limiter.clear()
    sandbox.switches.rate_limit_per_minute = 1000
    coach = CalcomCoach(clock, sandbox, ids, Wire(sandbox.transport()))
    yield coach
    await coach.scheduler.aclose()
