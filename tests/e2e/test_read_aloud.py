"""What a screen reader has to say of the whole journey, kept as a text that people can read: `read_aloud/*.txt`.

Each screen is its title, what the live region says, what has the focus, and Chromium's accessibility tree. After a
change that is meant, `WRITE_TRANSCRIPTS=1` writes the texts again, and the difference is read before it is committed.
"""

import os
import re
from pathlib import Path

from playwright.async_api import Page, expect

from tests.e2e.conftest import Visit
from tests.e2e.stack import Shop
from tests.e2e.steps import ANNA, pay, times

TEXTS = Path(__file__).with_name("read_aloud")
#: What differs from run to run, and addresses, which nobody is read.
RANDOM = ((r"^ *- /url: .*\n", ""), (r'^( *- link ".*"):$', r"\1"), (r"\b[0-9A-F]{4}-[0-9A-F]{4}\b", "REFERENCE"))
FOCUSED = """() => {
    const { activeElement: one, body } = document;
    return one === body ? "(the top of the page)" : (one.ariaLabel || one.innerText).split("\\n")[0];
}"""


class Transcript:
    """The screens so far."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._parts: list[str] = []

    async def screen(self, name: str, *, says: bool = False) -> None:
        """Note the screen that is shown; `says`: something is announced with it, and waited for."""
        live = self._page.locator("#hf-live")
        if says:
            await expect(live).not_to_be_empty()
        said = await live.inner_text()
        focus = await self._page.evaluate(FOCUSED)
        tree = await self._page.locator("body").aria_snapshot()
        head = [
            f"== {name}",
            f"title: {await self._page.title()}",
            f"focus: {focus}",
            *([f"says: {said}"] if said else []),
        ]
        self._parts.append("\n".join([*head, "", tree, ""]))

    @property
    def text(self) -> str:
        """All of it."""
        text = "\n".join(self._parts)
        for pattern, instead in RANDOM:
            text = re.sub(pattern, instead, text, flags=re.MULTILINE)
        return text


async def journey(shop: Shop, visit: Visit, language: str) -> str:
    """Book, slip, pay, look at the booking and cancel it, and what is read out on the way."""
    visitor = await visit(language=language)
    visitor.expect_problem("422")
    page = visitor.page
    told = Transcript(page)
    await page.goto(f"{shop.public}/w/studio?lang={language}")
    await told.screen("services")
    await page.locator("button.service").first.click()
    await expect(times(page).first).to_be_visible()
    await told.screen("times", says=True)
    await page.locator("#hf-zones").click()
    await expect(page.locator("#hf-zone")).to_be_focused()
    await page.locator(".zone button").click()
    await expect(page.locator("#hf-zones")).to_be_focused()
    await times(page).last.click()
    await expect(page.locator("#f-name")).to_be_visible()
    await told.screen("details", says=True)
    await page.locator("#hf-details button.main").click()
    # With the focus, what was said before is gone.
    await expect(page.locator("[role=group]:has(#hf-problem)")).to_be_focused()
    await told.screen("details with mistakes")
    await page.locator("#f-name").fill("Anna Ek")
    await page.locator("#f-email").fill(ANNA)
    await page.locator("#hf-details button.main").click()
    await pay(page)
    await expect(page.locator(".mark.done")).to_be_visible()
    await told.screen("confirmed")
    await shop.tick()
    link = re.search(r"http\S+/manage/\S+", shop.mail_to(ANNA)[-1].text or "")
    assert link
    await page.goto(link[0])
    await told.screen("the booking")
    await page.locator("a.grave").click()
    await expect(page.locator("button.grave")).to_be_visible()
    await told.screen("before cancelling", says=False)
    await page.locator("button.grave").click()
    await expect(page.locator(".stands.cross")).to_be_visible()
    await told.screen("cancelled", says=True)
    shop.demo.mailbox.messages.clear()
    return told.text


async def test_what_a_screen_reader_says_of_the_journey_is_what_was_read_and_approved(shop: Shop, visit: Visit) -> None:
    for language in ("en-GB", "de"):
        text, kept = await journey(shop, visit, language), TEXTS / f"{language}.txt"
        if "WRITE_TRANSCRIPTS" in os.environ:
            kept.parent.mkdir(exist_ok=True)
            kept.write_text(text, encoding="utf-8")
            continue
        assert text == kept.read_text(encoding="utf-8"), f"{kept.name} differs; see the module's first lines"
    assert "WRITE_TRANSCRIPTS" not in os.environ, "written, not compared: read the difference, then test without it"
