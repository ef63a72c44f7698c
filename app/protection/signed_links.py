"""Signed tokens: what a link may do, for which booking, until when.

Tokens are scoped by a salt, so that a booking's token cannot manage and a manage link cannot pay.
Keys rotate: the newest signs, all of them verify.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

from itsdangerous import BadSignature, URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from app.domain.booking import Booking
from app.domain.flow import FLOW_LIFE, Flow
from app.errors import LinkExpired, LinkRefused, ReturnExpired

#: A booking's own page outlives the visit, so that a bookmark or an open tab still tells the truth.
BOOKING_LIFE = timedelta(days=30)
#: How long after the visit the manage link in the mail still opens.
MANAGE_LIFE_AFTER_END = timedelta(days=30)
#: How long what a page offered still holds: the refund that it showed is the refund that its button gives.
PAGE_LIFE = timedelta(minutes=10)
#: How long the link that is mailed to staff may lie in their mailbox.
SIGN_IN_LIFE = timedelta(minutes=15)
#: An address of a staff page opens so long after it was made; pages that are used make newer ones. Where someone stays
#: signed in for the day, the sign-in's row says when that ends, and this is only how long a row can last.
STAFF_LIFE = timedelta(minutes=30)
STAYING_LIFE = timedelta(hours=24)
STAFF_RENEWAL = timedelta(minutes=5)
#: A visitor is remembered for no longer than a day of looking around.
VISITOR_LIFE = timedelta(days=1)
_LONGEST_VISITOR = 200
#: What the host page's address carries for a moment: long enough for a slow bank, too short to be worth keeping.
RESULT_LIFE = timedelta(hours=3)
#: How long after Stripe's page has closed its way back still shows something: long enough for a slow bank.
RETURN_LIFE = timedelta(hours=3)
#: Which payment a way back belongs to: the booking's own, or the difference of a move.
Way = Literal["booking", "move"]
#: No receipt of ours is longer; what is, need not be unpacked.
_LONGEST_RECEIPT = 4096
#: Nor is a flow's token: its texts have bounds of their own, and each of their letters may take six characters.
LONGEST_FLOW = 12_000
_VISITOR_KEY = re.compile("[0-9a-f]{24}")


def must_not_be_forgotten(booking: Booking) -> None:
    """For every door that a token opens. Raises LinkExpired for a booking whose customer was forgotten: a token that
    was given out before cannot be taken back, and must not show when someone came, and for what."""
    if booking.forgotten:
        raise LinkExpired("its customer was forgotten")


class Links:
    """Makes and reads tokens. `keys` newest first; `now` gives aware UTC datetimes."""

    def __init__(self, keys: Sequence[str], *, now: Callable[[], datetime], random: Random) -> None:
        oldest_first = list(reversed(keys))
        self._booking = URLSafeSerializer(oldest_first, salt="holdfast.booking")
        self._manage = URLSafeSerializer(oldest_first, salt="holdfast.manage")
        self._api = URLSafeSerializer(oldest_first, salt="holdfast.api")
        self._flow = URLSafeSerializer(oldest_first, salt="holdfast.flow")
        self._page = URLSafeSerializer(oldest_first, salt="holdfast.page")
        self._visitor = URLSafeSerializer(oldest_first, salt="holdfast.visitor")
        self._result = URLSafeSerializer(oldest_first, salt="holdfast.result")
        self._return = URLSafeSerializer(oldest_first, salt="holdfast.return")
        self._receipt = URLSafeSerializer(oldest_first, salt="holdfast.receipt")
        self._sign_in = URLSafeSerializer(oldest_first, salt="holdfast.sign-in")
        self._staff = URLSafeSerializer(oldest_first, salt="holdfast.staff")
        self._feed = URLSafeSerializer(oldest_first, salt="holdfast.feed")
        # The newest key alone: a lock that is repeated over a change of keys is another lock.
        self._lock_secret = hashlib.sha256(b"holdfast.lock " + keys[0].encode()).digest()
        self._now = now
        self._random = random

    def visitor_key(self) -> str:
        """A random name for one page view (not signed: it only makes a doubled click one hold)."""
        return f"{self._random.getrandbits(96):024x}"

    def read_visitor_key(self, text: str) -> str:
        """The name that a form sends back; a new one for what `visitor_key` does not make, such as a program's."""
        return text if _VISITOR_KEY.fullmatch(text) else self.visitor_key()

    def lock_key(self, caller: str, key: str) -> str:
        """The same name for every call that `caller` makes under an idempotency key. Programs log their keys: who
        reads one cannot name what was held under it."""
        named = hmac.new(self._lock_secret, f"{caller}\n{key}".encode("utf-8", "surrogateescape"), hashlib.sha256)
        return f"api {named.hexdigest()[:40]}"

    def visitor_token(self, name: str) -> str:
        """What a page carries along for a visitor whose holds are counted; it opens nothing."""
        return self._sign(self._visitor, name, self._now() + VISITOR_LIFE)

    def read_visitor_token(self, token: str) -> str:
        """The visitor's name; empty for a token that is none of ours, or old: then they are someone new."""
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

    def new_flow(
        self,
        widget: str,
        service_id: str,
        *,
        reference: str = "",
        metadata: Mapping[str, str] | None = None,
        utm: Mapping[str, str] | None = None,
    ) -> Flow:
        """A flow that begins now."""
        ends = (self._now() + FLOW_LIFE).replace(microsecond=0)
        return Flow(f"fl_{self.visitor_key()}", widget, service_id, reference, metadata or {}, utm or {}, ends)

    def flow_token(self, flow: Flow) -> str:
        """What a program is given that begins a booking before a time is chosen. It opens what is booked in this flow,
        as an API token opens one booking, and so has no end of its own."""
        facts = [flow.id, flow.widget, flow.service_id, flow.reference, dict(flow.metadata), dict(flow.utm)]
        return str(self._flow.dumps([*facts, int(flow.expires_at.timestamp())]))

    def read_flow_token(self, token: str) -> Flow:
        """The flow, whether a time can still be chosen or not. Raises LinkRefused."""
        if len(token) > LONGEST_FLOW:
            raise LinkRefused("too long")
        id_, widget, service_id, reference, metadata, utm, expires = self._loads(self._flow, token)
        return Flow(id_, widget, service_id, reference, metadata, utm, datetime.fromtimestamp(expires, UTC))

    def read_open_flow(self, token: str) -> Flow:
        """The same, while a time can be chosen. Raises LinkRefused or LinkExpired."""
        flow = self.read_flow_token(token)
        if self._now() >= flow.expires_at:
            raise LinkExpired("expired")
        return flow

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

    def staff_token(self, sign_in_id: str, *, stays: bool = False) -> str:
        """What the addresses of staff's pages carry: good for half an hour without a click, or where they stay, as long
        as the sign-in's row says."""
        return self._sign(self._staff, sign_in_id, self._now() + (STAYING_LIFE if stays else STAFF_LIFE))

    def read_staff_token(self, token: str) -> tuple[str, datetime]:
        """The sign-in's id, and when the token ends. Raises LinkRefused or LinkExpired."""
        sign_in_id = self._read(self._staff, token)
        _, expires = self._loads(self._staff, token)
        return sign_in_id, datetime.fromtimestamp(expires, UTC)

    def feed_token(self, member: str, version: int) -> str:
        """The secret part of the addresses of a staff member's feeds. It has no end of its own: that the member works
        here and has not asked for another `version` is for others to know."""
        return str(self._feed.dumps([member, version]))

    def read_feed_token(self, token: str) -> tuple[str, int]:
        """The member and the version. Raises LinkRefused for what is not ours, was signed by a key that is gone, or
        names nobody, as addresses did before they named a member."""
        loaded = self._loads(self._feed, token)
        if not isinstance(loaded, list):
            raise LinkRefused("names nobody")
        member, version = loaded
        return str(member), int(version)

    def result_token(self, booking_id: str, *, told: str = "") -> str:
        """What lets its bearer see how one booking stands, for some hours. `told` is a word for the page."""
        return self._sign(self._result, booking_id, self._now() + RESULT_LIFE, told)

    def read_result_token(self, token: str) -> tuple[str, str]:
        """(booking id, told). Raises LinkRefused or LinkExpired."""
        booking_id, told = self._read_all(self._result, token)
        return booking_id, told

    def return_token(self, booking_id: str, way: Way, *, closes_at: datetime) -> str:
        """What the addresses carry that Stripe sends the visitor to after its page, which closes at `closes_at`. Stripe
        keeps them, where others may read them; so it shows how the booking stands, and can do nothing."""
        return self._sign(self._return, booking_id, closes_at + RETURN_LIFE, way)

    def read_return_token(self, token: str, way: Way) -> str:
        """The booking id. Raises LinkRefused, or ReturnExpired."""
        try:
            booking_id, named = self._read_all(self._return, token)
        except LinkExpired as error:
            raise ReturnExpired("expired") from error
        if named != way:
            raise LinkRefused("the way back from another payment")
        return booking_id

    def receipt(self, facts: Mapping[str, Any]) -> str:
        """A confirmation that a host page can hand to its server. What it says stays true, so it does not expire."""
        return str(self._receipt.dumps(dict(facts)))

    def read_receipt(self, receipt: str) -> Mapping[str, Any] | None:
        """What a receipt says; None if it is not one of ours."""
        if len(receipt) > _LONGEST_RECEIPT:
            return None
        try:
            return dict(self._loads(self._receipt, receipt))
        except LinkRefused:
            return None

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
        """What a token says. Raises LinkRefused for all but the one spelling that was handed out: base64 decoding
        passes over characters that are not its own, and over the last character's spare bits."""
        if not token.isascii():
            raise LinkRefused("not ASCII")
        try:
            facts = serializer.loads(token)
        except BadSignature as error:
            raise LinkRefused("bad signature") from error
        signature = token.rpartition(".")[2].encode()
        if base64_encode(base64_decode(signature)) != signature:
            raise LinkRefused("another spelling")
        return facts
