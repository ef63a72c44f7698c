"""Stripe refuses a payment page: the visitor hears the truth, the owner hears it once, and the hold wins no time."""

from datetime import timedelta

import pytest

from app.domain.booking import Status
from app.errors import InvalidDetails, PaymentRefused
from sandbox.stripe import Fault
from tests.support.stack import Stack

MINUTE = timedelta(minutes=1)
ANNA, OWNER = "anna@customer.example", "owner@studio.example"


def refuse_sessions(stack: Stack, code: str, *, status: int = 400, param: str | None = None) -> None:
    """From now on Stripe makes no Checkout Session, for this reason."""
    stack.stripe.faults.append(
        Fault("refuse", method="POST", path="/checkout/sessions$", times=None, status=status, code=code, param=param)
    )


@pytest.mark.parametrize(
    ("code", "status"), [("amount_too_small", 400), ("account_invalid", 403), ("parameter_invalid_integer", 400)]
)
async def test_a_refused_payment_page_is_told_to_the_owner_once_and_prolongs_nothing(
    stack: Stack, code: str, status: int
) -> None:
    booking = await stack.hold()
    refuse_sessions(stack, code, status=status)
    for _ in range(4):
        with pytest.raises(PaymentRefused) as refusal:
            await stack.parts.checkout.start(booking.id)
        assert not refusal.value.retry
        stack.clock.advance(MINUTE)
    assert (await stack.now(booking)).deadline == booking.deadline
    await stack.until_quiet()
    assert await stack.status(booking) is Status.EXPIRED
    assert stack.hapio_bookings() == []
    told = [message for message in stack.mailbox.messages if message.recipients == (OWNER,)]
    assert len(told) == 1
    assert code in (told[0].text or "")


async def test_the_visitor_of_a_refused_page_is_not_asked_to_try_again(stack: Stack) -> None:
    booking = await stack.hold()
    refuse_sessions(stack, "account_invalid", status=403)
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    page = await stack.client.post(f"/b/{token}/pay")
    assert "trying again will not help" in page.text
    assert "You have not been charged" in page.text
    assert "Please try again in a moment" not in page.text


async def test_an_address_that_stripe_refuses_is_marked_and_can_be_corrected_at_once(stack: Stack) -> None:
    booking = await stack.hold()
    refuse_sessions(stack, "email_invalid", param="customer_email")
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    page = await stack.client.post(f"/b/{token}/pay")
    assert page.status_code == 422
    assert "does not accept this email address" in page.text
    assert 'value="anna@customer.example"' in page.text
    with pytest.raises(InvalidDetails) as refusal:
        await stack.parts.checkout.start(booking.id)
    assert set(refusal.value.fields) == {"email"}

    stack.stripe.faults.clear()
    await stack.parts.checkout.add_details(booking.id, {"name": "Anna Ek", "email": "anna.ek@customer.example"})
    session_id = await stack.at_stripe(booking)
    assert stack.stripe.state.sessions[session_id]["customer_email"] == "anna.ek@customer.example"
    assert await stack.mail(OWNER) == []


async def test_after_an_unanswered_attempt_a_corrected_address_is_the_one_that_is_sent(stack: Stack) -> None:
    booking = await stack.hold()
    stack.stripe.faults.append(Fault("drop_before", method="POST", times=5))
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    assert (await stack.client.post(f"/b/{token}/pay")).status_code == 503
    stack.stripe.faults.clear()
    await stack.parts.checkout.add_details(booking.id, {"name": "Anna Ek", "email": "anna.ek@customer.example"})
    session_id = await stack.at_stripe(booking)
    assert stack.stripe.state.sessions[session_id]["customer_email"] == "anna.ek@customer.example"


async def test_a_refused_difference_moves_nothing_and_is_told_to_the_owner(open_minded: Stack) -> None:
    stack = open_minded
    booking = await stack.confirmed(service="headshot")
    refuse_sessions(stack, "account_invalid", status=403)
    later = await stack.in_days(6, "portrait")
    with pytest.raises(PaymentRefused):
        await stack.move(booking, later, service="portrait")
    await stack.until_quiet()
    assert (await stack.now(booking)).starts_at == booking.starts_at
    assert len(stack.hapio_bookings()) == 1
    assert [subject.partition(":")[0] for subject in await stack.mail(OWNER)] == ["New booking", "Needs your attention"]


async def test_a_session_ends_late_enough_for_a_clock_that_runs_four_minutes_behind_stripe(stack: Stack) -> None:
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    ends_at = stack.stripe.state.sessions[session_id]["expires_at"]
    assert ends_at - stack.clock().timestamp() >= (30 + 4) * 60
    assert (await stack.now(booking)).deadline - stack.clock() == 31 * MINUTE
