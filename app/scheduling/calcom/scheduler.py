"""Cal.com behind the port: its reservations hide a time, but others can still book it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from app.domain.catalogue import Location, Resource, Slot
from app.errors import (
    SchedulerError,
    SchedulerFailed,
    SchedulerForbidden,
    SchedulerNotFound,
    SchedulerRefused,
    SchedulerUnreachable,
)
from app.scheduling.arrangement import Arrangement, Part, Plan, Step
from app.scheduling.calcom.client import PAGE_SIZE, CalcomClient
from app.scheduling.calcom.translation import TAG, EventType, Me, booking_body, number_of, slot_of, timestamp
from app.scheduling.named import named
from app.scheduling.port import (
    LockKind,
    Pulse,
    SchedulerBooking,
    SchedulerLock,
    SchedulerService,
    Traits,
    Visit,
    Wanted,
)
from app.scheduling.successors import latest

log = structlog.get_logger()

TRAITS: Final = Traits(
    lock=LockKind.COURTESY,
    keeps_metadata=False,
    mails_customer=True,
    prices=False,
    arranges=frozenset({Part.SERVICES, Part.HOURS}),
    subscribes=True,
    own_pages="https://app.cal.com/",
    # Its `allowBookingOutOfBounds` is in no public documentation.
    any_time=False,
)

_RESERVATION, _NONE = "reservation:", "none:"
#: How often a booking without an answer is asked for at most, in one call.
_TRIES = 2
#: The error that says that a booking was not made; only its words say for which of many reasons (Cal.com code).
_REFUSALS = {400, 409, 422}
#: Cal.com's own length of a reservation, in minutes.
_SHORTEST = 5
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
#: What Cal.com's mails say of a cancellation.
_CANCELED, _GIVEN_BACK = "Cancelled on the booking page.", "This booking was not completed."


@dataclass(frozen=True, slots=True)
class _Write:
    """A booking to be made: one attempt, what an earlier attempt made, and whether its time is still listed."""

    send: Callable[[], Awaitable[SchedulerBooking]]
    made: Callable[[], Awaitable[SchedulerBooking | None]]
    listed: Callable[[], Awaitable[bool]]


@named("calcom")
class CalcomScheduler:
    """A `Scheduler` over Cal.com's client. The port describes every method.

    The key's owner is the one person and the one place. A lock's reference is `reservation:` with the uid of a
    reservation, or `none:` with the tag where nothing is reserved; a booking's is its uid.
    """

    traits = TRAITS

    def __init__(self, client: CalcomClient, *, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._me: Me | None = None
        self._types: Mapping[str, EventType] | None = None
        self._left_out: set[tuple[str, tuple[str, ...]]] = set()
        #: Event types whose bookings have come out pending; they are looked at before they are booked again, since each
        #: attempt mails the customer.
        self._pending: set[str] = set()

    @property
    def pulse(self) -> Pulse:
        return self._client.connection

    def calls_to_list(self, things: int) -> int:
        return max(1, -(-things // PAGE_SIZE))

    async def aclose(self) -> None:
        await self._client.connection.aclose()

    # -- what there is ---------------------------------------------------------------------------------------

    async def locations(self) -> list[Location]:
        """One place without a name, so that pages show none: at Cal.com each event type has its own place."""
        self._me = await self._client.me()
        return [Location(self._me.id, "", self._me.time_zone)]

    async def services(self) -> list[SchedulerService]:
        """The event types that can be sold; the log says why the others cannot."""
        types = await self._read_types()
        for service_id, one in types.items():
            if one.faults and (service_id, one.faults) not in self._left_out:
                self._left_out.add((service_id, one.faults))
                log.warning("service left out", service=service_id, reason="; ".join(one.faults))
        return [one.service for one in types.values() if not one.faults]

    async def resources(self) -> list[Resource]:
        me = await self._owner()
        return [Resource(me.id, me.name, 1)]

    async def service_resource_ids(self, service_id: str) -> list[str]:
        return [(await self._owner()).id]

    async def bookable_slots(
        self, service_id: str, *, location_id: str, starts_from: datetime, ends_to: datetime
    ) -> list[Slot]:
        service, me = await self._service(service_id), await self._owner()
        times = await self._client.slots(service_id, starts_from=starts_from, ends_to=ends_to)
        return [slot_of(service, me.id, start, end) for start, end in times]

    async def _owner(self) -> Me:
        if self._me is None:
            self._me = await self._client.me()
        return self._me

    async def _read_types(self) -> Mapping[str, EventType]:
        types = await self._client.event_types((await self._owner()).username)
        self._types = {one.service.id: one for one in types}
        return self._types

    async def _service(self, service_id: str) -> SchedulerService:
        """As it was last read; again if it was not there."""
        number_of(service_id)
        known = self._types or {}
        if service_id not in known:
            known = await self._read_types()
        if service_id not in known:
            raise SchedulerNotFound("no such event type", http_status=404)
        return known[service_id].service

    # -- setting it up ---------------------------------------------------------------------------------------

    async def describe(self) -> Arrangement:
        """The default schedule's hours; event types with a schedule of their own keep that."""
        me, types = await self._owner(), await self._read_types()
        return await self._client.setup.describe(me, list(types.values()))

    async def apply(self, plan: Plan, done: Callable[[Step], None]) -> None:
        await self._client.setup.apply(plan, done)
        self._types = None

    async def subscribe(self, url: str, secret: str) -> None:
        await self._client.setup.subscribe(url, secret)

    # -- locking, confirming and releasing a time --------------------------------------------------------------

    async def lock(self, wanted: Wanted, *, until: datetime) -> SchedulerLock:
        """If an answer is lost, the time may be reserved under a uid that we cannot find. Our own slot guard says that
        none of our bookings has the time, so the booking goes on without the reservation, which lapses by itself."""
        minutes = max(_SHORTEST, -((self._now() - until) // _MINUTE))
        try:
            uid = await self._reserve(wanted, minutes)
        except (SchedulerUnreachable, SchedulerFailed) as error:
            log.warning("no answer to a reservation", tag=wanted.tag, error=type(error).__name__)
            uid = None
        return SchedulerLock(f"{_RESERVATION}{uid}" if uid else f"{_NONE}{wanted.tag}")

    async def _reserve(self, wanted: Wanted, minutes: int) -> str | None:
        """None if nothing can be reserved. If the key may not choose the length, or it is too long (the limit is not
        documented), Cal.com's own length is used."""
        for length in (minutes, None):
            try:
                uid, ends_at = await self._client.reserve(wanted.service_id, wanted.starts_at, minutes=length)
            except SchedulerError as error:
                if not isinstance(error, SchedulerForbidden) and error.http_status != 400:
                    raise
                log.warning("not reserved", tag=wanted.tag, minutes=length, status=error.http_status)
                continue
            if ends_at in {None, wanted.ends_at}:
                return uid
            with suppress(SchedulerError):  # it lapses by itself
                await self._client.drop_reservation(uid)
            named = {"service_id": ["has another length"]}
            raise SchedulerRefused("the event type has another length", errors=named)
        return None

    async def confirm(self, reference: str | None, wanted: Wanted, visit: Visit) -> SchedulerBooking:
        """A booking that was confirmed before, and moved at Cal.com since, is returned as it is now."""
        if reference is not None and not reference.startswith((_RESERVATION, _NONE)):
            booking = await self._standing(reference)
            if booking.is_canceled:
                raise SchedulerNotFound("the booking was canceled")
            return booking
        return await self._book(wanted, visit, lock=reference)

    async def move(self, reference: str, wanted: Wanted, visit: Visit, *, lock: str | None) -> SchedulerBooking:
        """A booking at Cal.com cannot change its event type: for another service a new one is made, and the caller
        releases the old one."""
        present = await self._standing(reference)
        if present.is_canceled:
            return present
        if present.service_id != wanted.service_id:
            return await self._book(wanted, visit, lock=lock)
        if present.starts_at != wanted.starts_at:
            return await self._reschedule(present, wanted, lock=lock)
        await self._drop(lock)
        return present

    async def release(self, reference: str) -> None:
        if reference.startswith(_RESERVATION):
            await self._client.drop_reservation(reference.removeprefix(_RESERVATION))
        elif not reference.startswith(_NONE):
            with suppress(SchedulerNotFound):
                there = await self._client.get(reference)
                # A booking that replaced it by a move is not meant, and a past one is never cancelled: it takes up no
                # time to come.
                if not there.is_canceled and there.ends_at > self._now():
                    await self._call_off(reference, _GIVEN_BACK)

    async def cancel(self, reference: str) -> None:
        """A booking that was moved there is cancelled where it is now. SchedulerRefused: cancelling is disabled for its
        event type, for us too, or its time is over."""
        try:
            await self._client.cancel(reference, reason=_CANCELED)
        except SchedulerError as error:
            if error.http_status != 400:
                raise
            # Not what we have booked anew since: that is another booking's to cancel.
            booking = await latest(self._client.get, await self._client.get(reference))
            if booking.is_canceled:
                return
            if booking.id == reference:
                raise SchedulerRefused(str(error), body=error.body) from error
            await self.cancel(booking.id)

    async def restore(self, reference: str) -> SchedulerBooking:
        """Cal.com cannot undo a cancellation."""
        raise SchedulerNotFound("a cancelled booking stays cancelled at Cal.com")

    async def forget(self, reference: str, metadata: Mapping[str, str]) -> None:
        """Cal.com writes metadata once."""
        raise SchedulerError("the metadata of a booking cannot be changed at Cal.com")

    async def _book(self, wanted: Wanted, visit: Visit, *, lock: str | None) -> SchedulerBooking:
        """Book, whether the time is reserved or not: Cal.com lets anyone book it."""
        if wanted.service_id in self._pending:
            await self._must_be_sellable(wanted.service_id)
        body = booking_body(wanted, visit, time_zone=(await self._owner()).time_zone)

        async def send() -> SchedulerBooking:
            made = await self._client.create(body)
            if made.starts_at != wanted.starts_at:
                raise SchedulerFailed("postBooking: a booking of another time than was asked for")
            return made

        async def made() -> SchedulerBooking | None:
            found = await self.find(wanted, visit)
            return next((booking for booking in found if not booking.is_canceled), None)

        async def listed() -> bool:
            return await self._listed(wanted)

        booking = await self._write(_Write(send, made, listed), lock)
        if booking.is_temporary:
            self._pending.add(wanted.service_id)
            await self._decline(booking)
            raise SchedulerError("postBooking: Cal.com asks for a confirmation or a payment of its own")
        await self._drop(lock)
        return await self._complete(booking)

    async def _reschedule(self, present: SchedulerBooking, wanted: Wanted, *, lock: str | None) -> SchedulerBooking:
        email = (await self._owner()).email

        async def made() -> SchedulerBooking | None:
            booking = await self._standing(present.id)
            there = booking.starts_at == wanted.starts_at and not booking.is_canceled
            return booking if there else None

        async def listed() -> bool:
            return await self._listed(wanted, moves=present.id)

        async def send() -> SchedulerBooking:
            return await self._client.reschedule(present.id, wanted.starts_at, by=email)

        booking = await self._write(_Write(send, made, listed), lock)
        if booking.is_temporary:
            log.error("moved, and waits for a confirmation or a payment at Cal.com", booking=booking.id)
        await self._drop(lock)
        return await self._complete(booking)

    async def _write(self, write: _Write, lock: str | None) -> SchedulerBooking:
        """Make a booking once, even if an answer is lost on the way.

        SchedulerRefused: its time is not listed any more. SchedulerError: it is, so that something else is wrong.
        SchedulerUnreachable and SchedulerFailed: it may exist, or come into being yet.
        """
        unknown: SchedulerError | None = None
        reservation = lock if lock and lock.startswith(_RESERVATION) else None
        tries = 0
        while True:
            refusal: SchedulerError | None = None
            tries += 1
            try:
                return replace(await write.send(), asked_twice=unknown is not None)
            except (SchedulerUnreachable, SchedulerFailed) as error:
                unknown = error
            except SchedulerError as error:
                # "Nothing was done" would be true of this attempt only.
                if error.http_status not in _REFUSALS:
                    raise unknown or error from error
                refusal = error
            try:
                found = await write.made()
            except SchedulerError as error:
                raise unknown or error from error
            if found:
                return replace(found, asked_twice=tries > 1)
            if unknown:
                if refusal or tries == _TRIES:
                    raise unknown
                await self._client.connection.pause(tries)
                continue
            assert refusal is not None  # noqa: S101 - what is neither unknown nor refused was returned or raised
            if reservation:
                # It hides the time from the look below, and from now on it may be what Cal.com refuses: PR 24670.
                await self.release(reservation)
            if not await write.listed():
                raise SchedulerRefused(str(refusal), body=refusal.body) from refusal
            if reservation is None or refusal.http_status != 409:
                raise SchedulerError(str(refusal), http_status=refusal.http_status, body=refusal.body) from refusal
            reservation = None

    async def _listed(self, wanted: Wanted, *, moves: str | None = None) -> bool:
        """Whether the start is among the bookable times of its day."""
        day = wanted.starts_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        ends_to = day + _DAY + (wanted.ends_at - wanted.starts_at)
        times = await self._client.slots(wanted.service_id, starts_from=day, ends_to=ends_to, moves=moves)
        return any(start == wanted.starts_at for start, _end in times)

    async def _must_be_sellable(self, service_id: str) -> None:
        known = (await self._read_types()).get(service_id)
        if known and known.faults:
            raise SchedulerError(f"not booked: {'; '.join(known.faults)}")
        self._pending.discard(service_id)

    async def _decline(self, booking: SchedulerBooking) -> None:
        """Decline a booking that waits for something that we cannot provide. Declining is never disabled; cancelling
        may be."""
        try:
            await self._client.decline(booking.id, reason=_GIVEN_BACK)
        except SchedulerError:
            log.warning("not declined", booking=booking.id)
            await self._call_off(booking.id, _GIVEN_BACK)

    async def _call_off(self, uid: str, reason: str) -> None:
        """Cancel; safe to repeat. SchedulerError where Cal.com does not allow it."""
        try:
            await self._client.cancel(uid, reason=reason)
        except SchedulerError as error:
            if error.http_status != 400 or not (await self._client.get(uid)).is_canceled:
                raise

    async def _drop(self, lock: str | None) -> None:
        """Release a lock that is no longer needed; it would lapse by itself, but until then it hides the host's other
        times."""
        if lock:
            try:
                await self.release(lock)
            except SchedulerError as error:
                log.info("a reservation is left to lapse", lock=lock, error=type(error).__name__)

    # -- looking ---------------------------------------------------------------------------------------------

    async def read(self, reference: str) -> SchedulerBooking:
        return await self._complete(await self._get(reference))

    async def find(self, wanted: Wanted, visit: Visit) -> list[SchedulerBooking]:
        """Tags cannot be searched, so all bookings of the service around this time are read and compared. That needs no
        email address in a query, nor the one that the customer had then. A move carries the tag along, so the start is
        compared, too."""
        found = await self._client.bookings(
            eventTypeId=str(number_of(wanted.service_id)),
            # Whether a bound counts itself is not documented, and the owner may have made the event type longer.
            afterStart=timestamp(wanted.starts_at - _MINUTE),
            beforeEnd=timestamp(wanted.ends_at + _DAY),
        )
        asked = (wanted.tag, wanted.service_id, wanted.starts_at)
        ours = [one for one in found if (one.metadata.get(TAG), one.service_id, one.starts_at) == asked]
        return [await self._complete(booking) for booking in ours]

    async def overlapping(
        self, resource_id: str, *, starts_from: datetime, ends_to: datetime
    ) -> list[SchedulerBooking]:
        """Nothing: reservations cannot be listed, and this is not called where locks do not bind."""
        return []

    async def locks(self, *, created_before: datetime) -> list[SchedulerBooking]:
        """Reservations end by themselves."""
        return []

    async def changed(self, since: datetime) -> list[SchedulerBooking]:
        found = await self._client.bookings(afterUpdatedAt=timestamp(since))
        return [await self._complete(booking) for booking in found]

    async def coming(self, ends_after: datetime) -> list[SchedulerBooking]:
        """No filter takes the end from below; an event lasts a day at most (Cal.com code)."""
        found = await self._client.bookings(afterStart=timestamp(ends_after - _DAY))
        return [await self._complete(booking) for booking in found if booking.ends_at > ends_after]

    async def _standing(self, uid: str) -> SchedulerBooking:
        """A booking, or the one that has replaced it by moves."""
        return await self._complete(await latest(self._get, await self._get(uid)))

    async def _get(self, uid: str) -> SchedulerBooking:
        """A booking. A cancelled one that we have booked anew, for another service or since the cancellation was taken
        back, leads to that: Cal.com does not know the one of the other, and whoever asks for what is cancelled may have
        a database from before that. One call more; by the address, since tags cannot be searched."""
        there = await self._client.get(uid)
        tag = there.metadata.get(TAG)
        if not (there.is_canceled and tag and there.email) or there.successor:
            return there
        standing = await self.standing(tag, there.email)
        return replace(there, successor=standing.id) if standing else there

    async def standing(self, tag: str, email: str) -> SchedulerBooking | None:
        for one in await self._client.bookings(attendeeEmail=email, afterStart=timestamp(self._now())):
            if one.metadata.get(TAG) == tag and not one.is_canceled:
                return await self._complete(one)
        return None

    async def _complete(self, booking: SchedulerBooking) -> SchedulerBooking:
        """Add what only the event type has, if it still exists."""
        known = await self._read_types() if self._types is None else self._types
        if booking.service_id is None or booking.service_id not in known:
            return booking
        service = known[booking.service_id].service
        return replace(
            booking,
            buffer_starts_at=booking.starts_at - service.buffer_before,
            buffer_ends_at=booking.ends_at + service.buffer_after,
            service_name=service.name,
        )
