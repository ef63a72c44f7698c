"""Whatever a browser lacks, every screen appears and works: scripts, cookies, storage, the CDN, webhooks."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from playwright.async_api import Page, Route, expect

from sandbox.hapio import Fault
from tests.e2e.conftest import Visit
from tests.e2e.harness import Visitor
from tests.e2e.stack import Shop
from tests.e2e.steps import (
    PORTRAIT,
    choose_service,
    choose_time,
    expect_confirmed,
    go_to_stripe,
    heading,
    hold_and_tell,
    open_widget,
    pay,
    start_of,
    times,
    to_summary,
    type_details,
)

HTMX = "**/htmx.min.js"


async def without_scripts(visit: Visit) -> Visitor:
    return await visit(scripts=False)


async def without_storage(visit: Visit) -> Visitor:
    return await visit(storage=False)


async def with_a_dead_cdn(visit: Visit) -> Visitor:
    visitor = await visit()
    visitor.expect_problem("ERR_FAILED")
    await visitor.page.route(HTMX, lambda route: route.abort())
    return visitor


async def with_a_silent_cdn(visit: Visit) -> Visitor:
    visitor = await visit()

    async def never(route: Route) -> None:
        """Leave the request open, as a network does that swallows it."""

    await visitor.page.route(HTMX, never)
    return visitor


Enter = Callable[[Visit], Awaitable[Visitor]]
LIMITS = pytest.mark.parametrize("enter", [without_scripts, without_storage, with_a_dead_cdn, with_a_silent_cdn])


@LIMITS
async def test_booking_and_paying_work_anyway(shop: Shop, visit: Visit, enter: Enter) -> None:
    visitor = await enter(visit)
    screen = await open_widget(visitor, shop)
    starts_at = await hold_and_tell(screen)
    if enter is not without_storage:  # without htmx, the summary has the form that may have the whole window
        await to_summary(screen, "Pay")
    await go_to_stripe(screen, visitor.page)
    await pay(visitor.page)
    await expect_confirmed(visitor.page)
    (booking,) = shop.in_hapio(starts_at)
    assert not booking.is_temporary


@LIMITS
async def test_day_month_person_and_zone_can_be_chosen_anyway(shop: Shop, visit: Visit, enter: Enter) -> None:
    visitor = await enter(visit)
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    first = await start_of(times(screen).first)
    month = await screen.locator("#hf-month").text_content()
    await screen.get_by_role("button", name="Next month").click()
    await expect(screen.locator("#hf-month")).not_to_have_text(month or "")
    await screen.locator("button.day").nth(1).click()
    await expect(screen.locator("button.day").nth(1)).to_have_attribute("aria-pressed", "true")
    assert await start_of(times(screen).first) > first + timedelta(days=1)
    await screen.get_by_role("button", name="Jonas Berg").click()
    await expect(screen.get_by_role("button", name="Jonas Berg")).to_have_attribute("aria-pressed", "true")
    await screen.get_by_role("button", name="Change the time zone").click()
    await screen.get_by_label("Show times in").select_option("Asia/Tokyo")
    await screen.get_by_role("button", name="Show").click()
    await expect(screen.get_by_text("Times in Tokyo, UTC+9")).to_be_visible()


@LIMITS
async def test_mistakes_a_lost_time_and_a_hold_that_ended_are_still_shown(
    shop: Shop, visit: Visit, enter: Enter
) -> None:
    visitor = await enter(visit)
    visitor.expect_problem("409")
    visitor.expect_problem("422")
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    wanted = await start_of(times(screen).last)
    await shop.book_elsewhere(wanted)
    await times(screen).last.click()
    told = screen.get_by_role("group").filter(has_text="This time has just been taken.")
    await told.get_by_role("button").last.press("Enter")

    await screen.get_by_role("button", name="Pay").press("Enter")
    await expect(screen.get_by_text("Please enter your name.").first).to_be_visible()
    await type_details(screen)
    await shop.tick(after=timedelta(minutes=11))
    await screen.get_by_role("button", name="Pay").press("Enter")
    await expect(screen.get_by_text("We held your time again.")).to_be_visible()

    await screen.get_by_role("link", name="Details").click()
    await screen.get_by_role("button", name="Other times").click()
    await expect(times(screen).first).to_be_visible()


@LIMITS
async def test_a_confirmation_that_takes_a_while_shows_by_itself_anyway(shop: Shop, visit: Visit, enter: Enter) -> None:
    visitor = await enter(visit)
    screen = await open_widget(visitor, shop)
    await hold_and_tell(screen)
    if enter is not without_storage:  # without htmx, the summary has the form that may have the whole window
        await to_summary(screen, "Pay")
    await go_to_stripe(screen, visitor.page)
    shop.hapio.faults.append(Fault(kind="error_before", method="PATCH", times=1000))
    await pay(visitor.page)
    await expect(heading(visitor.page, "Payment received, confirming your time")).to_be_visible()
    shop.hapio.faults.clear()
    await shop.tick(after=timedelta(minutes=1))
    await expect_confirmed(visitor.page)


async def test_the_times_are_in_the_first_answer_and_wait_for_no_script(shop: Shop, visit: Visit) -> None:
    visitor = await with_a_silent_cdn(visit)
    service = await shop.service(PORTRAIT)
    address = f"{shop.public}/w/studio?service={service.id}"
    async with visitor.page.expect_request(HTMX) as asked:
        await visitor.page.goto(address, wait_until="commit")
        await expect(times(visitor.page).first).to_be_visible()
    assert (await asked.value).failure is None
    assert await _unanswered(visitor.page)
    html = await (await visitor.context.request.get(address)).text()
    assert html.count('class="time"') > 3
    await choose_time(visitor.page)


async def _unanswered(page: Page) -> bool:
    """Whether the page still waits for the CDN."""
    return bool(await page.evaluate("document.readyState !== 'complete'"))
