"""Translates Calendly's JSON for the port: every body is checked here, where it arrives.

Facts about Calendly are cited as "Calendly API v2" (its reference and guides), or as seen by "third parties" (public
code that calls it). Readers raise pydantic's ValidationError.

Calendly names everything by its URI; the port's ids are the last segments of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, Field

from app.domain.booking import Actor
from app.errors import UNREADABLE, SchedulerNotFound
from app.scheduling.port import SchedulerBooking

T = TypeVar("T")
_Body = TypeVar("_Body", bound=BaseModel)

#: A scheduled event in any URI, that of an invitee included.
EVENT_IN_URI: Final = re.compile(r"/scheduled_events/([A-Za-z0-9_-]{1,64})(?=/|$)")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: Kinds of place for which the customer is asked to say one (Calendly API v2, "Create Event Invitee").
_ASKING: Final = frozenset({"ask_invitee", "outbound_call"})

_Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
_Uri = Annotated[str, Field(pattern=r"^https?://\S+/[A-Za-z0-9_-]{1,64}$")]
_Text = Annotated[str, BeforeValidator(lambda value: value or "")]
_Minutes = Annotated[int, BeforeValidator(lambda value: value or 0), Field(ge=0, le=1440)]


class _UserBody(BaseModel):
    uri: _Uri
    name: _Text = ""
    timezone: str
    current_organization: _Uri


class _Question(BaseModel):
    name: _Text = ""
    enabled: bool = True
    required: bool = False


class _Place(BaseModel):
    kind: str


class _EventTypeBody(BaseModel):
    uri: _Uri
    name: _Text = ""
    scheduling_url: _Text = ""
    active: bool
    deleted_at: AwareDatetime | None = None
    type: str
    kind: str
    pooling_type: str | None = None
    booking_method: str
    duration: Annotated[int, Field(ge=1, le=1440)]
    # Readable since 13 November 2026 (Calendly API v2, release notes).
    before_buffer: _Minutes = 0
    after_buffer: _Minutes = 0
    custom_questions: Annotated[list[_Question], BeforeValidator(lambda value: value or [])] = []
    locations: Annotated[list[_Place], BeforeValidator(lambda value: value or [])] = []
    created_at: _Moment


class _TimeBody(BaseModel):
    start_time: _Moment


class _Membership(BaseModel):
    user: _Uri
    user_name: _Text = ""
    buffered_start_time: _Moment | None = None
    buffered_end_time: _Moment | None = None


class _Cancellation(BaseModel):
    canceler_type: _Text = ""


class _EventBody(BaseModel):
    uri: _Uri
    name: _Text = ""
    status: str
    start_time: _Moment
    end_time: _Moment
    event_type: _Uri | None = None
    event_memberships: list[_Membership] = []
    cancellation: _Cancellation | None = None
    created_at: _Moment


class _Tracking(BaseModel):
    utm_content: _Text = ""


class _InviteeBody(BaseModel):
    event: _Uri
    name: _Text = ""
    email: _Text = ""
    status: str
    tracking: Annotated[_Tracking, BeforeValidator(lambda value: value or {})] = _Tracking()
    cancellation: _Cancellation | None = None
    new_invitee: str | None = None
    created_at: _Moment


class _SubscriptionBody(BaseModel):
    uri: _Uri
    callback_url: str


class _Pagination(BaseModel):
    next_page_token: str | None = None


class _OneBody(BaseModel, Generic[_Body]):
    resource: _Body


class _PageBody(BaseModel, Generic[_Body]):
    collection: list[_Body]
    # Available times come without pages.
    pagination: _Pagination = _Pagination()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and the token of the next one."""

    items: Sequence[T]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """Whose token it is."""

    id: str
    uri: str
    organization: str
    name: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class EventType:
    """What can be booked. `place` is the kind of its one location, None without any; `unsold` says why it cannot be
    sold here, and is empty for one that can. `page` is where Calendly lets visitors book it."""

    id: str
    uri: str
    name: str
    duration: timedelta
    buffer_before: timedelta
    buffer_after: timedelta
    place: str | None
    unsold: str
    page: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Invitee:
    """A customer's place in an event. `tag` is what we, or a campaign, wrote into its tracking."""

    event_id: str
    name: str
    email: str
    tag: str
    is_canceled: bool
    canceled_by: Actor | None
    successor: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Subscription:
    """A webhook subscription, and the address that it tells."""

    id: str
    url: str


def _account(body: _UserBody) -> Account:
    return Account(_id(body.uri), body.uri, body.current_organization, body.name, body.timezone)


def _event_type(body: _EventTypeBody) -> EventType:
    return EventType(
        id=_id(body.uri),
        uri=body.uri,
        name=body.name,
        duration=timedelta(minutes=body.duration),
        buffer_before=timedelta(minutes=body.before_buffer),
        buffer_after=timedelta(minutes=body.after_buffer),
        place=body.locations[0].kind if body.locations else None,
        unsold=_unsold(body),
        page=body.scheduling_url,
        created_at=body.created_at,
    )


