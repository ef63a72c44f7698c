"""The main screens in a window of 280 px, which no phone is narrower than, and what does not fit there or wider."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from playwright.async_api import Page

from app.domain.booking import Visitor as Browser
from tests.e2e.harness import Limits
from tests.e2e.stack import Shop
from tests.e2e.steps import booked
from tests.e2e.twins import in_language, spoken_to

NARROW: Final[Limits] = {"width": 280, "height": 653, "touch": True}

#: What scrolls sideways, which button's text is cut off, which of the short texts is broken inside a word, and which
#: texts lie over each other. In Chinese and Japanese a line may end after any character.
WRONG: Final = r"""() => {
    const wrong = [], root = document.documentElement, told = (one) => one.textContent.trim().replace(/\s+/g, " ");
    if (root.scrollWidth > innerWidth) wrong.push(`${root.scrollWidth} px wide`);
    const seen = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(".for-readers, template");
    for (const one of document.querySelectorAll("button, .button, a.link")) {
        if (seen(one) && getComputedStyle(one).display !== "inline" && one.scrollWidth > one.clientWidth + 1)
            wrong.push(`cut off: ${told(one)}`);
    }
    const lines = [], spaced = !/^(ja|zh)/.test(root.lang), texts = document.createTreeWalker(document.body, 4);
    while (texts.nextNode()) {
        const node = texts.currentNode, parent = node.parentElement;
        if (!node.data.trim() || !seen(parent) || /^(SCRIPT|STYLE|OPTION)$/.test(parent.tagName)) continue;
        const range = document.createRange();
        for (const { 0: word, index } of node.data.matchAll(/[^\s\u2060\u200b–—\/-]+/g)) {
            range.setStart(node, index);
            range.setEnd(node, index + word.length);
            const rows = [...range.getClientRects()].filter(({ width }) => width > 1);
            const broken = spaced && new Set(rows.map(({ top }) => Math.round(top))).size > 1;
            if (broken && parent.closest("button, .button, h1, h2, th, .facts, .sums") && !word.includes("@"))
                wrong.push(`broken: ${word}`);
        }
        range.selectNodeContents(node);
        for (const { left, right, top, bottom, height } of range.getClientRects()) {
            // Lines of one text may lie closer than their letters are high.
            lines.push({ node, left, right, top: top + height / 4, bottom: bottom - height / 4 });
        }
    }
    const scrolls = ({ parentElement }) => parentElement.closest(".people");
    lines.forEach((one, number) => {
        for (const other of lines.slice(number + 1)) {
            const over = Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1
                && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 1;
            if (over && !scrolls(one.node) && !scrolls(other.node))
                wrong.push(`over each other: ${one.node.data.trim()} | ${other.node.data.trim()}`);
        }
    });
    return wrong;
}"""


async def main_screens(shop: Shop) -> Mapping[str, str]:
    """The addresses of the main screens: of choosing, of a time that is held, of a booking that is paid."""
    parts, service = shop.parts, await shop.service()
    slot = await parts.availability.next_free(
        parts.widgets["studio"], service, after=shop.clock().date() + timedelta(days=7)
    )
    assert slot
    held = await parts.hold.take(
        parts.widgets["studio"],
        service_id=service.id,
        starts_at=slot.starts_at,
        resource_id=None,
        visitor=Browser(key="narrow", time_zone="America/New_York", language="en"),
    )
    paid, manage = await booked(shop)
    token = {one.id: parts.links.booking_token(one.id, ends_at=one.ends_at) for one in (held, paid)}
    return {
        "services": f"{shop.public}/w/studio",
        "times": f"{shop.public}/w/studio?service={service.id}&tz=America/New_York",
        "details": f"{shop.public}/b/{token[held.id]}",
        "confirmed": f"{shop.public}/b/{token[paid.id]}",
        "manage": manage,
        "cancel": f"{manage}/cancel",
        "another time": f"{manage}/reschedule",
    }


async def look_through(
    shop: Shop, page: Page, screens: Mapping[str, str], language: str, show: Callable[[str, Page], Awaitable[None]]
) -> None:
    """Show each of these screens in this language."""
    shop.forget_visits()
    async with spoken_to(shop, language):
        for name, address in screens.items():
            await page.goto(in_language(address, language))
            await show(name, page)
