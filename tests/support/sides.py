"""The schedulers' side of a story, told the same way for each: what it has of ours, and what its owner, a customer and
a stranger do there outside Holdfast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import httpx

from sandbox.calcom import CalcomSandbox
from sandbox.calcom.seed import seed_coach
from sandbox.calendly import CalendlySandbox
from sandbox.clock import Clock
from sandbox.faults import Call, Fault
from sandbox.hapio import HapioSandbox
from sandbox.seed import StudioIds
from tests.support.once import open_api, seeded_hapio

#: Every scheduler that the product works with, and what their stories may expect.
NAMES: Final = ("hapio", "calcom", "calendly")
#: And a made-up one, which has the worst habit of each wherever their documents leave a choice.
WORST: Final = "worst"
WEBHOOK_SECRET: Final = "webhook-secret-of-the-tests"
SERVICES: Final = {
    "calcom": {"portrait": "Coaching session", "headshot": "Interview practice", "planning": "Discovery call"},
    "calendly": {"portrait": "Advice session", "headshot": "Review", "planning": "Intro call"},
    "hapio": {"portrait": "Portrait session", "headshot": "Headshot express", "planning": "Planning call"},
}


@dataclass(frozen=True)
class Booked:
    """Something final at a scheduler that takes up time. `tag` is ours, empty for a stranger's."""

    reference: str
    tag: str
    starts_at: datetime


class Side(Protocol):
    """One scheduler, as its owner and others use it."""

    name: str
    faults: list[Fault]
    calls: list[Call]
    #: The ids of its services by the names of the stories.
    services: Mapping[str, str]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that connect the product to it."""

    @property
    def create(self) -> tuple[str, str]:
        """Method and path (a regular expression) of the call that makes a booking final."""

    def transport(self) -> httpx.AsyncBaseTransport:
        """The wire to it."""

    def switches(self, changes: Mapping[str, Any]) -> None:
        """Turn switches of the sandbox."""

    def sell_until_it_begins(self) -> None:
        """Have no notice: every service can be booked until it begins."""

    def owner_sets_length(self, service: str, minutes: int) -> None:
        """The owner changes there how long a service lasts."""

    def booked(self) -> list[Booked]:
        """All that is final there and takes up time."""

    def locks(self) -> int:
        """How many locks it holds."""

    async def stranger_takes(self, starts_at: datetime, service: str = "portrait") -> None:
        """Someone books this time there, outside Holdfast, with everyone who offers it."""

    async def owner_cancels(self, reference: str) -> None:
        """The owner cancels a booking there."""

    async def owner_moves(self, reference: str, to: datetime) -> None:
        """The owner moves a booking there."""

    async def customer_cancels(self, reference: str) -> None:
        """The customer cancels by the scheduler's own link."""

    async def deliver(self) -> None:
        """Send the webhooks that are due."""


