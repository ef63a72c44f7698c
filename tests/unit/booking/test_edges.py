"""Where two things happen at once, or in the order that nobody expects: money and time still agree."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from app.domain.booking import Booking, Customer, EndReason, Status
from app.domain.payment import PaymentState
from app.errors import HoldExpired
from app.main import Seams, open_parts
from app.parts import Parts
from sandbox.hapio import Fault
from sandbox.stripe import Fault as StripeFault
from tests.support.rows import rows
from tests.support.stack import Stack, no_wait, open_stack
from tests.support.stripe_transport import TransportHTTPClient

MINUTE = timedelta(minutes=1)


async def test_a_capture_that_the_bank_is_still_working_on_is_waited_for(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget='capture = "manual"') as stack:
        booking = await authorized(stack)
        [intent] = stack.stripe.state.payment_intents.values()
        intent.update(status="processing", amount_capturable=0)
        await stack.tick(after=10 * MINUTE)
        assert await stack.status(booking) is Status.PAID
        intent.update(status="succeeded", amount_received=120000)
        await stack.tick(after=10 * MINUTE)
        assert await stack.status(booking) is Status.CONFIRMED
        view = await stack.parts.bookings.view(booking.id)
        assert view.payment
        assert (view.payment.state, view.payment.captured) == (PaymentState.CAPTURED, 120000)


async def test_a_lock_that_was_canceled_in_hapio_while_it_was_paid_for_is_made_again(stack: Stack) -> None:
    booking = await stack.hold()
    async with stack.hapio_api() as api:
        canceled = {"is_canceled": True, "ignore_cancelation_threshold": True}
        (await api.patch(f"/bookings/{booking.reservation.reference}", json=canceled)).raise_for_status()
    await stack.paid(booking)
    assert await stack.status(booking) is Status.CONFIRMED
    [in_hapio] = stack.hapio_bookings()
    assert not in_hapio.is_temporary


async def test_texts_that_hapio_does_not_take_cost_nobody_the_time_they_paid_for(stack: Stack) -> None:
    booking = await stack.hold()
    stack.hapio.faults.append(Fault("error_before", method="PATCH", status=422))
    stack.hapio.faults.append(Fault("error_before", method="POST", status=422, times=10))
    await stack.paid(booking)
    assert await stack.status(booking) is Status.CONFIRMED
    [in_hapio] = stack.hapio_bookings()
    assert (in_hapio.id, in_hapio.is_temporary) == (booking.reservation.reference, False)
    assert in_hapio.metadata["holdfast_id"] == booking.id


async def authorized(stack: Stack) -> Booking:
    """A booking whose money is held, while Hapio does not answer."""
    stack.hapio.faults.append(Fault("error_before", method="PATCH", times=5))
    booking = await stack.hold()
    await stack.paid(booking)
    assert await stack.status(booking) is Status.PAID
    return booking


async def test_a_payment_page_that_was_closed_early_does_not_end_the_hold(stack: Stack) -> None:
    """As when the details change: Stripe's word that the old page is closed may overtake our own note of it."""
    booking = await stack.hold()
    first = await stack.at_stripe(booking)
    await close_page(stack, first)
    assert await stack.status(booking) is Status.AWAITING_PAYMENT
    assert len(stack.hapio_bookings()) == 1
    second = await stack.at_stripe(booking)
    assert second != first
    await stack.stripe.pay(second)
    assert await stack.status(booking) is Status.CONFIRMED


async def test_a_payment_page_in_its_last_minute_is_not_given_out_again(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.at_stripe(booking)
    stack.clock.advance(30 * MINUTE + timedelta(seconds=30))
    with pytest.raises(HoldExpired):
        await stack.parts.checkout.start(booking.id)
    assert stack.hapio_bookings() == []


async def test_a_bank_that_takes_days_is_not_asked_every_second(tmp_path: Path) -> None:
    async with open_stack(tmp_path, currency="eur") as stack:
        booking = await stack.hold()
        session_id = await stack.paid_by_bank(booking)
        await stack.tick(after=booking.starts_at - stack.clock() + MINUTE)
        stack.stripe.calls.clear()
        for _ in range(20):
            await stack.tick(after=timedelta(seconds=1))
        assert await stack.status(booking) is Status.AWAITING_PAYMENT
        assert len(stack.stripe.calls) < 10
        await stack.settle_delayed(session_id, "failed")
        assert await stack.status(booking) is Status.EXPIRED


async def test_a_payment_page_that_charged_nothing_leads_to_no_refund(stack: Stack) -> None:
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    nothing = {"status": "complete", "payment_status": "no_payment_required", "amount_total": 0, "amount_subtotal": 0}
    stack.stripe.state.sessions[session_id].update(nothing, url=None)
    await stack.tick(after=2 * MINUTE, times=3)
    view = await stack.parts.bookings.view(booking.id)
    assert (view.booking.status, view.booking.end_reason) == (Status.EXPIRED, EndReason.PAYMENT_MISMATCH)
    assert view.refunds == []
    assert stack.mailbox.messages == []


async def test_a_refund_that_cannot_be_asked_for_is_not_tried_every_second(stack: Stack) -> None:
    booking = await stack.hold(service="headshot")
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=32 * MINUTE)
    await stack.take_everyone(booking.starts_at, "headshot")
    stack.stripe.faults.append(StripeFault("drop_before", path="/v1/refunds", times=20))
    await stack.pay_late(session_id)
    stack.stripe.faults.clear()
    await stack.stop()
    with_key = stack.settings
    stack.settings = with_key.model_copy(update={"stripe_secret_key": None})
    await stack.start()
    stack.clock.advance(timedelta(hours=2))
    for _ in range(10):
        await stack.tick(after=timedelta(seconds=1))
    [refund] = await stack.parts.store.refunds(booking.id)
    assert refund.next_try_at
    assert refund.next_try_at > stack.clock()
    await stack.stop()
    stack.settings = with_key
    await stack.start()
    await stack.tick(after=timedelta(hours=2))
    [refund] = await stack.parts.store.refunds(booking.id)
    assert refund.status == "succeeded"


