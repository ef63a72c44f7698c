"""Cal.com's set-up: the owner's event types and default schedule. Facts are cited as in `translation`.

One key has one owner, who is the only person and the only place. Prices are not Cal.com's: no input sets one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

from app.domain.studio import MIDNIGHT, Hours, Span, StudioService, Week, merged
from app.errors import SchedulerError, SchedulerFailed, SchedulerUnreachable
from app.scheduling.arrangement import (
    Arrangement,
    ChangeService,
    FoundHours,
    FoundPerson,
    FoundPlace,
    FoundService,
    MakeService,
    Plan,
    SetDays,
    SetWeek,
    Step,
)
from app.scheduling.calcom.translation import EventType, Me
from app.scheduling.calcom.webhook import TRIGGERS
from app.scheduling.connection import ATTEMPTS, Connection
from app.scheduling.zone_names import ZoneName

T = TypeVar("T")

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MINUTE: Final = timedelta(minutes=1)
#: The last minute that a time of the form HH:MM can name; whether 24:00 is taken is nowhere said.
_LAST: Final = "23:59"
#: The longest page of a list (Cal.com API v2).
_MOST_WEBHOOKS: Final = "250"
#: An override from midnight to midnight closes its day.
_CLOSED: Final = {"startTime": "00:00", "endTime": "00:00"}
_SCHEDULE_NAME: Final = "Working hours"


def _minutes(value: object) -> int:
    """`HH:MM`, or with seconds, in minutes."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{2}:\d{2}(:\d{2}(\.\d+)?)?", value):
        raise ValueError("not a time")
    return int(value[:2]) * 60 + int(value[3:5])


_Clock = Annotated[int, BeforeValidator(_minutes)]


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class _Times(_Body):
    start_time: _Clock
    end_time: _Clock

    @property
    def hours(self) -> Hours:
        closes = MIDNIGHT if self.end_time == MIDNIGHT - 1 else self.end_time
        return (Span(self.start_time, closes),) if self.start_time < closes else ()


class _Weekly(_Times):
    days: list[str]


class _Override(_Times):
    date: date


class _Schedule(_Body):
    id: int
    name: str
    time_zone: ZoneName
    availability: list[_Weekly] = []
    overrides: list[_Override] = []


class _MaybeSchedule(_Body):
    data: _Schedule | None = None


class _SetUpType(_Body):
    """What of an event type only its set-up asks for."""

    id: int
    slot_interval: int | None = None


class _SetUpTypes(_Body):
    data: list[_SetUpType]


class _Made(_Body):
    id: int


class _MadeType(_Body):
    data: _Made


class _Webhook(_Body):
    id: str
    subscriber_url: str


class _Webhooks(_Body):
    data: list[_Webhook]


class CalcomSetup:
    """`now` gives aware datetimes, `versioned` the headers of a path."""

    def __init__(
        self,
        connection: Connection,
        *,
        now: Callable[[], datetime],
        versioned: Callable[[str], dict[str, str]],
    ) -> None:
        self._connection = connection
        self._now = now
        self._versioned = versioned

    async def describe(self, me: Me, types: Sequence[EventType]) -> Arrangement:
        """Two calls in addition to those that read `me` and `types`. Event types that cannot be sold here are among
        them."""
        schedule = await self._default_schedule()
        own = await self._own_types(me)
        hours = _hours(schedule, today=self._now().date()) if schedule else FoundHours()
        zone = schedule.time_zone if schedule else me.time_zone
        services = tuple(_service(one, own.get(one.service.id)) for one in types)
        person = FoundPerson(me.id, me.name, 1, frozenset(one.id for one in services), {me.id: hours})
        return Arrangement((FoundPlace(me.id, me.name, zone),), services, (person,))

    async def apply(self, plan: Plan, done: Callable[[Step], None]) -> None:
        """Make each step so, and tell of it. Places and people are not Cal.com's to make."""
        for step in plan.steps:
            match step:
                case MakeService(service):
                    await self._make_type(service)
                case ChangeService(found, service, _, renamed):
                    kept = {"slug"} if renamed else {"title", "slug"}  # the slug is a public address
                    body = {name: value for name, value in _type_body(service).items() if name not in kept}
                    await self._write("patchEventType", "PATCH", f"/event-types/{int(found.id)}", body)
                case SetWeek(_, week, time_zone):
                    await self._set_week(week, time_zone)
                case SetDays(_, days, _):
                    await self._set_days(days)
                case _:
                    raise SchedulerError(f"Cal.com's API cannot {step}")
            done(step)

    # -- event types -----------------------------------------------------------------------------------------

    async def _own_types(self, me: Me) -> Mapping[str, _SetUpType]:
        found = await self._call(
            "getEventTypes", "GET", "/event-types", _SetUpTypes.model_validate_json, params={"username": me.username}
        )
        return {str(one.id): one for one in found.data}

    async def _make_type(self, service: StudioService) -> None:
        """Once, even if an answer is lost: a second one of the same slug is refused (Cal.com code)."""
        unknown: SchedulerError | None = None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._call(
                    "postEventType",
                    "POST",
                    "/event-types",
                    _MadeType.model_validate_json,
                    json=_type_body(service),
                    repeatable=False,
                )
            except (SchedulerUnreachable, SchedulerFailed) as error:
                unknown = error
                await self._connection.pause(attempt)
            except SchedulerError as error:
                if unknown is None or error.http_status != 400:
                    raise
                return
            else:
                return
        assert unknown is not None  # noqa: S101 - the loop ends here only after lost answers
        raise unknown

    # -- hours -----------------------------------------------------------------------------------------------

    async def _default_schedule(self) -> _Schedule | None:
        def read(content: bytes) -> _Schedule | None:
            return _MaybeSchedule.model_validate_json(content).data

        return await self._call("getDefaultSchedule", "GET", "/schedules/default", read)

    async def _set_week(self, week: Week, time_zone: str) -> None:
        schedule = await self._default_schedule()
        body: dict[str, Any] = {"timeZone": time_zone, "availability": _availability(week)}
        if schedule is None:
            body |= {"name": _SCHEDULE_NAME, "isDefault": True}
            await self._write("postSchedule", "POST", "/schedules", body)
        else:
            await self._write("patchSchedule", "PATCH", f"/schedules/{schedule.id}", body)

    async def _set_days(self, days: Mapping[date, Hours | None]) -> None:
        """A PATCH replaces all overrides (Cal.com API v2), so those of other days are sent along."""
        schedule = await self._default_schedule()
        if schedule is None:
            raise SchedulerError("there is no default schedule; set the weekly hours first")
        known: dict[date, Hours | None] = {
            day: hours for day, hours in _days(schedule.overrides).items() if day not in days
        }
        overrides = _overrides({**known, **days})
        await self._write("patchSchedule", "PATCH", f"/schedules/{schedule.id}", {"overrides": overrides})

    # -- webhooks --------------------------------------------------------------------------------------------

    async def subscribe(self, url: str, secret: str) -> None:
        """Two at one address are refused (Cal.com code), so the one that is there is changed."""
        listed = await self._call(
            "getWebhooks", "GET", "/webhooks", _Webhooks.model_validate_json, params={"take": _MOST_WEBHOOKS}
        )
        body = {"active": True, "subscriberUrl": url, "triggers": list(TRIGGERS), "secret": secret}
        known = next((one.id for one in listed.data if one.subscriber_url.rstrip("/") == url), None)
        if known is None:
            await self._write("postWebhook", "POST", "/webhooks", body)
        else:
            await self._write("patchWebhook", "PATCH", f"/webhooks/{known}", {**body, "payloadTemplate": None})

    # -- asking ----------------------------------------------------------------------------------------------

    async def _write(self, operation: str, method: str, path: str, body: Mapping[str, Any]) -> None:
        await self._call(operation, method, path, lambda _content: None, json=body)

    # As many as the connection's own, whose headers go by the path.
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
        return await self._connection.call(
            operation,
            method,
            path,
            read,
            params=params,
            json=json,
            headers=self._versioned(path),
            repeatable=repeatable,
        )


