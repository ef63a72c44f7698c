"""The owner's page: what it hands out works when it is pasted, and looks as it was chosen."""

import re
from collections.abc import Mapping
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.embed.snippets import (
    FONTS,
    MODES,
    Choice,
    Mode,
    element_snippet,
    frame_snippet,
    link_snippet,
    react_snippet,
    read_choice,
    script_snippet,
    shortcode_snippet,
    theme_snippet,
)
from app.web.shared.theme import STYLES, asked_style, dressed, theme_css
from app.widgets import Theme, Widget
from app.widgets_file import load_widgets
from sandbox.hapio import Fault
from tests.support.stack import PUBLIC_URL, Stack, open_stack, text_of

HOST = "https://studio.example/book?from=menu&x=1"
WIDGET = Widget(
    name="studio", languages=("en", "sv"), theme=Theme(radius=4), allowed_origins=("https://studio.example",)
)

colors = st.integers(0, 0xFFFFFF).map(lambda number: f"{number:06x}")
looks = st.fixed_dictionaries(
    {},
    optional={
        "theme": st.sampled_from(["auto", "light", "dark"]),
        "accent": colors,
        "radius": st.integers(0, 16).map(str),
        "density": st.sampled_from(["compact", "regular", "spacious"]),
        "font": st.sampled_from([*FONTS.values(), "'Söhne', Georgia"]),
        "background": colors,
        "transparent": st.sampled_from(["0", "1"]),
    },
)


class Tags(HTMLParser):
    """The tags of a snippet, as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def the(self, tag: str) -> Mapping[str, str]:
        """The only tag of this name."""
        [attributes] = [attributes for name, attributes in self.found if name == tag]
        return attributes


def snippet(page: str, kind: str) -> str:
    """What the page hands out for copying."""
    found = re.search(rf'(?s)<pre id="c-{kind}".*?<code[^>]*>(.*?)</code>', page)
    assert found, f"no snippet {kind}"
    return unescape(found[1])


async def embed(stack: Stack, **choices: str) -> str:
    """The owner's page for these choices."""
    answer = await stack.client.get("/embed", params=choices)
    assert answer.status_code == 200
    return answer.text


# What is handed out


@pytest.mark.parametrize(
    ("mode", "tag", "attribute"),
    [
        ("inline", "div", "data-holdfast"),
        ("popup", "a", "data-holdfast-popup"),
        ("float", "script", "data-holdfast-float"),
    ],
)
@given(look=looks)
def test_a_tag_asks_for_the_look_that_was_chosen_and_for_nothing_else(
    mode: Mode, tag: str, attribute: str, look: dict[str, str]
) -> None:
    choice = read_choice({"mode": mode, **look}, {"studio": WIDGET})
    attributes = Tags(script_snippet(choice, PUBLIC_URL, "Book")).the(tag)
    assert attributes[attribute] == "studio"
    asked = asked_style({name: attributes.get(f"data-{name}", "") for name in STYLES})
    assert dressed(WIDGET.theme, asked) == dressed(WIDGET.theme, asked_style(look))
    if mode != "float":  # that one is told its accent in any case
        for pair in asked:
            assert dressed(WIDGET.theme, (pair,)) != WIDGET.theme, f"{pair} is the widget's own already"


