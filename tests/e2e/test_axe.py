"""Every screen and state is usable by everyone, as far as axe can tell: WCAG 2.2 AA and its best practices. None
of them scrolls sideways where 320 px are left.
"""

from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.e2e.conftest import Visit
from tests.e2e.harness import DARK, PHONE, Limits, axe
from tests.e2e.stack import Shop, open_shop
from tests.e2e.tour import EURO_WIDGETS, TOURS, pay_by_bank

LOOKS: dict[str, Limits] = {"light phone": PHONE, "dark": DARK}


async def look_with_axe(name: str, page: Page) -> None:
    if name.startswith("mail-"):
        # The mailbox shows letters sandboxed, where no script runs, axe neither: it looks at a copy.
        answer = await page.request.get(page.url)
        page = await page.context.new_page()
        await page.set_content(await answer.text())
    try:
        await axe(page)
    except AssertionError as error:
        error.add_note(f"on the screen {name!r}")
        raise
    if name.startswith("mail-"):
        await page.close()


async def expect_it_fits(name: str, page: Page) -> None:
    """Whether the screen fits on the narrowest phone: 1280 by 900 at 400 % leave 320 by 225, too."""
    before = page.viewport_size
    assert before
    await page.set_viewport_size({"width": 320, "height": 225})
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 320, f"the screen {name!r} is {wide} px wide"
    await page.set_viewport_size(before)


@pytest.mark.parametrize("tour", TOURS)
async def test_every_screen_is_usable_by_everyone_on_a_phone_and_fits_on_the_narrowest(
    shop: Shop, visit: Visit, tour: str
) -> None:
    async def look(name: str, page: Page) -> None:
        await look_with_axe(name, page)
        if page.url.startswith(shop.public):
            await expect_it_fits(name, page)

    await TOURS[tour](shop, await visit(**PHONE), look)


@pytest.mark.parametrize("tour", TOURS)
async def test_every_screen_is_usable_by_everyone_in_the_dark(shop: Shop, visit: Visit, tour: str) -> None:
    await TOURS[tour](shop, await visit(**DARK), look_with_axe)


@pytest.mark.parametrize("limits", LOOKS.values(), ids=LOOKS.keys())
async def test_the_screens_of_a_payment_that_takes_days_are_usable_by_everyone(
    visit: Visit, limits: Limits, tmp_path: Path
) -> None:
    async with open_shop(tmp_path, widgets=EURO_WIDGETS) as shop:
        visitor = await visit(**limits)
        await pay_by_bank(shop, visitor, look_with_axe)
        await visitor.leave()
