"""Staff, signed in."""

import re
import secrets
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Booking
from app.domain.hours_change import HoursChange
from app.store import tables
from app.store.search import follow_search
from tests.support.browser import Browser
from tests.support.stack import PUBLIC_URL, Stack

EVA = "eva@studio.example"
LINK = re.compile(rf"{PUBLIC_URL}(/staff/in/\S+)")


def links(stack: Stack) -> list[str]:
    """The paths of the links that Eva was mailed, oldest first."""
    mails = [message for message in stack.mailbox.messages if message.recipients == (EVA,)]
    return [found[1] for message in mails if (found := LINK.search(message.text or ""))]


async def ask(stack: Stack, browser: Browser, email: str = EVA) -> str:
    """Ask for a link; what the page says."""
    await browser.open("/staff")
    return await browser.send('action="/staff"', email=email)


async def sign_in(stack: Stack, browser: Browser, **fields: str) -> str:
    """Ask, open the mailed link, and press its button; the path of the first page. `stays="1"` is for the day."""
    await ask(stack, browser)
    await browser.open(links(stack)[-1])
    await browser.send('action="/staff/in/[^"]+"', **fields)
    assert browser.page.status_code == 200
    return browser.page.url.path


async def day_off(stack: Stack, booking: Booking) -> HoursChange:
    """A day off of the booking's person, a year after it."""
    hours, starts_at = stack.parts.working_hours, booking.starts_at + timedelta(days=365)
    person = await hours.person(booking.resource_id)
    return await hours.take_off(person, starts_at, starts_at + timedelta(days=1), by=EVA)


async def copies(stack: Stack, booking: Booking, count: int, **changes: Any) -> None:
    """So many more bookings like this one, straight into the table: making them by hand would take minutes."""
    ids = [f"bk_{secrets.token_hex(10)}" for _ in range(count)]
    async with stack.parts.store._write() as connection:
        await follow_search(stack.parts.store.backend, connection, "", changes.get("customer_search", ""))
        for table in (tables.bookings, tables.reservations):
            [row] = (await connection.execute(sa.select(table).where(table.c.id == booking.id))).mappings()
            rows = [
                {**row, "id": one, "reservation_id": one, "booking_id": one, "reference": None, "occupies": False}
                for one in ids
            ]
            if rows:
                names = {column.name for column in table.c}
                values = [{name: (one | changes)[name] for name in names} for one in rows]
                await connection.execute(sa.insert(table), values)
