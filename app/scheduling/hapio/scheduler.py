"""Hapio behind the port: its temporary bookings are locks, and nobody else can book a locked time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import structlog

from app.domain.catalogue import Location, Resource, Slot
from app.errors import SchedulerError, SchedulerNotFound, SchedulerRefused
from app.scheduling.arrangement import Arrangement, Part, Plan, Step
from app.scheduling.hapio.client import HapioClient
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

log = structlog.get_logger()

TRAITS: Final = Traits(
    lock=LockKind.BINDING,
    keeps_metadata=True,
    mails_customer=False,
    prices=True,
    arranges=frozenset(Part),
    subscribes=False,
    own_pages="https://hapio.app/",
    any_time=True,
)


@named("hapio")
class HapioScheduler:
    """A `Scheduler` over Hapio's client. The port describes every method."""

    traits = TRAITS

    def __init__(self, client: HapioClient) -> None:
        self._client = client

    @property
    def pulse(self) -> Pulse:
        return self._client.connection

    def calls_to_list(self, things: int) -> int:
        return self._client.calls_to_list(things)

    async def aclose(self) -> None:
        await self._client.aclose()

    # -- what there is ---------------------------------------------------------------------------------------

    async def locations(self) -> list[Location]:
        return await self._client.locations()

    async def services(self) -> list[SchedulerService]:
        return await self._client.services()

    async def resources(self) -> list[Resource]:
        return await self._client.resources()

    async def service_resource_ids(self, service_id: str) -> list[str]:
        return await self._client.service_resource_ids(service_id)

    async def bookable_slots(
        self, service_id: str, *, location_id: str, starts_from: datetime, ends_to: datetime
    ) -> list[Slot]:
        return await self._client.bookable_slots(
            service_id, location_id=location_id, starts_from=starts_from, ends_to=ends_to
        )

    # -- setting it up ---------------------------------------------------------------------------------------

    async def describe(self) -> Arrangement:
        return await self._client.setup.describe()

    async def apply(self, plan: Plan, done: Callable[[Step], None]) -> None:
        await self._client.setup.apply(plan, done)

    async def subscribe(self, url: str, secret: str) -> None:
        """Webhooks are made in the portal (hapio-api, webhooks)."""
        raise SchedulerError("Hapio's webhooks are made in its portal")

    # -- locking, confirming and releasing a time --------------------------------------------------------------

    async def lock(self, wanted: Wanted, *, until: datetime) -> SchedulerLock:
        """Hapio documents no end of a temporary booking, so `until` is not sent."""
        locked = await self._create(wanted, is_temporary=True)
        return SchedulerLock(locked.id, locked.price)

    async def confirm(self, reference: str | None, wanted: Wanted, visit: Visit) -> SchedulerBooking:
        if reference is None:
            return await self._create(wanted, is_temporary=False, metadata=visit.metadata)
        final = await self._finalize(reference, visit.metadata)
        if final.is_canceled:
            raise SchedulerNotFound("the lock was canceled")
        return final

    async def _create(
        self, wanted: Wanted, *, is_temporary: bool, metadata: Mapping[str, str] | None = None
    ) -> SchedulerBooking:
        return await self._client.create_booking(
            holdfast_id=wanted.tag,
            service_id=wanted.service_id,
            location_id=wanted.location_id,
            resource_id=wanted.resource_id,
            starts_at=wanted.starts_at,
            ends_at=wanted.ends_at,
            is_temporary=is_temporary,
            metadata=metadata,
            any_time=wanted.any_time,
        )

    async def _finalize(self, reference: str, metadata: Mapping[str, str]) -> SchedulerBooking:
        try:
            return await self._client.finalize_booking(reference, metadata=metadata)
        except SchedulerRefused as error:
            # Room is not checked again for this, so it is the texts that Hapio minds, whose limits are not documented;
            # they must not cost the time.
            tag = metadata["holdfast_id"]
            log.error("confirmed without details", booking=tag, fields=sorted(error.errors))
            return await self._client.finalize_booking(reference, metadata={"holdfast_id": tag})

    async def move(self, reference: str, wanted: Wanted, visit: Visit, *, lock: str | None) -> SchedulerBooking:
        """With a lock, that becomes the booking; else the booking moves in one step."""
        if lock is not None:
            try:
                final = await self._client.finalize_booking(lock, metadata=visit.metadata)
            except (SchedulerNotFound, SchedulerRefused):
                log.warning("the lock on the new time is gone", lock=lock)
            else:
                if not final.is_canceled:
                    return final
        return await self._client.move_booking(
            reference,
            service_id=wanted.service_id,
            resource_id=wanted.resource_id,
            location_id=wanted.location_id,
            starts_at=wanted.starts_at,
            ends_at=wanted.ends_at,
            buffer_starts_at=wanted.buffer_starts_at,
            buffer_ends_at=wanted.buffer_ends_at,
            metadata=visit.metadata,
        )

    async def release(self, reference: str) -> None:
        await self._client.delete_booking(reference)

    async def cancel(self, reference: str) -> None:
        await self._client.cancel_booking(reference)

    async def restore(self, reference: str) -> SchedulerBooking:
        return await self._client.restore_booking(reference)

    async def forget(self, reference: str, metadata: Mapping[str, str]) -> None:
        await self._client.replace_metadata(reference, metadata)

    # -- looking ---------------------------------------------------------------------------------------------

    async def read(self, reference: str) -> SchedulerBooking:
        return await self._client.get_booking(reference)

    async def find(self, wanted: Wanted, visit: Visit) -> list[SchedulerBooking]:
        return await self._client.find_bookings(wanted.tag)

    async def standing(self, tag: str, email: str) -> SchedulerBooking | None:
        found = await self._client.find_bookings(tag)
        return next((one for one in found if not one.is_temporary and not one.is_canceled), None)

    async def overlapping(
        self, resource_id: str, *, starts_from: datetime, ends_to: datetime
    ) -> list[SchedulerBooking]:
        return await self._client.overlapping_bookings(resource_id, starts_from=starts_from, ends_to=ends_to)

    async def locks(self, *, created_before: datetime) -> list[SchedulerBooking]:
        return await self._client.temporary_bookings(created_before=created_before)

    async def changed(self, since: datetime) -> list[SchedulerBooking]:
        return await self._client.changed_bookings(since)

    async def coming(self, ends_after: datetime) -> list[SchedulerBooking]:
        return await self._client.coming_bookings(ends_after)
