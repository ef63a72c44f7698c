"""Customers for the owner: a list, one customer with all their bookings, and the note about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.booking.corrections import Correction, Corrections
from app.booking.customer_form import clean
from app.booking.tools import Tools
from app.domain.booking import Actor, Booking, Customer
from app.domain.customer import (
    LONGEST_NOTE,
    CustomerFigures,
    CustomerLine,
    CustomerNote,
    customer_key,
)
from app.errors import BookingConflict, NotFound, PolicyRefused

#: In how many bookings one call corrects a customer's details: a few seconds of writing at most.
MOST_CORRECTED = 1000


@dataclass(frozen=True, slots=True)
class CustomerView:
    """A customer with a page of their bookings, for showing. `customer` is as their newest booking has them, or the one
    that was asked for. `nameless` is someone of whom only the name is known: they have no note, and one booking."""

    customer: Customer
    figures: CustomerFigures
    note: CustomerNote
    bookings: Sequence[Booking]
    nameless: bool


class Customers:
    """A customer is found by any of their bookings: its id names nobody in an address or a log."""

    def __init__(self, tools: Tools, corrections: Corrections) -> None:
        self._tools = tools
        self._store = tools.store
        self._corrections = corrections

    async def find(self, text: str = "", *, skip: int = 0, most: int) -> list[CustomerLine]:
        """Customers, those who booked last first, `most` of them after the first `skip`; with `text` those who have it
        in the name, the address or the phone number."""
        return await self._store.customers(text, skip=skip, most=most)

    async def view(self, booking_id: str, *, skip: int = 0, most: int) -> CustomerView:
        """The customer of a booking, with `most` of their bookings after the first `skip`, the latest visit first.
        Raises NotFound, also where the customer was forgotten."""
        booking, customer = await self._of(booking_id)
        key = customer_key(customer)
        return CustomerView(
            customer=customer,
            figures=await self._store.customer_figures(booking, key),
            note=await self.note_of(booking),
            bookings=await self._store.bookings_of(booking, key, skip=skip, most=most),
            nameless=not key,
        )

    async def note_of(self, booking: Booking) -> CustomerNote:
        """The note about a booking's customer."""
        key = customer_key(booking.customer)
        return await self._store.customer_note(key) if key else CustomerNote()

    async def correct(self, booking_id: str, correction: Correction, *, who: str, shown: str) -> tuple[int, int]:
        """Change the details of a booking's customer in all their bookings; (how many have changed, how many could not,
        because something else happened to them meanwhile, or there are too many for one time). `who` is the member of
        staff, `shown` the `details_mark` of what they saw. Raises InvalidDetails, BookingConflict where the details
        were changed meanwhile, NotFound."""
        booking, before = await self._of(booking_id)
        key = customer_key(before)
        ids = await self._store.booking_ids_of(booking, key, most=MOST_CORRECTED + 1)
        # The one at hand first: what cannot be read is told before anything was changed.
        others = [one for one in ids if one != booking_id]
        await self._corrections.correct(booking_id, correction, by=Actor.OWNER, who=who, shown=shown)
        changed, left = 1, len(others[MOST_CORRECTED:])
        for one in others[:MOST_CORRECTED]:
            try:
                await self._corrections.correct(one, correction, by=Actor.OWNER, who=who)
                changed += 1
            except (BookingConflict, NotFound):
                left += 1
        return changed, left

    async def write_note(self, booking_id: str, text: str, *, version: int, who: str) -> None:
        """Put down a note about a booking's customer in the place of the one that was seen as `version`. Raises
        BookingConflict where it was changed meanwhile, PolicyRefused where only a name is known, NotFound."""
        _, customer = await self._of(booking_id)
        key = customer_key(customer)
        if not key:
            raise PolicyRefused("only a name is known")
        if not await self._store.write_note(key, clean(text, most=LONGEST_NOTE, lines=True), version=version, by=who):
            raise BookingConflict("changed meanwhile")

    async def _of(self, booking_id: str) -> tuple[Booking, Customer]:
        booking = await self._tools.booking(booking_id)
        if booking.customer is None:
            raise NotFound(booking_id)
        return booking, booking.customer
