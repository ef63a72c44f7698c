"""The port to schedulers: what can be asked of one, what it answers, and how schedulers differ.

A scheduler keeps the owner's calendar: places, services, people, hours and bookings. Each has its own folder in this
package. Only `connect`, `app.build`, the set-up check and the code that connects owners' accounts import those folders.
The acts do not know which scheduler they use; they only see its traits.

Times are aware datetimes, and in UTC in answers. Prices are in major units without a currency; the widget has the
currency. Every call raises `app.errors.SchedulerError` or one below it:

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
    """How strongly the scheduler keeps a locked time from others."""

    #: Nobody else can book the time.
    BINDING = "binding"
    #: The scheduler no longer offers the time, but still books it for anyone who asks for it.
    COURTESY = "courtesy"
    #: The scheduler has no locks: others can take the time until the booking is confirmed.
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Traits:
    """How a scheduler differs from the others, as far as code outside its folder has to know.

    `lock`: how strong a lock is; if it does not bind, the time may turn out to be taken after the payment.
    `keeps_metadata`: a booking's metadata can be changed later, so a customer's details can be removed there.
    `mails_customer`: it sends its own mails to customers, with its own links to cancel and move.
    `prices`: its services have prices; if not, `widgets.toml` must name a price for each.
    `arranges`: what can be set up through its API; the owner sets up the rest in its own pages.
    `subscribes`: its webhooks can be set up through its API, too.
    `own_pages`: the address of the pages where the owner sets up the rest; empty where it is not known.
    `any_time`: it can book a time that it does not offer (outside the hours, the grid or the notice).
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
    """A time that we ask for. `tag` is the id of our booking or move, by which it is found again. `any_time`: the owner
    wants the time although it is not offered; only for schedulers with that trait, and never over another booking."""

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
    """Who comes, and what is stored with the booking: `metadata` is all of its metadata, including our tag
    (`holdfast_id`). `time_zone` and `language` are the visitor's."""

    customer: Customer | None
    time_zone: str
    language: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SchedulerService:
    """A service as the scheduler has it. `duration` is None if the visitor would have to choose it: such a service
    cannot be offered. `price` is None if the scheduler has no price. A time can be booked from `booking_window_end`
    until `booking_window_start` before it begins; None means no such limit. `metadata` is what the owner has stored
    with it. `page` is the scheduler's own booking page, None if it has none."""

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
    """A booking as the scheduler has it. If its service, person or place was deleted, that id is None, and its name and
    the zone are empty. `is_temporary`: it only locks the time. `metadata` has our tag under `holdfast_id` if the
    booking is ours and this call returns it, and the values that were stored with it. `name` and `email` are the
    customer's, empty if this call does not return them.

    `canceled_by` is who cancelled it there, None if that is not known. `successor` is the id of the booking that
    replaced it, if a move there makes a new one; this one is then cancelled. `asked_twice`: an earlier call to make it
    was never answered, and may still make a second one.
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
    """A locked time: `reference` is needed to confirm or release it, and `price` is the scheduler's price for it, None
    if it has none. If the scheduler has no locks, its adapter makes up the reference."""

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
    """What a webhook may be about: only a hint to read the booking again.

    `id` identifies the delivery, `type` is the scheduler's own word. `ids` are all ids in it, of any kind of object;
    `moments` are the starts and ends that it names; `bookings` are the bookings that it describes as they are now, by
    id. `deletes`: it reports something that was deleted, and may still describe it as it was.
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
        """The notice in a webhook's raw body. Raises WebhookRefused unless the scheduler has just sent it. `headers`
        finds names in upper or lower case."""


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
    """A scheduler. Its errors are listed at the top of this file; a method names only those with a special meaning."""

    # -- how it is -------------------------------------------------------------------------------------------

    @property
    def traits(self) -> Traits:
        """How it differs from others."""

    @property
    def pulse(self) -> Pulse:
        """How it has answered lately."""

    def calls_to_list(self, things: int) -> int:
        """How many calls it takes to list so many things: at least one."""

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
        """The ids of all who offer the service, in use or not."""

    async def bookable_slots(
        self, service_id: str, *, location_id: str, starts_from: datetime, ends_to: datetime
    ) -> list[Slot]:
        """Every start in an interval that can be booked, with all who are free then. SchedulerNotFound: no such
        service."""

    # -- setting it up ---------------------------------------------------------------------------------------

    async def describe(self) -> Arrangement:
        """Everything that is set up: places, services and people, with their hours."""

    async def apply(self, plan: Plan, done: Callable[[Step], None]) -> None:
        """Carry out each step of a plan, in order, and call `done` after each. Safe to interrupt: a new plan then has
        what is left to do. Only steps that `traits.arranges` allows."""

    async def subscribe(self, url: str, secret: str) -> None:
        """Have webhooks about changes sent to this address, signed with the secret. Replaces an earlier subscription of
        this address; safe to repeat. Only where `traits.subscribes`."""

    # -- locking, confirming and releasing a time ------------------------------------------------------------

    async def lock(self, wanted: Wanted, *, until: datetime) -> SchedulerLock:
        """Lock a time, at least until a moment. Under one tag it is locked only once, even if an answer is lost.

        SchedulerRefused: nothing was locked. SchedulerUnreachable and SchedulerFailed: a lock under the tag may exist,
        or may still be made.
        """

    async def confirm(self, reference: str | None, wanted: Wanted, visit: Visit) -> SchedulerBooking:
        """Make a locked time final, or book one that was not locked (`reference` None). Under one tag it is booked only
        once, so this is safe to repeat. The booking's id is its reference from now on, and may differ from the lock's.

        SchedulerNotFound: the lock is gone. SchedulerRefused: the time is taken, or can no longer be booked.
        SchedulerUnreachable and SchedulerFailed: a booking under the tag may exist, or may still be made.
        """

    async def move(self, reference: str, wanted: Wanted, visit: Visit, *, lock: str | None) -> SchedulerBooking:
        """Move a booking to another time; safe to repeat. `lock` is the lock on that time, if there is one. The
        scheduler sets its price again.

        The answer's id may differ from `reference`; the old time is then released with `release`. SchedulerRefused: the
        new time is taken or cannot be booked, and the booking is where it was. SchedulerNotFound: there is no such
        booking. Check `is_canceled` in the answer: a scheduler may move a cancelled booking without a check, and that
        booking then takes up no time.
        """

    async def release(self, reference: str) -> None:
        """Free the time of a lock or a booking, without a record if the scheduler can do that; safe to repeat. It is no
        error if the lock or booking is already gone."""

    async def cancel(self, reference: str) -> None:
        """Cancel a booking, which frees its time and keeps its record; safe to repeat. SchedulerNotFound if it is gone,
        SchedulerRefused if the scheduler's own rules forbid it."""

    async def restore(self, reference: str) -> SchedulerBooking:
        """Undo a cancellation; safe to repeat. SchedulerNotFound if the booking is gone or the scheduler cannot undo,
        SchedulerRefused if the time is taken."""

    async def forget(self, reference: str, metadata: Mapping[str, str]) -> None:
        """Replace all of a booking's metadata by values that name nobody; safe to repeat. SchedulerNotFound if it is
        gone. Only where `traits.keeps_metadata`."""

    # -- looking ---------------------------------------------------------------------------------------------

    async def read(self, reference: str) -> SchedulerBooking:
        """One booking, in any state. SchedulerNotFound if it is gone."""

    async def find(self, wanted: Wanted, visit: Visit) -> list[SchedulerBooking]:
        """All bookings under the tag, including locks and cancelled ones. A scheduler that cannot search for tags looks
        among the bookings with this service, start and customer."""

    async def standing(self, tag: str, email: str) -> SchedulerBooking | None:
        """What stands under a tag at any time to come; None if there is nothing. A scheduler that cannot search for
        tags looks among the bookings of this address, as it was given when they were made."""

    async def overlapping(
        self, resource_id: str, *, starts_from: datetime, ends_to: datetime
    ) -> list[SchedulerBooking]:
        """All bookings of a person or room in an interval, temporary or final, no matter who made them. Only for
        schedulers whose locks bind."""

    async def locks(self, *, created_before: datetime) -> list[SchedulerBooking]:
        """Locks made before a moment, no matter who made them: check their `holdfast_id`. Empty if locks end by
        themselves."""

    async def changed(self, since: datetime) -> list[SchedulerBooking]:
        """Final bookings that were changed at or after a moment, including cancelled ones, no matter who made them.
        Deleted bookings are in no list."""

    async def coming(self, ends_after: datetime) -> list[SchedulerBooking]:
        """Final bookings that end after a moment, including cancelled ones, no matter who made them."""
