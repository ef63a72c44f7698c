"""On a phone: the times are on the first screen, a tap shows what it did, and paying takes five taps."""

from datetime import UTC, datetime
from typing import Final

import pytest
from playwright.async_api import Locator, expect

from tests.e2e.conftest import Visit
from tests.e2e.harness import Limits
from tests.e2e.stack import Shop
from tests.e2e.steps import ANNA, PICTURES, PORTRAIT, booked, choose_time, expect_confirmed, times, widget

#: The smallest screen that many people have.
SMALL: Final[Limits] = {"width": 360, "height": 740, "touch": True}

#: Where an element is on the screen: (its top, its bottom), from the top of the window that the browser shows.
WHERE: Final = "it => { const {top, bottom} = it.getBoundingClientRect(); return [top, bottom]; }"


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(datetime(2026, 11, 26, 8, tzinfo=UTC), id="at-the-end-of-a-month"),
        # The first of August 2027 is a Sunday: this month fills six rows.
        pytest.param(datetime(2027, 8, 1, 8, tzinfo=UTC), id="in-a-month-of-six-rows"),
    ],
)
async def test_the_first_free_times_stand_on_the_first_screen(shop: Shop, visit: Visit, now: datetime) -> None:
    shop.clock.set(now)
    visitor = await visit(**SMALL)
    await visitor.page.goto(f"{shop.public}/w/studio?service={(await shop.service()).id}")
    first = times(visitor.page).first
    await expect(first).to_be_visible()
    top, bottom = await first.evaluate(WHERE)
    assert top >= 0
    assert bottom <= 740


async def test_people_stand_in_one_row_that_scrolls(shop: Shop, visit: Visit) -> None:
    visitor = await visit(**SMALL)
    await visitor.page.goto(f"{shop.public}/w/studio?service={(await shop.service()).id}")
    people = visitor.page.get_by_role("group", name="Who with").get_by_role("button")
    await expect(people).to_have_count(3)
    tops = {(await one.evaluate(WHERE))[0] for one in await people.all()}
    assert len(tops) == 1


@pytest.mark.parametrize("path", ["alone", "framed"])
async def test_a_tap_on_a_day_brings_its_times_into_view(shop: Shop, visit: Visit, path: str) -> None:
    shop.clock.set(datetime(2027, 8, 2, 7, tzinfo=UTC))
    visitor = await visit(width=360, height=500, touch=True)
    page = visitor.page
    if path == "alone":
        await page.goto(f"{shop.public}/w/studio?service={(await shop.service()).id}")
        day = page.locator("button.day").nth(3)
    else:
        await page.goto(f"{shop.host}/strict")
        await widget(visitor).get_by_role("button", name=PORTRAIT).click()
        day = widget(visitor).locator("button.day").nth(3)
    first = (page if path == "alone" else widget(visitor)).locator("button.time").first
    await expect(first).to_be_visible()
    # The month fills the screen, and its times are below it.
    await day.evaluate("it => it.scrollIntoView({block: 'center'})")
    if path == "framed":
        await page.evaluate("scrollTo(0, document.querySelector('iframe').getBoundingClientRect().top + scrollY + 100)")
    await day.click()
    await expect(day).to_have_attribute("aria-pressed", "true")
    await expect(first).to_be_in_viewport(ratio=1)
    await expect(day).to_be_in_viewport(ratio=1)


async def test_a_tap_on_a_person_or_a_month_brings_the_times_into_view(shop: Shop, visit: Visit) -> None:
    shop.clock.set(datetime(2027, 8, 2, 7, tzinfo=UTC))
    page = (await visit(width=360, height=500, touch=True)).page
    for name in ("Astrid Lindqvist", "Next month"):
        await page.goto(f"{shop.public}/w/studio?service={(await shop.service()).id}")
        await page.get_by_role("button", name=name).tap()
        await expect(times(page).first).to_be_in_viewport(ratio=1)


