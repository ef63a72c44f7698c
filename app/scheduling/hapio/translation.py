"""Translates Hapio's JSON for the port: every body is checked here, where it arrives.

Facts about Hapio are cited as "Hapio API v1.7" (the OpenAPI document), "Hapio SDK" (the official clients) or
"Hapio live test" (the official client's test against the real service). Readers raise pydantic's ValidationError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

import isodate
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, TypeAdapter

from app.domain.catalogue import Location, Resource, Slot
from app.errors import UNREADABLE, SchedulerNotFound
from app.scheduling.port import SchedulerBooking, SchedulerService
from app.scheduling.zone_names import MaybeZoneName, ZoneName

T = TypeVar("T")
_Body = TypeVar("_Body", bound=BaseModel)

#: Longer than any real window, and still short enough to be added to a date.
_LONGEST = timedelta(days=36500)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def duration_of(value: object) -> timedelta | None:
    """An ISO 8601 duration. Months and years count as the longest they can be, because they occur in booking
    windows, where too long costs an empty read and too short would hide bookable times."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError("not a duration")  # what pydantic reports; a TypeError would pass through it
    parsed = isodate.parse_duration(value)
    length: timedelta = parsed
    if isinstance(parsed, isodate.Duration):
        length = parsed.tdelta + timedelta(days=366 * int(parsed.years) + 31 * int(parsed.months))
    return min(length, _LONGEST)


# Hapio sends whole seconds with some offset, an empty object as an empty array, and null where nothing is set
# (Hapio SDK, Hapio live test).
_Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
_Duration = Annotated[timedelta, BeforeValidator(duration_of)]
_MaybeDuration = Annotated[timedelta | None, BeforeValidator(duration_of)]
_Metadata = Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})]


class _Named(BaseModel):
    name: str = ""


class _Place(_Named):
    time_zone: MaybeZoneName = ""


_MaybeNamed = Annotated[_Named | None, BeforeValidator(lambda value: value or None)]
_MaybePlace = Annotated[_Place | None, BeforeValidator(lambda value: value or None)]


class _LocationBody(BaseModel):
    id: str
    name: str
    time_zone: ZoneName


class _ServiceBody(BaseModel):
    id: str
    name: str
    type: str
    duration: _MaybeDuration = None
    price: Decimal | None = None
    buffer_time_before: _Duration = timedelta()
    buffer_time_after: _Duration = timedelta()
    booking_window_start: _MaybeDuration = None
    booking_window_end: _MaybeDuration = None
    metadata: _Metadata = {}


class _ResourceBody(BaseModel):
    id: str
    name: str
    max_simultaneous_bookings: int | None = None


class _Association(BaseModel):
    resource_id: str


class _Reference(BaseModel):
    id: str


class _SlotBody(BaseModel):
    starts_at: _Moment
    ends_at: _Moment
    buffer_starts_at: _Moment
    buffer_ends_at: _Moment
    resources: list[_Reference]


class _BookingBody(BaseModel):
    id: str
    service_id: str | None
    resource_id: str | None
    location_id: str | None
    starts_at: _Moment
    ends_at: _Moment
    buffer_starts_at: _Moment
    buffer_ends_at: _Moment
    price: Decimal | None
    is_temporary: bool
    is_canceled: bool
    metadata: _Metadata
    created_at: _Moment
    service: _MaybeNamed = None
    resource: _MaybeNamed = None
    location: _MaybePlace = None


class _Meta(BaseModel):
    last_page: int


class _PageBody(BaseModel, Generic[_Body]):
    data: list[_Body]
    meta: _Meta


_ASSOCIATIONS = TypeAdapter(list[_Association])


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and the number of the last one."""

    items: Sequence[T]
    last_page: int


def _location(body: _LocationBody) -> Location:
    return Location(body.id, body.name, body.time_zone)


def _resource(body: _ResourceBody) -> Resource:
    return Resource(body.id, body.name, body.max_simultaneous_bookings)


def _service(body: _ServiceBody) -> SchedulerService:
    return SchedulerService(
        id=body.id,
        name=body.name,
        # Of the types "fixed", "flexible" and "day" only the first has a length of its own (Hapio API v1.7).
        duration=(body.duration or timedelta()) if body.type == "fixed" else None,
        price=body.price,
        buffer_before=body.buffer_time_before,
        buffer_after=body.buffer_time_after,
        booking_window_start=body.booking_window_start,
        booking_window_end=body.booking_window_end,
        metadata=body.metadata,
    )


def _slot(body: _SlotBody) -> Slot:
    return Slot(
        body.starts_at,
        body.ends_at,
        body.buffer_starts_at,
        body.buffer_ends_at,
        tuple(resource.id for resource in body.resources),
    )


def _booking(body: _BookingBody) -> SchedulerBooking:
    return SchedulerBooking(
        id=body.id,
        service_id=body.service_id,
        resource_id=body.resource_id,
        location_id=body.location_id,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        buffer_starts_at=body.buffer_starts_at,
        buffer_ends_at=body.buffer_ends_at,
        price=body.price,
        is_temporary=body.is_temporary,
        is_canceled=body.is_canceled,
        created_at=body.created_at,
        metadata=body.metadata,
        service_name=body.service.name if body.service else "",
        resource_name=body.resource.name if body.resource else "",
        location_name=body.location.name if body.location else "",
        time_zone=body.location.time_zone if body.location else "",
    )


def _page_reader(page: type[_PageBody[_Body]], translate: Callable[[_Body], T]) -> Callable[[bytes], Page[T]]:
    def read(content: bytes) -> Page[T]:
        body = page.model_validate_json(content)
        return Page([translate(one) for one in body.data], body.meta.last_page)

    return read


read_locations = _page_reader(_PageBody[_LocationBody], _location)
read_resources = _page_reader(_PageBody[_ResourceBody], _resource)
read_services = _page_reader(_PageBody[_ServiceBody], _service)
read_slots = _page_reader(_PageBody[_SlotBody], _slot)
read_bookings = _page_reader(_PageBody[_BookingBody], _booking)


def read_booking(content: bytes) -> SchedulerBooking:
    """The booking that an answer consists of."""
    return _booking(_BookingBody.model_validate_json(content))


def read_associations(content: bytes) -> list[str]:
    """The ids of the resources in a service's list of them, which has no pages."""
    return [association.resource_id for association in _ASSOCIATIONS.validate_json(content)]


def booking_in(thing: object) -> SchedulerBooking | None:
    """A booking that came past the API, if it has the form of one."""
    try:
        return _booking(_BookingBody.model_validate(thing))
    except UNREADABLE:
        return None


def id_in_path(value: str) -> str:
    """A Hapio id for a path. Anything else is not found, as Hapio itself answers (Hapio live test); an empty
    one would turn the path into another operation's."""
    if not _UUID.fullmatch(value):
        raise SchedulerNotFound("not an id of Hapio", http_status=404)
    return value


def timestamp(moment: datetime) -> str:
    """The only form that Hapio takes: whole seconds and a numeric offset (Hapio live test)."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def texts_by_field(errors: object) -> dict[str, Sequence[str]]:
    """The `errors` of a 422, where it has them."""
    if not isinstance(errors, dict):
        return {}
    return {
        str(field): [str(text) for text in texts] if isinstance(texts, list) else [str(texts)]
        for field, texts in errors.items()
    }
