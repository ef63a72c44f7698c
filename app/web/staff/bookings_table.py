"""Bookings as a table (CSV), for spreadsheets and the bookkeeper's program, line by line."""

from __future__ import annotations

import csv
import re
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from io import StringIO
from typing import Final

from app.booking.bookings import Bookings
from app.domain.attribution import booked_on, came_from
from app.domain.booking import Booking
from app.domain.money import Money
from app.domain.refund import REFUND_VOID, Funds
from app.text import zones
from app.widgets import Widget

#: More bookings than these are not in one table.
MOST: Final = 5000
#: Bookings whose money is read at one go.
_PAGE: Final = 100
#: Amounts have a point and no blanks, and the currency in a column of its own, as programs read them.
_HEAD: Final = (
    "reference",
    "status",
    "start",
    "end",
    "time zone",
    "service",
    "with",
    "place",
    "name",
    "email",
    "phone",
    "notes",
    "price",
    "currency",
    "no show",
    "paid",
    "refunded",
    "kept",
    "payment references",
    "refund references",
    "channel",
    "booked on",
)
_PHONE: Final = _HEAD.index("phone")
#: Where a spreadsheet may begin a cell, and what makes a formula of it: at the start, after a line break, and after a
#: semicolon, which separates cells in the Excel of half of Europe whatever stands in quotes.
_FORMULA: Final = re.compile(r"""(^|[;\r\n\t])([\s"']*)([=+\-@\uff1d\uff0b\uff0d\uff20\t\r])""")
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{4,14}")


async def bookings_table(
    bookings: Sequence[Booking], reads: Bookings, widgets: Mapping[str, Widget], *, rest: str
) -> AsyncIterator[bytes]:
    """The table's lines for the first `MOST` of the bookings. Their money is read while the lines are sent. `rest` is
    the last line where there are more."""
    questions = _questions(widgets, bookings)
    # Spreadsheets take a table without this mark for one in an old encoding.
    yield "\ufeff".encode()
    yield _line([*_HEAD, *_clean_cells(f"q_{name}" for name in questions)])
    shown = bookings[:MOST]
    for first in range(0, len(shown), _PAGE):
        part = shown[first : first + _PAGE]
        funds = await reads.funds_of(part)
        for booking in part:
            row = _cells(booking, funds[booking.id], questions)
            clean = _clean_cells(row)
            # A number in full: no spreadsheet makes more of it than a number, and programs can read it.
            clean[_PHONE] = row[_PHONE] if _is_number(row[_PHONE]) else clean[_PHONE]
            yield _line(clean)
    if len(bookings) > MOST:
        yield _line([rest])


def _questions(widgets: Mapping[str, Widget], bookings: Iterable[Booking]) -> list[str]:
    """The names of the owner's own questions: as they are asked now, then those that were asked before."""
    asked = [question.name for widget in widgets.values() for question in widget.questions]
    answered = sorted({name for booking in bookings if booking.customer for name in booking.customer.answers})
    return list(dict.fromkeys([*asked, *answered]))


def _line(cells: Sequence[str]) -> bytes:
    text = StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _cells(booking: Booking, funds: Funds, questions: Collection[str]) -> list[str]:
    start, end = (zones.local(moment, booking.time_zone) for moment in (booking.starts_at, booking.ends_at))
    customer, price = booking.customer, booking.terms.price
    answers = customer.answers if customer else {}
    refunds = [refund for refund in funds.refunds if refund.status not in REFUND_VOID]

    def amount(units: int) -> str:
        return format(Money(units, price.currency).to_decimal(), "f")

    return [
        booking.id,
        booking.status.value,
        f"{start:%Y-%m-%d %H:%M}",
        f"{end:%Y-%m-%d %H:%M}",
        booking.time_zone,
        booking.service_name,
        booking.resource_name,
        booking.location_name,
        customer.name if customer else "",
        customer.email if customer else "",
        customer.phone if customer else "",
        customer.notes if customer else "",
        amount(price.amount),
        price.currency.upper(),
        "yes" if booking.no_show else "",
        amount(funds.paid),
        amount(funds.returned),
        amount(funds.left),
        " ".join(payment.payment_intent_id or "" for payment in funds.captured),
        " ".join(refund.stripe_refund_id for refund in refunds if refund.stripe_refund_id),
        came_from(booking.visitor),
        booked_on(booking.visitor),
        *(answers.get(name, "") for name in questions),
    ]


def _clean_cells(cells: Iterable[str]) -> list[str]:
    """For spreadsheets: what customers typed must not become a formula. A quote before it makes it text."""
    return [_FORMULA.sub(r"\1\2'\3", cell) for cell in cells]


def _is_number(text: str) -> bool:
    """Whether this is a phone number as it is stored (E.164), and nothing else."""
    return _NUMBER.fullmatch(text) is not None
