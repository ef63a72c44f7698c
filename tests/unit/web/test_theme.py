"""Whatever accent an owner chooses, the widget can be read, in light and in dark."""

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.colours import contrast
from app.web.shared.theme import (
    TEXT,
    Scheme,
    asked_style,
    dressed,
    fitting_scheme,
    from_oklch,
    palette,
    style_hash,
    theme_css,
    to_oklch,
)
from app.widgets import Theme
from tests.support.browser import Browser
from tests.support.stack import Stack

STATIC = Path(__file__).parents[3] / "static"
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
GROUNDS = ("surface", "card", "sunken")
accents = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@given(accents)
@example("#000000")
@example("#ffffff")
@example("#ffff00")
@example("#0000ff")
@example("#00ff00")
@example("#ff0000")
@example("#808080")
def test_every_promised_contrast_holds_for_any_accent(accent: str) -> None:
    for scheme in SCHEMES:
        expect_contrasts(palette(accent, scheme), scheme)


@given(accents, accents)
@example("#2f5d50", "#757575")
@example("#2f5d50", "#767676")
@example("#ffff00", "#ffffff")
@example("#ff0000", "#ff0000")
@example("#000000", "#000000")
def test_every_promised_contrast_holds_on_any_background_of_the_owner_s(accent: str, background: str) -> None:
    scheme = fitting_scheme(background)
    colors = palette(accent, scheme, background)
    assert colors["surface"] == background
    expect_contrasts(colors, scheme)


def expect_contrasts(colors: Mapping[str, str], scheme: Scheme) -> None:
    """What `palette` promises."""
    for ground in GROUNDS:
        for ink in ("text", "text-soft", "accent-strong", "danger", "ok"):
            assert contrast(colors[ink], colors[ground]) >= 4.5, (scheme, ink, ground)
        for shape in ("accent-edge", "line-strong"):
            assert contrast(colors[shape], colors[ground]) >= 3, (scheme, shape, ground)
    for ink, ground in (
        ("on-accent", "accent"),
        ("accent-strong", "accent-soft"),
        ("text", "accent-soft"),
        ("text-soft", "accent-soft"),
        ("danger", "danger-soft"),
        ("text", "danger-soft"),
        ("ok", "ok-soft"),
        ("text", "ok-soft"),
    ):
        assert contrast(colors[ink], colors[ground]) >= 4.5, (scheme, ink, ground)


@given(accents)
def test_all_colors_are_final_hex_and_the_sheet_has_balanced_braces(accent: str) -> None:
    css = theme_css(Theme(accent=accent))
    assert all(re.fullmatch(r"#[0-9a-f]{6}", color) for scheme in SCHEMES for color in palette(accent, scheme).values())
    assert css.count("{") == css.count("}")
    assert "color-mix" not in css


@given(accents)
def test_a_color_survives_the_way_through_oklch(color: str) -> None:
    there_and_back = from_oklch(*to_oklch(color))
    assert all(abs(int(color[at : at + 2], 16) - int(there_and_back[at : at + 2], 16)) <= 1 for at in (1, 3, 5)), (
        there_and_back
    )


def test_contrast_is_wcag_s() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("accent", ["#2f5d50", "#ffd54a", "#9bd8ff", "#ffffff", "#000000"])
def test_buttons_have_the_owner_s_own_colour_and_a_text_that_can_be_read(accent: str) -> None:
    """A yellow made mustard is another brand's. The edge around it and the links are derived."""
    for scheme in SCHEMES:
        colors = palette(accent, scheme)
        assert colors["accent"] == accent
        assert contrast(colors["on-accent"], accent) >= TEXT
    assert palette("#2f5d50", "light")["accent-edge"] == "#2f5d50"
    assert palette("#7fd1b9", "dark")["accent-edge"] == "#7fd1b9"


def test_a_pale_accent_is_darkened_in_its_own_hue() -> None:
    lightness, _, hue = to_oklch(palette("#ffd54a", "light")["accent-edge"])
    owner_lightness, _, owner_hue = to_oklch("#ffd54a")
    assert lightness < owner_lightness
    assert hue == pytest.approx(owner_hue, abs=4)


def test_a_widget_follows_the_visitor_s_scheme_unless_the_owner_or_the_page_fixes_one() -> None:
    assert "@media (prefers-color-scheme:dark)" in theme_css(Theme())
    dark = Theme(scheme="dark")
    assert "@media" not in theme_css(dark)
    assert "color-scheme:dark" in theme_css(dark)
    assert "color-scheme:light" in theme_css(dressed(dark, asked_style({"theme": "light"})))
    assert "@media" in theme_css(dressed(dark, asked_style({"theme": "auto"})))


def test_a_background_decides_between_light_and_dark_whatever_the_visitor_prefers() -> None:
    on_cream, on_ink = theme_css(Theme(background="#fff6e0")), theme_css(Theme(background="#101418", scheme="light"))
    assert "@media" not in on_cream + on_ink
    assert "color-scheme:light;--page:#fff6e0" in on_cream
    assert "color-scheme:dark;--page:#101418" in on_ink


