"""Which mails a change owes, and what each has to say when it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from app.domain import Booking, OutboxMail, PaymentState, Status
from app.links import Links
from app.mail import Mail, MailKind
from app.store import Store
from app.widgets import Widget


class Letters:
    """From a change of status to a mail: rows for the outbox, and their contents as things stand."""

    def __init__(
        self,
        *,
        store: Store,
        widgets: Mapping[str, Widget],
        links: Links,
        public_url: str,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._widgets = widgets
        self._links = links
        self._public_url = public_url
        self._now = now

    def owed(self, booking: Booking, *kinds: MailKind, **detail: str | bool) -> list[OutboxMail]:
        """The outbox rows a change owes: to the customer if we know one, to the owner if there is an address."""
        domain = self._public_url.rpartition("//")[2].partition(":")[0]
        widget = self._widgets.get(booking.widget)
        owner = widget.owner_email if widget else ""
        return [
            OutboxMail(
                id=f"{booking.id}.{kind}",
                booking_id=booking.id,
                kind=kind,
                message_id=f"<{booking.id}.{kind}@{domain}>",
                detail=detail,
                tries=0,
                created_at=self._now(),
                sent_at=None,
            )
            for kind in kinds
            if booking.customer and (owner or not kind.to_owner)
        ]

    async def letter(self, mail: OutboxMail) -> Mail | None:
        """What an outbox row has to say, as things stand now; None if it came to wait until it was no longer true."""
        booking, kind = await self._store.booking(mail.booking_id), MailKind(mail.kind)
        if booking is None or not self._still_true(kind, booking):
            return None
        widget = self._widgets.get(booking.widget) or Widget(name=booking.widget)
        to = widget.owner_email if kind.to_owner else booking.customer.email if booking.customer else ""
        refunds = await self._store.refunds(booking.id)
        refund = next((refund for refund in refunds if refund.id == mail.detail.get("refund")), None)
        payment = await self._store.payment(refund.payment_id) if refund else None
        # Held money is let go without a charge, and so nothing goes back.
        charged = payment is not None and payment.state is PaymentState.CAPTURED
        token = self._links.booking_token(booking.id, ends_at=booking.ends_at)
        return Mail(
            message_id=mail.message_id,
            to=to,
            kind=kind,
            booking=booking,
            widget=widget,
            language=widget.languages[0] if kind.to_owner else booking.visitor.language,
            manage_url=f"{self._public_url}/manage/{self._links.manage_token(booking.id, ends_at=booking.ends_at)}",
            status_url=f"{self._public_url}/b/{token}",
            refund=refund.amount if refund and charged else None,
            detail=mail.detail,
        )

    def _still_true(self, kind: MailKind, booking: Booking) -> bool:
        match kind:
            case MailKind.CONFIRMED_CUSTOMER | MailKind.CONFIRMED_OWNER:
                return booking.status is Status.CONFIRMED and booking.ends_at > self._now()
            case MailKind.RELEASED_CUSTOMER:
                unpaid = booking.status is Status.EXPIRED or booking.terms.free
                return unpaid and booking.ends_at > self._now()
            case _:
                return True
