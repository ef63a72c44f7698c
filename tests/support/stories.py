"""What visitors, customers and the owner do, as steps that a test may interrupt anywhere."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from app.booking.book_for import DeskOrder
from app.domain.booking import Actor, Booking
from app.domain.payment import PaymentMethod, Pays
from sandbox.hapio import Fault
from sandbox.stripe import Fault as StripeFault
from tests.support.stack import Stack, session_of

Story = Callable[[Stack], Awaitable[None]]
#: What becomes of a booking that is confirmed before the process may die.
Change = Callable[[Stack, Booking], Awaitable[object]]


async def pay(stack: Stack) -> None:
    await stack.paid(await stack.hold())


async def book_for_free(stack: Stack) -> None:
    booking = await stack.hold(service="planning")
    await stack.parts.checkout.start(booking.id)


async def book_in_cash_and_cancel(stack: Stack) -> None:
    booking = await stack.parts.book_for.book(await at_desk(stack, Pays.CASH))
    await stack.tick()  # anyone who is told of the cancellation knew of the booking
    await stack.cancel(booking, by=Actor.OWNER)


async def have_a_link_and_pay_in_cash(stack: Stack) -> None:
    booking = await stack.parts.book_for.book(await at_desk(stack, Pays.LINK))
    await stack.at_stripe(booking)
    await stack.parts.desk_payments.record(booking.id, booking.terms.price, PaymentMethod.CASH, who="nora")


async def at_desk(stack: Stack, pays: Pays) -> DeskOrder:
    """An order of the owner's, for the customer of the other stories."""
    return DeskOrder(
        widget=stack.parts.widgets["studio"],
        service_id=stack.portrait_id,
        starts_at=await stack.free_slot(),
        resource_id=None,
        customer=stack.customer(),
        language="en",
        pays=pays,
        form="a-form",
        who="nora",
        pay_until=stack.clock() + timedelta(minutes=30),
    )


async def walk_away_from_stripe(stack: Stack) -> None:
    await stack.at_stripe(await stack.hold())
    await stack.tick(after=timedelta(minutes=32))


async def give_up_while_paying(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.at_stripe(booking)
    await stack.parts.hold.give_up(booking.id)


async def cancel(stack: Stack, booking: Booking) -> None:
    await stack.cancel(booking)
    await stack.tick(after=timedelta(minutes=11))


async def cancel_by_the_owner(stack: Stack, booking: Booking) -> None:
    await stack.cancel(booking, by=Actor.OWNER)


async def take_a_cancellation_back(stack: Stack, booking: Booking) -> None:
    await stack.cancel(booking)
    await stack.tick(after=timedelta(minutes=3))
    await stack.parts.cancel.undo(booking.id)


async def move(stack: Stack, booking: Booking) -> None:
    await stack.move(booking, await stack.in_days(4))


async def move_to_a_lower_price(stack: Stack, booking: Booking) -> None:
    await stack.move(booking, await stack.in_days(4, "headshot"), service="headshot")


async def move_to_a_higher_price(stack: Stack, booking: Booking) -> None:
    moving = await stack.move(booking, await stack.in_days(4), service="portrait")
    await stack.pay_difference(moving)
    await stack.parts.settle.booking(booking.id)  # as the return page does, should the webhook be off


PORTRAIT, HEADSHOT, FREE = "portrait", "headshot", "planning"
OTHER_SERVICE = "reschedule = { other_service = true }"


async def walk_away(stack: Stack) -> None:
    await stack.hold()
    await stack.tick(after=timedelta(minutes=11))


async def pay_without_webhook(stack: Stack) -> None:
    booking = await stack.hold()
    back = await stack.paid(booking)
    await stack.client.get(back)


async def pay_late(stack: Stack) -> None:
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=timedelta(minutes=32))
    await stack.pay_late(session_id)


async def pay_late_for_a_time_that_is_gone(stack: Stack) -> None:
    booking = await stack.hold(service="headshot")
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=timedelta(minutes=32))
    await stack.take_everyone(booking.starts_at, "headshot")
    await stack.pay_late(session_id)
    await stack.tick()


