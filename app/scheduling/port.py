"""Schedulers as everything else sees them: what may be asked of one, what it answers, and how they differ.

A scheduler keeps the owner's calendar: places, services, people, hours and bookings. Each has a folder of its own here;
only `app.main`, the set-up check and what connects owners' accounts import that. The acts know which one they talk to
by its traits alone.

Times are aware datetimes, answers are in UTC; prices are in major units without a currency, which is the widget's to
say. Every call raises `app.errors.SchedulerError` or one below it:

    SchedulerDown           nothing was sent, since the scheduler has failed repeatedly
    SchedulerRateLimited    nothing was done; `retry_after` says when to come back
    SchedulerUnreachable    no answer: whether the call took effect is unknown
    SchedulerFailed         an answer that cannot be used: whether the call took effect is unknown
    SchedulerUnauthorized, SchedulerForbidden    the credentials are wrong, or allow too little
    SchedulerNotFound       no such object
    SchedulerRefused        the time is taken or cannot be booked, and nothing was changed
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from app.domain.booking import Actor, Customer
from app.domain.catalogue import Location, Resource, Slot
from app.scheduling.arrangement import Arrangement, Part, Plan, Step


class LockKind(StrEnum):
    """What a lock at the scheduler is worth."""

    #: Nobody else can book the time.
    BINDING = "binding"
    #: The scheduler does not offer the time to others, but books it for anyone who asks all the same.
    COURTESY = "courtesy"
    #: The scheduler has no locks: the time is ours from the confirmation on.
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Traits:
    """How a scheduler differs from the others, as far as it matters outside its folder.

    `lock`: what a lock is worth; where it does not bind, a confirmation may find the time taken after the payment.
    `keeps_metadata`: what goes with a booking can be changed later, so a customer can be forgotten there.
    `mails_customer`: it sends customers mails of its own, with its own links to cancel and move.
    `prices`: its services have prices; where they have none, `widgets.toml` must name each.
    `arranges`: what of it can be set up through its API; the rest the owner does there.
    `subscribes`: that it tells us of changes can be set up there, too.
    `own_pages`: where owners set there what we cannot, empty where that address is not known.
    `any_time`: it books a time that it does not offer, off the hours, the grid and the notice, if the owner asks.
    """

    lock: LockKind
    keeps_metadata: bool
    mails_customer: bool
    prices: bool
    arranges: frozenset[Part]
    subscribes: bool
    any_time: bool
    own_pages: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A time that is asked for, under our tag: a booking's or a move's id, by which it is found again. `any_time`: the
    owner wants it although it is not offered; only of schedulers with that trait, and nobody is booked over for it."""

    tag: str
    service_id: str
    location_id: str
    resource_id: str
    starts_at: datetime
    ends_at: datetime
    buffer_starts_at: datetime
    buffer_ends_at: datetime
    any_time: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """Who comes, and what goes with the booking: `metadata` is the whole of it, our tag (`holdfast_id`) included.
    `time_zone` and `language` are the visitor's."""

    customer: Customer | None
    time_zone: str
    language: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SchedulerService:
    """A service as the scheduler has it. `duration` is None where a visitor would have to choose it: such a service
    cannot be offered. `price` is None where the scheduler has none. `booking_window_start` is how long before its
    start a time can be booked at the latest, `booking_window_end` at the earliest; None without such a bound.
    `metadata` is what the owner has noted on it. `page` is where the scheduler itself lets visitors book it, None where
    it has no such page."""

    id: str
    name: str
    duration: timedelta | None
    price: Decimal | None = None
    buffer_before: timedelta = timedelta()
    buffer_after: timedelta = timedelta()
    booking_window_start: timedelta | None = None
    booking_window_end: timedelta | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    page: str | None = None


