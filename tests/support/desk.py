"""The owner books for someone at the desk."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from app.booking.book_for import DeskOrder
from app.domain.booking import Booking, Customer
from app.domain.money import Money
from app.domain.payment import Pays
from tests.support.stack import Stack

PHONE = Customer(name="Anna Ek", email="anna@customer.example")
NORA = "nora@studio.example"


async def order(
    stack: Stack, starts_at: datetime | None = None, *, service: str = "portrait", **changes: Any
) -> DeskOrder:
    """What the owner asks for; a phone call by someone who pays in cash unless said otherwise."""
    told = DeskOrder(
        widget=stack.parts.widgets["studio"],
        service_id=getattr(stack, f"{service}_id"),
        starts_at=starts_at or await stack.in_days(3, service),
        resource_id=None,
        customer=PHONE,
        language="en",
        pays=Pays.CASH,
        form=f"{stack.random.getrandbits(64):x}",
        who=NORA,
    )
    return replace(told, **changes)


async def booked(stack: Stack, starts_at: datetime | None = None, **changes: Any) -> Booking:
    """A booking that was made at the desk."""
    return await stack.parts.book_for.book(await order(stack, starts_at, **changes))


async def paid_so_far(stack: Stack, amount: int) -> Booking:
    """A portrait for 1,200 kr, of which the caller has paid so much at the desk."""
    if not amount:
        return await booked(stack, pays=Pays.AT_VISIT)
    return await booked(stack, pays=Pays.CASH, paid=Money(amount, "sek"))
