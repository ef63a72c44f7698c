"""Customers whose addresses were taken for another's, and what they wrote, after an upgrade from version 0017."""

import pytest
import sqlalchemy as sa

from app.domain.booking import Actor, Customer
from app.store import tables
from tests.support.stack import Stack

pytestmark = pytest.mark.both_databases

EVA = "eva@studio.example"


async def upgraded(stack: Stack, *changes: sa.Executable) -> None:
    """Start again, from a database of version 0017 in which these changes were made."""
    async with stack.parts.store.engine.begin() as connection:
        for change in (*changes, sa.text("UPDATE alembic_version SET version_num = '0017'")):
            await connection.execute(change)
    await stack.stop()
    await stack.start()


async def test_customers_who_were_taken_for_one_are_two_after_the_upgrade(stack: Stack) -> None:
    eve = await stack.confirmed(await stack.in_days(2), customer=Customer(name="Eve", email="ada@strasse.example"))
    ada = await stack.confirmed(await stack.in_days(5), customer=Customer(name="Ada", email="Ada@straße.example"))
    ida = await stack.confirmed(await stack.in_days(6), customer=Customer(name="Ida", email="ida@großes.example"))
    await stack.parts.customers.write_note(ida.id, "Allergic to dust", version=0, who=EVA)
    await stack.parts.customers.write_note(eve.id, "Prefers mornings", version=0, who=EVA)
    folded = {ada.id: "ada@strasse.example", ida.id: "ida@grosses.example"}
    of = tables.bookings
    await upgraded(
        stack,
        *(
            sa.update(of).where(of.c.id == one).values(customer_email=key, customer_key=key)
            for one, key in folded.items()
        ),
        sa.update(tables.customer_notes)
        .where(tables.customer_notes.c.text == "Allergic to dust")
        .values(customer_key=folded[ida.id]),
    )
    for booking in (eve, ada, ida):
        assert booking.customer
        assert [one.id for one in await stack.parts.store.find(email=booking.customer.email)] == [booking.id]
    assert await stack.parts.store.find(email="ida@grosses.example") == []
    notes = [(await stack.parts.customers.view(one.id, most=1)).note.text for one in (eve, ada, ida)]
    assert notes == ["Prefers mornings", "Prefers mornings", "Allergic to dust"]
    async with stack.parts.store.engine.connect() as connection:
        assert await connection.scalar(sa.select(sa.func.count()).select_from(tables.customer_notes)) == 3


async def test_what_a_forgotten_customer_gave_as_the_reason_is_gone_after_the_upgrade(stack: Stack) -> None:
    gone, here = [await stack.confirmed(await stack.in_days(day)) for day in (2, 3)]
    for booking in (gone, here):
        await stack.parts.cancel.booking(booking.id, by=Actor.CUSTOMER, note="Anna Ek is ill")
    line = {"booking_id": gone.id, "at": stack.clock(), "what": "forgotten", "status": "canceled", "detail": {}}
    await upgraded(stack, sa.insert(tables.history).values(line))
    notes = [
        [entry.detail["note"] for entry in await stack.parts.store.history(one.id) if "note" in entry.detail]
        for one in (gone, here)
    ]
    assert notes == [[], ["Anna Ek is ill"]]
    assert 120_000 in [entry.detail.get("back") for entry in await stack.parts.store.history(gone.id)]