@given(look=looks)
def test_the_look_as_the_widget_s_own_is_the_same_look(
    look: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    choice = read_choice(look, {"studio": WIDGET})
    file = tmp_path_factory.mktemp("widgets") / "widgets.toml"
    file.write_text(theme_snippet(choice) or "[studio.theme]\nradius = 4", encoding="utf-8")
    assert theme_css(load_widgets(file)["studio"].theme) == theme_css(choice.theme)


@given(label=st.text(max_size=80), site=st.text(max_size=80))
@pytest.mark.parametrize("mode", MODES)
def test_nothing_that_an_owner_types_breaks_out_of_its_place(mode: Mode, label: str, site: str) -> None:
    choice = read_choice({"mode": mode, "label": label, "site": f"https://x.example/{site}"}, {"studio": WIDGET})
    words = choice.label or "Book"
    tags = [
        [name for name, _ in Tags(text).found]
        for text in (
            script_snippet(choice, PUBLIC_URL, words),
            frame_snippet(choice, PUBLIC_URL, words),
            link_snippet(choice, PUBLIC_URL, words),
        )
    ]
    assert tags == [
        {"inline": ["script", "div", "a"], "popup": ["script", "a"], "float": ["script"]}[mode],
        ["iframe"],
        ["a"],
    ]


@given(look=looks, label=st.text(max_size=80), service=st.text(max_size=80))
@pytest.mark.parametrize("mode", MODES)
def test_element_component_and_shortcode_keep_what_an_owner_types_in_its_place(
    mode: Mode, look: dict[str, str], label: str, service: str
) -> None:
    choice = read_choice({"mode": mode, "label": label, "service": service, **look}, {"studio": WIDGET})
    words = choice.label or "Book"
    element = Tags(element_snippet(choice, PUBLIC_URL, words)).found
    shortcode = shortcode_snippet(choice, words)
    component = react_snippet(choice, PUBLIC_URL, words)
    assert re.fullmatch(r'\[holdfast( [a-z]+="[^"\[\]<>]*")+\]', shortcode)
    if mode == "popup":
        assert [name for name, _ in element] == ["script", "button", "script"]
        return
    assert [name for name, _ in element] == ["script", "holdfast-booking", "a"]
    attributes = element[1][1]
    asked = asked_style({name: attributes.get(name, "") for name in STYLES})
    assert dressed(WIDGET.theme, asked) == dressed(WIDGET.theme, asked_style(look)) or mode == "float"
    [written] = Tags(component.partition("\n\n")[2]).found
    assert written == ("holdfastbooking", {"server": PUBLIC_URL, **attributes})


def test_without_script_the_element_holds_a_link_to_the_same_thing() -> None:
    choice = Choice(WIDGET, service="7", language="sv", style=(("accent", "aa0000"),))
    link = Tags(script_snippet(choice, PUBLIC_URL, "Book")).the("a")
    assert link["href"] == f"{PUBLIC_URL}/w/studio?service=7&lang=sv"


async def test_the_frame_opens_what_was_chosen_and_knows_the_way_back(stack: Stack) -> None:
    page = await embed(stack, service=stack.headshot_id, accent="aa3300", site=HOST)
    frame = Tags(snippet(page, "frame")).the("iframe")
    assert frame["title"] == "Book a time"
    assert parse_qs(urlsplit(frame["src"]).query)["host"] == [HOST]
    opened = await stack.client.get(frame["src"], headers={"Sec-Fetch-Dest": "document"})
    assert "Headshot express" in text_of(opened.text)
    assert "Back to Studio Nord" in text_of(opened.text)
    assert "--accent:#aa3300" in opened.text


async def test_the_link_opens_what_was_chosen(stack: Stack) -> None:
    link = Tags(snippet(await embed(stack, service=stack.headshot_id), "link")).the("a")
    assert "Headshot express" in text_of((await stack.client.get(link["href"])).text)


async def test_the_policy_that_the_page_documents_satisfies_the_embed_check(stack: Stack) -> None:
    page = await embed(stack)
    headers = {"content-type": "text/html", "content-security-policy": f"default-src 'none'; {snippet(page, 'csp')}"}
    body = f'<html lang="en"><meta name="viewport" content="x">{snippet(page, "script")}'
    stack.sites.pages["https://studio.example/"] = (200, headers, body.encode())
    report = await stack.client.get("/embed/doctor", params={"site": "https://studio.example/"})
    assert "No problems found" in text_of(report.text)


async def test_a_site_that_is_not_allowed_yet_is_told_so_next_to_the_snippet(stack: Stack) -> None:
    page = await embed(stack, site="www.studio.example")
    assert "https://www.studio.example is not allowed to show this widget yet" in text_of(page)
    assert snippet(page, "origins") == (
        '[studio]\nallowed_origins = ["https://studio.example", "https://www.studio.example"]'
    )
    assert "https://studio.example is allowed to show this widget" in text_of(await embed(stack, site=HOST))


# The page itself


async def test_everything_works_as_a_plain_form(stack: Stack) -> None:
    chosen = {
        "mode": "popup",
        "accent": "#aa3300",
        "radius": "2",
        "theme": "dark",
        "label": "Boka",
        "density": "compact",
    }
    page = await embed(stack, **chosen)
    fields = re.search(r'(?s)<form id="choices".*?</form>', page)
    assert fields
    assert 'method="get" action="/embed"' in fields[0]
    for part in (
        'value="popup" checked',
        'name="accent" value="#aa3300"',
        'name="radius" min="0" max="16" value="2"',
        'value="dark" checked',
        'value="compact" checked',
        'name="label" value="Boka"',
    ):
        assert part in fields[0], part
    previews = re.findall(r'<iframe src="/embed/preview\?([^"]*)"', page)
    assert len(previews) == 2
    assert {name: value for name, value in parse_qsl(unescape(previews[0])) if name in chosen} == {
        **chosen,
        "accent": "aa3300",
    }


@pytest.mark.parametrize("mode", MODES)
async def test_the_preview_is_a_page_with_the_tag_itself(stack: Stack, mode: str) -> None:
    query = urlencode({"mode": mode, "accent": "aa3300", "label": "Boka", "background": "fff6e0"})
    preview = await stack.client.get(f"/embed/preview?{query}")
    tag = snippet((await stack.client.get(f"/embed?{query}")).text, "script")
    assert tag.replace(PUBLIC_URL, "") in preview.text
    assert "--ground:#fff6e0" in preview.text
    assert "frame-ancestors 'self'" in preview.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/embed", "/embed/doctor", "/embed/preview"])
async def test_the_pages_are_strict_about_themselves(stack: Stack, path: str) -> None:
    answer = await stack.client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<[^>]* (style|on\w+)=", answer.text.split("<pre")[0])
    if path != "/embed/preview":
        assert "frame-ancestors 'none'" in policy
    assert "set-cookie" not in answer.headers


async def test_a_see_through_widget_can_be_made_solid_on_one_page(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="theme = { transparent = true }") as stack:
        assert "checked><span>Let the page show through" in await embed(stack)
        page = (await stack.client.get("/embed?transparent=0")).text
        assert 'data-transparent="0"' in snippet(page, "script")
        assert "data-transparent" not in snippet(
            (await stack.client.get("/embed?transparent=0&transparent=1")).text, "script"
        )


async def test_the_owner_sees_what_becomes_of_an_accent_that_is_hard_to_read(stack: Stack) -> None:
    assert "On light · adjusted" in text_of(await embed(stack, accent="ffd54a"))
    assert "adjusted" not in text_of(await embed(stack, accent="2f5d50", theme="light"))


async def test_with_hapio_down_owners_still_get_their_snippets(stack: Stack) -> None:
    stack.hapio.faults.append(Fault("drop_before", times=50))
    assert "data-holdfast" in snippet(await embed(stack), "script")


async def test_what_nobody_offers_is_left_aside(stack: Stack) -> None:
    page = await embed(stack, widget="nobody", mode="sideways", lang="xx", radius="99", site="not an address")
    assert snippet(page, "script") == (
        f'<script async src="{PUBLIC_URL}/embed.js"></script>\n'
        f'<div data-holdfast="studio">\n  <a href="{PUBLIC_URL}/w/studio">Book a time</a>\n</div>'
    )


async def test_the_page_speaks_the_owner_s_language_and_the_tag_the_chosen_one(stack: Stack) -> None:
    answer: httpx.Response = await stack.client.get("/embed", headers={"Accept-Language": "sv"})
    assert '<html lang="sv"' in answer.text


async def test_every_platform_of_the_issue_has_its_steps(stack: Stack) -> None:
    page = await embed(stack)
    for name in ("WordPress", "Squarespace", "Wix", "Webflow", "Shopify"):
        assert re.search(rf"<summary>{name}</summary><ol><li>", page), name


def test_every_font_on_offer_is_one_that_a_theme_takes() -> None:
    for font in FONTS.values():
        assert Theme(font=font).font == font


async def test_what_is_asked_for_without_its_hash_is_not_kept_permanently(stack: Stack) -> None:
    """The loader imports the self-test by its plain name."""
    plain = await stack.client.get("/static/embed-check.js")
    assert plain.headers["cache-control"] == "public, max-age=300"
    assert plain.headers["access-control-allow-origin"] == "*"
    assert "immutable" in (await stack.client.get("/static/widget.css?v=1")).headers["cache-control"]
