"""A Cal.com account for contract tests: makes what a test needs over plain HTTP, and cleans up behind it.

Bookings cannot be deleted there: what a test booked is cancelled, and stays in the account's list.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import anyio
import httpx

from sandbox.calcom import CalcomSandbox
from sandbox.clock import Clock

Json = dict[str, Any]

STOCKHOLM = ZoneInfo("Europe/Stockholm")
#: The version header of each resource; a resource that is not here needs none.
VERSIONS = {
    "slots": "2024-09-04",
    "bookings": "2024-08-13",
    "event-types": "2024-06-14",
    "schedules": "2024-06-11",
}
#: Cal.com mails the attendee; nobody reads this one's mail (RFC 2606).
ATTENDEE = {"name": "Ada Example", "email": "ada@example.com", "timeZone": "Europe/Stockholm"}
CANCELLED = {"cancellationReason": "The test is over"}


def contract_client() -> httpx.AsyncClient:
    """Return a client of the real Cal.com if CALCOM_CONTRACT_TOKEN is set, else of a fresh sandbox."""
    token = os.environ.get("CALCOM_CONTRACT_TOKEN")
    if token:
        base_url = os.environ.get("CALCOM_CONTRACT_BASE_URL", "https://api.cal.com/v2")
        transport: httpx.AsyncBaseTransport = _PatientTransport(httpx.AsyncHTTPTransport())
    else:
        sandbox = CalcomSandbox(now=Clock())
        token, base_url, transport = sandbox.token, "https://cal.test/v2", sandbox.transport()
    headers = {"authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url=base_url, headers=headers, transport=transport, timeout=30)


class _PatientTransport(httpx.AsyncBaseTransport):
    """Waits when the real service says that the minute's allowance is used up: a block lasts 60 s."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if response.status_code == 429:
            await anyio.sleep(61)
            response = await self._inner.handle_async_request(request)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass(frozen=True)
class Caller:
    """The requests of one test, with the right version header on each."""

    client: httpx.AsyncClient

    async def __call__(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        params: Json | None = None,
        version: str | None = None,
        anonymous: bool = False,
    ) -> httpx.Response:
        """Send a request; `version` replaces the header, and an empty one leaves it out."""
        headers = {} if anonymous else {"authorization": self.client.headers["authorization"]}
        wanted = VERSIONS.get(path.partition("/")[0], "") if version is None else version
        if wanted:
            headers["cal-api-version"] = wanted
        request = self.client.build_request(method, path, json=body, params=params)
        del request.headers["authorization"]
        request.headers.update(headers)
        return await self.client.send(request)


