"""Whether all is well, in one line or in words with what to do; what *Technical* can do again by hand; the owner's mail
and the bookkeeper's table."""

import csv
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from io import StringIO
from pathlib import Path

import httpx
import pytest

from sandbox.hapio import Fault
from tests.support.browser import Browser
from tests.support.stack import Stack, open_stack, text_of
from tests.support.staff import EVA, ask, links, sign_in

ANNA, OWNER = "anna@customer.example", "owner@studio.example"


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio where Eva works."""
    async with open_stack(tmp_path, settings={"staff_emails": EVA}) as stack:
        yield stack


@pytest.fixture
def eva(studio: Stack) -> Browser:
    """Who works there."""
    return Browser(studio)


async def test_the_first_page_says_in_one_line_that_all_is_well(studio: Stack, eva: Browser) -> None:
    await studio.confirmed()
    await studio.mail(ANNA)
    await sign_in(studio, eva)
    assert "All is well." in text_of(eva.page.text)
    studio.clock.advance(timedelta(minutes=5))
    said = await eva.open(str(eva.page.url.path))
    assert "Nothing is being carried out" in said
    assert "All is well" not in said


async def test_a_mail_that_was_given_up_is_told_and_sent_again_once(studio: Stack, eva: Browser) -> None:
    studio.mailbox.unknown.add(ANNA)
    booking = await studio.confirmed()
    await studio.tick(times=3)
    studio.mailbox.unknown.clear()
    home = await sign_in(studio, eva)
    said = text_of(eva.page.text)
    assert "1 email could not be delivered. Correct the address on the booking, or send the email again." in said
    await eva.open(f"{home}/technical/emails")
    other = Browser(studio)
    await other.open(f"{home}/technical/emails")
    mail_id, tries = re.findall(
        r'name="id" value="([^"]+)"><input type="hidden" name="tries" value="(\d+)"', eva.page.text
    )[0]
    fields = {"id": mail_id, "tries": tries}
    done = await studio.client.post(f"{home}/technical/emails", data=fields, follow_redirects=True)
    assert "The email is being sent again." in done.text
    late = await studio.client.post(f"{home}/technical/emails", data=fields)
    assert late.status_code == 409
    assert "in another window or by the server" in late.text
    assert [subject.partition(":")[0] for subject in await studio.mail(ANNA)] == ["Confirmed"]
    line = next(
        entry for entry in (await studio.parts.bookings.view(booking.id)).history if entry.what == "mails_resent"
    )
    assert line.detail["who"] == EVA
    assert "Nothing is waiting, and nothing has failed." in await eva.open(f"{home}/technical/emails")


async def test_a_paid_booking_that_waits_for_the_calendar_is_told_with_a_link_to_it(
    studio: Stack, eva: Browser
) -> None:
    booking = await studio.hold()
    studio.hapio.faults.append(Fault("drop_before", times=None))
    await studio.paid(booking)
    studio.clock.advance(timedelta(minutes=11))
    await studio.tick()
    await sign_in(studio, eva)
    said = text_of(eva.page.text)
    assert "1 booking is paid but not confirmed" in said
    assert "The calendar (hapio) does not answer" in said
    assert re.search(rf'href="[^"]+/bookings/{booking.id}"', eva.page.text)


async def test_an_event_that_failed_is_acted_on_again_by_hand_and_the_second_window_is_told(
    studio: Stack, eva: Browser
) -> None:
    await studio.confirmed()
    await studio.tick()
    home = await sign_in(studio, eva)
    said = await eva.open(f"{home}/technical/events?all=1")
    assert "checkout.session.completed" in said
    await eva.open(f"{home}/house")
    assert eva.page.url.path == f"{home}/technical"
    [stored] = [one for one in await studio.parts.inbox.events() if one.event.type == "checkout.session.completed"]
    fields = {"id": stored.event.id, "tries": str(stored.tries)}
    done = await studio.client.post(f"{home}/technical/events", data=fields, follow_redirects=True)
    assert "The message was acted on." in done.text
    assert (await studio.client.post(f"{home}/technical/events", data=fields)).status_code == 409
    assert (await studio.client.post(f"{home}/technical/events", data={"id": "x", "tries": "1"})).status_code == 404


async def test_silent_webhooks_are_told_after_two_looks_and_until_one_arrives(studio: Stack, eva: Browser) -> None:
    store = studio.parts.store
    await store.events_were_missed()
    assert await store.stripe_silent_since() is None, "a server that was stopped has missed some, too"
    since = studio.clock()
    studio.clock.advance(timedelta(minutes=10))
    await store.events_were_missed()
    told = await store.stripe_silent_since()
    assert told
    assert abs(told - since) < timedelta(seconds=2)
    await studio.tick()
    await sign_in(studio, eva)
    assert "no message from Stripe has arrived by itself" in eva.page.text
    studio.clock.advance(timedelta(minutes=1))
    await studio.confirmed()
    assert await store.stripe_silent_since() is None


async def test_the_owners_mail_leads_through_the_sign_in_to_the_booking(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed()
    await studio.tick(times=3)
    [mail] = [message for message in studio.mailbox.messages if message.recipients == (OWNER,)]
    assert f"/staff?next=bookings/{booking.id}" in (mail.text or "")
    assert "/staff?next" not in "".join(one.text or "" for one in studio.mailbox.messages if ANNA in one.recipients)
    await eva.open(f"/staff?next=bookings/{booking.id}")
    await eva.send('action="/staff"', email=EVA)
    await eva.open(links(studio)[-1])
    await eva.send('action="/staff/in/[^"]+"')
    assert eva.page.url.path.endswith(f"/bookings/{booking.id}")
    assert "Anna Ek" in eva.page.text


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "bookings/../sign-out", "bookings/x/cancel", "\\evil", "/x"]
)
async def test_a_sign_in_leads_to_no_other_place(studio: Stack, eva: Browser, elsewhere: str) -> None:
    await eva.open(f"/staff?next={elsewhere}")
    assert "next" not in re.findall(r'name="([^"]+)"', eva.page.text)
    await ask(studio, eva)
    path = links(studio)[-1]
    answer = await studio.client.post(path, data={"next": elsewhere})
    assert re.fullmatch(r"/staff/[^/]+", answer.headers["location"])


def table(answer: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(answer.text.lstrip("\ufeff"))))


async def test_the_bookkeeper_gets_the_days_money_with_stripes_references(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed(await studio.in_days(3))
    later = await studio.confirmed(await studio.in_days(9), customer=studio.customer("Bo Berg"))
    await studio.parts.owner_refunds.give_back(booking.id, None)
    await studio.tick(times=3)
    home = await sign_in(studio, eva)
    day = booking.starts_at.date()
    answer = await studio.client.get(f"{home}/bookings.csv?from={day}&to={day}")
    [row] = table(answer)
    assert answer.headers["content-disposition"] == f'attachment; filename="bookings-{day}-{day}.csv"'
    assert (row["paid"], row["refunded"], row["kept"], row["currency"]) == ("1200.00", "1200.00", "0.00", "SEK")
    assert row["payment references"] == await studio.intent_of(booking)
    assert row["refund references"].startswith("re_")
    both = table(await studio.client.get(f"{home}/bookings.csv?from={day}&to={later.starts_at.date()}"))
    assert [one["reference"] for one in both] == [booking.id, later.id]
    secret = await studio.parts.staff.feed_token(EVA)
    assert len(table(await studio.client.get(f"/staff/feed/{secret}/bookings.csv?from={day}&to={day}"))) == 1
    for wrong in ("from=x&to=y", f"from={day}", f"from={later.starts_at.date()}&to={day}"):
        assert (await studio.client.get(f"{home}/bookings.csv?{wrong}")).status_code == 400
    assert (await studio.client.get(f"{home}x/bookings.csv?from={day}&to={day}")).status_code == 403
