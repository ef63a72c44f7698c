"""The demo's host sites: someone else's page with the widget in a frame."""

import inspect
import re
import tomllib
from collections.abc import AsyncIterator
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from app.cli.demo import OWNER
from app.cli.demo.widgets import STUDIO
from sandbox import seed
from sandbox.host import HostSandbox


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    host = HostSandbox(widget_origin="http://127.0.0.1:8000/")
    transport = httpx.ASGITransport(host.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9000") as client:
        yield client


async def test_the_main_page_asks_the_loader_for_the_widget_and_leaves_a_link_where_it_does_not_run(
    browser: httpx.AsyncClient,
) -> None:
    page = (await browser.get("/?utm_source=letter")).text
    assert '<script async src="http://127.0.0.1:8000/embed.js"></script>' in page
    (box,) = re.findall(r'<div [^>]*data-holdfast="studio">.*?</div>', page)
    assert 'href="http://127.0.0.1:8000/w/studio"' in box


@pytest.mark.parametrize("name", ["coach", "advice"])
async def test_each_business_of_one_page_embeds_its_own_widget(browser: httpx.AsyncClient, name: str) -> None:
    page = (await browser.get(f"/{name}")).text
    assert '<script async src="http://127.0.0.1:8000/embed.js"></script>' in page
    (box,) = re.findall(rf'<div [^>]*data-holdfast="{name}">.*?</div>', page)
    assert f'href="http://127.0.0.1:8000/w/{name}"' in box


async def test_the_plain_page_frames_the_widget_and_tells_it_where_it_stands(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/plain?utm_source=letter")).text
    (frame,) = re.findall(r"<iframe [^>]*>", page)
    assert 'title="Book a time"' in frame
    (source,) = re.findall(r'src="([^"]*)"', frame)
    address = urlsplit(unescape(source))
    assert f"{address.scheme}://{address.netloc}{address.path}" == "http://127.0.0.1:8000/w/studio"
    assert parse_qs(address.query) == {"host": ["http://127.0.0.1:9000/plain"]}


async def test_another_widget_can_be_embedded() -> None:
    host = HostSandbox(widget_origin="http://127.0.0.1:8000", widget="evening")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(host.app), base_url="http://h") as client:
        assert 'data-holdfast="evening"' in (await client.get("/")).text
        assert 'src="http://127.0.0.1:8000/w/evening?host=' in (await client.get("/plain")).text


@pytest.mark.parametrize("path", ["/plain", "/about"])
async def test_these_pages_need_no_script(browser: httpx.AsyncClient, path: str) -> None:
    assert "<script" not in (await browser.get(path)).text


@pytest.mark.parametrize(
    "path",
    ["/", "/plain", "/about", "/popup", "/float", "/ten", "/strict", "/isolated", "/walled", "/coach", "/advice"],
)
async def test_every_page_fetches_nothing_but_the_widget_from_elsewhere(browser: httpx.AsyncClient, path: str) -> None:
    page = (await browser.get(path)).text
    fetched = [unescape(url) for url in re.findall(r'(?:src|<link[^>]* href)="([^"]*)"', page)]
    product = ("http://127.0.0.1:8000/w/", "http://127.0.0.1:8000/embed.js")
    assert [url for url in fetched if not url.startswith(("data:", *product))] == []
    assert "url(http" not in page


async def test_the_about_page_leads_back_to_booking(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/about")
    assert page.status_code == 200
    assert 'href="/#book">Book a time</a>' in page.text


async def test_the_demos_site_its_widget_and_its_calendar_tell_the_same_of_the_studio(
    browser: httpx.AsyncClient,
) -> None:
    """Finding: two streets, two addresses, and three retouched pictures here that were two there."""
    site = (await browser.get("/")).text
    widget = tomllib.loads(STUDIO.replace("{{", "{").replace("}}", "}"))["studio"]
    assert set(re.findall(r'mailto:([^"?]+)', site)) == {widget["owner_email"], OWNER}
    street, _, town = widget["address"].partition(", ")
    assert f"{street}<br>{town}" in site
    assert f'"Studio Nord, {street}"' in inspect.getsource(seed)
    for mine, theirs in zip(widget["services"], seed.SERVICES.values(), strict=True):
        pictures = [re.findall(r"\w+ retouched", text) for text in (mine["description"]["en"], str(theirs))]
        assert pictures[0] == pictures[1]


@pytest.mark.parametrize("path", ["/popup", "/float"])
async def test_a_dialog_and_a_button_are_shown_on_a_page_of_the_studios_own_look(
    browser: httpx.AsyncClient, path: str
) -> None:
    page = (await browser.get(path)).text
    assert re.search(r"(?s)<style>.*--paper.*</style>", page), "it was in Times on white"
    assert "Hornsgatan 12" in page
