"""Refunds that Stripe refuses, does not answer, or could not deliver: nobody waits for them in silence."""

from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.domain.booking import Actor, Booking, Status
from app.domain.money import Money
from app.domain.payment import PaymentState
from app.errors import BookingConflict, NotFound, StripeError
from sandbox.hapio import Fault as HapioFault
from sandbox.stripe import Fault
from tests.support.backups import money_alarms
from tests.support.figures import TOKEN, figure
from tests.support.manage import plain
from tests.support.stack import Stack, open_stack, text_of

MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("minutes", "hours", "days"))
ANNA, OWNER = "anna@customer.example", "owner@studio.example"


async def canceled(stack: Stack, *, by: Actor = Actor.CUSTOMER) -> Booking:
    """A paid booking that was called off, whose refund of 1,200 kr. is due; the mails about that have gone out."""
    booking = await stack.confirmed(await stack.in_days(20))
    await stack.cancel(booking, by=by)
    await stack.mail(ANNA)
    await stack.mail(OWNER)
    return await stack.now(booking)


async def troubles(stack: Stack) -> list[str]:
    """The subjects of the mails that ask the owner to act, since the last call."""
    return [subject for subject in await stack.mail(OWNER) if subject.startswith("Needs your attention")]


async def page_of(stack: Stack, booking: Booking) -> str:
    """What the customer reads on the page behind the link in the mails."""
    now = await stack.now(booking)
    token = stack.parts.links.manage_token(now.id, now.link_version)
    return text_of((await stack.client.get(f"/manage/{token}")).text)


async def after_paying_page_of(stack: Stack, booking: Booking) -> str:
    """What the customer reads on the page that Stripe led back to."""
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    return text_of((await stack.client.get(f"/b/{token}")).text)


async def reasons(stack: Stack) -> list[str]:
    return [found.why for found in await stack.parts.health.money_without_booking()]


# -- refused ------------------------------------------------------------------------------------------------


async def test_a_refund_that_stripe_refuses_is_told_to_the_owner_at_once_and_only_once(stack: Stack) -> None:
    stack.stripe.switches.refund_mode = "refused"
    booking = await canceled(stack)
    await stack.tick(after=10 * MINUTE)
    messages = [message for message in stack.mailbox.messages if message.recipients == (OWNER,)]
    assert [message.header("Subject").partition(":")[0] for message in messages] == ["Needs your attention"]
    text = messages[0].text or ""
    assert "Stripe has not carried out a refund of SEK\N{NO-BREAK SPACE}1,200.00 to the customer." in text
    assert "The reason given was:" in text
    await stack.mail(OWNER)
    for _ in range(40):
        await stack.tick(after=3 * HOUR)
    assert await stack.mail(OWNER) == []
    assert [refund.status for refund in await stack.refunds(booking)] == ["requested"]


async def test_a_refund_that_stripe_refuses_is_logged_once_as_an_error_with_the_reason(stack: Stack) -> None:
    stack.stripe.switches.refund_mode = "refused"
    with capture_logs() as logs:
        booking = await canceled(stack)
        for _ in range(5):
            await stack.tick(after=HOUR)
    errors = [entry for entry in logs if entry["log_level"] == "error"]
    assert [(entry["event"], entry["booking"]) for entry in errors] == [("refund refused", booking.id)]
    assert errors[0]["reason"] == "refund: InvalidRequestError 400"


async def test_the_customer_reads_that_a_refused_refund_is_delayed(stack: Stack) -> None:
    stack.stripe.switches.refund_mode = "refused"
    booking = await canceled(stack)
    await stack.tick(after=10 * MINUTE)
    for page in (await page_of(stack, booking), await after_paying_page_of(stack, booking)):
        assert "delayed" in page
        assert "We are sending it" not in page
        assert "It usually arrives within 5–10 days" not in page


