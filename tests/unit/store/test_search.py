"""A customer is found by any part of the name, the address or the phone number, through an index of those parts."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.booking.corrections import Correction
from app.cli.forget import forget
from app.domain.booking import Actor, Booking, Customer
from app.domain.customer import search_text
from app.store.search import follow_search
from app.store.tables import bookings, search_parts, search_texts
from tests.support.backups import asked
from tests.support.stack import Stack, open_stack

pytestmark = pytest.mark.both_databases

BO = Customer(name="Bo Åkerström Bergman", email="bo.bergman@customer.example", phone="+46701234567")


@pytest.fixture
async def stack(tmp_path: Path, database: str) -> AsyncIterator[Stack]:
    async with open_stack(tmp_path, database=database) as stack:
        yield stack


async def found(stack: Stack, text: str) -> list[str]:
    """The names that a search of the customers finds, which a search of the bookings finds, too."""
    customers = [one.name for one in await stack.parts.customers.find(text, most=50)]
    searched = {one.customer.name for one in await stack.parts.staff.search(text) if one.customer}
    assert {*customers} <= searched
    return customers


async def indexed(stack: Stack) -> tuple[list[str], int]:
    """The texts in the index, and how many parts of texts."""
    async with stack.parts.store.engine.connect() as connection:
        texts = (await connection.execute(sa.select(search_texts.c.text))).scalars()
        parts = await connection.scalar(sa.select(sa.func.count()).select_from(search_parts))
        return sorted(texts), int(parts or 0)


async def test_every_part_of_what_is_known_finds_the_customer(stack: Stack) -> None:
    await stack.confirmed(customer=BO)
    await stack.confirmed(await stack.in_days(4))
    text = search_text(BO)
    for begin in range(len(text)):
        for end in {begin + 1, begin + 3, begin + 12, begin + 13, len(text)}:
            typed = text[begin:end]
            if "\n" not in typed and len(typed) > 2:
                assert BO.name in await found(stack, typed), typed
    assert await found(stack, "åkerström b") == [BO.name]
    assert await found(stack, "070-123 45 67") == [BO.name]
    for typed in ("bergmann", "åkerström bergmen", "akerström", "%", "_o", "bo.bergman@customer.examples"):
        assert await found(stack, typed) == [], typed


async def test_what_too_many_have_is_found_all_the_same(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    await stack.confirmed(customer=BO)
    await stack.confirmed(await stack.in_days(4))
    monkeypatch.setattr("app.store.search.MOST_PARTS", 1)
    assert len(await found(stack, "example")) == 2
    assert await found(stack, "BERG") == [BO.name]
    assert await found(stack, "berg%") == []


async def test_a_text_goes_with_the_last_booking_that_has_it(stack: Stack) -> None:
    first = await stack.confirmed(customer=BO)
    second = await stack.confirmed(await stack.in_days(5), customer=BO)
    before, parts = await indexed(stack)
    assert before == [search_text(BO)]
    mended = replace(BO, name="Bo Björk")
    await stack.parts.corrections.correct(first.id, Correction(name=mended.name), by=Actor.OWNER)
    assert (await indexed(stack))[0] == sorted([search_text(BO), search_text(mended)])
    await stack.parts.corrections.correct(second.id, Correction(name=mended.name), by=Actor.OWNER)
    after, fewer = await indexed(stack)
    assert after == [search_text(mended)]
    assert fewer < parts
    assert await found(stack, "åker") == []
    await _over(stack, second)
    assert await forget(stack.parts, asked(BO.email)) == 0
    assert await indexed(stack) == ([], 0)


async def test_details_that_are_typed_again_leave_nothing_of_the_first_ones(stack: Stack) -> None:
    held = await stack.hold()
    for name in ("Bo Bergmann", "Bo Bergman"):
        await stack.parts.store.set_customer(held.id, replace(BO, name=name))
    assert (await indexed(stack))[0] == [search_text(replace(BO, name="Bo Bergman"))]


async def test_what_a_process_of_the_version_before_leaves_is_pruned(stack: Stack) -> None:
    booking = await stack.confirmed(customer=BO)
    store = stack.parts.store
    async with store._write() as connection:
        await connection.execute(sa.update(bookings).where(bookings.c.id == booking.id).values(customer_search=""))
    await store.prune(stack.clock())
    assert await indexed(stack) == ([], 0)


async def test_two_bookings_of_one_customer_at_once_leave_the_text_that_they_share(stack: Stack) -> None:
    """One is forgotten while the other is given the same details."""
    gone, kept = await stack.confirmed(customer=BO), await stack.hold(await stack.in_days(5))
    store, text = stack.parts.store, search_text(BO)
    cleared = {"customer_search": ""}

    async def drop() -> None:
        async with store._write(gone.id) as connection:
            await connection.execute(sa.update(bookings).where(bookings.c.id == gone.id).values(cleared))
            await follow_search(store.backend, connection, text, "")

    for _ in range(10):
        async with store._write() as connection:
            await connection.execute(sa.update(bookings).where(bookings.c.id == kept.id).values(cleared))
            await connection.execute(sa.update(bookings).where(bookings.c.id == gone.id).values(customer_search=text))
            await follow_search(store.backend, connection, "", text)
        await asyncio.gather(drop(), store.set_customer(kept.id, BO))
        assert text in (await indexed(stack))[0]


async def _over(stack: Stack, booking: Booking) -> None:
    stack.clock.advance(booking.ends_at - stack.clock() + timedelta(minutes=1))
    await stack.tick(times=4)
