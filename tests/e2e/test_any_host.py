"""The widget on sites that rewrite, reload, frame and optimize what their owners paste."""

from typing import Final

import pytest
from playwright.async_api import FrameLocator, Page, expect

from tests.e2e.conftest import Visit
from tests.e2e.harness import Visitor
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
    times,
    widget,
)

PATH: Final = "/written/page"
FRAME: Final = 'iframe[title="Book a time"]'
#: What AngularJS and Vue's hash mode do with a fragment that is no route of theirs.
ROUTER: Final = "if (!location.hash.startsWith('#/')) location.replace('#/' + location.hash.slice(1));"
#: As routers do that encode what they take for a route's name.
ENCODING: Final = ROUTER.replace("location.hash.slice(1))", "encodeURIComponent(location.hash.slice(1)))")
#: AngularJS, which keeps the fragment behind a route of its own: of no name, or of the page that unknown ones lead to.
ANGULARJS: Final = "if (location.hash && !location.hash.startsWith('#!')) location.replace('#!' + location.hash);"
ANGULARJS_HOME: Final = ANGULARJS.replace("'#!' +", "'#!/home' +")
#: A route that leads everything unknown home, and a script that tidies addresses. Both are done before we come.
CATCH_ALL: Final = "if (location.hash != '#/book') location.replace('#/');"
TIDYING: Final = "history.replaceState(null, '', location.pathname);"


def site(visitor: Visitor, shop: Shop, body: str, *, head: str = "") -> Page:
    """The host site's page at PATH, with this body."""
    html = f"<!doctype html><html lang=en><head><meta charset=utf-8>{head}</head><body>{body}</body></html>"
    shop.demo.host.written["page"] = html
    return visitor.page


def tag(shop: Shop, attributes: str = "async") -> str:
    return f'<script {attributes} src="{shop.public}/embed.js"></script>'


def own_link(shop: Shop, name: str = "studio") -> str:
    return f'<div id="box" data-holdfast="{name}"><a id="own" href="{shop.public}/w/studio">Our own link</a></div>'


async def test_an_element_that_the_page_renders_again_has_a_widget_again(shop: Shop, visit: Visit) -> None:
    """As Turbo's and Livewire's morphs, hydration and translation plugins do it: the element stays."""
    visitor = await visit()
    page = site(visitor, shop, own_link(shop) + tag(shop))
    await page.goto(f"{shop.host}{PATH}")
    await expect(widget(visitor).get_by_role("button", name=PORTRAIT)).to_be_visible()
    await page.evaluate("box.innerHTML = '<a href=\"#\">Book</a>'")
    await expect(widget(visitor).get_by_role("button", name=PORTRAIT)).to_be_visible()
    assert await page.locator("iframe").count() == 1


