"""What every route says about itself, and that none keeps anything in a browser."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from app.web.shared.render import STATIC
from tests.support.stack import Stack, open_stack
from tests.support.staff import day_off
from tests.support.stripe_events import event, signed

ROOT = Path(__file__).parents[3]
#: Every way in which a page can keep something in a browser.
STORAGE = re.compile(
    r"document\.cookie|cookieStore|localStorage|sessionStorage|indexedDB|\bcaches\.|serviceWorker|"
    r"navigator\.storage|requestStorageAccess|window\.name\b"
)
STAFF = "eva@studio.example"
FORM = {
    "name": "Anna Ek",
    "email": "anna@customer.example",
    "start": "2026-11-24T08:00:00Z",
    "url": "https://x.example",
}


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio whose staff page is open, too."""
    async with open_stack(tmp_path, settings={"staff_emails": STAFF}) as stack:
        yield stack


async def signed_in(stack: Stack, number: int) -> tuple[str, str]:
    """A sign-in of staff's own for each address, since one of them signs out: its link's token, and its pages'."""
    name = f"si_{number}"
    await stack.parts.store.add_sign_in(name, STAFF, forget_before=stack.clock())
    await stack.parts.store.use_sign_in(name)
    return stack.parts.links.sign_in_token(name), stack.parts.links.staff_token(name)


async def addresses(stack: Stack) -> list[tuple[str, str]]:
    """Every method of every route, with names and tokens that open it, and with forged ones."""
    assert stack.hooks.app
    booking = await stack.hold()
    links, ends_at = stack.parts.links, booking.ends_at
    tokens = {
        "/b/": links.booking_token(booking.id, ends_at=ends_at),
        "/manage/": links.manage_token(booking.id, booking.link_version),
        "/r/": links.result_token(booking.id),
    }
    found = []
    feed = await stack.parts.staff.feed_token("eva@studio.example")
    hours = {"person": booking.resource_id, "change": (await day_off(stack, booking)).id}
    for number, route in enumerate(stack.hooks.app.routes):
        assert isinstance(route, Route), f"walk {route}, too"
        tokens["/staff/in/"], tokens["/staff/{token}"] = await signed_in(stack, number)
        opening = next((token for start, token in tokens.items() if route.path.startswith(start)), "forged")
        for token in {opening, "forged"}:
            names = {"widget": "studio", "name": "widget.css", "booking": booking.id, "secret": feed}
            names |= {"sessionId": "cs_test_forged", "bookingId": "bk_forged", **hours}
            path = route.path.format(**names, token=token)
            found += [(method, path) for method in sorted(route.methods or ())]
    return found


async def answers(stack: Stack) -> AsyncIterator[tuple[str, httpx.Response]]:
    """What every address answers: as a page, as a part of one for htmx, as JSON."""
    for method, path in await addresses(stack):
        for headers in ({}, {"HX-Request": "true"}):
            data = FORM if method == "POST" else None
            yield f"{method} {path}", await stack.client.request(method, path, data=data, headers=headers)
    yield "GET /nowhere", await stack.client.get("/nowhere")
    yield "DELETE /healthz", await stack.client.delete("/healthz")


async def test_no_route_sets_a_cookie_or_keeps_anything_in_a_browser(stack: Stack) -> None:
    seen = set()
    async for what, answer in answers(stack):
        assert "set-cookie" not in answer.headers, what
        assert "clear-site-data" not in answer.headers, what
        if answer.headers.get("content-type", "").startswith(("text/html", "text/javascript")):
            assert not STORAGE.search(answer.text), what
        seen.add(what)
    assert len(seen) > 25, "the walk has met the routes"


def our_scripts() -> Iterator[Path]:
    yield from STATIC.glob("*.js")
    yield from (ROOT / "templates").rglob("*.html")


def test_no_script_of_ours_touches_cookies_or_storage() -> None:
    for path in our_scripts():
        if "sandbox" not in path.parts:
            found = STORAGE.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path.name}: {found}"


