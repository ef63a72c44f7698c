"""One thing has one word in each language: the word that its glossary in docs/glossaries gives."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from babel.messages.pofile import read_po

from app.text import languages

GLOSSARIES: Final = Path(__file__).parents[3] / "docs/glossaries"
CATALOGUES: Final = sorted(languages.CATALOGUES.glob("*.po"))
#: How a text of the product's speaks of each thing, by the word that the glossaries list it under.
THINGS: Final = {
    "booking": r"\bbookings?\b",
    "hold": r"\b(?:times?|it) (?:is|stays|are|was|were|at) .*held\b|\bheld for|\bholds?\b",
    "move": r"\b(?:moved?|moving)\b",
    # Undoing it has a word of its own.
    "cancel": r"^(?!.*\bund(?:o|one|id)\b).*\bcancel",
    "refund": r"\brefund",
    "payment": r"\bpayments?\b",
    "customer": r"\bcustomers?\b",
    "terms": r"\bterms\b",
    "reference": r"\breference\b",
}
#: Some sentences say it in another way, such as "the way it was paid". German says more in the passive, without the
#: customer.
MOST_OF_THEM: Final = 0.9
LESS_OFTEN: Final = {("de", "customer"): 0.6}
#: Written without spaces, and without endings.
WHOLE_WORDS: Final = {"ja", "zh"}
#: Vowel marks, which Arabic writes as it pleases, and the dot that is left of a Turkish capital letter.
MARKS: Final = re.compile("[\u064b-\u0652\u0307]")


def forms(tag: str) -> dict[str, set[str]]:
    """What each thing's word begins with, in every form that the language's glossary lists."""
    text = (GLOSSARIES / f"{tag}.md").read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for english, words in re.findall(r"^\| ([^|]+) \| ([^|]+) \|", text, re.MULTILINE):
        for thing in THINGS:
            if re.search(rf"\b{thing}\b", english.partition("(")[0]):
                found.setdefault(thing, set()).update(beginnings(words, tag))
    return found


def plain(text: str) -> str:
    return MARKS.sub("", text.casefold())


def beginnings(words: str, tag: str) -> Iterator[str]:
    """The part of each word that its endings leave alone. Short words say nothing."""
    for word in re.findall(r"[^\W\d_]+", plain(words)):
        if tag in WHOLE_WORDS:
            yield word
        elif len(word) >= (2 if tag == "ar" else 3):
            yield word[: max(3, round(len(word) * 0.65))]


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_one_thing_has_one_word(path: Path) -> None:
    with path.open("rb") as po:
        catalogue = read_po(po, locale=path.stem)
    listed = forms(path.stem)
    assert listed.keys() == THINGS.keys()
    for thing, pattern in THINGS.items():
        said, other = 0, []
        for message in catalogue:
            english = message.id if isinstance(message.id, str) else message.id[-1]
            if re.search(pattern, re.sub(r"%\(\w+\)s", "", english), re.IGNORECASE):
                texts = [message.string] if isinstance(message.string, str) else [*(message.string or ())]
                found = any(form in plain(text) for text in texts for form in listed[thing])
                said += found
                if not found:
                    other.append((english, texts[-1]))
        least = LESS_OFTEN.get((path.stem, thing), MOST_OF_THEM)
        assert said >= least * (said + len(other)), (thing, said, other)