@dataclass(frozen=True, slots=True)
class SchedulerBooking:
    """A booking as the scheduler has it. The ids are None, and the names and the zone empty, once their objects were
    deleted. `is_temporary` says that it only locks the time. `metadata` carries our tag under `holdfast_id`, if the
    booking is one of ours and the scheduler tells so here, and the values that went with it. `name` and `email` are the
    customer's, empty where the scheduler does not tell them here.

    `canceled_by` is who cancelled it there, None where that is not known. `successor` is the id of the booking that has
    taken its place, where a move there makes a new one; it is cancelled then. `asked_twice`: an earlier call for it was
    never answered, and may make a second one yet.
    """

    id: str
    service_id: str | None
    resource_id: str | None
    location_id: str | None
    starts_at: datetime
    ends_at: datetime
    buffer_starts_at: datetime
    buffer_ends_at: datetime
    price: Decimal | None
    is_temporary: bool
    is_canceled: bool
    created_at: datetime
    metadata: Mapping[str, Any] = field(default_factory=dict)
    service_name: str = ""
    resource_name: str = ""
    location_name: str = ""
    time_zone: str = ""
    name: str = ""
    email: str = ""
    canceled_by: Actor | None = None
    successor: str | None = None
    asked_twice: bool = False


@dataclass(frozen=True, slots=True)
class SchedulerLock:
    """A locked time: what to confirm or release it by, and the price that the scheduler asks for it, None where it has
    none. Where the scheduler holds nothing, `reference` is of its adapter's making."""

    reference: str
    price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class SchedulerCall:
    """One request that was sent. `status` is None when no answer came; `seconds` is how long it took."""

    at: datetime
    operation: str
    status: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class SchedulerNotice:
    """What a webhook may be about, a hint to look and no more.

    `id` tells deliveries apart, `type` is the scheduler's own word. `ids` are all ids in it, of whatever; `moments` are
    the starts and ends that it names; `bookings` are those that it tells of as they stand now, by their ids. `deletes`:
    it is about something that was deleted, which it may still tell of as it was.
    """

    id: str
    type: str
    ids: tuple[str, ...]
    moments: tuple[datetime, ...]
    bookings: Mapping[str, SchedulerBooking]
    deletes: bool


class SchedulerWebhooks(Protocol):
    """The scheduler's webhooks."""

    def read(self, raw: bytes, headers: Mapping[str, str]) -> SchedulerNotice:
        """The notice in a webhook's raw body. Raises WebhookRefused for everything that the scheduler did not just
        send. `headers` finds names in any case."""


class Pulse(Protocol):
    """How a scheduler has answered lately."""

    @property
    def down(self) -> bool:
        """Whether it has failed so often that nothing is being sent."""

    @property
    def tripped(self) -> bool:
        """Whether it has failed repeatedly and has not answered since."""

    @property
    def remaining(self) -> int | None:
        """Requests left in this minute, as it last said; None if it has not said lately."""

    @property
    def limit(self) -> int | None:
        """Requests allowed per minute, as it last said; None if it has not said lately."""


