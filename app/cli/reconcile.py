"""python -m app reconcile: shows what Stripe and the scheduler have and this database lacks, and the reverse, and fixes
it.

Without an option that acts it only looks. Each act asks once for all that it means, and names money first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from app.build import open_parts
from app.cli.terminal import Terminal, real_terminal
from app.cli.words import money, plain, span, when
from app.domain.money import Money
from app.errors import SchedulerError, StripeError
from app.operations.reconciling import Differences, Unknown
from app.parts import Parts
from app.seams import Seams
from app.settings import Settings

DONE, FAILED, WRONG_USE = 0, 1, 2

_Thing = TypeVar("_Thing")


def run_reconcile(settings: Settings, arguments: argparse.Namespace) -> int:
    """0 looked or done; 1 no answer, refused, or you said no; 2 wrong use. Raises DatabaseUnusable."""

    async def act() -> int:
        async with open_parts(settings, Seams()) as parts:
            return await reconcile(parts, arguments, real_terminal(as_json=arguments.json))

    return asyncio.run(act())


async def reconcile(parts: Parts, arguments: argparse.Namespace, terminal: Terminal) -> int:
    """As `run_reconcile`, over open parts."""
    try:
        found = await parts.reconciling.look(days=arguments.days)
    except (SchedulerError, StripeError) as error:
        return _unanswered(error, arguments, terminal)
    return await _Acts(parts, arguments, terminal, found).run()


def _unanswered(error: SchedulerError | StripeError, arguments: argparse.Namespace, terminal: Terminal) -> int:
    who = "The scheduler" if isinstance(error, SchedulerError) else "Stripe"
    sentence = f"{who} gave no usable answer ({type(error).__name__}). Nothing was changed, charged or refunded."
    if arguments.json:
        terminal.say(json.dumps({"success": False, "error": {"code": error.code, "message": sentence}}))
    else:
        terminal.tell(sentence)
    return FAILED


class _Acts:
    """One run of the command."""

    def __init__(self, parts: Parts, asked: argparse.Namespace, terminal: Terminal, found: Differences) -> None:
        self._reconciling = parts.reconciling
        self._asked = asked
        self._terminal = terminal
        self._found = found
        self._done: list[dict[str, str]] = []
        self._failed = False

    async def run(self) -> int:
        found, asked = self._found, self._asked
        settled = [stray for stray in found.strays if stray.session_id in asked.settled]
        finals = [one for one in found.finals if one.booking.id in asked.release_final]
        named = {stray.session_id for stray in settled} | {one.booking.id for one in finals}
        unknown = sorted({*asked.settled, *asked.release_final} - named)
        if unknown:
            self._terminal.tell(f"No difference found with the id {', '.join(unknown)}. Nothing was changed.")
            return WRONG_USE
        for line in _lines(found):
            self._terminal.tell(line)
        if asked.adopt:
            await self._each("adopt", found.adoptable, lambda one: one.id, self._reconciling.adopt)
        if settled:
            await self._each("settled", settled, lambda one: one.session_id, self._reconciling.settle_by_hand)
        if asked.refund:
            rest = [stray for stray in found.strays if stray not in settled]
            await self._each("refund", rest, lambda one: one.session_id, self._reconciling.refund)
        if asked.release:
            await self._each("release", found.holds, lambda one: one.booking.id, self._reconciling.release)
        if finals:
            await self._each("release_final", finals, lambda one: one.booking.id, self._reconciling.release)
        if asked.json:
            body = {"success": not self._failed, **_as_json(found), "done": self._done}
            self._terminal.say(json.dumps(body))
        return FAILED if self._failed else DONE

    async def _each(
        self,
        act: str,
        things: Sequence[_Thing],
        name: Callable[[_Thing], str],
        do: Callable[[_Thing], Awaitable[object]],
    ) -> None:
        if not things:
            return
        if not self._asked.yes and not self._terminal.ask(_question(act, len(things))):
            self._terminal.tell("Nothing was changed.")
            self._failed = True
            return
        for thing in things:
            try:
                await do(thing)
            except (SchedulerError, StripeError) as error:
                self._failed = True
                self._terminal.tell(f"{name(thing)}: not done ({type(error).__name__}). Run the command again later.")
                continue
            self._done.append({"act": act, "id": name(thing)})
            self._terminal.tell(f"{name(thing)}: {_SAID[act]}")


_QUESTIONS = {
    "adopt": "Add {many} to bookings in the database?",
    "settled": "Mark {many} as settled by you? Nothing is charged or refunded.",
    "refund": "Refund {many} in full?",
    "release": "Delete {many} at the scheduler? The time becomes free.",
    "release_final": "Cancel {many} at the scheduler? The time becomes free. Nothing is refunded.",
}
#: What the questions are about: one, and several.
_THINGS = {
    "adopt": ("1 payment", "{many} payments"),
    "settled": ("1 payment", "{many} payments"),
    "refund": ("1 payment", "{many} payments"),
    "release": ("1 hold", "{many} holds"),
    "release_final": ("1 confirmed booking", "{many} confirmed bookings"),
}
_SAID = {
    "adopt": "added.",
    "settled": "marked as settled.",
    "refund": "refunded.",
    "release": "deleted at the scheduler.",
    "release_final": "cancelled at the scheduler.",
}


def _question(act: str, many: int) -> str:
    one, several = _THINGS[act]
    return _QUESTIONS[act].format(many=one if many == 1 else several.format(many=many))


def _lines(found: Differences) -> list[str]:
    if not found:
        return ["Stripe, the scheduler and the database agree."]
    groups: list[tuple[str, list[str]]] = [
        (
            "Paid at Stripe; the booking is in the database, but the payment is not (--adopt adds it):",
            [
                f"{facts.id}  {money(_paid(facts.received, facts.capturable, facts.currency))}  {facts.booking_id}"
                for facts in found.adoptable
            ],
        ),
        (
            "Paid at Stripe; the booking is not in the database (--refund refunds it, --settled ID marks it settled):",
            [
                f"{stray.session_id}  {money(stray.left)}  {when(stray.paid_at, 'UTC')}  {stray.booking_id}  "
                f"{stray.payment_intent_id or ''}"
                for stray in found.strays
            ],
        ),
        (
            "Held at the scheduler, but not in the database (--release deletes it):",
            [_there(one) for one in found.holds],
        ),
        (
            "Confirmed at the scheduler, but not, or no longer, in the database (--release-final ID cancels it):",
            [_there(one) for one in found.finals],
        ),
        (
            "Confirmed in the database, but not at the scheduler (the server cancels and refunds it within a day):",
            [
                f"{booking.id}  {span(booking.starts_at, booking.ends_at, booking.time_zone)}  {booking.service_name}"
                for booking in found.gone
            ],
        ),
        (
            "Paid in the database, but unknown to Stripe (is STRIPE_SECRET_KEY for the same account and mode?):",
            [f"{payment.session_id}  {money(payment.price)}  {payment.booking_id}" for payment in found.unheard],
        ),
    ]
    told: list[str] = []
    for heading, lines in groups:
        if lines:
            told += [heading, *(f"  {plain(line)}" for line in lines)]
    return told


def _there(unknown: Unknown) -> str:
    there = unknown.booking
    name = str(there.metadata.get("customer_name", ""))
    zone = there.time_zone or "UTC"
    told = (there.id, span(there.starts_at, there.ends_at, zone), there.service_name, name, unknown.tag)
    return "  ".join(part for part in told if part)


def _paid(received: int, capturable: int, currency: str) -> Money:
    return Money(max(received, capturable), currency)


def _as_json(found: Differences) -> dict[str, Any]:
    return {
        "adoptable": [
            {"sessionId": facts.id, "bookingId": facts.booking_id, "amount": facts.received or facts.capturable}
            | {"currency": facts.currency}
            for facts in found.adoptable
        ],
        "unknownPayments": [
            {
                "sessionId": stray.session_id,
                "paymentIntentId": stray.payment_intent_id,
                "bookingId": stray.booking_id,
                "amount": stray.left.amount,
                "currency": stray.money.currency,
                "paidAt": stray.paid_at.isoformat(),
            }
            for stray in found.strays
        ],
        "unknownHolds": [_there_json(there) for there in found.holds],
        "unknownBookings": [_there_json(there) for there in found.finals],
        "notAtScheduler": [booking.id for booking in found.gone],
        "notAtStripe": [payment.session_id for payment in found.unheard],
    }


def _there_json(unknown: Unknown) -> dict[str, Any]:
    return {
        "scheduler": unknown.scheduler,
        "reference": unknown.booking.id,
        "bookingId": unknown.tag,
        "start": unknown.booking.starts_at.isoformat(),
        "end": unknown.booking.ends_at.isoformat(),
    }