async def test_nothing_on_a_phone_is_small_crowded_or_far_down(shop: Shop, visit: Visit) -> None:
    """Findings: the zones' list next to a button of 13 px and touching the month, the first field at 360 px, the terms
    of a cancellation over three lines each, lines that begin with a dot, and Swedish headings that begin small."""
    page = (await visit(**SMALL)).page
    address = f"{shop.public}/w/studio?service={(await shop.service()).id}"
    await page.goto(f"{address}&lang=sv")
    for heading in ("#hf-month", "#hf-day"):
        begins = "it => getComputedStyle(it, '::first-letter').textTransform"
        assert await page.locator(heading).evaluate(begins) == "uppercase"
    await page.goto(address)
    dots = "all => all.map(it => getComputedStyle(it, '::after').content)"
    for ends in await page.locator(".trail li, .facts > *").evaluate_all(dots):
        assert ends.startswith(('"\u00a0·', "none")), "a line could begin with a dot"
    await page.get_by_role("button", name="Change the time zone").click()
    await expect(page.get_by_label("Show times in")).to_be_focused()
    sizes = "all => all.map(it => parseFloat(getComputedStyle(it).fontSize))"
    assert set(await page.locator("#hf-zone, .zone .button").evaluate_all(sizes)) == {16}
    month, label = await page.locator(".month").evaluate(WHERE), await page.locator(".zone label").evaluate(WHERE)
    assert label[0] - month[1] >= 8 or label[1] <= month[0]
    await page.get_by_label("Show times in").select_option("Asia/Tokyo")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_role("button", name="Change the time zone")).to_be_focused()
    await page.goto(address)
    await choose_time(page)
    assert (await page.get_by_label("Name").evaluate(WHERE))[0] < 300
    _booking, manage = await booked(shop)
    await page.goto(f"{manage}/cancel")
    lines = "all => all.map(it => it.getBoundingClientRect().height / parseFloat(getComputedStyle(it).lineHeight))"
    tall = await page.locator("main table th, main table td").evaluate_all(lines)
    assert len(tall) == 6
    assert max(tall) < 3


async def test_a_booking_is_paid_with_five_taps(shop: Shop, visit: Visit) -> None:
    visitor = await visit(**SMALL)
    page, taps = visitor.page, 0

    async def tap(what: Locator) -> None:
        nonlocal taps
        taps += 1
        await what.tap()

    await page.goto(f"{shop.public}/w/studio")
    await tap(page.get_by_role("button", name=PORTRAIT))
    await tap(times(page).last)
    await tap(page.get_by_label("Name"))
    await page.get_by_label("Name").fill("Anna Ek")
    await page.get_by_label("Email").fill(ANNA)  # the keyboard's own "next" leads there
    await page.get_by_label(PICTURES).fill("A book cover")
    await expect(page.get_by_text("50% refund until")).to_be_visible()
    await tap(page.get_by_role("button", name="Pay SEK 1,200"))
    await expect(page.get_by_text("Sandbox — no real money")).to_be_visible()
    await page.get_by_role("radio", name="Card that pays").check()
    await tap(page.get_by_role("button", name="Book"))
    await expect_confirmed(page)
    assert taps == 5


async def test_a_pay_button_that_the_host_page_does_not_let_work_says_so_and_offers_a_tab(
    shop: Shop, visit: Visit
) -> None:
    visitor = await visit()
    visitor.expect_problem("sandboxed|Unsafe attempt|navigate")
    page = visitor.page
    await page.goto(f"{shop.host}/about")
    inner = f"{shop.host}/plain"
    await page.evaluate(
        """src => { const frame = document.createElement("iframe"); frame.title = "builder"; frame.src = src;
        frame.sandbox = "allow-scripts allow-same-origin allow-forms allow-popups allow-popups-to-escape-sandbox";
        frame.width = 800; frame.height = 1400; document.body.replaceChildren(frame); }""",
        inner,
    )
    screen = page.frame_locator('iframe[title="builder"]').frame_locator('iframe[title="Book a time"]')
    await screen.get_by_role("button", name=PORTRAIT).click()
    await times(screen).last.click()
    await screen.get_by_label("Name").fill("Anna Ek")
    await screen.get_by_label("Email").fill(ANNA)
    await screen.get_by_role("button", name="Pay SEK 1,200").click()
    await expect(screen.get_by_role("main").get_by_text("The payment page has not opened.")).to_be_visible()
    async with page.expect_popup() as opened:
        await screen.get_by_role("button", name="Open the payment page in a new tab").click()
    tab = await opened.value
    await expect(tab.get_by_text("Sandbox — no real money")).to_be_visible()
