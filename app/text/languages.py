"""The languages that the product speaks, and which of them a reader is spoken to in.

A language is a tag: "sv", or "en-US" where the territory decides the format while the texts come from "en". Names,
directions and formats are CLDR's, through Babel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.localedata import locale_identifiers

DEFAULT_LANGUAGE: Final = "en"

#: Where the catalogues lie, one a language.
CATALOGUES: Final = Path(__file__).with_name("locale")


@dataclass(frozen=True)
class Language:
    """A language that the product speaks. What CLDR says of it is read when it is asked for: half a MiB each."""

    tag: str

    @cached_property
    def native_name(self) -> str:
        """ "svenska"."""
        return Locale(self.tag).get_language_name() or self.tag

    @cached_property
    def direction(self) -> Literal["ltr", "rtl"]:
        """Of writing, for the `dir` attribute."""
        return "rtl" if Locale(self.tag).text_direction == "rtl" else "ltr"


#: By tag, English first: every language with a catalogue (English needs none).
LANGUAGES: Mapping[str, Language] = MappingProxyType(
    {tag: Language(tag) for tag in (DEFAULT_LANGUAGE, *sorted(po.stem for po in CATALOGUES.glob("*.po")))}
)


#: Other tags of a language that we speak: Norwegian as people name it and as its other standard, whose readers read
#: Bokmål; Hebrew as old systems name it.
_OTHER_TAGS: Final = {"no": "nb", "nn": "nb", "iw": "he"}


def base_language(language: str) -> str:
    """The catalogue's tag for a tag: "en-US" → "en", "no" → "nb"; English for what we do not speak."""
    base = language.replace("_", "-").partition("-")[0].lower()
    base = _OTHER_TAGS.get(base, base)
    return base if base in LANGUAGES else DEFAULT_LANGUAGE


def direction(language: str) -> Literal["ltr", "rtl"]:
    """The writing direction, for the `dir` attribute."""
    return LANGUAGES[base_language(language)].direction


#: Browsers send a handful; the bound keeps a hostile header from costing time.
_MAX_HEADER: Final = 500
#: No tag of a language and its territory is longer (RFC 5646, section 4.4.1). What is longer is in no cache, either.
_LONGEST_TAG: Final = 35
_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


@cache
def _known_locales() -> frozenset[str]:
    return frozenset(locale_identifiers())


def _canonical(tag: str) -> str | None:
    """ "EN_us" → "en-US"; an unknown territory is dropped; None for what is no tag."""
    return _canonical_tag(tag) if len(tag) <= _LONGEST_TAG and _TAG.fullmatch(tag) else None


@lru_cache(maxsize=1024)
def _canonical_tag(tag: str) -> str:
    base, *rest = tag.replace("_", "-").split("-")
    base = _OTHER_TAGS.get(base.lower(), base.lower())
    for part in rest:
        if f"{base}_{part.upper()}" in _known_locales():
            return f"{base}-{part.upper()}"
    return base


def _accepted(accept_language: str) -> list[str]:
    """The tags of an Accept-Language header, best first; what cannot be read is passed over."""
    weighed: list[tuple[float, str]] = []
    for entry in accept_language[:_MAX_HEADER].split(","):
        tag, _, parameter = entry.partition(";")
        quality = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", parameter) if parameter else None
        weight = float(quality[1]) if quality else 0.0 if parameter else 1.0
        canonical = _canonical(tag.strip())
        if canonical and weight > 0:
            weighed.append((weight, canonical))
    return [tag for _, tag in sorted(weighed, key=lambda pair: -pair[0])]


@lru_cache(maxsize=1024)
def _negotiate(requested: str | None, accept_language: str, offered: tuple[str, ...]) -> str:
    spoken = [tag for tag in map(_canonical, offered) if tag and tag.partition("-")[0] in LANGUAGES]
    if not spoken:
        spoken = [DEFAULT_LANGUAGE]
    accepted = _accepted(accept_language)
    asked = _canonical(requested) if requested else None
    wanted = [asked, *accepted] if asked else accepted
    for tag in wanted:
        if tag in spoken:
            match = tag
            break
        base = tag.partition("-")[0]
        match = next((offer for offer in spoken if offer.partition("-")[0] == base), "")
        if match == base:
            match = tag
        if match:
            break
    else:
        match = spoken[0]
    if "-" not in match:
        return next((tag for tag in accepted if tag.startswith(match + "-")), match)
    return match


def negotiate(requested: str | None, accept_language: str | None, offered: Sequence[str]) -> str:
    """The tag to speak and format in: what the host page asks for, else the browser's best, else the first offer.

    The base of the answer is one of `offered` (those that we speak; English if none). A territory is kept for
    the formats, and a bare tag takes the one that the browser names for the same language: a page in "en" read
    in an American browser says "2:30 PM". An offer with a territory is the owner's word and stays.
    """
    if requested and len(requested) > _LONGEST_TAG:
        requested = None
    return _negotiate(requested, (accept_language or "")[:_MAX_HEADER], tuple(offered))


@lru_cache(maxsize=1024)
def locale_of(language: str) -> Locale:
    """The formats of a tag.

    Plain "en" is read as British: pages all over the world say "en", day before month and 24 hours are what most
    of their readers know, and an American browser names its territory (see `negotiate`).
    """
    canonical = _canonical(language) or DEFAULT_LANGUAGE
    if base_language(canonical) != canonical.partition("-")[0] or canonical == "en":
        return Locale("en", "GB")
    try:
        return Locale.parse(canonical, sep="-")
    except UnknownLocaleError:
        return Locale(base_language(canonical))


#: By script; every other one has ours.
_COMMAS: Final = MappingProxyType({"Arab": "، ", "Jpan": "、", "Hans": "，", "Hant": "，"})


def comma(language: str) -> str:
    """What stands between two parts of one line."""
    return _COMMAS.get(_script(locale_of(language)), ", ")


@lru_cache(maxsize=1024)
def _script(locale: Locale) -> str:
    """The script that the locale is most likely written in (CLDR, likelySubtags)."""
    likely: str = get_global("likely_subtags").get(locale.language, "")  # "ar_Arab_EG"
    return locale.script or f"{likely}__".split("_")[1]