@pytest.mark.parametrize("start", ["9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+12:00"])
async def test_a_time_at_the_end_of_the_calendar_is_refused_politely(stack: Stack, start: str) -> None:
    answer = await stack.client.post("/w/studio/hold", data={"service": stack.portrait_id, "start": start})
    assert answer.status_code == 400
    assert await rows(stack) == []


async def test_a_price_that_was_changed_to_one_nobody_can_charge_is_the_price_that_was_shown(stack: Stack) -> None:
    starts_at = await stack.free_slot()
    async with stack.hapio_api() as api:
        changed = await api.patch(f"/services/{stack.portrait_id}", json={"price": "1200.005"})
        changed.raise_for_status()
    booking = await stack.hold(starts_at)
    assert booking.terms.price.amount == 120000
    await stack.paid(booking)
    assert await stack.status(booking) is Status.CONFIRMED


async def test_an_address_beyond_ascii_is_left_for_stripe_to_ask(stack: Stack) -> None:
    customer = Customer(name="Jörg", email="jörg@exämple.example")
    session_id = await stack.at_stripe(await stack.hold(customer=customer))
    assert stack.stripe.state.sessions[session_id]["customer_email"] is None


async def test_who_knows_an_ended_bookings_id_does_not_get_at_the_one_held_in_its_place(stack: Stack) -> None:
    ended = await stack.hold(await stack.free_slot(nth=8))
    await stack.tick(after=11 * MINUTE)
    page = f"/b/{stack.parts.links.booking_token(ended.id, ends_at=ended.ends_at)}"
    asked = [await stack.client.post(f"{page}/hold-again") for _ in range(2)]
    mine = {stack.parts.links.read_booking_token(token_in(answer)) for answer in asked}
    assert len(mine) == 1, "a doubled click is one hold"
    start = {"service": ended.service_id, "start": ended.starts_at.isoformat(), "key": ended.id}
    stranger = await stack.client.post("/w/studio/hold", data=start)
    assert stranger.status_code == 303
    assert stack.parts.links.read_booking_token(token_in(stranger)) not in mine


def token_in(answer: httpx.Response) -> str:
    """The booking token in the address that the answer sends to."""
    return urlsplit(answer.headers["location"]).path.removeprefix("/b/")


async def close_page(stack: Stack, session_id: str) -> None:
    """Someone else than we expires the Session; Stripe tells us."""
    key = {"Authorization": "Bearer sk_test_sandbox"}
    async with httpx.AsyncClient(transport=stack.stripe.transport(), base_url="http://stripe.sandbox") as api:
        (await api.post(f"/v1/checkout/sessions/{session_id}/expire", headers=key)).raise_for_status()
    await stack.stripe.deliver_due()


