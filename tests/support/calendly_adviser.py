"""An adviser in the Calendly sandbox, with the product's scheduler on a wire that a test can hold up."""

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
from app.scheduling.calendly.client import CalendlyClient
from app.scheduling.calendly.scheduler import CalendlyScheduler
from app.scheduling.calendly.tokens import PersonalAccess
from app.scheduling.connection import ClientOptions
from app.scheduling.port import SchedulerCall, Visit, Wanted
from sandbox.calendly import AdviserIds, CalendlySandbox, Fault
from sandbox.clock import Clock
from tests.support.hapio_studio import Wire

#: A Monday in New York, 08:00.
MONDAY = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
#: Tomorrow 10:00 in New York.
TEN = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
CUSTOMER = Customer(name="Kim Doe", email="Kim@example.com", phone="", notes="", answers={})
VISIT = Visit(
    customer=CUSTOMER,
    time_zone="Europe/Berlin",
    language="en",
    metadata={"holdfast_id": "bk_1", "customer_name": "Kim Doe", "utm_source": "newsletter"},
)


@dataclass
class CalendlyAdviser:
    """The sandbox, the scheduler, and what both saw. Waiting moves the clock and costs nothing; `meanwhile`
    is what begins to fail during the next wait."""

    clock: Clock
    sandbox: CalendlySandbox
    ids: AdviserIds
    wire: Wire
    waits: list[float] = field(default_factory=list)
    heard: list[SchedulerCall] = field(default_factory=list)
    creates: int = 0
    meanwhile: list[Fault] = field(default_factory=list)
    scheduler: CalendlyScheduler = field(init=False)

    def __post_init__(self) -> None:
        self.scheduler = self.connect()

    def connect(self, token: str = "") -> CalendlyScheduler:
        """Another process, or another token: nothing is known there yet."""
        options = ClientOptions(
            base_url="https://api.calendly.com",
            now=self.clock,
            random=Random(1),
            sleep=self._sleep,
            transport=self.wire,
            on_call=self.heard.append,
        )
        access = PersonalAccess(token or self.sandbox.token)
        client = CalendlyClient(options, access=access, on_create=self._count_create)
        return CalendlyScheduler(client, now=self.clock)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(timedelta(seconds=seconds))
        self.sandbox.faults += self.meanwhile
        self.meanwhile.clear()
        await checkpoint()

    def _count_create(self) -> None:
        self.creates += 1

    @property
    def session(self) -> str:
        """An hour, and a quarter of an hour after it."""
        return self.ids.event_types["Advice session"]

    @property
    def review(self) -> str:
        """Half an hour in the office."""
        return self.ids.event_types["Review"]

    def wanted(self, starts_at: datetime = TEN, *, tag: str = "bk_1", service_id: str = "") -> Wanted:
        """An hour's session, asked for as the acts do."""
        return Wanted(
            tag=tag,
            service_id=service_id or self.session,
            location_id=self.ids.user,
            resource_id=self.ids.user,
            starts_at=starts_at,
            ends_at=starts_at + HOUR,
            buffer_starts_at=starts_at,
            buffer_ends_at=starts_at + HOUR + timedelta(minutes=15),
        )

    async def booked(self, starts_at: datetime = TEN, *, tag: str = "bk_1") -> str:
        """The reference of a booking that was made through the port."""
        return (await self.scheduler.confirm(f"none:{tag}", self.wanted(starts_at, tag=tag), VISIT)).id

    async def subscribe(self, url: str, key: str, **more: Any) -> None:
        """Subscribe an address to what happens to the adviser's bookings, as a person does with a call of their own."""
        state = self.sandbox.state
        body = {
            "url": url,
            "events": ["invitee.created", "invitee.canceled"],
            "organization": state.uri("organizations", state.organization),
            "user": state.uri("users", self.ids.user),
            "scope": "user",
            "signing_key": key,
        }
        token = {"authorization": f"Bearer {self.sandbox.token}"}
        async with httpx.AsyncClient(transport=self.sandbox.transport(), base_url="https://api.calendly.com") as api:
            (await api.post("/webhook_subscriptions", json=body | more, headers=token)).raise_for_status()

    def asked(self, path: str, method: str = "GET") -> int:
        """How many requests went to addresses that end so."""
        return sum(call.method == method and call.path.endswith(path) for call in self.sandbox.calls)

    def orders(self) -> list[dict[str, Any]]:
        """The bodies of all creates."""
        return [call.body for call in self.sandbox.calls if call.method == "POST" and call.path == "/invitees"]

    def active(self) -> list[str]:
        """The ids of all events that take place."""
        return [event.id for event in self.sandbox.state.events.values() if event.status == "active"]

    def invitee_of(self, event_id: str) -> str:
        """The id of an event's only invitee."""
        state = self.sandbox.state
        [invitee] = state.invitees_of(state.events[event_id])
        return invitee.id


@asynccontextmanager
async def open_adviser(*, webhook_client: httpx.AsyncClient | None = None) -> AsyncIterator[CalendlyAdviser]:
    """The adviser of the demo, with nothing booked and no call made."""
    clock = Clock(MONDAY)
    sandbox = CalendlySandbox(now=clock, webhook_client=webhook_client)
    ids = sandbox.seed_adviser()
    adviser = CalendlyAdviser(clock, sandbox, ids, Wire(sandbox.transport()))
    yield adviser
    await adviser.scheduler.aclose()
