"""Calendly's OAuth: the page where an owner agrees, and the tokens that come of it (Calendly API v2, "Authentication").

An access token lives two hours. A refresh token works once: its answer brings the next one.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

import httpx
from pydantic import BaseModel, Field, ValidationError

from app.errors import (
    UNREADABLE,
    SchedulerDown,
    SchedulerError,
    SchedulerFailed,
    SchedulerRateLimited,
    SchedulerUnauthorized,
    SchedulerUnreachable,
)
from app.scheduling.calendly.dialect import CalendlyDialect
from app.scheduling.port import SchedulerCall
from app.tls import trusted

#: Nothing was sent when one of these is raised, so a refresh token is as good as before.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
#: When to come back where the address of the tokens cannot be reached.
_PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class Grant:
    """What an owner's consent is worth: a token for calls, and one for the next token."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: datetime


class _TokenBody(BaseModel):
    access_token: Annotated[str, Field(min_length=1)]
    refresh_token: Annotated[str, Field(min_length=1)]
    expires_in: Annotated[int, Field(gt=0)]


class CalendlyOAuth:
    """The OAuth app. Every call raises the errors that the port names; `on_call` hears of every request."""

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str,
        auth_url: str,
        now: Callable[[], datetime],
        transport: httpx.AsyncBaseTransport | None = None,
        on_call: Callable[[SchedulerCall], None] | None = None,
    ) -> None:
        self._client_id = client_id
        self._auth_url = auth_url
        self._now = now
        self._on_call = on_call
        self._http = httpx.AsyncClient(
            base_url=auth_url,
            auth=httpx.BasicAuth(client_id, client_secret),
            headers={"Accept": "application/json"},
            timeout=httpx.Timeout(8.0, connect=3.0),
            transport=transport,
            verify=trusted(),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def consent_url(self, *, back: str, state: str, verifier: str) -> str:
        """The page where an owner agrees. It leads `back` with the `state` and a code, which is good for ten minutes
        and only together with the `verifier` (RFC 7636, S256)."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "client_id": self._client_id,
            "response_type": "code",
            "redirect_uri": back,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "state": state,
        }
        return f"{self._auth_url}/oauth/authorize?{urlencode(query)}"

    async def exchange(self, code: str, *, back: str, verifier: str) -> Grant | None:
        """The tokens for a code; None where it is not good any more."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier}
        return await self._ask("exchangeCode", form)

    async def refresh(self, refresh_token: str) -> Grant | None:
        """New tokens; None where the refresh token is not good any more. SchedulerUnreachable and SchedulerFailed: it
        may have been used up."""
        return await self._ask("refreshToken", {"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def _ask(self, operation: str, form: Mapping[str, str]) -> Grant | None:
        began, status = self._now(), None
        try:
            answer = await self._http.post("/oauth/token", data=form)
            status = answer.status_code
        except _NOT_SENT as error:
            raise SchedulerDown(f"{operation}: not sent, {type(error).__name__}", retry_after=_PAUSE) from error
        except httpx.RequestError as error:
            raise SchedulerUnreachable(f"{operation}: {type(error).__name__}") from error
        finally:
            if self._on_call:
                seconds = (self._now() - began).total_seconds()
                self._on_call(SchedulerCall(at=began, operation=operation, status=status, seconds=seconds))
        if not answer.is_success:
            refusal = self._refusal(operation, answer)
            if refusal is None:
                return None
            raise refusal
        try:
            body = _TokenBody.model_validate_json(answer.content)
            # Counted from before the request, so that it never seems to last longer than it does.
            return Grant(body.access_token, body.refresh_token, began + timedelta(seconds=body.expires_in))
        except UNREADABLE as error:
            # Only where it went wrong: the values are tokens.
            wrong = error.errors() if isinstance(error, ValidationError) else []
            places = ", ".join(sorted({".".join(map(str, item["loc"])) for item in wrong}))
            message = f"{operation}: an answer that cannot be read, at: {places or 'the whole'}"
            raise SchedulerFailed(message, http_status=status) from None

    def _refusal(self, operation: str, answer: httpx.Response) -> SchedulerError | None:
        """What a refusal means; None that the code or refresh token is not good any more (RFC 6749, section 5.2)."""
        content: Any = None
        with suppress(ValueError, RecursionError):
            content = answer.json()
        word = content.get("error") if isinstance(content, dict) else None
        word = word if isinstance(word, str) else ""
        message = f"{operation}: {answer.status_code} {word[:40]}".rstrip()
        if answer.status_code == 429:
            wait = CalendlyDialect().retry_after(answer.headers, self._now())
            return SchedulerRateLimited(message, retry_after=wait)
        if answer.status_code >= 500:
            return SchedulerFailed(message, http_status=answer.status_code)
        if word == "invalid_grant":
            return None
        if word == "invalid_client" or answer.status_code == 401:
            says = "CALENDLY_CLIENT_ID or CALENDLY_CLIENT_SECRET is not accepted"
            return SchedulerUnauthorized(f"{message}: {says}", http_status=answer.status_code)
        return SchedulerError(message, http_status=answer.status_code)
