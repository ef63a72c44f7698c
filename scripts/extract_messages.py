"""Collect every text for people from code and templates, and bring the catalogues in step.

    python scripts/extract_messages.py           update app/text/locale/*.po; new texts are left empty, unused ones go
    python scripts/extract_messages.py --check   change nothing; tell what is missing and fail if anything is

A new language is an empty file: `touch app/text/locale/pl.po`, then run this.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app import errors  # noqa: E402 - a script finds the package only after the path is set

CATALOGUES = ROOT / "app" / "text" / "locale"

#: Jinja's extractor must trim as the templates' environment does, or the texts would not match.
_METHODS = {
    "app": [("**.py", "python")],
    "templates": [("**.html", "jinja2"), ("**.txt", "jinja2")],
}
_OPTIONS = {"**.html": {"trimmed": "true", "silent": "false"}, "**.txt": {"trimmed": "true", "silent": "false"}}
_KEYWORDS = {
    "_": None,
    "N_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}


def _error_sentences(error: type[errors.HoldfastError]) -> Iterator[str]:
    yield error.sentence
    for child in error.__subclasses__():
        yield from _error_sentences(child)


def template() -> Catalog:
    """Every text in use, without translations, each with the files it stands in."""
    catalogue = Catalog(project="Holdfast", charset="utf-8")
    for folder, methods in _METHODS.items():
        for path, _, message, comments, context in extract_from_dir(
            ROOT / folder, method_map=methods, options_map=_OPTIONS, keywords=_KEYWORDS, comment_tags=("i18n:",)
        ):
            catalogue.add(message, None, [(f"{folder}/{path}", 0)], auto_comments=comments, context=context)
    for sentence in _error_sentences(errors.HoldfastError):
        catalogue.add(sentence, None, [("app/errors.py", 0)])
    return catalogue


def load(language: str) -> Catalog:
    """One language's catalogue as it is on disk."""
    with (CATALOGUES / f"{language}.po").open("rb") as po:
        return read_po(po, locale=language)


def untranslated(message: Message) -> bool:
    """Whether any form of the message has no text yet."""
    return not message.string or (isinstance(message.string, tuple | list) and not all(message.string))


def missing(language: str, texts: Catalog) -> list[str]:
    """The texts in use that this language cannot say yet."""
    catalogue = load(language)
    lacking = []
    for message in texts:
        if not message.id:
            continue
        translation = catalogue.get(message.id, message.context)
        if translation is None or translation.fuzzy or untranslated(translation):
            lacking.append(message.id if isinstance(message.id, str) else message.id[0])
    return lacking


def update(language: str, texts: Catalog) -> None:
    """Write the catalogue anew: sorted by text and without dates, so that a diff shows only what changed."""
    catalogue = load(language)
    catalogue.locale = language
    catalogue.fuzzy = False
    catalogue.project, catalogue.version = "Holdfast", "1"
    catalogue.msgid_bugs_address = catalogue.last_translator = ""
    catalogue.language_team = str(catalogue.locale.english_name)
    catalogue.header_comment = f"# Holdfast in {catalogue.locale.english_name}."
    catalogue.update(texts, no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    with (CATALOGUES / f"{language}.po").open("wb") as po:
        write_po(po, catalogue, width=110, sort_output=True, include_lineno=False, ignore_obsolete=True)


def main() -> int:
    """Update or check every catalogue; the exit status is the number of incomplete languages."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail if a translation is missing")
    check = parser.parse_args().check
    texts = template()
    incomplete = 0
    for po in sorted(CATALOGUES.glob("*.po")):
        if not check:
            update(po.stem, texts)
        lacking = missing(po.stem, texts)
        incomplete += bool(lacking)
        sys.stdout.write(f"{po.stem}: {len(texts) - len(lacking)} of {len(texts)} texts\n")
        sys.stdout.writelines(f"    missing: {text}\n" for text in lacking if check)
    return incomplete if check else 0


if __name__ == "__main__":
    sys.exit(main())
