"""How well colours can be told apart: WCAG 2.2's contrast ratio, and the ink that is read best on a ground. Pure."""

from __future__ import annotations

from functools import lru_cache


def linear(color: str) -> tuple[float, float, float]:
    """Red, green and blue of a #rrggbb colour as parts of their full light, 0 to 1 (WCAG 2.2, relative luminance)."""
    red, green, blue = (_to_linear(int(color[start : start + 2], 16) / 255) for start in (1, 3, 5))
    return red, green, blue


def contrast(first: str, second: str) -> float:
    """WCAG's contrast ratio of two #rrggbb colours, from 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def ink_on(ground: str) -> str:
    """Black or white, whichever is read better on the ground; the better one has a contrast of 4.58 at least."""
    return max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, ground))


@lru_cache(maxsize=4096)
def _luminance(color: str) -> float:
    red, green, blue = linear(color)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _to_linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
