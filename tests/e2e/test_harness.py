"""The browser tests' own footing: each limit that later tests rely on is shown to bite."""

import pytest
from playwright.async_api import Error, Route, expect

from scripts.npm_assets import HTMX
from tests.e2e.conftest import Visit
from tests.e2e.harness import DARK, PHONE, WIDE, Limits, axe
from tests.e2e.stack import Shop

UNLABELED = "<!doctype html><html><title>x</title><link rel=icon href=data:,><input></html>"


async def test_the_cdn_is_answered_with_the_genuine_htmx_inside_a_cross_site_frame(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    await visitor.page.goto(shop.host)
    frame = await visitor.frame("Book a time")
    assert await frame.evaluate("typeof htmx") == "object"
    await axe(frame)


async def test_a_file_that_is_not_the_one_the_integrity_value_names_is_not_run(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("integrity")
    # A page that a test has written comes from nowhere, and so may not ask for pictures on loopback by itself.
    await visitor.context.grant_permissions(["local-network-access"], origin=shop.public)

    async def name_another_file(route: Route) -> None:
        answer = await route.fetch()
        body = (await answer.text()).replace(HTMX.integrity, "sha384-" + "A" * 64)
        await route.fulfill(response=answer, body=body)

    await visitor.page.route(f"{shop.public}/w/studio", name_another_file)
    await visitor.page.goto(f"{shop.public}/w/studio")
    assert await visitor.page.evaluate("typeof htmx") == "undefined"


async def test_blocked_storage_throws_inside_the_cross_site_frame(shop: Shop, visit: Visit) -> None:
    visitor = await visit(storage=False)
    await visitor.page.goto(shop.host)
    frame = await visitor.frame("Book a time")
    for storage in ("localStorage", "sessionStorage"):
        with pytest.raises(Error, match="Access is denied for this document"):
            await frame.evaluate(f"window.{storage}.length")
    assert await frame.evaluate("document.cookie = 'a=1; SameSite=None; Secure'; document.cookie") == ""
    with pytest.raises(Error, match="Access is denied for this document"):
        await visitor.page.evaluate("window.localStorage.length")
    ordinary = await visit()
    await ordinary.page.goto(shop.host)
    assert await ordinary.page.evaluate("window.localStorage.length") == 0


async def test_a_visitor_without_scripts_runs_none(shop: Shop, visit: Visit) -> None:
    for scripts, marked in ((True, 1), (False, 0)):
        visitor = await visit(scripts=scripts)
        await visitor.page.goto(f"{shop.public}/w/studio")
        await expect(visitor.page.locator("html.scripted")).to_have_count(marked)


async def test_visitors_differ_in_size_taste_language_and_zone(shop: Shop, visit: Visit) -> None:
    visitor = await visit(width=390, dark=True, language="sv-SE", zone="America/New_York")
    await visitor.page.goto(shop.host)
    said = await visitor.page.evaluate(
        """[innerWidth, matchMedia("(prefers-color-scheme: dark)").matches,
            matchMedia("(prefers-reduced-motion: reduce)").matches, navigator.language,
            Intl.DateTimeFormat().resolvedOptions().timeZone]"""
    )
    assert said == [390, True, True, "sv-SE", "America/New_York"]


@pytest.mark.parametrize(
    ("trouble", "complaint"),
    [
        ("console.error('lost the frame')", "lost the frame"),
        (
            "setTimeout(() => { throw new Error('no such element') }); await new Promise(done => setTimeout(done, 1))",
            "no such element",
        ),
        ("await fetch('https://tracker.example/pixel').catch(() => {})", "https://tracker.example/pixel"),
    ],
)
async def test_what_the_browser_complains_of_fails_the_test(
    shop: Shop, visit: Visit, trouble: str, complaint: str
) -> None:
    visitor = await visit()
    await visitor.page.goto(f"{shop.host}/about")
    await visitor.page.evaluate(f"async () => {{ {trouble} }}")
    with pytest.raises(AssertionError, match=complaint):
        await visitor.leave()


async def test_an_expected_problem_that_stays_away_fails_the_test(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("409")
    await visitor.page.goto(f"{shop.host}/about")
    with pytest.raises(AssertionError, match="never seen"):
        await visitor.leave()


async def test_axe_names_the_rule_and_the_element(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    await visitor.page.set_content(UNLABELED)
    with pytest.raises(AssertionError, match=r"(?s)html-has-lang.*label \(critical\).*<input>"):
        await axe(visitor.page)


@pytest.mark.parametrize("limits", [WIDE, DARK, PHONE], ids=["wide", "dark", "phone"])
async def test_the_demo_sites_are_usable_by_everyone(shop: Shop, visit: Visit, limits: Limits) -> None:
    visitor = await visit(**limits)
    for page in (shop.host, f"{shop.host}/about", f"{shop.demo.urls.mailbox}/?live=off"):
        await visitor.page.goto(page)
        await axe(visitor.page)
