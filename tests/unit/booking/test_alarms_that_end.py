"""Money that is nobody's concern any more is no alarm: a bank has returned it, or the owner has chosen to keep it."""

from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.booking import Actor, Booking, Status
from sandbox.hapio import Fault
from tests.support.backups import money_alarms
from tests.support.json_door import KEY, SERVER, post
from tests.support.manage import link, plain
from tests.support.stack import Stack, open_stack, text_of

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NO_REFUND = "Under your booking terms, there is no refund."
RETURNED = "Your bank has returned the payment to you."


async def lose_dispute(stack: Stack, booking: Booking) -> None:
    """The customer's bank takes the payment back, and decides for the customer."""
    dispute = stack.stripe.open_dispute(await stack.intent_of(booking))
    await stack.stripe.deliver_due()
    stack.stripe.close_dispute(dispute["id"], "lost")
    await stack.stripe.deliver_due()


async def five_days(stack: Stack) -> None:
    for _ in range(5):
        await stack.tick(after=DAY)


async def page_of(stack: Stack, booking: Booking) -> str:
    """What the customer reads behind the link in the mail."""
    return text_of((await stack.client.get(link(stack, await stack.now(booking)))).text)


@pytest.mark.parametrize("by", [Actor.OWNER, Actor.CUSTOMER])
async def test_a_booking_whose_payment_a_bank_has_returned_is_cancelled_without_an_alarm(
    stack: Stack, by: Actor
) -> None:
    booking = await stack.confirmed(await stack.in_days(20))
    await lose_dispute(stack, booking)
    await stack.cancel(booking, by=by)
    await five_days(stack)
    assert await stack.status(booking) is Status.CANCELED
    assert await money_alarms(stack) == []
    page = await page_of(stack, booking)
    assert RETURNED in page
    assert NO_REFUND not in page
    [mail] = [
        one
        for one in stack.mailbox.messages
        if one.recipients == ("anna@customer.example",) and one.header("Subject").startswith("Cancelled")
    ]
    assert RETURNED in (mail.text or "")
    assert NO_REFUND not in (mail.text or "")


async def test_a_booking_whose_payment_a_bank_has_returned_is_deleted_in_the_calendar_without_an_alarm(
    stack: Stack,
) -> None:
    booking = await stack.confirmed(await stack.in_days(20))
    await lose_dispute(stack, booking)
    await stack.side.owner_cancels(booking.reservation.reference or "")
    await stack.side.deliver()
    await five_days(stack)
    assert await stack.status(booking) is Status.CANCELED
    assert await money_alarms(stack) == []


async def test_a_dispute_that_is_lost_while_the_refund_waits_for_it_leaves_no_alarm(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(20))
    dispute = stack.stripe.open_dispute(await stack.intent_of(booking))
    await stack.stripe.deliver_due()
    await stack.cancel(booking, by=Actor.OWNER)
    stack.stripe.close_dispute(dispute["id"], "lost")
    await five_days(stack)
    assert [refund.status for refund in await stack.refunds(booking)] == ["withdrawn"]
    assert await money_alarms(stack) == []
    assert NO_REFUND not in await page_of(stack, booking)


async def test_a_dispute_that_is_lost_before_the_calendar_has_confirmed_leaves_no_alarm(stack: Stack) -> None:
    booking = await stack.hold(await stack.in_days(20))
    stack.hapio.faults.append(Fault("error_before", times=None))
    await stack.paid(booking)
    await lose_dispute(stack, booking)
    stack.hapio.faults.clear()
    await five_days(stack)
    assert await stack.status(booking) is Status.CANCELED
    assert await money_alarms(stack) == []


async def test_a_failed_refund_that_a_bank_has_returned_since_is_no_alarm_and_asks_for_no_second_one(
    stack: Stack,
) -> None:
    stack.stripe.switches.refund_mode = "fail_later"
    booking = await stack.confirmed(await stack.in_days(20))
    await stack.cancel(booking)
    await stack.tick(after=10 * MINUTE)
    await stack.until_quiet()
    assert await money_alarms(stack) == [("canceled", 120000)]
    assert "contact us so that we can send it another way" in await page_of(stack, booking)
    await lose_dispute(stack, booking)
    await five_days(stack)
    assert await money_alarms(stack) == []
    page = await page_of(stack, booking)
    assert RETURNED in page
    assert "contact us so that we can send it another way" not in page
    assert NO_REFUND not in page


@pytest.mark.both_databases
async def test_what_the_owner_chose_to_keep_when_cancelling_is_no_alarm(tmp_path: Path, database: str) -> None:
    async with open_stack(tmp_path, settings={"api_keys": (KEY,)}, database=database) as stack:
        booking = await stack.confirmed(await stack.in_days(20))
        answer = await post(stack, "bookings/cancel", {"bookingId": booking.id, "refundRequested": False}, **SERVER)
        assert answer.json()["refundStatus"] == "NOT_APPLICABLE"
        await five_days(stack)
        assert stack.money_kept() == 120000
        assert await money_alarms(stack) == []


async def test_a_booking_that_its_owner_cancelled_and_that_was_not_refunded_by_a_fault_is_an_alarm(
    stack: Stack,
) -> None:
    booking = await stack.confirmed(await stack.in_days(20))
    await stack.cancel(booking, by=Actor.OWNER)
    async with stack.parts.store._write() as connection:
        await connection.exec_driver_sql("DELETE FROM refunds")
    stack.clock.advance(HOUR)
    assert await money_alarms(stack) == [("canceled", 120000)]


async def test_the_owners_cancellation_also_refunds_what_was_kept_of_a_move_to_a_lower_price(tmp_path: Path) -> None:
    widget = "reschedule = { other_service = true, until_hours = 3 }"
    async with open_stack(tmp_path, widget=widget) as stack:
        booking = await stack.confirmed(await stack.in_days(5))
        stack.clock.set(booking.starts_at - 10 * HOUR)
        await stack.move(booking, await stack.in_days(7, "headshot"), service="headshot")
        assert stack.money_kept() == 92500
        await stack.cancel(booking, by=Actor.OWNER)
        await five_days(stack)
        assert stack.money_kept() == 0
        assert await money_alarms(stack) == []


async def test_what_was_kept_of_a_move_to_a_free_service_is_refunded_by_the_owner_and_the_mail_says_so(
    tmp_path: Path,
) -> None:
    widget = "reschedule = { other_service = true, until_hours = 3 }"
    async with open_stack(tmp_path, widget=widget) as stack:
        booking = await stack.confirmed(await stack.in_days(5))
        stack.clock.set(booking.starts_at - 10 * HOUR)
        await stack.move(booking, await stack.in_days(7, "planning"), service="planning")
        assert stack.money_kept() == 60000
        await stack.cancel(booking, by=Actor.OWNER)
        await five_days(stack)
        assert stack.money_kept() == 0
        texts = [plain(one.text or "") for one in stack.mailbox.messages if one.header("Subject").startswith("Cancel")]
        assert [text.count("We will refund SEK 600.00 to") for text in texts] == [1, 1]
