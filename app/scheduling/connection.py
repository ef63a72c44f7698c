"""How a scheduler is reached over HTTP: attempts, waiting, the circuit breaker, its limit by the minute.

A scheduler's `Dialect` says what its answers mean; facts about the scheduler are cited there.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any, Literal, Protocol, TypeVar

import httpx
import structlog
from pydantic import ValidationError

from app.breaker import Breaker
from app.errors import (
    UNREADABLE,
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
from app.scheduling.port import SchedulerCall
from app.tls import trusted

T = TypeVar("T")

#: How often a call is sent at most.
ATTEMPTS = 3
_FIRST_WAIT = 0.1
#: Limits are counted per minute: what an older answer said of one says nothing.
_LIMIT_WINDOW = timedelta(minutes=1)
#: Enough of an error's body for a log line; a gateway may send a whole page of HTML.
_BODY_KEPT = 2000
#: A number in a header. Python reads none of more than 4,300 digits.
_NUMBER = re.compile("[0-9]{1,9}")

log = structlog.get_logger()


class Dialect(Protocol):
    """What one scheduler's answers mean."""

    @property
    def provider(self) -> str:
        """Its name, in logs."""

    def limit(self, headers: httpx.Headers) -> tuple[int, int] | None:
        """Requests left in this minute, and allowed in one; None where an answer does not say."""

    def retry_after(self, headers: httpx.Headers, now: datetime) -> float:
        """Seconds to wait after a 429."""

    def refusal(self, message: str, status: int, content: Mapping[str, Any], body: str) -> SchedulerError | None:
        """What an answer outside 200-299 means, where it means more than its status. `content` is its JSON object,
        empty where it has none, `body` the beginning of its text."""

    def sentence(self, content: Mapping[str, Any]) -> str:
        """What an error's JSON says in words."""


