"""What Stripe remembers under an Idempotency-Key (Stripe docs, Idempotent requests)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.stripe.errors import StripeError

# "At least 24 hours" at Stripe; exactly that here, so that a reuse afterwards is seen to be a new request.
LIFE = timedelta(hours=24)
MAX_KEY_LENGTH = 255


@dataclass(frozen=True)
class Answer:
    """Status and body as first given; replayed unchanged, whatever has happened since."""

    status: int
    body: dict[str, Any]
    request_id: str


@dataclass
class _Entry:
    endpoint: str
    params: dict[str, Any]
    at: datetime
    answer: Answer | None = None  # None: still executing


class Memory:
    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._entries: dict[str, _Entry] = {}

    def recall(self, key: str, endpoint: str, params: dict[str, Any]) -> Answer | None:
        """The remembered answer, or None for a new key, which is then marked as executing.

        Raises StripeError: 400 idempotency_error for another endpoint or other parameters, 409 while the
        first request under the key has not ended.
        """
        if not 0 < len(key) <= MAX_KEY_LENGTH:
            raise StripeError(f"Idempotency keys must be 1 to {MAX_KEY_LENGTH} characters long.")
        entry = self._entries.get(key)
        if entry is None or self._now() >= entry.at + LIFE:
            self._entries[key] = _Entry(endpoint, params, self._now())
            return None
        if entry.endpoint != endpoint:
            raise StripeError(
                f"Keys for idempotent requests can only be used for the same endpoint they were first used for "
                f"('{entry.endpoint}' vs '{endpoint}'). Try using a key other than '{key}' if you meant to "
                f"execute a different request.",
                kind="idempotency_error",
            )
        if entry.params != params:
            raise StripeError(
                f"Keys for idempotent requests can only be used with the same parameters they were first used "
                f"with. Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        if entry.answer is None:
            raise StripeError(
                f"There is currently another in-progress request using this Idempotent Key (that probably means "
                f"you submitted twice, and the other request is still going through): {key}.",
                status=409,
                code="idempotency_key_in_use",
            )
        return entry.answer

    def remember(self, key: str, answer: Answer) -> None:
        self._entries[key].answer = answer

    def forget(self, key: str) -> None:
        """The request did not begin its work: the key is as good as new."""
        del self._entries[key]

    def clear(self) -> None:
        self._entries.clear()
