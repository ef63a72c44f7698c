"""From the click on a time to its end: who gets it, how long it is kept, and that nothing typed is ever lost."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Visit
from tests.e2e.harness import Visitor
from tests.e2e.stack import CAREFUL_STUDIO, Shop, open_shop
from tests.e2e.steps import (
    ANNA,
    Screen,
    choose_service,
    choose_time,
    heading,
    hold_and_tell,
    offered,
    open_widget,
    start_of,
    times,
    to_summary,
    type_details,
    widget,
)

HOLD_MINUTES = timedelta(minutes=11)  # a minute more than a hold lasts


@pytest.fixture(scope="module")
async def opened_shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A studio where everything is looked at once more before it is paid."""
    async with open_shop(tmp_path_factory.mktemp("shop"), widgets=CAREFUL_STUDIO) as shop:
        yield shop


async def test_a_time_disappears_for_everyone_else_at_the_click(shop: Shop, visit: Visit) -> None:
    anna, bo = await visit(), await visit()
    screen = await open_widget(anna, shop)
    await choose_service(screen)
    wanted = await start_of(times(screen).last)
    assert await offered(bo, shop, wanted)
    # Portraits are taken by two people: once the first is taken, the second still is to be had.
    assert await choose_time(screen) == wanted
    if await offered(bo, shop, wanted):
        assert await choose_time(widget(bo)) == wanted
    cecilia = await visit()
    assert not await offered(cecilia, shop, wanted)


