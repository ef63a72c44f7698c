"""The database is put back as it was before: nothing that Stripe or Hapio has known since is destroyed or lost."""

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.domain.booking import Actor, Booking, Customer, Status
from app.domain.money import Money
from app.domain.payment import PaymentState
from app.errors import StripeError
from sandbox.hapio import Fault as HapioFault
from sandbox.stripe import Fault
from tests.support.backups import OWNER, copied, final_in_hapio, lost_booking, money_alarms, put_back
from tests.support.stack import PUBLIC_URL, Crash, Stack, open_stack

PRICE = 120_000
ANNA = "anna@customer.example"


# A booking that the copy knows as a hold was paid and confirmed since


async def paid_after_the_copy(stack: Stack, folder: Path) -> Booking:
    """A booking that the restored copy knows as a hold."""
    booking = await stack.hold()
    copy = copied(stack, folder)
    await stack.paid(booking)
    await stack.tick()
    await put_back(stack, copy)
    return booking


async def at_stripe_after_the_copy(stack: Stack, folder: Path) -> tuple[Booking, str]:
    """A booking whose payment page the restored copy does not know; the Session's id."""
    booking = await stack.hold()
    copy = copied(stack, folder)
    session = await stack.at_stripe(booking)
    await put_back(stack, copy)
    return booking, session


