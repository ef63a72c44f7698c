"""Calendly's webhooks: who sent one, and which events it is about (Calendly API v2, webhooks)."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.errors import WebhookRefused
from app.scheduling.calendly.translation import EVENT_IN_URI, booking_in
from app.scheduling.moments import moments_in
from app.scheduling.port import SchedulerNotice

#: What has to be told.
EVENTS: Final = ("invitee.created", "invitee.canceled")
_HEADER = "calendly-webhook-signature"
#: Deliveries are repeated for 24 hours, and whether a repeated one is signed again is not documented. A notice is no
#: more than a hint to look, so an old one does no harm.
_OLDEST, _AHEAD = timedelta(hours=25), timedelta(minutes=5)
_DIGITS = re.compile(r"[0-9]{1,17}")


class CalendlyWebhooks:
    """Calendly's webhooks, signed with the key that was given with the subscription; `SchedulerWebhooks`."""

    def __init__(self, *, key: str, now: Callable[[], datetime]) -> None:
        self._key = key
        self._now = now

    def read(self, raw: bytes, headers: Mapping[str, str]) -> SchedulerNotice:
        """The notice in a webhook's raw body. Raises WebhookRefused for everything that Calendly did not send within
        the last day. There is no id in it (Calendly API v2), so one is made of what tells two apart."""
        _check_signature(raw, headers.get(_HEADER, ""), key=self._key, now=self._now())
        try:
            content = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise WebhookRefused("not JSON") from error
        payload = content.get("payload") if isinstance(content, dict) else None
        if not isinstance(payload, dict):
            raise WebhookRefused("not a webhook of Calendly")
        kind = content.get("event")
        word = re.sub(r"[^\w.:-]", "", kind)[:80] if isinstance(kind, str) else ""
        told = json.dumps([word, payload.get("uri"), content.get("created_at")])
        event = payload.get("scheduled_event")
        event = event if isinstance(event, dict) else {}
        booking = booking_in(payload)
        return SchedulerNotice(
            id=f"calendly_{hashlib.sha256(told.encode()).hexdigest()[:40]}",
            type=f"calendly.{word}",
            ids=tuple(dict.fromkeys(_event_ids(payload, event))),
            moments=moments_in(map(event.get, ("start_time", "end_time"))),
            # Anyone who looks one up does so in small letters.
            bookings={booking.id.lower(): booking} if booking else {},
            deletes=False,
        )


def _check_signature(raw: bytes, header: str, *, key: str, now: datetime) -> None:
    """Raises WebhookRefused unless the body was signed with the key: HMAC-SHA256 over the time, a full stop and the
    body (Calendly API v2, "Webhook Signatures")."""
    parts = [part.strip().partition("=")[::2] for part in header.split(",")]
    stamp = next((value for name, value in parts if name == "t"), "")
    given = [value for name, value in parts if name == "v1"]
    if not key or not given or not _DIGITS.fullmatch(stamp):
        raise WebhookRefused("not signed")
    try:
        age = now - datetime.fromtimestamp(int(stamp), UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise WebhookRefused("signed at no time") from error
    if not -_AHEAD <= age <= _OLDEST:
        raise WebhookRefused("signed too long ago, or in the future")
    right = hmac.new(key.encode(), stamp.encode() + b"." + raw, "sha256").hexdigest()
    if not any(hmac.compare_digest(right.encode(), one.encode()) for one in given):
        raise WebhookRefused("bad signature")


def _event_ids(payload: Mapping[str, Any], event: Mapping[str, Any]) -> Iterator[str]:
    """The events that a payload names: its own, and those that a move on Calendly's page links it with."""
    for uri in (payload.get("event"), event.get("uri"), *map(payload.get, ("uri", "old_invitee", "new_invitee"))):
        found = EVENT_IN_URI.search(uri) if isinstance(uri, str) else None
        if found:
            yield found[1]
