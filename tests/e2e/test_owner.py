"""The owner's pages in a browser: what is chosen shows at once, and the self-test says what a server cannot see."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import Visit
from tests.e2e.harness import PHONE, axe
from tests.e2e.stack import Shop
from tests.e2e.steps import PORTRAIT, choose_time


async def test_what_an_owner_chooses_shows_at_once_in_the_preview_and_in_the_snippet(shop: Shop, visit: Visit) -> None:
    page = (await visit()).page
    await page.goto(f"{shop.public}/embed")
    inside = page.frame_locator(".desktop iframe").frame_locator("iframe")
    await expect(inside.get_by_role("button", name=PORTRAIT)).to_be_visible()
    await page.get_by_label("Accent", exact=True).fill("#b3261e")
    await page.get_by_label("Spacious").check()
    snippet = page.locator("#c-script")
    await expect(snippet).to_contain_text('data-accent="#b3261e"')
    await expect(snippet).to_contain_text('data-density="spacious"')
    await expect(page.locator(".desktop iframe")).to_have_count(1)
    await expect(inside.locator("html")).to_have_css("--density", "1.3")
    await expect(inside.locator("html")).to_have_css("--accent", "#b3261e")
    await expect(page).to_have_url(re.compile("accent=%23b3261e"))
    await page.reload()
    await expect(page.get_by_label("Spacious")).to_be_checked()


@pytest.mark.parametrize("width", ["Desktop", "Phone"])
async def test_all_three_modes_can_be_tried_at_both_widths(shop: Shop, visit: Visit, width: str) -> None:
    page = (await visit()).page
    await page.goto(f"{shop.public}/embed")
    await page.get_by_label(width, exact=True).check()
    preview = page.frame_locator(f".{width.lower()} iframe")
    widget = preview.frame_locator("iframe").get_by_role("button", name=PORTRAIT)
    await expect(widget).to_be_visible()
    for label, mode, opener in (("In a dialog", "popup", "link"), ("Floating button", "float", "button")):
        await page.get_by_label(label).check()
        await expect(page.locator(f'.{width.lower()} iframe:only-child[src*="{mode}"]')).to_have_count(1)
        button = preview.get_by_role(opener, name="Book a time")  # type: ignore[arg-type]  # two roles
        if mode == "popup":  # until the loader has come it is a plain link, which leaves the page
            await expect(button).to_have_attribute("aria-haspopup", "dialog")
        # By key: Playwright aims next to what stands in a frame that is scaled.
        await button.press("Enter")
        await expect(preview.get_by_role("dialog")).to_be_visible()
        await expect(widget).to_be_visible()


async def test_one_click_copies_the_snippet(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    await visitor.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=shop.public)
    page = visitor.page
    await page.goto(f"{shop.public}/embed")
    await page.get_by_role("button", name="Copy: Script").click()
    await expect(page.locator("#live")).to_have_text("Copied")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == await page.locator("#c-script").inner_text()
    assert "data-holdfast" in copied


async def test_without_script_the_page_is_a_form_with_a_live_preview(shop: Shop, visit: Visit) -> None:
    page = (await visit(scripts=False)).page
    await page.goto(f"{shop.public}/embed")
    await page.get_by_label("Accent", exact=True).fill("#b3261e")
    await page.get_by_label("In a dialog").check()
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("#c-script")).to_contain_text('data-holdfast-popup="studio" data-accent="#b3261e"')
    await expect(page.frame_locator(".desktop iframe").get_by_role("link", name="Book a time")).to_be_visible()
    await page.get_by_label("On the page").check()
    await page.get_by_role("button", name="Show").click()
    inside = page.frame_locator(".desktop iframe").frame_locator("iframe")
    await expect(inside.get_by_role("button", name=PORTRAIT)).to_be_visible()


async def test_nothing_is_wider_than_a_small_phone(shop: Shop, visit: Visit) -> None:
    page = (await visit(width=320, height=640, touch=True)).page
    for path in ("/embed", f"/embed/doctor?site={shop.host}/walled"):
        await page.goto(shop.public + path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320, path


async def says(page: Page, text: str) -> None:
    """The self-test's panel says so, once it has looked."""
    await expect(page.locator("holdfast-embed-check")).to_contain_text(text)


