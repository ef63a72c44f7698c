"""Write docs/screenshots: every screen and state of tests/e2e/tour.py, wide and phone, light and dark.

Git keeps those that a document shows, as .gitignore says.
"""

import asyncio
import sys
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageChops
from playwright.async_api import Browser, Page, async_playwright, expect

from scripts.chromium import HELP, find
from tests.e2e.harness import ARGUMENTS, PATIENCE, PHONE, WIDE, Limits, open_visitor
from tests.e2e.stack import ONE_STUDIO, open_shop
from tests.e2e.tour import EURO_WIDGETS, TOURS, Tour, pay_by_bank

FOLDER = Path(__file__).parent.parent / "docs" / "screenshots"
#: Pixels that are left below what is lowest on a picture.
MARGIN = 48
LOOKS: dict[str, Limits] = {
    "wide-light": WIDE,
    "wide-dark": {**WIDE, "dark": True},
    "phone-light": PHONE,
    "phone-dark": {**PHONE, "dark": True},
}


async def main() -> None:
    """Walk every tour in every look, in a shop of its own each time, so that the pictures come out alike."""
    executable = find()
    if executable is None:
        sys.exit(HELP)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    async with async_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        browser = await playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        for look, limits in LOOKS.items():
            for name, tour in TOURS.items():
                print(f"{look}: {name}", flush=True)
                await walk(browser, tour, look, limits)
            print(f"{look}: pay by bank", flush=True)
            await walk(browser, pay_by_bank, look, limits, EURO_WIDGETS)
        await browser.close()


async def walk(
    browser: Browser, tour: Tour, look: str, limits: Limits, widgets: Mapping[str, str] = ONE_STUDIO
) -> None:
    """One tour in one look."""

    async def show(name: str, page: Page) -> None:
        # Not `animations="disabled"`, which would bring up what comes by an animation minutes later.
        await page.emulate_media(reduced_motion="reduce")
        taken = await page.screenshot(full_page=True)
        # 128 colors are enough for flat pages, and keep the folder at half its size.
        picture = without_empty_end(Image.open(BytesIO(taken)).convert("RGB"))
        picture = picture.quantize(128, dither=Image.Dither.NONE)
        picture.save(FOLDER / f"{name}-{look}.png", optimize=True)

    with TemporaryDirectory() as folder:
        async with open_shop(Path(folder), widgets=widgets) as shop:
            visitor = await open_visitor(browser, **limits)
            await tour(shop, visitor, show)
            # Not `leave`: to take a picture Playwright adds styles of its own, which the pages' policy complains of.
            await visitor.context.close()


def without_empty_end(picture: Image.Image) -> Image.Image:
    """The picture up to what is lowest on it: a window is often higher than its page."""
    ground = Image.new("RGB", picture.size, picture.getpixel((0, picture.height - 1)))
    seen = ImageChops.difference(picture, ground).getbbox()
    return picture.crop((0, 0, picture.width, min(picture.height, seen[3] + MARGIN))) if seen else picture


if __name__ == "__main__":
    asyncio.run(main())
