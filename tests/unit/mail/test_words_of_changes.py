"""What is mailed of cancellations, moves, refunds and disputes, read as it arrived over real SMTP."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.domain.booking import EndReason, Status, Trouble
from app.domain.money import Money
from app.domain.outbox import OutboxMail
from app.domain.payment import PaymentSeen
from app.domain.refund import Owed
from app.domain.terms import Terms, Tier
from app.mail import MailKind, write_letter
from tests.support.examples import NOW, a_booking
from tests.support.mails import MANAGE, NEW_YORK, Post, a_mail, told
from tests.support.stack import Stack


async def test_a_cancellation_says_what_is_refunded_when_and_until_when_it_can_be_undone(post: Post) -> None:
    message = await post.receive(told(MailKind.CANCELED_CUSTOMER))
    assert message.header("Subject") == "Cancelled: Portrait session, Tue 24 Nov 10:00"
    assert (
        message.text
        == """\
Your booking has been cancelled

Hello Ada Example,

You cancelled your booking.
We will refund €60.00 of €120.00 to your original payment method. It usually arrives within 5–10 days.
We will send the refund at 10:10. Until then, you can undo the cancellation using the link below if the time is still free.

Tuesday 24 November
10:00–11:00

What: Portrait session
With: Maja Lind
Where: Studio Nord, Götgatan 1
Reference: 1

See your booking:
https://book.example/manage/token

The attached file removes the entry from your calendar. An entry that you added through a link stays until you remove it.

Questions? Reply to this email or call +46 8 123 45.

Studio Nord
"""  # noqa: E501 - as it arrives
    )


@pytest.mark.parametrize(
    ("terms", "back", "customer_told", "owner_told"),
    [
        (
            Terms(Money(12000, "eur")),
            12000,
            "We will refund €120.00 to your original payment method.",
            "We will refund €120.00 to the",
        ),
        (Terms(Money(12000, "eur")), 0, "there is no refund", "None of the €120.00 is refunded."),
        (Terms(Money(9000, "jpy")), 4500, "We will refund JP¥4,500 of JP¥9,000", "We will refund JP¥4,500 of JP¥9,000"),
        (
            Terms(Money(0, "eur")),
            0,
            "nothing to pay, so there is nothing to refund",
            "nothing to pay, so there is nothing to refund",
        ),
    ],
)
async def test_a_cancellation_tells_both_what_it_does_to_the_money(
    post: Post, terms: Terms, back: int, customer_told: str, owner_told: str
) -> None:
    booking = a_booking(status=Status.CANCELED, terms=terms)
    for kind, said in ((MailKind.CANCELED_CUSTOMER, customer_told), (MailKind.CANCELED_OWNER, owner_told)):
        text = (await post.receive(told(kind, booking=booking, back=back))).text or ""
        assert said in text
        assert ("We will send the refund at 10:10" in text) == bool(back)
        assert "undo the cancellation" in text


@pytest.mark.parametrize("until", ["", (NOW - timedelta(seconds=1)).isoformat(), NOW.isoformat()])
async def test_an_undo_that_is_too_late_is_not_offered(post: Post, until: str) -> None:
    for kind in (MailKind.CANCELED_CUSTOMER, MailKind.CANCELED_OWNER):
        text = (await post.receive(told(kind, undo_until=until))).text or ""
        assert "undo the cancellation" not in text
        assert "€60.00 of €120.00" in text


async def test_an_owner_who_cancels_is_sorry_and_gives_everything_back(post: Post) -> None:
    detail: dict[str, Any] = {"by": EndReason.BY_OWNER, "back": 12000, "undo_until": ""}
    text = (await post.receive(told(MailKind.CANCELED_CUSTOMER, **detail))).text or ""
    assert "We are sorry, but we had to cancel your booking." in text
    assert "We will refund €120.00 to your original payment method." in text
    assert "You cancelled" not in text
    ours = (await post.receive(told(MailKind.CANCELED_OWNER, **detail))).text or ""
    assert "You cancelled this booking. The time is free again, and the customer has been told." in ours


async def test_the_minutes_for_taking_back_are_told_on_the_readers_own_clock(post: Post) -> None:
    booking = a_booking(status=Status.CANCELED, visitor=NEW_YORK)
    text = (await post.receive(told(MailKind.CANCELED_CUSTOMER, booking=booking))).text or ""
    assert "We will send the refund at 04:10 (New York, UTC−5)." in text
    owner = (await post.receive(told(MailKind.CANCELED_OWNER, booking=booking))).text or ""
    assert "We will send the refund at 10:10." in owner


async def test_a_booking_whose_cancellation_is_undone_is_as_before(post: Post) -> None:
    message = await post.receive(told(MailKind.RESTORED_CUSTOMER))
    assert message.header("Subject") == "Booked again: Portrait session, Tue 24 Nov 10:00"
    text = message.text or ""
    assert "Your time is booked as before, and there is nothing to pay or refund." in text
    assert "Paid: €120.00" in text
    assert "Free cancellation until Mon 23 Nov, 10:00" in text


async def test_a_move_says_from_when_to_when_what_was_paid_and_what_holds_now(post: Post) -> None:
    terms = Terms(Money(15000, "eur"), (Tier(24, 100), Tier(2, 50)))
    message = await post.receive(told(MailKind.MOVED_CUSTOMER, booking=a_booking(terms=terms, revision=2)))
    assert message.header("Subject") == "Moved: Portrait session, Tue 24 Nov 10:00"
    assert (message.text or "").startswith(
        """\
