"""What a visit weighs and leaves behind: few requests, small scripts, no cookie, nothing stored."""

import gzip

import pytest
from playwright.async_api import Page, Request, Response, expect

from scripts.npm_assets import HTMX
from tests.e2e.conftest import Visit
from tests.e2e.stack import Shop
from tests.e2e.steps import (
    PORTRAIT,
    choose_service,
    choose_time,
    expect_confirmed,
    go_to_stripe,
    pay,
    times,
    type_details,
)

MOST_SCRIPT = 20 * 1024
MOST_REQUESTS = 3

STORED = """async () => [document.cookie, localStorage.length, sessionStorage.length,
    (await indexedDB.databases()).length, (await caches.keys()).length]"""


async def test_the_first_times_cost_few_requests_and_little_script(
    shop: Shop, visit: Visit, capsys: pytest.CaptureFixture[str]
) -> None:
    visitor = await visit()
    service = await shop.service(PORTRAIT)
    asked: list[str] = []
    scripts: dict[str, int] = {}

    def note(request: Request) -> None:
        if request.url.startswith(shop.public):
            asked.append(request.url.removeprefix(shop.public).partition("?")[0])

    visitor.page.on("request", note)
    await visitor.page.goto(f"{shop.public}/w/studio?service={service.id}")
    await expect(times(visitor.page).first).to_be_visible()
    before_times = list(asked)

    for source in await visitor.page.locator("script[src]").evaluate_all("all => all.map(script => script.src)"):
        if source.startswith(shop.public):
            answer = await visitor.context.request.get(source, headers={"Accept-Encoding": "gzip"})
            assert answer.headers["content-encoding"] == "gzip"
            scripts[source.removeprefix(shop.public)] = int(answer.headers["content-length"])
        else:
            scripts[source] = len(gzip.compress(HTMX.path.read_bytes(), 9))
    page = await visitor.context.request.get(visitor.page.url, headers={"Accept-Encoding": "gzip"})

    with capsys.disabled():
        print(f"\n  before the first times: {before_times}; the page {page.headers['content-length']} bytes gzipped")
        print(f"  scripts, gzipped: {scripts}, {sum(scripts.values())} bytes in all")
    assert len(before_times) <= MOST_REQUESTS
    assert len(scripts) == 2
    assert sum(scripts.values()) <= MOST_SCRIPT


async def test_no_screen_sets_a_cookie_or_stores_anything(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = visitor.page
    cookies: list[str] = []

    async def note(answer: Response) -> None:
        if answer.url.startswith(shop.public) and "set-cookie" in await answer.all_headers():
            cookies.append(answer.url)

    async def expect_nothing(page: Page) -> None:
        assert await page.evaluate(STORED) == ["", 0, 0, 0, 0], page.url

    page.on("response", note)
    await page.goto(f"{shop.public}/w/studio")
    await expect_nothing(page)
    await choose_service(page)
    await expect_nothing(page)
    await choose_time(page)
    await expect_nothing(page)
    await type_details(page)
    await expect_nothing(page)
    await go_to_stripe(page, page)
    await pay(page)
    await expect_confirmed(page)
    await expect_nothing(page)
    assert cookies == []
    assert await visitor.context.cookies() == []
