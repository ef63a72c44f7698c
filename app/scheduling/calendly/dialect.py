"""What Calendly's answers mean. Facts about Calendly are cited as in `translation`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import httpx

from app.errors import SchedulerError, SchedulerRefused
from app.scheduling.connection import limit_in, retry_after

#: Calls a minute on the free plan and on paid ones (Calendly API v2, rate limits).
FREE_CALLS, PAID_CALLS = 50, 500
#: `details[].code` of a create whose start someone else has by now (third parties).
_TAKEN = "already_filled"
_NAME = re.compile(r"[\w.:-]{1,80}")


class CalendlyDialect:
    """A `Dialect`. `provider` is the name of the account in logs."""

    def __init__(self, provider: str = "calendly") -> None:
        self.provider = provider

    def limit(self, headers: httpx.Headers) -> tuple[int, int] | None:
        """Whether an answer to a create tells of calls or of creates is not documented, so only the known numbers of
        calls are taken for such."""
        told = limit_in(headers, "x-ratelimit-limit", "x-ratelimit-remaining")
        return told if told and told[1] in {FREE_CALLS, PAID_CALLS} else None

    def retry_after(self, headers: httpx.Headers, now: datetime) -> float:
        """`X-RateLimit-Reset` counts seconds (Calendly API v2, rate limits); `Retry-After` is not documented."""
        reset = headers.get("x-ratelimit-reset", "")
        return float(reset) if reset.isascii() and reset.isdigit() else retry_after(headers, now, default=60.0)

    def refusal(self, message: str, status: int, content: Mapping[str, Any], body: str) -> SchedulerError | None:
        """A time that is known to be taken. Whether any other 400 means that, only the available times tell."""
        if 400 <= status < 500 and any(detail.get("code") == _TAKEN for detail in _details(content)):
            return SchedulerRefused(message, errors={"start_time": [_TAKEN]}, body=body)
        return None

    def sentence(self, content: Mapping[str, Any]) -> str:
        """Its message, with the parameters or scopes that it names: what is said of them may repeat a customer's
        words."""
        named = [detail.get("parameter") for detail in _details(content)]
        scopes = content.get("required_scopes")
        named += scopes if isinstance(scopes, list) else []
        names = ", ".join(dict.fromkeys(name for name in named if isinstance(name, str) and _NAME.fullmatch(name)))
        message = str(content.get("message", ""))
        return f"{message} ({names})" if names else message


def _details(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    details = content.get("details")
    yield from (one for one in details if isinstance(one, dict)) if isinstance(details, list) else ()
