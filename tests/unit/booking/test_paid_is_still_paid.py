"""That something was paid once does not mean that it still is: what has gone back buys nothing."""

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.domain.booking import EndReason, Status
from app.domain.move import MoveState
from app.errors import BookingConflict
from sandbox.hapio import Fault
from sandbox.stripe import Fault as StripeFault
from tests.support.backups import money_alarms
from tests.support.manage import link
from tests.support.stack import Stack, open_stack, session_of, text_of

MINUTE = timedelta(minutes=1)


async def refund_in_the_dashboard(stack: Stack, session_id: str, amount: int | None = None) -> None:
    """Someone gives money back at Stripe, without us."""
    intent = stack.stripe.state.sessions[session_id]["payment_intent"]
    async with httpx.AsyncClient(transport=stack.stripe.transport(), base_url="http://stripe.sandbox") as desk:
        body = {} if amount is None else {"amount": amount}
        (await desk.post(f"/_sandbox/payment_intents/{intent}/refund", json=body)).raise_for_status()


async def paid_while_hapio_is_down(stack: Stack) -> tuple[str, str]:
    """The ids of a paid booking that waits for Hapio, and of its Session."""
    stack.stripe.switches.deliver = "off"
    booking = await stack.hold()
    stack.hapio.faults.append(Fault("error_before", times=None))
    session_id = await stack.paid(booking)
    await stack.parts.settle.booking(booking.id)
    assert await stack.status(booking) is Status.PAID
    return booking.id, session_id


@pytest.mark.parametrize("deliver", ["off", "on"])
async def test_a_booking_refunded_in_the_dashboard_before_it_was_confirmed_is_not_confirmed(
    stack: Stack, deliver: str
) -> None:
    booking_id, session_id = await paid_while_hapio_is_down(stack)
    await refund_in_the_dashboard(stack, session_id)
    stack.stripe.switches.deliver = "on" if deliver == "on" else "off"
    stack.hapio.faults.clear()
    await stack.until_quiet()
    booking = await stack.parts.bookings.get(booking_id)
    assert (booking.status, booking.end_reason) == (Status.CANCELED, EndReason.REFUNDED)
    assert stack.hapio_bookings() == []
    assert stack.money_kept() == 0
    subjects = [message.header("Subject") for message in stack.mailbox.messages]
    assert not [subject for subject in subjects if subject.startswith(("Confirmed", "New booking"))]
    texts = [message.text or "" for message in stack.mailbox.messages if "Refunded" in message.header("Subject")]
    assert texts
    assert all("refunded before the booking was confirmed" in text for text in texts)
    assert not [text for text in texts if "not been charged" in text]


async def test_a_booking_refunded_by_its_owner_before_it_was_confirmed_is_not_confirmed(stack: Stack) -> None:
    booking_id, _ = await paid_while_hapio_is_down(stack)
    await stack.parts.owner_refunds.give_back(booking_id, None)
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert (await stack.parts.bookings.get(booking_id)).status is Status.CANCELED
    assert stack.hapio_bookings() == []


async def test_a_part_refunded_before_the_confirmation_leaves_the_booking_standing(stack: Stack) -> None:
    booking_id, session_id = await paid_while_hapio_is_down(stack)
    await refund_in_the_dashboard(stack, session_id, 20000)
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert (await stack.parts.bookings.get(booking_id)).status is Status.CONFIRMED
    assert stack.money_kept() == 100000


async def test_a_payment_refunded_before_anyone_looked_is_not_confirmed(stack: Stack) -> None:
    stack.stripe.switches.deliver = "off"
    booking = await stack.hold()
    session_id = await stack.paid(booking)
    await refund_in_the_dashboard(stack, session_id)
    settled = await stack.parts.settle.booking(booking.id)
    assert (settled.status, settled.end_reason) == (Status.CANCELED, EndReason.REFUNDED)


async def test_a_difference_refunded_before_the_move_was_made_moves_nothing(open_minded: Stack) -> None:
    stack = open_minded
    booking = await stack.confirmed(service="headshot")
    moving = await stack.move(booking, await stack.in_days(6, "portrait"), service="portrait")
    stack.stripe.switches.deliver = "off"
    stack.hapio.faults.append(Fault("error_before", times=None))
    await stack.stripe.pay(session_of(moving))
    await stack.parts.settle.booking(booking.id)
    await refund_in_the_dashboard(stack, session_of(moving))
    stack.hapio.faults.clear()
    await stack.until_quiet()
    ended = await stack.parts.store.move(moving.move.id)
    assert ended
    assert (ended.state, ended.end_reason) == (MoveState.REFUSED, EndReason.REFUNDED)
    assert (await stack.now(booking)).starts_at == booking.starts_at
    assert stack.money_kept() == 65000


async def test_a_booking_whose_money_went_back_before_it_was_confirmed_counts_as_one_without_money(
    stack: Stack,
) -> None:
    booking = await stack.confirmed()
    await refund_in_the_dashboard(stack, await session_of_booking(stack, booking.id))
    await stack.until_quiet()
    assert await stack.parts.store.bookings_without_money() == []  # given back afterwards, by someone's choice
    async with stack.parts.store._write() as connection:
        await connection.exec_driver_sql("UPDATE refunds SET created_at = '2020-01-01 00:00:00'")
    [found] = await stack.parts.store.bookings_without_money()
    assert (found.booking_id, found.amount) == (booking.id, 120000)


