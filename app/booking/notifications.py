"""Which mails are due after a change, and what each says at the time of sending."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from app.domain.booking import Booking, Status, Trouble
from app.domain.history import HistoryWord
from app.domain.mail_addresses import mailbox
from app.domain.money import Money
from app.domain.outbox import OutboxMail
from app.domain.payment import PaymentState
from app.domain.refund import REFUND_VOID, Funds, Refund, RefundStatus
from app.mail import Mail, MailKind
from app.protection.signed_links import Links
from app.store import Store
from app.widgets import Widget, Widgets


class Notifications:
    """Makes mails from changes of status: rows for the outbox, and their contents at the time of sending. `has_staff`:
    people may sign in, so mails to the owner lead to the booking's page."""

    def __init__(
        self,
        *,
        store: Store,
        widgets: Widgets,
        links: Links,
        public_url: str,
        has_staff: bool = False,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._widgets = widgets
        self._links = links
        self._public_url = public_url
        self._has_staff = has_staff
        self._now = now

    def mails_due(
        self,
        booking: Booking,
        *kinds: MailKind,
        about: str = "",
        due_at: datetime | None = None,
        detail: Mapping[str, str | int | bool] | None = None,
    ) -> list[OutboxMail]:
        """The outbox rows of the mails that a change makes due: to the customer if we know one with an address, to the
        owner if there is one.

        `booking` is as it will be after the change. One mail of a kind is due for each of its revisions, and for
        each thing it is `about`. `due_at` None is at once.
        """
        domain = self._public_url.rpartition("//")[2].partition(":")[0]
        owner = self._widgets.of(booking).owner_email
        now = self._now()
        rows = []
        for kind in kinds:
            if not booking.customer or not (owner if kind.to_owner else booking.customer.email):
                continue
            name = ".".join(part for part in (booking.id, kind, str(booking.revision or ""), about) if part)
            rows.append(
                OutboxMail(
                    id=name,
                    booking_id=booking.id,
                    kind=kind,
                    message_id=f"<{name}@{domain}>",
                    detail=dict(detail or {}),
                    tries=0,
                    created_at=now,
                    sent_at=None,
                    due_at=due_at or now,
                    revision=booking.revision,
                )
            )
        return rows

    def trouble(
        self,
        booking: Booking,
        trouble: Trouble,
        *,
        about: str = "",
        detail: Mapping[str, str | int | bool] | None = None,
    ) -> list[OutboxMail]:
        """The mail that tells the owner, once for each `trouble` of a booking and each thing it is `about`. Written
        again it is left alone, so anyone who meets the trouble may simply add it."""
        told = {**(detail or {}), "trouble": trouble.value}
        steady = replace(booking, revision=0)
        name = f"{trouble}.{about}" if about else str(trouble)
        return self.mails_due(steady, MailKind.TROUBLE_OWNER, about=name, detail=told)

    async def given_up(self, mail: OutboxMail, reason: str) -> list[OutboxMail]:
        """The mail that tells the owner that a mail to the customer was given up: once for each address the booking
        had. None about a mail to the owner, who would not get this one either. `reason` names nobody."""
        booking = await self._store.booking(mail.booking_id)
        if booking is None or mail.kind.endswith("_owner"):
            return []
        history = await self._store.history(booking.id)
        corrected = sum(entry.what is HistoryWord.EMAIL_CORRECTED for entry in history)
        about = f"address{corrected + 1}" if corrected else ""
        return self.trouble(booking, Trouble.MAIL_GIVEN_UP, about=about, detail={"code": reason})

    def reminder(self, booking: Booking) -> list[OutboxMail]:
        """The reminder of a confirmed booking, at its time; none where that has passed, or the widget sends none."""
        widget = self._widgets.get(booking.widget)
        if widget is None or not widget.reminder_hours:
            return []
        due_at = booking.starts_at - timedelta(hours=widget.reminder_hours)
        if due_at <= self._now():
            return []
        return self.mails_due(booking, MailKind.REMINDER_CUSTOMER, due_at=due_at)

    async def letter(self, mail: OutboxMail) -> Mail | None:
        """The mail for an outbox row, as things are now; None if it waited so long that it is no longer true."""
        booking, kind = await self._store.booking(mail.booking_id), MailKind(mail.kind)
        if booking is None or not self._still_true(mail, kind, booking):
            return None
        widget = self._widgets.of(booking)
        to = widget.owner_email if kind.to_owner else booking.customer.email if booking.customer else ""
        drawn = await self._drawn(booking, str(mail.detail.get("refund") or ""))
        live = [refund for refund in drawn if refund.status not in REFUND_VOID | {RefundStatus.PAID_ANOTHER_WAY}]
        if drawn and not live:
            return None  # nothing is sent the way it came: it failed, or went back in another way
        token = self._links.booking_token(booking.id, ends_at=booking.ends_at)
        shown, detail = (booking, mail.detail) if kind.to_owner else _spoken(booking, widget, mail.detail)
        # A link that the customer may not have asked for is one version ahead; its first use retires those before.
        ahead = 1 if mail.detail.get("later") else 0
        offered = await self._store.offered(booking.id) if booking.status is Status.OFFERED else []
        funds = Funds(await self._store.payments(booking.id), await self._store.refunds(booking.id))
        return Mail(
            message_id=mail.message_id,
            to=to,
            kind=kind,
            booking=shown,
            widget=widget,
            language=widget.languages[0] if kind.to_owner else booking.visitor.language,
            manage_url=self._manage_url(booking, ahead),
            others=[
                (self._widgets.of(other).spoken(other), self._manage_url(other, ahead))
                for other in await self._others(mail, booking)
            ],
            status_url=f"{self._public_url}/b/{token}",
            refund=_sum(live),
            # No secret: anyone who has the mail must sign in, too.
            staff_url=f"{self._public_url}/staff?next=bookings/{booking.id}"
            if kind.to_owner and self._has_staff
            else "",
            waits_for_bank=_waits_for_bank(funds),
            returned_by_bank=not funds.left and any(payment.returned_by_bank for payment in funds.payments),
            detail=detail,
            unpaid=funds.to_pay_at_visit(booking),
            in_person=funds.in_person,
            receipt=any(payment.payment_intent_id for payment in funds.payments),
            offered=offered,
        )

    def _manage_url(self, booking: Booking, ahead: int) -> str:
        return f"{self._public_url}/manage/{self._links.manage_token(booking.id, booking.link_version + ahead)}"

    async def _others(self, mail: OutboxMail, booking: Booking) -> list[Booking]:
        """Other bookings that the mail has links to, if they still belong to the same mailbox."""
        found = [await self._store.booking(name) for name in str(mail.detail.get("others") or "").split()]
        return [
            other
            for other in found
            if other
            and other.customer
            and booking.customer
            and mailbox(other.customer.email) == mailbox(booking.customer.email)
        ]

    async def _drawn(self, booking: Booking, refund_id: str) -> list[Refund]:
        """The refunds of one debt, from however many payments it was drawn (Owed.draw). None of money that was only
        held: it is let go without a charge, and nothing goes back."""
        if not refund_id:
            return []
        captured = {
            payment.id for payment in await self._store.payments(booking.id) if payment.state is PaymentState.CAPTURED
        }
        return [
            refund
            for refund in await self._store.refunds(booking.id)
            if (refund.id == refund_id or refund.id.startswith(f"{refund_id}_")) and refund.payment_id in captured
        ]

    def _still_true(self, mail: OutboxMail, kind: MailKind, booking: Booking) -> bool:
        match kind:
            case MailKind.CONFIRMED_CUSTOMER | MailKind.CONFIRMED_OWNER:
                # A booking that was moved since tells its new time; one that is off has a mail of its own.
                return booking.status is Status.CONFIRMED and booking.ends_at > self._now()
            case MailKind.PAY_LINK_CUSTOMER | MailKind.PAY_REMINDER_CUSTOMER:
                # What was given more time has a later reminder; a link that was sent again is in the newer mail.
                waits = booking.pay_link and booking.status in {Status.HELD, Status.AWAITING_PAYMENT}
                same = mail.detail.get("until") == booking.deadline.isoformat()
                return waits and same and booking.deadline > self._now()
            case MailKind.NOT_PAID_OWNER:
                return booking.status is Status.EXPIRED
            case MailKind.DELAYED_CUSTOMER:
                return booking.status is Status.PAID
            case MailKind.OFFERED_CUSTOMER | MailKind.OFFERED_OWNER:
                return booking.status is Status.OFFERED and mail.revision == booking.revision
            case MailKind.RELEASED_CUSTOMER:
                unpaid = booking.status is Status.EXPIRED or booking.payment_id is None
                return unpaid and booking.ends_at > self._now()
            case MailKind.MOVED_CUSTOMER | MailKind.MOVED_OWNER | MailKind.RESTORED_CUSTOMER | MailKind.RESTORED_OWNER:
                # What changed again has a newer mail; the older one would put a wrong time into a calendar.
                return mail.revision == booking.revision and booking.ends_at > self._now()
            case MailKind.REMINDER_CUSTOMER:
                standing = booking.status is Status.CONFIRMED and mail.revision == booking.revision
                return standing and booking.starts_at > self._now()
            case MailKind.CANCELED_CUSTOMER | MailKind.CANCELED_OWNER:
                return booking.status is Status.CANCELED and mail.revision == booking.revision
            case _:
                return True


def _waits_for_bank(funds: Funds) -> bool:
    """Whether a due refund waits for the bank's decision, because the payment is disputed."""
    disputed = {payment.id for payment in funds.payments if payment.in_dispute}
    return any(refund.status == RefundStatus.REQUESTED and refund.payment_id in disputed for refund in funds.refunds)


def _spoken(
    booking: Booking, widget: Widget, detail: Mapping[str, str | int | bool]
) -> tuple[Booking, Mapping[str, str | int | bool]]:
    """The booking with its service's name in the customer's language; what tells of the same service before says it
    likewise."""
    spoken = widget.spoken(booking)
    same = detail.get("was") == booking.service_name
    return spoken, {**detail, "was": spoken.service_name} if same else detail


def _sum(refunds: Sequence[Refund]) -> Money | None:
    """What refunds of one currency come to; None where there are none."""
    if not refunds:
        return None
    return Money(sum(refund.amount.amount for refund in refunds), refunds[0].amount.currency)
