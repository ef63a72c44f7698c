"""Signed tokens: what a link may do, for which booking, until when.

Tokens are scoped by a salt, so that a booking's token cannot manage and a manage link cannot pay.
Keys rotate: the newest signs, all of them verify.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

from app.errors import LinkExpired, LinkRefused

#: A booking's own page outlives the visit, so that a bookmark or an open tab still tells the truth.
BOOKING_LIFE = timedelta(days=30)
#: How long after the visit the manage link in the mail still opens.
MANAGE_LIFE_AFTER_END = timedelta(days=30)
#: How long what a page offered still holds: the refund that it showed is the refund that its button gives.
PAGE_LIFE = timedelta(minutes=10)


class Links:
    """Makes and reads tokens. `keys` newest first; `now` gives aware UTC datetimes."""

    def __init__(self, keys: Sequence[str], *, now: Callable[[], datetime], random: Random) -> None:
        oldest_first = list(reversed(keys))
        self._booking = URLSafeSerializer(oldest_first, salt="holdfast.booking")
        self._manage = URLSafeSerializer(oldest_first, salt="holdfast.manage")
        self._page = URLSafeSerializer(oldest_first, salt="holdfast.page")
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

    def manage_token(self, booking_id: str, version: int) -> str:
        """What the mailed link carries: look at, cancel and move one booking. How long is the booking's to say, since
        a moved one lives longer; a newer `version` retires it."""
        return str(self._manage.dumps([booking_id, version]))

    def read_manage_token(self, token: str) -> tuple[str, int]:
        """The booking's id and the link's version. Raises LinkRefused."""
        booking_id, version = self._loads(self._manage, token)
        return str(booking_id), int(version)

    def page_token(self, booking_id: str, act: str, revision: int) -> str:
        """What a page that offers an act carries in its form: which act, on what revision, shown when."""
        return str(self._page.dumps([booking_id, act, revision, int(self._now().timestamp())]))

    def read_page_token(self, token: str, booking_id: str, act: str) -> tuple[int, datetime]:
        """The revision that was shown, and when. Raises LinkExpired for a page older than `PAGE_LIFE`, LinkRefused
        for another booking's or another act's."""
        named, acting, revision, shown = self._loads(self._page, token)
        if (named, acting) != (booking_id, act):
            raise LinkRefused("another page")
        shown_at = datetime.fromtimestamp(shown, UTC)
        if self._now() - shown_at > PAGE_LIFE:
            raise LinkExpired("old page")
        return int(revision), shown_at

    def _sign(self, serializer: URLSafeSerializer, booking_id: str, expires: datetime) -> str:
        return str(serializer.dumps([booking_id, int(expires.timestamp())]))

    def _read(self, serializer: URLSafeSerializer, token: str) -> str:
        booking_id, expires = self._loads(serializer, token)
        if self._now().timestamp() >= expires:
            raise LinkExpired("expired")
        return str(booking_id)

    def _loads(self, serializer: URLSafeSerializer, token: str) -> Any:
        try:
            return serializer.loads(token)
        except BadSignature as error:
            raise LinkRefused("bad signature") from error
