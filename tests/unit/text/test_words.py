"""The words that CONTRIBUTING tells to avoid stand in no text for people."""

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from tests.support.documents import avoided

CATALOGUES = Path(__file__).parents[3] / "app/text/locale"


def texts() -> list[str]:
    """Every text that the catalogues translate, singular and plural; test_i18n holds that none is missing."""
    with (CATALOGUES / "de.po").open("rb") as po:
        catalogue = read_po(po, locale="de")
    return [
        text
        for message in catalogue
        if message.id
        for text in ([message.id] if isinstance(message.id, str) else message.id)
    ]


@pytest.mark.parametrize("word", avoided())
def test_no_text_for_people_has_a_word_that_contributing_tells_to_avoid(word: str) -> None:
    assert [text for text in texts() if re.search(rf"\b{re.escape(word)}\b", text.lower())] == []


def test_no_text_for_people_names_the_scheduler_behind_the_calendar() -> None:
    assert [text for text in texts() if "hapio" in text.lower()] == []


def test_the_texts_are_read_from_the_catalogue() -> None:
    assert len(texts()) > 900
    assert "Your booking is confirmed" in texts()
