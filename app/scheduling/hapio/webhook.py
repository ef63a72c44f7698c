"""Hapio's webhooks: who sent one, and which bookings it may be about.

That they exist, are signed and carry the time of signing is all that Hapio says of them; how exactly, which events
there are and what is in them is not documented. So the way of signing is a setting, and the body is only searched for
ids: whatever it says is a hint to look.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from app.errors import WebhookRefused
from app.scheduling.hapio.translation import booking_in
from app.scheduling.moments import moment_in, moments_in
from app.scheduling.port import SchedulerNotice
from app.settings import WebhookScheme

#: A signature may be this old, or this far ahead of our clock.
_TOLERANCE = timedelta(minutes=5)
#: More than enough for a booking with everything around it; a body is at most a mebibyte.
_MOST_THINGS = 2000
_MOST_IDS = 50
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|bk_[0-9a-f]{20}", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]{1,17}")


class HapioWebhooks:
    """Hapio's webhooks, signed with `secret` in the way of `scheme`; `SchedulerWebhooks`."""

    def __init__(self, *, secret: str, scheme: WebhookScheme, now: Callable[[], datetime]) -> None:
        self._secret = secret
        self._scheme = scheme
        self._now = now

    def read(self, raw: bytes, headers: Mapping[str, str]) -> SchedulerNotice:
        """The notice in a webhook's raw body. Raises WebhookRefused for everything that Hapio did not just send."""
        signed = _check_signature(raw, headers, secret=self._secret, scheme=self._scheme, now=self._now())
        try:
            content = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise WebhookRefused("not JSON") from error
        if not isinstance(content, dict):
            raise WebhookRefused("not an object")
        # Of what was signed alone: with anything else a captured body could be sent under another id each time.
        digest = hashlib.sha256(signed).hexdigest()
        kind = content.get("type") or content.get("event")
        inside = list(_inside(content))
        texts = [(name, value) for name, value in inside if isinstance(value, str)]
        things = {value["id"].lower(): value for _, value in inside if isinstance(value, dict) and _has_id(value)}
        ids = dict.fromkeys(text.lower() for _name, text in texts if _ID.fullmatch(text))
        moments = moments_in(text for name, text in texts if name in {"starts_at", "ends_at"})
        word = re.sub(r"[^\w.:-]", "", kind)[:80] if isinstance(kind, str) else ""
        return SchedulerNotice(
            id=f"hapio_{digest[:40]}",
            type=f"hapio.{word}",
            ids=tuple(ids)[:_MOST_IDS],
            moments=moments,
            bookings={id_: booking for id_, thing in things.items() if (booking := booking_in(thing))},
            deletes="delete" in word,
        )


def _check_signature(
    raw: bytes, headers: Mapping[str, str], *, secret: str, scheme: WebhookScheme, now: datetime
) -> bytes:
    """What was signed. Raises WebhookRefused unless the body was signed with the secret, in the way of `scheme`,
    lately."""
    given = re.sub(r"^(?:sha256|v1)=", "", headers.get(scheme.signature_header, "").strip())
    stamp = headers.get(scheme.timestamp_header, "").strip()
    if not given or not secret:
        raise WebhookRefused("not signed")
    if scheme.signed == "body":
        text = raw
    else:
        signed_at = _signed_at(stamp, scheme)
        if signed_at is None or abs(now - signed_at) > _TOLERANCE:
            raise WebhookRefused("signed too long ago, or in the future")
        text = stamp.encode() + (b"." if scheme.signed == "timestamp.body" else b"") + raw
    try:
        digest = bytes.fromhex(given) if scheme.encoding == "hex" else base64.b64decode(given, validate=True)
    except (ValueError, binascii.Error) as error:
        raise WebhookRefused("no readable signature") from error
    if not hmac.compare_digest(digest, hmac.digest(secret.encode(), text, "sha256")):
        raise WebhookRefused("bad signature")
    return text


def _signed_at(stamp: str, scheme: WebhookScheme) -> datetime | None:
    if scheme.unit == "iso":
        return moment_in(stamp)
    if not _DIGITS.fullmatch(stamp):
        return None
    seconds = int(stamp) / (1000 if scheme.unit == "milliseconds" else 1)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _inside(told: object) -> Iterator[tuple[str, Any]]:
    """Everything in a JSON value with the name it stands under, up to a bound; without recursion, since the depth is
    the sender's."""
    left: list[tuple[str, Any]] = [("", told)]
    for _ in range(_MOST_THINGS):
        if not left:
            return
        name, value = left.pop()
        yield name, value
        if isinstance(value, dict):
            left += [(str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            left += [(name, inner) for inner in value]


def _has_id(thing: Mapping[str, Any]) -> bool:
    return isinstance(thing.get("id"), str)
