"""python -m app mails: what could not be delivered, and sending it again.

A line names a booking, a kind and the mail server's reason, and nobody's address.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

from app.build import open_parts
from app.domain.outbox import MailLine
from app.errors import NotFound
from app.parts import Parts
from app.seams import Seams
from app.settings import Settings

DONE, WRONG_USE = 0, 2


def run_mails(settings: Settings, arguments: argparse.Namespace) -> int:
    """Do what the arguments say: 0 done, 2 wrong use. Raises DatabaseUnusable."""

    async def act() -> int:
        async with open_parts(settings, Seams()) as parts:
            return await serve_mails(parts, arguments, print)

    return asyncio.run(act())


async def serve_mails(parts: Parts, arguments: argparse.Namespace, say: Callable[[str], None]) -> int:
    """One act, over open parts; its result is said."""
    if arguments.act == "list":
        booking = arguments.booking
        found = await (parts.staff.mails_of(booking) if booking else parts.staff.unsent_mails())
        _tell(found, as_json=arguments.json, say=say)
        return DONE
    if bool(arguments.bookings) == arguments.all:
        print("Name bookings, or use --all. `mails list` shows what could not be delivered.", file=sys.stderr)
        return WRONG_USE
    try:
        again = [await parts.corrections.resend_mails(booking) for booking in arguments.bookings]
    except NotFound as error:
        print(f"There is no booking {error}.", file=sys.stderr)
        return WRONG_USE
    many = sum(again) if arguments.bookings else await parts.staff.resend_all_mails()
    if arguments.json:
        say(json.dumps({"success": True, "resent": many}))
    else:
        say(f"{many} {'email' if many == 1 else 'emails'} will be sent again when the server runs.")
    return DONE


def _tell(found: list[MailLine], *, as_json: bool, say: Callable[[str], None]) -> None:
    if as_json:
        say(json.dumps({"success": True, "mails": [mail_json(mail) for mail in found]}))
    elif not found:
        say("No emails.")
    for mail in () if as_json else found:
        say("  ".join([_when(mail.due_at), mail.booking_id, mail.kind, _standing(mail)]))


def _standing(mail: MailLine) -> str:
    tries = f"{mail.tries} {'try' if mail.tries == 1 else 'tries'}"
    if mail.sent_at:
        return f"sent {_when(mail.sent_at)}"
    if mail.next_try_at is None:
        return f"not delivered after {tries}: {mail.error}"
    return f"waiting, {tries}, next {_when(mail.next_try_at)}" + (f": {mail.error}" if mail.error else "")


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def mail_json(mail: MailLine) -> dict[str, Any]:
    """A mail for programs; times in UTC."""
    return {
        "bookingId": mail.booking_id,
        "kind": mail.kind,
        "dueAt": mail.due_at.isoformat(),
        "sentAt": mail.sent_at.isoformat() if mail.sent_at else None,
        "nextTryAt": mail.next_try_at.isoformat() if mail.next_try_at else None,
        "tries": mail.tries,
        "error": mail.error or None,
    }
