"""Cal.com's webhooks: who sent one, and which bookings it may be about.

The signature covers the body alone, and no header says when it was made (Cal.com code): the body's own `createdAt` must
do. Order and number of deliveries are not promised, so that whatever a body says is a hint to look.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from app.errors import WebhookRefused
from app.scheduling.moments import moment_in, moments_in
from app.scheduling.port import SchedulerNotice

HEADER: Final = "x-cal-signature-256"
#: The events that tell of a change of ours; a move may come as a request (Cal.com issue 21169).
TRIGGERS: Final = (
    "BOOKING_CREATED",
    "BOOKING_RESCHEDULED",
    "BOOKING_REQUESTED",
    "BOOKING_CANCELLED",
    "BOOKING_REJECTED",
)
#: A delivery may be repeated by a queue of Cal.com's, whose patience is not documented.
_OLDEST = timedelta(hours=25)
#: How far ahead of our clock theirs may be.
_AHEAD = timedelta(minutes=5)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_UID = re.compile(r"[0-9A-Za-z_-]{1,64}")
#: A booking; after a move the one that it was; and the booking as a no-show names it.
_IDS = ("uid", "rescheduleUid", "bookingUid")
_MOMENTS = ("startTime", "endTime")


class CalcomWebhooks:
    """Cal.com's webhooks, signed with `secret`; `SchedulerWebhooks`."""

    def __init__(self, *, secret: str, now: Callable[[], datetime]) -> None:
        self._secret = secret
        self._now = now

    def read(self, raw: bytes, headers: Mapping[str, str]) -> SchedulerNotice:
        """The notice in a webhook's raw body: without ids where the body has another shape than events of bookings,
        such as a meeting's beginning. Raises WebhookRefused for everything that Cal.com did not sign within the last
        day."""
        self._check_signature(raw, headers.get(HEADER, "").strip().lower())
        try:
            content = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise WebhookRefused("not JSON") from error
        if not isinstance(content, dict):
            raise WebhookRefused("not an object")
        created = moment_in(content.get("createdAt"))
        if created is not None and not self._now() - _OLDEST <= created <= self._now() + _AHEAD:
            raise WebhookRefused("made too long ago, or in the future")
        told = content.get("payload")
        payload = told if created is not None and isinstance(told, dict) else {}
        trigger = content.get("triggerEvent")
        word = re.sub(r"[^A-Z_]", "", trigger)[:60] if isinstance(trigger, str) else ""
        found = (payload.get(name) for name in _IDS)
        ids = tuple(dict.fromkeys(uid for uid in found if isinstance(uid, str) and _UID.fullmatch(uid)))
        # Deliveries have no id of their own.
        same = f"{word} {' '.join(ids)} {created}".encode() if ids else raw
        return SchedulerNotice(
            id=f"calcom_{hashlib.sha256(same).hexdigest()[:40]}",
            type=f"calcom.{word}",
            ids=ids,
            moments=moments_in(map(payload.get, _MOMENTS)),
            # A late or repeated body tells of the past, and none has all that a booking has.
            bookings={},
            deletes=False,
        )

    def _check_signature(self, raw: bytes, given: str) -> None:
        """Raises WebhookRefused. Without a secret Cal.com writes a sentence in the signature's place."""
        if not self._secret or not _DIGEST.fullmatch(given):
            raise WebhookRefused("not signed")
        if not hmac.compare_digest(given, hmac.new(self._secret.encode(), raw, hashlib.sha256).hexdigest()):
            raise WebhookRefused("bad signature")
