"""Hapio: the token with each ability, and what makes a widget empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from app.operations.setup_check.abilities import RUNNING, lacking
from app.operations.setup_check.asking import Asking, Whom, price_fault
from app.operations.setup_check.finding import Finding, clock, fail, ok, warn
from app.settings import Settings, opened
from app.widgets import Widget

#: A calendar without a free time for so long is likelier to lack a schedule than to be full.
LOOK_AHEAD = timedelta(days=31)
#: Longer than any limit by the minute asks us to wait.
_MONTHLY = timedelta(minutes=5)
_Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Project:
    """What there is in Hapio, disabled ones too."""

    places: Sequence[_Row]
    services: Sequence[_Row]
    people: Sequence[_Row]


class HapioLook:
    """One look at Hapio. `calls` is how many requests it took, since they count against the plan."""

    def __init__(
        self,
        settings: Settings,
        widgets: Mapping[str, Widget],
        *,
        now: datetime,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._widgets = widgets
        self._now = now
        self._headers = {"Authorization": f"Bearer {opened(settings.hapio_api_token)}"}
        whom = Whom("hapio", "Hapio", settings.hapio_base_url, "HAPIO_BASE_URL", "it ends in /v1")
        self._hapio = Asking(whom, transport=transport)

    @property
    def calls(self) -> int:
        return self._hapio.calls

    async def findings(self) -> list[Finding]:
        """Everything about Hapio, including what was found before it stopped answering."""
        found: list[Finding] = []
        async with self._hapio.look(found, self._headers, limited=_limited):
            await self._look(found)
        return found

    async def _look(self, found: list[Finding]) -> None:
        project = await self._hapio.ask("GET", "/project")
        fix = "Create a token for this project in Hapio's portal, and set HAPIO_API_TOKEN."
        wrong = self._hapio.turned_away(project, "the token is not accepted", fix)
        if wrong:
            found.append(wrong)
            return
        found.append(ok("hapio", "answers, and accepts the token"))
        found += clock("hapio", project, self._now)
        missing = await lacking(RUNNING, self._status)
        if missing:
            fix = "Tick them for the token in Hapio's portal; docs/by-hand.md#hapio lists them all."
            found.append(fail("hapio", f"the token lacks {', '.join(missing)}", fix))
            if any(ability.endswith(":view") for ability in missing):
                return
        else:
            found.append(ok("hapio", f"the token has all {len(RUNNING)} abilities"))
        there = _Project(*[await self._all(path) for path in ("/locations", "/services", "/resources")])
        found += _contents(there)
        for widget in self._widgets.values():
            found += await self._widget(widget, there)

    async def _status(self, method: str, path: str, body: dict[str, Any] | None) -> int:
        return (await self._hapio.ask(method, path, json=body)).status_code

    # -- what makes a widget empty -----------------------------------------------------------------------

    async def _widget(self, widget: Widget, there: _Project) -> list[Finding]:
        about = f"widget {widget.name}"
        found = list(_place_faults(about, widget, there))
        place = next((one for one in there.places if widget.location in {"", one["id"]}), None)
        wanted = [one.id for one in widget.services] or [one["id"] for one in there.services if one["enabled"]]
        for service_id in wanted:
            found += await self._service(about, widget, place, service_id, there)
        if not wanted and there.services:
            found.append(fail(about, "it offers no service", "Enable a service in Hapio's portal."))
        return found

    async def _service(
        self, about: str, widget: Widget, place: _Row | None, service_id: str, there: _Project
    ) -> list[Finding]:
        service = next((one for one in there.services if one["id"] == service_id), None)
        if service is None:
            fix = "Correct `services.id`; the services' ids are listed above."
            return [fail(about, f"its service {service_id} is not in Hapio", fix)]
        called = service["name"]
        if not service["enabled"]:
            return [fail(about, f"{called} is disabled", "Enable it in Hapio's portal, or leave it out.")]
        if service["type"] != "fixed":
            return [warn(about, f"{called} is of type {service['type']}", "Holdfast offers only `fixed` services.")]
        wrong = price_fault(widget, service["id"], service.get("price"))
        if wrong:
            return [fail(about, f"{called} {wrong}", "Correct its price in Hapio, or the widget's `currency`.")]
        answer = (await self._hapio.ask("GET", f"/services/{service_id}/resources")).raise_for_status().json()
        offering = {one["resource_id"] for one in answer}
        people = [one for one in there.people if one["id"] in offering and one["enabled"]]
        if not people:
            return [
                fail(
                    about,
                    f"no person or room offers {called}",
                    "Associate an enabled resource with it in Hapio's portal.",
                )
            ]
        if place is None or not place["enabled"]:
            return []
        return await self._times(about, service, place, people)

    async def _times(self, about: str, service: _Row, place: _Row, people: Sequence[_Row]) -> list[Finding]:
        called = service["name"]
        slots = await self._slots(service, place, per_page="100")
        if not slots:
            return [await self._why_none(about, service, place, people)]
        seen = {person["id"] for slot in slots for person in slot["resources"]}
        idle = [
            one["name"]
            for one in people
            if one["id"] not in seen and not await self._slots(service, place, resource=one["id"], per_page="1")
        ]
        found = []
        if idle:
            says = f"{', '.join(idle)} can be chosen for {called}, but has no free time within {LOOK_AHEAD.days} days"
            fix = "Give them a recurring schedule with blocks at this location, or remove the association."
            found.append(warn(about, says, fix))
        endless = [one["name"] for one in people if one.get("max_simultaneous_bookings") is None]
        if endless:
            says = f"{', '.join(endless)} can be booked by any number of people at once"
            found.append(warn(about, says, "Set max_simultaneous_bookings in Hapio, unless this is intended."))
        return found or [ok(about, f"{called} can be booked")]

    async def _why_none(self, about: str, service: _Row, place: _Row, people: Sequence[_Row]) -> Finding:
        """Which of the causes it is that a service has no free time."""
        says = f"{service['name']} has no free time within {LOOK_AHEAD.days} days"
        if await self._slots(service, place, ignore_booking_window="true", per_page="1"):
            fix = "Correct booking_window_start and booking_window_end of the service in Hapio."
            return fail(about, f"{says}: its booking window excludes all the opening hours", fix)
        schedules = {one["id"]: await self._schedules(one["id"], place) for one in people}
        if any(known is None for known in schedules.values()):
            fix = "Check that there are recurring schedules with blocks in them; docs/by-hand.md#hapio explains them."
            return warn(about, f"{says}: no opening hours at {place['name']}, or all are taken", fix)
        if not any(schedules.values()):
            fix = "Create a recurring schedule with blocks in Hapio's portal."
            return fail(about, f"{says}: no person or room has a schedule at {place['name']}", fix)
        if not any([await self._has_blocks(one, schedules[one] or ()) for one in schedules]):
            fix = "Add blocks to the recurring schedules in Hapio's portal: weekday, start and end."
            return fail(about, f"{says}: the schedules at {place['name']} have no blocks", fix)
        return warn(
            about, f"{says}: everything is taken or closed", "Add opening hours in Hapio, unless this is intended."
        )

    async def _schedules(self, person: str, place: _Row) -> list[str] | None:
        """The ids of a person's recurring schedules at a place; None if the token may not read them."""
        answer = await self._hapio.ask(
            "GET", f"/resources/{person}/recurring-schedules", params={"location": place["id"]}
        )
        if answer.status_code == 403:
            return None
        return [one["id"] for one in answer.raise_for_status().json()["data"]]

    async def _has_blocks(self, person: str, schedules: Sequence[str]) -> bool:
        for schedule in schedules:
            path = f"/resources/{person}/recurring-schedules/{schedule}/schedule-blocks"
            answer = await self._hapio.ask("GET", path, params={"per_page": "1"})
            if answer.status_code == 403 or answer.raise_for_status().json()["data"]:
                return True
        return False

    # -- asking ------------------------------------------------------------------------------------------

    async def _slots(self, service: _Row, place: _Row, **more: str) -> list[_Row]:
        params = {
            "location": place["id"],
            "from": self._now.isoformat(timespec="seconds"),
            "to": (self._now + LOOK_AHEAD).isoformat(timespec="seconds"),
            **more,
        }
        answer = await self._hapio.ask("GET", f"/services/{service['id']}/bookable-slots", params=params)
        return list(answer.raise_for_status().json()["data"])

    async def _all(self, path: str) -> list[_Row]:
        """Every page of a list, disabled ones too."""
        rows: list[_Row] = []
        page, last = 1, 1
        while page <= last:
            params = {"disabled": "include", "sort": "created_at.asc", "page": str(page), "per_page": "100"}
            body = (await self._hapio.ask("GET", path, params=params)).raise_for_status().json()
            rows += body["data"]
            page, last = page + 1, int(body["meta"]["last_page"])
        return rows


