"""The pages that speak English alone: the first set-up, and the JSON API's own page."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Unpack

import httpx
from playwright.async_api import Browser, Route, expect

from app.operations.setup.first_run import FirstRun
from app.web.setup.app import create_setup_app
from sandbox.faults import Fault
from tests.e2e.harness import Limits, Visitor, open_visitor
from tests.e2e.stack import Shop
from tests.support.owner_setup import ANSWERS, PUBLIC_URL, open_owner_setup

#: The screen's name, its window, and what the server sent for it.
Show = Callable[[str, Visitor, str], Awaitable[None]]

_ABOUT_THE_WIRE: Final = {"content-encoding", "content-length", "transfer-encoding"}
#: What is typed, by the label of its field. The others are right as they come.
_TYPED: Final = {
    "token": ANSWERS["token"],
    "name": ANSWERS["name"],
    "time_zone": "Mars/Olympus",
    "currency": ANSWERS["currency"],
    "services": "Portrait 60 min 1200\nPlanning call 20 min free",
    "people": "Maja: Mon-Fri 9-17",
    "owner_email": ANSWERS["email"],
    "stripe": ANSWERS["stripe"],
}


async def set_it_up(browser: Browser, folder: Path, show: Show, **limits: Unpack[Limits]) -> None:
    """From the code in the log to the tag, with a wrong code, a wrong answer and a scheduler that fails on the way."""
    async with open_owner_setup(folder) as owner:
        codes: list[str] = []
        first_run = FirstRun(
            environ=owner.environ, env_file=owner.folder / ".env", world=owner.world(), tell_code=codes.append
        )
        visitor = await open_visitor(browser, **limits)
        page, sent = visitor.page, [""]

        async def answer(route: Route) -> None:
            """What the set-up answers, which runs in this process and not at its address."""
            asked = route.request
            got = await server.request(
                asked.method, asked.url, content=asked.post_data_buffer, headers=await asked.all_headers()
            )
            headers = {name: text for name, text in got.headers.items() if name not in _ABOUT_THE_WIRE}
            if asked.is_navigation_request():
                sent.append(got.text)
            await route.fulfill(status=got.status_code, headers=headers, body=got.content)

        async def seen(name: str) -> None:
            await show(name, visitor, sent[-1])

        async with httpx.AsyncClient(transport=httpx.ASGITransport(create_setup_app(first_run))) as server:
            await page.route(f"{PUBLIC_URL}/**", answer)
            await page.goto(f"{PUBLIC_URL}/setup")
            await seen("set-up")
            await page.get_by_label("The code from the log").fill("0000-0000-0000")
            await page.get_by_role("button", name="Go on").click()
            await expect(page.get_by_text("This is not the code.")).to_be_visible()
            await seen("set-up-wrong-code")
            await page.get_by_label("The code from the log").fill(codes[-1])
            await page.get_by_role("button", name="Go on").click()
            await expect(page.locator("#f-token")).to_be_visible()
            await seen("set-up-answers")
            for field, text in _TYPED.items():
                await page.locator(f"#f-{field}").fill(text)
            await page.get_by_role("button", name="Show what would be done").click()
            await expect(page.get_by_text("There is no such time zone")).to_be_visible()
            await seen("set-up-answers-errors")
            await page.locator("#f-time_zone").fill(ANSWERS["time zone"])
            await page.get_by_role("button", name="Show what would be done").click()
            await expect(page.get_by_role("heading", name="This will be done")).to_be_visible()
            await seen("set-up-plan")
            owner.hapio.faults.append(Fault("drop_before", method="POST", path="recurring-schedules$", times=None))
            await page.get_by_role("button", name="Go ahead").click()
            await expect(page.get_by_role("button", name="Back to the answers")).to_be_visible()
            await seen("set-up-refused")
            owner.hapio.faults.clear()
            await page.get_by_role("button", name="Back to the answers").click()
            await page.get_by_role("button", name="Show what would be done").click()
            await page.get_by_role("button", name="Go ahead").click()
            await expect(page.get_by_text("Holdfast is set up, and starts now.")).to_be_visible()
            await seen("set-up-live")
        await visitor.context.close()


async def read_the_api(browser: Browser, shop: Shop, show: Show, **limits: Unpack[Limits]) -> None:
    """The JSON API's own page."""
    visitor = await open_visitor(browser, **limits)
    answer = await visitor.page.goto(f"{shop.public}/api")
    assert answer
    await show("api", visitor, await answer.text())
    await visitor.context.close()
