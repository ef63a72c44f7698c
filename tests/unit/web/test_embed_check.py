"""The embed check: why someone's page does not show the widget, and exactly how to fix it."""

import gzip
import re
import tomllib
from html import escape, unescape
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.urls import origin_of
from app.protection.page_reader import MOST_BYTES
from app.web.embed.attribute_values import as_loader_reads
from app.web.embed.content_security_policy import read_policies
from tests.support.host_pages import PAGE, SCRIPT, TAG, VIEWPORT, Report, examine, page_of, refused, report
from tests.support.stack import PUBLIC_URL, Stack, text_of

ROOT = Path(__file__).parents[3]
FRAME = f'<iframe src="{PUBLIC_URL}/w/studio?host={PAGE}" title="Book a time" height="900"></iframe>'


# What the page and its headers say


async def test_a_page_with_the_tag_on_an_allowed_site_is_well(stack: Stack) -> None:
    found = await examine(stack)
    assert {finding.level for finding in found} == {"good"}
    assert len(found) == 7


async def test_a_site_that_is_not_allowed_is_shown_the_line_that_allows_it_next_to_the_others(stack: Stack) -> None:
    other = "https://www.studio.example/book"
    stack.sites.pages[other] = (200, {"content-type": "text/html"}, page_of())
    finding = (await report(stack, other)).of("The site is not allowed to show the widget")
    assert finding.level == "problem"
    assert tomllib.loads(finding.fix) == {
        "studio": {"allowed_origins": ["https://studio.example", "https://www.studio.example"]}
    }


@pytest.mark.parametrize(
    "policy",
    [
        "default-src 'self'",
        "default-src 'none'; style-src 'unsafe-inline'",
        "script-src 'self' https://cdn.example; frame-src 'none'",
        "default-src https:; child-src 'self' https://maps.example; script-src-elem 'unsafe-inline'",
        "script-src https://book.example/other.js; frame-src https://*.book.example http://book.example:8080",
    ],
)
@pytest.mark.parametrize("where", ["header", "meta"])
async def test_a_policy_that_forbids_us_is_fixed_by_what_the_check_suggests_and_keeps_the_rest(
    stack: Stack, policy: str, where: str
) -> None:
    async def with_policy(policy: str) -> Report:
        if where == "header":
            return await examine(stack, headers={"content-security-policy": policy})
        meta = f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
        return await examine(stack, page_of(head=VIEWPORT + meta))

    finding = (await with_policy(policy)).of("Your site's Content-Security-Policy")
    assert finding.level == "problem"
    mended = re.sub(r'^Content-Security-Policy: |^<meta.* content="|">$', "", finding.fix)
    assert (await with_policy(unescape(mended))).problems == []
    [before], [after] = read_policies([policy]), read_policies([unescape(mended)])
    for name, sources in before.directives.items():
        assert set(sources) - {"'none'"} <= set(after.directives[name])
    assert after.directives.get("default-src") == before.directives.get("default-src")


@pytest.mark.parametrize(
    "policy",
    [
        f"script-src {PUBLIC_URL}; frame-src {PUBLIC_URL}",
        "default-src https:",
        "default-src *",
        "script-src book.example; frame-src *.example",
        f"default-src 'none'; script-src {PUBLIC_URL}/embed.js; frame-src {PUBLIC_URL}/w/",
        "frame-ancestors 'none'; img-src 'self'",
        "script-src 'nonce-abc' 'strict-dynamic'; frame-src https://book.example:443",
    ],
)
async def test_a_policy_that_lets_us_in_is_left_alone(stack: Stack, policy: str) -> None:
    nonce = TAG.replace("async", 'async nonce="abc"')
    assert (await examine(stack, page_of(nonce), {"content-security-policy": policy})).problems == []


async def test_of_several_policies_each_has_to_let_us_in(stack: Stack) -> None:
    both = f"script-src {PUBLIC_URL}, frame-src 'self'"
    found = await examine(stack, headers={"content-security-policy": both})
    assert [f.fix for f in found if f.level == "problem"] == [f"Content-Security-Policy: frame-src 'self' {PUBLIC_URL}"]


async def test_where_scripts_go_by_nonce_alone_the_tag_is_told_to_carry_one(stack: Stack) -> None:
    policy = {"content-security-policy": f"script-src 'nonce-abc' 'strict-dynamic' {PUBLIC_URL}"}
    finding = (await examine(stack, headers=policy)).of("Your site's Content-Security-Policy")
    assert finding.level == "problem"
    assert 'nonce="…"' in finding.fix


