"""Booking for a customer from the terminal: the booking, payments on the spot, and payment links."""

from __future__ import annotations

import argparse
import json
from datetime import timedelta
from typing import Final

from app.booking.book_for import DeskOrder
from app.booking.customer_form import desk_fields, read_details
from app.cli.arguments import Refused, WrongUse, named, read_amount, read_start
from app.cli.as_json import booking_json
from app.cli.terminal import Terminal
from app.cli.words import head, money, span, standing, when
from app.domain.booking import Booking, Status
from app.domain.catalogue import Service
from app.domain.money import Money
from app.domain.payment import PaymentMethod, Pays
from app.errors import BookingConflict, NotFound, SlotTaken
from app.parts import Parts
from app.widgets import Widget

_DONE: Final = 0
_NOTHING: Final = "Nothing was booked or charged."
#: Who did it, for the history: anyone who may run commands on the server.
WHO: Final = "the command line"


class BookingDesk:
    """One command on its way."""

    ACTS: Final = frozenset({"book", "take-payment", "pay-link"})

    def __init__(self, parts: Parts, asked: argparse.Namespace, terminal: Terminal) -> None:
        self._parts = parts
        self._asked = asked
        self._terminal = terminal
        self._now = parts.now()

    async def act(self) -> int:
        """Do what was asked for. Raises WrongUse, Refused, HoldfastError."""
        match self._asked.act:
            case "book":
                return await self._book()
            case "take-payment":
                return await self._take()
            case _:
                return await self._link()

    async def _book(self) -> int:
        asked, widget = self._asked, self._widget()
        catalogue = await self._parts.availability.catalogue(widget)
        zone = catalogue.location.time_zone
        service = named("service", asked.service, catalogue.services)
        resource = named("person or room", asked.resource, service.resources).id if asked.resource else None
        pays = Pays(asked.pays)
        starts_at = read_start(asked.start, zone)
        until = read_start(asked.until, zone, "--until") if asked.until else self._now + timedelta(days=1)
        typed = {"name": asked.name, "email": asked.email, "phone": asked.phone, "notes": asked.notes}
        fields = desk_fields(widget, "", email=self._parts.book_for.needs_email(widget, pays) and bool(service.price))
        customer = read_details(typed, widget, fields)
        if asked.language and asked.language not in widget.languages:
            raise WrongUse(f"--language must be one of: {', '.join(widget.languages)}.")
        paid = read_amount(asked.amount, service.price) if pays.method and service.price else None
        order = DeskOrder(
            widget=widget,
            service_id=service.id,
            starts_at=starts_at,
            resource_id=resource,
            customer=customer,
            language=asked.language or widget.languages[0],
            pays=pays,
            form=self._parts.links.visitor_key(),
            who=WHO,
            paid=paid,
            pay_until=until,
            any_time=asked.any_time,
        )
        self._tell(f"{service.name}, {span(starts_at, starts_at + service.duration, zone)} ({zone})")
        self._tell(_pays_words(order, service, zone))
        self._must_agree("Book this?")
        try:
            booking = await self._parts.book_for.book(order)
        except SlotTaken as error:
            nearest = "; ".join(when(start, zone) for start in error.nearest)
            more = "" if asked.any_time else " --anytime books it outside the hours, if nobody has it."
            raise Refused(
                f"{error.sentence}{more} {f'The nearest: {nearest}. ' if nearest else ''}{_NOTHING}", error.code
            ) from error
        return self._result(booking)

    def _widget(self) -> Widget:
        widgets, name = self._parts.widgets, self._asked.widget
        if not name and len(widgets) == 1:
            return next(iter(widgets.values()))
        if name not in widgets:
            raise WrongUse(f"Name one of these with --widget: {', '.join(widgets)}.")
        return widgets[name]

    async def _take(self) -> int:
        booking = await self._booking()
        unpaid = (await self._parts.bookings.view(booking.id)).funds.open_amount(booking)
        left = Money(unpaid, booking.terms.price.currency)
        if not left:
            raise Refused("Nothing is left to pay. Nothing was changed.")
        amount = read_amount(self._asked.amount, left)
        self._tell(*head(booking))
        self._tell(f"{money(amount)} will be noted as paid on the spot. Stripe has no part in it.")
        if booking.pay_link and booking.status is not Status.CONFIRMED:
            self._tell("The payment link stops working, and the booking is confirmed.")
        self._must_agree("Note this payment?")
        after = await self._parts.desk_payments.record(
            booking.id, amount, PaymentMethod(self._asked.how), who=WHO, unpaid=unpaid
        )
        return self._result(after)

    async def _link(self) -> int:
        booking, desk, asked = await self._booking(), self._parts.desk_payments, self._asked
        if not booking.pay_link or booking.status not in {Status.HELD, Status.AWAITING_PAYMENT}:
            raise Refused(f"No payment link is open: the booking is {standing(booking, self._now)}.")
        self._tell(*head(booking))
        if asked.again:
            if not await desk.resend_link(booking.id, who=WHO):
                raise Refused("It was emailed a moment ago. Wait five minutes before you send it again.")
        elif asked.until:
            until = read_start(asked.until, booking.time_zone, "--until")
            await desk.extend_link(booking.id, until, who=WHO)
        else:
            self._tell("The link stops working, and the time is free again. Nothing is charged.")
            self._must_agree("Stop waiting for this payment?")
            await desk.give_up(booking.id, who=WHO)
        return self._result(await self._parts.bookings.get(booking.id))

    async def _booking(self) -> Booking:
        try:
            return await self._parts.bookings.get(self._asked.id)
        except NotFound as error:
            raise Refused("There is no such booking. `bookings list` shows all bookings.", error.code) from error

    def _result(self, booking: Booking) -> int:
        waits = booking.pay_link and booking.status in {Status.HELD, Status.AWAITING_PAYMENT}
        token = self._parts.links.booking_token(booking.id, ends_at=booking.ends_at)
        url = f"{self._parts.settings.public_url}/b/{token}" if waits else None
        if self._asked.json:
            told = {"changed": True, "booking": booking_json(booking, self._now), "payUrl": url}
            self._terminal.say(json.dumps({"success": True, **told}))
            return _DONE
        self._tell(f"{booking.id}  {standing(booking, self._now)}")
        if url:
            self._tell(f"The time is held until {when(booking.deadline, booking.time_zone)}. The customer pays here:")
            self._tell(url)
        return _DONE

    def _tell(self, *lines: str) -> None:
        for line in lines:
            self._terminal.tell(line)

    def _must_agree(self, question: str) -> None:
        if not self._asked.yes and not self._terminal.ask(question):
            raise Refused(_NOTHING, BookingConflict.code)


def _pays_words(order: DeskOrder, service: Service, zone: str) -> str:
    """What happens to the money."""
    price = money(service.price)
    if not service.price:
        return "It is free."
    match order.pays:
        case Pays.NO_CHARGE:
            return f"It costs {price}, and nothing is charged."
        case Pays.AT_VISIT:
            return f"It costs {price}, to be paid at the visit."
        case Pays.LINK:
            until = min(order.pay_until or order.starts_at, order.starts_at)
            return f"It costs {price}. The customer is emailed a link, and the time is held until {when(until, zone)}."
        case _:
            taken = order.paid or service.price
            return f"It costs {price}. {money(taken)} is noted as paid on the spot; Stripe has no part in it."
