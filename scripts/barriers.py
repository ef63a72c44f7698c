"""Every screen and state of customers, owners and staff in several languages: `make barriers` counts what is wrong.

Each state of tests/e2e/tour.py is asked for in each language as the server sends it, opened in Chromium and looked at
by axe; its HTML, and the part that htmx fetches, are validated. So is every mail. The first set-up and the JSON
API's page speak English alone: they are looked at as they are, light and dark. The main screens are measured in
every language, as wide as a narrow phone, a phone and a desk's screen. Ends with an error if anything is found.
"""

import argparse
import asyncio
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.async_api import Browser, Error, Page, async_playwright, expect

from app.domain.booking import Actor
from app.text.languages import LANGUAGES, direction
from scripts.chromium import HELP, find
from scripts.html_validate import Document, validate
from tests.e2e.harness import ARGUMENTS, DARK, PATIENCE, PHONE, Visitor, axe, open_visitor
from tests.e2e.narrow import NARROW, WRONG, look_through, main_screens
from tests.e2e.owners_english import read_the_api, set_it_up
from tests.e2e.stack import ONE_STUDIO, Shop, in_all_languages, open_shop
from tests.e2e.steps import booked
from tests.e2e.tour import EURO_WIDGETS, TOURS, Tour, pay_by_bank
from tests.e2e.twins import Twins

#: The pixels that a narrow phone, a phone and a desk's screen are wide.
WIDTHS: Final = (280, 360, 1280)
#: Left to right and right to left, long words and none.
LOOKED_AT: Final = ("en", "ar", "de", "ja")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, and in which state and language."""

    what: str
    where: str


@dataclass(slots=True)
class Looked:
    """What was looked at, and what was wrong."""

    languages: Sequence[str]
    states: set[str] = field(default_factory=set)
    opened: int = 0
    letters: int = 0
    parts: int = 0
    measured: int = 0
    html: list[tuple[str, Document]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    async def at(self, name: str, page: Page) -> None:
        """Let axe look at a page."""
        self.opened += 1
        try:
            await axe(page)
        except (AssertionError, Error) as error:
            self.findings.append(Finding(str(error).partition("\n")[2] or str(error), name))


async def main(arguments: Sequence[str] | None = None) -> None:
    """Walk every tour once; at each state look at it in every language."""
    parser = argparse.ArgumentParser(description="Counts barriers and mistakes in the HTML of every screen and state.")
    parser.add_argument("--languages", default=",".join(LOOKED_AT), help="tags, with commas between")
    parser.add_argument(
        "--tour",
        action="append",
        choices=[*TOURS, "pay by bank", "letters", "every language", "English alone"],
        help="only this; may be repeated",
    )
    asked = parser.parse_args(arguments)
    executable = find() or sys.exit(HELP)
    looked = Looked(asked.languages.split(","))
    tours: dict[str, tuple[Tour, Mapping[str, str]]] = {name: (tour, ONE_STUDIO) for name, tour in TOURS.items()}
    tours["pay by bank"] = pay_by_bank, EURO_WIDGETS
    async with async_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        browser = await playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        if not asked.tour or "letters" in asked.tour:
            print("letters", flush=True)
            await read_letters(browser, looked)
        if not asked.tour or "every language" in asked.tour:
            print("every language", flush=True)
            await measure(browser, looked)
        if not asked.tour or "English alone" in asked.tour:
            print("English alone", flush=True)
            await look_at_english(browser, looked)
        for name, (tour, widgets) in tours.items():
            if not asked.tour or name in asked.tour:
                print(name, flush=True)
                await walk(browser, tour, widgets, looked)
        await browser.close()
    await report(looked)


async def walk(browser: Browser, tour: Tour, widgets: Mapping[str, str], looked: Looked) -> None:
    """One tour, on a phone."""
    with TemporaryDirectory() as folder:
        async with open_shop(Path(folder), widgets=in_all_languages(widgets)) as shop:
            visitor = await open_visitor(browser, **PHONE)
            twins = Twins(shop, visitor.page)

            async def show(name: str, page: Page) -> None:
                if not page.url.startswith(shop.public):
                    return
                looked.states.add(name)
                # As scripts have changed it since it was sent.
                await looked.at(f"{name} (en, as it stands)", page)
                for language in looked.languages:
                    await look(twins, f"{name} ({language})", language, looked)

            try:
                await tour(shop, visitor, show)
            except (AssertionError, Error) as error:
                looked.findings.append(Finding(f"the tour stopped: {error}", visitor.page.url))
            await visitor.context.close()


async def look(twins: Twins, name: str, language: str, looked: Looked) -> None:
    """A state in one language."""
    sent = await twins.sent(language)
    looked.html.append((name, Document(sent.page)))
    if sent.part:
        looked.parts += 1
        looked.html.append((f"{name}, the part", Document(in_a_document(sent.part, language))))
    if sent.status != twins.status:
        looked.findings.append(Finding(f"answered {sent.status}, not {twins.status} as in the tour", name))
    window = await twins.open(sent)
    spoken = await window.locator("html").get_attribute("lang") or ""
    if spoken.partition("-")[0] != language:
        looked.findings.append(Finding(f"speaks {spoken!r}", name))
    await looked.at(name, window)
    await window.close()


def in_a_document(part: str, language: str) -> str:
    """A part of a page inside the least document that it can be in. htmx takes a part's title for the window's."""
    title = re.search(r"<title>.*?</title>", part, re.DOTALL)
    return (
        f'<!doctype html>\n<html lang="{language}" dir="{direction(language)}">'
        f"<head>{title[0] if title else '<title>Part</title>'}</head>"
        f"<body>{part.replace(title[0], '', 1) if title else part}</body></html>"
    )


async def read_letters(browser: Browser, looked: Looked) -> None:
    """Every mail of a booking's life, to customer and owner."""
    for language in looked.languages:
        with TemporaryDirectory() as folder:
            async with open_shop(Path(folder), widgets=in_all_languages(ONE_STUDIO)) as shop:
                await live(shop, language)
                visitor = await open_visitor(browser, **PHONE)
                for message in shop.demo.mailbox.messages:
                    if message.html:
                        name = f"mail {message.header('Subject')!r} ({language})"
                        looked.letters += 1
                        looked.html.append((name, Document(message.html, mail=True)))
                        await visitor.page.set_content(message.html)
                        await looked.at(name, visitor.page)
                await visitor.context.close()


