"""Keyboards, phones, zoom, languages, zones: the same booking for everyone."""

import re
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.conftest import Visit
from tests.e2e.harness import PHONE
from tests.e2e.narrow import NARROW, WRONG, look_through, main_screens
from tests.e2e.stack import ONE_STUDIO, Shop, in_all_languages, open_shop
from tests.e2e.steps import (
    ANNA,
    PORTRAIT,
    choose_service,
    choose_time,
    expect_confirmed,
    go_to_stripe,
    heading,
    hold_and_tell,
    open_widget,
    pay,
    times,
    type_details,
)
from tests.e2e.tour import TOURS

HAS_FOCUS = "element => document.hasFocus() && element === document.activeElement"
FOCUS_IS_SEEN = """element => {
    const style = getComputedStyle(element);
    return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
}"""
#: More than the most crowded screen has places to stop at.
MOST_TABS = 80
MOST_TABS_TO_A_TIME = 10
#: The most that WCAG 2.2, 1.4.12 lets a reader ask for.
SPACED_OUT = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`
        * {line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important}
        p {margin-block-end: 2em !important}`);
    document.adoptedStyleSheets = [sheet];
}"""
CUT_OFF = """() => [...document.querySelectorAll("button, .button, h1, h2, label, th, td, dd, p")]
    .filter((one) => one.checkVisibility() && !one.closest(".for-readers, .people") && one.className !== "for-readers")
    .filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline")
    .map((one) => one.outerHTML.slice(0, 200))"""


#: Those whose words or texts are the longest.
LONGEST: Final = ("de", "fi", "fr", "it", "pl")
#: What someone might do to a button, and how it is told.
RUINED: Final = {
    "document.querySelector('.name').style.cssText = 'inline-size: 2rem; overflow-wrap: anywhere'": "broken: ",
    "document.querySelector('.price').style.translate = '-6rem 1.5rem'": "over each other: ",
    "document.querySelector('button.service').style.cssText = 'inline-size: 5rem; white-space: nowrap'": "cut off: ",
    "document.querySelector('h1').style.inlineSize = '300px'": "px wide",
}


async def tab_to(page: Page, wanted: Locator) -> int:
    """Press Tab until this is focused, and see that it shows; how often that was."""
    await expect(wanted).to_be_visible()
    for number in range(MOST_TABS):
        await page.keyboard.press("Tab")
        if await wanted.evaluate(HAS_FOCUS):
            assert await wanted.evaluate(FOCUS_IS_SEEN), f"no focus ring on {wanted}"
            return number + 1
    raise AssertionError(f"Tab never comes to {wanted}")


async def test_everything_can_be_done_with_the_keyboard_alone(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page, keys = visitor.page, visitor.page.keyboard
    screen = await open_widget(visitor, shop)
    await tab_to(page, screen.get_by_role("button", name=PORTRAIT))
    await keys.press("Enter")
    await expect(heading(screen, PORTRAIT)).to_be_focused()

    assert await tab_to(page, times(screen).first) <= MOST_TABS_TO_A_TIME
    await keys.press("Shift+Tab")
    await expect(screen.locator("button.day").first).to_be_focused()
    await keys.press("ArrowRight")
    await keys.press("Space")
    await expect(screen.locator("button.day").nth(1)).to_have_attribute("aria-pressed", "true")
    await expect(screen.locator("button.day").nth(1)).to_be_focused()
    await tab_to(page, times(screen).last)
    await keys.press("Enter")
    await expect(heading(screen, "Your details")).to_be_focused()

    for label, text in (("Name", "Anna Ek"), ("Email", ANNA), ("What are the pictures for?", "A book cover")):
        await tab_to(page, screen.get_by_label(label))
        await keys.type(text)
    await tab_to(page, screen.get_by_role("button", name="Pay"))
    await keys.press("Enter")
    await tab_to(page, page.get_by_role("button", name="Book"))
    await keys.press("Enter")
    await expect_confirmed(page)


async def test_enter_in_a_field_sends_the_details_and_goes_on_to_pay(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    await choose_time(screen)
    await type_details(screen)
    await screen.get_by_label("Email").press("Enter")
    await expect(visitor.page.get_by_text("Sandbox — no real money")).to_be_visible()


async def test_a_booking_fits_on_a_phone(shop: Shop, visit: Visit) -> None:
    visitor = await visit(**PHONE)
    page = visitor.page
    await page.goto(f"{shop.public}/w/studio")
    await page.get_by_role("button", name=PORTRAIT).tap()
    await expect(times(page).first).to_be_visible()
    small = "all => all.filter(one => one.offsetHeight < 44 || one.offsetWidth < 44).map(one => one.outerHTML)"
    assert await page.locator("button.time, button.day, button.turn").evaluate_all(small) == []
    await times(page).last.tap()
    await type_details(page)
    fields = page.locator("input:visible, textarea")
    sizes = await fields.evaluate_all("all => all.map(one => parseFloat(getComputedStyle(one).fontSize))")
    assert min(sizes) >= 16  # below that, phones zoom in on the field
    await go_to_stripe(page, page)
    await pay(page)
    await expect_confirmed(page)


async def test_wide_spacing_cuts_nothing_off_on_a_phone(shop: Shop, visit: Visit) -> None:
    async def expect_all_to_be_seen(name: str, page: Page) -> None:
        if not page.url.startswith(shop.public):
            return
        await page.evaluate(SPACED_OUT)
        assert await page.evaluate(CUT_OFF) == [], f"on the screen {name!r}"
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name

    await TOURS["book and pay"](shop, await visit(**PHONE), expect_all_to_be_seen)


async def test_in_the_longest_languages_everything_fits_on_the_narrowest_phone(visit: Visit, tmp_path: Path) -> None:
    """`make barriers` looks at all of them."""
    async with open_shop(tmp_path, widgets=in_all_languages(ONE_STUDIO)) as shop:
        page = (await visit(**NARROW)).page

        async def expect_it_fits(name: str, page: Page) -> None:
            assert await page.evaluate(WRONG) == [], (name, page.url)

        screens = dict(await main_screens(shop))
        del screens["confirmed"], screens["another time"]  # which are like others
        for language in LONGEST:
            await look_through(shop, page, screens, language, expect_it_fits)
        for ruin, wrong in RUINED.items():
            await page.goto(screens["services"])
            await page.evaluate(ruin)
            assert wrong in str(await page.evaluate(WRONG)), f"this would not be seen: {ruin}"


async def test_with_the_systems_own_colours_the_chosen_day_and_the_focus_are_seen(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    await visitor.page.emulate_media(forced_colors="active")
    await visitor.page.goto(f"{shop.public}/w/studio?service={(await shop.service()).id}")
    ground = "day => getComputedStyle(day).backgroundColor"
    chosen = visitor.page.locator("button.day[aria-pressed=true]")
    other = visitor.page.locator("button.day[aria-pressed=false]").first
    assert await chosen.evaluate(ground) != await other.evaluate(ground)
    await tab_to(visitor.page, chosen)


async def test_the_arrow_keys_go_from_one_free_day_to_the_next_and_choose_none(shop: Shop, visit: Visit) -> None:
    for language, onward, back in (("en", "ArrowRight", "ArrowLeft"), ("ar", "ArrowLeft", "ArrowRight")):
        visitor = await visit(language=language)
        page, keys = visitor.page, visitor.page.keyboard
        await page.goto(f"{shop.public}/w/studio?service={(await shop.service()).id}&lang={language}")
        days = page.locator("button.day")
        await days.first.focus()
        await keys.press(onward)
        await expect(days.nth(1)).to_be_focused()
        await keys.press(back)
        await expect(days.first).to_be_focused()
        await keys.press("ArrowDown")
        column = "day => day.parentNode.cellIndex"
        below = page.locator(":focus")
        assert await below.evaluate(column) == await days.first.evaluate(column)
        await keys.press("End")
        await expect(days.last).to_be_focused()
        await keys.press("Home")
        await expect(days.first).to_have_attribute("tabindex", "0")
        await expect(page.locator("button.day[tabindex='0']")).to_have_count(1)
        await expect(page.locator("button.day[aria-pressed=true]")).to_have_count(1)


async def test_arabic_reads_from_right_to_left(shop: Shop, visit: Visit) -> None:
    visitor = await visit(language="ar")
    page = visitor.page
    service = await shop.service()
    await page.goto(f"{shop.public}/w/studio?service={service.id}&lang=ar")
    for step in range(2):
        await expect(page.locator("html")).to_have_attribute("dir", "rtl")
        first, last = page.locator(".trail li").first, page.locator(".trail li").last
        right, left = await first.bounding_box(), await last.bounding_box()
        assert right
        assert left
        assert right["x"] > left["x"]
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if step == 0:
            await times(page).last.click()
            await expect(page.locator("#f-name")).to_be_visible()
    await page.locator("#f-name").fill("Anna Ek")
    await page.locator("#f-email").fill(ANNA)
    await page.locator("#hf-details button.main").click()
    await pay(page)
    await expect(page.locator("h1")).to_be_visible()
    await expect(page.locator("html")).to_have_attribute("dir", "rtl")


async def test_nothing_moves_for_those_who_asked_for_no_motion(shop: Shop, visit: Visit) -> None:
    for motion, animation in ((True, "arrive"), (False, "none")):
        visitor = await visit(motion=motion)
        await visitor.page.goto(f"{shop.public}/w/studio")
        await choose_service(visitor.page)
        name = await visitor.page.locator("main.arrives").evaluate("main => getComputedStyle(main).animationName")
        assert name == animation


async def test_a_visitor_far_away_sees_both_clocks(shop: Shop, visit: Visit) -> None:
    visitor = await visit(zone="America/New_York")
    screen = await open_widget(visitor, shop)
    await choose_service(screen)
    await expect(screen.get_by_text("Times in New York, UTC−5")).to_be_visible()
    await expect(screen.get_by_text("The smaller time is the time at the venue: Stockholm, UTC+1")).to_be_visible()
    local = times(screen).last
    here = (await local.inner_text()).strip()
    there = await local.get_attribute("data-place") or ""
    await expect(local).to_have_accessible_name(re.compile(f"{here} to .*{there} at the venue"))
    assert (int(there[:2]) - int(here[:2])) % 24 == 6
    await choose_time(screen)
    shown = screen.get_by_text(re.compile(f"{there}.* at the venue")).filter(visible=True)
    await expect(screen.locator("time").filter(visible=True).first).to_contain_text(here)
    await expect(shown).to_be_visible()
    await type_details(screen)
    await expect(shown).to_be_visible()


async def test_where_the_times_come_first_they_turn_to_the_visitors_clock_by_themselves(
    shop: Shop, visit: Visit
) -> None:
    visitor = await visit(zone="Asia/Kolkata")
    service = await shop.service()
    await visitor.page.goto(f"{shop.public}/w/studio?service={service.id}")
    await expect(visitor.page.get_by_text(re.compile(r"Times in .*, UTC\+5:30"))).to_be_visible()
    await choose_time(visitor.page)
    await expect(visitor.page.get_by_text("at the venue").filter(visible=True)).to_be_visible()


@pytest.mark.parametrize(
    ("language", "clock", "pay_", "service"),
    [
        ("en-US", r"\d{1,2}:\d\d\s[AP]M", "Pay", "Portrait session"),
        ("sv", r"\d\d:\d\d", "Betala", "Porträttfotografering"),
    ],
)
async def test_times_are_written_as_the_visitor_writes_them(
    shop: Shop, visit: Visit, language: str, clock: str, pay_: str, service: str
) -> None:
    visitor = await visit(language=language)
    screen = await open_widget(visitor, shop)
    await choose_service(screen, service)
    for time in await times(screen).all():
        assert re.fullmatch(clock, (await time.inner_text()).strip())
    await times(screen).last.click()
    await expect(screen.get_by_role("button", name=pay_)).to_be_visible()
    await expect(screen.locator("html")).to_have_attribute("lang", language)


async def test_a_page_of_the_widget_alone_leads_back_to_the_site_it_was_on(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    await pay(visitor.page)
    await expect_confirmed(visitor.page)
    await visitor.page.get_by_role("link", name="Back to Studio Nord").click()
    await expect(visitor.page.get_by_role("heading", name="Portraits in northern light")).to_be_visible()
