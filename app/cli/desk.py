"""The owner's acts, in the order in which `bookings --help` names them."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from app.booking.bookings import BookingView
from app.booking.manage_links import MANAGED
from app.booking.moves import MoveQuote
from app.booking.payment_refused import BAD_EMAIL
from app.booking.policy import Refusal
from app.build import open_parts
from app.cli.arguments import COMPLETED, NO_SHOW, Refused, WrongUse, named, read_amount, read_start
from app.cli.as_json import booking_json, refund_json, view_json
from app.cli.book import BookingDesk
from app.cli.terminal import Terminal, real_terminal
from app.cli.words import end, head, money, refund_stands, sheet, span, standing, table, when
from app.domain.booking import Actor, Booking, EndReason, Status
from app.domain.local_days import days_in_utc
from app.domain.money import Money
from app.domain.move import MoveState
from app.domain.refund import Refund, payable_another_way
from app.errors import (
    AddressRefused,
    BookingConflict,
    HoldfastError,
    InvalidDetails,
    InvalidRequest,
    NotBegun,
    NotFound,
    PolicyRefused,
    SchedulerError,
    SchedulerForbidden,
    SchedulerUnauthorized,
    SlotTaken,
    StorageError,
    StripeError,
    StripeMisconfigured,
)
from app.parts import Parts
from app.seams import Seams
from app.settings import Settings
from app.text.zones import local

DONE, REFUSED, WRONG_USE = 0, 1, 2

_NOTHING_DONE = "Nothing was changed, charged or refunded."

#: More bookings than these are not listed at once.
MOST = 500


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what the arguments say: 0 done, 1 refused, 2 wrong use. Raises DatabaseUnusable."""

    async def act() -> int:
        async with open_parts(settings, Seams()) as parts:
            return await serve(parts, arguments, real_terminal(as_json=arguments.json))

    try:
        return asyncio.run(act())
    except (SQLAlchemyError, StorageError) as error:
        print(f"The database did not answer ({type(error).__name__}). `show` says what was done.", file=sys.stderr)
        return REFUSED


async def serve(parts: Parts, arguments: argparse.Namespace, terminal: Terminal) -> int:
    """One act of the owner's, over open parts. Its result, or why there is none, is printed."""
    desk = Desk(parts, arguments, terminal)
    try:
        return await desk.act()
    except WrongUse as error:
        terminal.tell(str(error))
        return WRONG_USE
    except (Refused, HoldfastError) as error:
        sentence = str(error) if isinstance(error, Refused) else await desk.reason(error)
        if arguments.json:
            body = {"code": error.code, "message": sentence, "details": {}}
            terminal.say(json.dumps({"success": False, "error": body}))
        else:
            terminal.tell(sentence)
        return REFUSED


