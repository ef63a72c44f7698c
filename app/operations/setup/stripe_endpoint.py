"""Stripe: whether the key may do what is needed, and the webhook endpoint that Holdfast makes itself.

Stripe shows an endpoint's signing secret once, to the program that makes it. An endpoint at our address whose secret is
not in the settings is of no use to anyone, so it is replaced.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import httpx

from app.errors import UNREADABLE
from app.operations.setup_check.stripe import lacking_permissions, must_answer
from app.payments.events import API_VERSION, EVENT_TYPES

_SECONDS: Final = httpx.Timeout(15, connect=8)
#: How often a request without an answer is sent.
_ATTEMPTS: Final = 3
_DESCRIPTION: Final = "Holdfast"


class EndpointAct(StrEnum):
    """What is to be done about the endpoint."""

    KEEP = "keep"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    #: The key may not.
    BY_HAND = "by hand"


@dataclass(frozen=True, slots=True)
class StripePlan:
    """What was found. `lacking` are the permissions that the key does not have; `ids` the endpoints at our address."""

    live: bool
    lacking: tuple[str, ...]
    act: EndpointAct
    ids: tuple[str, ...] = ()


class StripeRefused(Exception):
    """Stripe does not take the key, or does not do what was asked; the text says why, without the key."""


class StripeSetup:
    """`address` is where Stripe's webhooks go; `secret_known`: the settings have a signing secret. `new_key` makes the
    name under which a request is done once. Methods raise StripeRefused."""

    # One for each of what a call to Stripe is made of.
    def __init__(
        self,
        *,
        key: str,
        api_base: str,
        address: str,
        secret_known: bool,
        new_key: Callable[[], str],
        sleep: Callable[[float], Awaitable[None]],
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._key = key
        self._api_base = api_base
        self._address = address
        self._secret_known = secret_known
        self._new_key = new_key
        self._sleep = sleep
        self._transport = transport

    async def look(self) -> StripePlan:
        """Ask for each permission, and for the endpoints."""
        async with self._client() as http:
            answer = await self._send(http, "GET", "/v1/checkout/sessions", {"limit": "1"})
            if answer.status_code == 401:
                raise StripeRefused("Stripe does not accept the key. Copy it again from Stripe's Dashboard.")
            try:
                must_answer(answer)
                lacking = tuple([permission async for permission in lacking_permissions(http)])
                listed = await self._send(http, "GET", "/v1/webhook_endpoints", {"limit": "100"})
                live = self._key.startswith(("sk_live_", "rk_live_"))
                if listed.status_code == 403:
                    return StripePlan(live, lacking, EndpointAct.KEEP if self._secret_known else EndpointAct.BY_HAND)
                rows = listed.raise_for_status().json()["data"]
                ours = [one for one in rows if one["url"].rstrip("/") == self._address]
                return StripePlan(live, lacking, self._act(ours), tuple(one["id"] for one in ours))
            except httpx.HTTPStatusError as error:
                status = error.response.status_code
                raise StripeRefused(f"Stripe answers {status}. Check status.stripe.com, and run this again.") from error
            except httpx.HTTPError as error:
                raise _silent(error) from error
            except UNREADABLE as error:
                says = f"{self._api_base} does not answer as Stripe does. Check status.stripe.com, and run this again."
                raise StripeRefused(says) from error

    async def carry_out(self, plan: StripePlan) -> str | None:
        """Make the endpoint as it must be; its signing secret where it is a new one."""
        async with self._client() as http:
            if plan.act is EndpointAct.UPDATE:
                await self._do(http, "POST", f"/v1/webhook_endpoints/{plan.ids[0]}", {**_events(), "disabled": "false"})
            if plan.act not in {EndpointAct.CREATE, EndpointAct.REPLACE}:
                return None
            for endpoint in plan.ids:
                await self._do(http, "DELETE", f"/v1/webhook_endpoints/{endpoint}", {})
            form = {
                "url": self._address,
                "api_version": API_VERSION,
                "description": _DESCRIPTION,
                **_events(),
            }
            made = await self._do(http, "POST", "/v1/webhook_endpoints", form)
            return str(made["secret"])

    def _act(self, ours: list[dict[str, Any]]) -> EndpointAct:
        if not ours:
            return EndpointAct.CREATE
        if not self._secret_known or len(ours) > 1 or ours[0]["api_version"] != API_VERSION:
            return EndpointAct.REPLACE
        events = set(ours[0]["enabled_events"])
        complete = "*" in events or events >= set(EVENT_TYPES)
        return EndpointAct.KEEP if complete and ours[0]["status"] == "enabled" else EndpointAct.UPDATE

    def _client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self._key}", "Stripe-Version": API_VERSION}
        return httpx.AsyncClient(base_url=self._api_base, headers=headers, transport=self._transport, timeout=_SECONDS)

    async def _do(self, http: httpx.AsyncClient, method: str, path: str, form: Mapping[str, str]) -> dict[str, Any]:
        answer = await self._send(http, method, path, form)
        if answer.status_code == 404 and method == "DELETE":
            return {}
        if answer.status_code == 403:
            raise StripeRefused("The key may not change webhook endpoints: give it Webhook Endpoints: Write.")
        if not answer.is_success:
            raise StripeRefused(f"Stripe refuses the webhook endpoint {self._address}: {_sentence(answer)}")
        return dict(answer.json())

    async def _send(self, http: httpx.AsyncClient, method: str, path: str, form: Mapping[str, str]) -> httpx.Response:
        """Up to three attempts under one key, so that what was done at a lost answer is not done again."""
        headers = {"Idempotency-Key": self._new_key()} if method == "POST" else {}
        last: httpx.HTTPError | None = None
        for attempt in range(_ATTEMPTS):
            try:
                return await http.request(
                    method,
                    path,
                    data=form if method == "POST" else None,
                    params=form if method == "GET" else None,
                    headers=headers,
                )
            except httpx.HTTPError as error:
                last = error
                await self._sleep(0.5 * 2**attempt)
        assert last is not None  # noqa: S101 - the loop ends here only after an error
        raise _silent(last) from last


def _silent(error: httpx.HTTPError) -> StripeRefused:
    return StripeRefused(
        f"Stripe does not answer ({type(error).__name__}). Check this machine's network, then status.stripe.com."
    )


def _events() -> dict[str, str]:
    return {f"enabled_events[{number}]": name for number, name in enumerate(EVENT_TYPES)}


def _sentence(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return f"status {answer.status_code}"
