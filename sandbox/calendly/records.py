"""What an organization at Calendly has: people, event types, events, invitees, subscriptions, tokens.

Records are frozen: a change stores a new record under the same id, so that a failed request leaves nothing behind.
Times are aware UTC, lengths are minutes where Calendly says minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from sandbox.deliveries import Endpoint

Json = dict[str, Any]
Interval = tuple[datetime, datetime]

#: Weekday to spans of wall time, as ("09:00", "17:00").
Hours = Mapping[str, tuple[tuple[str, str], ...]]

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
OFFICE_HOURS: Final[Hours] = dict.fromkeys(WEEKDAYS[:5], (("09:00", "17:00"),))

TRACKING_KEYS: Final = ("utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term", "salesforce_uuid")

#: Kinds of location that have a link of their own.
CONFERENCES: Final = frozenset(
    {"google_conference", "gotomeeting", "microsoft_teams_conference", "webex_conference", "zoom_conference"}
)
#: Kinds for which the host's setting asks the invitee for a text.
ASKING_KINDS: Final = frozenset({"ask_invitee", "outbound_call"})
LOCATION_KINDS: Final = CONFERENCES | ASKING_KINDS | {"custom", "physical", "inbound_call"}

SubscriptionScope = Literal["user", "organization"]
Role = Literal["owner", "admin", "user"]
QuestionType = Literal["string", "text", "phone_number", "single_select", "multi_select"]


@dataclass(frozen=True)
class User:
    """A member of an organization. `hours` are the default schedule, in wall time of `timezone`."""

    id: str
    organization: str
    name: str
    email: str
    slug: str
    timezone: str
    role: Role
    hours: Hours
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Question:
    """One custom question of an event type."""

    name: str
    type: QuestionType = "string"
    position: int = 0
    enabled: bool = True
    required: bool = False
    answer_choices: tuple[str, ...] = ()
    include_other: bool = False


@dataclass(frozen=True)
class EventType:
    """What can be booked. The first of `hosts` owns it.

    `invitee_limit`, `notice`, `days_ahead`, `name_form` and `collects_payment` are settings of the web interface that
    the API does not show.
    """

    id: str
    hosts: tuple[str, ...]
    name: str
    slug: str
    duration: int
    created_at: datetime
    updated_at: datetime
    active: bool = True
    kind: Literal["solo", "group"] = "solo"
    pooling_type: Literal["round_robin", "collective"] | None = None
    booking_method: Literal["instant", "poll"] = "instant"
    description_plain: str | None = None
    internal_note: str | None = None
    locations: tuple[Json, ...] = ()
    custom_questions: tuple[Question, ...] = ()
    start_time_increment: int = 30
    before_buffer: int = 0
    after_buffer: int = 0
    secret: bool = False
    deleted_at: datetime | None = None
    invitee_limit: int = 1
    notice: timedelta = timedelta(0)
    days_ahead: int = 60
    name_form: Literal["single", "split"] = "single"
    collects_payment: bool = False

    def buffered(self, start: datetime) -> Interval:
        """Return the time that an event of this type takes from its hosts, buffers included."""
        end = start + timedelta(minutes=self.duration)
        return start - timedelta(minutes=self.before_buffer), end + timedelta(minutes=self.after_buffer)


@dataclass(frozen=True)
class Cancellation:
    """Who took an event or an invitee off the calendar, and why."""

    canceled_by: str
    reason: str | None
    canceler_type: Literal["host", "invitee"]
    created_at: datetime


@dataclass(frozen=True)
class Event:
    """A meeting on its hosts' calendars; `buffered` is the time that it takes from them."""

    id: str
    event_type: str
    hosts: tuple[str, ...]
    name: str
    start: datetime
    end: datetime
    buffered: Interval
    invitee_limit: int
    location: Json | None
    created_at: datetime
    updated_at: datetime
    guests: tuple[tuple[str, datetime], ...] = ()
    cancellation: Cancellation | None = None

    @property
    def status(self) -> str:
        """Whether it takes place."""
        return "canceled" if self.cancellation else "active"


@dataclass(frozen=True)
class Invitee:
    """A customer's place in an event."""

    id: str
    event: str
    email: str
    name: str
    first_name: str | None
    last_name: str | None
    timezone: str
    tracking: Json
    created_at: datetime
    updated_at: datetime
    answers: tuple[Json, ...] = ()
    text_reminder_number: str | None = None
    old_invitee: str | None = None
    new_invitee: str | None = None
    cancellation: Cancellation | None = None

    @property
    def status(self) -> str:
        """Whether this customer comes."""
        return "canceled" if self.cancellation else "active"


@dataclass(frozen=True)
class NoShow:
    """The mark that an invitee did not come."""

    id: str
    invitee: str
    created_at: datetime


@dataclass(frozen=True)
class BusyTime:
    """An entry in a user's connected calendar, which Calendly did not make."""

    user: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Subscription:
    """A webhook subscription; `endpoint.secret` is its signing key, empty for none."""

    id: str
    endpoint: Endpoint
    events: tuple[str, ...]
    scope: SubscriptionScope
    organization: str
    user: str | None
    creator: str
    created_at: datetime
    updated_at: datetime
    retry_started_at: datetime | None = None


@dataclass(frozen=True)
class Token:
    """An access token; `app` is the client id of the OAuth app that it was given to, None for a personal token."""

    value: str
    user: str
    scopes: frozenset[str]
    expires_at: datetime | None = None
    revoked: bool = False
    app: str | None = None

    def allows(self, scope: str) -> bool:
        """Tell whether it has a scope; the one that writes includes the one that reads."""
        return scope in self.scopes or scope.replace(":read", ":write") in self.scopes


@dataclass(frozen=True)
class OAuthApp:
    """An OAuth app. Without `redirect_uris` it takes any on https or loopback, as a sandbox app of Calendly does."""

    client_id: str
    client_secret: str
    scopes: frozenset[str]
    signing_key: str
    redirect_uris: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grant:
    """A user's consent on its way to a token: an authorization code, or a refresh token."""

    app: str
    user: str
    scopes: frozenset[str]
    redirect_uri: str = ""
    challenge: str = ""
    expires_at: datetime | None = None


@dataclass
class Usage:
    """What one user has used up: calls in the running minute, and the moments of creates and of token requests."""

    minute_started_at: datetime | None = None
    calls: int = 0
    creates: list[datetime] = field(default_factory=list)
    token_requests: list[datetime] = field(default_factory=list)
