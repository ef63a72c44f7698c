"""What a scheduler did not do, and whether it may have done it all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Self

from app.errors.base import HoldfastError
from app.msgid import N_

#: The code of whatever a scheduler does not do, by the provider's name.
SCHEDULER_CODES: Final[Mapping[str, str]] = {
    "hapio": "HAPIO_API_ERROR",
    "calcom": "CALCOM_API_ERROR",
    "calendly": "CALENDLY_API_ERROR",
}


class SchedulerError(HoldfastError):
    """The scheduler did not do what was asked. `http_status` is None without an answer; `body` is kept for logs."""

    status = 503
    code = SCHEDULER_CODES["hapio"]
    #: Whether the call may have taken effect all the same.
    outcome_unknown = False
    sentence = N_("The calendar cannot be reached right now. Nothing was charged.")
    retry = False

    def __init__(self, message: str, *, http_status: int | None = None, body: str = "") -> None:
        super().__init__(message)
        self.http_status = http_status
        self.body = body

    def at(self, scheduler: str) -> Self:
        """The same error, with the code of the scheduler of this name; owners' accounts have their provider's. A name
        that no scheduler has, which an old row may hold, changes nothing."""
        self.code = SCHEDULER_CODES.get(scheduler.partition(":")[0], self.code)
        return self


class SchedulerUnreachable(SchedulerError):
    """No answer from the scheduler: whether the call took effect is unknown."""

    outcome_unknown = True
    retry = True


class TimesNotRead(SchedulerError):
    """Nobody has read these times yet, and reading them now would spend calls that bookings need. Nothing was sent."""

    sentence = N_("We cannot load the times for this month right now. Please try again later today.")
    retry = True


class SchedulerDown(SchedulerError):
    """The scheduler has failed repeatedly, so nothing was sent; `retry_after` in seconds."""

    retry = True

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SchedulerFailed(SchedulerError):
    """5xx, or an answer that is not what the API promises: the outcome is unknown."""

    outcome_unknown = True
    retry = True


class SchedulerRateLimited(SchedulerError):
    """429: not processed. `retry_after` in seconds."""

    retry = True

    def __init__(self, message: str, *, retry_after: float, body: str = "") -> None:
        super().__init__(message, http_status=429, body=body)
        self.retry_after = retry_after


class SchedulerFull(SchedulerError):
    """The scheduler makes no more bookings today; `retry_after` in seconds. Nothing was sent."""

    sentence = N_(
        "The calendar cannot take any more bookings today. Please try again tomorrow. You have not been charged."
    )
    retry = True

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SchedulerNotConnected(SchedulerError):
    """The settings have no credentials for the scheduler that a booking was made at, or its owner has not connected an
    account. Nothing was sent."""


class SchedulerUnauthorized(SchedulerError):
    """401: the API token is missing or wrong."""


class SchedulerForbidden(SchedulerError):
    """403: the API token lacks the ability for this operation."""


class SchedulerNotFound(SchedulerError):
    """404: no such object."""


class SchedulerRefused(SchedulerError):
    """422: the time is taken or not bookable. `errors` are by field, where the scheduler names fields."""

    def __init__(
        self,
        message: str,
        *,
        errors: Mapping[str, Sequence[str]] | None = None,
        body: str = "",
    ) -> None:
        super().__init__(message, http_status=422, body=body)
        self.errors = dict(errors or {})
