"""The embed check reads pages that anyone may have written: none of them stops the server, or leads it astray."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import urls
from app.protection.page_reader import NameLookups
from app.web.embed.embed_check import LONGEST_TAG, read_tags
from tests.support.host_pages import PAGE, SCRIPT, TAG, examine, page_of, refused, report
from tests.support.stack import PUBLIC_URL, Stack

HALF_A_MEGABYTE = 512 * 1024


# Hostile HTML


@pytest.mark.parametrize("start", ["<a ", "<a a=", '<a a="', "<!--", "<![CDATA[", "<?", "<!DOCTYPE ["])
def test_a_tag_that_never_ends_is_given_up_after_sixteen_kilobytes(start: str) -> None:
    """The tag after it is complete, so a parser that goes on to the end of the page would find it."""
    endless = start * (HALF_A_MEGABYTE // len(start))
    ends = "\"'>-->]]>?>"
    assert len(endless) > 10 * LONGEST_TAG
    tags = read_tags(endless + ends + SCRIPT)
    assert tags.cut
    assert tags.scripts == []


@pytest.mark.parametrize("body", ["<![<", "<!x[", "<![if\x00", "<!DOCTYPE[<"])
def test_html_that_the_parser_refuses_ends_the_reading_and_nothing_else(body: str) -> None:
    assert read_tags(f"<html lang=en>{body * 10}").language == "en"


async def test_a_page_that_was_not_read_to_its_end_says_so(stack: Stack) -> None:
    found = await examine(stack, page_of(f'{TAG}<img src="{"x" * 100_000}'))
    assert found.of("The page was only partly read").level == "advice"
    assert found.of("The tag").level == "good", "what came before was read"


def test_a_long_script_in_the_page_is_not_taken_for_a_tag_that_never_ends() -> None:
    tags = read_tags(page_of(f"<script>{'let x = 1 < 2;' * 20_000}</script>{TAG}").decode())
    assert not tags.cut
    assert len(tags.scripts) == 2


async def test_a_page_of_nothing_but_frames_makes_a_report_of_ordinary_length(stack: Stack) -> None:
    frames = f'<iframe src="{PUBLIC_URL}/w/studio"></iframe>' * 9_000
    assert len(await examine(stack, page_of(frames))) < 1_000


async def test_a_page_is_examined_outside_the_event_loop(stack: Stack) -> None:
    """Whatever the page costs, others are answered meanwhile: the parsing happens in a thread of its own."""
    before = threading.active_count()
    await examine(stack)
    names = {thread.name.rpartition("_")[0] for thread in threading.enumerate()}
    assert "embed-check" in names, f"{before} threads before"


# What a site says of its text


@pytest.mark.parametrize("charset", ["punycode", "idna", "undefined", "utf-7", "unicode_escape", "no-such", "utf-8; x"])
async def test_only_the_encodings_of_web_pages_are_decoded(stack: Stack, charset: str) -> None:
    """Some codecs of Python take quadratic time, or raise what no page may raise. Everything else is read as UTF-8."""
    found = await examine(stack, headers={"content-type": f"text/html; charset={charset}"})
    assert found.of("The tag").level == "good"


@pytest.mark.parametrize("charset", ["utf-16", "ISO-8859-1", "windows-1252", "shift_jis", '"UTF-8"', "koi8-r"])
async def test_the_encodings_of_web_pages_are_read(stack: Stack, charset: str) -> None:
    body = page_of(f"<p>Hello</p>{TAG}").decode().encode(charset.strip('"'))
    found = await examine(stack, body, {"content-type": f"text/html;charset={charset}"})
    assert found.of("The tag").level == "good"


# Addresses


@pytest.mark.parametrize("address", ["::7f00:1", "::127.0.0.1", "fec0::1", "3fff::1", "5f00::1"])
async def test_no_reserved_ipv6_address_is_asked(stack: Stack, address: str) -> None:
    stack.sites.names["inside.example"] = [address]
    assert "pages that anyone can reach" in await refused(stack, "https://inside.example/")


BROKEN = ["http://[", "//[", "http://a\u2100/", "https://a\uff0fb", "http://a:port/", "http://[::1", "http://a:99999/"]


@pytest.mark.parametrize("url", BROKEN)
async def test_an_address_that_cannot_be_parsed_is_told_so(stack: Stack, url: str) -> None:
    assert "not the address of a web page" in await refused(stack, url)


@pytest.mark.parametrize("url", [url for url in BROKEN if url.isascii()])
async def test_a_site_that_leads_to_no_address_is_told_so(stack: Stack, url: str) -> None:
    stack.sites.pages[PAGE] = (302, {"location": url}, b"")
    answer = await stack.client.get("/embed/doctor", params={"site": PAGE})
    assert answer.status_code == 200
    assert "d-trouble" in answer.text


@pytest.mark.parametrize("url", BROKEN)
@pytest.mark.parametrize("tag", ['<iframe src="{}"></iframe>', '<script src="{}"></script>', '<script data-src="{}">'])
async def test_a_page_with_a_broken_address_in_a_tag_is_examined_anyway(stack: Stack, tag: str, url: str) -> None:
    found = await examine(stack, page_of(TAG + tag.format(url)))
    assert found.of("The tag").level == "good"


@given(st.text() | st.text().map("https://".__add__) | st.text().map("//".__add__))
def test_every_text_is_an_address_with_readable_parts_or_none(text: str) -> None:
    parts = urls.split(text)
    assert parts is None or (parts.port is None or parts.port >= 0, parts.hostname)[0]
    joined = urls.join("https://studio.example/book", text)
    assert joined is None or urls.split(joined.strip()) is not None


def test_an_address_whose_host_is_thousands_of_accents_long_is_none() -> None:
    """Normalizing them takes time that grows with the square of their number."""
    assert urls.split("https://a" + "\u0301\u0323" * 10_000) is None
    assert urls.join("https://studio.example/", "//a" + "\u0301\u0323" * 10_000) is None
    assert urls.split("https://müller.example/" + "é" * 1_000) is not None


# Its own name look-ups


async def test_a_look_up_that_was_given_up_keeps_its_turn_until_its_thread_is_free() -> None:
    """A thread that waits for a name server cannot be stopped, so nobody else may be given its place."""
    answer, asked = threading.Event(), []

    def ask(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        if host.startswith("slow"):
            answer.wait(10)
        return ["93.184.215.14"]

    lookups = NameLookups(ask, at_once=2)
    try:
        for number in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await lookups(f"slow{number}.example", 443)
        waiting = asyncio.create_task(lookups("quick.example", 443))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        assert "quick.example" not in asked
        answer.set()
        assert await waiting == ["93.184.215.14"]
    finally:
        answer.set()
        lookups.close()


async def test_a_look_up_uses_no_thread_of_those_that_hapio_and_stripe_are_reached_by() -> None:
    names: list[str] = []

    def ask(_host: str, _port: int) -> Sequence[str]:
        names.append(threading.current_thread().name)
        return ["93.184.215.14"]

    lookups = NameLookups(ask)
    await lookups("studio.example", 443)
    lookups.close()
    assert names[0].startswith("site-names")


# Itself


@pytest.mark.parametrize(
    "path", ["/embed/doctor", "/embed/doctor?site=https://studio.example/", "/embed/%64octor", "/embed/../embed/doctor"]
)
async def test_the_check_does_not_read_itself(stack: Stack, path: str) -> None:
    assert "cannot check itself" in await refused(stack, f"{PUBLIC_URL}{path}")


async def test_a_redirect_to_the_check_is_not_followed(stack: Stack) -> None:
    stack.sites.pages[PAGE] = (302, {"location": f"{PUBLIC_URL}/embed/doctor?site={PAGE}"}, b"")
    answer = await stack.client.get("/embed/doctor", params={"site": PAGE})
    assert "cannot check itself" in answer.text
    assert len(stack.sites.asked) == 1


async def test_the_check_reached_by_itself_under_another_name_reads_nothing_more(stack: Stack) -> None:
    """By the name that it gives itself: our server may go by names that only its proxy knows."""
    await report(stack)
    agent = stack.sites.asked[0].headers["user-agent"]
    stack.sites.asked.clear()
    await stack.client.get("/embed/doctor", params={"site": PAGE}, headers={"user-agent": agent})
    assert stack.sites.asked == []
