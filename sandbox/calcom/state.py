"""Everything the Cal.com sandbox remembers. Records are frozen: a change stores a new record under the same id.

Times are aware UTC, to the millisecond.
"""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sandbox.calcom.control import Switches
from sandbox.calcom.limits import Limiter
from sandbox.calcom.times import zone_info
from sandbox.deliveries import Deliveries, Endpoint
from sandbox.faults import BadControl, Call, Fault
from sandbox.growing import ByDay, Grouped
from sandbox.race_gate import RaceGate

Json = dict[str, Any]
Status = Literal["accepted", "pending", "cancelled", "rejected"]

OFFICE_HOURS: Final[Json] = {
    "days": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"],
    "startTime": "09:00",
    "endTime": "17:00",
}


@dataclass(frozen=True)
class Account:
    """A person who signs up at Cal.com; the API cannot make one."""

    username: str
    name: str
    email: str
    time_zone: str


COACH: Final = Account("maya-collins", "Maya Collins", "maya@collins-coaching.example", "Europe/London")


@dataclass(frozen=True)
class User:
    """An account with its id; a host of what it owns."""

    id: int
    username: str
    name: str
    email: str
    time_zone: str
    default_schedule_id: int | None

    @property
    def zone(self) -> ZoneInfo:
        """The user's own zone."""
        return zone_info(self.time_zone)


@dataclass(frozen=True)
class Key:
    """Whose an API key is and when it ends (None: never)."""

    user_id: int
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Schedule:
    """Working hours; `availability` and `overrides` as the API has them, in wall time of the zone."""

    id: int
    owner_id: int
    name: str
    time_zone: str
    availability: list[Json]
    overrides: list[Json]

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which the hours are read."""
        return zone_info(self.time_zone)


@dataclass(frozen=True)
class EventType:
    """What can be booked. `fields` are the settings as the API has them, complete with their defaults.

    `price` (minor units) is above 0 while the owner has a payment app on it. A managed parent is a team's template.
    """

    id: int
    owner_id: int
    fields: Json
    price: int = 0
    currency: str = "usd"
    managed_parent: bool = False

    @property
    def slug(self) -> str:
        """Unique among the owner's types."""
        return str(self.fields["slug"])

    @property
    def minutes(self) -> int:
        """How long a booking is, unless the type offers several lengths."""
        return int(self.fields["lengthInMinutes"])

    @property
    def lengths(self) -> list[int]:
        """The lengths to choose from, in minutes; empty where there is no choice."""
        return list(self.fields["lengthInMinutesOptions"] or [])

    @property
    def before(self) -> timedelta:
        """The buffer before a booking."""
        return timedelta(minutes=self.fields["beforeEventBuffer"])

    @property
    def after(self) -> timedelta:
        """The buffer after a booking."""
        return timedelta(minutes=self.fields["afterEventBuffer"])

    @property
    def seats(self) -> int | None:
        """How many may share a time; None where one booking takes it."""
        return self.setting("seats").get("seatsPerTimeSlot")

    def setting(self, name: str) -> Json:
        """A setting that can be disabled; empty where it is."""
        value = self.fields.get(name) or {}
        return {} if value.get("disabled") is True else value

    def needs_confirmation(self, start: datetime, now: datetime) -> bool:
        """Whether a booking of that start waits for the owner's yes."""
        policy = self.setting("confirmationPolicy")
        if policy.get("type") != "time":
            return bool(policy)
        threshold = policy["noticeThreshold"]
        return start - now < timedelta(**{threshold["unit"]: threshold["count"]})


@dataclass(frozen=True)
class Reservation:
    """A time that is hidden from the host's slots until `until`."""

    uid: str
    event_type_id: int
    host_id: int
    start: datetime
    end: datetime
    until: datetime


@dataclass(frozen=True)
class Attendee:
    """Who comes. `seat_uid` is set where the type has seats."""

    name: str
    email: str
    time_zone: str
    language: str = "en"
    phone: str | None = None
    absent: bool = False
    seat_uid: str | None = None


