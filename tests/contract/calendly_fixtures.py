"""A Calendly account for contract tests: finds an event type that can be booked, books, and cancels behind itself."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx

from sandbox.calendly import CalendlySandbox
from sandbox.clock import Clock

Json = dict[str, Any]

NO_TRACKING: Json = dict.fromkeys(
    ["utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term", "salesforce_uuid"]
)


def contract_client() -> httpx.AsyncClient:
    """Return a client of the real Calendly if CALENDLY_CONTRACT_TOKEN is set, else of a fresh adviser's sandbox."""
    token = os.environ.get("CALENDLY_CONTRACT_TOKEN")
    if token:
        transport: httpx.AsyncBaseTransport = _PatientTransport(httpx.AsyncHTTPTransport())
    else:
        sandbox = CalendlySandbox(now=Clock())
        sandbox.seed_adviser()
        token, transport = sandbox.token, sandbox.transport()
    headers = {"authorization": f"Bearer {token}"}
    return httpx.AsyncClient(base_url="https://api.calendly.com", headers=headers, transport=transport)


class _PatientTransport(httpx.AsyncBaseTransport):
    """Waits when the real service says that an allowance is used up."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if response.status_code == 429:
            await anyio.sleep(float(response.headers["x-ratelimit-reset"]) + 1)
            response = await self._inner.handle_async_request(request)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def stamp(at: datetime) -> str:
    """Write a time as Calendly takes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Account:
    """The account under test."""

    def __init__(self, client: httpx.AsyncClient, now: Callable[[], datetime]) -> None:
        self.client = client
        self._now = now
        self._events: set[str] = set()
        self._subscriptions: set[str] = set()

    async def get(self, path: str, **query: Any) -> Json:
        """Read something that must be there; `path` may be a URI."""
        response = await self.client.get(path, params=query or None)
        assert response.status_code == 200, response.text
        body: Json = response.json()
        return body

    async def me(self) -> Json:
        """Return the token's user."""
        resource: Json = (await self.get("/users/me"))["resource"]
        return resource

    async def event_type(self, name: str | None = None) -> Json:
        """Return an event type that can be booked without any input, the first by name or the named one."""
        types = (await self.get("/event_types", user=(await self.me())["uri"], active="true", count=100))["collection"]
        for one in types:
            plain = one["kind"] == "solo" and one["pooling_type"] is None and one["booking_method"] == "instant"
            silent = not any(question["required"] and question["enabled"] for question in one["custom_questions"])
            kinds = [location["kind"] for location in one["locations"] or []]
            asks = len(kinds) > 1 or {"ask_invitee", "outbound_call"} & set(kinds)
            if plain and silent and not asks and name in (None, one["name"]):
                found: Json = one
                return found
        raise AssertionError("the account needs an active one-on-one event type that asks nothing")

    async def times(self, event_type: Json, *, skip_days: int = 7, days: int = 7) -> list[str]:
        """Return the free starts of a window that begins in `skip_days`."""
        start = self._now() + timedelta(days=skip_days)
        window = {"start_time": stamp(start), "end_time": stamp(start + timedelta(days=days))}
        body = await self.get("/event_type_available_times", event_type=event_type["uri"], **window)
        return [one["start_time"] for one in body["collection"]]

    def order(self, event_type: Json, start: str, /, **changes: Any) -> Json:
        """Return the body of a create: all that the event type asks for, and no more."""
        invitee = {"email": "kim@example.com", "name": "Kim Doe", "first_name": "Kim", "timezone": "Europe/Berlin"}
        body: Json = {"event_type": event_type["uri"], "start_time": start, "invitee": invitee}
        if event_type["locations"]:
            body["location"] = {"kind": event_type["locations"][0]["kind"]}
        return body | changes

    async def post(self, body: Json) -> httpx.Response:
        """Try to book; an event that comes of it is cancelled in the end."""
        response = await self.client.post("/invitees", json=body)
        if response.status_code == 201:
            self._events.add(response.json()["resource"]["event"])
        return response

    async def book(self, event_type: Json, start: str, /, **changes: Any) -> Json:
        """Book a time that must be free; return the invitee."""
        response = await self.post(self.order(event_type, start, **changes))
        assert response.status_code == 201, response.text
        invitee: Json = response.json()["resource"]
        return invitee

    async def cancel(self, event: str, body: Json | None = None) -> httpx.Response:
        """Cancel an event. Without a reason: one report has Calendly refuse it."""
        return await self.client.post(f"{event}/cancellation", json=body or {})

    async def subscribe(self, url: str, /, **changes: Any) -> httpx.Response:
        """Try to subscribe to the user's bookings; a subscription that comes of it is deleted in the end."""
        me = await self.me()
        body = {
            "url": url,
            "events": ["invitee.created", "invitee.canceled"],
            "organization": me["current_organization"],
            "user": me["uri"],
            "scope": "user",
            "signing_key": "contract-signing-key",
        }
        response = await self.client.post("/webhook_subscriptions", json=body | changes)
        if response.status_code == 201:
            self._subscriptions.add(response.json()["resource"]["uri"])
        return response

    async def clean_up(self) -> None:
        """Cancel what was booked and delete what was subscribed."""
        for event in self._events:
            assert (await self.cancel(event)).status_code in (201, 403)
        for subscription in self._subscriptions:
            assert (await self.client.delete(subscription)).status_code in (204, 404)
