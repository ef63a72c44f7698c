"""The staff page: who gets in and for how long, what is seen there, and that its buttons do what was shown."""

import asyncio
import csv
import re
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from datetime import timedelta
from html import unescape
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from icalendar import Calendar

from app.domain.booking import Actor, Booking, Customer, EndReason, Status
from app.settings import SettingsError, read_settings
from tests.support.browser import Browser
from tests.support.manage import everything, plain
from tests.support.stack import Stack, open_stack, text_of
from tests.support.staff import EVA, ask, copies, links, sign_in


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio where Eva works."""
    async with open_stack(tmp_path, settings={"staff_emails": EVA}) as stack:
        yield stack


@pytest.fixture
def eva(studio: Stack) -> Browser:
    """Who works there."""
    return Browser(studio)


# Signing in


async def test_eva_signs_in_by_a_link_in_the_mail(studio: Stack, eva: Browser) -> None:
    await studio.confirmed()
    home = await sign_in(studio, eva)
    assert home.startswith("/staff/")
    assert "Monday 23 November" in text_of(eva.page.text)
    assert "Anna Ek" in await eva.open(f"{home}/bookings")
    assert "set-cookie" not in eva.page.headers
    assert eva.page.headers["referrer-policy"] == "no-referrer"
    assert eva.page.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in eva.page.headers["content-security-policy"]
    assert "script-src" not in eva.page.headers["content-security-policy"]
    assert "<script" not in eva.page.text


async def test_the_link_works_once(studio: Stack, eva: Browser) -> None:
    await sign_in(studio, eva)
    other = Browser(studio)
    await other.open(links(studio)[0])
    assert "Please sign in again" in await other.send('action="/staff/in/[^"]+"')
    assert other.page.status_code == 410


async def test_a_mail_scanner_that_opens_the_link_does_not_use_it_up(studio: Stack, eva: Browser) -> None:
    await ask(studio, eva)
    before = await everything(studio)
    for _ in range(3):
        await eva.open(links(studio)[0])
    assert await everything(studio) == before
    await eva.send('action="/staff/in/[^"]+"')
    assert eva.page.status_code == 200


async def test_the_link_is_good_for_a_quarter_of_an_hour(studio: Stack, eva: Browser) -> None:
    await ask(studio, eva)
    studio.clock.advance(timedelta(minutes=14))
    assert "Sign in to the bookings" in await eva.open(links(studio)[0])
    studio.clock.advance(timedelta(minutes=1))
    assert "Please sign in again" in await eva.open(links(studio)[0])


async def test_nobody_learns_which_addresses_may_sign_in(studio: Stack, eva: Browser) -> None:
    stranger = Browser(studio)
    assert await ask(studio, stranger, "anna@customer.example") == await ask(studio, eva)
    assert stranger.page.status_code == eva.page.status_code
    assert [message.recipients for message in studio.mailbox.messages] == [(EVA,)]


async def test_a_mailbox_is_not_flooded_and_the_answer_stays_the_same(studio: Stack, eva: Browser) -> None:
    said = {await ask(studio, eva) for _ in range(6)}
    assert len(said) == 1
    assert len(links(studio)) == 4
    assert "One moment, please" in await ask(studio, eva)
    assert eva.page.status_code == 429


async def test_a_page_that_is_used_stays_open_and_one_that_is_not_does_not(studio: Stack, eva: Browser) -> None:
    home = await sign_in(studio, eva)
    for _ in range(4):
        studio.clock.advance(timedelta(minutes=20))
        await eva.open(re.findall(r'<a class="brand" href="([^"]+)"', eva.page.text)[0])
        assert eva.page.status_code == 200
    await eva.open(home)
    assert eva.page.status_code == 410, "the first address is more than half an hour old"


async def test_after_a_working_day_everyone_signs_in_again(studio: Stack, eva: Browser) -> None:
    await sign_in(studio, eva)
    for _ in range(36):
        studio.clock.advance(timedelta(minutes=20))
        await eva.open(re.findall(r'<a class="brand" href="([^"]+)"', eva.page.text)[0])
    assert eva.page.status_code == 410


async def test_signing_out_closes_every_address_of_the_sign_in(studio: Stack, eva: Browser) -> None:
    home = await sign_in(studio, eva)
    await eva.send('action="[^"]+/sign-out"')
    await eva.open(home)
    assert eva.page.status_code == 410


async def test_who_no_longer_works_here_is_out_at_once(studio: Stack, eva: Browser) -> None:
    home = await sign_in(studio, eva)
    studio.settings = studio.settings.model_copy(update={"staff_emails": ("new@studio.example",)})
    await studio.restart()
    await eva.open(home)
    assert eva.page.status_code == 410


@pytest.mark.parametrize("path", ["/staff", "/staff/in/x", "/staff/x", "/staff/feed/x/bookings.csv"])
async def test_without_addresses_in_the_settings_there_is_no_way_in(stack: Stack, path: str) -> None:
    assert (await stack.client.get(path)).status_code in {403, 404}


@pytest.mark.parametrize(
    ("set_up", "typed", "mailed"),
    [
        ("eva@straße.example", "eva@straße.example", "eva@xn--strae-oqa.example"),
        ("eva@xn--strae-oqa.example", "eva@straße.example", "eva@xn--strae-oqa.example"),
        ("eva@straße.example", "EVA@XN--STRAE-OQA.example", "eva@xn--strae-oqa.example"),
        ("eva@σίγμας.example", "eva@σίγμας.example", "eva@xn--kxaef0b5ab.example"),
        ("Eva@Studio.Example", "eva@STUDIO.example", "Eva@studio.example"),
    ],
)
async def test_the_link_goes_to_the_address_as_the_owner_wrote_it(
    tmp_path: Path, set_up: str, typed: str, mailed: str
) -> None:
    async with open_stack(tmp_path, settings={"staff_emails": set_up}) as studio:
        await ask(studio, Browser(studio), typed)
        assert [message.recipients for message in studio.mailbox.messages] == [(mailed,)]


async def test_a_domain_that_only_looks_like_a_members_signs_nobody_in(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"staff_emails": "eva@straße.example"}) as studio:
        await ask(studio, Browser(studio), "eva@strasse.example")
        assert studio.mailbox.messages == []


async def test_a_member_whose_address_has_capitals_is_signed_in_and_keeps_her_feed(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"staff_emails": "Eva@studio.example"}) as studio:
        feed = await studio.parts.staff.feed_token(EVA)
        await ask(studio, eva := Browser(studio))
        link = re.search(r"/staff/in/\S+", studio.mailbox.messages[-1].text or "")
        assert link
        await eva.open(link[0])
        await eva.send('action="/staff/in/[^"]+"')
        assert eva.page.status_code == 200
        await studio.parts.staff.check_feed(feed)


async def test_a_customers_link_opens_no_staff_page(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed()
    for token in (
        studio.parts.links.manage_token(booking.id, booking.link_version),
        studio.parts.links.booking_token(booking.id, ends_at=booking.ends_at),
        await studio.parts.staff.feed_token(EVA),
    ):
        await eva.open(f"/staff/{token}")
        assert eva.page.status_code == 403


def test_addresses_that_are_none_or_cannot_be_mailed_to_stop_the_start() -> None:
    given = {"HAPIO_API_TOKEN": "t", "SECRET_KEYS": "k" * 32, "PUBLIC_URL": "https://book.example"}
    mail = {"SMTP_URL": "smtp://mail.example", "MAIL_FROM": "book@book.example"}
    assert read_settings({**given, **mail, "STAFF_EMAILS": "Eva@Studio.Example, bo@studio.example"}).staff_emails == (
        "Eva@studio.example",
        "bo@studio.example",
    )
    for wrong in ({**mail, "STAFF_EMAILS": "eva"}, {"STAFF_EMAILS": EVA}):
        with pytest.raises(SettingsError, match="STAFF_EMAILS"):
            read_settings({**given, **wrong})


async def test_the_logs_name_nobody_and_open_nothing(
    studio: Stack, eva: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/technical")
    await eva.open(f"{home}x")
    logged = "".join(capsys.readouterr())
    assert "staff signed in" in logged
    for secret in (EVA, home, links(studio)[0], await studio.parts.staff.feed_token(EVA)):
        assert secret.rpartition("/")[2] not in logged


# Looking


async def test_the_days_show_who_comes_and_a_day_prints_what_they_wrote(studio: Stack, eva: Browser) -> None:
    start = await studio.in_days(3)
    wrote = Customer(name="Bo Berg", email="bo@customer.example", phone="+46701234567", notes="With my dog")
    await studio.confirmed(start, customer=wrote)
    await studio.confirmed(await studio.in_days(20), customer=studio.customer("Cia Ceder"))
    home = await sign_in(studio, eva)
    said = await eva.open(f"{home}/bookings")
    assert "Bo Berg" in said
    assert "Cia Ceder" not in said, "that is three weeks ahead"
    assert "With my dog" not in said
    assert "Cia Ceder" in await eva.open(f"{home}/bookings?days=31")
    assert "With my dog" in await eva.open(f"{home}/bookings?days=1&from={start.date()}")
    assert "Bo Berg" not in await eva.open(f"{home}/bookings?days=1&from={start.date() + timedelta(days=1)}")


async def test_days_can_be_those_of_one_person(studio: Stack, eva: Browser) -> None:
    service = await studio.parts.availability.service(studio.parts.widgets["studio"], studio.portrait_id)
    one, two = service.resources[:2]
    for resource, name in ((one, "Bo Berg"), (two, "Cia Ceder")):
        await studio.confirmed(customer=studio.customer(name), resource_id=resource.id)
    home = await sign_in(studio, eva)
    said = await eva.open(f"{home}/bookings?person={two.id}")
    assert "Cia Ceder" in said
    assert "Bo Berg" not in said


@pytest.mark.parametrize("text", ["anna", "Ek", "ANNA@customer", "070-123 45", "reference"])
async def test_a_booking_is_found_by_name_address_phone_and_reference(studio: Stack, eva: Browser, text: str) -> None:
    booking = await studio.confirmed(customer=replace(studio.customer(), phone="+46701234567"))
    await studio.confirmed(await studio.in_days(4), customer=studio.customer("Bo Berg"))
    home = await sign_in(studio, eva)
    await eva.open(home)
    said = await eva.send('action="[^"]+/find"', q=booking.id[:12] if text == "reference" else text)
    assert "Anna Ek" in said
    assert "Bo Berg" not in said
    assert "Nothing found" in await eva.send('action="[^"]+/find"', q="%")


async def test_one_booking_shows_its_money_its_history_and_its_mails(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed()
    intent = await studio.intent_of(booking)
    await studio.mail("anna@customer.example")
    home = await sign_in(studio, eva)
    said = plain(await eva.open(f"{home}/bookings/{booking.id}"))
    for words in ("Anna Ek", booking.id, "SEK 1,200.00", intent, "Time held", "Paid", "Confirmed"):
        assert words in said
    assert re.search(r"sent .+ Confirmation", said)


async def test_looking_changes_nothing(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed()
    home = await sign_in(studio, eva)
    before = await everything(studio)
    for path in (
        "",
        "/find?q=a",
        "/house",
        "/technical",
        "/technical/emails",
        *(f"/bookings/{booking.id}{act}" for act in ("", "/cancel", "/move")),
    ):
        await eva.open(home + path)
        assert eva.page.status_code == 200, path
    await eva.open(f"{home}/bookings/{booking.id}/refund?amount=20")
    assert await everything(studio) == before


# Acts


async def test_eva_cancels_and_the_amount_that_was_shown_goes_back(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed()
    home = await sign_in(studio, eva)
    said = plain(await eva.open(f"{home}/bookings/{booking.id}/cancel"))
    assert "SEK 1,200.00 back" in said
    assert studio.money_kept() == 120000
    said = await eva.send('action="[^"]+/cancel"')
    assert "The booking has been cancelled." in said
    assert studio.money_kept() == 0
    canceled = await studio.now(booking)
    assert (canceled.status, canceled.end_reason) == (Status.CANCELED, EndReason.BY_OWNER)


async def test_the_history_says_who_of_the_staff_did_it_and_nobody_where_the_worker_went_on(
    studio: Stack, eva: Browser
) -> None:
    booking = await studio.confirmed()
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/bookings/{booking.id}/refund?amount=200")
    await eva.send('action="[^"]+/refund"')
    await eva.open(f"{home}/bookings/{booking.id}/cancel")
    said = await eva.send('action="[^"]+/cancel"')
    await studio.until_quiet()
    told = {
        str(entry.what): entry.detail.get("who") for entry in (await studio.parts.bookings.view(booking.id)).history
    }
    assert (told["refund_added"], told["by_owner"], told["confirmed"]) == (EVA, EVA, None)
    assert plain(said).count(f"by {EVA}") >= 2


async def test_a_cancellation_that_was_overtaken_is_shown_again(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed()
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/bookings/{booking.id}/cancel")
    await studio.move(booking, await studio.in_days(6))
    said = await eva.send('action="[^"]+/cancel"')
    assert "has changed in the meantime" in said
    assert await studio.status(booking) is Status.CONFIRMED
    await eva.send('action="[^"]+/cancel"')
    assert await studio.status(booking) is Status.CANCELED


async def test_an_old_page_cancels_nothing(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed()
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/bookings/{booking.id}/cancel")
    studio.clock.advance(timedelta(minutes=11))
    assert "Please check it again" in await eva.send('action="[^"]+/cancel"')
    assert await studio.status(booking) is Status.CONFIRMED


async def test_eva_gives_a_part_back_and_the_form_that_comes_twice_gives_it_once(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed()
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/bookings/{booking.id}/refund")
    said = plain(await eva.send('action="[^"]+/refund"', amount="200,50"))
    assert "SEK 200.50 back" in said
    assert "The remaining SEK 999.50 is not refunded" in said
    assert studio.money_kept() == 120000
    form = eva.page
    await eva.send('action="[^"]+/refund"')
    assert studio.money_kept() == 99950
    eva.page = form
    assert "Please check it again" in await eva.send('action="[^"]+/refund"')
    assert studio.money_kept() == 99950
    assert await studio.status(booking) is Status.CONFIRMED


async def test_a_double_click_refunds_once(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed()
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/bookings/{booking.id}/refund?amount=100")
    again = Browser(studio)
    again.page = eva.page
    await asyncio.gather(eva.send('action="[^"]+/refund"'), again.send('action="[^"]+/refund"'))
    assert studio.money_kept() == 110000


@pytest.mark.parametrize("amount", ["0", "-5", "1200.01", "much", "1e2", "1e999997", "1_0", "٣", "1.200", "NaN", ""])
async def test_a_time_that_cannot_be_given_up_is_asked_about_again(studio: Stack, eva: Browser, amount: str) -> None:
    booking = await studio.confirmed()
    home = await sign_in(studio, eva)
    said = plain(await eva.open(f"{home}/bookings/{booking.id}/refund?amount={amount}"))
    assert "This amount cannot be refunded." in said
    assert "At most SEK 1,200.00" in said


async def test_eva_moves_a_booking_past_the_customers_limits(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed(await studio.in_days(0))
    home = await sign_in(studio, eva)
    said = await eva.open(f"{home}/bookings/{booking.id}/move")
    assert "Choose another time" in said
    start = next(start for start in eva.starts if start != booking.starts_at.isoformat().replace("+00:00", "Z"))
    said = await eva.send('id="hf-hold"', start=start)
    assert "Nothing to pay or refund" in said
    assert (await studio.now(booking)).starts_at == booking.starts_at
    said = await eva.send('action="[^"]+/move"')
    assert "The booking has been moved." in said
    assert (await studio.now(booking)).starts_at.isoformat().replace("+00:00", "Z") == start
    assert (await studio.now(booking)).moves == 0, "the owner's moves do not count against the customer's"


async def test_a_dearer_move_is_held_and_the_page_to_pay_on_is_shown(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed(service="headshot")
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/bookings/{booking.id}/move?service={studio.portrait_id}")
    said = plain(await eva.send('id="hf-hold"', start=eva.starts[-1]))
    assert "SEK 550.00 more" in said
    said = plain(await eva.send('action="[^"]+/move"'))
    assert "SEK 550.00 by" in said
    assert "http://stripe.sandbox/" in eva.page.text
    move = await studio.parts.store.open_move(booking.id)
    assert move
    assert "Held for a move" in await eva.open(f"{home}?from={move.reservation.starts_at.date()}")
    await eva.open(f"{home}/bookings/{booking.id}")
    said = await eva.send('action="[^"]+/give-up"')
    assert "The move has been stopped" in said
    assert (await studio.now(booking)).starts_at == booking.starts_at


async def test_eva_notes_that_nobody_came(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed()
    home = await sign_in(studio, eva)
    assert "Mark as missed" not in await eva.open(f"{home}/bookings/{booking.id}")
    studio.clock.set(booking.starts_at + timedelta(minutes=15))
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/bookings/{booking.id}")
    assert "Marked as missed." in await eva.send('action="[^"]+/no-show"')
    assert (await studio.now(booking)).no_show
    assert "No longer marked as missed." in await eva.send('action="[^"]+/no-show"')
    assert not (await studio.now(booking)).no_show


async def test_eva_mails_the_customer_a_fresh_link(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed()
    await studio.mail("anna@customer.example")
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/bookings/{booking.id}")
    assert "A new link is on its way" in await eva.send('action="[^"]+/resend"')
    assert await studio.mail("anna@customer.example")
    assert "a moment ago" in await eva.send('action="[^"]+/resend"')


async def test_holds_of_nobody_and_strangers_references_are_not_found(studio: Stack, eva: Browser) -> None:
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/bookings/bk_nothing")
    assert eva.page.status_code == 404


# Feeds


async def feed(stack: Stack, kind: str, email: str = EVA) -> str:
    return f"/staff/feed/{await stack.parts.staff.feed_token(email)}/bookings.{kind}"


async def test_a_spreadsheet_gets_every_booking_and_no_formula(studio: Stack) -> None:
    booking = await studio.confirmed(customer=Customer(name="=HYPERLINK(1)", email="bo@customer.example"))
    answer = await studio.client.get(await feed(studio, "csv"))
    [row] = csv.DictReader(StringIO(answer.text.lstrip("\ufeff")))
    assert (row["reference"], row["status"], row["price"], row["currency"]) == (
        booking.id,
        "confirmed",
        "1200.00",
        "SEK",
    )
    assert row["name"] == "'=HYPERLINK(1)"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_calendar_program_gets_what_stands(studio: Stack) -> None:
    booking = await studio.confirmed()
    gone = await studio.confirmed(await studio.in_days(5), customer=studio.customer("Bo Berg"))
    await studio.cancel(gone)
    answer = await studio.client.get(await feed(studio, "ics"))
    [entry] = Calendar.from_ical(answer.text).walk("VEVENT")
    assert entry["summary"] == "Portrait session · Anna Ek"
    assert entry.decoded("dtstart") == booking.starts_at
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"


async def test_the_feeds_address_is_shown_and_stops_working_with_its_key(studio: Stack, eva: Browser) -> None:
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/technical")
    [address] = re.findall(r'href="([^"]+bookings\.ics)"', eva.page.text)
    assert (await studio.client.get(urlsplit(address).path)).status_code == 200
    old = studio.settings.keys
    new = "a-new-secret-key-of-some-32-characters"
    for keys, status in (((new, *old), 200), ((new,), 403)):
        studio.settings = studio.settings.model_validate({**studio.settings.model_dump(), "secret_keys": keys})
        await studio.restart()
        assert (await studio.client.get(urlsplit(address).path)).status_code == status


def table(answer: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(answer.text.lstrip("\ufeff"))))


async def test_a_members_feeds_end_when_the_member_leaves(studio: Stack) -> None:
    address = await feed(studio, "csv")
    assert (await studio.client.get(address)).status_code == 200
    studio.settings = studio.settings.model_copy(update={"staff_emails": (EVA, "new@studio.example")})
    await studio.restart()
    assert (await studio.client.get(address)).status_code == 200
    studio.settings = studio.settings.model_copy(update={"staff_emails": ("new@studio.example",)})
    await studio.restart()
    for kind in ("csv", "ics"):
        assert (await studio.client.get(address.replace("csv", kind))).status_code == 403
    assert (await studio.client.get(await feed(studio, "csv", "new@studio.example"))).status_code == 200


async def test_a_member_makes_new_addresses_and_nobody_elses_change(studio: Stack, eva: Browser) -> None:
    studio.settings = studio.settings.model_copy(update={"staff_emails": (EVA, "bo@studio.example")})
    await studio.restart()
    home = await sign_in(studio, eva)
    mine, others = await feed(studio, "ics"), await feed(studio, "ics", "bo@studio.example")
    await eva.open(f"{home}/technical")
    said = await eva.send('action="[^"]+/feed"')
    assert "The old ones have stopped working" in said
    [shown] = re.findall(r'href="([^"]+bookings\.ics)"', eva.page.text)
    assert urlsplit(shown).path != mine
    assert EVA not in shown
    for address, status in ((mine, 403), (urlsplit(shown).path, 200), (others, 200)):
        assert (await studio.client.get(address)).status_code == status


async def test_a_phone_number_arrives_as_one_and_no_text_becomes_a_formula(studio: Stack) -> None:
    customer = Customer(
        name="Ada;=cmd|' /C calc'!A0",
        email="ada@customer.example",
        phone="+46701234567",
        notes="first\n=1+1\r\n;@SUM(A1)\n  -2",
        answers={"occasion": "=2+2", "old": "a;\t+3"},
    )
    await studio.confirmed(customer=customer)
    [row] = table(await studio.client.get(await feed(studio, "csv")))
    assert row["phone"] == "+46701234567"
    assert row["name"] == "Ada;'=cmd|' /C calc'!A0"
    assert (row["q_occasion"], row["q_old"]) == ("'=2+2", "a;\t'+3")
    for cell in row.values():
        for part in re.split(r"[;\r\n]", cell if cell != row["phone"] else ""):
            assert not re.match(r"""[\s"]*[=+\-@]""", part), cell


