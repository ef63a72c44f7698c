"""CalcomClient: the calls to Cal.com's API v2, one method each.

`scheduler` decides what to do when an answer is lost. Facts about Cal.com are cited as in `translation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from app.errors import SchedulerError
from app.scheduling.calcom.dialect import CalcomDialect
from app.scheduling.calcom.setup import CalcomSetup
from app.scheduling.calcom.translation import (
    EventType,
    Me,
    number_of,
    read_booking,
    read_bookings,
    read_event_types,
    read_made,
    read_me,
    read_reservation,
    read_slots,
    timestamp,
    uid_in_path,
)
from app.scheduling.connection import ClientOptions, Connection, bearer
from app.scheduling.port import SchedulerBooking

T = TypeVar("T")

#: The version of each resource whose calls match no route without one, by the first word of its path (Cal.com API v2).
VERSIONS: Final = {
    "slots": "2024-09-04",
    "bookings": "2024-08-13",
    "event-types": "2024-06-14",
    "schedules": "2024-06-11",
}
#: The default page of a list of bookings (Cal.com API v2).
PAGE_SIZE: Final = 100
#: All that there are; that a list without this filter has all of them is nowhere said.
_EVERY_STATUS: Final = "upcoming,recurring,past,cancelled,unconfirmed"


def versioned(path: str) -> dict[str, str]:
    """The headers that name the version of a path's resource."""
    version = VERSIONS.get(path.split("/")[1])
    return {"cal-api-version": version} if version else {}


class CalcomClient:
    """The only way to Cal.com. When it limits us, it blocks the key for a minute.

    Every method raises the errors that the port names, and plain SchedulerError for what Cal.com answers 400 or 409.
    """

    def __init__(self, options: ClientOptions, *, token: str) -> None:
        self.connection = Connection(CalcomDialect(), options, authorize=bearer(token))
        self.setup = CalcomSetup(self.connection, now=options.now, versioned=versioned)

    # Seven of the connection's eight: the version goes by the path.
    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        read: Callable[[bytes], T],
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        repeatable: bool = True,
    ) -> T:
        return await self.connection.call(
            operation, method, path, read, params=params, json=json, headers=versioned(path), repeatable=repeatable
        )

    # -- what there is ---------------------------------------------------------------------------------------

    async def me(self) -> Me:
        """Whose the key is."""
        return await self._call("getMe", "GET", "/me", read_me)

    async def event_types(self, username: str) -> list[EventType]:
        """All event types of a user, hidden ones too if the key is theirs; without a name the list may be empty
        (Cal.com code)."""
        return await self._call("getEventTypes", "GET", "/event-types", read_event_types, params={"username": username})

    async def slots(
        self, service_id: str, *, starts_from: datetime, ends_to: datetime, moves: str | None = None
    ) -> list[tuple[datetime, datetime]]:
        """The listed times that lie within an interval; `moves` is the uid of a booking whose own time is shown as
        free. Reservations hide their times, ours too."""
        params = {
            "eventTypeId": str(number_of(service_id)),
            "start": timestamp(starts_from),
            # An end at midnight is read as the end of the day that begins there (Cal.com code).
            "end": timestamp(ends_to - timedelta(seconds=1)),
            "timeZone": "UTC",
            "format": "range",
            **({"bookingUidToReschedule": moves} if moves else {}),
        }
        found = await self._call("getSlots", "GET", "/slots", read_slots, params=params)
        # Times outside of the interval are listed now and then (issues 24260 and 21729).
        return [(start, end) for start, end in found if starts_from <= start and end <= ends_to]

    # -- reservations ----------------------------------------------------------------------------------------

    async def reserve(
        self, service_id: str, starts_at: datetime, *, minutes: int | None
    ) -> tuple[str, datetime | None]:
        """Hide a time from others for so long, or for Cal.com's own five minutes; the reservation's uid, and when the
        time ends by the event type's length, None where the answer does not tell. Neither hours nor other event types
        are checked. SchedulerRefused: taken. SchedulerForbidden: this key may not say how long."""
        body = {"eventTypeId": number_of(service_id), "slotStart": timestamp(starts_at)}
        if minutes is not None:
            body["reservationDuration"] = minutes
        return await self._call(
            "postReservation", "POST", "/slots/reservations", read_reservation, json=body, repeatable=False
        )

    async def drop_reservation(self, uid: str) -> None:
        """Show the time again; safe to repeat, since an unknown one is dropped as well."""
        path = f"/slots/reservations/{uid_in_path(uid)}"
        await self._call("deleteReservation", "DELETE", path, lambda _content: None)

    # -- bookings --------------------------------------------------------------------------------------------

    async def create(self, body: Mapping[str, Any]) -> SchedulerBooking:
        """One attempt to book. SchedulerError with 400 or 409: not booked, for whatever reason."""
        made = await self._call("postBooking", "POST", "/bookings", read_made, json=body, repeatable=False)
        if made is None:
            raise SchedulerError("postBooking: a booking that does not exist; is the attendee blocked?")
        return made

    async def reschedule(self, uid: str, starts_at: datetime, *, by: str) -> SchedulerBooking:
        """One attempt to move; the booking that takes its place. `by` is the host's email: the owner is bound by less
        than customers are (Cal.com code)."""
        body = {"start": timestamp(starts_at), "rescheduledBy": by}
        path = f"/bookings/{uid_in_path(uid)}/reschedule"
        return await self._call("postReschedule", "POST", path, read_booking, json=body, repeatable=False)

    async def get(self, uid: str) -> SchedulerBooking:
        """One booking, whatever its state."""
        return await self._call("getBooking", "GET", f"/bookings/{uid_in_path(uid)}", read_booking)

    async def cancel(self, uid: str, *, reason: str) -> None:
        """Cancel. SchedulerError with 400: cancelled already, or not allowed."""
        path = f"/bookings/{uid_in_path(uid)}/cancel"
        # Without a reason the host is refused (Cal.com code).
        await self._call("postCancel", "POST", path, lambda _content: None, json={"cancellationReason": reason})

    async def decline(self, uid: str, *, reason: str) -> None:
        """Say no to a booking that waits for the owner's yes."""
        path = f"/bookings/{uid_in_path(uid)}/decline"
        await self._call("postDecline", "POST", path, lambda _content: None, json={"reason": reason})

    async def bookings(self, **filters: str) -> list[SchedulerBooking]:
        """All bookings that fit, in any state, from all pages.

        Sorted by creation: what changes while the pages are read may come twice, which is fixed here, but nothing
        slips between two of them.
        """
        found: dict[str, SchedulerBooking] = {}
        skip = 0
        while True:
            params = {
                **filters,
                "status": _EVERY_STATUS,
                "sortCreated": "asc",
                "take": str(PAGE_SIZE),
                "skip": str(skip),
            }
            page = await self._call("getBookings", "GET", "/bookings", read_bookings, params=params)
            found |= {booking.id: booking for booking in page.items}
            skip += len(page.items)
            if not page.more or not page.items:
                return list(found.values())