@pytest.mark.parametrize("deliver", ["off", "on"])
async def test_a_cancellation_is_not_undone_once_the_owner_has_refunded_the_payment(stack: Stack, deliver: str) -> None:
    stack.stripe.switches.deliver = "on" if deliver == "on" else "off"
    booking = await stack.confirmed()
    stack.clock.advance(MINUTE)
    await stack.cancel(booking)
    await refund_in_the_dashboard(stack, await session_of_booking(stack, booking.id))
    path = link(stack, booking)
    answer = await stack.client.post(f"{path}/undo", data={})
    assert answer.status_code == 409
    assert "The time to undo the cancellation has run out. Your booking stays cancelled." in text_of(answer.text)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CANCELED
    assert stack.hapio_bookings() == []
    assert (stack.money_kept(), await money_alarms(stack)) == (0, [])
    standing = [refund.amount.amount for refund in await stack.refunds(booking) if refund.status != "withdrawn"]
    assert standing == [120000]
    page = text_of((await stack.client.get(path)).text)
    assert "Your payment was refunded before the booking was confirmed" in page
    assert "no longer free" not in page
    assert not [one for one in stack.mailbox.messages if one.header("Subject").startswith("Booked again")]


async def test_the_page_offers_no_undo_once_it_is_known_that_the_payment_has_been_refunded(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    path = link(stack, booking)
    assert "you can undo the cancellation" in text_of((await stack.client.get(path)).text)
    await refund_in_the_dashboard(stack, await session_of_booking(stack, booking.id))
    await stack.stripe.deliver_due()
    assert "you can undo the cancellation" not in text_of((await stack.client.get(path)).text)


async def test_a_cancellation_is_not_undone_if_its_payment_is_refunded_while_hapio_is_down(stack: Stack) -> None:
    stack.stripe.switches.deliver = "off"
    booking = await stack.confirmed()
    await stack.cancel(booking)
    stack.hapio.faults.append(Fault("error_before", times=None))
    assert (await stack.parts.cancel.undo(booking.id)).status is Status.PAID
    await refund_in_the_dashboard(stack, await session_of_booking(stack, booking.id))
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CANCELED
    assert stack.hapio_bookings() == []
    assert (stack.money_kept(), await money_alarms(stack)) == (0, [])


async def test_a_cancellation_is_not_undone_once_the_owner_has_refunded_what_its_terms_kept(tmp_path: Path) -> None:
    async with open_stack(tmp_path, cancellation="[]") as stack:
        booking = await stack.confirmed()
        await stack.cancel(booking)
        stack.clock.advance(MINUTE)
        await stack.parts.owner_refunds.give_back(booking.id, None)
        with pytest.raises(BookingConflict):
            await stack.parts.cancel.undo(booking.id)
        await stack.until_quiet()
        assert await stack.status(booking) is Status.CANCELED
        assert stack.money_kept() == 0


async def test_a_part_refunded_after_a_cancellation_leaves_the_undo_and_is_not_refunded_again(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    await refund_in_the_dashboard(stack, await session_of_booking(stack, booking.id), 20000)
    assert (await stack.parts.cancel.undo(booking.id)).status is Status.CONFIRMED
    await stack.until_quiet()
    assert stack.money_kept() == 100000
    assert await stack.parts.store.bookings_without_money() == []
    await stack.cancel(booking)
    await stack.tick(after=10 * MINUTE, times=2)
    assert stack.money_kept() == 0


@pytest.mark.parametrize("key", ["lacks the permission", "was removed"])
async def test_a_cancellation_is_undone_although_stripe_does_not_say_what_went_back(stack: Stack, key: str) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    if key == "was removed":
        await stack.stop()
        stack.settings = stack.settings.model_copy(update={"stripe_secret_key": None})
        await stack.start()
    else:
        stack.stripe.faults.append(StripeFault("forbidden", path="/v1/(checkout|refunds)", times=None))
    assert (await stack.parts.cancel.undo(booking.id)).status is Status.CONFIRMED
    assert len(stack.hapio_bookings()) == 1


async def test_while_stripe_does_not_answer_an_undo_waits(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.cancel(booking)
    stack.stripe.faults.append(StripeFault("drop_before", path="/v1/checkout", times=None))
    assert (await stack.parts.cancel.undo(booking.id)).status is Status.PAID
    stack.stripe.faults.clear()
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED


async def test_a_booking_that_the_owner_had_refunded_before_is_undone_as_it_stood(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.parts.owner_refunds.give_back(booking.id, None)
    await stack.cancel(booking)
    assert (await stack.parts.cancel.undo(booking.id)).status is Status.CONFIRMED


async def session_of_booking(stack: Stack, booking_id: str) -> str:
    """The Session that paid a booking."""
    view = await stack.parts.bookings.view(booking_id)
    assert view.payment
    assert view.payment.session_id
    return view.payment.session_id
