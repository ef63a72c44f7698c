"""Payments at the owner's desk: taken in person, or requested with a link in a mail."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.booking.adopt import Adopt
from app.booking.confirm import Confirm
from app.booking.manage_links import LINK_PAUSE
from app.booking.take_payment import UNPAID, TakePayment
from app.booking.tools import Tools
from app.domain.booking import Booking, EndReason, Status
from app.domain.history import HistoryWord
from app.domain.money import Money, currency_quantum
from app.domain.outbox import OutboxMail
from app.domain.payment import Payment, PaymentMethod, PaymentState
from app.domain.set_back import is_ahead
from app.domain.terms import Capture
from app.errors import BookingConflict, InvalidDetails
from app.mail import MailKind
from app.msgid import N_
from app.store.change import Change

#: A link that ends sooner than this has no reminder. For others it comes a day before the end, or when a quarter of the
#: time is left.
_REMINDED = timedelta(hours=2)
_LONGEST_NOTICE = timedelta(days=1)

_WRONG_AMOUNT = N_("This is more than what is still to be paid, or no amount of this currency.")
_LINK_ENDS_LATE = N_("The link cannot outlast the start of the visit, or 14 days.")
_LINK_ENDS_EARLY = N_("The new time must be later than the present one.")

#: Counted from now, however often it is given more time.
LONGEST_EXTENSION = timedelta(days=14)


def taken_detail(payment: Payment, who: str) -> dict[str, str | int]:
    """How money was taken in person, for the history."""
    return {"who": who, "how": payment.method.value, "paid": payment.captured}


class DeskPayments:
    """Records payments taken in person, and manages payment links."""

    def __init__(self, tools: Tools, confirm: Confirm, take_payment: TakePayment, adopt: Adopt) -> None:
        self._tools = tools
        self._store = tools.store
        self._notifications = tools.notifications
        self._now = tools.now
        self._locks = tools.locks
        self._confirm = confirm
        self._take_payment = take_payment
        self._adopt = adopt

    async def taken(self, booking: Booking, amount: Money, method: PaymentMethod) -> Payment:
        """The row of a payment that was taken in person now, without Stripe."""
        attempts = await self._store.payments(booking.id)
        now = self._now()
        return Payment(
            id=self._tools.new_id("pay"),
            booking_id=booking.id,
            attempt=max((attempt.attempt for attempt in attempts), default=0) + 1,
            state=PaymentState.CAPTURED,
            price=amount,
            capture=Capture.AUTOMATIC,
            params={},
            session_id=None,
            session_url=None,
            payment_intent_id=None,
            expires_at=now,
            captured=amount.amount,
            looks=0,
            created_at=now,
            method=method,
        )

    async def record(
        self, booking_id: str, amount: Money, method: PaymentMethod, *, who: str, unpaid: int | None = None
    ) -> Booking:
        """Note what the customer paid in person: for a booking that is to be paid at the visit, or one that waits for a
        payment by link, which is confirmed with it and whose payment page is closed first.

        `unpaid` is what the page showed as still to be paid, in smallest units, so that a form which is sent twice is
        one payment. Raises InvalidDetails for an amount beyond that, BookingConflict where the booking is paid, over or
        not as shown, StripeError and SchedulerError where it cannot be closed.
        """
        await self._adopt.catch_up(booking_id)
        async with self._locks(booking_id):
            booking = await self._tools.booking(booking_id)
            if booking.status in UNPAID and booking.pay_link:
                await self._store.end_unanswered(booking_id)
                booking = await self._take_payment.expire_sessions(booking)
                if booking.status is Status.PAID:
                    await self._confirm.finalize_soon(booking)
                    raise BookingConflict("paid by the link in this moment")
            waits = booking.status in UNPAID and booking.pay_link
            open_amount = (await self._tools.refunds.funds(booking_id)).open_amount(booking)
            if not (waits or booking.status is Status.CONFIRMED) or unpaid not in {None, open_amount}:
                raise BookingConflict("not what was shown")
            right = amount.currency == booking.terms.price.currency and 0 < amount.amount <= open_amount
            if not right or amount.amount % currency_quantum(amount.currency):
                raise InvalidDetails({"amount": _WRONG_AMOUNT})
            payment = await self.taken(booking, amount, method)
            told = taken_detail(payment, who)
            if not waits:
                what, seen = HistoryWord.TAKEN_IN_PERSON, booking.revision
                if not await self._store.add_taken(payment, what=what, detail=told, unchanged_since=seen):
                    raise BookingConflict("changed meanwhile")
                return await self._tools.booking(booking_id)
            change = Change(
                UNPAID,
                Status.PAID,
                HistoryWord.TAKEN_IN_PERSON,
                before_deadline=True,
                without_open_session=True,
                values={"payment_id": payment.id, "pay_link": False},
                payment=payment,
                detail=told,
            )
            paid = await self._store.claim(booking_id, change)
            if paid is None:
                raise BookingConflict("changed meanwhile")
            return await self._confirm.finalize_soon(paid)

    # Links

    async def send_link(self, booking: Booking, until: datetime, *, who: str) -> Booking:
        """Mail a link to pay by, and hold the booking until then. Call it with the booking's lock."""
        mails = self._link_mails(booking, until)
        sent = await self._store.await_link(
            booking.id,
            deadline=until,
            what=HistoryWord.LINK_SENT,
            mails=mails,
            detail={"who": who, "until": until.isoformat()},
        )
        return sent or await self._tools.booking(booking.id)

    async def extend_link(self, booking_id: str, until: datetime, *, who: str) -> Booking:
        """Give the customer more time, and mail the link again; never beyond the visit's start. Raises BookingConflict
        for a booking that does not wait for a payment by link, InvalidDetails for an end that cannot be."""
        async with self._locks(booking_id):
            booking = await self._waiting(booking_id)
            until = min(until, booking.starts_at).replace(microsecond=0)
            if until <= booking.deadline:
                raise InvalidDetails({"until": _LINK_ENDS_EARLY})
            if until - self._now() > LONGEST_EXTENSION:
                raise InvalidDetails({"until": _LINK_ENDS_LATE})
            longer = await self._store.await_link(
                booking_id,
                deadline=until,
                what=HistoryWord.LINK_EXTENDED,
                mails=self._link_mails(booking, until),
                detail={"who": who, "until": until.isoformat()},
            )
            if longer is None:
                raise BookingConflict("over")
            return longer

    async def resend_link(self, booking_id: str, *, who: str) -> bool:
        """Mail the link again, at most once in five minutes. Returns whether it was mailed. Raises BookingConflict as
        above."""
        async with self._locks(booking_id):
            booking = await self._waiting(booking_id)
            until, now = booking.deadline, self._now()
            recent = [
                entry
                for entry in await self._store.history(booking_id)
                if entry.what in {HistoryWord.LINK_SENT, HistoryWord.LINK_EXTENDED, HistoryWord.LINK_RESENT}
                and entry.at > now - LINK_PAUSE
                and not is_ahead(entry.at, now)
            ]
            if recent:
                return False
            about = f"again{int(now.timestamp())}"
            sent = await self._store.await_link(
                booking_id,
                deadline=until,
                what=HistoryWord.LINK_RESENT,
                mails=self._mail(MailKind.PAY_LINK_CUSTOMER, booking, until, about=about),
                detail={"who": who},
            )
            if sent is None:
                raise BookingConflict("over")
            return True

    async def give_up(self, booking_id: str, *, who: str) -> Booking:
        """Stop waiting for the customer's payment and free the time. If Stripe says that it has been paid after all,
        the booking is confirmed instead. Raises BookingConflict as above, StripeError, SchedulerError."""
        await self._adopt.catch_up(booking_id)
        async with self._locks(booking_id):
            booking = await self._waiting(booking_id)
            return await self._take_payment.end_unpaid(booking, EndReason.BY_OWNER, who=who)

    async def _waiting(self, booking_id: str) -> Booking:
        booking = await self._tools.booking(booking_id)
        if not booking.pay_link or booking.status not in UNPAID or booking.deadline <= self._now():
            raise BookingConflict("does not wait for a payment by link")
        return booking

    def _link_mails(self, booking: Booking, until: datetime) -> list[OutboxMail]:
        lasts, about = until - self._now(), f"{until:%Y%m%dT%H%M%S}"
        mails = self._mail(MailKind.PAY_LINK_CUSTOMER, booking, until, about=about)
        if lasts >= _REMINDED:
            due_at = until - min(_LONGEST_NOTICE, lasts / 4)
            mails += self._mail(MailKind.PAY_REMINDER_CUSTOMER, booking, until, about=about, due_at=due_at)
        return mails

    def _mail(
        self, kind: MailKind, booking: Booking, until: datetime, *, about: str, due_at: datetime | None = None
    ) -> list[OutboxMail]:
        told = {"until": until.isoformat()}
        return self._notifications.mails_due(booking, kind, about=about, due_at=due_at, detail=told)
