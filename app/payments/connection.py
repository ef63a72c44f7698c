"""How Stripe is reached: attempts, waiting, the circuit breaker, and its errors as our own errors.

Facts about Stripe are from its documentation and from the source of stripe-python 16.1.0.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

import httpx
import stripe
import structlog

from app.breaker import Breaker
from app.errors import (
    UNREADABLE,
    StripeDown,
    StripeError,
    StripeMisconfigured,
    StripeRateLimited,
    StripeRefused,
    StripeUnreachable,
)
from app.payments.facts import Listed
from app.tls import trusted

# Telemetry writes an id file under the user's home and sends platform data; we owe Stripe neither.
stripe.enable_telemetry = False
# The package logs request bodies and Stripe's own sentences, which may hold a customer's address.
logging.getLogger("stripe").setLevel(logging.WARNING)

#: Five attempts in all (docs/dev/decisions/0106). Stripe's package repeats no answer, 409 and 5xx; never a 429.
MAX_RETRIES = 4
#: Seconds for one attempt. The package's default of 80 would outlast every visitor's patience.
ATTEMPT_TIMEOUT = httpx.Timeout(10, connect=5)
#: Seconds for one call with all its attempts; after that the worker goes on under the same key.
CALL_TIMEOUT = 25
#: How often a call is sent at most while Stripe answers 429, and the visitor's patience for it in seconds.
RATE_LIMIT_TRIES = 3
RATE_LIMIT_PATIENCE = 6.0

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_T = TypeVar("_T")
_Answer = TypeVar("_Answer", bound=stripe.StripeObject)

# The package ships this constructor without types.
_no_answer: Callable[..., stripe.APIConnectionError] = stripe.APIConnectionError


class StripeHTTP(stripe.HTTPClient):
    """How the package reaches Stripe: over httpx, bound to the event loop that first uses it.

    Not the package's own HTTPXClient, because that passes the form in a way which httpx has deprecated.
    """

    name = "httpx"

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        super().__init__()
        self._httpx = httpx.AsyncClient(transport=transport, timeout=ATTEMPT_TIMEOUT, verify=trusted())

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One attempt. Raises stripe.APIConnectionError, which the package may repeat."""
        try:
            response = await self._httpx.request(method, url, headers=headers, content=post_data)
        except httpx.RequestError as error:
            raise _no_answer(type(error).__name__, should_retry=True) from error
        return response.content, response.status_code, response.headers

    async def sleep_async(self, secs: float) -> None:
        """Wait between attempts: from 200 ms, where the package would start at 500: a visitor waits meanwhile."""
        await asyncio.sleep(secs * 0.4)

    async def close_async(self) -> None:
        """End the connections."""
        await self._httpx.aclose()


