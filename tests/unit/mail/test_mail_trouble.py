"""Mails that could not be delivered: who hears of it, and how they reach the customer after all."""

import argparse
import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.cli.mails import serve_mails
from app.cli.options import add_mails
from app.domain.booking import Actor, Booking
from app.errors import BookingConflict, InvalidDetails, LinkRefused
from tests.support.browser import Browser
from tests.support.commands import Owner
from tests.support.figures import TOKEN, figure
from tests.support.stack import Stack, open_stack, text_of
from tests.support.staff import EVA, sign_in

MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("minutes", "hours", "days"))
ANNA, RIGHT, OWNER = "anna@customer.example", "anna@right.example", "owner@studio.example"


async def unreachable(stack: Stack) -> Booking:
    """A confirmed booking with a mistyped address, which the mail server refuses permanently."""
    stack.mailbox.unknown.add(ANNA)
    booking = await stack.confirmed(await stack.in_days(20))
    await stack.tick(times=2)
    return await stack.now(booking)


async def at_the_desk(stack: Stack, *words: str) -> tuple[int, Any]:
    """`python -m app mails` with these words: its exit code and its JSON."""
    parser = argparse.ArgumentParser()
    add_mails(parser)
    said: list[str] = []
    code = await serve_mails(stack.parts, parser.parse_args([*words, "--json"]), said.append)
    return code, json.loads(said[0]) if said else None


async def given_up(stack: Stack) -> list[str]:
    """The kinds of mails that were given up."""
    _, answer = await at_the_desk(stack, "list")
    return [mail["kind"] for mail in answer["mails"] if mail["nextTryAt"] is None]


# -- who hears of it ----------------------------------------------------------------------------------------


async def test_the_owner_is_told_once_that_a_customer_cannot_be_reached(stack: Stack) -> None:
    booking = await unreachable(stack)
    subjects = await stack.mail(OWNER)
    assert [subject.partition(":")[0] for subject in subjects] == ["New booking", "Needs your attention"]
    await stack.cancel(booking, by=Actor.OWNER)  # which is mailed, and refused, too
    assert [subject.partition(":")[0] for subject in await stack.mail(OWNER)] == ["Cancelled"]


async def test_the_owner_reads_why_and_whom_to_call(stack: Stack) -> None:
    await unreachable(stack)
    [told] = [mail for mail in stack.mailbox.messages if mail.header("Subject").startswith("Needs your attention")]
    text = told.text or ""
    assert "An email to the customer could not be delivered" in text
    assert "recipient refused, 550 5.1.1" in text
    assert "Name: Anna Ek" in text


async def test_the_pages_say_that_the_address_was_refused(stack: Stack) -> None:
    booking = await unreachable(stack)
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    after_paying = text_of((await stack.client.get(f"/b/{token}")).text)
    assert f"Our email to {ANNA} could not be delivered." in after_paying
    assert "We are emailing the details to" not in after_paying
    manage = stack.parts.links.manage_token(booking.id, booking.link_version)
    assert f"Our email to {ANNA} could not be delivered." in text_of((await stack.client.get(f"/manage/{manage}")).text)


async def test_an_address_that_takes_mail_is_said_to_be_mailed_to(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.tick()
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    page = text_of((await stack.client.get(f"/b/{token}")).text)
    assert f"We are emailing the details to {ANNA}" in page
    assert "could not be delivered" not in page


async def test_a_mail_to_the_owner_that_is_given_up_is_logged_and_counted_and_told_to_nobody(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"metrics_token": TOKEN}) as stack:
        stack.mailbox.unknown.add(OWNER)
        with capture_logs() as logs:
            await stack.confirmed()
            await stack.tick(times=3)
        [error] = [entry for entry in logs if entry["log_level"] == "error"]
        assert (error["event"], error["kind"]) == ("mail given up", "confirmed_owner")
        assert await figure(stack, "outbox_given_up") == 1
        assert await given_up(stack) == ["confirmed_owner"]


async def test_the_log_says_which_mail_of_which_booking_failed_where_and_why_and_names_nobody(stack: Stack) -> None:
    with capture_logs() as logs:
        booking = await unreachable(stack)
    [error] = [entry for entry in logs if entry["event"] == "mail given up"]
    assert (error["kind"], error["booking"], error["tries"]) == ("confirmed_customer", booking.id, 1)
    assert error["reason"].startswith("127.0.0.1:")
    assert error["reason"].endswith(": recipient refused, 550 5.1.1")
    assert "anna" not in str(logs).lower()


