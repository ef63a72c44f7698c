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


#: What the pages used to say that read as if it were translated, and what a native speaker writes.
REWORDED = {
    "have the same time back": "Until %(time)s, you can undo the cancellation and keep the same time.",
    "could be moved until": "The last chance to move it was %(until)s.",
    "It can be moved until": "You can move it %(times)s, until %(until)s.",
    "Only the time does not fit": "Need a different time?",
    "Cancel and get nothing": "Cancel without a refund",
    "nothing back": "After that, no refund",
    "back until": "%(percent)d%% refund until %(when)s",
    "was given back": "We have released your old time.",
    "goes out at": "We will send it at %(time)s to your original payment method.",
    "No money moves": "Nothing to pay or refund",
    "We mail you": "We are emailing the details to %(email)s, with a link to change or cancel.",
    "small time": "The smaller time is the time at the venue: %(zone)s",
    "The calendar does not answer": "The calendar is not responding",
    "by this step": "You have not been charged.",
    "a lot of requests": "Too many tries in a short time. Please wait a moment and try again.",
    "Everything right": "Check your booking",
    "so that we can confirm": "Please enter your email address. We send the confirmation there.",
    "What happened": "History",
    "Look into your mail": "Check your email",
    "fresh link": "Email me a new link",
    "It opened your booking": (
        "Links work until a month after the appointment. We can email you one for another booking."
    ),
    "come with time": "Bookings are open until %(day)s. More dates will open later.",
    "looks after you": "Your appointment is now with %(person)s.",
    "beside the terms": "This is a goodwill refund, outside your booking terms.",
    "What you may do": "Actions",
    "are owed": "Emails not sent yet",
    "The house": "Technical",
    "It does not show": "Widget not showing?",
    "that shall": "Your page, where the widget should be",
}


def test_what_read_as_translated_is_said_as_people_say_it() -> None:
    said = texts()
    assert [text for old in REWORDED for text in said if re.search(rf"\b{old}\b", text)] == []
    assert [new for new in REWORDED.values() if new not in said] == []


#: What native speakers put in the place of a translation, and words of it that stand nowhere any more.
TRANSLATED = {
    "de": {
        "Anyone": "Egal, bei wem",
        "Customer": "Kundin/Kunde",
        "Add to calendar": "Zum Kalender hinzufügen",
    },
    "sv": {"Held for you until %(time)s": "Reserverad för dig till %(time)s", "Anyone": "Vem som helst"},
    "fr": {"Undo the cancellation": "Rétablir la réservation", ": ": "\u00a0: "},
    "es": {
        "Other times": "Otra hora",
        "This time has just been taken.": "Esa hora acaba de ocuparse.",
        "Held for you until %(time)s": "Reservado para usted hasta las %(time)s",
        "Embed check": "Comprobar la página",
    },
}
GONE = {
    "de": "(geht|kann) .*hinaus|buchende",
    "sv": "hålls åt",
    "fr": "retirer l.annulation|annulation retirée",
    "es": r"(otro|ese|\bun|\d) horario|doctor",
}


@pytest.mark.parametrize("tag", TRANSLATED)
def test_a_translation_that_native_speakers_corrected_stays_corrected(tag: str) -> None:
    with (CATALOGUES / f"{tag}.po").open("rb") as po:
        catalogue = read_po(po, locale=tag)
    said = {english: catalogue[english].string for english in TRANSLATED[tag]}
    assert said == TRANSLATED[tag]
    texts = [str(message.string).replace("python -m app doctor", "") for message in catalogue if message.id]
    assert [text for text in texts if re.search(GONE[tag], text.lower())] == []


def test_no_text_for_people_names_the_scheduler_behind_the_calendar() -> None:
    assert [text for text in texts() if "hapio" in text.lower()] == []


def test_the_texts_are_read_from_the_catalogue() -> None:
    assert len(texts()) > 900
    assert "Your booking is confirmed" in texts()
