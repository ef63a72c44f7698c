"""Outgoing webhooks: which events there are, what of a booking's history is one, and how long delivery is tried. Pure.

The webhooks that providers send to us are `app.domain.event`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from app.domain.booking import EndReason, Status
from app.domain.history import HistoryWord


class WebhookEvent(StrEnum):
    """What an owner's programs are told of. The values are public and do not change."""

    HELD = "booking.held"
    #: Also when a cancellation was undone: the booking is confirmed again.
    CONFIRMED = "booking.confirmed"
    MOVED = "booking.moved"
    CANCELED = "booking.canceled"
    #: Ended without payment. Late money may still confirm it.
    EXPIRED = "booking.expired"
    #: Money was sent back, not merely promised.
    REFUNDED = "booking.refunded"
    #: Also when the note was reversed.
    NO_SHOW = "booking.no_show"
    #: What the owner is mailed about, because it needs a person.
    NEEDS_ATTENTION = "booking.needs_attention"
    #: The customer was taken out of the booking: anyone who was sent personal data has to delete it, too.
    FORGOTTEN = "booking.forgotten"


_WORDS: Final[Mapping[HistoryWord, WebhookEvent]] = {
    HistoryWord.HELD: WebhookEvent.HELD,
    HistoryWord.BOOKED_THERE: WebhookEvent.HELD,
    HistoryWord.BOOKED_AT_DESK: WebhookEvent.HELD,
    HistoryWord.CONFIRMED: WebhookEvent.CONFIRMED,
    HistoryWord.RESCUED: WebhookEvent.CONFIRMED,
    HistoryWord.TAKEN_BACK: WebhookEvent.CONFIRMED,
    HistoryWord.MOVED: WebhookEvent.MOVED,
    HistoryWord.NO_SHOW: WebhookEvent.NO_SHOW,
    HistoryWord.CAME_AFTER_ALL: WebhookEvent.NO_SHOW,
    HistoryWord.REFUNDED_AT_STRIPE: WebhookEvent.REFUNDED,
    HistoryWord.FORGOTTEN: WebhookEvent.FORGOTTEN,
}
_ENDS: Final[Mapping[Status, WebhookEvent]] = {
    Status.CANCELED: WebhookEvent.CANCELED,
    Status.EXPIRED: WebhookEvent.EXPIRED,
}
_END_WORDS: Final = frozenset(HistoryWord) & frozenset(EndReason)
#: The lines of the history that may be events; nothing else is read.
TOLD_WORDS: Final = frozenset(_WORDS) | _END_WORDS


def event_of(what: HistoryWord, status: Status) -> WebhookEvent | None:
    """The event that a line of the history is; None for a step that nobody outside waits for. `status` is the
    booking's after it: the word for a booking's end also stands in lines about its payment."""
    return _ENDS.get(status) if what in _END_WORDS else _WORDS.get(what)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An endpoint as widgets.toml has it. Without `events` it gets all."""

    id: str
    widget: str
    url: str
    events: frozenset[WebhookEvent]
    personal_data: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that is told of a widget's bookings; `id` is "widget.name".

    `failures` counts attempts in a row without success, `failing_since` is when the first of them was made, and
    `last_error` what the last one met; nothing is sent before `free_at`, because an attempt is under way or the address
    rests. `disabled_at`: switched off after failing for long. `removed_at`: widgets.toml does not name it any more.
    `tell_at`: the owner is to be mailed then that it is off.
    """

    id: str
    widget: str
    url: str
    events: frozenset[WebhookEvent]
    personal_data: bool
    added_at: datetime
    free_at: datetime
    failures: int
    failing_since: datetime | None
    last_error: str
    delivered_at: datetime | None
    disabled_at: datetime | None
    removed_at: datetime | None
    tell_at: datetime | None

    def wants(self, event: WebhookEvent) -> bool:
        """Whether it is told of such events."""
        return not self.events or event in self.events


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one endpoint. `body` is JSON without personal data; `number` rises from one message of the
    endpoint to the next. Without `next_try_at` it was delivered, or given up."""

    id: str
    endpoint_id: str
    number: int
    source: str
    event: WebhookEvent
    booking_id: str
    body: str
    occurred_at: datetime
    created_at: datetime
    tries: int
    next_try_at: datetime | None
    delivered_at: datetime | None
    last_error: str


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that endpoints may be told of. `source` names the row that says so, once and for all; `cause` is our
    word for why. `facts` are of the event alone, amounts in smallest units, times in ISO 8601."""

    source: str
    event: WebhookEvent
    booking_id: str
    at: datetime
    cause: str
    status: Status | None = None
    facts: Mapping[str, str | int] | None = None


#: After each failed attempt. Together three days and three hours, as long as Stripe repeats its own
#: (Stripe docs, "Webhooks", retries); the first soon, because most failures are a restart.
PAUSES: Final = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
#: An address that fails so often in a row rests: what waits for it would only wear out its attempts.
REST_FROM: Final = 3
_LONGEST_REST: Final = timedelta(minutes=30)
#: Nothing was delivered for so long: the address is switched off, and the owner is mailed.
OFF_AFTER: Final = timedelta(days=5)
#: How long deliveries are kept, whatever became of them: to be listed, and sent again.
KEPT: Final = timedelta(days=30)


def pause_after(tries: int) -> timedelta | None:
    """How long to wait after that many failed attempts; None where it is given up."""
    return PAUSES[tries - 1] if tries <= len(PAUSES) else None


def rest_after(failures: int) -> timedelta:
    """How long an address is left alone after that many failures in a row."""
    if failures < REST_FROM:
        return timedelta(0)
    return min(timedelta(seconds=15 << min(failures - REST_FROM, 10)), _LONGEST_REST)