async def test_a_mail_that_is_put_off_is_logged_with_its_reason(stack: Stack) -> None:
    stack.mailbox.refuse = "temporary"
    with capture_logs() as logs:
        booking = await stack.confirmed()
        await stack.tick()
    put_off = [entry for entry in logs if entry["event"] == "mail put off"]
    assert {(entry["kind"], entry["booking"]) for entry in put_off} == {
        ("confirmed_customer", booking.id),
        ("confirmed_owner", booking.id),
    }
    assert all(entry["reason"].endswith(": recipient refused, 451 4.3.0") for entry in put_off)


# -- how long it is tried -----------------------------------------------------------------------------------


async def test_a_mail_server_that_is_down_over_a_weekend_costs_no_mail(stack: Stack) -> None:
    stack.mailbox.refuse = "temporary"
    await stack.confirmed(await stack.in_days(20))
    for _ in range(3 * 24):
        await stack.tick(after=HOUR)
    stack.mailbox.refuse = "none"
    await stack.tick(after=HOUR)
    await stack.tick()
    assert sorted(message.recipients[0] for message in stack.mailbox.messages) == [ANNA, OWNER]


async def test_a_mail_that_nobody_takes_for_days_is_given_up_in_the_end(stack: Stack) -> None:
    stack.mailbox.refuse = "temporary"
    booking = await stack.confirmed(await stack.in_days(20))
    for _ in range(5 * 12):
        await stack.tick(after=2 * HOUR)
    assert "confirmed_customer" in await given_up(stack)
    stack.mailbox.refuse = "none"
    await stack.parts.corrections.resend_mails(booking.id)
    await stack.tick(after=HOUR)
    assert [subject.partition(":")[0] for subject in await stack.mail(ANNA)] == ["Confirmed"]
    assert sorted(subject.partition(":")[0] for subject in await stack.mail(OWNER)) == [
        "Needs your attention",
        "New booking",
    ]


async def test_a_mail_server_that_takes_mails_and_never_says_so_is_not_a_hundred_copies(stack: Stack) -> None:
    """Whether such a mail has arrived nobody can know. It is sent again, ever more rarely."""
    stack.mailbox.drop_after_data = True
    await stack.confirmed(await stack.in_days(20))
    for _ in range(5 * 10):
        await stack.tick(after=2 * HOUR)
    copies = Counter(message.recipients[0] for message in stack.mailbox.messages)
    assert copies.keys() == {ANNA, OWNER}
    assert 10 <= max(copies.values()) <= 20
    assert len({message.header("Message-ID") for message in stack.mailbox.messages}) == 2


async def test_a_mail_server_that_hangs_up_at_once_is_tried_every_hour(stack: Stack) -> None:
    """Nothing has arrived there for sure, so that nothing is lost by trying."""
    stack.mailbox.hang_up = True
    await stack.confirmed(await stack.in_days(20))
    for _ in range(14):
        await stack.tick(after=HOUR)
    stack.mailbox.hang_up = False
    await stack.tick(after=HOUR)
    assert sorted(message.recipients[0] for message in stack.mailbox.messages) == [ANNA, OWNER]


async def test_after_an_outage_of_ours_a_late_mail_is_not_given_up_at_its_first_failure(stack: Stack) -> None:
    await stack.confirmed(await stack.in_days(20))
    stack.clock.advance(6 * DAY)
    stack.mailbox.refuse = "temporary"
    await stack.tick(times=2)
    assert await given_up(stack) == []


# -- sending again ------------------------------------------------------------------------------------------


async def test_what_was_given_up_is_sent_again_on_command(stack: Stack) -> None:
    booking = await unreachable(stack)
    assert await given_up(stack) == ["confirmed_customer"]
    stack.mailbox.unknown.clear()
    assert await at_the_desk(stack, "resend", booking.id) == (0, {"success": True, "resent": 1})
    assert await at_the_desk(stack, "resend", booking.id) == (0, {"success": True, "resent": 0})
    assert [subject.partition(":")[0] for subject in await stack.mail(ANNA)] == ["Confirmed"]
    assert await given_up(stack) == []
    _, answer = await at_the_desk(stack, "list", "--booking", booking.id)
    assert [mail["kind"] for mail in answer["mails"] if not mail["sentAt"]] == ["reminder_customer"]


