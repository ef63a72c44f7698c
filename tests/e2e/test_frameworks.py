"""The widget where a framework owns the page: React, Vue, Svelte, Turbo, and what Livewire and LiveView morph with."""

import asyncio
import json
import subprocess
from typing import Final

from playwright.async_api import ElementHandle, Page, Route, expect

from scripts.frameworks import BUILT, node
from tests.e2e.conftest import Visit
from tests.e2e.harness import Visitor
from tests.e2e.heard import Heard
from tests.e2e.stack import Shop
from tests.e2e.steps import (
    HEADSHOT,
    PORTRAIT,
    choose_service,
    choose_time,
    expect_confirmed,
    go_to_stripe,
    heading,
    hold_and_tell,
    pay,
    widget,
)

FRAME: Final = 'iframe[title="Book a time"]'


def built(name: str) -> str:
    """The tag of what the framework's page was built to; `come` answers for it."""
    assert (BUILT / f"{name}.js").exists(), "run `make browser`"
    return f'<script src="/built/{name}.js"></script>'


async def come(visitor: Visitor, url: str) -> Page:
    """To a page of the host site, which has its scripts."""

    async def answer(route: Route) -> None:
        await route.fulfill(path=BUILT / route.request.url.rpartition("/")[2], content_type="text/javascript")

    await visitor.context.route("**/built/*.js", answer)
    await visitor.page.goto(url)
    return visitor.page


def write(shop: Shop, name: str, body: str, head: str = "") -> str:
    """Put a page on the host site; its address."""
    page = f"<!doctype html><html lang=en><head><meta charset=utf-8>{head}</head><body>{body}</body></html>"
    shop.demo.host.written[name] = page
    return f"{shop.host}/written/{name}"


def loader(shop: Shop) -> str:
    return f'<script async src="{shop.public}/embed.js"></script>'


def element(words: str = "Book here", attributes: str = "") -> str:
    return f'<holdfast-booking id="box" widget="studio" {attributes}><a href="#">{words}</a></holdfast-booking>'


async def listen(visitor: Visitor) -> Heard:
    """What the page's own handlers are told from now on."""
    heard = Heard()
    await visitor.context.expose_function("heard", lambda kind, detail: heard(kind, "", detail))
    return heard


async def frame(page: Page) -> ElementHandle:
    """The frame that is there now; frameworks may not put another in its place."""
    found = await page.wait_for_selector(FRAME)
    assert found
    return found


async def is_still(page: Page, before: ElementHandle) -> bool:
    """Whether it is the same frame."""
    return bool(await before.evaluate("(before) => before.isConnected")) and await page.locator(FRAME).count() == 1


async def live_through_it(visitor: Visitor, shop: Shop, heard: Heard) -> None:
    """What a framework does to a page: other attributes, other children, while a time is held, gone, and back."""
    page, headshot = visitor.page, await shop.service(HEADSHOT)
    await expect(heading(widget(visitor), PORTRAIT)).to_be_visible()
    await page.evaluate("service => change({ service })", headshot.id)
    await expect(heading(widget(visitor), HEADSHOT)).to_be_visible()
    assert await page.locator(FRAME).count() == 1
    before = await frame(page)
    await choose_time(widget(visitor))
    await heard.until("held")
    await page.evaluate("change({ words: 'Other words' })")
    await expect(page.get_by_role("heading", name="Other words")).to_be_visible()
    await expect(widget(visitor).get_by_label("Name")).to_be_visible()
    assert await is_still(page, before)
    assert [detail["service"]["name"] for detail in heard.details("held")] == [HEADSHOT]
    await page.evaluate("change({ here: false })")
    await expect(page.locator("holdfast-booking")).to_have_count(0)
    await page.evaluate("change({ here: true })")
    await expect(heading(widget(visitor), HEADSHOT)).to_be_visible()


