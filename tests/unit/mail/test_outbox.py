"""Mail leaves from rows: written with the change it tells of, sent at least once, visible when it cannot be."""

import pytest

from app.domain.booking import Status
from tests.support.stack import Stack

pytestmark = pytest.mark.both_databases


async def test_a_confirmed_customer_gets_a_mail_with_a_calendar_file_and_a_link(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.paid(booking)
    await stack.tick()
    [mail] = [message for message in stack.mailbox.messages if message.recipients == ("anna@customer.example",)]
    [entry] = mail.attachments
    assert "UID:" in (entry.text or "")
    assert "/manage/" in (mail.text or "")
    assert "/manage/" in (mail.html or "")


async def test_a_refused_mail_is_sent_later_under_the_same_message_id(stack: Stack) -> None:
    stack.mailbox.refuse = "temporary"
    booking = await stack.hold()
    await stack.paid(booking)
    await stack.tick(times=3)
    assert stack.mailbox.messages == []
    stack.mailbox.refuse = "none"
    await stack.until_quiet()
    assert len({message.header("Message-ID") for message in stack.mailbox.messages}) == 2
    assert len(stack.mailbox.messages) == 2


async def test_mail_trouble_never_touches_the_booking(stack: Stack) -> None:
    stack.mailbox.refuse = "permanent"
    booking = await stack.hold()
    await stack.paid(booking)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED
    assert stack.mailbox.messages == []


async def test_who_walked_away_with_details_given_is_told_that_nothing_was_charged(stack: Stack) -> None:
    await stack.hold()
    await stack.tick(after=stack.minutes(11))
    await stack.tick()
    [mail] = stack.mailbox.messages
    assert mail.recipients == ("anna@customer.example",)
    assert "not been charged" in (mail.text or "")


async def test_who_gave_the_time_back_gets_no_mail(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.parts.hold.give_up(booking.id)
    await stack.until_quiet()
    assert stack.mailbox.messages == []
