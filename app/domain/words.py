"""An owner's text in one or several languages, and which of them a reader gets. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class Said(str):
    """An owner's text as one reader gets it. `lang` is its language where that is not the reader's, else empty: an
    element that shows it carries it then (WCAG 3.1.2)."""

    lang: str

    def __new__(cls, text: str, lang: str = "") -> Said:
        """`lang` as above."""
        said = super().__new__(cls, text)
        said.lang = lang
        return said


@dataclass(frozen=True, slots=True)
class Words:
    """A text by language (`en`, `sv`), in the owner's order; under `""` what was written without one, which is in the
    widget's first language."""

    texts: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, text: str | Mapping[str, str]) -> Words:
        """One text, or one for each language; what is empty is left out."""
        texts = {"": text} if isinstance(text, str) else text
        return cls(tuple((language, one) for language, one in texts.items() if one))

    def __bool__(self) -> bool:
        return bool(self.texts)

    def settled(self, first: str) -> Words:
        """The same without `""`; `first` is the widget's first language, and comes first. Its own text wins over one
        that names no language."""
        texts = dict(self.texts)
        plain = texts.pop("", "")
        own = texts.pop(base(first), plain)
        return Words.of({base(first): own, **texts})

    def over(self, other: Words, first: str) -> Words:
        """These texts, and the other's in the languages that these lack."""
        return Words.of({**dict(other.settled(first).texts), **dict(self.settled(first).texts)}).settled(first)

    def said(self, language: str, first: str) -> Said:
        """The text for a reader of this language: in it, else in the widget's `first`, else in whatever there is."""
        texts = self.settled(first).texts
        if not texts:
            return Said("")
        wanted = base(language)
        for tag, text in texts:
            if tag == wanted:
                return Said(text)
        tag, text = texts[0]
        return Said(text, tag)


def base(tag: str) -> str:
    """A tag's language without its territory: "en-US" → "en"."""
    return tag.replace("_", "-").partition("-")[0].lower()