async def test_react_renders_it_on_the_server_hydrates_it_in_strict_mode_and_is_told_what_happens(
    shop: Shop, visit: Visit
) -> None:
    visitor = await visit()
    heard = await listen(visitor)
    given = json.dumps({"server": shop.public, "service": (await shop.service(PORTRAIT)).id})
    render = [node(), str(BUILT / "react-server.cjs"), given]
    html = await asyncio.to_thread(subprocess.check_output, render, text=True)
    assert f'<a href="{shop.public}/w/studio">Book here</a></holdfast-booking>' in html
    script = f"<script>window.given = {given}</script>{built('react')}"
    await come(visitor, write(shop, "react", f'<div id="root">{html}</div>{script}'))
    await live_through_it(visitor, shop, heard)
    assert await visitor.page.locator(f'script[src="{shop.public}/embed.js"]').count() == 1
    # A handler is the last render's, and hears nothing twice.
    assert [detail["words"] for detail in heard.details("held")] == ["Book here"]
    assert "error" not in heard.kinds

    await visitor.page.get_by_role("button", name="In a dialog").click()
    dialog = visitor.page.get_by_role("dialog", name="Book a time")
    await expect(dialog).to_be_visible()
    await expect(heading(dialog.frame_locator("iframe"), HEADSHOT)).to_be_visible()
    await visitor.page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(visitor.page.get_by_role("button", name="In a dialog")).to_be_focused()


async def test_in_vue_it_follows_what_is_bound_and_its_events_are_heard(shop: Shop, visit: Visit) -> None:
    await in_a_page_of_its_own(shop, await visit(), "vue")


async def test_in_svelte_it_follows_what_is_bound_and_its_events_are_heard(shop: Shop, visit: Visit) -> None:
    await in_a_page_of_its_own(shop, await visit(), "svelte")


async def in_a_page_of_its_own(shop: Shop, visitor: Visitor, name: str) -> None:
    """A page that the framework draws into an empty element."""
    heard = await listen(visitor)
    given = json.dumps({"server": shop.public, "service": (await shop.service(PORTRAIT)).id})
    script = f"<script>window.given = {given}</script>{built(name)}"
    await come(visitor, write(shop, name, f'<div id="root"></div>{script}', loader(shop)))
    await live_through_it(visitor, shop, heard)