def _service(one: EventType, own: _SetUpType | None) -> FoundService:
    service = one.service
    step = timedelta(minutes=own.slot_interval) if own and own.slot_interval else None
    return FoundService(
        id=service.id,
        name=service.name,
        duration=service.duration,
        step=step,
        buffer_before=service.buffer_before,
        buffer_after=service.buffer_after,
        notice=service.booking_window_start or timedelta(),
        # What is read of a window is never too short, so it is not what was set: it is left as it is.
        window=None,
        sellable=not one.faults,
    )


def _type_body(service: StudioService) -> dict[str, Any]:
    """Whole minutes (Cal.com API v2). No payment app, no seats, no confirmation: what is not sent is off."""
    lengths = {
        "lengthInMinutes": service.duration,
        "slotInterval": service.step,
        "beforeEventBuffer": service.buffer_before,
        "afterEventBuffer": service.buffer_after,
        "minimumBookingNotice": service.notice,
    }
    return {
        "title": service.name,
        "slug": re.sub(r"[^a-z0-9]+", "-", service.name.lower()).strip("-") or "service",
        **{name: length // _MINUTE for name, length in lengths.items() if length is not None},
    }


def _hours(schedule: _Schedule, *, today: date) -> FoundHours:
    week: dict[int, list[Span]] = {}
    for one in schedule.availability:
        for day in one.days:
            if day in _DAYS:
                week.setdefault(_DAYS.index(day), []).extend(one.hours)
    days = {day: hours for day, hours in _days(schedule.overrides).items() if day >= today - timedelta(days=1)}
    return FoundHours({day: merged(spans) for day, spans in week.items()}, days)


def _days(overrides: Iterable[_Override]) -> dict[date, Hours]:
    """An override replaces the hours of its day; several of one day add up."""
    days: dict[date, list[Span]] = {}
    for one in overrides:
        days.setdefault(one.date, []).extend(one.hours)
    return {day: merged(spans) for day, spans in days.items()}


def _availability(week: Week) -> list[dict[str, Any]]:
    """Days with an equal span are one entry."""
    days: dict[Span, list[str]] = {}
    for day in range(7):
        for span in merged(week.get(day, ())):
            days.setdefault(span, []).append(_DAYS[day])
    return [{"days": names, **_times(span)} for span, names in days.items()]


def _overrides(days: Mapping[date, Hours | None]) -> list[dict[str, str]]:
    told: list[dict[str, str]] = []
    for day in sorted(days):
        hours = days[day]
        if hours is None:
            continue
        entries = [_times(span) for span in merged(hours)] or [dict(_CLOSED)]
        told += [{"date": day.isoformat(), **one} for one in entries]
    return told


def _times(span: Span) -> dict[str, str]:
    closes = _LAST if span.closes == MIDNIGHT else f"{span.closes // 60:02}:{span.closes % 60:02}"
    return {"startTime": f"{span.opens // 60:02}:{span.opens % 60:02}", "endTime": closes}
