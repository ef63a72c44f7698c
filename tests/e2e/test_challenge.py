"""Under pressure, a hold asks for a proof: a browser gives it by itself; without scripts, a person answers."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import FrameLocator, Page, expect

from app.cli.demo import STUDIO
from app.domain.booking import Visitor as PageView
from tests.e2e.conftest import Visit
from tests.e2e.harness import Visitor, axe
from tests.e2e.stack import Shop, open_shop
from tests.e2e.steps import choose_service, expect_confirmed, go_to_stripe, hold_and_tell, open_widget, pay, times

#: Two of four times are held: under pressure, with room for two more.
SMALL = {"hapio": STUDIO.replace('currency = "sek"', 'max_holds = 4\ncurrency = "sek"')}
BROKEN = "crypto.subtle.importKey = () => Promise.reject(new Error('refused'))"
NEVER = "crypto.subtle.deriveBits = () => new Promise(() => {})"


@pytest.fixture
async def busy(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path, widgets=SMALL) as shop:
        service = await shop.service()
        shown = shop.parts.widgets["studio"]
        month = (shop.clock() + timedelta(days=14)).date().replace(day=1)
        offered = await shop.parts.availability.times(shown, service, month=month)
        for number, slot in enumerate((offered.slots[0], offered.slots[-1])):
            await shop.parts.hold.take(
                shown,
                service_id=service.id,
                starts_at=slot.starts_at,
                resource_id=None,
                visitor=PageView(key=f"somebody-{number}"),
            )
        yield shop


async def click_a_time(screen: FrameLocator | Page) -> None:
    await choose_service(screen)
    await times(screen).last.click()


async def answer(screen: FrameLocator | Page, *, wrong: bool = False) -> None:
    label = screen.get_by_text(re.compile(r"What is \d plus \d"))
    first, second = re.findall(r"\d", await label.inner_text())
    await screen.get_by_label(re.compile("What is")).fill(str(int(first) + int(second) + wrong))
    await screen.get_by_role("button", name="Continue").click()


async def expect_details(screen: FrameLocator | Page) -> None:
    await expect(screen.get_by_label("Email")).to_be_visible()


async def test_a_visitor_with_a_browser_notices_a_moments_wait_and_books(busy: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("429")
    screen = await open_widget(visitor, busy)
    await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    await pay(visitor.page)
    await expect_confirmed(visitor.page)
    await visitor.leave()


async def test_without_htmx_the_browser_works_just_the_same(busy: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("ERR_FAILED")
    visitor.expect_problem("429")
    await visitor.page.route("**/htmx.min.js", lambda route: route.abort())
    screen = await open_widget(visitor, busy)
    await click_a_time(screen)
    await expect_details(screen)
    await visitor.leave()


async def test_without_scripts_a_plain_question_leads_on(busy: Shop, visit: Visit) -> None:
    visitor = await visit(scripts=False)
    visitor.expect_problem("429")
    screen = await open_widget(visitor, busy)
    await click_a_time(screen)
    await answer(screen, wrong=True)
    await expect(screen.get_by_text("not the right number")).to_be_visible()
    await answer(screen)
    await expect_details(screen)
    await visitor.leave()


async def test_where_the_calculation_cannot_run_the_question_stays(busy: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("429")
    await visitor.context.add_init_script(BROKEN)
    screen = await open_widget(visitor, busy)
    await click_a_time(screen)
    await answer(screen)
    await expect_details(screen)
    await visitor.leave()


async def challenged(busy: Shop, visitor: Visitor) -> Page:
    """The challenge as a page of its own."""
    await visitor.page.goto(f"{busy.public}/w/studio")
    await click_a_time(visitor.page)
    await expect(visitor.page.get_by_role("heading", name="One moment, please")).to_be_visible()
    return visitor.page


@pytest.mark.parametrize("dark", [False, True])
async def test_both_ways_are_usable_by_everyone(busy: Shop, visit: Visit, dark: bool) -> None:
    asked = await visit(dark=dark)
    asked.expect_problem("429")
    await asked.context.add_init_script(BROKEN)
    page = await challenged(busy, asked)
    await expect(page.get_by_label(re.compile("What is"))).to_be_visible()
    await axe(page)
    await asked.leave()
    waiting = await visit(dark=dark, width=390, height=844, touch=True)
    waiting.expect_problem("429")
    await waiting.context.add_init_script(NEVER)
    page = await challenged(busy, waiting)
    await expect(page.get_by_text("small sum")).to_be_visible()
    await expect(page.get_by_label(re.compile("What is"))).to_be_hidden()
    await axe(page)
    await waiting.leave()
