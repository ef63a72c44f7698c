"""python -m app forget: removes customers' details from bookings that are over. Bookings, payments and refunds stay."""

from __future__ import annotations

import argparse
import asyncio
import sys

from app.build import open_parts
from app.parts import Parts
from app.seams import Seams
from app.settings import Settings

_ELSEWHERE = (
    "Personal data remains at Stripe (in the Dashboard: Customers, Redact), in your mail server's emails, and in "
    "backups."
)


def run_forget(settings: Settings, arguments: argparse.Namespace) -> int:
    """0 done or counted; 1 where something is left that cannot be forgotten now. Raises DatabaseUnusable."""

    async def act() -> int:
        async with open_parts(settings, Seams()) as parts:
            return await forget(parts, arguments)

    return asyncio.run(act())


async def forget(parts: Parts, arguments: argparse.Namespace) -> int:
    """As `run_forget`, over open parts."""
    email, days = arguments.email.strip(), arguments.older_than_days
    if not arguments.yes:
        over, left = await parts.erasure.count(email=email, days=days)
        print(f"Customers' data would be removed from {_bookings(over)}. Add --yes to do it. This cannot be undone.")
    else:
        done = await parts.erasure.forget(email=email, days=days)
        left = done.left
        print(f"Customers' data was removed from {_bookings(done.forgotten)}.")
        if done.unreached:
            print(
                f"{_bookings(done.unreached)} not changed, because the scheduler did not answer. Try again later.",
                file=sys.stderr,
            )
            return 1
        if done.traces:
            print(
                "The database's log could not be emptied, because another process is reading it. Run this again.",
                file=sys.stderr,
            )
            return 1
        for scheduler, many in done.kept_at.items():
            print(f"{_bookings(many)} at {scheduler} still name the customer, who cannot be forgotten there by us.")
        if done.forgotten:
            print(_ELSEWHERE)
    if left and email:
        print(
            f"{_bookings(left)} not over yet: still to come, or a payment or refund is open. Cancel first, or wait.",
            file=sys.stderr,
        )
        return 1
    return 0


def _bookings(many: int) -> str:
    return "1 booking" if many == 1 else f"{many} bookings"