class HapioSide:
    """Hapio: locks bind."""

    name = "hapio"

    def __init__(self, sandbox: HapioSandbox, ids: StudioIds) -> None:
        self.sandbox = sandbox
        self.ids = ids
        self.services: Mapping[str, str] = {story: ids.services[title] for story, title in SERVICES["hapio"].items()}
        self.faults, self.calls = sandbox.faults, sandbox.calls

    @property
    def settings(self) -> dict[str, Any]:
        return {}

    @property
    def create(self) -> tuple[str, str]:
        return "PATCH", r"/bookings/"

    def transport(self) -> httpx.AsyncBaseTransport:
        return self.sandbox.transport()

    def switches(self, changes: Mapping[str, Any]) -> None:
        self.sandbox.switches.update(changes)

    def sell_until_it_begins(self) -> None:
        known = self.sandbox.state.services
        known.update({id_: replace(known[id_], booking_window_start="PT0S") for id_ in self.services.values()})

    def owner_sets_length(self, service: str, minutes: int) -> None:
        known, id_ = self.sandbox.state.services, self.services[service]
        known[id_] = replace(known[id_], details={**known[id_].details, "duration": f"PT{minutes}M"})

    def booked(self) -> list[Booked]:
        return [
            Booked(one.id, str((one.metadata or {}).get("holdfast_id", "")), one.starts_at)
            for one in self.sandbox.state.bookings.values()
            if not one.is_canceled and not one.is_temporary
        ]

    def locks(self) -> int:
        return sum(one.is_temporary for one in self.sandbox.state.bookings.values())

    async def stranger_takes(self, starts_at: datetime, service: str = "portrait") -> None:
        state = self.sandbox.state
        ids = [resource_id for resource_id, service_id in state.associations if service_id == self.services[service]]
        length = timedelta(minutes=60 if service == "portrait" else 30)
        async with open_api(self.sandbox) as api:
            for resource_id in ids:
                body = {
                    "service_id": self.services[service],
                    "location_id": self.ids.location,
                    "resource_id": resource_id,
                    "starts_at": starts_at.isoformat(),
                    "ends_at": (starts_at + length).isoformat(),
                    "ignore_schedule": True,
                }
                answer = await api.post("/bookings", json=body)
                if answer.status_code != httpx.codes.UNPROCESSABLE_ENTITY:  # they have that time already
                    answer.raise_for_status()

    async def owner_cancels(self, reference: str) -> None:
        await self._change(reference, {"is_canceled": True, "ignore_cancelation_threshold": True})

    async def owner_moves(self, reference: str, to: datetime) -> None:
        there = self.sandbox.state.bookings[reference]
        ends_at = to + (there.ends_at - there.starts_at)
        await self._change(reference, {"starts_at": to.isoformat(), "ends_at": ends_at.isoformat()})

    async def customer_cancels(self, reference: str) -> None:
        raise NotImplementedError("Hapio has no links for customers")

    async def deliver(self) -> None:
        """Hapio's webhooks have a test of their own."""

    async def _change(self, reference: str, body: Mapping[str, Any]) -> None:
        async with open_api(self.sandbox) as api:
            (await api.patch(f"/bookings/{reference}", json=body)).raise_for_status()


class CalcomSide:
    """Cal.com: reservations are a courtesy."""

    name = "calcom"

    def __init__(self, sandbox: CalcomSandbox, services: Mapping[str, str]) -> None:
        self.sandbox = sandbox
        self.services = services
        self.faults, self.calls = sandbox.faults, sandbox.calls

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "hapio_api_token": None,
            "calcom_api_key": self.sandbox.token,
            "calcom_base_url": "http://calcom.sandbox/v2",
            "calcom_webhook_secret": WEBHOOK_SECRET,
        }

    @property
    def create(self) -> tuple[str, str]:
        return "POST", r"/bookings$"

    def transport(self) -> httpx.AsyncBaseTransport:
        return self.sandbox.transport()

    def switches(self, changes: Mapping[str, Any]) -> None:
        self.sandbox.switches.update(changes)

    def sell_until_it_begins(self) -> None:
        for id_ in self.services.values():
            self.sandbox.state.event_types[int(id_)].fields["minimumBookingNotice"] = 0

    def owner_sets_length(self, service: str, minutes: int) -> None:
        self.sandbox.state.event_types[int(self.services[service])].fields["lengthInMinutes"] = minutes

    def booked(self) -> list[Booked]:
        return [
            Booked(one.uid, str(one.metadata.get("holdfast_id", "")), one.start)
            for one in self.sandbox.state.bookings.values()
            if one.status in {"accepted", "pending"}
        ]

    def locks(self) -> int:
        state = self.sandbox.state
        return sum(one.until > state.now() for one in state.reservations.values())

    async def stranger_takes(self, starts_at: datetime, service: str = "portrait") -> None:
        self.sandbox.book_as_stranger(int(self.services[service]), starts_at)

    async def owner_cancels(self, reference: str) -> None:
        self.sandbox.cancel_as_owner(reference, "Ill")

    async def owner_moves(self, reference: str, to: datetime) -> None:
        self.sandbox.move_as_owner(reference, to)

    async def customer_cancels(self, reference: str) -> None:
        self.sandbox.cancel_as_attendee(reference, "Cannot come")

    async def deliver(self) -> None:
        await self.sandbox.deliver_due()