async def test_a_number_that_is_more_than_a_number_is_text(studio: Stack) -> None:
    for phone in ("+46;=1", "+1+cmd", "=1", "+46 70"):
        await studio.confirmed(customer=Customer(name="Bo", email="bo@customer.example", phone=phone))
    phones = {row["phone"] for row in table(await studio.client.get(await feed(studio, "csv")))}
    assert phones == {"'+46;'=1", "'+1+cmd", "'=1", "'+46 70"}


async def test_the_feed_of_a_new_studio_is_a_valid_calendar(studio: Stack) -> None:
    answer = await studio.client.get(await feed(studio, "ics"))
    calendar = Calendar.from_ical(answer.text)
    [zone] = calendar.walk("VTIMEZONE")
    assert zone["tzid"] == "Europe/Stockholm"
    assert calendar.walk("VEVENT") == []
    assert {"prodid", "version"} <= set(map(str.lower, calendar.keys()))
    await studio.confirmed()
    full = Calendar.from_ical((await studio.client.get(await feed(studio, "ics"))).text)
    # With a METHOD each entry would need an ORGANIZER (RFC 5546).
    assert "method" not in full
    assert len(full.walk("VTIMEZONE")) == len(full.walk("VEVENT")) == 1


async def test_a_poll_that_finds_nothing_new_is_told_so_and_sees_no_change(studio: Stack) -> None:
    booking = await studio.confirmed()
    address = await feed(studio, "ics")
    first = await studio.client.get(address)
    studio.clock.advance(timedelta(hours=3))
    again = await studio.client.get(address)
    assert again.content == first.content
    unchanged = await studio.client.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    await studio.parts.reschedule.booking(booking.id, starts_at=await studio.in_days(6), by=Actor.OWNER)
    changed = await studio.client.get(address, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]
    [before], [after] = (Calendar.from_ical(one.text).walk("VEVENT") for one in (first, changed))
    assert after.decoded("dtstamp") > before.decoded("dtstamp")


