"""HapioClient: typed answers from Hapio's project API v1.7, and what to do when none comes.

Facts about Hapio are cited as "Hapio API v1.7" (the OpenAPI document), "Hapio SDK" (the official clients) or
"Hapio live test" (the official client's test against the real service). Bodies are checked where they arrive.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from random import Random
from typing import Annotated, Any, Generic, TypeVar

import httpx
import isodate
import structlog
from pydantic import (
    AfterValidator,
    AliasPath,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
)

from app.breaker import Breaker
from app.domain.catalogue import Location, Resource, Slot
from app.errors import (
    SchedulerDown,
    SchedulerError,
    SchedulerFailed,
    SchedulerForbidden,
    SchedulerNotFound,
    SchedulerRateLimited,
    SchedulerRefused,
    SchedulerUnauthorized,
    SchedulerUnreachable,
)

T = TypeVar("T")

_ATTEMPTS = 3
_FIRST_WAIT = 0.1
#: Hapio counts requests per minute: what an older answer said of the limit says nothing.
_LIMIT_WINDOW = timedelta(minutes=1)
#: Hapio's default and largest page (Hapio SDK).
PAGE_SIZE = 100
#: Longer than any real window, and still short enough to be added to a date.
_LONGEST = timedelta(days=36500)
log = structlog.get_logger()

#: Enough of an error's body for a log line; a gateway may send a whole page of HTML.
_BODY_KEPT = 2000
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _duration(value: object) -> timedelta | None:
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
_Duration = Annotated[timedelta, BeforeValidator(_duration)]
_MaybeDuration = Annotated[timedelta | None, BeforeValidator(_duration)]
_Metadata = Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})]


@dataclass(frozen=True, slots=True)
class SchedulerService:
    """A service as Hapio has it. `duration` only for type "fixed"; `price` in major units, without currency."""

    id: str
    name: str
    type: str
    enabled: bool
    duration: _MaybeDuration = None
    price: Decimal | None = None
    buffer_before: Annotated[_Duration, Field(validation_alias="buffer_time_before")] = timedelta()
    buffer_after: Annotated[_Duration, Field(validation_alias="buffer_time_after")] = timedelta()
    booking_window_start: _MaybeDuration = None
    booking_window_end: _MaybeDuration = None
    metadata: _Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SchedulerBooking:
    """A booking as Hapio has it, times in UTC. The ids are None, and the names empty, once their objects were
    deleted."""

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
    service_name: Annotated[str, Field(validation_alias=AliasPath("service", "name"))] = ""
    resource_name: Annotated[str, Field(validation_alias=AliasPath("resource", "name"))] = ""
    location_name: Annotated[str, Field(validation_alias=AliasPath("location", "name"))] = ""
    time_zone: Annotated[str, Field(validation_alias=AliasPath("location", "time_zone"))] = ""


@dataclass(frozen=True, slots=True)
class SchedulerCall:
    """One request that was sent. `status` is None when no answer came; `seconds` is how long it took."""

    at: datetime
    operation: str
    status: int | None
    seconds: float


class _Meta(BaseModel):
    last_page: int


class _Page(BaseModel, Generic[T]):
    data: list[T]
    meta: _Meta


class _ResourceBody(BaseModel):
    id: str
    name: str
    max_simultaneous_bookings: int | None = None


class _Reference(BaseModel):
    id: str


class _SlotBody(BaseModel):
    starts_at: _Moment
    ends_at: _Moment
    buffer_starts_at: _Moment
    buffer_ends_at: _Moment
    resources: list[_Reference]


class _Association(BaseModel):
    resource_id: str


_BOOKING = TypeAdapter(SchedulerBooking)
_ASSOCIATIONS = TypeAdapter(list[_Association])


def read_booking(told: object) -> SchedulerBooking | None:
    """A booking that was told past the API, if it has the form of one."""
    try:
        return _BOOKING.validate_python(told)
    except ValidationError:
        return None


def _ignore(_call: SchedulerCall) -> None:
    pass


class HapioClient:
    """The one way to Hapio.

    `patience` is how many seconds one call may spend waiting for a rate limit to pass before SchedulerRateLimited
    is raised. `on_call` hears of every request sent, retries included, since each counts against the plan.
    Every method raises the Hapio errors of app.errors: SchedulerDown when nothing was sent, SchedulerUnreachable or
    SchedulerFailed when the outcome is unknown, the others for what Hapio answered.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token: str,
        now: Callable[[], datetime],
        random: Random,
        sleep: Callable[[float], Awaitable[None]],
        transport: httpx.AsyncBaseTransport | None = None,
        on_call: Callable[[SchedulerCall], None] = _ignore,
        patience: float = 2.0,
    ) -> None:
        self._now = now
        self._random = random
        self._sleep = sleep
        self._on_call = on_call
        self._patience = patience
        self._breaker = Breaker(now, provider="hapio")
        self._told: tuple[datetime, int, int] | None = None
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
            timeout=httpx.Timeout(8.0, connect=3.0),
            transport=transport,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @property
    def down(self) -> bool:
        """Whether Hapio has failed so often that nothing is being sent."""
        return self._breaker.open

    @property
    def tripped(self) -> bool:
        """Whether Hapio has failed repeatedly and has not answered since."""
        return self._breaker.tripped

    @property
    def remaining(self) -> int | None:
        """Requests left in this minute, as Hapio last said; None if it has not said lately."""
        told = self._recently_told()
        return told[1] if told else None

    @property
    def limit(self) -> int | None:
        """Requests allowed per minute, as Hapio last said; None if it has not said lately."""
        told = self._recently_told()
        return told[2] if told else None

    async def locations(self) -> list[Location]:
        """All enabled locations, oldest first."""
        params = {"disabled": "exclude", "sort": "created_at.asc"}
        return await self._pages("getLocations", "/locations", _Page[Location], params)

    async def services(self) -> list[SchedulerService]:
        """All enabled services, oldest first."""
        params = {"disabled": "exclude", "sort": "created_at.asc"}
        return await self._pages("getServices", "/services", _Page[SchedulerService], params)

    async def resources(self) -> list[Resource]:
        """All enabled resources, oldest first."""
        params = {"disabled": "exclude", "sort": "created_at.asc"}
        bodies = await self._pages("getResources", "/resources", _Page[_ResourceBody], params)
        return [Resource(body.id, body.name, body.max_simultaneous_bookings) for body in bodies]

    async def service_resource_ids(self, service_id: str) -> list[str]:
        """Who offers the service, enabled or not."""
        path = f"/services/{_id(service_id)}/resources"
        associations = await self._call("getServiceResources", "GET", path, _ASSOCIATIONS.validate_json)
        return [association.resource_id for association in associations]

    async def bookable_slots(
        self, service_id: str, *, location_id: str, starts_from: datetime, ends_to: datetime
    ) -> list[Slot]:
        """Every bookable start of a fixed service with all who are free then, from all pages."""
        params = {"location": location_id, "from": _timestamp(starts_from), "to": _timestamp(ends_to)}
        path = f"/services/{_id(service_id)}/bookable-slots"
        bodies = await self._pages("getServiceBookableSlots", path, _Page[_SlotBody], params)
        return [
            Slot(
                body.starts_at,
                body.ends_at,
                body.buffer_starts_at,
                body.buffer_ends_at,
                tuple(resource.id for resource in body.resources),
            )
            for body in bodies
        ]

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
        """Lock (or book) a time, once, even if an answer is lost on the way.

        Hapio has no idempotency keys, so after an attempt of unknown outcome we look for the booking by our
        own id before trying again. SchedulerRefused: not bookable, nothing was created. SchedulerUnreachable
        and SchedulerFailed: a booking tagged `holdfast_id` may exist, or come into being yet.
        """
        body = {
            "service_id": service_id,
            "location_id": location_id,
            "resource_id": resource_id,
            "starts_at": _timestamp(starts_at),
            "ends_at": _timestamp(ends_at),
            "is_temporary": is_temporary,
            "metadata": {**(metadata or {}), "holdfast_id": _tag(holdfast_id)},
        }
        unknown: SchedulerError | None = None
        for attempt in range(1, _ATTEMPTS + 1):
            refusal: SchedulerRefused | None = None
            try:
                return await self._call(
                    "postBooking", "POST", "/bookings", _BOOKING.validate_json, json=body, repeatable=False
                )
            except (SchedulerUnreachable, SchedulerFailed) as error:
                unknown = error
            except SchedulerRefused as error:
                # An attempt without an answer may itself have taken the time that is now refused.
                if unknown is None:
                    raise
                refusal = error
            except SchedulerError as error:
                # "Nothing was done" would be true of this attempt only.
                if unknown is None:
                    raise
                raise unknown from error

            try:
                found = await self.find_bookings(holdfast_id)
            except SchedulerError as error:
                raise unknown from error
            for booking in found:
                same = booking.resource_id == resource_id and booking.starts_at == starts_at
                if same and booking.is_temporary == is_temporary and not booking.is_canceled:
                    return booking
            if refusal:
                raise refusal
            if attempt < _ATTEMPTS:
                await self._sleep(self._backoff(attempt))
        assert unknown is not None  # noqa: S101 - the loop ends here only after three unknown outcomes
        raise unknown

    async def finalize_booking(self, booking_id: str, *, metadata: Mapping[str, str]) -> SchedulerBooking:
        """Make a temporary booking permanent; safe to repeat. SchedulerNotFound when it is gone.

        `metadata` must be the whole of it, `holdfast_id` included: a PATCH may replace rather than merge.
        Hapio does not check availability again for this change (Hapio API v1.7, patchBooking).
        """
        _tag(metadata.get("holdfast_id", ""))
        body = {"is_temporary": False, "metadata": dict(metadata)}
        path = f"/bookings/{_id(booking_id)}"
        return await self._call("patchBooking", "PATCH", path, _BOOKING.validate_json, json=body)

    async def replace_metadata(self, booking_id: str, metadata: Mapping[str, str]) -> SchedulerBooking:
        """Write a booking's metadata, whole; safe to repeat. SchedulerNotFound when it is gone."""
        _tag(metadata.get("holdfast_id", ""))
        body, path = {"metadata": dict(metadata)}, f"/bookings/{_id(booking_id)}"
        return await self._call("patchBooking", "PATCH", path, _BOOKING.validate_json, json=body)

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

        Hapio checks the time anew: SchedulerRefused when somebody else has it by now. The booking window is
        overruled, if the token may do that, because it was kept when the time was booked.
        """
        return await self._change(
            booking_id,
            {"is_canceled": False},
            lambda booking: not booking.is_canceled,
            overrule="ignore_booking_window",
        )

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
        """Move a booking in one step; safe to repeat, since Hapio checks only what changes. Its price is Hapio's anew.

        SchedulerRefused: the new time is taken or not bookable, and the booking is where it was. `metadata` must be
        the whole of it, as for `finalize_booking`. Give the buffers of the new slot when the service changes: Hapio
        derives them anew only beside a start or an end that changes (Hapio API v1.7, patchBooking). Look at the
        answer's `is_canceled`: a canceled booking is moved unchecked, and takes up nothing.
        """
        _tag(metadata.get("holdfast_id", ""))
        body: dict[str, Any] = {
            "service_id": service_id,
            "resource_id": resource_id,
            "location_id": location_id,
            "starts_at": _timestamp(starts_at),
            "ends_at": _timestamp(ends_at),
            "metadata": dict(metadata),
        }
        for name, moment in (("buffer_starts_at", buffer_starts_at), ("buffer_ends_at", buffer_ends_at)):
            if moment is not None:
                body[name] = _timestamp(moment)

        def moved(booking: SchedulerBooking) -> bool:
            there = booking.starts_at == starts_at and booking.ends_at == ends_at
            theirs = (booking.service_id, booking.resource_id, booking.location_id)
            return there and theirs == (service_id, resource_id, location_id)

        return await self._change(booking_id, body, moved)

    async def delete_booking(self, booking_id: str) -> None:
        """Give the time back. A booking that is already gone is what was wanted."""
        path = f"/bookings/{_id(booking_id)}"
        with suppress(SchedulerNotFound):
            await self._call("deleteBooking", "DELETE", path, lambda _content: None)

    async def get_booking(self, booking_id: str) -> SchedulerBooking:
        """One booking, whatever its state."""
        return await self._call("getBooking", "GET", f"/bookings/{_id(booking_id)}", _BOOKING.validate_json)

    async def find_bookings(self, holdfast_id: str) -> list[SchedulerBooking]:
        """All bookings tagged with our booking's id, temporary and canceled ones too."""
        params = {"metadata[holdfast_id][eq]": _tag(holdfast_id), "canceled": "include"}
        found = await self._bookings({**params, "temporary": "include"})
        # Callers adopt and delete what they find: a filter that Hapio ignored must not hand them a stranger's.
        return [booking for booking in found if booking.metadata.get("holdfast_id") == holdfast_id]

    async def overlapping_bookings(
        self, resource_id: str, *, starts_from: datetime, ends_to: datetime
    ) -> list[SchedulerBooking]:
        """What occupies a resource in an interval: temporary and permanent, not canceled."""
        return await self._bookings(
            {
                "resource": _id(resource_id),
                "from": _timestamp(starts_from),
                "to": _timestamp(ends_to),
                "temporary": "include",
                "canceled": "exclude",
            }
        )

    async def temporary_bookings(self, *, created_before: datetime) -> list[SchedulerBooking]:
        """Temporary bookings made before a moment, whoever made them: look at their `holdfast_id`."""
        params = {"temporary": "only", "canceled": "include", "created_at[lt]": _timestamp(created_before)}
        found = await self._bookings(params)
        return [booking for booking in found if booking.is_temporary and booking.created_at < created_before]

    async def changed_bookings(self, since: datetime) -> list[SchedulerBooking]:
        """Final bookings that were changed at or after a moment, canceled ones too, whoever made them. What was
        deleted is in no list."""
        return await self._bookings(
            {"temporary": "exclude", "canceled": "include", "updated_at[gte]": _timestamp(since)}
        )

    async def coming_bookings(self, ends_after: datetime) -> list[SchedulerBooking]:
        """Final bookings that end after a moment, canceled ones too, whoever made them."""
        return await self._bookings({"temporary": "exclude", "canceled": "include", "from": _timestamp(ends_after)})

    async def _change(
        self, booking_id: str, body: Mapping[str, Any], done: Callable[[SchedulerBooking], bool], *, overrule: str = ""
    ) -> SchedulerBooking:
        """A PATCH that can be repeated. `overrule` names a flag that needs an ability of its own."""
        path = f"/bookings/{_id(booking_id)}"

        async def patch(json: Mapping[str, Any]) -> SchedulerBooking:
            return await self._call("patchBooking", "PATCH", path, _BOOKING.validate_json, json=json)

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
        return await self._pages("getBookings", "/bookings", _Page[SchedulerBooking], query)

    async def _pages(self, operation: str, path: str, page: type[_Page[T]], params: Mapping[str, str]) -> list[T]:
        items: list[T] = []
        number = 0
        while True:
            number += 1
            query = {**params, "per_page": str(PAGE_SIZE), "page": str(number)}
            answer = await self._call(operation, "GET", path, page.model_validate_json, params=query)
            items += answer.data
            if number >= answer.meta.last_page or not answer.data:
                return items

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
        """Up to three attempts. A call that is not `repeatable` is tried again only after 429, which means
        that nothing was done (Hapio SDK). An own loop, because stamina sleeps by the real clock."""
        waited = 0.0
        attempt = 0
        unknown: SchedulerError | None = None
        while True:
            attempt += 1
            wait = self._backoff(attempt)
            try:
                return await self._send(operation, method, path, read, params, json)
            except SchedulerRateLimited as error:
                wait = max(wait, error.retry_after)
                waited += wait
                if attempt == _ATTEMPTS or waited > self._patience:
                    raise unknown or error from error
            except SchedulerDown as error:
                raise unknown or error from error
            except (SchedulerUnreachable, SchedulerFailed) as error:
                if attempt == _ATTEMPTS or not repeatable:
                    raise
                # "Nothing was done", said of a later attempt, is not true of this one.
                unknown = None if method == "GET" else error
            await self._sleep(wait)

    async def _send(
        self,
        operation: str,
        method: str,
        path: str,
        read: Callable[[bytes], T],
        params: Mapping[str, str] | None,
        json: Mapping[str, Any] | None,
    ) -> T:
        wait = self._breaker.check()
        if wait:
            raise SchedulerDown(f"{operation}: not sent, Hapio has failed repeatedly", retry_after=wait)
        began = self._now()
        status = None
        try:
            response = await self._http.request(method, path, params=params, json=json)
            status = response.status_code
        except httpx.RequestError as error:
            self._breaker.failed()
            log.info("no answer", provider="hapio", operation=operation, reason=type(error).__name__)
            raise SchedulerUnreachable(f"{operation}: {type(error).__name__}") from error
        finally:
            seconds = (self._now() - began).total_seconds()
            self._on_call(SchedulerCall(at=began, operation=operation, status=status, seconds=seconds))
        if status >= 500:
            self._breaker.failed()
        else:
            self._breaker.succeeded()
        self._hear_limit(response.headers)
        if not response.is_success:
            refusal = self._error(operation, response)
            # Which fields, and not what Hapio says of them: it may repeat a customer's words.
            fields = sorted(getattr(refusal, "errors", ()))
            # A taken time is everyday life, and an outage is told by whoever could not go on without the answer.
            tell = log.warning if status in {401, 403} else log.info
            tell("refused", provider="hapio", operation=operation, status=status, fields=fields)
            raise refusal
        try:
            return read(response.content)
        except ValidationError as error:
            # Only where it went wrong: the values may be a customer's.
            places = ", ".join(sorted({".".join(map(str, item["loc"])) for item in error.errors()})[:5])
            log.warning("unreadable answer", provider="hapio", operation=operation, status=status, at=places)
            message = f"{operation}: an answer that cannot be read, at: {places or 'the whole'}"
            raise SchedulerFailed(message, http_status=status) from None

    def _error(self, operation: str, response: httpx.Response) -> SchedulerError:
        """What an answer outside 200-299 means. Never fails, whatever the body is."""
        status = response.status_code
        body = response.text[:_BODY_KEPT]
        content: Any = None
        with suppress(ValueError):
            content = response.json()
        content = content if isinstance(content, dict) else {}
        message = f"{operation}: {status} {content.get('message', '')}".rstrip()
        if status == 429:
            return SchedulerRateLimited(message, retry_after=self._retry_after(response.headers), body=body)
        if status == 422:
            return SchedulerRefused(
                message,
                errors=_texts_by_field(content.get("errors")),
                messages=_text_by_field(content.get("messages")),
                body=body,
            )
        kinds = {401: SchedulerUnauthorized, 403: SchedulerForbidden, 404: SchedulerNotFound}
        kind = kinds.get(status, SchedulerError if 400 <= status < 500 else SchedulerFailed)
        return kind(message, http_status=status, body=body)

    def _retry_after(self, headers: httpx.Headers) -> float:
        """Seconds or an HTTP date; a second if Hapio did not say (as the Hapio SDK waits)."""
        text = headers.get("retry-after", "")
        if text.isascii() and text.isdigit():
            return float(text)
        with suppress(ValueError):
            moment = parsedate_to_datetime(text)
            if moment.tzinfo is not None:
                return max(0.0, (moment - self._now()).total_seconds())
        return 1.0

    def _hear_limit(self, headers: httpx.Headers) -> None:
        limit, remaining = headers.get("x-ratelimit-limit", ""), headers.get("x-ratelimit-remaining", "")
        if limit.isdecimal() and remaining.isdecimal():
            self._told = (self._now(), int(remaining), int(limit))

    def _recently_told(self) -> tuple[datetime, int, int] | None:
        if self._told is None or self._now() - self._told[0] >= _LIMIT_WINDOW:
            return None
        return self._told

    def _backoff(self, attempt: int) -> float:
        return _FIRST_WAIT * 2.0 ** (attempt - 1) * self._random.uniform(1.0, 1.5)


def _id(value: str) -> str:
    """A Hapio id for a path. Anything else is not found, as Hapio itself answers (Hapio live test); an empty
    one would turn the path into another operation's."""
    if not _UUID.fullmatch(value):
        raise SchedulerNotFound("not an id of Hapio", http_status=404)
    return value


def _tag(holdfast_id: str) -> str:
    if not holdfast_id:
        raise ValueError("a booking in Hapio without our id could never be found again")
    return holdfast_id


def _timestamp(moment: datetime) -> str:
    """The only form that Hapio takes: whole seconds and a numeric offset (Hapio live test)."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _texts_by_field(value: object) -> dict[str, Sequence[str]]:
    if not isinstance(value, dict):
        return {}
    return {
        str(field): [str(text) for text in texts] if isinstance(texts, list) else [str(texts)]
        for field, texts in value.items()
    }


def _text_by_field(value: object) -> dict[str, str]:
    return {str(field): str(text) for field, text in value.items()} if isinstance(value, dict) else {}
