"""Databases that are copied, lost and restored."""

import argparse
from pathlib import Path
from shutil import copyfile

from app.domain.booking import Booking
from app.store.backup import back_up
from tests.support.stack import Stack

OWNER = "owner@studio.example"


def copied(stack: Stack, folder: Path) -> Path:
    """The copy that `python -m app backup` makes."""
    database = Path(stack.settings.database_url.removeprefix("sqlite:///"))
    return back_up(database, folder / "backups", at=stack.clock())


async def put_back(stack: Stack, copy: Path) -> None:
    """Restore the copy as docs/operations.md says."""
    await stack.stop()
    database = Path(stack.settings.database_url.removeprefix("sqlite:///"))
    for log in database.parent.glob(f"{database.name}-*"):
        log.unlink()
    copyfile(copy, database)
    stack.mailbox.messages.clear()
    await stack.start()


def final_in_hapio(stack: Stack) -> list[str]:
    """The ids of the final bookings that take up time in Hapio."""
    return [booking.id for booking in stack.hapio_bookings() if not booking.is_temporary]


async def money_alarms(stack: Stack) -> list[tuple[str, int]]:
    return [(one.why, one.amount) for one in await stack.parts.health.money_without_booking()]


async def lost_booking(stack: Stack, folder: Path) -> tuple[Booking, str]:
    """A copy is made, then someone books and pays, then the copy is put back."""
    await stack.tick()
    copy = copied(stack, folder)
    booking = await stack.hold()
    session = await stack.paid(booking)
    await stack.tick()
    await put_back(stack, copy)
    return booking, session


def database(stack: Stack) -> Path:
    return Path(stack.settings.database_url.removeprefix("sqlite:///"))


def asked(email: str = "", days: int | None = None, *, yes: bool = True) -> argparse.Namespace:
    return argparse.Namespace(email=email, older_than_days=days, yes=yes)
