"""Signed tokens: what a link may do, for which booking, until when.

Tokens are scoped by a salt, so that a booking's token cannot manage and a manage link cannot pay.
Keys rotate: the newest signs, all of them verify.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

from app.errors import LinkExpired, LinkRefused

#: A booking's own page outlives the visit, so that a bookmark or an open tab still tells the truth.
BOOKING_LIFE = timedelta(days=30)
#: How long after the visit the manage link in the mail still opens.
MANAGE_LIFE_AFTER_END = timedelta(days=30)


class Links:
    """Makes and reads tokens. `keys` newest first; `now` gives aware UTC datetimes."""

    def __init__(self, keys: Sequence[str], *, now: Callable[[], datetime], random: Random) -> None:
        oldest_first = list(reversed(keys))
        self._booking = URLSafeSerializer(oldest_first, salt="holdfast.booking")
        self._manage = URLSafeSerializer(oldest_first, salt="holdfast.manage")
        self._now = now
        self._random = random

    def visitor_key(self) -> str:
        """A random name for one page view (not signed: it only makes a doubled click one hold)."""
        return f"{self._random.getrandbits(96):024x}"

    def booking_token(self, booking_id: str, *, ends_at: datetime) -> str:
        """What lets its bearer pay for, give up and look at one booking, until a month after it ends."""
        return self._sign(self._booking, booking_id, ends_at + BOOKING_LIFE)

    def read_booking_token(self, token: str) -> str:
        """The booking id. Raises LinkRefused or LinkExpired."""
        return self._read(self._booking, token)

    def manage_token(self, booking_id: str, *, ends_at: datetime) -> str:
        """What the mailed link carries: look at, cancel and move one booking."""
        return self._sign(self._manage, booking_id, ends_at + MANAGE_LIFE_AFTER_END)

    def read_manage_token(self, token: str) -> str:
        """The booking id. Raises LinkRefused or LinkExpired."""
        return self._read(self._manage, token)

    def _sign(self, serializer: URLSafeSerializer, booking_id: str, expires: datetime) -> str:
        return str(serializer.dumps([booking_id, int(expires.timestamp())]))

    def _read(self, serializer: URLSafeSerializer, token: str) -> str:
        try:
            payload: Any = serializer.loads(token)
        except BadSignature as error:
            raise LinkRefused("bad signature") from error
        booking_id, expires = payload
        if self._now().timestamp() >= expires:
            raise LinkExpired("expired")
        return str(booking_id)