async def test_a_refused_refund_is_money_without_a_booking_until_it_goes_out(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        stack.stripe.switches.refund_mode = "refused"
        await canceled(stack)
        assert await figure(stack, "money_without_booking") == 0  # it waits for the minutes to undo
        assert await figure(stack, "refunds_age_seconds") == 0
        await stack.tick(after=10 * MINUTE)
        assert await reasons(stack) == ["not_refunded"]
        await stack.tick(after=3 * DAY)
        assert await figure(stack, "money_without_booking") == 1
        assert await figure(stack, "money_without_booking_amount", why="not_refunded", currency="sek") == 120_000
        assert await figure(stack, "refunds_age_seconds") >= 3 * DAY.total_seconds()
        stack.stripe.switches.refund_mode = "succeed"
        await stack.until_quiet()
        assert await figure(stack, "money_without_booking") == 0
        assert await figure(stack, "refunds_age_seconds") == 0


async def test_a_topped_up_balance_lets_the_refund_go_out_within_the_hour(stack: Stack) -> None:
    """Stripe repeats a refusal under its key for a day, so a refused refund is asked for under a new key."""
    stack.stripe.switches.refund_mode = "refused"
    booking = await canceled(stack)
    for _ in range(6):
        await stack.tick(after=HOUR)
    stack.stripe.switches.refund_mode = "succeed"
    await stack.tick(after=HOUR)
    assert [refund.status for refund in await stack.refunds(booking)] == ["succeeded"]
    assert stack.money_kept() == 0
    assert len(stack.stripe.state.refunds) == 1
    page = await page_of(stack, booking)
    assert "delayed" not in page
    assert "Sent to your card" in page


async def test_a_key_without_the_permission_to_refund_is_told_as_a_refusal(stack: Stack) -> None:
    booking = await canceled(stack)
    stack.stripe.faults.append(Fault("forbidden", path="/v1/refunds", times=10**6))
    await stack.tick(after=10 * MINUTE)
    assert len(await troubles(stack)) == 1
    assert await reasons(stack) == ["not_refunded"]
    stack.stripe.faults.clear()
    await stack.until_quiet()
    assert [refund.status for refund in await stack.refunds(booking)] == ["succeeded"]
    assert await reasons(stack) == []


async def test_a_second_payment_that_cannot_be_refunded_is_reported_too(stack: Stack) -> None:
    booking = await stack.hold(await stack.in_days(20))
    session = await stack.at_stripe(booking)
    await stack.tick(after=40 * MINUTE)
    stack.stripe.switches.refund_mode = "refused"
    await stack.take_everyone(booking.starts_at)
    await stack.pay_late(session)
    await stack.tick()
    assert len(await troubles(stack)) == 1
    await stack.tick(after=11 * MINUTE)
    assert await reasons(stack) == ["not_refunded"]


async def test_a_balance_that_makes_a_refund_wait_at_stripe_is_told_like_a_refusal(stack: Stack) -> None:
    stack.stripe.switches.refund_mode = "insufficient_funds"
    booking = await canceled(stack)
    await stack.tick(after=10 * MINUTE)
    assert [refund.status for refund in await stack.refunds(booking)] == ["pending"]
    assert len(await troubles(stack)) == 1
    assert "delayed" in await page_of(stack, booking)
    assert await reasons(stack) == ["not_refunded"]
    [refund] = await stack.refunds(booking)
    stack.stripe.settle_refund(refund.stripe_refund_id or "", "succeeded")
    await stack.until_quiet()
    assert await reasons(stack) == []


async def held_for_a_time_that_is_gone(stack: Stack) -> Booking:
    """A booking whose money is held on the card after its time was lost, and cannot be let go."""
    booking = await stack.hold(await stack.in_days(3))
    session = await stack.at_stripe(booking)
    await stack.tick(after=40 * MINUTE)
    await stack.take_everyone(booking.starts_at)
    stack.stripe.faults.append(Fault("forbidden", path="/cancel$", times=10**6))
    await stack.pay_late(session)
    return booking


async def test_held_money_that_cannot_be_let_go_is_told(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget='capture = "manual"') as stack:
        await held_for_a_time_that_is_gone(stack)
        await stack.tick()
        assert stack.money_held() == 120_000
        assert len(await troubles(stack)) == 1
        stack.stripe.faults.clear()
        await stack.until_quiet()
        assert stack.money_held() == 0


# -- unanswered ---------------------------------------------------------------------------------------------


async def test_a_refund_that_stays_unanswered_is_told_after_an_hour(stack: Stack) -> None:
    booking = await canceled(stack)
    stack.stripe.faults.append(Fault("drop_before", times=10**6))
    for _ in range(5):
        await stack.tick(after=11 * MINUTE)
    assert await troubles(stack) == []
    assert await reasons(stack) == []
    assert "delayed" not in await page_of(stack, booking)
    for _ in range(10):
        await stack.tick(after=20 * MINUTE)
    assert len(await troubles(stack)) == 1
    assert await reasons(stack) == ["not_refunded"]
    assert "delayed" in await page_of(stack, booking)
    stack.stripe.faults.clear()
    await stack.until_quiet()
    assert [refund.status for refund in await stack.refunds(booking)] == ["succeeded"]
    assert await reasons(stack) == []


async def test_a_refund_that_no_worker_has_asked_for_counts_after_an_hour(stack: Stack) -> None:
    await canceled(stack)
    stack.clock.advance(10 * MINUTE + HOUR)
    assert await reasons(stack) == ["not_refunded"]


async def test_a_refund_that_the_bank_keeps_pending_for_weeks_is_told(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        stack.stripe.switches.refund_mode, stack.stripe.switches.refund_settle_seconds = "pending", 10**8
        await canceled(stack)
        await stack.tick(after=10 * MINUTE)
        await stack.tick(after=13 * DAY)
        assert await troubles(stack) == []
        assert await figure(stack, "refunds_pending_age_seconds") >= 13 * DAY.total_seconds()
        await stack.tick(after=2 * DAY)
        assert len(await troubles(stack)) == 1


async def test_a_pending_refund_that_can_no_longer_be_read_is_told(stack: Stack) -> None:
    stack.stripe.switches.refund_mode, stack.stripe.switches.refund_settle_seconds = "pending", 10**8
    await canceled(stack)
    await stack.tick(after=10 * MINUTE)
    stack.stripe.faults.append(Fault("forbidden", method="GET", path="/v1/refunds/", times=10**6))
    for _ in range(3):
        await stack.tick(after=HOUR)
    assert len(await troubles(stack)) == 1
    assert await reasons(stack) == ["not_refunded"]


async def test_a_pending_refund_that_stays_unread_for_a_day_is_told(stack: Stack) -> None:
    stack.stripe.switches.refund_mode, stack.stripe.switches.refund_settle_seconds = "pending", 10**8
    await canceled(stack)
    await stack.tick(after=10 * MINUTE)
    stack.stripe.faults.append(Fault("drop_before", times=10**6))
    for _ in range(10):
        await stack.tick(after=2 * HOUR)
    assert await troubles(stack) == []
    for _ in range(5):
        await stack.tick(after=2 * HOUR)
    assert len(await troubles(stack)) == 1
    assert await reasons(stack) == ["not_refunded"]


async def test_a_key_that_may_not_read_disputes_is_told_when_a_refund_waits_for_one(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(20))
    stack.stripe.open_dispute(await stack.intent_of(booking))
    await stack.until_quiet()
    await stack.mail(OWNER)
    stack.stripe.faults.append(Fault("forbidden", path="/v1/disputes", times=10**6))
    await stack.cancel(booking)
    await stack.until_quiet()
    assert len(await troubles(stack)) == 1


# -- another account's key ------------------------------------------------------------------------------------


async def test_a_payment_that_stripe_does_not_know_ends_its_refund_as_failed(stack: Stack) -> None:
    booking = await canceled(stack)
    stack.stripe.state.payment_intents.clear()
    await stack.tick(after=10 * MINUTE)
    [refund] = await stack.refunds(booking)
    assert (refund.status, refund.next_try_at) == ("failed", None)
    [told] = [message for message in stack.mailbox.messages if message.recipients == (OWNER,)]
    assert told.header("Subject").startswith("Refund failed")
    assert "does not know this payment" in (told.text or "")
    assert "in your Stripe balance" not in (told.text or "")
    assert [subject.partition(":")[0] for subject in await stack.mail(ANNA)] == ["Refund failed"]
    assert "Please contact us" in await page_of(stack, booking)
    await stack.tick(after=11 * MINUTE)
    assert await reasons(stack) == ["canceled"]
    asked = len(stack.stripe.calls)
    await stack.tick(after=3 * HOUR)
    assert not [call for call in stack.stripe.calls[asked:] if call.method == "POST"]


@pytest.mark.parametrize("calendar", ["cancelled by the owner", "answers again"])
async def test_held_money_that_stripe_does_not_know_lapses_and_nobody_is_asked_to_pay_it_back(
    tmp_path: Path, calendar: str
) -> None:
    async with open_stack(tmp_path, widget='capture = "manual"') as stack:
        booking = await stack.hold(await stack.in_days(10))
        stack.hapio.faults.append(HapioFault("error_before", times=None))
        await stack.paid(booking)
        assert await stack.status(booking) is Status.PAID
        for known in (stack.stripe.state.sessions, stack.stripe.state.payment_intents, stack.stripe.state.events):
            known.clear()
        if calendar == "cancelled by the owner":
            await stack.cancel(booking, by=Actor.OWNER)
        else:
            stack.hapio.faults.clear()
        await stack.tick(after=10 * MINUTE, times=2)
        assert await stack.status(booking) is Status.CANCELED
        [refund] = await stack.refunds(booking)
        assert (refund.status, refund.next_try_at) == ("succeeded", None)
        [told] = [mail for mail in stack.mailbox.messages if mail.recipients == (ANNA,)]
        assert "You have not been charged. Your bank will release the amount" in (told.text or "")
        for reader in (ANNA, OWNER):
            assert [subject.partition(":")[0] for subject in await stack.mail(reader)] == [
                "Cancelled" if calendar == "cancelled by the owner" else "Refunded"
            ]
        stack.hapio.faults.clear()
        await stack.tick(after=DAY, times=3)
        assert stack.hapio_bookings() == []
        assert [one.status for one in await stack.refunds(booking)] == ["succeeded"]
        assert "You have not been charged." in await page_of(stack, booking)
        assert await money_alarms(stack) == []
        assert "You have not been charged." in await page_of(stack, booking)


# -- made good otherwise ---------------------------------------------------------------------------------------


async def failed(stack: Stack, *, by: Actor = Actor.CUSTOMER) -> Booking:
    """A cancelled booking whose refund the bank has sent back; everyone has been told."""
    stack.stripe.switches.refund_mode = "fail_later"
    booking = await canceled(stack, by=by)
    await stack.tick(after=10 * MINUTE)
    await stack.until_quiet()
    stack.stripe.switches.refund_mode = "succeed"
    assert [refund.status for refund in await stack.refunds(booking)] == ["failed"]
    await stack.mail(ANNA)
    await stack.mail(OWNER)
    return booking


async def test_a_failed_refund_that_was_refunded_again_is_no_alarm_and_one_line(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        booking = await failed(stack)
        assert await figure(stack, "refunds", state="failed") == 1
        assert await reasons(stack) == ["canceled"]
        await stack.parts.owner_refunds.give_back(booking.id, None)
        await stack.tick(after=7 * DAY)
        assert await figure(stack, "refunds", state="failed") == 0
        assert await figure(stack, "refunds", state="failed_covered") == 1
        assert await reasons(stack) == []
        page = await page_of(stack, booking)
        assert "We could not" not in page
        assert page.count("Sent to your card") == 1
        assert "We could not" not in await after_paying_page_of(stack, booking)


async def test_half_of_the_price_that_failed_and_was_given_again_is_no_alarm_although_half_is_kept(
    stack: Stack,
) -> None:
    stack.stripe.switches.refund_mode = "fail_later"
    booking = await stack.confirmed(await stack.in_days(5))
    stack.clock.set(booking.starts_at - 23 * HOUR)
    await stack.cancel(booking)
    await stack.tick(after=10 * MINUTE)
    await stack.until_quiet()
    [found] = await stack.parts.health.money_without_booking()
    assert (found.amount, found.why) == (60_000, "canceled")
    stack.stripe.switches.refund_mode = "succeed"
    await stack.parts.owner_refunds.give_back(booking.id, Money(60_000, "sek"))
    await stack.tick(after=DAY)
    assert await reasons(stack) == []
    assert stack.money_kept() == 60_000


async def test_a_failed_refund_that_was_refunded_in_part_is_told_with_the_rest(stack: Stack) -> None:
    booking = await failed(stack)
    await stack.parts.owner_refunds.give_back(booking.id, Money(50_000, "sek"))
    await stack.tick(after=DAY)
    [found] = await stack.parts.health.money_without_booking()
    assert (found.amount, found.why) == (70_000, "canceled")


async def test_a_failed_refund_is_settled_as_paid_another_way(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        booking = await failed(stack)
        [refund] = await stack.refunds(booking)
        closed = await stack.parts.owner_refunds.paid_another_way(booking.id, refund.id)
        assert (closed.status, closed.amount) == ("paid_another_way", Money(120_000, "sek"))
        assert await stack.parts.owner_refunds.paid_another_way(booking.id, refund.id) == closed
        assert await figure(stack, "refunds", state="paid_another_way") == 1
        await stack.tick(after=7 * DAY)
        assert await figure(stack, "refunds", state="failed") == 0
        assert await reasons(stack) == []
        assert (await stack.parts.bookings.view(booking.id)).left == 0
        assert (await stack.history(booking)).count("paid_another_way") == 1
        page = await page_of(stack, booking)
        assert page.count("another way") == 1
        assert "Please contact us so that" not in page
        assert await stack.parts.owner_refunds.give_back(booking.id, None) == []


async def test_programs_read_a_refund_that_was_paid_another_way_as_completed(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"api_keys": ("k" * 40,)}) as stack:
        booking = await failed(stack)
        [refund] = await stack.refunds(booking)
        await stack.parts.owner_refunds.paid_another_way(booking.id, refund.id)
        answer = await stack.client.get(f"/api/bookings/{booking.id}", headers={"Authorization": f"Bearer {'k' * 40}"})
        body = answer.json()
        assert (body["refund"], body["paymentStatus"]) == ({"status": "COMPLETED", "amount": 120_000}, "REFUNDED")


async def test_what_stripe_repeats_of_a_refund_that_was_paid_another_way_changes_nothing(stack: Stack) -> None:
    booking = await failed(stack)
    [refund] = await stack.refunds(booking)
    await stack.parts.owner_refunds.paid_another_way(booking.id, refund.id)
    for _ in range(4):  # the sweep reads recent refunds again
        await stack.tick(after=HOUR)
    assert [refund.status for refund in await stack.refunds(booking)] == ["paid_another_way"]
    assert await stack.mail(OWNER) == await stack.mail(ANNA) == []


async def test_a_refused_refund_that_was_paid_another_way_is_not_tried_again(stack: Stack) -> None:
    stack.stripe.switches.refund_mode = "refused"
    booking = await canceled(stack)
    await stack.tick(after=10 * MINUTE)
    [refund] = await stack.refunds(booking)
    await stack.parts.owner_refunds.paid_another_way(booking.id, refund.id)
    stack.stripe.switches.refund_mode = "succeed"
    for _ in range(5):
        await stack.tick(after=HOUR)
    assert stack.stripe.state.refunds == {}
    assert await reasons(stack) == []
    assert "another way" in await page_of(stack, booking)


async def test_a_refund_that_went_out_after_all_is_not_noted_as_paid_another_way(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await canceled(stack)
        stack.stripe.faults.append(Fault("drop_after", method="POST", path="/v1/refunds", times=5))
        stack.stripe.faults.append(Fault("drop_before", times=10**6))
        for _ in range(8):
            await stack.tick(after=20 * MINUTE)
        [refund] = await stack.refunds(booking)
        assert refund.status == "requested"
        with pytest.raises(StripeError):  # nobody can say whether it went out
            await stack.parts.owner_refunds.paid_another_way(booking.id, refund.id)
        stack.stripe.faults.clear()
        stack.clock.advance(2 * MINUTE)
        with pytest.raises(BookingConflict):
            await stack.parts.owner_refunds.paid_another_way(booking.id, refund.id)
        assert [refund.status for refund in await stack.refunds(booking)] == ["succeeded"]


async def test_only_a_refund_that_failed_or_was_refused_can_be_paid_another_way(stack: Stack) -> None:
    booking = await canceled(stack)
    [refund] = await stack.refunds(booking)
    for _ in range(2):  # before it is due, and when it is sent
        with pytest.raises(BookingConflict):
            await stack.parts.owner_refunds.paid_another_way(booking.id, refund.id)
        await stack.tick(after=10 * MINUTE)
    with pytest.raises(NotFound):
        await stack.parts.owner_refunds.paid_another_way(booking.id, "rf_of_nobody")


async def test_held_money_whose_refund_was_settled_by_hand_is_no_alarm(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget='capture = "manual"') as stack:
        booking = await held_for_a_time_that_is_gone(stack)
        await stack.tick(after=20 * MINUTE)
        assert await reasons(stack) == ["canceled"]
        [refund] = await stack.refunds(booking)
        await stack.parts.owner_refunds.paid_another_way(booking.id, refund.id)
        await stack.tick(after=HOUR)
        assert await reasons(stack) == []
        [payment] = (await stack.parts.bookings.view(booking.id)).payments
        assert payment.state is PaymentState.VOIDED


# -- disputes -------------------------------------------------------------------------------------------------


async def test_the_owner_is_told_until_when_a_dispute_must_be_answered(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(20))
    await stack.mail(OWNER)
    stack.stripe.open_dispute(await stack.intent_of(booking))
    await stack.stripe.deliver_due()
    await stack.tick(times=2)
    [told] = [message for message in stack.mailbox.messages if message.recipients == (OWNER,)]
    assert "Please answer in the Stripe dashboard by Mon 7 Dec, 09:00." in (told.text or "")


async def test_a_banks_question_that_becomes_a_dispute_is_told_again(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(20))
    asked = stack.stripe.open_dispute(await stack.intent_of(booking), inquiry=True)
    await stack.until_quiet()
    await stack.mail(OWNER)
    asked["status"] = "needs_response"
    for _ in range(3):  # the sweep reads recent disputes
        await stack.tick(after=10 * MINUTE)
    [told] = [message for message in stack.mailbox.messages if message.recipients == (OWNER,)]
    assert "has taken back a payment" in (told.text or "")


async def test_a_customer_who_cancels_a_disputed_booking_reads_that_the_refund_waits_for_the_bank(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(20))
    stack.stripe.open_dispute(await stack.intent_of(booking))
    await stack.until_quiet()
    await stack.mail(ANNA)
    token = stack.parts.links.manage_token(booking.id, booking.link_version)
    before = text_of((await stack.client.get(f"/manage/{token}/cancel")).text)
    assert "once your bank has decided" in before
    assert "We will send it at" not in before
    await stack.cancel(booking)
    await stack.tick()
    [told] = [message for message in stack.mailbox.messages if message.recipients == (ANNA,)]
    for said in (told.text or "", await page_of(stack, booking)):
        assert "once your bank has decided" in said
        assert "We will send the refund at" not in said
        assert "We will send it at" not in said
    await stack.until_quiet()
    assert "We will send it at" not in await page_of(stack, booking)


async def test_a_move_to_a_lower_price_while_the_payment_is_disputed_promises_no_refund_before_the_bank_decides(
    open_minded: Stack,
) -> None:
    stack = open_minded
    booking = await stack.confirmed(await stack.in_days(10))
    stack.stripe.open_dispute(await stack.intent_of(booking))
    await stack.until_quiet()
    await stack.mail(ANNA)
    await stack.mail(OWNER)
    await stack.move(booking, await stack.in_days(12, "headshot"), service="headshot")
    await stack.tick(times=2)
    [told] = [plain(one.text or "") for one in stack.mailbox.messages if one.recipients == (ANNA,)]
    promised = "The payment is disputed. We will refund SEK 550.00 once your bank has decided."
    assert f"The new price is lower. {promised}" in told
    assert "5–10 days" not in told
    [owner] = [plain(one.text or "") for one in stack.mailbox.messages if one.recipients == (OWNER,)]
    assert "We will refund SEK 550.00 to the customer once the bank has decided the dispute." in owner


async def test_a_refund_that_fails_after_the_bank_has_returned_the_payment_asks_nobody_to_pay_again(
    stack: Stack,
) -> None:
    booking = await stack.confirmed(await stack.in_days(20))
    [refund] = await stack.parts.owner_refunds.give_back(booking.id, Money(30000, "sek"))
    dispute = stack.stripe.open_dispute(await stack.intent_of(booking))
    stack.stripe.close_dispute(dispute["id"], "lost")
    await stack.stripe.deliver_due()
    [made] = await stack.refunds(booking)
    assert (made.id, made.status) == (refund.id, "succeeded")
    stack.stripe.settle_refund(made.stripe_refund_id or "", "failed")
    await stack.until_quiet()
    assert [one.status for one in await stack.refunds(booking)] == ["failed"]
    assert [subject for subject in await stack.mail(ANNA) if subject.startswith("Refund failed")] == []
    assert await reasons(stack) == []


async def test_a_dispute_learnt_from_a_refused_refund_is_told_to_the_owner(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await canceled(stack)
        await stack.tick()
        stack.clock.advance(9 * MINUTE)
        await stack.tick()  # the sweep has looked
        stack.stripe.open_dispute(await stack.intent_of(booking))
        await stack.tick(after=MINUTE)
        assert [payment.dispute for payment in (await stack.parts.bookings.view(booking.id)).payments] == [
            "needs_response"
        ]
        assert [subject.partition(":")[0] for subject in await stack.mail(OWNER)] == ["Payment disputed"]
        assert await reasons(stack) == []


async def test_a_refund_that_waits_for_a_bank_has_no_age(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        booking = await stack.confirmed(await stack.in_days(20))
        stack.stripe.open_dispute(await stack.intent_of(booking))
        await stack.until_quiet()
        await stack.cancel(booking)
        for _ in range(30):
            await stack.tick(after=12 * HOUR)
        assert await figure(stack, "refunds_age_seconds") == 0
        assert await reasons(stack) == []
        assert await troubles(stack) == []


# -- mails about money back -----------------------------------------------------------------------------------


async def test_the_mail_about_a_second_payment_says_what_really_goes_back(tmp_path: Path) -> None:
    """A part of it was given back in Stripe's dashboard meanwhile, and nobody had told us."""
    async with open_stack(tmp_path, webhooks=False) as stack:
        booking = await stack.confirmed(await stack.in_days(20))
        await stack.mail(ANNA)
        await stack.tick()
        stack.stripe.refund_in_dashboard(await stack.intent_of(booking), amount=100_000)
        await stack.parts.owner_refunds.give_back(booking.id, Money(120_000, "sek"))
        await stack.tick()
        [told] = [message for message in stack.mailbox.messages if message.recipients == (ANNA,)]
        assert "We will refund SEK\N{NO-BREAK SPACE}200.00 to your original payment method." in (told.text or "")
        assert stack.money_kept() == 0


async def test_no_mail_promises_a_refund_that_has_failed_already(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(20))
    await stack.mail(ANNA)
    stack.mailbox.refuse = "temporary"
    stack.stripe.switches.refund_mode = "fail_later"
    await stack.parts.owner_refunds.give_back(booking.id, Money(20_000, "sek"))
    await stack.until_quiet()
    stack.mailbox.refuse = "none"
    await stack.until_quiet()
    assert [subject.partition(":")[0] for subject in await stack.mail(ANNA)] == ["Refund failed"]
    assert await stack.status(booking) is Status.CONFIRMED


@pytest.mark.both_databases
@pytest.mark.parametrize("by", [Actor.CUSTOMER, Actor.OWNER])
async def test_held_money_that_is_not_let_go_after_a_cancellation_is_an_alarm(tmp_path: Path, by: Actor) -> None:
    """The calendar had not answered yet, so that the money was only held; now Stripe does not answer."""
    async with open_stack(tmp_path, widget='capture = "manual"') as stack:
        stack.hapio.faults.append(HapioFault("error_before", method="PATCH", times=None))
        booking = await stack.hold(await stack.in_days(6))
        await stack.paid(booking)
        await stack.tick()
        assert await stack.status(booking) is Status.PAID
        stack.stripe.faults.append(Fault("error_before", times=None))
        await stack.cancel(booking, by=by)
        await stack.tick(after=timedelta(hours=3), times=2)
        assert len(await money_alarms(stack)) == 1
        stack.stripe.faults.clear()
        await stack.tick(after=timedelta(hours=3), times=2)
        assert await money_alarms(stack) == []
