"""The owner's accent made safe: one small style sheet per widget with final hex colors, light and dark.

Colors are chosen in OKLCH (Björn Ottosson, "A perceptual color space for image processing", 2020), because equal
steps of its lightness look equal in every hue, and judged by WCAG 2.2 contrast on the rounded hex that is sent.
Nothing is left to the browser, so every promise below holds without script and without `color-mix`.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, Literal

from pydantic import ValidationError

from app.domain.colours import contrast, ink_on, linear
from app.widgets import Theme

Scheme = Literal["light", "dark"]

#: What one tag asks of the look, as it stands in addresses and hidden fields: only what can be done.
Style = tuple[tuple[str, str], ...]

#: The names that a tag has for the theme's settings.
STYLES: Final[Mapping[str, str]] = {
    "theme": "scheme",
    "accent": "accent",
    "radius": "radius",
    "density": "density",
    "font": "font",
    "background": "background",
    "transparent": "transparent",
}
#: What our loader tells of the page: the colour behind the frame. A word of its own, since the owner's wishes and the
#: tag's go before it.
GROUND: Final = "ground"

#: Longer than any value that can be meant.
_LONGEST: Final = 250

#: Spaces between things, in parts of the regular ones.
_DENSITIES: Final[Mapping[str, float]] = {"compact": 0.7, "regular": 1, "spacious": 1.3}

#: WCAG 2.2: 1.4.3 text, 1.4.11 graphics and the borders that make an input recognizable.
TEXT: Final = 4.5
GRAPHIC: Final = 3.0

#: How much of the accent's hue the neutrals breathe, at most, in OKLCH chroma.
_BREATH: Final = 0.008

#: Lightness of the neutrals; `card` lies on `surface`, `sunken` beneath it.
_NEUTRALS: Final[Mapping[str, Mapping[str, float]]] = {
    "light": {"surface": 0.985, "card": 1.0, "sunken": 0.955, "text": 0.25, "text-soft": 0.47, "line": 0.9},
    "dark": {"surface": 0.19, "card": 0.235, "sunken": 0.16, "text": 0.95, "text-soft": 0.76, "line": 0.33},
}

#: The hues of "wrong" and "right" keep their meaning whatever the accent is: (chroma, hue in degrees).
_DANGER: Final = (0.17, 27.0)
_OK: Final = (0.12, 152.0)

#: CSS keywords that must not be quoted, or they would name a font of that name.
_GENERIC_FONTS: Final = frozenset(
    [
        "serif",
        "sans-serif",
        "monospace",
        "cursive",
        "fantasy",
        "system-ui",
        "ui-serif",
        "ui-sans-serif",
        "ui-monospace",
        "ui-rounded",
    ]
)
_SYSTEM_FONTS: Final = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif'


def _from_linear(channel: float) -> float:
    if channel <= 0.0031308:
        return 12.92 * channel
    return float(1.055 * channel ** (1 / 2.4) - 0.055)


def to_oklch(color: str) -> tuple[float, float, float]:
    """Lightness (0 to 1), chroma and hue (degrees) of a #rrggbb color."""
    red, green, blue = linear(color)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return lightness, math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360