async def test_everything_that_was_given_up_is_sent_again_at_once(stack: Stack) -> None:
    stack.mailbox.refuse = "permanent"
    await stack.confirmed(await stack.in_days(20))
    await stack.confirmed(await stack.in_days(21))
    await stack.tick(times=3)
    stack.mailbox.refuse = "none"
    _, answer = await at_the_desk(stack, "resend", "--all")
    assert answer["resent"] == len(await stack.mail(ANNA)) + len(await stack.mail(OWNER)) == 6


async def test_mails_are_not_sent_again_without_saying_which(stack: Stack) -> None:
    assert (await at_the_desk(stack, "resend"))[0] == 2
    assert (await at_the_desk(stack, "resend", "bk_of_nobody"))[0] == 2
    assert (await at_the_desk(stack, "resend", "bk_1", "--all"))[0] == 2


async def test_people_read_a_line_for_each_mail_and_no_address(stack: Stack) -> None:
    booking = await unreachable(stack)
    parser = argparse.ArgumentParser()
    add_mails(parser)
    said: list[str] = []
    await serve_mails(stack.parts, parser.parse_args(["list"]), said.append)
    [line] = said
    assert booking.id in line
    assert "not delivered after 1 try: 127.0.0.1:" in line
    assert "anna" not in line


# -- another address ----------------------------------------------------------------------------------------


async def test_a_corrected_address_gets_what_the_wrong_one_refused(stack: Stack) -> None:
    booking = await unreachable(stack)
    corrected = await stack.parts.corrections.correct_email(booking.id, f" {RIGHT} ")
    assert corrected.customer
    assert corrected.customer.email == RIGHT
    assert [subject.partition(":")[0] for subject in await stack.mail(RIGHT)] == ["Confirmed"]
    assert (await stack.parts.bookings.view(booking.id)).mail_problem == ""
    assert [found.id for found in await stack.parts.bookings.find(email=RIGHT)] == [booking.id]
    assert (await stack.history(booking)).count("email_corrected") == 1


async def test_a_mail_that_is_still_tried_goes_to_the_corrected_address_at_once(stack: Stack) -> None:
    stack.mailbox.refuse = "temporary"
    booking = await stack.confirmed(await stack.in_days(20))
    for _ in range(12):
        await stack.tick(after=HOUR)
    stack.mailbox.refuse = "none"
    await stack.parts.corrections.correct_email(booking.id, RIGHT)
    assert [subject.partition(":")[0] for subject in await stack.mail(RIGHT)] == ["Confirmed"]


async def test_a_corrected_address_whose_mails_arrived_elsewhere_gets_the_confirmation(stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(20))
    await stack.tick()
    old = stack.parts.links.manage_token(booking.id, booking.link_version)
    await stack.parts.corrections.correct_email(booking.id, RIGHT)
    await stack.tick()
    [again] = [message for message in stack.mailbox.messages if message.recipients == (RIGHT,)]
    assert again.header("Subject").startswith("Confirmed")
    assert again.attachments
    with pytest.raises(LinkRefused):  # anyone who got the mails before has no business here any more
        await stack.parts.manage_links.open(old)


async def test_the_owner_is_told_again_when_the_corrected_address_is_wrong_too(stack: Stack) -> None:
    booking = await unreachable(stack)
    await stack.mail(OWNER)
    stack.mailbox.unknown.add(RIGHT)
    await stack.parts.corrections.correct_email(booking.id, RIGHT)
    assert [subject.partition(":")[0] for subject in await stack.mail(OWNER)] == ["Needs your attention"]


async def test_an_address_that_is_none_corrects_nothing(stack: Stack) -> None:
    booking = await unreachable(stack)
    for typed in ("", "anna", "anna@", "a b@example.test"):
        with pytest.raises(InvalidDetails):
            await stack.parts.corrections.correct_email(booking.id, typed)
    assert await stack.parts.corrections.correct_email(booking.id, ANNA) == await stack.now(booking)


async def test_a_hold_of_nobody_has_no_address_to_correct(stack: Stack) -> None:
    browser = Browser(stack)
    await browser.open(f"/w/studio?service={stack.portrait_id}")
    await browser.send('id="hf-hold"', start=browser.starts[0])
    booking_id = stack.parts.links.read_booking_token(browser.page.url.path.split("/")[2])
    with pytest.raises(BookingConflict):
        await stack.parts.corrections.correct_email(booking_id, RIGHT)


# -- at the owner's doors -----------------------------------------------------------------------------------


