"""Fixtures of the browser tests: one Chromium for the whole run, one shop for each file, a new day in it for every
test, and visitors that are checked when they leave.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol, Unpack

import pytest
from playwright.async_api import Browser, Playwright, async_playwright, expect

from scripts.chromium import HELP, find, find_headless
from tests.e2e.harness import ARGUMENTS, PATIENCE, Limits, Visitor, open_visitor, open_visitor_without_storage
from tests.e2e.stack import Shop, open_shop


class Visit(Protocol):
    """Opens a window: `await visit(**PHONE)`, `await visit(dark=True)`; `storage=False` blocks cookies and storage."""

    async def __call__(self, *, storage: bool = True, **limits: Unpack[Limits]) -> Visitor: ...


@pytest.fixture(scope="session")
def executable() -> str:
    path = find()
    assert path, HELP
    return path


@pytest.fixture(scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as running:
        yield running


@pytest.fixture(scope="session")
async def browser(playwright: Playwright, executable: str) -> AsyncIterator[Browser]:
    # The shell is the same engine without a browser's windows, which cost as much as the pages in them.
    browser = await playwright.chromium.launch(executable_path=find_headless() or executable, args=ARGUMENTS)
    yield browser
    await browser.close()


@pytest.fixture(scope="module")
async def opened_shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
async def shop(opened_shop: Shop) -> Shop:
    await opened_shop.new_day()
    return opened_shop


@pytest.fixture
async def visit(playwright: Playwright, browser: Browser, executable: str, tmp_path: Path) -> AsyncIterator[Visit]:
    visitors: list[Visitor] = []

    async def visit(*, storage: bool = True, **limits: Unpack[Limits]) -> Visitor:
        if storage:
            visitor = await open_visitor(browser, **limits)
        else:
            profile = tmp_path / f"profile-{len(visitors)}"
            visitor = await open_visitor_without_storage(playwright.chromium, executable, profile, **limits)
        visitors.append(visitor)
        return visitor

    yield visit
    for visitor in visitors:
        await visitor.leave()