async def test_changed_attributes_are_followed_but_no_held_time_is_taken_away(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    portrait, headshot = await shop.service(PORTRAIT), await shop.service(HEADSHOT)
    box = f'<div id="box" data-holdfast="studio" data-service="{portrait.id}"></div>'
    page = site(visitor, shop, box + tag(shop))
    await page.goto(f"{shop.host}{PATH}")
    await expect(heading(widget(visitor), PORTRAIT)).to_be_visible()
    await page.evaluate("id => { box.dataset.service = id }", headshot.id)
    await expect(heading(widget(visitor), HEADSHOT)).to_be_visible()
    await page.evaluate("document.documentElement.lang = 'sv'")
    await expect(page.frame_locator("iframe").locator("html[lang=sv]")).to_be_attached()
    await page.evaluate("document.documentElement.lang = 'en'")
    await expect(heading(widget(visitor), HEADSHOT)).to_be_visible()
    await expect(widget(visitor).locator("html[lang^=en]")).to_be_attached()
    await choose_time(widget(visitor))
    await page.evaluate("id => { box.dataset.service = id }", portrait.id)
    await page.wait_for_function("() => !document.querySelector('[data-holdfast] ~ [data-holdfast]')")
    await page.evaluate("new Promise(requestAnimationFrame)")
    await expect(widget(visitor).get_by_label("Name")).to_be_visible()


@pytest.mark.parametrize(
    ("route", "router"),
    [
        ("#/", ENCODING),
        ("#/book", ROUTER),
        ("", ANGULARJS),
        ("#!/book?day=50%25", ANGULARJS),
        ("#!/book", ANGULARJS_HOME),
        ("#/book", CATCH_ALL),
        ("", TIDYING),
    ],
)
async def test_with_a_router_in_the_fragment_a_customer_comes_back_to_their_confirmation(
    shop: Shop, visit: Visit, route: str, router: str
) -> None:
    visitor = await visit()
    page = site(visitor, shop, f"<script>{router}</script>{own_link(shop)}{tag(shop)}")
    await page.goto(f"{shop.host}{PATH}{route}")
    await hold_and_tell(widget(visitor))
    await go_to_stripe(widget(visitor), page)
    await pay(page)
    await expect_confirmed(widget(visitor))
    assert "holdfast" not in page.url
    assert page.url == f"{shop.host}{PATH}{route}"


async def test_an_address_without_the_result_shows_it_on_no_later_visit(shop: Shop, visit: Visit) -> None:
    """Where a script empties the fragment: not when the page is opened again, and not when a page is left for it."""
    visitor = await visit()
    page = site(visitor, shop, f"<script>{TIDYING}</script>{own_link(shop)}{tag(shop)}")
    await page.goto(f"{shop.host}{PATH}")
    await hold_and_tell(widget(visitor))
    await go_to_stripe(widget(visitor), page)
    await pay(page)
    await expect_confirmed(widget(visitor))
    await page.evaluate("history.replaceState(null, '')")
    await page.reload()
    await expect(widget(visitor).get_by_role("button", name=PORTRAIT)).to_be_visible()
    await page.goto(f"{shop.host}/about")
    await page.go_back()
    await expect(widget(visitor).get_by_role("button", name=PORTRAIT)).to_be_visible()


async def test_a_result_in_the_address_is_shown_in_a_block_that_comes_later_only_if_it_was_not_yet(
    shop: Shop, visit: Visit
) -> None:
    visitor = await visit()
    inner = (own_link(shop) + tag(shop)).replace('"', "&quot;")
    frame = f'<iframe title="block" width="900" height="1600" srcdoc="{inner}"></iframe>'
    page = site(visitor, shop, f"<script>{TIDYING}</script><div id=site>{frame}</div>")
    await page.goto(f"{shop.host}{PATH}")
    screen = page.frame_locator('iframe[title="block"]').frame_locator(FRAME)
    await hold_and_tell(screen)
    await go_to_stripe(screen, page)
    await pay(page)
    await expect_confirmed(screen)
    # The site turns to another page of its own, and back to one with the block.
    await page.evaluate("history.pushState(null, ''); site.innerHTML = site.innerHTML")
    await expect(screen.get_by_role("button", name=PORTRAIT)).to_be_visible()


@pytest.mark.parametrize("fragment", ["#/sale-50%-off?from=holdfast%3Dnews", "#holdfast=%"])
async def test_a_fragment_that_no_browser_can_decode_takes_no_widget_away(
    shop: Shop, visit: Visit, fragment: str
) -> None:
    visitor = await visit()
    page = site(visitor, shop, own_link(shop) + tag(shop))
    await page.goto(f"{shop.host}{PATH}{fragment}")
    await expect(page.locator(FRAME)).to_be_visible()


async def test_a_result_is_taken_out_of_the_address_whatever_route_comes_behind_it(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("403")
    visitor.expect_problem("frame-ancestors")
    page = site(visitor, shop, own_link(shop) + tag(shop))
    await page.goto(f"{shop.host}{PATH}#holdfast=i0.forged~50%")
    await expect(page.locator("#own")).to_be_visible()
    assert page.url == f"{shop.host}{PATH}#50%"


async def test_a_reload_shows_the_confirmation_once_more_and_its_heading_has_the_focus(
    shop: Shop, visit: Visit
) -> None:
    visitor = await visit()
    page = site(visitor, shop, own_link(shop) + tag(shop))
    await page.goto(f"{shop.host}{PATH}")
    await hold_and_tell(widget(visitor))
    await go_to_stripe(widget(visitor), page)
    await pay(page)
    await expect_confirmed(widget(visitor))
    await expect(heading(widget(visitor), "Your time is confirmed")).to_be_focused()
    assert await page.evaluate("document.activeElement.tagName") == "IFRAME"
    assert page.url == f"{shop.host}{PATH}"
    await page.reload()
    await expect_confirmed(widget(visitor))


async def test_in_a_frame_that_was_written_into_the_page_a_booking_goes_through(shop: Shop, visit: Visit) -> None:
    """A builder's HTML block. After paying, the whole site is there around it."""
    visitor = await visit()
    inner = (own_link(shop) + tag(shop)).replace('"', "&quot;")
    block = f'<h1>Our site</h1><iframe title="block" width="900" height="1600" srcdoc="{inner}"></iframe>'
    page = site(visitor, shop, block)
    await page.goto(f"{shop.host}{PATH}")
    block_screen = page.frame_locator('iframe[title="block"]')
    screen: FrameLocator = block_screen.frame_locator(FRAME)
    await choose_service(screen)
    await choose_time(screen)
    assert await block_screen.locator(FRAME).evaluate("frame => frame.offsetHeight") > 0
    await screen.get_by_label("Name").fill("Anna Ek")
    await screen.get_by_label("Email").fill("anna@customer.example")
    await go_to_stripe(screen, page)
    await pay(page)
    await expect(page.get_by_role("heading", name="Our site")).to_be_visible()
    await expect_confirmed(block_screen.frame_locator(FRAME))


@pytest.mark.parametrize("way", ["module", "crossorigin", "inlined", "combined"])
async def test_an_optimized_script_works_anyway(shop: Shop, visit: Visit, way: str) -> None:
    visitor = await visit()
    source = await (await visitor.context.request.get(f"{shop.public}/embed.js")).text()
    script = {
        "module": tag(shop, 'type="module"'),
        "crossorigin": tag(shop, "crossorigin"),
        "inlined": f"<script>{source}</script>",
        "combined": f"<script>window.before = 1;</script><script>;{source};window.after = 1;</script>",
    }[way]
    page = site(visitor, shop, own_link(shop) + script)
    await page.goto(f"{shop.host}{PATH}")
    await expect(widget(visitor).get_by_role("button", name=PORTRAIT)).to_be_visible()


@pytest.mark.parametrize(
    "name",
    [
        "Studio ",
        "“studio”",
        "&quot;studio&quot;",
        "‹studio›",
        "”studio″",
        "′studio′",
        "`studio´",
        "＂studio＂",
        "\u200bstudio\u200b",
        "「studio」",
        "\\&quot;studio\\&quot;",
        "&amp;quot;studio&amp;#8243;",
    ],
)
async def test_quotes_and_blanks_that_an_editor_put_around_the_name_are_not_meant(
    shop: Shop, visit: Visit, name: str
) -> None:
    visitor = await visit()
    page = site(visitor, shop, own_link(shop, name) + tag(shop))
    await page.goto(f"{shop.host}{PATH}")
    await expect(widget(visitor).get_by_role("button", name=PORTRAIT)).to_be_visible()


async def test_where_the_frame_fails_the_owner_s_own_link_is_there_and_the_console_names_the_cause(
    shop: Shop, visit: Visit
) -> None:
    visitor = await visit()
    visitor.expect_problem("404")
    visitor.expect_problem("frame-ancestors|Refused to (frame|display)")
    page = site(visitor, shop, own_link(shop, "nobody") + tag(shop))
    async with page.expect_console_message(lambda message: "no widget called 'nobody'" in message.text):
        await page.goto(f"{shop.host}{PATH}")
    await expect(page.locator("#own")).to_be_visible()
    assert await page.locator("#own").get_attribute("href") == f"{shop.public}/w/studio"


async def test_a_floating_button_is_there_once_as_long_as_its_tag_is(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    floating = tag(shop, 'async data-holdfast-float="studio"')
    page = site(visitor, shop, "<p>One</p>", head=floating)
    await page.goto(f"{shop.host}{PATH}")
    button = page.get_by_role("button", name="Book a time")
    await expect(button).to_have_count(1)
    # As Turbo Drive turns a page: another body, the same head.
    await page.evaluate("document.body = Object.assign(document.createElement('body'), {innerHTML: '<p>Two</p>'})")
    await expect(button).to_have_count(1)
    # A view with the tag in it, left and entered again.
    await page.evaluate("document.querySelector('script').remove()")
    await expect(button).to_have_count(0)
    for _ in range(2):
        await page.evaluate(
            """src => { const script = document.createElement("script"); script.src = src;
            script.dataset.holdfastFloat = "studio"; document.body.append(script); }""",
            f"{shop.public}/embed.js",
        )
    await expect(button).to_have_count(1)


async def test_a_floating_button_says_what_its_tag_and_the_page_s_language_say_now(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = site(visitor, shop, "<p>One</p>", head=tag(shop, 'async data-holdfast-float="studio"'))
    await page.goto(f"{shop.host}{PATH}")
    button = page.locator("button")
    await expect(button).to_have_text("Book a time")
    await page.evaluate("document.documentElement.lang = 'sv'")
    await expect(button).to_have_text("Boka tid")
    await page.evaluate("document.querySelector('script[data-holdfast-float]').dataset.label = 'Termin'")
    await expect(button).to_have_text("Termin")
    await page.evaluate("document.querySelector('script[data-holdfast-float]').dataset.accent = '#ffee00'")
    await expect(button).to_have_css("background-color", "rgb(255, 238, 0)")
    await expect(button).to_have_css("position", "fixed")


async def test_a_frame_is_called_what_its_element_says_now(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = site(visitor, shop, own_link(shop) + tag(shop))
    await page.goto(f"{shop.host}{PATH}")
    await expect(widget(visitor).get_by_role("button", name=PORTRAIT)).to_be_visible()
    await page.evaluate("box.dataset.title = 'Our times'")
    await expect(page.locator('iframe[title="Our times"]')).to_have_count(1)


@pytest.mark.parametrize(
    ("css", "scheme"),
    [
        ("background: #fdf6e3", "light"),
        ("background: #10151c; color: white", "dark"),
        ("background: oklch(0.2 0.02 250); color: white", "dark"),
    ],
)
async def test_the_page_shows_through_and_its_own_colour_decides_between_light_and_dark(
    shop: Shop, visit: Visit, css: str, scheme: str
) -> None:
    visitor = await visit(dark=scheme == "light")  # the visitor's machine says the opposite
    page = site(visitor, shop, f'<div style="{css}">{own_link(shop)}</div>{tag(shop)}')
    await page.goto(f"{shop.host}{PATH}")
    root = widget(visitor).locator("html")
    await expect(root).to_have_css("background-color", "rgba(0, 0, 0, 0)")
    assert await root.evaluate("root => getComputedStyle(root).colorScheme") == scheme


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (360, 740)])
async def test_a_dialog_is_as_high_at_every_step_and_all_of_a_phone_s_screen(
    shop: Shop, visit: Visit, width: int, height: int
) -> None:
    visitor = await visit(width=width, height=height)
    page = visitor.page
    await page.goto(f"{shop.host}/popup")
    await page.get_by_role("button", name="Book a time").click()
    dialog = page.get_by_role("dialog")
    await expect(widget(visitor).get_by_role("button", name=PORTRAIT)).to_be_visible()
    first = await dialog.bounding_box()
    assert first
    if width == 360:
        assert (first["x"], first["y"], first["width"], first["height"]) == (0, 0, 360, 740)
    await choose_service(widget(visitor))
    assert await dialog.bounding_box() == first
    await times(widget(visitor)).last.click()
    await expect(widget(visitor).get_by_label("Name")).to_be_visible()
    assert await dialog.bounding_box() == first