async def test_a_policy_that_is_only_reported_forbids_nothing(stack: Stack) -> None:
    only = {"content-security-policy-report-only": "default-src 'none'"}
    assert (await examine(stack, headers=only)).problems == []


async def test_a_proxy_that_adds_x_frame_options_is_found(stack: Stack) -> None:
    stack.sites.proxy["x-frame-options"] = "SAMEORIGIN"
    finding = (await examine(stack)).of("Our headers after your proxy")
    assert (finding.level, finding.fix) == ("problem", "proxy_hide_header X-Frame-Options;")


@pytest.mark.parametrize("policy", [None, "frame-ancestors 'self'", "default-src 'self'"])
async def test_a_proxy_that_replaces_our_policy_is_found(stack: Stack, policy: str | None) -> None:
    stack.sites.proxy["content-security-policy"] = policy
    assert (await examine(stack)).problems == ["Our headers after your proxy"]


ISOLATED = {"cross-origin-embedder-policy": "require-corp", "cross-origin-opener-policy": "same-origin"}


async def test_an_isolated_page_may_show_the_widget_as_we_serve_it(stack: Stack) -> None:
    assert "cross-origin isolated" in (await examine(stack, headers=ISOLATED)).of("Isolation").text
    assert (await examine(stack, headers=ISOLATED)).problems == []


@pytest.mark.parametrize("lost", ["cross-origin-embedder-policy", "cross-origin-resource-policy"])
async def test_an_isolated_page_is_told_which_of_our_headers_a_proxy_lost(stack: Stack, lost: str) -> None:
    stack.sites.proxy[lost] = None
    finding = (await examine(stack, headers=ISOLATED)).of("Isolation")
    assert finding.level == "problem"
    assert lost in finding.fix.lower()


@pytest.mark.parametrize(
    ("body", "says", "fix"),
    [
        ("<p>Nothing here</p>", "neither our script nor our frame", TAG.replace("><div", ">\n<div")),
        ('<div data-holdfast="studio"></div>', "script that fills it is missing", SCRIPT),
        (SCRIPT, "no element says where", '<div data-holdfast="studio"></div>'),
        (TAG.replace(PUBLIC_URL, "https://old.example"), "comes from a different address", SCRIPT),
        (TAG.replace("async", 'type="text/plain" async'), "consent tool is blocking the script", SCRIPT),
        (TAG.replace(" src=", " data-src="), "consent tool is blocking the script", SCRIPT),
        (TAG.replace('"studio"', '"stduio"'), "There is no widget called stduio", 'data-holdfast="studio"'),
        (f"<!-- {TAG} -->", "neither our script nor our frame", TAG.replace("><div", ">\n<div")),
    ],
)
async def test_a_tag_that_cannot_work_is_named_with_the_one_that_does(
    stack: Stack, body: str, says: str, fix: str
) -> None:
    finding = (await examine(stack, page_of(body))).of("The tag")
    assert finding.level == "problem"
    assert says in finding.text
    assert finding.fix == fix


@pytest.mark.parametrize(
    "body",
    [
        f'{SCRIPT}<a href="/book" data-holdfast-popup="studio">Book</a>',
        f'{SCRIPT}<holdfast-booking widget="studio" theme="dark"></holdfast-booking>',
        SCRIPT.replace(" async", ' data-holdfast-float="studio" async'),
        TAG.replace(PUBLIC_URL, "//book.example"),
        TAG.replace("async", 'type="module" async').upper().replace(PUBLIC_URL.upper(), PUBLIC_URL.lower()),
    ],
)
async def test_every_way_to_write_the_tag_is_understood(stack: Stack, body: str) -> None:
    body = body.replace("/EMBED.JS", "/embed.js").replace('"STUDIO"', '"studio"').replace('"MODULE"', '"module"')
    assert (await examine(stack, page_of(body))).problems == []


@pytest.mark.parametrize(
    "name", ["Studio ", "“studio”", "STUDIO", "”studio″", "&amp;quot;studio&amp;#8243;", "\\studio\\"]
)
async def test_a_name_that_the_loader_understands_is_known(stack: Stack, name: str) -> None:
    body = SCRIPT + f'<div data-holdfast="{name}" data-theme="“dark”" data-lang="″en″"></div>'
    found = await examine(stack, page_of(body))
    assert found.problems == []
    assert [finding.title for finding in found if finding.level == "advice"] == []


