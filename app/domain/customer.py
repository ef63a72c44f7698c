"""Customers as the owner knows them: who is the same one, and what is known of them over all their bookings. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.domain.booking import Customer
from app.domain.mail_addresses import mailbox

#: A search text is part of an index, whose entries PostgreSQL limits to a third of a page: 2,704 bytes.
_LONGEST = 300
LONGEST_NOTE = 4000
_PHONE = re.compile(r"[+\d][\d ()./-]{3,30}")


@dataclass(frozen=True, slots=True)
class CustomerLine:
    """A customer in a list. `booking_id` is their newest booking, by which their page is found; `last_at` is when that
    one begins. `bookings` counts those that were paid for or free, also where they were cancelled."""

    booking_id: str
    name: str
    email: str
    phone: str
    bookings: int
    last_at: datetime
    time_zone: str


@dataclass(frozen=True, slots=True)
class CustomerFigures:
    """A customer over all their bookings; money in smallest units by currency. `refunded` is what went back or is on
    its way."""

    bookings: int
    canceled: int
    no_shows: int
    paid: Mapping[str, int]
    refunded: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CustomerNote:
    """What the people who work here wrote down about a customer. `version` counts the changes, from 0 for none."""

    text: str = ""
    version: int = 0
    written_by: str = ""
    written_at: datetime | None = None


def customer_key(customer: Customer | None) -> str:
    """What tells customers apart: the mailbox, else the phone number. Empty for someone of whom only
    the name is known: two people may have it, so each of their bookings stands alone."""
    if customer is None:
        return ""
    if customer.email:
        return mailbox(customer.email)
    return f"tel:{customer.phone}" if customer.phone else ""


def search_text(customer: Customer | None) -> str:
    """Name, address and phone as a search compares them; empty for nobody."""
    if customer is None:
        return ""
    return "\n".join((customer.name, customer.email, customer.phone)).casefold()[:_LONGEST]


def needles(text: str) -> list[str]:
    """What a search text may have in it for what someone typed. A phone number is stored with its country code and
    without blanks, and people type neither so."""
    found = [text.casefold()]
    if _PHONE.fullmatch(text):
        digits = re.sub(r"\D", "", text).lstrip("0")
        found += [digits] if len(digits) > 3 else []
    return found


def details_mark(customer: Customer) -> str:
    """Stands in a form for the details that it showed, so that a change from another window is noticed."""
    shown = "\n".join((customer.name, customer.email, customer.phone))
    return hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()[:16]
