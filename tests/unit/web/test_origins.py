"""Origins in any spelling are brought to the browser's, and a silent frame's cause is named."""

import pytest
from pydantic import ValidationError

from app.web.shared.render import trusted_host
from app.web.shared.theme import asked_style, dressed
from app.widgets import Theme, Widget
from tests.support.stack import Stack


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://www.example.com", "https://www.example.com"),
        ("https://www.bücher.example", "https://www.xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("http://LOCALHOST:8725", "http://localhost:8725"),
        ("HTTPS://X.example:443/", "https://x.example"),
        (" http://x.example:80 ", "http://x.example"),
        ("https://x.example.", "https://x.example"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://[0:0::1]", "http://[::1]"),
        ("http://[::FFFF:1.2.3.4]", "http://[::ffff:102:304]"),
        ("http://127.1", "http://127.0.0.1"),
        ("http://0x7f.1:8000", "http://127.0.0.1:8000"),
        ("http://0177.0.0.1", "http://127.0.0.1"),
        ("http://2130706433", "http://127.0.0.1"),
        ("http://１２７。1", "http://127.0.0.1"),
    ],
)
def test_an_origin_is_read_as_browsers_write_it(written: str, read: str) -> None:
    assert Widget(name="studio", allowed_origins=(written,)).allowed_origins == (read,)


@pytest.mark.parametrize(
    "written",
    [
        "www.example.com",
        "https://a.example/path",
        "https://*.example",
        "https://me@a.example",
        "ftp://a.example",
        "null",
        "https://a b.example",
        "https://a.example;script-src",
        "https://exam%70le.com",
        "http://1.2.3.4.5",
        "http://1.2.3.256",
        "http://09.1",
        "http://[fe80::1%25eth0]",
        "https://a.example\\@b.example",
    ],
)
def test_what_is_no_origin_is_refused_with_words(written: str) -> None:
    with pytest.raises(ValidationError, match=r"is not an origin such as https://www\.example\.com"):
        Widget(name="studio", allowed_origins=(written,))


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("https://STUDIO.example/book", True),
        ("https://studio.example:443/book", True),
        ("https://studio.example:8443/book", False),
        ("http://studio.example/book", False),
        (" https://studio.example/book", False),
        ("https://evil.example\\@studio.example/book", False),
        ("https://studio.example\\.evil.example/book", False),
        ("https:\\\\studio.example/book", False),
        ("//studio.example/book", False),
        ("", False),
    ],
)
def test_a_host_page_is_trusted_if_a_browser_would_name_its_origin_as_the_owner_does(host: str, trusted: bool) -> None:
    studio = Widget(name="studio", allowed_origins=("https://studio.example",))
    assert trusted_host(host, studio) == (host if trusted else "")


@pytest.mark.parametrize(
    ("widget", "origin", "cause"),
    [
        ("nobody", "https://studio.example", "there is no widget called 'nobody'"),
        ("studio", "https://other.example", "add https://other.example to allowed_origins of [studio]"),
        ("studio", "https://studio.example", "something between the browser and the server changes the page"),
    ],
)
async def test_the_console_is_told_why_a_frame_is_silent(stack: Stack, widget: str, origin: str, cause: str) -> None:
    answer = await stack.client.get("/embed/why", params={"widget": widget, "origin": origin})
    assert cause in answer.text
    assert answer.text.startswith('export default "')
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_the_loader_may_be_fetched_as_a_module_and_knows_where_it_belongs(stack: Stack) -> None:
    answer = await stack.client.get("/embed.js")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert '"https://book.example"' in answer.text


@pytest.mark.parametrize(
    ("theme", "asked", "shown"),
    [
        (Theme(), {"ground": "rgb(16, 21, 28)"}, (True, "#10151c")),
        (Theme(), {}, (None, "")),
        (Theme(transparent=False), {"ground": "rgb(16, 21, 28)"}, (False, "")),
        (Theme(background="#ffffff"), {"ground": "rgb(16, 21, 28)"}, (None, "#ffffff")),
        (Theme(), {"ground": "rgb(16, 21, 28)", "transparent": "0"}, (False, "")),
        (Theme(transparent=True, background="#ffffff"), {"ground": "rgb(1, 2, 3)"}, (True, "#ffffff")),
    ],
)
def test_the_page_shows_through_unless_the_owner_or_the_tag_says_otherwise(
    theme: Theme, asked: dict[str, str], shown: tuple[bool | None, str]
) -> None:
    look = dressed(theme, asked_style(asked))
    assert (look.transparent, look.background) == shown
