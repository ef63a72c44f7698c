"""Calendly: the token with each scope, the plan, the webhook subscription, and which event types can be sold, of each
account."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import httpx

from app.errors import SchedulerError, SchedulerNotConnected, SchedulerUnauthorized
from app.operations.setup_check.asking import Asking, Whom, price_fault
from app.operations.setup_check.finding import Finding, clock, fail, ok, warn
from app.scheduling.calendly.dialect import FREE_CALLS, CalendlyDialect
from app.scheduling.calendly.tokens import Access, PersonalAccess
from app.scheduling.calendly.translation import Account, EventType, Page, read_account, read_event_types
from app.scheduling.calendly.webhook import EVENTS
from app.settings import Settings, opened
from app.widgets import Widget

T = TypeVar("T")

#: Each scope with a request that needs it and changes nothing: what it would change does not exist, or it lacks every
#: field. None books, because a refused booking may count against the day's.
_SCOPES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("event_types:read", "GET", "/event_types", ("user",)),
    ("availability:read", "GET", "/user_availability_schedules", ("user",)),
    ("scheduled_events:read", "GET", "/scheduled_events", ("user",)),
    ("scheduled_events:write", "POST", "/scheduled_events/00000000-0000-4000-8000-000000000000/cancellation", ()),
    ("webhooks:read", "GET", "/webhook_subscriptions", ("user", "organization", "scope")),
    ("webhooks:write", "POST", "/webhook_subscriptions", ()),
)
_GUIDE: Final = "docs/schedulers.md#calendly"
_OWNERS_GUIDE: Final = "docs/schedulers.md#several-owners"


@dataclass(frozen=True, slots=True)
class _Fixes:
    """How to fix a token, its scopes, and a webhook subscription: one that is missing, or (`again`) one that cannot be
    used."""

    token: str
    scopes: str
    subscribe: str
    again: str


_PERSONAL: Final = _Fixes(
    token=f"Make a personal access token in Calendly, and set CALENDLY_TOKEN; {_GUIDE} says how.",
    scopes=f"Make a new token with them, since a token's scopes cannot be changed; {_GUIDE} lists them all.",
    subscribe=f"Make one with CALENDLY_WEBHOOK_KEY as its signing key; {_GUIDE} says how.",
    again=f"Delete it and make it again, since it cannot be changed; {_GUIDE} says how.",
)
_CONNECT: Final = "Sign in at /staff, open Calendly, and press Connect"
_OWNER: Final = _Fixes(
    token=f"{_CONNECT} again.",
    scopes=f"Give them to the OAuth app at Calendly; {_OWNERS_GUIDE} lists them all. {_CONNECT} again.",
    subscribe=f"{_CONNECT} again, which makes one.",
    again=f"{_CONNECT} again, which makes a new one.",
)


class CalendlyLook:
    """One look at an account: that of the personal token, or, with its `access`, the one that an owner has connected
    under `name`. `calls` is how many requests it took."""

    def __init__(
        self,
        settings: Settings,
        widgets: Mapping[str, Widget],
        *,
        now: datetime,
        transport: httpx.AsyncBaseTransport | None,
        name: str = "calendly",
        access: Access | None = None,
    ) -> None:
        self._name = name
        self._access = access or PersonalAccess(opened(settings.calendly_token))
        self._fixes = _OWNER if access else _PERSONAL
        self._settings = settings
        self._widgets = widgets
        self._now = now
        url = settings.calendly_base_url
        whom = Whom(name, "Calendly", url, "CALENDLY_BASE_URL", "it is https://api.calendly.com")
        self._calendly = Asking(whom, transport=transport)

    @property
    def calls(self) -> int:
        return self._calendly.calls

    async def findings(self) -> list[Finding]:
        """Everything about Calendly, including what was found before it stopped answering."""
        found: list[Finding] = []
        try:
            headers = await self._access.headers()
        except SchedulerNotConnected as error:
            return [fail(self._name, str(error), f"{_CONNECT}.")]
        except SchedulerUnauthorized as error:
            fix = "Copy both from the OAuth app at Calendly." if error.http_status else self._fixes.token
            return [fail(self._name, str(error), fix)]
        except SchedulerError as error:
            fix = "Check CALENDLY_AUTH_URL, this machine's DNS and firewall, then Calendly's status page."
            return [fail(self._name, f"no token could be had: {error}", fix)]
        async with self._calendly.look(found, headers, limited=self._limited):
            await self._look(found)
        return found

    def _limited(self, answer: httpx.Response) -> Finding:
        seconds = round(CalendlyDialect().retry_after(answer.headers, self._now))
        says = f"Calendly answers 429: too many requests this minute; try again in {seconds} s"
        return warn(self._name, says, "Wait, and run the set-up check again: the rest of Calendly was not checked.")

    async def _look(self, found: list[Finding]) -> None:
        me = await self._calendly.ask("GET", "/users/me")
        if me.status_code == 401:
            found.append(fail(self._name, "the token is not accepted", self._fixes.token))
            return
        account = None if me.status_code == 403 else read_account(me.raise_for_status().content)
        found.append(ok(self._name, "answers, and accepts the token"))
        found += clock(self._name, me, self._now)
        lacking, refusals = await self._refused(account)
        if account is None:
            lacking.insert(0, "users:read")
        if lacking:
            found.append(fail(self._name, f"the token lacks {', '.join(lacking)}", self._fixes.scopes))
        else:
            found.append(ok(self._name, f"the token has all {1 + len(_SCOPES)} scopes"))
        for said in refusals:
            fix = "Upgrade the plan in Calendly, or sign in there to see what the account may do."
            found.append(fail(self._name, f"the account may not book by the API: {said}", fix))
        found += self._creates(me)
        if account is None:
            return
        if self._settings.calendly_webhook_key and not refusals and "webhooks:read" not in lacking:
            found += await self._subscription(account)
        if "event_types:read" not in lacking:
            there = await self._all("/event_types", read_event_types, user=account.uri)
            found += _contents(self._name, account, there)
            for widget in self._widgets.values():
                found += _widget(widget, account, there)

    async def _refused(self, account: Account | None) -> tuple[list[str], list[str]]:
        """The scopes that the token lacks, and what Calendly says where it is not a scope that is missing."""
        lacking: list[str] = []
        refusals: dict[str, None] = {}
        whose = _whose(account)
        for scope, method, path, names in _SCOPES:
            params = {name: whose[name] for name in names if name in whose}
            answer = await self._calendly.ask(method, path, params=params, json=None if method == "GET" else {})
            if answer.status_code == 403:
                said = _message(answer)
                if "scope" in said.lower():
                    lacking.append(scope)
                else:
                    refusals[said] = None
        return lacking, list(refusals)

    def _creates(self, answer: httpx.Response) -> Iterator[Finding]:
        """How many bookings a day are counted on. The free plan, known by its calls a minute, has fewer than paid ones;
        how many is not documented."""
        allowed = self._settings.calendly_creates_per_day
        usual = type(self._settings).model_fields["calendly_creates_per_day"].default
        limit = CalendlyDialect().limit(answer.headers)
        if limit and limit[1] == FREE_CALLS and allowed >= usual:
            says = f"the plan is the free one, which makes fewer bookings a day than the {allowed} that are counted on"
            fix = "Set CALENDLY_CREATES_PER_DAY to what the plan allows; Calendly's support can tell."
            yield warn(self._name, says, fix)
        else:
            yield ok(self._name, f"at most {allowed} bookings a day, moves included")

    async def _subscription(self, account: Account) -> list[Finding]:
        address = f"{self._settings.public_url}/api/webhooks/calendly"
        personal = await self._subscriptions(account, "user")
        # Only owners and admins may list the organization's.
        shared = await self._subscriptions(account, "organization")
        ours = [one for one in [*personal, *shared] if one["callback_url"].rstrip("/") == address]
        again = self._fixes.again
        if not ours:
            says = f"Calendly has no webhook subscription for {address}"
            return [fail(self._name, says, self._fixes.subscribe)]
        active = [one for one in ours if one["state"] == "active"]
        if not active:
            says = "the webhook subscription is disabled: its deliveries have failed for a day"
            return [fail(self._name, says, again)]
        missing = [name for name in EVENTS if not any(name in one["events"] for one in active)]
        if missing:
            return [fail(self._name, f"the webhook subscription is not sent {', '.join(missing)}", again)]
        return [ok(self._name, "the webhook subscription is active")]

    async def _subscriptions(self, account: Account, scope: str) -> list[dict[str, Any]]:
        params = _whose(account) if scope == "user" else {"organization": account.organization}
        answer = await self._calendly.ask(
            "GET", "/webhook_subscriptions", params={**params, "scope": scope, "count": "100"}
        )
        return [] if answer.status_code == 403 else list(answer.raise_for_status().json()["collection"])

    # -- asking ------------------------------------------------------------------------------------------

    async def _all(self, path: str, read: Callable[[bytes], Page[T]], **params: str) -> list[T]:
        """Every page of a list."""
        items: list[T] = []
        token: str | None = ""
        while token is not None:
            query = {**params, "count": "100", **({"page_token": token} if token else {})}
            page = read((await self._calendly.ask("GET", path, params=query)).raise_for_status().content)
            items += page.items
            token = page.next_token or None
        return items


def _whose(account: Account | None) -> dict[str, str]:
    """The parameters that name the user in lists. Without `users:read` there is no user to name; the scope is
    looked at first (seen in the sandbox only)."""
    return {"user": account.uri, "organization": account.organization, "scope": "user"} if account else {}


def _message(answer: httpx.Response) -> str:
    with suppress(ValueError):
        body = answer.json()
        return str(body.get("message", "")) if isinstance(body, dict) else ""
    return ""


def _contents(name: str, account: Account, there: Sequence[EventType]) -> Iterator[Finding]:
    """What there is, with the ids that widgets.toml and embed tags take."""
    yield ok("ids", f"location and person {account.name}: {account.id}")
    for one in there:
        yield ok("ids", f"service {one.name}: {one.id}{f' ({one.unsold})' if one.unsold else ''}")
    if not there:
        fix = f"Make one for each service; {_GUIDE} lists what they need."
        yield fail(name, "the account has no event type", fix)


def _widget(widget: Widget, account: Account, there: Sequence[EventType]) -> Iterator[Finding]:
    about = f"widget {widget.name}"
    if widget.location not in {"", account.id}:
        fix = "Remove `location`: the token's user is the only one."
        yield fail(about, f"its location {widget.location} is not in Calendly", fix)
    if not widget.services:
        fix = "Name them in `services`, each with a `price`; their ids are listed above."
        yield fail(about, "it names no services, so none has a price, and nothing is offered", fix)
    by_id = {one.id: one for one in there}
    for setting in widget.services:
        event_type = by_id.get(setting.id)
        if event_type is None:
            fix = "Correct `services.id`; the event types' ids are listed above."
            yield fail(about, f"its service {setting.id} is not in Calendly", fix)
        elif event_type.unsold:
            fix = f"Change the event type in Calendly, or leave it out; {_GUIDE} lists what it needs."
            yield fail(about, f"{event_type.name} {event_type.unsold}", fix)
        elif setting.price is None:
            fix = "Set `price` for it; `0` is free. Calendly's event types have no prices."
            yield fail(about, f"{event_type.name} has no price, and is not offered", fix)
        elif wrong := price_fault(widget, setting.id):
            yield fail(about, f"{event_type.name} {wrong}", "Correct its `price`.")
        else:
            yield ok(about, f"{event_type.name} can be sold")