def assert_locked_down(what: str, answer: httpx.Response) -> None:
    """Every header that every answer carries."""
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"]), what
    assert answer.headers["x-content-type-options"] == "nosniff", what
    assert answer.headers["referrer-policy"] == "no-referrer", f"{what}: addresses carry tokens"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin", what
    assert answer.headers["strict-transport-security"] == "max-age=31536000", what
    features = answer.headers["permissions-policy"]
    assert all(f"{feature}=()" in features for feature in ("camera", "geolocation", "storage-access")), what
    assert "bluetooth" not in features, "Chromium does not know it, and says so on the console of each page"
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors" in policy, what
    assert "unsafe-inline" not in policy, what
    assert "unsafe-eval" not in policy, what


async def test_every_answer_is_locked_down(stack: Stack) -> None:
    async for what, answer in answers(stack):
        assert_locked_down(what, answer)
    for _ in range(2):  # the second one comes from the warm shelf
        assert_locked_down("warm", await stack.client.get("/w/studio"))


async def test_over_plain_http_browsers_are_not_sent_elsewhere(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"public_url": "http://127.0.0.1:8000"}) as stack:
        for path in ("/w/studio", "/w/studio", "/healthz"):
            assert "strict-transport-security" not in (await stack.client.get(path)).headers


async def test_what_nobody_expected_is_answered_like_everything_else(tmp_path: Path) -> None:
    """Tables that are gone stand for every mistake of ours."""
    async with open_stack(tmp_path, settings={"metrics_token": "a-scrapers-own-token"}) as stack:
        booking = await stack.hold()
        links = stack.parts.links
        token = links.booking_token(booking.id, ends_at=booking.ends_at)
        managed = links.manage_token(booking.id, booking.link_version)
        async with stack.parts.store.engine.connect() as connection:
            for table in ("bookings", "inbox"):
                await connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO no_{table}")
        bearer = {"Authorization": f"Bearer {links.api_token(booking.id)}"}
        asked = {
            "page": ("GET", f"/b/{token}", {}),
            "other page": ("POST", f"/manage/{managed}/cancel", {}),
            "part": ("GET", f"/b/{token}", {"HX-Request": "true"}),
            "JSON": ("GET", f"/api/bookings/{booking.id}", bearer),
            "webhook": ("POST", "/api/webhooks/stripe", signed(stack, event())),
            "metrics": ("GET", "/metrics", {"Authorization": "Bearer a-scrapers-own-token"}),
        }
        for what, (method, path, headers) in asked.items():
            content = event() if what == "webhook" else None
            answer = await stack.client.request(method, path, content=content, headers=headers)
            assert answer.status_code == 500, what
            assert_locked_down(what, answer)
            assert "connection" not in answer.headers, "the client may go on asking"
            if what in {"JSON", "webhook"}:
                assert answer.json()["error"]["code"] == "INTERNAL_ERROR"
            else:
                assert ("<html" in answer.text) == (what != "part"), what
                assert 'id="hf-main"' in answer.text, what


