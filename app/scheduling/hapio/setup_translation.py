"""What Hapio's set-up objects say, and how ours are written there. Facts are cited as in `translation`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeVar
from zoneinfo import ZoneInfo

import isodate
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator

from app.domain.local_days import moment_at
from app.domain.studio import MIDNIGHT, Hours, Span, StudioService, Week, merged, runs, without
from app.scheduling.arrangement import FoundPlace, FoundService
from app.scheduling.hapio.translation import Page, duration_of, timestamp
from app.scheduling.zone_names import ZoneName

_Body = TypeVar("_Body", bound=BaseModel)

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WHOLE_DAY: Final = (Span(0, MIDNIGHT),)
_MINUTE: Final = timedelta(minutes=1)


def _minutes(value: object) -> int:
    """`hh:mm:ss`, up to 24:00:00 (Hapio API v1.7), in minutes; seconds are dropped."""
    if not isinstance(value, str):
        raise ValueError("not a time")
    hours, minutes, *_ = (int(part) for part in value.split(":"))
    return hours * 60 + minutes


_Clock = Annotated[int, BeforeValidator(_minutes)]
_Duration = Annotated[timedelta, BeforeValidator(lambda value: duration_of(value) or timedelta())]
_MaybeDuration = Annotated[timedelta | None, BeforeValidator(duration_of)]
_Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class PlaceBody(BaseModel):
    """A location."""

    id: str
    name: str
    time_zone: ZoneName
    enabled: bool = True


class ServiceBody(BaseModel):
    """A service of any type."""

    id: str
    name: str
    type: str
    price: Decimal | None = None
    duration: _MaybeDuration = None
    bookable_interval: _MaybeDuration = None
    buffer_time_before: _Duration = timedelta()
    buffer_time_after: _Duration = timedelta()
    booking_window_start: _Duration = timedelta()
    booking_window_end: _MaybeDuration = None
    enabled: bool = True


class PersonBody(BaseModel):
    """A resource."""

    id: str
    name: str
    max_simultaneous_bookings: int | None = None
    enabled: bool = True


class RecurringBody(BaseModel):
    """A recurring schedule, without its blocks."""

    id: str
    location_id: str
    start_date: date
    end_date: date | None = None
    interval: int = 1


class WeekBlockBody(BaseModel):
    """A block of a recurring schedule."""

    id: str
    weekday: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    start_time: _Clock
    end_time: _Clock

    @property
    def place(self) -> tuple[int, Span]:
        """Its weekday and its hours."""
        return _WEEKDAYS.index(self.weekday), Span(self.start_time, self.end_time)


class DayBlockBody(BaseModel):
    """A block of one time, open or closed."""

    id: str
    location_id: str
    starts_at: _Moment
    ends_at: _Moment
    is_available: bool = True


class _Meta(BaseModel):
    last_page: int


class _PageOf(BaseModel):
    data: list[dict[str, Any]]
    meta: _Meta


class MadeBody(BaseModel):
    """What was made, by its id."""

    id: str


def page_reader(body: type[_Body]) -> Callable[[bytes], Page[_Body]]:
    """Reads a page of these."""

    def read(content: bytes) -> Page[_Body]:
        page = _PageOf.model_validate_json(content)
        return Page([body.model_validate(one) for one in page.data], page.meta.last_page)

    return read


def read_made(content: bytes) -> str:
    """The id of what was made."""
    return MadeBody.model_validate_json(content).id


def found_place(body: PlaceBody) -> FoundPlace:
    """A location as everyone has it."""
    return FoundPlace(body.id, body.name, body.time_zone, body.enabled)


def found_service(body: ServiceBody) -> FoundService:
    """A service as everyone has it. Only `fixed` ones have a length of their own (Hapio API v1.7)."""
    return FoundService(
        id=body.id,
        name=body.name,
        duration=body.duration if body.type == "fixed" else None,
        price=body.price,
        step=body.bookable_interval,
        buffer_before=body.buffer_time_before,
        buffer_after=body.buffer_time_after,
        notice=body.booking_window_start,
        window=body.booking_window_end,
        enabled=body.enabled,
        sellable=body.type == "fixed",
    )


def service_body(service: StudioService) -> dict[str, Any]:
    """What is sent of a service: only what is wanted of it. Three decimals and no other form (Hapio SDK)."""
    lengths = {
        "duration": service.duration,
        "bookable_interval": service.step,
        "buffer_time_before": service.buffer_before,
        "buffer_time_after": service.buffer_after,
        "booking_window_start": service.notice,
        "booking_window_end": service.window,
    }
    return {
        "name": service.name,
        "type": "fixed",
        "price": f"{service.price:.3f}" if service.price else None,
        "enabled": True,
        **{name: _iso(length) for name, length in lengths.items() if length is not None},
    }


def week_block_body(day: int, span: Span) -> dict[str, str]:
    """A block of a recurring schedule."""
    return {"weekday": _WEEKDAYS[day], "start_time": _hms(span.opens), "end_time": _hms(span.closes)}


def week_of(blocks: Iterable[WeekBlockBody]) -> dict[int, Hours]:
    """The hours of a week."""
    week: dict[int, list[Span]] = {}
    for block in blocks:
        day, span = block.place
        week.setdefault(day, []).append(span)
    return {day: merged(spans) for day, spans in week.items()}


def spans_on(day: date, block: DayBlockBody, zone: ZoneInfo) -> Hours:
    """Which part of a day a block takes, on the zone's clock; none of it: empty."""
    starts, ends = block.starts_at.astimezone(zone), block.ends_at.astimezone(zone)
    opens = 0 if starts.date() < day else (starts.hour * 60 + starts.minute if starts.date() == day else MIDNIGHT)
    closes = MIDNIGHT if ends.date() > day else (ends.hour * 60 + ends.minute if ends.date() == day else 0)
    return (Span(opens, closes),) if opens < closes else ()


