"""What Hapio's answers mean. Facts about Hapio are cited as in `translation`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx

from app.errors import SchedulerError, SchedulerRefused
from app.scheduling.connection import limit_in, retry_after
from app.scheduling.hapio.translation import texts_by_field


class HapioDialect:
    """A `Dialect`."""

    provider = "hapio"

    def limit(self, headers: httpx.Headers) -> tuple[int, int] | None:
        return limit_in(headers, "x-ratelimit-limit", "x-ratelimit-remaining")

    def retry_after(self, headers: httpx.Headers, now: datetime) -> float:
        """A second if Hapio did not say (as the Hapio SDK waits)."""
        return retry_after(headers, now, default=1.0)

    def refusal(self, message: str, status: int, content: Mapping[str, Any], body: str) -> SchedulerError | None:
        if status != 422:
            return None
        return SchedulerRefused(message, errors=texts_by_field(content.get("errors")), body=body)

    def sentence(self, content: Mapping[str, Any]) -> str:
        return str(content.get("message", ""))
