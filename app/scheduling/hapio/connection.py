"""How Hapio is reached: attempts, waiting, the circuit breaker, its limit by the minute, and its errors in the port's.

Facts about Hapio are cited as in `translation`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any, TypeVar

import httpx
import structlog
from pydantic import ValidationError

from app.breaker import Breaker
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
from app.scheduling.hapio.translation import Page, texts_by_field
from app.scheduling.port import SchedulerCall

T = TypeVar("T")

#: How often a call is sent at most.
ATTEMPTS = 3
#: Hapio's default and largest page (Hapio SDK).
PAGE_SIZE = 100
_FIRST_WAIT = 0.1
#: Hapio counts requests per minute: what an older answer said of the limit says nothing.
_LIMIT_WINDOW = timedelta(minutes=1)
#: Enough of an error's body for a log line; a gateway may send a whole page of HTML.
_BODY_KEPT = 2000

log = structlog.get_logger()


class HapioConnection:
    """Makes calls, through one circuit breaker. The parameters are those of `HapioClient`."""

    def __init__(
        self,
        *,
        base_url: str,
        token: str,
        now: Callable[[], datetime],
        random: Random,
        sleep: Callable[[float], Awaitable[None]],
        transport: httpx.AsyncBaseTransport | None,
        on_call: Callable[[SchedulerCall], None],
        patience: float,
    ) -> None:
        self.breaker = Breaker(now, provider="hapio")
        self._now = now
        self._random = random
        self._sleep = sleep
        self._on_call = on_call
        self._patience = patience
        self._limit: tuple[datetime, int, int] | None = None
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
    def limit(self) -> tuple[int, int] | None:
        """Requests left in this minute, and allowed in one, as Hapio last said; None if it has not said lately."""
        if self._limit is None or self._now() - self._limit[0] >= _LIMIT_WINDOW:
            return None
        return self._limit[1:]

    async def pause(self, attempt: int) -> None:
        """Wait before the attempt after this one."""
        await self._sleep(self._backoff(attempt))

    async def pages(
        self, operation: str, path: str, read: Callable[[bytes], Page[T]], params: Mapping[str, str]
    ) -> list[T]:
        """A list with all its pages."""
        items: list[T] = []
        number = 0
        while True:
            number += 1
            query = {**params, "per_page": str(PAGE_SIZE), "page": str(number)}
            page = await self.call(operation, "GET", path, read, params=query)
            items += page.items
            if number >= page.last_page or not page.items:
                return items

    async def call(
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
                if attempt == ATTEMPTS or waited > self._patience:
                    raise unknown or error from error
            except SchedulerDown as error:
                raise unknown or error from error
            except (SchedulerUnreachable, SchedulerFailed) as error:
                if attempt == ATTEMPTS or not repeatable:
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
        wait = self.breaker.check()
        if wait:
            raise SchedulerDown(f"{operation}: not sent, Hapio has failed repeatedly", retry_after=wait)
        began = self._now()
        status = None
        try:
            response = await self._http.request(method, path, params=params, json=json)
            status = response.status_code
        except httpx.RequestError as error:
            self.breaker.failed()
            log.info("no answer", provider="hapio", operation=operation, reason=type(error).__name__)
            raise SchedulerUnreachable(f"{operation}: {type(error).__name__}") from error
        finally:
            seconds = (self._now() - began).total_seconds()
            self._on_call(SchedulerCall(at=began, operation=operation, status=status, seconds=seconds))
        if status >= 500:
            self.breaker.failed()
        else:
            self.breaker.succeeded()
        self._note_limit(response.headers)
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
                errors=texts_by_field(content.get("errors")),
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

    def _note_limit(self, headers: httpx.Headers) -> None:
        limit, remaining = headers.get("x-ratelimit-limit", ""), headers.get("x-ratelimit-remaining", "")
        if limit.isdecimal() and remaining.isdecimal():
            self._limit = (self._now(), int(remaining), int(limit))

    def _backoff(self, attempt: int) -> float:
        return _FIRST_WAIT * 2.0 ** (attempt - 1) * self._random.uniform(1.0, 1.5)