async def test_turbo_turns_pages_comes_back_and_refreshes_by_morphing(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    head = built("turbo") + loader(shop)
    head += '<meta name="turbo-refresh-method" content="morph"><meta name="turbo-refresh-scroll" content="preserve">'
    first = write(shop, "first", f"<h1>One</h1>{element()}", head)
    second = write(shop, "second", "<h1>Two</h1>", head)
    page = await come(visitor, first)
    await expect(widget(visitor).get_by_role("button", name=PORTRAIT)).to_be_visible()
    await page.evaluate("url => visit(url, 'advance')", second)
    await expect(page.get_by_role("heading", name="Two")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("heading", name="One")).to_be_visible()
    await choose_service(widget(visitor))
    await choose_time(widget(visitor))
    before = await frame(page)
    write(shop, "first", f"<h1>Three</h1>{element('Other words')}", head)
    await page.evaluate("url => visit(url, 'replace')", first)
    await expect(page.get_by_role("heading", name="Three")).to_be_visible()
    await expect(widget(visitor).get_by_label("Name")).to_be_visible()
    assert await is_still(page, before)


async def test_livewire_s_and_liveview_s_morphs_leave_the_widget_alone_and_change_its_attributes(
    shop: Shop, visit: Visit
) -> None:
    visitor = await visit()
    portrait, headshot = await shop.service(PORTRAIT), await shop.service(HEADSHOT)
    body = f'<div id="root"><h1>One</h1>{element("Book here", f"service={portrait.id}")}</div>'
    page = await come(visitor, write(shop, "morphs", body + built("morphs"), loader(shop)))
    await expect(heading(widget(visitor), PORTRAIT)).to_be_visible()
    for way, service in (("livewire", headshot), ("liveview", portrait)):
        html = f'<div id="root"><h1>{way}</h1>{element(way, f"service={service.id}")}</div>'
        await page.evaluate(f"html => {{ {way}(html) }}", html)
        await expect(heading(widget(visitor), service.name)).to_be_visible()
        before = await frame(page)
        await page.evaluate(f"html => {{ {way}(html) }}", html.replace("<h1>", "<h1>Again, "))
        await expect(page.get_by_role("heading", name=f"Again, {way}")).to_be_visible()
        assert await is_still(page, before)


async def test_from_the_element_and_from_a_dialog_by_script_a_customer_pays_and_comes_back(
    shop: Shop, visit: Visit
) -> None:
    visitor = await visit()
    page = visitor.page
    confirmed = """<script>addEventListener("holdfast:confirmed", ({ target }) => {
        window.confirmed = target.id || target.localName; })</script>"""
    # In another element's shadow root, where nobody looks from outside.
    outer = f"{confirmed}<div id='outer'></div>{loader(shop)}"
    inner = "html => { outer.attachShadow({ mode: 'open' }).innerHTML = html }"
    await visitor.context.add_init_script(
        f"addEventListener('DOMContentLoaded', () => window.outer && ({inner})({json.dumps(element())}))"
    )
    await page.goto(write(shop, "nested", outer))
    await hold_and_tell(widget(visitor))
    await go_to_stripe(widget(visitor), page)
    await pay(page)
    await expect_confirmed(widget(visitor))
    await page.wait_for_function("window.confirmed === 'outer'")
    assert await page.locator(FRAME).count() == 1

    await page.goto(write(shop, "script", f"{confirmed}<h1>Our site</h1>{loader(shop)}"))
    await page.evaluate("customElements.whenDefined('holdfast-booking').then(() => Holdfast.open('studio'))")
    await hold_and_tell(widget(visitor))
    # A running hold is asked about, put away, and shown again instead of a second dialog.
    await page.evaluate("document.querySelector('dialog').close()")
    assert await page.evaluate("Holdfast.open('studio').then(({ open }) => open)")
    assert await page.locator("dialog").count() == 1
    await go_to_stripe(widget(visitor), page)
    await pay(page)
    await expect_confirmed(widget(visitor))
    assert page.url == f"{shop.host}/written/script"
    await page.wait_for_function("window.confirmed === 'dialog'")


async def test_the_strictest_policy_allows_the_element_and_the_dialog_by_script(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = visitor.page
    await page.goto(f"{shop.host}/strict")
    await expect(widget(visitor).get_by_role("button", name=PORTRAIT)).to_be_visible()
    add = """() => { const box = document.createElement("holdfast-booking");
        box.setAttribute("widget", "studio"); box.title = "Second"; document.body.append(box); }"""
    await page.evaluate(add)
    await expect(page.frame_locator('iframe[title="Second"]').get_by_role("button", name=PORTRAIT)).to_be_visible()
    await page.evaluate("Holdfast.open('studio', { title: 'Third' })")
    dialog = page.get_by_role("dialog", name="Third")
    await expect(dialog.frame_locator("iframe").get_by_role("button", name=PORTRAIT)).to_be_visible()
    names = "Object.keys(window).filter((name) => /holdfast/i.test(name)).sort()"
    assert await page.evaluate(names) == ["Holdfast", "holdfast"]


async def test_without_script_and_where_the_frame_is_refused_the_element_shows_what_the_owner_put_there(
    shop: Shop, visit: Visit
) -> None:
    plain = await visit(scripts=False)
    await plain.page.goto(write(shop, "plain", element()))
    await expect(plain.page.get_by_role("link", name="Book here")).to_be_visible()
    visitor = await visit()
    visitor.expect_problem("404")
    visitor.expect_problem("frame-ancestors|Refused to (frame|display)")
    page = visitor.page
    address = write(shop, "refused", element().replace("studio", "nobody"), loader(shop))
    async with page.expect_console_message(lambda message: "no widget called 'nobody'" in message.text):
        await page.goto(address)
    await expect(page.get_by_role("link", name="Book here")).to_be_visible()
    # Where not even the loader's second half comes, it is there as well.
    await page.route("**/embed-more.min.js*", lambda route: route.abort())
    visitor.expect_problem("ERR_FAILED")
    await page.reload()
    await expect(page.get_by_role("link", name="Book here")).to_be_visible()
