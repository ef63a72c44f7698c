"""What may be typed after `python -m app bookings`, and reading it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TypeVar

from app.domain import amounts
from app.domain.booking import Status
from app.domain.catalogue import Resource, Service
from app.domain.money import Money
from app.domain.payment import Pays
from app.errors import BookingConflict
from app.text.zones import zone_info

#: What --status takes in addition to the statuses.
COMPLETED, NO_SHOW = "completed", "no-show"

_Thing = TypeVar("_Thing", Service, Resource)


#: Nobody means others, and arithmetic on the calendar's first and last days overflows.
_YEARS = range(1990, 2100)


class WrongUse(Exception):
    """The command makes no sense as it was given; the text says why."""


class Refused(Exception):
    """The act was not done; the text says why, and that nothing was charged or refunded."""

    def __init__(self, sentence: str, code: str = BookingConflict.code) -> None:
        super().__init__(sentence)
        self.code = code


def add_bookings(parser: argparse.ArgumentParser) -> None:
    """The acts of `python -m app bookings` and their options."""
    acts = parser.add_subparsers(dest="act", required=True)
    a_list = acts.add_parser(
        "list", help="list bookings by their start, from today on; abandoned ones only with --status expired"
    )
    a_list.add_argument(
        "--from", dest="first", type=_day, metavar="DAY", help="such as 2026-11-24, in the venue's time zone"
    )
    a_list.add_argument("--to", dest="last", type=_day, metavar="DAY", help="the last day")
    standings = [*(status.value for status in Status), COMPLETED, NO_SHOW]
    a_list.add_argument(
        "--status",
        action="append",
        choices=standings,
        metavar="STATUS",
        help=f"may be repeated: {', '.join(standings)}",
    )
    a_list.add_argument("--email", default="", help="the customer's address; also lists earlier bookings")
    show = acts.add_parser("show", help="show everything about one booking")
    cancel = acts.add_parser("cancel", help="cancel, and refund everything that is left of the payment")
    no_show = acts.add_parser("no-show", help="mark as missed; nothing is charged or refunded")
    no_show.add_argument("--undo", action="store_true", help="the customer came after all")
    resend = acts.add_parser("resend", help="email the customer a new link; older links stop working")
    refund = acts.add_parser("refund", help="refund the customer; the booking stays as it is")
    refund.add_argument("--amount", metavar="20.00", help="in the booking's currency (default: all that is left)")
    paid = acts.add_parser("paid-another-way", help="mark a failed or refused refund as paid without Stripe")
    paid.add_argument("--refund", default="", metavar="ID", help="which refund, if there are several")
    correct = acts.add_parser("correct-email", help="correct the customer's address, and send undelivered emails there")
    correct.add_argument("--email", required=True, metavar="ADDRESS", help="the right address")
    move = acts.add_parser("move", help="move to another time, whatever the terms say")
    move.add_argument(
        "--start", required=True, metavar="ISO", help="such as 2026-11-24T10:00, in the venue's time zone"
    )
    move.add_argument("--service", default="", help="another service: its id or name")
    move.add_argument(
        "--resource", default="", help="with whom or in which room: id or name (default: the same, otherwise anyone)"
    )
    book = _add_book(acts)
    take = acts.add_parser("take-payment", help="note what the customer paid on the spot, in cash or by card terminal")
    take.add_argument("--how", required=True, choices=[way.value for way in Pays if way.method], help="how it was paid")
    take.add_argument("--amount", metavar="20.00", help="in the booking's currency (default: all that is unpaid)")
    link = acts.add_parser("pay-link", help="email a payment link again, give it more time, or stop waiting for it")
    what = link.add_mutually_exclusive_group(required=True)
    what.add_argument("--again", action="store_true", help="email it once more")
    what.add_argument("--until", metavar="ISO", help="when it ends, in the venue's time zone")
    what.add_argument("--stop", action="store_true", help="free the time; nothing is charged")
    for act in (show, cancel, no_show, resend, refund, paid, correct, move, take, link):
        act.add_argument("id", metavar="ID", help="the booking, such as bk_0123456789abcdef0123")
    for act in (cancel, refund, paid, move, book, take, link):
        act.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    for act in (a_list, show, cancel, no_show, resend, refund, paid, correct, move, book, take, link):
        act.add_argument(
            "--json", action="store_true", help="print the result as JSON; everything else goes to standard error"
        )


def _add_book(acts: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    book = acts.add_parser("book", help="book for a customer, at any free time; visitors' limits do not apply")
    book.add_argument("--widget", default="", help="the widget's name, if there are several")
    book.add_argument("--service", required=True, help="its id or name")
    book.add_argument(
        "--start", required=True, metavar="ISO", help="such as 2026-11-24T10:00, in the venue's time zone"
    )
    book.add_argument("--resource", default="", help="with whom or in which room: id or name (default: anyone)")
    book.add_argument("--name", required=True, help="the customer's name")
    book.add_argument("--email", default="", metavar="ADDRESS", help="the customer's address; without it, no emails")
    book.add_argument("--phone", default="", help="the customer's phone number")
    book.add_argument("--notes", default="", help="what the customer says")
    book.add_argument("--language", default="", help="of the customer's emails (default: the widget's first)")
    book.add_argument("--pays", choices=[way.value for way in Pays], default=Pays.AT_VISIT.value, help="how it is paid")
    book.add_argument("--amount", metavar="20.00", help="what was taken on the spot (default: the price)")
    book.add_argument("--until", metavar="ISO", help="when a payment link ends (default: in a day)")
    book.add_argument(
        "--anytime", dest="any_time", action="store_true", help="also a time that the calendar does not offer"
    )
    return book


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.year not in _YEARS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2026-11-24")
    return day


def read_start(text: str, zone: str, option: str = "--start") -> datetime:
    """The moment that was typed, on the place's clock where no offset was. Raises WrongUse."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.year not in _YEARS or len(text) <= len("2026-11-24"):
        raise WrongUse(f"{option} must be a date and a time, such as 2026-11-24T10:00 or 2026-11-24T10:00+01:00.")
    if moment.tzinfo:
        return moment.astimezone(UTC)
    both = {moment.replace(tzinfo=zone_info(zone), fold=fold).astimezone(UTC) for fold in (0, 1)}
    if len(both) > 1:
        raise WrongUse(f"The clocks change at that time in {zone}. Add the offset to {option}, such as +01:00.")
    return both.pop()


def named(kind: str, wanted: str, things: Sequence[_Thing]) -> _Thing:
    """The thing with this id or name. Raises WrongUse, which tells those there are."""
    for thing in things:
        if wanted == thing.id or wanted.casefold() == thing.name.casefold():
            return thing
    raise WrongUse(f"There is no {kind} {wanted!r}. Choose one of: {', '.join(thing.name for thing in things)}.")


def read_amount(text: str | None, left: Money) -> Money:
    """The amount that was typed, in the currency of `left`; all of that without one. Raises WrongUse."""
    if text is None:
        return left
    amount = amounts.read_amount(text, left.currency)
    if amount is None:
        raise WrongUse(f"--amount must be an amount above 0 in {left.currency.upper()}, such as 20.00.")
    return amount
