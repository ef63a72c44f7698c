"""Everything the Calendly sandbox remembers."""

import random
import string
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar

import httpx

from sandbox.calendly.control import Switches
from sandbox.calendly.records import (
    OFFICE_HOURS,
    BusyTime,
    Event,
    EventType,
    Grant,
    Invitee,
    NoShow,
    OAuthApp,
    Subscription,
    Token,
    Usage,
    User,
)
from sandbox.calendly.signing import RETRY_GAPS, TIMEOUT_SECONDS, Signer
from sandbox.deliveries import Deliveries, Delivery
from sandbox.faults import Call, Fault
from sandbox.growing import ByDay, Grouped
from sandbox.race_gate import RaceGate

T = TypeVar("T")

#: The scopes of which this product may need one (Calendly API v2, tokens).
ALL_SCOPES: Final = frozenset(
    {
        "availability:read",
        "event_types:read",
        "locations:read",
        "organizations:read",
        "scheduled_events:read",
        "scheduled_events:write",
        "scheduling_links:write",
        "users:read",
        "webhooks:read",
        "webhooks:write",
    }
)
CLIENT_ID: Final = "calendly-sandbox-client"
CLIENT_SECRET: Final = "calendly-sandbox-secret"
APP_SIGNING_KEY: Final = "calendly-sandbox-signing-key"


class State:
    """One organization at Calendly: its tables, tokens, switches, faults and calls."""

    def __init__(
        self,
        now: Callable[[], datetime],
        seed: int,
        token: str,
        *,
        api_url: str,
        site_url: str,
        webhook_client: httpx.AsyncClient | None,
    ) -> None:
        self.now = now
        self.api_url = api_url.rstrip("/")
        self.site_url = site_url.rstrip("/")
        self.switches = Switches()
        self.race_gate = RaceGate()
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self._seed = seed
        self._default_token = token
        self.users: dict[str, User] = {}
        self.event_types: dict[str, EventType] = {}
        self.events: dict[str, Event] = {}
        self.invitees: dict[str, Invitee] = {}
        self._by_day = ByDay(self.events, lambda one: one.start)
        self._of_event = Grouped(self.invitees, lambda one: one.event)
        self.no_shows: dict[str, NoShow] = {}
        self.busy_times: list[BusyTime] = []
        self.subscriptions: dict[str, Subscription] = {}
        self.scheduling_links: dict[str, str] = {}  # booking URL to event type id
        self.tokens: dict[str, Token] = {}
        self.apps: dict[str, OAuthApp] = {}
        self.codes: dict[str, Grant] = {}
        self.refresh_tokens: dict[str, Grant] = {}
        self.usage: defaultdict[str, Usage] = defaultdict(Usage)
        self.signer = Signer(self.switches)
        self.deliveries = Deliveries(
            now,
            webhook_client,
            self.signer.headers,
            gaps=RETRY_GAPS,
            timeout=TIMEOUT_SECONDS,
            gave_up=self._give_up,
            gone=self._forget,
        )
        self.clear()

    def clear(self) -> None:
        """Start over: one user with office hours, no event types, default switches, the same ids to come."""
        tables: list[dict[str, Any]] = [
            self.users,
            self.event_types,
            self.events,
            self.invitees,
            self.no_shows,
            self.subscriptions,
            self.scheduling_links,
            self.tokens,
            self.apps,
            self.codes,
            self.refresh_tokens,
            self.usage,
        ]
        for table in tables:
            table.clear()
        self._by_day.forget()
        self._of_event.forget()
        self.busy_times.clear()
        self.deliveries.clear()
        self.signer.forget()
        self.faults.clear()
        self.calls.clear()
        self.switches.reset()
        self.random = random.Random(self._seed)  # noqa: S311 - repeatable ids are the point
        now = self.now()
        self.organization = self.new_id()
        owner = User(
            id=self.new_id(),
            organization=self.organization,
            name="Morgan Hale",
            email="morgan@hale.example",
            slug="morgan-hale",
            timezone="America/New_York",
            role="owner",
            hours=OFFICE_HOURS,
            created_at=now,
            updated_at=now,
        )
        self.users[owner.id] = owner
        self.owner_id = owner.id
        self.tokens[self._default_token] = Token(self._default_token, owner.id, ALL_SCOPES)
        self.apps[CLIENT_ID] = OAuthApp(CLIENT_ID, CLIENT_SECRET, ALL_SCOPES, APP_SIGNING_KEY)

    @property
    def owner(self) -> User:
        """The first user, to whom the default token belongs."""
        return self.users[self.owner_id]

    def new_id(self) -> str:
        """Return a new id in the form of the documents' samples; seeded, so that a run repeats exactly."""
        return "".join(self.random.choice(string.ascii_uppercase + string.digits) for _ in range(16))

    def new_secret(self, length: int = 43) -> str:
        """Return a new code or token."""
        return "".join(self.random.choice(string.ascii_letters + string.digits) for _ in range(length))

    def uri(self, kind: str, id_: str) -> str:
        """Return the name that the API gives to an object."""
        return f"{self.api_url}/{kind}/{id_}"

    def invitee_uri(self, invitee: Invitee) -> str:
        """Return the name of an invitee, which contains that of its event."""
        return f"{self.uri('scheduled_events', invitee.event)}/invitees/{invitee.id}"

    def id_in(self, kind: str, uri: object) -> str | None:
        """Return the id in a URI of that kind, or None if it is no such URI."""
        prefix = f"{self.api_url}/{kind}/"
        if not isinstance(uri, str) or not uri.startswith(prefix):
            return None
        id_ = uri.removeprefix(prefix)
        return id_ if id_ and "/" not in id_ else None

    def invitees_of(self, event: Event) -> list[Invitee]:
        """Return all invitees of an event, cancelled ones too, oldest first."""
        return self._of_event.of(event.id)

    def events_around(self, low: datetime, high: datetime) -> list[Event]:
        """All that may meet this time, and others of the days around."""
        return self._by_day.around(low, high)

    def places_taken(self, event: Event) -> int:
        """Return how many invitees of an event still come."""
        return sum(1 for one in self.invitees_of(event) if one.cancellation is None)

    def no_show_of(self, invitee: Invitee) -> NoShow | None:
        """Return the mark of an invitee who did not come."""
        return next((one for one in self.no_shows.values() if one.invitee == invitee.id), None)

    def tick(self) -> None:
        """Do what a switch says about all subscriptions; called before anything is looked at."""
        if self.switches.webhooks == "disabled":
            for subscription in self.subscriptions.values():
                subscription.endpoint.on = False

    def _give_up(self, delivery: Delivery) -> None:
        """Disable the subscription whose delivery failed for 24 hours; nobody is told."""
        delivery.endpoint.on = False

    def _forget(self, delivery: Delivery) -> None:
        """Delete the subscription whose endpoint answered 410."""
        delivery.endpoint.on = False
        for id_, subscription in list(self.subscriptions.items()):
            if subscription.endpoint is delivery.endpoint:
                del self.subscriptions[id_]
