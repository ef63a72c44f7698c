"""Mails that are due. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class OutboxMail:
    """A mail that is due: `kind` is app.mail.MailKind's value; `message_id` stays the same over every attempt. `due_at`
    is when it is to be sent. `revision` is the booking's that it tells of."""

    id: str
    booking_id: str
    kind: str
    message_id: str
    detail: Mapping[str, Any]
    tries: int
    created_at: datetime
    sent_at: datetime | None
    due_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class MailLine:
    """One mail as staff see it. `error` is the name of the last failure; without `next_try_at` it is given up."""

    id: str
    booking_id: str
    kind: str
    due_at: datetime
    sent_at: datetime | None
    next_try_at: datetime | None
    tries: int
    error: str