class CalendlySide:
    """Calendly: no locks at all."""

    name = "calendly"

    def __init__(self, sandbox: CalendlySandbox, services: Mapping[str, str]) -> None:
        self.sandbox = sandbox
        self.services = services
        self.faults, self.calls = sandbox.faults, sandbox.calls

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "hapio_api_token": None,
            "calendly_token": self.sandbox.token,
            "calendly_base_url": "http://calendly.sandbox",
            "calendly_webhook_key": WEBHOOK_SECRET,
        }

    @property
    def create(self) -> tuple[str, str]:
        return "POST", r"^/invitees$"

    def transport(self) -> httpx.AsyncBaseTransport:
        return self.sandbox.transport()

    def switches(self, changes: Mapping[str, Any]) -> None:
        self.sandbox.switches.update(changes)

    def sell_until_it_begins(self) -> None:
        for id_ in self.services.values():
            self.sandbox.change_event_type(id_, notice=timedelta(0))

    def owner_sets_length(self, service: str, minutes: int) -> None:
        self.sandbox.change_event_type(self.services[service], duration=minutes)

    def booked(self) -> list[Booked]:
        state = self.sandbox.state
        tags = {one.event: one.tracking.get("utm_content") or "" for one in state.invitees.values()}
        return [
            Booked(one.id, tags.get(one.id, ""), one.start) for one in state.events.values() if one.status == "active"
        ]

    def locks(self) -> int:
        return 0

    async def stranger_takes(self, starts_at: datetime, service: str = "portrait") -> None:
        self.sandbox.book(self.services[service], starts_at, name="Some Body", email="somebody@elsewhere.example")

    async def owner_cancels(self, reference: str) -> None:
        self.sandbox.cancel_as_host(reference, reason="Ill")

    async def owner_moves(self, reference: str, to: datetime) -> None:
        self.sandbox.reschedule(self._invitee(reference), to, by="host")

    async def customer_cancels(self, reference: str) -> None:
        self.sandbox.cancel_as_invitee(self._invitee(reference))

    async def deliver(self) -> None:
        await self.sandbox.deliver_due()

    def _invitee(self, event: str) -> str:
        return next(one.id for one in self.sandbox.state.invitees.values() if one.event == event)


async def open_side(name: str, clock: Clock, webhook_client: httpx.AsyncClient, public_url: str) -> Side:
    """The sandbox of this scheduler with its sample studio, telling the product of changes by webhooks."""
    worst, name = name == WORST, "calendly" if name == WORST else name
    hook, titles = f"{public_url}/api/webhooks/{name}", SERVICES[name]
    if name == "calcom":
        calcom = CalcomSandbox(now=clock, webhook_client=webhook_client)
        headers = {"authorization": f"Bearer {calcom.token}"}
        base_url = "http://calcom.sandbox/v2"
        async with httpx.AsyncClient(transport=calcom.transport(), base_url=base_url, headers=headers) as api:
            coach = await seed_coach(api, webhook_url=hook, webhook_secret=WEBHOOK_SECRET)
        calcom.calls.clear()
        return CalcomSide(calcom, {story: str(coach.event_types[title]) for story, title in titles.items()})
    if name == "calendly":
        calendly = CalendlySandbox(now=clock, webhook_client=webhook_client)
        adviser = calendly.seed_adviser()
        await _subscribe(calendly, adviser.organization, hook)
        calendly.calls.clear()
        if worst:
            calendly.switches.update(
                {
                    "listing_lag_seconds": 20,
                    "taken_body": "start_time",
                    "window_limit_days": 7,
                    "cancel_with_reason": "refused",
                    "tracking_after_reschedule": "lost",
                    "webhooks": "twice",
                }
            )
        return CalendlySide(calendly, {story: adviser.event_types[title] for story, title in titles.items()})
    hapio, ids = await seeded_hapio(clock)
    return HapioSide(hapio, ids)


async def _subscribe(calendly: CalendlySandbox, organization: str, hook: str) -> None:
    headers = {"authorization": f"Bearer {calendly.token}"}
    transport = calendly.transport()
    async with httpx.AsyncClient(transport=transport, base_url="http://calendly.sandbox", headers=headers) as api:
        me = (await api.get("/users/me")).raise_for_status().json()["resource"]
        events: Sequence[str] = ("invitee.created", "invitee.canceled")
        body = {
            "url": hook,
            "events": events,
            "organization": me["current_organization"],
            "user": me["uri"],
            "scope": "user",
            "signing_key": WEBHOOK_SECRET,
        }
        (await api.post("/webhook_subscriptions", json=body)).raise_for_status()
