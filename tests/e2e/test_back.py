"""Back and Forward: the steps are in the history, one's own hold is one's own, and nothing typed is lost."""

from playwright.async_api import expect

from tests.e2e.conftest import Visit
from tests.e2e.stack import Shop
from tests.e2e.steps import choose_service, choose_time, go_to_stripe, heading, open_widget, times, type_details


async def test_back_leads_through_the_steps_and_forward_brings_back_what_was_typed(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = visitor.page
    await page.goto(f"{shop.host}/about")
    await page.goto(f"{shop.public}/w/studio")
    await choose_service(page)
    await choose_time(page)
    await page.get_by_label("Name").fill("Anna Ek")
    await page.get_by_label("Message").fill("By the window.")

    await page.go_back()
    await expect(page.get_by_text("You are holding")).to_be_visible()
    await page.wait_for_load_state()
    await page.go_back()
    await expect(heading(page, "Book a time")).to_be_visible()
    await page.wait_for_load_state()
    await page.go_forward()
    await expect(page.get_by_text("You are holding")).to_be_visible()
    await page.wait_for_load_state()
    await page.go_forward()
    await expect(page.get_by_label("Name")).to_have_value("Anna Ek")
    await expect(page.get_by_label("Message")).to_have_value("By the window.")


async def test_who_goes_back_is_told_of_their_own_hold_and_another_time_takes_its_place(
    shop: Shop, visit: Visit
) -> None:
    visitor = await visit()
    page = visitor.page
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    first = await choose_time(screen)
    await type_details(screen)
    before = len(shop.in_hapio(first))

    await page.evaluate("history.back()")
    await expect(screen.get_by_text("You are holding")).to_be_visible()
    await screen.get_by_role("link", name="Continue with this time").click()
    await expect(screen.get_by_label("Name")).to_be_visible()

    await page.evaluate("history.back()")
    await expect(screen.get_by_text("You are holding")).to_be_visible()
    second = await choose_time(screen)
    assert second != first
    assert len(shop.in_hapio(first)) == before - 1
    await type_details(screen)
    await go_to_stripe(screen, page)


async def test_other_times_keep_what_was_typed_for_the_next_one(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    first = await choose_time(screen)
    await screen.get_by_label("Name").fill("Anna Ek")
    await screen.get_by_role("button", name="Other times").click()
    await expect(times(screen).first).to_be_visible()
    assert shop.in_hapio(first) == []
    assert "Anna" not in str([frame.url for frame in visitor.page.frames])
    await choose_time(screen)
    await expect(screen.get_by_label("Name")).to_have_value("Anna Ek")