def test_what_is_stripped_around_a_value_is_what_the_loader_strips() -> None:
    loader = (ROOT / "static" / "embed.js").read_text(encoding="utf-8")
    quotes = re.search(r"const quotes = /(.+)/\.source;", loader)
    assert quotes
    stripped = re.compile(quotes[1].replace(r"\s", r"\s\ufeff"))
    letters = [chr(code) for code in range(0x20, 0x10000) if chr(code).isprintable() or chr(code).isspace()]
    letters += ["\t", "\n", "\u200b", "\u200d", "\ufeff"]
    wrong = [letter for letter in letters if (as_loader_reads(letter) == "") != bool(stripped.fullmatch(letter))]
    assert wrong == ["\x85"]


async def test_an_option_that_means_nothing_is_named(stack: Stack) -> None:
    tag = TAG.replace("data-holdfast", 'data-accent="green" data-radius="8" data-holdfast')
    assert 'data-accent="green"' in (await examine(stack, page_of(tag))).of("The tag").text


async def test_a_bare_frame_is_told_what_it_lacks(stack: Stack) -> None:
    assert (await examine(stack, page_of(FRAME))).problems == []
    boxed = FRAME.replace("<iframe", '<iframe sandbox="allow-scripts allow-forms"')
    finding = (await examine(stack, page_of(boxed))).of("The frame without the script")
    assert finding.level == "problem"
    mended = FRAME.replace("<iframe", f"<iframe {finding.fix}")
    assert (await examine(stack, page_of(mended))).problems == []
    poor = f'<iframe src="{PUBLIC_URL}/w/studio" style="border: 0; height: 400px"></iframe>'
    texts = " ".join(found.text for found in await examine(stack, page_of(poor)))
    assert "visitors cannot return here" in texts
    assert "no title" in texts
    assert "400 px high" in texts


async def test_a_language_that_the_widget_does_not_speak_can_be_added_and_is(stack: Stack) -> None:
    finding = (await examine(stack, page_of(lang="sv-SE"))).of("Language")
    assert finding.level == "advice"
    assert tomllib.loads(finding.fix) == {"studio": {"languages": ["en", "sv"]}}
    assert (await examine(stack, page_of(lang="cs"))).of("Language").fix == ""
    assert "does not state" in (await examine(stack, page_of(lang=""))).of("Language").text


async def test_a_page_that_phones_shrink_is_told_so(stack: Stack) -> None:
    assert (await examine(stack, page_of(head=""))).of("Phones").fix == VIEWPORT


async def test_an_address_that_leads_elsewhere_is_judged_where_it_ends(stack: Stack) -> None:
    stack.sites.pages["http://studio.example/"] = (301, {"location": PAGE}, b"")
    stack.sites.pages[PAGE] = (200, {"content-type": "text/html"}, page_of())
    found = await report(stack, "http://studio.example/")
    assert "leads to https://studio.example" in found.of("The page is at another address").text
    assert found.problems == []


async def test_a_page_that_is_not_there_says_so(stack: Stack) -> None:
    assert "The page does not open" in (await report(stack, f"{PAGE}/gone")).problems


async def test_what_a_page_says_is_shown_as_text_and_never_as_markup(stack: Stack) -> None:
    evil = TAG.replace('"studio"', '"&quot;><script>alert(1)</script>"')
    await examine(stack, page_of(evil, lang='"><img src=x>'), {"content-security-policy": "frame-src <b>x</b>"})
    answer = await stack.client.get("/embed/doctor", params={"widget": "studio", "site": PAGE})
    assert "<script>alert" not in answer.text
    assert "<img src=x" not in answer.text
    assert "<b>x" not in answer.text


# Whom the server asks, and how


PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 - an address that must not be asked
    "224.0.0.1",
    "::1",
    "fe80::1%eth0",
    "fd00::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", PRIVATE)
async def test_no_address_inside_is_asked_whatever_name_leads_there(stack: Stack, address: str) -> None:
    stack.sites.names["inside.example"] = [address]
    assert "pages that anyone can reach" in await refused(stack, "https://inside.example/")


async def test_a_name_with_one_address_inside_is_not_asked_at_all(stack: Stack) -> None:
    stack.sites.names["both.example"] = ["93.184.215.14", "127.0.0.1"]
    assert "pages that anyone can reach" in await refused(stack, "https://both.example/")


async def test_unusual_ports_are_not_asked(stack: Stack) -> None:
    assert "usual ports" in await refused(stack, "http://studio.example:6379/")


