"""The HTML door without script: plain pages and forms, as any browser has them."""

from urllib.parse import urlsplit

import httpx
import pytest

from app.domain.booking import Status
from sandbox.hapio import Fault
from tests.support.browser import Browser
from tests.support.rows import rows
from tests.support.stack import Stack


@pytest.fixture
def anna(stack: Stack) -> Browser:
    """A visitor."""
    return Browser(stack)


async def test_a_visitor_books_and_pays_with_plain_pages(stack: Stack, anna: Browser) -> None:
    assert "Portrait session" in await anna.open("/w/studio")
    said = await anna.open(f"/w/studio?service={stack.portrait_id}")
    assert "First day with free times" in said
    await anna.send('id="hf-hold"', start=anna.starts[0])
    said = await anna.send(
        'action="[^"]*/details"', name="Anna Ek", email="anna@customer.example", phone="070-123 45 67"
    )
    assert "SEK" in said
    assert "Free cancellation" in said or "refund until" in said
    await anna.send('action="[^"]*/pay"')
    assert anna.page.status_code == 303
    session_id = urlsplit(anna.page.headers["location"]).path.rpartition("/")[2]
    back = await stack.stripe.pay(session_id)
    said = await anna.open(back)
    assert "Confirmed" in said or "confirmed" in said
    [booking] = await rows(stack)
    assert booking.status is Status.CONFIRMED
    assert booking.customer
    assert booking.customer.phone == "+46701234567"
    await stack.tick()
    assert {message.recipients[0] for message in stack.mailbox.messages} == {
        "anna@customer.example",
        "owner@studio.example",
    }


async def test_mistakes_are_marked_next_to_their_fields_and_nothing_typed_is_lost(stack: Stack, anna: Browser) -> None:
    await anna.open(f"/w/studio?service={stack.portrait_id}")
    await anna.send('id="hf-hold"', start=anna.starts[0])
    await anna.send('action="[^"]*/details"', name="Anna Ek", email="anna@", phone="12")
    assert anna.page.status_code == 422
    assert 'value="Anna Ek"' in anna.page.text
    assert 'value="anna@"' in anna.page.text
    assert anna.page.text.count(' aria-invalid="true"') == 2


async def test_a_time_that_is_gone_is_answered_with_the_nearest_free_times(stack: Stack, anna: Browser) -> None:
    await anna.open(f"/w/studio?service={stack.portrait_id}")
    wanted = anna.starts[0]
    await stack.take_everyone(await stack.free_slot())
    said = await anna.send('id="hf-hold"', start=wanted)
    assert anna.page.status_code == 409
    assert "just been taken" in said
    assert anna.starts
    assert wanted not in anna.starts


async def test_with_hapio_down_the_visitor_can_try_the_same_time_again(stack: Stack, anna: Browser) -> None:
    await anna.open(f"/w/studio?service={stack.portrait_id}")
    wanted = anna.starts[0]
    stack.hapio.faults.append(Fault("drop_before", times=20))
    await anna.send('id="hf-hold"', start=wanted)
    assert anna.page.status_code == 503
    assert wanted in anna.starts
    stack.hapio.faults.clear()
    await stack.tick(after=stack.minutes(2))
    await anna.open(f"/w/studio?service={stack.portrait_id}")
    await anna.send('id="hf-hold"', start=wanted)
    assert anna.page.status_code == 200
    await stack.until_quiet()
    assert stack.hapio_bookings() == []


async def test_an_ended_hold_is_offered_again_with_what_was_typed(stack: Stack, anna: Browser) -> None:
    await anna.open(f"/w/studio?service={stack.portrait_id}")
    await anna.send('id="hf-hold"', start=anna.starts[0])
    details = anna.page
    await stack.tick(after=stack.minutes(11))
    anna.page = details
    said = await anna.send('action="[^"]*/details"', name="Anna Ek", email="anna@customer.example")
    assert "again" in said
    assert [booking.status for booking in await rows(stack)] == [Status.EXPIRED, Status.HELD]


