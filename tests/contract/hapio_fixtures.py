"""A Hapio project for contract tests: creates what a test needs over plain HTTP, and cleans up behind it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import httpx

from sandbox.clock import Clock
from sandbox.hapio import HapioSandbox

Json = dict[str, Any]

STOCKHOLM = ZoneInfo("Europe/Stockholm")


def contract_client() -> httpx.AsyncClient:
    """Return a client of the real Hapio if HAPIO_CONTRACT_TOKEN is set, else of a fresh sandbox."""
    token = os.environ.get("HAPIO_CONTRACT_TOKEN")
    if token:
        base_url = os.environ.get("HAPIO_CONTRACT_BASE_URL", "https://eu-central-1.hapio.net/v1")
        transport: httpx.AsyncBaseTransport = _PatientTransport(httpx.AsyncHTTPTransport())
    else:
        sandbox = HapioSandbox(now=Clock())
        token, base_url, transport = sandbox.token, "https://hapio.test/v1", sandbox.transport()
    headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
    return httpx.AsyncClient(base_url=base_url, headers=headers, transport=transport)


class _PatientTransport(httpx.AsyncBaseTransport):
    """Waits when the real service says that the minute's allowance is used up."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if response.status_code == 429:
            await anyio.sleep(float(response.headers["retry-after"]) + 1)
            response = await self._inner.handle_async_request(request)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass(frozen=True)
class Studio:
    """One location, one resource and one service that it offers; open on one day."""

    location: str
    resource: str
    service: str
    day: date
    zone: ZoneInfo

    def at(self, wall: str, plus_days: int = 0) -> str:
        """Return a wall time of the open day as Hapio writes it."""
        on = self.day + timedelta(days=plus_days)
        return datetime.combine(on, time.fromisoformat(wall), tzinfo=self.zone).isoformat()

    def booking(self, start: str, end: str, **more: Any) -> Json:
        """Return the body of a booking on the open day, with the resource named."""
        return {
            "service_id": self.service,
            "location_id": self.location,
            "resource_id": self.resource,
            "starts_at": self.at(start),
            "ends_at": self.at(end),
            **more,
        }


class Project:
    """The project under test."""

    def __init__(self, client: httpx.AsyncClient, now: Callable[[], datetime]) -> None:
        self.client = client
        self._now = now
        self._created: list[str] = []

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """Create an object that must be accepted, and remember to delete it."""
        response = await self.client.post(path, json=body)
        assert response.status_code == 201, response.text
        created: Json = response.json()
        self._created.append(f"{path}/{created['id']}")
        return created

    async def clean_up(self) -> None:
        """Delete what was created, latest first."""
        for path in reversed(self._created):
            assert (await self.client.delete(path)).status_code in (204, 404)

    async def location(self, **more: Any) -> str:
        """Create a location in Stockholm."""
        body = {"name": "Studio", "time_zone": "Europe/Stockholm", "resource_selection_strategy": "equalize"}
        return str((await self.create("locations", body | more))["id"])

    async def resource(self, **more: Any) -> str:
        """Create a resource that takes one booking at a time."""
        return str((await self.create("resources", {"name": "Astrid", "max_simultaneous_bookings": 1} | more))["id"])

    async def service(self, **more: Any) -> str:
        """Create a service of half an hour."""
        body = {"name": "Headshot", "type": "fixed", "duration": "PT30M", "price": "650.000"}
        return str((await self.create("services", body | more))["id"])

    async def open(self, resource: str, location: str, starts_at: str, ends_at: str, **more: Any) -> Json:
        """Open a resource at a location once."""
        body = {"location_id": location, "starts_at": starts_at, "ends_at": ends_at}
        return await self.create(f"resources/{resource}/schedule-blocks", body | more)

    async def offer(self, resource: str, service: str) -> None:
        """Let a resource offer a service."""
        response = await self.client.put(f"resources/{resource}/services/{service}")
        assert response.status_code == 201, response.text

    async def studio(
        self, *, capacity: int | None = 1, opens: str = "08:00", closes: str = "17:00", **service: Any
    ) -> Studio:
        """Create a studio that is open on one day two weeks from now."""
        day = self._now().date() + timedelta(days=14)
        studio = Studio(
            location=await self.location(),
            resource=await self.resource(max_simultaneous_bookings=capacity),
            service=await self.service(**service),
            day=day,
            zone=STOCKHOLM,
        )
        await self.offer(studio.resource, studio.service)
        await self.open(studio.resource, studio.location, studio.at(opens), studio.at(closes))
        return studio

    async def week(self, resource: str, location: str, start_date: str, blocks: list[tuple[str, str, str]]) -> str:
        """Create a recurring schedule with its blocks (weekday, start, end)."""
        path = f"resources/{resource}/recurring-schedules"
        schedule = str((await self.create(path, {"location_id": location, "start_date": start_date}))["id"])
        for weekday, start, end in blocks:
            body = {"weekday": weekday, "start_time": start, "end_time": end}
            await self.create(f"{path}/{schedule}/schedule-blocks", body)
        return schedule

    async def slots(self, studio: Studio, **query: Any) -> list[Json]:
        """Return the bookable slots of the open day and the night around it."""
        params: Json = {
            "from": studio.at("00:00"),
            "to": studio.at("00:00", plus_days=1),
            "location": studio.location,
            "per_page": 100,
        }
        response = await self.client.get(f"services/{studio.service}/bookable-slots", params=params | query)
        assert response.status_code == 200, response.text
        found: list[Json] = response.json()["data"]
        return found

    async def starts(self, studio: Studio, **query: Any) -> list[str]:
        """Return the start times of the bookable slots as wall time, `HH:MM`."""
        return [slot["starts_at"][11:16] for slot in await self.slots(studio, **query)]

    async def book(self, studio: Studio, start: str, end: str, **more: Any) -> Json:
        """Book a time that must be accepted."""
        return await self.create("bookings", studio.booking(start, end, **more))

    async def refused(self, studio: Studio, start: str, end: str, **more: Any) -> bool:
        """Tell whether a booking is refused as Hapio refuses (422 with a message)."""
        response = await self.client.post("bookings", json=studio.booking(start, end, **more))
        if response.status_code == 201:
            self._created.append(f"bookings/{response.json()['id']}")
            return False
        assert response.status_code == 422, response.text
        return bool(response.json()["message"])
