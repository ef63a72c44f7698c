"""What may be typed after each command, in a module that imports next to nothing: `--help` answers at once.

`arguments` has those of `bookings`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

#: How many events are listed at most.
MOST_EVENTS = 500


def add_backup(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m app backup`."""
    parser.add_argument("folder", type=Path, help="the folder for the copy, which is named after the time")
    parser.add_argument("--keep", type=_count, default=0, metavar="N", help="delete older copies beyond the newest N")


def add_copy_database(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m app copy-database`."""
    parser.description = "Both are written as in DATABASE_URL. Stop the server first; the source stays as it is."
    parser.add_argument("source", type=_url, help="the database that has the rows; no server may be using it")
    parser.add_argument("target", type=_url, help="an empty database; its tables are made")


def add_reconcile(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m app reconcile`."""
    parser.add_argument(
        "--days", type=_days(3650), default=7, metavar="N", help="how far back to read Stripe's payments (default: 7)"
    )
    parser.add_argument("--adopt", action="store_true", help="add payments whose booking is in the database")
    parser.add_argument("--refund", action="store_true", help="refund payments whose booking is not in the database")
    parser.add_argument(
        "--settled", action="append", default=[], metavar="ID", help="mark this payment (cs_…) as settled by you"
    )
    parser.add_argument(
        "--release", action="store_true", help="delete holds at the scheduler that are not in the database"
    )
    parser.add_argument(
        "--release-final",
        action="append",
        default=[],
        metavar="ID",
        help="also cancel this confirmed booking at the scheduler",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON; everything else goes to standard error"
    )


def add_forget(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m app forget`."""
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--email", default="", help="one customer, by the email address of the bookings")
    whose.add_argument(
        "--older-than-days", type=_days(36_500), metavar="N", help="everyone whose booking has been over for this long"
    )
    parser.add_argument("--yes", action="store_true", help="do it; without this, bookings are only counted")


def add_events(parser: argparse.ArgumentParser) -> None:
    """The acts of `python -m app events` and their options."""
    acts = parser.add_subparsers(dest="act", required=True)
    a_list = acts.add_parser("list", help="list stored events, newest first")
    a_list.add_argument("--waiting", action="store_true", help="only those that have not been processed yet")
    a_list.add_argument("--booking", default="", metavar="ID", help="only those about one booking")
    a_list.add_argument("--most", type=int, default=50, metavar="N", help=f"how many at most, up to {MOST_EVENTS}")
    replay = acts.add_parser("replay", help="process events again, now")
    replay.add_argument("ids", nargs="*", metavar="ID", help="such as evt_1ABC")
    replay.add_argument("--waiting", action="store_true", help="all that have not been processed yet")
    fetch = acts.add_parser("fetch", help="fetch events from Stripe that never arrived, and process them")
    for act in (a_list, replay, fetch):
        act.add_argument("--json", action="store_true", help="print the result as one JSON object")


def add_mails(parser: argparse.ArgumentParser) -> None:
    """The acts of `python -m app mails` and their options."""
    acts = parser.add_subparsers(dest="act", required=True)
    a_list = acts.add_parser("list", help="list emails that are waiting, and those that could not be delivered")
    a_list.add_argument(
        "--booking", default="", metavar="ID", help="list every email about one booking, including those sent"
    )
    resend = acts.add_parser("resend", help="send undelivered emails again")
    resend.add_argument("bookings", nargs="*", metavar="BOOKING", help="such as bk_0123456789abcdef0123")
    resend.add_argument("--all", action="store_true", help="for all bookings")
    for act in (a_list, resend):
        act.add_argument("--json", action="store_true", help="print the result as one JSON object")


def add_doctor(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m app doctor`."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def add_setup(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m app setup`."""
    parser.add_argument(
        "--from", dest="file", type=Path, metavar="FILE", help="the answers from a file, without questions"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
    parser.add_argument(
        "--scheduler", default="", metavar="NAME", help="whose the token is, where its form does not tell"
    )
    parser.add_argument(
        "--systemd", type=Path, metavar="FOLDER", help="write systemd units for this folder there, and do nothing else"
    )


def _days(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError("must be a number of days from 1 up")
        return int(text)

    return read


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a number from 1 up")
    return int(text)


def _url(text: str) -> str:
    from app.settings import checked_database_url

    try:
        return checked_database_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