async def test_a_booking_paid_after_the_copy_is_confirmed_again(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.hold()
    copy = copied(stack, tmp_path)
    session = await stack.paid(booking)
    await stack.tick()
    there = final_in_hapio(stack)
    await put_back(stack, copy)
    assert await stack.status(booking) is Status.HELD
    await stack.until_quiet()
    after = await stack.now(booking)
    assert (after.status, after.reservation.reference) == (Status.CONFIRMED, booking.reservation.reference)
    assert final_in_hapio(stack) == there
    [payment] = (await stack.parts.bookings.view(booking.id)).payments
    assert (payment.session_id, payment.state, payment.captured) == (session, PaymentState.CAPTURED, PRICE)
    assert (payment.attempt, payment.price) == (1, Money(PRICE, "sek"))
    assert stack.money_kept() == PRICE
    assert await money_alarms(stack) == []
    assert await stack.parts.health.bookings_without_money() == []


async def test_a_booking_paid_after_the_copy_is_not_told_that_it_was_not_booked(stack: Stack, tmp_path: Path) -> None:
    await paid_after_the_copy(stack, tmp_path)
    await stack.until_quiet()
    assert [subject for subject in await stack.mail(ANNA) if "ot booked" in subject] == []


async def test_nothing_is_released_before_stripe_was_asked_what_the_copy_does_not_know(
    stack: Stack, tmp_path: Path
) -> None:
    booking = await paid_after_the_copy(stack, tmp_path)
    stack.stripe.faults.append(Fault("error_before", path="/v1/checkout/sessions", method="GET", times=500))
    for _ in range(12):
        await stack.tick(after=timedelta(minutes=5))
    assert final_in_hapio(stack) == [booking.reservation.reference]
    stack.stripe.faults.clear()
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED


async def test_after_a_restore_a_customer_who_has_paid_gets_no_second_payment_page(
    stack: Stack, tmp_path: Path
) -> None:
    booking = await paid_after_the_copy(stack, tmp_path)
    assert await stack.parts.checkout.start(booking.id) is None
    await stack.tick()
    assert await stack.status(booking) is Status.CONFIRMED
    assert len(stack.stripe.state.sessions) == 1
    assert stack.money_kept() == PRICE


async def test_giving_up_a_restored_hold_that_is_paid_does_not_lose_the_booking(stack: Stack, tmp_path: Path) -> None:
    booking = await paid_after_the_copy(stack, tmp_path)
    await stack.parts.hold.give_up(booking.id)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED
    assert final_in_hapio(stack) == [booking.reservation.reference]


async def test_the_return_page_of_a_payment_that_the_copy_does_not_know_confirms_it(
    stack: Stack, tmp_path: Path
) -> None:
    booking = await stack.hold()
    copy = copied(stack, tmp_path)
    await stack.paid(booking)
    await put_back(stack, copy)
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    await stack.client.get(f"/b/{token}/return")
    assert await stack.status(booking) is Status.CONFIRMED


async def test_a_payment_page_opened_after_the_copy_is_the_one_that_pay_leads_to(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.hold()
    copy = copied(stack, tmp_path)
    url = await stack.parts.checkout.start(booking.id)
    await put_back(stack, copy)
    assert await stack.parts.checkout.start(booking.id) == url
    assert len(stack.stripe.state.sessions) == 1


async def test_a_payment_page_opened_after_the_copy_is_closed_before_the_time_is_released(
    stack: Stack, tmp_path: Path
) -> None:
    booking, session = await at_stripe_after_the_copy(stack, tmp_path)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.EXPIRED
    assert stack.stripe.state.sessions[session]["status"] == "expired"
    assert stack.hapio_bookings() == []


async def test_a_page_that_the_copy_knows_only_as_an_attempt_is_closed_before_the_time_is_released(
    tmp_path: Path,
) -> None:
    async with open_stack(tmp_path, widget="payment_minutes = 10") as stack:
        booking = await stack.hold()
        stack.stripe.faults.append(Fault("drop_after", method="POST", path="/v1/checkout/sessions", times=5))
        with pytest.raises(StripeError):
            await stack.parts.checkout.start(booking.id)
        copy = copied(stack, tmp_path)
        session = await stack.at_stripe(booking)
        await put_back(stack, copy)
        await stack.tick(after=timedelta(minutes=12))
        assert await stack.status(booking) is Status.EXPIRED
        assert stack.stripe.state.sessions[session]["status"] == "expired"


async def test_one_payment_that_cannot_be_taken_in_yet_does_not_keep_the_others_waiting(
    stack: Stack, tmp_path: Path
) -> None:
    first, second = await stack.hold(), await stack.hold(await stack.free_slot(nth=9))
    copy = copied(stack, tmp_path)
    await stack.paid(first)
    stack.clock.advance(timedelta(minutes=1))
    await stack.paid(second)
    stack.stripe.state.events.clear()
    await put_back(stack, copy)
    stack.hapio.faults.append(HapioFault("error_before", path=first.reservation.reference, times=1000))
    await stack.tick()
    assert await stack.status(first) is Status.HELD
    assert await stack.status(second) in {Status.PAID, Status.CONFIRMED}
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert (await stack.status(first), await stack.status(second)) == (Status.CONFIRMED, Status.CONFIRMED)


async def test_a_page_opened_before_the_restore_and_paid_after_it_is_taken_in_by_its_webhook(
    stack: Stack, tmp_path: Path
) -> None:
    booking, session = await at_stripe_after_the_copy(stack, tmp_path)
    await stack.stripe.pay(session)
    assert await stack.status(booking) is Status.CONFIRMED
    assert stack.money_kept() == PRICE


async def test_a_restored_hold_can_be_paid_although_its_attempt_has_the_number_of_a_lost_one(
    stack: Stack, tmp_path: Path
) -> None:
    booking = await stack.hold()
    copy = copied(stack, tmp_path)
    lost = await stack.at_stripe(booking)
    stack.stripe.state.sessions.pop(lost)  # as for a Session that Stripe refused to list
    await put_back(stack, copy)
    session = await stack.paid(booking)
    await stack.tick()
    assert session != lost
    assert await stack.status(booking) is Status.CONFIRMED


async def test_a_free_booking_confirmed_after_the_copy_stands(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.hold(service="planning")
    copy = copied(stack, tmp_path)
    assert await stack.parts.checkout.start(booking.id) is None
    there = final_in_hapio(stack)
    await put_back(stack, copy)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED
    assert final_in_hapio(stack) == there


async def test_a_hold_that_was_made_final_in_hapio_without_any_money_is_left_there(
    stack: Stack, tmp_path: Path
) -> None:
    booking = await stack.hold()
    copy = copied(stack, tmp_path)
    async with stack.hapio_api() as api:
        (await api.patch(f"/bookings/{booking.reservation.reference}", json={"is_temporary": False})).raise_for_status()
    await put_back(stack, copy)
    await stack.until_quiet()
    assert final_in_hapio(stack) == [booking.reservation.reference]


async def test_an_abandoned_hold_is_released_after_a_restore_too(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.hold()
    await put_back(stack, copied(stack, tmp_path))
    await stack.until_quiet()
    assert await stack.status(booking) is Status.EXPIRED
    assert stack.hapio_bookings() == []


async def test_who_booked_is_read_from_hapio_where_the_copy_does_not_know(stack: Stack, tmp_path: Path) -> None:
    anna = Customer("Anna Ek", ANNA, phone="+46701234567", notes="Two people")
    booking = await stack.parts.hold.take(
        stack.parts.widgets["studio"],
        service_id=stack.portrait_id,
        starts_at=await stack.free_slot(),
        resource_id=None,
        visitor=stack.visitor(),
    )
    copy = copied(stack, tmp_path)
    form = {"name": anna.name, "email": anna.email, "phone": "070-123 45 67", "notes": anna.notes}
    await stack.parts.checkout.add_details(booking.id, form)
    await stack.paid(booking)
    await stack.tick()
    await put_back(stack, copy)
    await stack.until_quiet()
    after = await stack.now(booking)
    assert after.status is Status.CONFIRMED
    assert after.customer
    assert (after.customer.name, after.customer.email, after.customer.phone) == (anna.name, anna.email, anna.phone)
    [there] = stack.hapio_bookings()
    assert there.metadata["customer_email"] == ANNA


async def test_money_that_went_back_since_the_copy_confirms_nothing(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.hold(await stack.in_days(5))
    copy = copied(stack, tmp_path)
    await stack.paid(booking)
    await stack.tick()
    await stack.cancel(booking, by=Actor.OWNER)
    await stack.tick()
    assert stack.money_kept() == 0
    await put_back(stack, copy)
    await stack.until_quiet()
    assert await stack.status(booking) in {Status.EXPIRED, Status.CANCELED}
    assert stack.money_kept() == 0
    assert stack.hapio_bookings() == []


async def test_a_booking_canceled_at_half_price_since_the_copy_is_not_made_again(stack: Stack, tmp_path: Path) -> None:
    starts_at = await stack.in_days(2)
    stack.clock.set(starts_at - timedelta(hours=6))
    booking = await stack.hold(starts_at)
    copy = copied(stack, tmp_path)
    await stack.paid(booking)
    await stack.tick()
    await stack.cancel(booking)
    await stack.until_quiet()
    assert stack.money_kept() == PRICE // 2
    await put_back(stack, copy)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CANCELED
    assert stack.hapio_bookings() == []
    assert stack.money_kept() == PRICE // 2
    assert await money_alarms(stack) == []


async def test_a_payment_on_hold_since_the_copy_is_captured_with_the_booking(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget='capture = "manual"') as stack:
        booking = await stack.hold()
        copy = copied(stack, tmp_path)
        session = await stack.at_stripe(booking)
        await stack.stop()
        await stack.stripe.pay(session)
        await stack.start()
        await put_back(stack, copy)
        await stack.until_quiet()
        assert await stack.status(booking) is Status.CONFIRMED
        assert (stack.money_kept(), stack.money_held()) == (PRICE, 0)


async def test_a_copy_of_last_week_takes_in_what_was_paid_since(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.hold(await stack.in_days(20))
    await stack.tick()
    copy = copied(stack, tmp_path)
    await stack.paid(booking)
    await stack.tick()
    stack.clock.advance(timedelta(days=7))
    await put_back(stack, copy)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED
    assert final_in_hapio(stack) == [booking.reservation.reference]


async def test_a_second_payment_that_the_copy_does_not_know_goes_back(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.hold()
    copy = copied(stack, tmp_path)
    first = await stack.at_stripe(booking)
    await stack.stop()
    await stack.stripe.pay(first)
    await stack.start()
    await put_back(stack, copy)
    stack.stripe.faults.append(Fault("error_before", path="/v1/checkout/sessions", method="GET", times=500))
    await stack.tick(after=timedelta(minutes=5))
    stack.stripe.faults.clear()
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED
    assert stack.money_kept() == PRICE


async def test_a_move_to_a_dearer_time_after_the_copy_does_not_cost_the_booking(stack: Stack, tmp_path: Path) -> None:
    booking = await stack.confirmed(service="headshot")
    copy = copied(stack, tmp_path)
    moving = await stack.move(booking, await stack.in_days(6), service="portrait", by=Actor.OWNER)
    await stack.pay_difference(moving)
    await stack.until_quiet()
    moved = await stack.now(booking)
    assert moved.service_id == stack.portrait_id
    await put_back(stack, copy)
    await stack.tick()
    await stack.tick(after=timedelta(days=1, minutes=1))
    await stack.until_quiet()
    after = await stack.now(booking)
    assert (after.status, after.starts_at) == (Status.CONFIRMED, moved.starts_at)
    assert final_in_hapio(stack) == [moved.reservation.reference]


# A booking that the copy does not know


async def test_money_of_a_booking_that_the_copy_does_not_know_is_told_to_the_owner_once(
    stack: Stack, tmp_path: Path
) -> None:
    booking, session = await lost_booking(stack, tmp_path)
    await stack.until_quiet()
    told = [message for message in stack.mailbox.messages if OWNER in message.recipients]
    assert len(told) == 1
    text = told[0].text or ""
    assert "SEK\N{NO-BREAK SPACE}1,200.00" in text
    assert session in text
    assert booking.id in text
    await stack.restart()
    await stack.until_quiet()
    assert [message for message in stack.mailbox.messages if OWNER in message.recipients] == told


async def test_money_of_an_unknown_booking_is_an_alarm(stack: Stack, tmp_path: Path) -> None:
    await lost_booking(stack, tmp_path)
    await stack.tick()
    assert await money_alarms(stack) == [("unknown_booking", PRICE)]
    assert stack.money_kept() == PRICE
    assert len(final_in_hapio(stack)) == 1


async def test_the_alarm_ends_when_the_owner_refunds_it_in_stripes_dashboard(stack: Stack, tmp_path: Path) -> None:
    _booking, session = await lost_booking(stack, tmp_path)
    await stack.tick()
    stack.stripe.refund_in_dashboard(stack.stripe.state.sessions[session]["payment_intent"])
    await stack.until_quiet()
    assert await money_alarms(stack) == []


async def test_a_part_refunded_in_stripes_dashboard_leaves_the_rest_on_the_alarm(stack: Stack, tmp_path: Path) -> None:
    _booking, session = await lost_booking(stack, tmp_path)
    await stack.tick()
    stack.stripe.refund_in_dashboard(stack.stripe.state.sessions[session]["payment_intent"], amount=20_000)
    await stack.until_quiet()
    assert await money_alarms(stack) == [("unknown_booking", PRICE - 20_000)]


async def test_money_that_had_gone_back_before_it_was_found_is_no_alarm(stack: Stack, tmp_path: Path) -> None:
    await stack.tick()
    copy = copied(stack, tmp_path)
    session = await stack.paid(await stack.hold())
    stack.stripe.refund_in_dashboard(stack.stripe.state.sessions[session]["payment_intent"])
    await put_back(stack, copy)
    await stack.until_quiet()
    assert await money_alarms(stack) == []
    assert await stack.mail(OWNER) == []


async def test_the_webhook_of_an_unknown_booking_is_enough(stack: Stack, tmp_path: Path) -> None:
    await stack.tick()
    copy = copied(stack, tmp_path)
    session = await stack.at_stripe(await stack.hold())
    await put_back(stack, copy)
    await stack.stripe.pay(session)
    assert await money_alarms(stack) == [("unknown_booking", PRICE)]


async def test_money_on_a_page_that_is_hours_old_is_found_without_webhooks(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="payment_minutes = 1380") as stack:
        await stack.tick()
        copy = copied(stack, tmp_path)
        session = await stack.at_stripe(await stack.hold(await stack.in_days(5)))
        await put_back(stack, copy)
        stack.stripe.switches.deliver = "off"
        for _ in range(12):
            await stack.tick(after=timedelta(minutes=11))
        await stack.stripe.pay(session)
        await stack.tick(after=timedelta(minutes=11), times=2)
        assert await money_alarms(stack) == [("unknown_booking", PRICE)]


async def test_payments_of_other_software_on_the_account_are_nobodys_alarm(stack: Stack) -> None:
    for metadata in ({}, {"booking_id": "17"}, {"booking_id": "bk_17"}, {"booking_id": "bk_17", "payment_id": "p"}):
        await other_payment(stack, metadata, success_url="https://shop.example/thanks")
        await other_payment(stack, metadata, success_url=f"{PUBLIC_URL}/thanks")
    await stack.until_quiet()
    assert await money_alarms(stack) == []
    assert await stack.mail(OWNER) == []


async def test_another_holdfast_on_the_same_stripe_account_is_not_alarmed_about_here(stack: Stack) -> None:
    ours = {"booking_id": "bk_0123456789abcdef0123", "payment_id": "pay_0123456789abcdef0123", "attempt": "1"}
    await other_payment(stack, ours, success_url="https://staging.example/b/token/return")
    await stack.until_quiet()
    assert await money_alarms(stack) == []
    assert await stack.mail(OWNER) == []


@pytest.mark.parametrize("where", [PUBLIC_URL, "https://studio.example"])
async def test_a_payment_that_leads_back_to_our_pages_or_the_owners_site_is_ours(stack: Stack, where: str) -> None:
    ours = {"booking_id": "bk_0123456789abcdef0123", "payment_id": "pay_0123456789abcdef0123", "attempt": "1"}
    await other_payment(stack, ours, success_url=f"{where}/done")
    await stack.until_quiet()
    assert await money_alarms(stack) == [("unknown_booking", 5000)]
    assert len([message for message in stack.mailbox.messages if OWNER in message.recipients]) == 1


async def other_payment(stack: Stack, metadata: dict[str, str], *, success_url: str) -> str:
    """A Session that something else has made on our Stripe account, and that was paid."""
    form = {
        "mode": "payment",
        "success_url": success_url,
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": "sek",
        "line_items[0][price_data][unit_amount]": "5000",
        "line_items[0][price_data][product_data][name]": "Something",
        **{f"metadata[{name}]": value for name, value in metadata.items()},
    }
    headers = {"Authorization": "Bearer sk_test_sandbox"}
    async with httpx.AsyncClient(transport=stack.stripe.transport(), base_url="http://stripe.sandbox") as api:
        answer = await api.post("/v1/checkout/sessions", data=form, headers=headers)
    session: str = answer.raise_for_status().json()["id"]
    await stack.stripe.pay(session)
    return session


async def test_the_alarm_is_on_even_without_a_mail_server(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"smtp_url": None}) as stack:
        await lost_booking(stack, tmp_path)
        await stack.until_quiet()
        assert await money_alarms(stack) == [("unknown_booking", PRICE)]


async def test_while_the_mail_server_is_down_the_owners_mail_waits(stack: Stack, tmp_path: Path) -> None:
    await stack.tick()
    copy = copied(stack, tmp_path)
    await stack.paid(await stack.hold())
    await put_back(stack, copy)
    stack.mailbox.refuse = "temporary"
    await stack.until_quiet()
    stack.mailbox.refuse = "none"
    await stack.until_quiet()
    assert len([message for message in stack.mailbox.messages if OWNER in message.recipients]) == 1


async def test_an_owner_who_cannot_be_reached_keeps_no_other_owner_waiting(tmp_path: Path) -> None:
    second = '[second]\ntitle = "Second"\nowner_email = "second@studio.example"\nscheduler = "hapio"'
    async with open_stack(tmp_path, widget=second) as stack:
        stack.mailbox.unknown.add(OWNER)
        await lost_booking(stack, tmp_path)
        for _ in range(12):
            await stack.tick(after=timedelta(hours=2))
        to = [message.recipients for message in stack.mailbox.messages]
        assert to == [("second@studio.example",)]


async def test_a_mail_server_that_never_says_so_brings_the_owner_three_copies(stack: Stack, tmp_path: Path) -> None:
    await lost_booking(stack, tmp_path)
    stack.mailbox.drop_after_data = True
    for _ in range(12):
        await stack.tick(after=timedelta(hours=2))
    copies = [one for one in stack.mailbox.messages if "without a booking" in one.header("Subject")]
    assert len(copies) == 3


# A crash in the middle


async def until_dead(stack: Stack) -> None:
    """The worker's time goes on until its process dies."""
    for _ in range(20):
        await stack.tick(after=timedelta(minutes=5))


@pytest.mark.parametrize("effect", range(1, 9))
async def test_a_crash_while_the_copy_catches_up_ends_with_the_booking_confirmed(
    stack: Stack, tmp_path: Path, effect: int
) -> None:
    booking = await paid_after_the_copy(stack, tmp_path)
    stack.doom.at = stack.doom.effects + effect
    with pytest.raises(Crash):
        await until_dead(stack)
    stack.doom.at = 0
    await stack.restart()
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED
    assert final_in_hapio(stack) == [booking.reservation.reference]
    assert stack.money_kept() == PRICE
    assert await money_alarms(stack) == []


@pytest.mark.parametrize("effect", range(1, 6))
async def test_a_crash_while_an_unknown_payment_is_noted_and_told_loses_neither(
    stack: Stack, tmp_path: Path, effect: int
) -> None:
    await lost_booking(stack, tmp_path)
    stack.doom.at = stack.doom.effects + effect
    with pytest.raises(Crash):
        await until_dead(stack)
    stack.doom.at = 0
    await stack.restart()
    await stack.until_quiet()
    assert await money_alarms(stack) == [("unknown_booking", PRICE)]
    told = [message for message in stack.mailbox.messages if OWNER in message.recipients]
    assert len(told) in {1, 2}  # a crash between sending and noting sends again
