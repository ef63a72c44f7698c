"""CalendlyClient: the calls to Calendly's API v2.

Facts about Calendly are cited as in `translation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from app.scheduling.calendly.dialect import CalendlyDialect
from app.scheduling.calendly.tokens import Access
from app.scheduling.calendly.translation import (
    Account,
    EventType,
    Invitee,
    Page,
    Subscription,
    id_in_path,
    read_account,
    read_event,
    read_event_type,
    read_event_types,
    read_events,
    read_invitee,
    read_invitees,
    read_subscriptions,
    read_times,
    timestamp,
)
from app.scheduling.connection import ClientOptions, Connection
from app.scheduling.port import SchedulerBooking, SchedulerCall

T = TypeVar("T")

#: The largest page (Calendly API v2, pagination).
PAGE_SIZE = 100
_CREATE = "createInvitee"


def _uncounted() -> None:
    pass


class CalendlyClient:
    """The only way to Calendly. Every method raises the errors that the port names.

    `on_create` is called for every request that tries to book: refused ones may count against the day's bookings, too.
    `provider` is the name of the account in logs.
    """

    def __init__(
        self,
        options: ClientOptions,
        *,
        access: Access,
        on_create: Callable[[], None] = _uncounted,
        provider: str = "calendly",
    ) -> None:
        def hear(call: SchedulerCall) -> None:
            options.on_call(call)
            if call.operation == _CREATE:
                on_create()

        self.connection = Connection(
            CalendlyDialect(provider),
            replace(options, on_call=hear),
            authorize=access.headers,
            renew=access.renew,
        )
        self._access = access
        self._known: Account | None = None

    async def aclose(self) -> None:
        """Close the connections."""
        await self.connection.aclose()
        await self._access.aclose()

    async def account(self) -> Account:
        """Whose account it is, as last read. It stays the same until another one is connected."""
        if self._known and await self._access.account() in {"", self._known.uri}:
            return self._known
        return await self.read_account()

    async def read_account(self) -> Account:
        """The same, read again, for the name and the zone may change."""
        self._known = await self.connection.call("getCurrentUser", "GET", "/users/me", read_account)
        return self._known

    async def event_types(self) -> list[EventType]:
        """All active event types of the user."""
        params = {"user": (await self.account()).uri, "active": "true"}
        return await self._pages("listEventTypes", "/event_types", read_event_types, params)

    async def event_type(self, event_type_id: str) -> EventType:
        """One event type, a deleted one too."""
        path = f"/event_types/{id_in_path(event_type_id)}"
        return await self.connection.call("getEventType", "GET", path, read_event_type)

    async def available_times(self, event_type: EventType, starts_from: datetime, ends_to: datetime) -> list[datetime]:
        """The starts of an event type in an interval that must lie ahead, and be no longer than Calendly allows."""
        params = {
            "event_type": event_type.uri,
            "start_time": timestamp(starts_from),
            "end_time": timestamp(ends_to),
        }
        path = "/event_type_available_times"
        page = await self.connection.call("listAvailableTimes", "GET", path, read_times, params=params)
        return list(page.items)

    async def create_invitee(self, order: Mapping[str, Any]) -> Invitee:
        """Book, which makes an event with one invitee and sends Calendly's mails. Not repeated where the outcome is
        unknown: there is no idempotency key (Calendly API v2)."""
        return await self.connection.call(_CREATE, "POST", "/invitees", read_invitee, json=order, repeatable=False)

    async def events(
        self, *, after: datetime, before: datetime | None = None, email: str = ""
    ) -> list[SchedulerBooking]:
        """The user's events that start after a moment, and before another, of one invitee or of all, cancelled ones
        too; what only an invitee tells is left out. Events are listed by their start alone (Calendly API v2)."""
        params = {
            "user": (await self.account()).uri,
            "min_start_time": timestamp(after),
            **({"max_start_time": timestamp(before)} if before else {}),
            **({"invitee_email": email} if email else {}),
            "sort": "start_time:asc",
        }
        return await self._pages("listScheduledEvents", "/scheduled_events", read_events, params)

    async def event(self, event_id: str) -> SchedulerBooking:
        """One event, without what only an invitee tells."""
        return await self.connection.call("getScheduledEvent", "GET", _event_path(event_id), read_event)

    async def invitees(self, event_id: str) -> list[Invitee]:
        """The invitees of an event, cancelled ones too, oldest first."""
        params = {"sort": "created_at:asc"}
        return await self._pages("listInvitees", f"{_event_path(event_id)}/invitees", read_invitees, params)

    async def cancel(self, event_id: str, *, reason: str = "") -> None:
        """Cancel an event as its host; Calendly tells the customer, with the reason."""
        path = f"{_event_path(event_id)}/cancellation"
        json = {"reason": reason} if reason else {}
        await self.connection.call("cancelEvent", "POST", path, lambda _content: None, json=json)

    # -- webhooks --------------------------------------------------------------------------------------------

    async def subscriptions(self) -> list[Subscription]:
        """The webhook subscriptions of the user's own."""
        return await self._pages("listSubscriptions", "/webhook_subscriptions", read_subscriptions, await self._mine())

    async def subscribe(self, url: str, events: Sequence[str], *, signing_key: str = "") -> None:
        """Let Calendly tell an address of these events. What an OAuth app subscribes is signed with the app's own key,
        the rest with the one that is given (Calendly API v2, webhooks). SchedulerError with 409: the address is
        subscribed already."""
        json = {"url": url, "events": list(events), **await self._mine()}
        if signing_key:
            json["signing_key"] = signing_key
        await self.connection.call(
            "subscribe", "POST", "/webhook_subscriptions", lambda _content: None, json=json, repeatable=False
        )

    async def unsubscribe(self, subscription_id: str) -> None:
        """End a subscription; SchedulerNotFound where there is none."""
        path = f"/webhook_subscriptions/{id_in_path(subscription_id)}"
        await self.connection.call("unsubscribe", "DELETE", path, lambda _content: None)

    async def _mine(self) -> dict[str, str]:
        account = await self.account()
        return {"user": account.uri, "organization": account.organization, "scope": "user"}

    async def _pages(
        self, operation: str, path: str, read: Callable[[bytes], Page[T]], params: Mapping[str, str]
    ) -> list[T]:
        """A list with all its pages."""
        items: list[T] = []
        token: str | None = None
        while True:
            query = {**params, "count": str(PAGE_SIZE), **({"page_token": token} if token else {})}
            page = await self.connection.call(operation, "GET", path, read, params=query)
            items += page.items
            token = page.next_token
            if not token or not page.items:
                return items


def _event_path(event_id: str) -> str:
    return f"/scheduled_events/{id_in_path(event_id)}"