async def test_two_clicks_in_a_row_hold_one_time_once(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    starts_at = await start_of(times(screen).last)
    before = len(shop.in_hapio(starts_at))
    await times(screen).last.dblclick()
    await expect(screen.get_by_label("Name")).to_be_visible()
    assert len(shop.in_hapio(starts_at)) == before + 1


async def test_two_clicks_without_scripts_hold_one_time_once(shop: Shop, visit: Visit) -> None:
    visitor = await visit(scripts=False)
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    starts_at = await start_of(times(screen).last)
    before = len(shop.in_hapio(starts_at))
    await times(screen).last.dblclick(no_wait_after=True)
    await expect(screen.get_by_label("Name")).to_be_visible()
    assert len(shop.in_hapio(starts_at)) == before + 1


async def test_the_last_look_tells_each_fact_once_and_what_a_cancellation_costs_where_it_is_paid(
    shop: Shop, visit: Visit
) -> None:
    """Finding: the facts three times, the terms small and grey, no way to correct a name, and Pay below the fold."""
    visitor = await visit(width=360, height=740, touch=True)
    page = visitor.page
    await page.goto(f"{shop.public}/w/studio")
    await hold_and_tell(page)
    await to_summary(page)
    seen = await page.locator("main").inner_text()
    assert [seen.count(fact) for fact in ("Portrait session", "Anna Ek")] == [1, 1]
    terms = page.get_by_text("50% refund until")
    assert await terms.evaluate("it => parseFloat(getComputedStyle(it).fontSize)") >= 15
    assert await terms.evaluate(
        "it => getComputedStyle(it).color === getComputedStyle(document.querySelector('h1')).color"
    )
    await expect(page.get_by_role("button", name="Pay SEK 1,200.00")).to_be_in_viewport(ratio=1)
    assert await page.evaluate("scrollY") == 0
    await page.get_by_role("link", name="Change").click()
    await expect(page.get_by_label("Name")).to_have_value("Anna Ek")


async def test_a_time_that_was_just_taken_is_told_in_place_with_the_nearest_ones(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("409")
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    wanted = await start_of(times(screen).last)
    await shop.book_elsewhere(wanted)
    await times(screen).last.click()
    told = screen.get_by_role("group").filter(has_text="This time has just been taken.")
    await expect(told).to_contain_text("The nearest free times are:")
    await expect(told).to_be_focused()
    nearest = told.get_by_role("button")
    await expect(nearest).to_have_count(3)
    assert wanted not in [await start_of(time) for time in await nearest.all()]
    await expect(heading(screen, "Portrait session")).to_be_visible()

    await nearest.first.click()
    await type_details(screen)
    await to_summary(screen)


async def test_a_hold_that_ends_while_typing_is_taken_again_with_everything_typed(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    starts_at = await choose_time(screen)
    await _type_everything(screen)
    await shop.tick(after=HOLD_MINUTES)
    assert shop.in_hapio(starts_at) == []
    await to_summary(screen)
    await expect(screen.get_by_text("We held your time again.")).to_be_visible()
    await _expect_everything(screen)
    assert len(shop.in_hapio(starts_at)) == 1


async def test_a_hold_that_ended_before_the_worker_saw_it_can_still_be_taken_again(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    starts_at = await choose_time(screen)
    await _type_everything(screen)
    shop.clock.advance(HOLD_MINUTES)
    await to_summary(screen)
    await _expect_everything(screen)
    assert len(shop.in_hapio(starts_at)) == 1


async def test_a_time_lost_while_typing_is_told_and_what_was_typed_goes_along(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("409")
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    starts_at = await choose_time(screen)
    await _type_everything(screen)
    await shop.tick(after=HOLD_MINUTES)
    await shop.book_elsewhere(starts_at)
    await screen.get_by_role("button", name="Continue").click()
    told = screen.get_by_role("group").filter(has_text="This time has just been taken.")
    await told.get_by_role("button").first.click()
    await expect(screen.get_by_label("Name")).to_have_value("Anna Ek")
    await expect(screen.get_by_label("Email")).to_have_value(ANNA)
    await expect(screen.get_by_label("Phone")).to_have_value("070-123 45 67")
    await expect(screen.get_by_label("What are the pictures for?")).to_have_value("A book cover")
    await expect(screen.get_by_label("Message")).to_have_value("Two\nlines")
    await screen.get_by_role("checkbox", name="I agree").check()
    await to_summary(screen)
    await _expect_everything(screen)


async def test_a_hold_that_ends_on_the_summary_is_taken_again_by_the_click_on_pay(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    starts_at = await hold_and_tell(screen)
    await to_summary(screen)
    await shop.tick(after=HOLD_MINUTES)
    await screen.get_by_role("button", name="Pay").click()
    await expect(visitor.page.get_by_text("We held your time again.")).to_be_visible()
    await expect(heading(visitor.page, "Check your booking")).to_be_visible()
    assert len(shop.in_hapio(starts_at)) == 1


async def test_near_its_end_a_hold_can_be_kept_longer_without_losing_what_is_typed(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    await visitor.page.clock.install()
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    starts_at = await choose_time(screen)
    await _type_everything(screen)
    await expect(screen.get_by_text("10 min")).to_be_visible()
    longer = screen.get_by_role("button", name="Keep it for 10 more minutes")
    await expect(longer).to_be_hidden()

    await _both_clocks(shop, visitor, minutes=8)
    await expect(screen.get_by_role("status")).to_have_text(
        "Your time is held for three more minutes. You can keep it longer."
    )
    await expect(screen.get_by_text("2 min")).to_be_visible()
    await longer.click()
    await expect(screen.locator("#hf-held")).to_contain_text("Held for you until 09:18")
    await expect(screen.locator("#hf-held")).to_be_focused()
    await expect(screen.get_by_role("status")).to_have_text("Held for you until 09:18")
    await expect(screen.get_by_label("Name")).to_have_value("Anna Ek")

    await _both_clocks(shop, visitor, minutes=8)
    await longer.click()
    await expect(screen.locator("#hf-held")).to_contain_text("Held for you until 09:26")
    assert len(shop.in_hapio(starts_at)) == 1
    await to_summary(screen)
    await _expect_everything(screen)


async def test_a_hold_that_was_kept_ten_times_is_not_kept_once_more(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    await visitor.page.clock.install()
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    await choose_time(screen)
    longer = screen.get_by_role("button", name="Keep it for 10 more minutes")
    for kept in range(10):
        await _both_clocks(shop, visitor, minutes=8)
        await longer.click()
        hour, minute = divmod(9 * 60 + 18 + 8 * kept, 60)
        await expect(screen.locator("#hf-held")).to_contain_text(f"Held for you until {hour:02}:{minute:02}")
    await _both_clocks(shop, visitor, minutes=8)
    await expect(screen.get_by_text("2 min")).to_be_visible()
    await expect(longer).to_have_count(0)
    await _both_clocks(shop, visitor, minutes=3)
    await expect(screen.get_by_text("We no longer hold this time.").first).to_be_visible()


async def test_giving_a_time_back_makes_it_free_for_others_at_once(shop: Shop, visit: Visit) -> None:
    anna, bo = await visit(), await visit()
    screen = await open_widget(anna, shop)
    await choose_service(screen)
    starts_at = await choose_time(screen)
    assert len(shop.in_hapio(starts_at)) == 1
    await screen.get_by_role("button", name="Other times").click()
    await expect(times(screen).last).to_be_visible()
    assert shop.in_hapio(starts_at) == []
    assert await offered(bo, shop, starts_at)
    # The same visitor may choose it again.
    assert await choose_time(screen) == starts_at


async def test_going_back_from_the_summary_shows_what_was_typed(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    await hold_and_tell(screen)
    await to_summary(screen)
    await screen.get_by_role("link", name="Details").click()
    await expect(screen.get_by_label("Name")).to_have_value("Anna Ek")
    await screen.get_by_label("Name").fill("Anna Ek-Lund")
    await to_summary(screen)
    await expect(screen.get_by_text("Anna Ek-Lund")).to_be_visible()


async def test_what_is_missing_in_the_details_is_said_at_the_field(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("422")
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    await choose_time(screen)
    await screen.get_by_label("Name").fill("Anna Ek")
    await screen.get_by_label("Email").fill("anna at home")
    await screen.get_by_role("button", name="Continue").click()
    summary = screen.get_by_role("group").filter(has_text="Please check the marked fields.")
    await expect(summary).to_be_focused()
    await expect(screen.get_by_label("Name")).to_have_value("Anna Ek")
    await expect(screen.get_by_label("Email")).to_have_value("anna at home")
    await expect(screen.get_by_label("Email")).to_have_attribute("aria-invalid", "true")
    await expect(screen.get_by_label("Email")).to_have_accessible_description(
        "This does not look like an email address. It should read like name@example.com."
    )
    await summary.get_by_role("link", name="Email").click()
    await expect(screen.get_by_label("Email")).to_be_focused()


async def test_a_page_that_is_loaded_again_stays_on_its_step(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = visitor.page
    await page.goto(f"{shop.public}/w/studio")
    await choose_service(page)
    await page.reload()
    await expect(times(page).first).to_be_visible()
    starts_at = await choose_time(page)
    await page.reload()
    await expect(page.get_by_label("Name")).to_be_visible()
    await type_details(page)
    await to_summary(page)
    await page.reload()
    await expect(heading(page, "Check your booking")).to_be_visible()
    assert len(shop.in_hapio(starts_at)) == 1


async def _both_clocks(shop: Shop, visitor: Visitor, *, minutes: int) -> None:
    """Time passes in the shop and in the visitor's browser."""
    shop.clock.advance(timedelta(minutes=minutes))
    await visitor.page.clock.fast_forward(minutes * 60_000)


async def _type_everything(screen: Screen) -> None:
    await type_details(screen)
    await screen.get_by_label("Phone").fill("070-123 45 67")
    await screen.get_by_label("Message").fill("Two\nlines")


async def _expect_everything(screen: Screen) -> None:
    shown = screen.get_by_role("main")
    for typed in ("Anna Ek", ANNA, "+46701234567", "A book cover", "Two lines"):
        await expect(shown).to_contain_text(typed)
