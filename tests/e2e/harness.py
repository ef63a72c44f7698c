"""What every browser test stands on: visitors with the limits that real ones have, and a look at what went wrong.

A visitor reaches loopback and nothing else; htmx's CDN is answered with the genuine file. Whatever the browser
complains of fails the test, unless the test said beforehand that it belongs there.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, BrowserType, ConsoleMessage, Frame, Page, Route, WebError

from scripts.npm_assets import AXE, HTMX

ARGUMENTS = (
    "--no-sandbox",  # the tests also run as root in containers, where Chromium's own sandbox cannot
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
AXE_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
PATIENCE = 15_000  # milliseconds: two cores run everything, browser, product and both providers
NO_STORAGE = {"profile": {"default_content_setting_values": {"cookies": 2}}}  # 2 blocks, in Chromium's words


class Limits(TypedDict, total=False):
    """What may differ between visitors; everything is optional."""

    scripts: bool
    width: int
    height: int
    touch: bool
    dark: bool
    motion: bool
    language: str
    zone: str


WIDE: Limits = {}
DARK: Limits = {"dark": True}
PHONE: Limits = {"width": 390, "height": 844, "touch": True}


class Visitor:
    """One browser window with its own storage. `problems` fills as it is used; `leave` fails on unexpected ones."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.problems: list[str] = []
        self._expected: list[str] = []

    @classmethod
    async def enter(cls, context: BrowserContext) -> Self:
        """Watch a fresh context, and keep it from the network outside."""
        pages = context.pages  # a context that came with a profile of its own has a page already
        visitor = cls(context, pages[0] if pages else await context.new_page())
        context.set_default_timeout(PATIENCE)
        await context.route(lambda url: not is_loopback(url), visitor._answer_for_the_internet)
        context.on("console", visitor._note_console)
        context.on("weberror", visitor._note_error)
        return visitor

    def expect_problem(self, pattern: str) -> None:
        """Say that a problem matching this regular expression belongs to the test; it must occur."""
        self._expected.append(pattern)

    async def leave(self) -> None:
        """Close the window; fails on a problem nobody expected, and on an expected one that stayed away.

        What has been judged is not judged again.
        """
        await self.context.close()
        problems, expected = self.problems, self._expected
        self.problems, self._expected = [], []
        surprises = [seen for seen in problems if not any(re.search(pattern, seen) for pattern in expected)]
        assert not surprises, "The browser complained:\n" + "\n".join(surprises)
        missing = [pattern for pattern in expected if not any(re.search(pattern, seen) for seen in problems)]
        assert not missing, f"Expected and never seen: {missing}; seen: {problems}"

    async def frame(self, title: str) -> Frame:
        """Return the loaded document in the iframe of this title."""
        element = await self.page.wait_for_selector(f'iframe[title="{title}"]')
        assert element is not None
        frame = await element.content_frame()
        assert frame is not None
        await frame.wait_for_load_state("load")
        return frame

    async def _answer_for_the_internet(self, route: Route) -> None:
        url = route.request.url
        if urlsplit(url).path.endswith("/htmx.min.js"):
            headers = {"Access-Control-Allow-Origin": "*", "Content-Type": "text/javascript"}
            await route.fulfill(body=HTMX.path.read_bytes(), headers=headers)
        else:
            self.problems.append(f"request to the outside: {url}")
            await route.abort()

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console error: {message.text} ({message.location['url']})")

    def _note_error(self, error: WebError) -> None:
        self.problems.append(f"page error: {error.error}")


def is_loopback(url: str) -> bool:
    """Tell whether a URL stays on this machine; data:, blob: and about: do."""
    host = urlsplit(url).hostname
    return host is None or host in {"127.0.0.1", "localhost", "::1"} or host.endswith(".localhost")


async def open_visitor(browser: Browser, **limits: Unpack[Limits]) -> Visitor:
    """Open a window of a browser that is already running.

    Such a window is incognito to Chromium, which already refuses storage to cross-site frames, though not to pages.
    """
    return await Visitor.enter(await browser.new_context(**context_options(**limits)))


async def open_visitor_without_storage(
    chromium: BrowserType, executable: str, profile: Path, **limits: Unpack[Limits]
) -> Visitor:
    """Start a browser whose settings block cookies; Chromium then refuses every kind of storage, by throwing."""
    settings = profile / "Default" / "Preferences"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(NO_STORAGE))
    context = await chromium.launch_persistent_context(
        profile, executable_path=executable, args=ARGUMENTS, **context_options(**limits)
    )
    return await Visitor.enter(context)


def context_options(
    *,
    scripts: bool = True,
    width: int = 1280,
    height: int = 900,
    touch: bool = False,
    dark: bool = False,
    motion: bool = False,
    language: str = "en-GB",
    zone: str = "Europe/Stockholm",
) -> dict[str, Any]:
    """Put the limits into Playwright's words.

    Visitors want no motion unless a test says so: while the host site scrolls smoothly to what has the focus, the
    frame moves away under Playwright's pointer, and a click lands next to its button.
    """
    return {
        "java_script_enabled": scripts,
        "viewport": {"width": width, "height": height},
        "has_touch": touch,
        "color_scheme": "dark" if dark else "light",
        "reduced_motion": "no-preference" if motion else "reduce",
        "locale": language,
        "timezone_id": zone,
        "service_workers": "block",
    }


async def axe(target: Page | Frame, *, tags: Sequence[str] = AXE_TAGS) -> None:
    """Fail with a readable list of what axe finds wrong in a page or in one frame.

    axe is evaluated by the debugger, not added to the page, so that a strict Content-Security-Policy holds.
    """
    if not await target.evaluate("'axe' in window"):
        await target.evaluate(AXE.path.read_text())
    run = "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})"
    found = (await target.evaluate(run, list(tags)))["violations"]
    assert not found, f"axe on {target.url}:\n" + "\n".join(_describe(violation) for violation in found)


def _describe(violation: dict[str, Any]) -> str:
    lines = [f"{violation['id']} ({violation['impact']}): {violation['help']}"]
    for node in violation["nodes"]:
        lines += [f"  {node['html']}", "    " + node["failureSummary"].replace("\n", "\n    ")]
    return "\n".join(lines)
