"""Texts in a reader's language, from gettext catalogues (`app/text/locale/*.po`; English is the msgid)."""

from __future__ import annotations

import gettext
from functools import cache
from io import BytesIO

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from jinja2 import Environment, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from app.domain.words import Said
from app.text.languages import CATALOGUES, DEFAULT_LANGUAGE, LANGUAGES, Language, base_language


class Translator:
    """Texts of one language; a text without a translation stays English."""

    def __init__(self, language: Language, catalogue: gettext.NullTranslations) -> None:
        self.language = language
        self._catalogue = catalogue

    def gettext(self, message: str) -> str:
        """The translation of an English text."""
        return self._catalogue.gettext(message)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """The translation in the plural form for `number`; the number is not filled in."""
        return self._catalogue.ngettext(singular, plural, number)

    def pgettext(self, context: str, message: str) -> str:
        """The translation of a text that means different things in different contexts."""
        return self._catalogue.pgettext(context, message)

    def npgettext(self, context: str, singular: str, plural: str, number: int) -> str:
        """Plural form and context together."""
        return self._catalogue.npgettext(context, singular, plural, number)


@cache
def _translator(tag: str) -> Translator:
    if tag == DEFAULT_LANGUAGE:
        return Translator(LANGUAGES[tag], gettext.NullTranslations())
    with (CATALOGUES / f"{tag}.po").open("rb") as po:
        catalogue = read_po(po, locale=tag)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translator(LANGUAGES[tag], gettext.GNUTranslations(compiled))


def translator(language: str) -> Translator:
    """The texts for a language tag; English for what we do not speak."""
    return _translator(base_language(language))


def _context_translator(context: Context) -> Translator:
    return translator(str(context.get("language", DEFAULT_LANGUAGE)))


@pass_context
def _context_gettext(context: Context, message: str) -> str:
    return _context_translator(context).gettext(message)


@pass_context
def _context_ngettext(context: Context, singular: str, plural: str, number: int) -> str:
    return _context_translator(context).ngettext(singular, plural, number)


@pass_context
def _context_pgettext(context: Context, message_context: str, message: str) -> str:
    return _context_translator(context).pgettext(message_context, message)


@pass_context
def _context_npgettext(context: Context, message_context: str, singular: str, plural: str, number: int) -> str:
    return _context_translator(context).npgettext(message_context, singular, plural, number)


def install(environment: Environment) -> None:
    """Give templates `_`, `gettext`, `ngettext`, `pgettext` and `{% trans %}` in the context's `language`.

    In addition the filter `lang`: the attribute of an element that shows an owner's text.

    Placeholders are `%(name)s`, given as arguments; a literal per cent sign in `_("…")` is written `%%`.
    """
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    # The extension adds this method when it is loaded, so that the type checker cannot know it.
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        _context_gettext,
        _context_ngettext,
        newstyle=True,
        pgettext=_context_pgettext,
        npgettext=_context_npgettext,
    )
    environment.filters["lang"] = _lang


def _lang(text: str) -> Markup:
    """` lang="en"` for an owner's text in another language than the page's, else nothing. Its direction is for `bdi` to
    find."""
    tag = text.lang if isinstance(text, Said) else ""
    return Markup(' lang="{}"').format(tag) if tag else Markup("")
