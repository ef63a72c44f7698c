"""Who has paid a part at the desk, or nothing yet: what a move and a cancellation do to the rest."""

from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.booking import Actor, Booking
from app.domain.money import Money
from app.domain.payment import PaymentMethod
from sandbox.faults import Fault
from tests.support.desk import NORA, paid_so_far
from tests.support.stack import Stack, open_stack

HOUR = timedelta(hours=1)
_WIDGET = "reschedule = { other_service = true, until_hours = 0 }"


async def to_the_headshot(stack: Stack, booking: Booking, by: Actor) -> int:
    """Move it to the service for 650 kr; what was said of the money."""
    return (await stack.move(booking, await stack.in_days(6, "headshot"), service="headshot", by=by)).difference


async def returned_and_open(stack: Stack, booking: Booking) -> tuple[int, int]:
    funds = (await stack.parts.bookings.view(booking.id)).funds
    return funds.returned, funds.to_pay_at_visit(await stack.now(booking))


@pytest.mark.parametrize("by", [Actor.OWNER, Actor.CUSTOMER])
@pytest.mark.parametrize(
    ("paid", "back", "rest"),
    [(0, 0, 65000), (60000, 0, 5000), (65000, 0, 0), (110000, 45000, 0), (120000, 55000, 0)],
    ids=["nothing", "less than the new price", "just the new price", "more than the new price", "all"],
)
async def test_a_move_to_a_lower_price_first_lowers_what_is_still_to_be_paid(
    tmp_path: Path, by: Actor, paid: int, back: int, rest: int
) -> None:
    async with open_stack(tmp_path, widget=_WIDGET) as stack:
        booking = await paid_so_far(stack, paid)
        quote = await stack.parts.reschedule.quote(
            booking.id, starts_at=await stack.in_days(6, "headshot"), service_id=stack.headshot_id, by=by
        )
        assert await to_the_headshot(stack, booking, by) == quote.difference == -back
        assert await returned_and_open(stack, booking) == (back, rest)
        assert quote.unpaid == rest


async def test_what_is_paid_at_the_desk_while_a_move_waits_counts_when_it_is_done(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget=_WIDGET) as stack:
        booking = await paid_so_far(stack, 60000)
        there = await stack.in_days(6, "headshot")
        stack.hapio.faults.append(Fault("drop_before", times=20, method="PATCH"))
        await stack.move(booking, there, service="headshot", by=Actor.OWNER)
        await stack.parts.desk_payments.record(booking.id, Money(60000, "sek"), PaymentMethod.CASH, who=NORA)
        stack.hapio.faults.clear()
        await stack.tick(after=HOUR)
        assert await returned_and_open(stack, booking) == (55000, 0)


@pytest.mark.parametrize(
    ("paid", "hours_before", "back"),
    [(20000, 30, 20000), (20000, 5, 0), (60000, 5, 0), (100000, 5, 40000), (120000, 5, 60000), (100000, 1, 0)],
)
async def test_of_a_part_payment_a_cancellation_keeps_the_share_that_the_terms_keep(
    stack: Stack, paid: int, hours_before: int, back: int
) -> None:
    booking = await paid_so_far(stack, paid)
    stack.clock.advance(booking.starts_at - stack.clock() - hours_before * HOUR)
    assert (await stack.parts.cancel.quote(booking.id, by=Actor.CUSTOMER)).amount == back
    assert (await stack.parts.cancel.quote(booking.id, by=Actor.OWNER)).amount == paid


async def test_what_went_back_of_a_payment_at_the_visit_is_not_given_twice(stack: Stack) -> None:
    booking = await paid_so_far(stack, 0)
    await stack.parts.desk_payments.record(booking.id, Money(120000, "sek"), PaymentMethod.CASH, who=NORA)
    await stack.parts.owner_refunds.give_back(booking.id, Money(20000, "sek"))
    stack.clock.advance(booking.starts_at - stack.clock() - 5 * HOUR)
    assert (await stack.parts.cancel.quote(booking.id, by=Actor.CUSTOMER)).amount == 40000
