"""A strict, stateful stand-in for Cal.com's API v2, for tests and the demo. Imports nothing from the product.

What is known of Cal.com is done as known; what is not, or what differs between versions, is a switch, or the strictest
reading.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import httpx

from sandbox.calcom.acts import Acts
from sandbox.calcom.app import create_app
from sandbox.calcom.control import Switches
from sandbox.calcom.desk import desk_routes
from sandbox.calcom.events import TIMEOUT_SECONDS, sign
from sandbox.calcom.state import COACH, Account, Booking, State, User
from sandbox.deliveries import Deliveries
from sandbox.faults import BadControl, Call, ConnectionDropped, Fault, InProcess, RequestHangs

__all__ = [
    "COACH",
    "Account",
    "BadControl",
    "Booking",
    "CalcomSandbox",
    "Call",
    "ConnectionDropped",
    "Fault",
    "RequestHangs",
    "Switches",
]

DELIVERY_POLL_SECONDS: Final = 0.25


class CalcomSandbox(Acts):
    """One Cal.com installation that lives in memory, with an owner's account and API key.

    `app` serves /v2 and /_sandbox; `switches`, `faults`, `calls` and `state` are the live objects, and stay the same
    ones through `reset()`. What owners, attendees and strangers do outside of the API are methods: see `Acts`.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        seed: int = 0,
        token: str = "cal_sandbox",  # noqa: S107 - published on purpose
        owner: Account = COACH,
        webhook_client: httpx.AsyncClient | None = None,
    ) -> None:
        """Start at `now` (aware) with an owner who works office hours and sells nothing yet.

        The same `seed` gives the same ids in the same order of requests. Webhooks go through `webhook_client`; without
        one they wait, and can be looked at in `state.deliveries.queue`.
        """
        self.token = token
        deliveries = Deliveries(now, webhook_client, sign, timeout=TIMEOUT_SECONDS)
        self.state = State(now, seed, token, owner, deliveries)
        self.switches: Switches = self.state.switches
        self.faults: list[Fault] = self.state.faults
        self.calls: list[Call] = self.state.calls
        super().__init__(self.state)
        self.app = create_app(self.state, desk_routes(self.state, self, self.deliver_due))

    @property
    def owner(self) -> User:
        """The account that the default token belongs to."""
        return self.state.owner

    def add_user(self, account: Account, token: str) -> User:
        """Sign up someone else, with office hours and an API key: another host, or a stranger with a key."""
        return self.state.add_user(account, token)

    def reset(self) -> None:
        """Become new again: the owner alone, no faults or calls, default switches, the same ids to come."""
        self.state.clear()

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return a transport for httpx clients in process; dropped and hanging calls are httpx errors there."""
        return InProcess(self.app)

    async def deliver_due(self) -> int:
        """Try each webhook that is due by the clock, once and for all; return how many requests were made."""
        return await self.state.deliveries.deliver_due(self.switches.webhook_delivery)

    async def run_deliveries(self) -> None:
        """Deliver for ever; over sockets this runs next to the server, and is ended by cancelling it."""
        while True:
            await self.deliver_due()
            await asyncio.sleep(DELIVERY_POLL_SECONDS)