async def crowd(stack: Stack, count: int) -> tuple[Booking, str, str]:
    """So many bookings of one person, and after them one of another, whose visitor is Cia Ceder: the first booking, and
    both persons' ids."""
    service = await stack.parts.availability.service(stack.parts.widgets["studio"], stack.portrait_id)
    busy, rare = service.resources[:2]
    booking = await stack.confirmed(customer=stack.customer("Bo Berg"), resource_id=busy.id)
    assert booking.customer
    await copies(stack, booking, count - 1)
    cia = asdict(booking.customer) | {"name": "Cia Ceder"}
    other = {"resource_id": rare.id, "resource_name": rare.name, "starts_at": booking.starts_at + timedelta(days=2)}
    await copies(stack, booking, 1, customer=cia, **other)
    return booking, busy.id, rare.id


async def test_one_persons_days_are_whole_however_many_others_there_are(studio: Stack, eva: Browser) -> None:
    _, busy, rare = await crowd(studio, 510)
    home = await sign_in(studio, eva)
    said = await eva.open(f"{home}/bookings?person={rare}")
    assert "Cia Ceder" in said
    assert "Bo Berg" not in said
    assert "more bookings than fit" not in said
    await eva.open(f"{home}/bookings?person={busy}")
    assert f'value="{rare}"' in eva.page.text, "the other person can be chosen, though not on this page"


