"""The scheduler as everything else sees it: what may be asked of it, and what it answers.

A scheduler keeps the owner's calendar: places, services, people, hours and bookings. Which one it is, and how it is
reached, is known in its own folder here and in `app.main`; nobody else imports that folder.

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

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from app.domain.catalogue import Location, Resource, Slot


@dataclass(frozen=True, slots=True)
class SchedulerService:
    """A service as the scheduler has it. `duration` is None where a visitor would have to choose it: such a service
    cannot be offered. `price` is None where the scheduler has none. `booking_window_start` is how long before its
    start a time can be booked at the latest, `booking_window_end` at the earliest; None without such a bound.
    `metadata` is what the owner has noted on it."""

    id: str
    name: str
    duration: timedelta | None
    price: Decimal | None = None
    buffer_before: timedelta = timedelta()
    buffer_after: timedelta = timedelta()
    booking_window_start: timedelta | None = None
    booking_window_end: timedelta | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SchedulerBooking:
    """A booking as the scheduler has it. The ids are None, and the names and the zone empty, once their objects were
    deleted. `is_temporary` says that it only locks the time. `metadata` carries our tag under `holdfast_id`, if the
    booking is one of ours, and the values that went with it."""

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


class Scheduler(Protocol):
    """A scheduler. Its errors are listed above; a method names those that it gives a meaning of its own."""

    # -- how it is -------------------------------------------------------------------------------------------

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

    # -- taking, keeping and giving back a time --------------------------------------------------------------

    # Eight values make one booking: whose, what, where, with whom, when, how firm, and what goes with it.
    async def create_booking(
        self,
        *,
        holdfast_id: str,
        service_id: str,
        location_id: str,
        resource_id: str,
        starts_at: datetime,
        ends_at: datetime,
        is_temporary: bool,
        metadata: Mapping[str, str] | None = None,
    ) -> SchedulerBooking:
        """Lock a time (`is_temporary`), or book it, once for each `holdfast_id`, even if an answer is lost on the way.

        SchedulerRefused: nothing was created. SchedulerUnreachable and SchedulerFailed: a booking tagged `holdfast_id`
        may exist, or come into being yet.
        """

    async def finalize_booking(self, booking_id: str, *, metadata: Mapping[str, str]) -> SchedulerBooking:
        """Make a locked time final; safe to repeat. `metadata` is the whole of it, `holdfast_id` included.
        SchedulerNotFound when the lock is gone."""

    async def replace_metadata(self, booking_id: str, metadata: Mapping[str, str]) -> SchedulerBooking:
        """Write a booking's metadata, whole; safe to repeat. SchedulerNotFound when it is gone."""

    async def cancel_booking(self, booking_id: str) -> SchedulerBooking:
        """Cancel a booking, which frees its time and keeps its record; safe to repeat. SchedulerNotFound when it is
        gone, SchedulerRefused where the scheduler's own rules find it too late."""

    async def restore_booking(self, booking_id: str) -> SchedulerBooking:
        """Take back a cancellation; safe to repeat. SchedulerNotFound when the booking is gone, SchedulerRefused when
        the time is."""

    # Nine values: which booking, and all that a booking has, because a move may change each of it in one step.
    async def move_booking(
        self,
        booking_id: str,
        *,
        service_id: str,
        resource_id: str,
        location_id: str,
        starts_at: datetime,
        ends_at: datetime,
        metadata: Mapping[str, str],
        buffer_starts_at: datetime | None = None,
        buffer_ends_at: datetime | None = None,
    ) -> SchedulerBooking:
        """Move a booking in one step; safe to repeat. Its price is the scheduler's anew.

        SchedulerRefused: the new time is taken or not bookable, and the booking is where it was. `metadata` is the
        whole of it, as for `finalize_booking`. Give the buffers of the new slot when the service changes. Look at the
        answer's `is_canceled`: a canceled booking may be moved unchecked, and takes up nothing.
        """

    async def delete_booking(self, booking_id: str) -> None:
        """Give the time back, without a record. A booking that is already gone is what was wanted."""

    # -- looking ---------------------------------------------------------------------------------------------

    async def get_booking(self, booking_id: str) -> SchedulerBooking:
        """One booking, whatever its state. SchedulerNotFound when it is gone."""

    async def find_bookings(self, holdfast_id: str) -> list[SchedulerBooking]:
        """All bookings with this tag, temporary and canceled ones too."""

    async def overlapping_bookings(
        self, resource_id: str, *, starts_from: datetime, ends_to: datetime
    ) -> list[SchedulerBooking]:
        """What occupies a person or room in an interval, temporary or final, whoever made it."""

    async def temporary_bookings(self, *, created_before: datetime) -> list[SchedulerBooking]:
        """Locks made before a moment, whoever made them: look at their `holdfast_id`."""

    async def changed_bookings(self, since: datetime) -> list[SchedulerBooking]:
        """Final bookings that were changed at or after a moment, canceled ones too, whoever made them. What was
        deleted is in no list."""

    async def coming_bookings(self, ends_after: datetime) -> list[SchedulerBooking]:
        """Final bookings that end after a moment, canceled ones too, whoever made them."""
