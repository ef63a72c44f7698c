"""HapioClient: the calls to Hapio's project API v1.7, and what to do when an answer is lost.

Facts about Hapio are cited as in `translation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from app.domain.catalogue import Location, Resource, Slot
from app.errors import SchedulerForbidden, SchedulerNotFound, SchedulerRefused
from app.scheduling.connection import ClientOptions, Connection, bearer
from app.scheduling.hapio.dialect import HapioDialect
from app.scheduling.hapio.setup import HapioSetup
from app.scheduling.hapio.translation import (
    Page,
    id_in_path,
    read_associations,
    read_booking,
    read_bookings,
    read_locations,
    read_resources,
    read_services,
    read_slots,
    timestamp,
)
from app.scheduling.port import SchedulerBooking, SchedulerService

T = TypeVar("T")

#: Hapio's default and largest page (Hapio SDK).
PAGE_SIZE = 100
#: What books a time that is not offered; the first one switches `ignore_bookable_slots` on as well (Hapio API v1.7,
#: postBooking). Each needs the ability of its name.
_ANY_TIME = ("ignore_schedule", "ignore_booking_window")


class HapioClient:
    """The only way to Hapio. Every method raises the errors that the port names."""

    def __init__(self, options: ClientOptions, *, token: str) -> None:
        self.connection = Connection(HapioDialect(), options, authorize=bearer(token))
        self.setup = HapioSetup(self.connection, now=options.now)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.connection.aclose()

    def calls_to_list(self, things: int) -> int:
        """How many pages so many things fill, at least one."""
        return max(1, -(-things // PAGE_SIZE))

    async def _pages(
        self, operation: str, path: str, read: Callable[[bytes], Page[T]], params: Mapping[str, str]
    ) -> list[T]:
        """A list with all its pages."""
        items: list[T] = []
        number = 0
        while True:
            number += 1
            query = {**params, "per_page": str(PAGE_SIZE), "page": str(number)}
            page = await self.connection.call(operation, "GET", path, read, params=query)
            items += page.items
            if number >= page.last_page or not page.items:
                return items

    async def locations(self) -> list[Location]:
        """All enabled locations, oldest first."""
        params = {"disabled": "exclude", "sort": "created_at.asc"}
        return await self._pages("getLocations", "/locations", read_locations, params)

    async def services(self) -> list[SchedulerService]:
        """All enabled services, oldest first."""
        params = {"disabled": "exclude", "sort": "created_at.asc"}
        return await self._pages("getServices", "/services", read_services, params)

    async def resources(self) -> list[Resource]:
        """All enabled resources, oldest first."""
        params = {"disabled": "exclude", "sort": "created_at.asc"}
        return await self._pages("getResources", "/resources", read_resources, params)

    async def service_resource_ids(self, service_id: str) -> list[str]:
        """Who offers the service, enabled or not."""
        path = f"/services/{id_in_path(service_id)}/resources"
        return await self.connection.call("getServiceResources", "GET", path, read_associations)

    async def bookable_slots(
        self, service_id: str, *, location_id: str, starts_from: datetime, ends_to: datetime
    ) -> list[Slot]:
        """Every bookable start of a fixed service with all who are free then, from all pages."""
        params = {"location": location_id, "from": timestamp(starts_from), "to": timestamp(ends_to)}
        path = f"/services/{id_in_path(service_id)}/bookable-slots"
        return await self._pages("getServiceBookableSlots", path, read_slots, params)

    # Nine parameters: all that Hapio books by.
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
        any_time: bool = False,
    ) -> SchedulerBooking:
        """Lock (or book) a time, once, even if an answer is lost on the way.

        `any_time` overrules the hours, the grid of slots and the booking window, never the room that is left
        (`ignore_fully_booked` stays off). SchedulerForbidden: the token may not do that.

        Hapio has no idempotency keys, so after an attempt of unknown outcome we look for the booking by our
        own id before trying again. SchedulerRefused: not bookable, nothing was created. SchedulerUnreachable
        and SchedulerFailed: a booking tagged `holdfast_id` may exist, or come into being yet.
        """
        body = {
            "service_id": service_id,
            "location_id": location_id,
            "resource_id": resource_id,
            "starts_at": timestamp(starts_at),
            "ends_at": timestamp(ends_at),
            "is_temporary": is_temporary,
            "metadata": {**(metadata or {}), "holdfast_id": _tag(holdfast_id)},
            **(dict.fromkeys(_ANY_TIME, True) if any_time else {}),
        }

        async def send() -> SchedulerBooking:
            return await self.connection.call(
                "postBooking", "POST", "/bookings", read_booking, json=body, repeatable=False
            )

        async def find() -> SchedulerBooking | None:
            for booking in await self.find_bookings(holdfast_id):
                same = booking.resource_id == resource_id and booking.starts_at == starts_at
                if same and booking.is_temporary == is_temporary and not booking.is_canceled:
                    return booking
            return None

        booking, sent_again = await self.connection.make_once(send, find)
        return replace(booking, asked_twice=sent_again)

    async def finalize_booking(self, booking_id: str, *, metadata: Mapping[str, str]) -> SchedulerBooking:
        """Make a temporary booking permanent; safe to repeat. SchedulerNotFound when it is gone.

        `metadata` must be the whole of it, `holdfast_id` included: a PATCH may replace rather than merge.
        Hapio does not check availability again for this change (Hapio API v1.7, patchBooking).
        """
        _tag(metadata.get("holdfast_id", ""))
        body = {"is_temporary": False, "metadata": dict(metadata)}
        path = f"/bookings/{id_in_path(booking_id)}"
        return await self.connection.call("patchBooking", "PATCH", path, read_booking, json=body)

    async def replace_metadata(self, booking_id: str, metadata: Mapping[str, str]) -> SchedulerBooking:
        """Write a booking's metadata, whole; safe to repeat. SchedulerNotFound when it is gone."""
        _tag(metadata.get("holdfast_id", ""))
        body, path = {"metadata": dict(metadata)}, f"/bookings/{id_in_path(booking_id)}"
        return await self.connection.call("patchBooking", "PATCH", path, read_booking, json=body)

    async def cancel_booking(self, booking_id: str) -> SchedulerBooking:
        """Cancel a booking, which frees its time and keeps its record; safe to repeat. SchedulerNotFound when it is
        gone.

        Our own terms decide how late one may cancel, so Hapio's threshold is overruled, if the token may do that.
        SchedulerRefused: it may not, and the threshold has passed.
        """
        return await self._change(
            booking_id,
            {"is_canceled": True},
            lambda booking: booking.is_canceled,
            overrule="ignore_cancelation_threshold",
        )

    async def restore_booking(self, booking_id: str) -> SchedulerBooking:
        """Take back a cancelation; safe to repeat. SchedulerNotFound when the booking is gone.

        Hapio checks the time again: SchedulerRefused when someone else has it by now. The booking window is
        overruled, if the token may do that, because it was kept when the time was booked.
        """
        return await self._change(
            booking_id,
            {"is_canceled": False},
            lambda booking: not booking.is_canceled,
            overrule="ignore_booking_window",
        )

    # Nine parameters, as the port has them: a move may change all that a booking has, in one step.
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
        """Move a booking in one step; safe to repeat, since Hapio checks only what changes. Hapio sets its price again.

        SchedulerRefused: the new time is taken or not bookable, and the booking is where it was. `metadata` must be
        the whole of it, as for `finalize_booking`. Give the buffers of the new slot when the service changes: Hapio
        derives them again only with a start or an end that changes (Hapio API v1.7, patchBooking). Look at the
        answer's `is_canceled`: a cancelled booking is moved unchecked, and takes up nothing.
        """
        _tag(metadata.get("holdfast_id", ""))
        body: dict[str, Any] = {
            "service_id": service_id,
            "resource_id": resource_id,
            "location_id": location_id,
            "starts_at": timestamp(starts_at),
            "ends_at": timestamp(ends_at),
            "metadata": dict(metadata),
        }
        for name, moment in (("buffer_starts_at", buffer_starts_at), ("buffer_ends_at", buffer_ends_at)):
            if moment is not None:
                body[name] = timestamp(moment)

        def moved(booking: SchedulerBooking) -> bool:
            there = booking.starts_at == starts_at and booking.ends_at == ends_at
            theirs = (booking.service_id, booking.resource_id, booking.location_id)
            return there and theirs == (service_id, resource_id, location_id)

        return await self._change(booking_id, body, moved)

    async def delete_booking(self, booking_id: str) -> None:
        """Give the time back. A booking that is already gone is what was wanted."""
        path = f"/bookings/{id_in_path(booking_id)}"
        with suppress(SchedulerNotFound):
            await self.connection.call("deleteBooking", "DELETE", path, lambda _content: None)

    async def get_booking(self, booking_id: str) -> SchedulerBooking:
        """One booking, whatever its state."""
        return await self.connection.call("getBooking", "GET", f"/bookings/{id_in_path(booking_id)}", read_booking)

    async def find_bookings(self, holdfast_id: str) -> list[SchedulerBooking]:
        """All bookings tagged with our booking's id, temporary and cancelled ones too."""
        params = {"metadata[holdfast_id][eq]": _tag(holdfast_id), "canceled": "include"}
        found = await self._bookings({**params, "temporary": "include"})
        # Callers adopt and delete what they find: a filter that Hapio ignored must not hand them a stranger's.
        return [booking for booking in found if booking.metadata.get("holdfast_id") == holdfast_id]

    async def overlapping_bookings(
        self, resource_id: str, *, starts_from: datetime, ends_to: datetime
    ) -> list[SchedulerBooking]:
        """What occupies a resource in an interval: temporary and permanent, not cancelled."""
        return await self._bookings(
            {
                "resource": id_in_path(resource_id),
                "from": timestamp(starts_from),
                "to": timestamp(ends_to),
                "temporary": "include",
                "canceled": "exclude",
            }
        )

    async def temporary_bookings(self, *, created_before: datetime) -> list[SchedulerBooking]:
        """Temporary bookings made before a moment, no matter who made them: look at their `holdfast_id`."""
        params = {"temporary": "only", "canceled": "include", "created_at[lt]": timestamp(created_before)}
        found = await self._bookings(params)
        return [booking for booking in found if booking.is_temporary and booking.created_at < created_before]

    async def changed_bookings(self, since: datetime) -> list[SchedulerBooking]:
        """Final bookings that were changed at or after a moment, cancelled ones too, no matter who made them. What was
        deleted is in no list."""
        return await self._bookings(
            {"temporary": "exclude", "canceled": "include", "updated_at[gte]": timestamp(since)}
        )

    async def coming_bookings(self, ends_after: datetime) -> list[SchedulerBooking]:
        """Final bookings that end after a moment, cancelled ones too, no matter who made them."""
        return await self._bookings({"temporary": "exclude", "canceled": "include", "from": timestamp(ends_after)})

    async def _change(
        self, booking_id: str, body: Mapping[str, Any], done: Callable[[SchedulerBooking], bool], *, overrule: str = ""
    ) -> SchedulerBooking:
        """A PATCH that can be repeated. `overrule` names a flag that needs an ability of its own."""
        path = f"/bookings/{id_in_path(booking_id)}"

        async def patch(json: Mapping[str, Any]) -> SchedulerBooking:
            return await self.connection.call("patchBooking", "PATCH", path, read_booking, json=json)

        try:
            if overrule:
                with suppress(SchedulerForbidden):
                    return await patch({**body, overrule: True})
            return await patch(body)
        except SchedulerRefused:
            # That a change which is made already is not checked again is inferred, not promised.
            booking = await self.get_booking(booking_id)
            if not done(booking):
                raise
            return booking

    async def _bookings(self, params: Mapping[str, str]) -> list[SchedulerBooking]:
        # A stable order, so that nothing slips between two pages.
        query = {**params, "sort": "created_at.asc"}
        return await self._pages("getBookings", "/bookings", read_bookings, query)


def _tag(holdfast_id: str) -> str:
    if not holdfast_id:
        raise ValueError("a booking in Hapio without our id could never be found again")
    return holdfast_id
