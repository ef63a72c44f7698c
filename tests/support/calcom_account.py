"""What the tests of the Cal.com sandbox share: webhook receivers, other users, and shorthands."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response

from sandbox.calcom import Account
from tests.contract.calcom_fixtures import Coach, Json

FRIDAY = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
CONFIRMED_BY_HAND: Json = {"type": "always", "blockUnconfirmedBookingsInBooker": False}
SECRET = "a secret of thirty-two characters"
OTTO = Account("otto", "Otto Other", "otto@example.test", "Europe/Berlin")


@dataclass
class Receiver:
    """Where webhooks arrive; answers with `status`."""

    status: int = 200
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.got.append((dict(request.headers), await request.body()))
        self.arrived.set()
        headers = {"location": "/elsewhere"} if self.status == 302 else {}
        await Response(status_code=self.status, headers=headers)(scope, receive, send)

    @property
    def events(self) -> list[Json]:
        """The bodies, in the order in which they came."""
        return [json.loads(body) for _, body in self.got]

    @property
    def triggers(self) -> list[str]:
        """What was told, in the order in which it came."""
        return [event["triggerEvent"] for event in self.events]


async def subscribe(coach: Coach, **more: Any) -> Json:
    """Ask for everything that happens to bookings."""
    triggers = (
        "CREATED",
        "RESCHEDULED",
        "REQUESTED",
        "CANCELLED",
        "REJECTED",
        "NO_SHOW_UPDATED",
        "PAYMENT_INITIATED",
        "PAID",
    )
    body: Json = {"subscriberUrl": "http://us.test/hook", "secret": SECRET}
    return await coach.webhook(**body | {"triggers": [f"BOOKING_{what}" for what in triggers]} | more)


def instant(coach: Coach, wall: str) -> datetime:
    """A wall time of the open day."""
    return datetime.fromisoformat(coach.at(wall))


def message(response: httpx.Response) -> str:
    """What a refusal says."""
    return str(response.json()["error"]["message"])
