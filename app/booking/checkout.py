"""From a held time to Stripe's page: the customer's details, and the attempt to pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from app.booking.adopt import Adopt
from app.booking.confirm import Confirm
from app.booking.customer_form import read_details
from app.booking.hold import LONGEST_PAYING, must_be_held, on_offer
from app.booking.payment_pages import Order, PaymentPages
from app.booking.payment_refused import refuse_payment
from app.booking.take_payment import SESSION_MARGIN, UNPAID, TakePayment
from app.booking.tools import Tools
from app.domain.booking import Actor, Booking, EndReason, Status
from app.domain.history import HistoryWord
from app.domain.payment import Payment, PaymentState
from app.domain.terms import Capture
from app.errors import (
    BookingConflict,
    HoldExpired,
    InvalidRequest,
    StripeMisconfigured,
    StripeRefused,
    TooManyFree,
)
from app.protection.act_limits import person
from app.store.change import Change
from app.widgets import Widget

#: How long an attempt whose answer was lost is repeated with the same key; then a new attempt replaces it.
REPLAY_TIME = timedelta(seconds=45)

#: How often paying may be started for one hold, so that a failing Stripe cannot prolong it for ever.
MAX_ATTEMPTS = 5
#: The same for a payment link, which lasts for days. New attempts do not prolong it: the owner's deadline stays.
MAX_LINK_ATTEMPTS = 50


def takes_details(booking: Booking) -> bool:
    """Whether who comes can still be told: to a hold, and to one that ended and may be held again. Once it is paid for
    or cancelled, no form changes it, whatever is in it."""
    return booking.status in UNPAID or booking.status is Status.EXPIRED


class Checkout:
    """Stores the details, and opens payment pages."""

    def __init__(
        self, tools: Tools, confirm: Confirm, take_payment: TakePayment, adopt: Adopt, pages: PaymentPages
    ) -> None:
        self._tools = tools
        self._pages = pages
        self._store = tools.store
        self._widgets = tools.widgets
        self._notifications = tools.notifications
        self._act_limits = tools.act_limits
        self._now = tools.now
        self._locks = tools.locks
        self._confirm = confirm
        self._take_payment = take_payment
        self._adopt = adopt

    async def add_details(self, booking_id: str, form: Mapping[str, str]) -> Booking:
        """Store the customer's details. Raises BookingConflict if the booking asks for none any more, InvalidDetails
        with a sentence for each wrong field, or HoldExpired."""
        booking = await self._tools.booking(booking_id)
        if not takes_details(booking):
            raise BookingConflict(booking.status)
        await self._act_limits.hold(booking_id)
        customer = read_details(form, on_offer(self._widgets, booking))
        kept = await self._store.set_customer(booking_id, customer)
        if kept is None:
            must_be_held(await self._tools.booking(booking_id), self._now())
            raise BookingConflict(booking.status)
        if kept.status is Status.AWAITING_PAYMENT and booking.customer != customer:
            # The Session at Stripe has the old address; the next click on Pay makes a new one.
            await self._store.end_unanswered(booking_id)
            return await self._take_payment.expire_sessions(kept)
        return kept

    async def start(
        self,
        booking_id: str,
        *,
        return_url: str = "",
        cancel_url: str = "",
        by: Actor = Actor.CUSTOMER,
        address: str = "",
    ) -> str | None:
        """The address of Stripe's page for this booking; None when nothing is left to pay.

        `return_url` and `cancel_url` are where Stripe sends the visitor afterwards; empty is our own page. A second
        call returns the same page while it is good, and leads back where the first one said. Raises HoldExpired,
        InvalidRequest without details, BookingConflict, or StripeError; where nothing is to be paid, TooManyFree and
        TooManyFreeToday, from which the owner (`by`) is exempt. `address` is where the request came from. After a
        StripeError the time is still held and paying can be tried again.
        """
        await self._adopt.catch_up(booking_id)
        async with self._locks(booking_id):
            booking = await self._tools.booking(booking_id)
            if booking.status not in UNPAID:
                must_be_held(booking, self._now())
                return None
            await self._act_limits.pay(booking_id)
            must_be_held(booking, self._now())
            if booking.customer is None or booking.reservation.reference is None:
                raise InvalidRequest("details are missing")
            if booking.terms.free:
                await self._confirm_free(booking, by, address)
                return None
            attempts = await self._store.payments(booking_id)
            payment = attempts[-1] if attempts else None
            if payment and payment.state is PaymentState.OPEN:
                left = min(payment.expires_at, booking.deadline) - self._now()
                if payment.session_url and left > SESSION_MARGIN:
                    return payment.session_url
                if payment.session_url and self._may_follow(booking):
                    booking = await self._take_payment.expire_sessions(booking)
                    if booking.status not in UNPAID:  # it was paid in this moment
                        await self._settle_paid(booking)
                        return None
                elif payment.session_url:
                    booking = await self._take_payment.end_unpaid(booking, EndReason.DEADLINE)
                    must_be_held(booking, self._now())
                    return None
                elif payment.created_at + REPLAY_TIME > self._now():
                    held_until = payment.created_at + self._widgets.of(booking).hold_time
                    if booking.pay_link:
                        held_until = booking.deadline
                    return await self._create_session(booking, payment, held_until=held_until)
            payment = await self._open_payment(booking, return_url, cancel_url)
            return await self._create_session(booking, payment, held_until=booking.deadline)

    def _may_follow(self, booking: Booking) -> bool:
        """Whether another payment page may take the place of one that ends: a link that the owner has mailed makes them
        until the owner's deadline."""
        return booking.pay_link and booking.deadline - self._now() > SESSION_MARGIN

    async def _settle_paid(self, booking: Booking) -> None:
        if booking.status is Status.PAID:
            await self._confirm.finalize_soon(booking)

    def _capture(self, booking: Booking, widget: Widget) -> Capture:
        """Where the lock does not bind, someone else may have the time by now; money that is only held can then be
        released without a charge."""
        binds = self._tools.schedulers.lock_binds(booking.reservation.scheduler)
        return widget.capture or (Capture.AUTOMATIC if binds else Capture.MANUAL)

    async def _confirm_free(self, booking: Booking, by: Actor, address: str) -> None:
        """There is nothing to pay, so it is confirmed at once. So that nobody books all free times, a customer and a
        network address may have only so many. The owner may have any number."""
        assert booking.customer  # noqa: S101 - nothing is confirmed without details
        customer = person(booking.customer.email)
        async with self._locks(("free", booking.widget, customer)):
            if by is Actor.CUSTOMER:
                widget = self._widgets[booking.widget]
                standing = await self._store.free_to_come(widget.name)
                theirs = [one for one in standing if one.customer and person(one.customer.email) == customer]
                if len(theirs) >= widget.max_free_per_customer:
                    raise TooManyFree(widget.name)
                await self._act_limits.free(widget, address)
            await self._skip_payment(booking)

    async def _skip_payment(self, booking: Booking) -> None:
        """There is nothing to pay: go straight on to confirming."""
        free = Change((Status.HELD,), Status.PAID, HistoryWord.NOTHING_DUE, before_deadline=True)
        won = await self._store.claim(booking.id, free)
        if won is None:
            must_be_held(await self._tools.booking(booking.id), self._now())
        else:
            await self._confirm.finalize_soon(won)

    async def _open_payment(self, booking: Booking, return_url: str, cancel_url: str) -> Payment:
        """Write down the attempt, with all its parameters, before Stripe is asked; the deadline moves with it."""
        attempts = await self._store.payments(booking.id)
        if len(attempts) >= (MAX_LINK_ATTEMPTS if booking.pay_link else MAX_ATTEMPTS):
            raise BookingConflict("too many attempts")
        widget = on_offer(self._widgets, booking)
        deadline = self._pay_until(booking, widget, attempts)
        payment = self._pages.attempt(
            Order(
                booking,
                booking.reservation,
                price=booking.terms.price,
                number=len(attempts) + 1,
                capture=self._capture(booking, widget),
                purpose="booking",
                page="/b/{token}",
                success_url=return_url,
                cancel_url=cancel_url,
            )
        )
        written: object
        if booking.status is Status.HELD:
            change = Change(
                (Status.HELD,),
                Status.AWAITING_PAYMENT,
                HistoryWord.PAYMENT_STARTED,
                before_deadline=True,
                values={"deadline": deadline},
                payment=payment,
            )
            written = await self._store.claim(booking.id, change)
        else:
            written = await self._store.add_payment(payment, deadline=deadline)
        if not written:
            must_be_held(await self._tools.booking(booking.id), self._now())
            raise BookingConflict("changed meanwhile")
        return payment

    def _pay_until(self, booking: Booking, widget: Widget, attempts: Sequence[Payment]) -> datetime:
        """The deadline for paying, never after the visit's start. The first page has its full time. A later page of the
        same hold, after a changed address or a lost answer, does not extend the hold beyond the first page's end or
        LONGEST_PAYING. For a payment link it is what the owner chose."""
        if booking.pay_link:
            return booking.deadline
        until = min(self._now().replace(microsecond=0) + widget.payment_time, booking.starts_at)
        longest = booking.created_at + max(LONGEST_PAYING, widget.hold_time)
        return min(until, max(booking.deadline, longest)) if attempts else until

    async def _create_session(self, booking: Booking, payment: Payment, *, held_until: datetime) -> str:
        """Make the Session at Stripe. `held_until` was the hold's deadline before paying began, and is restored if
        Stripe refuses: a refused payment does not extend the hold."""
        try:
            url = await self._pages.open(payment)
        except (StripeRefused, StripeMisconfigured) as error:
            refusal, mails = refuse_payment(self._notifications, booking, error)
            await self._store.end_attempt(payment, deadline=held_until, mails=mails)
            raise refusal from error
        if url is None:
            raise HoldExpired(payment.booking_id)
        return url