async def test_the_terminal_shows_what_was_not_delivered_and_corrects_the_address(stack: Stack) -> None:
    booking, owner = await unreachable(stack), Owner(stack)
    assert await owner.types("show", booking.id) == 0
    assert "not delivered: 127.0.0.1:" in owner.printed[0]
    assert await owner.types("correct-email", booking.id, "--email", "nobody") == 1
    assert "This does not look like an email address." in owner.said
    assert await owner.types("correct-email", booking.id, "--email", RIGHT, "--json") == 0
    assert owner.result["changed"] is True
    assert [subject.partition(":")[0] for subject in await stack.mail(RIGHT)] == ["Confirmed"]
    assert await owner.types("correct-email", booking.id, "--email", RIGHT, "--json") == 0
    assert owner.result["changed"] is False


async def test_the_terminal_notes_that_a_refund_was_paid_another_way(stack: Stack) -> None:
    booking, owner = await stack.confirmed(await stack.in_days(20)), Owner(stack)
    stack.stripe.switches.refund_mode = "refused"
    await stack.parts.owner_refunds.give_back(booking.id, None)
    [refund] = await stack.refunds(booking)
    assert await owner.types("show", booking.id) == 0
    assert "delayed (refund: InvalidRequestError 400); we keep trying" in owner.printed[0]
    assert await owner.types("paid-another-way", booking.id, "--refund", "rf_other", "--yes") == 2
    assert refund.id in owner.said
    assert await owner.types("paid-another-way", booking.id, "--yes", "--json") == 0
    assert owner.result["changed"] is True
    assert "The refund of SEK 1,200.00 will count as paid by you" in owner.said
    assert [refund.status for refund in await stack.refunds(booking)] == ["paid_another_way"]
    assert await owner.types("paid-another-way", booking.id, "--yes") == 1
    assert await owner.types("show", booking.id) == 0
    assert "SEK 1,200.00, paid back another way" in owner.printed[0]


async def test_without_a_yes_nothing_is_noted_as_paid(stack: Stack) -> None:
    booking, owner = await stack.confirmed(await stack.in_days(20)), Owner(stack, answer=False)
    stack.stripe.switches.refund_mode = "refused"
    await stack.parts.owner_refunds.give_back(booking.id, None)
    assert await owner.types("paid-another-way", booking.id) == 1
    assert [refund.status for refund in await stack.refunds(booking)] == ["requested"]


async def test_eva_corrects_an_address_and_sends_mails_again(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"staff_emails": EVA}) as stack:
        booking, eva = await unreachable(stack), Browser(stack)
        await eva.open(f"{await sign_in(stack, eva)}/bookings/{booking.id}")
        assert "not delivered: 127.0.0.1:" in text_of(eva.page.text)
        await eva.send('action="[^"]*/email"', email="nobody")
        assert "This is not an email address." in text_of(eva.page.text)
        await eva.send('action="[^"]*/email"', email=RIGHT)
        assert "The address was changed." in text_of(eva.page.text)
        assert [subject.partition(":")[0] for subject in await stack.mail(RIGHT)] == ["Confirmed"]
        stack.mailbox.unknown.add(RIGHT)
        await stack.cancel(booking, by=Actor.OWNER)
        await stack.tick(times=2)
        stack.mailbox.unknown.clear()
        await eva.open(eva.page.url.path)
        await eva.send('action="[^"]*/mails"')
        assert [subject.partition(":")[0] for subject in await stack.mail(RIGHT)] == ["Cancelled"]


async def test_eva_notes_that_a_refund_was_paid_another_way(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"staff_emails": EVA}) as stack:
        booking, eva = await stack.confirmed(await stack.in_days(20)), Browser(stack)
        stack.stripe.switches.refund_mode = "refused"
        await stack.parts.owner_refunds.give_back(booking.id, None)
        [refund] = await stack.refunds(booking)
        await eva.open(f"{await sign_in(stack, eva)}/bookings/{booking.id}")
        page = eva.page.url.path
        assert "delayed (" in text_of(eva.page.text)
        await eva.open(f"{page}/paid-another-way?refund={refund.id}")
        assert "Did you pay this back another way?" in text_of(eva.page.text)
        await eva.send('action="[^"]*/paid-another-way"')
        assert "Marked as paid another way." in text_of(eva.page.text)
        assert [refund.status for refund in await stack.refunds(booking)] == ["paid_another_way"]
        await eva.open(f"{page}/paid-another-way?refund={refund.id}")
        assert "Did you pay this back" not in text_of(eva.page.text)