def test_a_transparent_widget_is_readable_on_the_background_that_the_page_names() -> None:
    css = theme_css(Theme(transparent=True, background="#1c2b4a"))
    assert "color-scheme:dark;--page:transparent" in css
    text = re.search(r"--text:(#\w{6})", css)
    assert text
    assert contrast(text[1], "#1c2b4a") >= 4.5


def test_a_transparent_widget_has_no_page_color_but_keeps_its_cards() -> None:
    css = theme_css(Theme(transparent=True))
    assert "--page:transparent" in css
    assert "--card:#" in css


def test_a_tag_changes_what_it_names_and_leaves_the_rest_to_the_owner() -> None:
    theirs = Theme(accent="#7a2e5d", radius=4, font="Georgia, serif")
    asked = asked_style({"accent": "#AB3", "density": "compact", "service": "7", "theme": ""})
    assert asked == (("accent", "aabb33"), ("density", "compact"))
    assert dressed(theirs, asked) == Theme(accent="#aabb33", radius=4, font="Georgia, serif", density="compact")
    assert asked_style(dict(asked)) == asked
    assert asked_style({"background": "rgb(28, 43, 74)"}) == (("background", "1c2b4a"),)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accent", "green"),
        ("accent", "#2f5d5"),
        ("accent", "2f5d50;}body{display:none"),
        ("radius", "17"),
        ("radius", "-1"),
        ("density", "crowded"),
        ("font", "x;}</style><script>"),
        ("font", "x" * 300),
        ("theme", "sepia"),
        ("background", "rgb(28, 43, 256)"),
        ("background", "rgba(28, 43, 74, 0.5)"),
        ("background", "url(https://elsewhere.example)"),
        ("transparent", "perhaps"),
    ],
)
def test_what_a_tag_asks_and_cannot_be_done_is_left_aside(name: str, value: str) -> None:
    assert asked_style({name: value}) == ()


async def test_what_a_tag_asks_lasts_to_the_last_step_and_its_policy_allows_the_sheet(stack: Stack) -> None:
    asked = {"accent": "7a2e5d", "radius": "3", "density": "spacious", "font": "Georgia", "background": "fff6e0"}
    browser = Browser(stack)
    await browser.open(f"/w/studio?{urlencode({'service': stack.portrait_id, **asked})}")
    wanted = theme_css(dressed(stack.parts.widgets["studio"].theme, asked_style(asked)))
    typed = {"name": "Anna Ek", "email": "anna@customer.example"}
    for step in ('id="hf-hold"', "/release", 'id="hf-hold"', "/details", "/extend"):
        assert f"<style>{wanted}</style>" in browser.page.text, step
        assert style_hash(wanted) in browser.page.headers["content-security-policy"], step
        await browser.send(step, **({"start": browser.starts[0]} if browser.starts else typed))
    assert f"<style>{wanted}</style>" in browser.page.text


async def test_two_tags_of_one_widget_are_not_given_each_other_s_look(stack: Stack) -> None:
    plain = (await stack.client.get("/w/studio")).text
    round_one = (await stack.client.get("/w/studio?radius=16")).text
    assert "--radius:10px" in plain
    assert "--radius:16px" in round_one
    assert (await stack.client.get("/w/studio")).text == plain


def test_density_changes_the_space_between_things() -> None:
    assert "--density:1;" in theme_css(Theme())
    assert "--density:0.7;" in theme_css(Theme(density="compact"))
    assert "--density:1.3;" in theme_css(Theme(density="spacious"))


def test_radius_and_font_are_the_owner_s() -> None:
    css = theme_css(Theme(radius=4, font="'Söhne', Georgia, serif"))
    assert "--radius:4px" in css
    assert '--font:"Söhne","Georgia",serif,system-ui' in css


@given(st.text("aÅ中0_-,'\" \n\t", max_size=40))
def test_no_font_setting_can_break_out_of_its_declaration(font: str) -> None:
    css = theme_css(Theme(font=font))
    declared = re.search(r"--font:([^;]*);", css)
    assert declared
    assert declared[1].count('"') % 2 == 0
    assert "'" not in declared[1]
    assert "\n" not in css


def test_the_hash_is_the_one_a_browser_computes_over_the_style_element() -> None:
    css = theme_css(Theme())
    digest = base64.b64encode(hashlib.sha256(css.encode("utf-8")).digest()).decode()
    assert style_hash(css) == f"'sha256-{digest}'"


@pytest.mark.parametrize("sheet", sorted(path.name for path in STATIC.glob("*.css")))
def test_no_custom_property_is_its_own_dead_fallback(sheet: str) -> None:
    """A custom property accepts any value, so of two in one block the second always wins; @supports is the way."""
    text = re.sub(r"(?s)/\*.*?\*/", "", (STATIC / sheet).read_text(encoding="utf-8"))
    for block in re.findall(r"\{([^{}]*)\}", text):
        names = re.findall(r"(?m)^\s*(--[\w-]+)\s*:", block)
        assert len(names) == len(set(names)), block
