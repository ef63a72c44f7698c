"""Translates Cal.com's JSON for the port: every body is checked here, where it arrives.

Facts about Cal.com are cited as "Cal.com API v2" (the OpenAPI document), "Cal.com code" (the open source, up to March
2026), "Cal.com docs" or by the number of an issue. Readers raise pydantic's ValidationError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

from app.domain.booking import Actor
from app.domain.catalogue import Slot
from app.errors import SchedulerError, SchedulerNotFound
from app.scheduling.port import SchedulerBooking, SchedulerService, Visit, Wanted
from app.scheduling.zone_names import MaybeZoneName, ZoneName
from app.text.languages import base_language
from app.text.zones import valid_zone

T = TypeVar("T")
_Data = TypeVar("_Data")

#: Uids of bookings are letters and digits (Cal.com code, short-uuid), those of reservations are UUIDs.
_UID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_NUMBER = re.compile(r"[0-9]{1,15}")
#: The questions that every booking answers.
_ANSWERED = {"name", "email"}
#: Places that the attendee would have to complete (Cal.com API v2, create booking).
_ASKING_PLACES = {"attendeeAddress", "attendeeDefined", "attendeePhone"}
#: How many days a window that counts bookable days may reach at most (Cal.com code,
#: ROLLING_WINDOW_PERIOD_MAX_DAYS_TO_CHECK), and a day for zones.
_LONGEST_WINDOW = timedelta(days=62)
_DAY = timedelta(days=1)
#: Where Cal.com's tag of a language in which it writes to attendees is not ours (Cal.com API v2, create booking). It
#: writes in all that widgets speak, and refuses other tags.
_TAGS = {"nb": "no", "pt": "pt-BR", "zh": "zh-CN"}
#: A number that is no E.164 is refused, and the booking with it (Cal.com code).
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
#: The name of our tag in metadata, and what metadata may hold (Cal.com API v2).
TAG: Final = "holdfast_id"
_MOST_KEYS, _LONGEST_KEY, _LONGEST_VALUE = 50, 40, 500
#: What of a booking's metadata is the customer's own.
_PERSONAL = ("customer_", "answer_")

_Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
# What is not set is left out or null.
_Text = Annotated[str, BeforeValidator(lambda value: value or "")]
_Count = Annotated[int, BeforeValidator(lambda value: value or 0)]
# Settings that can be off are null then, or {"disabled": true} (Cal.com API v2).
_Setting = Annotated[
    dict[str, Any], BeforeValidator(lambda value: {} if value in (None, {"disabled": True}) else value)
]
_Things = Annotated[list[dict[str, Any]], BeforeValidator(lambda value: value or [])]


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class _Envelope(_Body, Generic[_Data]):
    data: _Data


class _Pagination(_Body):
    has_next_page: bool


class _Page(_Envelope[_Data], Generic[_Data]):
    pagination: _Pagination


class _MeBody(_Body):
    id: int
    username: str
    email: str
    name: _Text = ""
    time_zone: ZoneName


class _EventTypeBody(_Body):
    id: int
    title: str
    length_in_minutes: int
    length_in_minutes_options: list[int] | None = None
    minimum_booking_notice: _Count = 0
    before_event_buffer: _Count = 0
    after_event_buffer: _Count = 0
    booking_window: _Setting = {}
    confirmation_policy: _Setting = {}
    seats: _Setting = {}
    recurrence: _Setting = {}
    price: Decimal | None = None
    scheduling_type: str | None = None
    requires_booker_email_verification: bool | None = None
    disable_cancelling: dict[str, Any] | None = None
    disable_rescheduling: dict[str, Any] | None = None
    booking_fields: _Things = []
    locations: _Things = []
    users: _Things = []


class _SlotBody(_Body):
    start: _Moment
    end: _Moment


class _ReservationBody(_Body):
    reservation_uid: str
    slot_end: _Moment | None = None


class _Person(_Body):
    name: _Text = ""
    email: _Text = ""


class _Host(_Person):
    id: int
    time_zone: Annotated[MaybeZoneName, BeforeValidator(lambda value: value or "")] = ""


class _Reference(_Body):
    id: int


class _BookingBody(_Body):
    id: int
    uid: str
    status: str
    start: _Moment
    end: _Moment
    created_at: _Moment
    hosts: list[_Host]
    attendees: list[_Person] = []
    event_type: _Reference | None = None
    metadata: Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})] = {}
    cancelled_by_email: _Text = ""
    rescheduled_by_email: _Text = ""
    rescheduled_to_uid: _Text = ""


@dataclass(frozen=True, slots=True)
class Me:
    """Whose the key is. `id` is the place's and the person's, too: there is one of each."""

    id: str
    username: str
    email: str
    name: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class EventType:
    """An event type as a service. `faults` are why it cannot be sold here, in the owner's words, empty if it can.
    `movable`: Cal.com lets customers move its bookings, and us."""

    service: SchedulerService
    faults: tuple[str, ...] = ()
    movable: bool = True


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and whether there is another."""

    items: list[T] = field(default_factory=list)
    more: bool = False


