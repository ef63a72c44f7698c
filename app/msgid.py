"""Marking texts for people where they are written. Below everything, so that errors can be marked, too."""

from __future__ import annotations


def N_(message: str) -> str:  # noqa: N802 - the name that gettext tools know for "extract, but translate later"
    """Mark a text for translation where it is written; it is translated where it is shown."""
    return message