@dataclass(frozen=True)
class Booking:
    """A booking in any state. `unique` is set on what was created as accepted: the database lets no twin in."""

    id: int
    uid: str
    event_type_id: int | None
    host_id: int
    title: str
    status: Status
    start: datetime
    end: datetime
    attendees: list[Attendee]
    guests: list[str]
    responses: Json
    metadata: Json
    location: str
    created_at: datetime
    updated_at: datetime
    unique: bool
    paid: bool = False
    price: int = 0
    currency: str = "usd"
    ics_uid: str = ""
    sequence: int = 0
    cancellation_reason: str | None = None
    cancelled_by: str | None = None
    rescheduling_reason: str | None = None
    rescheduled: bool = False
    rejection_reason: str | None = None
    rescheduled_by: str | None = None
    from_uid: str | None = None
    absent_host: bool = False
    seated: bool = False

    @property
    def minutes(self) -> int:
        """How long it is."""
        return int((self.end - self.start).total_seconds() // 60)

    @property
    def active(self) -> bool:
        """Whether it still stands for a time: accepted or waiting."""
        return self.status in ("accepted", "pending")


@dataclass(frozen=True)
class Webhook:
    """A subscription of a user, or of one of the user's event types. `endpoint` holds its address and secret."""

    id: str
    owner_id: int
    event_type_id: int | None
    triggers: list[str]
    active: bool
    payload_template: str | None
    version: str
    endpoint: Endpoint


@dataclass(frozen=True)
class Block:
    """An entry in the host's own calendar."""

    id: int
    host_id: int
    start: datetime
    end: datetime


class State:
    """One Cal.com installation with an owner, and the other users who were added."""

    def __init__(
        self, now: Callable[[], datetime], seed: int, token: str, account: Account, deliveries: Deliveries
    ) -> None:
        """Begin with the owner alone."""
        self.now = now
        self.token = token
        self.deliveries = deliveries
        self.switches = Switches()
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.limiter = Limiter()
        self.users: dict[int, User] = {}
        self.keys: dict[str, Key] = {}
        self.schedules: dict[int, Schedule] = {}
        self.event_types: dict[int, EventType] = {}
        self.reservations: dict[str, Reservation] = {}
        self.bookings: dict[str, Booking] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.blocks: dict[int, Block] = {}
        self.blocked_emails: set[str] = set()
        self._by_day = ByDay(self.bookings, lambda one: one.start)
        self._moved_from = Grouped(self.bookings, lambda one: one.from_uid)
        self._history: list[tuple[datetime, Booking]] = []
        self._seed = seed
        self._account = account
        self.clear()

    def clear(self) -> None:
        """Become new again: the owner with office hours, nothing else; the same ids to come."""
        tables: list[dict[Any, Any] | set[str]] = [
            self.users,
            self.keys,
            self.schedules,
            self.event_types,
            self.reservations,
            self.bookings,
            self.webhooks,
            self.blocks,
            self.blocked_emails,
        ]
        for table in tables:
            table.clear()
        for log in (self.faults, self.calls, self.deliveries, self._history):
            log.clear()
        self._by_day.forget()
        self._moved_from.forget()
        self.switches.reset()
        self.limiter.clear()
        self.booking_gate = RaceGate()
        self.reservation_gate = RaceGate()
        self._random = random.Random(self._seed)  # noqa: S311 - repeatable ids are the point
        # A stream of its own, so that one request more does not change the ids of what comes after it.
        self._request_ids = random.Random(f"requests {self._seed}")  # noqa: S311 - as above
        self._last_id = 4100
        self.owner_id = self.add_user(self._account, self.token).id

    def add_user(self, account: Account, token: str) -> User:
        """Sign someone up, with office hours as the default schedule and `token` as the API key."""
        if any(user.username == account.username for user in self.users.values()):
            raise BadControl(f"there is a user {account.username!r} already")
        user = User(self.new_number(), account.username, account.name, account.email, account.time_zone, None)
        hours = Schedule(self.new_number(), user.id, "Working hours", user.time_zone, [OFFICE_HOURS], [])
        self.schedules[hours.id] = hours
        self.users[user.id] = replace(user, default_schedule_id=hours.id)
        self.keys[token] = Key(user.id)
        return self.users[user.id]

    @property
    def owner(self) -> User:
        """The user whose key the sandbox was made with."""
        return self.users[self.owner_id]

    def stamp(self) -> datetime:
        """The time as the database keeps it: UTC, milliseconds."""
        now = self.now().astimezone(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def new_number(self) -> int:
        """The next id of a row."""
        self._last_id += 1
        return self._last_id

    def new_uuid(self) -> str:
        """The next UUID of this seed."""
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def new_request_id(self) -> str:
        """An id for one answer."""
        return str(UUID(int=self._request_ids.getrandbits(128), version=4))

    def new_uid(self) -> str:
        """The next short uid of a booking."""
        letters = string.ascii_letters + string.digits
        return "".join(self._random.choice(letters) for _ in range(22))

    def put(self, booking: Booking) -> Booking:
        """Store a booking, new or changed, and return it."""
        self.bookings[booking.uid] = booking
        self._history.append((self.stamp(), booking))
        return booking

    def change(self, booking: Booking, **changes: Any) -> Booking:
        """Store a changed booking with a new `updated_at`, and return it."""
        return self.put(replace(booking, **changes, updated_at=self.stamp()))

    def replica(self) -> list[Booking]:
        """The bookings as the list sees them: behind by the switched lag, oldest first."""
        until = self.stamp() - timedelta(seconds=self.switches.list_lag_seconds)
        seen: dict[str, Booking] = {booking.uid: booking for at, booking in self._history if at <= until}
        return sorted(seen.values(), key=lambda booking: booking.id)

    def successor(self, booking: Booking) -> Booking | None:
        """The booking that a moved one became."""
        return next(iter(self._moved_from.of(booking.uid)), None)

    def bookings_around(self, low: datetime, high: datetime) -> list[Booking]:
        """All that may meet this time, and others of the days around."""
        return self._by_day.around(low, high)

    def type_of(self, booking: Booking) -> EventType | None:
        """The booking's event type; None when it was deleted."""
        return self.event_types.get(booking.event_type_id or 0)

    def key_of(self, token: str) -> Key | None:
        """The key that is valid now."""
        key = self.keys.get(token)
        return None if key is None or (key.expires_at is not None and key.expires_at <= self.now()) else key
