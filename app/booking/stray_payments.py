"""Payments on our own payment pages for bookings that are not in this database.

That happens when the database is lost, or restored from a backup that is older than the booking. Such a payment is
recorded, counts as money without a booking, and is reported to the owner once. The owner decides what to do with it
(`python -m app reconcile`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

import structlog

from app.domain.money import Money
from app.domain.payment import PaymentState, StrayPayment
from app.domain.refund import REFUND_VOID
from app.errors import StripeMisconfigured, StripeRefused
from app.mail import Mailer
from app.payments.facts import CheckoutFacts
from app.payments.stripe_client import Payments
from app.store import Store
from app.text.catalogues import translator
from app.text.formats import format_day, format_money
from app.widgets import Widgets

log = structlog.get_logger()

_HAS_MONEY = frozenset({PaymentState.AUTHORIZED, PaymentState.CAPTURED})


class Strays:
    """Records, reports and settles such payments. `payments` is None if no Stripe key is set."""

    def __init__(
        self,
        *,
        store: Store,
        payments: Payments | None,
        mailer: Mailer,
        widgets: Widgets,
        public_url: str,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._payments = payments
        self._mailer = mailer
        self._widgets = widgets
        self._sites = {urlsplit(public_url).netloc} | {
            urlsplit(origin).netloc for widget in widgets.values() for origin in widget.allowed_origins
        }
        self._now = now

    def are_ours(self, facts: CheckoutFacts) -> bool:
        """Whether this server made the Session. Its metadata says that some Holdfast did; another one, such as a test
        server, may use the same Stripe account, and differs in where its payment pages lead back to: its PUBLIC_URL, or
        a site of one of its widgets."""
        return facts.is_tagged and any(urlsplit(url).netloc in self._sites for url in facts.leads_to)

    async def notice(self, facts: CheckoutFacts) -> bool:
        """Take in a Session whose booking is unknown. Returns whether it was new. Raises StripeError."""
        known = await self._store.stray(facts.id)
        if known:
            if facts.state is PaymentState.VOIDED and not known.settled_at:
                await self._store.record_stray_returned(known.session_id, returned=known.money.amount)
            return False
        money = Money(max(facts.received, facts.capturable), facts.currency)
        if facts.state not in _HAS_MONEY or not money or not self.are_ours(facts):
            return False
        returned = await self._returned(facts.payment_intent_id)
        if returned >= money.amount:
            return False
        added = await self._store.add_stray(
            StrayPayment(
                session_id=facts.id,
                payment_intent_id=facts.payment_intent_id,
                booking_id=facts.booking_id or "",
                money=money,
                returned=returned,
                paid_at=facts.created,
                seen_at=self._now(),
            )
        )
        if added:
            log.error("payment of an unknown booking", session=facts.id, booking=facts.booking_id)
        return added

    async def follow(self, payment_intent_id: str | None) -> bool:
        """Take in refunds of such a payment. Returns whether they were new. Raises StripeError."""
        stray = await self._store.stray_of_intent(payment_intent_id) if payment_intent_id else None
        if stray is None or stray.settled_at:
            return False
        returned = await self._returned(stray.payment_intent_id)
        if returned == stray.returned:
            return False
        await self._store.record_stray_returned(stray.session_id, returned=returned)
        return True

    async def follow_hold(self, payment_intent_id: str) -> None:
        """Take in that held money was released, or has lapsed. Raises StripeError."""
        stray = await self._store.stray_of_intent(payment_intent_id)
        if stray and not stray.settled_at:
            await self.notice(await self._stripe.look_at_session(stray.session_id))

    async def _returned(self, payment_intent_id: str | None) -> int:
        if payment_intent_id is None:
            return 0
        refunds = await self._stripe.refunds_of(payment_intent_id)
        return sum(refund.amount for refund in refunds if refund.status not in REFUND_VOID)

    # -- telling -------------------------------------------------------------------------------------------

    async def tell(self, stray: StrayPayment) -> None:
        """Mail all owners that the widgets name, since it is not known for which widget it was paid. Raises
        MailError."""
        languages = {widget.owner_email: widget.languages[0] for widget in self._widgets.values() if widget.owner_email}
        texts = {address: _words(stray, language) for address, language in languages.items()}
        await self._mailer.send_texts(stray.session_id, texts)
        await self._store.record_stray_told(stray.session_id)

    # -- settling ------------------------------------------------------------------------------------------

    async def open(self) -> list[StrayPayment]:
        """The payments that still need a decision, oldest first."""
        return await self._store.open_strays()

    async def refund(self, stray: StrayPayment) -> None:
        """Refund what is left of it, or release held money. Safe to repeat. Raises StripeError."""
        if stray.payment_intent_id is None:
            raise StripeRefused("no payment to refund")
        facts = await self._stripe.session(stray.session_id)
        if facts.state is PaymentState.AUTHORIZED:
            held = await self._stripe.void(stray.payment_intent_id)
            if held.state is not PaymentState.VOIDED:
                raise StripeRefused("the held money was not let go")
            await self._store.record_stray_returned(stray.session_id, returned=stray.money.amount)
            return
        await self._stripe.refund(
            stray.payment_intent_id,
            amount=stray.left.amount,
            # Under one key Stripe takes one amount; a refund in the dashboard meanwhile changes the amount, and so the
            # key.
            refund_id=f"rf_{stray.session_id}_{stray.left.amount}",
            booking_id=stray.booking_id,
            first_tried_at=stray.seen_at,
        )
        returned = await self._returned(stray.payment_intent_id)
        await self._store.record_stray_returned(stray.session_id, returned=returned)

    async def settle_by_hand(self, stray: StrayPayment) -> bool:
        """The owner has dealt with it: the alarm ends. False if it had ended before."""
        return await self._store.settle_stray(stray.session_id, outcome="by_hand")

    @property
    def _stripe(self) -> Payments:
        if self._payments is None:
            raise StripeMisconfigured("no Stripe key is configured")
        return self._payments


def _words(stray: StrayPayment, language: str) -> tuple[str, str]:
    """Subject and text."""
    _ = translator(language).gettext
    values = {
        "amount": format_money(stray.left, language),
        "day": format_day(stray.paid_at, "UTC", language),
        "session": stray.session_id,
        "payment": stray.payment_intent_id or "",
        "booking": stray.booking_id,
    }
    lines = (
        _("A customer paid %(amount)s on %(day)s, but the booking is not in the database."),
        _("This happens when the database was restored from a backup that is older than the booking."),
        _("The money is in your Stripe account. Nothing was refunded."),
        _("To find the customer, search for this payment in the Stripe dashboard: %(payment)s"),
        _("The booking was %(booking)s, the payment page %(session)s."),
        _("To see everything that is missing, and to refund it or mark it as settled, run: python -m app reconcile"),
    )
    subject = _("Payment without a booking: %(amount)s") % values
    return subject, "\n\n".join(line % values for line in lines) + "\n"