@pytest.mark.parametrize("path", ["/b/{token}/details", "/manage/resend", "/w/studio/hold"])
async def test_a_form_that_cannot_be_read_is_refused_like_everything_else(path: str, stack: Stack) -> None:
    booking = await stack.hold()
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    answer = await stack.client.post(
        path.format(token=token), content=b"no parts", headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert answer.status_code in {400, 422, 303, 415}
    assert_locked_down(path, answer)


async def test_only_what_sites_may_frame_or_load_may_be_read_from_other_sites(stack: Stack) -> None:
    async for what, answer in answers(stack):
        path = what.split()[1]
        opens = answer.headers["cross-origin-resource-policy"] == "cross-origin"
        public = path.startswith(("/static/", "/embed.js", "/embed/why"))
        framed = "cross-origin-embedder-policy" in answer.headers
        assert opens == (public or framed), what
        if path.startswith(("/manage/", "/staff")) and "forged" not in path:
            assert not framed, "never framed"


@pytest.mark.parametrize("path", ["/w/studio", "/b/{token}", "/r/{result}", "/w/nobody", "/b/forged"])
async def test_a_site_that_isolates_itself_may_frame_the_widget(path: str, stack: Stack) -> None:
    """Such a site (COOP and COEP) takes a frame only from a page that says both."""
    booking = await stack.hold()
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    path = path.format(token=token, result=stack.parts.links.result_token(booking.id))
    for _ in range(2):  # the second one comes from the warm shelf
        answer = await stack.client.get(path)
        assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_with_the_owners_pictures_frames_load_them_without_cookies(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget=_WITH_PICTURE) as stack:
        answer = await stack.client.get("/w/gallery")
        assert answer.headers["cross-origin-embedder-policy"] == "credentialless"


_WITH_PICTURE = """
[gallery]
allowed_origins = ["https://studio.example"]
services = [{ id = "x", image = "https://www.example.com/portrait.jpg" }]
"""


async def test_the_widget_may_be_framed_by_its_owners_sites_exactly(tmp_path: Path) -> None:
    more = '[other]\nallowed_origins = ["https://other.example"]\n[alone]\n'
    async with open_stack(tmp_path, widget=more) as stack:
        for widget, sites in (
            ("studio", " https://studio.example"),
            ("other", " https://other.example"),
            ("alone", ""),
        ):
            policy = (await stack.client.get(f"/w/{widget}")).headers["content-security-policy"]
            assert f"frame-ancestors 'self'{sites}" in policy.split("; ")


HTMX = "https://cdn.jsdelivr.net/npm/htmx.org@4.0.1/dist/htmx.min.js"


def sources(answer: httpx.Response, directive: str) -> list[str]:
    """What a page's policy lets in of one kind."""
    for rule in answer.headers["content-security-policy"].split("; "):
        name, *allowed = rule.split()
        if name == directive:
            return list(allowed)
    return []


async def test_of_a_network_that_holds_every_package_only_htmx_may_run(stack: Stack) -> None:
    booking = await stack.hold()
    manage = stack.parts.links.manage_token(booking.id, booking.link_version)
    for path in ("/w/studio", f"/manage/{manage}", "/nowhere", "/manage/forged"):
        answer = await stack.client.get(path)
        assert sources(answer, "script-src") == ["'self'", HTMX], path
        assert f'src="{HTMX}"' in answer.text, path


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("/static/htmx.min.js", ["'self'"]),
        ("https://cdn.example/a;b,c/htmx.js?v=1#x", ["'self'", "https://cdn.example/a%3Bb%2Cc/htmx.js"]),
        ("https://cdn.example:8443/htmx.js", ["'self'", "https://cdn.example:8443/htmx.js"]),
    ],
)
async def test_htmx_from_elsewhere_is_let_in_from_there_alone(tmp_path: Path, url: str, allowed: list[str]) -> None:
    async with open_stack(tmp_path, settings={"htmx_url": url}) as stack:
        assert sources(await stack.client.get("/w/studio"), "script-src") == allowed


async def test_pictures_from_elsewhere_are_let_in_where_the_owner_has_some(stack: Stack, tmp_path: Path) -> None:
    assert sources(await stack.client.get("/w/studio"), "img-src") == ["'self'", "data:"]
    (tmp_path / "pictures").mkdir()
    picture = '[pictures]\nservices = [{ id = "x", image = "https://www.example.com/portrait.jpg" }]'
    async with open_stack(tmp_path / "pictures", widget=picture) as other:
        assert sources(await other.client.get("/w/pictures"), "img-src") == ["'self'", "data:", "https:"]
        assert sources(await other.client.get("/w/studio"), "img-src") == ["'self'", "data:"]


async def test_no_feature_is_refused_that_browsers_do_not_know(stack: Stack) -> None:
    """Chromium writes a line to the console of every page for each name that it does not know."""
    features = (await stack.client.get("/w/studio")).headers["permissions-policy"]
    assert "bluetooth" not in features
