"""A strict, stateful stand-in for Calendly API v2, for tests and the demo. Imports nothing from the product.

What Calendly documents is done as documented; what it leaves open is a switch, or the strictest reading.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import httpx

from sandbox.calendly import acts, webhooks
from sandbox.calendly.app import create_app
from sandbox.calendly.bookings import Canceler
from sandbox.calendly.control import Switches
from sandbox.calendly.records import Hours, Json, Question, Role
from sandbox.calendly.render import event_json, event_type_json, invitee_json, user_json
from sandbox.calendly.seed import AdviserIds, seed_adviser
from sandbox.calendly.signing import SIGNATURE_HEADER, signature
from sandbox.calendly.state import ALL_SCOPES, APP_SIGNING_KEY, CLIENT_ID, CLIENT_SECRET, State
from sandbox.faults import BadControl, Call, ConnectionDropped, Fault, InProcess, RequestHangs

__all__ = [
    "ALL_SCOPES",
    "APP_SIGNING_KEY",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "SIGNATURE_HEADER",
    "AdviserIds",
    "BadControl",
    "CalendlySandbox",
    "Call",
    "ConnectionDropped",
    "Fault",
    "Question",
    "RequestHangs",
    "State",
    "Switches",
    "seed_adviser",
    "signature",
]

DELIVERY_POLL_SECONDS: Final = 0.25


class CalendlySandbox:
    """One organization at Calendly that lives in memory.

    `app` serves the API at its root paths, /oauth, the public pages below /site, and /_sandbox; `switches`, `faults`,
    `calls` and `state` are the live objects, and stay the same ones through `reset()`. The default `token` has every
    scope; `add_token` makes more. Objects are named by `api_url` wherever the sandbox is served; links for people
    begin with `site_url`, which must lead to /site for browsers to follow them.

    The acts of owners and strangers raise BadControl where Calendly's pages would not offer them. They name objects
    by id, URI or link, and return objects as the API shows them.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        seed: int = 0,
        token: str = "calendly-sandbox-token",  # noqa: S107 - published on purpose
        webhook_client: httpx.AsyncClient | None = None,
        api_url: str = "https://api.calendly.com",
        site_url: str = "https://calendly.com",
    ) -> None:
        """Start at `now` (aware UTC) with one user and no event types; the same `seed` gives the same ids.

        Webhooks go out through `webhook_client`; without one they stay in the queue.
        """
        self.token = token
        self.state = State(now, seed, token, api_url=api_url, site_url=site_url, webhook_client=webhook_client)
        self.switches: Switches = self.state.switches
        self.faults: list[Fault] = self.state.faults
        self.calls: list[Call] = self.state.calls
        self.app = create_app(self.state)

    def reset(self) -> None:
        """Become new again: no event types, events, faults or calls, default switches, the same ids to come."""
        self.state.clear()

    def seed_adviser(self) -> AdviserIds:
        """Make a believable adviser with three event types; once after a reset."""
        return seed_adviser(self.state)

    def transport(self) -> httpx.AsyncBaseTransport:
        """Return a transport for httpx clients in process; dropped and hanging calls are httpx errors there."""
        return InProcess(self.app)

    async def deliver_due(self) -> int:
        """Try each webhook delivery that is due by the clock once; return how many requests were made."""
        return await webhooks.deliver_due(self.state)

    async def run_deliveries(self) -> None:
        """Deliver for ever; over sockets this runs next to the server, and is ended by cancelling it."""
        while True:
            await self.deliver_due()
            await asyncio.sleep(DELIVERY_POLL_SECONDS)

    # Strangers

    def book(
        self,
        event_type: str,
        start: datetime,
        *,
        name: str = "Sam Rivers",
        email: str = "sam@rivers.example",
        tracking: Mapping[str, str] | None = None,
        answers: Mapping[str, str] | None = None,
    ) -> Json:
        """Book on Calendly's own page; return the invitee."""
        booked = acts.book(self.state, event_type, start, name=name, email=email, tracking=tracking, answers=answers)
        return invitee_json(self.state, booked)

    def cancel_as_invitee(self, invitee: str, *, reason: str | None = None) -> Json:
        """Cancel by the link in Calendly's mail; return the invitee."""
        return invitee_json(self.state, acts.cancel_as_invitee(self.state, invitee, reason))

    def reschedule(self, invitee: str, start: datetime, *, by: Canceler = "invitee") -> Json:
        """Move by the link in Calendly's mail; return the new invitee."""
        return invitee_json(self.state, acts.reschedule(self.state, invitee, start, by=by))

    # Owners

    def cancel_as_host(self, event: str, *, reason: str | None = None) -> Json:
        """Cancel on Calendly's page as the host; return the event."""
        return event_json(self.state, acts.cancel_as_host(self.state, event, reason))

    def add_event_type(self, name: str, duration: int, *, hosts: Sequence[str] = (), **settings: Any) -> Json:
        """Make an event type of `duration` minutes; `settings` are the fields of sandbox.calendly.records.EventType."""
        made = acts.add_event_type(self.state, hosts=hosts, name=name, duration=duration, **settings)
        return event_type_json(self.state, made)

    def change_event_type(self, event_type: str, **changes: Any) -> Json:
        """Change settings: `active`, `custom_questions`, `locations`, `before_buffer` and so on."""
        return event_type_json(self.state, acts.change_event_type(self.state, event_type, **changes))

    def delete_event_type(self, event_type: str) -> Json:
        """Delete an event type; its events stay."""
        return event_type_json(self.state, acts.delete_event_type(self.state, event_type))

    def change_questions(self, event_type: str, questions: Sequence[Question | Mapping[str, Any]]) -> Json:
        """Ask other questions at booking."""
        return self.change_event_type(event_type, custom_questions=questions)

    def add_user(self, name: str, email: str, *, role: Role = "user", timezone: str = "America/New_York") -> Json:
        """Take a colleague into the organization."""
        return user_json(self.state, acts.add_user(self.state, name, email, role=role, timezone=timezone))

    def change_hours(self, hours: Hours, *, user: str | None = None) -> None:
        """Change working hours, the owner's if no user is named: weekday to spans of wall time."""
        acts.change_hours(self.state, user or self.state.owner_id, hours)

    def block_time(self, start: datetime, end: datetime, *, user: str | None = None) -> None:
        """Put an entry into a connected calendar, the owner's if no user is named."""
        acts.block_time(self.state, start, end, user=user)

    # Tokens

    def add_token(
        self, token: str, scopes: Sequence[str] = tuple(sorted(ALL_SCOPES)), *, user: str | None = None
    ) -> None:
        """Make a personal access token, for the owner if no user is named."""
        acts.add_token(self.state, token, scopes, user=user)

    def set_scopes(self, scopes: Sequence[str], *, token: str | None = None) -> None:
        """Give a token, the default one if none is named, exactly these scopes."""
        acts.set_scopes(self.state, token or self.token, scopes)

    def revoke_token(self, token: str | None = None) -> None:
        """Revoke an access token, the default one if none is named."""
        acts.revoke_token(self.state, token or self.token)

    def expire_token(self, token: str | None = None) -> None:
        """Let an access token expire now, the default one if none is named."""
        acts.expire_token(self.state, token or self.token)
