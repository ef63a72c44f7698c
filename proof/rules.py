"""Switch a rule of the design off, and see whether the simulation notices: `make prove-rules`, or
`make prove-rules ONLY="slot-guard own-retry" RUNS=3000`.

Each rule is left out of a copy of the code by changing a few words of it; then stories are played there, in the order
of their seeds, until one breaks a promise. A rule that no story needs is either not needed, or not searched for: the
command fails and names it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from proof.edits import Edit, Fault, search

RULES: Sequence[Fault] = (
    Fault(
        "one-writer",
        "A status changes only from the one that was read (rule 1).",
        (
            Edit(
                "app/store/bookings.py",
                "statement = _claim_of(tuple(change.from_))",
                "statement = _claim_of(tuple(Status))",
            ),
        ),
    ),
    Fault(
        "claim-first",
        "The end is claimed before the time is released (rule 2).",
        (
            Edit(
                "app/booking/take_payment.py",
                "        ended = await self._store.claim(booking.id, change)\n        if ended is None:",
                "        await self._release.unclaimed(booking)\n"
                "        ended = await self._store.claim(booking.id, change)\n        if ended is None:",
            ),
            Edit(
                "app/booking/release.py",
                "    async def soon(self, booking: Booking) -> None:",
                "    async def unclaimed(self, booking: Booking) -> None:\n"
                "        await self._let_go(booking.reservation)\n\n"
                "    async def soon(self, booking: Booking) -> None:",
            ),
        ),
        "hapio",
    ),
    Fault(
        "session-first",
        "Nothing is released before Stripe has said that its page is expired (rule 3).",
        (
            Edit(
                "app/booking/take_payment.py",
                "        booking = await self.expire_sessions(booking)\n        if booking.status is Status.PAID:",
                "        if booking.status is Status.PAID:",
            ),
            Edit(
                "app/booking/take_payment.py",
                "            due_by=self._now() + SESSION_MARGIN if reason is EndReason.DEADLINE else None,\n"
                "            without_open_session=True,",
                "            due_by=self._now() + SESSION_MARGIN if reason is EndReason.DEADLINE else None,",
            ),
            Edit(
                "app/booking/settle.py",
                "await self._adopt.catch_up(booking.id)\n        async with self._locks(booking.id):",
                "async with self._locks(booking.id):",
            ),
        ),
    ),
    Fault(
        "session-first-move",
        "So does the time that a move goes to (rule 3).",
        (
            Edit(
                "app/booking/moves.py",
                "if payment.move_id == move.id and payment.session_id and payment.state in UNDER_WAY:",
                "if False:",
            ),
            Edit("app/booking/moves.py", "            without_open_session=True,\n", ""),
        ),
    ),
    Fault(
        "read-from-stripe",
        "Paid is what Stripe says when it is read, with the amount that was asked for (rule 4).",
        (
            Edit(
                "app/booking/take_payment.py",
                "if facts.state is not payment.state:",
                "if True:",
            ),
            Edit(
                "app/booking/take_payment.py",
                "if facts.state in {PaymentState.AUTHORIZED, PaymentState.CAPTURED}:",
                "if facts.state is not PaymentState.EXPIRED:",
            ),
            Edit(
                "app/booking/take_payment.py",
                "if not facts.pays(payment, livemode=self._tools.stripe.livemode):",
                "if facts is None:",
            ),
        ),
    ),
    Fault(
        "own-retry",
        "What is paid and not confirmed is due by its row, whatever becomes of the webhook (rule 5).",
        (
            Edit(
                "app/operations/worker.py",
                "await self._each(self._store.paid, self._acts.confirm.confirm, self._put_off)",
                "pass",
            ),
        ),
    ),
    Fault(
        "release-due",
        "A time that is to be released is due by its row (rule 5).",
        (
            Edit(
                "app/operations/worker.py",
                "await self._each(self._store.reservations_due, self._acts.release.due, self._put_off_reservation)",
                "pass",
            ),
        ),
    ),
    Fault(
        "refund-due",
        "A refund that did not go out is due by its row (rule 5).",
        (
            Edit(
                "app/operations/worker.py",
                "await self._each(self._store.refunds_due, self._refunds.pay, _leave)",
                "pass",
            ),
        ),
    ),
    Fault(
        "move-due",
        "A move that is under way is due by its row (rule 5).",
        (
            Edit(
                "app/operations/worker.py",
                "await self._each(self._store.moves_due, self._acts.reschedule.follow_move, self._put_off_move)",
                "pass",
            ),
        ),
    ),
    Fault(
        "event-due",
        "A webhook whose effect failed is due by its row (rule 5).",
        (
            Edit(
                "app/operations/worker.py",
                "await self._each(self._store.events_due, self._take_event, self._inbox.put_off)",
                "pass",
            ),
        ),
    ),
    Fault(
        "hold-ends",
        "A hold whose time is over is due by its row (rule 5).",
        (
            Edit(
                "app/operations/worker.py", "await self._each(self._store.overdue, self._expire, self._put_off)", "pass"
            ),
        ),
    ),
    Fault(
        "offer-ends",
        "So is an offer of other times that nobody has chosen from (rule 5).",
        (
            Edit(
                "app/operations/worker.py",
                "await self._each(self._store.offers_due, self._acts.late_money.lapse, self._put_off)",
                "pass",
            ),
        ),
    ),
    Fault(
        "mail-again",
        "A mail that was refused for now is tried again.",
        (
            Edit(
                "app/operations/worker.py",
                "await self._store.record_mail(mail.id, error=reason, again_at=self._now() + pause)",
                "await self._store.record_mail(mail.id, error=reason)",
            ),
        ),
    ),
    Fault(
        "look-for-money",
        "Money is looked for where no webhook came.",
        (
            Edit(
                "app/operations/worker.py",
                "await self._each(self._store.payments_to_look_at, self._look, _leave)",
                "pass",
            ),
            Edit(
                "app/booking/sweep.py",
                "        if self._payments is None:\n            return swept",
                "        return swept",
            ),
            Edit("app/operations/worker.py", "        await self._inbox.fetch_missed()\n", "        pass\n"),
        ),
    ),
    Fault(
        "never-revive",
        "A hold that has expired is never made final afterwards (rule 6).",
        (
            Edit(
                "app/booking/confirm.py",
                "lock = _Lock.GONE if booking.lost_time else await self._make_final(booking, payment)",
                "lock = _Lock.FINAL if booking.lost_time else await self._make_final(booking, payment)",
            ),
        ),
    ),
    Fault(
        "find-what-was-lost",
        "A create whose answer was lost is found by its tag (rule 7).",
        (
            Edit(
                "app/booking/release.py",
                "        if reservation.unsure:\n"
                "            await self._delete_tagged(reservation)\n        await self._store",
                "        await self._store",
            ),
            Edit(
                "app/booking/sweep.py",
                "        swept = 0\n        for stray in",
                "        return 0\n        swept = 0\n        for stray in",
            ),
        ),
    ),
    Fault(
        "follow-the-owner",
        "What the owner changes at the scheduler is followed.",
        (
            Edit(
                "app/operations/worker.py",
                "self._next_reconciling = await self._acts.follow.reconcile()",
                "pass",
            ),
            Edit(
                "app/operations/webhook_inbox.py",
                'await self._acts.follow.booking(event.booking_id or "")',
                "pass",
            ),
        ),
    ),
    Fault(
        "slot-guard",
        "A time is taken in our rows before the scheduler is asked (rule 9).",
        (
            Edit(
                "app/store/slot_guard.py",
                "return sa.and_(~_off(asked), ~_crowded(asked)) if limited else ~_off(asked)",
                "return ~_off(asked)",
            ),
        ),
        "hapio",
    ),
    Fault(
        "paid-twice",
        "A second payment for a booking goes back.",
        (
            Edit(
                "app/booking/take_payment.py",
                "if booking.payment_id != payment.id:",
                "if False:",
            ),
        ),
    ),
    Fault(
        "by-terms",
        "A cancellation refunds what its terms say.",
        (
            Edit(
                "app/booking/cancel.py",
                "return everything(booking, funds) if owner else allowed.refund",
                "return everything(booking, funds)",
            ),
        ),
    ),
    Fault(
        "capture-when-final",
        "Held money is taken once the time is final.",
        (
            Edit(
                "app/booking/confirm.py",
                "if payment and payment.state is not PaymentState.CAPTURED:\n            payment =",
                "if payment is None:\n            payment =",
            ),
        ),
    ),
    Fault(
        "let-go",
        "Money that is only held is let go where nothing came of the booking.",
        (
            Edit(
                "app/booking/refunds.py",
                "if payment.state in {PaymentState.AUTHORIZED, PaymentState.VOIDED}:",
                "if payment.state is PaymentState.VOIDED:",
            ),
        ),
    ),
    Fault(
        "same-refund",
        "A refund that is asked for again is the same refund (its key at Stripe).",
        (
            Edit(
                "app/payments/stripe_client.py",
                '{"idempotency_key": f"refund:{refund_id}"',
                '{"idempotency_key": f"refund:{refund_id}{self._now()}"',
            ),
            Edit(
                "app/booking/refunds.py",
                "        if facts:\n            await self._record(refund, facts)\n",
                "        return\n",
            ),
        ),
    ),
    Fault(
        "undo-in-time",
        "A cancellation is taken back only while none of its money has gone out.",
        (
            Edit("app/store/bookings.py", "bookings.c.undo_until > self._now(), heard,", "heard,"),
            Edit(
                "app/store/bookings.py",
                "sa.or_(refunds.c.tries > 0, refunds.c.status != RefundStatus.REQUESTED)\n",
                "sa.false()\n",
            ),
        ),
    ),
    Fault(
        "cancel-minds-move",
        "A cancellation is of the booking as it was read, and knows its move.",
        (
            Edit(
                "app/booking/cancel.py",
                "            unchanged_since=booking.revision,\n            ends_move=move,\n",
                "",
            ),
        ),
    ),
    Fault(
        "hold-the-money",
        "Where the lock does not bind, money is only held until the calendar has agreed.",
        (
            Edit(
                "app/booking/checkout.py",
                "return widget.capture or (Capture.AUTOMATIC if binds else Capture.MANUAL)",
                "return widget.capture or Capture.AUTOMATIC",
            ),
        ),
        "calendly",
    ),
    Fault(
        "tell-unconfirmed",
        "Who has paid and is not confirmed, and the owner, hear of it.",
        (Edit("app/booking/overdue.py", "await self._store.unconfirmed_since(CONFIRM_WITHIN)", "()"),),
    ),
    Fault(
        "tell-unmoved",
        "A move that is not made is told.",
        (Edit("app/booking/overdue.py", "await self._store.unmoved_since(MOVE_WITHIN)", "()"),),
    ),
    Fault(
        "tell-unended",
        "What Stripe does not let end is told.",
        (Edit("app/booking/overdue.py", "await self._store.unended_since(END_WITHIN)", "()"),),
    ),
    Fault(
        "tell-unread",
        "A payment that Stripe does not explain is told.",
        (Edit("app/booking/overdue.py", "await self._store.unread_since(END_WITHIN)", "()"),),
    ),
    Fault(
        "tell-unreleased",
        "A time that nobody has, and that is not released, is told.",
        (Edit("app/booking/overdue.py", "await self._store.unreleased_since(RELEASE_WITHIN)", "()"),),
    ),
    Fault(
        "tell-refunds",
        "A refund that does not go out is told.",
        (
            Edit(
                "app/booking/refunds.py",
                "problem=problem, mails=await self._trouble(refund, problem))",
                "problem=problem, mails=[])",
            ),
        ),
    ),
    Fault(
        "tell-given-up",
        "The owner hears of a customer who cannot be reached.",
        (Edit("app/operations/worker.py", "await self._notifications.given_up(mail, reason)", "[]"),),
    ),
    Fault(
        "show-late-mails",
        "The staff page says that mails wait.",
        (Edit("app/operations/alerts.py", "*([Alert(kind, many=late, why=why)] if late else []),", ""),),
    ),
    Fault(
        "show-events",
        "The staff page says that a provider's messages wait.",
        (
            Edit(
                "app/operations/alerts.py",
                "*([Alert(AlertKind.EVENTS_FAILING, many=failing)] if failing else []),",
                "",
            ),
        ),
    ),
    Fault(
        "few-copies",
        "A mail that may have arrived is sent ever more rarely.",
        (Edit("app/operations/worker.py", "MAX_MAIL_BACK_OFF if lost else MAX_BACK_OFF", "MAX_BACK_OFF"),),
    ),
    Fault(
        "not-ready",
        "A server that cannot write says that it is not ready.",
        (Edit("app/operations/health.py", 'ready = database == "ok" and not late', "ready = True"),),
    ),
    Fault(
        "move-refunds",
        "A move to a lower price refunds the difference as its terms say.",
        (Edit("app/booking/moves.py", "refund_due=quote.due", "refund_due=0"),),
    ),
    Fault(
        "move-is-no-way-round",
        "What was paid before a move comes back at best as it would have then.",
        (
            Edit(
                "app/booking/reschedule.py",
                "cap = 100 if owner else terms.cap_of_move(",
                "cap = 100 or terms.cap_of_move(",
            ),
        ),
    ),
    Fault(
        "link-is-paid",
        "What is booked by a payment link is confirmed once it is paid.",
        (Edit("app/booking/book_for.py", "if order.pays is Pays.LINK:", "if False:"),),
    ),
    Fault(
        "unpaid-falls-first",
        "A move to a lower price first lowers what is still to be paid at the visit.",
        (
            Edit(
                "app/domain/refund.py",
                "return min(max(0, due - self.to_pay_at_visit(booking)), self.left)",
                "return min(due, self.left)",
            ),
        ),
    ),
    Fault(
        "kept-of-a-part",
        "Of a part payment a cancellation keeps the share of the price that the terms keep.",
        (
            Edit(
                "app/booking/policy.py",
                "given_back(booking, funds.payments, funds.refunds) + at_visit",
                "given_back(booking, funds.payments, funds.refunds)",
            ),
        ),
    ),
    Fault(
        "dispute-ends",
        "A refund waits for a dispute, and no longer than that.",
        (Edit("app/booking/refunds.py", "return dispute not in DISPUTE_OVER", "return bool(dispute)"),),
    ),
    Fault(
        "tell-moves",
        "A move is told, also the second one.",
        (
            Edit(
                "app/booking/moves.py",
                "mails_due(after, MailKind.MOVED_CUSTOMER",
                "mails_due(booking, MailKind.MOVED_CUSTOMER",
            ),
        ),
    ),
    Fault(
        "tell-releases",
        "Whose time to pay is over hears that the time is free again.",
        (
            Edit(
                "app/booking/take_payment.py",
                "kinds = [] if told or unknown else [MailKind.RELEASED_CUSTOMER]",
                "kinds: list[MailKind] = []",
            ),
        ),
    ),
    Fault(
        "tell-paid-twice",
        "A refund of money that bought nothing is told.",
        (
            Edit(
                "app/booking/refunds.py",
                "if await self._store.add_refund(refund, seen=seen, mails=mails):",
                "if await self._store.add_refund(refund, seen=seen, mails=[]):",
            ),
        ),
    ),
    Fault(
        "remind",
        "Who has a visit is reminded of it.",
        (Edit("app/booking/notifications.py", "if due_at <= self._now():", "if True:"),),
    ),
)


if __name__ == "__main__":
    sys.exit(search(RULES, __doc__.partition("\n")[0]))
