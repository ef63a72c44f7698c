"""The pages on which customers manage their bookings."""

import re
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Booking
from app.store.tables import metadata
from tests.support.browser import Browser
from tests.support.stack import Stack

OTHER_SERVICE = "reschedule = { other_service = true }"


def link(stack: Stack, booking: Booking) -> str:
    """The path of the link that the booking's mails carry now."""
    return f"/manage/{stack.parts.links.manage_token(booking.id, booking.link_version)}"


def plain(text: str) -> str:
    """Amounts with plain spaces."""
    return re.sub("[\u00a0\u202f]", " ", text)


async def everything(stack: Stack) -> dict[str, list[Any]]:
    """Every row that we have, but for the count of Hapio's calls."""
    async with stack.parts.store.engine.connect() as connection:
        return {
            table.name: list(await connection.execute(sa.select(table)))
            for table in metadata.sorted_tables
            if table.name != "counters"
        }


async def to_preview(anna: Browser, path: str, starts_at: datetime, **asked: str) -> str:
    """From the calendar to the page before a move."""
    await anna.open(f"{path}/reschedule?date={starts_at.date()}&resource=")
    return plain(await anna.send('id="hf-hold"', start=starts_at.isoformat(), **asked))