@pytest.mark.parametrize(
    "url", ["ftp://studio.example/", "file:///etc/passwd", "https://", "javascript:alert(1)", "x" * 400]
)
async def test_what_is_no_web_address_is_not_asked(stack: Stack, url: str) -> None:
    stack.sites.names[("x" * 400)[:500]] = []
    said = await refused(stack, url)
    assert "not the address of a web page" in said or "could not find a site with that name" in said


async def test_a_redirect_inside_is_not_followed(stack: Stack) -> None:
    stack.sites.names["inside.example"] = ["10.0.0.1"]
    stack.sites.pages[PAGE] = (302, {"location": "http://inside.example/admin"}, b"")
    answer = await stack.client.get("/embed/doctor", params={"site": PAGE})
    assert "pages that anyone can reach" in text_of(answer.text)
    assert [request.headers["host"] for request in stack.sites.asked] == ["studio.example"]


async def test_a_circle_of_redirects_ends(stack: Stack) -> None:
    stack.sites.pages[PAGE] = (302, {"location": PAGE}, b"")
    answer = await stack.client.get("/embed/doctor", params={"site": PAGE})
    assert "never reaches a page" in text_of(answer.text)
    assert len(stack.sites.asked) == 6


async def test_the_address_that_was_looked_up_is_the_one_that_is_asked(stack: Stack) -> None:
    """A second look-up, which could lead elsewhere, does not happen."""
    stack.sites.names["studio.example"] = ["2606:2800:21f::1", "93.184.215.99"]
    await examine(stack, headers={"set-cookie": "visitor=1"})
    await report(stack)
    for request in (request for request in stack.sites.asked if request.headers["host"] == "studio.example"):
        assert request.url.host == "93.184.215.99"
        assert request.extensions["sni_hostname"] == "studio.example"
        assert "cookie" not in request.headers


async def test_a_site_that_the_operator_has_named_is_read_wherever_it_is(stack: Stack) -> None:
    stack.sites.names["studio.example"] = ["127.0.0.1"]
    assert (await examine(stack)).problems == []


async def test_only_the_beginning_of_a_page_is_read_packed_or_not(stack: Stack) -> None:
    late = page_of(head=" " * MOST_BYTES)
    assert "neither our script" in (await examine(stack, late)).of("The tag").text
    bomb = gzip.compress(page_of() + b" " * (64 * MOST_BYTES))
    assert (await examine(stack, bomb, {"content-encoding": "gzip"})).problems == []


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (httpx.ConnectError("refused"), "did not answer"),
        (httpx.ReadTimeout("slow"), "did not answer"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] expired"), "certificate is not valid"),
    ],
)
async def test_a_site_that_does_not_answer_is_told_why(stack: Stack, error: Exception, says: str) -> None:
    stack.sites.pages[PAGE] = error
    assert says in text_of((await stack.client.get("/embed/doctor", params={"site": PAGE})).text)


async def test_without_our_own_address_in_reach_the_page_is_judged_anyway(stack: Stack) -> None:
    stack.sites.names["book.example"] = []
    found = await examine(stack)
    assert found.problems == []
    assert found.of("Our headers after your proxy").level == "advice"


async def test_one_client_may_not_send_the_embed_check_around_all_day(stack: Stack) -> None:
    answers = [await stack.client.get("/embed/doctor", params={"site": PAGE}) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert "wait a moment" in text_of(answers[-1].text)
    asked = len(stack.sites.asked)
    assert (await stack.client.get("/embed/doctor")).status_code == 200
    assert len(stack.sites.asked) == asked


@given(st.text(max_size=60))
def test_every_text_has_an_origin_or_none(text: str) -> None:
    origin = origin_of(text)
    assert origin == "" or re.fullmatch(r"https?://[^/?#@\s]+", origin)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("HTTPS://WWW.Studio.example:443/Book?x#y", "https://www.studio.example"),
        ("http://studio.example:8080/", "http://studio.example:8080"),
        ("https://user:word@studio.example/", "https://studio.example"),
        ("https://bücher.example/", "https://xn--bcher-kva.example"),
        ("https://BÜCHER.example/", "https://xn--bcher-kva.example"),
        ("https://straße.example/", "https://xn--strae-oqa.example"),
        ("https://βόλος.example/", "https://xn--nxasmm1c.example"),
        ("https://i❤.example/", "https://xn--i-7iq.example"),
        ("https://my_shop.example/", "https://my_shop.example"),
        ("https://[2001:db8::1]/", "https://[2001:db8::1]"),
        ("https://studio.example:port/", ""),
    ],
)
def test_an_origin_is_what_browsers_call_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin
