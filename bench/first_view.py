"""What a visitor waits for: `make first-view` prints weight, requests, first times and layout shift.

First times are taken on a slow phone's terms (150 ms, 1.6 Mbit/s, a quarter of this machine's speed), alone and inside
a host page, as the median of some loads with an empty cache. The shop runs in this process, on the same cores, so times
are upper bounds. `--strict` ends with an error where a budget is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.async_api import Browser, BrowserContext, Frame, Page, Request, async_playwright

from scripts.chromium import HELP, find
from scripts.npm_assets import HTMX
from tests.e2e.harness import ARGUMENTS, context_options
from tests.e2e.stack import Shop, open_shop

#: Frames of another site run in the page's process here, so that its slow network and processor are theirs, too.
TOGETHER: Final = ("--disable-features=IsolateOrigins,site-per-process", "--disable-site-isolation-trials")
NETWORK: Final = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 200_000}
SLOWER: Final = 4
#: What is promised: bytes compressed, requests, seconds alone and in a host page, layout shift.
MOST_BYTES, MOST_REQUESTS, MOST_ALONE, MOST_INSIDE, MOST_SHIFT = 26 * 1024, 4, 1.4, 2.2, 0.05

WATCH: Final = """window.shifts = 0; window.seen = 0;
new PerformanceObserver((list) => { for (const one of list.getEntries())
    if (!one.hadRecentInput) window.shifts += one.value; }).observe({ type: "layout-shift", buffered: true });
const look = () => document.querySelector("button.time, button.service") ? window.seen = performance.timeOrigin +
    performance.now() : requestAnimationFrame(look);
if (location.pathname.startsWith("/w/")) requestAnimationFrame(look);"""


@dataclass(frozen=True, slots=True)
class Load:
    """One load: seconds until the first times could be seen, and what moved by itself in the frame and in its page."""

    seconds: float
    shift: float
    host_shift: float


async def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What a visitor waits for.")
    parser.add_argument("--loads", type=int, default=5)
    parser.add_argument("--strict", action="store_true")
    asked = parser.parse_args(arguments)
    executable = find()
    if executable is None:
        sys.exit(HELP)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=(*ARGUMENTS, *TOGETHER))
        with TemporaryDirectory() as folder:
            async with open_shop(Path(folder)) as shop:
                broken = await measure(browser, shop, asked.loads)
        await browser.close()
    if broken and asked.strict:
        sys.exit(f"over budget: {', '.join(broken)}")


async def measure(browser: Browser, shop: Shop, loads: int) -> list[str]:
    """Print every figure with its budget; which budgets are broken."""
    service = (await shop.service()).id
    for name, more in (("first", ""), ("inside", f'data-service="{service}"')):
        shop.demo.host.written[name] = (
            "<!doctype html><html lang=en><meta name=viewport content='width=device-width'><body><h1>Site</h1>"
            f'<div data-holdfast="studio" {more}></div><script async src="{shop.public}/embed.js"></script><p>More.'
        )
    alone, inside = f"{shop.public}/w/studio?service={service}", f"{shop.host}/written/inside"
    broken = []

    def told(name: str, value: float, most: float, unit: str) -> None:
        print(f"{name:44} {value:>9.3f} {unit:9} of {most:g}{'' if value <= most else '  OVER'}")
        if value > most:
            broken.append(name)

    weight, requests = await weigh(browser, f"{shop.host}/written/first", shop)
    told("first view, loader included, compressed", weight, MOST_BYTES, "bytes")
    told("requests", requests, MOST_REQUESTS, "")
    weight, requests = await weigh(browser, inside, shop)
    print(f"{'the same where times come first':44} {weight:>9.3f} bytes, {requests} requests")
    for name, address, most in (("alone", alone, MOST_ALONE), ("in a host page", inside, MOST_INSIDE)):
        await load(browser, address)  # reads from the scheduler, draws and keeps the page
        seen = [await load(browser, address, slow=True) for _ in range(loads)]
        told(f"first times, {name}, slow", statistics.median(one.seconds for one in seen), most, "s")
        told(f"layout shift, {name}, frame", max(one.shift for one in seen), MOST_SHIFT, "")
        told(f"layout shift, {name}, page", max(one.host_shift for one in seen), MOST_SHIFT, "")
    return broken


async def weigh(browser: Browser, address: str, shop: Shop) -> tuple[int, int]:
    """(bytes compressed, requests) of ours and of the CDN until the first times are seen."""
    context = await _context(browser)
    page, asked = await context.new_page(), list[Request]()
    page.on("request", lambda request: asked.append(request))
    await page.goto(address)
    await _first_times(page)
    weight = requests = 0
    for request in asked:
        if request.url.endswith("htmx.min.js"):
            weight, requests = weight + len(gzip.compress(HTMX.path.read_bytes(), 9)), requests + 1
        elif request.url.startswith(shop.public):
            answer = await context.request.get(request.url, headers={"Accept-Encoding": "gzip"})
            weight, requests = weight + int(answer.headers["content-length"]), requests + 1
    await context.close()
    return weight, requests


async def load(browser: Browser, address: str, *, slow: bool = False) -> Load:
    """One load with an empty cache, on a phone."""
    context = await _context(browser)
    page = await context.new_page()
    if slow:
        session = await context.new_cdp_session(page)
        await session.send("Network.enable")
        await session.send("Network.emulateNetworkConditions", NETWORK)
        await session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    await page.goto(address, wait_until="commit")
    began = await page.evaluate("performance.timeOrigin")
    frame = await _first_times(page)
    # What moves by itself moves within a moment of the last script.
    await page.wait_for_timeout(1500)
    seen = await frame.evaluate("window.seen")
    shift, host_shift = await frame.evaluate("window.shifts"), await page.evaluate("window.shifts")
    await context.close()
    return Load((seen - began) / 1000, shift, host_shift)


async def _context(browser: Browser) -> BrowserContext:
    context = await browser.new_context(**context_options(width=360, height=740, touch=True))
    await context.add_init_script(WATCH)
    headers = {"Access-Control-Allow-Origin": "*", "Content-Type": "text/javascript"}
    await context.route("**/htmx.min.js", lambda route: route.fulfill(body=HTMX.path.read_bytes(), headers=headers))
    return context


async def _first_times(page: Page) -> Frame:
    """The frame that shows times, once it does."""
    while True:
        for frame in page.frames:
            if "/w/" in frame.url and await frame.evaluate("window.seen"):
                return frame
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main())
