"""Files, pages and signed links as nobody should write them, and what reads them; for the tests and `make fuzz`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import httpx
import tomlkit

from app.errors import HoldfastError
from app.protection.page_reader import Page
from app.protection.signed_links import Links
from app.text.catalogues import translator
from app.web.embed.embed_check import Case, examine, read_tags
from app.widgets import Widget
from app.widgets_file import WidgetsFileError, load_widgets
from tests.support.spoiled import NASTY, places_in

ROOT = Path(__file__).parents[2]
#: What breaks parsers, put anywhere into a text.
_SPLINTERS = (
    "<",
    ">",
    "</",
    "<!",
    "<![",
    "<!--",
    "-->",
    "]]>",
    "&",
    "&#x110000;",
    '"',
    "'",
    "=",
    "[[",
    "]]",
    "\n",
    "\x00",
    "\u202e",
    ".",
    ":",
    "9" * 5_000,
    "<a " * 300,
    "<script>",
    "</script",
    "height=" + "9" * 5_000,
    " sandbox ",
    "²",
    "https://[",
    "//",
    "javascript:",
    "=" * 300,
    "\\u{110000}",
    "nan",
    "-inf",
    "1979-05-27",
    "{" * 300,
)


def spoil_text(text: str, random: Random) -> str:
    """The text with up to four pieces left out, doubled or put in."""
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(text) + 1)
        until = min(len(text), at + random.choice((0, 1, 5, 80)))
        piece = random.choice(("", text[at:until] * 2, random.choice(_SPLINTERS)))
        text = text[:at] + piece + text[until:]
    return text


def spoil_table(table: Mapping[str, Any], random: Random) -> str:
    """A TOML file with one value in it of another kind, or gone."""
    thing: Any = tomllib.loads(tomlkit.dumps(table))
    *way, last = random.choice(list(places_in(thing)))
    inside = thing
    for step in way:
        inside = inside[step]
    nasty = random.choice([value for value in NASTY if value not in (None, [None], {"x": None})])
    if random.random() < 0.2:
        del inside[last]
    else:
        inside[last] = nasty.replace("\ud800", "") if isinstance(nasty, str) else nasty
    return tomlkit.dumps(thing)


def wrong_widgets(folder: Path, random: Random) -> str:
    """A widgets.toml is read, or refused in words with a line for each fault; else what happened."""
    example = (ROOT / "widgets.example.toml").read_text(encoding="utf-8")
    whole = random.random() < 0.5
    text = spoil_text(example, random) if whole else spoil_table(tomllib.loads(example), random)
    path = folder / "widgets.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        load_widgets(path, ("hapio", "calcom"))
    except WidgetsFileError as error:
        return "" if str(error).strip() and "Traceback" not in str(error) else f"no words for {text!r}"
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return f"{error!r:.300} of {text!r:.3000}"
    return ""


_PAGE = """<!doctype html><html lang="sv"><head><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="script-src 'self' https://book.example:443; frame-src *.example">
<script async src="https://book.example/embed.js"></script></head><body>
<div data-holdfast="studio" data-lang="en" data-radius="9"></div>
<iframe src="https://book.example/w/studio" height="600px" style="height: 10px" sandbox="allow-scripts"></iframe>
<a href="https://book.example/w/studio">Book</a></body></html>"""
_POLICY = "default-src 'self'; script-src https://book.example:8443/x 'nonce-a'; frame-src *.example https:"


def wrong_page(random: Random) -> str:
    """Another person's page is examined, whatever it is; else what happened."""
    page, policy = spoil_text(_PAGE, random), spoil_text(_POLICY, random)
    try:
        tags = read_tags(page)
        _examined(page, policy)
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return f"{error!r:.300} of {page!r:.3000}, {policy!r:.1500}"
    return "" if len(tags.frames) <= 1_000 else f"{len(tags.frames)} frames are kept"


def readers_of(links: Links) -> dict[str, tuple[str, Callable[[str], object]]]:
    """Each kind of signed text: a good one, and what reads it."""
    return {
        "booking": (links.api_token("bk_1"), links.read_api_token),
        "visitor": (links.visitor_token("someone"), links.read_visitor_token),
        "manage": (links.manage_token("bk_1", 3), links.read_manage_token),
        "page": (links.page_token("bk_1", "cancel", 3), lambda text: links.read_page_token(text, "bk_1", "cancel")),
        "sign-in": (links.sign_in_token("si_1"), links.read_sign_in_token),
        "staff": (links.staff_token("si_1"), links.read_staff_token),
        "feed": (links.feed_token("eva@studio.example", 2), links.read_feed_token),
        "result": (links.result_token("bk_1", told="back"), links.read_result_token),
        "receipt": (links.receipt({"id": "bk_1"}), links.read_receipt),
    }


def wrong_token(links: Links, random: Random) -> str:
    """A token that was changed, or is of another kind, opens nothing; else what happened."""
    kinds = readers_of(links)
    (name, (good, _)), (kind, (own, read)) = random.choice(list(kinds.items())), random.choice(list(kinds.items()))
    text = spoil_text(good, random) if random.random() < 0.7 else good
    if text == own:
        return ""
    try:
        opened = read(text)
    except HoldfastError:
        return ""
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return f"{error!r:.300}: {name} {text!r:.500} read as {kind}"
    good_one = read(own)
    return "" if opened is None or opened == good_one or kind == "visitor" else f"{name} {text!r:.300} opened {kind}"


def _examined(page: str, policy: str) -> None:
    """Read headers and tags, as the embed check does."""
    own = "https://book.example"
    names = (b"content-security-policy", b"x-frame-options", b"permissions-policy")
    headers = httpx.Headers([(name, policy.encode("latin-1", "replace")) for name in names])
    read = Page("https://site.example/", 200, headers, page)
    case = Case("https://site.example/", read, read, Widget(name="studio"), ("studio",), own)
    examine(case, translator("en").gettext)
