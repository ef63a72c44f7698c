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
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.errors import WebhookRefused
from app.settings import WebhookScheme

#: A signature may be this old, or this far ahead of our clock.
TOLERANCE = timedelta(minutes=5)
#: More than enough for a booking with everything around it; a body is at most a mebibyte.
_MOST_THINGS = 2000
_MOST_IDS = 50
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|bk_[0-9a-f]{20}", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]{1,17}")


@dataclass(frozen=True, slots=True)
class Notice:
    """What a webhook of Hapio's may be about. `id` tells deliveries apart; `ids` are all ids in it, of whatever;
    `moments` are the starts and ends that it names; `things` by their ids are what it tells of them."""

    id: str
    type: str
    ids: tuple[str, ...]
    moments: tuple[datetime, ...]
    things: Mapping[str, Mapping[str, Any]]


def read_notice(
    raw: bytes, headers: Mapping[str, str], *, secret: str, scheme: WebhookScheme, now: Callable[[], datetime]
) -> Notice:
    """The notice in a webhook's raw body. Raises WebhookRefused for everything that Hapio did not just send."""
    check_signature(raw, headers, secret=secret, scheme=scheme, now=now())
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise WebhookRefused("not JSON") from error
    if not isinstance(told, dict):
        raise WebhookRefused("not an object")
    stamp = headers.get(scheme.timestamp_header, "")
    digest = hashlib.sha256(stamp.encode() + b"." + raw).hexdigest()
    kind = told.get("type") or told.get("event")
    inside = list(_inside(told))
    texts = [(name, value) for name, value in inside if isinstance(value, str)]
    things = {value["id"].lower(): value for _, value in inside if isinstance(value, dict) and _has_id(value)}
    ids = dict.fromkeys(text.lower() for _name, text in texts if _ID.fullmatch(text))
    moments = {moment for name, text in texts if name in {"starts_at", "ends_at"} for moment in _moments(text)}
    return Notice(
        id=f"hapio_{digest[:40]}",
        type=re.sub(r"[^\w.:-]", "", kind)[:80] if isinstance(kind, str) else "",
        ids=tuple(ids)[:_MOST_IDS],
        moments=tuple(sorted(moments)),
        things=things,
    )


def check_signature(
    raw: bytes, headers: Mapping[str, str], *, secret: str, scheme: WebhookScheme, now: datetime
) -> None:
    """Raises WebhookRefused unless the body was signed with the secret, in the way of `scheme`, lately."""
    given = re.sub(r"^(?:sha256|v1)=", "", headers.get(scheme.signature_header, "").strip())
    stamp = headers.get(scheme.timestamp_header, "").strip()
    if not given or not secret:
        raise WebhookRefused("not signed")
    if scheme.signed == "body":
        text = raw
    else:
        signed_at = _signed_at(stamp, scheme)
        if signed_at is None or abs(now - signed_at) > TOLERANCE:
            raise WebhookRefused("signed too long ago, or in the future")
        text = stamp.encode() + (b"." if scheme.signed == "timestamp.body" else b"") + raw
    try:
        digest = bytes.fromhex(given) if scheme.encoding == "hex" else base64.b64decode(given, validate=True)
    except (ValueError, binascii.Error) as error:
        raise WebhookRefused("no readable signature") from error
    if not hmac.compare_digest(digest, hmac.digest(secret.encode(), text, "sha256")):
        raise WebhookRefused("bad signature")


def _signed_at(stamp: str, scheme: WebhookScheme) -> datetime | None:
    if scheme.unit == "iso":
        return next(_moments(stamp), None)
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


def _moments(text: str) -> Iterator[datetime]:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return
    if moment.tzinfo is not None and 1990 < moment.year < 2200:
        yield moment.astimezone(UTC)