async def pay_with_a_hold_that_lapses(stack: Stack) -> None:
    stack.hapio.faults.append(Fault("error_before", method="PATCH", times=5))
    await stack.paid(await stack.hold())
    for intent in stack.stripe.state.payment_intents.values():
        if intent["status"] == "requires_capture":
            intent.update(status="canceled", amount_capturable=0)
    await stack.tick(after=timedelta(minutes=1))


async def cancel_with_a_refund_whose_answer_is_cut(stack: Stack, booking: Booking) -> None:
    stack.stripe.faults.append(StripeFault("drop_after", method="POST", path="refunds", times=9))
    await cancel(stack, booking)
    await stack.tick(after=timedelta(minutes=2))


async def cancel_with_a_refund_that_fails(stack: Stack, booking: Booking) -> None:
    stack.stripe.switches.refund_mode, stack.stripe.switches.refund_settle_seconds = "fail_later", 600
    await cancel(stack, booking)
    await stack.tick(after=timedelta(minutes=11))


async def take_a_cancellation_back_in_vain(stack: Stack, booking: Booking) -> None:
    await stack.cancel(booking)
    await stack.book_elsewhere(booking.starts_at)
    await stack.parts.cancel.undo(booking.id)


async def take_a_cancellation_back_without_an_answer(stack: Stack, booking: Booking) -> None:
    await stack.cancel(booking)
    stack.hapio.faults.append(Fault("drop_after", method="PATCH", times=3))
    await stack.parts.cancel.undo(booking.id)
    await stack.tick(after=timedelta(minutes=3))


async def move_without_an_answer(stack: Stack, booking: Booking) -> None:
    stack.hapio.faults.append(Fault("drop_after", method="PATCH", times=3))
    await move(stack, booking)
    await stack.tick(after=timedelta(minutes=3))


async def move_to_a_time_that_hapio_refuses(stack: Stack, booking: Booking) -> None:
    starts_at = await stack.in_days(4)
    await stack.book_elsewhere(starts_at)
    await stack.move(booking, starts_at)


async def move_to_a_higher_price_and_cancel(stack: Stack, booking: Booking) -> None:
    await move_to_a_higher_price(stack, booking)
    stack.clock.set((await stack.now(booking)).starts_at - timedelta(hours=23))
    await cancel(stack, booking)


async def move_and_never_pay_the_difference(stack: Stack, booking: Booking) -> None:
    await stack.move(booking, await stack.in_days(4), service="portrait")
    await stack.tick(after=timedelta(minutes=32))


async def move_and_pay_the_difference_late(stack: Stack, booking: Booking) -> None:
    moving = await stack.move(booking, await stack.in_days(4), service="portrait")
    await stack.tick(after=timedelta(minutes=32))
    await stack.pay_late(session_of(moving))
    await stack.tick(after=timedelta(minutes=11))


async def move_and_give_up_the_difference(stack: Stack, booking: Booking) -> None:
    await stack.move(booking, await stack.in_days(4), service="portrait")
    await stack.parts.reschedule.give_up(booking.id)


async def move_and_cancel_while_the_difference_is_open(stack: Stack, booking: Booking) -> None:
    await stack.move(booking, await stack.in_days(4), service="portrait")
    await cancel(stack, booking)


async def pay_the_difference_for_a_time_that_hapio_gave_away(stack: Stack, booking: Booking) -> None:
    starts_at = await stack.in_days(4)
    moving = await stack.move(booking, starts_at, service="portrait")
    lock = next(held for held in stack.hapio_bookings() if held.is_temporary)
    async with stack.hapio_api() as api:
        await api.delete(f"/bookings/{lock.id}")
        for resource in {lock.resource_id, booking.resource_id}:
            other = {"service_id": lock.service_id, "location_id": lock.location_id, "resource_id": resource}
            times = {"starts_at": lock.starts_at.isoformat(), "ends_at": lock.ends_at.isoformat()}
            await api.post("/bookings", json=other | times)
    await stack.pay_difference(moving)
    await stack.parts.settle.booking(booking.id)  # as the return page does, should the webhook be off
