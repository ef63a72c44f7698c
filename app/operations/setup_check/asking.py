"""Asking one scheduler for the set-up check: requests are counted, and whatever stops the look becomes a finding."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

import httpx

from app.domain.charge_minimum import chargeable
from app.errors import UNREADABLE
from app.operations.setup_check.finding import Finding, fail
from app.widgets import Widget, beyond_stripe

_SECONDS = httpx.Timeout(15, connect=8)


@dataclass(frozen=True, slots=True)
class Whom:
    """Who is asked: the word that findings about it begin with, its name, its address with the setting that has it, and
    how that address should look."""

    about: str
    provider: str
    url: str
    setting: str
    form: str


class _Limited(Exception):
    """The scheduler answers 429."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__("429")
        self.answer = answer


class Asking:
    """Requests to one scheduler. `calls` is how many were sent, since they count against its plan."""

    def __init__(self, whom: Whom, *, transport: httpx.AsyncBaseTransport | None) -> None:
        self.calls = 0
        self._whom = whom
        self._transport = transport
        self._http: httpx.AsyncClient

    @asynccontextmanager
    async def look(
        self, found: list[Finding], headers: Mapping[str, str], *, limited: Callable[[httpx.Response], Finding]
    ) -> AsyncIterator[None]:
        """Ask inside this. Whatever stops the look is added to `found` as its last finding; `limited` makes that
        finding from an answer 429."""
        whom = self._whom
        async with httpx.AsyncClient(
            base_url=whom.url,
            headers={**headers, "Accept": "application/json"},
            transport=self._transport,
            timeout=_SECONDS,
        ) as self._http:
            try:
                yield
            except _Limited as limit:
                found.append(limited(limit.answer))
            except httpx.HTTPStatusError as error:
                fix = f"Check {whom.provider}'s status page, and try again."
                found.append(fail(whom.about, f"{whom.url} answers {error.response.status_code}", fix))
            except httpx.HTTPError as error:
                fix = f"Check {whom.setting}, this machine's DNS and firewall, then {whom.provider}'s status page."
                found.append(fail(whom.about, f"{whom.url} does not answer ({type(error).__name__})", fix))
            except UNREADABLE:
                fix = f"Check {whom.setting}; {whom.form}."
                found.append(fail(whom.about, f"{whom.url} does not answer as {whom.provider} does", fix))

    # Five: the parts of an HTTP request.
    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request. An answer 429 or 5xx ends the look: it says nothing about what was asked."""
        self.calls += 1
        answer = await self._http.request(method, path, params=params, json=json, headers=headers)
        if answer.status_code == 429:
            raise _Limited(answer)
        if answer.status_code >= 500:
            answer.raise_for_status()
        return answer

    def turned_away(self, answer: httpx.Response, not_accepted: str, fix: str) -> Finding | None:
        """Why nothing can be asked after this first answer; None if it can. The other two say that the token or key is
        not accepted."""
        if answer.status_code == 401:
            return fail(self._whom.about, not_accepted, fix)
        if answer.status_code >= 400:
            check = f"Check {self._whom.setting}, then {self._whom.provider}'s status page."
            return fail(self._whom.about, f"{self._whom.url} answers {answer.status_code}", check)
        return None


def price_fault(widget: Widget, service_id: str, told: object = None) -> str:
    """Why a service's price cannot be charged; empty if it can. `told` is the scheduler's price, None without one."""
    setting = widget.setting(service_id)
    try:
        price = widget.price(service_id, None if told is None else Decimal(str(told)))
    except (ValueError, ArithmeticError):
        shown = setting.price if told is None and setting else told
        return f"has a price that cannot be charged: {shown} {widget.currency.upper()}"
    return "" if chargeable(price) else f"has a price that cannot be charged: {beyond_stripe(price)}"