class Scheduler(Protocol):
    """A scheduler. Its errors are listed above; a method names those that it gives a meaning of its own."""

    # -- how it is -------------------------------------------------------------------------------------------

    @property
    def traits(self) -> Traits:
        """How it differs from others."""

    @property
    def pulse(self) -> Pulse:
        """How it has answered lately."""

    def calls_to_list(self, things: int) -> int:
        """How many calls it takes to list so many things: at least one, however few they are."""

    async def aclose(self) -> None:
        """Close the connections."""

    # -- what there is ---------------------------------------------------------------------------------------

    async def locations(self) -> list[Location]:
        """All places that are in use, oldest first."""

    async def services(self) -> list[SchedulerService]:
        """All services that are in use, oldest first."""

    async def resources(self) -> list[Resource]:
        """All people and rooms that are in use, oldest first."""

    async def service_resource_ids(self, service_id: str) -> list[str]:
        """Who offers the service, in use or not."""

    async def bookable_slots(
        self, service_id: str, *, location_id: str, starts_from: datetime, ends_to: datetime
    ) -> list[Slot]:
        """Every bookable start in an interval, with all who are free then. SchedulerNotFound: no such service."""

    # -- setting it up ---------------------------------------------------------------------------------------

    async def describe(self) -> Arrangement:
        """All that there is to set up: places, services and people, with their hours."""

    async def apply(self, plan: Plan, done: Callable[[Step], None]) -> None:
        """Make each step of a plan so, in order, and tell of each that is done. Safe to break off: a plan of what there
        is then has what is left. Only steps that `traits.arranges` allows."""

    async def subscribe(self, url: str, secret: str) -> None:
        """Let it tell this address of changes, signed with the secret; safe to repeat. What told the address before is
        replaced. Only where `traits.subscribes`."""

    # -- taking, keeping and giving back a time --------------------------------------------------------------

    async def lock(self, wanted: Wanted, *, until: datetime) -> SchedulerLock:
        """Lock a time, at least until a moment, once for each tag, even if an answer is lost on the way.

        SchedulerRefused: nothing was locked. SchedulerUnreachable and SchedulerFailed: a lock under the tag may exist,
        or come into being yet.
        """

    async def confirm(self, reference: str | None, wanted: Wanted, visit: Visit) -> SchedulerBooking:
        """Make a locked time final, or book one that was not locked (`reference` None); safe to repeat, once for each
        tag. The booking's id is its reference from now on, and need not be the lock's.

        SchedulerNotFound: the lock is gone. SchedulerRefused: the time is taken, or no longer bookable.
        SchedulerUnreachable and SchedulerFailed: a booking under the tag may exist, or come into being yet.
        """

    async def move(self, reference: str, wanted: Wanted, visit: Visit, *, lock: str | None) -> SchedulerBooking:
        """Give a booking another time; safe to repeat. `lock` is what holds that time, if anything does. Its price is
        the scheduler's again.

        The answer's id may be another than `reference`: what has the old time then is given back by `release`.
        SchedulerRefused: the new time is taken or not bookable, and the booking is where it was. SchedulerNotFound:
        there is no such booking. Look at the answer's `is_canceled`: a cancelled booking may be moved unchecked, and
        takes up nothing.
        """

    async def release(self, reference: str) -> None:
        """Give the time of a lock or a booking back, without a record where the scheduler can do that; safe to repeat.
        What is already gone is what was wanted."""

    async def cancel(self, reference: str) -> None:
        """Cancel a booking, which frees its time and keeps its record; safe to repeat. SchedulerNotFound when it is
        gone, SchedulerRefused where the scheduler's own rules forbid it."""

    async def restore(self, reference: str) -> SchedulerBooking:
        """Take back a cancellation; safe to repeat. SchedulerNotFound when the booking is gone, or the scheduler takes
        none back, SchedulerRefused when the time is taken."""

    async def forget(self, reference: str, metadata: Mapping[str, str]) -> None:
        """Replace what goes with a booking, whole, by what names nobody; safe to repeat. SchedulerNotFound when it is
        gone. Not called where the scheduler does not keep metadata that can change."""

    # -- looking ---------------------------------------------------------------------------------------------

    async def read(self, reference: str) -> SchedulerBooking:
        """One booking, whatever its state. SchedulerNotFound when it is gone."""

    async def find(self, wanted: Wanted, visit: Visit) -> list[SchedulerBooking]:
        """All bookings under the tag, locks and cancelled ones too. Anyone who cannot search for tags looks among those
        with this service, start and customer."""

    async def overlapping(
        self, resource_id: str, *, starts_from: datetime, ends_to: datetime
    ) -> list[SchedulerBooking]:
        """What occupies a person or room in an interval, temporary or final, no matter who made it. Asked of schedulers
        whose locks bind."""

    async def locks(self, *, created_before: datetime) -> list[SchedulerBooking]:
        """Locks made before a moment, no matter who made them: look at their `holdfast_id`. None where locks end by
        themselves."""

    async def changed(self, since: datetime) -> list[SchedulerBooking]:
        """Final bookings that were changed at or after a moment, cancelled ones too, no matter who made them. What was
        deleted is in no list."""

    async def coming(self, ends_after: datetime) -> list[SchedulerBooking]:
        """Final bookings that end after a moment, cancelled ones too, no matter who made them."""