async def test_two_processes_that_rescue_late_money_at_once_make_one_booking(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack, second_process(stack) as other:
        booking = await stack.hold()
        session_id = await stack.at_stripe(booking)
        await stack.tick(after=32 * MINUTE)
        await stack.pay_late(session_id)
        # Both have passed Hapio's check before either inserts.
        stack.hapio.switches.update({"race_mode": "non_atomic", "race_parties": 2, "race_wait_seconds": 1})
        async with anyio.create_task_group() as at_once:
            at_once.start_soon(stack.parts.settle.booking, booking.id)
            at_once.start_soon(other.settle.booking, booking.id)
        stack.hapio.switches.update({"race_mode": "atomic"})
        await stack.until_quiet()
        assert await stack.status(booking) is Status.CONFIRMED
        assert [one.metadata["holdfast_id"] for one in stack.hapio_bookings()] == [booking.id]


async def test_what_a_removed_widget_booked_still_comes_to_its_end(stack: Stack, tmp_path: Path) -> None:
    walked_away = await stack.hold(service="headshot")
    pays_late, pays = await stack.hold(), await stack.hold(await stack.free_slot(nth=3))
    late_session, session = await stack.at_stripe(pays_late), await stack.at_stripe(pays)
    file = tmp_path / "widgets.toml"
    file.write_text(file.read_text().replace("[studio]", "[atelier]"))
    await stack.restart()
    await stack.stripe.pay(session)
    await stack.tick(after=32 * MINUTE)
    await stack.pay_late(late_session)
    await stack.until_quiet()
    ended = {booking.id: booking.status for booking in await rows(stack)}
    assert ended == {walked_away.id: Status.EXPIRED, pays_late.id: Status.CANCELED, pays.id: Status.CONFIRMED}
    assert [one.metadata["holdfast_id"] for one in stack.hapio_bookings()] == [pays.id]
    assert stack.money_kept() == 120000
    assert "Confirmed" in " ".join(message.header("Subject") for message in stack.mailbox.messages)


async def test_a_free_booking_that_cannot_be_is_not_told_of_a_payment(stack: Stack) -> None:
    booking = await stack.hold(service="planning")
    stack.hapio.state.bookings.clear()
    stack.hapio.faults.append(Fault("error_before", method="POST", status=422, times=10))
    await stack.parts.checkout.start(booking.id)
    ended = await stack.parts.bookings.get(booking.id)
    assert (ended.status, ended.end_reason) == (Status.CANCELED, EndReason.REFUSED)
    await stack.until_quiet()
    [mail] = stack.mailbox.messages
    assert mail.recipients == ("anna@customer.example",)
    assert "refund" not in mail.header("Subject").lower()
    assert "payment" not in (mail.text or "").lower()


async def test_a_mail_that_is_no_longer_true_is_not_sent(stack: Stack) -> None:
    stack.mailbox.refuse = "temporary"
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    await stack.tick(after=32 * MINUTE, times=2)
    await stack.pay_late(session_id)
    assert await stack.status(booking) is Status.CONFIRMED
    stack.mailbox.refuse = "none"
    await stack.until_quiet()
    subjects = [message.header("Subject") for message in stack.mailbox.messages]
    assert len(subjects) == 2
    assert not any("Not booked" in subject for subject in subjects)


async def test_held_money_that_came_twice_is_not_called_a_payment_on_its_way_back(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget='capture = "manual"') as stack:
        booking = await stack.hold()
        first = await stack.at_stripe(booking)
        await stack.parts.checkout.add_details(booking.id, {"name": "Anna Ek", "email": "anna@customer.example"})
        await close_page(stack, first)
        await stack.stripe.pay(await stack.at_stripe(booking))
        await stack.pay_late(first)
        await stack.until_quiet()
        assert (stack.money_kept(), stack.money_held()) == (120000, 0)
        [told] = [mail for mail in stack.mailbox.messages if "refunded_customer" in mail.header("Message-ID")]
        assert "You have not been charged" in (told.text or "")


async def pages(stack: Stack, booking: Booking, many: int) -> list[str]:
    """So many payment pages in as many tabs, each for a corrected address."""
    sessions = []
    for tab in range(many):
        await stack.parts.checkout.add_details(booking.id, {"name": "Anna Ek", "email": f"anna{tab}@customer.example"})
        sessions.append(await stack.at_stripe(booking))
    return sessions


def refunds_told(stack: Stack, reader: str) -> list[str]:
    mails = [mail for mail in stack.mailbox.messages if f"refunded_{reader}" in mail.header("Message-ID")]
    return [mail.text or "" for mail in mails]


async def test_each_payment_that_came_once_too_often_is_told(stack: Stack) -> None:
    booking = await stack.hold()
    for session in await pages(stack, booking, 3):
        await stack.pay_late(session)
    await stack.until_quiet()
    assert (await stack.status(booking), stack.money_kept()) == (Status.CONFIRMED, 120_000)
    assert ["You paid twice" in text for text in refunds_told(stack, "customer")] == [True, True]


async def test_of_two_payments_for_a_time_that_is_lost_each_refund_is_told(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="choose_hours = 0", settings={"staff_emails": ("o@s.example",)}) as stack:
        booking = await stack.hold()
        both = await pages(stack, booking, 2)
        await stack.tick(after=40 * MINUTE)
        await stack.side.stranger_takes(booking.starts_at)
        await stack.take_everyone(booking.starts_at)
        for session in both:
            await stack.pay_late(session)
        await stack.until_quiet()
        assert (await stack.status(booking), stack.money_kept()) == (Status.CANCELED, 0)
        assert [len(refunds_told(stack, reader)) for reader in ("customer", "owner")] == [2, 2]


async def test_many_mails_go_out_a_few_at_a_time_so_that_nothing_else_waits_behind_them(stack: Stack) -> None:
    for nth in range(5):
        await stack.paid(await stack.hold(await stack.free_slot(nth=nth)))
    await stack.tick()
    assert len(stack.mailbox.messages) == 5
    await stack.tick()
    assert len(stack.mailbox.messages) == 10


@asynccontextmanager
async def second_process(stack: Stack) -> AsyncIterator[Parts]:
    """The product once more, on the same database and the same providers."""
    seams = Seams(
        now=stack.clock,
        random=stack.random,
        sleep=no_wait,
        scheduler_transports={"hapio": stack.hapio.transport()},
        stripe_http=TransportHTTPClient(stack.stripe.transport()),
    )
    async with open_parts(stack.settings, seams) as parts:
        yield parts
