"""What is done at the owner's desk: booking for callers, taking their money there, and payment links."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from app.booking.book_for import DeskOrder
from app.booking.corrections import Correction
from app.domain.booking import Actor, Booking, Customer
from app.domain.money import Money
from app.domain.payment import PaymentMethod, Pays
from app.errors import HoldfastError
from app.parts import Parts
from proof.process import Gone
from proof.story import Act

if TYPE_CHECKING:
    from proof.people import People

_WHO = "nora"
#: How long a link lasts, and how much longer it is made.
_LINK = timedelta(minutes=30)
#: How the desk books: how it is paid, and how much of the price is paid at once, in hundredths.
_PAYS: Mapping[str, tuple[Pays, int]] = {
    "desk books": (Pays.CASH, 100),
    "desk books for a part of the price": (Pays.CARD_TERMINAL, 25),
    "desk books to be paid at the visit": (Pays.AT_VISIT, 100),
    "desk books at no charge": (Pays.NO_CHARGE, 100),
    "desk books by link": (Pays.LINK, 100),
    "desk books by link and waits": (Pays.LINK, 100),
}


async def books(people: People, number: int, act: Act) -> None:
    """Book for a caller; by link they go on to pay at once, or later."""
    world = people.world
    pays, percent = _PAYS[act.what]

    async def book(parts: Parts) -> Booking:
        starts_at, _ = await people.free(parts, act.service, act.nth)
        widget = parts.widgets["studio"]
        price = (await parts.availability.service(widget, world.side.services[act.service])).price
        order = DeskOrder(
            widget=widget,
            service_id=world.side.services[act.service],
            starts_at=starts_at,
            resource_id=None,
            customer=Customer(name="Phone Caller", email="caller@customer.example"),
            language="en",
            pays=pays,
            form=f"form-{number}-{act.nth}-{pays}",
            who=_WHO,
            paid=Money(price.amount * percent // 100, price.currency) if percent < 100 else None,
            pay_until=world.clock() + _LINK if pays is Pays.LINK else None,
        )
        return await parts.book_for.book(order)

    number = number if number < 0 else -1 - number  # not the visitor's own
    people.bookings[number] = await people.run(book)
    if act.what == "desk books by link":
        session = await people.to_stripe(number)
        if session and world.random.random() < 0.7:
            await people.card(session)


async def _open(people: People, number: int) -> Money:
    """What is still to be paid of it, as the page shows it."""
    ident = people.bookings[number].id
    view = await people.run(lambda parts: parts.bookings.view(ident))
    return Money(view.funds.to_pay_at_visit(view.booking), view.booking.terms.price.currency)


async def takes_cash(people: People, number: int, act: Act) -> None:
    """What is still to be paid, or a part of it, is paid at the desk."""
    ident, whole = people.bookings[number].id, await _open(people, number)
    part = Money(whole.amount // 400 * 100, whole.currency) if "a part" in act.what else whole
    await people.run(
        lambda parts: parts.desk_payments.record(ident, part, PaymentMethod.CASH, who=_WHO, unpaid=whole.amount)
    )


async def link_and_cash(people: People, number: int, act: Act) -> None:
    """They pay by the link on their phone while the desk takes cash."""
    session = await people.to_stripe(number)
    await both(takes_cash(people, number, act), people.card(session or ""), people.world.random.choice((0.0, 0.1)))


async def gives_more_time(people: People, number: int, _: Act) -> None:
    ident, until = people.bookings[number].id, people.world.clock() + 2 * _LINK
    await people.run(lambda parts: parts.desk_payments.extend_link(ident, until, who=_WHO))


async def sends_link_again(people: People, number: int, _: Act) -> None:
    ident = people.bookings[number].id
    await people.run(lambda parts: parts.desk_payments.resend_link(ident, who=_WHO))


async def gives_up_link(people: People, number: int, _: Act) -> None:
    ident = people.bookings[number].id
    await people.run(lambda parts: parts.desk_payments.give_up(ident, who=_WHO))


async def moves_cheaper(people: People, number: int, act: Act) -> None:
    await people.moved(number, act, "headshot", by=Actor.OWNER)


async def pays_another_way(people: People, number: int, _: Act) -> None:
    ident = people.bookings[number].id
    await people.run(lambda parts: parts.owner_refunds.paid_another_way(ident))


async def corrects_address(people: People, number: int, _: Act) -> None:
    ident = people.bookings[number].id
    typed = Correction(email="caller@mail.example")
    await people.run(lambda parts: parts.corrections.correct(ident, typed, by=Actor.OWNER, who=_WHO))


async def asks_for_link(people: People, number: int, _: Act) -> None:
    ident = people.bookings[number].id
    await people.run(lambda parts: parts.manage_links.renew(ident))


async def both(one: Awaitable[object], other: Awaitable[object], later: float = 0.0) -> None:
    """Two tabs, the first so many seconds `later`: what one of them is refused does not keep the other from going
    on."""

    async def after() -> None:
        await asyncio.sleep(later)
        await one

    for outcome in await asyncio.gather(after(), other, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, HoldfastError | Gone | TimeoutError):
            raise outcome


Does = Callable[["People", int, Act], Awaitable[None]]
BOOKS: Mapping[str, Does] = dict.fromkeys(_PAYS, books)
ACTS: Mapping[str, Does] = {
    "desk takes the rest in cash": takes_cash,
    "desk takes a part in cash": takes_cash,
    "pay by the link and at the desk": link_and_cash,
    "desk gives more time": gives_more_time,
    "desk sends the link again": sends_link_again,
    "desk gives up the link": gives_up_link,
    "owner moves to a cheaper service": moves_cheaper,
    "owner pays it back another way": pays_another_way,
    "owner corrects the address": corrects_address,
    "ask for another link": asks_for_link,
}