class Desk:
    """One command on its way."""

    def __init__(self, parts: Parts, arguments: argparse.Namespace, terminal: Terminal) -> None:
        self._parts = parts
        self._asked = arguments
        self._terminal = terminal
        self._now = parts.now()

    async def act(self) -> int:
        """Do what was asked for."""
        acts = {
            "list": self._list,
            "show": self._show,
            "cancel": self._cancel,
            "no-show": self._no_show,
            "resend": self._resend,
            "refund": self._refund,
            "paid-another-way": self._paid_another_way,
            "correct-email": self._correct_email,
            "move": self._move,
        }
        if self._asked.act in BookingDesk.ACTS:
            return await BookingDesk(self._parts, self._asked, self._terminal).act()
        return await acts[self._asked.act]()

    # -- looking -----------------------------------------------------------------------------------------

    async def _list(self) -> int:
        asked = self._asked
        first, last, wanted = asked.first, asked.last, set(asked.status or ())
        if first and last and last < first:
            raise WrongUse("--to is before --from.")
        if not (first or last or asked.email):
            first = self._now.date() - timedelta(days=1)
        of_confirmed = {COMPLETED: Status.CONFIRMED, NO_SHOW: Status.CONFIRMED}
        bookings: list[Booking] = []
        # What is no column, such as a visit that is over, is chosen here: page by page, so that nothing is cut off
        # before it was chosen from.
        for page in count():
            found = await self._parts.bookings.find(
                statuses={of_confirmed.get(word) or Status(word) for word in wanted} or set(Status) - {Status.EXPIRED},
                starts_from=days_in_utc(first, first)[0] if first else None,
                starts_to=days_in_utc(last, last)[1] if last else None,
                email=asked.email,
                skip=page * MOST,
                most=MOST,
            )
            bookings += [booking for booking in found if self._is_wanted(booking, wanted)]
            if len(found) < MOST or len(bookings) > MOST:
                break
        more = len(bookings) > MOST
        del bookings[MOST:]
        if asked.json:
            self._say_json(bookings=[booking_json(booking, self._now) for booking in bookings], more=more)
            return DONE
        self._terminal.say(table(bookings, self._now, self._terminal.width) if bookings else "No bookings.")
        if more:
            self._terminal.tell(f"There are more bookings than these {MOST}. Choose fewer days with --from and --to.")
        return DONE

    def _is_wanted(self, booking: Booking, wanted: set[str]) -> bool:
        asked, day = self._asked, local(booking.starts_at, booking.time_zone).date()
        first = asked.first
        if not (first or asked.last or asked.email):
            first = local(self._now, booking.time_zone).date()
        inside = (not first or day >= first) and (not asked.last or day <= asked.last)
        stands = standing(booking, self._now)
        return inside and (not wanted or stands in wanted)

    async def _show(self) -> int:
        view = await self._view()
        if self._asked.json:
            self._say_json(**view_json(view, self._now))
        else:
            self._terminal.say("\n".join(sheet(view, self._now)))
        return DONE

    async def _view(self) -> BookingView:
        try:
            return await self._parts.bookings.view(self._asked.id)
        except NotFound as error:
            raise Refused("There is no such booking. `bookings list` shows all bookings.", error.code) from error

    # -- acts --------------------------------------------------------------------------------------------

    async def _cancel(self) -> int:
        view = await self._view()
        booking = view.booking
        if booking.status is Status.CANCELED:
            self._tell(f"It is already cancelled: {end(booking, self._now)}.", _NOTHING_DONE)
            return self._result(view, (), changed=False)
        allowed = self._parts.policy.of(view)
        refusal = allowed.not_canceled(Actor.OWNER)
        if refusal:
            raise PolicyRefused(refusal)
        back = self._parts.policy.owner_refund(view)
        self._tell(*head(booking))
        if allowed.cancel_refusal is Refusal.BEGUN:
            self._tell("The visit has begun.")
        if view.move:
            self._tell(
                f"The move to {when(view.move.starts_at, booking.time_zone)} is stopped first, unless it is paid for."
            )
        self._tell(f"The booking will be cancelled, and the time will be free again. {self._back(view, back)}")
        self._tell(f"This cannot be undone. {self._mailed(booking)}")
        self._must_agree("Cancel this booking?")
        await self._parts.cancel.booking(booking.id, by=Actor.OWNER, revision=booking.revision)
        after = await self._view()
        if after.booking.end_reason is not EndReason.BY_OWNER:
            raise Refused(f"It was cancelled in the meantime: {end(after.booking, self._now)}. {_NOTHING_DONE}")
        self._tell("Cancelled.")
        return self._result(after, _new(view, after), changed=True)

    async def _refund(self) -> int:
        view = await self._view()
        booking = view.booking
        left = Money(view.left, booking.terms.price.currency)
        amount = read_amount(self._asked.amount, left)
        if left.amount <= 0:
            raise Refused(f"There is nothing left to refund. {_NOTHING_DONE}")
        if amount.amount > left.amount:
            raise Refused(f"Only {money(left)} is left to refund. {_NOTHING_DONE}")
        self._tell(*head(booking))
        rest = Money(left.amount - amount.amount, left.currency)
        stands = "The booking stays confirmed. " if booking.status is Status.CONFIRMED else ""
        self._tell(f"{self._back(view, amount)} The remaining {money(rest)} is not refunded.")
        self._tell(f"{stands}{self._mailed(booking, owner=False)}")
        self._must_agree("Refund this amount?")
        refunds = await self._parts.owner_refunds.give_back(booking.id, amount, left=left.amount)
        given = Money(sum(refund.amount.amount for refund in refunds), left.currency)
        if not refunds:
            raise Refused(f"There was nothing left to refund any more. {_NOTHING_DONE}")
        if given != amount:
            self._tell(f"Less was left in the meantime: we refund {money(given)}.")
        after = await self._view()
        return self._result(after, _new(view, after), changed=True)

    async def _paid_another_way(self) -> int:
        view = await self._view()
        payable = payable_another_way(view.payments, view.refunds)
        if not payable:
            raise Refused("No refund of this booking has failed or is being refused. Nothing was changed.")
        named = self._asked.refund or next(iter(payable))
        if named not in payable or (len(payable) > 1 and not self._asked.refund):
            currency = view.booking.terms.price.currency
            each = ", ".join(f"{one} ({money(Money(amount, currency))})" for one, amount in payable.items())
            raise WrongUse(f"Name one of these with --refund: {each}.")
        amount = Money(payable[named], view.booking.terms.price.currency)
        self._tell(*head(view.booking))
        self._tell(f"The refund of {money(amount)} will count as paid by you, and Stripe is not asked for it again.")
        self._must_agree("Have you paid this to the customer?")
        await self._parts.owner_refunds.paid_another_way(view.booking.id, named)
        self._tell("Marked as paid another way.")
        return self._result(await self._view(), (), changed=True)

    async def _correct_email(self) -> int:
        view = await self._view()
        before = view.booking
        self._tell("Nothing is charged or refunded.")
        after = await self._parts.corrections.correct_email(before.id, self._asked.email)
        changed = after != before
        self._tell(
            f"The address was changed; older links no longer work. {self._mailed(after, owner=False)}"
            if changed
            else "The booking already has this address. Nothing was changed."
        )
        return self._result(await self._view(), (), changed=changed)

    async def _move(self) -> int:
        view = await self._view()
        booking = view.booking
        starts_at = read_start(self._asked.start, booking.time_zone)
        service, resource = await self._places(booking)
        quote = await self._parts.reschedule.quote(
            booking.id, starts_at=starts_at, service_id=service, resource_id=resource, by=Actor.OWNER
        )
        self._tell(*head(booking), *self._preview(view, quote))
        self._must_agree("Move this booking?")
        moved = await self._parts.reschedule.booking(
            booking.id,
            starts_at=starts_at,
            service_id=quote.service.id,
            resource_id=quote.resource.id,
            by=Actor.OWNER,
            revision=booking.revision,
        )
        after = await self._view()
        match moved.move.state:
            case MoveState.DONE:
                self._tell("Moved.")
            case MoveState.HELD:
                until = when(moved.move.deadline, booking.time_zone)
                self._tell(f"The new time is held until {until}. Send the customer to this page to pay:")
                self._tell(moved.checkout_url or "")
            case _:
                self._tell("The scheduler has not answered yet. Both times are kept, and the server keeps trying.")
        told = {"state": moved.move.state, "checkoutUrl": moved.checkout_url, "priceDifference": quote.difference}
        return self._result(after, _new(view, after), changed=True, move=told)

    async def _places(self, booking: Booking) -> tuple[str, str | None]:
        """The ids of the service and the resource that were named; None for any resource."""
        asked = self._asked
        widget = self._parts.bookings.widget_of(booking)
        catalogue = await self._parts.availability.catalogue(widget)
        service = named("service", asked.service, catalogue.services) if asked.service else None
        own = service or catalogue.find(booking.service_id)
        if own is None:
            raise Refused(f"Its service is no longer offered. Name another one with --service. {_NOTHING_DONE}")
        return own.id, named("person or room", asked.resource, own.resources).id if asked.resource else None

    def _preview(self, view: BookingView, quote: MoveQuote) -> list[str]:
        booking = view.booking
        slot, zone = quote.slot, booking.time_zone
        lines = [f"To:  {span(slot.starts_at, slot.ends_at, zone)}, {quote.service.name} with {quote.resource.name}"]
        if quote.difference > 0:
            more = money(Money(quote.difference, quote.price.currency))
            minutes = view.widget.payment_minutes
            return [
                *lines,
                f"It costs {more} more, {money(quote.price)} in all. Nothing is charged now. The customer has",
                f"{minutes} minutes to pay the difference on Stripe's page, and the new time is held until then.",
                "If they do not pay, nothing changes.",
            ]
        if quote.difference < 0:
            back = Money(min(-quote.difference, view.left), quote.price.currency)
            return [
                *lines,
                f"It costs {money(quote.price)}. {self._back(view, back)}",
                self._mailed(booking),
            ]
        stays = "The price stays at" if quote.price == booking.terms.price else "It costs"
        price = f"{stays} {money(quote.price)}" if quote.price else "It is free"
        rest = f"{money(Money(quote.unpaid, quote.price.currency))} of it is to be paid at the visit."
        due = rest if quote.unpaid else "There is nothing to pay or refund."
        return [*lines, f"{price}. {due} {self._mailed(booking)}"]

    async def _no_show(self) -> int:
        view = await self._view()
        booking, no_show = view.booking, not self._asked.undo
        if booking.status is not Status.CONFIRMED:
            raise Refused(f"It is not confirmed but {standing(booking, self._now)}. {_NOTHING_DONE}")
        if booking.starts_at > self._now:
            raise Refused(f"The visit only begins on {when(booking.starts_at, booking.time_zone)}. {_NOTHING_DONE}")
        self._tell("Nothing is charged or refunded.")
        await self._parts.corrections.mark_no_show(booking.id, no_show=no_show)
        self._tell("Marked as missed." if no_show else "No longer marked as missed.")
        return self._result(await self._view(), (), changed=booking.no_show is not no_show)

    async def _resend(self) -> int:
        view = await self._view()
        self._tell("Nothing is charged or refunded.")
        if view.booking.forgotten:
            raise Refused("Its customer's data was removed, so there is no address to send a link to.")
        await self._parts.manage_links.renew(view.booking.id, Actor.OWNER)
        after = await self._view()
        if after.booking.link_version == view.booking.link_version:
            if standing(view.booking, self._now) in MANAGED:
                raise Refused("A new link was emailed a moment ago. Wait five minutes before you send another one.")
            raise Refused("There is nothing left to manage about this booking, so no link was sent.")
        self._tell(f"A new link is on its way. Older links no longer work. {self._mailed(view.booking, owner=False)}")
        return self._result(after, (), changed=True)

    # -- what is told ------------------------------------------------------------------------------------

    async def reason(self, error: HoldfastError) -> str:
        """Why an act was not done, for the owner. None of these comes after a change."""
        stays = _NOTHING_DONE
        match error:
            case SlotTaken():
                zone = (await self._view()).booking.time_zone
                nearest = "; ".join(when(start, zone) for start in error.nearest)
                return f"That time is not free. {f'The nearest: {nearest}. ' if nearest else ''}{stays}"
            case PolicyRefused(refusal=Refusal.UNDER_WAY):
                return f"This booking is being moved, or the customer is paying for a move. Try again later. {stays}"
            case NotBegun():
                return f"{error.sentence} {stays}"
            case PolicyRefused(refusal=Refusal.NOT_OFFERED):
                return (
                    f"Its widget is no longer in widgets.toml, so you can cancel the booking but not move it. {stays}"
                )
            case PolicyRefused():
                stands = standing((await self._view()).booking, self._now)
                return f"Only a confirmed booking can be changed; this one is {stands}. {stays}"
            case BookingConflict():
                return f"The booking has changed in the meantime. `show` says how. {_NOTHING_DONE}"
            case NotFound():
                return f"That is not offered. {stays}"
            case InvalidDetails():
                return f"{' '.join(error.fields.values())} {stays}"
            case InvalidRequest():
                return f"That cannot be done: {error}. {stays}"
            case SchedulerUnauthorized() | SchedulerForbidden():
                return (
                    "The scheduler refused: its token is wrong or lacks an ability; `python -m app doctor` says which. "
                    f"{stays}"
                )
            case SchedulerError():
                return f"The scheduler gave no usable answer ({type(error).__name__}). {stays}"
            case StripeMisconfigured():
                return f"Stripe refused: STRIPE_SECRET_KEY is missing, wrong, or lacks a permission. {stays}"
            case AddressRefused():
                return f"{BAD_EMAIL} {stays}"
            case StripeError():
                return f"Stripe gave no usable answer ({type(error).__name__}). {stays}"
            case _:
                return f"{type(error).__name__}. {stays}"

    def _tell(self, *lines: str) -> None:
        for line in lines:
            self._terminal.tell(line)

    def _must_agree(self, question: str) -> None:
        if not self._asked.yes and not self._terminal.ask(question):
            raise Refused(_NOTHING_DONE)

    def _say_json(self, **body: Any) -> None:
        self._terminal.say(json.dumps({"success": True, **body}))

    def _result(self, view: BookingView, refunds: Sequence[Refund], *, changed: bool, **more: Any) -> int:
        for refund in refunds:
            self._tell(f"Refund of {money(refund.amount)}: {refund_stands(view, refund)}.")
        if self._asked.json:
            told = [refund_json(refund) for refund in refunds]
            self._say_json(changed=changed, booking=booking_json(view.booking, self._now), refunds=told, **more)
        return DONE

    def _back(self, view: BookingView, amount: Money, at: str = "straight away") -> str:
        """What goes back, and what keeps it from going."""
        if not amount:
            paid = any(payment.captured for payment in view.payments)
            return f"{'Nothing is left of the payment' if paid else 'Nothing was paid'}, so there is nothing to refund."
        if any(payment.in_dispute for payment in view.payments):
            at = "once the bank has decided the dispute, unless it has taken the money back itself"
        left = Money(view.left, amount.currency)
        told = (
            "all that is left of the payment" if amount == left else f"out of {money(left)} that is left of the payment"
        )
        by_hand = " What was paid on the spot you refund yourself." if view.funds.in_person else ""
        return f"We refund {money(amount)} to the customer {at}: {told}.{by_hand}"

    def _mailed(self, booking: Booking, *, owner: bool = True) -> str:
        if not self._parts.mailer.enabled:
            return "No email is sent, because SMTP_URL is not set."
        owner = owner and bool(self._parts.bookings.widget_of(booking).owner_email)
        return f"The server emails the customer{' and you' if owner else ''}."


def _new(before: BookingView, after: BookingView) -> list[Refund]:
    known = {refund.id for refund in before.refunds}
    return [refund for refund in after.refunds if refund.id not in known]
