"""The calendar file that comes with a mail, and the links to calendars on the web."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from app.domain.booking import Status
from app.mail import calendar_file, calendar_links
from app.widgets import Widget
from tests.support.examples import NOW, a_booking
from tests.support.mails import MANAGE, WIDGET, entry_of

ODD = st.text(max_size=80)


def a_file(**changes: Any) -> bytes:
    return calendar_file(a_booking(**changes), widget=WIDGET, url=MANAGE, now=NOW, language="en")


def test_the_calendar_entry_says_what_the_mail_says() -> None:
    entry = entry_of(a_file())
    assert str(entry["uid"]) == "bk_1@holdfast"
    assert entry["dtstart"].dt == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    assert entry["dtend"].dt == datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    assert entry["dtstamp"].dt == NOW
    assert str(entry["summary"]) == "Portrait session · Studio Nord"
    assert str(entry["location"]) == "Studio Nord, Götgatan 1"
    assert str(entry["description"]) == f"With Maja Lind\nYour booking: {MANAGE}"
    assert str(entry["organizer"]) == "mailto:owner@studio.example"
    assert entry["organizer"].params["cn"] == "Studio Nord"
    assert entry["status"] == "CONFIRMED"
    assert b"DTSTART:20261124T090000Z" in a_file()


def test_a_change_keeps_the_entry_and_raises_its_sequence() -> None:
    before, after = entry_of(a_file()), entry_of(a_file(revision=2, starts_at=NOW + timedelta(days=5)))
    assert before["uid"] == after["uid"]
    assert (before["sequence"], after["sequence"]) == (1, 2)


def test_a_canceled_booking_takes_its_entry_away() -> None:
    for status in (Status.CANCELED, Status.EXPIRED):
        off = a_file(status=status)
        assert entry_of(off)["status"] == "CANCELLED"
        assert Calendar.from_ical(off)["method"] == "CANCEL"
    assert Calendar.from_ical(a_file())["method"] == "PUBLISH"
    ics = calendar_file(a_booking(), widget=WIDGET, url="", now=NOW, language="en", method="CANCEL")
    assert entry_of(ics)["status"] == "CANCELLED"
    assert Calendar.from_ical(ics)["method"] == "CANCEL"
    assert "url" not in entry_of(ics)


def test_a_booking_that_is_not_final_is_tentative() -> None:
    assert entry_of(a_file(status=Status.PAID))["status"] == "TENTATIVE"


def test_without_an_owners_address_there_is_no_organizer() -> None:
    ics = calendar_file(a_booking(), widget=Widget(name="plain"), url="", now=NOW, language="en")
    assert "organizer" not in entry_of(ics)


def test_without_an_organizer_the_file_states_no_method_and_still_takes_the_entry_off() -> None:
    """RFC 5546 demands an ORGANIZER wherever there is a METHOD."""
    endings: tuple[tuple[Literal["PUBLISH", "CANCEL"], str], ...] = (("PUBLISH", "CONFIRMED"), ("CANCEL", "CANCELLED"))
    for method, status in endings:
        ics = calendar_file(
            a_booking(revision=2), widget=Widget(name="plain"), url="", now=NOW, language="en", method=method
        )
        assert "method" not in Calendar.from_ical(ics)
        assert (entry_of(ics)["status"], entry_of(ics)["sequence"]) == (status, 2)
    with_owner = Calendar.from_ical(a_file())
    assert (with_owner["method"], str(entry_of(a_file())["organizer"])) == ("PUBLISH", "mailto:owner@studio.example")


@settings(max_examples=60)
@given(service=ODD, resource=ODD, location=ODD, owner=ODD)
def test_whatever_things_are_called_the_calendar_file_reads_back(
    service: str, resource: str, location: str, owner: str
) -> None:
    widget = WIDGET.model_copy(update={"owner_name": owner})
    booking = a_booking(service_name=service, resource_name=resource, location_name=location)
    ics = calendar_file(booking, widget=widget, url=MANAGE, now=NOW, language="en")
    assert all(len(line) <= 75 for line in ics.split(b"\r\n"))
    entry = entry_of(ics)
    assert str(entry["location"]) == one_line(location)
    assert str(entry["summary"]) == " · ".join(filter(None, (one_line(service), one_line(owner))))
    assert str(entry["description"]) == f"With {one_line(resource)}\nYour booking: {MANAGE}"
    assert entry["organizer"].params["cn"] == (one_line(owner.replace("\\", " ")) or "owner@studio.example")


def one_line(text: str) -> str:
    """What a name comes to on one line."""
    return "".join(char for char in " ".join(text.split()) if ord(char) > 31 and not 127 <= ord(char) < 160)


def test_the_calendar_links_carry_the_time_and_never_the_manage_link() -> None:
    links = calendar_links(a_booking(service_name="Cut & colour + wash"), widget=WIDGET)
    google, outlook = (parse_qs(urlsplit(links[name]).query) for name in ("google", "outlook"))
    assert google["dates"] == ["20261124T090000Z/20261124T100000Z"]
    assert google["text"] == outlook["subject"] == ["Cut & colour + wash · Studio Nord"]
    assert (outlook["startdt"], outlook["enddt"]) == (["2026-11-24T09:00:00Z"], ["2026-11-24T10:00:00Z"])
    assert "token" not in json.dumps(links)
    assert "+" not in links["outlook"]