def _unsold(body: _EventTypeBody) -> str:
    """Why a type cannot be sold, as far as the API tells: whether it takes payments itself, it does not."""
    required = [question.name for question in body.custom_questions if question.enabled and question.required]
    asking = [place.kind for place in body.locations if place.kind in _ASKING]
    reasons = {
        "is deleted": body.deleted_at is not None,
        "is switched off": not body.active,
        "is a one-off meeting": body.type != "StandardEventType",
        "is not one-on-one": body.kind != "solo",
        "is shared by several hosts": body.pooling_type is not None,
        "is a poll": body.booking_method != "instant",
        "offers several locations": len(body.locations) > 1,
        "asks the customer for a location": bool(asking),
        f"has required questions: {'; '.join(required)}": bool(required),
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)


def _event(body: _EventBody) -> SchedulerBooking:
    host = body.event_memberships[0] if body.event_memberships else None
    host_id = _id(host.user) if host else None
    return SchedulerBooking(
        id=_id(body.uri),
        service_id=_id(body.event_type) if body.event_type else None,
        resource_id=host_id,
        location_id=host_id,
        starts_at=body.start_time,
        ends_at=body.end_time,
        buffer_starts_at=(host.buffered_start_time if host else None) or body.start_time,
        buffer_ends_at=(host.buffered_end_time if host else None) or body.end_time,
        price=None,
        is_temporary=False,
        is_canceled=body.status == "canceled",
        created_at=body.created_at,
        service_name=body.name,
        resource_name=host.user_name if host else "",
        canceled_by=_canceler(body.cancellation),
    )


def _invitee(body: _InviteeBody) -> Invitee:
    successor = EVENT_IN_URI.search(body.new_invitee or "")
    return Invitee(
        event_id=_id(body.event),
        name=body.name,
        email=body.email,
        tag=body.tracking.utm_content,
        is_canceled=body.status == "canceled",
        canceled_by=_canceler(body.cancellation),
        successor=successor[1] if successor else None,
        created_at=body.created_at,
    )


def _canceler(cancellation: _Cancellation | None) -> Actor | None:
    known = {"host": Actor.OWNER, "invitee": Actor.CUSTOMER}
    return known.get(cancellation.canceler_type) if cancellation else None


def _one_reader(one: type[_OneBody[_Body]], translate: Callable[[_Body], T]) -> Callable[[bytes], T]:
    def read(content: bytes) -> T:
        return translate(one.model_validate_json(content).resource)

    return read


def _page_reader(page: type[_PageBody[_Body]], translate: Callable[[_Body], T]) -> Callable[[bytes], Page[T]]:
    def read(content: bytes) -> Page[T]:
        body = page.model_validate_json(content)
        return Page([translate(one) for one in body.collection], body.pagination.next_page_token)

    return read


read_account = _one_reader(_OneBody[_UserBody], _account)
read_event_type = _one_reader(_OneBody[_EventTypeBody], _event_type)
read_event_types = _page_reader(_PageBody[_EventTypeBody], _event_type)
read_times = _page_reader(_PageBody[_TimeBody], lambda body: body.start_time)
#: Without what the invitee alone tells: the tag, and what came after a move on Calendly's page.
read_event = _one_reader(_OneBody[_EventBody], _event)
read_events = _page_reader(_PageBody[_EventBody], _event)
read_invitee = _one_reader(_OneBody[_InviteeBody], _invitee)
read_invitees = _page_reader(_PageBody[_InviteeBody], _invitee)
read_subscriptions = _page_reader(
    _PageBody[_SubscriptionBody], lambda body: Subscription(_id(body.uri), body.callback_url)
)


def with_invitee(event: SchedulerBooking, invitee: Invitee) -> SchedulerBooking:
    """An event with what its invitee tells of it. A webhook's event may be older than the invitee around it."""
    return replace(
        event,
        is_canceled=event.is_canceled or invitee.is_canceled,
        name=invitee.name,
        email=invitee.email,
        canceled_by=invitee.canceled_by or event.canceled_by,
        successor=invitee.successor,
        metadata={"holdfast_id": invitee.tag} if invitee.tag else {},
    )


def booking_in(payload: object) -> SchedulerBooking | None:
    """The booking that a webhook's payload tells of, if it tells it whole: an invitee with its event inside."""
    if not isinstance(payload, dict):
        return None
    try:
        event = _event(_EventBody.model_validate(payload.get("scheduled_event")))
        return with_invitee(event, _invitee(_InviteeBody.model_validate(payload)))
    except UNREADABLE:
        return None


def id_in_path(value: str) -> str:
    """An id for a path. Anything else is not found: an empty one would turn the path into another operation's."""
    if not _ID.fullmatch(value):
        raise SchedulerNotFound("not an id of Calendly", http_status=404)
    return value


def timestamp(moment: datetime) -> str:
    """As Calendly writes times (Calendly API v2)."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _id(uri: str) -> str:
    return uri.rpartition("/")[2]