def _reader(body: type[_Envelope[_Data]], translate: Callable[[_Data], T]) -> Callable[[bytes], T]:
    def read(content: bytes) -> T:
        return translate(body.model_validate_json(content).data)

    return read


def _me(body: _MeBody) -> Me:
    return Me(str(body.id), body.username, body.email, body.name or body.username, body.time_zone)


def _event_type(body: _EventTypeBody) -> EventType:
    service = SchedulerService(
        id=str(body.id),
        name=body.title,
        duration=timedelta(minutes=body.length_in_minutes),
        buffer_before=timedelta(minutes=body.before_event_buffer),
        buffer_after=timedelta(minutes=body.after_event_buffer),
        booking_window_start=timedelta(minutes=body.minimum_booking_notice) or None,
        booking_window_end=_window_end(body.booking_window),
    )
    return EventType(service, tuple(_faults(body)), not (body.disable_rescheduling or {}).get("disabled"))


def _faults(body: _EventTypeBody) -> Iterator[str]:
    """What makes a booking wait for someone, share its time, or need what we do not have."""
    if body.scheduling_type:
        yield "it is a team's"
    if len(body.users) > 1:
        yield "it has several hosts"
    if len(body.length_in_minutes_options or []) > 1:
        yield "it has several lengths"
    if body.seats:
        yield "it has seats"
    if body.recurrence:
        yield "it recurs"
    if body.price:
        yield "it has a payment app"
    if body.confirmation_policy:
        yield "its bookings wait for your confirmation"
    if body.requires_booker_email_verification:
        yield "it verifies email addresses"
    if (body.disable_cancelling or {}).get("disabled"):
        yield "cancelling is disabled"
    asked = [one for one in body.booking_fields if one.get("required") and not one.get("hidden")]
    questions = sorted({str(one.get("slug")) for one in asked} - _ANSWERED)
    if questions:
        yield f"it asks required questions ({', '.join(questions)})"
    if body.locations and all(one.get("type") in _ASKING_PLACES for one in body.locations):
        yield "it asks the customer for the place"