def _ignore(_call: SchedulerCall) -> None:
    pass


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What every scheduler's client needs: the scheduler's address, and what tests use instead of time, chance and the
    network (`transport` None).

    `patience` is how many seconds one call may spend waiting for a rate limit to pass before SchedulerRateLimited is
    raised. `on_call` is called for every request sent, retries included, since each counts against the plan.
    """

    base_url: str
    now: Callable[[], datetime]
    random: Random
    sleep: Callable[[float], Awaitable[None]]
    transport: httpx.AsyncBaseTransport | None = None
    on_call: Callable[[SchedulerCall], None] = _ignore
    patience: float = 2.0


def bearer(token: str) -> Callable[[], Awaitable[Mapping[str, str]]]:
    """The `authorize` of a connection whose token never changes."""

    async def authorize() -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token}"}

    return authorize


class Connection:
    """Makes calls, through one circuit breaker; a `Pulse`.

    `authorize` gives the headers that every call needs. If a call is answered with 401, `renew` is called once with
    the `Authorization` that was sent, and says whether there is another by now.
    """

    def __init__(
        self,
        dialect: Dialect,
        options: ClientOptions,
        *,
        authorize: Callable[[], Awaitable[Mapping[str, str]]],
        renew: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        self.breaker = Breaker(options.now, provider=dialect.provider)
        self._dialect = dialect
        self._authorize = authorize
        self._renew = renew
        self._now = options.now
        self._random = options.random
        self._sleep = options.sleep
        self._on_call = options.on_call
        self._patience = options.patience
        self._limit: tuple[datetime, int, int] | None = None
        self._http = httpx.AsyncClient(
            base_url=options.base_url,
            headers={"Accept": "application/json"},
            timeout=httpx.Timeout(8.0, connect=3.0),
            transport=options.transport,
            verify=trusted(),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @property
    def down(self) -> bool:
        """Whether it has failed so often that nothing is being sent."""
        return self.breaker.open

    @property
    def tripped(self) -> bool:
        """Whether it has failed repeatedly and has not answered since."""
        return self.breaker.tripped

    @property
    def remaining(self) -> int | None:
        """Requests left in this minute, as last said; None if that was not said lately."""
        return self._lately(1)

    @property
    def limit(self) -> int | None:
        """Requests allowed in a minute, as last said; None if that was not said lately."""
        return self._lately(2)

    def _lately(self, index: Literal[1, 2]) -> int | None:
        said = self._limit
        return said[index] if said and abs(self._now() - said[0]) < _LIMIT_WINDOW else None

    async def pause(self, attempt: int) -> None:
        """Wait before the attempt after this one."""
        await self._sleep(self._backoff(attempt))

    async def make_once(
        self, send: Callable[[], Awaitable[T]], find: Callable[[], Awaitable[T | None]]
    ) -> tuple[T, bool]:
        """Make one thing once, even if an answer is lost; and whether it was sent more than once.

        `send` is one attempt, which must not be `repeatable`. After one of unknown outcome `find` looks for what it may
        have made, before another is sent; and again if that is refused, since what refuses it may be what the first has
        made. SchedulerRefused: it is not there. SchedulerUnreachable and SchedulerFailed: it may be, or may yet come.
        """
        unknown: SchedulerError | None = None
        for attempt in range(1, ATTEMPTS + 1):
            refusal: SchedulerRefused | None = None
            try:
                return await send(), attempt > 1
            except (SchedulerUnreachable, SchedulerFailed) as error:
                unknown = error
            except SchedulerError as error:
                if unknown is None:
                    raise
                # "Nothing was done" would be true of this attempt only.
                if not isinstance(error, SchedulerRefused):
                    raise unknown from error
                refusal = error
            try:
                found = await find()
            except SchedulerError as error:
                raise unknown from error
            if found is not None:
                return found, attempt > 1
            if refusal:
                raise refusal
            if attempt < ATTEMPTS:
                await self.pause(attempt)
        assert unknown is not None  # noqa: S101 - the loop ends here only after unknown outcomes
        raise unknown

    # Eight: an HTTP request has so many parts, and how it may be repeated is one more.
    async def call(
        self,
        operation: str,
        method: str,
        path: str,
        read: Callable[[bytes], T],
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> T:
        """Up to three attempts. A call that is not `repeatable` is tried again only after 429, which means
        that nothing was done. An own loop, because stamina sleeps by the real clock."""
        waited = 0.0
        attempt = 0
        unknown: SchedulerError | None = None
        renewed = False
        while True:
            attempt += 1
            wait = self._backoff(attempt)
            request: httpx.Request | None = None
            try:
                request = await self._request(method, path, params, json, headers)
                return await self._send(operation, request, read)
            except SchedulerUnauthorized:
                # 401 means that nothing was done, so that any call may be sent again.
                if renewed or request is None or not await self._renewed(request):
                    raise
                renewed, wait = True, 0.0
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

    async def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        json: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> httpx.Request:
        all_headers = {**(headers or {}), **await self._authorize()}
        return self._http.build_request(method, path, params=params, json=json, headers=all_headers)

    async def _renewed(self, request: httpx.Request) -> bool:
        return self._renew is not None and await self._renew(request.headers.get("authorization", ""))

    async def _send(self, operation: str, request: httpx.Request, read: Callable[[bytes], T]) -> T:
        provider = self._dialect.provider
        wait = self.breaker.check()
        if wait:
            raise SchedulerDown(f"{operation}: not sent, {provider} has failed repeatedly", retry_after=wait)
        began = self._now()
        status = None
        try:
            response = await self._http.send(request)
            status = response.status_code
        except httpx.RequestError as error:
            self.breaker.failed()
            log.info("no answer", provider=provider, operation=operation, reason=type(error).__name__)
            raise SchedulerUnreachable(f"{operation}: {type(error).__name__}") from error
        finally:
            seconds = (self._now() - began).total_seconds()
            self._on_call(SchedulerCall(at=began, operation=operation, status=status, seconds=seconds))
        if status >= 500:
            self.breaker.failed()
        else:
            self.breaker.succeeded()
        limit = self._dialect.limit(response.headers)
        if limit:
            self._limit = (self._now(), *limit)
        if not response.is_success:
            refusal = self._error(operation, response)
            # Which fields, and not what is said of them: it may repeat a customer's words.
            fields = sorted(getattr(refusal, "errors", ()))
            # A taken time is normal, and an outage is reported by the caller that needed the answer.
            tell = log.warning if status in {401, 403} else log.info
            tell("refused", provider=provider, operation=operation, status=status, fields=fields)
            raise refusal
        try:
            return read(response.content)
        except UNREADABLE as error:
            # Only where it went wrong: the values may be a customer's.
            wrong = error.errors() if isinstance(error, ValidationError) else []
            places = ", ".join(sorted({".".join(map(str, item["loc"])) for item in wrong})[:5])
            log.warning("unreadable answer", provider=provider, operation=operation, status=status, at=places)
            message = f"{operation}: an answer that cannot be read, at: {places or 'the whole'}"
            raise SchedulerFailed(message, http_status=status) from None

    def _error(self, operation: str, response: httpx.Response) -> SchedulerError:
        """What an answer outside 200-299 means. Never fails, whatever the body is."""
        status = response.status_code
        body = response.text[:_BODY_KEPT]
        content: Any = None
        with suppress(ValueError, RecursionError):
            content = response.json()
        content = content if isinstance(content, dict) else {}
        message = f"{operation}: {status} {self._dialect.sentence(content)}".rstrip()
        if status == 429:
            wait = self._dialect.retry_after(response.headers, self._now())
            return SchedulerRateLimited(message, retry_after=wait, body=body)
        meant = self._dialect.refusal(message, status, content, body)
        if meant is not None:
            return meant
        kinds = {401: SchedulerUnauthorized, 403: SchedulerForbidden, 404: SchedulerNotFound}
        kind = kinds.get(status, SchedulerError if 400 <= status < 500 else SchedulerFailed)
        return kind(message, http_status=status, body=body)

    def _backoff(self, attempt: int) -> float:
        return _FIRST_WAIT * 2.0 ** (attempt - 1) * self._random.uniform(1.0, 1.5)


def retry_after(headers: httpx.Headers, now: datetime, *, default: float) -> float:
    """The seconds of a Retry-After header, which has a number of them or a date; `default` where it has neither."""
    text = headers.get("retry-after", "")
    if _NUMBER.fullmatch(text):
        return float(text)
    with suppress(ValueError):
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is not None:
            return max(0.0, (moment - now).total_seconds())
    return default


def limit_in(headers: httpx.Headers, allowed: str, remaining: str) -> tuple[int, int] | None:
    """(left, allowed) from two headers of these names; None where they are not both numbers."""
    most, left = headers.get(allowed, ""), headers.get(remaining, "")
    return (int(left), int(most)) if _NUMBER.fullmatch(most) and _NUMBER.fullmatch(left) else None