async def test_looking_changes_nothing(stack: Stack, anna: Browser) -> None:
    """Mail scanners and link previews open every address they see, and more than once."""
    booking = await stack.hold()
    links = stack.parts.links
    token = links.booking_token(booking.id, ends_at=booking.ends_at)
    manage = links.manage_token(booking.id, booking.link_version)
    before = await rows(stack)
    calls = len(stack.hapio.calls)
    for _ in range(2):
        for path in (
            f"/b/{token}",
            f"/b/{token}/back",
            f"/b/{token}/return",
            f"/b/{token}/calendar.ics",
            f"/b/{token}/pay",
            f"/b/{token}/release",
            f"/b/{token}/extend",
            f"/manage/{manage}",
            f"/w/studio/hold?start={booking.starts_at.isoformat()}",
        ):
            await anna.open(path)
            assert not anna.page.headers.get_list("set-cookie")
    assert await rows(stack) == before
    assert stack.stripe.state.sessions == {}
    assert [call.method for call in stack.hapio.calls[calls:] if call.method != "GET"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/w/nobody", 404),
        ("/nowhere", 404),
        ("/b/forged", 403),
        ("/manage/forged", 403),
        ("/b/forged/pay", 405),
        ("/w/studio?service=unknown", 404),
        ("/w/studio?date=9999-12", 200),
        ("/w/studio?date=0001-01-01", 200),
        ("/w/studio?date=yesterday&tz=Mars/Base&lang=xx&resource=nobody", 200),
    ],
)
async def test_every_wrong_address_gets_a_page_in_words(path: str, status: int, stack: Stack, anna: Browser) -> None:
    said = await anna.open(path.replace("date=", f"service={stack.portrait_id}&date="))
    assert anna.page.status_code == status
    assert len(said) > 20
    assert "Traceback" not in said


async def test_a_booking_token_cannot_manage_and_a_manage_link_cannot_pay(stack: Stack, anna: Browser) -> None:
    booking = await stack.hold()
    links = stack.parts.links
    await anna.open(f"/manage/{links.booking_token(booking.id, ends_at=booking.ends_at)}")
    assert anna.page.status_code == 403
    answer = await stack.client.post(f"/b/{links.manage_token(booking.id, booking.link_version)}/pay")
    assert answer.status_code == 403


async def test_an_expired_link_says_so(stack: Stack, anna: Browser) -> None:
    booking = await stack.hold()
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    stack.clock.advance(stack.minutes(60 * 24 * 400))
    said = await anna.open(f"/b/{token}")
    assert anna.page.status_code == 410
    assert "expired" in said


async def test_only_the_owners_sites_may_frame_the_widget_and_nobody_the_manage_page(
    stack: Stack, anna: Browser
) -> None:
    await anna.open("/w/studio")
    assert "frame-ancestors 'self' https://studio.example" in anna.page.headers["content-security-policy"]
    booking = await stack.hold()
    await anna.open(f"/manage/{stack.parts.links.manage_token(booking.id, booking.link_version)}")
    assert "frame-ancestors 'none'" in anna.page.headers["content-security-policy"]


async def test_ten_thousand_views_within_one_period_cost_one_read(stack: Stack, anna: Browser) -> None:
    await anna.open(f"/w/studio?service={stack.portrait_id}")
    read = len(stack.hapio.calls)
    for _ in range(10_000):
        await stack.client.get(f"/w/studio?service={stack.portrait_id}")
    assert len(stack.hapio.calls) == read


@pytest.mark.parametrize("host", ["book.example", "evil.example", "evil.example:1", "["])
@pytest.mark.parametrize(
    ("path", "led_to"),
    [
        ("/w/studio/", "/w/studio"),
        ("/w/studio/?date=2026-12&host=https%3A%2F%2Fstudio.example%2F", None),
        ("/staff/", "/staff"),
        ("/api/services/", "/api/services"),
        ("/w/studio//", "/w/studio"),
    ],
)
async def test_a_slash_too_many_leads_to_the_page_whatever_the_browser_calls_us(
    path: str, led_to: str | None, host: str, stack: Stack
) -> None:
    answer = await stack.client.get(path, headers={"Host": host})
    assert answer.status_code == 307
    assert answer.headers["location"] == (led_to or path.replace("/?", "?"))


@pytest.mark.parametrize("path", ["//evil.example/", "//evil.example//", "/\\evil.example/", "/nowhere/", "//", "/w//"])
async def test_a_slash_too_many_leads_to_no_other_site(path: str, stack: Stack) -> None:
    answer = await stack.client.get(httpx.URL("https://book.example").copy_with(raw_path=path.encode()))
    assert answer.status_code == 404
    assert "location" not in answer.headers