class StripeConnection:
    """Makes calls: each with its attempts, through one circuit breaker. The parameters are those of `Payments`."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        on_call: Callable[[str, str, float], None],
        patience: float,
        sleep: Callable[[float], Awaitable[None]],
        random: Random,
    ) -> None:
        self.breaker = Breaker(now, provider="stripe")
        self._now = now
        self._on_call = on_call
        self._patience = patience
        self._sleep = sleep
        self._random = random

    async def all_pages(
        self,
        operation: str,
        call: Callable[[], Awaitable[stripe.ListObject[Any]]],
        read: Callable[[stripe.StripeObject], _T],
        *,
        most: int | None = None,
    ) -> Listed[_T]:
        items: Listed[_T] = Listed()
        more: Callable[[], Awaitable[stripe.ListObject[Any]]] | None = call
        while more:
            page, facts, has_more, down_to = await self.ask(operation, more, lambda page: _read_page(page, read))
            items += facts
            more = page.next_page_async if has_more and facts else None
            if more and most is not None and len(items) >= most:
                log.warning("stripe_list_cut_short", operation=operation, read=len(items))
                items.down_to = down_to
                break
        return items

    async def ask(self, operation: str, call: Callable[[], Awaitable[_Answer]], read: Callable[[_Answer], _T]) -> _T:
        """One call with its attempts, and its answer read: the only place where `stripe` can raise."""
        pause = self.breaker.check()
        if pause:
            raise StripeDown(f"{operation}: not tried", retry_after=pause)
        began, outcome = self._now(), "ok"
        try:
            return await self._try(operation, call, read)
        except StripeError as error:
            outcome = type(error).__name__
            raise
        finally:
            self._on_call(operation, outcome, (self._now() - began).total_seconds())

    async def _try(self, operation: str, call: Callable[[], Awaitable[_Answer]], read: Callable[[_Answer], _T]) -> _T:
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                facts = read(await self._patiently(operation, call))
        except stripe.StripeError as error:
            told = _translate(operation, error)
            # A 409 means that the key or the object is in use: unknown outcome, but Stripe is there. An answer of
            # success that cannot be read says nothing about whether Stripe is there: one odd object must not shut
            # everyone out.
            if not isinstance(told, StripeUnreachable) or error.http_status == 409:
                self.breaker.succeeded()
            elif error.http_status != 200:
                self.breaker.failed()
            # Stripe's own sentence may quote what a customer typed, so the cause is left out of tracebacks.
            raise told from None
        except TimeoutError as error:
            self.breaker.failed()
            log.warning("no answer", provider="stripe", operation=operation, reason=f"within {CALL_TIMEOUT} s")
            raise StripeUnreachable(f"{operation}: no answer within {CALL_TIMEOUT} s") from error
        except UNREADABLE as error:
            # The package, as we do, takes the shape of an answer for granted; a proxy's answer may have any.
            log.warning("unreadable answer", provider="stripe", operation=operation, reason=type(error).__name__)
            raise StripeUnreachable(f"{operation}: an answer that is not Stripe's") from error
        self.breaker.succeeded()
        return facts

    async def _patiently(self, operation: str, call: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """The call, sent again after a 429 for as long as patience lasts; the package never does that."""
        waited = 0.0
        for attempt in range(1, RATE_LIMIT_TRIES):
            try:
                return await call()
            except stripe.RateLimitError as error:
                told = (error.headers or {}).get("retry-after", "")
                asked = float(told) if re.fullmatch("[0-9]{1,5}", told) else 0.0
                pause = max(asked, 0.5 * attempt) + self._random.uniform(0.0, 0.5)
                waited += pause
                if waited > self._patience:
                    raise
                log.warning("rate limited", provider="stripe", operation=operation, pause=round(pause, 2))
            await self._sleep(pause)
        return await call()


def _read_page(
    page: stripe.ListObject[Any], read: Callable[[stripe.StripeObject], _T]
) -> tuple[stripe.ListObject[Any], list[_T], bool, datetime | None]:
    """A page, what is on it, whether there is another, and when its last object was made."""
    made_at = datetime.fromtimestamp(page.data[-1].created, UTC) if page.data and page.has_more else None
    return page, [read(item) for item in page.data], bool(page.has_more), made_at


def _translate(operation: str, error: stripe.StripeError) -> StripeError:
    # Only some of the package's errors carry the code and the parameter themselves; the body always does.
    body = error.error.to_dict() if error.error else {}
    code = _text(error.code) or _text(body.get("code"))
    param = _text(getattr(error, "param", None)) or _text(body.get("param"))
    told = [type(error).__name__, error.http_status, code, param]
    message = f"{operation}: {' '.join(str(part) for part in told if part)}"
    kind: type[StripeError] = StripeUnreachable
    if isinstance(error, stripe.RateLimitError):
        kind = StripeRateLimited
    elif isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        kind = StripeMisconfigured
    elif isinstance(error, stripe.InvalidRequestError | stripe.CardError | stripe.IdempotencyError):
        kind = StripeRefused
    if isinstance(error, stripe.IdempotencyError):
        log.error("stripe_key_reused", operation=operation, request_id=error.request_id)
    else:
        log.warning(
            "no answer" if error.http_status is None else "refused",
            provider="stripe",
            operation=operation,
            reason=type(error).__name__,
            status=error.http_status,
            code=code,
            param=param,
            stripe_request=error.request_id,
        )
    return kind(message, stripe_code=code, param=param, request_id=error.request_id)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
