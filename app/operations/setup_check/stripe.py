"""Stripe: the key with each permission, the webhook endpoint, and payments of another key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import httpx

from app.errors import UNREADABLE
from app.operations.setup_check.finding import Finding, clock, fail, ok, warn
from app.payments.events import API_VERSION, EVENT_TYPES
from app.settings import Settings

_SECONDS = httpx.Timeout(15, connect=8)
#: Each permission with a request that needs it and changes nothing; a Session that ends in 1970 is made by nobody.
PERMISSIONS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("Checkout Sessions: Write", "POST", "/v1/checkout/sessions", {"mode": "payment", "expires_at": "1"}),
    ("PaymentIntents: Write", "POST", "/v1/payment_intents/pi_nobody/cancel", {}),
    ("Charges and Refunds: Write", "POST", "/v1/refunds", {"payment_intent": "pi_nobody"}),
    ("Disputes: Read", "GET", "/v1/disputes", {"limit": "1"}),
    ("Events: Read", "GET", "/v1/events", {"limit": "1"}),
)
_EDIT = "Edit the restricted key in Stripe's Dashboard; docs/by-hand.md#stripe lists all permissions."
_OTHER_KEY = (
    "Go back to its key until everything is settled, or begin with a new database; "
    "docs/by-hand.md#from-the-test-key-to-the-live-key says more."
)


async def lacking_permissions(http: httpx.AsyncClient) -> AsyncIterator[str]:
    """Those of the permissions that the key does not have; `http` sends it. Raises httpx.HTTPError, also for an answer
    that says nothing about a permission."""
    for permission, method, path, fields in PERMISSIONS:
        form, query = (fields, None) if method == "POST" else (None, fields)
        answer = must_answer(await http.request(method, path, data=form, params=query))
        if answer.status_code == 403:
            yield permission


def must_answer(answer: httpx.Response) -> httpx.Response:
    """The same, if it says anything about what was asked. Raises httpx.HTTPStatusError where Stripe has not looked at
    it: there were too many requests, or it fails."""
    if answer.status_code == 429 or answer.status_code >= 500:
        answer.raise_for_status()
    return answer


class StripeLook:
    """One look; `sessions` are the ids of all Checkout Sessions that the database has, newest first."""

    def __init__(
        self, settings: Settings, sessions: Sequence[str], *, now: datetime, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._now = now
        self._transport = transport
        self._http: httpx.AsyncClient

    async def findings(self) -> list[Finding]:
        """Everything about Stripe; what was found before it stopped answering, too."""
        key, url = self._settings.stripe_secret_key, self._settings.stripe_api_base
        if key is None:
            fix = "Set STRIPE_SECRET_KEY, unless everything is free."
            return [warn("stripe", "there is no key: only free services can be booked", fix)]
        found = self._of_the_other_mode()
        headers = {"Authorization": f"Bearer {key.get_secret_value()}", "Stripe-Version": API_VERSION}
        async with httpx.AsyncClient(
            base_url=url, headers=headers, transport=self._transport, timeout=_SECONDS
        ) as self._http:
            try:
                await self._look(found)
            except httpx.HTTPStatusError as error:
                found.append(_unanswered(error.response))
            except httpx.HTTPError as error:
                fix = "Check this machine's DNS and firewall, then status.stripe.com."
                found.append(fail("stripe", f"{url} does not answer ({type(error).__name__})", fix))
            except UNREADABLE:
                found.append(fail("stripe", f"{url} does not answer as Stripe does", "Check status.stripe.com."))
        return found

    async def _look(self, found: list[Finding]) -> None:
        first = must_answer(await self._http.get("/v1/checkout/sessions", params={"limit": "1"}))
        if first.status_code == 401:
            fix = "Copy the key again from Stripe's Dashboard; keys that were rolled stop working."
            found.append(fail("stripe", "the key is not accepted", fix))
            return
        mode = "live: real money" if self._settings.live else "test: no real money"
        found.append(ok("stripe", f"accepts the key, {mode}"))
        found += clock("stripe", first, self._now)
        async for permission in lacking_permissions(self._http):
            found.append(fail("stripe", f"the key lacks {permission}", _EDIT))
        if not all(one.get_secret_value().startswith("whsec_") for one in self._settings.stripe_webhook_secret):
            fix = "Copy the endpoint's signing secret; it begins with whsec_."
            found.append(fail("stripe", "STRIPE_WEBHOOK_SECRET is not a signing secret", fix))
        found += await self._endpoint()
        found += await self._of_another_account()

    async def _endpoint(self) -> list[Finding]:
        address = f"{self._settings.public_url}/api/webhooks/stripe"
        answer = await self._http.get("/v1/webhook_endpoints", params={"limit": "100"})
        if answer.status_code == 403:
            fix = "Check them in Stripe's Dashboard, or give the key Webhook Endpoints: Read."
            return [warn("webhook", "the key is not allowed to list webhook endpoints", fix)]
        listed = answer.raise_for_status().json()["data"]
        endpoint = next((one for one in listed if one["url"].rstrip("/") == address), None)
        if endpoint is None:
            fix = "Create one; docs/by-hand.md#stripe lists its events."
            return [fail("webhook", f"Stripe has no endpoint for {address}", fix)]
        found: list[Finding] = []
        if endpoint["status"] != "enabled":
            found.append(fail("webhook", "the endpoint is disabled", "Enable it in Stripe's Dashboard."))
        events = set(endpoint["enabled_events"])
        missing = [name for name in EVENT_TYPES if name not in events and "*" not in events]
        if missing:
            says = f"the endpoint is not sent {', '.join(missing)}"
            found.append(fail("webhook", says, "Add them to the endpoint."))
        version = endpoint["api_version"] or "the account's own"
        if version != API_VERSION:
            fix = f"Create a new endpoint with version {API_VERSION}: the version cannot be changed afterwards."
            found.append(fail("webhook", f"the endpoint uses version {version}, Holdfast {API_VERSION}", fix))
        return found or [ok("webhook", "the endpoint is enabled, with every event, in the right version")]

    # -- payments of another key -------------------------------------------------------------------------

    def _of_the_other_mode(self) -> list[Finding]:
        """Payments with real money under a test key, or the other way round."""
        mode, other = ("live", "test") if self._settings.live else ("test", "live")
        strange = sum(session.startswith(f"cs_{other}_") for session in self._sessions)
        if not strange:
            return []
        what = "1 payment belongs" if strange == 1 else f"{strange} payments belong"
        says = f"{what} to another key (cs_{other}_… under a {mode} key), and cannot be refunded with this one"
        return [fail("stripe", says, _OTHER_KEY)]

    async def _of_another_account(self) -> list[Finding]:
        """Whether the newest payment of this key's mode is in its account; one tells for all."""
        mode = "live" if self._settings.live else "test"
        newest = next((session for session in self._sessions if session.startswith(f"cs_{mode}_")), None)
        if newest is None or must_answer(await self._http.get(f"/v1/checkout/sessions/{newest}")).status_code != 404:
            return []
        says = f"the newest payment ({newest[:16]}…) belongs to a different account than this key"
        return [fail("stripe", says, _OTHER_KEY)]


def _unanswered(answer: httpx.Response) -> Finding:
    """What ended the look."""
    if answer.status_code == 429:
        fix = "Wait a moment, and run the set-up check again: the rest of Stripe was not checked."
        return warn("stripe", "answers 429: too many requests right now", fix)
    fix = "Check status.stripe.com, and run the set-up check again: the rest of Stripe was not checked."
    return fail("stripe", f"answers {answer.status_code}", fix)
