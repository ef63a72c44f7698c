"""Every screen and state is usable by everyone, as far as axe can tell: WCAG 2.2 AA and its best practices."""

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


@pytest.mark.parametrize("limits", LOOKS.values(), ids=LOOKS.keys())
@pytest.mark.parametrize("tour", TOURS)
async def test_every_screen_is_usable_by_everyone(shop: Shop, visit: Visit, tour: str, limits: Limits) -> None:
    await TOURS[tour](shop, await visit(**limits), look_with_axe)


@pytest.mark.parametrize("limits", LOOKS.values(), ids=LOOKS.keys())
async def test_the_screens_of_a_payment_that_takes_days_are_usable_by_everyone(
    visit: Visit, limits: Limits, tmp_path: Path
) -> None:
    async with open_shop(tmp_path, widgets=EURO_WIDGETS) as shop:
        visitor = await visit(**limits)
        await pay_by_bank(shop, visitor, look_with_axe)
        await visitor.leave()
