"""What a visitor is told when a provider is down or a link is bad: what happened, that nothing was lost, a way on."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from sandbox import hapio, stripe
from tests.e2e.conftest import Visit
from tests.e2e.stack import Shop
from tests.e2e.steps import (
    choose_service,
    expect_confirmed,
    go_to_stripe,
    heading,
    hold_and_tell,
    open_widget,
    pay,
    start_of,
    times,
    token_in,
    type_details,
    widget,
)

#: A provider that failed repeatedly is left alone for half a minute.
PAUSE = timedelta(seconds=31)
#: A lock that got no answer may still have been made; a minute later the worker looks, and gives it back.
UNSURE = timedelta(seconds=61)


async def test_when_the_calendar_is_down_the_chosen_time_waits_for_another_try(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("503")
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    wanted = await start_of(times(screen).last)
    shop.hapio.faults.append(hapio.Fault(kind="error_before", status=503, times=1000))
    await times(screen).last.click()
    told = screen.get_by_role("group").filter(has_text="The calendar cannot be reached right now.")
    await expect(told).to_contain_text("Nothing was charged.")
    assert await start_of(told.get_by_role("button")) == wanted
    await expect(times(screen).first).to_be_visible()

    shop.mend()
    await shop.tick(after=UNSURE)
    await told.get_by_role("button").click()
    await type_details(screen)
    assert len(shop.in_hapio(wanted)) == 1


async def test_when_the_calendar_is_down_known_times_are_shown_with_their_age(shop: Shop, visit: Visit) -> None:
    first, second = await visit(), await visit()
    await choose_service(await open_widget(first, shop))
    shop.hapio.faults.append(hapio.Fault(kind="error_before", status=503, times=1000))
    shop.clock.advance(timedelta(minutes=10))
    screen = await open_widget(second, shop)
    await choose_service(screen)
    await expect(screen.get_by_text("Times as of 09:00; we check again when you choose.")).to_be_visible()


async def test_when_the_calendar_was_never_reached_the_page_says_so_and_offers_another_try(
    shop: Shop, visit: Visit
) -> None:
    visitor = await visit()
    visitor.expect_problem("503")
    screen = await open_widget(visitor, shop)
    await expect(screen.get_by_role("button", name="Portrait session")).to_be_visible()
    shop.hapio.faults.append(hapio.Fault(kind="error_before", status=503, times=1000))
    shop.clock.advance(timedelta(hours=2))
    await screen.get_by_role("button", name="Portrait session").click()
    await expect(heading(screen, "The calendar is not responding")).to_be_visible()
    shop.mend()
    shop.clock.advance(PAUSE)
    await screen.get_by_role("link", name="Try again").click()
    await expect(times(screen).first).to_be_visible()


async def test_when_stripe_is_down_the_summary_stays_and_paying_can_be_tried_again(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("503")
    screen = await open_widget(visitor, shop)
    starts_at = await hold_and_tell(screen)
    shop.stripe.faults.append(stripe.Fault(kind="error_before", times=1000))
    await screen.get_by_role("button", name="Pay").click()
    told = visitor.page.get_by_role("group").filter(has_text="The payment page cannot be reached right now.")
    await expect(told).to_contain_text("Nothing was charged.")
    await expect(told).to_contain_text("Your time is still held.")
    await expect(heading(visitor.page, "Check your booking")).to_be_visible()
    assert len(shop.in_hapio(starts_at)) == 1

    shop.mend()
    shop.clock.advance(PAUSE)
    await go_to_stripe(visitor.page, visitor.page)
    await pay(visitor.page)
    await expect_confirmed(visitor.page)


async def test_a_lost_connection_is_told_and_nothing_typed_is_lost(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("ERR_INTERNET_DISCONNECTED|Failed to fetch")
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    await times(screen).last.click()
    await type_details(screen)
    await visitor.context.set_offline(True)
    await screen.get_by_role("button", name="Pay").click()
    await expect(screen.get_by_text("We could not reach our server. Nothing was lost or charged")).to_be_attached()
    await expect(screen.get_by_label("Name")).to_have_value("Anna Ek")
    await visitor.context.set_offline(False)
    await go_to_stripe(screen, visitor.page)


@pytest.mark.parametrize("path", ["/w/nobody", "/b/no-such-token", "/manage/no-such-token", "/nothing-here"])
async def test_an_address_that_leads_nowhere_says_so(shop: Shop, visit: Visit, path: str) -> None:
    visitor = await visit()
    visitor.expect_problem("40[34]")
    await visitor.page.goto(shop.public + path)
    refused = "/b/" in path or "/manage/" in path
    told = "This link does not work" if refused else "Page not found"
    await expect(heading(visitor.page, told)).to_be_visible()


async def test_a_booking_link_that_was_changed_or_is_old_opens_nothing(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("403")
    visitor.expect_problem("410")
    await visitor.page.goto(f"{shop.public}/w/studio")
    await hold_and_tell(visitor.page)
    token = token_in(visitor.page.url)
    changed = token[:-1] + ("A" if token[-1] != "A" else "E")
    await visitor.page.goto(f"{shop.public}/b/{changed}")
    await expect(heading(visitor.page, "This link does not work")).to_be_visible()
    await visitor.page.goto(f"{shop.public}/manage/{token}")
    await expect(heading(visitor.page, "This link does not work")).to_be_visible()

    booking = await shop.booking(token)
    long_ago = shop.parts.links.booking_token(booking.id, ends_at=datetime(2026, 1, 1, tzinfo=UTC))
    await visitor.page.goto(f"{shop.public}/b/{long_ago}")
    await expect(heading(visitor.page, "This link has expired")).to_be_visible()


async def test_a_site_that_may_not_show_the_widget_cannot_frame_it(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("frame-ancestors")
    stranger = shop.host.replace("localhost", "stranger.localhost")
    await visitor.page.goto(stranger)
    await expect(widget(visitor).get_by_role("button", name="Portrait session")).to_have_count(0)