def _to_linear_rgb(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def from_oklch(lightness: float, chroma: float, hue: float) -> str:
    """The #rrggbb color; chroma is lowered, hue and lightness kept, until sRGB can show it."""
    lightness = min(max(lightness, 0.0), 1.0)
    shown = chroma
    if not _in_gamut(lightness, shown, hue):
        low, high = 0.0, chroma
        for _ in range(16):
            shown = (low + high) / 2
            if _in_gamut(lightness, shown, hue):
                low = shown
            else:
                high = shown
        shown = low
    channels = (min(max(channel, 0.0), 1.0) for channel in _to_linear_rgb(lightness, shown, hue))
    return "#" + "".join(f"{round(_from_linear(channel) * 255):02x}" for channel in channels)


def _in_gamut(lightness: float, chroma: float, hue: float) -> bool:
    return all(-1e-4 <= channel <= 1 + 1e-4 for channel in _to_linear_rgb(lightness, chroma, hue))


def _readable(color: str, grounds: Iterable[str], ratio: float, *, darker: bool) -> str:
    """The color nearest to `color` that has the contrast on every ground: the same hue, darker or lighter.

    Black on light grounds and white on dark ones reach every ratio asked for here, so the walk ends by then.
    """
    grounds = tuple(grounds)
    lightness, chroma, hue = to_oklch(color)
    while min(contrast(color, ground) for ground in grounds) < ratio and 0 <= lightness <= 1:
        lightness += -0.005 if darker else 0.005
        color = from_oklch(lightness, chroma, hue)
    return color


def _mixed(ground: str, color: str, share: float = 0.16) -> str:
    """The ground with a breath of the color."""
    channels = (
        round(int(ground[at : at + 2], 16) * (1 - share) + int(color[at : at + 2], 16) * share) for at in (1, 3, 5)
    )
    return "#" + "".join(f"{channel:02x}" for channel in channels)


def fitting_scheme(background: str) -> Scheme:
    """Whether black or white is read better on this ground; the better one has a contrast of 4.58 at least."""
    return "light" if contrast("#000000", background) >= contrast("#ffffff", background) else "dark"


def _neutrals(scheme: Scheme, breath: float, hue: float, background: str) -> dict[str, str]:
    neutral = {name: from_oklch(level, breath, hue) for name, level in _NEUTRALS[scheme].items()}
    if not background:
        return neutral
    level, chroma, hue = to_oklch(background)
    ink = "#000000" if scheme == "light" else "#ffffff"

    def near(step: float) -> str:
        # Where ink would lose its last bit of contrast, a card is told by its border alone.
        color = from_oklch(level + step, chroma, hue)
        return color if contrast(ink, color) >= TEXT else background

    line = from_oklch(level - 0.09 if scheme == "light" else level + 0.12, chroma, hue)
    return neutral | {"surface": background, "card": near(0.045), "sunken": near(-0.03), "line": line}


def _palette(accent: str, scheme: Scheme, background: str) -> dict[str, str]:
    dark = scheme == "dark"
    _, chroma, hue = to_oklch(accent)
    breath = min(_BREATH, chroma / 12)
    neutral = _neutrals(scheme, breath, hue, background)
    grounds = (neutral["surface"], neutral["card"], neutral["sunken"])
    soft_level = 0.3 if dark else 0.94

    def soft(chroma: float, hue: float) -> str:
        if background:
            tint = _mixed(background, from_oklch(0.7 if dark else 0.6, chroma, hue))
            return tint if contrast("#ffffff" if dark else "#000000", tint) >= TEXT else background
        # A tint, not a color of its own: at this lightness full chroma would glow.
        return from_oklch(soft_level, min(chroma * 0.4, 0.045), hue)

    accent_soft, danger_soft, ok_soft = soft(chroma, hue), soft(*_DANGER), soft(*_OK)
    signal_level = 0.75 if dark else 0.5
    edge = _readable(accent, grounds, GRAPHIC, darker=not dark)
    return {
        "accent": accent,
        "accent-edge": edge,
        "accent-strong": _readable(edge, (*grounds, accent_soft), TEXT, darker=not dark),
        "accent-soft": accent_soft,
        "on-accent": ink_on(accent),
        "surface": neutral["surface"],
        "card": neutral["card"],
        "sunken": neutral["sunken"],
        "text": _readable(neutral["text"], (*grounds, accent_soft, danger_soft, ok_soft), TEXT, darker=not dark),
        "text-soft": _readable(neutral["text-soft"], (*grounds, accent_soft), TEXT, darker=not dark),
        "line": neutral["line"],
        "line-strong": _readable(neutral["line"], grounds, GRAPHIC, darker=not dark),
        "danger": _readable(from_oklch(signal_level, *_DANGER), (*grounds, danger_soft), TEXT, darker=not dark),
        "danger-soft": danger_soft,
        "ok": _readable(from_oklch(signal_level, *_OK), (*grounds, ok_soft), TEXT, darker=not dark),
        "ok-soft": ok_soft,
    }


@lru_cache(maxsize=256)
def palette(accent: str, scheme: Scheme, background: str = "") -> Mapping[str, str]:
    """Every color of one scheme, by custom property name without dashes, as #rrggbb. Promised contrasts:

    - text, text-soft, accent-strong at least 4.5 on surface, card, sunken and accent-soft
    - danger, ok at least 4.5 on surface, card, sunken and their own soft ground; text on those grounds as well
    - on-accent at least 4.5 on accent, which is the owner's own colour: a button is known by its text (WCAG 1.4.11)
    - accent-edge, which is drawn around it, and line-strong at least 3 on surface, card and sunken

    `line` only divides and carries no meaning. The surface is `background`, if one is given, which must then be one
    that `fitting_scheme` finds this scheme for.
    """
    return _palette(accent.lower(), scheme, background)


def _font(font: str) -> str:
    """The owner's families, each quoted again so that no stray quote can open the sheet, before the system's."""
    families = []
    for part in font.split(","):
        name = " ".join(part.replace('"', " ").replace("'", " ").split())
        if name:
            families.append(name if name.lower() in _GENERIC_FONTS else f'"{name}"')
    return ",".join([*families, _SYSTEM_FONTS])


def _declarations(theme: Theme, scheme: Scheme) -> str:
    colors = palette(theme.accent, scheme, theme.background)
    page = "transparent" if theme.transparent else colors["surface"]
    listed = "".join(f"--{name}:{color};" for name, color in colors.items())
    return f"color-scheme:{scheme};--page:{page};{listed}"


def asked_style(query: Mapping[str, str]) -> Style:
    """What an address, or a form, asks of the look, in the words that the next address carries it in. What cannot be
    done is asked for by nobody."""
    asked = []
    for name, field in STYLES.items():
        value = query.get(name, "")
        if value and len(value) <= _LONGEST and (theme := _with(field, value)):
            told = getattr(theme, field)
            asked.append((name, str(int(told)) if isinstance(told, bool) else str(told).removeprefix("#")))
    ground = query.get(GROUND, "")
    if ground and len(ground) <= _LONGEST and (theme := _with("background", ground)):
        asked.append((GROUND, theme.background.removeprefix("#")))
    return tuple(asked)


@lru_cache(maxsize=1024)
def _with(field: str, value: str) -> Theme | None:
    try:
        return Theme.model_validate({field: value})
    except ValidationError:
        return None


@lru_cache(maxsize=256)
def dressed(theme: Theme, style: Style) -> Theme:
    """The owner's theme with what a tag asks beyond it. `style` is from `asked_style`."""
    asked = {STYLES[name]: value for name, value in style if name != GROUND}
    wanted = Theme.model_validate(theme.model_dump() | asked)
    ground = dict(style).get(GROUND)
    if ground is None or wanted.transparent is False or (wanted.background and not wanted.transparent):
        return wanted
    return Theme.model_validate(wanted.model_dump() | {"transparent": True, "background": wanted.background or ground})


@lru_cache(maxsize=256)
def theme_css(theme: Theme) -> str:
    """The widget's custom properties as a style sheet to stand in the page.

    In addition to the colours of `palette`: `--page` (the surface, or transparent), `--radius`, `--density`, `--font`.
    """
    density = _DENSITIES[theme.density]
    shape = f"--radius:{theme.radius}px;--density:{density};--font:{_font(theme.font)};"
    scheme = fitting_scheme(theme.background) if theme.background else theme.scheme
    if scheme != "auto":
        return f":root{{{shape}{_declarations(theme, scheme)}}}"
    light, dark = _declarations(theme, "light"), _declarations(theme, "dark")
    return f":root{{{shape}{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"


@lru_cache(maxsize=256)
def style_hash(css: str) -> str:
    """The Content-Security-Policy source for a style element with exactly this text: "'sha256-…'"."""
    digest = hashlib.sha256(css.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