Your booking has been moved

Hello Ada Example,

We have released your old time.
You paid the difference of €30.00.

Tuesday 24 November
10:00–11:00

Before: Mon 23 Nov, 09:00
What: Portrait session
With: Maja Lind
Where: Studio Nord, Götgatan 1
Reference: 1
Paid: €150.00
If you cancel:
  Free cancellation until Mon 23 Nov, 10:00
  Then 50% refund until Tue 24 Nov, 08:00
  After that, no refund

Change or cancel:
https://book.example/manage/token

Receipt:
https://book.example/manage/token/receipt

The attached file updates the entry in your calendar. An entry that you added through a link does not update by itself.
"""
    )


@pytest.mark.parametrize(
    ("difference", "customer_told", "owner_told"),
    [
        (3000, "You paid the difference of €30.00.", "The customer paid the difference of €30.00."),
        (
            -3000,
            "The new price is lower. We will refund €30.00 to your original payment method.",
            "We will refund the difference of €30.00",
        ),
        (0, "There is nothing to pay or refund.", "There is nothing to pay or refund."),
    ],
)
async def test_a_move_tells_both_what_it_does_to_the_money(
    post: Post, difference: int, customer_told: str, owner_told: str
) -> None:
    for kind, said in ((MailKind.MOVED_CUSTOMER, customer_told), (MailKind.MOVED_OWNER, owner_told)):
        assert said in ((await post.receive(told(kind, difference=difference))).text or "")


async def test_a_move_of_a_free_booking_costs_nothing(post: Post) -> None:
    free = a_booking(terms=Terms(Money(0, "eur")))
    for kind in (MailKind.MOVED_CUSTOMER, MailKind.MOVED_OWNER):
        text = (await post.receive(told(kind, booking=free, difference=0))).text or ""
        assert "There is nothing to pay." in text
        assert "paid" not in text


async def test_a_move_by_the_owner_is_excused_and_names_no_wish_of_the_customers(post: Post) -> None:
    text = (await post.receive(told(MailKind.MOVED_CUSTOMER, by="by_owner", difference=0))).text or ""
    assert "We are sorry, but we had to change your booking. If this does not suit you, please let us know." in text
    ours = (await post.receive(told(MailKind.MOVED_OWNER, by="by_owner", difference=0))).text or ""
    assert "You changed this booking, and the customer has been told." in ours


async def test_another_service_at_the_same_time_is_a_change_and_names_both(post: Post) -> None:
    before: dict[str, Any] = {"from": a_booking().starts_at.isoformat(), "was": "Family session"}
    message = await post.receive(told(MailKind.MOVED_CUSTOMER, **before))
    assert message.header("Subject") == "Changed: Portrait session, Tue 24 Nov 10:00"
    text = message.text or ""
    assert "Before:\n  Family session\n  Tue 24 Nov, 10:00" in text
    assert "released your old time" not in text


async def test_the_times_of_a_move_name_their_zone_to_a_customer_elsewhere(post: Post) -> None:
    booking = a_booking(visitor=NEW_YORK)
    before = (await post.receive(told(MailKind.MOVED_CUSTOMER, booking=booking))).text or ""
    assert "Before: Mon 23 Nov, 09:00 (Stockholm, UTC+1)" in before
    to = (await post.receive(told(MailKind.NOT_MOVED_CUSTOMER, booking=booking))).text or ""
    assert "Wed 25 Nov, 14:00 (Stockholm, UTC+1)" in to


async def test_a_move_that_failed_changes_nothing_and_gives_the_difference_back(post: Post) -> None:
    message = await post.receive(told(MailKind.NOT_MOVED_CUSTOMER))
    assert message.header("Subject") == "Not moved: Portrait session, Tue 24 Nov 10:00"
    text = message.text or ""
    assert "You paid to move your booking to Wed 25 Nov, 14:00, but that time was no longer free." in text
    assert "Nothing has changed: your booking is still confirmed." in text
    assert "We will refund €30.00 to your original payment method." in text
    held = (await post.receive(told(MailKind.NOT_MOVED_CUSTOMER, back=0))).text or ""
    assert "You have not been charged." in held
    off = told(MailKind.NOT_MOVED_CUSTOMER, booking=a_booking(status=Status.CANCELED))
    assert "your booking is still confirmed" not in ((await post.receive(off)).text or "")


async def test_a_reminder_says_what_when_where_and_with_whom_and_adds_no_second_calendar_entry(post: Post) -> None:
    message = await post.receive(told(MailKind.REMINDER_CUSTOMER, booking=a_booking(visitor=NEW_YORK)))
    assert message.header("Subject") == "Reminder: Portrait session in 4 days, Tue 24 Nov 10:00"
    text = message.text or ""
    for said in ("What: Portrait session", "With: Maja Lind", "Where: Studio Nord", "Your time: 04:00–05:00"):
        assert said in text
    assert MANAGE in text
    assert f"Calendar file: {MANAGE}/calendar.ics" in text
    assert "google" not in text
    assert message.attachments == ()


async def test_a_new_link_retires_the_older_ones_and_changes_nothing_else(post: Post) -> None:
    message = await post.receive(told(MailKind.LINK_CUSTOMER))
    text = message.text or ""
    assert "Older links no longer work. Nothing else has changed." in text
    assert f"Change or cancel:\n{MANAGE}" in text
    off = (await post.receive(told(MailKind.LINK_CUSTOMER, booking=a_booking(status=Status.CANCELED)))).text or ""
    assert "This booking is cancelled." in off
    assert f"See your booking:\n{MANAGE}" in off


async def test_a_refund_that_failed_tells_the_customer_to_call_and_the_owner_what_to_do(post: Post) -> None:
    customer = (await post.receive(told(MailKind.REFUND_FAILED_CUSTOMER))).text or ""
    assert "We tried to refund €60.00 to your original payment method" in customer
    assert "The money is still yours. Please contact us" in customer
    assert "Reply to this email or call +46 8 123 45." in customer
    owner = (await post.receive(told(MailKind.REFUND_FAILED_OWNER, amount=6000, currency="jpy"))).text or ""
    assert "JP¥6,000" in owner
    assert "The money is in your Stripe balance." in owner
    assert "Please pay it another way" in owner
    assert "Name: Ada Example" in owner


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Trouble.PAYMENT_REFUSED, "Stripe refused to open the payment page"),
        (Trouble.NOT_CONFIRMED, "The customer has paid, but the calendar has not confirmed the booking yet."),
        (Trouble.NOT_MOVED, "This booking is being moved, but the calendar has not answered yet."),
        (Trouble.NOT_RELEASED, "This booking stands, but the calendar may have a second entry for it"),
        (Trouble.REFUND_REFUSED, "Stripe has not carried out a refund of €60.00 to the customer."),
        (Trouble.MAIL_GIVEN_UP, "An email to the customer could not be delivered"),
    ],
)
async def test_every_trouble_is_said_in_words_with_its_reason(post: Post, trouble: Trouble, said: str) -> None:
    message = await post.receive(told(MailKind.TROUBLE_OWNER, trouble=trouble))
    assert message.header("Subject") == "Needs your attention: Portrait session, Tue 24 Nov 10:00, Ada Example"
    text = message.text or ""
    assert said in text
    assert "The reason given was: api_key_expired." in text
    assert trouble not in text


def test_a_time_that_could_not_be_released_is_blocked_where_the_booking_has_ended() -> None:
    ended = a_booking(status=Status.CANCELED)
    letter = write_letter(told(MailKind.TROUBLE_OWNER, booking=ended, trouble=Trouble.NOT_RELEASED), now=NOW)
    assert "so the time is still blocked there" in " ".join(letter.paragraphs)


def test_every_trouble_has_words_of_its_own() -> None:
    mails = [told(MailKind.TROUBLE_OWNER, trouble=trouble) for trouble in Trouble]
    assert len({write_letter(mail, now=NOW).paragraphs for mail in mails}) == len(Trouble)


def test_a_trouble_that_this_program_does_not_know_is_still_told() -> None:
    for detail in ({"trouble": "one_of_tomorrow"}, {}):
        letter = write_letter(a_mail(MailKind.TROUBLE_OWNER, detail=detail), now=NOW)
        assert letter.paragraphs == ("Something about this booking could not be done. The log has the details.",)


def test_a_refund_that_waits_for_the_balance_is_not_to_be_paid_twice() -> None:
    mail = told(MailKind.TROUBLE_OWNER, trouble=Trouble.REFUND_REFUSED, code="insufficient_funds")
    text = " ".join(write_letter(mail, now=NOW).paragraphs)
    assert "Your Stripe balance is too low." in text
    assert "first cancel the refund in the Stripe dashboard" in text


@pytest.mark.parametrize("kind", [MailKind.CANCELED_CUSTOMER, MailKind.CANCELED_OWNER])
def test_a_cancellation_of_a_disputed_payment_promises_no_time(kind: MailKind) -> None:
    letter = write_letter(replace(told(kind), waits_for_bank=True), now=NOW)
    said = " ".join(letter.paragraphs)
    assert "bank has decided" in said
    assert "We will send the refund at" not in said


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("needs_response", "The customer's bank has taken back a payment of €120.00"),
        (
            "warning_needs_response",
            "The customer's bank is asking about a payment of €120.00. It has not taken the money",
        ),
        ("lost", "The dispute has been decided"),
        ("won", "The dispute has been decided"),
    ],
)
async def test_a_dispute_tells_the_owner_where_and_until_when_to_answer(post: Post, stage: str, said: str) -> None:
    message = await post.receive(told(MailKind.DISPUTED_OWNER, dispute=stage))
    assert message.header("Subject") == "Payment disputed: Portrait session, Tue 24 Nov 10:00, Ada Example"
    text = message.text or ""
    assert said in text
    assert "The booking stays confirmed" in text
    open_still = "decided:" not in text
    assert ("Please answer in the Stripe dashboard by Tue 1 Dec, 23:59." in text) == open_still
    assert ("We will not refund any of this payment while the bank is deciding." in text) == open_still


async def test_a_dispute_without_a_known_deadline_says_where_it_stands(post: Post) -> None:
    text = (await post.receive(told(MailKind.DISPUTED_OWNER, answer_by=""))).text or ""
    assert "Please answer in the Stripe dashboard. You will find the deadline there." in text
    off = told(MailKind.DISPUTED_OWNER, booking=a_booking(status=Status.CANCELED))
    assert "The booking stays confirmed" not in ((await post.receive(off)).text or "")


async def test_money_refunded_by_the_owner_leaves_the_booking_as_it_is(post: Post) -> None:
    mail = a_mail(MailKind.REFUNDED_CUSTOMER, refund=Money(2000, "eur"), detail={"reason": EndReason.GOODWILL})
    message = await post.receive(mail)
    text = message.text or ""
    assert "Your booking stays as it is.\nWe will refund €20.00 to your original payment method." in text
    assert f"See your booking:\n{MANAGE}" in text


async def test_money_drawn_from_two_payments_is_told_as_one_sum(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.paid(booking)
    await stack.tick()
    parts = stack.parts
    owes = OutboxMail(
        id="goodwill",
        booking_id=booking.id,
        kind=MailKind.REFUNDED_CUSTOMER,
        message_id="<goodwill@book.example>",
        detail={"reason": EndReason.GOODWILL, "refund": "rf_1"},
        tries=0,
        created_at=parts.now(),
        sent_at=None,
        due_at=parts.now(),
        revision=1,
    )
    [payment] = await parts.store.payments(booking.id)
    seen = PaymentSeen(payment.id, payment.state, payment.session_id or "", payment.payment_intent_id, payment.captured)
    owed = Owed("rf_1", booking.id, Money(5000, "eur"), EndReason.GOODWILL, "", parts.now(), parts.now())
    first, second = owed.draw([(payment.id, 2000), (payment.id, 9000)])
    for refund in (first, replace(second, cause="second"), replace(first, id="rf_12", cause="another debt")):
        assert await parts.store.add_refund(refund, seen=seen, mails=[owes])
    await stack.until_quiet()
    [text] = [mail.text for mail in stack.mailbox.messages if mail.header("Subject").startswith("Refunded")]
    assert "We will refund €50.00 to your original payment method." in (text or "")


@pytest.mark.parametrize("reason", [EndReason.NOT_MOVED, EndReason.DEADLINE, EndReason.PAYMENT_MISMATCH])
async def test_a_payment_too_many_is_never_said_to_cost_the_booking(post: Post, reason: EndReason) -> None:
    mail = a_mail(refund=Money(3000, "eur"), detail={"reason": reason})
    for kind in (MailKind.REFUNDED_CUSTOMER, MailKind.REFUNDED_OWNER):
        text = (await post.receive(replace(mail, kind=kind))).text or ""
        assert "booking stays confirmed" in text
        assert "no booking" not in text


@pytest.mark.parametrize("kind", [kind for kind in MailKind if kind.to_owner])
async def test_every_mail_to_the_owner_names_the_customer_and_has_no_link_of_the_customers(
    post: Post, kind: MailKind
) -> None:
    message = await post.receive(told(kind))
    assert message.header("Subject").endswith(", Ada Example")
    assert "Phone: +46701234567" in (message.text or "")
    assert message.header("Reply-To") == "ada@example.test"
    assert "book.example" not in (message.text or "")
    assert message.attachments == ()


async def test_a_time_that_is_off_is_struck_out(post: Post) -> None:
    off = await post.receive(told(MailKind.CANCELED_CUSTOMER))
    on = await post.receive(told(MailKind.RESTORED_CUSTOMER))
    assert "line-through" in (off.html or "")
    assert "line-through" not in (on.html or "")
