"""The widget on other people's pages: by one tag, in three ways, under hostile headers, and back from paying."""

import gzip
import json
import re
from random import Random
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.async_api import Frame, FrameLocator, Locator, Page, Route, expect

from scripts.npm_assets import HTMX
from tests.e2e.conftest import Visit
from tests.e2e.harness import PHONE, Visitor, axe
from tests.e2e.heard import Heard
from tests.e2e.stack import Shop
from tests.e2e.steps import (
    CALL,
    PORTRAIT,
    choose_service,
    choose_time,
    expect_confirmed,
    go_to_stripe,
    heading,
    hold_and_tell,
    open_widget,
    pay,
    times,
    to_summary,
    type_details,
    widget,
)
from tests.e2e.test_frugal import MOST_REQUESTS, MOST_SCRIPT

#: The host page's own listener; what it hears outlives the page, as a customer's analytics would.
LISTEN: Final = """for (const type of ["ready", "step", "held", "payment", "confirmed", "canceled", "error"])
    addEventListener("holdfast:" + type, (event) => heard(type, event.target.id, event.detail));"""
#: How the widget is opened in each way of embedding.
WAYS: Final = {"inline": "/strict", "dialog": "/popup", "floating": "/float"}
FIRST_HEIGHT: Final = 520
PERSONAL: Final = ("Anna", "anna", "@", "book cover")


async def listen(visitor: Visitor) -> Heard:
    """From now on, hear what the host page hears."""
    heard = Heard()
    await visitor.context.expose_function("heard", heard)
    await visitor.context.add_init_script(LISTEN)
    return heard


async def come(visitor: Visitor, shop: Shop, path: str) -> FrameLocator:
    """To a page of the host site, and open its widget if that takes a click."""
    await visitor.page.goto(shop.host + path)
    if path in {"/popup", "/float"}:
        await visitor.page.get_by_role("button", name="Book a time").click()
        await expect(visitor.page.get_by_role("dialog")).to_be_visible()
    return widget(visitor)


async def expect_it_fits(page: Page, screen: FrameLocator) -> None:
    """The frame, once it is in view, is as high as what is in it, within a pixel."""
    frame = page.locator("iframe")
    await frame.scroll_into_view_if_needed()
    content = screen.locator("body")
    await expect(content).to_be_visible()
    for _ in range(100):
        outer = await frame.evaluate("frame => frame.getBoundingClientRect().height")
        inner = await content.evaluate("body => body.getBoundingClientRect().height")
        if 0 <= outer - inner <= 1:
            return
        await page.evaluate("new Promise(requestAnimationFrame)")
    raise AssertionError(f"the frame is {outer} high, its content {inner}")


async def is_in_view(element: Locator) -> bool:
    """Whether the element's top is within the window."""
    return bool(
        await element.evaluate(
            "it => { const {top} = it.getBoundingClientRect(); return top >= -1 && top < innerHeight; }"
        )
    )


