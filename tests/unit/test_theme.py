"""Whatever accent an owner chooses, the widget can be read, in light and in dark."""

import base64
import hashlib
import re
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.web.theme import contrast, from_oklch, palette, style_hash, theme_css, to_oklch
from app.widgets import Theme

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
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
        colors = palette(accent, scheme)
        for ground in GROUNDS:
            for ink in ("text", "text-soft", "accent-strong", "danger", "ok"):
                assert contrast(colors[ink], colors[ground]) >= 4.5, (scheme, ink, ground)
            for shape in ("accent", "line-strong"):
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


def test_an_accent_that_is_readable_already_is_left_as_the_owner_chose_it() -> None:
    assert palette("#2f5d50", "light")["accent"] == "#2f5d50"
    assert palette("#7fd1b9", "dark")["accent"] == "#7fd1b9"


def test_a_pale_accent_is_darkened_in_its_own_hue() -> None:
    lightness, _, hue = to_oklch(palette("#ffd54a", "light")["accent"])
    owner_lightness, _, owner_hue = to_oklch("#ffd54a")
    assert lightness < owner_lightness
    assert hue == pytest.approx(owner_hue, abs=4)


def test_a_widget_follows_the_visitor_s_scheme_unless_the_owner_or_the_page_fixes_one() -> None:
    assert "@media (prefers-color-scheme:dark)" in theme_css(Theme())
    assert "@media" not in theme_css(Theme(scheme="dark"))
    assert "color-scheme:dark" in theme_css(Theme(scheme="dark"))
    assert "color-scheme:light" in theme_css(Theme(scheme="dark"), "light")
    assert "@media" in theme_css(Theme(scheme="dark"), "auto")


def test_a_transparent_widget_has_no_page_color_but_keeps_its_cards() -> None:
    css = theme_css(Theme(transparent=True))
    assert "--page:transparent" in css
    assert "--card:#" in css


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