async def test_the_self_test_runs_under_the_strictest_policy(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    await visitor.page.goto(f"{shop.host}/strict#holdfast-doctor")
    await says(visitor.page, "nothing cut off or in the way")
    await says(visitor.page, "Policy blocks nothing of ours")


async def test_the_self_test_knows_the_element_and_what_is_around_its_shadow_root(shop: Shop, visit: Visit) -> None:
    page = (await visit()).page
    shop.demo.host.written["element"] = (
        '<!doctype html><html lang=en><meta name=viewport content="width=device-width"><div id="here">'
        '<holdfast-booking widget="studio"></holdfast-booking></div>'
        f'<script async src="{shop.public}/embed.js"></script></html>'
    )
    await page.goto(f"{shop.host}/written/element#holdfast-doctor")
    await says(page, "“studio” on the page: shown")
    await says(page, "nothing cut off or in the way")
    await page.add_style_tag(content="#here { height: 200px; overflow: hidden }")
    await page.locator("holdfast-embed-check").get_by_role("button", name="Again").click()
    await says(page, "div#here is 200 px high and cuts it off")


async def test_the_self_test_names_what_the_policy_has_to_say(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("frame-src")
    await visitor.page.goto(f"{shop.host}/walled#holdfast-doctor")
    await says(visitor.page, f"frame-src {shop.public}")


SPOILT = {
    "cut off": ("#here { height: 200px; overflow: hidden }", "div#here is 200 px high and cuts it off"),
    "a scrollbar of its own": (
        "#here { max-height: 200px; overflow: auto }",
        "div#here is 200 px high and has a scroll",
    ),
    "too narrow": ("#here { width: 200px }", "only 200 px wide"),
    "covered": ("h1 { position: fixed; inset: 0; margin: 0 }", "h1 lies over the widget"),
    "scaled": ("body { transform: scale(.9) }", "body is scaled or moved by CSS"),
    "see-through": ("body { background: #1c2b4a }", 'data-background="#1c2b4a"'),
}


@pytest.mark.parametrize(("css", "said"), SPOILT.values(), ids=SPOILT.keys())
async def test_the_self_test_finds_what_a_page_does_to_the_frame(shop: Shop, visit: Visit, css: str, said: str) -> None:
    page = (await visit()).page
    await page.goto(f"{shop.host}/isolated#holdfast-doctor")
    await says(page, "nothing cut off or in the way")
    await page.evaluate("Object.assign(here.dataset, { transparent: 1, background: '#ffffff' })")
    await page.add_style_tag(content=css)
    await page.locator("holdfast-embed-check").get_by_role("button", name="Again").click()
    await says(page, said)


async def test_the_panel_goes_away_when_asked(shop: Shop, visit: Visit) -> None:
    page = (await visit(**PHONE)).page
    await page.goto(f"{shop.host}/#holdfast-doctor")
    await page.locator("holdfast-embed-check").get_by_role("button", name="Close").click()
    await expect(page.locator("holdfast-embed-check")).to_have_count(0)


@pytest.mark.parametrize(
    "look",
    [
        "background=808080&accent=808080",
        "background=1c2b4a&accent=ffd54a&density=compact&radius=16",
        "background=ffffff&accent=ffff00&theme=dark&density=spacious&font=Charter, serif",
        "background=ff0000&accent=00ff00",
    ],
)
async def test_a_look_that_nobody_should_choose_can_still_be_read_and_pressed(
    shop: Shop, visit: Visit, look: str
) -> None:
    page = (await visit(**PHONE)).page
    await page.goto(f"{shop.public}/w/studio?service={(await shop.service()).id}&{look}")
    await axe(page)
    for target in ("button.day", "button.time", "button.person"):
        box = await page.locator(target).first.bounding_box()
        assert box
        assert box["height"] >= 44, target
    await choose_time(page)
    await axe(page)


async def test_where_the_page_shows_through_texts_are_readable_on_its_color(shop: Shop, visit: Visit) -> None:
    page = (await visit()).page
    await page.goto(f"{shop.host}/isolated")
    await page.add_style_tag(content="main, body { background: rgb(0 0 0 / 0) } html { background: #1c2b4a }")
    await page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<div data-holdfast=studio data-transparent=1></div>')"
    )
    frame = page.frame_locator("iframe").last.locator("html")
    await expect(frame).to_have_css("--surface", "#1c2b4a")
    await expect(frame).to_have_css("background-color", "rgba(0, 0, 0, 0)")


async def test_a_dialog_is_solid_whatever_the_page_lets_through(shop: Shop, visit: Visit) -> None:
    page = (await visit()).page
    await page.goto(f"{shop.host}/popup")
    await page.evaluate("here.dataset.transparent = 1")
    await page.locator("#here").click()
    await expect(page.frame_locator("dialog iframe").get_by_role("button", name=PORTRAIT)).to_be_visible()
    await expect(page.locator("dialog")).not_to_have_css("background-color", "rgba(0, 0, 0, 0)")