@pytest.mark.parametrize("way", WAYS)
async def test_with_storage_blocked_a_customer_pays_and_is_back_on_the_host_page(
    shop: Shop, visit: Visit, way: str
) -> None:
    visitor = await visit(storage=False)
    heard = await listen(visitor)
    page = visitor.page
    screen = await come(visitor, shop, f"{WAYS[way]}")
    await hold_and_tell(screen)
    await go_to_stripe(screen, page)
    await pay(page)

    await expect_confirmed(widget(visitor))
    await expect(heading(widget(visitor), "Your time is confirmed")).to_be_focused()
    assert page.url == shop.host + WAYS[way]
    assert await page.get_by_role("dialog").count() == (0 if way == "inline" else 1)
    assert await is_in_view(page.locator("iframe"))
    await heard.until("confirmed")
    assert len(heard.details("held")) == len(heard.details("payment")) == len(heard.details("confirmed")) == 1
    (told,) = heard.details("confirmed")
    (held,) = heard.details("held")
    assert told["version"] == 1
    assert {name: told[name] for name in ("booking", "service", "start", "price")} == {
        name: held[name] for name in ("booking", "service", "start", "price")
    }
    assert told["price"] == {"amount": 120000, "currency": "sek"}
    assert not any(word in json.dumps(heard.events) for word in PERSONAL)
    async with httpx.AsyncClient() as server:
        answer = (await server.post(f"{shop.public}/api/receipts/verify", json={"receipt": told["receipt"]})).json()
    assert answer["valid"]
    assert answer["receipt"]["booking"] == told["booking"]

    await page.reload()
    await expect_confirmed(widget(visitor))
    assert len(heard.details("confirmed")) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_who_leaves_stripe_unpaid_is_back_on_the_host_page_and_can_go_on(
    shop: Shop, visit: Visit, way: str
) -> None:
    visitor = await visit()
    heard = await listen(visitor)
    screen = await come(visitor, shop, WAYS[way])
    await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    await visitor.page.get_by_role("link", name="Back to Studio Nord").click()
    await expect(heading(widget(visitor), "Your time is still held")).to_be_visible()
    assert visitor.page.url == shop.host + WAYS[way]
    await axe(await visitor.frame("Book a time"))
    await widget(visitor).get_by_role("link", name="Continue to payment").click()
    await pay(visitor.page)
    await expect_confirmed(widget(visitor))
    await heard.until("confirmed")
    assert len(heard.details("confirmed")) == 1