async def look_at_english(browser: Browser, looked: Looked) -> None:
    """The first set-up and the JSON API's page."""
    for look, limits in (("phone", PHONE), ("dark", DARK)):

        async def show(name: str, visitor: Visitor, sent: str, look: str = look) -> None:
            looked.states.add(name)
            looked.html.append((name, Document(sent)))
            await looked.at(f"{name} ({look})", visitor.page)
            size = visitor.page.viewport_size
            await visitor.page.set_viewport_size({"width": 320, "height": 700})
            wide = await visitor.page.evaluate("document.documentElement.scrollWidth")
            if wide > 320:
                looked.findings.append(Finding(f"{wide} px wide", f"{name}, 320 px"))
            if size:
                await visitor.page.set_viewport_size(size)

        with TemporaryDirectory() as folder:
            await set_it_up(browser, Path(folder), show, **limits)
        with TemporaryDirectory() as folder:
            async with open_shop(Path(folder)) as shop:
                await read_the_api(browser, shop, show, **limits)


async def measure(browser: Browser, looked: Looked) -> None:
    """The main screens in every language and width."""
    with TemporaryDirectory() as folder:
        async with open_shop(Path(folder), widgets=in_all_languages(ONE_STUDIO)) as shop:
            visitor = await open_visitor(browser, **NARROW)
            screens = await main_screens(shop)
            for language in LANGUAGES:

                async def show(name: str, page: Page, language: str = language) -> None:
                    for width in WIDTHS:
                        await page.set_viewport_size({"width": width, "height": 800})
                        looked.measured += 1
                        for wrong in await page.evaluate(WRONG):
                            looked.findings.append(Finding(wrong, f"{name} ({language}), {width} px"))

                await look_through(shop, visitor.page, screens, language, show)
            await visitor.context.close()


async def live(shop: Shop, language: str) -> None:
    """Bookings from their confirmation to the day before, moved, cancelled and refunded."""
    parts = shop.parts
    first, _ = await booked(shop, language=language)
    second, _ = await booked(shop, language=language)
    await shop.tick(times=2)
    await parts.cancel.booking(second.id, by=Actor.CUSTOMER)
    await shop.tick(after=timedelta(minutes=11), times=2)
    await shop.tick(after=timedelta(days=2), times=2)
    await parts.manage_links.renew(first.id)
    await shop.tick(times=2)


async def report(looked: Looked) -> None:
    """Print what was found, with where it was found first and how often, and the count."""
    found = [(one.what, one.where) for one in looked.findings]
    for (name, _), mistakes in zip(looked.html, await validate([one for _, one in looked.html]), strict=True):
        found += [(f"{one.message} ({one.rule}, {one.selector})", f"{name}, line {one.line}") for one in mistakes]
    first = dict(reversed(found))
    for what, times in Counter(what for what, _ in found).most_common():
        print(f"{times} times, first in {first[what]}: {what}")
    print(
        f"{len(looked.states)} screens and states and {looked.letters} mails in {', '.join(looked.languages)}: "
        f"axe looked {looked.opened} times, {len(looked.html)} texts validated, {looked.parts} of them parts.\n"
        f"{looked.measured} screens measured in {len(LANGUAGES)} languages and {len(WIDTHS)} widths.\n"
        f"{len(found)} findings"
    )
    if found:
        sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