def _limited(answer: httpx.Response) -> Finding:
    told = answer.headers.get("retry-after", "")
    wait = timedelta(seconds=int(told)) if told.isdecimal() else timedelta(minutes=1)
    # How Hapio answers when a month's calls are used up is not documented. No limit by the minute asks for so long a
    # wait, or refuses while it says that calls are left in this minute.
    left = answer.headers.get("x-ratelimit-remaining", "0")
    if wait > _MONTHLY or (left.isdecimal() and int(left) > 0):
        fix = "Upgrade to a larger plan at Hapio and set HAPIO_CALLS_PER_MONTH to it, or wait for the next month."
        return fail("hapio", "Hapio answers 429: this month's calls have been used up", fix)
    says = f"Hapio answers 429: too many requests this minute; try again in {round(wait.total_seconds())} s"
    return warn("hapio", says, "Wait, and run the set-up check again: the rest of Hapio was not checked.")


def _contents(there: _Project) -> Iterator[Finding]:
    """What there is, with the ids that widgets.toml and embed tags take."""
    kinds = (("location", there.places), ("service", there.services), ("person", there.people))
    for kind, rows in kinds:
        for row in rows:
            yield ok("ids", f"{kind} {row['name']}: {row['id']}{'' if row['enabled'] else ' (disabled)'}")
    for what, rows in (("location", there.places), ("service", there.services), ("resource", there.people)):
        if not rows:
            fix = f"Create a {what} in Hapio's portal; docs/by-hand.md#hapio lists what is needed."
            yield fail("hapio", f"the project has no {what}", fix)


def _place_faults(about: str, widget: Widget, there: _Project) -> Iterator[Finding]:
    place = next((one for one in there.places if widget.location in {"", one["id"]}), None)
    if place is None and widget.location:
        fix = "Correct `location`; the locations' ids are listed above."
        yield fail(about, f"its location {widget.location} is not in Hapio", fix)
    elif place is not None and not place["enabled"]:
        yield fail(about, f"its location {place['name']} is disabled", "Enable it in Hapio's portal.")
