"""An account at a scheduler that an owner has connected, with what lets us use it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Broken(StrEnum):
    """Why a connection does not work any more, so that its owner has to connect again."""

    #: The scheduler does not take the refresh token any more: most likely the owner has withdrawn access there.
    REFUSED = "refused"
    #: The answer to a refresh never arrived, and with it the next refresh token, since each works once.
    ANSWER_LOST = "answer_lost"


@dataclass(frozen=True, slots=True)
class SchedulerTokens:
    """One row. `account` is the scheduler's own name of the account, `account_name` its owner's; `access` and `refresh`
    are sealed. Anyone who has the lease may refresh them, up to `lease_until`. `tell_at` is when the owner has to hear
    that it is broken; None when that is said, or nothing is.
    """

    name: str
    account: str
    account_name: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: datetime
    lease_until: datetime | None
    broken: Broken | None
    tell_at: datetime | None
    connected_at: datetime
    updated_at: datetime
