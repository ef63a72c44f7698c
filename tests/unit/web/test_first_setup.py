"""The first set-up in a browser: anyone who can read the log opens it, and nothing else is served before it is done."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest

from app.environment import read_environment
from app.operations.setup.first_run import FirstRun
from app.web.setup.app import create_setup_app
from app.widgets_file import load_widgets
from sandbox.faults import Fault
from tests.support.owner_setup import PUBLIC_URL, TOKEN, OwnerSetup, everything, open_owner_setup
from tests.support.stack import text_of

TYPED = {
    "token": TOKEN,
    "name": "Studio Söder",
    "time_zone": "Europe/Stockholm",
    "currency": "SEK",
    "services": "Portrait 60 min 1200\nPlanning call 20 min free",
    "people": "Maja: Mon-Fri 9-17",
    "owner_email": "maja@studiosoder.example",
    "public_url": PUBLIC_URL,
    "sites": "",
    "stripe": "sk_test_sandbox",
    "smtp": "",
}


@dataclass
class Site:
    """The server before it is set up, its log, and a browser."""

    owner: OwnerSetup
    codes: list[str] = field(default_factory=list)
    first_run: FirstRun = field(init=False)
    browser: httpx.AsyncClient = field(init=False)
    key: str = ""

    def __post_init__(self) -> None:
        self.first_run = FirstRun(
            environ=self.owner.environ,
            env_file=self.owner.folder / ".env",
            world=self.owner.world(),
            tell_code=self.codes.append,
        )
        transport = httpx.ASGITransport(create_setup_app(self.first_run))
        self.browser = httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL)

    async def begin(self) -> httpx.Response:
        page = await self.browser.post("/setup", data={"code": self.codes[-1]})
        found = re.search(r'name="key" value="([^"]+)"', page.text)
        self.key = found[1] if found else ""
        return page

    async def send(self, path: str, **fields: str) -> httpx.Response:
        return await self.browser.post(f"/setup/{path}", data={"key": self.key, **fields})


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_owner_setup(tmp_path) as owner:
        site = Site(owner)
        yield site
        await site.browser.aclose()


async def test_nothing_else_is_served_before(site: Site) -> None:
    for path in ("/", "/w/studio", "/staff", "/api/services", "/readyz", "/metrics", "/embed.js"):
        answer = await site.browser.get(path)
        assert (answer.status_code, answer.text) == (503, "Not set up yet. Open /setup.")
    page = await site.browser.get("/setup")
    assert page.status_code == 200
    assert "script" not in page.headers["content-security-policy"]
    assert site.codes[0] not in page.text


async def test_the_code_opens_it_once_and_ten_wrong_ones_make_another(site: Site) -> None:
    for _ in range(10):
        assert (await site.browser.post("/setup", data={"code": "0000-0000-0000"})).status_code == 403
    first, second = site.codes
    assert (await site.browser.post("/setup", data={"code": first})).status_code == 403
    assert (await site.begin()).status_code == 200
    assert site.key
    assert (await site.browser.post("/setup", data={"code": second})).status_code == 403


async def test_without_the_key_or_after_half_an_hour_it_is_closed(site: Site) -> None:
    await site.begin()
    right, site.key = site.key, "another"
    for path in ("answers", "plan", "go"):
        assert (await site.send(path, **TYPED)).status_code == 403
    site.key = right
    assert (await site.send("answers")).status_code == 200
    site.owner.clock.advance(timedelta(minutes=31))
    assert (await site.send("answers")).status_code == 403
    assert (await site.browser.get("/setup/plan")).headers["location"] == "/setup"
    assert not site.owner.hapio.calls


async def test_a_wrong_answer_is_told_at_its_field_and_no_secret_comes_back(site: Site) -> None:
    assert f'value="{PUBLIC_URL}"' in (await site.begin()).text
    page = await site.send("plan", **{**TYPED, "time_zone": "Mars/Olympus", "people": "Maja: sometimes"})
    assert page.status_code == 422
    assert "There is no such time zone" in text_of(page.text)
    assert 'value="Mars/Olympus"' in page.text
    assert "Maja: sometimes" in page.text
    assert TOKEN not in page.text
    assert "sk_test_sandbox" not in page.text
    # What was secret and right need not be typed again.
    again = {**TYPED, "token": "", "stripe": ""}
    page = await site.send("plan", **again)
    assert "create the place Studio Söder" in text_of(page.text)
    assert everything(site.owner.hapio, site.owner.stripe)["places"] == 0


async def test_a_token_that_is_not_accepted_is_told_and_another_one_taken(site: Site) -> None:
    await site.begin()
    page = await site.send("plan", **{**TYPED, "token": "nobodys"})
    assert "Hapio does not accept the token." in text_of(page.text)
    assert "create the place" in text_of((await site.send("plan", **TYPED)).text)


async def test_from_the_code_to_the_tag_and_then_the_server_may_begin(site: Site) -> None:
    await site.begin()
    await site.send("plan", **TYPED)
    page = await site.send("go")
    told = text_of(page.text)
    assert "Hapio: create the place Studio Söder" in told
    assert "Holdfast is set up, and starts now." in told
    assert f'<div data-holdfast="studio"><a href="{PUBLIC_URL}/w/studio">' in unescape(page.text)
    settings = read_environment(site.owner.environ, folder=site.owner.folder).settings()
    assert settings.public_url == PUBLIC_URL
    assert [*load_widgets(settings.widgets_file)] == ["studio"]
    assert everything(site.owner.hapio, site.owner.stripe)["endpoints"] == [f"{PUBLIC_URL}/api/webhooks/stripe"]
    for secret in (TOKEN, "sk_test_sandbox", *site.owner.stripe.endpoint_secrets.values()):
        assert secret not in page.text
    # A second click shows the same again and does nothing.
    writes = sum(call.method != "GET" for call in site.owner.hapio.calls)
    assert "Holdfast is set up" in text_of((await site.send("go")).text)
    assert sum(call.method != "GET" for call in site.owner.hapio.calls) == writes
    assert not site.first_run.finished.is_set()
    site.first_run.leave()
    assert site.first_run.finished.is_set()


async def test_two_windows_that_say_go_at_once_make_one_of_everything(site: Site) -> None:
    await site.begin()
    await site.send("plan", **TYPED)
    pages = await asyncio.gather(site.send("go"), site.send("go"))
    assert all("Holdfast is set up" in text_of(page.text) for page in pages)
    made = everything(site.owner.hapio, site.owner.stripe)
    assert (made["places"], made["people"]) == (1, ["Maja"])
    assert made["endpoints"] == [f"{PUBLIC_URL}/api/webhooks/stripe"]


async def test_what_fails_on_the_way_is_told_and_can_be_gone_on_with(site: Site) -> None:
    await site.begin()
    fault = Fault("drop_before", method="POST", path="^/v1/resources/(?!0000).*/recurring-schedules$", times=None)
    site.owner.hapio.faults.append(fault)
    await site.send("plan", **TYPED)
    assert "Hapio does not answer" in text_of((await site.send("go")).text)
    site.first_run.leave()
    assert not site.first_run.finished.is_set()
    site.owner.hapio.faults.clear()
    assert "set the weekly hours of Maja" in text_of((await site.send("plan", **TYPED)).text)
    assert "Holdfast is set up" in text_of((await site.send("go")).text)
    assert everything(site.owner.hapio, site.owner.stripe)["people"] == ["Maja"]
