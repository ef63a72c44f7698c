"""Setting up Hapio: what a project has, and changing it. Facts are cited as in `translation`.

Hapio has no keys that make a repeated request harmless, so what is created is looked for by its name, or by its hours,
whenever an answer is lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from app.domain.studio import Hours, Span, Week, same_name, tidy
from app.errors import SchedulerNotFound
from app.scheduling.arrangement import (
    Arrangement,
    ChangePerson,
    ChangePlace,
    ChangeService,
    FoundHours,
    FoundPerson,
    MakePerson,
    MakePlace,
    MakeService,
    Offer,
    Plan,
    SetDays,
    SetWeek,
    Step,
    Withdraw,
)
from app.scheduling.connection import Connection
from app.scheduling.hapio.setup_translation import (
    DayBlock,
    DayBlockBody,
    PersonBody,
    PlaceBody,
    RecurringBody,
    ServiceBody,
    WeekBlockBody,
    blocks_for,
    days_of,
    found_place,
    found_service,
    hours_on,
    left_of,
    page_reader,
    read_made,
    service_body,
    spans_on,
    week_block_body,
    week_of,
)
from app.scheduling.hapio.translation import id_in_path, read_associations, timestamp

_Body = TypeVar("_Body", bound=BaseModel)

#: Hapio's default and largest page (Hapio SDK).
_PAGE_SIZE = 100
#: How far ahead days that differ from the week are read.
_AHEAD = timedelta(days=730)

_IRREGULAR = "it has schedules there that begin later, end, or do not repeat every week"


@dataclass(slots=True)
class _Ids:
    """What is where, by name; grows as things are made."""

    place: str = ""
    services: dict[str, str] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)

    def service(self, name: str) -> str:
        return _of(name, self.services)

    def person(self, name: str) -> str:
        return _of(name, self.people)


class HapioSetup:
    """`now` gives aware datetimes."""

    def __init__(self, connection: Connection, *, now: Callable[[], datetime]) -> None:
        self._connection = connection
        self._now = now

    async def describe(self) -> Arrangement:
        """All places, services and people, disabled ones too, with everyone's hours. Three calls, one for each service,
        two for each person, and one for each of their schedules."""
        places = [found_place(one) for one in await self._list("getLocations", "/locations", PlaceBody)]
        services = [found_service(one) for one in await self._list("getServices", "/services", ServiceBody)]
        offered: dict[str, set[str]] = {}
        for service in services:
            path = f"/services/{id_in_path(service.id)}/resources"
            for person in await self._connection.call("getServiceResources", "GET", path, read_associations):
                offered.setdefault(person, set()).add(service.id)
        zones = {place.id: ZoneInfo(place.time_zone) for place in places}
        people = [
            FoundPerson(
                id=one.id,
                name=one.name,
                at_once=one.max_simultaneous_bookings,
                service_ids=frozenset(offered.get(one.id, ())),
                hours=await self._hours(one.id, zones),
                enabled=one.enabled,
            )
            for one in await self._list("getResources", "/resources", PersonBody)
        ]
        return Arrangement(tuple(places), tuple(services), tuple(people))

    async def apply(self, plan: Plan, done: Callable[[Step], None]) -> None:
        """Make each step so, and tell of it. Broken off anywhere, another plan has what is left."""
        have = plan.have
        ids = _Ids(
            next((one.id for one in have.places if same_name(one.name, plan.place)), ""),
            {one.name: one.id for one in reversed(have.services)},
            {one.name: one.id for one in reversed(have.people)},
        )
        for step in plan.steps:
            await self._do(step, ids)
            done(step)

    async def _do(self, step: Step, ids: _Ids) -> None:
        body: dict[str, Any]
        change: dict[str, Any]
        match step:
            case MakePlace(place):
                # Which person a booking without one gets: ours always name one.
                body = {"name": place.name, "time_zone": place.time_zone, "resource_selection_strategy": "equalize"}
                ids.place = await self._make_named("postLocation", "getLocations", "/locations", body)
            case ChangePlace(found, time_zone):
                change = {"time_zone": time_zone, "enabled": True}
                await self._write("patchLocation", "PATCH", f"/locations/{id_in_path(found.id)}", change)
            case MakeService(service):
                made = await self._make_named("postService", "getServices", "/services", service_body(service))
                ids.services[service.name] = made
            case ChangeService(found, service, _, renamed):
                kept = {"type"} if renamed else {"name", "type"}
                change = {name: value for name, value in service_body(service).items() if name not in kept}
                await self._write("patchService", "PATCH", f"/services/{id_in_path(found.id)}", change)
            case MakePerson(person):
                body = {"name": person.name, "max_simultaneous_bookings": step.at_once}
                ids.people[person.name] = await self._make_named("postResource", "getResources", "/resources", body)
            case ChangePerson(found, at_once):
                limit = {} if at_once is None else {"max_simultaneous_bookings": at_once}
                change = {**limit, "enabled": True}
                await self._write("patchResource", "PATCH", f"/resources/{id_in_path(found.id)}", change)
            case Offer(person_name, service_name):
                await self._write("putResourceService", "PUT", _association(ids, person_name, service_name), None)
            case Withdraw(person_name, service_name):
                path = _association(ids, person_name, service_name)
                await self._remove("deleteResourceService", path)
            case SetWeek(person_name, week, time_zone):
                await self._set_week(ids.person(person_name), ids.place, week, ZoneInfo(time_zone))
            case SetDays(person_name, days, time_zone):
                await self._set_days(ids.person(person_name), ids.place, days, ZoneInfo(time_zone))

    # -- hours -----------------------------------------------------------------------------------------------

    async def _hours(self, person: str, zones: Mapping[str, ZoneInfo]) -> dict[str, FoundHours]:
        weeks: dict[str, list[WeekBlockBody]] = {}
        fixed: set[str] = set()
        for schedule in await self._schedules(person):
            zone = zones.get(schedule.location_id)
            if zone is None or (schedule.end_date and schedule.end_date < self._now().astimezone(zone).date()):
                continue
            if not self._is_every_week(schedule, zone):
                fixed.add(schedule.location_id)
            blocks = await self._list("getResourceRecurringScheduleBlocks", _blocks(person, schedule.id), WeekBlockBody)
            weeks.setdefault(schedule.location_id, []).extend(blocks)
        days: dict[str, list[DayBlockBody]] = {}
        for block in await self._day_blocks(person):
            if block.location_id in zones:
                days.setdefault(block.location_id, []).append(block)
        return {
            place: FoundHours(
                week=(week := week_of(weeks.get(place, ()))),
                days={
                    day: hours_on(day, blocks, week, zones[place])
                    for blocks in [days.get(place, [])]
                    for day in sorted(days_of(blocks, zones[place]))
                    if day >= self._now().astimezone(zones[place]).date()
                },
                fixed=_IRREGULAR if place in fixed else "",
            )
            for place in zones
            if place in weeks or place in days
        }

    def _is_every_week(self, schedule: RecurringBody, zone: ZoneInfo) -> bool:
        begun = schedule.start_date <= self._now().astimezone(zone).date()
        return begun and schedule.end_date is None and schedule.interval == 1

    async def _set_week(self, person: str, place: str, week: Week, zone: ZoneInfo) -> None:
        """What is no longer wanted goes first: blocks of one schedule must not overlap (Hapio API v1.7)."""
        today = self._now().astimezone(zone).date()
        schedules = [
            one
            for one in await self._schedules(person)
            if one.location_id == place and (one.end_date is None or one.end_date >= today)
        ]
        if not schedules:
            body = {"location_id": place, "start_date": today.isoformat()}

            async def made() -> str | None:
                return next((one.id for one in await self._schedules(person) if one.location_id == place), None)

            path = f"/resources/{id_in_path(person)}/recurring-schedules"
            schedule = await self._make("postResourceRecurringSchedule", path, body, made)
        else:
            schedule = schedules[0].id
        missing = {(day, span) for day, spans in tidy(week).items() for span in spans}
        for one in [schedule, *(other.id for other in schedules[1:])]:
            path = _blocks(person, one)
            for block in await self._list("getResourceRecurringScheduleBlocks", path, WeekBlockBody):
                if block.place in missing:
                    missing.discard(block.place)
                else:
                    await self._remove("deleteResourceRecurringScheduleBlock", f"{path}/{id_in_path(block.id)}")
        for day, span in sorted(missing):
            path = _blocks(person, schedule)

            async def there(path: str = path, wanted: tuple[int, Span] = (day, span)) -> str | None:
                blocks = await self._list("getResourceRecurringScheduleBlocks", path, WeekBlockBody)
                return next((block.id for block in blocks if block.place == wanted), None)

            await self._make("postResourceRecurringScheduleBlock", path, week_block_body(day, span), there)

    async def _set_days(self, person: str, place: str, days: Mapping[date, Hours | None], zone: ZoneInfo) -> None:
        """Blocks that touch these days are made again, with what they cover of other days. Blocks of the same kind must
        not overlap (Hapio API v1.7), so the old ones go first."""
        known = [block for block in await self._day_blocks(person) if block.location_id == place]
        touching = [block for block in known if any(spans_on(day, block, zone) for day in days)]
        wanted = [*blocks_for(days, zone), *(piece for block in touching for piece in left_of(block, days, zone))]
        for block in touching:
            if not any(one.same_as(block) for one in wanted):
                await self._remove("deleteResourceScheduleBlock", f"{_day_blocks(person)}/{id_in_path(block.id)}")
        for one in wanted:
            if not any(one.same_as(block) for block in touching):
                await self._make_day_block(person, place, one)

    async def _make_day_block(self, person: str, place: str, wanted: DayBlock) -> None:
        async def there() -> str | None:
            blocks = [block for block in await self._day_blocks(person) if block.location_id == place]
            return next((block.id for block in blocks if wanted.same_as(block)), None)

        await self._make("postResourceScheduleBlock", _day_blocks(person), wanted.body(place), there)

    async def _schedules(self, person: str) -> list[RecurringBody]:
        path = f"/resources/{id_in_path(person)}/recurring-schedules"
        return await self._list("getResourceRecurringSchedules", path, RecurringBody)

    async def _day_blocks(self, person: str) -> list[DayBlockBody]:
        """Those that are not over."""
        now = self._now()
        bounds = {"from": timestamp(now - timedelta(days=1)), "to": timestamp(now + _AHEAD), "sort": "starts_at.asc"}
        return await self._list("getResourceScheduleBlocks", _day_blocks(person), DayBlockBody, bounds)

    # -- asking ----------------------------------------------------------------------------------------------

    async def _list(
        self, operation: str, path: str, body: type[_Body], params: Mapping[str, str] | None = None
    ) -> list[_Body]:
        """All pages, disabled ones too, oldest first."""
        rows: list[_Body] = []
        number = 0
        while True:
            number += 1
            query = {"sort": "created_at.asc", **(params or {}), "per_page": str(_PAGE_SIZE), "page": str(number)}
            if path in {"/locations", "/services", "/resources"}:
                query["disabled"] = "include"
            page = await self._connection.call(operation, "GET", path, page_reader(body), params=query)
            rows += page.items
            if number >= page.last_page or not page.items:
                return rows

    async def _write(self, operation: str, method: str, path: str, body: Mapping[str, Any] | None) -> None:
        """What can be repeated."""
        await self._connection.call(operation, method, path, lambda _content: None, json=body)

    async def _remove(self, operation: str, path: str) -> None:
        """What is already gone is what was wanted."""
        with suppress(SchedulerNotFound):
            await self._connection.call(operation, "DELETE", path, lambda _content: None)

    async def _make_named(self, operation: str, lister: str, path: str, body: Mapping[str, Any]) -> str:
        async def there() -> str | None:
            things = await self._list(lister, path, _ANY[path])
            return next((one.id for one in things if same_name(one.name, str(body["name"]))), None)

        return await self._make(operation, path, body, there)

    async def _make(
        self, operation: str, path: str, body: Mapping[str, Any], there: Callable[[], Awaitable[str | None]]
    ) -> str:
        """Make one, once, even if an answer is lost; its id. SchedulerUnreachable and SchedulerFailed: it may exist, or
        come into being yet."""

        async def send() -> str:
            return await self._connection.call(operation, "POST", path, read_made, json=body, repeatable=False)

        made, _ = await self._connection.make_once(send, there)
        return made


_ANY: Mapping[str, type[PlaceBody] | type[ServiceBody] | type[PersonBody]] = {
    "/locations": PlaceBody,
    "/services": ServiceBody,
    "/resources": PersonBody,
}


def _of(name: str, ids: Mapping[str, str]) -> str:
    found = next((value for known, value in ids.items() if same_name(known, name)), None)
    if found is None:
        raise SchedulerNotFound(f"{name} is neither there nor planned")
    return found


def _association(ids: _Ids, person: str, service: str) -> str:
    return f"/resources/{id_in_path(ids.person(person))}/services/{id_in_path(ids.service(service))}"


def _blocks(person: str, schedule: str) -> str:
    return f"/resources/{id_in_path(person)}/recurring-schedules/{id_in_path(schedule)}/schedule-blocks"


def _day_blocks(person: str) -> str:
    return f"/resources/{id_in_path(person)}/schedule-blocks"
