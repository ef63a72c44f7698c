"""Signed tokens: what a link may do, for which booking, until when.

Tokens are scoped by a salt, so that a booking's token cannot manage and a manage link cannot pay.
Keys rotate: the newest signs, all of them verify.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from itsdangerous import BadSignature, URLSafeSerializer

from app.domain import Booking
from app.errors import LinkExpired, LinkRefused

#: A booking's own page outlives the visit, so that a bookmark or an open tab still tells the truth.
BOOKING_LIFE = timedelta(days=30)
#: How long after the visit the manage link in the mail still opens.
MANAGE_LIFE_AFTER_END = timedelta(days=30)
#: How long what a page offered still holds: the refund that it showed is the refund that its button gives.
PAGE_LIFE = timedelta(minutes=10)
#: How long the link that is mailed to staff may lie in their mailbox.
SIGN_IN_LIFE = timedelta(minutes=15)
#: An address of a staff page opens so long after it was made; pages that are used make newer ones.
STAFF_LIFE = timedelta(minutes=30)
STAFF_RENEWAL = timedelta(minutes=5)
#: A visitor is remembered for no longer than a day of looking around.
VISITOR_LIFE = timedelta(days=1)
_LONGEST_VISITOR = 200
#: What the host page's address carries for a moment: long enough for a slow bank, too short to be worth keeping.
RESULT_LIFE = timedelta(hours=3)
#: No receipt of ours is longer; what is, need not be unpacked.
_LONGEST_RECEIPT = 4096


def must_not_be_forgotten(booking: Booking) -> None:
    """For every door that a token opens. Raises LinkExpired for a booking whose customer was forgotten: a token that
    was given out before cannot be taken back, and must not show when somebody came, and for what."""
    if booking.forgotten:
        raise LinkExpired("its customer was forgotten")


class Links:
    """Makes and reads tokens. `keys` newest first; `now` gives aware UTC datetimes."""

    def __init__(self, keys: Sequence[str], *, now: Callable[[], datetime], random: Random) -> None:
        oldest_first = list(reversed(keys))
        self._booking = URLSafeSerializer(oldest_first, salt="holdfast.booking")
        self._manage = URLSafeSerializer(oldest_first, salt="holdfast.manage")
        self._api = URLSafeSerializer(oldest_first, salt="holdfast.api")
        self._page = URLSafeSerializer(oldest_first, salt="holdfast.page")
        self._visitor = URLSafeSerializer(oldest_first, salt="holdfast.visitor")
        self._result = URLSafeSerializer(oldest_first, salt="holdfast.result")
        self._receipt = URLSafeSerializer(oldest_first, salt="holdfast.receipt")
        self._sign_in = URLSafeSerializer(oldest_first, salt="holdfast.sign-in")
        self._staff = URLSafeSerializer(oldest_first, salt="holdfast.staff")
        self._feed = URLSafeSerializer(oldest_first, salt="holdfast.feed")
        self._now = now
        self._random = random

    def visitor_key(self) -> str:
        """A random name for one page view (not signed: it only makes a doubled click one hold)."""
        return f"{self._random.getrandbits(96):024x}"

    def visitor_token(self, name: str) -> str:
        """What a page carries along for a visitor whose holds are counted; it opens nothing."""
        return self._sign(self._visitor, name, self._now() + VISITOR_LIFE)

    def read_visitor_token(self, token: str) -> str:
        """The visitor's name; empty for a token that is none of ours, or old: then they are somebody new."""
        try:
            return self._read(self._visitor, token[:_LONGEST_VISITOR])
        except LinkRefused:
            return ""

    def booking_token(self, booking_id: str, *, ends_at: datetime) -> str:
        """What lets its bearer pay for, give up and look at one booking, until a month after it ends."""
        return self._sign(self._booking, booking_id, ends_at + BOOKING_LIFE)

    def read_booking_token(self, token: str) -> str:
        """The booking id. Raises LinkRefused or LinkExpired."""
        return self._read(self._booking, token)

    def api_token(self, booking_id: str) -> str:
        """What a program is given that locks a time: everything that the booking's customer may do, over JSON alone.
        How long is the booking's to say, as with the mailed link."""
        return str(self._api.dumps(booking_id))

    def read_api_token(self, token: str) -> str:
        """The booking id. Raises LinkRefused."""
        return str(self._loads(self._api, token[:_LONGEST_VISITOR]))

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

    def sign_in_token(self, sign_in_id: str) -> str:
        """What the link that is mailed to staff carries, for a quarter of an hour. That it works once is a row's."""
        return self._sign(self._sign_in, sign_in_id, self._now() + SIGN_IN_LIFE)

    def read_sign_in_token(self, token: str) -> str:
        """The sign-in's id. Raises LinkRefused or LinkExpired."""
        return self._read(self._sign_in, token)

    def staff_token(self, sign_in_id: str) -> str:
        """What the addresses of staff's pages carry: good for half an hour without a click."""
        return self._sign(self._staff, sign_in_id, self._now() + STAFF_LIFE)

    def read_staff_token(self, token: str) -> tuple[str, bool]:
        """The sign-in's id, and whether the token ought to be renewed by now. Raises LinkRefused or LinkExpired."""
        sign_in_id = self._read(self._staff, token)
        _, expires = self._loads(self._staff, token)
        return sign_in_id, expires - self._now().timestamp() < (STAFF_LIFE - STAFF_RENEWAL).total_seconds()

    def feed_token(self) -> str:
        """The secret part of the feeds' addresses. It holds until the key that signed it is dropped."""
        return str(self._feed.dumps("bookings"))

    def read_feed_token(self, token: str) -> None:
        """Raises LinkRefused for what is not ours, or was signed by a key that is gone."""
        self._loads(self._feed, token)

    def result_token(self, booking_id: str, *, told: str = "") -> str:
        """What lets its bearer see how one booking stands, for some hours. `told` is a word for the page."""
        return self._sign(self._result, booking_id, self._now() + RESULT_LIFE, told)

    def read_result_token(self, token: str) -> tuple[str, str]:
        """(booking id, told). Raises LinkRefused or LinkExpired."""
        booking_id, told = self._read_all(self._result, token)
        return booking_id, told

    def receipt(self, facts: Mapping[str, Any]) -> str:
        """A confirmation that a host page can hand to its server. What it says stays true, so it does not expire."""
        return str(self._receipt.dumps(dict(facts)))

    def read_receipt(self, receipt: str) -> Mapping[str, Any] | None:
        """What a receipt says; None if it is not one of ours."""
        if len(receipt) > _LONGEST_RECEIPT:
            return None
        try:
            facts: Any = self._receipt.loads(receipt)
        except BadSignature:
            return None
        return dict(facts)

    def _sign(self, serializer: URLSafeSerializer, booking_id: str, expires: datetime, *more: str) -> str:
        return str(serializer.dumps([booking_id, int(expires.timestamp()), *more]))

    def _read(self, serializer: URLSafeSerializer, token: str) -> str:
        [booking_id] = self._read_all(serializer, token)
        return booking_id

    def _read_all(self, serializer: URLSafeSerializer, token: str) -> list[str]:
        booking_id, expires, *more = self._loads(serializer, token)
        if self._now().timestamp() >= expires:
            raise LinkExpired("expired")
        return [str(booking_id), *map(str, more)]

    def _loads(self, serializer: URLSafeSerializer, token: str) -> Any:
        try:
            return serializer.loads(token)
        except BadSignature as error:
            raise LinkRefused("bad signature") from error