async def test_a_free_service_is_confirmed_in_place_with_one_event(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    heard = await listen(visitor)
    screen = await come(visitor, shop, "/")
    await hold_and_tell(screen, CALL)
    await screen.get_by_role("button", name="Confirm booking").click()
    await expect_confirmed(screen)
    await heard.until("confirmed")
    assert heard.kinds == ["ready", "step", "step", "step", "held", "step", "confirmed"]
    steps = [detail["step"] for detail in heard.details("step")]
    assert steps == ["services", "time", "details", "result"]
    assert heard.details("confirmed")[0]["receipt"]


async def test_giving_the_time_back_is_told(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    heard = await listen(visitor)
    screen = await come(visitor, shop, "/")
    await choose_service(screen)
    await choose_time(screen)
    await screen.get_by_role("button", name="Other times").click()
    await expect(times(screen).first).to_be_visible()
    await heard.until("canceled")
    (told,) = heard.details("canceled")
    assert told["reason"] == "given_up"
    assert told["booking"] == heard.details("held")[0]["booking"]


async def test_free_days_are_found_at_a_glance(shop: Shop, visit: Visit) -> None:
    """Finding: they differed from the others by weight and a bar of 3 px only."""
    page = (await visit()).page
    await page.goto(f"{shop.public}/w/studio?service={(await shop.service()).id}")
    colours = "it => [getComputedStyle(it).backgroundColor, getComputedStyle(it).color]"
    ground, text = await page.locator("button.day[aria-pressed=false]").first.evaluate(colours)
    other_ground, other_text = await page.locator(".days td:not(:has(button))").first.evaluate(colours)
    assert ground != other_ground == "rgba(0, 0, 0, 0)"
    assert text != other_text


async def test_the_main_page_scrolls_back_to_the_widget_after_paying(shop: Shop, visit: Visit) -> None:
    visitor = await visit(**PHONE)
    screen = await come(visitor, shop, "/?utm_source=letter")
    await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    await pay(visitor.page)
    await expect_confirmed(widget(visitor))
    assert visitor.page.url == f"{shop.host}/?utm_source=letter"
    assert await is_in_view(visitor.page.locator("iframe"))
    assert await visitor.page.evaluate("scrollY") > 500


# Fitting


async def test_the_frame_is_as_high_as_every_screen(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("422")
    page = visitor.page
    screen = await come(visitor, shop, "/")
    # Out of view, where browsers draw nothing, it has its height all the same.
    assert not await is_in_view(page.locator("iframe"))
    assert await page.locator("iframe").evaluate("frame => frame.offsetHeight") not in {0, FIRST_HEIGHT}
    for width in (1280, 700, 390):
        await page.set_viewport_size({"width": width, "height": 900})
        await expect_it_fits(page, screen)
    await choose_service(screen)
    await expect_it_fits(page, screen)
    await screen.get_by_role("button", name="Change the time zone").click()
    await expect(screen.get_by_label("Show times in")).to_be_visible()
    await expect_it_fits(page, screen)
    await choose_time(screen)
    await expect_it_fits(page, screen)
    await screen.get_by_role("button", name="Pay").click()
    await expect(screen.get_by_text("Please check the marked fields.")).to_be_visible()
    await expect_it_fits(page, screen)
    await type_details(screen)
    await expect_it_fits(page, screen)
    await go_to_stripe(screen, page)
    await pay(page)
    await expect_confirmed(widget(visitor))
    for width in (390, 1280):
        await page.set_viewport_size({"width": width, "height": 900})
        await expect_it_fits(page, widget(visitor))


async def test_two_hundred_changes_of_size_leave_the_frame_as_high_as_its_content(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page, random = visitor.page, Random(4)
    screen = await come(visitor, shop, "/")
    await choose_service(screen)
    body, frame = screen.locator("body"), page.locator("iframe")
    for _ in range(200):
        if random.random() < 0.3:
            width = random.randint(320, 1400)
            await page.set_viewport_size({"width": width, "height": random.randint(300, 1000)})
        else:
            change = "(body, height) => { body.style.paddingBottom = height + 'px'; }"
            await body.evaluate(change, round(random.uniform(0, 900), 2))
    await expect_it_fits(page, screen)
    # Nothing creeps once the changes are over.
    before = await frame.evaluate("frame => frame.offsetHeight")
    for _ in range(60):
        await page.evaluate("new Promise(requestAnimationFrame)")
    assert await frame.evaluate("frame => frame.offsetHeight") == before
    await body.evaluate("body => { body.style.paddingBottom = ''; }")
    await expect_it_fits(page, screen)


async def test_before_it_speaks_the_frame_keeps_its_room(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    await visitor.page.route("**/static/widget.min.js*", lambda route: None)  # never answered
    await visitor.page.goto(f"{shop.host}/", wait_until="commit")
    frame = visitor.page.locator("iframe")
    await expect(frame).to_be_visible()
    assert await frame.evaluate("frame => frame.offsetHeight") == FIRST_HEIGHT
    await visitor.page.unroute_all(behavior="ignoreErrors")


async def test_a_step_out_of_view_is_brought_into_view(shop: Shop, visit: Visit) -> None:
    visitor = await visit(**PHONE)
    page = visitor.page
    screen = await come(visitor, shop, "/")
    await screen.get_by_role("button", name=PORTRAIT).click()
    await expect(times(screen).first).to_be_visible()
    frame = page.locator("iframe")
    # Room below, so that the page does not move by itself when the frame becomes less high.
    await page.evaluate("document.body.style.paddingBottom = '2000px'")
    await frame.evaluate("it => scrollBy({top: it.getBoundingClientRect().top + 200, behavior: 'instant'})")
    assert not await is_in_view(frame)
    await times(screen).last.click()
    await expect(screen.get_by_label("Name")).to_be_visible()
    assert await is_in_view(frame)


# Weight


async def test_the_first_times_on_a_host_page_cost_three_requests_and_little_script(
    shop: Shop, visit: Visit, capsys: pytest.CaptureFixture[str]
) -> None:
    visitor = await visit()
    service = await shop.service()
    asked: list[str] = []
    scripts = {"htmx, from its CDN": len(gzip.compress(HTMX.path.read_bytes(), 9))}
    visitor.page.on("request", lambda request: asked.append(request.url) if shop.public in request.url[:40] else None)
    await visitor.page.goto(f"{shop.host}/about")
    await visitor.page.evaluate(
        """service => { const box = document.createElement("div");
        Object.assign(box.dataset, { holdfast: "studio", service }); document.body.prepend(box); }""",
        service.id,
    )
    await visitor.page.add_script_tag(url=f"{shop.public}/embed.js")
    await expect(times(visitor.page.frame_locator("iframe")).first).to_be_visible()
    before_times = list(asked)
    for url in before_times:
        answer = await visitor.context.request.get(url, headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        if "javascript" in answer.headers["content-type"]:
            scripts[urlsplit(url).path] = int(answer.headers["content-length"])
    with capsys.disabled():
        print(f"\n  asked of us before the first times: {[urlsplit(url).path for url in before_times]}")
        print(f"  scripts, gzipped: {scripts}, {sum(scripts.values())} bytes in all")
    assert 2 <= len(before_times) <= MOST_REQUESTS
    assert sum(scripts.values()) <= MOST_SCRIPT


# The dialog


async def test_a_dialog_opens_from_a_button_a_link_and_any_word_and_gives_the_focus_back(
    shop: Shop, visit: Visit
) -> None:
    visitor = await visit()
    page = visitor.page
    await page.goto(f"{shop.host}/popup")
    await expect(page.locator("#word")).to_have_attribute("tabindex", "0")
    dialog = page.get_by_role("dialog", name="Book a time")
    for opener in (page.locator("#here"), page.get_by_role("link", name="Or by this link"), page.locator("#word")):
        await opener.focus()
        await page.keyboard.press("Enter")
        await expect(dialog).to_be_visible()
        await expect(widget(visitor).get_by_role("button", name=PORTRAIT)).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog")).to_have_count(0)
        await expect(opener).to_be_focused()
    await page.locator("#here").click()
    await page.get_by_role("button", name="Close").click()
    await expect(page.locator("dialog")).to_have_count(0)
    await page.locator("#here").click()
    await page.mouse.click(5, 450)
    await expect(dialog).to_have_count(0)


async def test_escape_inside_the_frame_closes_the_dialog(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await come(visitor, shop, "/popup")
    await choose_service(screen)
    await times(screen).first.focus()
    await visitor.page.keyboard.press("Escape")
    await expect(visitor.page.get_by_role("dialog")).to_have_count(0)


async def test_a_running_hold_is_not_left_by_accident(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = visitor.page
    screen = await come(visitor, shop, "/popup")
    dialog = page.get_by_role("dialog", name="Book a time")
    await choose_service(screen)
    await choose_time(screen)
    await screen.get_by_label("Name").fill("Anna Ek")
    question = screen.get_by_text(re.compile(r"Your time stays held until \d\d:\d\d\. You can close this"))
    await page.keyboard.press("Escape")
    await expect(question).to_be_visible()
    await axe(await visitor.frame("Book a time"))
    await screen.get_by_role("button", name="Continue booking").click()
    await expect(question).to_be_hidden()
    await expect(dialog).to_be_visible()

    await page.get_by_role("button", name="Close", exact=True).click()
    await screen.get_by_role("button", name="Close", exact=True).click()
    await expect(dialog).to_be_hidden()
    await page.locator("#here").click()
    await expect(screen.get_by_label("Name")).to_have_value("Anna Ek")


@pytest.mark.parametrize("height", [900, 500])
async def test_a_dialog_fits_the_window_and_scrolls_inside(shop: Shop, visit: Visit, height: int) -> None:
    visitor = await visit(width=390, height=height)
    screen = await come(visitor, shop, "/popup")
    await choose_service(screen)
    box = await visitor.page.get_by_role("dialog").bounding_box()
    assert box
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= height
    await choose_time(screen)
    await type_details(screen)


# Any page


async def test_ten_widgets_on_one_page_do_not_mistake_each_other(shop: Shop, visit: Visit) -> None:
    visitor = await visit(height=8000)  # no click of the test's has to scroll
    heard = await listen(visitor)
    await visitor.page.goto(f"{shop.host}/ten")
    for number in range(10):
        frame = visitor.page.frame_locator(f'iframe[title="Room {number + 1}"]')
        await expect(frame.get_by_role("button", name=PORTRAIT)).to_be_visible()
    await expect(visitor.page.locator("iframe")).to_have_count(10)
    for number in range(10):  # until all have their height, they push one another down, away from the click
        await expect(visitor.page.locator("iframe").nth(number)).not_to_have_css("height", "520px")
    seventh = visitor.page.frame_locator('iframe[title="Room 7"]')
    await hold_and_tell(seventh)
    await heard.until("held")
    assert {element for kind, element, _ in heard.events if kind == "held"} == {"here-6"}
    assert len(heard.details("ready")) == 10
    await go_to_stripe(seventh, visitor.page)
    await pay(visitor.page)
    await expect_confirmed(visitor.page.frame_locator('iframe[title="Room 7"]'))
    sixth = visitor.page.frame_locator('iframe[title="Room 6"]')
    await expect(sixth.get_by_role("button", name=PORTRAIT)).to_be_visible()
    await heard.until("confirmed")
    assert {element for kind, element, _ in heard.events if kind == "confirmed"} == {"here-6"}


async def test_elements_that_come_later_are_found_and_a_second_tag_changes_nothing(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = visitor.page
    await page.goto(f"{shop.host}/about")
    for _ in range(2):
        await page.add_script_tag(url=f"{shop.public}/embed.js")
    await page.evaluate(
        """() => { const box = document.createElement("div");
        box.innerHTML = '<div data-holdfast="studio" data-title="Late"></div>'; document.body.prepend(box); }"""
    )
    await expect(page.frame_locator('iframe[title="Late"]').get_by_role("button", name=PORTRAIT)).to_be_visible()
    await expect(page.locator("iframe")).to_have_count(1)


@pytest.mark.parametrize("path", ["/strict", "/isolated"])
async def test_strict_pages_can_embed_and_are_paid_on(shop: Shop, visit: Visit, path: str) -> None:
    visitor = await visit()
    screen = await come(visitor, shop, path)
    assert await visitor.page.evaluate("crossOriginIsolated") == (path == "/isolated")
    await hold_and_tell(screen)
    await expect_it_fits(visitor.page, screen)
    await go_to_stripe(screen, visitor.page)
    await pay(visitor.page)
    await expect_confirmed(widget(visitor))


async def test_what_the_page_knows_is_passed_on(shop: Shop, visit: Visit) -> None:
    visitor = await visit(language="en-GB", zone="America/New_York")
    page = visitor.page
    service = await shop.service()
    await page.goto(f"{shop.host}/about?utm_source=letter&gclid=g1&other=1#team")
    await page.evaluate(
        """service => { document.documentElement.lang = "sv";
        const box = document.createElement("div");
        Object.assign(box.dataset, { holdfast: "studio", service, theme: "dark", name: "Anna Ek", unknown: "x" });
        document.body.prepend(box); }""",
        service.id,
    )
    await page.add_script_tag(url=f"{shop.public}/embed.js")
    source = await page.locator("iframe").get_attribute("src") or ""
    asked = parse_qs(urlsplit(source).query)
    assert asked == {
        "service": [service.id],
        "theme": ["dark"],
        "name": ["Anna Ek"],
        "utm_source": ["letter"],
        "gclid": ["g1"],
        "lang": ["sv"],
        "tz": ["America/New_York"],
        "host": [f"{shop.host}/about?utm_source=letter&gclid=g1&other=1#team"],
        "place": ["i0"],
        "ground": ["rgb(246, 241, 233)"],
    }
    screen = page.frame_locator("iframe")
    await expect(screen.locator("html")).to_have_attribute("lang", "sv")
    await times(screen).last.click()
    await expect(screen.locator("#f-name")).to_have_value("Anna Ek")


# Where it cannot be shown


@pytest.mark.parametrize(
    ("path", "problem", "why"),
    [
        ("/walled", "Content Security Policy|Content-Security-Policy", "frame-src"),
        ("stranger", "frame-ancestors", "allowed_origins"),
    ],
)
async def test_where_the_frame_is_refused_there_is_a_link_and_one_line_that_says_why(
    shop: Shop, visit: Visit, path: str, problem: str, why: str
) -> None:
    visitor = await visit()
    visitor.expect_problem(problem)
    heard = await listen(visitor)
    said: list[str] = []
    visitor.page.on("console", lambda message: said.append(message.text) if "Holdfast" in message.text else None)
    stranger = shop.host.replace("localhost", "127.0.0.1") + "/strict"
    # The line may need one more answer from us than the event does.
    async with visitor.page.expect_console_message(lambda message: "Holdfast" in message.text):
        await visitor.page.goto(stranger if path == "stranger" else shop.host + path)
    link = visitor.page.locator("#here").get_by_role("link", name="Book a time")
    await expect(link).to_be_visible()
    await heard.until("error")
    assert len(said) == 1
    assert why in said[0]
    assert f"{shop.public}/embed" in said[0]
    assert heard.details("error") == [{"version": 1, "code": "FRAME_REFUSED"}]
    await link.click()
    await expect(visitor.page.get_by_role("button", name=PORTRAIT)).to_be_visible()
    assert visitor.page.url.startswith(f"{shop.public}/w/studio")


async def test_a_frame_that_comes_late_takes_the_links_place(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = visitor.page
    waiting: list[Route] = []

    async def keep_waiting(route: Route) -> None:
        waiting.append(route)

    await page.route("**/w/studio?*", keep_waiting)
    await page.clock.install()
    await page.goto(f"{shop.host}/strict", wait_until="commit")
    await expect(page.locator("iframe")).to_have_count(1)
    await page.clock.run_for(7000)
    link = page.locator("#here").get_by_role("link", name="Book a time")
    await expect(link).to_be_visible()
    for route in waiting:
        await route.continue_()
    await expect(widget(visitor).get_by_role("button", name=PORTRAIT)).to_be_visible()
    await expect(link).to_have_count(0)


async def test_without_script_on_the_host_page_there_is_a_link(shop: Shop, visit: Visit) -> None:
    visitor = await visit(scripts=False)
    await visitor.page.goto(shop.host)
    await visitor.page.locator("[data-holdfast]").get_by_role("link", name="Book a time").click()
    await expect(visitor.page.get_by_role("button", name=PORTRAIT)).to_be_visible()


# Forgeries


#: Says something to the page around a frame; whether that answers.
SAY: Final = """(message) => new Promise((done) => {
    addEventListener("message", () => done(true));
    parent.postMessage(message, "*");
    setTimeout(() => done(false), 300);
})"""


async def frame_beside(page: Page, url: str) -> Frame:
    """A frame that someone else put into the page."""
    add = "url => document.body.append(Object.assign(document.createElement('iframe'), { src: url, name: 'other' }))"
    async with page.expect_event("framenavigated", lambda frame: frame.url == url) as navigated:
        await page.evaluate(add, url)
    frame: Frame = await navigated.value
    return frame


async def test_forged_messages_reach_neither_the_page_nor_the_frame(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    heard = await listen(visitor)
    page = visitor.page
    screen = await come(visitor, shop, "/strict")
    await choose_service(screen)
    await heard.until("step", times=2)
    height = await page.locator("iframe").evaluate("frame => frame.offsetHeight")
    before = len(heard.events)

    # From the page itself, and from our own origin, but out of a frame that the loader did not make.
    for kind in ("hi", "confirmed", "size"):
        forged = {"holdfast": 1, "type": kind, "height": 9000, "booking": "bk_forged"}
        await page.evaluate("forged => postMessage(forged, '*')", forged)
        other = await frame_beside(page, f"{shop.public}/w/studio")
        assert await other.evaluate(SAY, forged) is False
    assert len(heard.events) == before
    assert await page.locator("iframe").first.evaluate("frame => frame.offsetHeight") == height
    await choose_time(screen)
    await heard.until("held")
    assert heard.kinds[before:] == ["step", "held"]  # the true frame is still the one that is heard


async def test_a_frame_that_was_led_to_another_origin_gets_no_channel(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = visitor.page
    screen = await come(visitor, shop, "/popup")
    await expect(screen.get_by_role("button", name=PORTRAIT)).to_be_visible()
    elsewhere = f"{shop.host}/about"
    async with page.expect_event("framenavigated", lambda frame: frame.url == elsewhere):
        await page.locator("iframe").evaluate("(frame, url) => { frame.src = url; }", elsewhere)
    other = await visitor.frame("Book a time")
    assert await other.evaluate(SAY, {"holdfast": 1, "type": "hi"}) is False


#: A host page without our loader: frames the widget under the given name, and keeps what the frame says to it.
FRAME_IT: Final = """([src, name]) => new Promise((done) => {
    window.said = [];
    addEventListener("message", ({ data }) => said.push(data.type));
    const frame = Object.assign(document.createElement("iframe"), { src, name, title: "Bare" });
    frame.onload = () => done();
    document.body.append(frame);
})"""
#: Offers a channel, from the window that this runs in, to the window that `target` names; says what comes through.
OFFER: Final = """(target) => new Promise((done) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = ({ data }) => done(data.type);
    (target === "self" ? window : document.querySelector("iframe").contentWindow).postMessage(
        { holdfast: 1, type: "hello" }, "*", [channel.port2]);
    setTimeout(() => done(null), 500);
})"""


async def test_a_frame_takes_a_channel_from_the_page_around_it_only(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = visitor.page
    await page.goto(f"{shop.host}/about")
    await page.evaluate(FRAME_IT, [f"{shop.public}/w/studio", f"holdfast {shop.host}"])
    await page.wait_for_function("said.length")  # a message crosses windows after the frame has loaded
    assert await page.evaluate("said") == ["hi"]
    frame = await visitor.frame("Bare")
    assert await frame.evaluate(OFFER, "self") is None
    assert await page.evaluate(OFFER, "frame") == "ready"
    assert await page.evaluate(OFFER, "frame") is None  # one channel, and no second


async def test_a_frame_speaks_to_no_page_that_is_not_on_its_list(shop: Shop, visit: Visit) -> None:
    """Not even where a browser, or something before it, disregards `frame-ancestors`."""
    visitor = await visit()
    page = visitor.page

    async def without_policy(route: Route) -> None:
        answer = await route.fetch()
        headers = {name: value for name, value in answer.headers.items() if name != "content-security-policy"}
        await route.fulfill(response=answer, headers=headers)

    await page.route("**/w/studio", without_policy)
    stranger = shop.host.replace("localhost", "stranger.localhost")
    await page.goto(f"{stranger}/about")
    await page.evaluate(FRAME_IT, [f"{shop.public}/w/studio", f"holdfast {stranger}"])
    await expect(page.frame_locator("iframe").get_by_role("button", name=PORTRAIT)).to_be_visible()
    assert await page.evaluate(OFFER, "frame") is None
    assert await page.evaluate("said") == []


async def test_a_forged_result_in_the_address_shows_nothing_and_is_taken_out(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("403")
    visitor.expect_problem("frame-ancestors")
    heard = await listen(visitor)
    await visitor.page.goto(f"{shop.host}/strict#holdfast=i0.forged")
    await heard.until("error")  # the link is there before the script is
    await expect(visitor.page.locator("#here").get_by_role("link", name="Book a time")).to_be_visible()
    assert visitor.page.url == f"{shop.host}/strict"
    assert heard.kinds == ["error"]


# Bare frames, without script


async def test_in_a_bare_frame_without_script_everything_can_be_done(shop: Shop, visit: Visit) -> None:
    visitor = await visit(scripts=False)
    visitor.expect_problem("422")
    page = visitor.page
    screen = await open_widget(visitor, shop)
    await screen.get_by_role("button", name=PORTRAIT).click()
    await expect(times(screen).first).to_be_visible()
    await choose_time(screen)
    await screen.get_by_role("button", name="Other times").click()  # and gives it back
    starts_at = await choose_time(screen)
    await screen.get_by_role("button", name="Pay").click()
    await expect(screen.get_by_text("Please check the marked fields.")).to_be_visible()
    await type_details(screen)
    await to_summary(screen, "Pay")  # only a form of its own may have the whole window
    await go_to_stripe(screen, page)
    await page.get_by_role("link", name="Back to Studio Nord").click()
    await expect(page.get_by_text("Nothing was charged. Your time is still held.")).to_be_visible()
    await go_to_stripe(page, page)
    await pay(page)
    await expect_confirmed(page)
    (booking,) = shop.in_hapio(starts_at)
    assert not booking.is_temporary
    await page.get_by_role("link", name="Back to Studio Nord").click()
    await expect(page.get_by_role("heading", name="Portraits in northern light")).to_be_visible()
