"""One request as the sandbox's operations see it: routed by path and version, its caller known, its body parsed."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.calcom import fields
from sandbox.calcom.errors import forbidden, not_found
from sandbox.calcom.fields import Field, Json
from sandbox.calcom.state import Booking, EventType, State, User

Reply = tuple[int, Json]  # status and body


@dataclass(frozen=True)
class ApiRequest:
    """The parts of a request that an operation needs; `caller` is None and `token` empty without
    credentials."""

    state: State
    caller: User | None
    token: str
    version: str
    params: dict[str, str]
    query: dict[str, str]
    body: Json

    @property
    def user(self) -> User:
        """The caller of an operation that lets nobody else in."""
        if self.caller is None:
            raise AssertionError("an operation that needs credentials was reached without")
        return self.caller

    def read(self, known: Mapping[str, Field], *, partial: bool = False) -> Json:
        """The known fields of the body. Raises WrongFields."""
        return fields.read(self.body, known, partial=partial)

    def ask(self, known: Mapping[str, Field]) -> Json:
        """The known parameters of the query. Raises WrongFields."""
        return fields.read(self.query, known)

    def number(self, param: str) -> int:
        """An id in the path; one that is no number names nothing."""
        text = self.params[param]
        return int(text) if text.isdecimal() and len(text) < 16 else -1

    def booking(self) -> Booking:
        """The booking that the path names; raises Refusal 404."""
        uid = self.params["bookingUid"]
        booking = self.state.bookings.get(uid)
        if booking is None:
            raise not_found(f"Booking with uid={uid} was not found in the database")
        return booking

    def own_booking(self) -> Booking:
        """The same, for its host alone; raises Refusal 403 and 404."""
        booking = self.booking()
        if booking.host_id != self.user.id:
            raise forbidden("You are not authorized to manage this booking.")
        return booking

    def own_event_type(self) -> EventType:
        """The caller's event type that the path names; another's is not found either."""
        found = self.state.event_types.get(self.number("eventTypeId"))
        if found is None or found.owner_id != self.user.id:
            raise not_found(f"Event type with id {self.params['eventTypeId']} not found")
        return found


Handler = Callable[[ApiRequest], Awaitable[Reply]]


@dataclass(frozen=True)
class Operation:
    """One operation. Without one of its `versions` in the header no route matches; empty means that none is needed."""

    method: str
    path: str
    handler: Handler
    versions: tuple[str, ...] = ()
    needs_credentials: bool = True


def success(data: Any, status: int = 200, **more: Any) -> Reply:
    """The envelope of an answer that is no error."""
    return status, {"status": "success", "data": data, **more}