def _window_end(window: Mapping[str, Any]) -> timedelta | None:
    """How long ahead times can be booked, never too short: the last day counts to its end, in whatever zone. A range of
    dates has no length."""
    days = window.get("value")
    if not isinstance(days, int) or window.get("type") not in {"calendarDays", "businessDays"}:
        return None
    if window.get("rolling"):
        return _LONGEST_WINDOW
    weekends = 2 * (days // 5 + 1) if window["type"] == "businessDays" else 0
    return (days + weekends + 2) * _DAY


def _booking(body: _BookingBody) -> SchedulerBooking:
    host = body.hosts[0] if body.hosts else None
    place = str(host.id) if host else None
    customer = body.attendees[0] if body.attendees else _Person()
    return SchedulerBooking(
        id=body.uid,
        service_id=str(body.event_type.id) if body.event_type else None,
        resource_id=place,
        location_id=place,
        starts_at=body.start,
        ends_at=body.end,
        buffer_starts_at=body.start,
        buffer_ends_at=body.end,
        price=None,
        # It waits for the owner's yes or for a payment, and others can still book the time.
        is_temporary=body.status == "pending",
        is_canceled=body.status in {"cancelled", "rejected"},
        created_at=body.created_at,
        metadata=body.metadata,
        resource_name=host.name if host else "",
        time_zone=host.time_zone if host else "",
        name=customer.name,
        email=customer.email,
        canceled_by=_canceled_by(body),
        successor=body.rescheduled_to_uid or None,
    )


def _canceled_by(body: _BookingBody) -> Actor | None:
    """Only the owner rejects. A booking that was moved is cancelled by the one who moved it."""
    if body.status == "rejected":
        return Actor.OWNER
    if body.status != "cancelled":
        return None
    by = (body.rescheduled_by_email if body.rescheduled_to_uid else body.cancelled_by_email).lower()
    if by and by in {host.email.lower() for host in body.hosts}:
        return Actor.OWNER
    return Actor.CUSTOMER if by and by in {one.email.lower() for one in body.attendees} else None


def _made(body: _BookingBody) -> SchedulerBooking | None:
    """A blocked attendee may be told of a booking that does not exist: its id is 0 (Cal.com code)."""
    return _booking(body) if body.id > 0 else None


read_me: Final = _reader(_Envelope[_MeBody], _me)
read_event_types: Final = _reader(_Envelope[list[_EventTypeBody]], lambda data: [_event_type(one) for one in data])
read_reservation: Final = _reader(_Envelope[_ReservationBody], lambda data: (data.reservation_uid, data.slot_end))
read_booking: Final = _reader(_Envelope[_BookingBody], _booking)
read_made: Final = _reader(_Envelope[_BookingBody], _made)


def read_bookings(content: bytes) -> Page[SchedulerBooking]:
    """One page of a list of bookings."""
    body = _Page[list[_BookingBody]].model_validate_json(content)
    return Page([_booking(one) for one in body.data], body.pagination.has_next_page)


def read_slots(content: bytes) -> list[tuple[datetime, datetime]]:
    """Starts and ends of all days of an answer, in order."""
    days = _Envelope[dict[str, list[_SlotBody]]].model_validate_json(content).data
    return sorted({(slot.start, slot.end) for slots in days.values() for slot in slots})


def slot_of(service: SchedulerService, resource_id: str, starts_at: datetime, ends_at: datetime) -> Slot:
    """A free time of the one person there is."""
    return Slot(starts_at, ends_at, starts_at - service.buffer_before, ends_at + service.buffer_after, (resource_id,))


def booking_body(wanted: Wanted, visit: Visit, *, time_zone: str) -> dict[str, Any]:
    """What creates a booking; `time_zone` is the place's, for visitors who have none. Raises SchedulerError without a
    customer."""
    customer = visit.customer
    if customer is None:
        raise SchedulerError("Cal.com books no time without a customer")
    attendee = {
        "name": customer.name,
        "email": customer.email,
        "timeZone": valid_zone(visit.time_zone) or time_zone,
    }
    language = base_language(visit.language)
    attendee["language"] = _TAGS.get(language, language)
    phone = customer.phone.partition(" ")[0]  # it takes no extension
    if _PHONE.fullmatch(phone):
        attendee["phoneNumber"] = phone
    return {
        "start": timestamp(wanted.starts_at),
        "eventTypeId": number_of(wanted.service_id),
        "attendee": attendee,
        "metadata": _metadata(wanted.tag, visit.metadata),
    }


def _metadata(tag: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """Our tag and what names nobody: it cannot be changed later, so nobody could be forgotten there."""
    if not tag:
        raise ValueError("a booking at Cal.com without our id could never be found again")
    rest = {
        key: value[:_LONGEST_VALUE]
        for key, value in metadata.items()
        if key != TAG and len(key) <= _LONGEST_KEY and not key.startswith(_PERSONAL)
    }
    return {TAG: tag, **dict(list(rest.items())[: _MOST_KEYS - 1])}


def uid_in_path(value: str) -> str:
    """A booking's or a reservation's uid for a path. Anything else is not found."""
    if not _UID.fullmatch(value):
        raise SchedulerNotFound("not a uid of Cal.com", http_status=404)
    return value


def number_of(service_id: str) -> int:
    """The number of an event type. Anything else is not found."""
    if not _NUMBER.fullmatch(service_id):
        raise SchedulerNotFound("not an event type of Cal.com", http_status=404)
    return int(service_id)


def timestamp(moment: datetime) -> str:
    """UTC in whole seconds, as the create of a booking wants it (Cal.com API v2)."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