async def test_more_bookings_than_fit_are_told_of_and_are_on_the_next_page(studio: Stack, eva: Browser) -> None:
    booking, *_ = await crowd(studio, 510)
    home = await sign_in(studio, eva)
    said = await eva.open(f"{home}/bookings")
    assert "There are more bookings than fit on one page" in said
    first = set(re.findall(r"bk_[0-9a-f]+", eva.page.text))
    assert "Cia Ceder" not in said
    [after] = re.findall(r'<a class="button" href="([^"]+)">Next page</a>', eva.page.text)
    said = await eva.open(unescape(after))
    second = set(re.findall(r"bk_[0-9a-f]+", eva.page.text))
    assert "Cia Ceder" in said
    assert len(first | second) == 511
    assert not first & second
    assert booking.id in first | second
    assert "Previous page" in said


async def test_a_search_says_that_there_are_more(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed()
    await copies(studio, booking, 99)
    home = await sign_in(studio, eva)
    assert "These are the latest" not in await eva.open(f"{home}/find?q=anna")
    await copies(studio, booking, 1)
    assert "These are the latest" in await eva.open(f"{home}/find?q=anna")


async def test_a_feed_of_one_person_is_whole_and_one_of_all_says_that_there_are_more(studio: Stack) -> None:
    _, _, rare = await crowd(studio, 5000)
    for query, more in ((f"?person={rare}", False), ("", True)):
        rows = table(await studio.client.get(f"{await feed(studio, 'csv')}{query}"))
        assert any("There are more than these 5000" in row["reference"] for row in rows) is more
        assert ("Cia Ceder" in {row["name"] for row in rows}) is not more
        # Read as text, since a calendar package takes long for five thousand; long lines are folded.
        calendar = (await studio.client.get(f"{await feed(studio, 'ics')}{query}")).text.replace("\r\n ", "")
        assert ("more bookings from here on" in calendar.rpartition("BEGIN:VEVENT")[2]) is more
        assert calendar.count("BEGIN:VEVENT") == (5001 if more else 1)


async def test_a_feed_can_be_of_one_widget(studio: Stack) -> None:
    booking = await studio.confirmed()
    await copies(studio, booking, 1, widget="other")
    for widget, count in (("studio", 1), ("other", 1), ("none", 0)):
        assert len(table(await studio.client.get(f"{await feed(studio, 'csv')}?widget={widget}"))) == count


async def test_the_customers_language_is_shown_for_tags_with_a_territory(studio: Stack, eva: Browser) -> None:
    visitor = replace(studio.visitor(), language="de-DE")
    booking = await studio.hold(await studio.in_days(3), visitor=visitor)
    await studio.paid(booking)
    home = await sign_in(studio, eva)
    assert "Deutsch" in await eva.open(f"{home}/bookings/{booking.id}")


async def test_a_note_that_nobody_came_is_refused_before_the_visit_in_words(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed()
    home = await sign_in(studio, eva)
    answer = await studio.client.post(f"{home}/bookings/{booking.id}/no-show")
    assert answer.status_code == 409
    assert "The appointment has not started yet" in text_of(answer.text)


async def test_no_time_of_a_page_has_more_than_seconds(studio: Stack, eva: Browser) -> None:
    studio.clock.advance(timedelta(microseconds=123456))
    booking = await studio.confirmed()
    home = await sign_in(studio, eva)
    token = studio.parts.links.manage_token(booking.id, booking.link_version)
    day = f"{home}?from={booking.starts_at.date()}"
    for path in (f"{home}/bookings/{booking.id}", day, f"{home}/bookings", f"/manage/{token}"):
        await eva.open(path)
        moments = re.findall(r'<time[^>]* datetime="([^"]*)"', eva.page.text)
        assert moments
        assert all(re.fullmatch(r"[-0-9]+T[0-9:]+(\.\d{1,3})?[+-]\d\d:\d\d", moment) for moment in moments), moments
