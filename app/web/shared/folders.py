"""Where deploy/, templates/ and static/ are: next to `app` in a checkout, inside it where the package is installed."""

from __future__ import annotations

from pathlib import Path

_INSIDE = Path(__file__).parents[2]


def folder(name: str) -> Path:
    """The folder of that name."""
    installed = _INSIDE / name
    return installed if installed.is_dir() else _INSIDE.parent / name
