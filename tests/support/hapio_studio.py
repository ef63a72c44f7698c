"""A studio in the Hapio sandbox, with the product's client on a wire that a test can hold up."""

from __future__ import annotations

from asyncio import Event
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx
from anyio.lowlevel import checkpoint

from app.scheduling.connection import ClientOptions
from app.scheduling.hapio.client import HapioClient
from app.scheduling.port import SchedulerCall
from sandbox.clock import Clock
from sandbox.hapio import HapioSandbox
from sandbox.seed import StudioIds
from tests.support.once import HAPIO_URL, open_api, seeded_hapio

#: A Monday in Stockholm, 09:00.
MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


class Wire(httpx.AsyncBaseTransport):
    """What lies between the client and Hapio. `hold` keeps answers on the way until `let_go`; with `late`, the next
    POST is given up by the client and reaches Hapio only just before the POST after it."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self._open = Event()
        self._open.set()
        self._straggler: httpx.Request | None = None
        self.late = False

    def hold(self) -> None:
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.late and request.method == "POST":
            self.late, self._straggler = False, request
            raise httpx.ReadTimeout("no answer in time", request=request)
        if self._straggler and request.method == "POST":
            await self._inner.handle_async_request(self._straggler)
            self._straggler = None
        response = await self._inner.handle_async_request(request)
        await self._open.wait()
        return response


@dataclass
class HapioStudio:
    """The sandbox, the client, and what both saw. Waiting moves the clock and costs nothing."""

    clock: Clock
    sandbox: HapioSandbox
    ids: StudioIds
    wire: Wire
    waits: list[float] = field(default_factory=list)
    heard: list[SchedulerCall] = field(default_factory=list)
    client: HapioClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.make_client(self.sandbox.token)

    def make_client(self, token: str, on_call: Callable[[SchedulerCall], None] | None = None) -> HapioClient:
        options = ClientOptions(
            base_url=HAPIO_URL,
            now=self.clock,
            random=Random(1),
            sleep=self._sleep,
            transport=self.wire,
            on_call=on_call or self.heard.append,
        )
        return HapioClient(options, token=token)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(timedelta(seconds=seconds))
        await checkpoint()

    @property
    def portrait(self) -> str:
        """An hour, 15 minutes of clearing up after it, bookable 60 days ahead: Astrid and Jonas."""
        return self.ids.services["Portrait session"]

    @property
    def headshot(self) -> str:
        """Half an hour: Astrid, Jonas and Mira."""
        return self.ids.services["Headshot express"]

    @property
    def planning(self) -> str:
        """Twenty minutes, free, bookable without end: Astrid and Mira."""
        return self.ids.services["Planning call"]

    @property
    def astrid(self) -> str:
        return self.ids.resources["Astrid Lindqvist"]

    @property
    def jonas(self) -> str:
        return self.ids.resources["Jonas Berg"]

    def posts(self) -> int:
        """How many bookings were asked for."""
        return sum(call.method == "POST" for call in self.sandbox.calls)

    def slot_reads(self) -> int:
        """How many pages of bookable slots were asked for."""
        return sum(call.path.endswith("/bookable-slots") for call in self.sandbox.calls)

    async def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Hapio's API as the owner or another program uses it."""
        async with open_api(self.sandbox) as api:
            answer = (await api.request(method, path, json=body)).raise_for_status()
            return answer.json() if answer.content else None

    async def book_elsewhere(
        self, service_id: str, resource_id: str, starts_at: datetime, *, minutes: int = 60, **more: Any
    ) -> str:
        """Another program books someone; Hapio's booking id."""
        booking = await self.api(
            "POST",
            "/bookings",
            {
                "service_id": service_id,
                "location_id": self.ids.location,
                "resource_id": resource_id,
                "starts_at": starts_at.isoformat(),
                "ends_at": (starts_at + timedelta(minutes=minutes)).isoformat(),
                **more,
            },
        )
        return str(booking["id"])

    async def quiet(self) -> None:
        """Let everything that goes on behind the scenes come to its end."""
        for _ in range(500):
            await checkpoint()


@asynccontextmanager
async def open_studio(at: datetime = MONDAY) -> AsyncIterator[HapioStudio]:
    """The studio of the demo, with nothing booked and no call made."""
    clock = Clock(at)
    sandbox, ids = await seeded_hapio(clock)
    sandbox.switches.rate_limit_per_minute = 1000
    studio = HapioStudio(clock, sandbox, ids, Wire(sandbox.transport()))
    yield studio
    await studio.client.aclose()