class Coach:
    """The account under test, open for one day that no other test uses."""

    def __init__(self, client: httpx.AsyncClient, now: Callable[[], datetime], chance: random.Random) -> None:
        """Take a day out of the next months by `chance`, so that tests next to each other do not meet."""
        self.call = Caller(client)
        self.day: date = now().date() + timedelta(days=chance.randrange(20, 300))
        self.zone = STOCKHOLM
        self._mark = f"{chance.getrandbits(40):x}"
        self._made: list[str] = []
        self._bookings: list[str] = []
        self._schedule: int | None = None

    async def clean_up(self) -> None:
        """Cancel what was booked and delete what was made, latest first."""
        for uid in reversed(self._bookings):
            await self.call("POST", f"bookings/{uid}/cancel", CANCELLED)
        for path in reversed(self._made):
            assert (await self.call("DELETE", path)).status_code in (200, 404)

    def at(self, wall: str, plus_days: int = 0) -> str:
        """Return a wall time of the open day as a UTC instant."""
        local = datetime.combine(self.day + timedelta(days=plus_days), time.fromisoformat(wall), tzinfo=self.zone)
        return local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    async def get(self, path: str, **params: Any) -> Any:
        """Return the data of a request that must succeed."""
        response = await self.call("GET", path, params=params)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    async def make(self, path: str, body: Json) -> Json:
        """Make something that must be accepted, and remember to delete it."""
        response = await self.call("POST", path, body)
        assert response.status_code == 201, response.text
        made: Json = response.json()["data"]
        self._made.append(f"{path}/{made['id']}")
        return made

    async def schedule(self) -> int:
        """Return the schedule that is open from 9 to 17 on the day, and at no other time."""
        if self._schedule is None:
            hours = [{"date": self.day.isoformat(), "startTime": "09:00", "endTime": "17:00"}]
            body = {"name": f"Contract {self._mark}", "timeZone": self.zone.key, "isDefault": False}
            made = await self.make("schedules", body | {"availability": [], "overrides": hours})
            self._schedule = int(made["id"])
        return self._schedule

    async def event_type(self, **more: Any) -> int:
        """Make an event type of half an hour; return its id."""
        slug = f"contract-{self._mark}-{len(self._made)}"
        body = {"title": "Contract", "slug": slug, "lengthInMinutes": 30, "minimumBookingNotice": 0}
        body["scheduleId"] = await self.schedule()
        return int((await self.make("event-types", body | more))["id"])

    async def webhook(self, **more: Any) -> Json:
        """Subscribe an address that answers nobody."""
        body = {"active": True, "subscriberUrl": f"https://{self._mark}.example.com/", "triggers": ["BOOKING_CREATED"]}
        return await self.make("webhooks", body | more)

    async def slots(self, event_type: int, **query: Any) -> dict[str, list[Json]]:
        """Return the slots of the day, by day."""
        params = {"eventTypeId": event_type, "start": self.at("00:00"), "end": self.at("23:30"), "format": "range"}
        found: dict[str, list[Json]] = await self.get("slots", **{**params, "timeZone": self.zone.key, **query})
        return found

    async def starts(self, event_type: int, **query: Any) -> list[str]:
        """Return the starts of the day's slots as wall time, `HH:MM`."""
        return [one["start"][11:16] for day in (await self.slots(event_type, **query)).values() for one in day]

    async def reserve(self, event_type: int, wall: str, *, anonymous: bool = False, **more: Any) -> httpx.Response:
        """Ask for a reservation; what is made is deleted at the end."""
        body = {"eventTypeId": event_type, "slotStart": self.at(wall), **more}
        response = await self.call("POST", "slots/reservations", body, anonymous=anonymous)
        if response.status_code == 201:
            self._made.append(f"slots/reservations/{response.json()['data']['reservationUid']}")
        return response

    async def reserved(self, event_type: int, wall: str, **more: Any) -> Json:
        """Make a reservation that must be accepted."""
        response = await self.reserve(event_type, wall, **more)
        assert response.status_code == 201, response.text
        made: Json = response.json()["data"]
        return made

    async def book(self, event_type: int, wall: str, *, anonymous: bool = False, **more: Any) -> httpx.Response:
        """Ask for a booking; what is made is cancelled at the end."""
        body = {"eventTypeId": event_type, "start": self.at(wall), "attendee": ATTENDEE, **more}
        response = await self.call("POST", "bookings", body, anonymous=anonymous)
        if response.status_code == 201:
            self._bookings.append(response.json()["data"]["uid"])
        return response

    async def booked(self, event_type: int, wall: str, **more: Any) -> Json:
        """Make a booking that must be accepted."""
        response = await self.book(event_type, wall, **more)
        assert response.status_code == 201, response.text
        made: Json = response.json()["data"]
        return made

    async def move(self, uid: str, wall: str, **more: Any) -> httpx.Response:
        """Ask for a move as the host."""
        response = await self.call("POST", f"bookings/{uid}/reschedule", {"start": self.at(wall), **more})
        if response.status_code == 201:
            self._bookings.append(response.json()["data"]["uid"])
        return response

    async def cancel(self, uid: str, **body: Any) -> httpx.Response:
        """Ask for a cancellation as the host."""
        return await self.call("POST", f"bookings/{uid}/cancel", body)

    async def read(self, uid: str) -> Json:
        """Read a booking."""
        found: Json = await self.get(f"bookings/{uid}")
        return found
