"""Cal.com: the key, the versions of the API, each event type that is sold, and the webhook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx

from app.operations.setup_check.asking import Asking, Whom, price_fault
from app.operations.setup_check.finding import Finding, clock, fail, ok, warn
from app.scheduling.calcom.client import VERSIONS, versioned
from app.scheduling.calcom.translation import EventType, read_event_types, read_me, read_slots, timestamp
from app.scheduling.calcom.webhook import TRIGGERS
from app.settings import Settings, opened
from app.widgets import Widget

#: A calendar without a free time for so long is likelier to lack working hours than to be full.
LOOK_AHEAD = timedelta(days=31)
_GUIDE = "docs/schedulers.md#calcom tells how"

_Row = Mapping[str, Any]


class CalcomLook:
    """One look at Cal.com. `calls` is how many requests it took."""

    def __init__(
        self,
        settings: Settings,
        widgets: Mapping[str, Widget],
        *,
        now: datetime,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._settings = settings
        self._widgets = widgets
        self._now = now
        self._headers = {"Authorization": f"Bearer {opened(settings.calcom_api_key)}"}
        whom = Whom("calcom", "Cal.com", settings.calcom_base_url, "CALCOM_BASE_URL", "it ends in /v2")
        self._calcom = Asking(whom, transport=transport)

    @property
    def calls(self) -> int:
        return self._calcom.calls

    async def findings(self) -> list[Finding]:
        """Everything about Cal.com, including what was found before it stopped answering."""
        found: list[Finding] = []
        async with self._calcom.look(found, self._headers, limited=_limited):
            await self._look(found)
        return found

    async def _look(self, found: list[Finding]) -> None:
        answer = await self._ask("/me")
        fix = "Make a new API key in Cal.com under Settings, Security, one that never expires; set CALCOM_API_KEY."
        wrong = self._calcom.turned_away(answer, "the key is not accepted, or has expired", fix)
        if wrong:
            found.append(wrong)
            return
        me = read_me(answer.content)
        found.append(ok("calcom", f"answers, and accepts the key of {me.name}"))
        found += clock("Cal.com", answer, self._now)
        types = await self._types(me.username)
        missing = [resource for resource in VERSIONS if not await self._answers(resource, types)]
        if missing:
            named = ", ".join(f"{resource} {VERSIONS[resource]}" for resource in missing)
            fix = "Check CALCOM_BASE_URL; if it is right, a newer version of Holdfast is needed."
            found.append(fail("calcom", f"does not know the versions that Holdfast speaks: {named}", fix))
            return
        known = {one.service.id: one for one in types or ()}
        for one in known.values():
            cannot = f" (cannot be sold: {'; '.join(one.faults)})" if one.faults else ""
            found.append(ok("ids", f"event type {one.service.name}: {one.service.id}{cannot}"))
        for widget in self._widgets.values():
            found += await self._widget(widget, me.id, known)
        found += await self._webhook()

    async def _types(self, username: str) -> list[EventType] | None:
        """The owner's event types; None where the version is not known."""
        answer = await self._ask("/event-types", username=username)
        return None if answer.status_code == 404 else read_event_types(answer.raise_for_status().content)

    async def _answers(self, resource: str, types: list[EventType] | None) -> bool:
        """Whether the resource is there under its version. Times can be asked for an event type only."""
        if resource == "event-types":
            return types is not None
        if resource == "slots":
            return not types or (await self._slots(types[0])).status_code != 404
        return (await self._ask(f"/{resource}")).status_code != 404

    # -- what makes a widget empty -----------------------------------------------------------------------

    async def _widget(self, widget: Widget, place: str, known: Mapping[str, EventType]) -> list[Finding]:
        about = f"widget {widget.name}"
        found: list[Finding] = []
        if widget.location not in {"", place}:
            fix = "Remove `location`: at Cal.com there is one place, the account's."
            found.append(fail(about, f"its location {widget.location} is not this account's", fix))
        if not widget.services:
            fix = "Name each event type with its price in the widget's `services`; their ids are listed above."
            found.append(fail(about, "it offers no service: Cal.com has no prices", fix))
        for setting in widget.services:
            there = known.get(setting.id)
            if there is None:
                fix = "Correct `services.id`; the event types' ids are listed above."
                found.append(fail(about, f"its event type {setting.id} is not in Cal.com", fix))
            else:
                found += await self._service(about, widget, there)
        return found

    async def _service(self, about: str, widget: Widget, there: EventType) -> list[Finding]:
        called = there.service.name
        if there.faults:
            fix = (
                "Change that in Cal.com, in the event type's settings; docs/schedulers.md#calcom lists what is needed."
            )
            return [fail(about, f"{called} cannot be sold: {'; '.join(there.faults)}", fix)]
        wrong = _price_fault(widget, there.service.id)
        if wrong:
            return [fail(about, f"{called} {wrong}", 'Correct its `price` in widgets.toml; "0" is free.')]
        found: list[Finding] = []
        if not there.movable and widget.reschedule.at_most:
            says = f"rescheduling is disabled for {called}, and Cal.com may refuse it to Holdfast, too"
            found.append(warn(about, says, "Allow it in Cal.com, or set `reschedule.at_most` to 0."))
        answer = await self._slots(there)
        if answer.status_code == 400:
            fix = "Use the event type of the person, not the team's template of it."
            found.append(fail(about, f"Cal.com gives no times for {called}", fix))
        elif not read_slots(answer.raise_for_status().content):
            says = f"{called} has no free time within {LOOK_AHEAD.days} days"
            found.append(warn(about, says, "Add working hours in Cal.com under Availability, unless this is intended."))
        return found or [ok(about, f"{called} can be booked")]

    # -- changes made there ------------------------------------------------------------------------------

    async def _webhook(self) -> list[Finding]:
        """Nothing here is a failure: what no webhook tells is found a quarter of an hour later."""
        address = f"{self._settings.public_url}/api/webhooks/calcom"
        secret = opened(self._settings.calcom_webhook_secret)
        if not secret:
            fix = f"Make a webhook for {address} with a secret, and set CALCOM_WEBHOOK_SECRET; {_GUIDE}."
            return [warn("webhook", "changes that are made in Cal.com are noticed a quarter of an hour late", fix)]
        answer = await self._ask("/webhooks", take="250")
        if answer.status_code == 403:
            return [
                warn("webhook", "the key may not list webhooks", "Check them in Cal.com under Settings, Developer.")
            ]
        rows: list[_Row] = answer.raise_for_status().json()["data"]
        there = next((row for row in rows if str(row["subscriberUrl"]).rstrip("/") == address), None)
        if there is None:
            fix = f"Make one in Cal.com under Settings, Developer; {_GUIDE}."
            return [warn("webhook", f"Cal.com has no webhook for {address}", fix)]
        return list(_webhook_faults(there, secret)) or [ok("webhook", "Cal.com's webhook is active, with every event")]

    # -- asking ------------------------------------------------------------------------------------------

    async def _slots(self, there: EventType) -> httpx.Response:
        return await self._ask(
            "/slots",
            eventTypeId=there.service.id,
            start=timestamp(self._now),
            end=timestamp(self._now + LOOK_AHEAD),
            format="range",
        )

    async def _ask(self, path: str, **params: str) -> httpx.Response:
        return await self._calcom.ask("GET", path, params=params, headers=versioned(path))


