"""Put back what hostile use has found, one fault at a time, and see whether the simulation finds it by itself:
`make prove-findings`, or `make prove-findings ONLY=refunded-and-confirmed RUNS=3000`.

Here are the faults that can be put back by changing a few words, and that are about what the simulation can see: money,
times, refunds, webhooks, restarts.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from proof.edits import Edit, Fault, search

_BEGUN = (
    Edit(
        "app/payments/facts.py",
        "        if now < starts_at:\n",
        "        if True:\n",
    ),
    Edit(
        "app/booking/confirm.py",
        "return booking.starts_at + patience <= (at or self._now())",
        "return False",
    ),
)

FINDINGS: Sequence[Fault] = (
    Fault(
        "begun",
        "Money is taken for a visit that has begun.",
        (
            *_BEGUN,
            Edit(
                "app/booking/checkout.py",
                "until = min(self._now().replace(microsecond=0) + widget.payment_time, booking.starts_at)",
                "until = self._now().replace(microsecond=0) + widget.payment_time",
            ),
        ),
    ),
    Fault(
        "late-and-begun",
        "Money that lands when the visit has begun is kept.",
        _BEGUN,
    ),
    Fault(
        "refunded-and-confirmed",
        "Refunded in full, and confirmed all the same.",
        (
            Edit(
                "app/booking/confirm.py",
                "if payment and await self._gone_back(booking, payment, just_read=just_read):",
                "if False:",
            ),
        ),
    ),
    Fault(
        "refunded-and-moved",
        "Moved, although the difference had gone back.",
        (
            Edit(
                "app/booking/moves.py",
                "if await self._gone_back(move, just_read=just_read):",
                "if False:",
            ),
        ),
        "hapio",
    ),
    Fault(
        "forgotten-payment",
        "After a backup is put back, the payment that it does not know is nobody's.",
        (
            Edit(
                "app/booking/adopt.py",
                "                return await self._adopt(booking, facts)\n",
                "                return False\n",
            ),
        ),
    ),
    Fault(
        "forgotten-booking",
        "After a backup is put back, what was confirmed since is deleted at the scheduler as a hold.",
        (Edit("app/booking/take_payment.py", "if booking.id in self.inherited:", "if False:"),),
        "hapio",
    ),
    Fault(
        "money-of-nobody",
        "After a backup is put back, money for a booking that it does not know is told to nobody.",
        (Edit("app/booking/adopt.py", "return await self._strays.notice(facts)", "return False"),),
    ),
    Fault(
        "mail-given-up",
        "Mail that came to nothing is nobody's news.",
        (
            Edit(
                "app/operations/worker.py",
                "owner = await self._notifications.given_up(mail, reason)",
                "owner: list[OutboxMail] = []",
            ),
        ),
    ),
    Fault(
        "given-twice",
        "What the owner has refunded is refunded again by the terms.",
        (
            Edit(
                "app/booking/policy.py",
                "less = given_back(booking, funds.payments, funds.refunds) + at_visit",
                "less = at_visit",
            ),
        ),
    ),
    Fault(
        "dashboard-refund",
        "A refund in Stripe's dashboard does not reach the booking.",
        (
            Edit(
                "app/booking/refunds.py",
                "        now = self._now()\n        made = Refund(",
                "        return False\n        now = self._now()\n        made = Refund(",
            ),
        ),
    ),
    Fault(
        "more-than-is-left",
        "A refund that is more than Stripe has left, after one in its dashboard, never goes out.",
        (
            Edit(
                "app/booking/refunds.py",
                "elif not await self._draw_again(refund, payment.payment_intent_id):",
                "else:",
            ),
        ),
    ),
    Fault(
        "cheaper-gives-back",
        "A move to a cheaper service pays out what the terms keep.",
        (
            Edit(
                "app/domain/terms.py",
                "        if not self.by_terms:\n            return replace",
                "        if drop:\n            return replace",
            ),
        ),
    ),
    Fault(
        "made-afresh",
        "What a lost answer has made besides stays final when the booking is cancelled.",
        (
            Edit(
                "app/booking/release.py",
                "        if reservation.unsure:\n            await self._delete_tagged(reservation, but=reference)\n",
                "",
            ),
        ),
    ),
    Fault(
        "undone-when-refunded",
        "A cancellation is taken back although all money has gone back in Stripe's dashboard.",
        (Edit("app/booking/confirm.py", "if await self._gone_since(booking):", "if False:"),),
    ),
    Fault(
        "late-difference",
        "The difference of a move is kept although it was paid when the visit had begun.",
        (Edit("app/booking/moves.py", "if not facts.paid_before(starts_at, payment, now=self._now()):", "if False:"),),
    ),
    Fault(
        "chosen-since",
        "After a backup is put back, a time that was chosen since is treated as never chosen.",
        (
            Edit(
                "app/booking/late_money.py",
                "if booking.id not in self._choosing or booking.status is not Status.OFFERED:",
                "if True:",
            ),
        ),
    ),
)


if __name__ == "__main__":
    sys.exit(search(FINDINGS, __doc__.partition("\n")[0]))