def days_of(blocks: Iterable[DayBlockBody], zone: ZoneInfo) -> set[date]:
    """The days that blocks touch."""
    days: set[date] = set()
    for block in blocks:
        first = block.starts_at.astimezone(zone).date()
        last = (block.ends_at.astimezone(zone) - _MINUTE).date()
        days |= {first + timedelta(days=number) for number in range((last - first).days + 1)}
    return days


def hours_on(day: date, blocks: Iterable[DayBlockBody], week: Week, zone: ZoneInfo) -> Hours:
    """A day's hours: those of the week and of open blocks, less closed ones, which win (hapio-api, inferred)."""
    blocks = list(blocks)
    opened = [span for block in blocks if block.is_available for span in spans_on(day, block, zone)]
    closed = [span for block in blocks if not block.is_available for span in spans_on(day, block, zone)]
    return without([*week.get(day.weekday(), ()), *opened], closed)


@dataclass(frozen=True, slots=True)
class DayBlock:
    """A block to be made."""

    starts_at: datetime
    ends_at: datetime
    is_available: bool

    def body(self, location_id: str) -> dict[str, Any]:
        """As Hapio takes it."""
        return {
            "location_id": location_id,
            "starts_at": timestamp(self.starts_at),
            "ends_at": timestamp(self.ends_at),
            "is_available": self.is_available,
        }

    def same_as(self, block: DayBlockBody) -> bool:
        """Whether that one does what this one does."""
        return (self.starts_at, self.ends_at, self.is_available) == (block.starts_at, block.ends_at, block.is_available)


def blocks_for(days: Mapping[date, Hours | None], zone: ZoneInfo) -> list[DayBlock]:
    """The blocks that give days these hours whatever the week says: open ones, and closed ones for the rest of the day.
    Days in a row that are closed are one block. Days with None need none, and neither does what the clocks skip."""
    found: list[DayBlock] = []
    for first, last, hours in runs(days):
        if hours is None:
            continue
        if not hours:
            found.append(DayBlock(moment_at(first, 0, zone), moment_at(last, MIDNIGHT, zone), is_available=False))
            continue
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            for spans, is_available in ((merged(hours), True), (without(_WHOLE_DAY, hours), False)):
                for span in spans:
                    starts_at, ends_at = (moment_at(day, minutes, zone) for minutes in (span.opens, span.closes))
                    if starts_at < ends_at:
                        found.append(DayBlock(starts_at, ends_at, is_available))
    return found


def left_of(block: DayBlockBody, days: Iterable[date], zone: ZoneInfo) -> list[DayBlock]:
    """What a block covers outside of some days."""
    cuts = sorted((moment_at(day, 0, zone), moment_at(day, MIDNIGHT, zone)) for day in days)
    left: list[DayBlock] = []
    start = block.starts_at
    for begins, ends in cuts:
        if ends <= start or begins >= block.ends_at:
            continue
        if start < begins:
            left.append(DayBlock(start, begins, block.is_available))
        start = max(start, ends)
    if start < block.ends_at:
        left.append(DayBlock(start, block.ends_at, block.is_available))
    return left


def _iso(length: timedelta) -> str:
    return str(isodate.duration_isoformat(length)) if length else "PT0S"


def _hms(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}:00"