def _limited(_answer: httpx.Response) -> Finding:
    says = "Cal.com answers 429: too many requests this minute"
    fix = "Wait a minute, and run the set-up check again: the rest of Cal.com was not checked."
    return warn("calcom", says, fix)


def _price_fault(widget: Widget, service_id: str) -> str:
    """Why a service cannot be paid for; empty if it can."""
    setting = widget.setting(service_id)
    if setting is None or setting.price is None:
        return "has no price in widgets.toml, so that nobody sees it"
    return price_fault(widget, service_id)


def _webhook_faults(there: _Row, secret: str) -> Iterator[Finding]:
    if not there.get("active"):
        yield warn("webhook", "Cal.com's webhook is switched off", "Enable it in Cal.com under Settings, Developer.")
    missing = [name for name in TRIGGERS if name not in there.get("triggers", ())]
    if missing:
        says = f"Cal.com's webhook is not sent {', '.join(missing)}"
        yield warn("webhook", says, "Tick them in Cal.com under Settings, Developer.")
    if there.get("payloadTemplate"):
        says = "Cal.com's webhook has a payload template, which Holdfast cannot read"
        yield warn("webhook", says, "Remove it in Cal.com under Settings, Developer.")
    # Cal.com shows the secret to its owner; where it does not, the first webhook tells.
    if "secret" in there and there["secret"] != secret:
        says = "Cal.com's webhook has another secret than CALCOM_WEBHOOK_SECRET, and is refused"
        yield warn("webhook", says, "Copy it from one to the other.")
