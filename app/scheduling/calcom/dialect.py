"""What Cal.com's answers mean. Facts about Cal.com are cited as in `translation`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from app.errors import SchedulerError, SchedulerRefused
from app.scheduling.connection import limit_in, retry_after

#: A caller that asks too often is blocked for so long (Cal.com code, throttler guard).
_BLOCKED = 60.0


class CalcomDialect:
    """A `Dialect`."""

    provider = "calcom"

    def limit(self, headers: httpx.Headers) -> tuple[int, int] | None:
        """The last word of the headers' names is the limit's own name, `Default` for most (Cal.com code)."""
        start = "x-ratelimit-limit-"
        names = [name.removeprefix(start) for name in headers if name.startswith(start)]
        told = (limit_in(headers, f"{start}{name}", f"x-ratelimit-remaining-{name}") for name in names)
        return min((one for one in told if one), default=None)

    def retry_after(self, headers: httpx.Headers, now: datetime) -> float:
        """A minute, unless the answer asks for less: the code sends no Retry-After, others have seen one."""
        return min(_BLOCKED, retry_after(headers, now, default=_BLOCKED))

    def refusal(self, message: str, status: int, content: Mapping[str, Any], body: str) -> SchedulerError | None:
        """A 422 is a time that cannot be reserved. What cannot be booked is a 400 or a 409, as many other things are;
        the caller finds out what it means."""
        return SchedulerRefused(message, body=body) if status == 422 else None

    def sentence(self, content: Mapping[str, Any]) -> str:
        """The error of the envelope, which some answers of status 500 lack (Cal.com issue 24139)."""
        error = content.get("error")
        told = error.get("message") if isinstance(error, dict) else content.get("message")
        return told if isinstance(told, str) else ""
